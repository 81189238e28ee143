"""What staff sent back, put into the raw tables before anything is standardised, and what became of each answer.

An answer is keyed by table, key, column and the value that the list showed. It is taken where that value still stands;
the delivered one wins wherever it has changed since. A corrected key is corrected wherever it is referred to. No row is
added or lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from dealerkit import engine, tables
from dealerkit.audit.columns import column_checks
from dealerkit.audit.kinds import Check
from dealerkit.audit.standard import plain, plain_texts, standardised, typed
from dealerkit.formats import resident_id_digit_wrong
from dealerkit.messages import N_, mask
from dealerkit.params import Params
from dealerkit.tables import Table

#: What became of an answer.
STATUSES = {
    "changed": N_("taken: the value was changed"),
    "already_so": N_("already so in the system"),
    "cannot_fix": N_("cannot be mended, says staff; not asked again"),
    "value_changed_meanwhile": N_("not taken: the system has another value now, which wins"),
    "overruled": N_("not taken: a later list says something else"),
    "key_gone": N_("not taken: the record is no longer there"),
    "illegal": N_("not taken: no value that the field may have"),
    "altered": N_("not taken: number or old value of the line was changed"),
}
#: Of these, those that need nobody any more.
_SETTLED = ("changed", "already_so", "cannot_fix")
#: What keeps a line from being taken, as the reader of the lists says it.
PROBLEMS = {
    "altered": N_("the record number, or the value in the system, is not what the list said"),
    "formula": N_("a formula, or what a program could take for one; write the value itself"),
    "error": N_("an error of the spreadsheet instead of a value"),
    "digits_lost": N_("a number so long that its last digits are lost; format the cell as text and write it again"),
}
#: Columns of `Corrected.answers`.
COLUMNS = ("table", "key", "column", "was", "now", "reason", "status", "why", "rows", "file", "sheet", "row")

_PLACES = (N_("{file:text}, row {row:text}"), N_("{file:text}, sheet {sheet:text}, row {row:text}"))
_PLACE = ("_source", "_file", "_sheet", "_row")
_UNKNOWN = N_("refers to a record that is not there; are zeros in front missing?")


@dataclass
class _Answers:
    """The answers for one table, while they are being applied.

    Attributes:
        table: the declaration.
        rows: rows of the raw table with one of the keys: ``x_key``, the place, and the plain texts of the columns.
        probed: (column, text) → its standard form, and why the column may not hold it (None: it may).
        renamed: table → new key → the one that was delivered, of all tables so far.
        patches: (place, column) → (new text, number of the answer).
        status, why, counts: by number of the answer.
    """

    table: Table
    rows: dict[str, list[dict]]
    probed: dict[tuple[str, str], tuple[str | None, str | None]]
    renamed: dict[str, dict[str, str]]
    patches: dict[tuple[tuple, str], tuple[str, int]] = field(default_factory=dict)
    status: dict[int, str] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def take(self, number: int, answer) -> None:
        """Settle one answer; earlier ones have been settled."""
        # A list that was written after a key was corrected knows the record by its new one.
        column, there = (
            answer.column,
            self.rows.get(answer.key) or self.rows.get(_old(self.table, answer.key, self.renamed), []),
        )
        form, why = self.probed[column, answer.now]
        said = {row["place"]: self._now(row, column) for row in there}
        fits = [row for row in there if answer.was in (said[row["place"]], row[column] or "")]
        if not there:
            self.status[number] = "key_gone"
        elif why:
            self.status[number], self.why[number] = "illegal", why
        elif all(self._form(column, said[row["place"]]) == form for row in fits or there):
            self.status[number] = "already_so"
        elif not fits:
            self.status[number] = "value_changed_meanwhile"
        else:
            for row in fits:
                _, earlier = self.patches.get((row["place"], column), ("", number))
                if earlier != number:
                    self.status[earlier] = "overruled"
                self.patches[row["place"], column] = (answer.now, number)
            self.status[number], self.counts[number] = "changed", len(fits)
            if (column,) == self.table.key and form:
                self.renamed.setdefault(self.table.name, {})[form] = there[0]["x_key"]

    def _now(self, row: dict, column: str) -> str:
        """The text as it stands, earlier answers included."""
        patched = self.patches.get((row["place"], column))
        return patched[0] if patched else row[column] or ""

    def _form(self, column: str, text: str) -> str | None:
        return self.probed[column, text][0] if text else None


def apply(
    connection,
    raw: dict[str, ir.Table],
    corrections: pd.DataFrame | None,
    params: Params,
    latest: Callable[[], date | None],
) -> tuple[dict[str, ir.Table], pd.DataFrame]:
    """The raw tables with the answers in them, and what became of each answer.

    Args:
        connection: an engine connection.
        raw: table → raw rows.
        corrections: one row per answer: table, key, column, was, now, reason, problem, file, sheet, row; later rows
            go before earlier ones.
        params: the dealer's params.
        latest: gives the day after which no date may lie, or None when that is not known; asked only when needed.

    Returns the tables, and the answers with status, why (a message, or empty) and rows (how many rows changed).
    """
    if corrections is None or corrections.empty:
        return raw, _empty()
    answers = corrections.reset_index(drop=True).assign(status="", why="", rows=0)
    answers.loc[answers["reason"] != "", "status"] = "cannot_fix"
    stopped = answers["problem"] != ""
    answers.loc[stopped, "why"] = answers.loc[stopped, "problem"].map(PROBLEMS)
    answers.loc[stopped, "status"] = "illegal"
    answers.loc[answers["problem"] == "altered", "status"] = "altered"
    answers.loc[(answers["status"] == "") & ~answers["table"].isin(list(raw)), "status"] = "key_gone"
    changed, renamed = dict(raw), {}
    open_ = answers[answers["status"] == ""]
    # Parents first: their keys, once corrected, are corrected wherever they are referred to.
    for name in [name for name in tables.TABLES if name in set(open_["table"])]:
        done = _settled(connection, raw, tables.table(name), open_[open_["table"] == name], params, latest, renamed)
        for column, values in (("status", done.status), ("why", done.why), ("rows", done.counts)):
            answers.loc[list(values), column] = list(values.values())
        changed[name] = _patched(raw[name], done)
    for name, rows in changed.items():
        changed[name] = _referring(rows, tables.table(name), renamed)
    answers.loc[answers["status"] == "overruled", "rows"] = 0
    return changed, answers[list(COLUMNS)]


def _empty() -> pd.DataFrame:
    numbers = {"rows", "row"}
    return pd.DataFrame({name: pd.Series(dtype="int64" if name in numbers else "object") for name in COLUMNS})


def _settled(connection, raw, table: Table, open_: pd.DataFrame, params: Params, latest, renamed: dict) -> _Answers:
    """The answers for one table, applied in their order, those that correct a key before the others."""
    columns = sorted(set(open_["column"]))
    keys = {key for given in open_["key"] for key in (given, _old(table, given, renamed))}
    rows = _rows_of(connection, raw[table.name], table, columns, sorted(keys))
    pairs = {(a.column, a.now) for a in open_.itertuples()}
    pairs |= {(c, row[c]) for same in rows.values() for row in same for c in columns if row[c]}
    answers = _Answers(table, rows, _probed(connection, raw, table, sorted(pairs), params, latest), renamed)
    of_key = open_["column"].isin(table.key)
    for answer in pd.concat([open_[of_key], open_[~of_key]]).itertuples():
        answers.take(answer.Index, answer)
    return answers


def _old(table: Table, key: str, renamed: dict[str, dict[str, str]]) -> str:
    """The key as it was delivered, from the one with corrected parts."""
    parts = key.split("|") if len(table.key) > 1 else [key]
    owners = [table[k].ref for k in table.key] if len(table.key) > 1 else [table.name]
    return "|".join(renamed.get(owner, {}).get(part, part) for owner, part in zip(owners, parts, strict=False))


def _key(rows: ir.Table, table: Table) -> ir.StringValue:
    """The key as fault rows show it."""
    order = ibis.null("string")
    parts = [standardised(table[k], plain(rows[k]), order).cast("string").coalesce("") for k in table.key]
    return ibis.literal("").concat(*[part + ("|" if k != table.key[-1] else "") for k, part in zip(table.key, parts)])


def _rows_of(connection, raw: ir.Table, table: Table, columns: list[str], keys: list[str]) -> dict[str, list[dict]]:
    """Key → the rows with it: their place, and the plain texts of the columns."""
    wanted = ibis.memtable(pa.table({"x_key": pa.array(keys, pa.string())}))
    rows = raw.filter(raw["_kind"] == "row")
    rows = rows.mutate(x_key=_key(rows, table)).semi_join(wanted, "x_key")
    found = engine.keep(connection, "answered", rows.select("x_key", *_PLACE, **{c: plain(rows[c]) for c in columns}))
    by_key: dict[str, list[dict]] = {}
    for row in found.order_by(["x_key", *_PLACE]).to_pyarrow().to_pylist():
        by_key.setdefault(row["x_key"], []).append(row | {"place": tuple(row[p] for p in _PLACE)})
    return by_key


def _probed(
    connection, raw: dict[str, ir.Table], table: Table, pairs: list[tuple[str, str]], params: Params, latest
) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """(column, text) → the standard form of the text, and why the column may not hold it."""
    texts = {name: [text if name == column else None for column, text in pairs] for name in table.names}
    origin = {"_row": pa.array(range(len(pairs)), pa.int64()), "_kind": ["row"] * len(pairs)}
    origin |= {name: pa.array([None] * len(pairs), pa.string()) for name in ("_file", "_date_order")}
    given = pa.table({name: pa.array(values, pa.string()) for name, values in texts.items()} | origin)
    rows = typed(plain_texts(ibis.memtable(given), table), table, {})
    digits = {
        f"x_digit_{c.name}": resident_id_digit_wrong(rows[c.name])
        for c in table.columns
        if c.format == "resident_id_or_uscc"
    }
    rows = rows.mutate(**digits) if digits else rows
    dated = any(table[column].type in ("date", "time") for column, _ in pairs)
    checks = _value_checks(table, rows, (latest() if dated else None) or date.max, params)
    fails = ibis.array([check.expression(rows) for check in checks]) if checks else ibis.literal([], "array<boolean>")
    forms = {f"x_{name}": rows[name].cast("string") for name in {column for column, _ in pairs}}
    found = (
        engine.keep(connection, "probed", rows.select("_row", **forms, x_fails=fails))
        .order_by("_row")
        .to_pyarrow()
        .to_pylist()
    )
    known = _known(connection, raw, table, [(c, row[f"x_{c}"]) for (c, _), row in zip(pairs, found, strict=True)])
    out = {}
    for (column, text), row in zip(pairs, found, strict=True):
        form = row[f"x_{column}"]
        wrong = [c.message for c, failed in zip(checks, row["x_fails"]) if failed and c.columns == (column,)]
        if not wrong and table[column].ref in raw and (column, form) not in known:
            wrong = [_UNKNOWN]
        out[column, text] = (form, wrong[0] if wrong else None)
    return out


def _value_checks(table: Table, rows: ir.Table, latest: date, params: Params) -> list[Check]:
    """The checks that a value passes or fails by itself. A wrong check digit of a VIN is none of them: it may be right."""
    return [
        c
        for c in column_checks(table, latest, params.checks)
        if c.dimension in ("legality", "range", "authenticity")
        and c.severity != "info"
        and len(c.columns) == 1
        and all(name in rows.columns for name in c.needs)
    ]


def _known(
    connection, raw: dict[str, ir.Table], table: Table, forms: list[tuple[str, str | None]]
) -> set[tuple[str, str]]:
    """Those of the (column, value) that refer to a record that was delivered."""
    found = set()
    for column in {c for c, _ in forms if table[c].ref in raw}:
        parent, wanted = tables.table(table[column].ref), sorted({v for c, v in forms if c == column and v})
        rows = raw[parent.name].filter(raw[parent.name]["_kind"] == "row")
        keys = rows.select(x_key=standardised(parent[parent.key[0]], plain(rows[parent.key[0]]), ibis.null("string")))
        asked = ibis.memtable(pa.table({"x_key": pa.array(wanted, pa.string())}))
        there = engine.keep(connection, "referred", asked.semi_join(keys, "x_key"))
        found |= {(column, value) for value in there.to_pyarrow()["x_key"].to_pylist()}
    return found


def _patched(raw: ir.Table, answers: _Answers) -> ir.Table:
    """The raw rows with the new texts in the place of the old ones."""
    if not answers.patches:
        return raw
    places = sorted({place for place, _ in answers.patches}, key=str)
    columns = sorted({column for _, column in answers.patches})
    new = {f"x_{c}": pa.array([answers.patches.get((p, c), (None,))[0] for p in places], pa.string()) for c in columns}
    at = {f"p{name}": [place[i] for place in places] for i, name in enumerate(_PLACE)}
    types = {f"p{name}": pa.int64() if name == "_row" else pa.string() for name in _PLACE}
    patch = ibis.memtable(pa.table({n: pa.array(v, types[n]) for n, v in at.items()} | new))
    joined = raw.left_join(patch, [raw[name].identical_to(patch[f"p{name}"]) for name in _PLACE])
    return joined.select(
        **{
            name: joined[f"x_{name}"].coalesce(joined[name]) if name in columns else joined[name]
            for name in raw.columns
        }
    )


def _referring(rows: ir.Table, table: Table, renamed: dict[str, dict[str, str]]) -> ir.Table:
    """The rows with corrected keys of other tables in the place of the delivered ones."""
    for column in table.columns:
        owner = "vehicles" if column.personal == "vin" else column.ref
        if owner == table.name or not renamed.get(owner):
            continue
        news = {old: new for new, old in renamed[owner].items()}
        pairs = pa.table({"x_old": pa.array(sorted(news), pa.string()), "x_new": [news[old] for old in sorted(news)]})
        form = standardised(column, plain(rows[column.name]), ibis.null("string"))
        keyed = rows.mutate(x_form=form)
        renames = ibis.memtable(pairs)
        joined = keyed.left_join(renames, keyed.x_form == renames.x_old)
        kept = {name: joined[name] for name in rows.columns}
        rows = joined.select(**kept | {column.name: joined.x_new.coalesce(joined[column.name])})
    return rows


# ---- what the page says ------------------------------------------------------------------------------------------


def facts(corrected: pd.DataFrame, files: pd.DataFrame) -> dict[str, tuple]:
    """Facts of what was sent back: name → (value, rows, table). ``files`` is what the reader of the lists counted."""
    by_status = corrected["status"].value_counts()
    not_taken = len(corrected) - sum(int(by_status.get(s, 0)) for s in _SETTLED)
    return {
        "returned_files": (len(files), None, None),
        "answers_count": (len(corrected), len(corrected), "corrected"),
        "answers_changed": (int(by_status.get("changed", 0)), len(corrected), "corrected"),
        "answers_not_taken": (not_taken, len(corrected), "corrected"),
        "answers_cannot_fix": (int(by_status.get("cannot_fix", 0)), len(corrected), "corrected"),
        "lines_unanswered": (int(files["empty"].sum() + files["deleted"].sum()), int(files["lines"].sum()), None),
    }


def headline(corrected: pd.DataFrame, files: pd.DataFrame) -> str:
    """The sentence, with facts, that says what the answers changed."""
    if files.empty:
        return N_("Nothing was sent back so far.")
    if corrected.empty:
        return N_(
            "{returned_files:count|file was|files were} sent back without an answer; {lines_unanswered:count|line is|lines are} still open."
        )
    return N_(
        "{answers_changed:count|answer|answers} of {answers_count:count} changed a value; "
        "{answers_not_taken:count|was|were} not taken, {answers_cannot_fix:count} cannot be mended, and "
        "{lines_unanswered:count|line is|lines are} still open."
    )


def summary(corrected: pd.DataFrame, t) -> pd.DataFrame:
    """Answers by what became of them and by column, in the words of the translator ``t``: what, table, column, answers,
    rows (changed)."""
    known = corrected[corrected["table"] != ""]
    counted = (
        known.groupby(["status", "table", "column"], sort=True)
        .agg(answers=("key", "size"), rows=("rows", "sum"))
        .reset_index()
    )
    lost = corrected[corrected["table"] == ""]
    if len(lost):
        unknown = {"status": "altered", "table": "", "column": "", "answers": len(lost), "rows": 0}
        counted = pd.concat([counted, pd.DataFrame([unknown])], ignore_index=True)
    order = {status: i for i, status in enumerate(STATUSES)}
    counted = counted.sort_values(
        ["status", "answers", "table", "column"],
        key=lambda c: c.map(order) if c.name == "status" else c,
        ascending=[True, False, True, True],
        ignore_index=True,
    )
    counted.insert(0, "what", [t.text(STATUSES[s]) for s in counted["status"]])
    named = list(zip(counted["table"], counted["column"], strict=True))
    counted["column"] = [t.labels(table, column) if table else "" for table, column in named]
    counted["table"] = [t.labels(table) if table else "" for table, _ in named]
    return counted[["what", "table", "column", "answers", "rows"]]


def not_taken(corrected: pd.DataFrame, t, most: int = 20) -> pd.DataFrame:
    """The first answers that were not taken, in the words of ``t``: file, sheet, row, record (masked), column, answer
    (masked), why."""
    kept = corrected[~corrected["status"].isin(_SETTLED)].head(most)
    rows = []
    for a in kept.itertuples():
        table = tables.TABLES.get(a.table)
        column = table[a.column] if table else None
        personal_key = next((table[k].personal for k in table.key if table[k].personal), "id") if table else "id"
        kind = (column.personal or ("id" if column.type == "text" else None)) if column else "free_text"
        rows.append(
            {
                "place": t.say(
                    _PLACES[bool(a.sheet)], file=a.file, row=str(a.row), **({"sheet": a.sheet} if a.sheet else {})
                ),
                "record": mask(a.key, personal_key),
                "column": t.labels(a.table, a.column) if table else "",
                "answer": mask(a.now, kind),
                "why": t.text(a.why or STATUSES[a.status]),
            }
        )
    return pd.DataFrame(rows, columns=["place", "record", "column", "answer", "why"])
