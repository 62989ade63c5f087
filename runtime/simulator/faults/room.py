"""How much room the node pools have: what faults that add or move replicas may take without starving anybody."""

import numpy as np

from runtime.simulator.queueing import Floats
from runtime.simulator.world import World

# Of the free cores a fault takes at most this share; the rest is what everybody else scales into.
TAKEN = 0.7


def _free(world: World) -> Floats:
    """(pools, zones) cores that nobody has requested."""
    requested = world.cluster.running * world.plant.cores[:, None]
    used = np.stack([np.bincount(world.layout.pool_of, zone, len(world.layout.pools)) for zone in requested.T], axis=1)
    return np.maximum(world.cluster.pool_cores - used, 0.0)


def replicas_that_fit(world: World, service: str) -> int:
    """Further replicas per region that a service can be given."""
    columns, free = world.layout.columns(service), _free(world)
    pools = world.layout.pool_of[columns]
    # Zones fill unevenly, so the fullest one bounds an even spread.
    return int((TAKEN * free[pools].min(axis=1) * free.shape[1] / world.plant.cores[columns]).min())


def fits_in_one_zone(world: World, service: str) -> bool:
    """Whether the first zone of each region could hold all the replicas a service may come to have."""
    columns, free = world.layout.columns(service), _free(world)
    state = world.live.services[service]
    most = state.scaling.max_replicas if state.scaling else state.replicas
    cores = world.plant.cores[columns]
    there = world.cluster.running[columns, 0] * cores
    return bool((free[world.layout.pool_of[columns], 0] + there >= most * cores).all())


def usd_per_replica_hour(world: World, service: str) -> float:
    """What one replica in each of a service's regions costs in an hour."""
    one = world.billing.rate(np.ones(world.layout.size), world.plant.cores)
    return float(one[world.layout.columns(service)].sum())
