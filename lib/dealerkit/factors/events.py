"""Events up to a day: what every factor is made of.

An event counts when it is dated on or before the origin; what is written on an order at its settlement is known
from the settlement. These are the small expressions that the factors of persons and of cars share.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

#: Columns of a workshop visit that are written when it is settled.
AT_SETTLEMENT = (
    "total_yuan",
    "labour_yuan",
    "parts_yuan",
    "discount_yuan",
    "payer_kind",
    "wait_minutes",
    "is_comeback",
)


def days_between(later, earlier) -> ir.IntegerValue:
    """Days from ``earlier`` to ``later``."""
    return later.delta(earlier, unit="day")


def sum_if(condition: ir.BooleanValue, amount: ir.Value) -> ir.Value:
    """Sum of the amounts where the condition holds; null where none is known."""
    return condition.ifelse(amount, ibis.null(amount.type())).sum()


def count_if(condition: ir.BooleanValue) -> ir.IntegerValue:
    """How many rows hold the condition; unknown counts as no."""
    return condition.fill_null(False).cast("int64").sum()


def ratio(part, whole) -> ir.FloatingValue:
    """Part ÷ whole, rounded to 9 digits so that no order of addition shows; null over nothing."""
    return (part.cast("float64") / whole.cast("float64").nullif(0)).round(9)


def up_to(events: ir.Table, when: ir.Table, day: str = "day") -> ir.Table:
    """Events × origins at or after their day, with ``ago``, the days between."""
    both = events.cross_join(when)
    both = both.filter(both[day] <= both.origin)
    return both.mutate(ago=days_between(both.origin, both[day]))


def settled_visits(visits: ir.Table, when: ir.Table) -> ir.Table:
    """Visits × origins (`up_to`), with what is written at settlement only where the settlement lies before the origin."""
    v = up_to(visits, when)
    settled = v.settled_at.isnull() | (v.settled_at.date() <= v.origin)
    return v.mutate(**{c: settled.ifelse(v[c], ibis.null(v[c].type())) for c in AT_SETTLEMENT})


def person_of(records: pd.DataFrame) -> ir.Table:
    """Customer number → person."""
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    return ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})


def visits_of(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table) -> ir.Table:
    """Orders with their person: the customer named on the order, else the holder of the car."""
    orders = clean["service_orders"]
    named = who.select(w_id=_.customer_id, w_person=_.person_id)
    joined = orders.left_join(named, orders.customer_id == named.w_id).drop("w_id")
    holders = cars.group_by(h_vin=_.vin).agg(h_person=_.person_id.min())
    joined = joined.left_join(holders, joined.vin == holders.h_vin).drop("h_vin")
    found = joined.mutate(person_id=joined.w_person.coalesce(joined.h_person), day=joined.opened_at.date())
    found = found.filter(found.person_id.notnull()).drop("w_person", "h_person")
    order = ibis.window(group_by="person_id", order_by=["opened_at", "order_id"])
    return found.mutate(gap_days=days_between(found.day, found.day.lag().over(order)))
