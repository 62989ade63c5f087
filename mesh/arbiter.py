"""The arbiter: when proposals want the same resources, the more important concern goes first and the rest wait.

Order: safety > availability > compliance > cost > carbon, then confidence. Nobody shrinks what is burning: while a
resource has an open incident or a command in flight, only the incident's own run may touch it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from domain.commands import Proposal
from domain.incidents import Incident

CONCERNS: tuple[str, ...] = ("safety", "availability", "compliance", "cost", "carbon")
"""From the one that always wins to the one that always waits."""
CONCERN_OF_PROPOSER: dict[str, str] = {
    "person": "safety",
    "disaster_recovery": "safety",
    "certificate_rotation": "safety",
    "sre": "availability",
    "resilience": "availability",
    "capacity": "availability",
    "capacity_forecast": "availability",
    "compliance_drift": "compliance",
    "drift": "compliance",
    "cost": "cost",
    "cost_anomaly": "cost",
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """Which proposals go on, and why each other one waits."""

    admitted: tuple[Proposal, ...]
    held: tuple[tuple[Proposal, str], ...]


def arbitrate(
    proposals: Iterable[Proposal],
    *,
    proposer_roles: dict[str, str],
    open_incidents: Collection[Incident],
    in_flight: Collection[str],
) -> Ruling:
    """Rank proposals and hold those whose target is taken.

    `proposer_roles` maps principal ids to proposer names, `in_flight` holds addresses with a command in flight.
    Tickets change nothing and are always admitted.
    """
    ranked = sorted(proposals, key=lambda p: (_rank(p, proposer_roles), -p.confidence, p.target.address))
    taken = dict.fromkeys(in_flight, "a command is in flight on it")
    burning = {entity: incident for incident in open_incidents for entity in incident.entities}
    admitted: list[Proposal] = []
    held: list[tuple[Proposal, str]] = []
    for proposal in ranked:
        address = proposal.target.address
        incident = burning.get(address)
        if proposal.kind == "ticket.open":
            admitted.append(proposal)
        elif address in taken:
            held.append((proposal, f"{address}: {taken[address]}"))
        elif (
            incident is not None
            and incident.id != proposal.incident
            and _rank(proposal, proposer_roles) > _AVAILABILITY
        ):
            held.append((proposal, f"{address}: incident {incident.id} is open on it"))
        else:
            admitted.append(proposal)
            taken[address] = "a more important proposal wants it"
    return Ruling(tuple(admitted), tuple(held))


def _rank(proposal: Proposal, roles: dict[str, str]) -> int:
    return CONCERNS.index(CONCERN_OF_PROPOSER.get(roles.get(proposal.proposer, ""), "carbon"))


_AVAILABILITY = CONCERNS.index("availability")
