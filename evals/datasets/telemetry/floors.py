"""Trivial baselines that every figure is printed beside."""

import numpy as np

from analysis.observing import observations_of
from domain.evidence import EvidencePack


def zscore_ranking(pack: EvidencePack) -> tuple[tuple[str, float], ...]:
    """Rank entities by their largest plain z-score over all series: no floor, no graph, no abstention.

    A constant baseline has no deviation and scores nothing, which is the known trap of this rule.
    """
    best: dict[str, float] = {}
    for one in observations_of(pack).series:
        seen = one.baseline[np.isfinite(one.baseline)]
        now = one.current[np.isfinite(one.current)]
        if seen.size < 2 or not now.size or seen.std() == 0:
            continue
        score = float(np.max(np.abs(now - seen.mean())) / seen.std())
        best[one.entity] = max(best.get(one.entity, 0.0), score)
    return tuple(sorted(best.items(), key=lambda pair: -pair[1]))
