"""certificate.rotate over real files, signatures and handshakes: nothing counts but what a listener serves."""

from datetime import timedelta

import pytest

from domain.errors import NotFound
from domain.ids import TenantId
from runtime.services.certificates import operators
from runtime.services.certificates.overview import certificate_status
from runtime.simulator import faults
from runtime.trust.authority import LocalAuthority
from runtime.trust.leaves import key_pem, new_key, signing_request
from tests.support.trust_bench import trust_bench


@pytest.fixture
async def bench(tmp_path):
    bench = await trust_bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
async def wanted(bench):
    return await bench.wanted(min(bench.world.certificates))


async def status(bench, wanted):
    return await certificate_status(bench.planes.certificates, wanted, bench.parts.clock.now())


async def test_every_certificate_of_a_healthy_world_is_served_as_it_shall_be(bench):
    for name, ends_s in bench.world.certificates.items():
        found = await status(bench, await bench.wanted(name))
        assert found.wrong == ()
        assert abs((found.served.not_after - bench.world.instant(ends_s)).total_seconds()) < 1.0
        assert found.renewal_at > bench.world.now
    assert await bench.look() == ()


async def test_a_rotation_serves_a_new_certificate_that_lasts(bench, wanted):
    before = await status(bench, wanted)
    done = await bench.rotate("certificate.rotate", wanted.certificate)
    after = await status(bench, wanted)
    assert done.status == "done"
    assert after.wrong == ()
    assert after.served.serial == done.result["serial"] != before.served.serial
    assert after.served.not_after == bench.world.now + timedelta(days=90)
    assert bench.world.certificates[wanted.certificate] == 90 * 86_400.0


async def test_a_rotation_heals_a_world_whose_certificate_ended(bench):
    drawn = faults.draw(bench.world, "certificate_expiry", 1)
    name = drawn.names["certificate"]
    faults.inject(bench.world, drawn)
    bench.run(minutes=5)
    (finding,) = await bench.look()
    assert (finding.kind, finding.severity, finding.resource) == (
        "certificate.expiring", "critical", f"certificate/{name}",
    )  # fmt: skip
    assert "expired" in (await status(bench, await bench.wanted(name))).wrong
    assert f"tls/{name}" in bench.world.live.modifiers
    await bench.rotate("certificate.rotate", name)
    assert f"tls/{name}" not in bench.world.live.modifiers
    assert not faults.present(bench.world, drawn)
    assert await bench.look() == ()


async def test_a_file_that_was_renewed_but_not_loaded_is_found_and_healed(bench, wanted):
    plane = bench.planes.certificates
    old = (await status(bench, wanted)).served.serial
    chain = await plane.issuer(wanted.issuer).issue(
        await plane.request(wanted, "by-hand"), at=bench.world.now, lifetime=timedelta(days=90)
    )
    await plane.stage(wanted, "by-hand", chain)
    await plane.install(wanted, "by-hand")
    found = await status(bench, wanted)
    assert (found.wrong, found.served.serial) == (("not_reloaded",), old)
    (finding,) = await bench.look()
    assert (finding.kind, [a.kind for a in finding.acts]) == ("certificate.served_wrong", ["certificate.rotate"])
    await bench.rotate("certificate.rotate", wanted.certificate)
    assert await bench.look() == ()


async def put(bench, wanted, issuer, names, identities):
    """Serve what somebody else made for the same listener."""
    plane, version = bench.planes.certificates, "stranger"
    key = new_key()
    chain = await issuer.issue(signing_request(key, names, identities), at=bench.world.now, lifetime=timedelta(days=90))
    await plane.request(wanted, version)
    home = bench.parts.home / "trust/certificates" / wanted.region / wanted.certificate
    (home / "versions" / version / "key.pem").write_bytes(key_pem(key))
    await plane.stage(wanted, version, chain)
    await plane.install(wanted, version)
    await plane.reload(wanted)


async def test_a_wrong_chain_a_wrong_name_and_another_tenants_certificate_are_told_apart(bench, wanted, tmp_path):
    ours = bench.planes.certificates.issuer(wanted.issuer)
    stranger = LocalAuthority(tmp_path / "other", "platform-ca", bench.world.spec.start)
    await status(bench, wanted)
    cases = (
        (stranger, [wanted.hostname], [wanted.identity], "wrong_chain"),
        (ours, ["other.example.net"], [wanted.identity], "wrong_name"),
        (ours, [wanted.hostname], [wanted.identity.replace(f"/{wanted.tenant}/", "/globex/")], "wrong_tenant"),
    )
    for issuer, names, identities, wrong in cases:
        await put(bench, wanted, issuer, names, identities)
        assert (await status(bench, wanted)).wrong == (wrong,)
    await bench.rotate("certificate.rotate", wanted.certificate)
    assert (await status(bench, wanted)).wrong == ()


async def test_what_clients_would_refuse_is_taken_back(bench, wanted):
    plane = bench.planes.certificates
    old = (await status(bench, wanted)).served.serial

    async def broken(request, *, at, lifetime):
        return type(issuer).sign(issuer, request, not_before=at + lifetime, not_after=at + 2 * lifetime)

    issuer = plane.issuer(wanted.issuer)
    issuer.issue = broken
    record = bench.record("certificate.rotate", wanted.certificate)
    done = await bench.rotate("certificate.rotate", wanted.certificate, record)
    assert (done.status, done.result["wrong"]) == ("failed", ["not_yet_valid"])
    assert (await status(bench, wanted)).served.serial == old
    assert (await status(bench, wanted)).wrong == ()
    assert (await bench.rotate("certificate.rotate", wanted.certificate, record)).status == "failed"


async def test_a_step_that_is_done_again_serves_the_same_certificate(bench, wanted):
    record = bench.record("certificate.rotate", wanted.certificate)
    first = await bench.rotate("certificate.rotate", wanted.certificate, record)
    again = await bench.rotate("certificate.rotate", wanted.certificate, record)
    assert first.result == again.result


async def test_private_keys_are_their_owners_alone_and_old_ones_go(bench, wanted):
    for _ in range(4):
        await bench.rotate("certificate.rotate", wanted.certificate)
    home = bench.parts.home / "trust"
    keys = [p for p in home.rglob("*") if p.is_file() and b"PRIVATE KEY" in p.read_bytes()]
    assert keys
    assert {p.stat().st_mode & 0o077 for p in keys} == {0}
    assert len(list((home / "certificates" / wanted.region / wanted.certificate / "versions").iterdir())) == 2


async def test_only_the_owner_can_ask_for_it(bench):
    name = min(bench.world.certificates)
    operator = operators(bench.parts)["certificate.rotate"]
    plan = await operator.plan(await bench.asked("certificate.rotate", name))
    assert [(c.address, c.operation) for c in plan.changes] == [(f"certificate/{name}", "run")]
    with pytest.raises(NotFound):
        await operator.plan(await bench.asked("certificate.rotate", name, TenantId("nobody")))
