"""Life of cars and customers: stages, return curves, loss by every definition, and the churn model's rows and verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from dealerkit import charts, propensity, stats, summary
from dealerkit.lifecycle import History, churn, clustered, drift, history, lost, returns, says, stages, views
from dealerkit.lifecycle import facts as page
from dealerkit.params import Params, months_before
from dealerkit.report.translate import Translator, fields
from scipy.stats import CensoredData, ecdf, kendalltau, spearmanr

AS_OF = date(2026, 9, 30)
PARAMS = Params(dealer="x", display_name="X")
T = Translator("en")
DICTIONARY = pd.DataFrame(
    [
        ("car_factors", "recency_days", "Days since the last visit", False),
        ("car_factors", "visits_count_12m", "Visits in 12 months", False),
        ("person_factors", "visits_count_all", "Visits ever", False),
        ("person_factors", "is_reachable", "Has a usable phone", True),
    ],
    columns=["table", "factor", "label", "at_delivery_only"],
)


def as_facts(found):
    """Facts of the page in the shape that a run keeps them."""
    return {name: {"value": value} for name, (value, _, _) in page.facts(found).items()}


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def past(visits: dict[str, list[str]], gone: dict | None = None, series: dict | None = None, yuan=100.0) -> History:
    """A history of cars by the days they came."""
    rows = [(vin, day(d), yuan) for vin in sorted(visits) for d in sorted(visits[vin])]
    left = pd.Series({k: day(v) for k, v in (gone or {}).items()}, dtype="datetime64[ns]")
    lines = pd.Series(series or dict.fromkeys(visits, "A"), dtype=object)
    days = pd.DataFrame(rows, columns=["vin", "day", "yuan"]).astype({"day": "datetime64[ns]", "yuan": float})
    return History(AS_OF, days, left, lines)


def panel_of(past_: History, origins: list[date]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Factors of cars and persons (one car each) at the origins, as far as the page reads them."""
    cars = []
    for origin in origins:
        seen = past_.before(origin).groupby("vin")["day"].agg(["min", "max", "size"])
        ago = (pd.Timestamp(origin) - pd.to_datetime(seen["max"])).dt.days
        first = (pd.Timestamp(origin) - pd.to_datetime(seen["min"])).dt.days
        known = past_.before(origin)
        year = known[known["day"] > pd.Timestamp(origin) - pd.Timedelta(days=365)]
        of_year = year.groupby("vin")["yuan"].agg(["size", "sum"]).reindex(seen.index)
        cars.append(
            pd.DataFrame(
                {
                    "person_id": [f"P{vin}" for vin in seen.index],
                    "vin": seen.index,
                    "origin": origin,
                    "series": seen.index.map(past_.series),
                    "energy_type": "ice",
                    "vehicle_age_months": np.nan,
                    "warranty_days_left": np.nan,
                    "sold_here": 0.0,
                    "recency_days": ago.to_numpy(float),
                    "first_visit_days_ago": first.to_numpy(float),
                    "visits_count_all": seen["size"].to_numpy(),
                    "visits_count_12m": of_year["size"].fillna(0).to_numpy(),
                    "spend_yuan_12m": of_year["sum"].to_numpy(float),
                    "spend_yuan_24m": of_year["sum"].to_numpy(float),
                }
            )
        )
    made = pd.concat(cars, ignore_index=True)
    people = made[["person_id", "origin", "visits_count_all"]].assign(
        tenure_days=made["first_visit_days_ago"], purchases_count_all=0, is_reachable=1, consents_to_marketing=np.nan
    )
    return made, people


def looked(past_: History, params: Params = PARAMS) -> views.Found:
    """Everything of the page, from a history alone."""
    origins = sorted({*params.churn.origins(AS_OF), months_before(AS_OF, 12), AS_OF})
    cars, people = panel_of(past_, origins)
    held = pd.DataFrame(
        {"vin": past_.series.index, "person_id": [f"P{vin}" for vin in past_.series.index], "series": past_.series}
    )
    left = pd.to_datetime(held["vin"].map(past_.gone))
    held = held.assign(in_hand=left.isna().to_numpy(), left_on=left.to_numpy(), disposed_on=pd.NaT)
    visits = past_.days.rename(columns={"day": "opened_at", "yuan": "total_yuan"})
    return views.look(ibis.memtable(visits), held, cars, people, DICTIONARY, AS_OF, params)


