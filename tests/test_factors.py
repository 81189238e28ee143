"""The factors: a dealer small enough to work out by hand, no look into the future, and every corner without a failure."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pandas as pd
import pytest
from dealerkit import factors, identity, tables
from dealerkit.factors import CAR_FACTORS, CLASSES, PERSON_FACTORS, views
from dealerkit.params import Params

DAY, BEFORE = date(2026, 6, 30), date(2025, 6, 30)
V1, V2, V3, V4 = (f"LSVAA408{i}E200000{i}" for i in (1, 2, 3, 4))
PARAMS = Params(dealer="x", display_name="X")
VALUE = ["expected_visits_count", "alive_probability", "expected_yuan_per_visit", "clv_yuan"]


def rows(columns: str, *values: tuple) -> list[dict]:
    names = columns.split()
    return [{n: None if v is None else str(v) for n, v in zip(names, row)} for row in values]


def dealer() -> dict[str, list[dict]]:
    """A holds two cars and came five times up to the day, B is a company with a car and one visit, C never came."""
    return {
        "customers": rows(
            "customer_id customer_type name gender birth_date phone created_on member_level points marketing_consent occupation income_band",
            ("A", "person", "张三", "m", "1986-07-01", "13800000001", "2020-01-01", "gold", 120, "yes", "nurse", "low"),
            ("B", "company", "ACME", None, None, None, "2024-01-10", None, None, None, None, None),
            ("C", "person", "李四", "f", "1986-06-30", "13800000003", None, None, None, "no", None, None),
        ),
        "vehicles": rows(
            "vin customer_id series energy_type list_price_yuan purchased_on sold_here warranty_ends_on insurance_ends_on",
            (V1, "A", "Alpha", "ice", 200000, "2021-06-30", "yes", "2024-06-30", "2026-07-30"),
            (V2, "A", "Beta", "bev", 300000, "2025-06-30", "no", "2028-06-30", None),
            (V3, "B", "Alpha", None, None, None, None, None, None),
        ),
        "sales_orders": rows(
            "order_id customer_id vin delivered_on price_yuan trade_in_vin",
            ("B1", "A", V1, "2021-06-30", 180000, None),
            ("B2", "A", V2, "2025-06-30", 280000, V4),
        ),
        "service_orders": rows(
            "order_id vin customer_id opened_at settled_at odometer_km order_type labour_yuan parts_yuan discount_yuan total_yuan payer_kind booked wait_minutes is_comeback",
            ("R1", V1, "A", "2021-12-27 09:00", "2021-12-27", 5000, "maintenance", None, None, None, 500, "customer", None, 90, None),
            ("R2", V1, "A", "2024-07-01 09:00", "2024-07-01", 30000, "maintenance", None, None, None, 100, "customer", "yes", None, None),
            ("R3", V1, None, "2025-06-30 09:00", "2025-06-30", 28000, "repair", 200, 100, None, 300, "warranty", None, None, "yes"),
            ("R4", V2, "A", "2026-03-22 09:00", "2026-03-22", 3000, "maintenance", 400, 650, 50, 1000, "customer", "yes", 60, "no"),
            ("R5", V2, "A", "2026-06-10 09:00", "2026-06-10", 4000, "accident", None, None, None, 200, "insurer", "no", 30, None),
            ("R6", V2, "A", "2026-07-05 09:00", "2026-07-05", 9999, "warranty", 1, 1, 1, 9999, "customer", "yes", 999, "yes"),
            ("R7", V3, "B", "2025-07-01 09:00", "2025-07-01", 100, "inspection", None, None, None, None, None, None, None, None),
        ),
        "service_lines": rows(
            "order_id line_no item_name kind amount_yuan status",
            ("R5", 1, "tyre", "part", 100, "declined"), ("R5", 2, "oil", "part", 50, "postponed"), ("R5", 3, "wash", "labour", 20, "done"),
            ("R1", 1, "oil", "part", 70, "declined"), ("R6", 1, "oil", "part", 900, "declined"),
        ),
        "interactions": rows(
            "interaction_id customer_id at kind score",
            ("I1", "A", "2026-06-01 10:00", "complaint", None), ("I2", "A", "2026-01-01 10:00", "care_call", None), ("I3", "A", "2025-01-01 10:00", "survey", 8),
            ("I4", "A", "2025-12-31 10:00", "survey", 6), ("I5", "A", "2021-12-31 10:00", "survey", 1), ("I6", "A", "2026-07-31 10:00", "survey", 10),
        ),
        "campaigns": rows(
            "campaign_id customer_id assigned_on arm responded_on",
            ("X", "A", "2026-02-01", "treated", "2026-02-10"), ("Y", "A", "2025-03-01", "treated", "2026-08-01"), ("Z", "A", "2026-01-01", "control", None),
        ),
    }  # fmt: skip


def made(clean_of, given: dict, origins=(BEFORE, DAY), as_of=DAY):
    """(panel of persons with the customer's number beside the person's id, panel of cars, persons) of a dealer."""
    connection, clean = clean_of(given)
    found = identity.identify(connection, clean, PARAMS, as_of)
    persons, records, cars = found.persons, found.records, found.cars
    panel = factors.person_factors(connection, clean, persons, records, cars, list(origins), as_of, PARAMS)
    who = found.records.drop_duplicates("person_id").set_index("person_id")["customer_id"]
    panel.insert(0, "who", panel["person_id"].map(who))
    car_panel = factors.car_panel(connection, clean, found.records, cars, panel, as_of).to_pandas()
    return panel, car_panel, found.persons


@pytest.fixture(scope="module")
def worked(clean_of):
    return made(clean_of, dealer())


def row(panel: pd.DataFrame, who: str, origin: date) -> pd.Series:
    return panel[(panel["who"] == who) & (pd.to_datetime(panel["origin"]) == pd.Timestamp(origin))].iloc[0]


A_NOW = {
    "age_years": 39, "is_female": 0, "is_company": 0, "tenure_days": 2372, "records_count": 1, "member_level": "gold", "points_count": 120,
    "consents_to_marketing": 1, "is_reachable": 1, "occupation": "nurse", "income_band": "low",
    "visits_count_12m": 2, "visits_count_24m": 4, "visits_count_all": 5, "spend_yuan_12m": 1200, "spend_yuan_24m": 1600, "spend_yuan_all": 2100,
    "yuan_per_visit_24m": 400, "customer_paid_share_24m": 1100 / 1600, "discount_share_24m": 50 / 1650, "parts_share_24m": 750 / 1350, "visits_trend_ratio": 1,
    "recency_days": 20, "interval_days_median": (364 + 265) / 2, "own_rhythm_ratio": 20 / 314.5, "first_visit_days_ago": 1646, "days_to_first_visit": 180,
    "purchases_count_all": 2, "purchase_yuan_all": 460000, "trade_ins_count_all": 1,
    "cars_count": 2, "vehicle_age_months_min": 11, "vehicle_age_months_max": 59, "new_energy_share": 0.5, "list_price_yuan_max": 300000, "sold_here_share": 0.5,
    "warranty_days_left_max": 731, "insurance_days_left_min": 30, "odometer_km_last": 30000, "odometer_km_per_year": (7500 + 4235) / 2,
    "maintenance_share_24m": 0.5, "repair_share_24m": 0.25, "accident_count_24m": 1, "warranty_count_24m": 0, "comeback_share_24m": 0.5, "booked_share_24m": 2 / 3,
    "wait_minutes_mean_12m": 45, "declined_count_12m": 2, "declined_yuan_12m": 150,
    "contacts_count_12m": 3, "complaints_count_12m": 1, "care_calls_count_12m": 1, "survey_score_last": 6, "survey_score_mean_24m": 7, "contact_days_ago": 29,
    "campaigns_count_12m": 1, "campaign_response_share_24m": 0.5,
}  # fmt: skip
#: A year before: three visits, the second car bought that day, nothing that is only known at delivery.
A_BEFORE = {
    "age_years": 38, "tenure_days": 2007, "records_count": None, "member_level": None, "points_count": None, "consents_to_marketing": None, "is_reachable": None,
    "visits_count_12m": 2, "visits_count_24m": 2, "visits_count_all": 3, "spend_yuan_12m": 400, "spend_yuan_all": 900, "recency_days": 0,
    "purchases_count_all": 2, "cars_count": 2, "vehicle_age_months_min": 0, "warranty_days_left_max": 1096, "insurance_days_left_min": None,
    "interval_days_median": (917 + 364) / 2, "complaints_count_12m": 0, "survey_score_last": 8, "campaigns_count_12m": 1, "campaign_response_share_24m": 0,
    "declined_count_12m": 0, "odometer_km_per_year": 7500,
}  # fmt: skip
#: A company with a car of unknown age and one visit without an amount.
B_NOW = {
    "age_years": None, "is_female": None, "is_company": 1, "tenure_days": 902, "is_reachable": 0, "consents_to_marketing": None, "visits_count_12m": 1,
    "visits_count_all": 1, "spend_yuan_12m": 0, "yuan_per_visit_24m": None, "customer_paid_share_24m": None, "parts_share_24m": None, "visits_trend_ratio": None,
    "recency_days": 364, "interval_days_median": None, "own_rhythm_ratio": None, "purchases_count_all": 0, "days_to_first_visit": None, "cars_count": 1,
    "vehicle_age_months_min": None, "new_energy_share": None, "booked_share_24m": None, "wait_minutes_mean_12m": None, "contacts_count_12m": 0, "contact_days_ago": None,
}  # fmt: skip


@pytest.mark.parametrize("who, origin, expected", [("A", DAY, A_NOW), ("A", BEFORE, A_BEFORE), ("B", DAY, B_NOW)], ids=["A now", "A a year before", "B now"])  # fmt: skip
def test_factors_worked_by_hand(worked, who, origin, expected):
    got = row(worked[0], who, origin)
    wrong = {}
    for name, value in expected.items():
        same = pd.isna(got[name]) if value is None else not pd.isna(got[name]) and got[name] == (pytest.approx(value, abs=1e-8) if not isinstance(value, str) else value)  # fmt: skip
        if not same:
            wrong[name] = (got[name], value)
    assert not wrong


def test_the_hand_worked_row_holds_every_factor_but_the_fitted_ones():
    assert set(A_NOW) == {f.name for f in PERSON_FACTORS} - set(VALUE)


def test_who_was_not_yet_seen_has_no_row(worked):
    panel = worked[0]
    seen = {(r.who, pd.Timestamp(r.origin).date()) for r in panel.itertuples()}
    # C has no date at all: known at delivery only
    assert seen == {("A", BEFORE), ("B", BEFORE), ("A", DAY), ("B", DAY), ("C", DAY)}
    c = row(panel, "C", DAY)
    assert (c["age_years"], c["is_female"], c["visits_count_all"], c["cars_count"]) == (40, 1, 0, 0)
    assert pd.isna(c["recency_days"]) and pd.isna(c["tenure_days"]) and c["spend_yuan_all"] == 0


def test_cars_worked_by_hand(worked):
    cars = factors.at(worked[1], DAY).set_index("vin")
    names = [f.name for f in CAR_FACTORS]
    assert list(worked[1].columns) == ["person_id", "vin", "origin", "series", "energy_type", *names]
    unknown = pytest.approx(float("nan"), nan_ok=True)
    assert cars.loc[V1, names].astype(float).to_dict() == {
        "vehicle_age_months": 59, "warranty_days_left": -730, "sold_here": 1, "visits_count_12m": 0, "visits_count_24m": 2, "visits_count_all": 3,
        "services_count_all": 2, "spend_yuan_12m": 0, "spend_yuan_24m": 400, "customer_paid_share_24m": 0.25, "discount_share_24m": 0,
        "recency_days": 365, "first_visit_days_ago": 1646, "interval_days_median": (917 + 364) / 2, "own_rhythm_ratio": pytest.approx(365 / 640.5, abs=1e-8),
        "odometer_km_last": 30000, "odometer_km_per_year": 7500, "last_was_maintenance": 0, "maintenance_share_24m": 0.5, "comeback_share_24m": 1,
        "wait_minutes_mean_12m": unknown, "declined_count_12m": 0, "complaints_count_12m": 1,
    }  # fmt: skip
    assert cars.loc[V2, ["vehicle_age_months", "visits_count_12m", "recency_days", "sold_here", "declined_count_12m", "last_was_maintenance"]].to_list() == [11, 2, 20, 0, 2, 0]  # fmt: skip
    assert cars.at[V2, "spend_yuan_12m"] == 1200 and cars.at[V2, "discount_share_24m"] == pytest.approx(50 / 1250)
    assert pd.isna(cars.at[V3, "vehicle_age_months"]) and cars.at[V3, "visits_count_all"] == 1


def test_cars_of_an_earlier_day_are_those_met_by_then(worked):
    before = factors.at(worked[1], BEFORE).set_index("vin")
    # The second car is sold here that day; the company's comes the day after.
    assert sorted(before.index) == [V1, V2]
    names = ["vehicle_age_months", "sold_here", "visits_count_all", "recency_days", "spend_yuan_12m", "last_was_maintenance"]  # fmt: skip
    assert before.loc[V1, names].to_list() == [48, 1, 3, 0, 400, 0]
    assert before.loc[V2, ["vehicle_age_months", "sold_here", "visits_count_all", "declined_count_12m"]].to_list() == [0, 1, 0, 0]  # fmt: skip
    assert before.loc[V2, ["recency_days", "odometer_km_last", "interval_days_median"]].isna().all()


def test_a_car_goes_to_whom_it_was_sold_and_goes_away_when_traded_in(clean_of):
    given, early, late = dealer(), date(2024, 1, 1), date(2025, 12, 31)
    given["sales_orders"] += rows(
        "order_id customer_id vin delivered_on price_yuan trade_in_vin",
        # V1 is taken back from A, and sold on to B a month later; the register knows B only.
        ("B3", "A", V4, "2025-08-01", 1000, V1), ("B4", "B", V1, "2025-09-01", 500, None),
    )  # fmt: skip
    given["vehicles"][0] |= {"customer_id": "B", "purchased_on": "2025-09-01"}
    panel, cars, _ = made(clean_of, given, [early, BEFORE, date(2025, 8, 15), late, DAY])
    name = panel.drop_duplicates("person_id").set_index("person_id")["who"]
    holders = cars[cars["vin"] == V1].set_index("origin")["person_id"].map(name)
    assert holders.to_dict() == {pd.Timestamp(d): who for d, who in ((early, "A"), (BEFORE, "A"), (late, "B"), (DAY, "B"))}  # fmt: skip
    ages = cars[cars["vin"] == V1].set_index("origin")["vehicle_age_months"].sort_index()
    assert ages.isna().tolist() == [True, True, False, False], "the purchase is B's, and later"


def test_each_car_has_the_row_of_its_person_and_each_once(crowded):
    panel, cars, _ = crowded
    assert not cars.duplicated(["vin", "origin"]).any()
    pairs = cars[["person_id", "origin"]].merge(panel[["person_id", "origin"]], how="left", indicator=True)
    assert (pairs["_merge"] == "both").all()
    assert cars.groupby("origin").size().gt(30).all()


# -- declarations -------------------------------------------------------------------------------------------------


def test_each_declared_factor_is_produced_and_no_other(worked):
    declared = [f.name for f in PERSON_FACTORS]
    assert list(worked[0].columns) == ["who", "person_id", "origin", *declared]
    assert len(set(declared)) == len(declared) >= 40
    unfilled = [name for name in declared if worked[0][name].isna().all()]
    assert set(unfilled) <= set(VALUE), "nobody's, though the dealer has the columns"


def test_factors_are_documented():
    made_ = factors.dictionary()
    assert len(made_) == len(PERSON_FACTORS) + len(CAR_FACTORS)
    for f in (*PERSON_FACTORS, *CAR_FACTORS):
        assert f.klass in CLASSES and f.label and f.formula
    assert {f.klass for f in PERSON_FACTORS} == set(CLASSES)
    labels = [f.label for f in PERSON_FACTORS]
    assert len(labels) == len(set(labels))


# -- no look into the future --------------------------------------------------------------------------------------


def crowd() -> dict[str, list[dict]]:
    """The dealer with 60 more customers who come now and then, enough to fit the value of a customer."""
    given, rng = dealer(), random.Random(5)
    for i in range(60):
        vin, bought = f"LSVAA4085E21{i:05d}", date(2022, 1, 1) + timedelta(days=rng.randrange(700))
        given["customers"] += rows("customer_id customer_type name phone gender member_level points", (f"D{i}", "person", f"无{i}", f"137000000{i:02d}", "f", "blue", i))  # fmt: skip
        given["vehicles"] += rows("vin customer_id purchased_on energy_type insurance_ends_on odometer_km", (vin, f"D{i}", bought, "ice", "2026-12-31", 9))  # fmt: skip
        day = bought
        for j in range(rng.randrange(1, 9)):
            day += timedelta(days=rng.randrange(60, 400))
            given["service_orders"] += rows("order_id vin opened_at total_yuan odometer_km", (f"D{i}-{j}", vin, f"{day} 10:00", rng.randrange(100, 3000), 100 * j))  # fmt: skip
    return given


@pytest.fixture(scope="module")
def crowded(clean_of):
    return made(clean_of, crowd())


def same_before(given: tuple, other: tuple) -> None:
    """Factors of persons and of cars at the earlier origin are the same."""
    for kind, key in ((0, "who"), (1, "vin")):
        a, b = (factors.at(p[kind], BEFORE).sort_values(key, ignore_index=True).astype(object) for p in (given, other))
        assert len(a) > 30
        # as objects: the type of a column follows from all origins together
        pd.testing.assert_frame_equal(a.where(a.notna(), None), b.where(b.notna(), None))


def test_value_is_expected_of_the_crowd(crowded):
    for origin in (BEFORE, DAY):
        known = factors.at(crowded[0], origin)[VALUE].dropna()
        assert len(known) > 30
        assert known["alive_probability"].between(0, 1).all() and (known >= 0).all().all()


def test_events_after_an_origin_change_nothing_at_it(clean_of, crowded):
    given = crowd()
    later = "2025-07-01"
    given["service_orders"] += rows("order_id vin customer_id opened_at total_yuan odometer_km order_type", *[(f"F{i}", V1, w, f"{later} 0{i}:00", 77777, 999999, "accident") for i, w in enumerate(["A", "B", "D1"])])  # fmt: skip
    given["service_lines"] += rows(
        "order_id line_no item_name kind amount_yuan status", ("F0", 1, "x", "part", 999, "declined")
    )
    given["sales_orders"] += rows(
        "order_id customer_id vin delivered_on price_yuan trade_in_vin", ("F1", "A", V3, later, 1, V1)
    )
    given["interactions"] += rows("interaction_id customer_id at kind score", ("F1", "A", f"{later} 00:00", "survey", 0), ("F2", "B", f"{later} 00:00", "complaint", None))  # fmt: skip
    given["campaigns"] += rows(
        "campaign_id customer_id assigned_on arm responded_on", ("F", "A", later, "treated", later)
    )
    given["customers"] += rows("customer_id name phone created_on", ("F", "新客", "13600000000", later))
    given["vehicles"] += rows("vin customer_id purchased_on list_price_yuan", ("LSVAA4085E2900000", "B", later, 999999))
    changed = made(clean_of, given)
    panel = changed[0]
    same_before(crowded, changed)
    assert row(panel, "A", DAY)["visits_count_all"] == 6 and row(crowded[0], "A", DAY)["visits_count_all"] == 5


def test_the_state_at_delivery_is_not_served_at_earlier_origins(clean_of, crowded):
    given = crowd()
    changed = set()
    for name, table_rows in given.items():
        for column in tables.table(name).columns:
            # who holds a car is the link between tables, and known at delivery only
            if column.known_from != "export" or column.ref:
                continue
            for i, r in enumerate(table_rows):
                r[column.name] = other_value(column, i)
                changed.add(column.name)
    assert {
        "phone",
        "member_level",
        "points",
        "marketing_consent",
        "insurance_ends_on",
        "disposed_on",
        "odometer_km",
    } <= changed
    other = made(clean_of, given)
    same_before(crowded, other)
    assert row(other[0], "A", DAY)["member_level"] != "gold"


def other_value(column, i: int) -> str:
    if column.personal == "phone":
        return f"1580000{i:04d}" if column.name == "phone" else f"1590000{i:04d}"
    return {"date": "2026-06-01", "int": "77", "bool": "no"}.get(column.type, f"other {i}")


def test_origins_do_not_touch_one_another(clean_of, crowded):
    same_before(crowded, made(clean_of, crowd(), origins=[BEFORE]))


# -- laws ---------------------------------------------------------------------------------------------------------


def test_shares_lie_between_nothing_and_all(crowded):
    panel = crowded[0]
    for name in [f.name for f in PERSON_FACTORS if "_share" in f.name]:
        assert panel[name].dropna().between(0, 1).all(), name
    counts = panel[[f.name for f in PERSON_FACTORS if "_count_" in f.name]]
    assert (counts.dropna() >= 0).all().all()
    assert (panel["visits_count_12m"] <= panel["visits_count_24m"]).all() and (panel["visits_count_24m"] <= panel["visits_count_all"]).all()  # fmt: skip


def test_shares_of_tiers_sum_to_one(crowded):
    panel, _, persons = crowded
    owners = views.owners_of(persons, factors.at(panel, DAY))
    tiers = views.value_tiers(owners, PARAMS, None)
    assert list(tiers["persons"] > 0) == [True] * 3
    assert tiers["people_share"].sum() == pytest.approx(1, abs=1e-12)
    assert tiers["yuan_share"].sum() == pytest.approx(1, abs=1e-12)
    assert tiers["clv_yuan_mean"].is_monotonic_decreasing


# -- corners ------------------------------------------------------------------------------------------------------


def test_without_amounts_yuan_are_unknown_and_not_zero(clean_of):
    given = dealer()
    for order in given["service_orders"]:
        order |= dict.fromkeys(("total_yuan", "labour_yuan", "parts_yuan", "discount_yuan"))
    panel = made(clean_of, given)[0]
    paid = ["spend_yuan_12m", "spend_yuan_24m", "spend_yuan_all", "yuan_per_visit_24m", "customer_paid_share_24m", "discount_share_24m", "parts_share_24m", "expected_yuan_per_visit", "clv_yuan"]  # fmt: skip
    assert panel[paid].isna().all().all()
    assert row(panel, "A", DAY)["visits_count_all"] == 5


def test_visits_alone_are_enough(clean_of):
    full = dealer()
    given = {t: full[t] for t in ("customers", "vehicles", "service_orders")}
    panel = made(clean_of, given)[0]
    assert row(panel, "A", DAY)["visits_count_all"] == 5
    assert panel[["purchases_count_all", "complaints_count_12m", "declined_yuan_12m"]].isna().all().all(), (
        "not delivered is not zero"
    )


@pytest.mark.parametrize("case", ["one customer", "all equal", "nobody repeats", "nobody came"])
def test_corners_are_no_failure(clean_of, case):
    count = 1 if case == "one customer" else 12
    given = {
        "customers": rows("customer_id name", *[(f"C{i}", f"无{i}") for i in range(count)]),
        "vehicles": rows("vin customer_id purchased_on", *[(f"LSVAA4085E21{i:05d}", f"C{i}", "2024-01-01") for i in range(count)]),  # fmt: skip
        "service_orders": rows(
            "order_id vin customer_id opened_at total_yuan",
            *[
                (f"R{i}-{j}", f"LSVAA4085E21{i:05d}", f"C{i}", f"202{4 + j}-05-0{i % 9 + 1 if case == 'nobody repeats' else 5} 09:00", 500)
                for i in range(count) for j in range(0 if case == "nobody came" else 1 if case == "nobody repeats" else 2)
            ],
        ),
    }  # fmt: skip
    panel, cars, persons = made(clean_of, given)
    now = factors.at(panel, DAY)
    cars = factors.at(cars, DAY)
    assert len(now) == len(cars) == count
    owners = views.owners_of(persons, now)
    facts = views.facts(persons, now, cars, {"kept_apart": 0}, PARAMS)
    assert facts["owners_count"][0] == count
    tiers = views.value_tiers(owners, PARAMS, None)
    assert tiers.empty or tiers["people_share"].sum() == pytest.approx(1)
