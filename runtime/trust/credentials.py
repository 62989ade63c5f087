"""The credential plane on this machine: an authenticator over TCP, and holders that log in at it.

Passwords lie in files only their owner reads; the authenticator keeps a salted hash and an end. A password is 32 random
bytes: nobody guesses it, so a plain hash does where what people choose would need a slow one.
A holder logs in with what it last loaded, as a process does: a new file changes nothing until it is handed over.
"""

import asyncio
import base64
import hmac
import json
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import cast

from domain.errors import Invalid, Unavailable
from domain.ports import Entropy
from domain.trust import CredentialFacts
from runtime.trust.files import write_private
from runtime.trust.loopback import Loopback, connect
from runtime.trust.ports import Login, Pair

_SALT_BYTES, _PASSWORD_BYTES = 16, 32
_LONGEST = 4096
_TABLE = """create table if not exists logins (
    opens text, user text, version text, salt blob, hash blob, expires_at text, primary key (opens, user))"""


class Authenticator:
    """Takes one login a connection: a line of JSON in, `yes` or `no` out. It never says why not."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._now = path, now
        with closing(self._open()) as store, store:
            store.execute(_TABLE)
        path.chmod(0o600)
        self._loopback = Loopback(self._serve)
        self.close = self._loopback.close

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self._loopback.port

    def put(self, opens: str, user: str, version: str, salt: bytes, password: str, expires_at: datetime) -> None:
        """Let a password, and no other, open for a user until an instant."""
        row = (opens, user, version, salt, _hash(password, salt), expires_at.isoformat())
        with closing(self._open()) as store, store:
            store.execute("insert or replace into logins values (?, ?, ?, ?, ?, ?)", row)

    def end(self, opens: str, user: str, expires_at: datetime) -> None:
        """Move the end of a login."""
        with closing(self._open()) as store, store:
            store.execute(
                "update logins set expires_at = ? where opens = ? and user = ?", (expires_at.isoformat(), opens, user)
            )

    def drop(self, opens: str, user: str) -> None:
        """Let nothing open for a user any more."""
        with closing(self._open()) as store, store:
            store.execute("delete from logins where opens = ? and user = ?", (opens, user))

    def known(self, opens: str, user: str) -> tuple[str, datetime] | None:
        """Return version and end of a login."""
        with closing(self._open()) as store:
            row = store.execute(
                "select version, expires_at from logins where opens = ? and user = ?", (opens, user)
            ).fetchone()
        return None if row is None else (str(row[0]), datetime.fromisoformat(row[1]))

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            line = lines.readline(_LONGEST)
        connection.sendall(b"yes\n" if self._accepts(line) else b"no\n")

    def _accepts(self, line: bytes) -> bool:
        try:
            said = json.loads(line)
            opens, user, password = str(said["opens"]), str(said["user"]), str(said["password"])
        except (ValueError, KeyError, TypeError):
            return False
        with closing(self._open()) as store:
            row = store.execute(
                "select salt, hash, expires_at from logins where opens = ? and user = ?", (opens, user)
            ).fetchone()
        if row is None or self._now() >= datetime.fromisoformat(row[2]):
            return False
        return hmac.compare_digest(_hash(password, row[0]), row[1])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)


def _hash(password: str, salt: bytes) -> bytes:
    return hmac.digest(salt, password.encode(), "sha256")


def log_in(port: int, opens: str, user: str, password: str) -> bool:
    """Try one login. Raises Unavailable where nobody answers."""
    try:
        with connect(port) as connection:
            connection.sendall(json.dumps({"opens": opens, "user": user, "password": password}).encode() + b"\n")
            return connection.makefile("rb").readline(_LONGEST) == b"yes\n"
    except OSError as error:
        raise Unavailable("the authenticator does not answer", reason="authenticator_gone") from error


class LoopbackCredentials:
    """A CredentialPlane over one authenticator. Passwords lie under `<home>/<region>/<secret>`."""

    def __init__(self, home: Path, entropy: Entropy, now: Callable[[], datetime]) -> None:
        self._home, self._entropy, self._now = home, entropy, now
        self._holders: dict[str, dict[str, str]] = {}

    @cached_property
    def authenticator(self) -> Authenticator:
        """The authenticator, started when it is first needed."""
        return Authenticator(self._home / "logins.sqlite", self._now)

    async def pair(self, login: Login) -> Pair:
        """Return how the pair stands."""
        first, second = (self._facts(login, user) for user in login.users)
        held = self._held(login)
        return Pair(logins=(first, second), in_use=held["user"] if held else login.users[0])

    async def create(self, login: Login, user: str, *, version: str, expires_at: datetime) -> None:
        """Make a new password for a user, once per version. What was the user's before no longer opens."""
        if user not in login.users:
            raise Invalid(f"{user} is not of the pair of {login.secret}", reason="user_unknown")
        known = self.authenticator.known(login.opens, user)
        if known is not None and known[0] == version:
            return
        password = base64.urlsafe_b64encode(self._entropy.token_bytes(_PASSWORD_BYTES)).decode()
        # The file first: a crash in between leaves a password nobody accepts, and the next try makes another.
        write_private(self._file(login, user), json.dumps({"user": user, "password": password}).encode())
        salt = self._entropy.token_bytes(_SALT_BYTES)
        await asyncio.to_thread(self.authenticator.put, login.opens, user, version, salt, password, expires_at)

    async def switch(self, login: Login, user: str, *, version: str) -> None:
        """Hand the user's login to the holder, which uses it from its next connection on."""
        del version
        write_private(self._folder(login) / "in_use.json", self._file(login, user).read_bytes())
        self._holders.pop(login.secret, None)

    async def accepted(self, login: Login, user: str) -> bool:
        """Tell whether a real login with the kept password of a user is accepted now."""
        kept = self._file(login, user)
        return kept.exists() and await self._try(login, _read(kept))

    async def holder_accepted(self, login: Login) -> str | None:
        """Return the user as which the holder's own login is accepted now; None where it is refused."""
        held = self._held(login)
        return held["user"] if held is not None and await self._try(login, held) else None

    async def revoke(self, login: Login, user: str) -> None:
        """Let the user's password open nothing any more. It is kept until `forget`, to prove that it is dead."""
        self.authenticator.drop(login.opens, user)

    async def forget(self, login: Login, user: str) -> None:
        """Remove the kept password of a user."""
        self._file(login, user).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the authenticator, where one was started."""
        if "authenticator" in self.__dict__:
            self.authenticator.close()

    async def _try(self, login: Login, held: dict[str, str]) -> bool:
        return await asyncio.to_thread(log_in, self.authenticator.port, login.opens, held["user"], held["password"])

    def _facts(self, login: Login, user: str) -> CredentialFacts:
        known = self.authenticator.known(login.opens, user)
        return CredentialFacts(user=user, expires_at=None if known is None else known[1])

    def _held(self, login: Login) -> dict[str, str] | None:
        handed = self._folder(login) / "in_use.json"
        if login.secret not in self._holders and handed.exists():
            self._holders[login.secret] = _read(handed)
        return self._holders.get(login.secret)

    def _folder(self, login: Login) -> Path:
        return self._home / login.region / login.secret

    def _file(self, login: Login, user: str) -> Path:
        return self._folder(login) / f"{user}.json"


def _read(path: Path) -> dict[str, str]:
    return cast("dict[str, str]", json.loads(path.read_bytes()))
