"""Tags: every rule and its day worked by hand, thresholds that move, nothing from the future, tags of the dealer's own."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest
from dealerkit import factors, identity, tags
from dealerkit.errors import UserErrors
from dealerkit.factors import views as factor_views
from dealerkit.params import Params
from dealerkit.report.translate import Translator
from dealerkit.tags import views
from pydantic import ValidationError

DAY = date(2026, 6, 30)
V = {n: f"LSVAA4080E20000{n:02d}" for n in range(1, 20)}


def rows(columns: str, *values: tuple) -> list[dict]:
    return [{n: None if v is None else str(v) for n, v in zip(columns.split(), row, strict=True)} for row in values]


def phone(n: int) -> str:
    return f"138000011{n:02d}"


def dealer() -> dict[str, list[dict]]:
    """A comes often and spends much; B stayed away, cannot be reached and refused; C looks for a car; D is a company with
    five cars; E declined work, complained and had a come-back; F is new; G lost the rhythm; H sold the car; I bought
    twice; J drives and K pays for A's car."""
    return {
        "customers": rows(
            "customer_id customer_type name phone birth_date marketing_consent created_on",
            ("A", "person", "赵一", phone(1), "1980-06-15", "yes", "2024-01-05"),
            ("B", "person", "钱二", None, "1975-03-01", "no", "2019-01-01"),
            ("C", "person", "孙三", phone(3), None, None, "2026-05-10"),
            ("D", "company", "大海贸易有限公司", phone(4), None, "yes", "2022-01-01"),
            ("E", "person", "周五", phone(5), None, "yes", "2025-01-15"),
            ("F", "person", "吴六", phone(6), None, "yes", "2026-03-01"),
            ("G", "person", "郑七", phone(7), None, "yes", "2025-07-01"),
            ("H", "person", "王八一", phone(8), None, "yes", "2018-01-01"),
            ("I", "person", "冯九", phone(9), None, "yes", "2020-01-20"),
            ("J", "person", "陈十", phone(10), None, "yes", "2023-02-02"),
            ("K", "person", "褚十一", phone(11), None, "yes", "2023-02-03"),
        ),
        "vehicles": rows(
            "vin customer_id energy_type purchased_on sold_here warranty_ends_on insurance_ends_on finance_ends_on disposed_on",
            (V[1], "A", "bev", "2024-01-10", "yes", "2026-08-15", "2026-07-20", "2026-09-01", None),
            (V[2], "B", "ice", "2019-01-01", "yes", "2022-01-01", "2026-08-15", None, None),
            (V[3], "E", "ice", "2025-01-15", "yes", "2028-01-15", None, None, None),
            (V[4], "F", "ice", "2026-03-05", "yes", None, None, None, None),
            (V[5], "G", "ice", "2025-07-01", "yes", None, None, None, None),
            (V[6], "H", "ice", "2018-01-01", "yes", None, None, None, "2025-05-05"),
            (V[7], "I", "ice", "2020-02-01", "yes", None, None, None, None),
            (V[8], "I", "ice", "2024-06-01", "yes", None, None, None, None),
            *((V[10 + i], "D", "ice", f"{2022 + i}-01-01", "no", None, None, None, None) for i in range(5)),
        ),
        "sales_orders": rows(
            "order_id customer_id vin delivered_on trade_in_vin",
            ("S1", "I", V[7], "2020-02-01", None), ("S2", "I", V[8], "2024-06-01", V[7]), ("S3", "A", V[1], "2024-01-10", None),
        ),
        "service_orders": rows(
            "order_id vin customer_id opened_at settled_at odometer_km order_type total_yuan is_comeback",
            ("A1", V[1], "A", "2024-08-01 09:00", "2024-08-01", 5000, "maintenance", 2000, "no"),
            ("A2", V[1], "A", "2025-03-01 09:00", "2025-03-01", 10000, "repair", 2000, "no"),
            ("A3", V[1], None, "2025-11-01 09:00", "2025-11-01", 15000, "maintenance", 1500, "no"),
            ("A4", V[1], "A", "2026-05-01 09:00", "2026-05-01", 20000, "maintenance", 500, "no"),
            ("B1", V[2], "B", "2023-06-01 09:00", "2023-06-01", 98000, "repair", 100, "yes"),
            ("B2", V[2], "B", "2024-01-01 09:00", "2024-01-01", 101000, "maintenance", 100, "no"),
            ("E1", V[3], "E", "2025-08-10 09:00", "2025-08-10", None, "maintenance", 300, "no"),
            ("E2", V[3], "E", "2026-02-10 09:00", "2026-02-10", None, "maintenance", 300, "no"),
            ("E3", V[3], "E", "2026-04-01 09:00", "2026-04-01", None, "repair", 300, "yes"),
            ("G1", V[5], "G", "2025-08-01 09:00", "2025-08-01", None, "repair", 300, "no"),
            ("G2", V[5], "G", "2025-09-30 09:00", "2025-09-30", None, "repair", 300, "no"),
            ("G3", V[5], "G", "2025-11-29 09:00", "2025-11-29", None, "accident", 300, "no"),
        ),
        "service_lines": rows(
            "order_id line_no item_code item_name kind status amount_yuan",
            ("E1", 1, "B1", "Brake pads", "labour", "declined", 600), ("E1", 2, "F1", "Filter", "labour", "done", 90),
            ("E2", 1, "B1", "Brake pads", "labour", "postponed", 600), ("E2", 2, "W1", "Wipers", "labour", "declined", 80),
            ("E3", 1, "W1", "Wipers", "labour", "done", 80), ("B2", 1, "X1", "Battery", "part", "declined", 900),
        ),
        "leads": rows(
            "lead_id customer_id phone created_at status closed_at",
            ("L1", "C", phone(3), "2026-05-12 10:00", "following", None), ("L2", "C", phone(3), "2026-01-05 10:00", "lost", "2026-02-01 10:00"),
            ("L3", None, "13900000077", "2026-06-03 10:00", "new", None),
        ),
        "interactions": rows(
            "interaction_id customer_id lead_id at channel kind outcome score",
            ("N1", "C", None, "2026-05-20 10:00", "store", "test_drive", None, None),
            ("N2", "C", "L1", "2026-05-15 10:00", "store", "showroom_visit", None, None),
            ("N3", None, "L1", "2026-06-01 10:00", "store", "showroom_visit", None, None),
            ("N4", None, "L3", "2026-06-20 10:00", "store", "test_drive", None, None),
            ("N5", "E", None, "2026-04-05 10:00", "phone", "complaint", "Open", None),
            ("N6", "E", None, "2026-04-20 10:00", "phone", "complaint", "settled", None),
            ("N7", "E", None, "2026-04-10 10:00", "phone", "survey", None, 9), ("N8", "E", None, "2026-05-01 10:00", "phone", "survey", None, 6),
            ("N9", "A", None, "2026-05-02 10:00", "phone", "survey", None, 8), ("N0", "B", None, "2024-01-05 10:00", "phone", "complaint", "open", None),
        ),
        "campaigns": rows(
            "campaign_id customer_id assigned_on arm responded_on",
            ("X1", "A", "2026-01-01", "treated", "2026-01-10"), ("X2", "B", "2023-01-01", "treated", "2023-02-01"),
        ),
    }  # fmt: skip


