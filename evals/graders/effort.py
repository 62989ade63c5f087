"""What it took: approvals asked of people, minutes to the first proposal, money, carbon, model tokens."""

from collections.abc import Mapping

from domain.commands import State
from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import none


def effort(played: Played) -> Mapping[str, Grade]:
    """Return approvals, minutes to proposal, cost and carbon against leaving the world alone, and tokens."""
    mesh, ours = played.simulated.mesh, played.ours()
    asked = [r for r in ours if mesh.governed.commands.approvals(r.command.tenant, r.command.id)
             or r.state in {State.AWAITING_APPROVAL, State.EXPIRED}]  # fmt: skip
    struck = played.director.struck
    first = min((r.command.proposed_at for r in ours), default=None)
    wait = none("nothing was proposed")
    if first is not None and struck:
        minutes = (first - struck[0][1].since).total_seconds() / 60.0
        wait = Grade(value=minutes, reason=f"first proposal {minutes:.1f} minutes after the fault")
    grades = {"approvals": Grade(value=float(len(asked)), reason=f"{len(asked)} of {len(ours)} commands"),
              "minutes_to_proposal": wait,
              "model_tokens": _tokens(played)}  # fmt: skip
    if (alone := played.baselines.get("autoscaler")) is not None:
        measures = played.measures()
        cost = measures.cost_usd_per_hour - alone.cost_usd_per_hour
        carbon = measures.carbon_g_per_hour - alone.carbon_g_per_hour
        grades["cost_usd_per_hour"] = Grade(value=cost, reason="against leaving the world alone")
        grades["carbon_g_per_hour"] = Grade(value=carbon, reason="against leaving the world alone")
    return grades


def _tokens(played: Played) -> Grade:
    """No model, no tokens; runs do not journal what a model used, so with one the figure is unknown, not zero."""
    if played.simulated.mesh.parts.reasoner is not None:
        return none("a model took part; its tokens are not journalled")
    return Grade(value=0.0, reason="no model took part")
