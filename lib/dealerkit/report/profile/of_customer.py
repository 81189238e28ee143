"""The parts of a customer's page."""

from __future__ import annotations

import pandas as pd

from dealerkit.messages import N_, mask
from dealerkit.report import fragments
from dealerkit.report.fragments import Card, Col
from dealerkit.report.profile import CustomerProfile, lines, sheets
from dealerkit.tables import TABLES

_KINDS = {
    "owner": N_("holds their car"),
    "driver": N_("drives their car"),
    "payer": N_("pays for their car"),
    "employee": N_("works for them"),
    "by_owner": N_("holds the car"),
    "by_driver": N_("drives this customer's car"),
    "by_payer": N_("pays for this customer's car"),
    "by_employee": N_("works for this customer"),
    "household": N_("same household"),
    "family": N_("family"),
}
_KEYS = {
    "id_number": N_("same ID number"),
    "phone": N_("same phone"),
    "name": N_("same name"),
    "birth_date": N_("same birth date"),
    "address": N_("same address"),
}
_STAGES = {
    "potential": N_("potential"),
    "new": N_("new car period"),
    "in_use": N_("in use"),
    "replacement": N_("due to be replaced"),
    "exit": N_("away or gone"),
}


def parts(known: CustomerProfile, t) -> list[str]:
    """Every part in order, as HTML."""
    names = sheets.car_names(known.other_cars) | sheets.car_names(known.cars)
    made = [
        fragments.headline(known.person.get("name") or t.text("Name not known"), _lead(known, t)),
        _contact(known, t),
        fragments.cards(_cards(known, t), t),
        fragments.heading(t.text("Do this next")),
        sheets.steps(known.tags, names, known.left_work, t),
        fragments.heading(t.text("Before and after the sale")),
        lines.timeline(known.events, _first_sale(known), known.as_of, t),
        fragments.heading(t.text("Cars, in hand and gone")),
        _cars(known, names, t),
        sheets.left_over(known.left_work, names, t),
        fragments.heading(t.text("Tags")),
        sheets.tags(known.tags, names, t),
        fragments.heading(t.text("Scores and classes")),
        *_scores(known, names, t),
        fragments.heading(t.text("What happened, the latest first")),
        sheets.happened(known.events, names, t),
        fragments.heading(t.text("How records became this customer")),
        _records(known, t),
        _relations(known, names, t),
        _diary(known, t),
    ]
    return [part for part in made if part]


def _lead(known: CustomerProfile, t) -> str:
    held = int(known.cars["in_hand"].sum()) if len(known.cars) else 0
    if held:
        said = [t.say(N_("Holds {n:count|car|cars}."), n=held)]
    else:
        said = [t.text(N_("Held a car and holds none now.") if len(known.cars) else N_("Has no car on record."))]
    away = known.numbers.get("recency_days")
    if away is not None:
        said.append(t.say(N_("Came last {n:days} ago."), n=away))
    else:
        said.append(t.text(N_("No visit of their own is on record.")))
    return ("" if t.language == "zh" else " ").join(said)


def _cards(known: CustomerProfile, t) -> list[Card]:
    f = known.numbers
    shown = [
        Card(
            t.text("Visits in 24 months"),
            t.value(f.get("visits_count_24m"), "count"),
            note=t.say(N_("{n:count} ever"), n=f.get("visits_count_all")),
        ),
        Card(
            t.text("Spending in 24 months"),
            t.value(f.get("spend_yuan_24m"), "yuan"),
            note=t.say(N_("{n:yuan} ever"), n=f.get("spend_yuan_all")),
        ),
        Card(t.text("Days since the last visit"), t.value(f.get("recency_days"), "count"), note=_rhythm(f, t)),
        Card(
            t.text("Expected value"),
            t.value(f.get("clv_yuan"), "yuan"),
            note=t.text("turnover still to come, discounted"),
        ),
    ]
    if len(known.risks):
        shown.append(
            Card(
                t.text("Chance to be lost"),
                t.value(float(known.risks["probability"].max()), "share"),
                note=t.text("the car most at risk"),
            )
        )
    if f.get("survey_score_last") is not None:
        shown.append(Card(t.text("Last survey"), t.say(N_("{score:number} of 10"), score=f["survey_score_last"])))
    return shown


