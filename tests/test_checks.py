"""Each check of business sense and of fillers, on rows worked by hand: the rows that must fail it, and no other."""

from __future__ import annotations

from datetime import date

import ibis
import pytest
from dealerkit import formats
from dealerkit.audit import checks, whole
from dealerkit.audit.business import business_checks
from dealerkit.audit.fixers import FIXERS, fixer_of, remedy_of
from dealerkit.params import CheckParams
from test_audit import resident, vin

DAY = date(2026, 6, 30)
STAFF_PHONE, SHARED = "13911110001", "13655550000"


def rows(key: str, standard: dict, differing: dict[str, dict]) -> list[dict]:
    """A row for each key, as the standard says but for what differs; {n} is its number."""
    made = []
    for n, (name, differs) in enumerate(differing.items(), start=1):
        row = {k: v.format(n=n) if isinstance(v, str) else v for k, v in standard.items()}
        made.append({key: name.rstrip("*")} | row | differs)
    return made


COMPLAINT = "等待太久，无人说明原因"
CUSTOMERS = {
    "C1": {}, "C2": {"id_number": resident("19800101", area="100105")}, "C3": {"id_number": resident("20200101")},
    "C4": {"customer_type": "企业", "id_number": resident("19800101", "005")}, "C5": {"id_number": "91110000600037341L"},
    "C6": {"birth_date": "1980-01-01"}, "C7": {"birth_date": "1980-01-01", "id_number": resident("19800101", "007")},
    "C8": {"name": "测试"}, "C9": {"name": "李雷13812345678"}, "C10": {"name": "海港运输有限公司"}, "C11": {"name": "王先生"},
    **{f"C{n}": {"email": "a@b.cn"} for n in range(12, 18)}, "C18": {"phone_alt": "13811110018"}, "C19": {"marketing_consent": None},
    "C20": {}, "C21": {"birth_date": "1915-03-03"}, "C22": {"phone": "13900000000"}, "C23": {"phone": "01012345678"},
    "C24": {"phone": "17012345670"}, "C25": {"name": "=HYPERLINK(\"http://x\")"}, "C26": {"name": "锟斤拷锟斤拷"}, "C27": {"name": "王\u0007伟"},
    **{f"C{n}": {} for n in range(28, 36)},
}  # fmt: skip
CARS = {
    vin(1): {"customer_id": "C2"}, vin(2): {"energy_type": "纯电"}, vin(3): {"plate": "沪A00000"}, vin(4): {"plate": "沪A88881"},
    vin(5): {"plate": "沪A88881"}, vin(6): {"plate": "沪A88881", "disposed_on": "2025-01-01"}, vin(7): {}, vin(7) + "*": {"plate": "沪A77777", "series": None},
    "11111111111111111": {}, vin(9): {"model_year": "2020"}, vin(10): {"model_year": "2015"}, vin(11): {"purchased_on": "2010-01-01"},
    vin(12): {"purchase_price_yuan": "50000"}, vin(13): {"warranty_ends_on": "2040-01-01"}, vin(14): {"finance_ends_on": "2019-01-01"},
    vin(15): {"disposed_on": "2019-01-01"}, vin(16): {"odometer_km": "999999"}, **{vin(n): {"customer_id": "C1"} for n in range(17, 28)},
    vin(28): {"warranty_km": "100000"}, **{vin(n): {} for n in range(29, 60)},
}  # fmt: skip
LEADS = {
    "L1": {}, "L2": {"assigned_at": "2026-05-05 09:00", "first_contact_at": "2026-05-06 09:00"},
    "L3": {"status": "战败", "closed_at": "2026-05-10", "lost_reason": "x", "recontacted_at": "2026-05-08 10:00"}, "L4": {"status": "成交"},
    "L5": {"closed_at": "2026-06-01"}, "L6": {"status": "新建", "first_contact_at": "2026-05-06 09:00"}, "L7": {"status": "战败", "closed_at": "2026-06-01"},
    "L8": {"status": "成交", "closed_at": "2026-06-01"}, "L9": {"assigned_at": "2026-05-06 09:00"}, "L10": {"phone": "13722220000", "series": "A"},
    "L11": {"phone": "13722220000", "series": "A", "created_at": "2026-05-07 10:00"},
    **{f"L{n}": {"phone": "13733330000"} for n in range(12, 18)}, "L18": {"phone": STAFF_PHONE},
}  # fmt: skip
SALES = {
    "B1": {}, "B2": {"ordered_on": "2018-01-01"}, "B3": {"discount_yuan": "300000"}, "B4": {"price_yuan": "0"}, "B5": {"price_yuan": "99999"},
    "B6": {"price_yuan": "10000"}, "B7": {"vin": vin(45)}, "B8": {"vin": vin(45)}, "B9": {"trade_in_vin": vin(38)}, "B10": {"delivered_on": "2024-01-01"},
    "B11": {"lead_id": "L8", "trade_in_vin": vin(26)},
}  # fmt: skip
VISITS = {
    "R1": {"vin": vin(1), "customer_id": "C1"}, "stay": {"opened_at": "2025-01-05 09:00", "settled_at": "2025-09-01 09:00"},
    "nothing": {"settled_at": "2026-05-05 09:03", "opened_at": "2026-05-05 09:03"}, "night": {"opened_at": "2026-05-05 03:00"},
    **{f"bulk{n}": {"opened_at": "2026-05-05 10:00", "adviser_id": "S2"} for n in range(5)},
    "once": {"vin": vin(44), "opened_at": "2026-05-05 08:00"}, "twice": {"vin": vin(44), "opened_at": "2026-05-05 08:00"}, "nobody": {"adviser_id": None},
    "low": {"vin": vin(45), "opened_at": "2026-05-01 09:00", "settled_at": "2026-05-01 10:00", "odometer_km": "30000"}, "high": {"vin": vin(45), "odometer_km": "90000"},
    **{f"same{n}": {"vin": vin(46), "odometer_km": "40000", "opened_at": f"{day} 09:00", "settled_at": f"{day} 12:00"} for n, day in enumerate(("2025-01-10", "2025-06-10", "2026-01-10"))},
    "km": {"vin": vin(47), "odometer_km": "999999"}, "cut": {"labour_yuan": "50", "parts_yuan": "50", "discount_yuan": "150", "total_yuan": None},
    "round": {"total_yuan": "99999"}, "free": {"total_yuan": "0"}, "charged": {"order_type": "索赔"}, "unlined": {"labour_yuan": "50", "parts_yuan": "50"},
    "labour": {"labour_yuan": "120", "parts_yuan": "50", "total_yuan": "170"}, "parts": {"labour_yuan": "100", "parts_yuan": "80", "total_yuan": "180"},
    "far": {"vin": vin(28), "odometer_km": "150000", "order_type": "索赔", "payer_kind": "厂家"}, "gone": {"vin": vin(6)}, "traded": {"vin": vin(26)},
    "own": {"phone": STAFF_PHONE}, "plate": {"vin": vin(48), "plate": "沪A12399"}, "wait": {"wait_minutes": "600"}, "back": {"vin": vin(49), "is_comeback": "是"},
    "seen": {"vin": vin(50), "customer_id": "C2", "opened_at": "2026-06-01 09:00", "settled_at": "2026-06-01 12:00"},
}  # fmt: skip
LINES = [
    *({"order_id": o, "kind": "工时", "amount_yuan": a, "item_code": "A1"} for o, a in (("cut", "50"), ("labour", "100"), ("parts", "100"), ("R1", "99999"))),
    *({"order_id": o, "kind": "配件", "amount_yuan": "50", "quantity": q, "item_code": c} for o, q, c in (("cut", "1", "P1"), ("labour", "1", "P1"), ("parts", "1", None), ("R1", "0", "P1"))),
]  # fmt: skip
CALLS = {
    "untied": {"customer_id": None}, "scored": {"kind": "app", "score": "9"}, "unscored": {"kind": "满意度调查"}, "stranger": {"kind": "满意度调查", "customer_id": "C30", "score": "9"},
    "asked": {"kind": "满意度调查", "score": "9"}, "short": {"kind": "满意度调查", "score": "9", "seconds": "2"}, "night": {"at": "2026-05-20 03:00"},
    **{f"bulk{n}": {"at": "2026-05-21 10:00", "staff_id": "S1"} for n in range(5)}, "wordless": {"kind": "投诉"},
    **{f"same{n}": {"kind": "投诉", "text": COMPLAINT} for n in range(6)}, **{f"own{n}": {"kind": "投诉", "text": f"空调异响，第 {n} 次报修"} for n in range(20)},
    "staff": {"phone": STAFF_PHONE}, **{f"one{n}": {"phone": SHARED, "customer_id": f"C{28 + n}"} for n in range(6)}, "filed": {"phone": "13811110001"},
    "invited": {"kind": "活动邀约", "customer_id": "C5", "at": "2026-03-03 10:00"}, **{f"see{n}": {"customer_id": f"C{n}", "kind": "app"} for n in range(1, 36) if n != 20},
}  # fmt: skip
CAMPAIGNS = {
    "C1": {"responded_on": "2026-05-06"}, "C2": {"arm": "对照组", "cost_yuan": "5"}, "C5": {"arm": "对照组"}, "C6": {"revenue_yuan": "100"},
    "C7": {"responded_on": "2026-05-06"}, "C8": {"arm": "对照组"},
}  # fmt: skip

