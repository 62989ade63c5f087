"""CloudEvents JSON and the envelope, both ways: strict reading of hostile bytes, lossless writing.

Reading refuses what two readers could understand differently: duplicate keys, NaN, lone surrogates, NUL characters
and bottomless nesting. What it refuses it returns as a RefusedInput with the reason, so that nothing is lost.
"""

import base64
import binascii
import json
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from domain.base import Frozen
from domain.catalogue import EVENT_MODELS
from domain.events import Dimensions, Event, IncomingEvent
from domain.intake import RefusedInput

MAX_EVENT_BYTES = 262_144
"""256 KiB, four times the 64 KiB that CloudEvents asks every intermediary to forward."""
MAX_DEPTH = 64
"""Levels of nesting; the deepest honest bodies (Azure Monitor) have under ten."""

_EXACT = 2**53
"""Every integer below it is exactly a double (IEEE 754)."""
_DIMENSIONS = frozenset(Dimensions.model_fields)
_ENVELOPE = frozenset({"specversion", "id", "source", "type", "subject", "time", "tenantid", "data"})
_DATA_BASE64 = "data_base64"


class _DuplicateKeyError(ValueError):
    """An object names the same key twice."""


class _NotANumberError(ValueError):
    """NaN or infinity, which JSON does not have."""


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError("an object names the same key twice")
    return found


def _no_constant(name: str) -> float:
    raise _NotANumberError(f"{name} is not JSON")


def _number(text: str) -> float | int:
    """Read 500.0 as 500: the same number, in the form that canonical JSON writes."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_number)


def read_json(body: bytes, *, limit: int = MAX_EVENT_BYTES) -> JsonValue | RefusedInput:
    """Read strict JSON. Returns the value, or why it cannot be taken."""
    if len(body) > limit:
        return RefusedInput(reason="too_large", detail=f"larger than {limit} bytes", body=body)
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(text):
            return RefusedInput(reason="too_deep", detail=f"nested deeper than {MAX_DEPTH} levels", body=body)
        return _STRICT.decode(text)
    except _DuplicateKeyError as error:
        return RefusedInput(reason="duplicate_key", detail=str(error), body=body)
    except _NotANumberError as error:
        return RefusedInput(reason="not_a_number", detail=str(error), body=body)
    except UnicodeDecodeError as error:
        return RefusedInput(reason="bad_text", detail=f"not UTF-8 at byte {error.start}", body=body)
    except ValueError as error:
        return RefusedInput(reason="malformed", detail=f"not JSON: {error}", body=body)


def _too_deep(text: str) -> bool:
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            in_string, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif char in "]}":
            depth -= 1
    return False


def read_event(body: bytes) -> IncomingEvent | RefusedInput:
    """Read one CloudEvent in JSON format. Whether its data fits its type is asked by `data_problem`."""
    document = read_json(body)
    return document if isinstance(document, RefusedInput) else event_of(document, body)


def event_of(document: JsonValue, body: bytes | None = None) -> IncomingEvent | RefusedInput:
    """Turn a CloudEvents JSON document into the envelope; `body` is what is kept when it cannot be."""
    if not isinstance(document, dict):
        return RefusedInput(reason="invalid", detail="an event is a JSON object", body=_kept(document, body))
    try:
        return _envelope(document)
    except ValidationError as error:
        return RefusedInput(reason="invalid", detail=_first(error), body=_kept(document, body))
    except ValueError as error:
        return RefusedInput(reason="invalid", detail=str(error), body=_kept(document, body))


def _envelope(document: dict[str, JsonValue]) -> IncomingEvent:
    fields: dict[str, object] = {}
    dimensions: dict[str, JsonValue] = {}
    extensions: dict[str, JsonValue] = {}
    for name, value in document.items():
        if name in _ENVELOPE:
            fields[name] = value
        elif name in _DIMENSIONS:
            dimensions[name] = value
        elif name == _DATA_BASE64:
            _check_base64(value)
            extensions[name] = value
        else:
            extensions[name] = value
    if "specversion" not in fields:
        raise ValueError("specversion is missing")
    fields["dimensions"] = dimensions
    if extensions:
        fields["extensions"] = extensions
    return IncomingEvent.model_validate(fields)


def _check_base64(value: JsonValue) -> None:
    try:
        base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except binascii.Error as error:
        raise ValueError(f"data_base64 is not base 64: {error}") from error


def data_problem(event: IncomingEvent) -> str | None:
    """Tell what in the data of a known type does not fit its model; None when it fits or the type is unknown.

    Fields the model does not know are kept: types are additive, a newer sender may say more.
    """
    model: type[Frozen] | None = EVENT_MODELS.get(event.type)
    if model is None:
        return None
    try:
        model.model_validate(event.data, extra="ignore")
    except ValidationError as error:
        return _first(error)
    return None


def _first(error: ValidationError) -> str:
    row = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}"


def _kept(document: JsonValue, body: bytes | None) -> bytes:
    return json.dumps(document).encode() if body is None else body


def document_of(event: IncomingEvent | Event) -> dict[str, JsonValue]:
    """Write an event as a CloudEvents JSON document. Reading it again gives the same event.

    An accepted event says its tenant; what only we know (key, received_at, trust) is not part of the envelope.
    """
    document: dict[str, JsonValue] = {"specversion": "1.0"}
    tenant = event.tenant if isinstance(event, Event) else event.tenantid
    stated: Mapping[str, JsonValue] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": None if event.time is None else event.time.isoformat().replace("+00:00", "Z"),
        "tenantid": tenant,
        **dict(event.dimensions),
        **event.extensions,
        "data": event.data,
    }
    return document | {name: value for name, value in stated.items() if value is not None}


def write_event(event: IncomingEvent | Event) -> bytes:
    """Write an event as CloudEvents JSON bytes."""
    return json.dumps(document_of(event), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
