"""Generated requests against every route: no server error, and every answer is of a documented status and form."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.api.fakes import World, app_over

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", app_over(World(leaky=False)))


@SCHEMA.parametrize()
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_server(case: schemathesis.Case) -> None:
    response = case.call(headers={"Authorization": "Bearer root"})
    case.validate_response(response, checks=CHECKS)
