"""From proposal to decided command: plan the effect, fix it in a digest, gather facts, let policy decide.

The same path for agents, people, workers, chat and direct writes to the runtime: nobody has another.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from pydantic import JsonValue

from domain.base import Digest
from domain.command_kinds import CATALOGUE
from domain.commands import Command, CommandRecord, Proposal, State
from domain.decisions import Decision
from domain.errors import Invalid, Refused
from domain.ids import CommandId, PrincipalId
from domain.ports import Clock, Ids
from governance.facts import assemble
from governance.machine import CommandStore
from governance.policy import PolicySet
from governance.policy_archive import keep
from mesh.currency import ReaderFor
from mesh.surroundings import SurroundingsReader
from storage.engine import Database
from tools.actions import Tool

EXECUTION_EXPIRY = timedelta(hours=4)
"""No effect starts later than this after the proposal: evidence older than a shift describes another world."""


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
        command = await self._plan(proposal)
        return command, await self.redecide(command)

    async def submit(self, proposal: Proposal, *, key: str | None = None) -> CommandRecord:
        """Record the proposal as a command and decide it. The same proposal again returns what became of the first."""
        command = await self._plan(proposal, key=key)
        unique = None if proposal.incident is None or key else idempotency_key(proposal)
        return await self.decide(self.store.propose(command, unique=unique))

    async def decide(self, record: CommandRecord) -> CommandRecord:
        """Let policy decide a PROPOSED command; one that is further along is returned as it is."""
        if record.state is not State.PROPOSED:
            return record
        decision = await self.redecide(record.command)
        self.store.record_decision(record.command.tenant, decision)
        return self.store.get(record.command.tenant, record.command.id)

    async def narrowed(
        self, parent: CommandRecord, digest: Digest, arguments: dict[str, JsonValue], *, by: PrincipalId
    ) -> Command:
        """Plan a narrower child of a waiting command, in the name of whoever narrows it. Refused on another digest."""
        if digest != parent.digest:
            raise Refused("the digest is not the one of this command", reason="digest_mismatch")
        command = parent.command
        fields = set(Proposal.model_fields) - {"evidence_digest", "arguments", "proposer"}
        proposal = Proposal.model_validate(
            command.model_dump(include=fields) | {"arguments": command.arguments | arguments, "proposer": by}
        )
        child = await self._plan(proposal, key=f"{command.idempotency_key}.{self.ids.ulid()}")
        until = min(child.expires_at, command.expires_at)
        return child.model_copy(update={"parent": command.id, "expires_at": until, "prediction": None})

    async def redecide(self, command: Command) -> Decision:
        """Ask policy over the facts as they are now; what was asked is archived, so that it can be asked again."""
        now = self.clock.now()
        facts = assemble(command, await self.surroundings.around(command))
        with self.database.begin() as connection:
            keep(connection, self.policy, facts, now)
        return self.policy.decide(command, facts)

    async def _plan(self, proposal: Proposal, *, key: str | None = None) -> Command:
        now = self.clock.now()
        action = self.actions.for_kind(proposal.kind)
        plan = await action.plan(proposal, at=now)
        shared = proposal.model_dump(exclude={"evidence_digest"})
        return Command.model_validate(
            shared
            | {
                "id": CommandId(self.ids.ulid()),
                "preview": plan.preview,
                "patches": plan.patches,
                "inverse": plan.inverse,
                "preconditions": plan.preconditions,
                "affected": plan.affected,
                "expires_at": now + EXECUTION_EXPIRY,
                "idempotency_key": key or (idempotency_key(proposal) if proposal.incident else self.ids.ulid()),
                "proposed_at": now,
            }
        )


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


def idempotency_key(proposal: Proposal) -> str:
    """Return the key under which the target counts this effect: one per incident, proposer, attempt and act."""
    parts = (
        proposal.tenant, proposal.environment, proposal.incident or "", proposal.evidence_digest or "",
        proposal.proposer, str(proposal.attempt), proposal.kind, proposal.target.address,
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
