"""How fast a world runs and how its time grows with the number of services: vectorised over services, looped over time.

Time is CPU time of this process, so that a busy machine does not count; each size reports its best of several batches.
"""

from time import process_time

from evals.bench_figures import Figure
from runtime.simulator import faults
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch

SIZES = (10, 100, 1000, 5000)
STEPS_PER_DAY = 8640
BATCHES, BATCH_STEPS = 6, 40
LIVE_FAULTS = ("deploy_latency", "traffic_surge", "dependency_slow", "config_regression", "pool_exhaustion")


def simulator_speed() -> list[Figure]:
    """Return seconds per simulated day (10 s steps, five live faults) for each size."""
    return [_day(size) for size in SIZES]


def _day(size: int) -> Figure:
    spec = random_world(1, services=size, paired=False).model_copy(update={"retention_steps": 400})
    world = launch(spec, seed=3)
    for _ in range(30):
        world.step()
    for name in LIVE_FAULTS:
        faults.inject(world, faults.draw(world, name, 5))
    costs: list[float] = []
    for _ in range(BATCHES):
        began = process_time()
        for _ in range(BATCH_STEPS):
            world.step()
        costs.append((process_time() - began) / BATCH_STEPS)
    steps_per_s = 1.0 / min(costs)
    note = f"{steps_per_s:,.0f} steps/s, {len(LIVE_FAULTS)} live faults; target 10 s at 1,000 services"
    return Figure(f"simulated day, {size} services", STEPS_PER_DAY * min(costs), "s", note)
