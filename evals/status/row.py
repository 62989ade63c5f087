"""One sentence of the roadmap, what shows that it works, and the value it must show."""

from dataclasses import dataclass
from typing import Literal

from domain.base import Frozen
from evals.service_cases import Case, Measured

At = Literal["least", "most", "exactly"]


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence, or a part of one where its parts stand differently."""

    id: str
    part: str
    """Heading under which it stands."""
    quote: str
    case: Case
    """What measures it, and the planted break."""
    check: str
    """Name of the check that is asserted."""
    bound: float
    at: At = "exactly"
    missing: str = ""
    """What is not there yet; empty where it works."""

    @property
    def command(self) -> str:
        """What a person types to see it."""
        return f"opsmesh status --row {self.id}"

    def shows(self, measured: Measured) -> bool:
        """Tell whether a run shows what the row asserts: that very bound, and everything else the case checks."""
        asserted = [c for c in measured.checks if (c.name, c.bound, c.at) == (self.check, self.bound, self.at)]
        return len(asserted) == 1 and asserted[0].ok and measured.ok


class Shown(Frozen):
    """One row as it was found."""

    row: str
    quote: str
    status: Literal["ok", "not yet", "stale"]
    """stale: what the page says is not what was found."""
    check: str
    value: float | None
    bound: float
    at: At
    missing: str = ""


def found(row: Row, measured: Measured) -> Shown:
    """Return what a run says about the row."""
    value = next((c.value for c in measured.checks if c.name == row.check), None)
    works = row.shows(measured)
    status: Literal["ok", "not yet", "stale"] = "stale" if works is bool(row.missing) else "ok" if works else "not yet"
    return Shown(
        row=row.id, quote=row.quote, status=status, check=row.check, value=value, bound=row.bound, at=row.at,
        missing=row.missing,
    )  # fmt: skip
