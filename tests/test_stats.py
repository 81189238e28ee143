from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dealerkit.stats import (
    MEASURES,
    Columns,
    auc,
    calibration_table,
    discretise,
    discretise_all,
    false_discovery,
    group_draws,
    information_value,
    leakage,
    logistic,
    measures,
    psi,
    wilson,
    woe,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.tree import DecisionTreeClassifier

SHARES = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_reaches_the_published_intervals():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    low, high = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert low.round(4).tolist() == [0.2553, 0.0624, 0.0, 0.0061]
    assert high.round(4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]


def test_wilson_by_hand_at_one_standard_error():
    # z = 1: (k + 1/2 ± sqrt(k(n−k)/n + 1/4)) / (n + 1), for 4 of 8 (4.5 ± 1.5) / 9
    low, high = wilson(4, 8, level=0.6826894921370859)
    assert (low, high) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_wilson_of_nobody_is_unknown_and_the_extremes_are_exact():
    low, high = wilson([0, 0, 7], [0, 7, 7])
    np.testing.assert_array_equal(np.isnan(low), [True, False, False])
    np.testing.assert_array_equal(np.isnan(high), [True, False, False])
    assert low[1] == 0 and high[2] == 1


@pytest.mark.parametrize(("k", "n"), [(2, 1), (-1, 5), (np.nan, 5), (1, np.inf)])
def test_wilson_refuses_what_is_no_share(k, n):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson(k, n)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels_are_shares(level):
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, level)


@settings(deadline=None)
@given(SHARES, st.floats(0.5, 0.999))
def test_wilson_encloses_the_share_and_mirrors(share, level):
    k, n = share
    low, high = wilson(k, n, level)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    mirrored = wilson(n - k, n, level)
    np.testing.assert_allclose(mirrored, (1 - high, 1 - low), atol=1e-12)


@settings(deadline=None)
@given(SHARES, st.floats(0.5, 0.98))
def test_wilson_is_monotone_in_cases_level_and_size(share, level):
    k, n = share
    low, high = wilson(k, n, level)
    wider = wilson(k, n, level + 0.01)
    assert wider[0] <= low and high <= wider[1]
    if k < n:
        more = wilson(k + 1, n, level)
        assert low < more[0] and high < more[1]
    larger = wilson(10 * k, 10 * n, level)
    assert low <= larger[0] + 1e-12 and larger[1] - 1e-12 <= high


def test_false_discovery_reaches_the_published_example():
    # Benjamini, Hochberg 1995, section 4.1: of these 15 p-values the first four are rejected at 5 %
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    adjusted = false_discovery([*p, 0.7590, 1.0])
    assert (adjusted <= 0.05).tolist() == [True] * 4 + [False] * 11
    # by hand: .0095·15/4 = .035625; .0201·15/5 = .0603; the fifth to seventh .0298·15/7 = .063857 or less
    np.testing.assert_allclose(
        adjusted[:7], [0.0015, 0.003, 0.0095, 0.035625, 0.0603, 0.0298 * 15 / 7, 0.0298 * 15 / 7]
    )


def test_false_discovery_leaves_missing_tests_out_and_keeps_the_order_given():
    np.testing.assert_allclose(false_discovery([0.04, np.nan, 0.01]), [0.04, np.nan, 0.02])
    assert false_discovery([]).size == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        false_discovery([1.2])


def test_psi_by_hand():
    # (.5 − .25)·ln 2 + (.5 − .75)·ln(2/3); χ² of one degree at 95 % is 3.841459
    drift = psi([25, 75], [50, 50])
    assert drift.value == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))
    assert drift.bound == pytest.approx(3.841459 * (1 / 100 + 1 / 100))
    assert drift.verdict == "moved far"


def test_psi_judges_by_the_size_of_the_samples():
    assert psi([10, 20, 10], [13, 17, 10]).verdict == "steady"
    assert psi([10_000, 20_000, 10_000], [13_000, 17_000, 10_000]).verdict == "moved a little"
    assert np.isfinite(psi([50, 50, 0], [50, 40, 10]).value)
    assert psi([5, 0], [7, 0]) == psi([5], [7])
    for before, after in (([1, 2], [1]), ([0, 0], [1, 2]), ([-1, 3], [1, 1])):
        with pytest.raises(ValueError, match="same bins|no sample"):
            psi(before, after)


