"""Runs of experiments, step by step: steady state, method, steady state again, rollbacks; watched at every step.

A run's state is its journal and a position, stored after each activity, so that a run goes on where it was. What it
does not survive is losing a lease: then its faults are gone already, and it ends as interrupted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from domain.catalogue import ChaosChanged, ChaosPhase
from domain.errors import Conflict, OpsmeshError, Refused, Unavailable
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Place
from runtime.injection.ports import LoopSeen, LoopWitness
from runtime.parts import RuntimeParts
from runtime.services.chaos.consent import Blast, blast_of, check_consent
from runtime.services.chaos.experiment import Action, Experiment, Probe, within
from runtime.services.chaos.journal import ActivityResult, Journal, RunStatus, SteadyState
from runtime.services.chaos.leases import Lease
from runtime.services.chaos.measuring import measure
from runtime.services.chaos.providers import Deadline, InjectFault, Measure, RevertFault, WatchLoop
from runtime.services.chaos.records import (
    EXPERIMENTS,
    RUNS,
    Injected,
    Run,
    consents_in,
    noted,
    progress_of,
    stop_for,
)
from runtime.services.chaos.reverting import Reverter, say

_PHASES: Mapping[RunStatus, ChaosPhase] = {
    "completed": "completed",
    "aborted": "aborted",
    "failed": "failed",
    "interrupted": "interrupted",
}


@dataclass(frozen=True, slots=True)
class Runner:
    """Carries runs on."""

    parts: RuntimeParts
    reverter: Reverter
    witness: LoopWitness | None

    async def step(self, record: OperationRecord) -> Progress:
        """Carry a run on as far as it goes now. Raises Unavailable where the target does not answer."""
        place = Place(environment=record.environment, tenant=record.tenant)
        run = self._load(place, record)
        while run.phase != "ended":
            try:
                moved = await self._move(place, run)
            except Unavailable:
                raise
            except OpsmeshError as error:
                # Whatever went wrong, what was injected is taken back before the run ends.
                moved = noted(run, status="failed", deviated=True, detail=str(error), phase="rollbacks")
            if moved == run:
                break
            self._save(place, moved)
            run = moved
        return progress_of(run)

    def begin(self, place: Place, record: OperationRecord) -> Run:
        """Return a new run of the experiment, resolved. Raises Conflict where it is not what was decided about."""
        name = str(record.arguments["experiment"])
        with self.parts.database.read() as connection:
            found = EXPERIMENTS.get(connection, place, name)
        if found is None:
            raise Conflict(f"the experiment {name} is gone", reason="experiment_gone")
        if found.at > record.accepted_at:
            raise Conflict(f"{name} was rewritten after its run was allowed", reason="experiment_changed")
        document = found.body.experiment.resolved().document
        journal = Journal(node=place.environment, experiment=document, start=self.parts.clock.now())
        return Run(id=record.id, experiment=name, journal=journal)

    async def _move(self, place: Place, run: Run) -> Run:
        """Do the next thing that is due; the same run where nothing is."""
        experiment = Experiment.model_validate(run.journal.experiment)
        if run.phase == "rollbacks":
            return await self._roll_back(place, run)
        if (ended := await self._disturbed(place, run, experiment)) is not None:
            return ended
        if run.due is not None and self.parts.clock.now() < run.due:
            return run
        match run.phase:
            case "before":
                return await self._before(place, run, experiment)
            case "method":
                return await self._method(place, run, experiment)
            case _:
                look = await self._look(place, experiment)
                states = run.journal.steady_states.model_copy(update={"after": look})
                deviated = run.journal.deviated or not look.steady_state_met
                return noted(run, steady_states=states, deviated=deviated, status="completed", phase="rollbacks")

    async def _disturbed(self, place: Place, run: Run, experiment: Experiment) -> Run | None:
        """Return the run on its way out where somebody or something wants it to end, None where nothing does.

        Leases are renewed here, and only here: a fault lasts no longer than a look at everything else.
        """
        now = self.parts.clock.now()
        with self.parts.database.read() as connection:
            stop = stop_for(connection, place.environment, place.tenant)
        if run.ask or stop is not None:
            why = run.ask or f"experiments are stopped: {stop.reason if stop is not None else ''}"
            return noted(run, status="aborted", detail=why, phase="rollbacks")
        for one in run.injected:
            fault = experiment.faults[one.action]
            until = now + timedelta(seconds=fault.lease_s)
            if not one.back and not self.reverter.book.renew(one.handle, until, now):
                why = f"nobody watched {one.action} for longer than its lease, or whoever did is gone"
                return noted(run, status="interrupted", deviated=True, detail=why, phase="rollbacks")
        if run.phase == "before":
            return None
        why = await self._unsafe(place, run, experiment)
        return None if why is None else noted(run, status="aborted", deviated=True, detail=why, phase="rollbacks")

    async def _unsafe(self, place: Place, run: Run, experiment: Experiment) -> str | None:
        now = self.parts.clock.now()
        topology = await self.parts.target.topology(place.environment)
        for control in experiment.controls:
            if isinstance(control.provider, Deadline):
                if now - run.journal.start >= timedelta(seconds=control.provider.after_s):
                    return f"{control.name}: it has lasted {control.provider.after_s} s"
                continue
            value = await measure(control.provider, place.environment, topology, self.parts.target, now)
            if not within(value, control.provider.tolerance):
                return f"{control.name}: {control.provider.metric} of {control.provider.entity} is {value}"
        return None

    async def _before(self, place: Place, run: Run, experiment: Experiment) -> Run:
        look = await self._look(place, experiment)
        states = run.journal.steady_states.model_copy(update={"before": look})
        if not look.steady_state_met:
            why = "not started: the steady state did not hold before"
            return noted(run, steady_states=states, deviated=True, status="failed", detail=why, phase="ended")
        self._tell(place, run, "started", experiment.title)
        return noted(run, steady_states=states, phase="method")

    async def _look(self, place: Place, experiment: Experiment) -> SteadyState:
        """Measure the hypothesis, up to the first probe that is out of its tolerance."""
        results: list[ActivityResult] = []
        for probe in experiment.steady_state_hypothesis.probes:
            results.append(await self._probe(place, probe))
            if not results[-1].tolerance_met:
                break
        return SteadyState(steady_state_met=all(r.tolerance_met for r in results), probes=tuple(results))

    async def _probe(self, place: Place, probe: Probe) -> ActivityResult:
        now = self.parts.clock.now()
        if not isinstance(probe.provider, Measure):
            raise Conflict(f"{probe.name} measures nothing", reason="experiment_invalid")
        topology = await self.parts.target.topology(place.environment)
        value = await measure(probe.provider, place.environment, topology, self.parts.target, now)
        result = self._result(probe, ok=value is not None, output=value)
        return result.model_copy(update={"tolerance_met": within(value, probe.tolerance)})

    async def _method(self, place: Place, run: Run, experiment: Experiment) -> Run:
        """Carry out the activity at the run's position, with the pauses around it."""
        if run.position >= len(experiment.method):
            return run.model_copy(update={"phase": "after", "due": None})
        activity, now = experiment.activity(run.position), self.parts.clock.now()
        before = activity.pauses.before if activity.pauses else None
        if before and not run.paused:
            return run.model_copy(update={"paused": True, "due": now + timedelta(seconds=before)})
        done = await self._carry_out(place, run, experiment, activity)
        if done is None:
            return run
        after = (activity.pauses.after if activity.pauses else None) or 0.0
        due = now + timedelta(seconds=after) if after else None
        return done.model_copy(update={"position": run.position + 1, "paused": False, "due": due})

    async def _carry_out(self, place: Place, run: Run, experiment: Experiment, activity: Probe | Action) -> Run | None:
        """Do one activity; None while it waits for something."""
        match activity.provider:
            case InjectFault():
                return await self._inject(place, run, activity, activity.provider)
            case RevertFault(of=name):
                return await self._take_back(run, activity, name)
            case WatchLoop():
                return await self._watch(place, run, experiment, activity, activity.provider)
            case Measure() if isinstance(activity, Probe):
                result = await self._probe(place, activity)
                missed = activity.tolerance is not None and not result.tolerance_met
                return noted(run, run=(*run.journal.run, result), deviated=run.journal.deviated or missed)
            case _:
                raise Conflict(f"{activity.name} cannot be carried out", reason="experiment_invalid")

    async def _inject(self, place: Place, run: Run, activity: Probe | Action, fault: InjectFault) -> Run:
        """Put the lease on disk, then let the fault happen."""
        now, handle = self.parts.clock.now(), f"{run.id}-{run.position}"
        until = now + timedelta(seconds=fault.lease_s)
        lease = self.reverter.book.find(handle)
        if lease is None:
            await self.agreed(place, (fault,))
            recipe = await self.reverter.injector.prepare(place.environment, fault)
            lease = Lease(
                handle=handle, environment=place.environment, tenant=place.tenant, experiment=run.experiment,
                run=run.id, target=fault.target, recipe=recipe, until=until,
            )  # fmt: skip
            self.reverter.book.open(lease, now)
        elif not self.reverter.book.renew(handle, until, now):
            why = f"whoever injected {activity.name} is gone"
            return noted(run, status="interrupted", deviated=True, detail=why, phase="rollbacks")
        await self.reverter.injector.inject(place.environment, handle, lease.recipe)
        self.reverter.say(lease, "injected", fault.fault)
        one = Injected(action=activity.name, handle=handle, at=now)
        result = self._result(activity, ok=True, output={"handle": handle, "until": lease.until.isoformat()})
        return noted(run, run=(*run.journal.run, result)).model_copy(update={"injected": (*run.injected, one)})

    async def agreed(self, place: Place, faults: tuple[InjectFault, ...]) -> tuple[Blast, ...]:
        """Return what the faults reach. Raises Refused where somebody reached has not agreed, or all is stopped."""
        with self.parts.database.read() as connection:
            consents = consents_in(connection, place.environment)
            stop = stop_for(connection, place.environment, place.tenant)
        if stop is not None:
            raise Refused(f"experiments are stopped: {stop.reason}", reason="chaos_stopped")
        topology = await self.parts.target.topology(place.environment)
        return check_consent(faults, topology, consents, self.parts.clock.now())

    async def _take_back(self, run: Run, activity: Probe | Action, name: str) -> Run:
        done, trouble = await self._revert(run, name)
        result = self._result(activity, ok=not trouble, exception=trouble or None)
        return noted(done, run=(*run.journal.run, result))

    async def _revert(self, run: Run, name: str) -> tuple[Run, str]:
        """Take one fault back; return the run and what went wrong."""
        trouble, marked = "", list(run.injected)
        for number, one in enumerate(run.injected):
            if one.action == name and not one.back:
                lease = self.reverter.book.find(one.handle)
                trouble = "" if lease is None else await self.reverter.revert(lease, "the experiment takes it back")
                marked[number] = one.model_copy(update={"back": not trouble})
        return run.model_copy(update={"injected": tuple(marked)}), trouble

    async def _watch(
        self, place: Place, run: Run, experiment: Experiment, activity: Probe | Action, asked: WatchLoop
    ) -> Run | None:
        """Wait for a stage of the loop; late is a failure."""
        one = next(i for i in run.injected if i.action == asked.of)
        now = self.parts.clock.now()
        reached = await self._reached(place, experiment, one, asked)
        waited_s = (now - one.at).total_seconds()
        if not reached and waited_s < asked.within_s:
            return None
        result = self._result(activity, ok=reached, output={"stage": asked.stage, "after_s": waited_s})
        result = result.model_copy(update={"tolerance_met": reached})
        return noted(run, run=(*run.journal.run, result), deviated=run.journal.deviated or not reached)

    async def _reached(self, place: Place, experiment: Experiment, one: Injected, asked: WatchLoop) -> bool:
        """Tell whether the stage was reached in time."""
        latest = one.at + timedelta(seconds=asked.within_s)
        if asked.stage == "undone":
            lease = self.reverter.book.find(one.handle)
            gone = lease is None or not await self.reverter.injector.active(place.environment, one.handle, lease.recipe)
            return gone and self.parts.clock.now() <= latest
        if self.witness is None:
            return False
        fault = experiment.faults[one.action]
        reached = blast_of(fault, await self.parts.target.topology(place.environment))
        entities = reached.services | {fault.target}
        seen = await self.witness.seen(place.environment, entities, one.at)
        at = _when(seen, asked.stage)
        return at is not None and at <= latest

    async def _roll_back(self, place: Place, run: Run) -> Run:
        """Take back what is still there: as the document says, then whatever it forgot."""
        experiment = Experiment.model_validate(run.journal.experiment)
        results: list[ActivityResult] = []
        for action in experiment.rollbacks:
            if isinstance(action.provider, RevertFault):
                run, failed = await self._revert(run, action.provider.of)
                results.append(self._result(action, ok=not failed, exception=failed or None))
        # And what the document forgot, or the journal does not know: a process may end between fault and journal.
        left = await self.reverter.revert_all("the run is over", environment=place.environment, run=run.id)
        ended = noted(run, rollbacks=tuple(results), phase="ended")
        if left:
            trouble = "; ".join(dict.fromkeys(lease.error or "not taken back" for lease in left))
            why = f"a rollback failed, it is being tried again: {trouble}"
            ended = noted(ended, status="failed", deviated=True, detail=why[:2000])
            ended = ended.model_copy(update={"left": tuple(lease.handle for lease in left)})
        return self._close(place, ended)

    def _close(self, place: Place, run: Run) -> Run:
        now = self.parts.clock.now()
        duration = (now - run.journal.start).total_seconds()
        self._tell(place, run, _PHASES[run.journal.status], run.journal.detail)
        return noted(run, end=now, duration=duration)

    def _result(
        self, activity: Probe | Action, *, ok: bool, output: JsonValue = None, exception: str | None = None
    ) -> ActivityResult:
        now = self.parts.clock.now()
        return ActivityResult(
            activity=activity.model_dump(mode="json", by_alias=True, exclude_unset=True),
            status="succeeded" if ok else "failed", start=now, end=now, duration=0.0, output=output,
            exception=exception,
        )  # fmt: skip

    def _tell(self, place: Place, run: Run, phase: ChaosPhase, detail: str) -> None:
        say(
            self.parts.tell, place.tenant, place.environment, self.parts.clock,
            ChaosChanged(experiment=run.experiment, run=run.id, phase=phase, detail=detail),
            severity="critical" if run.left else "info",
        )  # fmt: skip

    def _load(self, place: Place, record: OperationRecord) -> Run:
        with self.parts.database.read() as connection:
            found = RUNS.get(connection, place, record.id)
        return self.begin(place, record) if found is None else found.body

    def _save(self, place: Place, run: Run) -> None:
        """Store the run; that somebody asked for its end meanwhile is kept."""
        with self.parts.database.begin() as connection:
            found = RUNS.get(connection, place, run.id)
            asked = found.body.ask if found is not None else ""
            RUNS.put(
                connection, place, run.id, run.model_copy(update={"ask": run.ask or asked}), at=self.parts.clock.now()
            )


def _when(seen: LoopSeen, stage: str) -> datetime | None:
    return {"detected": seen.detected, "proposed": seen.proposed, "fixed": seen.fixed}.get(stage)
