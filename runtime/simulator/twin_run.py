"""Runs of the twin over the horizon: fitted plant, guesses about what was not read, with and without the command.

All guesses and both arms are columns of one stacked plant, so a rehearsal costs one loop over time. Arrays are laid out
as (arms, draws, workloads); arm 0 does nothing, arm 1 carries the command out, and both share every guess.
"""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.fit import Fitted, fresh_state, install
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live, Scaling
from runtime.simulator.physics import advance
from runtime.simulator.plant import Plant, Readings
from runtime.simulator.prepared import Prepared
from runtime.simulator.pricing import FULL_W_PER_CORE, IDLE_W_PER_CORE, PUE
from runtime.simulator.queueing import Floats
from runtime.simulator.stacking import stacked
from runtime.simulator.twin_arms import ARMS, SCALING_INTERVAL_S, STEP_S, Arm, Fleet, Side, strike

# A process that is pulled, started and found ready takes from a quarter of a minute to two minutes.
STARTUP_S = (15.0, 120.0)
# How old the metrics are that an autoscaler goes by: at once, or through pipelines of one or two scrape intervals.
SCALING_LAG_S = (0.0, 30.0, 60.0, 120.0)
COMMAND = 1
"""Index of the arm with the command."""


@dataclass(slots=True)
class Guesses:
    """Draws of what readings cannot tell; both arms of a comparison get the same."""

    cpu: Floats
    """(draws, workloads) multipliers, like the next."""
    io: Floats
    demand: Floats
    """(steps, draws, workloads) multipliers."""
    startup_s: Floats
    """(draws,), like the next."""
    scaling_lag_s: Floats

    @classmethod
    def drawn(cls, rng: np.random.Generator, draws: int, size: int, horizon_s: int, quality: float) -> "Guesses":
        """Spreads: 4 % on fitted work and 8 % on delay where the fit is perfect, wider as it is worse.

        Draws come in opposite pairs (antithetic variates), so that few of them have the right mean.
        """
        doubt = 1.0 + 5.0 * (1.0 - quality)
        pairs, steps = (draws + 1) // 2, max(1, round(horizon_s / STEP_S))

        def opposite(values: Floats) -> Floats:
            return np.concatenate([values, -values], axis=-2)[..., :draws, :]

        level = opposite(rng.normal(0.0, 0.03, (pairs, size)))
        wander = opposite(np.cumsum(rng.normal(0.0, 0.006, (steps, pairs, size)), axis=0))
        place = rng.uniform(0.0, 1.0, pairs)
        return cls(
            cpu=np.exp(opposite(rng.normal(0.0, 0.04 * doubt, (pairs, size)))),
            io=np.exp(opposite(rng.normal(0.0, 0.08 * doubt, (pairs, size)))),
            demand=np.exp(level + wander),
            startup_s=STARTUP_S[0] * (STARTUP_S[1] / STARTUP_S[0]) ** np.concatenate([place, 1.0 - place])[:draws],
            scaling_lag_s=rng.choice(SCALING_LAG_S, draws),
        )


@dataclass(slots=True)
class Totals:
    """What the runs came to, or the difference of two; arrays are (draws,)."""

    slo_attainment: Floats
    latency_p95_ms: Floats
    error_rate: Floats
    cost_usd_per_hour: Floats
    carbon_g_per_hour: Floats


@dataclass(slots=True)
class Run:
    """What both arms share."""

    layout: Layout
    live: Live
    fitted: Fitted
    price: Floats
    focus: list[int]


