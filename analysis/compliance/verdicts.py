"""What a rule is: one resource of an estate against a demand, with the values the verdict rests on."""

from collections.abc import Callable, Iterable, Sequence

from analysis.compliance.estate import Estate
from domain.compliance import ComplianceStatus, Demand, Fact

Verdict = tuple[ComplianceStatus, tuple[Fact, ...]]
Rule = Callable[[Estate, str, Demand], Verdict]


def worst(statuses: Iterable[ComplianceStatus]) -> ComplianceStatus:
    """Return what the statuses come to: not satisfied before unknown before satisfied. Of none at all it is unknown."""
    found = set(statuses)
    if "not_satisfied" in found:
        return "not_satisfied"
    return "unknown" if "unknown" in found or not found else "satisfied"


def all_of(verdicts: Sequence[ComplianceStatus], facts: Sequence[Fact]) -> Verdict:
    """Return the worst verdict with the facts of one; the first facts may stand for all."""
    status = worst(verdicts)
    offset = len(facts) - len(verdicts)
    return status, tuple(f for k, f in enumerate(facts) if k < offset or verdicts[k - offset] == status)


def when(holds: bool, *facts: Fact) -> Verdict:  # noqa: FBT001  # the verdict itself
    """Return satisfied where it holds."""
    return ("satisfied" if holds else "not_satisfied"), facts


def unknown(path: str = "") -> Verdict:
    """Nothing stands where the value should: the empty path is the resource as a whole."""
    return "unknown", (Fact(path=path),)
