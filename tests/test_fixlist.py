"""The fix list: written encrypted, filled in by staff with whatever program, read back, and never written over."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import python_calamine
import xlsxwriter
from dealerkit import books, engine, fixlist, tables
from dealerkit import params as params_
from dealerkit.audit import Audited, audit, returned
from dealerkit.chain.folders import Folders
from dealerkit.errors import UserError
from dealerkit.fixlist import writing
from dealerkit.fixlist.lines import DEALER, HEADINGS, LINES, REASONS, reference
from dealerkit.ingest import ingest
from dealerkit.report.translate import Translator
from dealerkit.report.workbook import Column, Guide, Sheet, save
from helpers import Project, as_files, small_dealer

SECRET = "Harbour-Road 2026 kelp"
WIDE = ("table", "column", "key")


@pytest.fixture(autouse=True, scope="module")
def with_password():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(books.PASSWORD, SECRET)
        for name in ("REPORT_LANG", "AS_OF", "DEALERKIT_THREADS"):
            patch.delenv(name, raising=False)
        yield


# ---- a dealer on disk, audited as the notebook does it ------------------------------------------------------------


@dataclass
class Dealer:
    """A dealer's folders, audited into the build as the first page does it."""

    folders: Folders
    connection: object
    audited: Audited | None = None

    def audit(self) -> None:
        folders, params = self.folders, self.folders.params()
        read = ingest(params, folders.raw, folders.build / "raw")
        raw = {name: self.connection.read_parquet(t.path) for name, t in read.tables.items()}
        back = fixlist.returned(folders.raw, folders.dealer)
        self.keep(audit(self.connection, raw, params, None, back.corrections))

    def keep(self, done: Audited) -> None:
        """Save what the page saves."""
        made = self.folders.build / "10-audit"
        made.mkdir(parents=True)
        for name, rows in (
            done.clean | {"faults": done.faults, "merged": done.merged, "supplied": done.supplied}
        ).items():
            rows.to_pandas().to_parquet(made / f"{name}.parquet")
        engine.write_frame(done.results, made / "results.parquet")
        engine.write_frame(done.corrected, made / "corrected.parquet")
        facts = {"as_of": {"value": done.as_of.day.isoformat()}}
        (made / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        self.audited = done

    @property
    def path(self) -> Path:
        return self.folders.reports / writing.NAME

    def lines(self) -> pd.DataFrame:
        """Every line of the list that was written, with canonical table and column."""
        return _lines_in(self.path.read_bytes()).copy()

    def put(self, name: str, content: bytes | str) -> Path:
        """A file in `returned/`."""
        path = self.folders.raw / "returned" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path


@cache
def _lines_in(content: bytes) -> pd.DataFrame:
    sheets = books.grids(books.opened(content, "x"), "x")
    return pd.DataFrame([line for sheet in sheets for line in lines_of(sheet)])


def lines_of(sheet: books.Grid) -> list[dict]:
    if not sheet.rows or "Reference" not in sheet.rows[0][1]:
        return []
    spelt = {text: name for name, text in HEADINGS.items()}
    names = [spelt[text] for text in sheet.rows[0][1]]
    out = []
    for _, row in sheet.rows[1:]:
        line = dict(zip(names, row, strict=True)) | {"desk": sheet.name}
        table, column, _sum = line["reference"].split(".")
        out.append(line | {"table": table, "column": column})
    return out


def dealer_in(
    folder: Path, connection, name: str = "small", params: str = "", raw: Path | None = None, **files
) -> Dealer:
    (folder / "params").mkdir()
    (folder / f"params/{name}.yaml").write_text(f"display_name: Test\n{params}", encoding="utf-8")
    dealer = Dealer(Folders(folder, name), connection)
    if raw:
        shutil.copytree(raw, dealer.folders.raw)
    dealer.folders.raw.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (dealer.folders.raw / file.replace("__", ".")).write_text(text, encoding="utf-8")
    return dealer


def supplied_cells(dealer: Dealer) -> set[tuple[str, str]]:
    """Customer and column of every gap of the customers that was filled from elsewhere."""
    rows = dealer.audited.supplied.to_pandas().query("table == 'customers'")
    return set(zip(rows["key"], rows["column"], strict=True))


# ---- what staff do with it ----------------------------------------------------------------------------------------


def filled(
    content: bytes, answers: dict[tuple, object], change=lambda name, rows: rows, drop_properties=False
) -> bytes:
    """The workbook as another program saves it, not encrypted: with answers by (table, column, key), dates and numbers
    as such, a formula where a text begins with ``=``; ``change`` may do anything to the rows of a sheet."""
    plain = books.opened(content, "x")
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for name, text in {} if drop_properties else books.properties(plain).items():
        book.set_custom_property(name, text, "text")
    for sheet in books.grids(plain, "x"):
        rows = [list(row) for _, row in sheet.rows]
        for line, row in zip(lines_of(sheet), rows[1:], strict=False):
            value = answers.get(tuple(line[k] for k in WIDE))
            if value is not None:
                row[rows[0].index(HEADINGS["reason" if value in REASONS.values() else "now"])] = value
        page = book.add_worksheet(sheet.name)
        for r, row in enumerate(change(sheet.name, rows)):
            for c, value in enumerate(row):
                if isinstance(value, (date, datetime)):
                    page.write_datetime(r, c, value, day)
                elif isinstance(value, str) and value.startswith("="):
                    page.write_formula(r, c, value, None, "shown")
                elif isinstance(value, str):
                    page.write_string(r, c, value)
                else:
                    page.write(r, c, value)
    book.close()
    return out.getvalue()


def csv_line(
    table: str, key: str, column: str, was: str, now: str, reason: str = "", dealer: str = "small"
) -> list[str]:
    return [key, was, now, reason, reference(dealer, table, column, key, was)]


def csv_list(*lines: list[str], head=("key", "was", "now", "reason", "reference"), delimiter=",", language="en") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow([Translator(language).text(HEADINGS[name]) for name in head])
    writer.writerows(lines)
    return out.getvalue()


# ---- the workbook -------------------------------------------------------------------------------------------------


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def sheets(value: str = "a", name: str = "One") -> list:
    rows = frame(
        text=[value, None, "中文"],
        yuan=[1234.5, float("nan"), -3.0],
        day=[pd.Timestamp("2026-01-05"), pd.NaT, pd.NaT],
        own=[None] * 3,
    )
    columns = (
        Column("text", "Text", colours={"a": "good"}),
        Column("yuan", "Yuan", "yuan"),
        Column("day", "Day", "day"),
        Column("own", "Answer", editable=True, choices=("yes", "no"), strict=True),
    )
    return [Guide("Guide", (("title", "How"), ("text", "-- 1."))), Sheet(name, columns, rows)]


def kept(path: Path, parts: list, **more) -> bool:
    return save(path, path.name, parts, {"dealerkit_dealer": "small"}, "move it away", **more)


def test_a_workbook_is_locked_and_holds_what_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkstemp", lambda *a, **k: pytest.fail("a plain copy on the disk"))
    path = tmp_path / "new" / "x.xlsx"
    assert kept(path, sheets())
    content = path.read_bytes()
    assert b"PK\x03\x04" not in content[:8] and "中文".encode() not in content
    with pytest.raises(python_calamine.CalamineError):
        python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["x.xlsx"]
    guide, one, lists = books.grids(books.opened(content, "x"), "x")
    assert [books.texts(row) for _, row in guide.rows] == [["How"], ["-- 1."]]
    assert [books.texts(row) for _, row in one.rows] == [
        ["Text", "Yuan", "Day", "Answer"],
        ["a", "1234.5", "2026-01-05"],
        [],
        ["中文", "-3"],
    ]
    assert [books.texts(row) for _, row in lists.rows] == [["yes"], ["no"]]


def test_locked_cells_filters_lists_and_a_heading_that_stays(tmp_path):
    kept(tmp_path / "x.xlsx", sheets())
    with zipfile.ZipFile(io.BytesIO(books.opened((tmp_path / "x.xlsx").read_bytes(), "x"))) as file:
        page, styles = (file.read(n).decode() for n in ("xl/worksheets/sheet2.xml", "xl/styles.xml"))
        book = file.read("xl/workbook.xml").decode()
    assert "<sheetProtection" in page and 'state="frozen"' in page and "<autoFilter" in page
    assert re.search(r'<dataValidation [^>]*sqref="D2:D4"[^>]*><formula1>lists!\$A\$1:\$A\$2</formula1>', page)
    assert styles.count('<protection locked="0"/>') == 1 and 'name="lists" sheetId="3" state="hidden"' in book


def test_no_text_becomes_a_formula(tmp_path):
    texts = ["=1+1", '=HYPERLINK("http://x","y")', "+8613912345678", "-5", "@SUM(1)", "\tx"]
    kept(
        tmp_path / "x.xlsx",
        [Sheet("One", (Column("text", "Text"), Column("own", "Own", editable=True)), frame(text=texts, own=texts))],
    )
    plain = books.opened((tmp_path / "x.xlsx").read_bytes(), "x")
    [one] = books.grids(plain, "x")
    assert [row for _, row in one.rows[1:]] == [[text, text] for text in texts] and not one.formulas
    with zipfile.ZipFile(io.BytesIO(plain)) as file:
        styles, page = file.read("xl/styles.xml").decode(), file.read("xl/worksheets/sheet1.xml").decode()
    quoted = {
        str(i) for i, xf in enumerate(re.findall(r"<xf [^>]*>", styles.split("<cellXfs")[1])) if "quotePrefix" in xf
    }
    cells = re.findall(r'<c r="[AB][2-7]" s="(\d+)"', page)
    assert "<f>" not in page and len(cells) == 12 and set(cells) <= quoted


def test_the_same_content_is_not_written_again_and_is_the_same_inside(tmp_path):
    one, two = tmp_path / "1.xlsx", tmp_path / "2.xlsx"
    kept(one, sheets())
    kept(two, sheets())
    assert one.read_bytes() != two.read_bytes()  # a fresh salt
    assert books.opened(one.read_bytes(), "x") == books.opened(two.read_bytes(), "x")
    before = one.read_bytes(), one.stat().st_mtime_ns
    assert not kept(one, sheets())
    assert before == (one.read_bytes(), one.stat().st_mtime_ns)
    assert kept(one, sheets("b")) and not kept(one, sheets("b"))


def test_what_somebody_wrote_is_never_written_over(tmp_path):
    path = tmp_path / "x.xlsx"
    kept(path, sheets())
    plain = books.opened(path.read_bytes(), "x")
    path.write_bytes(books.sealed(filled(plain, {}), SECRET))
    assert not kept(path, sheets())  # saved by another program, nothing changed
    assert kept(path, sheets("b"))
    other = filled(path.read_bytes(), {}, lambda name, rows: [*rows, ["note"]])
    path.write_bytes(books.sealed(other, SECRET))
    changed = path.read_bytes()
    with pytest.raises(UserError, match=r"x\.xlsx was changed by somebody .*\n.*move it away") as refused:
        kept(path, sheets("b"))
    assert refused.value.exit_code == 2 and path.read_bytes() == changed
    path.write_bytes(filled(changed, {}, drop_properties=True))
    with pytest.raises(UserError, match="changed by somebody"):
        kept(path, sheets("b"))


def test_a_changed_copy_of_what_was_sent_back_may_be_replaced(tmp_path):
    path = tmp_path / "x.xlsx"
    path.write_bytes(books.sealed(_one_cell(), SECRET))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert kept(path, sheets(), elsewhere=[digest])


def _one_cell() -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.add_worksheet().write(0, 0, "x")
    book.close()
    return out.getvalue()


def test_another_password_does_not_open_it_nor_write_over_it(tmp_path, monkeypatch):
    path = tmp_path / "x.xlsx"
    kept(path, sheets())
    before = path.read_bytes()
    monkeypatch.setenv(books.PASSWORD, SECRET + "!")
    with pytest.raises(UserError, match=r"x\.xlsx: the password in DEALERKIT_PASSWORD does not open it") as refused:
        kept(path, sheets("b"))
    assert path.read_bytes() == before and SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "short1",
        "12345678901234",
        "password123456",
        "aaaaaaaaaaaa1",
        "abcdefghijklmnopqrstuvwxyz",
        "onlysmallish",
        "tab\tin the text",
        "x9" * 150,
    ],
)
def test_without_a_strong_password_nothing_is_written(tmp_path, monkeypatch, weak):
    monkeypatch.setenv(books.PASSWORD, weak)
    with pytest.raises(UserError, match=r"12 to 255 characters") as refused:
        kept(tmp_path / "x.xlsx", sheets())
    assert refused.value.exit_code == 2 and not list(tmp_path.iterdir())
    assert not weak or weak not in str(refused.value)


