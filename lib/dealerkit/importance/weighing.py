"""How much each factor matters: what is lost on persons not learned from when its values are shuffled among them.

Breiman 2001, "Random forests", Machine Learning 45, for the shuffling; factors that vary together are shuffled
together, since one of them alone would stand in for the other. Skill is balanced accuracy: the share placed in the right
class, averaged over the classes, so that 1 ÷ classes is what drawing lots reaches, however unequal the classes are.

Every resampling learns anew, so that intervals carry the choice of persons, the model's own wobble and the shuffling.
Resamplings share persons; the interval is widened for that as Nadeau and Bengio (2003, "Inference for the
generalization error", Machine Learning 52) have it, for repeated cross-validation Bouckaert and Frank (2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from dealerkit.importance.screening import binned, information_value, is_text
from dealerkit.params import ImportanceParams

FOLDS = 5
_TREES, _SHUFFLES = 40, 3
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
    return values.mean(axis=0), student.ppf(0.975, count - 1) * np.sqrt(spread)


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
    material, classes = material.iloc[rows], classes.iloc[rows]
    y, names = pd.factorize(classes, sort=True)
    factors = {f: _Factor.of(material[f], rng if ignore_missing else None) for group in groups for f in group}
    found = []
    for turn in range(-(-params.repeats // FOLDS)):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=turn)
        for learned, tested in folds.split(np.zeros(len(y)), y):
            found.append(_resampled(factors, groups, y, learned, tested, params.min_information_value, rng))
    accuracy, auc, losses = (np.array(part) for part in zip(*found, strict=True))
    done = Weighed(len(y), len(names), corrected(accuracy), corrected(auc), 1 / len(names), pd.DataFrame())
    ranking = ranked(groups, losses) if done.has_skill else ranked((), losses[:, :0])
    return Weighed(done.persons, done.classes, done.accuracy, done.auc, done.by_lot, ranking)


def _drawn(count: int, largest: int, rng) -> np.ndarray:
    return np.arange(count) if count <= largest else np.sort(rng.choice(count, largest, replace=False))


@dataclass(frozen=True)
class _Factor:
    """A factor as columns of numbers for the model (one per level), and as bins for its information value."""

    columns: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, column: pd.Series, rng) -> _Factor:
        """With ``rng`` empty cells are drawn from other persons."""
        known = column.notna().to_numpy()
        if rng is not None and known.any() and not known.all():
            column = column.copy()
            column[~known] = rng.choice(column[known].to_numpy(), (~known).sum())
        if is_text(column):
            levels = sorted(column.dropna().unique())
            columns = np.column_stack([(column == level).to_numpy(np.float32) for level in levels])
        else:
            columns = column.to_numpy(np.float32)[:, None]
        return cls(columns, binned(column))


def _resampled(factors, groups, y, learned, tested, least, rng) -> tuple[float, float, np.ndarray]:
    """Skill on the persons not learned from (accuracy, AUC), and what is lost of it by shuffling each group."""
    told = [f for f, factor in factors.items() if information_value(factor.bins[learned], y[learned]) >= least]
    losses = np.zeros(len(groups))
    if not told:
        return 1 / (y.max() + 1), 0.5, losses
    x = np.hstack([factors[f].columns for f in told])
    owner = np.repeat(np.arange(len(told)), [factors[f].columns.shape[1] for f in told])
    model = RandomForestClassifier(
        _TREES,
        min_samples_leaf=max(3, len(learned) // 400),
        class_weight="balanced",
        random_state=0,
        n_jobs=1,
    ).fit(x[learned], y[learned])
    chances = model.predict_proba(x[tested])
    skill = _balanced(y[tested], chances.argmax(axis=1))
    spans = [np.isin(owner, [told.index(f) for f in group if f in told]) for group in groups]
    in_trees = np.unique(np.concatenate([tree.tree_.feature for tree in model.estimators_]))
    used = [i for i, span in enumerate(spans) if span[in_trees[in_trees >= 0]].any()]
    if used:
        losses[used] = skill - _shuffled_skills(model, x[tested], y[tested], [spans[i] for i in used], rng)
    return skill, _auc(y[tested], chances), losses


def _shuffled_skills(model, x: np.ndarray, y: np.ndarray, spans: list[np.ndarray], rng) -> np.ndarray:
    """Skill with each span of columns shuffled together, averaged over `_SHUFFLES` shuffles."""
    many = np.tile(x, (len(spans) * _SHUFFLES, 1))
    for i, span in enumerate(np.repeat(np.arange(len(spans)), _SHUFFLES)):
        block = many[i * len(x) : (i + 1) * len(x)]
        block[:, spans[span]] = x[rng.permutation(len(x))][:, spans[span]]
    guessed = model.predict_proba(many).argmax(axis=1).reshape(len(spans), -1)
    return np.array([_balanced(np.tile(y, _SHUFFLES), row) for row in guessed])


def _balanced(y: np.ndarray, guessed: np.ndarray) -> float:
    """Share placed right in each class, averaged over the classes."""
    sizes = np.bincount(y)
    right = np.bincount(y[guessed == y], minlength=len(sizes))
    return float(np.mean(right[sizes > 0] / sizes[sizes > 0]))


def _auc(y: np.ndarray, chances: np.ndarray) -> float:
    """Area under the curve of each class against the others, averaged over the classes."""
    return float(np.mean([roc_auc_score(y == k, chances[:, k]) for k in range(chances.shape[1])]))


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
