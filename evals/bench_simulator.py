"""How fast a world runs and how its time grows with the number of services: vectorised over services, looped over time.

Time is CPU time of this process, so that waiting for a busy machine does not count. A world keeps the last 400 steps of
all its metrics; its events are taken as they come; all faults stay live from the fifth minute on.
"""

from time import process_time

from evals.bench_figures import Figure
from runtime.simulator import faults
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch
from runtime.simulator.world import World

STEPS_PER_DAY = 8640
STEPS = {10: STEPS_PER_DAY, 100: STEPS_PER_DAY, 1000: STEPS_PER_DAY, 5000: STEPS_PER_DAY // 12}
"""Steps really run per size; the largest world runs two hours, scaled to a day."""
LIVE_FAULTS = ("deploy_latency", "traffic_surge", "dependency_slow", "config_regression", "pool_exhaustion")
TARGET = {1000: "; target 10 s"}


def simulator_speed() -> list[Figure]:
    """Return seconds per simulated day (10 s steps, events, autoscalers, five live faults) for each size."""
    return [_day(size, steps) for size, steps in STEPS.items()]


def _day(size: int, steps: int) -> Figure:
    world = launch(random_world(1, services=size, paired=False).model_copy(update={"retention_steps": 400}), seed=3)
    for _ in range(30):
        world.step()
    for name in LIVE_FAULTS:
        faults.inject(world, faults.draw(world, name, 5))
    began = process_time()
    events = _run(world, steps)
    seconds = (process_time() - began) * STEPS_PER_DAY / steps
    whole = "a whole day" if steps == STEPS_PER_DAY else f"{steps} steps, scaled to a day"
    note = f"{whole}: {events} events, {len(LIVE_FAULTS)} live faults{TARGET.get(size, '')}"
    return Figure(f"simulated day, {size} services", seconds, "s", note)


def _run(world: World, steps: int) -> int:
    """Live through that many steps, draining events every six; returns how many there were."""
    events = 0
    for k in range(steps):
        world.step()
        if k % 6 == 0:
            events += len(world.journal.drain(world.elapsed_s))
    return events
