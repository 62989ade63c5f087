"""Labels and attributes of other systems that name a canonical dimension, as a table.

A value that does not fit its dimension (a service name with a space) stays a label only: an odd label must not cost
the alert.
"""

import re
from collections.abc import Mapping

from domain.base import Severity
from domain.events import Dimensions

NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("environmentid", ("environmentid", "environment", "env", "deployment.environment.name", "deployment.environment")),
    ("serviceid", ("serviceid", "service", "service.name", "app", "app_kubernetes_io_name")),
    ("region", ("region", "cloud.region")),
    ("computetarget", ("computetarget", "cluster", "k8s.cluster.name")),
    ("deploymentid", ("deploymentid", "deployment", "k8s.deployment.name")),
    ("traceparent", ("traceparent",)),
    ("correlationid", ("correlationid",)),
)
"""Dimension, and the names under which senders state it, first found wins: the platform's own, Prometheus habit,
OpenTelemetry semantic conventions."""
SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "sev0": "critical",
    "error": "error",
    "high": "error",
    "sev1": "error",
    "warning": "warning",
    "warn": "warning",
    "sev2": "warning",
    "info": "info",
    "none": "info",
    "sev3": "info",
    "sev4": "info",
}
"""Prometheus habit and Azure Monitor's five levels; any other word counts as a warning."""
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


def labelled(labels: Mapping[str, str]) -> Dimensions:
    """Return the dimensions the labels name."""
    found: dict[str, str] = {}
    for dimension, names in NAMES:
        value = next((labels[name] for name in names if labels.get(name)), "")
        if _SLUG.fullmatch(value):
            found[dimension] = value
    stated = labels.get("severity", "").lower()
    found["severity"] = SEVERITIES.get(stated, "warning")
    return Dimensions.model_validate(found)
