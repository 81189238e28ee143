"""Factors of the dealer's own: worked by hand, without a look into the future, and every mistake named at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from dealerkit import factors, identity, params
from dealerkit.errors import UserErrors
from dealerkit.factors import CLASSES, views
from dealerkit.params import OwnFactorParams, Params
from dealerkit.report.translate import Translator
from pydantic import ValidationError

BEFORE, DAY = date(2025, 6, 30), date(2026, 6, 30)
V1, V2 = "LSVAA4081E2000001", "LSVAA4082E2000002"


def rows(columns: str, *values: tuple) -> list[dict]:
    return [{n: None if v is None else str(v) for n, v in zip(columns.split(), row)} for row in values]


def dealer() -> dict[str, list[dict]]:
    """A came four times up to the day and B once; the third order of A is settled a week after the earlier origin."""
    return {
        "customers": rows("customer_id name member_level created_on", ("A", "张三", "gold", "2020-01-01"), ("B", "李四", None, "2020-01-01")),
        "vehicles": rows("vin customer_id purchased_on", (V1, "A", "2020-01-01"), (V2, "B", "2020-01-01")),
        "service_orders": rows(
            "order_id vin customer_id opened_at settled_at order_type total_yuan fault",
            ("R1", V1, "A", "2023-07-01 09:00", "2023-07-01", "maintenance", "100.10", None),  # a Saturday, over 24 months before both
            ("R2", V1, None, "2024-08-03 09:00", "2024-08-03", "repair", "200.20", "noise"),  # a Saturday, by the car's holder
            ("R3", V1, "A", "2025-06-27 09:00", "2025-07-04", "repair", "400.40", None),  # a Friday
            ("R4", V1, "A", "2026-06-29 09:00", "2026-06-29", "maintenance", "800.80", None),  # a Monday
            ("R5", V2, "B", "2026-01-04 09:00", "2026-01-04", "inspection", None, None),  # a Sunday
        ),
        "service_lines": rows(
            "order_id line_no item_name kind status quantity amount_yuan",
            ("R2", 1, "Tyre change", "labour", None, 2, 50), ("R2", 2, "Tyre", "part", None, 2, 300), ("R3", 1, "Tyre change", "labour", "declined", 4, 60),
            ("R4", 1, "Winter tyre change", "labour", "done", 4, 70), ("R5", 1, "Oil", "part", None, 1, 10),
        ),
        "leads": rows(
            "lead_id customer_id created_at status closed_at lost_reason",
            ("L1", "A", "2025-01-01 10:00", "lost", "2025-03-01 10:00", "price"), ("L2", "A", "2025-06-01 10:00", "lost", "2025-08-01 10:00", "colour"),
        ),
        "campaigns": rows(
            "campaign_id customer_id assigned_on arm responded_on revenue_yuan",
            ("X", "A", "2025-06-01", "treated", "2025-06-20", 10), ("Y", "A", "2025-06-01", "treated", "2025-07-20", 20), ("Z", "A", "2025-06-01", "treated", None, None),
        ),
    }  # fmt: skip


def own(name: str, table: str | None = None, aggregate: str | None = None, of: str | None = None, where: str | None = None, months: int | None = None, **more):  # fmt: skip
    given = {
        "name": name,
        "label": name.replace("_", " "),
        "table": table,
        "aggregate": aggregate,
        "of": of,
        "where": where,
    }
    return {k: v for k, v in (given | {"window_months": months} | more).items() if v is not None}


def with_own(*given: dict) -> Params:
    return Params.model_validate({"dealer": "x", "display_name": "X", "own_factors": given})


def made(clean_of, given: dict, chosen: Params, origins=(BEFORE, DAY)) -> pd.DataFrame:
    """Factors of persons, the customer's number as index together with the origin."""
    connection, clean = clean_of(given)
    found = identity.identify(connection, clean, chosen, DAY)
    persons, records, cars = found.persons, found.records, found.cars
    panel = factors.person_factors(connection, clean, persons, records, cars, list(origins), DAY, chosen)
    who = found.records.drop_duplicates("person_id").set_index("person_id")["customer_id"]
    panel["who"] = panel["person_id"].map(who)
    panel["origin"] = pd.to_datetime(panel["origin"]).dt.date
    return panel.set_index(["who", "origin"]).sort_index()


