"""A small decision tree over readable factors, with thresholds as readers write them, tried on persons not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from dealerkit import stats
from dealerkit.importance.screening import OTHER, is_text
from dealerkit.importance.target import Target
from dealerkit.importance.weighing import FOLDS, Estimate, folds
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

    def answers(self, column: pd.Series) -> np.ndarray:
        """Who says yes, by the values of the factor."""
        if self.level is not None:
            return (column == self.level).to_numpy(bool)
        values = column.to_numpy(float)
        return np.where(np.isnan(values), self.unknown_is_yes, values <= self.threshold)


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
        yes = self.split.answers(material[self.split.factor])
        return np.where(yes, self.yes.guesses(material), self.no.guesses(material))


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
    y = pd.Index(names).get_indexer(classes)
    asked = _Asked.of(material, y, len(names), params.largest_sample)
    fold, guesses = folds(y, np.random.default_rng(0)), np.empty(len(y), dtype=int)
    for k in range(FOLDS):
        tested = fold == k
        guesses[tested] = _grown(asked, np.flatnonzero(~tested)).guesses(material[tested])
    root = _grown(asked, np.arange(len(y)))
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


@dataclass(frozen=True)
class _Asked:
    """What can be asked of persons: each number, and each level of a text as 0 or 1, a column each."""

    questions: list[tuple[str, str | None]]
    columns: np.ndarray
    material: pd.DataFrame
    y: np.ndarray
    count: int
    largest: int

    @classmethod
    def of(cls, material: pd.DataFrame, y: np.ndarray, count: int, largest: int) -> _Asked:
        """The questions that factors allow."""
        questions, columns = [], []
        for factor in material:
            column = material[factor]
            if not is_text(column):
                questions.append((factor, None))
                columns.append(column.to_numpy(np.float32))
                continue
            levels = sorted(set(column.dropna()) - {OTHER})
            if len(levels) == 2 and column.isin(levels).all():
                levels = levels[:1]  # the other one is the same question
            questions += [(factor, level) for level in levels]
            columns += [(column == level).to_numpy(np.float32) for level in levels]
        return cls(questions, np.array(columns).T, material, y, count, largest)

    def counts(self, rows: np.ndarray) -> tuple[int, ...]:
        """How many of the persons are in each class."""
        return tuple(np.bincount(self.y[rows], minlength=self.count).tolist())


def _grown(asked: _Asked, rows: np.ndarray) -> Node:
    """The tree learned from the persons, or from some of them drawn by lot, and counted over all of them."""
    if not asked.questions:
        return Node(asked.counts(rows))
    some = rows
    if len(rows) > asked.largest:
        some = np.sort(np.random.default_rng(0).choice(rows, asked.largest, replace=False))
    least = max(_FEWEST_IN_LEAF, int(_LEAST_SHARE * len(some)))
    model = DecisionTreeClassifier(
        max_leaf_nodes=MOST_LEAVES, max_depth=_DEEPEST, min_samples_leaf=least, random_state=0
    ).fit(asked.columns[some], asked.y[some])
    return _pruned(_node(model.tree_, 0, asked, rows))


def _node(tree, at: int, asked: _Asked, rows: np.ndarray) -> Node:
    """The fitted node with readable thresholds, counted over the persons in it."""
    counts = asked.counts(rows)
    if tree.children_left[at] < 0:
        return Node(counts)
    factor, level = asked.questions[tree.feature[at]]
    left, right = tree.children_left[at], tree.children_right[at]
    column = asked.material[factor].iloc[rows]
    if level is not None:  # the fitted question is "is it not this level"
        split = Split(factor, None, level, False, bool(column.isna().any()))
        left, right = right, left
    else:
        split = _readable(factor, float(tree.threshold[at]), bool(tree.missing_go_to_left[at]), column)
    yes = split.answers(column)
    if yes.all() or not yes.any():
        return Node(counts)
    return Node(counts, split, _node(tree, left, asked, rows[yes]), _node(tree, right, asked, rows[~yes]))


def _readable(factor: str, threshold: float, unknown_is_yes: bool, column: pd.Series) -> Split:
    """The question with its threshold at two or three figures, if that still splits; counts at a whole number."""
    if not np.isfinite(threshold):
        return Split(factor, threshold, None, unknown_is_yes, True)
    values = column.to_numpy(float)
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
