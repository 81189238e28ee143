"""Bad input through the commands: words and exit code 2, or with `gate: off` pages that state what could not be computed."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

import msoffcrypto.format.ooxml
import pandas as pd
import pytest
import xlsxwriter
from helpers import PAGES, VISITS, InProcess, Project, as_files, small_dealer, small_disk, table

GATE_OFF = "gate: off\ndelivered_on: 2026-09-30\n"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def kit(project, monkeypatch, capsys):
    return InProcess(project, monkeypatch, capsys)


def changed(file: str, column: int, value: str, rows: slice = slice(None)) -> dict[str, str]:
    """A small dealer with one value written into a column of a file."""
    lines = small_dealer(60)
    for row in lines[file][rows]:
        row[column] = value
    return as_files(lines)


def personal_values(project: Project, dealer: str) -> set[str]:
    """Names, phones and VINs of the small dealer."""
    text = "".join(p.read_bytes().decode("utf-8", "replace") for p in (project.folder / "data/raw" / dealer).iterdir())
    return set(re.findall(r"Rider Number\d{4}|139\d{8}|L0XAA1B20KK\d{6}", text))


def refused(project: Project, done: tuple[int, str], dealer: str, *words: str) -> str:
    """The command refused in words: exit code 2, these words and a remedy, nothing personal, nothing half-written."""
    code, said = done
    assert code == 2, said
    for word in words:
        assert word in said, said
    assert re.search(r"\n +→ \w", said), said
    assert "Traceback" not in said and 'File "' not in said
    assert not [value for value in personal_values(project, dealer) if value in said]
    build = project.folder / "build" / dealer
    assert not (project.folder / "reports").exists()
    assert not (build / "10-audit").exists() and not (build / "10-audit.ipynb").exists()
    if build.exists():
        status = json.loads((build / "status.json").read_text(encoding="utf-8"))
        assert status["code"] == 2 and status["message"] in said
    return said


# ---- what the files hold ----------------------------------------------------------------------------------------

ENTRY = 'files:\n  - {file: "visits.csv"}\n  - {file: "vehicles.csv"}\n  - {file: "customers.csv"}\n'
FINE = as_files(small_dealer(60))


def twice(text: str, column: int) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join([*cells, cells[column]]) for cells in lines) + "\n"


def without(text: str, column: int) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join(cells[:column] + cells[column + 1 :]) for cells in lines) + "\n"


REFUSED = {
    "a file named in the params is missing": (
        {k: v for k, v in FINE.items() if k != "visits.csv"} | {"visit.csv": FINE["visits.csv"]},
        ENTRY,
        ["no file 'visits.csv' in the raw folder", "nearest: 'visit.csv'", "mend file: in the params"],
    ),
    "an empty file": (
        FINE | {"visits.csv": ""},
        "",
        ["visits.csv: the file is empty (0 bytes)", "export it again"],
    ),
    "no file at all": ({}, "", ["the raw folder holds no file", "put the dealer's exports there"]),
    "the encoding named is wrong": (
        FINE | {"visits.csv": table("工单号,车架号,送修日期", [["R1", "V1", "2026-01-01"]]).encode("gb18030")},
        ENTRY.replace('"visits.csv"', '"visits.csv", encoding: utf-8'),
        ["visits.csv: cannot be read as text: not UTF-8 (byte 0xB9 at position 1, line 1)"],
    ),
    "no encoding fits": (
        FINE | {"visits.csv": FINE["visits.csv"].encode() + b"R9,\xff\xff,,\n"},
        "",
        ["visits.csv: cannot be read as text: not UTF-8 (byte 0xFF", "not GB18030 (byte 0xFF", "line 182"],
    ),
    "a required column is missing": (
        FINE | {"visits.csv": without(FINE["visits.csv"], VISITS.split(",").index("opened_at"))},
        "",
        ["visits.csv", "opened_at", "Opened at", "送修日期"],
    ),
    "a column twice": (
        FINE | {"visits.csv": twice(FINE["visits.csv"], VISITS.split(",").index("opened_at"))},
        "",
        ["visits.csv", "the same header twice for opened_at", 'columns: {opened_at: "'],
    ),
    "dates that are none": (
        changed("visits.csv", 3, "next week"),
        "",
        ["opened_at", "first in visits.csv, row 2: 'ne***k'", "allowed: 2026-01-05", "check the date column"],
    ),
    "half the dates are none": (
        changed("visits.csv", 3, "2026-02-30", slice(0, 120)),
        "",
        [
            "service_orders: 120 of 180 rows (67%) are in quarantine",
            "opened_at: 120 rows",
            "first in visits.csv, row 2: '2026-02-30'",
            "allowed: 30%",
            "allowed: 2026-01-05",
        ],
    ),
    "VINs that are none": (
        changed("visits.csv", 1, "", slice(0, 120)),
        "",
        [
            "service_orders: 120 of 180 rows (67%) are in quarantine",
            "vin: 120 rows",
            "first in visits.csv, row 2",
            "17 letters and digits",
        ],
    ),
    "0 rows": (
        as_files({"customers.csv": [], "vehicles.csv": [], "visits.csv": []}),
        "delivered_on: 2026-09-30\n",
        ["service_orders: 0 usable rows, needed: 50", "`gate: off` reports all the same"],
    ),
    "0 rows and no day": (
        as_files({"customers.csv": [], "vehicles.csv": [], "visits.csv": []}),
        "gate: off\n",
        ["no row has a readable date in opened_at", "delivered_on"],
    ),
    "1 customer": (as_files(small_dealer(1)), "", ["service_orders: 3 usable rows, needed: 50", "`gate: off`"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_cannot_carry_a_report_are_refused_in_words(project, kit, case):
    files, params, words = REFUSED[case]
    project.dealer("small", files, params)
    refused(project, kit.execute("small"), "small", *words)


def test_a_workbook_with_a_password(project, kit, tmp_path):
    raw = project.dealer("small", FINE)
    with xlsxwriter.Workbook(tmp_path / "open.xlsx") as book:
        book.add_worksheet("visits").write_row(0, 0, VISITS.split(","))
    with open(tmp_path / "open.xlsx", "rb") as stream, open(raw / "visits.xlsx", "wb") as out:
        msoffcrypto.format.ooxml.OOXMLFile(stream).encrypt("open sesame", out)
    said = refused(project, kit.execute("small"), "small", "visits.xlsx: the workbook is protected by a password")
    assert "take the password off" in said and "sesame" not in said


def test_all_problems_come_at_once(project, kit):
    project.dealer("small", FINE | {"visits.csv": "", "customers.csv": ""})
    refused(project, kit.execute("small"), "small", "2 problems", "visits.csv", "customers.csv")


# ---- params and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, words",
    [
        ("windos: {lost_months: 3}", ["params/small.yaml: 1 problem", "windos: unknown key; nearest: 'windows'"]),
        (
            "windows: {lost_month: 3}",
            ["windows.lost_month: unknown key; nearest: 'lost_months'; allowed: active_months"],
        ),
        ("gate: {min_rows: many}", ["gate.min_rows = 'many'", "integer"]),
        ("delivered_on: 2026-02-30", ["delivered_on", "date"]),
        ("windows: {lost_months: 3", ["params/small.yaml, line", "not valid YAML"]),
    ],
)
def test_params_that_are_wrong(project, kit, line, words):
    project.dealer("small", FINE, line + "\n")
    refused(project, kit.execute("small"), "small", *words)


def test_an_unknown_dealer(project, kit):
    project.dealer("harbour", FINE)
    words = "no dealer 'habour': params/habour.yaml is missing; nearest: 'harbour'", "known dealers: harbour"
    refused(project, kit.execute("habour"), "harbour", *words)


@pytest.mark.parametrize("name", ["../small", "two words", "small;touch x", "small\n", "", "$(touch x)", "-small"])
def test_names_that_are_none(project, kit, name):
    project.dealer("small", FINE)
    before = set(project.files("."))
    code, said = kit("execute", "--dealer=" + name, "--stage", "10-audit")
    assert code == 2 and f"DEALER={name!r} is not a dealer's name" in said and "→ use 1 to 64 letters" in said
    assert set(project.files(".")) == before


@pytest.mark.parametrize(
    "asked, words",
    [
        ("2030-01-01", ["as_of 2030-01-01 lies", "after the last well-filled day", "correct AS_OF="]),
        ("1990-01-01", ["as_of 1990-01-01 lies before the first visit", "correct AS_OF="]),
        ("soon", ["as_of 'soon' is no date", "2026-06-30"]),
    ],
)
def test_a_day_that_cannot_be(project, kit, monkeypatch, asked, words):
    project.dealer("small", FINE)
    monkeypatch.setenv("AS_OF", asked)
    refused(project, kit.execute("small"), "small", *words)


def test_a_future_day_of_export(project, kit):
    project.dealer("small", FINE, "delivered_on: 2031-01-01\n")
    refused(project, kit.execute("small"), "small", "as_of 2031-01-01 lies", "delivered_on in the params")


def test_threads_that_are_no_number(project, kit, monkeypatch):
    project.dealer("small", FINE)
    monkeypatch.setenv("DEALERKIT_THREADS", "two")
    refused(project, kit.execute("small"), "small", "DEALERKIT_THREADS='two'", "a whole number from 1")


# ---- disk and permissions -----------------------------------------------------------------------------------------


def test_a_full_disk_of_its_own(project):
    """A real file system without room under build/, where mounting one is allowed."""
    project.dealer("small", FINE)
    build = project.folder / "build"
    with small_disk(build, "32k"):
        done = project.kit("execute", "--dealer", "small", "--stage", "10-audit")
        left = [p.name for p in (build / "small").iterdir()]
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr and "→ free some space" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "10-audit" not in left and "10-audit.ipynb" not in left


@pytest.mark.parametrize(
    "number, words",
    [(errno.ENOSPC, ["the disk is full", "→ free some space"]), (errno.EACCES, ["no permission", "→ give yourself"])],
)
@pytest.mark.parametrize("step", ["folder", "notebook"])
def test_a_disk_that_takes_nothing(project, kit, monkeypatch, number, words, step):
    project.dealer("small", FINE)

    def refuses(self, *_arguments, **_named):
        raise OSError(number, os.strerror(number), str(self))

    target = (Path, "mkdir") if step == "folder" else (Path, "replace")
    with monkeypatch.context() as patch:
        patch.setattr(*target, refuses)
        code, said = kit.execute("small")
    assert code == 2 and all(word in said for word in words), said
    assert "Traceback" not in said and str(project.folder) not in said
    assert not (project.folder / "build/small/10-audit.ipynb").exists()


def test_a_folder_without_write_permission(project, kit):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    project.dealer("small", FINE)
    (project.folder / "build").mkdir(mode=0o500)
    code, said = kit.execute("small")
    assert code == 2 and "no permission for build" in said and "chmod u+w" in said and "Traceback" not in said


# ---- gate: off ----------------------------------------------------------------------------------------------------

STATED = {
    "0 rows": (
        as_files({"customers.csv": [], "vehicles.csv": [], "visits.csv": []}),
        [
            "The table Workshop visits was delivered, but no row of it can be used.",
            "The table Customers was delivered, but no row",
        ],
    ),
    "0 visits": (
        as_files(small_dealer(3) | {"visits.csv": []}),
        ["The table Workshop visits was delivered, but no row of it can be used.", "No workshop visit has an amount."],
    ),
    "1 customer": (as_files(small_dealer(1)), ["The purchase model could not be fitted"]),
    "all customers equal": (as_files(small_dealer(60, equal=True)), ["The purchase model could not be fitted"]),
    "dates that are none": (
        changed("visits.csv", 3, "next week"),
        ["The table Workshop visits was delivered, but no row of it can be used."],
    ),
    "text in a money column": (changed("visits.csv", 8, "a lot"), ["No workshop visit has an amount."]),
}


@pytest.mark.parametrize("case", STATED)
def test_without_the_gate_pages_state_what_could_not_be_computed(project, kit, case):
    files, stated = STATED[case]
    project.dealer("small", files, GATE_OFF)
    pages = kit.report("small")
    assert set(pages) == set(PAGES)
    plain = {name: re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)) for name, page in pages.items()}
    for words in stated:
        assert words in plain["index.html"], words
    for name, text in plain.items():
        assert not re.search(r"\b(nan|NaN|NaT|inf|None)\b", _visible(pages[name])), name
        assert not [value for value in personal_values(project, "small") if value in text]


def _visible(page: str) -> str:
    """Words of a page, without its code and style."""
    page = re.sub(r"(?s)<(style|script|pre|code)\b.*?</\1>", " ", page)
    return re.sub(r"<[^>]+>", " ", page)


def test_text_in_a_money_column_is_named_with_its_place(project, kit):
    project.dealer("small", changed("visits.csv", 8, "a lot", slice(4, 5)), "delivered_on: 2026-09-30\n")
    page = re.sub(r"\s+", " ", _visible(kit.report("small", ("10-audit",))["10-audit.html"]))
    assert re.search(
        r"Workshop visits Total, yuan not a number Format legality 1 0\.\d % value set to unknown \S.{1,12} a\*\*\*",
        page,
    )


# ---- the whole command, once per way of failing -------------------------------------------------------------------


def test_make_ends_with_2_and_words(project):
    project.dealer("small", REFUSED["half the dates are none"][0])
    done = project.make("report", "DEALER=small")
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert "small · 10-audit: the data cannot carry a report" in said and "first in visits.csv, row 2" in said
    assert "Traceback" not in said and not [v for v in personal_values(project, "small") if v in said]
    assert not (project.folder / "reports/small").exists()
    status = json.loads((project.folder / "build/small/status.json").read_text(encoding="utf-8"))
    assert status["code"] == 2 and status["stage"] == "10-audit"


def test_the_command_ends_with_2_before_a_notebook_starts(project):
    project.dealer("small", FINE, "windos: 3\n")
    done = project.kit("execute", "--dealer", "small", "--stage", "10-audit")
    assert done.returncode == 2 and "nearest: 'windows'" in done.stderr and "Traceback" not in done.stderr


# ---- what cells hold, survived ------------------------------------------------------------------------------------

STAGED = ("10-audit", "20-customers")


def survived(
    project: Project, kit: InProcess, name: str, files: dict, params: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first two stages end with 0 and say nothing personal; results of the checks by id, and the ledger's sums by table."""
    project.dealer(name, files, GATE_OFF + params)
    for stage in STAGED:
        code, said = kit.execute(name, stage)
        assert code == 0, said
        assert not [value for value in personal_values(project, name) if value in said]
    build = project.folder / "build" / name / "10-audit"
    ledger = pd.read_parquet(build / "ledger.parquet").groupby("table")[["raw", "clean", "quarantined", "merged"]].sum()
    assert (ledger["raw"] == ledger["clean"] + ledger["quarantined"] + ledger["merged"]).all()
    return pd.read_parquet(build / "results.parquet").set_index("check"), ledger


