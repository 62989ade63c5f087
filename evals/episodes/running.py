"""One job of the suite: a scenario and a seed in, an episode record out. Runs in a process of its own."""

import asyncio
import tempfile
from pathlib import Path
from time import process_time

from agents import AGENTS
from domain.commands import CommandRecord
from evals.episodes.baselines import AutoscalerOnly, all_baselines, live_through
from evals.episodes.director import Director
from evals.episodes.measures import WORTH, Measures
from evals.episodes.played import Played, Tamper, play, untouched
from evals.episodes.record import AnswerSeen, CauseSeen, CommandSeen, EpisodeRecord
from evals.graders import grade
from evals.scenarios import Scenario
from evals.scenarios.drawing import worlds

AGENTS_FOR = tuple(spec.name for spec in AGENTS)
"""Domains that an agent answers for; elsewhere only baselines are lived through."""


def run_episode(scenario: Scenario, seed: int, *, tamper: Tamper = untouched) -> EpisodeRecord:
    """Live through one scenario with every baseline and, where an agent answers for it, with the product."""
    began = process_time()
    director, baselines = _felt(scenario, seed)
    played = scenario.domain in AGENTS_FOR or scenario.quiet
    if played:
        with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
            record = asyncio.run(_with_product(director, baselines, Path(folder), tamper))
    else:
        record = _without_product(director, baselines)
    return record.model_copy(update={"cpu_s": round(process_time() - began, 2)})


def _felt(scenario: Scenario, seed: int) -> tuple[Director, dict[str, Measures]]:
    """Open the scenario's world and live through its baselines; draw anew where nobody would feel the fault.

    An operations fault that hurts no user is no incident: there is nothing to see and nothing to do. The baseline that
    leaves the world alone tells, before the product has played; where no draw hurts, the last one is played.
    """
    situations = worlds(scenario, seed)
    director = Director(*next(situations))
    baselines = all_baselines(director)
    matters = scenario.domain == "sre" and not scenario.quiet
    while matters and baselines["autoscaler"].slo_minutes_lost < WORTH and (opened := next(situations, None)):
        director = Director(*opened)
        baselines = all_baselines(director)
    return director, baselines


async def _with_product(
    director: Director, baselines: dict[str, Measures], home: Path, tamper: Tamper
) -> EpisodeRecord:
    played = await play(director, baselines, home=home, tamper=tamper)
    try:
        return _record(played)
    finally:
        await played.simulated.mesh.close()


def _without_product(director: Director, baselines: dict[str, Measures]) -> EpisodeRecord:
    live_through(director, AutoscalerOnly())
    return _shell(director, baselines, played=False)


def _shell(director: Director, baselines: dict[str, Measures], *, played: bool) -> EpisodeRecord:
    scenario = director.setting.scenario
    opened = director.opened
    causes = tuple(
        CauseSeen(
            fault=truth.fault, fault_class=truth.fault_class, entity=truth.entity, also=truth.also,
            minute=round((truth.since - opened).total_seconds() / 60.0, 2),
        )
        for _, truth in director.causes()
    )  # fmt: skip
    since = director.since_s - (opened - director.world.spec.start).total_seconds()
    return EpisodeRecord(
        scenario=scenario.name, seed=director.setting.seed, domain=scenario.domain, good=scenario.good, played=played,
        causes=causes, minutes=round(director.setting.minutes, 2), since_minute=round(since / 60.0, 2),
        baselines=baselines,
    )  # fmt: skip


def _record(played: Played) -> EpisodeRecord:
    mesh = played.simulated.mesh
    shell = _shell(played.director, played.baselines, played=True)
    return shell.model_copy(
        update={
            "ours": played.measures(), "commands": tuple(_command(played, r) for r in played.commands()),
            "answers": _answers(played), "incidents": sum(len(mesh.cases.all(t)) for t in played.tenants),
            "events": sum(mesh.log.count(t) for t in played.tenants),
            "pages": sum(len(mesh.journal.pages(t)) for t in played.tenants), "grades": grade(played),
            "broke": played.broke,
        }
    )  # fmt: skip


def _command(played: Played, record: CommandRecord) -> CommandSeen:
    mesh, command = played.simulated.mesh, record.command
    verification = mesh.journal.verification(command.tenant, command.id)
    lines = mesh.governed.audit.read(command.tenant, subject=command.id)
    started = [line.record.at for line in lines if line.record.action == "command.executed"]
    outcome = next((o for o in mesh.journal.outcomes(command.tenant) if o.command == command.id), None)
    return CommandSeen(
        id=command.id, kind=command.kind, target=command.target.address, tenant=command.tenant,
        proposer=command.proposer, role=command.role, state=record.state, reason=record.reason,
        attempt=command.attempt, confidence=command.confidence,
        predicted=command.prediction is not None and command.prediction.known,
        approvals=len(mesh.governed.commands.approvals(command.tenant, command.id)),
        resources=len(command.affected.resources), proposed=played.minute(command.proposed_at),
        executed=played.minute(started[0]) if started else None,
        verified=None if verification is None else played.minute(verification.ended_at),
        verdict=None if verification is None else verification.verdict,
        errors=() if outcome is None else outcome.errors,
    )  # fmt: skip


def _answers(played: Played) -> tuple[AnswerSeen, ...]:
    found: list[AnswerSeen] = []
    for _, run in played.runs():
        if run.diagnosis is None:
            continue
        found.append(
            AnswerSeen(
                minute=played.minute(run.started_at), incident=run.incident, verdict=run.diagnosis.verdict,
                hypotheses=tuple((h.entity, h.fault_class, h.confidence) for h in run.diagnosis.hypotheses),
                ranked=tuple(entity for entity, _ in run.diagnosis.ranked[:5]), proposed=bool(run.proposals),
            )
        )  # fmt: skip
    return tuple(found)
