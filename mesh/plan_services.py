"""What stands behind the API's change plans: the mesh's parts in the form its routes ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from api.ports import PlanClick
from api.views import PlanProposed, PlanRequest, PlanView
from domain.commands import Proposal
from domain.decisions import PlanDecideResult
from domain.errors import Conflict, NotFound
from domain.ids import TenantId
from domain.plans import PlanRecord, PlanState, PlanWindow
from domain.principals import ANY, READING_ROLES, Principal, Reach
from mesh.cards import plan_card
from mesh.composition import Mesh
from mesh.discretion import discreet
from mesh.submission import EXECUTION_EXPIRY

_SCAN = 2000


@dataclass(frozen=True, slots=True)
class PlansBehind:
    """Plans within reach, read, proposed and answered."""

    mesh: Mesh

    def list(self, reach: Reach, *, states: Sequence[PlanState], limit: int) -> Sequence[PlanRecord]:
        """Return the newest plans within reach, newest first."""
        store, tenants = self.mesh.governed.plans, sorted({tenant for tenant, _ in reach.places})
        if ANY in tenants:
            rows = list(store.list("*", states=states, limit=_SCAN))
        else:
            rows = [r for one in tenants for r in store.list(TenantId(one), states=states, limit=_SCAN)]
        rows.sort(key=lambda r: r.plan.id, reverse=True)
        mine = [r for r in rows if reach.allows(r.plan.tenant, r.plan.environment)][:limit]
        return [discreet(record, (member.command for member in record.members), reach) for record in mine]

    def find(self, reach: Reach, plan: str) -> PlanRecord:
        """Return one plan. Raises NotFound, also when it is out of reach."""
        record = self.mesh.governed.plans.get("*", plan)
        if not reach.allows(record.plan.tenant, record.plan.environment):
            raise NotFound("no such plan")
        return record

    def view(self, reach: Reach, plan: str) -> PlanView:
        """Return one plan with its card. Raises NotFound."""
        record = self.find(reach, plan)
        store, tenant = self.mesh.governed.commands, record.plan.tenant
        card = plan_card(record, [store.decision(tenant, c) for c in record.plan.commands])
        members = (member.command for member in record.members)
        return discreet(PlanView(record=record, card=card), members, reach)

    async def propose(self, who: Principal, request: PlanRequest, *, key: str | None, dry_run: bool) -> PlanProposed:
        """Plan and decide all; record them unless it is a dry run."""
        planning, now = self.mesh.loop.planning, self.mesh.parts.clock.now()
        window = request.window or PlanWindow(start=now, end=now + EXECUTION_EXPIRY)
        proposals = _proposals(who, request)
        if dry_run:
            draft, said = await planning.preview(proposals, window=window, compensate_in=request.compensate_in)
            told = PlanProposed(dry_run=True, card=plan_card(draft, said), decisions=tuple(said))
            return discreet(told, (member.command for member in draft.members), who.reach(READING_ROLES))
        record = await planning.propose(proposals, window=window, compensate_in=request.compensate_in, key=key)
        plan = record.plan
        stands = PlanWindow(start=plan.window_start, end=plan.window_end)
        order = plan.compensate_in if request.compensate_in is None else request.compensate_in
        if (request.window or stands, order) != (stands, plan.compensate_in):
            raise Conflict("the idempotency key stands for another plan", reason="key_taken")
        decisions = tuple(self.mesh.governed.commands.decision(plan.tenant, command) for command in plan.commands)
        record = self.mesh.governed.plans.get(plan.tenant, plan.id)
        told = PlanProposed(dry_run=False, card=plan_card(record, decisions), decisions=decisions, record=record)
        return discreet(told, (member.command for member in record.members), who.reach(READING_ROLES))

    async def decide(self, click: PlanClick, verdict: Literal["approve", "reject"]) -> PlanDecideResult:
        """Count an answer. Raises Refused with the reason when it may not count."""
        return await self.mesh.loop.planning.answer(click.record, click.digest, click.who, verdict, "api", click.note)


def _proposals(who: Principal, request: PlanRequest) -> Sequence[Proposal]:
    """Return each command as its proposer's; one without a reason of its own has the plan's."""
    shared = {
        "tenant": request.tenant, "environment": request.environment, "incident": request.incident, "proposer": who.id,
    }  # fmt: skip
    return [
        Proposal.model_validate(step.model_dump() | shared | {"rationale": step.rationale or request.rationale})
        for step in request.commands
    ]
