"""The audit: texts made standard, each check on rows worked by hand, nothing lost, the planted faults found again."""

from __future__ import annotations

import random
import re
from datetime import date, datetime
from decimal import Decimal

import ibis
import pandas as pd
import pytest
from dealerkit import formats, tables
from dealerkit.audit import DIMENSION_LABELS, DIMENSIONS, checks
from dealerkit.audit.standard import EMPTY, date_order_evidence, plain, plain_texts, standardised
from dealerkit.errors import UserError, UserErrors
from dealerkit.params import CheckParams
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

DAY = date(2026, 6, 30)


def vin(number: int, wrong: bool = False) -> str:
    """A VIN by ISO 3779 and FMVSS 565: weights 8…2, 10, 0, 9…2, mod 11."""
    text = f"LSVAA408_E2{number:06d}"
    value = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789"))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum(w * int(value.get(c, c)) for c, w in zip(text.replace("_", "0"), weights)) % 11
    return text.replace("_", "0123456789X"[(rest + wrong) % 11])


def resident(birth: str, serial: str = "001", area: str = "110105") -> str:
    body = area + birth + serial
    return body + ric.calc_check_digit(body + "_")


# -- standardising ------------------------------------------------------------------------------------------------


def made(table: str, column: str, texts: list, order: str | None = None) -> list:
    """The standardised values of delivered texts, None where there is none."""
    given_ = ibis.memtable({"t": texts, "o": [order] * len(texts), "i": range(len(texts))}, schema={"t": "string", "o": "string", "i": "int64"})  # fmt: skip
    typed = given_.mutate(t=plain(given_.t))
    value = standardised(tables.table(table)[column], typed.t, typed.o)
    return [row["v"] for row in typed.select("i", v=value).order_by("i").to_pyarrow().to_pylist()]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-01-05", datetime(2026, 1, 5)),
        ("2026/1/5", datetime(2026, 1, 5)),
        ("2026.01.05", datetime(2026, 1, 5)),
        ("20260105", datetime(2026, 1, 5)),
        ("2026年1月5日", datetime(2026, 1, 5)),
        ("２０２６－０１－０５", datetime(2026, 1, 5)),
        (" 2026-01-05\t", datetime(2026, 1, 5)),
        ("46027", datetime(2026, 1, 5)),
        ("46027.604167", datetime(2026, 1, 5, 14, 30)),
        ("2026-01-05 14:30", datetime(2026, 1, 5, 14, 30)),
        ("2026-01-05T14:30:15", datetime(2026, 1, 5, 14, 30, 15)),
        ("2026/1/5 9:05", datetime(2026, 1, 5, 9, 5)),
        ("20260105143015", datetime(2026, 1, 5, 14, 30, 15)),
        ("202601051430", datetime(2026, 1, 5, 14, 30)),
        ("2026年1月5日 14:30", datetime(2026, 1, 5, 14, 30)),
        ("2024-02-29", datetime(2024, 2, 29)),
        ("2026-02-29", None),
        ("2026-13-01", None),
        ("0000-00-00", None),
        ("5/1/2026", None),  # day or month first is not known
        ("26-1-5", None),
        ("soon", None),
        ("12", None),
        ("2026", None),
        (None, None),
    ],
)
def test_dates(text, expected):
    assert made("service_orders", "opened_at", [text]) == [expected]
    assert made("vehicles", "purchased_on", [text]) == [expected and expected.date()]


def test_day_and_month_first_as_the_order_says():
    texts = ["5/1/2026", "05.01.2026 14:30", "13-1-2026", "1/13/2026", "2026-01-05"]
    assert made("service_orders", "opened_at", texts, "dmy") == [
        datetime(2026, 1, 5), datetime(2026, 1, 5, 14, 30), datetime(2026, 1, 13), None, datetime(2026, 1, 5),
    ]  # fmt: skip
    assert made("service_orders", "opened_at", texts, "mdy") == [
        datetime(2026, 5, 1), datetime(2026, 5, 1, 14, 30), None, datetime(2026, 1, 13), datetime(2026, 1, 5),
    ]  # fmt: skip


