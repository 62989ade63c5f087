"""certificate.rotate: a new key and certificate, installed, loaded, and proven by a handshake; else the old one again.

Every step can be done twice, so a crash anywhere is made good by the next call: the version is the operation's own id,
and which version was there before is written down before anything is touched.
"""

from dataclasses import dataclass

from pydantic import JsonValue

from domain.base import Frozen
from domain.changes import ResourceChange
from domain.errors import NotFound, Refused
from domain.ids import EnvironmentId
from domain.runtime_api import OperationRecord, Progress
from domain.topology import Topology
from domain.trust import CertificateFacts, Wrong
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.services.certificates import wanted as wanting
from runtime.services.certificates.judging import wrong_with
from runtime.services.certificates.overview import installed_facts
from runtime.services.certificates.schedule import LIFETIME
from runtime.trust.leaves import facts_of, leaf_of
from runtime.trust.ports import CertificatePlane, Wanted


class Rotation(Frozen):
    """What must outlive a crash."""

    previous: str | None
    """Version that was installed before; None where there was none."""
    wrong: tuple[Wrong, ...] = ()
    """Why the new one is taken back."""


ROTATIONS = Documents("certificate_rotation", Rotation)


@dataclass(frozen=True, slots=True)
class RotateCertificate:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it. Raises NotFound for a certificate that is missing or another's."""
        wanted = _named(asked.view.own(), asked.meaning.target.id)
        before = await installed_facts(self._plane(), wanted)
        address = f"certificate/{wanted.certificate}"
        said: JsonValue = None
        if before is not None:
            said = {"serial": before.serial, "not_after": before.not_after.isoformat()}
        # No desired state changes, and which serial it will be nobody knows before: it is a run, from this one on.
        change = ResourceChange(
            address=address, operation="run", path="rotate", before=said, after={"lifetime_days": LIFETIME.days}
        )
        return OperationPlan(changes=(change,), resources=(address,))

    async def step(self, record: OperationRecord) -> Progress:
        """Issue, install, load, look; take it back where a client would refuse it."""
        plane = self._plane()
        wanted = _named(await self.parts.target.topology(record.environment), record.target.partition("/")[2])
        rotation = await self._begun(record, plane, wanted)
        if not rotation.wrong:
            facts, wrong = await self._put(plane, wanted, record.id)
            if not wrong:
                await plane.prune(wanted)
                return Progress(
                    status="done", result=_told(facts), detail=f"served until {facts.not_after.isoformat()}"
                )
            rotation = rotation.model_copy(update={"wrong": wrong})
            self._write(record, rotation)
        return await self._take_back(plane, wanted, rotation)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: it is served, or taken back, within one step."""
        raise Refused(f"{record.target} is being replaced already", reason="too_late")

    def _plane(self) -> CertificatePlane:
        return offered(self.parts.planes.certificates, "certificates")

    async def _begun(self, record: OperationRecord, plane: CertificatePlane, wanted: Wanted) -> Rotation:
        with self.parts.database.read() as connection:
            known = ROTATIONS.get(connection, _place(record), record.id)
        if known is not None:
            return known.body
        rotation = Rotation(previous=await plane.installed(wanted))
        self._write(record, rotation)
        return rotation

    async def _put(
        self, plane: CertificatePlane, wanted: Wanted, version: str
    ) -> tuple[CertificateFacts, tuple[Wrong, ...]]:
        """Serve the version; what it says, and what is wrong with what is served then."""
        issuer, at = plane.issuer(wanted.issuer), self.parts.clock.now()
        chain = await plane.chain(wanted, version)
        if chain is None:
            chain = await issuer.issue(await plane.request(wanted, version), at=at, lifetime=LIFETIME)
            await plane.stage(wanted, version, chain)
        await plane.install(wanted, version)
        await plane.reload(wanted)
        facts = facts_of(leaf_of(chain))
        return facts, wrong_with(wanted, facts, await plane.served(wanted), issuer.distrusted(), self.parts.clock.now())

    async def _take_back(self, plane: CertificatePlane, wanted: Wanted, rotation: Rotation) -> Progress:
        if rotation.previous is not None:
            await plane.install(wanted, rotation.previous)
            await plane.reload(wanted)
        why = ", ".join(rotation.wrong)
        back = "the old one is installed again" if rotation.previous else "there was none before"
        return Progress(status="failed", result={"wrong": list(rotation.wrong)}, detail=f"served {why}: {back}")

    def _write(self, record: OperationRecord, rotation: Rotation) -> None:
        with self.parts.database.begin() as connection:
            ROTATIONS.put(connection, _place(record), record.id, rotation, at=self.parts.clock.now())


def _named(topology: Topology, name: str) -> Wanted:
    for wanted in wanting.certificates(topology):
        if wanted.certificate == name:
            return wanted
    raise NotFound("no such certificate")


def _place(record: OperationRecord) -> Place:
    return Place(environment=EnvironmentId(record.environment), tenant=record.tenant)


def _told(facts: CertificateFacts) -> dict[str, JsonValue]:
    return facts.model_dump(mode="json", include={"serial", "issuer", "not_after", "fingerprint"})
