"""What took effect, by the runtime's own ledger: the oracle that nothing happened twice or without a decision."""

from pydantic import TypeAdapter

from domain.errors import NotFound
from domain.ids import EnvironmentId
from domain.runtime_api import EffectAnswer, OperationRecord
from tools.client import RuntimeClient
from tools.paths import place

_EFFECT = TypeAdapter(EffectAnswer)
_OPERATION = TypeAdapter(OperationRecord)


class EffectApiReader:
    """Reads as the client's tenant."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    async def effect(self, environment: EnvironmentId, key: str) -> EffectAnswer | None:
        """Return receipt and count under an idempotency key, None where nothing took effect."""
        try:
            return await self._client.read(place(environment, "effects", key), _EFFECT)
        except NotFound:
            return None

    async def operation(self, environment: EnvironmentId, operation: str) -> OperationRecord:
        """Return one recorded operation. Raises NotFound."""
        return await self._client.read(place(environment, "operations", operation), _OPERATION)
