"""What the SRE agent makes of locks, lagging replicas, full disks, limits, dark regions and bad ways."""

import pytest

from agents import AGENTS, AgentRun, run
from agents.sre.claims import check
from agents.sre.diagnose import diagnose
from domain.evidence import Diagnosis, EvidencePack
from domain.topology import DataStore, Edge
from tests.unit.agents.builders import ACME, PackMaker

DB, CHECKOUT, WEB = "service/db", "service/checkout", "service/web"


async def sre(pack: EvidencePack) -> AgentRun:
    return await run(AGENTS[0], pack)


def best(diagnosis: Diagnosis) -> tuple[str, str]:
    return diagnosis.hypotheses[0].entity, diagnosis.hypotheses[0].fault_class


def slow(maker: PackMaker, *entities: str) -> PackMaker:
    for entity in entities:
        maker.move(entity, "latency_p95_ms", (-2, 900.0))
    return maker


def locked() -> PackMaker:
    return slow(PackMaker().move(DB, "lock_waiters", (-2, 60.0)), DB, CHECKOUT, WEB)


async def test_whoever_left_the_transaction_open_is_restarted():
    maker = locked().move(CHECKOUT, "oldest_transaction_s", (-2, 60.0), (0, 200.0))
    done = await sre(maker.build())
    assert best(done.diagnosis) == (DB, "lock_contention")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("service.restart", CHECKOUT)]


async def test_without_a_known_holder_the_store_itself_is_restarted():
    done = await sre(locked().build())
    assert best(done.diagnosis) == (DB, "lock_contention")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("service.restart", DB)]


def test_a_busy_store_with_a_lock_queue_is_first_of_all_busy():
    idle, busy = locked(), locked().move(DB, "cpu_utilisation", (-2, 1.0))
    sure, less = diagnose(idle.build()).hypotheses[0], diagnose(busy.build())
    lock = next(h for h in less.hypotheses if h.fault_class == "lock_contention")
    assert lock.confidence < sure.confidence - 0.2
    assert lock.contradicting


async def test_readers_of_a_lagging_replica_are_led_to_where_is_written():
    maker = PackMaker().move(DB, "replica_lag_s", (-2, 60.0), (0, 150.0)).move(DB, "error_rate", (-2, 0.2))
    maker.move(WEB, "error_rate", (-2, 0.05))
    maker.regions, maker.kind = ("west", "north"), "errors"
    maker.stores = (DataStore(id="db", tenant=ACME, engine="postgres", region="west", replica_region="north"),)
    done = await sre(maker.build())
    assert best(done.diagnosis) == (DB, "replication_lag")
    assert done.proposals[0].kind == "traffic.shift"
    assert done.proposals[0].arguments["region_weights"] == {"north": 0.0, "west": 1.0}


async def test_a_full_disk_ends_in_a_ticket_even_beside_a_release():
    maker = PackMaker().move(DB, "disk_used", (-6, 0.8), (-2, 1.0)).move(DB, "error_rate", (-2, 0.4))
    maker.move(WEB, "error_rate", (-2, 0.1))
    maker.kind = "errors"
    maker.change(DB, "deployment", -10, "v0", "v1")
    done = await sre(maker.build())
    assert best(done.diagnosis) == (DB, "disk_full")
    assert [p.kind for p in done.proposals] == ["ticket.open"]


async def test_a_stopped_service_is_given_a_wider_limit_and_a_busy_one_is_not_called_stopped():
    maker = slow(PackMaker().move(CHECKOUT, "cpu_periods_throttled", (-2, 1.0)), CHECKOUT, WEB)
    maker.move(CHECKOUT, "cpu_utilisation", (-2, 0.3))
    done = await sre(maker.build())
    assert best(done.diagnosis) == (CHECKOUT, "cpu_throttle")
    assert done.proposals[0].kind == "service.resize"
    assert done.proposals[0].arguments["cpu_millicores"] > 1000
    maker.move(CHECKOUT, "cpu_utilisation", (-2, 1.0))
    assert all(h.fault_class != "cpu_throttle" for h in diagnose(maker.build()).hypotheses)


