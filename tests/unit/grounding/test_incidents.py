from datetime import timedelta

import pytest

from domain.catalogue import SYMPTOM_TYPES
from domain.errors import Invalid, NotFound
from domain.evidence import ChangeRecord
from domain.ids import EvidenceId
from grounding import incident_store
from grounding.incidents import Folded, Incidents, Settled
from storage.engine import Database
from tests.unit.grounding.builders import (
    ACME,
    BOREALIS,
    PLATFORM,
    PROD,
    T0,
    Counter,
    burn,
    degraded,
    event,
    recovered,
    topology,
)


class Folder:
    """The folder with its store and a clock in minutes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.incidents = Incidents(Counter())

    def tell(self, *events) -> list[Folded]:
        with self.database.begin() as connection:
            return [self.incidents.observe(connection, one) for one in events]

    def settle(self, minute: float, changes=()) -> Settled:
        at = T0 + timedelta(minutes=minute)
        with self.database.begin() as connection:
            return self.incidents.settle(connection, PROD, topology=topology(), changes=changes, at=at)

    def all(self, tenant=ACME):
        with self.database.read() as connection:
            return incident_store.list_incidents(connection, tenant)


@pytest.fixture
def folder(database: Database) -> Folder:
    return Folder(database)


def test_a_symptom_that_stands_opens_one_incident(folder: Folder):
    folder.tell(degraded("web", 0))
    assert folder.settle(0.5).opened == ()
    opened = folder.settle(1.5).opened
    assert [i.entities for i in opened] == [("service/web",)]
    assert opened[0].opened_at == T0
    assert folder.settle(2).opened == ()


def test_a_single_flap_opens_nothing(folder: Folder):
    folder.tell(degraded("web", 0), recovered("web", 0.5))
    assert folder.settle(1.5).opened == ()
    assert folder.settle(30).opened == ()


def test_a_signal_that_keeps_coming_back_opens_one(folder: Folder):
    for minute in (0, 2, 4):
        folder.tell(degraded("web", minute), recovered("web", minute + 0.5))
    assert len(folder.settle(5).opened) == 1


def test_duplicates_and_further_signals_join_what_is_open(folder: Folder):
    first = degraded("web", 0)
    folder.tell(first, first)
    (incident,) = folder.settle(1.5).opened
    assert incident.events == (first.key,)
    assert [f.change for f in folder.tell(degraded("web", 2))] == ["joined"]
    folder.tell(degraded("web", 2, "errors"))
    joined = folder.settle(3.5).joined
    assert [i.id for i in joined] == [incident.id]
    assert len(folder.all()) == 1


def test_symptoms_along_calls_are_one_incident(folder: Folder):
    folder.tell(degraded("web", 0), degraded("basket", 0.2), degraded("lone", 0.3))
    opened = folder.settle(2).opened
    assert sorted(i.entities for i in opened) == [("service/lone",), ("service/web", "service/basket")]


def test_a_shared_machine_relates_only_when_it_changed(folder: Folder):
    folder.tell(degraded("web", 0), degraded("lone", 0.2))
    assert len(folder.settle(2).opened) == 2


def test_a_changed_machine_relates_what_runs_on_it(folder: Folder):
    folder.tell(degraded("web", 0), degraded("lone", 0.2))
    change = ChangeRecord(
        evidence=EvidenceId("c"), entity="node_pool/shared", kind="node", at=T0 - timedelta(minutes=1)
    )
    assert len(folder.settle(2, changes=(change,)).opened) == 1


def test_what_spans_tenants_or_is_shared_belongs_to_the_platform(folder: Folder):
    folder.tell(degraded("basket", 0), degraded("db", 0.1, tenant=PLATFORM), degraded("player", 0.2, tenant=BOREALIS))
    (incident,) = folder.settle(2).opened
    assert incident.tenant == PLATFORM
    assert folder.all(ACME) == []
    assert folder.all(BOREALIS) == []


def test_a_quiet_incident_heals_by_itself(folder: Folder):
    folder.tell(degraded("web", 0))
    folder.settle(1.5)
    folder.tell(recovered("web", 3))
    assert folder.settle(5).closed == ()
    (closed,) = folder.settle(8.5).closed
    assert closed.status == "closed"


def test_a_burn_ends_with_its_cause_or_after_its_window(folder: Folder):
    folder.tell(degraded("web", 0), burn("web", 0.5), burn("lone", 0))
    assert len(folder.settle(2).opened) == 2
    folder.tell(recovered("web", 4))
    assert [i.entities for i in folder.settle(10).closed] == [("service/web",)]
    assert [i.entities for i in folder.settle(66).closed] == [("service/lone",)]


def test_a_late_degradation_older_than_the_recovery_changes_nothing(folder: Folder):
    folder.tell(recovered("web", 5))
    folder.tell(degraded("web", 6), recovered("web", 7))
    assert [f.change for f in folder.tell(degraded("web", 6.5))] == ["late"]
    assert folder.settle(9).opened == ()


def test_an_incident_that_is_acted_on_is_not_closed_behind_its_back(folder: Folder):
    folder.tell(degraded("web", 0))
    (incident,) = folder.settle(1.5).opened
    with folder.database.begin() as connection:
        folder.incidents.set_status(connection, ACME, incident.id, "mitigating")
    folder.tell(recovered("web", 3))
    assert folder.settle(20).closed == ()


def test_a_closed_incident_is_not_reopened_and_others_do_not_see_it(folder: Folder):
    folder.tell(degraded("web", 0), recovered("web", 0.1), degraded("web", 0.2))
    (incident,) = folder.settle(2).opened
    with folder.database.begin() as connection:
        folder.incidents.set_status(connection, ACME, incident.id, "closed")
        with pytest.raises(Invalid):
            folder.incidents.set_status(connection, ACME, incident.id, "open")
        with pytest.raises(NotFound):
            folder.incidents.set_status(connection, BOREALIS, incident.id, "open")
    folder.tell(degraded("web", 10))
    assert len(folder.settle(12).opened) == 1


@pytest.mark.parametrize("kind", sorted(SYMPTOM_TYPES))
def test_a_symptom_whose_body_does_not_fit_opens_nothing(folder: Folder, kind: str):
    assert [f.change for f in folder.tell(event(kind, {"nonsense": 1}, T0))] == ["ignored"]
    assert folder.settle(5).opened == ()


def test_a_certificate_opens_an_incident_only_on_its_last_day(folder: Folder):
    def ending(name: str, days: float):
        data = {"certificate": f"{name}-tls", "service": name, "not_after": (T0 + timedelta(days=days)).isoformat()}
        return event("runtime.certificate.expiring.v1", data, T0)

    folder.tell(ending("web", 20), ending("lone", 0.5))
    assert [i.entities for i in folder.settle(2).opened] == [("service/lone",)]
