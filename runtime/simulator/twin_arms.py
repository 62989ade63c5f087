"""How a command lays hands on the twin: new service states, restarts, admission limits, and the fleet that follows.

Arrays of the fleet are (arms, draws, workloads), see `twin_run`; only the last arm carries the command out.
"""

from dataclasses import dataclass, field

import numpy as np

from domain.desired import ServiceState
from runtime.simulator.autoscaling import Autoscaler
from runtime.simulator.layout import Layout
from runtime.simulator.live import ROLLOUT_WAVES, Live, Rollout, Scaling, Traits
from runtime.simulator.plant import Plant, PlantState
from runtime.simulator.queueing import Floats

STEP_S = 10.0
# The Kubernetes autoscaler looks every 15 s by default; managed ones commonly add as much again.
SCALING_INTERVAL_S = 30.0
# A rolling restart keeps three quarters of the replicas (maxUnavailable of a Deployment).
RESTARTING = 0.25
ARMS = 2
"""Without the command and with it."""


@dataclass(slots=True, frozen=True)
class Arm:
    """One side of a comparison; empty means doing nothing."""

    services: dict[str, ServiceState] = field(default_factory=dict[str, ServiceState])
    """Services with the state they shall have."""
    traits: Traits | None = None
    """How those services then behave against now; None means as now."""
    restarts: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict[str, float])
    """Tenants with their new ingress limit in requests per second."""

    def admitted(self, demand: Floats, layout: Layout) -> Floats:
        """Demand (draws, workloads) after the ingress limits; each tenant's requests are cut alike."""
        for tenant, limit in self.limits.items():
            theirs = np.array([s.tenant == tenant for s in layout.rows])
            total = demand[:, theirs].sum(axis=1, keepdims=True)
            demand = np.where(theirs, demand * np.minimum(1.0, limit / np.maximum(total, 1e-9)), demand)
        return demand


class Side:
    """One arm laid out on the fitted plant: its plant at each wave of a roll-out, routing and scaling policies."""

    def __init__(self, now: Live, arm: Arm, layout: Layout) -> None:
        live = Live(layout, dict(now.services), touched=set(now.touched))
        rolls_out = False
        for service, wanted in arm.services.items():
            before = live.services[service].version
            live.set(service, wanted)
            if arm.traits is not None:
                live.traits[service, wanted.version] = arm.traits
            if wanted.version != before:
                rolls_out = True
                # In units of waves: one wave lasts as long as a process takes to start.
                live.rollouts[service] = Rollout(before, wanted.version, 0.0, float(ROLLOUT_WAVES))
        self._plants = [live.plant(float(k)) for k in range(ROLLOUT_WAVES + 1 if rolls_out else 1)]
        self.share, self.scaling = live.entry_share(), live.scaling()

    def plant(self, wave: int) -> Plant:
        """The plant once so many waves have started; beyond the last one it stays."""
        return self._plants[min(wave, len(self._plants) - 1)]

    def wave(self, at_s: float, startup_s: Floats) -> Floats:
        """How many waves have started in each draw, (draws,)."""
        return np.minimum(np.floor(at_s / startup_s), len(self._plants) - 1.0)


class Fleet:
    """Replicas per arm, draw and workload: what is wanted, what is ready, what is starting."""

    def __init__(
        self, ready: Floats, desired: Floats, missing: Floats, startup_s: Floats, scaling_lag_s: Floats
    ) -> None:
        self.ready, self.desired = ready, desired
        self.missing = np.tile(missing, (*ready.shape[:2], 1))
        """What stays away; only a new version brings replicas back that do not stay up."""
        self._starts_in = np.maximum(1, np.ceil(startup_s / STEP_S)).astype(np.int64)
        self._starting = np.zeros((int(self._starts_in.max()) + 1, *ready.shape))
        self._autoscalers = [
            (group, Autoscaler(SCALING_INTERVAL_S, float(lag_s), [desired[:, group]]))
            for lag_s in np.unique(scaling_lag_s)
            for group in [np.flatnonzero(scaling_lag_s == lag_s)]
        ]

    def step(self, k: int) -> Floats:
        """Ready replicas at step k. What was missing all along stays missing: nobody said it would come back."""
        slots = len(self._starting)
        self.ready = self.ready + self._starting[k % slots]
        self._starting[k % slots] = 0.0
        reachable = np.maximum(self.desired - self.missing, 0.0)
        more = np.maximum(reachable - self.ready - self._starting.sum(axis=0), 0.0)
        if more.any():
            draws = np.arange(more.shape[1], dtype=np.int64)
            self._starting[(k + self._starts_in) % slots, :, draws] += more.transpose(1, 0, 2)
        self.ready = np.minimum(self.ready, reachable)
        return self.ready

    def scale(self, used_cores: Floats, cores: Floats, scaling: Scaling) -> None:
        """Let the autoscaler look once."""
        utilisation = used_cores / np.maximum(self.desired * cores, 1e-9)
        wanted = self.desired.copy()
        for group, autoscaler in self._autoscalers:
            _, target, low, high, window = (values[:, group] for values in scaling)
            wanted[:, group] = autoscaler.decide(
                self.desired[:, group], utilisation[:, group], target, low, high, window
            )
        self.desired = np.where(scaling[0] > 0.0, wanted, self.desired)

    def restart(self, columns: list[int]) -> None:
        """Take a share of the command arm's replicas down; they start again at once."""
        self.ready[-1][:, columns] *= 1.0 - RESTARTING


def strike(arm: Arm, now: Live, state: PlantState, fleet: Fleet) -> None:
    """Let the command take effect on the fleet and its processes at the start of the horizon."""
    fresh = list(arm.restarts)
    for service, wanted in arm.services.items():
        before, columns = now.services[service], now.layout.columns(service)
        if (wanted.cpu_millicores, wanted.memory_mib) != (before.cpu_millicores, before.memory_mib):
            fresh.append(service)
        elif wanted.version != before.version:
            _forget(state, fleet, columns)
        if wanted.version != before.version:
            fleet.missing[-1][:, columns] = 0.0
        if wanted.replicas != before.replicas and not (wanted.scaling and wanted.scaling.enabled):
            fleet.desired[-1][:, columns] = float(wanted.replicas)
    for service in fresh:
        columns = now.layout.columns(service)
        fleet.restart(columns)
        _forget(state, fleet, columns)


def _forget(state: PlantState, fleet: Fleet, columns: list[int]) -> None:
    """New processes: nothing leaked."""
    for leaked in (state.leaked_mib, state.leaked_slots):
        leaked.reshape(fleet.ready.shape)[-1][:, columns] = 0.0
