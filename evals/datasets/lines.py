"""Reads predictions back: JSON lines of a closed shape, each case once, none missing."""

from collections.abc import Callable, Collection, Hashable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from domain.base import Frozen
from domain.errors import Invalid

Line = TypeVar("Line", bound=Frozen)
Key = TypeVar("Key", bound=Hashable)


def read_lines(path: Path, shape: type[Line], key: Callable[[Line], Key], wanted: Collection[Key]) -> dict[Key, Line]:
    """Return the lines of the wanted cases by key. A malformed line, a case given twice or missing is Invalid.

    Lines of other cases are left out, so that one file may serve several parts of a data set.
    """
    found: dict[Key, Line] = {}
    for number, one in parsed(path, shape):
        if key(one) in found:
            raise Invalid(f"{path.name} line {number}: case {key(one)} is given twice")
        found[key(one)] = one
    missing = [case for case in wanted if case not in found]
    if missing:
        raise Invalid(
            f"{len(missing)} of {len(wanted)} cases have no prediction, first: {missing[0]}", reason="missing_case"
        )
    return {case: found[case] for case in wanted}


def parsed(path: Path, shape: type[Line]) -> Iterator[tuple[int, Line]]:
    """Yield every line with its number from 1; blank ones are skipped, a malformed one is Invalid."""
    for number, text in enumerate(_read(path), start=1):
        if not text.strip():
            continue
        try:
            yield number, shape.model_validate_json(text)
        except ValidationError as error:
            raise Invalid(
                f"{path.name} line {number}: {error.error_count()} errors, {error.errors()[0]['msg']}"
            ) from error


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
