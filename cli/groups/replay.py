"""`opsmesh replay`: run recorded telemetry through the loop, up to the approval queue."""

from pathlib import Path

import typer

from cli import replays
from cli.options import Case, JsonFlag

group = typer.Typer(help="Run recorded telemetry through the loop, up to the approval queue.", no_args_is_help=True)


@group.command("petshop")
def replay_petshop(folder: Path, *, case: Case = None, as_json: JsonFlag = False) -> None:
    """Run PetShop telemetry (graph.csv, noissue/, train/, test/) through the loop."""
    raise typer.Exit(replays.replay("petshop", folder, case, as_json=as_json))


@group.command("nezha")
def replay_nezha(archive: Path, *, case: Case = None, as_json: JsonFlag = False) -> None:
    """Run the metrics, logs and traces of a Nezha day (DAY.tar.xz) through the loop."""
    raise typer.Exit(replays.replay("nezha", archive, case, as_json=as_json))
