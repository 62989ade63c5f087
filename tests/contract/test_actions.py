"""Every action, over the in-memory target and the simulated world: one behaviour, whatever it changes."""

from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from domain.changes import Patch
from domain.command_kinds import CATALOGUE
from domain.commands import Proposal
from domain.desired import DataStoreState
from domain.errors import Conflict, Invalid, NotFound, OutcomeUnknown
from domain.topology import DataStore, EntityRef
from mesh.time import VirtualClock
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World
from runtime.targets.memory import MemoryTarget
from runtime.targets.simulated import SimulatedTarget
from tests.support.runtime_bench import PROD, make_bench
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY
from tools.actions import ACTIONS, bind_actions
from tools.recorded_action import RecordedAction


@dataclass(frozen=True)
class Cast:
    """The names a case plays with on one target."""

    tenant: str
    plain: str
    """A service no policy scales."""
    scaled: str
    first: str
    """Its first version."""
    regions: tuple[str, str]
    stranger: str
    """A tenant that does not own the service."""
    pool: str
    """A node pool; the platform's."""
    sku: str
    """A machine type the pool could have instead."""
    store: str


SMALL = Cast("acme", "shop", "cart", "v1", ("west", "north"), "globex", "pool", "D4as", "cart-db")
WORLD = Cast(
    "borealis-media", "transcode", "player-api", "v1.0.0", ("westeurope", "northeurope"), "acme-retail",
    "shared-westeurope", "D8as_v5", "media-db",
)  # fmt: skip
SPEC = demo_world().model_copy(update={"retention_steps": 60})
"""Made once; ten minutes of metrics are enough here."""
POLICY = {"min_replicas": 3, "max_replicas": 9, "target_cpu_utilisation": 0.5}

CASES = {
    "scale": ("service.scale", lambda c: {"service": c.plain, "replicas": 7}),
    "resize": ("service.resize", lambda c: {"service": c.plain, "cpu_millicores": 1500, "memory_mib": 2048}),
    "rollback": ("service.rollback", lambda c: {"service": c.plain, "to_version": c.first}),
    "schedule": ("service.schedule", lambda c: {"service": c.plain, "on_hour_utc": 6, "off_hour_utc": 20}),
    "node_pool": ("node_pool.scale", lambda c: {"node_pool": c.pool, "node_count": 5}),
    "node_pool_sku": ("node_pool.change_sku", lambda c: {"node_pool": c.pool, "sku": c.sku}),
    "data_store": (
        "data_store.configure",
        lambda c: {"data_store": c.store, "max_connections": 90, "backup_retention_days": 30},
    ),
    "restart": ("service.restart", lambda c: {"service": c.plain, "reason": "memory_pressure"}),
    "configure": ("service.configure", lambda c: {"service": c.plain, "key": "timeout_ms", "value": "250"}),
    "traffic_shift": (
        "traffic.shift",
        lambda c: {"service": c.plain, "region_weights": dict(zip(c.regions, (0.75, 0.25), strict=True))},
    ),
    "traffic_policy": ("traffic_policy.apply", lambda c: {"service": c.plain, "policy": {"rate_limit_rps": 50.0}}),
    "release": ("release.promote", lambda c: {"service": c.plain}),
    "release_pause": ("release.pause", lambda c: {"service": c.plain}),
    "release_resume": ("release.resume", lambda c: {"service": c.scaled}),
    "release_abort": ("release.abort", lambda c: {"service": c.plain}),
    "throttle": ("tenant.throttle", lambda c: {"tenant": c.tenant, "rate_limit_rps": 40.0}),
    "rebind": ("tenant.rebind", lambda c: {"tenant": c.tenant, "primary_region": c.regions[1]}),
    "remedy": ("compliance.remediate", lambda c: {"control": "exposure", "resource": f"service/{c.plain}"}),
    "scaling_policy": ("scaling_policy.update", lambda c: {"service": c.scaled, "policy": POLICY}),
    "ticket": (
        "ticket.open",
        lambda c: {"owner_team": "team", "title": "t", "cause": "zone lost", "missing_action": "move"},
    ),
}
ELSEWHERE = {"pack": "needs a shelf and a trusted key: tests/unit/runtime/api/test_packs.py"}
POOLS = ("node_pool", "node_pool_sku")
"""Tools that change what only the platform owns."""
LASTING = [name for name, (kind, _) in CASES.items() if CATALOGUE[kind].reversibility == "inverse"]


