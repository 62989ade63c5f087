"""Generated requests against every endpoint of the runtime over a living world.

No answer is a server error, every answer is of a documented status and form, and most requests that name real things
are answered well: half of them at least, or the generator only ever knocks at locked doors.
"""

import asyncio
from collections import Counter
from datetime import timedelta

import httpx
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

from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12
GOOD_SHARE = 0.5
"""What a generator that knows the names of things must reach."""


class Stand:
    """A server over a demo world that has lived for a while, and the names of what is in it."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30))
        self.simulated = asyncio.run(open_simulated(home, demo_world(), 7, choices))
        mesh, world = self.simulated.mesh, self.simulated.world
        asyncio.run(self.simulated.simulation.run(world.now + timedelta(minutes=2)))
        self.token = mesh.principals.bootstrap().token
        self.app = mesh.runtime.app
        live = world.environment_state()
        tenants = [binding.tenant for binding in world.spec.tenants if binding.tenant != "platform"]
        regions = sorted(world.layout.regions)
        self.names = {
            "environment": ["prod"], "tenant": tenants, "service": sorted(live.services),
            "services": sorted(live.services), "also": sorted(live.services), "data_store": sorted(live.data_stores),
            "data_stores": sorted(live.data_stores), "node_pool": sorted(live.node_pools),
            "from_region": regions, "to_region": regions[::-1], "primary_region": regions, "region": regions,
        }  # fmt: skip
        now, minute = world.now, timedelta(minutes=1)
        self.instants = {"start": now - 20 * minute, "split": now - 10 * minute, "end": now}
        self.calls = 0
        asyncio.run(self._learn_names())

    async def _learn_names(self):
        """Ask the runtime itself for the names of what its services keep."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://runtime", headers=bearer) as http:
            points = (await http.get("/runtime/restore-points?environment=prod")).json()
            packs = (await http.get("/runtime/packs?environment=prod")).json()["packs"]
            served = (await http.get("/runtime/certificates/prod")).json()["certificates"]
            topology = (await http.get("/runtime/environments/prod/topology")).json()
        self.names |= {
            "point": [p["id"] for p in points], "restore_point": [p["id"] for p in points],
            "pack": [p["name"] for p in packs], "certificate": [c["certificate"] for c in served],
            "secret": [s["id"] for s in topology["secrets"]],
        }  # fmt: skip

    def name(self, key, value):
        """Return a real name for a field that names something, the value itself otherwise."""
        pool = self.names.get(key)
        if not pool:
            return value
        if isinstance(value, list):
            return [pool[len(str(one)) % len(pool)] for one in value][:2]
        return pool[len(value) % len(pool)] if isinstance(value, str) else value

    def real(self, node):
        """Return a body with real names in it."""
        if isinstance(node, dict):
            node = {key: self.instants[key].isoformat() if key in self.instants else v for key, v in node.items()}
            if isinstance(weights := node.get("region_weights"), dict):
                node["region_weights"] = dict(zip(self.names["region"], weights.values(), strict=False))
            return {key: self.real(self.name(key, value)) for key, value in node.items()}
        return [self.real(one) for one in node] if isinstance(node, list) else node


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.simulated.mesh.close())


def patch_of(stand, number):
    """Return one real write of the desired state."""
    service = stand.names["service"][number % len(stand.names["service"])]
    return {"op": "set", "path": ["services", service, "config", "limit"], "value": str(number)}


def prepared(stand, case):
    """Make a generated request one about real things, under a key of its own and without a forged grant."""
    stand.calls += 1
    case.path_parameters = {key: stand.name(key, value) for key, value in (case.path_parameters or {}).items()}
    case.query = stand.real(dict(case.query or {}))
    if isinstance(case.body, dict):
        case.body = stand.real(case.body)
        if "patches" in case.body:
            case.body["patches"] = [patch_of(stand, stand.calls)]
    headers = {k: v for k, v in (case.headers or {}).items() if k.lower() not in DROPPED}
    headers |= {"Authorization": f"Bearer {stand.token}", "Idempotency-Key": f"key-{stand.calls}"}
    case.headers = headers
    return case


DROPPED = {"opsmesh-grant", "opsmesh-tenant", "if-match", "idempotency-key", "authorization"}


def knocks(stand, operation, problems):
    """Send generated requests to one endpoint; return its answers by status, and note every broken promise."""
    told = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def knock(case):
        response = prepared(stand, case).call()
        told[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
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
