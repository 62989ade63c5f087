"""Quotas and residency of every binding hold for every command kind that has a tool, through the real path.

One row per kind: commands of it that come to use more and that lead abroad, or why there are none. Those are denied
where a binding forbids them and pass where none does. A kind that cannot is tried with bindings that grant nothing.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete

from analysis.quotas import usage
from domain.command_kinds import CATALOGUE
from domain.commands import Proposal, State
from domain.errors import Invalid, Refused
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from domain.runtime_api import OperationRecord, Progress
from domain.tenancy import Quota, Residency
from domain.topology import EntityRef
from evals.services.chaos_place import AGREED
from evals.services.packs_place import trusting_market
from evals.services.packs_rollout import GOOD, KEY, pack_version
from evals.services.packs_rollout import PACK as SIZING
from governance.ballots import Answer
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.simulation import Choices, open_simulated
from runtime import operations
from runtime.documents import Place
from runtime.marketplace.bundle import write_bundle
from runtime.services.backup.points import POINTS
from runtime.services.chaos.experiment import read_experiment
from runtime.services.chaos.library import shipped
from runtime.services.chaos.records import CONSENTS, EXPERIMENTS, THE, StoredExperiment
from runtime.simulator import actuators, readers
from runtime.simulator.demo import BOTH, NORTH, TENANTS, WEST, demo_world
from storage.tables.runtime import bindings
from tools.actions import ACTIONS

ACME, BOREALIS, CINDER = (TenantId(name) for name in ("acme-retail", "borealis-media", "cinder-logistics"))
PROD = EnvironmentId("prod")
KINDS = {kind for kind, spec in CATALOGUE.items() if spec.tool in {name for name, _ in ACTIONS}}
GREEN = {"candidate": "v9.9.9", "strategy": "blue_green", "steps": [{"share": 1.0, "hold_s": 300}]}
POOL = f"acme-{WEST}"


@dataclass(frozen=True)
class Act:
    """One command: on what, with which arguments, whose it is, and whose binding is in its way."""

    target: str
    arguments: dict[str, object]
    tenant: TenantId = ACME
    bound: TenantId | None = None
    """Whose binding forbids it; the tenant's own where nobody else is named."""
    primary: str | None = None
    """Another primary region of that binding."""


def of(kind, name, tenant=ACME, bound=None, primary=None, **arguments):
    return Act(f"{kind}/{name}", {kind: name, **arguments}, tenant, bound, primary)


def pack(name, tenant=ACME, primary=None, **parameters):
    return of("pack", name, tenant, None, primary, parameters=parameters)


@dataclass(frozen=True)
class Row:
    """One kind: an act that grows or why none does, one that leads abroad or why none does."""

    grows: Act | str
    leads: Act | str
    plain: Act | None = None
    """What is tried of a kind that cannot."""


