"""Who runs an experiment is killed in the middle: how long does its fault outlive it?

The fault is real: a proxy on loopback holds answers back by what a table on disk says, in a process that nobody kills.
The experiment runs in a process of its own, which gets SIGKILL (or SIGSTOP: alive, and silent). What takes the fault
back is its restart, or a watch in a third process. Times are measured from outside, by asking through the proxy.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import JsonValue

from domain.base import Frozen
from domain.desired import EnvironmentState
from domain.evidence import MetricSeries
from domain.ids import EnvironmentId, EvidenceId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.topology import RuntimeService, Topology
from mesh.time import OsEntropy, SystemClock, UlidIds
from runtime.documents import Place
from runtime.injection.proxy import DelayProxy, ProxyFaults
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.services.chaos.consent import Consent, ConsentWindow
from runtime.services.chaos.experiment import read_experiment
from runtime.services.chaos.leases import Lease, LeaseBook
from runtime.services.chaos.records import CONSENTS, EXPERIMENTS, THE, StoredExperiment
from runtime.services.chaos.reverting import Reverter
from runtime.services.chaos.running import Runner
from runtime.targets.memory import MemoryTarget
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

LEASE_S = 2
SLOW_S, QUICK_S = 0.15, 0.05
"""The delay is 275 ms; a round trip on loopback takes under one."""
LOOK_S = 0.1
PATIENCE_S = 30.0
TARGET, NAME = "service/echo", "echo"
ENVIRONMENT, TENANT = EnvironmentId("prod"), TenantId("acme")
Ending = Literal["restart", "watch"]


class Outlived(Frozen):
    """How long the fault lasted after the signal, and after somebody was there to take it back; None: it stayed."""

    after_signal_s: float | None
    after_help_s: float | None


class Unwritten(LeaseBook):
    """The planted break: leases that are only in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._known: dict[str, Lease] = {}

    def open(self, lease: Lease, at: object) -> None:
        """Remember the lease."""
        del at
        self._known[lease.handle] = lease

    def renew(self, handle: str, until: datetime, at: object) -> bool:
        """Remember it for longer."""
        del at
        lease = self._known.get(handle)
        if lease is not None:
            self._known[handle] = lease.model_copy(update={"until": until})
        return lease is not None

    def find(self, handle: str) -> Lease | None:
        """Return what is remembered."""
        return self._known.get(handle)

    def all(self) -> tuple[Lease, ...]:
        """Return what is remembered."""
        return tuple(self._known.values())


class _Echo(MemoryTarget):
    """One service whose figures are always well: it is the way to it that hurts."""

    async def series(
        self, environment: EnvironmentId, entities: object, start: object, end: object
    ) -> tuple[MetricSeries, ...]:
        del environment, entities, start, end
        at = SystemClock().now() - timedelta(seconds=60)
        return (
            MetricSeries(
                evidence=EvidenceId("e"), entity=TARGET, metric="error_rate", kind="errors", start=at, step_s=60,
                values=(0.0,),
            ),
        )  # fmt: skip


class _Silence:
    def tell(self, tenant: TenantId, event: object) -> None:
        """Tell nobody."""


def _document() -> JsonValue:
    probe: JsonValue = {
        "type": "probe", "name": "well", "tolerance": [0, 0.01],
        "provider": {"type": "opsmesh.metric", "entity": TARGET, "metric": "error_rate"},
    }  # fmt: skip
    action: JsonValue = {
        "type": "action", "name": "slow", "pauses": {"after": 600},
        "provider": {"type": "opsmesh.fault", "fault": "network_delay", "target": TARGET, "lease_s": LEASE_S},
    }  # fmt: skip
    return {
        "title": "A slow way", "description": "Held until somebody dies.",
        "steady-state-hypothesis": {"title": "well", "probes": [probe]}, "method": [action],
    }  # fmt: skip


def _runner(folder: Path, book: LeaseBook) -> Runner:
    echo = RuntimeService(
        id=NAME, tenant=TENANT, environment=ENVIRONMENT, compute_target="loopback", owner_team="echo-team"
    )
    clock = SystemClock()
    faults = ProxyFaults(folder / "delays.db", frozenset({TARGET}))
    parts = RuntimeParts(
        database=Database(f"sqlite:///{folder / 'runtime.db'}"), clock=clock, ids=UlidIds(clock), entropy=OsEntropy(),
        target=_Echo(Topology(environment=ENVIRONMENT, services=(echo,)), EnvironmentState()),
        planes=Planes(faults=faults), home=folder, tell=_Silence(),
    )  # fmt: skip
    create_runtime_tables(parts.database.engine)
    place = Place(environment=ENVIRONMENT, tenant=TENANT)
    window = ConsentWindow(from_hour_utc=0, to_hour_utc=24)
    agreed = Consent(faults=("network_delay",), services=("*",), windows=(window,), max_share=1.0)
    stored = StoredExperiment(document=read_experiment(_document()).document, by=PrincipalId("eval"))
    with parts.database.begin() as connection:
        CONSENTS.put(connection, place, THE, agreed, at=clock.now())
        EXPERIMENTS.put(connection, place, NAME, stored, at=clock.now())
    return Runner(parts, Reverter(faults, book, clock, _Silence()), None)


