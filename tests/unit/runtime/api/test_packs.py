"""Packs over HTTP: what a tenant sees, what a change would do, and that it takes effect through the one door only."""

from datetime import timedelta

import pytest

from domain.commands import Proposal
from domain.errors import Refused
from domain.ids import TenantId
from domain.topology import EntityRef
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.marketplace.market import market_at
from runtime.planes import Planes
from tests.support.packs import AT, key_of, signed, write
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import STATE as STATE_OF
from tests.support.small_runtime import TOPOLOGY, small_bench
from tools.actions import bind_actions

PLAN = f"/runtime/environments/{PROD}/packs/plan"
STATE = f"/runtime/environments/{PROD}/desired-state"
KEY = key_of(1)
INSTALL = {"kind": "pack.install", "arguments": {"pack": "edge"}}


@pytest.fixture
def grid():
    return MemoryGrid()


@pytest.fixture
async def bench(tmp_path, grid):
    bench = await small_bench(tmp_path, planes=Planes(energy=grid))
    home = bench.services.parts.home
    everywhere = {'"tiers": [\n          0,\n          1\n        ]': '"archetypes": ["api"]'}
    tests = {'"archetype": "frontend"': '"archetype": "api"'}
    for number in ("0.1.0", "0.2.0"):
        bundle = signed(
            KEY, pack_json={'"0.1.0",\n  "summary"': f'"{number}",\n  "summary"'}, content_json=everywhere,
            tests_json=tests,
        )  # fmt: skip
        write(bundle, home / "marketplace" / "packs" / "edge" / number)
    market_at(home).trust.trust(TenantId("acme"), "maker", KEY.public_key().public_bytes_raw(), AT)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
async def person(bench):
    async with bench.http("person-token") as http:
        yield http


def proposal(kind="pack.install", **arguments):
    return Proposal(
        kind=kind, arguments={"pack": "edge"} | arguments, target=EntityRef(kind="pack", id="edge"),
        tenant=TenantId("acme"), environment=PROD, proposer="ana", rationale="wanted",
    )  # fmt: skip


async def carried_out(bench, asked):
    action = bind_actions(bench.client)["pack"]
    command = bench.command(asked, await action.plan(asked, at=bench.clock.now()))
    await action.apply(command, grant=bench.issuer.grant(command))
    return action, command


async def test_the_shelf_is_as_the_tenant_trusts_it(person, bench):
    answer = (await person.get("/runtime/packs")).json()
    edge = [p for p in answer["packs"] if p["name"] == "edge"]
    assert [(p["version"], p["publisher"]) for p in edge] == [("0.2.0", "maker"), ("0.1.0", "maker")]
    assert {p["refused"] for p in answer["packs"] if p["name"] != "edge"} == {"pack_signer_unknown"}
    assert answer["installed"] == []
    async with bench.http("globex-token") as stranger:
        theirs = (await stranger.get("/runtime/packs")).json()["packs"]
        assert {p["refused"] for p in theirs} == {"pack_signer_unknown"}
        stranger.headers["Opsmesh-Tenant"] = "acme"
        assert (await stranger.get("/runtime/packs")).status_code == 404
        crossed = await stranger.post(PLAN, json=INSTALL)
        stranger.headers["Opsmesh-Tenant"] = "nobody"
        missing = await stranger.post(PLAN, json=INSTALL)
        assert (crossed.status_code, crossed.content) == (missing.status_code, missing.content)


async def test_one_pack_tells_its_parameters_and_what_it_writes(person):
    answer = (await person.get("/runtime/packs/edge")).json()
    assert (answer["version"], answer["versions"]) == ("0.2.0", ["0.2.0", "0.1.0"])
    assert answer["parameters_schema"]["additionalProperties"] is False
    assert (await person.get("/runtime/packs/nothing")).status_code == 404
    refused = await person.get("/runtime/packs/cdn")
    assert (refused.status_code, refused.json()["reason"]) == (403, "pack_signer_unknown")


async def test_a_plan_shows_changes_and_price_and_has_no_effect(person):
    before = (await person.get(STATE)).json()
    plan = (await person.post(PLAN, json=INSTALL)).json()
    assert plan["pack_version"] == "0.2.0"
    assert {c["address"] for c in plan["changes"]} == {"service/shop", "service/cart", "tenant/acme"}
    impact = plan["impact"]
    assert impact["cost_usd_per_hour_after"]["low"] > impact["cost_usd_per_hour_before"]["low"] > 0
    assert (await person.get(STATE)).json() == before


