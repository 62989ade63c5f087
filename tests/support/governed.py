"""The governed path over a test store, with people, commands and decisions to send down it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.base import digest_of
from domain.changes import Patch, Precondition, ResourceChange, preview_digest
from domain.commands import Command, CommandRecord, FieldUndo, Inverse, State
from domain.decisions import Ask, Decision
from domain.ids import CommandId, EnvironmentId, IncidentId, PrincipalId, TenantId
from domain.outcomes import EffectReceipt
from domain.principals import Principal, RoleGrant
from domain.tenancy import AffectedSet
from domain.topology import EntityRef
from governance.assembly import Governed, assemble_governed
from governance.ballots import Answer
from governance.revalidate import Current
from mesh.time import UlidIds, VirtualClock
from storage.engine import Database

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACME = TenantId("acme")
PROD = EnvironmentId("prod")
WORKER = PrincipalId("worker-1")
POLICY_SET = digest_of("policy set 1")


class Crash(BaseException):
    """A process died here: not an Exception, so that nothing handles it."""


@dataclass
class Points:
    """Crash points of a test: dies at the armed one the n-th time, remembers all it met."""

    armed: str = ""
    nth: int = 1
    met: list[str] = field(default_factory=list)

    def reach(self, point: str, **context: str) -> None:
        self.met.append(point)
        if point == self.armed:
            self.nth -= 1
            if self.nth == 0:
                self.armed, self.nth = "", 1
                raise Crash(point)


def person(name: str, *roles: str, tenant: str = "acme", kind: str = "person", **more: object) -> Principal:
    grants = tuple(RoleGrant.model_validate({"role": role, "tenant": tenant}) for role in roles)
    return Principal.model_validate({"id": name, "kind": kind, "name": name, "grants": grants, **more})


@dataclass
class GovernedPath:
    """A store with the governed path on it, at a virtual instant."""

    database: Database
    governed: Governed
    clock: VirtualClock
    ids: UlidIds
    points: Points
    people: dict[PrincipalId, Principal]
    folder: Path

    def command(self, target: str = "shop", **changed: object) -> Command:
        key = self.ids.ulid()
        resource = f"service/{target}"
        path = ("services", target, "version")
        fields = {
            "id": CommandId(key),
            "kind": "service.rollback",
            "arguments": {"service": target, "to_version": "v1"},
            "target": EntityRef.parse(resource),
            "tenant": ACME,
            "environment": PROD,
            "proposer": PrincipalId("agent:sre"),
            "preview": (ResourceChange(address=resource, operation="update", path="version", before="v2", after="v1"),),
            "patches": (Patch(op="set", path=path, value="v1"),),
            "inverse": Inverse(fields=(FieldUndo(path=path, written="v1", restore="v2"),)),
            "preconditions": (Precondition(scope="desired", path=path, digest=digest_of("v2")),),
            "affected": AffectedSet(tenants=(ACME,), environments=(PROD,), resources=(resource,)),
            "expires_at": self.clock.now() + timedelta(hours=1),
            "idempotency_key": f"key-{key}",
            "proposed_at": self.clock.now(),
            "incident": IncidentId("incident-1"),
        }
        return Command.model_validate(fields | changed)

    def decision(self, record: CommandRecord, effect: str = "allow", **changed: object) -> Decision:
        ask = Ask(roles=("approver", "operator"), quorum=1, expires_at=self.clock.now() + timedelta(minutes=30))
        fields = {
            "command": record.command.id,
            "digest": record.digest,
            "effect": effect,
            "reasons": (f"a test says {effect}",),
            "policy_digest": POLICY_SET,
            "facts_digest": digest_of("facts"),
            "at": self.clock.now(),
            "ask": ask if effect == "ask" else None,
        }
        return Decision.model_validate(fields | changed)

    def proposed(self, target: str = "shop", **changed: object) -> CommandRecord:
        return self.governed.commands.propose(self.command(target, **changed))

    def decided(self, effect: str = "allow", target: str = "shop", quorum: int = 1, **changed: object) -> CommandRecord:
        record = self.proposed(target, **changed)
        decision = self.decision(record, effect)
        if decision.ask is not None:
            decision = decision.model_copy(update={"ask": decision.ask.model_copy(update={"quorum": quorum})})
        self.governed.commands.record_decision(record.command.tenant, decision)
        return self.read(record)

    def read(self, record: CommandRecord) -> CommandRecord:
        return self.governed.commands.get(record.command.tenant, record.command.id)

    def answer(self, record: CommandRecord, who: Principal, verdict: str = "approve", **changed: object) -> Answer:
        plain = Answer(ACME, record.command.id, record.digest, who, "approve", "cli")
        return replace(plain, **{"verdict": verdict, **changed})

    def current(self, record: CommandRecord, **changed: object) -> Current:
        """What a caller reads when nothing has changed."""
        command = record.command
        stored = self.governed.commands.decision(command.tenant, command.id)
        fields = {
            "preview_digest": preview_digest(command.preview),
            "preconditions": command.preconditions,
            "decision": stored,
        }
        return Current.model_validate(fields | changed)

    def claim(self, record: CommandRecord, *, lease_s: float = 60.0, **changed: object) -> CommandRecord:
        return self.governed.executions.claim(
            record.command.tenant,
            record.command.id,
            worker=WORKER,
            lease_s=lease_s,
            current=self.current(record, **changed),
        )

    def executing(self, target: str = "shop", **changed: object) -> CommandRecord:
        return self.claim(self.decided("allow", target, **changed))

    def receipt(self, record: CommandRecord, status: str = "applied") -> EffectReceipt:
        fields = {"idempotency_key": record.command.idempotency_key, "status": status}
        return EffectReceipt.model_validate(fields)

    def held(self, record: CommandRecord) -> dict[str, object]:
        """The arguments by which a worker shows that a command is its own."""
        return {"fencing": record.fencing, "worker": WORKER}

    def reach(self, state: State, target: str = "shop") -> CommandRecord:
        """A command in a state on the way through execution."""
        go, record = self.governed.executions, self.executing(target)
        place = (ACME, record.command.id)
        held = self.held(record)
        if state in {State.FAILED, State.UNKNOWN}:
            status = "not_applied" if state is State.FAILED else "unknown"
            return go.record_effect(*place, **held, receipt=self.receipt(record, status))
        if state is State.EXECUTING:
            return record
        record = go.record_effect(*place, **held, receipt=self.receipt(record))
        if state is State.EXECUTED:
            return record
        record = go.start_verifying(*place, **held)
        if state is State.VERIFYING:
            return record
        if state is State.UNDOING:
            go.finish(*place, **held, verdict=State.REGRESSED)
            return go.start_undo(*place, **held, child=self.undo_of(record))[0]
        return go.finish(*place, **held, verdict=state)

    def undo_of(self, record: CommandRecord, **changed: object) -> Command:
        parent = record.command
        path = parent.inverse.fields[0].path
        undo = {
            "parent": parent.id,
            "role": "undo",
            "patches": (Patch(op="set", path=path, value="v2"),),
            "inverse": Inverse(),
            "preconditions": (),
        }
        return self.command(parent.target.id, **(undo | changed))


def governed_path(
    database: Database, folder: Path, clock: VirtualClock | None = None, *, seed: int = 7
) -> GovernedPath:
    clock = clock or VirtualClock(START)
    ids, points = UlidIds(clock, seed=seed), Points()
    people: dict[PrincipalId, Principal] = {}
    governed = assemble_governed(
        database,
        keys=folder / "keys",
        anchor=folder / "anchor.jsonl",
        find=lambda connection, key: people.get(key),
        clock=clock,
        ids=ids,
        crash=points,
    )
    return GovernedPath(database, governed, clock, ids, points, people, folder)


def open_path(database: Database, folder: Path) -> Iterator[GovernedPath]:
    """Fixture body: a path with two approvers and an operator."""
    path = governed_path(database, folder)
    for known in (person("ann", "approver"), person("bob", "approver"), person("eve", "operator")):
        path.people[known.id] = known
    yield path
