"""A runtime over data stores in files that a process of its own works on until it is killed in the middle.

Run as a program it takes a point or restores from one and kills itself (SIGKILL) at the named place; whoever opens the
same folder afterwards comes next.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from mesh.time import VirtualClock
from runtime.planes import Planes
from runtime.services.backup import in_place, vault
from runtime.services.backup.points import Points
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World
from runtime.stores import files
from runtime.stores.simulated import SimulatedStores
from runtime.targets.simulated import SimulatedTarget
from tests.support.backup_bench import BackupBench
from tests.support.runtime_bench import make_bench

ACME = "acme-retail"
KILLS = {
    # (what is called, its how manieth call, before or after it)
    "point begun": (Points, "begin", 1, "after"),
    "archive half written": (os, "fsync", 1, "before"),
    "archive sealed, manifest not": (vault.Vault, "store", 1, "after"),
    "manifest of one store of two": (Points, "advance", 1, "after"),
    "held": (SimulatedStores, "hold", 1, "after"),
    "what stood there half kept": (Points, "advance", 1, "after"),
    "within the transaction": (files, "digest_of_rows", 2, "before"),
    "one store of two replaced": (SimulatedStores, "replace", 1, "after"),
    "both replaced, nobody forgotten": (in_place.InPlace, "_forgotten", 1, "before"),
    "forgotten, still held": (SimulatedStores, "release", 1, "before"),
}


class OnFiles(BackupBench):
    """The place over the demo world."""

    def live(self, **span):
        self.world.elapsed_s += timedelta(**span).total_seconds()
        self.bench.clock.move_to(self.world.now)


async def on_files(folder: Path, hours: float) -> OnFiles:
    world = World(demo_world().model_copy(update={"retention_steps": 60}), 3)
    world.elapsed_s += hours * 3600
    plane = SimulatedStores(world, folder / "stores")
    bench = await make_bench(
        folder, lambda _: SimulatedTarget(world), world.spec.tenants, clock=VirtualClock(world.now),
        planes=Planes(stores=plane),
    )  # fmt: skip
    place = OnFiles(bench, plane)
    place.world = world
    return place


def killed_at(owner, name, count, when):
    """Let the process be killed at a call; the count begins now."""
    call, calls = getattr(owner, name), []

    def counted():
        calls.append(name)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    async def waited(*args, **kwargs):
        if when == "before":
            counted()
        found = await call(*args, **kwargs)
        if when == "after":
            counted()
        return found

    def called(*args, **kwargs):
        if when == "before":
            counted()
        found = call(*args, **kwargs)
        if when == "after":
            counted()
        return found

    setattr(owner, name, waited if asyncio.iscoroutinefunction(call) else called)


async def work(folder: Path, kind: str, kill: str) -> None:
    place = await on_files(folder, 5)
    if kind == "restore_point.create":
        killed_at(*KILLS[kill])
        await place.granted(kind, ACME)
        return
    point = await place.point(ACME)
    place.live(hours=1)
    subject = min((await place.contents(ACME))["orders-db"]["profiles"])
    await place.memory.erase(ACME, subject)
    operation = await place.granted(kind, ACME, restore_point=point.id)
    while not (await place.seen(operation, ACME))["progress"]["result"].get("agreed"):
        await place.bench.services.convergence.reconcile()
    killed_at(*KILLS[kill])
    await place.bench.services.convergence.reconcile()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
