"""The verbs about cost: what an environment costs, bills delivered to it, and whom a bill in a file belongs to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from cli import render
from cli.answers import BILL, COST_ADVICE, COST_ANOMALIES
from cli.calls import call
from domain.costs import CostReport

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


def show(environment: str, by: str, window: str, tenant: str | None, *, as_json: bool) -> None:
    """Print one environment's cost, or the whole report as JSON."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    answer = call("GET", f"/runtime/cost/{environment}", params={"by": by, "window": window}, headers=headers)
    if as_json:
        render.as_json(answer)
        return
    report = CostReport.model_validate(answer)
    render.console.print(
        f"{report.tenant} in {report.environment}, {report.window.start:%Y-%m-%d %H:%M} to "
        f"{report.window.end:%Y-%m-%d %H:%M} UTC, USD by {report.by}",
        markup=False,
    )
    rows = [(r.key, r.direct_cents, r.shared_cents, r.idle_cents, r.total_cents) for r in report.rows]
    render.table(BILL, [_row(*row) for row in (*rows, ("(all)", None, None, None, report.total_cents))])
    for line in _summary(report):
        render.console.print(line, markup=False)
    anomalies: list[JsonValue] = [
        {**one.model_dump(mode="json"), "excess": f"{one.excess_usd_per_hour:.2f}"} for one in report.anomalies
    ]
    render.table(COST_ANOMALIES, anomalies)
    advice: list[JsonValue] = [
        {**one.model_dump(mode="json"), "saving": f"{one.saving_usd_per_month:.0f}", "why": "; ".join(one.evidence)}
        for one in report.recommendations
    ]
    render.table(COST_ADVICE, advice)


def _summary(report: CostReport) -> list[str]:
    complete, savings = report.completeness, report.savings
    error = "" if complete.estimate_error is None else f", estimates were {complete.estimate_error:.1%} off so far"
    billed, estimated = _money(complete.billed_cents), _money(complete.estimated_cents)
    share = f"{complete.billed_share:.0%} of what was metered is billed, {complete.restated} charges restated"
    lines = [f"billed {billed}, estimated {estimated}: {share}{error}"]
    if (month := report.forecast) is not None:
        lines.append(
            f"month: {month.so_far_usd:,.2f} so far, {month.mean_usd:,.0f} by its end "
            f"({month.low_usd:,.0f} to {month.high_usd:,.0f}, {month.level:.0%}; {month.basis})"
        )
    lines.append(
        f"savings: {savings.realised_usd:,.2f} realised, {savings.bookable_usd_per_month:,.0f} a month bookable, "
        f"{savings.potential_usd_per_month:,.0f} a month potential"
    )
    return lines


def ingest(files: Sequence[Path], environment: str, *, as_json: bool) -> int:
    """Deliver export files. Exit 1 when lines of them will not be counted."""
    from mesh.bills import delivered

    report = delivered(files, environment)
    if as_json:
        render.as_json(report.model_dump(mode="json"))
    else:
        render.console.print(
            f"delivered {len(files)} files to {environment}: charges {report.charges}, repeated {report.repeated}, "
            f"restated {report.restated}, quarantined {report.quarantined}",
            markup=False,
        )
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
    return [_row(*row) for row in (*owners, *rest)]


def _row(owner: str, *cents: int | None) -> JsonValue:
    return dict(zip(("owner", "direct", "shared", "idle", "total"), (owner, *map(_money, cents)), strict=True))


def _money(cents: int | None) -> str:
    """Write cents as a decimal amount, exactly."""
    return "" if cents is None else f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
