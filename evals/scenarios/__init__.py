"""Scenarios: families of situations as data, drawn into worlds by seed."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from domain.errors import Invalid, NotFound
from evals.scenarios.drawing import Setting, setting
from evals.scenarios.model import SUITES, Domain, Good, Scenario, Suite

__all__ = ["SUITES", "Domain", "Good", "Scenario", "Setting", "Suite", "load", "read", "scenario", "setting"]

_FILES = TypeAdapter(tuple[Scenario, ...])


def read(path: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of one file: a YAML list. Raises Invalid with the place of the first mistake."""
    try:
        return _FILES.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise Invalid(f"{path.name} is no list of scenarios: {error}", reason="scenario_invalid") from error


@cache
def load() -> tuple[Scenario, ...]:
    """Return every scenario of the folder, in order of file and place. Names are unique."""
    found = [one for path in sorted(Path(__file__).parent.glob("*.yaml")) for one in read(path)]
    names = [one.name for one in found]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise Invalid(f"scenarios share a name: {', '.join(sorted(doubled))}", reason="scenario_invalid")
    return tuple(found)


def scenario(name: str) -> Scenario:
    """Return one scenario; NotFound otherwise."""
    for one in load():
        if one.name == name:
            return one
    raise NotFound(f"no scenario {name!r}; see opsmesh evals scenarios", reason="no_such_scenario")
