"""Reading raw files: formats, headers, accounting, and every way a delivery goes wrong."""

from __future__ import annotations

import builtins
import csv
import doctest
import errno
import io
import shutil
import sqlite3
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from unittest import mock

import duckdb
import msoffcrypto.format.ooxml
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from dealerkit import personal, tables
from dealerkit.errors import UserError, UserErrors
from dealerkit.ingest import ingest, text
from dealerkit.ingest.feed import derived_id
from dealerkit.ingest.readers import as_text
from dealerkit.params import Params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VISITS = "order_id,vin,opened_at\n"
JTT = list(tables.JTT1132)


@pytest.fixture
def raw(tmp_path):
    """An empty raw folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def read(raw: Path, **params):
    return ingest(Params.model_validate({"dealer": "x", "display_name": "X"} | params), raw, raw.parent / "out")


def rows(result, table: str, *columns: str) -> list[tuple]:
    """The table's rows, with origin columns named without their underscore."""
    frame = pq.read_table(result.tables[table].path).to_pylist()
    return [tuple(row[c] for c in columns) for row in frame]


def refusal(raw: Path, **params) -> str:
    """The words with which reading is refused; nothing may have been written."""
    with pytest.raises(UserError) as caught:
        read(raw, **params)
    assert not list(raw.parent.glob("out/*"))
    return str(caught.value)


def write(raw: Path, name: str, content: str, encoding: str = "utf-8") -> None:
    (raw / name).write_bytes(content.encode(encoding))


# formats


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_text_in_every_encoding_and_delimiter(raw, encoding, delimiter):
    lines = ["工单号,车架号,送修日期,故障描述", "A1,V1,2024/1/5,异响", "A2,V2,2024年1月6日,漏油"]
    write(raw, "维修 工单(1).csv", "\r\n".join(lines).replace(",", delimiter), encoding)
    result = read(raw)
    assert rows(
        result, "service_orders", "order_id", "vin", "opened_at", "fault", "_source", "_file", "_sheet", "_row", "_kind"
    ) == [
        ("A1", "V1", "2024/1/5", "异响", "dms", "维修 工单(1).csv", "", 2, "row"),
        ("A2", "V2", "2024年1月6日", "漏油", "dms", "维修 工单(1).csv", "", 3, "row"),
    ]
    assert result.files[0].delimiter == delimiter
    assert result.files[0].encoding == {"gbk": "gb18030"}.get(encoding, encoding)


def test_schema_is_all_columns_as_text_then_the_origin(raw):
    write(raw, "a.csv", VISITS + "1,2,3\n")
    schema = pq.read_schema(read(raw).tables["service_orders"].path)
    assert schema.names == [
        *tables.TABLES["service_orders"].names,
        "_source",
        "_file",
        "_sheet",
        "_row",
        "_kind",
        "_date_order",
        "_derived",
    ]
    assert {str(schema.field(n).type) for n in tables.TABLES["service_orders"].names} == {"string"}


def test_titles_blanks_totals_repeated_headers_and_uneven_rows_are_told_apart(raw):
    write(
        raw,
        "a.csv",
        '维修工单导出,,\n\n"order_id",vin,opened_at,fault\n1,V1,2024-01-01,"two\nlines"\n,,,\n \n2,V2\n'
        "order_id,vin,opened_at,fault\n3,V3,2024-01-03,a,b,\n4,V4,2024-01-04,c,,,\n合计：,,,12.50\n",
    )
    result = read(raw)
    assert rows(result, "service_orders", "_row", "_kind", "order_id", "opened_at", "fault") == [
        (4, "row", "1", "2024-01-01", "two\nlines"),
        (8, "row", "2", None, None),
        (9, "header", "order_id", "opened_at", "fault"),
        (10, "ragged", "3", "2024-01-03", "a"),
        (11, "row", "4", "2024-01-04", "c"),
        (12, "total", "合计：", None, "12.50"),
    ]
    counts = result.files[0].counts
    assert (
        counts.lines,
        counts.title_lines,
        counts.header_lines,
        counts.blank_lines,
        counts.rows,
        counts.continuation_lines,
    ) == (12, 1, 1, 3, 6, 1)
    assert (counts.total_rows, counts.repeated_headers, counts.ragged_rows) == (1, 1, 1)
    assert result.files[0].header_row == 3


def test_a_row_with_nothing_but_cells_beyond_the_headers_is_not_passed_over(raw):
    """Hypothesis found it: it was taken for an empty line."""
    write(raw, "a.csv", VISITS + "1,2,3\n,,,more,cells\n,,, ,\n")
    result = read(raw)
    assert rows(result, "service_orders", "_row", "_kind") == [(2, "row"), (3, "ragged")]
    counts = result.files[0].counts
    assert (counts.rows, counts.ragged_rows, counts.blank_lines) == (2, 1, 1)


def test_total_words_in_a_real_row_leave_it_a_row(raw):
    write(
        raw, "a.csv", "order_id,brought_by,vin,opened_at\n1,Total,V,2024-01-01\n,Total,,\n,张三,V,2024-01-02\nSUM,,,9\n"
    )
    assert [k for (k,) in rows(read(raw), "service_orders", "_kind")] == ["row", "total", "row", "total"]


