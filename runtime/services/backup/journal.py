"""The journal of a restore in place, one document each: written before anything is held, and at every turn of it.

From it whoever comes next knows what may have been touched, and whether to go on or to put back what was there.
"""

from typing import Literal

from pydantic import Field, JsonValue
from sqlalchemy import Connection

from domain.base import Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, TenantId
from runtime.documents import Documents, Place

Phase = Literal["restoring", "undoing", "stuck", "done", "undone"]
"""`undoing`: what was there is put back. `stuck`: neither the one nor the other succeeded, and the tenant's writes stay
held. `done` and `undone` are ends."""


class Journal(Frozen):
    """How far one restore in place has come."""

    operation: Slug
    environment: EnvironmentId
    tenant: TenantId
    point: Slug
    key: str
    """Of hold, replacement and release."""
    phase: Phase = "restoring"
    held_at: UtcDatetime
    held_seq: int = 0
    """The newest commit at the hold; what comes after the restore's target up to here is taken back."""
    last_commit_at: UtcDatetime | None = None
    touched: tuple[Slug, ...] = ()
    """Stores whose rows may have been replaced, noted before they are; while there is none, nothing has happened."""
    result: dict[str, JsonValue] = Field(default_factory=dict)
    reason: str = ""
    """Why it is not done."""

    @property
    def place(self) -> Place:
        """Where the document lies: with the tenant whose data it is."""
        return Place(environment=self.environment, tenant=self.tenant)

    @property
    def half_done(self) -> bool:
        """Tell whether it may have left the tenant's stores between two states."""
        return bool(self.touched) and self.phase not in {"done", "undone"}

    @property
    def before(self) -> str:
        """Id of the restore point that keeps what stood there before."""
        return f"{self.operation}-before"


JOURNALS = Documents("restore_journal", Journal)


def half_done(connection: Connection, environment: EnvironmentId, tenant: TenantId, *, but: str = "") -> Journal | None:
    """Return a restore of the tenant that left its stores between two states, None where there is none."""
    found = (d.body for d in JOURNALS.list(connection, environment, [tenant]) if d.id != but)
    return next((j for j in found if j.half_done), None)
