"""The declarations of the factors: each with its class, label and formula; they make the dictionary."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dealerkit.messages import N_
from dealerkit.params import OwnFactorParams, Params

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
    F("vehicle_age_months", "vehicle", N_("Age of the car"), N_("origin − purchase date")),
    F("warranty_days_left", "vehicle", N_("Warranty days left"), N_("warranty end − origin")),
    F("sold_here", "vehicle", N_("Sold here"), N_("1 if the car was sold here by the origin, 0 if elsewhere")),
    F("visits_count_12m", "consumption", N_("Visits in 12 months"), N_("orders of the car within 365 days")),
    F("visits_count_24m", "consumption", N_("Visits in 24 months"), N_("orders of the car within 730 days")),
    F("visits_count_all", "consumption", N_("Visits ever"), N_("orders of the car")),
    F("services_count_all", "consumption", N_("Maintenance visits ever"), N_("maintenance orders of the car")),
    F("spend_yuan_12m", "consumption", N_("Spending in 12 months"), N_("sum of total within 365 days")),
    F("spend_yuan_24m", "consumption", N_("Spending in 24 months"), N_("sum of total within 730 days")),
    F(
        "customer_paid_share_24m",
        "consumption",
        N_("Share paid by the customer"),
        N_("customer-paid total ÷ total, 24 months"),
    ),
    F("discount_share_24m", "consumption", N_("Discount share"), N_("discounts ÷ (total + discounts), 24 months")),
    F("recency_days", "life_cycle", N_("Days since the last visit"), N_("origin − last visit of the car")),
    F("first_visit_days_ago", "life_cycle", N_("Days since the first visit"), N_("origin − first visit of the car")),
    F(
        "interval_days_median",
        "life_cycle",
        N_("Usual days between visits"),
        N_("median gap between visits of the car, 3 visits or more"),
    ),
    F(
        "own_rhythm_ratio",
        "life_cycle",
        N_("Absence against own rhythm"),
        N_("days since the last visit ÷ usual days between visits"),
    ),
    F("odometer_km_last", "vehicle", N_("Last odometer"), N_("largest odometer at a visit")),
    F("odometer_km_per_year", "vehicle", N_("Kilometres a year"), N_("largest odometer ÷ years since purchase")),
    F(
        "last_was_maintenance",
        "vehicle",
        N_("Last visit was maintenance"),
        N_("1 if the last visit of known type was maintenance"),
    ),
    F("maintenance_share_24m", "vehicle", N_("Share of maintenance"), N_("maintenance orders ÷ visits, 24 months")),
    F("comeback_share_24m", "vehicle", N_("Share of come-backs"), N_("come-backs ÷ visits, 24 months")),
    F("wait_minutes_mean_12m", "vehicle", N_("Mean wait"), N_("mean waiting minutes, 12 months")),
    F("declined_count_12m", "vehicle", N_("Declined jobs"), N_("lines declined or postponed, 12 months")),
    F("complaints_count_12m", "contacts", N_("Complaints"), N_("complaints of the holder, 12 months")),
)


def dictionary(params: Params | None = None, t=None) -> pd.DataFrame:
    """The factor dictionary: table, factor, class, label, formula, readable, at_delivery_only, own.

    Args:
        params: with them, the dealer's own factors follow those of the kit (``own`` is true).
        t: translator; with it, label, class and formula are in its words, else messages, and ``class`` a key of `CLASSES`.

    Example: the factors of a class, in words::

        factors.dictionary(run.params, run.t).query("`class` == 'Vehicle and repair'")
    """
    rows = [("person_factors", f, False) for f in PERSON_FACTORS]
    rows += [("person_factors", f, True) for f in _own(params, t.language if t else "en")]
    rows += [("car_factors", f, False) for f in CAR_FACTORS]
    said = t.text if t else str
    return pd.DataFrame(
        [
            {
                "table": table,
                "factor": f.name,
                "class": said(CLASSES[f.klass]) if t else f.klass,
                "label": f.label if own else said(f.label),
                "formula": f.formula if own else said(f.formula),
                "readable": f.readable,
                "at_delivery_only": f.at_delivery_only,
                "own": own,
            }
            for table, f, own in rows
        ]
    )


def _own(params: Params | None, language: str) -> list[Factor]:
    """The dealer's own factors, as declarations in the words of the params."""
    given = params.own_factors if params else ()
    return [Factor(o.name, o.factor_class, getattr(o.label, language), written(o), o.readable) for o in given]


def written(own: OwnFactorParams) -> str:
    """An own factor in one line: ``share(weekday(opened_at) >= 6) from service_orders, window_months 24``."""
    if own.formula:
        return " ".join(own.formula.split())
    parts = [f"{own.aggregate}({' '.join((own.of or '*').split())}) from {own.table}"]
    parts += [f"where {' '.join(own.where.split())}"] if own.where else []
    return " ".join(parts) + (f", window_months {own.window_months}" if own.window_months else "")
