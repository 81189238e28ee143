"""What the page of the life cycle shows: everything computed at once, then small tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from dealerkit import propensity
from dealerkit.lifecycle import DAYS_PER_MONTH, LEAST, History, at, churn, history, lost, returns, stages
from dealerkit.messages import N_
from dealerkit.params import Params, months_before

MODEL_NAMES = {
    "scorecard": N_("scorecard"),
    "trees": N_("boosted trees"),
    "rule": N_("days since last visit"),
}
MEASURED = ["model", "measure", "value", "low", "high"]
_PERSON = N_("{label:text} (customer)")
_MISSING, _REST = N_("not known"), N_("all others")


@dataclass(frozen=True)
class Found:
    """Everything the page is about.

    Attributes:
        params: of the dealer.
        history: visits.
        car_stages, person_stages: stages a year ago and at ``as_of``.
        car_moves, person_moves: of `stages.transitions`.
        curves: return curves.
        loss: of the last year.
        definitions, ranks: of `lost`.
        churn: of `churn.study`.
        warranty_known: share of the cars in hand whose warranty end is known.
        waiting: persons with a car that is past its warning day and not lost yet: person_id, may_be_called.
    """

    params: Params
    history: History
    car_stages: pd.DataFrame
    person_stages: pd.DataFrame
    car_moves: pd.DataFrame
    person_moves: pd.DataFrame
    curves: list[returns.Curve]
    loss: lost.Loss
    definitions: pd.DataFrame
    ranks: pd.DataFrame
    churn: churn.Study
    warranty_known: float
    waiting: pd.DataFrame


def look(
    visits: ir.Table,
    cars: pd.DataFrame,
    car_panel: pd.DataFrame,
    panel: pd.DataFrame,
    dictionary: pd.DataFrame,
    as_of: date,
    params: Params,
) -> Found:
    """All of the life cycle.

    Args:
        visits: clean service orders.
        cars: cars of `identity.identify`.
        car_panel, panel: factors of cars and of persons at the earlier origins and at ``as_of``.
        dictionary: of `factors.dictionary`.

    Example: a curve of your own, of the cars that run on petrol::

        found = views.look(run.table("service_orders"), cars, car_panel, panel, dictionary, run.as_of, run.params)
        waits = returns.waits(found.history)
        petrol = returns.curve(waits[waits["vin"].isin(cars.query("energy_type == 'ice'")["vin"])], run.params)
    """
    past = history(visits, cars, as_of)
    year_ago = months_before(as_of, 12)
    then, now = at(car_panel, year_ago), at(car_panel, as_of)
    of_cars = stages.car_stages(pd.concat([then, now], ignore_index=True), params)
    people = pd.concat([at(panel, year_ago), at(panel, as_of)], ignore_index=True)
    of_persons = stages.person_stages(people, of_cars, params)
    lines = returns.curves(returns.waits(past), params)
    states = lost.states(past, now, params)
    return Found(
        params=params,
        history=past,
        car_stages=of_cars,
        person_stages=of_persons,
        car_moves=stages.transitions(at(of_cars, year_ago), at(of_cars, as_of), "vin"),
        person_moves=stages.transitions(at(of_persons, year_ago), at(of_persons, as_of), "person_id"),
        curves=lines,
        loss=lost.loss(past, then, params),
        definitions=lost.definitions(states, params),
        ranks=lost.ranks(states),
        churn=churn.study(car_panel, panel, dictionary, past, params),
        warranty_known=now["warranty_days_left"].notna().mean(),
        waiting=_waiting(lines, now, at(panel, as_of), params),
    )


def _waiting(curves: list[returns.Curve], now: pd.DataFrame, people: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Persons with a car past its warning day (of its model line, else of all) and not lost yet."""
    columns = ["person_id", "may_be_called"]
    if not curves:
        return pd.DataFrame(columns=columns)
    days = {c.group: c.warning[0] for c in curves if c.kind == "series"}
    limit = now["series"].map(days).fillna(curves[0].warning[0])
    away = now["recency_days"].astype(float)
    late = now[(away > limit) & (away <= params.windows.lost_months * DAYS_PER_MONTH)]
    made = people[people["person_id"].isin(late["person_id"])]
    called = made["is_reachable"].eq(1) & ~made["consents_to_marketing"].eq(0)
    return made[["person_id"]].assign(may_be_called=called).reset_index(drop=True)


