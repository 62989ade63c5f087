"""Local evidence: signals that do not travel along calls. Saturation, silence, error lines, requests gone astray."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis import constants as c
from analysis.changes import Deviation, family_threshold
from analysis.circumstances import LogShift, log_shifts
from analysis.disruption import Disruption, disruptions
from analysis.excess import gone_quiet, saturations
from analysis.signals import Observations


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """What was found per entity."""

    saturated: Mapping[str, Deviation]
    quiet: Mapping[str, tuple[str, ...]]
    logs: Mapping[str, LogShift]
    course: Mapping[str, Disruption]

    def unwell(self) -> set[str]:
        """Return entities that are saturated or silent: as hosts they can be why others suffer."""
        return self.saturated.keys() | self.quiet.keys()


def local_evidence(observations: Observations, scope: frozenset[str] | None) -> Local:
    """Return the local evidence about entities in scope (None: all)."""
    found = saturations(observations.series)
    threshold = family_threshold([one.null for one in found.values()])
    saturated = {e: one for e, one in found.items() if one.score > threshold and (scope is None or e in scope)}
    quiet = {e: refs for e, refs in gone_quiet(observations.series).items() if scope is None or e in scope}
    logs = {e: one for e, one in log_shifts(observations.templates).items() if scope is None or e in scope}
    course = {e: one for e, one in disruptions(observations.spans).items() if scope is None or e in scope}
    return Local(saturated, quiet, logs, course)


def stands_alone(observations: Observations, local: Local) -> bool:
    """Tell whether local evidence is what the symptom is about, so that it needs no slow or failing metric beside it.

    Silence is lost availability; saturation is its own symptom; failures of unknown sort show as error lines or as
    requests that take another course.
    """
    kind = observations.symptom.kind
    if kind == "saturation":
        return observations.symptom.entity in local.saturated
    if kind not in ("errors", "availability", "other"):
        return False
    loud = any(one.rise > c.LOG_ALONE_Z for one in local.logs.values())
    return loud or bool(local.quiet) or bool(local.course)
