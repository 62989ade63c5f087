"""One run of the twin over the horizon: fitted plant, guesses about what was not read, and the command's hand on it."""

from dataclasses import dataclass, fields, replace

import numpy as np

from runtime.simulator.fit import Fitted, fresh_state, install
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live
from runtime.simulator.physics import advance
from runtime.simulator.plant import Plant, Readings
from runtime.simulator.pricing import FULL_W_PER_CORE, IDLE_W_PER_CORE, PUE
from runtime.simulator.queueing import Floats
from runtime.simulator.twin_arms import SCALING_INTERVAL_S, Arm, Fleet, admitted, strike

STEP_S = 10.0


@dataclass(slots=True)
class Totals:
    """What one run came to, or the difference of two."""

    attainment: float
    p95_ms: float
    errors: float
    cost_usd_per_hour: float
    carbon_g_per_hour: float

    def minus(self, other: "Totals") -> "Totals":
        """Field by field."""
        return Totals(**{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(self)})


@dataclass(slots=True)
class Guess:
    """One draw of what readings cannot tell; both arms of a comparison get the same."""

    cpu: Floats
    io: Floats
    demand: Floats
    """(steps, workloads) multipliers."""
    startup_s: float
    scaling_lag_s: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, size: int, horizon_s: int, quality: float) -> "Guess":
        """Spreads: 4 % on fitted work and 8 % on delay where the fit is perfect, wider as it is worse."""
        doubt = 1.0 + 5.0 * (1.0 - quality)
        steps = max(1, round(horizon_s / STEP_S))
        level = rng.normal(0.0, 0.03, size)
        wander = np.cumsum(rng.normal(0.0, 0.006, (steps, size)), axis=0)
        return cls(
            cpu=np.exp(rng.normal(0.0, 0.04 * doubt, size)),
            io=np.exp(rng.normal(0.0, 0.08 * doubt, size)),
            demand=np.exp(level + wander),
            startup_s=float(rng.uniform(20.0, 60.0)),
            scaling_lag_s=float(rng.choice([0.0, 30.0, 60.0])),
        )


@dataclass(slots=True)
class Run:
    """What both arms share."""

    layout: Layout
    live: Live
    fitted: Fitted
    price: Floats
    focus: list[int]


def run(shared: Run, guess: Guess, arm: Arm, horizon_s: int) -> Totals:
    """Run one arm and sum it up: attainment over the horizon, the rest over its last third."""
    fitted = shared.fitted
    layout = replace(shared.layout, plant=_guessed(shared, guess))
    live = Live(layout, dict(shared.live.services), touched=set(shared.live.touched))
    fleet = Fleet(fitted.ready.copy(), fitted.desired.copy(), fitted.missing, guess.startup_s, guess.scaling_lag_s)
    state = fresh_state(live.plant(0.0), fitted)
    strike(arm, live, state, fleet)
    plant, scaling, share = live.plant(0.0), live.scaling(), live.entry_share()
    tally = _Tally(shared, layout)
    for k in range(max(1, round(horizon_s / STEP_S))):
        at_s = k * STEP_S
        if live.dirty:
            plant = live.plant(at_s)
        state.ready = fleet.step(at_s)
        demand = admitted(arm, fitted.demand * share * guess.demand[k], layout)
        readings = advance(plant, state, demand, STEP_S)
        if at_s % SCALING_INTERVAL_S == 0:
            fleet.scale(readings.cpu_cores, plant.cores, scaling)
        tally.add(readings, fleet.desired * plant.cores, late=at_s >= horizon_s * 2.0 / 3.0)
    return tally.totals()


def _guessed(shared: Run, guess: Guess) -> Plant:
    plant = shared.layout.plant.copy()
    install(plant, shared.fitted)
    plant.cpu_ms = plant.cpu_ms * guess.cpu
    plant.io_ms = plant.io_ms * guess.io
    return plant


class _Tally:
    """Sums of one run; `focus` columns for service levels, all columns for cost and carbon."""

    def __init__(self, shared: Run, layout: Layout) -> None:
        self._shared = shared
        regions = layout.spec.regions
        self._grid = np.array([regions[int(r)].grid_gco2e_per_kwh for r in layout.region_of])
        self._own = np.array([not s.external for s in layout.rows])
        self._good = self._requests = 0.0
        self._late: list[tuple[float, float, float, float]] = []

    def add(self, readings: Readings, requested: Floats, *, late: bool) -> None:
        """Take one step in."""
        focus = self._shared.focus
        rate = readings.request_rate[focus] + 1e-9
        bad = 1.0 - (1.0 - readings.error_share[focus]) * (1.0 - readings.slow_share[focus])
        self._good += float((rate * (1.0 - bad)).sum())
        self._requests += float(rate.sum())
        if not late:
            return
        watts = requested * IDLE_W_PER_CORE + readings.cpu_cores * (FULL_W_PER_CORE - IDLE_W_PER_CORE)
        self._late.append((
            float((rate * readings.latency_p95_ms[focus]).sum() / rate.sum()),
            float((rate * readings.error_share[focus]).sum() / rate.sum()),
            float((requested * self._shared.price)[self._own].sum()),
            float((watts * PUE / 1000.0 * self._grid)[self._own].sum()),
        ))  # fmt: skip

    def totals(self) -> Totals:
        """The run's sums."""
        p95, errors, cost, carbon = (float(np.mean(column)) for column in zip(*self._late, strict=True))
        return Totals(self._good / max(self._requests, 1e-9), p95, errors, cost, carbon)
