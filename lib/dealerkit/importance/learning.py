"""A model of classes quick enough to be learned many times: what each bin of each factor says, and each of a few pairs.

Classes are regressed on the bins with a ridge, and its answers taken apart by linear discriminants (Hastie, Buja,
Tibshirani 1995, "Penalized discriminant analysis", Annals of Statistics 23). Then the pairs of factors that leave most
unexplained together add what is left in their cells, drawn to nothing where few persons are (as Lou, Caruana, Gehrke,
Hooker 2013, "Accurate intelligible models with pairwise interactions", KDD). All classes weigh the same, however
unequal. Since the answer is a sum, what a factor adds can be shuffled without asking the model again.

The regression needs no more than how often two bins meet in each class: whole numbers, so that the counts of the
persons learned from are those of all less those of the others, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dealerkit.importance.screening import PRIOR_ROWS

#: Pairs that are added, of so many factors that tell most.
PAIRS, _PAIRED = 6, 12
#: Persons thought into each bin and each cell of a pair, of whom nothing is known.
_RIDGE, _CELL_RIDGE = 60.0, 100.0


@dataclass(frozen=True)
class Coded:
    """Persons as bins of factors.

    Attributes:
        codes: bin of each factor (columns) of each person, counted on from factor to factor.
        starts: first bin of each factor, and behind the last one.
        y: class of each person, 0, 1, …
        ones: persons × bins, 1 where the person is in the bin.
    """

    codes: np.ndarray
    starts: np.ndarray
    y: np.ndarray
    ones: np.ndarray

    @classmethod
    def of(cls, bins: list[np.ndarray], y: np.ndarray) -> Coded:
        """From the bins of each factor, 0, 1, …"""
        starts = np.cumsum([0, *(int(b.max()) + 1 for b in bins)])
        codes = np.column_stack(bins) + starts[:-1]
        ones = np.zeros((len(y), starts[-1]), dtype=np.float32)
        np.put_along_axis(ones, codes, 1, axis=1)
        return cls(codes, starts, y, ones)

    def together(self, rows: np.ndarray) -> np.ndarray:
        """How many of the persons of each class are in two bins: classes × bins × bins (exact in single precision)."""
        parts = (self.ones[rows[self.y[rows] == k]] for k in range(int(self.y.max()) + 1))
        return np.stack([part.T @ part for part in parts])


@dataclass(frozen=True)
class Model:
    """A learned model: the discriminants of a person are `base` and what its bins, and cells of pairs, add.

    Attributes:
        base: discriminant of each class before anything is known.
        by_bin: bins × classes.
        pairs: (factor, factor, cells × classes); a cell is the first one's bin × bins of the second + its bin.
    """

    base: np.ndarray
    by_bin: np.ndarray
    pairs: list[tuple[int, int, np.ndarray]]

    def said(self, coded: Coded, rows: np.ndarray) -> np.ndarray:
        """Discriminants of persons, persons × classes; the largest names the class guessed."""
        codes = coded.codes[rows]
        made = self.base + self.by_bin[codes].sum(axis=1)
        for a, b, table in self.pairs:
            made += table[_cell(coded, a, b, codes[:, a], codes[:, b])]
        return made

    def shuffled(self, coded: Coded, rows: np.ndarray, group: list[int], shuffles: np.ndarray) -> np.ndarray:
        """What the discriminants change by when the bins of a group of factors are those of other persons.

        Args:
            coded, rows: the persons.
            group: places of the factors.
            shuffles: for each shuffle (row) whose bins a person gets, as a place in ``rows``.

        Returns:
            Shuffles × persons × classes.
        """
        codes = coded.codes[rows]
        own = self.by_bin[codes[:, group]].sum(axis=1)
        made = own[shuffles] - own
        for a, b, table in self.pairs:
            if a in group or b in group:
                first = codes[:, a][shuffles] if a in group else codes[:, a]
                second = codes[:, b][shuffles] if b in group else codes[:, b]
                made += table[_cell(coded, a, b, first, second)] - table[_cell(coded, a, b, codes[:, a], codes[:, b])]
        return made


def _cell(coded: Coded, a: int, b: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cell of two factors, from their bins."""
    wide = coded.starts[b + 1] - coded.starts[b]
    return (first - coded.starts[a]) * wide + second - coded.starts[b]


