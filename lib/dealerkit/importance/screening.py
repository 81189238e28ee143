"""Which factors are worth weighing: dropped in steps, each drop with its reason, the rest put into groups that vary together.

No step but the last looks at the classes. The last one (no information) is repeated inside every resampling of
`weighing`, on the persons learned from alone: a factor chosen on the very persons it is tested on would look better than it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.special import logit

from dealerkit import stats
from dealerkit.importance.target import Target
from dealerkit.messages import N_
from dealerkit.params import ImportanceParams

#: Steps in their order: code → what the page calls it.
STEPS = {
    "constant": N_("Constant"),
    "missing": N_("Missing"),
    "unreadable": N_("Not readable"),
    "correlated": N_("Says the same as another"),
    "no_information": N_("No information"),
}
#: One value for this share of those it is known of makes a factor constant.
CONSTANT_SHARE = 0.99
#: Levels of fewer persons are joined, so that none of them is shown.
FEWEST_OF_LEVEL = 30
OTHER = N_("other")
_ORDERS = (
    "accident_count",
    "warranty_count",
    "maintenance_count",
    "repair_count",
    "inspection_count",
    "accessory_count",
    "order_kinds_count",
    "advisers_count",
    "labour_hours",
)
#: Families of factors → families that are counted into them: an accident order is a visit, and brings its yuan.
PARTS_OF = {"visits_count": _ORDERS, "spend_yuan": (*_ORDERS, "accident_yuan")}
#: Families of factors → families that are bound to them: the last maintenance is no later than the last visit.
BOUND_TO = {
    "recency_days": ("maintenance_days_ago", "service_overdue_days_max", "since_service_km_max"),
    "visits_count": ("visits_count_per_year",),
}
_BINS, _FEWEST_PAIRS = 5, 30
PRIOR_ROWS = 10.0  # as in `stats.woe`


@dataclass(frozen=True)
class Screened:
    """What the screening left.

    Attributes:
        material: one row per person (index person_id, sorted) and column per factor seen: numbers, or texts for levels.
        drops: factor, step, other (factor that says the same, or None), value (share, correlation or IV).
        kept: factors left, in the dictionary's order.
        groups: kept factors that vary together, most informative first; every kept factor is in one.
        information: information value of each factor that reached the last step.
        about: the dictionary's rows of the factors, by factor, in its words.
        follows: kept factors that define the classes or follow from those that do → why (defines, window, part, correlated).
    """

    material: pd.DataFrame
    drops: pd.DataFrame
    kept: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    information: pd.Series
    about: pd.DataFrame
    follows: dict[str, str]


def material_of(owners: pd.DataFrame, factors: Iterable[str]) -> pd.DataFrame:
    """Factors by person: numbers as floats; texts with rare levels joined; rows in the order of person_id."""
    frame = owners.sort_values("person_id").set_index("person_id")
    columns = {}
    for name in factors:
        if stats.is_number(frame[name]):
            columns[name] = stats.as_numbers(frame[name])
        else:
            texts = pd.Series(stats.as_texts(frame[name]), frame.index, dtype=object)
            rare = texts.map(texts.value_counts()) < FEWEST_OF_LEVEL
            columns[name] = texts.where(~rare, OTHER)
    return pd.DataFrame(columns, index=frame.index)


def is_text(column: pd.Series) -> bool:
    """Whether a factor has levels instead of numbers."""
    return column.dtype == object


def screen(owners: pd.DataFrame, target: Target, dictionary: pd.DataFrame, params: ImportanceParams) -> Screened:
    """Screen the factors of persons for what they tell about the classes.

    Args:
        owners: factors at ``as_of``, one row per person.
        target: the classes; only persons in one count.
        dictionary: the factor dictionary; rows of ``person_factors`` count, in their order.
        params: limits.
    """
    about = dictionary[(dictionary["table"] == "person_factors") & dictionary["factor"].isin(owners.columns)]
    about = about.set_index("factor")
    material = material_of(owners[owners["person_id"].isin(target.of.index)], about.index)
    classes = pd.factorize(target.of.reindex(material.index))[0]
    drops: list[tuple] = []
    left = _without_constant(material, list(material), drops)
    missing = material.isna().mean()
    drops += [(f, "missing", None, missing[f]) for f in left if missing[f] > params.max_missing_share]
    left = [f for f in left if missing[f] <= params.max_missing_share]
    drops += [(f, "unreadable", None, np.nan) for f in left if not about["readable"][f]]
    left = [f for f in left if about["readable"][f]]
    near = min(params.max_correlation, params.group_correlation) - 0.1
    strength = correlations(material[left], near)
    left = _without_correlated(left, strength, missing, target.defining, params.max_correlation, drops)
    information = pd.Series({f: information_value(binned(material[f]), classes) for f in left}, dtype=float)
    least = params.min_information_value
    drops += [(f, "no_information", None, information[f]) for f in left if information[f] < least]
    kept = tuple(f for f in left if information[f] >= least)
    made = pd.DataFrame(drops, columns=["factor", "step", "other", "value"])
    groups = grouped(kept, strength, information, params.group_correlation)
    follows = _following(kept, material, target.defining, params.group_correlation)
    return Screened(material, made, kept, groups, information, about, follows)


def _without_constant(material: pd.DataFrame, factors: list[str], drops: list[tuple]) -> list[str]:
    left = []
    for name in factors:
        codes = pd.factorize(material[name])[0]
        known = np.bincount(codes[codes >= 0])
        share = known.max() / known.sum() if len(known) else np.nan
        if share >= CONSTANT_SHARE:
            drops.append((name, "constant", None, share))
        else:
            left.append(name)
    return left


def correlations(material: pd.DataFrame, exact_from: float = 0.0) -> pd.DataFrame:
    """Absolute rank correlations (Spearman) of the numeric factors where both are known of 30 persons; else 0.

    Where factors are known of different persons, ranks among all of whom each is known come first; they are found anew
    among the persons that a pair shares only where the correlation so reaches ``exact_from``.
    """
    numeric = [c for c in material if not is_text(material[c])]
    values = material[numeric].to_numpy(float)
    found, shared = _correlated(material[numeric].rank(pct=True).to_numpy() - 0.5)
    known = np.diagonal(shared)
    again = (found >= exact_from) & (shared < np.maximum.outer(known, known)) & (shared >= _FEWEST_PAIRS)
    for a, b in zip(*np.nonzero(np.triu(again, 1)), strict=True):
        pair = pd.DataFrame(values[:, [a, b]]).dropna()
        found[a, b] = found[b, a] = _correlated(pair.rank(pct=True).to_numpy() - 0.5)[0][0, 1]
    found = np.where(shared >= _FEWEST_PAIRS, found, 0.0)
    made = pd.DataFrame(found.round(6), numeric, numeric)
    return made.reindex(index=material.columns, columns=material.columns, fill_value=0.0)


def _correlated(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute correlations of columns over the rows that each pair of them shares (0 where one does not vary there),
    and how many rows that are."""
    known = ~np.isnan(values)
    values, ones = np.where(known, values, 0.0), known.astype(float)
    shared, sums, squares = ones.T @ ones, values.T @ ones, (values**2).T @ ones
    n = np.maximum(shared, 1)
    spread = squares - sums**2 / n  # of the row's column
    within = np.sqrt(np.maximum(spread * spread.T, 0))
    found = np.abs(values.T @ values - sums * sums.T / n) / np.where(within > 1e-9, within, np.inf)
    return found.clip(0, 1), shared


