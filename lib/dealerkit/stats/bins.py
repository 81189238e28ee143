"""Bins of values, and what they tell of an outcome.

A numeric bin holds low ≤ value < high. Missing values have a bin of their own, always the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from scipy.special import logit

from dealerkit.stats.intervals import wilson

_PRIOR_ROWS = 10.0  # rows of the average outcome that each bin is thought to hold beside its own


@dataclass(frozen=True)
class Binning:
    """How the values of a factor fall into bins 0, 1, …; the last one is for missing values.

    Attributes:
        factor: name of the column.
        cuts: of a number, the inner borders, rising; a value on a border belongs to the bin above it.
        groups: of a category, the values of each bin; a bin of all smaller ones comes last, and takes values not
            seen before.
        is_category: whether `groups` counts.
        pools: whether the last of `groups` is such a bin.
    """

    factor: str
    cuts: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    is_category: bool = False
    pools: bool = False

    @property
    def count(self) -> int:
        """Number of bins, the one for missing values included."""
        return (len(self.groups) if self.is_category else len(self.cuts) + 1) + 1

    def assign(self, values) -> np.ndarray:
        """Bin of each value, int64."""
        if self.is_category:
            codes, words = pd.factorize(as_texts(values))
            return np.append(self.place(words), self.count - 1)[codes]
        numbers = as_numbers(values)
        return np.where(np.isnan(numbers), self.count - 1, self.place(numbers))

    def place(self, known) -> np.ndarray:
        """Bin of each of some known values, int64: numbers as floats, categories as texts."""
        if not self.is_category:
            return np.searchsorted(self.cuts, known, side="right")
        bins = {value: code for code, group in enumerate(self.groups) for value in group}
        unseen = len(self.groups) - 1 if self.pools else self.count - 1
        return np.array([bins.get(word, unseen) for word in known], dtype=np.int64)

    def table(self) -> pd.DataFrame:
        """One row per bin: bin, low, high (NaN: no border), categories (joined by " / "), is_missing, is_rest."""
        inner = self.count - 1
        edges = np.array([np.nan, *self.cuts, np.nan])
        blank = np.full(inner, np.nan)
        rest = [self.pools and code == inner - 1 for code in range(inner)]
        return pd.DataFrame(
            {
                "bin": range(self.count),
                "low": np.append(blank if self.is_category else edges[:-1], np.nan),
                "high": np.append(blank if self.is_category else edges[1:], np.nan),
                "categories": [" / ".join(group) for group in self.groups] + [""]
                if self.is_category
                else [""] * self.count,
                "is_missing": [False] * inner + [True],
                "is_rest": [*rest, False],
            }
        )


def is_number(values) -> bool:
    """Whether a column holds numbers (or truth values, or decimals) rather than categories."""
    values = values if isinstance(values, pd.Series) else pd.Series(values)
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return True
    return values.dtype == object and all(isinstance(v, (int, float, Decimal)) for v in values[values.notna()])


def as_numbers(values) -> np.ndarray:
    """Values as float64; missing and infinite ones as NaN."""
    values = values if isinstance(values, pd.Series) else pd.Series(values)
    numbers = pd.to_numeric(values.astype(object), errors="coerce") if values.dtype == object else values
    numbers = numbers.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_texts(values) -> np.ndarray:
    """Values as texts; missing ones as None."""
    values = pd.Series(values)
    return values.astype(object).where(values.notna(), None).map(str, na_action="ignore").to_numpy(dtype=object)


def woe(codes, outcome, bins: int, prior_rows: float = _PRIOR_ROWS) -> pd.DataFrame:
    """What each bin tells of the outcome.

    Weight of evidence: logit of the bin's rate less that of all rows; above 0 the outcome is likelier than on average
    (Good 1950, "Probability and the weighing of evidence"; Siddiqi 2006, "Credit risk scorecards", ch. 6). Each bin
    is thought to hold `prior_rows` average rows beside its own, so an empty cell is no infinity, and a bin without
    rows weighs 0.

    Args:
        codes: bin of each row, 0 … bins−1.
        outcome: 0 or 1 for each row.
        bins: number of bins.
        prior_rows: average rows thought into each bin.

    Returns:
        Frame with one row per bin: bin, n, events, rate, low, high (Wilson), woe, iv (its part of the
        information value).

    Raises:
        ValueError: an outcome that does not vary.
    """
    codes = np.asarray(codes)
    return woe_of(
        np.bincount(codes, minlength=bins), np.bincount(codes[np.asarray(outcome) == 1], minlength=bins), prior_rows
    )


def woe_of(n, events, prior_rows: float = _PRIOR_ROWS) -> pd.DataFrame:
    """The table of `woe` from counts: rows in each bin, and those of them with the outcome."""
    weight, part = evidence(n, events, n.sum(), events.sum(), prior_rows)
    low, high = wilson(events, n)
    with np.errstate(invalid="ignore"):
        rate = events / n
    return pd.DataFrame(
        {
            "bin": range(len(n)),
            "n": n,
            "events": events,
            "rate": rate,
            "low": low,
            "high": high,
            "woe": weight,
            "iv": part,
        }
    )


def evidence(n, events, rows, total, prior_rows: float = _PRIOR_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Weight of evidence of bins and their parts of the information value (see `woe`), from the rows in each bin and
    those of them with the outcome, and from how many there are of both in all."""
    if not 0 < total < rows:
        raise ValueError("the outcome must hold both 0 and 1")
    share = total / rows
    weight = logit((events + prior_rows * share) / (n + prior_rows)) - logit(share)
    return weight, (events / total - (n - events) / (rows - total)) * weight


def information_value(codes, outcome, bins: int, prior_rows: float = _PRIOR_ROWS) -> float:
    """How much the bins tell of the outcome: Σ (share of events − share of others) × weight of evidence.

    Kullback 1959, "Information theory and statistics", ch. 1 (the divergence J); Siddiqi 2006 reads below .02 as
    nothing, .1 to .3 as medium. With smoothed weights it is a little below the plain sum. See `woe` for arguments.
    """
    return float(woe(codes, outcome, bins, prior_rows)["iv"].sum())
