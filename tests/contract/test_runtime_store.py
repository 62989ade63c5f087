"""The runtime's store on both databases: version, ledger row, used grant and fencing mark stand or fall together."""

import asyncio
import threading
from dataclasses import replace

import pytest

from domain.commands import Proposal
from domain.errors import OpsmeshError, Refused
from domain.ids import PLATFORM, PrincipalId, TenantId
from domain.topology import EntityRef
from runtime import ledger, operations, state
from runtime.convergence import Convergence
from runtime.scope import TenantView
from runtime.writes import Write
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import small_bench
from tools.actions import bind_actions


@pytest.fixture
async def bench(tmp_path, empty_url):
    bench = await small_bench(tmp_path, url=empty_url)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


async def planned(bench, kind="service.scale", tool="scale", **arguments):
    proposal = Proposal(
        kind=kind, arguments={"service": "shop"} | arguments, target=EntityRef.parse("shop"), tenant="acme",
        environment=PROD, proposer="sre", rationale="because",
    )  # fmt: skip
    action = bind_actions(bench.client)[tool]
    return action, bench.command(proposal, await action.plan(proposal, at=bench.clock.now()))


async def test_an_effect_is_recorded_whole(bench):
    action, command = await planned(bench, replicas=8)
    grant = bench.issuer.grant(command, fencing=5)
    receipt = await action.apply(command, grant=grant)
    assert (await action.apply(command, grant=grant)) == receipt.model_copy(update={"replayed": True})
    with bench.services.database.read() as connection:
        newest = state.newest(connection, PROD)
        assert (newest.desired.version, newest.key) == (2, command.idempotency_key)
        assert state.actuated(connection, PROD)[0] == 2
        assert ledger.recorded(connection, TenantId("acme"), PROD, command.idempotency_key) == receipt
        assert ledger.recorded(connection, PLATFORM, PROD, command.idempotency_key) is None
    late, other = await planned(bench, replicas=9)
    with pytest.raises(Refused):
        await late.apply(other, grant=bench.issuer.grant(other, fencing=4))


async def test_an_operation_is_recorded_and_done(bench):
    action, command = await planned(bench, "service.restart", "restart")
    receipt = await action.apply(command, grant=bench.issuer.grant(command))
    with bench.services.database.read() as connection:
        record = operations.find(connection, TenantId("acme"), PROD, receipt.operation)
        assert (record.kind, record.done, record.actor) == ("service.restart", True, PrincipalId("executor"))
        assert operations.open_ones(connection) == []
        assert operations.find(connection, TenantId("globex"), PROD, receipt.operation) is None


async def test_the_same_write_sent_by_many_at_once_takes_effect_once(bench):
    """Threads, each with its own loop and connection, race one grant through the door."""
    _, command = await planned(bench, replicas=8)
    view_of = _view(await bench.target.topology(PROD))
    grant = bench.issuer.grant(command)
    write = Write(
        tenant=command.tenant, environment=PROD, principal=PrincipalId("executor"),
        request="sha256:" + "0" * 64, key=command.idempotency_key, grant=grant,
    )  # fmt: skip
    answers, start = [], threading.Barrier(6)

    def send():
        # A process of its own: only the store and the target are shared.
        door, follows = bench.services.door, bench.services.convergence
        door = replace(
            door,
            convergence=Convergence(follows.database, follows.clock, follows.engine, follows.target, follows.operators),
        )
        start.wait()
        try:
            answers.append(asyncio.run(door.patch(write, command.patches, view_of)))
        except OpsmeshError as error:
            answers.append(error)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert sorted(a.replayed for a in answers) == [False] + [True] * 5
    assert {a.version for a in answers} == {2}
    with bench.services.database.read() as connection:
        assert state.current(connection, PROD).version == 2
        assert ledger.applied_count(connection, command.tenant, PROD, command.idempotency_key) == 1
    assert bench.target.effects(command.idempotency_key) == 1


def _view(topology):

    return TenantView(TenantId("acme"), topology, ())
