"""Reads one day of a Nezha archive: minutes of spans and log lines, a metrics file per pod, the fault list.

Layout: `rca_data/DAY/{metric,log,trace}`, `rca_data/DAY/DAY-fault_list.json`, `normal/DAY/{log,trace}`; files are
named by minute (`11_51_trace.csv`), times are UTC. Malformed rows are skipped.
"""

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import JsonValue, TypeAdapter, ValidationError

from analysis.spans import SpanRow
from domain.errors import Invalid

_FAULTS: TypeAdapter[dict[str, list[dict[str, JsonValue]]]] = TypeAdapter(dict[str, list[dict[str, JsonValue]]])


@dataclass(frozen=True, slots=True)
class LogLine:
    """One log line of a pod."""

    at: datetime
    pod: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the fault list: position over all hours, time, and the label."""

    position: int
    at: datetime
    pod: str


def service_of(pod: str) -> str:
    """Strip replica-set hash and pod suffix: `ts-order-service-5b67c48447-fj8b7` -> `ts-order-service`."""
    return pod.rsplit("-", 2)[0] if pod.count("-") >= 2 else pod


class Archive:
    """The text files of an archive, held in memory by their path within it."""

    def __init__(self, path: Path) -> None:
        self._files: dict[PurePosixPath, bytes] = {}
        try:
            with tarfile.open(path, "r:xz") as archive:
                for member in archive:
                    handle = archive.extractfile(member) if member.isfile() else None
                    if handle is not None and not member.name.endswith("_traceid.csv"):
                        self._files[PurePosixPath(member.name)] = handle.read()
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Invalid(f"{path.name} is not a readable tar.xz: {error}") from error
        self.days = tuple(sorted(file.parent.name for file in self._files if file.name.endswith("-fault_list.json")))
        if not self.days:
            raise Invalid(f"{path.name}: no DAY-fault_list.json inside")

    def faults(self, day: str) -> tuple[Fault, ...]:
        """Return the fault list in order over the hours."""
        hours = _FAULTS.validate_python(json.loads(self._files[self._under(day, f"{day}-fault_list.json")]))
        entries = [entry for _, held in sorted(hours.items(), key=lambda item: int(item[0])) for entry in held]
        return tuple(
            Fault(number, _utc(str(entry["inject_time"])), str(entry["inject_pod"]))
            for number, entry in enumerate(entries)
        )

    def spans(self, day: str, *, normal: bool, minutes: set[str] | None = None) -> list[SpanRow]:
        """Return the spans of the fault-free minute, or of the given minutes (`HH_MM`). A row given twice is one."""
        rows = self._rows(day, "trace", normal=normal, minutes=minutes)
        return list(dict.fromkeys(span for row in rows if (span := _span(row)) is not None))

    def logs(self, day: str, *, normal: bool, minutes: set[str] | None = None) -> list[LogLine]:
        """Return the log lines of the fault-free minute, or of the given minutes."""
        rows = self._rows(day, "log", normal=normal, minutes=minutes)
        return [line for row in rows if (line := _line(row)) is not None]

    def metrics(self, day: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
        """Yield (pod, rows) per pod that has a metrics file."""
        folder = self._under(day, "metric")
        for file in sorted(self._files):
            if file.parent == folder and file.name.endswith("_metric.csv"):
                yield file.name.removesuffix("_metric.csv"), list(_reader(self._files[file]))

    def _under(self, day: str, name: str) -> PurePosixPath:
        found = next((file.parent for file in self._files if file.name == f"{day}-fault_list.json"), None)
        if found is None:
            raise Invalid(f"no day {day} in the archive")
        return found / name

    def _rows(self, day: str, kind: str, *, normal: bool, minutes: set[str] | None) -> Iterator[dict[str, str]]:
        wanted = None if minutes is None else {f"{minute}_{kind}.csv" for minute in minutes}
        for file in sorted(self._files):
            here = file.parts[-3:-1] == (day, kind) and ("normal" in file.parts) == normal
            if here and (wanted is None or file.name in wanted):
                yield from _reader(self._files[file])


def _reader(content: bytes) -> Iterator[dict[str, str]]:
    """Yield rows of a CSV file that have all columns; NUL bytes and torn rows are skipped."""
    text = content.decode("utf-8", errors="replace").replace("\0", "")
    for row in csv.DictReader(io.StringIO(text)):
        if None not in row and all(isinstance(value, str) for value in row.values()):
            yield row


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _span(row: dict[str, str]) -> SpanRow | None:
    try:
        start, duration_us = int(row["StartTimeUnixNano"]), int(float(row["Duration"]))
        parent = row["ParentID"]
        return SpanRow(
            trace_id=row["TraceID"],
            span_id=row["SpanID"],
            parent_id="" if parent == "root" else parent,
            entity=service_of(row["PodName"]),
            operation=row["OperationName"],
            start_ns=start,
            end_ns=start + 1000 * duration_us,
        )
    except (KeyError, ValueError):
        return None


_LOG_BODY: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def _line(row: dict[str, str]) -> LogLine | None:
    try:
        body = _LOG_BODY.validate_json(row["Log"])
        at = datetime.fromtimestamp(int(row["TimeUnixNano"]) / 1e9, UTC)
        return LogLine(at, row["PodName"], str(body["log"]).strip())
    except (KeyError, ValueError, OverflowError, ValidationError):
        return None
