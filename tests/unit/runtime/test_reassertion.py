"""Writing what already shall be: nothing where it runs so; what runs otherwise follows, by preview and by effect."""

import pytest

from domain.changes import Patch
from domain.desired import EnvironmentState
from runtime.differences import reassertions
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import STATE, small_bench
from tools.readers.runtime import RuntimeApiReader

PATH = ("services", "shop", "ingress_from")
OPEN = STATE.services["shop"].model_copy(update={"ingress_from": ("0.0.0.0/0",)})
DRIFTED = STATE.model_copy(update={"services": STATE.services | {"shop": OPEN}})


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    await bench.services.convergence.reconcile()
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


def again(value=("10.0.0.0/8",)):
    return (Patch(op="set", path=PATH, value=list(value)),)


async def test_the_preview_of_a_value_written_again_is_what_changes_in_what_runs(bench):
    reader = RuntimeApiReader(bench.client.for_tenant("acme"))
    assert await reader.dry_run(PROD, again()) == ()
    bench.target.state = DRIFTED
    (change,) = await reader.dry_run(PROD, again())
    assert (change.address, change.path) == ("service/shop", "ingress_from")
    assert (change.before, change.after) == (["0.0.0.0/0"], ["10.0.0.0/8"])


async def test_a_value_that_changes_the_document_is_previewed_as_ever(bench):
    bench.target.state = DRIFTED
    reader = RuntimeApiReader(bench.client.for_tenant("acme"))
    (change,) = await reader.dry_run(PROD, again(("10.1.0.0/16",)))
    assert change.before == ["10.0.0.0/8"]


def test_only_the_written_fields_are_reasserted_and_nothing_of_what_does_not_run():
    elsewhere = DRIFTED.model_copy(update={"services": {**DRIFTED.services, "cart": OPEN}})
    assert {c.address for c in reassertions(STATE, STATE, elsewhere, [PATH])} == {"service/shop"}
    assert reassertions(STATE, STATE, EnvironmentState(), [PATH]) == ()
