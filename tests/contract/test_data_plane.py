"""What a plane of tenants' data promises, held against files under a simulated write load and against memory."""

from datetime import timedelta

import pytest

from domain.errors import Invalid, NotFound, Refused, Unavailable
from domain.ids import PLATFORM, TenantId
from mesh.time import VirtualClock
from runtime.services.backup.content import compare, index_of, replayed
from runtime.simulator.demo import demo_world
from runtime.simulator.faults.base import Draw
from runtime.simulator.faults.regions import REGION_LOSS
from runtime.simulator.world import World
from runtime.stores.load import drafts
from runtime.stores.memory import MemoryStores
from runtime.stores.ports import Store
from runtime.stores.simulated import SimulatedStores

WEST, NORTH = "westeurope", "northeurope"
ACME, BOREALIS = TenantId("acme-retail"), TenantId("borealis-media")
OWN, SHARED = "orders-db", "accounts-db"


class Behind(SimulatedStores):
    """Standbys far behind, each by its own: what is lost with one store is not what is lost with another."""

    def _lag_s(self, store):
        return 200.0 if store == OWN else 330.0


class Simulated:
    """The demo world: orders-db is acme's, accounts-db the platform's, and both have a standby in the north."""

    def __init__(self, folder):
        self.world = World(demo_world().model_copy(update={"retention_steps": 60}), 3)
        self.plane = Behind(self.world, folder)
        self.live(hours=1)

    def live(self, **span):
        self.world.elapsed_s += timedelta(**span).total_seconds()

    @property
    def now(self):
        return self.world.now

    def lose(self, region):
        REGION_LOSS.inject(self.world, Draw(fault="region_loss", entity="region", names={"region": region}))


class Memory:
    """The same two stores and the same writes."""

    def __init__(self, _folder):
        self.clock = VirtualClock(demo_world().start)
        self.began = self.clock.now()
        self.plane = MemoryStores(
            self.clock, [Store(OWN, ACME, WEST, NORTH), Store(SHARED, TenantId(PLATFORM), WEST, NORTH)]
        )
        self.live(hours=1)

    def live(self, **span):
        since, until = self.now, self.now + timedelta(**span)
        of = {ACME: (OWN, SHARED), BOREALIS: (SHARED,)}
        after_s, until_s = ((at - self.began).total_seconds() for at in (since, until))
        made = [draft for tenant, stores in of.items() for draft in drafts(3, tenant, stores, after_s, until_s)]
        for draft in sorted(made, key=lambda d: d.at_s):
            self.clock.move_to(self.began + timedelta(seconds=draft.at_s))
            self.plane.commit(draft.tenant, *draft.legs)
        self.clock.move_to(until)

    @property
    def now(self):
        return self.clock.now()

    def lose(self, region):
        self.plane.dark.add(region)


@pytest.fixture(params=[Simulated, Memory])
def place(request, tmp_path):
    return request.param(tmp_path)


async def contents(plane, tenant, seq=None):
    seq = (await plane.barrier(tenant)).seq if seq is None else seq
    return {s.id: await plane.content(s.id, tenant, seq) for s in await plane.stores(tenant)}


async def heads(plane, tenant):
    """Copies as each store stands at this instant."""
    return {
        s.id: await plane.content(s.id, tenant, (await plane.commit_head(s.id)).seq) for s in await plane.stores(tenant)
    }


async def test_a_tenants_stores_are_its_own_and_the_shared_ones(place):
    assert [(s.id, s.tenant, s.region) for s in await place.plane.stores(ACME)] == [
        (OWN, ACME, WEST),
        (SHARED, PLATFORM, WEST),
    ]
    assert OWN not in {s.id for s in await place.plane.stores(BOREALIS)}
    with pytest.raises(NotFound):
        await place.plane.content("nothing-db", ACME, 0)


async def test_stores_fit_together_at_the_cut_and_not_at_their_heads(place):
    torn = False
    for _ in range(300):
        place.live(seconds=7)
        torn = bool(await place.plane.misfits(ACME, await heads(place.plane, ACME)))
        assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()
        if torn:
            break
    assert torn


async def test_a_content_at_a_cut_stays_as_it_was(place):
    cut = await place.plane.barrier(ACME)
    then = await contents(place.plane, ACME, cut.seq)
    place.live(hours=1)
    newer = await place.plane.barrier(ACME)
    assert newer.seq > cut.seq
    assert newer.at > cut.at
    assert await contents(place.plane, ACME, cut.seq) == then
    assert await contents(place.plane, ACME, newer.seq) != then
    assert await place.plane.barrier(ACME, at=cut.at) == cut
    with pytest.raises(Unavailable):
        await place.plane.content(OWN, ACME, newer.seq + 1000)


async def test_the_log_leads_from_one_cut_to_another_and_its_chain_tells_a_gap(place):
    one = await place.plane.barrier(ACME)
    place.live(minutes=30)
    other = await place.plane.barrier(ACME)
    for store in (OWN, SHARED):
        base = await place.plane.content(store, ACME, one.seq)
        chain, head = [await place.plane.chain(store, ACME, cut.seq) for cut in (one, other)]
        entries = await place.plane.log(store, ACME, one.seq, other.seq)
        assert replayed(base, chain, entries, head) == await place.plane.content(store, ACME, other.seq)
        assert all(one.seq < e.seq <= other.seq for e in entries)
        with pytest.raises(Invalid, match="the log"):
            replayed(base, chain, entries[:2] + entries[3:], head)


