"""When a certificate or a secret is renewed: in a window, at a point of its own, so that no two rush together. Pure.

The point follows from the name and the serial: the same on every look and after every restart, another after each
renewal.
"""

import hashlib
from datetime import datetime, timedelta

from domain.base import Severity, TimeRange

LIFETIME = timedelta(days=90)
"""Asked of an issuer that lets us choose, and given to passwords (PCI DSS 4.0, 8.3.9: ninety days)."""
RENEW_AFTER = 2 / 3
"""Share of a lifetime after which ACME clients renew (Let's Encrypt's integration guide: with a third left)."""
WINDOW = 1 / 10
"""Width of the window as a share of the lifetime: nine days of ninety, and three weeks for whatever goes wrong."""
URGENT = 1 / 10
"""With less than this share left nights are interrupted for it: nine days of ninety, when most monitors warn."""


def renewal_at(name: str, serial: str, begins: datetime, ends: datetime, wish: TimeRange | None = None) -> datetime:
    """Return when it is due; within the issuer's own window where it has a wish (RFC 9773, section 4.2)."""
    if wish is None:
        start, width = begins + RENEW_AFTER * (ends - begins), WINDOW * (ends - begins)
    else:
        start, width = wish.start, wish.end - wish.start
    return start + share(f"{name}\x1f{serial}") * width


def share(key: str) -> float:
    """Return a point in [0, 1) that is spread evenly over keys."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def urgency(begins: datetime, ends: datetime, at: datetime) -> Severity:
    """Return how much a late renewal presses."""
    if at >= ends:
        return "critical"
    return "error" if ends - at < URGENT * (ends - begins) else "warning"
