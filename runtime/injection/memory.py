"""Faults that hurt nobody: an injector for tests of everything above it, which can be told to fail."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from domain.errors import Conflict, Invalid, Unavailable
from domain.ids import EnvironmentId
from runtime.injection.ports import InjectFault


@dataclass(slots=True)
class MemoryFaults:
    """A FaultInjector over a dictionary of what is broken."""

    targets: frozenset[str]
    broken: dict[str, str] = field(default_factory=dict[str, str])
    """Handle by what it broke: `fault target`."""
    unreachable: int = 0
    """How many of the next effects do not get through."""
    effects: list[str] = field(default_factory=list[str])

    async def prepare(self, environment: EnvironmentId, fault: InjectFault) -> dict[str, JsonValue]:
        """Name what would break."""
        del environment
        if fault.target not in self.targets:
            raise Invalid(f"{fault.fault} does not fit {fault.target}", reason="target_unfit")
        what = f"{fault.fault} {fault.target}"
        if what in self.broken:
            raise Conflict(f"{what} is there already", reason="fault_present")
        return {"what": what, "size": fault.size}

    async def inject(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Break it."""
        del environment
        self._reach()
        if handle not in self.broken.values():
            self.broken[str(recipe["what"])] = handle
            self.effects.append(f"inject {handle}")

    async def revert(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Mend it."""
        del environment, handle
        self._reach()
        if self.broken.pop(str(recipe["what"]), None) is not None:
            self.effects.append(f"revert {recipe['what']}")

    async def active(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> bool:
        """Tell whether it is broken."""
        del environment, handle
        return recipe["what"] in self.broken

    def _reach(self) -> None:
        if self.unreachable > 0:
            self.unreachable -= 1
            raise Unavailable("the target did not answer", reason="target_unreachable")
