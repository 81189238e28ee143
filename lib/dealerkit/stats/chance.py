"""What chance alone would make: of many tests at once, and of two samples of one population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from dealerkit.messages import N_

STEADY = N_("steady")
SMALL = N_("moved a little")
MOVED = N_("moved")
FAR = N_("moved far")

#: The customary marks of the index, which know nothing of the size of the samples.
SMALL_BELOW, FAR_FROM = 0.10, 0.25


@dataclass(frozen=True)
class Drift:
    """How far a distribution moved.

    Attributes:
        value: population stability index.
        bound: what it stays below by chance alone, at the level asked for.
        verdict: `STEADY` (chance explains it), `SMALL`, `MOVED` or `FAR`.
    """

    value: float
    bound: float
    verdict: str


def false_discovery(p_values) -> np.ndarray:
    """p-values adjusted so that those called at 5 % hold 5 % false calls on average.

    Benjamini, Hochberg 1995, "Controlling the false discovery rate", JRSS B 57(1); the smallest of p·m/rank over the
    ranks from its own upwards.

    Args:
        p_values: numbers in 0–1; missing ones are tests that could not be made, and do not count.

    Returns:
        Adjusted values in the order given, at most 1; NaN where missing.

    Raises:
        ValueError: a value outside 0–1.
    """
    p = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError("p-values lie between 0 and 1")
    adjusted = np.full(len(p), np.nan)
    order = known[np.argsort(p[known], kind="stable")[::-1]]
    ranks = np.arange(len(known), 0, -1)
    adjusted[order] = np.minimum(1, np.minimum.accumulate(p[order] * len(known) / ranks))
    return adjusted


def psi(before, after, level: float = 0.95) -> Drift:
    """Population stability index of counts per bin, with what chance alone would make of samples of their sizes.

    Σ (q − p)·ln(q/p). When both samples come from one population it is spread like (1/n + 1/m)·χ² with one degree of
    freedom fewer than bins: Yurdakul, Naranjo 2020, "Statistical properties of the population stability index",
    Journal of Risk Model Validation 14(4). So a small sample may reach .10 by chance, and a large one moves at .01.

    Args:
        before, after: counts in the same bins, of one sample and of a later one. Bins empty in both do not count;
            where one of them is empty, both samples get half a case more in every bin.
        level: of the bound.

    Returns:
        Drift: `STEADY` when the index is within the bound; beyond it `SMALL` below .10, `MOVED` below .25, else `FAR`.

    Raises:
        ValueError: bins that do not match, negative counts, or an empty sample.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError("both samples need counts in the same bins")
    if (before < 0).any() or (after < 0).any() or not before.sum() or not after.sum():
        raise ValueError("counts are 0 or more, and no sample is empty")
    used = (before + after) > 0
    before, after = before[used], after[used]
    scale, freedom = 1 / before.sum() + 1 / after.sum(), len(before) - 1
    if (before * after == 0).any():
        before, after = before + 0.5, after + 0.5
    p, q = before / before.sum(), after / after.sum()
    value = float(np.sum((q - p) * np.log(q / p)))
    bound = float(scale * 2 * gammaincinv(freedom / 2, level)) if freedom else 0.0
    moved = SMALL if value < SMALL_BELOW else MOVED if value < FAR_FROM else FAR
    return Drift(value, bound, moved if value > bound else STEADY)
