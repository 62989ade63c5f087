"""Proposing a change plan from a file: read it, send it, and say of a refusal which command it is about."""

import json
import re
import sys
from datetime import date
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from cli import render
from cli.calls import call
from domain.cards import Card
from domain.errors import Invalid, OpsmeshError

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_FIELD = re.compile(r"\bbody\.commands\.(\d+)\b\.?")


def propose(source: str, *, key: str | None, dry_run: bool, as_json: bool) -> None:
    """Propose the plan that a file, or `-` for standard input, says in JSON or YAML."""
    headers = {} if key is None else {"Idempotency-Key": key}
    params = {"dryRun": "true"} if dry_run else {}
    try:
        answer = call("POST", "/v1/plans", body=_read(source), params=params, headers=headers)
    except OpsmeshError as error:
        told = _FIELD.sub(lambda found: f"command {int(found[1]) + 1}: ", str(error))
        raise type(error)(told, reason=error.reason) from error
    if as_json:
        render.as_json(answer)
    else:
        render.card(Card.model_validate(answer["card"] if isinstance(answer, dict) else None))


def _read(source: str) -> JsonValue:
    """Return a file's content. Raises Invalid where it is no file or no mapping, with the place of the mistake."""
    import yaml

    if source != "-" and not Path(source).is_file():
        raise Invalid(f"no such file: {source}", reason="no_file")
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        found = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        body = _JSON.validate_json(json.dumps(found, default=_instant, allow_nan=False))
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise Invalid(f"{source} is no JSON and no YAML that JSON can say: {error}", reason="not_a_document") from error
    if not isinstance(body, dict):
        raise Invalid(f"{source} holds no plan: a mapping with tenant, environment and commands", reason="not_a_plan")
    return body


def _instant(value: object) -> str:
    """Give an instant of YAML back as text."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is no JSON")