class Stage:
    """A bench with its cast, and shorthand for what a case does."""

    def __init__(self, bench, cast):
        self.bench, self.cast = bench, cast
        self.tools = bind_actions(bench.client)

    def proposal(self, tool, tenant=None, **changed):
        kind, arguments = CASES[tool]
        wanted = arguments(self.cast) | changed
        of_tenant = f"tenant/{self.cast.tenant}"
        addresses = {"throttle": of_tenant, "rebind": of_tenant, "ticket": f"environment/{PROD}"}
        if tool in POOLS:
            addresses[tool] = f"node_pool/{wanted['node_pool']}"
        if tool == "data_store":
            addresses[tool] = f"data_store/{wanted['data_store']}"
        target = EntityRef.parse(addresses.get(tool) or wanted.get("resource") or wanted["service"])
        owner = "platform" if tool in POOLS else self.cast.tenant
        return Proposal(
            kind=kind, arguments=wanted, target=target, tenant=tenant or owner, environment=PROD, proposer="sre",
            rationale="because",
        )  # fmt: skip

    async def command(self, tool, **changed):
        proposal = self.proposal(tool, **changed)
        return self.bench.command(proposal, await self.tools[tool].plan(proposal, at=self.bench.clock.now()))

    async def done(self, tool, **changed):
        command = await self.command(tool, **changed)
        await self.tools[tool].apply(command, grant=self.bench.issuer.grant(command))
        return command

    async def undone(self, tool, command):
        plan = await self.tools[tool].plan_undo(command, at=self.bench.clock.now())
        proposal = self.proposal(tool)
        undo = self.bench.command(proposal, plan, parent=command.id, role="undo")
        if undo.patches:
            await self.tools[tool].apply(undo, grant=self.bench.issuer.grant(undo))
        return undo

    async def live(self):
        return await self.bench.target.live(PROD)

    async def somebody_writes(self, *path, value):
        """Another actor changes desired state past our door."""
        service, *rest = path
        patch = Patch(op="set", path=("services", service, *rest), value=value)
        if isinstance(self.bench.target, SimulatedTarget):
            actuators.write_externally(self.bench.target._world, patch.path, value, "ci")
        else:
            self.bench.target.platform_writes.append(("ci", patch))
        await self.bench.services.convergence.reconcile()


async def small(folder, transport):
    store = DataStore(id=SMALL.store, tenant=SMALL.tenant, engine="postgres", region="west")
    topology = TOPOLOGY.model_copy(update={"data_stores": (store,)})
    state = STATE.model_copy(update={"data_stores": {SMALL.store: DataStoreState()}})
    bench = await make_bench(folder, lambda _: MemoryTarget(topology, state), TENANTS, transport=transport)
    return Stage(bench, SMALL)


async def simulated(folder, transport):
    world = World(SPEC, seed=3)
    clock = VirtualClock(world.now)
    bench = await make_bench(
        folder, lambda _: SimulatedTarget(world), world.spec.tenants, clock=clock, transport=transport
    )
    return Stage(bench, WORLD)


class LosesAnswers(httpx.AsyncBaseTransport):
    """Delivers every request; while `losing`, the answer to a write never arrives."""

    def __init__(self, inner):
        self.inner, self.losing = inner, False

    async def handle_async_request(self, request):
        response = await self.inner.handle_async_request(request)
        if self.losing and "Opsmesh-Grant" in request.headers:
            raise httpx.ReadError("connection reset", request=request)
        return response


