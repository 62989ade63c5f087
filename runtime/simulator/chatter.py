"""The noise of a real platform: flapping gates, benign releases and feature switches, node hiccups, watchdogs,
duplicates and late events.

All of it is seeded and none of it hurts a request; agents must leave it alone.
"""

from collections.abc import Callable

from domain.catalogue import AlertFired, BillingRecorded, HealthDegraded, HealthRecovered, LogObserved, NodeChanged
from runtime.simulator.actuators import write_externally
from runtime.simulator.journal import SentEvent
from runtime.simulator.live import OFF, ON
from runtime.simulator.streams import stream
from runtime.simulator.world import SOURCE, World

# Share of events a busy bus delivers twice, and of those that come late (at-least-once delivery, order of practice).
TWICE, LATE = 0.05, 0.04
FLAPS_PER_H, RELEASES_PER_H, HICCUPS_PER_H, LOGS_PER_H, BILLS_PER_H = 0.7, 0.35, 0.25, 2.0, 1.0
FLIPS_PER_H = 0.2
WATCHDOG_EVERY_S = 3600.0


class Chatter:
    """A process of the world; draws one number per kind and step, whatever else happens."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._when = stream(world.seed, "chatter-when")
        self._what = stream(world.seed, "chatter-what")
        self._bus = stream(world.seed, "chatter-bus")
        self._flips = stream(world.seed, "chatter-flags")
        self._hours = hour = world.spec.step_s / 3600.0
        kinds: tuple[tuple[float, Callable[[float], None]], ...] = (
            (FLAPS_PER_H, self._flap),
            (RELEASES_PER_H, self._release),
            (HICCUPS_PER_H, self._hiccup),
            (LOGS_PER_H, self._log),
            (BILLS_PER_H, self._bill),
        )
        self._kinds = tuple((rate * hour, act) for rate, act in kinds)
        self._own = [s for s in world.layout.services if not s.external]
        world.journal.courier = self._carry

    def __call__(self, now_s: float) -> None:
        """Act for one step."""
        draws = self._when.random(len(self._kinds))
        for draw, (chance, act) in zip(draws, self._kinds, strict=True):
            if draw < chance:
                act(now_s)
        self._flip()
        if now_s % WATCHDOG_EVERY_S < self._world.spec.step_s:
            self._watchdog(now_s)

    def _carry(self, _sent: SentEvent, at_s: float) -> tuple[float, ...]:
        """When an event arrives: usually at once, sometimes late, sometimes twice."""
        late, twice, by = self._bus.random(3)
        first = at_s + (30.0 + 600.0 * by if late < LATE else 0.0)
        return (first, first + 5.0 + 120.0 * by) if twice < TWICE else (first,)

    def _service(self) -> int:
        return int(self._what.integers(len(self._own)))

    def _flap(self, now_s: float) -> None:
        """A gate that opens and closes within seconds, a few times."""
        service = self._own[self._service()]
        rounds, threshold = int(self._what.integers(1, 5)), 0.15
        at_s = now_s
        for _ in range(rounds):
            observed = round(float(self._what.uniform(1.01, 1.2)) * threshold, 4)
            opened = HealthDegraded(
                service=service.id, signal="latency", observed=observed, threshold=threshold,
                unit="ratio of requests above the objective", message=f"{service.id}: latency gate",
            )  # fmt: skip
            self._send(service.tenant, "health", "runtime.health.degraded.v1", service.id, opened, at_s)
            at_s += float(self._what.uniform(10.0, 40.0))
            closed = HealthRecovered(service=service.id, signal="latency", message="within its gate again")
            self._send(service.tenant, "health", "runtime.health.recovered.v1", service.id, closed, at_s)
            at_s += float(self._what.uniform(20.0, 120.0))

    def _send(self, tenant: str, source: str, kind: str, service: str, data: HealthDegraded | HealthRecovered,
              at_s: float) -> None:  # fmt: skip
        self._world.journal.emit(
            tenant=tenant, source=f"{SOURCE}/{source}", kind=kind, subject=f"service/{service}", data=data,
            at=self._world.instant(at_s), deliver_s=at_s,
        )  # fmt: skip

    def _release(self, _now_s: float) -> None:
        """A release that changes nothing anybody notices; one under way is left alone."""
        service = self._own[self._service()].id
        if service in self._world.live.rollouts or service in self._world.live.held:
            return
        major, minor, patch = self._world.live.services[service].version.lstrip("v").split(".")
        write_externally(
            self._world, ("services", service, "version"), f"v{major}.{minor}.{int(patch) + 1}", "release-pipeline"
        )

    def _flip(self) -> None:
        """A feature switched on or off that nobody notices; what is being worked on is left alone."""
        draw, which = self._flips.random(2)
        flags = [(s.id, key) for s in self._own for key in s.flags] if draw < FLIPS_PER_H * self._hours else []
        if not flags:
            return
        service, key = flags[int(which * len(flags))]
        live = self._world.live
        if service not in live.held and (service, key) not in live.traits:
            after = OFF if live.services[service].config.get(key) == ON else ON
            write_externally(self._world, ("services", service, "config", key), after, "flag-service")

    def _hiccup(self, now_s: float) -> None:
        """A kubelet that misses a heartbeat: the node is unready for seconds and loses nothing."""
        nodes = [n for n in self._world.cluster.nodes if n.exists]
        node = nodes[int(self._what.integers(len(nodes)))]
        region = self._world.spec.regions[node.region]
        for at_s, ready in ((now_s, False), (now_s + float(self._what.uniform(10.0, 30.0)), True)):
            self._world.journal.emit(
                tenant="platform", source=f"{SOURCE}/nodes", kind="runtime.node.changed.v1",
                subject=f"node/{node.name}", at=self._world.instant(at_s), deliver_s=at_s, region=region.id,
                data=NodeChanged(node=node.name, zone=region.zones[node.zone], ready=ready, reason="KubeletHeartbeat"),
            )  # fmt: skip

    def _log(self, now_s: float) -> None:
        service = self._own[self._service()]
        messages = ("configuration reloaded", "leader election: renewed lease", "scheduled job finished in 312 ms")
        message = messages[int(self._what.integers(len(messages)))]
        self._world.journal.emit(
            tenant=service.tenant, source=f"{SOURCE}/logs", kind="runtime.log.v1", subject=f"service/{service.id}",
            at=self._world.instant(now_s), deliver_s=now_s, data=LogObserved(service=service.id, message=message),
        )  # fmt: skip

    def _bill(self, now_s: float) -> None:
        service = self._own[self._service()]
        end = self._world.instant(now_s)
        rate = self._world.history.recent("cost_usd_per_hour", self._world.layout.columns(service.id)).sum()
        # Usage of the running hour is estimated before it is billed.
        amount = round(max(float(rate) * (1.0 + 0.03 * float(self._what.normal(0.0, 1.0))), 0.0), 2)
        self._world.journal.emit(
            tenant=service.tenant, source=f"{SOURCE}/billing", kind="runtime.billing.recorded.v1",
            subject=f"service/{service.id}", at=end, deliver_s=now_s,
            data=BillingRecorded(
                service=service.id, amount_usd=amount, period_start=self._world.instant(max(now_s - 3600.0, 0.0)),
                period_end=end,
            ),
        )  # fmt: skip

    def _watchdog(self, now_s: float) -> None:
        """The alert that always fires, so that its absence is noticed (kube-prometheus)."""
        self._world.journal.emit(
            tenant="platform", source=f"{SOURCE}/alerts", kind="runtime.alert.v1", subject="alert/Watchdog",
            at=self._world.instant(now_s), deliver_s=now_s,
            data=AlertFired(alert="Watchdog", status="firing", fingerprint="watchdog", labels={"severity": "none"}),
        )  # fmt: skip
