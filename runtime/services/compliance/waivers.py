"""Waivers: documents in which somebody answers, for a limited time, for one control not being met on one resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from domain.arguments import ComplianceWaive
from domain.changes import ResourceChange
from domain.command_kinds import CommandKind
from domain.compliance import Waiver
from domain.errors import Invalid, NotFound, Refused
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.ports import Asked, OperationPlan, Operator
from runtime.services.compliance.controls import controls_of
from storage.engine import Database

WAIVERS = Documents("waiver", Waiver)


def waivers_of(
    database: Database, environment: EnvironmentId, tenants: tuple[TenantId, ...] | None
) -> tuple[Waiver, ...]:
    """Return the waivers of some tenants (all where None), ended ones too."""
    with database.read() as connection:
        return tuple(d.body for d in WAIVERS.list(connection, environment, tenants))


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return what carries out `compliance.waive`."""
    return {"compliance.waive": Waive(parts)}


@dataclass(frozen=True, slots=True)
class Waive:
    """Writes the waiver; a later one for the same control and resource takes its place."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the waiver. Raises NotFound for what is not the tenant's own, Invalid for a control or an end amiss."""
        wanted = ComplianceWaive.model_validate(asked.meaning.arguments)
        controls = controls_of(self.parts)
        control = controls.control(wanted.control)
        kind, _, name = wanted.resource.partition("/")
        if control is None or control.kind != kind:
            raise Invalid(f"no control {wanted.control} judges a {kind}", reason="control_unknown")
        # A waiver is the owner's: whoever else may write a thing, the platform included, acts as its tenant.
        if _owner(asked, kind, name) != asked.tenant:
            raise NotFound("no such resource")
        longest = timedelta(days=controls.max_waiver_days)
        if not asked.at < wanted.until <= asked.at + longest:
            raise Invalid(f"a waiver ends within {longest.days} days from now", reason="waiver_until")
        after = wanted.model_dump(mode="json", exclude={"resource"})
        change = ResourceChange(address=wanted.resource, operation="run", path=f"waiver.{wanted.control}", after=after)
        return OperationPlan(changes=(change,), resources=(f"waiver/{wanted.control}/{wanted.resource}",))

    async def step(self, record: OperationRecord) -> Progress:
        """Write the document; again, the same document."""
        wanted = ComplianceWaive.model_validate(record.arguments)
        waiver = Waiver(
            tenant=record.tenant,
            control=wanted.control,
            resource=wanted.resource,
            reason=wanted.reason,
            by=PrincipalId(wanted.accountable),
            expires_at=wanted.until,
        )
        place, name = Place(environment=record.environment, tenant=record.tenant), f"{wanted.control}:{wanted.resource}"
        with self.parts.database.begin() as connection:
            held = WAIVERS.get(connection, place, name)
            if held is None or held.body != waiver:
                WAIVERS.put(connection, place, name, waiver, at=self.parts.clock.now())
        return Progress(status="done", result={"expires_at": wanted.until.isoformat()})

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: it is written. Another waiver with an earlier end takes its place."""
        raise Refused(f"the waiver on {record.target} is written already", reason="too_late")


def _owner(asked: Asked, kind: str, name: str) -> TenantId | None:
    own = asked.view.own()
    services = {s.id: s.tenant for s in own.services}
    match kind:
        case "service":
            return services.get(name)
        case "data_store":
            return next((d.tenant for d in own.data_stores if d.id == name), None)
        case "certificate":
            return next((services.get(c.service) for c in own.certificates if c.id == name), None)
        case _:
            return next((b.tenant for b in asked.view.bindings() if b.tenant == name), None)
