"""Actions that write desired state: the mechanics all of them share, so that each action is arguments to patches.

Plan is a dry run at the runtime's door. The inverse remembers per field what stood there; undo puts it back only where
our value still stands, and takes away only overrides of our own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from domain.base import Frozen
from domain.changes import Patch, ResourceChange
from domain.commands import Command, Inverse, Proposal
from domain.desired import DesiredState, read_path
from domain.errors import Conflict, Invalid
from domain.ids import PLATFORM, EnvironmentId
from domain.outcomes import ActionPlan, EffectReceipt
from domain.runtime_api import PatchBody
from domain.topology import EntityKind, EntityRef, Topology
from tools.affected import affected_by
from tools.client import RuntimeClient
from tools.effects import effect_under, send
from tools.paths import place
from tools.readers.runtime import RuntimeApiReader
from tools.undo import inverse_of, preconditions_of, restoring

A = TypeVar("A", bound=Frozen)
READS = 3
"""Times document and dry run are read again when another version came in between."""
KIND_OF: dict[str, EntityKind] = {
    "services": "service",
    "node_pools": "node_pool",
    "data_stores": "data_store",
    "tenants": "tenant",
}
"""Sections of a desired-state document and the kind of entity in them."""


class DesiredAction(Generic[A]):
    """An Action and ActionVerifier over desired state. A subclass says its arguments and the patches they mean."""

    arguments: ClassVar[type[Frozen]]

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    def patches(self, wanted: A, at: datetime) -> tuple[Patch, ...]:
        """Return the writes that the arguments mean by themselves; none where `writes` works them out."""
        del wanted, at
        return ()

    async def writes(self, wanted: A, proposal: Proposal, client: RuntimeClient, at: datetime) -> tuple[Patch, ...]:
        """Return the writes that the arguments mean here; by default what they mean by themselves."""
        del proposal, client
        return self.patches(wanted, at)

    async def check(self, wanted: A, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for arguments that fit their model and not this environment."""

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the command. Raises Invalid where it would change nothing, NotFound for what is out of reach."""
        wanted: A = self.arguments.model_validate(proposal.arguments)  # pyright: ignore[reportAssignmentType]  # `arguments` is the class of A
        client = self._client.for_tenant(proposal.tenant)
        patches = await self.writes(wanted, proposal, client, at)
        changes, desired = await self._dry_run(client, proposal.environment, patches)
        platform = RuntimeApiReader(self._client.for_tenant(PLATFORM))
        topology = await platform.topology(proposal.environment)
        await self.check(wanted, topology, client)
        if not changes:
            raise Invalid("nothing would change: the state is already so", reason="no_change")
        targets = [EntityRef(kind=KIND_OF[p.path[0]], id=p.path[1]) for p in patches]
        return ActionPlan(
            preview=changes,
            patches=patches,
            inverse=Inverse(fields=tuple(inverse_of(desired, patch, at) for patch in patches)),
            preconditions=preconditions_of(desired, patches, at),
            affected=affected_by(
                targets, topology, await platform.bindings(proposal.environment), proposal.environment
            ),
        )

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Write the command's patches, once. Raises OutcomeUnknown when the answer was lost."""
        if not command.patches:
            return EffectReceipt(
                idempotency_key=command.idempotency_key, status="applied", detail="nothing was left to take back"
            )
        path, body = place(command.environment, "desired-state"), PatchBody(patches=command.patches)
        return await send(self._client, command, "PATCH", path, body, grant)

    async def status(self, command: Command) -> EffectReceipt:
        """Ask the runtime whether the effect happened."""
        return await effect_under(self._client, command)

    async def verify(self, command: Command) -> bool:
        """Tell whether what runs holds every value the command wrote."""
        reader = RuntimeApiReader(self._client.for_tenant(command.tenant))
        live, desired = await reader.live(command.environment), await reader.desired(command.environment)
        runs, base = live.model_dump(mode="json"), desired.base.model_dump(mode="json")
        return all(
            read_path(runs, patch.path) == (patch.value if patch.op == "set" else read_path(base, patch.path))
            for patch in command.patches
        )

    async def ended(self, command: Command) -> bool:
        """Tell that nothing is left to do: a written field is written."""
        del command
        return True

    async def account(self, command: Command) -> str:
        """Say nothing more: what was written is in the preview."""
        del command
        return ""

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan the restore. Raises Conflict where a field no longer holds our value."""
        client = self._client.for_tenant(command.tenant)
        desired = await RuntimeApiReader(client).desired(command.environment)
        patches = tuple(
            patch
            for written, field in zip(command.patches, command.inverse.fields, strict=True)
            for patch in restoring(desired, command, written, field, at)
        )
        if not patches:
            return ActionPlan(preview=(), affected=command.affected)
        changes, desired = await self._dry_run(client, command.environment, patches)
        return ActionPlan(
            preview=changes,
            patches=patches,
            inverse=Inverse(note="an undo is not undone: propose the command again"),
            preconditions=preconditions_of(desired, patches, at),
            affected=command.affected,
        )

    async def _dry_run(
        self, client: RuntimeClient, environment: EnvironmentId, patches: Sequence[Patch]
    ) -> tuple[tuple[ResourceChange, ...], DesiredState]:
        reader = RuntimeApiReader(client)
        for _ in range(READS):
            answer = await reader.preview(environment, patches)
            desired = await reader.desired(environment)
            if desired.version == answer.version:
                return answer.changes, desired
        raise Conflict("the desired state keeps changing", reason="contended")
