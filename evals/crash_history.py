"""The history checker: what the stores, the audit and the target's own count say after the last process has ended.

It trusts no process that took part: every line is read anew from the stores, and the count comes from the target.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter
from sqlalchemy import RowMapping, select

from domain.commands import PAGES, TERMINAL, TRANSITIONS, CommandRecord, State
from domain.ids import CommandId
from evals.crash_cases import TENANT
from evals.crash_processes import DELIVERED, SharedClock, Stores
from governance.assembly import Governed, assemble_governed
from governance.audit import AuditLine
from governance.principals import find
from governance.verification import verify
from mesh.crash import NO_CRASH
from mesh.journal import Journal
from mesh.time import UlidIds
from storage.engine import Database
from storage.tables.governance import budget_uses, reservations
from storage.tables.runtime import effects

EFFECT_HAPPENED = frozenset(
    {
        State.EXECUTED, State.VERIFYING, State.SUCCEEDED, State.REGRESSED, State.INCONCLUSIVE, State.UNDOING,
        State.UNDONE, State.UNDO_FAILED,
    }
)  # fmt: skip
"""States that say the effect took place."""
_TOLD = frozenset({State.SUCCEEDED, State.UNDONE, State.UNDO_FAILED})
_LINES = TypeAdapter(list[dict[str, str | bool]])


@dataclass(frozen=True, slots=True)
class History:
    """Everything one case left behind."""

    records: tuple[CommandRecord, ...]
    lines: tuple[AuditLine, ...]
    audit_flaws: tuple[str, ...]
    ledger: tuple[RowMapping, ...]
    counted: Mapping[str, int]
    """The target's own count of effects by key."""
    paged: frozenset[str]
    delivered_twice: int
    held: frozenset[str]
    """Commands that still hold a resource or a budget."""
    outcomes: Counter[CommandId]

    def of(self, command: CommandId) -> tuple[AuditLine, ...]:
        """Return what the audit says about a command, oldest first."""
        return tuple(line for line in self.lines if line.record.subject == command)


def read_history(stores: Stores, clock: SharedClock, counted: Mapping[str, int]) -> History:
    """Read it all from the stores."""
    database, runtime_database = Database(stores.url), Database(stores.runtime_url)
    ids = UlidIds(clock)
    governed: Governed = assemble_governed(
        database, keys=stores.home / "keys", anchor=stores.home / "audit.anchor", find=find, clock=clock, ids=ids,
        crash=NO_CRASH,
    )  # fmt: skip
    try:
        with runtime_database.read() as connection:
            ledger = tuple(connection.execute(select(effects)).mappings())
        with database.read() as connection:
            held = set(connection.execute(select(reservations.c.command)).scalars())
            held |= set(
                connection.execute(select(budget_uses.c.command).where(budget_uses.c.status == "held")).scalars()
            )
        report = verify(database, governed.audit, None)
        pages, doubled = _delivered(stores)
        return History(
            records=governed.commands.list("*"), lines=governed.audit.read(TENANT, limit=100_000),
            audit_flaws=tuple(f"{flaw.kind} at {flaw.seq}: {flaw.text}" for flaw in report.flaws), ledger=ledger,
            counted=dict(counted), paged=pages, delivered_twice=doubled, held=frozenset(held),
            outcomes=Counter(o.command for o in Journal(database, clock, ids).outcomes(TENANT)),
        )  # fmt: skip
    finally:
        database.close()
        runtime_database.close()


def _delivered(stores: Stores) -> tuple[frozenset[str], int]:
    path = stores.home / DELIVERED
    if not path.exists():
        return frozenset(), 0
    lines = _LINES.validate_json("[" + ",".join(path.read_text(encoding="utf-8").splitlines()) + "]")
    pages = frozenset(str(line["subject"]) for line in lines if str(line["type"]).startswith("opsmesh.page."))
    return pages, sum(1 for line in lines if not line["first"])


def judge(history: History, accepted: str | None) -> list[str]:
    """Return every broken promise, one a line; none when all held."""
    broken = [f"audit: {flaw}" for flaw in history.audit_flaws]
    if accepted is None or accepted not in {record.command.id for record in history.records}:
        broken.append(f"the acknowledged command {accepted} is gone")
    for record in history.records:
        broken += _ended(history, record)
        broken += _counted(history, record)
        broken += _explained(history, record)
    return broken + _strangers(history) + [text for row in history.ledger for text in _allowed(history, row)]


