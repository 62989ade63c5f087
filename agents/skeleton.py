"""The shared graph: recall -> analyse -> hypothesise -> deliberate -> rehearse -> propose.

A run is a fresh invocation without effects and without a checkpoint: after a crash it is run again whole, and the same
pack gives the same proposals. The graph is built inside a call because importing LangGraph takes seconds.
"""

import asyncio
from typing import Protocol, TypedDict, cast

from agents.choice import choose, promising, without_effect
from agents.spec import AgentRun, AgentSpec, Candidate, Ending, Rehearsed, Remedies, Step
from domain.commands import Prediction, Proposal
from domain.evidence import Diagnosis, EvidencePack, PastOutcome
from domain.ports import Rehearsal

# Rehearsing costs a simulation each; beyond the best few of a fault class the order no longer changes the choice.
MAX_REHEARSED = 4


class Reasoner(Protocol):
    """The model's place: it may re-rank among code's candidates, word the explanation, lower confidence."""

    async def advise(
        self, pack: EvidencePack, diagnosis: Diagnosis, candidates: tuple[Candidate, ...]
    ) -> "tuple[Diagnosis, tuple[Candidate, ...], str]":
        """Return the diagnosis with confidences no higher, a subset of the candidates, and an explanation."""
        ...


class RunState(TypedDict, total=False):
    """What nodes hand on: values of one run, the pack itself stays outside."""

    past: tuple[PastOutcome, ...]
    diagnosis: Diagnosis
    remedies: Remedies
    candidates: tuple[Candidate, ...]
    explanation: str
    rehearsed: tuple[Rehearsed, ...]
    ending: Ending
    proposals: tuple[Proposal, ...]
    wait_s: int | None
    steps: tuple[Step, ...]


class _Run:
    """The nodes of one run, bound to its inputs."""

    def __init__(
        self,
        spec: AgentSpec,
        pack: EvidencePack,
        rehearsal: Rehearsal | None,
        reasoner: Reasoner | None,
        attempt: int,
    ) -> None:
        self.spec, self.pack, self.attempt = spec, pack, attempt
        self.rehearsal, self.reasoner = rehearsal, reasoner

    async def recall(self, state: RunState) -> RunState:
        """Set verified experience aside: diagnosis must not see it, the choice of action may."""
        past = self.pack.past
        return {"past": past, "steps": _step(state, "recall", f"{len(past)} verified outcomes of similar incidents")}

    async def analyse(self, state: RunState) -> RunState:
        """Diagnose from the pack without its past."""
        blind = self.pack.model_copy(update={"past": ()})
        diagnosis = await asyncio.to_thread(self.spec.diagnose, blind)
        return {"diagnosis": diagnosis, "steps": _step(state, "analyse", diagnosis.summary)}

    async def hypothesise(self, state: RunState) -> RunState:
        """List the competing explanations."""
        found = state.get("diagnosis", Diagnosis(verdict="unresolved"))
        note = "; ".join(f"{h.fault_class} on {h.entity} ({h.confidence:.0%})" for h in found.hypotheses) or "none"
        return {"steps": _step(state, "hypothesise", note)}

    async def deliberate(self, state: RunState) -> RunState:
        """Code lists the candidate commands; a model may re-rank among them."""
        diagnosis = state.get("diagnosis", Diagnosis(verdict="unresolved"))
        remedies = self.spec.remedies(self.pack, diagnosis, self.attempt)
        candidates = promising(remedies.candidates, state.get("past", ()))[:MAX_REHEARSED]
        explanation = diagnosis.summary
        if self.reasoner is not None and diagnosis.verdict == "cause_found":
            diagnosis, candidates, explanation = await self.reasoner.advise(self.pack, diagnosis, candidates)
        note = ", ".join(c.proposal.kind for c in candidates) or remedies.reason or "no candidate"
        return {
            "diagnosis": diagnosis,
            "remedies": remedies,
            "candidates": candidates,
            "explanation": explanation,
            "steps": _step(state, "deliberate", note),
        }

    async def rehearse(self, state: RunState) -> RunState:
        """Predict the best candidates in the twin."""
        blamed = state.get("diagnosis", Diagnosis(verdict="unresolved")).hypotheses[:1]
        also = tuple(h.entity for h in blamed if h.entity in self.pack.incident.entities)
        rows = [Rehearsed(c, await self._predict(c.proposal, also)) for c in state.get("candidates", ())]
        known = sum(1 for r in rows if r.prediction is not None and r.prediction.known)
        return {
            "rehearsed": tuple(rows),
            "steps": _step(state, "rehearse", f"{len(rows)} rehearsed, {known} within the twin's fit"),
        }

    async def _predict(self, proposal: Proposal, also: tuple[str, ...]) -> Prediction | None:
        """Predict for the symptom; where that has nothing to gain, for what suffers besides it in this incident.

        An incident holds several users' ends, and the one it is named by may be well again before the cause is gone.
        """
        if self.rehearsal is None:
            return None
        found: Prediction | None = None
        for symptom in dict.fromkeys((self.pack.symptom, *also)):
            if found is None or without_effect(found):
                pack = self.pack.model_copy(update={"symptom": symptom})
                found = await asyncio.to_thread(self.rehearsal.rehearse, pack, proposal, horizon_s=self.spec.horizon_s)
        return found

    async def propose(self, state: RunState) -> RunState:
        """Choose by predicted benefit, reversibility and blast radius."""
        chosen = choose(
            state.get("diagnosis", Diagnosis(verdict="unresolved")),
            state.get("remedies", Remedies()),
            state.get("rehearsed", ()),
        )
        return {
            "ending": chosen.ending,
            "proposals": chosen.proposals,
            "wait_s": chosen.wait_s,
            "steps": _step(state, "propose", chosen.reason),
        }


async def run(
    spec: AgentSpec,
    pack: EvidencePack,
    *,
    rehearsal: Rehearsal | None = None,
    reasoner: Reasoner | None = None,
    attempt: int = 1,
) -> AgentRun:
    """Run one agent over one pack. Same pack, same ports: same result."""
    from langgraph.graph import END, START, StateGraph

    nodes = _Run(spec, pack, rehearsal, reasoner, attempt)
    order = ("recall", "analyse", "hypothesise", "deliberate", "rehearse", "propose")
    graph = StateGraph(RunState)
    for name in order:
        graph.add_node(name, getattr(nodes, name))  # pyright: ignore[reportUnknownMemberType]  # untyped in the library
    for before, after in zip((START, *order), (*order, END), strict=True):
        graph.add_edge(before, after)
    compiled = graph.compile()  # pyright: ignore[reportUnknownMemberType]  # generic over untyped parts
    end = cast(RunState, await compiled.ainvoke(RunState(steps=())))  # pyright: ignore[reportUnknownMemberType]
    return AgentRun(
        agent=spec.name,
        incident=pack.incident.id,
        evidence_digest=pack.digest,
        attempt=attempt,
        ending=end.get("ending", "nothing"),
        diagnosis=end.get("diagnosis", Diagnosis(verdict="unresolved")),
        proposals=end.get("proposals", ()),
        explanation=end.get("explanation", ""),
        reevaluate_after_s=end.get("wait_s"),
        considered=end.get("rehearsed", ()),
        steps=end.get("steps", ()),
    )


def _step(state: RunState, node: str, note: str) -> tuple[Step, ...]:
    return (*state.get("steps", ()), Step(node, note[:500]))
