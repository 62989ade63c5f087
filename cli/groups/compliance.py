"""`opsmesh compliance`: which controls an environment meets, and what is waived."""

from typing import Annotated

import typer

from cli import compliance
from cli.options import JsonFlag

group = typer.Typer(help="Which controls an environment meets, and what is waived.", no_args_is_help=True)


@group.command("show")
def compliance_show(
    environment: Annotated[str, typer.Argument(help="Environment.")],
    *,
    oscal: Annotated[bool, typer.Option("--oscal", help="Print OSCAL assessment results instead.")] = False,
    tenant: Annotated[str | None, typer.Option(help="Tenant whose part is judged; all for the platform.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show each control's verdict on what shall be and what is, with what fails and what is waived. Exit 1 if red."""
    raise typer.Exit(compliance.show(environment, tenant, oscal=oscal, as_json=as_json))
