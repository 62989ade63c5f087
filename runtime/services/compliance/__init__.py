"""Compliance as a service: the policy set's controls judge desired and live state, waivers let some of it be."""

from runtime.services.compliance.routes import router
from runtime.services.compliance.waivers import operators

__all__ = ("operators", "router")
