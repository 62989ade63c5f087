"""A recorded incident as a scenario: its shape without its names, so that it can be shared and played on any seed.

What is kept: how large the estate was, how many regions and tenants, what else changed beforehand, which kind of fault
it was and how it ended. No name, text, time or reading of the incident goes into the scenario.
"""

from datetime import datetime

import yaml
from pydantic import JsonValue, ValidationError

from api.views import IncidentView
from domain.base import digest_of
from domain.commands import State
from domain.errors import Invalid
from domain.evidence import ChangeRecord, EvidencePack
from evals.scenarios.model import DecoyAt, FaultAt, Good, Happening, Scenario, TrueCause, WorldPlan
from runtime.simulator.faults import FAULTS, Fault

SPREAD = 0.15
"""Sizes are drawn this far around those seen: a family, not a copy."""
BEFORE_MINUTES = (8.0, 14.0)
"""When the fault comes in a captured scenario; what changed before it comes minutes earlier."""
MINUTES = (90.0, 100.0)
LOOK_BACK_S = 3600.0
"""Changes within the hour before the onset are part of the picture (as in the analysis)."""
MOST_DECOYS = 4


def view_of(answer: JsonValue) -> IncidentView:
    """Read an incident as the API gives it. Raises Invalid for anything else."""
    try:
        return IncidentView.model_validate(answer)
    except ValidationError as error:
        raise Invalid("the answer is no incident: server and command line differ in version") from error


def capture(view: IncidentView, *, fault: str | None = None) -> Scenario:
    """Return the incident as a scenario. `fault` says what it really was where the diagnosis does not or is wrong.

    Raises Invalid when nobody knows: neither a verified outcome nor whoever captures.
    """
    pack = view.pack
    if pack is None:
        raise Invalid("the incident was never investigated: there is no evidence to capture", reason="no_evidence")
    row = _row(view, fault)
    good = _good(view, row)
    happenings: list[Happening] = [*_decoys(pack, view.incident.opened_at, _culprit(view))]
    happenings.append(FaultAt(at=BEFORE_MINUTES, fault=row.name))
    return Scenario(
        name=f"captured-{digest_of(view.incident.id)[7:15]}",
        title=f"Captured from an incident: {row.fault_class.replace('_', ' ')}",
        domain=row.domain, suites=("special",), world=_world(pack), minutes=MINUTES, timeline=tuple(happenings),
        truth=(TrueCause(fault_class=row.fault_class),), good=good,
    )  # fmt: skip


def as_yaml(scenario: Scenario) -> str:
    """Return the scenario as an entry of a scenario file."""
    plain = scenario.model_dump(mode="json", exclude_defaults=True)
    plain["truth"] = [{"entity": "drawn", "fault_class": cause.fault_class} for cause in scenario.truth]
    return yaml.safe_dump([plain], sort_keys=False, allow_unicode=True, width=120)


def _row(view: IncidentView, fault: str | None) -> Fault:
    told = fault
    if told is None and view.diagnosis is not None and view.diagnosis.hypotheses:
        told = view.diagnosis.hypotheses[0].fault_class
    found = [f for f in FAULTS if told in {f.name, f.fault_class}]
    if not found:
        named = told or "nothing"
        raise Invalid(
            f"the diagnosis names {named}, which no fault of the simulator is; say which with --fault",
            reason="no_fault",
        )
    return next((f for f in found if f.name == told), found[0])


def _good(view: IncidentView, row: Fault) -> Good:
    """Return how it ended, where that was verified; else how the fault's row says it should."""
    done = [r.command.kind for r in view.commands if r.state is State.SUCCEEDED and r.command.role == "forward"]
    if any(kind != "ticket.open" for kind in done):
        return "recover"
    return "escalate" if done and row.ending == "escalate" else row.ending


def _world(pack: EvidencePack) -> WorldPlan:
    services, regions = len(pack.topology.services), len(pack.topology.regions)
    tenants = len({s.tenant for s in pack.topology.services} - {"platform"})
    return WorldPlan(
        services=(max(12.0, services * (1 - SPREAD)), max(14.0, services * (1 + SPREAD))),
        tenants=(max(2.0, float(tenants)), max(2.0, float(tenants) + 1.0)),
        regions="paired" if regions > 1 else "single",
    )


def _culprit(view: IncidentView) -> str:
    hypotheses = view.diagnosis.hypotheses if view.diagnosis is not None else ()
    return hypotheses[0].entity if hypotheses else ""


def _decoys(pack: EvidencePack, opened: datetime, culprit: str) -> list[DecoyAt]:
    """Return what else changed in the hour before: releases and configuration of others."""
    before = [c for c in pack.changes if c.entity != culprit and 0 <= (opened - c.at).total_seconds() <= LOOK_BACK_S]
    found = [name for change in before if (name := _decoy(change)) is not None]
    return [DecoyAt(at=(2.0, 7.0), decoy=name, where="far") for name in found[:MOST_DECOYS]]


def _decoy(change: ChangeRecord) -> str | None:
    if change.kind == "deployment" and change.before is not None:
        return "benign_release"
    return "roomier_pool" if change.kind == "config" else None
