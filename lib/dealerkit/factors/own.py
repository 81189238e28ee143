"""Factors of the dealer's own, written in the params (`own_factors`).

An own factor is made of the events of a person, or is a formula over other factors of the person:

    - name: tyre_jobs_count_24m
      label: {en: Tyre jobs, zh: 轮胎项目}
      factor_class: vehicle
      table: service_lines
      aggregate: count
      where: "item_name ilike '%tyre%' and kind = 'labour'"
      window_months: 24

    - name: yuan_per_car_24m
      label: Spending per car
      formula: spend_yuan_24m / nullif(cars_count, 0)

Events belong to the person that their customer number names; visits and their lines, as in all factors, else to the
holder of the car. Each origin sees the events dated on or before it, and of each what was written by then
(`tables.Column.known_from`): the amounts of an order not settled yet are unknown, and so is what only the export tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import expressions, tables
from dealerkit.errors import UserError, UserErrors
from dealerkit.factors import extra
from dealerkit.factors.aggregates import (
    aggregate,
    as_known,
    filled,
    in_one_line,
    kind_of,
    type_of_factor,
    used,
)
from dealerkit.factors.catalogue import CAR_FACTORS, PERSON_FACTORS, PERSON_TEXTS
from dealerkit.factors.events import of_persons, up_to
from dealerkit.params import OwnFactorParams, Params, called

#: Lines of an order have their order's date, and can name its columns.
_PARENTS = {"service_lines": "service_orders"}


# ---- checked before anything is computed -----------------------------------------------------------------------


def check_own(params: Params) -> None:
    """Checks the own and extra factors of the params against the declared tables, without any data.

    Raises `UserErrors` with every mistake: a name that is taken, a table whose rows are no events of a person, an
    expression that cannot be read, names an unknown column or is of the wrong type.

    >>> check_own(Params(dealer="x", display_name="X", own_factors=[
    ...     {"name": "tips_yuan_24m", "label": "Tips", "table": "service_orders", "aggregate": "sum", "of": "total_yaun"}]))
    Traceback (most recent call last):
    dealerkit.errors.UserErrors: params/x.yaml: 1 problem in own_factors ...
    """
    extras = extra.problems(params, _taken())
    kinds, problems = _kinds() | extra.kinds(params), []
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        if own.name in _taken():
            problems.append(f"{where}.name = {own.name!r}: a factor of the kit has this name; choose another")
        try:
            kinds[own.name] = _formula_kind(own, kinds, where) if own.formula else _events_kind(own, where, problems)
        except UserError as error:
            problems.append(in_one_line(error))
            kinds[own.name] = "float64"
    if problems or extras:
        count = len(problems) + len(extras)
        keys = " and ".join(key for key, found in (("extra_factors", extras), ("own_factors", problems)) if found)
        raise UserErrors(
            f"params/{params.dealer}.yaml: {count} problem{'s' if count > 1 else ''} in {keys}",
            [*extras, *problems],
            "params/demo.yaml shows factors of each kind",
        )


def _taken() -> set[str]:
    """Names that stand in the tables of factors already; a car's row can be put beside its person's."""
    return {f.name for f in (*PERSON_FACTORS, *CAR_FACTORS)} | {"person_id", "origin", "vin", "series", "energy_type"}


def _kinds() -> dict[str, str]:
    return {f.name: "string" if f.name in PERSON_TEXTS else "float64" for f in PERSON_FACTORS}


def kinds(params: Params) -> dict[str, str]:
    """Factor of a person → its type in an expression: float64, or string; the own and extra ones among them. `check_own` first."""
    found = _kinds() | extra.kinds(params)
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        found[own.name] = _formula_kind(own, found, where) if own.formula else _events_kind(own, where, [])
    return found


def _formula_kind(own: OwnFactorParams, kinds: dict[str, str], where: str) -> str:
    key = called(f"{where}.formula", own.name)
    return type_of_factor(expressions.value(ibis.table(kinds, name="factors"), own.formula, key), key)


def _events_kind(own: OwnFactorParams, where: str, problems: list[str]) -> str:
    """Type of a factor of events; adds to ``problems`` what is wrong with ``of`` and ``where``, each on its own."""
    if own.table not in _event_tables():
        allowed = ", ".join(_event_tables())
        raise UserError(
            f"{called(f'{where}.table', own.name)} = {own.table!r}: its rows are no dated events of a person",
            f"allowed: {allowed}",
        )
    return kind_of(own, own.table, _columns(own.table), where, problems)


def _event_tables() -> list[str]:
    """Tables whose rows are dated events of a person."""
    return [t.name for t in tables.TABLES.values() if t.name in _PARENTS or (t.date and "customer_id" in t)]


def _columns(name: str) -> dict[str, tables.Column]:
    """Columns that an expression over the table may name."""
    own = {c.name: c for c in tables.TABLES[name].columns}
    return {c.name: c for c in tables.TABLES[_PARENTS[name]].columns} | own if name in _PARENTS else own


# ---- computed --------------------------------------------------------------------------------------------------


def not_delivered(params: Params, clean: dict[str, ir.Table]) -> dict[str, str]:
    """Own factors that are empty because their table was not delivered: name → table."""
    return {own.name: own.table for own in params.own_factors if own.table and own.table not in clean}


def event_factors(
    clean: dict[str, ir.Table],
    who: ir.Table,
    visits: ir.Table,
    when: ir.Table,
    as_of: date,
    own: Sequence[OwnFactorParams],
) -> list[ir.Table]:
    """The own factors made of events: a table for each table of theirs, with person_id, origin and its factors.

    Args:
        clean: clean tables; a factor of a table that is not there is left out.
        who: customer_id → person_id.
        visits: service orders with their person and day.
        when: origins.
        as_of: the origin at which the export counts as well.
        own: factors of the params.
    """
    keyed = [(f"own_factors.{place}", o) for place, o in enumerate(own)]
    found = []
    for name in dict.fromkeys(o.table for o in own if o.table and o.table in clean):
        chosen, columns = [(where, o) for where, o in keyed if o.table == name], _columns(name)
        last = any(o.aggregate == "last" for _, o in chosen)
        rows = up_to(_events(clean, name, who, visits, used(chosen, columns), last), when)
        rows = as_known(rows, columns, {tables.TABLES[t].date for t in (name, _PARENTS.get(name, name))}, as_of)
        made = {o.name: aggregate(rows, o, columns, where) for where, o in chosen}
        found.append(rows.group_by(["person_id", "origin"]).agg(**made))
    return found


def with_own(connection, frame: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The factors of persons with the own ones as the params have them: those of `event_factors`, which are columns of
    ``frame``, filled, and the formulas added.

    Who has no event counts 0 and sums to 0, where anybody has one at that origin (`aggregates.filled`).
    """
    for own in params.own_factors:
        if own.formula:
            continue
        if own.name not in frame:
            frame[own.name] = None if own.aggregate == "last" else float("nan")
        else:
            frame[own.name] = filled(frame[own.name], own, frame["origin"])
    return _with_formulas(connection, frame, params)


