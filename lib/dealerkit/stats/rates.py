"""Rates of many groups, one against the others."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

#: Groups differ in their true rates at least as much as with this correlation inside a group.
_LEAST_ALIKE = 0.005


def excess(k, n) -> tuple[np.ndarray, np.ndarray]:
    """Whether a group's rate is above that of the others by more than groups differ anyway.

    Each group is held against the rest: the rest's rate, and how much the groups of the rest differ (by moments, the
    furthest of them left out), give a beta-binomial distribution of its count.

    Args:
        k, n: cases and trials of each group.

    Returns:
        (rate of the rest, p): both one per group; p is the chance of k or more. NaN with fewer than two other groups.
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    rest, p = np.full(len(k), np.nan), np.full(len(k), np.nan)
    for i in range(len(k)):
        other = np.arange(len(k)) != i
        other &= n > 0
        if other.sum() < 2 or n[i] == 0:
            continue
        rest[i] = (k[other].sum() + 0.5) / (n[other].sum() + 1)
        p[i] = _at_least(k[i], n[i], rest[i], _alike(k[other], n[other]))
    return rest, p


def _alike(k, n) -> float:
    """Correlation of the cases inside a group, from how far the groups' rates are apart."""
    rate = (k.sum() + 0.5) / (n.sum() + 1)
    far = (k - n * rate) ** 2 / (n * rate * (1 - rate))
    far = np.sort(far)[:-1] if len(far) > 2 else far
    inflated = far.mean() - 1
    return float(np.clip(inflated / max(n.mean() - 1, 1), _LEAST_ALIKE, 0.9))


def _at_least(k: float, n: float, rate: float, alike: float) -> float:
    """Chance of k or more of n, beta-binomial."""
    if k <= 0:
        return 1.0
    size = (1 - alike) / alike
    a, b = rate * size, (1 - rate) * size
    j = np.arange(int(k), int(n) + 1)
    ways = gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1)
    return float(min(1.0, np.exp(ways + betaln(j + a, n - j + b) - betaln(a, b)).sum()))
