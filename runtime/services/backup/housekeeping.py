"""What a crash can leave lying about, cleared up: unknown files, copies of ended operations, holds, old journals."""

import shutil
from dataclasses import dataclass
from datetime import timedelta

from runtime import operations, state
from runtime.services.backup.in_place import InPlace
from runtime.services.backup.journal import JOURNALS
from runtime.services.backup.points import Points
from runtime.services.backup.trials import Trials

JOURNALS_KEPT = timedelta(days=30)
"""An ended restore's journal is kept for a month, for whoever reviews it; the operation's own record stays."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """To be called while no trial of the schedule is under way."""

    points: Points

    async def tidy(self) -> None:
        """Clear up once."""
        await self._journals()
        self._copies()
        self._strays()

    def _strays(self) -> None:
        """Remove archives without a manifest. A manifest is written before its files, so what is seen now is old."""
        parts, held = self.points.parts, self.points.vault.held()
        with parts.database.read() as connection:
            places = state.names(connection)
        known = {point.id for environment in places for point in self.points.listed(environment, None)}
        for folder in held:
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _copies(self) -> None:
        """Remove the plain copies of operations that have ended or were never accepted."""
        folder = Trials(self.points).folder
        held = tuple(folder.iterdir()) if folder.is_dir() else ()
        going_on = self._open()
        for copies in held:
            if copies.name not in going_on:
                shutil.rmtree(copies, ignore_errors=True)

    async def _journals(self) -> None:
        """Let writes go on where a restore ended before it touched anything; forget journals of long ago."""
        parts, in_place, going_on = self.points.parts, InPlace(Trials(self.points)), self._open()
        with parts.database.read() as connection:
            kept = [d for environment in state.names(connection) for d in JOURNALS.list(connection, environment)]
        for document in kept:
            journal = document.body
            if not journal.touched and journal.operation not in going_on:
                await in_place.abandon(journal)
            elif journal.phase in {"done", "undone"} and document.at + JOURNALS_KEPT <= parts.clock.now():
                with parts.database.begin() as connection:
                    JOURNALS.delete(connection, journal.place, journal.operation)

    def _open(self) -> frozenset[str]:
        with self.points.parts.database.read() as connection:
            return frozenset(record.id for record in operations.open_ones(connection))