@pytest.mark.parametrize(
    "strong", [SECRET, "correct horse battery staple", "Tr0ub4dor&3x9", "海港路店-春天-的-第九-辆车"]
)
def test_strong_passwords_are_taken(monkeypatch, strong):
    monkeypatch.setenv(books.PASSWORD, strong)
    plain = _one_cell()
    assert books.opened(books.sealed(plain, books.password()), "x") == plain


def test_names_that_no_sheet_may_have(tmp_path):
    kept(tmp_path / "x.xlsx", [*sheets(name="a/b:c*[d]?" + "x" * 40), *sheets(name="lists")])
    names = [g.name for g in books.grids(books.opened((tmp_path / "x.xlsx").read_bytes(), "x"), "x")]
    assert names == ["Guide", "a b c  d  " + "x" * 18, "Guide 2", "lists 2", "lists"]


# ---- the list of a generated dealer, out and back -----------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_dealer(demo, tmp_path_factory):
    """The generated dealer of all tests, audited, its list written."""
    folder = tmp_path_factory.mktemp("fixlist")
    dealer = dealer_in(folder, demo.connection, "demo", "fixlist: {rows: 1000}\n", demo.truth_dir.parent / "raw")
    dealer.keep(demo.audited)
    dealer.printed = writing.write(dealer.folders)
    return dealer


