"""Signatures: the specification's own example, and what must not verify."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import Invalid
from runtime.marketplace.envelope import key_id, opened, pae, sign
from runtime.marketplace.versions import precedence
from tests.support.packs import key_of

KEY = key_of(1)
RAW = KEY.public_key().public_bytes_raw()


def test_pre_authentication_encoding_is_the_specifications_example():
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_ed25519_is_rfc_8032_test_1():
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert (
        key.public_key().public_bytes_raw().hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f")


def test_a_signature_is_over_type_and_payload():
    sealed = sign(b"{}", KEY)
    assert opened(sealed, [RAW]) == (b"{}", frozenset({key_id(RAW)}))
    body = json.loads(sealed)
    body["payload"] = base64.b64encode(b"{} ").decode()
    assert opened(json.dumps(body).encode(), [RAW])[1] == frozenset()
    plain = base64.b64encode(KEY.sign(b"{}")).decode()
    body = json.loads(sealed) | {"signatures": [{"sig": plain}]}
    assert opened(json.dumps(body).encode(), [RAW])[1] == frozenset()


def test_url_safe_base64_and_unknown_fields_are_taken():
    payload = b"\xff\xfe?~"
    body = json.loads(sign(payload, KEY))
    body["payload"] = base64.urlsafe_b64encode(payload).decode()
    body["note"] = "ignored"
    assert opened(json.dumps(body).encode(), [RAW])[0] == payload


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"payload": "a", "payloadType": "t", "signatures": []}'])
def test_what_is_no_envelope(raw):
    with pytest.raises(Invalid):
        opened(raw, [RAW])


def test_versions_are_ordered_as_the_specification_orders_them():
    ordered = [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0",
    ]  # fmt: skip
    shuffled = ordered[::2] + ordered[1::2]
    assert sorted(shuffled, key=precedence) == ordered
    for wrong in ("1", "1.0", "01.0.0", "1.0.0+build", "1.0.0-", "v1.0.0", "1.0.0\n"):
        with pytest.raises(ValueError, match="no version"):
            precedence(wrong)
