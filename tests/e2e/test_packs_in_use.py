"""Packs of all four kinds in the demo world by the governed path: trusted per tenant, approved, in force."""

import asyncio
from datetime import timedelta

import pytest

from domain.commands import Proposal, State
from domain.errors import Refused
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from domain.topology import EntityRef
from evals.services.packs_place import trusting_market
from evals.services.packs_rollout import BAD, GOOD, KEY, pack_version
from evals.services.packs_rollout import PACK as SIZING
from governance.approvals import Answer
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.simulation import Choices, open_simulated
from runtime.marketplace.bundle import write_bundle
from runtime.marketplace.rollouts import ROLLOUTS
from runtime.simulator.demo import demo_world

ACME, BOREALIS, CINDER = (TenantId(name) for name in ("acme-retail", "borealis-media", "cinder-logistics"))
USED = {
    "saas-regulated-multi-region": ACME, "saas-lean-single-region": CINDER,
    "scaling-interactive": BOREALIS, "scaling-background": BOREALIS,
    "slo-burn-rate": BOREALIS, "drift-by-tier": BOREALIS,
    "cdn": BOREALIS, "waf": BOREALIS, "cache-tier": BOREALIS,
}  # fmt: skip
PERSON, OTHER = (
    Principal(
        id=PrincipalId(name), kind="person", name=name,
        grants=tuple(RoleGrant(role=role, tenant=TenantId("*")) for role in ("proposer", "approver", "operator")),
    )
    for name in ("person:ana", "person:ben")
)  # fmt: skip


class Place:
    """A mesh over the demo world with two people."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30), loops=())
        self.simulated = asyncio.run(
            open_simulated(home, demo_world().model_copy(update={"chatter": False}), 3, choices)
        )
        self.mesh, self.world = self.simulated.mesh, self.simulated.world
        self.home = self.mesh.runtime.services.parts.home
        for one in (PERSON, OTHER):
            self.mesh.principals.add(one, by=MESH.id)

    def lived(self, minutes):
        asyncio.run(self.simulated.simulation.run(self.world.now + timedelta(minutes=minutes)))

    def approved(self, kind, tenant, pack, **arguments):
        proposal = Proposal(
            kind=kind, arguments={"pack": pack} | arguments, target=EntityRef(kind="pack", id=pack), tenant=tenant,
            environment=EnvironmentId("prod"), proposer=PERSON.id, rationale="t",
        )  # fmt: skip
        record = asyncio.run(self.mesh.submission.submit(proposal))
        answer = Answer(tenant, record.command.id, record.digest, OTHER, "approve", "api")
        self.mesh.governed.approvals.decide(answer)
        return tenant, record.command.id

    def record(self, command):
        return self.mesh.governed.commands.get(*command)

    def packs(self, tenant):
        return {name: held.version for name, held in self.world.environment_state().tenants[tenant].packs.items()}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    asyncio.run(made.mesh.close())


def test_two_packs_of_every_kind_are_trusted_approved_and_in_force(place):
    with pytest.raises(Refused) as found:
        place.approved("pack.install", BOREALIS, "cdn")
    assert found.value.reason == "pack_signer_unknown"
    trusting_market(place.home)
    commands = []
    for pack, tenant in USED.items():
        commands.append(place.approved("pack.install", tenant, pack))
        place.lived(2)
    states = {name: place.record(command).state for name, command in zip(USED, commands, strict=True)}
    assert set(states.values()) <= {State.EXECUTED, State.VERIFYING, State.SUCCEEDED}, states
    assert {pack for tenant in set(USED.values()) for pack in place.packs(tenant)} == set(USED)
    live = place.world.environment_state()
    own = {s.id for s in place.world.spec.services if s.tenant == BOREALIS}
    mine = [live.services[name] for name in own]
    assert {s.drift.mode for s in mine} == {"reconcile", "report"} or {s.drift.mode for s in mine} == {"reconcile"}
    assert all(any(getattr(s, field) for s in mine) for field in ("cdn", "waf", "cache_tier", "scaling"))
    assert any(s.health.burn_rules for s in mine)


@pytest.mark.parametrize(
    ("newer", "ends", "versions"), [(GOOD, State.SUCCEEDED, "1.1.0"), (BAD, State.UNDONE, "1.0.0")]
)
def test_an_upgrade_of_several_tenants_is_decided_carried_on_and_judged(place, newer, ends, versions):
    market = trusting_market(place.home)
    for number, level in (("1.0.0", (2, 6, 0.6)), ("1.1.0", newer)):
        write_bundle(pack_version(number, level)[1], place.home / "marketplace" / "packs" / SIZING / number)
    for tenant in (ACME, BOREALIS):
        market.trust.trust(tenant, "maker", KEY.public_key().public_bytes_raw(), place.world.now)
        place.approved("pack.install", tenant, SIZING, version="1.0.0")
        place.lived(2)
    place.lived(40)
    command = place.approved("pack.upgrade", PLATFORM, SIZING, version="1.1.0", tenants=[ACME, BOREALIS], bake_s=600)
    for _ in range(6):
        place.lived(8)
    record = place.record(command)
    with place.mesh.parts.runtime_database.read() as connection:
        [rollout] = ROLLOUTS.list(connection, EnvironmentId("prod"))
    assert {place.packs(tenant)[SIZING] for tenant in (ACME, BOREALIS)} == {versions}, rollout.body.detail
    assert record.state is ends, (record.state, record.reason)
