"""How a command lays hands on the twin: new service states, restarts, admission limits, and the fleet that follows."""

from dataclasses import dataclass, field

import numpy as np

from domain.desired import ServiceState
from runtime.simulator.autoscaling import Autoscaler
from runtime.simulator.layout import Layout
from runtime.simulator.live import ROLLOUT_WAVES, Live, Rollout, Scaling, Traits
from runtime.simulator.plant import PlantState
from runtime.simulator.queueing import Floats

# The Kubernetes autoscaler looks every 15 s by default; managed ones commonly add as much again.
SCALING_INTERVAL_S = 30.0
# A rolling restart keeps three quarters of the replicas (maxUnavailable of a Deployment).
RESTARTING = 0.25


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


class Fleet:
    """Replicas per workload: what is wanted, what is ready, what is starting."""

    def __init__(self, ready: Floats, desired: Floats, missing: Floats, startup_s: float, scaling_lag_s: float) -> None:
        self.ready, self.desired, self.startup_s = ready, desired, startup_s
        self._missing = missing
        self._starting: list[tuple[float, Floats]] = []
        self._autoscaler = Autoscaler(SCALING_INTERVAL_S, scaling_lag_s, [desired])

    def step(self, at_s: float) -> Floats:
        """Ready replicas at an instant. What was missing all along stays missing: nobody said it would come back."""
        while self._starting and self._starting[0][0] <= at_s:
            self.ready = self.ready + self._starting.pop(0)[1]
        reachable = np.maximum(self.desired - self._missing, 0.0)
        coming = sum((c for _, c in self._starting), start=np.zeros_like(self.ready))
        more = np.maximum(reachable - self.ready - coming, 0.0)
        if more.any():
            self._starting.append((at_s + self.startup_s, more))
        self.ready = np.minimum(self.ready, reachable)
        return self.ready

    def scale(self, used_cores: Floats, cores: Floats, scaling: Scaling) -> None:
        """Let the autoscaler look once."""
        enabled, target, low, high, window = scaling
        utilisation = used_cores / np.maximum(self.desired * cores, 1e-9)
        wanted = self._autoscaler.decide(self.desired, utilisation, target, low, high, window)
        self.desired = np.where(enabled > 0.0, wanted, self.desired)

    def restart(self, columns: list[int]) -> None:
        """Take a share of the replicas down; they start again at once."""
        self.ready = self.ready.copy()
        self.ready[columns] *= 1.0 - RESTARTING


def strike(arm: Arm, live: Live, state: PlantState, fleet: Fleet) -> None:
    """Let the arm's command take effect at the start of the horizon, with its own lags."""
    for service, wanted in arm.services.items():
        before, columns = live.services[service], live.layout.columns(service)
        live.set(service, wanted)
        if arm.traits is not None:
            live.traits[service, wanted.version] = arm.traits
        if wanted.version != before.version:
            live.rollouts[service] = Rollout(before.version, wanted.version, 0.0, ROLLOUT_WAVES * fleet.startup_s)
            _fresh(state, columns)
        if (wanted.cpu_millicores, wanted.memory_mib) != (before.cpu_millicores, before.memory_mib):
            fleet.restart(columns)
            _fresh(state, columns)
        if wanted.replicas != before.replicas and not (wanted.scaling and wanted.scaling.enabled):
            fleet.desired = fleet.desired.copy()
            fleet.desired[columns] = float(wanted.replicas)
    for service in arm.restarts:
        columns = live.layout.columns(service)
        fleet.restart(columns)
        _fresh(state, columns)


def _fresh(state: PlantState, columns: list[int]) -> None:
    state.leaked_mib[columns] = 0.0
    state.leaked_slots[columns] = 0.0


def admitted(arm: Arm, demand: Floats, layout: Layout) -> Floats:
    """Demand after the arm's ingress limits; each tenant's requests are cut alike."""
    for tenant, limit in arm.limits.items():
        theirs = np.array([s.tenant == tenant for s in layout.rows])
        total = float(demand[theirs].sum())
        demand = np.where(theirs, demand * min(1.0, limit / max(total, 1e-9)), demand)
    return demand