async def test_carbon_is_told_where_the_grid_is_known(person, grid):
    unknown = (await person.post(PLAN, json=INSTALL)).json()["impact"]
    assert (unknown["carbon_g_per_hour_before"], unknown["carbon_g_per_hour_after"]) == (None, None)
    point = GridPoint(region="west", location_g_per_kwh=400.0, relative_sd=0.1, source="a test", dated="2024")
    grid.told.append((AT - timedelta(days=3650), point))
    known = (await person.post(PLAN, json=INSTALL)).json()["impact"]["carbon_g_per_hour_before"]
    on_pool = {edge.source for edge in TOPOLOGY.edges if edge.kind == "runs_on"}
    services = [STATE_OF.services[name] for name in ("shop", "cart") if f"service/{name}" in on_pool]
    cores = sum(held.replicas * held.cpu_millicores / 1000.0 for held in services)
    # 0.78 W idle and half of the way to 3.76 W per core, PUE 1.185
    assert known["low"] == pytest.approx(cores * 2.27 * 1.185 / 1000.0 * 400.0)


async def test_without_a_grant_it_is_proposed_as_that_command(person, bench):
    plan = (await person.post(PLAN, json=INSTALL)).json()
    answer = await person.patch(STATE, json={"patches": plan["patches"]}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 202
    taken = bench.proposals.taken["k1"]
    assert (taken.kind, taken.target.address) == ("pack.install", "pack/edge")
    assert taken.arguments == {"pack": "edge", "version": "0.2.0", "parameters": {"level": 60}}


async def test_installed_upgraded_undone_and_taken_off(person, bench):
    action, first = await carried_out(bench, proposal(version="0.1.0", parameters={"level": 90}))
    assert await action.verify(first)
    state = await bench.target.live(PROD)
    assert (state.services["shop"].cdn.ttl_s, state.services["portal"].cdn) == (90, None)
    [held] = (await person.get("/runtime/packs")).json()["installed"]
    assert (held["pack"], held["version"], held["newest"]) == ("edge", "0.1.0", "0.2.0")

    action, second = await carried_out(bench, proposal("pack.upgrade", parameters={"level": 30}))
    assert (await bench.target.live(PROD)).services["shop"].cdn.ttl_s == 30
    undo = await action.plan_undo(second, at=bench.clock.now())
    back = bench.command(proposal("pack.upgrade"), undo, role="undo", parent=second.id)
    await action.apply(back, grant=bench.issuer.grant(back))
    assert (await bench.target.live(PROD)).services["shop"].cdn.ttl_s == 90

    held = await bench.target.live(PROD)
    action, third = await carried_out(bench, proposal("pack.uninstall"))
    state = await bench.target.live(PROD)
    assert (state.services["shop"].cdn, state.tenants["acme"].packs) == (None, {})
    undo = await action.plan_undo(third, at=bench.clock.now())
    back = bench.command(proposal("pack.uninstall"), undo, role="undo", parent=third.id)
    await action.apply(back, grant=bench.issuer.grant(back))
    assert await bench.target.live(PROD) == held


async def test_a_key_revoked_after_the_installation_is_told_and_the_pack_can_be_taken_off(person, bench):
    await carried_out(bench, proposal(version="0.1.0"))
    market_at(bench.services.parts.home).trust.revoke(TenantId("acme"), "maker", AT)
    await bench.services.reconcile()
    assert (await bench.target.live(PROD)).services["shop"].cdn is not None
    [held] = (await person.get("/runtime/packs")).json()["installed"]
    assert (held["refused"], held["newest"]) == ("pack_key_revoked", "")
    action = bind_actions(bench.client)["pack"]
    with pytest.raises(Refused, match="revoked"):
        await action.plan(proposal("pack.upgrade"), at=bench.clock.now())
    await carried_out(bench, proposal("pack.uninstall"))
    assert (await bench.target.live(PROD)).services["shop"].cdn is None


async def test_a_key_revoked_after_the_plan_lapses_the_command(bench):
    action = bind_actions(bench.client)["pack"]
    await action.plan(proposal(), at=bench.clock.now())
    market_at(bench.services.parts.home).trust.revoke(TenantId("acme"), "maker", AT)
    with pytest.raises(Refused, match="revoked") as found:
        await action.plan(proposal(), at=bench.clock.now())
    assert found.value.reason == "pack_key_revoked"


async def test_a_patch_outside_the_tenants_own_resources_is_not_found(person):
    plan = (await person.post(PLAN, json=INSTALL)).json()
    record = next(p for p in plan["patches"] if p["path"][0] == "tenants")
    forged = dict(record, path=["tenants", "globex", "packs", "edge"])
    foreign = {"op": "set", "path": ["services", "portal", "cdn"], "value": {"ttl_s": 1}}
    for patches in ([forged], [record, foreign]):
        answer = await person.patch(STATE, json={"patches": patches}, params={"dryRun": "true"})
        assert answer.status_code == 404


async def test_a_viewer_plans_nothing(bench):
    async with bench.http("viewer-token") as http:
        assert (await http.post(PLAN, json=INSTALL)).status_code == 403
