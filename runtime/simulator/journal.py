"""What the platform tells others: changes that were made, and events on their way, some late or twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from typing import Literal

from pydantic import JsonValue

from domain.base import Frozen, Severity, UtcDatetime
from domain.events import Dimensions, IncomingEvent
from domain.ids import EnvironmentId, TenantId

ChangeKind = Literal["deployment", "config", "scaling", "node", "zone", "drift", "policy", "certificate"]


class Change(Frozen):
    """One change as the platform's change feed tells it."""

    at: UtcDatetime
    entity: str
    kind: ChangeKind
    before: JsonValue = None
    after: JsonValue = None
    actor: str = ""
    text: str = ""


class ExternalChange(Frozen):
    """A write to the desired state by somebody else (a release pipeline): to be folded into the document's base."""

    at: UtcDatetime
    path: tuple[str, ...]
    before: JsonValue = None
    after: JsonValue = None
    actor: str


class SentEvent(Frozen):
    """An event with the tenant whose credential its sender holds."""

    tenant: TenantId
    event: IncomingEvent


@dataclass(slots=True)
class Journal:
    """Events leave in order of delivery time; ids are counters, so that a rebuilt world tells the same story."""

    environment: EnvironmentId
    changes: list[Change] = field(default_factory=list[Change])
    external: list[ExternalChange] = field(default_factory=list[ExternalChange])
    _queue: list[tuple[float, int, SentEvent]] = field(default_factory=list[tuple[float, int, SentEvent]])
    courier: Callable[[SentEvent, float], tuple[float, ...]] | None = None
    """Says when an event arrives, given when it was sent: at once where there is none."""
    _ids: int = 0
    _order: int = 0

    def emit(  # noqa: PLR0913  # the envelope's own fields
        self,
        *,
        tenant: str,
        source: str,
        kind: str,
        subject: str,
        at: datetime,
        data: Frozen,
        severity: Severity = "info",
        region: str | None = None,
        deliver_s: float = 0.0,
    ) -> SentEvent:
        """Queue one event for delivery at `deliver_s` seconds since the start."""
        self._ids += 1
        service = subject.removeprefix("service/") if subject.startswith("service/") else None
        event = IncomingEvent(
            id=f"{source.rsplit('/', 1)[-1]}-{self._ids:08d}",
            source=source,
            type=kind,
            subject=subject,
            time=at,
            dimensions=Dimensions(environmentid=self.environment, serviceid=service, region=region, severity=severity),
            data=data.model_dump(mode="json"),
        )
        sent = SentEvent(tenant=TenantId(tenant), event=event)
        for at_s in self.courier(sent, deliver_s) if self.courier else (deliver_s,):
            self.deliver(sent, at_s)
        return sent

    def deliver(self, sent: SentEvent, at_s: float) -> None:
        """Queue an event (again)."""
        self._order += 1
        heappush(self._queue, (at_s, self._order, sent))

    def drain(self, now_s: float) -> tuple[SentEvent, ...]:
        """Take the events that are due, in order of delivery."""
        due: list[SentEvent] = []
        while self._queue and self._queue[0][0] <= now_s:
            due.append(heappop(self._queue)[2])
        return tuple(due)

    def drain_external(self) -> tuple[ExternalChange, ...]:
        """Take the desired-state writes of others since the last call."""
        taken, self.external = tuple(self.external), []
        return taken
