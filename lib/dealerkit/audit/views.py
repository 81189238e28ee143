"""What the audit page shows, as small tables and facts."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine, tables
from dealerkit.audit.fixers import remedy_of
from dealerkit.audit.kinds import ACTIONS, DIMENSION_LABELS, DIMENSIONS, NOT_RECORDS
from dealerkit.audit.supply import HOW
from dealerkit.messages import N_

SEVERITIES = {"reject": N_("reject"), "warn": N_("warn"), "info": N_("info")}
_GRAVITY = {name: place for place, name in enumerate(SEVERITIES)}
AS_OF_RULES = {
    "asked": N_("the day asked for"),
    "delivered_on": N_("the day of the export by the params"),
    "found": N_("the last day whose 28 days before are filled with visits"),
}
#: What each table that may be missing would switch on.
SWITCHES_ON = {
    "service_orders": N_("visits, absence, spending: nearly everything"),
    "customers": N_("names, age and sex, phones: who the persons are"),
    "vehicles": N_("ages of cars, warranty, model lines where the visits do not name them"),
    "contacts": N_("drivers, payers and households"),
    "sales_orders": N_("purchases, trade-ins and the value of cars bought"),
    "service_lines": N_("declined and left-over work"),
    "interactions": N_("complaints, surveys and calls"),
    "leads": N_("prospects and the lead funnel"),
    "campaigns": N_("what campaigns brought"),
    "staff": N_("phones that belong to staff"),
}
TREATMENTS = (
    (
        N_("Missing values"),
        N_(
            "stay missing, except for those that another value of the data tells: these are filled in, counted below, and "
            "written down one by one in the table supplied. Nothing is estimated. Shares and means are taken over known "
            "values, and their number is shown."
        ),
    ),
    (
        N_("Values that cannot be read or are out of range"),
        N_("become unknown in the clean table; the row stays; the delivered text is kept in the fault rows."),
    ),
    (
        N_("Rows without key or date, with a future date, or that never were records"),
        N_("go to quarantine with their reasons."),
    ),
    (
        N_("Repeated keys"),
        N_(
            "the fullest row of the most trusted source stays, the others are merged into it by name; a key used for "
            "something else goes to quarantine."
        ),
    ),
    (N_("Extreme but possible values"), N_("are kept.")),
)


#: Why a car or customer could not be found by a secondary key.
NOT_FOUND = {
    "ambiguous": N_("the keys lead to more than one"),
    "unknown": N_("a number of another system that no key explains"),
}


def personal_values(
    raw: dict[str, ir.Table], corrected: pd.DataFrame, further: Mapping[str, ir.Table] | None = None
) -> ir.Table:
    """Every phone, ID, plate, VIN and e-mail that was delivered, or sent back by staff, as letters and digits in
    capitals, each once: what the leak gate looks candidates up in. Values under six characters would match ordinary
    words and are left out. Of ``further`` tables, whose columns nobody declared, those are the keys."""
    answers = [(name, _answers(rows)) for name, rows in corrected.groupby("table") if name in raw]
    places = [
        (rows, column.name, column.personal)
        for name, rows in [*raw.items(), *answers]
        for column in tables.table(name).columns
        if column.personal in ("phone", "id", "plate", "vin", "email") and column.name in rows.columns
    ]
    keys = ("vin", "plate", "phone")
    places += [(rows, key, key) for rows in (further or {}).values() for key in keys if key in rows.columns]
    found = []
    for rows, name, kind in places:
        value = rows[name].re_replace(r"[^0-9A-Za-z]", "").upper()
        value = value.re_replace(r"^(?:00)?86(1\d{10})$", r"\1") if kind == "phone" else value
        found.append(rows.select(value=value).filter((_.value.length() >= 6) & _.value.re_search(r"\d")))
    return engine.union(found, distinct=True)


def _answers(corrected: pd.DataFrame) -> ir.Table:
    """What staff wrote, in the columns that it is for."""
    columns = {name: rows["now"].reset_index(drop=True) for name, rows in corrected.groupby("column")}
    return ibis.memtable(pd.DataFrame(columns), schema=dict.fromkeys(columns, "string"))


def clean_rows(audited, table: str) -> int:
    """Rows of a clean table, by the ledger."""
    ledger = audited.ledger
    return int(ledger.loc[ledger["table"] == table, "clean"].sum())


def facts(audited, ingested) -> dict[str, tuple]:
    """Facts of the audit: name → (value, rows, table)."""
    ledger, results = audited.ledger[["raw", "clean", "quarantined", "merged"]].sum(), audited.results
    failing = results[(results["failed"] > 0) & (results["severity"] != "info")]
    customers = audited.columns.query("table == 'customers' and column == 'phone'")
    records, orders = clean_rows(audited, "customers"), clean_rows(audited, "service_orders")
    unreachable = audited.cost.unreachable
    visits = audited.clean["service_orders"]
    seen = engine.frame_of(visits.agg(first=visits.opened_at.min(), amounts=visits.total_yuan.count())).iloc[0]
    first_visit = seen["first"]
    # Rows after an earlier day that was asked for are neither usable nor faulty.
    later = audited.rows_cut()
    top = _first_to_mend(failing)
    weakest = audited.scores.sort_values(["score", "table", "dimension"]).head(1)
    return {
        "as_of": (audited.as_of.day, None, "service_orders"),
        "as_of_rule": (audited.as_of.rule, None, None),
        "visits_cut_off": (audited.as_of.cut_off, orders, "service_orders"),
        "health_score": (audited.health, int(results["checked"].sum()), "results"),
        "raw_rows": (int(ledger["raw"]), len(audited.ledger), "ledger"),
        "clean_rows": (int(ledger["clean"]), len(audited.ledger), "ledger"),
        "clean_share": (
            ledger["clean"] / (ledger["raw"] - later) if ledger["raw"] > later else None,
            len(audited.ledger),
            "ledger",
        ),
        "quarantined_rows": (int(ledger["quarantined"]), len(audited.ledger), "ledger"),
        "merged_rows": (int(ledger["merged"]), len(audited.ledger), "ledger"),
        "checks_count": (len(results), len(results), "results"),
        "checks_failing": (len(failing), len(results), "results"),
        "own_checks_count": (int((results["message_zh"] != "").sum()), len(results), "results"),
        "files_count": (len({f.file for f in ingested.files}), None, None),
        "tables_count": (len(audited.clean), None, None),
        "tables_known": (len(tables.TABLES), None, None),
        "standardised_values": (
            int(audited.columns["standardised"].sum()),
            int(audited.columns["filled"].sum()),
            "columns",
        ),
        "customer_records": (records, int(customers["rows"].sum()), "customers"),
        "unreachable_records": (unreachable, records, "customers"),
        "unreachable_share": (unreachable / records if records else None, records, "customers"),
        "top_fault_check": ("" if top is None else top["check"], len(results), "results"),
        "top_fault_rows": (0 if top is None else int(top["failed"]), len(results), "results"),
        "top_fault_yuan": (
            top["cost_yuan"] if top is not None and top["cost_yuan"] > 0 else None,
            len(results),
            "results",
        ),
        "weakest_score": (
            float(weakest["score"].iloc[0]) if len(weakest) else None,
            int(weakest["checked"].sum()),
            "scores",
        ),
        # Where nothing was there to be checked, it is the visits that are not complete.
        "weakest_table": (weakest["table"].iloc[0] if len(weakest) else "service_orders", None, "scores"),
        "weakest_dimension": (weakest["dimension"].iloc[0] if len(weakest) else "completeness", None, "scores"),
        "supplied_values": (int(audited.supplied.count().to_pandas()), orders, "supplied"),
        "plate_only_rows": (_plate_only(audited.links), orders, "service_orders"),
        "first_visit": (None if pd.isna(first_visit) else first_visit.date(), None, "service_orders"),
        "has_amounts": (bool(seen["amounts"]), None, "service_orders"),
    }


def _first_to_mend(failing: pd.DataFrame) -> pd.Series | None:
    """The row of the failing check to mend first: the dearest; where no fault has a price, the gravest, and of these the
    most frequent."""
    if (failing["cost_yuan"] > 0).any():
        found = failing.sort_values(
            ["cost_yuan", "failed", "check"], ascending=[False, False, True], na_position="last"
        )
    else:
        # What is merely out of date, or there twice, is not what to mend first.
        found = failing[~failing["dimension"].isin(["timeliness", "duplication"])]
        found = found.assign(order=found["severity"].map(_GRAVITY))
        found = found.sort_values(["order", "failed", "check"], ascending=[True, False, True])
    return found.iloc[0] if len(found) else None


def _plate_only(links: pd.DataFrame) -> int:
    """Visits of cars that are known by their plate only."""
    stand_ins = links[(links["table"] == "service_orders") & (links["how"] == "stand_in")]
    return int(stand_ins["rows"].sum())


def score_matrix(audited, t) -> pd.DataFrame:
    """Scores, tables down and dimensions across, in the words of the translator ``t``."""
    wide = audited.scores.pivot(index="table", columns="dimension", values="score")
    wide = wide.reindex(
        index=[n for n in tables.TABLES if n in wide.index], columns=[d for d in DIMENSIONS if d in wide.columns]
    )
    return wide.rename(index=t.labels, columns=lambda d: t.text(DIMENSION_LABELS[d]))


def message_of(result, t) -> str:
    """What a failing row of a check says, in the language of ``t``; ``result`` is a row of the results."""
    if result.get("message_zh"):
        # The dealer's own words stand in the params in both languages.
        return result["message_zh"] if t.language == "zh" else result["message"]
    return t.text(result["message"])


def failing_checks(audited, t, most: int | None = None) -> pd.DataFrame:
    """Failing checks, those that most rows fail first, in the words of ``t``.

    Columns: what (table · column: message), table, column, message, dimension, severity, action, checked, failed, share,
    examples, cost_yuan, fixer.
    """
    failing = audited.results[(audited.results["failed"] > 0) & (audited.results["severity"] != "info")].copy()
    failing = failing.sort_values(["failed", "check"], ascending=[False, True], ignore_index=True)
    first = failing["columns"].str.split(", ").str[0]
    failing["column"] = [t.labels(table, column) for table, column in zip(failing["table"], first, strict=True)]
    failing["table"] = [t.labels(name) for name in failing["table"]]
    failing["message"] = [message_of(row, t) for row in failing.to_dict("records")]
    for name, words in (("dimension", DIMENSION_LABELS), ("action", ACTIONS), ("severity", SEVERITIES)):
        failing[name] = [t.text(words[v]) for v in failing[name]]
    failing["examples"] = [
        " · ".join(v for v in dict.fromkeys(shown.split(" · ")) if v != "∅") for shown in failing["examples"]
    ]
    places = zip(failing["table"], failing["column"], failing["message"], strict=True)
    failing["what"] = [
        t.say(N_("{table:text} · {column:text}: {message:text}"), table=table, column=column, message=message)
        for table, column, message in places
    ]
    return failing.head(most) if most else failing


def fewer_faults(failing: pd.DataFrame, t, after: int = 10) -> pd.DataFrame:
    """What `failing_checks` holds below its first ``after`` rows, summed up by table and dimension, most rows first.

    Columns: table, dimension, checks (how many), faults (what they are, joined), failed.
    """
    rest = failing.iloc[after:]
    rest = rest.assign(
        fault=[
            t.say(N_("{column:text}: {message:text}"), column=c, message=m)
            for c, m in zip(rest["column"], rest["message"])
        ]
    )
    out = (
        rest.groupby(["table", "dimension"], sort=True)
        .agg(checks=("check", "count"), faults=("fault", lambda said: t.listed(said, ";")), failed=("failed", "sum"))
        .reset_index()
    )
    return out.sort_values(["failed", "table", "dimension"], ascending=[False, True, True], ignore_index=True)


def own_checks(audited, t) -> pd.DataFrame:
    """The checks of the dealer's own, table by table: table, message, severity, action, checked, failed,
    share, examples; nothing failed and nothing checked where the table was not delivered."""
    out = audited.results[audited.results["message_zh"] != ""].reset_index(drop=True)
    out["message"] = [message_of(row, t) for row in out.to_dict("records")]
    for name, words in (("dimension", DIMENSION_LABELS), ("action", ACTIONS), ("severity", SEVERITIES)):
        out[name] = [t.text(words[v]) for v in out[name]]
    out["table"] = [t.labels(name) for name in out["table"]]
    return out


def ledger_total(audited, t) -> dict[str, object]:
    """The last row of `ledger_by_file`: the sums over all files."""
    sums = ledger_by_file(audited, t)[["raw", "clean", "quarantined", "merged", "balance"]].sum()
    return {"table": t.text("All tables")} | {name: int(value) for name, value in sums.items()}


def ledger_by_file(audited, t) -> pd.DataFrame:
    """The ledger with the tables' names, one row per table and file, and whether it balances."""
    out = audited.ledger.copy()
    out["balance"] = out["raw"] - out["clean"] - out["quarantined"] - out["merged"]
    out["table"] = [t.labels(name) for name in out["table"]]
    return out


