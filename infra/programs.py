"""Inline Pulumi programs: what the engine adapter runs for one stack.

An inline program is a callable without arguments that registers resources. Everything it needs is bound here, before
the engine starts, so the program reads nothing from outside.
"""

from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue

from domain.desired import DesiredState
from domain.tenancy import RuntimeTenantBinding
from infra.shapes import label, namespace_of, pieces, tags_of

Program = Callable[[], None]


def stack_name(binding: RuntimeTenantBinding) -> str:
    """Return the stack of a binding: one stack per tenant and environment, whatever the isolation."""
    return f"{label(binding.tenant)}.{label(binding.environment)}"


def tenant_environment(desired: DesiredState, binding: RuntimeTenantBinding, at: datetime) -> Program:
    """Return the program that declares a tenant's environment as the document wants it at the instant.

    Raises Invalid at once, not inside the engine, when document and binding do not belong together.
    """
    parts = pieces(desired, binding, at)
    # The document's version stands on the environment only: on every part it would show each part as changed.
    inputs: dict[str, JsonValue] = {"tags": {**tags_of(binding)}, "desired_version": desired.version}

    def program() -> None:
        import pulumi

        from infra.components import TenantEnvironment

        TenantEnvironment(stack_name(binding), inputs, parts)
        pulumi.export("namespace", namespace_of(binding))
        pulumi.export("desired_version", desired.version)

    return program
