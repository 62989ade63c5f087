"""`opsmesh evals`: score the agents, beside floors and records."""

from pathlib import Path
from typing import Annotated

import typer

from cli import datasets, service_cases, suites
from cli.options import JsonFlag, Seed, Seeds, Suite

group = typer.Typer(help="Score the agents, beside floors and records.", no_args_is_help=True)


@group.command("dataset")
def evals_dataset(
    name: Annotated[str, typer.Argument(help="petshop, nezha, nab, m4, planetlab, podsecurity or loghub.")],
    path: Path,
    *,
    predictions: Annotated[Path | None, typer.Option(help="Write predictions to this file as JSON lines.")] = None,
    rescore: Annotated[Path | None, typer.Option(help="Score the predictions of this file instead of our own.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score one analysis on a public data set, beside floor and record."""
    raise typer.Exit(datasets.one(name, path, predictions, rescore, as_json=as_json))


@group.command("datasets")
def evals_datasets(
    root: Annotated[Path, typer.Argument(help="Folder that holds the data sets.")],
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this data set; repeat for several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score every data set below a folder; exit 1 when one is missing or misses a target."""
    raise typer.Exit(datasets.card(root, only or (), as_json=as_json))


@group.command("run")
def evals_run(
    *,
    suite: Suite = "all",
    seed: Seed = 100,
    seeds: Seeds = 1,
    only: Annotated[list[str] | None, typer.Option(help="Only this scenario; repeat for several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results file; a run that was cut off goes on from it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots to this file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what the results file holds.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run scenarios through the closed loop, beside five baselines; goes on where an earlier run was cut off."""
    order = suites.order(suite, range(seed, seed + seeds), only or (), out, fresh=fresh)
    raise typer.Exit(suites.run(order, html, as_json=as_json))


@group.command("guard")
def evals_guard(*, as_json: JsonFlag = False) -> None:
    """Run the small suite and hold it against the committed figures; exit 1 when one fell."""
    raise typer.Exit(suites.guard(as_json=as_json))


@group.command("sabotage")
def evals_sabotage(
    name: Annotated[str, typer.Argument(help="broken_diagnosis, skipped_verification or truthful_twin.")],
    *,
    suite: Suite = "ci",
    seed: Seed = 100,
    seeds: Seeds = 1,
    as_json: JsonFlag = False,
) -> None:
    """Damage the product on purpose and show how the figures move; exit 1 when they do not."""
    raise typer.Exit(suites.sabotage(name, suite, range(seed, seed + seeds), as_json=as_json))


@group.command("scenarios")
def evals_scenarios(
    *, suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None, as_json: JsonFlag = False
) -> None:
    """List the scenarios: what happens, whose domain it is, what a good ending is."""
    suites.scenarios(suite, as_json=as_json)


@group.command("capture")
def evals_capture(
    incident: Annotated[str, typer.Argument(help="Incident id.")],
    *,
    fault: Annotated[str | None, typer.Option(help="What it really was, where the diagnosis does not say.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Turn a recorded incident into a scenario without its names."""
    suites.capture(incident, fault, out)


@group.command("compare")
def evals_compare(before: Path, after: Path, *, as_json: JsonFlag = False) -> None:
    """Say what got better and worse between two results files; exit 1 when a figure is worse beyond noise."""
    raise typer.Exit(suites.compare(before, after, as_json=as_json))


@group.command("services")
def evals_services(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this case or service; repeat for several.")] = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    seeds: Seeds = 1,
    as_json: JsonFlag = False,
) -> None:
    """Measure the services and workers, each beside its planted break; exit 1 where one fails or notices nothing."""
    raise typer.Exit(service_cases.services(only or (), range(seed, seed + seeds), as_json=as_json))
