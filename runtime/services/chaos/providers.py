"""What an activity may be: a fault of a closed list, its taking back, a measurement, a stage of the loop.

The Chaos Toolkit's own providers (`python`, `process`, `http`) run whatever they name. Ours name what they mean.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.base import Frozen
from runtime.injection.ports import InjectFault, Place

Metric = Literal[
    "request_rate",
    "error_rate",
    "latency_p50_ms",
    "latency_p95_ms",
    "cpu_utilisation",
    "memory_mib",
    "replicas_ready",
    "restarts",
    "slo_burn_rate",
]
"""Series of the target, and the error rate over what the service's objective allows."""
Stage = Literal["detected", "proposed", "fixed", "undone"]
"""An incident was opened; a command was proposed for it; one was verified to have helped; the fault's cause is gone."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LONGEST_S = 6 * 3600
"""No experiment is watched longer than a working day's half (our choice)."""


class RevertFault(Frozen):
    """Take a fault back."""

    type: Literal["opsmesh.revert"]
    of: Name
    """Name of the action that injected it."""


class Measure(Frozen):
    """One figure of one entity over the last minutes."""

    type: Literal["opsmesh.metric"]
    entity: Place
    metric: Metric
    statistic: Literal["mean", "min", "max", "last"] = "mean"
    window_s: int = Field(ge=60, le=3600, default=300)


class WatchLoop(Frozen):
    """Wait until Opsmesh itself has come to a stage with a fault; late is a failure."""

    type: Literal["opsmesh.loop"]
    stage: Stage
    of: Name
    """Name of the action that injected the fault."""
    within_s: int = Field(gt=0, le=LONGEST_S)
    """Counted from the injection."""


class Safeguard(Frozen):
    """Abort as soon as a figure leaves its tolerance."""

    type: Literal["opsmesh.safeguard"]
    entity: Place
    metric: Metric
    statistic: Literal["mean", "min", "max", "last"] = "mean"
    window_s: int = Field(ge=60, le=3600, default=120)
    tolerance: tuple[float, float]


class Deadline(Frozen):
    """Abort when the experiment has lasted this long."""

    type: Literal["opsmesh.deadline"]
    after_s: int = Field(gt=0, le=LONGEST_S)


ProbeProvider = Annotated[Measure | WatchLoop, Field(discriminator="type")]
ActionProvider = Annotated[InjectFault | RevertFault, Field(discriminator="type")]
ControlProvider = Annotated[Safeguard | Deadline, Field(discriminator="type")]
