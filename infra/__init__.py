"""Infrastructure programs: an environment's desired state as Pulumi components.

Law: imports domain only, reads no clock and no store, and loads Pulumi inside the program callable, so that importing
this room costs nothing. What does not belong here: running the engine (tools) and deciding what is desired (runtime).
"""

from infra.programs import stack_name, tenant_environment

__all__ = ["stack_name", "tenant_environment"]
