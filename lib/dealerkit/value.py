"""What a customer is expected to bring: visits (BG/NBD), yuan a visit (Gamma–Gamma), their discounted sum (CLV).

The BG/NBD model (Fader, Hardie, Lee 2005, "Counting your customers the easy way", Marketing Science 24(2)): while a
customer stays, visits come at random at a personal rate; after each visit the customer leaves for good with a
personal probability. The rates follow a Gamma distribution (shape r, scale parameter α), the probabilities a Beta
distribution (a, b). The Gamma–Gamma model (Fader, Hardie 2013, "The Gamma-Gamma model of monetary value") does the
same for the amount of a visit, taken to be unrelated to how often the customer comes.

Symbols are those of the papers: x repeat visits, t_x the time of the last one and T the time observed, both counted
from the first visit and in one and the same unit. Every function takes arrays, Series or plain numbers and returns
numpy arrays. Data on which a model means nothing give a model with ``converged`` False, a ``reason`` out of `REASONS`
and NaN for every forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, hyp2f1, log_expit, logit, psi

#: Days in a unit of time.
UNIT_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}

#: Fewer customers who came back than this carry no model (the same bound below which a report shows no rate).
MIN_REPEATERS = 30

NO_REPEATS = "no customer came back"
TOO_FEW = "too few customers came back"
ALL_EQUAL = "all customers are equal"
NO_AMOUNTS = "no customer who came back has an amount above zero"
NO_MEAN = "the amounts spread so widely that they have no mean"
NO_MAXIMUM = "the search found no maximum of the likelihood"

#: Everything that ``reason`` may say when a model did not converge.
REASONS = (NO_REPEATS, TOO_FEW, ALL_EQUAL, NO_AMOUNTS, NO_MEAN, NO_MAXIMUM)

_SAMPLE_ROWS = 20_000  # rows on which the starts are compared before the fit to all rows
_ROUGHLY = 1e-8  # of the mean log-likelihood: below this, a step no longer tells which start is the best one
_SLOPE_TOLERANCE = 1e-4  # of the mean log-likelihood, per unit of a log-parameter; rounding leaves up to 1e-5


@dataclass(frozen=True)
class BgNbd:
    """BG/NBD model of visits.

    Attributes:
        r, alpha: shape and scale parameter of the visit rates; their mean is r/alpha per unit of time.
        a, b: Beta parameters of leaving after a visit; its mean probability is a/(a+b).
        log_likelihood: of all customers, in the unit of time of the data.
        customers: number of customers fitted to.
        converged: a maximum was found and the forecasts may be used.
        reason: why not, one of `REASONS`; empty when converged.
        at_edge: what the data did not pin down, so that it stopped at the bound of its search: "r" (rates hardly
            differ, or are next to nothing), "rate", "a/(a+b)" (nobody leaves, or everybody), "a+b" (the
            probabilities hardly differ). The forecasts hold, the single parameters mean little.
    """

    r: float = np.nan
    alpha: float = np.nan
    a: float = np.nan
    b: float = np.nan
    log_likelihood: float = np.nan
    customers: int = 0
    converged: bool = True
    reason: str = ""
    at_edge: tuple[str, ...] = ()


@dataclass(frozen=True)
class GammaGamma:
    """Gamma–Gamma model of the amount of a visit.

    Attributes:
        p: shape of the amounts of one customer.
        q, v: shape and scale parameter (γ in the paper) of how customers differ; the mean amount is p·v/(q−1).
        log_likelihood, converged, reason: as in `BgNbd`.
        customers: number of customers fitted to: those who came back and have an amount above zero.
        at_edge: as in `BgNbd`: "p", "q" or "mean".
    """

    p: float = np.nan
    q: float = np.nan
    v: float = np.nan
    log_likelihood: float = np.nan
    customers: int = 0
    converged: bool = True
    reason: str = ""
    at_edge: tuple[str, ...] = ()


def histories(days: pd.DataFrame, end) -> pd.DataFrame:
    """One row per customer who came by the end, with what the models need, in weeks.

    Args:
        days: one row per customer and day with a visit, ordered by both: customer, date (datetime64), amount (yuan of
            the day, NaN where unknown).
        end: last day observed; later rows belong to no history.

    Returns:
        Frame indexed by customer: ``frequency`` x, days with a visit after the first one; ``recency`` t_x; ``T``;
        ``monetary``, mean amount of the repeat visits that have one (NaN when none has): the first visit is often free
        or of another kind.
    """
    end = pd.Timestamp(end)
    seen = days[days["date"] <= end]
    customer, day = seen["customer"].to_numpy(), seen["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    start = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]][: len(seen)])
    visits = np.diff(np.r_[start, len(seen)])
    first, last = day[start], day[start + visits - 1]
    amount = seen["amount"].to_numpy(float).copy()
    amount[start] = np.nan
    known = ~np.isnan(amount)
    paid = np.add.reduceat(known.astype(np.int64), start)
    total = np.add.reduceat(np.where(known, amount, 0.0), start)
    return pd.DataFrame(
        {
            "frequency": visits - 1,
            "recency": (last - first) / UNIT_DAYS["W"],
            "T": ((end - pd.Timestamp(0)).days - first) / UNIT_DAYS["W"],
            "monetary": np.divide(total, paid, out=np.full(len(start), np.nan), where=paid > 0),
        },
        index=pd.Index(customer[start], name="customer"),
    )


def fit_bg_nbd(x, t_x, T) -> BgNbd:
    """BG/NBD model by maximum likelihood.

    Equal customers are counted once, the slope is exact, and time is scaled, so that a million customers take seconds,
    the unit does not matter and the same customers in any order give the same bits.

    Args:
        x, t_x, T: of each customer, as `histories` gives them.

    Raises:
        ValueError: missing values, or not 0 ≤ t_x ≤ T with t_x > 0 exactly for the customers with x > 0.
    """
    x, t_x, T = _histories(x, t_x, T)
    n, repeaters = len(x), int((x > 0).sum())
    if repeaters < MIN_REPEATERS:
        return BgNbd(customers=n, converged=False, reason=TOO_FEW if repeaters else NO_REPEATS)
    rows, _, weight = _distinct(x, t_x, T)
    if len(weight) == 1:
        return BgNbd(customers=n, converged=False, reason=ALL_EQUAL)
    unit = float((rows[2] * weight).sum() / n)
    data = (rows[0], rows[1] / unit, rows[2] / unit, weight)
    rate = np.log((rows[0] * weight).sum() / n)
    starts = [
        (np.log(r), rate, logit(leave), np.log(spread))
        for r, leave, spread in ((0.5, 0.3, 3), (3, 0.1, 3), (1, 0.6, 1), (10, 0.03, 10))
    ]
    bounds = [
        (np.log(1e-3), np.log(1e3)),
        (rate - 7, rate + 7),
        (logit(1e-6), logit(1 - 1e-4)),
        (np.log(1e-3), np.log(1e4)),
    ]
    theta, ll, edge, ok = _maximise(_bg_nbd_likelihood, data, starts, bounds)
    if not ok:
        return BgNbd(customers=n, converged=False, reason=NO_MAXIMUM)
    r, alpha, a, b = _bg_nbd_parameters(theta)
    ll = ll * n - (rows[0] * weight).sum() * np.log(unit)
    names = ("r", "rate", "a/(a+b)", "a+b")
    return BgNbd(float(r), float(alpha * unit), float(a), float(b), float(ll), n, at_edge=tuple(names[i] for i in edge))


def _bg_nbd_parameters(theta):
    """r, α, a, b of (ln r, ln r/α, logit a/(a+b), ln(a+b)): directions in which the likelihood bends evenly."""
    r, spread = np.exp(theta[0]), np.exp(theta[3])
    return r, np.exp(theta[0] - theta[1]), spread * expit(theta[2]), spread * expit(-theta[2])


def _bg_nbd_likelihood(theta, data, counted=None) -> tuple[float, np.ndarray]:
    """Mean log-likelihood (Fader, Hardie, Lee 2005, eq. 6, in logs) and its slope in theta."""
    r, alpha, a, b = _bg_nbd_parameters(theta)
    x, t_x, T, weight = data
    counts, place, per_count = counted or _by_count(x, weight)
    n = weight.sum()
    repeats = counts > 0
    # ln of a/(b+x−1), the odds of having left after the last visit before the silence is weighed; −inf for x = 0
    prior = np.full(len(counts), -np.inf)
    prior[repeats] = np.log(a) - np.log(b + counts[repeats] - 1)
    log_T, log_t = np.log(alpha + T), np.log(alpha + t_x)
    odds = prior[place] + (r + x) * (log_T - log_t)
    gone = expit(odds)
    ll = (
        per_count
        * (
            gammaln(r + counts)
            - gammaln(r)
            + gammaln(a + b)
            - gammaln(a + b + counts)
            + gammaln(b + counts)
            - gammaln(b)
        )
    ).sum() + n * r * np.log(alpha)
    ll += (weight * (np.logaddexp(0, odds) - (r + x) * log_T)).sum()
    gone_share = np.bincount(place, weights=weight * gone, minlength=len(counts))
    common = psi(a + b) - psi(a + b + counts)
    by_r = (
        (per_count * (psi(r + counts) - psi(r))).sum()
        + n * np.log(alpha)
        - (weight * (log_T - gone * (log_T - log_t))).sum()
    )
    by_alpha = n * r / alpha - (weight * (r + x) * ((1 - gone) / (alpha + T) + gone / (alpha + t_x))).sum()
    by_a = (per_count * common).sum() + gone_share.sum() / a
    by_b = (per_count * (common + psi(b + counts) - psi(b))).sum() - (
        gone_share[repeats] / (b + counts[repeats] - 1)
    ).sum()
    slope = np.array(
        [r * by_r + alpha * by_alpha, -alpha * by_alpha, a * b / (a + b) * (by_a - by_b), a * by_a + b * by_b]
    )
    return ll / n, slope / n


def expected_visits(model: BgNbd, t, x, t_x, T) -> np.ndarray:
    """Visits expected in the coming t units of time, given the history.

    E[Y(t) | x, t_x, T] of Fader, Hardie, Lee 2005 (eq. 10). NaN when the model did not converge.

    Raises:
        ValueError: as `fit_bg_nbd`, and for a negative t.
    """
    x, t_x, T = _histories(x, t_x, T)
    return p_alive(model, x, t_x, T) * _visits_if_alive(model, t, x, T)


def p_alive(model: BgNbd, x, t_x, T) -> np.ndarray:
    """Probability that the customer has not left for good by T, given the history.

    1 for a customer who never came back: the model lets customers leave after repeat visits only. NaN when the model
    did not converge.

    Raises:
        ValueError: as `fit_bg_nbd`.
    """
    x, t_x, T = _histories(x, t_x, T)
    if not model.converged:
        return np.full(x.shape, np.nan)
    with np.errstate(divide="ignore"):
        left = np.where(x > 0, np.log(model.a) - np.log(model.b + np.maximum(x, 1) - 1), -np.inf)
    return expit(-left - (model.r + x) * np.log((model.alpha + T) / (model.alpha + t_x)))


def _visits_if_alive(model: BgNbd, t, x, T) -> np.ndarray:
    """Visits expected in the coming t of a customer who has not left by T."""
    t, x, T = np.broadcast_arrays(np.asarray(t, dtype=float), x, T)
    if not (t >= 0).all():
        raise ValueError("t must be 0 or more")
    if not model.converged:
        return np.full(x.shape, np.nan)
    shape = x.shape
    (t, x, T), place, _ = _distinct(t.ravel(), x.ravel(), T.ravel())
    return _visits_of_rows(model, t, x, T)[place].reshape(shape)


def _visits_of_rows(model: BgNbd, t, x, T) -> np.ndarray:
    """`_visits_if_alive` of arrays of one length, row by row."""
    w, c = t / (model.alpha + T), model.a + model.b + x - 1
    # Euler's transformation of the paper's 2F1(r+x, b+x; a+b+x−1; z): its parameters do not grow with x
    with np.errstate(all="ignore"):
        taken = 1 - (1 + w) ** (1 - model.a) * hyp2f1(model.a + model.b - 1 - model.r, model.a - 1, c, w / (1 + w))
        result = c / (model.a - 1) * taken
    # It has no value at a = 1 or c = 0, loses digits next to them and where little is expected, and 2F1 fails far
    # ahead of a short history.
    hard = (w > 3) | (abs(taken) < 1e-6) | ~np.isfinite(result)
    result[hard] = _visits_by_sum(model, x[hard], w[hard])
    return result


def _visits_by_sum(model: BgNbd, x, w) -> np.ndarray:
    """The same as a sum over the probability p of leaving, slower and good for any parameters; w = t/(α+T).

    The mean of g(p) = (1 − (1+pw)^−(r+x)) / p over p ~ Beta(a, b+x). Integration by parts turns it into that of
    h = g − (1−p)·g′/(a+b+x) over Beta(a+1, b+x), and h is taken less its value at p = 1, so that the integrand falls
    off quickly at both ends however small a and b are; the trapezoid rule over logit p then converges fast.
    """
    points = 160
    counts, place = np.unique(x, return_inverse=True)
    shape, beta, R = model.a + 1, model.b + counts, model.r + x
    low, high = _logit_window(shape, beta + 1)
    step = (high - low) / (points - 1)
    at_one = -np.expm1(-R * np.log1p(w))
    total = np.zeros(len(x))
    for k in range(points):
        u = low + k * step
        weight = (step * np.exp(shape * log_expit(u) + beta * log_expit(-u) - betaln(shape, beta)))[place]
        p, q = expit(u)[place], expit(-u)[place]
        log_growth = np.log1p(p * w)
        g = -np.expm1(-R * log_growth) / p
        slope = (R * w * np.exp(-(R + 1) * log_growth) - g) / p
        total += weight * (g - q * slope / (model.a + model.b + x) - at_one)
    return at_one + total


def _logit_window(a, b, drop: float = 36.0):
    """Between which u = logit p the function p^a (1−p)^b stays within e^−drop of its top, by bisection."""

    def height(u):
        return a * log_expit(u) + b * log_expit(-u)

    top = np.log(a / b)
    floor, ends = height(top) - drop, []
    for far in (top - drop / a - 40, top + drop / b + 40):
        near = top
        for _ in range(50):
            middle = (near + far) / 2
            inside = height(middle) > floor
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        ends.append(far)
    return ends


def fit_gamma_gamma(frequency, mean_amount) -> GammaGamma:
    """Gamma–Gamma model by maximum likelihood (Fader, Hardie 2013, eq. 1a).

    Args:
        frequency: number of visits that the mean is of.
        mean_amount: yuan; customers with frequency 0 or without an amount above zero are left out.

    Raises:
        ValueError: negative or missing frequency, infinite amount.
    """
    x, mean = _amounts(frequency, mean_amount)
    use = (x > 0) & (mean > 0)
    x, mean = x[use], mean[use]
    n = len(x)
    if n < MIN_REPEATERS:
        return GammaGamma(customers=n, converged=False, reason=TOO_FEW if n else NO_AMOUNTS)
    rows, _, weight = _distinct(x, mean)
    if np.ptp(rows[1]) <= 1e-9 * rows[1].max():
        return GammaGamma(customers=n, converged=False, reason=ALL_EQUAL)
    unit = float((rows[1] * weight).sum() / n)
    starts = [(np.log(p), np.log(q), 0.0) for p, q in ((1, 3), (5, 5), (0.5, 1.5), (30, 30))]
    bounds = [(np.log(1e-3), np.log(1e4)), (np.log(1e-3), np.log(1e4)), (-7, 7)]
    theta, ll, edge, ok = _maximise(_gamma_gamma_likelihood, (rows[0], rows[1] / unit, weight), starts, bounds)
    if not ok:
        return GammaGamma(customers=n, converged=False, reason=NO_MAXIMUM)
    p, q, v = (float(value) for value in _gamma_gamma_parameters(theta))
    return GammaGamma(
        p,
        q,
        v * unit,
        float(ll * n - n * np.log(unit)),
        n,
        converged=q > 1,
        reason="" if q > 1 else NO_MEAN,
        at_edge=tuple(("p", "q", "mean")[i] for i in edge),
    )


def _gamma_gamma_parameters(theta):
    """p, q, v of (ln p, ln q, ln p·v/q)."""
    return np.exp(theta[0]), np.exp(theta[1]), np.exp(theta[2] + theta[1] - theta[0])


def _gamma_gamma_likelihood(theta, data, counted=None) -> tuple[float, np.ndarray]:
    """Mean log-likelihood and its slope in theta."""
    p, q, v = _gamma_gamma_parameters(theta)
    x, mean, weight = data
    counts, _, per_count = counted or _by_count(x, weight)
    n = weight.sum()
    total = x * mean
    log_whole = np.log(total + v)
    log_part = np.log(total) - log_whole
    ll = (per_count * (gammaln(p * counts + q) - gammaln(p * counts))).sum() - n * (gammaln(q) - q * np.log(v))
    ll += (weight * (p * x * log_part - q * log_whole - np.log(mean))).sum()
    whole = psi(p * counts + q)
    by_p = (per_count * counts * (whole - psi(p * counts))).sum() + (weight * x * log_part).sum()
    by_q = (per_count * whole).sum() - n * (psi(q) - np.log(v)) - (weight * log_whole).sum()
    by_v = n * q / v - (weight * (p * x + q) / (total + v)).sum()
    return ll / n, np.array([p * by_p - v * by_v, q * by_q + v * by_v, v * by_v]) / n


def expected_amount(model: GammaGamma, frequency, mean_amount) -> np.ndarray:
    """Yuan expected of a coming visit, given the mean of the past ones.

    The customer's own mean, drawn to that of all customers the more, the fewer visits it rests on (Fader, Hardie 2013,
    eq. 5). Without visits or without an amount: the mean of all. A mean below zero counts as zero. NaN when the model
    did not converge.

    Raises:
        ValueError: as `fit_gamma_gamma`.
    """
    x, mean = _amounts(frequency, mean_amount)
    if not model.converged:
        return np.full(x.shape, np.nan)
    x = np.where(np.isnan(mean), 0, x)
    total = x * np.where(x > 0, np.maximum(mean, 0), 0)
    return model.p * (model.v + total) / (model.p * x + model.q - 1)


def clv(
    visits: BgNbd,
    amounts: GammaGamma,
    x,
    t_x,
    T,
    mean_amount,
    *,
    horizon_months: float = 36,
    annual_discount_rate: float = 0.08,
    unit: str = "W",
) -> np.ndarray:
    """Yuan that the customer is expected to bring over the coming months, later yuan counting less.

    E[amount] · ∫₀ᴴ e^(−δs) dE[Y(s)], with δ = ln(1 + annual rate): the discounted expected transactions of Fader,
    Hardie, Lee 2005 ("RFM and CLV: using iso-value curves"), cut at the horizon. Turnover, unless the amounts are
    margins. NaN when one of the models did not converge.

    Args:
        visits, amounts: the models, fitted to histories in the unit of time `unit`.
        x, t_x, T, mean_amount: of each customer, as `histories` gives them.

    Raises:
        ValueError: as `fit_bg_nbd` and `fit_gamma_gamma`; unknown unit; negative horizon or a rate of −1 or less.
    """
    if unit not in UNIT_DAYS:
        raise ValueError(f"unit {unit!r} is not one of {', '.join(UNIT_DAYS)}")
    if not horizon_months >= 0 or not annual_discount_rate > -1:
        raise ValueError("horizon_months must be 0 or more and annual_discount_rate above -1")
    x, t_x, T = _histories(x, t_x, T)
    horizon = horizon_months * UNIT_DAYS["M"] / UNIT_DAYS[unit]
    force = np.log1p(annual_discount_rate) * UNIT_DAYS[unit] / UNIT_DAYS["Y"]
    if not visits.converged:
        return np.full(x.shape, np.nan)
    # by parts: e^(−δH)·E[Y(H)] + δ ∫ e^(−δs) E[Y(s)] ds; E[Y] is smooth, so few nodes do
    nodes, weights = np.polynomial.legendre.leggauss(8)
    at = np.r_[horizon, (nodes + 1) / 2 * horizon]
    share = np.exp(-force * at) * np.r_[1.0, weights / 2 * horizon * force]
    (some_x, some_T), place, _ = _distinct(x.ravel(), T.ravel())
    rows = np.repeat(at, len(some_x)), np.tile(some_x, len(at)), np.tile(some_T, len(at))
    discounted = (share[:, None] * _visits_of_rows(visits, *rows).reshape(len(at), -1)).sum(axis=0)[place]
    return p_alive(visits, x, t_x, T) * discounted.reshape(x.shape) * expected_amount(amounts, x, mean_amount)


def tier_score(expected_yuan: pd.Series, past_yuan: pd.Series, past_share: float) -> pd.Series:
    """What a value tier goes by: expected yuan plus a share of the past ones; NaN where no expectation is known.

    Args:
        expected_yuan: discounted turnover expected (`clv`).
        past_yuan: turnover of the past; missing counts as nothing.
        past_share: how much of the past counts, 0 or more.
    """
    return expected_yuan.astype(float) + past_share * past_yuan.astype(float).fillna(0)


def tiers(
    score: pd.Series, shares: tuple[float, float, float], cuts_yuan: tuple[float, float] | None = None
) -> tuple[pd.Series, tuple[float, ...]]:
    """Value tiers of customers: 0 high, 1 middle, 2 low, NaN where the score is missing; and the two cuts in yuan.

    The cuts are those given in yuan, else the quantiles that leave the shares above them. A score at a cut goes to the
    higher tier, so that tiers may differ from the shares asked for. Fewer than three different scores make no tiers:
    all NaN, and no cuts.
    """
    known = score.dropna()
    if cuts_yuan is None:
        if known.nunique() < 3:
            return pd.Series(np.nan, score.index), ()
        high, middle, _low = shares
        cuts_yuan = known.quantile([1 - high, 1 - high - middle], interpolation="lower")
    high_cut, middle_cut = (float(cut) for cut in cuts_yuan)
    tier = pd.Series(np.where(score >= high_cut, 0.0, np.where(score >= middle_cut, 1.0, 2.0)), score.index)
    return tier.where(score.notna()), (high_cut, middle_cut)


def _maximise(likelihood, data, starts, bounds):
    """The highest point that several starts lead to: theta, mean log-likelihood, coordinates at a bound, found or not.

    The starts are compared after a rough climb on every k-th of the sorted rows, then the best goes on with all of them.
    """

    def climb(start, rows, ftol):
        counted = _by_count(rows[0], rows[-1])

        def falling(theta):
            value, slope = likelihood(theta, rows, counted)
            return -value, -slope

        return minimize(
            falling,
            start,
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000, "ftol": ftol, "gtol": 1e-8, "maxcor": 20},
        )

    step = -(-len(data[-1]) // _SAMPLE_ROWS)
    sample = [column[::step] for column in data]
    tried = [climb(np.asarray(start, dtype=float), sample, _ROUGHLY) for start in starts]
    best = climb(min(tried, key=lambda result: result.fun).x, data, 1e-15)
    low, high = np.array(bounds).T
    at_low, at_high = best.x <= low + 1e-3, best.x >= high - 1e-3
    slope = np.where((at_low & (best.jac > 0)) | (at_high & (best.jac < 0)), 0, best.jac)
    ok = bool(np.isfinite(best.fun) and np.abs(slope).max() < _SLOPE_TOLERANCE)
    return best.x, -best.fun, np.flatnonzero(at_low | at_high), ok


def _distinct(*columns):
    """Distinct rows of equally long columns, sorted; the place of each row among them; how often each occurs."""
    place, uniques = np.zeros(len(columns[0]), dtype=np.int64), []
    for column in columns:
        codes, values = pd.factorize(column, sort=True)
        place = pd.factorize(place * max(len(values), 1) + codes, sort=True)[0]
        uniques.append((codes, values))
    weight = np.bincount(place)
    one = np.zeros(len(weight), dtype=np.int64)
    one[place] = np.arange(len(place))
    return [values[codes[one]] for codes, values in uniques], place, weight


def _by_count(x, weight):
    """Distinct counts, the place of each row among them, and the customers who have each."""
    counts, place = np.unique(x, return_inverse=True)
    return counts, place, np.bincount(place, weights=weight, minlength=len(counts))


def _histories(x, t_x, T):
    x, t_x, T = np.broadcast_arrays(*(np.asarray(column, dtype=float) for column in (x, t_x, T)))
    if not (np.isfinite(x) & np.isfinite(t_x) & np.isfinite(T)).all():
        raise ValueError("x, t_x and T must not be missing or infinite")
    if not ((x >= 0) & (x == np.round(x)) & (t_x >= 0) & (t_x <= T) & ((x > 0) == (t_x > 0))).all():
        raise ValueError("x must be a count, 0 <= t_x <= T, and t_x > 0 exactly where x > 0")
    return x, t_x, T


def _amounts(frequency, mean_amount):
    x, mean = np.broadcast_arrays(np.asarray(frequency, dtype=float), np.asarray(mean_amount, dtype=float))
    if not (x >= 0).all() or np.isinf(x).any() or np.isinf(mean).any():
        raise ValueError("frequency must be 0 or more and not missing, amounts must be finite")
    return x, mean
