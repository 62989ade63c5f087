"""Configure: set one configuration key of a service, or remove it."""

from datetime import datetime

from domain.arguments import ServiceConfigure
from domain.changes import Patch
from tools.desired_action import DesiredAction


class Configure(DesiredAction[ServiceConfigure]):
    """One key at a time: one command, one effect, one undo."""

    arguments = ServiceConfigure

    def patches(self, wanted: ServiceConfigure, at: datetime) -> tuple[Patch, ...]:
        """Write or remove the key."""
        path = ("services", wanted.service, "config", wanted.key)
        if wanted.value is None:
            return (Patch(op="remove", path=path),)
        return (Patch(op="set", path=path, value=wanted.value),)
