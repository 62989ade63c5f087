"""What exists and what shall be, within one tenant's scope: the domain's RuntimeReader over the runtime API."""

from collections.abc import Sequence
from urllib.parse import quote

from pydantic import TypeAdapter

from domain.changes import Patch, ResourceChange
from domain.compliance import CompliancePosture, Waiver
from domain.desired import DesiredState, EnvironmentState
from domain.ids import EnvironmentId
from domain.runtime_api import EnvironmentAnswer, PatchBody, PreviewAnswer, VersionsAnswer
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from tools.client import RuntimeClient
from tools.paths import place

_TOPOLOGY = TypeAdapter(Topology)
_BINDINGS = TypeAdapter(tuple[RuntimeTenantBinding, ...])
_DESIRED = TypeAdapter(DesiredState)
_LIVE = TypeAdapter(EnvironmentState)
_VERSIONS = TypeAdapter(VersionsAnswer)
_ENVIRONMENTS = TypeAdapter(tuple[EnvironmentAnswer, ...])
_POSTURE = TypeAdapter(CompliancePosture)
_WAIVERS = TypeAdapter(tuple[Waiver, ...])
_PREVIEW = TypeAdapter(PreviewAnswer)


class RuntimeApiReader:
    """Reads as the client's tenant."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    async def environments(self) -> tuple[EnvironmentAnswer, ...]:
        """Return the environments the tenant is bound to."""
        return await self._client.read("/runtime/environments", _ENVIRONMENTS)

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the visible topology."""
        return await self._client.read(place(environment, "topology"), _TOPOLOGY)

    async def bindings(self, environment: EnvironmentId) -> tuple[RuntimeTenantBinding, ...]:
        """Return the visible bindings."""
        return await self._client.read(place(environment, "bindings"), _BINDINGS)

    async def desired(self, environment: EnvironmentId) -> DesiredState:
        """Return the tenant's part of the desired-state document."""
        return await self._client.read(place(environment, "desired-state"), _DESIRED)

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return what runs now, the tenant's part."""
        return await self._client.read(place(environment, "live-state"), _LIVE)

    async def posture(self, environment: EnvironmentId) -> CompliancePosture:
        """Return the compliance posture of the tenant's own resources."""
        return await self._client.read(_compliance(environment), _POSTURE)

    async def waivers(self, environment: EnvironmentId) -> tuple[Waiver, ...]:
        """Return the tenant's compliance waivers, ended ones too."""
        return await self._client.read(_compliance(environment) + "/waivers", _WAIVERS)

    async def versions(self, environment: EnvironmentId, service: str) -> tuple[str, ...]:
        """Return the versions of a service that desired state has named, newest first."""
        answer = await self._client.read(place(environment, "services", service, "versions"), _VERSIONS)
        return answer.versions

    async def dry_run(self, environment: EnvironmentId, patches: Sequence[Patch]) -> tuple[ResourceChange, ...]:
        """Return the changes the patches would make, with no effect: the domain's PatchPlanner."""
        return (await self.preview(environment, patches)).changes

    async def preview(self, environment: EnvironmentId, patches: Sequence[Patch]) -> PreviewAnswer:
        """Return the changes the patches would make and the version they were worked out on."""
        return await self._client.preview(
            "PATCH", place(environment, "desired-state"), PatchBody(patches=tuple(patches)), _PREVIEW
        )


def _compliance(environment: EnvironmentId) -> str:
    return f"/runtime/compliance/{quote(environment, safe='')}"
