"""A bill put together from exports in the order they came: repeats count once, restated charges replace, both are told.

Allocation by one tag then says per currency who bears what; what is untagged, shared or idle stands beside it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import BinaryIO, Final, Literal

from analysis.cost_allocation import Pools, allocate
from domain.base import Frozen
from domain.errors import Invalid
from runtime.bills.reading import Line, Quarantined, charges
from runtime.bills.records import CostRecord

Basis = Literal["billed", "effective"]
SHARED: Final = "shared"
"""Value of the tag that says: for everybody."""

TOLD: Final = 100
"""Lines listed one by one in a report; all are counted."""


class Restated(Frozen):
    """A charge that a later file states otherwise; the later cost counts."""

    line: Line
    before: Line
    currency: str
    billed: Decimal
    billed_before: Decimal


class OwnerCost(Frozen):
    """What one owner bears."""

    owner: str
    direct_cents: int
    shared_cents: int
    idle_cents: int
    total_cents: int


class CurrencyCost(Frozen):
    """One currency's bill. Owners' totals, `untagged_cents` and the two unsplit sums add up to `total_cents`."""

    currency: str
    total_cents: int
    shared_cents: int
    idle_cents: int
    untagged_cents: int
    unsplit_shared_cents: int
    unsplit_idle_cents: int
    owners: tuple[OwnerCost, ...]


class BillReport(Frozen):
    """An allocated bill, and what of the files it does not rest on."""

    by: str
    basis: Basis
    charges: int
    repeated: int
    restated: int
    quarantined: int
    currencies: tuple[CurrencyCost, ...]
    restatements: tuple[Restated, ...]
    quarantine: tuple[Quarantined, ...]


class Bill:
    """Charges of all files taken so far."""

    def __init__(self) -> None:
        self._charges: dict[tuple[object, ...], tuple[Line, CostRecord]] = {}
        self._repeated = self._restated = self._quarantined = 0
        self._restatements: list[Restated] = []
        self._quarantine: list[Quarantined] = []

    def take(self, stream: BinaryIO, file: str) -> None:
        """Take one export. Without ids, equal lines of one file are separate charges: n-th replaces n-th.

        Raises Invalid when it is no export we read; the bill is then not to be used.
        """
        seen = Counter[tuple[object, ...]]()
        for read in charges(stream, file):
            if isinstance(read, Quarantined):
                self._refuse(read)
                continue
            line, record = read
            identity = record.identity
            seen[identity] += 1
            if record.charge_id is None:
                self._state((identity, seen[identity]), line, record)
            elif seen[identity] == 1 or self._charges[identity, 1][1] == record:
                self._state((identity, 1), line, record)
            else:
                self._refuse(Quarantined(line=line, reason="x_ChargeId: stands in this file with another content"))

    def report(self, tag: str, basis: Basis) -> BillReport:
        """Allocate by the tag. Raises Invalid when effective cost is asked of an export that does not state it."""
        pools: dict[str, dict[tuple[str, str], Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        for line, record in self._charges.values():
            pools[record.currency][_pool(record, tag)] += Fraction(_cost(record, basis, line))
        return BillReport(
            by=tag,
            basis=basis,
            charges=len(self._charges),
            repeated=self._repeated,
            restated=self._restated,
            quarantined=self._quarantined,
            currencies=tuple(_allocated(currency, pools[currency].items()) for currency in sorted(pools)),
            restatements=tuple(self._restatements),
            quarantine=tuple(self._quarantine),
        )

    def _state(self, key: tuple[object, ...], line: Line, record: CostRecord) -> None:
        before = self._charges.get(key)
        if before is not None and before[1] == record:
            self._repeated += 1
            return
        if before is not None:
            self._restated += 1
            if len(self._restatements) < TOLD:
                self._restatements.append(_restated(before, (line, record)))
        self._charges[key] = (line, record)

    def _refuse(self, line: Quarantined) -> None:
        self._quarantined += 1
        if len(self._quarantine) < TOLD:
            self._quarantine.append(line)


def _restated(before: tuple[Line, CostRecord], after: tuple[Line, CostRecord]) -> Restated:
    return Restated(
        line=after[0],
        before=before[0],
        currency=after[1].currency,
        billed=after[1].billed,
        billed_before=before[1].billed,
    )


def _pool(record: CostRecord, tag: str) -> tuple[str, str]:
    """Return kind and owner: an unused commitment is idle, whoever it is tagged with."""
    if record.commitment == "Unused":
        return "idle", ""
    owner = dict(record.tags).get(tag, "").strip()
    if not owner:
        return "untagged", ""
    return ("shared", "") if owner == SHARED else ("direct", owner)


def _cost(record: CostRecord, basis: Basis, line: Line) -> Decimal:
    if basis == "billed":
        return record.billed
    if record.effective is None:
        raise Invalid(f"{line.file}, line {line.number} states no effective cost", reason="no_effective_cost")
    return record.effective


def _allocated(currency: str, sums: Iterable[tuple[tuple[str, str], Fraction]]) -> CurrencyCost:
    pools = dict(sums)
    direct = {owner: cost for (kind, owner), cost in pools.items() if kind == "direct"}
    nothing = Fraction(0)
    split = allocate(Pools(direct, *(pools.get((kind, ""), nothing) for kind in ("shared", "idle", "untagged"))))
    return CurrencyCost(
        currency=currency,
        total_cents=split.total,
        shared_cents=split.shared,
        idle_cents=split.idle,
        untagged_cents=split.untagged,
        unsplit_shared_cents=split.unsplit_shared,
        unsplit_idle_cents=split.unsplit_idle,
        owners=tuple(
            OwnerCost(
                owner=one.owner,
                direct_cents=one.direct,
                shared_cents=one.shared,
                idle_cents=one.idle,
                total_cents=one.total,
            )
            for one in split.shares
        ),
    )
