"""Which car and which customer a row means where it does not say so, or says so in another system's numbers.

Found by the secondary keys of the params (plate, VIN, phone) before anything is checked, so that the checks see what was
found. What leads to more than one car or customer is left as it is. Each row says how it was found, in the columns
`VIN_BY` and `CUSTOMER_BY`: by a key; ``stand_in`` for a number of the kit's own; ``ambiguous``, or ``unknown`` for a number
of another system that no key explains.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine, tables
from dealerkit.audit.kinds import CUSTOMER_BY, VIN_BY
from dealerkit.audit.lookups import Parents, trust_of
from dealerkit.formats import MOBILE, PLATE, VIN, vin_check_digit
from dealerkit.params import Params
from dealerkit.tables import Table

#: Begins the numbers that stand for the VIN of a car known by its plate only: no maker's code begins with a nought.
STAND_IN = "0P"
#: In place of the VIN of a day on which two cars are said to have one plate.
_SEVERAL = ""
#: Table → columns that lead to a customer.
_KEYS = {
    "contacts": ("vin", "phone"),
    "leads": ("phone",),
    "sales_orders": ("vin",),
    "service_orders": ("vin", "plate", "phone"),
    "interactions": ("phone",),
}
#: A sale belongs to the purchase that the car's own record knows when they lie no further apart.
_ONE_PURCHASE = timedelta(days=31)


def with_vins(
    connection, values: Mapping[str, ir.Table], delivered: pd.DataFrame, params: Params
) -> dict[str, ir.Table]:
    """The typed rows of all tables, visits and cars that come with a plate and without a VIN with the VIN of the car
    that had the plate on that day.

    A plate that no car is known by gets a number of the kit's own (`STAND_IN`), the same wherever it stands.

    Args:
        connection: an engine connection.
        values: table → typed rows.
        delivered: what `standard.survey` counts.
        params: the dealer's params.
    """
    lacking = [n for n in ("vehicles", "service_orders") if n in values and delivered["without_vin"][n] > 0]
    if not lacking or not params.supply.vin_from_plate or "plate" not in params.secondary_keys:
        return dict(values)
    spans = engine.keep(connection, "plate_spans", _plate_spans(values))
    found = {}
    for name in lacking:
        rows = _with_vins(values[name], spans, tables.TABLES[name], params.id_key)
        found[name] = engine.keep(connection, f"linked_{name}", rows)
    return {**values, **found}


def _plate_spans(values: Mapping[str, ir.Table]) -> ir.Table:
    """Which car had a plate from which day (``since``, null: ever) until before which (``until``, null: still), by the
    visits and the cars' own records; one row per plate and change of car."""
    seen = []
    for name, day in (("vehicles", _.purchased_on), ("service_orders", _.opened_at.date())):
        if name in values:
            rows = values[name].filter((_["_kind"] == "row") & _.vin.re_search(VIN) & _.plate.re_search(PLATE))
            seen.append(rows.select("plate", "vin", day=day.coalesce(ibis.date(1900, 1, 1))))
    every = engine.union(seen)
    days = every.group_by("plate", "day").agg(least=_.vin.min(), most=_.vin.max())
    days = days.select("plate", "day", vin=(_.least == _.most).ifelse(_.least, _SEVERAL))
    in_order = ibis.window(group_by="plate", order_by="day")
    before = days.mutate(before=_.vin.lag().over(in_order))
    changes = before.filter(_.before.isnull() | (_.before != _.vin))
    return changes.select(
        s_plate=_.plate,
        s_vin=_.vin,
        since=_.before.notnull().ifelse(_.day, ibis.null("date")),
        until=_.day.lead().over(in_order),
    )


def _with_vins(rows: ir.Table, spans: ir.Table, table: Table, id_key: str) -> ir.Table:
    lacks = (rows["_kind"] == "row") & rows["vin"].isnull() & rows["plate"].re_search(PLATE)
    # A car's own record has no day: it is the car that has the plate now.
    day = rows[table.date].date() if table.date else ibis.null("date")
    asked = rows.mutate(x_plate=lacks.ifelse(rows["plate"], ibis.null("string")), x_day=day)
    in_time = (spans.since.isnull() | (asked.x_day >= spans.since)) & (
        spans.until.isnull() | (asked.x_day < spans.until)
    )
    now = spans.until.isnull()
    joined = asked.left_join(spans, [asked.x_plate == spans.s_plate, in_time if table.date else now])
    stand_in = ibis.literal(id_key + "|").concat(joined.x_plate).hexdigest("sha256").upper()
    made = joined.mutate(x_stand_in=stand_in)
    # Sixteen characters that a VIN may have, a nought where it has the year, and the check digit that belongs to them.
    body = ibis.literal(STAND_IN).concat(made.x_stand_in.substr(0, 6), "00", made.x_stand_in.substr(6, 7))
    made = made.mutate(x_body=body)
    made = made.mutate(x_stand_in=made.x_body.substr(0, 8).concat(vin_check_digit(made.x_body), made.x_body.substr(9)))
    found = (made.s_vin == _SEVERAL).ifelse(ibis.null("string"), made.s_vin.coalesce(made.x_stand_in))
    how = ibis.cases(
        (made.x_plate.isnull(), ibis.null("string")),
        (made.s_vin.isnull(), "stand_in"),
        (made.s_vin == _SEVERAL, "ambiguous"),
        else_="plate",
    )
    columns = {name: made[name] for name in rows.columns}
    columns["vin"] = made.x_plate.isnull().ifelse(made["vin"], found)
    return made.select(**columns, **{VIN_BY: how})


