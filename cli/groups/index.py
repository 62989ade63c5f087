"""`opsmesh index`: the knowledge index."""

import typer

from cli import worlds
from cli.options import JsonFlag, Tenant

group = typer.Typer(help="The knowledge index.", no_args_is_help=True)


@group.command("rebuild")
def index_rebuild(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """Rebuild the knowledge index from the log, while no server runs."""
    raise typer.Exit(worlds.index_rebuild(tenant, as_json=as_json))