FIXED = "where a service runs is the topology's: no command of the kind names a region"
UNCOUNTED = "it writes no field that use is counted by"
RUN = "an operation: it writes no desired state"
HERE = "what it touches stays where it is"
SERVICE = of("service", "checkout")
POLICY = {"min_replicas": 2, "max_replicas": 40, "target_cpu_utilisation": 0.6}
TICKET = Act("environment/prod", {"owner_team": "t", "title": "t", "cause": "c", "missing_action": "m"})
WAIVER = {
    "control": "residency-data", "resource": "data_store/orders-db", "until": "2026-03-12T00:00:00Z",
    "accountable": "person:a", "reason": "t",
}  # fmt: skip
REMEDY = {"control": "backup-retention", "resource": "data_store/orders-db"}
RESTORE = Act("restore_point/{point}", {"restore_point": "{point}", "tenant": ACME})
SWITCH = {"from_region": WEST, "to_region": NORTH}
ROWS = {
    "service.scale": Row(of("service", "orders-db", replicas=9), FIXED),
    "service.resize": Row(of("service", "checkout", cpu_millicores=4000, memory_mib=4096), FIXED),
    "service.rollback": Row(UNCOUNTED, FIXED, of("service", "pricing", to_version="{former}")),
    "service.restart": Row(RUN, HERE, SERVICE),
    "service.configure": Row(UNCOUNTED, FIXED, of("service", "checkout", key="region", value="mars")),
    "service.schedule": Row(
        "use is counted at its peak, whatever the hours", FIXED,
        of("service", "checkout", on_hour_utc=1, off_hour_utc=23),
    ),
    "scaling_policy.update": Row(of("service", "checkout", policy=POLICY), FIXED),
    "node_pool.scale": Row(of("node_pool", POOL, PLATFORM, ACME, node_count=12), "a pool stays in its region"),
    "node_pool.change_sku": Row(
        "as many nodes as before", "a pool stays in its region", of("node_pool", POOL, PLATFORM, sku="D8as_v5")
    ),
    "traffic.shift": Row(UNCOUNTED, of("service", "checkout", region_weights={WEST: 0.4, NORTH: 0.6})),
    "traffic_policy.apply": Row(
        of("service", "checkout", policy={"region_weights": {WEST: 1.0}, "release": GREEN}),
        of("service", "checkout", policy={"region_weights": {WEST: 1.0}, "region_failover": [NORTH]}),
    ),
    "release.promote": Row(of("service", "recommendations"), of("service", "basket")),
    "release.pause": Row(UNCOUNTED, of("service", "basket")),
    "release.resume": Row(of("service", "recommendations"), of("service", "recommendations")),
    "release.abort": Row("a second set goes, none comes", of("service", "basket")),
    "tenant.throttle": Row(UNCOUNTED, HERE, of("tenant", ACME, rate_limit_rps=5.0)),
    "tenant.rebind": Row(UNCOUNTED, of("tenant", ACME, primary_region=NORTH)),
    "region.failover": Row("standbys are promoted, none is made", Act(f"region/{WEST}", SWITCH, PLATFORM)),
    "data_store.configure": Row(
        "quotas count no rows", "where copies lie is not set by it",
        of("data_store", "orders-db", backup_retention_days=60),
    ),
    "compliance.remediate": Row(
        UNCOUNTED, "it writes what a control asks for, and the controls know the regions",
        Act("data_store/orders-db", REMEDY),
    ),
    "compliance.waive": Row(RUN, "it waives a control, no binding", Act("data_store/orders-db", WAIVER)),
    "chaos.run": Row(RUN, "requests go where policies lead them", of("experiment", "trial")),
    "chaos.abort": Row(RUN, HERE, of("experiment", "trial")),
    "restore_point.create": Row("quotas count no copies", of("tenant", ACME, region=NORTH)),
    "restore.run": Row(RUN, RESTORE),
    "restore.drill": Row(RUN, RESTORE),
    "failover.drill": Row(RUN, "nothing is switched", Act(f"region/{WEST}", SWITCH, PLATFORM)),
    "certificate.rotate": Row(RUN, HERE, of("certificate", "storefront-tls")),
    "secret.rotate": Row(RUN, HERE, of("secret", "basket-at-orders-db")),
    "issuer.distrust": Row(RUN, HERE, of("issuer", "platform-ca", PLATFORM)),
    "pack.install": Row(pack("cache-tier"), pack("saas-lean-single-region", primary=NORTH)),
    "pack.upgrade": Row(
        pack("cache-tier", BOREALIS, memory_mib=4096),
        pack("saas-lean-single-region", CINDER, primary=NORTH, retention_days=9),
    ),
    "pack.uninstall": Row(pack("scaling-background", BOREALIS), pack("saas-lean-single-region", CINDER)),
    "operation.cancel": Row(RUN, HERE, of("operation", "op-1")),
    "ticket.open": Row(RUN, HERE, TICKET),
}  # fmt: skip
INSTALLED = (
    pack("cache-tier", BOREALIS),
    pack("scaling-background", BOREALIS, max_replicas=1),
    pack("saas-lean-single-region", CINDER),
    of("pack", SIZING, BOREALIS, version="1.0.0"),
)
PERSON, OTHER = (
    Principal(
        id=PrincipalId(name), kind="person", name=name,
        grants=tuple(RoleGrant(role=role, tenant=TenantId("*")) for role in ("proposer", "approver", "operator")),
    )
    for name in ("person:ana", "person:ben")
)  # fmt: skip
ANSWERS = Principal(
    id=PrincipalId("person:a"), kind="person", name="a", grants=(RoleGrant(role="approver", tenant=ACME),)
)