def askers(records: Mapping[str, ir.Table], params: Params) -> set[str]:
    """The names of the tables with rows whose customer may be found by a secondary key."""
    counted = []
    for name, rows in records.items():
        keys = _keys_of(name, params)
        if keys and "customers" in records:
            wanted = _is_open(rows, tables.TABLES[name], params) & ibis.or_(*[rows[key].notnull() for key in keys])
            counted.append(rows.agg(n=rows.count(where=wanted)).mutate(table=ibis.literal(name)))
    if not counted:
        return set()
    seen = engine.frame_of(engine.union(counted))
    return set(seen.loc[seen["n"] > 0, "table"])


def _keys_of(table: str, params: Params) -> list[str]:
    """The columns of a table that may lead to a customer, the most trusted first."""
    if not params.supply.customer_from_keys:
        return []
    return [key for key in params.secondary_keys if key in _KEYS.get(table, ())]


def _is_open(rows: ir.Table, table: Table, params: Params) -> ir.BooleanValue:
    """Whether a row names no customer, or one by a number of another system."""
    foreign = [rows["customer_id"].startswith(f"{source}:") for source in params.sources[1:]]
    missing = rows["customer_id"].isnull() & (table["customer_id"].null_means == "unknown")
    if "lead_id" in table and table.name != "sales_orders":
        missing &= rows["lead_id"].isnull()  # then it is the lead that was spoken to
    return ibis.or_(missing, *[f.coalesce(False) for f in foreign])


def with_customers(records: ir.Table, table: Table, parents: Parents, params: Params) -> ir.Table:
    """The records of a table with the customer to whom exactly one secondary key leads, where they name none, or name one
    by a number of another system that no record has.

    A phone leads to whom the most trusted source knows by it; a VIN or plate to the holder of the car, unless that was
    bought later.
    """
    keys = [k for k in _keys_of(table.name, params) if k == "phone" or "vehicles" in parents.clean]
    if not keys:
        return records
    known = parents.keys["customers"].select(x_known=_.customer_id)
    joined = records.left_join(known, records["customer_id"] == known.x_known)
    ways = {"vin": _by_vin, "plate": _by_plate, "phone": _by_phone}
    for key in keys:
        beside = ways[key](parents.clean, params).rename(
            {f"x_{key}": key, f"x_{key}_customer": "customer", f"x_{key}_since": "since", f"x_{key}_many": "many"}
        )
        joined = joined.left_join(beside, records[key] == beside[f"x_{key}"])
    is_open = _is_open(joined, table, params) & joined.x_known.isnull()
    found = {key: _in_time(joined, key, table) for key in keys}
    many = ibis.or_(*[joined[f"x_{key}_many"].coalesce(False) for key in keys])
    foreign = joined["customer_id"].notnull()
    how = ibis.cases(
        (~is_open, ibis.null("string")),
        *[(found[key].notnull(), key) for key in keys],
        (many, "ambiguous"),
        (foreign, "unknown"),
        else_=ibis.null("string"),
    )
    columns = {name: joined[name] for name in records.columns}
    columns["customer_id"] = is_open.ifelse(
        ibis.coalesce(*found.values(), joined["customer_id"]), joined["customer_id"]
    )
    return joined.select(**columns, **{CUSTOMER_BY: how})


def _in_time(joined: ir.Table, key: str, table: Table) -> ir.StringValue:
    """The customer whom a key leads to, if that held on the day of the row."""
    customer, since = joined[f"x_{key}_customer"], joined[f"x_{key}_since"]
    if table.date is None or key == "phone":
        return customer
    day = joined[table.date].cast("date")
    if table.name == "sales_orders":
        near = (day <= since + ibis.literal(_ONE_PURCHASE)) & (day >= since - ibis.literal(_ONE_PURCHASE))
        return near.fill_null(False).ifelse(customer, ibis.null("string"))
    return (day >= since).fill_null(True).ifelse(customer, ibis.null("string"))


def _by_vin(clean: Mapping[str, ir.Table], params: Params) -> ir.Table:
    cars = clean["vehicles"].filter(_.customer_id.notnull())
    return cars.select("vin", customer=_.customer_id, since=_.purchased_on, many=ibis.literal(False))


def _by_plate(clean: Mapping[str, ir.Table], params: Params) -> ir.Table:
    cars = clean["vehicles"].filter(_.customer_id.notnull() & _.plate.re_search(PLATE))
    held = cars.group_by("plate").agg(cars=_.vin.nunique(), customer=_.customer_id.min(), since=_.purchased_on.min())
    one = held.cars == 1
    return held.select(
        "plate",
        customer=one.ifelse(held.customer, ibis.null("string")),
        since=one.ifelse(held.since, ibis.null("date")),
        many=~one,
    )


def _by_phone(clean: Mapping[str, ir.Table], params: Params) -> ir.Table:
    held = clean["customers"].filter(_.phone.re_search(MOBILE))
    held = held.mutate(x_trust=trust_of(held["_source"], params.sources))
    if "staff" in clean:
        held = held.anti_join(clean["staff"].filter(_.phone.notnull()), "phone")
    held = held.group_by("phone", "x_trust").agg(customers=_.customer_id.nunique(), customer=_.customer_id.min())
    # Other systems may know the same person by the same phone: the most trusted one that does is asked.
    best = held.group_by("phone").agg(customers=_.customers.argmin(_.x_trust), customer=_.customer.argmin(_.x_trust))
    one = best.customers == 1
    customer = one.ifelse(best.customer, ibis.null("string"))
    return best.select("phone", customer=customer, since=ibis.null("date"), many=~one)
