"""Investigation: give an incident its next agent run, journalled before and after, and hand its proposals on.

The input is stored first, so that a crash repeats the same run on the same evidence; proposals are unique on
(incident, evidence, agent, attempt), so that the repeat proposes nothing twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.skeleton import Reasoner, run
from agents.spec import AgentRun, AgentSpec
from domain.commands import IN_FLIGHT, Proposal
from domain.errors import Invalid, OpsmeshError
from domain.events import Dimensions
from domain.evidence import EvidencePack
from domain.ids import CommandId, RunId
from domain.incidents import Incident
from domain.ports import Clock, Rehearsal
from grounding.packs import PackBuilder
from mesh.arbiter import arbitrate
from mesh.cards import hypotheses_section
from mesh.cases import Cases
from mesh.experience import Experienced
from mesh.journal import Journal, Run, RunStep
from mesh.paging import Pager
from mesh.scheduling import Next, PastRun, next_step
from mesh.stages import Stage, Watcher
from mesh.submission import Submission
from mesh.telemetry import Telemetry

Redirect = Callable[[Proposal], Awaitable[Proposal]]
"""Evals only: a control that misdirects proposals on purpose, to see the loop notice."""


async def as_proposed(proposal: Proposal) -> Proposal:
    """Change nothing: what every run but a control does."""
    return proposal


@dataclass(frozen=True, slots=True)
class Investigation:
    """Runs agents over incidents."""

    cases: Cases
    packs: PackBuilder
    journal: Journal
    submission: Submission
    pager: Pager
    agents: tuple[AgentSpec, ...]
    rehearsal: Rehearsal | None
    reasoner: Reasoner | None
    clock: Clock
    telemetry: Telemetry
    watcher: Watcher
    redirect: Redirect = as_proposed

    async def step(self, incident: Incident) -> None:
        """Run each agent that is due on an incident."""
        for spec in self.agents:
            due = self._due(incident, spec)
            if due.action == "run":
                await self._run(incident, spec, due.attempt)
            elif due.action == "page":
                self.pager.page_incident(incident, due.reason)

    async def resume(self, pack: EvidencePack, agent: str, attempt: int, run_id: RunId) -> None:
        """Run again whole what a crash left behind, on the evidence it had."""
        spec = next((s for s in self.agents if s.name == agent), None)
        if spec is None:
            raise Invalid(f"the journal names an agent that is not built: {agent}", reason="agent_unknown")
        await self._think(spec, pack, attempt, run_id, pack.incident.trace)

    def _due(self, incident: Incident, spec: AgentSpec) -> Next:
        runs = [r for r in self.journal.runs(incident.tenant, incident.id) if r.agent == spec.name and r.ended_at]
        past = [_past(r, r.ended_at) for r in runs if r.ended_at is not None]
        return next_step(incident, past, self.cases.commands(incident), at=self.clock.now())

    async def _run(self, incident: Incident, spec: AgentSpec, attempt: int) -> None:
        dimensions = _dimensions(incident)
        with self.telemetry.span(
            "investigate", tenant=incident.tenant, dimensions=dimensions, parent=incident.trace, agent=spec.name
        ) as trace:
            pack = await self.packs.build(incident)
            run_id = self.journal.start_run(pack, agent=spec.name, attempt=attempt, trace=trace)
            if run_id is None:
                return
            self._tell_evidence(pack)
            await self._think(spec, pack, attempt, run_id, trace)

    async def _think(self, spec: AgentSpec, pack: EvidencePack, attempt: int, run_id: RunId, trace: str | None) -> None:
        rehearsal = Experienced(self.rehearsal, self.journal.outcomes(pack.tenant)) if self.rehearsal else None
        found = await run(spec, pack, rehearsal=rehearsal, reasoner=self.reasoner, attempt=attempt)
        self._tell_diagnosis(pack, found)
        proposals = [replace_trace(p, pack, trace) for p in found.proposals]
        submitted = await self._submit(pack, proposals)
        wait = None if found.reevaluate_after_s is None else timedelta(seconds=found.reevaluate_after_s)
        steps = [RunStep(node=s.node, text=s.note) for s in found.steps]
        self.journal.finish_run(
            run_id, found.diagnosis, steps, submitted,
            look_again_at=None if wait is None else self.clock.now() + wait,
        )  # fmt: skip

    async def _submit(self, pack: EvidencePack, proposals: Sequence[Proposal]) -> list[CommandId]:
        in_flight = [
            r.command.target.address
            for r in self.submission.store.list("*", states=IN_FLIGHT)
            if r.command.role == "forward"
        ]
        ruling = arbitrate(
            proposals, proposer_roles={s.principal: s.name for s in self.agents},
            open_incidents=self.cases.live(pack.environment), in_flight=in_flight,
        )  # fmt: skip
        for proposal, why in ruling.held:
            self._tell("held", pack, f"{proposal.kind} on {proposal.target.address} waits", (why,))
        done: list[CommandId] = []
        for proposal in ruling.admitted:
            try:
                record = await self.submission.submit(await self.redirect(proposal))
            except OpsmeshError as error:
                self._tell(
                    "held", pack, f"{proposal.kind} on {proposal.target.address} cannot be proposed", (str(error),)
                )
                continue
            done.append(record.command.id)
        return done

    def _tell_evidence(self, pack: EvidencePack) -> None:
        counts = (
            f"{len(pack.items)} items: {len(pack.series)} series, {len(pack.changes)} changes, {len(pack.logs)} log "
            f"patterns, {len(pack.spans)} operations, {len(pack.past)} past outcomes"
        )
        lines = [counts, *(f"change: {c.text or c.entity}" for c in pack.changes[-4:])]
        lines += [f"not seen: {gap.what} ({gap.why})" for gap in pack.gaps[:4]]
        self._tell(
            "evidence", pack, f"{len(pack.items)} citable items", tuple(lines[1:]) if len(lines) > 1 else (counts,)
        )

    def _tell_diagnosis(self, pack: EvidencePack, found: AgentRun) -> None:
        lines = hypotheses_section(found.diagnosis).lines
        title = f"{found.agent}: {found.diagnosis.summary or found.diagnosis.verdict} -> {found.ending}"
        self._tell("diagnosis", pack, title, (*lines, *(s.note for s in found.steps if s.node == "propose")))

    def _tell(self, name: str, pack: EvidencePack, title: str, lines: tuple[str, ...]) -> None:
        stage = Stage.model_validate(
            {"name": name, "at": self.clock.now(), "tenant": pack.tenant, "incident": pack.incident.id, "title": title,
             "lines": lines}
        )  # fmt: skip
        self.watcher(stage)


def replace_trace(proposal: Proposal, pack: EvidencePack, trace: str | None) -> Proposal:
    """Return the proposal with the run's trace and evidence digest."""
    return proposal.model_copy(update={"trace": trace, "evidence_digest": pack.digest})


def _dimensions(incident: Incident) -> Dimensions:
    service = next((e.partition("/")[2] for e in incident.entities if e.startswith("service/")), None)
    return Dimensions(
        environmentid=incident.environment, serviceid=service, severity=incident.severity, correlationid=incident.id
    )


def _past(run: Run, ended_at: datetime) -> PastRun:
    healthy = run.diagnosis is not None and run.diagnosis.verdict == "healthy"
    return PastRun(ended_at, run.look_again_at, healthy=healthy)
