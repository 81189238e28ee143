"""How much each factor matters: what is lost on persons not learned from when its values are shuffled among them.

The shuffling is that of Breiman 2001, "Random forests", Machine Learning 45, the model that of `learning`. Factors that
vary together are shuffled together, since one of them alone would stand in for the other. Skill is balanced accuracy: the
share placed in the right class, averaged over the classes, so that 1 ÷ classes is what drawing lots reaches, however
unequal the classes are.

Every resampling learns anew, so that intervals carry the choice of persons, of pairs of factors, and the shuffling.
Resamplings share persons; the interval is widened for that as Nadeau and Bengio (2003, "Inference for the
generalization error", Machine Learning 52) have it, for repeated cross-validation Bouckaert and Frank (2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax, stdtrit

from dealerkit import stats
from dealerkit.importance.learning import Coded, learn
from dealerkit.importance.screening import binned, information_values
from dealerkit.params import ImportanceParams

FOLDS = 5
_SHUFFLES = 5
_SHARE_TESTED = 1 / (FOLDS - 1)  # persons tested ÷ persons learned from


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Weighed:
    """What a model of the classes could do, and what each group of factors had to do with it.

    Attributes:
        persons, classes: how many were learned from and tested, and told apart.
        accuracy: balanced accuracy on persons not learned from, 0–1.
        auc: chance that of two persons of different classes the model tells which is which, averaged over classes.
        by_lot: balanced accuracy of drawing lots.
        ranking: group (its factors, first the most informative), importance, low, high (balanced accuracy lost),
            rank, rank_low, rank_high; the most important first; empty when the model does not beat drawing lots.
    """

    persons: int
    classes: int
    accuracy: Estimate
    auc: Estimate
    by_lot: float
    ranking: pd.DataFrame

    @property
    def has_skill(self) -> bool:
        """Whether both intervals lie above what drawing lots reaches."""
        return self.accuracy.low > self.by_lot and self.auc.low > 0.5


def corrected(values: np.ndarray) -> Estimate:
    """Mean of a figure over resamplings that share persons, with its interval (Nadeau–Bengio)."""
    mean, half = _mean_and_half(np.asarray(values, dtype=float)[:, None])
    return Estimate(*(round(float(v[0]), 6) for v in (mean, mean - half, mean + half)))


def _mean_and_half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over the first axis and half the width of their 95 % intervals."""
    count = len(values)
    spread = values.var(axis=0, ddof=1) * (1 / count + _SHARE_TESTED)
    return values.mean(axis=0), stdtrit(count - 1, 0.975) * np.sqrt(spread)


