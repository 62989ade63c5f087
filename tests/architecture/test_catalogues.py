"""The literal catalogues of domain agree with themselves and with the folders that implement them."""

import inspect
import re
from collections.abc import Sequence

from domain import arguments, catalogue
from domain.base import Frozen
from domain.command_kinds import CATALOGUE, KINDS, CommandSpec
from tests.architecture.source import REPOSITORY
from tests.architecture.tables import TABLES, entries


def gaps(kinds: Sequence[str], rows: Sequence[CommandSpec], models: set[type[Frozen]]) -> list[str]:
    """Kinds without a row, and argument models that no kind uses."""
    ruled = {row.kind for row in rows}
    used = {row.arguments for row in rows}
    return [f"no row for {kind}" for kind in kinds if kind not in ruled] + [
        f"no kind takes {model.__name__}" for model in models - used
    ]


def models_of(module: object) -> set[type[Frozen]]:
    return {
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Frozen) and value.__module__ == module.__name__
    }


def test_every_command_kind_has_its_row_and_every_argument_model_its_kind():
    assert gaps(KINDS, tuple(CATALOGUE.values()), models_of(arguments)) == []


def test_a_missing_row_is_found():
    rows = tuple(row for row in CATALOGUE.values() if row.kind != "service.scale")
    assert gaps(KINDS, rows, models_of(arguments)) == ["no row for service.scale", "no kind takes ServiceScale"]


def test_every_action_is_the_tool_of_a_command_kind():
    (actions,) = [table for table in TABLES if table.folder == "tools/actions"]
    assert entries(REPOSITORY, actions) <= {row.tool for row in CATALOGUE.values()}


def test_a_person_may_propose_whatever_an_agent_may():
    assert [row.kind for row in CATALOGUE.values() if "person" not in row.proposers] == []


def test_what_cannot_be_undone_is_never_low_risk():
    assert [r.kind for r in CATALOGUE.values() if r.reversibility == "one_way" and r.risk == "low"] == []


def test_event_types_are_versioned_unique_and_complete():
    types = [name for name, _ in catalogue.EVENT_TYPES]
    assert [name for name in types if not re.fullmatch(r"(runtime|opsmesh)(\.[a-z_]+)+\.v\d+", name)] == []
    assert len(set(types)) == len(types)
    assert models_of(catalogue) == {model for _, model in catalogue.EVENT_TYPES}
    assert set(types) >= catalogue.SYMPTOM_TYPES | catalogue.CHANGE_TYPES
