"""Every write of both APIs keeps the same promises, and a new one without a row here fails.

A dry run answers and changes nothing in either store; a key means one request of one caller; an If-Match that does not
hold, or that a thing without a version cannot honour, is 412 and nothing happens; nothing takes effect on the runtime
without a decision on record.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Literal

import pytest
from sqlalchemy import MetaData, func, select

from domain.decisions import Budget
from domain.errors import Unavailable
from governance.kept_answers import KeptAnswers
from mesh.internal import MESH
from runtime import state
from storage.tables.base import metadata
from storage.tables.governance import audit_records
from storage.tables.runtime import effects, runtime_metadata
from tests.support.intake_bodies import intake_bodies
from tests.support.two_tenants import EXPERIMENT, OWNER, PROD, STRANGER, Stand, filled

ENV = "/runtime/environments/{environment}"
POLICY = {"region_weights": {"westeurope": 0.5, "northeurope": 0.5}}
CONSENT = {"faults": [], "services": [], "windows": [], "max_share": 0.0}
DIGEST = {"digest": "{digest}"}
STALE = '"987654"'
Key = Literal["answer", "command", "stop", "nothing", "event", "sample"]
"""What a key means: its answer is told again; its command is (the answer is where that stands now); nothing, since a
stop takes effect whatever the key was used for; nothing, since nothing is kept; nothing, since an event has an id of
its own; nothing, since OTLP gives samples no ids and lets a sender repeat them."""
Door = Literal["proposal", "record", "document", "intake"]
"""Where it leads: a command with a decision; a governance act in the audit, by whoever did it; a document that has no
effect by itself; the log of evidence."""


@dataclass(frozen=True)
class Row:
    """One write route, a request of it that is good, and what it promises."""

    route: str
    thing: str
    """What it is about: a name of the stand's, or made anew by MAKERS."""
    body: object = None
    other: object = None
    """Another good body, for the same key; without one, another address is asked."""
    query: str = ""
    version: str = ""
    """Why there is none, where nothing has a version; empty where the ETag is one."""
    key: Key = "answer"
    door: Door = "record"