def after(*key: int, days: int) -> str:
    return str(date(*key) + timedelta(days=days))


TODAY = str(DAY)
#: The data do not tell since when.
UNKNOWN = ""
#: Tag → who has it, and since when. Persons by customer number, cars by customer number and car.
EXPECTED: dict[str, dict[str, str]] = {
    "company": {"D": "2022-01-01"},
    "fleet": {"D": "2026-01-01"},
    "several_cars": {"D": "2023-01-01"},
    "large_household": {"A": UNKNOWN, "B": UNKNOWN, "J": UNKNOWN},
    "drives_for_others": {"J": "2025-01-01"},
    "pays_for_others": {"K": UNKNOWN},
    "prospect": {"C": "2026-05-10", "J": "2023-02-02", "K": "2023-02-03", "lead:L3": "2026-06-03"},
    "former_owner": {"H": "2025-05-05"},
    "birthday_month": {"A": "2026-06-01"},
    "new_customer": {"F": "2026-03-01", "G": "2025-07-01"},
    # Visits of A lie less than a year apart since the first; the car brought by nobody named is the holder's.
    "active": {"A": "2024-08-01", "E": "2025-08-10", "G": "2025-08-01"},
    "regular": {"A": "2026-05-01"},
    "high_spender": {"A": "2025-11-01"},
    "repeat_buyer": {"I": "2024-06-01"},
    "out_of_rhythm": {"G": after(2025, 11, 29, days=121)},
    "away": {"B": after(2024, 1, 1, days=366)},
    "never_came": {"D": "2022-01-01", "F": "2026-03-05", "I": "2024-06-01"},
    "new_energy": {"A 1": "2024-01-10"},
    "bought_elsewhere": {f"D {10 + i}": f"{2022 + i}-01-01" for i in range(5)},
    "warranty_ends": {"A 1": after(2026, 8, 15, days=-60)},
    "insurance_ends": {"A 1": after(2026, 7, 20, days=-45)},
    "finance_ends": {"A 1": after(2026, 9, 1, days=-90)},
    "replacement_age": {"B 2": after(2019, 1, 1, days=2344)},
    "high_mileage": {"B 2": "2024-01-01"},
    "car_gone": {"H 6": "2025-05-05", "I 7": "2024-06-01"},
    # B drives 101,000 km in 1,826 days, so that 10,000 km take 181; without an odometer 12 months count, from the purchase of
    # a car that was sold here. Nobody knows whether the cars of D were maintained where they were bought.
    "service_overdue": {"B 2": after(2024, 1, 1, days=241), "I 8": after(2024, 6, 1, days=425)},
    "service_due": {"G 5": after(2025, 7, 1, days=335)},
    "declined_work": {"E 3": "2025-08-10"},
    "come_back": {"E 3": "2026-04-01"},
    "accident": {"G 5": "2025-11-29"},
    "open_complaint": {"E": "2026-04-05"},
    "complained": {"E": "2026-04-20"},
    "low_survey": {"E": "2026-05-01"},
    "unreachable": {"B": UNKNOWN},
    "refused_marketing": {"B": UNKNOWN},
    "answers_campaigns": {"A": "2026-01-10"},
    "open_lead": {"C": "2026-05-12", "lead:L3": "2026-06-03"},
    "test_drive": {"C": "2026-05-20", "lead:L3": "2026-06-20"},
    "showroom": {"C": "2026-06-01"},
}  # fmt: skip
OWN = [
    {"name": "good", "label": {"en": "Good", "zh": "好客户"}, "holds_when": "spend_yuan_24m >= 6000 and visits_count_12m >= 2"},
    {"name": "not_company", "label": "Private", "holds_when": "is_company = 0 and member_level is null"},
]  # fmt: skip


