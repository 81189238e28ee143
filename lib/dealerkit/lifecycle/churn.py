"""Which cars are likely not to come again: windows, labelled rows, the model tested out of time, and today's scores.

At each origin the population is every car held and seen within ``windows.lost_months`` before it: who is already lost
is not predicted. Observation ends at the origin; a gap of ``churn.gap_months`` leaves time to act, and what happens in
it is neither known nor outcome. A car is lost when it has no visit in the ``churn.outcome_months`` after the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dealerkit import propensity
from dealerkit.lifecycle import DAYS_PER_MONTH, LEAST, History, as_days, at, clustered, drift, ends, is_at
from dealerkit.params import Params, months_before

OUTCOME, RULE = "is_lost", "recency_days"
PRODUCT, SMALLEST = "product", "smallest"
_KEYS = ("person_id", "vin", "origin")
SCORES = ["person_id", "vin", "series", "probability", "model", "yuan_12m", "reason_1", "reason_2", "reason_3"]


@dataclass(frozen=True)
class Study:
    """The churn model of a dealer, as far as its data carry one.

    Attributes:
        rows: labelled rows of all origins: `person_id`, `vin`, `origin`, features, is_lost (0, 1; NaN when the car is
            known to have left before the outcome ended).
        origins: origin, cars, lost, left (known to have left, not counted), role ("training" or "test").
        model, evaluation: of `propensity`; `Untrainable` where the data carry none.
        scores: cars in hand that are not lost yet: see `SCORES`; empty without a model.
        persons: person_id, probability (all cars of the person are lost), yuan_12m of its cars, is_reachable,
            may_be_called (has a usable phone and did not refuse).
        joint: how a person's cars are joined: "product" or "smallest" probability.
        expected: name → (value, low, high): cars, yuan that are expected to be lost; ratio, what was lost ÷ what was
            predicted at the test.
        moved: of `drift.drift`, the cars scored against those of the last day learned from; empty without a model.
    """

    rows: pd.DataFrame
    origins: pd.DataFrame
    model: object
    evaluation: object
    scores: pd.DataFrame
    persons: pd.DataFrame
    joint: str
    expected: dict[str, tuple[float, float, float]]
    moved: pd.DataFrame

    @property
    def works(self) -> bool:
        """Whether there is a tested model, be it the simple rule."""
        return isinstance(self.evaluation, propensity.Evaluation)


def features_of(cars: pd.DataFrame, panel: pd.DataFrame, dictionary: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The car panel with the factors of each car's person beside it (``person_…``), and the names of all features.

    Factors only known at delivery are left out. Counts of days and visits of the person repeat the car's for owners of
    one car; the models choose.

    Args:
        cars: rows of `factors.car_panel`.
        panel: factors of persons at the same origins.
        dictionary: of `factors.dictionary`.
    """
    known = dictionary[~dictionary["at_delivery_only"].astype(bool)]
    own = [f for f in known.loc[known["table"] == "car_factors", "factor"] if f in cars]
    of_person = [f for f in known.loc[known["table"] == "person_factors", "factor"] if f in panel]
    beside = panel[["person_id", "origin", *of_person]].rename(columns={f: f"person_{f}" for f in of_person})
    rows = cars.merge(beside, on=["person_id", "origin"], how="left", validate="many_to_one")
    kinds = [c for c in ("series", "energy_type") if c in cars]
    return rows, [*kinds, *own, *[f"person_{f}" for f in of_person]]


def labelled(rows: pd.DataFrame, history: History, params: Params) -> pd.DataFrame:
    """The population at each origin of ``rows`` whose outcome is over at ``as_of``, with its outcome `is_lost`."""
    made, churn = [], params.churn
    for origin in churn.origins(history.as_of):
        part = _still_coming(rows[is_at(rows, origin)], params)
        # Counted back from as_of, as the origins are, so that no day lies between the windows.
        start = pd.Timestamp(_months_after(origin, churn.gap_months, history, params))
        end = pd.Timestamp(_months_after(origin, churn.gap_months + churn.outcome_months, history, params))
        within = history.days[(history.days["day"] > start) & (history.days["day"] <= end)]
        left = as_days(part["vin"].map(history.gone))
        came = part["vin"].isin(within["vin"])
        lost = np.where(left.notna() & (left <= end), np.nan, (~came).astype(float))
        made.append(part.assign(**{OUTCOME: lost}))
    return pd.concat(made, ignore_index=True) if made else rows.head(0).assign(**{OUTCOME: np.nan})


def _still_coming(cars: pd.DataFrame, params: Params) -> pd.DataFrame:
    return cars[cars["recency_days"] <= params.windows.lost_months * DAYS_PER_MONTH]


def _months_after(origin, months: int, history: History, params: Params):
    """The day so many months after an origin that was itself counted back from ``as_of``."""
    as_of = history.as_of
    back = (as_of.year - origin.year) * 12 + as_of.month - origin.month
    return months_before(as_of, back - months)


