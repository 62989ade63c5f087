"""Waivers over HTTP: the owner's own, for a control that judges the resource, for a limited time; red again after."""

from datetime import timedelta

import pytest

from domain.commands import Proposal
from domain.compliance import CompliancePosture, Waiver
from domain.outcomes import ActionPlan
from domain.topology import EntityRef
from tests.support.runtime_bench import EXECUTOR, SHIPPED_CONTROLS
from tests.support.small_runtime import STATE, small_bench

PATH = "/runtime/environments/prod/operations"
POSTURE = "/runtime/compliance/prod"


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    await bench.services.convergence.reconcile()  # what follows is drift: nothing is left to hand over
    exposed = STATE.services["shop"].model_copy(update={"ingress_from": ("0.0.0.0/0",)})
    bench.target.state = STATE.model_copy(update={"services": STATE.services | {"shop": exposed}})
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
async def acme(bench):
    async with bench.http("person-token") as http:
        yield http


def asked(bench, days=1.0, **changed):
    until = (bench.clock.now() + timedelta(days=days)).isoformat()
    wanted = {
        "control": "exposure", "resource": "service/shop", "until": until, "accountable": "ann", "reason": "a launch",
    }  # fmt: skip
    return {"kind": "compliance.waive", "arguments": wanted | changed}


async def granted(bench, body):
    """Send the write as the executor does, with a grant for exactly this preview."""
    async with bench.http(EXECUTOR) as http:
        http.headers["Opsmesh-Tenant"] = "acme"
        preview = (await http.post(PATH, json=body, params={"dryRun": "true"})).json()
        proposal = Proposal(
            kind="compliance.waive", arguments=body["arguments"],
            target=EntityRef.parse(body["arguments"]["resource"]), tenant="acme", environment="prod", proposer="ana",
            rationale="because",
        )  # fmt: skip
        plan = ActionPlan(preview=preview["changes"], affected={"tenants": (), "environments": (), "resources": ()})
        command = bench.command(proposal, plan)
        headers = {"Idempotency-Key": command.idempotency_key, "Opsmesh-Grant": bench.issuer.grant(command)}
        answer = await http.post(PATH, json=body, headers=headers)
    await bench.services.convergence.reconcile()
    return answer


async def red(http):
    posture = CompliancePosture.model_validate_json((await http.get(POSTURE)).content)
    return {(f.control, f.resource): f for c in posture.states[1].controls for f in c.findings if not f.passed}


async def test_a_waiver_is_proposed_granted_shown_and_ends_by_itself(bench, acme):
    assert (await acme.post(PATH, json=asked(bench))).status_code == 202
    assert ("exposure", "service/shop") in await red(acme)
    assert (await granted(bench, asked(bench))).status_code == 200
    assert ("exposure", "service/shop") not in await red(acme)
    (waiver,) = [Waiver.model_validate(w) for w in (await acme.get(POSTURE + "/waivers")).json()]
    assert (waiver.tenant, waiver.by, waiver.resource) == ("acme", "ann", "service/shop")
    oscal = (await acme.get(POSTURE, params={"format": "oscal"})).text
    assert "waived-until" in oscal
    assert waiver.expires_at.isoformat() in oscal
    assert SHIPPED_CONTROLS.policy in oscal
    bench.clock.advance(timedelta(days=1))
    assert ("exposure", "service/shop") in await red(acme)


async def test_a_later_waiver_takes_the_place_of_an_earlier_one(bench, acme):
    await granted(bench, asked(bench))
    await granted(bench, asked(bench, days=5))
    (waiver,) = (await acme.get(POSTURE + "/waivers")).json()
    assert waiver["expires_at"].startswith((bench.clock.now() + timedelta(days=5)).isoformat()[:19])


@pytest.mark.parametrize(
    ("days", "changed", "status"),
    [
        (SHIPPED_CONTROLS.max_waiver_days, {}, 202),
        (SHIPPED_CONTROLS.max_waiver_days + 0.01, {}, 422),
        (0, {}, 422),
        (1, {"control": "no-such-control"}, 422),
        (1, {"control": "encryption-at-rest"}, 422),
        (1, {"reason": ""}, 422),
        (1, {"resource": "node_pool/pool"}, 422),
        (1, {"resource": "service/nothing"}, 404),
        (1, {"resource": "service/portal"}, 404),
        (1, {"resource": "service/auth"}, 404),
    ],
)
async def test_only_the_owner_waives_what_a_control_judges_for_as_long_as_policy_lets(
    bench, acme, days, changed, status
):
    answer = await acme.post(PATH, json=asked(bench, days, **changed))
    assert answer.status_code == status, answer.text


async def test_others_see_neither_waiver_nor_resource(bench, acme):
    await granted(bench, asked(bench))
    async with bench.http("globex-token") as globex:
        assert (await globex.get(POSTURE + "/waivers")).json() == []
        crossed = await globex.post(PATH, json=asked(bench))
        missing = await globex.post(PATH, json=asked(bench, resource="service/nothing"))
    assert crossed.status_code == missing.status_code == 404
    assert crossed.content == missing.content
