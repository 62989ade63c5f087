"""Logins that are refused, names that do not resolve, storms of repeats, versions that do not stay up, switches."""

import pytest

from agents import AGENTS, AgentRun, run
from agents.sre.claims import check
from agents.sre.diagnose import diagnose
from domain.commands import Prediction, Proposal, Quantity
from domain.evidence import EvidencePack
from domain.topology import Edge, Secret
from tests.unit.agents.builders import PackMaker, slow_release, surge

SRE = AGENTS[0]
REFUSED = "login checkout at db refused: authentication failed"
LOST = "could not resolve host db: temporary failure in name resolution"
AGAIN = "request <*> came again, attempt <*>"


async def sre(pack: EvidencePack) -> AgentRun:
    return await run(SRE, pack)


def best(pack: EvidencePack) -> tuple[str, str]:
    found = diagnose(pack).hypotheses[0]
    return found.entity, found.fault_class


def failing(*entities: str) -> PackMaker:
    """Those fail half of their requests; the symptom is seen at the users' end."""
    maker = PackMaker()
    maker.kind = "errors"
    for entity in entities:
        maker.move(entity, "error_rate", (-2, 0.5))
    return maker


def refused_login() -> PackMaker:
    maker = failing("service/checkout", "service/web").log("service/checkout", REFUSED)
    maker.secrets = (Secret(id="checkout-at-db", service="checkout", opens="service/db"),)
    maker.edges.append(Edge(kind="secured_by", source="service/checkout", target="secret/checkout-at-db"))
    return maker


def lost_name() -> PackMaker:
    maker = failing("service/checkout", "service/web").log("service/checkout", LOST)
    maker.edges.append(Edge(kind="calls", source="service/web", target="service/db"))
    return maker.log("service/web", LOST).move("service/db", "request_rate", (-2, 40.0))


def storm(minutes_after: int, repeats: int) -> PackMaker:
    maker = surge(minutes_after)
    maker.kind = "errors"
    maker.move("service/web", "error_rate", (-1, 0.7))
    return maker.log("service/web", AGAIN, count=repeats)


def crash_loop() -> PackMaker:
    maker = failing("service/checkout", "service/web").change("service/checkout", "deployment", -4, "v1", "v2")
    maker.versions["checkout"] = "v2"
    maker.move("service/checkout", "replicas_ready", (-2, 1.0))
    return maker.move("service/checkout", "restarts", (-15, 0.0), (-2, 3.0))


def switched(key: str, before: str, after: str) -> PackMaker:
    maker = failing("service/checkout", "service/web")
    maker.config[key] = after
    return maker.change("service/checkout", "config", -3, {"key": key, "value": before}, {"key": key, "value": after})


async def test_a_refused_login_becomes_a_ticket_that_names_the_secret():
    pack = refused_login().build()
    done = await sre(pack)
    assert best(pack) == ("secret/checkout-at-db", "secret_expired")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("ticket.open", "secret/checkout-at-db")]
    assert done.proposals[0].arguments["owner_team"] == "team-checkout"
    assert "credential" in str(done.proposals[0].arguments["missing_action"])


async def test_without_a_known_secret_its_holder_is_named():
    maker = refused_login()
    maker.secrets = ()
    assert best(maker.build()) == ("service/checkout", "secret_expired")


async def test_a_store_that_refuses_everybody_counts_against_one_login():
    maker = refused_login()
    alone = diagnose(maker.build()).hypotheses[0]
    maker.edges.append(Edge(kind="calls", source="service/web", target="service/db"))
    maker.log("service/web", "login web at db refused: authentication failed")
    among = next(h for h in diagnose(maker.build()).hypotheses if h.entity == "secret/checkout-at-db")
    assert among.contradicting
    assert among.confidence < alone.confidence


async def test_a_name_that_several_callers_cannot_resolve_is_the_names_trouble():
    pack = lost_name().build()
    done = await sre(pack)
    assert best(pack) == ("service/db", "dns_failure")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("ticket.open", "service/db")]


async def test_a_stray_line_about_a_name_says_nothing():
    maker = slow_release().log("service/checkout", LOST, count=3)
    assert best(maker.build()) == ("service/checkout", "deploy_latency")


