"""Generated requests against every endpoint of version 1 and intake over a real mesh.

No answer is a server error, every answer is of a documented status and form, and at least half of the requests that
name real things are answered well.
"""

import asyncio
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from domain.decisions import Budget
from mesh.internal import MESH
from tests.support.intake_bodies import intake_bodies
from tests.support.two_tenants import OWNER, Stand

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8
GOOD_SHARE = 0.5
"""What a generator that knows the names of things must reach."""
DROPPED = {"if-match", "idempotency-key", "authorization"}


class Fuzzed(Stand):
    """The stand, and how a generated request becomes one about real things, made anew where it is used up."""

    def __init__(self, home):
        super().__init__(home)
        for resource in ("commands", "blast_radius"):
            budget = Budget(tenant=OWNER, resource=resource, limit=10_000, window_s=3600)
            self.mesh.governed.budgets.set(budget, MESH.id)
        told = {"id": f"sender@{OWNER}", "source": "/hand", "tenants": [OWNER]}
        self.sender = asyncio.run(self.say("POST", "/v1/sources", OWNER, body=told)).json()["token"]
        self.calls = 0

    def places(self, label, found):
        """Return path parameters that name what there is."""
        name = f"n{self.calls}@{OWNER}"
        if "command" in found:
            held = self.things["shared"] if "shared" in label else asyncio.run(self.proposed("checkout"))
            return found | {"command": held}
        if "plan" in found:
            return found | {"plan": asyncio.run(self.planned())}
        if "principal" in found:
            body = {"id": name, "kind": "person", "name": "N", "grants": [{"role": "viewer", "tenant": OWNER}]}
            return found | {
                "principal": asyncio.run(self.say("POST", "/v1/principals", OWNER, body=body)).json()["holder"]
            }
        if "source" in found:
            body = {"id": name, "source": "/x", "tenants": [OWNER]}
            return found | {"source": asyncio.run(self.say("POST", "/v1/sources", OWNER, body=body)).json()["holder"]}
        if "freeze" in found:
            body = {"tenant": OWNER, "environment": "staging", "duration_s": 60, "reason": "t"}
            return found | {"freeze": asyncio.run(self.say("POST", "/v1/freezes", OWNER, body=body)).json()["id"]}
        if "scope" in found:
            return {"scope": "tenant", "value": OWNER}
        real = {"incident": "incident", "subject": "command", "subscription": "subscription"}
        return {key: self.things[real[key]] if key in real else value for key, value in found.items()}

    def body(self, label, body, places):
        """Return the body with real names in it."""
        if label in (sent := intake_bodies(self.world.now, f"e{self.calls}")):
            return sent[label][1]
        if not isinstance(body, dict):
            return body
        place = {"tenant": OWNER, "environment": "prod"}
        known = {name: value for name, value in place.items() if name in body}
        known |= {"id": f"m{self.calls}@{OWNER}"} if "id" in body else {}
        known |= {"tenants": [OWNER]} if "tenants" in body else {}
        known |= {"source": "/x", "trust": "untrusted"} if "source" in body else {}
        known |= {"grants": [{"role": "viewer", "tenant": OWNER}]} if "grants" in body else {}
        known |= {"digest": self.digests.get(next(iter(places.values()), ""), "")} if "digest" in body else {}
        if label == "POST /v1/commands":
            target = {"kind": "service", "id": "checkout"}
            known |= {"kind": "service.restart", "arguments": {"service": "checkout"}, "target": target}
            known |= {"evidence": [], "incident": None}
        if label == "POST /v1/plans":
            step = {"kind": "service.restart", "arguments": {"service": "checkout"}}
            known |= {"commands": [step | {"target": {"kind": "service", "id": "checkout"}}], "incident": None}
            known |= {"compensate_in": None, "window": None}
        if label == "POST /v1/freezes":
            known |= {"start": None, "end": None, "duration_s": 60}
        known |= {"url": "https://hooks.example.net/a"} if "url" in body else {}
        if label.endswith("/narrow"):
            known |= {"arguments": {"reason": "hung"}}
        if label == "POST /v1/kill-switches":
            known |= {"scope": "tenant", "value": OWNER}
        return body | known

    def prepared(self, label, case):
        """Return the case as a request about real things."""
        self.calls += 1
        for switch in self.mesh.governed.switches.engaged():
            self.mesh.governed.switches.release(switch, MESH.id, "the next request")
        if label.startswith("DELETE /v1/kill-switches"):
            body = {"scope": "tenant", "value": OWNER, "reason": "t"}
            asyncio.run(self.say("POST", "/v1/kill-switches", OWNER, body=body))
        case.path_parameters = self.places(label, dict(case.path_parameters or {}))
        case.query = {key: OWNER if key == "tenant" else value for key, value in dict(case.query or {}).items()}
        case.body = self.body(label, case.body, case.path_parameters)
        forms = intake_bodies(self.world.now, "x")
        token = self.sender if label in forms else self.tokens[OWNER]
        headers = {k: v for k, v in (case.headers or {}).items() if k.lower() not in DROPPED}
        headers |= {"Authorization": f"Bearer {token}"} | (forms[label][0] if label in forms else {})
        case.headers = headers
        return case


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Fuzzed(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def knocks(stand, operation, problems):
    """Send generated requests to one endpoint; return its answers by status, and note every broken promise."""
    told = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None,
              derandomize=True, deadline=None)  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def knock(case):
        asked = stand.prepared(operation.label, case)
        if operation.label in intake_bodies(stand.world.now, "x"):
            response = asked.call(json=asked.body)
        else:
            response = asked.call()
        told[response.status_code] += 1
        try:
            asked.validate_response(response, checks=CHECKS)
        except FailureGroup as broken:
            problems.extend(f"{operation.label}: {one.title}: {response.text[:300]}" for one in broken.exceptions)

    knock()
    return told


def test_every_endpoint_keeps_its_contract(stand):
    schema = schemathesis.openapi.from_asgi("/openapi.json", stand.app)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE], allow_x00=False)
    problems: list[str] = []
    operations = [found.ok() for found in schema.get_all_operations()]
    answers = {operation.label: knocks(stand, operation, problems) for operation in operations}
    total = sum(answers.values(), Counter())
    good = sum(count for status, count in total.items() if 200 <= status < 300)
    for name, told in sorted(answers.items()):
        print(f"{name}: {dict(sorted(told.items()))}")  # noqa: T201  # the figures of the run, with -s
    print(f"{good} of {total.total()} answered well over {len(answers)} endpoints")  # noqa: T201  # as above
    assert sorted(set(problems)) == []
    assert good >= GOOD_SHARE * total.total()
