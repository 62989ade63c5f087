"""The fast way to canonical JSON writes the same bytes as the reference encoder, or refuses the same values."""

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from domain.base import canonical_json, canonical_text
from domain.events import IncomingEvent, body_digest

NUMBERS = (
    st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1e-7, 1e-5, 1e16, 123456789012345.6, 1e15, 5e-324, 0.1, 333333333.33333329])
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["\ue000", "\U0001f600", ":1.0,", "1e5", "\x7f\0"]
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(value=VALUES)
@example(value={"\ue000": 1, "\U0001f600": 2})
@example(value=[1.0, -0.0, 1e21])
def test_the_fast_way_writes_what_the_reference_writes(value: JsonValue) -> None:
    assert canonical_text(value).encode() == canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [[float("nan")], {"a": float("inf")}, [2**53], ["\ud800"], [-(2**60)]])
def test_what_has_no_canonical_form_is_refused(value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical_text(value)


def test_a_body_digest_ignores_the_id_and_absent_attributes_only() -> None:
    event = IncomingEvent(source="/s", type="t", data={"a": 2**60})
    assert body_digest(event) == body_digest(event.model_copy(update={"id": "x"}))
    others = ({"subject": "s"}, {"data": {"a": 2**60 + 1}}, {"extensions": {"x": 1}}, {"type": "u"}, {"source": "/r"})
    assert len({body_digest(event.model_copy(update=other)) for other in ({}, *others)}) == 1 + len(others)
