"""The factors of persons, at ``as_of`` and at earlier origins, by the same expressions."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import value
from dealerkit.engine import frame_of, keep
from dealerkit.factors.declared import DAYS_12M, DAYS_24M, DAYS_PER_MONTH, PERSON_FACTORS
from dealerkit.factors.events import (
    beside,
    count_if,
    days_between,
    declined_lines,
    delivered,
    person_of,
    ratio,
    sum_if,
    up_to,
    visit_factors,
    visits_of,
)
from dealerkit.factors.own import check_own, event_factors, with_own
from dealerkit.params import Params


def person_factors(
    connection,
    clean: dict[str, ir.Table],
    persons: pd.DataFrame,
    records: pd.DataFrame,
    cars: ir.Table,
    origins: list[date],
    as_of: date,
    params: Params,
) -> pd.DataFrame:
    """One row per person and origin with the columns of `PERSON_FACTORS`.

    Args:
        connection: engine connection.
        clean: clean tables of the audit.
        persons, records, cars: what `identity.identify` gives.
        origins: days at which to serve the factors; only persons seen by then appear.
        as_of: the origin at which columns known at delivery are served.
        params: value horizon and discount rate; own factors, which follow as further columns.

    Raises `UserErrors` for own factors that cannot be computed, before anything is.
    """
    check_own(params)
    when = ibis.memtable({"origin": sorted(origins)}, schema={"origin": "date"})
    who, told = person_of(records), delivered(clean)
    visits = keep(connection, "person_visits", visits_of(clean, who, cars, told))
    parts = [visit_factors(visits, when, "person_id"), _car_counts(visits, cars, when, as_of)]
    parts += [_line_factors(clean, visits, when)] if "service_lines" in clean else []
    parts += [_sales_factors(clean, who, visits, when)] if "sales_orders" in clean else []
    parts += [_contact_factors(clean, who, when)] if "interactions" in clean else []
    parts += [_campaign_factors(clean, who, when)] if "campaigns" in clean else []
    own = event_factors(clean, who, visits, when, as_of, params.own_factors)
    base = _base(persons, visits, _bought(clean, who, cars), when, as_of)
    joined = beside(base, ["person_id", "origin"], *parts, *own)
    found = frame_of(joined)
    counts = [
        f.name
        for f in PERSON_FACTORS
        if f.name in found
        and ("_count_" in f.name or f.name == "cars_count" or (f.name.startswith("spend_yuan") and told.amounts))
    ]
    found[counts] = found[counts].astype(float).fillna(0)
    found = _with_value(found, visits, sorted(origins), params)
    found = with_own(connection, found, params)
    ordered = ["person_id", "origin", *[f.name for f in PERSON_FACTORS], *[own.name for own in params.own_factors]]
    return found.reindex(columns=ordered).sort_values(["origin", "person_id"], ignore_index=True)


def at(panel: pd.DataFrame, origin: date) -> pd.DataFrame:
    """The factors of the panel at one origin."""
    return panel[pd.to_datetime(panel["origin"]) == pd.Timestamp(origin)].reset_index(drop=True)


def _bought(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table) -> ir.Table:
    """First purchase here of each person. The holder of a car is only known at delivery, so that a purchase date of
    the car would let persons appear before anybody met them; without sales orders, cars sold here must do."""
    if "sales_orders" in clean:
        sales = clean["sales_orders"].inner_join(who, "customer_id")
        return sales.group_by(b_person=_.person_id).agg(first_bought=_.delivered_on.min())
    return cars.filter(_.sold_here).group_by(b_person=_.person_id).agg(first_bought=_.purchased_on.min())


def _base(persons: pd.DataFrame, visits: ir.Table, bought: ir.Table, when: ir.Table, as_of: date) -> ir.Table:
    """Persons seen by each origin, with what they are; the first sight is the earliest record, purchase or visit."""
    kept = [
        "person_id",
        "gender",
        "birth_date",
        "is_company",
        "created_on",
        "records_count",
        "member_level",
        "points",
        "marketing_consent",
        "phone",
        "occupation",
        "income_band",
    ]
    types = {
        "person_id": "string",
        "gender": "string",
        "birth_date": "date",
        "is_company": "boolean",
        "created_on": "date",
        "records_count": "int64",
        "member_level": "string",
        "points": "float64",
        "marketing_consent": "boolean",
        "phone": "string",
        "occupation": "string",
        "income_band": "string",
    }
    people = ibis.memtable(persons[kept].assign(points=persons["points"].astype(float)), schema=types)
    first_visit = visits.group_by(v_person=_.person_id).agg(first_visit=_.day.min())
    seen = people.left_join(first_visit, people.person_id == first_visit.v_person).left_join(
        bought, people.person_id == bought.b_person
    )
    seen = seen.mutate(first_seen=ibis.least(seen.created_on, seen.first_visit, seen.first_bought))
    at = seen.cross_join(when)
    at = at.filter((at.first_seen <= at.origin) | (at.first_seen.isnull() & (at.origin == ibis.literal(as_of))))
    now = at.origin == ibis.literal(as_of)

    def delivered(expression):
        return now.ifelse(expression, ibis.null(expression.type()))

    birthday_passed = at.birth_date.strftime("%m%d") <= at.origin.strftime("%m%d")
    return at.select(
        "person_id",
        "origin",
        age_years=at.origin.year() - at.birth_date.year() - birthday_passed.ifelse(0, 1),
        is_female=ibis.cases((at.gender == "f", 1), (at.gender == "m", 0)),
        is_company=at.is_company.cast("int64"),
        tenure_days=days_between(at.origin, at.first_seen),
        records_count=delivered(at.records_count),
        member_level=delivered(at.member_level),
        points_count=delivered(at.points),
        consents_to_marketing=delivered(at.marketing_consent.cast("int64")),
        is_reachable=delivered(at.phone.notnull().cast("int64")),
        occupation=delivered(at.occupation),
        income_band=delivered(at.income_band),
    )


def _car_counts(visits: ir.Table, cars: ir.Table, when: ir.Table, as_of: date) -> ir.Table:
    """What the cars on record say. A car counts from the day since which its owner has it; without one from its first
    visit, else at delivery only."""
    driven = visits.group_by(d_vin=_.vin).agg(first_day=_.day.min())
    known = cars.left_join(driven, cars.vin == driven.d_vin).select(
        "person_id",
        "purchased_on",
        "in_hand",
        "left_on",
        "energy_type",
        "list_price_yuan",
        "sold_here",
        "warranty_ends_on",
        "insurance_ends_on",
        day=cars.held_from.coalesce(driven.first_day, ibis.literal(as_of)),
    )
    c = up_to(known, when)
    # That a car was disposed of is only known at delivery; a trade-in is known from its day.
    c = c.filter(c.in_hand | ((c.origin < ibis.literal(as_of)) & (c.left_on.isnull() | (c.left_on > c.origin))))
    months = (days_between(c.origin, c.purchased_on) / DAYS_PER_MONTH).floor()
    now = c.origin == ibis.literal(as_of)
    made = c.group_by(["person_id", "origin"]).agg(
        cars_count=c.count(),
        vehicle_age_months_min=months.min(),
        vehicle_age_months_max=months.max(),
        new_energy=count_if(c.energy_type.isin(["phev", "bev"])),
        energy_known=count_if(c.energy_type.notnull()),
        list_price_yuan_max=c.list_price_yuan.max().cast("float64"),
        sold_here=count_if(c.sold_here),
        sold_known=count_if(c.sold_here.notnull()),
        warranty_days_left_max=days_between(c.warranty_ends_on, c.origin).max(),
        insurance_days_left_min=now.ifelse(days_between(c.insurance_ends_on, c.origin), ibis.null("int64")).min(),
    )
    made = made.mutate(
        new_energy_share=ratio(made.new_energy, made.energy_known),
        sold_here_share=ratio(made.sold_here, made.sold_known),
    ).drop("new_energy", "energy_known", "sold_here", "sold_known")
    return beside(made, ["person_id", "origin"], _km_per_year(visits, cars, when))


def _km_per_year(visits: ir.Table, cars: ir.Table, when: ir.Table) -> ir.Table:
    """Largest odometer of each car ÷ its years at that reading; the mean over a person's cars."""
    bought = cars.filter(_.purchased_on.notnull()).select(b_vin=_.vin, bought_on=_.purchased_on).distinct()
    read = visits.filter(_.odometer_km.notnull()).inner_join(bought, visits.vin == bought.b_vin)
    v = up_to(read.select("person_id", "vin", "day", "odometer_km", "bought_on"), when)
    last = v.group_by(["person_id", "vin", "origin"]).agg(
        km=v.odometer_km.max(), days=days_between(v.day.max(), v.bought_on.min())
    )
    last = last.filter(last.days >= 90)
    last = last.mutate(per_year=(last.km * 365.25 / last.days).round(0).cast("int64"))
    made = last.group_by(["person_id", "origin"]).agg(total=last.per_year.sum(), cars=last.count())
    return made.select("person_id", "origin", odometer_km_per_year=ratio(made.total, made.cars))