def test_a_quotation_mark_never_closed_swallows_nothing(raw):
    body = "".join(f"{n},V{n},2024-01-0{n},{'' if n != 2 else chr(34)}text{n}\n" for n in range(1, 6))
    write(raw, "a.csv", "order_id,vin,opened_at,fault\n" + body)
    result = read(raw)
    assert rows(result, "service_orders", "_row", "order_id", "fault") == [
        (2, "1", "text1"),
        (3, "2", '"text2'),
        (4, "3", "text3"),
        (5, "4", "text4"),
        (6, "5", "text5"),
    ]
    assert result.files[0].counts.stray_quotes == 4


def test_a_quotation_mark_never_closed_in_a_long_file(raw, monkeypatch):
    monkeypatch.setattr(text, "MAX_CELL", 2000)
    body = "".join(f"{n},V{n},2024-01-01,{'' if n != 20 else chr(34)}text{n}\n" for n in range(1, 1000))
    write(raw, "a.csv", "order_id,vin,opened_at,fault\n" + body)
    assert rows(read(raw), "service_orders", "_row", "order_id") == [(n + 1, str(n)) for n in range(1, 1000)]


def test_exports_glued_together_with_their_byte_order_marks(raw):
    write(raw, "a.csv", (VISITS + "1,V,2024-01-01\n\ufeff" + VISITS + "\ufeff2,V,2024-01-02\n"), "utf-8-sig")
    assert rows(read(raw), "service_orders", "order_id", "_kind") == [
        ("1", "row"),
        ("order_id", "header"),
        ("2", "row"),
    ]


@pytest.mark.parametrize(
    "value, seen",
    [
        (0.1 + 0.2, "0.3"),
        (13812345678.0, "13812345678"),
        (-2.0, "-2"),
        (float("nan"), None),
        ("", None),
        (" ", " "),
        (datetime(2024, 1, 5, 0, 0, 1), "2024-01-05 00:00:01"),
        (time(9, 5), "09:05:00"),
        (Decimal("1E+2"), "100"),
        (b"\xe5\xbc\xa0", "张"),
    ],
)
def test_cells_as_a_person_sees_them(value, seen):
    assert as_text(value) == seen


def test_excel_text_wraps_are_taken_off(raw):
    write(raw, "a.csv", VISITS + '="0012",V1,2024-01-01\n')
    assert rows(read(raw), "service_orders", "order_id") == [("0012",)]


def test_slow_and_fast_ways_of_text_agree(raw, monkeypatch):
    lines = [f"{n},V{n},2024-01-01,{n % 7 or ''}" for n in range(5000)]
    write(raw, "a.csv", "order_id,vin,opened_at,fault\n" + "\n".join(lines))
    monkeypatch.setattr(text, "_BLOCK", 1000)
    fast = pq.read_table(read(raw).tables["service_orders"].path)
    monkeypatch.setattr(text.TextPart, "_simple", lambda *args: None)
    assert pq.read_table(read(raw).tables["service_orders"].path).equals(fast)
    assert fast["_row"].to_pylist() == list(range(2, 5002))
    assert fast["fault"].to_pylist()[:8] == [None, "1", "2", "3", "4", "5", "6", None]


WILD = st.text('",=a ', max_size=5)
#: As exports write cells, and as hands do.
WRITTEN = st.one_of(
    WILD, WILD.map(lambda cell: '"' + cell.replace('"', '""') + '"'), st.sampled_from(["", "a", '"a,b"'])
)


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=5),
    ending=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_slow_and_fast_ways_of_quotation_marks_agree(tmp_path_factory, lines, ending, last):
    path = tmp_path_factory.getbasetemp() / "wild.csv"
    body = ending.join(["x,y", *map(",".join, lines)]) + (ending if last else "")
    path.write_bytes(body.encode())

    def found() -> list:
        part = text.TextPart(path, "wild.csv", "utf-8", ",", len)
        return [
            ([c.to_pylist() for c in b.columns], b.numbers.to_pylist(), b.lines, b.blank, b.ragged, b.strays)
            for b in part.batches(part.head()[0])
        ]

    fast = found()
    with mock.patch.object(text.TextPart, "_simple", lambda *args: None):
        assert found() == fast


def test_cells_in_quotation_marks_take_the_fast_way(raw, monkeypatch):
    write(raw, "a.csv", VISITS + '"R""1",V1,2024-01-01\nR2,"V2, V3",2024-01-02\n"=""03""",V4,\n')
    monkeypatch.setattr(text.TextPart, "_batch", lambda *args: pytest.fail("the slow way"))
    expected = [('R"1', "V1"), ("R2", "V2, V3"), ("03", "V4")]
    assert rows(read(raw), "service_orders", "order_id", "vin") == expected


def book(path: Path, sheets: dict[str, list[list]], merge=()) -> None:
    with xlsxwriter.Workbook(path) as workbook:
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        clock = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for name, lines in sheets.items():
            sheet = workbook.add_worksheet(name)
            for r, line in enumerate(lines):
                for c, value in enumerate(line):
                    if isinstance(value, (date, datetime)):
                        sheet.write_datetime(r, c, value, clock if isinstance(value, datetime) else day)
                    elif value is not None:
                        sheet.write(r, c, value)
            for r0, c0, r1, c1, value in merge:
                sheet.merge_range(r0, c0, r1, c1, value)


