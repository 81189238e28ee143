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
from dealerkit.audit.standard import CHANGED, TEXTS, date_order_evidence, plain_texts, survey, text_of, typed
from dealerkit.errors import UserError, UserErrors
from dealerkit.messages import mask
from dealerkit.params import Params
from dealerkit.tables import Table

__all__ = ["ACTIONS", "DIMENSIONS", "DIMENSION_LABELS", "AsOf", "Audited", "audit", "find_as_of"]

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

    @property
    def is_earlier(self) -> bool:
        """Whether a day was asked for that lies before the end of the export."""
        return self.export_day is not None and self.day != self.export_day


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

    def rows_cut(self, table: str | None = None) -> int:
        """Rows of a table, or of all, that are in quarantine only because they lie after the day asked for."""
        if not self.as_of.is_earlier:
            return 0
        cut = self.quarantine.filter(_.reasons == "not_a_record.later")
        return int((cut if table is None else cut.filter(_.table == table)).count().to_pandas())


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
    texts = visits.select("_file", "_row", "_kind", text=text_of(visits, tables.TABLES["service_orders"], "opened_at"))
    rows = texts.filter((_["_kind"] == "row") & _.text.notnull())
    first = rows.order_by(["_file", "_row"]).limit(1).to_pandas()
    if first.empty:
        return f"; allowed: {_DATES}"
    row = first.iloc[0]
    return f"; first in {row['_file']}, row {row['_row']}: {mask(row['text'])!r}; allowed: {_DATES}"


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
    with engine.uncollected():
        return _audit(connection, raw, params, asked_as_of)


def _audit(connection, raw: dict[str, ir.Table], params: Params, asked_as_of: date | None) -> Audited:
    own_checks = own.declared(params)
    present = [t for t in tables.TABLES.values() if t.name in raw]
    delivered = survey({t.name: raw[t.name] for t in present}).to_pandas().set_index("table")
    values = _standardised(connection, {t.name: raw[t.name] for t in present}, delivered)
    as_of = find_as_of(values["service_orders"], params.delivered_on, asked_as_of)
    done = _checked(connection, values, delivered, as_of, params, own_checks)
    ledger = _ledger(done)
    _must_balance(ledger, delivered["rows"])
    faults = engine.keep(connection, "faults", _union([_faults(c) for c in done.values()]))
    first = _first_faults(faults)
    results = [_results(c, first) for c in done.values()]
    idle = [_result(check, 0, 0, "") for check in own_checks if check.table not in raw]
    results = pd.concat([*results, *([pd.DataFrame(idle)] if idle else [])], ignore_index=True)
    scores = _scores(results)
    audited = Audited(
        as_of=as_of,
        clean={name: checked.clean for name, checked in done.items()},
        quarantine=engine.keep(
            connection, "quarantine", _union([_quarantine(c) for c in _with(ledger, "quarantined", done)])
        ),
        merged=engine.keep(connection, "merged", _union([_merged(c) for c in _with(ledger, "merged", done)])),
        faults=faults,
        results=results,
        columns=pd.concat([_column_facts(c) for c in done.values()], ignore_index=True),
        scores=scores,
        ledger=ledger,
        health=_health(scores),
    )
    _gate(audited, params)
    return audited


def _union(parts: list[ir.Table]) -> ir.Table:
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _standardised(connection, raw: dict[str, ir.Table], delivered: pd.DataFrame) -> dict[str, ir.Table]:
    """The typed rows of each table; ``delivered`` is its `survey`."""
    values = {}
    for name, rows in raw.items():
        table = tables.TABLES[name]
        texts = plain_texts(rows, table)
        orders = date_order_evidence(texts, table) if delivered["unclear"][name] > 0 else {}
        values[name] = engine.keep(connection, f"typed_{name}", typed(texts, table, orders))
    return values


def _with(ledger: pd.DataFrame, fate: str, done: dict[str, _Checked]) -> list[_Checked]:
    """The tables with rows of that fate; one of them all when none has, for an empty table of the same columns."""
    names = set(ledger.loc[ledger[fate] > 0, "table"])
    return [c for name, c in done.items() if name in names] or list(done.values())[:1]


def _cut(values: ir.Table, table: Table, as_of: AsOf) -> ir.Table:
    """Rows after an earlier day that was asked for are no faults: they are marked, and not checked."""
    if not as_of.is_earlier or table.date is None:
        return values
    day = values[table.date].cast("date")
    later = (values["_kind"] == "row") & (day > ibis.literal(as_of.day)) & (day <= ibis.literal(as_of.export_day))
    return values.mutate(_kind=later.fill_null(False).ifelse("later", values["_kind"]))


@dataclass(frozen=True)
class _Checked:
    """One table, checked: all its rows that are records, each with the list ``_fails`` (for each check whether the row
    fails it, null where it does not apply) and its ``_fate``; and the rows that are no records, None when all are."""

    table: Table
    checks: list[Check]
    records: ir.Table
    others: ir.Table | None
    clean: ir.Table
    counts: dict[str, int]


