"""The model against what is known exactly: M/M/c queues, the Kubernetes autoscaler, metastable retries.

Run as a program it prints the figures that docs/simulator.md quotes.
"""

import sys
from datetime import UTC, datetime
from math import ceil, exp

import numpy as np
import pytest

from domain.tenancy import Residency, RuntimeTenantBinding
from runtime.simulator.autoscaling import SCALE_UP_FACTOR, SCALE_UP_PODS, TOLERANCE, Autoscaler
from runtime.simulator.layout import build_layout
from runtime.simulator.physics import advance
from runtime.simulator.plant import PlantState
from runtime.simulator.queueing import erlang_c
from runtime.simulator.spec import NodePoolSpec, RegionSpec, ServiceSpec, WorldSpec

SERVERS = (1, 2, 4, 8, 16, 32, 64)
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
SERVICE_MS = 10.0


def station(servers: int, load: float) -> tuple[float, float]:
    """Mean and 95 % quantile of the response time (ms) that the whole step model settles at."""
    spec = WorldSpec(
        name="one", environment="prod", start=datetime(2026, 3, 2, tzinfo=UTC), chatter=False,
        regions=(RegionSpec(id="here", zones=("here-1",), grid_gco2e_per_kwh=100.0),),
        node_pools=(NodePoolSpec(id="shared-here", region="here", sku="D16s_v5", node_count=90, max_nodes=90),),
        tenants=(
            RuntimeTenantBinding(
                tenant="platform", environment="prod", isolation="shared", primary_region="here",
                residency=Residency(allowed_regions=("here",)), budget_usd_per_month=1.0,
            ),
        ),
        services=(
            ServiceSpec(
                id="one", tenant="platform", owner_team="t", regions=("here",), node_pool="shared", replicas=servers,
                cpu_millicores=1000, cpu_ms=SERVICE_MS, io_ms=0.0, workers=4096, memory_per_inflight_mib=0.0,
            ),
        ),
    )  # fmt: skip
    plant = build_layout(spec).plant
    state = PlantState.fresh(plant, np.array([float(servers)]))
    for _ in range(60):
        readings = advance(plant, state, np.array([servers * load * 1000.0 / SERVICE_MS]), 10.0)
    return float(readings.latency_mean_ms[0]), float(readings.latency_p95_ms[0])


def exact(servers: int, load: float) -> tuple[float, float]:
    """Mean and 95 % quantile of the M/M/c response time (ms)."""
    waits = erlang_c(servers, servers * load)
    mean = 1.0 + waits / (servers * (1.0 - load))
    spare = servers * (1.0 - load) - 1.0

    def above(t: float) -> float:
        extra = t if abs(spare) < 1e-9 else (1.0 - exp(-t * spare)) / spare
        return exp(-t) * (1.0 + waits * extra)

    low, high = 0.0, 1000.0
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if above(middle) > 0.05 else (low, middle)
    return mean * SERVICE_MS, low * SERVICE_MS


def grid() -> list[tuple[int, float, float, float]]:
    """(servers, load, relative error of the mean, of the 95 % quantile)."""
    rows = []
    for servers in SERVERS:
        for load in LOADS:
            modelled, true = station(servers, load), exact(servers, load)
            rows.append((servers, load, modelled[0] / true[0] - 1.0, modelled[1] / true[1] - 1.0))
    return rows


class Hpa:
    """The autoscaler as its documentation tells it, one workload, one evaluation each 15 s, written without arrays."""

    def __init__(self) -> None:
        self.recommended: list[int] = []

    def decide(self, current: int, utilisation: float, target: float, low: int, high: int, window: int) -> int:
        ratio = utilisation / target
        wanted = current if abs(ratio - 1.0) <= TOLERANCE else ceil(current * ratio - 1e-9)
        wanted = min(wanted, max(int(current * SCALE_UP_FACTOR), current + int(SCALE_UP_PODS)))
        wanted = min(max(wanted, low), high)
        self.recommended.append(wanted)
        highest = max(self.recommended[-(window // 15) :])
        return wanted if wanted >= current else min(current, highest)


def disagreements(seed: int, steps: int = 400, columns: int = 50) -> int:
    """Evaluations in which array and plain autoscaler differ, on random loads with jumps."""
    rng = np.random.default_rng(seed)
    low, high = rng.integers(1, 4, columns), rng.integers(5, 60, columns)
    load = rng.uniform(1.0, 20.0, columns)
    scaler, plain = Autoscaler(15.0), [Hpa() for _ in range(columns)]
    current, wrong = low.astype(np.float64), 0
    for _ in range(steps):
        load = np.clip(
            load * np.exp(rng.normal(0.0, 0.1, columns)) * rng.choice([1.0, 1.0, 1.0, 0.4, 2.5], columns), 0.1, 40
        )
        used = load / current
        arrays = scaler.decide(current, used, np.full(columns, 0.6), low * 1.0, high * 1.0, np.full(columns, 300.0))
        words = [
            hpa.decide(int(current[k]), float(used[k]), 0.6, int(low[k]), int(high[k]), 300)
            for k, hpa in enumerate(plain)
        ]
        wrong += int((arrays != np.array(words)).sum())
        current = arrays
    return wrong


@pytest.fixture(scope="module")
def errors() -> list[tuple[int, float, float, float]]:
    return grid()


def test_mean_response_times_are_those_of_m_m_c(errors: list[tuple[int, float, float, float]]):
    assert max(abs(mean) for _, _, mean, _ in errors) < 0.03


def test_quantiles_of_response_times_are_near_those_of_m_m_c(errors: list[tuple[int, float, float, float]]):
    """The lognormal has two moments only; its 95 % quantile may be off by a tenth."""
    assert max(abs(p95) for _, _, _, p95 in errors) < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_the_autoscaler_decides_as_the_kubernetes_one(seed: int):
    assert disagreements(seed) == 0


if __name__ == "__main__":
    for column, name in ((2, "mean"), (3, "p95")):
        sys.stdout.write(f"{name}: relative error, rows c, columns rho {LOADS}\n")
        for servers in SERVERS:
            cells = [row[column] for row in grid() if row[0] == servers]
            sys.stdout.write(f"{servers:3d} | " + " | ".join(f"{100 * c:+.1f} %" for c in cells) + "\n")
    sys.stdout.write(f"autoscaler: {sum(disagreements(s) for s in range(10))} of {10 * 400 * 50} decisions differ\n")