#: Check → keys of the rows that fail it.
EXPECTED = {
    "staff": {"phone_own": "S1 S2", "phone_known": "S3"},
    "customers": {
        "id_region_exists": "C2", "id_age_plausible": "C3", "id_fits_type": "C4 C5", "birth_not_filler": "C6", "name_real": "C8", "name_without_number": "C9",
        "name_fits_type": "C10", "name_complete": "C11", "email_shared": "C12 C13 C14 C15 C16 C17", "phone_alt_differs": "C18", "consent_known": "C19",
        "seen_anywhere": "C20", "age_plausible": "C21", "phone_real": "C22", "phone_mobile": "C23", "phone_registered": "C24", "text_formula": "C25",
        "text_damaged": "C26", "text_controls": "C27",
    },
    "vehicles": {
        "plate_fits_electric": vin(2), "plate_real": vin(3), "plate_on_one_car": f"{vin(4)} {vin(5)}", "one_plate_at_once": vin(7), "vin_real": "11111111111111111",
        "model_year_fits_vin": vin(9), "purchase_fits_vin": vin(11), "price_fits_list": vin(12), "warranty_not_endless": vin(13), "finance_after_purchase": vin(14),
        "disposed_after_purchase": vin(15), "odometer_read": vin(16), "cars_of_one_person": " ".join(vin(n) for n in range(17, 28)), "seen_anywhere": vin(59),
    },
    "contacts": {"tied_to_somebody": "untied", "name_real": "filler", "phone_differs": "same"},
    "leads": {
        "assigned_after_created": "L2", "recontacted_after_closed": "L3", "closed_has_date": "L4", "won_has_sale": "L4", "open_not_closed": "L5", "new_not_contacted": "L6",
        "lost_has_reason": "L7", "contacted_in_time": "L9", "typed_once": "L11", "phone_shared": "L12 L13 L14 L15 L16 L17", "phone_of_staff": "L18",
    },
    "sales_orders": {
        "delivered_in_time": "B2 B10", "discount_below_price": "B3", "price_not_zero": "B4", "price_typed": "B5", "price_fits_list": "B3 B4 B6", "vin_sold_once": "B7 B8",
        "trade_in_is_another": "B9", "purchase_dates_agree": "B10",
    },
    "service_orders": {
        "stay_plausible": "stay", "stay_not_nothing": "nothing", "opened_by_day": "night", "opened_one_by_one": "bulk0 bulk1 bulk2 bulk3 bulk4", "visit_typed_once": "twice",
        "adviser_named": "nobody", "odometer_jumped": "high", "odometer_moves": "same0 same1 same2", "odometer_read": "km", "discount_below_gross": "cut", "total_typed": "round",
        "customer_paid": "free", "warranty_not_paid": "charged", "has_lines": "unlined", "labour_fits_lines": "labour", "parts_fit_lines": "parts", "warranty_within_km": "far",
        "before_disposal": "gone", "before_trade_in": "traded", "phone_of_staff": "own", "plate_fits_car": "plate", "wait_within_stay": "wait", "comeback_has_visit": "back",
    },
    "service_lines": {"amount_typed": "R1|4", "quantity_not_zero": "R1|8", "item_coded": "parts|7"},
    "interactions": {
        "tied_to_somebody": "untied", "score_has_survey": "scored", "survey_has_score": "unscored", "survey_has_visit": "stranger", "score_has_call": "short", "called_by_day": "night",
        "called_one_by_one": "bulk0 bulk1 bulk2 bulk3 bulk4", "complaint_has_text": "wordless", "text_own": "same0 same1 same2 same3 same4 same5", "phone_of_staff": "staff",
        "phone_of_one": "one0 one1 one2 one3 one4 one5", "phone_on_file": "staff one0 one1 one2 one3 one4 one5",
    },
    "campaigns": {"control_costs_nothing": "A|C2", "control_left_alone": "A|C5", "revenue_has_response": "A|C6", "response_has_visit": "A|C7"},
}  # fmt: skip
#: Checks of business sense that `test_audit` works by hand.
ELSEWHERE = set(
    """birth_matches_id gender_matches_id similar_record id_repeated phone_shared phone_of_staff plate_fits_energy
    model_year_fits_purchase warranty_after_purchase insurance_stale contacted_after_created closed_after_created
    status_kept_up ordered_before_delivered sold_after_birth settled_after_opened settled_in_time odometer_rolled_back
    total_adds_up warranty_in_time after_purchase responded_after_assigned""".split()
)