def test_workbook_with_several_sheets_types_and_merged_cells(raw):
    book(
        raw / "台账.xlsx",
        {
            "工单": [
                ["门店工单"],
                [None],
                [None, "工单号", "车架号", "送修日期", "送修里程", "结算金额", "是否预约"],
                [None, "A1", "V1", date(2024, 1, 5), 12000, 0.1 + 0.2, True],
                [None, None, "V2", datetime(2024, 1, 6, 9, 30), 13812345678, 99.5, False],
                [],
                [None, "合计", None, None, None, 99.8],
            ],
            "说明": [["本表由系统导出"], ["请勿修改"]],
            "空": [],
        },
    )
    result = read(raw)
    assert rows(
        result,
        "service_orders",
        "order_id",
        "vin",
        "opened_at",
        "odometer_km",
        "total_yuan",
        "booked",
        "_sheet",
        "_row",
        "_kind",
    ) == [
        ("A1", "V1", "2024-01-05", "12000", "0.3", "true", "工单", 4, "row"),
        (None, "V2", "2024-01-06 09:30:00", "13812345678", "99.5", "false", "工单", 5, "row"),
        ("合计", None, None, None, "99.8", None, "工单", 7, "total"),
    ]
    assert [(u.sheet, u.why.split(":")[0]) for u in result.unread] == [
        ("空", "an empty sheet"),
        ("说明", "no header line among the first 2 lines"),
    ]
    assert (result.files[0].counts.title_lines, result.files[0].counts.blank_lines) == (1, 2)


def test_a_cell_merged_over_rows_counts_for_each(raw):
    book(
        raw / "a.xlsx",
        {
            "s": [
                ["工单号", "车架号", "送修日期"],
                [None, "V1", "2024-01-01"],
                [None, "V2", "2024-01-02"],
                ["B", "V3", "2024-01-03"],
            ]
        },
        merge=[(1, 0, 2, 0, "A")],
    )
    assert rows(read(raw), "service_orders", "order_id", "vin") == [("A", "V1"), ("A", "V2"), ("B", "V3")]


def test_old_workbook(raw):
    shutil.copy(Path(__file__).parent / "data" / "visits.xls", raw)
    assert rows(read(raw), "service_orders", "order_id", "vin", "opened_at", "odometer_km", "_row") == [
        ("A1", "LSVAA00000000001", "2024-01-05", "12000", 3),
        ("A2", "LSVAA00000000002", "45300", "0.5", 4),
    ]


def test_text_with_a_workbooks_name(raw):
    write(raw, "导出.xls", "工单号\t车架号\t送修日期\nA1\tV1\t2024-01-01\n", "gbk")
    assert rows(read(raw), "service_orders", "order_id") == [("A1",)]


def test_parquet(raw):
    pq.write_table(
        pa.table(
            {
                "order_id": pa.array([1, None]),
                "vin": pa.array(["V1", ""]).dictionary_encode(),
                "opened_at": pa.array([datetime(2024, 1, 5), datetime(2024, 1, 6, 9, 30, 1)]),
                "settled_at": pa.array([date(2024, 1, 5), None]),
                "total_yuan": pa.array([Decimal("12.50"), None]),
                "labour_yuan": pa.array([12.0, float("nan")]),
                "booked": pa.array([True, False]),
            }
        ),
        raw / "a.parquet",
    )
    result = read(raw)
    assert rows(
        result,
        "service_orders",
        "order_id",
        "vin",
        "opened_at",
        "settled_at",
        "total_yuan",
        "labour_yuan",
        "booked",
        "_row",
    ) == [
        ("1", "V1", "2024-01-05", "2024-01-05", "12.50", "12", "true", 1),
        (None, None, "2024-01-06 09:30:01", None, None, None, "false", 2),
    ]
    assert (result.files[0].counts.lines, result.files[0].header_row) == (2, 0)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_database(raw, kind):
    connection = (sqlite3 if kind == "sqlite" else duckdb).connect(str(raw / "dms.db"))
    connection.execute("CREATE TABLE service_orders (order_id INTEGER, vin TEXT, opened_at TEXT, total_yuan DOUBLE)")
    connection.execute("INSERT INTO service_orders VALUES (1, 'V1', '2024-01-01', 10), (2, 'V2', '2024-01-02', NULL)")
    connection.commit()
    connection.close()
    url = f"{kind}:///dms.db"
    result = read(raw, files=[{"url": url, "tables": ["service_orders"]}])
    assert rows(result, "service_orders", "order_id", "vin", "opened_at", "total_yuan", "_file", "_sheet", "_row") == [
        ("1", "V1", "2024-01-01", "10", f"{kind}:dms.db", "service_orders", 1),
        ("2", "V2", "2024-01-02", None, f"{kind}:dms.db", "service_orders", 2),
    ]
    query = "SELECT order_id, vin, opened_at FROM service_orders WHERE order_id = 2;"
    assert rows(read(raw, files=[{"url": url, "query": query}]), "service_orders", "vin", "_sheet") == [
        ("V2", "query 1")
    ]
    shutil.rmtree(raw.parent / "out")
    assert "the database refuses" in refusal(raw, files=[{"url": url, "query": "SELECT secret FROM nowhere"}])
    assert "neither query nor tables" in refusal(raw, files=[{"url": url}])


