"""The factor library: what is known of each person and car at any day.

`person_factors` serves `as_of` and earlier origins by the same expressions: an event counts when it is dated
on or before the origin, and columns that are only known at delivery (`known_from: export`) are served at
`as_of` alone. Each factor is declared once in `PERSON_FACTORS` or `CAR_FACTORS`, with label, class, unit and
formula; the declarations make the dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import value
from dealerkit.messages import N_
from dealerkit.params import Params

DAYS_12M, DAYS_24M = 365, 730
DAYS_PER_MONTH = 30.4375

CLASSES = {
    "basic": N_("Basic"),
    "attributes": N_("Customer attributes"),
    "consumption": N_("Consumption"),
    "work": N_("Work"),
    "vehicle": N_("Vehicle and repair"),
    "contacts": N_("Service contacts"),
    "life_cycle": N_("Life cycle"),
}


@dataclass(frozen=True)
class Factor:
    """A factor: its name says what, unit and window; ``formula`` says how; ``readable`` whether a person can read it."""

    name: str
    klass: str
    label: str
    formula: str
    readable: bool = True
    at_delivery_only: bool = False


F = Factor
PERSON_FACTORS: tuple[Factor, ...] = (
    F("age_years", "basic", N_("Age"), N_("full years from birth date to the origin")),
    F("is_female", "basic", N_("Female"), N_("1 if female, 0 if male")),
    F("is_company", "basic", N_("Company"), N_("1 for a company")),
    F("tenure_days", "basic", N_("Days since first seen"), N_("origin − first record, purchase or visit")),
    F(
        "records_count",
        "basic",
        N_("Records in the sources"),
        N_("customer records joined into the person"),
        at_delivery_only=True,
    ),
    F("member_level", "attributes", N_("Member level"), N_("as delivered"), at_delivery_only=True),
    F("points_count", "attributes", N_("Points"), N_("as delivered"), at_delivery_only=True),
    F(
        "consents_to_marketing",
        "attributes",
        N_("Consents to marketing"),
        N_("as delivered; empty: not asked"),
        at_delivery_only=True,
    ),
    F(
        "is_reachable",
        "attributes",
        N_("Has a usable phone"),
        N_("1 if a legal mobile number is known"),
        at_delivery_only=True,
    ),
    F("occupation", "work", N_("Occupation"), N_("as delivered"), at_delivery_only=True),
    F("income_band", "work", N_("Income band"), N_("as delivered"), at_delivery_only=True),
    F("visits_count_12m", "consumption", N_("Visits in 12 months"), N_("settled orders opened within 365 days")),
    F("visits_count_24m", "consumption", N_("Visits in 24 months"), N_("settled orders opened within 730 days")),
    F("visits_count_all", "consumption", N_("Visits ever"), N_("all orders on record")),
    F("spend_yuan_12m", "consumption", N_("Spending in 12 months"), N_("sum of total within 365 days")),
    F("spend_yuan_24m", "consumption", N_("Spending in 24 months"), N_("sum of total within 730 days")),
    F("spend_yuan_all", "consumption", N_("Spending ever"), N_("sum of total")),
    F("yuan_per_visit_24m", "consumption", N_("Spending per visit"), N_("spending ÷ visits, 24 months")),
    F(
        "customer_paid_share_24m",
        "consumption",
        N_("Share paid by the customer"),
        N_("customer-paid total ÷ total, 24 months"),
    ),
    F("discount_share_24m", "consumption", N_("Discount share"), N_("discounts ÷ (total + discounts), 24 months")),
    F("parts_share_24m", "consumption", N_("Parts share"), N_("parts ÷ (parts + labour), 24 months")),
    F(
        "visits_trend_ratio",
        "consumption",
        N_("Visits against the year before"),
        N_("visits of 12 months ÷ visits of the 12 before"),
        readable=False,
    ),
    F("recency_days", "life_cycle", N_("Days since the last visit"), N_("origin − last visit")),
    F(
        "interval_days_median",
        "life_cycle",
        N_("Usual days between visits"),
        N_("median gap between visits, 3 visits or more"),
    ),
    F(
        "own_rhythm_ratio",
        "life_cycle",
        N_("Absence against own rhythm"),
        N_("days since the last visit ÷ usual days between visits"),
    ),
    F("first_visit_days_ago", "life_cycle", N_("Days since the first visit"), N_("origin − first visit")),
    F(
        "days_to_first_visit",
        "life_cycle",
        N_("Days from purchase to first visit"),
        N_("first visit − first purchase, if after it"),
    ),
    F("purchases_count_all", "life_cycle", N_("Cars bought here"), N_("car sales to the person")),
    F("purchase_yuan_all", "life_cycle", N_("Yuan of cars bought here"), N_("sum of car prices")),
    F("trade_ins_count_all", "life_cycle", N_("Trade-ins"), N_("car sales with a trade-in")),
    F("cars_count", "vehicle", N_("Cars"), N_("cars on record by the origin")),
    F("vehicle_age_months_min", "vehicle", N_("Age of the newest car"), N_("origin − purchase date")),
    F("vehicle_age_months_max", "vehicle", N_("Age of the oldest car"), N_("origin − purchase date")),
    F("new_energy_share", "vehicle", N_("Share of new-energy cars"), N_("plug-in and electric ÷ cars")),
    F("list_price_yuan_max", "vehicle", N_("List price of the dearest car"), N_("largest list price")),
    F("sold_here_share", "vehicle", N_("Share of cars bought here"), N_("sold here ÷ cars")),
    F("warranty_days_left_max", "vehicle", N_("Warranty days left"), N_("latest warranty end − origin")),
    F(
        "insurance_days_left_min",
        "vehicle",
        N_("Insurance days left"),
        N_("earliest insurance end − origin"),
        at_delivery_only=True,
    ),
    F("odometer_km_last", "vehicle", N_("Last odometer"), N_("largest odometer at a visit")),
    F(
        "odometer_km_per_year",
        "vehicle",
        N_("Kilometres a year"),
        N_("largest odometer ÷ years since that car's purchase"),
    ),
    F("maintenance_share_24m", "vehicle", N_("Share of maintenance"), N_("maintenance orders ÷ visits, 24 months")),
    F("repair_share_24m", "vehicle", N_("Share of repairs"), N_("repair orders ÷ visits, 24 months")),
    F("accident_count_24m", "vehicle", N_("Accident orders"), N_("accident orders, 24 months")),
    F("warranty_count_24m", "vehicle", N_("Warranty orders"), N_("warranty and recall orders, 24 months")),
    F("comeback_share_24m", "vehicle", N_("Share of come-backs"), N_("come-backs ÷ visits, 24 months")),
    F("booked_share_24m", "vehicle", N_("Share booked ahead"), N_("booked ÷ visits with a booking mark, 24 months")),
    F("wait_minutes_mean_12m", "vehicle", N_("Mean wait"), N_("mean waiting minutes, 12 months")),
    F("declined_count_12m", "vehicle", N_("Declined jobs"), N_("lines declined or postponed, 12 months")),
    F("declined_yuan_12m", "vehicle", N_("Yuan declined"), N_("amount of lines declined or postponed, 12 months")),
    F("contacts_count_12m", "contacts", N_("Contacts"), N_("interactions, 12 months")),
    F("complaints_count_12m", "contacts", N_("Complaints"), N_("complaints, 12 months")),
    F("care_calls_count_12m", "contacts", N_("Care calls"), N_("care calls, 12 months")),
    F("survey_score_last", "contacts", N_("Last survey score"), N_("score of the latest survey")),
    F("survey_score_mean_24m", "contacts", N_("Mean survey score"), N_("mean survey score, 24 months")),
    F("contact_days_ago", "contacts", N_("Days since the last contact"), N_("origin − last interaction")),
    F("campaigns_count_12m", "contacts", N_("Campaigns"), N_("campaigns the person was treated in, 12 months")),
    F(
        "campaign_response_share_24m",
        "contacts",
        N_("Campaign responses"),
        N_("responses by the origin ÷ campaigns, 24 months"),
    ),
    F(
        "expected_visits_count",
        "consumption",
        N_("Expected visits"),
        N_("BG/NBD over the value horizon"),
        readable=False,
    ),
    F("alive_probability", "life_cycle", N_("Probability of still coming"), N_("BG/NBD"), readable=False),
    F("expected_yuan_per_visit", "consumption", N_("Expected yuan per visit"), N_("Gamma–Gamma"), readable=False),
    F(
        "clv_yuan",
        "consumption",
        N_("Expected value"),
        N_("expected visits × expected yuan, discounted, over the value horizon"),
        readable=False,
    ),
)

CAR_FACTORS: tuple[Factor, ...] = (
    F("vehicle_age_months", "vehicle", N_("Age of the car"), N_("as_of − purchase date")),
    F("warranty_days_left", "vehicle", N_("Warranty days left"), N_("warranty end − as_of")),
    F("visits_count_12m", "consumption", N_("Visits in 12 months"), N_("orders of the car within 365 days")),
    F("visits_count_24m", "consumption", N_("Visits in 24 months"), N_("orders of the car within 730 days")),
    F("visits_count_all", "consumption", N_("Visits ever"), N_("orders of the car")),
    F("spend_yuan_12m", "consumption", N_("Spending in 12 months"), N_("sum of total within 365 days")),
    F("spend_yuan_24m", "consumption", N_("Spending in 24 months"), N_("sum of total within 730 days")),
    F("recency_days", "life_cycle", N_("Days since the last visit"), N_("as_of − last visit of the car")),
    F("odometer_km_last", "vehicle", N_("Last odometer"), N_("largest odometer at a visit")),
    F("odometer_km_per_year", "vehicle", N_("Kilometres a year"), N_("largest odometer ÷ years since purchase")),
)


def _days(later, earlier) -> ir.IntegerValue:
    return later.delta(earlier, unit="day")


def _sum_if(condition: ir.BooleanValue, amount: ir.Value) -> ir.Value:
    return condition.ifelse(amount, ibis.null(amount.type())).sum()


def _count_if(condition: ir.BooleanValue) -> ir.IntegerValue:
    return condition.fill_null(False).cast("int64").sum()


def _ratio(part, whole) -> ir.FloatingValue:
    """Part ÷ whole, rounded to 9 digits so that no order of addition shows; null over nothing."""
    return (part.cast("float64") / whole.cast("float64").nullif(0)).round(9)


def _person_of(records: pd.DataFrame) -> ir.Table:
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    return ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})


def _visits(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table) -> ir.Table:
    """Orders with their person: the customer named on the order, else the holder of the car."""
    orders = clean["service_orders"]
    named = who.select(w_id=_.customer_id, w_person=_.person_id)
    joined = orders.left_join(named, orders.customer_id == named.w_id).drop("w_id")
    holders = cars.group_by(h_vin=_.vin).agg(h_person=_.person_id.min())
    joined = joined.left_join(holders, joined.vin == holders.h_vin).drop("h_vin")
    found = joined.mutate(person_id=joined.w_person.coalesce(joined.h_person), day=joined.opened_at.date())
    found = found.filter(found.person_id.notnull()).drop("w_person", "h_person")
    order = ibis.window(group_by="person_id", order_by=["opened_at", "order_id"])
    return found.mutate(gap_days=_days(found.day, found.day.lag().over(order)))


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
        params: value horizon and discount rate.
    """
    when = ibis.memtable({"origin": sorted(origins)}, schema={"origin": "date"})
    who = _person_of(records)
    visits = _visits(clean, who, cars)
    parts = [_visit_factors(visits, when), _car_counts(visits, cars, when, as_of)]
    parts += [_line_factors(clean, visits, when)] if "service_lines" in clean else []
    parts += [_sales_factors(clean, who, visits, when)] if "sales_orders" in clean else []
    parts += [_contact_factors(clean, who, when)] if "interactions" in clean else []
    parts += [_campaign_factors(clean, who, when)] if "campaigns" in clean else []
    base = _base(persons, visits, _bought(clean, who, cars), when, as_of)
    frame = base.to_pandas()
    for part in parts:
        frame = frame.merge(part.to_pandas(), on=["person_id", "origin"], how="left", validate="one_to_one")
    counts = [
        c for c in frame if "_count_" in c or c == "cars_count" or (c.startswith("spend_yuan") and _has_amounts(clean))
    ]
    frame[counts] = frame[counts].astype(float).fillna(0)
    yuan = [c for c in frame if "yuan" in c]
    frame[yuan] = frame[yuan].astype(float)
    frame = _with_value(frame, visits, sorted(origins), params)
    ordered = ["person_id", "origin", *[f.name for f in PERSON_FACTORS]]
    return frame.reindex(columns=ordered).sort_values(["origin", "person_id"], ignore_index=True)


