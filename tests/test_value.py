from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dealerkit import value
from dealerkit.value import BgNbd, GammaGamma
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import beta as beta_function
from scipy.special import hyp2f1
from scipy.stats import beta, chi2, gamma

#: The published fit to CDNOW.
PAPER = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)

PARAMETERS = st.tuples(st.floats(0.05, 30), st.floats(0.5, 200), st.floats(0.01, 20), st.floats(0.01, 50))


@st.composite
def histories(draw, most=500):
    x = draw(st.integers(0, most))
    T = draw(st.floats(0.5, 1500))
    return x, (T * draw(st.floats(0.01, 1)) if x else 0.0), T


@pytest.fixture(scope="module")
def cdnow():
    log = pd.read_csv(
        Path(__file__).parent / "data" / "cdnow_sample.txt",
        sep=r"\s+",
        header=None,
        names=["customer", "sample", "date", "cds", "amount"],
        parse_dates=["date"],
        date_format="%Y%m%d",
    )
    days = log.groupby(["customer", "date"], as_index=False)["amount"].sum()
    later = days[days["date"] > "1997-09-30"].groupby("customer").size()
    found = value.histories(days, "1997-09-30")
    return found.assign(frequency_holdout=later.reindex(found.index, fill_value=0))


@pytest.fixture(scope="module")
def visits(cdnow):
    return value.fit_bg_nbd(cdnow["frequency"], cdnow["recency"], cdnow["T"])


@pytest.fixture(scope="module")
def amounts(cdnow):
    return value.fit_gamma_gamma(cdnow["frequency"], cdnow["monetary"])


def simulated(parameters, n, seed, longest=520):
    """Histories as the BG/NBD model tells them, in weeks."""
    r, alpha, a, b = parameters
    rng = np.random.default_rng(seed)
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    T = rng.integers(70, longest * 7, n) / 7
    x, t_x, now, here = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
    while here.any():
        now = now + rng.exponential(1, n) / rate
        here &= now <= T
        x[here] += 1
        t_x[here] = now[here]
        here &= rng.random(n) > leave
    return x, t_x, T


def parameters_of(model, time=1):
    return model.r, model.alpha / time, model.a, model.b


# --- histories


def test_histories_by_hand():
    days = pd.DataFrame(
        [
            ("a", "2024-01-08", 10.0),
            ("a", "2024-02-19", None),
            ("a", "2024-03-05", 1.0),
            ("b", "2024-01-01", 100.0),
            ("b", "2024-01-15", 80.0),
            ("b", "2024-02-05", 40.0),
            ("b", "2024-02-12", 99.0),
            ("c", "2024-02-19", 5.0),
            ("d", "2024-02-01", None),
            ("d", "2024-02-08", 7.0),
            ("d", "2024-02-15", None),
            ("e", "2024-03-01", 1.0),
        ],
        columns=["customer", "date", "amount"],
    ).astype({"date": "datetime64[s]"})
    expected = pd.DataFrame(
        {
            "frequency": [1, 3, 0, 2],
            "recency": [6.0, 6.0, 0.0, 2.0],
            "T": [7.0, 8.0, 1.0, 25 / 7],
            "monetary": [np.nan, 73.0, np.nan, 7.0],
        },
        index=pd.Index(["a", "b", "c", "d"], name="customer"),
    )
    pd.testing.assert_frame_equal(value.histories(days, "2024-02-26"), expected)


def test_histories_of_nothing_are_empty():
    days = pd.DataFrame({"customer": ["a"], "date": pd.to_datetime(["2024-01-01"]), "amount": [1.0]})
    for none in (value.histories(days, "2023-01-01"), value.histories(days[:0], "2024-01-01")):
        assert none.empty and list(none) == ["frequency", "recency", "T", "monetary"]
    assert value.fit_bg_nbd(none["frequency"], none["recency"], none["T"]).reason == value.NO_REPEATS


# --- published values


def test_bg_nbd_reaches_the_published_fit(visits):
    assert visits.converged and visits.reason == "" and visits.at_edge == () and visits.customers == 2357
    assert [round(v, 3) for v in (visits.r, visits.alpha, visits.a, visits.b)] == [0.243, 4.414, 0.793, 2.426]
    assert round(visits.log_likelihood, 1) == -9582.4


