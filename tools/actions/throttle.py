"""Throttle: limit a tenant's ingress rate until an override ends."""

from datetime import datetime, timedelta

from domain.arguments import TenantThrottle
from domain.changes import Patch
from tools.desired_action import DesiredAction


class Throttle(DesiredAction[TenantThrottle]):
    """An override: the limit lifts by itself."""

    arguments = TenantThrottle

    def patches(self, wanted: TenantThrottle, at: datetime) -> tuple[Patch, ...]:
        """Override the tenant's rate limit."""
        path = ("tenants", wanted.tenant, "rate_limit_rps")
        until = (at + timedelta(seconds=wanted.duration_s)).isoformat()
        return (Patch(op="set", path=path, value=wanted.rate_limit_rps, override_until=until),)
