"""Episode records made by hand, for tests of what is read off them."""

from evals.episodes.measures import Measures
from evals.episodes.record import AnswerSeen, CauseSeen, CommandSeen, EpisodeRecord, Grade


def measures(lost: float, hurting: tuple[int, ...] = ()) -> Measures:
    return Measures(
        slo_minutes_lost=lost, minutes_standing=lost, cost_usd_per_hour=5.0, carbon_g_per_hour=100.0,
        requests_served=1e6, hurting=hurting,
    )  # fmt: skip


def command(state: str = "SUCCEEDED", kind: str = "service.rollback") -> CommandSeen:
    return CommandSeen(
        id="c", kind=kind, target="service/a", tenant="t", proposer="agent:sre", role="forward", state=state,
        reason="because", attempt=1, confidence=0.8, predicted=True, approvals=0, resources=1, proposed=12.0,
    )  # fmt: skip


def grades(**values: float | None) -> dict[str, Grade]:
    return {name: Grade(value=value, reason="as planted") for name, value in values.items()}


def episode(  # one planted episode
    scenario: str = "s", seed: int = 1, *, ours: float = 10.0, alone: float = 100.0, named: str = "deploy_errors",
    **values: float | None,
) -> EpisodeRecord:  # fmt: skip
    told = {"exact_cause": 1.0, "right_entity": 1.0, "precision": 1.0, "ended_well": 1.0, "false_success": 0.0,
            "violations": 0.0, "evidence_closure": 1.0} | values  # fmt: skip
    return EpisodeRecord(
        scenario=scenario, seed=seed, domain="sre", good="recover", played=True,
        causes=(CauseSeen(fault="deploy_errors", fault_class="deploy_errors", entity="service/a", minute=10.0),),
        minutes=90.0, since_minute=10.0, ours=measures(ours, (0, 2, 1)),
        baselines={"do_nothing": measures(alone), "autoscaler": measures(alone, (0, 2, 2)), "runbook": measures(50.0),
                   "random": measures(alone), "oracle": measures(1.0)},
        commands=(command(),),
        answers=(AnswerSeen(minute=12.0, incident="i", verdict="cause_found",
                            hypotheses=(("service/a", named, 0.8),), ranked=("service/a",), proposed=True),),
        grades=grades(**told),
    )  # fmt: skip


def quiet(seed: int = 1, *, proposed: bool = False) -> EpisodeRecord:
    return EpisodeRecord(
        scenario="healthy", seed=seed, domain="sre", good="silence", played=True, causes=(), minutes=60.0,
        since_minute=0.0, ours=measures(0.0), baselines={"autoscaler": measures(0.0)},
        grades=grades(false_finding=float(proposed), violations=0.0),
    )  # fmt: skip