def quarantine_reasons(audited, t) -> pd.DataFrame:
    """Rows in quarantine by reason: table, reason, rows."""
    rows = engine.frame_of(audited.quarantine.select("table", "reasons"))
    rows["reasons"] = rows["reasons"].str.split(" ")
    counted = rows.explode("reasons").value_counts(["table", "reasons"]).reset_index(name="rows")
    messages = {row["check"]: message_of(row, t) for row in audited.results.to_dict("records")}
    counted["reason"] = [messages.get(r) or t.text(NOT_RECORDS[r.rsplit(".", 1)[-1]]) for r in counted["reasons"]]
    counted["table"] = [t.labels(name) for name in counted["table"]]
    return counted.sort_values(["rows", "table", "reasons"], ascending=[False, True, True], ignore_index=True)[
        ["table", "reason", "rows"]
    ]


def standardised_columns(audited, t, most: int = 12) -> pd.DataFrame:
    """Columns with most values brought into standard form: table, column, filled, standardised, share."""
    out = audited.columns[audited.columns["standardised"] > 0].copy()
    out["share"] = out["standardised"] / out["filled"]
    out = out.sort_values(["standardised", "table", "column"], ascending=[False, True, True]).head(most)
    out["column"] = [t.labels(table, column) for table, column in zip(out["table"], out["column"], strict=True)]
    out["table"] = [t.labels(name) for name in out["table"]]
    return out.reset_index(drop=True)


