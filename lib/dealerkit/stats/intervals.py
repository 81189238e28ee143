"""Intervals of shares that a person may act on."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri


def wilson(k, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a share by the score test.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, without continuity
    correction; Brown, Cai, DasGupta 2001, "Interval estimation for a binomial proportion", on why not k/n ± z·s.

    Args:
        k, n: how many of how many; numbers or arrays that broadcast.
        level: coverage, between 0 and 1.

    Returns:
        Lower and upper ends, shares in 0–1 that enclose k/n; NaN where n is 0.

    Raises:
        ValueError: not 0 ≤ k ≤ n, missing values, or a level outside (0, 1).
    """
    z2 = ndtri(0.5 + _level(level) / 2) ** 2
    k, n = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(n, dtype=float))
    if not ((k >= 0) & (k <= n) & np.isfinite(n)).all():
        raise ValueError("wilson needs 0 <= k <= n, nothing missing")
    with np.errstate(invalid="ignore"):
        centre = k + z2 / 2
        half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4))
        # the ends at no case and at every case are exactly 0 and 1, whatever the rounding
        low = np.where(k == 0, 0.0, np.clip((centre - half) / (n + z2), 0, k / n))
        high = np.where(k == n, 1.0, np.clip((centre + half) / (n + z2), k / n, 1))
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError("level must be between 0 and 1")
    return level