def test_the_order_of_day_and_month_is_taken_from_evidence_alone():
    seen = {"a.csv": ["5/1/2026", "13/1/2026"], "b.csv": ["1/13/2026", "5/1/2026"], "c.csv": ["5/1/2026"],
            "d.csv": ["13/1/2026", "1/13/2026"], "e.csv": ["2026-01-13"]}  # fmt: skip
    table = tables.table("service_orders")
    rows = [{"_file": f, "opened_at": t} for f, texts in seen.items() for t in texts]
    frame = pd.DataFrame(rows).reindex(columns=[*table.names, "_file"])
    texts = plain_texts(ibis.memtable(frame, schema=dict.fromkeys(frame.columns, "string")), table)
    assert date_order_evidence(texts, table) == {("a.csv", "opened_at"): "dmy", ("b.csv", "opened_at"): "mdy"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1234.5", "1234.50"), ("1,234.50", "1234.50"), ("¥1,234", "1234.00"), ("￥1234", "1234.00"),
        ("１２３４．５", "1234.50"), ("1.5万", "15000.00"), ("12.98 万元", "129800.00"), ("300元", "300.00"),
        ("RMB 300", "300.00"), ("cny300", "300.00"), ("-20", "-20.00"), ("¥-20", "-20.00"), ("-¥20", "-20.00"),
        (".5", "0.50"), ("0", "0.00"), ("12.345", "12.35"), ("free", None), ("1e5", None), ("12.3.4", None),
        ("一百", None), ("见备注", None), ("12 apples", None), (None, None),
    ],
)  # fmt: skip
def test_money(text, expected):
    assert made("service_orders", "total_yuan", [text]) == [expected and Decimal(expected)]


@pytest.mark.parametrize(
    "text, expected",
    [("12", 12), ("12.0", 12), ("12.5", None), ("1,200公里", 1200), ("３０", 30), ("3万公里", 30000), ("-1", -1), ("many", None)],
)  # fmt: skip
def test_whole_numbers(text, expected):
    assert made("service_orders", "odometer_km", [text]) == [expected]


def test_numbers_with_decimals():
    assert made("service_lines", "hours", ["1.25", "0.5小时", "x"]) == [1.25, 0.5, None]


def test_codes_and_yes_or_no():
    assert made("service_orders", "order_type", ["保养", "SERVICE", " Maintenance ", "索赔", "bodywork", "其他", None]) == [
        "maintenance", "maintenance", "maintenance", "warranty", "accident", None, None,
    ]  # fmt: skip
    assert made("service_orders", "booked", ["是", "Y", "1", "TRUE", "否", "n", "0", "maybe", None]) == [
        True, True, True, True, False, False, False, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "table, column, texts, expected",
    [
        ("vehicles", "plate", ["沪 a·12345", "沪A－12345", "沪AD12345"], ["沪A12345", "沪A12345", "沪AD12345"]),
        ("vehicles", "vin", [" lsv aa4086 e2000001", "LSVAA4086E2000001"], ["LSVAA4086E2000001"] * 2),
        ("customers", "id_number", ["11010519491231002x", "110105 19491231 002X"], ["11010519491231002X"] * 2),
        ("customers", "phone", ["+86 138-0013-8000", "0086-13800138000", "8613800138000", "１３８００１３８０００", "138 0013 8000", "(138)00138000"], ["13800138000"] * 6),
        ("customers", "phone", ["1380013800", "86138"], ["1380013800", "86138"]),
        ("customers", "email", [" A.B@Example.COM "], ["a.b@example.com"]),
        ("customers", "name", ["　王\u3000 小明 ", "Ｌｉ  Na", "a\u200bb\x00c"], ["王 小明", "Li Na", "a b c"]),
    ],
)  # fmt: skip
def test_identifiers_and_texts(table, column, texts, expected):
    assert made(table, column, texts) == expected


def test_what_says_nothing_is_unknown():
    said = [*EMPTY, " - ", "N/A", "（Null）", "\u3000", "未知 "]
    assert made("customers", "name", said) == [None] * len(said)
    assert made("customers", "name", ["无名", "0", "nano", "N/A see note"]) == ["无名", "0", "nano", "N/A see note"]


# -- check digits against python-stdnum ---------------------------------------------------------------------------


def evaluated(rule, texts: list[str]) -> list:
    frame = ibis.memtable({"t": texts, "i": range(len(texts))}, schema={"t": "string", "i": "int64"})
    return [r["v"] for r in frame.select("i", v=rule(frame.t)).order_by("i").to_pyarrow().to_pylist()]


def test_check_digits_of_resident_ids():
    rng = random.Random(1)
    bodies = [f"{rng.randrange(110000, 659999)}{rng.randrange(1930, 2020)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{rng.randrange(1000):03d}" for _ in range(300)]  # fmt: skip
    numbers = [b + rng.choice([ric.calc_check_digit(b + "_"), rng.choice("0123456789X")]) for b in bodies]
    expected = [n[-1] != ric.calc_check_digit(n) for n in numbers]
    assert 50 < sum(expected) < 250
    assert evaluated(formats.resident_id_digit_wrong, numbers) == expected
    assert evaluated(formats.resident_id_digit_wrong, ["", "11010519491331002X", "1101051949123100"]) == [None] * 3


