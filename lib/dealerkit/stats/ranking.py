"""How well scores rank and hit, with bootstrap intervals that keep the rows of a person together.

Every measure is computed for weighted rows, so that a bootstrap sample is a column of counts and many samples are
computed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from dealerkit.stats.intervals import wilson
from dealerkit.stats.logistic import logistic

#: Measures of `measures`, in the order of its rows. "calibration" is the mean distance of predicted and observed
#: rates over ten bins of equal size; the lift is the rate in the top tenth over that of all.
MEASURES = ("auc", "average_precision", "brier", "slope", "intercept", "expected_observed", "lift_tenth", "calibration")

_BLOCK = 100_000  # weights at once: as many as the processor's own memory holds, which takes a quarter of the time
_EDGE = 1e-6  # probabilities are kept so far from 0 and 1 where their logit is taken


def auc(outcome, score) -> float:
    """Chance that a row with the outcome has a higher score than one without; ties count half.

    Hanley, McNeil 1982, "The meaning and use of the area under a ROC curve", Radiology 143(1). NaN when the
    outcome does not vary.
    """
    y = np.asarray(outcome, dtype=float)
    return auc_of(np.asarray(score, dtype=float), y, 1 - y)


def auc_of(score, events, others) -> float:
    """`auc` of groups of rows by their score: rows with the outcome, and rows without it, in each group."""
    pairs = events.sum() * others.sum()
    if not pairs:
        return np.nan
    tie = np.unique(score, return_inverse=True)[1]
    hits, rest = np.bincount(tie, events), np.bincount(tie, others)
    return float(hits @ (np.cumsum(rest) - rest / 2) / pairs)


def group_draws(groups, repeats: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each row is drawn when whole groups are drawn with replacement, a block of samples at a time.

    Field, Welsh 2007, "Bootstrapping clustered data", JRSS B 69(3): rows of one person are not independent.

    Args:
        groups: group of each row; the draws depend on their sorted values, not on the order of the rows.
        repeats: samples in all.
        seed: of the random numbers.

    Yields:
        Counts as floats, some samples × rows.
    """
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    n, rng = len(names), np.random.default_rng(seed)
    block = max(1, _BLOCK // max(1, len(codes)))
    for start in range(0, repeats, block):
        draws = np.empty((min(block, repeats - start), len(codes)))
        for sample in draws:
            sample[:] = np.bincount(rng.integers(0, n, size=n, dtype=np.uint32), minlength=n)[codes]
        yield draws


def measures(
    outcome, probabilities: dict, groups, repeats: int, seed: int = 0, which=MEASURES
) -> tuple[pd.DataFrame, np.ndarray]:
    """Measures of several sets of probabilities of the same rows, and of the same bootstrap samples of them.

    Slope and intercept are those of a logistic regression of the outcome on the log-odds predicted (Cox 1958; 1 and 0
    when calibrated); in a sample they are one Newton step from those of all rows. Average precision as in Davis,
    Goadrich 2006. The lift and the bins of "calibration" share ties out.

    Args:
        outcome: 0 or 1 for each row.
        probabilities: name → probability of each row.
        groups: group of each row; whole groups are drawn.
        repeats, seed: of the bootstrap.
        which: measures wanted, out of `MEASURES`.

    Returns:
        Frame with one row per name and one column per measure; samples as an array names × repeats × measures, whose
        differences between names are paired. NaN where the outcome does not vary.
    """
    y = np.asarray(outcome, dtype=float)
    ranked = {name: _Ranked(y, np.asarray(p, dtype=float)) for name, p in probabilities.items()}
    known = [_some(r, np.ones((1, len(y))), which)[0] for r in ranked.values()]
    samples = np.full((len(ranked), repeats, len(which)), np.nan)
    start = 0
    for draws in group_draws(groups, repeats, seed):
        for i, r in enumerate(ranked.values()):
            samples[i, start : start + len(draws)] = _some(r, draws, which)
        start += len(draws)
    return pd.DataFrame(known, index=list(ranked), columns=list(which)), samples


def calibration_table(outcome, probability, bins: int = 10) -> pd.DataFrame:
    """Predicted and observed rates in bins of about equal size.

    Returns:
        Frame with one row per bin, lowest first: bin, n, events, predicted (mean), observed, low, high (Wilson).
        Equal probabilities stay in one bin, so there may be fewer.
    """
    y, p = np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)
    cuts = np.unique(np.quantile(p, np.arange(1, bins) / bins)) if len(p) else np.array([])
    made = (
        pd.DataFrame({"bin": np.searchsorted(cuts, p, side="left"), "y": y, "p": p})
        .groupby("bin")
        .agg(n=("y", "size"), events=("y", "sum"), predicted=("p", "mean"), observed=("y", "mean"))
        .reset_index(drop=True)
    )
    made["low"], made["high"] = wilson(made["events"], made["n"])
    made["events"] = made["events"].astype(int)
    made.insert(0, "bin", range(1, len(made) + 1))
    return made