def given() -> dict[str, list[dict]]:
    cars = [name.rstrip("*") for name in CARS]
    visit = {"customer_id": "C3", "opened_at": "2026-05-05 09:{n:02d}", "settled_at": "2026-05-05 12:{n:02d}", "odometer_km": "3{n:02d}07", "order_type": "维修",
             "total_yuan": "100", "payer_kind": "客户", "adviser_id": "S1"}  # fmt: skip
    visits = rows("order_id", visit, VISITS)
    for n, row in enumerate(visits):
        row.setdefault("vin", vin(29 + n % 10 if n < 10 else 51 + n % 8))
    sales = rows(
        "order_id",
        {"customer_id": "C1", "ordered_on": "2020-05-01", "delivered_on": "2020-05-05", "price_yuan": "200000"},
        SALES,
    )
    for n, row in enumerate(sales):
        row.setdefault("vin", vin(30 + n))
    contacts = [{"contact_id": f"K{n}", "customer_id": "C1", "vin": car, "role": "司机", "name": "赵敏", "phone": f"1371111{n:04d}"} for n, car in enumerate(cars) if car != vin(59)]  # fmt: skip
    more = {"untied": {"customer_id": None}, "filler": {"name": "散客"}, "same": {"phone": "13811110001"}}
    contacts += [{"contact_id": k, "customer_id": "C1", "role": "司机", "name": "赵敏", "phone": "13711119999"} | v for k, v in more.items()]  # fmt: skip
    car = {"customer_id": "C3", "plate": "沪B{n:05d}", "series": "Alpha", "purchased_on": "2020-05-05", "energy_type": "燃油", "list_price_yuan": "200000", "purchase_price_yuan": "190000"}  # fmt: skip
    vehicles = rows("vin", car, CARS)
    for n, row in enumerate(vehicles):
        row.update({"customer_id": f"C{n % 9 + 3}"} if row["customer_id"] == "C3" else {})
    return {
        "staff": [{"staff_id": "S1", "role": "顾问", "phone": STAFF_PHONE}, {"staff_id": "S2", "role": "顾问", "phone": STAFF_PHONE}, {"staff_id": "S3", "role": "顾问"}],
        "customers": rows("customer_id", {"customer_type": "个人", "name": "王小伟", "phone": "1381111{n:04d}", "marketing_consent": "是"}, CUSTOMERS),
        "vehicles": vehicles,
        "contacts": contacts,
        "leads": rows("lead_id", {"phone": "1371112{n:04d}", "created_at": "2026-05-05 10:00", "source": "web", "status": "跟进中", "series": "S{n}", "assigned_at": "2026-06-29 12:00"}, LEADS),
        "sales_orders": sales,
        "service_orders": visits,
        "service_lines": [{"line_no": str(n), "item_name": "x"} | row for n, row in enumerate(LINES, start=1)],
        "interactions": rows("interaction_id", {"customer_id": "C1", "at": "2026-05-20 10:{n:02d}", "kind": "关怀回访"}, {k: {"at": f"2026-05-{10 + n % 15} 10:{n % 60:02d}"} | v for n, (k, v) in enumerate(CALLS.items())}),
        "campaigns": [{"campaign_id": "A", "customer_id": k, "assigned_on": "2026-03-01", "arm": "实验组"} | v for k, v in CAMPAIGNS.items()],
    }  # fmt: skip


