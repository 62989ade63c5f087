"""Every issuer: chains that lead to its roots, for the names and the key that were asked for, and nothing else.

The ACME adapter runs against a real server (Pebble, which refuses one nonce in five) wherever that can be built or run.
"""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from domain.errors import Invalid, Refused
from runtime.trust.acme import AcmeIssuer
from runtime.trust.authority import LocalAuthority
from runtime.trust.files import write_private, write_public
from runtime.trust.leaves import facts_of, key_pem, leaf_of, new_key, signing_request
from runtime.trust.listeners import TlsListener, look
from tests.support.acme_server import AVAILABLE, acme_server

LIFETIME = timedelta(days=90)
HOST = "shop.example.net"


@pytest.fixture(params=["local", *(["acme"] if AVAILABLE else [])])
async def issuer(request, tmp_path):
    if request.param == "local":
        yield LocalAuthority(tmp_path / "local", "platform-ca", datetime.now(UTC))
        return
    with acme_server(tmp_path) as server:
        made = AcmeIssuer(
            server.directory, tmp_path / "account", server.challenges, trust=server.trust, roots=server.roots
        )
        yield made
        await made.close()


async def issued(issuer, key, names=(HOST,)):
    return await issuer.issue(signing_request(key, names), at=datetime.now(UTC), lifetime=LIFETIME)


async def test_what_is_issued_is_served_and_believed(issuer, tmp_path):
    key = new_key()
    chain = await issued(issuer, key, (HOST, "www.example.net"))
    facts = facts_of(leaf_of(chain))
    assert set(facts.names) == {HOST, "www.example.net"}
    assert abs(facts.not_after - facts.not_before - LIFETIME) < timedelta(hours=2)
    write_private(tmp_path / "key.pem", key_pem(key))
    write_public(tmp_path / "chain.pem", chain)
    listener = TlsListener(tmp_path / "chain.pem", tmp_path / "key.pem")
    served = look(listener.port, HOST, issuer.anchors())
    stranger = look(listener.port, HOST, LocalAuthority(tmp_path / "other", "x", datetime.now(UTC)).anchors())
    listener.close()
    assert (served.facts, served.chain_error) == (facts, "")
    assert stranger.chain_error


async def test_the_key_is_the_askers(issuer):
    key = new_key()
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert leaf_of(await issued(issuer, key)).public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


async def test_two_certificates_are_two(issuer):
    first, second = [facts_of(leaf_of(await issued(issuer, new_key()))) for _ in range(2)]
    assert first.serial != second.serial


async def test_a_request_with_a_broken_signature_is_refused(issuer):
    der = bytearray(x509.load_pem_x509_csr(signing_request(new_key(), [HOST])).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    broken = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(Invalid):
        await issuer.issue(broken, at=datetime.now(UTC), lifetime=LIFETIME)


async def test_a_wish_when_to_renew_lies_before_the_end(issuer):
    chain = await issued(issuer, new_key())
    wish = await issuer.renewal(chain, at=datetime.now(UTC))
    facts = facts_of(leaf_of(chain))
    assert wish is None or facts.not_before < wish.start < wish.end < facts.not_after
    assert (wish is None) == isinstance(issuer, LocalAuthority)


async def test_only_ones_own_issuer_can_be_distrusted(issuer):
    if isinstance(issuer, LocalAuthority):
        before = facts_of(leaf_of(await issued(issuer, new_key()))).issuer
        issuer.distrust()
        assert issuer.distrusted() == (before,)
        assert facts_of(leaf_of(await issued(issuer, new_key()))).issuer == issuer.signs_as() != before
    else:
        with pytest.raises(Refused):
            issuer.distrust()
