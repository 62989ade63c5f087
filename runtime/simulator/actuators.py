"""The only hands on the world: desired state is compared with what runs, and differences take effect with their lag.

Everything is idempotent: applying the same state twice changes nothing, and an operation id is carried out once.
"""

import numpy as np
from pydantic import JsonValue

from domain.catalogue import ConfigChanged, DeploymentChanged, LogObserved, ScalingChanged
from domain.desired import DataStoreState, EnvironmentState, NodePoolState, ServiceState, TenantState
from domain.errors import Invalid
from domain.policies import RunHours, ScalingPolicy
from runtime.simulator.hours import Hours
from runtime.simulator.journal import ExternalChange
from runtime.simulator.live import ROLLOUT_WAVES, Rollout
from runtime.simulator.pricing import SKUS
from runtime.simulator.world import SOURCE, World

# A restarted process starts with a cold in-process cache; a rolling restart keeps part of the fleet warm meanwhile.
COLD_AFTER_RESTART = 0.6


def apply_desired(world: World, state: EnvironmentState, operation: str, *, actor: str = "platform") -> int:
    """Make the world's targets those of `state`; returns how many resources changed (0 when already so or done before).

    The document is complete: what other actors wrote must have been folded in (`Journal.drain_external`) before.
    Services the world does not have raise Invalid, services missing from the document are left alone.
    """
    unknown = set(state.services) - set(world.live.services)
    if unknown:
        raise Invalid(f"no such service in this world: {', '.join(sorted(unknown))}", reason="unknown_service")
    if operation in world.effects:
        return 0
    world.effects[operation] = 1
    world.schedule.append(
        (world.elapsed_s, "apply", {"state": _difference(world, state), "operation": operation, "actor": actor})
    )
    changed = 0
    for service, wanted in state.services.items():
        if wanted != world.live.services[service]:
            set_service(world, service, wanted, actor)
            changed += 1
    changed += sum(_set_tenant(world, tenant, wanted) for tenant, wanted in state.tenants.items())
    changed += sum(_set_pool(world, pool, wanted, actor) for pool, wanted in state.node_pools.items())
    changed += sum(_set_store(world, store, wanted, actor) for store, wanted in state.data_stores.items())
    return changed


def _difference(world: World, state: EnvironmentState) -> JsonValue:
    services = {k: v for k, v in state.services.items() if v != world.live.services[k]}
    return state.model_copy(update={"services": services}).model_dump(mode="json")


def restart(world: World, service: str, operation: str, *, actor: str = "platform") -> bool:
    """Rolling restart; False when this operation id was carried out before."""
    columns = world.layout.columns(service)
    if operation in world.effects:
        return False
    world.schedule.append((world.elapsed_s, "restart", {"service": service, "operation": operation, "actor": actor}))
    world.effects[operation] = 1
    world.cluster.restart(columns, world.elapsed_s)
    world.crashes.restarted(service, world.elapsed_s)
    _fresh_processes(world, columns)
    world.state.cache_hit[columns] *= COLD_AFTER_RESTART
    world.note(f"service/{service}", "deployment", None, "restart", actor, f"{service} restarted")
    return True


def write_externally(world: World, path: tuple[str, ...], after: JsonValue, actor: str) -> None:
    """A release pipeline or a team writes one field and the platform carries it out.

    The write is also queued for the desired-state document: others change it too, and that is no drift.
    """
    before = write_by_hand(world, path, after, actor)
    world.journal.external.append(ExternalChange(at=world.now, path=path, before=before, after=after, actor=actor))


def write_by_hand(world: World, path: tuple[str, ...], after: JsonValue, actor: str) -> JsonValue:
    """Somebody changes one field of what runs, past the document; returns what it was before."""
    section, name = path[0], path[1]
    document = world.environment_state().model_dump(mode="json", include={section: {name}})
    node = document[section][name]
    for key in path[2:-1]:
        node = node[key]
    before = node.get(path[-1])
    node[path[-1]] = after
    state = EnvironmentState.model_validate(document)
    match section:
        case "services":
            set_service(world, name, state.services[name], actor)
        case "node_pools":
            _set_pool(world, name, state.node_pools[name], actor)
        case "data_stores":
            _set_store(world, name, state.data_stores[name], actor)
        case _:
            _set_tenant(world, name, state.tenants[name], actor)
    return before