def _without_correlated(
    factors: list[str],
    strength: pd.DataFrame,
    missing: pd.Series,
    defining: tuple[str, ...],
    limit: float,
    drops: list[tuple],
) -> list[str]:
    """Of two that say the same, the one stays that defines the classes, else is less often missing, else comes first."""
    order = sorted(factors, key=lambda f: (f not in defining, round(missing[f], 2), factors.index(f)))
    kept: list[str] = []
    for name, of in strength.loc[order].iterrows():
        nearest = of[kept].idxmax() if kept else None
        if nearest is not None and of[nearest] > limit:
            drops.append((name, "correlated", nearest, of[nearest]))
        else:
            kept.append(name)
    return [f for f in factors if f in kept]


def binned(column: pd.Series) -> np.ndarray:
    """Bin of each person: fifths of a number, each with its upper border, so that a rare value above the usual one is a
    bin of its own; or levels. Unknown is a bin too. The classes are not looked at."""
    if is_text(column):
        return pd.factorize(column, sort=True, use_na_sentinel=False)[0]
    values = column.to_numpy(float)
    unknown = np.isnan(values)
    if unknown.all():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(values[~unknown], np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(unknown, len(edges) + 1, np.searchsorted(edges, values, side="left"))


def information_value(bins: np.ndarray, classes: np.ndarray) -> float:
    """Information value of a factor on the class it tells most about, each class against all others.

    Args:
        bins: bin of each person, 0, 1, …
        classes: class of each person, 0, 1, …
    """
    count, width = int(bins.max()) + 1, int(classes.max()) + 1
    persons = np.bincount(bins * width + classes, minlength=count * width).reshape(-1, width)
    return float(information_values(persons, np.array([0, count]))[0])


def information_values(persons: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Information value of each factor on the class it tells most about.

    It is `stats.information_value` of the classes one by one, all at once, since every resampling asks for it.

    Args:
        persons: how many of each class (columns) are in each bin, one factor's bins after the other's.
        starts: first bin of each factor, and behind the last one.
    """
    total, n = persons[: starts[1]].sum(axis=0), persons.sum(axis=1, keepdims=True)
    rows, share = total.sum(), total / total.sum()
    weight = logit((persons + PRIOR_ROWS * share) / (n + PRIOR_ROWS)) - logit(share)
    parts = (persons / total - (n - persons) / (rows - total)) * weight
    return np.add.reduceat(parts, starts[:-1], axis=0).max(axis=1).round(6)


def grouped(
    kept: tuple[str, ...], strength: pd.DataFrame, information: pd.Series, limit: float
) -> tuple[tuple[str, ...], ...]:
    """Factors in groups all of whose pairs are correlated more strongly than ``limit`` (complete linkage), each group
    with its most informative factor first."""
    if len(kept) < 2:
        return tuple((f,) for f in kept)
    distance = 1 - strength.loc[list(kept), list(kept)].to_numpy()
    np.fill_diagonal(distance, 0)
    marks = fcluster(linkage(squareform(distance, checks=False), "complete"), 1 - limit, "distance")
    parts: dict[int, list[str]] = {}
    for name, mark in zip(kept, marks, strict=True):
        parts.setdefault(mark, []).append(name)
    return tuple(tuple(sorted(part, key=lambda f: (-information[f], kept.index(f)))) for part in parts.values())


def _family(name: str) -> str:
    """The factor's name without its window: visits_count of visits_count_12m."""
    stem, _, window = name.rpartition("_")
    return stem if window in ("12m", "24m", "all", "last") or window[:-1].isdigit() else name


def _following(
    kept: tuple[str, ...], material: pd.DataFrame, defining: tuple[str, ...], limit: float
) -> dict[str, str]:
    """Factors that define the classes, are the same over another window or counted into them, or follow from the defining ones together:
    first canonical correlation with their ranks (for a number: multiple rank correlation) above ``limit``, where the
    factor is known; unknown defining factors at the middle rank."""
    found = {}
    numeric = [f for f in defining if f in material and not is_text(material[f])]
    base = material[numeric].rank(pct=True).fillna(0.5).to_numpy()
    families = {_family(f) for f in defining}
    counted = {part for family in families for part in PARTS_OF.get(family, ())}
    bound = {part for family in families for part in BOUND_TO.get(family, ())}
    for name in kept:
        rows = material[name].notna().to_numpy()
        if name in defining:
            found[name] = "defines"
        elif _family(name) in families:
            found[name] = "window"
        elif _family(name) in counted:
            found[name] = "part"
        elif _family(name) in bound:
            found[name] = "correlated"
        elif numeric and _canonical(_ranks(material[name][rows]), base[rows]) > limit:
            found[name] = "correlated"
    return found


def _ranks(column: pd.Series) -> np.ndarray:
    """The factor's ranks, or one column of 0 and 1 per level."""
    if is_text(column):
        return np.column_stack([(column == level).to_numpy(float) for level in sorted(column.unique())])
    return column.rank(pct=True).to_numpy()[:, None]


def _canonical(x: np.ndarray, y: np.ndarray) -> float:
    """First canonical correlation of two sets of columns."""
    parts = []
    for block in (x, y):
        left, sizes, _ = np.linalg.svd(block - block.mean(axis=0), full_matrices=False)
        parts.append(left[:, sizes > 1e-9 * max(1.0, sizes.max(initial=0))])
    if not parts[0].shape[1] or not parts[1].shape[1]:
        return 0.0
    return float(np.linalg.svd(parts[0].T @ parts[1], compute_uv=False)[0])
