"""Verbs that run a world or a store of their own: demo, up, ingest, index rebuild, doctor."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import JsonValue

from cli import render
from cli.progress import ProgressBar
from domain.errors import Invalid, NotFound

if TYPE_CHECKING:
    from evals.closed_loop import Episode
    from mesh.settings import Settings


def demo(fault: str, *, auto: bool, seed: int, controls: bool, as_json: bool) -> int:
    """Play one fault, with its controls, and say whether each ended as it should. Exit 1 when one did not."""
    from evals.closed_loop import CONTROLS, fault_endings, play
    from mesh.stages import Watcher, nobody

    endings = fault_endings()
    if fault == "list":
        for name, ending in endings.items():
            render.console.print(f"{name:<24}{ending}", markup=False)
        return 0
    if fault not in endings:
        raise NotFound(f"no such fault: {fault}; there are {', '.join(endings)}", reason="fault_unknown")
    watcher: Watcher = nobody
    if not as_json:
        from cli.live import LiveView

        watcher = LiveView(render.console)
        render.console.print(f"[bold]A simulated world, seed {seed}: {fault} will happen ten minutes from now.[/]")
    if not auto:
        from cli.guided import guided

        return asyncio.run(guided(fault, seed, watcher))
    episodes: list[Episode] = []
    for control in CONTROLS if controls else CONTROLS[:1]:
        with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
            seen = watcher if control == "normal" else nobody
            episodes.append(asyncio.run(play(fault, seed, control, home=Path(folder), watcher=seen)))
            if not as_json:
                _sum_up(episodes[-1])
    good = all(episode.as_expected for episode in episodes)
    if as_json:
        rows: list[JsonValue] = [episode.model_dump(mode="json") for episode in episodes]
        render.as_json({"fault": fault, "seed": seed, "ok": good, "episodes": rows})
    return 0 if good else 1


def _sum_up(episode: "Episode") -> None:
    mark = "[green]as it should[/]" if episode.as_expected else "[red]NOT as it should[/]"
    render.console.print(
        f"[bold]{episode.control.replace('_', ' ')}[/]: ended {episode.ending}, expected {episode.expected}: {mark} "
        f"({episode.why}; {episode.slo_minutes_lost:.0f} SLO minutes lost)"
    )


def up(*, port: int | None, speed: float, seed: int, fault: str | None) -> int:
    """Serve until interrupted."""
    from mesh.settings import read_settings

    settings = read_settings()
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    return asyncio.run(_serve(settings, speed, seed, fault))


async def _serve(settings: "Settings", speed: float, seed: int, fault: str | None) -> int:
    from mesh.local import drawn_fault, keep_record, open_local
    from mesh.lock import exclusive
    from mesh.remote import TOKEN_FILE
    from mesh.serving import Server

    settings.ensure_home()
    with exclusive(settings.home):
        render.console.print("warming the embedded world up...")
        simulated = await open_local(settings, seed=seed)
        address = f"http://{settings.host}:{settings.port}"
        render.console.print(
            f"listening on {address}; token in {settings.home / TOKEN_FILE}; stop with Ctrl-C", soft_wrap=True
        )
        try:
            await Server(simulated, settings, speed, drawn_fault(simulated, fault, seed) if fault else None).run()
        finally:
            keep_record(settings, simulated)
        await simulated.mesh.close()
    return 0


def ingest(source: str, *, tenant: str, as_json: bool) -> int:
    """Take JSON lines into the local store, with a progress bar when a person looks on. Exit 1 when any was refused."""
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer
        total = None
        if source != "-":
            path = Path(source)
            if not path.is_file():
                raise Invalid(f"no such file: {source}", reason="no_file")
            stream, total = stack.enter_context(path.open("rb")), path.stat().st_size
        told = stack.enter_context(ProgressBar(total, quiet=as_json))
        counts = asyncio.run(_ingest(stream, tenant, told))
    if as_json:
        render.as_json(counts)
    else:
        render.console.print(", ".join(f"{name} {count}" for name, count in counts.items()), markup=False)
    return 1 if counts["quarantined"] else 0


async def _ingest(stream: BinaryIO, tenant: str, told: Callable[[int], None]) -> dict[str, JsonValue]:
    from mesh.local import ingest_file
    from mesh.settings import read_settings

    return await ingest_file(read_settings(), stream, tenant, told)


def index_rebuild(tenant: str | None, *, as_json: bool) -> int:
    """Build the knowledge index anew from the store."""
    from mesh.local import rebuild_index
    from mesh.settings import read_settings

    counts = asyncio.run(rebuild_index(read_settings(), tenant))
    if as_json:
        render.as_json(dict(counts))
    else:
        for name, documents in counts.items():
            render.console.print(f"{name}: {documents} documents", markup=False)
    return 0


def doctor(*, as_json: bool) -> int:
    """Say what is configured, what answers, and which command kinds have no tool yet."""
    from mesh.doctor import checkup
    from mesh.settings import read_settings

    rows = checkup(read_settings())
    if as_json:
        render.as_json([row.model_dump(mode="json") for row in rows])
    else:
        render.facts([(row.state, row.part, row.detail) for row in rows])
    return 1 if any(row.state == "broken" for row in rows) else 0
