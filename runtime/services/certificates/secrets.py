"""secret.rotate: the pair's idle user gets a new password, the holder is moved over, and the old one is proven dead.

Both passwords open while the holder moves, so nothing is refused meanwhile. The old one is tried once more after it
was revoked: only a login that is refused ends the rotation. Values never pass here.
"""

from dataclasses import dataclass

from pydantic import JsonValue

from domain.changes import ResourceChange
from domain.errors import NotFound, Refused
from domain.runtime_api import OperationRecord, Progress
from domain.topology import Topology
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.services.certificates import wanted as wanting
from runtime.services.certificates.rotation import Rotation
from runtime.services.certificates.schedule import LIFETIME
from runtime.trust.ports import CredentialPlane, Login

HANDOVERS = Documents("secret_rotation", Rotation)


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it. Raises NotFound for a secret that is missing or another's."""
        login = _named(asked.view.own(), asked.meaning.target.id)
        pair = await self._plane().pair(login)
        address = f"secret/{login.secret}"
        idle = next(user for user in login.users if user != pair.in_use)
        users = ResourceChange(address=address, operation="run", path="in_use", before=pair.in_use, after=idle)
        value = ResourceChange(address=address, operation="run", path="value", secret=True)
        return OperationPlan(changes=(users, value), resources=(address,))

    async def step(self, record: OperationRecord) -> Progress:
        """Create, hand over, look whether the holder is let in, revoke, prove; in one go, or on from where it was."""
        plane = self._plane()
        login = _named(await self.parts.target.topology(record.environment), record.target.partition("/")[2])
        old = await self._begun(record, plane, login)
        new = next(user for user in login.users if user != old)
        ends = record.accepted_at + LIFETIME
        await plane.create(login, new, version=record.id, expires_at=ends)
        await plane.switch(login, new, version=record.id)
        if await plane.holder_accepted(login) != new:
            await plane.switch(login, old, version=f"{record.id}:back")
            await plane.revoke(login, new)
            return Progress(status="failed", detail=f"{login.service} was not let in as {new}: {old} is in use again")
        await plane.revoke(login, old)
        if await plane.accepted(login, old):
            return Progress(status="failed", detail=f"{old} still opens {login.opens} after it was revoked")
        await plane.forget(login, old)
        told: dict[str, JsonValue] = {"in_use": new, "expires_at": ends.isoformat(), "old": old, "old_accepted": False}
        return Progress(status="done", result=told, detail=f"{login.service} logs in as {new}; {old} is refused")

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: it is handed over, or taken back, within one step."""
        raise Refused(f"{record.target} is being replaced already", reason="too_late")

    def _plane(self) -> CredentialPlane:
        return offered(self.parts.planes.credentials, "credentials")

    async def _begun(self, record: OperationRecord, plane: CredentialPlane, login: Login) -> str:
        """Return the user in use before, written down before anything is touched."""
        place = Place(environment=record.environment, tenant=record.tenant)
        with self.parts.database.read() as connection:
            known = HANDOVERS.get(connection, place, record.id)
        if known is not None and known.body.previous is not None:
            return known.body.previous
        old = (await plane.pair(login)).in_use
        with self.parts.database.begin() as connection:
            HANDOVERS.put(connection, place, record.id, Rotation(previous=old), at=self.parts.clock.now())
        return old


def _named(topology: Topology, name: str) -> Login:
    for login in wanting.secrets(topology):
        if login.secret == name:
            return login
    raise NotFound("no such secret")
