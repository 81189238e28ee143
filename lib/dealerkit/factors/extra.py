"""Factors of further keyed tables (`extra_factors` in the params): insurance, shop, telematics, whatever has a key of
customers or cars.

A row belongs to the person whom its customer number or phone names, or who holds the car of its VIN or plate; a phone of
several persons, or a plate of several cars, names nobody. Rows dated on or before an origin count at it; rows without a
date count nowhere, and those of a table that is only known at delivery at ``as_of`` alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit.errors import UserError
from dealerkit.factors.aggregates import aggregate, as_known, filled, in_one_line, kind_of, used
from dealerkit.factors.events import person_of, up_to
from dealerkit.holder import EVER, holder_of
from dealerkit.params import ExtraTableParams, Params, called
from dealerkit.params.extra import DATED

#: Number of a row in its table, in the order of its files.
ROW = "row"


def problems(params: Params, taken: Collection[str]) -> list[str]:
    """What is wrong with the factors of further tables, as lines: names that are taken, expressions that cannot be read."""
    found = []
    for place, table in enumerate(params.extra_factors):
        columns = _columns(table)
        for number, factor in enumerate(table.factors):
            where = f"extra_factors.{place}.factors.{number}"
            if factor.name in taken:
                found.append(f"{where}.name = {factor.name!r}: a factor of the kit has this name; choose another")
            if table.known_from == "export" and (factor.window_months or _needs_day(factor)):
                key = "window_months" if factor.window_months else "aggregate"
                found.append(
                    f"{called(f'{where}.{key}', factor.name)}: the rows have no date (known_from: export); "
                    "leave it out, or name the header of a date"
                )
            try:
                kind_of(factor, table.name, columns, where, found)
            except UserError as error:
                found.append(in_one_line(error))
    return found


def _needs_day(factor) -> bool:
    return factor.aggregate == "days_since" and factor.of is None


def kinds(params: Params) -> dict[str, str]:
    """Factor of a further table → its type, ``string`` or ``float64``."""
    found = {}
    for place, table in enumerate(params.extra_factors):
        for number, factor in enumerate(table.factors):
            text = factor.aggregate == "last"
            where = f"extra_factors.{place}.factors.{number}"
            found[factor.name] = kind_of(factor, table.name, _columns(table), where, []) if text else "float64"
    return found


def _columns(table: ExtraTableParams) -> dict:
    """Columns that an expression may name."""
    return {c.name: c for c in table.declared.columns}


def extra_factors(
    extras: Mapping[str, ir.Table],
    clean: Mapping[str, ir.Table],
    records: pd.DataFrame,
    cars: ir.Table,
    when: ir.Table,
    as_of: date,
    params: Params,
) -> list[ir.Table]:
    """A table with person_id, origin and its factors for each further table that was delivered.

    Args:
        extras: name → typed rows with key, day and columns (`audit.extras`).
        clean: clean tables; they say whose phone and plate it is.
        records, cars: of `identity.identify`.
        when: origins.
        as_of: the origin at which the export counts as well.
    """
    found = []
    for place, table in enumerate(params.extra_factors):
        if table.name not in extras:
            continue
        columns = _columns(table)
        chosen = [(f"extra_factors.{place}.factors.{n}", f) for n, f in enumerate(table.factors)]
        rows = _keyed(extras[table.name], table, clean, records, cars)
        dated = table.date is not None
        day = rows[DATED].date() if dated else ibis.literal(as_of).cast("date")
        rows = rows.mutate(day=day)
        if any(f.aggregate == "last" for _, f in chosen):
            rows = rows.mutate(event_no=ibis.row_number().over(ibis.window(order_by=["day", ROW])))
        kept = [c for c in ("event_no", *used(chosen, columns)) if c in rows.columns]
        rows = up_to(rows.select("person_id", "held_from", "day", *kept), when)
        # Who takes over a car later is not known by it before.
        rows = as_known(rows.filter(rows.held_from <= rows.origin), columns, {DATED}, as_of)
        made = {f.name: aggregate(rows, f, columns, where) for where, f in chosen}
        found.append(rows.group_by(["person_id", "origin"]).agg(**made))
    return found


def with_extra(frame: pd.DataFrame, params: Params, as_of: date) -> pd.DataFrame:
    """The factors of persons with those of further tables filled: who has no row counts 0 and sums to 0, where the table
    says something at that origin."""
    for table in params.extra_factors:
        late = pd.to_datetime(frame["origin"]) < pd.Timestamp(as_of)
        for factor in table.factors:
            if factor.name not in frame:
                frame[factor.name] = None if factor.aggregate == "last" else float("nan")
                continue
            column = filled(frame[factor.name], factor, frame["origin"])
            frame[factor.name] = column.mask(late) if table.known_from == "export" else column
    return frame


def _keyed(
    rows: ir.Table,
    table: ExtraTableParams,
    clean: Mapping[str, ir.Table],
    records: pd.DataFrame,
    cars: ir.Table,
) -> ir.Table:
    """The rows whose key names a person, with ``person_id``."""
    named = holders(table.key, clean, records, cars)
    return rows.inner_join(named, rows[table.key] == named.of_key).drop("of_key")


def holders(key: str, clean: Mapping[str, ir.Table], records: pd.DataFrame, cars: ir.Table) -> ir.Table:
    """of_key → person_id, of the keys that name one person, and held_from, the day from which they do."""
    who = person_of(records).mutate(held_from=ibis.literal(EVER))
    if key == "customer_id":
        return who.select("person_id", "held_from", of_key=who.customer_id)
    if key == "phone":
        customers = clean["customers"].inner_join(who, "customer_id")
        told = [customers.select("person_id", "held_from", of_key=customers[c]) for c in ("phone", "phone_alt")]
        return _of_one(told[0].union(told[1]))
    held = holder_of(cars)
    if key == "vin":
        return held.select("person_id", "held_from", of_key=held.vin)
    plates = clean["vehicles"].select("vin", of_key=clean["vehicles"].plate).inner_join(held, "vin")
    return _of_one(plates.select("person_id", "held_from", "of_key"))


def _of_one(told: ir.Table) -> ir.Table:
    """Keys that one person has; of several persons a key names nobody."""
    told = told.filter(_.of_key.notnull())
    made = told.group_by("of_key").agg(
        person_id=told.person_id.min(), held_from=told.held_from.min(), persons=told.person_id.nunique()
    )
    return made.filter(made.persons == 1).drop("persons")


def matched(
    extras: Mapping[str, ir.Table],
    clean: Mapping[str, ir.Table],
    records: pd.DataFrame,
    cars: ir.Table,
    params: Params,
) -> pd.DataFrame:
    """How the further tables meet the customers: name, rows, rows_matched, keys, keys_matched, undated."""
    found = []
    for table in params.extra_factors:
        if table.name not in extras:
            continue
        rows, named = extras[table.name], holders(table.key, clean, records, cars)
        joined = rows.left_join(named, rows[table.key] == named.of_key)
        key, told = joined[table.key], joined.person_id.notnull()
        # Rows that only the delivery tells have no date to lack.
        undated = joined[DATED if table.date else table.key].isnull()
        counted = joined.agg(
            rows=joined.count(),
            rows_matched=told.cast("int64").sum(),
            keys=key.nunique(),
            keys_matched=key.nunique(where=told),
            undated=undated.cast("int64").sum(),
        )
        [row] = counted.to_pyarrow().to_pylist()
        found.append({"name": table.name} | {k: int(v or 0) for k, v in row.items()})
    return pd.DataFrame(found, columns=["name", "rows", "rows_matched", "keys", "keys_matched", "undated"])
