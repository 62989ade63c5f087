"""What `opsmesh status` does: run rows of the status page and print what was found."""

from collections.abc import Sequence

from cli import render
from cli.answers import Columns

COLUMNS = Columns(
    "Roadmap",
    (("row", "row"), ("status", "status"), ("asserts", "check"), ("value", "value"), ("", "at"), ("bound", "bound"),
     ("missing", "missing")),
)  # fmt: skip


def status_of(only: Sequence[str], *, as_json: bool) -> int:
    """Return 1 where a row is not as the page says."""
    from evals.status.running import chosen, show

    shown = [show(row) for row in chosen(only)]
    render.either(COLUMNS, [one.model_dump(mode="json") for one in shown], as_json=as_json)
    return int(any(one.status == "stale" for one in shown))
