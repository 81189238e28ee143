"""Who a person is: the factors of the master data, and since when the person is known."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import reach
from dealerkit.factors.events import beside, days_between, person_of, ratio
from dealerkit.params import Params

#: Columns of persons that factors are made of.
_PERSON = {
    "person_id": "string",
    "gender": "string",
    "birth_date": "date",
    "is_company": "boolean",
    "created_on": "date",
    "source_channel": "string",
    "records_count": "int64",
    "member_level": "string",
    "points": "float64",
    "marketing_consent": "boolean",
    "phone": "string",
    "residential_area": "string",
    "region": "string",
    "is_driver": "boolean",
    "is_payer": "boolean",
    "household_id": "string",
    "occupation": "string",
    "income_band": "string",
}
#: Columns of customer records that persons do not carry: the value of the most trusted record that has one.
_RECORDED = ("credit_grade", "service_level", "lifestyle", "employer")
#: And those of which only is asked whether any record has one.
_THERE = ("email", "address", "account_manager_id")
#: What makes a profile.
_PROFILE = (
    "birth_date",
    "email",
    "address",
    "occupation",
    "employer",
    "income_band",
    "lifestyle",
    "credit_grade",
)


def base_factors(
    clean: dict[str, ir.Table],
    persons: pd.DataFrame,
    records: pd.DataFrame,
    visits: ir.Table,
    bought: ir.Table,
    when: ir.Table,
    as_of: date,
    params: Params,
) -> ir.Table:
    """Persons seen by each origin, with what they are; the first sight is the earliest record, purchase or visit."""
    people = ibis.memtable(persons[list(_PERSON)].assign(points=persons["points"].astype(float)), schema=_PERSON)
    first = visits.group_by("person_id").agg(first_visit=visits.day.min())
    seen = beside(people, ["person_id"], first, bought, _recorded(clean, records, params), _around(clean, records))
    seen = seen.mutate(
        first_seen=ibis.least(seen.created_on, seen.first_visit, seen.first_bought),
        together=seen.count().over(ibis.window(group_by="household_id")),
        # Not all persons have a card: of some only a lead or a visit tells the phone.
        reachable=seen.reachable.fill_null(False) | reach.is_own(seen.phone, reach.barred(clean, params.checks)),
    )
    at = seen.cross_join(when)
    at = at.filter((at.first_seen <= at.origin) | (at.first_seen.isnull() & (at.origin == ibis.literal(as_of))))
    now = at.origin == ibis.literal(as_of)

    def known(column):
        return at[column].notnull().cast("int64")

    late = {
        "records_count": at.records_count,
        "residential_area": at.residential_area,
        "region": at.region,
        "is_driver": at.is_driver.cast("int64"),
        "is_payer": at.is_payer.cast("int64"),
        "household_persons_count": at.household_id.notnull().ifelse(at.together, 1),
        "contact_persons_count": at.contact_persons_count,
        "member_level": at.member_level,
        "points_count": at.points,
        "credit_grade": at.credit_grade,
        "service_level": at.service_level,
        "lifestyle": at.lifestyle,
        "consents_to_marketing": at.marketing_consent.cast("int64"),
        "is_reachable": at.reachable.cast("int64"),
        "has_email": known("email"),
        "has_address": known("address"),
        "has_account_manager": known("account_manager_id"),
        "profile_filled_share": ratio(sum(known(c) for c in _PROFILE), ibis.literal(len(_PROFILE))),
        "occupation": at.occupation,
        "income_band": at.income_band,
        "has_employer": known("employer"),
        "colleagues_count": at.colleagues_count,
    }
    birthday_passed = at.birth_date.strftime("%m%d") <= at.origin.strftime("%m%d")
    return at.select(
        "person_id",
        "origin",
        age_years=at.origin.year() - at.birth_date.year() - birthday_passed.ifelse(0, 1),
        is_female=ibis.cases((at.gender == "f", 1), (at.gender == "m", 0)),
        is_company=at.is_company.cast("int64"),
        tenure_days=days_between(at.origin, at.first_seen),
        source_channel=(at.created_on <= at.origin).ifelse(at.source_channel, ibis.null("string")),
        **{name: now.ifelse(value, ibis.null(value.type())) for name, value in late.items()},
    )


def _recorded(clean: dict[str, ir.Table], records: pd.DataFrame, params: Params) -> ir.Table:
    """What the customer records of a person say that persons do not carry, and who works where."""
    customers = clean["customers"]
    trust = ibis.cases(
        *[(customers["_source"] == source, place) for place, source in enumerate(params.sources)],
        else_=len(params.sources),
    )
    told = {"trust": trust, "reachable": reach.reachable(clean, params.checks)}
    rows = customers.select("customer_id", *_RECORDED, *_THERE, **told).inner_join(person_of(records), "customer_id")
    order = ibis.window(group_by="person_id", order_by=["trust", "customer_id"])
    rows = rows.mutate(record_no=ibis.row_number().over(order))
    nothing = ibis.null("int64")
    made = rows.group_by("person_id").agg(
        **{c: rows[c].argmin(rows[c].notnull().ifelse(rows.record_no, nothing)) for c in _RECORDED},
        **{c: rows[c].max() for c in _THERE},
        reachable=rows.reachable.any(),
    )
    colleagues = made.count().over(ibis.window(group_by="employer")) - 1
    return made.mutate(colleagues_count=made.employer.notnull().ifelse(colleagues, nothing))


def _around(clean: dict[str, ir.Table], records: pd.DataFrame) -> ir.Table:
    """Contact persons on record for each person; of nobody where none were delivered."""
    who = person_of(records)
    everyone = who.select("person_id").distinct()
    if "contacts" not in clean:
        return everyone.mutate(contact_persons_count=ibis.null("int64"))
    told = clean["contacts"].select("contact_id", "customer_id").inner_join(who, "customer_id")
    found = beside(everyone, ["person_id"], told.group_by("person_id").agg(told=told.contact_id.nunique()))
    return found.select("person_id", contact_persons_count=found.told.fill_null(0))
