"""Upgrades of several tenants: whose turn it is, who is held, what leads back, and that a crash changes none of it."""

from contextlib import suppress
from datetime import timedelta

import pytest

from domain.changes import Patch
from domain.commands import Proposal
from domain.desired import apply_patches
from domain.errors import Conflict, Invalid, NotFound, Refused
from domain.ids import PLATFORM, CommandId, PrincipalId, TenantId
from domain.packs import PackPlanBody
from domain.releases import VersionReading
from domain.topology import EntityRef
from runtime import operations, state
from runtime.marketplace.market import market_at
from runtime.marketplace.rolling import CONTROLLER
from runtime.marketplace.rollouts import ROLLOUTS
from runtime.planes import Planes
from runtime.scope import TenantView
from runtime.targets.traffic import InMemoryTraffic
from tests.support.packs import AT, key_of, signed, write
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import TENANTS, small_bench
from tools.actions import bind_actions

KEY, ACME, GLOBEX = key_of(1), TenantId("acme"), TenantId("globex")
MINUTE = timedelta(minutes=1)
ROLLOUTS_AT = f"/runtime/environments/{PROD}/packs/rollouts"
ALL_SERVICES = {'"tiers": [\n          0,\n          1\n        ]': '"archetypes": ["api"]'}


def shelved(home, number, **changed):
    content = ALL_SERVICES | changed
    bundle = signed(
        KEY, pack_json={'"0.1.0",\n  "summary"': f'"{number}",\n  "summary"'}, content_json=content,
        tests_json={'"archetype": "frontend"': '"archetype": "api"'},
    )  # fmt: skip
    write(bundle, home / "marketplace" / "packs" / "edge" / number)


def served(plane, service, at, *, slow=1.0, failed=0):
    """A minute of a service: sixty requests whose latencies spread over a range."""
    latency = tuple(slow * (50.0 + n) for n in range(60))
    plane.put(service, at, VersionReading(version="v1", requests=600, failed=failed, latency_ms=latency))


class Stage:
    """A small runtime in which acme and globex have version 0.1.0, and a plane that is told what is measured."""

    def __init__(self, bench, plane):
        self.bench, self.plane = bench, plane
        self.market = market_at(bench.services.parts.home)
        self.slow = {}

    def trust(self, *tenants):
        for tenant in tenants:
            self.market.trust.trust(tenant, "maker", KEY.public_key().public_bytes_raw(), AT)

    async def install(self, *tenants):
        topology = await self.bench.target.topology(PROD)
        for tenant in tenants:
            asked = PackPlanBody.model_validate(
                {"kind": "pack.install", "arguments": {"pack": "edge", "version": "0.1.0"}}
            )
            view = TenantView(tenant, topology, TENANTS)
            plan = self.market.plan(asked, tenant, view, self.desired(), self.now, {})
            self.write(*plan.patches)
        await self.bench.services.reconcile()

    def write(self, *patches):
        after = apply_patches(self.desired(), patches, command=CommandId("c"), at=self.now)
        with self.bench.services.database.begin() as connection:
            state.append(connection, after, actor=PrincipalId("ana"), key=None, at=self.now)

    @property
    def now(self):
        return self.bench.clock.now()

    def desired(self):
        with self.bench.services.database.read() as connection:
            return state.current(connection, PROD)

    def version(self, tenant):
        return self.desired().base.tenants[tenant].packs["edge"].version

    async def live(self, minutes, *, silent=False):
        """Minute by minute every service serves, slower by what the test says, and the runtime goes on."""
        for _ in range(minutes):
            for service in () if silent else ("shop", "cart", "portal"):
                served(self.plane, service, self.now, slow=self.slow.get(service, lambda: 1.0)())
            self.bench.clock.advance(MINUTE)
            await self.bench.services.reconcile()

    def proposal(self, *tenants, tenant=PLATFORM, **changed):
        arguments = {"pack": "edge", "version": "0.2.0", "tenants": list(tenants), "bake_s": 300} | changed
        return Proposal(
            kind="pack.upgrade", arguments=arguments, target=EntityRef(kind="pack", id="edge"), tenant=tenant,
            environment=PROD, proposer="ana", rationale="t",
        )  # fmt: skip

    async def begin(self, *tenants):
        action = bind_actions(self.bench.client)["pack"]
        asked = self.proposal(*tenants)
        command = self.bench.command(asked, await action.plan(asked, at=self.now))
        receipt = await action.apply(command, grant=self.bench.issuer.grant(command))
        return action, command, receipt.operation

    def record(self, operation):
        with self.bench.services.database.read() as connection:
            return operations.find(connection, PLATFORM, PROD, operation)

    def rollout(self):
        with self.bench.services.database.read() as connection:
            return ROLLOUTS.list(connection, PROD)[-1].body

    def phases(self):
        return {part.tenant: part.phase for part in self.rollout().parts}


