"""What carbon advice is made from and checked against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.desired import EnvironmentState
from domain.ids import EnvironmentId
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from runtime.grid.ports import GridPoint
from runtime.services.carbon.energy import Amount


@dataclass(frozen=True, slots=True)
class Emitter:
    """One service, or what is idle of one pool, in one region."""

    address: str
    region: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What advice is checked against."""

    environment: EnvironmentId
    at: datetime
    topology: Topology
    desired: EnvironmentState
    bound: tuple[RuntimeTenantBinding, ...]
    grids: Mapping[str, GridPoint]
    window_h: float
    usd_per_core_hour: Mapping[str, float]


def write_path(around: Surroundings) -> str:
    """Return where the write is sent to."""
    return f"/runtime/environments/{around.environment}/desired-state"
