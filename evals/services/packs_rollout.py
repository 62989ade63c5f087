"""Rollouts of packs: one that makes things worse is taken back from the canary and reaches nobody else; one that does
not reaches everybody who trusts it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from domain.desired import DesiredState, PackState, apply_patches
from domain.ids import PLATFORM, CommandId, EnvironmentId, PrincipalId, TenantId
from domain.packs import PackPlanBody
from domain.releases import ServiceReading
from domain.runtime_api import OperationRecord, Progress
from evals.service_cases import Case, Check, Measured
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import operations, state
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.marketplace.bundle import write_bundle
from runtime.marketplace.envelope import key_of
from runtime.marketplace.manifest import CASES as TESTS
from runtime.marketplace.manifest import CONTENT, DRAFT
from runtime.marketplace.market import Market, market_at
from runtime.marketplace.publishing import published, started
from runtime.marketplace.rolling import Rolling
from runtime.marketplace.rollouts import ROLLOUTS, Rollout
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.ports import TrafficPlane
from runtime.scope import TenantView
from runtime.simulator.demo import TENANTS, demo_world
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from runtime.targets.traffic import SimulatedTraffic
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

TURN = timedelta(seconds=30)
WARM = timedelta(minutes=40)
"""The judge wants a quarter of an hour before the upgrade; caches and autoscalers settle before that."""
LONGEST = timedelta(minutes=90)
KEY = key_of(bytes([7]) * 32)
PACK, CANARY = "front-sizing", TenantId("acme-retail")
OTHERS = (TenantId("borealis-media"), TenantId("cinder-logistics"))
GOOD, BAD = (2, 8, 0.55), (1, 1, 0.95)
"""Replicas at least and at most, and the CPU use to hold: the bad version starves whoever takes it."""


def pack_version(number: str, level: tuple[int, int, float]) -> tuple[str, dict[str, bytes]]:
    """Return a version of one scaling pack, signed."""
    least, most, use = level
    source = started(PACK, "scaling_policy")
    policy = {"min_replicas": least, "max_replicas": most, "target_cpu_utilisation": "${level}"}
    draft = json.loads(source[DRAFT]) | {"version": number}
    draft["parameters"]["level"]["default"] = use
    rule = {
        "section": "services",
        "select": {"archetypes": ["frontend", "api"]},
        "set": {"scaling": policy},
        "why": "Fronts.",
    }
    tests = json.loads(source[TESTS])
    tests["cases"][0]["expect"] = {"services/web/scaling/max_replicas": most}
    changed = {DRAFT: draft, CONTENT: {"rules": [rule]}, TESTS: tests}
    files = source | {name: json.dumps(body).encode() for name, body in changed.items()}
    return number, published(files, KEY)[1]


class Flattering(SimulatedTraffic):
    """A plane that tells of every window what was measured before anything was changed: the planted break."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._until = world.now

    async def served(self, environment: EnvironmentId, service: str, start: datetime, end: datetime) -> ServiceReading:
        """Return an earlier window of the same length."""
        earlier = max(end - self._until, timedelta(0))
        return await super().served(environment, service, start - earlier, end - earlier)


@dataclass(slots=True)
class Place:
    """A runtime over the demo world in which everybody has the pack."""

    world: World
    clock: VirtualClock
    parts: RuntimeParts
    convergence: Convergence
    market: Market

    async def live(self, span: timedelta, until: Callable[["Place"], bool] = lambda _: False) -> None:
        """Let world, target and operation go on, half a minute at a time."""
        ends = self.world.now + span
        while self.world.now < ends and not until(self):
            self.world.advance(self.world.now + TURN)
            self.clock.move_to(self.world.now)
            await self.convergence.reconcile()

    def desired(self) -> DesiredState:
        """The newest document."""
        with self.parts.database.read() as connection:
            return state.current(connection, self.world.spec.environment)

    def pack(self, tenant: TenantId) -> PackState:
        """What a tenant has installed."""
        return self.desired().base.tenants[tenant].packs[PACK]

    def rollout(self) -> Rollout:
        """Where the one rollout stands."""
        with self.parts.database.read() as connection:
            return ROLLOUTS.list(connection, self.world.spec.environment)[0].body

    def touched(self, tenant: TenantId) -> int:
        """Versions of the document in which the tenant's pack is another than before."""
        with self.parts.database.read() as connection:
            kept = state.versions(connection, self.world.spec.environment, after=0, limit=1000)
        held = [v.desired.base.tenants[tenant].packs.get(PACK) for v in kept if tenant in v.desired.base.tenants]
        return sum(a != b for a, b in pairwise(held) if a is not None)

    def begin(self) -> None:
        """Accept the rollout as the door does once it is approved."""
        arguments: dict[str, JsonValue] = {
            "pack": PACK, "version": "1.1.0", "tenants": list[JsonValue]((CANARY, *OTHERS)), "bake_s": 600,
        }  # fmt: skip
        record = OperationRecord(
            id="rollout", tenant=PLATFORM, environment=self.world.spec.environment, idempotency_key="k",
            kind="pack.upgrade", target=f"pack/{PACK}", arguments=arguments, actor=PrincipalId("executor"),
            accepted_at=self.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip
        with self.parts.database.begin() as connection:
            operations.add(connection, record)

    def ended(self) -> bool:
        """Tell whether the operation has ended."""
        with self.parts.database.read() as connection:
            return not operations.open_ones(connection)


async def place_of(
    seed: int, folder: Path, newer: tuple[int, int, float], measures: Callable[[World], TrafficPlane]
) -> Place:
    """Open a place that has lived with version 1.0.0, with 1.1.0 on the shelf and the last tenant's trust revoked."""
    world = World(demo_world().model_copy(update={"chatter": False}), seed)
    market = market_at(folder)
    for number, bundle in (pack_version("1.0.0", (2, 6, 0.6)), pack_version("1.1.0", newer)):
        write_bundle(bundle, folder / "marketplace" / "packs" / PACK / number)
    for tenant in (CANARY, *OTHERS):
        market.trust.trust(tenant, "maker", KEY.public_key().public_bytes_raw(), world.now)
    database, clock, target = Database(f"sqlite:///{folder / 'runtime.db'}"), VirtualClock(world.now), None
    create_runtime_tables(database.engine)
    target = SimulatedTarget(world)
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=1), entropy=OsEntropy(), target=target,
        planes=Planes(), home=folder, tell=Silent(),
    )  # fmt: skip
    place = Place(world, clock, parts, Convergence(database, clock, EmbeddedEngine(target, clock), target, {}), market)
    with database.begin() as connection:
        state.register(connection, world.spec.environment, TENANTS, world.environment_state(), at=clock.now())
    topology = await target.topology(world.spec.environment)
    for tenant in (CANARY, *OTHERS):
        _install(place, TenantView(tenant, topology, TENANTS), tenant)
    await place.live(WARM)
    market.trust.revoke(OTHERS[-1], "maker", world.now)
    place.parts = RuntimeParts(
        database=database, clock=clock, ids=parts.ids, entropy=parts.entropy, target=target,
        planes=Planes(traffic=measures(world)), home=folder, tell=Silent(),
    )  # fmt: skip
    place.convergence = Convergence(
        database, clock, EmbeddedEngine(target, clock), target, {"pack.upgrade": Rolling(place.parts)}
    )
    return place


