"""A runtime in another process: reached over HTTP with a token it knows us by. It holds our public grant key."""

import socket
from dataclasses import dataclass, field

import httpx
import uvicorn
from fastapi import FastAPI

from domain.ids import EnvironmentId


@dataclass(frozen=True, slots=True)
class RemoteRuntime:
    """A client into a runtime API that somebody else runs, and the environments of it that this mesh looks after."""

    http: httpx.AsyncClient
    token: str = field(repr=False)
    environments: tuple[EnvironmentId, ...]

    async def close(self) -> None:
        """Close the client."""
        await self.http.aclose()


async def serve_on(app: FastAPI, listening: socket.socket) -> None:
    """Serve an application on a socket that is listening already, until the process ends."""
    config = uvicorn.Config(app, log_level="critical", lifespan="off", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listening])
