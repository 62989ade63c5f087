"""Every table, one module per owner room. Importing this package registers all of them on `metadata`."""

from storage.tables import answers as answers
from storage.tables import events as events
from storage.tables import feed as feed
from storage.tables import governance as governance
from storage.tables import identity as identity
from storage.tables import journal as journal
from storage.tables import knowledge as knowledge
from storage.tables import policy as policy
from storage.tables.base import metadata

__all__ = ["metadata"]