def set_service(world: World, service: str, wanted: ServiceState, actor: str) -> None:
    """Carry out every difference between what a service is and what it shall be."""
    before = world.live.services[service]
    columns = world.layout.columns(service)
    world.live.set(service, wanted)
    if wanted.version != before.version:
        _roll_out(world, service, before.version, wanted, actor)
    _set_traffic(world, service, before, wanted, actor)
    if (wanted.cpu_millicores, wanted.memory_mib) != (before.cpu_millicores, before.memory_mib):
        world.cluster.restart(columns, world.elapsed_s)
        _fresh_processes(world, columns)
        text = f"{service} resized to {wanted.cpu_millicores}m / {wanted.memory_mib} MiB"
        world.note(f"service/{service}", "config", before.cpu_millicores, wanted.cpu_millicores, actor, text)
    for key in sorted(set(before.config) | set(wanted.config)):
        if before.config.get(key) != wanted.config.get(key):
            _tell_config(world, service, key, before.config.get(key), wanted.config.get(key), actor)
    owned = wanted.scaling is not None and wanted.scaling.enabled
    if not owned and (wanted.replicas != before.replicas or before.scaling != wanted.scaling):
        _set_replicas(world, service, columns, wanted.replicas, actor)
    if wanted.scaling != before.scaling:
        was, now = _json(before.scaling), _json(wanted.scaling)
        world.note(f"service/{service}", "policy", was, now, actor, f"{service} scaling policy changed")
    _set_rules(world, service, before, wanted, actor)


def _set_rules(world: World, service: str, before: ServiceState, wanted: ServiceState, actor: str) -> None:
    columns = world.layout.columns(service)
    if wanted.schedule != before.schedule:
        world.processes["hours"] = Hours(world)
        was, now = _json(before.schedule), _json(wanted.schedule)
        world.note(f"service/{service}", "policy", was, now, actor, f"{service} hours changed")
    if wanted.ingress_from != before.ingress_from:
        was, now = list[JsonValue](before.ingress_from), list[JsonValue](wanted.ingress_from)
        world.note(f"service/{service}", "policy", was, now, actor, f"{service} ingress rules changed")
    if wanted.pod != before.pod:
        was, now = before.pod.model_dump(mode="json"), wanted.pod.model_dump(mode="json")
        world.note(f"service/{service}", "policy", was, now, actor, f"{service} pod security changed")
    if wanted.serves_tls != before.serves_tls:
        text = f"{service} TLS {'on' if wanted.serves_tls else 'off'}"
        world.note(f"service/{service}", "policy", before.serves_tls, wanted.serves_tls, actor, text)
    if wanted.zone_spread != before.zone_spread:
        world.cluster.set_spread(columns, spread=wanted.zone_spread)
        text = f"{service} zone spread {'on' if wanted.zone_spread else 'off'}"
        world.note(f"service/{service}", "policy", before.zone_spread, wanted.zone_spread, actor, text)


def _set_traffic(world: World, service: str, before: ServiceState, wanted: ServiceState, actor: str) -> None:
    spec = world.layout.services[world.layout.service_index[service]]
    if (wanted.traffic, wanted.split) != (before.traffic, before.split):
        startup_s = spec.startup_s * world.spec.laws.startup_factor
        world.traffic.set(service, wanted, world.elapsed_s, startup_s)
    if wanted.split != before.split:
        was, now = (None if s is None else s.model_dump(mode="json") for s in (before.split, wanted.split))
        text = f"{service} split between versions changed"
        world.note(f"service/{service}", "policy", was, now, actor, text)
    if wanted.traffic != before.traffic:
        was, now = before.traffic.model_dump(mode="json"), wanted.traffic.model_dump(mode="json")
        world.note(f"service/{service}", "policy", was, now, actor, f"{service} traffic policy changed")


def _json(policy: ScalingPolicy | RunHours | None) -> JsonValue:
    return None if policy is None else policy.model_dump(mode="json")


