"""The knowledge index: event templates, incidents, runbooks and verified outcomes, found by meaning and exact token.

SQL is the record and holds the vectors; the vector store is derived, probed at start and rebuilt when unreadable.
Raw events are not in it: they are found in the event log. Only verified outcomes become lessons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.templates import mask
from domain.base import digest_of
from domain.errors import Unavailable
from domain.events import Event
from domain.evidence import PastOutcome
from domain.ids import EvidenceId, IncidentId, TenantId
from domain.incidents import Incident
from domain.outcomes import Lesson
from domain.ports import Embedder
from grounding import knowledge_rows as rows
from grounding.knowledge_rows import Document, DocumentKind
from grounding.vectors import Vectors
from storage.engine import Database

# Reciprocal rank fusion with its authors' constant (Cormack et al. 2009).
RRF = 60.0
# Exact tokens break ties between near neighbours; at equal weight they make good embeddings worse (measured).
LEXICAL_WEIGHT = 0.3
# A lesson halves in a quarter: services are rebuilt about that often.
HALF_LIFE = timedelta(days=90)
# English and log text come to about four characters per model token (OpenAI's rule of thumb).
CHARS_PER_TOKEN = 4
CANDIDATES = 50
# Below this cosine two texts share little more than common words (unrelated log lines, hashed, stay under 0.3).
MIN_SIMILARITY = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """A retrieved document with its fused score and cosine similarity."""

    document: Document
    score: float
    similarity: float


class KnowledgeIndex:
    """One index over all tenants, one collection per tenant. Methods raise Unavailable only when SQL is gone."""

    def __init__(self, database: Database, vectors: Vectors, embedder: Embedder) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder

    def put(self, documents: Sequence[Document]) -> None:
        """Write documents: first the record, then the vector store. A store that fails is rebuilt on the next probe."""
        if not documents:
            return
        embedded = self._embedder.embed([d.text for d in documents])
        with self._database.begin() as connection:
            for document, vector in zip(documents, embedded, strict=True):
                rows.save(connection, document, self._embedder.name, vector)
        for tenant in sorted({d.tenant for d in documents}):
            mine = [(d.id, v) for d, v in zip(documents, embedded, strict=True) if d.tenant == tenant]
            try:
                self._vectors.put(tenant, self._embedder.name, mine)
            except Unavailable:
                self.rebuild(tenant)

    def observe(self, tenant: TenantId, events: Sequence[Event]) -> None:
        """Count events into templates: their messages with numbers and ids masked."""
        grouped: dict[str, list[Event]] = {}
        for event in events:
            if event.tenant == tenant and (message := _message(event)):
                key = digest_of([event.type, event.dimensions.serviceid, mask(message)]).removeprefix("sha256:")[:32]
                grouped.setdefault(key, []).append(event)
        with self._database.read() as connection:
            known = rows.load(connection, tenant, grouped)
        self.put([_template(tenant, key, held, known.get(key)) for key, held in grouped.items()])

    def remember(self, incident: Incident, summary: str) -> None:
        """Index an incident with what was found out about it."""
        text = f"{incident.title}. {' '.join(incident.entities)}. {summary}"
        self.put(
            [
                Document(
                    id=f"incident-{incident.id}",
                    tenant=incident.tenant,
                    kind="incident",
                    text=text[:20_000],
                    trust="platform",
                    source=f"incident:{incident.id}",
                    body=incident.model_dump(mode="json", exclude={"events"}),
                    at=incident.opened_at,
                )
            ]
        )

    def learn(self, lesson: Lesson) -> None:
        """Index a lesson. Lessons exist only of verified outcomes; the verdict itself stands in `worked`."""
        self.put(
            [
                Document(
                    id=f"lesson-{lesson.id}",
                    tenant=lesson.tenant,
                    kind="outcome",
                    text=f"{lesson.symptom} {lesson.fault_class} {lesson.target} {lesson.command_kind} {lesson.text}",
                    trust="platform",
                    source=f"command:{lesson.command}",
                    body=lesson.model_dump(mode="json"),
                    weight=lesson.weight,
                    at=lesson.at,
                )
            ]
        )

    def retrieve(
        self,
        tenant: TenantId,
        query: str,
        *,
        kinds: Sequence[DocumentKind] = (),
        budget_tokens: int = 2000,
        limit: int = 10,
    ) -> tuple[Found, ...]:
        """Return a tenant's documents by meaning and exact tokens, fused by rank, within a token budget."""
        near = dict(self._nearest(tenant, query))
        with self._database.read() as connection:
            exact = rows.matching(connection, tenant, rows.tokens_of(query), CANDIDATES)
            known = rows.load(connection, tenant, {*near, *(key for key, _ in exact)})
        scores: dict[str, float] = {}
        for place, key in enumerate(near):
            scores[key] = scores.get(key, 0.0) + 1.0 / (RRF + place)
        for place, (key, _) in enumerate(exact):
            scores[key] = scores.get(key, 0.0) + LEXICAL_WEIGHT / (RRF + place)
        ordered = sorted((k for k in scores if k in known), key=lambda k: (-scores[k], k))
        found = [Found(known[k], scores[k], near.get(k, 0.0)) for k in ordered if not kinds or known[k].kind in kinds]
        return _within(found[:limit], budget_tokens)

    def similar(self, tenant: TenantId, text: str, *, at: datetime, limit: int) -> tuple[PastOutcome, ...]:
        """Return verified outcomes of similar incidents, their weight decayed by age."""
        found = self.retrieve(tenant, text, kinds=("outcome",), limit=limit)
        return tuple(_outcome(f, at) for f in found if f.similarity >= MIN_SIMILARITY and f.document.at <= at)

    def rebuild(self, tenant: TenantId) -> int:
        """Build the tenant's collection anew from SQL and return how many documents it holds.

        Kept vectors are used as they are; only those of another embedding are computed again.
        """
        self._vectors.drop(tenant, self._embedder.name)
        with self._database.read() as connection:
            held = rows.vectors(connection, tenant)
            stale = [key for key, embedding, _, _ in held if embedding != self._embedder.name]
            again = rows.load(connection, tenant, stale)
        renewed = dict(zip(stale, self._embedder.embed([again[k].text for k in stale]), strict=True))
        if renewed:
            with self._database.begin() as connection:
                for key, vector in renewed.items():
                    rows.save(connection, again[key], self._embedder.name, vector)
        self._vectors.put(tenant, self._embedder.name, [(k, renewed.get(k, v)) for k, _, v, _ in held])
        return len(held)

    def probe(self) -> tuple[TenantId, ...]:
        """Ask each tenant's collection for a document it must know; rebuild and return those that could not answer."""
        with self._database.read() as connection:
            tenants = rows.tenants(connection)
        repaired: list[TenantId] = []
        for tenant in tenants:
            if not self._answers(tenant):
                self.rebuild(tenant)
                repaired.append(tenant)
        return tuple(repaired)

    def _answers(self, tenant: TenantId) -> bool:
        with self._database.read() as connection:
            held = rows.vectors(connection, tenant)
        if any(embedding != self._embedder.name for _, embedding, _, _ in held):
            return False
        try:
            # the last written is the one an unclean end loses
            probed = [held[0], held[-1]]
            return all(self._finds(tenant, key, vector) for key, _, vector, _ in probed)
        except Unavailable:
            return False

    def _finds(self, tenant: TenantId, key: str, vector: Sequence[float]) -> bool:
        found = self._vectors.nearest(tenant, self._embedder.name, vector, CANDIDATES)
        # equal texts have equal vectors: being as near as the nearest is enough
        return bool(found) and (found[0][1] > 1.0 - 1e-3 or key in dict(found))

    def _nearest(self, tenant: TenantId, query: str) -> list[tuple[str, float]]:
        vector = self._embedder.embed([query])[0]
        try:
            return self._vectors.nearest(tenant, self._embedder.name, vector, CANDIDATES)
        except Unavailable:
            self.rebuild(tenant)
            return self._vectors.nearest(tenant, self._embedder.name, vector, CANDIDATES)


