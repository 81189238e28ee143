"""The rule classes: every class by hand, thresholds from the params, partitions, edges, and what cannot be told."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from dealerkit import value
from dealerkit.factors import PERSON_FACTORS
from dealerkit.params import ClusterParams, Params
from dealerkit.report.translate import Translator
from dealerkit.segments import clusters, rules, views
from hypothesis import given, settings
from hypothesis import strategies as st

DAY = date(2026, 6, 30)
PARAMS = Params(dealer="x", display_name="X")
EN = Translator("en")
NUMBERS = [f.name for f in PERSON_FACTORS if f.name not in ("member_level", "occupation", "income_band")]


def factors(**columns) -> pd.DataFrame:
    """Factors of persons A, B, …; what is not given is missing."""
    n = max(len(values) for values in columns.values())
    frame = pd.DataFrame(np.nan, index=range(n), columns=NUMBERS).assign(**columns)
    frame.insert(0, "person_id", [chr(65 + i) for i in range(n)])
    return frame


def people(frame: pd.DataFrame, owner=True) -> pd.DataFrame:
    return pd.DataFrame({"person_id": frame["person_id"], "is_owner": owner})


def held(frame: pd.DataFrame, scheme: str, signs=None, params=PARAMS) -> list[str]:
    return rules.classes(frame, people(frame), signs, params)[0][scheme].tolist()


def test_value_tiers_go_by_expected_yuan_and_a_share_of_the_past():
    frame = factors(clv_yuan=[100, 90, 80, 70, 60, np.nan], spend_yuan_24m=[0, 0, 0, 250, np.nan, 900])
    # scores 100, 90, 80, 120, 60: the cuts fall between two of them and go to the lower one, 100 and 80
    assert held(frame, "value_tier") == ["high", "middle", "middle", "high", "low", "unknown"]
    fixed = Params(dealer="x", display_name="X", value={"tier_yuan": [95, 75]})
    assert held(frame, "value_tier", params=fixed) == ["high", "middle", "middle", "high", "low", "unknown"]


def test_tiers_of_ties_go_up_and_two_scores_make_no_tiers():
    tier, cuts = value.tiers(pd.Series([5.0, 5.0, 3.0, 1.0]), (0.25, 0.25, 0.5))
    assert tier.tolist() == [0, 0, 1, 2] and cuts == (5, 3)
    tier, cuts = value.tiers(pd.Series([5.0, 1.0, 1.0]), (0.2, 0.5, 0.3))
    assert tier.isna().all() and cuts == ()


def test_new_loyal_returning_and_once():
    frame = factors(
        tenure_days=[365, 366, 2000, 2000, 2000, 2000, 2000, np.nan],
        visits_count_all=[9, 9, 9, 9, 2, 1, 0, 4],
        visits_count_24m=[9, 4, 3, 9, 2, 0, 0, 4],
        own_rhythm_ratio=[0.1, 2.0, 0.1, 2.1, np.nan, np.nan, np.nan, 1],
        recency_days=[10, 100, 10, 300, 50, 900, np.nan, 10],
    )
    assert held(frame, "loyalty_stage") == ["new", "loyal", "returning", "returning", "returning", "once", "once", "unknown"]  # fmt: skip


def test_faithful_wandering_and_potential():
    frame = factors(
        visits_count_all=[3, 3, 2, 2, 0, np.nan],
        own_rhythm_ratio=[2.0, 2.1, np.nan, np.nan, np.nan, np.nan],
        recency_days=[700, 60, 366, 365, np.nan, np.nan],
    )
    assert held(frame, "loyalty_bond") == ["loyal", "wandering", "wandering", "potential", "potential", "unknown"]


def test_at_risk_is_out_of_the_own_rhythm_and_not_yet_gone():
    frame = factors(recency_days=[365, 365, 366, 20, np.nan], own_rhythm_ratio=[2.1, 2.0, 9, np.nan, np.nan])
    assert held(frame, "rhythm") == ["at_risk", "in_rhythm", "away", "unknown", "unknown"]


def test_spending_by_fixed_yuan():
    frame = factors(spend_yuan_24m=[5000, 4999, 1500, 1499, 0, np.nan])
    assert held(frame, "spending_level") == ["high", "middle", "middle", "low", "nothing", "unknown"]


def test_behaviour_by_visits_kinds_of_work_and_booking():
    frame = factors(
        visits_count_12m=[2, 2, 2, 1, 0, np.nan],
        visits_count_24m=[4, 2, 2, 4, 4, np.nan],
        maintenance_share_24m=[0.75, 1, 1, 0.5, 0.5, np.nan],
        repair_share_24m=[0.25, 0, 0, 0.5, 0.5, np.nan],
        booked_share_24m=[0, 0.5, 0.4, 1, 1, np.nan],
        accident_count_24m=[0] * 6,
        warranty_count_24m=[0] * 6,
    )
    assert held(frame, "behaviour") == ["active", "active", "steady", "steady", "passive", "unknown"]


def test_needs_in_their_order():
    frame = factors(
        visits_count_24m=[2, 2, 2, 2, 2, 1],
        discount_share_24m=[0.05, np.nan, np.nan, 0.01, 0.04, 0.5],
        declined_count_12m=[0, 2, 0, 0, 0, 9],
        complaints_count_12m=[1, 0, 1, 0, 0, 0],
        survey_score_last=[9, 9, np.nan, np.nan, 8, 2],
        yuan_per_visit_24m=[100, 100, 900, 150, 100, 100],
    )
    assert held(frame, "need") == ["price", "price", "service", "quality", "none", "unknown"]


def test_without_discounts_and_declined_work_the_price_cannot_be_told():
    frame = factors(visits_count_24m=[3, 3], complaints_count_12m=[0, 1], yuan_per_visit_24m=[100, 100])
    assert held(frame, "need") == ["unknown", "service"]
    assert rules.needs_shown(frame, people(frame), PARAMS)["price"].isna().all()


def test_interest_counts_when_it_is_recent_and_after_the_last_purchase():
    frame = factors(purchases_count_all=[1, 1, 0, 0, 1])
    signs = pd.DataFrame({"person_id": list("ABCD"), "sign_days_ago": [30, 30, 183, 182], "bought_days_ago": [900, 20, np.nan, np.nan]})  # fmt: skip
    assert held(frame, "intention", signs) == ["interested", "closed", "potential", "interested", "closed"]
    assert held(frame, "intention", None) == ["closed", "closed", "unknown", "unknown", "closed"]


def test_signs_are_open_leads_and_visits_up_to_the_day(clean_of):
    rows = {
        "leads": [
            {"lead_id": "L1", "customer_id": "A", "created_at": "2026-06-20 10:00", "status": "following"},
            {"lead_id": "L2", "customer_id": "B", "created_at": "2026-06-20 10:00", "status": "lost"},
            {"lead_id": "L3", "customer_id": "C", "created_at": "2026-07-20 10:00", "status": "new"},
        ],
        "interactions": [
            {"interaction_id": "I1", "customer_id": "A", "at": "2026-06-25 09:00", "kind": "test_drive"},
            {"interaction_id": "I2", "customer_id": "B", "at": "2026-06-01 09:00", "kind": "complaint"},
            {"interaction_id": "I3", "customer_id": "D", "at": "2026-05-31 09:00", "kind": "showroom_visit"},
        ],
        "sales_orders": [
            {"order_id": "S1", "customer_id": "B", "vin": "LSVAA408XE2000001", "delivered_on": "2026-01-01"}
        ],
    }
    _connection, clean = clean_of(rows)
    records = pd.DataFrame({"customer_id": list("ABCD"), "person_id": list("abcd")})
    expected = pd.DataFrame(
        {"person_id": list("abd"), "sign_days_ago": [5, np.nan, 30], "bought_days_ago": [np.nan, 180, np.nan]}
    )
    pd.testing.assert_frame_equal(rules.interest(clean, records, DAY, PARAMS), expected)
    assert rules.interest({"sales_orders": clean["sales_orders"]}, records, DAY, PARAMS) is None


def test_a_person_without_a_car_is_in_no_class_of_owners():
    frame = factors(visits_count_all=[5, 5], purchases_count_all=[1, 0], spend_yuan_24m=[9000, 9000])
    made, edges = rules.classes(frame, people(frame, [False, False]), None, PARAMS)
    assert (made.drop(columns=["person_id", "intention"]) == "no_car").all().all()
    assert not edges.drop(columns="person_id").any().any()


def test_the_edge_is_a_tenth_around_a_threshold():
    frame = factors(spend_yuan_24m=[4500, 4499, 5500, 5501, 1650, 1651, 1350, 1349])
    edges = rules.classes(frame, people(frame), None, PARAMS)[1]
    assert edges["spending_level"].tolist() == [True, False, True, False, True, False, True, False]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_every_person_is_in_exactly_one_declared_class_of_each_scheme(seed):
    rng = np.random.default_rng(seed)
    n = 40
    numbers = {c: np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 2000, n)) for c in NUMBERS}
    numbers |= {c: np.where(rng.random(n) < 0.3, np.nan, rng.random(n)) for c in NUMBERS if "share" in c}
    frame = pd.DataFrame(numbers)
    frame.insert(0, "person_id", [f"P{i:02d}" for i in range(n)])
    persons = people(frame, rng.random(n) < 0.7)
    made, edges = rules.classes(frame, persons, None, PARAMS)
    assert made["person_id"].tolist() == edges["person_id"].tolist() == frame["person_id"].tolist()
    for scheme in rules.SCHEMES:
        assert set(made[scheme.key]) <= {k.key for k in scheme.all_classes}
    shuffled = rules.classes(frame.sample(frac=1, random_state=1), persons.sample(frac=1, random_state=2), None, PARAMS)
    pd.testing.assert_frame_equal(made, shuffled[0])
    tables = views.class_tables(frame, persons, made, edges, PARAMS, EN)
    for scheme, table in tables.items():
        assert table["persons"].sum() == (n if scheme == "intention" else persons["is_owner"].sum())
        assert table["share"].sum() == pytest.approx(1)
        assert (table["at_edge"] <= table["persons"]).all()


def test_rules_say_the_thresholds_in_force():
    params = Params(dealer="x", display_name="X", classes={"new_months": 7, "spend_high_yuan_24m": 6543})
    frame = factors(clv_yuan=[1.0, 2.0, 3.0], spend_yuan_24m=[0, 0, 0])
    told = rules.rules(rules.thresholds(frame, people(frame), params), EN).set_index(["scheme", "class"])["rule"]
    assert told["loyalty_stage", "new"] == "first seen less than 7 months ago"
    assert told["spending_level", "high"] == "¥ 6,543 or more in 24 months"
    assert not told.str.contains("{", regex=False).any()


# ---- the page's tables --------------------------------------------------------------------------------------------


def crowd(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    visits = rng.integers(1, 12, n).astype(float)
    frame = factors(visits_count_all=visits)
    frame["person_id"] = [f"P{i:03d}" for i in range(n)]
    first = rng.integers(500, 2000, n).astype(float)
    return frame.assign(
        visits_count_24m=(visits / 2).round(),
        visits_count_12m=(visits / 4).round(),
        first_visit_days_ago=first,
        recency_days=rng.integers(1, 499, n).astype(float),
        tenure_days=first + 100,
        own_rhythm_ratio=rng.random(n) * 4,
        spend_yuan_12m=visits * 100,
        spend_yuan_24m=visits * 300,
        spend_yuan_all=visits * rng.integers(300, 900, n),
        clv_yuan=visits * 250,
        odometer_km_per_year=rng.integers(5000, 30000, n).astype(float),
        maintenance_share_24m=rng.random(n),
    )


def picture(frame: pd.DataFrame):
    persons = people(frame)
    classes, edges = rules.classes(frame, persons, None, PARAMS)
    found = clusters.cluster(frame, ClusterParams(repeats=10))
    segments = views.in_force(found, classes, EN)
    table = views.segment_table(segments, frame, found, EN)
    facts = views.facts(frame, persons, classes, edges, PARAMS) | views.cluster_facts(found, segments, table, PARAMS)
    return found, segments, table, {name: fact[0] for name, fact in facts.items()}


@pytest.mark.filterwarnings("error")
def test_a_segment_never_seen_is_described_without_a_warning():
    frame = crowd()
    frame.loc[frame.index[:40], ["recency_days", "odometer_km_per_year"]] = np.nan
    segments = views.Segments(
        False, pd.Series(["never"] * 40 + ["seen"] * 260, frame["person_id"]), ("never", "seen"), "value_tier", "untold"
    )
    table = views.segment_table(segments, frame, clusters.cluster(frame, ClusterParams()), EN)
    assert table["recency_days"].isna().tolist() == [True, False] and "ago" not in table["words"][0]


def test_without_groups_the_value_tiers_are_the_segments():
    found, segments, table, facts = picture(crowd())
    assert found.verdict == "none" and not segments.natural and segments.scheme == "value_tier"
    assert table["persons"].sum() == 300 and table["share"].sum() == pytest.approx(1)
    assert table["yuan_share"].sum() == pytest.approx(1)
    assert facts["segments_found"] == 0 and facts["segments_verdict"] == "none"
    assert facts["best_segment_name"] == "high value"
    assert facts["best_segment_yuan_share"] > facts["best_segment_share"]
    assert facts["at_risk_yuan_12m"] > 0


CORNERS = {
    "nobody": lambda frame: frame.head(0),
    "ten owners": lambda frame: frame.head(10),
    "one visit each": lambda frame: frame.assign(visits_count_all=1.0, own_rhythm_ratio=np.nan),
    "all equal": lambda frame: pd.concat([frame.head(1)] * len(frame), ignore_index=True).assign(
        person_id=frame["person_id"]
    ),
    "no amounts": lambda frame: frame.assign(**{c: np.nan for c in frame if "yuan" in c}),
    "nothing known": lambda frame: frame.assign(**dict.fromkeys(NUMBERS, np.nan)),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_corners_end_in_a_verdict_a_headline_and_gaps(corner, language):
    t = Translator(language)
    frame = CORNERS[corner](crowd(120)).reset_index(drop=True)
    persons = people(frame)
    found, _segments, table, facts = picture(frame)
    for template in (views.headline(found, table), views.lead(found), views.said(found)):
        missing = [name for name in rules.placeholders(template) if name not in facts]
        assert missing == []
    for name in rules.placeholders(views.headline(found, table)):
        assert facts[name] is not None
    assert isinstance(views.stability_table(found, t), pd.DataFrame)
    assert isinstance(views.evidence_bars(found, t), pd.DataFrame)
    told = [title for title, _why, _remedy in views.gaps(frame, persons, None, found, Translator("en"))]
    assert "Interest in a car" in told
    assert ("Value and spending" in told) == (corner in ("nobody", "no amounts", "nothing known"))


def test_small_classes_carry_no_share():
    frame = crowd(20)
    facts = picture(frame)[3]
    assert facts["loyal_share"] is None and facts["price_sensitive_share"] is None
    table = picture(frame)[2]
    assert set(table["words"]) == {"too few persons to describe"}
