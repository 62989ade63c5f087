"""One crash case: the host that outlives its processes, its throwaway stores, and the judgement at the end."""

import multiprocessing as mp
import socket
import tempfile
import time
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Literal, cast

from sqlalchemy import create_engine, make_url

from domain.base import Frozen
from domain.command_kinds import CommandKind
from domain.errors import OpsmeshError
from evals.crash_cases import NEW_VERSION, RUNTIME_POINTS, SERVICE, Kill, Passage
from evals.crash_history import judge, read_history, states_of
from evals.crash_processes import (
    AssumesFailure,
    MakeExecutor,
    RetriesBlindly,
    SharedClock,
    Stores,
    run_mesh,
    run_runtime,
    sabotaged,
)
from governance.keys import KeyRing, public_pem
from runtime.simulator import actuators
from runtime.simulator.live import Modifier
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget

SLOWER_MS = 900.0
"""Added to each request in the regress script: three times the objective of the service, so nobody can overlook it."""
CASE_TIMEOUT_S = 90.0
"""A case takes about three seconds on an idle core; beyond this it hangs."""
SABOTAGE: dict[str, MakeExecutor] = {
    "none": lambda real: real,
    "assumes_failure": sabotaged(AssumesFailure),
    "retries_blindly": sabotaged(RetriesBlindly),
}
Sabotage = Literal["none", "assumes_failure", "retries_blindly"]


class CaseResult(Frozen):
    """What became of one case."""

    passage: str
    kind: CommandKind
    ok: bool
    killed: int
    """Processes that ended by SIGKILL; as many as the passage names, or the case is not one."""
    ended: str
    why: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class _Host:
    """The process that outlives the others: holds the world, moves time, starts and mourns its children."""

    world: World
    clock: SharedClock
    stores: Stores
    passage: Passage
    kind: CommandKind
    make_executor: MakeExecutor
    accepted: str | None = None
    killed: int = 0
    deployed: bool = False
    hurt: bool = False
    listening: socket.socket = field(init=False)
    pipes: dict[str, "Connection[object, object]"] = field(init=False)
    processes: dict[str, ForkProcess] = field(init=False)
    kills: list[Kill] = field(init=False)

    def play(self) -> list[str]:
        """Run the case to its end; return what went wrong with the play itself."""
        self.pipes, self.processes, self.kills = {}, {}, list(self.passage.kills)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._start_runtime()
        self._start_mesh()
        deadline = time.monotonic() + CASE_TIMEOUT_S
        try:
            while time.monotonic() < deadline:
                if (code := self._turn()) is not None:
                    return [] if code == 0 else [f"the loop ended with {code}: stuck or broken"]
            return ["the case hangs"]
        finally:
            for process in self.processes.values():
                process.kill()
                process.join()
            self.listening.close()

    def _turn(self) -> int | None:
        """Serve whoever asks, replace whoever died; return the mesh's exit code once it has ended by itself."""
        sentinels = {process.sentinel: name for name, process in self.processes.items()}
        ready = wait([*self.pipes.values(), *sentinels], timeout=1.0)
        for name, pipe in tuple(self.pipes.items()):
            if pipe in ready:
                self._serve(name, pipe)
        for sentinel, name in sentinels.items():
            if sentinel in ready and (code := self._mourn(name)) is not None:
                return code
        return None

    def _mourn(self, name: str) -> int | None:
        process = self.processes[name]
        process.join()
        code = process.exitcode
        if code != -9 and name == "mesh":
            return 1 if code is None else code
        self.killed += 1
        if self.kills:
            self.kills.pop(0)
        if name == "mesh":
            self._start_mesh()
        else:
            self._start_runtime()
        return None

    def _armed(self, *, runtime: bool) -> Kill | None:
        if self.kills and (self.kills[0].point in RUNTIME_POINTS) == runtime:
            return self.kills[0]
        return None

    def _start_runtime(self) -> None:
        ring = KeyRing(self.stores.home / "keys")
        key = public_pem(ring.signing_key("grants"))
        self._start("runtime", run_runtime, self._armed(runtime=True), self.listening, key)

    def _start_mesh(self) -> None:
        port = self.listening.getsockname()[1]
        self._start("mesh", run_mesh, self._armed(runtime=False), port)

    def _start(self, name: str, body: object, kill: Kill | None, *more: object) -> None:
        context = mp.get_context("fork")
        ours, theirs = context.Pipe()
        if name == "runtime":
            arguments = (self.stores, self.clock, kill, more[0], theirs, more[1])
        else:
            arguments = (
                self.stores, self.clock, kill, more[0], theirs, self.passage.script, self.kind, self.make_executor,
            )  # fmt: skip
        process = context.Process(target=body, args=arguments, daemon=True)  # pyright: ignore[reportArgumentType]  # one of two functions
        process.start()
        theirs.close()
        if name in self.pipes:
            self.pipes[name].close()
        self.pipes[name], self.processes[name] = ours, process

    def _serve(self, name: str, pipe: "Connection[object, object]") -> None:
        try:
            asked, arguments, named = cast("tuple[str, tuple[object, ...], dict[str, object]]", pipe.recv())
        except (EOFError, OSError):
            del self.pipes[name]
            return
        try:
            answer: tuple[bool, object] = (True, self._answer(asked, arguments, named))
        except OpsmeshError as error:
            answer = (False, str(error))
        try:
            pipe.send(answer)
        except OSError:
            del self.pipes[name]

    def _answer(self, asked: str, arguments: tuple[object, ...], named: dict[str, object]) -> object:
        match asked:
            case "advance":
                self._advance(int(str(arguments[0])))
                return None
            case "accepted":
                return self.accepted
            case "accept":
                self.accepted = str(arguments[0])
                return None
            case "bindings":
                return self.world.spec.tenants
            case "deploy":
                return self._deploy()
            case _:
                return _now(getattr(SimulatedTarget(self.world), asked)(*arguments, **named))

    def _advance(self, seconds: int) -> None:
        """Move the world and the clock; in the regress script things get worse after the first effect."""
        happened = any("@" not in key for key in self.world.effects)
        if self.passage.script == "regress" and happened and not self.hurt:
            self.hurt = True
            columns = tuple(self.world.layout.columns(SERVICE))
            self.world.live.modifiers["harness"] = (Modifier("io_ms", columns, add=SLOWER_MS),)
            self.world.live.dirty = True
        self.world.advance(self.world.now + timedelta(seconds=seconds))
        self.clock.move_to(self.world.now)

    def _deploy(self) -> None:
        """Let the release pipeline deploy once, so that there is a version to return to."""
        if not self.deployed:
            self.deployed = True
            actuators.write_externally(self.world, ("services", SERVICE, "version"), NEW_VERSION, "releases")