def _ended(history: History, record: CommandRecord) -> list[str]:
    command, state = record.command, record.state
    broken: list[str] = []
    if state not in TERMINAL:
        broken.append(f"{command.kind} {command.role} rests in {state}")
    if state in TERMINAL and command.id in history.held:
        broken.append(f"{command.role} is {state} and still holds a resource or a budget")
    passed = {to for line in history.of(command.id) if (to := _to(line)) is not None}
    if passed & {page.value for page in PAGES} and command.id not in history.paged:
        broken.append(f"{command.role} passed {sorted(passed)} and nobody was paged")
    told = history.outcomes[command.id]
    if told > 1 or (command.role == "forward" and state in _TOLD and told != 1):
        broken.append(f"{command.role} is {state} and its outcome was told {told} times")
    return broken


def _counted(history: History, record: CommandRecord) -> list[str]:
    """Compare what the record says with what the target and its ledger count."""
    command = record.command
    rows = [row for row in history.ledger if row["command"] == command.id]
    keyed = history.counted.get(command.idempotency_key, 0)
    wanted = int(record.state in EFFECT_HAPPENED)
    if command.role == "undo" and not command.patches:
        wanted = 0
    if len(rows) != wanted or keyed != wanted or any(row["applied_count"] != 1 for row in rows):
        counts = f"the ledger has {len(rows)}, the target counted {keyed}"
        return [f"{command.role} is {record.state}: {wanted} effects expected, {counts}"]
    return []


def _explained(history: History, record: CommandRecord) -> list[str]:
    """Walk the audit: every step legal, none missing, the last one is where the record stands."""
    lines = [line for line in history.of(record.command.id) if _to(line) is not None]
    at: str | None = None
    for line in lines:
        body = line.body or {}
        if body.get("from") != at:
            return [f"audit: a step from {body.get('from')} where {at} was"]
        to = str(_to(line))
        if at is not None and State(to) not in TRANSITIONS.get(State(at), frozenset()):
            return [f"audit: an illegal step from {at} to {to}"]
        at = to
    return [] if at == record.state.value else [f"the audit ends at {at}, the record says {record.state}"]


def _allowed(history: History, row: RowMapping) -> list[str]:
    """G1: the effect joins an allow of exactly its digest, and its own grant, both recorded before it."""
    name = f"effect {row['idempotency_key']}"
    record = next((r for r in history.records if r.command.id == row["command"]), None)
    if record is None or record.digest != row["digest"]:
        return [f"{name}: no command of that digest"]
    lines = history.of(record.command.id)
    allow = next((line for line in lines if line.record.action == "command.approved"), None)
    granted = [(line, line.body or {}) for line in lines if line.record.action == "grant.issued"]
    grant = next((line for line, body in granted if _grant_is(body, row)), None)
    if allow is None or _text(allow, "digest") != row["digest"]:
        return [f"{name}: the audit has no decision that allows its digest"]
    if grant is None:
        return [f"{name}: the audit has no grant for it"]
    if not (allow.record.seq < grant.record.seq and allow.record.at <= grant.record.at <= row["at"]):
        return [f"{name}: allowed or granted after it happened"]
    return []


def _grant_is(body: Mapping[str, JsonValue], row: RowMapping) -> bool:
    return (body.get("jti"), body.get("digest"), body.get("idempotency_key")) == (
        row["jti"], row["digest"], row["idempotency_key"],
    )  # fmt: skip


def _strangers(history: History) -> list[str]:
    """Effects that belong to nobody: neither to a command nor to the platform's own convergence."""
    keys = {record.command.idempotency_key for record in history.records}
    return [
        f"the target counted {count} effects under {key}, which is no command's key"
        for key, count in history.counted.items()
        if key not in keys and "@" not in key
    ]


def _to(line: AuditLine) -> str | None:
    return _text(line, "to") if line.record.action.startswith("command.") and "to" in (line.body or {}) else None


def _text(line: AuditLine, name: str) -> str:
    return str((line.body or {}).get(name))


def states_of(records: Sequence[CommandRecord]) -> str:
    """Return how the family ended, for the table."""
    return ", ".join(f"{record.command.role} {record.state}" for record in records)
