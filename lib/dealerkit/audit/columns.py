"""The checks that follow from the declarations in `tables`: one column each, and the keys."""

# Declarations read as tables: one check, one line
# fmt: off
from __future__ import annotations

from datetime import date, datetime, time

import ibis
import ibis.expr.types as ir

from dealerkit.audit.kinds import VIN_BY, Check
from dealerkit.audit.standard import text_of
from dealerkit.formats import (
    DEAD_MOBILE,
    DEAD_PLATE,
    EMAIL,
    LANDLINE,
    MOBILE,
    PLATE,
    USCC,
    VIN,
    VIRTUAL_MOBILE,
    uscc_digit_wrong,
)
from dealerkit.messages import N_
from dealerkit.params import CheckParams
from dealerkit.tables import Column, Table

#: Date columns that may well lie after the day of the export.
_MAY_LIE_AHEAD = {"warranty_ends_on", "finance_ends_on", "insurance_ends_on"}


def column_checks(table: Table, as_of: date, params: CheckParams) -> list[Check]:
    """The checks that follow from the declaration of each column."""
    checks = []
    for place, column in enumerate(table.columns):
        checks += _completeness(table, column) + _legality(table, column, as_of, params) + _format(table, column)
        if column.name not in table.key:
            checks.append(Check(table.name, f"{column.name}_agrees", (column.name,), "consistency", "warn", "flagged", N_("contradicts a more trusted source"),
                                lambda t, i=place: t.x_differs[i], needs=("x_differs",)))
        if column.lo is not None:
            checks.append(Check(table.name, f"{column.name}_in_range", (column.name,), "range", "warn", "removed",
                                N_("outside its allowed range"), lambda t, c=column: (t[c.name] < c.lo) | (t[c.name] > c.hi)))
        if column.ref:
            checks.append(Check(table.name, f"{column.name}_known", (column.name,), "reference", "warn", "flagged",
                                N_("refers to a record that is not there"), lambda t, c=column: t[c.name].notnull().ifelse(t[f"x_ref_{c.name}"].isnull(), ibis.null("boolean")), needs=(f"x_ref_{column.name}",)))
    return checks


def _completeness(table: Table, column: Column) -> list[Check]:
    missing = lambda t, n=column.name: text_of(t, n).isnull()  # noqa: E731
    if column.required:
        # A value that was found by a secondary key is there, though nothing was delivered.
        absent = lambda t, n=column.name: missing(t) & t[n].isnull()  # noqa: E731
        return [Check(table.name, f"{column.name}_present", (column.name,), "completeness", "reject", "quarantined", N_("a required value is missing"), absent)]
    if column.expected:
        return [Check(table.name, f"{column.name}_filled", (column.name,), "completeness", "warn", "flagged", N_("not filled in"), missing)]
    return []


def _legality(table: Table, column: Column, as_of: date, params: CheckParams) -> list[Check]:
    severity, action = ("reject", "quarantined") if column.required else ("warn", "removed")
    checks = []
    if column.type != "text":
        what = {"date": N_("not a date"), "time": N_("not a date"), "code": N_("not a known code"), "bool": N_("neither yes nor no")}.get(column.type, N_("not a number"))
        checks.append(Check(table.name, f"{column.name}_legal", (column.name,), "legality", severity, action, what,
                            # no text is empty, so that this is null where nothing was delivered
                            lambda t, n=column.name: t[n].isnull() & (text_of(t, n) != "")))
    if column.type in ("date", "time"):
        checks.append(Check(table.name, f"{column.name}_not_too_early", (column.name,), "legality", severity, action, N_("a date too early to be true"),
                            lambda t, n=column.name, c=column: t[n] < (ibis.date(1900, 1, 1) if c.personal == "birth" else ibis.literal(params.earliest_date))))
        if column.name not in _MAY_LIE_AHEAD:
            last = ibis.literal(datetime.combine(as_of, time.max) if column.type == "time" else as_of)
            checks.append(Check(table.name, f"{column.name}_not_in_future", (column.name,), "legality", severity, action, N_("a date after the day of the export"),
                                lambda t, n=column.name, last=last: t[n] > last))
    return checks