def at(panel: pd.DataFrame, origin: date) -> pd.DataFrame:
    """The factors of the panel at one origin."""
    return panel[pd.to_datetime(panel["origin"]) == pd.Timestamp(origin)].reset_index(drop=True)


def _has_amounts(clean: dict[str, ir.Table]) -> bool:
    """Whether any workshop visit has a total; without, everything in yuan is unknown, not zero."""
    return bool(clean["service_orders"].total_yuan.notnull().any().to_pandas())


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
        tenure_days=_days(at.origin, at.first_seen),
        records_count=delivered(at.records_count),
        member_level=delivered(at.member_level),
        points_count=delivered(at.points),
        consents_to_marketing=delivered(at.marketing_consent.cast("int64")),
        is_reachable=delivered(at.phone.notnull().cast("int64")),
        occupation=delivered(at.occupation),
        income_band=delivered(at.income_band),
    )


def _up_to(events: ir.Table, when: ir.Table, day: str = "day") -> ir.Table:
    """Events × origins at or after their day, with ``ago``, the days between."""
    both = events.cross_join(when)
    both = both.filter(both[day] <= both.origin)
    return both.mutate(ago=_days(both.origin, both[day]))


_AT_SETTLEMENT = (
    "total_yuan",
    "labour_yuan",
    "parts_yuan",
    "discount_yuan",
    "payer_kind",
    "wait_minutes",
    "is_comeback",
)