# ---- windows --------------------------------------------------------------------------------------------------------


def test_months_before_keeps_the_day_or_takes_the_last_of_the_month():
    days = [months_before(date(2026, 3, 31), m) for m in (1, 12, 13, 25)]
    assert days == [date(2026, 2, 28), date(2025, 3, 31), date(2025, 2, 28), date(2024, 2, 29)]


def test_outcomes_of_the_origins_learned_from_end_before_the_test():
    *learned, test = PARAMS.churn.origins(AS_OF)
    span = PARAMS.churn.gap_months + PARAMS.churn.outcome_months
    assert (learned, test) == ([date(2024, 1, 30), date(2024, 7, 30)], date(2025, 8, 30))
    assert all(months_before(test, span) >= origin for origin in learned)


# ---- stages ---------------------------------------------------------------------------------------------------------


def test_stage_of_a_car_by_the_first_rule_that_fits():
    columns = ["vin", "vehicle_age_months", "first_visit_days_ago", "recency_days", "warranty_days_left", "visits_count_all", "sold_here"]  # fmt: skip
    rows = [
        ("never", 20, np.nan, np.nan, 300, 0, 0),
        ("bought", 3, np.nan, np.nan, 900, 0, 1),
        ("forgot", 30, np.nan, np.nan, 200, 0, 1),
        ("away", 90, 900, 366, -5, 9, 1),
        ("old", 77, 900, 365, -5, 9, 1),
        ("covered", 40, 900, 10, 0, 9, 1),
        ("expired", 20, 900, 10, -1, 9, 1),
        ("undated", np.nan, 900, 10, np.nan, 9, 0),
        ("older", np.nan, 1200, 10, np.nan, 9, 0),
    ]
    cars = pd.DataFrame(rows, columns=columns).assign(person_id="P", origin=AS_OF, series="A")
    got = stages.car_stages(cars, PARAMS).set_index("vin")["stage"].to_dict()
    assert got == {
        "never": "potential", "bought": "new", "forgot": "exit", "away": "exit", "old": "replacement", "covered": "new",
        "expired": "in_use", "undated": "new", "older": "in_use",
    }  # fmt: skip


def test_stage_of_a_customer_follows_the_cars():
    cars = pd.DataFrame(
        [("a", "exit"), ("a", "in_use"), ("b", "exit"), ("c", "replacement"), ("c", "new"), ("d", "potential"), ("f", "new")],
        columns=["person_id", "stage"],
    ).assign(origin=AS_OF)  # fmt: skip
    panel = pd.DataFrame(
        [("a", 900, 3, 0), ("b", 900, 3, 0), ("c", 900, 3, 0), ("d", 10, 0, 0), ("e", 900, 0, 1), ("f", 300, 1, 0), ("g", 50, 0, 0)],
        columns=["person_id", "tenure_days", "visits_count_all", "purchases_count_all"],
    ).assign(origin=AS_OF)  # fmt: skip
    got = stages.person_stages(panel, cars, PARAMS).set_index("person_id")["stage"].to_dict()
    assert got == {
        "a": "in_use", "b": "exit", "c": "replacement", "d": "potential", "e": "exit", "f": "new", "g": "potential",
    }  # fmt: skip


