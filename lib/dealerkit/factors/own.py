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
from dealerkit.factors.declared import CAR_FACTORS, PERSON_FACTORS
from dealerkit.factors.events import count_if, ratio, sum_if, up_to
from dealerkit.params import OwnFactorParams, Params, called

_IBIS = {
    "date": "date",
    "time": "timestamp",
    "int": "int64",
    "number": "float64",
    "money": "decimal(18,2)",
    "bool": "boolean",
}
#: Factors of persons that are texts; all others are numbers.
_TEXTS = ("member_level", "occupation", "income_band")
#: Lines of an order have their order's date, and can name its columns.
_PARENTS = {"service_lines": "service_orders"}


# ---- checked before anything is computed -----------------------------------------------------------------------


def check_own(params: Params) -> None:
    """Checks the own factors of the params against the declared tables, without any data.

    Raises `UserErrors` with every mistake: a name that is taken, a table whose rows are no events of a person, an
    expression that cannot be read, names an unknown column or is of the wrong type.

    >>> check_own(Params(dealer="x", display_name="X", own_factors=[
    ...     {"name": "tips_yuan_24m", "label": "Tips", "table": "service_orders", "aggregate": "sum", "of": "total_yaun"}]))
    Traceback (most recent call last):
    dealerkit.errors.UserErrors: params/x.yaml: 1 problem in own_factors ...
    """
    problems: list[str] = []
    kinds = _kinds()
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        if own.name in _taken():
            problems.append(f"{where}.name = {own.name!r}: a factor of the kit has this name; choose another")
        try:
            kinds[own.name] = _formula_kind(own, kinds, where) if own.formula else _events_kind(own, where, problems)
        except UserError as error:
            problems.append(_in_one_line(error))
            kinds[own.name] = "float64"
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserErrors(
            f"params/{params.dealer}.yaml: {count} in own_factors",
            problems,
            "params/demo.yaml shows factors of each kind",
        )


def _in_one_line(error: UserError) -> str:
    return f"{error.what}; {error.remedy}" if error.remedy else error.what


def _taken() -> set[str]:
    """Names that stand in the tables of factors already; a car's row can be put beside its person's."""
    return {f.name for f in (*PERSON_FACTORS, *CAR_FACTORS)} | {"person_id", "origin", "vin", "series", "energy_type"}


def _kinds() -> dict[str, str]:
    return {f.name: "string" if f.name in _TEXTS else "float64" for f in PERSON_FACTORS}


def kinds(params: Params) -> dict[str, str]:
    """Factor of a person → its type in an expression: float64, or string; the own ones among them. `check_own` first."""
    found = _kinds()
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        found[own.name] = _formula_kind(own, found, where) if own.formula else _events_kind(own, where, [])
    return found


def _formula_kind(own: OwnFactorParams, kinds: dict[str, str], where: str) -> str:
    key = called(f"{where}.formula", own.name)
    return _kind(expressions.value(ibis.table(kinds, name="factors"), own.formula, key), key)


def _kind(value: ir.Value, where: str) -> str:
    """Type of the factor that holds the value: a text, or a number (also for true and false)."""
    if value.type().is_temporal():
        raise UserError(
            f"{where} is a date, not a factor", "make days of it, as in days_between(opened_at, settled_at)"
        )
    return "string" if value.type().is_string() else "float64"


def _events_kind(own: OwnFactorParams, where: str, problems: list[str]) -> str:
    """Type of a factor of events; adds to ``problems`` what is wrong with ``of`` and ``where``, each on its own."""
    if own.table not in _event_tables():
        allowed = ", ".join(_event_tables())
        raise UserError(
            f"{called(f'{where}.table', own.name)} = {own.table!r}: its rows are no dated events of a person",
            f"allowed: {allowed}",
        )
    columns = _columns(own.table)
    rows = ibis.table({name: _type(column) for name, column in columns.items()}, name=own.table)
    codes = _codes(columns)
    kind = "float64"
    for key, expression in (("where", own.where), ("of", own.of)):
        if expression is None:
            continue
        place = called(f"{where}.{key}", own.name)
        try:
            if key == "where" or own.aggregate == "share":
                expressions.condition(rows, expression, place, codes=codes)
            else:
                kind = _of_kind(own, rows, columns, place, codes)
        except UserError as error:
            problems.append(_in_one_line(error))
    return kind


