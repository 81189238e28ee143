"""How long do the checks take on a million workshop visits, beside pandera and pointblank?

    python tests/bench/audit.py --orders 1000000 --rounds 3

A dealer is generated with so many visits, read and made standard; everyone gets the same Parquet file: the typed columns of
the visits, for each typed column what was delivered (`<column>_text`), and how many texts a row has. Only the checks that
all can express are compared (`rules`): required and expected values, legal values, patterns, ranges, days, the order of two
days, sums; and, in a table of its own with them, the key given once: each row whose key another row has too, which is what
all can say. The kit goes further, and ``which row stays`` is the kit with that: of the rows of one key it says which goes
before the others, and whether they say the same. Each tool runs the checks in a process of its own, in turns, and must say
how many rows fail each check and which: a table of them with the row's key, the check and the value, in any order. The
process first does the same with a thousand visits, so that every tool has all its modules when the work on all visits
begins. Printed for each: seconds of the processor and of the clock, for the work and for the start with the thousand,
memory, failing rows; counts that differ from the kit's are named. ``whole audit`` is the kit from the raw texts to the
ledger with all its checks of this table, for comparison. The goal: the kit's work below each of theirs, by processor and by
clock, in both tables.

Needs the extra `bench`; ``--keep FOLDER`` keeps the generated dealer there and finds it again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from processes import Usage, measure

ROOT = Path(__file__).parents[2]
TABLE = "service_orders"
#: Visits of a generated dealer per customer.
VISITS_EACH = 6.9
EXPORT_DAY = date(2026, 9, 30)
PEERS = ("pandera on pandas", "pandera on polars", "pointblank on polars", "pointblank on duckdb")
#: About so many visits with which a worker does its work once before.
FEW = 1000
KINDS = ("present", "legal", "pattern", "least", "most", "range", "once", "order", "sum")
OURS, STAYS, WHOLE = "dealerkit", "dealerkit, which row stays", "dealerkit, whole audit"
#: What the kit says of rows of one key: the one that stays has merged the others, or they say something else.
KEYS_OF_THE_KIT = {"key_repeated", "key_used_twice"}
#: Kinds of checks that are left out.
_without: set[str] = set()
#: What the process is asked to do that makes the common input.
_PREPARES = "prepare"


@dataclass(frozen=True)
class Rule:
    """One check in words that every tool has.

    Attributes:
        id: name of the kit's check.
        kind: one of `KINDS`.
        column: the column it is about.
        limit: pattern, smallest or largest value, where the kind has one.
    """

    id: str
    kind: str
    column: str
    limit: object = None


def rules() -> list[Rule]:
    """The kit's checks of the table that all can express, read off the same declarations."""
    from dealerkit import formats, tables
    from dealerkit.params import CheckParams

    patterns = {"vin": formats.VIN, "plate": formats.PLATE, "mobile": formats.MOBILE}
    found = []
    for c in tables.TABLES[TABLE].columns:
        if c.required or c.expected:
            found.append(Rule(f"{c.name}_{'present' if c.required else 'filled'}", "present", c.name))
        if c.type != "text":
            found.append(Rule(f"{c.name}_legal", "legal", c.name))
        if c.type == "time":
            found.append(Rule(f"{c.name}_not_too_early", "least", c.name, CheckParams().earliest_date))
            found.append(Rule(f"{c.name}_not_in_future", "most", c.name, EXPORT_DAY))
        if c.format in patterns:
            found.append(Rule(f"{c.name}_legal", "pattern", c.name, patterns[c.format]))
        if c.lo is not None:
            found.append(Rule(f"{c.name}_in_range", "range", c.name, (c.lo, c.hi)))
    found.append(Rule("settled_after_opened", "order", "settled_at"))
    found.append(Rule("total_adds_up", "sum", "total_yuan", CheckParams().total_tolerance_yuan))
    found.append(Rule("key_once", "once", "order_id"))
    return [rule for rule in found if rule.kind not in _without]


def typed_columns() -> list[str]:
    """Columns that are more than text: these have their delivered text beside them."""
    from dealerkit import tables

    return [c.name for c in tables.TABLES[TABLE].columns if c.type != "text"]


# ---- the common input ----------------------------------------------------------------------------------------------


