"""The simulated target's certificates and credentials: real ones on loopback, joined to the world.

What the world says is served follows into a real certificate with that end (a fault may have put it there); what a
rotation makes a listener serve, or a holder log in with, follows into the world.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from domain.ports import Entropy
from runtime.simulator.trust import hand_over_secret, serve_certificate
from runtime.simulator.world import World
from runtime.trust.authority import LocalAuthority
from runtime.trust.certificates import LoopbackCertificates
from runtime.trust.credentials import LoopbackCredentials
from runtime.trust.ports import Issuer, Login, Pair, Served, Wanted

PLATFORM_CA = "platform-ca"
"""The issuer the world's topology names."""
LIFETIMES = tuple(timedelta(days=days) for days in (47, 90, 398))
"""What certificates are issued for: CA/B Forum SC-081v3 from 2029, ACME's common profile, the former limit."""
_SECOND = timedelta(seconds=1)


class SimulatedCertificates(LoopbackCertificates):
    """A CertificatePlane over one world."""

    def __init__(self, world: World, home: Path, others: Mapping[str, Issuer] | None = None) -> None:
        self._world = world
        self._authority = LocalAuthority(home / "authority", PLATFORM_CA, world.spec.start - LIFETIMES[-1])
        super().__init__(home / "certificates", {PLATFORM_CA: self._authority} | dict(others or {}))

    async def installed(self, wanted: Wanted) -> str | None:
        """Return the version that the listener would load."""
        await self._follow(wanted)
        return await super().installed(wanted)

    async def served(self, wanted: Wanted) -> Served:
        """Return what a real handshake shows now."""
        await self._follow(wanted)
        return await super().served(wanted)

    async def reload(self, wanted: Wanted) -> None:
        """Let the listener load what is installed, and the world's clients meet it."""
        await super().reload(wanted)
        seen, version = await super().served(wanted), await super().installed(wanted)
        if seen.facts is None or version is None:
            return
        ends_s = (seen.facts.not_after - self._world.spec.start).total_seconds()
        if ends_s != self._world.certificates[wanted.certificate]:
            serve_certificate(self._world, wanted.certificate, ends_s, f"{version}:{seen.facts.serial}")

    async def _follow(self, wanted: Wanted) -> None:
        """Serve a certificate that ends when the world says; X.509 knows whole seconds."""
        ends = self._world.instant(self._world.certificates[wanted.certificate]).replace(microsecond=0)
        seen = await super().served(wanted)
        if seen.facts is not None and abs(seen.facts.not_after - ends) < _SECOND:
            return
        left = ends - self._world.now
        lifetime = next((span for span in LIFETIMES if span >= left), left)
        version = f"found-{ends:%Y%m%dT%H%M%S}"
        request = await self.request(wanted, version)
        chain = self._authority.sign(request, not_before=ends - lifetime, not_after=ends)
        await self.stage(wanted, version, chain)
        await self.install(wanted, version)
        await super().reload(wanted)


class SimulatedCredentials(LoopbackCredentials):
    """A CredentialPlane over one world."""

    def __init__(self, world: World, home: Path, entropy: Entropy) -> None:
        self._world = world
        super().__init__(home / "credentials", entropy, lambda: world.now)

    async def pair(self, login: Login) -> Pair:
        """Return how the pair stands."""
        await self._follow(login)
        return await super().pair(login)

    async def holder_accepted(self, login: Login) -> str | None:
        """Return the user as which the holder's own login is accepted now."""
        await self._follow(login)
        return await super().holder_accepted(login)

    async def switch(self, login: Login, user: str, *, version: str) -> None:
        """Hand the user's login to the holder; the world's calls are made with it from now on."""
        await super().switch(login, user, version=version)
        known = self.authenticator.known(login.opens, user)
        if known is not None:
            ends_s = (known[1] - self._world.spec.start).total_seconds()
            hand_over_secret(self._world, login.secret, ends_s, version)

    async def _follow(self, login: Login) -> None:
        ends: datetime = self._world.instant(self._world.logins.ends_s[login.secret])
        pair = await super().pair(login)
        held = next(each for each in pair.logins if each.user == pair.in_use)
        if held.expires_at is None:
            await self.create(login, pair.in_use, version="found", expires_at=ends)
            await super().switch(login, pair.in_use, version="found")
        elif held.expires_at != ends:
            self.authenticator.end(login.opens, pair.in_use, ends)
