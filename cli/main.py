"""The verbs of `opsmesh`: each parses, calls the server (or a locked local store) and renders."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import answers, costs, datasets, render, replays, suites, verbs, worlds

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Command = Annotated[str, typer.Argument(help="Command id.")]
Digest = Annotated[str | None, typer.Option(help="Digest you saw; default is the one the server shows now.")]
Note = Annotated[str, typer.Option(help="Why, for the audit.")]
Case = Annotated[str | None, typer.Option(help="Only this case, such as train/issue_3 or 2023-01-30/4.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.")]
Suite = Annotated[str, typer.Option(help="all, faults, quiet, special or ci.")]
Seed = Annotated[int, typer.Option(help="First seed; 0 to 9 are for tuning, report from 100 up.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds.")]
ROLES = (
    "role@tenant or role@tenant/environment; may be repeated. Roles: viewer, proposer, approver, operator, auditor, "
    "admin; for a source ingest."
)

app = typer.Typer(
    help="Autonomous operations you can trust: detect, ground, propose, decide, act, verify, learn.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
audit = typer.Typer(help="The tamper-evident record.", no_args_is_help=True)
index = typer.Typer(help="The knowledge index.", no_args_is_help=True)
principal = typer.Typer(help="People, services, agents and event sources.", no_args_is_help=True)
replay = typer.Typer(help="Run recorded telemetry through the loop, up to the approval queue.", no_args_is_help=True)
evals = typer.Typer(help="Score the agents, beside floors and records.", no_args_is_help=True)
cost = typer.Typer(help="Whom the bill belongs to.", no_args_is_help=True)
GROUPS = (
    ("audit", audit),
    ("cost", cost),
    ("evals", evals),
    ("index", index),
    ("principal", principal),
    ("replay", replay),
)
for name, group in GROUPS:
    app.add_typer(group, name=name)


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help="Fault to inject; `list` names them all.")] = "deploy_latency",
    *,
    auto: Annotated[
        bool, typer.Option("--auto", help="Autonomy `act`: nobody is asked; what policy would ask about waits.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 7,
    controls: Annotated[bool, typer.Option(help="Also run execution off and wrong target.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Watch one incident from fault to verified recovery, in a simulated world."""
    raise typer.Exit(worlds.demo(fault, auto=auto, seed=seed, controls=controls, as_json=as_json))


@app.command()
def up(
    *,
    port: Annotated[int | None, typer.Option(help="Port on loopback; 8765 without it or OPSMESH_PORT.")] = None,
    speed: Annotated[float, typer.Option(help="Virtual seconds per second in the embedded world.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of the embedded world.")] = 7,
    fault: Annotated[str | None, typer.Option(help="Let this fault happen five minutes in, to try things out.")] = None,
) -> None:
    """Start the server with its loop and the embedded runtime."""
    raise typer.Exit(worlds.up(port=port, speed=speed, seed=seed, fault=fault))


@app.command()
def ingest(
    source: Annotated[
        str, typer.Argument(help="A file of CloudEvents as JSON lines, their source `file`; - for standard input.")
    ],
    *,
    tenant: Annotated[str, typer.Option(help="Tenant the events belong to.")],
    as_json: JsonFlag = False,
) -> None:
    """Take events from a file while no server runs; refused lines go to quarantine with the reason."""
    raise typer.Exit(worlds.ingest(source, tenant=tenant, as_json=as_json))


