"""Archive of policy sets and facts by digest, so that any decision can be made again years later.

Both are written in the transaction of the decision they belong to and never updated. Replay parses the stored texts
and compares: another answer from the same digests means that the store or the engine is not what it was.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.base import Digest, Frozen
from domain.commands import Command
from domain.decisions import Decision
from domain.errors import Broken, NotFound
from domain.ids import TenantId
from governance.facts import Facts
from governance.policy import PolicySet
from storage.tables.policy import facts_snapshots, policy_sets


class PolicyTexts(Frozen):
    """A policy set as stored."""

    files: dict[str, str]
    schema_text: str


class Replay(Frozen):
    """A decision made again beside the one on record."""

    recorded: Decision
    again: Decision

    @property
    def same(self) -> bool:
        """Effect, reasons, digests, instant and ask are all equal."""
        return self.recorded == self.again


def keep(connection: Connection, policies: PolicySet, facts: Facts, at: datetime) -> None:
    """File the policy set and the facts of a decision, once each, in the decision's own transaction."""
    texts = PolicyTexts(files=policies.files, schema_text=policies.schema)
    _insert_once(
        connection, policy_sets, {"digest": policies.digest, "body": texts.model_dump(mode="json"), "stored_at": at}
    )
    body = facts.model_dump(mode="json")
    row = {"tenant": facts.tenant, "digest": facts.digest, "body": body, "stored_at": at}
    _insert_once(connection, facts_snapshots, row)


def stored_policies(connection: Connection, digest: Digest) -> PolicySet:
    """Return the policy set of a digest. Raises NotFound, and Broken when the texts do not have that digest."""
    body = connection.execute(select(policy_sets.c.body).where(policy_sets.c.digest == digest)).scalar_one_or_none()
    if body is None:
        raise NotFound(f"no policy set {digest}", reason="no_such_policy_set")
    texts = PolicyTexts.model_validate(body)
    found = PolicySet(texts.files, texts.schema_text)
    if found.digest != digest:
        raise Broken(f"the stored texts of policy set {digest} are not what they were", reason="policy_tampered")
    return found


def stored_facts(connection: Connection, tenant: TenantId, digest: Digest) -> Facts:
    """Return the facts of a digest within a tenant. Raises NotFound, and Broken when they were changed."""
    place = (facts_snapshots.c.tenant == tenant) & (facts_snapshots.c.digest == digest)
    body = connection.execute(select(facts_snapshots.c.body).where(place)).scalar_one_or_none()
    if body is None:
        raise NotFound(f"no facts {digest}", reason="no_such_facts")
    try:
        facts = Facts.model_validate(body)
    except ValidationError as error:
        raise Broken(f"the stored facts {digest} are not what they were", reason="facts_tampered") from error
    if facts.digest != digest:
        raise Broken(f"the stored facts {digest} are not what they were", reason="facts_tampered")
    return facts


def replay(connection: Connection, command: Command, recorded: Decision) -> Replay:
    """Decide again from the archive alone. Raises NotFound and Broken."""
    policies = stored_policies(connection, recorded.policy_digest)
    facts = stored_facts(connection, command.tenant, recorded.facts_digest)
    return Replay(recorded=recorded, again=policies.decide(command, facts))


def _insert_once(connection: Connection, table: Table, row: Mapping[str, object]) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(**row).on_conflict_do_nothing())