def curve_rows(found: Found, kind: str, t, months: float = np.inf) -> pd.DataFrame:
    """Months of the curves of one kind: name, month, away, low, high, at_risk; ``ends``: all cars, and the model lines
    that are warned first and last."""
    lines = returns.lines(found.curves)
    ends = found.curves[:1] + (lines[:1] + lines[-1:] if len(lines) > 1 else [])
    made = ends if kind == "ends" else [c for c in found.curves if c.kind == kind]
    rows = returns.table(made).query("month <= @months")
    return rows.assign(name=[_group(k, g, t) for k, g in zip(rows["kind"], rows["group"], strict=True)])


def _group(kind: str, group: str, t) -> str:
    if kind == "service_number":
        return t.text(returns.NUMBERS[group])
    return t.text(N_("all cars")) if kind == "all" else group


def warnings(found: Found, t) -> pd.DataFrame:
    """Warning day of each group: name, cars, visits, median (days), warning, lost (texts with their intervals), gone (of
    those away on the warning day, the share that stays away)."""
    rows = [
        {
            "name": _group(c.kind, c.group, t),
            "cars": c.cars,
            "visits": c.visits,
            "median": c.median,
            "warning": _with_ends(c.warning, "count", t),
            "gone": 1 - c.still_come[0],
            "lost": _with_ends(c.lost, "share", t),
        }
        for c in found.curves
    ]
    return pd.DataFrame(rows, columns=["name", "cars", "visits", "median", "warning", "gone", "lost"])


def _with_ends(three: tuple, kind: str, t) -> str:
    if not np.isfinite(three[0]):
        return t.text("not known")
    return t.say(N_("{value:text} ({between:text})"), value=t.value(three[0], kind), between=_between(three, kind, t))


def _between(three: tuple, kind: str, t) -> str:
    if not np.isfinite(three[1]):
        return t.text("not known")
    return t.say("{low:text} to {high:text}", low=t.value(three[1], kind), high=t.value(three[2], kind))


def definition_rows(found: Found, t) -> pd.DataFrame:
    """Definitions in words: name, short, base_text, base, lost, share, low, high, between, kendall, spearman, in_force."""
    d = found.definitions
    names = [
        t.say(lost.ABSENT, months=m) if np.isfinite(m) else t.text(lost.LABELS[name])
        for name, m in zip(d["definition"], d["months"], strict=True)
    ]
    names = [
        t.say("{name:text} (in force)", name=name) if force else name
        for name, force in zip(names, d["in_force"], strict=True)
    ]
    between = [_between((0, *ends), "share", t) for ends in zip(d["low"], d["high"], strict=True)]
    bases = [t.text(lost.BASES.get(name, lost.EVER)) for name in d["definition"]]
    return d.assign(name=names, short=_short(found, t), base_text=bases, between=between)


def rank_rows(found: Found, t) -> pd.DataFrame:
    """Ranks of the model lines (1: the most lost) by definition, in words; lines by the definition in force."""
    names = dict(zip(found.definitions["definition"], _short(found, t), strict=True))
    force = f"absent_{found.params.windows.lost_months}"
    ranks = found.ranks.sort_values(force) if force in found.ranks else found.ranks
    return ranks.rename(columns=names)


def _short(found: Found, t) -> list[str]:
    words = {
        lost.COHORT: N_("cohort of 6 months ago"),
        lost.ROLLING: N_("two years rolling"),
        lost.OWN: N_("own rhythm"),
    }
    return [
        t.value(months, "months") if np.isfinite(months) else t.text(words[name])
        for name, months in zip(found.definitions["definition"], found.definitions["months"], strict=True)
    ]


