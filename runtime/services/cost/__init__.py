"""What runs costs: bills kept and allocated, the rest estimated, forecasts, anomalies, advice and savings."""