def test_check_digits_of_social_credit_codes():
    rng, letters = random.Random(2), "0123456789ABCDEFGHJKLMNPQRTUWXY"
    bodies = ["91" + "".join(rng.choices("0123456789", k=6) + rng.choices(letters, k=9)) for _ in range(300)]
    numbers = [b + rng.choice([uscc.calc_check_digit(b), rng.choice(letters)]) for b in bodies]
    expected = [not uscc.is_valid(n) for n in numbers]
    assert 50 < sum(expected) < 250
    assert evaluated(formats.uscc_digit_wrong, numbers) == expected


def test_check_digits_of_vins():
    # published: a Motor Coach Industries bus of 49 CFR 565, and seventeen ones
    assert evaluated(formats.vin_digit_wrong, ["1M8GDM9AXKP042788", "11111111111111111", "1M8GDM9A1KP042788"]) == [False, False, True]  # fmt: skip
    numbers = [vin(n, wrong=n % 3 == 0) for n in range(300)]
    assert evaluated(formats.vin_digit_wrong, numbers) == [n % 3 == 0 for n in range(300)]
    assert evaluated(formats.vin_digit_wrong, ["1M8GDM9AXKP04278", "IM8GDM9AXKP042788"]) == [None, None]


def test_number_plates():
    legal = ["沪A12345", "京AD12345", "粤BF1234A"[:8], "粤B12345D", "沪A1234学", "新A1B2C3", "粤Z1234港", "浙AA12345"]
    malformed = ["沪A1234", "沪I12345", "A12345", "沪A123456", "沪AO2345", "沪", "沪AD1234O", "XA12345"]
    wrong = evaluated(lambda v: ~v.re_search(formats.PLATE), legal + malformed)
    assert [p for p, bad in zip(legal + malformed, wrong) if bad] == ["粤BF1234A", *malformed]


# -- each check, on rows worked by hand ---------------------------------------------------------------------------

STANDARD = {
    "staff": {"staff_id": "S{n}", "role": "adviser", "phone": "139000000{n:02d}"},
    "customers": {"customer_id": "C{n}", "name": "客{n}", "phone": "138000000{n:02d}"},
    "vehicles": {"customer_id": "C{n}", "plate": "沪A100{n:02d}", "series": "Alpha", "purchased_on": "2020-05-05"},
    "contacts": {"contact_id": "K{n}", "customer_id": "C1", "role": "司机", "name": "联{n}", "phone": "137000000{n:02d}"},
    "leads": {"lead_id": "L{n}", "phone": "136000000{n:02d}", "created_at": "2026-05-05 10:00", "source": "web", "status": "following"},
    "sales_orders": {"order_id": "B{n}", "customer_id": "C1", "delivered_on": "2020-05-05", "price_yuan": "200000"},
    "service_orders": {"order_id": "R{n}", "vin": vin(1), "opened_at": "2026-05-{n:02d} 09:00", "settled_at": "2026-05-{n:02d} 17:00",
                       "odometer_km": "3{n:02d}00", "order_type": "保养", "total_yuan": "100"},
    "service_lines": {"order_id": "R1", "line_no": "{n}", "item_name": "oil", "kind": "part"},
    "interactions": {"interaction_id": "I{n}", "customer_id": "C1", "at": "2026-04-04 12:00", "kind": "care_call"},
    "campaigns": {"campaign_id": "A", "customer_id": "C{n}", "assigned_on": "2026-03-01", "arm": "treated"},
}  # fmt: skip

