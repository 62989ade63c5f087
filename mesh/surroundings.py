"""Gathers what the stores and readers say around one command, once, into the snapshot that policy decides over.

Nothing here has a permissive default: what cannot be read raises, and a command without facts is not decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.commands import IN_FLIGHT, Command, State
from domain.errors import Invalid
from domain.evidence import Evidence
from domain.ids import PLATFORM, TenantId
from domain.incidents import Incident
from domain.ports import Clock
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from governance import switches
from governance.autonomy import Autonomy, Place
from governance.budgets import Budgets, charges_of
from governance.facts import Surroundings
from governance.machine import CommandStore
from governance.principals import Principals
from grounding.packs import ReaderSource
from mesh import exposure, limits
from mesh.compliance import ComplianceCheck
from storage.engine import Database

BAD: frozenset[State] = frozenset({State.UNDONE, State.UNDO_FAILED, State.FAILED, State.INCONCLUSIVE, State.UNKNOWN})
"""Ends that speak against trying the same again."""
ERROR_BUDGET_LOOKBACK = timedelta(hours=6)
"""The slow-burn window of multi-window alerts (SRE workbook, chapter 5)."""
NO_EVIDENCE_AGE_S = 1e9
NOT_PRODUCTION: tuple[str, ...] = ("dev", "test", "staging")
"""Environment names (or prefixes) that are no production; everything else is."""
SCAN = 2000
"""More than one tenant has approved, one incident has tried, or all have in flight at a time."""


class IncidentLookup(Protocol):
    """What the loop knows of an incident."""

    def incident(self, tenant: TenantId, incident: str) -> Incident | None:
        """Return the incident, None when the tenant has none of that id."""
        ...

    def items(self, tenant: TenantId, incident: str) -> tuple[Evidence, ...]:
        """Return what can be cited of the incident's newest evidence."""
        ...

    def found_at(self, tenant: TenantId, findings: Sequence[str]) -> datetime | None:
        """Return when the newest of some workers' findings was raised."""
        ...


