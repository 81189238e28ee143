"""What the cars on record say of the person who holds them: number, age, price, warranty, kilometres, service due."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from dealerkit import maintenance
from dealerkit.factors.declared import DAYS_PER_MONTH
from dealerkit.factors.events import beside, count_if, days_between, ratio, up_to
from dealerkit.params import TagParams


def held_factors(
    clean: dict[str, ir.Table], visits: ir.Table, cars: ir.Table, when: ir.Table, as_of: date, tags: TagParams
) -> ir.Table:
    """Factors of the cars held, by person_id and origin.

    Args:
        clean: clean tables; the register of cars says what each is.
        visits: workshop visits with their day, whoever brought the car.
        cars: of `identity.identify`.
        when: origins.
        as_of: the origin at which the export counts as well.
        tags: after how many months and km a maintenance is due.
    """
    held = _held(clean, visits, cars, when, as_of)
    c = beside(held, ["vin", "origin"], _readings(visits, when))
    c = maintenance.followed(c, tags)
    now = c.origin == ibis.literal(as_of)
    months = (days_between(c.origin, c.purchased_on) / DAYS_PER_MONTH).floor()
    newest = c.series.argmax(c.series.notnull().ifelse(c.car_no, ibis.null("int64")))
    priced = (c.purchase_price_yuan > 0) & (c.list_price_yuan > 0)
    made = c.group_by(["person_id", "origin"]).agg(
        cars_count=c.count(),
        vehicle_age_months_min=months.min(),
        vehicle_age_months_max=months.max(),
        series_newest=newest,
        new_energy=count_if(c.energy_type.isin(["phev", "bev"])),
        energy_known=count_if(c.energy_type.notnull()),
        list_price_yuan_max=c.list_price_yuan.max().cast("float64"),
        paid=c.purchase_price_yuan.sum(where=priced),
        listed=c.list_price_yuan.sum(where=priced),
        sold_here=count_if(c.sold_here),
        sold_known=count_if(c.sold_here.notnull()),
        warranty_days_left_max=days_between(c.warranty_ends_on, c.origin).max(),
        warranty_km_left_max=(c.warranty_km - c.km).max(),
        under_warranty=count_if(c.warranty_ends_on >= c.origin),
        warranty_known=count_if(c.warranty_ends_on.notnull()),
        finance_days_left_max=days_between(c.finance_ends_on, c.origin).max(),
        insurance_days_left_min=now.ifelse(days_between(c.insurance_ends_on, c.origin), ibis.null("int64")).min(),
        km_a_year=c.km_a_year.sum(),
        driven=c.km_a_year.count(),
        since_service_km_max=c.since_km.max(),
        service_overdue_days_max=c.overdue_days.max(),
    )
    return made.mutate(
        new_energy_share=ratio(made.new_energy, made.energy_known),
        sold_here_share=ratio(made.sold_here, made.sold_known),
        price_to_list_ratio=ratio(made.paid, made.listed),
        under_warranty_share=ratio(made.under_warranty, made.warranty_known),
        odometer_km_per_year=ratio(made.km_a_year, made.driven),
    ).drop(
        "new_energy",
        "energy_known",
        "sold_here",
        "sold_known",
        "paid",
        "listed",
        "under_warranty",
        "warranty_known",
        "km_a_year",
        "driven",
    )


def _held(clean: dict[str, ir.Table], visits: ir.Table, cars: ir.Table, when: ir.Table, as_of: date) -> ir.Table:
    """Cars on record × origins. A car counts from the day since which its owner has it; without one from its first
    visit, else at delivery only."""
    driven = visits.group_by("vin").agg(first_day=visits.day.min())
    about = clean["vehicles"].select("vin", "series", "warranty_km", "finance_ends_on", "purchase_price_yuan")
    known = beside(
        cars.select(
            "person_id",
            "vin",
            "purchased_on",
            "held_from",
            "in_hand",
            "left_on",
            "energy_type",
            "list_price_yuan",
            "sold_here",
            "warranty_ends_on",
            "insurance_ends_on",
        ),
        ["vin"],
        driven,
        about,
    )
    # Of two cars the one bought later has the larger number, whatever the origin.
    order = ibis.window(group_by="person_id", order_by=[known.held_from.fill_null(ibis.date("1900-01-01")), "vin"])
    known = known.mutate(
        day=known.held_from.coalesce(known.first_day, ibis.literal(as_of)), car_no=ibis.row_number().over(order)
    )
    c = up_to(known, when)
    # That a car was disposed of is only known at delivery; a trade-in is known from its day.
    return c.filter(c.in_hand | ((c.origin < ibis.literal(as_of)) & (c.left_on.isnull() | (c.left_on > c.origin))))


def _readings(visits: ir.Table, when: ir.Table) -> ir.Table:
    """Odometer and last maintenance by car and origin: km, read_on, service_on, service_km."""
    service = visits.order_type == "maintenance"
    v = visits.select(
        "vin",
        "day",
        "odometer_km",
        read_day=visits.odometer_km.notnull().ifelse(visits.day, ibis.null("date")),
        service_day=service.ifelse(visits.day, ibis.null("date")),
        service_odometer=service.ifelse(visits.odometer_km, ibis.null("int64")),
    )
    v = up_to(v.filter(v.odometer_km.notnull() | v.service_day.notnull()), when)
    return v.group_by(["vin", "origin"]).agg(
        km=v.odometer_km.max(),
        read_on=v.read_day.max(),
        service_on=v.service_day.max(),
        service_km=v.service_odometer.max(),
    )
