"""What we publish breaks nobody: events and APIs are held to the contracts that went out, and the judge sees breaks."""

import json
from copy import deepcopy

import pytest

from evals.compatibility import Book, broken_api, broken_events, broken_for_writer
from tests.contract.compatible import GOLDEN, broken, published


@pytest.fixture(scope="module")
def now():
    return published()


@pytest.mark.parametrize("name", ["events", "api", "runtime"])
def test_nobody_built_against_what_went_out_trips(now, name):
    old = json.loads((GOLDEN / f"{name}.json").read_text())
    assert broken(name, old, now[name]) == []


@pytest.mark.parametrize("name", ["events", "api", "runtime"])
def test_what_went_out_is_what_is_published(now, name):
    """An added field is part of the contract at once: write it down with `make contracts`."""
    assert json.loads((GOLDEN / f"{name}.json").read_text()) == json.loads(json.dumps(now[name]))


EVENT = {
    "type": "object", "required": ["service", "rate"], "additionalProperties": False,
    "properties": {
        "service": {"type": "string", "maxLength": 100}, "rate": {"type": "number"},
        "signal": {"enum": ["latency", "errors"]}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "inner": {"$ref": "#/$defs/Inner"},
    },
    "$defs": {"Inner": {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}},
}  # fmt: skip


def changed(change, event=EVENT):
    new = deepcopy(event)
    change(new)
    return new


BREAKS = {
    "a field is gone": lambda e: e["properties"].pop("service"),
    "a field may be missing": lambda e: e["required"].remove("rate"),
    "a field has another type": lambda e: e["properties"].update(rate={"type": "string"}),
    "a field may be null": lambda e: e["properties"].update(rate={"anyOf": [{"type": "number"}, {"type": "null"}]}),
    "an unknown value": lambda e: e["properties"]["signal"]["enum"].append("saturation"),
    "an inner field is gone": lambda e: e["$defs"]["Inner"]["properties"].pop("a"),
    "an inner item is wider": lambda e: e["$defs"]["Inner"]["properties"]["a"].update(items={"type": "string"}),
}
ADDITIONS = {
    "a new field": lambda e: e["properties"].update(more={"type": "string"}),
    "a new promise": lambda e: e["required"].append("signal"),
    "a value less": lambda e: e["properties"]["signal"]["enum"].remove("errors"),
    "never null": lambda e: e["properties"].update(note={"type": "string"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_an_older_reader_trips_over_is_found(name):
    old, new = {"event:opsmesh.x.v1": EVENT}, {"event:opsmesh.x.v1": changed(BREAKS[name])}
    assert broken_events(old, new)
    assert broken_events(old, old | {"event:opsmesh.x.v2": changed(BREAKS[name])}) == []


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_breaks_no_reader(name):
    assert broken_events({"event:opsmesh.x.v1": EVENT}, {"event:opsmesh.x.v1": changed(ADDITIONS[name])}) == []


def test_a_type_that_is_no_longer_published_is_found():
    assert broken_events({"event:opsmesh.x.v1": EVENT}, {}) == ["event:opsmesh.x.v1: is no longer published"]


REFUSALS = {
    "required now": lambda e: e["required"].append("signal"),
    "a field is no longer taken": lambda e: e["properties"].pop("note"),
    "a value is no longer taken": lambda e: e["properties"]["signal"]["enum"].remove("errors"),
    "shorter": lambda e: e["properties"]["service"].update(maxLength=50),
    "bounded": lambda e: e["properties"]["rate"].update(maximum=1),
    "a pattern": lambda e: e["properties"]["service"].update(pattern="^a"),
    "null is no longer taken": lambda e: e["properties"].update(note={"type": "string"}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_change_that_refuses_older_documents_is_found(name):
    new = changed(REFUSALS[name])
    assert list(broken_for_writer(EVENT, new, (Book(EVENT), Book(new))))
    assert broken_events({"event:runtime.x.v1": EVENT}, {"event:runtime.x.v1": new})


API = {
    "paths": {
        "/x": {
            "post": {
                "parameters": [{"in": "query", "name": "dry", "schema": {"type": "boolean"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": EVENT["properties"]["signal"]}}}},
            }
        }
    },
    "components": {"schemas": {"Body": EVENT, "Inner": EVENT["$defs"]["Inner"]}},
    "$defs": EVENT["$defs"],
}
API_BREAKS = {
    "a path is gone": lambda a: a["paths"].pop("/x"),
    "a method is gone": lambda a: a["paths"]["/x"].pop("post"),
    "a new required parameter": lambda a: a["paths"]["/x"]["post"]["parameters"].append(
        {"in": "query", "name": "more", "required": True, "schema": {"type": "string"}}
    ),
    "a parameter has another type": lambda a: a["paths"]["/x"]["post"]["parameters"][0].update(
        schema={"type": "integer"}
    ),
    "a body asks for more": lambda a: a["components"]["schemas"]["Body"]["required"].append("note"),
    "an answer says more": lambda a: a["paths"]["/x"]["post"]["responses"]["200"]["content"]["application/json"].update(
        schema={"enum": ["latency", "errors", "new"]}
    ),
    "an answer is gone": lambda a: a["paths"]["/x"]["post"]["responses"].pop("200"),
}


@pytest.mark.parametrize("name", API_BREAKS)
def test_an_api_change_that_breaks_a_caller_is_found(name):
    assert broken_api(API, API) == []
    assert broken_api(API, changed(API_BREAKS[name], API))
