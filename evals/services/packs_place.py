"""Two lives of the demo world that differ in one thing: the packs that were installed at its start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from domain.changes import Patch
from domain.desired import DesiredState, apply_patches
from domain.errors import Invalid
from domain.ids import PLATFORM, CommandId, TenantId
from domain.packs import PackPlanBody
from runtime.marketplace.envelope import public_key
from runtime.marketplace.market import Market, market_at
from runtime.marketplace.shelf import SHIPPED
from runtime.scope import TenantView
from runtime.simulator import actuators, readers
from runtime.simulator.demo import TENANTS, demo_world
from runtime.simulator.flow import Ints
from runtime.simulator.verdict import slo_minutes_lost
from runtime.simulator.world import World

SETTLE = timedelta(minutes=20)
"""Caches warm up and autoscalers find their level before anything is measured."""
Parameters = Mapping[str, bool | int | float | str]


def trusting_market(folder: Path) -> Market:
    """Return a marketplace in which every tenant trusts the key of the packs that come with Opsmesh."""
    market, key = market_at(folder), public_key((SHIPPED / "publisher.pem").read_bytes())
    for binding in TENANTS:
        market.trust.trust(binding.tenant, "opsmesh", key, demo_world().start)
    return market


def install(world: World, market: Market, pack: str, parameters: Parameters | None = None) -> int:
    """Install a pack for every tenant for which it finds something to do; returns how many."""
    done = 0
    for tenant in [b.tenant for b in TENANTS if b.tenant != PLATFORM]:
        try:
            patches = _patches(world, market, tenant, pack, parameters or {})
        except Invalid as error:
            if error.reason != "pack_does_nothing":
                raise
            continue
        after = apply_patches(_document(world), patches, command=CommandId("c"), at=world.now)
        actuators.apply_desired(world, after.base, f"{pack}:{tenant}")
        done += 1
    return done


def _patches(world: World, market: Market, tenant: TenantId, pack: str, parameters: Parameters) -> Sequence[Patch]:
    view = TenantView(tenant, readers.topology(world), TENANTS)
    asked = PackPlanBody.model_validate(
        {"kind": "pack.install", "arguments": {"pack": pack, "parameters": dict(parameters)}}
    )
    return market.plan(asked, tenant, view, _document(world), world.now, {}).patches


def _document(world: World) -> DesiredState:
    return DesiredState(environment=world.spec.environment, tenant=PLATFORM, version=1, base=world.environment_state())


@dataclass(frozen=True, slots=True)
class Life:
    """What was measured over one life."""

    world: World
    since_s: float

    @property
    def slo_minutes(self) -> float:
        """Service minutes beyond a gate."""
        return slo_minutes_lost(self.world, self.since_s)

    @property
    def cost_usd_per_hour(self) -> float:
        """Replicas at list prices, and add-ons."""
        rows = self._rows()
        every = list(range(self.world.layout.size))
        replicas = float(self.world.history.truth("cost_usd_per_hour", rows, every).sum(axis=1).mean())
        return replicas + self.world.add_ons.spent_usd / (self.world.elapsed_s / 3600.0)

    def rate(self, service: str) -> float:
        """Requests per second that reached a service, mean over all regions."""
        columns = self.world.layout.columns(service)
        return float(self.world.history.truth("request_rate", self._rows(), columns).sum(axis=1).mean())

    def _rows(self) -> Ints:
        history = self.world.history
        return history.rows(round(self.since_s / self.world.spec.step_s), history.count)


def live(
    seed: int, folder: Path, packs: Sequence[tuple[str, Parameters]], happens: Callable[[World], None],
    minutes: float = 60.0,
) -> Life:  # fmt: skip
    """Live through an hour in which something happens, with these packs from the start."""
    world = World(demo_world().model_copy(update={"chatter": False}), seed)
    market = trusting_market(folder)
    for pack, parameters in packs:
        install(world, market, pack, parameters)
    world.advance(world.now + SETTLE)
    since_s = world.elapsed_s
    happens(world)
    world.advance(world.now + timedelta(minutes=minutes))
    return Life(world, since_s)
