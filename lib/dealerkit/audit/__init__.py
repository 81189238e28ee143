"""Audit: standardise, check, quarantine and count every raw row.

`audit` takes the raw tables (text as delivered, one row per raw row) and gives clean tables, quarantine,
merged rows, fault rows, one result per check, scores and the ledger. ``raw = clean + quarantined + merged``
holds for every table and file, or the audit itself fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine, tables
from dealerkit.audit import checks as rules
from dealerkit.audit import own
from dealerkit.audit.checks import ACTIONS, DIMENSION_LABELS, DIMENSIONS, Check
from dealerkit.audit.standard import RAW, date_order_evidence, plain_texts, typed
from dealerkit.errors import UserError, UserErrors
from dealerkit.messages import mask
from dealerkit.params import Params
from dealerkit.tables import Table

__all__ = ["ACTIONS", "DIMENSIONS", "DIMENSION_LABELS", "AsOf", "Audited", "audit", "find_as_of"]

#: Separates check and delivered text while both travel in one cell.
_SEP = "\x1f"

#: Ways a date may be written, for messages.
_DATES = "2026-01-05, 2026/1/5, 20260105, 2026年1月5日, an Excel serial"

#: Line numbers of the file and delivered file name of each kept row.
LINEAGE = ("_source", "_file", "_row")


@dataclass(frozen=True)
class AsOf:
    """The day of which all is computed, how it was found, and how many visits lie after it.

    ``export_day`` is the last day the export can speak of; it lies after ``day`` when an earlier one was asked for.
    """

    day: date
    rule: str
    cut_off: int
    export_day: date | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Audited:
    """What the audit found.

    Attributes:
        as_of: the day of which all is computed.
        clean: table → typed rows (canonical columns and lineage), an Ibis table.
        quarantine: rows kept out: table, file, row, key, reasons.
        merged: rows merged: table, file, row, key, into_file, into_row.
        faults: one row per failed check and row: check, table, file, row, key, delivered text (personal!).
        results: one row per check: id, table, columns, dimension, severity, action, message,
            message_zh (of the dealer's own checks), checked, failed, share, examples (masked).
        columns: one row per column: table, column, rows, filled, illegal, standardised.
        scores: one row per table and dimension: checked, failed, score (0–100).
        ledger: one row per table and file: raw, clean, quarantined, merged.
        health: score of the whole, 0–100.
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


#: Share of the visits of a normal 28 days that makes 28 days well filled.
_FILLED = 0.2


def find_as_of(visits: ir.Table, delivered_on: date | None, asked: date | None) -> AsOf:
    """The day of which all is computed.

    Args:
        visits: typed service orders with ``opened_at``.
        delivered_on: day of the export by the params.
        asked: day asked for on the command line; goes before the params.

    Without either: the last day whose preceding 28 days hold at least a fifth of the visits of a normal (median)
    28 days, so that stray dates in the future do not move it, not even a handful that lie together. A fifth: a
    holiday month keeps far more, and a small dealer's mistyped years stay below it.
    """
    days = (
        visits.filter(_.opened_at.notnull() & (_["_kind"] == "row"))
        .group_by(day=_.opened_at.date())
        .agg(n=_.count())
        .to_pandas()
    )
    given = (asked, "asked") if asked else (delivered_on, "delivered_on") if delivered_on else None
    if days.empty:
        if given:
            return AsOf(*given, cut_off=0, export_day=given[0])
        raise UserError(
            f"service_orders: no row has a readable date in opened_at{_first_delivered(visits)}",
            "check the date column and its mapping in the params, or name the day of the export there (delivered_on)",
        )
    counts = days.set_index(pd.to_datetime(days["day"]))["n"].sort_index()
    found = _last_filled_day(counts)
    day, rule = given or (found, "found")
    if day > found + timedelta(days=92):
        raise UserError(
            f"as_of {day} lies {(day - found).days} days after the last well-filled day of the visits ({found})",
            "correct AS_OF= or delivered_on in the params; the report would describe days nobody has data of",
        )
    if day < counts.index[0].date():
        raise UserError(
            f"as_of {day} lies before the first visit ({counts.index[0].date()})",
            "correct AS_OF= or delivered_on in the params",
        )
    return AsOf(day, rule, int(counts[counts.index.date > day].sum()), max(day, found) if rule == "asked" else day)


def _first_delivered(visits: ir.Table) -> str:
    """Where the first delivered opened_at is and what it says, for a message."""
    rows = visits.filter((_["_kind"] == "row") & _[RAW + "opened_at"].notnull())
    first = rows.order_by(["_file", "_row"]).limit(1).to_pandas()
    if first.empty:
        return f"; allowed: {_DATES}"
    row = first.iloc[0]
    return f"; first in {row['_file']}, row {row['_row']}: {mask(row[RAW + 'opened_at'])!r}; allowed: {_DATES}"


def _last_filled_day(counts: pd.Series) -> date:
    span = counts[(counts.index.year >= 1980) & (counts.index.year <= 2200)]
    if span.empty:
        raise UserError(
            "service_orders: every date in opened_at is before 1980",
            "check the date column and its mapping in the params",
        )
    # Sparse evaluation: windows can only end on a day with visits.
    ends = span.index
    total = span.cumsum().to_numpy()
    before = ends.searchsorted(ends - pd.Timedelta(days=28), side="right")
    in_window = total - [total[i - 1] if i else 0 for i in before]
    full = in_window >= _FILLED * pd.Series(in_window).median()
    # A lone stray date has a window of its own: ask for company of the rest as well.
    return ends[full & (in_window >= min(2, in_window.max()))][-1].date()


def audit(connection, raw: dict[str, ir.Table], params: Params, asked_as_of: date | None = None) -> Audited:
    """Standardise, check and sort every raw row (see `Audited`).

    Args:
        connection: an engine connection.
        raw: table → raw rows as ingest writes them (all text, with `_source`, `_file`, `_row`, `_kind`, `_date_order`).
        params: the dealer's params.
        asked_as_of: day asked for on the command line.

    Raises `UserError` when the gate of the params stops the run.
    """
    own_checks = own.declared(params)
    present = [t for t in tables.TABLES.values() if t.name in raw]
    values = {t.name: _standardise(connection, t, raw[t.name]) for t in present}
    as_of = find_as_of(values["service_orders"], params.delivered_on, asked_as_of)
    done: dict[str, _Checked] = {}
    for table in present:
        cut = _cut(values[table.name], table, as_of)
        done[table.name] = _check_table(connection, table, cut, done, as_of, params, own_checks)
    clean = {name: checked.clean for name, checked in done.items()}
    parts = list(done.values())
    ledger = pd.concat([p.ledger for p in parts], ignore_index=True)
    _must_balance(ledger, raw)
    idle = [_result(check, 0, 0, "") for check in own_checks if check.table not in raw]
    results = pd.concat([*[p.results for p in parts], *([pd.DataFrame(idle)] if idle else [])], ignore_index=True)
    scores = _scores(results)
    audited = Audited(
        as_of=as_of,
        clean=clean,
        quarantine=ibis.union(*[p.quarantine for p in parts]),
        merged=ibis.union(*[p.merged for p in parts]),
        faults=ibis.union(*[p.faults for p in parts]),
        results=results,
        columns=pd.concat([p.columns for p in parts], ignore_index=True),
        scores=scores,
        ledger=ledger,
        health=_health(scores),
    )
    _gate(audited, params)
    return audited


def _standardise(connection, table: Table, raw: ir.Table) -> ir.Table:
    # Computed in two steps: one expression would repeat the cleaning of each text wherever it is used.
    texts = engine.keep(connection, f"texts_{table.name}", plain_texts(raw, table))
    return engine.keep(connection, f"typed_{table.name}", typed(texts, table, date_order_evidence(texts, table)))


def _cut(values: ir.Table, table: Table, as_of: AsOf) -> ir.Table:
    """Rows after an earlier day that was asked for are no faults: they are marked, and not checked."""
    if as_of.day == as_of.export_day or table.date is None:
        return values
    day = values[table.date].cast("date")
    later = (values["_kind"] == "row") & (day > ibis.literal(as_of.day)) & (day <= ibis.literal(as_of.export_day))
    return values.mutate(_kind=later.fill_null(False).ifelse("later", values["_kind"]))


@dataclass(frozen=True)
class _Checked:
    clean: ir.Table
    keys: ir.Table
    quarantine: ir.Table
    merged: ir.Table
    faults: ir.Table
    results: pd.DataFrame
    columns: pd.DataFrame
    ledger: pd.DataFrame


def _check_table(
    connection,
    table: Table,
    values: ir.Table,
    done: dict[str, _Checked],
    as_of: AsOf,
    params: Params,
    own_checks: list[Check],
) -> _Checked:
    """All checks of one table, evaluated in one pass into a table of flags; the rest reads the flags."""
    clean, keys = ({n: getattr(c, part) for n, c in done.items()} for part in ("clean", "keys"))
    base = rules.context(values, table, clean, keys, as_of.day, params.checks)
    checks = rules.checks_for(table, base, as_of.export_day or as_of.day, params.checks, own_checks)
    flags = {
        f"f{i}": (base["_kind"] == "row").ifelse(check.expression(base), ibis.null("boolean"))
        for i, check in enumerate(checks)
    }
    with own.blamed(base, checks):
        flagged = engine.keep(connection, f"flagged_{table.name}", base.mutate(**flags))
    by_action = {action: [f"f{i}" for i, c in enumerate(checks) if c.action == action] for action in ACTIONS}
    fate = ibis.cases(
        (flagged["_kind"] != "row", "quarantined"),
        (_any(flagged, by_action["merged"]), "merged"),
        (_any(flagged, by_action["quarantined"]), "quarantined"),
        else_="clean",
    )
    sorted_ = engine.keep(connection, f"sorted_{table.name}", flagged.mutate(fate=fate))
    key = ibis.literal("").concat(
        *[sorted_[k].cast("string").coalesce("") + ("|" if k != table.key[-1] else "") for k in table.key]
    )
    place = {"table": ibis.literal(table.name), "file": sorted_["_file"], "row": sorted_["_row"], "key": key}
    faults = _faults(sorted_, checks, place)
    return _Checked(
        clean=engine.keep(connection, f"clean_{table.name}", _clean(sorted_, table, checks)),
        keys=sorted_.filter((_.fate == "clean") | (sorted_["_kind"] == "later")).select(table.key[0]).distinct(),
        quarantine=sorted_.select(**place, fate=sorted_.fate, reasons=_reasons(sorted_, checks))
        .filter(_.fate == "quarantined")
        .drop("fate"),
        merged=sorted_.select(**place, fate=sorted_.fate, into_file=sorted_.x_into_file, into_row=sorted_.x_into_row)
        .filter(_.fate == "merged")
        .drop("fate"),
        faults=engine.keep(connection, f"faults_{table.name}", faults),
        results=_results(sorted_, checks, table, faults),
        columns=_column_facts(sorted_, table),
        ledger=_ledger(sorted_, table),
    )


def _any(t: ir.Table, flags: list[str]) -> ir.BooleanValue:
    return ibis.or_(ibis.literal(False), *[t[f].fill_null(False) for f in flags])


def _clean(sorted_: ir.Table, table: Table, checks: list[Check]) -> ir.Table:
    """Rows that stay, with the values that a check set to unknown taken out."""
    removing: dict[str, list[str]] = {}
    for i, check in enumerate(checks):
        if check.action == "removed":
            removing.setdefault(check.columns[0], []).append(f"f{i}")
    kept = sorted_.filter(sorted_.fate == "clean")
    columns = {
        c.name: _any(kept, removing[c.name]).ifelse(ibis.null(kept[c.name].type()), kept[c.name])
        if c.name in removing
        else kept[c.name]
        for c in table.columns
    }
    extra = {"_derived": kept["_derived"]} if "_derived" in kept.columns else {}
    return kept.select(**columns, **{name: kept[name] for name in LINEAGE}, **extra)


def _reasons(t: ir.Table, checks: list[Check]) -> ir.StringValue:
    """Ids of the rejecting checks that a row fails, joined by a space; or why it never was a record."""
    rejecting = [(f"f{i}", c) for i, c in enumerate(checks) if c.action == "quarantined"]
    ids = ibis.array([t[flag].fill_null(False).ifelse(c.id, ibis.null("string")) for flag, c in rejecting])
    named = ids.filter(lambda x: x.notnull()).join(" ")
    return ibis.cases((t["_kind"] != "row", ibis.literal("not_a_record.") + t["_kind"]), else_=named)


def _faults(t: ir.Table, checks: list[Check], place: dict) -> ir.Table:
    """One row per failed check and row, with the delivered text of the check's first column."""
    cells = [
        t[f"f{i}"]
        .fill_null(False)
        .ifelse(ibis.literal(c.id + _SEP) + t[RAW + c.columns[0]].coalesce(""), ibis.null("string"))
        for i, c in enumerate(checks)
    ]
    long = t.select(**place, cell=ibis.array(cells).filter(lambda x: x.notnull())).unnest("cell")
    split = long.cell.split(_SEP)
    return long.mutate(check=split[0], delivered=split[1]).drop("cell")


def _results(t: ir.Table, checks: list[Check], table: Table, faults: ir.Table) -> pd.DataFrame:
    counted = {}
    for i, _check in enumerate(checks):
        counted[f"n{i}"], counted[f"k{i}"] = t[f"f{i}"].count(), t[f"f{i}"].sum()
    sums = t.agg(**counted).to_pandas().iloc[0]
    numbered = faults.mutate(place=ibis.row_number().over(group_by="check", order_by=["file", "row"]))
    examples = numbered.filter(_.place < 5).order_by(["check", "file", "row"]).to_pandas()
    rows = []
    for i, check in enumerate(checks):
        checked, failed = int(sums[f"n{i}"] or 0), int(sums[f"k{i}"] or 0)
        shown = examples[examples["check"] == check.id]
        rows.append(_result(check, checked, failed, " · ".join(_example(table, check, v) for v in shown["delivered"])))
    return pd.DataFrame(rows)


def _result(check: Check, checked: int, failed: int, examples: str) -> dict:
    return {
        "check": check.id,
        "table": check.table,
        "columns": ", ".join(check.columns),
        "dimension": check.dimension,
        "severity": check.severity,
        "action": check.action,
        "message": check.message,
        "message_zh": check.message_zh,
        "checked": checked,
        "failed": failed,
        "share": round(failed / checked, 9) if checked else float("nan"),
        "examples": examples,
    }


def _example(table: Table, check: Check, delivered: str) -> str:
    column = table[check.columns[0]]
    if not delivered:
        return "∅"
    # Identifiers without a kind of their own may still hold a phone or a name, and numbers typed into the wrong column.
    kind = column.personal or ("id" if column.type == "text" else None)
    return mask(delivered, kind)


def _column_facts(t: ir.Table, table: Table) -> pd.DataFrame:
    records = t.filter(t["_kind"] == "row")
    sums = {"rows": records.count()}
    for c in table.columns:
        sums[f"filled__{c.name}"] = records[RAW + c.name].count()
        sums[f"usable__{c.name}"] = (records[RAW + c.name].notnull() & records[c.name].notnull()).sum()
        sums[f"standardised__{c.name}"] = records["std_" + c.name].sum()
    got = records.agg(**sums).to_pandas().iloc[0]
    return pd.DataFrame(
        [
            {
                "table": table.name,
                "column": c.name,
                "rows": int(got["rows"]),
                "filled": int(got[f"filled__{c.name}"]),
                "usable": int(got[f"usable__{c.name}"] or 0),
                "standardised": int(got[f"standardised__{c.name}"] or 0),
            }
            for c in table.columns
        ]
    )


def _ledger(t: ir.Table, table: Table) -> pd.DataFrame:
    counted = t.group_by(source="_source", file="_file").agg(
        raw=_.count(),
        clean=(_.fate == "clean").sum(),
        quarantined=(_.fate == "quarantined").sum(),
        merged=(_.fate == "merged").sum(),
    )
    out = counted.order_by(["source", "file"]).to_pandas()
    out.insert(0, "table", table.name)
    return out.astype({"raw": int, "clean": int, "quarantined": int, "merged": int})


def _must_balance(ledger: pd.DataFrame, raw: dict[str, ir.Table]) -> None:
    """A lost or doubled row is a failure of the kit, whatever the data."""
    sums = ledger.groupby("table")[["raw", "clean", "quarantined", "merged"]].sum()
    for name, row in sums.iterrows():
        delivered = raw[name].count().to_pandas()
        if row["raw"] != delivered or row["raw"] != row["clean"] + row["quarantined"] + row["merged"]:
            raise AssertionError(f"{name}: {delivered} raw rows, but {dict(row)}")


def _scores(results: pd.DataFrame) -> pd.DataFrame:
    scored = results[(results["severity"] != "info") & (results["checked"] > 0)]
    sums = scored.groupby(["table", "dimension"], sort=True)[["checked", "failed"]].sum().reset_index()
    sums["score"] = (100 * (1 - sums["failed"] / sums["checked"])).round(1)
    return sums


def _health(scores: pd.DataFrame) -> float:
    """Mean over the dimensions of the score of each one's weakest table, so that a weak spot shows."""
    if scores.empty:
        return 0.0
    return round(float(scores.groupby("dimension")["score"].min().mean()), 1)


def _gate(audited: Audited, params: Params) -> None:
    if params.gate == "off":
        return
    problems = []
    for table in tables.TABLES.values():
        if not table.required:
            continue
        rows = audited.ledger[audited.ledger["table"] == table.name][["raw", "clean", "quarantined"]].sum()
        later = audited.quarantine.filter((_.table == table.name) & (_.reasons == "not_a_record.later"))
        cut = int(later.count().to_pandas())
        share = (rows["quarantined"] - cut) / (rows["raw"] - cut) if rows["raw"] > cut else 0
        if share > params.gate.max_quarantined_share:
            problems.append(
                f"{table.name}: {rows['quarantined']} of {rows['raw']} rows ({share:.0%}) are in quarantine, "
                f"allowed: {params.gate.max_quarantined_share:.0%}"
            )
        elif rows["clean"] < params.gate.min_rows:
            problems.append(f"{table.name}: {rows['clean']} usable rows, needed: {params.gate.min_rows}")
        if problems:
            problems += _worst(audited, table)
    if problems:
        raise UserErrors(
            "the data cannot carry a report",
            problems,
            "mend the export or its mapping in the params; `gate: off` reports all the same, with every gap stated",
        )


def _worst(audited: Audited, table: Table) -> list[str]:
    """The rejecting checks that most rows fail, each with the place of its first row and the masked value."""
    failing = (
        audited.results.query("table == @table.name and severity == 'reject' and failed > 0")
        .sort_values("failed", ascending=False)
        .head(3)
    )
    lines = []
    for check in failing.itertuples():
        first = audited.faults.filter(_.check == check.check).order_by(["file", "row"]).limit(1).to_pandas().iloc[0]
        allowed = _allowed(table[check.columns.split(", ")[0]])
        lines.append(
            f"{check.columns}: {check.failed} rows: {check.message}; first in {first['file']}, row {first['row']}: "
            f"{check.examples.split(' · ')[0]!r}{allowed}"
        )
    return lines


def _allowed(column: tables.Column) -> str:
    if column.type in ("date", "time"):
        return f"; allowed: {_DATES}"
    if column.format == "vin":
        return "; allowed: 17 letters and digits without I, O, Q"
    if column.codes:
        return f"; allowed: {', '.join(column.codes)} and their spellings in the data dictionary"
    return "; a value is required" if column.required else ""
