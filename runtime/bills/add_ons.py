"""What add-ons cost: list prices of the managed services they stand for, USD, West Europe, 2025, rounded.

CDN: Azure Front Door Standard (35 a month, 0.9 per million requests). WAF: Application Gateway WAF v2 (fixed part).
Cache: Azure Cache for Redis Standard C1, per GiB. What is priced by the hour counts once per service.
"""

from domain.desired import ServiceState

CDN_USD_PER_HOUR, CDN_USD_PER_MILLION = 0.048, 0.9
WAF_USD_PER_HOUR = 0.443
CACHE_USD_PER_GIB_HOUR = 0.138


def usd_per_hour(state: ServiceState, regions: int) -> float:
    """Return what a service's add-ons cost per hour, requests not counted. A cache is one per region."""
    cache = 0.0 if state.cache_tier is None else state.cache_tier.memory_mib / 1024.0 * CACHE_USD_PER_GIB_HOUR
    cdn = 0.0 if state.cdn is None else CDN_USD_PER_HOUR
    return cdn + (0.0 if state.waf is None else WAF_USD_PER_HOUR) + cache * regions
