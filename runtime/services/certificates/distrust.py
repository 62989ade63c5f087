"""issuer.distrust: what an issuer signed so far no longer counts; it signs as another from then on.

Only the platform may: an issuer is everybody's. What it signed is then found as wrong, and replaced in waves.
"""

from dataclasses import dataclass

from domain.changes import ResourceChange
from domain.errors import NotFound, Refused
from domain.ids import PLATFORM
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.services.certificates.rotation import Rotation
from runtime.trust.ports import Issuer

DISTRUSTED = Documents("issuer_distrust", Rotation)


@dataclass(frozen=True, slots=True)
class DistrustIssuer:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it. Raises NotFound for an issuer that is missing, and for whoever is not the platform."""
        if asked.tenant != PLATFORM:
            raise NotFound("no such issuer")
        name = asked.meaning.target.id
        known = self._issuer(name)
        change = ResourceChange(
            address=f"issuer/{name}", operation="run", path="distrust", before=known.signs_as(), after=None
        )
        return OperationPlan(changes=(change,), resources=(f"issuer/{name}",))

    async def step(self, record: OperationRecord) -> Progress:
        """Distrust what it signs as, written down first: done again, the next one is left in trust."""
        issuer = self._issuer(record.target.partition("/")[2])
        place = Place(environment=record.environment, tenant=record.tenant)
        with self.parts.database.begin() as connection:
            known = DISTRUSTED.get(connection, place, record.id)
            gone = issuer.signs_as() if known is None else known.body.previous
            if known is None:
                DISTRUSTED.put(connection, place, record.id, Rotation(previous=gone), at=self.parts.clock.now())
        if issuer.signs_as() == gone:
            issuer.distrust()
        return Progress(status="done", result={"distrusted": gone, "signs_as": issuer.signs_as()})

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: trust that was ended is not given again."""
        raise Refused(f"{record.target} is distrusted already", reason="too_late")

    def _issuer(self, name: str) -> Issuer:
        return offered(self.parts.planes.certificates, "certificates").issuer(name)