def files_read(ingested, t) -> pd.DataFrame:
    """Files and sheets with how they were read: file, tables, encoding, header line, rows, headers not used."""
    rows = [
        {
            "file": f.file + (f" · {f.sheet}" if f.sheet else ""),
            "tables": t.listed(t.labels(n) for n in f.tables),
            "encoding": f.encoding,
            "header_row": f.header_row,
            "rows": f.rows,
            "unused": t.listed(f.unused),
        }
        for f in ingested.files
    ]
    return pd.DataFrame(rows, columns=["file", "tables", "encoding", "header_row", "rows", "unused"])


def gaps(audited, ingested, t) -> list[tuple[str, str, str]]:
    """What could not be checked or computed: (title, why, remedy) each, in the words of ``t``."""
    found = []
    for name in tables.TABLES:
        if name in audited.clean and name not in ingested.derived:
            if not clean_rows(audited, name):
                found.append(_empty(name, t))
            continue
        derived = name in audited.clean
        found.append(
            (
                t.text(SWITCHES_ON[name]),
                t.say(
                    "The table {table:text} was derived from the workshop visits."
                    if derived
                    else "The table {table:text} was not delivered.",
                    table=t.labels(name),
                ),
                t.say(
                    "Put a file with it into the raw folder, or name it under files: in the params (table {name:text}).",
                    name=name,
                ),
            )
        )
    if not audited.clean["service_orders"].total_yuan.count().to_pandas():
        found.append(
            (
                t.text("everything in yuan"),
                t.text("No workshop visit has an amount."),
                t.text("Deliver the settled total with the visits (column total_yuan)."),
            )
        )
    if plate_only := _plate_only(audited.links):
        found.append(
            (
                t.text("warranty, model year and owner of some cars"),
                t.say(
                    "{visits:count|workshop visit has|workshop visits have} a plate and no VIN, and no car with that plate is known: "
                    "a number of the kit's own stands for the VIN.",
                    visits=plate_only,
                ),
                t.text("Deliver the VIN with the visits, or a file of cars with plate and VIN."),
            )
        )
    found += _idle_checks(audited, t)
    for part in ingested.unread:
        if not part.file.lower().endswith((".svg", ".png")):
            found.append(
                (
                    t.text("a file that was not read"),
                    f"{part.file} {part.sheet}: {part.why}",
                    t.text("Name it under files: in the params, or take it out of the raw folder."),
                )
            )
    return found


