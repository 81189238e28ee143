"""Events up to a day: what every factor is made of.

An event counts when it is dated on or before the origin. These are the small expressions that all factors share, and
the rows of each table with their person and day.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import tables
from dealerkit.holder import with_persons


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


#: Amounts that may not be delivered at all: table → columns.
_AMOUNTS = {
    "service_orders": ("total_yuan", "discount_yuan"),
    "service_lines": ("amount_yuan", "hours"),
    "sales_orders": ("price_yuan", "accessories_yuan"),
    "campaigns": ("revenue_yuan",),
}


def delivered(clean: dict[str, ir.Table]) -> set[str]:
    """Amounts that any row holds (``service_orders.total_yuan``); asks the engine. Without any, everything made of them
    is unknown, not zero; an order with a total and no discount has 0 where discounts were delivered at all."""
    asked = [
        clean[table].agg(**{f"{table}.{column}": clean[table][column].count() > 0 for column in columns})
        for table, columns in _AMOUNTS.items()
        if table in clean
    ]
    one = asked[0]
    for other in asked[1:]:
        one = one.cross_join(other)
    [row] = one.to_pyarrow().to_pylist()
    return {name for name, known in row.items() if known}


def declined_lines(clean: dict[str, ir.Table], visits: ir.Table) -> ir.Table:
    """Jobs and parts declined or postponed, on the visits they belong to: the visits' columns, and amount_yuan."""
    left = clean["service_lines"].filter(_.status.isin(["declined", "postponed"]))
    left = left.select(l_order=_.order_id, amount_yuan=_.amount_yuan)
    return visits.inner_join(left, visits.order_id == left.l_order).drop("l_order")


def beside(left: ir.Table, keys: list[str], *tables: ir.Table) -> ir.Table:
    """All rows of ``left``, with the columns of the matching row of each table."""
    joined = left
    for place, table in enumerate(tables):
        joined = joined.left_join(table, keys, rname=f"{{name}}_beside_{place}")
    return joined.drop(*(f"{key}_beside_{place}" for key in keys for place in range(len(tables))))


def of_persons(clean: dict[str, ir.Table], name: str, who: ir.Table) -> ir.Table:
    """The rows of a table with their ``person_id`` and ``day``: of whom the customer number names, else of the lead's
    customer, else of the lead itself, which is a record of its own (`identity`).

    Args:
        clean: clean tables.
        name: a table with a main date and a customer number.
        who: of `person_of`.
    """
    rows = clean[name]
    customer = rows.customer_id
    if name == "leads":
        customer = customer.coalesce(ibis.literal("lead:") + rows.lead_id)
    elif name == "interactions" and "leads" in clean:
        leads = clean["leads"].select("lead_id", lead_customer=_.customer_id)
        rows = beside(rows, ["lead_id"], leads)
        customer = rows.customer_id.coalesce(rows.lead_customer, ibis.literal("lead:") + rows.lead_id)
    day = rows[tables.TABLES[name].date]
    day = day.date() if day.type().is_timestamp() else day
    rows = rows.mutate(day=day, customer_id=customer)
    return rows.inner_join(who, "customer_id")


def person_of(records: pd.DataFrame) -> ir.Table:
    """Customer number → person."""
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    return ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})


def orders_of(clean: dict[str, ir.Table], told: set[str]) -> ir.Table:
    """Workshop orders with their ``day``. Where discounts were delivered at all, an order with a total and none has 0."""
    orders = clean["service_orders"].mutate(day=_.opened_at.date())
    if "service_orders.discount_yuan" not in told:
        return orders
    none = orders.discount_yuan.isnull() & orders.total_yuan.notnull()
    return orders.mutate(
        discount_yuan=none.ifelse(ibis.literal(0).cast(orders.discount_yuan.type()), orders.discount_yuan)
    )


def visits_of(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table, told: set[str]) -> ir.Table:
    """Orders with their person (see `holder`), in the order of each."""
    return in_order(with_persons(orders_of(clean, told), who, cars), "person_id")


def in_order(visits: ir.Table, key: str) -> ir.Table:
    """The visits with ``visit_no``, their number among those of the same ``key``, and ``gap_days`` since the one before."""
    order = ibis.window(group_by=key, order_by=["opened_at", "order_id"])
    return visits.mutate(
        visit_no=ibis.row_number().over(order), gap_days=days_between(visits.day, visits.day.lag().over(order))
    )
