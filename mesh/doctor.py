"""The check-up: what is configured, what answers, and what is not built yet, said plainly."""

from pathlib import Path
from typing import Literal

from sqlalchemy import text

from domain.base import Frozen
from domain.command_kinds import CATALOGUE
from domain.errors import Unavailable
from governance.policy import PolicySet
from mesh.lock import running_server
from mesh.settings import Settings
from storage.engine import Database
from tools.actions import ACTIONS


class Finding(Frozen):
    """One part and how it is."""

    part: str
    state: Literal["ok", "absent", "broken", "not built"]
    detail: str


def checkup(settings: Settings) -> list[Finding]:
    """Look at every part without changing anything."""
    server = running_server(settings.home)
    built = {name for name, _ in ACTIONS}
    missing = sorted(kind for kind, spec in CATALOGUE.items() if spec.tool not in built)
    policy = PolicySet.load()
    model = settings.openai_base_url or "the provider's default endpoint"
    return [
        Finding(
            part="server", state="ok" if server else "absent",
            detail=server.url if server else "none runs here; verbs open the local store under its lock",
        ),
        _store("store", settings.store_url),
        _store("runtime store", settings.runtime_store_url),
        Finding(part="policy", state="broken" if policy.fault else "ok", detail=policy.fault or policy.digest),
        Finding(
            part="model", state="ok" if settings.openai_api_key else "absent",
            detail=f"{settings.model} at {model}" if settings.openai_api_key else "no key: code alone decides",
        ),
        Finding(part="commands", state="not built", detail=f"no tool yet for {', '.join(missing)}"),
        Finding(part="transport", state="not built", detail="one process: events leave through the in-process outbox"),
        Finding(part="chat", state="not built", detail="approvals over the API and the command line only"),
    ]  # fmt: skip


def _store(part: str, url: str) -> Finding:
    if url.startswith("sqlite:///") and not _exists(url):
        return Finding(part=part, state="absent", detail="made on first start")
    database = Database(url, read_only=True)
    try:
        with database.read() as connection:
            connection.execute(text("select 1"))
    except Unavailable as error:
        return Finding(part=part, state="broken", detail=str(error))
    finally:
        database.close()
    return Finding(part=part, state="ok", detail=database.dialect)


def _exists(url: str) -> bool:
    return Path(url.removeprefix("sqlite:///")).exists()
