"""The verb that says whom a bill belongs to; it needs no server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from cli import render
from cli.answers import BILL

if TYPE_CHECKING:
    from mesh.bills import BillReport, CurrencyCost


def allocate(files: Sequence[Path], tag: str, basis: Literal["billed", "effective"], *, as_json: bool) -> int:
    """Print who bears what, to the cent. Exit 1 when lines were left out."""
    from mesh.bills import allocated

    report = allocated(files, tag, basis)
    if as_json:
        render.as_json(report.model_dump(mode="json"))
    else:
        _told(report)
    return 1 if report.quarantined else 0


def _told(report: "BillReport") -> None:
    for cost in report.currencies:
        render.console.print(f"{report.basis} cost in {cost.currency} by {report.by}", markup=False)
        render.table(BILL, _rows(cost))
    counts = f"charges {report.charges}, repeated {report.repeated}, restated {report.restated}"
    render.console.print(f"{counts}, quarantined {report.quarantined}", markup=False)
    for again in report.restatements:
        render.console.print(
            f"{again.line.file}:{again.line.number} restates {again.before.file}:{again.before.number}: "
            f"{again.billed_before} becomes {again.billed} {again.currency}",
            markup=False,
        )
    for bad in report.quarantine:
        render.console.print(f"{bad.line.file}:{bad.line.number} not counted: {bad.reason}", markup=False)


def _rows(cost: "CurrencyCost") -> list[JsonValue]:
    owners = [(one.owner, one.direct_cents, one.shared_cents, one.idle_cents, one.total_cents) for one in cost.owners]
    unsplit = cost.unsplit_shared_cents + cost.unsplit_idle_cents
    rest = [
        ("(untagged)", None, None, None, cost.untagged_cents),
        ("(nobody to bear it)", None, cost.unsplit_shared_cents, cost.unsplit_idle_cents, unsplit),
        ("(all)", None, cost.shared_cents, cost.idle_cents, cost.total_cents),
    ]
    return [
        dict(zip(("owner", "direct", "shared", "idle", "total"), (row[0], *map(_money, row[1:])), strict=True))
        for row in (*owners, *rest)
    ]


def _money(cents: int | None) -> str:
    """Write cents as a decimal amount, exactly."""
    return "" if cents is None else f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
