"""Bills from files, for the command line: opens them in the order given and hands them over, or delivers them."""

from collections.abc import Sequence
from pathlib import Path

from domain.errors import Invalid
from mesh.settings import read_settings
from runtime.bills.bill import Basis, Bill, BillReport, CurrencyCost
from runtime.bills.inbox import deliver

__all__ = ["BillReport", "CurrencyCost", "allocated", "delivered"]


def allocated(files: Sequence[Path], tag: str, basis: Basis) -> BillReport:
    """Return the bill that the files make together, allocated by the tag. Raises Invalid for one we cannot read."""
    bill = Bill()
    for file in files:
        if not file.is_file():
            raise Invalid(f"no such file: {file}", reason="no_file")
        with file.open("rb") as stream:
            bill.take(stream, str(file))
    return bill.report(tag, basis)


def delivered(files: Sequence[Path], environment: str) -> BillReport:
    """Put the files into the runtime's inbox, if every one is an export, and return what they come to."""
    report = allocated(files, "tenant", "billed")
    inbox = read_settings().home / "runtime"
    for file in files:
        deliver(file, inbox, environment)
    return report
