"""pack.upgrade of several tenants: the canary first, the others one by one, each watched before the next is touched.

One approval covers every step and the way back. State and write are one transaction, so that after a crash it goes on
where it was. Each tenant's own trust, binding and packs decide whether it is touched: a rollout forces nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from domain.arguments import PackChange, PackUpgrade
from domain.changes import Patch, ResourceChange
from domain.command_kinds import CommandKind
from domain.desired import DesiredState, apply_patches, read_path
from domain.errors import Conflict, Invalid, NotFound, OpsmeshError, Refused
from domain.ids import PLATFORM, CommandId, EnvironmentId, PrincipalId, TenantId
from domain.packs import PackPlanAnswer, PackPlanBody
from domain.runtime_api import OperationRecord, Progress
from domain.topology import Topology
from runtime import state as states
from runtime.documents import Place
from runtime.marketplace import rollouts
from runtime.marketplace.baking import LOOK_EVERY, WINDOW, Span, look_at
from runtime.marketplace.market import market_at
from runtime.marketplace.rollouts import ROLLOUTS, Part, Rollout, Written
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan, Operator
from runtime.scope import TenantView

CONTROLLER = PrincipalId("pack-rollout")
# What the target does not hold after this it will not: the longest back-off of five minutes, six times over.
HELD_WITHIN = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Rolling:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it: every tenant's own changes, and who is held and why.

        Raises NotFound unless the platform asks, Refused where the canary is held, Conflict beside another rollout.
        """
        wanted = PackUpgrade.model_validate(asked.meaning.arguments)
        if asked.tenant != PLATFORM:
            raise NotFound("no such pack")
        if not wanted.tenants or wanted.version is None or wanted.parameters:
            raise Invalid("name the tenants and the version; each keeps its own parameters", reason="rollout_unclear")
        version = wanted.version
        with self.parts.database.read() as connection:
            known = ROLLOUTS.list(connection, asked.environment)
        if any(d.body.pack == wanted.pack and d.body.phase == "running" for d in known):
            raise Conflict(f"a rollout of {wanted.pack} is under way", reason="rollout_open")
        topology = await self.parts.target.topology(asked.environment)
        changes: list[ResourceChange] = []
        for tenant in _order(wanted):
            view = TenantView(tenant, topology, asked.view.bindings())
            try:
                plan = self._upgrade(wanted.pack, version, tenant, view, asked.desired, asked.at)
            except OpsmeshError as error:
                if tenant == wanted.tenants[0]:
                    raise Refused(f"the canary {tenant} is held: {error}", reason="canary_held") from error
                changes.append(_change(tenant, wanted.pack, "held", error.reason))
            else:
                changes += [c for c in plan.changes if not c.address.startswith("tenant/")]
                changes.append(_change(tenant, wanted.pack, version, _digest(plan, tenant, wanted.pack)))
        return OperationPlan(changes=tuple(changes), resources=(f"pack/{wanted.pack}",))

    async def step(self, record: OperationRecord) -> Progress:
        """Go on where it stands: upgrade the next tenant, wait until the target holds it, look, or go back."""
        now, topology = self.parts.clock.now(), await self.parts.target.topology(record.environment)
        rollout = self._begun(record, topology)
        part = rollouts.due(rollout)
        if part is not None and part.phase == "waiting":
            rollout = self._write(record, topology, part.tenant, now)
        elif part is not None:
            rollout = await self._watched(record, rollout, part, topology, now)
        return _progress(rollout)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Stop, and take back every upgrade it made."""
        rollout = self._back(record, self.parts.clock.now(), "stopped by people")
        back = [p.tenant for p in rollout.parts if p.phase == "rolled_back"]
        return _progress(rollout).model_copy(
            update={"status": "cancelled", "detail": f"stopped; taken back: {', '.join(back) or 'nothing'}"}
        )

    def _begun(self, record: OperationRecord, topology: Topology) -> Rollout:
        """Return the rollout, the first time as it was approved."""
        wanted, now = PackUpgrade.model_validate(record.arguments), self.parts.clock.now()
        version = str(wanted.version)
        with self.parts.database.begin() as connection:
            known = ROLLOUTS.get(connection, _place(record), record.id)
            if known is not None:
                return known.body
            desired, canary = states.current(connection, record.environment), _order(wanted)[0]
            view = TenantView(
                canary, topology, states.bound_tenants(connection, record.environment)
            )  # fmt: skip
            plan = self._upgrade(wanted.pack, version, canary, view, desired, now)
            parts = tuple(Part(tenant=t, former=_former(desired, t, wanted.pack)) for t in _order(wanted))
            rollout = Rollout(
                pack=wanted.pack, pack_version=version, bake_s=wanted.bake_s, parts=parts,
                digest=_digest(plan, canary, wanted.pack),
            )  # fmt: skip
            ROLLOUTS.put(connection, _place(record), record.id, rollout, at=now, expect=0)
        return rollout

    def _write(self, record: OperationRecord, topology: Topology, tenant: TenantId, now: datetime) -> Rollout:
        """Upgrade one tenant as its state and trust are now, or hold it; one transaction with what leads back."""
        with self.parts.database.begin() as connection:
            states.lock(connection, record.environment)
            rollout = self._kept(connection, record)
            part = next(p for p in rollout.parts if p.tenant == tenant)
            desired = states.current(connection, record.environment)
            view = TenantView(tenant, topology, states.bound_tenants(connection, record.environment))
            try:
                plan = self._upgrade(rollout.pack, rollout.pack_version, tenant, view, desired, now)
                if _digest(plan, tenant, rollout.pack) != rollout.digest:
                    raise Refused("it is not the content that was approved", reason="pack_version_reused")
            except OpsmeshError as error:
                part = part.model_copy(update={"phase": "held", "since": now, "detail": f"{error.reason}: {error}"})
            else:
                version = _append(connection, desired, plan.patches, record, now)
                document = desired.base.model_dump(mode="json")
                part = part.model_copy(update={
                    "phase": "baking", "written_at": now, "version": version, "detail": "the target has yet to follow",
                    "written": tuple(
                        Written(path=p.path, value=p.value, before=read_path(document, p.path)) for p in plan.patches
                    ),
                })  # fmt: skip
            return self._keep(connection, record, rollouts.with_part(rollout, part), now)

    async def _watched(
        self, record: OperationRecord, rollout: Rollout, part: Part, topology: Topology, now: datetime
    ) -> Rollout:
        """Look at the tenant that bakes, when a look is due."""
        with self.parts.database.read() as connection:
            actuated, _ = states.actuated(connection, record.environment)
        if part.since is None:
            return self._followed(record, rollout, part, now, followed=actuated >= part.version)
        if now - part.since < (part.looks + 1) * LOOK_EVERY:
            return rollout
        over = now - part.since >= timedelta(seconds=rollout.bake_s)
        services = sorted(s.id for s in topology.services if s.tenant == part.tenant)
        written = part.written_at or part.since
        verdict = await look_at(
            offered(self.parts.planes.traffic, "traffic plane"), record.environment, services,
            Span(written - WINDOW, written), Span(max(part.since, now - WINDOW), now),
            look=part.looks + 1, blind=part.blind if over else -1,
        )  # fmt: skip
        if why := rollouts.why_back(verdict):
            return self._back(record, now, f"{part.tenant} fares worse: {why}")
        with self.parts.database.begin() as connection:
            after = rollouts.with_part(rollout, rollouts.looked(part, verdict, now, over=over))
            return self._keep(connection, record, after, now)

    def _followed(
        self, record: OperationRecord, rollout: Rollout, part: Part, now: datetime, *, followed: bool
    ) -> Rollout:
        """Begin the bake once the target holds the upgrade."""
        if not followed:
            late = part.written_at is not None and now - part.written_at > HELD_WITHIN
            return self._back(record, now, f"the target never held it for {part.tenant}") if late else rollout
        with self.parts.database.begin() as connection:
            baking = part.model_copy(update={"since": now, "detail": "is watched"})
            return self._keep(connection, record, rollouts.with_part(rollout, baking), now)

    def _back(self, record: OperationRecord, now: datetime, why: str) -> Rollout:
        """Take back every upgrade that was made, the latest first, in one transaction; once."""
        with self.parts.database.begin() as connection:
            states.lock(connection, record.environment)
            rollout = self._kept(connection, record)
            if rollout.phase != "running":
                return rollout
            for part in reversed(rollout.parts):
                desired = states.current(connection, record.environment)
                if patches := rollouts.way_back(part, desired):
                    _append(connection, desired, patches, record, now)
            return self._keep(connection, record, rollouts.taken_back(rollout, now, why), now)

    def _upgrade(
        self, pack: str, version: str, tenant: TenantId, view: TenantView, desired: DesiredState, at: datetime
    ) -> PackPlanAnswer:
        """Plan one tenant's upgrade as its own trust, binding and packs allow. Raises why not."""
        if _former(desired, tenant, pack) == version:
            raise Invalid(f"it has {pack} {version} already", reason="pack_installed")
        asked = PackPlanBody(kind="pack.upgrade", arguments=PackChange(pack=pack, version=version))
        return market_at(self.parts.home).plan(asked, tenant, view, desired, at, {})

    def _kept(self, connection: Connection, record: OperationRecord) -> Rollout:
        found = ROLLOUTS.get(connection, _place(record), record.id)
        if found is None:
            raise NotFound("the rollout has not begun")
        return found.body

    def _keep(self, connection: Connection, record: OperationRecord, rollout: Rollout, now: datetime) -> Rollout:
        ROLLOUTS.put(connection, _place(record), record.id, rollout, at=now)
        return rollout


