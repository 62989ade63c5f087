"""`opsmesh audit`: the tamper-evident record."""

import typer

from cli import verbs
from cli.options import JsonFlag, Tenant

group = typer.Typer(help="The tamper-evident record.", no_args_is_help=True)


@group.command("verify")
def audit_verify(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """Check every chain against its checkpoints and the anchor outside the database."""
    raise typer.Exit(verbs.audit_verify(tenant, as_json=as_json))
