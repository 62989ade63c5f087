"""Tiny data sets in the layout of the public ones, written by seeded draws."""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

NODES = ("Site", "Search Service", "Adoptions", "Table")
CALLS = (("Site", "Search Service"), ("Site", "Adoptions"), ("Search Service", "Table"))
USUAL_S = {"Site": 0.09, "Search Service": 0.02, "Adoptions": 0.03, "Table": 0.008}
REQUESTS = {"Site": 500, "Search Service": 800, "Adoptions": 130, "Table": 850}


def _metric_rows(rng, rows: int, cause: str | None = None, metric: str = "", begin: int = 0) -> list[list[float]]:
    """Return per row latency, requests, availability of every node; the cause drags its callers along."""
    hit = {cause} | {caller for caller, callee in CALLS if callee == cause}
    hit |= {caller for caller, callee in CALLS if callee in hit}
    found = []
    for number in range(rows):
        struck = cause is not None and number >= begin
        row: list[float] = []
        lost = 40 if struck and metric == "availability" else 0
        extra = 30.0 if struck and metric == "latency" else 0.0  # seconds of all requests together
        for node in NODES:
            requests = float(rng.poisson(REQUESTS[node]))
            latency = USUAL_S[node] * rng.lognormal(0, 0.05) + (extra / requests if node in hit else 0.0)
            availability = 100.0 * (1 - (lost / requests if node in hit else 0.0))
            row += [latency, requests, availability]
        found.append(row)
    return found


