"""Chaos: what it refuses, what ends it, what the loop does about it, and how long a fault outlives its keeper."""

from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue

from domain.commands import Proposal
from domain.topology import EntityRef
from evals.chaos_kill import LEASE_S, outlived
from evals.service_cases import Case, Check, Measured
from evals.services.chaos_place import AGREED, NAME, TENANT, chaos_place
from mesh.internal import MESH
from runtime.services.chaos.library import shipped_one
from runtime.simulator import faults
from runtime.targets.simulated_faults import chosen

CHECKOUT = "service/checkout"
ABORT_S = 180.0
"""A safeguard looks at the last two minutes, every half minute."""


def _held(*, tolerance: float = 0.02, guarded: bool = True, size: float = 0.3) -> JsonValue:
    """A bad release held for ten minutes."""
    measure: JsonValue = {"type": "opsmesh.metric", "entity": CHECKOUT, "metric": "error_rate"}
    guard: JsonValue = {
        "name": "users", "provider": {
            "type": "opsmesh.safeguard", "entity": CHECKOUT, "metric": "error_rate", "tolerance": [0, 0.03],
        },
    }  # fmt: skip
    return {
        "title": "A bad release", "description": "Held for ten minutes.", "controls": [guard] if guarded else [],
        "steady-state-hypothesis": {
            "title": "Few errors",
            "probes": [{"type": "probe", "name": "few", "tolerance": [0, tolerance], "provider": measure}],
        },
        "method": [
            {
                "type": "action", "name": "release", "pauses": {"after": 600},
                "provider": {"type": "opsmesh.fault", "fault": "deploy_errors", "target": CHECKOUT, "size": size},
            }
        ],
    }  # fmt: skip


async def _before(seed: int, folder: Path, *, tolerance: float) -> Measured:
    """The service fails already: the experiment must not start."""
    there = await chaos_place(seed, folder)
    world = there.simulated.world
    faults.inject(world, chosen(world, "deploy_errors", CHECKOUT, None, 0.5))
    await there.simulated.simulation.run(world.now + timedelta(minutes=8), loop=False)
    there.store(_held(tolerance=tolerance, guarded=False))
    journal, hurt_s = await there.lived(timedelta(minutes=20))
    await there.simulated.mesh.close()
    checks = (
        Check(name="seconds a fault was there", value=hurt_s, bound=0.0),
        Check(name="the journal says failed and deviated", value=float(journal.status == "failed"), bound=1.0),
    )
    return Measured(checks=checks, figures={"hurt_s": hurt_s}, reference="the Chaos Toolkit's rule: bail out")


async def _aborts(seed: int, folder: Path, *, guarded: bool) -> Measured:
    """Errors pass what users were promised: the experiment ends itself and takes the release back."""
    there = await chaos_place(seed, folder)
    there.store(_held(guarded=guarded))
    journal, hurt_s = await there.lived(timedelta(minutes=20))
    await there.simulated.mesh.close()
    checks = (
        Check(name="seconds a fault was there", value=hurt_s, bound=ABORT_S, at="most"),
        Check(name="it did happen", value=hurt_s, bound=30.0, at="least"),
        Check(name="the journal says aborted", value=float(journal.status == "aborted"), bound=1.0),
    )
    return Measured(checks=checks, figures={"hurt_s": hurt_s}, reference="held for 600 s without a safeguard")


async def _consent(seed: int, folder: Path, *, given: bool) -> Measured:
    """A shared service is struck: everybody who uses it must have agreed, and who has not is named."""
    there = await chaos_place(seed, folder, warm_up=timedelta(minutes=5))
    there.store(_held(), AGREED if given else AGREED.model_copy(update={"services": ("pricing",)}))
    why = await there.planned()
    await there.simulated.mesh.close()
    named = float(f"{TENANT} has not agreed to faults of checkout" in why)
    return Measured(checks=(Check(name="refused, naming who", value=named, bound=1.0),), figures={})


