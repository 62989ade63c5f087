"""RuntimeServices: everything the `/runtime` API needs, put together from ports in one place."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.desired import EnvironmentState
from domain.ids import EnvironmentId
from domain.ports import Clock, CrashPoints, Engine, Ids
from domain.tenancy import RuntimeTenantBinding
from runtime import state
from runtime.convergence import Convergence
from runtime.door import Door
from runtime.gate import GrantGate
from runtime.ports import Authenticator, ProposeWrite, RuntimeTarget
from runtime.proposed import ProposedWrites
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables


@dataclass(frozen=True, slots=True)
class RuntimeServices:
    """Made by `runtime_services`; `convergence.reconcile()` is to be called at start and regularly."""

    database: Database
    clock: Clock
    target: RuntimeTarget
    authenticator: Authenticator
    convergence: Convergence
    door: Door

    async def register(self, environment: EnvironmentId, bound: Sequence[RuntimeTenantBinding]) -> None:
        """Add an environment as the target runs it now; one that is registered already is left as it is."""
        with self.database.read() as connection:
            if environment in state.names(connection):
                return
        base: EnvironmentState = await self.target.live(environment)
        with self.database.begin() as connection:
            state.register(connection, environment, bound, base, at=self.clock.now())


def runtime_services(  # noqa: PLR0913  # composition
    *,
    database: Database,
    clock: Clock,
    ids: Ids,
    crash: CrashPoints,
    target: RuntimeTarget,
    engine: Engine,
    authenticator: Authenticator,
    proposals: ProposeWrite,
    grant_keys: Sequence[bytes],
) -> RuntimeServices:
    """Put the runtime together; creates missing tables. `grant_keys` are governance's public keys in PEM form."""
    create_runtime_tables(database.engine)
    convergence = Convergence(database, clock, engine, target)
    door = Door(
        database=database,
        clock=clock,
        ids=ids,
        engine=engine,
        gate=GrantGate(grant_keys),
        convergence=convergence,
        proposed=ProposedWrites(database, clock, ids, proposals),
        crash=crash,
    )
    return RuntimeServices(
        database=database,
        clock=clock,
        target=target,
        authenticator=authenticator,
        convergence=convergence,
        door=door,
    )