def _visit_factors(visits: ir.Table, when: ir.Table) -> ir.Table:
    v = _up_to(visits, when)
    # What is written at settlement is not known before it.
    settled = v.settled_at.isnull() | (v.settled_at.date() <= v.origin)
    v = v.mutate(**{c: settled.ifelse(v[c], ibis.null(v[c].type())) for c in _AT_SETTLEMENT})
    y1, y2 = v.ago < DAYS_12M, v.ago < DAYS_24M
    made = v.group_by(["person_id", "origin"]).agg(
        visits_count_12m=_count_if(y1),
        visits_count_24m=_count_if(y2),
        visits_count_all=v.count(),
        spend_yuan_12m=_sum_if(y1, v.total_yuan),
        spend_yuan_24m=_sum_if(y2, v.total_yuan),
        spend_yuan_all=v.total_yuan.sum(),
        paid_24m=_sum_if(y2 & (v.payer_kind == "customer"), v.total_yuan),
        payer_known=_count_if(y2 & v.payer_kind.notnull()),
        discount_24m=_sum_if(y2, v.discount_yuan),
        parts_24m=_sum_if(y2, v.parts_yuan),
        labour_24m=_sum_if(y2, v.labour_yuan),
        recency_days=v.ago.min(),
        first_visit_days_ago=v.ago.max(),
        gap=v.gap_days.median(),
        gaps=v.gap_days.count(),
        maintenance=_count_if(y2 & (v.order_type == "maintenance")),
        repair=_count_if(y2 & (v.order_type == "repair")),
        accident_count_24m=_count_if(y2 & (v.order_type == "accident")),
        warranty_count_24m=_count_if(y2 & v.order_type.isin(["warranty", "recall"])),
        comebacks=_count_if(y2 & v.is_comeback),
        comeback_known=_count_if(y2 & v.is_comeback.notnull()),
        booked=_count_if(y2 & v.booked),
        booked_known=_count_if(y2 & v.booked.notnull()),
        wait_sum=_sum_if(y1, v.wait_minutes),
        wait_n=_count_if(y1 & v.wait_minutes.notnull()),
        odometer_km_last=v.odometer_km.max(),
    )
    gap = (made.gaps >= 2).ifelse(made.gap, ibis.null("float64"))
    paid = made.paid_24m.coalesce(0)
    return made.select(
        "person_id",
        "origin",
        "visits_count_12m",
        "visits_count_24m",
        "visits_count_all",
        "spend_yuan_12m",
        "spend_yuan_24m",
        "spend_yuan_all",
        "recency_days",
        "first_visit_days_ago",
        "accident_count_24m",
        "warranty_count_24m",
        "odometer_km_last",
        yuan_per_visit_24m=_ratio(made.spend_yuan_24m, made.visits_count_24m),
        customer_paid_share_24m=(made.payer_known > 0).ifelse(_ratio(paid, made.spend_yuan_24m), ibis.null("float64")),
        discount_share_24m=_ratio(made.discount_24m, made.spend_yuan_24m + made.discount_24m),
        parts_share_24m=_ratio(made.parts_24m, made.parts_24m + made.labour_24m),
        visits_trend_ratio=_ratio(made.visits_count_12m, made.visits_count_24m - made.visits_count_12m),
        interval_days_median=gap,
        own_rhythm_ratio=_ratio(made.recency_days, gap),
        maintenance_share_24m=_ratio(made.maintenance, made.visits_count_24m),
        repair_share_24m=_ratio(made.repair, made.visits_count_24m),
        comeback_share_24m=_ratio(made.comebacks, made.comeback_known),
        booked_share_24m=_ratio(made.booked, made.booked_known),
        wait_minutes_mean_12m=_ratio(made.wait_sum, made.wait_n),
    )