def params(**given) -> Params:
    return Params.model_validate({"dealer": "x", "display_name": "X"} | given)


def tagged(clean_of, given: dict, chosen: Params, day: date = DAY, related: bool = True):
    """The tags of a dealer, and tag → {who and car: since}."""
    connection, clean = clean_of(given)
    found = identity.identify(connection, clean, chosen, day)
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, [day], day, chosen)
    now = factors.at(panel, day)
    who = found.records.drop_duplicates("person_id").set_index("person_id")["customer_id"]
    person = {number: key for key, number in who.items()}
    persons, relations = found.persons, None
    if related:
        home = persons["person_id"].map(lambda p: "H1" if who[p] in ("A", "B", "J") else None)
        persons = persons.assign(household_id=home)
        relations = pd.DataFrame(
            [
                (person["J"], person["A"], V[1], "driver", pd.Timestamp("2025-01-01")),
                (person["J"], person["A"], V[1], "driver", pd.Timestamp("2025-08-01")),
                (person["K"], person["A"], V[1], "payer", None),
                (person["A"], person["A"], V[1], "driver", pd.Timestamp("2024-08-01")),
            ],
            columns=["person_id", "other_person_id", "vin", "kind", "since"],
        )
    kinds, t = factors.kinds(chosen), Translator("en")
    made = tags.tags(connection, clean, persons, found.records, found.cars, now, kinds, chosen, day, t, relations)
    table, cars = made.rows.to_pandas(), {vin: n for n, vin in V.items()}
    got: dict[str, dict[str, str]] = {}
    for row in table.sort_values(["tag", "person_id", "vin"]).itertuples():
        key = who[row.person_id] + (f" {cars[row.vin]}" if isinstance(row.vin, str) else "")
        assert key not in got.setdefault(row.tag, {})
        got[row.tag][key] = "" if pd.isna(row.since) else str(row.since)[:10]
    return made, got


