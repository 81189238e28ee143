"""Whose visit it is: of the customer whom the order names, else of who has the car, from the day on which they have it.

The register of cars says who has a car at delivery. A visit before that day was of somebody else: it is nobody's where the
order names no customer, so that who takes over a car later does not take its past with it. Where the day is not known, the
car counts as theirs from the start.
"""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

#: Stands for the day since which a holder has the car, where it is not known.
EVER = date(1900, 1, 1)


def holder_of(cars: ir.Table) -> ir.Table:
    """vin → person_id of who has the car in hand, else of one who had it; and held_from, since when (`EVER`: not known)."""
    last = cars.in_hand.ifelse("0", "1") + cars.person_id
    since = cars.held_from.fill_null(ibis.literal(EVER))
    return cars.group_by("vin").agg(person_id=cars.person_id.argmin(last), held_from=since.argmin(last))


def with_persons(orders: ir.Table, who: ir.Table, cars: ir.Table) -> ir.Table:
    """Orders with their ``person_id``; those of nobody are left out.

    Args:
        orders: with customer_id, vin and day.
        who: customer_id → person_id.
        cars: of `identity.identify`.
    """
    named = who.select(w_customer="customer_id", w_person="person_id")
    held = holder_of(cars).rename(h_vin="vin", h_person="person_id", h_from="held_from")
    found = orders.left_join(named, orders.customer_id == named.w_customer)
    found = found.left_join(held, found.vin == held.h_vin)
    by_car = (found.day >= found.h_from).ifelse(found.h_person, ibis.null("string"))
    found = found.mutate(person_id=found.w_person.coalesce(by_car))
    return found.filter(found.person_id.notnull()).drop("w_customer", "w_person", "h_vin", "h_person", "h_from")
