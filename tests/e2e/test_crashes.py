"""Crashes lose nothing and repeat nothing: a part of the matrix on both databases, and proof that it would notice.

The whole matrix is `python -P -m evals.crashes`; every case kills a real process by SIGKILL and judges what is left.
"""

import json
import os
import subprocess
import sys

import pytest

from domain.crash_points import POINTS
from evals.crash_cases import KINDS, PASSAGES
from tests.postgres import session_server

AMBIGUOUS = ("grant.before_commit", "runtime.before_commit", "runtime.committed", "effect.before_record")
"""Around the effect: nobody alive knows whether it happened."""


def crashes(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "evals.crashes", "--json", *arguments],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["held"] == report["cases"] else 1)
    return report


def broken(report: dict) -> list[str]:
    return [f"{r['passage']} / {r['kind']}: {why}" for r in report["results"] for why in r["why"]]


def test_every_named_point_has_a_case():
    of_plans = {point for point in POINTS if point.startswith("plan.")}  # crashed in test_plans
    assert {kill.point for passage in PASSAGES for kill in passage.kills} == POINTS - of_plans
    assert len(KINDS) >= 4


def test_a_crash_around_the_effect_loses_and_repeats_nothing():
    report = crashes("--points", *AMBIGUOUS, "--kinds", "service.rollback")
    assert broken(report) == []
    assert report["killed"] >= 8


@pytest.mark.parametrize("kind", ["service.restart", "scaling_policy.update"])
def test_a_crash_on_the_way_is_made_good(kind: str):
    points = ("decide.before_commit", "approve.before_claim", "verify.during", "undo.during", "outbox.before_ack")
    report = crashes("--points", *points, "--kinds", kind)
    assert broken(report) == []
    assert report["killed"] == len(points)


def test_the_same_on_postgresql():
    server = session_server()
    name = f"crashes{os.getpid()}"
    server.fresh(name, tables=False)
    try:
        url = server.url(name)
        report = crashes(
            "--points", "effect.before_record", "supersede.committed", "--kinds", "traffic.shift", "--database", url
        )
    finally:
        server.drop(name)
    assert report["database"] == "postgresql"
    assert broken(report) == []


@pytest.mark.parametrize(
    ("sabotage", "noticed"),
    [("assumes_failure", "is FAILED: 0 effects expected"), ("retries_blindly", "which is no command's key")],
)
def test_the_checker_notices_an_executor_that_guesses(sabotage: str, noticed: str):
    report = crashes("--points", "effect.before_record", "--kinds", "service.restart", "--sabotage", sabotage)
    assert report["held"] < report["cases"]
    assert any(noticed in why for why in broken(report)), broken(report)
