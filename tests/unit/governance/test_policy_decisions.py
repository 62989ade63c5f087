"""Every golden decision holds, and every mutation of a shipped policy changes at least one of them."""

import json
from collections.abc import Iterator
from copy import deepcopy

import cedarpy
import pytest

from domain.decisions import Effect
from governance.facts import BOOKKEEPING, Facts
from governance.policies import POLICY_FILES, SHIPPED
from governance.policy import PolicySet
from tests.unit.governance.policy_goldens import CLICKS, COMMAND, FACTS, GOLDENS, Click, Golden, clicked, got

POLICIES = PolicySet.load()


def test_the_shipped_policies_are_sound_and_all_listed() -> None:
    assert POLICIES.fault == ""
    assert tuple(POLICIES.files) == POLICY_FILES


@pytest.mark.parametrize("row", GOLDENS, ids=[f"{n}-{row.effect}" for n, row in enumerate(GOLDENS)])
def test_golden_decisions(row: Golden) -> None:
    assert got(POLICIES, row) == row


@pytest.mark.parametrize("row", CLICKS, ids=[f"{n}-{row.allowed}" for n, row in enumerate(CLICKS)])
def test_golden_approvals(row: Click) -> None:
    assert clicked(POLICIES, row) == row


def test_every_effect_and_every_rule_occurs_in_the_goldens() -> None:
    seen = {rule for row in GOLDENS for rule in row.rules} | {rule for row in CLICKS for rule in row.rules}
    silent = {"propose.by-role", "propose.undo"}  # a permit to propose is asked on the way and never the last word
    assert {rule.id for rule in POLICIES.rules} - seen == silent
    assert {row.effect for row in GOLDENS} == {"allow", "ask", "deny"}


def test_the_schema_and_the_facts_name_the_same_attributes() -> None:
    schema = json.loads(json.dumps(list(FACTS.context())))
    body = POLICIES.schema.partition("type Facts = {")[2].partition("};")[0]
    stated = [line.split(":")[0].strip() for line in body.splitlines() if ":" in line.split("//")[0]]
    assert sorted(stated) == sorted(schema) == sorted(set(Facts.model_fields) - BOOKKEEPING)


# --- mutation -------------------------------------------------------------------------------------------------------


def _mutants() -> Iterator[tuple[str, str]]:
    """Policy sets that differ from the shipped one in one place, as (name, Cedar text)."""
    texts = [text for name, text in POLICIES.files.items() if name.endswith(".cedar")]
    shipped = json.loads(cedarpy.policies_to_json_str("\n".join(texts)))
    for name, policy in shipped["staticPolicies"].items():
        label = policy["annotations"]["id"]
        gone = deepcopy(shipped)
        del gone["staticPolicies"][name]
        yield f"{label}: removed", cedarpy.policies_from_json_str(json.dumps(gone))
        for what, conditions in _broken(policy["conditions"]):
            changed = deepcopy(shipped)
            changed["staticPolicies"][name]["conditions"] = conditions
            yield f"{label}: {what}", cedarpy.policies_from_json_str(json.dumps(changed))


def _broken(conditions: list[dict]) -> Iterator[tuple[str, list[dict]]]:
    for index, condition in enumerate(conditions):
        others = conditions[:index] + conditions[index + 1 :]
        yield f"{condition['kind']} dropped", others
        for what, body in _bodies(condition["body"]):
            yield what, [*conditions[:index], {**condition, "body": body}, *conditions[index + 1 :]]


def _bodies(node: dict) -> Iterator[tuple[str, dict]]:
    """Each way to break one expression: an atom negated, an operand dropped, a bound moved by one, a text changed."""
    ((operator, arguments),) = node.items()
    if operator in {"&&", "||"}:
        for side, other in (("left", "right"), ("right", "left")):
            yield f"{operator} without its {side}", arguments[other]
            for what, body in _bodies(arguments[side]):
                yield what, {operator: {**arguments, side: body}}
        yield f"{operator} swapped", {"||" if operator == "&&" else "&&": arguments}
        return
    yield f"negated {json.dumps(node)}", {"!": {"arg": node}}
    yield from _moved(node)


def _moved(node: object) -> Iterator[tuple[str, dict]]:
    if isinstance(node, dict) and isinstance(value := node.get("Value"), int) and not isinstance(value, bool):
        yield f"{value} + 1", {"Value": value + 1}
        yield f"{value} - 1", {"Value": value - 1}
    elif isinstance(node, dict) and isinstance(node.get("Value"), str):
        yield f"{node['Value']} changed", {"Value": node["Value"] + "x"}
    elif isinstance(node, dict):
        for key, child in node.items():
            yield from ((what, {**node, key: broken}) for what, broken in _moved(child))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from ((what, [*node[:index], broken, *node[index + 1 :]]) for what, broken in _moved(child))


MUTANTS = tuple(_mutants())


def test_there_are_mutants_of_every_rule() -> None:
    assert {name.partition(":")[0] for name, _ in MUTANTS} == {rule.id for rule in POLICIES.rules}
    assert len(MUTANTS) > 5 * len(POLICIES.rules)


def _notices(name: str, text: str) -> bool:
    rule = name.partition(":")[0]
    policies = PolicySet({"mutant.cedar": text}, POLICIES.schema)
    if policies.fault:
        pytest.fail(f"a mutant that does not compile proves nothing: {policies.fault}")
    rows = [(rule in row.rules, got, row) for row in GOLDENS] + [(rule in row.rules, clicked, row) for row in CLICKS]
    likely_first = sorted(rows, key=lambda entry: not entry[0])
    return any(answer(policies, row) != row for _, answer, row in likely_first)


