"""What `opsmesh evals services` does: run the services' and workers' cases, honest and damaged, and print figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue, TypeAdapter

from cli import render
from cli.answers import SERVICE_CASES
from cli.progress import ProgressBar
from cli.render import shown
from domain.errors import NotFound

if TYPE_CHECKING:
    from evals.service_cases import CaseResult


def services(only: Sequence[str], seeds: Sequence[int], *, as_json: bool) -> int:
    """Run cases by name or by service. Exit 1 where one does not hold, or would not notice its planted break."""
    from evals.service_cases import CaseResult, run_cases
    from evals.services import CASES

    wanted = [
        case for case in CASES if not only or any(case.covers == one or case.name.startswith(one) for one in only)
    ]
    if not wanted:
        raise NotFound(f"no such case; there are: {', '.join(case.name for case in CASES)}")
    with ProgressBar(None, quiet=as_json, title="services") as bar:
        results = run_cases(wanted, seeds, lambda done, total, what: bar(done, what, total))
    if as_json:
        render.console.print_json(TypeAdapter(tuple[CaseResult, ...]).dump_json(results).decode())
    else:
        _show(results)
    return 0 if all(result.ok for result in results) else 1


def _show(results: "Sequence[CaseResult]") -> None:
    rows: list[JsonValue] = []
    for result in results:
        damaged = {check.name: check for check in result.planted.checks}
        for check in result.measured.checks:
            broken = damaged.get(check.name)
            rows.append(
                {
                    "": "ok" if check.ok else "NO", "case": result.case, "seed": result.seed, "check": check.name,
                    "value": shown(check.value), "bound": f"{check.at} {shown(check.bound)}",
                    "damaged": "" if broken is None else shown(broken.value),
                }
            )  # fmt: skip
    render.table(SERVICE_CASES, rows)
    for result in results:
        figures = ", ".join(f"{name} {shown(value)}" for name, value in result.measured.figures.items())
        against = f" | against {result.measured.reference}" if result.measured.reference else ""
        told = f"{result.case} (seed {result.seed}, {result.cpu_s:.1f} s of CPU): {figures}{against}"
        render.console.print(told, markup=False, soft_wrap=True)
        if result.measured.ok and result.planted.ok:
            render.console.print(f"NO  {result.case}: its planted break is not noticed", markup=False)
