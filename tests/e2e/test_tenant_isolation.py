"""Every endpoint of both APIs tried with a crossed tenant: a stranger's answer is that for what does not exist.

One simulated mesh, two tenants with every role on their own tenant only, and real things of the owner's. A route that
has no row in the tables below fails.
"""

import asyncio
import re
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from domain.principals import EventSourceKey
from mesh.internal import MESH
from storage.tables.events import events, log_records, metric_points, spans
from tests.support.intake_bodies import intake_bodies
from tests.support.two_tenants import EXPERIMENT_BODY, OWNER, STRANGER, WHERE, Stand

MINE = ("acme", "storefront", "checkout", "basket", "orders-db")
THEIRS = ("borealis", "player-api", "transcode", "media-db")
ENV = "/runtime/environments/{environment}"
POLICY = {"region_weights": {"westeurope": 0.5, "northeurope": 0.5}}
CONSENT = {"faults": [], "services": [], "windows": [], "max_share": 0.0}


@dataclass(frozen=True)
class Crossed:
    """A thing named in the path, the query (`{thing}`), the body or, where `header`, as the acting tenant."""

    route: str
    thing: str
    """Key of what exists; `missing` has the same form and does not."""
    missing: str
    query: str = ""
    body: object = None
    header: bool = False


def tenant_of(route, query="", body=None):
    """The thing is the tenant itself, acted for by the header."""
    return Crossed(route, "tenant", "nobody-inc", query, body, header=True)


