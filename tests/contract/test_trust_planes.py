"""Every certificate and credential plane: what counts is what is served and what opens, not what lies there.

The loopback planes are looked at by real handshakes and real logins; the planes in memory must answer the same.
"""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Invalid, NotFound
from mesh.time import OsEntropy, VirtualClock
from runtime.trust.authority import LocalAuthority
from runtime.trust.certificates import LoopbackCertificates
from runtime.trust.credentials import LoopbackCredentials
from runtime.trust.leaves import facts_of, leaf_of, new_key, signing_request
from runtime.trust.memory import MemoryCertificates, MemoryCredentials
from runtime.trust.ports import Login, Wanted

AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
LIFETIME = timedelta(days=90)


def wanted_of(tenant):
    return Wanted(
        certificate=f"{tenant}-tls", service=f"{tenant}-shop", tenant=tenant, region="west",
        hostname=f"{tenant}.example.net", identity=f"spiffe://prod/{tenant}/{tenant}-shop", issuer="ca",
    )  # fmt: skip


def login_of(tenant):
    return Login(secret=f"{tenant}-at-db", service=f"{tenant}-shop", tenant=tenant, region="west", opens="db")


OURS, THEIRS = wanted_of("acme"), wanted_of("globex")
MINE, OTHERS = login_of("acme"), login_of("globex")
FIRST, SECOND = MINE.users


@pytest.fixture
def authority(tmp_path):
    return LocalAuthority(tmp_path / "ca", "ca", AT)


@pytest.fixture(params=["loopback", "memory"])
def plane(request, tmp_path, authority):
    if request.param == "memory":
        yield MemoryCertificates({"ca": authority})
        return
    made = LoopbackCertificates(tmp_path / "certificates", {"ca": authority})
    yield made
    made.close()


@pytest.fixture
def clock():
    return VirtualClock(AT)


@pytest.fixture(params=["loopback", "memory"])
def logins(request, tmp_path, clock):
    if request.param == "memory":
        yield MemoryCredentials(OsEntropy(), clock.now)
        return
    made = LoopbackCredentials(tmp_path / "credentials", OsEntropy(), clock.now)
    yield made
    made.close()


async def staged(plane, wanted, version, issuer=None):
    request = await plane.request(wanted, version)
    chain = await (issuer or plane.issuer(wanted.issuer)).issue(request, at=AT, lifetime=LIFETIME)
    await plane.stage(wanted, version, chain)
    return facts_of(leaf_of(chain))


async def put(plane, wanted, version, issuer=None):
    facts = await staged(plane, wanted, version, issuer)
    await plane.install(wanted, version)
    await plane.reload(wanted)
    return facts


async def test_nothing_is_served_before_anything_is_installed(plane):
    await staged(plane, OURS, "one")
    served = await plane.served(OURS)
    assert (served.facts, await plane.installed(OURS)) == (None, None)
    assert served.chain_error
    with pytest.raises(NotFound):
        plane.issuer("nobody")


async def test_what_is_served_is_what_is_installed_only_after_a_reload(plane):
    old = await put(plane, OURS, "one")
    new = await staged(plane, OURS, "two")
    assert (await plane.served(OURS)).facts == old
    await plane.install(OURS, "two")
    assert await plane.installed(OURS) == "two"
    assert (await plane.served(OURS)).facts == old
    await plane.reload(OURS)
    served = await plane.served(OURS)
    assert (served.facts, served.chain_error) == (new, "")
    assert (new.names, new.identities) == ((OURS.hostname,), (OURS.identity,))


async def test_a_version_keeps_its_key_and_another_has_its_own(plane):
    one = await staged(plane, OURS, "one")
    again = await plane.request(OURS, "one")
    chain = await plane.issuer("ca").issue(again, at=AT, lifetime=LIFETIME)
    kept = leaf_of(await plane.chain(OURS, "one")).public_key()
    assert leaf_of(chain).public_key() == kept
    other = await staged(plane, OURS, "two")
    assert leaf_of(await plane.chain(OURS, "two")).public_key() != kept
    assert one.serial != other.serial


async def test_a_pair_that_does_not_fit_is_not_loaded(plane):
    old = await put(plane, OURS, "one")
    await plane.request(OURS, "two")
    foreign = signing_request(new_key(), [OURS.hostname], [OURS.identity])
    await plane.stage(OURS, "two", await plane.issuer("ca").issue(foreign, at=AT, lifetime=LIFETIME))
    for version in ("two", "never-staged"):
        await plane.install(OURS, version)
        await plane.reload(OURS)
        assert (await plane.served(OURS)).facts == old


