"""Autonomy: how far agents may go, per tenant, environment and command kind. It is earned slowly and lost by itself.

A level falls one step when commands of the kind end badly; nobody has to notice first. It rises only through an
`autonomy.change` command that a human approved. Every change is kept with its reason.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.arguments import AutonomyChange
from domain.base import Frozen, UtcDatetime
from domain.commands import Command, CommandRecord, State
from domain.errors import Invalid, Refused
from domain.ids import CommandId, EnvironmentId, PrincipalId, TenantId
from domain.ports import Ids
from domain.principals import ANY
from domain.tenancy import AutonomyLevel
from storage.tables.policy import autonomy_history, autonomy_levels, autonomy_outcomes

LEVELS: tuple[AutonomyLevel, ...] = get_args(AutonomyLevel)
FALLS_AT: Mapping[State, int] = {
    State.UNDO_FAILED: 1,
    State.REGRESSED: 1,
    State.UNKNOWN: 2,
    State.FAILED: 3,
    State.INCONCLUSIVE: 3,
}
"""How many endings of a state, since the last success or change of level, cost one step. One where damage was done or
left behind; two where nobody knows, since one lost answer may be the network's; three where no harm is known of."""
RELEVANT = (*FALLS_AT, State.SUCCEEDED)
BAD = (State.REGRESSED, State.UNKNOWN, State.UNDO_FAILED)
BAD_WINDOW = timedelta(hours=24)
"""How far back a policy looks for bad endings: one day, so that each hour of the daily load is in it once."""
AUTOMATIC = PrincipalId("opsmesh")


class Change(Frozen):
    """One change of level, as kept in the history."""

    id: str
    tenant: TenantId
    environment: EnvironmentId
    kind: str
    """A command kind, or `*` for the environment's own level."""
    before: AutonomyLevel
    after: AutonomyLevel
    at: UtcDatetime
    by: PrincipalId
    command: CommandId | None
    reason: str


class Place(Frozen):
    """Where a level holds. `default` is the level of the tenant's binding, which holds until something is stored."""

    tenant: TenantId
    environment: EnvironmentId
    kind: str
    default: AutonomyLevel