def moves_map(moves: pd.DataFrame, t) -> pd.DataFrame:
    """Shares of cars by stage a year ago (rows) and now (columns), where 30 cars or more were in the stage.

    Small cells are left out (`_hidden`).
    """
    wide = moves.pivot(index="before", columns="after", values="n").loc[list(stages.CAR_STAGES)[1:]]
    wide = wide[list(stages.CAR_STAGES)[1:]]
    wide = wide[wide.sum(axis=1) >= LEAST]
    shown = wide.div(wide.sum(axis=1), axis=0).mask(wide.apply(_hidden, axis=1, result_type="expand").astype(bool))
    names = {key: t.text(text) for key, text in stages.CAR_STAGES.items()}
    index = [t.say("{stage:text} (n {n:count})", stage=names[s], n=int(wide.loc[s].sum())) for s in shown.index]
    return shown.rename(columns=names).set_axis(index, axis=0)


def _hidden(counts: pd.Series) -> pd.Series:
    """Which counts of one breakdown to leave out: those of one to four, and the next smallest until five or more are out,
    so that the total gives none of them away."""
    out = (counts > 0) & (counts < 5)
    rest = counts[(counts >= 5)].sort_values(kind="stable").index.tolist()
    while 0 < counts[out].sum() < 5 and rest:
        out[rest.pop(0)] = True
    return out


def move_rows(moves: pd.DataFrame, t) -> pd.DataFrame:
    """Who moved where, in words, from stages with 30 cases or more: before, after, n, share, between; the largest first
    of each stage, small ones left out (`_hidden`)."""
    names = stages.PERSON_STAGES
    made = moves[(moves["n"] > 0) & (moves["of"] >= LEAST) & (moves["before"] != stages.NOT_KNOWN)]
    made = made[~made.groupby("before")["n"].transform(_hidden).astype(bool)]
    order = made["before"].map({s: i for i, s in enumerate(names)})
    made = made.assign(order=order).sort_values(
        ["order", "n", "after"], ascending=[True, False, True], ignore_index=True
    )
    between = [
        _between((0, low, high), "share", t) if n >= LEAST else ""
        for low, high, n in zip(made["low"], made["high"], made["n"], strict=True)
    ]
    words = {c: [t.text(names[s]) for s in made[c]] for c in ("before", "after")}
    return made.assign(**words, between=between)[["before", "after", "n", "share", "between"]]


def stage_rows(found: Found, t) -> pd.DataFrame:
    """Customers by stage: stage, then (a year ago), now, share of now."""
    made = found.person_stages
    now = at(made, found.history.as_of)["stage"].value_counts()
    then = at(made, months_before(found.history.as_of, 12))["stage"].value_counts()
    rows = [(t.text(text), int(then.get(s, 0)), int(now.get(s, 0))) for s, text in stages.PERSON_STAGES.items()]
    frame = pd.DataFrame(rows, columns=["stage", "then", "now"])
    return frame.assign(share=frame["now"] / max(1, frame["now"].sum()))


def model_rows(found: Found, t) -> pd.DataFrame:
    """How each model ranked at the test: name, auc, low, high."""
    if not found.churn.works:
        return pd.DataFrame(columns=["model", "name", "auc", "low", "high"])
    m = found.churn.evaluation.measures.query("measure == 'auc'")
    return m.assign(auc=m["value"], name=[t.text(MODEL_NAMES[name]) for name in m["model"]]).reset_index(drop=True)


def calibration_rows(found: Found) -> pd.DataFrame:
    """Predicted and observed rates at the test, of the model used."""
    if not found.churn.works:
        return pd.DataFrame(columns=["bin", "n", "predicted", "observed", "low", "high"])
    made = found.churn.evaluation.calibration
    return made[made["model"] == found.churn.evaluation.used].reset_index(drop=True)


