"""Racing deciders: many processes answer the same approval at once; exactly one wins and the others learn who.

`python -P -m evals.races --processes 8 --rounds 200 --database URL --json` exits 1 when a promise is broken.
"""

import argparse
import json
import multiprocessing as mp
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypedDict

from domain.base import Frozen, digest_of
from domain.changes import Precondition, ResourceChange
from domain.commands import Command, Inverse
from domain.crash_points import POINTS
from domain.decisions import Ask, DecideResult, Decision
from domain.ids import CommandId, EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from domain.tenancy import AffectedSet
from domain.topology import EntityRef
from governance.assembly import Governed, assemble_governed
from governance.ballots import Answer, Channel
from governance.verification import verify
from mesh.time import SystemClock, UlidIds
from storage.engine import Database

TENANT, ENVIRONMENT = TenantId("race"), EnvironmentId("prod")
CHANNELS: tuple[Channel, ...] = ("cli", "api", "web", "slack", "teams")
START_TIMEOUT_S = 120.0
"""A process imports for about two seconds; eight of them on two busy cores need a multiple."""


class Click(TypedDict):
    """What one process was told in one round."""

    round: int
    person: str
    won: bool
    state: str
    decided_by: str | None


class RaceReport(Frozen):
    """What was promised and what happened."""

    database: str
    processes: int
    rounds: int
    clicks: int
    winners: dict[str, int]
    """Rounds won, by person: a fair race has many names."""
    broken: tuple[str, ...]
    audit_ok: bool
    seconds: float
    decisions_per_s: float

    @property
    def ok(self) -> bool:
        """Tell whether every promise held."""
        return not self.broken and self.audit_ok


class NoCrash:
    """Crash points of production."""

    def reach(self, point: str, **context: str) -> None:
        """Do nothing at a known point."""
        if point not in POINTS:
            raise KeyError(point)


def governed_on(url: str, folder: Path) -> tuple[Database, Governed]:
    """Open the governed path on a store."""
    database = Database(url)
    clock = SystemClock()
    governed = assemble_governed(
        database,
        keys=folder / "keys",
        anchor=folder / "anchor.jsonl",
        find=lambda _connection, _principal: None,
        clock=clock,
        ids=UlidIds(clock),
        crash=NoCrash(),
    )
    return database, governed


