"""What runs costs: bills kept and allocated, the rest estimated, forecasts, anomalies, advice and savings."""

from runtime.services.cost.routes import router
from runtime.services.cost.service import CostService

__all__ = ("CostService", "router")
