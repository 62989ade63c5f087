"""The compliance worker: quiet where controls hold, at once at a changed policy set, silent about what is waived."""

import pytest

from evals.services.compliance_place import compliance_place, shipped
from runtime.simulator.actuators import write_by_hand, write_externally
from runtime.simulator.demo import demo_world
from runtime.simulator.generator import random_world

SEEDS = range(10)


def stricter(controls):
    """Demand more of backups, so that every store with the default breaks it."""
    rows = tuple(
        c.model_copy(update={"demand": c.demand.model_copy(update={"min_retention_days": 30})})
        if c.id == "backup-retention"
        else c
        for c in controls.controls
    )
    return controls.model_copy(update={"controls": rows, "policy": "sha256:" + "0" * 64})


@pytest.mark.parametrize("spec", [demo_world(), *map(random_world, SEEDS)], ids=lambda spec: spec.name)
async def test_it_is_quiet_on_a_healthy_world(spec, tmp_path):
    place = await compliance_place(spec, 0, tmp_path, shipped())
    await place.live(6)
    assert place.open() == ()


async def test_a_changed_policy_set_is_looked_at_on_the_next_turn(tmp_path):
    place = await compliance_place(random_world(1), 1, tmp_path, shipped())
    await place.live(1)
    place.controls[0] = stricter(shipped())
    await place.live(0.5)
    stores = {f"data_store/{name}" for name in place.world.data_stores}
    assert {f.resource for f, _ in place.open()} == stores
    assert {f.episode for f, _ in place.open()} == {"backup-retention"}


async def test_what_is_wanted_wrong_is_told_from_what_drifted_and_both_are_found(tmp_path):
    place = await compliance_place(random_world(2), 2, tmp_path, shipped())
    await place.live(1)
    first, second = sorted(place.world.data_stores)[:2]
    write_externally(place.world, ("data_stores", first, "encrypted_at_rest"), False, "pipeline")
    await place.live(0.5)  # the document's own change is handed over whole
    write_by_hand(place.world, ("data_stores", second, "encrypted_at_rest"), False, "sanne")
    await place.live(5)
    summaries = {f.resource: f.summary for f, _ in place.open()}
    assert "shall be so" in summaries[f"data_store/{first}"]
    assert "by hand" in summaries[f"data_store/{second}"]


async def test_configuration_drift_that_breaks_no_control_is_not_its_finding(tmp_path):
    place = await compliance_place(random_world(3), 3, tmp_path, shipped())
    await place.live(1)
    write_by_hand(place.world, ("data_stores", min(place.world.data_stores), "max_connections"), 77, "sanne")
    await place.live(6)
    assert place.open() == ()