@pytest.fixture(params=[small, simulated], ids=["memory", "simulated"])
async def stage(request, tmp_path):
    wires = []

    def transport(inner):
        wires.append(LosesAnswers(inner))
        return wires[0]

    stage = await request.param(tmp_path, transport)
    stage.wire = wires[0]
    await stage.somebody_writes(stage.cast.plain, "version", value="v9.9.9")
    await stage.somebody_writes(stage.cast.plain, "ingress_from", value=["10.0.0.0/8", "0.0.0.0/0"])
    for service, intent in ((stage.cast.plain, "run"), (stage.cast.scaled, "pause")):
        await stage.somebody_writes(service, "traffic", "release", value={"candidate": "v10", "intent": intent})
    yield stage
    await stage.bench.client.http.aclose()
    stage.bench.services.database.close()


every = pytest.mark.parametrize("tool", CASES)
lasting = pytest.mark.parametrize("tool", LASTING)


def test_every_action_of_its_own_has_a_case():
    """What RecordedAction runs differs in the runtime's operators only; they have their own tests."""
    assert {name for name, make in ACTIONS if make is not RecordedAction} - set(ELSEWHERE) <= set(CASES)


def test_every_action_is_named_by_the_catalogue():
    assert {name for name, _ in ACTIONS} <= {spec.tool for spec in CATALOGUE.values()}


@every
async def test_a_plan_says_what_would_change_and_changes_nothing(stage, tool):
    before = await stage.live()
    command = await stage.command(tool)
    assert command.preview
    touched = () if command.kind == "ticket.open" else (command.target.address,)
    assert command.affected.resources == touched
    assert await stage.live() == before
    assert (await stage.tools[tool].status(command)).status == "not_applied"


@every
async def test_applied_then_verified(stage, tool):
    command = await stage.command(tool)
    assert not await stage.tools[tool].verify(command)
    receipt = await stage.tools[tool].apply(command, grant=stage.bench.issuer.grant(command))
    assert (receipt.status, receipt.replayed) == ("applied", False)
    assert await stage.tools[tool].verify(command)
    assert (await stage.tools[tool].status(command)).status == "applied"


@every
async def test_twice_equals_once(stage, tool):
    command = await stage.command(tool)
    grant = stage.bench.issuer.grant(command)
    first = await stage.tools[tool].apply(command, grant=grant)
    live = await stage.live()
    again = await stage.tools[tool].apply(command, grant=grant)
    assert again == first.model_copy(update={"replayed": True})
    assert await stage.live() == live
    if tool != "ticket":  # a ticket is the runtime's own record: the target has no part in it
        assert stage.bench.target.effects(command.idempotency_key) == 1


@every
async def test_a_timeout_that_succeeded_is_recognised(stage, tool):
    command = await stage.command(tool)
    stage.wire.losing = True
    with pytest.raises(OutcomeUnknown):
        await stage.tools[tool].apply(command, grant=stage.bench.issuer.grant(command))
    stage.wire.losing = False
    assert (await stage.tools[tool].status(command)).status == "applied"
    assert await stage.tools[tool].verify(command)


@lasting
async def test_undo_restores_what_was_written(stage, tool):
    before = await stage.live()
    command = await stage.done(tool)
    assert await stage.live() != before
    undo = await stage.undone(tool, command)
    assert await stage.tools[tool].verify(undo)
    assert _services(await stage.live()) == _services(before)


@lasting
async def test_undo_leaves_alone_what_others_wrote_meanwhile(stage, tool):
    command = await stage.done(tool)
    await stage.somebody_writes(stage.cast.plain, "config", "log_level", value="debug")
    await stage.undone(tool, command)
    services = (await stage.live()).services
    assert services[stage.cast.plain].config["log_level"] == "debug"
    assert services[stage.cast.plain].version == "v9.9.9"