async def test_a_tenant_on_hold_writes_nothing_and_everybody_else_goes_on(place):
    cut = await place.plane.hold(ACME, "k")
    assert await place.plane.hold(ACME, "k") == cut
    held, others = await contents(place.plane, ACME), await contents(place.plane, BOREALIS)
    place.live(hours=1)
    assert await contents(place.plane, ACME) == held
    assert await contents(place.plane, BOREALIS) != others
    await place.plane.release(ACME, "another")
    place.live(hours=1)
    assert await contents(place.plane, ACME) == held
    await place.plane.release(ACME, "k")
    await place.plane.release(ACME, "k")
    place.live(hours=1)
    assert await contents(place.plane, ACME) != held


async def test_a_replaced_store_holds_the_rows_once_per_key_and_nobody_elses_moved(place):
    cut = await place.plane.barrier(ACME)
    then = await contents(place.plane, ACME, cut.seq)
    place.live(hours=1)
    await place.plane.hold(ACME, "k")
    others = await place.plane.content(SHARED, BOREALIS, (await place.plane.barrier(BOREALIS)).seq)
    done = {store: await place.plane.replace(store, ACME, then[store], key="k") for store in (OWN, SHARED)}
    assert len({d.seq for d in done.values()}) == 1  # no cut lies between them
    assert all(d.others_before == d.others_after for d in done.values())
    for store in (OWN, SHARED):
        found = await place.plane.content(store, ACME, done[store].seq)
        assert compare(index_of(then[store]), found).differences == ()
    assert others == await place.plane.content(SHARED, BOREALIS, (await place.plane.barrier(BOREALIS)).seq)
    await place.plane.release(ACME, "k")
    place.live(hours=1)
    cut = await place.plane.barrier(ACME)
    newer = await contents(place.plane, ACME, cut.seq)
    assert await place.plane.replace(OWN, ACME, {}, key="k") == done[OWN]
    assert await contents(place.plane, ACME, cut.seq) == newer
    assert await place.plane.misfits(ACME, newer) == ()


async def test_after_a_release_the_next_cut_holds_what_was_put_into_one_store_alone(place):
    await place.plane.hold(ACME, "k")
    before = await contents(place.plane, ACME)
    for key, content in (("there", {}), ("back", before[OWN])):
        place.live(minutes=3)
        await place.plane.replace(OWN, ACME, content, key=key)
    await place.plane.release(ACME, "k")
    assert await contents(place.plane, ACME) == before


async def test_the_forgotten_are_gone_everywhere_and_noted_by_the_newest_commit(place):
    subject = min((await contents(place.plane, ACME))[OWN]["profiles"])
    cut = await place.plane.barrier(ACME)
    await place.plane.erase(ACME, subject)
    for content in (await contents(place.plane, ACME)).values():
        assert subject not in content["profiles"]
        assert subject not in content["accounts"]
    noted = {e.subject: e.seq for e in await place.plane.erasures(ACME, cut.seq)}
    assert noted[subject] > cut.seq
    assert await place.plane.erasures(BOREALIS, cut.seq) == ()
    await place.plane.erase(ACME, subject)
    again = {e.subject: e.seq for e in await place.plane.erasures(ACME, noted[subject])}
    assert again[subject] > noted[subject]
    assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()


async def test_keys_are_of_a_store_a_day_and_a_hand(place):
    plane, now = place.plane, place.now
    key = await plane.seal_key(OWN, ACME, now, scheduled=True)
    assert key == await plane.seal_key(OWN, ACME, now, scheduled=True)
    others = [
        await plane.seal_key(SHARED, ACME, now, scheduled=True),
        await plane.seal_key(OWN, BOREALIS, now, scheduled=True),
        await plane.seal_key(OWN, ACME, now, scheduled=False),
        await plane.seal_key(OWN, ACME, now + timedelta(days=1), scheduled=True),
    ]
    assert len({k.secret for k in (key, *others)}) == 5
    assert await plane.open_key(key.id) == key.secret
    assert len(key.secret) == 32
    await plane.kept(OWN, key="k")
    await plane.drilled(OWN, sound=True, found="readable", key="k")


async def test_a_standby_follows_and_is_promoted_only_when_the_other_is_fenced(place):
    head, behind = await place.plane.commit_head(OWN), await place.plane.replica_head(OWN)
    assert 0 < behind.seq <= head.seq
    with pytest.raises(Refused) as refused:
        await place.plane.promote(OWN, NORTH)
    assert refused.value.reason == "not_fenced"
    with pytest.raises(Invalid):
        await place.plane.promote(OWN, "atlantis")
    await place.plane.fence(OWN, WEST)
    await place.plane.promote(OWN, NORTH)
    assert await place.plane.lost_writes(OWN) == 0  # the old one is there, and hands over all it has
    assert next(s for s in await place.plane.stores(ACME) if s.id == OWN).region == NORTH
    assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()
    place.live(hours=1)
    assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()


async def test_a_region_that_is_gone_takes_acknowledged_writes_along_and_they_are_counted(place):
    place.live(minutes=2)
    before = {e.seq for e in await place.plane.log(OWN, ACME, 0, (await place.plane.commit_head(OWN)).seq)}
    place.lose(WEST)
    with pytest.raises(Unavailable):
        await place.plane.content(OWN, ACME, 1)
    held = (await place.plane.replica_head(OWN)).seq
    for store in (OWN, SHARED):
        await place.plane.fence(store, WEST)
        await place.plane.promote(store, NORTH)
    lost = len({seq for seq in before if seq > held})
    assert await place.plane.lost_writes(OWN) == lost > 0
    assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()
    place.live(hours=1)
    assert await place.plane.misfits(ACME, await contents(place.plane, ACME)) == ()
