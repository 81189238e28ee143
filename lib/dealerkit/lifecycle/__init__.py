"""The life of customers and cars with the dealer: stages, return to the workshop, loss, and who is likely to go.

`history` takes the days of visits per car from the clean tables; `stages`, `returns`, `lost` and `churn` each answer
one question from it and from the factors at earlier origins; `views` makes what the page shows, `facts` what it says
in numbers, `says` the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import engine, stats

DAYS_PER_MONTH = 30.4375
DAYS_PER_YEAR = 365

#: Fewer cases than this carry no rate, no curve and no rank.
LEAST = 30
#: Bootstrap samples behind intervals that have no formula.
REPEATS = 400


@dataclass(frozen=True)
class History:
    """Days on which each car came, up to ``as_of``.

    Attributes:
        as_of: the day of which all is told.
        days: one row per car and day, in this order: vin, day, yuan (None where no amount is known).
        gone: vin → day from which the car is known to have been sold, traded in or scrapped.
        series: vin → model line.
    """

    as_of: date
    days: pd.DataFrame
    gone: pd.Series
    series: pd.Series

    @property
    def has_yuan(self) -> bool:
        """Whether any visit has an amount."""
        return bool(self.days["yuan"].notna().any())

    def before(self, day: date) -> pd.DataFrame:
        """The visits on or before a day."""
        return self.days[self.days["day"] <= pd.Timestamp(day)]

    def last_seen(self, day: date) -> pd.Series:
        """vin → last visit on or before a day."""
        return self.before(day).groupby("vin", sort=True)["day"].max()


def history(visits: ir.Table, cars: pd.DataFrame, as_of: date) -> History:
    """The history of all cars.

    Args:
        visits: clean service orders.
        cars: cars of `identity.identify`: vin, series, in_hand, left_on, disposed_on.
        as_of: later visits do not count.
    """
    seen = visits.filter(_.vin.notnull() & _.opened_at.notnull()).mutate(day=_.opened_at.date())
    seen = seen.filter(seen.day <= ibis.literal(as_of))
    yuan = _.total_yuan.sum().cast("float64")
    days = engine.frame_of(seen.group_by(["vin", "day"]).agg(yuan=yuan).order_by(["vin", "day"]))
    days["day"] = as_days(days["day"])
    cars = cars.sort_values(["vin", "person_id"])
    left = pd.concat([as_days(cars[c]) for c in ("left_on", "disposed_on")], axis=1).max(axis=1)
    held = cars.groupby("vin")["in_hand"].transform("any")
    gone = left[~held].groupby(cars["vin"]).max().dropna()
    return History(as_of, days, gone, cars.groupby("vin")["series"].first())


def at(frame: pd.DataFrame, origin: date) -> pd.DataFrame:
    """The rows of one origin."""
    return frame[is_at(frame, origin)].reset_index(drop=True)


def is_at(frame: pd.DataFrame, origin: date) -> np.ndarray:
    """Which rows are of one origin."""
    return (as_days(frame["origin"]) == pd.Timestamp(origin)).to_numpy()


def as_days(column: pd.Series) -> pd.Series:
    """Dates as timestamps."""
    # `to_datetime` looks at each value, also of what is timestamps already
    return column if column.dtype.kind == "M" else pd.to_datetime(column)


def clustered(rows: pd.DataFrame, groups: str, columns: list[str], seed: int = 0) -> np.ndarray:
    """Sums of the columns in bootstrap samples of whole groups: an array `REPEATS` × columns.

    The groups are put in an order of their own, so that the order of the rows does not show.
    """
    sums = rows.groupby(groups, sort=True)[columns].sum().to_numpy(float)
    if not len(sums):
        return np.zeros((REPEATS, len(columns)))
    drawn = stats.group_draws(np.arange(len(sums)), REPEATS, seed)
    return np.concatenate([draws @ sums for draws in drawn])


def ends(samples: np.ndarray) -> tuple[float, float]:
    """The interval of 95 % of bootstrap samples; NaN without any."""
    known = samples[np.isfinite(samples)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