def _checked(
    connection,
    typed: dict[str, ir.Table],
    delivered: pd.DataFrame,
    as_of: AsOf,
    params: Params,
    own_checks: list[Check],
) -> dict[str, _Checked]:
    """All checks of all tables, parents first."""
    parted = {n: _records(rows, tables.TABLES[n], delivered.loc[n], as_of) for n, rows in typed.items()}
    repeated = rules.key_repeats({name: records for name, (records, _others) in parted.items()})
    parents = rules.Parents(
        {}, {}, engine.keep(connection, "vins", rules.check_digits({n: r for n, (r, _o) in parted.items()}))
    )
    done: dict[str, _Checked] = {}
    for name, (records, others) in parted.items():
        table = tables.TABLES[name]
        base = rules.context(records, table, parents, name in repeated, as_of.day, params.checks)
        checks = rules.checks_for(table, base, as_of.export_day or as_of.day, params.checks, own_checks)
        with own.blamed(base, checks):
            flagged = engine.keep(connection, f"flagged_{name}", _flagged(base, table, checks))
        clean = engine.keep(connection, f"clean_{name}", _clean(flagged, table, checks))
        done[name] = _Checked(table, checks, flagged, others, clean, _counted(flagged, table, checks))
        parents.clean[name], parents.keys[name] = clean, _keys(clean, others, table, as_of)
    return done


def _records(typed: ir.Table, table: Table, delivered: pd.Series, as_of: AsOf) -> tuple[ir.Table, ir.Table | None]:
    """The rows that are records, and those that are not, None when all are."""
    values = _cut(typed, table, as_of)
    if values is typed and delivered["rows"] == delivered["records"]:
        return typed, None
    return values.filter(values["_kind"] == "row"), values.filter(values["_kind"] != "row")


def _flagged(base: ir.Table, table: Table, checks: list[Check]) -> ir.Table:
    """The records with ``_fails`` and ``_fate``; what was looked up for the checks is left behind."""
    needed = [*table.names, *LINEAGE, "_derived", TEXTS, CHANGED, "x_into_file", "x_into_row"]
    kept = {name: base[name] for name in needed if name in base.columns}
    fails = [check.expression(base) for check in checks]
    fate = ibis.cases(
        (_any(fails, checks, "merged"), "merged"), (_any(fails, checks, "quarantined"), "quarantined"), else_="clean"
    )
    return base.select(**kept, _fails=ibis.array(fails), _fate=fate)


def _any(fails: list[ir.BooleanValue], checks: list[Check], action: str) -> ir.BooleanValue:
    return ibis.or_(ibis.literal(False), *[fails[i] for i, c in enumerate(checks) if c.action == action])


def _keys(clean: ir.Table, others: ir.Table | None, table: Table, as_of: AsOf) -> ir.Table:
    """The keys that other tables may refer to: those of clean rows, and of rows after the day asked for."""
    keys = clean.select(table.key[0])
    if others is None or not as_of.is_earlier:
        return keys
    return ibis.union(keys, others.filter(others["_kind"] == "later").select(table.key[0]), distinct=True)


def _clean(flagged: ir.Table, table: Table, checks: list[Check]) -> ir.Table:
    """Rows that stay, with the values that a check set to unknown taken out."""
    removing: dict[str, list[ir.BooleanValue]] = {}
    kept = flagged.filter(flagged["_fate"] == "clean")
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


def _place(rows: ir.Table, table: Table) -> dict[str, ir.Value]:
    """Where rows come from."""
    key = ibis.literal("").concat(
        *[rows[k].cast("string").coalesce("") + ("|" if k != table.key[-1] else "") for k in table.key]
    )
    return {"table": ibis.literal(table.name), "file": rows["_file"], "row": rows["_row"], "key": key}


def _failed(rows: ir.Table) -> ir.ArrayValue:
    """The numbers of the checks that a row fails."""
    numbered = rows["_fails"].map(lambda fails, i: fails.ifelse(i, ibis.null("int64")))
    return numbered.filter(lambda i: i.notnull())


def _quarantine(checked: _Checked) -> ir.Table:
    """Rows kept out, with the ids of the rejecting checks that they fail, joined by a space; or why they are no records."""
    out = checked.records.filter(checked.records["_fate"] == "quarantined")
    ids = ibis.literal([c.id for c in checked.checks], "array<string>")
    rejecting = [i for i, c in enumerate(checked.checks) if c.action == "quarantined"]
    among = ibis.literal(rejecting, "array<int64>")
    reasons = _failed(out).filter(lambda i: among.contains(i)).map(lambda i: ids[i]).join(" ")
    others, table = checked.others, checked.table
    rejected = out.select(**_place(out, table), reasons=reasons)
    if others is None:
        return rejected
    no_record = others.select(**_place(others, table), reasons=ibis.literal("not_a_record.") + others["_kind"])
    return rejected.union(no_record)


