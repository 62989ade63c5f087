"""JSON Web Signatures as ACME asks for them: flattened JSON, ES256, a nonce and a URL in the protected header."""

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pydantic import JsonValue

from runtime.trust.leaves import Key

_HALF = 32
"""Bytes of each half of an ES256 signature, and of each P-256 coordinate (RFC 7518, 3.4 and 6.2.1)."""


def b64(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_jwk(key: Key) -> dict[str, str]:
    """Return the key's public half, its members in the order that a thumbprint needs (RFC 7638)."""
    numbers = key.public_key().public_numbers()
    x, y = (b64(each.to_bytes(_HALF, "big")) for each in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(key: Key) -> str:
    """Return the SHA-256 thumbprint of the key (RFC 7638)."""
    return b64(hashlib.sha256(json.dumps(public_jwk(key), separators=(",", ":")).encode()).digest())


def signed(key: Key, header: Mapping[str, JsonValue], payload: Mapping[str, JsonValue] | None) -> bytes:
    """Return the JWS of a payload; None is the empty one of POST-as-GET (RFC 8555, 6.3)."""
    protected = b64(json.dumps({"alg": "ES256", **header}).encode())
    body = "" if payload is None else b64(json.dumps(payload).encode())
    r, s = decode_dss_signature(key.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
    signature = b64(r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big"))
    return json.dumps({"protected": protected, "payload": body, "signature": signature}).encode()
