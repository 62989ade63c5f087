import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pulumi
import pytest
from pulumi.runtime import mocks, set_mocks
from pulumi.runtime.stack import run_pulumi_func

from domain.desired import DataStoreState, DesiredState, EnvironmentState, NodePoolState, Override, ServiceState
from domain.errors import Invalid
from domain.ids import CommandId, EnvironmentId, TenantId
from domain.policies import ScalingPolicy
from domain.tenancy import Residency, RuntimeTenantBinding
from infra import stack_name, tenant_environment
from infra.shapes import label, namespace_of, pieces

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMESPACE = label("acme.prod")


def binding(**changes):
    values = {
        "tenant": TenantId("acme"),
        "environment": EnvironmentId("prod"),
        "isolation": "pooled",
        "residency": Residency(allowed_regions=("west",)),
        "primary_region": "west",
        "budget_usd_per_month": 1000.0,
    }
    return RuntimeTenantBinding(**{**values, **changes})


def desired(*overrides, **changes):
    service = ServiceState(version="v1", replicas=3, cpu_millicores=500, memory_mib=512)
    values = {
        "services": {"checkout": service, "Pay_Ments": service.model_copy(update={"version": "v7"})},
        "node_pools": {"pool-a": NodePoolState(node_count=3, sku="d4")},
        "data_stores": {"orders": DataStoreState()},
    }
    return DesiredState(
        environment=EnvironmentId("prod"),
        tenant=TenantId("acme"),
        version=4,
        base=EnvironmentState(**{**values, **changes}),
        overrides=overrides,
    )


class Recorder(mocks.Mocks):
    """Pulumi's own test double: notes what the program registers."""

    def __init__(self):
        self.registered = {}

    def new_resource(self, args):
        self.registered[f"{args.typ}/{args.name}"] = args.inputs
        return args.name, args.inputs

    def call(self, args):
        return {}, None


class Monitor(mocks.MockMonitor):
    """The double's monitor leaves an event loop open on each thread it is called on; this one brings its own."""

    def RegisterResource(self, request):  # noqa: N802 - a gRPC method's name
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return super().RegisterResource(request)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def run(program):
    recorder = Recorder()
    monitor = Monitor(recorder)
    set_mocks(recorder, monitor=monitor)
    await run_pulumi_func(program)
    return recorder.registered, monitor.get_registered_resources()


async def test_every_desired_resource_is_registered_once():
    registered, _ = await run(tenant_environment(desired(), binding(), NOON))
    payments = label("Pay_Ments")
    assert sorted(registered) == sorted(
        [
            "opsmesh:runtime:TenantEnvironment/acme.prod",
            f"opsmesh:runtime:Namespace/Namespace-{NAMESPACE}",
            "opsmesh:runtime:Quota/Quota-quota",
            "opsmesh:runtime:Service/Service-checkout",
            f"opsmesh:runtime:Service/Service-{payments}",
            "opsmesh:runtime:DataStore/DataStore-orders",
        ]
    )
    assert registered["opsmesh:runtime:Service/Service-checkout"]["replicas"] == 3


async def test_parts_hang_below_their_namespace():
    _, resources = await run(tenant_environment(desired(), binding(), NOON))
    (service,) = [urn for urn in resources if urn.endswith("::Service-checkout")]
    assert "opsmesh:runtime:Namespace$opsmesh:runtime:Service" in service


async def test_every_resource_carries_the_canonical_dimensions():
    registered, _ = await run(tenant_environment(desired(), binding(), NOON))
    wanted = {"tenantid": "acme", "environmentid": "prod", "region": "west"}
    for inputs in registered.values():
        assert wanted.items() <= inputs["tags"].items()
    assert registered["opsmesh:runtime:Service/Service-checkout"]["tags"]["serviceid"] == "checkout"


async def test_a_new_version_with_the_same_content_changes_no_part():
    before, _ = await run(tenant_environment(desired(), binding(), NOON))
    after, _ = await run(tenant_environment(desired().model_copy(update={"version": 5}), binding(), NOON))
    assert [name for name in before if before[name] != after[name]] == ["opsmesh:runtime:TenantEnvironment/acme.prod"]


async def test_stack_outputs_name_the_namespace():
    await run(tenant_environment(desired(), binding(), NOON))
    root = pulumi.runtime.get_root_resource()
    assert root.outputs == {"namespace": NAMESPACE, "desired_version": 4}


def test_an_override_counts_until_it_ends():
    override = Override(
        path=("services", "checkout", "replicas"),
        value=9,
        command=CommandId("c1"),
        expires_at=NOON + timedelta(hours=1),
    )

    def replicas(at):
        return next(p for p in pieces(desired(override), binding(), at) if p.name == "checkout").inputs["replicas"]

    assert replicas(NOON) == 9
    assert replicas(NOON + timedelta(hours=1)) == 3


def test_the_scaling_policy_owns_the_replicas():
    policy = ScalingPolicy(min_replicas=2, max_replicas=8, target_cpu_utilisation=0.6)
    scaled = ServiceState(version="v1", replicas=3, cpu_millicores=500, memory_mib=512, scaling=policy)
    (service,) = [p for p in pieces(desired(services={"api": scaled}), binding(), NOON) if p.kind == "Service"]
    assert "replicas" not in service.inputs
    assert service.inputs["scaling"] == policy.model_dump(mode="json")


@pytest.mark.parametrize(
    ("isolation", "namespace", "pools"),
    [("shared", "prod", 0), ("pooled", NAMESPACE, 0), ("dedicated", NAMESPACE, 1)],
)
def test_isolation_decides_namespace_and_node_pools(isolation, namespace, pools):
    bound = binding(isolation=isolation)
    assert namespace_of(bound) == namespace
    assert sum(p.kind == "NodePool" for p in pieces(desired(), bound, NOON)) == pools


def test_another_tenants_document_is_refused_before_the_engine_starts():
    with pytest.raises(Invalid, match="cannot be rendered"):
        tenant_environment(desired(), binding(tenant=TenantId("other")), NOON)


def test_names_that_differ_only_in_what_a_label_drops_stay_apart():
    names = ["Pay_Ments", "pay-ments", "pay.ments", "x" * 100, "x" * 101]
    labels = [label(name) for name in names]
    assert len(set(labels)) == len(names)
    assert max(map(len, labels)) <= 63


def test_stacks_and_namespaces_of_different_bindings_never_meet():
    one = binding(tenant=TenantId("a-b"), environment=EnvironmentId("c"))
    two = binding(tenant=TenantId("a"), environment=EnvironmentId("b-c"))
    assert stack_name(one) != stack_name(two)
    assert namespace_of(one) != namespace_of(two)


def test_importing_the_room_does_not_load_the_engine():
    probe = "import sys, infra; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", probe], check=False, timeout=60).returncode == 0
