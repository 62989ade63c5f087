"""The certificates endpoint: a tenant's own certificates and secrets by handshake and login, and no others."""

import pytest

from domain.trust import CertificatesAnswer
from tests.support.runtime_bench import EXECUTOR
from tests.support.trust_bench import trust_bench

PATH = "/runtime/certificates/prod"
TENANT, OTHER = "acme-retail", "borealis-media"


@pytest.fixture
async def bench(tmp_path):
    bench = await trust_bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
async def acme(bench):
    async with bench.bench.http(f"{TENANT}-token") as http:
        yield http


async def told(http):
    response = await http.get(PATH)
    assert response.status_code == 200, response.text
    return CertificatesAnswer.model_validate_json(response.content)


async def test_a_tenant_sees_its_own_part_only(bench, acme):
    async with bench.bench.http(EXECUTOR) as platform:
        whole = await told(platform)
    own = await told(acme)
    assert (own.tenant, own.environment, own.at) == (TENANT, "prod", bench.world.now)
    assert {c.certificate for c in whole.certificates} == set(bench.world.certificates)
    assert {s.secret for s in whole.secrets} == set(bench.world.logins.ends_s)
    assert own.certificates == tuple(c for c in whole.certificates if c.tenant == TENANT) != ()
    assert own.secrets == tuple(s for s in whole.secrets if s.tenant == TENANT) != ()
    assert {each.tenant for each in (*whole.certificates, *whole.secrets)} > {TENANT}


async def test_it_tells_what_is_served_now(bench, acme):
    before = (await told(acme)).certificates[0]
    await bench.rotate("certificate.rotate", before.certificate)
    after = (await told(acme)).certificates[0]
    assert (after.certificate, after.wrong) == (before.certificate, ())
    assert after.served == after.installed
    assert after.served.serial != before.served.serial


async def test_a_strangers_answer_is_the_one_for_a_missing_environment(acme):
    missing = await acme.get("/runtime/certificates/nowhere")
    acme.headers["Opsmesh-Tenant"] = OTHER
    crossed = await acme.get(PATH)
    assert missing.status_code == crossed.status_code == 404
    assert missing.content == crossed.content
    assert missing.headers == crossed.headers


async def test_the_answer_has_the_published_form(bench):
    answer = bench.bench.app.openapi()["paths"]["/runtime/certificates/{environment}"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/CertificatesAnswer"}
