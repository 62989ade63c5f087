"""Readers per tenant over one runtime, for evidence, verification and facts; commands as evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.commands import TERMINAL
from domain.evidence import OpenCommand
from domain.ids import EnvironmentId, EvidenceId, TenantId
from governance.machine import CommandStore
from grounding.packs import Readers
from tools.client import RuntimeClient
from tools.readers.runtime import RuntimeApiReader
from tools.readers.spans import SpanApiReader
from tools.readers.telemetry import TelemetryApiReader


@dataclass(frozen=True, slots=True)
class ApiReaders:
    """Readers over the runtime API, each scoped to what a tenant may see."""

    client: RuntimeClient

    def for_tenant(self, tenant: TenantId) -> Readers:
        """Return the tenant's readers."""
        client = self.client.for_tenant(tenant)
        return Readers(
            runtime=RuntimeApiReader(client), telemetry=TelemetryApiReader(client), spans=SpanApiReader(client)
        )

    def runtime(self, tenant: TenantId) -> RuntimeApiReader:
        """Return the tenant's reader of topology and desired state, which also previews patches."""
        return RuntimeApiReader(self.client.for_tenant(tenant))


@dataclass(frozen=True, slots=True)
class CommandsAsEvidence:
    """Governance's commands as evidence packs show them: open ones and those that ended lately.

    Experiments are left out: a trial of the loop is no remedy to wait for, and must not be told to whom it tries.
    """

    store: CommandStore

    def on(self, tenant: TenantId, environment: EnvironmentId, since: datetime) -> Sequence[OpenCommand]:
        """Return the tenant's commands that are not over or ended after `since`."""
        return [
            OpenCommand(
                evidence=EvidenceId(f"command:{r.command.id}"), command=r.command.id, kind=r.command.kind,
                target=r.command.target.address, state=r.state,
            )
            for r in self.store.list(tenant)
            if r.command.environment == environment
            and (r.state not in TERMINAL or r.updated_at >= since)
            and r.command.target.kind != "experiment"
        ]  # fmt: skip
