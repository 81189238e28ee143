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
from scipy.stats import CensoredData, ecdf

from dealerkit import stats
from dealerkit.lifecycle import DAYS_PER_MONTH, LEAST, REPEATS, History, ends
from dealerkit.messages import N_
from dealerkit.params import Params

ALL = "all"
NUMBERS = {"1": N_("after the first visit"), "2": N_("after the second"), "3": N_("after the third")}
NUMBERS |= {"4": N_("after the fourth and later")}
#: Most model lines with a curve of their own.
MOST_SERIES = 8


@dataclass(frozen=True)
class Curve:
    """Return to the workshop after a visit.

    Attributes:
        kind, group: "all", "series" or "service_number", and which.
        cars, visits, returns: what it is made of.
        away: share not yet back after 0, 1, 2, … days, up to the horizon.
        low, high: its interval of 95 %.
        at_risk: waits still open on each day.
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
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
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
    end = pd.to_datetime(made["vin"].map(history.gone)).fillna(last).clip(upper=last)
    made["is_back"] = following.notna()
    made["days"] = (following.fillna(end) - made["day"]).dt.days
    made["service_number"] = (by_car.cumcount() + 1).clip(upper=4).astype(str)
    made["series"] = made["vin"].map(history.series)
    return made.loc[made["days"] > 0, ["vin", "series", "service_number", "days", "is_back"]].reset_index(drop=True)


def curves(found: pd.DataFrame, params: Params) -> list[Curve]:
    """The curve of all waits, then by model line (the most waits first) and by number of the visit.

    Groups with fewer than 30 cars or 30 returns have none; so has everybody, then, and the list is empty.
    """
    made = [curve(found, params)]
    if made[0] is None:
        return []
    lines = found.groupby("series").size().sort_values(ascending=False, kind="stable").head(MOST_SERIES).index
    made += [curve(found[found["series"] == line], params, "series", line) for line in lines]
    made += [curve(found[found["service_number"] == no], params, "service_number", no) for no in NUMBERS]
    return [c for c in made if c is not None]


def curve(found: pd.DataFrame, params: Params, kind: str = ALL, group: str = ALL) -> Curve | None:
    """The curve of these waits, or None where fewer than 30 cars or 30 returns carry none."""
    cars, returns = found["vin"].nunique(), int(found["is_back"].sum())
    if cars < LEAST or returns < LEAST:
        return None
    days, back = found["days"].to_numpy(float), found["is_back"].to_numpy(bool)
    horizon = _horizon(days, params)
    if horizon < 2 * DAYS_PER_MONTH:
        return None
    grid = np.arange(horizon + 1)
    away = np.round(ecdf(CensoredData(days[back], right=days[~back])).sf.evaluate(grid), 9)
    samples = _samples(found, horizon)
    peak, half = _bends(away)
    at_risk = len(days) - np.searchsorted(np.sort(days), grid, side="left")
    low, high = np.nanquantile(samples, [0.025, 0.975], axis=0)

    def with_ends(of) -> tuple[float, float, float]:
        return of(away), *ends(np.array([of(row) for row in samples]))

    share, limit = params.churn.warning_share, round(params.windows.lost_months * DAYS_PER_MONTH)
    day = int(warning_day(away, share))
    return Curve(
        kind=kind,
        group=str(group),
        cars=cars,
        visits=len(found),
        returns=returns,
        away=away,
        low=np.minimum(low.round(9), away),
        high=np.maximum(high.round(9), away),
        at_risk=at_risk,
        warning=with_ends(lambda s: warning_day(s, share)),
        still_come=with_ends(lambda s: 1 - s[-1] / s[day] if s[day] > 0 else 0.0),
        lost=with_ends(lambda s: float(s[limit])) if limit <= horizon else (np.nan,) * 3,
        peak_month=peak,
        half_month=half,
    )


def warning_day(away: np.ndarray, share: float) -> float:
    """Last day on which at least this share of those who come back by the end of the curve are still to come."""
    come = away[0] - away[-1]
    if come <= 0:
        return 0.0
    return float(np.flatnonzero((away - away[-1]) / come >= share - 1e-9)[-1])


def _horizon(days: np.ndarray, params: Params) -> int:
    """Days that the curve covers: up to the horizon of the params, while 30 waits are still open."""
    longest = round(params.churn.return_horizon_months * DAYS_PER_MONTH)
    return int(min(longest, np.sort(days)[-LEAST])) if len(days) >= LEAST else 0


def _samples(found: pd.DataFrame, horizon: int) -> np.ndarray:
    """Curves of samples of whole cars: `REPEATS` × days, by counts of cars × days."""
    car, names = pd.factorize(found["vin"], sort=True)
    day = np.minimum(found["days"].to_numpy(int), horizon + 1)
    shape, back = (len(names), horizon + 2), found["is_back"].to_numpy(float)
    ended = sparse.csr_array((np.ones(len(day)), (car, day)), shape=shape)
    came = sparse.csr_array((back * (day <= horizon), (car, day)), shape=shape)
    made = []
    for draws in stats.group_draws(np.arange(len(names)), REPEATS // 2):
        events, exits = (came.T @ draws.T).T, (ended.T @ draws.T).T
        open_ = exits[:, ::-1].cumsum(axis=1)[:, ::-1]
        chance = np.divide(events, open_, out=np.zeros_like(events), where=open_ > 0)
        made.append(np.cumprod(1 - chance, axis=1)[:, : horizon + 1])
    return np.concatenate(made)


def hazard(away: np.ndarray) -> np.ndarray:
    """Chance of coming back within each month, of those still away when it begins."""
    marks = np.round(np.arange(0, len(away) / DAYS_PER_MONTH) * DAYS_PER_MONTH).astype(int)
    at = away[marks[marks < len(away)]]
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
    rows = []
    for c in made:
        day = np.round(np.arange(0, len(c.away) / DAYS_PER_MONTH) * DAYS_PER_MONTH).astype(int)
        day = day[day < len(c.away)]
        rows.append(
            pd.DataFrame(
                {
                    "kind": c.kind,
                    "group": c.group,
                    "month": np.arange(len(day)),
                    "day": day,
                    "at_risk": c.at_risk[day],
                    "away": c.away[day],
                    "low": c.low[day],
                    "high": c.high[day],
                    "return_chance": np.concatenate([[np.nan], hazard(c.away)])[: len(day)],
                }
            )
        )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