def test_psi_of_one_population_stays_within_its_bound_as_often_as_said():
    rng, shares = np.random.default_rng(5), [0.1, 0.2, 0.3, 0.25, 0.15]
    pairs = zip(rng.multinomial(800, shares, size=4000), rng.multinomial(300, shares, size=4000))
    within = np.mean([psi(a, b).verdict == "steady" for a, b in pairs])
    assert 0.94 < within < 0.96


def test_numbers_are_cut_where_the_outcome_changes_and_at_round_numbers():
    values = np.arange(1000) / 10
    binning = discretise(values, (values >= 30.3) & (values < 70.2), "x", most_bins=3)
    assert binning.cuts == (30.0, 70.0)
    assert binning.assign([29.99, 30, 69.9, 70, None, np.inf]).tolist() == [0, 1, 1, 2, 3, 3]
    expected = pd.DataFrame(
        {
            "bin": [0, 1, 2, 3],
            "low": [np.nan, 30.0, 70.0, np.nan],
            "high": [30.0, 70.0, np.nan, np.nan],
            "categories": [""] * 4,
            "is_missing": [False, False, False, True],
            "is_rest": [False] * 4,
        }
    )
    pd.testing.assert_frame_equal(binning.table(), expected)


def test_whole_numbers_are_cut_at_whole_numbers():
    values = np.repeat([0, 1, 2, 3, 4], 100)
    assert discretise(values, values >= 3).cuts == (3.0,)
    assert discretise(values, most_bins=2).cuts == (2.0,)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([0.0, 1.5, 2.25, 7.0, 40.0, 1e6, np.nan]), min_size=1, max_size=300), st.integers(1, 40)
)
def test_no_bin_is_smaller_than_stated_and_every_value_has_one(values, smallest):
    outcome = np.arange(len(values)) % 3 == 0
    for y in (None, outcome):
        binning = discretise(np.array(values), y, min_rows=smallest)
        n = np.bincount(binning.assign(values), minlength=binning.count)
        assert n.sum() == len(values) and n[-1] == np.isnan(values).sum()
        assert len(n) == 2 or n[:-1].min() >= smallest
        assert list(binning.cuts) == sorted(set(binning.cuts))


def test_categories_keep_the_large_ones_and_pool_the_rest():
    values = ["b"] * 50 + ["a"] * 60 + ["c"] * 20 + ["d"] * 15 + [None] * 5
    binning = discretise(values, name="x", min_rows=30)
    assert binning.groups == (("a",), ("b",), ("c", "d"))
    assert binning.assign(["d", "a", "never seen", None]).tolist() == [2, 0, 2, 3]
    # a rest that would be too small takes in the smallest of the large ones
    assert discretise(["a"] * 60 + ["b"] * 40 + ["c"] * 3, min_rows=30).groups == (("a",), ("b", "c"))
    # without a rest, what was never seen counts as missing
    assert discretise(["a"] * 60 + ["b"] * 40).assign(["z"]).tolist() == [2]


@pytest.mark.parametrize("most_bins", [2, 5, 8])
def test_cuts_are_those_of_a_decision_tree(most_bins):
    # each whole number holds 2.5 % of the rows, so that no cut is moved to a rounder one
    rng = np.random.default_rng(4)
    for _case in range(20):
        x = np.repeat(np.arange(40), 10)
        y = (rng.random(400) < 0.2 + 0.3 * (x > 12) + 0.2 * (np.abs(x - 25) < 5)).astype(int)
        share = y.mean()
        tree = DecisionTreeClassifier(
            max_leaf_nodes=most_bins, min_samples_leaf=30, min_impurity_decrease=8 * share * (1 - share) / 400
        ).fit(x[:, None], y)
        cuts = np.sort(np.ceil(tree.tree_.threshold[tree.tree_.feature == 0]))
        assert list(discretise(x, y, most_bins=most_bins, min_rows=30).cuts) == cuts.tolist()


