"""What the page of data quality answers: trust, cost without counting anybody twice, who mends what, and the trend."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace

import pytest
from dealerkit.audit import answers, cost, views
from dealerkit.audit.fixers import FIXERS
from dealerkit.report.translate import Translator, fields
from test_audit import vin

T = Translator("en")
VALUE = {"value_per_reachable_customer_yuan": 1000, "costs": {"unreachable_share": 0.1, "misplaced_share": 0.03}}
VISIT = {"opened_at": "2026-05-05 09:00", "settled_at": "2026-05-05 12:00", "odometer_km": "7777", "order_type": "保养", "total_yuan": "100"}  # fmt: skip
#: C1 and C2 have no phone, C2 a second one; C3's car has no date of purchase; C1's car neither.
GIVEN = {
    "customers": [{"customer_id": "C1", "name": "王伟"}, {"customer_id": "C2", "name": "李娜", "phone_alt": "13811112223"},
                  {"customer_id": "C3", "name": "张敏", "phone": "13811112224"}, {"customer_id": "C4", "name": "赵强", "phone": "13811112225"}],
    "vehicles": [{"vin": vin(n), "customer_id": f"C{n}", "plate": f"沪A6789{n}", "series": "A", "purchased_on": None if n in (1, 3) else "2020-05-05"} for n in range(1, 5)],
    "service_orders": [VISIT | {"order_id": f"R{n}", "vin": vin(n), "customer_id": f"C{n}"} for n in range(1, 5)],
}  # fmt: skip


@pytest.fixture(scope="module")
def audited(audit_of):
    return audit_of(GIVEN, asked=date(2026, 6, 30), **VALUE)


def test_a_customer_costs_once_and_as_unreachable_first(audited):
    assert (audited.cost.unreachable, audited.cost.misplaced) == (1, 1), "C1, whose car is undated as well; C3"
    assert audited.cost.total_yuan == pytest.approx(1000 * (0.1 + 0.03))
    by_check = audited.results.set_index("check")["cost_yuan"]
    assert by_check["customers.phone_filled"] == pytest.approx(100), "who has a second phone can be reached"
    assert by_check["vehicles.purchased_on_filled"] == pytest.approx(60)
    assert by_check["vehicles.insurance_stale"] == 0 and by_check.isna()["service_orders.total_adds_up"]


def test_what_each_can_mend_adds_up_to_more_than_the_whole(audited):
    rows = answers.by_fixer(audited, T).set_index("fixer")
    assert rows.loc["call centre", "yuan"] == pytest.approx(100)
    assert rows.loc["reception", "yuan"] == pytest.approx(60)
    assert rows["yuan"].sum() > audited.cost.total_yuan
    steps = answers.steps(audited, T)
    assert [s[3]["fixer"] for s in steps][:2] == ["call centre", "reception"] and set(rows.index) <= set(FIXERS)


def test_without_a_value_nothing_is_said_in_yuan(audit_of):
    audited = audit_of(GIVEN, asked=date(2026, 6, 30))
    assert audited.cost.total_yuan is None and audited.results["cost_yuan"].isna().all()
    assert answers.costs(audited, T).empty and answers.by_fixer(audited, T)["yuan"].isna().all()
    assert answers.facts(audited, 1.0, 0.05)["faults_yuan"][0] is None


def first_to_mend(audited, t=T) -> list[str]:
    """The step of the summary, said: request, gain, how."""
    read = SimpleNamespace(files=[])
    facts = {name: {"value": value} for name, (value, _, _) in views.facts(audited, read).items()}
    [(request, gain, how, values)] = views.first_steps(facts, audited.results, t)
    values = values | {name: fact["value"] for name, fact in facts.items()}
    return [
        t.say(part, **{name: values[name] for name, _ in fields(part)}) if part else "" for part in (request, gain, how)
    ]


def test_the_dearest_fault_is_to_be_mended_first(audit_of):
    """Three cars have no date of purchase, which costs 90 yuan; two phones are missing, one of which costs 100."""
    cars = [car | {"purchased_on": "2020-05-05" if car["customer_id"] == "C2" else None} for car in GIVEN["vehicles"]]
    audited = audit_of(GIVEN | {"vehicles": cars}, asked=date(2026, 6, 30), **VALUE)
    request, gain, how = first_to_mend(audited)
    assert request == "Mend the fault that costs most: Customers, Phone" and gain == T.value(100, "yuan")
    worst = audited.results.set_index("check").loc["customers.phone_filled"]
    assert audited.results["failed"].max() > worst["failed"], "others are more frequent"
    assert how.startswith(f"{worst['failed']} rows: {T.text(worst['message'])}. Ask for the number at the next contact")
    assert answers.costs(audited, T)["cost_yuan"][0] == 100, "as the page of the audit shows"


def test_without_prices_the_gravest_fault_is_first_and_of_these_the_most_frequent(audit_of):
    """Three visits without a day, two of no car: they are kept out. Four phones that are missing are but a warning."""
    people = [{"customer_id": f"C{n}", "name": "王伟"} for n in range(1, 5)]
    bad = [{"order_id": f"B{n}", "vin": vin(n), "customer_id": f"C{n}", "opened_at": "soon"} for n in (1, 2, 3)]
    none = [VISIT | {"order_id": f"N{n}", "customer_id": f"C{n}"} for n in (1, 2)]
    given = GIVEN | {"customers": people, "service_orders": [*GIVEN["service_orders"], *bad, *none]}
    audited = audit_of(given, asked=date(2026, 6, 30))
    request, gain, how = first_to_mend(audited)
    assert request == "Mend the most frequent of the gravest faults: Workshop visits, Opened at" and gain == ""
    assert how.startswith("3 rows: ")
    said = first_to_mend(audited, Translator("zh"))
    assert not re.search("[a-z]{4}", " ".join(said)) and "3" in said[2]


def test_where_nothing_fails_nothing_is_to_be_mended(audited):
    facts = {"top_fault_check": {"value": ""}, "top_fault_yuan": {"value": None}}
    assert views.first_steps(facts, audited.results, T) == []


def test_every_check_that_costs_is_one_of_the_kit(demo):
    from dealerkit import tables
    from dealerkit.audit.checks import built_in
    from dealerkit.params import CheckParams

    kit = {c.id for t in tables.TABLES.values() for c in built_in(t, date(2026, 6, 30), CheckParams())}
    assert cost.UNREACHABLE | cost.MISPLACED <= kit


@pytest.mark.parametrize(
    "health, usable, level",
    [(96, 0.99, "yes"), (96, 0.96, "with_care"), (89, 0.99, "with_care"), (80, 0.85, "no"), (50, 1.0, "no"), (99, None, "no")],
)  # fmt: skip
def test_trust_asks_for_health_and_usable_rows(health, usable, level):
    assert answers.trust_level(health, usable) == level
    assert "{health_score:score}" in answers.headline(level)


def report(day: str, health: float, tables: dict) -> dict:
    return {"as_of": day, "facts": {"health_score": health, "table_scores": tables}}


def test_the_trend_is_that_of_the_reports_before(audited):
    earlier = [report("2026-04-30", 80.0, {}), report("2026-05-31", 85.5, {})]
    rows = answers.trend(earlier, date(2026, 6, 30), 90.0)
    assert [str(day.date()) for day in rows["as_of"]] == ["2026-04-30", "2026-05-31", "2026-06-30"]
    assert rows["health"].tolist() == [80.0, 85.5, 90.0]
    assert len(answers.trend([], date(2026, 6, 30), 90.0)) == 1


def test_scores_that_moved_are_shown_the_furthest_first(audited):
    now = audited.scores.set_index(["table", "dimension"])["score"]
    before = {"customers": {"completeness": now["customers", "completeness"] - 5}, "vehicles": {"completeness": now["vehicles", "completeness"] + 9}}  # fmt: skip
    moved = answers.since([report("2026-05-31", 85.5, before)], audited, T)
    assert moved[["table", "step"]].values.tolist() == [
        ["Vehicles", pytest.approx(-9)],
        ["Customers", pytest.approx(5)],
    ]
    assert answers.since([], audited, T).empty


def test_the_weakest_table_stands_for_each_dimension(audited):
    shown = answers.by_dimension(audited, T)
    assert shown["score"].tolist() == [audited.scores.query("dimension == @d")["score"].min() for d in answers.DIMENSIONS if d in set(audited.scores["dimension"])]  # fmt: skip
