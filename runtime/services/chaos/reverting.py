"""Taking faults back: by whoever runs the experiment, by the watch when nobody does, by the stop when somebody says so.

A fault that cannot be taken back is told as critical, stays on the books and is tried again at every look.
"""

from dataclasses import dataclass

from domain.catalogue import ChaosChanged, ChaosPhase
from domain.errors import OpsmeshError
from domain.events import Dimensions, IncomingEvent
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.ports import Clock
from runtime.injection.ports import FaultInjector
from runtime.ports import Tell
from runtime.services.chaos.leases import Lease, LeaseBook

SOURCE = "/runtime/chaos"


@dataclass(frozen=True, slots=True)
class Reverter:
    """Takes leased faults back."""

    injector: FaultInjector
    book: LeaseBook
    clock: Clock
    tell: Tell

    async def revert(self, lease: Lease, why: str) -> str:
        """Take one fault back; return what went wrong, nothing where it is gone."""
        first = lease.attempts == 0
        try:
            await self.injector.revert(lease.environment, lease.handle, lease.recipe)
            left = await self.injector.active(lease.environment, lease.handle, lease.recipe)
            trouble = "its cause is still there" if left else ""
        except OpsmeshError as error:
            trouble = str(error)
        if trouble:
            self.book.stuck(lease.handle, trouble, self.clock.now())
            if first:
                self.say(lease, "rollback_failed", trouble)
            return trouble
        self.book.close(lease.handle, self.clock.now())
        self.say(lease, "reverted", why)
        return ""

    async def revert_all(
        self, why: str, *, environment: EnvironmentId, tenant: TenantId = PLATFORM, run: str | None = None
    ) -> tuple[Lease, ...]:
        """Take back every fault of a tenant (the platform: of all) or of one run; return those that are still there."""
        mine = [
            lease
            for lease in self.book.all()
            if lease.environment == environment
            and (tenant in {PLATFORM, lease.tenant})
            and (run is None or lease.run == run)
        ]
        tried = [(lease, await self.revert(lease, why)) for lease in mine]
        return tuple(lease.model_copy(update={"error": trouble}) for lease, trouble in tried if trouble)

    async def turn(self) -> None:
        """Look at every lease: one that ran out, that nobody alive holds, or that was stuck is taken back."""
        now = self.clock.now()
        for lease in self.book.all():
            if lease.attempts:
                await self.revert(lease, "taken back at last")
            elif lease.until <= now:
                await self.revert(lease, "nobody has watched it for longer than its lease")
            elif self.book.orphaned(lease.handle):
                await self.revert(lease, "whoever ran it is gone")

    def say(self, lease: Lease, phase: ChaosPhase, detail: str) -> None:
        """Tell what became of one fault, under the experiment's name."""
        severity = "critical" if phase == "rollback_failed" else "info"
        say(
            self.tell, lease.tenant, lease.environment, self.clock,
            ChaosChanged(
                experiment=lease.experiment, run=lease.run, phase=phase, fault=lease.handle, target=lease.target,
                detail=detail,
            ), severity=severity,
        )  # fmt: skip


def say(
    tell: Tell, tenant: TenantId, environment: EnvironmentId, clock: Clock, data: ChaosChanged,
    *, severity: str = "info",
) -> None:  # fmt: skip
    """Tell of an experiment's doing. The same step of the same run is one event, however often it is told."""
    tell.tell(
        tenant,
        IncomingEvent(
            id=":".join(part for part in (data.run, data.phase, data.fault) if part), source=SOURCE,
            type="runtime.chaos.changed.v1", subject=f"experiment/{data.experiment}", time=clock.now(),
            dimensions=Dimensions.model_validate(
                {"environmentid": environment, "severity": severity, "correlationid": f"chaos:{data.run}"}
            ),
            data=data.model_dump(mode="json"),
        ),
    )  # fmt: skip
