"""The control loop of releases: looks at every release that is under way, moves its share, and tells each step.

The approved policy is the authority for every step; the split between versions is this loop's to write, as replicas
are an autoscaler's. State and write are one transaction, so that a restart goes on where it was.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from domain.catalogue import ReleaseChanged
from domain.desired import DesiredState, ServiceState
from domain.events import Dimensions, IncomingEvent
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.releases import ENDED, ReleaseState, VersionReading
from domain.topology import Topology
from runtime import state as states
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.services.traffic import releasing
from runtime.services.traffic.looking import look_at

RELEASES = Documents("release", ReleaseState)
CONTROLLER = PrincipalId("release-controller")
SOURCE = "/runtime/releases"
# Shorter windows hold too few requests of a small share to tell anything.
LOOK_EVERY = timedelta(seconds=60)
# What came before is a look at other users and another load; a leak shows in the latest minutes.
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ReleaseController:
    """Carries out the releases of every environment."""

    parts: RuntimeParts

    async def turn(self) -> None:
        """Look at every release once. Raises Unavailable where the target does not answer."""
        with self.parts.database.read() as connection:
            environments = states.names(connection)
        for environment in environments:
            await self._environment(environment)

    async def _environment(self, environment: EnvironmentId) -> None:
        now = self.parts.clock.now()
        with self.parts.database.read() as connection:
            effective = states.current(connection, environment).effective(now)
            known = {d.body.service: d.body for d in RELEASES.list(connection, environment)}
        due = {s for s, found in effective.services.items() if found.traffic.release is not None}
        due |= {s for s, found in known.items() if found.phase not in ENDED or found.written is not None}
        if not due:
            return
        topology = await self.parts.target.topology(environment)
        for service in sorted(due & set(effective.services)):
            before = known.get(service)
            after = await self._next(environment, service, effective.services[service], before)
            if after is not None:
                self._commit(environment, _owner(topology, service), before, after)

    async def _next(
        self, environment: EnvironmentId, service: str, held: ServiceState, before: ReleaseState | None
    ) -> ReleaseState | None:
        """Where a release stands now; None where there is none."""
        now, plan = self.parts.clock.now(), held.traffic.release
        if plan is None:
            return before if before is None else _withdrawn(before, now)
        if before is None or not releasing.same_plan(before.plan, plan):
            if held.version == plan.candidate or plan.intent == "abort":
                return before
            return releasing.begin(service, plan, held.version, now)
        after = releasing.wanted(before, plan, now)
        if after.phase in ENDED:
            return _cooled(after, now)
        if held.version != after.former:
            return releasing.end(after, "stopped", now, f"somebody else put {held.version} in place")
        return await self._observed(environment, after, now)

    async def _observed(self, environment: EnvironmentId, state: ReleaseState, now: datetime) -> ReleaseState:
        if state.phase == "paused":
            return state
        plane = offered(self.parts.planes.traffic, "traffic plane")
        if state.phase == "running":
            live = (await self.parts.target.live(environment)).services.get(state.service)
            state = releasing.seen(state, None if live is None else live.split, now)
            if not state.effective:
                return state
        since = state.since if state.phase == "waiting" else max(state.since, now - WINDOW)
        read = {r.version: r for r in await plane.versions(environment, state.service, since, now)}
        candidate = read.get(state.plan.candidate, VersionReading(version=state.plan.candidate, requests=0, failed=0))
        if state.phase == "waiting":
            return releasing.started(state, now, up=bool(candidate.memory_mib))
        latest = max((look.at for look in state.history), default=state.since)
        if now - max(latest, state.since) < LOOK_EVERY:
            return state
        former = read.get(state.former, VersionReading(version=state.former, requests=0, failed=0))
        if state.plan.strategy == "blue_green":
            back = state.since - releasing.hold(state)
            earlier = await plane.versions(environment, state.service, back, state.since)
            former = next((r for r in earlier if r.version == state.former), former)
        recent = await plane.versions(environment, state.service, max(latest, state.since), now)
        served = next(((r.requests, r.failed) for r in recent if r.version == state.plan.candidate), (0, 0))
        look = look_at(state, former, candidate, now, held=now - state.since >= releasing.hold(state))
        return releasing.looked(state, look, served, now)

    def _commit(
        self, environment: EnvironmentId, tenant: TenantId, before: ReleaseState | None, after: ReleaseState
    ) -> None:
        now, place = self.parts.clock.now(), Place(environment=environment, tenant=tenant)
        with self.parts.database.begin() as connection:
            states.lock(connection, environment)
            if after != before:
                RELEASES.put(connection, place, after.service, after, at=now)
            self._write(connection, states.current(connection, environment), before, after, now)
            if before is None or (before.phase, before.step, before.written) != (
                after.phase, after.step, after.written,
            ):  # fmt: skip
                # Told before the commit: after a crash in between the same step is told again under the same id.
                self._tell(environment, tenant, after, now)

    def _write(
        self, connection: Connection, desired: DesiredState, before: ReleaseState | None, after: ReleaseState,
        now: datetime,
    ) -> None:  # fmt: skip
        """Write the split where it is another, and the version where this step has put another in place."""
        held = desired.base.services.get(after.service)
        if held is None:
            return
        turned = before is not None and releasing.serving(before) != releasing.serving(after)
        version = releasing.serving(after) if turned else held.version
        wanted = held.model_copy(update={"split": after.written, "version": version})
        if wanted == held:
            return
        services = {**desired.base.services, after.service: wanted}
        base = desired.base.model_copy(update={"services": services})
        result = desired.model_copy(update={"version": desired.version + 1, "base": base})
        states.append(connection, result, actor=CONTROLLER, key=None, at=now)

    def _tell(self, environment: EnvironmentId, tenant: TenantId, after: ReleaseState, now: datetime) -> None:
        written, all_of_it = after.written, after.phase == "promoted"
        data = ReleaseChanged(
            service=after.service, version=after.plan.candidate, previous_version=after.former, phase=after.phase,
            step=after.step, share=1.0 if all_of_it else 0.0 if written is None else written.share, reason=after.detail,
        )  # fmt: skip
        kept = "warm" if written is not None else "cold"
        event = IncomingEvent(
            id=f"{environment}:{after.service}:{after.since.isoformat()}:{after.phase}:{after.step}:{kept}",
            source=SOURCE, type="runtime.release.changed.v1", subject=f"service/{after.service}", time=now,
            dimensions=Dimensions(
                environmentid=environment, serviceid=after.service,
                severity="warning" if after.phase in {"rolled_back", "stopped"} else "info",
            ),
            data=data.model_dump(mode="json"),
        )  # fmt: skip
        self.parts.tell.tell(tenant, event)


def _withdrawn(state: ReleaseState, now: datetime) -> ReleaseState:
    """What becomes of a release whose policy is gone: one under way ends, one that has ended is left as it is."""
    if state.phase in ENDED:
        return _cooled(state, now)
    return releasing.end(state, "rolled_back", now, "its policy was withdrawn")


def _cooled(state: ReleaseState, now: datetime) -> ReleaseState:
    """Let go of a former version that was kept warm for long enough."""
    over = state.written is not None and now - state.since >= timedelta(seconds=state.plan.keep_warm_s)
    return state.model_copy(update={"written": None}) if over else state


def _owner(topology: Topology, service: str) -> TenantId:
    found = topology.service(service)
    return PLATFORM if found is None else found.tenant
