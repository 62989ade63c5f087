"""The gate before effects: one row that claims, grants and switches take in turn.

Whoever holds it sees every switch thrown before and hides from none thrown after; its value is the fencing number,
which only grows. One-in-flight reservations are taken behind it.
"""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from domain.commands import Command
from domain.ids import CommandId
from storage.inserts import insert_into
from storage.tables.governance import counters, reservations

_EFFECTS = "effects"


def take_gate(connection: Connection) -> int:
    """Hold the gate until the transaction ends and return a fencing number larger than any before."""
    statement = (
        insert_into(connection, counters)
        .values(name=_EFFECTS, value=1)
        .on_conflict_do_update(index_elements=[counters.c.name], set_={"value": counters.c.value + 1})
        .returning(counters.c.value)
    )
    return connection.execute(statement).scalar_one()


def share_gate(connection: Connection) -> None:
    """Wait for whoever holds the gate and keep it from being taken until the transaction ends."""
    connection.execute(select(counters.c.value).where(counters.c.name == _EFFECTS).with_for_update(read=True))


def keys_of(command: Command) -> tuple[str, ...]:
    """Return what a command keeps for itself while in flight: its resources and failure domains, per environment."""
    affected = command.affected
    environments = sorted({command.environment, *affected.environments})
    things = sorted({command.target.address, *affected.resources, *affected.failure_domains})
    return tuple(f"{environment}|{thing}" for environment in environments for thing in things)


def reserve(connection: Connection, command: Command, at: datetime) -> tuple[str, CommandId] | None:
    """Take all keys of the command, or none: then return a key and the command that holds it.

    The caller holds the gate. An undo works under the reservation of the command it undoes.
    """
    keys = keys_of(command)
    taken = connection.execute(select(reservations.c.key, reservations.c.command).where(reservations.c.key.in_(keys)))
    held = {key: CommandId(holder) for key, holder in taken}
    own = {command.id, command.parent} if command.role == "undo" else {command.id}
    for key, holder in held.items():
        if holder not in own:
            return key, holder
    rows = [{"key": key, "command": command.id, "tenant": command.tenant, "at": at} for key in keys if key not in held]
    if rows:
        connection.execute(reservations.insert(), rows)
    return None


def release(connection: Connection, command: CommandId) -> None:
    """Give back every key of a command."""
    connection.execute(delete(reservations).where(reservations.c.command == command))
