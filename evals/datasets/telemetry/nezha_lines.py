"""Raw logs and spans of a Nezha case, for replay: the day's fault-free minute, and the window of the case."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from analysis.spans import SpanRow
from domain.base import TimeRange
from evals.datasets.nezha import MINUTES, archive_of, begun_within, severity_of
from evals.datasets.telemetry.cases import Case
from evals.datasets.telemetry.feeds import Lines, LogLine
from evals.datasets.telemetry.nezha_archive import Archive, service_of
from evals.datasets.telemetry.nezha_archive import LogLine as PodLine

QUIET_S = 60
MAX_LINE = 8_000
"""Characters kept of a line; what follows is the printed body of a reply."""


def nezha_lines(path: Path, case: Case) -> Lines:
    """Return the lines of a case under the addresses that its recording uses."""
    archive, window = archive_of(path), case.recording.current
    day = case.case_id.partition("/")[0]
    address = {original: address for address, original in case.names.items()}
    logs, spans = _window(archive, day, window)
    return Lines(
        quiet_s=QUIET_S,
        quiet_logs=tuple(_placed(line, address) for line in archive.logs(day, normal=True)),
        quiet_spans=tuple(_moved(span, address) for span in archive.spans(day, normal=True)),
        logs=tuple(_placed(line, address) for line in logs),
        spans=tuple(_moved(span, address) for span in spans),
    )


def _window(archive: Archive, day: str, window: TimeRange) -> tuple[list[PodLine], list[SpanRow]]:
    minutes = {f"{window.start + timedelta(minutes=k):%H_%M}" for k in range(MINUTES + 1)}
    logs = [line for line in archive.logs(day, normal=False, minutes=minutes) if window.holds(line.at)]
    return logs, begun_within(archive.spans(day, normal=False, minutes=minutes), window)


def _placed(line: PodLine, address: dict[str, str]) -> LogLine:
    return LogLine(line.at, address[service_of(line.pod)], severity_of(line.text), line.text[:MAX_LINE])


def _moved(span: SpanRow, address: dict[str, str]) -> SpanRow:
    return replace(span, entity=address[span.entity])
