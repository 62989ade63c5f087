"""A shared command as one of the tenants that it touches may see it: its own part, and nothing of anybody else.

What the platform proposes says more than one tenant may know: who else is touched, what of theirs, why, by whom. Here
is the one place that cuts it down; API, traces and the command line show what comes out of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.compliance.estate import sharing_of
from domain.base import canonical_json
from domain.cards import Card, CardSection, SharedCommand
from domain.changes import ResourceChange
from domain.commands import Command, CommandRecord, State
from domain.decisions import Effect
from domain.desired import SECTIONS
from domain.errors import NotFound
from domain.ids import PLATFORM, CommandId, EnvironmentId, TenantId
from domain.outcomes import Verification
from domain.principals import Reach
from domain.topology import Topology
from mesh.cards import change_line, check_line, undo_line
from mesh.composition import Mesh

_SCAN = 2000
_KIND_OF = dict(SECTIONS)
Tenants = frozenset[TenantId]


@dataclass(frozen=True, slots=True)
class Own:
    """What is whose, for some tenants."""

    addresses: frozenset[str]
    """Of their own things, and of pools that nobody else runs on."""
    strange: tuple[str, ...]
    """Names of other tenants and of their things, the longest first; the platform's are no secret."""

    def clear(self, text: str) -> bool:
        """Tell whether nothing strange is named. A strange name that is only part of an own one does not count."""
        for name in sorted((a.partition("/")[2] for a in self.addresses), key=len, reverse=True):
            text = text.replace(name, "")
        return not any(name in text for name in self.strange)


def touched(command: Command, reach: Reach) -> Tenants:
    """Return the tenants within reach that a command of the platform touches; none for what a tenant proposed."""
    if command.tenant != PLATFORM:
        return frozenset()
    affected = (tenant for tenant in command.affected.tenants if tenant != PLATFORM)
    return frozenset(tenant for tenant in affected if reach.allows(tenant, command.environment))


def own_of(tenants: Tenants, topology: Topology) -> Own:
    """Return what belongs to the tenants in an environment's whole topology, and what to others."""
    owners = [(f"service/{s.id}", s.tenant) for s in topology.services]
    owners += [(f"data_store/{d.id}", d.tenant) for d in topology.data_stores]
    by_service = {s.id: s.tenant for s in topology.services}
    owners += [(f"certificate/{c.id}", by_service[c.service]) for c in topology.certificates if c.service in by_service]
    owners += [(f"secret/{c.id}", by_service[c.service]) for c in topology.secrets if c.service in by_service]
    pools = [(a, on) for a, on in sharing_of(topology).items() if a.startswith("node_pool/")]
    mine = {address for address, owner in owners if owner in tenants}
    mine |= {f"tenant/{tenant}" for tenant in tenants} | {address for address, on in pools if on <= tenants}
    others = {owner for _, owner in owners} | {t for s in topology.services for t in s.used_by}
    strange = {str(owner) for owner in others if owner not in tenants and owner != PLATFORM}
    strange |= {a.partition("/")[2] for a, owner in owners if owner not in tenants and owner != PLATFORM}
    strange |= {a.partition("/")[2] for a, on in pools if not on & tenants and on != frozenset({PLATFORM})}
    return Own(frozenset(mine), tuple(sorted(strange, key=len, reverse=True)))


def part_of(
    record: CommandRecord,
    tenants: Tenants,
    topology: Topology,
    *,
    effect: Effect | None = None,
    verification: Verification | None = None,
    planned: bool = False,
) -> SharedCommand:
    """Return the tenants' part of a command. Texts that people or agents wrote are left out, and so are all figures
    that are not about the tenants' own things.
    """
    command, own = record.command, own_of(tenants, topology)
    preview = tuple(c for c in command.preview if c.address in own.addresses and own.clear(_said(c)))
    resources = {a for a in (*command.affected.resources, *(c.address for c in preview)) if a in own.addresses}
    title = command.kind
    if command.target.address in own.addresses:
        title += f" on {command.target.address}"
    sections = [
        CardSection(title="Why", lines=("The platform proposed it. This is what of it is yours.",)),
        CardSection(title="Would change", lines=tuple(change_line(c) for c in preview)),
        CardSection(title="Undo", lines=tuple(_undo(command, own)) or (command.spec.reversibility,)),
    ]
    if effect is not None:
        sections.append(CardSection(title=f"Policy says {effect}"))
    if verification is not None:
        checks = [check_line(c) for c in verification.checks if c.entity in own.addresses and own.clear(c.text)]
        sections.append(CardSection(title=f"Verification: {verification.verdict}", lines=tuple(checks)))
    if planned:
        sections.append(CardSection(title="Part of", lines=("a change plan of the platform",)))
    return SharedCommand(
        id=command.id, kind=command.kind, environment=command.environment, state=record.state,
        tenants=tuple(sorted(tenants)), resources=tuple(sorted(resources)), preview=preview, effect=effect,
        verdict=None if verification is None else verification.verdict, proposed_at=command.proposed_at,
        updated_at=record.updated_at, expires_at=command.expires_at,
        card=Card(
            title=title, severity="warning" if command.spec.risk == "low" else "error", state=record.state,
            summary="proposed by the platform", sections=tuple(sections), preview=preview,
            expires_at=command.expires_at,
        ),
    )  # fmt: skip


def _said(change: ResourceChange) -> str:
    values = canonical_json([change.before, change.after]).decode()
    return f"{change.address} {change.path} {values}"


def _undo(command: Command, own: Own) -> Iterator[str]:
    for field in command.inverse.fields:
        section, name = field.path[0], field.path[1]
        line = undo_line(field)
        if f"{_KIND_OF.get(section)}/{name}" in own.addresses and own.clear(line):
            yield line


@dataclass(frozen=True, slots=True)
class SharedBehind:
    """Shared commands within reach."""

    mesh: Mesh

    async def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[SharedCommand]:
        """Return the newest that touch somebody within reach, newest first. Raises Unavailable without topology."""
        rows = self.mesh.governed.commands.list(PLATFORM, states=states, limit=_SCAN)
        found = [(record, touched(record.command, reach)) for record in rows]
        found = sorted((pair for pair in found if pair[1]), key=lambda pair: pair[0].command.id, reverse=True)[:limit]
        places = {record.command.environment for record, _ in found}
        topologies = {place: await self._topology(place) for place in sorted(places)}
        return [self._part(record, mine, topologies[record.command.environment]) for record, mine in found]

    async def find(self, reach: Reach, command: CommandId) -> SharedCommand:
        """Return one. Raises NotFound, also when it touches nobody within reach; Unavailable without topology."""
        record = self.mesh.governed.commands.get("*", command)
        if not (mine := touched(record.command, reach)):
            raise NotFound("no such command")
        return self._part(record, mine, await self._topology(record.command.environment))

    async def _topology(self, environment: EnvironmentId) -> Topology:
        return await self.mesh.readers.runtime(PLATFORM).topology(environment)

    def _part(self, record: CommandRecord, mine: Tenants, topology: Topology) -> SharedCommand:
        key = record.command.id
        decision = self.mesh.governed.commands.decision(PLATFORM, key)
        return part_of(
            record,
            mine,
            topology,
            effect=None if decision is None else decision.effect,
            verification=self.mesh.journal.verification(PLATFORM, key),
            planned=self.mesh.governed.plans.plan_of(key) is not None,
        )
