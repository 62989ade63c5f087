"""Keys, signing requests and leaf certificates: made, read and told (X.509, RFC 5280; PKCS #10, RFC 2986)."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import Invalid
from domain.trust import CertificateFacts

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Return a fresh P-256 key: what every public CA and client takes."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """Return the key as unencrypted PKCS #8: for a file that only its owner reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> Key:
    """Return the key of a PEM file. Raises Invalid for one of another kind."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Invalid("not an elliptic curve key", reason="key_kind")
    return key


def name_of(common: str) -> x509.Name:
    """Return a distinguished name of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def signing_request(key: Key, names: Sequence[str], identities: Sequence[str] = ()) -> bytes:
    """Return a PEM request for DNS names and URI identities, signed by the key."""
    alternatives: list[x509.GeneralName] = [x509.DNSName(n) for n in names]
    alternatives += [x509.UniformResourceIdentifier(i) for i in identities]
    # A common name holds 64 characters at most (X.520): the names stand in the extension, where clients look.
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def leaf_of(chain_pem: bytes) -> x509.Certificate:
    """Return the first certificate of a chain. Raises Invalid where there is none."""
    try:
        return x509.load_pem_x509_certificates(chain_pem)[0]
    except (ValueError, IndexError) as error:
        raise Invalid("no certificate can be read in the chain", reason="chain_unreadable") from error


def facts_of(leaf: x509.Certificate) -> CertificateFacts:
    """Return what is written in a leaf."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    common = leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return CertificateFacts(
        serial=f"{leaf.serial_number:x}",
        issuer=str(common[0].value) if common else leaf.issuer.rfc4514_string(),
        names=tuple(names.get_values_for_type(x509.DNSName)),
        identities=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        fingerprint=f"sha256:{leaf.fingerprint(hashes.SHA256()).hex()}",
    )
