"""Machine usage: requests from the first half only, judged on the second, beside the frontier of simple rules."""

import io
import tarfile

import numpy as np
import pytest

from domain.errors import Invalid
from evals.datasets import report
from evals.datasets.planetlab import PlanetLab

DAYS = ("20200101", "20200102")


def usage(seed, machines=60):
    """Half of the machines steady, half with rare peaks."""
    rng = np.random.default_rng(seed)
    steady = rng.uniform(5, 60, (machines // 2, 1)) + rng.normal(0, 1, (machines // 2, 288))
    peaks = rng.uniform(1, 5, (machines // 2, 1)) * np.exp(0.9 * rng.standard_normal((machines // 2, 288)))
    return np.clip(np.rint(np.concatenate([steady, peaks])), 0, 100).astype(int)


def pack(folder, day, table):
    with tarfile.open(folder / f"{day}.tar.xz", "w:xz") as archive:
        for number, row in enumerate(table):
            text = "\n".join(map(str, row)).encode()
            member = tarfile.TarInfo(f"{day}/machine_{number}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))


@pytest.fixture
def folder(tmp_path):
    for seed, day in enumerate(DAYS):
        pack(tmp_path, day, usage(seed))
    return tmp_path


def ours(scored):
    return {(row.part, row.metric): row.value for row in scored.rows if row.who == "ours"}


def test_the_second_half_does_not_change_a_request(folder):
    before = report(PlanetLab(), folder).prediction_lines()
    for seed, day in enumerate(DAYS):
        table = usage(seed)
        table[:, 144:] = 100
        pack(folder, day, table)
    after = report(PlanetLab(), folder)

    assert after.prediction_lines() == before
    assert ours(after)["safe", "violations"] > 90


def test_points_are_ordered_and_lean_beats_every_rule(folder):
    scored = report(PlanetLab(), folder)
    got = ours(scored)

    assert got["lean", "reserved"] < got["balanced", "reserved"] < got["safe", "reserved"]
    assert got["lean", "violations"] > got["balanced", "violations"] > got["safe", "violations"]
    assert [row.met for row in scored.rows if row.target is not None and row.part == "lean"] == [True] * 3


def test_figures_are_means_over_machines_and_intervals(folder, tmp_path):
    scored = report(PlanetLab(), folder)
    file = tmp_path / "p.jsonl"
    file.write_text(
        "".join(line.model_copy(update={"request": 30.0}).model_dump_json() + "\n" for line in scored.lines)
    )
    later = np.concatenate([usage(0), usage(1)])[:, 144:]

    again = ours(report(PlanetLab(), folder, rescore=file))

    assert again["lean", "reserved"] == 30
    assert again["lean", "violations"] == pytest.approx(100 * np.mean(later > 30))


def test_rescoring_gives_the_same_figures_and_misses_nothing(folder, tmp_path):
    scored = report(PlanetLab(), folder)
    file = tmp_path / "p.jsonl"
    file.write_text(scored.prediction_lines())

    assert ours(report(PlanetLab(), folder, rescore=file)) == ours(scored)

    file.write_text("\n".join(scored.prediction_lines().splitlines()[1:]))
    with pytest.raises(Invalid, match="no prediction"):
        report(PlanetLab(), folder, rescore=file)


def test_one_archive_is_one_day(folder):
    one = report(PlanetLab(), folder / f"{DAYS[0]}.tar.xz")
    assert {line.vm.split("/")[0] for line in one.lines} == {DAYS[0]}


@pytest.mark.parametrize("table", [usage(0)[:, :280], usage(0) + 90])
def test_another_layout_is_invalid(tmp_path, table):
    with pytest.raises(Invalid, match="below"):
        report(PlanetLab(), tmp_path)
    pack(tmp_path, DAYS[0], table)
    with pytest.raises(Invalid, match="percentages"):
        report(PlanetLab(), tmp_path)
