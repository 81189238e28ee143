"""Columns cut into few readable bins, many columns at once.

The values of a column are sorted once, into cells of equal values; whatever is cut afterwards, be it all rows or the
rows of a fold, is cut by counts per cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dealerkit.stats.bins import Binning, as_numbers, as_texts, is_number

_ROUNDING_SHARE = 0.01  # of the rows that may change sides so that a cut is a round number
_CUT_CHI2 = 4.0  # what a cut must tell, as χ² of one degree (5 %); the best of many cuts still gets there by chance
_AT_ONCE = 4_000_000  # cells whose cuts are weighed at once


@dataclass(frozen=True)
class Columns:
    """Columns of a table by cells of equal values.

    Attributes:
        names: of the columns.
        values: the distinct known values of each column, rising.
        is_category: whether the values of a column are texts.
        first: the first cell of each column, and the number of all; the last cell of a column is for missing values.
        cells: cell of each row in each column, rows × columns.
    """

    names: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    is_category: tuple[bool, ...]
    first: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, names) -> Columns:
        """The named columns of a frame."""
        values, kinds = [], []
        first, cells = [0], np.empty((len(rows), len(names)), dtype=np.int32)
        for j, name in enumerate(names):
            kinds.append(not is_number(rows[name]))
            codes, known = _sorted(rows[name], kinds[-1])
            cells[:, j] = first[-1] + np.where(codes < 0, len(known), codes)
            values.append(known)
            first.append(first[-1] + len(known) + 1)
        return cls(tuple(names), tuple(values), tuple(kinds), np.array(first), cells)

    def taken(self, rows) -> Columns:
        """Some of the rows, by a mask or by position."""
        return replace(self, cells=self.cells[rows])

    def only(self, names) -> Columns:
        """Some of the columns."""
        at = [self.names.index(name) for name in names]
        first = np.append(0, np.cumsum(np.diff(self.first)[at]))
        return Columns(
            tuple(names),
            tuple(self.values[j] for j in at),
            tuple(self.is_category[j] for j in at),
            first,
            self.cells[:, at] + (first[:-1] - self.first[at]).astype(np.int32),
        )

    def counts(self, outcome=None) -> np.ndarray:
        """How many rows lie in each cell; given an outcome of 0 or 1, how many of those where it is 1."""
        cells = self.cells if outcome is None else self.cells[np.asarray(outcome) == 1]
        return np.bincount(cells.ravel(), minlength=self.first[-1])

    def own(self, j: int) -> slice:
        """The cells of a column."""
        return slice(self.first[j], self.first[j + 1])

    def bins(self, binnings: list[Binning]) -> tuple[np.ndarray, np.ndarray]:
        """Bin of each cell, the bins of all columns numbered through; and the first bin of each column, and the number
        of all."""
        first = np.append(0, np.cumsum([binning.count for binning in binnings])).astype(int)
        bins = np.repeat(first[1:] - 1, np.diff(self.first))  # of the missing values
        for j, binning in enumerate(binnings):
            bins[self.own(j)][:-1] = first[j] + binning.place(self.values[j])
        return bins, first


def _sorted(values, is_category: bool) -> tuple[np.ndarray, np.ndarray]:
    """Position of each value among the distinct ones, −1 where missing; and those, rising."""
    return pd.factorize(as_texts(values) if is_category else as_numbers(values), sort=True)


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
    columns = Columns.of(pd.DataFrame({name: pd.Series(values).reset_index(drop=True)}), [name])
    return discretise_all(columns, outcome, most_bins, min_share, min_rows)[0]


def discretise_all(
    columns: Columns, outcome=None, most_bins: int = 5, min_share: float = 0.05, min_rows: int = 30
) -> list[Binning]:
    """Few readable bins of each column, as `discretise` makes them of one."""
    n, events = columns.counts(), None if outcome is None else columns.counts(outcome)
    made, runs = [], {}
    for j, name in enumerate(columns.names):
        own = columns.own(j)
        smallest = max(min_rows, min_share * n[own][:-1].sum())
        if columns.is_category[j]:
            made.append(_group(columns.values[j], n[own][:-1], name, most_bins, smallest))
            continue
        made.append(Binning(name))
        run = _Run.of(columns.values[j], n[own], None if events is None else events[own], int(np.ceil(smallest)))
        if len(run.values) > 1 and run.below[-1] >= 2 * run.smallest:
            runs[j] = run
    for some in _portions(runs):
        where = _quantile_cuts(some, most_bins) if outcome is None else _tree_cuts(some, most_bins)
        for j, run, at in zip(some, some.values(), where):
            made[j] = replace(made[j], cuts=_kept(_readable(run, at), run))
    return made


@dataclass(frozen=True)
class _Run:
    """The cells of a number that hold rows.

    Attributes:
        values: of the cells, rising.
        below, hits: rows, and rows with the outcome, in the cells before each, and in all.
        smallest: rows that a bin holds at least.
    """

    values: np.ndarray
    below: np.ndarray
    hits: np.ndarray
    smallest: int

    @classmethod
    def of(cls, values, n, events, smallest: int) -> _Run:
        held = np.flatnonzero(n[:-1])
        below, hits = (np.append(0, np.cumsum(c[held])) for c in (n, n if events is None else events))
        return cls(values[held], below, hits, max(smallest, 1))


def _portions(runs: dict[int, _Run]) -> Iterator[dict[int, _Run]]:
    """The runs, some at a time, so that their cells fit into memory."""
    some, cells = {}, 0
    for j, run in runs.items():
        if some and cells + len(run.values) > _AT_ONCE:
            yield some
            some, cells = {}, 0
        some[j] = run
        cells += len(run.values)
    if some:
        yield some


def _quantile_cuts(runs: dict[int, _Run], most: int) -> list[np.ndarray]:
    """Cells that begin with the quantiles of each run."""
    marks = np.arange(1, most) / most
    return [
        np.unique(np.searchsorted(r.below, np.ceil(marks * (r.below[-1] - 1)), side="right") - 1) for r in runs.values()
    ]


def _tree_cuts(runs: dict[int, _Run], most: int) -> list[np.ndarray]:
    """Cells before which a tree of so many leaves cuts each run, the leaf that gains most first (by Gini's impurity;
    Breiman et al. 1984, "Classification and regression trees"); all runs are grown at once.

    A cut has to tell something: the squares it gains are about χ² × the variance of the outcome.
    """
    runs = list(runs.values())
    sizes = np.array([len(r.values) for r in runs])
    # each run has one place more than cells, for its end
    start = np.cumsum(sizes + 1) - (sizes + 1)
    below, hits = (np.concatenate(c).astype(float) for c in ([r.below for r in runs], [r.hits for r in runs]))
    share = hits[start + sizes] / below[start + sizes]
    least = np.maximum(_CUT_CHI2 * share * (1 - share), 1e-9)
    smallest = np.array([r.smallest for r in runs], dtype=float)
    run = np.arange(len(runs))
    leaves = np.array([run, start, start + sizes, *_best_cuts(start, start + sizes, smallest, below, hits)])
    found = []
    for _leaf in range(most - 1):
        leaves = leaves[:, np.lexsort((leaves[1], -leaves[4], leaves[0]))]
        best = np.flatnonzero(np.diff(leaves[0], prepend=-1))
        best = best[leaves[4, best] >= least[leaves[0, best].astype(int)]]
        if not len(best):
            break
        run, begin, end, cut = leaves[:4, best].astype(int)
        found.append((run, cut - start[run]))
        run, begin, end = np.tile(run, 2), np.concatenate([begin, cut]), np.concatenate([cut, end])
        grown = np.array([run, begin, end, *_best_cuts(begin, end, smallest[run], below, hits)])
        leaves = np.concatenate([np.delete(leaves, best, axis=1), grown], axis=1)
    run, cut = np.concatenate(found, axis=1) if found else np.zeros((2, 0), dtype=int)
    return [np.sort(cut[run == i]) for i in range(len(runs))]


def _best_cuts(start, end, smallest, below, hits) -> tuple[np.ndarray, np.ndarray]:
    """The best cut of each leaf, and what it gains; −1 where a leaf cannot be cut."""
    cut, gain = start.copy(), np.full(len(start), -1.0)
    inner = end - start - 1
    able = np.flatnonzero(inner > 0)
    if not len(able):
        return cut, gain
    start, end, inner = start[able], end[able], inner[able]
    first = np.cumsum(inner) - inner
    at = np.arange(inner.sum()) + np.repeat(start + 1 - first, inner)
    n, e = below[at], hits[at]
    n_left, e_left = n - np.repeat(below[start], inner), e - np.repeat(hits[start], inner)
    n_right, e_right = np.repeat(below[end], inner) - n, np.repeat(hits[end], inner) - e
    squares = e_left**2 / n_left + e_right**2 / n_right
    squares[np.minimum(n_left, n_right) < np.repeat(smallest[able], inner)] = -np.inf
    top = np.maximum.reduceat(squares, first)
    reached = np.flatnonzero(squares == np.repeat(top, inner))
    cut[able] = at[reached[np.searchsorted(reached, first)]]
    gain[able] = top - (hits[end] - hits[start]) ** 2 / (below[end] - below[start])
    return cut, gain


def _readable(run: _Run, at: np.ndarray) -> list[float]:
    """For each cell, the roundest number (1, 2 or 5 times a power of ten) near its value that moves at most 1 % of the
    rows, or the value itself."""
    x, cuts = run.values, run.values[at]
    power = int(np.floor(np.log10(x[-1] - x[0])))
    steps = [(factor, exponent) for exponent in range(power, power - 6, -1) for factor in (5.0, 2.0, 1.0)]
    # dividing by a whole number keeps the decimals short: 0.3, not 0.30000000000000004
    times = np.array([factor * 10.0 ** max(exponent, 0) for factor, exponent in steps])
    over = np.array([10.0 ** max(-exponent, 0) for _factor, exponent in steps])
    parts = cuts[:, None] / np.array([factor * 10.0**exponent for factor, exponent in steps])
    near = np.stack([np.ceil(parts), np.floor(parts)], axis=2) * times[:, None] / over[:, None]
    near = near.reshape(len(cuts), 2 * len(steps)) + 0.0  # no negative zero
    moved = np.abs(run.below[np.searchsorted(x, near)] - run.below[at][:, None])
    fits = (moved <= _ROUNDING_SHARE * run.below[-1]) & (x[0] < near) & (near <= x[-1])
    chosen = np.where(fits.any(axis=1), near[np.arange(len(cuts)), fits.argmax(axis=1)], cuts)
    return sorted(set(chosen.tolist()))


def _kept(cuts: list[float], run: _Run) -> tuple[float, ...]:
    """Cuts from below, without those that would leave a bin too small."""
    kept, last = [], 0
    for cut, here in zip(cuts, run.below[np.searchsorted(run.values, cuts)]):
        if here - last >= run.smallest and run.below[-1] - here >= run.smallest:
            kept.append(cut)
            last = here
    return tuple(kept)


def _group(words, n, name, most_bins, smallest) -> Binning:
    counts = {word: int(k) for word, k in zip(words, n) if k}
    order = sorted(counts, key=lambda word: (-counts[word], word))
    # one value for each bin while they are few and large; categories may be twice as many as cuts of a number
    most = 2 * most_bins
    single = [word for word in order if counts[word] >= smallest][:most]
    rest = order[len(single) :]
    while rest and len(single) > 1 and (sum(counts[w] for w in rest) < smallest or len(single) >= most):
        rest.insert(0, single.pop())
    groups = [(word,) for word in single] + ([tuple(sorted(rest))] if rest else [])
    return Binning(name, (), tuple(groups), True, bool(rest))
