"""Who is one person: names, each rule of joining and of keeping apart on records made by hand, keys that thousands share,
and the true persons of generated dealers."""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd
import pytest
from dealerkit import engine
from dealerkit.audit import audit
from dealerkit.demo import generate
from dealerkit.identity import identify, names, views
from dealerkit.ingest import ingest
from dealerkit.params import EngineParams, Params
from dealerkit.report.translate import Translator
from stdnum.cn import ric

DAY = date(2026, 6, 30)
PHONES = [f"1380000{i:04d}" for i in range(200)]


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


def groups_of(result) -> list[str]:
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
    "a title alone": ([{"name": "王小明", **P}, {"name": "先生", **P}], ["AB"]),
    "a title alone, of the other sex": ([{"name": "王小明", "gender": "女", **P}, {"name": "先生", **P}], ["A", "B"]),
    "the same phone, a title of the other sex": ([{"name": "王小明", "gender": "男", **P}, {"name": "王女士", **P}], ["A", "B"]),
    "the same phone, a name of the other sex": ([{"name": "王建军", **P}, {"name": "王女士", **P}], ["A", "B"]),
    "the same phone, one character": ([{"name": "王小明", **P}, {"name": "王", **P}], ["AB"]),
    "the same phone, homophones": ([{"name": "王小明", **P}, {"name": "王晓鸣", **P}], ["AB"]),
    "the same phone, Latin letters": ([{"name": "单晓明", **P}, {"name": "SHAN Xiao-Ming", **P}], ["AB"]),
    "the same phone, a slip of the pen": ([{"name": "John Smithson", **P}, {"name": "John Smitson", **P}], ["AB"]),
    "the same phone, another syllable": ([{"name": "Wang Wei", **P}, {"name": "Wang Mei", **P}], ["A", "B"]),
    "the same name and birth date": ([{"name": "欧阳晓明", "birth_date": "1980-01-01"}, {"name": "欧阳小明", "birth_date": "1980-01-01"}], ["AB"]),
    "a company with and without its legal form": (
        [{"customer_type": "company", "name": "海港贸易有限公司", **P}, {"customer_type": "company", "name": "海港贸易", **P}], ["AB"]),
    "twins": ([{"name": "王子轩", "birth_date": "2001-05-05", **P}, {"name": "王子航", "birth_date": "2001-05-05", **P}], ["A", "B"]),
    "father and son": ([{"name": "王建国", "birth_date": "1960-05-05", **P}, {"name": "王建军", "birth_date": "1985-05-05", **P}], ["A", "B"]),
    "husband and wife, and a record without name": ([{"name": "张三", **P}, {"name": "李四", **P}, {"name": None, **P}], ["A", "B", "C"]),
    "a company and its driver": ([{"customer_type": "company", "name": "海港贸易有限公司", **P}, {"name": "张三", "gender": "男", "id_number": ZHANG, **P}], ["A", "B"]),
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
    "a phone on too many": ([{"name": name, **P} for name in ("张三", "李四", "王五", "赵六", "钱七", "孙八", "张三")], list("ABCDEFG")),
    "a phone on as many as allowed": ([{"name": name, **P} for name in ("张三", "李四", "王五", "赵六", "钱七", "张三")], ["AF", "B", "C", "D", "E"]),
    "the same record again and again": ([{"name": "张三", **P}] * 25, ["ABCDEFGHIJKLMNOPQRSTUVWXY"]),
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
    merges = found(records_of(customers=rows)).merges
    assert {rule: pairs for rule, pairs in merges.items() if pairs} == {
        "same_id_number": 1, "phone": 1, "apart another_name": 1, "kept_apart": 1,
    }  # fmt: skip


SWITCHED = {
    "same_id_number": "the same ID number",
    "phone_without_name": "the same phone, no name",
    "different_id_numbers": "two ID numbers",
    "person_and_company": "person and company on one phone",
    "sexes_contradict": "the same phone, a title of the other sex",
}


@pytest.mark.parametrize("rule", SWITCHED)
def test_a_rule_that_is_switched_off_leaves_it_to_the_weights(records_of, rule):
    rows, by_rule = CASES[SWITCHED[rule]]
    rows = [dict(row, address="海港路 12 号 3 幢 401 室") for row in rows] if by_rule != ["AB"] else rows
    clean = records_of(customers=people(*rows))
    off = found(clean, identity={"rules": {rule: False}})
    assert groups_of(off) == (["A", "B"] if by_rule == ["AB"] else ["AB"])
    table = views.rules_table(
        off, Params(dealer="x", display_name="X", identity={"rules": {rule: False}}), Translator("en")
    )
    assert table["pairs"].isna().sum() == 1


