"""How well scores rank and hit, with bootstrap intervals that keep the rows of a person together.

Every measure is computed for weighted rows, so that a bootstrap sample is a column of counts and many samples are
computed at once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from dealerkit.stats.intervals import wilson

#: Measures of `measures`, in the order of its rows. "calibration" is the mean distance of predicted and observed
#: rates over ten bins of equal size; the lift is the rate in the top tenth over that of all.
MEASURES = ("auc", "average_precision", "brier", "slope", "intercept", "expected_observed", "lift_tenth", "calibration")

_BLOCK = 4_000_000  # weights held in memory at once
_EDGE = 1e-6  # probabilities are kept so far from 0 and 1 where their logit is taken


def auc(outcome, score) -> float:
    """Chance that a row with the outcome has a higher score than one without; ties count half.

    Hanley, McNeil 1982, "The meaning and use of the area under a ROC curve", Radiology 143(1). NaN when the
    outcome does not vary.
    """
    y, score = np.asarray(outcome, dtype=float), np.asarray(score, dtype=float)
    return float(_auc(_Ranked(y, score), np.ones((1, len(y))))[0])


def group_draws(groups, repeats: int, seed: int = 0) -> np.ndarray:
    """How often each row is drawn when whole groups are drawn with replacement.

    Field, Welsh 2007, "Bootstrapping clustered data", JRSS B 69(3): rows of one person are not independent.

    Args:
        groups: group of each row; the draws depend on their sorted values, not on the order of the rows.
        repeats: samples.
        seed: of the random numbers.

    Returns:
        Counts as uint16, repeats × rows.
    """
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    n, rng = len(names), np.random.default_rng(seed)
    draws = np.empty((repeats, len(codes)), dtype=np.uint16)
    for sample in draws:
        sample[:] = np.bincount(rng.integers(0, n, size=n, dtype=np.uint32), minlength=n)[codes]
    return draws


def measures(outcome, probability, draws: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """All `MEASURES` of one set of probabilities, and of each bootstrap sample.

    Slope and intercept are those of a logistic regression of the outcome on the log-odds predicted (Cox 1958; 1 and 0
    when calibrated); in a sample they are one Newton step from those of all rows. Average precision as in Davis,
    Goadrich 2006. The lift and the bins share ties out.

    Args:
        outcome: 0 or 1.
        probability: between 0 and 1.
        draws: counts of `group_draws`, samples × rows.

    Returns:
        Values by measure, and samples × measures. NaN where the outcome does not vary.
    """
    y, p = np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)
    ranked, line = _Ranked(y, p), _Line(y, p)
    one = _all(ranked, line, y, p, np.ones((1, len(y))))[0]
    step = max(1, _BLOCK // max(1, len(y)))
    parts = [
        _all(ranked, line, y, p, draws[start : start + step].astype(float)) for start in range(0, len(draws), step)
    ]
    samples = np.concatenate(parts) if parts else np.empty((0, len(MEASURES)))
    return pd.Series(one, index=list(MEASURES)), samples


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
        falling = score[self.order]
        self.starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]]) if len(score) else np.array([], int)
        self.y, self.p = y[self.order], falling

    def runs(self, weights) -> np.ndarray:
        """Weights summed over runs of equal scores."""
        return np.add.reduceat(weights, self.starts, axis=1) if len(self.starts) else weights


class _Line:
    """Logistic regression of the outcome on the predicted log-odds, and what a Newton step from it needs."""

    def __init__(self, y, p):
        self.x = logit(np.clip(p, _EDGE, 1 - _EDGE))
        self.fixed = np.ptp(self.x) < 1e-9 if len(y) else True
        self.beta = np.zeros(2) if self.fixed else _newton(self.x, y)
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


def _newton(x, y) -> np.ndarray:
    """Intercept and slope of the logistic regression of y on x (maximum likelihood, a touch of ridge at separation)."""
    beta, design = np.zeros(2), np.column_stack([np.ones_like(x), x])
    for _round in range(50):
        mu = expit(design @ beta)
        hessian = design.T @ (design * (mu * (1 - mu))[:, None]) + 1e-8 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (y - mu))
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return beta


def _all(ranked, line, y, p, weights) -> np.ndarray:
    total, events = weights.sum(axis=1), weights @ y
    with np.errstate(invalid="ignore", divide="ignore"):
        varies = np.where((events > 0) & (events < total), 1.0, np.nan)
        intercept, slope = line.fits(weights).T
        falling = weights[:, ranked.order]
        rows, hits = ranked.runs(falling), ranked.runs(falling * ranked.y)
        below_rows, below_hits = np.cumsum(rows, axis=1), np.cumsum(hits, axis=1)
        rank = _auc_of(rows, hits, below_rows, below_hits)
        precision = (np.where(below_rows > 0, below_hits / below_rows, 0) * hits).sum(axis=1) / events
        top = _tops(below_rows, below_hits, total, [0.1])[:, 0]
        columns = [
            rank,
            precision,
            weights @ (p - y) ** 2 / total,
            slope,
            intercept,
            weights @ p / events,
            top / (0.1 * events),
            _distance(ranked, falling, below_rows, below_hits, total),
        ]
    return np.column_stack(columns) * varies[:, None]


def _auc(ranked, weights) -> np.ndarray:
    falling = weights[:, ranked.order]
    rows, hits = ranked.runs(falling), ranked.runs(falling * ranked.y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _auc_of(rows, hits, np.cumsum(rows, axis=1), np.cumsum(hits, axis=1))


def _auc_of(rows, hits, below_rows, below_hits) -> np.ndarray:
    others = rows - hits
    events, rest = below_hits[:, -1], (below_rows - below_hits)[:, -1]
    return (others * (below_hits - hits / 2)).sum(axis=1) / (events * rest)


def _tops(below_rows, below, total, shares) -> np.ndarray:
    """Sums over the rows with the highest scores, up to each share of the weights; a run on the border in part."""
    made = np.empty((len(total), len(shares)))
    for i, end in enumerate(total):
        made[i] = np.interp(np.multiply(shares, end), np.r_[0, below_rows[i]], np.r_[0, below[i]])
    return made


def _distance(ranked, falling, below_rows, below_hits, total) -> np.ndarray:
    """Mean distance of predicted and observed rates over ten bins of equal weight."""
    tenths = np.arange(0, 11) / 10
    predicted = np.cumsum(ranked.runs(falling * ranked.p), axis=1)
    gap = np.diff(_tops(below_rows, predicted - below_hits, total, tenths), axis=1)
    return np.abs(gap).sum(axis=1) / total
