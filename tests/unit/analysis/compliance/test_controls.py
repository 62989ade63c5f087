"""Controls judge what they say they judge: unknown never passes, waivers end, what did not change is not rejudged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis.compliance.changes import after_changes, violations
from analysis.compliance.estate import Estate, sharing_of
from analysis.compliance.judging import Memory, judge, state_posture
from analysis.compliance.remedies import with_remedy
from domain.changes import ResourceChange
from domain.compliance import RULES, Waiver
from domain.desired import DataStoreState, DesiredState, EnvironmentState, ServiceState, TenantState, apply_patches
from domain.errors import Invalid
from domain.policies import PodProfile, TrafficPolicy
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import Certificate, ComputeTarget, DataStore, Edge, RuntimeService, Topology
from governance.policy import PolicySet
from runtime.differences import state_changes

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
CONTROLS = PolicySet.load().controls


def bound(tenant, *regions, paired=None, isolation="pooled", endpoints=()):
    return RuntimeTenantBinding(
        tenant=tenant, environment="prod", isolation=isolation,
        residency=Residency(allowed_regions=regions, evidence_endpoints=endpoints),
        primary_region=regions[0], paired_region=paired, budget_usd_per_month=1.0,
    )  # fmt: skip


def service(name, tenant, *regions, tier=1, used_by=(), archetype="api"):
    return RuntimeService(
        id=name, tenant=tenant, environment="prod", compute_target="t", owner_team="x", tier=tier, regions=regions,
        used_by=used_by, archetype=archetype,
    )  # fmt: skip


def running(**changed):
    return ServiceState(version="v1", replicas=2, cpu_millicores=100, memory_mib=64, **changed)


TOPOLOGY = Topology(
    environment="prod",
    regions=("west", "north", "mars"),
    services=(
        service("shop", "acme", "west", "north", archetype="frontend"),
        service("auth", "platform", "west", used_by=("acme", "globex")),
    ),
    compute_targets=tuple(
        ComputeTarget(id=f"t-{r}", provider="simulated", region=r, zones=(f"{r}-1", f"{r}-2"))
        for r in ("west", "north")
    ),
    data_stores=(DataStore(id="orders", tenant="acme", engine="postgres", region="west"),),
    certificates=(
        Certificate(id="shop-tls", service="shop", subject="s", not_after=NOW + timedelta(days=30), issuer="i"),
    ),
    edges=(
        Edge(kind="stores_in", source="service/shop", target="data_store/orders"),
        Edge(kind="runs_on", source="service/shop", target="node_pool/acme"),
        Edge(kind="runs_on", source="service/auth", target="node_pool/shared"),
    ),
)  # fmt: skip
STATE = EnvironmentState(
    services={"shop": running(), "auth": running()}, data_stores={"orders": DataStoreState(replica_region="north")}
)
BINDINGS = (bound("acme", "west", "north", paired="north", isolation="dedicated"), bound("globex", "west"))


def estate(state=STATE, topology=TOPOLOGY, bindings=BINDINGS, **changed):
    return Estate(state, topology, {b.tenant: b for b in bindings}, NOW, sharing_of(topology), **changed)


def judged(given, controls=CONTROLS, **options):
    return judge(given, controls.controls, **options)


def open_findings(given, **options):
    found = judged(given, **options)
    return {(f.control, f.resource): f.status for c in found for f in c.findings if not f.passed}


def with_service(**changed):
    return STATE.model_copy(update={"services": STATE.services | {"shop": running(**changed)}})


def with_store(**changed):
    return STATE.model_copy(update={"data_stores": {"orders": DataStoreState(**changed)}})


def with_tenant(**changed):
    return STATE.model_copy(update={"tenants": {"acme": TenantState(**changed)}})


def stricter(control, **demand):
    row = CONTROLS.control(control)
    changed = row.model_copy(update={"demand": row.demand.model_copy(update=demand), "by_isolation": {}})
    rows = tuple(changed if c.id == control else c for c in CONTROLS.controls)
    return CONTROLS.model_copy(update={"controls": rows})


def test_a_sound_estate_is_satisfied_throughout():
    found = judged(estate())
    assert {c.control for c in found} == {c.id for c in CONTROLS.controls}
    assert {c.rule for c in CONTROLS.controls} == set(RULES)
    assert {c.control: len(c.findings) for c in found if len(c.findings) == 1} == dict.fromkeys(
        ("residency-data", "residency-backups", "encryption-at-rest", "backup-retention", "certificate-expiry"), 1
    )
    assert {c.status for c in found} == {"satisfied"}


OPEN_PODS = PodProfile(privileged=True)
BREACHES = (
    (with_store(encrypted_at_rest=False), "encryption-at-rest", "data_store/orders", ("encrypted_at_rest", False)),
    (with_store(backup_retention_days=6), "backup-retention", "data_store/orders", ("backup_retention_days", 6)),
    (with_store(replica_region="mars"), "residency-data", "data_store/orders", ("replica_region", "mars")),
    (with_store(backup_region="mars"), "residency-backups", "data_store/orders", ("backup_region", "mars")),
    (with_tenant(logs_region="mars"), "residency-logs", "tenant/acme", ("logs_region", "mars")),
    (with_tenant(primary_region="mars", logs_region="west"), "residency-failover", "tenant/acme",
     ("primary_region", "mars")),
    (with_tenant(evidence_hosts=("api.elsewhere",)), "residency-evidence", "tenant/acme",
     ("evidence_hosts.0", "api.elsewhere")),
    (with_service(serves_tls=False), "encryption-in-transit", "service/shop", ("serves_tls", False)),
    (with_service(zone_spread=False), "zone-spread", "service/shop", ("zone_spread", False)),
    (with_service(ingress_from=("10.0.0.0/8", "0.0.0.0/0")), "exposure", "service/shop",
     ("ingress_from.1", "0.0.0.0/0")),
    (with_service(pod=OPEN_PODS), "pod-security", "service/shop",
     ("pod/spec.containers[0].securityContext.privileged", "true")),
    (with_service(traffic=TrafficPolicy(region_weights={"west": 0.5, "mars": 0.5})), "residency-compute",
     "service/shop", ("traffic.region_weights.mars", "mars")),
)  # fmt: skip


@pytest.mark.parametrize(("broken", "control", "resource", "fact"), BREACHES, ids=[b[1] for b in BREACHES])
def test_each_breach_turns_its_control_red_and_says_where(broken, control, resource, fact):
    assert open_findings(estate(broken)) == {(control, resource): "not_satisfied"}
    found = next(f for c in judged(estate(broken)) for f in c.findings if not f.passed)
    assert fact in {(e.path, e.value) for e in found.evidence}


@pytest.mark.parametrize(("broken", "control", "resource", "fact"), BREACHES, ids=[b[1] for b in BREACHES])
def test_the_remedy_of_each_breach_ends_it(broken, control, resource, fact):
    row = CONTROLS.control(control)
    finding = next(f for c in judged(estate(broken)) for f in c.findings if not f.passed)
    remedy = with_remedy(finding, row, estate(broken)).remedy
    if control == "residency-failover":  # which region it shall be is a decision of its own
        assert remedy == ()
        return
    document = DesiredState(environment="prod", tenant="platform", version=1, base=broken)
    fixed = apply_patches(document, remedy, command="c", at=NOW).effective(NOW)
    assert open_findings(estate(fixed)) == {}
    # what shall be is right and only what runs is not: the same fields with the values that shall be
    sound = with_remedy(finding, row, estate()).remedy
    assert [p.path for p in sound] == [p.path for p in remedy]
    assert apply_patches(document, sound, command="c", at=NOW).effective(NOW) != broken
    same = DesiredState(environment="prod", tenant="platform", version=1, base=STATE)
    assert open_findings(estate(apply_patches(same, sound, command="c", at=NOW).effective(NOW))) == {}


def test_dedicated_tenants_decide_about_their_pods_down_to_baseline():
    root = PodProfile(run_as_non_root=False)
    assert open_findings(estate(with_service(pod=root))) == {}
    pooled = (bound("acme", "west", "north", paired="north"), BINDINGS[1])
    assert open_findings(estate(with_service(pod=root), bindings=pooled)) == {
        ("pod-security", "service/shop"): "not_satisfied"
    }


def test_isolation_is_what_the_binding_says_and_names_nobody():
    beside = Edge(kind="runs_on", source="service/auth", target="node_pool/acme")
    topology = TOPOLOGY.model_copy(update={"edges": (*TOPOLOGY.edges, beside)})
    assert open_findings(estate(topology=topology)) == {("isolation", "tenant/acme"): "not_satisfied"}
    evidence = next(f.evidence for c in judged(estate(topology=topology)) for f in c.findings if not f.passed)
    assert [(e.path, e.value) for e in evidence] == [
        ("isolation", "dedicated"), ("node_pool/acme/other_tenants", 1)
    ]  # fmt: skip
    pooled = (bound("acme", "west", "north", paired="north"), BINDINGS[1])
    assert open_findings(estate(topology=topology, bindings=pooled)) == {}
    stored = Edge(kind="stores_in", source="service/auth", target="data_store/orders")
    topology = TOPOLOGY.model_copy(update={"edges": (*TOPOLOGY.edges, stored)})
    found = open_findings(estate(topology=topology, bindings=pooled))
    assert found["isolation", "tenant/acme"] == "not_satisfied"
    shared = (bound("acme", "west", "north", paired="north", isolation="shared"), BINDINGS[1])
    assert ("isolation", "tenant/acme") not in open_findings(estate(topology=topology, bindings=shared))


def test_what_faces_out_shows_a_certificate_that_has_not_ended():
    bare = TOPOLOGY.model_copy(update={"certificates": ()})
    assert open_findings(estate(topology=bare)) == {("encryption-in-transit", "service/shop"): "not_satisfied"}
    ended = TOPOLOGY.certificates[0].model_copy(update={"not_after": NOW})
    topology = TOPOLOGY.model_copy(update={"certificates": (ended,)})
    assert open_findings(estate(topology=topology)) == {
        ("encryption-in-transit", "service/shop"): "not_satisfied",
        ("certificate-expiry", "certificate/shop-tls"): "not_satisfied",
    }


@pytest.mark.parametrize(
    ("networks", "status"),
    [
        (("10.0.0.0/8", "203.0.113.0/24"), None),
        (("10.0.0.0/8", "0.0.0.0/0"), "not_satisfied"),
        (("0.0.0.0/1", "128.0.0.0/1"), "not_satisfied"),
        (("8.0.0.0/8",), "not_satisfied"),
        (("::/0",), "not_satisfied"),
        (("fc00::/7", "2001:db8::/48"), None),
        (("everybody",), "unknown"),
        ((), None),
    ],
)
def test_exposure_is_by_how_wide_a_public_network_is(networks, status):
    expected = {("exposure", "service/shop"): status} if status else {}
    assert open_findings(estate(with_service(ingress_from=networks))) == expected


def test_what_serves_several_tenants_stays_where_all_of_them_allow():
    shared = TOPOLOGY.model_copy(
        update={"services": (service("auth", "platform", "west", "north", used_by=("acme", "globex")),)}
    )
    found = open_findings(estate(topology=shared))
    assert found["residency-compute", "service/auth"] == "not_satisfied"


def test_a_pair_outside_and_a_certificate_about_to_end_are_red():
    certificate = TOPOLOGY.certificates[0].model_copy(update={"not_after": NOW + timedelta(days=7, seconds=-1)})
    topology = TOPOLOGY.model_copy(update={"certificates": (certificate,)})
    bindings = (BINDINGS[0], bound("globex", "west", paired="north"))
    assert open_findings(estate(topology=topology, bindings=bindings)) == {
        ("residency-failover", "tenant/globex"): "not_satisfied",
        ("certificate-expiry", "certificate/shop-tls"): "not_satisfied",
    }


def test_what_is_missing_is_unknown_and_never_passes():
    found = open_findings(estate(EnvironmentState(), bindings=BINDINGS[:1]))
    assert set(found.values()) == {"unknown"}
    on = {"service": ("service/auth", "service/shop"), "data_store": ("data_store/orders",)}
    assert set(found) == {(c.id, r) for c in CONTROLS.controls for r in on.get(c.kind, ())}
    assert open_findings(estate(bindings=BINDINGS[:1])) == {("residency-compute", "service/auth"): "unknown"}
    nowhere = estate(topology=TOPOLOGY.model_copy(update={"compute_targets": ()}))
    assert set(open_findings(nowhere).values()) == {"unknown"}
    blind = replace(estate(), sharing={})
    assert open_findings(blind) == {("isolation", "tenant/acme"): "unknown"}
    assert state_posture("live", estate(), ()).status == "unknown"


def waiver(control="encryption-at-rest", until=NOW + timedelta(seconds=1), tenant="acme", resource="data_store/orders"):
    return Waiver(tenant=tenant, control=control, resource=resource, reason="test data", by="ann", expires_at=until)


def test_a_waiver_passes_what_it_names_until_it_expires_and_nothing_unknown():
    broken = estate(with_store(encrypted_at_rest=False, backup_retention_days=0))
    found = judged(broken, waivers=(waiver(),))
    assert {c.control for c in found if c.status != "satisfied"} == {"backup-retention"}
    acme = state_posture("live", broken, found).tenants[0]
    assert (acme.tenant, acme.status, acme.not_satisfied, acme.waived) == ("acme", "not_satisfied", 1, 1)
    gone = estate(EnvironmentState())
    assert open_findings(gone, waivers=(waiver(),)) == open_findings(gone)


@pytest.mark.parametrize(
    "other", [{"until": NOW}, {"tenant": "globex"}, {"resource": "data_store/other"}, {"control": "exposure"}]
)
def test_a_waiver_that_ended_or_is_for_something_else_has_no_effect(other):
    broken = estate(with_store(encrypted_at_rest=False))
    assert open_findings(broken, waivers=(waiver(**other),)) == open_findings(broken)


def test_a_change_list_is_judged_as_the_state_it_leads_to():
    after = with_store(encrypted_at_rest=False).model_copy(
        update={
            "services": {
                "auth": running(config={"feature.new-ranking": "on"}),
                "new": running(ingress_from=("0.0.0.0/0",), traffic=TrafficPolicy(region_weights={"west": 1.0})),
            }
        }
    )
    led, hidden = after_changes(STATE, state_changes(STATE, after))
    assert (led, hidden) == (after, frozenset())
    assert after_changes(after, state_changes(after, STATE))[0] == STATE
    assert ("encryption-at-rest", "data_store/orders") in open_findings(estate(led))
    assert after_changes(STATE, (ResourceChange(address="ticket/x", operation="create", after={}),))[0] == STATE
    inside = ResourceChange(
        address="data_store/orders", operation="replace", path="content.rows of acme", after="point"
    )
    assert after_changes(STATE, (inside,))[0] == STATE
    with pytest.raises(Invalid):
        after_changes(STATE, (ResourceChange(address="service/no", operation="update", path="replicas", after=1),))


def broken_by(before, after, **options):
    return violations(estate(before), state_changes(before, after), CONTROLS, **options)


def test_a_preview_breaks_what_it_turns_red_and_nothing_that_was_so_before():
    assert broken_by(STATE, with_store(encrypted_at_rest=False, replica_region="north")) == (
        "encryption-at-rest on data_store/orders",
    )
    red = with_store(encrypted_at_rest=False, replica_region="north")
    assert broken_by(red, with_store(encrypted_at_rest=False)) == ()
    assert broken_by(red, STATE) == ()
    assert broken_by(STATE, red, waivers=(waiver(),)) == ()
    assert broken_by(STATE, red, waivers=(waiver(until=NOW),)) == ("encryption-at-rest on data_store/orders",)


def test_a_preview_that_breaks_a_control_otherwise_breaks_it_and_one_on_the_way_to_meeting_it_does_not():
    wide = with_service(ingress_from=("8.0.0.0/8", "0.0.0.0/0"))
    assert broken_by(with_store(replica_region="mars"), with_store(replica_region="venus")) == (
        "residency-data on data_store/orders",
    )
    assert broken_by(wide, with_service(ingress_from=("8.0.0.0/8",))) == ()
    assert broken_by(with_service(ingress_from=("8.0.0.0/8",)), wide) == ("exposure on service/shop",)


def test_a_value_known_only_after_the_effect_is_unknown():
    change = ResourceChange(address="data_store/orders", operation="update", path="encrypted_at_rest", unknown=True)
    led, hidden = after_changes(STATE, (change,))
    found = open_findings(estate(led, unsettled=hidden))
    assert found == {(c.id, "data_store/orders"): "unknown" for c in CONTROLS.controls if c.kind == "data_store"}
    assert violations(estate(), (change,), CONTROLS) == tuple(sorted(f"{c} on {r}" for c, r in found))


def many(count):
    names = [f"s{k}" for k in range(count)]
    services = tuple(service(n, "acme", "west") for n in names)
    topology = TOPOLOGY.model_copy(update={"services": services, "data_stores": (), "edges": ()})
    return estate(EnvironmentState(services=dict.fromkeys(names, running())), topology)


def test_a_changed_control_judges_itself_again_and_a_changed_resource_itself():
    given, memory = many(100), Memory()
    first = judged(given, memory=memory)
    assert memory.judged == sum(len(c.findings) for c in first)
    changed = stricter("exposure", widest_public_prefix=(24, 48))
    memory.judged = 0
    second = judged(given, changed, memory=memory)
    assert memory.judged == 100
    assert second == judged(given, changed)
    moved = replace(given, state=EnvironmentState(services=given.state.services | {"s1": running(serves_tls=False)}))
    memory.judged = 0
    third = judged(moved, changed, memory=memory)
    assert memory.judged == sum(c.kind == "service" for c in CONTROLS.controls)
    assert third == judged(moved, changed)
    assert {(f.control, f.resource) for c in third for f in c.findings if not f.passed} == {
        ("encryption-in-transit", "service/s1")
    }


def test_what_is_remembered_does_not_outlive_what_it_rests_on():
    memory, later = Memory(), NOW + timedelta(days=40)
    assert open_findings(estate(), memory=memory) == {}
    for given in (
        replace(estate(), at=later),
        estate(bindings=(BINDINGS[0], bound("globex", "north"))),
        estate(bindings=(BINDINGS[0],)),
        estate(topology=TOPOLOGY.model_copy(update={"compute_targets": ()})),
        replace(estate(), sharing=sharing_of(TOPOLOGY) | {"node_pool/acme": frozenset({"acme", "globex"})}),
        estate(unsettled=frozenset({"service/shop"})),
    ):
        assert open_findings(given, memory=memory) == open_findings(given) != {}
    small = Memory(limit=10)
    assert judged(many(6), memory=small) == judged(many(6))
    assert len(small.known) <= 10


def test_stricter_demands_are_another_control():
    changed = stricter("backup-retention", min_retention_days=30)
    pairs = zip(CONTROLS.controls, changed.controls, strict=True)
    assert [a.id for a, b in pairs if a.digest != b.digest] == ["backup-retention"]
    assert {(f.control, f.resource) for c in judged(estate(), changed) for f in c.findings if not f.passed} == {
        ("backup-retention", "data_store/orders")
    }