def test_tables_of_nothing_but_keys_and_rows_all_given_twice(project, kit):
    rows = small_dealer(60)
    files = as_files(rows | {"visits.csv": [*rows["visits.csv"], *rows["visits.csv"]]})
    files["customers.csv"] = table("customer_id", [row[:1] for row in rows["customers.csv"]])
    files["vehicles.csv"] = table("vin", [row[:1] for row in rows["vehicles.csv"]])
    named = [f"  - {{file: {n}.csv, tables: [{t}]}}" for n, t in (("customers", "customers"), ("vehicles", "vehicles"), ("visits", "service_orders"))]  # fmt: skip
    results, ledger = survived(project, kit, "bare", files, "files:\n" + "\n".join(named) + "\n")
    assert ledger.loc["customers"].tolist() == ledger.loc["vehicles"].tolist() == [60, 60, 0, 0]
    assert ledger.loc["service_orders"].tolist() == [360, 180, 0, 180]
    assert results.loc["service_orders.key_repeated", "failed"] == 180
    for check in ("customers.name_filled", "customers.phone_filled", "vehicles.plate_filled", "vehicles.series_filled"):
        assert results.loc[check, ["checked", "failed"]].tolist() == [60, 60], check
    # who has which car is told by the visits
    filled = pd.read_parquet(project.folder / "build/bare/10-audit/supplied.parquet")
    owners = filled.query("table == 'vehicles' and column == 'customer_id'")
    assert len(owners) == 60 and set(owners["from_table"]) == {"service_orders"}


