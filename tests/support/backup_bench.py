"""The small environment with two data stores in memory, the runtime over it, and what it takes to restore over HTTP."""

from dataclasses import dataclass
from datetime import timedelta

from domain.commands import Proposal
from domain.desired import DataStoreState
from domain.ids import PLATFORM, TenantId
from domain.topology import DataStore, EntityRef
from runtime.planes import Planes
from runtime.services.backup.points import Points
from runtime.services.backup.schedule import Schedule
from runtime.stores.load import drafts
from runtime.stores.memory import MemoryStores
from runtime.stores.ports import Store
from runtime.targets.memory import MemoryTarget
from tests.support.runtime_bench import EXECUTOR, PROD, START, Bench, make_bench
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY
from tools.actions import bind_actions

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
OWN, SHARED = "shop-db", "auth-db"
OWNERS = {OWN: ACME, SHARED: TenantId(PLATFORM)}
TOOL = {"restore_point": "backup", "restore": "restore", "operation": "cancel"}
WRITES_TO = {ACME: (OWN, SHARED), GLOBEX: (SHARED,)}


def target(_clock):
    stores = tuple(
        DataStore(id=name, tenant=tenant, engine="postgres", region="west") for name, tenant in OWNERS.items()
    )
    state = STATE.model_copy(update={"data_stores": {name: DataStoreState() for name in OWNERS}})
    return MemoryTarget(TOPOLOGY.model_copy(update={"data_stores": stores}), state)


@dataclass
class BackupBench:
    bench: Bench
    memory: MemoryStores

    @property
    def parts(self):
        return self.bench.services.parts

    @property
    def points(self):
        return Points(self.parts)

    @property
    def schedule(self):
        return Schedule(self.parts)

    def http(self, token="person-token"):
        return self.bench.http(token)

    def live(self, **span):
        """Move time on; both tenants' applications write as the simulated ones do."""
        since, until = self.bench.clock.now(), self.bench.clock.now() + timedelta(**span)
        after_s, until_s = ((at - START).total_seconds() for at in (since, until))
        made = [d for tenant, stores in WRITES_TO.items() for d in drafts(3, tenant, stores, after_s, until_s)]
        for draft in sorted(made, key=lambda d: d.at_s):
            self.bench.clock.move_to(START + timedelta(seconds=draft.at_s))
            self.memory.commit(draft.tenant, *draft.legs)
        self.bench.clock.move_to(until)

    async def granted(self, kind, tenant=ACME, **arguments):
        """Have a command of the kind decided and carried out; return the operation's id."""
        return (await self.commanded(kind, tenant, **arguments))[2]

    async def commanded(self, kind, tenant=ACME, **arguments):
        """The same, with the tool and the command: (tool, command, operation's id)."""
        arguments = {"tenant": tenant, **arguments} if kind != "operation.cancel" else arguments
        about = next((k, arguments[k]) for k in ("restore_point", "operation", "tenant") if k in arguments)
        proposal = Proposal(
            kind=kind, arguments=arguments, target=EntityRef(kind=about[0], id=about[1]),
            tenant=tenant, environment=PROD, proposer="sre", rationale="because",
        )  # fmt: skip
        tool = bind_actions(self.bench.client)[TOOL[kind.partition(".")[0]]]
        command = self.bench.command(proposal, await tool.plan(proposal, at=self.bench.clock.now()))
        receipt = await tool.apply(command, grant=self.bench.issuer.grant(command))
        return tool, command, receipt.operation

    async def seen(self, operation, tenant=ACME):
        """Return the operation as its tenant is shown it."""
        async with self.http(EXECUTOR) as http:
            answer = await http.get(
                f"/runtime/environments/{PROD}/operations/{operation}", headers={"Opsmesh-Tenant": tenant}
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ended(self, operation, tenant=ACME):
        """Let the runtime follow until the operation ends; return its progress."""
        for _ in range(100):
            seen = await self.seen(operation, tenant)
            if seen["progress"]["status"] not in {"accepted", "running"}:
                return seen["progress"]
            self.live(seconds=30)
            await self.bench.services.convergence.reconcile()
        raise AssertionError(f"{operation} does not end: {seen['progress']}")

    async def point(self, tenant=ACME, **arguments):
        """Take a point and return its manifest."""
        operation = await self.granted("restore_point.create", tenant, **arguments)
        progress = await self.ended(operation, tenant)
        assert progress["status"] == "done", progress
        return self.points.find(PROD, tenant, operation)

    async def contents(self, tenant, seq=None):
        """Return every store's rows of a tenant at one cut."""
        seq = (await self.memory.barrier(tenant)).seq if seq is None else seq
        return {s.id: await self.memory.content(s.id, tenant, seq) for s in await self.memory.stores(tenant)}

    async def close(self):
        await self.bench.client.http.aclose()
        self.bench.services.database.close()


async def backup_bench(folder, wrap=lambda plane: plane, **options) -> BackupBench:
    """A runtime over stores that were written to for two hours; `wrap` damages the plane that it sees."""
    from mesh.time import VirtualClock

    clock = VirtualClock(START)
    memory = MemoryStores(clock, [Store(name, tenant, "west", None) for name, tenant in OWNERS.items()])
    bench = await make_bench(folder, target, TENANTS, clock=clock, planes=Planes(stores=wrap(memory)), **options)
    place = BackupBench(bench, memory)
    place.live(hours=2)
    return place
