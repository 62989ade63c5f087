"""A certificate authority of our own: a root, and under it one issuing certificate per issuer and generation.

Its keys lie in the runtime's home, readable by the owner alone. An issuer that is compromised is distrusted: its next
generation signs from then on, and what the earlier ones signed no longer counts.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from domain.base import TimeRange
from domain.errors import Invalid
from runtime.trust.files import write_private, write_public
from runtime.trust.leaves import Key, key_pem, name_of, new_key, read_key

# Clocks of clients lag: public CAs date a certificate back by an hour.
BACKDATED = timedelta(hours=1)
# Longer than anything it signs here; roots of the web PKI are used for 15 years at most (Chrome root policy).
CA_LASTS = timedelta(days=15 * 365)


class LocalAuthority:
    """An Issuer by one name. All issuers of one `home` share a root."""

    def __init__(self, home: Path, name: str, since: datetime) -> None:
        self.name = name
        self._home, self._since = home, since

    def anchors(self) -> bytes:
        """Return the root certificate in PEM form."""
        self._root()
        return (self._home / "root.pem").read_bytes()

    async def issue(self, request: bytes, *, at: datetime, lifetime: timedelta) -> bytes:
        """Sign a request: the chain from the leaf to this issuer, in PEM form, valid from an hour before `at`."""
        return self.sign(request, not_before=at - BACKDATED, not_after=at + lifetime)

    def takes_identities(self) -> bool:
        """Tell that it signs the names of workloads."""
        return True

    async def renewal(self, chain: bytes, *, at: datetime) -> TimeRange | None:
        """Return no window: this authority has no wish when to be asked."""
        return None

    def sign(self, request: bytes, *, not_before: datetime, not_after: datetime) -> bytes:
        """Sign a request for exactly these instants. Raises Invalid where it is not signed by its own key."""
        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            raise Invalid("the request is not signed by the key it names", reason="request_unsigned")
        public = asked.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise Invalid("keys are P-256 here", reason="key_kind")
        key, issuer = self._issuing(self._generation())
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = (
            _builder("", public, issuer.subject, not_before, not_after)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return _pem(leaf) + _pem(issuer)

    def signs_as(self) -> str:
        """Return the common name of the present generation."""
        return self._common(self._generation())

    def distrust(self) -> None:
        """Let the present generation no longer count and start the next."""
        generation = self._generation()
        gone = [*self.distrusted(), self._common(generation)]
        write_public(self._state, json.dumps({"generation": generation + 1, "distrusted": gone}).encode())

    def distrusted(self) -> tuple[str, ...]:
        """Return the common names of generations that no longer count."""
        return tuple(json.loads(self._state.read_bytes())["distrusted"]) if self._state.exists() else ()

    @property
    def _state(self) -> Path:
        return self._home / f"{self.name}.json"

    def _generation(self) -> int:
        return int(json.loads(self._state.read_bytes())["generation"]) if self._state.exists() else 1

    def _common(self, generation: int) -> str:
        return f"{self.name} {generation}"

    def _root(self) -> tuple[Key, x509.Certificate]:
        def certify(key: Key) -> x509.Certificate:
            common = "Opsmesh local root"
            built = _ca(common, key, name_of(common), self._since, path_length=1)
            return built.sign(key, hashes.SHA256())

        return _kept(self._home, "root", certify)

    def _issuing(self, generation: int) -> tuple[Key, x509.Certificate]:
        root_key, root = self._root()

        def certify(key: Key) -> x509.Certificate:
            built = _ca(self._common(generation), key, root.subject, self._since, path_length=0)
            parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
            return built.add_extension(parent, critical=False).sign(root_key, hashes.SHA256())

        return _kept(self._home, f"{self.name}-{generation}", certify)


def _kept(home: Path, name: str, certify: Callable[[Key], x509.Certificate]) -> tuple[Key, x509.Certificate]:
    """The key and certificate under a name, made once. The certificate is written last: a key without one is void."""
    held, certificate = home / f"{name}.key", home / f"{name}.pem"
    if certificate.exists():
        return read_key(held.read_bytes()), x509.load_pem_x509_certificate(certificate.read_bytes())
    key = new_key()
    made = certify(key)
    write_private(held, key_pem(key))
    write_public(certificate, _pem(made))
    return key, made


def _builder(
    common: str, key: CertificatePublicKeyTypes, issuer: x509.Name, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name_of(common) if common else x509.Name([]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _ca(common: str, key: Key, issuer: x509.Name, since: datetime, *, path_length: int) -> x509.CertificateBuilder:
    return (
        _builder(common, key.public_key(), issuer, since - BACKDATED, since + CA_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs=True), critical=True)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