@pytest.fixture
async def stage(tmp_path):
    plane = InMemoryTraffic(PROD)
    bench = await small_bench(tmp_path, planes=Planes(traffic=plane))
    made = Stage(bench, plane)
    shelved(bench.services.parts.home, "0.1.0")
    shelved(bench.services.parts.home, "0.2.0", **{'"cdn": {': '"waf": {"paranoia": 1}, "cdn": {'})
    made.trust(ACME, GLOBEX)
    await made.install(ACME, GLOBEX)
    await made.live(20)
    yield made
    await bench.client.http.aclose()
    bench.services.database.close()


async def test_the_canary_first_and_then_the_others_each_watched_before_the_next(stage):
    action, command, operation = await stage.begin(ACME, GLOBEX)
    assert {c.address for c in command.preview} >= {"tenant/acme", "tenant/globex", "service/shop", "service/portal"}
    assert set(command.affected.tenants) >= {ACME, GLOBEX}
    await stage.live(3)
    assert (stage.version(ACME), stage.version(GLOBEX)) == ("0.2.0", "0.1.0")
    assert stage.phases() == {ACME: "baking", GLOBEX: "waiting"}
    assert not await action.ended(command)
    await stage.live(6)
    assert stage.phases() == {ACME: "upgraded", GLOBEX: "baking"}
    await stage.live(8)
    assert stage.phases() == {ACME: "upgraded", GLOBEX: "upgraded"}
    assert (await stage.bench.target.live(PROD)).services["portal"].waf.paranoia == 1
    assert stage.record(operation).progress.status == "done"
    assert await action.verify(command)
    with pytest.raises(Conflict, match="left something"):
        await action.plan_undo(command, at=stage.now)


@pytest.mark.parametrize(("service", "touched"), [("shop", [ACME]), ("portal", [ACME, GLOBEX])])
async def test_where_one_fares_worse_all_that_were_upgraded_go_back(stage, service, touched):
    before = stage.desired().base
    owner = ACME if service == "shop" else GLOBEX
    stage.slow[service] = lambda: 3.0 if stage.version(owner) == "0.2.0" else 1.0
    action, command, operation = await stage.begin(ACME, GLOBEX)
    await stage.live(20)
    assert stage.desired().base == before
    assert [t for t, phase in stage.phases().items() if phase == "rolled_back"] == touched
    record = stage.record(operation)
    assert record.progress.status == "failed"
    assert f"{owner} fares worse: {service} latency_ms level" in record.progress.detail
    assert await action.ended(command)
    assert not await action.verify(command)
    assert (await action.plan_undo(command, at=stage.now)).patches == ()
    assert (await stage.bench.target.live(PROD)).services == before.services


async def test_a_field_that_somebody_changed_meanwhile_stays_theirs(stage):
    await stage.begin(ACME, GLOBEX)
    await stage.live(2)
    stage.write(Patch(op="set", path=("services", "shop", "waf"), value={"paranoia": 3}))
    stage.slow["cart"] = lambda: 3.0
    await stage.live(6)
    services = stage.desired().base.services
    assert (services["shop"].waf.paranoia, services["cart"].waf, stage.version(ACME)) == (3, None, "0.1.0")


async def test_silence_is_no_pass(stage):
    await stage.begin(ACME, GLOBEX)
    await stage.live(12, silent=True)
    assert stage.phases() == {ACME: "rolled_back", GLOBEX: "waiting"}
    assert "too little is measured" in stage.rollout().detail


