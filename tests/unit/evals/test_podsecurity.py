"""The Pod Security fixtures' loader and scorer on made-up manifests in their layout."""

import pytest

from domain.errors import Invalid
from evals.datasets import run

MANIFEST = """apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  {extra}
  containers:
  - name: c
    image: i
"""


@pytest.fixture
def fixtures(tmp_path):
    for place, extra in (
        ("baseline/v1.37/fail/hostnamespaces0", "hostPID: true"),
        ("baseline/v1.37/fail/sysctls0", "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}"),
        ("baseline/v1.37/pass/base", "hostPID: false"),
        ("restricted/v1.37/fail/runasnonroot0", "{}"),
    ):
        file = tmp_path / f"{place}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(MANIFEST.format(extra="" if extra == "{}" else extra))
    return tmp_path


def values(report, part):
    return {(row.metric, row.who): row.value for row in report.rows if row.part == part}


def test_every_manifest_is_judged_at_its_level(fixtures):
    report = run("podsecurity", fixtures)

    assert report.cases == 4
    assert {(one.manifest, one.allowed) for one in report.lines} == {
        ("baseline/v1.37/fail/hostnamespaces0.yaml", False),
        ("baseline/v1.37/fail/sysctls0.yaml", False),
        ("baseline/v1.37/pass/base.yaml", True),
        ("restricted/v1.37/fail/runasnonroot0.yaml", False),
    }
    assert values(report, "baseline")["accuracy", "ours"] == 1.0
    assert values(report, "baseline")["accuracy", "floor"] == pytest.approx(2 / 3)
    assert values(report, "baseline")["false alarms", "ours"] == 0.0
    assert values(report, "baseline: Host Namespaces")["control named", "ours"] == 1.0
    assert report.missed == ()


def test_folder_and_name_do_not_reach_the_verdict(fixtures):
    told = fixtures / "baseline" / "v1.37"
    (told / "fail" / "hostnamespaces0.yaml").rename(told / "pass" / "base1.yaml")

    report = run("podsecurity", fixtures)

    [moved] = [one for one in report.lines if one.manifest.endswith("base1.yaml")]
    assert not moved.allowed
    assert moved.controls == ("Host Namespaces",)
    assert values(report, "baseline")["false alarms", "ours"] == 0.5


def test_given_verdicts_are_scored_and_must_be_complete(fixtures, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(run("podsecurity", fixtures).prediction_lines().replace('"allowed":true', '"allowed":false'))

    assert values(run("podsecurity", fixtures, rescore=path), "baseline")["false alarms", "ours"] == 1.0
    path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(Invalid, match="1 of 4 cases have no prediction"):
        run("podsecurity", fixtures, rescore=path)


def test_another_layout_or_a_torn_manifest_is_invalid(fixtures, tmp_path):
    with pytest.raises(Invalid, match=r"v1\.37"):
        run("podsecurity", fixtures / "baseline")
    (fixtures / "baseline" / "v1.37" / "pass" / "base.yaml").write_text("a: [")
    with pytest.raises(Invalid, match="no manifest"):
        run("podsecurity", fixtures)
