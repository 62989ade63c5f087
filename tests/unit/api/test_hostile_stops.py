"""A tenant's operator against a stop of the platform's: it stays, also when it was thrown over the tenant's own."""

import pytest

from tests.unit.api.fakes import World, app_over, client_of, freeze, switch

PLACERS = [("root", 403), ("platform-op", 403), ("opsmesh", 403), ("dana", 204), ("guest", 204)]


@pytest.mark.parametrize(("by", "status"), PLACERS)
async def test_a_stop_of_the_platforms_operator_is_taken_back_by_one_only(by: str, status: int) -> None:
    world = World(leaky=False)
    world.switches.append(switch("tenant", "acme").model_copy(update={"engaged_by": by}))
    world.freezes_["frz-acme"] = freeze("acme").model_copy(update={"by": by})
    paths = ("/v1/kill-switches/tenant/acme?reason=x", "/v1/freezes/frz-acme?tenant=acme")
    async with client_of(app_over(world), "dana") as client:
        assert [(await client.delete(path)).status_code for path in paths] == [status, status]
    assert bool(world.calls) == (status == 204)
    async with client_of(app_over(world), "root") as client:
        assert [(await client.delete(path)).status_code for path in paths] == [204, 204]
