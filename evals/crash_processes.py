"""The processes of one crash case: the mesh over file stores, the runtime behind HTTP, and the compute target's host.

All are forked, so that a case costs no imports. Time is one number in shared memory. Whoever is armed ends itself by
SIGKILL at its point: nothing is flushed, closed or said.
"""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import cast

import httpx

from domain.changes import Patch
from domain.command_kinds import CommandKind
from domain.commands import TERMINAL, CommandRecord, Proposal, State
from domain.crash_points import POINTS
from domain.desired import EnvironmentState
from domain.errors import Unauthenticated, Unavailable
from domain.events import IncomingEvent
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId, TenantId
from domain.plans import PlanWindow
from domain.principals import Principal
from domain.topology import Topology
from evals.crash_cases import APPROVER, ENVIRONMENT, KEY, NARROWER, PROPOSER, TENANT, Kill, Script, proposal_of
from governance.ballots import Answer
from grounding.vectors import MemoryVectors
from mesh.composition import Mesh, Parts, compose
from mesh.elsewhere import RemoteRuntime, serve_on
from mesh.execution import Executor
from mesh.internal import MESH
from mesh.telemetry import in_memory
from mesh.time import OsEntropy, UlidIds
from runtime.api.app import build_runtime_app
from runtime.assembly import runtime_services
from runtime.engine.embedded import EmbeddedEngine
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from storage.engine import Database
from storage.outbox import StoredEvent, first_time

TOKEN = "crash-harness"  # noqa: S105  # opens nothing outside the case's own loopback port
ROUND_S, LONG_ROUND_S = 50, 3600
"""Shorter than a grant lives (60 s), so that an unused one must be waited out; the long one until nobody answers."""
ROUNDS = 60
"""Rounds until a case counts as stuck: twice what an undo with its hold window and two ended leases takes."""
DELIVERED = "delivered.jsonl"
Advance = Callable[[int], None]
MakeExecutor = Callable[[Executor], Executor]


class SharedClock:
    """One instant for every process of a case, in microseconds since the epoch."""

    def __init__(self, micros: "Synchronized[int]") -> None:
        self._micros = micros

    def now(self) -> datetime:
        """Return the shared instant."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self._micros.value)

    def move_to(self, instant: datetime) -> None:
        """Advance; an earlier instant is ignored."""
        at = (instant - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
        self._micros.value = max(self._micros.value, at)


@dataclass(slots=True)
class KillAt:
    """Ends its process at the n-th passing of one point."""

    kill: Kill | None
    passed: int = 0

    def reach(self, point: str, **context: str) -> None:
        """Die here, or pass on. KeyError for a point outside the catalogue."""
        del context
        if point not in POINTS:
            raise KeyError(point)
        if self.kill is not None and point == self.kill.point:
            self.passed += 1
            if self.passed == self.kill.nth:
                os.kill(os.getpid(), signal.SIGKILL)


class TargetProxy:
    """The compute target in the host's process, by one pipe: it outlives whoever asks."""

    def __init__(self, pipe: "Connection[object, object]") -> None:
        self._pipe = pipe

    async def apply(self, environment: EnvironmentId, state: EnvironmentState, *, key: str) -> None:
        """Make the state live."""
        self._ask("apply", environment, state, key=key)

    async def restart(self, environment: EnvironmentId, service: str, *, key: str) -> None:
        """Restart a service."""
        self._ask("restart", environment, service, key=key)

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return what runs."""
        return cast("EnvironmentState", self._ask("live", environment))

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the topology."""
        return cast("Topology", self._ask("topology", environment))

    async def drain(self, environment: EnvironmentId) -> Sequence[tuple[str, Patch]]:
        """Return what others wrote."""
        return cast("Sequence[tuple[str, Patch]]", self._ask("drain", environment))

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return series."""
        return cast("tuple[MetricSeries, ...]", self._ask("series", environment, tuple(entities), start, end))

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return changes."""
        return cast("tuple[ChangeRecord, ...]", self._ask("changes", environment, start, end))

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns."""
        return cast("tuple[LogPattern, ...]", self._ask("logs", environment, start, split, end))

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics."""
        return cast("tuple[SpanStats, ...]", self._ask("spans", environment, start, split, end))

    def _ask(self, name: str, *arguments: object, **named: object) -> object:
        try:
            self._pipe.send((name, arguments, named))
            good, answer = cast("tuple[bool, object]", self._pipe.recv())
        except (OSError, EOFError) as error:
            raise Unavailable("the compute target is gone", reason="target_gone") from error
        if not good:
            raise Unavailable(str(answer), reason="target_refused")
        return answer


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a case keeps everything."""

    home: Path
    url: str
    runtime_url: str


class _OneToken:
    def authenticate(self, token: str) -> Principal:
        """Return the mesh's identity for the case's token."""
        if token != TOKEN:
            raise Unauthenticated("the token does not count", reason="unauthenticated")
        return MESH


class _NothingTold:
    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Forget it: no loop runs here that tells anything."""


