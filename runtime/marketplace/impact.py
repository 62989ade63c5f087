"""What a state costs and emits per hour, from list prices and the machines' power alone: for previews, not for bills.

A service is priced from the floor to the cap of its replicas, each a share of its pools' machines by requested CPU.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from domain.desired import EnvironmentState, ServiceState
from domain.errors import Unavailable
from domain.packs import Between, PackImpact
from domain.topology import NodePool, Topology
from runtime.bills.add_ons import usd_per_hour
from runtime.grid.ports import GridIntensity
from runtime.simulator.pricing import carbon_g_per_hour

USED = 0.5
"""Share of the requested cores in use: where autoscaling at its usual targets (0.45 to 0.7) holds them."""


async def known_grids(energy: GridIntensity | None, regions: Iterable[str], at: datetime) -> dict[str, float]:
    """Return gCO2e per kWh by region, without those that nobody knows."""
    found: dict[str, float] = {}
    if energy is None:
        return found
    for region in sorted(set(regions)):
        try:
            found[region] = (await energy.at(region, at)).location_g_per_kwh
        except Unavailable:
            continue  # carbon is not told, rather than a preview refused
    return found


def impact_of(
    before: EnvironmentState, after: EnvironmentState, topology: Topology, grid_gco2e_per_kwh: Mapping[str, float]
) -> PackImpact:
    """Compare two states of a tenant. `grid_gco2e_per_kwh` is by region; where one is missing carbon is not told."""
    return PackImpact(
        cost_usd_per_hour_before=_cost(before, topology),
        cost_usd_per_hour_after=_cost(after, topology),
        carbon_g_per_hour_before=_carbon(before, topology, grid_gco2e_per_kwh),
        carbon_g_per_hour_after=_carbon(after, topology, grid_gco2e_per_kwh),
    )


def _cost(state: EnvironmentState, topology: Topology) -> Between:
    low = high = 0.0
    for name, service in state.services.items():
        pools = _pools(name, topology)
        floor, cap = _replicas(service)
        per_replica = sum(
            service.cpu_millicores / pool.cpu_millicores_per_node * pool.cost_usd_per_node_hour for pool in pools
        )
        extras = usd_per_hour(service, max(len(pools), 1))
        low, high = low + floor * per_replica + extras, high + cap * per_replica + extras
    return Between(low=low, high=high)


def _carbon(state: EnvironmentState, topology: Topology, grid: Mapping[str, float]) -> Between | None:
    low = high = 0.0
    for name, service in state.services.items():
        floor, cap = _replicas(service)
        cores = service.cpu_millicores / 1000.0
        for pool in _pools(name, topology):
            if pool.region not in grid:
                return None
            per_replica = carbon_g_per_hour(cores, USED * cores, grid[pool.region])
            low, high = low + floor * per_replica, high + cap * per_replica
    return Between(low=low, high=high)


def _replicas(service: ServiceState) -> tuple[int, int]:
    if service.scaling is not None and service.scaling.enabled:
        return service.scaling.min_replicas, service.scaling.max_replicas
    return service.replicas, service.replicas


def _pools(service: str, topology: Topology) -> list[NodePool]:
    under = {e.target for e in topology.edges if e.kind == "runs_on" and e.source == f"service/{service}"}
    return [pool for pool in topology.node_pools if f"node_pool/{pool.id}" in under]
