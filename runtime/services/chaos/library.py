"""The experiments that ship with the product: two that try the loop itself, and general ones."""

from importlib.resources import files

from pydantic import JsonValue

from domain.errors import NotFound
from runtime.services.chaos.experiment import Experiment, read_experiment

_FOLDER = files("runtime.services.chaos").joinpath("experiments")
_SUFFIX = ".json"


def shipped() -> dict[str, Experiment]:
    """Return every experiment that ships, by name."""
    found = sorted(_FOLDER.iterdir(), key=lambda file: file.name)
    return {
        f.name.removesuffix(_SUFFIX): read_experiment(f.read_bytes()) for f in found if f.name.endswith(_SUFFIX)
    }  # fmt: skip


def shipped_one(name: str, **configuration: str) -> Experiment:
    """Return one of them with some of its configuration replaced. Raises NotFound."""
    found = shipped().get(name)
    if found is None:
        raise NotFound(f"no experiment {name} ships; there are {', '.join(shipped())}")
    changed: dict[str, JsonValue] = {**found.configuration, **configuration}
    return read_experiment({**found.document, "configuration": changed})
