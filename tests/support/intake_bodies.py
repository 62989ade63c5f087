"""One honest body for each way in: what a sender sends of its own tenant, or claiming another."""

from datetime import timedelta

EVENTS = {"Content-Type": "application/cloudevents+json"}
JSON = {"Content-Type": "application/json"}
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def intake_bodies(at, name, tenant=None):
    """Return (headers, body) by route: named `name`, claiming a tenant where one is given."""
    claim = {} if tenant is None else {"tenantid": tenant}
    begun = at - timedelta(minutes=1)
    nanos = str(int(begun.timestamp()) * 1_000_000_000)
    event = {
        "specversion": "1.0", "id": name, "source": "/hand", "type": "runtime.health.degraded.v1",
        "subject": "service/checkout", "time": _text(begun), "environmentid": "prod", "serviceid": "checkout",
        "severity": "error", "data": {
            "service": "checkout", "signal": "latency", "observed": 812.5, "threshold": 500.0, "unit": "ms",
            "message": "p95 above its gate",
        },
    }  # fmt: skip
    alert = {
        "status": "firing", "labels": {"alertname": name, "service": "checkout", "env": "prod"} | claim,
        "annotations": {}, "startsAt": _text(begun), "endsAt": "0001-01-01T00:00:00Z", "fingerprint": name,
    }  # fmt: skip
    essentials = {
        "alertId": f"/subscriptions/1/alerts/{name}", "alertRule": name, "severity": "Sev1", "signalType": "Metric",
        "monitorCondition": "Fired", "monitoringService": "Platform", "alertTargetIDs": ["/vm/web-1"],
        "configurationItems": ["web-1"], "originAlertId": "x", "firedDateTime": _text(begun), "description": "hot",
        "essentialsVersion": "1.0", "alertContextVersion": "1.0",
    }  # fmt: skip
    azure = {"essentials": essentials, "alertContext": {"conditionType": "Metric"}, "customProperties": claim or None}
    stated = {"service.name": "checkout", "deployment.environment.name": "prod"} | claim
    resource = {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in stated.items()]}
    metric = {"name": name, "unit": "1", "gauge": {"dataPoints": [{"asDouble": 0.5, "timeUnixNano": nanos}]}}
    line = {"timeUnixNano": nanos, "severityText": "ERROR", "body": {"stringValue": f"{name} failed"}}
    span = {
        "traceId": TRACE, "spanId": SPAN, "name": name, "kind": 2, "startTimeUnixNano": nanos,
        "endTimeUnixNano": str(int(nanos) + 1_000_000),
    }  # fmt: skip
    return {
        "POST /events": (EVENTS, event | claim),
        "POST /webhooks/alertmanager": (
            JSON, {"version": "4", "groupKey": "g", "status": "firing", "receiver": "us", "alerts": [alert]}
        ),
        "POST /webhooks/azure-monitor": (JSON, {"schemaId": "azureMonitorCommonAlertSchema", "data": azure}),
        "POST /v1/metrics": (
            JSON, {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
        ),
        "POST /v1/logs": (JSON, {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [line]}]}]}),
        "POST /v1/traces": (JSON, {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}),
    }  # fmt: skip


def _text(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