@pytest.fixture(scope="module")
def worked(clean_of):
    return tagged(clean_of, dealer(), params(own_tags=OWN))


@pytest.mark.parametrize("tag", EXPECTED)
def test_worked_by_hand(worked, tag):
    assert worked[1].get(tag, {}) == EXPECTED[tag]


def test_every_tag_of_the_kit_is_worked_and_can_be_told(worked):
    made, got = worked
    assert set(EXPECTED) == {tag.name for tag in tags.TAGS}
    assert len(tags.TAGS) >= 25
    assert made.untold == ()
    assert set(got) == set(EXPECTED) | {own["name"] for own in OWN}


def test_own_tags_hold_without_a_day(worked):
    table = worked[0].rows.to_pandas()
    assert worked[1]["good"] == {"A": UNKNOWN}
    assert worked[1]["not_company"].keys() == set("ABCEFGHIJK") | {"lead:L3"}
    own = table[table["own"]]
    assert set(own["tag"]) == {"good", "not_company"}
    assert set(own["rule"]) == {own["holds_when"] for own in OWN}
    assert own["vin"].isna().all()


def test_counts_are_those_of_the_rows(worked):
    table = worked[0].rows.to_pandas()
    counted = worked[0].counts.set_index("tag")
    assert counted["persons"].to_dict() == table.groupby("tag")["person_id"].nunique().to_dict()
    assert counted.loc["bought_elsewhere"].tolist() == [1, 5]
    assert list(worked[0].counts["tag"]) == [tag.name for tag in tags.TAGS] + ["good", "not_company"]


def test_a_rule_is_said_with_its_threshold_in_both_languages():
    chosen = params(tags={"warranty_days": 33}, classes={"spend_high_yuan_24m": 7777}, own_tags=OWN)
    said = {language: tags.catalogue(chosen, Translator(language)).set_index("tag") for language in ("en", "zh")}
    assert said["en"].loc["warranty_ends", "rule"] == "the warranty of a car in hand ends within 33 days"
    assert "33 天" in said["zh"].loc["warranty_ends", "rule"]
    assert "7,777" in said["en"].loc["high_spender", "rule"]
    assert said["zh"].loc["good", "label"] == "好客户"
    assert (
        not said["zh"]
        .loc[[tag.name for tag in tags.TAGS], ["label", "rule"]]
        .isin(said["en"][["label", "rule"]].stack())
        .any()
        .any()
    )