def weigh(
    material: pd.DataFrame,
    classes: pd.Series,
    groups: tuple[tuple[str, ...], ...],
    params: ImportanceParams,
    ignore_missing: bool = False,
) -> Weighed:
    """Learn the classes from the factors, and shuffle one group of factors after the other.

    Args:
        material: factors by person, as `screening.material_of` makes it.
        classes: class of each person.
        groups: factors shuffled together.
        params: number of resamplings, least information, largest sample.
        ignore_missing: fill empty cells with values drawn from other persons, so that being empty tells nothing;
            else being empty counts as a value of its own.
    """
    rng = np.random.default_rng(0)
    rows = _drawn(len(classes), params.largest_sample, rng)
    sizes = classes.iloc[rows].value_counts()
    # of a rare class a sample may hold too few to be in every fold
    rows = rows[classes.iloc[rows].isin(sizes.index[sizes >= 2 * FOLDS])]
    material, classes = material.iloc[rows], classes.iloc[rows]
    y, names = pd.factorize(classes, sort=True)
    if len(names) < 2:
        return Weighed(len(y), len(names), Estimate(1, 1, 1), Estimate(0.5, 0.5, 0.5), 1, ranked((), np.empty((0, 0))))
    factors = [f for group in groups for f in group]
    coded = Coded.of([binned(_without_empty(material[f], rng) if ignore_missing else material[f]) for f in factors], y)
    places = [[factors.index(f) for f in group] for group in groups]
    found = []
    with stats.one_thread():
        for _turn in range(-(-params.repeats // FOLDS)):
            found += _resampled(coded, places, folds(y, rng), params.min_information_value, rng)
    accuracy, auc, losses = (np.array(part) for part in zip(*found, strict=True))
    done = Weighed(len(y), len(names), corrected(accuracy), corrected(auc), 1 / len(names), pd.DataFrame())
    ranking = ranked(groups, losses) if done.has_skill else ranked((), losses[:, :0])
    return Weighed(done.persons, done.classes, done.accuracy, done.auc, done.by_lot, ranking)


def _drawn(count: int, largest: int, rng) -> np.ndarray:
    return np.arange(count) if count <= largest else np.sort(rng.choice(count, largest, replace=False))


def _without_empty(column: pd.Series, rng) -> pd.Series:
    """The factor with its empty cells drawn from other persons."""
    known = column.notna().to_numpy()
    if not known.any() or known.all():
        return column
    column = column.copy()
    column[~known] = rng.choice(column[known].to_numpy(), (~known).sum())
    return column


def folds(y: np.ndarray, rng) -> np.ndarray:
    """Fold of each person, 0, 1, …, drawn by lot within each class."""
    made = np.empty(len(y), dtype=int)
    made[np.lexsort([rng.random(len(y)), y])] = np.arange(len(y)) % FOLDS
    return made


def _resampled(coded: Coded, groups: list[list[int]], fold: np.ndarray, least: float, rng) -> list[tuple]:
    """For each fold, learned from all others: accuracy, AUC, and what is lost of the accuracy by shuffling each group."""
    parts = [np.flatnonzero(fold == k) for k in range(FOLDS)]
    counts = [coded.together(part) for part in parts]
    everybody = sum(counts)
    return [
        _tried(coded, groups, np.flatnonzero(fold != k), parts[k], everybody - counts[k], least, rng)
        for k in range(FOLDS)
    ]


def _tried(coded, groups, learned, tested, together, least, rng) -> tuple[float, float, np.ndarray]:
    """Skill on the persons not learned from (accuracy, AUC), and what is lost of it by shuffling each group."""
    told = information_values(np.diagonal(together, axis1=1, axis2=2).T.astype(float), coded.starts)
    order = np.argsort(-told, kind="stable")
    order, losses, y = order[told[order] >= least], np.zeros(len(groups)), coded.y[tested]
    shuffles = rng.permuted(np.tile(np.arange(len(y)), (_SHUFFLES, 1)), axis=1)
    if not len(order):
        return 1 / (coded.y.max() + 1), 0.5, losses
    model = learn(coded, learned, together, order)
    said, used = model.said(coded, tested), set(order.tolist())
    skill = _balanced(y, said.argmax(axis=1))
    for i, group in enumerate(groups):
        if used & set(group):
            guessed = (said + model.shuffled(coded, tested, group, shuffles)).argmax(axis=2)
            losses[i] = skill - _balanced(y, guessed)
    return skill, _auc(y, softmax(said, axis=1)), losses


def _balanced(y: np.ndarray, guessed: np.ndarray) -> float:
    """Share placed right in each class, averaged over the classes and over the rows of guesses."""
    sizes = np.bincount(y)
    worth = 1 / (sizes * (sizes > 0).sum()).clip(1)
    right = guessed == y
    return float((right if right.ndim == 1 else right.mean(axis=0)) @ worth[y])


def _auc(y: np.ndarray, chances: np.ndarray) -> float:
    """Area under the curve of each class against the others, averaged over the classes."""
    return float(np.mean([stats.auc(y == k, chances[:, k]) for k in range(chances.shape[1])]))


def ranked(groups: tuple[tuple[str, ...], ...], losses: np.ndarray) -> pd.DataFrame:
    """Groups by the skill lost without them, with intervals of the loss and of the rank.

    The rank interval follows from pairs: a group surely stands behind every other whose loss is larger by more than the
    interval of the difference (Mogstad, Romano, Shaikh, Wilhelm 2024, "Inference for ranks", Review of Economic
    Studies 91, here pair by pair).

    Args:
        groups: factors shuffled together.
        losses: resamplings × groups.
    """
    columns = ["group", "importance", "low", "high", "rank", "rank_low", "rank_high"]
    if not groups:
        return pd.DataFrame(columns=columns)
    mean, half = _mean_and_half(losses)
    gap, gap_half = _mean_and_half(losses[:, :, None] - losses[:, None, :])
    surely_more = gap - gap_half > 1e-12
    made = pd.DataFrame(
        {
            "group": groups,
            "importance": mean.round(6),
            "low": (mean - half).round(6),
            "high": (mean + half).round(6),
            "rank_low": 1 + surely_more.sum(axis=0),
            "rank_high": len(groups) - surely_more.sum(axis=1),
        }
    )
    made = made.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    made["rank"] = made.index + 1
    return made[columns]
