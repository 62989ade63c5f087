"""A program of its own: reads the Parquet file on its standard input and writes its rows as JSON lines.

A hostile file can ask a reader for any amount of memory, so the reading is done where running out of it or of time ends
this process and no other. First line: the names of the wanted columns that are there; then a list of texts per row;
last `{"rows": n}`, or `{"refused": why}`. Without such a last line the reading failed.
"""

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from typing import Final, cast

from arro3.core import Array, DataType, RecordBatch
from arro3.io import read_parquet

MEMORY_BYTES: Final = 1 << 30
"""Pages are read one by one and are about 1 MiB by default in every writer; this is room for odd ones."""
CPU_S: Final = 300
"""Several times what a million charges take."""
BATCH_ROWS: Final = 512
EXACT_BELOW: Final = 1e13
"""A double holds 15 decimal digits (DBL_DIG): from here on it does not say which cents were meant."""


class Unsuitable(Exception):
    """A column whose type cannot hold what it should say."""


def main(wanted: Sequence[str], most: int) -> None:
    """Write the wanted columns of standard input, up to one row more than `most`. Exit 1 where refused."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        rows = 0
        with open(0, "rb") as stream:
            reader = read_parquet(stream, batch_size=BATCH_ROWS)
            names = [name for name in reader.schema.names if {name, name.casefold()} & set(wanted)]
            _say(names)
            for batch in reader:
                for row in _rows(batch, names):
                    rows += 1
                    _say(row)
                if rows > most:
                    break
        _say({"rows": rows})
    except Unsuitable as refused:
        _say({"refused": str(refused)})
        raise SystemExit(1) from refused
    except Exception as error:
        _say({"refused": f"not readable as Parquet: {error}"[:300]})
        raise SystemExit(1) from error


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")


def _rows(batch: RecordBatch, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(_texts(name, Array.from_arrow(batch.column(name))) for name in names), strict=True)


def _texts(name: str, column: Array) -> list[str]:
    """Write one column as a CSV export does: amounts digit by digit, instants in UTC, a map as a JSON object."""
    kind = column.type
    if DataType.is_map(kind):
        return ["" if pairs is None else json.dumps(dict(pairs)) for pairs in _values(column)]
    if DataType.is_nested(kind) or DataType.is_binary(kind) or DataType.is_large_binary(kind):
        raise Unsuitable(f"column {name} is of the type {_plain(kind)}, no plain value")
    if DataType.is_float16(kind) or DataType.is_float32(kind):
        raise Unsuitable(f"column {name} is of the type {_plain(kind)}, too short for cents: write decimals")
    texts = [str(text or "") for text in _values(column.cast(DataType.string()))]
    if DataType.is_float64(kind):
        _exact(name, texts)
    if DataType.is_decimal(kind):
        return [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    if DataType.is_timestamp(kind) and kind.tz is None:
        # FOCUS and CUR state every time in UTC; their writers leave the zone out of the type.
        return [text and f"{text}Z" for text in texts]
    return texts


def _values(column: Array) -> list[Sequence[tuple[str, str | None]] | None]:
    read = column.to_pylist()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # its stub says array
    return cast("list[Sequence[tuple[str, str | None]] | None]", read)


def _exact(name: str, texts: Sequence[str]) -> None:
    """A double is written with as few digits as name it, which are those of the decimal it was made from."""
    large = next((text for text in texts if text and abs(float(text)) >= EXACT_BELOW), None)
    if large is not None:
        raise Unsuitable(f"column {name}: {large} as a double does not say its cents: write decimals")


def _plain(kind: DataType) -> str:
    return str(kind).strip().removeprefix("arro3.core.DataType<").removesuffix(">")


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