@pytest.fixture(scope="module")
def audited(audit_of):
    return audit_of(given(), asked=DAY)


@pytest.fixture(scope="module")
def failing(audited) -> dict[str, set[str]]:
    faults = audited.faults.to_pandas()
    return {check: set(part["key"]) for check, part in faults[faults["file"] != ""].groupby("check")}


@pytest.mark.parametrize("table", EXPECTED)
def test_the_rows_made_for_a_check_fail_it_and_no_other_does(failing, table):
    found = {name: failing.get(f"{table}.{name}", set()) for name in EXPECTED[table]}
    assert found == {name: set(keys.split()) for name, keys in EXPECTED[table].items()}


def test_every_check_of_business_sense_is_worked_by_hand():
    worked = {f"{table}.{name}" for table, names in EXPECTED.items() for name in names}
    missing = {c.id for c in checks.business_checks(CheckParams(), DAY)} - worked
    assert {name.split(".")[1] for name in missing} <= ELSEWHERE


def test_far_more_than_sixty_kinds_of_check_over_all_eight_dimensions(audited):
    kinds = audited.results.groupby("dimension")["message"].nunique()
    assert kinds.sum() >= 120 and len(kinds) == 8 and kinds.min() >= 3, kinds.to_dict()


def test_every_check_has_somebody_who_mends_it_and_says_how(audited):
    for check in audited.results["check"]:
        assert fixer_of(check) in FIXERS and remedy_of(check).endswith(".")
    assert set(audited.results["fixer"]) == set(FIXERS)


