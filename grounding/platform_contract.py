"""The platform's own envelope and ours, both ways without loss.

The platform wraps what happened in its canonical event envelope: identity and cross-cutting dimensions in named
groups, the payload beside them. Our form is CloudEvents. This page holds the correspondence, field by field; it is
pinned by golden samples, and `docs/platform-contract.md` says what is assumed.
"""

from pydantic import JsonValue, TypeAdapter, ValidationError

from domain.base import Frozen
from domain.envelope import event_of
from domain.events import IncomingEvent
from domain.intake import RefusedInput

CORRESPONDENCE: tuple[tuple[str, str, str], ...] = (
    ("", "eventId", "id"),
    ("", "eventType", "type"),
    ("", "source", "source"),
    ("", "subject", "subject"),
    ("", "occurredAt", "time"),
    ("", "schemaUrl", "dataschema"),
    ("dimensions", "tenantId", "tenantid"),
    ("dimensions", "environmentId", "environmentid"),
    ("dimensions", "serviceId", "serviceid"),
    ("dimensions", "region", "region"),
    ("dimensions", "computeTarget", "computetarget"),
    ("dimensions", "deploymentId", "deploymentid"),
    ("dimensions", "severity", "severity"),
    ("trace", "traceparent", "traceparent"),
    ("trace", "correlationId", "correlationid"),
    ("trace", "causationId", "causationid"),
    ("trace", "sequence", "sequence"),
)
"""(group, the platform's name, CloudEvents attribute). The payload is `payload` there and `data` here."""
ENVELOPE_VERSION = "1"
_OURS = {(group, theirs): ours for group, theirs, ours in CORRESPONDENCE}
_THEIRS = {ours: (group, theirs) for group, theirs, ours in CORRESPONDENCE}
_GROUPS = ("dimensions", "trace", "extensions")
_RESERVED = frozenset({"specversion", "data"})


class PlatformEnvelope(Frozen):
    """The platform's canonical event envelope, version 1."""

    envelopeVersion: str  # noqa: N815 the platform's own name
    eventId: str | None = None  # noqa: N815 the platform's own name
    eventType: str  # noqa: N815 the platform's own name
    source: str
    subject: str | None = None
    occurredAt: str | None = None  # noqa: N815 the platform's own name
    schemaUrl: str | None = None  # noqa: N815 the platform's own name
    dimensions: dict[str, str]
    trace: dict[str, str] | None = None
    extensions: dict[str, bool | int | str] | None = None
    """Whatever CloudEvents attribute has no name of its own in the envelope."""
    payload: JsonValue = None


_ENVELOPE: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def from_platform(document: JsonValue) -> IncomingEvent | RefusedInput:
    """Read the platform's envelope as our event; why not, when it is none."""
    try:
        envelope = PlatformEnvelope.model_validate(document)
    except ValidationError as error:
        row = error.errors(include_input=False)[0]
        detail = f"no platform envelope: {'.'.join(str(part) for part in row['loc'])}: {row['msg']}"
        return RefusedInput(reason="invalid", detail=detail, body=repr(document).encode(errors="replace"))
    if twice := sorted((envelope.extensions or {}).keys() & (_THEIRS.keys() | _RESERVED)):
        detail = f"extensions repeat a name of the envelope: {', '.join(twice)}"
        return RefusedInput(reason="invalid", detail=detail, body=repr(document).encode(errors="replace"))
    if envelope.envelopeVersion != ENVELOPE_VERSION:
        detail = f"envelope version {envelope.envelopeVersion!r} is not {ENVELOPE_VERSION!r}"
        return RefusedInput(reason="unsupported", detail=detail, body=repr(document).encode(errors="replace"))
    return event_of(_cloudevent(_ENVELOPE.validate_python(envelope.model_dump(exclude_none=True))))


def _cloudevent(stated: dict[str, JsonValue]) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {"specversion": "1.0"}
    if "payload" in stated:
        document["data"] = stated["payload"]
    document |= {_OURS["", name]: value for name, value in stated.items() if ("", name) in _OURS}
    for group in _GROUPS:
        members = stated.get(group)
        for name, value in members.items() if isinstance(members, dict) else ():
            document[_OURS.get((group, name), name if group == "extensions" else f"{group}.{name}")] = value
    return document


def to_platform(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Write a CloudEvents document (`domain.envelope.document_of`) as the platform's envelope."""
    envelope: dict[str, JsonValue] = {"envelopeVersion": ENVELOPE_VERSION}
    groups: dict[str, dict[str, JsonValue]] = {"dimensions": {}}
    for name, value in document.items():
        if name in _RESERVED:
            continue
        group, theirs = _THEIRS.get(name) or _grouped(name)
        if group:
            groups.setdefault(group, {})[theirs] = value
        else:
            envelope[theirs] = value
    envelope |= groups
    if document.get("data") is not None:
        envelope["payload"] = document["data"]
    return envelope


def _grouped(name: str) -> tuple[str, str]:
    """Return the group of a dimension or trace field that a newer platform sent and we only carry."""
    group, dot, theirs = name.partition(".")
    return (group, theirs) if dot and group in {"dimensions", "trace"} else ("extensions", name)
