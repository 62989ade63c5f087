"""Identity: principals with roles, event source keys, and the tokens they present.

There is no default password: the first start makes an administrator with a random token, returned once. Which check a
token failed is told to nobody. Every change of identity is audited on the platform's chain.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue
from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from domain.base import Frozen
from domain.errors import Broken, Conflict, Invalid, NotFound, Unauthenticated
from domain.ids import PLATFORM, PrincipalId, TenantId
from domain.ports import Clock, Entropy
from domain.principals import ANY, EventSourceKey, Principal, RoleGrant
from domain.reserved import reserved_id
from governance.audit import AuditEntry, AuditLog
from governance.tokens import lookup_of, matches, mint
from storage.engine import Database
from storage.tables.identity import principals, role_grants, source_keys, source_tenants, tokens

FIRST = PrincipalId("admin")
"""Id of the administrator that the first start makes."""
SYSTEM = PrincipalId("opsmesh")
"""Actor of what the program does by itself."""


class IssuedToken(Frozen):
    """A token in the clear, this once. `lookup` names it afterwards."""

    holder: PrincipalId
    token: str = Field(repr=False)
    lookup: str


class TokenInfo(Frozen):
    """What may be shown of a token."""

    lookup: str
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Principals:
    """The store of identities. Writers name the actor who asked for the change."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    def bootstrap(self) -> IssuedToken | None:
        """Make the first administrator if there is no principal yet; None when there is, also for a lost race."""
        roles: tuple[Literal["admin", "operator", "auditor", "proposer"], ...] = (
            "admin",
            "operator",
            "auditor",
            "proposer",
        )
        grants = tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in roles)
        first = Principal(id=FIRST, kind="person", name="Administrator", grants=grants)
        with self._database.begin() as connection:
            people = select(principals.c.id).where(principals.c.kind == "person").limit(1)
            if connection.execute(people).first() is not None or not self._insert_once(connection, first):
                return None
            self._note(connection, "principal.added", FIRST, SYSTEM, first.model_dump(mode="json"))
            return self._issue(connection, FIRST, SYSTEM)

    def add(self, principal: Principal, *, by: PrincipalId, expires_at: datetime | None = None) -> IssuedToken:
        """Store a principal and return its first token. Raises Conflict for a taken id, Invalid for a reserved one."""
        _check_free(principal.id)
        with self._database.begin() as connection:
            if _source(connection, principal.id) is not None or not self._insert_once(connection, principal):
                raise Conflict(f"the id {principal.id} is taken", reason="id_taken")
            self._note(connection, "principal.added", principal.id, by, principal.model_dump(mode="json"))
            return self._issue(connection, principal.id, by, expires_at=expires_at)

    def ensure(self, principal: Principal) -> None:
        """Store one of our own agents or workers, without any token, unless it is known already.

        Raises Broken where somebody else stands under its id: nothing may act in the name of a planted identity.
        """
        with self._database.begin() as connection:
            if self._insert_once(connection, principal):
                self._note(connection, "principal.added", principal.id, SYSTEM, principal.model_dump(mode="json"))
            elif wrong := self._planted(connection, principal):
                raise Broken(f"the identity {principal.id} is not our own: {wrong}", reason="identity_planted")

    def add_source(self, key: EventSourceKey, *, by: PrincipalId) -> IssuedToken:
        """Store an event source with the tenants it may speak for and return its token."""
        _check_free(key.id)
        if not key.tenants or ANY in key.tenants:
            raise Invalid("an event source speaks for named tenants, at least one", reason="source_without_tenant")
        now = self._clock.now()
        with self._database.begin() as connection:
            if find(connection, key.id) is not None:
                raise Conflict(f"the id {key.id} is taken", reason="id_taken")
            row = {"id": key.id, "source": key.source, "trust": key.trust, "created_at": now}
            try:
                connection.execute(source_keys.insert().values(**row))
            except IntegrityError as error:
                raise Conflict(f"the id {key.id} is taken", reason="id_taken") from error
            rows = [{"key": key.id, "tenant": t, "position": n} for n, t in enumerate(dict.fromkeys(key.tenants))]
            connection.execute(source_tenants.insert(), rows)
            self._note(connection, "source_key.added", key.id, by, key.model_dump(mode="json"))
            return self._issue(connection, key.id, by, source=True)

    def authenticate(self, token: str) -> Principal | EventSourceKey:
        """Return who holds a token. Raises Unauthenticated, the same for every cause, and Unavailable."""
        lookup = lookup_of(token)
        with self._database.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.lookup == (lookup or ""))).mappings().one_or_none()
            known = matches(token, None if row is None else bytes(row["secret_hash"]))
            if row is None or not known or row["revoked_at"] is not None or self._past(row["expires_at"]):
                raise Unauthenticated("the token does not count", reason="unauthenticated")
            if row["principal"] is not None:
                holder = find(connection, PrincipalId(row["principal"]))
                disabled = holder is None or holder.disabled_at is not None
            else:
                holder = _source(connection, row["source_key"])
                disabled = holder is None
        if holder is None or disabled:
            raise Unauthenticated("the token does not count", reason="unauthenticated")
        return holder

    def get(self, principal: PrincipalId) -> Principal:
        """Return a principal, disabled or not. Raises NotFound."""
        with self._database.read() as connection:
            found = find(connection, principal)
        if found is None:
            raise NotFound(f"no principal {principal}", reason="no_such_principal")
        return found

    def list(self) -> tuple[Principal, ...]:
        """Return every principal, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(principals.c.id).order_by(principals.c.id)).scalars().all()
            return tuple(found for one in rows if (found := find(connection, PrincipalId(one))) is not None)

    def sources(self) -> tuple[EventSourceKey, ...]:
        """Return every event source key that still counts, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(source_keys.c.id).order_by(source_keys.c.id)).scalars().all()
            return tuple(found for one in rows if (found := _source(connection, one)) is not None)

    def set_grants(self, principal: PrincipalId, grants: Sequence[RoleGrant], *, by: PrincipalId) -> Principal:
        """Replace all roles of a principal. Raises NotFound, and Invalid for an approving role of an agent."""
        with self._database.begin() as connection:
            before = self._locked(connection, principal)
            try:
                after = Principal.model_validate({**before.model_dump(), "grants": tuple(grants)})
            except ValueError as error:
                raise Invalid("an agent cannot hold an approving role", reason="agent_approver") from error
            connection.execute(delete(role_grants).where(role_grants.c.principal == principal))
            _insert_grants(connection, after)
            changed = after.model_dump(mode="json", include={"grants"})
            self._note(connection, "principal.grants_set", principal, by, changed)
            return after

    def disable(self, holder: PrincipalId, *, by: PrincipalId) -> None:
        """Make a principal or source key count no longer, from the next check on. Raises NotFound."""
        now = self._clock.now()
        with self._database.begin() as connection:
            for table in (principals, source_keys):
                still = table.c.disabled_at.is_(None)
                statement = update(table).where(table.c.id == holder, still).values(disabled_at=now)
                if connection.execute(statement).rowcount:
                    self._note(connection, "principal.disabled", holder, by, {})
                    return
            raise NotFound(f"nobody enabled has the id {holder}", reason="no_such_principal")

    def issue(self, holder: PrincipalId, *, by: PrincipalId, expires_at: datetime | None = None) -> IssuedToken:
        """Return one more token for a principal or source key. Raises NotFound."""
        with self._database.begin() as connection:
            source = _source(connection, holder) is not None
            if not source and find(connection, holder) is None:
                raise NotFound(f"nobody has the id {holder}", reason="no_such_principal")
            return self._issue(connection, holder, by, source=source, expires_at=expires_at)

    def revoke(self, lookup: str, *, by: PrincipalId) -> None:
        """Make one token count no longer. Raises NotFound."""
        now = self._clock.now()
        with self._database.begin() as connection:
            known = (tokens.c.lookup == lookup) & tokens.c.revoked_at.is_(None)
            if connection.execute(update(tokens).where(known).values(revoked_at=now)).rowcount == 0:
                raise NotFound(f"no valid token {lookup}", reason="no_such_token")
            self._note(connection, "token.revoked", lookup, by, {})

    def tokens_of(self, holder: PrincipalId) -> tuple[TokenInfo, ...]:
        """Return what may be shown of a holder's tokens, oldest first."""
        shown = [tokens.c[name] for name in TokenInfo.model_fields]
        whose = or_(tokens.c.principal == holder, tokens.c.source_key == holder)
        with self._database.read() as connection:
            rows = connection.execute(select(*shown).where(whose).order_by(tokens.c.issued_at)).mappings()
            return tuple(TokenInfo.model_validate(dict(row)) for row in rows)

    def _planted(self, connection: Connection, ours: Principal) -> str | None:
        """Return what shows that a stored identity is not the one we made, or None."""
        there = find(connection, ours.id)
        if there is None or there.kind != ours.kind:
            return "it is of another kind"
        if not reserved_id(ours.id):
            return None
        if not set(there.grants) <= set(ours.grants):
            return "it holds other roles"
        held = (tokens.c.principal == ours.id) & tokens.c.revoked_at.is_(None)
        return None if connection.execute(select(tokens.c.lookup).where(held)).first() is None else "it holds a token"

    def _insert_once(self, connection: Connection, principal: Principal) -> bool:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {**principal.model_dump(include={"id", "kind", "name"}), "created_at": self._clock.now()}
        statement = insert(principals).values(**row).on_conflict_do_nothing(index_elements=[principals.c.id])
        if connection.execute(statement.returning(principals.c.id)).first() is None:
            return False
        _insert_grants(connection, principal)
        return True

    def _issue(
        self,
        connection: Connection,
        holder: PrincipalId,
        by: PrincipalId,
        *,
        source: bool = False,
        expires_at: datetime | None = None,
    ) -> IssuedToken:
        minted = mint(self._entropy)
        row = {"lookup": minted.lookup, "secret_hash": minted.secret_hash, "expires_at": expires_at}
        owner = {"source_key" if source else "principal": holder}
        connection.execute(tokens.insert().values(**row, **owner, issued_at=self._clock.now()))
        self._note(connection, "token.issued", minted.lookup, by, {"holder": holder})
        return IssuedToken(holder=holder, token=minted.token, lookup=minted.lookup)

    def _locked(self, connection: Connection, principal: PrincipalId) -> Principal:
        connection.execute(select(principals.c.id).where(principals.c.id == principal).with_for_update())
        found = find(connection, principal)
        if found is None:
            raise NotFound(f"no principal {principal}", reason="no_such_principal")
        return found

    def _past(self, instant: datetime | None) -> bool:
        return instant is not None and instant <= self._clock.now()

    def _note(
        self, connection: Connection, action: str, subject: str, by: PrincipalId, body: dict[str, JsonValue]
    ) -> None:
        entry = AuditEntry(tenant=PLATFORM, action=action, subject=subject, actor=by, body=body)
        self._audit.append(connection, entry)


