"""The runtime's services beyond running workloads: each a package with its routes, operators and control loop.

A new service is one package and one row here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter

from domain.command_kinds import CommandKind
from runtime.marketplace import rolling
from runtime.marketplace import routes as marketplace
from runtime.parts import RuntimeParts
from runtime.ports import Operator, Turn
from runtime.services import backup, carbon, certificates, chaos, compliance, cost, recovery, traffic


def no_operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return nothing: the service only reads."""
    del parts
    return {}


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service as the runtime takes it in."""

    name: str
    router: APIRouter
    operators: Callable[[RuntimeParts], Mapping[CommandKind, Operator]] = no_operators
    turn: Callable[[RuntimeParts], Turn] | None = None


SERVICES: tuple[ServiceRow, ...] = (
    ServiceRow("compliance", compliance.router, compliance.operators),
    ServiceRow("cost", cost.router, turn=cost.CostService),
    ServiceRow("traffic", traffic.router, turn=traffic.ReleaseController),
    ServiceRow("backup", backup.router, backup.operators, backup.Schedule),
    ServiceRow("carbon", carbon.router),
    ServiceRow("certificates", certificates.router, certificates.operators),
    ServiceRow("chaos", chaos.router, chaos.operators, chaos.turn),
    ServiceRow("marketplace", marketplace.router, rolling.operators),
    ServiceRow("recovery", recovery.router, recovery.operators),
)
