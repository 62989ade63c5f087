"""`opsmesh carbon`: what runs emits, whose it is, what would emit less, and proposing that."""

from typing import Annotated, Literal

import typer

from cli import render
from cli.answers import CARBON, CARBON_ADVICE
from cli.calls import call
from cli.options import JsonFlag
from domain.carbon import CarbonAdvice, CarbonReport, CarbonShift, Estimate
from domain.errors import NotFound

group = typer.Typer(help="What runs emits, and what would emit less.", no_args_is_help=True)


@group.command("show")
def carbon_show(
    environment: Annotated[str, typer.Argument(help="Environment.")],
    *,
    window: Annotated[Literal["hour", "day", "week", "month"], typer.Option(help="How far back.")] = "day",
    tenant: Annotated[str | None, typer.Option(help="Tenant whose part is shown; the whole for the platform.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show energy and emissions with their uncertainty, what they rest on, and what would emit less."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    answer = call("GET", f"/runtime/carbon/{environment}", params={"window": window}, headers=headers)
    if as_json:
        render.as_json(answer)
        return
    report = CarbonReport.model_validate(answer)
    for line in _summary(report):
        render.console.print(line, markup=False)
    rows = [
        {
            **row.model_dump(mode="json"), "energy": f"{row.energy_kwh:.3f}", "location": f"{row.location_g:.0f}",
            "market": "" if row.market_g is None else f"{row.market_g:.0f}", "embodied": f"{row.embodied_g:.0f}",
        }
        for row in report.rows
    ]  # fmt: skip
    render.table(CARBON, [*rows])
    advice = [
        {**one.model_dump(mode="json"), "saving": f"{one.saving_g_per_month:.0f}", "reasons": "; ".join(one.why)}
        for one in _recommended(report)
    ]
    render.table(CARBON_ADVICE, [*advice])


@group.command("propose")
def carbon_propose(
    environment: Annotated[str, typer.Argument(help="Environment.")],
    resource: Annotated[str, typer.Argument(help="What the recommendation is about, as `show` names it.")],
    *,
    lever: Annotated[Literal["waste", "region", "time"] | None, typer.Option(help="Which of two.")] = None,
    window: Annotated[Literal["hour", "day", "week", "month"], typer.Option(help="As in `show`.")] = "day",
    tenant: Annotated[str | None, typer.Option(help="Tenant for whom it is proposed; else the caller's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Propose a recommendation: its write goes to the one door, which asks whom policy says."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    told = call("GET", f"/runtime/carbon/{environment}", params={"window": window}, headers=headers)
    all_of_it = _recommended(CarbonReport.model_validate(told))
    named = [one for one in all_of_it if one.resource == resource and lever in (None, one.lever)]
    if len(named) != 1:
        known = ", ".join(f"{one.resource} ({one.lever})" for one in all_of_it) or "nothing"
        raise NotFound(f"{len(named)} recommendations about {resource}; recommended is {known}")
    (one,) = named
    params = {"dryRun": "true"} if dry_run else {}
    answer = call(one.method, one.path, body=one.body.model_dump(mode="json"), params=params, headers=headers)
    if as_json:
        render.as_json(answer)
        return
    said = answer if isinstance(answer, dict) else {}
    where = said.get("location")
    follow = f"proposed: {where}" if where else str(said.get("status", "done"))
    render.console.print(f"{one.resource}, {one.lever}, {one.saving_g_per_month:.0f} gCO2e a month less: {follow}")


def _recommended(report: CarbonReport) -> tuple[CarbonAdvice | CarbonShift, ...]:
    return (*report.recommendations, *report.shifts)


def _summary(report: CarbonReport) -> list[str]:
    return [
        (
            f"{report.tenant} in {report.environment}, {report.window.start:%Y-%m-%d %H:%M} to "
            f"{report.window.end:%Y-%m-%d %H:%M} UTC"
        ),
        (
            f"energy {_between(report.energy_kwh, 'kWh')}, operational {_between(report.location_g, 'gCO2e')} by grid "
            f"mix, {_between(report.market_g, 'gCO2e')} by contract, embodied {_between(report.embodied_g, 'gCO2e')}"
        ),
        (
            f"SCI {_between(report.sci_g_per_request, 'gCO2e a request')}; {report.metered_share:.0%} of the window is "
            f"metered, use was read for {report.read_share:.0%} of the core hours"
        ),
        *(f"{g.region}: {g.location_g_per_kwh:g} gCO2e/kWh, {g.source}, {g.dated}" for g in report.grids),
        *report.assumptions,
    ]


def _between(one: Estimate | None, unit: str) -> str:
    return "not stated" if one is None else f"{one.mean:.4g} {unit} ({one.low:.4g} to {one.high:.4g})"
