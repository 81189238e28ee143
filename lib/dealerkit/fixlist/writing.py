"""Writing the fix list: which values staff can mend, whom to ask, and the workbook with a sheet for each desk."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import pandas as pd
import pyarrow.parquet as pq
from ibis import _

from dealerkit import books, engine, tables
from dealerkit import params as params_
from dealerkit.audit.views import message_of
from dealerkit.chain.folders import Folders
from dealerkit.errors import UserError
from dealerkit.fixlist.lines import DEALER, HEADINGS, LINES, REASONS, reference
from dealerkit.fixlist.reading import FOLDER
from dealerkit.formats import RESIDENT_ID
from dealerkit.messages import N_
from dealerkit.params import FixListParams, nearest
from dealerkit.report.translate import LANGUAGES, Translator
from dealerkit.report.workbook import Column, Guide, Sheet, clean_text, save

#: File name in the dealer's reports.
NAME = "fixlist.xlsx"
#: Tables of persons and of what only they know: here the list says whom to ask.
_OF_PERSONS = ("customers", "contacts", "leads", "vehicles")
#: What is known of the person a line is about.
_PERSON = ("customer", "phone", "phone_alt", "birth_date", "gender")
_SEVERITY = {"reject": 0, "warn": 1, "info": 2}
_LINE = ["table", "key", "column", "was"]
_CHECKS = {"check": "string", "fixer": "string", "each_yuan": "float64", "rank": "int64"}


@dataclass(frozen=True)
class Asked:
    """What staff are asked.

    Attributes:
        lines: one row per line: desk, table, key, column, was, checks (their ids), cost_yuan (NaN: not known), customer,
            phone, proposed, worst first within a desk.
        waiting: desk → lines in all, those left out for want of room included.
    """

    lines: pd.DataFrame
    waiting: dict[str, int]


def write(folders: Folders) -> str:
    """Write ``reports/<dealer>/fixlist.xlsx`` from the tables of the audit; returns what to print.

    Raises `UserError` without a strong password, for a check that is none, and when staff have changed the list.
    """
    books.password()
    params = folders.params()
    t = Translator(params_.environment_language(params))
    made = folders.build / "10-audit"
    results = pd.read_parquet(made / "results.parquet")
    asked = ask(made, results, params)
    as_of = date.fromisoformat(json.loads((made / "facts.json").read_text(encoding="utf-8"))["as_of"]["value"])
    path, name = folders.reports / NAME, f"reports/{folders.dealer}/{NAME}"
    sheets = [
        _sheet(rows, str(desk), folders.dealer, results, t) for desk, rows in asked.lines.groupby("desk", sort=False)
    ]
    guide = _guide(asked, getattr(params.display_name, t.language), as_of, folders.dealer, t)
    written = save(
        path,
        name,
        [guide, *sheets],
        {DEALER: folders.dealer, LINES: str(len(asked.lines)), "dealerkit_as_of": as_of.isoformat()},
        f"move it to data/raw/{folders.dealer}/{FOLDER}/ to have its answers read by the next report, or give it another name",
        _kept(folders.raw / FOLDER),
    )
    counts = ", ".join(f"{desk} {n}" for desk, n in asked.lines.groupby("desk", sort=False).size().items())
    said = f"{name}: {len(asked.lines)} lines" + (f" ({counts})" if counts else "")
    return said if written else f"{said}; it says so already and was not written again"


def _kept(folder: Path) -> list[str]:
    """SHA-256 of the files that staff sent back: what lies there is not lost when a copy is replaced."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


# ---- which lines -------------------------------------------------------------------------------------------------


def ask(made: Path, results: pd.DataFrame, params: params_.Params) -> Asked:
    """The lines of the list, from the tables that the audit saved in ``made``."""
    checks = _mendable(results, params.fixlist)
    spill = made.parent / ".fixlist.spill"
    connection = engine.connect(params.engine, spill, pq.read_metadata(made / "faults.parquet").num_rows)
    try:
        lines, waiting = _lines(connection, made, checks, params.fixlist.rows)
        lines = _with_persons(connection, made, lines)
    finally:
        connection.disconnect()
        shutil.rmtree(spill, ignore_errors=True)
    return Asked(lines, waiting)


