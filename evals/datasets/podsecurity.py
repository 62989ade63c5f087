"""Pod Security fixtures: manifests that the Kubernetes project says a level admits or refuses, one control per file.

The folder is the label; the file's name tells which control it is about. Both are read for scoring only: the rules get
the parsed manifest and the level. Layout: `{baseline,restricted}/v1.37/{pass,fail}/*.yaml`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import yaml
from pydantic import JsonValue, TypeAdapter

from analysis.pod_security import Level, admitted, judge
from domain.base import Frozen
from domain.errors import Invalid
from evals.datasets.lines import read_lines
from evals.datasets.scoring import Progress, Row, Scored, Told, Who, counted, unheard

VERSION = "v1.37"
_CONTROLS = {
    "allowprivilegeescalation": "Privilege Escalation",
    "apparmorprofile": "AppArmor",
    "capabilities_baseline": "Capabilities",
    "capabilities_restricted": "Capabilities",
    "hostnamespaces": "Host Namespaces",
    "hostpathvolumes": "HostPath Volumes",
    "hostports": "Host Ports",
    "hostprobesandhostlifecycle": "Host Probes / Lifecycle Hooks",
    "privileged": "Privileged Containers",
    "procmount": "/proc Mount Type",
    "procmount_restricted": "/proc Mount Type",
    "restrictedvolumes": "Volume Types",
    "runasnonroot": "Running as Non-root",
    "runasuser": "Running as Non-root user",
    "seccompprofile_baseline": "Seccomp",
    "seccompprofile_restricted": "Seccomp",
    "selinuxoptions": "SELinux",
    "sysctls": "Sysctls",
    "windowshostprocess": "HostProcess",
}
"""File name without its number -> the control it is about."""
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


class Verdict(Frozen):
    """One line: the manifest's path below the data set, the level, and the controls that are not met."""

    manifest: str
    level: Level
    allowed: bool
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """What the file's place and name say."""

    allowed: bool
    control: str


class PodSecurity:
    """The fixtures of both levels."""

    name = "podsecurity"
    places = "podsecurity"

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Judge every manifest at its level."""
        cases = _cases(path)
        if rescore is None:
            ours: dict[str, Verdict] = {}
            for done, (case, level) in enumerate(cases.items(), start=1):
                ours[case] = verdict_of(case, level, _manifest(path / case))
                progress(Progress(done, len(cases), case))
        else:
            ours = read_lines(rescore, Verdict, lambda line: line.manifest, cases)
        rows = tuple(row for level in get_args(Level) for row in _rows(level, ours))
        return Scored(len(cases), rows, tuple(ours.values()))


def verdict_of(case: str, level: Level, manifest: JsonValue) -> Verdict:
    """Judge one manifest."""
    verdicts = judge(manifest, level)
    refusing = dict.fromkeys(one.control for one in verdicts if one.status != "allowed")
    return Verdict(manifest=case, level=level, allowed=admitted(verdicts), controls=tuple(refusing))


def _cases(path: Path) -> dict[str, Level]:
    cases: dict[str, Level] = {
        file.relative_to(path).as_posix(): level
        for level in get_args(Level)
        for file in sorted((path / level / VERSION).glob("*/*.yaml"))
        if file.parent.name in {"pass", "fail"}
    }
    if not cases:
        raise Invalid(f"{path}: no {{baseline,restricted}}/{VERSION}/{{pass,fail}}/*.yaml below", reason="layout")
    return cases


def _manifest(file: Path) -> JsonValue:
    try:
        return _JSON.validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise Invalid(f"{file} is no manifest: {error}", reason="layout") from error


def _label(case: str) -> Label:
    _, _, folder, file = case.split("/")
    stem = re.sub(r"\d+$", "", file.removesuffix(".yaml"))
    return Label(folder == "pass", _CONTROLS.get(stem, stem))


def _rows(level: Level, ours: Mapping[str, Verdict]) -> list[Row]:
    """Return accuracy and false alarms of a level, and accuracy and the naming of the control per control."""
    mine = {case: (verdict, _label(case)) for case, verdict in ours.items() if verdict.level == level}
    right = [verdict.allowed == label.allowed for verdict, label in mine.values()]
    always = [not label.allowed for _, label in mine.values()]
    passing = [verdict for verdict, label in mine.values() if label.allowed]
    rows = [
        counted("accuracy", level, right, target=1.0),
        counted("accuracy", level, always, who="floor", name="always refuse"),
        Row(metric="accuracy", part=level, who="record", name="Kubernetes' own admission", value=1.0),
        _refused(level, [not one.allowed for one in passing], target=0.0),
        _refused(level, [True] * len(passing), who="floor", name="always refuse"),
    ]
    for control in sorted({label.control for _, label in mine.values()}):
        about = [pair for pair in mine.values() if pair[1].control == control]
        part = f"{level}: {control}"
        rows.append(counted("accuracy", part, [one.allowed == label.allowed for one, label in about]))
        failing = [control in one.controls for one, label in about if not label.allowed]
        if failing:
            rows.append(counted("control named", part, failing))
    return rows


def _refused(
    level: Level, outcomes: Sequence[bool], *, who: Who = "ours", name: str = "", target: float | None = None
) -> Row:
    """Return the share of admissible manifests that are refused."""
    row = counted("false alarms", level, outcomes, who=who, name=name)
    return row.model_copy(update={"better": "lower", "target": target})