def test_the_list_has_a_sheet_for_each_desk_the_costliest_lines_first(demo_dealer):
    lines, results = demo_dealer.lines(), demo_dealer.audited.results.set_index("check")
    assert set(lines["desk"]) <= set(results["fixer"]) and len(set(lines["desk"])) >= 2
    for _, rows in lines.groupby("desk"):
        costs = pd.to_numeric(rows["cost"], errors="coerce").fillna(-1)
        assert costs.is_monotonic_decreasing
    assert (lines["key"] != "").all() and not lines.duplicated([*WIDE, "was"]).any()
    assert (lines["now"] == "").all() and (lines["reason"] == "").all()
    assert len(demo_dealer.printed.splitlines()) == 1 and f"{len(lines)} lines" in demo_dealer.printed


def test_lines_are_the_faults_that_a_value_can_mend(demo_dealer):
    lines, faults = demo_dealer.lines(), demo_dealer.audited.faults.to_pandas()
    listed = {(line.table, line.key, line.was) for line in lines.itertuples()}
    assert listed <= set(zip(faults["table"], faults["key"], faults["delivered"], strict=True))
    results = demo_dealer.audited.results
    missing = faults[faults["check"] == "customers.phone_filled"]
    merged = demo_dealer.audited.merged.to_pandas()
    missing = missing.merge(merged[["table", "file", "row"]], how="left", indicator=True).query("_merge == 'left_only'")
    filled_already = {key for key, column in supplied_cells(demo_dealer) if column == "phone"}
    asked = set(lines.query("table == 'customers' and column == 'phone' and was == ''")["key"])
    assert asked and set(missing["key"]) - filled_already == asked
    assert not {"key_repeated", "similar_record"} & set(results["check"].str.split(".").str[1]) & set(lines["wrong"])


def test_what_the_id_number_says_is_proposed(demo_dealer):
    lines = demo_dealer.lines()
    customers = demo_dealer.audited.clean["customers"].to_pandas().set_index("customer_id")
    wrong = lines[lines["column"] == "birth_date"]
    proposed = wrong[wrong["proposed"] != ""]
    assert len(proposed) >= 2
    for line in proposed.itertuples():
        number = customers.loc[line.key, "id_number"]
        assert line.proposed.replace("-", "") == number[6:14] and line.proposed != line.was
    sexes = lines[(lines["column"] == "gender") & (lines["proposed"] != "")]
    assert len(sexes) and set(sexes["proposed"]) <= {"male", "female"}