def test_a_crowd_on_one_phone_and_a_fleet_of_5000_cars(project, kit):
    rows = small_dealer(3_100, visits=1)
    for row in rows["customers.csv"][:3_000]:
        row[2] = "13900009999"
    for n in range(5_000):
        car = f"L0XBB1B2{n % 10}KK{n:06d}"
        rows["vehicles.csv"].append([car, "C3050", "Series1", "2020-03-01"])
        rows["visits.csv"].append([f"F{n}", car, "C3050", f"2026-0{n % 8 + 1}-05 09:00", f"2026-0{n % 8 + 1}-05 11:00", 1000 + n, 100, 200, 300])  # fmt: skip
    began = time.process_time()
    results, ledger = survived(project, kit, "crowd", as_files(rows))
    assert time.process_time() - began < 60
    assert results.loc["customers.phone_shared", "failed"] == 3_000
    assert ledger.loc["vehicles", "clean"] == 8_100
    persons = pd.read_parquet(project.folder / "build/crowd/20-customers/persons.parquet")
    assert len(persons) >= 3_000 and persons["records_count"].max() < 10, "strangers on one phone are no person"
    cars = pd.read_parquet(project.folder / "build/crowd/20-customers/cars.parquet")
    assert cars["person_id"].value_counts().iloc[0] == 5_001


