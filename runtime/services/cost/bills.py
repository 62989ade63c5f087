"""Bills as the cost service keeps them: every charge with all that was ever said about it; the latest word counts."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from domain.base import Frozen, UtcDatetime, digest_of
from domain.ids import PLATFORM, EnvironmentId
from runtime.bills import inbox
from runtime.bills.ports import Billing
from runtime.bills.records import CostRecord
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts


class Charge(Frozen):
    """One charge: what was said of it, first to last."""

    said: tuple[CostRecord, ...]
    heard: tuple[UtcDatetime, ...]

    @property
    def latest(self) -> CostRecord:
        """What counts."""
        return self.said[-1]

    @property
    def restated(self) -> bool:
        """Whether a later line changed the amount."""
        return any(record.billed != self.said[0].billed for record in self.said)


class Position(Frozen):
    """How many lines of the export were taken in."""

    lines: int


CHARGES = Documents("cost_charge", Charge)
_POSITIONS = Documents("cost_position", Position)


def take_in_files(parts: RuntimeParts, environment: EnvironmentId) -> int:
    """Keep the charges of delivered files, each file once and in order; return how many files there were."""
    place, came = Place(environment=environment, tenant=PLATFORM), 0
    for file in inbox.waiting(parts.home, environment):
        with parts.database.begin() as connection:
            if _POSITIONS.get(connection, place, file.name) is None:
                records = inbox.records(file)
                keep(parts, connection, environment, records)
                read = Position(lines=len(records))
                _POSITIONS.put(connection, place, file.name, read, at=parts.clock.now(), expect=0)
                came += 1
    return came


async def take_in(parts: RuntimeParts, billing: Billing, environment: EnvironmentId) -> int:
    """Keep the lines that came since the last call, each once; return how many there were."""
    place = Place(environment=environment, tenant=PLATFORM)
    with parts.database.read() as connection:
        held = _POSITIONS.get(connection, place, "export")
    after = held.body.lines if held else 0
    came = await billing.charges(environment, after)
    if not came:
        return 0
    with parts.database.begin() as connection:
        keep(parts, connection, environment, came)
        position = Position(lines=after + len(came))
        # Lines and position stand or fall together: whoever reads the same lines beside us is refused here.
        _POSITIONS.put(connection, place, "export", position, at=parts.clock.now(), expect=held.version if held else 0)
    return len(came)


def keep(
    parts: RuntimeParts, connection: Connection, environment: EnvironmentId, records: Iterable[CostRecord]
) -> None:
    """Add records to the charges they are about; the same said again adds nothing."""
    at, place = parts.clock.now(), Place(environment=environment, tenant=PLATFORM)
    for record in records:
        name = _name(record)
        held = CHARGES.get(connection, place, name)
        if held is None:
            CHARGES.put(connection, place, name, Charge(said=(record,), heard=(at,)), at=at)
        elif held.body.latest != record:
            said = Charge(said=(*held.body.said, record), heard=(*held.body.heard, at))
            CHARGES.put(connection, place, name, said, at=at)


def kept(connection: Connection, environment: EnvironmentId) -> Sequence[Charge]:
    """Return every charge of an environment."""
    return [document.body for document in CHARGES.list(connection, environment)]


def _name(record: CostRecord) -> str:
    identity = [str(part) for part in record.identity]
    return digest_of([*identity])
