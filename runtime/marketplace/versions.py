"""Versions of packs: Semantic Versioning 2.0.0 without build metadata, which has no precedence and so no order."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_NUMBER = r"(?:0|[1-9]\d*)"
_PART = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?", re.ASCII)

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence:
    """Return what versions are ordered by (SemVer 2.0.0, item 11). Raises ValueError for what is no version."""
    found = _SEMVER.fullmatch(version)
    if found is None:
        msg = f"{version!r} is no version like 1.4.0 or 2.0.0-rc.1"
        raise ValueError(msg)
    major, minor, patch, pre = found.groups()
    parts = tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pre.split(".")) if pre else ()
    return int(major), int(minor), int(patch), pre is None, parts


def _checked(version: str) -> str:
    precedence(version)
    return version


SemVer = Annotated[str, StringConstraints(max_length=64), AfterValidator(_checked)]
"""A semantic version as text."""
