"""`opsmesh release`: how releases go, and what people want of them."""

from typing import Annotated

import typer

from cli import releases
from cli.options import JsonFlag

group = typer.Typer(help="Releases that move step by step: watch, hold, take back.", no_args_is_help=True)
Service = Annotated[str, typer.Argument(help="Service whose release it is.")]
Owner = Annotated[str, typer.Option("--tenant", help="Tenant that owns the service.")]
Where = Annotated[str, typer.Option(help="Environment.")]
Why = Annotated[str | None, typer.Option(help="Why.")]


@group.command("show")
def release_show(
    *,
    environment: Where = "prod",
    tenant: Annotated[str | None, typer.Option(help="Tenant; the platform's view without it.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show every release: phase, step, share written and observed, what the judge said last."""
    releases.show(environment, tenant, as_json=as_json)


@group.command("pause")
def release_pause(
    service: Service, *, tenant: Owner, environment: Where = "prod", rationale: Why = None, as_json: JsonFlag = False
) -> None:
    """Leave the split as it is until somebody resumes."""
    releases.want("release.pause", service, tenant, environment, rationale, as_json=as_json)


@group.command("resume")
def release_resume(
    service: Service, *, tenant: Owner, environment: Where = "prod", rationale: Why = None, as_json: JsonFlag = False
) -> None:
    """Go on with the steps; after an abort, begin again."""
    releases.want("release.resume", service, tenant, environment, rationale, as_json=as_json)


@group.command("abort")
def release_abort(
    service: Service, *, tenant: Owner, environment: Where = "prod", rationale: Why = None, as_json: JsonFlag = False
) -> None:
    """Let the former version serve all, also after the release has finished."""
    releases.want("release.abort", service, tenant, environment, rationale, as_json=as_json)


@group.command("promote")
def release_promote(
    service: Service, *, tenant: Owner, environment: Where = "prod", rationale: Why = None, as_json: JsonFlag = False
) -> None:
    """Let the candidate serve all now."""
    releases.want("release.promote", service, tenant, environment, rationale, as_json=as_json)