ID = resident("19880808", "003")  # a man born 1988-08-08
#: table → number of the row → (what differs from the standard row, checks that it must fail).
PLANTED: dict[str, dict[int, tuple[dict, str]]] = {
    "staff": {
        2: ({"role": None}, "role_filled"), 3: ({"phone": "12345"}, "phone_legal"),
        4: ({"staff_id": "S1", "phone": None}, "key_repeated"), 5: ({"staff_id": None}, "staff_id_present"),
    },
    "customers": {
        1: ({"id_number": ID, "birth_date": "1988-08-08", "gender": "男", "email": "a@b.cn", "customer_type": "个人", "points": "5",
             "account_manager_id": "S1", "marketing_consent": "是", "created_on": "2020-01-01"}, ""),
        2: ({"name": "-"}, "name_filled"), 3: ({"phone": "无"}, "phone_filled"), 4: ({"phone": "1380000"}, "phone_legal"),
        5: ({"email": "nobody1"}, "email_legal"), 6: ({"id_number": ID[:-1] + "0123456789X"[("0123456789X".index(ID[-1]) + 1) % 11]}, "id_number_legal"),
        7: ({"id_number": "12"}, "id_number_legal"), 8: ({"id_number": resident("19900101"), "birth_date": "1991-01-01"}, "birth_matches_id"),
        9: ({"id_number": resident("19700101", "002"), "gender": "m"}, "gender_matches_id"),
        10: ({"name": "王小明"}, "similar_record"), 11: ({"name": "王先生", "phone": "13800000010"}, "similar_record"),
        12: ({"id_number": resident("19600101")}, "id_repeated"), 13: ({"id_number": resident("19600101")}, "id_repeated"),
        **{n: ({"phone": "13811112222"}, "phone_shared") for n in range(14, 20)},
        20: ({"phone": "13900000001"}, "phone_of_staff"), 21: ({"customer_type": "alien"}, "customer_type_legal"),
        22: ({"gender": "?!"}, "gender_legal"), 23: ({"birth_date": "1850-01-01"}, "birth_date_not_too_early age_plausible"),
        24: ({"created_on": "2026-07-01"}, "created_on_not_in_future"), 25: ({"points": "-5"}, "points_in_range"),
        26: ({"points": "many"}, "points_legal"), 27: ({"marketing_consent": "maybe"}, "marketing_consent_legal"),
        28: ({"account_manager_id": "S99"}, "account_manager_id_known"), 29: ({"birth_date": "1988-02-30"}, "birth_date_legal"),
        30: ({"customer_id": "C1", "phone": "13800000001"}, "key_repeated"), 31: ({"customer_id": "null"}, "customer_id_present"),
        32: ({"id_number": "91110000600037341L"}, ""), 33: ({"id_number": "91110000600037342L"}, "id_number_legal"),
        34: ({"birth_date": "2015-01-01"}, "age_plausible"),
    },
    "vehicles": {
        1: ({"vin": vin(1), "warranty_ends_on": "2024-05-05"}, ""), 2: ({"vin": vin(2, wrong=True)}, "vin_check_digit"),
        3: ({"vin": "LSVAA4086E2O00003"}, "vin_legal"), 4: ({"plate": "A1"}, "plate_legal"), 5: ({"plate": None}, "plate_filled"),
        6: ({"customer_id": "C98"}, "customer_id_known"), 7: ({"plate": "沪AD12345", "energy_type": "汽油"}, "plate_fits_energy"),
        8: ({"plate": "沪AD12346", "energy_type": "纯电"}, ""), 9: ({"model_year": "2022"}, "model_year_fits_purchase model_year_fits_vin"),
        10: ({"warranty_ends_on": "2020-01-01"}, "warranty_after_purchase"), 11: ({"insurance_ends_on": "2025-01-01"}, "insurance_stale"),
        12: ({"odometer_km": "2000001"}, "odometer_km_in_range"), 13: ({"list_price_yuan": "cheap"}, "list_price_yuan_legal"),
        14: ({"insurance_ends_on": "2027-01-01", "warranty_ends_on": "2028-01-01"}, ""), 15: ({"purchased_on": "1979-12-31"}, "purchased_on_not_too_early purchase_fits_vin"),
    },
    "contacts": {
        1: ({"customer_id": "C1", "vin": vin(1)}, ""), 2: ({"vin": vin(99)}, "vin_known"), 3: ({"vin": "LSV"}, "vin_legal vin_known"), 4: ({"role": "boss"}, "role_legal"),
    },
    "leads": {
        2: ({"first_contact_at": "2026-05-05 09:59"}, "contacted_after_created"), 3: ({"closed_at": "2026-05-04", "status": "lost"}, "closed_after_created"),
        4: ({"created_at": "2025-05-05", "status": "跟进中"}, "status_kept_up"), 5: ({"created_at": "2025-05-05", "status": "lost", "closed_at": "2025-06-01"}, ""),
        6: ({"created_at": "soon"}, "created_at_legal"), 7: ({"lead_id": "L1", "created_at": "2026-05-06 10:00"}, "key_used_twice"),
        8: ({"lead_id": "L1", "phone": None}, "phone_filled key_repeated"),
    },
    "sales_orders": {
        2: ({"ordered_on": "2021-06-01"}, "ordered_before_delivered"), 3: ({"customer_id": "C34"}, "sold_after_birth"),
        4: ({"lead_id": "L404"}, "lead_id_known"), 5: ({"trade_in_vin": "123"}, "trade_in_vin_legal"), 6: ({"ordered_on": "2020-05-05"}, ""),
    },
    "service_orders": {
        2: ({"settled_at": "2026-05-01 09:00"}, "settled_after_opened"), 3: ({"opened_at": "2026-01-03", "settled_at": None, "odometer_km": None}, "odometer_km_filled settled_in_time"),
        4: ({"odometer_km": "1000"}, "odometer_rolled_back"), 5: ({"labour_yuan": "60", "parts_yuan": "50", "discount_yuan": "10"}, "odometer_jumped has_lines"),
        6: ({"labour_yuan": "60", "parts_yuan": "50"}, "total_adds_up has_lines"), 7: ({"order_type": "索赔"}, "warranty_in_time"),
        8: ({"opened_at": "2020-05-04", "settled_at": "2020-05-04", "odometer_km": "10"}, "after_purchase"), 9: ({"vin": vin(98)}, "vin_known"),
        10: ({"customer_id": "C98"}, "customer_id_known"), 11: ({"opened_at": "1970-01-01", "settled_at": "1979-01-01"}, "opened_at_not_too_early settled_at_not_too_early after_purchase stay_plausible"),
        12: ({"opened_at": "2026-07-01", "settled_at": "2026-07-01"}, "opened_at_not_in_future settled_at_not_in_future"),
        13: ({"vin": None}, "vin_present"), 14: ({"total_yuan": "free"}, "total_yuan_legal"), 15: ({"parts_yuan": "-1"}, "parts_yuan_in_range"),
        16: ({"order_id": "R1", "opened_at": "2026-05-01 09:00", "settled_at": "2026-05-01 17:00", "total_yuan": None}, "total_yuan_filled key_repeated"),
        17: ({"order_id": "R1"}, "key_used_twice"), 18: ({"booked": "perhaps"}, "booked_legal"),
        19: ({"_kind": "total", "order_id": "Total", "vin": None, "total_yuan": "999"}, ""),
    },
    "service_lines": {
        2: ({"order_id": "R404"}, "order_id_known"), 3: ({"quantity": "many"}, "quantity_legal"), 4: ({"line_no": "1"}, "key_repeated"),
        5: ({"hours": "1001"}, "hours_in_range"),
    },
    "interactions": {2: ({"score": "11"}, "score_in_range"), 3: ({"kind": "dance"}, "kind_legal"), 4: ({"at": None}, "at_present")},
    "campaigns": {2: ({"responded_on": "2026-02-01"}, "responded_after_assigned response_has_visit"), 98: ({}, "customer_id_known")},
}  # fmt: skip
#: Rows kept out, with the checks that say why; and rows merged, with the row they are merged into.
OUT = {
    ("staff", 5): "staff.staff_id_present", ("customers", 31): "customers.customer_id_present", ("vehicles", 3): "vehicles.vin_legal",
    ("leads", 6): "leads.created_at_legal", ("leads", 7): "leads.key_used_twice", ("service_orders", 11): "service_orders.opened_at_not_too_early",
    ("service_orders", 12): "service_orders.opened_at_not_in_future", ("service_orders", 13): "service_orders.vin_present",
    ("service_orders", 17): "service_orders.key_used_twice", ("service_orders", 19): "not_a_record.total", ("interactions", 4): "interactions.at_present",
}  # fmt: skip
INTO = {("staff", 4): 1, ("customers", 30): 1, ("leads", 8): 1, ("service_orders", 16): 1, ("service_lines", 4): 1}