def test_database_refusals_hold_no_credentials(raw, monkeypatch):
    monkeypatch.setenv("DEALERKIT_DB_USER", "bob")
    monkeypatch.setenv("DEALERKIT_DB_PASSWORD", "hush")
    words = refusal(
        raw,
        files=[
            {"url": "postgresql://db.local/dms", "tables": ["service_orders"]},
            {"url": "oracle://h/x", "query": "SELECT 1"},
            {"url": "sqlite:///../else.db", "query": "SELECT 1"},
            {"url": "sqlite:///none.db", "query": "SELECT 1"},
        ],
    )
    assert "needs the Python package psycopg" in words or "postgresql:dms: the database refuses" in words
    assert (
        "'oracle' is no database" in words
        and "leads out of the raw folder" in words
        and "no such file in the raw folder" in words
    )
    assert "bob" not in words and "hush" not in words


# headers and tables


def test_every_file_finds_its_table_in_both_languages(raw):
    for label in ("name", "zh", "en"):
        for table in tables.TABLES.values():
            headers = [getattr(c, label) for c in table.columns]
            with open(
                raw / f"{label}-{len(table.name)}{table.name[::-1]}.csv", "w", newline="", encoding="utf-8"
            ) as stream:
                csv.writer(stream).writerows([headers, ["x"] * len(headers)])
    result = read(raw)
    assert not result.unread
    assert {(f.file.split("-")[0], f.tables) for f in result.files} == {
        (label, (name,)) for label in ("name", "zh", "en") for name in tables.TABLES
    }
    assert all(set(f.matched[f.tables[0]]) == set(tables.TABLES[f.tables[0]].names) for f in result.files)


def test_columns_values_and_date_order_from_the_params(raw):
    write(raw, "a.csv", "号,车,进店时刻,类\n1,V,05/01/2024, 小养护 \n2,V,06/01/2024,大修\n")
    result = read(
        raw,
        files=[
            {
                "file": "*.csv",
                "tables": ["service_orders"],
                "date_order": "dmy",
                "header_row": 1,
                "values": {"order_type": {"小养护": "maintenance"}},
                "columns": {"order_id": "号", "service_orders.vin": "车", "opened_at": "进店时刻", "order_type": "类"},
            }
        ],
    )
    assert rows(result, "service_orders", "order_id", "vin", "opened_at", "order_type", "_date_order") == [
        ("1", "V", "05/01/2024", "maintenance", "dmy"),
        ("2", "V", "06/01/2024", "大修", "dmy"),
    ]


def test_label_beats_synonym_and_the_rest_is_listed(raw):
    write(raw, "a.csv", "结算单号,工单号,车架号,送修日期,开单日期,联系人,\n9,1,V,2024-01-01,2024-01-02,张,\n")
    result = read(raw)
    assert rows(result, "service_orders", "order_id", "opened_at") == [("1", "2024-01-01")]
    assert result.files[0].unused == ("结算单号", "开单日期", "联系人")


def test_doubtful_headers_stop_the_run_and_the_remedy_works(raw):
    write(raw, "a.csv", "order_id,vin,开单日期,进店日期,里程,里程\n1,V,2024-01-01,2024-01-02,10,20\n")
    words = refusal(raw)
    assert "several headers for opened_at (Opened at, 送修日期): '开单日期' (column 3), '进店日期' (column 4)" in words
    assert (
        "the same header twice for odometer_km (Odometer, km, 送修里程): '里程' (column 5), '里程' (column 6)" in words
    )
    result = read(raw, files=[{"file": "a.csv", "columns": {"opened_at": "进店日期", "odometer_km": "里程#2"}}])
    assert rows(result, "service_orders", "opened_at", "odometer_km") == [("2024-01-02", "20")]


def test_twice_the_same_header_is_fine_when_nobody_needs_it(raw):
    write(raw, "a.csv", "order_id,vin,opened_at,备忘,备忘\n1,V,2024-01-01,a,b\n")
    assert read(raw).tables["service_orders"].rows == 1


def test_missing_required_column_names_the_line_to_add(raw):
    write(raw, "工单.csv", "工单号,车架号,进店时刻,送修里程\nA1,LSVAA00000000001,2024-01-01,5\n")
    words = refusal(raw)
    assert words == (
        "工单.csv: no header for service_orders.opened_at (Opened at, 送修日期), which is required; "
        "headers found: 工单号, 车架号, 进店时刻, 送修里程; "
        "nearest: '进店时刻'\n  → say which header it is in the params: "
        'files: [{file: "工单.csv", columns: {opened_at: "进店时刻"}}, {file: "*"}]'
    )
    result = read(raw, files=[{"file": "工单.csv", "columns": {"opened_at": "进店时刻"}}, {"file": "*"}])
    assert rows(result, "service_orders", "opened_at") == [("2024-01-01",)]
    words = refusal_after(raw, files=[{"file": "工单.csv", "columns": {"opened_at": "进店时间"}}])
    assert "the file has no such header" in words and "nearest: '进店时刻'" in words


