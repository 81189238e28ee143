"""Who fakes: found on generated dealers, honest advisers left alone; the statistics on counts worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dealerkit.audit import answers
from dealerkit.audit.authenticity import TESTS, as_checks, examine
from dealerkit.params import AuthenticityParams, CheckParams
from dealerkit.report.translate import Translator
from dealerkit.stats.ordered import chances, copied, cut_points, evenness, shift_of
from dealerkit.stats.rates import excess
from faking import judged, told
from scipy.stats import betabinom, binom

USUAL = np.array([0, 0, 1, 2, 4, 8, 20, 60, 180, 350, 375])  # scores 0 to 10 as honest customers give them


@pytest.fixture(scope="module")
def dealers():
    found = told(judged(10, 400, seed=5))
    return found[found["tested"]]


def test_nine_of_ten_who_fake_are_found_and_honest_advisers_are_not_accused(dealers):
    assert dealers.loc[dealers["fakes"], "accused"].mean() >= 0.9
    assert dealers.loc[~dealers["fakes"], "accused"].mean() <= 0.05
    assert dealers.loc[dealers["kind"] == "excellent", "accused"].mean() <= 0.1
    assert {"tens", "straight", "own_phone", "phone_changed", "excellent", "ordinary"} <= set(dealers["kind"])


@pytest.mark.parametrize(
    "kind, tests",
    [
        ("tens", {"scores_too_perfect"}),
        ("straight", {"scores_all_alike"}),
        ("own_phone", {"surveys_to_staff", "surveys_to_one_phone"}),
        ("phone_changed", {"phone_changed_for_survey"}),
        ("repeats", {"visits_repeated"}),
    ],
)
def test_each_way_of_faking_is_called_by_the_test_made_for_it(dealers, kind, tests):
    called = dealers.loc[(dealers["kind"] == kind) & dealers["accused"], "tests"].str.split()
    assert len(called) and all(tests & set(names) for names in called)


# -- scores -------------------------------------------------------------------------------------------------------


def test_chances_of_no_shift_are_the_usual_shares():
    shares = (USUAL + 0.1) / (USUAL + 0.1).sum()
    assert chances(cut_points(USUAL), [0])[0] == pytest.approx(shares, abs=1e-9)
    assert chances(cut_points(USUAL), [-1, 0, 1, 2]).sum(axis=1) == pytest.approx(np.ones(4))


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.5, 1.2])
def test_a_shift_is_found_again(shift):
    cuts = cut_points(USUAL)
    counts = np.random.default_rng(3).multinomial(4000, chances(cuts, [shift])[0])
    found, error = shift_of(counts, cuts)
    assert abs(found - shift) <= max(3 * error, 0.05) and 0.01 < error < 0.06


def test_perfect_scores_are_held_against_the_best_honest_employee():
    cuts, counts = cut_points(USUAL), np.zeros(11)
    counts[10] = 40
    share, low, high, p = copied(counts, cuts, 10, most=1.05)
    best = chances(cuts, [1.05])[0][10]
    assert p == pytest.approx(best**40) and (share, high) == (1.0, 1.0) and 0.7 < low < 1
    counts = 1000 * chances(cuts, [1.0])[0]
    assert copied(counts.round(), cuts, 10, most=1.05)[3] > 0.1, "excellent, and honest"


def test_so_many_of_one_score_is_a_binomial_tail():
    cuts, counts = cut_points(USUAL), np.array([0, 0, 0, 0, 0, 0, 0, 1, 3, 36, 2.0])
    p = copied(counts, cuts, 9, most=1.05)[3]
    shifts = np.round(np.arange(-3, 1.0501, 0.05), 2)
    assert p == pytest.approx(binom.sf(35, 42, chances(cuts, shifts)[:, 9].max()))


def test_scores_that_do_not_scatter_are_too_even_and_usual_ones_are_not():
    cuts, even = cut_points(USUAL), np.zeros(11)
    even[9], even[10] = 100, 100
    ratio, low, high, p = evenness(even, cuts, most=1.05)
    assert low < ratio < high < 1 and p < 0.05
    even[10] = 0
    assert evenness(even, cuts, most=1.05)[3] < 1e-4, "one and the same score"
    ratio, low, high, p = evenness(USUAL * 0.1, cuts, most=1.05)
    assert low < 1 < high and p > 0.2


# -- rates --------------------------------------------------------------------------------------------------------


def test_a_rate_is_held_against_the_rest_by_a_beta_binomial():
    k, n = [0, 1, 0, 2, 30], [100, 100, 100, 100, 100]
    rest, p = excess(k, n)
    assert rest[4] == pytest.approx((3 + 0.5) / 401)
    size = (1 - 0.005) / 0.005  # the rest differ by less than the least that is assumed
    assert p[4] == pytest.approx(betabinom.sf(29, 100, rest[4] * size, (1 - rest[4]) * size))
    assert p[4] < 1e-4 and (p[:4] > 0.05).all() and p[0] == 1


def test_groups_that_differ_widely_accuse_nobody():
    _rest, p = excess([5, 60, 10, 45, 62], [100, 100, 100, 100, 100])
    assert (p > 0.05).all()


def test_with_two_groups_nothing_is_said():
    assert np.isnan(excess([1, 30], [50, 50])[1]).all()


# -- what the page says -------------------------------------------------------------------------------------------


def test_examined_is_adjusted_for_all_tests_and_names_nobody_on_the_page(demo):
    examined = demo.audited.authenticity
    assert list(examined["p_adjusted"]) == sorted(examined["p_adjusted"])
    assert (examined["found"] == (examined["p_adjusted"] <= AuthenticityParams().false_discovery)).all()
    assert examined["p_adjusted"].ge(examined["p"] - 1e-6).all()
    shown = answers.suspects(demo.audited, Translator("en"))
    assert len(shown) == examined["found"].sum() > 0
    assert not set(shown.astype(str).to_numpy().ravel()) & set(examined["employee"])
    honest = shown[shown["finding"] == TESTS["scores_high"].message]
    assert set(honest["verdict"]) <= {"no fault"}


def test_who_faked_is_found_in_the_dealer_of_the_tests(demo):
    cheats = demo.truth("faults").query("kind == 'adviser_with_faked_scores'")["key"]
    called = demo.audited.authenticity.query("found and accuses")["employee"]
    assert len(set(cheats) & set(called)) >= 0.9 * len(cheats) > 0


def test_each_test_is_a_check_that_counts_what_it_found(demo):
    examined = demo.audited.authenticity
    for found in as_checks(examined):
        part = examined[examined["test"] == found.check.name]
        assert (found.checked, found.failed) == (part["of"].sum(), part.loc[part["found"], "cases"].sum())
        row = demo.audited.results.set_index("check").loc[found.check.id]
        assert (row["checked"], row["failed"]) == (found.checked, found.failed)


def test_without_surveys_only_the_entries_are_tested(clean_of):
    connection, clean = clean_of({"service_orders": [{"order_id": "R1", "vin": "x", "opened_at": "2026-01-01"}]})
    assert examine(connection, clean, set(), AuthenticityParams(), CheckParams()).empty


def test_by_chance_says_how_many_tests_would_accuse(demo):
    level = AuthenticityParams().false_discovery
    facts = answers.facts(demo.audited, 0.99, level)
    tests = len(demo.audited.authenticity)
    assert facts["authenticity_by_chance"][0] == int(np.ceil(tests * level)) and facts["authenticity_tests"][0] == tests
    assert isinstance(demo.audited.authenticity, pd.DataFrame)