def _of_kind(own: OwnFactorParams, rows: ir.Table, columns: dict[str, tables.Column], where: str, codes) -> str:
    kind = _kind(made := expressions.value(rows, own.of, where, codes=codes), where)
    number = made.type().is_numeric() and not made.type().is_boolean()
    if own.aggregate != "last" and not number:
        said = "true or false" if made.type().is_boolean() else "a text"
        instead = "use share" if made.type().is_boolean() else "use last, or count and share with a condition"
        raise UserError(f"{where} is {said}: {own.aggregate} needs a number", instead)
    if kind == "string":
        told = sorted(name for name in expressions.columns(own.of, where) if columns[name].personal)
        if told:
            raise UserError(
                f"{where}: a factor cannot hold the texts of {', '.join(told)}: personal data",
                "make a condition or a number of it",
            )
    return kind


def _event_tables() -> list[str]:
    """Tables whose rows are dated events of a person."""
    return [t.name for t in tables.TABLES.values() if t.name in _PARENTS or (t.date and "customer_id" in t)]


def _columns(name: str) -> dict[str, tables.Column]:
    """Columns that an expression over the table may name."""
    own = {c.name: c for c in tables.TABLES[name].columns}
    return {c.name: c for c in tables.TABLES[_PARENTS[name]].columns} | own if name in _PARENTS else own


def _type(column: tables.Column) -> str:
    return _IBIS.get(column.type, "string")


def _codes(columns: dict[str, tables.Column]) -> dict[str, list[str]]:
    return {name: list(c.codes) for name, c in columns.items() if c.type == "code"}


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
    places = {id(o): place for place, o in enumerate(own)}
    found = []
    for name in dict.fromkeys(o.table for o in own if o.table and o.table in clean):
        chosen = [o for o in own if o.table == name]
        last = any(o.aggregate == "last" for o in chosen)
        rows = _events(clean, name, who, visits, _used(name, chosen, places), last)
        rows = _as_known(up_to(rows, when), name, as_of)
        made = {o.name: _aggregate(rows, o, f"own_factors.{places[id(o)]}") for o in chosen}
        found.append(rows.group_by(["person_id", "origin"]).agg(**made))
    return found