def _write_sheet(path: Path, start: float, rows: list[list[float]], order: list[int] | None = None) -> None:
    header = [
        (node, metric, statistic)
        for node in NODES
        for metric, statistic in (("latency", "Average"), ("requests", "Sum"), ("availability", "Average"))
    ]
    order = order or list(range(len(header)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        for level, name in enumerate(("microservice", "metric", "statistic")):
            out.writerow([name, *(header[i][level] for i in order)])
        out.writerow(["unix_timestamp", *([""] * len(header))])
        for number, row in enumerate(rows):
            out.writerow([start + 300.0 * number, *(row[i] for i in order)])


ISSUES = {
    "train/issue_0": ("Table", "latency"),
    "test/issue_0": ("Adoptions", "availability"),
    "test/issue_1": ("Search Service", "latency"),
    "test/issue_10": ("Table", "availability"),
}


@pytest.fixture
def petshop(tmp_path: Path) -> Callable[..., Path]:
    """Write a PetShop-like folder; `order` permutes the columns, `labels` overrides root causes."""

    def write(order: list[int] | None = None, labels: dict[str, str] | None = None, name: str = "shop") -> Path:
        root, rng = tmp_path / name, np.random.default_rng(5)
        _write_sheet(root / "noissue" / "metrics.csv", 1_692_608_400.0, _metric_rows(rng, 240), order)
        with (root / "graph.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["", *NODES])
            for caller in NODES:
                out.writerow([caller, *(float((caller, callee) in CALLS) for callee in NODES)])
        for number, (issue, (cause, metric)) in enumerate(ISSUES.items()):
            start = 1_681_855_320.0 + 7200 * number
            _write_sheet(root / issue / "metrics.csv", start, _metric_rows(rng, 5, cause, metric, begin=1), order)
            target = {
                "target": {"node": "Site", "metric": metric, "agg": "Average", "timestamp": start + 483},
                "root_cause": {"node": (labels or {}).get(issue, cause), "metric": None},
                "metadata": {"reproducibility": {"command": f"break {cause}"}},
            }
            (root / issue / "target.json").write_text(json.dumps(target))
        return root

    return write


DAY = "2026-02-03"
PODS = {name: f"ts-{name}-service-5b67c48447-fj8b7" for name in ("gate", "order", "route", "seat")}
TRACE_CALLS = {"gate": ("order", "route"), "order": ("seat",), "route": (), "seat": ()}
FAULTS = (("09", "09:10:20", "seat"), ("10", "10:30:05", "order"))


class _Minute:
    """Spans and log lines of one minute of traffic; calls to and from `slow` take 300 ms longer after `since`."""

    def __init__(self, rng, at: datetime, slow: str | None = None, since: datetime | None = None) -> None:
        self.rng, self.slow, self.since = rng, slow, since
        self.spans: list[list[object]] = []
        self.logs: list[list[object]] = []
        for number in range(25):
            self.trace = f"{at:%H%M}{number:04x}"
            self.clock = int((at + timedelta(seconds=2 * number)).timestamp() * 1e9)
            self._visit("gate", "root")

    def _spend(self, ms: float) -> None:
        self.clock += int(ms * 1e6 * self.rng.lognormal(0, 0.1))

    def _span(self, parent: str, name: str, operation: str, begun: int, number: int) -> None:
        self.spans[number] = [
            self.trace, f"{self.trace}-{number}", parent, PODS[name], operation, begun, self.clock,
            (self.clock - begun) // 1000,
        ]  # fmt: skip

    def _visit(self, name: str, parent: str) -> None:
        begun, number = self.clock, len(self.spans)
        self.spans.append([])
        self._spend(12)
        struck = self.since is not None and self.clock >= self.since.timestamp() * 1e9
        for callee in TRACE_CALLS[name]:
            out, call = self.clock, len(self.spans)
            self.spans.append([])
            self._spend(302 if struck and self.slow in (name, callee) else 2)
            self._visit(callee, f"{self.trace}-{call}")
            self._span(f"{self.trace}-{number}", name, "HTTP GET", out, call)
        self._span(parent, name, f"/api/{name}", begun, number)
        text = json.dumps({"log": f"09:00:00.1 INFO served TraceID: {self.trace} in {self.clock % 97} ms\n"})
        self.logs.append(["x", self.clock, "n1", PODS[name], "server", self.trace, "s", text])


SPAN_HEADER = [
    "TraceID",
    "SpanID",
    "ParentID",
    "PodName",
    "OperationName",
    "StartTimeUnixNano",
    "EndTimeUnixNano",
    "Duration",
]
LOG_HEADER = ["Timestamp", "TimeUnixNano", "Node", "PodName", "Container", "TraceID", "SpanID", "Log"]


def _csv(header: list[str], rows: list[list[object]], torn: str = "") -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return (out.getvalue() + torn).encode()


@pytest.fixture
def nezha(tmp_path: Path) -> Callable[..., Path]:
    """Write a Nezha-like archive; `labels` overrides the injected services."""

    def write(labels: dict[int, str] | None = None) -> Path:
        rng = np.random.default_rng(9)
        files: dict[str, bytes] = {}

        def put(folder: str, at: datetime, minute: _Minute) -> None:
            files[f"{folder}/trace/{at:%H_%M}_trace.csv"] = _csv(SPAN_HEADER, minute.spans, "torn,row\n")
            files[f"{folder}/log/{at:%H_%M}_log.csv"] = _csv(LOG_HEADER, minute.logs, 'a,b,c,d,e,f,g,"not json"\n')
            files[f"{folder}/traceid/{at:%H_%M}_traceid.csv"] = b"x\n"

        quiet = datetime.fromisoformat(f"{DAY} 08:50:00").replace(tzinfo=UTC)
        put(f"normal/{DAY}", quiet, _Minute(rng, quiet))
        faults: dict[str, list[dict[str, str]]] = {}
        for position, (hour, clock, service) in enumerate(FAULTS):
            at = datetime.fromisoformat(f"{DAY} {clock}").replace(tzinfo=UTC)
            for k in range(3):
                minute = at.replace(second=0) + timedelta(minutes=k)
                put(f"rca_data/{DAY}", minute, _Minute(rng, minute, service, at))
            pod = PODS[(labels or {}).get(position, service)]
            entry = {"inject_time": f"{DAY} {clock}", "inject_timestamp": "0", "inject_pod": pod, "inject_type": "x"}
            faults.setdefault(hour, []).append(entry)
        files[f"rca_data/{DAY}/{DAY}-fault_list.json"] = json.dumps(faults).encode()
        header = ["TimeStamp", "PodName", "CpuUsageRate(%)", "MemoryUsageRate(%)", "PodServerLatencyP95(s)"]
        for pod in PODS.values():
            rows = [
                [int(quiet.timestamp()) + 60 * m, pod, rng.normal(20, 1), rng.normal(40, 1), rng.lognormal(-3, 0.2)]
                for m in range(120)
            ]
            files[f"rca_data/{DAY}/metric/{pod}_metric.csv"] = _csv(header, rows)
        path = tmp_path / f"{DAY}.tar.xz"
        with tarfile.open(path, "w:xz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path

    return write
