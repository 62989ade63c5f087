"""Disaster recovery: is a region lost, who moves to its pair and who may not, the switch, and its rehearsal.

Its own service beside backup: backup keeps a tenant's past, recovery moves its present.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from domain.command_kinds import CommandKind
from runtime.parts import RuntimeParts
from runtime.ports import Operator
from runtime.services.recovery.drill import FailoverDrill
from runtime.services.recovery.failover import RegionFailover

router = APIRouter()
"""No route of its own: a failover is an operation, a held tenant a finding."""


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return the switch and its rehearsal."""
    return {"region.failover": RegionFailover(parts), "failover.drill": FailoverDrill(parts)}