class Stand:
    """A mesh over the demo world, in which each row finds what it needs; bindings are the platform's to change."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30), loops=("backup", "chaos"))
        self.simulated = asyncio.run(open_simulated(home, demo_world(), 7, choices))
        self.mesh, self.world = self.simulated.mesh, self.simulated.world
        self.shelve(trusting_market(self.mesh.runtime.services.parts.home))
        for one in (PERSON, OTHER, ANSWERS):
            self.mesh.principals.add(one, by=MESH.id)
        self.names = {"former": self.world.environment_state().services["pricing"].version}
        asyncio.run(self.fill())

    def shelve(self, market):
        """Two versions of a pack by another publisher, the newer one for more replicas."""
        market.trust.trust(BOREALIS, "maker", KEY.public_key().public_bytes_raw(), self.world.now)
        for number, level in (("1.0.0", (2, 6, 0.6)), ("1.1.0", GOOD)):
            place = self.mesh.runtime.services.parts.home / "marketplace" / "packs" / SIZING / number
            write_bundle(pack_version(number, level)[1], place)

    async def fill(self):
        abroad = {"region_weights": {WEST: 1.0}, "region_failover": [NORTH]}
        stopped, running = GREEN | {"intent": "abort"}, {"candidate": "v9.9.9"}
        for path, value in {
            ("services", "pricing", "version"): "v9.0.0",
            ("services", "recommendations", "traffic"): abroad | {"release": stopped},
            ("services", "basket", "traffic"): abroad | {"release": running},
            ("data_stores", "orders-db", "backup_retention_days"): 1,
        }.items():
            actuators.write_externally(self.world, path, value, "ci")
        self.store()
        await self.lived(minutes=3)
        self.names["point"] = self.point()
        for act in INSTALLED:
            await self.done("pack.install", act)
        self.begin()

    async def lived(self, **span):
        await self.simulated.simulation.run(self.world.now + timedelta(**span))

    def point(self):
        with self.mesh.parts.runtime_database.read() as connection:
            found = [d.body for d in POINTS.list(connection, PROD, [ACME])]
        return next(point.id for point in found if point.status == "kept" and point.region == NORTH)

    async def done(self, kind, act):
        record = await self.mesh.submission.submit(self.proposal(kind, act))
        answer = Answer(act.tenant, record.command.id, record.digest, OTHER, "approve", "api")
        self.mesh.governed.approvals.decide(answer)
        await self.lived(minutes=1)
        now = self.mesh.governed.commands.get(act.tenant, record.command.id)
        assert now.state in {State.EXECUTED, State.VERIFYING, State.SUCCEEDED}, (now.state, now.reason)

    def store(self):
        parts, now = self.mesh.runtime.services.parts, self.world.now
        place = Place(environment=PROD, tenant=ACME)
        trial = read_experiment(shipped()["dependency-slow"].document).document
        with parts.database.begin() as connection:
            EXPERIMENTS.put(connection, place, "trial", StoredExperiment(document=trial, by=PERSON.id), at=now)
            CONSENTS.put(connection, place, THE, AGREED, at=now)

    def begin(self):
        operation = OperationRecord(
            id="op-1", tenant=ACME, environment=PROD, idempotency_key="op-1", kind="restore_point.create",
            target=f"tenant/{ACME}", arguments={"tenant": ACME}, actor=PERSON.id, accepted_at=self.world.now,
            progress=Progress(status="running", fraction=0.5),
        )  # fmt: skip
        with self.mesh.parts.runtime_database.begin() as connection:
            operations.add(connection, operation)

    def proposal(self, kind, act):
        said = {key: value.format(**self.names) if isinstance(value, str) else value
                for key, value in act.arguments.items()}  # fmt: skip
        target = EntityRef.parse(act.target.format(**self.names))
        return Proposal(
            kind=kind, arguments=said, target=target, tenant=act.tenant, environment=PROD, proposer=PERSON.id,
            rationale="t",
        )  # fmt: skip

    def bind(self, *changed):
        """Let these bindings hold and the demo's for everybody else."""
        rows = {b.tenant: b for b in TENANTS} | {b.tenant: b for b in changed}
        with self.mesh.parts.runtime_database.begin() as connection:
            connection.execute(delete(bindings))
            for tenant, binding in rows.items():
                row = {"environment": PROD, "tenant": tenant, "document": binding.model_dump(mode="json")}
                connection.execute(bindings.insert().values(row))

    def used(self, tenant):
        """The quota that what is used now fits exactly."""
        topology, now = readers.topology(self.world), self.world.environment_state()
        held = usage(tenant, now, topology)
        return Quota(
            max_cpu_millicores=held.cpu_millicores, max_memory_mib=held.memory_mib, max_nodes=held.nodes,
            max_replicas_per_service=max(held.replicas.values(), default=0),
        )  # fmt: skip

    def outcome(self, kind, act):
        """What policy says, or what the runtime refuses it with."""
        try:
            _, decision = asyncio.run(self.mesh.submission.preview(self.proposal(kind, act)))
        except (Refused, Invalid) as error:
            if error.reason != "residency":
                raise
            return "deny: [residency]"
        return f"{decision.effect}: {'; '.join(decision.reasons)}"


def forbidden(said, by):
    return said.startswith("deny") and f"[{by}]" in said


