"""`opsmesh cost`: what runs costs, and whom the bill belongs to."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import costs
from cli.options import JsonFlag

group = typer.Typer(help="What runs costs, and whom the bill belongs to.", no_args_is_help=True)


@group.command("show")
def cost_show(
    environment: Annotated[str, typer.Argument(help="Environment.")],
    *,
    by: Annotated[
        Literal["tenant", "environment", "service", "region", "sku", "node_pool", "category"],
        typer.Option(help="Dimension of the rows."),
    ] = "service",
    window: Annotated[Literal["hour", "day", "week", "month"], typer.Option(help="How far back.")] = "day",
    tenant: Annotated[str | None, typer.Option(help="Tenant whose part is shown; the whole for the platform.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what an environment costs, what the month will come to, what is unusual, and what could be saved."""
    costs.show(environment, by, window, tenant, as_json=as_json)


@group.command("ingest")
def cost_ingest(
    files: Annotated[list[Path], typer.Argument(help="FOCUS, AWS CUR 2.0 or Azure cost details, CSV or Parquet.")],
    *,
    environment: Annotated[str, typer.Option(help="Environment they are bills of.")],
    as_json: JsonFlag = False,
) -> None:
    """Deliver bills to the runtime of this state folder: its next turn takes them in, restated charges replace."""
    raise typer.Exit(costs.ingest(files, environment, as_json=as_json))


@group.command("allocate")
def cost_allocate(
    files: Annotated[list[Path], typer.Argument(help="FOCUS, AWS CUR 2.0 or Azure cost details, CSV or Parquet.")],
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
