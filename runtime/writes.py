"""What goes through the door and what comes back: a write's frame, and its three possible answers."""

from pydantic import Field

from domain.base import Digest, Frozen
from domain.changes import ResourceChange
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.outcomes import EffectReceipt


class Write(Frozen):
    """What every write carries besides its body."""

    tenant: TenantId
    environment: EnvironmentId
    principal: PrincipalId
    request: Digest
    """Digest of route and body: the same key with another one is a conflict."""
    key: str | None = None
    grant: str | None = Field(default=None, repr=False)
    """Shown nowhere: whoever holds it may do this once."""
    if_match: int | None = None
    dry_run: bool = False
    rationale: str = ""
    trace: str | None = None


class Preview(Frozen):
    """The answer to a dry run: what would change, on which version of the document."""

    changes: tuple[ResourceChange, ...]
    version: int


class Proposed(Frozen):
    """The answer to a write without a grant: nothing took effect, follow the command at its address."""

    location: str
    effects: int = 0


Answer = Preview | Proposed | EffectReceipt
