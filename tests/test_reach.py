"""Who can be reached: one meaning in the audit's card, its sentence on costs, and what the factors say of persons."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from dealerkit import factors, identity, reach
from dealerkit.audit import answers, views
from dealerkit.factors import views as factor_views
from dealerkit.params import Params
from test_audit import vin

DAY = date(2026, 6, 30)
GIVEN = {"value_per_reachable_customer_yuan": 1000, "costs": {"unreachable_share": 0.1, "misplaced_share": 0.03}, "checks": {"max_customers_per_phone": 2}}  # fmt: skip
SHARED, OF_STAFF = "13811110000", "13911110000"
#: Who → phone, second phone, whether there is a way to them.
PEOPLE = {
    "own": ("13811110001", None, True),
    "second": (None, "13811110002", True),
    "supplied": (None, None, True),  # by the contact who owns the car
    "without": (None, None, False),
    "filler": ("13800000000", None, False),
    "fixed line": (None, "02155556666", False),
    "second dead": (None, "13800000000", False),
    "of staff": (OF_STAFF, None, False),
    "second of staff": (None, OF_STAFF, False),
    "staff, second": (OF_STAFF, "13811110003", True),
    "shared 1": (SHARED, None, False),
    "shared 2": (SHARED, None, False),
    "shared 3": (SHARED, "13811110004", True),
}
NAMES = ("王伟一", "李娜二", "张敏三", "赵强四", "孙丽五", "周杰六", "吴芳七", "郑军八", "冯娟九", "陈勇十", "褚艳丁", "卫东丙", "蒋欣乙")  # fmt: skip


def rows() -> dict[str, list[dict]]:
    given = {
        "customers": [
            {"customer_id": who, "name": name, "phone": phone, "phone_alt": other, "created_on": "2020-01-01"}
            for (who, (phone, other, _way)), name in zip(PEOPLE.items(), NAMES, strict=True)
        ],
        "vehicles": [{"vin": vin(n), "customer_id": who, "purchased_on": "2020-05-05"} for n, who in enumerate(PEOPLE, 1)],
        "service_orders": [{"order_id": f"R{n}", "vin": vin(n), "customer_id": who, "opened_at": "2026-05-05 09:00", "total_yuan": "100"} for n, who in enumerate(PEOPLE, 1)],
        "contacts": [{"contact_id": "K1", "customer_id": "supplied", "role": "owner", "phone": "13811110005"}],
        "staff": [{"staff_id": "E1", "role": "adviser", "phone": OF_STAFF}],
        "leads": [
            {"lead_id": "L1", "phone": "13811110006", "created_at": "2026-06-01 10:00"},
            {"lead_id": "L2", "phone": OF_STAFF, "created_at": "2026-06-01 11:00"},
        ],
    }  # fmt: skip
    return given


@pytest.fixture(scope="module")
def audited(audit_of):
    return audit_of(rows(), asked=DAY, **GIVEN)


@pytest.fixture(scope="module")
def chosen() -> Params:
    return Params.model_validate({"dealer": "x", "display_name": "X"} | GIVEN)


def test_who_has_a_way_to_them(audited, chosen):
    found = audited.clean["customers"].select("customer_id", way=reach.reachable(audited.clean, chosen.checks))
    assert dict(found.to_pandas().itertuples(index=False)) == {who: way for who, (*_, way) in PEOPLE.items()}


def test_card_and_sentence_of_the_audit_count_the_same(audited):
    lost = sum(not way for *_, way in PEOPLE.values())
    assert audited.cost.unreachable == lost
    assert views.facts(audited, type("Read", (), {"files": []}))["unreachable_records"][0] == lost
    said = answers.facts(audited, 1.0, 0.05)
    assert said["faults_unreachable"][0] == lost
    assert said["faults_yuan"][0] == pytest.approx(1000 * (0.1 * lost + 0.03 * audited.cost.misplaced))
    assert audited.cost.by_check["customers.phone_filled"] == 4, "not who has a second phone, or whose gap was filled"


def test_persons_are_reached_and_priced_in_the_same_way(audited, chosen):
    connection, clean = audited.clean["customers"].get_backend(), audited.clean
    found = identity.identify(connection, clean, chosen, DAY)
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, [DAY], DAY, chosen)
    now = factors.at(panel, DAY).set_index("person_id")["is_reachable"]
    way = {row.customer_id: now[row.person_id] for row in found.records.itertuples()}
    assert {who: way[who] == 1 for who in PEOPLE} == {who: given for who, (*_, given) in PEOPLE.items()}
    assert (way["lead:L1"], way["lead:L2"]) == (1, 0), "a number of staff on a lead is nobody's own"
    told = factor_views.facts(found.persons, panel, pd.DataFrame({"vin": [], "energy_type": []}), found.merges, chosen)
    assert told["unreachable_owners"][0] == audited.cost.unreachable, "here every record is an owner"
    assert told["unreachable_yuan"][0] == pytest.approx(1000 * 0.1 * audited.cost.unreachable)
