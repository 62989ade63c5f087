"""Decisions: facts in, allow, ask or deny out, with reasons and the digest of the policy set that gave them.

Three questions in order. `propose`: may this be on the path at all (no: deny). `run_unattended`: may nobody be asked
(yes: allow; no: ask people). `approve`: may this person answer. A fault anywhere is a deny that says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue

from domain.base import Digest
from domain.commands import Command
from domain.decisions import Ask, Decision, Effect
from domain.errors import Invalid
from domain.ids import PLATFORM
from domain.principals import Principal, Role
from governance.controls import controls_of
from governance.facts import Facts
from governance.policies import CONTROLS_FILE, SCHEMA_FILE, SHIPPED
from governance.rules import Rule, Rules, Verdict

APPROVAL_S = 3600
"""How long people are asked: an hour, after which the evidence no longer describes the present. Our choice."""
APPROVERS: tuple[Role, ...] = ("approver", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether somebody may, and why."""

    allowed: bool
    reasons: tuple[str, ...]


class PolicySet:
    """A versioned set of policies. Pure: the same facts give the same decision."""

    def __init__(self, files: Mapping[str, str], schema: str) -> None:
        self._rules = Rules(files, schema)
        self.controls, self._controls_fault = controls_of(files.get(CONTROLS_FILE), self._rules.digest)

    @classmethod
    def load(cls, folder: Path = SHIPPED) -> "PolicySet":
        """Read every `.cedar` file of a folder, its controls and its schema. Raises Invalid when one cannot be read.

        Files that do not parse or do not fit the schema give a set that denies everything and has a `fault`.
        """
        try:
            files = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.cedar"))}
            files[CONTROLS_FILE] = (folder / CONTROLS_FILE).read_text("utf-8")
            schema = (folder / SCHEMA_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"the policies cannot be read: {error}", reason="policy_unreadable") from error
        return cls(files, schema)

    @property
    def digest(self) -> Digest:
        """Digest over the names and texts of all files and the schema."""
        return self._rules.digest

    @property
    def fault(self) -> str:
        """Why the set denies everything; empty when it is sound."""
        return self._rules.fault or self._controls_fault

    @property
    def files(self) -> dict[str, str]:
        """Policy texts by file name."""
        return dict(self._rules.files)

    @property
    def schema(self) -> str:
        """The schema's text."""
        return self._rules.schema

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, by id."""
        return self._rules.rules

    def decide(self, command: Command, facts: Facts) -> Decision:
        """Decide one digest. Anything unclear is a deny with the reason."""
        if wrong := self._controls_fault or _mismatch(command, facts):
            return self._decision(command, facts, "deny", (wrong,))
        who = (facts.proposer_kind, facts.proposer)
        context = json.dumps({"facts": facts.context()})
        proposed = self._rules.ask("propose", who, context)
        if not proposed.allowed:
            reasons = _reasons(proposed, facts, "the proposer holds no proposing role here")
            return self._decision(command, facts, "deny", reasons)
        unattended = self._rules.ask("run_unattended", who, context)
        if unattended.fault:
            return self._decision(command, facts, "deny", (unattended.fault,))
        if unattended.allowed:
            return self._decision(command, facts, "allow", _reasons(unattended, facts, "permitted"))
        return self._people(command, facts, unattended)

    def can_approve(self, principal: Principal, command: Command, facts: Facts) -> Permission:
        """Tell whether this person may answer for this digest now. Quorum and single use are the approvals' own."""
        if mismatch := _mismatch(command, facts):
            return Permission(allowed=False, reasons=(mismatch,))
        approver: dict[str, JsonValue] = {
            "is_proposer": principal.id == command.proposer,
            "enabled": principal.disabled_at is None,
            "roles": [*sorted(principal.roles_on(command.tenant, command.environment))],
            "platform_roles": [*sorted(principal.roles_on(PLATFORM, command.environment))],
        }
        context = json.dumps({"facts": facts.context(), "approver": approver})
        verdict = self._rules.ask("approve", (principal.kind, principal.id), context)
        return Permission(verdict.allowed, _reasons(verdict, facts, "no approving role here"))

    def _people(self, command: Command, facts: Facts, verdict: Verdict) -> Decision:
        roles = _open_to(verdict.rules)
        if not roles:
            return self._decision(command, facts, "deny", ("the policies ask for roles that nobody can hold at once",))
        ask = Ask(
            roles=roles,
            quorum=max([1, *(rule.quorum for rule in verdict.rules)]),
            expires_at=min(facts.at + timedelta(seconds=APPROVAL_S), command.expires_at),
        )
        reasons = _reasons(verdict, facts, f"autonomy is {facts.autonomy} here: a person decides")
        return self._decision(command, facts, "ask", reasons, ask)

    def _decision(
        self, command: Command, facts: Facts, effect: Effect, reasons: tuple[str, ...], ask: Ask | None = None
    ) -> Decision:
        return Decision(
            command=command.id,
            digest=command.digest,
            effect=effect,
            reasons=reasons,
            policy_digest=self.digest,
            facts_digest=facts.digest,
            at=facts.at,
            ask=ask,
        )


def _open_to(rules: tuple[Rule, ...]) -> tuple[Role, ...]:
    """The approving roles that every determining rule accepts; a rule without `@roles` accepts all."""
    limits = [set(rule.roles) for rule in rules if rule.roles]
    return tuple(role for role in APPROVERS if all(str(role) in limit for limit in limits))


def _mismatch(command: Command, facts: Facts) -> str:
    """Facts of another command decide nothing."""
    stated = (facts.command, facts.kind, facts.role, facts.tenant, facts.environment, facts.proposer)
    actual = (command.digest, command.kind, command.role, command.tenant, command.environment, command.proposer)
    return "" if stated == actual else "the facts do not belong to this command"


def _reasons(verdict: Verdict, facts: Facts, otherwise: str) -> tuple[str, ...]:
    if verdict.fault:
        return (verdict.fault,)
    return tuple(_sentence(rule, facts) for rule in verdict.rules) or (otherwise,)


def _sentence(rule: Rule, facts: Facts) -> str:
    """The rule's reason with the figures it asked about, and its id: `... below 60 % (confidence_pct 43) [low-...]`."""
    known = facts.context()
    figures = ", ".join(f"{name} {_plain(known[name])}" for name in rule.asks if name in known and name not in _SILENT)
    return f"{rule.reason} ({figures}) [{rule.id}]" if figures else f"{rule.reason} [{rule.id}]"


_SILENT = frozenset({"role", "kind"})
"""Asked by most rules and already on the card."""


def _plain(value: JsonValue) -> str:
    if isinstance(value, list):
        return " ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