#: Thresholds moved → tags that change, with what they are then.
MOVED = {
    "tags": {"several_cars": 3, "household_persons": 4, "warranty_days": 40, "insurance_days": 20, "finance_days": 62,
             "service_months": 24, "service_km": 1000, "service_ahead_days": 0, "high_km": 90000, "accident_months": 6, "declined_months": 6,
             "complaint_months": 2, "open_outcomes": ["settled"], "response_months": 3},
    "classes": {"new_months": 6, "loyal_visits_24m": 5, "spend_high_yuan_24m": 2500, "rhythm_ratio": 4, "service_score": 8, "interest_months": 1},
    "windows": {"active_months": 6, "lost_months": 6},
    "churn": {"replacement_months": 60},
    "identity": {"fleet_cars": 6},
}  # fmt: skip
AFTER_MOVE = {
    "several_cars": {"D": "2024-01-01"},
    "fleet": {},
    "large_household": {},
    "warranty_ends": {},
    "insurance_ends": {"A 1": TODAY},
    "finance_ends": {},
    "high_mileage": {"B 2": "2023-06-01"},
    "accident": {},
    "declined_work": {"E 3": "2026-02-10"},
    "open_complaint": {},
    "complained": {},
    "answers_campaigns": {},
    "new_customer": {"F": "2026-03-01"},
    "regular": {},
    "high_spender": {"A": "2025-03-01"},
    "out_of_rhythm": {},
    "low_survey": {"A": "2026-05-02", "E": "2026-05-01"},
    "test_drive": {"lead:L3": "2026-06-20"},
    "showroom": {"C": "2026-06-01"},
    # The last gap of A is just within 6 months, 181 days of 182; that of E before its last visit is not.
    "active": {"A": "2025-11-01", "E": "2026-02-10"},
    "replacement_age": {"B 2": after(2019, 1, 1, days=1827)},
}


def test_thresholds_move_the_tags(clean_of):
    _made, got = tagged(clean_of, dealer(), params(**MOVED))
    for tag, expected in AFTER_MOVE.items():
        assert got.get(tag, {}) == expected, tag
    # 10,000 km take A 421 days and B 181; 1,000 km a tenth of it, and without an odometer two years count.
    assert got["service_overdue"]["B 2"] == after(2024, 1, 1, days=18 + 60)
    assert got["service_due"] == {"A 1": after(2026, 5, 1, days=42), "I 8": after(2024, 6, 1, days=730)}


FUTURE = {
    "service_orders": rows(
        "order_id vin customer_id opened_at settled_at odometer_km order_type total_yuan is_comeback",
        ("Z1", V[2], "B", "2026-07-01 09:00", "2026-07-01", 300000, "maintenance", 99999, "yes"),
        ("Z2", V[8], "I", "2026-07-02 09:00", "2026-07-02", 200000, "accident", 99999, "yes"),
        ("Z3", V[3], "E", "2026-07-02 09:00", "2026-07-02", 200000, "repair", 10, "no"),
    ),
    "service_lines": rows(
        "order_id line_no item_code kind status",
        ("Z3", 1, "B1", "labour", "done"),
        ("Z2", 1, "B1", "labour", "declined"),
    ),
    "interactions": rows(
        "interaction_id customer_id at kind outcome score",
        *((f"Z{i}", who, "2026-07-03 10:00", kind, "open", 1) for i, (who, kind) in enumerate((w, k) for w in "AG" for k in ("complaint", "survey", "test_drive", "showroom_visit"))),
    ),
    "leads": rows("lead_id customer_id created_at status", ("Z1", "A", "2026-07-04 10:00", "new")),
    "campaigns": rows("campaign_id customer_id assigned_on arm responded_on", ("Z", "G", "2026-06-01", "treated", "2026-07-05")),
    "sales_orders": rows("order_id customer_id vin delivered_on trade_in_vin", ("Z1", "A", V[19], "2026-07-06", V[1]), ("Z2", "A", V[18], "2026-07-06", None)),
}  # fmt: skip


def test_nothing_that_comes_later_makes_or_moves_a_tag(worked, clean_of):
    later = {name: given + FUTURE.get(name, []) for name, given in dealer().items()}
    assert tagged(clean_of, later, params(own_tags=OWN))[1] == worked[1]


def test_what_was_open_on_an_earlier_day_is_open_on_it(clean_of):
    given = dealer()
    _made, got = tagged(clean_of, given, params(), date(2026, 1, 20))
    assert got["active"]["A"] == "2024-08-01"
    assert "open_complaint" not in got and "showroom" not in got


