"""Raw = clean + quarantined + merged, whatever is delivered: files made by Hypothesis go through reading and checking.

A few examples in the usual run; `pytest --hypothesis-profile=many tests/test_conservation.py` tries many, in ten minutes
at most.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from dealerkit import engine, tables
from dealerkit.audit import audit
from dealerkit.errors import UserError
from dealerkit.ingest import ingest
from dealerkit.params import EngineParams, Params
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 10 if settings.get_current_profile_name() == "steady" else settings().max_examples
BREAK = re.compile("\r\n|\r|\n")

VINS = ["LSVAA4086E2000001", "lsv aa408 6e2000001", "LSVAA4088E2000002", "LSVAA408XE2000003", "LSVAA4086E2O00003"]
#: What a cell may hold, by column; all others hold `ANY`.
POOLS = {
    "vin": [*VINS, "", "-"],
    "plate": ["沪A12345", "沪a·12345", "沪AD12345", "浙B00001", "A1", ""],
    "order_id": ["R1", "R2", "R3", "R4", "R1 ", "", "Total"],
    "customer_id": ["C1", "C2", "C3", "cc:C1", "", "合计"],
    "contact_id": ["K1", "K2", ""],
    "lead_id": ["L1", "L2", ""],
    "opened_at": ["2026-05-05", "2026/5/6 9:05", "46027", "5/1/2026", "13/1/2026", "1900-01-01", "9999-12-31", "soon", ""],
    "created_at": ["2026-05-05", "2026-06-01", "9999-12-31", ""],
    "phone": ["13800138000", "+86 138 0013 8000", "12345", "", "13900000001"],
    "id_number": ["11010519491231002X", "110105194912310021", "110105199002290013", "91110000600037341L", ""],
    "name": ["王", "王小明", "😀", "a\x00b", "=HYPERLINK(\"x\")", "line\nbreak", "say \"so\"", ""],
}  # fmt: skip
ANY = ["", "-", "男", "f", "保养", "是", "¥1,234.5万", "-20", "1e400", "9" * 40, "2026-02-30", "1900-01-01", "9999-12-31", "\x1f", "'; drop table", "１２３", "x" * 300, "None", "nan"]  # fmt: skip
#: An audit takes as long with many rows as with few: so files are many and full, and deliveries need not be.
MOST_FILES, MOST_ROWS = 3, 16
TABLES = ("customers", "vehicles", "contacts", "leads", "service_orders")


def cell(column: str):
    return st.sampled_from(POOLS.get(column, ANY)) | st.sampled_from(ANY) | st.text(max_size=8)


@st.composite
def a_file(draw, name: str) -> tuple[str, list[list[str]]]:
    """Header and lines of a file that feeds a table: columns left out, repeated, in any order; rows of any length."""
    table = tables.TABLES[name]
    needed = [c.name for c in table.columns if c.required]
    if name == "service_orders" and draw(st.booleans()):
        needed = ["plate" if c == "vin" else c for c in needed]
    rest = [c for c in table.names if c not in needed]
    some = draw(st.lists(st.sampled_from(rest), unique=True, min_size=2, max_size=8))
    columns = draw(st.permutations(needed + some))
    if draw(st.integers(0, 29)) == 17:
        columns = columns[:-1]  # maybe a required one
    spelled = [draw(st.sampled_from([c, table[c].zh, table[c].en])) for c in columns]
    if draw(st.integers(0, 29)) == 17:
        spelled.append(spelled[0])
        columns = [*columns, columns[0]]
    row = st.tuples(*[cell(c) for c in columns]).map(list)
    lines = draw(st.lists(row, min_size=1, max_size=MOST_ROWS))
    for kind in draw(st.lists(st.sampled_from(["twice", "header", "long", "short", "blank", "total"]), max_size=4)):
        one = lines[draw(st.integers(0, len(lines) - 1))]
        odd = {"twice": list(one), "header": list(spelled), "long": [*one, "more", "cells"], "short": one[: len(one) // 2],
               "blank": ["" for _ in one], "total": ["合计", *one[1:]]}[kind]  # fmt: skip
        lines.insert(draw(st.integers(0, len(lines))), odd)
    return spelled, lines


@st.composite
def a_delivery(draw) -> dict:
    """Files of a dealer (name → encoding, source, text, line numbers of its rows), and sources."""
    sources = draw(st.sampled_from([["dms"], ["dms", "cc"], ["cc", "dms"]]))
    more = draw(st.lists(st.sampled_from(TABLES[:-1]), unique=True, max_size=2))
    files = {}
    for name in ["service_orders", *more]:
        for number in range(draw(st.integers(1, MOST_FILES))):
            header, lines = draw(a_file(name))
            source = draw(st.sampled_from(sources))
            encoding = draw(st.sampled_from(["utf-8", "gb18030"]))
            files[f"{name} {number}.csv"] = (name, source, encoding, *written([header, *lines]))
    return {"sources": sources, "files": files}


def written(lines: list[list[str]]) -> tuple[str, list[int], list[int]]:
    """The text of a CSV file; the number of the first line of each row that says anything, and of each that may be taken
    for one, since it holds characters that some take for blanks."""
    out, places, maybe = io.StringIO(), [], []
    writer = csv.writer(out)  # ends lines with both characters, so that a cell with either is quoted
    for at, cells in enumerate(lines):
        number = len(BREAK.findall(out.getvalue())) + 1
        writer.writerow(cells)
        if at and any(c.strip() for c in cells):
            places.append(number)
        elif at and any(c.strip(" ") for c in cells):
            maybe.append(number)
    return out.getvalue(), places, maybe


def read_and_checked(delivery: dict, folder: Path):
    """What ingest and audit make of it; None where they refuse it in words."""
    entries = []
    for file, (table, source, encoding, text, *_places) in delivery["files"].items():
        (folder / file).write_bytes(text.encode(encoding, "replace"))
        entries.append({"file": file, "tables": [table], "source": source, "encoding": encoding, "delimiter": ",", "header_row": 1})  # fmt: skip
    made = Params.model_validate({"dealer": "x", "display_name": "X", "gate": "off", "sources": delivery["sources"], "files": entries})  # fmt: skip
    out = folder.parent / "out"
    connection = engine.connect(EngineParams(threads=1))
    try:
        read = ingest(made, folder, out)
        raw = {name: connection.read_parquet(t.path, table_name=f"given_{name}") for name, t in read.tables.items()}
        done = audit(connection, raw, made)
    except UserError as error:
        assert "→" in str(error) and "Traceback" not in str(error)
        assert not [v for v in (*VINS[:4], "13800138000", "11010519491231002X", "王小明") if v in str(error)]
        connection.disconnect()
        return None
    frames = {name: pd.read_parquet(t.path) for name, t in read.tables.items()}
    held = {name: rows.to_pandas() for name, rows in done.clean.items()}
    kept = (frames, held, done.quarantine.to_pandas(), done.merged.to_pandas(), done.ledger)
    connection.disconnect()
    return kept


def places(frame: pd.DataFrame, file: str = "_file", row: str = "_row") -> Counter:
    return Counter(zip(frame[file], frame[row]))


# Making a failing delivery smaller takes minutes: what it prints is small enough.
@settings(max_examples=EXAMPLES, phases=[Phase.generate], report_multiple_bugs=False)
@given(a_delivery())
def test_no_row_is_lost_or_doubled(delivery):
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "raw"
        folder.mkdir()
        kept = read_and_checked(delivery, folder)
    if kept is None:
        return
    raw, clean, quarantine, merged, ledger = kept
    for name, rows in raw.items():
        of = {fate: frame[frame["table"] == name] for fate, frame in (("quarantine", quarantine), ("merged", merged))}
        found = places(clean[name]) + places(of["quarantine"], "file", "row") + places(of["merged"], "file", "row")
        assert found == places(rows), name
        # a row that was merged names one that stayed
        into = set(zip(of["merged"]["into_file"], of["merged"]["into_row"]))
        assert into <= set(places(clean[name])) | set(places(of["quarantine"], "file", "row")), name
        keys = clean[name][list(tables.TABLES[name].key)]
        assert not keys.duplicated().any() and not keys.isna().any().any(), name
        counted = ledger[ledger["table"] == name].set_index(["source", "file"])
        for place, part in rows.groupby(["_source", "_file"]):
            row = counted.loc[place]
            assert row["raw"] == len(part) == row["clean"] + row["quarantined"] + row["merged"], place
    for file, (table, _source, _encoding, _text, numbers, maybe) in delivery["files"].items():
        read = raw[table][(raw[table]["_file"] == file) & ~raw[table]["_derived"]]
        assert Counter(n for n in read["_row"] if n not in maybe) == Counter(numbers), file


def test_the_law_is_checked_and_not_only_stated(tmp_path):
    """The files above do reach the end: a delivery without anything odd is not refused."""
    header = ["order_id", "vin", "opened_at", "customer_id"]
    lines = [
        header,
        ["R1", VINS[0], "2026-05-05", "C1"],
        ["R1", VINS[0], "2026-05-05", ""],
        ["R2", "", "2026-05-06", ""],
    ]
    text, numbers, maybe = written(lines)
    folder = tmp_path / "raw"
    folder.mkdir()
    kept = read_and_checked(
        {"sources": ["dms"], "files": {"a.csv": ("service_orders", "dms", "utf-8", text, numbers, maybe)}}, folder
    )
    raw, clean, quarantine, merged, _ledger = kept
    assert numbers == [2, 3, 4] and len(raw["service_orders"]) == 3
    assert list(clean["service_orders"]["order_id"]) == ["R1"] and list(merged["into_row"]) == [2]
    assert list(quarantine.query("table == 'service_orders'")["reasons"]) == ["service_orders.vin_present"]


def test_there_are_profiles_for_few_and_many():
    with pytest.raises(Exception, match="nowhere"):
        settings.get_profile("nowhere")
    assert settings.get_profile("many").max_examples >= 200 and EXAMPLES >= 10