def planted(table: str) -> list[dict]:
    """The rows of a table: the first as it should be, the others each with one thing planted; row n is in line n."""
    rows = []
    for n, (differs, _said) in sorted({1: ({}, ""), **PLANTED[table]}.items()):
        standard = {k: v.format(n=n) for k, v in STANDARD[table].items()}
        if table in ("vehicles", "sales_orders"):
            standard["vin"] = vin(n if table == "vehicles" else n + 3)
        rows.append(standard | differs | {"_row": n})
    return rows


@pytest.fixture(scope="module")
def worked(audit_of):
    return audit_of({table: planted(table) for table in PLANTED}, asked=DAY)


def places(frame, *columns: str) -> list[tuple]:
    return sorted(frame.to_pandas()[["table", "row", *columns]].itertuples(index=False, name=None))


def told(audited) -> pd.DataFrame:
    """Fault rows of single rows, but for what is merely worth knowing."""
    info = set(audited.results.query("severity == 'info'")["check"])
    faults = audited.faults.to_pandas()
    return faults[(faults["file"] != "") & ~faults["check"].isin(info)]


def test_each_row_fails_the_checks_it_was_made_for_and_no_other(worked):
    expected = [
        (table, n, f"{table}.{check}") for table, rows in PLANTED.items() for n, (_, said) in rows.items() for check in said.split()
    ]  # fmt: skip
    found = told(worked)
    assert sorted(zip(found["table"], found["row"], found["check"])) == sorted(expected)
    results = worked.results.query("severity != 'info'").set_index("check")["failed"]
    assert results[results > 0].to_dict() == pd.Series([c for _, _, c in expected]).value_counts().to_dict()


