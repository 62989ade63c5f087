"""Certificates and secrets: renewed long before they end, believed only by handshake and login, replaced at a rate."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from evals.service_cases import Case, Check, Measured
from evals.services.certificates_place import ISSUER, LASTS, START, Make, TrustPlace, trust_place
from runtime.services.certificates import wanted as wanting
from runtime.services.certificates.reissue import PER_WAVE, SPACING
from runtime.services.certificates.schedule import renewal_at
from runtime.trust.certificates import LoopbackCertificates
from runtime.trust.credentials import log_in
from runtime.trust.leaves import facts_of, leaf_of
from runtime.trust.ports import Login, Served, Wanted

DAYS, DECIDED_AFTER = 120, timedelta(days=2)
"""Longer than a life of ninety days; people who take two days to answer."""


class NeverLoads(LoopbackCertificates):
    """A listener that no reload reaches: what it began with it serves until the end."""

    async def reload(self, wanted: Wanted) -> None:
        """Do nothing."""


class ReadsFiles(LoopbackCertificates):
    """A check that reads the installed file and calls it served."""

    async def served(self, wanted: Wanted) -> Served:
        """Return what the file says."""
        version = await self.installed(wanted)
        chain = None if version is None else await self.chain(wanted, version)
        return Served(facts=None if chain is None else facts_of(leaf_of(chain)))


async def _renewed(seed: int, folder: Path, make: Make = LoopbackCertificates) -> Measured:
    place = await trust_place(seed, folder, 8, make)
    waiting: dict[tuple[str, str], datetime] = {}
    dark_minutes, least_left, rotations = 0.0, LASTS, 0
    for _ in range(DAYS):
        now = place.clock.now()
        acts, _ = await place.look()
        for act in acts:
            waiting.setdefault((act.kind, act.target.id), now + DECIDED_AFTER)
        for (kind, name), at in list(waiting.items()):
            if at <= now:
                del waiting[kind, name]
                rotations += (await place.carry_out(kind, name)).status == "done"  # pyright: ignore[reportArgumentType]  # an act's own kind
        for wanted in wanting.certificates(place.topology):
            facts = (await LoopbackCertificates.served(place.certificates, wanted)).facts
            left = (facts.not_after if facts else now) - now
            least_left = min(least_left, left)
            dark_minutes += max(timedelta(), min(timedelta(days=1) - left, timedelta(days=1))) / timedelta(minutes=1)
        place.clock.advance(timedelta(days=1))
    place.close()
    return Measured(
        checks=(
            Check(name="minutes in which an ended certificate was served", value=dark_minutes, bound=0.0),
            Check(name="days left on the worst one", value=least_left / timedelta(days=1), bound=15.0, at="least"),
            Check(name="rotations that were proven", value=rotations, bound=16, at="least"),
        ),
        figures={"virtual_days": DAYS, "rotations": rotations},
        reference="two days until a person answers; monitors warn at 7 days, Let's Encrypt asks for 30",
    )  # fmt: skip


async def _never_loaded(seed: int, folder: Path) -> Measured:
    return await _renewed(seed, folder, NeverLoads)


async def _forgotten(seed: int, folder: Path, make: Make = LoopbackCertificates) -> Measured:
    place = await trust_place(seed, folder, 16, make, logins=False)
    false_alarms = len((await place.look())[0])
    chosen = wanting.certificates(place.topology)[::2]
    for wanted in chosen:
        issuer, plane = place.certificates.issuer(ISSUER), place.certificates
        chain = await issuer.issue(await plane.request(wanted, "by-hand"), at=START, lifetime=LASTS)
        await plane.stage(wanted, "by-hand", chain)
        await plane.install(wanted, "by-hand")
    found = {act.target.id for act in (await place.look())[0]}
    for name in sorted(found):
        await place.carry_out("certificate.rotate", name)
    left = len((await place.look())[0])
    place.close()
    return Measured(
        checks=(
            Check(name="renewed files that no listener loaded, found", value=len(found), bound=len(chosen)),
            Check(name="wrongly suspected", value=false_alarms + len(found - {w.certificate for w in chosen}), bound=0),
            Check(name="left after rotating", value=left, bound=0),
        ),
        figures={"certificates": 16.0},
        reference="a check that reads the file finds none of them",
    )


async def _forgotten_by_file(seed: int, folder: Path) -> Measured:
    return await _forgotten(seed, folder, ReadsFiles)


def _kept(folder: Path, login: Login, user: str) -> str:
    text = (folder / "credentials" / login.region / login.secret / f"{user}.json").read_text()
    return text.split('"password": "')[1].split('"')[0]


async def _dead(seed: int, folder: Path, *, revokes: bool = True) -> Measured:
    place = await trust_place(seed, folder, 12)
    authenticator = place.credentials.authenticator
    if not revokes:
        authenticator.drop = _keep  # the planted break
    opens, let_in, proven = 0, 0, 0
    logins = wanting.secrets(place.topology)
    for login in logins:
        old = _kept(folder, login, login.users[0])
        proven += (await place.carry_out("secret.rotate", login.secret)).status == "done"
        opens += log_in(authenticator.port, login.opens, login.users[0], old)
        let_in += await place.credentials.holder_accepted(login) == login.users[1]
    place.close()
    return Measured(
        checks=(
            Check(name="old passwords that still open", value=opens, bound=0),
            Check(name="holders let in with the new one", value=let_in, bound=len(logins)),
            Check(name="rotations proven", value=proven, bound=len(logins)),
        ),
        figures={"secrets": float(len(logins))},
        reference="a login attempt with the old password after each rotation",
    )


def _keep(opens: str, user: str) -> None:
    """Revoke nothing."""


async def _kept_open(seed: int, folder: Path) -> Measured:
    return await _dead(seed, folder, revokes=False)


async def _reissued(seed: int, folder: Path, *, per_wave: int = PER_WAVE) -> Measured:
    place = await trust_place(seed, folder, 60, logins=False)
    await place.carry_out("issuer.distrust", ISSUER)
    tiers = {s.id: s.tier for s in place.topology.services}
    issued: list[datetime] = []
    disorder = mixed = 0
    while (looked := await place.look(per_wave=per_wave))[1] is not None and len(issued) < 200:
        taken = [s for group in looked[1].of_tenant.values() for s in group]
        mixed += sum(s.tenant != tenant for tenant, group in looked[1].of_tenant.items() for s in group)
        done = sorted(tiers[s.service] for s in taken)
        later = [tiers[w.service] for w in _left(place, looked[1].region, {s.certificate for s in taken})]
        disorder += bool(done and later and done[-1] > min(later))
        for status in taken:
            await place.carry_out("certificate.rotate", status.certificate)
            issued.append(place.clock.now())
        place.clock.advance(timedelta(minutes=5))
    wrong = len((await place.look())[0])
    place.close()
    return Measured(
        checks=(
            Check(name="certificates issued within half an hour, at most", value=_busiest(issued), bound=PER_WAVE,
                  at="most"),
            Check(name="replaced", value=len(issued), bound=60),
            Check(name="still wrong", value=wrong, bound=0),
            Check(name="in another tenant's plan", value=mixed, bound=0),
            Check(name="waves out of order", value=disorder, bound=0),
        ),
        figures={"minutes": (issued[-1] - issued[0]) / timedelta(minutes=1)},
        reference=f"{PER_WAVE} certificates every {SPACING / timedelta(minutes=1):.0f} minutes",
    )  # fmt: skip


def _left(place: TrustPlace, region: str, taken: set[str]) -> list[Wanted]:
    """What of a region was never rotated and is not being so now."""
    before = {r.target.partition("/")[2] for r in place.done} | taken
    return [w for w in wanting.certificates(place.topology) if w.region == region and w.certificate not in before]


def _busiest(issued: list[datetime]) -> int:
    return max(sum(at <= other < at + SPACING for other in issued) for at in issued)


async def _all_at_once(seed: int, folder: Path) -> Measured:
    return await _reissued(seed, folder, per_wave=1000)


async def _spread(seed: int, folder: Path, *, alike: bool = False) -> Measured:
    del folder
    ends = START + LASTS
    keys = [("all", "0") if alike else (f"s{n}-tls", f"{n + 1000 * seed:x}") for n in range(900)]
    due = [renewal_at(name, serial, START, ends) for name, serial in keys]
    per_hour = Counter(int((at - START) / timedelta(hours=1)) for at in due)
    return Measured(
        checks=(
            Check(name="of 900 issued together, due in the busiest hour", value=max(per_hour.values()), bound=16,
                  at="most"),
            Check(name="least days left when due", value=min((ends - at) / timedelta(days=1) for at in due), bound=21,
                  at="least"),
        ),
        figures={"hours_used": float(len(per_hour))},
        reference="evenly spread: 4.2 an hour, 13 in the busiest of 216 (Poisson); a herd: 900",
    )  # fmt: skip


async def _herd(seed: int, folder: Path) -> Measured:
    return await _spread(seed, folder, alike=True)


COVERS = "CertificateRotationWorker"
CASES: tuple[Case, ...] = (
    Case("certificates-renewed", COVERS, "renewed and served before the end, over virtual months", _renewed,
         _never_loaded, "the listener never loads what is installed"),
    Case("certificates-reload-forgotten", COVERS, "a renewed file that nobody loaded is found by handshake", _forgotten,
         _forgotten_by_file, "the check reads the file instead of the handshake"),
    Case("secrets-old-is-dead", COVERS, "after a rotation the old password opens nothing", _dead, _kept_open,
         "revoking does nothing"),
    Case("certificates-reissued", COVERS, "all that a distrusted issuer signed is replaced within the rate", _reissued,
         _all_at_once, "a wave takes everything"),
    Case("certificates-spread", COVERS, "certificates of one day are not renewed together", _spread, _herd,
         "the point in the window does not depend on the certificate"),
)  # fmt: skip