def _message(event: Event) -> str:
    data = event.data if isinstance(event.data, dict) else {}
    message = data.get("message")
    return message if isinstance(message, str) else ""


def _template(tenant: TenantId, key: str, held: Sequence[Event], known: Document | None) -> Document:
    newest = max(held, key=lambda e: e.time)
    return Document(
        id=key,
        tenant=tenant,
        kind="template",
        text=mask(_message(newest))[:20_000],
        trust="untrusted",  # whoever logs chooses the words
        source=f"event:{newest.key}",
        body={"type": newest.type, "service": newest.dimensions.serviceid, "newest": newest.key},
        count=len(held) + (known.count if known is not None else 0),
        at=newest.time,
    )


def _outcome(found: Found, at: datetime) -> PastOutcome:
    lesson = Lesson.model_validate(found.document.body)
    age = max((at - lesson.at) / HALF_LIFE, 0.0)
    return PastOutcome(
        evidence=EvidenceId(""),
        incident=IncidentId(lesson.incident),
        similarity=min(max(found.similarity, 0.0), 1.0),
        fault_class=lesson.fault_class,
        command_kind=lesson.command_kind,
        worked=lesson.worked,
        weight=lesson.weight * 0.5**age,
        text=lesson.text[:500],
    )


def _within(found: Sequence[Found], budget_tokens: int) -> tuple[Found, ...]:
    left = budget_tokens * CHARS_PER_TOKEN
    kept: list[Found] = []
    for one in found:
        left -= len(one.document.text)
        if left < 0:
            break
        kept.append(one)
    return tuple(kept)