def race(url: str, *, processes: int, rounds: int) -> RaceReport:
    """Let the processes decide each of the rounds' commands together; judge what they were told."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database, governed = governed_on(url, folder)
        commands = [_asked(governed, number) for number in range(rounds)]
        begun = time.perf_counter()
        clicks = _clicks(url, folder, processes, commands)
        seconds = time.perf_counter() - begun
        audit = verify(database, governed.audit, TENANT)
        broken = _judge(governed, commands, clicks, processes)
        database.close()
    winners = [click["person"] for click in clicks if click["won"]]
    return RaceReport(
        database="postgresql" if url.startswith("postgresql") else "sqlite",
        processes=processes,
        rounds=rounds,
        clicks=len(clicks),
        winners={person: winners.count(person) for person in sorted(set(winners))},
        broken=tuple(broken),
        audit_ok=audit.ok,
        seconds=round(seconds, 2),
        decisions_per_s=round(len(clicks) / seconds, 1),
    )


def _asked(governed: Governed, number: int) -> tuple[CommandId, str]:
    """Propose one command and ask people about it; return its id and digest."""
    clock = SystemClock()
    now = clock.now()
    service = f"service-{number}"
    address = f"service/{service}"
    command = Command(
        id=CommandId(UlidIds(clock).ulid()),
        kind="service.restart",
        arguments={"service": service},
        target=EntityRef.parse(address),
        tenant=TENANT,
        environment=ENVIRONMENT,
        proposer=PrincipalId("agent:sre"),
        preview=(ResourceChange(address=address, operation="run"),),
        inverse=Inverse(),
        preconditions=(Precondition(scope="live", path=("services", service), digest=digest_of("up")),),
        affected=AffectedSet(tenants=(TENANT,), environments=(ENVIRONMENT,), resources=(address,)),
        expires_at=now + timedelta(hours=2),
        idempotency_key=f"race-{number}-{now.isoformat()}",
        proposed_at=now,
    )
    record = governed.commands.propose(command)
    decision = Decision(
        command=command.id,
        digest=record.digest,
        effect="ask",
        reasons=("every race asks people",),
        policy_digest=digest_of("race policy"),
        facts_digest=digest_of("race facts"),
        at=now,
        ask=Ask(roles=("approver",), quorum=1, expires_at=now + timedelta(hours=1)),
    )
    governed.commands.record_decision(TENANT, decision)
    return command.id, record.digest


def _clicks(url: str, folder: Path, processes: int, commands: Sequence[tuple[CommandId, str]]) -> list[Click]:
    context = mp.get_context("spawn")  # a forked child would share the parent's connections
    barrier, answers = context.Barrier(processes), context.SimpleQueue()
    children = [
        context.Process(target=_decider, args=(url, folder, number, list(commands), barrier, answers))
        for number in range(processes)
    ]
    for child in children:
        child.start()
    clicks = [click for _ in children for click in answers.get()]
    for child in children:
        child.join()
    return clicks


def _decider(
    url: str,
    folder: Path,
    number: int,
    commands: list[tuple[CommandId, str]],
    barrier: Barrier,
    answers: "mp.SimpleQueue[list[Click]]",
) -> None:
    """One person in one process: answers every command at the same instant as the others."""
    database, governed = governed_on(url, folder)
    role = RoleGrant(role="approver", tenant=TENANT)
    me = Principal(id=PrincipalId(f"person-{number}"), kind="person", name=f"person {number}", grants=(role,))
    told: list[Click] = []
    try:
        for position, (command, digest) in enumerate(commands):
            barrier.wait(START_TIMEOUT_S)
            verdict = "approve" if (number + position) % 2 else "reject"
            answer = Answer(TENANT, command, digest, me, verdict, CHANNELS[number % len(CHANNELS)])
            told.append(_click(position, me, governed.approvals.decide(answer)))
    finally:
        if len(told) < len(commands):
            barrier.abort()
        answers.put(told)
        database.close()


def _click(position: int, me: Principal, result: DecideResult) -> Click:
    by = result.decided_by
    return {"round": position, "person": me.id, "won": result.won, "state": result.state, "decided_by": by}


def _judge(
    governed: Governed, commands: Sequence[tuple[CommandId, str]], clicks: Sequence[Click], processes: int
) -> list[str]:
    """Return every broken promise, one a line."""
    broken: list[str] = []
    for position, (command, _) in enumerate(commands):
        told = [click for click in clicks if click["round"] == position]
        winners = [click["person"] for click in told if click["won"]]
        record = governed.commands.get(TENANT, command)
        ends = [line for line in governed.audit.read(TENANT, subject=command) if _is_end(line.record.action)]
        if len(told) != processes:
            broken.append(f"round {position}: {len(told)} of {processes} were answered")
        if len(winners) != 1:
            broken.append(f"round {position}: {len(winners)} winners")
        elif any(click["decided_by"] != winners[0] or click["state"] != record.state for click in told):
            broken.append(f"round {position}: somebody was told another winner or state")
        if record.decided_by not in winners or len(ends) != 1:
            broken.append(f"round {position}: the record or the audit tells of another end")
    return broken


def _is_end(action: str) -> bool:
    return action in {"command.approved", "command.rejected"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a race and print its report; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--database", help="SQLAlchemy URL; a fresh SQLite file when left out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        url = options.database or f"sqlite:///{name}/race.db"
        database = Database(url)
        database.create()
        database.close()
        report = race(url, processes=options.processes, rounds=options.rounds)
    if options.json:
        print(json.dumps({**report.model_dump(mode="json"), "ok": report.ok}))
    else:
        held = "held" if report.ok else f"broken: {'; '.join(report.broken)}"
        print(f"{report.clicks} clicks on {report.rounds} commands in {report.seconds} s ({report.database}): {held}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
