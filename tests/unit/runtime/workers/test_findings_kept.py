"""Findings over time: a look reads what stands, a list one page, and what is long over is forgotten."""

from datetime import timedelta

import pytest
from sqlalchemy import insert

from domain.findings import Finding, FindingRecord
from domain.ids import TenantId
from runtime.documents import Documents
from runtime.findings import KEPT_FOR, RESOLVED, standing
from runtime.worker_runner import WorkerRunner
from storage.tables.runtime import documents
from tests.support.runtime_bench import PROD, START
from tests.support.small_runtime import small_bench

MANY = 20_000
PATH = f"/runtime/findings/{PROD}"


def record(number, tenant="acme", status="resolved", at=START):
    finding = Finding(
        owner="cost_anomaly", kind="cost.idle", tenant=TenantId(tenant), environment=PROD,
        resource=f"service/s{number}", summary="nobody calls it",
    )  # fmt: skip
    return FindingRecord(finding=finding, status=status, first_seen=at, last_seen=at, trace="00-a-b-01")


def put(bench, records):
    rows = [
        {
            "environment": PROD, "tenant": r.finding.tenant, "id": r.finding.id, "version": 1, "at": r.last_seen,
            "kind": "finding" if r.status == "open" else "finding_resolved", "body": r.model_dump(mode="json"),
        }
        for r in records
    ]  # fmt: skip
    with bench.services.database.begin() as connection:
        connection.execute(insert(documents), rows)


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
def read(monkeypatch):
    """How many documents were read from rows."""
    counted, whole = [], Documents._document

    def counting(self, row):
        counted.append(row.id)
        return whole(self, row)

    monkeypatch.setattr(Documents, "_document", counting)
    return counted


class Blind:
    name = "cost_anomaly"
    every = timedelta(minutes=5)

    async def look(self, parts, environment):
        return ()


async def test_twenty_thousand_resolved_ones_cost_a_look_and_a_page_nothing(bench, read):
    put(bench, [record(n, at=START - timedelta(seconds=n)) for n in range(MANY)])
    put(bench, [record(MANY + n, status="open") for n in range(3)])
    runner = WorkerRunner(bench.services.parts, bench.proposals, workers=(Blind(),))
    async with bench.http("executor-token") as http:
        http.headers["Opsmesh-Tenant"] = "platform"
        answer = await http.get(PATH, params={"limit": 50})
    assert (answer.status_code, len(answer.json())) == (200, 50), answer.text
    assert len(read) <= 2 * 51
    read.clear()
    await runner.turn()
    assert len(read) <= 3 * 3  # the three that stand, and each looked up where it is written
    with bench.services.database.read() as connection:
        assert standing(connection, PROD) == {}


async def test_pages_lead_through_all_of_ones_own_each_once(bench):
    put(bench, [record(n, at=START - timedelta(minutes=n // 3)) for n in range(23)])
    put(bench, [record(100 + n, status="open") for n in range(4)])
    put(bench, [record(200 + n, tenant="globex") for n in range(9)])
    seen, path = [], f"{PATH}?limit=5"
    async with bench.http("person-token") as http:
        while path:
            answer = await http.get(path)
            assert len(answer.json()) <= 5
            seen += [(one["last_seen"], one["finding"]["resource"]) for one in answer.json()]
            link = answer.headers.get("Link", "")
            path = link.partition("<")[2].partition(">")[0]
    assert len(seen) == len(set(seen)) == 27
    assert [at for at, _ in seen] == sorted((at for at, _ in seen), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "", "bm9uZQ==", "MjAyNi0wMS0wMXxh", "\u00e9"])
async def test_what_is_no_cursor_is_refused(bench, cursor):
    async with bench.http("person-token") as http:
        answer = await http.get(PATH, params={"after": cursor})
    assert (answer.status_code, answer.json()["reason"]) == (422, "cursor_invalid")


async def test_what_was_resolved_long_ago_is_forgotten_and_what_stands_is_not(bench):
    now = bench.clock.now()
    put(bench, [record(1, at=now - KEPT_FOR - timedelta(minutes=1)), record(2, at=now - KEPT_FOR + timedelta(hours=1))])
    put(bench, [record(3, status="open", at=now - 2 * KEPT_FOR)])
    await WorkerRunner(bench.services.parts, bench.proposals, workers=()).turn()
    with bench.services.database.read() as connection:
        assert [d.body.finding.resource for d in RESOLVED.list(connection, PROD)] == ["service/s2"]
        assert [r.finding.resource for r in standing(connection, PROD).values()] == ["service/s3"]