WILD = {
    ("customers.csv", 1): {0: "王", 1: "X", 2: "😀👨\u200d👩", 3: "Wu\x07\x1bFang\u202e", 4: '=HYPERLINK("http://example.com","13900000004")', 5: "@SUM(1)"},
    ("visits.csv", 3): {9: "1900-01-01 09:00", 10: "9999-12-31 23:59", 11: "=NOW()"},
    ("vehicles.csv", 3): {7: "9999-12-31", 8: "1900-01-01"},
    ("visits.csv", 8): {20: "-300", 21: "-99999999999999999999", 22: '=SUM(A1:A9)'},
}  # fmt: skip


def test_emoji_formulas_control_characters_and_impossible_days_go_through_the_whole_report(project, kit):
    rows = small_dealer(80)
    for (file, column), values in WILD.items():
        for number, value in values.items():
            rows[file][number][column] = value
    results, ledger = survived(project, kit, "wild", as_files(rows))
    failed = results["failed"]
    assert failed["service_orders.opened_at_not_too_early"] == failed["service_orders.opened_at_not_in_future"] == 1
    assert failed["service_orders.opened_at_legal"] == 1 and failed["service_orders.total_yuan_legal"] >= 1
    assert failed["service_orders.total_yuan_in_range"] >= 1
    assert failed["vehicles.purchased_on_not_in_future"] == failed["vehicles.purchased_on_not_too_early"] == 1
    assert ledger.loc["service_orders"].tolist() == [240, 237, 3, 0]
    said = " ".join(results.query("failed > 0")["message"])
    assert "a formula instead of a value" in said and "characters that nobody can type" in said
    assert not re.search(r"HYPERLINK|example\.com|139\d{8}", " ".join(results["examples"]))
    pages = kit.report("wild", done=STAGED)
    assert set(pages) == set(PAGES)
    for name, page in pages.items():
        assert not re.search(r"\b(nan|NaN|NaT|inf)\b", _visible(page)), name
        assert not re.search(r"139\d{8}|\x1b|\u202e|=HYPERLINK", page), name


@pytest.mark.parametrize("mark", ["", '"'])
def test_60_mb_in_one_cell(project, kit, mark):
    rows = as_files(small_dealer(60))
    lines = rows["customers.csv"].splitlines()
    cells = lines[5].split(",")
    lines[5] = ",".join([cells[0], mark + "x" * 60_000_000 + mark, *cells[2:]])
    project.dealer("long", rows | {"customers.csv": "\n".join(lines) + "\n"}, GATE_OFF)
    code, said = kit.execute("long")
    assert code == 0, said
    build = project.folder / "build/long/10-audit"
    out = pd.read_parquet(build / "quarantine.parquet").query("table == 'customers'")
    assert out[["file", "row", "reasons"]].values.tolist() == [["customers.csv", 6, "not_a_record.long"]]
    assert sum(p.stat().st_size for p in build.iterdir()) < 2_000_000, "the cell is not carried along"