UNKNOWN = float("nan")
#: Factor as in the params → its value for A a year before, A now, B a year before, B now.
WORKED = [
    (own("tyre_jobs_count_24m", "service_lines", "count", where="item_name ilike '%tyre%' and kind = 'labour' and coalesce(status, 'done') = 'done'", months=24), (1, 2, 0, 0)),
    (own("weekend_share", "service_orders", "share", "weekday(opened_at) >= 6"), (2 / 3, 0.5, UNKNOWN, 1)),
    (own("weekends_share_24m", "service_orders", "share", "weekday(opened_at) >= 6", months=24), (0.5, 1 / 3, UNKNOWN, 1)),
    # The third order is settled after the earlier origin: its amount is not known then.
    (own("repair_yuan", "service_orders", "sum", "total_yuan", "order_type = 'repair'"), (200.20, 600.60, 0, 0)),
    (own("mean_yuan", "service_orders", "mean", "total_yuan"), (150.15, 375.375, UNKNOWN, UNKNOWN)),
    (own("min_half", "service_orders", "min", "total_yuan / 2"), (50.05, 50.05, UNKNOWN, UNKNOWN)),
    (own("max_yuan_12m", "service_orders", "max", "total_yuan", months=12), (200.20, 800.80, UNKNOWN, UNKNOWN)),
    (own("days_in_max", "service_orders", "max", "days_between(opened_at, settled_at)"), (0, 7, UNKNOWN, 0)),
    (own("last_type", "service_orders", "last", "order_type"), ("repair", "maintenance", None, "inspection")),
    (own("last_was_cheap", "service_orders", "last", "total_yuan < 300"), (1, 0, UNKNOWN, UNKNOWN)),
    # A line knows its order; the second was open.
    (own("repair_tyres", "service_lines", "sum", "quantity", "order_type = 'repair' and kind = 'labour'"), (6, 6, 0, 0)),
    (own("noise_count", "service_orders", "count", where="fault = 'noise'"), (1, 1, 0, 0)),
    # The second lead was still open then; what became of any is only known from the export.
    (own("price_lost_count", "leads", "count", where="lost_reason = 'price'"), (1, 1, 0, 0)),
    (own("open_leads_count", "leads", "count", where="closed_at is null"), (1, 0, 0, 0)),
    (own("lost_leads_count", "leads", "count", where="status = 'lost'"), (0, 2, 0, 0)),
    (own("campaign_yuan", "campaigns", "sum", "revenue_yuan"), (10, 30, 0, 0)),
    (own("answer_share", "campaigns", "share", "responded_on is not null"), (1 / 3, 2 / 3, UNKNOWN, UNKNOWN)),
    (own("yuan_per_day", formula="spend_yuan_all / nullif(recency_days, 0)"), (300.30 / 3, 1501.50, UNKNOWN, 0)),
    (own("tyre_share", formula="tyre_jobs_count_24m / nullif(visits_count_24m, 0)"), (0.5, 2 / 3, UNKNOWN, 0)),
    (own("is_gold", formula="member_level = 'gold'"), (UNKNOWN, 1, UNKNOWN, UNKNOWN)),
    (own("frequency", formula="case when visits_count_all >= 3 then 'often' else 'seldom' end"), ("often", "often", "seldom", "seldom")),
    (own("is_often", formula="frequency = 'often' and last_type = 'repair'"), (1, 0, 0, 0)),
]  # fmt: skip


@pytest.fixture(scope="module")
def worked(clean_of):
    return made(clean_of, dealer(), with_own(*(factor for factor, _ in WORKED)))


@pytest.mark.parametrize("factor, expected", WORKED, ids=[factor["name"] for factor, _ in WORKED])
def test_worked_by_hand(worked, factor, expected):
    got = worked[factor["name"]].to_list()
    if any(isinstance(value, str) for value in expected):
        assert [None if pd.isna(value) else value for value in got] == list(expected)
    else:
        assert got == pytest.approx(list(expected), nan_ok=True, abs=1e-8)


def test_own_factors_follow_those_of_the_kit_and_change_none(worked, clean_of):
    plain = made(clean_of, dealer(), with_own())
    names = [f["name"] for f, _ in WORKED]
    assert [c for c in worked.columns if c not in names] == list(plain.columns)
    assert [c for c in worked.columns if c in names] == names
    pd.testing.assert_frame_equal(worked[list(plain.columns)], plain)