class _Ranked:
    """Rows by falling score, with the first row of each run of equal scores."""

    def __init__(self, y, score):
        self.order = np.argsort(-score, kind="stable")
        self.y, self.p = y[self.order], score[self.order]
        self.starts = np.flatnonzero(np.r_[True, self.p[1:] != self.p[:-1]])[: len(score)]
        self.line = _Line(self.y, self.p)

    def runs(self, weights) -> np.ndarray:
        """Weights summed over runs of equal scores."""
        return np.add.reduceat(weights, self.starts, axis=1) if len(self.starts) < len(self.y) else weights


class _Line:
    """Logistic regression of the outcome on the predicted log-odds, and what a Newton step from it needs."""

    def __init__(self, y, p):
        self.x = logit(np.clip(p, _EDGE, 1 - _EDGE))
        self.fixed = np.ptp(self.x) < 1e-9 if len(y) else True
        self.beta = (
            np.zeros(2) if self.fixed else logistic(np.column_stack([np.ones_like(self.x), self.x]), y, [0, 0])[0]
        )
        mu = expit(self.beta[0] + self.beta[1] * self.x)
        v = mu * (1 - mu)
        self.terms = np.column_stack([y - mu, (y - mu) * self.x, v, v * self.x, v * self.x**2])

    def fits(self, weights) -> np.ndarray:
        """Intercept and slope for each row of weights."""
        if self.fixed:
            return np.full((len(weights), 2), np.nan)
        r, rx, v, vx, vxx = (weights @ self.terms).T
        with np.errstate(invalid="ignore", divide="ignore"):
            det = v * vxx - vx**2
            return self.beta + np.column_stack([(vxx * r - vx * rx) / det, (v * rx - vx * r) / det])


def _some(ranked: _Ranked, weights, which) -> np.ndarray:
    """Measures for each row of weights."""
    w = weights[:, ranked.order]
    y, p = ranked.y, ranked.p
    total, events = w.sum(axis=1), w @ y
    with np.errstate(invalid="ignore", divide="ignore"):
        rows, hits = ranked.runs(w), ranked.runs(w * y)
        to_rows, to_hits = np.cumsum(rows, axis=1), np.cumsum(hits, axis=1)
        line = cache(lambda: ranked.line.fits(w))
        made = {
            "auc": lambda: _auc_of(rows, hits, to_rows, to_hits),
            "average_precision": lambda: _precision_of(hits, to_rows, to_hits),
            "brier": lambda: w @ (p - y) ** 2 / total,
            "slope": lambda: line()[:, 1],
            "intercept": lambda: line()[:, 0],
            "expected_observed": lambda: w @ p / events,
            "lift_tenth": lambda: _tops(to_rows, to_hits, total, [0.1])[:, 0] / (0.1 * events),
            "calibration": lambda: _distance(ranked.runs(w * p), to_rows, to_hits, total),
        }
        varies = np.where((events > 0) & (events < total), 1.0, np.nan)
        return np.column_stack([made[name]() for name in which]) * varies[:, None]


def _precision_of(hits, to_rows, to_hits) -> np.ndarray:
    return (np.where(to_rows > 0, to_hits / to_rows, 0) * hits).sum(axis=1) / to_hits[:, -1]


def _auc_of(rows, hits, to_rows, to_hits) -> np.ndarray:
    pairs = to_hits[:, -1] * (to_rows - to_hits)[:, -1]
    return ((rows - hits) * (to_hits - hits / 2)).sum(axis=1) / pairs


def _tops(to_rows, to_sum, total, shares) -> np.ndarray:
    """Sums over the rows with the highest scores, up to each share of the weights; a run on the border in part."""
    samples, runs = to_rows.shape
    ends = np.multiply.outer(total, shares)
    # samples one after the other, so that one search finds all ends
    shift = np.arange(samples)[:, None] * (total.max() + 1)
    at = np.searchsorted((to_rows + shift).ravel(), (ends + shift).ravel(), side="right").reshape(ends.shape)
    at = np.minimum(at - np.arange(samples)[:, None] * runs, runs - 1)

    def before(sums):
        return np.where(at > 0, np.take_along_axis(sums, np.maximum(at - 1, 0), axis=1), 0)

    rows, sums = before(to_rows), before(to_sum)
    width = np.take_along_axis(to_rows, at, axis=1) - rows
    part = np.divide(ends - rows, width, out=np.ones_like(ends), where=width > 0)
    return sums + np.minimum(part, 1) * (np.take_along_axis(to_sum, at, axis=1) - sums)


def _distance(predicted, to_rows, to_hits, total) -> np.ndarray:
    """Mean distance of predicted and observed rates over ten bins of equal weight."""
    gap = np.cumsum(predicted, axis=1) - to_hits
    return np.abs(np.diff(_tops(to_rows, gap, total, np.arange(11) / 10), axis=1)).sum(axis=1) / total