def with_own(connection, frame: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The factors of persons with the own ones as the params have them: those of `event_factors`, which are columns of
    ``frame``, filled, and the formulas added.

    Who has no event counts 0 and sums to 0; where no event of anybody has a value, the sum is unknown.
    """
    for own in params.own_factors:
        if own.formula:
            continue
        if own.name not in frame:
            frame[own.name] = None if own.aggregate == "last" else float("nan")
            continue
        text = own.aggregate == "last" and pd.api.types.infer_dtype(frame[own.name], skipna=True) == "string"
        column = frame[own.name] if text else frame[own.name].astype(float)
        nothing = own.aggregate == "count" or (own.aggregate == "sum" and column.notna().any())
        frame[own.name] = column.fillna(0.0) if nothing else column
    return _with_formulas(connection, frame, params)


def _with_formulas(connection, frame: pd.DataFrame, params: Params) -> pd.DataFrame:
    kinds = _kinds()
    for place, own in enumerate(params.own_factors):
        where = f"own_factors.{place}"
        if not own.formula:
            kinds[own.name] = "float64" if own.aggregate != "last" else _events_kind(own, where, [])
            continue
        used = sorted(expressions.columns(own.formula, f"{where}.formula"))
        plain = frame[used].astype({name: object if kinds[name] == "string" else float for name in used})
        plain = plain.where(plain.notna(), None).assign(row_no=range(len(frame)))
        rows = ibis.memtable(plain, schema={name: kinds[name] for name in used} | {"row_no": "int64"})
        value = expressions.value(rows, own.formula, f"{where}.formula")
        kinds[own.name] = _kind(value, where)
        made = rows.select("row_no", value=value if value.type().is_string() else _steady(value))
        got = connection.to_pandas(made).set_index("row_no")["value"]
        frame[own.name] = got.reindex(range(len(frame))).to_numpy()
    return frame


def _steady(value: ir.Value) -> ir.FloatingValue:
    """A number without what is none: no infinity, no last bits."""
    number = value.cast("float64") if not value.type().is_boolean() else value.cast("int64").cast("float64")
    return (number.isinf() | number.isnan()).ifelse(ibis.null("float64"), number.round(9))


def _events(
    clean: dict[str, ir.Table], name: str, who: ir.Table, visits: ir.Table, used: list[str], last: bool
) -> ir.Table:
    """Rows of the table with person_id, day and the columns used; with event_no, their number in the order of time,
    where the last one is asked for."""
    declared = tables.TABLES[name]
    first = "opened_at" if name in ("service_orders", *_PARENTS) else declared.date
    order = [first, *declared.key] if last else []
    kept = list(dict.fromkeys([*used, *order]))
    if name == "service_orders":
        rows = visits.select("person_id", "day", *kept)
    elif name in _PARENTS:
        lines = clean[name]
        orders = visits.select("person_id", "day", *(c for c in kept if c not in declared.names), l_order="order_id")
        rows = lines.inner_join(orders, lines.order_id == orders.l_order).select("person_id", "day", *kept)
    else:
        rows = clean[name]
        day, customer = rows[declared.date], rows.customer_id
        if name == "leads":
            # A lead that names no customer is a record of its own (`identity`).
            customer = customer.coalesce(ibis.literal("lead:") + rows.lead_id)
        columns = {c: rows[c] for c in kept} | {"customer_id": customer}
        rows = rows.select(day=day.date() if day.type().is_timestamp() else day, **columns)
        rows = rows.inner_join(who, "customer_id")
    if not last:
        return rows
    rows = rows.mutate(event_no=ibis.row_number().over(ibis.window(order_by=order)))
    return rows.select("person_id", "day", "event_no", *used)


def _used(name: str, own: Sequence[OwnFactorParams], places: dict[int, int]) -> list[str]:
    """The columns that the factors name, and those that say since when these are known."""
    columns, used = _columns(name), set()
    for o in own:
        for key, expression in (("of", o.of), ("where", o.where)):
            if expression is not None:
                used |= expressions.columns(expression, f"own_factors.{places[id(o)]}.{key}")
    used |= {columns[c].known_from for c in used if columns[c].known_from in columns}
    return sorted(used)


def _as_known(rows: ir.Table, name: str, as_of: date) -> ir.Table:
    """Events × origins with each column as the origin knew it."""
    columns, main = _columns(name), {tables.TABLES[t].date for t in (name, _PARENTS.get(name, name))}
    now = rows.origin == ibis.literal(as_of)
    masked = {}
    for column in [columns[c] for c in rows.columns if c in columns]:
        known_from = column.known_from
        if known_from == "export":
            known = now
        elif known_from in columns and known_from not in main:
            day = rows[known_from]
            day = day.date() if day.type().is_timestamp() else day
            known = now | (day <= rows.origin).fill_null(False)
            if known_from == "settled_at":
                # Where settlement is not on record, an order counts as settled when it was opened.
                known = known | day.isnull()
        else:
            continue
        masked[column.name] = known.ifelse(rows[column.name], ibis.null(rows[column.name].type()))
    return rows.mutate(**masked) if masked else rows


def _aggregate(rows: ir.Table, own: OwnFactorParams, where: str) -> ir.Value:
    codes = _codes(_columns(own.table))
    scope = {name: rows[name] for name in rows.columns if name in _columns(own.table)}
    meets = ibis.literal(True)
    if own.where is not None:
        meets = expressions.condition(rows, own.where, f"{where}.where", scope, codes).fill_null(False)
    if own.window_months is not None:
        # As everywhere: 12 months are 365 days.
        meets = meets & (rows.ago < round(own.window_months * 365 / 12))
    if own.aggregate == "count":
        return count_if(meets)
    if own.aggregate == "share":
        # As a number: Ibis writes `NOT a IS NOT NULL` for the latter of a condition, which reads as the opposite.
        holds = expressions.condition(rows, own.of, f"{where}.of", scope, codes).cast("int64")
        return ratio(count_if(meets & (holds == 1)), count_if(meets & holds.notnull()))
    value = expressions.value(rows, own.of, f"{where}.of", scope, codes)
    if own.aggregate == "last":
        value = value.cast("int64") if value.type().is_boolean() else value
        return value.argmax((meets & value.notnull()).ifelse(rows.event_no, ibis.null("int64")))
    # Added up as decimals, so that no order of addition shows.
    exact = value if not value.type().is_floating() else value.try_cast("decimal(38,6)")
    if own.aggregate == "sum":
        return sum_if(meets, exact).cast("float64")
    if own.aggregate == "mean":
        return ratio(sum_if(meets, exact), count_if(meets & exact.notnull()))
    chosen = meets.ifelse(value, ibis.null(value.type()))
    return (chosen.min() if own.aggregate == "min" else chosen.max()).cast("float64")
