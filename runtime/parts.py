"""What the runtime's services are made over (RuntimeParts), and what its API sees of the whole (RuntimeServices)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.compliance import ControlSet
from domain.desired import EnvironmentState
from domain.errors import Unavailable
from domain.ids import EnvironmentId
from domain.ports import Clock, Entropy, Ids
from domain.tenancy import RuntimeTenantBinding
from runtime import state
from runtime.convergence import Convergence, Lag
from runtime.door import Door
from runtime.planes import Planes
from runtime.ports import Authenticator, Heard, RuntimeTarget, Tell, Turn
from storage.engine import Database


def no_controls() -> None:
    """Return no controls: nothing was handed over."""


@dataclass(frozen=True, slots=True)
class RuntimeParts:
    """Ports and places every service, operator and worker is made over; nothing in it is state."""

    database: Database
    clock: Clock
    ids: Ids
    entropy: Entropy
    target: RuntimeTarget
    planes: Planes
    home: Path
    """Folder for files of the services: backups, keys, journals."""
    tell: Tell
    heard: Heard | None = None
    """What the platform told before; None where nobody keeps it."""
    controls: Callable[[], ControlSet | None] = no_controls
    """The compliance controls in force, as governance hands them over; None where it does not."""


@dataclass(frozen=True, slots=True)
class RuntimeServices:
    """Made by `runtime_services`; `reconcile()` is to be called at start and regularly."""

    parts: RuntimeParts
    authenticator: Authenticator
    convergence: Convergence
    door: Door
    turns: tuple[Turn, ...] = ()
    """Control loops of services, then the workers."""

    @property
    def database(self) -> Database:
        """The runtime's store."""
        return self.parts.database

    @property
    def clock(self) -> Clock:
        """The runtime's time."""
        return self.parts.clock

    @property
    def target(self) -> RuntimeTarget:
        """Where services run."""
        return self.parts.target

    async def register(self, environment: EnvironmentId, bound: Sequence[RuntimeTenantBinding]) -> None:
        """Add an environment as the target runs it now; one that is registered already is left as it is."""
        with self.database.read() as connection:
            if environment in state.names(connection):
                return
        base: EnvironmentState = await self.target.live(environment)
        with self.database.begin() as connection:
            state.register(connection, environment, bound, base, at=self.clock.now())

    async def reconcile(self) -> tuple[Lag, ...]:
        """Make the target follow, carry operations on, and give every control loop its turn.

        A loop whose target does not answer is tried again next time and does not stop the others.
        """
        lags = await self.convergence.reconcile()
        for turn in self.turns:
            try:
                await turn.turn()
            except Unavailable as error:
                lags = (*lags, Lag(environment=EnvironmentId("*"), reason=str(error)))
        return lags