class Autonomy:
    """Levels and their history. Every method works in the caller's transaction; the caller audits what it returns."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def level(self, connection: Connection, place: Place) -> AutonomyLevel:
        """Return the level of the kind, else of the environment, else the binding's."""
        rows = connection.execute(
            select(autonomy_levels.c.kind, autonomy_levels.c.level).where(
                autonomy_levels.c.tenant == place.tenant,
                autonomy_levels.c.environment == place.environment,
                autonomy_levels.c.kind.in_([place.kind, ANY]),
            )
        )
        stored: dict[str, AutonomyLevel] = {row.kind: row.level for row in rows}
        return stored.get(place.kind, stored.get(ANY, place.default))

    def note_outcome(
        self, connection: Connection, command: Command, state: State, default: AutonomyLevel, at: datetime
    ) -> Change | None:
        """Record how a command ended and let the level of its kind fall when that was one bad ending too many.

        Telling the same ending twice counts once. States that say nothing about the agent are ignored.
        """
        if state not in RELEVANT or not self._record(connection, command, state, at):
            return None
        place = Place(tenant=command.tenant, environment=command.environment, kind=command.kind, default=default)
        needed = FALLS_AT.get(state)
        before = self.level(connection, place)
        if needed is None or before == LEVELS[0] or self._streak(connection, place, state) < needed:
            return None
        reason = f"{needed} x {state.value} since the last change" if needed > 1 else f"a command ended {state.value}"
        after = LEVELS[LEVELS.index(before) - 1]
        return self._write(connection, place, after, by=AUTOMATIC, command=command.id, reason=reason, at=at)

    def lower(
        self, connection: Connection, place: Place, level: AutonomyLevel, *, by: PrincipalId, reason: str, at: datetime
    ) -> tuple[Change, ...]:
        """Take autonomy away at once; for the environment (`*`) from every kind. Raises Invalid when nothing falls."""
        places = [place, *self._stored_kinds(connection, place)] if place.kind == ANY else [place]
        changes = tuple(
            self._write(connection, one, level, by=by, command=None, reason=reason, at=at)
            for one in places
            if LEVELS.index(level) < LEVELS.index(self.level(connection, one))
        )
        if not changes:
            raise Invalid("that is not lower; raising takes an autonomy.change command", reason="not_lower")
        return changes

    def apply(self, connection: Connection, record: CommandRecord, default: AutonomyLevel, at: datetime) -> Change:
        """Carry out an `autonomy.change` command that is executing. Raises Refused unless a human approved the rise."""
        command = record.command
        if command.kind != "autonomy.change" or record.state is not State.EXECUTING:
            raise Refused("only an executing autonomy.change command changes a level", reason="not_executing")
        wanted = AutonomyChange.model_validate(command.arguments)
        if wanted.environment != command.environment:
            raise Refused("the command's scope is another environment", reason="wrong_scope")
        place = Place(tenant=command.tenant, environment=command.environment, kind=wanted.kind, default=default)
        rises = LEVELS.index(wanted.level) > LEVELS.index(self.level(connection, place))
        if rises and record.decided_by is None:
            raise Refused("autonomy rises only when a human approved it", reason="no_human")
        by = record.decided_by or command.proposer
        reason = command.rationale or "by command"
        return self._write(connection, place, wanted.level, by=by, command=command.id, reason=reason, at=at)

    def bad_outcomes(self, connection: Connection, place: Place, at: datetime) -> int:
        """Count commands of the kind that ended badly within a day before the instant."""
        statement = select(func.count(func.distinct(autonomy_outcomes.c.command))).where(
            *_in_place(place),
            autonomy_outcomes.c.state.in_([state.value for state in BAD]),
            autonomy_outcomes.c.at > at - BAD_WINDOW,
            autonomy_outcomes.c.at <= at,
        )
        return connection.execute(statement).scalar_one()

    def history(
        self, connection: Connection, tenant: TenantId, environment: EnvironmentId, *, limit: int = 100
    ) -> tuple[Change, ...]:
        """Return changes of level, newest first."""
        statement = (
            select(autonomy_history)
            .where(autonomy_history.c.tenant == tenant, autonomy_history.c.environment == environment)
            .order_by(autonomy_history.c.id.desc())
            .limit(limit)
        )
        return tuple(Change.model_validate(dict(row)) for row in connection.execute(statement).mappings())

    def _record(self, connection: Connection, command: Command, state: State, at: datetime) -> bool:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {
            **command.model_dump(include={"tenant", "environment", "kind"}),
            "id": self._ids.ulid(),
            "command": command.id,
            "state": state.value,
            "at": at,
        }
        keys = [autonomy_outcomes.c.command, autonomy_outcomes.c.state]
        statement = insert(autonomy_outcomes).values(**row).on_conflict_do_nothing(index_elements=keys)
        return connection.execute(statement.returning(autonomy_outcomes.c.id)).first() is not None

    def _streak(self, connection: Connection, place: Place, state: State) -> int:
        """Count endings of the state since the last success or change of level of the kind, newest first."""
        last = connection.execute(
            select(func.max(autonomy_history.c.at)).where(
                autonomy_history.c.tenant == place.tenant,
                autonomy_history.c.environment == place.environment,
                autonomy_history.c.kind.in_([place.kind, ANY]),
            )
        ).scalar_one()
        statement = select(autonomy_outcomes.c.state, autonomy_outcomes.c.at).where(*_in_place(place))
        rows = connection.execute(statement.order_by(autonomy_outcomes.c.id.desc()).limit(_LOOK_BACK)).all()
        count = 0
        for row in rows:
            if row.state == State.SUCCEEDED.value or (last is not None and row.at <= last):
                break
            count += row.state == state.value
        return count

    def _stored_kinds(self, connection: Connection, place: Place) -> list[Place]:
        statement = select(autonomy_levels.c.kind).where(
            autonomy_levels.c.tenant == place.tenant,
            autonomy_levels.c.environment == place.environment,
            autonomy_levels.c.kind != ANY,
        )
        kinds = connection.execute(statement.order_by(autonomy_levels.c.kind)).scalars()
        return [place.model_copy(update={"kind": kind}) for kind in kinds]

    def _write(
        self,
        connection: Connection,
        place: Place,
        level: AutonomyLevel,
        *,
        by: PrincipalId,
        command: CommandId | None,
        reason: str,
        at: datetime,
    ) -> Change:
        where = place.model_dump(include={"tenant", "environment", "kind"})
        change = Change.model_validate(
            {
                **where,
                "id": self._ids.ulid(),
                "before": self.level(connection, place),
                "after": level,
                "at": at,
                "by": by,
                "command": command,
                "reason": reason,
            }
        )
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {"level": level, "changed_at": at}
        keys = [autonomy_levels.c.tenant, autonomy_levels.c.environment, autonomy_levels.c.kind]
        statement = insert(autonomy_levels).values(**where, **row).on_conflict_do_update(index_elements=keys, set_=row)
        connection.execute(statement)
        connection.execute(autonomy_history.insert().values(**change.model_dump()))
        return change


_LOOK_BACK = 50
"""More endings than any streak that counts, whatever lies between them."""


def _in_place(place: Place) -> tuple[ColumnElement[bool], ...]:
    return (
        autonomy_outcomes.c.tenant == place.tenant,
        autonomy_outcomes.c.environment == place.environment,
        autonomy_outcomes.c.kind == place.kind,
    )
