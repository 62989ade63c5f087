"""What the crash harness goes through: command kinds, what people and the world do to them, and where processes die."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from domain.command_kinds import CommandKind
from domain.commands import Proposal
from domain.crash_points import POINTS
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from domain.topology import EntityRef

TENANT, ENVIRONMENT = TenantId("cinder-logistics"), EnvironmentId("prod")
SERVICE = "routing"
OLD_VERSION, NEW_VERSION = "v1.0.0", "v1.1.0"
KEY = "crash-case"

Script = Literal["approve", "regress", "narrow", "cancel", "expire"]
"""approve: a person says yes. regress: the service gets worse after the effect, so the undo runs. narrow: a person
replaces the command by a narrower child. cancel: it is taken back. expire: nobody answers."""


def _person(name: str, *roles: Literal["proposer", "approver", "operator"]) -> Principal:
    grants = tuple(RoleGrant(role=role, tenant=TENANT) for role in roles)
    return Principal(id=PrincipalId(name), kind="person", name=name, grants=grants)


PROPOSER, NARROWER, APPROVER = _person("pat", "proposer"), _person("nora", "approver"), _person("ann", "approver")

_POLICY: dict[str, JsonValue] = {"min_replicas": 4, "max_replicas": 20, "target_cpu_utilisation": 0.5}
ARGUMENTS: dict[CommandKind, dict[str, JsonValue]] = {
    "service.rollback": {"service": SERVICE, "to_version": OLD_VERSION},
    "scaling_policy.update": {"service": SERVICE, "policy": _POLICY},
    "service.restart": {"service": SERVICE, "reason": "hung"},
    "traffic.shift": {"service": SERVICE, "region_weights": {"westeurope": 0.6, "northeurope": 0.4}},
    "service.configure": {"service": SERVICE, "key": "timeout_ms", "value": "2500"},
}
KINDS: tuple[CommandKind, ...] = tuple(ARGUMENTS)


def proposal_of(kind: CommandKind) -> Proposal:
    """Return what a person asks for."""
    return Proposal(
        kind=kind, arguments=ARGUMENTS[kind], target=EntityRef(kind="service", id=SERVICE), tenant=TENANT,
        environment=ENVIRONMENT, proposer=PROPOSER.id, rationale="the crash harness asks for it",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a process dies: at the n-th time that it reaches the point."""

    point: str
    nth: int = 1

    def __str__(self) -> str:
        """Name it as tables show it."""
        return self.point if self.nth == 1 else f"{self.point}#{self.nth}"


@dataclass(frozen=True, slots=True)
class Passage:
    """One way through the command's life: the script, and the deaths of its processes one after another."""

    script: Script
    kills: tuple[Kill, ...]
    undo: bool = True
    """False where a kind without lasting effect does not come by: its undo calls nothing."""

    @property
    def name(self) -> str:
        """Name of the row."""
        return f"{self.script}: {', '.join(str(kill) for kill in self.kills) or 'no crash'}"

    @property
    def final(self) -> str:
        """The point that this row is about."""
        return self.kills[-1].point if self.kills else ""


RUNTIME_POINTS = frozenset(point for point in POINTS if point.startswith("runtime."))
"""Points in the runtime's own process; the compute target behind it stays alive."""

_APPROVE = (
    "propose.before_commit", "propose.committed", "decide.before_commit", "decide.committed", "approve.before_commit",
    "approve.before_claim", "claim.before_commit", "claim.before_effect", "grant.before_commit",
    "runtime.before_commit", "runtime.committed", "effect.before_record", "record.before_commit",
    "record.before_verify", "verify.before_commit", "verify.during", "finish.before_commit", "finish.committed",
    "outbox.before_ack",
)  # fmt: skip
_REGRESS = (
    Kill("finish.before_commit"), Kill("finish.committed"), Kill("undo.before_commit"), Kill("undo.during"),
    Kill("claim.before_commit", 2), Kill("claim.before_effect", 2), Kill("effect.before_record", 2),
    Kill("record.before_commit", 2), Kill("record.before_verify", 2), Kill("verify.before_commit", 2),
    Kill("finish.before_commit", 2), Kill("finish.committed", 2), Kill("undo.before_record"),
    Kill("finish.before_commit", 3),
)  # fmt: skip
_REGRESS_WITH_EFFECT = (Kill("grant.before_commit", 2), Kill("runtime.before_commit", 2), Kill("runtime.committed", 2))

PASSAGES: tuple[Passage, ...] = (
    Passage("approve", ()),
    Passage("regress", ()),
    *(Passage("approve", (Kill(point),)) for point in _APPROVE),
    *(Passage("regress", (kill,)) for kill in _REGRESS),
    *(Passage("regress", (kill,), undo=False) for kill in _REGRESS_WITH_EFFECT),
    Passage("narrow", (Kill("supersede.before_commit"),)),
    Passage("narrow", (Kill("supersede.committed"),)),
    Passage("cancel", (Kill("cancel.before_commit"),)),
    Passage("expire", (Kill("expire.before_commit"),)),
    Passage("approve", (Kill("claim.before_effect"), Kill("recover.before_commit"))),
    Passage("approve", (Kill("effect.before_record"), Kill("recover.before_commit"))),
    Passage("approve", (Kill("effect.before_record"), Kill("effect.before_record"))),
)
"""Every point of the catalogue, and the undo's own passage through the points it shares with its parent."""


def passages(points: Iterable[str] = (), kinds: Iterable[CommandKind] = ()) -> list[tuple[Passage, CommandKind]]:
    """Return the cases: all of them, or those whose last kill is at one of the points."""
    wanted, chosen = set(points), tuple(kinds) or KINDS
    return [
        (passage, kind)
        for passage in PASSAGES
        for kind in chosen
        if (not wanted or passage.final in wanted) and (passage.undo or kind != "service.restart")
    ]