def _rhythm(f: dict, t) -> str:
    usual = f.get("interval_days_median")
    return t.say(N_("usually {n:days} between visits"), n=round(usual)) if usual is not None else ""


def _first_sale(known: CustomerProfile):
    """Day of the first car: of the first sale here, or the earliest purchase date of a car."""
    days = [*known.events.loc[known.events["lane"] == "sale", "day"]]
    days += [*known.cars["purchased_on"].dropna()] if len(known.cars) else []
    return min(pd.Timestamp(day) for day in days).date() if days else None


def _cars(known: CustomerProfile, names: dict, t) -> str:
    if known.cars.empty:
        return fragments.note(t.text("No car is on record."))
    rows = [_car(car, names, t) for car in known.cars.head(sheets.EVENTS).to_dict("records")]
    columns = [
        Col("car", t.text("Car")),
        Col("state", t.text("State")),
        Col("bought", t.text("Purchased on")),
        Col("km", t.text("Last odometer"), "km"),
        Col("warranty", t.text("Warranty ends on")),
        Col("insurance", t.text("Insurance ends on")),
        Col("vin", t.text("VIN")),
    ]
    more = len(known.cars) - len(rows)
    rest = fragments.note(t.say(N_("{n:count|further car is|further cars are} not listed."), n=more)) if more else ""
    return fragments.table(pd.DataFrame(rows), columns, t) + rest


def _car(car: dict, names: dict, t) -> dict:
    state = [_state(car, t)]
    if isinstance(car["evidence"], str):
        chance = t.value(float(car["left_probability"]), "share")
        told = {"why": t.text(car["evidence"]), "chance": chance}
        doubt = N_("perhaps gone ({chance:text}): {why:text}") if car["in_hand"] else N_("{why:text} ({chance:text})")
        state.append(t.say(doubt, **told))
    km = [v for v in (car.get("odometer_km_last"), car["odometer_km"]) if v is not None and pd.notna(v)]
    return {
        "car": names[car["vin"]],
        "state": " · ".join(state),
        "bought": sheets.day(car["purchased_on"], t),
        "km": max(km) if km else None,
        "warranty": sheets.day(car["warranty_ends_on"], t),
        "insurance": sheets.day(car["insurance_ends_on"], t),
        "vin": car["vin"],
    }


def _state(car: dict, t) -> str:
    """In hand, with its stage when that is known; or gone, with the day."""
    if car["in_hand"]:
        stage = car.get("stage")
        return t.text(_STAGES[stage]) if stage in _STAGES else t.text("in hand")
    gone = car["left_on"] if pd.notna(car["left_on"]) else car["disposed_on"]
    return t.say(N_("gone on {day:text}"), day=sheets.day(gone, t)) if pd.notna(gone) else t.text("gone")


def _scores(known: CustomerProfile, names: dict, t) -> list[str]:
    made = []
    if len(known.classes):
        columns = [Col("scheme_label", t.text("Classes")), Col("label", t.text("Class")), Col("rule", t.text("Rule"))]
        made.append(fragments.table(known.classes, columns, t))
    if len(known.risks):
        made.append(sheets.risks(known.risks, names, t))
    return [*made, sheets.gaps(known.missing, t), *(fragments.note(said) for said in known.remarks)]


