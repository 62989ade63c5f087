"""No test of an agent may reach a model: an unmocked call is an error."""

from collections.abc import Iterator

import pytest

from agents.llm import MODEL_CALLS


@pytest.fixture(autouse=True)
def _no_model_calls() -> Iterator[None]:
    MODEL_CALLS.allowed = False
    yield
    MODEL_CALLS.allowed = True