def refusal_after(raw: Path, **params) -> str:
    shutil.rmtree(raw.parent / "out")
    return refusal(raw, **params)


def test_messages_hold_no_personal_values(raw):
    write(raw, "a.csv", "A1,LSVAA00000000001,张三,13812345678\nA2,LSVAA00000000002,李四,13912345678\n")
    for words in (
        refusal(raw),
        refusal(raw, files=[{"file": "a.csv", "tables": ["service_orders"]}]),
        refusal(raw, files=[{"file": "a.csv", "tables": ["service_orders"], "header_row": 1}]),
    ):
        assert "13812345678" not in words and "00000000001" not in words
    assert "none holds two known headers" in refusal(raw)


ROW = "KH00155,张伟,138 0013 8000,zhang.wei@example.cn,沪A12345,LSVAA4182E2,世纪大道100号3室,2024-01-02"


def test_a_header_that_is_data_is_not_named(raw):
    write(raw, "工单.csv", "张伟 138 0013 8000,车架号,送修日期,送修里程\nA1,LSVAA00000000001,2024-01-01,5\n")
    words = refusal(raw)
    assert (
        "headers found: 张***************, 车架号, 送修日期, 送修里程" in words
        and "138" not in words
        and "张伟" not in words
    )
    write(raw, "工单.csv", "工单号,车架号,送修日期,张伟 138 0013 8000,zhang.wei@example.cn,备忘\nA1,V,2024-01-01,5,,\n")
    assert read(raw).files[0].unused == ("张***************", "z*******************", "备忘")


def test_of_a_line_of_data_no_word_is_named(raw):
    write(raw, "客户.csv", f"{ROW}\n{ROW}\n")
    words = refusal(raw, files=[{"file": "客户.csv", "tables": ["customers"], "header_row": 1}])
    assert "headers found: 8 cells that look like data, not like the names of columns" in words
    assert not [cell for cell in ROW.split(",") if cell in words] and "nearest" not in words


def test_no_heading_that_is_known_looks_like_data():
    known = {s for t in tables.TABLES.values() for c in t.columns for s in (c.name, c.zh, c.en, *c.synonyms)}
    assert [text for text in sorted(known | set(tables.JTT1132)) if personal.is_personal(text)] == []
    assert doctest.testmod(personal).failed == 0


def test_ids_of_a_second_source_live_in_their_own_space(raw):
    write(raw, "dms.csv", VISITS + "1,V,2024-01-01\n")
    write(raw, "calls.csv", "call id,customer_id,at,agent\n7, 12 ,2024-01-01,3\n8,,2024-01-02,3\n")
    write(raw, "people.csv", "contact_id,customer_id,vin,name,phone\n5,12,V,张,1\n")
    write(raw, "more.csv", "call id,customer_id,at,agent\n7,12,2024-01-01,3\n")
    files = [
        {"file": "dms.csv"},
        {"file": "calls.csv", "source": "cc"},
        {"file": "people.csv", "source": "cc"},
        {"file": "more.csv", "source": "cc", "ids_from": "dms"},
    ]
    result = read(raw, sources=["dms", "cc"], files=files)
    assert rows(result, "interactions", "interaction_id", "customer_id", "staff_id", "_source") == [
        ("cc:7", "cc:12", "cc:3", "cc"),
        ("cc:8", None, "cc:3", "cc"),
        ("7", "12", "3", "cc"),
    ]
    assert rows(result, "service_orders", "order_id", "vin") == [("1", "V")]
    assert rows(result, "contacts", "contact_id", "customer_id", "vin") == [("cc:5", "cc:12", "V")]
    assert "source 'cc' is not under sources: (dms)" in refusal_after(raw, files=files)


def test_absent_keys_of_optional_tables_are_made_and_noted(raw):
    write(raw, "a.csv", VISITS + "1,V,2024-01-01\n")
    write(raw, "b.csv", "customer_id,at,kind\n1,2024-01-01,survey\n1,2024-01-02,survey\n")
    result = read(raw)
    ids = [i for (i,) in rows(result, "interactions", "interaction_id")]
    assert ids == [i for (i,) in rows(read(raw), "interactions", "interaction_id")] and len(set(ids)) == 2
    assert all(i.startswith("made:") for i in ids)
    assert result.files[1].made == {"interactions": {"interaction_id": "made from source, file and row"}}


# several tables, derived tables