def _idle_checks(audited, t) -> list[tuple[str, str, str]]:
    """The dealer's own checks that could look at no row."""
    idle = audited.results[(audited.results["message_zh"] != "") & (audited.results["checked"] == 0)]
    return [
        (
            t.say("the dealer's own check: {message:text}", message=message_of(row, t)),
            t.say("The table {table:text} was not delivered.", table=t.labels(row["table"]))
            if row["table"] not in audited.clean
            else t.say("No row of the table {table:text} has the values it looks at.", table=t.labels(row["table"])),
            t.text("Deliver them, or take the check out of own_checks: in the params."),
        )
        for row in idle.to_dict("records")
    ]


def _empty(name: str, t) -> tuple[str, str, str]:
    return (
        t.text(SWITCHES_ON[name]),
        t.say("The table {table:text} was delivered, but no row of it can be used.", table=t.labels(name)),
        t.text("The row ledger and the reasons of the quarantine say what became of its rows."),
    )


def treatments(t) -> pd.DataFrame:
    """How missing values, illegal values, repeats and extremes are treated."""
    return pd.DataFrame([{"what": t.text(what), "how": t.text(how)} for what, how in TREATMENTS])


def supplied_values(audited, t) -> pd.DataFrame:
    """What was filled in, by column and way: table, column, how, source (the table it came from), supplied, gaps (rows that
    had no usable value before), share of the gaps."""
    found = audited.supplied.group_by("table", "column", "how", "from_table").agg(supplied=_.count())
    found = engine.frame_of(found)
    found["gaps"] = _gaps_before(audited, found)
    found["share"] = found["supplied"] / found["gaps"]
    order = {name: i for i, name in enumerate(tables.TABLES)}
    found = found.sort_values(
        ["table", "column", "supplied", "how", "from_table"],
        ascending=[True, True, False, True, True],
        key=lambda c: c.map(order) if c.name == "table" else c,
        ignore_index=True,
    )
    return pd.DataFrame(
        {
            "table": [t.labels(name) for name in found["table"]],
            "column": [t.labels(table, column) for table, column in zip(found["table"], found["column"], strict=True)],
            "how": [t.text(HOW[how]) for how in found["how"]],
            "source": [t.labels(name) for name in found["from_table"]],
            **{name: found[name] for name in ("supplied", "gaps", "share")},
        }
    )


