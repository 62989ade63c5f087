"""What a pack says about itself: closed models, so that a field nobody checks cannot travel under a signature.

The author writes a `Draft`; publishing adds the digest of every file and signs the resulting `Manifest`.
"""

import hashlib
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from domain.base import Digest, Frozen
from domain.packs import PackKind
from runtime.marketplace.versions import SemVer, precedence

Kind = PackKind

MAX_FILE_BYTES = 256 * 1024
MAX_PACK_BYTES = 1024 * 1024
MAX_FILES = 64
"""Ours: packs are policies and pages; the shipped ones have four files and under 16 KiB, and this is ample room."""

DRAFT, ENVELOPE = "pack.json", "pack.dsse.json"
CONTENT, README, CASES = "content.json", "README.md", "tests.json"
REQUIRED = (DRAFT, CONTENT, README, CASES)

_SEGMENT = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,3}}", re.ASCII)
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.[^/]*)?(?:/|$)", re.ASCII | re.IGNORECASE)
"""Names that are devices on some systems, whatever follows the dot."""


def safe_path(name: str) -> str:
    """Return the name of a file in a pack. Raises ValueError for any that could leave its folder or hide in it.

    Relative, at most four plain segments, no leading or trailing dot, no backslash, colon, blank or control.
    """
    if _PATH.fullmatch(name) is None or _DEVICE.search(name):
        msg = f"{name!r} is not a plain relative file name"
        raise ValueError(msg)
    return name


PackName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


def byte_digest(raw: bytes) -> str:
    """Return `sha256:<hex>` over the bytes as they are."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


class Parameter(Frozen):
    """One value an installer may choose: a JSON Schema of a scalar, with a default that it accepts itself."""

    type: Literal["integer", "number", "string", "boolean"]
    description: str = Field(min_length=1, max_length=500)
    default: Scalar
    minimum: float | None = Field(default=None, allow_inf_nan=False)
    maximum: float | None = Field(default=None, allow_inf_nan=False)
    enum: tuple[Scalar, ...] | None = Field(default=None, min_length=1, max_length=50)

    @model_validator(mode="after")
    def _takes_its_default(self) -> Self:
        if not self.accepts(self.default):
            msg = f"the default {self.default!r} does not fit the parameter's own schema"
            raise ValueError(msg)
        return self

    def accepts(self, value: Scalar) -> bool:
        """Tell whether the value fits, as JSON Schema 2020-12 would, but that 1.0 is no integer here."""
        if not isinstance(value, _TYPES[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            return False
        if self.enum is not None and value not in self.enum:
            return False
        if isinstance(value, str):
            return True
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
}


class Compatibility(Frozen):
    """Versions of Opsmesh that can use the pack: from `at_least` on, up to and without `below`."""

    at_least: SemVer
    below: SemVer

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if precedence(self.at_least) >= precedence(self.below):
            msg = "at_least must come before below"
            raise ValueError(msg)
        return self

    def holds(self, version: str) -> bool:
        """Tell whether that version of Opsmesh is in the range."""
        return precedence(self.at_least) <= precedence(version) < precedence(self.below)


class Draft(Frozen):
    """The author's part of a manifest, `pack.json` in a source folder."""

    format: Literal[1] = 1
    name: PackName
    kind: Kind
    version: SemVer
    summary: str = Field(min_length=1, max_length=200)
    compatibility: Compatibility
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict[str, Parameter], max_length=50)

    def parameters_schema(self) -> dict[str, JsonValue]:
        """Return the parameters as one closed JSON Schema (draft 2020-12)."""
        properties: dict[str, JsonValue] = {
            name: parameter.model_dump(mode="json", exclude_none=True) for name, parameter in self.parameters.items()
        }
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
        }


class PackFile(Frozen):
    """One file: where it lies, how long it is, and the digest of its bytes."""

    path: Annotated[str, AfterValidator(safe_path)]
    size_bytes: int = Field(ge=0, le=MAX_FILE_BYTES)
    digest: Digest


class Manifest(Draft):
    """What is signed: the draft and every file of the pack."""

    files: tuple[PackFile, ...] = Field(max_length=MAX_FILES)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        paths = [file.path for file in self.files]
        if len({path.casefold() for path in paths}) != len(paths):
            msg = "two files share a name"
            raise ValueError(msg)
        if missing := [path for path in REQUIRED if path not in paths]:
            msg = f"{', '.join(missing)} missing"
            raise ValueError(msg)
        return self
