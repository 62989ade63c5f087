"""All that a compromised issuer signed is replaced: region by region, tier 0 first, no more at a time than the rate."""

from collections import Counter
from datetime import timedelta

import pytest

from domain.errors import NotFound
from domain.ids import PLATFORM, TenantId
from domain.trust import CertificateFacts, CertificateStatus
from runtime.services.certificates import operators
from runtime.services.certificates.reissue import PER_WAVE, SPACING, next_wave
from runtime.services.certificates.schedule import LIFETIME, RENEW_AFTER, WINDOW, renewal_at
from runtime.workers.certificate_rotation import findings
from tests.support.runtime_bench import START
from tests.support.trust_bench import trust_bench


def status(number, *, wrong=("issuer_distrusted",), issued=START - timedelta(days=9)):
    facts = CertificateFacts(
        serial=f"{number:x}", issuer="ca 1", names=(f"s{number}.example.net",), not_before=issued,
        not_after=issued + LIFETIME, fingerprint=f"sha256:{number:064x}",
    )  # fmt: skip
    return CertificateStatus(
        certificate=f"s{number}-tls", service=f"s{number}", tenant=TenantId(("acme", "globex")[number % 2]),
        region=("north", "west")[number % 4 // 2], hostname=f"s{number}.example.net", identity="spiffe://prod/t/s",
        issuer="ca", installed=facts, served=facts, wrong=wrong, renewal_at=None,
    )  # fmt: skip


def many(count):
    return [status(n) for n in range(count)], {f"s{n}": n // 4 % 4 for n in range(count)}


def test_everything_is_replaced_in_order_and_within_the_rate():
    statuses, tiers = many(100)
    at, order, per_wave = START, [], []
    while (wave := next_wave(statuses, tiers, {}, at)) is not None:
        taken = [s for group in wave.of_tenant.values() for s in group]
        assert {s.region for s in taken} <= {wave.region}
        assert all(s.tenant == tenant for tenant, group in wave.of_tenant.items() for s in group)
        order += sorted(taken, key=lambda s: tiers[s.service])
        per_wave += [len(taken)] if taken else []
        done = {s.certificate for s in taken}
        at_issued = at - timedelta(hours=1)  # authorities date back
        statuses = [
            status(int(s.certificate[1:-4]), wrong=(), issued=at_issued) if s.certificate in done else s
            for s in statuses
        ]  # fmt: skip
        at += timedelta(minutes=10)
    assert len(order) == len({s.certificate for s in order}) == 100
    assert max(per_wave) <= PER_WAVE
    assert at - START >= SPACING * (100 / PER_WAVE - 1)
    assert [s.region for s in order] == sorted(s.region for s in order)
    for region in ("north", "west"):
        ranks = [tiers[s.service] for s in order if s.region == region]
        assert ranks == sorted(ranks)


def test_nothing_is_issued_where_residency_forbids_it():
    statuses, tiers = many(8)
    wave = next_wave(statuses, tiers, {TenantId("acme"): ("west",)}, START)
    taken = {s.certificate for group in wave.of_tenant.values() for s in group}
    assert set(wave.held) == {s.certificate for s in statuses if (s.tenant, s.region) == ("acme", "north")}
    assert not taken & set(wave.held)


def test_a_healthy_estate_has_no_wave():
    assert next_wave([status(1, wrong=())], {}, {}, START) is None


def test_renewals_of_one_day_are_spread_over_the_window():
    ends = START + LIFETIME
    due = [renewal_at(f"s{n}-tls", f"{n:x}", START, ends) for n in range(900)]
    assert min(due) >= START + RENEW_AFTER * LIFETIME
    assert max(due) < START + (RENEW_AFTER + WINDOW) * LIFETIME
    per_hour = Counter(int((at - START) / timedelta(hours=1)) for at in due)
    # 900 over 216 hours are 4.2 an hour; the busiest of evenly spread ones has some 12 (Poisson), a herd all 900.
    assert max(per_hour.values()) <= 15
    assert due == [renewal_at(f"s{n}-tls", f"{n:x}", START, ends) for n in range(900)]


@pytest.fixture
async def bench(tmp_path):
    bench = await trust_bench(tmp_path)
    yield bench
    await bench.close()


async def test_a_distrusted_issuer_is_replaced_everywhere(bench):
    await bench.look()
    before = bench.planes.certificates.issuer("platform-ca").signs_as()
    done = await bench.rotate("issuer.distrust", "platform-ca")
    assert done.result == {"distrusted": before, "signs_as": "platform-ca 2"}
    found = await bench.look()
    assert {f.kind for f in found} == {"certificate.reissue"}
    assert len({f.tenant for f in found}) == len(found)
    while found:
        for act in [act for finding in found for act in finding.acts]:
            assert (await bench.rotate(act.kind, act.target.id)).status == "done"
        found = await bench.look()
    assert await bench.look() == ()


async def test_distrusting_twice_in_one_operation_leaves_the_next_in_trust(bench):
    record = bench.record("issuer.distrust", "platform-ca")
    first = await bench.rotate("issuer.distrust", "platform-ca", record)
    assert (await bench.rotate("issuer.distrust", "platform-ca", record)).result == first.result


async def test_only_the_platform_distrusts(bench):
    operator = operators(bench.parts)["issuer.distrust"]
    await operator.plan(await bench.asked("issuer.distrust", "platform-ca", PLATFORM))
    with pytest.raises(NotFound):
        await operator.plan(await bench.asked("issuer.distrust", "platform-ca", TenantId("acme")))


async def test_secrets_that_are_due_soon_are_replaced_with_their_services_certificate(bench):
    from runtime.services.certificates.overview import certificate_statuses, secret_statuses

    at = bench.parts.clock.now()
    topology = await bench.topology()
    statuses = await certificate_statuses(bench.planes, topology, at)
    secrets = await secret_statuses(bench.planes, topology)
    both = next(s for s in statuses if any(each.service == s.service for each in secrets))
    due = both.model_copy(update={"renewal_at": at})
    near = [s.model_copy(update={"renewal_at": at + timedelta(days=3)}) for s in secrets if s.service == both.service]
    (finding,) = findings(topology, [due], near, None, at)
    assert [act.kind for act in finding.acts] == ["certificate.rotate", *["secret.rotate"] * len(near)]
