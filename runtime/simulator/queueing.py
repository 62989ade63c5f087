"""Queueing formulas, vectorised over services.

The exact Erlang C is here to validate the closed approximation (Sakasegawa) that the time loop uses, because the exact
recursion costs one pass per server. Response times are carried as two moments and read as a lognormal.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Utilisation above which the steady-state wait is no longer meaningful; beyond it a fluid backlog takes over.
STABLE_UTILISATION = 0.97
# Standard normal 95 % quantile.
Z95 = 1.6448536269514722
# Logistic approximation of the normal CDF, largest error 0.0095 (Bowling et al., 2009).
LOGISTIC_NORMAL = 1.702


def erlang_c(servers: int, offered_load: float) -> float:
    """Probability of waiting in M/M/c (Erlang 1917), by the stable Erlang B recursion; 1.0 when overloaded."""
    if offered_load >= servers:
        return 1.0
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = offered_load * blocking / (k + offered_load * blocking)
    utilisation = offered_load / servers
    return blocking / (1.0 - utilisation * (1.0 - blocking))


def wait_probability(servers: Floats, utilisation: Floats) -> Floats:
    """Closed approximation of Erlang C for real server counts: rho ** (sqrt(2 (c + 1)) - 1), Sakasegawa (1977)."""
    exponent = np.sqrt(2.0 * (servers + 1.0)) - 1.0
    # By logarithms, which are vectorised where powers are not; nothing waits at an idle station.
    return np.exp(exponent * np.log(np.maximum(utilisation, 1e-300)))


def wait_moments(servers: Floats, utilisation: Floats, service_s: Floats, variability: Floats) -> tuple[Floats, Floats]:
    """Mean (s) and variance (s2) of the wait in G/G/c.

    M/M/c wait is zero with probability 1-C, else exponential with rate c mu - lambda; `variability` is the
    Allen-Cunneen factor (ca2 + cs2) / 2, which is 1 for M/M/c.
    """
    probability = wait_probability(servers, utilisation)
    conditional = variability * service_s / (servers * (1.0 - utilisation))
    return probability * conditional, probability * (2.0 - probability) * conditional * conditional


def lognormal_shape(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Median and sigma of the lognormal with these two moments (mean > 0)."""
    ratio = 1.0 + variance / (mean * mean)
    return mean / np.sqrt(ratio), np.sqrt(np.log(ratio))


def spread(mean: Floats, variance: Floats) -> Floats:
    """Squared sigma of the lognormal with these two moments."""
    return np.log1p(variance / (mean * mean))


def share_beyond(log_limit: Floats, mean: Floats, variance: Floats) -> Floats:
    """`share_above` straight from moments: share of the lognormal with these above exp(log_limit)."""
    sigma2 = spread(mean, variance)
    score = (log_limit - np.log(mean) + 0.5 * sigma2) / np.maximum(np.sqrt(sigma2), 1e-6)
    return 1.0 / (1.0 + np.exp(np.minimum(LOGISTIC_NORMAL * score, 60.0)))


def share_above(limit: Floats, median: Floats, sigma: Floats) -> Floats:
    """Share of a lognormal above `limit`, by the logistic approximation of the normal tail."""
    score = np.log(limit / median) / np.maximum(sigma, 1e-6)
    return 1.0 / (1.0 + np.exp(np.clip(LOGISTIC_NORMAL * score, -60.0, 60.0)))


def attempts_until_success(failure: Floats, retries: Floats) -> Floats:
    """Mean number of attempts with up to `retries` retries: (1 - f**(r+1)) / (1 - f), the geometric sum."""
    tries = retries + 1.0
    safe = np.minimum(failure, 1.0 - 1e-9)
    return (1.0 - safe**tries) / (1.0 - safe)
