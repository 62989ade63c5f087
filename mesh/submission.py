"""From proposal to decided command: plan the effect, fix it in a digest, gather facts, let policy decide.

The same path for agents, people, workers, chat and direct writes to the runtime: nobody has another.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import JsonValue, ValidationError

from domain.base import Digest
from domain.command_kinds import CATALOGUE
from domain.commands import Command, CommandRecord, Proposal, State
from domain.decisions import Decision
from domain.errors import Invalid, Refused
from domain.ids import CommandId, PrincipalId
from domain.ports import Clock, Ids
from domain.topology import EntityKind
from governance.budgets import charges_of
from governance.facts import Surroundings, assemble
from governance.machine import CommandStore
from governance.policy import PolicySet
from governance.policy_archive import keep
from governance.principals import find
from governance.rights import accountable_for, unaccountable
from mesh.currency import ReaderFor
from mesh.surroundings import SurroundingsReader
from storage.engine import Database
from tools.actions import Tool

EXECUTION_EXPIRY = timedelta(hours=4)
"""No effect starts later than this after the proposal: evidence older than a shift describes another world."""


_NAMED: tuple[EntityKind, ...] = ("restore_point", "node", "service", "node_pool", "data_store", "tenant")
"""Argument names that say what a command is done to, the narrower first."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Takes proposals onto the command's path."""

    database: Database
    store: CommandStore
    policy: PolicySet
    surroundings: SurroundingsReader
    actions: "ActionTable"
    reader: ReaderFor
    clock: Clock
    ids: Ids

    async def preview(self, proposal: Proposal) -> tuple[Command, Decision]:
        """Plan and decide without recording anything: a dry run of the whole path."""
        command = await self.plan(proposal)
        return command, await self.redecide(command)

    async def submit(self, proposal: Proposal, *, key: str | None = None) -> CommandRecord:
        """Record the proposal as a command and decide it. The same proposal again returns what became of the first."""
        command = await self.plan(proposal, key=key)
        unique = idempotency_key(proposal) if key is None and proposal.evidence_digest is not None else None
        return await self.decide(self.store.propose(command, unique=unique))

    async def decide(self, record: CommandRecord) -> CommandRecord:
        """Let policy decide a PROPOSED command; one that is further along is returned as it is.

        In a rehearsal the command is not stored: what policy says is told as the reason.
        """
        command = record.command
        if record.state is not State.PROPOSED:
            return record
        around = await self.surroundings.around(command)
        charges = charges_of(command, around.spend_change_usd_per_hour)
        decision = self._ask(command, around)
        if self.database.rehearsing:
            return record.model_copy(update={"reason": f"{decision.effect}: {'; '.join(decision.reasons)}"})
        self.store.record_decision(command.tenant, decision, charges=charges)
        return self.store.get(command.tenant, command.id)

    async def narrowed(
        self, parent: CommandRecord, digest: Digest, arguments: dict[str, JsonValue], *, by: PrincipalId
    ) -> Command:
        """Plan a narrower child of a waiting command, in the name of whoever narrows it. Refused on another digest."""
        if digest != parent.digest:
            raise Refused("the digest is not the one of this command", reason="digest_mismatch")
        command = parent.command
        fields = set(Proposal.model_fields) - {"evidence_digest", "arguments", "proposer"}
        try:
            proposal = Proposal.model_validate(
                command.model_dump(include=fields) | {"arguments": command.arguments | arguments, "proposer": by}
            )
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            raise Invalid(f"the narrower arguments do not fit: {problem['msg']}", reason="arguments_invalid") from error
        child = await self.plan(proposal, key=f"{command.idempotency_key}.{self.ids.ulid()}")
        until = min(child.expires_at, command.expires_at)
        return child.model_copy(update={"parent": command.id, "expires_at": until, "prediction": None})

    async def redecide(self, command: Command) -> Decision:
        """Ask policy over the facts as they are now; what was asked is archived, so that it can be asked again."""
        return self._ask(command, await self.surroundings.around(command))

    async def barred(self, command: Command, people: Sequence[PrincipalId]) -> tuple[PrincipalId, ...]:
        """Return those whom policy does not let answer for the command, as the facts are now."""
        if not people:
            return ()
        facts = assemble(command, await self.surroundings.around(command))
        known = [self.surroundings.principals.get(person) for person in people]
        return tuple(p.id for p in known if not self.policy.can_approve(p, command, facts).allowed)

    def _ask(self, command: Command, around: Surroundings) -> Decision:
        facts = assemble(command, around)
        with self.database.begin() as connection:
            keep(connection, self.policy, facts, self.clock.now())
        return self.policy.decide(command, facts)

    async def plan(self, proposal: Proposal, *, key: str | None = None) -> Command:
        """Return the command that a proposal becomes, with preview, inverse and preconditions; records nothing."""
        now = self.clock.now()
        _check_target(proposal)
        action = self.actions.for_kind(proposal.kind)
        plan = await action.plan(proposal, at=now)
        shared = proposal.model_dump(exclude={"evidence_digest"})
        command = Command.model_validate(
            shared
            | {
                "id": CommandId(self.ids.ulid()),
                "preview": plan.preview,
                "patches": plan.patches,
                "inverse": plan.inverse,
                "preconditions": plan.preconditions,
                "affected": plan.affected,
                "expires_at": now + EXECUTION_EXPIRY,
                "idempotency_key": key or (idempotency_key(proposal) if proposal.evidence_digest else self.ids.ulid()),
                "proposed_at": now,
            }
        )
        self._check_accountable(command)
        return command

    def _check_accountable(self, command: Command) -> None:
        """Raise Invalid where a waiver names somebody who cannot answer for it."""
        if (name := accountable_for(command)) is None:
            return
        with self.database.read() as connection:
            refusal = unaccountable(find(connection, name), command, (), command.proposed_at)
        if refusal is not None:
            raise Invalid(refusal, reason="accountable")