def _with_formulas(connection, frame: pd.DataFrame, params: Params) -> pd.DataFrame:
    kinds = _kinds() | extra.kinds(params)
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        if not own.formula:
            kinds[own.name] = "float64" if own.aggregate != "last" else _events_kind(own, where, [])
            continue
        named = sorted(expressions.columns(own.formula, f"{where}.formula"))
        plain = frame[named].astype({name: object if kinds[name] == "string" else float for name in named})
        plain = plain.where(plain.notna(), None).assign(row_no=range(len(frame)))
        rows = ibis.memtable(plain, schema={name: kinds[name] for name in named} | {"row_no": "int64"})
        value = expressions.value(rows, own.formula, f"{where}.formula")
        kinds[own.name] = type_of_factor(value, where)
        made = rows.select("row_no", value=value if value.type().is_string() else _steady(value))
        got = connection.to_pandas(made).set_index("row_no")["value"]
        frame[own.name] = got.reindex(range(len(frame))).to_numpy()
    return frame


def _steady(value: ir.Value) -> ir.FloatingValue:
    """A number without what is none: no infinity, no last bits."""
    number = value.cast("float64") if not value.type().is_boolean() else value.cast("int64").cast("float64")
    return (number.isinf() | number.isnan()).ifelse(ibis.null("float64"), number.round(9))


def _events(
    clean: dict[str, ir.Table], name: str, who: ir.Table, visits: ir.Table, named: list[str], last: bool
) -> ir.Table:
    """Rows of the table with person_id, day and the columns named; with event_no, their number in the order of time,
    where the last one is asked for."""
    declared = tables.TABLES[name]
    first = "opened_at" if name in ("service_orders", *_PARENTS) else declared.date
    order = [first, *declared.key] if last else []
    kept = list(dict.fromkeys([*named, *order]))
    if name == "service_orders":
        rows = visits.select("person_id", "day", *kept)
    elif name in _PARENTS:
        lines = clean[name]
        orders = visits.select("person_id", "day", *(c for c in kept if c not in declared.names), l_order="order_id")
        rows = lines.inner_join(orders, lines.order_id == orders.l_order).select("person_id", "day", *kept)
    else:
        rows = of_persons(clean, name, who).select("person_id", "day", *kept)
    if not last:
        return rows
    rows = rows.mutate(event_no=ibis.row_number().over(ibis.window(order_by=order)))
    return rows.select("person_id", "day", "event_no", *named)