class _NoProposals:
    async def propose(self, proposal: Proposal, *, idempotency_key: str) -> str:
        """Refuse: nobody writes without a grant here."""
        raise Unavailable("proposals are not taken here", reason="no_proposals")

    async def propose_plan(
        self,
        proposals: Sequence[Proposal],
        *,
        window: PlanWindow,
        compensate_in: Sequence[int] | None,
        idempotency_key: str,
    ) -> str:
        """Refuse likewise."""
        raise Unavailable("plans are not taken here", reason="no_proposals")


def run_runtime(
    stores: Stores, clock: SharedClock, kill: Kill | None, listening: socket.socket,
    pipe: "Connection[object, object]", grant_key: bytes,
) -> None:  # fmt: skip
    """Serve the runtime API until killed."""
    target = TargetProxy(pipe)
    parts = RuntimeParts(
        database=Database(stores.runtime_url), clock=clock, ids=UlidIds(clock), entropy=OsEntropy(), target=target,
        planes=Planes(), home=stores.home / "runtime", tell=_NothingTold(),
    )  # fmt: skip
    services = runtime_services(
        parts, crash=KillAt(kill), engine=EmbeddedEngine(target, clock), authenticator=_OneToken(),
        proposals=_NoProposals(), grant_keys=[grant_key], loops=(),
    )  # fmt: skip

    async def serve() -> None:
        await services.register(ENVIRONMENT, cast("tuple[object, ...]", pipe_ask(pipe, "bindings")))  # pyright: ignore[reportArgumentType]  # the host sends bindings
        pipe_ask(pipe, "deploy")
        await services.convergence.reconcile()
        await serve_on(build_runtime_app(services), listening)

    asyncio.run(serve())


def pipe_ask(pipe: "Connection[object, object]", name: str, *arguments: object) -> object:
    """Ask the host something that is not the target's business."""
    nothing: dict[str, object] = {}
    pipe.send((name, arguments, nothing))
    return cast("tuple[bool, object]", pipe.recv())[1]


def run_mesh(
    stores: Stores, clock: SharedClock, kill: Kill | None, port: int, pipe: "Connection[object, object]",
    script: Script, kind: CommandKind, make_executor: MakeExecutor,
) -> None:  # fmt: skip
    """Run the loop over the case's stores until the command's family has ended; then leave with 0, stuck with 3."""
    os._exit(asyncio.run(_Life(stores, clock, KillAt(kill), port, pipe, script, kind, make_executor).live()))