def _gaps_before(audited, found: pd.DataFrame) -> list[int]:
    """How many clean rows had no value before, of the column in each row of ``found``: those still without one, and those
    that were given one. A reference that was found again in another system's numbers was a gap too."""
    filled = found.groupby(["table", "column"])["supplied"].sum()
    asked = [
        audited.clean[table]
        .agg(n=audited.clean[table][column].isnull().sum())
        .mutate(at=ibis.literal(f"{table}.{column}"))
        for table, column in filled.index
    ]
    if not asked:
        return []
    left = engine.frame_of(engine.union(asked)).set_index("at")["n"]
    before = {at: int(left[".".join(at)]) + int(n) for at, n in filled.items()}
    return [before[at] for at in zip(found["table"], found["column"], strict=True)]


def links_left(audited, t) -> pd.DataFrame:
    """Rows whose car or customer no secondary key could tell: table, column, why, rows."""
    left = audited.links[audited.links["how"].isin(list(NOT_FOUND))]
    return pd.DataFrame(
        {
            "table": [t.labels(name) for name in left["table"]],
            "column": [t.labels(table, column) for table, column in zip(left["table"], left["column"], strict=True)],
            "why": [t.text(NOT_FOUND[how]) for how in left["how"]],
            "rows": list(left["rows"]),
        }
    )


def first_steps(facts: dict[str, dict], results: pd.DataFrame, t) -> list[tuple[str, str, str, dict]]:
    """What to mend first in the data: (request, gain, how, values) each, as messages; nothing when no check fails."""
    check, yuan = facts["top_fault_check"]["value"], facts["top_fault_yuan"]["value"]
    if not check:
        return []
    row = results.set_index("check").loc[check]
    column = t.labels(row["table"], row["columns"].split(", ")[0])
    if yuan:
        request, gain = N_("Mend the fault that costs most: {table:text}, {column:text}"), N_("{top_fault_yuan:yuan}")
    else:
        request, gain = N_("Mend the most frequent of the gravest faults: {table:text}, {column:text}"), ""
    how = N_("{top_fault_rows:count|row|rows}: {message:text}. {how:text} The page on data quality lists all faults.")
    values = {"table": t.labels(row["table"]), "column": column, "message": message_of(row, t)}
    return [(request, gain, how, values | {"how": t.text(remedy_of(check))})]