GRANTS = {"grants": [{"role": "viewer", "tenant": "{owner}"}]}
NOT_YET = "made by this: there is nothing yet that could be at a version"
STANDING = "a set of standing rows, each added and removed whole"
IDENTITY = "identities carry no version; the audit orders their changes"
MOVED = "a cursor that deliveries move: a version of it would be stale at once"
SENT = "what happened: it has no versions"
RESTART = {"service": "checkout", "reason": "operator"}
STEP = {"kind": "service.restart", "arguments": RESTART, "target": {"kind": "service", "id": "checkout"}}
OTHER_STEP = {
    "kind": "service.restart", "arguments": RESTART | {"service": "basket"},
    "target": {"kind": "service", "id": "basket"},
}  # fmt: skip
ROWS: tuple[Row, ...] = (
    Row(
        "POST /v1/commands", "tenant", version=NOT_YET, key="command", door="proposal",
        body={
            "kind": "service.restart", "arguments": RESTART, "target": {"kind": "service", "id": "checkout"},
            "tenant": "{owner}", "environment": "prod",
        },
        other={
            "kind": "service.restart", "arguments": RESTART | {"service": "basket"},
            "target": {"kind": "service", "id": "basket"}, "tenant": "{owner}", "environment": "prod",
        },
    ),
    Row("POST /v1/commands/{command}/approve", "new_command", body=DIGEST, other=DIGEST | {"note": "other"}),
    Row("POST /v1/commands/{command}/reject", "new_command", body=DIGEST, other=DIGEST | {"note": "other"}),
    Row(
        "POST /v1/commands/{command}/narrow", "new_command", body=DIGEST | {"arguments": {"reason": "hung"}},
        other=DIGEST | {"arguments": {"reason": "operator"}},
    ),
    Row("POST /v1/commands/{command}/cancel", "new_command", body=DIGEST, other=DIGEST | {"note": "other"}),
    Row(
        "POST /v1/plans", "tenant", version=NOT_YET, key="command", door="proposal",
        body={"commands": [STEP], "tenant": "{owner}", "environment": "prod"},
        other={"commands": [OTHER_STEP], "tenant": "{owner}", "environment": "prod"},
    ),
    Row("POST /v1/plans/{plan}/approve", "new_plan", body=DIGEST, other=DIGEST | {"note": "other"}),
    Row("POST /v1/plans/{plan}/reject", "new_plan", body=DIGEST, other=DIGEST | {"note": "other"}),
    Row(
        "POST /v1/kill-switches", "tenant", version=STANDING, key="stop",
        body={"scope": "tenant", "value": "{owner}", "reason": "t"},
        other={"scope": "tenant", "value": "{owner}", "reason": "u"},
    ),
    Row("DELETE /v1/kill-switches/{scope}/{value}", "new_switch", query="reason=over", version=STANDING),
    Row(
        "POST /v1/freezes", "tenant", version=STANDING, key="stop",
        body={"tenant": "{owner}", "environment": "staging", "duration_s": 60, "reason": "t"},
        other={"tenant": "{owner}", "environment": "staging", "duration_s": 90, "reason": "t"},
    ),
    Row("DELETE /v1/freezes/{freeze}", "new_freeze", query="tenant={owner}", version=STANDING),
    Row(
        "POST /v1/principals", "new_name", version=IDENTITY,
        body={"id": "{thing}", "kind": "person", "name": "N"} | GRANTS,
        other={"id": "{another}", "kind": "person", "name": "N"} | GRANTS,
    ),
    Row("PUT /v1/principals/{principal}/grants", "new_person", body=GRANTS, other={"grants": []}, version=IDENTITY),
    Row("POST /v1/principals/{principal}/tokens", "new_person", version=IDENTITY),
    Row("DELETE /v1/principals/{principal}", "new_person", version=IDENTITY),
    Row(
        "POST /v1/sources", "new_name", version=IDENTITY,
        body={"id": "{thing}", "source": "/x", "tenants": ["{owner}"]},
        other={"id": "{another}", "source": "/x", "tenants": ["{owner}"]},
    ),
    Row("DELETE /v1/sources/{source}", "new_source", version=IDENTITY),
    Row(
        "POST /v1/subscriptions", "tenant", version=NOT_YET,
        body={"tenant": "{owner}", "url": "https://hooks.example.net/x"},
        other={"tenant": "{owner}", "url": "https://hooks.example.net/y"},
    ),
    Row(
        "POST /v1/subscriptions/{subscription}/replay", "new_subscription", query="tenant={owner}", body={"after": 0},
        other={"after": 1}, version=MOVED,
    ),
    Row("DELETE /v1/subscriptions/{subscription}", "new_subscription", query="tenant={owner}", version=MOVED),
    *(
        Row(route, "new_source", version=SENT, key="event", door="intake")
        for route in ("POST /events", "POST /webhooks/alertmanager", "POST /webhooks/azure-monitor")
    ),
    *(
        Row(route, "new_source", version=SENT, key="sample", door="intake")
        for route in ("POST /v1/metrics", "POST /v1/logs", "POST /v1/traces")
    ),
    Row(
        f"PATCH {ENV}/desired-state", "tenant", door="proposal",
        body={"patches": [{"op": "set", "path": ["services", "checkout", "config", "limit"], "value": "1"}]},
        other={"patches": [{"op": "set", "path": ["services", "checkout", "config", "limit"], "value": "2"}]},
    ),
    Row(
        f"POST {ENV}/operations", "tenant", door="proposal",
        body={"kind": "service.restart", "arguments": {"service": "checkout"}},
        other={"kind": "service.restart", "arguments": {"service": "basket"}},
    ),
    Row(
        "POST /runtime/traffic-policies", "tenant", door="proposal",
        body={"environment": "prod", "service": "checkout", "policy": POLICY},
        other={"environment": "prod", "service": "basket", "policy": POLICY},
    ),
    Row(
        "POST /runtime/restore-points", "tenant", door="proposal", body={"environment": "prod", "tenant": "{owner}"},
        other={"environment": "prod", "tenant": "{owner}", "data_stores": ["orders-db"]},
    ),
    Row(
        "POST /runtime/restores", "point", door="proposal",
        body={"environment": "prod", "restore_point": "{thing}", "tenant": "{owner}"},
        other={"environment": "prod", "restore_point": "{thing}", "tenant": "{owner}", "drill": False},
    ),
    Row(
        "POST /runtime/experiments", "tenant", door="document",
        body={"environment": "prod", "id": "fresh", "experiment": EXPERIMENT},
        other={"environment": "prod", "id": "fresher", "experiment": EXPERIMENT},
    ),
    Row(
        "PUT /runtime/chaos-consents", "tenant", door="document",
        body={"environment": "prod", "consent": CONSENT},
        other={"environment": "prod", "consent": CONSENT | {"max_share": 0.1}},
    ),
    Row(
        "POST /runtime/chaos-stops", "tenant", key="stop", door="document", body={"environment": "prod", "reason": "t"},
        other={"environment": "prod", "reason": "u"},
    ),
    Row(
        f"POST {ENV}/packs/plan", "tenant", key="nothing", door="document",
        body={"kind": "pack.install", "arguments": {"pack": "{pack}"}},
        other={"kind": "pack.install", "arguments": {"pack": "{pack}", "version": "1.0.0"}},
    ),
)  # fmt: skip


