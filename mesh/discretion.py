"""Answers about commands without the names of other tenants that they touch.

A command on a thing that others use says whom it touches: policy and budgets need that, its readers do not. Whoever
may read the other tenants, or the platform, sees them.
"""

import re
from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, JsonValue

from domain.commands import Command
from domain.ids import PLATFORM
from domain.principals import Reach

SOMEBODY = "another-tenant"
"""Stands for a name within a text; in a list of names it would be no name, and is left out."""
M = TypeVar("M", bound=BaseModel)


def discreet(answer: M, commands: Iterable[Command], reach: Reach) -> M:
    """Return the answer without the tenants out of reach that the commands in it touch, wherever they are named."""
    hidden = {
        str(tenant)
        for command in commands
        if not reach.allows(PLATFORM, command.environment)
        for tenant in command.affected.tenants
        if tenant not in {command.tenant, PLATFORM} and not reach.allows(tenant, command.environment)
    }
    if not hidden:
        return answer
    named = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in sorted(hidden)))
    return type(answer).model_validate(_without(answer.model_dump(mode="json"), hidden, named))


def _without(value: JsonValue, hidden: set[str], named: re.Pattern[str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without(one, hidden, named) for key, one in value.items() if key not in hidden}
    if isinstance(value, list):
        return [_without(one, hidden, named) for one in value if not (isinstance(one, str) and one in hidden)]
    return named.sub(SOMEBODY, value) if isinstance(value, str) else value
