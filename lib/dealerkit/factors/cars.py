"""The factors of cars, at ``as_of`` and at earlier origins, by the same expressions."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis import _

from dealerkit.engine import keep
from dealerkit.factors.catalogue import CAR_FACTORS
from dealerkit.factors.declared import DAYS_12M, DAYS_PER_MONTH
from dealerkit.factors.events import (
    beside,
    count_if,
    days_between,
    declined_lines,
    delivered,
    in_order,
    orders_of,
    person_of,
    up_to,
)
from dealerkit.factors.visits import visit_factors
from dealerkit.holder import holder_of

#: Counts that are nothing, not unknown, of a car without such events.
_ZERO = ("visits_count_12m", "visits_count_24m", "visits_count_all", "services_count_all", "declined_count_12m")


def car_panel(
    connection,
    clean: dict[str, ir.Table],
    records: pd.DataFrame,
    cars: ir.Table,
    panel: pd.DataFrame,
    as_of: date,
) -> ir.Table:
    """One row per person, car and origin with the columns of `CAR_FACTORS`, for the cars held at each origin of ``panel``.

    At ``as_of`` these are the cars in hand and their holders, as `identity.identify` has them. The register of cars is
    the state at delivery, so that an earlier origin goes by events alone:

    - A car is held when it was met by then (a visit or a sale here; a purchase date alone lets no car appear), and its
      last trade-in by then was followed by no purchase by then. That it was disposed of is only known at delivery.
    - Its person is the one whom the last sale or visit by then names: who bought or brought it. Where none was named,
      it is the holder in the register, from the day on which they have it, as in the visits of persons.
    - What the purchase brought with it (age, warranty) is known from the purchase date on, and where that is unknown,
      from the first meeting.

    Visits are those of the car, whoever brought it; complaints are those of its person.

    Args:
        connection: engine connection; the result is kept on it.
        clean: clean tables of the audit.
        records, cars: what `identity.identify` gives.
        panel: factors of persons at all origins; each row of the result has one there.
        as_of: the last origin.

    Example: the cars held at each origin, and how many of them came within the year before it::

        cars = factors.car_panel(run.engine, clean, found.records, found.cars, panel, run.as_of)
        cars.group_by("origin").agg(held=_.count(), came=(_.visits_count_12m > 0).sum())
    """
    origins = [day.date() for day in sorted(pd.to_datetime(panel["origin"]).unique())]
    # as objects, since a list without any day would become one of numbers
    when = ibis.memtable(pd.DataFrame({"origin": pd.Series(origins, dtype=object)}), schema={"origin": "date"})
    told = delivered(clean)
    visits = keep(connection, "car_visits", in_order(orders_of(clean, told), "vin"))
    held = _now(cars, as_of).union(_earlier(connection, clean, records, cars, visits, when, as_of))
    about = clean["vehicles"].select("vin", "series", "energy_type", "purchased_on", "warranty_ends_on")
    parts = [visit_factors(visits, when, "vin")]
    parts += [_declined(clean, visits, when)] if "service_lines" in clean else []
    joined = held.inner_join(_persons(panel), ["person_id", "origin"])
    joined = beside(beside(joined, ["vin"], about), ["vin", "origin"], *parts)
    return keep(connection, "car_panel", _finished(joined, "service_orders.total_yuan" in told, as_of))


def car_factors(panel_of_cars: ir.Table, as_of: date) -> ir.Table:
    """The rows of `car_panel` at ``as_of``, without the origin: cars in hand, in the order of person and car."""
    now = panel_of_cars.filter(panel_of_cars.origin == ibis.literal(as_of)).drop("origin")
    return now.order_by("person_id", "vin")


def _persons(panel: pd.DataFrame) -> ir.Table:
    """Persons met by each origin, with the complaints of each."""
    columns = {
        "person_id": pa.array(panel["person_id"], pa.string(), from_pandas=True),
        "origin": pa.array(pd.to_datetime(panel["origin"]).to_numpy("datetime64[D]"), pa.date32(), from_pandas=True),
        "complaints_count_12m": pa.array(panel["complaints_count_12m"].to_numpy(float), from_pandas=True),
    }
    return ibis.memtable(pa.table(columns))


def _now(cars: ir.Table, as_of: date) -> ir.Table:
    """person_id, vin, origin, sold of the cars in hand."""
    return cars.filter(_.in_hand).select(
        "person_id", "vin", origin=ibis.literal(as_of).cast("date"), sold=_.sold_here.cast("boolean")
    )


def _earlier(connection, clean, records, cars: ir.Table, visits: ir.Table, when: ir.Table, as_of: date) -> ir.Table:
    """person_id, vin, origin, sold of the cars held at origins before ``as_of``, by events alone."""
    who = person_of(records)
    met = visits.select("vin", "customer_id", "order_id", "day", sale=ibis.literal(False))
    gone = None
    if "sales_orders" in clean:
        sales = clean["sales_orders"]
        sold = sales.filter(_.vin.notnull())
        # On one day, the sale comes last: who bought the car takes it away.
        met = met.union(sold.select("vin", "customer_id", "order_id", day=_.delivered_on, sale=ibis.literal(True)))
        gone = sales.filter(_.trade_in_vin.notnull()).select(vin=_.trade_in_vin, day=_.delivered_on)
    else:
        sold = clean["vehicles"].filter(_.sold_here & _.purchased_on.notnull())
        met = met.union(
            sold.select(
                "vin",
                customer_id=ibis.null("string"),
                order_id=_.vin,
                day=_.purchased_on,
                sale=ibis.literal(True),
            )
        )
    met = beside(met, ["customer_id"], who)
    order = ibis.window(group_by="vin", order_by=["day", "sale", "order_id"])
    met = keep(connection, "cars_met", met.mutate(event_no=ibis.row_number().over(order)))
    before = when.filter(when.origin < ibis.literal(as_of))
    e = up_to(met, before)
    held = e.group_by(["vin", "origin"]).agg(
        named=e.person_id.argmax(e.person_id.notnull().ifelse(e.event_no, ibis.null("int64"))),
        last_sold_on=e.sale.ifelse(e.day, ibis.null("date")).max(),
    )
    held = beside(held, ["vin"], holder_of(cars).rename(holder="person_id"))
    held = held.inner_join(clean["vehicles"].select("vin", "sold_here", bought_on=_.purchased_on), "vin")
    if gone is not None:
        g = up_to(gone, before)
        traded = g.group_by(["vin", "origin"]).agg(traded_on=g.day.max())
        held = beside(held, ["vin", "origin"], traded)
        back = (held.last_sold_on > held.traded_on).fill_null(False)
        back |= ((held.bought_on > held.traded_on) & (held.bought_on <= held.origin)).fill_null(False)
        held = held.filter(held.traded_on.isnull() | back)
    told = (held.bought_on.isnull() | (held.bought_on <= held.origin)).ifelse(
        held.sold_here.cast("boolean"), ibis.null("boolean")
    )
    holder = (held.held_from <= held.origin).ifelse(held.holder, ibis.null("string"))
    held = held.mutate(person_id=held.named.coalesce(holder), sold=held.last_sold_on.notnull().ifelse(True, told))
    return held.filter(held.person_id.notnull()).select("person_id", "vin", "origin", "sold")


def _declined(clean: dict[str, ir.Table], visits: ir.Table, when: ir.Table) -> ir.Table:
    """Jobs declined within 12 months by car and origin."""
    lines = up_to(declined_lines(clean, visits.select("vin", "order_id", "day")), when)
    return lines.group_by(["vin", "origin"]).agg(declined_count_12m=count_if(lines.ago < DAYS_12M))


def _finished(joined: ir.Table, paid: bool, as_of: date) -> ir.Table:
    """Columns in the declared order; counts of nothing are 0, sums as well where amounts were delivered."""
    now = joined.origin == ibis.literal(as_of)
    known = now | joined.purchased_on.isnull() | (joined.purchased_on <= joined.origin)
    bought = known.ifelse(joined.purchased_on, ibis.null("date"))
    warranty = known.ifelse(joined.warranty_ends_on, ibis.null("date"))
    years = days_between(joined.odometer_read_on, bought) / 365.25
    made = {
        "vehicle_age_months": (days_between(joined.origin, bought) / DAYS_PER_MONTH).floor().cast("int64"),
        "warranty_days_left": days_between(warranty, joined.origin),
        "sold_here": joined.sold.cast("int64"),
        "odometer_km_per_year": (years >= 0.25).ifelse(
            (joined.odometer_km_last / years).round(0), ibis.null("float64")
        ),
    }
    made |= {name: joined[name].fill_null(0) for name in _ZERO if name in joined.columns}
    for name in ("spend_yuan_12m", "spend_yuan_24m"):
        amount = joined[name].cast("float64")
        made[name] = amount.fill_null(0) if paid else amount
    # Jobs that were not delivered are unknown.
    made.setdefault("declined_count_12m", ibis.null("int64"))
    columns = {f.name: made[f.name] if f.name in made else joined[f.name] for f in CAR_FACTORS}
    return joined.select("person_id", "vin", "origin", "series", "energy_type", **columns)
