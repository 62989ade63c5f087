"""Backup and restore: consistent cuts of one tenant, sealed and proven, and their way back beside everybody else."""

from runtime.services.backup.operators import operators
from runtime.services.backup.routes import router
from runtime.services.backup.schedule import Schedule

__all__ = ("Schedule", "operators", "router")
