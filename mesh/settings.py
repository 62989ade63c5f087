"""Settings: the one module that reads the environment. Every URL has an embedded default under one state folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from domain.base import Frozen
from domain.errors import Invalid

PREFIX = "OPSMESH_"


class Settings(Frozen):
    """What a process needs to know. Names of the variables are the fields in upper case after `OPSMESH_`."""

    home: Path = Path(".opsmesh")
    """State folder: databases, index, keys, audit anchor, lock."""
    database_url: str | None = None
    """SQLAlchemy URL; default SQLite in the state folder."""
    runtime_database_url: str | None = None
    """The runtime's own store; shares nothing with ours."""
    runtime_url: str | None = None
    """Base URL of a runtime API elsewhere; default the embedded one over ASGI."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback must be said."""
    port: int = Field(default=8765, ge=0, le=65_535)
    url: str | None = None
    """URL of a running server for the command line."""
    token: SecretStr | None = None
    """Bearer token for the command line; default the one in the state folder."""
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    model: str = "gpt-5-mini"
    loopback_receivers: bool = False
    """Whether tenants' subscriptions may lead to this machine: for trying them out only."""
    otlp_endpoint: str | None = None
    """Where our own spans go; none by default."""

    @property
    def store_url(self) -> str:
        """URL of Opsmesh's own store."""
        return self.database_url or f"sqlite:///{self.home / 'opsmesh.db'}"

    @property
    def runtime_store_url(self) -> str:
        """URL of the runtime extension's store."""
        return self.runtime_database_url or f"sqlite:///{self.home / 'runtime.db'}"

    def ensure_home(self) -> None:
        """Create the state folder, readable by its owner only."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings from the environment. Raises Invalid naming the variable that does not fit."""
    source = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for field in Settings.model_fields:
        name = field.upper() if field.startswith("openai_") else PREFIX + field.upper()
        if source.get(name):
            values[field] = source[name]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = str(problem["loc"][0])
        msg = f"{PREFIX}{field.upper()}: {problem['msg']}"
        raise Invalid(msg, reason="settings_invalid") from error
