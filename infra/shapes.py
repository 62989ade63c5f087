"""Which resources one tenant's environment consists of, as plain values.

The rendering is pure: the same document and binding give the same resources in the same order, without an engine. The
components in ``infra.components`` turn each piece into one Pulumi resource.
"""

import re
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from domain.base import Frozen, digest_of
from domain.desired import DataStoreState, DesiredState, NodePoolState, ServiceState
from domain.errors import Invalid
from domain.tenancy import RuntimeTenantBinding

PieceKind = Literal["Namespace", "Quota", "Service", "NodePool", "DataStore"]

# RFC 1123 label: the strictest name rule among the targets we render for.
LABEL_LENGTH = 63
_NOT_IN_LABEL = re.compile(r"[^a-z0-9-]+")


class Piece(Frozen):
    """One resource to register: its kind, its logical name in the stack, its inputs."""

    kind: PieceKind
    name: str
    inputs: dict[str, JsonValue]


def label(text: str) -> str:
    """Return text as an RFC 1123 label; whatever had to be altered carries a digest, so two names never meet."""
    plain = _NOT_IN_LABEL.sub("-", text.lower()).strip("-")
    if plain == text and len(plain) <= LABEL_LENGTH:
        return plain
    suffix = digest_of(text).removeprefix("sha256:")[:8]
    return f"{plain[: LABEL_LENGTH - len(suffix) - 1].rstrip('-')}-{suffix}"


def namespace_of(binding: RuntimeTenantBinding) -> str:
    """Return the namespace a binding lives in: shared tenants meet in one, all others have their own.

    The dot is no label character, so the name ends in a digest: tenant a-b in c never meets tenant a in b-c.
    """
    if binding.isolation == "shared":
        return label(binding.environment)
    return label(f"{binding.tenant}.{binding.environment}")


def tags_of(binding: RuntimeTenantBinding) -> dict[str, str]:
    """Return the canonical dimensions every resource carries, under the names events carry them by."""
    return {
        "tenantid": binding.tenant,
        "environmentid": binding.environment,
        "region": binding.primary_region,
        "isolation": binding.isolation,
        "managedby": "opsmesh",
    }


def pieces(desired: DesiredState, binding: RuntimeTenantBinding, at: datetime) -> tuple[Piece, ...]:
    """Render the document, with the overrides in force at the instant, for one binding.

    Node pools are rendered for dedicated tenants only; pooled and shared ones run on the platform's.
    Raises Invalid when document and binding are of different tenants or environments.
    """
    if (desired.tenant, desired.environment) != (binding.tenant, binding.environment):
        message = (
            f"desired state of {desired.tenant}/{desired.environment} "
            f"cannot be rendered for {binding.tenant}/{binding.environment}"
        )
        raise Invalid(message, reason="binding_mismatch")
    state = desired.effective(at)
    tags = tags_of(binding)
    pools = state.node_pools if binding.isolation == "dedicated" else {}
    return (
        Piece(kind="Namespace", name=namespace_of(binding), inputs={"tags": {**tags}}),
        Piece(kind="Quota", name="quota", inputs={**binding.quota.model_dump(mode="json"), "tags": {**tags}}),
        *(_service(name, service, tags) for name, service in sorted(state.services.items())),
        *(_node_pool(name, pool, tags) for name, pool in sorted(pools.items())),
        *(_data_store(name, store, tags) for name, store in sorted(state.data_stores.items())),
    )


def _service(name: str, service: ServiceState, tags: dict[str, str]) -> Piece:
    """A service whose scaling policy owns the replicas is rendered without them: one owner per field."""
    inputs = service.model_dump(mode="json", exclude={"health", "drift"})
    if service.scaling is not None and service.scaling.enabled:
        del inputs["replicas"]
    return Piece(kind="Service", name=label(name), inputs={**inputs, "tags": {**tags, "serviceid": name}})


def _node_pool(name: str, pool: NodePoolState, tags: dict[str, str]) -> Piece:
    return Piece(kind="NodePool", name=label(name), inputs={**pool.model_dump(mode="json"), "tags": {**tags}})


def _data_store(name: str, store: DataStoreState, tags: dict[str, str]) -> Piece:
    return Piece(kind="DataStore", name=label(name), inputs={**store.model_dump(mode="json"), "tags": {**tags}})
