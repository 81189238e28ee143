"""What each class has more or less of than all others together: standardised differences with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtr

from dealerkit import stats
from dealerkit.importance.screening import OTHER, Screened, is_text
from dealerkit.importance.target import Target

#: Share of the values beyond which single ones are pulled in, at either end.
PULLED_IN = 0.01
#: Fewer persons of known value on either side carry no difference.
FEWEST = 30
_ROUNDED = ["mean", "mean_others", "difference", "low", "high"]
COLUMNS = ["class", "factor", "level", "n", "mean", "mean_others", "difference", "low", "high", "p", "q", "follows"]


def differences(screened: Screened, classes: pd.Series, target: Target) -> pd.DataFrame:
    """One row per class and factor, or level of a factor: class, factor, level, n (persons of known value), mean,
    mean_others (both of the values as they are), difference (in standard deviations, single far values pulled in)
    with low and high, p, q, follows.

    The difference is Cohen's d; its interval is that of Hedges and Olkin (1985, "Statistical methods for
    meta-analysis", ch. 5); p is Welch's; q is the false-discovery rate of Benjamini and Hochberg (1995) over all
    rows. Every factor that reached the last step of the screening is looked at, whatever it told, so that q holds.
    Empty cells are left out. ``follows`` says why a factor is no news (it defines the class), or is None.
    """
    names, parts = np.array(list(target.names), dtype=object), []
    places = pd.Index(names).get_indexer(classes)
    for factor in screened.information.index:
        for level, given, values in _columns(screened.material[factor]):
            found = _compared(values, places, len(names))
            if given is not values:
                found["mean"], found["mean_others"] = _parted(given, places, len(names))[1::2]
            told = found.pop("told")
            head = {"class": names[told], "factor": [factor] * told.sum(), "level": [level] * told.sum()}
            parts.append(head | {name: column[told] for name, column in found.items()})
    columns = [c for c in COLUMNS if c not in ("q", "follows")]
    made = pd.DataFrame({c: [value for part in parts for value in part[c]] for c in columns}, columns=columns)
    made[_ROUNDED] = made[_ROUNDED].astype(float).round(6)
    made["level"] = made["level"].astype(object)
    made["q"] = stats.false_discovery(made["p"]).round(6)
    made["follows"] = made["factor"].map(screened.follows).astype(object)
    made["follows"] = made["follows"].where(made["follows"].notna(), None)
    return made[COLUMNS]


def _columns(column: pd.Series):
    """The factor itself, or one column of 0 and 1 per level: level, values as they are, values with the ends pulled in."""
    if not is_text(column):
        given = values = column.to_numpy(float)
        known = values[~np.isnan(values)]
        if len(known):
            values = np.clip(values, *np.quantile(known, [PULLED_IN, 1 - PULLED_IN]))
        if len(np.unique(values[~np.isnan(values)])) < 2:
            values = given  # so rare a value that pulling in would take it away
        yield None, given, values
        return
    for level in sorted(set(column.dropna()) - {OTHER}):
        values = (column == level).to_numpy(float) + np.where(column.isna(), np.nan, 0)
        yield level, values, values


def _parted(values: np.ndarray, places: np.ndarray, count: int):
    """Of each class the persons of known value and their mean, and of all others together: n, mean, m, mean_others."""
    known = ~np.isnan(values)
    values, places = values[known], places[known]
    n = np.bincount(places, minlength=count)
    mean = np.bincount(places, values, count) / np.maximum(n, 1)
    m = len(values) - n
    return n, mean, m, ((n * mean).sum() - n * mean) / np.maximum(m, 1)


def _compared(values: np.ndarray, places: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Each class against all others: n, mean, mean_others, difference, low, high, p; told: whether it may be said.

    Args:
        values: of each person; NaN where unknown.
        places: class of each person, 0 … count−1.
    """
    n, mean, m, mean_others = _parted(values, places, count)
    known = ~np.isnan(values)
    about = np.bincount(places[known], (values - mean[places])[known] ** 2, count)
    # of all others: what they lie about their own means, and these about the mean of them all
    apart = (about + n * (mean - mean_others[:, None]) ** 2).sum(axis=1)
    about_others = apart - about - n * (mean - mean_others) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.sqrt((about + about_others) / (n + m - 2))
        d = (mean - mean_others) / pooled
        half = 1.959964 * np.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m)))
        own, others = about / (n - 1) / n, about_others / (m - 1) / m
        freedom = (own + others) ** 2 / (own**2 / (n - 1) + others**2 / (m - 1))
        p = 2 * stdtr(freedom, -np.abs(mean - mean_others) / np.sqrt(own + others))
        told = (np.minimum(n, m) >= FEWEST) & (pooled >= 1e-12)
    named = {"n": n, "mean": mean, "mean_others": mean_others}
    return named | {"difference": d, "low": d - half, "high": d + half, "p": p, "told": told}
