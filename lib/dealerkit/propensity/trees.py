"""The two that stand beside the scorecard: boosted trees, and the simple rule on one column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from dealerkit import stats

_EDGE = 1e-4  # no probability of a rule or a tree lies closer to 0 or 1
_RULE_BINS = 50
_PRIOR_ROWS = 10.0


@dataclass(frozen=True)
class Inputs:
    """How rows become what trees take: numbers as they are, categories by bins that are made without the outcome.

    Attributes:
        features: columns used, in order.
        binnings: of the columns that are categories, by name.
    """

    features: tuple[str, ...]
    binnings: dict[str, stats.Binning]

    @classmethod
    def of(cls, rows: pd.DataFrame, features) -> Inputs:
        """By the rows to learn from."""
        texts = [name for name in features if not stats.is_number(rows[name])]
        return cls(tuple(features), {name: stats.discretise(rows[name], name=name, most_bins=10) for name in texts})

    def values(self, rows: pd.DataFrame) -> np.ndarray:
        """Rows × features."""
        made = np.empty((len(rows), len(self.features)))
        for j, name in enumerate(self.features):
            binning = self.binnings.get(name)
            made[:, j] = binning.assign(rows[name]) if binning else stats.as_numbers(rows[name])
        return made


@dataclass(frozen=True)
class Trees:
    """Boosted trees, and how their log-odds were calibrated.

    Attributes:
        inputs: what they take of a row.
        machine: the fitted trees.
        intercept, slope: of the calibration.
    """

    inputs: Inputs
    machine: Any
    intercept: float = 0.0
    slope: float = 1.0

    def log_odds(self, rows: pd.DataFrame) -> np.ndarray:
        """Log-odds of each row."""
        return self.log_odds_of(self.inputs.values(rows))

    def log_odds_of(self, values: np.ndarray) -> np.ndarray:
        """Log-odds of rows by their inputs."""
        with stats.one_thread():
            raw = self.machine.decision_function(values)
        raw = np.clip(raw, -logit(1 - _EDGE), logit(1 - _EDGE))
        return self.intercept + self.slope * raw

    def calibrated(self, intercept: float, slope: float) -> Trees:
        """The trees with log-odds of intercept + slope × their own."""
        return replace(self, intercept=intercept, slope=slope)


def fit_trees(inputs: Inputs, values: np.ndarray, y: np.ndarray, seed: int) -> Trees:
    """Boosted trees of modest size, one thread.

    Friedman 2001, "Greedy function approximation: a gradient boosting machine", by histograms as in scikit-learn. A factor
    that none of these rows knows is nowhere asked for.
    """
    # scikit-learn takes half a second to import
    from sklearn import config_context
    from sklearn.ensemble import HistGradientBoostingClassifier

    machine = HistGradientBoostingClassifier(
        learning_rate=0.12,
        max_iter=40,
        max_leaf_nodes=8,
        min_samples_leaf=max(20, len(y) // 500),
        l2_regularization=5.0,
        max_bins=31,
        categorical_features=[name in inputs.binnings for name in inputs.features],
        early_stopping=False,
        random_state=seed,
    )
    # scikit-learn cannot make bins of a column without a value
    values = np.where(np.isnan(values).all(axis=0), 0.0, values)
    with stats.one_thread(), config_context(assume_finite=True, skip_parameter_validation=True):
        machine.fit(values, y.astype(int))
    return Trees(inputs, machine)


@dataclass(frozen=True)
class Rule:
    """The simple rule: a probability that rises or falls with one column.

    Attributes:
        column: its name.
        at, probability: points of the line between which it is interpolated.
        missing: probability where the column is missing.
    """

    column: str
    at: tuple[float, ...]
    probability: tuple[float, ...]
    missing: float

    def log_odds(self, rows: pd.DataFrame) -> np.ndarray:
        """Log-odds of each row."""
        x = stats.as_numbers(rows[self.column])
        known = np.interp(np.nan_to_num(x), self.at, self.probability) if self.at else self.missing
        return logit(np.clip(np.where(np.isnan(x), self.missing, known), _EDGE, 1 - _EDGE))


def fit_rule(rows: pd.DataFrame, column: str, y: np.ndarray) -> Rule:
    """Rates of fine bins of one column, made monotone (Barlow et al. 1972, "Statistical inference under order
    restrictions"), in the direction that fits better."""
    from sklearn.isotonic import isotonic_regression

    x = stats.as_numbers(rows[column])
    known, share = ~np.isnan(x), y.mean()
    events, missing = y[~known].sum(), (~known).sum()
    empty = float((events + _PRIOR_ROWS * share) / (missing + _PRIOR_ROWS))
    if not known.any():
        return Rule(column, (), (), empty)
    cuts = np.unique(np.quantile(x[known], np.arange(1, _RULE_BINS) / _RULE_BINS))
    order = np.lexsort((y[known], x[known]))  # so that sums do not depend on the order of the rows
    x, y = x[known][order], y[known][order]
    starts = np.unique(np.append(0, np.searchsorted(x, cuts)))
    n = np.diff(np.append(starts, len(x))).astype(float)
    at, rate = np.add.reduceat(x, starts) / n, np.add.reduceat(y, starts) / n
    lines = [isotonic_regression(rate, sample_weight=n, increasing=rising) for rising in (True, False)]
    best = min(lines, key=lambda line: round(float((n * (rate - line) ** 2).sum()), 9))
    return Rule(column, tuple(map(float, at)), tuple(float(p) for p in best), empty)


def calibration(log_odds: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept and slope that bring held-back log-odds to what was observed (Platt 1999), or 0 and 1 where they do so
    already: within two standard errors."""
    if np.ptp(log_odds) < 1e-9:
        return 0.0, 1.0
    beta, curvature = stats.logistic(np.column_stack([np.ones_like(log_odds), log_odds]), y, [0, 1])
    error = np.sqrt(np.diag(np.linalg.inv(curvature)))
    if (np.abs(beta - [0, 1]) <= 2 * error).all():
        return 0.0, 1.0
    # a slope below 0 would turn the ranking around: such a model knows nothing, and says the average for everybody
    return (float(beta[0]), float(beta[1])) if beta[1] > 0 else (float(logit(y.mean())), 0.0)