def test_who_does_not_want_to_be_called_has_no_phone(demo_dealer):
    lines = demo_dealer.lines().query("table == 'customers' and customer != ''").set_index("key")
    customers = demo_dealer.audited.clean["customers"].to_pandas().set_index("customer_id").loc[lines.index]
    refused = (customers["marketing_consent"] == False).to_numpy()  # noqa: E712
    assert refused.any() and (lines["phone"][refused] == "").all()
    reachable = ~refused & customers["phone"].notna().to_numpy() & (lines["column"] != "phone").to_numpy()
    assert list(lines["phone"][reachable]) == list(customers["phone"][reachable]) and reachable.any()
    doubted = lines[lines["column"] == "phone"]
    assert len(doubted) and not ((doubted["phone"] == doubted["was"]) & (doubted["was"] != "")).any()
    assert (demo_dealer.lines().query("table in ['service_orders', 'interactions', 'campaigns']")["phone"] == "").all()


def test_a_shorter_list_and_chosen_checks(demo_dealer, tmp_path):
    made, results, params = (
        demo_dealer.folders.build / "10-audit",
        demo_dealer.audited.results,
        demo_dealer.folders.params(),
    )
    short = writing.ask(made, results, params.overridden({"fixlist.rows": 3}))
    assert short.lines.groupby("desk").size().max() == 3
    whole = demo_dealer.lines().groupby("desk").size()
    assert all(short.waiting[desk] == whole[desk] for desk in short.waiting)
    one = writing.ask(made, results, params.overridden({"fixlist.checks": ["customers.phone_filled"]}))
    assert set(one.lines["column"]) == {"phone"} and set(one.lines["was"]) == {""}
    without = writing.ask(made, results, params.overridden({"fixlist.leave_out": ["customers.phone_filled"]}))
    assert len(without.lines) == len(demo_dealer.lines()) - len(one.lines)
    away = results[results["table"] != "leads"]
    assert len(writing.ask(made, away, params.overridden({"fixlist.leave_out": ["leads.phone_legal"]})).lines)
    with pytest.raises(
        UserError, match=r"fixlist\.checks: no check 'customers\.phone_fild'; nearest: 'customers\.phone_filled'"
    ):
        writing.ask(made, results, params.overridden({"fixlist.checks": ["customers.phone_fild"]}))


def test_a_second_time_nothing_is_written_and_a_filled_list_is_refused(demo_dealer):
    path = demo_dealer.path
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert "was not written again" in writing.write(demo_dealer.folders)
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)
    line = demo_dealer.lines().iloc[0]
    path.write_bytes(books.sealed(filled(before[0], {tuple(line[k] for k in WIDE): "x"}), SECRET))
    try:
        with pytest.raises(UserError, match=r"reports/demo/fixlist\.xlsx was changed by somebody") as refused:
            writing.write(demo_dealer.folders)
        assert "data/raw/demo/returned/" in refused.value.remedy and "another name" in refused.value.remedy
    finally:
        path.write_bytes(before[0])


@pytest.fixture(scope="module")
def round_trip(demo, demo_dealer, tmp_path_factory, new_connection):
    """The dealer again, with the true value of planted faults in the returned list."""
    truth = demo.truth("faults").query("true_value.notna()").assign(key=lambda f: f["key"].str.replace("/", "|"))
    lines = demo_dealer.lines().merge(
        truth[["table", "key", "column", "true_value", "kind"]], on=["table", "key", "column"]
    )
    lines = lines.drop_duplicates(list(WIDE), keep=False)
    answers = {tuple(line[k] for k in WIDE): line["true_value"] for line in lines.to_dict("records")}
    again = dealer_in(
        tmp_path_factory.mktemp("again"), new_connection(), "demo", "fixlist: {rows: 1000}\n", demo_dealer.folders.raw
    )
    again.put("清单 1.xlsx", books.sealed(filled(demo_dealer.path.read_bytes(), answers), SECRET))
    again.audit()
    return lines, again


def test_answers_mend_the_faults_they_are_for_and_nothing_else(demo_dealer, round_trip):
    lines, again = round_trip
    corrected = again.audited.corrected
    assert len(lines) >= 60 and lines["kind"].nunique() >= 8
    assert len(corrected) == len(lines) and (corrected["status"] == "changed").mean() >= 0.98
    taken = corrected[corrected["status"] == "changed"]
    assert (taken["rows"] >= 1).all()
    before, after = (d.audited.faults.to_pandas() for d in (demo_dealer, again))
    cells = set(zip(taken["table"], taken["key"], taken["column"], strict=True))
    still = [cell for cell in zip(after["table"], after["key"], after["column"], strict=True) if cell in cells]
    assert len(still) <= 0.03 * len(cells)
    assert len(before) - len(after) >= 0.9 * len(cells)
    # Rows are rows: every raw row is still there, and fewer are kept out.
    sums = [d.audited.ledger[["raw", "quarantined"]].sum() for d in (demo_dealer, again)]
    assert sums[0]["raw"] == sums[1]["raw"] and sums[0]["quarantined"] > sums[1]["quarantined"]
    old, new = (
        d.audited.clean["customers"].to_pandas().set_index("customer_id").sort_index() for d in (demo_dealer, again)
    )
    differs = [
        (key, c)
        for c in tables.TABLES["customers"].names[1:]
        for key in old.index[old[c].astype(str) != new[c].astype(str)]
    ]
    asked = {(key, column) for table, key, column in cells if table == "customers"}
    from_elsewhere = supplied_cells(demo_dealer) | supplied_cells(again)  # a right ID number tells the birth date
    assert asked & set(differs) and set(differs) <= asked | from_elsewhere


def test_a_corrected_vin_is_corrected_in_every_table(demo_dealer, round_trip):
    _, again = round_trip
    vins = again.audited.corrected.query("table == 'vehicles' and column == 'vin' and status == 'changed'")
    assert len(vins) >= 2 and (vins["rows"] >= 1).all()
    visits = [set(d.audited.clean["service_orders"].vin.to_pandas()) for d in (demo_dealer, again)]
    driven = vins[vins["was"].isin(visits[0])]
    assert len(driven) and not set(driven["was"]) & visits[1] and set(driven["now"]) <= visits[1]