def _car_counts(visits: ir.Table, cars: ir.Table, when: ir.Table, as_of: date) -> ir.Table:
    """What the cars on record say. A car without purchase date counts from its first visit, else at delivery only."""
    driven = visits.group_by(d_vin=_.vin).agg(first_day=_.day.min())
    known = cars.left_join(driven, cars.vin == driven.d_vin).drop("d_vin")
    known = known.mutate(day=known.purchased_on.coalesce(known.first_day, ibis.literal(as_of)))
    c = _up_to(known, when)
    # That a car was disposed of is only known at delivery; a trade-in is known from its day.
    c = c.filter(c.in_hand | ((c.origin < ibis.literal(as_of)) & (c.left_on.isnull() | (c.left_on > c.origin))))
    months = (_days(c.origin, c.purchased_on) / DAYS_PER_MONTH).floor()
    now = c.origin == ibis.literal(as_of)
    made = c.group_by(["person_id", "origin"]).agg(
        cars_count=c.count(),
        vehicle_age_months_min=months.min(),
        vehicle_age_months_max=months.max(),
        new_energy=_count_if(c.energy_type.isin(["phev", "bev"])),
        energy_known=_count_if(c.energy_type.notnull()),
        list_price_yuan_max=c.list_price_yuan.max(),
        sold_here=_count_if(c.sold_here),
        sold_known=_count_if(c.sold_here.notnull()),
        warranty_days_left_max=_days(c.warranty_ends_on, c.origin).max(),
        insurance_days_left_min=now.ifelse(_days(c.insurance_ends_on, c.origin), ibis.null("int64")).min(),
    )
    made = made.mutate(
        new_energy_share=_ratio(made.new_energy, made.energy_known),
        sold_here_share=_ratio(made.sold_here, made.sold_known),
    )
    per_year = _km_per_year(visits, cars, when)
    joined = made.left_join(per_year, ["person_id", "origin"])
    return joined.drop(
        "new_energy", "energy_known", "sold_here", "sold_known", *[c for c in joined.columns if c.endswith("_right")]
    )


