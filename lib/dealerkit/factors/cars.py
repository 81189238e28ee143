"""The factors of cars, at ``as_of`` and at earlier origins, by the same expressions."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit.factors.declared import DAYS_12M, DAYS_24M, DAYS_PER_MONTH
from dealerkit.factors.events import count_if, days_between, sum_if


def car_factors(clean: dict[str, ir.Table], cars: ir.Table, as_of: date) -> ir.Table:
    """One row per person and car in hand with the columns of `CAR_FACTORS`, at ``as_of``, in the order of both."""
    day = ibis.literal(as_of)
    visits = clean["service_orders"].mutate(day=_.opened_at.date())
    v = visits.filter(visits.day <= day)
    ago = days_between(day, v.day)
    made = v.group_by(v_vin=v.vin).agg(
        visits_count_12m=count_if(ago < DAYS_12M),
        visits_count_24m=count_if(ago < DAYS_24M),
        visits_count_all=v.count(),
        spend_yuan_12m=sum_if(ago < DAYS_12M, v.total_yuan),
        spend_yuan_24m=sum_if(ago < DAYS_24M, v.total_yuan),
        recency_days=ago.min(),
        odometer_km_last=v.odometer_km.max(),
        last_day=v.day.max(),
    )
    held = cars.filter(_.in_hand)
    joined = held.left_join(made, held.vin == made.v_vin)
    years = days_between(joined.last_day, joined.purchased_on) / 365.25
    return joined.select(
        "person_id",
        "vin",
        "series",
        "energy_type",
        vehicle_age_months=(days_between(day, joined.purchased_on) / DAYS_PER_MONTH).floor().cast("int64"),
        warranty_days_left=days_between(joined.warranty_ends_on, day),
        **{n: joined[n].fill_null(0) for n in ("visits_count_12m", "visits_count_24m", "visits_count_all")},
        spend_yuan_12m=joined.spend_yuan_12m,
        spend_yuan_24m=joined.spend_yuan_24m,
        recency_days=joined.recency_days,
        odometer_km_last=joined.odometer_km_last,
        odometer_km_per_year=(years >= 0.25).ifelse((joined.odometer_km_last / years).round(0), ibis.null("float64")),
    ).order_by("person_id", "vin")