NO_ID = "0" * 26
ULIDS, DIGESTS = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}"), re.compile(r"[0-9a-f]{64}")
DIGEST = {"digest": "{digest}"}
NEW = "new@acme-retail"
CROSSED: tuple[Crossed, ...] = (
    Crossed("GET /v1/commands/{command}", "command", NO_ID),
    Crossed("POST /v1/commands/{command}/narrow", "narrowed", NO_ID, body=DIGEST | {"arguments": {"reason": "hung"}}),
    Crossed("POST /v1/commands/{command}/reject", "rejected", NO_ID, body=DIGEST),
    Crossed("POST /v1/commands/{command}/cancel", "cancelled", NO_ID, body=DIGEST),
    Crossed("POST /v1/commands/{command}/approve", "command", NO_ID, body=DIGEST),
    Crossed(
        "POST /v1/commands", "tenant", "nobody-inc",
        body={
            "kind": "service.restart", "arguments": {"service": "checkout"},
            "target": {"kind": "service", "id": "checkout"}, "tenant": "{thing}", "environment": "prod",
        },
    ),
    Crossed("GET /v1/incidents/{incident}", "incident", NO_ID),
    Crossed("GET /v1/shared-commands/{command}", "shared", NO_ID),
    Crossed("GET /v1/plans/{plan}", "plan", NO_ID),
    Crossed(
        "POST /v1/plans", "tenant", "nobody-inc", body={
            "commands": [
                {
                    "kind": "service.restart", "arguments": {"service": "checkout"},
                    "target": {"kind": "service", "id": "checkout"},
                }
            ],
            "tenant": "{thing}", "environment": "prod",
        },
    ),
    Crossed("POST /v1/plans/{plan}/reject", "plan", NO_ID, body=DIGEST),
    Crossed("POST /v1/plans/{plan}/approve", "approved_plan", NO_ID, body=DIGEST),
    Crossed("GET /v1/traces/{subject}", "command", NO_ID),
    Crossed(
        "POST /v1/kill-switches", "tenant", "nobody-inc", body={"scope": "tenant", "value": "{thing}", "reason": "t"}
    ),
    Crossed("DELETE /v1/kill-switches/tenant/{value}", "tenant", "nobody-inc", query="reason=over"),
    Crossed("GET /v1/freezes", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed("POST /v1/freezes", "tenant", "nobody-inc", body={"tenant": "{thing}", "duration_s": 60, "reason": "t"}),
    Crossed("DELETE /v1/freezes/{freeze}", "freeze", NO_ID, query="tenant=acme-retail"),
    Crossed(
        "POST /v1/principals", "tenant", "nobody-inc",
        body={"id": NEW, "kind": "person", "name": "N", "grants": [{"role": "viewer", "tenant": "{thing}"}]},
    ),
    Crossed(
        "PUT /v1/principals/{principal}/grants", "principal", "nobody@acme-retail",
        body={"grants": [{"role": "viewer", "tenant": "acme-retail"}]},
    ),
    Crossed("POST /v1/principals/{principal}/tokens", "principal", "nobody@acme-retail"),
    Crossed("DELETE /v1/principals/{principal}", "principal", "nobody@acme-retail"),
    Crossed(
        "POST /v1/sources", "tenant", "nobody-inc",
        body={"id": "feed-2@acme-retail", "source": "/x", "tenants": ["{thing}"]},
    ),
    Crossed("DELETE /v1/sources/{source}", "source", "nobody@acme-retail"),
    Crossed("GET /v1/audit/verify", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed("GET /v1/subscriptions", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed(
        "POST /v1/subscriptions", "tenant", "nobody-inc",
        body={"tenant": "{thing}", "url": "https://hooks.example.net/x"},
    ),
    Crossed("GET /v1/subscriptions/{subscription}/dead-letters", "subscription", NO_ID, query="tenant=acme-retail"),
    Crossed(
        "POST /v1/subscriptions/{subscription}/replay", "subscription", NO_ID, query="tenant=acme-retail",
        body={"after": 0},
    ),
    Crossed("DELETE /v1/subscriptions/{subscription}", "subscription", NO_ID, query="tenant=acme-retail"),
    tenant_of("GET /runtime/environments"),
    tenant_of(f"GET {ENV}/bindings"),
    tenant_of(f"GET {ENV}/topology"),
    tenant_of(f"GET {ENV}/services"),
    Crossed(f"GET {ENV}/services/{{service}}/versions", "service", "nothing"),
    tenant_of(f"GET {ENV}/desired-state"),
    Crossed(
        f"PATCH {ENV}/desired-state", "service", "nothing",
        body={"patches": [{"op": "set", "path": ["services", "{thing}", "config", "limit"], "value": "1"}]},
    ),
    tenant_of(f"GET {ENV}/live-state"),
    Crossed(f"GET {ENV}/operations/{{operation}}", "operation", NO_ID),
    tenant_of(f"GET {ENV}/tickets"),
    Crossed(f"GET {ENV}/effects/{{key}}", "effect", NO_ID),
    Crossed(f"GET {ENV}/metrics", "entity", "service/nothing", query="start={a}&end={c}&entity={thing}"),
    tenant_of(f"GET {ENV}/changes", "start={a}&end={c}"),
    tenant_of(f"GET {ENV}/logs", "start={a}&split={b}&end={c}"),
    tenant_of(f"GET {ENV}/spans", "start={a}&split={b}&end={c}"),
    tenant_of("GET /runtime/findings/{environment}"),
    Crossed(
        f"POST {ENV}/operations", "service", "nothing",
        body={"kind": "service.restart", "arguments": {"service": "{thing}"}},
    ),
    tenant_of("GET /runtime/compliance/{environment}"),
    tenant_of("GET /runtime/compliance/{environment}/waivers"),
    tenant_of("GET /runtime/cost/{environment}"),
    tenant_of("GET /runtime/carbon/{environment}"),
    Crossed(
        "POST /runtime/traffic-policies", "service", "nothing",
        body={"environment": "prod", "service": "{thing}", "policy": POLICY},
    ),
    tenant_of("GET /runtime/traffic-policies/{environment}"),
    Crossed(
        "POST /runtime/restore-points", "tenant", "nobody-inc", body={"environment": "prod", "tenant": "{thing}"},
    ),
    tenant_of("GET /runtime/restore-points", WHERE),
    Crossed(
        "POST /runtime/restores", "point", NO_ID,
        body={"environment": "prod", "restore_point": "{thing}", "tenant": "acme-retail"},
    ),
    Crossed("GET /runtime/restore-points/{point}", "point", NO_ID, query=WHERE),
    tenant_of("GET /runtime/certificates/{environment}"),
    tenant_of("POST /runtime/experiments", body=EXPERIMENT_BODY),
    tenant_of("GET /runtime/experiments", WHERE),
    Crossed("GET /runtime/experiments/{name}", "experiment", "nothing", query=WHERE),
    Crossed("GET /runtime/experiments/{name}/journal", "experiment", "nothing", query=WHERE),
    tenant_of("GET /runtime/chaos-consents", WHERE),
    tenant_of("PUT /runtime/chaos-consents", body={"environment": "prod", "consent": CONSENT}),
    tenant_of("POST /runtime/chaos-stops", body={"environment": "prod"}),
    tenant_of("GET /runtime/chaos-stops", WHERE),
    tenant_of("GET /runtime/packs"),
    tenant_of("GET /runtime/packs/{pack}"),
    tenant_of(f"GET {ENV}/packs/rollouts"),
    tenant_of(f"POST {ENV}/packs/plan", body={"kind": "pack.install", "arguments": {"pack": "{pack}"}}),
)  # fmt: skip
OWN = (
    "GET /v1/incidents", "GET /v1/commands", "GET /v1/shared-commands", "GET /v1/plans", "GET /v1/kill-switches",
    "GET /v1/principals",
    "GET /v1/principals/me", "GET /v1/sources", "GET /v1/lessons",
)  # fmt: skip
"""Lists that name no tenant: each caller's own, whatever else there is."""
SAME = ("GET /healthz", "GET /v1/schema", "GET /v1/subscriptions/key", "GET /runtime/finding-owners")
"""Nothing of a tenant's is in them: everybody gets the same bytes."""
INTAKE = (
    "POST /events", "POST /webhooks/alertmanager", "POST /webhooks/azure-monitor", "POST /v1/metrics", "POST /v1/logs",
    "POST /v1/traces",
)  # fmt: skip
"""The tenant is the credential's: what claims another one's is kept out."""
RESTART = {
    "kind": "service.restart", "arguments": {"service": "{thing}"}, "target": {"kind": "service", "id": "{thing}"},
    "tenant": "{caller}", "environment": "prod",
}  # fmt: skip
HERE = "tenant={caller}"
FROM_HOME: tuple[Crossed, ...] = (
    Crossed("POST /v1/commands", "service", "checkouu", body=RESTART),
    Crossed(
        "POST /v1/commands", "incident", "incident-9",
        body=RESTART | {
            "incident": "{thing}", "arguments": {"service": "player-api"},
            "target": {"kind": "service", "id": "player-api"},
        },
    ),
    Crossed("DELETE /v1/freezes/{freeze}", "freeze", NO_ID, query=HERE),
    Crossed("GET /v1/subscriptions/{subscription}/dead-letters", "subscription", NO_ID, query=HERE),
    Crossed("POST /v1/subscriptions/{subscription}/replay", "subscription", NO_ID, query=HERE, body={"after": 0}),
    Crossed("DELETE /v1/subscriptions/{subscription}", "subscription", NO_ID, query=HERE),
    Crossed(
        "POST /v1/kill-switches", "command", NO_ID, body={"scope": "command", "value": "{thing}", "reason": "t"}
    ),
    Crossed("POST /runtime/restores", "point", NO_ID, body={
        "environment": "prod", "restore_point": "{thing}", "tenant": "{caller}",
    }),
    Crossed(f"POST {ENV}/operations", "service", "checkouu", query="dryRun=true", body={
        "kind": "service.restart", "arguments": {"service": "{thing}"},
    }),
    Crossed(f"GET {ENV}/metrics", "entity", "service/checkouu", query="start={a}&end={c}&entity={thing}"),
)  # fmt: skip
"""The stranger acts in its own tenant and names the owner's thing in body or query; the missing name is as long."""
EMPTY = "nothing-inc"


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def seen(answer):
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, answer.content


def test_every_route_has_a_row(stand):
    routes = {
        f"{method.upper()} {path}"
        for app in (stand.app, stand.mesh.runtime.app)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    tried = {case.route.replace("/tenant/{value}", "/{scope}/{value}") for case in CROSSED}
    assert routes == tried | set(OWN) | set(SAME) | set(INTAKE)


@pytest.mark.parametrize("case", CROSSED, ids=lambda case: case.route)
def test_a_strangers_answer_is_that_for_what_is_missing(stand, case):
    thing = stand.things[case.thing]
    strangers, missing = stand.ask(case, thing, STRANGER), stand.ask(case, case.missing, STRANGER)
    assert seen(strangers) == seen(missing)
    owners = stand.ask(case, thing, OWNER)
    assert 200 <= owners.status_code < 300, owners.text


@pytest.mark.parametrize("case", FROM_HOME, ids=lambda case: f"{case.route} of {case.thing}")
def test_the_owners_thing_named_from_ones_own_place_is_missing_too(stand, case):
    thing = str(stand.things[case.thing])
    named, missing = (stand.ask(case, one, STRANGER) for one in (thing, case.missing))
    assert masked(named, thing) == masked(missing, case.missing)
    assert case.thing == "incident" or named.status_code in {200, 404, 422}, named.text


def masked(answer, name):
    """Return status and body without the name that was sent, ids made on the way, and what is counted from now."""
    text = ULIDS.sub("ulid", answer.text.replace(name, "thing"))
    return answer.status_code, DIGESTS.sub("digest", text)


@pytest.mark.parametrize("route", INTAKE)
def test_what_is_sent_in_for_another_tenant_is_kept_out(stand, route):
    told = stand.mesh.principals.add_source(
        EventSourceKey(id=f"src-{route[6:].replace('/', '-')}", source="/hand", tenants=(STRANGER,)), by=MESH.id
    )
    stand.tokens["sender"] = told.token

    def send(tenant):
        form, body = intake_bodies(stand.world.now, f"claim-of-{route[6:]}", tenant)[route]
        return asyncio.run(stand.say("POST", route[5:], "sender", body=body, headers=form))

    before = held_by(stand, OWNER)
    claimed, missing = send(OWNER), send("nobody-inc")
    assert masked(claimed, OWNER) == masked(missing, "nobody-inc")
    assert held_by(stand, OWNER) == before
    mine = held_by(stand, STRANGER)
    assert send(STRANGER).is_success
    assert held_by(stand, STRANGER) != mine


def held_by(stand, tenant):
    """Return how much evidence of each form is kept for a tenant."""
    with stand.mesh.parts.database.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(table).where(table.c.tenant == tenant)).scalar_one()
            for table in (events, metric_points, log_records, spans)
        ]


@pytest.mark.parametrize("route", OWN)
def test_a_tenant_with_nothing_is_shown_nothing(stand, route):
    if EMPTY not in stand.tokens:
        stand.tokens[EMPTY] = stand.person(f"person:{EMPTY}", EMPTY)
    answer = asyncio.run(stand.say("GET", route.removeprefix("GET "), EMPTY))
    shown = answer.json() if isinstance(answer.json(), list) else [answer.json()]
    assert [one.get("id") for one in shown] == ([f"person:{EMPTY}"] if "principals" in route else [])


@pytest.mark.parametrize("route", OWN)
def test_a_list_holds_only_the_callers_own(stand, route):
    method, _, path = route.partition(" ")
    mine, theirs = (asyncio.run(stand.say(method, path, tenant)) for tenant in (OWNER, STRANGER))
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert [name for name in THEIRS if name in mine.text] == []
    assert [name for name in MINE if name in theirs.text] == []


@pytest.mark.parametrize("route", [case.route for case in CROSSED if case.header and case.route.startswith("GET")])
def test_a_part_of_the_runtime_names_no_other_tenant(stand, route):
    case = next(case for case in CROSSED if case.route == route)
    mine, theirs = stand.ask(case, OWNER, OWNER), stand.ask(case, STRANGER, STRANGER)
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert [name for name in THEIRS if name in mine.text] == []
    assert [name for name in MINE if name in theirs.text] == []


@pytest.mark.parametrize("route", SAME)
def test_what_is_nobodys_is_the_same_for_everybody(stand, route):
    method, _, path = route.partition(" ")
    mine, theirs = (asyncio.run(stand.say(method, path, tenant)) for tenant in (OWNER, STRANGER))
    assert (mine.status_code, mine.content) == (200, theirs.content)
