"""Who a standing kill switch belongs to when it is thrown again: the platform's operator, and never the other way."""

from domain.decisions import KillSwitch
from tests.support.governed import START, GovernedPath


def thrown(by: str) -> KillSwitch:
    return KillSwitch.model_validate({"scope": "tenant", "value": "acme", "engaged_by": by, "at": START, "reason": by})


def test_the_platforms_operator_makes_a_tenants_switch_their_own(path: GovernedPath) -> None:
    switches = path.governed.switches
    for by, outranks, owner in (("ann", False, "ann"), ("root", True, "root"), ("ann", False, "root")):
        switches.engage(thrown(by), outranks=outranks)
        (standing,) = switches.engaged()
        assert (standing.engaged_by, standing.reason) == (owner, owner)
