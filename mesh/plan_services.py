"""What stands behind the API's change plans: the mesh's parts in the form its routes ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from api.ports import PlanClick
from api.views import PlanView
from domain.decisions import PlanDecideResult
from domain.errors import NotFound
from domain.ids import TenantId
from domain.plans import PlanRecord, PlanState
from domain.principals import ANY, Reach
from mesh.cards import plan_card
from mesh.composition import Mesh

_SCAN = 2000


@dataclass(frozen=True, slots=True)
class PlansBehind:
    """Plans within reach, read and answered."""

    mesh: Mesh

    def list(self, reach: Reach, *, states: Sequence[PlanState], limit: int) -> Sequence[PlanRecord]:
        """Return the newest plans within reach, newest first."""
        store, tenants = self.mesh.governed.plans, sorted({tenant for tenant, _ in reach.places})
        if ANY in tenants:
            rows = list(store.list("*", states=states, limit=_SCAN))
        else:
            rows = [r for one in tenants for r in store.list(TenantId(one), states=states, limit=_SCAN)]
        rows.sort(key=lambda r: r.plan.id, reverse=True)
        return [r for r in rows if reach.allows(r.plan.tenant, r.plan.environment)][:limit]

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
        return PlanView(
            record=record, card=plan_card(record, [store.decision(tenant, c) for c in record.plan.commands])
        )

    async def decide(self, click: PlanClick, verdict: Literal["approve", "reject"]) -> PlanDecideResult:
        """Count an answer. Raises Refused with the reason when it may not count."""
        return await self.mesh.loop.planning.answer(click.record, click.digest, click.who, verdict, "api", click.note)
