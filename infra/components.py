"""The Pulumi side: one component for a tenant's environment, one child component for each of its resources.

Children are components of our own types: they need no provider plugin, and the engine keeps their inputs, so a preview
shows exactly which field of which resource changes. They have no effect on a cluster by themselves; a target that
has a provider hangs its custom resources below them.
"""

from collections.abc import Sequence

import pulumi
from pydantic import JsonValue

from infra.shapes import Piece

TYPE_PREFIX = "opsmesh:runtime"


class Part(pulumi.ComponentResource):
    """One resource of an environment, with its inputs recorded by the engine."""

    def __init__(self, piece: Piece, *, parent: pulumi.Resource) -> None:
        inputs: dict[str, JsonValue] = {"name": piece.name, **piece.inputs}
        super().__init__(
            f"{TYPE_PREFIX}:{piece.kind}", f"{piece.kind}-{piece.name}", inputs, pulumi.ResourceOptions(parent=parent)
        )
        self.register_outputs({"name": piece.name})


class TenantEnvironment(pulumi.ComponentResource):
    """One tenant in one environment: a namespace, and in it a quota, services, node pools and data stores."""

    def __init__(self, name: str, inputs: dict[str, JsonValue], pieces: Sequence[Piece]) -> None:
        super().__init__(f"{TYPE_PREFIX}:TenantEnvironment", name, inputs)
        namespace, *rest = pieces
        self.namespace = Part(namespace, parent=self)
        self.parts = tuple(Part(piece, parent=self.namespace) for piece in rest)
        self.register_outputs({"namespace": namespace.name, "parts": len(self.parts)})
