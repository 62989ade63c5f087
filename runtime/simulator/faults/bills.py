"""What changes on the bill and not in the runtime: the provider's price, and the provider's second thoughts."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from runtime.simulator.billing import Bill
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import own, pick
from runtime.simulator.pricing import SKUS
from runtime.simulator.world import World

# Restated figures stand until the provider's next run puts them right.
STANDS_S = 6.0 * 3600.0
RESTATED_DAYS = 2


def _price_draw(world: World, rng: np.random.Generator) -> Draw:
    sku = pick(rng, sorted({p.sku for p in world.node_pools.values()}))
    pools = sorted(p for p, state in world.node_pools.items() if state.sku == sku)
    before = world.billing.prices[sku]
    return Draw(
        fault="price_change", entity=f"node_pool/{pools[0]}", names={"sku": sku},
        also=tuple(f"node_pool/{p}" for p in pools[1:]),
        numbers={"before": before, "after": round(before * float(rng.uniform(1.25, 1.7)), 2)},
    )  # fmt: skip


def _priced(world: World, draw: Draw, key: str) -> None:
    world.billing.prices[draw.names["sku"]] = draw.numbers[key]
    world.billing.price(world.node_pools)


def _raise(world: World, draw: Draw) -> None:
    _priced(world, draw, "after")


def _lower(world: World, draw: Draw) -> None:
    _priced(world, draw, "before")


def _dear(world: World, draw: Draw) -> bool:
    return world.billing.prices[draw.names["sku"]] == draw.numbers["after"]


def _surcharge(world: World, draw: Draw) -> float:
    nodes = sum(p.node_count for p in world.node_pools.values() if p.sku == draw.names["sku"])
    return nodes * (draw.numbers["after"] - draw.numbers["before"])


def _elsewhere(world: World, draw: Draw) -> tuple[Answer, ...]:
    """Nobody here sets prices: its owner must know; machines of the same size that now cost less would do as well."""
    here = SKUS[draw.names["sku"]]
    equal = [s.name for s in SKUS.values() if (s.cores, s.memory_mib) == (here.cores, here.memory_mib)]
    cheaper = [s for s in equal if world.billing.prices[s] < draw.numbers["after"] and s != here.name]
    moves = [Answer(kind="node_pool.change_sku", target=draw.entity, arguments={"sku": s}) for s in cheaper]
    return (Answer(kind="ticket.open", target=draw.entity), *moves)


def _restated_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, [s.id for s in own(world)])
    return Draw(
        fault="billing_restated", entity=f"service/{service}", names={"service": service},
        numbers={"factor": float(rng.uniform(1.5, 2.4)), "ends_s": world.elapsed_s + STANDS_S},
    )  # fmt: skip


def _recent_bills(world: World, service: str) -> list[Bill]:
    """The newest bills of a service; a young world's are of the days before it began, at today's rate."""
    written = [b for b in world.billing.bills if b.service == service][-RESTATED_DAYS:]
    if written:
        return written
    spec = world.layout.services[world.layout.service_index[service]]
    rate = float(world.history.recent("cost_usd_per_hour", world.layout.columns(service)).sum())
    today = world.spec.start.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [(today - timedelta(days=d), today - timedelta(days=d - 1)) for d in range(RESTATED_DAYS, 0, -1)]
    return [Bill(service, spec.tenant, start, end, round(rate * 24.0, 2)) for start, end in days]


@dataclass(slots=True)
class _Correction:
    """The provider's next run: the first figures were right."""

    world: World
    bills: list[Bill]
    ends_s: float

    def __call__(self, now_s: float) -> None:
        if now_s >= self.ends_s:
            self.world.processes.pop("bill-run", None)
            self.send(now_s)

    def send(self, now_s: float) -> None:
        """Tell the right amounts."""
        for bill in self.bills:
            self.world.billing.tell(bill, bill.amount_usd, now_s, self.world.journal, restated=True)


def _restate(world: World, draw: Draw) -> None:
    bills = _recent_bills(world, draw.names["service"])
    for bill in bills:
        amount = bill.amount_usd * draw.numbers["factor"]
        world.billing.tell(bill, amount, world.elapsed_s, world.journal, restated=True)
    world.processes["bill-run"] = _Correction(world, bills, draw.numbers["ends_s"])


def _correct(world: World, _draw: Draw) -> None:
    pending = world.processes.pop("bill-run", None)
    if isinstance(pending, _Correction):
        pending.send(world.elapsed_s)


def _standing(world: World, _draw: Draw) -> bool:
    return "bill-run" in world.processes


def _nothing(_world: World, _draw: Draw) -> tuple[Answer, ...]:
    return ()


PRICE_CHANGE = Fault(
    "price_change", "price_change", "escalate", self_heals=False, draw=_price_draw, inject=_raise, undo=_lower,
    present=_dear, answers=_elsewhere, domain="cost", wasted_usd_per_hour=_surcharge,
)  # fmt: skip
BILLING_RESTATED = Fault(
    "billing_restated", "billing_restated", "wait", self_heals=True, draw=_restated_draw, inject=_restate,
    undo=_correct, present=_standing, answers=_nothing, domain="cost",
)  # fmt: skip
