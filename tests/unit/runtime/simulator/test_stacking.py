"""Plants side by side do exactly what they do alone."""

from dataclasses import fields

import numpy as np
import pytest

from runtime.simulator.physics import advance
from runtime.simulator.plant import PlantState
from runtime.simulator.stacking import stacked
from runtime.simulator.world import World


def test_stacked_plants_run_as_they_do_alone(world: World):
    calm = world.plant.copy()
    busy = world.plant.copy()
    busy.cpu_ms = busy.cpu_ms * 1.4
    busy.route = busy.route * np.linspace(0.2, 1.0, len(busy.route))
    busy.pool_cores = busy.pool_cores * 0.4
    ready, demand = world.cluster.ready, world.demand.at(world.now, world.share, world.throttle_rps)
    both = stacked([calm, busy])
    together = PlantState.fresh(both, np.tile(ready, 2))
    apart = [PlantState.fresh(plant, ready) for plant in (calm, busy)]
    for _ in range(20):
        one = advance(both, together, np.tile(demand, 2), 10.0)
        two = [advance(plant, state, demand, 10.0) for plant, state in zip((calm, busy), apart, strict=True)]
    for field in (f for f in fields(one) if getattr(one, f.name) is not None):
        alone = np.concatenate([getattr(readings, field.name) for readings in two])
        assert getattr(one, field.name) == pytest.approx(alone), field.name
    assert not np.allclose(two[0].latency_p95_ms, two[1].latency_p95_ms)
