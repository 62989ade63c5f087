"""A tenant's administrator who wants more: trusted evidence, the platform's names, other tenants' identities."""

import httpx
import pytest

from tests.unit.api.fakes import World, app_over, client_of, somebody

SOURCE = {"id": "feed@acme", "source": "urn:acme:feed", "tenants": ["acme"]}
PERSON = {"id": "eve@acme", "kind": "person", "name": "Eve", "grants": [{"role": "viewer", "tenant": "acme"}]}
RESERVED_SOURCES = (
    "*", "/", "//", "/runtime", "/runtime/", "/runtime/eu", "//runtime", "/./runtime", "/x/../runtime", "/RunTime",
    "runtime", "/%72untime", "/%2572untime", "/runtime\u200b", "/runt\u0456me", "/\uff52untime",
    " /runtime", "\\runtime", "/runtime?x",
    "opsmesh", "opsmesh:core", "urn:*",
)  # fmt: skip
RESERVED_IDS = (
    "agent:sre", "worker:cost", "service:mesh", "source:runtime:acme", "policy", "clock", "opsmesh", "file", "platform",
    "AGENT:sre", "Worker:cost", "Policy", "OPSMESH", "worker", "clock@acme", "worker:cost@acme", "Agent:sre@acme",
    "release-controller@acme",
)  # fmt: skip


async def post(world: World, token: str, path: str, body: object) -> httpx.Response:
    async with client_of(app_over(world), token) as client:
        return await client.post(path, json=body)


async def test_a_tenant_vouches_for_nothing_as_the_platform() -> None:
    world = World(leaky=False)
    answer = await post(world, "dana", "/v1/sources", SOURCE | {"trust": "platform"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "trust_beyond_tenant")
    assert world.calls == []
    assert (await post(world, "dana", "/v1/sources", SOURCE)).status_code == 201
    assert (await post(world, "root", "/v1/sources", SOURCE | {"trust": "platform"})).status_code == 201


@pytest.mark.parametrize("name", RESERVED_SOURCES, ids=ascii)
async def test_a_tenant_does_not_speak_under_the_platforms_name(name: str) -> None:
    world = World(leaky=False)
    answer = await post(world, "dana", "/v1/sources", SOURCE | {"source": name})
    assert (answer.status_code, answer.json()["reason"]) == (422, "reserved_source"), name
    assert world.calls == []


@pytest.mark.parametrize("name", ["*", "/runtime"])
async def test_the_platforms_operator_names_its_own_sources(name: str) -> None:
    asked = SOURCE | {"source": name, "trust": "platform"}
    assert (await post(World(leaky=False), "root", "/v1/sources", asked)).status_code == 201


@pytest.mark.parametrize("name", ["urn:acme:feed", "/acme/prometheus", "feed.acme.example", "/run", "grafana-1"])
async def test_a_tenants_own_names_are_its_own(name: str) -> None:
    assert (await post(World(leaky=False), "dana", "/v1/sources", SOURCE | {"source": name})).status_code == 201


@pytest.mark.parametrize("token", ["dana", "root"])
@pytest.mark.parametrize("name", RESERVED_IDS)
async def test_nobody_is_named_like_a_part_of_the_platform(name: str, token: str) -> None:
    world = World(leaky=False)
    for path, body in (("/v1/principals", PERSON), ("/v1/sources", SOURCE)):
        answer = await post(world, token, path, body | {"id": name})
        assert (answer.status_code, answer.json()["reason"]) == (422, "reserved_id")
    assert world.calls == []


@pytest.mark.parametrize("name", ["agent:sr\u0435", "w\u043erker:cost", "policy\u200b", "\uff50olicy"], ids=ascii)
async def test_letters_that_only_look_alike_are_no_names(name: str) -> None:
    assert (await post(World(leaky=False), "dana", "/v1/principals", PERSON | {"id": name})).status_code == 422


@pytest.mark.parametrize("name", ["stranger", "root", "never-heard-of", "eve@globex", "eve@x@acme", "@acme"])
async def test_an_id_of_another_tenant_is_answered_like_a_free_one(name: str) -> None:
    """Identities of a tenant end in its name, so a taken id is always one of its own."""
    world = World(leaky=False)
    answer = await post(world, "dana", "/v1/principals", PERSON | {"id": name})
    if name == "@acme":  # not a name at all
        assert answer.status_code == 422
    else:
        assert (answer.status_code, answer.json()["reason"]) == (422, "foreign_id")
        assert name not in answer.text
    assert world.calls == []


@pytest.mark.parametrize("kind", ["agent", "service"])
@pytest.mark.parametrize("name", ["agent:sre", "worker:cost", "service:mesh"])
async def test_no_token_is_given_out_for_a_part_of_the_platform(name: str, kind: str) -> None:
    world = World(leaky=False)
    world.people[name] = somebody(name, "proposer", tenant="*", kind=kind)
    for token, refused in (("root", 403), ("dana", 404)):
        answer = await post(world, token, f"/v1/principals/{name}/tokens", None)
        assert answer.status_code == refused
    assert world.calls == []


async def test_what_is_out_of_reach_has_one_answer() -> None:
    async with client_of(app_over(World(leaky=False)), "dana") as client:
        for method, path, body in (
            ("PUT", "/v1/principals/{}/grants", {"grants": []}), ("POST", "/v1/principals/{}/tokens", None),
            ("DELETE", "/v1/principals/{}", None),
        ):  # fmt: skip
            foreign, missing = [
                await client.request(method, path.format(name), json=body) for name in ("stranger", "nobody-here")
            ]
            assert foreign.status_code == missing.status_code == 404
            assert foreign.content == missing.content
