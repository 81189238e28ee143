"""Stages of cars and customers, and who moved where in the year before ``as_of``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit import stats
from dealerkit.lifecycle import DAYS_PER_MONTH
from dealerkit.messages import N_
from dealerkit.params import Params

#: Stages in the order of a life, and what people call them.
CAR_STAGES = {
    "potential": N_("potential"),
    "new": N_("new car period"),
    "in_use": N_("in use"),
    "replacement": N_("due to be replaced"),
    "exit": N_("away or gone"),
}
PERSON_STAGES = {
    "potential": N_("potential"),
    "new": N_("new"),
    "in_use": N_("in use"),
    "replacement": N_("due to replace"),
    "exit": N_("away or gone"),
}
#: Where those come from who were not known a year ago.
NOT_KNOWN = "not_known"


def car_stages(cars: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Stage of each car at its origin: person_id, vin, origin, series, stage.

    - potential: on record, but neither sold here nor ever seen;
    - exit: not seen for more than ``windows.lost_months`` (where it never came: since its purchase);
    - replacement: ``churn.replacement_months`` old or older;
    - new: under warranty; where the warranty end is unknown, younger than ``churn.new_car_months``;
    - in_use: all others.

    The first that fits counts. Without a purchase date, a car is as old as its first visit says.

    Args:
        cars: rows of `factors.car_panel`, of any origins.
    """
    age = cars["vehicle_age_months"].astype(float)
    age = age.fillna(cars["first_visit_days_ago"].astype(float) / DAYS_PER_MONTH)
    away = cars["recency_days"].astype(float).fillna(age * DAYS_PER_MONTH)
    warranty = cars["warranty_days_left"].astype(float)
    visited = cars["visits_count_all"].fillna(0) > 0
    rules = [
        ("potential", ~visited & (cars["sold_here"].astype(float).fillna(0) != 1)),
        ("exit", away > params.windows.lost_months * DAYS_PER_MONTH),
        ("replacement", age >= params.churn.replacement_months),
        ("new", (warranty >= 0) | (warranty.isna() & (age < params.churn.new_car_months))),
    ]
    stage = np.select([mask.to_numpy(bool) for _, mask in rules], [name for name, _ in rules], "in_use")
    return cars[["person_id", "vin", "origin", "series"]].assign(stage=stage.astype(object))


def person_stages(panel: pd.DataFrame, stages: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Stage of each person at each origin: person_id, origin, stage.

    - potential: has no car here, and never had one or brought one;
    - exit: no car is left, or all that ever came are in the stage exit;
    - replacement: one of the cars that still come is due to be replaced;
    - new: met within ``classes.new_months``;
    - in_use: all others.

    Args:
        panel: factors of persons at the origins.
        stages: of `car_stages`, at the same origins.
    """
    keys = ["person_id", "origin"]
    rows = panel[[*keys, "tenure_days", "visits_count_all", "purchases_count_all"]]
    held = stages[keys].assign(**{stage: stages["stage"] == stage for stage in CAR_STAGES})
    held = held.groupby(keys, sort=False)[list(CAR_STAGES)].sum().reset_index()
    rows = rows.merge(held, on=keys, how="left", validate="one_to_one")
    held = rows[list(CAR_STAGES)].fillna(0)
    known = held.sum(axis=1) - held["potential"]
    owned = (rows["visits_count_all"].fillna(0) > 0) | (rows["purchases_count_all"].fillna(0) > 0)
    rules = [
        ("potential", (known == 0) & ~(owned & (held["potential"] == 0))),
        ("exit", (known == 0) | (known == held["exit"])),
        ("replacement", held["replacement"] > 0),
        ("new", rows["tenure_days"] < params.classes.new_months * DAYS_PER_MONTH),
    ]
    stage = np.select([mask.to_numpy(bool) for _, mask in rules], [name for name, _ in rules], "in_use")
    return rows[keys].assign(stage=stage.astype(object))


def transitions(then: pd.DataFrame, now: pd.DataFrame, key: str) -> pd.DataFrame:
    """Who moved where between two origins: before, after, n, share (of those in ``before``) with its interval.

    Who is known now and was not then comes from ``not_known``; who is known no more went to exit: the car was sold,
    traded in or scrapped. Every pair of stages has a row; without anybody in ``before`` the share is not known.

    Args:
        then, now: stages at the two origins, each `key` once; the first row counts where a car has two holders.
    """
    first = then.drop_duplicates(key).set_index(key)["stage"]
    second = now.drop_duplicates(key).set_index(key)["stage"]
    pairs = pd.DataFrame({"before": first, "after": second})
    pairs["before"], pairs["after"] = pairs["before"].fillna(NOT_KNOWN), pairs["after"].fillna("exit")
    both = [[NOT_KNOWN, *CAR_STAGES], list(CAR_STAGES)]
    n = pairs.groupby(["before", "after"]).size().reindex(pd.MultiIndex.from_product(both, names=["before", "after"]))
    made = n.fillna(0).astype(int).rename("n").reset_index()
    total = made.groupby("before")["n"].transform("sum")
    made["of"] = total
    made["share"] = made["n"] / total.where(total > 0)
    made["low"], made["high"] = stats.wilson(made["n"].to_numpy(), total.to_numpy())
    return made