def test_the_official_record_needs_no_mapping(raw):
    lines = [
        "店,V1,京A1,2024-01-01,10,2024-01-02,J1,响,换机油,1.5,机油,P1,4",
        "店,V2,京A2,2024-01-03,20,2024-01-03,J2,,检查,1,,,",
        "店,V1,京A1,2024-01-01,10,2024-01-02,J1,响,,,滤芯,P2,1",
        "店,,京A9,2024-01-04,30,2024-01-04,J3,,洗车,.2,,,",
    ]
    write(raw, "a.csv", ",".join(JTT) + "\n" + "\n".join(lines) + "\n合计,,,,,,,,,2.7,,,\n", "gb18030")
    result = read(raw)
    one, two, nine = (derived_id(text, "dealerkit") for text in ("V1", "V2", "京A9"))
    assert rows(
        result,
        "service_orders",
        "order_id",
        "vin",
        "customer_id",
        "opened_at",
        "settled_at",
        "odometer_km",
        "fault",
        "_row",
        "_kind",
        "_derived",
    ) == [
        ("J1", "V1", one, "2024-01-01", "2024-01-02", "10", "响", 2, "row", False),
        ("J2", "V2", two, "2024-01-03", "2024-01-03", "20", None, 3, "row", False),
        ("J3", None, nine, "2024-01-04", "2024-01-04", "30", None, 5, "row", False),
        (None, None, None, None, None, None, None, 6, "total", False),
    ]
    assert rows(
        result, "service_lines", "order_id", "line_no", "kind", "item_name", "item_code", "hours", "quantity", "_row"
    ) == [
        ("J1", "1", "labour", "换机油", None, "1.5", None, 2),
        ("J1", "2", "part", "机油", "P1", None, "4", 2),
        ("J2", "1", "labour", "检查", None, "1", None, 3),
        ("J1", "3", "part", "滤芯", "P2", None, "1", 4),
        ("J3", "1", "labour", "洗车", None, ".2", None, 5),
    ]
    assert rows(result, "service_orders", "plate") == [("京A1",), ("京A2",), ("京A9",), (None,)]
    assert rows(result, "vehicles", "vin", "plate", "customer_id", "_derived") == [
        ("V1", "京A1", one, True),
        ("V2", "京A2", two, True),
        (None, "京A9", nine, True),
    ]
    assert rows(result, "customers", "customer_id", "_derived", "_row") == [
        (one, True, 2),
        (two, True, 3),
        (nine, True, 5),
    ]
    assert result.derived == ("vehicles", "customers") and result.files[0].unused == ("企业名称",)
    assert "V1" not in one and derived_id("V1", "other") != one
    assert result.files[0].made["service_lines"] == {"line_no": "numbered within the order, in the file's order"}


def test_ten_of_the_official_headers_are_enough(raw):
    kept = [h for h in JTT if h not in ("企业名称", "故障描述", "维修工时")]
    write(raw, "a.csv", ",".join(kept) + "\nV1,京A1,2024-01-01,10,2024-01-02,J1,换油,机油,P1,4\n")
    assert {name: t.rows for name, t in read(raw).tables.items()} == {
        "customers": 1,
        "vehicles": 1,
        "service_orders": 1,
        "service_lines": 2,
    }


def test_customers_and_vehicles_are_derived_from_ids_when_visits_have_them(raw):
    write(
        raw,
        "a.csv",
        "order_id,vin,customer_id,opened_at\n1,V1,C1,2024-01-01\n2,v1 ,C2,2024-01-02\n"
        "3,V2,,2024-01-03\n4,,C1,2024-01-04\n5,,,2024-01-05\n",
    )
    result = read(raw)
    two = derived_id("V2", "dealerkit")
    assert rows(result, "vehicles", "vin", "customer_id", "_row", "_derived") == [
        ("V1", "C2", 2, True),
        ("V2", two, 4, True),
    ]
    assert rows(result, "customers", "customer_id", "_row") == [("C1", 2), ("C2", 3), (two, 4)]
    assert rows(result, "service_orders", "customer_id") == [("C1",), ("C2",), (two,), ("C1",), (None,)]
    assert (result.tables["vehicles"].derived_rows, result.tables["customers"].derived_rows) == (2, 3)


def test_a_wide_export_of_visits_fills_the_derived_tables(raw):
    write(
        raw,
        "a.csv",
        "工单号,车架号,送修日期,车牌号,车系,姓名,手机\n1,V1,2024-01-01,京A1,X,张,138\n1,V1,2024-01-01,京A1,X,张,138\n2,V1,2024-02-01,京A1,X,张,138\n",
    )
    result = read(raw)
    one = derived_id("V1", "dealerkit")
    assert result.tables["service_orders"].rows == 3  # a visit delivered twice is the audit's to find
    assert rows(result, "vehicles", "vin", "plate", "series", "customer_id", "_derived") == [
        ("V1", "京A1", "X", one, True)
    ]
    assert rows(result, "customers", "customer_id", "name", "phone") == [(one, "张", "138")]


def test_nothing_is_derived_when_delivered(raw):
    write(raw, "a.csv", VISITS + "1,V1,2024-01-01\n")
    write(raw, "b.csv", "vin,plate\nV9,京A1\n")
    write(raw, "c.csv", "customer_id,name\nC9,张\n")
    result = read(raw)
    assert result.derived == () and result.tables["vehicles"].rows == result.tables["customers"].rows == 1
    assert rows(result, "service_orders", "customer_id") == [(None,)]


def test_one_file_feeds_the_tables_named_and_loses_no_row(raw):
    write(
        raw,
        "a.csv",
        "order_id,vin,opened_at,customer_id,name,item_name\n1,V1,2024-01-01,C1,张,oil\n1,V1,2024-01-01,C1,张,filter\n2,V2,2024-01-02,C2,李,\n,,,C3,王,\n,,,,,oops\n",
    )
    result = read(
        raw,
        files=[
            {
                "file": "a.csv",
                "tables": ["service_orders", "service_lines", "customers"],
                "columns": {"customers.name": "name"},
            }
        ],
    )
    assert rows(result, "service_orders", "order_id", "vin", "_row") == [
        ("1", "V1", 2),
        ("2", "V2", 4),
        (None, None, 6),
    ]
    assert rows(result, "service_lines", "order_id", "line_no", "item_name") == [
        ("1", "1", "oil"),
        ("1", "2", "filter"),
    ]
    assert rows(result, "customers", "customer_id", "name") == [("C1", "张"), ("C2", "李"), ("C3", "王")]