@dataclass(frozen=True, slots=True)
class SurroundingsReader:
    """Reads everything a decision needs beyond the command itself."""

    database: Database
    store: CommandStore
    budgets: Budgets
    autonomy: Autonomy
    principals: Principals
    incidents: IncidentLookup
    readers: ReaderSource
    compliance: ComplianceCheck
    clock: Clock

    async def around(self, command: Command) -> Surroundings:
        """Return the surroundings of a command now. Raises Unavailable or Invalid when something cannot be read."""
        now = self.clock.now()
        platform = self.readers.for_tenant(PLATFORM)
        topology = await platform.runtime.topology(command.environment)
        bindings = await platform.runtime.bindings(command.environment)
        desired = await platform.runtime.desired(command.environment)
        binding = _binding(bindings, command)
        touched = exposure.touched_services(command, topology)
        spend_change = exposure.spend_change_usd_per_hour(command, desired.effective(now), topology)
        with self.database.read() as connection:
            stops = tuple(s for s in switches.engaged(connection) if switches.covers(s, command))
            freezes = switches.frozen(connection, command, now)
            place = Place(
                tenant=command.tenant, environment=command.environment, kind=command.kind, default=binding.autonomy
            )
            autonomy = self.autonomy.level(connection, place)
            bad_outcomes = self.autonomy.bad_outcomes(connection, place, now)
        return Surroundings.model_validate(
            self._proposer(command)
            | self._history(command, now)
            | self._money(command, spend_change, now)
            | {
                "at": now,
                "parent_allowed": False,
                "production": not command.environment.startswith(NOT_PRODUCTION),
                "tier": min((s.tier for s in touched), default=3),
                "isolation": binding.isolation,
                "autonomy": autonomy,
                "recent_bad_outcomes": bad_outcomes,
                "kill_switches": tuple(f"{s.scope}:{s.value}" for s in stops),
                "undos_continue": all(s.undos_continue for s in stops),
                "freeze_active": bool(freezes),
                "clock_doubtful": now < command.proposed_at,
                "services_touched": len(touched),
                "services_total": len(topology.services),
                "replicas_affected": exposure.replicas_stopped(command),
                "replicas_total": exposure.replicas_running(touched, desired.effective(now)),
                "error_budget_left": await self._error_budget(command, topology, now),
                "residency_ok": limits.residency_ok(command, bindings, desired.effective(now), topology),
                "quota_ok": limits.quota_ok(command, bindings, desired.effective(now), topology),
                "compliance_violations": await self.compliance.violations(
                    command, desired.effective(now), topology, bindings, now
                ),
            }
        )

    def _proposer(self, command: Command) -> dict[str, object]:
        proposer = self.principals.get(command.proposer)
        roles = proposer.roles_on(command.tenant, command.environment)
        return {
            "proposer_kind": proposer.kind,
            "proposer_name": proposer.name,
            "proposer_enabled": proposer.disabled_at is None,
            "proposer_has_role": bool(roles & {"proposer", "approver", "operator", "admin"}),
        }

    def _history(self, command: Command, now: datetime) -> dict[str, object]:
        incident, items, tried = None, (), ()
        found = self.incidents.found_at(command.tenant, command.evidence) if command.evidence else None
        if command.incident is not None:
            incident = self.incidents.incident(command.tenant, command.incident)
            items = self.incidents.items(command.tenant, command.incident)
            tried = self.store.list(command.tenant, states=BAD, incident=command.incident, limit=SCAN)
        mine = set(command.affected.resources)
        in_flight = [r.command for r in self.store.list("*", states=IN_FLIGHT, limit=SCAN)]
        return {
            "conflicts": sum(1 for c in in_flight if c.id != command.id and mine & set(c.affected.resources)),
            "incident_open": incident is not None and incident.status not in {"resolved", "closed"},
            "evidence_age_s": _evidence_age_s(command, items, found, now),
            "same_fix_failed": any(
                (r.command.kind, r.command.target) == (command.kind, command.target)
                for r in tried
                if r.command.id != command.id
            ),
        }

    def _money(self, command: Command, spend_change: float, now: datetime) -> dict[str, object]:
        """What is left of the budgets without the command's own charges, which an approved one already holds."""
        levels = {level.budget.resource: level for level in self.budgets.levels(command.tenant, now)}
        approved = self.store.list(command.tenant, states=[State.APPROVED], limit=SCAN)
        charges = charges_of(command, spend_change) if any(r.command.id == command.id for r in approved) else ()
        own = {c.resource: c.amount for c in charges if c.tenant == command.tenant}
        spend, count = levels.get("spend_usd_per_hour"), levels.get("commands")
        if spend is None or count is None:
            raise Invalid(f"tenant {command.tenant} has no budgets: set them first", reason="budgets_missing")
        return {
            "spend_change_usd_per_hour": spend_change,
            "budget_left_usd_per_hour": spend.budget.limit - spend.used + own.get("spend_usd_per_hour", 0.0),
            "commands_in_window": int(count.used - own.get("commands", 0.0)),
            "command_limit": int(count.budget.limit),
        }

    async def _error_budget(self, command: Command, topology: Topology, now: datetime) -> float:
        service = topology.service(command.target.id)
        if service is None:
            return 1.0
        start = now - ERROR_BUDGET_LOOKBACK
        telemetry = self.readers.for_tenant(PLATFORM).telemetry
        series = await telemetry.series(command.environment, [command.target.address], start, now)
        return exposure.error_budget_left(series, service.slo)


def _binding(bindings: tuple[RuntimeTenantBinding, ...], command: Command) -> RuntimeTenantBinding:
    found = next((b for b in bindings if b.tenant == command.tenant), None)
    if found is None:
        raise Invalid(f"tenant {command.tenant} is not bound to {command.environment}", reason="not_bound")
    return found


def _evidence_age_s(command: Command, items: Sequence[Evidence], found_at: datetime | None, now: datetime) -> float:
    """Return the age of the newest cited evidence: an incident's, or a worker's finding."""
    ends = [item.window.end for item in items if item.id in command.evidence]
    ends += [] if found_at is None else [found_at]
    return max(0.0, (now - max(ends)).total_seconds()) if ends else NO_EVIDENCE_AGE_S
