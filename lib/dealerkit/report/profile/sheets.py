"""What both private pages share: cars by name, tags, next steps, work left over, risks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from dealerkit.messages import N_
from dealerkit.report import fragments
from dealerkit.report.fragments import Action, Col, esc

#: Most next steps, and most rows of what happened, that are shown.
STEPS, EVENTS = 6, 150
#: Classes of tags in the order in which their steps are taken.
_FIRST = ("contact", "work", "interest", "car", "bond", "who")


def car_name(series: object, plate: object, vin: str) -> str:
    """What people at the desk call a car: model line and plate, else its VIN."""
    return " · ".join([*([series] if isinstance(series, str) else []), plate if isinstance(plate, str) else vin])


def day(value: object, t) -> str:
    """A day that is never broken over two lines; a dash where it is not known."""
    return "–" if value is None or pd.isna(value) else t.value(value, "day").replace(" ", "\u00a0")


def or_dash(column: pd.Series) -> pd.Series:
    """Texts, with a dash where there is none."""
    return column.astype(object).where(column.notna() & column.ne(""), "–").astype(str)


def car_names(cars: pd.DataFrame) -> dict[str, str]:
    """VIN → name of each car."""
    return {c["vin"]: car_name(c["series"], c["plate"], c["vin"]) for c in cars.to_dict("records")}


def listed(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values side by side; those without a value are left out."""
    shown = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in rows if value)
    return f'<dl class="dk-facts">{shown}</dl>' if shown else ""


def tags(rows: pd.DataFrame, names: Mapping[str, str], t) -> str:
    """The tags with rule, day and car."""
    frame = rows.assign(car=cars_of(rows, names), since=[day(since, t) for since in rows["since"]])
    columns = [Col("label", t.text("Tag")), Col("rule", t.text("Rule")), Col("since", t.text("Since"))]
    columns += [Col("car", t.text("Car"))] if rows["vin"].notna().any() else []
    return fragments.table(frame, columns, t)


def steps(rows: pd.DataFrame, names: Mapping[str, str], left_work: pd.DataFrame, t) -> str:
    """What to do next, by the tags; no advertising to somebody who refused it."""
    refused = "refused_marketing" in set(rows["tag"])
    todo = rows[(rows["step"] != "") & (rows["tag"] != "refused_marketing")]
    todo = todo[~todo["offer"].astype(bool)] if refused else todo
    rank = {name: place for place, name in enumerate(_FIRST)}
    todo = todo.assign(rank=todo["class"].map(rank)).sort_values(["rank", "place"], kind="stable")
    made = []
    for tag, of_tag in todo.groupby("tag", sort=False):
        cars = [names.get(vin, vin) for vin in of_tag["vin"].dropna()]
        first = of_tag.iloc[0]
        how, since = first["label"], of_tag["since"].min()
        if pd.notna(since):
            how = t.say(N_("{label:text} since {day:day}"), label=how, day=since)
        jobs = [i for i in dict.fromkeys(left_work["item"]) if isinstance(i, str)] if tag == "declined_work" else []
        made.append(
            Action(
                first["step"],
                how=" · ".join([how, *([t.listed(cars)] if cars else []), *([t.listed(jobs[:4])] if jobs else [])]),
            )
        )
    said = rows.loc[rows["tag"] == "refused_marketing", "step"]
    warning = f'<p class="dk-warning">{esc(said.iloc[0])}</p>' if refused else ""
    if not made:
        return warning + fragments.note(t.text("Nothing to do follows from the tags."))
    return warning + fragments.actions(made[:STEPS])


def left_over(left_work: pd.DataFrame, names: Mapping[str, str], t, with_car: bool = True) -> str:
    """Work declined or put off and not done since; empty when there is none."""
    if left_work.empty:
        return ""
    frame = left_work.assign(
        car=cars_of(left_work, names),
        day=[day(asked, t) for asked in left_work["day"]],
        status=[t.labels("service_lines", "status", code) for code in left_work["status"]],
    )
    columns = [
        Col("item", t.text("Job")),
        Col("status", t.text("Status")),
        Col("day", t.text("Day")),
        Col("yuan", t.text("Amount"), "yuan"),
    ]
    columns += [Col("car", t.text("Car"))] if with_car else []
    return fragments.heading(t.text("Work left over")) + fragments.table(frame.head(EVENTS), columns, t)


def happened(events: pd.DataFrame, names: Mapping[str, str] | None, t) -> str:
    """What happened, the latest first; with the car it happened to where ``names`` gives what cars are called."""
    frame = events.head(EVENTS)
    frame = frame.assign(
        detail=or_dash(frame["detail"]),
        day=[day(on, t) for on in frame["day"]],
        paid=[paid(yuan, t) for yuan in frame["yuan"]],
    )
    columns = [
        Col("day", t.text("Day")),
        Col("what", t.text("Event")),
        Col("detail", t.text("Details")),
        Col("paid", t.text("Amount")),
    ]
    if names is not None:
        frame = frame.assign(car=cars_of(frame, names))
        columns.insert(3, Col("car", t.text("Car")))
    more = len(events) - len(frame)
    rest = (
        fragments.note(t.say(N_("{n:count|earlier event is|earlier events are} not listed."), n=more)) if more else ""
    )
    return fragments.table(frame, columns, t) + rest


def paid(yuan: object, t) -> str:
    """An amount; a dash where none is known."""
    return "–" if yuan is None or pd.isna(yuan) else t.value(float(yuan), "yuan")


def cars_of(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.Series:
    """Names of the cars of the rows; the VIN of one that is not among them, a dash where there is none."""
    return or_dash(rows["vin"].map(names).fillna(rows["vin"]))


def risks(rows: pd.DataFrame, names: Mapping[str, str], t) -> str:
    """Chance of each car to be lost, with the reasons."""
    frame = rows.assign(
        car=cars_of(rows, names),
        why=[
            t.listed((_reason(label, value, t) for label, value in reasons), ";") or "–" for reasons in rows["reasons"]
        ],
    )
    columns = [
        Col("car", t.text("Car")),
        Col("probability", t.text("Chance to be lost"), "share"),
        Col("yuan_12m", t.text("Yuan a year"), "yuan"),
        Col("why", t.text("What speaks for it")),
    ]
    note = fragments.note(t.text("What raises the chance most against the average car; associated, not proven."))
    return fragments.table(frame.head(EVENTS), columns, t) + note


def _reason(label: str, value: object, t) -> str:
    if value is None or value != value:
        return label
    if isinstance(value, str):
        return t.say(N_("{label:text}: {value:text}"), label=label, value=value)
    return t.say(N_("{label:text}: {value:number}"), label=label, value=float(value))


def gaps(missing: Iterable[tuple[str, str, str]], t) -> str:
    """What could not be shown."""
    return "".join(fragments.gap(*parts, t) for parts in missing)
