"""Gaps filled from other values, and cars and customers found by secondary keys: each way on rows worked by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from dealerkit import formats, regions, tables
from dealerkit.audit.supply import HOW
from dealerkit.params import Params
from stdnum import numdb
from stdnum.cn import ric

DAY = date(2026, 6, 30)


def vin(number: int, year: str = "E") -> str:
    """A VIN with its check digit (weights 8…2, 10, 0, 9…2, mod 11) and a year at its tenth character."""
    text = f"LSVAA4080{year}2{number:06d}"
    value = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum(w * int(value.get(c, c)) for c, w in zip(text, weights)) % 11
    return text[:8] + "0123456789X"[rest] + text[9:]


def resident(birth: str, serial: str = "001", area: str = "330106") -> str:
    body = area + birth + serial
    return body + ric.calc_check_digit(body + "_")


def visit(number: int, car: str | None, day: str = "2026-05-05", **more: str | None) -> dict:
    return {"order_id": f"R{number}", "vin": car, "opened_at": day, "settled_at": day, "odometer_km": "1000", "order_type": "保养", "total_yuan": "1"} | more  # fmt: skip


def rows_of(table, *columns: str) -> list[tuple]:
    found = (table if isinstance(table, pd.DataFrame) else table.to_pandas())[list(columns)].astype(object)
    return sorted(found.where(found.notna(), None).itertuples(index=False, name=None), key=str)


def said(audited, table: str) -> set[tuple]:
    """(key, column, how, from) of what was supplied in a table."""
    rows = rows_of(audited.supplied, "table", "key", "column", "how", "from_table")
    return {row[1:] for row in rows if row[0] == table}


def value(audited, table: str, key: str, column: str):
    found = audited.clean[table].to_pandas().set_index(tables.table(table).key[0])[column]
    return None if pd.isna(found[key]) else found[key]


# -- where plates and IDs are from ---------------------------------------------------------------------------------


def test_regions_of_ids_are_those_of_the_published_codes():
    published, checked = numdb.get("cn/loc"), 0
    for code, name in regions.of_ids("zh").items():
        if len(code) == 4:
            names = [props["county"] for part, props in published.info(code + "00") if "county" in props]
            now = [n.split("]")[-1] for n in names[0].split(",")] if names else []
            moved = code in regions._MOVED
            province = regions.of_ids("zh")[code[:2]]
            assert moved or any(name == province + n[: len(name) - len(province)] for n in now), (code, name, now)
            checked += 1
    assert checked > 400


def test_every_province_of_plates_and_ids_has_a_name():
    characters = formats.PLATE.split("]")[0].removeprefix("^[")
    assert len(characters) == 31 and set(characters) <= set(regions.of_plates("zh"))
    assert regions.of_plates("zh")["沪"] == "上海" and regions.of_plates("en")["粤B"] == "Shenzhen, Guangdong"
    for names in (regions.of_plates("en"), regions.of_ids("en")):
        assert all(name.replace(",", "").replace(" ", "").replace("’", "").isalpha() for name in names.values())
    assert not set(regions.of_plates("zh").values()) ^ set(regions.of_ids("zh").values())


# -- gaps of customers -----------------------------------------------------------------------------------------------


def customers_given() -> dict[str, list[dict]]:
    phone = "138000000{:02d}".format
    return {
        "staff": [{"staff_id": "S1", "role": "adviser", "phone": phone(90)}],
        "customers": [
            {"customer_id": "C1", "name": "王一", "phone": phone(1), "id_number": resident("19880808", "003")},
            {"customer_id": "C2", "name": "王二", "phone": phone(2), "id_number": resident("19900229", "002")},  # no such day
            {"customer_id": "C3", "name": "王三", "phone": phone(3), "id_number": resident("19700101"), "birth_date": "1971-01-01", "gender": "女"},
            {"customer_id": "C4", "name": "王四", "phone": None},
            {"customer_id": "C5", "name": "王五", "phone": None},
            {"customer_id": "C6", "name": "王六", "phone": None},
            {"customer_id": "C7", "name": "王七", "phone": None},
            {"customer_id": "C8", "name": None, "phone": phone(8)},
            {"customer_id": "C9", "name": None, "phone": phone(9)},
            {"customer_id": "C10", "name": "某公司", "phone": "12345", "customer_type": "企业", "id_number": resident("19600101")},
        ],
        "vehicles": [
            {"vin": vin(1), "customer_id": "C1", "plate": "浙B12345", "purchased_on": "2020-01-01"},
            {"vin": vin(11), "customer_id": "C1", "plate": "沪A12345", "purchased_on": "2023-01-01"},
            {"vin": vin(12), "customer_id": "C1", "plate": "京A12345", "purchased_on": "2024-01-01", "disposed_on": "2025-01-01"},
            {"vin": vin(2), "customer_id": "C2", "plate": "broken"},
            {"vin": vin(8), "customer_id": "C8", "plate": "沪A00008"},
            {"vin": vin(9), "customer_id": "C9", "plate": "沪A00009"},
        ],
        "contacts": [
            {"contact_id": "K1", "customer_id": "C4", "role": "车主", "phone": phone(44)},
            {"contact_id": "K2", "customer_id": "C4", "role": "司机", "phone": phone(45)},
            {"contact_id": "K3", "customer_id": "C6", "role": "车主", "phone": phone(66)},
            {"contact_id": "K4", "customer_id": "C6", "role": "车主", "phone": phone(67)},  # which of the two?
        ],
        "leads": [
            {"lead_id": "L1", "customer_id": "C5", "phone": phone(55), "created_at": "2025-01-01"},
            {"lead_id": "L2", "customer_id": "C5", "phone": phone(56), "created_at": "2025-02-01"},
            {"lead_id": "L3", "customer_id": "C7", "phone": phone(90), "created_at": "2025-02-01"},  # of staff
        ],
        "service_orders": [
            visit(1, vin(8), brought_by="李八"), visit(2, vin(8), "2026-05-06", brought_by="李八"),
            visit(3, vin(9), brought_by="李九"), visit(4, vin(9), "2026-05-06", brought_by="李十"),
            visit(5, vin(1), customer_id="C6", brought_by="王六", phone=phone(68)),
            visit(6, vin(1), "2026-05-06", customer_id="C7", brought_by="王一", phone=phone(77)),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def people(audit_of):
    return audit_of(customers_given(), asked=DAY, language="zh")


def test_what_customers_are_given(people):
    assert said(people, "customers") == {
        ("C1", "birth_date", "id_number", "customers"), ("C1", "gender", "id_number", "customers"),
        ("C2", "gender", "id_number", "customers"),
        ("C1", "region", "plate_region", "vehicles"), ("C8", "region", "plate_region", "vehicles"), ("C9", "region", "plate_region", "vehicles"),
        ("C2", "region", "id_region", "customers"), ("C3", "region", "id_region", "customers"),
        ("C4", "phone", "other_table", "contacts"), ("C5", "phone", "other_table", "leads"), ("C6", "phone", "other_table", "service_orders"),
        ("C8", "name", "other_table", "service_orders"),
    }  # fmt: skip
    assert pd.Timestamp(value(people, "customers", "C1", "birth_date")) == pd.Timestamp("1988-08-08")
    assert [value(people, "customers", c, "gender") for c in ("C1", "C2", "C3")] == ["m", "f", "f"]
    assert [value(people, "customers", c, "region") for c in ("C1", "C2", "C8")] == ["上海", "浙江杭州", "上海"]
    assert [value(people, "customers", c, "phone") for c in ("C4", "C5", "C6", "C7", "C10")] == [
        "13800000044", "13800000056", "13800000068", None, None,
    ]  # fmt: skip
    assert value(people, "customers", "C8", "name") == "李八"


def test_no_delivered_value_is_replaced(people):
    assert str(value(people, "customers", "C3", "birth_date"))[:10] == "1971-01-01"
    given = {row["customer_id"]: row for row in customers_given()["customers"]}
    for key, row in given.items():
        for column in ("name", "phone"):
            if row[column] and row[column] != "12345":
                assert value(people, "customers", key, column) == row[column]


def test_checks_and_scores_speak_of_what_was_delivered(people, audit_of):
    off = {
        name: name in ("vin_from_plate", "customer_from_keys")
        for name in Params.model_fields["supply"].default.model_dump()
    }
    bare = audit_of(customers_given(), asked=DAY, language="zh", supply=off)
    pd.testing.assert_frame_equal(bare.results, people.results)
    pd.testing.assert_frame_equal(bare.scores, people.scores)
    pd.testing.assert_frame_equal(bare.ledger, people.ledger)
    assert {column for (column,) in rows_of(bare.supplied, "column")} == {"customer_id"}
    for name in bare.clean:
        one, other = bare.clean[name].to_pandas(), people.clean[name].to_pandas()
        assert list(one) == list(other) and len(one) == len(other)


@pytest.mark.parametrize("way, column, how", [("region_from_plate", "region", "plate_region"), ("phone_from_leads", "phone", "other_table"), ("birth_and_gender_from_id", "gender", "id_number")])  # fmt: skip
def test_each_way_can_be_closed(people, audit_of, way, column, how):
    closed = said(audit_of(customers_given(), asked=DAY, language="zh", supply={way: False}), "customers")
    gone = said(people, "customers") - closed
    assert gone and {(c, h) for _, c, h, _ in gone} <= {(column, how), ("birth_date", "id_number")}


# -- gaps of cars and sales ----------------------------------------------------------------------------------------


def test_what_cars_and_sales_are_given(audit_of):
    audited = audit_of(
        {
            "customers": [{"customer_id": f"C{i}", "name": f"客{i}", "phone": f"1380000000{i}"} for i in range(1, 6)],
            "vehicles": [
                {"vin": vin(1, "E")},  # a sale, then a visit of another customer
                {"vin": vin(2, "9"), "customer_id": "C2", "purchased_on": "2010-01-01", "purchase_price_yuan": "100000"},
                {"vin": vin(3, "Y"), "customer_id": "C3", "purchased_on": "2001-05-05"},
                {"vin": vin(4, "0"), "customer_id": "C4", "plate": "沪A00001"},
                {"vin": vin(5, "L"), "customer_id": "C5"},  # sold to somebody else: not its purchase
            ],
            "sales_orders": [
                {"order_id": "B1", "customer_id": "C1", "vin": vin(1, "E"), "delivered_on": "2014-03-03", "price_yuan": "150000"},
                {"order_id": "B2", "customer_id": "C2", "vin": vin(2, "9"), "delivered_on": "2010-01-01"},
                {"order_id": "B5", "customer_id": "C1", "vin": vin(5, "L"), "delivered_on": "2020-03-03", "price_yuan": "90000"},
            ],
            "service_orders": [
                visit(1, vin(1, "E"), "2026-05-05", customer_id="C5", plate="沪A00002"),
                visit(2, vin(2, "9"), "2026-05-05", plate="沪A00001"),  # by now in the record of another car
                visit(3, vin(3, "Y"), "2026-05-01", plate="沪A00003"),
                visit(4, vin(3, "Y"), "2026-05-05", plate="沪A00004"),
                visit(5, vin(5, "L"), "2026-06-05", plate="沪A00003"),
            ],
        },
        asked=DAY,
    )  # fmt: skip
    a, b, c, e = vin(1, "E"), vin(2, "9"), vin(3, "Y"), vin(5, "L")
    assert said(audited, "vehicles") == {
        (a, "purchased_on", "other_table", "sales_orders"), (a, "purchase_price_yuan", "other_table", "sales_orders"),
        (a, "customer_id", "other_table", "service_orders"), (a, "plate", "other_table", "service_orders"),
        (c, "plate", "other_table", "service_orders"), (e, "plate", "other_table", "service_orders"),
        *((car, "model_year", "vin_year", "vehicles") for car in (a, b, c, e)),
    }  # fmt: skip
    assert value(audited, "vehicles", a, "customer_id") == "C5"
    assert value(audited, "vehicles", a, "purchase_price_yuan") == Decimal("150000.00")
    assert [value(audited, "vehicles", car, "plate") for car in (a, c, e)] == ["沪A00002", "沪A00004", "沪A00003"]
    assert [value(audited, "vehicles", car, "model_year") for car in (a, b, c, e)] == [2014, 2009, 2000, 2020]
    assert said(audited, "sales_orders") == {("B2", "price_yuan", "other_table", "vehicles")}
    assert value(audited, "sales_orders", "B2", "price_yuan") == Decimal("100000.00")


# -- several sources -----------------------------------------------------------------------------------------------

TWO = {"sources": ["dms", "cc"]}


def test_records_of_two_sources_are_merged_field_by_field(audit_of):
    audited = audit_of(
        {
            "customers": [{"customer_id": "C1", "name": "王一", "phone": "13800000001"}],
            "vehicles": [
                {"vin": vin(1), "customer_id": "C1", "plate": "沪A10001", "series": None, "_source": "dms"},
                {"vin": vin(1), "plate": "沪A10009", "series": "Alpha", "brand": "B", "purchased_on": "2020-05-05",
                 "odometer_km": "-5", "list_price_yuan": "1", "_source": "cc", "_file": "cc.csv"},
                {"vin": None, "plate": "沪A10001", "energy_type": "汽油", "brand": "other", "_source": "cc", "_file": "cc.csv"},
            ],
            "service_orders": [visit(1, vin(1))],
        },
        asked=DAY, **TWO,
    )  # fmt: skip
    kept = audited.clean["vehicles"].to_pandas()
    assert kept[["_source", "plate", "series", "brand", "energy_type"]].values.tolist() == [
        ["dms", "沪A10001", "Alpha", "B", "ice"]
    ]
    assert pd.isna(kept["odometer_km"][0]), "an illegal value fills no gap"
    assert rows_of(audited.merged, "file", "row", "into_file", "into_row") == [
        ("cc.csv", 3, "vehicles.csv", 2),
        ("cc.csv", 4, "vehicles.csv", 2),
    ]
    ledger = audited.ledger.query("table == 'vehicles'")
    assert ledger[["source", "raw", "clean", "merged"]].values.tolist() == [["cc", 2, 0, 2], ["dms", 1, 1, 0]]
    filled = {(column, how) for _, column, how, _ in said(audited, "vehicles")}
    assert filled == {
        (c, "other_source") for c in ("series", "brand", "purchased_on", "list_price_yuan", "energy_type")
    } | {("model_year", "vin_year")}
    results = audited.results.set_index("check")
    assert results.loc["vehicles.plate_agrees", ["checked", "failed", "dimension"]].tolist() == [2, 1, "consistency"]
    assert results.loc["vehicles.brand_agrees", "failed"] == 0, "a source that contradicts itself"
    assert results.loc["vehicles.vin_by_plate", "failed"] == 1


def test_the_order_of_trust_decides_and_not_what_is_fullest(audit_of):
    given = {
        "customers": [{"customer_id": "C1", "name": "王一", "phone": "13800000001"}],
        "vehicles": [{"vin": vin(1), "plate": "沪A10001", "_source": "dms"}, {"vin": vin(1), "plate": "沪A10002", "series": "A", "customer_id": "C1", "_source": "cc"}],
        "service_orders": [visit(1, vin(1))],
    }  # fmt: skip
    for sources, plate in ((["dms", "cc"], "沪A10001"), (["cc", "dms"], "沪A10002")):
        kept = audit_of(given, asked=DAY, sources=sources).clean["vehicles"].to_pandas()
        assert kept["plate"].tolist() == [plate] and kept["series"].tolist() == ["A"]


def test_customers_are_found_by_secondary_keys(audit_of):
    phone = "138000000{:02d}".format
    given = {
        "customers": [
            {"customer_id": "C1", "name": "王一", "phone": phone(1)},
            {"customer_id": "C2", "name": "王二", "phone": phone(2)},
            {"customer_id": "C3", "name": "王三", "phone": phone(3)},
            {"customer_id": "C4", "name": "王四", "phone": phone(3)},
            {"customer_id": "cc:9", "name": "王一", "phone": phone(1), "_source": "cc"},
        ],
        "vehicles": [{"vin": vin(2), "customer_id": "C2", "plate": "沪A10002", "purchased_on": "2024-01-01"}],
        "leads": [
            {"lead_id": "cc:L1", "customer_id": "cc:77", "phone": phone(2), "created_at": "2026-01-01", "_source": "cc"},
            {"lead_id": "L2", "phone": phone(2), "created_at": "2026-01-01"},  # no customer yet is no gap
        ],
        "interactions": [
            {"interaction_id": "cc:1", "customer_id": "cc:5", "phone": phone(1), "at": "2026-01-01", "kind": "survey", "_source": "cc"},
            {"interaction_id": "cc:2", "customer_id": "cc:6", "phone": phone(3), "at": "2026-01-01", "kind": "survey", "_source": "cc"},
            {"interaction_id": "cc:3", "customer_id": "cc:7", "phone": phone(88), "at": "2026-01-01", "kind": "survey", "_source": "cc"},
            {"interaction_id": "cc:4", "customer_id": "cc:9", "phone": phone(2), "at": "2026-01-01", "kind": "survey", "_source": "cc"},
            {"interaction_id": "I5", "phone": phone(2), "at": "2026-01-01", "kind": "survey"},
            {"interaction_id": "I6", "customer_id": "C99", "phone": phone(2), "at": "2026-01-01", "kind": "survey"},
        ],
        "service_orders": [
            visit(1, vin(2), "2025-01-01"), visit(2, vin(2), "2023-01-01"), visit(3, vin(3), phone=phone(1)),
            visit(4, vin(4), plate="沪A10002", phone=phone(1)),
        ],
    }  # fmt: skip
    audited = audit_of(given, asked=DAY, **TWO)
    seen = audited.clean["interactions"].to_pandas().set_index("interaction_id")["customer_id"].to_dict()
    assert seen == {"cc:1": "C1", "cc:2": "cc:6", "cc:3": "cc:7", "cc:4": "cc:9", "I5": "C2", "I6": "C99"}
    links = {(t, h): n for t, _, h, n in rows_of(audited.links, "table", "column", "how", "rows")}
    assert links == {("interactions", "phone"): 2, ("interactions", "ambiguous"): 1, ("interactions", "unknown"): 1, ("leads", "phone"): 1,
                     ("service_orders", "vin"): 1, ("service_orders", "phone"): 1, ("service_orders", "plate"): 1}  # fmt: skip
    failed = audited.results.set_index("check")["failed"]
    assert failed["interactions.customer_id_known"] == 3, "two that no key explains, and a number of this source"
    assert (
        value(audited, "leads", "cc:L1", "customer_id") == "C2" and value(audited, "leads", "L2", "customer_id") is None
    )
    visits = audited.clean["service_orders"].to_pandas().set_index("order_id")["customer_id"]
    assert visits.where(visits.notna(), None).to_dict() == {"R1": "C2", "R2": None, "R3": "C1", "R4": "C2"}
    by_phone = audit_of(given, asked=DAY, secondary_keys=["phone", "vin"], **TWO)
    assert value(by_phone, "service_orders", "R4", "customer_id") == "C1"
    closed = audit_of(given, asked=DAY, secondary_keys=[], **TWO)
    assert closed.links.empty and closed.results.set_index("check")["failed"]["interactions.customer_id_known"] == 4


def test_a_visit_without_a_vin_belongs_to_the_car_that_had_the_plate(audit_of):
    audited = audit_of(
        {
            "vehicles": [{"vin": vin(1), "plate": "沪A10001", "purchased_on": "2019-01-01"}, {"vin": vin(2), "plate": "沪A10002", "purchased_on": "2019-01-01"}],
            "service_orders": [
                visit(1, vin(1), "2020-01-01", plate="沪A10001"),
                visit(2, vin(3), "2024-01-01", plate="沪A10001"),  # the plate moved to another car
                visit(3, None, "2021-01-01", plate="沪a·10001"),
                visit(4, None, "2025-01-01", plate="沪A10001"),
                visit(5, None, "2026-05-01", plate="沪A10002"),
                visit(6, None, "2026-05-01", plate="浙C77777"), visit(7, None, "2026-05-02", plate="浙C77777"),
                visit(8, vin(1), "2023-01-01", plate="沪A10005"), visit(9, vin(2), "2023-01-01", plate="沪A10005"),
                visit(10, None, "2024-01-01", plate="沪A10005"), visit(11, None, "2024-01-01", plate="no plate"),
            ],
        },
        asked=DAY,
    )  # fmt: skip
    found = audited.clean["service_orders"].to_pandas().set_index("order_id")["vin"].to_dict()
    stand_in = found.pop("R6")
    assert found == {"R1": vin(1), "R2": vin(3), "R3": vin(1), "R4": vin(3), "R5": vin(2), "R7": stand_in, "R8": vin(1), "R9": vin(2)}  # fmt: skip
    assert (
        stand_in.startswith("0P")
        and stand_in[9] == "0"
        and not audited.results.set_index("check")["failed"]["service_orders.vin_check_digit"]
    )
    assert rows_of(audited.quarantine, "key", "reasons") == [
        ("R10", "service_orders.vin_present"),
        ("R11", "service_orders.vin_present"),
    ]
    links = {
        how: n for _, _, how, n in rows_of(audited.links.query("column == 'vin'"), "table", "column", "how", "rows")
    }
    assert links == {"plate": 3, "stand_in": 2, "ambiguous": 1}
    assert audited.results.set_index("check")["failed"]["service_orders.vin_by_plate"] == 5


def test_every_way_has_words(people):
    assert {how for _, _, how, _ in said(people, "customers")} <= set(HOW)
