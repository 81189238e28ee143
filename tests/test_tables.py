"""The declarations of the canonical tables: complete, consistent, and findable under every name they give."""

from __future__ import annotations

import pytest
from dealerkit import tables
from dealerkit.tables import JTT1132, PERSONAL, TABLES, TYPES, code_index, fold, header_index

COLUMNS = [(t, c) for t in TABLES.values() for c in t.columns]
ids = {"ids": [f"{t.name}.{c.name}" for t, c in COLUMNS]}


def test_the_tables_are_those_of_a_dealer_parents_first():
    assert list(TABLES) == [
        "staff", "customers", "vehicles", "contacts", "leads",
        "sales_orders", "service_orders", "service_lines", "interactions", "campaigns",
    ]  # fmt: skip
    assert [name for name, t in TABLES.items() if t.required] == ["service_orders"]
    seen = set()
    for name, t in TABLES.items():
        assert {c.ref for c in t.columns if c.ref} <= seen, f"{name} is checked before a table it refers to"
        seen.add(name)


@pytest.mark.parametrize("name", TABLES)
def test_key_and_main_date_are_columns_that_a_row_must_have(name):
    t = TABLES[name]
    assert len(t.names) == len(set(t.names))
    assert t.key and all(t[k].required for k in t.key)
    assert t.date is None or (t[t.date].type in ("date", "time") and t[t.date].required)
    assert all([t.en, t.zh, t.row_en, t.row_zh]) and t.label("en") == t.en and t.label("zh") == t.zh


@pytest.mark.parametrize("t, c", COLUMNS, **ids)
def test_a_column_is_declared_in_full(t, c):
    assert c.type in TYPES
    assert c.personal is None or c.personal in PERSONAL
    assert c.format in (None, "mobile", "plate", "vin", "resident_id_or_uscc", "email")
    assert c.ref is None or (c.ref in TABLES and len(TABLES[c.ref].key) == 1)
    assert c.known_from in ("always", "export", "parent") or t[c.known_from].type in ("date", "time")
    assert c.en and c.zh and c.label("en") == c.en and c.label("zh") == c.zh
    assert (c.lo is None) == (c.hi is None) and (c.lo is None or c.lo < c.hi)
    assert c.lo is None or c.type in ("int", "number", "money")
    assert bool(c.codes) == (c.type in ("code", "bool"))
    assert (c.type == "money") == c.name.endswith("_yuan")
    if c.format:
        assert c.personal, f"{c.name} has the form of an identifier and is not marked as personal"


def test_what_points_at_a_person_is_marked_as_personal():
    marked = {f"{t.name}.{c.name}" for t, c in COLUMNS if c.personal}
    assert {f"{t.name}.{c.name}" for t, c in COLUMNS if {"name", "phone", "vin", "plate", "email", "address", "id_number"} & {c.name}} <= marked  # fmt: skip
    assert {"service_orders.brought_by", "service_orders.fault", "interactions.text", "customers.birth_date"} <= marked


@pytest.mark.parametrize("name", TABLES)
def test_every_label_and_synonym_finds_its_column(name):
    t, index = TABLES[name], header_index(TABLES[name])
    for c in t.columns:
        assert [index[fold(h)] for h in (c.name, c.en, c.zh)] == [c.name] * 3
        for spelling in c.synonyms:
            # a spelling may be another column's own label, never another's synonym by accident of order
            found = t[index[fold(spelling)]]
            assert found is c or fold(spelling) in {fold(found.name), fold(found.en), fold(found.zh)}, spelling


@pytest.mark.parametrize("name", TABLES)
def test_labels_tell_columns_of_a_table_apart(name):
    for spellings in ([c.en for c in TABLES[name].columns], [c.zh for c in TABLES[name].columns]):
        folded = [fold(s) for s in spellings]
        assert len(folded) == len(set(folded))


@pytest.mark.parametrize("t, c", [(t, c) for t, c in COLUMNS if c.codes], ids=lambda x: getattr(x, "name", x))
def test_a_spelling_means_one_code(t, c):
    index = code_index(c)
    for code, spellings in c.codes.items():
        assert len(spellings) >= 2, "an English and a Chinese label"
        assert {index[fold(s)] for s in (code, *spellings)} == {code}


@pytest.mark.parametrize(
    "header, folded",
    [("Customer ID", "customerid"), (" 客户编号： ", "客户编号"), ("ＶＩＮ码", "vin码"), ("指导价（元）", "指导价元"), ("RO_No.", "rono"), ("*姓名*", "姓名")],
)  # fmt: skip
def test_headers_are_compared_without_width_case_and_punctuation(header, folded):
    assert fold(header) == folded


def test_a_label_goes_before_a_synonym():
    index = header_index(TABLES["service_orders"])
    # 送修人 labels who brought the car; 工时 and 数量 are labels of lines
    assert index["送修人"] == "brought_by" and index["优惠"] == "discount_yuan"
    assert header_index(TABLES["service_lines"])["工时"] == "hours"


def test_the_official_record_maps_its_thirteen_headers_to_columns_that_exist():
    assert len(JTT1132) == 13
    targets = [target for goals in JTT1132.values() for target in goals]
    assert all(column in TABLES[table] for table, column in targets)
    reached = {f"{table}.{column}" for table, column in targets}
    required = {f"service_orders.{c.name}" for c in TABLES["service_orders"].columns if c.required}
    assert required <= reached
    assert JTT1132["企业名称"] == ()


def test_units_are_read_off_the_name():
    orders = TABLES["service_orders"]
    assert [orders[c].unit for c in ("total_yuan", "odometer_km", "wait_minutes", "opened_at", "vin")] == [
        "yuan", "km", "minutes", "time", "",
    ]  # fmt: skip
    assert TABLES["interactions"]["seconds"].unit == "seconds" and TABLES["staff"]["role"].unit == ""


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(KeyError, match="no table 'cars'; the tables are staff, customers"):
        tables.table("cars")
    with pytest.raises(KeyError, match="table staff has no column 'salary'; it has staff_id, role, phone"):
        TABLES["staff"]["salary"]
    assert "phone" in TABLES["staff"] and "salary" not in TABLES["staff"]