def test_the_same_car_and_name_are_one_person(records_of):
    rows = people({"name": "张三"}, {"name": "张三"}, {"name": "李四"})
    visits = [{"order_id": f"R{i}", "vin": CARS[0], "customer_id": c, "opened_at": "2026-01-01"} for i, c in enumerate("BC")]  # fmt: skip
    result = found(records_of(customers=rows, vehicles=[{"vin": CARS[0], "customer_id": "A"}], service_orders=visits))
    assert groups_of(result) == ["AB", "C"] and result.merges["car"] == 1


def test_a_plate_moved_to_the_next_car_shows_its_owner(records_of):
    rows = people({"name": "张三"}, {"name": "张三"}, {"name": "李四"})
    cars = [{"vin": vin, "customer_id": c, "plate": plate} for vin, c, plate in zip(CARS * 2, "ABC", ["浙A12345"] * 2 + ["浙A54321"])]  # fmt: skip
    visit = [{"order_id": "R1", "vin": CARS[1], "customer_id": "C", "plate": "浙A12345", "opened_at": "2026-01-01"}]
    result = found(records_of(customers=rows, vehicles=cars[:2], service_orders=visit))
    assert groups_of(result) == ["AB", "C"] and result.merges["plate"] == 1


def test_a_chain_is_cut_at_its_weakest_link(records_of):
    # the record in the middle has the phone of one and the car of the other; a surname agrees with both
    rows = people(
        {"name": "王小明", **P}, {"name": "王先生", **P}, {"name": "王大伟", "address": "海港路 12 号 3 幢 401 室"}
    )
    rows[1]["address"] = rows[2]["address"]
    visits = [{"order_id": f"R{i}", "vin": CARS[0], "customer_id": c, "opened_at": "2026-01-01"} for i, c in enumerate("BC")]  # fmt: skip
    clean = records_of(customers=rows, service_orders=visits)
    result = found(clean, identity={"merge_probability": 0.5})
    assert groups_of(result) == ["A", "BC"] or groups_of(result) == ["AB", "C"]
    cut = result.pairs[result.pairs["verdict"].eq("apart")]
    kept = result.pairs[result.pairs["verdict"].eq("joined")]
    assert len(kept) == 1 and "another_name" in set(cut["rule"])
    assert kept["probability"].iloc[0] >= cut["probability"].max()


def test_a_lead_without_customer_joins_by_its_phone_or_is_a_prospect(records_of):
    leads = [{"lead_id": f"L{i}", "phone": phone, "created_at": "2026-01-01"} for i, phone in enumerate(PHONES[1:3])]
    result = found(records_of(customers=people({"name": "张三", **P}), leads=leads))
    assert groups_of(result) == ["Alead:L0", "lead:L1"]
    assert result.persons["is_prospect"].all() and result.merges["phone_without_name"] == 1


def test_the_least_certain_pairs_are_masked_and_explained(records_of):
    rows = people(
        {"name": "王小明", **P},
        {"name": "王先生", **P},
        {"name": "李四光", **Q},
        {"name": "李四光", "residential_area": "海港名苑"},
    )
    result, t = found(records_of(customers=rows)), Translator("en")
    [joined] = views.least_certain(result, t, joined=True).to_dict("records")
    assert joined["names"] == "王* / 王*" and joined["phones"].startswith("138****")
    assert joined["agrees"] == "same surname, the rest of one name unknown, same phone"
    assert joined["why"] == "phone, and what else agrees"
    told = views.least_certain(result, t, joined=True).to_csv() + views.least_certain(result, t, joined=False).to_csv()
    assert "小明" not in told and PHONES[1] not in told


def test_a_pair_joined_through_another_record_is_told_as_such(records_of):
    rows = people(
        {"name": "王伟", **P, "residential_area": "海港名苑"},
        {"name": "王伟", **P, "phone_alt": Q["phone"]},
        {"name": "王伟", **Q, "residential_area": "海港名苑"},
    )
    result, t = found(records_of(customers=rows)), Translator("en")
    assert groups_of(result) == ["ABC"] and result.merges["phone"] == 2 and result.merges["through_others"] == 1
    [through] = result.pairs[result.pairs["rule"].eq("through_others")].to_dict("records")
    assert {through["customer_id_a"], through["customer_id_b"]} == {"A", "C"} and through["probability"] < 0.8
    first = views.least_certain(result, t, joined=True).iloc[0]
    assert first["why"] == "other records of the person; these two alone would stay apart"


# -- relations ----------------------------------------------------------------------------------------------------


