"""Making packs: a new source folder to write in, and the signed bundle of a finished one."""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue, ValidationError

from domain.base import canonical_json
from domain.errors import Invalid
from runtime.marketplace.bundle import Bundle
from runtime.marketplace.checks import failures, read_cases
from runtime.marketplace.content import read_content
from runtime.marketplace.envelope import key_id, sign
from runtime.marketplace.manifest import (
    CASES,
    CONTENT,
    DRAFT,
    ENVELOPE,
    README,
    Draft,
    Kind,
    Manifest,
    PackFile,
    byte_digest,
)
from runtime.marketplace.pack import Pack

Json = dict[str, JsonValue]
_EXAMPLES: dict[Kind, tuple[str, JsonValue, JsonValue]] = {
    "topology_blueprint": ("zone_spread", True, False),
    "scaling_policy": (
        "scaling",
        {"min_replicas": 2, "max_replicas": 6, "target_cpu_utilisation": "${level}"},
        None,
    ),
    "health_drift_policy": ("health.fast_burn_rate", "${level}", 14.4),
    "add_on": ("cdn", {"ttl_s": "${level}"}, None),
}
"""Per kind a field of a service, what the example writes there, and what its test finds there before."""
_LEVELS: dict[Kind, Json] = {
    "scaling_policy": {
        "type": "number",
        "description": "CPU use to hold.",
        "default": 0.6,
        "minimum": 0.1,
        "maximum": 1,
    },
    "health_drift_policy": {"type": "number", "description": "Burn rate that pages.", "default": 10.0, "minimum": 1},
    "add_on": {"type": "integer", "description": "Seconds an answer stays fresh.", "default": 60, "minimum": 1},
}


def started(name: str, kind: Kind) -> Bundle:
    """Return the source of a new pack that does one thing, says so, and tests it. Raises Invalid for a bad name."""
    field, value, before = _EXAMPLES[kind]
    level = _LEVELS.get(kind)
    draft: Json = {
        "format": 1, "name": name, "kind": kind, "version": "0.1.0", "summary": "What it is for, in one line.",
        "compatibility": {"at_least": "0.1.0", "below": "1.0.0"}, "parameters": {"level": level} if level else {},
    }  # fmt: skip
    try:
        Draft.model_validate(draft)
    except ValidationError as error:
        raise Invalid(f"{name!r} is no name for a pack: use small letters and dashes", reason="usage") from error
    rule: Json = {"section": "services", "select": {"tiers": [0, 1]}, "set": {field: value}, "why": "Why it does so."}
    service: Json = {"version": "v1", "replicas": 3, "cpu_millicores": 500, "memory_mib": 512}
    head = field.partition(".")[0]
    service |= {head: before} if head == field and before is not None else {}
    setting: Json = {
        "state": {"services": {"web": service, "batch": service}},
        "subjects": [
            {"section": "services", "name": "web", "archetype": "frontend", "tier": 1},
            {"section": "services", "name": "batch", "archetype": "worker", "tier": 3},
        ],
        "facts": {"primary_region": "west", "paired_region": "north"}, "allowed_regions": ["west", "north"],
    }  # fmt: skip
    shown = _EXPECTED.get(kind, (f"services/web/{field}", value))
    case: Json = {
        "name": "services that matter get it", "setting": setting, "expect": {shown[0]: shown[1]},
        "unchanged": ["services/batch"],
    }  # fmt: skip
    readme = f"# {name}\n\nWhat it does, for whom, what it costs, and when not to install it.\n"
    return {
        DRAFT: _text(draft), CONTENT: _text({"rules": [rule]}), CASES: _text({"cases": [case]}),
        README: readme.encode(),
    }  # fmt: skip


_EXPECTED: dict[Kind, tuple[str, JsonValue]] = {
    "scaling_policy": ("services/web/scaling/target_cpu_utilisation", 0.6),
    "health_drift_policy": ("services/web/health/fast_burn_rate", 10.0),
    "add_on": ("services/web/cdn/ttl_s", 60),
}


def _text(value: Json) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def published(source: Bundle, key: Ed25519PrivateKey) -> tuple[Manifest, Bundle]:
    """Return the manifest and the signed bundle of a source folder. Its own tests must pass.

    Raises Invalid naming what is wrong with it.
    """
    if DRAFT not in source:
        raise Invalid(f"{DRAFT} is missing", reason="pack_file_missing")
    files = {name: raw for name, raw in source.items() if name != ENVELOPE}
    try:
        draft = Draft.model_validate_json(source[DRAFT])
        manifest = Manifest(
            **draft.model_dump(),
            files=tuple(
                PackFile(path=name, size_bytes=len(raw), digest=byte_digest(raw)) for name, raw in sorted(files.items())
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or DRAFT
        raise Invalid(f"{DRAFT}: {where}: {first['msg']}", reason="pack_manifest_invalid") from error
    payload = canonical_json(manifest)
    pack = Pack(
        manifest=manifest, digest=byte_digest(payload), publisher="", key=key_id(key.public_key().public_bytes_raw()),
        content=read_content(files[CONTENT], manifest), readme=files[README].decode(), cases=read_cases(files[CASES]),
    )  # fmt: skip
    if found := failures(manifest, pack.content, pack.cases):
        raise Invalid(f"its own tests fail: {'; '.join(found)}", reason="pack_tests_failed")
    return manifest, {**files, ENVELOPE: sign(payload, key)}
