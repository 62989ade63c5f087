"""Drift that a service's policy says is to be corrected: what runs goes back to what shall run, field by field.

Only `reconcile` acts, and only on a field that nobody else owns and the policy does not exempt; `report` and `propose`
leave it to those who read what runs beside what shall run.
"""

from pydantic import JsonValue

from domain.desired import EnvironmentState, ServiceState, field_owner, read_path


def corrected(wanted: EnvironmentState, live: EnvironmentState) -> EnvironmentState | None:
    """Return what runs with every such field as it shall be; None where nothing is to be corrected."""
    services = {
        name: _corrected(name, wanted, held, live.services[name])
        for name, held in wanted.services.items()
        if held.drift.mode == "reconcile" and name in live.services
    }
    if all(service == live.services[name] for name, service in services.items()):
        return None
    return live.model_copy(update={"services": {**live.services, **services}})


def _corrected(name: str, wanted: EnvironmentState, held: ServiceState, runs: ServiceState) -> ServiceState:
    document, live = held.model_dump(mode="json"), runs.model_dump(mode="json")
    owned = [field for field in document if field_owner(wanted, ("services", name, field)) is not None]
    for path in (*owned, *held.drift.ignore_paths):
        _keep(document, live, path.split("."))
    return ServiceState.model_validate(document)


def _keep(document: dict[str, JsonValue], live: dict[str, JsonValue], keys: list[str]) -> None:
    """Leave the field as it runs."""
    node: JsonValue = document
    for key in keys[:-1]:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return
    if (value := read_path(live, keys)) is None and keys[-1] not in ServiceState.model_fields:
        node.pop(keys[-1], None)
    else:
        node[keys[-1]] = value