def test_nothing_after_an_origin_changes_a_factor_at_it(worked, clean_of):
    given = dealer()
    later = "2025-07-01"
    given["service_orders"] += rows("order_id vin customer_id opened_at order_type total_yuan fault", ("F", V1, "A", f"{later} 09:00", "repair", 9999, "noise"), ("G", V2, "B", f"{later} 09:00", "repair", 9999, "noise"))  # fmt: skip
    given["service_lines"] += rows("order_id line_no item_name kind quantity", ("F", 1, "Tyre change", "labour", 99), ("G", 1, "Tyre", "labour", 99))  # fmt: skip
    given["leads"] += rows("lead_id customer_id created_at status lost_reason", ("F", "A", f"{later} 09:00", "lost", "price"))  # fmt: skip
    given["campaigns"] += rows("campaign_id customer_id assigned_on responded_on revenue_yuan", ("F", "A", later, later, 9999))  # fmt: skip
    # What is only known at delivery, or written later, differs as well.
    given["customers"][0]["member_level"] = "blue"
    given["leads"][1] |= {"status": "won", "lost_reason": "price"}
    given["service_orders"][2]["total_yuan"] = "7777"
    given["campaigns"][1]["revenue_yuan"] = "7777"
    names = [f["name"] for f, _ in WORKED]
    changed = made(clean_of, given, with_own(*(f for f, _ in WORKED)))
    before, after = (p[names].xs(BEFORE, level="origin").astype(object) for p in (worked, changed))
    pd.testing.assert_frame_equal(before.where(before.notna(), None), after.where(after.notna(), None))
    now = (p[names].xs(DAY, level="origin") for p in (worked, changed))
    assert not next(now).equals(next(now))


def test_a_table_not_delivered_leaves_the_factor_empty_and_is_stated(clean_of):
    given = {t: r for t, r in dealer().items() if t != "leads"}
    chosen = with_own(own("leads_count", "leads", "count"), own("half", formula="leads_count / 2"), own("nobody_yuan", "service_orders", "sum", "labour_yuan"))  # fmt: skip
    panel = made(clean_of, given, chosen).reset_index()
    assert panel[["leads_count", "half", "nobody_yuan"]].isna().all().all()
    clean = dict.fromkeys(given)
    now = factors.at(panel, DAY)
    stated = views.gaps(now, now, chosen, clean, Translator("en"))
    assert [title for title, _, _ in stated][-3:] == ["leads count", "half", "nobody yuan"]
    assert "No Sales leads were delivered" in stated[-3][1]


# -- mistakes -----------------------------------------------------------------------------------------------------

MISTAKES = [
    (own("visits_count_12m", "service_orders", "count"), "own_factors.0.name = 'visits_count_12m': a factor of the kit has this name"),
    (own("sold_here", "service_orders", "count"), "a factor of the kit has this name"),
    (own("people_count", "customers", "count"), "own_factors.0.table (people_count) = 'customers': its rows are no dated events of a person; allowed: "),
    (own("a_yuan", "service_orders", "sum", "total_yaun"), "nearest: 'total_yuan'"),
    (own("a_yuan", "service_orders", "sum", "order_type"), "own_factors.0.of (a_yuan) is a text: sum needs a number"),
    (own("a_yuan", "service_orders", "mean", "booked"), "own_factors.0.of (a_yuan) is true or false: mean needs a number; use share"),
    (own("a_share", "service_orders", "share", "total_yuan"), "not a condition"),
    (own("a_count", "service_orders", "count", where="total_yuan"), "not a condition"),
    (own("a_day", "service_orders", "last", "settled_at"), "own_factors.0.of (a_day) is a date, not a factor"),
    (own("a_fault", "service_orders", "last", "upper(fault)"), "cannot hold the texts of fault: personal data"),
    (own("a_ratio", formula="spend_yuan_24 / 2"), "nearest: 'spend_yuan_24m'"),
    (own("a_ratio", formula="later_count / 2"), "later_count"),
    (own("a_count", "service_orders", "count", where="order_type = 'repairs'"), "repairs"),
    (own("a_count", "service_orders", "count", where="total_yuan >"), "own_factors.0.where"),
]  # fmt: skip


