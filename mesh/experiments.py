"""Experiments that ship with the product, for whoever asks without a server."""

from collections.abc import Mapping

from pydantic import JsonValue

from runtime.services.chaos.library import shipped, shipped_one


def shipped_names() -> tuple[str, ...]:
    """Return their names."""
    return tuple(shipped())


def shipped_document(name: str, configuration: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return one with some of its configuration replaced. Raises NotFound."""
    return shipped_one(name, **configuration).document
