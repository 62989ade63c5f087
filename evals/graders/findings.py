"""False findings: in an episode with nothing to fix, any proposal at all, tickets included, and any person called."""

from collections.abc import Mapping

from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import none


def findings(played: Played) -> Mapping[str, Grade]:
    """Return 1 where something was proposed, or somebody paged, although nothing was wrong."""
    if not played.director.setting.scenario.quiet:
        return {"false_finding": none("something is wrong here")}
    told = [f"{r.command.kind} {r.command.target.address}" for r in played.ours()]
    told += [f"page: {p.reason}" for tenant in played.tenants for p in played.simulated.mesh.journal.pages(tenant)]
    return {"false_finding": Grade(value=float(bool(told)), reason="; ".join(told) or "silent")}
