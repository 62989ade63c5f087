"""Compliance as a service: a table of controls judges desired and live state, and answers over HTTP and as OSCAL."""

from runtime.services.compliance.routes import router

__all__ = ("router",)