def test_the_page_says_what_was_changed(round_trip):
    lines, again = round_trip
    back = fixlist.returned(again.folders.raw, "demo")
    facts = {name: value for name, (value, *_rest) in returned.facts(again.audited.corrected, back.files).items()}
    assert facts["answers_count"] == len(lines) and facts["returned_files"] == 1
    assert facts["answers_changed"] == (again.audited.corrected["status"] == "changed").sum()
    for language in ("en", "zh"):
        summary = returned.summary(again.audited.corrected, Translator(language))
        assert summary["answers"].sum() == len(lines) and summary.iloc[0]["rows"] >= 1
        assert summary["what"].iloc[0] == Translator(language).text(returned.STATUSES["changed"])


def test_the_new_list_asks_for_what_is_left(demo_dealer, round_trip):
    lines, again = round_trip
    shutil.copy(again.folders.raw / "returned/清单 1.xlsx", _parent(again.path))
    printed = writing.write(again.folders)  # a copy of what was sent back: nothing is lost
    left = again.lines()
    assert "written again" not in printed and len(left) < len(demo_dealer.lines())
    mended = set(map(tuple, lines[list(WIDE)].to_numpy())) & set(map(tuple, left[list(WIDE)].to_numpy()))
    assert len(mended) <= 0.05 * len(lines)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_where_nothing_can_be_mended_the_list_says_so(demo_dealer, tmp_path, monkeypatch):
    folders = demo_dealer.folders
    (tmp_path / "demo.yaml").write_text("display_name: Test\nfixlist: {severities: []}\n", encoding="utf-8")
    monkeypatch.setattr(Folders, "reports", property(lambda self: tmp_path / "reports"))
    monkeypatch.setattr(Folders, "params", lambda self: params_.load(tmp_path / "demo.yaml"))
    assert writing.write(folders) == "reports/demo/fixlist.xlsx: 0 lines"
    content = (tmp_path / "reports/fixlist.xlsx").read_bytes()
    assert len(books.grids(books.opened(content, "x"), "x")) == 1


# ---- each answer, one by one --------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path, new_connection):
    """Twenty customers, their cars and visits; nothing audited yet."""
    rows = small_dealer(20)
    rows["customers.csv"][0][2] = "123"  # a phone that is none
    rows["visits.csv"][0][5] = "９０００１"
    files = {name.replace(".", "__"): text for name, text in as_files(rows).items()}
    return dealer_in(tmp_path, new_connection(), params="gate: off\n", **files)


def settled(dealer: Dealer, **raw_params) -> pd.DataFrame:
    """What becomes of the answers in `returned/`, by key and column."""
    params = dealer.folders.params()
    read = ingest(params, dealer.folders.raw, dealer.folders.build)
    raw = {name: dealer.connection.read_parquet(t.path) for name, t in read.tables.items()}
    back = fixlist.returned(dealer.folders.raw, dealer.folders.dealer)
    dealer.changed, corrected = returned.apply(
        dealer.connection, raw, back.corrections, params, lambda: date(2026, 9, 30)
    )
    return corrected


def value(dealer: Dealer, table: str, key: str, column: str) -> str | None:
    rows = dealer.changed[table].to_pandas()
    return rows.loc[rows[tables.TABLES[table].key[0]] == key, column].iloc[0]


def statuses(corrected: pd.DataFrame) -> list[str]:
    return list(corrected["status"])


def test_what_becomes_of_an_answer(small):
    small.put(
        "a.csv",
        csv_list(
            csv_line("customers", "C0000", "phone", "123", "+86 139 6275 0878"),
            csv_line("customers", "C0001", "phone", "old", "13900000001"),  # the system says so already
            csv_line("customers", "C0002", "phone", "old", "13962750870"),  # the system has another one
            csv_line("customers", "C9999", "phone", "1", "13962750871"),
            csv_line("customers", "C0003", "phone", "13900000003", "1396275087"),  # a digit short
            csv_line("customers", "C0004", "phone", "13900000004", "", REASONS["unreachable"]),
            csv_line("customers", "C0005", "phone", "13900000005", "", "moved to the moon"),
            csv_line("customers", "C0006", "gender", "f", "male", REASONS["unknown"]),  # both: the value counts
            csv_line("vehicles", "L0XAA1B20KK000003", "purchased_on", "2021-03-01", "2027-01-01"),  # after the export
            csv_line("vehicles", "L0XAA1B20KK000003", "customer_id", "C0003", "3"),  # zeros lost
            csv_line("service_orders", "R00000", "odometer_km", "90001", "-5"),
            csv_line("service_orders", "R00010", "opened_at", "2026-08-27 09:00", "27.8.26"),
            csv_line("service_orders", "R00020", "total_yuan", "314", "1,314.50"),
            csv_line("customers", "C0007", "name", "Rider Number0007", ""),  # not answered
        ),
    )
    done = settled(small)
    assert dict(zip(done["key"] + "." + done["column"], done["status"], strict=True)) == {
        "C0000.phone": "changed",
        "C0001.phone": "already_so",
        "C0002.phone": "value_changed_meanwhile",
        "C9999.phone": "key_gone",
        "C0003.phone": "illegal",
        "C0004.phone": "cannot_fix",
        "C0005.phone": "cannot_fix",
        "C0006.gender": "changed",
        "L0XAA1B20KK000003.purchased_on": "illegal",
        "L0XAA1B20KK000003.customer_id": "illegal",
        "R00000.odometer_km": "illegal",
        "R00010.opened_at": "illegal",
        "R00020.total_yuan": "changed",
    }
    why = done.set_index("column")["why"]
    assert why["purchased_on"] == "a date after the day of the export" and "zeros in front" in why["customer_id"]
    assert why["odometer_km"] == "outside its allowed range" and why["opened_at"] == "not a date"
    assert set(done["reason"]) == {"", "unreachable", "other"}
    assert value(small, "customers", "C0000", "phone") == "+86 139 6275 0878"
    assert value(small, "customers", "C0002", "phone") == "13900000002"  # the delivered one wins
    assert value(small, "customers", "C0003", "phone") == "13900000003"
    assert value(small, "customers", "C0006", "gender") == "male"
    back = fixlist.returned(small.folders.raw, "small").files.iloc[0]
    assert (back["lines"], back["answered"], back["empty"], back["deleted"]) == (14, 13, 1, 0)


