"""The runtime put together from its parts in one place."""

from collections.abc import Sequence

from domain.command_kinds import CommandKind
from domain.ports import CrashPoints, Engine
from runtime.convergence import Convergence
from runtime.door import Door
from runtime.gate import GrantGate
from runtime.operators import Cancel, core_operators
from runtime.parts import RuntimeParts, RuntimeServices
from runtime.ports import Authenticator, Operator, ProposeWrite
from runtime.proposed import ProposedWrites
from runtime.services import SERVICES
from runtime.worker_runner import WorkerRunner
from storage.tables.runtime import create_runtime_tables


def runtime_services(  # composition
    parts: RuntimeParts,
    *,
    crash: CrashPoints,
    engine: Engine,
    authenticator: Authenticator,
    proposals: ProposeWrite,
    grant_keys: Sequence[bytes],
    loops: Sequence[str] | None = None,
) -> RuntimeServices:
    """Put the runtime together; creates missing tables.

    `grant_keys` are governance's public keys in PEM form; `loops` names the services and workers whose control loops
    run, None for all.
    """
    create_runtime_tables(parts.database.engine)
    operators: dict[CommandKind, Operator] = core_operators(parts.target)
    for row in SERVICES:
        operators |= row.operators(parts)
    operators["operation.cancel"] = Cancel(parts.database, operators)
    convergence = Convergence(parts.database, parts.clock, engine, parts.target, operators)
    door = Door(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        engine=engine,
        gate=GrantGate(grant_keys),
        convergence=convergence,
        proposed=ProposedWrites(parts.database, parts.clock, parts.ids, proposals),
        crash=crash,
        operators=operators,
    )
    turns = [row.turn(parts) for row in SERVICES if row.turn is not None and (loops is None or row.name in loops)]
    return RuntimeServices(
        parts=parts,
        authenticator=authenticator,
        convergence=convergence,
        door=door,
        turns=(*turns, WorkerRunner(parts, proposals, only=loops)),
    )