async def _loop(seed: int, folder: Path, *, on: bool) -> Measured:
    """A bad release is let out through the one door: seen, proposed about, mended, gone, each in its time."""
    there = await chaos_place(seed, folder, warm_up=timedelta(hours=2, minutes=30))
    there.store(shipped_one("loop-bad-deploy").document)
    simulated = there.simulated
    await simulated.mesh.submission.submit(
        Proposal(
            kind="chaos.run", arguments={"experiment": NAME}, target=EntityRef(kind="experiment", id=NAME),
            tenant=TENANT, environment=there.place.environment, proposer=MESH.id, rationale="to try the loop",
        ), key="eval",
    )  # fmt: skip
    leases = there.parts.home / "chaos/leases"
    simulation, start = simulated.simulation, simulated.world.now
    await simulation.run(start + timedelta(minutes=20), stop=lambda: any(leases.glob("*.lease")))
    began = any(leases.glob("*.lease"))
    await simulation.run(
        start + timedelta(minutes=110), stop=lambda: began and there.journal().end is not None, loop=on
    )
    journal = there.journal()
    await simulated.mesh.close()
    reached = {str(r.activity["name"]): r for r in journal.run}
    after = {f"{n.split()[0]}_after_s": _seconds(r.output) for n, r in reached.items() if n.endswith("in time")}
    stages = tuple(Check(name=n, value=float(r.tolerance_met or 0), bound=1.0) for n, r in reached.items()
                   if n.endswith("in time"))  # fmt: skip
    whole = Check(name="completed without deviating", value=float(not journal.deviated), bound=1.0)
    return Measured(checks=(whole, *stages), figures=after, reference="bounds written in the experiment")


def _seconds(output: JsonValue) -> float:
    told = output.get("after_s") if isinstance(output, dict) else None
    return float(told) if isinstance(told, int | float) else 0.0


async def _kill(seed: int, folder: Path, *, planted: bool) -> Measured:
    """SIGKILL while a real delay is felt on loopback; the process starts again."""
    del seed
    measured = await outlived(folder, planted=planted)
    gone = measured.after_help_s if measured.after_help_s is not None else 1e9
    check = Check(name="seconds from restart to well", value=gone, bound=LEASE_S + 1.0, at="most")
    return Measured(checks=(check,), figures={"after_signal_s": measured.after_signal_s or -1.0})


CASES: tuple[Case, ...] = (
    Case(
        "chaos-steady-state", "chaos", "nothing is hurt where the steady state does not hold before",
        lambda seed, folder: _before(seed, folder, tolerance=0.02),
        lambda seed, folder: _before(seed, folder, tolerance=1.0), "a hypothesis that anything fulfils",
    ),
    Case(
        "chaos-abort", "chaos", "a safeguard ends an experiment and takes its fault back",
        lambda seed, folder: _aborts(seed, folder, guarded=True),
        lambda seed, folder: _aborts(seed, folder, guarded=False), "no safeguard",
    ),
    Case(
        "chaos-consent", "chaos", "no fault without consent, and who did not agree is named",
        lambda seed, folder: _consent(seed, folder, given=False),
        lambda seed, folder: _consent(seed, folder, given=True), "the consent that the case says is missing is there",
    ),
    Case(
        "chaos-loop", "chaos", "the loop sees, proposes, mends a bad release, and it is gone, each in time",
        lambda seed, folder: _loop(seed, folder, on=True),
        lambda seed, folder: _loop(seed, folder, on=False), "the loop stands still once the fault is there",
    ),
    Case(
        "chaos-kill", "chaos", "a fault outlives a killed process by no more than its lease and a second",
        lambda seed, folder: _kill(seed, folder, planted=False),
        lambda seed, folder: _kill(seed, folder, planted=True), "leases are not written to disk",
    ),
)  # fmt: skip