@pytest.mark.parametrize("rule", [rule.id for rule in POLICIES.rules])
def test_a_golden_decision_notices_every_mutation(rule: str) -> None:
    mine = [(name, text) for name, text in MUTANTS if name.startswith(f"{rule}: ")]
    assert [name for name, text in mine if not _notices(name, text)] == []


# --- no fault is ever an allow --------------------------------------------------------------------------------------

BAD_SETS: dict[str, tuple[dict[str, str], str]] = {
    "no policies": ({}, POLICIES.schema),
    "does not parse": ({"a.cedar": "permit("}, POLICIES.schema),
    "schema does not parse": (POLICIES.files, "entity"),
    "asks what the schema lacks": (
        {"a.cedar": '@id("a") @reason("a") permit(principal, action, resource) when { context.facts.mood == 1 };'},
        POLICIES.schema,
    ),
    "no id": ({"a.cedar": "permit(principal, action, resource);"}, POLICIES.schema),
    "doubled id": (
        {"a.cedar": '@id("a") @reason("a") permit(principal, action, resource);' * 2},
        POLICIES.schema,
    ),
    "quorum is no number": (
        {"a.cedar": '@id("a") @reason("a") @quorum("two") permit(principal, action, resource);'},
        POLICIES.schema,
    ),
    "a template": (
        {"a.cedar": '@id("a") @reason("a") permit(principal == ?principal, action, resource);'},
        POLICIES.schema,
    ),
    "a schema without the attributes": (POLICIES.files, POLICIES.schema.replace("quota_ok: Bool,", "")),
    "a schema with one more attribute": (
        POLICIES.files,
        POLICIES.schema.replace("quota_ok: Bool,", "quota_ok: Bool, mood: String,"),
    ),
}


@pytest.mark.parametrize("name", BAD_SETS)
def test_an_unusable_policy_set_denies_with_the_reason(name: str) -> None:
    decision = PolicySet(*BAD_SETS[name]).decide(COMMAND, FACTS)
    assert decision.effect == "deny"
    assert decision.reasons[0]


FAULTS: dict[str, dict[str, object]] = {
    "a number beyond 64 bits": {"resources": 2**70},
    "an overflow inside a forbid": {"spend_change_cents_per_hour": 2**62, "budget_left_cents_per_hour": 2**63 - 1},
    "a fraction": {"resources": 1.5},
    "a missing value": {"autonomy": None},
    "another type": {"freeze_active": "no"},
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_facts_that_cannot_be_evaluated_deny(name: str) -> None:
    snapshot = FACTS.model_copy(update=FAULTS[name])
    try:
        effect: Effect = POLICIES.decide(COMMAND, snapshot).effect
    except ValueError:
        effect = "deny"  # canonical JSON refuses the snapshot before any decision is made
    assert effect == "deny"


def test_a_deny_names_the_controls_that_would_break() -> None:
    broken = ("encryption-at-rest on data_store/orders", "exposure on service/checkout")
    reasons = POLICIES.decide(COMMAND, FACTS.model_copy(update={"compliance_violations": broken})).reasons
    assert all(control in reasons[0] for control in broken)


@pytest.mark.parametrize(
    ("find", "replace"),
    [
        ("max_waiver_days = 90", "max_waiver_days = 0"),
        ('rule = "encrypted"', 'rule = "magic"'),
        ("demand = { min_retention_days = 7 }", "demand = { min_days_left = 7 }"),
        ('id = "exposure"', 'id = "isolation"'),
        ("[[controls]]", "[[controls"),
    ],
)
def test_controls_that_cannot_be_used_deny_everything(find: str, replace: str) -> None:
    files = {**POLICIES.files, "controls.toml": POLICIES.files["controls.toml"].replace(find, replace)}
    assert files != POLICIES.files
    broken = PolicySet(files, POLICIES.schema)
    assert broken.fault.startswith("the controls cannot be used")
    assert broken.controls is None
    assert broken.decide(COMMAND, FACTS).effect == "deny"


def test_the_controls_are_stamped_with_the_digest_of_the_set_they_are_part_of() -> None:
    changed = POLICIES.files["controls.toml"].replace("min_retention_days = 7", "min_retention_days = 30")
    stricter = PolicySet({**POLICIES.files, "controls.toml": changed}, POLICIES.schema)
    assert POLICIES.controls is not None
    assert stricter.controls is not None
    assert POLICIES.controls.policy == POLICIES.digest != stricter.digest == stricter.controls.policy
    pairs = zip(POLICIES.controls.controls, stricter.controls.controls, strict=True)
    assert [a.id for a, b in pairs if a.digest != b.digest] == ["backup-retention"]


def test_facts_of_another_command_decide_nothing() -> None:
    other = COMMAND.model_copy(update={"arguments": {"service": "checkout", "to_version": "v40"}})
    assert POLICIES.decide(other, FACTS).reasons == ("the facts do not belong to this command",)
    assert not POLICIES.can_approve(CLICKS[0].who, other, FACTS).allowed


def test_an_unreadable_folder_is_invalid(tmp_path) -> None:
    from domain.errors import Invalid

    with pytest.raises(Invalid):
        PolicySet.load(tmp_path)


def test_the_digest_names_the_rules_and_nothing_else() -> None:
    assert PolicySet.load(SHIPPED).digest == POLICIES.digest
    changed = {**POLICIES.files, "stops.cedar": POLICIES.files["stops.cedar"] + "\n"}
    assert PolicySet(changed, POLICIES.schema).digest != POLICIES.digest
