"""Certificates and secrets: when they are due, what is really served, and how both are replaced without a gap."""

from collections.abc import Mapping

from domain.command_kinds import CommandKind
from runtime.parts import RuntimeParts
from runtime.ports import Operator
from runtime.services.certificates.distrust import DistrustIssuer
from runtime.services.certificates.rotation import RotateCertificate
from runtime.services.certificates.routes import router
from runtime.services.certificates.secrets import RotateSecret

__all__ = ["operators", "router"]


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return the operators of both rotations, and of the end of trust in an issuer."""
    return {
        "certificate.rotate": RotateCertificate(parts),
        "secret.rotate": RotateSecret(parts),
        "issuer.distrust": DistrustIssuer(parts),
    }
