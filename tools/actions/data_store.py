"""Data stores: how many connections a store takes, how long its backups are kept, whether it is encrypted at rest."""

from datetime import datetime

from domain.arguments import DataStoreConfigure
from domain.changes import Patch
from tools.desired_action import DesiredAction


class ConfigureDataStore(DesiredAction[DataStoreConfigure]):
    """Only what is named is written; where a store's copies and backups lie is not set here."""

    arguments = DataStoreConfigure

    def patches(self, wanted: DataStoreConfigure, at: datetime) -> tuple[Patch, ...]:
        """Write each named property."""
        named = wanted.model_dump(mode="json", exclude={"data_store"}, exclude_none=True)
        return tuple(
            Patch(op="set", path=("data_stores", wanted.data_store, key), value=value) for key, value in named.items()
        )