@pytest.mark.parametrize("line", ["login billing at archive refused: authentication failed", LOST])
async def test_a_line_about_something_that_is_not_called_accuses_nobody(line: str):
    maker = failing("service/web").log("service/web", line)
    assert all(h.fault_class not in {"secret_expired", "dns_failure"} for h in diagnose(maker.build()).hypotheses)


async def test_a_callee_that_suffers_itself_speaks_against_its_name():
    well, unwell = lost_name(), lost_name().move("service/db", "latency_p95_ms", (-2, 900.0))
    found = [next(h for h in diagnose(m.build()).hypotheses if h.fault_class == "dns_failure") for m in (well, unwell)]
    assert found[1].contradicting
    assert found[1].score < found[0].score


async def test_a_storm_is_told_from_a_surge_by_its_repeats_and_not_waited_out():
    # 300 requests a second for five minutes, of which 240 came again
    pack = storm(4, 240 * 300).build()
    done = await sre(pack)
    assert best(pack) == ("service/web", "retry_storm")
    assert done.ending == "act"
    assert done.proposals[0].kind in {"tenant.throttle", "scaling_policy.update"}
    limit = next(r.candidate.proposal for r in done.considered if r.candidate.proposal.kind == "tenant.throttle")
    assert limit.arguments["rate_limit_rps"] < 100.0


async def test_a_few_repeats_leave_a_surge_a_surge():
    assert best(storm(4, 10 * 300).build()) == ("service/web", "traffic_surge")


async def test_a_version_that_does_not_stay_up_is_rolled_back():
    pack = crash_loop().build()
    done = await sre(pack)
    assert best(pack) == ("service/checkout", "deploy_crash_loop")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("service.rollback", "service/checkout")]


async def test_exits_without_a_release_are_no_crash_loop_of_one():
    maker = crash_loop()
    maker.changes.clear()
    assert all(h.fault_class != "deploy_crash_loop" for h in diagnose(maker.build()).hypotheses)


async def test_memory_that_ran_full_speaks_against_a_version_that_exits():
    full = crash_loop().move("service/checkout", "memory_mib", (-2, 505.0))
    found = [
        next(h for h in diagnose(m.build()).hypotheses if h.fault_class == "deploy_crash_loop")
        for m in (crash_loop(), full)
    ]
    assert found[1].contradicting
    assert found[1].score < found[0].score - 0.2


async def test_a_feature_is_switched_back_and_told_from_a_size():
    pack = switched("feature.one-click", "false", "true").build()
    done = await sre(pack)
    assert best(pack) == ("service/checkout", "feature_flag")
    assert done.proposals[0].kind == "service.configure"
    assert done.proposals[0].arguments == {"service": "checkout", "key": "feature.one-click", "value": "false"}
    assert best(switched("pool_size", "64", "4").build()) == ("service/checkout", "config_regression")


@pytest.mark.parametrize("maker", [refused_login, lost_name, crash_loop, lambda: storm(4, 240 * 300)])
def test_every_claim_is_borne_out(maker):
    pack = maker().build()
    found = diagnose(pack).hypotheses
    assert found
    assert all(check(claim, pack) for h in found for claim in (*h.supporting, *h.contradicting))


class SymptomTwin:
    """Predicts a gain per symptom; what it was not told about has none."""

    def __init__(self, **gains: float) -> None:
        self.gains = gains

    def rehearse(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> Prediction:
        gain = self.gains.get(pack.symptom.partition("/")[2], 0.0)
        quantity = Quantity(value=gain, low=gain - 0.001, high=gain + 0.001)
        return Prediction(known=True, horizon_s=horizon_s, slo_attainment=quantity, fit=0.9)


@pytest.mark.parametrize(
    ("gains", "suffers", "ending"),
    [
        ({"checkout": 0.3}, True, "act"),
        ({"checkout": 0.3}, False, "ticket"),
        ({"checkout": 0.3, "web": -0.2}, True, "ticket"),
        ({}, True, "ticket"),
    ],
)
async def test_a_command_may_help_another_who_suffers_but_never_at_the_users_cost(gains, suffers: bool, ending: str):
    pack = crash_loop().build()
    named = ("service/web", "service/checkout") if suffers else ("service/web",)
    pack = pack.model_copy(update={"incident": pack.incident.model_copy(update={"entities": named})})
    assert (await run(SRE, pack, rehearsal=SymptomTwin(**gains))).ending == ending
