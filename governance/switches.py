"""Kill switches and freeze windows: thrown behind the gate, so that nothing starts once the call has returned.

A switch stops new effects in its scope and lists those in flight; it says whether undos continue. In a freeze nothing
runs unattended, and what people ask for needs an operator's approval.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue
from sqlalchemy import Connection, delete, select

from domain.base import Digest
from domain.commands import IN_FLIGHT, Command, CommandRecord
from domain.decisions import Freeze, KillSwitch
from domain.errors import NotFound
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.ports import Clock, Ids
from governance.audit import AuditEntry, AuditLog
from governance.gate import take_gate
from governance.records import EVERY_TENANT, listed
from storage.engine import Database
from storage.inserts import insert_into
from storage.tables.governance import freezes, kill_switches

_ALL_IN_FLIGHT = 100_000
"""More than can be in flight: every one holds a resource of its own."""


def covers(switch: KillSwitch, command: Command) -> bool:
    """Tell whether a switch's scope holds a command."""
    match switch.scope:
        case "global":
            return True
        case "tenant":
            return switch.value in {command.tenant, *command.affected.tenants}
        case "agent":
            return switch.value == command.proposer
        case "kind":
            return switch.value == command.kind
        case "command":
            return switch.value in {command.id, command.parent}


def blocks(switches: Sequence[KillSwitch], command: Command) -> str | None:
    """Return why the engaged switches stop a command, if they do."""
    for switch in switches:
        if covers(switch, command) and not (command.role == "undo" and switch.undos_continue):
            return f"kill_switch: {switch.scope}:{switch.value} engaged by {switch.engaged_by}: {switch.reason}"
    return None


def engaged(connection: Connection) -> tuple[KillSwitch, ...]:
    """Return every engaged switch."""
    rows = connection.execute(select(kill_switches).order_by(kill_switches.c.at)).mappings()
    return tuple(KillSwitch.model_validate(dict(row)) for row in rows)


def frozen(connection: Connection, command: Command, at: datetime) -> tuple[Freeze, ...]:
    """Return the freeze windows that hold for a command at an instant."""
    tenants = {command.tenant, *command.affected.tenants}
    environments = {"*", command.environment, *command.affected.environments}
    rows = connection.execute(
        select(*(column for column in freezes.c if column.name != "id")).where(
            freezes.c.tenant.in_(tenants),
            freezes.c.environment.in_(environments),
            freezes.c.start <= at,
            freezes.c.end > at,
        )
    ).mappings()
    return tuple(Freeze.model_validate(dict(row)) for row in rows)


class Switches:
    """Throws and releases switches and freezes; each is audited."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._ids = ids

    def engage(self, switch: KillSwitch, *, outranks: bool = False) -> tuple[CommandRecord, ...]:
        """Stop new effects in the scope and return the commands in flight there. Throwing twice keeps the stricter.

        Who outranks others, the platform's operator, makes a standing switch their own; nobody else does.
        """
        with self._database.begin() as connection:
            take_gate(connection)
            statement = insert_into(connection, kill_switches).values(**switch.model_dump())
            both = kill_switches.c.undos_continue & statement.excluded.undos_continue
            own = {n: getattr(switch, n) for n in ("engaged_by", "reason", "at")} if outranks else {}
            keys = [kill_switches.c.scope, kill_switches.c.value]
            connection.execute(
                statement.on_conflict_do_update(index_elements=keys, set_={"undos_continue": both, **own})
            )
            self._note(connection, switch, "kill_switch.engaged", switch.engaged_by, switch.reason)
            flying = listed(connection, EVERY_TENANT, states=IN_FLIGHT, limit=_ALL_IN_FLIGHT)
            return tuple(record for record in flying if covers(switch, record.command))

    def release(self, switch: KillSwitch, actor: PrincipalId, reason: str) -> None:
        """Let effects start again in the scope of a switch."""
        with self._database.begin() as connection:
            take_gate(connection)
            where = (kill_switches.c.scope == switch.scope) & (kill_switches.c.value == switch.value)
            if connection.execute(delete(kill_switches).where(where)).rowcount == 0:
                raise NotFound(f"no switch {switch.scope}:{switch.value} is engaged", reason="no_such_switch")
            self._note(connection, switch, "kill_switch.released", actor, reason)

    def engaged(self) -> tuple[KillSwitch, ...]:
        """Return every engaged switch."""
        with self._database.read() as connection:
            return engaged(connection)

    def freeze(self, window: Freeze, *, key: Digest | None = None) -> str:
        """Open a freeze window and return its id. A key names the window: while that one stands, it stays as it is."""
        name = self._ids.ulid() if key is None else _named_by(key)
        with self._database.begin() as connection:
            take_gate(connection)
            standing = (freezes.c.id == name) & (freezes.c.end > self._clock.now())
            if connection.execute(select(freezes.c.id).where(standing)).first() is not None:
                return name
            connection.execute(delete(freezes).where(freezes.c.id == name))
            connection.execute(freezes.insert().values(id=name, **window.model_dump()))
            self._audit.append(connection, _freeze_entry(window, "freeze.opened", name, window.by))
        return name

    def thaw(self, tenant: TenantId, key: str, actor: PrincipalId) -> None:
        """End a freeze window now."""
        with self._database.begin() as connection:
            take_gate(connection)
            where = (freezes.c.id == key) & (freezes.c.tenant == tenant)
            row = connection.execute(select(freezes).where(where)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"no freeze {key} in tenant {tenant}", reason="no_such_freeze")
            connection.execute(delete(freezes).where(where))
            window = Freeze.model_validate({name: row[name] for name in Freeze.model_fields})
            self._audit.append(connection, _freeze_entry(window, "freeze.lifted", key, actor))

    def freezes(self, tenant: TenantId, environment: EnvironmentId | None = None) -> dict[str, Freeze]:
        """Return a tenant's windows that have not ended, by id."""
        statement = select(freezes).where(freezes.c.tenant == tenant, freezes.c.end > self._clock.now())
        if environment is not None:
            statement = statement.where(freezes.c.environment.in_(["*", environment]))
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(freezes.c.start)).mappings().all()
        return {row["id"]: Freeze.model_validate({n: row[n] for n in Freeze.model_fields}) for row in rows}

    def _note(self, connection: Connection, switch: KillSwitch, action: str, actor: PrincipalId, reason: str) -> None:
        tenant = TenantId(switch.value) if switch.scope == "tenant" else PLATFORM
        subject = f"{switch.scope}:{switch.value}"
        body: dict[str, JsonValue] = {"reason": reason, "undos_continue": switch.undos_continue}
        entry = AuditEntry(tenant=tenant, action=action, subject=subject, actor=actor, body=body)
        self._audit.append(connection, entry)


def _named_by(key: Digest) -> str:
    """Return an id as long as a ULID, and unlike one: 100 bits of the key."""
    return f"k{key.removeprefix('sha256:')[:25]}"


def _freeze_entry(window: Freeze, action: str, key: str, actor: PrincipalId) -> AuditEntry:
    body = window.model_dump(mode="json")
    return AuditEntry(tenant=window.tenant, action=action, subject=key, actor=actor, body=body)