def origin_rows(found: Found, t) -> pd.DataFrame:
    """Days that the model learns from and is tested at: origin, role, cars, lost, share, left."""
    roles = {"training": N_("learned from"), "test": N_("tested at")}
    made = found.churn.origins
    share = made["lost"] / made["cars"].where(made["cars"] > 0)
    return made.assign(role=[t.text(roles[r]) for r in made["role"]], share=share)


def point_rows(found: Found, dictionary: pd.DataFrame, t, most: int = 6) -> pd.DataFrame:
    """The points of the scorecard's widest variables in words: factor, bin, points, n, rate, between."""
    columns = ["factor", "bin", "points", "n", "rate", "between"]
    model = found.churn.model
    if not isinstance(model, propensity.Propensity):
        return pd.DataFrame(columns=columns)
    table = propensity.points(model)
    table = table[table["factor"].isin(list(dict.fromkeys(table["factor"]))[:most]) & (table["n"] > 0)]
    names, rows = labels(dictionary, t), []
    for row in table.to_dict("records"):
        few = row["n"] < LEAST
        between = _between((0, row["rate_low"], row["rate_high"]), "share", t)
        rate = np.nan if few else row["rate"]
        name = names.get(row["factor"], row["factor"])
        rows.append((name, _bin(row, t), row["points"], row["n"], rate, t.text("too few") if few else between))
    return pd.DataFrame(rows, columns=columns)


def labels(dictionary: pd.DataFrame, t) -> dict[str, str]:
    """Feature of the churn model → its label, as the dictionary has it."""
    of_car = dictionary[dictionary["table"] == "car_factors"].set_index("factor")["label"]
    of_person = dictionary[dictionary["table"] == "person_factors"].set_index("factor")["label"]
    made = dict(of_car)
    made |= {f"person_{name}": t.say(_PERSON, label=label) for name, label in of_person.items()}
    return made | {"series": t.text(N_("Model line")), "energy_type": t.text(N_("Energy"))}


def _bin(row: dict, t) -> str:
    if row["is_missing"]:
        return t.text(_MISSING)
    if row["is_rest"]:
        return t.text(_REST)
    if isinstance(row["categories"], (list, tuple)) and len(row["categories"]):
        return t.listed(row["categories"])
    low, high = row["low"], row["high"]
    no_low, no_high = low is None or not np.isfinite(low), high is None or not np.isfinite(high)
    if no_low and no_high:
        return t.text(N_("known"))
    if no_low:
        return t.say("under {high:number}", high=high)
    if no_high:
        return t.say("{low:number} or more", low=low)
    return t.say("{low:number} to under {high:number}", low=low, high=high)


def tables(found: Found) -> dict[str, pd.DataFrame]:
    """Tables to save, by name."""
    moves = [found.car_moves.assign(unit="car"), found.person_moves.assign(unit="person")]
    study, works = found.churn, found.churn.works
    points = propensity.points(study.model) if isinstance(study.model, propensity.Propensity) else None
    if points is not None:
        points = points.assign(categories=[_joined(c) for c in points["categories"]])
    return {
        "car_stages": at(found.car_stages, found.history.as_of).drop(columns="origin"),
        "person_stages": at(found.person_stages, found.history.as_of).drop(columns="origin"),
        "stage_transitions": pd.concat(moves, ignore_index=True),
        "return_curves": returns.table(found.curves).round({"away": 6, "low": 6, "high": 6}),
        "lost_series": lost.by_series(found.loss),
        "lost_definitions": found.definitions,
        "lost_ranks": found.ranks.reset_index(),
        "churn_scores": study.scores,
        "churn_persons": study.persons,
        "churn_drift": study.moved,
        "churn_origins": study.origins,
        "churn_metrics": study.evaluation.measures if works else pd.DataFrame(columns=MEASURED),
        "churn_calibration": study.evaluation.calibration if works else calibration_rows(found),
        "scorecard_points": points if points is not None else pd.DataFrame(columns=["factor", "bin", "points"]),
    }


def _joined(categories) -> str | None:
    return ", ".join(map(str, categories)) if isinstance(categories, (list, tuple)) and len(categories) else None
