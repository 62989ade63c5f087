"""The target follows the store: after crashes, unreachability, ended overrides and other people's writes."""

from datetime import timedelta

import pytest

from domain.changes import Patch
from domain.commands import Proposal
from domain.topology import EntityRef
from tests.support.runtime_bench import PROD, NoCrash
from tests.support.small_runtime import small_bench
from tools.actions import bind_actions


class CrashAt(NoCrash):
    """Raises at one point, once, as a killed process would go no further."""

    def __init__(self, point):
        self.point = point

    def reach(self, point, **context):
        if point == self.point:
            self.point = None
            raise SystemExit


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


async def planned(bench, kind, target, **arguments):
    tools = {"service.scale": "scale", "service.restart": "restart", "tenant.throttle": "throttle"}
    tool = bind_actions(bench.client)[tools[kind]]
    proposal = Proposal(
        kind=kind, arguments=arguments, target=EntityRef.parse(target), tenant="acme", environment=PROD,
        proposer="sre", rationale="because",
    )  # fmt: skip
    return tool, bench.command(proposal, await tool.plan(proposal, at=bench.clock.now()))


async def shop(bench):
    return (await bench.target.live(PROD)).services["shop"]


def crash(bench, point):
    object.__setattr__(bench.services.door, "crash", CrashAt(point))


async def test_a_crash_before_the_commit_leaves_nothing(bench):
    tool, command = await planned(bench, "service.scale", "shop", service="shop", replicas=8)
    crash(bench, "runtime.before_commit")
    with pytest.raises(SystemExit):
        await tool.apply(command, grant=bench.issuer.grant(command))
    await bench.services.convergence.reconcile()
    assert (await tool.status(command)).status == "not_applied"
    assert (await shop(bench)).replicas == 3
    assert (await tool.apply(command, grant=bench.issuer.grant(command))).replayed is False


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("service.scale", {"service": "shop", "replicas": 8}), ("service.restart", {"service": "shop"})],
)
async def test_after_a_crash_behind_the_commit_the_target_follows_under_the_same_key(bench, kind, arguments):
    tool, command = await planned(bench, kind, "shop", **arguments)
    crash(bench, "runtime.committed")
    with pytest.raises(SystemExit):
        await tool.apply(command, grant=bench.issuer.grant(command))
    assert bench.target.effects(command.idempotency_key) == 0
    assert not await tool.verify(command)
    assert (await tool.status(command)).status == "applied"
    for _ in range(2):
        assert await bench.services.convergence.reconcile() == ()
    assert bench.target.effects(command.idempotency_key) == 1
    assert await tool.verify(command)


async def test_an_unreachable_target_is_told_and_tried_again(bench):
    tool, command = await planned(bench, "service.restart", "shop", service="shop")
    bench.target.unreachable = 2
    receipt = await tool.apply(command, grant=bench.issuer.grant(command))
    assert receipt.status == "applied"
    lags = await bench.services.convergence.reconcile()
    assert [lag.environment for lag in lags] == [PROD]
    assert await bench.services.convergence.reconcile() == ()
    assert bench.target.restarts == ["shop"]


async def test_an_override_that_ended_leaves_the_target_also_after_a_replay(bench):
    tool, command = await planned(bench, "tenant.throttle", "tenant/acme", tenant="acme", rate_limit_rps=5.0)
    grant = bench.issuer.grant(command)
    await tool.apply(command, grant=grant)
    assert (await bench.target.live(PROD)).tenants["acme"].rate_limit_rps == 5.0
    bench.clock.advance(timedelta(hours=2))
    assert (await tool.apply(command, grant=grant)).replayed
    assert "acme" not in (await bench.target.live(PROD)).tenants
    assert bench.target.effects(command.idempotency_key) == 1


async def test_other_peoples_writes_survive_ours(bench):
    bench.target.state = bench.target.state.model_copy(
        update={
            "services": {
                **bench.target.state.services,
                "cart": bench.target.state.services["cart"].model_copy(update={"version": "v2"}),
            }
        }
    )
    bench.target.platform_writes.append(("ci", Patch(op="set", path=("services", "cart", "version"), value="v2")))
    tool, command = await planned(bench, "service.scale", "shop", service="shop", replicas=8)
    await tool.apply(command, grant=bench.issuer.grant(command))
    services = (await bench.target.live(PROD)).services
    assert (services["cart"].version, services["shop"].replicas) == ("v2", 8)


async def test_a_platform_write_that_desired_state_cannot_hold_stops_nobody(bench, caplog):
    bench.target.platform_writes.append(("ci", Patch(op="set", path=("services", "cart", "replicas"), value=9)))
    tool, command = await planned(bench, "service.scale", "shop", service="shop", replicas=8)
    await tool.apply(command, grant=bench.issuer.grant(command))
    assert (await shop(bench)).replicas == 8
    assert "cannot hold" in caplog.text


async def test_registering_again_changes_nothing(bench):
    tool, command = await planned(bench, "service.scale", "shop", service="shop", replicas=8)
    await tool.apply(command, grant=bench.issuer.grant(command))
    await bench.services.register(PROD, ())
    assert (await shop(bench)).replicas == 8
    assert await tool.verify(command)
