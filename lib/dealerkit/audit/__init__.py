"""Audit: standardise, check, quarantine and count every raw row.

`audit` takes the raw tables (text as delivered, one row per raw row) and gives clean tables, quarantine,
merged rows, fault rows, one result per check, scores and the ledger. ``raw = clean + quarantined + merged``
holds for every table and file, or the audit itself fails.

Its parts, in the order of the work: `returned` (what staff sent back), `standard` (texts made typed values), `as_of` (the day of which all is computed),
`checks` with `columns`, `business` and `lookups` (what is checked), `own` (checks of the dealer's own), `checking` (the
checks run, and what becomes of each row), `whole` (checks of whole tables), `authenticity` (who fakes), `ledger`,
`results`, `cost` and `fixers` (what a fault costs, who mends it), `supply` and `links`, `gate`; and what the page says: `views` and `answers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine, tables
from dealerkit.audit import authenticity, checking, cost, ledger, links, own, results, returned, supply, whole
from dealerkit.audit.as_of import AsOf, find_as_of
from dealerkit.audit.checking import LINEAGE, Checked
from dealerkit.audit.cost import Cost
from dealerkit.audit.gate import gate
from dealerkit.audit.kinds import ACTIONS, DIMENSION_LABELS, DIMENSIONS, Check
from dealerkit.audit.standard import date_order_evidence, plain_texts, survey, typed
from dealerkit.errors import UserError
from dealerkit.params import Params

__all__ = ["ACTIONS", "DIMENSIONS", "DIMENSION_LABELS", "LINEAGE", "AsOf", "Audited", "audit", "find_as_of"]


@dataclass(frozen=True)
class Audited:
    """What the audit found.

    Attributes:
        as_of: the day of which all is computed.
        clean: table → typed rows (canonical columns and lineage), an Ibis table.
        quarantine: rows kept out: table, file, row, key, reasons.
        merged: rows merged: table, file, row, key, into_file, into_row.
        faults: one row per failed check and row: check, table, file, row, key, customer_id, column, delivered text
            (personal!); of checks of a whole table one per day, column or employee, without file and row.
        results: one row per check: id, table, columns, dimension, severity, action, message,
            message_zh (of the dealer's own checks), checked, failed, share, examples (masked), cost_yuan (a year, first
            estimate; NaN where not known), fixer (who mends it, a message of `fixers`).
        columns: one row per column: table, column, rows, filled, illegal, standardised.
        scores: one row per table and dimension: checked, failed, score (0–100).
        ledger: one row per table and file: raw, clean, quarantined, merged.
        health: score of the whole, 0–100.
        supplied: values that were filled in: table, key, column, how, from_table.
        links: rows by how their VIN or customer was found by a secondary key, or not: table, column, how, rows.
        corrected: one row per answer that staff sent back, with what became of it (see `returned.apply`; personal!).
        authenticity: what `authenticity.examine` gives: one row per employee and test.
        cost: customers hit and what faults cost, None without customers.
    """

    as_of: AsOf
    clean: dict[str, ir.Table]
    quarantine: ir.Table
    merged: ir.Table
    faults: ir.Table
    results: pd.DataFrame
    columns: pd.DataFrame
    scores: pd.DataFrame
    ledger: pd.DataFrame
    health: float
    supplied: ir.Table
    links: pd.DataFrame
    corrected: pd.DataFrame
    authenticity: pd.DataFrame
    cost: Cost | None

    def rows_cut(self, table: str | None = None) -> int:
        """Rows of a table, or of all, that are in quarantine only because they lie after the day asked for."""
        if not self.as_of.is_earlier:
            return 0
        cut = self.quarantine.filter(_.reasons == "not_a_record.later")
        return int((cut if table is None else cut.filter(_.table == table)).count().to_pandas())


def audit(
    connection,
    raw: dict[str, ir.Table],
    params: Params,
    asked_as_of: date | None = None,
    corrections: pd.DataFrame | None = None,
) -> Audited:
    """Standardise, check and sort every raw row (see `Audited`).

    Args:
        connection: an engine connection.
        raw: table → raw rows as ingest writes them (all text, with `_source`, `_file`, `_row`, `_kind`, `_date_order`).
        params: the dealer's params.
        asked_as_of: day asked for on the command line.
        corrections: answers that staff sent back, put into the raw texts before anything else.

    Raises `UserError` when the gate of the params stops the run.
    """
    with engine.uncollected():
        return _audit(connection, raw, params, asked_as_of, corrections)


def _audit(
    connection,
    raw: dict[str, ir.Table],
    params: Params,
    asked_as_of: date | None,
    corrections: pd.DataFrame | None,
) -> Audited:
    own_checks = own.declared(params)
    raw = {table.name: raw[table.name] for table in tables.TABLES.values() if table.name in raw}
    raw, corrected = returned.apply(
        connection, raw, corrections, params, lambda: _export_day(raw["service_orders"], params, asked_as_of)
    )
    delivered = survey(raw)
    values = links.with_vins(connection, _standardised(connection, raw, delivered), delivered, params)
    as_of = find_as_of(values["service_orders"], params.delivered_on, asked_as_of)
    done = checking.checked(connection, values, delivered, as_of, params, own_checks)
    counted = ledger.ledger(done)
    ledger.must_balance(counted, delivered["rows"])
    checked = {name: part.clean for name, part in done.items()}
    given = set(delivered.at["interactions", "given"]) if "interactions" in done else set()
    examined = authenticity.examine(connection, checked, given, params.authenticity, params.checks)
    tables_seen = whole.look(done, as_of.day, params.checks) + authenticity.as_checks(examined)
    faults = engine.keep(connection, "faults", _faults(done, tables_seen))
    found = pd.concat([_found(done, faults, own_checks), whole.results(tables_seen)], ignore_index=True)
    filled = supply.supplied(connection, done, counted, as_of.day, params)
    costs = cost.estimate(faults, filled.clean, params) if "customers" in checked else None
    if costs:
        found["cost_yuan"] = [costs.of(check) for check in found["check"]]
    scores = results.scores(found)
    audited = Audited(
        as_of=as_of,
        clean=filled.clean,
        quarantine=_kept_rows(connection, "quarantine", checking.quarantine, _with(counted, "quarantined", done)),
        merged=_kept_rows(connection, "merged", checking.merged, _with(counted, "merged", done)),
        faults=faults,
        results=found,
        columns=pd.concat([results.column_facts(c) for c in done.values()], ignore_index=True),
        scores=scores,
        ledger=counted,
        health=results.health(scores),
        supplied=filled.rows,
        links=filled.links,
        corrected=corrected,
        authenticity=examined,
        cost=costs,
    )
    gate(audited, params)
    return audited


def _export_day(visits: ir.Table, params: Params, asked_as_of: date | None) -> date | None:
    """The last day that the export can speak of, by the visits as they were delivered; None when they do not tell."""
    table = tables.TABLES["service_orders"]
    dated = replace(table, columns=(table["opened_at"],))
    texts = plain_texts(visits, dated)
    rows = typed(texts, dated, date_order_evidence(texts, dated))
    try:
        found = find_as_of(rows, params.delivered_on, asked_as_of)
    except UserError:  # the audit says it when it asks itself
        return None
    return found.export_day or found.day


def _faults(done: dict[str, Checked], tables_seen: list[whole.Whole]) -> ir.Table:
    """The fault rows of all tables, with those of whole tables."""
    rows = engine.union([checking.faults(c) for c in done.values()])
    more = whole.faults(tables_seen)
    return rows if more.empty else rows.union(ibis.memtable(more, schema=rows.schema()).select(*rows.columns))


def _kept_rows(connection, name: str, rows_of: Callable[[Checked], ir.Table], parts: list[Checked]) -> ir.Table:
    return engine.keep(connection, name, engine.union([rows_of(part) for part in parts]))


def _found(done: dict[str, Checked], faults: ir.Table, own_checks: list[Check]) -> pd.DataFrame:
    """One row per check: those of the tables that are there, then the dealer's own of the others."""
    first = results.first_faults(faults)
    idle = [results.row(check, 0, 0, "") for check in own_checks if check.table not in done]
    parts = [results.of_table(c, first) for c in done.values()] + ([pd.DataFrame(idle)] if idle else [])
    return pd.concat(parts, ignore_index=True)


def _standardised(connection, raw: dict[str, ir.Table], delivered: pd.DataFrame) -> dict[str, ir.Table]:
    """The typed rows of each table; ``delivered`` is its `survey`."""
    values = {}
    for name, rows in raw.items():
        table = tables.TABLES[name]
        texts = plain_texts(rows, table, strange=delivered["strange"][name] > 0)
        orders = date_order_evidence(texts, table) if delivered["unclear"][name] > 0 else {}
        values[name] = engine.keep(connection, f"typed_{name}", typed(texts, table, orders))
    return values


def _with(ledger: pd.DataFrame, fate: str, done: dict[str, Checked]) -> list[Checked]:
    """The tables with rows of that fate; one of them all when none has, for an empty table of the same columns."""
    names = set(ledger.loc[ledger[fate] > 0, "table"])
    return [c for name, c in done.items() if name in names] or list(done.values())[:1]