def _check_free(name: str) -> None:
    if reserved_id(name):
        raise Invalid("ids of the platform's own parts are reserved", reason="reserved_id")


def find(connection: Connection, principal: PrincipalId) -> Principal | None:
    """Return a principal as it stands now, for checks inside a transaction; None when there is none."""
    row = connection.execute(select(principals).where(principals.c.id == principal)).mappings().one_or_none()
    if row is None:
        return None
    grants = connection.execute(
        select(role_grants.c.role, role_grants.c.tenant, role_grants.c.environment)
        .where(role_grants.c.principal == principal)
        .order_by(role_grants.c.role, role_grants.c.tenant, role_grants.c.environment)
    ).mappings()
    fields = {name: row[name] for name in ("id", "kind", "name", "disabled_at")}
    return Principal.model_validate({**fields, "grants": tuple(dict(grant) for grant in grants)})


def _source(connection: Connection, key: str) -> EventSourceKey | None:
    known = select(source_keys).where(source_keys.c.id == key, source_keys.c.disabled_at.is_(None))
    row = connection.execute(known).mappings().one_or_none()
    if row is None:
        return None
    statement = select(source_tenants.c.tenant).where(source_tenants.c.key == key).order_by(source_tenants.c.position)
    tenants = tuple(TenantId(tenant) for tenant in connection.execute(statement).scalars())
    return EventSourceKey(id=PrincipalId(key), source=row["source"], tenants=tenants, trust=row["trust"])


def _insert_grants(connection: Connection, principal: Principal) -> None:
    rows = [{"principal": principal.id, **grant.model_dump()} for grant in dict.fromkeys(principal.grants)]
    if rows:
        connection.execute(role_grants.insert(), rows)
