"""Intervals for the figures that a person may act on: Wilson for shares, bootstrap for the rest."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

#: Statistics that `bootstrap_interval` knows.
STATISTICS = ("mean", "median", "ratio")

_BLOCK = 100_000  # draws at once: as many as the processor's own memory holds


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


def bootstrap_interval(
    values, statistic: str, repeats: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a mean, a median or a ratio of sums.

    Efron, Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13. Whole rows are drawn with replacement. The
    time of a mean and a ratio grows with rows × repeats (a million rows × 1,000: some 10 s); that of a median does
    not grow with rows beyond sorting them, since the ranks that its samples hit are drawn directly.

    Args:
        values: numbers; for "ratio" rows of (numerator, denominator), as in yuan and visits per customer.
        statistic: one of `STATISTICS`.
        repeats: samples drawn.
        seed: of the random numbers; the same seed and rows, in any order, give the same interval.
        level: coverage, between 0 and 1.

    Returns:
        Lower and upper end; NaN without rows. Samples whose denominators add up to 0 have no ratio and do not count.

    Raises:
        ValueError: unknown statistic, wrong shape, missing or infinite values, no repeats, level outside (0, 1).
    """
    values, tail = np.asarray(values, dtype=float), (1 - _level(level)) / 2
    if statistic not in STATISTICS:
        raise ValueError(f"statistic {statistic!r} is not one of {', '.join(STATISTICS)}")
    if values.size == 0:
        return np.nan, np.nan
    if values.ndim != (2 if statistic == "ratio" else 1) or (statistic == "ratio" and values.shape[1] != 2):
        raise ValueError("ratio takes rows of two numbers, mean and median take one number a row")
    if not np.isfinite(values).all() or repeats < 1:
        raise ValueError("values must not be missing or infinite, and repeats must be 1 or more")
    rng = np.random.default_rng(seed)
    # sorted, so that the same rows in any order give the same bits
    values = np.sort(values) if values.ndim == 1 else values[np.lexsort(values.T[::-1])]
    draws = _medians(values, repeats, rng) if statistic == "median" else _means(values, repeats, rng)
    draws = draws[np.isfinite(draws)]
    if not draws.size:
        return np.nan, np.nan
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _means(values, repeats, rng) -> np.ndarray:
    """Means, or ratios of the sums of two columns, of samples drawn with replacement."""
    n, draws = len(values), []
    block = max(1, _BLOCK // n)
    for start in range(0, repeats, block):
        rows = rng.integers(0, n, size=(min(block, repeats - start), n), dtype=np.uint32)
        if values.ndim == 1:
            draws.append(values[rows].mean(axis=1))
        else:
            top, bottom = values[rows, 0].sum(axis=1), values[rows, 1].sum(axis=1)
            draws.append(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom != 0))
    return np.concatenate(draws)


def _medians(values, repeats, rng) -> np.ndarray:
    """Medians of samples of sorted values drawn with replacement, without drawing the samples.

    A sample's m-th smallest value is the one at rank ⌈nU⌉, U being the m-th smallest of n uniform numbers: Beta(m,
    n−m+1). For an even n the next one is needed too; above U it is the smallest of the n−m others.
    """
    n = len(values)
    m = (n + 1) // 2
    u = rng.beta(m, n - m + 1, size=repeats)
    middle = values[_rank(u, n)]
    if n % 2:
        return middle
    following = u + (1 - u) * rng.beta(1, n - m, size=repeats)
    return (middle + values[_rank(following, n)]) / 2


def _rank(u, n) -> np.ndarray:
    return np.minimum((u * n).astype(np.int64), n - 1)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError("level must be between 0 and 1")
    return level
