"""Reading a file of events: JSON lines, streamed, so that a file of any size takes the memory of one batch.

Every line ends as accepted, duplicate or quarantined; a quarantined one names its line number.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from domain.base import Frozen
from domain.envelope import MAX_EVENT_BYTES, read_event
from domain.events import IncomingEvent
from domain.intake import RefusedInput
from domain.principals import EventSourceKey
from grounding.event_log import BATCH, EventLog

_SPACE = b" \t\r\n"


class IngestProgress(Frozen):
    """How far a file has been read."""

    lines: int = 0
    bytes_read: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0


def ingest_lines(
    log: EventLog,
    sender: EventSourceKey,
    stream: BinaryIO,
    *,
    progress: Callable[[IngestProgress], None] = lambda _: None,
) -> IngestProgress:
    """Take every line of the stream as one CloudEvent; blank lines are passed over. Returns the final counts.

    `progress` is called after each batch. Raises Unavailable when the store is gone: what was counted is durable,
    and the file may be given again, since what is already there counts as duplicate.
    """
    state = IngestProgress()
    lines = _numbered(stream)
    while batch := list(islice(lines, BATCH)):
        items = [(number, item) for number, line, size in batch if (item := _item(line, size)) is not None]
        report = log.accept(sender, [item for _, item in items], channel="file", lines=[number for number, _ in items])
        state = IngestProgress(
            lines=state.lines + len(items),
            bytes_read=state.bytes_read + sum(size for _, _, size in batch),
            accepted=state.accepted + report.accepted,
            duplicates=state.duplicates + report.duplicates,
            quarantined=state.quarantined + len(report.quarantined),
        )
        progress(state)
    return state


def _item(line: bytes, size: int) -> IncomingEvent | RefusedInput | None:
    body = line.strip(_SPACE)
    if not body:
        return None
    item = read_event(body)
    return item.model_copy(update={"size": size}) if isinstance(item, RefusedInput) else item


def _numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Yield (line number from 1, line, bytes read); an oversized line is cut where it is sure to be refused."""
    bound = MAX_EVENT_BYTES + 2
    number = 0
    while line := stream.readline(bound):
        number += 1
        size = len(line)
        if size == bound and not line.endswith(b"\n"):
            while rest := stream.readline(bound):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
        yield number, line, size
