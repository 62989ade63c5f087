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


WANTS = (
    ("pause", "Leave the split as it is until somebody resumes."),
    ("resume", "Go on with the steps; after an abort, begin again."),
    ("abort", "Let the former version serve all, also after the release has finished."),
    ("promote", "Let the candidate serve all now."),
)
"""What a person may want of a release: each verb proposes the command kind `release.VERB`."""


def _add(verb: str, says: str) -> None:
    @group.command(verb, help=says)
    def wanted(
        service: Service,
        *,
        tenant: Owner,
        environment: Where = "prod",
        rationale: Why = None,
        as_json: JsonFlag = False,
    ) -> None:
        releases.want(f"release.{verb}", service, tenant, environment, rationale, as_json=as_json)


for _verb, _says in WANTS:
    _add(_verb, _says)