def _mendable(results: pd.DataFrame, wanted: FixListParams) -> pd.DataFrame:
    """The failing checks whose faults a new value in one column can mend, the costliest per row first (``rank``).

    Which of several records are one is no value; and who faked a survey cannot be asked to mend it.
    """
    away = set(tables.TABLES) - set(results["table"])  # their checks come back with the tables
    for key in ("checks", "leave_out"):
        for check in getattr(wanted, key):
            if check not in set(results["check"]) and check.split(".")[0] not in away:
                raise UserError(
                    f"fixlist.{key}: no check {check!r}{nearest(check, results['check'])}",
                    "the page on data quality and its table `results` name the checks",
                )
    failing = results[(results["failed"] > 0) & results["severity"].isin(wanted.severities)].copy()
    failing = failing[_mask(failing, _is_mendable)]
    if wanted.checks:
        failing = failing[failing["check"].isin(wanted.checks)]
    failing = failing[~failing["check"].isin(wanted.leave_out)]
    failing["each_yuan"] = (failing["cost_yuan"] / failing["failed"]).round(2)
    failing["order"] = failing["severity"].map(_SEVERITY)
    failing = failing.sort_values(["each_yuan", "order", "check"], ascending=[False, True, True], ignore_index=True)
    return failing.assign(rank=range(len(failing)))[list(_CHECKS)]


def _mask(frame: pd.DataFrame, true_of) -> pd.Series:
    """Whether something is true of each row; of none, where there is none."""
    return pd.Series([true_of(row) for row in frame.itertuples()], index=frame.index, dtype=bool)


def _is_mendable(check) -> bool:
    table, columns = tables.TABLES[check.table], check.columns.split(", ")
    if columns[0] not in table:
        return False
    if columns[0] in table.key:  # what is not whole about a record is no fault of its number
        return check.dimension == "legality"
    if check.dimension == "authenticity":
        return check.table in _OF_PERSONS and table[columns[0]].personal is not None
    return check.dimension != "duplication" or len(columns) == 1


