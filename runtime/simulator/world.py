"""The simulated world: one clock, one plant, everything that acts on it, and what it lets others see.

`World(spec, seed)` is deterministic; `step` moves ten virtual seconds. Effects come in through `actuators` and
`faults`, readings go out through `readers`; both keep their own files and this one keeps the order of a step.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from domain.catalogue import CertificateExpiring, ScalingChanged
from domain.desired import DataStoreState, EnvironmentState, NodePoolState, TenantState
from domain.errors import Invalid
from runtime.simulator.add_ons import AddOns
from runtime.simulator.autoscaling import Autoscaler
from runtime.simulator.backups import Backups
from runtime.simulator.billing import Billing
from runtime.simulator.burn_rules import BurnRules
from runtime.simulator.cluster import Cluster
from runtime.simulator.crashes import Crashes
from runtime.simulator.demand import Demand
from runtime.simulator.gauges import Gauges, Ramp
from runtime.simulator.history import History
from runtime.simulator.journal import Change, ChangeKind, Journal
from runtime.simulator.layout import build_layout
from runtime.simulator.live import Live, Modifier, initial_state
from runtime.simulator.logins import Logins
from runtime.simulator.metering import Meter
from runtime.simulator.outages import Outage
from runtime.simulator.physics import advance
from runtime.simulator.plant import EDGE_FIELDS, Plant, PlantState, Readings
from runtime.simulator.prepared import Prepared
from runtime.simulator.queueing import Floats
from runtime.simulator.sensors import Sensors
from runtime.simulator.spec import WorldSpec
from runtime.simulator.traffic import Traffic

SOURCE = "/runtime"
# Clients with open connections go on for a while; nearly all requests here come over new or renewed ones.
TLS_REFUSED = 0.92
CERTIFICATE_CHECK_S = 60.0
# Expiry monitors commonly warn a week ahead.
WARN_S = 7.0 * 86_400.0


class World:
    """A world in motion. Public attributes are its parts; only this package writes them."""

    def __init__(self, spec: WorldSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        self.layout = build_layout(spec)
        self.elapsed_s = 0.0
        self.live = Live(self.layout, {s.id: initial_state(s) for s in spec.services if not s.external})
        rows = self.layout.rows
        self.plant: Plant = self.live.plant(0.0)
        self.cluster = Cluster(
            self.layout,
            cores=self.plant.cores.copy(),
            startup_s=np.array([s.startup_s * spec.laws.startup_factor for s in rows]),
            desired=np.array([float(s.replicas) for s in rows]),
        )
        self.external = np.array([s.external for s in rows])
        self.demand = Demand(self.layout, seed)
        self.throttle_rps = np.full(len(self.demand.tenants), np.inf)
        self.share: Floats = self.live.entry_share()
        self.scaling = self.live.scaling()
        self.state = PlantState.fresh(self.plant, self.cluster.ready)
        self.prepared = Prepared(self.plant)
        laws = spec.laws
        self.autoscaler = Autoscaler(laws.autoscaler_interval_s, laws.autoscaler_lag_s, [self.cluster.desired])
        self.autoscaling = True
        """False freezes every autoscaler: what a baseline without any reaction lives with."""
        self.asleep: NDArray[np.bool_] = np.zeros(self.layout.size, dtype=np.bool_)
        """Workloads that are out of the hours they run in."""
        self._next_scaling_s = laws.autoscaler_interval_s
        self.history = History(
            steps=spec.retention_steps, workloads=self.layout.size, nodes=len(self.cluster.nodes),
            pools=len(self.layout.pools), seed=seed, noise=laws.metric_noise,
        )  # fmt: skip
        self.gauges = Gauges()
        self.crashes = Crashes(seed)
        self.traffic = Traffic(self.layout)
        self.journal = Journal(spec.environment)
        self.sensors = Sensors(self.layout, float(spec.step_s))
        self.burn_rules = BurnRules(self.layout, float(spec.step_s))
        self.add_ons = AddOns(self.layout)
        self.tenants: dict[str, TenantState] = {}
        """What each tenant was last told to be; of it only the throttle acts on anything here."""
        self.node_pools = {p.id: NodePoolState(node_count=p.node_count, sku=p.sku) for p in spec.node_pools}
        self.billing = Billing(self.layout, spec.start, seed)
        self.billing.price(self.node_pools)
        self.meter = Meter(self.layout)
        self.data_stores = _stores(spec)
        self.backups = Backups(self.data_stores, seed)
        self.certificates = _certificates(spec)
        """Seconds after the start at which each certificate ends."""
        self.logins = Logins.of(spec)
        self._next_certificate_s = 0.0
        self._warned: set[str] = set()
        self.processes: dict[str, Callable[[float], None]] = {}
        """Things that act by themselves each step, by name: chatter, faults in progress."""
        self.outages: list[Outage] = []
        """Telemetry that does not arrive; what is measured here is whole."""
        self.effects: dict[str, int] = {}
        """Applied effects by operation id."""
        self.schedule: list[tuple[float, str, dict[str, JsonValue]]] = []
        """Everything done to the world from outside, in order: what a record replays."""

    @property
    def now(self) -> datetime:
        """The world's virtual instant."""
        return self.instant(self.elapsed_s)

    def instant(self, elapsed_s: float) -> datetime:
        """The instant that many seconds after the start."""
        return self.spec.start + timedelta(seconds=elapsed_s)

    def advance(self, until: datetime) -> None:
        """Step until the clock has reached `until`; an instant in the past does nothing."""
        while self.now < until:
            self.step()

    def step(self) -> None:
        """Move one step: processes, scheduler, plant, books, autoscaler, detectors."""
        for name in tuple(self.processes):
            self.processes[name](self.elapsed_s)
        if self.elapsed_s >= self._next_certificate_s:
            self.check_certificates()
        self.cluster.step(self.elapsed_s)
        if steered := self.traffic.steers(self.live):
            self._direct()
        if self.live.dirty:
            self.refresh()
        self.state.ready = np.where(self.external, self.cluster.desired, self.cluster.ready)
        exits = self.crashes.step(self.live, self.elapsed_s, self.state.ready)
        self.plant.pool_cores = np.maximum(self.cluster.pool_cores.sum(axis=1), 1.0)
        demand = self.demand.at(self.now, self.share, self.throttle_rps)
        demand = self.add_ons.admit(demand, float(self.spec.step_s))
        if steered:
            demand = self.traffic.admit(self.live, self.plant, self.state, self.demand, demand, self.history)
        readings = advance(self.plant, self.state, demand, float(self.spec.step_s), self.prepared)
        self._answer_clients(readings)
        if steered:
            self.traffic.observe(self.live, self.plant, readings, self.state, self.history.count)
        for column in np.flatnonzero(readings.oom) if readings.oom.any() else ():
            self.cluster.restart([int(column)], self.elapsed_s)
        self.elapsed_s += self.spec.step_s
        self._note_rare(exits)
        self._keep_books(readings)
        if self.autoscaling and self.elapsed_s >= self._next_scaling_s:
            self._next_scaling_s += self.spec.laws.autoscaler_interval_s
            self._autoscale(readings.cpu_cores)
        self._watch(readings)

    def _direct(self) -> None:
        """Let traffic policies lead requests where they shall go."""
        self.traffic.direct(self.live, self.plant, self.demand, self.state, self.cluster.desired, self.elapsed_s)

    def _keep_books(self, readings: Readings) -> None:
        """Meter what ran, take the backups that are due, store the step."""
        ready = self.state.ready
        used = np.bincount(self.layout.pool_of, readings.cpu_cores, len(self.layout.pools)) / self.plant.pool_cores
        rate = self.billing.rate(ready, self.plant.cores)
        self.billing.meter(rate, self.elapsed_s, float(self.spec.step_s), self.journal)
        self.meter.count(ready, self.plant.cores, self.node_pools, self.elapsed_s, float(self.spec.step_s))
        self.backups.step(self.elapsed_s, self.data_stores)
        self.history.append(readings, ready, self.cluster.desired, rate, self.cluster.nodes_up, used)

    def _watch(self, readings: Readings) -> None:
        """Tell what the platform's own detectors find."""
        found = self.sensors.observe(readings, self.state.ready, self.cluster.desired)
        for finding in (*found, *self.burn_rules.observe(readings)):
            service = self.layout.services[finding.service]
            self.journal.emit(
                tenant=service.tenant, source=f"{SOURCE}/health", kind=finding.kind, subject=f"service/{service.id}",
                at=self.now, data=finding.data, severity=finding.severity, deliver_s=self.elapsed_s,
            )  # fmt: skip

    def _note_rare(self, exits: Floats | None) -> None:
        """Keep what most steps have nothing of."""
        if exits is not None:
            self.history.rare.setdefault("exits", {})[self.history.count] = exits
        if not self.plant.undisturbed:
            for name in EDGE_FIELDS:
                self.history.rare.setdefault(name, {})[self.history.count] = getattr(self.plant, name)

    def _answer_clients(self, readings: Readings) -> None:
        clients = self.demand.clients
        if not clients.habits:
            return
        repeated = clients.repeated()
        if repeated is not None:
            self.history.rare.setdefault("repeated", {})[self.history.count] = repeated
        clients.observe(readings, self.demand.admitted)

    def refresh(self) -> None:
        """Fold what changed into the plant, the entry shares and the scaling table."""
        pools, burst = self.plant.pool_cores, self.plant.burst
        self.plant = self.live.plant(self.elapsed_s)
        self.prepared = Prepared(self.plant)
        for column in np.flatnonzero(self.plant.burst != burst):
            self.gauges.tell("cpu_limit", int(column), Ramp(self.history.count, float(self.plant.burst[column])))
        self.plant.pool_cores = pools
        self.share = self.live.entry_share()
        self.scaling = self.live.scaling()
        self.add_ons.follow(self.live.services)
        self.burn_rules.follow(self.live.services)
        self.sensors.leave_burn(self.burn_rules.services)
        self.cluster.cores = self.plant.cores.copy()

    def note(  # the change feed's own fields
        self, entity: str, kind: ChangeKind, before: JsonValue, after: JsonValue, actor: str, text: str
    ) -> None:
        """Write one line to the change feed."""
        self.note_at(self.elapsed_s, entity, kind, before, after, actor, text)

    def note_at(
        self, at_s: float, entity: str, kind: ChangeKind, before: JsonValue, after: JsonValue, actor: str, text: str
    ) -> None:
        """Write one line that becomes true at `at_s` seconds after the start."""
        self.journal.changes.append(
            Change(at=self.instant(at_s), entity=entity, kind=kind, before=before, after=after, actor=actor, text=text)
        )

    def check_certificates(self) -> None:
        """Fail new connections behind certificates and logins that have ended; warn once of certificates that will."""
        self._next_certificate_s = self.elapsed_s + CERTIFICATE_CHECK_S
        self.logins.check(self.layout, self.live, self.elapsed_s)
        for name, ends_s in self.certificates.items():
            key, service = f"tls/{name}", name.removesuffix("-tls")
            ended = self.elapsed_s >= ends_s
            if ended != (key in self.live.modifiers):
                refused = (Modifier("tls_failure", tuple(self.layout.columns(service)), add=TLS_REFUSED),)
                self.live.modifiers.pop(key, None)
                self.live.modifiers |= {key: refused} if ended else {}
                self.live.dirty = True
            if ends_s - self.elapsed_s < WARN_S and name not in self._warned:
                self._warned.add(name)
                self._warn(name, service, ends_s)

    def warn_again(self, name: str) -> None:
        """Forget that somebody was warned about a certificate: another one is served."""
        self._warned.discard(name)

    def _warn(self, name: str, service: str, ends_s: float) -> None:
        owner = self.layout.services[self.layout.service_index[service]]
        self.journal.emit(
            tenant=owner.tenant, source=f"{SOURCE}/certificates", kind="runtime.certificate.expiring.v1",
            subject=f"certificate/{name}", at=self.now, deliver_s=self.elapsed_s, severity="warning",
            data=CertificateExpiring(certificate=name, service=service, not_after=self.instant(ends_s)),
        )  # fmt: skip

    def _autoscale(self, used_cores: Floats) -> None:
        enabled, target, low, high, window = self.scaling
        current = self.cluster.desired
        utilisation = used_cores / np.maximum(current * self.plant.cores, 1e-9)
        wanted = self.autoscaler.decide(current, utilisation, target, low, high, window)
        wanted = np.where((enabled > 0) & ~self.asleep, wanted, current)
        changed = np.flatnonzero(wanted != current)
        if not len(changed):
            return
        self.cluster.desired = wanted
        self.cluster.dirty = True
        for service in np.unique(self.layout.service_of[changed]):
            self._tell_scaling(int(service), current, wanted)

    def _tell_scaling(self, index: int, before: Floats, after: Floats) -> None:
        service = self.layout.services[index]
        columns = self.layout.columns(service.id)
        was, now = int(before[columns].sum()), int(after[columns].sum())
        if was == now:
            return
        self.note(f"service/{service.id}", "scaling", was, now, "autoscaler", f"{service.id} {was} -> {now} replicas")
        self.journal.emit(
            tenant=service.tenant, source=f"{SOURCE}/autoscaler", kind="runtime.scaling.changed.v1",
            subject=f"service/{service.id}", at=self.now, deliver_s=self.elapsed_s,
            data=ScalingChanged(
                service=service.id, replicas_before=was, replicas_after=now, actor="autoscaler", reason="utilisation"
            ),
        )  # fmt: skip

    def environment_state(self) -> EnvironmentState:
        """What the world is told to be, as the base of a desired-state document."""
        limits = {
            t: None if np.isinf(r) else float(r) for t, r in zip(self.demand.tenants, self.throttle_rps, strict=True)
        }
        return EnvironmentState(
            services=dict(self.live.services),
            node_pools=dict(self.node_pools),
            data_stores=dict(self.data_stores),
            tenants={
                t: self.tenants.get(t, TenantState()).model_copy(update={"rate_limit_rps": rate})
                for t, rate in limits.items()
            },
        )

    def tenant_column(self, tenant: str) -> int:
        """Index of a tenant; Invalid when it is not of this world."""
        if tenant not in self.demand.tenants:
            raise Invalid(f"no such tenant in this world: {tenant}", reason="unknown_tenant")
        return self.demand.tenants.index(tenant)


def _stores(spec: WorldSpec) -> dict[str, DataStoreState]:
    """Every database with a standby in its second region, where it has one."""
    return {
        s.id: DataStoreState(replica_region=next((r for r in s.regions[1:]), None))
        for s in spec.services
        if s.archetype == "database"
    }


def _certificates(spec: WorldSpec) -> dict[str, float]:
    """Seconds after the start at which each ends."""
    return {f"{s.id}-tls": s.certificate_days * 86_400.0 for s in spec.services if s.certificate_days is not None}