def _roll_out(world: World, service: str, before: str, wanted: ServiceState, actor: str) -> None:
    """Replace replicas in waves; where the version is up beside the other one, requests are led there at once."""
    spec, after = world.layout.services[world.layout.service_index[service]], wanted.version
    columns = world.layout.columns(service)
    warm = world.traffic.splits.swap(service, before, wanted, world.elapsed_s, world.state.leaked_mib[columns].copy())
    lasts = 0.0 if warm is not None else ROLLOUT_WAVES * spec.startup_s * world.spec.laws.startup_factor
    world.live.rollouts[service] = Rollout(before, after, world.elapsed_s, world.elapsed_s + lasts)
    world.crashes.watch(world.live, service, world.elapsed_s, lasts / ROLLOUT_WAVES)
    _fresh_processes(world, columns)
    if warm is not None:
        world.state.leaked_mib[columns] = warm
    world.note(f"service/{service}", "deployment", before, after, actor, f"{service} {before} -> {after}")
    for phase, at_s in (("started", world.elapsed_s), ("finished", world.elapsed_s + lasts)):
        world.journal.emit(
            tenant=spec.tenant, source=f"{SOURCE}/releases", kind="runtime.deployment.changed.v1",
            subject=f"service/{service}", at=world.instant(at_s), deliver_s=at_s,
            data=DeploymentChanged.model_validate({
                "service": service, "version": after, "previous_version": before, "phase": phase, "actor": actor,
            }),
        )  # fmt: skip


def _tell_config(world: World, service: str, key: str, before: str | None, after: str | None, actor: str) -> None:
    spec = world.layout.services[world.layout.service_index[service]]
    world.note(
        f"service/{service}", "config", {"key": key, "value": before}, {"key": key, "value": after}, actor,
        f"{service} {key}: {before} -> {after}",
    )  # fmt: skip
    world.journal.emit(
        tenant=spec.tenant, source=f"{SOURCE}/config", kind="runtime.config.changed.v1", subject=f"service/{service}",
        at=world.now, deliver_s=world.elapsed_s,
        data=ConfigChanged(service=service, key=key, before=before, after=after, actor=actor),
    )  # fmt: skip


def _set_replicas(world: World, service: str, columns: list[int], replicas: int, actor: str) -> None:
    was = int(world.cluster.desired[columns].sum())
    world.cluster.desired = world.cluster.desired.copy()
    world.cluster.desired[columns] = float(replicas)
    world.cluster.dirty = True
    now = replicas * len(columns)
    if was == now:
        return
    spec = world.layout.services[world.layout.service_index[service]]
    world.note(f"service/{service}", "scaling", was, now, actor, f"{service} {was} -> {now} replicas")
    world.journal.emit(
        tenant=spec.tenant, source=f"{SOURCE}/scaling", kind="runtime.scaling.changed.v1",
        subject=f"service/{service}", at=world.now, deliver_s=world.elapsed_s,
        data=ScalingChanged(service=service, replicas_before=was, replicas_after=now, actor=actor, reason="set"),
    )  # fmt: skip


def _fresh_processes(world: World, columns: list[int]) -> None:
    world.state.leaked_mib[columns] = 0.0
    world.state.leaked_slots[columns] = 0.0
    world.live.renew(columns)


def _set_tenant(world: World, tenant: str, wanted: TenantState, actor: str = "platform") -> bool:
    column = world.tenant_column(tenant)
    before = world.environment_state().tenants[tenant]
    if wanted == before:
        return False
    world.tenants[tenant] = wanted
    world.throttle_rps[column] = np.inf if wanted.rate_limit_rps is None else wanted.rate_limit_rps
    if wanted.primary_region != before.primary_region:
        first = next((b.primary_region for b in world.spec.tenants if b.tenant == tenant), None)
        world.live.rebind(tenant, None if wanted.primary_region == first else wanted.primary_region)
    old, new = before.model_dump(mode="json"), wanted.model_dump(mode="json")
    for key in old:
        if old[key] != new[key] and key != "packs_taken_off":  # told with the packs
            text = f"{tenant} {'ingress limit' if key == 'rate_limit_rps' else key.replace('_', ' ')}"
            was, now = (None, None) if key == "packs" else (old[key], new[key])
            world.note(f"tenant/{tenant}", "policy", was, now, actor, text)
    return True