def test_published_expectation_of_one_customer(visits):
    assert round(float(value.expected_visits(PAPER, 39, 2, 30.43, 38.86)), 3) == 1.226
    assert round(float(value.expected_visits(visits, 39, 2, 30.43, 38.86)), 3) == 1.226


def test_holdout_errors_of_peers_are_reached(cdnow, visits):
    forecast = value.expected_visits(visits, 39, cdnow["frequency"], cdnow["recency"], cdnow["T"])
    came = cdnow["frequency_holdout"]
    error = forecast - came
    assert round(float(np.abs(error).mean()), 4) == 0.7855 and round(float((error**2).mean() ** 0.5), 3) == 1.608
    assert round(float(forecast.sum() / came.sum() - 1), 2) == -0.12
    assert round(float((cdnow["frequency"] - came).abs().mean()), 3) == 0.897  # as before


def test_gamma_gamma_reaches_the_published_fit(cdnow, amounts):
    assert amounts.converged and amounts.customers == 946
    assert [round(v, 2) for v in (amounts.p, amounts.q, amounts.v)] == [6.25, 3.74, 15.44]
    # the density of the paper's eq. 1a, row by row
    p, q, v = amounts.p, amounts.q, amounts.v
    x, mean = cdnow.loc[cdnow["monetary"] > 0, ["frequency", "monetary"]].to_numpy(float).T
    direct = (v / (v + x * mean)) ** q * (x * mean / (v + x * mean)) ** (p * x) / mean / beta_function(p * x, q)
    assert amounts.log_likelihood == pytest.approx(np.log(direct).sum())


# --- the fit


@pytest.mark.parametrize("parameters", [(0.9, 20, 0.5, 4), (6, 60, 0.3, 5)])
def test_known_parameters_are_recovered(parameters):
    x, t_x, T = simulated(parameters, 40_000, seed=3)
    model = value.fit_bg_nbd(x, t_x, T)
    np.testing.assert_allclose(parameters_of(model), parameters, rtol=0.08)
    # the truth lies within the region of the likelihood ratio that holds it 999 times in 1,000
    r, alpha, a, b = parameters
    truth, _ = value._bg_nbd_likelihood(np.log([r, r / alpha, a / b, a + b]), (x, t_x, T, np.ones(len(x))))
    assert 0 < 2 * (model.log_likelihood - truth * len(x)) < chi2.isf(0.001, 4)


def test_known_amounts_are_recovered():
    rng = np.random.default_rng(5)
    x = rng.integers(1, 30, 40_000)
    mean = rng.gamma(6 * x, 1 / (x * rng.gamma(4, 1 / 900, len(x))))
    model = value.fit_gamma_gamma(x, mean)
    np.testing.assert_allclose((model.p, model.q, model.v), (6, 4, 900), rtol=0.04)


def test_slopes_of_the_likelihoods_are_exact(cdnow):
    few = cdnow[::20]
    rows = (*few[["frequency", "recency", "T"]].to_numpy(float).T, np.arange(1.0, len(few) + 1))
    back = few[few["monetary"] > 0]
    amounts = (*back[["frequency", "monetary"]].to_numpy(float).T, np.arange(1.0, len(back) + 1))
    for likelihood, theta, data in (
        (value._bg_nbd_likelihood, [-1, -2.5, 0.3, 0.8], rows),
        (value._gamma_gamma_likelihood, [1.2, 0.8, 3.0], amounts),
    ):
        numeric = approx_fprime(np.array(theta), lambda at, f=likelihood, d=data: f(at, d)[0], 1e-6)
        np.testing.assert_allclose(likelihood(np.array(theta), data)[1], numeric, rtol=1e-4, atol=1e-6)


def test_fit_depends_on_neither_order_nor_unit(cdnow, visits):
    x, t_x, T = (cdnow[name].to_numpy() for name in ("frequency", "recency", "T"))
    assert value.fit_bg_nbd(x[::-1], t_x[::-1], T[::-1]) == visits
    days = value.fit_bg_nbd(x, t_x * 7, T * 7)
    np.testing.assert_allclose(parameters_of(days, time=7), parameters_of(visits), rtol=1e-4)
    assert days.log_likelihood == pytest.approx(visits.log_likelihood - x.sum() * np.log(7), abs=1e-4)


