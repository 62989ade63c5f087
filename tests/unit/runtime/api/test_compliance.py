"""The compliance endpoint: a tenant's own resources and no others, both states, and a stable OSCAL document."""

import pytest

from domain.compliance import CompliancePosture
from runtime.services.compliance.oscal import AssessmentResultsDocument
from tests.support.runtime_bench import EXECUTOR, SHIPPED_CONTROLS
from tests.support.small_runtime import STATE, small_bench

PATH = "/runtime/compliance/prod"


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
async def acme(bench):
    async with bench.http("person-token") as http:
        yield http


async def posture(http):
    response = await http.get(PATH)
    assert response.status_code == 200, response.text
    return CompliancePosture.model_validate_json(response.content)


def findings(posture, scope):
    state = next(s for s in posture.states if s.scope == scope)
    return {(f.control, f.resource): f.status for c in state.controls for f in c.findings}


async def test_a_tenant_sees_the_verdicts_on_its_own_resources_only(bench, acme):
    found = await posture(acme)
    assert (found.tenant, found.policy) == ("acme", SHIPPED_CONTROLS.policy)
    assert {r for _, r in findings(found, "live")} == {"service/shop", "service/cart", "tenant/acme"}
    assert [t.tenant for s in found.states for t in s.tenants] == ["acme", "acme"]
    assert "globex" not in found.model_dump_json()
    async with bench.http(EXECUTOR) as platform:
        whole = await posture(platform)
    assert [t.tenant for t in whole.states[0].tenants] == ["acme", "globex", "platform"]
    own = findings(found, "desired")
    assert own.items() <= findings(whole, "desired").items()
    assert own["residency-compute", "service/shop"] == "not_satisfied"


async def test_what_drifted_is_red_in_live_state_alone(bench, acme):
    exposed = STATE.services["shop"].model_copy(update={"ingress_from": ("0.0.0.0/0",)})
    bench.target.state = STATE.model_copy(update={"services": STATE.services | {"shop": exposed}})
    found = await posture(acme)
    assert findings(found, "desired")["exposure", "service/shop"] == "satisfied"
    assert findings(found, "live")["exposure", "service/shop"] == "not_satisfied"
    assert findings(found, "live")["exposure", "service/cart"] == "satisfied"


@pytest.mark.parametrize("form", ["", "?format=oscal"])
async def test_a_strangers_answer_is_the_one_for_a_missing_environment(acme, form):
    assert (await acme.get(PATH + form)).status_code == 200
    missing = await acme.get("/runtime/compliance/nowhere" + form)
    acme.headers["Opsmesh-Tenant"] = "globex"
    crossed = await acme.get(PATH + form)
    assert missing.status_code == crossed.status_code == 404
    assert missing.content == crossed.content
    assert {k: v for k, v in missing.headers.items() if k != "date"} == {
        k: v for k, v in crossed.headers.items() if k != "date"
    }


async def test_oscal_says_the_same_with_ids_that_hold(acme):
    first, again = [await acme.get(PATH, params={"format": "oscal"}) for _ in range(2)]
    assert first.content == again.content
    assert "null" not in first.text
    document = AssessmentResultsDocument.model_validate_json(first.content).assessment_results
    assert SHIPPED_CONTROLS.policy in document.import_ap.href
    desired, live = document.results
    assert [f.target.target_id for f in live.findings] == [c.id for c in SHIPPED_CONTROLS.controls]
    state = {f.target.target_id: f.target.status.state for f in live.findings}
    found = await posture(acme)
    assert state == {
        c.control: c.status.replace("_", "-").replace("unknown", "not-satisfied") for c in found.states[1].controls
    }
    for result in (desired, live):
        items = {item.uuid for item in result.local_definitions.inventory_items}
        observed = {o.uuid for o in result.observations}
        assert {s.subject_uuid for o in result.observations for s in o.subjects} == items
        assert {r.observation_uuid for f in result.findings for r in f.related_observations or ()} == observed
    ids = [
        n.uuid for r in (desired, live) for n in (r, *r.findings, *r.observations, *r.local_definitions.inventory_items)
    ]
    assert len(ids) == len(set(ids))


async def test_an_unknown_format_is_refused(acme):
    assert (await acme.get(PATH, params={"format": "pdf"})).status_code == 422