def _lines(connection, made: Path, checks: pd.DataFrame, most: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """The lines of each desk, and how many there are in all.

    Not asked: rows without a key (no answer could be told where it belongs), rows merged into another, values filled
    from elsewhere, values of which staff have said that they cannot be mended, and keys of another table that are asked
    about there.
    """
    faults = engine.read(connection, made / "faults.parquet").filter(_.file != "")  # else of a whole table
    known = ibis.memtable(checks, schema=_CHECKS)
    merged = engine.read(connection, made / "merged.parquet").select("table", "file", "row")
    # What fails in a whole table has no row.
    there = faults.filter(_.row.notnull() & ~_.key.re_search(r"(^|\|)(\||$)")).anti_join(
        merged, ["table", "file", "row"]
    )
    there = there.join(known, "check").rename(was="delivered")
    lines = engine.keep(connection, "asked", there.group_by(_LINE).agg(rank=_["rank"].min()))
    supplied = engine.read(connection, made / "supplied.parquet")
    for told, by in ((supplied, _LINE[:3]), (_answered(connection, made), _LINE), (_of_parents(lines), _LINE)):
        lines = lines.anti_join(told, by)
    lines = lines.join(known.select("rank", "fixer", "each_yuan"), "rank")
    at = ibis.window(group_by="fixer", order_by=["rank", *_LINE])
    lines = engine.keep(connection, "lines", lines.mutate(place=ibis.row_number().over(at)))
    waiting = lines.group_by("fixer").agg(n=_.count(), worst=_["rank"].min()).order_by("worst").to_pandas()
    desks = list(waiting["fixer"])
    chosen = lines.filter(_.place < most)
    failed = there.semi_join(chosen, _LINE).select(*_LINE, "check").distinct().order_by([*_LINE, "check"]).to_pandas()
    checks_of = failed.groupby(_LINE)["check"].agg(" ".join).rename("checks").reset_index()
    found = chosen.to_pandas().merge(checks_of, on=_LINE, validate="1:1")
    found["desk"] = pd.Categorical(found["fixer"], desks)
    found = found.sort_values(["desk", "place"], ignore_index=True).rename(columns={"each_yuan": "cost_yuan"})
    # What a cell cannot hold cannot come back either.
    whole = _mask(found, lambda line: clean_text(line.key) == line.key and clean_text(line.was) == line.was)
    found = found[whole].astype({"desk": str}).reset_index(drop=True)
    return found[["desk", *_LINE, "checks", "cost_yuan"]], dict(zip(desks, waiting["n"].astype(int), strict=True))


def _answered(connection, made: Path):
    """Values that staff have said cannot be mended."""
    return engine.read(connection, made / "corrected.parquet").filter(_.status == "cannot_fix").select(_LINE)


def _of_parents(lines):
    """Lines on a key that the table it belongs to has a line on as well: corrected there, it is corrected everywhere."""
    refs = [
        (table.name, column.name, column.ref, tables.TABLES[column.ref].key[0])
        for table in tables.TABLES.values()
        for column in table.columns
        if column.ref
    ]
    schema = dict.fromkeys(["table", "column", "owner", "owner_key"], "string")
    links = ibis.memtable([dict(zip(schema, link)) for link in refs], schema=schema)
    owned = lines.select(owner="table", owner_key="column", was="was").distinct()
    referring = lines.join(links, ["table", "column"]).semi_join(owned, ["owner", "owner_key", "was"])
    return referring.select(_LINE)


# ---- whom to ask, and what to propose ----------------------------------------------------------------------------


def _with_persons(connection, made: Path, lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with customer, phone and proposed value, where they help to mend the value.

    Who has said no to being approached is named without a phone, and a phone that is in doubt is not one to call.
    """
    asked = lines[_mask(lines, lambda line: _is_of_person(line.table, line.column))]
    found = [
        _persons(connection, made, name, sorted(set(rows["key"]))).assign(table=name)
        for name, rows in asked.groupby("table")
    ]
    columns = ["table", "key", *_PERSON]
    persons = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    persons = persons.drop_duplicates(["table", "key"])
    out = lines.merge(persons, how="left", on=["table", "key"], validate="m:1")
    out.loc[~out.index.isin(asked.index), ["customer", "phone"]] = None
    doubted = out["column"] == "phone"
    out.loc[doubted, "phone"] = out.loc[doubted, "phone_alt"]
    own = (out["table"] == "customers") & out["column"].isin(["birth_date", "gender"])
    out["proposed"] = [
        row[row["column"]] if mine else None for mine, row in zip(own, out.to_dict("records"), strict=True)
    ]
    return out.drop(columns=["phone_alt", "birth_date", "gender"])


def _is_of_person(table: str, column: str) -> bool:
    """Whether the customer has to be asked: who they are, how to reach them, what is in the papers of the car."""
    personal = tables.TABLES[table][column].personal is not None or column == "gender"
    return table in _OF_PERSONS and (personal or table == "vehicles")


def _persons(connection, made: Path, name: str, keys: list[str]) -> pd.DataFrame:
    """Key → name and phone of the customer, and what the ID number says of birth and sex, where it is a person's."""
    wanted = ibis.memtable({"key": keys}, schema={"key": "string"})
    record = engine.read(connection, made / f"{name}.parquet")
    record = record.mutate(key=record[tables.TABLES[name].key[0]]).semi_join(wanted, "key")
    empty = pd.DataFrame(columns=["key", *_PERSON])
    if name in ("contacts", "leads"):
        own = record.select(
            "key", customer=record["name"] if name == "contacts" else ibis.null("string"), phone=_.phone
        )
        return pd.concat([empty, own.order_by("key").to_pandas()])
    if not (made / "customers.parquet").exists():
        return empty
    customers = engine.read(connection, made / "customers.parquet")
    may = customers.marketing_consent.fill_null(True)
    number = customers.id_number
    own_id = number.re_search(RESIDENT_ID)
    sex = (number.substr(16, 1).try_cast("int32") % 2 == 1).ifelse("m", "f")
    facts = customers.select(
        customer_id=customers.customer_id,
        customer=customers.name,
        phone=may.ifelse(ibis.coalesce(customers.phone, customers.phone_alt), ibis.null("string")),
        phone_alt=may.ifelse(customers.phone_alt, ibis.null("string")),
        birth_date=own_id.ifelse(
            number.substr(6, 4) + "-" + number.substr(10, 2) + "-" + number.substr(12, 2), ibis.null("string")
        ),
        gender=own_id.ifelse(sex, ibis.null("string")),
    )
    named = record.select("key", "customer_id").join(facts, "customer_id").drop("customer_id")
    return pd.concat([empty, named.order_by("key").to_pandas()])


# ---- sheets ------------------------------------------------------------------------------------------------------


def _sheet(lines: pd.DataFrame, desk: str, dealer: str, results: pd.DataFrame, t: Translator) -> Sheet:
    said = {row["check"]: message_of(row, t) for row in results.to_dict("records")}
    between = "；" if t.language == "zh" else "; "
    rows = pd.DataFrame(
        [
            {
                "table": t.labels(line.table),
                "field": t.labels(line.table, line.column),
                "key": line.key,
                "customer": line.customer,
                "phone": line.phone,
                "wrong": between.join(said[check] for check in line.checks.split(" ")),
                "was": line.was,
                "proposed": _shown(line.table, line.column, line.proposed, t),
                "now": None,
                "reason": None,
                "cost": line.cost_yuan,
                "reference": reference(dealer, line.table, line.column, line.key, line.was),
                "offers": _offered(line.table, line.column, line.proposed, t),
            }
            for line in lines.itertuples()
        ]
    )
    rules = {
        "now": {"editable": True, "offers": "offers"},
        "reason": {"editable": True, "choices": tuple(t.text(text) for text in REASONS.values()), "strict": True},
        "cost": {"kind": "yuan"},
        "reference": {"hidden": True},
    }
    columns = tuple(Column(name, t.text(heading), **rules.get(name, {})) for name, heading in HEADINGS.items())
    return Sheet(t.text(desk), columns, rows)


def _shown(table: str, column: str, value, t: Translator) -> str | None:
    """A proposed value as staff would write it."""
    if value is None or value != value:
        return None
    return t.labels(table, column, value) if tables.TABLES[table][column].codes else value


def _offered(table: str, column: str, proposed, t: Translator) -> tuple[str, ...]:
    """What the list beside the cell of the answer offers: the codes of the column, else the proposed value."""
    if codes := tables.TABLES[table][column].codes:
        return tuple(t.labels(table, column, code) for code in codes)
    shown = _shown(table, column, proposed, t)
    return (shown,) if shown else ()


#: What the first sheet says: style and message.
_GUIDE = (
    ("title", N_("Fix list of {dealer:text}")),
    (
        "text",
        N_(
            "{lines:count|value|values} that cannot be right or are missing, by the data as of {day:day}: one sheet for each desk, one line for each value, those that cost most first."
        ),
    ),
    ("heading", N_("How to fill it in")),
    (
        "text",
        N_(
            "1. Find out the right value and write it into the yellow column “{now:text}”. Where the cell has an arrow, its list offers what can be chosen or what is proposed."
        ),
    ),
    (
        "text",
        N_(
            "2. Where it cannot be found out, or the value is right as it is, choose a reason in the column “{reason:text}”: it is not asked again."
        ),
    ),
    ("text", N_("3. Leave a line empty when you have not come to it: it is asked again.")),
    (
        "text",
        N_("4. Write dates as 2026-01-05, mobile numbers with all 11 digits, ID numbers with all 18; no formulas."),
    ),
    (
        "text",
        N_(
            "5. A customer without a phone here has none that is known, or does not want to be called: ask at the next visit."
        ),
    ),
    (
        "text",
        N_(
            "6. All other cells are locked: what is changed there makes a line unknown. Deleting or moving whole lines does no harm."
        ),
    ),
    ("heading", N_("How it comes back")),
    (
        "text",
        N_(
            "Save it with its password, as a workbook or as CSV, and put it into data/raw/{folder:text}/returned/. The next report reads it and says what it changed."
        ),
    ),
    (
        "text",
        N_(
            "Mend the value in your own system too: the report never writes there, and other programs still see the old value."
        ),
    ),
    ("heading", N_("Who may see it")),
    (
        "text",
        N_(
            "Names and phones are in it. Keep it encrypted, send the password another way than the file, and delete your copy when it is done."
        ),
    ),
)


def _guide(asked: Asked, dealer: str, as_of: date, folder: str, t: Translator) -> Guide:
    """The first sheet: what to do, in the language of the report and then in the other."""
    lines: list[tuple[str, str]] = []
    for language in sorted(LANGUAGES, key=lambda language: language != t.language):
        into = t if language == t.language else Translator(language)
        values = {
            "dealer": dealer,
            "lines": len(asked.lines),
            "day": as_of,
            "now": into.text(HEADINGS["now"]),
            "reason": into.text(HEADINGS["reason"]),
            "folder": folder,
        }
        lines += [
            (style, into.say(text, **{k: v for k, v in values.items() if "{" + k + ":" in text}))
            for style, text in _GUIDE
        ]
        shown = asked.lines.groupby("desk", sort=False).size()
        lines += [("heading", into.text("What there is"))] if len(shown) else []
        lines += [
            (
                "text",
                into.say(
                    "{desk:label}: {shown:count} of {waiting:count|line|lines}",
                    desk=desk,
                    shown=int(n),
                    waiting=asked.waiting[desk],
                ),
            )
            for desk, n in shown.items()
        ]
        lines.append(("text", ""))
    return Guide(t.text("Read this first"), tuple(lines))
