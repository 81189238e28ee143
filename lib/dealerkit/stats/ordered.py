"""Scores on a scale as customers give them: shifted as a whole from one employee to another, scattered alike."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc, gammainc, ndtr, ndtri

#: Shifts tried, in standard deviations of the scores of one employee.
_SHIFTS = np.round(np.arange(-3, 3.001, 0.05), 2)
#: Shares of copied scores tried.
_SHARES = np.round(np.arange(0, 1.0001, 0.02), 2)
_TINY = 1e-12
#: Honest employees' scatter differs by about so much (standard deviation of its logarithm): their customers differ.
_SCATTER = 0.2


def cut_points(counts, within: float = 1.0) -> np.ndarray:
    """Where the usual customer's opinion, a standard normal, passes from one score to the next.

    Args:
        counts: how often each score of the scale was given, from the lowest up.
        within: standard deviation of the opinions on one employee, as a share of that of all: where employees differ,
            those on one are closer together.

    Returns:
        One point fewer than scores.
    """
    counts = np.asarray(counts, dtype=float) + 0.1
    return ndtri(np.cumsum(counts)[:-1] / counts.sum()) / within


def chances(cuts, shifts) -> np.ndarray:
    """Chance of each score where opinions are better by a shift: ordered probit, one row per shift."""
    below = ndtr(np.asarray(cuts)[None, :] - np.atleast_1d(np.asarray(shifts, dtype=float))[:, None])
    ends = np.column_stack([np.zeros(len(below)), below, np.ones(len(below))])
    return np.clip(np.diff(ends, axis=1), _TINY, 1)


def shift_of(counts, cuts) -> tuple[float, float]:
    """(the shift under which the scores are most likely, its standard error)."""
    likelihood = np.log(chances(cuts, _SHIFTS)) @ np.asarray(counts, dtype=float)
    best = int(np.argmax(likelihood))
    inner = min(max(best, 1), len(_SHIFTS) - 2)
    bend = likelihood[inner - 1] - 2 * likelihood[inner] + likelihood[inner + 1]
    step = _SHIFTS[1] - _SHIFTS[0]
    return float(_SHIFTS[best]), float(step / np.sqrt(max(-bend, _TINY)))


def copied(counts, cuts, score: int, most: float) -> tuple[float, float, float, float]:
    """The share of scores that were copied rather than given, all of them one and the same.

    The scores given are better than usual by any shift up to ``most``; the share is the likeliest one, its interval the
    shares whose likelihood is not far below. p does not rest on it, since customers' scores have a shape of their own:
    it is the chance that so many are the one score by the shift that explains it best.

    Args:
        counts: how often each score was given.
        cuts: of the usual customer (`cut_points`).
        score: place of the score that may be copied.
        most: largest shift that can be honest.

    Returns:
        (share, low, high, p): the likeliest share, the ends of its 95 % interval, and the chance of so many of that score
        when none was copied.
    """
    counts = np.asarray(counts, dtype=float)
    given = chances(cuts, _SHIFTS[_SHIFTS <= most + 1e-9])
    one = np.zeros(given.shape[1])
    one[score] = 1
    mixed = (1 - _SHARES)[:, None, None] * given[None, :, :] + _SHARES[:, None, None] * one
    profile = (np.log(np.maximum(mixed, _TINY)) @ counts).max(axis=1)
    best = int(np.argmax(profile))
    within = np.flatnonzero(profile >= profile[best] - 1.921)  # half the 95 % point of χ² with one degree of freedom
    likely = given[:, score].max()
    p = float(bdtrc(int(counts[score]) - 1, int(counts.sum()), likely)) if counts[score] else 1.0
    return float(_SHARES[best]), float(_SHARES[within[0]]), float(_SHARES[within[-1]]), p


def evenness(counts, cuts, most: float) -> tuple[float, float, float, float]:
    """How much less the scores scatter than those of anybody as good.

    Args:
        counts, cuts, most: as for `copied`.

    Returns:
        (ratio, low, high, p): standard deviation against the one expected at the likeliest honest shift, the ends of its
        95 % interval, and the chance of scattering so little; the sum of squares taken as a gamma variable with the mean
        and variance that the chances give.
    """
    counts = np.asarray(counts, dtype=float)
    values, n = np.arange(len(counts), dtype=float), counts.sum()
    shift = min(shift_of(counts, cuts)[0], most)
    chance = chances(cuts, [shift])[0]
    mean = chance @ values
    variance, fourth = chance @ (values - mean) ** 2, chance @ (values - mean) ** 4
    own = counts @ (values - counts @ values / n) ** 2
    expected = (n - 1) * variance
    spread = (n - 1) ** 2 / n * (fourth - variance**2 * (n - 3) / (n - 1))
    shape = 1 / (spread / max(expected**2, _TINY) + 4 * _SCATTER**2)
    p = float(gammainc(shape, own * shape / max(expected, _TINY)))
    ratio, wide = np.sqrt(own / max(expected, _TINY)), 0.98 / np.sqrt(shape)  # half of 1.96: of a root
    return float(ratio), float(ratio * np.exp(-wide)), float(ratio * np.exp(wide)), p
