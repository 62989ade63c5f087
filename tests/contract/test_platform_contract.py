"""What the extension assumes of the platform's core, held to golden samples: nothing is lost in either direction."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from domain.catalogue import EVENT_MODELS
from domain.envelope import data_problem, document_of, event_of, read_event, write_event
from domain.events import IncomingEvent, body_digest
from domain.intake import RefusedInput
from domain.policies import DriftPolicy, HealthPolicy, ScalingPolicy, TrafficPolicy
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Certificate, ComputeTarget, DataStore, NodePool, RuntimeService
from grounding.platform_contract import CORRESPONDENCE, from_platform, to_platform

GOLDEN = Path(__file__).parent / "golden" / "platform"
PAGE = Path(__file__).parents[2] / "docs" / "platform-contract.md"
ENVELOPES = sorted(path.name for path in GOLDEN.glob("e*.json"))
AGGREGATES: tuple[type[BaseModel], ...] = (
    RuntimeTenantBinding,
    RuntimeService,
    ComputeTarget,
    NodePool,
    DataStore,
    Certificate,
    ScalingPolicy,
    TrafficPolicy,
    HealthPolicy,
    DriftPolicy,
)


def golden(name: str) -> dict[str, JsonValue]:
    return json.loads((GOLDEN / name).read_text())


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_platform_envelope_survives_the_way_in_and_out(name: str) -> None:
    sample = golden(name)
    event = from_platform(sample)
    assert isinstance(event, IncomingEvent), event
    assert to_platform(document_of(event)) == sample
    assert data_problem(event) is None
    by_wire = read_event(write_event(event))
    assert by_wire == event
    assert body_digest(by_wire) == body_digest(event)


def test_every_runtime_event_type_of_the_catalogue_has_a_sample() -> None:
    sampled = {name.removeprefix("event.").removesuffix(".json") for name in ENVELOPES if name.startswith("event.")}
    assert sampled == {name for name in EVENT_MODELS if name.startswith("runtime.")}


@pytest.mark.parametrize("model", AGGREGATES)
def test_an_aggregate_is_read_whole_and_written_back(model: type[BaseModel]) -> None:
    sample = golden(f"aggregate.{model.__name__}.json")
    assert model.model_validate(sample).model_dump(mode="json") == sample


def test_the_page_names_every_sample_type_field_and_aggregate() -> None:
    page = PAGE.read_text()
    names = {name for name in EVENT_MODELS if name.startswith("runtime.")} | {m.__name__ for m in AGGREGATES}
    names |= {theirs for _, theirs, _ in CORRESPONDENCE} | {ours for _, _, ours in CORRESPONDENCE}
    assert sorted(name for name in names if not re.search(rf"`{re.escape(name)}`", page)) == []


REFUSED = {
    "no envelope": ([], "invalid"),
    "no version": ({"eventType": "t", "source": "/s", "dimensions": {}}, "invalid"),
    "a version to come": ({"envelopeVersion": "2", "eventType": "t", "source": "/s", "dimensions": {}}, "unsupported"),
    "a second tenant": (
        {
            "envelopeVersion": "1",
            "eventType": "t",
            "source": "/s",
            "dimensions": {"tenantId": "acme"},
            "extensions": {"tenantid": "globex"},
        },
        "invalid",
    ),
    "an unknown severity": (
        {"envelopeVersion": "1", "eventType": "t", "source": "/s", "dimensions": {"severity": "meh"}},
        "invalid",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_platform_envelope_is_refused_with_its_reason(name: str) -> None:
    document, reason = REFUSED[name]
    refused = from_platform(document)
    assert isinstance(refused, RefusedInput)
    assert refused.reason == reason


SLUGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "source": TEXTS,
        "type": TEXTS.filter(lambda name: name not in EVENT_MODELS),
        "severity": st.sampled_from(["info", "warning", "error", "critical"]),
    },
    optional={
        "id": TEXTS,
        "subject": TEXTS,
        "tenantid": SLUGS,
        "environmentid": SLUGS,
        "serviceid": SLUGS,
        "deploymentid": TEXTS,
        "traceparent": TEXTS,
        "dataschema": TEXTS,
        "priority": st.integers(-(2**31), 2**31 - 1),
        "checked": st.booleans(),
        "data": DATA.filter(lambda data: data is not None),
    },
)


@given(document=EVENTS)
def test_any_event_survives_both_envelopes(document: dict[str, JsonValue]) -> None:
    event = event_of(document)
    assert isinstance(event, IncomingEvent)
    assert document_of(event) == document
    assert from_platform(to_platform(document)) == event
