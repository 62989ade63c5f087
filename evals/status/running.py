"""Runs rows and says what was found."""

from collections.abc import Sequence

from domain.errors import NotFound
from evals.service_cases import in_folder
from evals.status.row import Row, Shown, found
from evals.status.rows import ROWS

SEED = 0


def chosen(only: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of those ids, all without any. Raises NotFound."""
    if unknown := set(only) - {row.id for row in ROWS}:
        raise NotFound(f"no such row: {', '.join(sorted(unknown))}")
    return tuple(row for row in ROWS if not only or row.id in only)


def show(row: Row) -> Shown:
    """Run what a row is shown by."""
    return found(row, in_folder(row.case.run, SEED))


def show_damaged(row: Row) -> Shown:
    """Run the same with its planted break."""
    return found(row, in_folder(row.case.planted, SEED))
