"""The runtime's workers: proposers that look at the platform on a timer or a signal, governed like agents.

A worker reads through ports and services and returns findings; it cannot act. A new worker is one file, one row here.
"""

from runtime.worker import Worker
from runtime.workers.capacity_forecast import CapacityForecastWorker
from runtime.workers.certificate_rotation import CertificateRotationWorker
from runtime.workers.compliance_drift import ComplianceDriftWorker
from runtime.workers.cost_anomaly import CostAnomalyWorker
from runtime.workers.disaster_recovery import DisasterRecoveryWorker

WORKERS: tuple[Worker, ...] = (
    CapacityForecastWorker(),
    CertificateRotationWorker(),
    ComplianceDriftWorker(),
    CostAnomalyWorker(),
    DisasterRecoveryWorker(),
)