def test_owner_driver_payer_household_and_fleet_are_told_apart(records_of):
    rows = people(
        {"name": "海港贸易有限公司", "customer_type": "company", **P},
        {"name": "张三", **Q},
        {"name": "张小三", **Q},
        {"name": "李四", "phone": PHONES[3], "employer": "海港贸易有限公司"},
    )
    vehicles = [{"vin": vin, "customer_id": "A", "purchased_on": "2020-01-01"} for vin in CARS]
    contacts = [
        {"contact_id": "K1", "customer_id": "A", "vin": CARS[0], "role": "司机", "name": "李四", "phone": PHONES[3]},
        {"contact_id": "K2", "customer_id": "A", "vin": CARS[1], "role": "结算人", "name": "赵六", "phone": PHONES[4]},
    ]
    result = found(records_of(customers=rows, vehicles=vehicles, contacts=contacts), identity={"fleet_cars": 2})
    who = dict(zip(result.records["customer_id"], result.records["person_id"]))
    assert who["contact:K1"] == who["D"]
    said = {
        (r.kind, r.person_id, r.other_person_id, r.vin)
        for r in result.relations.astype(object).where(result.relations.notna(), None).itertuples()
    }
    a, b, c, d, k2 = (who[i] for i in ("A", "B", "C", "D", "contact:K2"))
    assert said == {
        ("owner", a, None, CARS[0]), ("owner", a, None, CARS[1]), ("driver", d, a, CARS[0]), ("payer", k2, a, CARS[1]),
        ("family", min(b, c), max(b, c), None), ("employee", d, a, None), ("fleet", a, None, CARS[0]), ("fleet", a, None, CARS[1]),
    }  # fmt: skip
    persons = result.persons.set_index("person_id")
    assert persons.loc[d, "is_driver"] and persons.loc[k2, "is_payer"] and not persons.loc[k2, "is_prospect"]
    assert (
        persons.loc[b, "household_id"] == persons.loc[c, "household_id"] and persons["household_id"].notna().sum() == 2
    )
    assert persons.loc[d, "fleet_id"] == persons.loc[a, "fleet_id"] == a and pd.isna(persons.loc[b, "fleet_id"])


# -- keys that thousands share --------------------------------------------------------------------------------------