def test_columns_cut_together_are_cut_as_if_alone():
    rng = np.random.default_rng(8)
    n = 1200
    rows = pd.DataFrame(
        {
            "days": rng.gamma(2, 100, n).round(1),
            "visits": rng.poisson(2, n),
            "series": rng.choice(["A", "B", "C", None], n),
            "empty": np.nan,
            "one": 7,
        }
    ).mask(rng.random((n, 5)) < 0.1)
    y = (rng.random(n) < 0.1 + 0.4 * (rows["days"] > 200) + 0.2 * (rows["series"] == "B")).astype(int).to_numpy()
    some = rng.random(n) < 0.7
    columns = Columns.of(rows, list(rows)).taken(some)
    together = discretise_all(columns, y[some])
    alone = [discretise(rows.loc[some, name], y[some], name) for name in rows]
    assert together == alone and len(together[0].cuts) and len(together[2].groups) == 3
    bins, first = columns.bins(together)
    n_bins = np.bincount(bins, columns.counts(), first[-1])
    events = np.bincount(bins, columns.counts(y[some]), first[-1])
    for j, binning in enumerate(together):
        codes = binning.assign(rows.loc[some, binning.factor])
        assert n_bins[first[j] : first[j + 1]].tolist() == np.bincount(codes, minlength=binning.count).tolist()
        assert events[first[j] : first[j + 1]].sum() == y[some].sum()
    assert discretise_all(columns.only(["series", "days"]), y[some]) == [alone[2], alone[0]]


def test_weights_of_evidence_by_hand():
    # bin 0: 1 of 4, bin 1: 3 of 4, bin 2 empty; four average rows thought in: rates 3/8, 5/8, 1/2; average 1/2
    made = woe([0, 0, 0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1, 0], 3, prior_rows=4)
    low, high = wilson([1, 3, 0], [4, 4, 0])
    weight = np.log(5 / 3)
    expected = pd.DataFrame(
        {
            "bin": [0, 1, 2],
            "n": [4, 4, 0],
            "events": [1, 3, 0],
            "rate": [0.25, 0.75, np.nan],
            "low": low,
            "high": high,
            "woe": [-weight, weight, 0.0],
            "iv": [weight / 2, weight / 2, 0.0],
        }
    )
    pd.testing.assert_frame_equal(made, expected, check_exact=False)
    with pytest.raises(ValueError, match="both 0 and 1"):
        woe([0, 0], [1, 1], 1)


def test_information_value_is_the_published_sum_without_smoothing():
    codes, y = np.repeat([0, 1], [100, 100]), np.repeat([1, 0, 1, 0], [20, 80, 60, 40])
    by_hand = (20 / 80 - 80 / 120) * np.log((20 / 80) / (80 / 120)) + (60 / 80 - 40 / 120) * np.log(
        (60 / 80) / (40 / 120)
    )
    assert information_value(codes, y, 2, prior_rows=0) == pytest.approx(by_hand)
    assert information_value(codes, y, 2) < by_hand
    pure = information_value(codes, codes, 2)
    assert np.isfinite(pure) and pure > by_hand


