"""Every sentence of the roadmap and of the design card, with what shows it. A new sentence is one row here."""

from evals.service_cases import Case
from evals.services import CASES
from evals.status.contracts import STABLE
from evals.status.door import QUEUE, RESTORE, TRAFFIC
from evals.status.lived import AUTONOMY, DIAGNOSED, FED_BACK, TRACED
from evals.status.portable import PORTABLE
from evals.status.row import Row
from evals.status.served import SAFE, answered
from evals.status.tables import ENVELOPE, PACKAGED, PLACED, PULUMI, PYTHON, agent, counted, module

_BY_NAME = {case.name: case for case in CASES}
_ENGINE = "no engine runs the programs of `infra`; the embedded engine applies desired state"


def _case(name: str) -> Case:
    return _BY_NAME[name]


INTRO, PRINCIPLES, SERVICES, WORKERS = "Extension Roadmap", "Principles", "Future Services", "Future Workers"
APIS, MARKET, AGENTS, CARD = "Future APIs", "Marketplace Opportunities", "Agent Opportunities", "Design card"

_SENTENCES: tuple[Row, ...] = (
    Row(
        "extends", INTRO,
        "This roadmap describes how the Runtime & Cloud Platform extends beyond its core 9 services without "
        "breaking its contracts.",
        ENVELOPE, "event types that the platform's envelope changes", 0,
    ),
    Row(
        "preserves", INTRO,
        "Every extension preserves the canonical event envelope, tenant isolation via RuntimeTenantBinding, "
        "Pulumi-declared infrastructure, and full traceability.",
        PULUMI, "an engine runs the Pulumi programs", 1, missing=_ENGINE,
    ),
    Row(
        "contract-stability", PRINCIPLES,
        "Contract stability — new capabilities are additive; existing events, APIs, and aggregates keep their "
        "meaning (breaking changes get a version suffix).",
        STABLE, "breaking changes refused, share", 1,
    ),
    Row(
        "desired-state", PRINCIPLES,
        "Everything as desired state — new infrastructure is Pulumi-declared and drift-reconciled; nothing is "
        "operated out of band.",
        PULUMI, "an engine runs the Pulumi programs", 1, missing=_ENGINE,
    ),
    Row(
        "autonomy", PRINCIPLES,
        "Autonomy by default — extensions are control loops first, dashboards second: detect, decide, act, then "
        "surface to humans.",
        AUTONOMY, "recoveries", 1,
    ),
    Row(
        "tenant-safe", PRINCIPLES,
        "Tenant-safe — every extension respects the isolation model and quotas in RuntimeTenantBinding.",
        SAFE, "answers to a stranger", 0,
    ),
    Row(
        "trace-complete", PRINCIPLES,
        "Trace-complete — new signals carry the cross-cutting dimensions and correlate to the same traceId.",
        TRACED, "stages found by one trace id", 7,
    ),
    Row(
        "cloud-portable", PRINCIPLES,
        "Cloud-portable shape — Azure-first, but abstractions (ComputeTarget, RuntimeService) are kept "
        "provider-neutral so additional clouds can be added behind the same model.",
        PORTABLE, "commands that leave both targets in the same state", 6,
    ),
    Row(
        "service-cost", SERVICES,
        "RuntimeCostOptimizationService Continuously right-size workloads and recommend/apply cost-saving scaling"
        " and SKU changes per tenant.",
        _case("cost-realised"), "realised over really saved, least", 0.9, "least",
    ),
    Row(
        "service-chaos", SERVICES,
        "RuntimeChaosService Inject controlled failures to validate resilience and the rollback/remediation "
        "loops.",
        _case("chaos-loop"), "undone in time", 1,
    ),
    Row(
        "service-traffic", SERVICES,
        "RuntimeTrafficManagementService Progressive delivery, traffic shaping, and multi-region routing "
        "(canary/blue-green at the edge).",
        _case("release-bad"), "requests served badly, against everybody at once", 0.1, "most",
    ),
    Row(
        "service-compliance", SERVICES,
        "RuntimeComplianceService Continuously assert runtime compliance posture (residency, encryption, "
        "isolation) against Governance policy.",
        _case("compliance-governed"), "the deny names the control", 1,
    ),
    Row(
        "service-backup", SERVICES,
        "RuntimeBackupRestoreService Tenant-aware backup, point-in-time restore, and DR orchestration across data"
        " stores.",
        _case("backup-one-tenant"), "rows of others that a restore changed", 0,
    ),
    Row(
        "service-carbon", SERVICES,
        "RuntimeCarbonService Surface and optimize energy/carbon footprint of generated runtimes.",
        _case("carbon-measured"), "error against the world's own emissions", 0.05, "most",
    ),
    Row(
        "worker-cost-anomaly", WORKERS,
        "CostAnomalyWorker Timer + billing signals Detect cost anomalies and propose remediation.",
        _case("cost-anomalies"), "recall within 15 minutes", 0.9, "least",
    ),
    Row(
        "worker-capacity-forecast", WORKERS,
        "CapacityForecastWorker Timer Forecast capacity from usage trends and pre-provision.",
        _case("capacity-launch"), "SLO minutes lost, of those an autoscaler alone loses", 0.05, "most",
    ),
    Row(
        "worker-disaster-recovery", WORKERS,
        "DisasterRecoveryWorker Failover signal Promote a paired region and re-bind tenants.",
        _case("recovery.held_tenant"), "the others went", 1,
    ),
    Row(
        "worker-compliance-drift", WORKERS,
        "ComplianceDriftWorker Timer + policy change Detect compliance drift distinct from config drift.",
        _case("compliance-residency-data"), "found and proposed", 1,
    ),
    Row(
        "worker-certificate-rotation", WORKERS,
        "CertificateRotationWorker Expiry schedule Rotate TLS certificates alongside secret rotation.",
        _case("certificates-renewed"), "minutes in which an ended certificate was served", 0,
    ),
    Row(
        "api-traffic", APIS,
        "POST /runtime/traffic-policies — declare progressive-delivery and routing policies.",
        TRAFFIC, "policy in force after approval", 1,
    ),
    Row(
        "api-restore", APIS,
        "POST /runtime/restore-points and POST /runtime/restores — backup and restore orchestration.",
        RESTORE, "operations done in full", 2,
    ),
    Row(
        "api-cost", APIS,
        "GET /runtime/cost/{environmentId} — per-environment cost and optimization recommendations.",
        answered("api-cost", "cost/{}"), "answers to the owner", 1,
    ),
    Row(
        "api-compliance", APIS,
        "GET /runtime/compliance/{environmentId} — runtime compliance posture.",
        answered("api-compliance", "compliance/{}"), "answers to the owner", 1,
    ),
    Row(
        "market", MARKET,
        "The Marketplace Platform can offer runtime building blocks as reusable, governed assets:",
        _case("packs-forgeries"), "forgeries refused", 5,
    ),
    Row(
        "market-blueprints", MARKET,
        'Runtime topology blueprints — opinionated Pulumi stacks (e.g. "regulated multi-region SaaS", "cost-lean '
        'single-region") publishable and reusable across tenants.',
        PULUMI, "an engine runs the Pulumi programs", 1,
        missing=f"both blueprints install as desired state; {_ENGINE}",
    ),
    Row(
        "market-scaling", MARKET,
        "Scaling policy packs — curated ScalingPolicy presets per workload archetype.",
        _case("packs-scaling-interactive"), "share of SLO minutes saved in a rise", 0.2, "least",
    ),
    Row(
        "market-policies", MARKET,
        "Health & drift policy packs — reusable health gates and drift-remediation policies.",
        _case("packs-burn-rate"), "alerts with the pack", 1, "least",
    ),
    Row(
        "market-add-ons", MARKET,
        "Runtime add-ons — pre-integrated runtime capabilities (CDN, WAF, cache tiers) installable into an "
        "environment.",
        _case("packs-add-ons"), "hostile requests shed", 0.85, "least",
    ),
    Row(
        "agents", AGENTS,
        "The platform is a natural home for autonomous Agent Mesh operators that reason over runtime signals and "
        "act through the existing APIs:",
        AUTONOMY, "recoveries", 1,
    ),
    Row(
        "agent-sre", AGENTS,
        "Runtime SRE Agent — diagnoses incidents from health/drift/scaling signals and proposes or executes "
        "governed remediations.",
        DIAGNOSED, "recoveries by acting on the cause", 1,
    ),
    Row(
        "agent-capacity", AGENTS,
        "Capacity Planner Agent — tunes scaling policies and node pools from forecast and SLO attainment.",
        agent("capacity"), "agents of that name", 1, missing="the agent",
    ),
    Row(
        "agent-cost", AGENTS,
        "Cost Optimizer Agent — proposes right-sizing and SKU changes, gated by Governance.",
        agent("cost"), "agents of that name", 1,
        missing="the agent; the cost worker proposes these changes meanwhile",
    ),
    Row(
        "agent-resilience", AGENTS,
        "Resilience Agent — schedules chaos experiments and validates rollback/DR readiness.",
        agent("resilience"), "agents of that name", 1,
        missing="the agent; people run experiments and drills meanwhile",
    ),
    Row(
        "agent-drift", AGENTS,
        "Drift Remediation Agent — classifies drift findings and selects the safest corrective deployment.",
        agent("drift"), "agents of that name", 1, missing="the agent",
    ),
    Row(
        "fed-back", AGENTS,
        "Each agent consumes the platform's events as grounding (via the Knowledge Platform), proposes actions as"
        " governed commands, and feeds outcomes back to Observability & Feedback — extending the factory's "
        "self-improvement loop all the way into production operations.",
        FED_BACK, "decisions, outcomes and lessons at the Knowledge Platform", 3,
    ),
    Row(
        "card-kind", CARD,
        "kind: Multi-agent autonomous operations system",
        agent("sre", "capacity", "cost", "resilience", "drift"), "agents of that name", 5,
        missing="four of the five agents",
    ),
    Row(
        "card-language", CARD,
        "language: Python",
        PYTHON, "files of another language", 0,
    ),
    Row(
        "card-packages", CARD,
        "packages: langgraph, openai, pydantic, chromadb, httpx, pulumi, opentelemetry-sdk, tenacity, pytest",
        PACKAGED, "packages of the card that the product uses", 9,
    ),
    Row(
        "card-places", CARD,
        "top-level: pyproject.toml, agents/, tools/, grounding/, governance/, evals/, infra/, tests/, README.md",
        PLACED, "names of the card at the top level", 9,
    ),
    Row(
        "card-shape", CARD,
        "shape: SRE, Capacity Planner, Cost Optimizer, Resilience and Drift Remediation agents reason over events"
        " retrieved from a knowledge index, propose actions as governed commands, and execute approved ones "
        "through typed tool wrappers around the runtime APIs and Pulumi.",
        PULUMI, "an engine runs the Pulumi programs", 1, missing=f"four of the five agents; {_ENGINE}",
    ),
    Row(
        "card-chat", CARD,
        "used by: chat-ops in Slack or Teams,",
        module("chatops", "rooms of that name"), "rooms of that name", 1,
        missing="approvals go over the API and the command line only",
    ),
    Row(
        "card-loops", CARD,
        "autonomous background loops,",
        AUTONOMY, "people asked", 0,
    ),
    Row(
        "card-queue", CARD,
        "a human approval queue",
        QUEUE, "wrong answers refused", 3,
    ),
)  # fmt: skip


def _left(working: tuple[str, ...] = ()) -> float:
    return sum(bool(row.missing) and row.id not in working for row in _SENTENCES)


ROWS: tuple[Row, ...] = (
    *_SENTENCES,
    Row(
        "card-roadmap", CARD,
        "The roadmap beside this file (`extension-roadmap.txt`) is the document that the system implements.",
        counted(
            "roadmap-left", "rows above that do not work yet", 0, _left, lambda: _left(tuple(r.id for r in _SENTENCES)),
            "every row is said to work",
        ),
        "rows above that do not work yet", 0, missing="the rows above that say so",
    ),
)  # fmt: skip
