"""Feedback's promises, on each database and for each receiver: in order, at least once, within the tenant."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from domain.envelope import write_event
from domain.errors import Invalid, NotFound, Refused, Unavailable
from domain.events import Dimensions, OutgoingEvent
from domain.ids import PrincipalId, TenantId
from domain.subscriptions import DELIVERY_PROBLEMS, Subscriber
from governance.assembly import assemble_governed
from governance.webhooks import verify_webhook
from mesh.crash import NO_CRASH
from mesh.feed import Feed
from mesh.feedback_sinks import MemorySink, OtlpSink, WebhookSink, outgoing
from mesh.platform_fakes import Received, knowledge_platform, observability_backend
from mesh.subscriptions import MAX_ATTEMPTS, PER_TENANT, Subscriptions
from mesh.time import UlidIds, VirtualClock
from tests.support.governed import START

ACME, GLOBEX, ANN = TenantId("acme"), TenantId("globex"), PrincipalId("person:ann")
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
FORMS = {"webhook": "cloudevents", "otlp": "otlp", "memory": "cloudevents"}


class Stand:
    """Subscriptions over one store, one receiver of each kind, and events to send."""

    def __init__(self, database, folder, kind):
        self.clock, self.kind, self.database = VirtualClock(START), kind, database
        ids = UlidIds(self.clock, seed=3)
        self.governed = assemble_governed(
            database, keys=folder / "keys", anchor=folder / "anchor", find=lambda *_: None, clock=self.clock, ids=ids,
            crash=NO_CRASH,
        )  # fmt: skip
        self.received, self.memory = Received(), MemorySink()
        signer = self.governed.webhooks
        platform = knowledge_platform(self.received, lambda: signer.public_key, self.clock)
        backend = observability_backend(self.received)
        webhook = WebhookSink(signer, self.clock, lambda: reached(platform))
        self.feed = Feed(database, self.governed.outbox, self.clock)
        self.subscriptions = Subscriptions(
            database=database, feed=self.feed, audit=self.governed.audit, clock=self.clock, ids=ids,
            key=signer.public_key,
            sinks={
                "cloudevents": self.memory if kind == "memory" else webhook,
                "otlp": OtlpSink(lambda: reached(backend)),
            },
        )  # fmt: skip

    def subscribe(self, tenant=ACME, **changed):
        path = "/v1/logs" if self.kind == "otlp" else "/"
        fields = {"tenant": tenant, "form": FORMS[self.kind], "url": f"http://127.0.0.1:9{path}"} | changed
        return self.subscriptions.add(Subscriber.model_validate(fields), by=ANN)

    def happen(self, *names, tenant=ACME, kind="opsmesh.outcome.recorded.v1"):
        with self.database.begin() as connection:
            for name in names:
                event = OutgoingEvent(
                    type=kind, tenant=tenant, subject=name, data={"command": name},
                    dimensions=Dimensions(traceparent=TRACE, severity="warning"),
                )  # fmt: skip
                self.governed.outbox.append(connection, event)

    def fail(self, times, status=503):
        self.received.answers[:] = [status] * times
        self.memory.unavailable = times

    @property
    def got(self):
        if self.kind == "memory":
            return [outgoing(*pair) for pair in self.memory.taken.values()]
        return list(self.received.events.values())

    @property
    def names(self):
        return [event.subject for event in self.got]

    def stored(self):
        return self.subscriptions.list(ACME)[0]

    async def later(self, **passes):
        self.clock.advance(timedelta(**passes))
        return await self.subscriptions.step()


def reached(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app))


@pytest.fixture(params=FORMS)
def stand(database, tmp_path, request):
    return Stand(database, tmp_path, request.param)


@pytest.fixture
def webhook(database, tmp_path):
    return Stand(database, tmp_path, "webhook")


async def test_what_happens_arrives_in_order_with_its_trace(stand):
    stand.subscribe()
    stand.happen("a", "b", "c")
    assert await stand.subscriptions.step() == 3
    assert stand.names == ["a", "b", "c"]
    first = stand.got[0]
    assert (first.type, first.source, first.tenantid) == ("opsmesh.outcome.recorded.v1", "/opsmesh", ACME)
    assert (first.dimensions.traceparent, first.data) == (TRACE, {"command": "a"})
    assert await stand.subscriptions.step() == 0


async def test_a_subscriber_gets_its_tenants_events_of_the_types_it_wants_from_now_on(stand):
    stand.happen("before")
    stand.subscribe(types=("opsmesh.lesson.", "opsmesh.decision."))
    stand.happen("lesson", kind="opsmesh.lesson.learned.v1")
    stand.happen("outcome")
    stand.happen("theirs", tenant=GLOBEX, kind="opsmesh.lesson.learned.v1")
    await stand.subscriptions.step()
    assert stand.names == ["lesson"]


async def test_a_receiver_that_is_down_gets_everything_later_in_order(stand):
    stand.subscribe()
    stand.fail(3)
    stand.happen("a", "b")
    pauses = []
    for _ in range(3):
        assert await stand.subscriptions.step() == 0
        pauses.append((stand.stored().due_at - stand.clock.now()).total_seconds())
        assert await stand.subscriptions.step() == 0  # not due yet: no further try
        stand.clock.move_to(stand.stored().due_at)
    assert pauses == [10.0, 20.0, 40.0]
    assert stand.names == []
    assert await stand.subscriptions.step() == 2
    assert (stand.names, stand.stored().attempts, stand.stored().error) == (["a", "b"], 0, "")


async def test_what_is_never_taken_becomes_a_dead_letter_and_the_rest_goes_on(stand):
    stand.subscribe()
    stand.fail(MAX_ATTEMPTS)
    stand.happen("a", "b")
    for _ in range(MAX_ATTEMPTS):
        await stand.later(hours=1)
    await stand.subscriptions.step()
    (letter,) = stand.subscriptions.dead(ACME, stand.stored().id)
    assert (letter.entry.event.subject, letter.attempts) == ("a", MAX_ATTEMPTS)
    assert stand.names == ["b"]


async def test_a_replay_brings_dead_letters_and_everything_behind_a_position_again(stand):
    one = stand.subscribe()
    stand.happen("a", "b", "c")
    await stand.subscriptions.step()
    stand.received.events.clear()
    stand.memory.taken.clear()
    stand.subscriptions.replay(ACME, one.id, after=stand.feed.after(ACME, 0, ("opsmesh.",), limit=1)[0].seq, by=ANN)
    assert await stand.subscriptions.step() == 2
    assert stand.names == ["b", "c"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_an_event_a_receiver_cannot_read_is_not_sent_for_ever(webhook, status):
    webhook.subscribe()
    webhook.fail(1, status)
    webhook.happen("odd", "fine")
    await webhook.subscriptions.step()
    assert webhook.names == ["fine"]
    assert [d.entry.event.subject for d in webhook.subscriptions.dead(ACME, webhook.stored().id)] == ["odd"]


async def test_a_receiver_that_is_gone_is_sent_nothing_more(webhook):
    webhook.subscribe()
    webhook.fail(1, 410)
    webhook.happen("a")
    await webhook.subscriptions.step()
    assert webhook.stored().status == "stopped"
    await webhook.later(days=1)
    assert webhook.received.deliveries == 1


@pytest.mark.parametrize("status", [302, 404, 410, 422, 429, 500, 503])
async def test_a_tenant_reads_one_of_a_few_words_of_a_failure(webhook, status):
    webhook.subscribe()
    webhook.fail(1, status)
    webhook.happen("a")
    await webhook.subscriptions.step()
    word = "gone" if status == 410 else f"status_{status // 100}xx"
    assert webhook.stored().error == word
    assert word in DELIVERY_PROBLEMS
    letters = webhook.subscriptions.dead(ACME, webhook.stored().id)
    assert {letter.reason for letter in letters} <= {word}


async def test_another_failure_is_told_as_one_that_is_no_more_than_a_failure(stand):
    class Talks:
        async def deliver(self, to, entry):
            raise Unavailable("10.0.0.7 said: root:x:0:0", reason="10.0.0.7")

    one = stand.subscribe()
    talking = replace(stand.subscriptions, sinks={one.subscriber.form: Talks()})
    stand.happen("a")
    await talking.step()
    assert stand.stored().error == "failed"


async def test_no_redirect_is_followed(webhook):
    webhook.subscribe()
    webhook.fail(1, 307)
    webhook.happen("a")
    await webhook.subscriptions.step()
    assert (webhook.names, webhook.stored().attempts) == ([], 1)


async def test_another_tenants_subscription_is_missing(stand):
    one = stand.subscribe()
    for act in (
        lambda: stand.subscriptions.get(GLOBEX, one.id),
        lambda: stand.subscriptions.dead(GLOBEX, one.id),
        lambda: stand.subscriptions.remove(GLOBEX, one.id, by=ANN),
        lambda: stand.subscriptions.replay(GLOBEX, one.id, after=0, by=ANN),
    ):
        with pytest.raises(NotFound):
            act()
    assert len(stand.subscriptions.list(ACME)) == 1


async def test_a_replay_in_the_middle_of_a_delivery_is_not_overwritten(webhook):
    one = webhook.subscribe()
    webhook.happen("a", "b")
    take = webhook.received.take

    def moved(raw):
        webhook.received.take = take
        webhook.subscriptions.replay(ACME, one.id, after=0, by=ANN)
        return take(raw)

    webhook.subscriptions.replay(ACME, one.id, after=0, by=ANN)
    webhook.happen("c")
    await webhook.subscriptions.step()
    webhook.happen("d")
    webhook.received.take = moved
    await webhook.subscriptions.step()
    assert webhook.stored().cursor == 0
    await webhook.subscriptions.step()
    assert webhook.names == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "change", [{"webhook-signature": "v1a,AAAA"}, {"webhook-id": "another"}, {"webhook-timestamp": "1"}]
)
def test_a_delivery_that_was_changed_on_its_way_is_refused(webhook, change):
    body = write_event(outgoing(Subscriber(tenant=ACME, url="https://example.com/x"), entry_of(webhook)))
    signer, now = webhook.governed.webhooks, webhook.clock.now()
    headers = signer.headers("evt", now, body)
    assert verify_webhook(signer.public_key, headers, body, now) == "evt"
    with pytest.raises(Refused):
        verify_webhook(signer.public_key, headers | change, body, now)
    with pytest.raises(Refused):
        verify_webhook(signer.public_key, headers, body + b" ", now)
    with pytest.raises(Refused):
        verify_webhook(signer.public_key, headers, body, now + timedelta(minutes=6))


def entry_of(stand):
    stand.happen("a")
    stand.feed.publish()
    return stand.feed.after(ACME, 0, ("opsmesh.",), limit=1)[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "ftp://example.com",
        "https://user:pw@example.com/",
        "file:///etc/passwd",
        "https://",
        "x",
        "https://169.254.169.254/x",
        "https://10.0.0.1/",
        "https://[fe80::1]/",
    ],
)
def test_feedback_goes_nowhere_unsafe(url):
    with pytest.raises(ValueError, match=r"URL|http|receivers"):
        Subscriber(tenant=ACME, url=url)


def test_a_tenant_holds_a_bounded_number(webhook):
    for _ in range(PER_TENANT):
        webhook.subscribe()
    with pytest.raises(Invalid):
        webhook.subscribe()


async def test_a_crash_between_feed_and_outbox_doubles_nothing(webhook):
    webhook.subscribe()
    webhook.happen("a")
    taken = webhook.governed.outbox.take()
    webhook.feed._keep(taken)  # and no acknowledgement: the lease ends
    await webhook.later(minutes=2)
    assert (webhook.names, webhook.received.deliveries, webhook.governed.outbox.waiting()) == (["a"], 1, 0)
