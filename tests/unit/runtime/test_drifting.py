"""Drift under a service's own policy: put back, or left, field by field."""

import pytest

from domain.desired import EnvironmentState, ServiceState
from domain.policies import DriftPolicy, ScalingPolicy
from runtime import state
from runtime.drifting import corrected
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import small_bench

RECONCILE = DriftPolicy(mode="reconcile")
SCALING = ScalingPolicy(min_replicas=2, max_replicas=6, target_cpu_utilisation=0.6)


def service(**changed):
    fields = {"version": "v1", "replicas": 3, "cpu_millicores": 500, "memory_mib": 512, "config": {"limit": "1"}}
    return ServiceState.model_validate(fields | changed)


def both(drift, runs, **shall):
    return (
        EnvironmentState(services={"shop": service(drift=drift, **shall)}),
        EnvironmentState(services={"shop": service(drift=drift, **shall | runs)}),
    )


@pytest.mark.parametrize("mode", ["report", "propose", "reconcile"])
def test_only_reconcile_puts_back(mode):
    wanted, live = both(DriftPolicy(mode=mode), {"version": "v2", "config": {"limit": "9"}})
    assert corrected(wanted, live) == (wanted if mode == "reconcile" else None)


def test_what_is_as_it_shall_be_is_left_alone():
    assert corrected(*both(RECONCILE, {})) is None


@pytest.mark.parametrize(
    ("ignored", "runs"),
    [
        ("replicas", {"replicas": 9}), ("config.limit", {"config": {"limit": "9"}}),
        ("config.extra", {"config": {"limit": "1", "extra": "x"}}), ("config.limit", {"config": {}}),
    ],
)  # fmt: skip
def test_an_exempt_field_may_differ_and_its_neighbours_may_not(ignored, runs):
    drift = DriftPolicy(mode="reconcile", ignore_paths=(ignored,))
    assert corrected(*both(drift, runs)) is None
    wanted, live = both(drift, runs | {"version": "v2"})
    after = corrected(wanted, live).services["shop"]
    assert (after.version, after.replicas, after.config) == ("v1", *(getattr(live.services["shop"], f) for f in (
        "replicas", "config",
    )))  # fmt: skip


def test_what_an_autoscaler_owns_is_its_own():
    assert corrected(*both(RECONCILE, {"replicas": 5}, scaling=SCALING)) is None


async def test_a_change_by_hand_is_put_back_at_the_next_look_and_again_when_it_comes_again(tmp_path):
    bench = await small_bench(tmp_path)
    with bench.services.database.begin() as connection:
        before = state.current(connection, PROD)
        shop = before.base.services["shop"].model_copy(update={"drift": RECONCILE})
        base = before.base.model_copy(update={"services": {**before.base.services, "shop": shop}})
        newer = before.model_copy(update={"version": before.version + 1, "base": base})
        state.append(connection, newer, actor="ana", key=None, at=bench.clock.now())
    await bench.services.reconcile()
    for version in ("v7", "v8"):
        live = bench.target.state
        services = {n: s.model_copy(update={"version": version}) for n, s in live.services.items()}
        bench.target.state = live.model_copy(update={"services": services})
        bench.clock.move_to(bench.clock.now().replace(second=int(version[1:])))
        await bench.services.reconcile()
        runs = {n: s.version for n, s in bench.target.state.services.items()}
        assert runs == {"shop": "v1", "cart": version, "portal": version, "auth": version}
    await bench.client.http.aclose()
    bench.services.database.close()
