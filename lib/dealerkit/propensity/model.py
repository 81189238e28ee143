"""Learning the three models, and using them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import expit

from dealerkit import stats
from dealerkit.messages import N_
from dealerkit.propensity import scorecard as cards
from dealerkit.propensity.scorecard import Scorecard, fit_scorecard
from dealerkit.propensity.trees import Inputs, Rule, Trees, calibration, fit_rule, fit_trees
from dealerkit.stats.labels import CONTRADICTS, UNRIPE

#: The models beside each other, the most readable first.
MODELS = ("scorecard", "trees", "rule")

#: Fewer rows with the outcome, or without it, than this carry no model and no test.
MIN_CASES = 30

NO_ROWS = N_("there is no row to learn from or to test on")
NO_EVENTS = N_("the outcome happened in no row")
ALL_EVENTS = N_("the outcome happened in every row")
FEW_EVENTS = N_("the outcome happened in too few rows")
FEW_OTHERS = N_("too few rows are without the outcome")
NOTHING_VARIES = N_("no factor varies")

#: Everything that the reason of an `Untrainable` may be.
REASONS = (NO_ROWS, NO_EVENTS, ALL_EVENTS, FEW_EVENTS, FEW_OTHERS, NOTHING_VARIES, CONTRADICTS, UNRIPE)

CONSTANT = N_("the same in every row")

_FOLDS = 5
_CHUNK = 200_000
_KEYS = ("person_id", "vin", "origin")
_DIGITS = 6


@dataclass(frozen=True)
class Untrainable:
    """Why there is no model, or no test of one.

    Attributes:
        reason: one of `REASONS`, a message.
        rows, events: rows, and those of them with the outcome.
        where: "training" or "test".
    """

    reason: str
    rows: int
    events: int
    where: str = "training"


@dataclass(frozen=True)
class Propensity:
    """Three models of one outcome.

    Attributes:
        outcome, groups: names of the columns learnt from.
        features: columns used.
        left_out: columns not used: factor, reason (a message); the suspected ones by `stats.leakage` among them.
        leakage: the table of `stats.leakage` for all columns that vary.
        labels: the table of `stats.label_check` for all rows given.
        scorecard, trees, rule: the models.
        held_back: training rows by cross-validation with the rows of a group kept together: group, outcome, and the
            probability of each model for rows it did not learn from.
        rows_given, rows, events, persons: rows given and, when above the largest sample, those drawn of them; rows
            with the outcome; groups.
        seed: of the random numbers.
    """

    outcome: str
    groups: str
    features: tuple[str, ...]
    left_out: pd.DataFrame
    leakage: pd.DataFrame
    labels: pd.DataFrame
    scorecard: Scorecard
    trees: Trees
    rule: Rule
    held_back: pd.DataFrame
    rows_given: int
    rows: int
    events: int
    persons: int
    seed: int


def fit(
    rows: pd.DataFrame,
    features,
    outcome: str,
    rule: str,
    groups: str = "person_id",
    seed: int = 0,
    largest_sample: int = 200_000,
    known_late=(),
    window_days: int | None = None,
    as_of: date | None = None,
) -> Propensity | Untrainable:
    """Learn scorecard, boosted trees and simple rule.

    Labels that `stats.label_check` finds to contradict each other, or not to be ripe, are not learnt from. Factors that
    do not vary are left out, and so are those that `stats.leakage` suspects. Scorecard and trees are
    calibrated on rows that they did not learn from, where they need it.

    Args:
        rows: one row per case and origin, all from origins before the one tested: features, outcome (0 or 1), groups.
        features: columns that may be used; numbers, truth values or categories, missing values allowed.
        outcome: column to predict; rows without it do not count.
        rule: column of the simple rule, such as ``recency_days``; it may also be a feature.
        groups: column whose rows belong together: they share a fold, and are drawn together.
        seed: of folds and sample.
        largest_sample: above so many rows, groups are drawn by lot until about so many are reached.
        known_late: features only known at delivery: suspected when filled in these rows.
        window_days, as_of: days after a row's origin in which the outcome may happen, and the day up to which it is
            known; with both, rows that are not ripe are refused.

    Returns:
        Propensity; or Untrainable, with the reason.

    Raises:
        ValueError: a column is missing, or an outcome is neither 0 nor 1.
    """
    features = list(dict.fromkeys(features))
    keys = [name for name in _KEYS if name in rows]
    asked, rows = rows, prepared(rows, [*features, rule], outcome, groups)
    labels = stats.label_check(
        asked,
        outcome,
        keys if "origin" in keys else (),
        "origin" if "origin" in keys else None,
        window_days,
        as_of,
        few=MIN_CASES,
    )
    given = len(rows)
    refused = refusal(rows[outcome].to_numpy(), "training") or _unsound(labels, rows[outcome])
    if refused:
        return refused
    rows = _sample(rows, groups, largest_sample, seed)
    y = rows[outcome].to_numpy()
    with stats.one_thread():
        columns = stats.Columns.of(rows, features)
        used, left_out, leaks = _usable(rows, columns, outcome, known_late)
        folds = _folds(rows[groups], seed)
        refused = _unlearnable(y, used, folds)
        if refused:
            return refused
        made, held_back = _learn(rows, columns.only(used), y, rule, folds, seed)
    return Propensity(
        outcome=outcome,
        groups=groups,
        features=tuple(used),
        left_out=left_out,
        leakage=leaks,
        labels=labels,
        **made,
        held_back=pd.DataFrame({"group": rows[groups], "outcome": y.astype(int), **held_back}),
        rows_given=given,
        rows=len(y),
        events=int(y.sum()),
        persons=int(rows[groups].nunique()),
        seed=seed,
    )


def _usable(rows, columns: stats.Columns, outcome, known_late) -> tuple[list[str], pd.DataFrame, pd.DataFrame]:
    """Features that vary and are not suspected; those left out, with the reason; and the table of `stats.leakage`."""
    varies = np.add.reduceat(columns.counts() > 0, columns.first[:-1]) > 1 if columns.names else np.zeros(0, bool)
    varying = [name for name, yes in zip(columns.names, varies) if yes]
    leaks = stats.leakage(rows, varying, outcome, known_late, columns=columns.only(varying))
    suspected = leaks[leaks["suspected"]]
    constant = pd.DataFrame({"factor": [name for name in columns.names if name not in varying], "reason": CONSTANT})
    left_out = pd.concat([constant, suspected[["factor", "reason"]]], ignore_index=True)
    return [name for name in varying if name not in set(suspected["factor"])], left_out, leaks


def _unsound(labels: pd.DataFrame, y: pd.Series) -> Untrainable | None:
    """Why these labels must not be learnt from, if so."""
    wrong = labels[labels["suspected"] & labels["reason"].isin([CONTRADICTS, UNRIPE])]
    return Untrainable(wrong["reason"].iloc[0], len(y), int(y.sum())) if len(wrong) else None


def _unlearnable(y: np.ndarray, used: list[str], folds: np.ndarray) -> Untrainable | None:
    """Why nothing can be learnt from the sample, or from all of its folds but one, if so."""
    if refusal(y, "training"):
        return refusal(y, "training")
    if used and not any(refusal(y[folds != fold], "training", 1) for fold in range(_FOLDS)):
        return None
    few = FEW_EVENTS if y.mean() < 0.5 else FEW_OTHERS
    return Untrainable(few if used else NOTHING_VARIES, len(y), int(y.sum()))


def prepared(rows: pd.DataFrame, columns, outcome: str, groups: str) -> pd.DataFrame:
    """Rows with a known outcome, in an order of their own, numbers as floats and categories as texts."""
    missing = [name for name in dict.fromkeys([*columns, outcome, groups]) if name not in rows]
    if missing:
        raise ValueError(f"the rows have no column {', '.join(missing)}")
    rows = rows[rows[outcome].notna()]
    y = stats.as_numbers(rows[outcome])
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"{outcome} must be 0 or 1")
    made = converted(rows, columns).assign(**{outcome: y, groups: rows[groups].astype(str)})
    keys = [name for name in dict.fromkeys([groups, *_KEYS]) if name in rows]
    order = rows[keys].astype(str).reset_index(drop=True)
    if order.duplicated().any():
        # without a key of their own, rows are put in order by all they hold
        order = pd.concat([order, made.reset_index(drop=True)[[*dict.fromkeys([*columns, outcome])]]], axis=1)
        order = order.loc[:, ~order.columns.duplicated()]
    return made.iloc[order.sort_values(list(order.columns), kind="stable").index].reset_index(drop=True)


def converted(rows: pd.DataFrame, columns) -> pd.DataFrame:
    """The columns, numbers as floats and categories as texts, so that this is done once."""
    made = {
        name: stats.as_numbers(rows[name]) if stats.is_number(rows[name]) else stats.as_texts(rows[name])
        for name in dict.fromkeys(columns)
    }
    return pd.DataFrame(made, index=rows.index)


def refusal(y: np.ndarray, where: str, least: int = MIN_CASES) -> Untrainable | None:
    """Why these outcomes carry no model or test, if so."""
    n, events = len(y), int(y.sum())
    if not n:
        reason = NO_ROWS
    elif not events:
        reason = NO_EVENTS
    elif events == n:
        reason = ALL_EVENTS
    elif events < least:
        reason = FEW_EVENTS
    elif n - events < least:
        reason = FEW_OTHERS
    else:
        return None
    return Untrainable(reason, n, events, where)


def _sample(rows, groups, largest, seed) -> pd.DataFrame:
    """Whole groups drawn by lot until their rows reach the largest sample."""
    if len(rows) <= largest:
        return rows
    codes, names = pd.factorize(rows[groups], sort=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    reached = np.cumsum(np.bincount(codes, minlength=len(names))[drawn])
    kept = np.zeros(len(names), dtype=bool)
    kept[drawn[: int(np.searchsorted(reached, largest, side="right"))]] = True
    return rows[kept[codes]].reset_index(drop=True)


def _folds(groups: pd.Series, seed: int) -> np.ndarray:
    codes, names = pd.factorize(groups, sort=True)
    return (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[codes]


def _learn(rows, columns: stats.Columns, y, rule, folds, seed) -> tuple[dict, dict[str, np.ndarray]]:
    """Calibrated models, and their probabilities for rows held back."""

    inputs = Inputs.of(rows, columns.names)
    values = inputs.values(rows)

    def made_of(of) -> tuple[Scorecard, Trees, Rule]:
        card, simple = fit_scorecard(columns.taken(of), y[of]), fit_rule(rows.loc[of, [rule]], rule, y[of])
        return card, fit_trees(inputs, values[of], y[of], seed), simple

    held_back = {name: np.empty(len(y)) for name in MODELS}
    for fold in np.unique(folds):
        out = folds == fold
        card, trees, simple = made_of(~out)
        held_back["scorecard"][out] = card.log_odds(rows[out])
        held_back["trees"][out] = trees.log_odds_of(values[out])
        held_back["rule"][out] = simple.log_odds(rows[out])
    made = dict(zip(MODELS, made_of(np.ones(len(y), dtype=bool))))
    for name in ("scorecard", "trees"):
        intercept, slope = calibration(held_back[name], y)
        held_back[name] = intercept + slope * held_back[name]
        made[name] = made[name].calibrated(intercept, slope)
    return made, {name: np.round(expit(column), _DIGITS) for name, column in held_back.items()}


def score(model: Propensity, rows: pd.DataFrame, which: str = "scorecard") -> pd.Series:
    """Probability of the outcome for each row, six digits, by the model named (``Evaluation.used`` names it).

    A row's probability does not depend on the other rows, which are taken in chunks.

    Raises:
        ValueError: no such model, or a column is missing.
    """
    if which not in MODELS:
        raise ValueError(f"{which!r} is none of {', '.join(MODELS)}")
    columns = [model.rule.column] if which == "rule" else list(model.features)
    missing = [name for name in columns if name not in rows]
    if missing:
        raise ValueError(f"the rows have no column {', '.join(missing)}")
    chosen, parts = getattr(model, which), []
    for start in range(0, len(rows), _CHUNK):
        parts.append(expit(chosen.log_odds(rows.iloc[start : start + _CHUNK])))
    values = np.concatenate(parts) if parts else np.array([])
    return pd.Series(np.round(values, _DIGITS), index=rows.index, name="probability")


def points(model: Propensity, rows: pd.DataFrame | None = None) -> pd.DataFrame | pd.Series:
    """The scorecard's points table, one row per variable and bin; given rows, the 0–100 points of each instead.

    The table has the columns factor, bin, low, high (low ≤ value < high; NaN: no border), categories, is_missing,
    is_rest, n, events, rate, rate_low, rate_high (of the training rows, Wilson), woe, weight, points.
    """
    if rows is None:
        return cards.points_table(model.scorecard)
    return pd.Series(cards.points_of(model.scorecard, rows), index=rows.index, name="points")


def reasons(model: Propensity, rows: pd.DataFrame, top: int = 3) -> pd.DataFrame:
    """What raises the probability of each row most, against the average training row: associated, not proven.

    These are the scorecard's variables, also where trees give the probability.

    Returns:
        Frame with one row per row and reason, in the order of `rows`: row (position from 0), rank (from 1), factor,
        bin, low, high, categories, is_missing, is_rest, contribution (log-odds above the average, four digits,
        always above 0). A row may have fewer reasons than asked for, or none.
    """
    variables = model.scorecard.variables
    columns = ["row", "rank", "factor", "bin", "low", "high", "categories", "is_missing", "is_rest", "contribution"]
    if not variables or not len(rows):
        return pd.DataFrame(columns=columns)
    codes = np.column_stack([v.binning.assign(rows[v.binning.factor]) for v in variables])
    means = [float(np.average(v.parts, weights=v.n)) for v in variables]
    above = np.column_stack([v.parts[codes[:, j]] - means[j] for j, v in enumerate(variables)]).round(4)
    best = np.argsort(-above, axis=1, kind="stable")[:, :top]
    row, rank = np.nonzero(np.take_along_axis(above, best, axis=1) > 0)
    variable = best[row, rank]
    made = pd.DataFrame({"row": row, "rank": rank + 1, "variable": variable, "bin": codes[row, variable]})
    made["contribution"] = above[row, variable]
    tables = [v.binning.table().assign(factor=v.binning.factor, variable=j) for j, v in enumerate(variables)]
    made = made.merge(pd.concat(tables), on=["variable", "bin"], how="left", validate="m:1")
    return made.sort_values(["row", "rank"], ignore_index=True)[columns]
