"""What "lost" means: the loss of the last year, and every definition of it side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from dealerkit import stats
from dealerkit.lifecycle import DAYS_PER_MONTH, DAYS_PER_YEAR, LEAST, History, as_days, clustered, ends
from dealerkit.messages import N_
from dealerkit.params import Params, months_before

#: Months of absence that count as lost, beside the one in force.
ABSENCES = (6, 9, 12, 13, 18, 24)
COHORT, ROLLING, OWN = "cohort_6", "rolling_24", "own_rhythm"

ABSENT = N_("not seen for {months:months}")
LABELS = {
    COHORT: N_("seen six months before, not since"),
    ROLLING: N_("seen in the year before last, not in the last"),
    OWN: N_("away for longer than the car's own rhythm explains"),
}
EVER = N_("cars in hand that ever came")
BASES = {
    COHORT: N_("cars in hand that came in the month six months ago"),
    ROLLING: N_("cars in hand that came in the year before last"),
    OWN: EVER,
}


@dataclass(frozen=True)
class Loss:
    """The loss of the year before ``as_of``.

    Attributes:
        cars: cars that came a year ago (held, and seen within ``windows.lost_months`` before that day) and are not known
            to have been sold or traded in since: vin, person_id, series, is_lost (not seen within ``lost_months`` before
            ``as_of``), yuan (what a lost car spent in the 365 days up to its last visit; 0 for the others).
        gone: cars that came a year ago, and are known to have been sold or traded in since.
        yuan: sum over the lost cars with its interval; None without amounts.
    """

    cars: pd.DataFrame
    gone: int
    yuan: tuple[float, float, float] | None

    @property
    def lost(self) -> pd.DataFrame:
        """The lost cars."""
        return self.cars[self.cars["is_lost"]]


def loss(history: History, held: pd.DataFrame, params: Params) -> Loss:
    """Cars that came a year ago and are lost now.

    Args:
        held: rows of `factors.car_panel` a year before ``as_of``.
    """
    limit = params.windows.lost_months * DAYS_PER_MONTH
    came = held[held["recency_days"] <= limit].drop_duplicates("vin").sort_values("vin")
    is_gone = came["vin"].isin(history.gone.index)
    kept = came.loc[~is_gone, ["vin", "person_id", "series"]].reset_index(drop=True)
    last = as_days(kept["vin"].map(history.last_seen(history.as_of)))
    kept["is_lost"] = (pd.Timestamp(history.as_of) - last).dt.days > limit
    spent = kept["vin"].map(_last_year_of(history)).fillna(0.0)
    kept["yuan"] = np.where(kept["is_lost"], spent, 0.0)
    yuan = None
    if history.has_yuan:
        samples = clustered(kept, "person_id", ["yuan"])[:, 0] if len(kept) else np.array([])
        yuan = (float(kept["yuan"].sum()), *ends(samples))
    return Loss(kept, int(is_gone.sum()), yuan)


def _last_year_of(history: History) -> pd.Series:
    """vin → yuan of the 365 days up to its last visit."""
    days = history.days
    last = days.groupby("vin")["day"].transform("max")
    within = (last - days["day"]).dt.days < DAYS_PER_YEAR
    return days[within].groupby("vin")["yuan"].sum()


def by_series(loss_: Loss, most: int = 8) -> pd.DataFrame:
    """Loss of the year by model line: series, cars, lost, share, low, high, yuan; the highest share first."""
    made = loss_.cars.dropna(subset=["series"]).groupby("series", sort=True)
    made = made.agg(cars=("vin", "size"), lost=("is_lost", "sum"), yuan=("yuan", "sum")).reset_index()
    made = made.sort_values(["cars", "series"], ascending=[False, True]).head(most)
    made["share"] = made["lost"] / made["cars"]
    made["low"], made["high"] = stats.wilson(made["lost"].to_numpy(), made["cars"].to_numpy())
    return made.sort_values(["share", "series"], ascending=[False, True], ignore_index=True)


def states(history: History, cars: pd.DataFrame, params: Params) -> pd.DataFrame:
    """For each car in hand and definition, whether it counts and whether it is lost.

    Returns:
        Long frame definition, vin, series, is_lost: one row per definition and car in its base. The definitions are
        ``absent_<months>`` (the months in force among them), ``cohort_6``, ``rolling_24`` and ``own_rhythm``.

    Args:
        cars: car factors at ``as_of`` (cars in hand).
    """
    held = cars.drop_duplicates("vin").sort_values("vin")[["vin", "series", "recency_days"]]
    held = held[held["recency_days"].notna()].reset_index(drop=True)
    recency = held["recency_days"].astype(float)
    made = [
        (f"absent_{months}", held, recency > months * DAYS_PER_MONTH)
        for months in sorted({*ABSENCES, params.windows.lost_months})
    ]
    for name, (older, newer) in {COHORT: (7, 6), ROLLING: (24, 12)}.items():
        start, end = (pd.Timestamp(months_before(history.as_of, m)) for m in (older, newer))
        day = history.days["day"]
        base = held["vin"].isin(history.days.loc[(day > start) & (day <= end), "vin"])
        since = held["vin"].isin(history.days.loc[day > end, "vin"])
        made.append((name, held[base], ~since[base]))
    usual = own_limit(history, held)
    made.append((OWN, held, recency > usual))
    parts = [base[["vin", "series"]].assign(definition=name, is_lost=lost.to_numpy(bool)) for name, base, lost in made]
    return pd.concat(parts, ignore_index=True)[["definition", "vin", "series", "is_lost"]]


def own_limit(history: History, cars: pd.DataFrame, level: float = 0.95) -> np.ndarray:
    """Days of absence of each car that its own rhythm explains with this probability.

    The days between visits are taken as log-normal. A car's own median counts with the weight of its visits against
    that of its model line: weight = between / (between + within / gaps), with the variances of all cars (empirical
    Bayes; Efron, Morris 1975, "Data analysis using Stein's estimator", JASA 70). The limit is the quantile of the next
    interval, uncertainty of the median included; infinite where no car came twice.
    """
    days = history.days
    gap = days.groupby("vin", sort=False)["day"].diff().dt.days
    logs = pd.DataFrame({"vin": days["vin"], "log": np.log(gap.clip(lower=1))}).dropna()
    if logs.empty:
        return np.full(len(cars), np.inf)
    own = logs.groupby("vin")["log"].agg(["mean", "size"])
    within = float(((logs["log"] - logs["vin"].map(own["mean"])) ** 2).sum() / max(1, len(logs) - len(own)))
    own["series"] = own.index.map(history.series)
    line = logs["log"].groupby(logs["vin"].map(history.series)).agg(["mean", "size"])
    # A model line with few intervals says no more than all together.
    line = line.loc[line["size"] >= LEAST, "mean"]
    overall = float(logs["log"].mean())
    centre = own["series"].map(line).fillna(overall)
    noise = float((within / own["size"]).mean())
    between = max(0.0, float(((own["mean"] - centre) ** 2).mean()) - noise)
    seen = own.reindex(cars["vin"])
    middle = cars["series"].map(line).fillna(overall).to_numpy(float)
    count = seen["size"].fillna(0).to_numpy(float)
    whole = between * count + within  # nothing where every interval is the same
    weight = np.divide(between * count, whole, out=np.zeros(len(count)), where=whole > 0)
    centre = middle + weight * (seen["mean"].fillna(0).to_numpy(float) - middle) * (count > 0)
    spread = np.sqrt(within + between * (1 - weight))
    return np.round(np.exp(centre + ndtri(level) * spread), 6)


def definitions(states_: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Definitions side by side: definition, months, in_force, base, lost, share, low, high, kendall, spearman.

    kendall and spearman compare the ranking of the model lines with that of the definition in force, over lines with 30
    cars or more in the base of both; NaN with fewer than three lines.
    """
    force = f"absent_{params.windows.lost_months}"
    made = states_.groupby("definition").agg(base=("vin", "size"), lost=("is_lost", "sum"))
    order = [*(f"absent_{m}" for m in sorted({*ABSENCES, params.windows.lost_months})), COHORT, ROLLING, OWN]
    made = made.reindex(order).fillna(0).astype(int).reset_index()
    made["months"] = made["definition"].map(_months)
    made["in_force"] = made["definition"] == force
    made["share"] = made["lost"] / made["base"].where(made["base"] > 0)
    made["low"], made["high"] = stats.wilson(made["lost"].to_numpy(), made["base"].to_numpy())
    rates = _rates(states_)
    made["kendall"] = [_agreement(rates, name, force, kendall) for name in made["definition"]]
    made["spearman"] = [_agreement(rates, name, force, spearman) for name in made["definition"]]
    columns = ["definition", "months", "in_force", "base", "lost", "share", "low", "high", "kendall", "spearman"]
    return made[columns]


