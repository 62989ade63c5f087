"""Names that belong to the platform itself: of its own identities, and of the source that its own events name.

What is compared is what a reader could take a name for: unfolded, unescaped, without case and invisible characters.
"""

import re
import unicodedata
from urllib.parse import unquote

from domain.ids import TenantId

PLATFORM_SOURCE = "/runtime"
"""What the platform's own events name as their source, or begin it with."""
_OWN_KINDS = frozenset({"agent", "worker", "service", "source"})
"""`agent:sre`, `worker:cost`: what stands before the colon in the ids of the platform's own parts."""
_OWN_NAMES = frozenset({"policy", "clock", "opsmesh", "file", "platform", "runtime", "executor", "release-controller"})
"""Who the program signs as where no identity acts."""
_PLAIN_SOURCE = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9._:@+-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
"""A tenant's own source: segments that begin with a letter or digit. No wildcard, escape, dot segment or blank."""
_ESCAPES = 4
"""How often an escape may be escaped again before it is taken as it stands (our choice)."""


def reserved_id(name: str) -> bool:
    """Tell whether an id is, or reads like, one of the platform's own, with or without a tenant behind it."""
    local = _as_read(name).partition("@")[0]
    return local in _OWN_NAMES or local.partition(":")[0] in _OWN_KINDS


def tenants_source(name: str) -> bool:
    """Tell whether a tenant may name its own source so: a plain name that does not read like the platform's."""
    first = re.split(r"[/:]", _as_read(name).lstrip("/"), maxsplit=1)[0]
    return _PLAIN_SOURCE.fullmatch(name) is not None and first not in {"runtime", "opsmesh", "platform"}


def local_name(name: str, tenant: TenantId) -> str | None:
    """Return what stands before `@tenant` in an id that a tenant gave out, None where it is no such id."""
    local = name.removesuffix(f"@{tenant}")
    return None if local in {"", name} or "@" in local else local


def _as_read(name: str) -> str:
    for _ in range(_ESCAPES):
        name = unquote(name)
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in folded if unicodedata.category(c) not in {"Cf", "Cc", "Zs"})
