"""Credentials with which services log in at stores and outside services: each ends, and then calls are refused."""

import zlib
from dataclasses import dataclass, field

from runtime.simulator.layout import Layout
from runtime.simulator.live import Live, Modifier
from runtime.simulator.spec import WorldSpec, logins, secret_name

# Pooled connections that logged in before go on for a while; nearly all calls here come over new ones.
REFUSED = 0.95
# Ends are spread over the last month of a quarter, by name: no stream of the seed is drawn from for them.
LEAST_DAYS, SPREAD_DAYS = 60, 30


@dataclass(slots=True)
class Logins:
    """Who logs in where until when."""

    holders: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Secret: (holder, what it opens)."""
    ends_s: dict[str, float] = field(default_factory=dict[str, float])
    """Secret: seconds after the start at which it ends."""

    @staticmethod
    def of(spec: WorldSpec) -> "Logins":
        """The credentials of a new world."""
        made = Logins()
        for holder, opens in logins(spec):
            name = secret_name(holder.id, opens.id)
            made.holders[name] = (holder.id, opens.id)
            made.ends_s[name] = (LEAST_DAYS + zlib.crc32(name.encode()) % SPREAD_DAYS) * 86_400.0
        return made

    def check(self, layout: Layout, live: Live, elapsed_s: float) -> None:
        """Refuse calls whose credential has ended, and let those pass again whose credential is new."""
        for name, ends_s in self.ends_s.items():
            key = f"login/{name}"
            ended = elapsed_s >= ends_s
            if ended == (key in live.modifiers):
                continue
            holder, opens = self.holders[name]
            refused = (Modifier("unauthorised", tuple(layout.edges(caller=holder, callee=opens)), add=REFUSED),)
            live.modifiers.pop(key, None)
            live.modifiers |= {key: refused} if ended else {}
            live.dirty = True
