"""Forms shared by every model: frozen values, UTC instants, canonical JSON and its digest.

A digest is SHA-256 over RFC 8785 canonical JSON, so the same value gives the same digest on every machine.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import rfc8785
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, JsonValue, StringConstraints, TypeAdapter


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An instant; naive datetimes are refused, every other zone is converted to UTC."""

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=200)]
"""A name that may stand in an address, a label or a file name."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Ulid = Annotated[str, StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
"""A time-ordered 128-bit id in Crockford base 32, assigned by us."""

Trust = Literal["platform", "untrusted"]
Severity = Literal["info", "warning", "error", "critical"]


class Frozen(BaseModel):
    """A value: immutable, closed (unknown fields are an error), compared by content."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", validate_default=True)


class TimeRange(Frozen):
    """A half-open interval [start, end)."""

    start: UtcDatetime
    end: UtcDatetime

    def holds(self, instant: datetime) -> bool:
        """Tell whether the instant lies in the interval."""
        return self.start <= instant < self.end


_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_SORTED = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_NUMBER_FORMS_DIFFER = re.compile(r"[:,\[]-?\d(?:\d{15}|[\d.]*(?:\.0[,}\]]|e))")
"""Numbers that Python writes otherwise than RFC 8785 demands (1.0, 1e-07) or that it refuses (beyond 2^53)."""
_KEY_ORDER_DIFFERS = re.compile("[\ud800-\U0010ffff]")
"""Characters that sort otherwise by code point, as Python does, than by UTF-16 unit; lone surrogates among them."""


def canonical_json(value: BaseModel | JsonValue | Sequence[JsonValue]) -> bytes:
    """Return the RFC 8785 bytes of a model or JSON value. NaN and infinity raise ValueError."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return canonical_text(_JSON.validate_python(plain)).encode()


def canonical_text(plain: JsonValue) -> str:
    """Return the RFC 8785 text of a plain JSON value; same bytes as canonical_json, without checking the types.

    The interpreter's own encoder is some twenty times faster and writes the same for all but a few values: those go
    to the reference encoder. Raises ValueError for NaN, infinity and integers beyond 2^53.
    """
    if isinstance(plain, dict | list):
        text = _SORTED.encode(plain)
        if (text.isascii() or _KEY_ORDER_DIFFERS.search(text) is None) and _NUMBER_FORMS_DIFFER.search(text) is None:
            return text
    return rfc8785.dumps(plain).decode()


def sorted_text(texts: Mapping[str, str]) -> str:
    """Return the canonical text of texts under ASCII names: what could need the reference encoder cannot occur."""
    return _SORTED.encode(texts)


def digest_of(value: BaseModel | JsonValue | Sequence[JsonValue]) -> Digest:
    """Return `sha256:<hex>` over the canonical JSON of the value."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()
