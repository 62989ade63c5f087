"""Cases of the runtime's services and workers, one file per service. A new file is one line here."""

from evals.service_cases import Case
from evals.services import (
    backup,
    capacity,
    carbon,
    certificates,
    chaos,
    compliance,
    cost,
    packs,
    packs_drift,
    packs_rollout,
    recovery,
    traffic,
)

CASES: tuple[Case, ...] = (
    *backup.CASES,
    *capacity.CASES,
    *carbon.CASES,
    *certificates.CASES,
    *chaos.CASES,
    *compliance.CASES,
    *cost.CASES,
    *packs.CASES,
    *packs_drift.CASES,
    *packs_rollout.CASES,
    *recovery.CASES,
    *traffic.CASES,
)