def prepare(folder: Path, orders: int, seed: int) -> None:
    """Generate, read and standardise the visits: `raw_service_orders.parquet` and `typed.parquet` in the folder, and the
    a few of both in its folder `few`."""
    from dealerkit import engine, tables
    from dealerkit.audit import standard
    from dealerkit.demo import generate
    from dealerkit.ingest import ingest
    from dealerkit.params import EngineParams, Params

    if not (folder / "raw").exists():
        generate("demo", folder / "raw", folder / "truth", customers=int(orders / VISITS_EACH), seed=seed)
    files = [{"file": p.name} for p in sorted((folder / "raw").glob("Repair orders*.csv"))]
    made = Params.model_validate({"dealer": "x", "display_name": "X", "files": files})
    ingest(made, folder / "raw", folder)
    connection = engine.connect(EngineParams(), folder / "spill")
    raw, table = connection.read_parquet(folder / f"raw_{TABLE}.parquet"), tables.TABLES[TABLE]
    rows = standard.typed(standard.plain_texts(raw.limit(orders), table), table, {})
    rows = rows.filter(rows["_kind"] == "row")
    texts = {f"{name}_text": standard.text_of(rows, name) for name in typed_columns()}
    money = {c.name: rows[c.name].cast("float64") for c in table.columns if c.type == "money"}
    place = {"number": rows["_row"], "file": rows["_file"], "filled": rows[standard.FILLED]}
    kept = rows.select(**{n: rows[n] for n in table.names} | money, **texts, **place)
    engine.write(kept, folder / "typed.parquet", ["file", "number"])
    (folder / "few").mkdir(exist_ok=True)
    for name, place in {"typed.parquet": ["file", "number"], f"raw_{TABLE}.parquet": ["_file", "_row"]}.items():
        rows = connection.read_parquet(folder / name)
        # one of so many, and not the first: these would end years before the day of the export
        engine.write(rows.filter(rows[place[1]] % max(orders // FEW, 1) == 0), folder / "few" / name, place)
    connection.disconnect()


# ---- the kit ---------------------------------------------------------------------------------------------------------


def run_kit(folder: Path, stays: bool = False) -> dict[str, int]:
    """The kit's own checks of that name, on the common input: counts, and the failing rows as Parquet."""
    from dealerkit import engine

    engine.settle()  # as a page does
    with engine.uncollected():
        return _checked_by_kit(folder, stays)


def _checked_by_kit(folder: Path, stays: bool) -> dict[str, int]:
    import ibis
    from dealerkit import engine, tables
    from dealerkit.audit import checking, checks, lookups
    from dealerkit.audit.kinds import Check
    from dealerkit.audit.standard import FILLED, TEXTS
    from dealerkit.params import EngineParams, Params

    table, params = tables.TABLES[TABLE], Params(dealer="x", display_name={"en": "X", "zh": "X"})
    connection = engine.connect(EngineParams(), folder / "spill")
    given = engine.read(connection, folder / "typed.parquet")
    texts = {n: given[f"{n}_text"] if n in typed_columns() else given[n] for n in table.names}
    place = {"_source": ibis.literal("dms"), "_file": given.file, "_sheet": ibis.literal(""), "_row": given.number}
    base = given.select(*table.names, **{TEXTS: ibis.struct(texts), FILLED: given.filled}, **place)
    wanted = {rule.id for rule in rules()}
    chosen = [c for c in checks.built_in(table, EXPORT_DAY, params.checks) if c.name in wanted]
    if "key_once" in wanted:
        # which row stays is asked of the rows twice: else the engine would first put all of them aside
        base = connection.create_view("records", base) if stays else base
        repeated = lookups.key_repeats(connection, {TABLE: base}, several=False)
        if not stays:
            base = base.mutate(x_again=repeated.again(base, table))
            chosen.append(
                Check(TABLE, "key_once", table.key, "duplication", "warn", "flagged", "", lambda t: t.x_again)
            )
        elif repeated.tables:
            base = lookups.with_ranks(base, table, params.sources, repeated)
            chosen += [c for c in checks.built_in(table, EXPORT_DAY, params.checks) if c.name in KEYS_OF_THE_KIT]
    fates = checking.with_fates(base, table, chosen)
    faults = checking.faults(checking.Checked(table, chosen, fates, None, fates, {}))
    # what the others list: in no order of its own, and not with whom a row is about
    with engine.batches_of(faults.drop("customer_id")) as batches:
        engine.write_batches(batches, batches.schema, folder / "faults_kit.parquet")
    faults = engine.read(connection, folder / "faults_kit.parquet")
    counted = engine.frame_of(faults.group_by("check").agg(n=faults.count())).set_index("check")["n"]
    return {c.name: int(counted.get(c.id, 0)) for c in chosen}


def run_whole(folder: Path) -> dict[str, int]:
    """The whole audit of the visits from their raw texts, all checks, fault rows and ledger."""
    from dealerkit import engine
    from dealerkit.audit import audit
    from dealerkit.params import EngineParams, Params

    params = Params.model_validate({"dealer": "x", "display_name": "X", "gate": "off", "delivered_on": EXPORT_DAY})
    connection = engine.connect(EngineParams(), folder / "spill")
    raw = {TABLE: engine.read(connection, folder / f"raw_{TABLE}.parquet")}
    done = audit(connection, raw, params)
    engine.write(done.faults, folder / "faults_whole.parquet", ["check", "file", "row"])
    return {row.check.split(".")[1]: int(row.failed) for row in done.results.itertuples()}


# ---- the others ------------------------------------------------------------------------------------------------------


def run_pandera(folder: Path, polars: bool) -> dict[str, int]:
    """All rules in one pandera schema, validated lazily, so that every failing row is reported."""
    if polars:
        import pandera.polars as pa
        import polars as pl

        rows, checks, column = pl.read_parquet(folder / "typed.parquet"), pandera_on_polars, pa.Column
    else:
        import pandas as pd
        import pandera.pandas as pa

        rows, checks, column = pd.read_parquet(folder / "typed.parquet"), pandera_on_pandas, pa.Column
    of_columns: dict[str, list] = {}
    of_rows = []
    for rule in rules():
        if rule.kind not in ("present", "once"):
            own, check = checks(rule)
            (of_columns.setdefault(rule.column, []) if own else of_rows).append(check)
    present = {r.column + ("_text" if r.column in typed_columns() else "") for r in rules() if r.kind == "present"}
    once = {r.column for r in rules() if r.kind == "once"}
    columns = {
        name: column(None, of_columns.get(name, []), nullable=name not in present, unique=name in once)
        for name in dict.fromkeys([*of_columns, *sorted(present), *sorted(once)])
    }
    schema = pa.DataFrameSchema(columns, checks=of_rows, strict=False)
    try:
        schema.validate(rows, lazy=True)
        return {}
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    name = "faults_pandera.parquet"
    cases.write_parquet(folder / name) if polars else cases.astype(str).to_parquet(folder / name)
    frame = cases.to_pandas() if polars else cases
    # Of a row that fails a check of several columns, pandas has a line per column.
    frame.loc[frame["schema_context"] != "Column", "column"] = None
    counted = frame.groupby(["column", "check"], dropna=False)["index"].nunique()
    return _named({(col, str(check)): int(n) for (col, check), n in counted.items()})


def _named(counted: dict[tuple, int]) -> dict[str, int]:
    """Failing rows by the kit's name of the check."""
    present = {
        r.column + ("_text" if r.column in typed_columns() else ""): r.id for r in rules() if r.kind == "present"
    }
    found: dict[str, int] = {}
    for (column, check), n in counted.items():
        name = check
        if check == "not_nullable":
            name = present[column]
        elif check == "field_uniqueness":
            name = "key_once"
        found[name] = found.get(name, 0) + n
    return found


def pandera_on_polars(rule: Rule):
    """(whether it is a check of one column, the check)."""
    import pandera.polars as pa
    import polars as pl

    c = pl.col(rule.column)
    if rule.kind == "pattern":
        return True, pa.Check.str_matches(rule.limit, name=rule.id)
    if rule.kind == "range":
        return True, pa.Check.in_range(*rule.limit, name=rule.id)
    expression = {
        "legal": lambda: c.is_not_null() | pl.col(f"{rule.column}_text").is_null(),
        "least": lambda: c.dt.date() >= rule.limit,
        "most": lambda: c.dt.date() <= rule.limit,
        "order": lambda: pl.col("settled_at").dt.date() >= pl.col("opened_at").dt.date(),
        "sum": lambda: (c - (pl.col("labour_yuan") + pl.col("parts_yuan") - pl.col("discount_yuan").fill_null(0))).abs() < rule.limit + 0.005,
    }[rule.kind]()  # fmt: skip
    return False, pa.Check(lambda data, e=expression: data.lazyframe.select(e.fill_null(True)), name=rule.id)


def pandera_on_pandas(rule: Rule):
    """(whether it is a check of one column, the check)."""
    import pandas as pd
    import pandera.pandas as pa

    if rule.kind == "pattern":
        return True, pa.Check.str_matches(rule.limit, name=rule.id)
    if rule.kind == "range":
        return True, pa.Check.in_range(*rule.limit, name=rule.id)
    if rule.kind == "least":
        return True, pa.Check.ge(pd.Timestamp(rule.limit), name=rule.id)
    if rule.kind == "most":
        return True, pa.Check.lt(pd.Timestamp(rule.limit) + pd.Timedelta(days=1), name=rule.id)
    c = rule.column
    condition = {
        "legal": lambda f: f[c].notna() | f[f"{c}_text"].isna(),
        "order": lambda f: ~(f["settled_at"].dt.normalize() < f["opened_at"].dt.normalize()),
        "sum": lambda f: ~((f[c] - (f["labour_yuan"] + f["parts_yuan"] - f["discount_yuan"].fillna(0))).abs() > rule.limit + 0.005),
    }[rule.kind]  # fmt: skip
    return False, pa.Check(condition, name=rule.id, ignore_na=False)


def run_pointblank(folder: Path, duckdb: bool) -> dict[str, int]:
    """All rules as steps of one pointblank validation, with the failing rows of each extracted."""
    import pointblank as pb
    import polars as pl

    if duckdb:
        import ibis

        rows = ibis.duckdb.connect().read_parquet(folder / "typed.parquet")
    else:
        rows = pl.read_parquet(folder / "typed.parquet")
    plan, done = pb.Validate(rows), rules()
    for rule in done:
        plan = _pointblank_step(plan, rule, duckdb)
    plan = plan.interrogate(extract_limit=10**9)
    failed = {rule.id: int(plan.n_failed(i=i, scalar=True)) for i, rule in enumerate(done, start=1)}
    extracts = plan.get_data_extracts()
    listed = [_listed(extracts[i], rule) for i, rule in enumerate(done, start=1) if failed[rule.id]]
    pl.concat(listed, how="diagonal").write_parquet(folder / "faults_pointblank.parquet")
    return failed


def _listed(rows, rule: Rule):
    """The failing rows of one step, with where they are and what failed; a polars frame."""
    import polars as pl

    place = [name for name in ("_row_num_", "file", "number", "order_id", rule.column) if name in rows.columns]
    return rows.select(list(dict.fromkeys(place))).with_columns(
        pl.col(rule.column).cast(pl.String), check=pl.lit(rule.id)
    )


def _pointblank_step(plan, rule: Rule, duckdb: bool):
    c = rule.column
    text = f"{c}_text" if c in typed_columns() else c
    if rule.kind == "present":
        return plan.col_vals_not_null(text)
    if rule.kind == "once":
        return plan.rows_distinct(columns_subset=[c])
    if rule.kind == "pattern":
        return plan.col_vals_regex(c, rule.limit, na_pass=True)
    if rule.kind == "range":
        return plan.col_vals_between(c, *rule.limit, na_pass=True)
    return plan.col_vals_expr(_duckdb_expression(rule, text) if duckdb else _polars_expression(rule, text))


def _polars_expression(rule: Rule, text: str):
    import polars as pl

    c = pl.col(rule.column)
    return {
        "legal": lambda: c.is_not_null() | pl.col(text).is_null(),
        "least": lambda: c.dt.date() >= rule.limit,
        "most": lambda: c.dt.date() <= rule.limit,
        "order": lambda: pl.col("settled_at").dt.date() >= pl.col("opened_at").dt.date(),
        "sum": lambda: (c - (pl.col("labour_yuan") + pl.col("parts_yuan") - pl.col("discount_yuan").fill_null(0))).abs() < rule.limit + 0.005,
    }[rule.kind]().fill_null(True)  # fmt: skip


def _duckdb_expression(rule: Rule, text: str):
    from ibis import _

    c = _[rule.column]
    return {
        "legal": lambda: c.notnull() | _[text].isnull(),
        "least": lambda: c.date() >= rule.limit,
        "most": lambda: c.date() <= rule.limit,
        "order": lambda: _.settled_at.date() >= _.opened_at.date(),
        "sum": lambda: (c - (_.labour_yuan + _.parts_yuan - _.discount_yuan.fill_null(0))).abs() < rule.limit + 0.005,
    }[rule.kind]().fill_null(True)  # fmt: skip


WORKERS = {
    OURS: run_kit,
    STAYS: lambda folder: run_kit(folder, stays=True),
    WHOLE: run_whole,
    PEERS[0]: lambda folder: run_pandera(folder, polars=False),
    PEERS[1]: lambda folder: run_pandera(folder, polars=True),
    PEERS[2]: lambda folder: run_pointblank(folder, duckdb=False),
    PEERS[3]: lambda folder: run_pointblank(folder, duckdb=True),
}


# ---- side by side ----------------------------------------------------------------------------------------------------


def worked(name: str, folder: Path) -> tuple[Usage, dict]:
    """One tool in a process of its own: what the process took, and its counts and what the work alone took."""
    used = measure([*_command(folder), "--worker", name], ROOT, _environment())
    return used, json.loads((folder / "done.json").read_text(encoding="utf-8"))


def _command(folder: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--keep", str(folder), "--without", *sorted(_without)]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "lib"), "PYTHONWARNINGS": "ignore"}


def work(name: str, folder: Path) -> None:
    """In the process of a tool: its work on a few visits, then, timed, on all; what it took is in `done.json`."""
    WORKERS[name](folder / "few")
    cpu, wall = time.process_time(), time.monotonic()
    counts = WORKERS[name](folder)
    done = {"counts": counts, "cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}
    (folder / "done.json").write_text(json.dumps(done), encoding="utf-8")


def compare(folder: Path, names: list[str], rounds: int) -> bool:
    """Run all tools in turns and print the table; whether the kit's work is the fastest."""
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    counts: dict[str, dict[str, int]] = {}
    for n in range(rounds):
        # in another order each time: what a tool leaves to the next one is then no one's alone
        for name in random.Random(n).sample(names, len(names)):
            used, done = worked(name, folder)
            counts[name], cpu, wall = done["counts"], done["cpu"], done["wall"]
            taken[name].append((cpu, wall, used.cpu - cpu, used.wall - wall, used.largest_mb))
    which = f"{len(rules())} checks" + (", all but that of keys given twice" if _without else "")
    print(f"{which}; {rounds} round{'s' * (rounds > 1)}, medians; from file to file, {os.cpu_count()} cores")
    heads = ("work CPU s", "work wall s", "start CPU s", "start wall s", "MB", "failing rows")
    print(f"{'':<28}" + "".join(f"{head:>14}" for head in heads))
    medians = {name: [statistics.median(values) for values in zip(*taken[name], strict=True)] for name in names}
    for name in names:
        *seconds, most = medians[name]
        times = "".join(f"{value:>14.2f}" for value in seconds)
        print(f"{name:<28}{times}{most:>14.0f}{sum(counts[name].values()):>14,}")
        for check, n in sorted(counts[name].items()):
            if name not in (STAYS, WHOLE) and n != counts[OURS].get(check, n):
                print(f"{'':<28}  {check}: {n:,} rows, by the kit {counts[OURS][check]:,}")
    ours = medians[OURS]
    others = [name for name in names if name in PEERS]
    slower = [n for n in others if medians[n][0] <= ours[0] or medians[n][1] <= ours[1]]
    print("the kit is the fastest" if not slower else f"not slower than the kit: {', '.join(slower)}")
    return not slower


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", nargs="*", default=list(WORKERS), help="tools to run beside the kit")
    parser.add_argument("--worker", choices=[*WORKERS, _PREPARES], help=argparse.SUPPRESS)
    parser.add_argument("--without", nargs="*", default=[], choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    _without.update(given.without)
    if given.worker == _PREPARES:
        prepare(given.keep, given.orders, given.seed)
        return 0
    if given.worker:
        work(given.worker, given.keep)
        return 0
    with tempfile.TemporaryDirectory() as base:
        folder = given.keep or Path(base)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "typed.parquet").exists():
            # in a process of its own: those started from here would show its memory as theirs
            asked = ["--worker", _PREPARES, "--orders", str(given.orders), "--seed", str(given.seed)]
            subprocess.run([*_command(folder), *asked], env=_environment(), check=True)
        names = list(dict.fromkeys([OURS, *given.only]))
        _without.add("once")
        fastest = [compare(folder, names, given.rounds)]
        _without.clear()
        fastest.append(compare(folder, names, given.rounds))
        return 0 if all(fastest) else 1


if __name__ == "__main__":
    sys.exit(main())
