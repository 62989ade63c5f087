"""What one tenant sees of an environment it shares, and that it cannot tell another's thing from none at all."""

from datetime import timedelta

import pytest

from domain.commands import Proposal
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.topology import EntityRef
from tests.support.runtime_bench import EXECUTOR, PROD, START
from tests.support.small_runtime import small_bench
from tools.actions import bind_actions

BASE = f"/runtime/environments/{PROD}"
END = START + timedelta(minutes=10)
WINDOW = {"start": START.isoformat(), "end": END.isoformat()}
SPLIT = WINDOW | {"split": (START + timedelta(minutes=5)).isoformat()}
ENTITIES = ("service/shop", "service/portal", "service/auth", "node/n1", "tenant/globex")


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    for k, entity in enumerate(ENTITIES):
        bench.target.metrics.append(
            MetricSeries(
                evidence=f"m{k}", entity=entity, metric="cpu", kind="saturation", start=START, step_s=60, values=(1.0,)
            )
        )
        bench.target.change_feed.append(ChangeRecord(evidence=f"c{k}", entity=entity, kind="config", at=START))
        bench.target.log_patterns.append(
            LogPattern(
                evidence=f"l{k}", entity=entity, template="x", severity="info",
                baseline_count=1, baseline_s=1, current_count=1, current_s=1,
            )
        )  # fmt: skip
        bench.target.span_stats.append(
            SpanStats(evidence=f"s{k}", entity=entity, operation="GET", baseline_self_ms=(), current_self_ms=())
        )
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
async def acme(bench):
    async with bench.http("person-token") as http:
        yield http


@pytest.fixture
async def platform(bench):
    async with bench.http(EXECUTOR) as http:
        yield http


async def entities(http, path, params):
    return [row["entity"] for row in (await http.get(f"{BASE}/{path}", params=params)).json()]


async def test_topology_is_the_tenants_own_and_what_it_stands_on(acme):
    seen = (await acme.get(f"{BASE}/topology")).json()
    assert [s["id"] for s in seen["services"]] == ["shop", "cart", "auth"]
    assert [s["used_by"] for s in seen["services"] if s["id"] == "auth"] == [["acme"]]
    assert {(e["source"], e["target"]) for e in seen["edges"]} == {
        ("service/shop", "service/cart"),
        ("service/cart", "service/auth"),
        ("service/shop", "node_pool/pool"),
    }
    assert "globex" not in str(seen)


async def test_bindings_and_desired_state_are_the_tenants_own(acme):
    assert [b["tenant"] for b in (await acme.get(f"{BASE}/bindings")).json()] == ["acme"]
    desired = (await acme.get(f"{BASE}/desired-state")).json()
    assert (desired["tenant"], sorted(desired["base"]["services"])) == ("acme", ["cart", "shop"])
    assert desired["base"]["node_pools"] == {}
    live = (await acme.get(f"{BASE}/live-state")).json()
    assert sorted(live["services"]) == ["cart", "shop"]


async def test_signals_of_shared_services_and_nodes_are_seen_logs_and_traces_are_not(acme):
    assert await entities(acme, "metrics", WINDOW) == ["service/shop", "service/auth", "node/n1"]
    assert await entities(acme, "changes", WINDOW) == ["service/shop", "service/auth", "node/n1"]
    assert await entities(acme, "logs", SPLIT) == ["service/shop"]
    assert await entities(acme, "spans", SPLIT) == ["service/shop"]


async def test_the_platform_sees_everything(platform):
    assert len((await platform.get(f"{BASE}/topology")).json()["services"]) == 4
    assert len((await platform.get(f"{BASE}/bindings")).json()) == 2
    for path, params in (("metrics", WINDOW), ("changes", WINDOW), ("logs", SPLIT), ("spans", SPLIT)):
        assert await entities(platform, path, params) == list(ENTITIES)


async def test_asking_for_anothers_series_is_as_asking_for_none(acme):
    for name in ("service/portal", "service/nothing"):
        response = await acme.get(f"{BASE}/metrics", params=WINDOW | {"entity": name})
        assert (response.status_code, response.json()) == (200, [])