def _append(
    connection: Connection, desired: DesiredState, patches: tuple[Patch, ...], record: OperationRecord, now: datetime
) -> int:
    after = apply_patches(desired, patches, command=CommandId(record.id), at=now)
    states.append(connection, after, actor=CONTROLLER, key=None, at=now)
    return after.version


def _order(wanted: PackUpgrade) -> tuple[TenantId, ...]:
    """The canary, then the others."""
    return tuple(dict.fromkeys(TenantId(t) for t in wanted.tenants))


def _former(desired: DesiredState, tenant: TenantId, pack: str) -> str:
    here = desired.base.tenants.get(tenant)
    held = here.packs.get(pack) if here else None
    return held.version if held else ""


def _digest(plan: PackPlanAnswer, tenant: TenantId, pack: str) -> str:
    """The digest in the pack's own record among the writes."""
    record = next(p.value for p in plan.patches if p.path == ("tenants", tenant, "packs", pack))
    return str(record["digest"]) if isinstance(record, dict) else ""


def _change(tenant: TenantId, pack: str, after: str, why: str) -> ResourceChange:
    return ResourceChange(
        address=f"tenant/{tenant}", operation="run", path=f"packs.{pack}", after={"version": after, "of": why}
    )


def _place(record: OperationRecord) -> Place:
    return Place(environment=EnvironmentId(record.environment), tenant=record.tenant)


def _progress(rollout: Rollout) -> Progress:
    ended = sum(p.phase in {"held", "upgraded", "rolled_back"} for p in rollout.parts)
    status = {"running": "running", "done": "done", "rolled_back": "failed"}[rollout.phase]
    now = rollouts.due(rollout)
    return Progress.model_validate({
        "status": status, "fraction": ended / len(rollout.parts) if status == "running" else 1.0,
        "result": {
            "tenants": {p.tenant: p.phase for p in rollout.parts},
            # an undo has nothing to go by: who has it afterwards is told, and a person decides
            "left": [p.tenant for p in rollout.parts if p.phase == "upgraded"],
        },
        "detail": (rollout.detail or (f"{now.tenant}: {now.phase}" if now else ""))[:2000],
    })  # fmt: skip


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return the marketplace's operators."""
    return {"pack.upgrade": Rolling(parts)}
