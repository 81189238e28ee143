"""What each class has more or less of than all others together: standardised differences with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from dealerkit import stats
from dealerkit.importance.screening import OTHER, Screened, is_text
from dealerkit.importance.target import Target

#: Share of the values beyond which single ones are pulled in, at either end.
PULLED_IN = 0.01
#: Fewer persons of known value on either side carry no difference.
FEWEST = 30
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
    rows = []
    for factor in screened.information.index:
        for level, given, values in _columns(screened.material[factor]):
            for name in target.names:
                own = (classes == name).to_numpy()
                if (row := _row(values[own], values[~own])) is not None:
                    if given is not values:
                        row |= {"mean": _mean(given[own]), "mean_others": _mean(given[~own])}
                    rows.append({"class": name, "factor": factor, "level": level, **row})
    made = pd.DataFrame(rows, columns=[c for c in COLUMNS if c not in ("q", "follows")])
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


def _mean(values: np.ndarray) -> float:
    return round(float(np.nanmean(values)), 6)


def _row(own: np.ndarray, others: np.ndarray) -> dict | None:
    own, others = own[~np.isnan(own)], others[~np.isnan(others)]
    n, m = len(own), len(others)
    if min(n, m) < FEWEST:
        return None
    pooled = np.sqrt(((n - 1) * own.var(ddof=1) + (m - 1) * others.var(ddof=1)) / (n + m - 2))
    gap = own.mean() - others.mean()
    if pooled < 1e-12:
        return None
    d = gap / pooled
    half = 1.959964 * np.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m)))
    p = float(ttest_ind(own, others, equal_var=False).pvalue)
    parts = {"mean": own.mean(), "mean_others": others.mean(), "difference": d, "low": d - half, "high": d + half}
    return {"n": n, **{k: round(float(v), 6) for k, v in parts.items()}, "p": p}
