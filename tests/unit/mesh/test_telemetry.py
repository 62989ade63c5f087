"""One trace id and the canonical dimensions on every span, metric and log line."""

import json
import logging

from domain.events import Dimensions
from domain.ids import EnvironmentId, TenantId
from mesh.telemetry import in_memory, trace_id_of

DIMENSIONS = Dimensions(environmentid=EnvironmentId("prod"), serviceid="api", region="west", correlationid="inc-1")
EXPECTED = {"tenantid": "t", "environmentid": "prod", "serviceid": "api", "region": "west", "correlationid": "inc-1"}


def test_every_signal_carries_the_dimensions_and_one_trace_id(caplog):
    telemetry, spans, metrics = in_memory(seed=1)
    with caplog.at_level(logging.INFO, logger="opsmesh"):
        with telemetry.span("detect", tenant=TenantId("t"), dimensions=DIMENSIONS) as first:
            pass
        with telemetry.span("propose", tenant=TenantId("t"), dimensions=DIMENSIONS, parent=first) as second:
            pass
    trace_id = trace_id_of(first)
    assert trace_id_of(second) == trace_id
    for span in spans.get_finished_spans():
        assert EXPECTED.items() <= dict(span.attributes or {}).items()
        assert f"{span.context.trace_id:032x}" == trace_id
    for line in caplog.messages:
        assert EXPECTED.items() | {("trace_id", trace_id)} <= json.loads(line).items()
    data = metrics.get_metrics_data()
    assert data is not None
    points = [p for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics for p in m.data.data_points]
    assert len(points) == 2
    for point in points:
        assert EXPECTED.items() | {("trace_id", trace_id)} <= dict(point.attributes).items()
    telemetry.close()