def _contact(known: CustomerProfile, t) -> str:
    p, consent = known.person, known.person.get("marketing_consent")
    said = {True: N_("agreed"), False: N_("refused")}.get(None if consent is None else bool(consent), N_("not asked"))
    roles = (("is_company", N_("company")), ("is_owner", N_("owner")), ("is_former_owner", N_("former owner")),
             ("is_prospect", N_("prospect")), ("is_driver", N_("driver")), ("is_payer", N_("payer")))  # fmt: skip
    gender = t.labels("customers", "gender", p["gender"]) if p.get("gender") else ""
    rows = [
        (t.text("Phone"), p.get("phone") or t.text("not known")),
        (t.text("Advertising"), t.text(said)),
        (t.text("Role"), t.listed(t.text(name) for key, name in roles if p.get(key))),
        (t.labels("customers", "gender"), gender),
        (
            t.labels("customers", "birth_date"),
            t.value(p["birth_date"], "day") if p.get("birth_date") is not None else "",
        ),
        # The number itself is of no use at the desk.
        (t.labels("customers", "id_number"), mask(p["id_number"], "id") if p.get("id_number") else ""),
        (t.labels("customers", "residential_area"), p.get("residential_area") or ""),
        (t.labels("customers", "occupation"), p.get("occupation") or ""),
        (t.labels("customers", "member_level"), p.get("member_level") or ""),
        (t.text("Person id"), p["person_id"]),
    ]
    return sheets.listed(rows)


def _records(known: CustomerProfile, t) -> str:
    single = len(known.records) == 1
    frame = known.records.assign(
        joined=[
            t.listed(t.text(_KEYS[key]) for key in keys) or t.text("only record" if single else "another key")
            for keys in known.records["joined_by"]
        ],
        source=[t.labels(source) if source in TABLES else source for source in known.records["source"]],
        chance=[
            "–" if single else t.say(N_("over {p:share}"), p=p) if over else t.value(p, "share")
            for p, over in known.records["probability"]
        ],
        created=[sheets.day(on, t) for on in known.records["created_on"]],
        **{c: sheets.or_dash(known.records[c]) for c in ("name", "phone", "address", "source_channel")},
    )
    columns = [
        Col("customer_id", t.text("Record number")),
        Col("source", t.text("Source")),
        Col("name", t.labels("customers", "name")),
        Col("phone", t.text("Phone")),
        Col("address", t.labels("customers", "address")),
        Col("created", t.labels("customers", "created_on")),
        Col("source_channel", t.labels("customers", "source_channel")),
        Col("joined", t.text("Joined by")),
    ]
    columns += [] if single else [Col("chance", t.text("Probability"))]
    caption = t.say(N_("{n:count|record|records} of the sources"), n=len(frame))
    return fragments.table(frame.head(sheets.EVENTS), columns, t, caption)


def _relations(known: CustomerProfile, names: dict, t) -> str:
    if known.relations.empty:
        return ""
    frame = known.relations.assign(
        kind=[t.text(_KINDS.get(kind, kind)) for kind in known.relations["kind"]],
        car=sheets.cars_of(known.relations, names),
        name=sheets.or_dash(known.relations["name"]),
        phone=sheets.or_dash(known.relations["phone"]),
        since=[sheets.day(since, t) for since in known.relations["since"]],
    )
    columns = [
        Col("name", t.labels("customers", "name")),
        Col("kind", t.text("Relation")),
        Col("phone", t.text("Phone")),
        Col("car", t.text("Car")),
        Col("since", t.text("Since")),
        Col("other_person_id", t.text("Person id")),
    ]
    return fragments.table(frame.head(sheets.EVENTS), columns, t, t.text("Related customers"))


def _diary(known: CustomerProfile, t) -> str:
    if known.diary.empty:
        return ""
    frame = known.diary.assign(
        as_of=[sheets.day(day, t) for day in known.diary["as_of"]],
        other_person_id=sheets.or_dash(known.diary["other_person_id"]),
    )
    columns = [
        Col("as_of", t.text("Report")),
        Col("what", t.text("Event")),
        Col("other_person_id", t.text("Other person id")),
    ]
    return fragments.table(frame.head(sheets.EVENTS), columns, t, t.text("What became of this customer's id"))