def test_amounts_in_another_currency_scale(cdnow, amounts):
    cents = value.fit_gamma_gamma(cdnow["frequency"], cdnow["monetary"] * 100)
    np.testing.assert_allclose((cents.p, cents.q, cents.v / 100), (amounts.p, amounts.q, amounts.v), rtol=1e-4)


def test_customers_counted_twice_weigh_twice():
    # more distinct rows than the sample that the starts are compared on
    x, t_x, T = simulated((0.9, 20, 0.5, 4), 40_000, seed=8)
    once = value.fit_bg_nbd(x, t_x, T)
    twice = value.fit_bg_nbd(np.tile(x, 2), np.tile(t_x, 2), np.tile(T, 2))
    np.testing.assert_allclose(parameters_of(twice), parameters_of(once), rtol=1e-3)
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-7)


# --- degenerate data: a reason instead of nonsense


@pytest.mark.parametrize(
    ("x", "t_x", "T", "reason"),
    [
        ([], [], [], value.NO_REPEATS),
        ([0], [0], [50], value.NO_REPEATS),
        (np.zeros(500), np.zeros(500), np.arange(500), value.NO_REPEATS),
        ([3], [20], [50], value.TOO_FEW),
        (np.r_[np.ones(29), np.zeros(500)], np.r_[np.full(29, 5), np.zeros(500)], np.full(529, 50), value.TOO_FEW),
        (np.full(500, 3), np.full(500, 20), np.full(500, 50), value.ALL_EQUAL),
    ],
)
def test_visits_that_carry_no_model(x, t_x, T, reason):
    model = value.fit_bg_nbd(x, t_x, T)
    assert (model.converged, model.reason, model.customers) == (False, reason, len(x))
    assert reason in value.REASONS
    yuan = value.clv(model, GammaGamma(6, 4, 900), x, t_x, T, np.full(len(x), 300))
    for forecast in (value.expected_visits(model, 52, x, t_x, T), value.p_alive(model, x, t_x, T), yuan):
        assert forecast.shape == (len(x),) and np.isnan(forecast).all()


@pytest.mark.parametrize(
    ("x", "mean", "reason"),
    [
        ([], [], value.NO_AMOUNTS),
        (np.zeros(100), np.full(100, np.nan), value.NO_AMOUNTS),
        (np.full(100, 2), np.zeros(100), value.NO_AMOUNTS),
        ([3], [500.0], value.TOO_FEW),
        (np.full(100, 2), np.r_[np.full(29, 10.0), np.full(71, -1)], value.TOO_FEW),
        (np.arange(1, 101), np.full(100, 300.0), value.ALL_EQUAL),
        (np.full(300, 2), np.exp(3 * np.random.default_rng(1).normal(size=300)), value.NO_MEAN),
    ],
)
def test_amounts_that_carry_no_model(x, mean, reason):
    model = value.fit_gamma_gamma(x, mean)
    assert (model.converged, model.reason) == (False, reason)
    assert reason in value.REASONS
    assert np.isnan(value.expected_amount(model, x, mean)).all()


def test_a_search_without_end_is_no_model(monkeypatch, cdnow):
    monkeypatch.setattr(value, "_SLOPE_TOLERANCE", 0.0)
    assert value.fit_bg_nbd(cdnow["frequency"], cdnow["recency"], cdnow["T"]).reason == value.NO_MAXIMUM
    assert value.fit_gamma_gamma(cdnow["frequency"], cdnow["monetary"]).reason == value.NO_MAXIMUM


def test_data_without_differences_or_leaving_still_give_forecasts():
    rng = np.random.default_rng(0)
    T = rng.integers(100, 500, 5000).astype(float)
    x = rng.poisson(T / 26)  # everybody alike, nobody leaves
    t_x = np.where(x > 0, T * rng.beta(np.maximum(x, 1), 1), 0)
    model = value.fit_bg_nbd(x, t_x, T)
    assert model.converged and "r" in model.at_edge and model.a / (model.a + model.b) < 1e-3
    np.testing.assert_allclose(value.expected_visits(model, 52, x, t_x, T).mean(), 2, rtol=0.02)


