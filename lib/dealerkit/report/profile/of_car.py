"""The parts of a car's page: one car, one file."""

from __future__ import annotations

import pandas as pd

from dealerkit.messages import N_
from dealerkit.report import fragments
from dealerkit.report.fragments import Card, Col
from dealerkit.report.profile import CarProfile, lines, sheets


def parts(known: CarProfile, t) -> list[str]:
    """Every part in order, as HTML."""
    car = known.car
    name = sheets.car_name(car.get("series"), car.get("plate"), car["vin"])
    names = {car["vin"]: name}
    drawn = known.visits.assign(what=[_kind(code, t) for code in known.visits["order_type"]])
    made = [
        fragments.headline(name, _lead(known, t)),
        fragments.cards(_cards(known, t), t),
        fragments.heading(t.text("Do this next")),
        sheets.steps(known.tags, names, known.left_work, t),
        fragments.heading(t.text("Visits and sale")),
        lines.odometer(drawn, known.as_of, t),
        _visits(known.events, t),
        sheets.left_over(known.left_work, names, t, with_car=False),
        fragments.heading(t.text("Who had it")),
        _owners(known, t),
        fragments.heading(t.text("Tags")),
        sheets.tags(known.tags.assign(vin=None), names, t),
        *_risk(known, names, t),
        fragments.heading(t.text("The car")),
        _facts(car, t),
        sheets.gaps(known.missing, t),
        *(fragments.note(said) for said in known.remarks),
    ]
    return [part for part in made if part]


def _kind(code: object, t) -> str:
    return t.labels("service_orders", "order_type", code) if isinstance(code, str) else t.text(N_("visit"))


def _lead(known: CarProfile, t) -> str:
    holder = known.held[known.held["in_hand"].astype(bool)] if len(known.held) else known.held
    if len(holder):
        who = t.listed(name if isinstance(name, str) else t.text("name not known") for name in holder["name"])
        said = [t.say(N_("Held by {name:text}."), name=who)]
    else:
        said = [t.text(N_("Held by nobody on record."))]
    if len(known.visits):
        said.append(t.say(N_("Came last on {day:day}."), day=known.visits["day"].max()))
    else:
        said.append(t.text(N_("Never came to the workshop on record.")))
    return ("" if t.language == "zh" else " ").join(said)


def _cards(known: CarProfile, t) -> list[Card]:
    car, visits = known.car, known.visits
    km = pd.Series([car.get("odometer_km"), *visits["odometer_km"]], dtype=object).dropna()
    yuan = visits["total_yuan"].astype(float)
    shown = [
        Card(t.text("Odometer"), t.value(max(km) if len(km) else None, "km")),
        Card(t.text("Visits"), t.value(len(visits), "count")),
        Card(
            t.text("Workshop turnover"),
            t.value(yuan.sum() if yuan.notna().any() else None, "yuan"),
            note=t.text("all visits on record"),
        ),
        Card(t.text("Warranty ends on"), t.value(car.get("warranty_ends_on"), "day"), note=_limit(car, t)),
        Card(t.text("Insurance ends on"), t.value(car.get("insurance_ends_on"), "day")),
    ]
    if len(known.risks):
        shown.append(Card(t.text("Chance to be lost"), t.value(float(known.risks["probability"].max()), "share")))
    return shown


def _limit(car: dict, t) -> str:
    return t.say(N_("or at {km:km}"), km=car["warranty_km"]) if car.get("warranty_km") is not None else ""


def _visits(events: pd.DataFrame, t) -> str:
    if events.empty:
        return fragments.note(t.text("No visit is on record."))
    return sheets.happened(events, None, t)


def _owners(known: CarProfile, t) -> str:
    if known.owners.empty:
        return fragments.note(t.text("Nobody is on record."))
    frame = known.owners.assign(
        name=sheets.or_dash(known.owners["name"]),
        phone=sheets.or_dash(known.owners["phone"]),
        **{c: [sheets.day(on, t) for on in known.owners[c]] for c in ("first", "last", "bought_on")},
        state=[t.text(N_("holds it")) if holds else "–" for holds in known.owners["holds"]],
        visits=known.owners["visits"].fillna(0),
    )
    columns = [
        Col("name", t.labels("customers", "name")),
        Col("phone", t.text("Phone")),
        Col("first", t.text("First met with it")),
        Col("last", t.text("Last met with it")),
        Col("visits", t.text("Visits"), "count"),
        Col("bought_on", t.text("Bought it here on")),
        Col("state", t.text("Position")),
        Col("person_id", t.text("Person id")),
    ]
    return fragments.table(frame.head(sheets.EVENTS), columns, t)


def _risk(known: CarProfile, names: dict, t) -> list[str]:
    if known.risks.empty:
        return []
    return [fragments.heading(t.text("Chance to be lost")), sheets.risks(known.risks, names, t)]


def _facts(car: dict, t) -> str:
    def of(name: str, kind: str = "text") -> tuple[str, str]:
        value = car.get(name)
        return t.labels("vehicles", name), "" if value is None else t.value(value, kind)

    energy = t.labels("vehicles", "energy_type", car["energy_type"]) if car.get("energy_type") else ""
    here = car.get("sold_here")
    rows = [
        of("vin"),
        of("plate"),
        of("brand"),
        of("series"),
        (t.labels("vehicles", "model_year"), str(int(car["model_year"])) if car.get("model_year") is not None else ""),
        (t.labels("vehicles", "energy_type"), energy),
        of("list_price_yuan", "yuan"),
        of("purchase_price_yuan", "yuan"),
        of("purchased_on", "day"),
        (t.labels("vehicles", "sold_here"), "" if here is None else t.text(N_("yes") if here else N_("no"))),
        of("warranty_ends_on", "day"),
        of("finance_ends_on", "day"),
        of("insurance_ends_on", "day"),
        of("disposed_on", "day"),
    ]
    return sheets.listed(rows)