def test_each_kind_of_check_of_a_column_was_tried(worked):
    hit = set(told(worked)["check"])
    business = {c.id for c in checks.business_checks(CheckParams(), DAY)}
    kinds = {re.sub(r".*_(?=present|filled|legal|too_early|future|range|known|digit|repeated|twice)", "", c) for c in hit - business}  # fmt: skip
    assert kinds == {
        "present",
        "filled",
        "legal",
        "too_early",
        "future",
        "range",
        "known",
        "digit",
        "repeated",
        "twice",
    }
    assert set(worked.results["dimension"]) == set(DIMENSIONS) == set(DIMENSION_LABELS)
    assert worked.results["check"].is_unique


def test_quarantined_rows_have_their_reasons(worked):
    assert {(t, n): reasons for t, n, reasons in places(worked.quarantine, "reasons")} == OUT


def test_merged_rows_name_the_fullest_row(worked):
    assert {(t, n): (f, into) for t, n, f, into in places(worked.merged, "into_file", "into_row")} == {
        (table, n): (f"{table}.csv", into) for (table, n), into in INTO.items()
    }


def test_every_other_row_is_clean(worked):
    for table in PLANTED:
        kept = worked.clean[table].to_pandas()
        gone = {n for t, n in [*OUT, *INTO] if t == table}
        assert sorted(kept["_row"]) == sorted({r["_row"] for r in planted(table)} - gone)
        assert list(kept.columns[: len(tables.table(table).names)]) == tables.table(table).names


def test_unusable_values_become_unknown_and_the_rest_stays(worked):
    customers = worked.clean["customers"].to_pandas().set_index("_row")
    assert customers["phone"].isna().sum() == 2 and pd.isna(customers.at[4, "phone"])
    assert customers.loc[[5, 6, 7, 23, 24, 25], ["email", "id_number", "birth_date", "created_on", "points"]].isna().sum().sum() == 25 + 5  # fmt: skip
    assert customers.at[20, "phone"] == "13900000001", "flagged only"
    orders = worked.clean["service_orders"].to_pandas().set_index("_row")
    assert pd.isna(orders.at[15, "parts_yuan"]) and orders.at[15, "total_yuan"] == Decimal("100.00")
    assert orders.at[4, "odometer_km"] == 1000 and orders.at[5, "discount_yuan"] == Decimal("10.00")


def test_the_ledger_counts_every_row_of_every_file(worked):
    for row in worked.ledger.to_dict("records"):
        out, into = (sum(t == row["table"] for t, _ in group) for group in (OUT, INTO))
        raw = len(planted(row["table"]))
        assert row == {"table": row["table"], "source": "dms", "file": f"{row['table']}.csv", "raw": raw,
                       "clean": raw - out - into, "quarantined": out, "merged": into}  # fmt: skip
    assert list(worked.ledger["table"]) == list(tables.TABLES)


def test_scores_weigh_what_was_checked(worked):
    scored = worked.results[(worked.results["severity"] != "info") & (worked.results["checked"] > 0)]
    for (table, dimension), part in scored.groupby(["table", "dimension"]):
        score = worked.scores.set_index(["table", "dimension"]).loc[(table, dimension)]
        assert (score["checked"], score["failed"]) == (part["checked"].sum(), part["failed"].sum())
        assert score["score"] == pytest.approx(100 * (1 - part["failed"].sum() / part["checked"].sum()), abs=0.05)
    assert worked.health == pytest.approx(worked.scores.groupby("dimension")["score"].min().mean(), abs=0.05)
    assert (worked.results["failed"] <= worked.results["checked"]).all()


def test_examples_hold_no_personal_value(worked):
    shown = " ".join([*worked.results["examples"], *worked.results["message"]])
    for table in PLANTED:
        for column in tables.table(table).columns:
            if column.personal or column.name.endswith("_id"):
                for row in planted(table):
                    value = row.get(column.name)
                    if value and len(value) >= 4:
                        assert value not in shown, f"{table}.{column.name}"
    assert "LS***3" in shown and "f***" in shown


# -- the day of which all is computed -----------------------------------------------------------------------------


def visits(*days: str) -> dict[str, list[dict]]:
    return {"service_orders": [{"order_id": f"R{i}", "vin": vin(1), "opened_at": d, "settled_at": d, "odometer_km": "1", "order_type": "保养", "total_yuan": "1"} for i, d in enumerate(days)]}  # fmt: skip