ADDED = {
    "new_switch": ("/v1/kill-switches", {"scope": "tenant", "value": "{owner}", "reason": "t"}, None),
    "new_freeze": (
        "/v1/freezes", {"tenant": "{owner}", "environment": "staging", "duration_s": 60, "reason": "t"}, "id"
    ),
    "new_person": ("/v1/principals", {"id": "{name}", "kind": "person", "name": "N"} | GRANTS, "holder"),
    "new_source": ("/v1/sources", {"id": "{name}", "source": "/hand", "tenants": ["{owner}"]}, "holder"),
    "new_subscription": ("/v1/subscriptions", {"tenant": "{owner}", "url": "https://hooks.example.net/a"}, "id"),
}  # fmt: skip
"""How a thing that a row uses up is added: where, with which body, and the field of the answer that names it."""


class Writes(Stand):
    """The stand, with budgets that hold every row's proposal, and things that are used up made anew."""

    def __init__(self, home):
        super().__init__(home)
        for resource in ("commands", "blast_radius"):
            budget = Budget(tenant=OWNER, resource=resource, limit=10_000, window_s=3600)
            self.mesh.governed.budgets.set(budget, MESH.id)
        self.made = 0

    async def make(self, thing):
        """Return the name of a thing, made now where it is used up by its row."""
        self.made += 1
        for switch in self.mesh.governed.switches.engaged():
            self.mesh.governed.switches.release(switch, MESH.id, "the next row")
        if thing in ADDED:
            path, body, told = ADDED[thing]
            names = {"owner": OWNER, "name": f"n{self.made}@{OWNER}"}
            answer = (await self.say("POST", path, OWNER, body=filled(body, names))).json()
            if "token" in answer:
                self.tokens[answer["holder"]] = answer["token"]
            return OWNER if told is None else answer[told]
        match thing:
            case "new_name":
                return f"n{self.made}@{OWNER}"
            case "new_command":
                return await self.proposed("checkout")
            case "new_plan":
                return await self.planned()
            case _:
                return self.things[thing]

    def ask(self, row, thing, who=OWNER, *, dry=False, other=False, **headers):
        """Send the row's request, or the other one, and return the answer."""
        method, _, path = row.route.partition(" ")
        names = {"thing": thing, "another": f"2{thing}", "digest": self.digests.get(thing, ""), "owner": OWNER}
        names |= {"pack": self.things["pack"]}
        places = {"environment": "prod", "scope": "tenant"}
        for part in path.split("/"):
            if part.startswith("{"):
                path = path.replace(part, places.get(part[1:-1], thing))
        query = [row.query.format(**names)] if row.query else []
        query += ["dryRun=true"] * dry + ["other=1"] * (other and row.other is None)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = row.other if other and row.other is not None else row.body
        if row.door == "intake":
            form, body = intake_bodies(self.world.now, thing)[row.route]
            who, sent = thing, sent | form
        asked = f"{path}?{'&'.join(query)}" if query else path
        return asyncio.run(self.say(method, asked, who, body=filled(body, names), headers=sent))

    def kept(self):
        """Return a digest per table of everything that both stores hold, and of the world."""
        parts = self.mesh.parts
        stores = (("mesh", metadata, parts.database), ("runtime", runtime_metadata, parts.runtime_database))
        found = {"world": self.world.environment_state().model_dump_json()}
        for name, tables, database in stores:
            found |= {f"{name}.{table}": digest for table, digest in digests(tables, database).items()}
        return found

    def effects(self):
        """Return what took effect on the runtime: its ledger, its desired state, the world."""
        with self.mesh.parts.runtime_database.read() as connection:
            count = connection.execute(select(func.count()).select_from(effects)).scalar_one()
            desired = state.current(connection, PROD)
        return count, desired, self.world.environment_state()

    def audited(self, actor):
        with self.mesh.parts.database.read() as connection:
            by = select(func.count()).select_from(audit_records).where(audit_records.c.actor == actor)
            return connection.execute(by).scalar_one()