def _km_per_year(visits: ir.Table, cars: ir.Table, when: ir.Table) -> ir.Table:
    """Largest odometer of each car ÷ its years at that reading; the mean over a person's cars."""
    bought = cars.filter(_.purchased_on.notnull()).select(b_vin=_.vin, bought_on=_.purchased_on).distinct()
    read = visits.filter(_.odometer_km.notnull()).inner_join(bought, visits.vin == bought.b_vin)
    v = _up_to(read.select("person_id", "vin", "day", "odometer_km", "bought_on"), when)
    last = v.group_by(["person_id", "vin", "origin"]).agg(
        km=v.odometer_km.max(), days=_days(v.day.max(), v.bought_on.min())
    )
    last = last.filter(last.days >= 90)
    last = last.mutate(per_year=(last.km * 365.25 / last.days).round(0).cast("int64"))
    made = last.group_by(["person_id", "origin"]).agg(total=last.per_year.sum(), cars=last.count())
    return made.select("person_id", "origin", odometer_km_per_year=_ratio(made.total, made.cars))


def _line_factors(clean: dict[str, ir.Table], visits: ir.Table, when: ir.Table) -> ir.Table:
    left = (
        clean["service_lines"]
        .filter(_.status.isin(["declined", "postponed"]))
        .select(l_order=_.order_id, amount_yuan=_.amount_yuan)
    )
    lines = _up_to(
        visits.select("person_id", "order_id", "day").inner_join(left, visits.order_id == left.l_order), when
    )
    lines = lines.filter(lines.ago < DAYS_12M)
    return lines.group_by(["person_id", "origin"]).agg(
        declined_count_12m=lines.count(), declined_yuan_12m=lines.amount_yuan.sum()
    )


