"""The factors: a dealer small enough to work out by hand, no look into the future, and every corner without a failure."""

from __future__ import annotations

import random
from datetime import date, timedelta
from statistics import fmean, pstdev

import pandas as pd
import pytest
from dealerkit import factors, identity
from dealerkit.factors import CAR_FACTORS, CLASSES, PERSON_FACTORS, UNITS, views
from dealerkit.factors.declared import NAME, WINDOWS
from dealerkit.params import Params
from dealerkit.report.translate import Translator

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
            "customer_id customer_type name gender birth_date phone created_on member_level points marketing_consent occupation income_band source_channel residential_area email address employer credit_grade service_level lifestyle account_manager_id region",
            ("A", "person", "张三", "m", "1986-07-01", "13800000001", "2020-01-01", "gold", 120, "yes", "nurse", "low", "web", "Pine", "a@b.cn", None, "Blue", "B", "VIP", "family", "M1", "North"),
            ("B", "company", "ACME", None, None, None, "2024-01-10", None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
            ("C", "person", "李四", "f", "1986-06-30", "13800000003", None, None, None, "no", None, None, None, None, None, "Old Dock 1", "Blue", None, None, None, None, None),
        ),
        "vehicles": rows(
            "vin customer_id series energy_type list_price_yuan purchased_on sold_here warranty_ends_on insurance_ends_on warranty_km finance_ends_on purchase_price_yuan",
            (V1, "A", "Alpha", "ice", 200000, "2021-06-30", "yes", "2024-06-30", "2026-07-30", 100000, None, 180000),
            (V2, "A", "Beta", "bev", 300000, "2025-06-30", "no", "2028-06-30", None, 120000, "2027-06-30", 280000),
            (V3, "B", "Alpha", None, None, None, None, None, None, None, None, None),
        ),
        "contacts": rows("contact_id customer_id vin role", ("K1", "A", V1, "household")),
        "sales_orders": rows(
            "order_id customer_id vin delivered_on price_yuan trade_in_vin discount_yuan accessories_yuan payment promotion",
            ("B1", "A", V1, "2021-06-30", 180000, None, 20000, 3000, "cash", None),
            ("B2", "A", V2, "2025-06-30", 280000, V4, None, None, "loan", "fair"),
        ),
        "service_orders": rows(
            "order_id vin customer_id opened_at settled_at odometer_km order_type labour_yuan parts_yuan discount_yuan total_yuan payer_kind booked wait_minutes is_comeback adviser_id brought_by",
            ("R1", V1, "A", "2021-12-27 09:00", "2021-12-27", 5000, "maintenance", None, None, None, 500, "customer", None, 90, None, "E1", None),
            ("R2", V1, "A", "2024-07-01 09:00", "2024-07-02 09:00", 30000, "maintenance", None, None, None, 100, "customer", "yes", None, None, "E1", "Z"),
            ("R3", V1, None, "2025-06-30 09:00", "2025-06-30", 28000, "repair", 200, 100, None, 300, "warranty", None, None, "yes", "E2", "Z"),
            ("R4", V2, "A", "2026-03-22 14:00", "2026-03-22", 3000, "maintenance", 400, 650, 50, 1000, "customer", "yes", 60, "no", "E2", "W"),
            ("R5", V2, "A", "2026-06-10 09:00", "2026-06-10", 4000, "accident", None, None, None, 200, "insurer", "no", 30, None, None, "W"),
            ("R6", V2, "A", "2026-07-05 09:00", "2026-07-05", 9999, "warranty", 1, 1, 1, 9999, "customer", "yes", 999, "yes", "E3", "Q"),
            ("R7", V3, "B", "2025-07-01 09:00", "2025-07-01", 100, "inspection", None, None, None, None, None, None, None, None, None, None),
        ),
        "service_lines": rows(
            "order_id line_no item_name kind amount_yuan status hours",
            ("R5", 1, "tyre", "part", 100, "declined", 1), ("R5", 2, "oil", "part", 50, "postponed", None), ("R5", 3, "wash", "labour", 20, "done", 0.5),
            ("R1", 1, "oil", "part", 70, "declined", None), ("R6", 1, "oil", "part", 900, "declined", 9),
            # The brake declined on the first car was done there a year later; the tyre was not.
            ("R2", 1, "brake", "part", 300, "declined", None), ("R3", 1, "brake", "part", 310, None, None), ("R3", 2, "tyre", "part", 100, "done", None),
        ),
        "interactions": rows(
            "interaction_id customer_id lead_id at kind score channel seconds outcome",
            ("I1", "A", None, "2026-06-01 10:00", "complaint", None, "phone", 60, "open"), ("I2", "A", None, "2026-01-01 10:00", "care_call", None, "phone", 30, None),
            ("I3", "A", None, "2025-01-01 10:00", "survey", 8, "wechat", None, None), ("I4", "A", None, "2025-12-31 10:00", "survey", 6, "wechat", None, None),
            ("I5", "A", None, "2021-12-31 10:00", "survey", 1, None, None, None), ("I6", "A", None, "2026-07-31 10:00", "survey", 10, "app", 9, None),
            # Made as a lead, before the customer had a number.
            ("I7", None, "L1", "2024-01-01 10:00", "showroom_visit", None, "store", None, None),
        ),
        "campaigns": rows(
            "campaign_id customer_id assigned_on arm responded_on revenue_yuan",
            ("X", "A", "2026-02-01", "treated", "2026-02-10", 500), ("Y", "A", "2025-03-01", "treated", "2026-08-01", 900), ("Z", "A", "2026-01-01", "control", None, None),
        ),
        "leads": rows(
            "lead_id customer_id created_at source first_contact_at closed_at lost_reason",
            ("L1", "A", "2023-12-31 10:00", "web", "2024-01-02 10:00", "2024-01-05 10:00", None),
            ("L2", "A", "2025-05-01 10:00", "web", "2025-05-01 12:00", "2025-06-01 10:00", "price"),
            ("L3", "A", "2026-06-01 10:00", "fair", None, None, None),
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


#: Days between the visits of A up to the day.
GAPS = (917, 364, 265, 80)
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
    # what was added to the library later
    "source_channel": "web", "residential_area": "Pine", "region": "North", "is_driver": 0, "is_payer": 0, "household_persons_count": 1, "contact_persons_count": 1, "credit_grade": "B", "service_level": "VIP", "lifestyle": "family",
    "has_email": 1, "has_address": 0, "has_account_manager": 1, "profile_filled_share": 7 / 8, "has_employer": 1, "colleagues_count": 1,
    "visits_count_3m": 1, "visits_count_6m": 2, "visits_count_36m": 4, "spend_yuan_6m": 1200, "spend_yuan_last": 200, "insurer_paid_share_24m": 200 / 1600,
    "warranty_paid_share_24m": 300 / 1600, "discounted_visits_share_24m": 0.25, "labour_hours_24m": 0.5, "order_kinds_count_24m": 3, "accessory_count_24m": 0,
    "weekend_share_24m": 0.25, "morning_share_24m": 0.75, "winter_share_36m": 0, "summer_share_36m": 0.75, "spend_trend_ratio": 3,
    "interval_days_last": 80, "interval_days_max": 917, "interval_variation_ratio": pstdev(GAPS) / fmean(GAPS), "visits_count_per_year": 5 * 365.25 / 1646,
    "purchase_days_ago": 365, "purchase_interval_days_mean": 1461, "purchase_discount_share_all": 20 / 480, "purchase_accessories_yuan_all": 3000,
    "credit_purchase_share_all": 0.5, "promotion_share_all": 0.5, "series_newest": "Beta", "price_to_list_ratio": 0.92, "warranty_km_left_max": 116000,
    "under_warranty_share": 0.5, "finance_days_left_max": 365, "maintenance_days_ago": 100,
    # The first car was serviced at 30,000 km, and drives 7,500 km a year; of the second it is 100 days since.
    "since_service_km_max": 7495, "service_overdue_days_max": 729 - 365,
    "maintenance_count_12m": 1, "repair_count_12m": 0, "inspection_count_24m": 0, "accident_yuan_24m": 200, "repeat_visit_share_24m": 0, "settle_hours_mean_24m": 6,
    "declined_share_24m": 3 / 6, "declined_open_yuan_24m": 150, "declined_back_share_24m": 1 / 3, "advisers_count_24m": 2, "same_adviser_share_24m": 2 / 3,
    "other_bringer_share_24m": 1 / 3, "contacts_count_3m": 1, "channels_count_12m": 2, "contact_channel_last": "phone", "call_seconds_mean_12m": 45,
    "enquiries_count_12m": 0, "complaints_count_all": 1, "complaint_days_ago": 29, "complaints_open_count": 1, "surveys_count_24m": 2, "survey_score_trend": -2,
    "digital_count_12m": 0, "events_count_24m": 0, "showroom_visits_count_12m": 0, "test_drives_count_12m": 0, "rival_visits_count_24m": 0, "interest_days_ago": 911,
    "campaign_days_ago": 149, "campaign_response_days_mean_24m": 9, "campaign_yuan_24m": 500, "leads_count_24m": 2, "lead_days_ago": 29, "lead_source_last": "fair",
    "lead_contact_hours_mean_24m": 2, "leads_open_count": 1, "leads_lost_count_24m": 1,
}  # fmt: skip
#: A year before: three visits, the second car bought that day, nothing that is only known at delivery.
A_BEFORE = {
    "age_years": 38, "tenure_days": 2007, "records_count": None, "member_level": None, "points_count": None, "consents_to_marketing": None, "is_reachable": None,
    "visits_count_12m": 2, "visits_count_24m": 2, "visits_count_all": 3, "spend_yuan_12m": 400, "spend_yuan_all": 900, "recency_days": 0,
    "purchases_count_all": 2, "cars_count": 2, "vehicle_age_months_min": 0, "warranty_days_left_max": 1096, "insurance_days_left_min": None,
    "interval_days_median": (917 + 364) / 2, "complaints_count_12m": 0, "survey_score_last": 8, "campaigns_count_12m": 1, "campaign_response_share_24m": 0,
    "declined_count_12m": 1, "odometer_km_per_year": 7500,
    "source_channel": "web", "credit_grade": None, "has_email": None, "colleagues_count": None, "visits_count_3m": 1, "visits_count_36m": 2, "spend_yuan_last": 300,
    "interval_days_last": 364, "interval_variation_ratio": None, "purchase_interval_days_mean": 1461, "series_newest": "Beta", "maintenance_days_ago": 364,
    "since_service_km_max": 0, "service_overdue_days_max": -1, "declined_open_yuan_24m": 0, "declined_back_share_24m": 1, "complaints_open_count": None,
    "campaign_yuan_24m": 0, "campaign_response_days_mean_24m": None, "leads_count_24m": 2, "lead_source_last": "web", "leads_open_count": 0, "leads_lost_count_24m": 1,
    "survey_score_trend": 7, "contact_channel_last": "wechat", "interest_days_ago": 546,
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
    assert len(set(declared)) == len(declared) >= 120
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


@pytest.mark.parametrize("f", [*PERSON_FACTORS, *CAR_FACTORS], ids=lambda f: f.name)
def test_every_name_tells_unit_and_window(f, worked):
    """``<what>_<unit>[_<how>][_<window>]``; a state that is true or not, and a text, have no unit in their name."""
    assert f.unit in UNITS and f.window in WINDOWS
    if f.unit not in ("flag", "text"):
        assert NAME.fullmatch(f.name)
        tokens = [token for token in f.name.split("_") if token in UNITS]
        # A unit is named once, but for what a share, ratio or score is of.
        assert tokens[-1] == f.unit or tokens == [f.unit]
    if f in PERSON_FACTORS:
        known = worked[0][f.name].dropna()
        assert {isinstance(value, str) for value in known} <= {f.unit == "text"}
        if f.unit == "flag":
            assert set(known.astype(float)) <= {0, 1}
    # A window is told in the formula as well.
    days = {"3m": "91 days", "6m": "182 days", "12m": "365 days", "24m": "730 days", "36m": "1,095 days"}
    if f.window in days:
        assert f"{f.window[:-1]} months" in f.formula or days[f.window] in f.formula


def test_the_dictionary_tells_unit_and_window_in_words():
    made_ = factors.dictionary(None, Translator("en")).query("table == 'person_factors'").set_index("factor")
    told = made_.loc[["spend_yuan_24m", "recency_days", "member_level", "survey_score_last"], ["unit", "window"]]
    assert told.to_numpy().tolist() == [["yuan", "24 months"], ["days", "at the origin"], ["text", "at the origin"], ["score, 0–10", "latest"]]  # fmt: skip


# -- a crowd (that nobody looks into the future: test_factor_leaks) --------------------------------------------------


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


def test_value_is_expected_of_the_crowd(crowded):
    for origin in (BEFORE, DAY):
        known = factors.at(crowded[0], origin)[VALUE].dropna()
        assert len(known) > 30
        assert known["alive_probability"].between(0, 1).all() and (known >= 0).all().all()


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