DAILY = [str(d.date()) for d in pd.date_range("2026-01-01", "2026-06-28")]


def test_stray_dates_do_not_move_the_day(audit_of):
    found = audit_of(visits(*DAILY, "2031-01-01", "2026-09-09", "1900-01-01", "2026-12-31")).as_of
    assert (found.day, found.rule, found.cut_off) == (date(2026, 6, 28), "found", 3)


def test_a_handful_of_mistyped_years_does_not_move_the_day_of_a_small_dealer(audit_of):
    every_other = DAILY[::2]  # 14 visits in 28 days: two that lie together are over 5 % of them, and under a fifth
    found = audit_of(visits(*every_other, "2028-08-10", "2028-08-15")).as_of
    assert (found.day, found.cut_off) == (date(2026, 6, 28), 2)
    thin = audit_of(visits(*every_other, "2026-07-03", "2026-07-13")).as_of
    assert (thin.day, thin.cut_off) == (date(2026, 7, 13), 0)


def test_the_day_asked_for_goes_before_the_one_of_the_params(audit_of):
    given_ = visits(*DAILY)
    by_params = audit_of(given_, delivered_on=date(2026, 6, 30)).as_of
    assert (by_params.day, by_params.rule, by_params.cut_off) == (date(2026, 6, 30), "delivered_on", 0)
    asked = audit_of(given_, asked=date(2026, 3, 31), delivered_on=date(2026, 6, 30))
    assert (asked.as_of.day, asked.as_of.rule, asked.as_of.cut_off) == (date(2026, 3, 31), "asked", 89)
    assert asked.ledger[["raw", "clean", "quarantined"]].iloc[0].to_list() == [179, 90, 89]


@pytest.mark.parametrize(
    "asked, said",
    [(date(2026, 9, 29), "as_of 2026-09-29 lies 93 days after the last well-filled day of the visits (2026-06-28)"), (date(2025, 12, 31), "as_of 2025-12-31 lies before the first visit (2026-01-01)")],
)  # fmt: skip
def test_a_day_outside_the_data_is_refused(audit_of, asked, said):
    with pytest.raises(UserError) as caught:
        audit_of(visits(*DAILY), asked=asked)
    assert caught.value.what.startswith(said) and "AS_OF= or delivered_on" in caught.value.remedy


def test_no_readable_date_is_refused(audit_of):
    with pytest.raises(UserError, match="no row has a readable date in opened_at"):
        audit_of(visits("soon", "later"))
    with pytest.raises(UserError, match="every date in opened_at is before 1980"):
        audit_of(visits("1900-01-01"))


# -- the gate -----------------------------------------------------------------------------------------------------


def test_too_few_rows_stop_the_run(audit_of):
    with pytest.raises(UserErrors) as caught:
        audit_of(visits(*DAILY[:49]), gate={})
    assert (
        caught.value.problems == ["service_orders: 49 usable rows, needed: 50"] and "`gate: off`" in caught.value.remedy
    )
    assert audit_of(visits(*DAILY[:50]), gate={}).ledger["clean"].sum() == 50


def test_too_many_rows_in_quarantine_stop_the_run_and_say_where(audit_of):
    given_ = visits(*DAILY)
    for i, row in enumerate(given_["service_orders"]):
        if i % 2:
            row["opened_at" if i % 4 == 1 else "vin"] = "13800138000 x"
    with pytest.raises(UserErrors) as caught:
        audit_of(given_, gate={})
    assert caught.value.problems == [
        "service_orders: 89 of 179 rows (50%) are in quarantine, allowed: 30%",
        "opened_at: 45 rows: not a date; first in service_orders.csv, row 3: '13***x'; allowed: 2026-01-05, 2026/1/5, 20260105, 2026年1月5日, an Excel serial",
        "vin: 44 rows: not 17 characters of a VIN (no I, O, Q); first in service_orders.csv, row 5: '13***x'; allowed: 17 letters and digits without I, O, Q",
    ]
    open_gate = audit_of(given_, gate="off").ledger
    assert open_gate[["raw", "clean", "quarantined"]].iloc[0].to_list() == [179, 90, 89]


# -- laws ---------------------------------------------------------------------------------------------------------

CELL = st.one_of(
    st.none(),
    st.sampled_from(["", "-", "无", "R1", "C1", vin(1), vin(1).lower(), "13800138000", "+86 138 0013 8000", "2026-05-05", "5/1/2026", "46027", "20260105", "2026-02-30", "¥1,234.5万", "99999999999999999999", "1e400", "是", "保养", "男", "\x1f", "'; drop table", "１２３", "沪A12345"]),
    st.text(max_size=20),
)  # fmt: skip


