"""Sending a granted write, and asking afterwards what became of it under its idempotency key."""

from pydantic import TypeAdapter, ValidationError

from domain.base import Frozen
from domain.commands import Command
from domain.errors import NotFound, OutcomeUnknown, Refused
from domain.outcomes import EffectReceipt
from domain.runtime_api import EffectAnswer
from tools.client import RuntimeClient
from tools.paths import place

_EFFECT = TypeAdapter(EffectAnswer)


async def send(
    client: RuntimeClient, command: Command, method: str, path: str, body: Frozen, grant: str
) -> EffectReceipt:
    """Send the write for the command's tenant. Raises Refused when it was only proposed, else as the client does."""
    answer = await client.for_tenant(command.tenant).write(
        method, path, body, key=command.idempotency_key, grant=grant, trace=command.trace
    )
    if answer.status == 202:
        raise Refused("the runtime took the write as a proposal only", reason="grant_missing")
    try:
        return EffectReceipt.model_validate_json(answer.body)
    except ValidationError as error:
        raise OutcomeUnknown("the answer to the write cannot be read", reason="answer_malformed") from error


async def effect_under(client: RuntimeClient, command: Command) -> EffectReceipt:
    """Return the recorded receipt, or `not_applied` where nothing took effect under the command's key."""
    path = place(command.environment, "effects", command.idempotency_key)
    try:
        answer = await client.for_tenant(command.tenant).read(path, _EFFECT)
    except NotFound:
        return EffectReceipt(idempotency_key=command.idempotency_key, status="not_applied")
    return answer.receipt