def digests(tables: MetaData, database):
    with database.read() as connection:
        return {
            table.name: hashlib.sha256(
                "\n".join(sorted(repr(tuple(row)) for row in connection.execute(select(table)))).encode()
            ).hexdigest()
            for table in tables.sorted_tables
        }


def changed(before, after):
    return sorted(name for name in after if before[name] != after[name])


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Writes(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def test_every_write_has_a_row(stand):
    routes = {
        f"{method.upper()} {path}"
        for app in (stand.app, stand.mesh.runtime.app)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if method in {"post", "put", "patch", "delete"}
    }
    assert routes == {row.route for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_a_dry_run_answers_and_changes_nothing(stand, row):
    thing = asyncio.run(stand.make(row.thing))
    before = stand.kept()
    answer = stand.ask(row, thing, dry=True, Idempotency_Key="dry")
    assert 200 <= answer.status_code < 300, answer.text
    assert "ops_" not in answer.text, "a token that counts for nothing"
    assert changed(before, stand.kept()) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_an_if_match_that_does_not_hold_stops_it(stand, row):
    thing = asyncio.run(stand.make(row.thing))
    before = stand.kept()
    stale = stand.ask(row, thing, If_Match=STALE)
    assert (stale.status_code, stale.headers["content-type"]) == (412, "application/problem+json"), stale.text
    assert stale.json()["reason"] == ("no_version" if row.version else "version_mismatch")
    assert changed(before, stand.kept()) == []
    if not row.version:
        assert stand.ask(row, thing, dry=True, If_Match=current(stand, row, thing)).status_code < 300


def current(stand, row, thing):
    if row.route.startswith("POST /v1/"):
        path = row.route.removeprefix("POST ").rpartition("/")[0].replace("{command}", thing).replace("{plan}", thing)
        return asyncio.run(stand.say("GET", path, OWNER)).headers["etag"]
    return stand.ask(row, thing, dry=True).headers["etag"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.key in {"answer", "command"}], ids=lambda row: row.route)
def test_a_key_is_one_request_of_one_caller(stand, row):
    thing, key = asyncio.run(stand.make(row.thing)), f"key-{stand.made}"
    before = stand.kept()
    first = stand.ask(row, thing, Idempotency_Key=key)
    assert 200 <= first.status_code < 300, first.text
    done = stand.kept()
    assert changed(before, done) != []
    again = stand.ask(row, thing, Idempotency_Key=key)
    assert (again.status_code, again.headers.get("location")) == (first.status_code, first.headers.get("location"))
    assert again.content == first.content
    assert changed(done, stand.kept()) == []
    another = stand.ask(row, thing, other=True, Idempotency_Key=key)
    assert (another.status_code, another.json()["reason"]) in {(409, "key_reused"), (409, "key_taken")}, another.text
    assert changed(done, stand.kept()) == []
    theirs = stand.ask(row, thing, "carl", other=True, Idempotency_Key=key)
    assert theirs.content != first.content
    assert "key_" not in theirs.text
    barred, plain = stand.ask(row, thing, STRANGER, Idempotency_Key=key), stand.ask(row, thing, STRANGER)
    assert (barred.status_code, barred.content) == (plain.status_code, plain.content)
    assert row.door == "document" or barred.status_code in {403, 404}  # a document is kept in the caller's own place


@pytest.mark.parametrize("row", [row for row in ROWS if row.key == "stop"], ids=lambda row: row.route)
def test_a_stop_is_held_up_by_no_key(stand, row, monkeypatch):
    thing, key = asyncio.run(stand.make(row.thing)), f"key-{stand.made}"
    first, again = (stand.ask(row, thing, Idempotency_Key=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (again.status_code, first.status_code)
    assert first.status_code in {200, 201}
    assert again.json().get("id") == first.json().get("id")

    def gone(*_):
        raise Unavailable("the store of keys is gone")

    for name in ("claim", "keep", "release"):
        monkeypatch.setattr(KeptAnswers, name, gone)
    before = stand.kept()
    assert stand.ask(row, thing, other=True, Idempotency_Key=key).status_code == first.status_code
    assert changed(before, stand.kept()) != []


@pytest.mark.parametrize("row", [row for row in ROWS if row.key == "event"], ids=lambda row: row.route)
def test_what_is_sent_in_twice_is_there_once(stand, row):
    thing = asyncio.run(stand.make(row.thing))
    before = stand.kept()
    first = stand.ask(row, thing)
    assert 200 <= first.status_code < 300, first.text
    done = stand.kept()
    assert changed(before, done) != []
    assert stand.ask(row, thing).status_code == first.status_code
    assert changed(done, stand.kept()) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_nothing_takes_effect_without_a_decision(stand, row):
    thing = asyncio.run(stand.make(row.thing))
    before, audited = stand.effects(), stand.audited(f"person:{OWNER}")
    answer = stand.ask(row, thing, other=row.other is not None)
    assert 200 <= answer.status_code < 300, answer.text
    assert stand.effects() == before
    if row.door == "proposal":
        path, _, command = answer.headers["location"].rpartition("/")
        if path == "/v1/plans":
            command = stand.mesh.governed.plans.get(OWNER, command).plan.commands[0]
        assert stand.mesh.governed.commands.decision(OWNER, command) is not None
    if row.door == "record":
        assert stand.audited(f"person:{OWNER}") > audited


GRANTED = [row for row in ROWS if row.door == "proposal" and not row.route.startswith("POST /v1/")]


@pytest.mark.parametrize("row", GRANTED, ids=lambda row: row.route)
def test_a_forged_grant_opens_nothing(stand, row):
    thing = asyncio.run(stand.make(row.thing))
    before = stand.kept()
    answer = stand.ask(row, thing, Opsmesh_Grant="forged", Idempotency_Key="forged")
    assert answer.status_code == 403, answer.text
    assert changed(before, stand.kept()) == []
