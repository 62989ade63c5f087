"""The command catalogue: one row per kind saying its arguments, who proposes it, which tool runs it, how it is undone.

Reversibility: `inverse` (undo planned before approval), `harmless` (nothing lasting to undo; may run unattended),
`one_way` (always a human).
"""

from dataclasses import dataclass
from typing import Literal, get_args

from domain import arguments as a
from domain.base import Frozen

Reversibility = Literal["inverse", "harmless", "one_way"]
Proposer = Literal[
    "sre",
    "capacity",
    "cost",
    "resilience",
    "drift",
    "cost_anomaly",
    "capacity_forecast",
    "disaster_recovery",
    "compliance_drift",
    "certificate_rotation",
    "person",
    "marketplace",
]
CommandKind = Literal[
    "service.scale",
    "service.resize",
    "service.rollback",
    "service.restart",
    "service.configure",
    "service.relocate",
    "service.schedule",
    "scaling_policy.update",
    "node_pool.scale",
    "node_pool.change_sku",
    "node.drain",
    "traffic.shift",
    "traffic_policy.apply",
    "release.promote",
    "release.pause",
    "release.resume",
    "release.abort",
    "tenant.throttle",
    "tenant.rebind",
    "region.failover",
    "data_store.configure",
    "drift.reconcile",
    "drift.adopt",
    "drift.ignore",
    "compliance.remediate",
    "compliance.waive",
    "chaos.run",
    "chaos.abort",
    "restore_point.create",
    "restore.run",
    "restore.drill",
    "failover.drill",
    "certificate.rotate",
    "secret.rotate",
    "issuer.distrust",
    "pack.install",
    "pack.upgrade",
    "pack.uninstall",
    "policy.activate",
    "autonomy.change",
    "alert.silence",
    "operation.cancel",
    "ticket.open",
]
KINDS: tuple[CommandKind, ...] = get_args(CommandKind)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One row of the catalogue."""

    kind: CommandKind
    arguments: type[Frozen]
    proposers: tuple[Proposer, ...]
    tool: str
    """Name of the action in `tools/actions` that plans and runs it."""
    reversibility: Reversibility
    risk: Literal["low", "medium", "high"] = "medium"
    """`high` needs two people."""


_ROWS: tuple[CommandSpec, ...] = (
    CommandSpec(
        "service.scale",
        a.ServiceScale,
        ("sre", "capacity_forecast", "cost_anomaly", "person"),
        "scale",
        "inverse",
        "low",
    ),
    CommandSpec("service.resize", a.ServiceResize, ("sre", "cost", "cost_anomaly", "person"), "resize", "inverse"),
    CommandSpec("service.rollback", a.ServiceRollback, ("sre", "person"), "rollback", "inverse"),
    CommandSpec("service.restart", a.ServiceRestart, ("sre", "person"), "restart", "harmless", "low"),
    CommandSpec("service.configure", a.ServiceConfigure, ("sre", "person"), "configure", "inverse"),
    CommandSpec("service.relocate", a.ServiceRelocate, ("cost", "person"), "relocate", "inverse", "high"),
    CommandSpec("service.schedule", a.ServiceSchedule, ("cost", "cost_anomaly", "person"), "schedule", "inverse"),
    CommandSpec(
        "scaling_policy.update",
        a.ScalingPolicyUpdate,
        ("sre", "capacity", "cost", "capacity_forecast", "cost_anomaly", "person"),
        "scaling_policy",
        "inverse",
        "low",
    ),
    CommandSpec(
        "node_pool.scale", a.NodePoolScale, ("capacity", "capacity_forecast", "person"), "node_pool", "inverse"
    ),
    CommandSpec(
        "node_pool.change_sku",
        a.NodePoolChangeSku,
        ("cost", "cost_anomaly", "person"),
        "node_pool_sku",
        "inverse",
        "high",
    ),
    CommandSpec("node.drain", a.NodeDrain, ("sre", "person"), "drain", "inverse"),
    CommandSpec("traffic.shift", a.TrafficShift, ("sre", "person"), "traffic_shift", "inverse"),
    CommandSpec("traffic_policy.apply", a.TrafficPolicyApply, ("person",), "traffic_policy", "inverse"),
    CommandSpec("release.promote", a.ReleaseStep, ("person",), "release", "inverse"),
    CommandSpec("release.pause", a.ReleaseStep, ("sre", "person"), "release_pause", "harmless", "low"),
    CommandSpec("release.resume", a.ReleaseStep, ("person",), "release_resume", "inverse"),
    CommandSpec("release.abort", a.ReleaseStep, ("sre", "person"), "release_abort", "inverse"),
    CommandSpec("tenant.throttle", a.TenantThrottle, ("sre", "person"), "throttle", "inverse"),
    CommandSpec("tenant.rebind", a.TenantRebind, ("disaster_recovery", "person"), "rebind", "inverse", "high"),
    CommandSpec(
        "region.failover", a.RegionFailover, ("sre", "disaster_recovery", "person"), "failover", "one_way", "high"
    ),
    CommandSpec("data_store.configure", a.DataStoreConfigure, ("sre", "person"), "data_store", "inverse"),
    CommandSpec("drift.reconcile", a.DriftAction, ("drift", "person"), "drift", "inverse"),
    CommandSpec("drift.adopt", a.DriftAction, ("drift", "person"), "drift", "inverse"),
    CommandSpec("drift.ignore", a.DriftAction, ("drift", "person"), "drift", "harmless", "low"),
    CommandSpec("compliance.remediate", a.ComplianceRemediate, ("compliance_drift", "person"), "remedy", "inverse"),
    CommandSpec("compliance.waive", a.ComplianceWaive, ("person",), "waiver", "one_way"),
    CommandSpec("chaos.run", a.ChaosStep, ("resilience", "person"), "chaos", "harmless"),
    CommandSpec("chaos.abort", a.ChaosStep, ("resilience", "sre", "person"), "chaos", "harmless", "low"),
    CommandSpec("restore_point.create", a.RestorePointCreate, ("resilience", "person"), "backup", "harmless", "low"),
    CommandSpec("restore.run", a.RestoreRun, ("disaster_recovery", "person"), "restore", "one_way", "high"),
    CommandSpec("restore.drill", a.RestoreRun, ("resilience", "person"), "restore", "harmless"),
    CommandSpec("failover.drill", a.FailoverDrill, ("resilience", "person"), "failover", "harmless"),
    CommandSpec(
        "certificate.rotate", a.CertificateRotate, ("certificate_rotation", "person"), "certificate", "one_way"
    ),
    CommandSpec("secret.rotate", a.SecretRotate, ("certificate_rotation", "person"), "secret", "one_way"),
    CommandSpec("issuer.distrust", a.IssuerDistrust, ("person",), "issuer", "one_way", "high"),
    CommandSpec("pack.install", a.PackChange, ("marketplace", "person"), "pack", "inverse"),
    CommandSpec("pack.upgrade", a.PackUpgrade, ("marketplace", "person"), "pack", "inverse"),
    CommandSpec("pack.uninstall", a.PackChange, ("marketplace", "person"), "pack", "inverse"),
    CommandSpec("policy.activate", a.PolicyActivate, ("person",), "policy", "inverse", "high"),
    CommandSpec("autonomy.change", a.AutonomyChange, ("person",), "autonomy", "inverse", "high"),
    CommandSpec("alert.silence", a.AlertSilence, ("sre", "person"), "silence", "harmless", "low"),
    CommandSpec("operation.cancel", a.OperationCancel, ("sre", "resilience", "person"), "cancel", "harmless", "low"),
    CommandSpec(
        "ticket.open",
        a.TicketOpen,
        ("sre", "capacity", "cost", "resilience", "drift", "cost_anomaly", "person"),
        "ticket",
        "harmless",
        "low",
    ),
)
CATALOGUE: dict[CommandKind, CommandSpec] = {row.kind: row for row in _ROWS}
