"""Hands on a world's certificates and credentials: what is served, and what is handed to a holder, from now on.

Each takes effect once per operation id, is written to the change feed, and is part of the world's record.
"""

from pydantic import JsonValue

from runtime.simulator.world import World


def serve_certificate(world: World, name: str, ends_s: float, operation: str, *, actor: str = "platform") -> bool:
    """Serve a certificate that ends so many seconds after the start; False when this operation was done before."""
    return _end(world, "certificate", world.certificates, name, ends_s, operation, actor)


def hand_over_secret(world: World, name: str, ends_s: float, operation: str, *, actor: str = "platform") -> bool:
    """Let a holder log in with a credential that ends then; False when this operation was done before."""
    return _end(world, "secret", world.logins.ends_s, name, ends_s, operation, actor)


def _end(  # what both hands share
    world: World, what: str, ends: dict[str, float], name: str, ends_s: float, operation: str, actor: str
) -> bool:
    key = f"{what}/{name}@{operation}"
    if key in world.effects:
        return False
    world.effects[key] = 1
    done: dict[str, JsonValue] = {"what": what, "name": name, "ends_s": ends_s, "operation": operation, "actor": actor}
    world.schedule.append((world.elapsed_s, "trust", done))
    before, ends[name] = ends[name], ends_s
    world.warn_again(name)
    world.check_certificates()
    was, now = world.instant(before).isoformat(), world.instant(ends_s).isoformat()
    world.note(f"{what}/{name}", "certificate" if what == "certificate" else "config", was, now, actor,
               f"{name} ends {now}")  # fmt: skip
    return True
