"""The course of a release: where it stands and what comes next, without knowing who measures or who writes.

Every function takes a state and returns the next one. What shall be written is in it: `written` is the split, and
`serving` tells the main version, so that a write that was lost is simply made again.
"""

from datetime import datetime, timedelta

from domain.policies import ReleasePolicy, VersionSplit
from domain.releases import ENDED, Look, Phase, ReleaseState

HISTORY = 200
# A candidate that is not up after this will not be: the longest back-off of five minutes, six times over.
COMES_UP_WITHIN = timedelta(minutes=30)


def begin(service: str, plan: ReleasePolicy, former: str, at: datetime) -> ReleaseState:
    """A release whose candidate is started and gets no requests yet."""
    split = VersionSplit(version=plan.candidate)
    return ReleaseState(service=service, plan=plan, former=former, since=at, written=split, detail="starting up")


def same_plan(one: ReleasePolicy, other: ReleasePolicy) -> bool:
    """Whether two policies are one release: what people want of it now does not matter."""
    return one.model_copy(update={"intent": "run"}) == other.model_copy(update={"intent": "run"})


def serving(state: ReleaseState) -> str:
    """The version that the main replicas run."""
    return state.plan.candidate if state.phase == "promoted" else state.former


def stages(plan: ReleasePolicy) -> int:
    """How many steps there are."""
    return len(plan.cohorts) if plan.strategy == "cohort" else len(plan.steps)


def hold(state: ReleaseState) -> timedelta:
    """How long this step lasts at least."""
    return timedelta(seconds=state.plan.steps[min(state.step, len(state.plan.steps) - 1)].hold_s)


def to_step(state: ReleaseState, step: int, at: datetime) -> ReleaseState:
    """The candidate serves what this step says."""
    plan = state.plan
    if plan.strategy == "cohort":
        tenants = tuple(dict.fromkeys(t for group in plan.cohorts[: step + 1] for t in group))
        split = VersionSplit(version=plan.candidate, tenants=tenants)
    else:
        split = VersionSplit(version=plan.candidate, share=plan.steps[step].share)
    detail = f"step {step + 1} of {stages(plan)}"
    return state.model_copy(
        update={
            "phase": "running",
            "step": step,
            "since": at,
            "blind": 0,
            "written": split,
            "effective": False,
            "detail": detail,
        }
    )


def end(state: ReleaseState, phase: Phase, at: datetime, detail: str) -> ReleaseState:
    """The candidate serves all, with the former version kept warm beside it, or nothing any more."""
    warm = phase == "promoted" and state.plan.keep_warm_s > 0
    split = VersionSplit(version=state.former) if warm else None
    return state.model_copy(update={"phase": phase, "since": at, "written": split, "detail": detail})


def wanted(state: ReleaseState, plan: ReleasePolicy, at: datetime) -> ReleaseState:
    """Take in what people want now; the plan is the same release."""
    before, now = state.plan.intent, plan.intent
    state = state.model_copy(update={"plan": plan})
    ended = state.phase in ENDED
    match now:
        case "abort" if state.phase == "promoted":
            return end(state, "undone", at, "taken back by people")
        case "abort" if not ended:
            return end(state, "rolled_back", at, "aborted by people")
        case "promote" if before != now and state.phase != "promoted":
            return end(state, "promoted", at, "promoted by people")
        case "pause" if state.phase == "running":
            return state.model_copy(update={"phase": "paused", "detail": "paused by people"})
        case "run" if state.phase == "paused":
            detail = f"step {state.step + 1} of {stages(plan)}"
            return state.model_copy(update={"phase": "running", "since": at, "blind": 0, "detail": detail})
        case "run" if before == "promote" and state.phase == "promoted":
            return end(state, "undone", at, "the promotion was taken back by people")
        case "run" if before == "abort" and ended:
            return begin(state.service, plan, state.former, at)
        case _:
            return state


def started(state: ReleaseState, at: datetime, *, up: bool) -> ReleaseState:
    """Go on from waiting once the candidate is up; blue-green first watches the former version as long as the next."""
    if not up and at - state.since > COMES_UP_WITHIN:
        return end(state, "stopped", at, "the candidate never came up")
    if not up or (state.plan.strategy == "blue_green" and at - state.since < hold(state)):
        return state
    return to_step(state, 0, at)


def seen(state: ReleaseState, held: VersionSplit | None, at: datetime) -> ReleaseState:
    """Begin to count a step once the target holds its split: what was served before is no evidence of it."""
    if held != state.written:
        return state.model_copy(update={"effective": False})
    return state if state.effective else state.model_copy(update={"effective": True, "since": at})


def looked(state: ReleaseState, look: Look, served: tuple[int, int], at: datetime) -> ReleaseState:
    """Go on by what a look said. `served` is what the candidate served since the look before, and of it failed."""
    held = at - state.since >= hold(state)
    unclear = held and look.action == "continue"
    state = state.model_copy(update={
        "looks": look.number, "blind": state.blind + 1 if unclear else 0,
        "candidate_requests": state.candidate_requests + served[0],
        "candidate_failed": state.candidate_failed + served[1], "history": (*state.history, look)[-HISTORY:],
    })  # fmt: skip
    why = "; ".join(look.reasons)
    match look.action:
        case "rollback" | "limit":
            return end(state, "rolled_back", at, why)
        case "split_broken":
            return end(state, "stopped", at, f"the split does not hold: {why}")
        case "inconclusive":
            return end(state, "stopped", at, f"nobody can tell: {why or 'no evidence'}")
        case "promote" if state.step + 1 < stages(state.plan):
            return to_step(state, state.step + 1, at)
        case "promote":
            return end(state, "promoted", at, "served as well as the former version")
        case _:
            return state
