"""Planes: what a target offers the services beyond running workloads, one field per capability.

A target that lacks one leaves its field None; the service that needs it answers that it is not offered here.
"""

from dataclasses import dataclass
from typing import TypeVar

from domain.errors import Unavailable
from runtime.bills.ports import Billing
from runtime.grid.ports import GridIntensity
from runtime.injection.ports import FaultInjector, LoopWitness
from runtime.ports import TrafficPlane
from runtime.regions.ports import Regions
from runtime.stores.ports import DataPlane
from runtime.trust.ports import CertificatePlane, CredentialPlane

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Planes:
    """The capabilities of one target."""

    billing: Billing | None = None
    """Usage, prices and bills."""
    energy: GridIntensity | None = None
    """What a kilowatt hour emits where."""
    certificates: CertificatePlane | None = None
    """Where certificates lie, and the listeners that serve them."""
    credentials: CredentialPlane | None = None
    """Where logins are kept and tried."""
    faults: FaultInjector | None = None
    """Faults on purpose."""
    witness: LoopWitness | None = None
    """What Opsmesh's loop has done, where somebody is there to tell."""
    traffic: TrafficPlane | None = None
    """What each of two versions of a service does."""
    regions: Regions | None = None
    """Which regions there are, who sees them, how much room they have."""
    stores: DataPlane | None = None
    """Tenants' data, its log, its standby copies."""


def offered(plane: P | None, name: str) -> P:
    """Return the plane. Raises Unavailable naming the one that the target lacks."""
    if plane is None:
        raise Unavailable(f"this target offers no {name}", reason="plane_missing")
    return plane
