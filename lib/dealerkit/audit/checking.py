"""One table after the other, checked: its records with what they fail and what becomes of them, and where rows go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import engine, tables
from dealerkit.audit import checks as rules
from dealerkit.audit import links, lookups, own
from dealerkit.audit.as_of import AsOf, cut_off
from dealerkit.audit.kinds import CUSTOMER_BY, VIN_BY, Check
from dealerkit.audit.standard import CHANGED, TEXTS, text_of
from dealerkit.params import Params
from dealerkit.tables import Table

#: Line numbers of the file and delivered file name of each kept row.
LINEAGE = ("_source", "_file", "_row")


@dataclass(frozen=True)
class Checked:
    """One table, checked: all its rows that are records, each with the list ``_fails`` (for each check whether the row
    fails it, null where it does not apply), whether it fails ``_any`` and its ``_fate``; and the rows that are no records,
    None when all are."""

    table: Table
    checks: list[Check]
    records: ir.Table
    others: ir.Table | None
    clean: ir.Table
    counts: dict[str, int]


def checked(
    connection,
    typed: dict[str, ir.Table],
    delivered: pd.DataFrame,
    as_of: AsOf,
    params: Params,
    own_checks: list[Check],
) -> dict[str, Checked]:
    """All checks of all tables, parents first."""
    parted = {n: _records(rows, tables.TABLES[n], delivered.loc[n], as_of) for n, rows in typed.items()}
    records = {name: rows for name, (rows, _others) in parted.items()}
    parents = lookups.Parents(
        records,
        lookups.key_repeats(connection, records, several=len(params.sources) > 1),
        engine.keep(connection, "vins", lookups.check_digits(records)),
        lookups.history_begins(records["service_orders"]),
    )
    askers = links.askers(records, params)
    done: dict[str, Checked] = {}
    for name, (_rows, others) in parted.items():
        table, given = tables.TABLES[name], set(delivered.at[name, "given"])
        if name in askers:
            linked = links.with_customers(records[name], table, parents, params)
            records[name] = engine.keep(connection, f"linked_customers_{name}", linked)
        base = lookups.context(table, parents, as_of.day, params)
        checks = rules.checks_for(table, base, given, as_of, params.checks, own_checks)
        with own.blamed(base, checks):
            flagged = engine.keep(connection, f"flagged_{name}", with_fates(base, table, checks))
        clean = engine.keep(connection, f"clean_{name}", cleaned(flagged, table, checks))
        done[name] = Checked(table, checks, flagged, others, clean, _counted(flagged, table, checks))
        parents.clean[name], parents.keys[name] = clean, _keys(clean, others, table, as_of)
    return done


def _records(typed: ir.Table, table: Table, delivered: pd.Series, as_of: AsOf) -> tuple[ir.Table, ir.Table | None]:
    """The rows that are records, and those that are not, None when all are."""
    values = cut_off(typed, table, as_of)
    if values is typed and delivered["rows"] == delivered["records"]:
        return typed, None
    return values.filter(values["_kind"] == "row"), values.filter(values["_kind"] != "row")


def with_fates(base: ir.Table, table: Table, checks: list[Check]) -> ir.Table:
    """The records with ``_fails``, ``_any`` and ``_fate``; what was looked up for the checks is left behind."""
    places = [check.place for check in checks if check.place]
    helpers = ["_derived", VIN_BY, CUSTOMER_BY, TEXTS, CHANGED, "x_into_file", "x_into_row", *places]
    needed = [*table.names, *LINEAGE, *helpers]
    kept = {name: base[name] for name in needed if name in base.columns}
    fails = [check.expression(base) for check in checks]
    by_action: dict[str, list[ir.BooleanValue]] = {}
    for check, failed in zip(checks, fails, strict=True):
        by_action.setdefault(check.action, []).append(failed)
    some = {action: ibis.or_(*failed) for action, failed in by_action.items()}
    fate = ibis.cases(*[(some[a], a) for a in ("merged", "quarantined") if a in some], else_="clean")
    return base.select(**kept, _fails=ibis.array(fails), _any=ibis.or_(*some.values()), _fate=fate)


def _keys(clean: ir.Table, others: ir.Table | None, table: Table, as_of: AsOf) -> ir.Table:
    """The keys that other tables may refer to: those of clean rows, and of rows after the day asked for."""
    keys = clean.select(table.key[0])
    if others is None or not as_of.is_earlier:
        return keys
    return ibis.union(keys, others.filter(others["_kind"] == "later").select(table.key[0]), distinct=True)


def cleaned(flagged: ir.Table, table: Table, checks: list[Check], fate: str = "clean") -> ir.Table:
    """The rows of a ``fate``, those that stay by default, with the values that a check set to unknown taken out."""
    removing: dict[str, list[ir.BooleanValue]] = {}
    kept = flagged.filter(flagged["_fate"] == fate)
    fails = kept["_fails"]
    for i, check in enumerate(checks):
        if check.action == "removed":
            removing.setdefault(check.columns[0], []).append(fails[i])
    columns = {
        c.name: ibis.or_(*removing[c.name]).ifelse(ibis.null(kept[c.name].type()), kept[c.name])
        if c.name in removing
        else kept[c.name]
        for c in table.columns
    }
    extra = {"_derived": kept["_derived"]} if "_derived" in kept.columns else {}
    return kept.select(**columns, **{name: kept[name] for name in LINEAGE}, **extra)


def place(rows: ir.Table, table: Table) -> dict[str, ir.Value]:
    """Where rows come from."""
    key = ibis.literal("").concat(
        *[rows[k].cast("string").coalesce("") + ("|" if k != table.key[-1] else "") for k in table.key]
    )
    return {"table": ibis.literal(table.name), "file": rows["_file"], "row": rows["_row"], "key": key}


def _failed(rows: ir.Table, numbers: Iterable[int]) -> ir.ArrayValue:
    """The numbers of these checks that a row fails."""
    return ibis.literal(list(numbers), "array<int64>").filter(lambda i: rows["_fails"][i])


def quarantine(checked: Checked) -> ir.Table:
    """Rows kept out, with the ids of the rejecting checks that they fail, joined by a space; or why they are no records."""
    out = checked.records.filter(checked.records["_fate"] == "quarantined")
    ids = ibis.literal([c.id for c in checked.checks], "array<string>")
    rejecting = [i for i, c in enumerate(checked.checks) if c.action == "quarantined"]
    reasons = _failed(out, rejecting).map(lambda i: ids[i]).join(" ")
    others, table = checked.others, checked.table
    rejected = out.select(**place(out, table), reasons=reasons)
    if others is None:
        return rejected
    no_record = others.select(**place(others, table), reasons=ibis.literal("not_a_record.") + others["_kind"])
    return rejected.union(no_record)


def merged(checked: Checked) -> ir.Table:
    """Rows that say what another one says, with the file and row of the one that stays."""
    rows = checked.records.filter(checked.records["_fate"] == "merged")
    into = {"into_file": ibis.null("string"), "into_row": ibis.null("int64")}
    if "x_into_row" in rows.columns:
        into = {"into_file": rows.x_into_file, "into_row": rows.x_into_row}
    return rows.select(**place(rows, checked.table), **into)


def faults(checked: Checked) -> ir.Table:
    """One row per failed check and row: where it is, the customer it is about, the column and its delivered text."""
    checks, table = checked.checks, checked.table
    ids = ibis.literal([c.id for c in checks], "array<string>")
    # A filter leaves chunks of a few rows, and what follows costs by the chunk: an order fills them again.
    rows = checked.records.filter(checked.records["_any"]).order_by("_file", "_row")
    found = {c.place: rows[c.place] for c in checks if c.place in rows.columns}
    # A check of a whole row may find any column; else those that no check is about need not be read.
    about = [name for name in table.names if found or any(name == c.columns[0] for c in checks)]
    names = ibis.literal(about, "array<string>")
    at = ibis.literal([about.index(c.columns[0]) for c in checks], "array<int64>")
    customer = rows.customer_id if "customer_id" in table else ibis.null("string")
    texts = ibis.array([text_of(rows, name) for name in about])
    long = rows.select(
        **place(rows, table),
        customer_id=customer,
        texts=texts,
        number=_failed(rows, range(len(checks))).unnest(),
        **found,
    )
    column = at[long.number]
    if found:
        cases = [(long.number == i, long[c.place]) for i, c in enumerate(checks) if c.place in found]
        column = ibis.cases(*cases, else_=column)
    long = long.select("table", "file", "row", "key", "customer_id", "texts", check=ids[long.number], column=column)
    return long.mutate(column=names[long.column], delivered=long.texts[long.column].coalesce("")).drop("texts")


def _counted(flagged: ir.Table, table: Table, checks: list[Check]) -> dict[str, int]:
    """How often each check applies, and each column is known, filled and changed."""
    flags = {f"f{i}": ("_fails", i) for i in range(len(checks))}
    texts = {f"text {name}": (TEXTS, name) for name in table.names}
    changed = {f"changed {name}": (CHANGED, i) for i, name in enumerate(table.names)}
    return engine.counts(flagged, flags | texts | {name: name for name in table.names}, changed, alike=texts)