@pytest.mark.parametrize(
    ("lost", "resent", "kind"),
    [(0, False, "network_delay"), (2, True, "network_loss"), (18, True, "network_partition")],
)
async def test_a_bad_way_in_one_region_is_gone_around(lost: int, resent: bool, kind: str):
    maker = slow(PackMaker(), CHECKOUT, WEB).way(CHECKOUT, DB, "north", long=20, lost=lost)
    maker.way(CHECKOUT, DB, "west", long=0)
    maker.regions = ("west", "north")
    if resent:
        maker.move(CHECKOUT, "tcp_retransmits", (-2, 0.1))
    done = await sre(maker.build())
    assert best(done.diagnosis) == (DB, kind)
    assert done.proposals[0].target.address == DB
    assert done.proposals[0].arguments["region_weights"] == {"north": 0.0, "west": 1.0}


def test_ways_as_long_as_ever_accuse_nobody():
    maker = slow(PackMaker(), DB, CHECKOUT, WEB).way(CHECKOUT, DB, "west", long=2)
    assert all(not h.fault_class.startswith("network") for h in diagnose(maker.build()).hypotheses)


async def test_refused_machines_are_told_and_no_ceiling_is_raised():
    maker = slow(PackMaker(12), WEB).move(WEB, "request_rate", (-1, 200.0)).move(WEB, "replicas_desired", (0, 8.0))
    maker.move(WEB, "cpu_utilisation", (-1, 1.0)).move(WEB, "error_rate", (-1, 0.1))
    maker.edges.append(Edge(kind="runs_on", source=WEB, target="node_pool/shared-west"))
    maker.change("node_pool/shared-west", "scaling", 2, {"cores": 64.0}, {"cores": 64.0, "refused_replicas": 4})
    done = await sre(maker.build())
    assert best(done.diagnosis) == ("node_pool/shared-west", "quota_hit")
    assert [p.kind for p in done.proposals] == ["ticket.open"]
    assert all(r.candidate.proposal.kind != "scaling_policy.update" for r in done.considered)


async def test_users_of_a_dark_region_are_led_out_in_one_command():
    maker = PackMaker()
    maker.regions, maker.kind = ("west", "north"), "errors"
    for service in (WEB, CHECKOUT, DB):
        maker.move(service, "replicas_ready", (-1, 2.0)).move(service, "error_rate", (-1, 0.5))
    for zone in ("west-1", "west-2"):
        maker.change(f"zone/{zone}", "zone", -1, True, False)
        maker.edges.append(Edge(kind="member_of", source=f"node/{zone}-0", target=f"zone/{zone}"))
    done = await sre(maker.build())
    assert best(done.diagnosis) == ("region/west", "region_loss")
    assert [(p.kind, p.target.address) for p in done.proposals] == [("traffic.shift", WEB)]
    assert done.proposals[0].arguments["region_weights"] == {"west": 0.0, "north": 1.0}


def test_every_claim_about_a_way_or_a_level_is_recomputed():
    pack = slow(PackMaker(), CHECKOUT, WEB).way(CHECKOUT, DB, "north", long=20, lost=1).build()
    claim = next(c for h in diagnose(pack).hypotheses for c in h.supporting if "on the way" in c.text)
    assert check(claim, pack)
    assert not check(claim.model_copy(update={"text": claim.text.replace("20 of 60", "50 of 60")}), pack)
    stopped = slow(PackMaker().move(CHECKOUT, "cpu_periods_throttled", (-2, 1.0)), CHECKOUT).build()
    level = next(c for h in diagnose(stopped).hypotheses for c in h.supporting if "is at" in c.text)
    assert check(level, stopped)
    assert not check(level.model_copy(update={"text": level.text.replace("usually 0.5", "usually 0.9")}), stopped)