@pytest.mark.parametrize("factor, said", MISTAKES, ids=[str(i) for i in range(len(MISTAKES))])
def test_a_mistake_is_named_with_its_key_and_a_remedy(factor, said):
    with pytest.raises(UserErrors) as caught:
        factors.check_own(with_own(factor))
    assert len(caught.value.problems) == 1
    assert "own_factors.0" in caught.value.problems[0] and said in caught.value.problems[0]


def test_all_mistakes_are_named_at_once():
    chosen = with_own(
        own("age_years", "service_orders", "sum", "totl_yuan", "opend_at is null"),
        own("good_count", "service_orders", "count"),
        own("bad", formula="good_count / missing_one"),
    )
    with pytest.raises(UserErrors) as caught:
        factors.check_own(chosen)
    keys = [problem.split(":")[0].split(" ")[0] for problem in caught.value.problems]
    assert keys == ["own_factors.0.name", "own_factors.0.where", "own_factors.0.of", "own_factors.2.formula"]
    assert str(caught.value).startswith("params/x.yaml: 4 problems in own_factors")


@pytest.mark.parametrize(
    "given, said",
    [
        ([own("Bad Name", "service_orders", "count")], "should match pattern"),
        ([own("a_yuan", "service_orders", "sum")], "sum needs `of`"),
        ([own("a_count", "service_orders", "count", "total_yuan")], "count takes no `of`"),
        ([own("a_count", "service_orders")], "needs a table and an aggregate, or a formula"),
        ([own("a", "service_orders", "count", formula="age_years")], "has a formula and also table, aggregate"),
        ([own("a", formula="age_years"), own("a", formula="age_years")], "twice or more: a"),
        ([own("a", "service_order", "count")], "service_orders"),
        ([own("a", "service_orders", "median", "total_yuan")], "'count', 'share'"),
    ],
)
def test_the_shape_is_checked_with_the_params(given, said):
    with pytest.raises(ValidationError, match=said):
        with_own(*given)


def test_a_mistake_stops_before_anything_is_computed(clean_of):
    with pytest.raises(UserErrors, match="own_factors.0.of"):
        factors.person_factors(None, {}, None, None, None, [DAY], DAY, with_own(own("a", "service_orders", "sum", "x")))


# -- described ----------------------------------------------------------------------------------------------------


def test_own_factors_stand_in_the_dictionary_in_both_languages():
    pair = own("tyres", "service_lines", "share", "quantity > 1", "kind = 'labour'", 24, factor_class="vehicle")
    chosen = with_own(pair | {"label": {"en": "Tyres", "zh": "轮胎"}}, own("old", formula="age_years > 60"))
    for language, label in (("en", "Tyres"), ("zh", "轮胎")):
        found = factors.dictionary(chosen, Translator(language)).query("own").set_index("factor")
        assert list(found.index) == ["tyres", "old"]
        assert found.loc["tyres", "label"] == label
    assert (
        found.loc["tyres", "formula"]
        == "share(quantity > 1) from service_lines where kind = 'labour', window_months 24"
    )
    assert found.loc["old", "formula"] == "age_years > 60"
    assert not factors.dictionary()["own"].any()


def test_classes_that_an_own_factor_may_have_are_those_of_the_kit():
    allowed = OwnFactorParams.model_json_schema()["properties"]["factor_class"]["enum"]
    assert set(allowed) == set(CLASSES)


def test_the_own_factors_of_the_demo_are_filled(demo, demo_persons):
    chosen = params.load(Path(__file__).parents[1] / "params/demo.yaml")
    day, found = demo.audited.as_of.day, demo_persons
    panel = factors.person_factors(demo.connection, demo.audited.clean, found.persons, found.records, found.cars, [day], day, chosen)  # fmt: skip
    assert panel["tyre_jobs_count_24m"].sum() > 20
    assert panel["late_visits_share_24m"].between(0, 1).sum() > 100
    told = views.coverage(panel, chosen, Translator("en"))
    extra = [factor for table in chosen.extra_factors for factor in table.factors]
    assert told["factors"].sum() == len(factors.PERSON_FACTORS) + len(chosen.own_factors) + len(extra)
