"""When cars come back: the curve of the time to the next visit, and the day from which a warning is due.

Every visit starts a wait that ends with the next visit of the same car, or is cut off when the car is known to have
left, or at ``as_of`` (Kaplan, Meier 1958, "Nonparametric estimation from incomplete observations", JASA 53). Waits of
one car are not independent, so the intervals come from samples of whole cars, not from Greenwood's formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from dealerkit import stats
from dealerkit.lifecycle import DAYS_PER_MONTH, LEAST, History, as_days, ends
from dealerkit.messages import N_
from dealerkit.params import Params

ALL = "all"
NUMBERS = {"1": N_("after the first visit"), "2": N_("after the second"), "3": N_("after the third")}
NUMBERS |= {"4": N_("after the fourth and later")}
#: Most model lines with a curve of their own.
MOST_SERIES = 8
_REPEATS = 200


@dataclass(frozen=True)
class Curve:
    """Return to the workshop after a visit.

    Attributes:
        kind, group: "all", "series" or "service_number", and which.
        cars, visits, returns: what it is made of.
        away: share not yet back after 0, 1, 2, … days, up to the horizon.
        at_risk: waits still open on each day.
        marks: the days on which 0, 1, 2, … months are over, up to the horizon.
        low, high: interval of 95 % of the share away, on these days.
        warning: last day on which ``churn.warning_share`` of those who come back are still to come; its interval.
        still_come: of those away on that day, the share that comes back by the horizon; its interval.
        lost: share not back within ``windows.lost_months``; its interval; NaN when the horizon lies before it.
        peak_month, half_month: month with the greatest chance of coming back, and the first one after it in which that
            chance has fallen to half or less; None when it does not fall so far.
    """

    kind: str
    group: str
    cars: int
    visits: int
    returns: int
    away: np.ndarray
    at_risk: np.ndarray
    marks: np.ndarray
    low: np.ndarray
    high: np.ndarray
    warning: tuple[float, float, float]
    still_come: tuple[float, float, float]
    lost: tuple[float, float, float]
    peak_month: int | None
    half_month: int | None

    @property
    def median(self) -> float:
        """Days after which half are back; NaN when that is never."""
        below = np.flatnonzero(self.away <= 0.5)
        return float(below[0]) if len(below) else np.nan


def waits(history: History) -> pd.DataFrame:
    """Every visit with what came after it: vin, series, service_number ("1" to "4", the last one and more), days, is_back.

    A car that left on the day of its visit gives no wait.
    """
    made = history.days[["vin", "day"]].copy()
    by_car = made.groupby("vin", sort=False)
    following = by_car["day"].shift(-1)
    last = pd.Timestamp(history.as_of)
    end = as_days(made["vin"].map(history.gone)).fillna(last).clip(upper=last)
    made["is_back"] = following.notna()
    made["days"] = (following.fillna(end) - made["day"]).dt.days
    made["service_number"] = (by_car.cumcount() + 1).clip(upper=4).astype(str)
    made["series"] = made["vin"].map(history.series)
    return made.loc[made["days"] > 0, ["vin", "series", "service_number", "days", "is_back"]].reset_index(drop=True)


def curves(found: pd.DataFrame, params: Params) -> list[Curve]:
    """The curve of all waits, then by model line (the most waits first) and by number of the visit.

    Groups with fewer than 30 cars or 30 returns have none; so has everybody, then, and the list is empty.
    """
    most = found.groupby("series").size().sort_values(ascending=False, kind="stable").head(MOST_SERIES).index
    groups = [(ALL, ALL, found["vin"].notna())]
    groups += [("series", line, found["series"] == line) for line in most]
    groups += [("service_number", no, found["service_number"] == no) for no in NUMBERS]
    return _drawn(found, params, groups)


def lines(made: list[Curve]) -> list[Curve]:
    """The curves of model lines, those that are warned first first."""
    return sorted((c for c in made if c.kind == "series"), key=lambda c: (c.warning[0], c.group))


def curve(found: pd.DataFrame, params: Params) -> Curve | None:
    """The curve of these waits, or None where fewer than 30 cars or 30 returns carry none."""
    return next(iter(_drawn(found, params, [(ALL, ALL, found["vin"].notna())])), None)


def _drawn(found: pd.DataFrame, params: Params, groups: list[tuple]) -> list[Curve]:
    """The curves of groups of waits (kind, group, which) that carry one, from the same samples of whole cars."""
    car, names = pd.factorize(found["vin"], sort=True)
    days, back = found["days"].to_numpy(int), found["is_back"].to_numpy(bool)
    parts = [(kind, key, _Waits.of(car[of], days[of], back[of], len(names), params)) for kind, key, of in groups]
    parts = [part for part in parts if part[2] is not None]
    samples = [[] for _part in parts]
    if parts:
        for draws in stats.group_draws(np.arange(len(names)), _REPEATS):
            for made, (_kind, _key, part) in zip(samples, parts):
                made.append(part.away(draws))
    return [_curve(kind, key, part, np.concatenate(made), params) for (kind, key, part), made in zip(parts, samples)]


@dataclass(frozen=True)
class _Waits:
    """Waits of one group by day: cars × days.

    Attributes:
        cars, returns: cars with a wait in the group, and waits that end with a visit.
        ended, came: how many waits of each car end on each day, and how many of them with a visit; waits beyond the
            horizon end on the day after it.
    """

    cars: int
    returns: int
    ended: sparse.csr_array
    came: sparse.csr_array

    @classmethod
    def of(cls, car, days, back, cars: int, params: Params) -> _Waits | None:
        """None where fewer than 30 cars or 30 returns, or too short a time, carry no curve."""
        own = len(np.unique(car))
        horizon = _horizon(days, params)
        if own < LEAST or back.sum() < LEAST or horizon < 2 * DAYS_PER_MONTH:
            return None
        day, shape = np.minimum(days, horizon + 1), (cars, horizon + 2)
        came = back & (day <= horizon)
        return cls(
            own,
            int(back.sum()),
            sparse.csr_array((np.ones(len(day)), (car, day)), shape=shape),
            sparse.csr_array((np.ones(came.sum()), (car[came], day[came])), shape=shape),
        )

    def away(self, draws: np.ndarray) -> np.ndarray:
        """Share not yet back by day, where cars count as often as drawn: samples × days."""
        events, exits = (self.came.T @ draws.T).T, (self.ended.T @ draws.T).T
        open_ = exits[:, ::-1].cumsum(axis=1)[:, ::-1]
        chance = np.divide(events, open_, out=np.zeros_like(events), where=open_ > 0)
        return np.cumprod(1 - chance, axis=1)[:, :-1]


def _curve(kind: str, group: str, part: _Waits, samples: np.ndarray, params: Params) -> Curve:
    ended = part.ended.sum(axis=0)
    at_risk = ended[::-1].cumsum()[::-1][:-1].astype(int)
    away = part.away(np.ones((1, part.ended.shape[0])))[0].round(9)
    share, limit = params.churn.warning_share, round(params.windows.lost_months * DAYS_PER_MONTH)
    day, marks = int(warning_day(away, share)), _marks(len(away))
    low, high = np.quantile(samples[:, marks], [0.025, 0.975], axis=0).round(9)
    peak, half = _bends(away)

    def with_ends(of) -> tuple[float, float, float]:
        return float(of(away)), *ends(of(samples))

    return Curve(
        kind=kind,
        group=str(group),
        cars=part.cars,
        visits=int(ended.sum()),
        returns=part.returns,
        away=away,
        at_risk=at_risk,
        marks=marks,
        low=np.minimum(low, away[marks]),
        high=np.maximum(high, away[marks]),
        warning=with_ends(lambda s: warning_day(s, share)),
        still_come=with_ends(lambda s: _still_come(s, day)),
        lost=with_ends(lambda s: s[..., limit]) if limit < len(away) else (np.nan,) * 3,
        peak_month=peak,
        half_month=half,
    )


def warning_day(away: np.ndarray, share: float) -> np.ndarray:
    """Last day on which at least this share of those who come back by the end of the curve are still to come; of one
    curve, or of many (samples × days)."""
    come = away[..., :1] - away[..., -1:]
    still = np.divide(away - away[..., -1:], come, out=np.zeros_like(away), where=come > 0)
    return np.maximum((still >= share - 1e-9).sum(axis=-1) - 1, 0)


def _still_come(away: np.ndarray, day: int) -> np.ndarray:
    """Of those away on a day, the share that comes back by the end of the curve."""
    then = away[..., day]
    return 1 - np.divide(away[..., -1], then, out=np.ones_like(then), where=then > 0)


def _horizon(days: np.ndarray, params: Params) -> int:
    """Days that the curve covers: up to the horizon of the params, while 30 waits are still open."""
    longest = round(params.churn.return_horizon_months * DAYS_PER_MONTH)
    return int(min(longest, np.sort(days)[-LEAST])) if len(days) >= LEAST else 0


def _marks(days: int) -> np.ndarray:
    """Days on which 0, 1, 2, … months are over, of so many days."""
    marks = np.round(np.arange(0, days / DAYS_PER_MONTH) * DAYS_PER_MONTH).astype(int)
    return marks[marks < days]


def hazard(away: np.ndarray) -> np.ndarray:
    """Chance of coming back within each month, of those still away when it begins."""
    at = away[_marks(len(away))]
    return np.round(1 - np.divide(at[1:], at[:-1], out=np.ones(len(at) - 1), where=at[:-1] > 0), 6)


def _bends(away: np.ndarray) -> tuple[int | None, int | None]:
    """Month of the greatest chance of coming back, and the first after it with half of it or less."""
    chance = hazard(away)
    if not len(chance) or chance.max() <= 0:
        return None, None
    peak = int(chance.argmax())
    lower = np.flatnonzero(chance[peak:] <= chance[peak] / 2)
    return peak + 1, int(peak + lower[0]) + 1 if len(lower) else None


def table(made: list[Curve]) -> pd.DataFrame:
    """The curves month by month: kind, group, month, at_risk, away, low, high, return_chance (of the month before)."""
    columns = ["kind", "group", "month", "day", "at_risk", "away", "low", "high", "return_chance"]
    rows = [
        pd.DataFrame(
            {
                "kind": c.kind,
                "group": c.group,
                "month": np.arange(len(c.marks)),
                "day": c.marks,
                "at_risk": c.at_risk[c.marks],
                "away": c.away[c.marks],
                "low": c.low,
                "high": c.high,
                "return_chance": np.append(np.nan, hazard(c.away)),
            }
        )
        for c in made
    ]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
