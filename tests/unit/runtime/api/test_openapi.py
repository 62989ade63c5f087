"""The published contract: every body and answer of ours is closed, and every route states its errors."""

import pytest

from tests.support.small_runtime import small_bench


@pytest.fixture
async def document(tmp_path):
    bench = await small_bench(tmp_path)
    await bench.client.http.aclose()
    return bench.app.openapi()


def test_every_object_is_closed(document):
    found = document["components"]["schemas"]
    objects = {name: s for name, s in found.items() if s.get("type") == "object"}
    assert len(objects) > 20
    assert [name for name, s in objects.items() if s.get("additionalProperties") is not False] == []


EFFECTLESS = {
    "/runtime/environments/{environment}/packs/plan": "works out a plan and keeps nothing",
    "/runtime/experiments": "keeps a document; running it is chaos.run",
    "/runtime/chaos-consents": "a person's word, which takes effect on nothing",
    "/runtime/chaos-stops": "stops and takes back, which is never held up",
}
"""Writes that have no effect on what runs, or only take one back: they are not proposals."""


def test_every_write_takes_the_same_frame(document):
    writes = [
        operation
        for name, path in document["paths"].items()
        for method, operation in path.items()
        if method in {"post", "patch", "put", "delete"} and name not in EFFECTLESS
    ]
    assert len(writes) >= 5
    for operation in writes:
        names = {p["name"].lower() for p in operation["parameters"]}
        assert {"idempotency-key", "if-match", "opsmesh-grant", "opsmesh-tenant", "dryrun"} <= names
        assert {"200", "202", "403", "404", "409", "412", "422"} <= set(operation["responses"])


def test_every_route_asks_for_a_token(document):
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert all(o["security"] == [{"HTTPBearer": []}] for o in operations)
