"""One proposal per resource; the more important concern wins; nobody shrinks what is burning."""

from datetime import UTC, datetime

from domain.commands import Proposal
from domain.incidents import Incident
from mesh.arbiter import arbitrate

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
ROLES = {"agent:sre": "sre", "agent:cost": "cost"}


def proposal(
    proposer: str, kind: str = "service.restart", *, service: str = "api", incident: str | None = None
) -> Proposal:
    arguments = {
        "service.restart": {"service": service},
        "service.resize": {"service": service, "cpu_millicores": 100, "memory_mib": 100},
        "ticket.open": {"owner_team": "team", "title": "t", "cause": "c", "missing_action": "m"},
    }[kind]
    return Proposal.model_validate(
        {"kind": kind, "arguments": arguments, "target": {"kind": "service", "id": service}, "tenant": "t",
         "environment": "prod", "proposer": proposer, "rationale": "r", "incident": incident}
    )  # fmt: skip


def incident(entity: str) -> Incident:
    return Incident.model_validate(
        {"id": "01J00000000000000000000002", "tenant": "t", "environment": "prod", "title": "x", "severity": "error",
         "status": "open", "fingerprint": "sha256:" + "0" * 64, "opened_at": AT, "last_event_at": AT,
         "entities": (entity,)}
    )  # fmt: skip


def test_availability_goes_before_cost_on_the_same_resource():
    cheap, urgent = proposal("agent:cost", "service.resize"), proposal("agent:sre")
    ruling = arbitrate([cheap, urgent], proposer_roles=ROLES, open_incidents=[], in_flight=[])
    assert ruling.admitted == (urgent,)
    assert ruling.held[0][0] == cheap


def test_different_resources_do_not_wait_for_each_other():
    both = [proposal("agent:cost", "service.resize", service="a"), proposal("agent:sre", service="b")]
    assert len(arbitrate(both, proposer_roles=ROLES, open_incidents=[], in_flight=[]).admitted) == 2


def test_nobody_shrinks_what_is_burning_but_the_incidents_own_run_may_act():
    burning = incident("service/api")
    cheap = arbitrate(
        [proposal("agent:cost", "service.resize")], proposer_roles=ROLES, open_incidents=[burning], in_flight=[]
    )
    own = arbitrate(
        [proposal("agent:sre", incident=burning.id)], proposer_roles=ROLES, open_incidents=[burning], in_flight=[]
    )
    assert (len(cheap.admitted), len(own.admitted)) == (0, 1)


def test_a_command_in_flight_holds_everything_but_tickets():
    wanted = [proposal("agent:sre"), proposal("agent:sre", "ticket.open")]
    ruling = arbitrate(wanted, proposer_roles=ROLES, open_incidents=[], in_flight=["service/api"])
    assert [p.kind for p in ruling.admitted] == ["ticket.open"]
