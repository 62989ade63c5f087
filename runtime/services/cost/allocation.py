"""Who bears which piece: the owner its own, users the platform's services, everybody on a pool its idle nodes.

Shared cost is split by the users' own cost in the window, idle cost by the own cost on the pool. Cents are rounded once
per bearer and kind and then apportioned to rows, so every dimension adds up to the same total.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from analysis.cost_allocation import CENTS, apportion, whole
from domain.costs import CostDimension, CostRow
from domain.ids import PLATFORM, TenantId
from domain.topology import Topology
from runtime.services.cost.books import Piece

Kind = Literal["direct", "shared", "idle"]
_KINDS: tuple[Kind, ...] = ("direct", "shared", "idle")
NOBODY = TenantId("(nobody)")
"""Bears what has nobody to bear it: a shared service in a place without tenants."""


@dataclass(frozen=True, slots=True)
class Borne:
    """Part of a piece that one tenant bears."""

    bearer: TenantId
    kind: Kind
    piece: Piece
    share: Fraction

    @property
    def usd(self) -> Fraction:
        """The part's cost."""
        return self.piece.usd * self.share

    @property
    def billed_usd(self) -> Fraction:
        """The part of it that was billed."""
        return self.piece.billed * self.share


def bear(pieces: Sequence[Piece], topology: Topology, tenants: Iterable[TenantId]) -> list[Borne]:
    """Return who bears what. Users of a shared service without any own cost share it evenly."""
    everybody = sorted(set(tenants) - {PLATFORM}) or [NOBODY]
    users = {f"service/{s.id}": s.used_by for s in topology.services}
    own, on_pool = _own_cost(pieces)
    found: list[Borne] = []
    for piece in pieces:
        if piece.resource.startswith("node_pool/"):
            found += _among(piece, "idle", everybody, on_pool.get(piece.node_pool) or own)
        elif piece.tenant == PLATFORM:
            found += _among(piece, "shared", sorted(users.get(piece.resource, ())) or everybody, own)
        else:
            found.append(Borne(piece.tenant, "direct", piece, Fraction(1)))
    return found


def _own_cost(
    pieces: Iterable[Piece],
) -> tuple[dict[TenantId, Fraction], dict[str, dict[TenantId, Fraction]]]:
    own: dict[TenantId, Fraction] = defaultdict(Fraction)
    on_pool: dict[str, dict[TenantId, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for piece in pieces:
        if piece.tenant != PLATFORM and piece.resource.startswith("service/"):
            own[piece.tenant] += piece.usd
            on_pool[piece.node_pool][piece.tenant] += piece.usd
    return own, on_pool


def _among(piece: Piece, kind: Kind, bearers: Sequence[TenantId], weights: Mapping[TenantId, Fraction]) -> list[Borne]:
    weighed = [max(weights.get(b, Fraction(0)), Fraction(0)) for b in bearers]
    total = sum(weighed, Fraction(0))
    shares = [w / total for w in weighed] if total else [Fraction(1, len(bearers))] * len(bearers)
    return [Borne(b, kind, piece, share) for b, share in zip(bearers, shares, strict=True) if share]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What each tenant bears by kind, in cents that add up to the whole bill."""

    borne: Sequence[Borne]
    cents: Mapping[tuple[TenantId, Kind], int]

    def rows(self, by: CostDimension, environment: str, tenant: TenantId) -> tuple[CostRow, ...]:
        """Return the rows of one tenant's part (of everything for the platform), dearest first."""
        key = _KEYS[by](environment)
        sums: dict[str, dict[Kind, int]] = defaultdict(lambda: dict.fromkeys(_KINDS, 0))
        for (bearer, kind), cents in self.cents.items():
            if tenant not in (bearer, PLATFORM):
                continue
            exact: dict[str, Fraction] = defaultdict(Fraction)
            for part in self.borne:
                if (part.bearer, part.kind) == (bearer, kind):
                    exact[key(part)] += part.usd
            names = sorted(exact)
            for name, part_cents in zip(names, apportion(cents, [exact[n] for n in names]), strict=True):
                sums[name][kind] += part_cents
        found = [
            CostRow(
                key=name, direct_cents=s["direct"], shared_cents=s["shared"], idle_cents=s["idle"],
                total_cents=sum(s.values()),
            )
            for name, s in sums.items()
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda row: (-row.total_cents, row.key)))

    def part(self, tenant: TenantId) -> list[Borne]:
        """Return what the tenant bears; all of it for the platform."""
        return [part for part in self.borne if tenant in (part.bearer, PLATFORM)]


def ledger(borne: Sequence[Borne]) -> Ledger:
    """Round once over everybody."""
    exact: dict[tuple[TenantId, Kind], Fraction] = defaultdict(Fraction)
    for part in borne:
        exact[part.bearer, part.kind] += part.usd
    keys = sorted(exact)
    return Ledger(borne, dict(zip(keys, whole([exact[k] * CENTS for k in keys]), strict=True)))


def _named(value: Callable[[Borne], str]) -> Callable[[str], Callable[[Borne], str]]:
    return lambda _environment: value


_KEYS: Mapping[CostDimension, Callable[[str], Callable[[Borne], str]]] = {
    "tenant": _named(lambda part: part.bearer),
    "environment": lambda environment: lambda _part: environment,
    "service": _named(
        lambda part: "(idle nodes)" if part.kind == "idle" else part.piece.resource.removeprefix("service/")
    ),
    "region": _named(lambda part: part.piece.region),
    "sku": _named(lambda part: part.piece.sku),
    "node_pool": _named(lambda part: part.piece.node_pool),
    "category": _named(lambda part: part.piece.category),
}
