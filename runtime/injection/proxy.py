"""A slow way on purpose, for real: a proxy on loopback that holds every answer back by what a table on disk says.

The table outlives whoever wrote to it, as a rule in a network does: only taking it back ends the delay.
"""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from domain.errors import Conflict, Invalid, Unavailable
from domain.ids import EnvironmentId
from runtime.injection.ports import InjectFault

LEAST_MS, LARGEST_MS = 50.0, 500.0
"""A detour through another region, and what most callers still wait for (our choice)."""
_CHUNK = 65_536
_TABLE = "CREATE TABLE IF NOT EXISTS delays (handle TEXT PRIMARY KEY, target TEXT NOT NULL UNIQUE, delay_ms REAL)"


@contextmanager
def _opened(table: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(table, timeout=5.0)
    try:
        connection.execute(_TABLE)
        with connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the table of delays cannot be reached: {error}", reason="table_unreachable") from error
    finally:
        connection.close()


def delay_ms(table: Path, target: str) -> float:
    """Return how long answers of a target are held back now."""
    with _opened(table) as connection:
        row = connection.execute("SELECT delay_ms FROM delays WHERE target = ?", (target,)).fetchone()
    return 0.0 if row is None else float(row[0])


@dataclass(frozen=True, slots=True)
class ProxyFaults:
    """A FaultInjector that slows the way to targets behind proxies."""

    table: Path
    targets: frozenset[str]

    async def prepare(self, environment: EnvironmentId, fault: InjectFault) -> dict[str, JsonValue]:
        """Work out the delay."""
        del environment
        if fault.fault != "network_delay" or fault.target not in self.targets:
            raise Invalid(f"{fault.fault} does not fit {fault.target}", reason="target_unfit")
        if delay_ms(self.table, fault.target) > 0.0:
            raise Conflict("network_delay is there already", reason="fault_present")
        return {"target": fault.target, "delay_ms": LEAST_MS + fault.size * (LARGEST_MS - LEAST_MS)}

    async def inject(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Write the delay down; the proxy reads it with the next bytes."""
        del environment
        values = (handle, recipe["target"], recipe["delay_ms"])
        with _opened(self.table) as connection:
            connection.execute("INSERT OR IGNORE INTO delays VALUES (?, ?, ?)", values)

    async def revert(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Strike the delay out."""
        del environment, recipe
        with _opened(self.table) as connection:
            connection.execute("DELETE FROM delays WHERE handle = ?", (handle,))

    async def active(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> bool:
        """Tell whether the delay is in the table."""
        del environment, recipe
        with _opened(self.table) as connection:
            return connection.execute("SELECT 1 FROM delays WHERE handle = ?", (handle,)).fetchone() is not None


class DelayProxy:
    """Passes bytes of one target on; answers wait as long as the table says."""

    def __init__(self, table: Path, target: str, upstream_port: int) -> None:
        self._table, self._target, self._upstream = table, target, upstream_port
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on loopback; return the port."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        with suppress(ConnectionError):
            await asyncio.gather(self._copy(reader, back, held=False), self._copy(there, writer, held=True))

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, held: bool) -> None:
        try:
            while data := await source.read(_CHUNK):
                if held:
                    await asyncio.sleep(delay_ms(self._table, self._target) / 1000.0)
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()
