"""Events up to a day: what every factor is made of.

An event counts when it is dated on or before the origin; what is written on an order at its settlement is known
from the settlement. These are the small expressions that the factors of persons and of cars share.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit.factors.declared import DAYS_12M, DAYS_24M

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


#: Columns of a workshop visit of which its factors are made.
_OF_A_VISIT = (*AT_SETTLEMENT, "settled_at", "order_type", "booked", "odometer_km", "day", "visit_no", "gap_days")


def up_to(events: ir.Table, when: ir.Table, day: str = "day") -> ir.Table:
    """Events × origins at or after their day, with ``ago``, the days between."""
    both = events.cross_join(when)
    both = both.filter(both[day] <= both.origin)
    return both.mutate(ago=days_between(both.origin, both[day]))


def settled_visits(visits: ir.Table, when: ir.Table, key: str) -> ir.Table:
    """Visits × origins (`up_to`), with what is written at settlement only where the settlement lies before the origin."""
    v = up_to(visits.select(key, *_OF_A_VISIT), when)
    settled = v.settled_at.isnull() | (v.settled_at.date() <= v.origin)
    return v.mutate(**{c: settled.ifelse(v[c], ibis.null(v[c].type())) for c in AT_SETTLEMENT})


def visit_factors(visits: ir.Table, when: ir.Table, key: str) -> ir.Table:
    """What the visits say, by ``key`` (person or car) and origin, of those who came by then.

    Args:
        visits: orders as `in_order` numbers them by the same key.
        when: origins.
        key: column that tells whose visits they are.
    """
    made = _added_up(settled_visits(visits, when, key), key)
    gap = (made.gaps >= 2).ifelse(made.gap, ibis.null("float64"))
    paid = made.paid_24m.coalesce(0)
    return made.select(
        key,
        "origin",
        "visits_count_12m",
        "visits_count_24m",
        "visits_count_all",
        "recency_days",
        "first_visit_days_ago",
        "accident_count_24m",
        "warranty_count_24m",
        "odometer_km_last",
        "odometer_read_on",
        "services_count_all",
        "last_was_maintenance",
        **{name: made[name].cast("float64") for name in ("spend_yuan_12m", "spend_yuan_24m", "spend_yuan_all")},
        yuan_per_visit_24m=ratio(made.spend_yuan_24m, made.visits_count_24m),
        customer_paid_share_24m=(made.payer_known > 0).ifelse(ratio(paid, made.spend_yuan_24m), ibis.null("float64")),
        discount_share_24m=ratio(made.discount_24m, made.spend_yuan_24m + made.discount_24m),
        parts_share_24m=ratio(made.parts_24m, made.parts_24m + made.labour_24m),
        visits_trend_ratio=ratio(made.visits_count_12m, made.visits_count_24m - made.visits_count_12m),
        interval_days_median=gap,
        own_rhythm_ratio=ratio(made.recency_days, gap),
        maintenance_share_24m=ratio(made.maintenance, made.visits_count_24m),
        repair_share_24m=ratio(made.repair, made.visits_count_24m),
        comeback_share_24m=ratio(made.comebacks, made.comeback_known),
        booked_share_24m=ratio(made.booked, made.booked_known),
        wait_minutes_mean_12m=ratio(made.wait_sum, made.wait_n),
    )


def _added_up(v: ir.Table, key: str) -> ir.Table:
    """Counts and sums of the visits by ``key`` and origin, of which the shares are made."""
    y1, y2 = v.ago < DAYS_12M, v.ago < DAYS_24M
    return v.group_by([key, "origin"]).agg(
        visits_count_12m=count_if(y1),
        visits_count_24m=count_if(y2),
        visits_count_all=v.count(),
        spend_yuan_12m=sum_if(y1, v.total_yuan),
        spend_yuan_24m=sum_if(y2, v.total_yuan),
        spend_yuan_all=v.total_yuan.sum(),
        paid_24m=sum_if(y2 & (v.payer_kind == "customer"), v.total_yuan),
        payer_known=count_if(y2 & v.payer_kind.notnull()),
        discount_24m=sum_if(y2, v.discount_yuan),
        parts_24m=sum_if(y2, v.parts_yuan),
        labour_24m=sum_if(y2, v.labour_yuan),
        recency_days=v.ago.min(),
        first_visit_days_ago=v.ago.max(),
        gap=v.gap_days.median(),
        gaps=v.gap_days.count(),
        maintenance=count_if(y2 & (v.order_type == "maintenance")),
        repair=count_if(y2 & (v.order_type == "repair")),
        accident_count_24m=count_if(y2 & (v.order_type == "accident")),
        warranty_count_24m=count_if(y2 & v.order_type.isin(["warranty", "recall"])),
        comebacks=count_if(y2 & v.is_comeback),
        comeback_known=count_if(y2 & v.is_comeback.notnull()),
        booked=count_if(y2 & v.booked),
        booked_known=count_if(y2 & v.booked.notnull()),
        wait_sum=sum_if(y1, v.wait_minutes),
        wait_n=count_if(y1 & v.wait_minutes.notnull()),
        odometer_km_last=v.odometer_km.max(),
        odometer_read_on=v.odometer_km.notnull().ifelse(v.day, ibis.null("date")).max(),
        services_count_all=count_if(v.order_type == "maintenance"),
        last_was_maintenance=(v.order_type == "maintenance")
        .cast("int64")
        .argmax(v.order_type.notnull().ifelse(v.visit_no, ibis.null("int64"))),
    )


@dataclass(frozen=True)
class Delivered:
    """What the workshop visits hold at all.

    Attributes:
        amounts: any has a total; without, everything in yuan is unknown, not zero.
        discounts: any has a discount; then an order with a total and none has 0.
    """

    amounts: bool
    discounts: bool


def delivered(clean: dict[str, ir.Table]) -> Delivered:
    """See `Delivered`; asks the engine."""
    orders = clean["service_orders"]
    asked = orders.agg(amounts=orders.total_yuan.count() > 0, discounts=orders.discount_yuan.count() > 0)
    return Delivered(**asked.to_pyarrow().to_pylist()[0])


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


def person_of(records: pd.DataFrame) -> ir.Table:
    """Customer number → person."""
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    return ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})


def holder_of(cars: ir.Table) -> ir.Table:
    """vin → person_id of who has the car in hand, else of one who had it."""
    last = cars.in_hand.ifelse("0", "1") + cars.person_id
    return cars.group_by("vin").agg(person_id=cars.person_id.argmin(last))


def orders_of(clean: dict[str, ir.Table], told: Delivered) -> ir.Table:
    """Workshop orders with their ``day``. Where discounts were delivered at all, an order with a total and none has 0."""
    orders = clean["service_orders"].mutate(day=_.opened_at.date())
    if not told.discounts:
        return orders
    none = orders.discount_yuan.isnull() & orders.total_yuan.notnull()
    return orders.mutate(
        discount_yuan=none.ifelse(ibis.literal(0).cast(orders.discount_yuan.type()), orders.discount_yuan)
    )


def visits_of(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table, told: Delivered) -> ir.Table:
    """Orders with their person: the customer named on the order, else the holder of the car."""
    orders = beside(orders_of(clean, told), ["customer_id"], who.select("customer_id", w_person="person_id"))
    joined = beside(orders, ["vin"], holder_of(cars).rename(h_person="person_id"))
    found = joined.mutate(person_id=joined.w_person.coalesce(joined.h_person))
    return in_order(found.filter(found.person_id.notnull()).drop("w_person", "h_person"), "person_id")


def in_order(visits: ir.Table, key: str) -> ir.Table:
    """The visits with ``visit_no``, their number among those of the same ``key``, and ``gap_days`` since the one before."""
    order = ibis.window(group_by=key, order_by=["opened_at", "order_id"])
    return visits.mutate(
        visit_no=ibis.row_number().over(order), gap_days=days_between(visits.day, visits.day.lag().over(order))
    )
