"""What a raw write means as a governed command: the row by which a PATCH without a grant becomes a proposal.

One write is one command. A write that fits no row of the catalogue is refused: there is no free-form command.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import JsonValue, ValidationError

from domain.arguments import DataStoreConfigure
from domain.base import Frozen
from domain.changes import Patch
from domain.command_kinds import CATALOGUE, CommandKind
from domain.desired import EnvironmentState
from domain.errors import Invalid
from domain.ids import EnvironmentId
from domain.topology import EntityKind, EntityRef
from runtime.differences import address_of
from runtime.marketplace.meaning import is_pack_record, pack_meaning

Arguments = dict[str, JsonValue]
Build = Callable[[Patch, datetime], Arguments]


class Meaning(Frozen):
    """A command kind with its arguments and target."""

    kind: CommandKind
    arguments: dict[str, JsonValue]
    target: EntityRef


def meaning_of(patches: Sequence[Patch], state: EnvironmentState, at: datetime) -> Meaning:
    """Return the command the patches stand for. Raises Invalid where they are none, or more than one."""
    if any(is_pack_record(patch) for patch in patches):
        changed, pack = pack_meaning(patches, state)
        return Meaning(kind=changed, arguments=pack, target=EntityRef(kind="pack", id=str(pack["pack"])))
    found = [_row(patch) for patch in patches]
    kinds: set[CommandKind] = {kind for kind, _ in found}
    targets = {address_of(patch.path) for patch in patches}
    # Resize is the only kind that two patches make together.
    if len(kinds) != 1 or len(targets) != 1 or (len(patches) > 1 and kinds != {"service.resize"}):
        raise Invalid("one write is one command: send the patches one by one", reason="not_one_command")
    kind, target = kinds.pop(), EntityRef.parse(targets.pop())
    arguments: Arguments = {}
    if kind == "service.resize":
        held = state.services[target.id]
        arguments = {"cpu_millicores": held.cpu_millicores, "memory_mib": held.memory_mib}
    for (_, build), patch in zip(found, patches, strict=True):
        arguments |= build(patch, at)
    try:
        CATALOGUE[kind].arguments.model_validate(arguments)
    except ValidationError as error:
        raise Invalid(f"the write does not fit {kind}", reason="arguments_invalid") from error
    return Meaning(kind=kind, arguments=arguments, target=target)


def _row(patch: Patch) -> tuple[CommandKind, Build]:
    temporary = patch.override_until is not None
    shape = (patch.path[0], *patch.path[2:])
    if shape == _INTENT and not temporary and patch.value in _INTENTS:
        return _INTENTS[str(patch.value)], _named
    for kind, pattern, override, build in _ROWS:
        fits = len(pattern) == len(shape) and all(p in {"*", s} for p, s in zip(pattern, shape, strict=True))
        if fits and override == temporary:
            return kind, build
    raise Invalid("no command kind stands for this write", reason="no_such_command")


def _field(name: str) -> Build:
    def build(patch: Patch, _at: datetime) -> Arguments:
        return {"service": patch.path[1], name: patch.value}

    return build


def _named(patch: Patch, _at: datetime) -> Arguments:
    return {"service": patch.path[1]}


def _config(patch: Patch, _at: datetime) -> Arguments:
    value = None if patch.op == "remove" else patch.value
    return {"service": patch.path[1], "key": patch.path[3], "value": value}


def _shift(patch: Patch, at: datetime) -> Arguments:
    return {"service": patch.path[1], "region_weights": patch.value, "duration_s": _duration_s(patch, at)}


def _throttle(patch: Patch, at: datetime) -> Arguments:
    return {"tenant": patch.path[1], "rate_limit_rps": patch.value, "duration_s": _duration_s(patch, at)}


def _rebind(patch: Patch, _at: datetime) -> Arguments:
    return {"tenant": patch.path[1], "primary_region": patch.value}


def _node_pool(name: str) -> Build:
    def build(patch: Patch, _at: datetime) -> Arguments:
        return {"node_pool": patch.path[1], name: patch.value}

    return build


def _data_store(name: str) -> Build:
    def build(patch: Patch, _at: datetime) -> Arguments:
        return {"data_store": patch.path[1], name: patch.value}

    return build


def _hours(patch: Patch, _at: datetime) -> Arguments:
    hours = patch.value if isinstance(patch.value, dict) else {}
    return {"service": patch.path[1], **hours}


def _duration_s(patch: Patch, at: datetime) -> int:
    return round((datetime.fromisoformat(patch.override_until or "") - at).total_seconds())


_ROWS: tuple[tuple[CommandKind, tuple[str, ...], bool, Build], ...] = (
    ("service.scale", ("services", "replicas"), False, _field("replicas")),
    ("service.resize", ("services", "cpu_millicores"), False, _field("cpu_millicores")),
    ("service.resize", ("services", "memory_mib"), False, _field("memory_mib")),
    ("service.rollback", ("services", "version"), False, _field("to_version")),
    ("service.configure", ("services", "config", "*"), False, _config),
    ("scaling_policy.update", ("services", "scaling"), False, _field("policy")),
    ("traffic_policy.apply", ("services", "traffic"), False, _field("policy")),
    ("traffic.shift", ("services", "traffic", "region_weights"), True, _shift),
    ("service.schedule", ("services", "schedule"), False, _hours),
    ("tenant.rebind", ("tenants", "primary_region"), False, _rebind),
    ("tenant.throttle", ("tenants", "rate_limit_rps"), True, _throttle),
    ("node_pool.scale", ("node_pools", "node_count"), False, _node_pool("node_count")),
    ("node_pool.change_sku", ("node_pools", "sku"), False, _node_pool("sku")),
    *(
        ("data_store.configure", ("data_stores", name), False, _data_store(name))
        for name in DataStoreConfigure.model_fields
        if name != "data_store"
    ),
)


_INTENT = ("services", "traffic", "release", "intent")
_INTENTS: dict[str, CommandKind] = {
    "promote": "release.promote",
    "pause": "release.pause",
    "run": "release.resume",
    "abort": "release.abort",
}
"""What is wanted of a release is one field, and each of its values another command."""
_TARGETS: dict[CommandKind, tuple[EntityKind, str]] = {
    "service.restart": ("service", "service"),
    "region.failover": ("region", "from_region"),
    "failover.drill": ("region", "from_region"),
    "chaos.run": ("experiment", "experiment"),
    "chaos.abort": ("experiment", "experiment"),
    "restore_point.create": ("tenant", "tenant"),
    "restore.run": ("restore_point", "restore_point"),
    "restore.drill": ("restore_point", "restore_point"),
    "certificate.rotate": ("certificate", "certificate"),
    "secret.rotate": ("secret", "secret"),
    "issuer.distrust": ("issuer", "issuer"),
    "pack.upgrade": ("pack", "pack"),
    "operation.cancel": ("operation", "operation"),
}
"""Which argument of an operation names what it is done to."""


def operation_meaning(kind: CommandKind, arguments: Frozen, environment: EnvironmentId) -> Meaning:
    """Return what an operation means: its kind, its arguments, and the target that the arguments name."""
    said = arguments.model_dump(mode="json")
    if kind == "compliance.waive":
        target = EntityRef.parse(str(said["resource"]))
    elif (row := _TARGETS.get(kind)) is not None:
        target = EntityRef(kind=row[0], id=said[row[1]])
    else:
        target = EntityRef(kind="environment", id=environment)
    return Meaning(kind=kind, arguments=said, target=target)
