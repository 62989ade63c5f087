"""A runtime over either embedded target, with a grant issuer and principals, for tests of door and tools.

Everything is real but the target's world (when in memory), the clock and whoever authenticates.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.changes import preview_digest
from domain.commands import Command, Proposal
from domain.decisions import GRANT_AUDIENCE, GRANT_ISSUER, GrantClaims
from domain.errors import Unauthenticated
from domain.ids import PLATFORM, CommandId, EnvironmentId, PrincipalId, TenantId
from domain.outcomes import ActionPlan
from domain.principals import Principal, RoleGrant
from domain.tenancy import Residency, RuntimeTenantBinding
from governance.policy import PolicySet
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime.api.app import build_runtime_app
from runtime.assembly import runtime_services
from runtime.engine.embedded import EmbeddedEngine
from runtime.parts import RuntimeParts, RuntimeServices
from runtime.planes import Planes
from storage.engine import Database
from tools.client import Limits, RuntimeClient

PROD = EnvironmentId("prod")
START = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
STANDARD = {"iss": GRANT_ISSUER, "aud": GRANT_AUDIENCE}
EXECUTOR = "executor-token"
SHIPPED_CONTROLS = PolicySet.load().controls


def binding(tenant: str) -> RuntimeTenantBinding:
    return RuntimeTenantBinding(
        tenant=TenantId(tenant),
        environment=PROD,
        isolation="pooled",
        residency=Residency(allowed_regions=("west",)),
        primary_region="west",
        budget_usd_per_month=1000.0,
    )


def principal(name, *roles, kind="person"):
    grants = tuple(RoleGrant(role=role, tenant=TenantId(tenant)) for role, tenant in roles)
    return Principal(id=PrincipalId(name), kind=kind, name=name, grants=grants)


class Tokens:
    def __init__(self, held):
        self.held = held

    def authenticate(self, token):
        if token not in self.held:
            raise Unauthenticated("unknown token")
        return self.held[token]


class Proposals:
    """Takes proposed writes; the same key gets the same address."""

    def __init__(self):
        self.taken: dict[str, Proposal] = {}
        self.plans: dict[str, tuple[Proposal, ...]] = {}

    async def propose(self, proposal, *, idempotency_key):
        self.taken.setdefault(idempotency_key, proposal)
        return f"/commands/{idempotency_key}"

    async def propose_plan(self, proposals, *, window, compensate_in, idempotency_key):
        self.plans.setdefault(idempotency_key, tuple(proposals))
        return f"/plans/{idempotency_key}"


class Told:
    """Keeps what services and workers tell: (tenant, event), in order."""

    def __init__(self):
        self.events = []

    def tell(self, tenant, event):
        self.events.append((tenant, event))


class NoCrash:
    def reach(self, point, **context):
        pass


@dataclass
class Issuer:
    """Signs grants as governance does."""

    clock: VirtualClock
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    issued: int = 0

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def grant(self, command: Command, **changed) -> str:
        self.issued += 1
        claims = {
            "jti": f"grant-{self.issued}",
            "command": command.id,
            "digest": command.digest,
            "preview_digest": preview_digest(command.preview),
            "tenant": command.tenant,
            "environment": command.environment,
            "idempotency_key": command.idempotency_key,
            "fencing": self.issued,
            "expires_at": self.clock.now() + timedelta(minutes=5),
        } | changed
        return self.sign(GrantClaims.model_validate(claims))

    def sign(self, claims: GrantClaims, **extra) -> str:
        return jwt.encode({**claims.model_dump(mode="json"), **STANDARD, **extra}, self.key, algorithm="EdDSA")


@dataclass
class Bench:
    """One runtime under test with everything around it."""

    target: object
    services: RuntimeServices
    clock: VirtualClock
    issuer: Issuer
    proposals: Proposals
    client: RuntimeClient
    app: object
    told: Told
    commands: int = 0

    def http(self, token="person-token"):
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://runtime",
            headers={"Authorization": f"Bearer {token}"},
        )

    def command(self, proposal: Proposal, plan: ActionPlan, **changed) -> Command:
        self.commands += 1
        fields = {
            "id": CommandId(f"cmd-{self.commands}"),
            "kind": proposal.kind,
            "arguments": proposal.arguments,
            "target": proposal.target,
            "tenant": proposal.tenant,
            "environment": proposal.environment,
            "proposer": proposal.proposer,
            "preview": plan.preview,
            "patches": plan.patches,
            "inverse": plan.inverse,
            "preconditions": plan.preconditions,
            "affected": plan.affected,
            "expires_at": self.clock.now() + timedelta(hours=1),
            "idempotency_key": f"key-{self.commands}",
            "proposed_at": self.clock.now(),
        } | changed
        return Command.model_validate(fields)


async def no_pause(_seconds):
    pass


async def make_bench(
    folder: Path, make_target, tenants, clock=None, transport=None, url=None, planes=None, people=None
) -> Bench:
    clock = clock or VirtualClock(START)
    issuer, proposals = Issuer(clock), Proposals()
    target = make_target(clock)
    held = {
        EXECUTOR: principal("executor", ("operator", "*"), kind="service"),
        "viewer-token": principal("viewer", ("viewer", "acme")),
        "person-token": principal("ana", ("proposer", "acme")),
        "globex-token": principal("gus", ("proposer", "globex")),
    } | (people or {})
    told = Told()
    parts = RuntimeParts(
        database=Database(url or f"sqlite:///{folder / 'runtime.db'}"),
        clock=clock,
        ids=UlidIds(clock, seed=1),
        entropy=OsEntropy(),
        target=target,
        planes=planes or Planes(),
        home=folder / "runtime",
        tell=told,
        controls=lambda: SHIPPED_CONTROLS,
    )
    services = runtime_services(
        parts,
        crash=NoCrash(),
        engine=EmbeddedEngine(target, clock),
        authenticator=Tokens(held),
        proposals=proposals,
        grant_keys=[issuer.public],
    )
    await services.register(PROD, tenants)
    app = build_runtime_app(services)
    asgi = httpx.ASGITransport(app=app)
    http = httpx.AsyncClient(transport=transport(asgi) if transport else asgi, base_url="http://runtime")
    client = RuntimeClient(http=http, token=EXECUTOR, tenant=PLATFORM, limits=Limits(), pause=no_pause)
    return Bench(target, services, clock, issuer, proposals, client, app, told)