@pytest.mark.parametrize(
    ("x", "t_x", "T"), [(1, 0, 5), (0, 1, 5), (1, 6, 5), (-1, 0, 5), (1.5, 2, 5), (1, np.nan, 5), (0, 0, np.inf)]
)
def test_impossible_histories_are_refused(x, t_x, T):
    for use in (value.fit_bg_nbd, lambda *h: value.p_alive(PAPER, *h), lambda *h: value.expected_visits(PAPER, 1, *h)):
        with pytest.raises(ValueError, match="t_x"):
            use([x], [t_x], [T])


def test_other_misuse_is_refused():
    with pytest.raises(ValueError, match="t must be 0 or more"):
        value.expected_visits(PAPER, -1, 1, 1, 2)
    with pytest.raises(ValueError, match="frequency"):
        value.fit_gamma_gamma([-1.0], [5.0])
    for wrong in ({"unit": "H"}, {"horizon_months": -1}, {"annual_discount_rate": -1}):
        with pytest.raises(ValueError, match="unit|horizon"):
            value.clv(PAPER, GammaGamma(6, 4, 15), 1, 1, 2, 30, **wrong)


# --- forecasts


def test_p_alive_by_hand_and_where_powers_overflow():
    # x = 1: 1 / (1 + a/b · ((α+T)/(α+t_x))^(r+1)) = 1 / (1 + 1/3 · 2²)
    assert value.p_alive(BgNbd(1, 10, 1, 3), 1, 10, 30) == pytest.approx(3 / 7)
    assert value.p_alive(PAPER, 0, 0, 1000) == 1
    assert value.p_alive(PAPER, 500, 10, 1500) == 0
    assert value.p_alive(PAPER, 500, 1500, 1500) == pytest.approx(1 - 0.793 / (502.218), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(PARAMETERS, histories(most=10), st.floats(0.1, 400))
def test_expected_visits_are_those_of_the_paper_where_its_formula_holds(parameters, history, t):
    r, alpha, a, b = parameters
    x, t_x, T = history
    c, z = a + b + x - 1, t / (alpha + T + t)
    assume(abs(a - 1) > 0.05 and c > 0.5 and z < 0.7)
    direct = c / (a - 1) * (1 - (1 - z) ** (r + x) * hyp2f1(r + x, b + x, c, z))
    model = BgNbd(*parameters)
    np.testing.assert_allclose(
        value.expected_visits(model, t, x, t_x, T), direct * value.p_alive(model, x, t_x, T), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize(
    ("parameters", "x", "T"),
    [
        ((0.25, 4.4, 1.0, 2.4), 60, 1000),
        ((2, 0.5, 0.4, 0.3), 0, 400),
        ((3, 10, 0.6, 0.4), 0, 0),
        ((5, 50, 12, 900), 1, 2),
        ((10, 7.8, 40, 80), 20, 6.24),
    ],
)
def test_expected_visits_where_the_formula_of_the_paper_fails(parameters, x, T):
    # a = 1, a + b = 1, a + b < 1, a long look ahead of a short history: the double integral of the story itself
    r, alpha, a, b = parameters

    def coming(p):  # of a customer who leaves with p: mean over the rate of (1 − e^(−p·rate·t)) / p
        return quad(lambda q: -np.expm1(-p * 156 * gamma.ppf(q, r + x, scale=1 / (alpha + T))) / p, 0, 1, limit=200)[0]

    q, weight = np.polynomial.legendre.leggauss(50)
    q = (q + 1) / 2
    q, weight = q**2 * (3 - 2 * q), weight / 2 * 6 * q * (1 - q)  # nodes gathered at both ends
    brute = sum(w * coming(p) for p, w in zip(beta.ppf(q, a, b + x), weight, strict=True))
    found = value._visits_if_alive(BgNbd(*parameters), 156, np.array([float(x)]), np.array([float(T)]))
    np.testing.assert_allclose(found, brute, rtol=2e-4)


@settings(max_examples=80, deadline=None)
@given(PARAMETERS, histories(), st.floats(0.1, 800))
def test_laws_of_the_forecasts(parameters, history, t):
    model, (x, t_x, T) = BgNbd(*parameters), history
    alive = value.p_alive(model, x, t_x, T)
    coming, later = value.expected_visits(model, [t, 2 * t], x, t_x, T)
    assert 0 <= alive <= 1
    assert 0 <= coming <= later * (1 + 1e-6)
    assert later <= 2 * coming * (1 + 1e-6)  # the longer one looks, the more have left
    assert coming <= (model.r + x) / (model.alpha + T) * t * (1 + 1e-6)  # nobody comes oftener than when none leaves
    if x:
        assert value.p_alive(model, x, t_x, T + 10) <= alive


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize(("a", "b"), [(1, 4), (0.3, 0.7)])
def test_nothing_jumps_where_the_formula_has_no_value(a, b, step):
    x, T = np.array([0.0, 3, 40]), np.array([10.0, 100, 500])
    below, at, above = (value._visits_if_alive(BgNbd(0.9, 20, at, b), 52, x, T) for at in (a - step, a, a + step))
    np.testing.assert_allclose(at, (below + above) / 2, rtol=2e-5)
    np.testing.assert_allclose(below, above, rtol=10 * step + 1e-8)


def test_expected_amount_by_hand(amounts):
    model = GammaGamma(p=6, q=4, v=900)
    # p(v + x·m) / (px + q − 1); without visits or amount the mean of all, 6·900/3
    found = value.expected_amount(model, [2, 0, 5, 2, 2], [600, 600, np.nan, 0, -50])
    np.testing.assert_allclose(found, [6 * 2100 / 15, 1800, 1800, 6 * 900 / 15, 6 * 900 / 15])
    many = value.expected_amount(amounts, 100_000, 77.0)
    assert many == pytest.approx(77, rel=1e-3)


def test_clv_is_the_sum_over_short_steps():
    money = GammaGamma(p=6, q=4, v=900)
    x, t_x, T, mean = np.array([0, 3, 40]), np.array([0, 80, 490.0]), np.array([1, 100, 500.0]), [np.nan, 500, 700]
    ends = np.linspace(0, 36 * 365.25 / 12 / 7, 121)
    reached = np.array([value.expected_visits(PAPER, end, x, t_x, T) for end in ends])
    discount = 1.08 ** (-(ends[1:] + ends[:-1]) / 2 * 7 / 365.25)
    steps = (np.diff(reached, axis=0) * discount[:, None]).sum(axis=0) * value.expected_amount(money, x, mean)
    np.testing.assert_allclose(value.clv(PAPER, money, x, t_x, T, mean), steps, rtol=1e-5)


def test_clv_without_discount_is_visits_times_amount_in_any_unit():
    money = GammaGamma(p=6, q=4, v=900)
    weeks = value.clv(PAPER, money, 3, 80, 100, 500, horizon_months=12, annual_discount_rate=0)
    visits = value.expected_visits(PAPER, 365.25 / 7, 3, 80, 100)
    assert weeks == pytest.approx(float(visits * value.expected_amount(money, 3, 500)))
    in_days = BgNbd(PAPER.r, PAPER.alpha * 7, PAPER.a, PAPER.b)
    for rate in (0, 0.08):
        np.testing.assert_allclose(
            value.clv(in_days, money, 3, 560, 700, 500, annual_discount_rate=rate, unit="D"),
            value.clv(PAPER, money, 3, 80, 100, 500, annual_discount_rate=rate),
        )
    assert value.clv(PAPER, money, 3, 80, 100, 500, horizon_months=0) == 0


def test_many_customers_get_what_each_gets_alone():
    rng = np.random.default_rng(2)
    x, t_x, T = simulated((0.9, 20, 0.5, 4), 30, seed=2)
    model, money, mean = BgNbd(0.9, 20, 0.5, 4), GammaGamma(6, 4, 900), rng.gamma(4, 100, 30)
    alone = [float(value.clv(model, money, *row)) for row in zip(x, t_x, T, mean, strict=True)]
    np.testing.assert_allclose(value.clv(model, money, x, t_x, T, mean), alone, rtol=1e-12)
    frame = pd.DataFrame({"x": x, "t_x": t_x, "T": T}, index=np.arange(30)[::-1])
    alive = value.p_alive(model, frame["x"], frame["t_x"], frame["T"])
    np.testing.assert_array_equal(alive, value.p_alive(model, x, t_x, T))