def _format(table: Table, column: Column) -> list[Check]:
    def check(name, message, failed, severity="warn", action="removed", dimension="legality"):
        return Check(table.name, f"{column.name}_{name}", (column.name,), dimension, severity, action, message, lambda t: failed(t[column.name]))

    if column.format == "mobile":
        checks = [
            check("legal", N_("not a mobile number of 11 digits"), lambda v: ~v.re_search(MOBILE) & ~v.re_search(LANDLINE)),
            check("mobile", N_("a fixed line where a mobile number should be"), lambda v: v.re_search(LANDLINE)),
            check("real", N_("a filler instead of a phone number"), lambda v: v.re_search(DEAD_MOBILE), dimension="authenticity"),
        ]
        virtual = check("registered", N_("a number of a virtual operator, often given up"), lambda v: v.re_search(VIRTUAL_MOBILE), "info", "flagged", "authenticity")
        return checks + ([virtual] if table.name in ("customers", "leads") else [])
    if column.format == "email":
        return [check("legal", N_("not an e-mail address"), lambda v: ~v.re_search(EMAIL))]
    if column.format == "plate":
        return [check("legal", N_("not a number plate"), lambda v: ~v.re_search(PLATE) & ~v.re_search(DEAD_PLATE), action="flagged")]
    if column.format == "resident_id_or_uscc":
        return [Check(table.name, f"{column.name}_legal", (column.name,), "legality", "warn", "removed", N_("neither a resident ID nor a social credit code"),
                      lambda t, n=column.name: ibis.cases((t[n].isnull(), ibis.null("boolean")), (t[f"x_digit_{n}"].notnull(), t[f"x_digit_{n}"]),
                                                          (t[n].re_search(USCC), uscc_digit_wrong(t[n])), else_=True))]
    if column.format == "vin":
        strict = ("reject", "quarantined") if column.required else ("warn", "removed")
        by_plate = [Check(table.name, f"{column.name}_by_plate", ("plate", column.name), "completeness", "warn", "flagged", N_("without a VIN; the car is known by its plate"),
                          lambda t: t[VIN_BY].isin(["plate", "stand_in"]), needs=(VIN_BY,))] if column.required and "plate" in table else []
        return [check("legal", N_("not 17 characters of a VIN (no I, O, Q)"), lambda v: ~v.re_search(VIN), *strict), *by_plate,
                Check(table.name, f"{column.name}_check_digit", (column.name,), "legality", "warn", "flagged", N_("VIN check digit does not fit"),
                      lambda t: t[f"x_digit_{column.name}"], needs=(f"x_digit_{column.name}",))]
    return []


def text_checks(table: Table) -> list[Check]:
    """Checks of every text of a row: the first one that fails is the example."""
    messages = {"_damaged": N_("a text damaged by a wrong encoding"), "_controls": N_("characters that nobody can type"),
                "_formula": N_("a formula instead of a value")}
    return [Check(table.name, f"text{place}", table.key[:1], "legality", "warn", "flagged", message, lambda t, p=place: _is_there(t, p), place=place) for place, message in messages.items()]


def _is_there(t: ir.Table, place: str) -> ir.BooleanValue:
    return t[place].notnull() if place in t.columns else ibis.literal(False)


def key_checks(table: Table) -> list[Check]:
    """Repeated keys: the same content merges; other content merges for records and is quarantined for events."""
    key = table.key
    merges = repeats if table.date is None else lambda t: repeats(t, same=True)
    checks = [Check(table.name, "key_repeated", key, "duplication", "reject", "merged", N_("key repeated: the fullest row is kept"), merges)]
    if table.date is not None:
        checks.append(Check(table.name, "key_used_twice", key, "duplication", "reject", "quarantined",
                            N_("key used again for something else"), lambda t: repeats(t, same=False)))
    return checks


def repeats(t: ir.Table, same: bool | None = None) -> ir.BooleanValue:
    """Whether a row repeats the key of another that goes before it, and says (not) the ``same``."""
    if "x_repeats" not in t.columns:
        return ibis.literal(False)
    return t.x_repeats if same is None else t.x_repeats & (t.x_same if same else ~t.x_same)
