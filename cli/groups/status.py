"""`opsmesh status`: each sentence of the roadmap, what it asserts, and whether that is so."""

from typing import Annotated

import typer

from cli.options import JsonFlag

group = typer.Typer(help="Show each sentence of the roadmap working, or what is missing.", invoke_without_command=True)


@group.callback()
def status(
    *,
    row: Annotated[list[str] | None, typer.Option(help="Only this row of the page; repeat for several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run what each row is shown by; exit 1 where the page says otherwise than what was found."""
    from cli.status import status_of

    raise typer.Exit(status_of(row or (), as_json=as_json))
