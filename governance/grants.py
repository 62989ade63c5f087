"""Grants: one signed permission for one effect, shown at the runtime's door and good for nothing else.

An EdDSA token (RFC 8037) bound to digest, preview, tenant, environment, idempotency key and fencing number. It ends
with the lease at the latest, so a stale worker's grant is dead before anybody takes its command over. Issued behind
the gate: once a kill switch has answered, no further grant leaves.
"""

from datetime import datetime, timedelta

import jwt
from sqlalchemy import Connection, select

from domain.changes import preview_digest
from domain.commands import CommandRecord, State
from domain.decisions import GRANT_AUDIENCE, GRANT_ISSUER, GrantClaims
from domain.errors import Refused
from domain.ids import CommandId, TenantId
from domain.ports import Clock, CrashPoints, Ids
from governance.gate import share_gate
from governance.keys import KeyRing, public_pem
from governance.records import load
from governance.steps import Steps
from governance.switches import blocks, engaged
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.governance import commands, grants

LIFETIME_S = 60.0
"""Twice the longest time limit of a tool call (30 s): covers one apply and nothing more."""


class Grants:
    """Signs one grant per claim."""

    def __init__(
        self, database: Database, steps: Steps, keys: KeyRing, clock: Clock, ids: Ids, crash: CrashPoints
    ) -> None:
        self._database = database
        self._steps = steps
        self._key = keys.signing_key("grants")
        self._clock = clock
        self._ids = ids
        self._crash = crash

    @property
    def public_key_pem(self) -> bytes:
        """The key by which the runtime verifies."""
        return public_pem(self._key)

    def issue(self, tenant: TenantId, command: CommandId, *, fencing: int) -> str:
        """Return a claimed command's token, once; Refused unless it is EXECUTING in the caller's hands."""
        with self._database.begin() as connection:
            share_gate(connection)
            record = load(connection, tenant, command, lock=True)
            now = self._clock.now()
            claims = self._claims(record, self._until(connection, record, fencing, now))
            row = {
                "command": command,
                "fencing": fencing,
                "jti": claims.jti,
                "tenant": tenant,
                "issued_at": now,
                "expires_at": claims.expires_at,
            }
            if not insert_once(connection, grants, row):
                raise Refused("a grant was issued for this claim before", reason="grant_used")
            token = self._sign(claims, now)
            worker = connection.execute(select(commands.c.worker).where(commands.c.id == command)).scalar_one()
            self._steps.note(connection, record, "grant.issued", worker, claims.model_dump(mode="json"))
            self._crash.reach("grant.before_commit", command=command)
        return token

    @staticmethod
    def _until(connection: Connection, record: CommandRecord, fencing: int, now: datetime) -> datetime:
        """Return when the grant ends, or refuse it."""
        if record.fencing != fencing or record.lease_until is None:
            raise Refused(f"fenced: command {record.command.id} is in other hands", reason="fenced")
        if record.state is not State.EXECUTING:
            raise Refused(f"command {record.command.id} is {record.state}, not executing", reason="not_executing")
        until = min(record.lease_until, record.command.expires_at, now + timedelta(seconds=LIFETIME_S))
        if until <= now:
            raise Refused("the lease or the command has ended", reason="lease_ended")
        if now < max(record.updated_at, record.command.proposed_at):
            raise Refused("the clock is behind the command's own record", reason="clock_doubtful")
        if stop := blocks(engaged(connection), record.command):
            raise Refused(stop, reason="kill_switch")
        return until

    def _claims(self, record: CommandRecord, until: datetime) -> GrantClaims:
        command = record.command
        return GrantClaims(
            jti=self._ids.ulid(),
            command=command.id,
            digest=record.digest,
            preview_digest=preview_digest(command.preview),
            tenant=command.tenant,
            environment=command.environment,
            idempotency_key=command.idempotency_key,
            fencing=record.fencing or 0,
            expires_at=until,
        )

    def _sign(self, claims: GrantClaims, now: datetime) -> str:
        payload = {
            **claims.model_dump(mode="json"),
            "iss": GRANT_ISSUER,
            "aud": GRANT_AUDIENCE,
            "sub": claims.command,
            "iat": int(now.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        return jwt.encode(payload, self._key, algorithm="EdDSA")