def _merged(checked: _Checked) -> ir.Table:
    rows = checked.records.filter(checked.records["_fate"] == "merged")
    into = {"into_file": ibis.null("string"), "into_row": ibis.null("int64")}
    if "x_into_row" in rows.columns:
        into = {"into_file": rows.x_into_file, "into_row": rows.x_into_row}
    return rows.select(**_place(rows, checked.table), **into)


def _faults(checked: _Checked) -> ir.Table:
    """One row per failed check and row, with the delivered text of the check's first column."""
    ids = ibis.literal([c.id for c in checked.checks], "array<string>")
    at = ibis.literal([checked.table.names.index(c.columns[0]) for c in checked.checks], "array<int64>")
    rows = checked.records.filter(checked.records["_fails"].contains(True))
    long = rows.select(**_place(rows, checked.table), texts=rows[TEXTS], number=_failed(rows).unnest())
    return long.select(
        "table", "file", "row", "key", check=ids[long.number], delivered=long.texts[at[long.number]].coalesce("")
    )


def _counted(flagged: ir.Table, table: Table, checks: list[Check]) -> dict[str, int]:
    """How often each check applies, and each column is known, filled and changed."""
    flags = {f"f{i}": ("_fails", i) for i in range(len(checks))}
    texts = {f"text {name}": (TEXTS, i) for i, name in enumerate(table.names)}
    changed = {f"changed {name}": (CHANGED, i) for i, name in enumerate(table.names)}
    return engine.counts(flagged, flags | texts | {name: name for name in table.names}, changed)


def _first_faults(faults: ir.Table) -> dict[str, tuple[int, list[str]]]:
    """Check → how many rows fail it, and the delivered texts of the first five."""
    by_check = ibis.window(group_by="check", order_by=["file", "row"])
    numbered = faults.mutate(place=ibis.row_number().over(by_check), rows=_.count().over(group_by="check"))
    first = (
        numbered.filter(_.place < 5).order_by(["check", "file", "row"]).select("check", "rows", "delivered").to_pandas()
    )
    return {check: (int(group["rows"].iloc[0]), list(group["delivered"])) for check, group in first.groupby("check")}


def _results(checked: _Checked, first: dict[str, tuple[int, list[str]]]) -> pd.DataFrame:
    rows = []
    for i, check in enumerate(checked.checks):
        failed, texts = first.get(check.id, (0, []))
        shown = " · ".join(_example(checked.table, check, text) for text in texts)
        rows.append(_result(check, checked.counts[f"known f{i}"], failed, shown))
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


def _column_facts(checked: _Checked) -> pd.DataFrame:
    counts = checked.counts
    return pd.DataFrame(
        [
            {
                "table": checked.table.name,
                "column": c.name,
                "rows": counts["rows"],
                "filled": counts[f"known text {c.name}"],
                "usable": counts[f"known {c.name}"],
                "standardised": counts[f"true changed {c.name}"],
            }
            for c in checked.table.columns
        ]
    )


def _ledger(done: dict[str, _Checked]) -> pd.DataFrame:
    parts = []
    for name, checked in done.items():
        rejected = [] if checked.others is None else [(checked.others, ibis.literal("quarantined"))]
        for rows, fate in [(checked.records, checked.records["_fate"]), *rejected]:
            placed = rows.select(table=ibis.literal(name), source=rows["_source"], file=rows["_file"], fate=fate)
            parts.append(placed.group_by("table", "source", "file", "fate").agg(n=_.count()))
    counted = _union(parts).to_pandas()
    places = ["table", "source", "file"]
    wide = counted.pivot_table(index=places, columns="fate", values="n", aggfunc="sum", fill_value=0, dropna=False)
    wide = wide.reindex(columns=["clean", "quarantined", "merged"], fill_value=0).astype(int)
    wide.insert(0, "raw", wide.sum(axis=1))
    order = {name: i for i, name in enumerate(done)}
    out = wide[wide["raw"] > 0].rename_axis(columns=None).reset_index()
    return out.sort_values(places, key=lambda c: c.map(order) if c.name == "table" else c, ignore_index=True)


def _must_balance(ledger: pd.DataFrame, delivered: pd.Series) -> None:
    """A lost or doubled row is a failure of the kit, whatever the data; ``delivered`` is raw rows by table."""
    sums = ledger.groupby("table")[["raw", "clean", "quarantined", "merged"]].sum()
    for name, rows in delivered.items():
        row = sums.loc[name] if name in sums.index else pd.Series(0, index=sums.columns)
        if row["raw"] != rows or row["raw"] != row["clean"] + row["quarantined"] + row["merged"]:
            raise AssertionError(f"{name}: {rows} raw rows, but {dict(row)}")


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
        cut = audited.rows_cut(table.name)
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
