from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dealerkit import propensity, stats
from dealerkit.propensity import Untrainable, evaluate, fit, points, reasons, score
from dealerkit.propensity.evaluate import TREES_RANK, _verdict
from dealerkit.propensity.scorecard import fit_scorecard
from dealerkit.propensity.trees import calibration, fit_rule
from scipy.special import expit, logit

FEATURES = ["recency_days", "visits", "age", "series", "noise"]


def customers(n: int, seed: int, shuffled: bool = False) -> pd.DataFrame:
    """Rows of one origin whose loss depends on recency, visits, age (both ends) and series, and not on noise."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "person_id": rng.integers(0, n * 3 // 4, n).astype(str),
            "vin": np.arange(n),
            "recency_days": rng.gamma(2, 120, n).round(),
            "visits": rng.poisson(3, n),
            "age": rng.normal(45, 12, n).round(),
            "series": rng.choice(["A", "B", "C"], n, p=[0.5, 0.3, 0.2]),
            "noise": rng.normal(size=n),
        }
    )
    line = rows["recency_days"] / 250 - 0.4 * rows["visits"] + ((rows["age"] - 45) / 12) ** 2 / 2
    line += rows["series"].map({"A": 0, "B": 0.8, "C": -0.8}) - 1
    rows["is_lost"] = (rng.random(n) < expit(line)).astype(int)
    if shuffled:
        rows["is_lost"] = rng.permutation(rows["is_lost"].to_numpy())
    rows.loc[rng.random(n) < 0.1, "age"] = np.nan
    return rows


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    return customers(3000, 1)


@pytest.fixture(scope="module")
def later() -> pd.DataFrame:
    return customers(2000, 2)


@pytest.fixture(scope="module")
def model(train) -> propensity.Propensity:
    return fit(train, FEATURES, "is_lost", "recency_days")


@pytest.fixture(scope="module")
def result(model, later) -> propensity.Evaluation:
    return evaluate(model, later, repeats=100)


def test_a_real_signal_beats_the_rule_and_says_so(result):
    assert result.used == result.best != "rule" and result.beats_rule
    assert result.verdict in (propensity.SCORECARD_USED, propensity.TREES_USED, TREES_RANK)
    gain, low, high = result.gain("auc")
    assert 0 < low < gain < high
    assert (result.rows, result.repeats) == (2000, 100)


def test_figures_of_the_test_are_those_of_the_test_rows(result, model, later):
    y, p = later["is_lost"], score(model, later, "scorecard")
    value, low, high = result.value("auc", "scorecard")
    assert value == pytest.approx(stats.auc(y, p), abs=1e-6) and low < value < high
    assert result.value("brier", "scorecard")[0] == pytest.approx(((p - y) ** 2).mean(), abs=1e-6)
    assert result.value("expected_observed", "scorecard")[0] == pytest.approx(p.sum() / y.sum(), abs=1e-5)
    assert set(result.measures["model"]) == set(propensity.MODELS)
    assert result.measures["measure"].unique().tolist() == list(stats.MEASURES)
    table = result.calibration
    assert (table.groupby("model")["n"].sum() == 2000).all()
    assert table.groupby("model")["events"].sum().unique().tolist() == [y.sum()]


def test_models_are_calibrated_out_of_time(result):
    for name in ("scorecard", "trees"):
        assert 0.85 < result.value("slope", name)[0] < 1.15
        assert 0.9 < result.value("expected_observed", name)[0] < 1.1


def test_the_interval_of_a_measure_covers_what_is_true(model):
    # the AUC on very many rows is the truth that intervals from small tests should hold 95 times in 100
    many = customers(60_000, 77)
    truth = stats.auc(many["is_lost"], score(model, many))
    held = 0
    for seed in range(40):
        rows = customers(600, 1000 + seed)
        _values, samples = stats.measures(
            rows["is_lost"], {"s": score(model, rows)}, rows["person_id"], 200, seed, which=("auc",)
        )
        low, high = np.quantile(samples[0, :, 0], [0.025, 0.975])
        held += low <= truth <= high
    assert held >= 34


@pytest.mark.parametrize(("shuffled", "seeds"), [(False, 4), (True, 20)])
def test_models_beat_the_rule_on_signal_and_not_on_shuffled_outcomes(shuffled, seeds):
    used = []
    for seed in range(seeds):
        made = fit(customers(900, 10 + seed, shuffled), FEATURES, "is_lost", "recency_days", seed=seed)
        used.append(evaluate(made, customers(900, 500 + seed, shuffled), repeats=60).used)
    assert used.count("rule") >= 19 if shuffled else "rule" not in used


def test_a_shuffled_outcome_is_reported_as_no_better():
    made = fit(customers(1500, 3, shuffled=True), FEATURES, "is_lost", "recency_days")
    found = evaluate(made, customers(1500, 4, shuffled=True), repeats=100)
    assert found.used == "rule" and not found.beats_rule
    assert found.verdict in (propensity.NO_BETTER, propensity.WORSE)


def _compared(trees_auc, trees_calibration, rule_auc=(0.02, 0.01, 0.03), brier=(0.01, 0.0, 0.02), held=0.01):
    rows = [(m, "rule", "auc", *rule_auc) for m in ("scorecard", "trees")]
    rows += [(m, "rule", "brier", *brier) for m in ("scorecard", "trees")]
    rows += [("trees", "scorecard", "auc", *trees_auc), ("trees", "scorecard", "calibration", *trees_calibration)]
    gains = pd.DataFrame(rows, columns=["model", "against", "measure", "gain", "low", "high"])
    return _verdict(gains, pd.DataFrame({"model": ["scorecard", "trees"], "gain_low": held}))


def test_the_choice_follows_its_rule():
    equal, better, worse = (0.0, -0.01, 0.01), (0.02, 0.01, 0.03), (-0.02, -0.03, -0.01)
    assert _compared(equal, equal) == ("scorecard", "scorecard", propensity.SCORECARD_USED)
    assert _compared(better, worse) == ("trees", "trees", TREES_RANK)
    assert _compared(equal, better) == ("trees", "trees", propensity.TREES_USED)
    assert _compared(worse, better) == ("scorecard", "scorecard", propensity.SCORECARD_USED)
    assert _compared(equal, equal, rule_auc=equal) == ("rule", "scorecard", propensity.NO_BETTER)
    assert _compared(equal, equal, rule_auc=worse) == ("rule", "scorecard", propensity.WORSE)
    assert _compared(equal, equal, brier=worse) == ("rule", "scorecard", propensity.FURTHER_OFF)
    assert _compared(equal, equal, held=-0.001) == ("rule", "scorecard", propensity.UNSTEADY)
    unknown = (np.nan, np.nan, np.nan)
    assert _compared(equal, equal, rule_auc=unknown) == ("rule", "scorecard", propensity.NO_BETTER)
    assert _compared(equal, equal, brier=unknown) == ("rule", "scorecard", propensity.FURTHER_OFF)
    assert _compared(equal, equal, held=np.nan) == ("rule", "scorecard", propensity.UNSTEADY)


def test_the_score_is_the_sum_of_its_points_table(model, later):
    table = points(model)
    total = np.full(len(later), model.scorecard.constant)
    for variable in model.scorecard.variables:
        own = table[table["factor"] == variable.binning.factor].set_index("bin")
        codes = variable.binning.assign(later[variable.binning.factor])
        total += (own["weight"] * own["woe"]).loc[codes].to_numpy()
    np.testing.assert_allclose(score(model, later), 1 / (1 + np.exp(-total)), atol=1e-6)
    assert table["points"].min() == 0
    assert table.groupby("factor")["points"].max().sum() == pytest.approx(100, abs=len(model.scorecard.variables))
    assert (table.groupby("factor")["n"].sum() == 3000).all()
    assert "noise" not in set(table["factor"])


def test_points_rise_with_the_probability(model, later):
    made = pd.DataFrame({"points": points(model, later), "p": score(model, later)}).sort_values("p")
    assert made["points"].is_monotonic_increasing and made["points"].between(0, 100).all()


def test_reasons_are_the_largest_contributions_above_the_average(model, later):
    made = reasons(model, later.head(50), top=2)
    parts = model.scorecard.parts(later.head(50))
    means = [np.average(v.parts, weights=v.n) for v in model.scorecard.variables]
    above = np.round(parts - means, 4)
    for row, found in made.groupby("row"):
        want = np.sort(above[row][above[row] > 0])[::-1][:2]
        np.testing.assert_allclose(found["contribution"], want)
        assert found["rank"].tolist() == list(range(1, len(want) + 1))
    assert made["contribution"].gt(0).all()
    assert len(reasons(model, later.head(0))) == 0


def test_known_weights_are_recovered():
    # two independent factors of two values each: the weights of evidence are the log-odds themselves, so weights are 1
    rng = np.random.default_rng(6)
    rows = pd.DataFrame({"a": rng.integers(0, 2, 40_000), "b": rng.integers(0, 2, 40_000)})
    y = (rng.random(40_000) < expit(-1 + 1.5 * rows["a"] + 0.7 * rows["b"])).astype(float)
    card = fit_scorecard(stats.Columns.of(rows, ["a", "b"]), y.to_numpy())
    spans = {v.binning.factor: np.ptp(v.parts[:2]) for v in card.variables}
    assert spans == {"a": pytest.approx(1.5, abs=0.06), "b": pytest.approx(0.7, abs=0.06)}
    probe = pd.DataFrame({"a": [0, 1], "b": [0, 1]})
    np.testing.assert_allclose(card.log_odds(probe), [-1, 1.2], atol=0.07)


def test_the_rule_is_monotone_and_keeps_a_rate_for_the_missing():
    rng = np.random.default_rng(9)
    days = rng.integers(0, 700, 8000).astype(float)
    y = (rng.random(8000) < 0.1 + days / 1000).astype(float)
    days[:400] = np.nan
    y[:400] = np.arange(400) % 4 == 0
    rule = fit_rule(pd.DataFrame({"d": days}), "d", y)
    p = expit(rule.log_odds(pd.DataFrame({"d": [0, 100, 350, 600, 699, np.nan]})))
    assert (np.diff(p[:5]) >= 0).all()
    np.testing.assert_allclose(p[1:4], [0.2, 0.45, 0.7], atol=0.05)
    assert p[5] == pytest.approx(0.25, abs=0.01)
    falling = fit_rule(pd.DataFrame({"d": -days}), "d", y)
    assert falling.probability[0] > falling.probability[-1]


def test_calibration_undoes_overconfidence_and_leaves_the_calibrated_alone():
    rng = np.random.default_rng(12)
    x = rng.normal(size=20_000)
    y = (rng.random(20_000) < expit(x - 0.5)).astype(float)
    assert calibration(x - 0.5, y) == (0.0, 1.0)
    intercept, slope = calibration(2 * x, y)
    assert (intercept, slope) == (pytest.approx(-0.5, abs=0.06), pytest.approx(0.5, abs=0.03))
    assert calibration(-x, y) == (pytest.approx(logit(y.mean())), 0.0)


def test_rows_of_a_person_share_a_fold_and_held_back_rows_flatter_nobody(train):
    # every row thrice: with folds by row, trees would know the answer of two thirds of the rows held back
    rows = pd.concat([train.head(600)] * 3, ignore_index=True)
    rows["is_lost"] = np.tile(np.random.default_rng(1).integers(0, 2, 600), 3)
    rows["vin"] = np.arange(len(rows))
    made = fit(rows, FEATURES, "is_lost", "recency_days")
    assert stats.auc(made.held_back["outcome"], made.held_back["trees"]) < 0.6


def test_leaks_are_left_out_and_named(train):
    rng = np.random.default_rng(5)
    leaky = train.assign(
        next_visit=np.where(train["is_lost"] == 1, np.nan, 1) * rng.random(len(train)),
        points_count=rng.integers(0, 5, len(train)),
        constant=7,
    )
    made = fit(
        leaky,
        [*FEATURES, "next_visit", "points_count", "constant"],
        "is_lost",
        "recency_days",
        known_late=["points_count"],
    )
    assert set(made.left_out["factor"]) == {"next_visit", "points_count", "constant"}
    assert made.features == tuple(FEATURES)
    assert made.leakage.set_index("factor")["suspected"].to_dict()["recency_days"] is False


def test_the_same_rows_in_any_order_give_the_same_model(train, later, model, result):
    again = fit(train.sample(frac=1, random_state=3), FEATURES, "is_lost", "recency_days")
    pd.testing.assert_frame_equal(points(again), points(model))
    turned = later.sample(frac=1, random_state=4)
    for name in propensity.MODELS:
        pd.testing.assert_series_equal(score(again, turned, name).sort_index(), score(model, later, name))
    found = evaluate(again, turned, repeats=100)
    pd.testing.assert_frame_equal(found.measures, result.measures)
    pd.testing.assert_frame_equal(found.gains, result.gains)


def test_a_row_scores_alike_alone_and_among_others(model, later):
    for name in propensity.MODELS:
        whole = score(model, later, name)
        assert score(model, later.iloc[[17]], name).iloc[0] == whole.iloc[17]
    assert len(score(model, later.head(0))) == 0


def test_values_never_seen_and_missing_ones_get_a_score(model):
    strange = pd.DataFrame(
        {
            "recency_days": [np.nan, 1e9],
            "visits": [np.inf, -3],
            "age": [np.nan] * 2,
            "series": ["Z", None],
            "noise": [0, 0],
        }
    )
    for name in propensity.MODELS:
        assert score(model, strange, name).between(0, 1).all()


def test_a_factor_known_of_one_person_only_is_no_obstacle(train):
    """Then nobody of the other folds has it: rare attributes, few years of history."""
    rows = train.assign(rare=train["visits"].where(train["person_id"] == train["person_id"].iloc[0]))
    rows.loc[rows.index[0], "rare"] = 1.0
    made = fit(rows, [*FEATURES, "rare"], "is_lost", "recency_days")
    assert "rare" in made.features
    known, unknown = score(made, rows.assign(rare=5.0), "trees"), score(made, rows.assign(rare=np.nan), "trees")
    assert known.between(0, 1).all() and unknown.corr(known) > 0.99


def test_above_the_largest_sample_whole_persons_are_drawn(train):
    made = fit(train, FEATURES, "is_lost", "recency_days", largest_sample=1500)
    assert (made.rows_given, made.events) == (3000, made.held_back["outcome"].sum())
    assert 1450 <= made.rows <= 1500
    kept = set(made.held_back["group"])
    assert train["person_id"].isin(kept).sum() == made.rows


def test_what_cannot_be_learnt_is_refused_with_its_reason(train, model, later):
    def told(rows, features=FEATURES):
        found = fit(rows, features, "is_lost", "recency_days")
        assert isinstance(found, Untrainable) and found.where == "training"
        return found.reason

    assert told(train.head(0)) == propensity.NO_ROWS
    assert told(train.assign(is_lost=0)) == propensity.NO_EVENTS
    assert told(train.assign(is_lost=1)) == propensity.ALL_EVENTS
    few = train.assign(is_lost=(np.arange(3000) < 29).astype(int))
    assert told(few) == propensity.FEW_EVENTS
    assert told(few.assign(is_lost=1 - few["is_lost"])) == propensity.FEW_OTHERS
    assert told(train.assign(**dict.fromkeys(FEATURES, 1))) == propensity.NOTHING_VARIES
    assert told(train, []) == propensity.NOTHING_VARIES
    assert told(train.assign(person_id="one")) in (propensity.FEW_EVENTS, propensity.FEW_OTHERS)
    refused = evaluate(model, later.head(0))
    assert refused == Untrainable(propensity.NO_ROWS, 0, 0, "test")
    assert evaluate(model, later.assign(is_lost=1)) == Untrainable(propensity.ALL_EVENTS, 2000, 2000, "test")


def test_factors_that_tell_nothing_give_the_average_and_no_reasons():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"person_id": np.arange(2000).astype(str), "x": rng.normal(size=2000)})
    rows["is_lost"] = (rng.random(2000) < 0.3).astype(int)
    made = fit(rows, ["x"], "is_lost", "x")
    assert made.scorecard.variables == () and points(made).empty and reasons(made, rows).empty
    np.testing.assert_allclose(score(made, rows), rows["is_lost"].mean(), atol=0.03)
    assert evaluate(made, rows, repeats=40).used == "rule"


def test_mistakes_of_the_caller_are_told(train, model):
    with pytest.raises(ValueError, match="no column absent"):
        fit(train, ["absent"], "is_lost", "recency_days")
    with pytest.raises(ValueError, match="must be 0 or 1"):
        fit(train.assign(is_lost=2), FEATURES, "is_lost", "recency_days")
    with pytest.raises(ValueError, match="none of"):
        score(model, train, "oracle")
    with pytest.raises(ValueError, match="no column"):
        score(model, train.drop(columns="visits"))


def test_rows_without_an_outcome_do_not_count(train):
    unknown = train.assign(is_lost=train["is_lost"].astype("Int64").where(train.index % 2 == 0))
    assert fit(unknown, FEATURES, "is_lost", "recency_days").rows == 1500
