"""The event routes over HTTP on each database: every mode, every sender, and a problem for what is refused."""

import gzip
import json
from collections.abc import Iterator

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import JsonValue

from api.auth import install_auth
from api.intake.routes import MAX_BODY_BYTES, install_event_intake
from api.problems import install_problems
from domain.errors import Unauthenticated
from domain.principals import EventSourceKey, Principal, RoleGrant
from storage.engine import Database
from tests.intake import ACME, ACME_KEY, BOTH_KEY, GLOBEX, NOW, Desk, degraded, desk, wire

PERSON = Principal.model_validate(
    {"id": "ann", "kind": "person", "name": "Ann", "grants": (RoleGrant(role="ingest", tenant=ACME),)}
)
VIEWER = PERSON.model_copy(update={"grants": (RoleGrant(role="viewer", tenant=ACME),)})
TOKENS: dict[str, Principal | EventSourceKey] = {
    "acme": ACME_KEY,
    "both": BOTH_KEY,
    "person": PERSON,
    "viewer": VIEWER,
    "alerts": ACME_KEY.model_copy(update={"id": "am", "source": "alertmanager"}),
}


class Doorman:
    def authenticate(self, token: str) -> Principal | EventSourceKey:
        if token not in TOKENS:
            raise Unauthenticated("unknown token")
        return TOKENS[token]


@pytest.fixture
def front(database: Database) -> Desk:
    return desk(database)


@pytest.fixture
def client(front: Desk) -> Iterator[TestClient]:
    app = FastAPI()
    install_problems(app)
    install_auth(app, Doorman())
    install_event_intake(app, front.log)
    with TestClient(app) as client:
        yield client


def post(client: TestClient, body: bytes, path: str = "/events", token: str = "acme", **headers: str):
    sent = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, content=body, headers=sent | named)


def peer_event(**attributes: str) -> CloudEvent:
    stated = {k: v for k, v in degraded().items() if k not in {"data", "time"}}
    return CloudEvent(attributes=stated | {"time": NOW} | attributes, data=degraded()["data"])


def test_another_implementation_is_understood_in_every_mode(front: Desk, client: TestClient) -> None:
    structured = http.to_structured(peer_event(id="s"), JSONFormat())
    binary = http.to_binary(peer_event(id="b", subject="service/k\u00e4se %41"), JSONFormat())
    members = b",".join(http.to_structured(peer_event(id=i), JSONFormat()).body for i in ("1", "2"))
    batch = http.HTTPMessage({"content-type": "application/cloudevents-batch+json"}, b"[" + members + b"]")
    for message in (structured, binary, batch):
        headers = {"authorization": "Bearer acme", **message.headers}
        answer = client.post("/events", content=message.body, headers=headers)
        assert answer.status_code == 202, answer.text
    kept = {event.id: event for _, event in front.log.since(0, "*")}
    assert list(kept) == ["s", "b", "1", "2"]
    assert kept["b"].subject == "service/k\u00e4se %41"
    assert {json.dumps(event.data, sort_keys=True) for event in kept.values()} == {
        json.dumps(degraded()["data"], sort_keys=True).replace("500.0", "500")
    }


def test_binary_data_that_is_no_json_is_kept(front: Desk, client: TestClient) -> None:
    attributes = {"ce_specversion": "1.0", "ce_source": "/runtime", "ce_type": "vendor.blob"}
    post(client, b"\x00\xff", **attributes, content_type="application/octet-stream")
    post(client, b"plain words", **attributes, content_type="text/plain")
    blob, text = (event for _, event in front.log.since(0, "*"))
    assert (blob.extensions["data_base64"], text.data) == ("AP8=", "plain words")


def test_a_report_names_what_became_of_each_item(client: TestClient) -> None:
    batch: JsonValue = [degraded("1"), degraded("1"), degraded("2", tenantid="globex"), degraded("3")]
    answer = post(client, wire(batch), content_type="application/cloudevents-batch+json")
    report = answer.json()
    assert (answer.status_code, report["accepted"], report["duplicates"], len(report["keys"])) == (202, 2, 1, 2)
    assert [(r["position"], r["reason"]) for r in report["quarantined"]] == [(2, "cross_tenant")]