def dirty(table: str):
    row = dict.fromkeys(tables.table(table).names, CELL) | {"_kind": st.sampled_from(["row"] * 8 + ["total", "header", "ragged"]), "_date_order": st.sampled_from([None, "dmy"])}  # fmt: skip
    return st.lists(st.fixed_dictionaries(row), max_size=12)


@settings(max_examples=4)
@given(st.fixed_dictionaries({t: dirty(t) for t in ("customers", "vehicles", "service_orders")}))
def test_nothing_is_lost_whatever_is_delivered(audit_of, given_):
    given_["service_orders"].append({"order_id": "R", "vin": vin(1), "opened_at": "2026-05-05"})
    audited = audit_of(given_)
    for table, rows in given_.items():
        counted = audited.ledger[audited.ledger["table"] == table][["raw", "clean", "quarantined", "merged"]].sum()
        assert counted["raw"] == len(rows) == counted["clean"] + counted["quarantined"] + counted["merged"]
        lines = list(audited.clean[table].to_pandas()["_row"])
        for fate in (audited.quarantine, audited.merged):
            lines += [n for t, n in places(fate) if t == table]
        assert sorted(lines) == list(range(2, len(rows) + 2))
    assert audited.results["share"].dropna().between(0, 1).all()
    assert audited.scores["score"].between(0, 100).all() and 0 <= audited.health <= 100


def test_rows_made_from_one_line_are_ranked_by_their_keys(audit_of):
    customers = [
        {"customer_id": "C1", "name": "王芳", "gender": "女", "_row": 5},
        {"customer_id": "C1", "name": "王芳", "_row": 6},
        {"customer_id": "C2", "name": "李强", "_row": 6},
    ]
    visits = [{"order_id": "R", "vin": vin(1), "opened_at": "2026-05-05"}]
    audited = audit_of({"customers": customers, "service_orders": visits})
    assert set(audited.clean["customers"].to_pandas()["customer_id"]) == {"C1", "C2"}
    assert list(audited.merged.to_pandas()[["key", "into_row"]].itertuples(index=False, name=None)) == [("C1", 5)]


# -- the generated dealer of the tests ----------------------------------------------------------------------------


def test_the_day_of_the_demo_is_found(demo):
    assert demo.audited.as_of.day == date(2026, 9, 30) and demo.audited.as_of.rule == "found"


def test_the_ledger_of_the_demo_balances(demo):
    ledger = demo.audited.ledger
    assert (ledger["raw"] == ledger["clean"] + ledger["quarantined"] + ledger["merged"]).all()
    assert ledger.groupby("table")["raw"].sum().to_dict() == {name: len(frame) for name, frame in demo.raw.items()}


def test_rows_after_an_earlier_day_asked_for_are_cut_and_no_faults(audit_of):
    visit = {"vin": "LZZZZZ0Z0A0000001", "settled_at": None, "order_type": "maintenance"}
    days = ["2026-01-10", "2026-01-20", "2026-02-10", "2026-02-20"]
    orders = [visit | {"order_id": f"O{i}", "opened_at": day} for i, day in enumerate(days)]
    lines = [{"order_id": f"O{i}", "line_no": "1", "kind": "part"} for i in range(4)]
    done = audit_of({"service_orders": orders, "service_lines": lines}, asked=date(2026, 1, 31))
    assert done.quarantine.to_pandas()["reasons"].tolist() == ["not_a_record.later"] * 2
    failed = done.results.set_index("check")["failed"]
    assert failed["service_orders.opened_at_not_in_future"] == 0
    assert failed["service_lines.order_id_known"] == 0
    assert done.as_of.cut_off == 2


def test_the_leak_gate_knows_what_the_audit_takes_for_personal():
    from dealerkit import personal

    cases = {
        "phone": (formats.MOBILE, personal._MOBILE, ["13912345678", "19912345678"]),
        "plate": (formats.PLATE, personal._PLATE, ["京A12345", "沪AD12345", "粤B1234学", "苏E12345F"]),
        "vin": (formats.VIN, personal._VIN, [vin(1), vin(77)]),
        "id": (formats.RESIDENT_ID, personal._ID18, [resident("19800229"), resident("20031231", "123")]),
        "e-mail": (formats.EMAIL, personal._EMAIL, ["someone@example.com", "a.b-c@mail.example.cn"]),
    }
    for kind, (audited, gate, values) in cases.items():
        for value in values:
            assert re.search(audited, value), (kind, value)
            assert gate.search(f"see {value} there"), (kind, value)
    provinces = re.match(r"\^\[(\w+)\]", formats.PLATE)[1]
    assert set(provinces) == set(personal._PROVINCES)
