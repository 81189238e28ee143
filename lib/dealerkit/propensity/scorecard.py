"""The readable model: logistic regression on the weights of evidence of discretised variables."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from dealerkit import stats

MAX_VARIABLES = 12
MIN_INFORMATION = 0.01

_MOST_BINS = 8
_PRIOR_ROWS = 20.0  # average rows thought into each bin
_RIDGE = 6.0  # penalty on the squared weights but the constant's, in cases
_PRICE = 2.71  # chi-square at 10 %: what a variable must gain
_PRICE_AGAINST = 3.84  # at 5 %: where its weight, or another one's, turns negative by it
_PRICE_PER_ROW = 1e-4  # of many rows anything gains something; less than this is not worth a line to read


@dataclass(frozen=True)
class Variable:
    """One variable of the scorecard.

    Attributes:
        binning: how its values fall into bins.
        n, events: training rows in each bin, and those of them with the outcome.
        evidence: weight of evidence of each bin.
        weight: of its weight of evidence in the sum.
    """

    binning: stats.Binning
    n: np.ndarray
    events: np.ndarray
    evidence: np.ndarray
    weight: float

    @property
    def parts(self) -> np.ndarray:
        """What each bin adds to the log-odds."""
        return self.weight * self.evidence


@dataclass(frozen=True)
class Scorecard:
    """Score = e^L / (1 + e^L), L = constant + Σ weight × weight of evidence of the bin.

    Attributes:
        constant: of the sum.
        variables: in the order of what they tell, best first; none when nothing tells anything.
    """

    constant: float
    variables: tuple[Variable, ...]

    def parts(self, rows: pd.DataFrame) -> np.ndarray:
        """What each variable adds to the log-odds of each row, rows × variables."""
        found = [v.parts[v.binning.assign(rows[v.binning.factor])] for v in self.variables]
        return np.column_stack(found) if found else np.zeros((len(rows), 0))

    def log_odds(self, rows: pd.DataFrame) -> np.ndarray:
        """L of each row; added up column by column, so that a row's value does not depend on the others."""
        total = np.full(len(rows), self.constant)
        for column in self.parts(rows).T:
            total = total + column
        return total

    def calibrated(self, intercept: float, slope: float) -> Scorecard:
        """The scorecard of intercept + slope × L; without variables when nothing of L is left."""
        if slope == 0:
            return Scorecard(intercept, ())
        variables = tuple(replace(v, weight=v.weight * slope) for v in self.variables)
        return Scorecard(intercept + slope * self.constant, variables)


def fit_scorecard(columns: stats.Columns, y: np.ndarray) -> Scorecard:
    """Scorecard of the few variables that tell most, found one by one.

    Each step takes in the variable with the largest score statistic (Rao 1948) and fits anew. It ends at
    `MAX_VARIABLES`, or when no variable gains enough. A variable by which a weight turns negative must gain more: its
    points run against the rates of its bins, since other variables tell the same better.

    Args:
        columns: that may be used, of the training rows.
        y: outcome, 0 or 1.
    """
    base, binnings = float(logit(y.mean())), stats.discretise_all(columns, y, _MOST_BINS)
    bins, first = columns.bins(binnings)
    n, events = (np.bincount(bins, c, first[-1]).astype(int) for c in (columns.counts(), columns.counts(y)))
    weight, information = stats.evidence(n, events, len(y), y.sum(), _PRIOR_ROWS)
    tell = np.flatnonzero(np.add.reduceat(information, first[:-1]) >= MIN_INFORMATION)
    if not len(tell):
        return Scorecard(base, ())
    chosen, beta = _stepwise(weight[bins][columns.cells[:, tell]], y, base)
    variables = []
    for j, own_weight in zip(tell[chosen], beta[1:]):
        own = slice(first[j], first[j + 1])
        variables.append(Variable(binnings[j], n[own], events[own], weight[own], float(own_weight)))
    variables.sort(key=lambda v: (-float(np.ptp(v.parts)), v.binning.factor))
    return Scorecard(float(beta[0]), tuple(variables))


def _stepwise(evidence, y, base) -> tuple[list[int], np.ndarray]:
    """Columns chosen, and constant and weights of the regression on them."""
    n, width = evidence.shape
    chosen: list[int] = []
    banned: set[int] = set()
    beta, p = np.array([base]), np.full(n, y.mean())
    while len(chosen) < MAX_VARIABLES and len(chosen) + len(banned) < width:
        gain = _score_statistics(evidence, chosen, y, p)
        gain[[*chosen, *banned]] = -1
        best = int(np.argmax(np.round(gain, 6)))
        if gain[best] <= max(_PRICE, _PRICE_PER_ROW * n):
            break
        design = np.column_stack([np.ones(n), evidence[:, [*chosen, best]]])
        penalty = np.append(1e-10, np.full(len(chosen) + 1, _RIDGE))
        tried, _curvature = stats.logistic(design, y, np.append(beta, 0.5), penalty)
        if gain[best] <= _PRICE_AGAINST and (tried[1:] <= 0).any():
            banned.add(best)
            continue
        chosen.append(best)
        beta, p = tried, expit(design @ tried)
    return chosen, beta


def _score_statistics(evidence, chosen, y, p) -> np.ndarray:
    """Chi-square of adding each column to the regression on those chosen."""
    v = p * (1 - p)
    inner = np.column_stack([np.ones(len(y)), evidence[:, chosen]])
    cross = inner.T @ (evidence * v[:, None])
    own = (evidence**2 * v[:, None]).sum(axis=0)
    left = own - (cross * np.linalg.solve(inner.T @ (inner * v[:, None]), cross)).sum(axis=0)
    score = evidence.T @ (y - p)
    return np.where(left > 1e-9 * np.maximum(own, 1e-12), score**2 / np.maximum(left, 1e-12), 0.0)


def points_table(card: Scorecard) -> pd.DataFrame:
    """Points of each bin: 0 for a variable's lowest bin, and 100 in total for the highest of all.

    Returns:
        Frame with one row per variable and bin, variables with the widest range first, bins by number: factor, bin,
        low, high, categories, is_missing, is_rest (see `stats.Binning.table`), n, events, rate, rate_low, rate_high
        (training), woe, weight, points (whole; a bin without rows in training gets those of the average). Empty
        without variables.
    """
    columns = ["factor", "bin", "low", "high", "categories", "is_missing", "is_rest", "n", "events", "rate"]
    columns += ["rate_low", "rate_high", "woe", "weight", "points"]
    span, made = sum(np.ptp(v.parts) for v in card.variables), []
    for v in card.variables:
        told = stats.woe_of(v.n, v.events, _PRIOR_ROWS).rename(columns={"low": "rate_low", "high": "rate_high"})
        points = np.round((v.parts - v.parts.min()) * 100 / span).astype(int)
        table = pd.concat([v.binning.table(), told.drop(columns=["bin", "iv"])], axis=1)
        made.append(table.assign(factor=v.binning.factor, weight=v.weight, points=points))
    return pd.concat(made, ignore_index=True)[columns] if made else pd.DataFrame(columns=columns)


def points_of(card: Scorecard, rows: pd.DataFrame) -> np.ndarray:
    """Sum of points of each row, 0–100, one decimal; rises with the probability."""
    span = sum(np.ptp(v.parts) for v in card.variables)
    lowest = card.constant + sum(v.parts.min() for v in card.variables)
    if not span:
        return np.full(len(rows), 50.0)
    return np.round(np.clip((card.log_odds(rows) - lowest) * 100 / span, 0, 100), 1)
