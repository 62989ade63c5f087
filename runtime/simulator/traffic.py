"""Traffic as its policies say: versions side by side, regions that take over for each other, limits by priority.

Only services whose policy asks for any of it are looked at; a world without such a policy never comes here.
"""

from collections.abc import Sequence

import numpy as np

from domain.desired import ServiceState
from domain.policies import Priority, TrafficPolicy
from runtime.simulator.demand import Demand
from runtime.simulator.history import History
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live
from runtime.simulator.plant import EDGE_FIELDS, Plant, PlantState, Readings
from runtime.simulator.queueing import Floats
from runtime.simulator.splits import Splits, tenants_share

PRIORITIES: tuple[Priority, ...] = ("critical", "standard", "sheddable")
# Health checks of load balancers: three misses of ten seconds take a region out, six answers bring it back.
OUT_AFTER_S, BACK_AFTER_S = 30.0, 60.0
# A region that has less than half of the replicas it should have is not one to send users to.
HEALTHY_SHARE = 0.5


class Traffic:
    """What steers requests in one world."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.splits = Splits(layout)
        self._failover: dict[str, TrafficPolicy] = {}
        self._limited: dict[str, TrafficPolicy] = {}
        self._changing_s: dict[tuple[str, str], float] = {}
        """(service, region) whose health differs from how it is treated, and for how long."""
        self._latency_s: Floats | None = None

    def set(self, service: str, state: ServiceState, now_s: float, startup_s: float) -> None:
        """Take in a service's policy."""
        self.splits.set(service, state, now_s, startup_s)
        policy = state.traffic
        limited = policy.rate_limit_rps is not None or policy.shaping.max_concurrency is not None
        for table, applies in ((self._failover, bool(policy.region_failover)), (self._limited, limited)):
            table.pop(service, None)
            if applies:
                table[service] = policy

    def steers(self, live: Live) -> bool:
        """Whether anything here has to be looked at."""
        return bool(self.splits.active or self._failover or self._limited or live.beside or live.failed)

    def direct(self, live: Live, plant: Plant, demand: Demand, state: PlantState, desired: Floats, at_s: float) -> None:
        """Before a step: who serves which share, and which regions get nothing."""
        share = live.entry_share()

        def share_of(service: str, tenants: Sequence[str]) -> float:
            theirs = np.isin(demand.tenant_of, [demand.tenants.index(t) for t in tenants if t in demand.tenants])
            return tenants_share(self._layout, plant, demand.base * share, theirs.astype(np.float64), service)

        self.splits.direct(live, state.leaked_mib, at_s, share_of)
        step_s = float(self._layout.spec.step_s)
        for service in self._failover | dict.fromkeys(live.failed):
            self._watch(live, service, state.ready, desired, step_s)

    def _watch(self, live: Live, service: str, ready: Floats, desired: Floats, step_s: float) -> None:
        """Take a region out once it was unhealthy for long enough, and in again once it was healthy for longer."""
        before = live.failed.get(service, frozenset())
        out = set(before) if service in self._failover else set[str]()
        for column in self._layout.columns(service) if service in self._failover else ():
            region = self._layout.regions[int(self._layout.region_of[column])]
            healthy = bool(ready[column] >= HEALTHY_SHARE * desired[column])
            key = (service, region)
            if healthy != (region in out):
                self._changing_s.pop(key, None)
                continue
            self._changing_s[key] = self._changing_s.get(key, 0.0) + step_s
            if self._changing_s[key] >= (BACK_AFTER_S if healthy else OUT_AFTER_S):
                out ^= {region}
                del self._changing_s[key]
        if (after := frozenset(out)) != before:
            live.fail(service, after)

    def admit(self, live: Live, plant: Plant, state: PlantState, demand: Demand, flow: Floats, kept: History) -> Floats:
        """Cut what services with a limit get to it, the least important first; returns demand (workloads,).

        Users are turned away where they enter; callers get an answer at once that says so.
        """
        if not self._limited:
            return flow
        graph = plant.graph
        calls = graph.per_call * plant.route * state.attempts
        arrivals = graph.push_down(flow, calls, state.accepted)
        plant.limited[:] = 0.0
        for service in self._limited:
            self._limit(live, service, plant, demand, flow, arrivals, calls * state.accepted[graph.caller], kept)
        plant.undisturbed = not any(getattr(plant, name).any() for name in EDGE_FIELDS)
        return flow

    def _limit(  # the step's own arrays
        self, live: Live, service: str, plant: Plant, demand: Demand, flow: Floats, arrivals: Floats, calls: Floats,
        kept: History,
    ) -> None:  # fmt: skip
        policy, columns = live.services[service].traffic, self._layout.columns(service)
        edges = self._layout.edges(callee=service)
        callers = plant.graph.caller[edges]
        users = np.array([self._class(policy, demand, c) for c in columns])
        calling = np.array([self._class(policy, demand, int(c)) for c in callers], dtype=np.int64)
        sent = arrivals[callers] * calls[edges]
        offered: Floats = np.bincount(users, flow[columns], len(PRIORITIES)).astype(np.float64)
        if len(edges):
            offered += np.bincount(calling, sent, len(PRIORITIES))
        keep = _keep(offered, self._most(policy, columns, arrivals))
        flow[columns] *= keep[users]
        if len(edges):
            plant.limited[edges] = 1.0 - keep[calling]
        for rank, name in enumerate(PRIORITIES):
            row = kept.rare.setdefault(f"turned_away_{name}", {}).setdefault(kept.count, np.zeros(self._layout.size))
            row[columns] = (1.0 - keep[rank]) * offered[rank] / len(columns)

    def _class(self, policy: TrafficPolicy, demand: Demand, column: int) -> int:
        index = int(demand.tenant_of[column])
        tenant = demand.tenants[index] if index >= 0 else ""
        return PRIORITIES.index(policy.shaping.priorities.get(tenant, "standard"))

    def _most(self, policy: TrafficPolicy, columns: list[int], arrivals: Floats) -> float:
        """Requests per second a policy lets in: its rate, and by Little's law what keeps so many in work."""
        most = policy.rate_limit_rps or np.inf
        if policy.shaping.max_concurrency is not None and self._latency_s is not None:
            weight = arrivals[columns] / max(float(arrivals[columns].sum()), 1e-9)
            most = min(
                most, policy.shaping.max_concurrency / max(float((self._latency_s[columns] * weight).sum()), 1e-6)
            )
        return most

    def observe(self, live: Live, plant: Plant, readings: Readings, state: PlantState, number: int) -> None:
        """After a step: keep what was served."""
        self._latency_s = readings.latency_mean_ms / 1000.0
        step_s = float(self._layout.spec.step_s)
        self.splits.observe(live, plant, readings, state.leaked_mib, number, step_s)


def _keep(offered: Floats, most: float) -> Floats:
    """(priorities,) share of what each class offers that is let in when the first ones are served first."""
    before = np.concatenate([[0.0], np.cumsum(offered)[:-1]])
    room = np.clip(most - before, 0.0, None)
    return np.minimum(room / np.maximum(offered, 1e-9), 1.0)
