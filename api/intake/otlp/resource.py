"""Whose telemetry it is: the resource attributes that name tenant, environment and entity.

The tenant is the credential's; an attribute may choose among those it speaks for, as in the event envelope.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from pydantic import JsonValue, ValidationError

from domain.ids import EnvironmentId, TenantId
from domain.intake import QuarantineReason
from domain.principals import EventSourceKey

NO_ENVIRONMENT = EnvironmentId("default")
"""Where telemetry is filed whose resource names no environment."""
_TENANT = ("tenantid", "tenant.id")
_ENVIRONMENT = ("environmentid", "deployment.environment.name", "deployment.environment")
_SERVICE = ("serviceid", "service.name")
_NOT_SLUG = re.compile(r"[^A-Za-z0-9._:@+-]+")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Origin:
    """What a resource says about its values."""

    tenant: TenantId
    environment: EnvironmentId
    entity: str


@dataclass
class Mapped(Generic[Value]):
    """What an export request holds: values by tenant, and how many could not be taken, by reason."""

    values: dict[TenantId, list[Value]] = field(default_factory=dict[TenantId, list[Value]])
    refused: dict[tuple[QuarantineReason, str], int] = field(default_factory=dict[tuple[QuarantineReason, str], int])

    def put(self, origin: Origin, values: Iterable[Value]) -> None:
        """Add values of one origin."""
        self.values.setdefault(origin.tenant, []).extend(values)

    def refuse(self, reason: QuarantineReason, detail: str, count: int = 1) -> None:
        """Count values that cannot be taken."""
        if count:
            self.refused[reason, detail] = self.refused.get((reason, detail), 0) + count


def origin_of(resource: Resource, sender: EventSourceKey) -> Origin | None:
    """Return where the resource's values belong; None when it names a tenant the sender does not speak for."""
    stated = texts(resource.attributes)
    claimed = _first(stated, _TENANT)
    if claimed and claimed not in sender.tenants:
        return None
    environment = _slug(_first(stated, _ENVIRONMENT))
    return Origin(
        TenantId(claimed) if claimed else sender.tenants[0],
        EnvironmentId(environment) if environment else NO_ENVIRONMENT,
        f"service/{_slug(_first(stated, _SERVICE)) or 'unknown_service'}",
    )


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Return attributes as text; what is no text is written as JSON."""
    return {pair.key: text_of(pair.value) for pair in attributes}


def text_of(value: AnyValue) -> str:
    """Return a value as text."""
    plain = plain_of(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def plain_of(value: AnyValue) -> JsonValue:
    """Return a value as plain JSON; bytes as hexadecimal."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value.hex()
        case "array_value":
            return [plain_of(inner) for inner in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain_of(pair.value) for pair in value.kvlist_value.values}
        case _:
            return ""


def why(error: ValidationError) -> str:
    """Return what was wrong with a value, without the value."""
    row = error.errors(include_input=False)[0]
    return f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}"


def _first(stated: dict[str, str], names: tuple[str, ...]) -> str:
    return next((stated[name] for name in names if stated.get(name)), "")


def _slug(name: str) -> str:
    return _NOT_SLUG.sub("-", name).strip("-._:@+")[:120]