def test_a_dealer_with_visits_alone_has_the_tags_that_these_tell(clean_of):
    given = {
        "customers": rows("customer_id", ("A",), ("B",)),
        "vehicles": rows("vin customer_id", (V[1], "A"), (V[2], "B")),
        "service_orders": rows(
            "order_id vin customer_id opened_at odometer_km",
            ("1", V[1], "A", "2026-06-01 09:00", 120000),
            ("2", V[2], "B", "2023-06-01 09:00", 5000),
        ),
    }
    made, got = tagged(clean_of, given, params(), related=False)
    assert got == {
        "active": {"A": "2026-06-01"},
        "away": {"B": after(2023, 6, 1, days=366)},
        "high_mileage": {"A 1": "2026-06-01"},
        "new_customer": {"A": "2026-06-01"},
        "unreachable": {"A": UNKNOWN, "B": UNKNOWN},
    }
    assert {"open_lead", "complained", "declined_work", "accident", "come_back", "new_energy", "service_due", "birthday_month",
            "high_spender", "refused_marketing", "drives_for_others", "large_household"} <= set(made.untold)  # fmt: skip
    assert not {"fleet", "never_came", "regular", "car_gone"} & set(made.untold)
    persons = pd.DataFrame({"person_id": ["p", "q"]})
    said = views.facts(made, persons, given, params(), Translator("en"))["tags_untold_text"][0]
    assert "Open lead" in said
    assert said.endswith("Deliver Interactions, Sales leads, Campaigns, Car sales, Jobs and parts, Contacts.")


def test_the_page_shows_no_small_number_and_what_changed(worked):
    made, people = worked[0], pd.DataFrame({"person_id": range(50)})
    counts = made.counts.assign(persons=[2, 40, 5, *[31] * (len(made.counts) - 3)])
    shown = views.table(tags.Tagged(made.rows, counts, ()), people, None, params(own_tags=OWN), Translator("en"))
    assert shown["persons"].tolist()[:3] == [2, 40, 5]  # written by the table as <5, 40, 5
    assert shown["share"].tolist()[:4] == ["–", "80.0 %", "–", "62.0 %"]
    last = {
        "facts": {
            "tag_company_persons": 9,
            "tag_fleet_persons": 42,
            "tag_several_cars_persons": 3,
            "tag_prospect_persons": 31,
        }
    }
    shown = views.table(tags.Tagged(made.rows, counts, ()), people, last, params(own_tags=OWN), Translator("en"))
    by_label = shown.set_index("label")["change"]
    assert by_label[["Company customer", "Fleet", "Several cars", "Prospect", "Active"]].tolist() == [
        "–",
        "▼ 2",
        "–",
        "▬ 0",
        "–",
    ]


