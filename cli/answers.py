"""How listings look to people: column titles and the path of each value in the server's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's title and its columns: heading and dotted path."""

    title: str
    columns: tuple[tuple[str, str], ...]


INCIDENTS = Columns(
    "Incidents",
    (("id", "id"), ("opened", "opened_at"), ("tenant", "tenant"), ("severity", "severity"), ("status", "status"),
     ("title", "title")),
)  # fmt: skip
COMMANDS = Columns(
    "Commands",
    (("id", "command.id"), ("tenant", "command.tenant"), ("kind", "command.kind"), ("target", "command.target.id"),
     ("state", "state"), ("by", "command.proposer"), ("incident", "command.incident")),
)  # fmt: skip
SHARED = Columns(
    "Commands of the platform, as far as they touch you",
    (("id", "id"), ("proposed", "proposed_at"), ("tenants", "tenants"), ("kind", "kind"), ("yours", "resources"),
     ("state", "state"), ("verdict", "verdict")),
)  # fmt: skip
PLANS = Columns(
    "Plans",
    (("id", "plan.id"), ("tenant", "plan.tenant"), ("environment", "plan.environment"), ("state", "state"),
     ("by", "plan.proposer"), ("why", "rationale"), ("how it went", "reason")),
)  # fmt: skip
RESTORE_POINTS = Columns(
    "Restore points",
    (("id", "id"), ("tenant", "tenant"), ("cut at", "cut_at"), ("region", "region"), ("status", "status"),
     ("proof", "proof.status"), ("rows", "proof.rows_compared"), ("expires", "expires_at")),
)  # fmt: skip
PROPOSED = Columns("Proposed", (("status", "status"), ("follow it at", "location")))
OPERATIONS = Columns(
    "Operations",
    (("id", "id"), ("kind", "kind"), ("target", "target"), ("status", "progress.status"),
     ("RPO s", "progress.result.rpo_s"), ("RTO s", "progress.result.rto_s"), ("how it went", "progress.detail")),
)  # fmt: skip
BILL = Columns(
    "Bill",
    (("owner", "owner"), ("direct", "direct"), ("shared", "shared"), ("idle", "idle"), ("total", "total")),
)
FINDINGS = Columns(
    "Findings",
    (("since", "first_seen"), ("tenant", "finding.tenant"), ("kind", "finding.kind"), ("about", "finding.resource"),
     ("severity", "finding.severity"), ("status", "status"), ("by", "finding.owner"), ("what", "finding.summary"),
     ("proposed", "proposed"), ("held", "held")),
)  # fmt: skip
RELEASES = Columns(
    "Releases",
    (("service", "service"), ("versions", "versions"), ("phase", "phase"), ("step", "step"), ("written", "written"),
     ("observed", "observed"), ("looks", "looks"), ("judge", "judge"), ("detail", "detail")),
)  # fmt: skip
SERVICE_CASES = Columns(
    "Services and workers",
    (("", ""), ("case", "case"), ("seed", "seed"), ("check", "check"), ("value", "value"), ("bound", "bound"),
     ("damaged", "damaged")),
)  # fmt: skip
TRACE = Columns(
    "Trace",
    (("at", "at"), ("kind", "kind"), ("what", "what"), ("about", "subject"), ("by", "by"), ("told", "text"),
     ("ref", "ref")),
)  # fmt: skip
SUBSCRIPTIONS = Columns(
    "Subscriptions",
    (("id", "id"), ("tenant", "subscriber.tenant"), ("form", "subscriber.form"), ("url", "subscriber.url"),
     ("status", "status"), ("position", "cursor"), ("failed tries", "attempts"), ("next try", "due_at"),
     ("last error", "error")),
)  # fmt: skip
DEAD_LETTERS = Columns(
    "Dead letters",
    (("position", "entry.seq"), ("event", "entry.id"), ("type", "entry.event.type"), ("tries", "attempts"),
     ("why", "reason"), ("at", "at")),
)  # fmt: skip
EXPERIMENTS = Columns(
    "Experiments",
    (("id", "id"), ("title", "title"), ("version", "version"), ("runs", "runs"), ("still there", "open_faults")),
)
JOURNAL = Columns(
    "Activities",
    (("activity", "activity.name"), ("status", "status"), ("in tolerance", "tolerance_met"), ("output", "output"),
     ("at", "start"), ("error", "exception")),
)  # fmt: skip
COMPLIANCE_CONTROLS = Columns(
    "Controls",
    (("control", "control"), ("shall be", "desired"), ("is", "live"), ("failing", "failing"), ("demands", "title")),
)
COMPLIANCE_FINDINGS = Columns(
    "Not met, or waived",
    (("control", "control"), ("resource", "resource"), ("tenant", "tenant"), ("verdict", "status"),
     ("evidence", "evidence"), ("remedy", "remedy")),
)  # fmt: skip
COST_ANOMALIES = Columns(
    "Anomalies",
    (("cause", "cause"), ("resource", "resource"), ("region", "region"), ("sku", "sku"), ("since", "since"),
     ("USD/h more", "excess"), ("what", "text")),
)  # fmt: skip
CERTIFICATES = Columns(
    "Certificates",
    (("certificate", "certificate"), ("tenant", "tenant"), ("host", "hostname"), ("verdict", "verdict"),
     ("issuer", "served.issuer"), ("ends", "served.not_after"), ("renewal", "renewal_at")),
)  # fmt: skip
SECRETS = Columns(
    "Secrets",
    (("secret", "secret"), ("tenant", "tenant"), ("opens", "opens"), ("in use", "in_use"), ("login", "verdict"),
     ("renewal", "renewal_at")),
)  # fmt: skip
COST_ADVICE = Columns(
    "Recommendations",
    (("lever", "lever"), ("resource", "resource"), ("USD a month", "saving"), ("command", "act.kind"), ("why", "why")),
)
CARBON = Columns(
    "Carbon",
    (("what", "key"), ("region", "region"), ("kind", "kind"), ("kWh", "energy"), ("gCO2e", "location"),
     ("by contract", "market"), ("embodied g", "embodied")),
)  # fmt: skip
CARBON_ADVICE = Columns(
    "Recommendations",
    (("lever", "lever"), ("resource", "resource"), ("gCO2e a month", "saving"), ("why", "reasons")),
)
PACKS = Columns(
    "Packs",
    (("pack", "name"), ("version", "version"), ("kind", "kind"), ("by", "publisher"), ("refused", "refused"),
     ("what", "summary")),
)  # fmt: skip
PACKS_INSTALLED = Columns(
    "Installed",
    (("environment", "environment"), ("pack", "pack"), ("version", "version"), ("newest", "newest"),
     ("refused today", "refused"), ("parameters", "parameters")),
)  # fmt: skip
PACK_KEYS = Columns("Keys", (("publisher", "name"), ("key", "id"), ("state", "state"), ("since", "since")))


def pick(row: JsonValue, path: str) -> str:
    """Return the value at a dotted path as text, empty where nothing is."""
    node = row
    for key in path.split("."):
        if not isinstance(node, Mapping):
            return ""
        node = node.get(key)
    return "" if node is None else str(node)
