"""Actions: every effect the mesh can have on a runtime. A new action is one file and one line here.

The name is what `domain.command_kinds` calls `tool`.
"""

from typing import Protocol

from domain.ports import Action, ActionVerifier
from tools.actions.configure import Configure
from tools.actions.data_store import ConfigureDataStore
from tools.actions.node_pool import ChangeSku, ScaleNodePool
from tools.actions.pack import ChangePack
from tools.actions.rebind import Rebind
from tools.actions.release import AbortRelease, PauseRelease, PromoteRelease, ResumeRelease
from tools.actions.remedy import Remediate
from tools.actions.resize import Resize
from tools.actions.rollback import Rollback
from tools.actions.scale import Scale
from tools.actions.scaling_policy import UpdateScalingPolicy
from tools.actions.schedule import Schedule
from tools.actions.throttle import Throttle
from tools.actions.traffic_policy import ApplyTrafficPolicy
from tools.actions.traffic_shift import ShiftTraffic
from tools.client import RuntimeClient
from tools.recorded_action import RecordedAction


class Tool(Action, ActionVerifier, Protocol):
    """An action with its verification and undo."""


class MakeTool(Protocol):
    """Binds an action to a runtime."""

    def __call__(self, client: RuntimeClient) -> Tool: ...


ACTIONS: tuple[tuple[str, MakeTool], ...] = (
    ("scale", Scale),
    ("resize", Resize),
    ("rollback", Rollback),
    ("restart", RecordedAction),
    ("cancel", RecordedAction),
    ("chaos", RecordedAction),
    ("configure", Configure),
    ("traffic_shift", ShiftTraffic),
    ("traffic_policy", ApplyTrafficPolicy),
    ("release", PromoteRelease),
    ("release_pause", PauseRelease),
    ("release_resume", ResumeRelease),
    ("release_abort", AbortRelease),
    ("throttle", Throttle),
    ("rebind", Rebind),
    ("failover", RecordedAction),
    ("scaling_policy", UpdateScalingPolicy),
    ("schedule", Schedule),
    ("node_pool", ScaleNodePool),
    ("node_pool_sku", ChangeSku),
    ("data_store", ConfigureDataStore),
    ("backup", RecordedAction),
    ("restore", RecordedAction),
    ("certificate", RecordedAction),
    ("secret", RecordedAction),
    ("issuer", RecordedAction),
    ("pack", ChangePack),
    ("remedy", Remediate),
    ("waiver", RecordedAction),
    ("ticket", RecordedAction),
)


def bind_actions(client: RuntimeClient) -> dict[str, Tool]:
    """Return every action by tool name, bound to one runtime. The client's principal must read as the platform."""
    return {name: make(client) for name, make in ACTIONS}
