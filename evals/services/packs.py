"""Packs: the policies earn what they cost, the add-ons do what they are paid for, the alerts find what others miss."""

from pathlib import Path

from domain.errors import OpsmeshError
from evals.service_cases import Case, Check, Measured
from evals.services.packs_place import Life, Parameters, live, trusting_market
from runtime.marketplace.bundle import Bundle, read_bundle
from runtime.marketplace.manifest import ENVELOPE
from runtime.marketplace.pack import open_pack
from runtime.marketplace.shelf import SHIPPED
from runtime.marketplace.trust import Trust
from runtime.simulator.demand import Trend
from runtime.simulator.demo import TENANTS
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

ENTRIES = ("storefront", "player-api", "tracking-api")
RISE = 1.9
"""Demand of every entry against usual, all at once: within what nodes can carry, beyond what ran before."""
FLOOD = 6.0
"""Hostile requests for each usual one at the storefront."""
SLOW_BURN = 0.008
"""Failures eight times beyond a 99.9 % objective: below the platform's page at 14.4, above the pack's at 6."""
Packs = tuple[tuple[str, Parameters], ...]


def _rise(world: World) -> None:
    for entry in ENTRIES:
        columns = tuple(world.layout.columns(entry))
        world.demand.trends[entry] = Trend(columns=columns, since=world.now, level=RISE)


def _nothing(world: World) -> None:
    del world


def _flood(world: World) -> None:
    columns = world.layout.columns("storefront")
    world.add_ons.attack_rps[columns] = FLOOD * world.demand.base[columns]


def _fails_a_little(world: World) -> None:
    columns = tuple(world.layout.columns("tracking-api"))
    world.live.modifiers["little"] = (Modifier("error_share", columns, add=SLOW_BURN),)
    world.live.dirty = True


async def _interactive(seed: int, folder: Path, packs: Packs = (("scaling-interactive", {}),)) -> Measured:
    plain, packed = live(seed, folder / "a", (), _rise), live(seed, folder / "b", packs, _rise)
    saved = 1.0 - packed.slo_minutes / max(plain.slo_minutes, 1e-9)
    return Measured(
        checks=(Check(name="share of SLO minutes saved in a rise", value=round(saved, 3), bound=0.2, at="least"),),
        figures=_both(plain, packed),
        reference="the same world and rise under the policies it came with",
    )


async def _background(seed: int, folder: Path, packs: Packs = (("scaling-background", {}),)) -> Measured:
    plain, packed = live(seed, folder / "a", (), _nothing), live(seed, folder / "b", packs, _nothing)
    saved = plain.cost_usd_per_hour - packed.cost_usd_per_hour
    return Measured(
        checks=(
            Check(name="USD per hour saved", value=round(saved, 4), bound=0.05, at="least"),
            Check(name="SLO minutes lost more", value=packed.slo_minutes - plain.slo_minutes, bound=0.0, at="most"),
        ),
        figures=_both(plain, packed),
        reference="the same world with its fixed number of workers",
    )


async def _add_ons(seed: int, folder: Path, packs: Packs = (("cdn", {}), ("waf", {}), ("cache-tier", {}))) -> Measured:
    plain, packed = live(seed, folder / "a", (), _flood), live(seed, folder / "b", packs, _flood)
    calm, fronted = (live(seed, folder / name, some, _nothing, 20) for name, some in (("c", ()), ("d", packs)))
    reached, read = (fronted.rate(name) / calm.rate(name) for name in ("storefront", "orders-db"))
    expected = 1.0 - 0.3 * 60.0 / (60.0 + 30.0)
    counts = packed.world.add_ons.counts
    hostile = packed.world.add_ons.attack_rps.sum() * 3600.0
    return Measured(
        checks=(
            Check(name="share of requests an edge leaves, off the closed form", value=abs(reached - expected),
                  bound=0.02, at="most"),
            Check(name="hostile requests shed", value=round(float(counts.shed.sum()) / hostile, 4),
                  bound=0.85, at="least"),
            Check(name="share of a store's reads left", value=round(read, 3), bound=0.9, at="most"),
            Check(name="SLO minutes of the flood that are left", bound=0.5, at="most",
                  value=packed.slo_minutes / max(plain.slo_minutes, 1e-9)),
        ),
        figures=_both(plain, packed) | {"honest_turned_away": round(float(counts.mistaken.sum()), 1)},
        reference="the same flood without anything before the entry",
    )  # fmt: skip