def binding_of(tenant, **changed):
    return next(b for b in TENANTS if b.tenant == tenant).model_copy(update=changed)


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


GROW = {kind: row.grows for kind, row in ROWS.items() if isinstance(row.grows, Act)}
LEAD = {kind: row.leads for kind, row in ROWS.items() if isinstance(row.leads, Act)}


def tried(kind):
    """What is tried of a kind: any of its acts."""
    row = ROWS[kind]
    return next(act for act in (row.plain, row.leads, row.grows) if isinstance(act, Act))


def test_every_kind_that_has_a_tool_has_a_row():
    assert set(ROWS) == KINDS


@pytest.mark.parametrize("kind", GROW)
def test_what_would_exceed_a_quota_is_denied_and_passes_within_it(stand, kind):
    act = GROW[kind]
    whose = act.bound or act.tenant
    stand.bind(binding_of(whose, quota=stand.used(whose)))
    denied = stand.outcome(kind, act)
    assert forbidden(denied, "quota"), denied
    stand.bind()
    within = stand.outcome(kind, act)
    assert not within.startswith("deny"), within


@pytest.mark.parametrize("kind", LEAD)
def test_what_would_leave_the_allowed_regions_is_denied_and_passes_within_them(stand, kind):
    act = LEAD[kind]
    moved = {} if act.primary is None else {"primary_region": act.primary}
    stand.bind(binding_of(act.bound or act.tenant, residency=Residency(allowed_regions=(WEST,)), **moved))
    denied = stand.outcome(kind, act)
    assert forbidden(denied, "residency"), denied
    stand.bind(binding_of(act.bound or act.tenant, residency=Residency(allowed_regions=BOTH), **moved))
    within = stand.outcome(kind, act)
    assert not within.startswith("deny"), within


@pytest.mark.parametrize("kind", sorted(KINDS - set(GROW)))
def test_a_kind_that_cannot_grow_asks_for_nothing_more(stand, kind):
    nothing = Quota(max_replicas_per_service=0, max_cpu_millicores=0, max_memory_mib=0, max_nodes=0)
    stand.bind(*(binding_of(b.tenant, quota=nothing) for b in TENANTS))
    said = stand.outcome(kind, tried(kind))
    assert not said.startswith("deny"), said


@pytest.mark.parametrize("kind", sorted(KINDS - set(LEAD)))
def test_a_kind_that_cannot_lead_abroad_names_no_region(stand, kind):
    nowhere = Residency(allowed_regions=("nowhere",))
    stand.bind(*(binding_of(b.tenant, residency=nowhere) for b in TENANTS))
    said = stand.outcome(kind, tried(kind))
    assert "[residency]" not in said, said


def test_a_quota_holds_for_every_tenant_that_an_upgrade_of_several_concerns(stand):
    act = Act(f"pack/{SIZING}", {"pack": SIZING, "version": "1.1.0", "tenants": [BOREALIS, ACME]}, PLATFORM)
    stand.bind(binding_of(BOREALIS, quota=stand.used(BOREALIS)))
    assert forbidden(stand.outcome("pack.upgrade", act), "quota")
    stand.bind()
    within = stand.outcome("pack.upgrade", act)
    assert not within.startswith("deny"), within


def test_a_quota_of_an_affected_tenant_holds_whoever_proposes(stand):
    act = of("service", "orders-db", PLATFORM, replicas=9)
    stand.bind(binding_of(ACME, quota=stand.used(ACME)))
    denied = stand.outcome("service.scale", act)
    assert forbidden(denied, "quota"), denied
    stand.bind()
    assert not stand.outcome("service.scale", act).startswith("deny")


def test_regions_of_an_affected_tenant_hold_whoever_proposes(stand):
    act = of("service", "identity", PLATFORM, region_weights={WEST: 0.4, NORTH: 0.6})
    stand.bind(binding_of(CINDER, residency=Residency(allowed_regions=(WEST,))))
    assert "[residency]" in stand.outcome("traffic.shift", act)
    stand.bind()
    assert not stand.outcome("traffic.shift", act).startswith("deny")


def test_an_affected_tenant_without_a_binding_means_no(stand):
    act = of("service", "identity", PLATFORM)
    stand.bind()
    assert not stand.outcome("service.restart", act).startswith("deny")
    with stand.mesh.parts.runtime_database.begin() as connection:
        connection.execute(delete(bindings).where(bindings.c.tenant == CINDER))
    said = stand.outcome("service.restart", act)
    assert forbidden(said, "quota"), said
    assert forbidden(said, "residency"), said