def _set_pool(world: World, pool: str, wanted: NodePoolState, actor: str) -> bool:
    if world.node_pools.get(pool) == wanted:
        return False
    if pool not in world.node_pools:
        raise Invalid(f"no such node pool in this world: {pool}", reason="unknown_node_pool")
    if wanted.sku not in SKUS:
        raise Invalid(f"no such machine type: {wanted.sku}", reason="unknown_sku")
    before, world.node_pools[pool] = world.node_pools[pool], wanted
    if (wanted.node_count, wanted.drained) != (before.node_count, before.drained):
        world.cluster.resize_pool(world.layout.pools.index(pool), wanted.node_count, wanted.drained, world.elapsed_s)
        text = f"{pool} {before.node_count} -> {wanted.node_count} nodes"
        world.note(f"node_pool/{pool}", "scaling", before.node_count, wanted.node_count, actor, text)
    world.billing.price(world.node_pools)
    if wanted.sku != before.sku:
        _change_sku(world, pool, before.sku, wanted.sku, actor)
    return True


def _change_sku(world: World, pool: str, before: str, after: str, actor: str) -> None:
    """Replace a pool's machines one after another, so that nothing is missing meanwhile."""
    world.cluster.exchange(world.layout.pools.index(pool), SKUS[after].cores)
    world.note(f"node_pool/{pool}", "config", before, after, actor, f"{pool} {before} -> {after}")


def _set_store(world: World, store: str, wanted: DataStoreState, actor: str) -> bool:
    if store not in world.data_stores:
        raise Invalid(f"no such data store in this world: {store}", reason="unknown_data_store")
    before, world.data_stores[store] = world.data_stores[store], wanted
    old, new = before.model_dump(mode="json"), wanted.model_dump(mode="json")
    for key in old:
        if old[key] != new[key]:
            text = f"{store} {key}: {old[key]} -> {new[key]}"
            world.note(f"data_store/{store}", "config", {"key": key, "value": old[key]},
                       {"key": key, "value": new[key]}, actor, text)  # fmt: skip
    return before != wanted


def create_restore_point(world: World, store: str, operation: str) -> bool:
    """Take a restore point of a store now; False when this operation id was carried out before."""
    if not _first(world, "restore_point", store, operation):
        return False
    world.backups.take(store, world.elapsed_s)
    return True


def drill_restore(world: World, store: str, operation: str) -> bool:
    """Restore a store's newest point beside it and look: True when it holds the data. Its log tells the same."""
    _first(world, "restore_drill", store, operation)
    newest = world.backups.newest(store)
    sound = newest is not None and newest.sound
    found = "restored and readable" if sound else "archive cannot be decrypted: no key of that id"
    _log_drill(world, store, found, sound=sound)
    return sound


def tell_drill(world: World, store: str, operation: str, *, sound: bool, found: str) -> None:
    """Let a store's log tell what somebody else's restore drill found, once per operation."""
    told = f"{operation}@told"  # no effect under anybody's key: a line in a log
    if told not in world.effects:
        world.effects[told] = 1
        _log_drill(world, store, found, sound=sound)


def _log_drill(world: World, store: str, found: str, *, sound: bool) -> None:
    spec = world.layout.services[world.layout.service_index[store]]
    world.journal.emit(
        tenant=spec.tenant, source=f"{SOURCE}/logs", kind="runtime.log.v1", subject=f"service/{store}",
        at=world.now, deliver_s=world.elapsed_s, severity="info" if sound else "error",
        data=LogObserved(service=store, level="INFO" if sound else "ERROR", message=f"restore drill: {found}"),
    )  # fmt: skip


def _first(world: World, verb: str, store: str, operation: str) -> bool:
    """Whether this operation was not carried out before; from now on it was."""
    if store not in world.data_stores:
        raise Invalid(f"no such data store in this world: {store}", reason="unknown_data_store")
    if operation in world.effects:
        return False
    world.effects[operation] = 1
    world.schedule.append((world.elapsed_s, verb, {"store": store, "operation": operation}))
    return True