def _now(call: Coroutine[object, object, object]) -> object:
    """Run a coroutine that never waits."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the compute target waited for something")


def play_case(world: World, passage: Passage, kind: CommandKind, *, database: str, sabotage: Sabotage) -> CaseResult:
    """Play one case in throwaway stores and judge what it left."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="opsmesh-crash-") as folder, _stores(database, Path(folder)) as stores:
        micros = mp.get_context("fork").Value("q", 0)
        clock = SharedClock(micros)
        clock.move_to(world.now)
        host = _Host(world, clock, stores, passage, kind, SABOTAGE[sabotage])
        why = host.play()
        history = read_history(stores, clock, world.effects)
        if host.killed != len(passage.kills):
            why.append(f"{host.killed} of {len(passage.kills)} kills happened: the point was not reached")
        why += judge(history, host.accepted)
    return CaseResult(
        passage=passage.name, kind=kind, ok=not why, killed=host.killed, ended=states_of(history.records),
        why=tuple(why), seconds=round(time.perf_counter() - begun, 2),
    )  # fmt: skip


@contextmanager
def _stores(database: str, home: Path) -> Generator[Stores]:
    if database == "sqlite":
        yield Stores(home, f"sqlite:///{home / 'opsmesh.db'}", f"sqlite:///{home / 'runtime.db'}")
        return
    admin = create_engine(database, isolation_level="AUTOCOMMIT")
    name = home.name.replace("-", "_").lower()
    names = (name, f"{name}_runtime")
    with admin.connect() as connection:
        for one in names:
            connection.exec_driver_sql(f'CREATE DATABASE "{one}"')
    urls = [make_url(database).set(database=one).render_as_string(hide_password=False) for one in names]
    try:
        yield Stores(home, urls[0], urls[1])
    finally:
        with admin.connect() as connection:
            for one in names:
                connection.exec_driver_sql(f'DROP DATABASE "{one}" WITH (FORCE)')
        admin.dispose()