def _line_factors(clean: dict[str, ir.Table], visits: ir.Table, when: ir.Table) -> ir.Table:
    lines = up_to(declined_lines(clean, visits.select("person_id", "order_id", "day")), when)
    lines = lines.filter(lines.ago < DAYS_12M)
    return lines.group_by(["person_id", "origin"]).agg(
        declined_count_12m=lines.count(), declined_yuan_12m=lines.amount_yuan.sum().cast("float64")
    )


def _sales_factors(clean: dict[str, ir.Table], who: ir.Table, visits: ir.Table, when: ir.Table) -> ir.Table:
    sales = clean["sales_orders"].inner_join(who, "customer_id")
    s = up_to(sales.select("person_id", "price_yuan", "trade_in_vin", day=sales.delivered_on), when)
    made = s.group_by(["person_id", "origin"]).agg(
        purchases_count_all=s.count(),
        purchase_yuan_all=s.price_yuan.sum().cast("float64"),
        trade_ins_count_all=count_if(s.trade_in_vin.notnull()),
        bought=s.day.min(),
    )
    v = up_to(visits.select("person_id", "day"), when)
    firsts = v.group_by(["person_id", "origin"]).agg(came=v.day.min())
    joined = made.left_join(firsts, ["person_id", "origin"])
    wait = days_between(joined.came, joined.bought)
    out = joined.mutate(days_to_first_visit=(wait >= 0).ifelse(wait, ibis.null("int64")))
    return out.select(
        "person_id", "origin", "purchases_count_all", "purchase_yuan_all", "trade_ins_count_all", "days_to_first_visit"
    )


