"""Azure Monitor alerts (common alert schema) as `runtime.alert.v1` events.

The essentials become labels, the alert context is kept under `context`. What the alert's custom properties say about
service and environment fills the dimensions; without them the first configuration item names the service.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from api.intake.dimensions import labelled
from domain.base import UtcDatetime
from domain.envelope import read_json
from domain.events import IncomingEvent
from domain.ids import TenantId
from domain.intake import RefusedInput


class _Essentials(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    alertId: str  # noqa: N815 the sender's own name
    alertRule: str = Field(min_length=1)  # noqa: N815 the sender's own name
    severity: Literal["Sev0", "Sev1", "Sev2", "Sev3", "Sev4"]
    monitorCondition: Literal["Fired", "Resolved"]  # noqa: N815 the sender's own name
    signalType: str = ""  # noqa: N815 the sender's own name
    monitoringService: str = ""  # noqa: N815 the sender's own name
    alertTargetIDs: list[str] = Field(default_factory=list[str])  # noqa: N815 the sender's own name
    configurationItems: list[str] = Field(default_factory=list[str])  # noqa: N815 the sender's own name
    originAlertId: str = ""  # noqa: N815 the sender's own name
    firedDateTime: UtcDatetime  # noqa: N815 the sender's own name
    resolvedDateTime: UtcDatetime | None = None  # noqa: N815 the sender's own name
    description: str | None = None


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    essentials: _Essentials
    alertContext: JsonValue = None  # noqa: N815 the sender's own name
    customProperties: dict[str, JsonValue] | None = None  # noqa: N815 the sender's own name


class _Alert(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    schemaId: Literal["azureMonitorCommonAlertSchema"]  # noqa: N815 the sender's own name
    data: _Data


def read(headers: Mapping[str, str], body: bytes, source: str) -> list[IncomingEvent | RefusedInput]:
    """Return the alert as one event, or why the body is none."""
    del headers
    document = read_json(body, limit=len(body))
    if isinstance(document, RefusedInput):
        return [document]
    try:
        alert = _Alert.model_validate(document)
    except ValidationError as error:
        row = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in row["loc"])
        return [RefusedInput(reason="invalid", detail=f"no common alert schema: {where}: {row['msg']}", body=body)]
    return [_event(alert.data, source)]


def _event(data: _Data, source: str) -> IncomingEvent:
    facts = data.essentials
    labels = _labels(data)
    resolved = facts.monitorCondition == "Resolved"
    stated: dict[str, JsonValue] = {
        "alert": facts.alertRule,
        "status": "resolved" if resolved else "firing",
        "fingerprint": facts.alertId,
        "labels": dict(labels),
        "annotations": {"description": facts.description} if facts.description else {},
        "starts_at": facts.firedDateTime.isoformat(),
        "ends_at": facts.resolvedDateTime.isoformat() if facts.resolvedDateTime is not None else None,
        "targets": list(facts.alertTargetIDs),
        "context": data.alertContext,
    }
    claimed = labels.get("tenantid") or labels.get("tenant")
    return IncomingEvent(
        source=source,
        type="runtime.alert.v1",
        subject=f"alert/{facts.alertRule}"[:512],
        time=(facts.resolvedDateTime if resolved else None) or facts.firedDateTime,
        tenantid=TenantId(claimed) if claimed else None,
        dimensions=labelled(labels),
        data=stated,
    )


def _labels(data: _Data) -> dict[str, str]:
    facts = data.essentials
    labels = {
        "alertname": facts.alertRule,
        "severity": facts.severity,
        "signaltype": facts.signalType,
        "monitoringservice": facts.monitoringService,
    }
    if facts.configurationItems:
        labels["service"] = facts.configurationItems[0]
    custom = data.customProperties or {}
    return labels | {name: value for name, value in custom.items() if isinstance(value, str)}
