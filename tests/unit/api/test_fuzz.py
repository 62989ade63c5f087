"""Generated requests against every route: no answer is a server error, and every error is a problem."""

import schemathesis
from hypothesis import HealthCheck, settings

from tests.unit.api.fakes import World, app_over

SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", app_over(World(leaky=False)))


@SCHEMA.parametrize()
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_server(case: schemathesis.Case) -> None:
    response = case.call(headers={"Authorization": "Bearer root"})
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