def test_everybody_moves_somewhere():
    then = pd.DataFrame({"vin": list("abcde"), "stage": ["new", "new", "new", "in_use", "exit"]})
    now = pd.DataFrame({"vin": list("abdef"), "stage": ["new", "in_use", "in_use", "in_use", "new"]})
    moves = stages.transitions(then, now, "vin")
    some = moves[moves["n"] > 0][["before", "after", "n", "of", "share"]]
    expected = [
        ("not_known", "new", 1, 1, 1.0), ("new", "new", 1, 3, 1 / 3), ("new", "in_use", 1, 3, 1 / 3),
        ("new", "exit", 1, 3, 1 / 3), ("in_use", "in_use", 1, 1, 1.0), ("exit", "in_use", 1, 1, 1.0),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(
        some.reset_index(drop=True), pd.DataFrame(expected, columns=["before", "after", "n", "of", "share"])
    )
    assert moves["n"].sum() == 6
    sums = moves.groupby("before")["share"].sum()
    assert sums[["not_known", "new", "in_use", "exit"]].tolist() == pytest.approx([1, 1, 1, 1])


# ---- return curves --------------------------------------------------------------------------------------------------


def test_a_wait_ends_with_the_next_visit_or_is_cut_off():
    made = returns.waits(
        past(
            {"a": ["2026-01-01", "2026-03-02"], "b": ["2026-05-01"], "c": ["2026-09-30"]},
            gone={"b": "2026-05-31"},
        )
    )
    expected = [("a", "A", "1", 60, True), ("a", "A", "2", 212, False), ("b", "A", "1", 30, False)]
    pd.testing.assert_frame_equal(
        made, pd.DataFrame(expected, columns=["vin", "series", "service_number", "days", "is_back"])
    )


def test_the_warning_day_leaves_the_share_to_come():
    away = np.array([1, 0.9, 0.7, 0.5, 0.3, 0.25, 0.2, 0.2])
    # Of .8 who come back, .3 − .2 = .1 are still to come on day 4 (an eighth), .5 − .2 on day 3.
    assert returns.warning_day(away, 0.2) == 3
    assert returns.warning_day(away, 0.125) == 4
    assert returns.warning_day(away, 1) == 0
    assert returns.warning_day(np.ones(5), 0.2) == 0


def test_the_curve_recovers_known_return_times():
    rng = np.random.default_rng(5)
    n = 900
    true = np.round(rng.exponential(200, n)) + 1
    cut = rng.integers(100, 1500, n)
    found = pd.DataFrame(
        {"vin": [f"v{i // 3:04d}" for i in range(n)], "days": np.minimum(true, cut), "is_back": true <= cut}
    )
    c = returns.curve(found, PARAMS)
    months = np.array([2, 7, 13])
    at = c.marks[months]
    assert at.tolist() == [61, 213, 396]
    expected = np.exp(-at / 200)
    assert np.abs(c.away[at] - expected).max() < 0.04
    assert ((c.low[months] < expected) & (expected < c.high[months])).sum() >= 2
    assert (np.diff(c.away) <= 1e-12).all() and c.away[0] == 1 and c.at_risk[0] == n
    assert c.warning[1] <= c.warning[0] <= c.warning[2]
    assert c.warning[0] == pytest.approx(-200 * np.log(0.2), rel=0.15)
    shuffled = returns.curve(found.sample(frac=1, random_state=1), PARAMS)
    np.testing.assert_array_equal(shuffled.low, c.low)


def test_the_curve_is_that_of_kaplan_and_meier():
    # 40 cars: 20 back on day 100, 10 cut off on day 150, 10 back on day 200 — and then none is left.
    days = [100] * 20 + [150] * 10 + [200] * 10
    back = [True] * 20 + [False] * 10 + [True] * 10
    found = pd.DataFrame({"vin": [f"v{i}" for i in range(40)], "days": days, "is_back": back})
    c = returns.curve(found, PARAMS)
    assert len(c.away) == 101 and (c.away[99], c.away[100]) == (1.0, 0.5)
    assert c.at_risk[100] == 40 and c.returns == 30


def test_curves_of_groups_are_those_of_the_groups_alone():
    rng = np.random.default_rng(7)
    n = 1200
    found = pd.DataFrame(
        {
            "vin": [f"v{i // 3:04d}" for i in range(n)],
            "series": np.repeat(rng.choice(["A", "B"], n // 3), 3),
            "service_number": np.tile(["1", "2", "3"], n // 3),
            "days": rng.integers(1, 900, n),
            "is_back": rng.random(n) < 0.8,
        }
    )
    made = returns.curves(found, PARAMS)
    assert [(c.kind, c.group) for c in made[:1]] == [("all", "all")] and len(made) == 6
    for c in made:
        own = found if c.kind == "all" else found[found[c.kind] == c.group]
        alone = returns.curve(own, PARAMS)
        np.testing.assert_array_equal(c.away, alone.away)
        np.testing.assert_allclose(c.low, alone.low, atol=0.02)
        np.testing.assert_allclose(c.high, alone.high, atol=0.02)
        assert (c.cars, c.visits, c.returns) == (own["vin"].nunique(), len(own), own["is_back"].sum())
        back = own["is_back"]
        survival = ecdf(CensoredData(own.loc[back, "days"], right=own.loc[~back, "days"])).sf
        np.testing.assert_allclose(c.away, survival.evaluate(np.arange(len(c.away))), atol=1e-9)
        assert c.at_risk[100] == (own["days"] >= 100).sum()


def test_few_cars_carry_no_curve():
    found = pd.DataFrame({"vin": [f"v{i}" for i in range(29)] * 3, "days": 90, "is_back": True})
    assert returns.curve(found, PARAMS) is None
    assert returns.curves(found.assign(series="A", service_number="1"), PARAMS) == []


def test_the_chance_of_coming_back_bends_after_its_peak():
    away = np.concatenate([np.linspace(1, 0.9, 91), np.linspace(0.9, 0.3, 91)[1:], np.linspace(0.3, 0.28, 181)[1:]])
    peak, half = returns._bends(away)
    assert (peak, half) == (6, 7)


# ---- loss -----------------------------------------------------------------------------------------------------------

VISITS = {
    "back": ["2025-03-01", "2026-02-01"],
    "gone": ["2025-04-01"],
    "lost": ["2024-01-01", "2024-12-01", "2025-05-01"],
    "long": ["2023-01-01"],
    "edge": ["2025-09-30", "2025-10-01"],
}


def test_the_loss_of_the_year_counts_cars_that_came_a_year_ago():
    told = past(VISITS, gone={"gone": "2026-01-01"})
    held, _ = panel_of(told, [months_before(AS_OF, 12)])
    found = lost.loss(told, held, PARAMS)
    expected = [
        ("back", "Pback", "A", False, 0.0),
        ("edge", "Pedge", "A", False, 0.0),
        ("lost", "Plost", "A", True, 200.0),  # its last year here: December 2024 and May 2025
    ]
    pd.testing.assert_frame_equal(
        found.cars, pd.DataFrame(expected, columns=["vin", "person_id", "series", "is_lost", "yuan"])
    )
    assert found.gone == 1 and found.yuan[0] == 200 and found.yuan[1] <= 200 <= found.yuan[2]


def test_definitions_side_by_side_by_hand():
    told = past({**VISITS, "six": ["2026-03-15"], "half": ["2026-03-10", "2026-08-01"]})
    now, _ = panel_of(told, [AS_OF])
    made = lost.definitions(lost.states(told, now, PARAMS), PARAMS).set_index("definition")
    counts = {name: (row["base"], row["lost"]) for name, row in made.iterrows()}
    assert counts == {
        "absent_6": (7, 6),
        "absent_9": (7, 4),
        "absent_12": (7, 3),
        "absent_13": (7, 3),
        "absent_18": (7, 1),
        "absent_24": (7, 1),
        "cohort_6": (2, 1),
        "rolling_24": (4, 2),
        "own_rhythm": (7, counts["own_rhythm"][1]),
    }
    assert made["in_force"].tolist() == [name == "absent_12" for name in made.index]
    assert (made["low"] <= made["share"]).all() and (made["share"] <= made["high"]).all()


def test_own_rhythm_is_exceeded_by_one_interval_in_twenty():
    rng = np.random.default_rng(2)
    visits, following = {}, {}
    for i in range(1500):
        gaps = np.exp(rng.normal(rng.normal(5, 0.4), 0.5, rng.integers(2, 6)))
        days = (pd.Timestamp("2016-01-01") + pd.to_timedelta(np.cumsum(gaps), unit="D")).normalize()
        visits[f"v{i:04d}"] = [str(d.date()) for d in days[:-1]]
        following[f"v{i:04d}"] = (days[-1] - days[-2]).days
    told = past(visits)
    limit = lost.own_limit(told, pd.DataFrame({"vin": sorted(visits), "series": "A"}))
    beyond = np.mean([following[vin] > limit[i] for i, vin in enumerate(sorted(visits))])
    assert 0.035 < beyond < 0.065


def test_a_car_with_its_own_rhythm_is_judged_by_it():
    fast = {f"f{i:02d}": [f"2025-{m:02d}-05" for m in range(1, 13)] for i in range(20)}
    slow = {f"s{i:02d}": [f"{y}-01-05" for y in range(2018, 2026)] for i in range(20)}
    told = past(fast | slow | {"once": ["2026-01-05"]})
    cars = pd.DataFrame({"vin": ["f00", "s00", "once"], "series": "A"})
    one, other, alone = lost.own_limit(told, cars)
    assert one < 40 and other > 340 and one < alone < np.inf


def test_rankings_that_turn_around_say_so():
    rows = []
    for line, (a, b) in {"A": (30, 10), "B": (20, 20), "C": (10, 30)}.items():
        for name, k in (("absent_12", a), ("own_rhythm", b)):
            rows += [(name, f"{line}{i}", line, i < k) for i in range(40)]
    states = pd.DataFrame(rows, columns=["definition", "vin", "series", "is_lost"])
    made = lost.definitions(states, PARAMS).set_index("definition")
    assert made.loc["own_rhythm", ["kendall", "spearman"]].tolist() == [-1, -1]
    assert made.loc["absent_12", "kendall"] == 1
    assert lost.ranks(states).loc["A"].to_dict() == {"absent_12": 1, "own_rhythm": 3}


def test_rankings_are_compared_as_in_scipy():
    rng = np.random.default_rng(3)
    for _case in range(30):
        a, b = rng.integers(0, 6, (2, 9)) / 7
        assert lost.kendall(a, b) == pytest.approx(kendalltau(a, b)[0])
        assert lost.spearman(a, b) == pytest.approx(spearmanr(a, b)[0])


# ---- churn ----------------------------------------------------------------------------------------------------------


def test_visits_in_the_gap_are_neither_known_nor_outcome():
    origin = PARAMS.churn.origins(AS_OF)[-1]
    told = past(
        {
            "gap": ["2025-06-01", "2025-09-15"],
            "edge": ["2025-06-01", "2025-09-30"],
            "first": ["2025-06-01", "2025-10-01"],
            "last": ["2025-06-01", "2026-09-30"],
            "sold": ["2025-06-01"],
            "away": ["2024-06-01", "2026-01-01"],
        },
        gone={"sold": "2026-03-01"},
    )
    rows, _ = panel_of(told, [origin])
    got = churn.labelled(rows, told, PARAMS).set_index("vin")["is_lost"].to_dict()
    assert np.isnan(got.pop("sold"))
    assert got == {"gap": 1, "edge": 1, "first": 0, "last": 0}


def test_features_at_delivery_only_stay_out():
    told = past(VISITS)
    cars, people = panel_of(told, [AS_OF])
    rows, features = churn.features_of(cars, people, DICTIONARY)
    assert features == ["series", "energy_type", "recency_days", "visits_count_12m", "person_visits_count_all"]
    assert len(rows) == len(cars)


def test_how_the_cars_of_a_person_are_joined():
    person = np.repeat([f"p{i}" for i in range(40)], 2)
    apart = pd.DataFrame({"person_id": person, "is_lost": np.tile([1, 0, 0, 1, 1, 1, 0, 0], 10)})
    together = apart.assign(is_lost=np.repeat(np.tile([1, 0], 20), 2))
    half = pd.Series(0.5, index=apart.index)
    assert churn.joining(apart, half) == churn.PRODUCT
    assert churn.joining(together, half) == churn.SMALLEST
    assert churn.joining(apart.head(20), half.head(20)) == churn.SMALLEST


def crowd(n: int = 700, seed: int = 1, leave: float = 0.22) -> History:
    """Cars that come about every five months until they leave for good."""
    rng = np.random.default_rng(seed)
    visits, series = {}, {}
    for i in range(n):
        now, vin = pd.Timestamp("2021-01-01") + pd.Timedelta(days=int(rng.integers(0, 1500))), f"v{i:04d}"
        visits[vin], series[vin] = [], "ABC"[i % 3]
        while now <= pd.Timestamp(AS_OF):
            visits[vin].append(str(now.date()))
            if rng.random() < leave * (0.5 + i % 3 * 0.5):
                break
            now += pd.Timedelta(days=int(rng.normal(150, 30)))
    return past(visits, series=series)


@pytest.fixture(scope="module")
def found() -> views.Found:
    return looked(crowd())


def test_the_page_holds_together(found):
    facts = {name: value for name, (value, _, _) in page.facts(found).items()}
    assert facts["lost_cars_count"] == round(facts["lost_cars_share"] * facts["lost_base_count"])
    assert facts["lost_cars_share_low"] < facts["lost_cars_share"] < facts["lost_cars_share_high"]
    assert facts["churn_expected_count_low"] < facts["churn_expected_count"] < facts["churn_expected_count_high"]
    assert 0.5 < facts["churn_auc_rule"] <= 1 and facts["churn_model_used"] in (True, False)
    assert facts["warning_days"] < 400 and facts["warning_days_low"] <= facts["warning_days"]
    scores = found.churn.scores
    assert scores["probability"].between(0, 1).all() and not scores["vin"].duplicated().any()
    assert facts["at_risk_reachable_count"] <= facts["at_risk_count"] <= len(found.churn.persons)
    definitions = found.definitions.set_index("definition")["lost"]
    assert definitions[[f"absent_{m}" for m in lost.ABSENCES]].is_monotonic_decreasing


def test_sentences_have_their_facts(found):
    stated = {name: {"value": value} for name, (value, _, _) in page.facts(found).items()}
    facts = set(stated)
    said = [
        *says.headline(found),
        says.returning(found),
        says.losing(found),
        says.expecting(found),
        says.verdict(found),
        says.checked(as_facts(found)),
    ]
    said += [part for title, gain, how, _ in says.first_steps(as_facts(found)) for part in (title, gain, how) if part]
    assert {name for text in said for name, _ in fields(text)} <= facts


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_checked_before_learning_is_said_in_one_sentence(found, language):
    model, facts = found.churn.model, {name: value for name, (value, _, _) in page.facts(found).items()}
    said = says.checked(as_facts(found))
    shown = Translator(language).say(said, **{name: facts[name] for name, _ in fields(said)})
    looked = model.labels["value"].notna().sum()
    assert 4 <= looked < len(model.labels)  # whether outcomes are ripe is seen to by the origins
    assert f"{model.rows_given:,}" in shown and f"{looked}" in shown and f"{len(model.leakage)}" in shown
    assert {"en": "nothing suspicious", "zh": "没有可疑"}[language] in shown
    assert ("suspected" in shown) == (language == "en")  # translated


def test_what_looked_suspicious_before_learning_is_named(found):
    labels = found.churn.model.labels.copy()
    labels.loc[labels["check"].isin(["share", "missing"]), "suspected"] = True
    labels["reason"] = [stats.labels.CHECKS[c] if bad else stats.labels.SOUND for c, bad in labels[["check", "suspected"]].to_numpy()]  # fmt: skip
    leaks = found.churn.model.leakage.assign(suspected=lambda f: f.index == 0)
    odd = replace(found, churn=replace(found.churn, model=replace(found.churn.model, labels=labels, leakage=leaks)))
    facts = {name: value for name, (value, _, _) in page.facts(odd).items()}
    said = says.checked(as_facts(odd))
    shown = T.say(said, **{name: facts[name] for name, _ in fields(said)})
    assert "2 checks found something, first of all: the outcome is missing for many rows." in shown
    assert f"Of {len(leaks)} factors, 1 was suspected" in shown


def test_without_a_model_nothing_is_said_of_checks():
    made = page.facts(looked(past({"A": ["2026-01-01"]})))
    assert made["churn_labels_count"][0] is None and made["churn_label_said"][0] is None


def test_tables_hold_no_surprise(found):
    made = views.tables(found)
    assert set(made["return_curves"]["kind"]) == {"all", "series", "service_number"}
    assert set(made["churn_scores"].columns) == set(churn.SCORES)
    moved = made["stage_transitions"].query("unit == 'car'")
    assert len(made["car_stages"]) == moved["n"].sum()  # in this history no car leaves for good
    assert made["scorecard_points"]["points"].ge(0).all()
    assert not views.point_rows(found, DICTIONARY, T)["factor"].str.contains("_").any()


def test_a_person_of_one_car_has_its_probability(found):
    both = found.churn.persons.merge(found.churn.scores, on="person_id", validate="one_to_one")
    np.testing.assert_allclose(both["probability_x"], both["probability_y"])


def test_shuffled_rows_give_the_same(found):
    told = found.history
    states = lost.states(told, panel_of(told, [AS_OF])[0].sample(frac=1, random_state=3), PARAMS)
    pd.testing.assert_frame_equal(lost.definitions(states, PARAMS), found.definitions)


# ---- bad input ------------------------------------------------------------------------------------------------------

EVERY_MONTH = [str(d.date()) for d in pd.date_range("2023-01-15", "2026-09-15", freq="MS") + pd.Timedelta(days=14)]
BAD = {
    "no visit": {},
    "one visit each": {f"v{i:03d}": [f"2026-0{1 + i % 9}-10"] for i in range(60)},
    "nobody lost": {f"v{i:03d}": EVERY_MONTH for i in range(60)},
    "everybody lost": {f"v{i:03d}": ["2023-02-01", "2023-08-01", "2024-05-01", "2025-06-01"] for i in range(60)},
    "short history": {f"v{i:03d}": ["2026-05-01", f"2026-0{6 + i % 4}-11"] for i in range(60)},
    "tiny": {f"v{i:03d}": ["2024-05-01", "2025-06-01", "2026-07-01"] for i in range(16)},
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_stated_gap(case):
    found = looked(past(BAD[case]))
    facts = {name: value for name, (value, _, _) in page.facts(found).items()}
    gaps = says.gaps(found, T)
    assert "Churn model" in [title for title, _, _ in gaps]
    assert all(all(part.strip() for part in gap) for gap in gaps)
    title, lead = says.headline(found)
    assert all(facts[name] is not None for name, _ in fields(title))
    for text in (says.verdict(found), says.returning(found), says.losing(found), says.expecting(found)):
        assert all(facts[name] is not None for name, _ in fields(text)), text
    for name, frame in views.tables(found).items():
        assert isinstance(frame, pd.DataFrame), name
    rows = views.curve_rows(found, "all", T)
    charts.png(charts.curves(rows, T, lo="low", hi="high", n="at_risk", mark=facts["warning_month"], mark_text="x"))
    charts.png(charts.heat(views.rank_rows(found, T), T, kind="count", low=1, high=2))
    charts.png(charts.heat(views.moves_map(found.car_moves, T), T, kind="share", low=-1, high=1))
    for frame in (views.warnings(found, T), views.definition_rows(found, T), views.stage_rows(found, T)):
        assert isinstance(frame, pd.DataFrame)
    if case == "nobody lost":
        assert facts["lost_cars_count"] == 0 and "No car was lost" in title
    if case == "everybody lost":
        assert facts["lost_cars_share"] == 1 and facts["past_warning_count"] == 0


def test_without_amounts_yuan_are_not_said():
    found = looked(past(BAD["everybody lost"], yuan=np.nan))
    facts = {name: value for name, (value, _, _) in page.facts(found).items()}
    assert facts["lost_yuan_12m"] is None and "yuan" not in says.headline(found)[0]
    assert "Yuan lost" in [title for title, _, _ in says.gaps(found, T)]


def test_without_model_lines_there_is_no_ranking():
    found = looked(past(BAD["nobody lost"], series=dict.fromkeys(BAD["nobody lost"])))
    assert found.ranks.empty and found.definitions["kendall"].isna().all()
    assert "Ranking of the model lines" in [title for title, _, _ in says.gaps(found, T)]


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_history_keeps_one_row_per_car_and_day(clean_of):
    row = {"customer_id": "C1", "labour_yuan": "0", "parts_yuan": "0"}
    _, clean = clean_of(
        {
            "service_orders": [
                row
                | {"order_id": "1", "vin": "LSVAA4081E2000001", "opened_at": "2026-05-01 09:00", "total_yuan": "10.5"},
                row
                | {"order_id": "2", "vin": "LSVAA4081E2000001", "opened_at": "2026-05-01 15:00", "total_yuan": "4.5"},
                row | {"order_id": "3", "vin": "LSVAA4081E2000001", "opened_at": "2026-10-01 15:00", "total_yuan": "1"},
            ]
        }
    )
    cars = pd.DataFrame(
        {
            "vin": ["LSVAA4081E2000001", "B", "C", "C"],
            "person_id": ["P1", "P2", "P2", "P3"],
            "series": "A",
            "in_hand": [True, False, False, True],
            "left_on": [None, date(2026, 1, 2), date(2026, 1, 2), None],
            "disposed_on": [None, date(2026, 2, 3), None, None],
        }
    )
    told = history(clean["service_orders"], cars, AS_OF)
    assert told.days.to_dict("records") == [{"vin": "LSVAA4081E2000001", "day": day("2026-05-01"), "yuan": 15.0}]
    assert told.gone.to_dict() == {"B": day("2026-02-03")}


def test_samples_of_groups_add_up():
    rows = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, 2.0, 5.0]})
    assert set(clustered(rows, "g", ["x"])[:, 0]) <= {6.0, 8.0, 10.0}
    assert clustered(rows.head(0), "g", ["x"]).shape == (400, 1)


def test_small_moves_are_not_given_away_by_the_total():
    hidden = views._hidden(pd.Series({"a": 40, "b": 2, "c": 7, "d": 0}))
    assert hidden.to_dict() == {"a": False, "b": True, "c": True, "d": False}
    assert not views._hidden(pd.Series({"a": 40, "b": 0})).any()


def test_curves_show_names_and_numbers_at_risk():
    frame = pd.DataFrame(
        {"name": ["A", "A", "B", "B"], "month": [0, 1, 0, 1], "away": [1, 0.5, 1, 0.6], "at_risk": [50, 20, 40, 1]}
    )
    texts = charts.texts(charts.curves(frame, T, group="name", n="at_risk"))
    assert {"A", "B", "50", "20", "40"} <= set(texts)
    assert charts.texts(charts.curves(frame.head(0), T)) == ["nothing to show"]


def test_with_labels_shuffled_the_rule_is_used(monkeypatch):
    told, real = crowd(n=500, seed=4), churn.labelled

    def shuffled(*given):
        rows = real(*given)
        return rows.assign(is_lost=np.random.default_rng(0).permutation(rows["is_lost"]))

    monkeypatch.setattr(churn, "labelled", shuffled)
    study = looked(told).churn
    assert study.works and study.evaluation.used == "rule"
    assert study.evaluation.verdict in (propensity.NO_BETTER, propensity.WORSE)


def test_the_summary_says_of_those_still_away_what_the_curve_says():
    known = dict.fromkeys(("warning_days", "warning_gone_share", "return_never_share"), 0.2)
    known |= {"lost_cars_count": 9, "lost_yuan_12m": 5.0}
    stages_ = {"stage_new_exit_share": 0.1, "stage_in_use_exit_share": 0.3}
    for more in ({}, stages_, {"top_lost_is_clear": True}, {"warning_gone_share": None}):
        facts = {name: {"value": value} for name, value in (known | more).items()}
        named = [name for name, _ in fields(summary.headline(facts)[1])]
        assert ("warning_gone_share" in named) == (facts["warning_gone_share"]["value"] is not None)


@pytest.mark.parametrize(
    ("best", "used", "low", "says_why", "says_interval"),
    [
        (None, None, None, False, False),
        (0.74, True, 0.03, False, False),
        (0.74, False, 0.03, True, False),
        (0.74, False, -0.01, False, True),
    ],
)
def test_the_summary_names_the_interval_as_the_reason_only_where_it_is(best, used, low, says_why, says_interval):
    known = {"churn_auc_best": best, "churn_model_used": used, "churn_auc_gain_low": low}
    named = [name for name, _ in fields(summary.model_trust({n: {"value": v} for n, v in known.items()}))]
    assert ("churn_verdict" in named, "churn_auc_gain_high" in named) == (says_why, says_interval)


@pytest.mark.parametrize(("both", "told"), [(0, False), (3, False), (20, True), (38, False), (40, True)])
def test_how_many_are_called_already_is_not_told_of_few(both, told):
    known = {"past_warning_reachable_count": 0, "top_lost_is_clear": False, "at_risk_unreachable_count": 0}
    known |= {"at_risk_reachable_count": 40, "at_risk_reachable_yuan": 9.0, "at_risk_waiting_count": both}
    (step,) = says.first_steps({name: {"value": value} for name, value in known.items()})
    assert ("at_risk_waiting_count" in step[2]) == told and "the yuan" in step[2]
    known["at_risk_reachable_yuan"] = None
    (step,) = says.first_steps({name: {"value": value} for name, value in known.items()})
    assert step[1] == "" and "yuan" not in step[2]


class _Model:
    class scorecard:
        variables = ()


def test_drift_by_hand_and_only_beyond_chance():
    before = pd.DataFrame({"recency_days": np.arange(1000) % 100})
    same, moved = before.sample(500, random_state=1), pd.DataFrame({"recency_days": np.arange(500) % 20})
    steady = drift.drift(_Model, before, same, "recency_days")
    assert steady["verdict"].tolist() == ["steady"] and steady["index"][0] < steady["bound"][0]
    assert drift.facts(steady)["drift_moved_count"][0] == 0 and "none of" in drift.said(steady)
    (far,) = drift.drift(_Model, before, moved, "recency_days").to_dict("records")
    # 200, 200, 200, 200, 200 of 1000 against 500, 0, 0, 0, 0 of 500; half a case more in every bin, one empty in both.
    p, q = np.full(5, 200.5 / 1002.5), np.array([500.5, 0.5, 0.5, 0.5, 0.5]) / 502.5
    assert far["index"] == pytest.approx(((q - p) * np.log(q / p)).sum(), abs=1e-4) and far["verdict"] == "moved far"
    assert drift.drift(_Model, before, moved.head(29), "recency_days").empty
