"""JSON Schemas of everything published: event data models, the envelope, commands, decisions, cards."""

from pydantic import BaseModel, JsonValue, TypeAdapter

from domain.cards import Card
from domain.catalogue import EVENT_TYPES
from domain.command_kinds import CATALOGUE
from domain.commands import Command, Proposal
from domain.decisions import Approval, AuditRecord, Decision
from domain.desired import DesiredState
from domain.events import Event, IncomingEvent
from domain.evidence import Diagnosis, EvidencePack
from domain.outcomes import Lesson, Outcome
from domain.plans import ChangePlan
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology

PUBLISHED: tuple[type[BaseModel], ...] = (
    Event,
    IncomingEvent,
    RuntimeTenantBinding,
    Topology,
    DesiredState,
    EvidencePack,
    Diagnosis,
    Proposal,
    Command,
    ChangePlan,
    Decision,
    Approval,
    AuditRecord,
    Outcome,
    Lesson,
    Card,
)
_JSON: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def schemas() -> dict[str, dict[str, JsonValue]]:
    """Return every published JSON Schema by name: models, `event:<type>` and `command:<kind>`."""
    found: dict[str, dict[str, JsonValue]] = {m.__name__: _schema(m) for m in PUBLISHED}
    found |= {f"event:{name}": _schema(model) for name, model in EVENT_TYPES}
    found |= {f"command:{kind}": _schema(spec.arguments) for kind, spec in CATALOGUE.items()}
    return found


def _schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    return _JSON.validate_python(model.model_json_schema())
