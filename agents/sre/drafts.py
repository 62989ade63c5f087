"""Makes candidates out of a hypothesis: one typed proposal with its evidence, reason and blast radius.

Targets and arguments come from topology, desired state and the platform's change feed only; log text never
reaches this module.
"""

from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from agents.spec import Candidate
from agents.sre.case import Case
from agents.sre.moves import Moves
from domain.command_kinds import CommandKind
from domain.commands import Proposal
from domain.desired import EnvironmentState, ServiceState
from domain.evidence import ChangeRecord, EvidencePack, Hypothesis
from domain.ids import EvidenceId, PrincipalId
from domain.topology import EntityRef, RuntimeService

SRE = PrincipalId("agent:sre")
UNOWNED = "platform-operations"
"""Whom a ticket reaches when the topology names no owner."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What remedies draw on: the case, the hypothesis to act on, which attempt it is."""

    case: Case
    hypothesis: Hypothesis
    attempt: int

    @property
    def pack(self) -> EvidencePack:
        """The evidence."""
        return self.case.pack

    @property
    def moves(self) -> Moves:
        """How every series moved."""
        return self.case.moves

    @property
    def name(self) -> str:
        """The blamed entity's id."""
        return self.hypothesis.entity.partition("/")[2]

    def state(self) -> EnvironmentState | None:
        """Return the effective desired state now, None when it could not be read."""
        return None if self.pack.desired is None else self.pack.desired.effective(self.pack.at)

    def service_state(self, name: str) -> ServiceState | None:
        """Return the desired state of a service."""
        state = self.state()
        return None if state is None else state.services.get(name)

    def service(self, name: str) -> RuntimeService | None:
        """Return the service as the topology tells it."""
        return self.pack.topology.service(name)

    def suspect_change(self, kind: str) -> ChangeRecord | None:
        """Return the newest change of a kind that the hypothesis cites, if the platform itself told of it."""
        cited = {evidence for claim in self.hypothesis.supporting for evidence in claim.evidence}
        trusted = [
            change
            for change in self.pack.changes
            if change.kind == kind
            and change.entity == self.hypothesis.entity
            and change.evidence in cited
            and (item := self.pack.item(change.evidence)) is not None
            and item.trust == "platform"
        ]
        return max(trusted, key=lambda change: change.at, default=None)

    def candidate(  # one argument per field of a proposal that differs
        self,
        kind: CommandKind,
        target: str,
        arguments: dict[str, JsonValue],
        *,
        reason: str,
        preference: float,
    ) -> Candidate | None:
        """Return the candidate, None when the arguments do not fit the command's model."""
        evidence = _cited(self.hypothesis)
        trusts = {item.trust for cited in evidence if (item := self.pack.item(cited)) is not None}
        try:
            proposal = Proposal(
                kind=kind,
                arguments=arguments,
                target=EntityRef.parse(target),
                tenant=self.pack.tenant,
                environment=self.pack.environment,
                proposer=SRE,
                rationale=f"{self.hypothesis.statement}. {reason}",
                evidence=evidence,
                evidence_digest=self.pack.digest,
                confidence=self.hypothesis.confidence,
                untrusted_only=trusts <= {"untrusted"},
                incident=self.pack.incident.id,
                attempt=self.attempt,
                trace=self.pack.incident.trace,
            )
        except ValidationError:
            return None  # e.g. a version string from elsewhere that is no legal argument: then there is no such command
        return Candidate(proposal, reason, preference, len(callers(self.pack, target)) + 1)


def callers(pack: EvidencePack, entity: str) -> set[str]:
    """Return everything that depends on the entity, directly or not."""
    found: set[str] = set()
    queue = [entity]
    while queue:
        here = queue.pop()
        for edge in pack.topology.edges:
            if edge.target == here and edge.source not in found:
                found.add(edge.source)
                queue.append(edge.source)
    return found


def owner_team(pack: EvidencePack, entity: str) -> str:
    """Return who owns the entity; for things others run, the owner of whoever calls them."""
    name = entity.partition("/")[2]
    service = pack.topology.service(name)
    if service is not None:
        return service.owner_team
    owners = [
        caller.owner_team
        for edge in pack.topology.edges
        if edge.target == entity and (caller := pack.topology.service(edge.source.partition("/")[2])) is not None
    ]
    return min(owners, default=UNOWNED)


def _cited(hypothesis: Hypothesis) -> tuple[EvidenceId, ...]:
    return tuple(dict.fromkeys(cited for claim in hypothesis.supporting for cited in claim.evidence))