@pytest.mark.parametrize(
    ("tool", "path", "value"),
    [
        ("scale", ("replicas",), 9),
        ("rollback", ("version",), "v8"),
        ("configure", ("config", "timeout_ms"), "777"),
        ("resize", ("memory_mib",), 4096),
    ],
)
async def test_undo_stops_where_others_changed_the_same_field(stage, tool, path, value):
    command = await stage.done(tool)
    await stage.somebody_writes(stage.cast.plain, *path, value=value)
    with pytest.raises(Conflict) as caught:
        await stage.tools[tool].plan_undo(command, at=stage.bench.clock.now())
    assert caught.value.reason == "field_changed"


@pytest.mark.parametrize("tool", ["traffic_shift", "throttle"])
async def test_undo_stops_where_another_command_overrode_since(stage, tool):
    first = await stage.done(tool)
    other = {"rate_limit_rps": 10.0} if tool == "throttle" else {"region_weights": {stage.cast.regions[0]: 1.0}}
    await stage.done(tool, **other)
    with pytest.raises(Conflict):
        await stage.tools[tool].plan_undo(first, at=stage.bench.clock.now())


@pytest.mark.parametrize("tool", ["traffic_shift", "throttle"])
async def test_undo_of_an_override_gives_the_earlier_override_back(stage, tool):
    await stage.done(tool)
    between = await stage.live()
    other = {"rate_limit_rps": 10.0} if tool == "throttle" else {"region_weights": {stage.cast.regions[0]: 1.0}}
    second = await stage.done(tool, **other)
    await stage.undone(tool, second)
    assert await stage.live() == between


@pytest.mark.parametrize("tool", ["traffic_shift", "throttle"])
async def test_an_override_ends_by_itself_and_leaves_nothing_to_undo(stage, tool):
    before = await stage.live()
    command = await stage.done(tool)
    stage.bench.clock.advance(timedelta(hours=2))
    await stage.bench.services.convergence.reconcile()
    assert _services(await stage.live()) == _services(before)
    plan = await stage.tools[tool].plan_undo(command, at=stage.bench.clock.now())
    assert plan.patches == ()


@every
async def test_another_tenants_resource_is_as_if_missing(stage, tool):
    if tool == "ticket":
        return  # a ticket names no resource
    tools = stage.tools[tool]
    with pytest.raises(NotFound) as crossed:
        await tools.plan(stage.proposal(tool, tenant=stage.cast.stranger), at=stage.bench.clock.now())
    missing = {"tenant": "nobody"} if tool in {"throttle", "rebind"} else {"service": "nothing"}
    missing = {"node_pool": "nothing"} if tool in POOLS else missing
    missing = {"data_store": "nothing"} if tool == "data_store" else missing
    missing = {"resource": "service/nothing"} if tool == "remedy" else missing
    with pytest.raises(NotFound) as gone:
        await tools.plan(stage.proposal(tool, **missing), at=stage.bench.clock.now())
    assert str(crossed.value) == str(gone.value)


@lasting
async def test_a_command_that_would_change_nothing_is_invalid(stage, tool):
    await stage.done(tool)
    if tool in {"traffic_shift", "throttle"}:
        return  # the same override again begins and ends later: that is a change
    with pytest.raises(Invalid) as caught:
        await stage.command(tool)
    assert caught.value.reason == "no_change"


async def test_scaling_a_service_that_a_policy_owns_says_to_change_the_policy(stage):
    with pytest.raises(Invalid) as caught:
        await stage.command("scale", service=stage.cast.scaled)
    assert caught.value.reason == "field_owned"
    assert "policy" in str(caught.value)


async def test_a_version_that_never_ran_cannot_be_rolled_back_to(stage):
    with pytest.raises(Invalid) as caught:
        await stage.command("rollback", to_version="v0.0.1-unseen")
    assert caught.value.reason == "version_unknown"


async def test_a_key_that_was_not_there_is_taken_away_again(stage):
    command = await stage.done("configure", key="brand_new", value="1")
    undo = await stage.undone("configure", command)
    assert undo.patches[0].op == "remove"
    assert "brand_new" not in (await stage.live()).services[stage.cast.plain].config


def _services(state):
    return state.services, {t: s.rate_limit_rps for t, s in state.tenants.items() if s.rate_limit_rps is not None}