def learn(coded: Coded, rows: np.ndarray, together: np.ndarray, told: np.ndarray) -> Model:
    """Learn the classes of persons.

    Args:
        coded: the factors.
        rows: whom to learn from.
        together: counts of these persons, as `Coded.together` gives them.
        told: places of the factors to use, the most informative first.
    """
    y, codes = coded.y[rows], coded.codes[rows]
    sizes = np.bincount(y)
    weights = (len(y) / len(sizes) / sizes)[y]
    by_bin = _ridge(coded, together, sizes, told)
    said = by_bin[codes[:, told]].sum(axis=1)
    middle = np.average(said, axis=0, weights=weights)
    left = np.eye(len(sizes))[y] - 1 / len(sizes) - (said - middle)
    pairs = []
    for a, b in _pairs(coded, rows, left * weights[:, None], together, told[:_PAIRED]):
        cell = _cell(coded, a, b, codes[:, a], codes[:, b])
        many = int(np.diff(coded.starts)[[a, b]].prod())
        sums = [np.bincount(cell, weights * column, many) for column in left.T]
        table = np.column_stack(sums) / (np.bincount(cell, weights, many) + _CELL_RIDGE)[:, None]
        pairs.append((a, b, table))
        said, left = said + table[cell], left - table[cell]
    base, turn = _discriminants(said, y, weights, sizes)
    return Model(base, by_bin @ turn, [(a, b, table @ turn) for a, b, table in pairs])


def _ridge(coded: Coded, together: np.ndarray, sizes: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What each bin adds to the class indicators, bins × classes; nothing for factors that are not used."""
    used = np.concatenate([np.arange(coded.starts[j], coded.starts[j + 1]) for j in told])
    counts = together.take(used, axis=1).take(used, axis=2).astype(float)
    rows, weights = sizes.sum(), sizes.sum() / len(sizes) / sizes
    own = np.diagonal(counts, axis1=1, axis2=2).T * weights
    mean = own.sum(axis=1) / rows
    moments = np.tensordot(weights, counts, 1) - rows * np.outer(mean, mean)
    moments[np.diag_indices_from(moments)] += _RIDGE
    made = np.zeros((coded.starts[-1], len(sizes)))
    made[used] = np.linalg.solve(moments, own - rows / len(sizes) * mean[:, None])
    return made


def _pairs(coded: Coded, rows: np.ndarray, left: np.ndarray, together: np.ndarray, told: np.ndarray):
    """The pairs of factors whose cells hold most of what is left unexplained, for the freedom they have."""
    parts = [np.arange(coded.starts[j], coded.starts[j + 1]) for j in told]
    used, sizes = np.concatenate(parts), np.array([len(part) for part in parts])
    ones = coded.ones[rows][:, used]
    count = together.take(used, axis=1).take(used, axis=2).sum(axis=0) + PRIOR_ROWS
    strength = sum((((ones * column[:, None]).T @ ones) ** 2 / count) for column in left.T.astype(np.float32))
    starts = np.cumsum(sizes) - sizes
    strength = np.add.reduceat(np.add.reduceat(strength, starts, axis=0), starts, axis=1)
    first, second = np.triu_indices(len(told), 1)
    strength = (strength / np.sqrt(np.outer(sizes, sizes)))[first, second]
    best = np.argsort(-strength.round(6), kind="stable")[:PAIRS]
    return [(int(told[first[i]]), int(told[second[i]])) for i in best]


def _discriminants(said: np.ndarray, y: np.ndarray, weights: np.ndarray, sizes: np.ndarray):
    """Discriminant of each class before anything is known, and what turns what is said into them."""
    means = np.stack([said[y == k].mean(axis=0) for k in range(len(sizes))])
    apart = said - means[y]
    within = (apart * weights[:, None]).T @ apart / len(y)
    turn = np.linalg.pinv(within, rcond=1e-9, hermitian=True) @ means.T
    return -0.5 * (means * turn.T).sum(axis=1), turn
