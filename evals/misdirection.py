"""The wrong-target control: sends every proposal to an unrelated service, to see the loop notice."""

from dataclasses import dataclass, field

from domain.commands import Proposal
from domain.errors import OpsmeshError
from domain.topology import EntityRef, RuntimeService
from mesh.composition import Mesh


@dataclass(slots=True)
class Misdirection:
    """A redirect for the investigation; remembers what it misdirected so that a repeat goes the same way."""

    mesh: Mesh | None = None
    sent: list[str] = field(default_factory=list[str])

    async def __call__(self, proposal: Proposal) -> Proposal:
        """Return the proposal on another service: the same kind where that can be planned, else a scaling change."""
        mesh = self.mesh
        if mesh is None:
            return proposal
        topology = await mesh.readers.runtime(proposal.tenant).topology(proposal.environment)
        near = {proposal.target.id, *(e.partition("/")[2] for e in self._symptoms(mesh, proposal))}
        meant = topology.service(proposal.target.id)
        owner = proposal.tenant if meant is None else meant.tenant
        strangers = sorted((s for s in topology.services if s.id not in near), key=lambda s: s.tenant != owner)
        for service in strangers:
            for candidate in (_same_kind(proposal, service), await self._scaling(mesh, proposal, service)):
                if candidate is not None and await _runs(mesh, candidate):
                    self.sent.append(candidate.target.address)
                    return candidate
        return proposal

    @staticmethod
    def _symptoms(mesh: Mesh, proposal: Proposal) -> tuple[str, ...]:
        incident = None if proposal.incident is None else mesh.cases.incident(proposal.tenant, proposal.incident)
        return () if incident is None else incident.entities

    @staticmethod
    async def _scaling(mesh: Mesh, proposal: Proposal, service: RuntimeService) -> Proposal | None:
        desired = await mesh.readers.runtime(proposal.tenant).desired(proposal.environment)
        state = desired.base.services.get(service.id)
        if state is None:
            return None
        if state.scaling is None:
            arguments = {"service": service.id, "replicas": state.replicas + 1}
            return _moved(proposal, service, kind="service.scale", arguments=arguments)
        policy = state.scaling.model_copy(update={"min_replicas": state.scaling.min_replicas + 1})
        policy = policy.model_copy(update={"max_replicas": max(policy.max_replicas, policy.min_replicas)})
        arguments = {"service": service.id, "policy": policy.model_dump(mode="json")}
        return _moved(proposal, service, kind="scaling_policy.update", arguments=arguments)


def _same_kind(proposal: Proposal, service: RuntimeService) -> Proposal | None:
    if proposal.kind in {"ticket.open", "service.restart"} or "service" not in proposal.arguments:
        return None  # nothing lasting to undo: a scaling change shows more
    return _moved(proposal, service, kind=proposal.kind, arguments=proposal.arguments | {"service": service.id})


def _moved(proposal: Proposal, service: RuntimeService, **changed: object) -> Proposal:
    target = EntityRef(kind="service", id=service.id)
    return Proposal.model_validate(proposal.model_dump() | {"target": target, **changed})


async def _runs(mesh: Mesh, proposal: Proposal) -> bool:
    """Tell whether the proposal can be planned and policy would let it run: else nothing would be there to notice."""
    try:
        _, decision = await mesh.submission.preview(proposal)
    except OpsmeshError:
        return False
    return decision.effect == "allow"
