"""`opsmesh chaos`: faults on purpose, under consent."""

from pathlib import Path
from typing import Annotated

import typer

from cli import chaos, verbs
from cli.options import JsonFlag

group = typer.Typer(help="Experiments: faults on purpose, under consent, taken back.", no_args_is_help=True)
Experiment = Annotated[str, typer.Argument(help="Name of an experiment, or a .json file.")]
OfTenant = Annotated[str, typer.Option("--tenant", help="Tenant.")]
Environment = Annotated[str, typer.Option(help="Environment.")]
FREE = {"allow_extra_args": True, "ignore_unknown_options": True}


@group.command("list")
def chaos_list(*, tenant: OfTenant, environment: Environment = "prod", as_json: JsonFlag = False) -> None:
    """List a tenant's experiments and those that ship."""
    chaos.listed(tenant, environment, as_json=as_json)


@group.command("show")
def chaos_show(
    experiment: Experiment, *, tenant: OfTenant, environment: Environment = "prod", as_json: JsonFlag = False
) -> None:
    """Show an experiment as a document."""
    chaos.show(experiment, tenant, environment, as_json=as_json)


@group.command("run", context_settings=FREE)
def chaos_run(
    context: typer.Context,
    experiment: Experiment,
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show whom it reaches, propose nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Propose to run an experiment; --KEY VALUE fills in the configuration of one that ships."""
    configuration = {key: str(value) for key, value in verbs.pairs(context.args).items()}
    chaos.run(experiment, tenant, environment, configuration, dry_run=dry_run, as_json=as_json)


@group.command("stop")
def chaos_stop(
    *,
    tenant: OfTenant = "platform",
    environment: Environment = "prod",
    reason: Annotated[str, typer.Option(help="Why.")] = "stopped by hand",
    lift: Annotated[bool, typer.Option("--lift", help="Allow experiments again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Stop all experiments and take every fault back, now. Exit 1 when one is still there."""
    raise typer.Exit(chaos.stop(tenant, environment, reason, lift=lift, as_json=as_json))


@group.command("consent")
def chaos_consent(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON of a consent.")],
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    as_json: JsonFlag = False,
) -> None:
    """Say which faults a tenant agrees to, in place of what it agreed to before."""
    chaos.consent(file, tenant, environment, as_json=as_json)


@group.command("journal")
def chaos_journal(
    experiment: Experiment,
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    run: Annotated[str | None, typer.Option(help="Id of the run; the newest without it.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what happened; --json is the Chaos Toolkit's journal."""
    chaos.journal(experiment, tenant, environment, run, as_json=as_json)
