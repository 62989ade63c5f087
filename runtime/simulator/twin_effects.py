"""What each kind of command means to the twin. A kind that is not here, or a value nobody has seen, is unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from domain import arguments as a
from domain.commands import Proposal
from domain.desired import ServiceState
from domain.errors import Invalid
from domain.evidence import ChangeRecord, EvidencePack
from runtime.simulator.live import Traits
from runtime.simulator.twin_arms import Arm
from runtime.simulator.twin_places import held_store

Arguments = dict[str, JsonValue]
# Configuration keys whose meaning the physics knows; others are only known by what was measured before they changed.
KNOWN_KEYS = frozenset({"timeout_ms", "max_retries", "pool_size", "log_level"})


@dataclass(slots=True, frozen=True)
class Effect:
    """A command as the twin understands it."""

    service: str = ""
    state: ServiceState | None = None
    also: tuple[tuple[str, ServiceState], ...] = ()
    """Other services with the state they shall have."""
    restarts: tuple[str, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    as_before: bool = False
    """The service shall behave as it was measured before `changed_at` (before the symptom where that is None)."""
    changed_at: datetime | None = None

    def arm(self, traits: Traits | None) -> Arm:
        """The side of the comparison with the command."""
        services = {self.service: self.state} if self.state is not None else {}
        services |= dict(self.also)
        return Arm(services=services, traits=traits, restarts=self.restarts, limits=dict(self.limits))


def effect_of(pack: EvidencePack, proposal: Proposal) -> Effect:
    """Read a proposal; raises Invalid where the twin has nothing to go by."""
    reader = _READERS.get(proposal.kind)
    if reader is None:
        raise Invalid(f"{proposal.kind} is not something this twin can rehearse")
    return reader(pack, proposal.arguments)


def _state(pack: EvidencePack, service: str) -> ServiceState:
    found = pack.desired.effective(pack.at).services.get(service) if pack.desired else None
    if found is None:
        raise Invalid(f"the desired state of {service} is not in the pack")
    return found


def _rollback(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.ServiceRollback.model_validate(arguments)
    change = _newest(pack, f"service/{wanted.service}", "deployment", lambda c: c.before == wanted.to_version)
    if change is None:
        raise Invalid(f"no reading tells how {wanted.service} {wanted.to_version} behaved")
    state = _state(pack, wanted.service).model_copy(update={"version": wanted.to_version})
    return Effect(service=wanted.service, state=state, as_before=True, changed_at=change.at)


def _configure(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.ServiceConfigure.model_validate(arguments)
    before = {"key": wanted.key, "value": wanted.value}
    change = _newest(pack, f"service/{wanted.service}", "config", lambda c: c.before == before)
    if change is None and wanted.key not in KNOWN_KEYS:
        raise Invalid(f"no reading tells what {wanted.key} = {wanted.value} does to {wanted.service}")
    state = _state(pack, wanted.service)
    config = {k: v for k, v in state.config.items() if k != wanted.key}
    if wanted.value is not None:
        config[wanted.key] = wanted.value
    state = state.model_copy(update={"config": config})
    at = change.at if change else None
    return Effect(service=wanted.service, state=state, as_before=change is not None, changed_at=at)


def _scale(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.ServiceScale.model_validate(arguments)
    state = _state(pack, wanted.service).model_copy(update={"replicas": wanted.replicas})
    return Effect(service=wanted.service, state=state)


def _resize(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.ServiceResize.model_validate(arguments)
    before = _state(pack, wanted.service)
    state = before.model_copy(update={"cpu_millicores": wanted.cpu_millicores, "memory_mib": wanted.memory_mib})
    return Effect(service=wanted.service, state=state)


def _policy(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.ScalingPolicyUpdate.model_validate(arguments)
    state = _state(pack, wanted.service).model_copy(update={"scaling": wanted.policy})
    return Effect(service=wanted.service, state=state)


def _shift(pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.TrafficShift.model_validate(arguments)

    def led(service: str) -> ServiceState:
        state = _state(pack, service)
        traffic = state.traffic.model_copy(update={"region_weights": wanted.region_weights})
        return state.model_copy(update={"traffic": traffic})

    also = tuple((service, led(service)) for service in wanted.also)
    return Effect(service=wanted.service, state=led(wanted.service), also=also)


def _throttle(_pack: EvidencePack, arguments: Arguments) -> Effect:
    wanted = a.TenantThrottle.model_validate(arguments)
    return Effect(limits=((wanted.tenant, wanted.rate_limit_rps),))


def _restart(pack: EvidencePack, arguments: Arguments) -> Effect:
    """New processes; a store whose lock their sessions held works as it did before."""
    wanted = a.ServiceRestart.model_validate(arguments)
    store = held_store(pack, wanted.service)
    if store is not None:
        return Effect(service=store, state=_state(pack, store), restarts=(wanted.service,), as_before=True)
    return Effect(service=wanted.service, restarts=(wanted.service,))


def _nothing(_pack: EvidencePack, _arguments: Arguments) -> Effect:
    return Effect()


_READERS: dict[str, Callable[[EvidencePack, Arguments], Effect]] = {
    "service.rollback": _rollback,
    "service.configure": _configure,
    "service.scale": _scale,
    "service.resize": _resize,
    "scaling_policy.update": _policy,
    "traffic.shift": _shift,
    "tenant.throttle": _throttle,
    "service.restart": _restart,
    "ticket.open": _nothing,
    "alert.silence": _nothing,
}


def _newest(pack: EvidencePack, entity: str, kind: str, fits: Callable[[ChangeRecord], bool]) -> ChangeRecord | None:
    found = [c for c in pack.changes if c.entity == entity and c.kind == kind and fits(c)]
    return max(found, key=lambda c: c.at, default=None)
