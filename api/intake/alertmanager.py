"""Prometheus Alertmanager webhooks (payload version 4) as `runtime.alert.v1` events, one per alert.

Labels and annotations are kept whole; those that name a canonical dimension also fill it. Alerts get no id: a repeat
of the same words is a duplicate by its digest, a repeat with other words is told again.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from api.intake.dimensions import labelled
from domain.base import UtcDatetime
from domain.envelope import read_json
from domain.events import IncomingEvent
from domain.ids import TenantId
from domain.intake import RefusedInput

MAX_BODY_BYTES = 4 * 1024 * 1024
_TEXTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class _Alert(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    startsAt: UtcDatetime  # noqa: N815 the sender's own name
    endsAt: UtcDatetime | None = None  # noqa: N815 the sender's own name
    generatorURL: str = ""  # noqa: N815 the sender's own name
    fingerprint: str = ""


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal["4"]
    truncatedAlerts: int = 0  # noqa: N815 the sender's own name
    alerts: list[_Alert] = Field(min_length=1)


def read(headers: Mapping[str, str], body: bytes, source: str) -> list[IncomingEvent | RefusedInput]:
    """Return one event per alert, or why the body is no Alertmanager webhook."""
    del headers
    document = read_json(body, limit=len(body))
    if isinstance(document, RefusedInput):
        return [document]
    try:
        webhook = _Webhook.model_validate(document)
    except ValidationError as error:
        row = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in row["loc"])
        return [RefusedInput(reason="invalid", detail=f"no version 4 webhook: {where}: {row['msg']}", body=body)]
    return [_event(alert, webhook.truncatedAlerts, source) for alert in webhook.alerts]


def _event(alert: _Alert, truncated: int, source: str) -> IncomingEvent | RefusedInput:
    resolved = alert.status == "resolved"
    name = alert.labels.get("alertname", "")
    if not name:
        body = alert.model_dump_json().encode()
        return RefusedInput(reason="invalid", detail="the alert has no alertname label", body=body)
    data: dict[str, JsonValue] = {
        "alert": name,
        "status": alert.status,
        "fingerprint": alert.fingerprint,
        "labels": _TEXTS.validate_python(alert.labels),
        "annotations": _TEXTS.validate_python(alert.annotations),
        "starts_at": alert.startsAt.isoformat(),
        "ends_at": alert.endsAt.isoformat() if resolved and alert.endsAt is not None else None,
        "generator_url": alert.generatorURL,
    }
    return IncomingEvent(
        source=source,
        type="runtime.alert.v1",
        subject=f"alert/{name}"[:512],
        time=alert.endsAt if resolved and alert.endsAt is not None else alert.startsAt,
        tenantid=_tenant(alert.labels),
        dimensions=labelled(alert.labels),
        extensions={"truncatedalerts": truncated} if truncated else {},
        data=data,
    )


def _tenant(labels: Mapping[str, str]) -> TenantId | None:
    claimed = labels.get("tenantid") or labels.get("tenant")
    return TenantId(claimed) if claimed else None
