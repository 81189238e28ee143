from __future__ import annotations

import itertools

import numpy as np
import pytest
from dealerkit.stats import bootstrap_interval, wilson
from hypothesis import given, settings
from hypothesis import strategies as st

SHARES = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40)


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
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval([1.0], "mean", level=level)


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


@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        ("mean", [1, 2, 4, 8]),
        ("median", [1, 2, 4, 8]),
        ("median", [1, 2, 2, 7, 9]),
        ("ratio", [(1, 2), (3, 2), (8, 4), (5, 1)]),
    ],
)
def test_bootstrap_draws_the_distribution_of_all_samples(statistic, values):
    table = np.array(list(itertools.product(values, repeat=len(values))), dtype=float)
    every = {
        "mean": lambda: table.mean(axis=1),
        "median": lambda: np.median(table, axis=1),
        "ratio": lambda: table[:, :, 0].sum(axis=1) / table[:, :, 1].sum(axis=1),
    }[statistic]()
    for level in (0.5, 0.8, 0.93):
        # the interval lies between the exact quantiles half a percent of probability to either side
        low, high = bootstrap_interval(values, statistic, repeats=60_000, seed=4, level=level)
        tail = (1 - level) / 2
        assert np.quantile(every, tail - 0.005) <= low <= np.quantile(every, tail + 0.005)
        assert np.quantile(every, 1 - tail - 0.005) <= high <= np.quantile(every, 1 - tail + 0.005)


def test_bootstrap_mean_agrees_with_the_normal_theory():
    values = np.random.default_rng(7).gamma(4, 100, size=4000)
    low, high = bootstrap_interval(values, "mean", repeats=4000, seed=1)
    half = 1.959964 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose((low, high), (values.mean() - half, values.mean() + half), atol=0.06 * half)


def test_bootstrap_is_the_same_for_a_seed_in_any_order_and_differs_for_another():
    values = np.random.default_rng(3).normal(size=501)
    pairs = np.c_[values**2, values**2 + 1]
    for statistic, rows in (("mean", values), ("median", values), ("ratio", pairs)):
        assert bootstrap_interval(rows, statistic, 300, 5) == bootstrap_interval(rows[::-1], statistic, 300, 5)
        assert bootstrap_interval(rows, statistic, 300, 5) != bootstrap_interval(rows, statistic, 300, 6)


def test_bootstrap_without_rows_or_without_denominators_is_unknown():
    assert np.isnan(bootstrap_interval([], "mean")).all()
    assert np.isnan(bootstrap_interval([(1, 0), (2, 0)], "ratio")).all()
    # samples of (1, 0) alone have no ratio; those left are 3/1 with or without (1, 0): 3 or 4
    assert bootstrap_interval([(1, 0), (3, 1)], "ratio") == (3, 4)


@pytest.mark.parametrize(
    ("values", "statistic", "repeats"),
    [
        ([1.0, np.nan], "mean", 10),
        ([1.0], "mode", 10),
        ([1.0], "mean", 0),
        ([[1.0, 2.0]], "mean", 10),
        ([1.0, 2.0], "ratio", 10),
        ([(1.0, 2.0, 3.0)], "ratio", 10),
    ],
)
def test_bootstrap_refuses_what_it_cannot_draw_from(values, statistic, repeats):
    with pytest.raises(ValueError, match="statistic|missing|rows of two"):
        bootstrap_interval(values, statistic, repeats)


@settings(deadline=None)
@given(NUMBERS, st.sampled_from(["mean", "median"]))
def test_bootstrap_stays_within_the_values_and_moves_with_them(values, statistic):
    low, high = bootstrap_interval(values, statistic, repeats=50, seed=2)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= low <= high <= max(values) + slack
    moved = bootstrap_interval(np.array(values) * 2 + 5, statistic, repeats=50, seed=2)
    np.testing.assert_allclose(moved, (low * 2 + 5, high * 2 + 5), atol=4 * slack)
