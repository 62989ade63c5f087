"""The governed path put together over one database and one key folder, for the composition root and for tests."""

from dataclasses import dataclass
from pathlib import Path

from domain.ports import Clock, CrashPoints, Ids
from governance.approvals import Approvals
from governance.audit import AuditLog
from governance.budgets import Budgets
from governance.execution import Executions
from governance.grants import Grants
from governance.keys import KeyRing
from governance.machine import CommandStore
from governance.plans import Plans
from governance.rights import FindPrincipal
from governance.steps import Steps
from governance.switches import Switches
from governance.webhooks import WebhookSigner
from storage.engine import Database
from storage.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Governed:
    """Everything that changes or shows a command."""

    commands: CommandStore
    approvals: Approvals
    executions: Executions
    plans: Plans
    grants: Grants
    budgets: Budgets
    switches: Switches
    audit: AuditLog
    outbox: Outbox
    webhooks: WebhookSigner


def assemble_governed(
    database: Database,
    *,
    keys: Path,
    anchor: Path,
    find: FindPrincipal,
    clock: Clock,
    ids: Ids,
    crash: CrashPoints,
) -> Governed:
    """Build the governed path. `keys` and `anchor` should lie on another disk or account than the database."""
    ring = KeyRing(keys)
    audit = AuditLog(database, clock, ring, anchor)
    outbox = Outbox(database, clock, ids, crash)
    steps = Steps(audit, outbox, clock)
    plans = Plans(database, steps, clock, crash)
    return Governed(
        commands=CommandStore(database, steps, clock, crash),
        approvals=Approvals(database, steps, plans, find, clock, crash),
        executions=Executions(database, steps, find, clock, crash),
        plans=plans,
        grants=Grants(database, steps, ring, clock, ids, crash),
        budgets=Budgets(database, audit),
        switches=Switches(database, audit, clock, ids),
        audit=audit,
        outbox=outbox,
        webhooks=WebhookSigner(ring),
    )