def compare(shared: Run, guesses: Guesses, arm: Arm, horizon_s: int) -> tuple[Totals, Totals]:
    """Levels when nothing is done, and the change by the arm.

    Attainment is over the horizon, the rest over its last third.
    """
    layout, fitted, draws = shared.layout, shared.fitted, len(guesses.startup_s)
    shape = (ARMS, draws, layout.size)
    install(layout.plant, fitted)
    sides = [Side(shared.live, nothing_or, layout) for nothing_or in (Arm(), arm)]
    waves = np.zeros(draws)
    plant = _plant(sides, guesses, waves)
    ready = Prepared(plant)
    state = fresh_state(plant, fitted, copies=ARMS * draws)
    desired = np.tile(fitted.desired, (ARMS, draws, 1))
    fleet = Fleet(
        np.tile(fitted.ready, (ARMS, draws, 1)), desired, fitted.missing, guesses.startup_s, guesses.scaling_lag_s
    )
    strike(arm, shared.live, state, fleet)
    scaling, shares = _scaling(sides, draws), np.stack([s.share for s in sides])[:, None]
    tally = _Tally(shared)
    for k in range(max(1, round(horizon_s / STEP_S))):
        at_s = k * STEP_S
        now = sides[COMMAND].wave(at_s, guesses.startup_s)
        if (now != waves).any():
            plant, waves = _plant(sides, guesses, now), now
            ready = Prepared(plant)
        state.ready = fleet.step(k).ravel()
        demand = fitted.demand * shares * guesses.demand[k]
        demand[COMMAND] = arm.admitted(demand[COMMAND], layout)
        readings = advance(plant, state, demand.ravel(), STEP_S, ready)
        if at_s % SCALING_INTERVAL_S == 0:
            fleet.scale(readings.cpu_cores.reshape(shape), plant.cores.reshape(shape), scaling)
        requested = fleet.desired * plant.cores.reshape(shape)
        tally.add(readings, requested, shape, late=at_s >= horizon_s * 2.0 / 3.0)
    return tally.totals()


def _plant(sides: list[Side], guesses: Guesses, waves: Floats) -> Plant:
    """One plant for all columns at the given waves of the command's roll-out, with each draw's guesses."""
    plants = [side.plant(int(wave)) for side in sides for wave in waves]
    plant = stacked(plants)
    plant.cpu_ms = plant.cpu_ms * np.tile(guesses.cpu.ravel(), ARMS)
    plant.io_ms = plant.io_ms * np.tile(guesses.io.ravel(), ARMS)
    return plant


def _scaling(sides: list[Side], draws: int) -> Scaling:
    rows = zip(*(side.scaling for side in sides), strict=True)
    tables = [np.broadcast_to(np.stack(row)[:, None], (ARMS, draws, len(row[0]))) for row in rows]
    return tables[0], tables[1], tables[2], tables[3], tables[4]


class _Tally:
    """Sums of the runs; `focus` columns for service levels, all columns for cost and carbon."""

    def __init__(self, shared: Run) -> None:
        self._shared = shared
        regions = shared.layout.spec.regions
        self._grid = np.array([regions[int(r)].grid_gco2e_per_kwh for r in shared.layout.region_of])
        self._own = np.array([float(not s.external) for s in shared.layout.rows])
        self._good = self._requests = np.zeros(())
        self._late: list[tuple[Floats, Floats, Floats, Floats]] = []

    def add(self, readings: Readings, requested: Floats, shape: tuple[int, ...], *, late: bool) -> None:
        """Take one step in."""
        focus = self._shared.focus

        def of(values: Floats) -> Floats:
            return values.reshape(shape)[..., focus]

        rate, failed = of(readings.request_rate) + 1e-9, of(readings.error_share)
        self._good = self._good + (rate * (1.0 - failed) * (1.0 - of(readings.slow_share))).sum(axis=-1)
        self._requests = self._requests + rate.sum(axis=-1)
        if not late:
            return
        total, used = rate.sum(axis=-1), readings.cpu_cores.reshape(shape)
        watts = requested * IDLE_W_PER_CORE + used * (FULL_W_PER_CORE - IDLE_W_PER_CORE)
        self._late.append((
            (rate * of(readings.latency_p95_ms)).sum(axis=-1) / total,
            (rate * failed).sum(axis=-1) / total,
            (requested * self._shared.price * self._own).sum(axis=-1),
            (watts * PUE / 1000.0 * self._grid * self._own).sum(axis=-1),
        ))  # fmt: skip

    def totals(self) -> tuple[Totals, Totals]:
        """Without the command, and the change it makes."""
        late = [np.mean(column, axis=0) for column in zip(*self._late, strict=True)]
        arms = [self._good / np.maximum(self._requests, 1e-9), *late]
        return Totals(*(v[0] for v in arms)), Totals(*(v[COMMAND] - v[0] for v in arms))
