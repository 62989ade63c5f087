"""Experiments in the Chaos Toolkit's format: the same JSON in and out, and nothing in it that could run code."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base import canonical_json
from domain.errors import Invalid
from runtime.services.chaos.experiment import RangeTolerance, read_experiment, within
from runtime.services.chaos.library import shipped, shipped_one
from tests.support.chaos_bench import chaos_bench, document


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_document_is_written_as_it_was_read(name):
    raw = files("runtime.services.chaos").joinpath("experiments", f"{name}.json").read_bytes()
    found = read_experiment(raw)
    assert found.document == json.loads(raw)
    assert canonical_json(read_experiment(json.dumps(found.document).encode()).document) == canonical_json(
        json.loads(raw)
    )


@given(
    size=st.floats(0.01, 1.0), lease=st.integers(1, 3600), after=st.none() | st.integers(0, 900) | st.floats(0, 900),
    tolerance=st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
    | st.tuples(st.integers(-9, 9), st.floats(0, 9)).map(list)
    | st.tuples(st.integers(0, 3), st.integers(4, 9)).map(lambda r: {"type": "range", "range": list(r)}),
    tags=st.lists(st.text(min_size=1, max_size=9), max_size=3), version=st.sampled_from(["1.0.0", "0.1.0", None]),
)  # fmt: skip
def test_any_document_of_ours_survives_the_round(size, lease, after, tolerance, tags, version):
    raw = document(tags=tags, version=version)
    raw["method"][0]["provider"] |= {"size": size, "lease_s": lease}
    raw["method"][0]["pauses"] = {"after": after}
    raw["steady-state-hypothesis"]["probes"][0]["tolerance"] = tolerance
    assert read_experiment(json.loads(json.dumps(raw))).document == raw


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ({"type": "process", "path": "/bin/rm", "arguments": "-rf /"}, "provider_unknown"),
        ({"type": "python", "module": "os", "func": "system", "arguments": {"command": "id"}}, "provider_unknown"),
        ({"type": "http", "url": "http://127.0.0.1/"}, "provider_unknown"),
        ({"type": "opsmesh.fault", "fault": "rm_rf", "target": "service/cart"}, "experiment_invalid"),
        ({"type": "opsmesh.fault", "fault": "deploy_errors", "target": "a", "size": 3}, "experiment_invalid"),
        ({"type": "opsmesh.fault", "fault": "deploy_errors", "target": "a; rm"}, "experiment_invalid"),
        ({"type": "opsmesh.fault", "fault": "deploy_errors", "target": "a", "shell": "id"}, "experiment_invalid"),
    ],
)  # fmt: skip
def test_what_runs_code_or_is_out_of_bounds_is_refused(provider, reason):
    raw = document()
    raw["method"][0]["provider"] = provider
    with pytest.raises(Invalid) as refused:
        read_experiment(raw)
    assert refused.value.reason == reason
    if reason == "provider_unknown":
        assert repr(provider["type"]) in str(refused.value)


def _changed(path, value):
    raw = document()
    here = raw
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("secrets",), {"k8s": {"token": {"type": "env", "key": "TOKEN"}}}, "Extra inputs"),
        (("controls",), [{"name": "c", "provider": {"type": "python", "module": "m"}}], "'python' is nothing"),
        (("method", 2, "provider", "of"), "nothing", "names no fault"),
        (("method", 1), {"ref": "nobody"}, "no probe is named nobody"),
        (("method",), [{"ref": "few errors"}], "one to 5 faults"),
        (("method", 0, "background"), True, "False"),
        (("method", 0, "pauses"), {"after": 21_600}, "longer than 21600 s"),
        (("runtime",), {"rollbacks": {"strategy": "never"}}, "always"),
        (("configuration",), {"service": {"type": "env", "key": "PATH"}}, "valid"),
        (("steady-state-hypothesis", "probes", 0, "tolerance"), None, "needs a measurement and its tolerance"),
    ],
)
def test_what_does_not_fit_together_is_named(path, value, said):
    with pytest.raises(Invalid, match=said):
        read_experiment(_changed(path, value))


def test_configuration_is_filled_in_and_must_be_there():
    found = shipped_one("loop-bad-deploy", service="service/basket").resolved()
    assert found.faults["bad release"].target == "service/basket"
    assert found.places() == {"service/basket"}
    with pytest.raises(Invalid, match="not configured"):
        read_experiment(document(configuration={})).resolved()


@pytest.mark.parametrize(
    ("value", "tolerance", "holds"),
    [
        (0.5, (0.0, 0.5), True),
        (0.51, (0.0, 0.5), False),
        (None, (0.0, 0.5), False),
        (True, (0.0, 2.0), False),
        (1, True, False),
        (3, RangeTolerance(type="range", range=(1.0, 3.0)), True),
        (None, None, False),
        (7, None, True),
    ],
)
def test_tolerances(value, tolerance, holds):
    assert within(value, tolerance) is holds


async def test_a_journal_has_what_the_format_asks_for(tmp_path):
    bench = await chaos_bench(tmp_path)
    await bench.run()
    journal = json.loads(bench.journal().model_dump_json(exclude_none=True))
    assert {"experiment", "status", "start", "end", "duration", "steady_states", "run", "rollbacks"} <= set(journal)
    asked = {"activity", "status", "start", "end", "duration"}
    results = [*journal["run"], *journal["rollbacks"], *journal["steady_states"]["before"]["probes"]]
    assert all(asked <= set(result) for result in results)
    assert journal["experiment"]["method"][0]["provider"]["target"] == "service/cart"