def test_a_workbook_named_for_two_tables_gives_a_sheet_to_each(raw):
    book(
        raw / "a.xlsx",
        {
            "one": [["order_id", "vin", "opened_at", "customer_id"], ["1", "V", "2024-01-01", "C"]],
            "two": [["customer_id", "name", "phone"], ["C", "张", "1"]],
        },
    )
    result = read(raw, files=[{"file": "a.xlsx", "tables": ["service_orders", "customers"]}])
    assert [f.tables for f in result.files] == [("service_orders",), ("customers",)]


# what is read, and in which order


def test_what_is_not_data_is_left_and_listed(raw):
    write(raw, "b.csv", VISITS + "2,V,2024-01-02\n")
    write(raw, "a.csv", VISITS + "1,V,2024-01-01\n")
    for name in ("README.csv", "logo.png", ".hidden.csv", "~$a.xlsx", "a.zip", "prices.csv", "old.db"):
        write(raw, name, "item,price\n1,2\n")
    for folder in ("returned", "2023"):
        (raw / folder).mkdir()
        write(raw, f"{folder}/c.csv", VISITS + "3,V,2024-01-03\n")
    result = read(raw)
    assert rows(result, "service_orders", "order_id", "_file") == [("3", "2023/c.csv"), ("1", "a.csv"), ("2", "b.csv")]
    assert sorted((u.file, u.why.split(":")[0]) for u in result.unread) == [
        ("README.csv", "a note, not data, by its name"),
        ("a.zip", "packed"),
        ("logo.png", "files ending in .png are not read"),
        ("old.db", "a database"),
        ("prices.csv", "its headers are those of no table; nearest"),
    ]
    named = read(raw, files=[{"file": "b.csv"}, {"file": "2023/*.csv"}])
    assert rows(named, "service_orders", "order_id") == [("3",), ("2",)]
    assert ("a.csv", "not named under files: in the params") in {(u.file, u.why) for u in named.unread}


def test_a_rerun_gives_the_same_bytes_and_drops_old_tables(raw):
    write(raw, "a.csv", ",".join(JTT) + "\n店,V1,京A1,2024-01-01,10,2024-01-02,J1,响,换机油,1.5,机油,P1,4\n" * 50)
    write(raw, "b.csv", "staff_id,role,phone\n1,a,2\n")
    first = {name: t.path.read_bytes() for name, t in read(raw).tables.items()}
    assert {name: t.path.read_bytes() for name, t in read(raw, engine={"threads": 2}).tables.items()} == first
    (raw / "b.csv").unlink()
    read(raw)
    assert not (raw.parent / "out" / "raw_staff.parquet").exists()
    assert sorted(p.name for p in (raw.parent / "out").iterdir()) == [
        f"raw_{t}.parquet" for t in ("customers", "service_lines", "service_orders", "vehicles")
    ]


# bad input


def test_header_only_is_no_rows(raw):
    write(raw, "a.csv", VISITS)
    result = read(raw)
    assert result.tables["service_orders"].rows == 0 and result.files[0].rows == 0
    assert result.tables["customers"].rows == result.tables["vehicles"].rows == 0


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "a.csv: the file is empty (0 bytes)"),
        (b"\n , \n\n", "a.csv: holds no header, only empty lines"),
        (b"order_id,vin,opened_at\n1,V\0,2\n", "a.csv: a NUL byte at byte 27, line 2"),
        (
            b"order_id,vin,opened_at\n1,\xff\xff,2\n",
            "not UTF-8 (byte 0xFF at position 26, line 2); not GB18030 (byte 0xFF at position 26, line 2)",
        ),
        (
            ("order_id,vin,opened_at,fault\n" + "1,V,2,发动机异响需要检查\n" * 4).encode() + b"2,V,2,\xe5\x8f,\n",
            "not UTF-8 (byte 0xE5 at position 172, line 6)\n",
        ),
        (b"\xff\xfe\0\0o", "UTF-32"),
    ],
)
def test_text_that_cannot_be_read(raw, content, words):
    (raw / "a.csv").write_bytes(content)
    assert words in refusal(raw)


def test_forced_encoding_that_is_wrong(raw):
    write(raw, "a.csv", "工单号,车架号,送修日期\n1,V,2024\n", "gb18030")
    assert "not UTF-8 (byte 0xB9 at position 1, line 1)" in refusal(raw, files=[{"file": "a.csv", "encoding": "utf-8"}])


def test_a_workbook_with_a_stray_cell_far_out(raw):
    with xlsxwriter.Workbook(str(raw / "a.xlsx")) as book:
        sheet = book.add_worksheet("Visits")
        sheet.write(0, 0, "RO No")
        sheet.write(900_000, 900, "x")
    words = refusal(raw)
    assert "a.xlsx: a sheet reaches to row 900,001, column 901, most of it empty" in words
    assert "delete the cells that stand far outside of the table" in words