@dataclass(frozen=True, slots=True)
class ActionTable:
    """The built actions by tool name; a kind whose tool is not built cannot be proposed, and says so."""

    by_tool: dict[str, Tool]

    def for_kind(self, kind: str) -> Tool:
        """Return the action that runs a kind. Raises Invalid naming what is missing."""
        tool = next((spec.tool for name, spec in CATALOGUE.items() if name == kind), None)
        if tool is None or tool not in self.by_tool:
            raise Invalid(f"{kind}: its tool {tool} is not built in this release", reason="tool_not_built")
        return self.by_tool[tool]


def callers_key(proposal: Proposal, key: str | None) -> str | None:
    """Return a caller's own key as one that nobody else's, no child's and no undo's can equal; None where none came."""
    if key is None:
        return None
    return hashlib.sha256(f"{proposal.tenant}\x1f{proposal.proposer}\x1f{key}".encode()).hexdigest()


def unrecorded(command: Command) -> CommandRecord:
    """Return the record that a dry run would have made."""
    return CommandRecord(
        command=command, digest=command.digest, state=State.PROPOSED, version=1, updated_at=command.proposed_at,
        reason="dry run: nothing is recorded",
    )  # fmt: skip


def _check_target(proposal: Proposal) -> None:
    """Raise Invalid where the arguments name another thing than the target: what is at risk is read off the target."""
    for kind in _NAMED:
        name = proposal.arguments.get(kind)
        if name is not None:
            if (kind, name) != (proposal.target.kind, proposal.target.id):
                raise Invalid(f"the target is not the {kind} {name} that the arguments name", reason="target_mismatch")
            return


def idempotency_key(proposal: Proposal) -> str:
    """Return the key under which the target counts this effect: one per incident, proposer, attempt and act."""
    parts = (
        proposal.tenant, proposal.environment, proposal.incident or "", proposal.evidence_digest or "",
        proposal.proposer, str(proposal.attempt), proposal.kind, proposal.target.address,
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
