"""The published contracts, and the command that writes them anew.

`python -P -m tests.contract.compatible` refuses a change that breaks a reader or a writer of what went out, because
such a change needs a new version.
"""

import json
import sys
from pathlib import Path

from pydantic import JsonValue

from evals.compatibility import Schema, broken_api, broken_events

GOLDEN = Path(__file__).parent / "golden" / "published"


def published() -> dict[str, dict[str, JsonValue]]:
    """Return what is published now: event models, Opsmesh's API and the runtime's."""
    from domain.schema import schemas
    from tests.contract.runtime_document import runtime_document
    from tests.unit.api.fakes import World, app_over

    return {
        "events": {name: dict(schema) for name, schema in schemas().items() if name.startswith("event:")},
        "api": app_over(World(leaky=False)).openapi(),
        "runtime": runtime_document(),
    }


def broken(name: str, old: Schema, new: Schema) -> list[str]:
    """Compare one published contract with what is published now."""
    return broken_events(old, new) if name == "events" else broken_api(old, new)


def main() -> int:
    """Write the contracts anew, unless somebody would trip over the change."""
    problems: list[str] = []
    for name, document in published().items():
        path = GOLDEN / f"{name}.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        problems += [f"{name}: {problem}" for problem in broken(name, old, document)]
        if not problems:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