def _months(name: str) -> float:
    return float(name.removeprefix("absent_")) if name.startswith("absent_") else np.nan


def _order(name: str) -> tuple:
    return (0, _months(name), name) if name.startswith("absent_") else (1, 0, (COHORT, ROLLING, OWN).index(name))


def _rates(states_: pd.DataFrame) -> pd.DataFrame:
    """Rates of model lines (rows) by definition (columns), where 30 cars or more count."""
    made = states_.dropna(subset=["series"]).groupby(["series", "definition"])["is_lost"].agg(["mean", "size"])
    return made["mean"].where(made["size"] >= LEAST).unstack("definition")


def _agreement(rates: pd.DataFrame, name: str, force: str, of) -> float:
    if name not in rates or force not in rates:
        return np.nan
    both = rates[[name, force]].dropna().to_numpy() if name != force else rates[[force, force]].dropna().to_numpy()
    if len(both) < 3 or (np.ptp(both, axis=0) == 0).any():
        return np.nan
    return round(of(*both.T), 4)


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Agreement of two rankings by pairs, ties allowed for (Kendall 1945, tau-b)."""
    first, second = (np.sign(np.subtract.outer(x, x)) for x in (a, b))
    return float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of ranks, equal ones with their mean rank (Spearman 1904)."""
    return float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])


def ranks(states_: pd.DataFrame) -> pd.DataFrame:
    """Rank of each model line by each definition (1: the most lost): index series, columns definitions in their order.

    Lines with fewer than 30 cars in a base have no rank there; lines without any rank are left out.
    """
    rates = _rates(states_)
    made = rates.rank(ascending=False, method="min").dropna(how="all")
    return made[sorted(made.columns, key=_order)]
