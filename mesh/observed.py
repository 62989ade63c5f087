"""An environment that is only watched: its signals are what intake has stored, and nothing in it can be acted on.

It stands behind the same `/runtime` API as any other, so the loop over it is the same; commands plan as tickets.
"""

from dataclasses import dataclass

from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from grounding.event_log import EventLog
from grounding.packs import LIVE, Windows
from grounding.telemetry_reader import StoredTelemetry
from runtime.targets.observed import ObservedTarget
from storage.engine import Database


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the environment besides its telemetry: what exists, whose it is, how its signals are spaced."""

    topology: Topology
    binding: RuntimeTenantBinding
    step_s: int = 60
    """Usual distance of metric samples."""
    windows: Windows = LIVE

    def target(self, database: Database, log: EventLog) -> ObservedTarget:
        """Return the compute target over the store."""
        stored = StoredTelemetry(database, log, self.binding.tenant, step_s=self.step_s)
        return ObservedTarget(self.topology, stored, stored)
