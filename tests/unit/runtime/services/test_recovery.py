"""Recovery: who is believed, a switch that goes on after any crash, one writer at a time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.commands import State
from domain.errors import Refused
from domain.ids import PLATFORM, PrincipalId, TenantId
from domain.plans import PlanState
from domain.runtime_api import OperationRecord, Progress
from evals.services.recovery_place import at_home, opened
from runtime.documents import Place
from runtime.regions import ports
from runtime.regions.simulated import SimulatedRegions
from runtime.services.recovery.failover import FAILOVERS, TERMS, RegionFailover, Term
from runtime.services.recovery.outlook import outlook
from runtime.services.recovery.witnesses import CONFIRM_FOR, judged
from runtime.simulator.demo import demo_world
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEST, NORTH = "westeurope", "northeurope"
WITNESSES = ("provider", "probe/b", "probe/edge-1", "probe/edge-2", "replication")


def said(a: dict[str, str], b: str = "up") -> list[ports.Testimony]:
    """What is said of region `a`, and by those who look at both, of region `b`."""
    about_b = [ports.Testimony(w, "b", b, "") for w in WITNESSES if w.startswith("probe/edge")]
    return [ports.Testimony(w, "a", a.get(w, "up"), "") for w in WITNESSES] + about_b


def verdict(heard: list[ports.Testimony], lasting: timedelta = CONFIRM_FOR) -> str:
    return judged(heard, "a", dict.fromkeys(WITNESSES, NOW - lasting), NOW).standing


ALL_DOWN = dict.fromkeys(WITNESSES, "down")


@pytest.mark.parametrize(
    ("heard", "standing"),
    [
        (said({}), "up"),
        (said(ALL_DOWN), "lost"),
        (said(ALL_DOWN | {"provider": "up"}), "lost"),
        (said(ALL_DOWN | {"probe/edge-1": "up"}), "lost"),
        (said({"provider": "down"}), "up"),
        (said({"replication": "down"}), "up"),
        (said({"probe/edge-1": "down", "probe/edge-2": "down"}), "doubtful"),
        (said({"provider": "silent", "replication": "silent"}), "up"),
        (said(dict.fromkeys(WITNESSES, "silent")), "doubtful"),
        (said(ALL_DOWN | {"provider": "up", "replication": "up"}), "doubtful"),
    ],
    ids=["well", "lost", "provider lies", "probe lies", "one cries", "lag", "two cry", "silent", "all silent", "split"],
)
def test_one_liar_neither_triggers_nor_blocks(heard, standing) -> None:
    assert verdict(heard) == standing


def test_a_monitoring_that_is_cut_off_is_no_lost_region() -> None:
    blind = said({w: "down" for w in WITNESSES if w.startswith("probe")}, b="down")
    assert verdict(blind) == "up"
    assert judged(blind, "a", {}, NOW).discounted == ("probe/edge-1", "probe/edge-2")


def test_a_loss_has_to_last() -> None:
    assert verdict(said(ALL_DOWN), CONFIRM_FOR - timedelta(seconds=1)) == "doubtful"


@pytest.mark.parametrize("seed", range(10))
async def test_healthy_worlds_raise_no_doubt(seed: int) -> None:
    world = launch(random_world(seed), seed)
    world.advance(world.now + timedelta(minutes=10))
    heard = await SimulatedRegions(world).testimonies()
    for region in world.layout.regions:
        assert judged(heard, region, {}, NOW).standing == "up"


class Died(BaseException):
    """A process died here."""


@dataclass
class Dying:
    """Data stores whose caller dies right before, or right after, the n-th call that changes something."""

    plane: object
    at: int
    after: bool
    calls: int = 0

    def __getattr__(self, name):
        return getattr(self.plane, name)

    async def fence(self, store, region):
        await self._call("fence", store, region)

    async def promote(self, store, region):
        return await self._call("promote", store, region)

    async def _call(self, name, *arguments):
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Died
        done = await getattr(self.plane, name)(*arguments)
        if self.calls == self.at:
            raise Died
        return done


def record_of(place, name="op-1", source=WEST, target=NORTH) -> OperationRecord:
    return OperationRecord(
        id=name, tenant=PLATFORM, environment=place.environment, idempotency_key=name, kind="region.failover",
        target=f"region/{source}", arguments={"from_region": source, "to_region": target, "tenants": []},
        actor=PrincipalId("ann"), accepted_at=NOW, progress=Progress(status="accepted"),
    )  # fmt: skip


@pytest.fixture
async def place(tmp_path):
    held = await opened(1, tmp_path / "place")
    yield held
    await held.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_switch_that_dies_anywhere_goes_on(tmp_path, after: bool) -> None:
    for at in (1, 2, 5):
        place = await opened(1, tmp_path / f"{at}")
        place.region(WEST, up=False)
        await place.live(timedelta(minutes=1), answer=False)
        parts = place.parts
        dying = Dying(parts.planes.stores, at, after)
        broken = replace(parts, planes=replace(parts.planes, stores=dying))
        try:
            ended = await RegionFailover(broken).step(record_of(place))
        except Died:
            ended = await RegionFailover(parts).step(record_of(place))
        again = await RegionFailover(parts).step(record_of(place))
        stores = {s.id: s.region for b in place.world.spec.tenants for s in await place.stores.stores(b.tenant)}
        lost = {store: await place.stores.lost_writes(store) for store in stores}
        await place.close()
        assert (ended.status, again.status) == ("done", "done")
        assert again.result == ended.result
        assert set(stores.values()) == {NORTH}
        assert ended.result["lost_writes"] == lost
        assert dying.calls == at, "nothing was cut off"


async def test_only_one_copy_takes_writes_when_the_lost_region_returns(place) -> None:
    store = "orders-db"
    with pytest.raises(Refused) as caught:
        await place.stores.promote(store, NORTH)
    assert caught.value.reason == "not_fenced"
    place.region(WEST, up=False)
    await place.live(timedelta(minutes=5))
    place.region(WEST, up=True)
    await place.live(timedelta(minutes=10))
    (held,) = [s for s in await place.stores.stores(TenantId("acme-retail")) if s.id == store]
    head, old = await place.stores.commit_head(store), await place.stores.replica_head(store)
    assert (held.region, held.replica_region) == (NORTH, WEST)
    assert old.seq <= head.seq, "the old primary holds what nobody acknowledged"
    with pytest.raises(Refused):
        await place.stores.promote(store, WEST)


async def test_a_switch_that_was_overtaken_stops(place) -> None:
    place.region(WEST, up=False)
    await place.live(timedelta(minutes=1), answer=False)
    parts, record = place.parts, record_of(place)
    broken = replace(parts, planes=replace(parts.planes, stores=Dying(parts.planes.stores, 3, after=False)))
    with pytest.raises(Died):
        await RegionFailover(broken).step(record)
    shared = Place(environment=place.environment, tenant=PLATFORM)
    with parts.database.begin() as connection:
        TERMS.put(connection, shared, "term", Term(number=2), at=parts.clock.now())
    progress = await RegionFailover(parts).step(record)
    assert progress.status == "failed"
    assert "overtaken" in progress.detail
    with parts.database.read() as connection:
        assert len(FAILOVERS.get(connection, shared, record.id).body.promoted) == 1


async def test_who_may_not_go_stays_with_their_stores(tmp_path) -> None:
    place = await opened(1, tmp_path / "held", spec=at_home(demo_world(), "acme-retail"))
    seen = await outlook(place.parts, place.environment, WEST, NORTH)
    assert seen.held == ("acme-retail",)
    assert "acme-retail" not in seen.moves
    assert "orders-db" not in {store.id for store in seen.stores}
    await place.close()


async def test_a_plan_that_the_loop_runs_moves_users_and_is_told_to_the_world(place) -> None:
    place.region(WEST, up=False)
    await place.live(timedelta(minutes=6), until=place.ended)
    (plan,) = place.plans()
    assert plan.standing is PlanState.SUCCEEDED
    assert {m.state for m in plan.members} == {State.SUCCEEDED}
    assert [m.command.kind for m in plan.members] == ["region.failover", *["tenant.rebind"] * 3]
    share, layout = place.world.live.entry_share(), place.world.layout
    west = layout.regions.index(WEST)
    moved = [c for c in layout.columns("storefront") if int(layout.region_of[c]) == west]
    assert share[moved].sum() == 0.0
    stays = [s.id for s in place.world.spec.services if s.tenant == "borealis-media" and s.demand_rps > 0]
    assert all(share[layout.columns(name)].min() > 0.0 for name in stays)


async def test_nobody_is_asked_to_go_back_before_the_region_has_been_well_for_long(place) -> None:
    place.region(WEST, up=False)
    await place.live(timedelta(minutes=6), until=place.ended)
    place.region(WEST, up=True)
    await place.live(timedelta(minutes=20))
    place.region(WEST, up=False)
    await place.live(timedelta(minutes=3))
    place.region(WEST, up=True)
    await place.live(timedelta(minutes=25))
    assert place.findings("region.back") == ()
    await place.live(timedelta(minutes=15))
    assert len(place.findings("region.back")) == 1