async def _burn_rate(seed: int, folder: Path, packs: Packs = (("slo-burn-rate", {}),)) -> Measured:
    told: dict[str, tuple[int, int, float]] = {}
    for name, some, happens in (
        ("plain", (), _fails_a_little), ("packed", packs, _fails_a_little), ("healthy", packs, _nothing),
    ):  # fmt: skip
        life = live(seed, folder / name, some, happens, 600)
        sent = [s.event for s in life.world.journal.drain(life.world.elapsed_s)]
        burns = [event for event in sent if event.type == "runtime.slo.burn.v1"]
        here = [e for e in burns if e.subject == "service/tracking-api"]
        began = life.world.instant(life.since_s)
        hours = [(e.time - began).total_seconds() / 3600.0 for e in here if e.time is not None]
        told[name] = len(here), len(burns), min(hours, default=-1.0)
    return Measured(
        checks=(
            Check(name="alerts with the pack", value=told["packed"][0], bound=1, at="least"),
            Check(name="alerts without it", value=told["plain"][0], bound=0),
            Check(name="alerts of a healthy world", value=told["healthy"][1], bound=0),
        ),
        figures={"hours_until_told": round(told["packed"][2], 2)},
        reference="the platform's one fast-burn alert (14.4 times over an hour)",
    )


async def _forgeries(seed: int, folder: Path, *, unaltered: bool = False) -> Measured:
    del seed
    market, tenant = trusting_market(folder), TENANTS[1].tenant
    good = read_bundle(SHIPPED / "waf" / "1.0.0")
    other = read_bundle(SHIPPED / "cdn" / "1.0.0")
    forged: dict[str, Bundle] = {
        "unsigned": {n: r for n, r in good.items() if n != ENVELOPE},
        "tampered": good | {"content.json": good["content.json"].replace(b"${paranoia}", b"1")},
        "another pack's signature": good | {ENVELOPE: other[ENVELOPE]},
        "extra file": good | {"run.sh": b"#!/bin/sh"},
        "missing file": {n: r for n, r in good.items() if n != "tests.json"},
    }
    if unaltered:
        forged = dict.fromkeys(forged, good)
    refused = sum(_refused(bundle, market.trust.read(tenant)) for bundle in forged.values())
    opened = not _refused(good, market.trust.read(tenant))
    return Measured(
        checks=(
            Check(name="forgeries refused", value=refused, bound=len(forged)),
            Check(name="the pack itself opened", value=opened, bound=1),
        ),
        figures={"forgeries": len(forged)},
        reference="the same pack, unforged",
    )


def _refused(bundle: Bundle, trust: Trust) -> bool:
    try:
        open_pack(bundle, trust, "0.1.0")
    except OpsmeshError:
        return True
    return False


def _both(plain: Life, packed: Life) -> dict[str, float]:
    return {
        "slo_minutes_without": round(plain.slo_minutes, 1), "slo_minutes_with": round(packed.slo_minutes, 1),
        "usd_per_hour_without": round(plain.cost_usd_per_hour, 3),
        "usd_per_hour_with": round(packed.cost_usd_per_hour, 3),
    }  # fmt: skip


async def _interactive_not(seed: int, folder: Path) -> Measured:
    return await _interactive(seed, folder, ())


async def _background_not(seed: int, folder: Path) -> Measured:
    return await _background(seed, folder, ())


async def _add_ons_not(seed: int, folder: Path) -> Measured:
    return await _add_ons(seed, folder, ())


async def _burn_rate_not(seed: int, folder: Path) -> Measured:
    return await _burn_rate(seed, folder, ())


async def _forgeries_unaltered(seed: int, folder: Path) -> Measured:
    return await _forgeries(seed, folder, unaltered=True)


_NOT = "the packs are not installed"
CASES: tuple[Case, ...] = (
    Case("packs-scaling-interactive", "marketplace", "headroom saves SLO minutes in a sudden rise", _interactive,
         _interactive_not, _NOT),
    Case("packs-scaling-background", "marketplace", "workers scaled by load cost less and hurt nobody", _background,
         _background_not, _NOT),
    Case("packs-add-ons", "marketplace", "CDN, WAF and cache tier take load off as they say", _add_ons, _add_ons_not,
         _NOT),
    Case("packs-burn-rate", "marketplace", "a slow burn is told, a healthy world is quiet", _burn_rate, _burn_rate_not,
         _NOT),
    Case("packs-forgeries", "marketplace", "what was altered after signing is refused", _forgeries,
         _forgeries_unaltered, "nothing is altered"),
)  # fmt: skip
