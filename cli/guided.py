"""The demo with a person at the keyboard: the loop asks, the person approves or rejects through the same API."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from rich.prompt import Confirm

from cli import render
from mesh.guide import Guide, open_guide
from mesh.stages import Watcher

_WINDOW = timedelta(minutes=90)


async def guided(fault: str, seed: int, watcher: Watcher) -> int:
    """Play one fault and ask at each approval. Exit 0 when the world is well in the end."""
    with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
        guide = await open_guide(Path(folder), fault, seed, watcher)
        try:
            return await _play(guide)
        finally:
            await guide.close()


async def _play(guide: Guide) -> int:
    await guide.run_until_asked(_WINDOW)
    while (command := guide.waiting()) is not None:
        question = f"Approve {command.command.kind} on {command.command.target.address}?"
        approve = await asyncio.to_thread(Confirm.ask, question, console=render.console, default=False)
        answer = await guide.answer(command, approve=approve)
        render.console.print(f"{answer.state}: {answer.message}", markup=False)
        await guide.run_until_asked(_WINDOW)
    well = guide.world_is_well()
    render.console.print(
        "The world is well again." if well else "The world is not well: a person has the ticket or page."
    )
    return 0 if well else 1
