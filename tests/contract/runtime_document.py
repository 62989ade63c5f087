"""The runtime API's published document, from the application itself over a small target."""

import asyncio
import tempfile
from pathlib import Path

from pydantic import JsonValue

from tests.support.small_runtime import small_bench


def runtime_document() -> dict[str, JsonValue]:
    """Return the OpenAPI document."""

    async def made(folder: Path) -> dict[str, JsonValue]:
        bench = await small_bench(folder)
        document = bench.app.openapi()
        await bench.client.http.aclose()
        bench.services.database.close()
        return document

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(made(Path(folder)))
