"""Signatures of what we send, by the Standard Webhooks specification with its asymmetric scheme (v1a, Ed25519).

Receivers verify with our public key, so neither side keeps a shared secret. What is signed is `id.timestamp.body`.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.errors import Refused
from governance.keys import KeyRing

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SCHEME = "v1a"
TOLERANCE = timedelta(minutes=5)
"""How old a delivery may be: what the specification's own libraries allow."""
_PREFIX = "whpk_"


class WebhookSigner:
    """Signs deliveries with the installation's key for feedback."""

    def __init__(self, ring: KeyRing) -> None:
        self._key = ring.signing_key("feedback")

    @property
    def public_key(self) -> str:
        """The key receivers verify with: `whpk_` and 32 bytes in base64."""
        return _PREFIX + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def headers(self, name: str, at: datetime, body: bytes) -> dict[str, str]:
        """Return the three headers of one delivery."""
        stamp = str(int(at.timestamp()))
        signature = base64.b64encode(self._key.sign(_signed(name, stamp, body))).decode()
        return {ID: name, TIMESTAMP: stamp, SIGNATURE: f"{SCHEME},{signature}"}


def verify_webhook(public_key: str, headers: Mapping[str, str], body: bytes, at: datetime) -> str:
    """Return the delivery's id. Raises Refused for another signer, another body, or a delivery too old or too new."""
    name, stamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not name or not stamp.isdecimal():
        raise Refused("the delivery is not signed", reason="unsigned")
    if abs(at.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        raise Refused("the delivery is too old or from the future", reason="stale")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix(_PREFIX)))
    for one in headers.get(SIGNATURE, "").split():
        scheme, _, text = one.partition(",")
        if hmac.compare_digest(scheme, SCHEME) and _verifies(key, text, _signed(name, stamp, body)):
            return name
    raise Refused("the delivery is not signed by that key", reason="wrong_signature")


def _signed(name: str, stamp: str, body: bytes) -> bytes:
    return f"{name}.{stamp}.".encode() + body


def _verifies(key: Ed25519PublicKey, signature: str, message: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True