@dataclass(slots=True)
class _Life:
    """One mesh process: the loop, and the people around it."""

    stores: Stores
    clock: SharedClock
    crash: KillAt
    port: int
    pipe: "Connection[object, object]"
    script: Script
    kind: CommandKind
    make_executor: MakeExecutor

    async def live(self) -> int:
        """Propose unless that was acknowledged before, then let loop and people work until all has ended."""
        mesh = self._compose()
        await mesh.adopt()
        for person in (PROPOSER, NARROWER, APPROVER):
            mesh.principals.ensure(person)
        if pipe_ask(self.pipe, "accepted") is None:
            record = await mesh.submission.submit(proposal_of(self.kind), key=KEY)
            pipe_ask(self.pipe, "accept", record.command.id)
        for _ in range(ROUNDS):
            await self._people(mesh)
            await mesh.loop.step()
            mesh.governed.outbox.drain(lambda events: self._consume(mesh, events), batch=10_000)
            if self._over(mesh):
                return 0
            pipe_ask(self.pipe, "advance", LONG_ROUND_S if self.script == "expire" else ROUND_S)
        return 3

    def _compose(self) -> Mesh:
        telemetry, _, _ = in_memory(seed=1)
        limits_client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20.0, trust_env=False)
        parts = Parts(
            home=self.stores.home, database=Database(self.stores.url), runtime_database=Database("sqlite://"),
            clock=self.clock, ids=UlidIds(self.clock), telemetry=telemetry, crash=self.crash, vectors=MemoryVectors(),
        )  # fmt: skip
        mesh = compose(parts, RemoteRuntime(limits_client, TOKEN, (ENVIRONMENT,)))
        executor = self.make_executor(mesh.loop.executor)
        return replace(
            mesh, loop=replace(mesh.loop, executor=executor, undoing=replace(mesh.loop.undoing, executor=executor))
        )

    async def _people(self, mesh: Mesh) -> None:
        """Answer what waits for people, each by the script."""
        waiting = mesh.governed.commands.list(TENANT, states=[State.AWAITING_APPROVAL])
        for record in waiting:
            match self.script:
                case "approve" | "regress":
                    self._approve(mesh, record)
                case "narrow" if record.command.parent is not None:
                    self._approve(mesh, record)
                case "narrow":
                    child = await mesh.submission.narrowed(record, record.digest, {}, by=NARROWER.id)
                    mesh.governed.commands.supersede(TENANT, record.command.id, child, NARROWER.id, "narrowed")
                case "cancel":
                    mesh.governed.commands.cancel(TENANT, record.command.id, PROPOSER.id, "not needed any more")
                case "expire":
                    pass

    def _approve(self, mesh: Mesh, record: CommandRecord) -> None:
        mesh.governed.approvals.decide(
            Answer(TENANT, record.command.id, record.digest, APPROVER, verdict="approve", channel="api")
        )

    def _consume(self, mesh: Mesh, events: Sequence[StoredEvent]) -> None:
        """A consumer as any must be: takes each event once, however often it comes."""
        with (self.stores.home / DELIVERED).open("a", encoding="utf-8") as file:
            for event in events:
                with mesh.parts.database.begin() as connection:
                    first = first_time(connection, "crash-harness", event.id, self.clock.now())
                line = {"id": event.id, "type": event.event.type, "subject": event.event.subject, "first": first}
                file.write(json.dumps(line) + "\n")

    def _over(self, mesh: Mesh) -> bool:
        family = mesh.governed.commands.list(TENANT)
        ended = all(record.state in TERMINAL for record in family)
        told = {outcome.command for outcome in mesh.journal.outcomes(TENANT)}
        due = {r.command.id for r in family if r.command.role == "forward" and r.state in _OUTCOMES}
        return ended and due <= told and mesh.governed.outbox.waiting() == 0


_OUTCOMES = frozenset({State.SUCCEEDED, State.UNDONE, State.UNDO_FAILED})


class AssumesFailure(Executor):
    """Sabotage: takes a lost answer for a failure and asks nobody."""

    async def resolve(self, unknown: CommandRecord) -> CommandRecord:
        """Record a failure that was never checked."""
        return self._fail(unknown, "assumed not to have happened")


class RetriesBlindly(Executor):
    """Sabotage: sends an effect with a lost answer again, under a fresh key that the target cannot recognise."""

    async def resolve(self, unknown: CommandRecord) -> CommandRecord:
        """Do it again."""
        again = unknown.command.model_copy(update={"idempotency_key": f"{unknown.command.idempotency_key}.again"})
        stand_in = unknown.model_copy(update={"command": again})
        now = self.clock.now()
        claims = self.grants._claims(stand_in, now + timedelta(seconds=60))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # sabotage takes what it should not
        token = self.grants._sign(claims, now)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # as above
        receipt = await self.actions.for_kind(again.kind).apply(again, grant=token)
        mended = receipt.model_copy(update={"idempotency_key": unknown.command.idempotency_key})
        return self._record(unknown, mended)


def sabotaged(kind: type[Executor]) -> MakeExecutor:
    """Return what puts a sabotaged executor in the place of the real one."""
    return lambda real: kind(**{name: getattr(real, name) for name in Executor.__dataclass_fields__})
