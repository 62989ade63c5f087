"""Independent random streams by concern: one concern drawing more never shifts another (common random numbers)."""

from zlib import crc32

import numpy as np


def stream(seed: int, concern: str, *more: int) -> np.random.Generator:
    """The generator of one concern of one seed; the same arguments give the same numbers."""
    return np.random.default_rng([seed, crc32(concern.encode()), *more])
