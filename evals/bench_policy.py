"""How fast policy decides over the shipped rules, beside the same decision when the texts are parsed anew each time.

Both take the same command and facts in turns within one run. A decision here is whole: digests, both questions to
Cedar, reasons.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from domain.changes import ResourceChange
from domain.commands import Command, FieldUndo, Inverse, Prediction, Quantity
from domain.ids import CommandId, EnvironmentId, EvidenceId, IncidentId, PrincipalId, TenantId
from domain.tenancy import AffectedSet
from domain.topology import EntityRef
from evals.bench_figures import Figure
from governance.facts import Facts, Surroundings, assemble
from governance.policy import PolicySet

DECISIONS = 400
PARSINGS = 40
_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def decision_time() -> list[Figure]:
    """Return the median and 99th percentile of a decision, the median with re-parsing, and their ratio."""
    policies = PolicySet.load()
    command = _command()
    facts = _facts(command)
    files, schema = policies.files, policies.schema
    for _ in range(DECISIONS // 10):
        policies.decide(command, facts)
    reused: list[float] = []
    parsed: list[float] = []
    for turn in range(DECISIONS):
        reused.append(_timed_ms(lambda: policies.decide(command, facts)))
        if turn % (DECISIONS // PARSINGS) == 0:
            parsed.append(_timed_ms(lambda: PolicySet(files, schema).decide(command, facts)))
    note = f"{len(policies.rules)} rules, {DECISIONS} decisions"
    p99 = sorted(reused)[int(0.99 * len(reused))]
    return [
        Figure(name="policy decision, p50", value=median(reused), unit="ms", note=note),
        Figure(name="policy decision, p99", value=p99, unit="ms", note=note),
        Figure(name="policy decision re-parsing, p50", value=median(parsed), unit="ms", note=f"{PARSINGS} decisions"),
        Figure(name="re-parsing costs", value=median(parsed) / median(reused), unit="x", note="handles are reused"),
    ]


def _timed_ms(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return 1000 * (perf_counter() - start)


def _command() -> Command:
    quantity = Quantity(value=0.02, low=0.01, high=0.03)
    path = ("services", "checkout", "version")
    return Command(
        id=CommandId("01JNZ8Q0000000000000000001"),
        kind="service.rollback",
        arguments={"service": "checkout", "to_version": "v41"},
        target=EntityRef(kind="service", id="checkout"),
        tenant=TenantId("acme"),
        environment=EnvironmentId("prod"),
        proposer=PrincipalId("sre"),
        preview=(ResourceChange(address="service/checkout", operation="update", path="version"),),
        inverse=Inverse(fields=(FieldUndo(path=path, written="v41", restore="v42"),)),
        preconditions=(),
        affected=AffectedSet(
            tenants=(TenantId("acme"),), environments=(EnvironmentId("prod"),), resources=("service/checkout",)
        ),
        expires_at=_AT + timedelta(hours=2),
        idempotency_key="bench",
        proposed_at=_AT,
        evidence=(EvidenceId("e1"),),
        prediction=Prediction(known=True, horizon_s=900, slo_attainment=quantity),
        confidence=0.9,
        incident=IncidentId("i1"),
    )


def _facts(command: Command) -> Facts:
    around = Surroundings(
        at=_AT,
        proposer_kind="agent",
        proposer_name="sre",
        proposer_enabled=True,
        proposer_has_role=True,
        parent_allowed=False,
        production=True,
        tier=1,
        isolation="pooled",
        autonomy="act",
        kill_switches=(),
        undos_continue=True,
        freeze_active=False,
        clock_doubtful=False,
        services_touched=1,
        services_total=15,
        replicas_affected=0,
        replicas_total=4,
        conflicts=0,
        incident_open=True,
        evidence_age_s=60,
        spend_change_usd_per_hour=0,
        budget_left_usd_per_hour=10,
        commands_in_window=0,
        command_limit=10,
        error_budget_left=0.5,
        residency_ok=True,
        quota_ok=True,
        compliance_violations=(),
        recent_bad_outcomes=0,
        same_fix_failed=False,
    )
    return assemble(command, around)
