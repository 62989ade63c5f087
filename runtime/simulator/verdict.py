"""Whether a world hurts, by its own objectives: the truth graders and tests compare claims with."""

from domain.base import Frozen
from runtime.simulator.sensors import ERROR_GATE, SLOW_GATE
from runtime.simulator.world import World


class Hurt(Frozen):
    """How badly one service missed its gates over a window; above 1 is beyond the gate."""

    service: str
    errors: float
    slowness: float

    @property
    def worst(self) -> float:
        """The larger of both."""
        return max(self.errors, self.slowness)


def hurting(world: World, last_s: float = 180.0) -> tuple[Hurt, ...]:
    """Own services beyond their error or latency gate over the last seconds, worst first; empty when all is well."""
    steps = world.history.rows(world.history.count - round(last_s / world.spec.step_s), world.history.count)
    found: list[Hurt] = []
    for service in world.layout.services:
        if service.external:
            continue
        columns = world.layout.columns(service.id)
        weight = world.history.truth("request_rate", steps, columns) + 1e-9
        failing = (world.history.truth("error_share", steps, columns) * weight).sum() / weight.sum()
        slow = (world.history.truth("slow_share", steps, columns) * weight).sum() / weight.sum()
        found.append(Hurt(service=service.id, errors=float(failing) / ERROR_GATE, slowness=float(slow) / SLOW_GATE))
    return tuple(sorted((h for h in found if h.worst > 1.0), key=lambda h: -h.worst))


def slo_minutes_lost(world: World, since_s: float) -> float:
    """Service minutes beyond a gate since an instant, over all own services."""
    steps = world.history.rows(round(since_s / world.spec.step_s), world.history.count)
    lost = 0.0
    for service in world.layout.services:
        if service.external:
            continue
        columns = world.layout.columns(service.id)
        weight = world.history.truth("request_rate", steps, columns) + 1e-9
        failing = (world.history.truth("error_share", steps, columns) * weight).sum(axis=1) / weight.sum(axis=1)
        slow = (world.history.truth("slow_share", steps, columns) * weight).sum(axis=1) / weight.sum(axis=1)
        lost += float(((failing > ERROR_GATE) | (slow > SLOW_GATE)).sum()) * world.spec.step_s / 60.0
    return lost
