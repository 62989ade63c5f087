"""Reads a symptom event as a sighting: which entity, which signal, rising or falling.

A sighting is what incident folding works on; every other event is context and yields None.
"""

from datetime import datetime, timedelta

from pydantic import ValidationError

from domain.base import Digest, Frozen, Severity, digest_of
from domain.catalogue import AlertFired, CertificateExpiring, HealthDegraded, HealthRecovered, SloBurn
from domain.events import Event
from domain.topology import EntityRef

# Rotation is due 30 days before the end (ACME clients' convention); on the last day it has failed and is an incident.
CERTIFICATE_LAST_CALL = timedelta(days=1)
# A burn is told once, as it begins, and nobody tells its end: the hour is the long window of its alert.
BURN_STANDS = timedelta(hours=1)
# Signals whose recovery says that the error budget no longer burns.
BURN_CAUSES = frozenset({"latency", "errors", "availability"})
BURN = "slo_burn"
# Labels by which Alertmanager rules and Azure Monitor name the thing that is wrong, most specific first.
ALERT_ENTITY_LABELS: tuple[tuple[str, str], ...] = (
    ("service", "service"),
    ("serviceid", "service"),
    ("service_name", "service"),
    ("app", "service"),
    ("node", "node"),
)


class Sighting(Frozen):
    """One statement that a signal of an entity left its gate (`rising`) or came back."""

    entity: str
    signal: str
    """Empty on a falling sighting that clears every signal of the entity."""
    rising: bool
    at: datetime
    severity: Severity
    title: str

    @property
    def fingerprint(self) -> Digest:
        """The same entity and signal give the same fingerprint."""
        return digest_of([self.entity, self.signal])


def sighting(event: Event) -> Sighting | None:
    """Return what the event says about a signal, None when it says nothing or its data does not fit its type."""
    try:
        return _read(event)
    except ValidationError:
        return None  # kept in the log as it came; a body that does not fit its type cannot open an incident


def _read(event: Event) -> Sighting | None:
    match event.type:
        case "runtime.health.degraded.v1":
            health = HealthDegraded.model_validate(event.data)
            title = f"{health.service}: {health.signal} {health.observed:g}{health.unit}, gate {health.threshold:g}"
            return _of(event, f"service/{health.service}", health.signal, title)
        case "runtime.health.recovered.v1":
            calm = HealthRecovered.model_validate(event.data)
            title = f"{calm.service}: {calm.signal} recovered"
            return _of(event, f"service/{calm.service}", calm.signal, title, rising=False)
        case "runtime.slo.burn.v1":
            burn = SloBurn.model_validate(event.data)
            title = f"{burn.service}: error budget burns {burn.burn_rate:g} times too fast"
            return _of(event, f"service/{burn.service}", BURN, title)
        case "runtime.certificate.expiring.v1":
            return _certificate(event)
        case "runtime.alert.v1":
            return _alert(event)
        case _:
            return None


def _certificate(event: Event) -> Sighting | None:
    data = CertificateExpiring.model_validate(event.data)
    if data.not_after - event.time > CERTIFICATE_LAST_CALL:
        return None
    return _of(event, f"service/{data.service}", "certificate", f"{data.service}: certificate {data.certificate} ends")


def _alert(event: Event) -> Sighting | None:
    alert = AlertFired.model_validate(event.data)
    found = next(((kind, alert.labels[name]) for name, kind in ALERT_ENTITY_LABELS if alert.labels.get(name)), None)
    if found is None:
        return None
    address = EntityRef.model_validate({"kind": found[0], "id": found[1]}).address
    return _of(event, address, f"alert:{alert.alert}", f"{found[1]}: {alert.alert}", rising=alert.status == "firing")


def _of(event: Event, entity: str, signal: str, title: str, *, rising: bool = True) -> Sighting:
    return Sighting(
        entity=entity,
        signal=signal,
        rising=rising,
        at=event.time,
        severity=event.dimensions.severity,
        title=title[:200],
    )
