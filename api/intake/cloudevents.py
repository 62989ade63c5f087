"""CloudEvents over HTTP in its three modes: structured, batched, and binary (attributes as `ce-` headers).

Pure: headers and bytes in, events or refusals out. The JSON format itself is read in `domain.envelope`.
"""

import base64
from collections.abc import Mapping
from urllib.parse import unquote

from pydantic import JsonValue

from domain.envelope import event_of, read_event, read_json
from domain.events import IncomingEvent
from domain.intake import RefusedInput

Items = list[IncomingEvent | RefusedInput]
_PREFIX = "ce-"
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"


def read(headers: Mapping[str, str], body: bytes, source: str) -> Items:
    """Return what the request holds, one item per event; a body that is no batch at all is one refused item."""
    del source  # CloudEvents name their own
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _STRUCTURED:
        return [read_event(body)]
    if media_type == _BATCH:
        return _batch(body)
    if any(name.lower().startswith(_PREFIX) for name in headers):
        return [_binary(headers, media_type, body)]
    if media_type == "application/json":
        return _batch(body) if body.lstrip().startswith(b"[") else [read_event(body)]
    return [RefusedInput(reason="unsupported", detail=f"content-type {media_type!r} is no CloudEvents mode", body=body)]


def _batch(body: bytes) -> Items:
    document = read_json(body, limit=len(body))
    if isinstance(document, RefusedInput):
        return [document]
    if not isinstance(document, list):
        return [RefusedInput(reason="malformed", detail="a batch is a JSON array", body=body)]
    return [event_of(item) for item in document]


def _binary(headers: Mapping[str, str], media_type: str, body: bytes) -> IncomingEvent | RefusedInput:
    document: dict[str, JsonValue] = {}
    for name, value in headers.items():
        if name.lower().startswith(_PREFIX):
            document[name.lower().removeprefix(_PREFIX)] = unquote(value)
    if "data" in document or "data_base64" in document:
        return RefusedInput(reason="invalid", detail="data stands in the body, not in a header", body=body)
    if media_type:
        document["datacontenttype"] = headers["content-type"]
    if (refused := _put_data(document, media_type, body)) is not None:
        return refused
    return event_of(document)


def _put_data(document: dict[str, JsonValue], media_type: str, body: bytes) -> RefusedInput | None:
    if not body:
        return None
    if media_type in {"", "application/json"} or media_type.endswith("+json"):
        data = read_json(body)
        if isinstance(data, RefusedInput):
            return data
        document["data"] = data
    elif media_type.startswith("text/"):
        try:
            document["data"] = body.decode()
        except UnicodeDecodeError as error:
            return RefusedInput(reason="bad_text", detail=f"not UTF-8 at byte {error.start}", body=body)
    else:
        document["data_base64"] = base64.b64encode(body).decode()
    return None