def test_the_tags_of_a_generated_dealer_say_what_the_page_and_its_tables_say(demo, demo_persons):
    day, found, chosen = demo.audited.as_of.day, demo_persons, demo.params
    clean, connection = demo.audited.clean, demo.connection
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, [day], day, chosen)
    now = factors.at(panel, day)
    made = tags.tags(connection, clean, found.persons, found.records, found.cars, now, factors.kinds(chosen), chosen, day, Translator("en"))  # fmt: skip
    table = made.rows.to_pandas()
    assert not table.duplicated(["person_id", "vin", "tag"]).any()
    since = pd.to_datetime(table["since"])
    # Where the data tell no day, none is made up: it would move from report to report.
    undated = since.isna().groupby(table["tag"]).mean()
    assert set(undated[["large_household", "unreachable", "refused_marketing"]]) == {1}
    assert set(undated[["active", "away", "regular", "service_overdue", "declined_work", "insurance_ends"]]) == {0}
    assert since.max() <= pd.Timestamp(day)
    count = made.counts.set_index("tag")["persons"]
    persons = found.persons[found.persons["person_id"].isin(now["person_id"])]
    told = factor_views.facts(persons, now, found.cars.filter(found.cars.in_hand).to_pandas(), found.merges, chosen)
    assert count["active"] == told["active_customers"][0]
    assert count["away"] == told["absent_customers"][0]
    assert count["never_came"] == told["never_seen_count"][0]
    assert count["prospect"] == told["prospects_count"][0]
    assert count["new_customer"] == told["new_customers_12m"][0]
    # What a factor says, the tag that goes by it says of the same persons.
    late = now.loc[now["service_overdue_days_max"] >= chosen.tags.service_overdue_days, "person_id"]
    assert set(table.loc[table["tag"] == "service_overdue", "person_id"]) == set(late) and len(late) > 50
    # Once more from the clean tables, in another way.
    orders = clean["service_orders"].to_pandas()
    orders = orders[orders["opened_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    lines = clean["service_lines"].to_pandas().merge(orders[["order_id", "vin", "opened_at"]], on="order_id")
    lines["item"] = lines["item_code"].fillna(lines["item_name"])
    lines["day"], left = lines["opened_at"].dt.normalize(), lines["status"].isin(["declined", "postponed"])
    done = lines[~left].groupby(["vin", "item"])["day"].max()
    open_ = lines[left & ((pd.Timestamp(day) - lines["day"]).dt.days <= 365)]
    open_ = open_[[not done.get((v, i), pd.Timestamp(0)) >= d for v, i, d in zip(open_["vin"], open_["item"], open_["day"], strict=True)]]  # fmt: skip
    held = found.cars.filter(found.cars.in_hand).to_pandas()["vin"]
    expected = open_[open_["vin"].isin(held)].groupby("vin")["day"].min()
    got = table[table["tag"] == "declined_work"].assign(day=since).groupby("vin")["day"].min()
    assert len(expected) > 20
    assert got.to_dict() == expected.to_dict()


MISTAKES = [
    ({"name": "active", "label": "x", "holds_when": "age_years > 3"}, "own_tags.0.name = 'active': a tag of the kit has this name"),
    ({"name": "mine", "label": "x", "holds_when": "spend_yuan_24 > 3"}, "nearest: 'spend_yuan_24m'"),
    ({"name": "mine", "label": "x", "holds_when": "spend_yuan_24m + 3"}, "own_tags.0.holds_when (mine): 'spend_yuan_24m + 3' is a number, not a condition"),
    ({"name": "mine", "label": "x", "holds_when": "spend_yuan_24m >"}, "own_tags.0.holds_when (mine)"),
    ({"name": "mine", "label": "x", "holds_when": "1 = 1"}, "names no factor"),
    ({"name": "mine", "label": {"en": "x", "zh": " "}, "holds_when": "age_years > 3"}, "own_tags.0.label (mine): empty"),
    ({"name": "mine", "label": "x", "holds_when": "member_level > 3"}, "own_tags.0.holds_when (mine)"),
]  # fmt: skip


@pytest.mark.parametrize("given, said", MISTAKES, ids=[said[:30] for _, said in MISTAKES])
def test_a_mistake_in_an_own_tag_is_named_with_its_key(given, said):
    chosen = params(own_tags=[given])
    with pytest.raises(UserErrors) as caught:
        tags.check_own(chosen, factors.kinds(chosen))
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_own_tags_may_name_own_factors_and_all_mistakes_come_at_once():
    own = {"name": "tyres_count", "label": "T", "table": "service_lines", "aggregate": "count"}
    chosen = params(own_factors=[own], own_tags=[{"name": "a", "label": "A", "holds_when": "tyres_count > 1"}])
    tags.check_own(chosen, factors.kinds(chosen))
    wrong = [{"name": n, "label": "A", "holds_when": "x > 1"} for n in ("active", "b")]
    with pytest.raises(UserErrors, match="params/x.yaml: 3 problems in own_tags"):
        tags.check_own(params(own_tags=wrong), factors.kinds(chosen))


@pytest.mark.parametrize(
    "given, said",
    [
        ({"own_tags": [{"name": "A b", "label": "x", "holds_when": "a = 1"}]}, "own_tags.0.name"),
        ({"own_tags": [{"name": "a", "label": "x", "holds_when": "a = 1"}] * 2}, "twice or more: a"),
        ({"tags": {"fleet_cars": 5}}, "tags.fleet_cars"),
        ({"tags": {"warranty_days": 0}}, "tags.warranty_days"),
    ],
)
def test_the_shape_is_checked_with_the_params(given, said):
    with pytest.raises(ValidationError) as caught:
        params(**given)
    assert said.rpartition(".")[2] in str(caught.value)