def many_names(count: int) -> list[str]:
    return [
        f"{family}{chr(0x4E00 + i // 20)}{chr(0x5E00 + i % 20)}" for i in range(count // 4) for family in "王李张刘"
    ]


def test_a_phone_of_3000_customers_joins_nobody_and_makes_no_pairs(records_of):
    result = found(
        records_of(
            customers=[{"customer_id": f"C{i:04d}", "name": name, **P} for i, name in enumerate(many_names(3000))]
        )
    )
    assert len(result.persons) == 3000 and result.counts["compared"] == 0 and result.counts["crowded_phones"] == 1


def test_a_car_of_3000_customers_is_compared_within_each_name_only(records_of):
    rows = [{"customer_id": f"C{i:04d}", "name": name} for i, name in enumerate(many_names(3000))]
    visits = [{"order_id": f"R{i}", "vin": CARS[0], "customer_id": r["customer_id"], "opened_at": "2026-01-01"} for i, r in enumerate(rows)]  # fmt: skip
    result = found(records_of(customers=rows, service_orders=visits))
    assert result.counts["compared"] == 0 and result.counts["left_out"] == 3000 * 2999 // 2
    assert len(result.persons) == 3000


def test_one_person_with_5000_cars_and_two_records(records_of):
    vins = [f"LSVAA408XE2{i:06d}" for i in range(5000)]
    rows = people({"name": "张三", **P}, {"name": "张三", **P})
    cars = [{"vin": vin, "customer_id": "A"} for vin in vins]
    visits = [
        {"order_id": f"R{i}", "vin": vin, "customer_id": "B", "opened_at": "2026-01-01"} for i, vin in enumerate(vins)
    ]
    result = found(records_of(customers=rows, vehicles=cars, service_orders=visits))
    assert groups_of(result) == ["AB"] and result.counts["compared"] == 1


def test_a_chain_of_5000_records_is_not_one_person(records_of):
    # each record has its own phone and that of the next one, and no name
    phones = [f"139{i:08d}" for i in range(5001)]
    rows = [{"customer_id": f"C{i:04d}", "phone": phones[i], "phone_alt": phones[i + 1]} for i in range(5000)]
    result = found(records_of(customers=rows))
    assert result.persons["records_count"].max() <= Params(dealer="x", display_name="X").identity.max_phones_per_person
    assert result.merges["apart too_many_phones"] > 0 and result.counts["compared"] == 4999


# -- names --------------------------------------------------------------------------------------------------------

#: Name → sound, surname, whether more than it is known, sex by title.
READ = {
    "单晓明": ("shanxiaoming", "shan", True, None),
    "仇英": ("qiuying", "qiu", True, None),
    "解放": ("xiefang", "xie", True, None),
    "曾国": ("zengguo", "zeng", True, None),
    "区志": ("ouzhi", "ou", True, None),
    "尉迟恭": ("yuchigong", "yuchi", True, None),
    "万俟三": ("moqisan", "moqi", True, None),
    "欧阳女士": ("ouyang", "ouyang", False, "f"),
    "王总": ("wang", "wang", False, None),
    "吕　布": ("lvbu", "lv", True, None),
    "王": ("wang", "wang", False, None),
    "Ms. Li": ("li", "li", False, "f"),
    "Mr Li Ming": ("liming", "li", True, "m"),
    "先生": (None, None, False, "m"),
    "😀\u200b": (None, None, False, None),
}


@pytest.mark.parametrize("name", READ)
def test_names_are_read_into_sound_surname_and_title(name):
    read = names.read(name)
    assert (read.sound, read.surname, read.full, read.sex) == READ[name]


def test_companies_are_told_by_their_words_or_by_the_card():
    assert names.read("海港贸易有限公司").company and names.read("Harbour Trading Co., Ltd.").company
    assert names.read("海港贸易", company=True).key == names.read("海港贸易有限公司").key
    assert not names.read("李建国").company


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
    assert len(ours) == len(true) > 600
    said, right = pairs(ours, "person_id"), pairs(true, "person_id")
    assert len(said) >= 5 and len(said & right) >= 0.99 * len(said)
    assert len(said & right) >= 0.9 * len(right)


def test_each_record_of_the_demo_has_one_person(demo, demo_persons):
    records, persons = demo_persons.records, demo_persons.persons
    assert not records.duplicated(["source", "customer_id"]).any() and persons["person_id"].is_unique
    assert set(records["person_id"]) == set(persons["person_id"])
    assert persons["records_count"].sum() == len(records)
    others = persons["person_id"].isin(records.loc[records["source"].isin(["contacts", "service_orders"]), "person_id"])
    assert (persons[["is_owner", "is_former_owner", "is_prospect"]].sum(axis=1) <= 1).all()
    assert (persons[["is_owner", "is_former_owner", "is_prospect"]].any(axis=1) | others).all()


# -- a generated dealer, and what must not matter --------------------------------------------------------------------


@pytest.fixture(scope="module")
def dealer(tmp_path_factory):
    """Clean tables of 1,500 generated customers as files, and the true person of each card."""
    base = tmp_path_factory.mktemp("dealer")
    generate("demo", base / "raw", base / "truth", customers=1_500, seed=11)
    made = Params(dealer="demo", display_name="Demo", gate="off")
    read = ingest(made, base / "raw", base / "out")
    connection = engine.connect(EngineParams())
    raw = {name: connection.read_parquet(t.path, table_name=f"given_{name}") for name, t in read.tables.items()}
    clean = audit(connection, raw, made).clean
    used = ("customers", "vehicles", "contacts", "leads", "sales_orders", "service_orders")
    paths = {name: base / f"{name}.parquet" for name in used}
    for name, path in paths.items():
        clean[name].to_parquet(path)
    connection.disconnect()
    return paths, pd.read_parquet(base / "truth/records.parquet")


def identified(paths, threads: int, shuffled: bool = False):
    connection = engine.connect(EngineParams(threads=threads))
    clean = {name: connection.read_parquet(path) for name, path in paths.items()}
    if shuffled:
        clean = {
            name: connection.create_table(
                f"s_{name}", table.order_by(ibis.desc((table[table.columns[0]] + "x").hash())), temp=True
            )
            for name, table in clean.items()
        }
    result = identify(connection, clean, Params(dealer="demo", display_name="Demo"), DAY)
    cars = result.cars.to_pandas().sort_values(["vin", "person_id"], ignore_index=True)
    connection.disconnect()
    return result, cars


@pytest.fixture(scope="module")
def of_dealer(dealer):
    return identified(dealer[0], threads=1)


def test_duplicates_of_a_generated_dealer_are_found(dealer, of_dealer):
    true = dealer[1][["customer_id", "person_id"]]
    ours = of_dealer[0].records.merge(true[["customer_id"]], on="customer_id")
    said, right = pairs(ours, "person_id"), pairs(true, "person_id")
    both = len(said & right)
    assert len(right) >= 25 and both >= 0.99 * len(said) and 2 * both >= 0.97 * (len(said) + len(right))


@pytest.mark.parametrize("way", [{"threads": 2}, {"threads": 1, "shuffled": True}])
def test_neither_threads_nor_the_order_of_rows_matter(dealer, of_dealer, way):
    one, cars = of_dealer
    other, other_cars = identified(dealer[0], **way)
    for name in ("persons", "records", "pairs", "relations"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_frame_equal(cars, other_cars)
    assert (one.merges, one.counts) == (other.merges, other.counts)
