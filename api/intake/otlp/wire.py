"""OTLP/HTTP bodies in both encodings: protobuf, and its JSON form in which trace and span ids are hexadecimal.

JSON is turned into the same message, so that one mapping serves both. Answers use the encoding of the request.
"""

import base64
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from pydantic import JsonValue

from domain.envelope import read_json
from domain.intake import RefusedInput

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_HEX_FIELDS = frozenset({"traceId", "spanId", "parentSpanId"})
Export = TypeVar("Export", bound=Message)


def decode(body: bytes, media_type: str, message: Export) -> Export | RefusedInput:
    """Fill the message from the body; why not, when it is not of that encoding."""
    if media_type == PROTOBUF:
        try:
            message.ParseFromString(body)
        except DecodeError as error:
            return RefusedInput(reason="malformed", detail=f"not the protobuf message: {error}", body=body)
        return message
    if media_type != JSON:
        return RefusedInput(reason="unsupported", detail=f"content-type {media_type!r} is no OTLP encoding", body=body)
    document = read_json(body, limit=len(body))
    if isinstance(document, RefusedInput):
        return document
    if not isinstance(document, dict):
        return RefusedInput(reason="malformed", detail="an export request is a JSON object", body=body)
    try:
        in_proto_form = {name: _with_base64(value) for name, value in document.items()}
        json_format.ParseDict(in_proto_form, message, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError) as error:
        return RefusedInput(reason="malformed", detail=f"not the JSON form: {error}", body=body)
    return message


def encode(message: Message, media_type: str) -> bytes:
    """Write an answer in the encoding of its request."""
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return json_format.MessageToJson(message, indent=None).encode()


def _with_base64(value: JsonValue) -> JsonValue:
    """Rewrite hexadecimal ids as protobuf's own JSON form wants bytes."""
    if isinstance(value, dict):
        return {
            name: base64.b64encode(bytes.fromhex(inner)).decode()
            if name in _HEX_FIELDS and isinstance(inner, str)
            else _with_base64(inner)
            for name, inner in value.items()
        }
    return [_with_base64(inner) for inner in value] if isinstance(value, list) else value
