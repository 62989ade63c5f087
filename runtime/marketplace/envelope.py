"""Signatures: a DSSE envelope (secure-systems-lab/dsse, protocol 1.0) with Ed25519 (RFC 8032) over the manifest.

What is signed is the pre-authentication encoding, which binds the payload's type; the key id is a hint that narrows
the search and is never believed.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import Invalid, Refused
from runtime.marketplace.manifest import byte_digest

PAYLOAD_TYPE = "application/vnd.opsmesh.pack.v1+json"


class _Wire(BaseModel):
    """The specification lets producers add fields that consumers ignore; none of them is signed or used."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Signature(_Wire):
    """One signature; `keyid` is a hint."""

    keyid: str = Field(default="", max_length=200)
    sig: str = Field(max_length=200)


class Envelope(_Wire):
    """The JSON envelope of the specification."""

    payload: str
    payload_type: Annotated[str, Field(alias="payloadType", max_length=200)]
    signatures: tuple[Signature, ...] = Field(max_length=16)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: the bytes a signature is over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public_raw: bytes) -> str:
    """Return the name of a key: the digest of its 32 raw bytes."""
    return byte_digest(public_raw)


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the envelope around the payload as JSON text."""
    named = key_id(key.public_key().public_bytes_raw())
    signature = Signature(keyid=named, sig=base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode())
    envelope = Envelope(payload=base64.b64encode(payload).decode(), payload_type=PAYLOAD_TYPE, signatures=(signature,))
    return envelope.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def opened(raw: bytes, keys: Iterable[bytes]) -> tuple[bytes, frozenset[str]]:
    """Return the payload and the ids of those raw public keys that signed it; decoded once, before it is checked.

    Raises Invalid for what is no envelope of ours and Refused for one without a signature.
    """
    try:
        envelope = Envelope.model_validate_json(raw)
        payload = _decoded(envelope.payload)
        signatures = [_decoded(s.sig) for s in envelope.signatures]
    except (ValidationError, ValueError) as error:
        raise Invalid("the envelope cannot be read", reason="pack_envelope_invalid") from error
    if not signatures:
        raise Refused("the pack has no signature", reason="pack_unsigned")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Refused("what is signed is no pack of this format", reason="pack_type_unknown")
    message = pae(envelope.payload_type, payload)
    return payload, frozenset(key_id(key) for key in keys if any(_signed(key, s, message) for s in signatures))


def _decoded(text: str) -> bytes:
    """Decode standard or URL-safe base 64: the specification demands both."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _signed(public_raw: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_raw).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """Read a publisher's private key. Raises Invalid for anything but an unencrypted Ed25519 PEM."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid("the private key is no plain PEM", reason="pack_key_invalid") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid("the private key is not Ed25519", reason="pack_key_invalid")
    return key


def key_of(secret: bytes) -> Ed25519PrivateKey:
    """Return the private key of 32 secret bytes (RFC 8032)."""
    return Ed25519PrivateKey.from_private_bytes(secret)


def public_key(pem: bytes) -> bytes:
    """Read a publisher's public key; returns its 32 raw bytes. Raises Invalid for anything but an Ed25519 PEM."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("the public key is no PEM", reason="pack_key_invalid") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid("the public key is not Ed25519", reason="pack_key_invalid")
    return key.public_bytes_raw()