async def test_who_revoked_the_key_meanwhile_is_held_and_told(stage):
    await stage.begin(ACME, GLOBEX)
    stage.market.trust.revoke(GLOBEX, "maker", stage.now)
    await stage.live(12)
    assert stage.phases() == {ACME: "upgraded", GLOBEX: "held"}
    assert "pack_key_revoked" in stage.rollout().detail
    assert stage.version(GLOBEX) == "0.1.0"


async def test_another_content_under_the_approved_number_is_held_back(stage):
    await stage.begin(ACME, GLOBEX)
    await stage.live(2)
    shelved(stage.bench.services.parts.home, "0.2.0", **{'"cdn": {': '"waf": {"paranoia": 4}, "cdn": {'})
    await stage.live(10)
    assert stage.phases() == {ACME: "upgraded", GLOBEX: "held"}


async def test_who_is_held_is_in_the_preview_and_a_held_canary_is_refused(stage):
    stage.market.trust.revoke(GLOBEX, "maker", stage.now)
    action = bind_actions(stage.bench.client)["pack"]
    plan = await action.plan(stage.proposal(ACME, GLOBEX), at=stage.now)
    held = next(c for c in plan.preview if c.address == "tenant/globex")
    assert held.after == {"version": "held", "of": "pack_key_revoked"}
    with pytest.raises(Refused, match="canary") as found:
        await action.plan(stage.proposal(GLOBEX, ACME), at=stage.now)
    assert found.value.reason == "canary_held"


async def test_it_is_the_platforms_and_names_its_version_and_one_goes_at_a_time(stage):
    action = bind_actions(stage.bench.client)["pack"]
    with pytest.raises(NotFound):
        await action.plan(stage.proposal(ACME, tenant=ACME), at=stage.now)
    for changed in ({"version": None}, {"parameters": {"level": 5}}):
        with pytest.raises(Invalid, match="name the tenants"):
            await action.plan(stage.proposal(ACME, GLOBEX, **changed), at=stage.now)
    await stage.begin(ACME, GLOBEX)
    await stage.live(1)
    with pytest.raises(Conflict, match="under way"):
        await action.plan(stage.proposal(ACME, GLOBEX), at=stage.now)


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


@pytest.mark.parametrize("died", range(1, 14, 3))
async def test_killed_anywhere_it_goes_on_where_it_was(stage, monkeypatch, died):
    await stage.begin(ACME, GLOBEX)
    writes = 0

    def killing(connection, rollout_place, name, body, **options):
        nonlocal writes
        writes += 1
        put(connection, rollout_place, name, body, **options)
        if writes == died:
            raise Killed  # before the commit: the latest instant at which a crash can part state and write

    put = ROLLOUTS.put
    monkeypatch.setattr(ROLLOUTS, "put", killing)
    for _ in range(2):
        with suppress(Killed):
            await stage.live(20)
    assert writes >= died
    assert stage.phases() == {ACME: "upgraded", GLOBEX: "upgraded"}
    with stage.bench.services.database.read() as connection:
        kept = state.history(connection, PROD, limit=100)
    assert sum(actor == CONTROLLER for _, actor in kept) == 2


async def test_stopped_by_people_it_takes_back_what_it_did(stage):
    before = stage.desired().base
    _, _, operation = await stage.begin(ACME, GLOBEX)
    await stage.live(9)
    operator = stage.bench.services.convergence.operators["pack.upgrade"]
    progress = await operator.cancel(stage.record(operation))
    assert (progress.status, progress.detail) == ("cancelled", "stopped; taken back: acme, globex")
    assert stage.desired().base == before


async def test_a_tenant_sees_its_own_part_only(stage):
    stage.slow["portal"] = lambda: 3.0 if stage.version(GLOBEX) == "0.2.0" else 1.0
    await stage.begin(ACME, GLOBEX)
    await stage.live(20)
    async with stage.bench.http("person-token") as http:
        [mine] = (await http.get(ROLLOUTS_AT)).json()
    assert [part["tenant"] for part in mine["parts"]] == ["acme"]
    assert "globex" not in str(mine)
    assert "portal" not in str(mine)
    async with stage.bench.http("executor-token") as http:
        [whole] = (await http.get(ROLLOUTS_AT, headers={"Opsmesh-Tenant": "platform"})).json()
    assert [part["tenant"] for part in whole["parts"]] == ["acme", "globex"]
    assert "globex fares worse" in whole["detail"]