def test_a_text_that_fails_names_its_own_column(audited):
    faults = audited.faults.to_pandas().set_index(["check", "key"])
    assert faults.loc[("customers.text_formula", "C25"), "column"] == "name"
    shown = audited.results.set_index("check").loc["customers.text_formula", "examples"]
    assert shown == "=*"


def test_each_fault_names_the_customer_it_is_about(audited):
    faults = audited.faults.to_pandas().set_index(["check", "key"])["customer_id"]
    assert faults["customers.name_real", "C8"] == "C8"
    assert faults["service_orders.wait_within_stay", "wait"] == "C3"


@pytest.mark.parametrize(
    "pattern, hits, misses",
    [
        (formats.DEAD_MOBILE, ["13800000000", "13888888888", "13812345678", "13898765432", "13800138000"], ["13800000001", "13812345670"]),
        (formats.LANDLINE, ["01012345678", "057112345678", "4008123456", "87654321"], ["13812345678", "12345678"]),
        (formats.DEAD_NAME, ["测试", "test 1", "无名氏", "散客", "xxx", "某某", "先生"], ["王先生", "客家", "李测", "amy"]),
        (formats.DAMAGED, ["ï»¿名", "锟斤拷", "\ufffd", "????", "Ã©"], ["why??", "Müller", "斤"]),
        (formats.FORMULA, ["=HYPERLINK(1)", " =A1", "@SUM(1)", "+cmd|x"], ["-5", "+8613800", "a=b", "== "]),
    ],
)  # fmt: skip
def test_patterns(pattern, hits, misses):
    import ibis

    texts = ibis.memtable({"t": [*hits, *misses]})
    found = texts.mutate(hit=texts.t.lower().re_search(pattern) if pattern is formats.DEAD_NAME else texts.t.re_search(pattern)).to_pandas()  # fmt: skip
    assert found.set_index("t")["hit"].to_dict() == dict.fromkeys(hits, True) | dict.fromkeys(misses, False)


# -- whole tables -------------------------------------------------------------------------------------------------


def days(first: str, last: str, without: tuple[str, str] | None = None) -> list[str]:
    import pandas as pd

    every = pd.date_range(first, last)
    gone = pd.date_range(*without) if without else every[:0]
    return [str(day.date()) for day in every if day not in gone]


def table_of(visits: list[str], leads: list[str], more: dict | None = None) -> dict[str, list[dict]]:
    return {
        "service_orders": [{"order_id": f"R{n}", "vin": vin(1), "opened_at": day, "settled_at": day} for n, day in enumerate(visits, 1000)],
        "leads": [{"lead_id": f"L{n}", "phone": f"1371{n:07d}", "created_at": day, "source": "web", "status": "跟进中"} for n, day in enumerate(leads)],
    } | (more or {})  # fmt: skip


def whole_faults(audited) -> set[tuple[str, str]]:
    faults = audited.faults.to_pandas()
    return set(zip(*(faults.loc[faults["file"] == "", c] for c in ("check", "key"))))