def test_workbook_with_a_password(raw):
    book(raw.parent / "open.xlsx", {"s": [["order_id", "vin", "opened_at"]]})
    with open(raw.parent / "open.xlsx", "rb") as stream, open(raw / "a.xlsx", "wb") as out:
        msoffcrypto.format.ooxml.OOXMLFile(stream).encrypt("secret", out)
    words = refusal(raw)
    assert "a.xlsx: the workbook is protected by a password" in words and "take the password off" in words


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.xlsx", b"PK\x03\x04garbage", "a.xlsx: not a readable workbook"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1garbage", "a.xls: not a readable workbook"),
        ("a.xls", b"\xef\xbb\xbf<html><table></table></html>", "a web page or XML with a workbook's name"),
        ("a.parquet", b"PAR1garbagePAR1", "a.parquet: not a readable Parquet file"),
    ],
)
def test_damaged_files(raw, name, content, words):
    (raw / name).write_bytes(content)
    assert words in refusal(raw)


def test_files_that_are_not_there(raw):
    write(raw, "工单.csv", VISITS + "1,V,2024\n")
    words = refusal(
        raw,
        files=[
            {"file": "工单 .csv"},
            {"file": "*.xlsx"},
            {"file": "../x.csv"},
            {"file": "/etc/passwd"},
            {"file": "工单.csv", "header_row": 9},
        ],
    )
    assert (
        "no file '工单 .csv' in the raw folder; nearest: '工单.csv'" in words
        and "no file '*.xlsx'" in words
        and "it holds 工单.csv" in words
    )
    assert words.count("leads out of the raw folder") == 2 and "no record starts in line 9" in words
    assert "5 problems with the raw files" in words
    assert "two entries under files:" in refusal(raw, files=[{"file": "工单*"}, {"file": "*.csv"}])
    book(raw / "b.xlsx", {"s": [["a"]]})
    assert "no sheet 't'; its sheets are 's'" in refusal(raw, files=[{"file": "b.xlsx", "sheet": "t"}])


def test_no_files_and_no_folder(raw):
    assert "the raw folder holds no file that can be read; it is empty" in refusal(raw)
    write(raw, "README.md", "x")
    assert "only README.md" in refusal(raw)
    assert "there is no folder gone" in refusal(raw.parent / "gone")


def test_no_visits_lists_what_was_found(raw):
    write(raw, "a.csv", "customer_id,name\n1,张\n")
    write(raw, "b.csv", "x,y\n1,2\n")
    words = refusal(raw)
    assert (
        "no workshop visits (service_orders, 维修工单)" in words
        and "a.csv: read as customers" in words
        and "b.csv: no header line" in words
    )
    assert "order_id (工单号), vin (车架号), opened_at (送修日期)" in words


def test_no_permission_and_a_full_disk(raw, monkeypatch):
    write(raw, "a.csv", VISITS + "1,V,2024\n")
    real = builtins.open

    def locked(file, *args, **kwargs):
        if str(file).endswith("a.csv"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", locked)
        assert "a.csv: no permission to read it" in refusal(raw)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    assert "the disk is full" in refusal(raw)


def test_all_problems_of_all_files_come_together(raw):
    write(raw, "a.csv", "工单号,车架号,进店时刻,里程,里程\n")
    write(raw, "b.csv", "")
    with pytest.raises(UserErrors) as caught:
        read(raw)
    assert len(caught.value.problems) == 3


# laws

CELL = st.text(
    st.characters(codec="gb18030", exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=6
).filter(lambda cell: not cell.startswith('="'))  # that wrap is Excel's, not the text's


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=st.sampled_from([7, 64, 1 << 21]),
    blanks=st.sets(st.integers(0, 12)),
    titles=st.integers(0, 3),
)
def test_rows_read_are_rows_written_and_lines_add_up(
    tmp_path_factory, cells, delimiter, encoding, ending, quoting, block, blanks, titles
):
    raw = tmp_path_factory.mktemp("law") / "raw"
    raw.mkdir()
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    for _ in range(titles):
        out.write("导出报表" + ending)
    writer.writerow(["order_id", "vin", "opened_at", "fault"])
    expected = []
    for at, row in enumerate(cells):
        if at in blanks:
            out.write(ending)
        number = out.getvalue().count("\n") + 1
        writer.writerow(row := [f"k{at}", *row[1:]])
        expected.append((number, *(cell or None for cell in row)))
    (raw / "a.csv").write_bytes(out.getvalue().encode(encoding))
    entry = {"file": "a.csv", "tables": ["service_orders"], "delimiter": delimiter}
    with mock.patch.object(text, "_BLOCK", block):
        result = read(raw, files=[entry | {"encoding": encoding.removesuffix("-sig")}])
    assert rows(result, "service_orders", "_row", "order_id", "vin", "opened_at", "fault") == expected
    counts = result.files[0].counts
    assert counts.rows == len(cells)
    assert (
        counts.lines
        == counts.title_lines + counts.header_lines + counts.blank_lines + counts.rows + counts.continuation_lines
        == out.getvalue().count("\n")
    )