def _sales_factors(clean: dict[str, ir.Table], who: ir.Table, visits: ir.Table, when: ir.Table) -> ir.Table:
    sales = clean["sales_orders"].inner_join(who, "customer_id")
    s = _up_to(sales.select("person_id", "price_yuan", "trade_in_vin", day=sales.delivered_on), when)
    made = s.group_by(["person_id", "origin"]).agg(
        purchases_count_all=s.count(),
        purchase_yuan_all=s.price_yuan.sum(),
        trade_ins_count_all=_count_if(s.trade_in_vin.notnull()),
        bought=s.day.min(),
    )
    v = _up_to(visits.select("person_id", "day"), when)
    firsts = v.group_by(["person_id", "origin"]).agg(came=v.day.min())
    joined = made.left_join(firsts, ["person_id", "origin"])
    wait = _days(joined.came, joined.bought)
    out = joined.mutate(days_to_first_visit=(wait >= 0).ifelse(wait, ibis.null("int64")))
    return out.select(
        "person_id", "origin", "purchases_count_all", "purchase_yuan_all", "trade_ins_count_all", "days_to_first_visit"
    )


def _contact_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    met = clean["interactions"].inner_join(who, "customer_id")
    i = _up_to(met.mutate(day=met["at"].date()), when)
    y1, y2, survey = i.ago < DAYS_12M, i.ago < DAYS_24M, (i.kind == "survey") & i.score.notnull()
    latest = i.score.argmax(survey.ifelse(i["at"], ibis.null("timestamp")))
    made = i.group_by(["person_id", "origin"]).agg(
        contacts_count_12m=_count_if(y1),
        complaints_count_12m=_count_if(y1 & (i.kind == "complaint")),
        care_calls_count_12m=_count_if(y1 & (i.kind == "care_call")),
        survey_score_last=latest,
        scores=_sum_if(survey & y2, i.score.cast("decimal(18,4)")),
        surveys=_count_if(survey & y2),
        contact_days_ago=i.ago.min(),
    )
    return made.mutate(survey_score_mean_24m=_ratio(made.scores, made.surveys)).drop("scores", "surveys")


def _campaign_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    sent = clean["campaigns"].inner_join(who, "customer_id")
    c = _up_to(sent.mutate(day=sent.assigned_on).filter(_.arm != "control"), when)
    answered = c.responded_on.notnull() & (c.responded_on <= c.origin)
    made = c.group_by(["person_id", "origin"]).agg(
        campaigns_count_12m=_count_if(c.ago < DAYS_12M),
        answers=_count_if((c.ago < DAYS_24M) & answered),
        sent=_count_if(c.ago < DAYS_24M),
    )
    return made.mutate(campaign_response_share_24m=_ratio(made.answers, made.sent)).drop("answers", "sent")