PLACES = ("bindings", "topology", "services", "desired-state", "live-state", "tickets", "effects/k")


@pytest.mark.parametrize("place", PLACES)
async def test_an_environment_out_of_reach_answers_as_one_that_does_not_exist(bench, acme, place):
    missing = await acme.get(f"/runtime/environments/nowhere/{place}")
    acme.headers["Opsmesh-Tenant"] = "globex"
    crossed = await acme.get(f"{BASE}/{place}")
    acme.headers["Opsmesh-Tenant"] = "no-such-tenant"
    unknown = await acme.get(f"{BASE}/{place}")
    assert missing.status_code == crossed.status_code == unknown.status_code == 404
    assert missing.content == crossed.content == unknown.content
    assert _plain(missing) == _plain(crossed) == _plain(unknown)


@pytest.mark.parametrize("path", ["services/{}/versions", "operations/{}", "effects/{}"])
async def test_anothers_resource_answers_as_a_missing_one(bench, acme, path):
    operation = await restarted(bench, "portal", "globex")
    names = {"services/{}/versions": "portal", "operations/{}": operation, "effects/{}": "key-1"}
    async with bench.http("globex-token") as globex:
        assert (await globex.get(f"{BASE}/{path.format(names[path])}")).status_code == 200
    crossed = await acme.get(f"{BASE}/{path.format(names[path])}")
    missing = await acme.get(f"{BASE}/{path.format('no')}")
    assert crossed.status_code == 404
    assert (crossed.content, _plain(crossed)) == (missing.content, _plain(missing))


@pytest.mark.parametrize("dry", ["true", "false"])
async def test_a_write_to_anothers_resource_answers_as_to_a_missing_one(bench, acme, dry):
    def body(service):
        return {"patches": [{"op": "set", "path": ["services", service, "replicas"], "value": 1}]}

    answers = [
        await acme.patch(f"{BASE}/desired-state", json=body(service), params={"dryRun": dry})
        for service in ("portal", "auth", "nothing")
    ]
    answers += [
        await acme.post(
            f"{BASE}/operations",
            json=restart_of(service),
            params={"dryRun": dry},
        )
        for service in ("portal", "auth", "nothing")
    ]
    assert {a.status_code for a in answers} == {404}
    assert len({a.content for a in answers}) == 1
    assert bench.proposals.taken == {}


async def test_environments_are_listed_where_the_tenant_is_bound(bench, acme):
    assert [e["environment"] for e in (await acme.get("/runtime/environments")).json()] == [PROD]
    acme.headers["Opsmesh-Tenant"] = "globex"
    assert (await acme.get("/runtime/environments")).json() == []


@pytest.mark.parametrize(
    "window",
    [
        {"start": END.isoformat(), "end": START.isoformat()},
        {"start": START.isoformat(), "end": (START + timedelta(days=16)).isoformat()},
    ],
)
async def test_windows_are_bounded(acme, window):
    response = await acme.get(f"{BASE}/metrics", params=window)
    assert (response.status_code, response.json()["reason"]) == (422, "window_invalid")


async def test_naive_instants_are_refused(acme):
    response = await acme.get(f"{BASE}/changes", params={"start": "2026-03-10T09:00:00", "end": END.isoformat()})
    assert response.status_code == 422


def restart_of(service):
    return {"kind": "service.restart", "arguments": {"service": service}}


async def restarted(bench, service, tenant):
    proposal = Proposal(
        kind="service.restart", arguments={"service": service}, target=EntityRef.parse(service), tenant=tenant,
        environment=PROD, proposer="sre", rationale="because",
    )  # fmt: skip
    restart = bind_actions(bench.client)["restart"]
    command = bench.command(proposal, await restart.plan(proposal, at=bench.clock.now()))
    return (await restart.apply(command, grant=bench.issuer.grant(command))).operation


def _plain(response):
    return {k: v for k, v in response.headers.items() if k != "date"}
