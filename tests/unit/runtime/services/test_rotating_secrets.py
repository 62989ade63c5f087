"""secret.rotate over a real authenticator: the holder is never refused, and the old password is proven dead."""

import logging

import pytest

from domain.errors import NotFound
from domain.ids import TenantId
from runtime.services.certificates import operators
from runtime.simulator import faults
from runtime.trust.credentials import log_in
from tests.support.trust_bench import trust_bench


@pytest.fixture
async def bench(tmp_path):
    bench = await trust_bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
async def login(bench):
    return await bench.login(min(bench.world.logins.ends_s))


def kept(bench, login, user):
    folder = bench.parts.home / "trust/credentials" / login.region / login.secret
    return (folder / f"{user}.json").read_text().split('"password": "')[1].split('"')[0]


async def test_the_holder_moves_to_the_other_user_and_the_old_password_is_dead(bench, login):
    plane = bench.planes.credentials
    assert await plane.holder_accepted(login) == login.users[0]
    old = kept(bench, login, login.users[0])
    assert log_in(plane.authenticator.port, login.opens, login.users[0], old)
    done = await bench.rotate("secret.rotate", login.secret)
    assert (done.status, done.result["in_use"], done.result["old_accepted"]) == ("done", login.users[1], False)
    assert await plane.holder_accepted(login) == login.users[1]
    assert not log_in(plane.authenticator.port, login.opens, login.users[0], old)
    assert bench.world.logins.ends_s[login.secret] == 90 * 86_400.0


async def test_the_pair_goes_back_and_forth(bench, login):
    for expected in (1, 0, 1):
        await bench.rotate("secret.rotate", login.secret)
        pair = await bench.planes.credentials.pair(login)
        assert pair.in_use == login.users[expected]
        assert [each.expires_at is None for each in pair.logins] == [expected == 1, expected == 0]


async def test_a_rotation_heals_a_world_whose_login_ended(bench):
    bench.run(minutes=5)
    drawn = faults.draw(bench.world, "secret_expired", 1)
    faults.inject(bench.world, drawn)
    name = drawn.names["secret"]
    bench.run(minutes=1)
    (finding,) = await bench.look()
    assert (finding.kind, finding.severity, [a.kind for a in finding.acts]) == (
        "secret.expiring", "critical", ["secret.rotate"],
    )  # fmt: skip
    assert "is refused" in finding.evidence[0]
    await bench.rotate("secret.rotate", name)
    assert f"login/{name}" not in bench.world.live.modifiers
    assert not faults.present(bench.world, drawn)
    assert await bench.look() == ()


async def test_a_holder_that_is_not_let_in_keeps_its_old_login(bench, login):
    plane = bench.planes.credentials
    await plane.pair(login)
    put = plane.authenticator.put

    def garbled(opens, user, version, salt, password, expires_at):
        put(opens, user, version, salt, password[::-1], expires_at)

    plane.authenticator.put = garbled
    done = await bench.rotate("secret.rotate", login.secret)
    assert done.status == "failed"
    assert await plane.holder_accepted(login) == login.users[0]
    assert (await plane.pair(login)).logins[1].expires_at is None


async def test_an_old_password_that_still_opens_is_no_success(bench, login):
    plane = bench.planes.credentials
    await plane.pair(login)
    plane.authenticator.drop = lambda opens, user: None
    done = await bench.rotate("secret.rotate", login.secret)
    assert done.status == "failed"
    assert "still opens" in done.detail


async def test_a_step_that_is_done_again_changes_nothing(bench, login):
    record = bench.record("secret.rotate", login.secret)
    first = await bench.rotate("secret.rotate", login.secret, record)
    now = kept(bench, login, login.users[1])
    again = await bench.rotate("secret.rotate", login.secret, record)
    assert (first.result, now) == (again.result, kept(bench, login, login.users[1]))


async def test_no_password_is_anywhere_but_in_its_owners_file(bench, login, caplog):
    caplog.set_level(logging.DEBUG)
    await bench.planes.credentials.pair(login)
    old = kept(bench, login, login.users[0])
    done = await bench.rotate("secret.rotate", login.secret)
    new = kept(bench, login, login.users[1])
    said = done.model_dump_json() + caplog.text + str(bench.bench.told.events)
    files = [p for p in bench.parts.home.parent.rglob("*") if p.is_file()]
    holding = [p for p in files if any(word.encode() in p.read_bytes() for word in (old, new))]
    assert {p.name for p in holding} == {f"{login.users[1]}.json", "in_use.json"}
    assert {p.stat().st_mode & 0o077 for p in holding} == {0}
    assert old not in said
    assert new not in said


async def test_only_the_owner_can_ask_for_it(bench, login):
    operator = operators(bench.parts)["secret.rotate"]
    plan = await operator.plan(await bench.asked("secret.rotate", login.secret))
    assert [(c.path, c.secret) for c in plan.changes] == [("in_use", False), ("value", True)]
    with pytest.raises(NotFound):
        await operator.plan(await bench.asked("secret.rotate", login.secret, TenantId("nobody")))
