"""Addresses of the runtime API."""

from urllib.parse import quote


def place(environment: str, *parts: str) -> str:
    """Return the path of something in an environment; every part is quoted whole."""
    return "/".join(("/runtime/environments", *(quote(part, safe="") for part in (environment, *parts))))