def test_no_row_comes_or_goes(small):
    small.put("a.csv", csv_list(csv_line("customers", "C0000", "phone", "123", "13962750878")))
    settled(small)
    rows = small.changed["customers"].to_pandas()
    assert len(rows) == 20 and list(rows.columns) == [
        *tables.TABLES["customers"].names,
        "_source",
        "_file",
        "_sheet",
        "_row",
        "_kind",
        "_date_order",
        "_derived",
    ]
    untouched = rows[rows["customer_id"] != "C0000"]
    assert list(untouched["phone"]) == [f"139{i:08d}" for i in range(1, 20)]


def test_of_two_lists_the_later_one_counts_and_the_other_is_named(small):
    small.put("1.csv", csv_list(csv_line("customers", "C0000", "phone", "123", "13962750878")))
    small.put("2.csv", csv_list(csv_line("customers", "C0000", "phone", "123", "13962750879")))
    small.put("3.csv", csv_list(csv_line("customers", "C0000", "phone", "123", "13962750879")))  # sent twice
    done = settled(small)
    assert statuses(done) == ["overruled", "changed"] and list(done["rows"]) == [0, 1]
    assert value(small, "customers", "C0000", "phone") == "13962750879"


def test_a_list_written_after_another_was_taken(small):
    """It shows the corrected value and the corrected key, which the system has not."""
    new = "L0XAA1B20KK999999"
    small.put(
        "1.csv",
        csv_list(
            csv_line("vehicles", "L0XAA1B20KK000003", "vin", "L0XAA1B20KK000003", new),
            csv_line("customers", "C0001", "name", "Rider Number0001", "Rider Number 1"),
        ),
    )
    small.put(
        "2.csv",
        csv_list(
            csv_line("customers", "C0001", "name", "Rider Number 1", "Rider One"),
            csv_line("vehicles", new, "series", "Series0", "Series9"),
        ),
    )
    done = settled(small)
    assert statuses(done) == ["changed", "overruled", "changed", "changed"]
    assert (
        value(small, "customers", "C0001", "name") == "Rider One"
        and value(small, "vehicles", new, "series") == "Series9"
    )
    visits = small.changed["service_orders"].to_pandas()
    assert set(visits.loc[visits["customer_id"] == "C0003", "vin"]) == {new}


def test_cells_as_programs_leave_them(small):
    """Dates, numbers, formulas, errors, digits lost; the reason why is said, and the rest is taken."""
    answers = {
        "C0000": ("customers", "phone", "123", 13962750878.0, "changed"),
        "C0001": ("customers", "phone", "13900000001", '=HYPERLINK("http://x","13911111111")', "illegal"),
        "C0002": ("customers", "phone", "13900000002", "=1+1", "illegal"),
        "C0003": ("customers", "name", "Rider Number0003", "@SUM(1)", "illegal"),
        "C0004": ("customers", "name", "Rider Number0004", "#N/A", "illegal"),
        "C0005": ("customers", "id_number", "", 110105194912310023.0, "illegal"),
        "C0006": ("customers", "phone", "13900000006", 1396275087.0, "illegal"),  # the zero or a digit is gone
        "C0007": ("customers", "birth_date", "", datetime(1980, 5, 17), "changed"),
        "C0008": ("customers", "customer_type", "", "company", "changed"),
        "C0009": ("customers", "marketing_consent", "", True, "changed"),
    }
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    page, day = book.add_worksheet("补录"), book.add_format({"num_format": "yyyy/m/d"})
    head = ["reference", "now", "reason", "was", "key"]  # in another order
    page.write_row(2, 1, [HEADINGS[name] for name in head])  # and another place
    for r, (key, (table, column, was, now, _status)) in enumerate(answers.items(), start=3):
        page.write_row(r, 1, [reference("small", table, column, key, was), "", "", was, key])
        if isinstance(now, datetime):
            page.write_datetime(r, 2, now, day)
        elif isinstance(now, str) and now.startswith("="):
            page.write_formula(r, 2, now, None, "13911111111")
        else:
            page.write(r, 2, now)
    book.close()
    small.put("x.xlsx", out.getvalue())
    done = settled(small)
    assert dict(zip(done["key"], done["status"], strict=True)) == {key: a[-1] for key, a in answers.items()}
    why = done.set_index("key")["why"]
    assert [why[f"C000{i}"].split(",")[0].split(" ")[1] for i in (1, 2, 3, 4, 5)] == [
        "formula",
        "formula",
        "formula",
        "error",
        "number",
    ]
    assert list(done["row"]) == list(range(4, 14)) and set(done["sheet"]) == {"补录"}
    assert value(small, "customers", "C0000", "phone") == "13962750878"
    assert value(small, "customers", "C0007", "birth_date") == "1980-05-17"