REFUSED = {
    "malformed": (b"{", {}, 400, "malformed"),
    "duplicate key": (b'{"id":"1","id":"2"}', {}, 400, "duplicate_key"),
    "cross tenant": (wire(degraded(tenantid="globex")), {}, 403, "cross_tenant"),
    "future": (wire(degraded(time="2099-01-01T00:00:00Z")), {}, 422, "future_time"),
    "no mode": (b"<xml/>", {"content_type": "application/xml"}, 415, "unsupported"),
    "batch of one bad": (wire([{"a": 1}]), {"content_type": "application/cloudevents-batch+json"}, 422, "invalid"),
    "no batch": (b"{}", {"content_type": "application/cloudevents-batch+json"}, 400, "malformed"),
    "data header": (b"1", {"ce_source": "/runtime", "ce_data": "1", "content_type": "text/plain"}, 422, "invalid"),
    "bad gzip": (b"nope", {"content_encoding": "gzip"}, 400, "malformed"),
    "cut gzip": (gzip.compress(wire(degraded()))[:-9], {"content_encoding": "gzip"}, 400, "malformed"),
    "odd coding": (b"x", {"content_encoding": "br"}, 415, "unsupported"),
    "gzip bomb": (gzip.compress(b"a" * 10 * MAX_BODY_BYTES), {"content_encoding": "gzip"}, 413, "too_large"),
    "ten MiB": (b"x" * 10 * 1024 * 1024, {}, 413, "too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests_are_problems_and_stand_in_quarantine(front: Desk, client: TestClient, name: str) -> None:
    body, headers, status, reason = REFUSED[name]
    answer = post(client, body, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["reason"] == reason
    (row,) = front.log.quarantined(ACME)
    assert row.reason == reason
    assert row.id in answer.json()["detail"]
    assert front.log.count(ACME) == 0


@pytest.mark.parametrize(("token", "status"), [("nobody", 401), ("viewer", 403)])
def test_who_may_not_send_leaves_no_trace(front: Desk, client: TestClient, token: str, status: int) -> None:
    answer = post(client, wire(degraded()), token=token)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (front.log.count(ACME), front.log.quarantined(ACME)) == (0, ())


def test_what_a_person_uploads_is_untrusted(front: Desk, client: TestClient) -> None:
    assert post(client, wire(degraded(source="/monitor")), token="person").status_code == 202
    assert post(client, wire(degraded("2"))).status_code == 202
    assert [event.trust for _, event in front.log.since(0, "*")] == ["untrusted", "platform"]


def test_what_a_person_uploads_does_not_take_an_id_of_the_platforms(front: Desk, client: TestClient) -> None:
    assert post(client, wire(degraded()), token="person").status_code == 403
    assert post(client, wire(degraded())).status_code == 202
    assert [event.trust for _, event in front.log.since(0, "*")] == ["platform"]


def test_gzip_is_unpacked(front: Desk, client: TestClient) -> None:
    assert post(client, gzip.compress(wire(degraded())), content_encoding="gzip").status_code == 202
    assert front.log.count(ACME) == 1


def alertmanager(*alerts: JsonValue, **overrides: JsonValue) -> bytes:
    return wire(
        {
            "version": "4",
            "groupKey": "g",
            "status": "firing",
            "receiver": "opsmesh",
            "alerts": list(alerts),
            **overrides,
        }
    )


def alert(**labels: str) -> dict[str, JsonValue]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "service": "checkout", "env": "prod", "severity": "page", **labels},
        "annotations": {"summary": "p99 above 2 s"},
        "startsAt": "2026-03-10T11:50:00.5Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1b2",
    }


def test_alertmanager_alerts_become_events_and_repeats_are_duplicates(front: Desk, client: TestClient) -> None:
    resolved = alert() | {"status": "resolved", "endsAt": "2026-03-10T11:58:00Z"}
    hook = alertmanager(alert(), resolved, truncatedAlerts=2)
    for expected in ((2, 0), (0, 2)):
        report = post(client, hook, "/webhooks/alertmanager", "alerts").json()
        assert (report["accepted"], report["duplicates"]) == expected
    fired, ended = (event for _, event in front.log.since(0, "*"))
    assert (fired.source, fired.type, fired.subject) == ("alertmanager", "runtime.alert.v1", "alert/HighLatency")
    assert (fired.dimensions.serviceid, fired.dimensions.environmentid, fired.dimensions.severity) == (
        "checkout",
        "prod",
        "critical",
    )
    assert (fired.extensions, fired.time.isoformat()) == ({"truncatedalerts": 2}, "2026-03-10T11:50:00.500000+00:00")
    assert isinstance(ended.data, dict)
    assert (ended.data["status"], ended.time.minute) == ("resolved", 58)


def test_an_alert_that_names_another_tenant_is_refused_alone(front: Desk, client: TestClient) -> None:
    hook = alertmanager(alert(), alert(tenant="globex"), alert(alertname=""), alert(service="a b"))
    report = post(client, hook, "/webhooks/alertmanager", "alerts").json()
    assert (report["accepted"], [r["reason"] for r in report["quarantined"]]) == (2, ["cross_tenant", "invalid"])
    assert front.log.count(GLOBEX) == 0


@pytest.mark.parametrize(
    "body", [alertmanager(), alertmanager(alert(), version="3"), alertmanager({"labels": 1}), b"[]"]
)
def test_what_is_no_alertmanager_webhook_is_refused_whole(front: Desk, client: TestClient, body: bytes) -> None:
    answer = post(client, body, "/webhooks/alertmanager", "alerts")
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")
    assert front.log.quarantined(ACME)[0].channel == "alertmanager"


def azure(condition: str = "Fired", **custom: JsonValue) -> bytes:
    essentials = {
        "alertId": "/subscriptions/1/providers/Microsoft.AlertsManagement/alerts/b9569717",
        "alertRule": "CPU over 90",
        "severity": "Sev1",
        "signalType": "Metric",
        "monitorCondition": condition,
        "monitoringService": "Platform",
        "alertTargetIDs": ["/subscriptions/1/vm/web-1"],
        "configurationItems": ["web-1"],
        "originAlertId": "x",
        "firedDateTime": "2026-03-10T11:22:23.4455667Z",
        "resolvedDateTime": "2026-03-10T11:30:00Z" if condition == "Resolved" else None,
        "description": "too hot",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    data = {"essentials": essentials, "alertContext": {"conditionType": "Metric"}, "customProperties": custom or None}
    return wire({"schemaId": "azureMonitorCommonAlertSchema", "data": data})


def test_azure_monitor_alerts_become_events(front: Desk, client: TestClient) -> None:
    for body in (azure(), azure("Resolved", service="billing", environment="prod")):
        assert post(client, body, "/webhooks/azure-monitor", "both").status_code == 202
    fired, ended = (event for _, event in front.log.since(0, "*"))
    assert (fired.source, fired.dimensions.serviceid, fired.dimensions.severity) == ("azure-monitor", "web-1", "error")
    assert (ended.dimensions.serviceid, ended.dimensions.environmentid, ended.time.minute) == ("billing", "prod", 30)
    assert isinstance(fired.data, dict)
    assert (fired.data["context"], fired.data["annotations"]) == (
        {"conditionType": "Metric"},
        {"description": "too hot"},
    )


@pytest.mark.parametrize("body", [azure("Pending"), wire({"schemaId": "other"}), azure().replace(b"Sev1", b"Sev9")])
def test_what_is_no_common_alert_is_refused(front: Desk, client: TestClient, body: bytes) -> None:
    assert post(client, body, "/webhooks/azure-monitor", "both").status_code == 422
    assert len(front.log.quarantined(ACME)) == 1


def test_an_azure_alert_cannot_choose_a_tenant(front: Desk, client: TestClient) -> None:
    answer = post(client, azure(tenantid="globex"), "/webhooks/azure-monitor", "acme")
    assert (answer.status_code, answer.json()["reason"]) == (403, "cross_tenant")
