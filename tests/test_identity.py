"""Who is one person: each rule of joining and of keeping apart on records made by hand, and the demo's true persons."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from dealerkit.identity import identify
from dealerkit.params import Params
from stdnum.cn import ric

DAY = date(2026, 6, 30)
PHONES = [f"1380000{i:04d}" for i in range(100)]


def resident(birth: str, serial: str = "001") -> str:
    body = "110105" + birth + serial
    return body + ric.calc_check_digit(body + "_")


ZHANG, LI = resident("19800101"), resident("19850505")
CARS = ["LSVAA4083E2000007", "LSVAA4086E2000003"]


@pytest.fixture(scope="module")
def records_of(clean_of):
    """A connection and the clean tables of records given by hand, by table name."""

    def make(**given) -> tuple:
        return clean_of({"vehicles": [], "customers": [], "service_orders": []} | given)

    return make


def people(*records: dict) -> list[dict]:
    """Customer records; the number counts from A unless given."""
    return [{"customer_id": chr(65 + i), "name": f"无名{i}"} | r for i, r in enumerate(records)]


def found(made, **params):
    return identify(*made, Params.model_validate({"dealer": "x", "display_name": "X"} | params), DAY)


def groups(result) -> list[str]:
    """Customer numbers of each person, as text: AB, C."""
    return sorted("".join(sorted(part)) for _, part in result.records.groupby("person_id")["customer_id"])


P, Q = {"phone": PHONES[1]}, {"phone": PHONES[2]}
CASES = {
    "the same ID number": ([{"id_number": ZHANG, "name": "张三", **P}, {"id_number": ZHANG, "name": "章山", **Q}], ["AB"]),
    "the same phone and name": ([{"name": "张三", **P}, {"name": "张 三", **P}], ["AB"]),
    "the same phone, capitals and swapped words": ([{"name": "Zhang San", **P}, {"name": "SAN ZHANG", **P}], ["AB"]),
    "the same phone, surname with title": ([{"name": "王小明", **P}, {"name": "王先生", **P}], ["AB"]),
    "the same phone, title in English": ([{"name": "Li Minglei", **P}, {"name": "Mr Li", **P}], ["AB"]),
    "the same phone, no name": ([{"name": "张三", **P}, {"name": None, **P}], ["AB"]),
    "the same phone, another surname with title": ([{"name": "王小明", **P}, {"name": "张先生", **P}], ["A", "B"]),
    "the same phone, two titles": ([{"name": "王女士", **P}, {"name": "王先生", **P}], ["A", "B"]),
    "a title alone": ([{"name": "王小明", **P}, {"name": "先生", **P}], ["A", "B"]),
    "the same phone, another name": ([{"name": "张三", **P}, {"name": "李四", **P}], ["A", "B"]),
    "the same name, another phone": ([{"name": "张三", **P}, {"name": "张三", **Q}], ["A", "B"]),
    "nothing known": ([{"name": None}, {"name": None}], ["A", "B"]),
    "two ID numbers": ([{"id_number": ZHANG, "name": "张三", **P}, {"id_number": LI, "name": "张三", **P}], ["A", "B"]),
    "two ID numbers through a chain": (
        [{"id_number": ZHANG, "name": "张三", **P}, {"name": None, **P}, {"id_number": LI, "name": "张三", "phone": PHONES[1]}],
        ["A", "B", "C"],
    ),
    "person and company on one phone": ([{"customer_type": "person", "name": "张三", **P}, {"customer_type": "company", "name": "张三", **P}], ["A", "B"]),
    "person and company with one ID number": ([{"customer_type": "person", "id_number": ZHANG}, {"customer_type": "company", "id_number": ZHANG}], ["AB"]),
    "a phone on too many": ([{"name": "张三", **P}] * 6, list("ABCDEF")),
    "a phone on as many as allowed": ([{"name": "张三", **P}] * 5, ["ABCDE"]),
    "a chain of ID number and phone": ([{"id_number": ZHANG, "name": "张三", **P}, {"id_number": ZHANG, "name": "张三", **Q}, {"name": "张三", **Q}], ["ABC"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def all_cases(records_of):
    """All cases in one audit, each with phones, ID numbers and customer numbers of its own."""
    rows = []
    for i, (records, _) in enumerate(CASES.values()):
        for record in people(*records):
            own = dict(record, customer_id=f"{i:02d}{record['customer_id']}")
            if own.get("phone"):
                own["phone"] = PHONES[PHONES.index(own["phone"]) + 3 * i]
            if own.get("id_number"):
                own["id_number"] = resident(own["id_number"][6:14], f"{i + 2:03d}")
            rows.append(own)
    return found(records_of(customers=rows))


@pytest.mark.parametrize("case", CASES)
def test_rules_of_joining_and_keeping_apart(all_cases, case):
    i = list(CASES).index(case)
    own = all_cases.records[all_cases.records["customer_id"].str.startswith(f"{i:02d}")]
    joined = sorted("".join(sorted(part.str[2:])) for _, part in own.groupby("person_id")["customer_id"])
    assert joined == CASES[case][1]


def test_cases_do_not_touch_one_another(all_cases):
    assert all_cases.records.groupby("person_id")["customer_id"].agg(lambda c: c.str[:2].nunique()).max() == 1
    assert all_cases.persons["records_count"].sum() == len(all_cases.records) == sum(len(r) for r, _ in CASES.values())


def test_pairs_are_counted_by_rule(records_of):
    rows = people(
        {"name": "张三", **P}, {"name": "张三", **P}, {"name": "李四", **P}, {"id_number": ZHANG}, {"id_number": ZHANG}
    )
    result = found(records_of(customers=rows))
    assert result.merges == {"id_number": 1, "phone": 1, "vin": 0, "kept_apart": 2}


def test_the_same_car_and_name_are_one_person(records_of):
    rows = people({"name": "张三"}, {"name": "张三"}, {"name": "李四"})
    visits = [{"order_id": f"R{i}", "vin": CARS[0], "customer_id": c, "opened_at": "2026-01-01"} for i, c in enumerate("BC")]  # fmt: skip
    result = found(records_of(customers=rows, vehicles=[{"vin": CARS[0], "customer_id": "A"}], service_orders=visits))
    assert groups(result) == ["AB", "C"] and result.merges["vin"] == 1


def test_a_lead_without_customer_joins_by_its_phone_or_is_a_prospect(records_of):
    leads = [{"lead_id": f"L{i}", "phone": phone, "created_at": "2026-01-01"} for i, phone in enumerate(PHONES[1:3])]
    result = found(records_of(customers=people({"name": "张三", **P}), leads=leads))
    assert groups(result) == ["Alead:L0", "lead:L1"]
    assert result.persons["is_prospect"].all()


# -- ids ----------------------------------------------------------------------------------------------------------

ROWS = people(
    {"name": "张三", **P}, {"name": "张三", **P}, {"id_number": ZHANG}, {"name": "李四", **Q}, {"id_number": ZHANG}
)


def ids(result) -> dict[str, str]:
    return dict(zip(result.records["customer_id"], result.records["person_id"]))


@pytest.fixture(scope="module")
def first(records_of):
    return ids(found(records_of(customers=ROWS)))


def test_ids_do_not_depend_on_the_order_of_rows(records_of, first):
    assert ids(found(records_of(customers=ROWS[::-1]))) == first
    assert len(set(first.values())) == 3 and all(i.startswith("P") and len(i) == 15 for i in first.values())


def test_ids_stay_when_unrelated_rows_come(records_of, first):
    more = [{"customer_id": f"0{i}", "name": "新", "phone": PHONES[50 + i]} for i in range(5)]
    later = ids(found(records_of(customers=more + ROWS)))
    assert {c: later[c] for c in first} == first and len(set(later.values())) == 8


def test_another_key_makes_other_ids(records_of, first):
    other = ids(found(records_of(customers=ROWS), id_key="another"))
    assert not set(other.values()) & set(first.values())


def test_the_more_trusted_source_gives_the_attributes(records_of):
    rows = people(
        {"name": "Zhang San", "_source": "calls", "gender": "女", "occupation": "clerk", **P},
        {"name": "ZHANG SAN", "_source": "dms", "gender": "男", **P},
    )
    clean = records_of(customers=rows)
    person = found(clean, sources=["dms", "calls"]).persons.iloc[0]
    assert (person["name"], person["gender"], person["occupation"]) == ("ZHANG SAN", "m", "clerk")
    assert (person["records_count"], person["sources_count"]) == (2, 2)
    assert found(clean, sources=["calls", "dms"]).persons.iloc[0]["gender"] == "f"


# -- cars ---------------------------------------------------------------------------------------------------------


def test_cars_disposed_of_or_traded_in_are_not_in_hand(records_of):
    rows = people(*[{"phone": PHONES[i]} for i in range(6)])
    # the fourth was traded in and bought again by somebody else; the last will be disposed of after the day
    cars = [
        ("LSVAA4083E2000007", "A", "2019-01-01", None), ("LSVAA4086E2000003", "B", "2019-01-01", "2025-01-01"),
        ("LSVAA4085E2000008", "C", "2019-01-01", None), ("LSVAA4081E2000006", "D", "2025-01-01", None),
        ("LSVAA4088E2000004", "E", None, None), ("LSVAA408XE2000005", "F", "2019-01-01", "2026-06-30"),
    ]  # fmt: skip
    vehicles = [dict(zip(("vin", "customer_id", "purchased_on", "disposed_on"), car)) for car in cars]
    sales = [
        {"order_id": f"B{i}", "customer_id": "A", "delivered_on": "2024-01-01", "trade_in_vin": cars[j][0], "vin": cars[0][0]}
        for i, j in enumerate((2, 3, 4))
    ]  # fmt: skip
    result = found(records_of(customers=rows, vehicles=vehicles, sales_orders=sales))
    held = result.cars.to_pandas().set_index("vin")
    who = dict(zip(result.records["person_id"], result.records["customer_id"]))
    assert {who[r.person_id]: (r.in_hand, r.left_reason) for r in held.itertuples()} == {
        "A": (True, None), "B": (False, "disposed"), "C": (False, "traded_in"),
        "D": (True, None), "E": (False, "traded_in"), "F": (False, "disposed"),
    }  # fmt: skip
    kinds = result.persons.assign(c=result.persons["person_id"].map(who)).set_index("c")
    assert "".join(kinds.index[kinds["is_owner"]].sort_values()) == "AD"
    assert "".join(kinds.index[kinds["is_former_owner"]].sort_values()) == "BCEF"
    assert not kinds["is_prospect"].any()


def test_nobody_is_no_failure(records_of):
    result = found(records_of())
    assert len(result.persons) == len(result.records) == 0 and result.cars.count().to_pandas() == 0


# -- the demo's true persons --------------------------------------------------------------------------------------


def pairs(frame: pd.DataFrame, person: str) -> set[tuple[str, str]]:
    """Pairs of records that are one person."""
    both = frame.merge(frame, on=person)
    both = both[both["customer_id_x"] < both["customer_id_y"]]
    return set(zip(both["customer_id_x"], both["customer_id_y"]))


def test_persons_of_the_demo_are_the_true_ones(demo, demo_persons):
    true = demo.truth("records")[["customer_id", "person_id"]]
    ours = demo_persons.records.merge(true[["customer_id"]], on="customer_id")
    assert len(ours) == len(true) == 640
    said, right = pairs(ours, "person_id"), pairs(true, "person_id")
    assert len(said) >= 5 and len(said & right) >= 0.99 * len(said)
    assert len(said & right) >= 0.9 * len(right)


def test_each_record_of_the_demo_has_one_person(demo, demo_persons):
    records, persons = demo_persons.records, demo_persons.persons
    assert not records.duplicated(["source", "customer_id"]).any() and persons["person_id"].is_unique
    assert set(records["person_id"]) == set(persons["person_id"])
    assert persons["records_count"].sum() == len(records)
    assert (persons[["is_owner", "is_former_owner", "is_prospect"]].sum(axis=1) == 1).all()