def test_tables_without_holes_are_left_alone(audit_of):
    every = days("2025-06-01", "2026-06-28")
    found = whole_faults(audit_of(table_of(every, every)))
    assert {check for check, _ in found} <= {"service_orders.columns_vary", "leads.columns_vary"}


def test_a_stale_table_a_hole_a_thin_month_and_skipped_numbers_are_found(audit_of):
    visits = days("2025-06-01", "2026-06-28", ("2025-10-05", "2025-10-25"))
    leads = [day for day in days("2025-06-01", "2026-04-30") if not day.startswith("2025-12") or day == "2025-12-15"]
    given_ = table_of(visits, leads)
    given_["service_orders"] = [row for row in given_["service_orders"] if row["order_id"] not in ("R1100", "R1101")]
    given_["campaigns"] = [{"campaign_id": c, "customer_id": "C1", "assigned_on": "2026-03-01", "arm": a} for c, a in (("A", "实验组"), ("B", "实验组"), ("B", "对照组"))]  # fmt: skip
    given_["campaigns"][2]["customer_id"] = "C2"
    found = whole_faults(audit_of(given_))
    assert found >= {
        ("leads.goes_on_to_the_end", "2026-04-30"), ("service_orders.without_holes", "2025-10-05 – 2025-10-25"),
        ("leads.months_whole", "2025-12"), ("service_orders.numbers_without_gaps", "R1100 – R1101"), ("campaigns.has_control", "A"),
    }  # fmt: skip
    assert ("campaigns.has_control", "B") not in found and not any(c == "service_orders.goes_on_to_the_end" for c, _ in found)  # fmt: skip


def test_a_column_with_one_value_is_named(audit_of):
    audited = audit_of(table_of(days("2026-01-01", "2026-06-28"), []))
    assert ("service_orders.columns_vary", "vin") in whole_faults(audited)
    assert whole._FEWEST <= 50


DAYS = {"ordered_on": "date", "delivered_on": "date", "x_birth_date": "date", "x_purchased_on": "date"}
WARRANTY = {"order_type": "string", "odometer_km": "int64", "x_warranty_km": "int64"}


@pytest.mark.parametrize(
    "check, types, row, more, failed",
    [
        # A difference of calendar years would let 730 days pass.
        ("sales_orders.delivered_in_time", DAYS, {"ordered_on": "2024-01-01", "delivered_on": "2025-12-31"}, {}, True),
        ("sales_orders.delivered_in_time", DAYS, {"ordered_on": "2025-03-01", "delivered_on": "2026-03-01"}, {}, False),
        ("sales_orders.delivered_in_time", DAYS, {"ordered_on": "2025-03-01", "delivered_on": "2026-03-02"}, {}, True),
        ("sales_orders.delivered_in_time", DAYS, {"ordered_on": "2025-12-31", "delivered_on": "2026-01-01"}, {}, False),
        # Each limit has a key of its own.
        ("sales_orders.sold_after_birth", DAYS, {"x_birth_date": "2008-06-01", "delivered_on": "2025-06-01"}, {}, False),
        ("sales_orders.sold_after_birth", DAYS, {"x_birth_date": "2008-06-01", "delivered_on": "2025-06-01"}, {"min_age": 18}, True),
        ("sales_orders.purchase_dates_agree", DAYS, {"x_purchased_on": "2025-01-01", "delivered_on": "2025-06-30"}, {"max_stay_days": 1}, False),
        ("sales_orders.purchase_dates_agree", DAYS, {"x_purchased_on": "2025-01-01", "delivered_on": "2025-01-09"}, {"purchase_tolerance_days": 7}, True),
        ("service_orders.warranty_within_km", WARRANTY, {"order_type": "warranty", "odometer_km": "100900", "x_warranty_km": "100000"}, {"max_km_per_day": 1}, False),
        ("service_orders.warranty_within_km", WARRANTY, {"order_type": "warranty", "odometer_km": "100900", "x_warranty_km": "100000"}, {"warranty_tolerance_km": 0}, True),
    ],
)  # fmt: skip
def test_a_limit_is_met_and_passed(check, types, row, more, failed):
    [found] = [c for c in business_checks(CheckParams(**more), date(2026, 6, 30)) if c.id == check]
    texts = ibis.memtable([dict.fromkeys(types) | row], schema=dict.fromkeys(types, "string"))
    table = texts.select(**{name: texts[name].cast(kind) for name, kind in types.items()})
    assert bool(found.failed(table).execute()[0]) is failed
