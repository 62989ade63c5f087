"""`opsmesh cost`: whom the bill belongs to."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import costs
from cli.options import JsonFlag

group = typer.Typer(help="Whom the bill belongs to.", no_args_is_help=True)


@group.command("allocate")
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