def test_changed_keys_are_named_by_row_and_masked(small):
    good = csv_line("customers", "C0000", "phone", "123", "13962750878")
    moved = csv_line("customers", "C0001", "phone", "13900000001", "13987654321")
    moved[0] = "C0002"
    touched = csv_line("customers", "C0003", "phone", "13900000003", "13987654322")
    touched[1] = "13900000009"
    small.put("a.csv", csv_list(good, moved, touched))
    done = settled(small)
    assert statuses(done) == ["changed", "altered", "altered"] and list(done["row"]) == [2, 3, 4]
    shown = returned.not_taken(done, Translator("en"))
    assert list(shown["place"]) == ["returned/a.csv, row 3", "returned/a.csv, row 4"]
    said = shown.to_csv()
    assert not [text for text in ("13987654321", "13987654322", "13900000009", "13900000001") if text in said]
    assert "139****21" in said


def test_deleted_lines_reordered_and_renamed_columns(demo_dealer, tmp_path):
    """Deleting and moving is fine; without a needed column nothing can be read."""
    content = demo_dealer.path.read_bytes()
    line = demo_dealer.lines().iloc[0]
    answers = {tuple(line[k] for k in WIDE): "x"}
    sent = len(demo_dealer.lines())

    def fewer(name, rows):
        return [row[::-1] for row in rows[:1] + rows[1:3][::-1]] if len(rows) > 2 else rows

    folder = tmp_path / "raw/returned"
    folder.mkdir(parents=True)
    (folder / "a.xlsx").write_bytes(filled(content, answers, fewer))
    back = fixlist.returned(tmp_path / "raw", "demo")
    count = back.files.iloc[0]
    assert count["lines"] + count["deleted"] == sent and count["answered"] == 1 and count["deleted"] > 0
    assert back.corrections.iloc[0]["now"] == "x" and back.corrections.iloc[0]["problem"] == ""

    def renamed(name, rows):
        return [["My answer" if cell == HEADINGS["now"] else cell for cell in row] for row in rows]

    (folder / "a.xlsx").write_bytes(filled(content, answers, renamed))
    with pytest.raises(
        UserError, match=r"returned/a\.xlsx, sheet '[^']+', row 1: no column 'Correct value'; .*'M\*{8}'"
    ):
        fixlist.returned(tmp_path / "raw", "demo")


HEADS = ["key", "was", "now", "reason", "reference"]
PHONE_LINE = ["C0001", "123", "张伟 13962750878", "", reference("small", "customers", "phone", "C0001", "123")]