def _with_value(frame: pd.DataFrame, visits: ir.Table, origins: list[date], params: Params) -> pd.DataFrame:
    """Expected visits, probability of still coming and value, from models fitted at each origin on what it knows."""
    days = visits.group_by(["person_id", "day"]).agg(yuan=_.total_yuan.sum()).order_by(["person_id", "day"]).to_pandas()
    days["day"] = pd.to_datetime(days["day"])
    days["yuan"] = days["yuan"].astype(float)
    done = []
    for origin in origins:
        part = at(frame, origin)
        done.append(
            part.merge(
                _value_at(days[days["day"] <= pd.Timestamp(origin)], origin, params),
                on="person_id",
                how="left",
                validate="one_to_one",
            )
        )
    return pd.concat(done, ignore_index=True)


def _value_at(days: pd.DataFrame, origin: date, params: Params) -> pd.DataFrame:
    columns = ["person_id", "expected_visits_count", "alive_probability", "expected_yuan_per_visit", "clv_yuan"]
    if days.empty:
        return pd.DataFrame(columns=columns)
    grouped = days.groupby("person_id", sort=True)
    first, last, x = grouped["day"].min(), grouped["day"].max(), (grouped.size() - 1).to_numpy(float)
    t_x = (last - first).dt.days.to_numpy(float) / 7
    age = (pd.Timestamp(origin) - first).dt.days.to_numpy(float) / 7
    # Amounts of repeat visits only, as the model has it: the first visit is often free or of another kind.
    repeat = (grouped["yuan"].sum() - grouped["yuan"].first()).to_numpy(float)
    mean = np.divide(repeat, x, out=np.zeros_like(repeat), where=x > 0)
    visits, amounts = value.fit_bg_nbd(x, t_x, age), value.fit_gamma_gamma(np.where(mean > 0, x, 0), mean)
    horizon = params.value.horizon_months
    out = pd.DataFrame({"person_id": first.index})
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


def car_factors(clean: dict[str, ir.Table], cars: ir.Table, as_of: date) -> ir.Table:
    """One row per person and car in hand with the columns of `CAR_FACTORS`, at ``as_of``, in the order of both."""
    day = ibis.literal(as_of)
    visits = clean["service_orders"].mutate(day=_.opened_at.date())
    v = visits.filter(visits.day <= day)
    ago = _days(day, v.day)
    made = v.group_by(v_vin=v.vin).agg(
        visits_count_12m=_count_if(ago < DAYS_12M),
        visits_count_24m=_count_if(ago < DAYS_24M),
        visits_count_all=v.count(),
        spend_yuan_12m=_sum_if(ago < DAYS_12M, v.total_yuan),
        spend_yuan_24m=_sum_if(ago < DAYS_24M, v.total_yuan),
        recency_days=ago.min(),
        odometer_km_last=v.odometer_km.max(),
        last_day=v.day.max(),
    )
    held = cars.filter(_.in_hand)
    joined = held.left_join(made, held.vin == made.v_vin)
    years = _days(joined.last_day, joined.purchased_on) / 365.25
    return joined.select(
        "person_id",
        "vin",
        "series",
        "energy_type",
        vehicle_age_months=(_days(day, joined.purchased_on) / DAYS_PER_MONTH).floor().cast("int64"),
        warranty_days_left=_days(joined.warranty_ends_on, day),
        **{n: joined[n].fill_null(0) for n in ("visits_count_12m", "visits_count_24m", "visits_count_all")},
        spend_yuan_12m=joined.spend_yuan_12m,
        spend_yuan_24m=joined.spend_yuan_24m,
        recency_days=joined.recency_days,
        odometer_km_last=joined.odometer_km_last,
        odometer_km_per_year=(years >= 0.25).ifelse((joined.odometer_km_last / years).round(0), ibis.null("float64")),
    ).order_by("person_id", "vin")


def dictionary() -> pd.DataFrame:
    """The factor dictionary: table, factor, class, label, formula, readable, whether served at delivery only."""
    rows = [("person_factors", f) for f in PERSON_FACTORS] + [("car_factors", f) for f in CAR_FACTORS]
    return pd.DataFrame(
        [
            {
                "table": t,
                "factor": f.name,
                "class": f.klass,
                "label": f.label,
                "formula": f.formula,
                "readable": f.readable,
                "at_delivery_only": f.at_delivery_only,
            }
            for t, f in rows
        ]
    )
