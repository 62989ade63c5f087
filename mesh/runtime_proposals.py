"""How the runtime proposes: its door's writes without a grant, and its workers' findings, onto the governed path.

A worker's proposal passes the arbiter like an agent's: nobody shrinks what is burning, and one command at a time has
a resource. What is held is refused with the reason, and the worker tries again on its next look.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.commands import IN_FLIGHT, Proposal
from domain.errors import Refused, Unavailable
from domain.plans import PlanWindow
from mesh.arbiter import arbitrate
from mesh.cases import Cases
from mesh.planning import Planning
from mesh.submission import Submission, callers_key
from runtime.worker import principal_of
from runtime.workers import WORKERS

_ROLES: dict[str, str] = {principal_of(worker.name): worker.name for worker in WORKERS}


@dataclass(slots=True)
class RuntimeProposals:
    """Takes the runtime's proposals; bound to the governed path once both exist."""

    cases: Cases
    submission: Submission | None = None
    planning: Planning | None = None

    async def propose(self, proposal: Proposal, *, idempotency_key: str) -> str:
        """Record the proposal and return its address. Raises Refused where the arbiter holds it."""
        if self.submission is None:
            raise Unavailable("the mesh is still starting", reason="starting")
        self._arbitrate(self.submission, [proposal])
        record = await self.submission.submit(proposal, key=callers_key(proposal, idempotency_key))
        return f"/v1/commands/{record.command.id}"

    async def propose_plan(
        self,
        proposals: Sequence[Proposal],
        *,
        window: PlanWindow,
        compensate_in: Sequence[int] | None,
        idempotency_key: str,
    ) -> str:
        """Record the proposals as one plan and return its address. Raises Refused where the arbiter holds one."""
        if self.planning is None or self.submission is None:
            raise Unavailable("the mesh is still starting", reason="starting")
        self._arbitrate(self.submission, proposals)
        record = await self.planning.propose(proposals, window=window, compensate_in=compensate_in, key=idempotency_key)
        return f"/v1/plans/{record.plan.id}"

    def _arbitrate(self, submission: Submission, proposals: Sequence[Proposal]) -> None:
        """Hold what a worker proposes for what burns or has a command in flight. People decide themselves."""
        flying = [
            record.command.target.address
            for record in submission.store.list("*", states=IN_FLIGHT)
            if record.command.role == "forward"
        ]
        for proposal in proposals:
            if proposal.proposer not in _ROLES:
                continue
            ruling = arbitrate(
                [proposal], proposer_roles=_ROLES, open_incidents=self.cases.live(proposal.environment),
                in_flight=flying,
            )  # fmt: skip
            for _, why in ruling.held:
                raise Refused(f"held: {why}", reason="held")