class Silent:
    """Takes events and keeps none."""

    def tell(self, tenant: TenantId, event: object) -> None:
        """Take an event."""


def _install(place: Place, view: TenantView, tenant: TenantId) -> None:
    asked = PackPlanBody.model_validate(
        {"kind": "pack.install", "arguments": {"pack": PACK, "version": "1.0.0", "parameters": {}}}
    )
    desired, at = place.desired(), place.clock.now()
    plan = place.market.plan(asked, tenant, view, desired, at, {})
    after = apply_patches(desired, plan.patches, command=CommandId("c"), at=at)
    with place.parts.database.begin() as connection:
        state.append(connection, after, actor=PrincipalId("executor"), key=None, at=at)


async def _rolled(
    seed: int, folder: Path, newer: tuple[int, int, float], measures: Callable[[World], TrafficPlane]
) -> Place:
    place = await place_of(seed, folder, newer, measures)
    place.begin()
    await place.live(LONGEST, until=Place.ended)
    await place.live(TURN * 2)
    return place


async def _worse(seed: int, folder: Path, measures: Callable[[World], TrafficPlane] = SimulatedTraffic) -> Measured:
    place = await place_of(seed, folder, BAD, measures)
    before = {t: (place.pack(t), _own(place, t)) for t in (CANARY, *OTHERS)}
    others, began = sum(place.touched(t) for t in OTHERS), place.world.now
    place.begin()
    await place.live(LONGEST, until=Place.ended)
    minutes = (place.world.now - began).total_seconds() / 60.0
    await place.live(TURN * 2)
    rollout = place.rollout()
    same = sum((place.pack(t), _own(place, t)) == held for t, held in before.items())
    live = place.world.environment_state().services
    follows = all(live[name].scaling == held.scaling for name, held in place.desired().base.services.items())
    return Measured(
        checks=(
            Check(name="taken back", value=float(rollout.parts[0].phase == "rolled_back"), bound=1.0),
            Check(name="tenants as they were before", value=float(same), bound=3.0),
            Check(name="times another tenant was touched", bound=0.0,
                  value=float(sum(place.touched(t) for t in OTHERS) - others)),
            Check(name="the target follows back", value=float(follows), bound=1.0),
            Check(name="minutes until it was taken back", value=minutes, bound=15.0, at="most"),
        ),
        figures={"bake_minutes": 10.0},
        reference="the state before, field by field; a bake of ten minutes",
    )  # fmt: skip


def _own(place: Place, tenant: TenantId) -> Mapping[str, object]:
    own = {s.id for s in place.world.spec.services if s.tenant == tenant}
    return {name: held.scaling for name, held in place.desired().base.services.items() if name in own}


async def _fine(seed: int, folder: Path, newer: tuple[int, int, float] = GOOD) -> Measured:
    place = await _rolled(seed, folder, newer, SimulatedTraffic)
    rollout = place.rollout()
    phases = [p.phase for p in rollout.parts]
    return Measured(
        checks=(
            Check(name="canary and the one who trusts it upgraded", value=float(phases.count("upgraded")), bound=2.0),
            Check(name="the one who revoked the key held, and told why", bound=1.0,
                  value=float(phases[-1] == "held" and "pack_key_revoked" in rollout.detail)),
            Check(name="its version stays", value=float(place.pack(OTHERS[-1]).version == "1.0.0"), bound=1.0),
        ),
        figures={"looks": float(sum(p.looks for p in rollout.parts))},
        reference="whom each tenant trusts",
    )  # fmt: skip


async def _worse_unseen(seed: int, folder: Path) -> Measured:
    return await _worse(seed, folder, Flattering)


async def _fine_but_bad(seed: int, folder: Path) -> Measured:
    return await _fine(seed, folder, BAD)


CASES: tuple[Case, ...] = (
    Case("packs-rollout-worse", "marketplace", "an upgrade that starves the canary is taken back and reaches nobody",
         _worse, _worse_unseen, "the judge is told what was measured before"),
    Case("packs-rollout-fine", "marketplace", "an upgrade that harms nobody reaches those who trust it", _fine,
         _fine_but_bad, "the new version starves whoever takes it"),
)  # fmt: skip
