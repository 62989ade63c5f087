"""`opsmesh principal`: people, services, agents and event sources."""

from typing import Annotated

import typer

from cli import verbs
from cli.options import ROLES, JsonFlag

group = typer.Typer(help="People, services, agents and event sources.", no_args_is_help=True)


@group.command("add")
def principal_add(
    name: str,
    *,
    kind: Annotated[str, typer.Option(help="person, service, agent or source.")] = "person",
    role: Annotated[list[str], typer.Option(help=ROLES)],
    as_json: JsonFlag = False,
) -> None:
    """Add an identity and print its token once."""
    raise typer.Exit(verbs.principal_add(name, kind, role, as_json=as_json))