def _contact_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    met = clean["interactions"].inner_join(who, "customer_id")
    i = up_to(met.select("person_id", "kind", "score", "at", day=met["at"].date()), when)
    y1, y2, survey = i.ago < DAYS_12M, i.ago < DAYS_24M, (i.kind == "survey") & i.score.notnull()
    latest = i.score.argmax(survey.ifelse(i["at"], ibis.null("timestamp")))
    made = i.group_by(["person_id", "origin"]).agg(
        contacts_count_12m=count_if(y1),
        complaints_count_12m=count_if(y1 & (i.kind == "complaint")),
        care_calls_count_12m=count_if(y1 & (i.kind == "care_call")),
        survey_score_last=latest,
        scores=sum_if(survey & y2, i.score.cast("decimal(18,4)")),
        surveys=count_if(survey & y2),
        contact_days_ago=i.ago.min(),
    )
    return made.mutate(survey_score_mean_24m=ratio(made.scores, made.surveys)).drop("scores", "surveys")


def _campaign_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    sent = clean["campaigns"].filter(_.arm != "control").inner_join(who, "customer_id")
    c = up_to(sent.select("person_id", "responded_on", day=sent.assigned_on), when)
    answered = c.responded_on.notnull() & (c.responded_on <= c.origin)
    made = c.group_by(["person_id", "origin"]).agg(
        campaigns_count_12m=count_if(c.ago < DAYS_12M),
        answers=count_if((c.ago < DAYS_24M) & answered),
        sent=count_if(c.ago < DAYS_24M),
    )
    return made.mutate(campaign_response_share_24m=ratio(made.answers, made.sent)).drop("answers", "sent")


def _with_value(found: pd.DataFrame, visits: ir.Table, origins: list[date], params: Params) -> pd.DataFrame:
    """Expected visits, probability of still coming and value, from models fitted at each origin on what it knows."""
    days = visits.group_by(customer=_.person_id, date=_.day).agg(amount=_.total_yuan.sum())
    days = frame_of(days.order_by(["customer", "date"]))
    days["customer"], people = pd.factorize(days["customer"])
    made = [_value_at(days, origin, params) for origin in origins]
    made = pd.concat(made, ignore_index=True).assign(person_id=lambda rows: people[rows["customer"]])
    return found.merge(made.drop(columns="customer"), on=["person_id", "origin"], how="left", validate="one_to_one")


def _value_at(days: pd.DataFrame, origin: date, params: Params) -> pd.DataFrame:
    """customer, origin and the factors of value of those who came by the origin."""
    known = value.histories(days, origin)
    x, t_x, age, mean = known.to_numpy(float).T
    # Who came back without an amount brings what all bring.
    visits, amounts = value.fit_bg_nbd(x, t_x, age), value.fit_gamma_gamma(np.where(mean > 0, x, 0), mean)
    horizon = params.value.horizon_months
    out = pd.DataFrame({"customer": known.index, "origin": pd.Timestamp(origin)})
    out["expected_visits_count"] = value.expected_visits(visits, horizon * DAYS_PER_MONTH / 7, x, t_x, age)
    out["alive_probability"] = value.p_alive(visits, x, t_x, age)
    out["expected_yuan_per_visit"] = value.expected_amount(amounts, x, mean)
    out["clv_yuan"] = value.clv(
        visits,
        amounts,
        x,
        t_x,
        age,
        mean,
        horizon_months=horizon,
        annual_discount_rate=params.value.annual_discount_rate,
    )
    # Rounded to what the fit can carry, so that the last bits of an optimiser never show.
    return out.round({"expected_visits_count": 4, "alive_probability": 4, "expected_yuan_per_visit": 1, "clv_yuan": 0})
