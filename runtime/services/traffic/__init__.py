"""Traffic: how requests are led to regions and versions, and releases that go step by step and find their way back."""

from runtime.services.traffic.controller import ReleaseController
from runtime.services.traffic.routes import router

__all__ = ["ReleaseController", "router"]
