"""Factors that the params declare, as aggregates over the rows of one table: checked without data, and computed.

A row counts at an origin when it is dated on or before it, with each of its columns as it was known then
(`tables.Column.known_from`): the amounts of an order not settled yet are unknown, and so is what only the export tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import expressions
from dealerkit.errors import UserError
from dealerkit.factors.events import count_if, days_between, ratio, sum_if
from dealerkit.params import ExtraFactorParams, OwnFactorParams, called
from dealerkit.tables import Column

Declared = OwnFactorParams | ExtraFactorParams
_IBIS = {
    "date": "date",
    "time": "timestamp",
    "int": "int64",
    "number": "float64",
    "money": "decimal(18,2)",
    "bool": "boolean",
}


# ---- checked before anything is computed -----------------------------------------------------------------------


def kind_of(
    factor: Declared, table: str, columns: Mapping[str, Column], where: str, problems: list[str] | None = None
) -> str:
    """Type of the factor, ``string`` or ``float64``; adds to ``problems`` what is wrong with ``of`` and ``where``, each on
    its own.

    Args:
        factor: as in the params.
        table: its table, for messages.
        columns: what its expressions may name.
        where: key of the factor in the params (``own_factors.2``).
    """
    rows = ibis.table({name: _IBIS.get(column.type, "string") for name, column in columns.items()}, name=table)
    kind, found = "float64", [] if problems is None else problems
    for key, expression in (("where", factor.where), ("of", factor.of)):
        if expression is None:
            continue
        place = called(f"{where}.{key}", factor.name)
        try:
            if key == "where" or factor.aggregate == "share":
                expressions.condition(rows, expression, place, codes=_codes(columns))
            else:
                kind = _kind_of_value(factor, rows, columns, place)
        except UserError as error:
            found.append(in_one_line(error))
    return kind


def in_one_line(error: UserError) -> str:
    """What is wrong and what to do."""
    return f"{error.what}; {error.remedy}" if error.remedy else error.what


def type_of_factor(value: ir.Value, where: str) -> str:
    """Type of the factor that holds the value: a text, or a number (also for true and false)."""
    if value.type().is_temporal():
        raise UserError(
            f"{where} is a date, not a factor", "make days of it, as in days_between(opened_at, settled_at)"
        )
    return "string" if value.type().is_string() else "float64"


def _kind_of_value(factor: Declared, rows: ir.Table, columns: Mapping[str, Column], where: str) -> str:
    made = expressions.value(rows, factor.of, where, codes=_codes(columns))
    if factor.aggregate == "days_since":
        if not made.type().is_temporal():
            raise UserError(f"{where} is no day: days_since needs one", "name a column of days, or leave `of` out")
        return "float64"
    kind = type_of_factor(made, where)
    number = made.type().is_numeric() and not made.type().is_boolean()
    if factor.aggregate != "last" and not number:
        said = "true or false" if made.type().is_boolean() else "a text"
        instead = "use share" if made.type().is_boolean() else "use last, or count and share with a condition"
        raise UserError(f"{where} is {said}: {factor.aggregate} needs a number", instead)
    if kind == "string":
        told = sorted(name for name in expressions.columns(factor.of, where) if columns[name].personal)
        if told:
            raise UserError(
                f"{where}: a factor cannot hold the texts of {', '.join(told)}: personal data",
                "make a condition or a number of it",
            )
    return kind


def _codes(columns: Mapping[str, Column]) -> dict[str, list[str]]:
    return {name: list(c.codes) for name, c in columns.items() if c.type == "code"}


# ---- computed --------------------------------------------------------------------------------------------------


def used(factors: Sequence[tuple[str, Declared]], columns: Mapping[str, Column]) -> list[str]:
    """The columns that the factors (with their keys in the params) name, and those that say since when these are known."""
    found = set()
    for where, factor in factors:
        for key, expression in (("of", factor.of), ("where", factor.where)):
            if expression is not None:
                found |= expressions.columns(expression, f"{where}.{key}")
    found |= {columns[c].known_from for c in found if columns[c].known_from in columns}
    return sorted(found)


def as_known(rows: ir.Table, columns: Mapping[str, Column], main: set[str | None], as_of: date) -> ir.Table:
    """Events × origins with each column as the origin knew it.

    Args:
        rows: of `events.up_to`.
        columns: declarations of the columns among them.
        main: columns that hold the day of the event.
        as_of: the origin at which the export counts as well.
    """
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


def aggregate(rows: ir.Table, factor: Declared, columns: Mapping[str, Column], where: str) -> ir.Value:
    """The factor over the rows of one person and origin.

    Args:
        rows: of `as_known`; with ``event_no`` where the last row is asked for.
        factor, columns, where: as for `kind_of`.
    """
    codes, scope = _codes(columns), {name: rows[name] for name in rows.columns if name in columns}
    meets = rows.ago.notnull()
    if factor.where is not None:
        meets = expressions.condition(rows, factor.where, f"{where}.where", scope, codes).fill_null(False)
    if factor.window_months is not None:
        # As everywhere: 12 months are 365 days.
        meets = meets & (rows.ago < round(factor.window_months * 365 / 12))
    if factor.aggregate == "count":
        return count_if(meets)
    if factor.aggregate == "share":
        # As a number: Ibis writes `NOT a IS NOT NULL` for the latter of a condition, which reads as the opposite.
        holds = expressions.condition(rows, factor.of, f"{where}.of", scope, codes).cast("int64")
        return ratio(count_if(meets & (holds == 1)), count_if(meets & holds.notnull()))
    if factor.aggregate == "days_since" and factor.of is None:
        return meets.ifelse(rows.ago, ibis.null(rows.ago.type())).min()
    value = expressions.value(rows, factor.of, f"{where}.of", scope, codes)
    if factor.aggregate == "days_since":
        day = value.date() if value.type().is_timestamp() else value
        ago = days_between(rows.origin, day)
        return meets.ifelse(ago, ibis.null(ago.type())).min()
    if factor.aggregate == "last":
        value = value.cast("int64") if value.type().is_boolean() else value
        return value.argmax((meets & value.notnull()).ifelse(rows.event_no, ibis.null("int64")))
    # Added up as decimals, so that no order of addition shows.
    exact = value if not value.type().is_floating() else value.try_cast("decimal(38,6)")
    if factor.aggregate == "sum":
        return sum_if(meets, exact).cast("float64")
    if factor.aggregate == "mean":
        return ratio(sum_if(meets, exact), count_if(meets & exact.notnull()))
    chosen = meets.ifelse(value, ibis.null(value.type()))
    return (chosen.min() if factor.aggregate == "min" else chosen.max()).cast("float64")


def filled(column: pd.Series, factor: Declared, origins: pd.Series) -> pd.Series:
    """A factor's column: who has no row counts 0 and sums to 0; where at an origin nobody has a row (the table does not go
    back so far), or no row a value, counts and sums at it are unknown."""
    if factor.aggregate == "last" and not pd.api.types.is_numeric_dtype(column):
        return column
    column = column.astype(float)
    if factor.aggregate not in ("count", "sum"):
        return column
    return column.mask(column.notna().groupby(origins).transform("any") & column.isna(), 0.0)
