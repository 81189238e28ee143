"""A small decision tree over readable factors, with thresholds as readers write them, tried on persons not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from dealerkit import stats
from dealerkit.importance.screening import OTHER, is_text
from dealerkit.importance.target import Target
from dealerkit.importance.weighing import FOLDS, Estimate
from dealerkit.params import ImportanceParams

MOST_LEAVES, _DEEPEST, _FEWEST_IN_LEAF, _LEAST_SHARE = 6, 4, 30, 0.02


@dataclass(frozen=True)
class Split:
    """A question about a person: is the factor at most ``threshold``, or is it ``level``; unknown counts as yes or no.

    An infinite threshold asks whether the factor is known at all.
    """

    factor: str
    threshold: float | None
    level: str | None
    unknown_is_yes: bool
    has_unknown: bool

    def answers(self, material: pd.DataFrame) -> np.ndarray:
        """Who says yes."""
        column = material[self.factor]
        if self.level is not None:
            return (column == self.level).to_numpy(bool)
        yes = column.to_numpy(float) <= self.threshold
        return np.where(column.isna(), self.unknown_is_yes, yes)


@dataclass(frozen=True)
class Node:
    """A part of the persons: how many of each class, and how it is split further (None: not at all)."""

    counts: tuple[int, ...]
    split: Split | None = None
    yes: Node | None = None
    no: Node | None = None

    @property
    def guess(self) -> int:
        """Position of the class most of them are in, the first among equals."""
        return int(np.argmax(self.counts))

    def leaves(self) -> Iterator[Node]:
        """The parts that are not split."""
        if self.split is None:
            yield self
        else:
            yield from self.yes.leaves()
            yield from self.no.leaves()

    def guesses(self, material: pd.DataFrame) -> np.ndarray:
        """Position of the class guessed for each person."""
        if self.split is None:
            return np.full(len(material), self.guess)
        yes = self.split.answers(material)
        made = np.empty(len(material), dtype=int)
        made[yes] = self.yes.guesses(material[yes])
        made[~yes] = self.no.guesses(material[~yes])
        return made


@dataclass(frozen=True)
class Rules:
    """The tree of everybody, and what trees made the same way reach on persons they did not learn from.

    Attributes:
        root: the tree; a single leaf when no question helps.
        classes: keys of the classes, in the order of the counts.
        persons: how many the tree was made from.
        accuracy: share of persons placed right, with its interval.
        by_size: share placed right by always naming the largest class.
        recall: class → share of its persons placed right.
    """

    root: Node
    classes: tuple[str, ...]
    persons: int
    accuracy: Estimate
    by_size: float
    recall: dict[str, Estimate]

    @property
    def has_skill(self) -> bool:
        """Whether the tree splits, and places surely more persons right than naming the largest class."""
        return self.root.split is not None and self.accuracy.low > self.by_size


def rules(material: pd.DataFrame, classes: pd.Series, target: Target, params: ImportanceParams) -> Rules:
    """Grow the tree and try it on five folds.

    Args:
        material: readable factors by person.
        classes: class of each person.
        target: order of the classes.
        params: largest sample to grow from; everybody is counted in the leaves.
    """
    names = tuple(target.names)
    y = classes.map({name: k for k, name in enumerate(names)}).to_numpy()
    guesses = np.empty(len(y), dtype=int)
    for learned, tested in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(y, y):
        tree = _grown(material.iloc[learned], y[learned], len(names), params.largest_sample)
        guesses[tested] = tree.guesses(material.iloc[tested])
    root = _grown(material, y, len(names), params.largest_sample)
    right = guesses == y
    return Rules(
        root,
        names,
        len(y),
        _share(right),
        round(float(np.bincount(y).max() / len(y)), 6),
        {name: _share(right[y == k]) for k, name in enumerate(names)},
    )


def _share(right: np.ndarray) -> Estimate:
    low, high = stats.wilson(int(right.sum()), len(right))
    return Estimate(*(round(float(v), 6) for v in (right.mean(), low, high)))


def _grown(material: pd.DataFrame, y: np.ndarray, count: int, largest: int) -> Node:
    rows = np.arange(len(y))
    if len(rows) > largest:
        rows = np.sort(np.random.default_rng(0).choice(rows, largest, replace=False))
    asked, columns = [], []
    for factor in material:
        column = material[factor].iloc[rows]
        if is_text(column):
            levels = sorted(set(column.dropna()) - {OTHER})
            if len(levels) == 2 and column.isin(levels).all():
                levels = levels[:1]  # the other one is the same question
            asked += [(factor, level) for level in levels]
            columns += [(column == level).to_numpy(float) for level in levels]
        else:
            asked.append((factor, None))
            columns.append(column.to_numpy(float))
    if not asked:
        return Node(tuple(np.bincount(y, minlength=count)))
    least = max(_FEWEST_IN_LEAF, int(_LEAST_SHARE * len(rows)))
    model = DecisionTreeClassifier(
        max_leaf_nodes=MOST_LEAVES, max_depth=_DEEPEST, min_samples_leaf=least, random_state=0
    ).fit(np.column_stack(columns), y[rows])
    return _pruned(_node(model.tree_, 0, asked, material, y, count))


def _node(tree, at: int, asked, material: pd.DataFrame, y: np.ndarray, count: int) -> Node:
    """The fitted node with readable thresholds, counted over everybody."""
    counts = tuple(int(n) for n in np.bincount(y, minlength=count))
    if tree.children_left[at] < 0:
        return Node(counts)
    factor, level = asked[tree.feature[at]]
    left, right = tree.children_left[at], tree.children_right[at]
    if level is not None:  # the fitted question is "is it not this level"
        split = Split(factor, None, level, False, bool(material[factor].isna().any()))
        left, right = right, left
    else:
        split = _readable(factor, float(tree.threshold[at]), bool(tree.missing_go_to_left[at]), material)
    yes = split.answers(material)
    if yes.all() or not yes.any():
        return Node(counts)
    return Node(
        counts,
        split,
        _node(tree, left, asked, material[yes], y[yes], count),
        _node(tree, right, asked, material[~yes], y[~yes], count),
    )


def _readable(factor: str, threshold: float, unknown_is_yes: bool, material: pd.DataFrame) -> Split:
    """The question with its threshold at two or three figures, if that still splits; counts at a whole number."""
    if not np.isfinite(threshold):
        return Split(factor, threshold, None, unknown_is_yes, True)
    values = material[factor].to_numpy(float)
    known = values[~np.isnan(values)]
    unknown = len(known) < len(values)
    whole = len(known) and np.equal(known, np.round(known)).all()
    if whole and abs(threshold) < 100:
        rounded = float(np.floor(threshold))
    else:
        digits = 2 if abs(threshold) < 1 else 1 if abs(threshold) < 10 else 0
        size = 10 ** max(0, int(np.floor(np.log10(max(abs(threshold), 1)))) - 1)
        rounded = round(threshold, digits) if size == 1 else float(size * np.round(threshold / size))
    keeps = len(known) and known.min() <= rounded < known.max()
    return Split(factor, rounded if keeps else round(threshold, 6), None, unknown_is_yes, bool(unknown))


def _pruned(node: Node) -> Node:
    """Without questions whose answers both lead to the same guess."""
    if node.split is None:
        return node
    yes, no = _pruned(node.yes), _pruned(node.no)
    if yes.split is None and no.split is None and yes.guess == no.guess:
        return Node(node.counts)
    return Node(node.counts, node.split, yes, no)
