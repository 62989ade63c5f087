"""The world's life does not change when it is made faster: one recorded hour of the demo world, with faults, holds.

Who changes physics on purpose writes the record again: run this file as a program.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.record import launch

RECORD = Path(__file__).with_name("trajectory.json")
CHANNELS = ("request_rate", "latency_p95_ms", "error_share", "cpu_cores", "memory_mib", "replicas_ready")
STRUCK = ("deploy_leak", "dependency_slow", "traffic_surge")


def live_through() -> dict[str, list[list[float]]]:
    """Five-minute means of every workload's channels over an hour, faults striking at half time."""
    world = launch(demo_world().model_copy(update={"retention_steps": 400}), seed=5)
    world.advance(world.now + timedelta(minutes=30))
    for name in STRUCK:
        faults.inject(world, faults.draw(world, name, 1))
    world.advance(world.now + timedelta(minutes=30))
    steps, columns = world.history.rows(0, 360), list(range(world.layout.size))
    return {
        channel: world.history.truth(channel, steps, columns).reshape(12, 30, -1).mean(axis=1).tolist()
        for channel in CHANNELS
    }


@pytest.fixture(scope="module")
def lived() -> dict[str, list[list[float]]]:
    return live_through()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_recorded_hour_is_lived_again(lived: dict[str, list[list[float]]], channel: str):
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    np.testing.assert_allclose(lived[channel], recorded[channel], rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    kept = {channel: np.round(values, 7).tolist() for channel, values in live_through().items()}
    RECORD.write_text(json.dumps(kept), encoding="utf-8")
    sys.stdout.write(f"{RECORD} written\n")