@app.command()
def incidents(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """List incidents, newest first."""
    verbs.listing("/v1/incidents", answers.INCIDENTS, tenant=tenant, as_json=as_json)


@app.command()
def show(subject: Annotated[str, typer.Argument(help="Incident or command id.")], *, as_json: JsonFlag = False) -> None:
    """Show an incident or a command as one card."""
    verbs.show(subject, as_json=as_json)


@app.command()
def why(subject: Annotated[str, typer.Argument(help="Incident or command id.")], *, as_json: JsonFlag = False) -> None:
    """Explain: evidence, competing hypotheses, policy reasons, what was checked afterwards."""
    verbs.why(subject, as_json=as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def propose(  # the options of one verb
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Command kind, such as service.restart.")],
    *,
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    environment: Annotated[str, typer.Option(help="Environment.")] = "prod",
    rationale: Annotated[str | None, typer.Option(help="Why; the argument `reason` without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Preview only.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Propose a command the governed way. Arguments follow as --name value, as in `opsmesh schema command:KIND`."""
    arguments = verbs.pairs(context.args)
    verbs.propose(kind, arguments, tenant, environment, rationale, dry_run=dry_run, as_json=as_json)


@app.command()
def approvals(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """List commands that wait for a person."""
    verbs.listing("/v1/commands", answers.COMMANDS, tenant=tenant, as_json=as_json, state="AWAITING_APPROVAL")


@app.command()
def commands(*, tenant: Tenant = None, state: str | None = None, as_json: JsonFlag = False) -> None:
    """List commands, newest first."""
    verbs.listing("/v1/commands", answers.COMMANDS, tenant=tenant, as_json=as_json, state=state)


@app.command()
def approve(command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Approve exactly the digest shown."""
    raise typer.Exit(verbs.decide("approve", command, digest, note, as_json=as_json))


@app.command()
def reject(command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Reject a waiting command."""
    raise typer.Exit(verbs.decide("reject", command, digest, note, as_json=as_json))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def narrow(
    context: typer.Context, command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False
) -> None:
    """Replace a waiting command by a narrower one: changed arguments follow as --name value."""
    raise typer.Exit(verbs.narrow(command, digest, note, verbs.pairs(context.args), as_json=as_json))


@app.command()
def freeze(
    tenant: str,
    *,
    hours: Annotated[float, typer.Option(help="How long.")] = 1.0,
    environment: str = "*",
    reason: Annotated[str, typer.Option(help="Why.")] = "change freeze",
    as_json: JsonFlag = False,
) -> None:
    """Stop unattended changes of a tenant for a while."""
    verbs.freeze(tenant, environment, hours, reason, as_json=as_json)


@app.command()
def kill(  # the options of one verb
    scope: Annotated[str, typer.Argument(help="global, tenant, agent, kind or command.")] = "global",
    value: Annotated[str, typer.Argument(help="Which one; * for all.")] = "*",
    *,
    release: Annotated[bool, typer.Option("--release", help="Let effects start again.")] = False,
    stop_undos: Annotated[bool, typer.Option("--stop-undos", help="Running undos stop too.")] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "stopped by hand",
    as_json: JsonFlag = False,
) -> None:
    """Stop new effects at once and list what is in flight."""
    verbs.kill(scope, value, release=release, stop_undos=stop_undos, reason=reason, as_json=as_json)


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(help="One schema; all names without it.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Write every schema into this folder.")] = None,
) -> None:
    """Print or export the published JSON Schemas."""
    raise typer.Exit(verbs.schema(name, out))


@app.command()
def doctor(*, as_json: JsonFlag = False) -> None:
    """Say what is configured, what answers, and what is not built yet."""
    raise typer.Exit(worlds.doctor(as_json=as_json))


@audit.command("verify")
def audit_verify(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """Check every chain against its checkpoints and the anchor outside the database."""
    raise typer.Exit(verbs.audit_verify(tenant, as_json=as_json))


@index.command("rebuild")
def index_rebuild(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """Rebuild the knowledge index from the log, while no server runs."""
    raise typer.Exit(worlds.index_rebuild(tenant, as_json=as_json))


@principal.command("add")
def principal_add(
    name: str,
    *,
    kind: Annotated[str, typer.Option(help="person, service, agent or source.")] = "person",
    role: Annotated[list[str], typer.Option(help=ROLES)],
    as_json: JsonFlag = False,
) -> None:
    """Add an identity and print its token once."""
    raise typer.Exit(verbs.principal_add(name, kind, role, as_json=as_json))


@cost.command("allocate")
def cost_allocate(
    files: Annotated[list[Path], typer.Argument(help="FOCUS, AWS CUR 2.0 or Azure cost details as CSV, oldest first.")],
    *,
    by: Annotated[Literal["tenant", "environment", "service"], typer.Option(help="Who bears it.")] = "tenant",
    tag: Annotated[str | None, typer.Option(help="Tag that names them; its name is as --by without this.")] = None,
    basis: Annotated[
        Literal["billed", "effective"], typer.Option("--cost", help="As invoiced, or with commitments spread out.")
    ] = "billed",
    as_json: JsonFlag = False,
) -> None:
    """Split bills to the cent; what is shared, idle, untagged, restated or unreadable is told. Exit 1 on bad lines."""
    raise typer.Exit(costs.allocate(files, tag or by, basis, as_json=as_json))


@replay.command("petshop")
def replay_petshop(folder: Path, *, case: Case = None, as_json: JsonFlag = False) -> None:
    """Run PetShop telemetry (graph.csv, noissue/, train/, test/) through the loop."""
    raise typer.Exit(replays.replay("petshop", folder, case, as_json=as_json))


@replay.command("nezha")
def replay_nezha(archive: Path, *, case: Case = None, as_json: JsonFlag = False) -> None:
    """Run the metrics, logs and traces of a Nezha day (DAY.tar.xz) through the loop."""
    raise typer.Exit(replays.replay("nezha", archive, case, as_json=as_json))


@evals.command("dataset")
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


@evals.command("datasets")
def evals_datasets(
    root: Annotated[Path, typer.Argument(help="Folder that holds the data sets.")],
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this data set; repeat for several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score every data set below a folder; exit 1 when one is missing or misses a target."""
    raise typer.Exit(datasets.card(root, only or (), as_json=as_json))


@evals.command("run")
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


@evals.command("guard")
def evals_guard(*, as_json: JsonFlag = False) -> None:
    """Run the small suite and hold it against the committed figures; exit 1 when one fell."""
    raise typer.Exit(suites.guard(as_json=as_json))


@evals.command("sabotage")
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


@evals.command("scenarios")
def evals_scenarios(
    *, suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None, as_json: JsonFlag = False
) -> None:
    """List the scenarios: what happens, whose domain it is, what a good ending is."""
    suites.scenarios(suite, as_json=as_json)


@evals.command("capture")
def evals_capture(
    incident: Annotated[str, typer.Argument(help="Incident id.")],
    *,
    fault: Annotated[str | None, typer.Option(help="What it really was, where the diagnosis does not say.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Turn a recorded incident into a scenario without its names."""
    suites.capture(incident, fault, out)


@evals.command("compare")
def evals_compare(before: Path, after: Path, *, as_json: JsonFlag = False) -> None:
    """Say what got better and worse between two results files; exit 1 when a figure is worse beyond noise."""
    raise typer.Exit(suites.compare(before, after, as_json=as_json))


def run() -> None:
    """Entry point: errors become one clear line and an exit code, never a traceback."""
    from domain.errors import OpsmeshError

    try:
        app()
    except OpsmeshError as error:
        sys.stderr.write(f"opsmesh: {render.plain(str(error))}\n")
        sys.exit(2 if error.status < 500 else 1)