async def test_a_chain_to_another_root_is_served_and_told(plane, tmp_path):
    stranger = LocalAuthority(tmp_path / "stranger", "ca", AT)
    facts = await put(plane, OURS, "one", stranger)
    served = await plane.served(OURS)
    assert served.facts == facts
    assert served.chain_error
    await put(plane, OURS, "two")
    assert (await plane.served(OURS)).chain_error == ""


async def test_another_tenants_certificate_is_not_touched(plane):
    theirs = await put(plane, THEIRS, "one")
    chain = await plane.chain(THEIRS, "one")
    for version in ("one", "two", "three", "four"):
        await put(plane, OURS, version)
        await plane.prune(OURS)
    assert (await plane.served(THEIRS)).facts == theirs
    assert (await plane.installed(THEIRS), await plane.chain(THEIRS, "one")) == ("one", chain)
    assert await plane.chain(THEIRS, "four") is None


async def test_pruning_leaves_what_is_installed_and_the_one_before(plane):
    for version in ("one", "two", "three", "four"):
        served = await put(plane, OURS, version)
    await plane.prune(OURS)
    left = [version for version in ("one", "two", "three", "four") if await plane.chain(OURS, version)]
    assert left == ["three", "four"]
    assert (await plane.served(OURS)).facts == served
    await plane.install(OURS, "three")
    await plane.reload(OURS)
    assert (await plane.served(OURS)).facts == facts_of(leaf_of(await plane.chain(OURS, "three")))


async def begun(logins, login=MINE):
    await logins.create(login, login.users[0], version="one", expires_at=AT + LIFETIME)
    await logins.switch(login, login.users[0], version="one")


async def test_a_new_pair_has_no_logins_and_opens_nothing(logins):
    pair = await logins.pair(MINE)
    assert [each.expires_at for each in pair.logins] == [None, None]
    assert not await logins.accepted(MINE, FIRST)
    assert await logins.holder_accepted(MINE) is None


async def test_two_users_overlap_until_the_old_one_is_revoked_and_dead(logins):
    await begun(logins)
    await logins.create(MINE, SECOND, version="two", expires_at=AT + 2 * LIFETIME)
    assert [await logins.accepted(MINE, user) for user in MINE.users] == [True, True]
    assert await logins.holder_accepted(MINE) == FIRST
    await logins.switch(MINE, SECOND, version="two")
    assert await logins.holder_accepted(MINE) == SECOND
    assert [each.expires_at for each in (await logins.pair(MINE)).logins] == [AT + LIFETIME, AT + 2 * LIFETIME]
    await logins.revoke(MINE, FIRST)
    assert [await logins.accepted(MINE, user) for user in MINE.users] == [False, True]
    await logins.forget(MINE, FIRST)
    assert await logins.holder_accepted(MINE) == SECOND
    assert [each.expires_at for each in (await logins.pair(MINE)).logins] == [None, AT + 2 * LIFETIME]


async def test_a_holder_goes_on_with_what_it_was_handed(logins):
    await begun(logins)
    await logins.create(MINE, FIRST, version="again", expires_at=AT + LIFETIME)
    assert await logins.accepted(MINE, FIRST)
    assert await logins.holder_accepted(MINE) is None
    await logins.switch(MINE, FIRST, version="again")
    assert await logins.holder_accepted(MINE) == FIRST


async def test_a_version_is_made_once(logins):
    await begun(logins)
    await logins.create(MINE, FIRST, version="one", expires_at=AT + 2 * LIFETIME)
    assert await logins.holder_accepted(MINE) == FIRST
    assert (await logins.pair(MINE)).logins[0].expires_at == AT + LIFETIME


async def test_nothing_opens_after_its_end(logins, clock):
    await begun(logins)
    clock.move_to(AT + LIFETIME - timedelta(seconds=1))
    assert await logins.holder_accepted(MINE) == FIRST
    clock.move_to(AT + LIFETIME)
    assert await logins.holder_accepted(MINE) is None
    assert not await logins.accepted(MINE, FIRST)


async def test_another_tenants_login_is_not_touched(logins):
    await begun(logins, OTHERS)
    await begun(logins)
    with pytest.raises(Invalid):
        await logins.create(MINE, OTHERS.users[0], version="mine-now", expires_at=AT + LIFETIME)
    for user in MINE.users:
        await logins.revoke(MINE, user)
        await logins.forget(MINE, user)
    assert await logins.holder_accepted(MINE) is None
    assert await logins.holder_accepted(OTHERS) == OTHERS.users[0]
