"""Controls judge what they say they judge: unknown never passes, waivers end, a changed control costs itself alone."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.changes import ResourceChange
from domain.compliance import Waiver
from domain.desired import DataStoreState, EnvironmentState, ServiceState
from domain.errors import Invalid
from domain.policies import TrafficPolicy
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import Certificate, ComputeTarget, DataStore, Edge, RuntimeService, Topology
from runtime.differences import state_changes
from runtime.services.compliance.changes import after_changes
from runtime.services.compliance.controls import CONTROLS, policy_digest
from runtime.services.compliance.estate import Estate, Parameters
from runtime.services.compliance.judging import judge, state_posture

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def bound(tenant, *regions, paired=None):
    return RuntimeTenantBinding(
        tenant=tenant, environment="prod", isolation="pooled", residency=Residency(allowed_regions=regions),
        primary_region=regions[0], paired_region=paired, budget_usd_per_month=1.0,
    )  # fmt: skip


def service(name, tenant, *regions, tier=1, used_by=()):
    return RuntimeService(
        id=name, tenant=tenant, environment="prod", compute_target="t", owner_team="x", tier=tier, regions=regions,
        used_by=used_by,
    )  # fmt: skip


def running(**changed):
    return ServiceState(version="v1", replicas=2, cpu_millicores=100, memory_mib=64, **changed)


TOPOLOGY = Topology(
    environment="prod",
    services=(
        service("shop", "acme", "west", "north"),
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
    edges=(Edge(kind="stores_in", source="service/shop", target="data_store/orders"),),
)  # fmt: skip
STATE = EnvironmentState(
    services={"shop": running(), "auth": running()}, data_stores={"orders": DataStoreState(replica_region="north")}
)
BINDINGS = (bound("acme", "west", "north", paired="north"), bound("globex", "west"))


def estate(state=STATE, topology=TOPOLOGY, bindings=BINDINGS, **changed):
    return Estate(state, topology, {b.tenant: b for b in bindings}, NOW, **changed)


def open_findings(given, **options):
    found = judge(given, **options)
    return {(f.control, f.resource): f.status for c in found for f in c.findings if not f.passed}


def with_service(**changed):
    return STATE.model_copy(update={"services": STATE.services | {"shop": running(**changed)}})


def with_store(**changed):
    return STATE.model_copy(update={"data_stores": {"orders": DataStoreState(**changed)}})


def test_a_sound_estate_is_satisfied_throughout():
    found = judge(estate())
    assert {c.control: len(c.findings) for c in found} == {
        "residency-compute": 2, "residency-data": 1, "residency-failover": 2, "encryption-at-rest": 1,
        "backup-retention": 1, "exposure": 2, "certificate-expiry": 1, "zone-spread": 2,
    }  # fmt: skip
    assert {c.status for c in found} == {"satisfied"}


@pytest.mark.parametrize(
    ("broken", "control", "resource", "fact"),
    [
        (with_store(encrypted_at_rest=False), "encryption-at-rest", "data_store/orders", ("encrypted_at_rest", False)),
        (with_store(backup_retention_days=6), "backup-retention", "data_store/orders", ("backup_retention_days", 6)),
        (with_store(replica_region="mars"), "residency-data", "data_store/orders", ("replica_region", "mars")),
        (with_service(zone_spread=False), "zone-spread", "service/shop", ("zone_spread", False)),
        (
            with_service(traffic=TrafficPolicy(region_weights={"west": 0.5, "mars": 0.5})),
            "residency-compute", "service/shop", ("traffic.region_weights.mars", "mars"),
        ),
    ],
)  # fmt: skip
def test_each_breach_turns_its_control_red_and_says_where(broken, control, resource, fact):
    assert open_findings(estate(broken)) == {(control, resource): "not_satisfied"}
    found = next(f for c in judge(estate(broken)) for f in c.findings if not f.passed)
    assert fact in {(e.path, e.value) for e in found.evidence}


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
    certificate = TOPOLOGY.certificates[0].model_copy(update={"not_after": NOW + timedelta(days=7)})
    topology = TOPOLOGY.model_copy(update={"certificates": (certificate,)})
    bindings = (BINDINGS[0], bound("globex", "west", paired="north"))
    assert open_findings(estate(topology=topology, bindings=bindings)) == {
        ("residency-failover", "tenant/globex"): "not_satisfied",
        ("certificate-expiry", "certificate/shop-tls"): "not_satisfied",
    }


def test_what_is_missing_is_unknown_and_never_passes():
    found = open_findings(estate(EnvironmentState(), bindings=BINDINGS[:1]))
    assert set(found.values()) == {"unknown"}
    assert set(found) == {
        (c, r)
        for c, resources in (
            ("residency-compute", ("service/auth", "service/shop")), ("exposure", ("service/auth", "service/shop")),
            ("zone-spread", ("service/auth", "service/shop")), ("residency-data", ("data_store/orders",)),
            ("encryption-at-rest", ("data_store/orders",)), ("backup-retention", ("data_store/orders",)),
        )
        for r in resources
    }  # fmt: skip
    assert open_findings(estate(bindings=BINDINGS[:1])) == {("residency-compute", "service/auth"): "unknown"}
    nowhere = estate(topology=TOPOLOGY.model_copy(update={"compute_targets": ()}))
    assert set(open_findings(nowhere).values()) == {"unknown"}


def test_a_waiver_passes_what_it_names_until_it_expires_and_nothing_unknown():
    def waiver(control, until):
        return Waiver(control=control, resource="data_store/orders", reason="test data", by="ann", expires_at=until)

    broken = estate(with_store(encrypted_at_rest=False, backup_retention_days=0))
    standing = waiver("encryption-at-rest", NOW + timedelta(seconds=1))
    found = judge(broken, waivers=(standing,))
    assert {c.control for c in found if c.status != "satisfied"} == {"backup-retention"}
    acme = state_posture("live", broken, found).tenants[0]
    assert (acme.tenant, acme.status, acme.not_satisfied, acme.waived) == ("acme", "not_satisfied", 1, 1)
    ended = waiver("encryption-at-rest", NOW)
    assert ("encryption-at-rest", "data_store/orders") in open_findings(broken, waivers=(ended,))
    gone = estate(EnvironmentState())
    assert open_findings(gone, waivers=(standing,)) == open_findings(gone)


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


def test_a_value_known_only_after_the_effect_is_unknown():
    change = ResourceChange(address="data_store/orders", operation="update", path="encrypted_at_rest", unknown=True)
    led, hidden = after_changes(STATE, (change,))
    found = open_findings(estate(led, unsettled=hidden))
    assert found == {
        (c, "data_store/orders"): "unknown" for c in ("residency-data", "encryption-at-rest", "backup-retention")
    }
    with pytest.raises(Invalid):
        after_changes(STATE, (ResourceChange(address="pack/x", operation="create", after={}),))
    with pytest.raises(Invalid):
        after_changes(STATE, (ResourceChange(address="service/no", operation="update", path="replicas", after=1),))


def test_only_the_changed_control_judges_ten_thousand_resources_again():
    calls = Counter()

    def counted(control):
        def rule(given, name, wanted):
            calls[control.id] += 1
            return control.rule(given, name, wanted)

        rule.__name__ = control.rule.__name__
        return replace(control, rule=rule)

    names = [f"s{k}" for k in range(10_000)]
    topology = TOPOLOGY.model_copy(update={"services": tuple(service(n, "acme", "west") for n in names)})
    many = estate(STATE.model_copy(update={"services": dict.fromkeys(names, running())}), topology)
    controls = tuple(map(counted, CONTROLS))
    first = judge(many, controls=controls)
    calls.clear()
    second = judge(many, controls=controls, wanted=Parameters(widest_public_prefix=(24, 48)), known=first)
    assert calls == {"exposure": 10_000}
    assert [a.control for a, b in zip(first, second, strict=True) if a is not b] == ["exposure"]


def test_the_policy_digest_is_of_the_table_and_its_parameters():
    stricter = Parameters(min_retention_days=30)
    assert policy_digest() != policy_digest(wanted=stricter) != policy_digest(CONTROLS[1:], stricter)
    assert [c.id for c in CONTROLS if c.digest(stricter) != c.digest(Parameters())] == ["backup-retention"]
    assert open_findings(estate(), wanted=stricter) == {("backup-retention", "data_store/orders"): "not_satisfied"}
