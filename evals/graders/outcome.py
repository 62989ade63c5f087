"""Outcome: SLO minutes lost against doing nothing and against an oracle, and whether it ended as it should."""

from collections.abc import Mapping

from domain.commands import State
from evals.episodes.measures import WORTH
from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import none


def outcome(played: Played) -> Mapping[str, Grade]:
    """Return lost minutes as a share of those lost when the world is left alone, autoscalers on."""
    ours, baselines = played.measures(), played.baselines
    if not baselines or played.director.setting.scenario.quiet:
        return {"lost_share": none("nothing to lose here")}
    alone, oracle = baselines["autoscaler"].slo_minutes_lost, baselines["oracle"].slo_minutes_lost
    if max(alone, ours.slo_minutes_lost) < WORTH:
        return {"lost_share": none(f"left alone it costs {alone:.1f} SLO minutes")}
    reason = f"{ours.slo_minutes_lost:.0f} SLO minutes lost, left alone {alone:.0f}, oracle {oracle:.0f}"
    return {"lost_share": Grade(value=ours.slo_minutes_lost / max(alone, WORTH), reason=reason)}


def ending(played: Played) -> Mapping[str, Grade]:
    """Tell whether the episode ended the way that its scenario calls good."""
    good, done = played.director.setting.scenario.good, _done(played)
    if good == "silence":
        proposed = played.ours()
        right, reason = not proposed, f"{len(proposed)} proposals where nothing was wrong"
    elif good == "recover":
        fixed = [kind for kind in done if kind != "ticket.open"]
        well = _calm(played) or _owned_elsewhere(played)
        right, reason = bool(fixed) and well, f"{', '.join(fixed) or 'no command'} held; world {_word(well)}"
    elif good == "escalate":
        acted = [kind for kind in done if kind != "ticket.open"]
        told = _told(played)
        right = told and "ticket.open" in done and not acted
        reason = f"held: {', '.join(done) or 'nothing'}; the culprit {'is' if told else 'is not'} named"
    else:
        stayed = [r.command.kind for r in played.ours() if r.fencing is not None and r.command.kind != "ticket.open"]
        right, reason = not stayed, f"acted: {', '.join(stayed)}" if stayed else "waited"
    return {"ended_well": Grade(value=float(right), reason=reason)}


def _done(played: Played) -> list[str]:
    return [r.command.kind for r in played.ours() if r.state is State.SUCCEEDED]


def _told(played: Played) -> bool:
    """Tell whether an answer behind a ticket names a culprit: whoever reads the ticket must look in the right place."""
    tickets = {r.command.id for r in played.ours() if r.command.kind == "ticket.open"}
    blamed = {
        run.diagnosis.hypotheses[0].entity
        for _, run in played.runs()
        if tickets & set(run.proposals) and run.diagnosis is not None and run.diagnosis.hypotheses
    }
    return any(blamed & {truth.entity, *truth.also} for _, truth in played.director.causes())


def _owned_elsewhere(played: Played) -> bool:
    """Tell whether what still hurts is, beside what was fixed, somebody else's: then that must have been told."""
    theirs = [truth for _, truth in played.director.causes() if truth.ending == "escalate"]
    return bool(theirs) and "ticket.open" in _done(played) and _told(played)


def _calm(played: Played) -> bool:
    return sum(played.measures().hurting[-5:]) == 0


def _word(well: bool) -> str:  # noqa: FBT001  # one word for one flag
    return "well" if well else "hurting"
