"""Values in few readable bins, and what the bins tell of an outcome.

A numeric bin holds low ≤ value < high. Missing values have a bin of their own, always the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from scipy.special import logit

from dealerkit.stats.intervals import wilson

_ROUNDING_SHARE = 0.01  # of the rows that may change sides so that a cut is a round number
_CUT_CHI2 = 4.0  # what a cut must tell, as χ² of one degree (5 %); the best of many cuts still gets there by chance
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
        missing = self.count - 1
        if not self.is_category:
            numbers = as_numbers(values)
            codes = np.searchsorted(self.cuts, numbers, side="right")
            return np.where(np.isnan(numbers), missing, codes).astype(np.int64)
        texts = as_texts(values)
        known = {value: code for code, group in enumerate(self.groups) for value in group}
        unseen = len(self.groups) - 1 if self.pools else missing
        codes, words = pd.factorize(texts)
        lookup = np.array([*(known.get(word, unseen) for word in words), missing], dtype=np.int64)
        return lookup[codes]

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
    values = pd.Series(values)
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return True
    known = values.dropna()
    return values.dtype == object and bool(known.map(lambda v: isinstance(v, (int, float, Decimal))).all())


def as_numbers(values) -> np.ndarray:
    """Values as float64; missing and infinite ones as NaN."""
    values = pd.Series(values)
    numbers = pd.to_numeric(values.astype(object), errors="coerce") if values.dtype == object else values
    numbers = numbers.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_texts(values) -> np.ndarray:
    """Values as texts; missing ones as None."""
    values = pd.Series(values)
    return values.astype(object).where(values.notna(), None).map(str, na_action="ignore").to_numpy(dtype=object)


def discretise(
    values,
    outcome=None,
    name: str = "",
    most_bins: int = 5,
    min_share: float = 0.05,
    min_rows: int = 30,
) -> Binning:
    """Few readable bins of a factor, none of them (but the missing one) smaller than stated.

    Numbers are cut where a shallow tree parts the outcome best, without forcing an order on the bins; without an
    outcome, at quantiles. Each cut becomes the roundest number that moves at most 1 % of the rows. Of categories
    the largest ones have a bin each, the others one together.

    Args:
        values: numbers or categories; missing ones do not take part and get the last bin.
        outcome: 0 or 1 for each value, or nothing.
        name: of the factor, kept with the bins.
        most_bins: most bins, not counting the missing one.
        min_share, min_rows: each bin holds this share of the known values and so many of them, at least.

    Returns:
        Binning; a single bin (beside the missing one) where nothing can be cut.
    """
    if not is_number(values):
        return _group(as_texts(values), name, most_bins, min_share, min_rows)
    numbers = as_numbers(values)
    known = ~np.isnan(numbers)
    smallest = max(int(min_rows), int(np.ceil(min_share * known.sum())), 1)
    order = np.argsort(numbers[known], kind="stable")
    x = numbers[known][order]
    if len(x) < 2 * smallest or x[0] == x[-1]:
        return Binning(name)
    if outcome is None:
        raw = np.quantile(x, np.arange(1, most_bins) / most_bins, method="higher")
    else:
        raw = _tree_cuts(x, np.asarray(outcome)[known][order], most_bins, smallest)
    return Binning(name, _kept(sorted({_readable(cut, x) for cut in raw}), x, smallest))


def _tree_cuts(x, y, most_bins, smallest) -> np.ndarray:
    # scikit-learn takes a second to import, which pages that only need an interval should not pay
    from sklearn.tree import DecisionTreeClassifier

    share = np.mean(y)
    tree = DecisionTreeClassifier(
        max_leaf_nodes=most_bins,
        min_samples_leaf=smallest,
        # a cut lowers the impurity by about χ² · impurity ÷ rows
        min_impurity_decrease=_CUT_CHI2 * 2 * share * (1 - share) / len(y),
        random_state=0,
    )
    tree = tree.fit(x[:, None], y).tree_
    # a tree's cut is the last value to the left of it or a midpoint; ours is the first value to the right
    cuts = tree.threshold[tree.feature == 0]
    after = np.searchsorted(x.astype(np.float32), cuts, side="right")
    return x[np.minimum(after, len(x) - 1)]


def _readable(cut: float, x: np.ndarray) -> float:
    """The roundest number (1, 2 or 5 times a power of ten) near a cut that moves at most 1 % of the sorted values."""
    here, allowed = np.searchsorted(x, cut), _ROUNDING_SHARE * len(x)
    span = x[-1] - x[0]
    power = int(np.floor(np.log10(span)))
    for exponent in range(power, power - 6, -1):
        for factor in (5, 2, 1):
            # dividing by a whole number keeps the decimals short: 0.3, not 0.30000000000000004
            step = factor * 10.0**exponent
            for whole in (np.ceil(cut / step), np.floor(cut / step)):
                candidate = whole * factor * 10**exponent if exponent >= 0 else whole * factor / 10**-exponent
                if abs(int(np.searchsorted(x, candidate)) - int(here)) <= allowed and x[0] < candidate <= x[-1]:
                    return float(candidate) + 0.0  # no negative zero
    return float(cut)


def _kept(cuts: list[float], x: np.ndarray, smallest: int) -> tuple[float, ...]:
    """Cuts from below, without those that would leave a bin too small."""
    kept, last = [], 0
    for cut in cuts:
        here = int(np.searchsorted(x, cut))
        if here - last >= smallest and len(x) - here >= smallest:
            kept.append(cut)
            last = here
    return tuple(kept)


def _group(texts, name, most_bins, min_share, min_rows) -> Binning:
    counts = pd.Series(texts).dropna().value_counts()
    order = sorted(counts.index, key=lambda word: (-counts[word], word))
    smallest = max(min_rows, min_share * counts.sum())
    # one value for each bin while they are few and large; categories may be twice as many as cuts of a number
    most = 2 * most_bins
    single = [word for word in order if counts[word] >= smallest][:most]
    rest = order[len(single) :]
    while rest and len(single) > 1 and (counts[rest].sum() < smallest or len(single) >= most):
        rest.insert(0, single.pop())
    groups = [(word,) for word in single] + ([tuple(sorted(rest))] if rest else [])
    return Binning(name, (), tuple(groups), True, bool(rest))


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
    y = np.asarray(outcome, dtype=float)
    n = np.bincount(codes, minlength=bins)
    events = np.bincount(codes, weights=y, minlength=bins)
    total, share = y.sum(), y.mean() if len(y) else np.nan
    if not 0 < share < 1:
        raise ValueError("the outcome must hold both 0 and 1")
    low, high = wilson(events, n)
    weight = logit((events + prior_rows * share) / (n + prior_rows)) - logit(share)
    part = (events / total - (n - events) / (len(y) - total)) * weight
    with np.errstate(invalid="ignore"):
        rate = events / n
    return pd.DataFrame(
        {
            "bin": range(bins),
            "n": n,
            "events": events.astype(int),
            "rate": rate,
            "low": low,
            "high": high,
            "woe": weight,
            "iv": part,
        }
    )


def information_value(codes, outcome, bins: int, prior_rows: float = _PRIOR_ROWS) -> float:
    """How much the bins tell of the outcome: Σ (share of events − share of others) × weight of evidence.

    Kullback 1959, "Information theory and statistics", ch. 1 (the divergence J); Siddiqi 2006 reads below .02 as
    nothing, .1 to .3 as medium. With smoothed weights it is a little below the plain sum. See `woe` for arguments.
    """
    return float(woe(codes, outcome, bins, prior_rows)["iv"].sum())