async def _live(role: str, folder: Path, *, planted: bool) -> None:
    """Run the experiment, or only watch its leases, until killed."""
    book = (Unwritten if planted else LeaseBook)(folder / "leases")
    runner = _runner(folder, book)
    record = OperationRecord(
        id="op-1", tenant=TENANT, environment=ENVIRONMENT, idempotency_key="k", kind="chaos.run",
        target=f"experiment/{NAME}", arguments={"experiment": NAME}, actor=PrincipalId("eval"),
        accepted_at=SystemClock().now(), progress=Progress(status="accepted", fraction=0.0),
    )  # fmt: skip
    sys.stdout.write("up\n")
    sys.stdout.flush()
    while True:
        if role == "run":
            await runner.step(record)
        await runner.reverter.turn()
        await asyncio.sleep(LOOK_S)


@dataclass(slots=True)
class _Site:
    """The echo behind its proxy, and the processes around it."""

    folder: Path
    planted: bool
    port: int = 0
    children: list[Process] = field(default_factory=list[Process])

    async def spawn(self, role: str) -> Process:
        """Start a process and wait until it is up."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "evals.chaos_kill", role, str(self.folder), str(int(self.planted)), stdout=PIPE,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        self.children.append(child)
        if child.stdout is not None:
            await asyncio.wait_for(child.stdout.readline(), PATIENCE_S)
        return child

    async def round_trip_s(self) -> float:
        """Ask through the proxy."""
        began = perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"?")
        await reader.readexactly(1)
        writer.close()
        await writer.wait_closed()
        return perf_counter() - began

    async def until(self, *, slow: bool, within_s: float) -> float | None:
        """Ask until answers are slow, or quick; return the instant, None where it does not come."""
        end = perf_counter() + within_s
        while perf_counter() < end:
            took = await self.round_trip_s()
            if took >= SLOW_S if slow else took <= QUICK_S:
                return perf_counter()
            await asyncio.sleep(0.02)
        return None

    async def end(self) -> None:
        """End what was started here."""
        for child in self.children:
            if child.returncode is None:
                os.kill(child.pid, signal.SIGKILL)
            await child.wait()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64):
        writer.write(data)
        await writer.drain()
    writer.close()


async def outlived(
    folder: Path, *, helped_by: Ending = "restart", signalled: signal.Signals = signal.SIGKILL, planted: bool = False
) -> Outlived:
    """Run an experiment, end or freeze its process while its fault is felt, and measure until the fault is not."""
    upstream = await asyncio.start_server(_echo, "127.0.0.1", 0)
    proxy = DelayProxy(folder / "delays.db", TARGET, int(upstream.sockets[0].getsockname()[1]))
    site = _Site(folder, planted)
    try:
        site.port = await proxy.start()
        if helped_by == "watch":
            await site.spawn("watch")
        runner = await site.spawn("run")
        if await site.until(slow=True, within_s=PATIENCE_S) is None:
            return Outlived(after_signal_s=None, after_help_s=None)
        await asyncio.sleep(LEASE_S + 1.0)
        if await site.until(slow=True, within_s=1.0) is None:  # renewed by whoever runs it: it must still be felt
            return Outlived(after_signal_s=None, after_help_s=None)
        os.kill(runner.pid, signalled)
        killed = helped = perf_counter()
        if helped_by == "restart":
            await runner.wait()
            await site.spawn("run")
            helped = perf_counter()
        gone = await site.until(slow=False, within_s=LEASE_S + 3.0)
        if gone is None:
            return Outlived(after_signal_s=None, after_help_s=None)
        return Outlived(after_signal_s=gone - killed, after_help_s=max(0.0, gone - helped))
    finally:
        await site.end()
        await proxy.close()
        upstream.close()
        await upstream.wait_closed()


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1], Path(sys.argv[2]), planted=sys.argv[3] == "1"))
