"""Every table, one module per owner room. Importing this package registers all of them on `metadata`."""

from storage.tables.base import metadata

__all__ = ["metadata"]
