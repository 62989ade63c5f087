"""Distinct types for the ids that must never be swapped; the checker tells them apart, the wire does not."""

from typing import NewType

TenantId = NewType("TenantId", str)
EnvironmentId = NewType("EnvironmentId", str)
ServiceId = NewType("ServiceId", str)
PrincipalId = NewType("PrincipalId", str)
EventKey = NewType("EventKey", str)
"""ULID we assign on intake; the sender's own id is only unique within (tenant, source)."""
IncidentId = NewType("IncidentId", str)
EvidenceId = NewType("EvidenceId", str)
CommandId = NewType("CommandId", str)
RunId = NewType("RunId", str)

PLATFORM = TenantId("platform")
"""Reserved tenant that owns shared things: nodes, zones, pooled services, their incidents and commands."""