def test_logistic_regression_finds_the_log_odds_and_their_errors():
    # 1 of 4 without, 3 of 4 with: constant −log 3, weight 2·log 3; the variance of log-odds is 1/events + 1/others
    x, y = np.repeat([0.0, 1.0], 4), np.array([1, 0, 0, 0, 1, 1, 1, 0])
    beta, curvature = logistic(np.column_stack([np.ones(8), x]), y, [0, 0])
    np.testing.assert_allclose(beta, [-np.log(3), 2 * np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(np.diag(np.linalg.inv(curvature)), [4 / 3, 8 / 3], rtol=1e-6)
    # a penalty draws to 0, and keeps finite what has no end
    drawn, _curvature = logistic(np.column_stack([np.ones(8), x]), x, [0, 0], [1e-10, 1.0])
    assert 1 < drawn[1] < 10


def test_auc_by_hand():
    # of the six pairs, 0.9 > all three; 0.4 ties with one, beats one, loses to one: (3 + 1.5) / 6
    assert auc([1, 1, 0, 0, 0], [0.9, 0.4, 0.5, 0.4, 0.1]) == pytest.approx(4.5 / 6)
    assert np.isnan(auc([1, 1], [0.2, 0.3]))


def test_measures_by_hand():
    y, p = np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2])
    values, samples = measures(y, {"a": p}, list("wxyz"), 0)
    assert samples.shape == (1, 0, len(MEASURES))
    found = values.loc["a"]
    assert found["auc"] == pytest.approx(3 / 4)
    assert found["average_precision"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert found["brier"] == pytest.approx((0.04 + 0.36 + 0.36 + 0.04) / 4)
    assert found["expected_observed"] == pytest.approx(1)
    # the top tenth is 0.4 of the first row: its rate is 1, the average 1/2
    assert found["lift_tenth"] == pytest.approx(2)


def test_probabilities_that_hold_are_calibrated_and_overconfident_ones_are_not():
    rng = np.random.default_rng(11)
    x = rng.normal(size=40_000)
    y = rng.random(40_000) < expit(0.3 + x)
    values, samples = measures(y, {"true": expit(0.3 + x), "bold": expit(0.3 + 2 * x)}, np.arange(40_000), 60, seed=1)
    assert values.loc["true", "slope"] == pytest.approx(1, abs=0.04)
    assert values.loc["true", "intercept"] == pytest.approx(0, abs=0.04)
    assert values.loc["bold", "slope"] == pytest.approx(0.5, abs=0.02)
    assert values.loc["bold", "calibration"] > 3 * values.loc["true", "calibration"]
    # the spread of the slope in samples is its standard error, 1/√Σ v(x−x̄)²
    v = expit(0.3 + x) * (1 - expit(0.3 + x))
    error = 1 / np.sqrt(np.sum(v * (x - np.average(x, weights=v)) ** 2))
    assert samples[0, :, MEASURES.index("slope")].std() == pytest.approx(error, rel=0.3)


def test_samples_of_measures_are_those_of_rows_repeated():
    rng = np.random.default_rng(8)
    p = rng.random(60).round(1)
    y, groups = (rng.random(60) < p).astype(int), np.repeat(np.arange(20), 3)
    _values, samples = measures(y, {"a": p}, groups, 5, seed=3)
    draws = np.concatenate(list(group_draws(groups, 5, seed=3))).astype(int)
    for drawn, sample in zip(draws, samples[0]):
        again = measures(np.repeat(y, drawn), {"a": np.repeat(p, drawn)}, np.arange(drawn.sum()), 0)[0].loc["a"]
        np.testing.assert_allclose(sample[[0, 1, 2, 5, 6, 7]], again.iloc[[0, 1, 2, 5, 6, 7]], atol=1e-9)
        # slope and intercept are one step away from the sample's own
        np.testing.assert_allclose(sample[[3, 4]], again.iloc[[3, 4]], atol=0.35)


def test_groups_are_drawn_whole_and_in_any_order_alike():
    groups = np.array(["b", "a", "b", "c"])
    draws = np.concatenate(list(group_draws(groups, 200, seed=0)))
    np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
    assert (draws[:, 0] + draws[:, 1] + draws[:, 3] == 3).all()
    turned = np.concatenate(list(group_draws(groups[::-1], 200, seed=0)))
    np.testing.assert_array_equal(turned[:, ::-1], draws)


def test_calibration_table_by_hand():
    made = calibration_table([0, 0, 1, 1, 0, 1], [0.1, 0.1, 0.1, 0.6, 0.6, 0.9], bins=2)
    low, high = wilson([1, 2], [3, 3])
    expected = pd.DataFrame(
        {
            "bin": [1, 2],
            "n": [3, 3],
            "events": [1, 2],
            "predicted": [0.1, 0.7],
            "observed": [1 / 3, 2 / 3],
            "low": low,
            "high": high,
        }
    )
    pd.testing.assert_frame_equal(made, expected)


def test_leakage_names_what_knows_the_outcome_and_why():
    rng, n = np.random.default_rng(4), 2000
    y = (rng.random(n) < 0.3).astype(int)
    rows = pd.DataFrame(
        {
            "y": y,
            "origin": pd.Timestamp("2024-01-01"),
            "honest": y + rng.normal(size=n),
            "disguised": np.where(y == 1, 2, 5) + rng.normal(0, 0.3, size=n),
            "reason_of_leaving": np.where((y == 1) & (rng.random(n) < 0.2), "moved", None),
            "points_count": rng.integers(0, 9, n),
            "empty_late": np.nan,
            "code": rng.choice(list("abc"), n),
        }
    )
    features = [name for name in rows if name not in ("y", "origin")]
    made = leakage(rows, features, "y", known_late=["points_count", "empty_late"]).set_index("factor")
    assert made["suspected"].to_dict() == {
        "honest": False,
        "disguised": True,
        "reason_of_leaving": True,
        "points_count": True,
        "empty_late": False,
        "code": False,
    }
    assert made["reason"].nunique() == 4
    assert made.loc["disguised", "reason"] == "tells the outcome too well alone"
    assert made.loc["points_count", "reason"].startswith("known only at delivery")
    # at the day of delivery itself, what is known then may be used
    served = leakage(rows, ["points_count"], "y", known_late=["points_count"], as_of=pd.Timestamp("2024-01-01"))
    assert not served["suspected"].any()
    # an outcome that does not vary tells nothing of factors
    assert leakage(rows.assign(y=0), ["honest"], "y")["auc"].isna().all()
