"""Doubt means no effect: a fault at every call of store, policy, readers and clock, and every change after approval.

How often a part is called is counted on a run without fault; then each call fails once. "Before the effect" ends where
the runtime's transaction begins: what fails later may find the effect done, once.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from domain.commands import State
from domain.decisions import KillSwitch
from domain.errors import OpsmeshError, Refused, Unavailable
from domain.ids import PrincipalId
from evals.crash_cases import APPROVER, PROPOSER, SERVICE, TENANT
from governance.policy import PolicySet
from runtime.simulator import actuators
from runtime.simulator.world import World
from storage.engine import Database
from tests.support.composed import Composed, composed

REFUSED = {State.DENIED, State.LAPSED, State.EXPIRED, State.FAILED, State.CANCELLED}
SAMPLE = 12
NOT_STARTED = REFUSED | {State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED, State.EXECUTING}


@dataclass
class Faults:
    """Counted calls per part, one of which may be armed to fail; notes how many there were when the effect began."""

    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("store", "reader", "clock"), 0))
    armed: tuple[str, int] = ("", 0)
    before_effect: dict[str, int] = field(default_factory=dict)

    def begin(self, part: str, call: int) -> None:
        self.calls, self.armed = dict.fromkeys(self.calls, 0), (part, call)

    def end(self) -> dict[str, int]:
        self.armed = ("", 0)
        return dict(self.calls)

    def pass_by(self, part: str) -> int:
        """Count a call; negative before the armed one, 0 at it, positive after."""
        self.calls[part] += 1
        return self.calls[part] - self.armed[1] if self.armed[0] == part and self.armed[1] else -1

    def reach(self, point: str, **context: str) -> None:
        if point == "runtime.before_commit":
            self.before_effect |= {"store": self.calls["store"], "reader": self.calls["reader"]}
        if point == "grant.before_commit":
            self.before_effect["clock"] = self.calls["clock"] - 1  # the last call is the audit's of the issued grant

    def database(self) -> type[Database]:
        passing = self.pass_by

        class Failing(Database):
            @contextmanager
            def begin(self):
                if passing("store") == 0:
                    raise Unavailable("the store is gone", reason="store_unavailable")
                with super().begin() as connection:
                    yield connection

            @contextmanager
            def read(self):
                if passing("store") == 0:
                    raise Unavailable("the store is gone", reason="store_unavailable")
                with super().read() as connection:
                    yield connection

        return Failing

    def wrap_clock(self, clock):
        passing = self.pass_by

        class Backwards:
            """From the armed call on it is an hour earlier."""

            def now(self):
                return clock.now() - timedelta(hours=1) if passing("clock") >= 0 else clock.now()

        return Backwards()

    async def watch_reads(self, request: httpx.Request) -> None:
        if self.pass_by("reader") == 0:
            raise httpx.ReadError("the connection broke")


@dataclass(frozen=True)
class Left:
    """Stores and world as they stood just before a phase: every fault starts from a copy."""

    folder: Path
    world: World
    phase: str

    def play(self, part: str, call: int) -> "Played":
        """Let one call of one part fail in the phase."""
        return asyncio.run(self._play(part, call))

    async def _play(self, part: str, call: int) -> "Played":
        faults = Faults()
        with tempfile.TemporaryDirectory() as name:
            home = Path(name) / "home"
            shutil.copytree(self.folder, home)
            async with composed(
                home, crash=faults, database=faults.database(), wrap_clock=faults.wrap_clock, kept=self.world
            ) as bench:
                bench.mesh.runtime.http.event_hooks["request"] = [faults.watch_reads]
                known = bench.mesh.governed.commands.list(TENANT)
                faults.begin(part, call)
                with suppress(OpsmeshError):
                    await (bench.mesh.loop.executor.start(known[0]) if known else bench.proposed())
                counts = faults.end()
                record = next(iter(bench.mesh.governed.commands.list(TENANT)), None)
                state = State.DENIED if record is None else record.state
                audited = [] if record is None else bench.audited(record)
                return Played(bench.effects(), state, audited, counts, faults.before_effect)


@dataclass(frozen=True)
class Played:
    """What came of a phase with one fault in it."""

    effects: int
    state: State
    audited: list[str]
    counts: dict[str, int]
    before_effect: dict[str, int]


@pytest.fixture(scope="module", params=["decide", "execute"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp(request.param)

    async def prepare() -> World:
        async with composed(folder) as bench:
            if request.param == "execute":
                await bench.approved()
            return bench.world

    return Left(folder, asyncio.run(prepare()), request.param)


@pytest.mark.parametrize("part", ["store", "reader", "clock"])
def test_a_fault_at_any_call_before_the_effect_has_none(left: Left, part: str):
    calm = left.play(part, 0)
    last = calm.counts[part]
    if left.phase == "decide":
        assert (calm.effects, calm.state) == (0, State.AWAITING_APPROVAL)
    else:
        assert (calm.effects, calm.state) == (1, State.EXECUTED)
        order = [calm.audited.index(f"{step}") for step in ("command.approved", "grant.issued", "command.executed")]
        assert order == sorted(order)
        last = calm.before_effect[part]
    assert last > 3
    for call in _sample(last):
        played = left.play(part, call)
        if part == "reader" and played.state is calm.state:
            continue  # a read that failed once was asked again: nothing was left in doubt
        assert played.effects == 0, (call, played)
        lost = {State.UNKNOWN} if (part, call) == ("reader", last) else set()  # the write itself was lost on its way
        assert played.state in NOT_STARTED | lost, (call, played)


def test_a_fault_after_the_effect_never_repeats_it(left: Left):
    calm = left.play("store", 0)
    if left.phase == "execute":
        for call in range(calm.before_effect["store"] + 1, calm.counts["store"] + 1):
            assert left.play("store", call).effects == 1, call


def _sample(total: int) -> list[int]:
    """Every call up to a dozen; beyond that a dozen spread over all, first and last among them."""
    if total <= SAMPLE:
        return list(range(1, total + 1))
    return sorted({1 + round(step * (total - 1) / (SAMPLE - 1)) for step in range(SAMPLE)})


async def _refused(folder: Path, change, *, kind: str = "service.rollback") -> tuple[State, str, int]:
    """Approve, change one thing, try to execute."""
    async with composed(folder) as bench:
        record = await bench.approved(kind)
        changed = change(bench, record) or bench
        await changed.start(bench.read(record))
        after = bench.read(record)
        return after.state, after.reason, bench.effects()


def _with_policy(bench: Composed, policy: PolicySet) -> Composed:
    submission = replace(bench.mesh.submission, policy=policy)
    executor = replace(bench.mesh.loop.executor, submission=submission)
    return replace(bench, mesh=replace(bench.mesh, loop=replace(bench.mesh.loop, executor=executor)))


def _reloaded(bench: Composed, record) -> Composed:
    loaded = PolicySet.load()
    files = loaded.files | {"later.cedar": '@id("later")\n@reason("a rule that came later")\nforbid (principal, '
                            'action == Action::"propose", resource) when { context.facts.attempt > 99 };'}  # fmt: skip
    policy = PolicySet(files, loaded.schema)
    assert not policy.fault
    return _with_policy(bench, policy)


def _damaged(bench: Composed, record) -> Composed:
    loaded = PolicySet.load()
    return _with_policy(bench, PolicySet(loaded.files | {"broken.cedar": "permit (principal"}, loaded.schema))


def _engage(bench: Composed, record, scope: str = "global", value: str = "*") -> None:
    bench.mesh.governed.switches.engage(
        KillSwitch(scope=scope, value=value, engaged_by=PrincipalId("eve"), at=bench.clock.now(), reason="stop")
    )


CHANGES = {
    "the field was changed by somebody else": (
        lambda b, r: actuators.write_externally(b.world, ("services", SERVICE, "version"), "v1.2.0", "releases"),
        State.LAPSED, "preview",
    ),
    "the execution expired": (lambda b, r: b.clock.advance(timedelta(hours=5)), State.EXPIRED, "expired"),
    "the approver was disabled": (
        lambda b, r: b.mesh.principals.disable(APPROVER.id, by=PrincipalId("eve")), State.LAPSED, "approval",
    ),
    "the approver lost the role": (
        lambda b, r: b.mesh.principals.set_grants(APPROVER.id, PROPOSER.grants, by=PrincipalId("eve")) and None,
        State.LAPSED, "approval",
    ),
    "the proposer was disabled": (
        lambda b, r: b.mesh.principals.disable(PROPOSER.id, by=PrincipalId("eve")), State.LAPSED, "policy",
    ),
    "another policy set is active": (_reloaded, State.LAPSED, "policy: another policy set"),
    "the policy set is damaged": (_damaged, State.LAPSED, "policy"),
    "everything is stopped": (_engage, State.LAPSED, "kill_switch"),
    "the tenant is stopped": (lambda b, r: _engage(b, r, "tenant", TENANT), State.LAPSED, "kill_switch"),
    "the kind is stopped": (lambda b, r: _engage(b, r, "kind", r.command.kind), State.LAPSED, "kill_switch"),
    "the proposer is stopped": (lambda b, r: _engage(b, r, "agent", PROPOSER.id), State.LAPSED, "kill_switch"),
    "the command is stopped": (lambda b, r: _engage(b, r, "command", r.command.id), State.LAPSED, "kill_switch"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_between_approval_and_execution_stops_it(tmp_path: Path, name: str):
    change, state, reason = CHANGES[name]
    ended, why, effects = asyncio.run(_refused(tmp_path, change))
    assert (ended, effects) == (state, 0), why
    assert why.startswith(reason), why


def test_an_answer_to_another_digest_is_refused_and_audited(tmp_path: Path):
    async def play() -> None:
        async with composed(tmp_path) as bench:
            record = await bench.proposed()
            other = record.command.model_copy(update={"arguments": {"service": SERVICE, "to_version": "v1.1.0"}})
            with pytest.raises(Refused, match="digest_mismatch"):
                bench.approve(record, digest=other.digest)
            with pytest.raises(Refused, match="self_approval"):
                bench.approve(record, principal=PROPOSER.model_copy(update={"grants": APPROVER.grants}))
            machine = APPROVER.model_copy(update={"kind": "service", "id": PrincipalId("robot")})
            with pytest.raises(Refused, match="not_a_person"):
                bench.approve(record, principal=machine)
            assert bench.read(record).state is State.AWAITING_APPROVAL
            assert bench.audited(record).count("approval.refused") == 3
            assert bench.effects() == 0

    asyncio.run(play())


def test_a_late_answer_expires_the_command(tmp_path: Path):
    async def play() -> None:
        async with composed(tmp_path) as bench:
            record = await bench.proposed()
            bench.clock.advance(timedelta(hours=1, seconds=1))
            assert not bench.approve(record).won
            assert bench.read(record).state is State.EXPIRED
            assert bench.effects() == 0

    asyncio.run(play())


def test_an_approval_is_used_once(tmp_path: Path):
    async def play() -> None:
        async with composed(tmp_path) as bench:
            record = await bench.approved("service.restart")
            await bench.start(record)
            assert bench.effects() == 1
            again = await bench.start(record)
            assert not isinstance(again, OpsmeshError)
            assert again.state is State.EXECUTED
            with pytest.raises(Refused):
                bench.mesh.governed.grants.issue(TENANT, record.command.id, fencing=again.fencing or 0)
            assert bench.effects() == 1

    asyncio.run(play())


@dataclass
class StopAt:
    """Throws the switch when a point between two transactions is reached."""

    point: str
    throw: Callable[[], object] = lambda: None
    in_flight: list[str] = field(default_factory=list)

    def reach(self, point: str, **context: str) -> None:
        if point == self.point:
            self.point = ""
            self.in_flight = [record.command.id for record in self.throw()]


@pytest.mark.parametrize(
    ("point", "effects"),
    [
        ("propose.committed", 0), ("decide.committed", 0), ("approve.before_claim", 0), ("claim.before_effect", 0),
        ("effect.before_record", 1),
    ],
)  # fmt: skip
def test_once_the_kill_switch_has_answered_nothing_new_starts(tmp_path: Path, point: str, effects: int):
    async def play() -> None:
        stop = StopAt(point)
        async with composed(tmp_path, crash=stop) as bench:
            switch = KillSwitch(scope="global", engaged_by=PrincipalId("eve"), at=bench.clock.now(), reason="stop")
            stop.throw = lambda: bench.mesh.governed.switches.engage(switch)
            record = await bench.proposed()
            if record.state is State.AWAITING_APPROVAL:
                bench.approve(record)
            await bench.start(bench.read(record))
            assert not stop.point, "the point was not reached"
            assert bench.effects() == effects
            if point in {"claim.before_effect", "effect.before_record"}:
                assert stop.in_flight == [record.command.id]
            elif bench.read(record).state not in REFUSED:
                assert bench.read(record).state is State.AWAITING_APPROVAL

    asyncio.run(play())
