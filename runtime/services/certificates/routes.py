"""`GET /runtime/certificates/{environment}`: what shall be, what lies there, what a handshake shows, what is next."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from fastapi import APIRouter

from domain.trust import CertificatesAnswer
from runtime.api.caller import Here, Services
from runtime.services.certificates.overview import certificate_statuses, secret_statuses

router = APIRouter(prefix="/runtime/certificates", tags=["certificates"])


@router.get("/{environment}")
async def certificates(runtime: Services, here: Here) -> CertificatesAnswer:
    """Look at the tenant's own certificates by handshake and at its secrets by login."""
    parts, own = runtime.parts, here.view.own()
    at = parts.clock.now()
    return CertificatesAnswer(
        environment=here.environment,
        tenant=here.tenant,
        at=at,
        certificates=await certificate_statuses(parts.planes, own, at),
        secrets=await secret_statuses(parts.planes, own),
    )
