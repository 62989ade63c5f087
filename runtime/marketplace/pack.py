"""Opening a pack: the one order in which it is believed. Bounded read, signature, trusted key, manifest, files, range.

Nothing after a failed step is looked at.
"""

from pydantic import ValidationError

from domain.base import Digest, Frozen, canonical_json
from domain.errors import Invalid, Refused
from runtime.marketplace.bundle import Bundle
from runtime.marketplace.checks import Case, read_cases
from runtime.marketplace.content import Content, read_content
from runtime.marketplace.envelope import opened
from runtime.marketplace.manifest import CASES, CONTENT, DRAFT, ENVELOPE, README, Draft, Manifest, byte_digest
from runtime.marketplace.trust import Trust


class Pack(Frozen):
    """A pack that was verified for one tenant."""

    manifest: Manifest
    digest: Digest
    """Of the signed manifest."""
    publisher: str
    key: Digest
    content: Content
    readme: str
    cases: tuple[Case, ...]


def open_pack(bundle: Bundle, trust: Trust, running: str) -> Pack:
    """Verify a bundle for a tenant on this version of Opsmesh. Raises Refused or Invalid at the first flaw."""
    if ENVELOPE not in bundle:
        raise Refused("the pack has no signature", reason="pack_unsigned")
    payload, signers = opened(bundle[ENVELOPE], [key.raw for key in trust.keys])
    publisher = trust.publisher(signers)
    manifest = _manifest(payload)
    _check_files(bundle, manifest)
    _check_draft(bundle[DRAFT], manifest)
    if not manifest.compatibility.holds(running):
        wants = manifest.compatibility
        named = f"{manifest.name} {manifest.version}"
        raise Refused(
            f"{named} is for Opsmesh from {wants.at_least} up to {wants.below}, not {running}",
            reason="pack_incompatible",
        )
    return Pack(
        manifest=manifest,
        digest=byte_digest(payload),
        publisher=publisher.name,
        key=publisher.id,
        content=read_content(bundle[CONTENT], manifest),
        readme=_text(bundle[README]),
        cases=read_cases(bundle[CASES]),
    )


def _manifest(payload: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(payload)
    except ValidationError as error:
        raise Invalid("the signed manifest does not fit its form", reason="pack_manifest_invalid") from error
    if canonical_json(manifest) != payload:
        raise Invalid("the signed manifest is not canonical JSON", reason="pack_manifest_invalid")
    return manifest


def _check_files(bundle: Bundle, manifest: Manifest) -> None:
    listed = {file.path: file for file in manifest.files}
    there = set(bundle) - {ENVELOPE}
    if extra := there - set(listed):
        raise Refused(f"not in the manifest: {', '.join(sorted(extra))}", reason="pack_file_extra")
    if missing := set(listed) - there:
        raise Refused(f"in the manifest only: {', '.join(sorted(missing))}", reason="pack_file_missing")
    for path, file in listed.items():
        if (len(bundle[path]), byte_digest(bundle[path])) != (file.size_bytes, file.digest):
            raise Refused(f"{path} is not what was signed", reason="pack_tampered")


def _check_draft(raw: bytes, manifest: Manifest) -> None:
    """What people read in the folder is what was signed."""
    try:
        draft = Draft.model_validate_json(raw)
    except ValidationError as error:
        raise Invalid(f"{DRAFT} does not fit its form", reason="pack_manifest_invalid") from error
    if draft.model_dump() != manifest.model_dump(exclude={"files"}):
        raise Refused(f"{DRAFT} says something else than the signed manifest", reason="pack_tampered")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{README} is not UTF-8", reason="pack_content_invalid") from error
