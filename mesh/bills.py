"""Bills from files, for the command line: opens them in the order given and hands them over."""

from collections.abc import Sequence
from pathlib import Path

from domain.errors import Invalid
from runtime.bills.bill import Basis, Bill, BillReport, CurrencyCost

__all__ = ["BillReport", "CurrencyCost", "allocated"]


def allocated(files: Sequence[Path], tag: str, basis: Basis) -> BillReport:
    """Return the bill that the files make together, allocated by the tag. Raises Invalid for one we cannot read."""
    bill = Bill()
    for file in files:
        if not file.is_file():
            raise Invalid(f"no such file: {file}", reason="no_file")
        with file.open("rb") as stream:
            bill.take(stream, str(file))
    return bill.report(tag, basis)
