"""A tenant's part of a shared command has its own things in it, and nothing of anybody else, whatever is said where."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain.changes import ResourceChange
from domain.commands import CommandRecord, FieldUndo, Inverse, State
from domain.ids import PLATFORM, TenantId
from domain.outcomes import Check, Verification
from domain.principals import Reach
from domain.tenancy import AffectedSet
from domain.topology import Certificate, DataStore, Edge, EntityRef, NodePool, RuntimeService, Secret, Topology
from mesh.shared import own_of, part_of, touched
from tests.unit.governance.policy_goldens import command

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMES = st.lists(st.from_regex(r"[a-z]{3,6}-[a-z]{3,6}", fullmatch=True), min_size=4, max_size=12, unique=True)
"""Tenants, then their services and stores."""


def things_of(names):
    """Every third name is a tenant's, the next two its service and its store."""
    return [tuple(names[at : at + 3]) for at in range(0, len(names) - len(names) % 3, 3)]


def world(owners):
    services = [
        RuntimeService(
            id=service, tenant=tenant, environment="prod", compute_target="c", owner_team="t", regions=("west",)
        )
        for tenant, service, _ in owners
    ]  # fmt: skip
    stores = [DataStore(id=store, tenant=tenant, engine="postgres", region="west") for tenant, _, store in owners]
    pools = [
        NodePool(
            id=f"pool-of-{tenant}", compute_target="c", region="west", sku="D4", node_count=3,
            cpu_millicores_per_node=1, memory_mib_per_node=1, cost_usd_per_node_hour=1.0,
        )
        for tenant, _, _ in owners
    ]  # fmt: skip
    certificates = [Certificate(id=f"{s}-tls", service=s, subject=s, not_after=AT, issuer="ca") for _, s, _ in owners]
    secrets = [Secret(id=f"{s}-at-{d}", service=s, opens=f"service/{d}") for _, s, d in owners]
    runs = [Edge(kind="runs_on", source=f"service/{s}", target=f"node_pool/pool-of-{t}") for t, s, _ in owners]
    return Topology(
        environment="prod", regions=("west",), services=tuple(services), data_stores=tuple(stores),
        node_pools=tuple(pools), certificates=tuple(certificates), secrets=tuple(secrets), edges=tuple(runs),
    )  # fmt: skip


def figure(number):
    return 900_000_001 + number


def shared(owners, mentioned):
    """A command that says of everybody everything, everywhere; `mentioned` stands in a value of each one's own."""
    said = " ".join(name for owner in owners for name in owner)
    preview = [ResourceChange(address="region/west", operation="run", path="failover", after={"held": said})]
    checks, undo = [], []
    for number, (tenant, service, store) in enumerate(owners):
        kinds = {
            "service": service, "data_store": store, "tenant": tenant, "certificate": f"{service}-tls",
            "secret": f"{service}-at-{store}", "node_pool": f"pool-of-{tenant}",
        }  # fmt: skip
        preview += [
            ResourceChange(address=f"{k}/{n}", operation="update", path="figure", before=0, after=figure(number))
            for k, n in kinds.items()
        ]
        told = ResourceChange(address=f"service/{service}", operation="update", path="config.peer", after=mentioned)
        preview.append(told)
        checks.append(Check(entity=f"service/{service}", metric="p95", before=None, after=None, bound=None, ok=True,
                            text=f"{figure(number)} ms"))  # fmt: skip
        checks.append(Check(entity=f"service/{service}", metric="peer", before=None, after=None, bound=None, ok=True,
                            text=mentioned))  # fmt: skip
        undo.append(FieldUndo(path=("services", service, "replicas"), written=1, restore=figure(number)))
        undo.append(FieldUndo(path=("services", service, "peer"), written=1, restore=mentioned))
    base = command(
        tenant=PLATFORM, preview=tuple(preview), inverse=Inverse(fields=tuple(undo), note=said), rationale=said,
        proposer="person:secret-agent", evidence=("secret-evidence",), incident="secret-incident",
        arguments={"service": owners[-1][1], "to_version": "v41"}, target=EntityRef(kind="service", id=owners[-1][1]),
        affected=AffectedSet(
            tenants=tuple(TenantId(t) for t, _, _ in owners), environments=("prod",),
            resources=tuple(c.address for c in preview), failure_domains=("secret-region",), spans_tenants=True,
        ),
    )  # fmt: skip
    record = CommandRecord(
        command=base, digest=base.digest, state=State.SUCCEEDED, version=1, updated_at=AT, reason=said,
        decided_by="person:secret-approver",
    )  # fmt: skip
    verification = Verification(
        command=base.id, verdict="recovered", checks=tuple(checks), started_at=AT, ended_at=AT, reason=said
    )
    return record, verification


@given(names=NAMES, data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_string_of_another_tenant_is_in_a_part(names, data):
    assume(not any(a != b and a in b for a in names for b in names))
    owners = things_of(names)
    assume(len(owners) > 1)
    at = data.draw(st.integers(0, len(owners) - 1))
    reader = owners[at]
    others = [name for owner in owners if owner != reader for name in owner]
    assume(not any(word in name for name in others for word in ("pool-of", "secret")))
    mentioned = f"see {data.draw(st.sampled_from(others))}, please"
    record, verification = shared(owners, mentioned)
    mine = frozenset({TenantId(reader[0])})
    part = part_of(record, mine, world(owners), effect="ask", verification=verification, planned=True)
    told = part.model_dump_json()
    strange = [*others, "secret-", record.digest, *(str(figure(n)) for n in range(len(owners)) if n != at)]
    assert [name for name in strange if name in told.replace(f"secret/{reader[1]}", "")] == []
    assert {f"tenant/{reader[0]}", f"service/{reader[1]}", f"data_store/{reader[2]}"} <= set(part.resources)
    assert len([c for c in part.preview if c.after == figure(at)]) == 6
    card = part.card.model_dump_json()
    assert f"{figure(at)} ms" in card
    assert f"back to {figure(at)}" in card
    assert part.card.actions == ()


OWNERS = [("acme-inc", "shop", "db"), ("globex-inc", "portal", "orders-db")]


def test_a_strange_name_that_is_part_of_an_own_one_hides_nothing():
    own = own_of(frozenset({TenantId("globex-inc")}), world(OWNERS))
    assert own.clear("orders-db grows")
    assert not own.clear("orders-db and db grow")


def test_what_a_tenant_proposed_is_nobody_elses_to_see():
    record, _ = shared(OWNERS, "nothing")
    reach = Reach(places=frozenset({("acme-inc", "prod")}))
    assert touched(record.command, reach) == {"acme-inc"}
    assert touched(record.command, Reach(places=frozenset({("acme-inc", "staging")}))) == frozenset()
    assert touched(record.command.model_copy(update={"tenant": TenantId("globex-inc")}), reach) == frozenset()
    assert touched(record.command, Reach(places=frozenset({("else-inc", "*")}))) == frozenset()


def test_a_pool_that_others_run_on_too_is_nobodys_own():
    topology = world(OWNERS)
    both = Edge(kind="runs_on", source="service/portal", target="node_pool/pool-of-acme-inc")
    shared_pool = topology.model_copy(update={"edges": (*topology.edges, both)})
    mine = frozenset({TenantId("acme-inc")})
    assert "node_pool/pool-of-acme-inc" in own_of(mine, topology).addresses
    assert "node_pool/pool-of-acme-inc" not in own_of(mine, shared_pool).addresses
