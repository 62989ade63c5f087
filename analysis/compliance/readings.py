"""The digest of all that any rule reads of one resource: the same digest, the same verdict of the same control.

Time is in it only as far as verdicts change with it: whole days that a certificate has left, and whether it has ended.
"""

import hashlib
from datetime import timedelta

from pydantic import BaseModel

from analysis.compliance.estate import Estate
from domain.ids import TenantId
from domain.topology import EntityKind


def reading_digest(estate: Estate, kind: EntityKind, name: str) -> bytes:
    """Return the digest of one resource as the estate shows it."""
    match kind:
        case "service":
            said = _service(estate, name)
        case "data_store":
            said = [_text(estate.data_stores.get(name)), _text(estate.state.data_stores.get(name))]
        case "certificate":
            certificate = estate.certificates[name]
            said = [_text(certificate), str((certificate.not_after - estate.at) // timedelta(days=1))]
        case _:
            said = _tenant(estate, TenantId(name))
    owner = estate.owner(kind, name)
    concerned = estate.concerned(kind, name)
    allowed = estate.allowed_regions(concerned)
    said += [
        f"{kind}/{name}", str(owner), str(estate.isolation(owner)), *sorted(concerned),
        "unknown" if allowed is None else " ".join(sorted(allowed)),
        *sorted(t for t in concerned if t not in estate.bindings),
        str(f"{kind}/{name}" in estate.unsettled),
    ]  # fmt: skip
    return hashlib.sha256("\x1f".join(said).encode()).digest()


def _service(estate: Estate, name: str) -> list[str]:
    service = estate.services.get(name)
    zones = [f"{r}={','.join(sorted(estate.zones.get(r, ())))}" for r in (service.regions if service else ())]
    served = [f"{_text(c)}{c.not_after <= estate.at}" for c in estate.served_by.get(name, ())]
    return [_text(service), _text(estate.state.services.get(name)), *zones, *served]


def _tenant(estate: Estate, tenant: TenantId) -> list[str]:
    stands_on = sorted(estate.stands_on.get(tenant, ()))
    sharers = [f"{a}={','.join(sorted(estate.sharing.get(a, ('unknown',))))}" for a in stands_on]
    own = sorted(d.id for d in estate.data_stores.values() if d.tenant == tenant)
    return [_text(estate.bindings[tenant]), _text(estate.settings(tenant)), *sharers, *own]


def _text(value: BaseModel | None) -> str:
    return "" if value is None else value.model_dump_json()