def study(cars: pd.DataFrame, panel: pd.DataFrame, dictionary: pd.DataFrame, history: History, params: Params) -> Study:
    """Learn on all origins but the last, test on the last, score the cars in hand at ``as_of``.

    Args:
        cars: `factors.car_panel`.
        panel: factors of persons at the same origins.
        dictionary: of `factors.dictionary`.
        history: visits up to ``as_of``.
    """
    rows, features = features_of(cars, panel, dictionary)
    known = labelled(rows, history, params)
    *_earlier, latest, test_at = params.churn.origins(history.as_of)
    is_test = is_at(known, test_at)
    origins = _origins(known, params, history)
    trained = propensity.fit(
        known[~is_test], features, OUTCOME, RULE, largest_sample=params.churn.largest_sample, seed=0
    )
    evaluation = trained
    if isinstance(trained, propensity.Propensity):
        evaluation = propensity.evaluate(trained, known[is_test])
    now = rows[is_at(rows, history.as_of)]
    if not isinstance(evaluation, propensity.Evaluation):
        empty = pd.DataFrame(columns=["person_id", "probability", "yuan_12m", "is_reachable", "may_be_called"])
        none = pd.DataFrame(columns=SCORES), empty, SMALLEST, {}, pd.DataFrame(columns=drift.COLUMNS)
        return Study(known, origins, trained, evaluation, *none)
    tested = known[is_test & known[OUTCOME].notna()]
    chance = propensity.score(trained, tested, evaluation.used)
    joint = joining(tested, chance)
    scores = _scores(trained, evaluation.used, now, params)
    persons = _persons(scores, now, panel, joint, history)
    expected = _expected(scores, tested.assign(p=chance), history)
    moved = drift.drift(trained, known[is_at(known, latest)], _still_coming(now, params), RULE)
    return Study(known, origins, trained, evaluation, scores, persons, joint, expected, moved)


def _origins(known: pd.DataFrame, params: Params, history: History) -> pd.DataFrame:
    days = params.churn.origins(history.as_of)
    rows = []
    for i, day in enumerate(days):
        part = known.loc[is_at(known, day), OUTCOME]
        role = "test" if i == len(days) - 1 else "training"
        rows.append((day, int(part.notna().sum()), int(part.sum()), int(part.isna().sum()), role))
    return pd.DataFrame(rows, columns=["origin", "cars", "lost", "left", "role"])


def joining(tested: pd.DataFrame, chance: pd.Series) -> str:
    """How the probabilities of a person's cars make that of losing the person, who is lost when all cars are.

    The product holds when cars are lost independently, the smallest when they go together. Of persons with two cars or
    more, that which comes nearer to what happened at the test (Brier score); with fewer than 30 the smallest, since one
    household tends to go together.
    """
    both = pd.DataFrame({"person": tested["person_id"], "p": chance, "y": tested[OUTCOME]}).groupby("person")
    made = both.agg(n=("p", "size"), product=("p", "prod"), smallest=("p", "min"), y=("y", "min"))
    made = made[made["n"] > 1]
    if len(made) < LEAST:
        return SMALLEST
    brier = {name: float(((made[name] - made["y"]) ** 2).mean()) for name in (PRODUCT, SMALLEST)}
    return min((SMALLEST, PRODUCT), key=lambda name: round(brier[name], 9))


def yearly_yuan(cars: pd.DataFrame) -> pd.Series:
    """What each car spends in 12 months: spending of 24 months ÷ 2; of cars known for less, their spending of 12."""
    young = cars["first_visit_days_ago"].astype(float) < 730
    half = cars["spend_yuan_24m"].astype(float) / 2
    return pd.Series(np.where(young, cars["spend_yuan_12m"].astype(float), half), index=cars.index).round(2)


def _scores(model, used: str, now: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Scores of the cars in hand that are not lost yet, in the order of person and car."""
    held = _still_coming(now, params).sort_values(["person_id", "vin"], ignore_index=True)
    made = held[["person_id", "vin", "series"]].assign(
        probability=propensity.score(model, held, used), model=used, yuan_12m=yearly_yuan(held)
    )
    why = propensity.reasons(model, held) if used != "rule" else pd.DataFrame(columns=["row", "rank", "factor"])
    for rank in (1, 2, 3):
        of_rank = why[why["rank"] == rank].set_index("row")["factor"]
        made[f"reason_{rank}"] = made.index.map(of_rank).astype(object)
    return made[SCORES]


def _persons(scores: pd.DataFrame, now: pd.DataFrame, panel: pd.DataFrame, joint: str, history: History):
    """Persons with a car that is not lost yet. Cars that are lost already add nothing: the person has to be kept by
    the others."""
    of = "prod" if joint == PRODUCT else "min"
    made = scores.groupby("person_id", sort=True).agg(
        probability=("probability", of), cars=("vin", "size"), yuan_12m=("yuan_12m", "sum")
    )
    about = at(panel, history.as_of).set_index("person_id")
    made["is_reachable"] = about["is_reachable"].reindex(made.index).eq(1)
    refused = about["consents_to_marketing"].reindex(made.index).eq(0)
    made["may_be_called"] = made["is_reachable"] & ~refused
    return made.reset_index().round({"probability": 6})


def _expected(scores: pd.DataFrame, tested: pd.DataFrame, history: History) -> dict[str, tuple]:
    """Cars, and yuan of 12 months, that are expected to be lost, with intervals.

    Level: the sum of the probabilities times what was lost ÷ what was predicted at the test, the latest outcome known.
    The interval holds both uncertainties: which persons there are, and how far the probabilities are off (samples of the
    persons scored, and of those tested).
    """
    rows = scores.assign(cars=scores["probability"], yuan=scores["probability"] * scores["yuan_12m"].fillna(0))
    drawn = clustered(rows, "person_id", ["cars", "yuan"], seed=1)
    off = clustered(tested, "person_id", [OUTCOME, "p"], seed=2)
    ratio = np.divide(off[:, 0], off[:, 1], out=np.full(len(off), np.nan), where=off[:, 1] > 0)
    level = float(tested[OUTCOME].sum() / tested["p"].sum())
    made = {"ratio": (level, *ends(ratio))}
    for i, name in enumerate(("cars", "yuan")):
        if name == "cars" or history.has_yuan:
            made[name] = (float(rows[name].sum()) * level, *ends(drawn[:, i] * ratio))
    return made