def _workbook(*sheets: list[list], sent: int) -> bytes:
    """An unlocked workbook as staff leave it: the sheets in order, and how many lines were sent."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_custom_property(LINES, str(sent), "text")
    for rows in sheets:
        page = book.add_worksheet()
        for r, row in enumerate(rows):
            page.write_row(r, 0, row)
    book.close()
    return out.getvalue()


@pytest.mark.parametrize("lost", ["row", "column", "both", "renamed"])
def test_a_sheet_that_lost_its_headings_is_named(tmp_path, lost):
    (tmp_path / "returned").mkdir()
    head, line = [HEADINGS[name] for name in HEADS], PHONE_LINE
    there = {
        "row": [line],
        "column": [head[:4], line[:4]],
        "both": [["Customers", *line[:3], "Wang"]],
        "renamed": [[*head[:4], "x"], line],
    }
    guide = [["How to fill in this list"], ["1.", "Write the right value into the yellow cell."]]
    book = _workbook(guide, [head, line], there[lost], sent=3)
    (tmp_path / "returned/a.xlsx").write_bytes(book)
    with pytest.raises(UserError, match=r"a\.xlsx, sheet 'Sheet3': no heading 'Reference' above its lines") as refused:
        fixlist.returned(tmp_path, "small")
    assert "headings back" in refused.value.remedy and "张伟" not in str(refused.value)


def test_what_is_no_list_beside_one_is_left(tmp_path):
    (tmp_path / "returned").mkdir()
    notes = [["To do", "call again"], ["Sheet2", 7]]
    book = _workbook(notes, [[HEADINGS[name] for name in HEADS], PHONE_LINE], sent=5)
    (tmp_path / "returned/a.xlsx").write_bytes(book)
    assert fixlist.returned(tmp_path, "small").files.iloc[0]["deleted"] == 4


def test_an_answer_written_over_its_heading_is_not_repeated(tmp_path):
    (tmp_path / "returned").mkdir()
    head = [HEADINGS[name] for name in HEADS]
    head[2] = "王小明"
    (tmp_path / "returned/a.xlsx").write_bytes(_workbook([head, PHONE_LINE], sent=1))
    with pytest.raises(UserError, match=r"no column 'Correct value'; .*'Value in the system', '王\*\*'") as refused:
        fixlist.returned(tmp_path, "small")
    assert "小明" not in str(refused.value) and "139" not in str(refused.value)


@pytest.mark.parametrize(
    "encoding, delimiter, language", [("utf-8-sig", ",", "en"), ("gb18030", ";", "zh"), ("utf-16", "\t", "zh")]
)
def test_csv_as_programs_save_it(small, encoding, delimiter, language):
    reason = Translator(language).text(REASONS["right"])
    text = csv_list(
        csv_line("customers", "C0000", "name", "Rider Number0000", "王小明"),
        csv_line("customers", "C0001", "phone", "13900000001", "", reason),
        language=language,
        delimiter=delimiter,
    )
    small.put("补录 表.csv", text.replace("\n", "\r\n").encode(encoding))
    back = fixlist.returned(small.folders.raw, "small").corrections
    assert back[["now", "reason", "problem", "row"]].to_numpy().tolist() == [
        ["王小明", "", "", 2],
        ["", "right", "", 3],
    ]


# ---- what is no list, or cannot be opened -------------------------------------------------------------------------

BROKEN = {
    "half.xlsx": r"half\.xlsx: a workbook that cannot be read to its end",
    "half-plain.xlsx": r"half-plain\.xlsx: a workbook that cannot be read to its end",
    "empty.xlsx": r"empty\.xlsx: no workbook, or only a part of one",
    "wrong.xlsx": r"wrong\.xlsx: the password in DEALERKIT_PASSWORD does not open it",
    "prices.xlsx": r"prices\.xlsx: not a fix list",
    "prices.csv": r"prices\.csv: not a fix list",
    "empty.csv": r"empty\.csv: ",
    "note.docx": r"note\.docx: no workbook and no CSV",
    "other.xlsx": r"other\.xlsx: the list of another dealer \(elsewhere\)",
    "other.csv": r"other\.csv: no line fits the records of small",
    "far.xlsx": r"far\.xlsx, sheet 'Sheet1': cells far beyond the list",
}


def broken(name: str) -> bytes:
    line = csv_list(csv_line("customers", "C0000", "phone", "123", "13962750878", dealer="elsewhere"))
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    if name == "other.xlsx":
        book.set_custom_property(DEALER, "elsewhere", "text")
        book.set_custom_property(LINES, "1", "text")
    page = book.add_worksheet()
    for r, row in enumerate(csv.reader(io.StringIO(line))):
        page.write_row(r, 0, row if name in ("other.xlsx", "far.xlsx") else ["item", "price"])
    if name == "far.xlsx":
        page.write(900_000, 900, "x")
    book.close()
    plain = out.getvalue()
    locked = books.sealed(plain, "quite another Secret 7" if name == "wrong.xlsx" else SECRET)
    return {
        "half.xlsx": locked[: len(locked) * 2 // 3],
        "half-plain.xlsx": plain[: len(plain) // 2],
        "empty.xlsx": b"",
        "wrong.xlsx": locked,
        "prices.csv": b"item,price\n1,2\n",
        "empty.csv": b"",
        "note.docx": b"PK\x03\x04",
        "other.csv": line.encode(),
    }.get(name, plain)


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_taken_is_named(tmp_path, name):
    (tmp_path / "returned").mkdir()
    (tmp_path / "returned" / name).write_bytes(broken(name))
    with pytest.raises(UserError, match="returned/" + BROKEN[name]) as refused:
        fixlist.returned(tmp_path, "small")
    assert refused.value.exit_code == 2 and refused.value.remedy
    assert "13962750878" not in str(refused.value) and SECRET not in str(refused.value)


def test_all_of_them_are_named_at_once_and_what_is_no_file_of_staff_is_left(tmp_path):
    (tmp_path / "returned").mkdir()
    for name in ("README.txt", ".DS_Store", "~$list.xlsx"):
        (tmp_path / "returned" / name).write_bytes(b"x")
    assert fixlist.returned(tmp_path, "small").corrections.empty
    for name in ("half.xlsx", "prices.csv"):
        (tmp_path / "returned" / name).write_bytes(broken(name))
    with pytest.raises(UserError, match=r"(?s)2 problems.*half\.xlsx.*prices\.csv"):
        fixlist.returned(tmp_path, "small")
    assert fixlist.returned(tmp_path / "nowhere", "small").files.empty


def test_a_locked_list_and_no_password(tmp_path, monkeypatch):
    (tmp_path / "returned").mkdir()
    (tmp_path / "returned/a.xlsx").write_bytes(broken("wrong.xlsx"))
    monkeypatch.delenv(books.PASSWORD)
    with pytest.raises(UserError, match=r"returned/a\.xlsx: locked with a password, and DEALERKIT_PASSWORD is not set"):
        fixlist.returned(tmp_path, "small")


# ---- all of it, through make --------------------------------------------------------------------------------------


def test_out_and_back_through_make(tmp_path):
    project = Project(tmp_path)
    rows = small_dealer(60)
    for number in (3, 7, 20):
        rows["customers.csv"][number][2] = "123"
    project.dealer("small", as_files(rows), "fixlist: {rows: 50}\n")
    dealer = Dealer(Folders(tmp_path, "small"), None)
    made = project.make("fixlist", "DEALER=small", DEALERKIT_PASSWORD=SECRET)
    assert made.returncode == 0 and "reports/small/fixlist.xlsx: " in made.stdout, made.stdout + made.stderr
    line = dealer.lines().query("table == 'customers' and column == 'phone'").iloc[0]
    answers = {tuple(line[k] for k in WIDE): "13962750878"}
    dealer.path.write_bytes(books.sealed(filled(dealer.path.read_bytes(), answers), SECRET))
    kept_out = project.make("fixlist", "DEALER=small", DEALERKIT_PASSWORD=SECRET, WARM="0")
    assert kept_out.returncode == 2 and "reports/small/fixlist.xlsx was changed by somebody" in kept_out.stderr
    assert json.loads((tmp_path / "build/small/status.json").read_text(encoding="utf-8"))["code"] == 2
    (tmp_path / "data/raw/small/returned").mkdir()
    dealer.path.rename(tmp_path / "data/raw/small/returned/filled in.xlsx")
    done = project.make("10-audit", "fixlist", "DEALER=small", DEALERKIT_PASSWORD=SECRET)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reports/small/10-audit.html").read_text(encoding="utf-8")
    assert "What staff sent back" in page and "1 answer of 1 changed a value" in page
    assert not dealer.lines().query("key == @line.key and column == 'phone'").shape[0]
    said = "".join(run.stdout + run.stderr for run in (made, kept_out, done))
    for text in (SECRET, "13962750878", line.customer):
        assert text not in said and text not in page
    files = project.files("build", "reports")
    assert not [name for name, content in files.items() if SECRET.encode() in content]
