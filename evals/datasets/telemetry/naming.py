"""Foreign names as addresses of ours, and back: a data set's names may hold blanks, an address may not."""

import re

from domain.errors import Invalid
from domain.topology import EntityKind

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9._:/@+-]")
_MAX = 190
"""Slugs end at 200 characters; room is left for a number that keeps two of them apart."""


class Names:
    """Gives each foreign name one address of a kind, stable within a run."""

    def __init__(self, kind: EntityKind) -> None:
        self._kind = kind
        self._slugs: dict[str, str] = {}
        self._taken: set[str] = set()
        self.originals: dict[str, str] = {}

    def slug(self, name: str) -> str:
        """Return the name as a slug; different names get different slugs."""
        known = self._slugs.get(name)
        if known is not None:
            return known
        if not name:
            raise Invalid("an entity without a name")
        slug = _NOT_ALLOWED.sub("-", name)[:_MAX]
        slug = slug if slug[0].isalnum() else f"x{slug}"
        while slug in self._taken:
            slug = f"{slug[:_MAX]}-{len(self._taken)}"
        self._taken.add(slug)
        self._slugs[name] = slug
        self.originals[f"{self._kind}/{slug}"] = name
        return slug

    def address(self, name: str) -> str:
        """Return `kind/slug`."""
        return f"{self._kind}/{self.slug(name)}"
