"""Whether scores and entries were made by customers and cars, or by whoever typed them in.

One row per employee and test, each against all others, with an effect, its interval, the chance of seeing as much from an
honest employee (p), and that chance adjusted for all tests made together (false discovery rate). Good scores alone are
no finding: an honest employee may be far better than the others (`AuthenticityParams.best_honest`), and still gets scores
that scatter, since customers differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy.special import ndtr

from dealerkit import engine
from dealerkit.audit.kinds import Check
from dealerkit.audit.whole import Whole, check_of
from dealerkit.messages import N_
from dealerkit.params import AuthenticityParams, CheckParams
from dealerkit.stats import false_discovery, wilson
from dealerkit.stats.ordered import copied, cut_points, evenness, shift_of
from dealerkit.stats.rates import excess

#: Days after a complaint in which a customer is still angry.
_ANGRY_DAYS = 30
#: Days in which nobody is asked again.
_AGAIN_DAYS = 7
#: Days in which a car that was well done does not come back to the same adviser.
_SOON_DAYS = 3
#: Chance under which an employee's scores are left out of what the others are held against.
_PLAIN = 1e-4
#: Employees differ by less than customers of one employee do.
_MOST_APART = 0.8


@dataclass(frozen=True)
class Test:
    """One test: the table and column it is about, what it says of an employee whom it finds, what the effect is, and
    whether it accuses."""

    table: str
    column: str
    message: str
    effect: str
    accuses: bool = True


TESTS = {
    "scores_too_perfect": Test("interactions", "score", N_("more perfect scores than any honest employee gets"), N_("share of scores not given by customers")),
    "scores_all_alike": Test("interactions", "score", N_("one and the same score, whoever is asked"), N_("share of scores not given by customers")),
    "scores_too_even": Test("interactions", "score", N_("scores that scatter less than customers do"), N_("scatter against the usual")),
    "perfect_after_complaint": Test("interactions", "score", N_("perfect scores from customers who had just complained"), N_("share above the others'")),
    "surveys_to_staff": Test("interactions", "phone", N_("surveys that reached a phone of staff"), N_("share above the others'")),
    "surveys_to_one_phone": Test("interactions", "phone", N_("surveys of many customers that reached one phone"), N_("share above the others'")),
    "phone_changed_for_survey": Test("interactions", "phone", N_("another phone than before, just for the survey"), N_("share above the others'")),
    "surveys_repeated": Test("interactions", "customer_id", N_("the same customer asked again within days"), N_("share above the others'")),
    "visits_in_bulk": Test("service_orders", "opened_at", N_("visits typed in together, in one minute"), N_("share above the others'")),
    "visits_repeated": Test("service_orders", "vin", N_("the same cars back every few days"), N_("share above the others'")),
    "odometers_rounded": Test("service_orders", "odometer_km", N_("odometers in whole thousands"), N_("share above the others'")),
    "scores_high": Test("interactions", "score", N_("better scores than the others, as an honest employee may have"), N_("better by so many standard deviations"), accuses=False),
}  # fmt: skip
#: Columns of what `examine` gives.
COLUMNS = [
    "number",
    "role",
    "employee",
    "test",
    "cases",
    "of",
    "effect",
    "low",
    "high",
    "p",
    "p_adjusted",
    "found",
    "accuses",
]


def examine(
    connection, clean: dict[str, ir.Table], given: set[str], params: AuthenticityParams, checks: CheckParams
) -> pd.DataFrame:
    """Every test of every employee with enough rows, the most suspicious first.

    Args:
        connection: an engine connection.
        clean: the clean tables.
        given: columns of the interactions that were delivered.
        params, checks: limits.

    Returns:
        Frame with `COLUMNS`: number is that of the employee on the page, where nobody is named; role is ``adviser`` or ``caller``; cases of how many rows; effect with the ends of its 95 %
        interval; p and p_adjusted; found: p_adjusted within the level of the params; accuses: whether the test does.
    """
    rows = _of_surveys(connection, clean, given, params) if {"interactions"} <= set(clean) else []
    rows += _of_visits(clean["service_orders"], params, checks)
    done = pd.DataFrame(rows, columns=["role", "employee", "test", "cases", "of", "effect", "low", "high", "p"])
    done = done.dropna(subset=["p"]).reset_index(drop=True)
    done["p_adjusted"] = false_discovery(done["p"].astype(float)).round(9)
    done["found"] = done["p_adjusted"] <= params.false_discovery
    done["accuses"] = [TESTS[name].accuses for name in done["test"]]
    numbers = ["effect", "low", "high", "p"]
    done[numbers] = done[numbers].astype(float).round(6)
    done = done.sort_values(["p_adjusted", "p", "role", "employee", "test"], ignore_index=True)
    done.insert(0, "number", pd.factorize(done["employee"])[0] + 1)
    return done[COLUMNS]


def as_checks(examined: pd.DataFrame) -> list[Whole]:
    """Each test as a check of a whole table: the scores or entries of the employees who were called fail. They are named by
    their number, since examples are shown."""
    found = []
    for name, test in TESTS.items():
        part = examined[examined["test"] == name]
        if part.empty:
            continue
        check: Check = check_of(
            test.table, name, test.column, "authenticity", test.message, "warn" if test.accuses else "info"
        )
        called = part[part["found"]]
        failing = tuple(f"{number}" for number in dict.fromkeys(called["number"]))
        found.append(Whole(check, int(part["of"].sum()), failing, int(called["cases"].sum())))
    return found


def _of_surveys(connection, clean: dict[str, ir.Table], given: set[str], params: AuthenticityParams) -> list[dict]:
    surveys = _surveys(connection, clean, given, params)
    by = ["role", "employee", "score"]
    scores = surveys.drop_null(["employee", "score"]).group_by(by).agg(rows=_.count())
    scores = engine.frame_of(scores.order_by(by))
    scores = scores[scores["score"] == scores["score"].round()]
    rows: list[dict] = []
    for role, part in scores.groupby("role"):
        rows += _of_scores(role, part, params)
    top = scores["score"].max() if len(scores) else None
    return rows + _of_counts(surveys, given, top, params)


def _of_scores(role: str, scores: pd.DataFrame, params: AuthenticityParams) -> list[dict]:
    """The tests of one role on how often each score was given; ``scores``: employee, score, rows."""
    scale = np.arange(int(scores["score"].min()), int(scores["score"].max()) + 1)
    wide = scores.pivot_table(index="employee", columns="score", values="rows", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=scale, fill_value=0)
    counts = wide[wide.sum(axis=1) >= params.min_surveys]
    if len(counts) < 3 or len(scale) < 3:
        return []
    table = counts.to_numpy(dtype=float)
    usual, apart, honest = _honest(table, params)
    total, within = table[honest].sum(axis=0), np.sqrt(1 - apart**2)
    rows = []
    for employee, own, fair in zip(counts.index, table, honest, strict=True):
        cuts, n = cut_points(total - own * fair, within), own.sum()
        of = {"role": role, "employee": employee, "of": int(n)}
        most = usual + params.best_honest * apart
        share, low, high, p = copied(own, cuts, len(scale) - 1, most)
        rows.append(of | _row("scores_too_perfect", own[-1], share, low, high, p))
        mode = int(np.argmax(own[:-1]))
        share, low, high, p = copied(own, cuts, mode, most)
        rows.append(of | _row("scores_all_alike", own[mode], share, low, high, min(1.0, p * (len(scale) - 1))))
        ratio, low, high, p = evenness(own, cuts, most)
        rows.append(of | _row("scores_too_even", own.max(), ratio, low, high, p))
        shift, error = shift_of(own, cuts)
        wide_by = 1.96 * error
        above = (shift - usual) / np.hypot(apart, error)
        rows.append(
            of
            | _row(
                "scores_high", own[-1], shift - usual, shift - usual - wide_by, shift - usual + wide_by, ndtr(-above)
            )
        )
    return rows


def _row(test: str, cases: float, effect: float, low: float, high: float, p: float) -> dict:
    return {"test": test, "cases": int(cases), "effect": effect, "low": low, "high": high, "p": float(p)}


def _honest(table: np.ndarray, params: AuthenticityParams) -> tuple[float, float, np.ndarray]:
    """(usual shift, standard deviation between employees beside what chance makes, who seems honest).

    Who gives nearly all scores himself is no measure for the others; the rest is looked at by medians.
    """
    honest = np.ones(len(table), dtype=bool)
    for _round in range(2):
        total = table[honest].sum(axis=0)
        cuts = [cut_points(total - own * fair) for own, fair in zip(table, honest)]
        found = np.array([shift_of(own, cut) for own, cut in zip(table, cuts)])
        usual = float(np.median(found[honest, 0]))
        spread = 1.4826 * float(np.median(np.abs(found[honest, 0] - usual)))
        chance = float(np.median(found[honest, 1]))
        apart = float(np.clip(np.sqrt(max(spread**2 - chance**2, 0)), params.honest_spread, _MOST_APART))
        most = usual + params.best_honest * apart
        scores = {table.shape[1] - 1, *table.argmax(axis=1).tolist()}
        faked = [min(copied(own, cut, s, most)[3] for s in scores) < _PLAIN for own, cut in zip(table, cuts)]
        honest = ~np.array(faked) if np.sum(faked) <= len(table) / 2 else honest
    return usual, apart, honest


def _surveys(connection, clean: dict[str, ir.Table], given: set[str], params: AuthenticityParams) -> ir.Table:
    """One row per survey and employee who could have made it: the adviser of the visit, and who asked."""
    all_calls = clean["interactions"]
    extra = ["phone"] if "phone" in given else []
    calls = all_calls.select("interaction_id", "customer_id", "kind", "score", "staff_id", *extra, "at")
    surveys = calls.filter(calls.kind == "survey").drop("kind")
    visits = clean["service_orders"].select("customer_id", "adviser_id", opened_at=_.opened_at)
    visits = visits.drop_null().distinct(on=["customer_id", "opened_at"], keep="first")
    complaints = (
        calls.filter(calls.kind == "complaint").select("customer_id", complained_at=_["at"]).drop_null().distinct()
    )
    rows = surveys.asof_join(visits, on=surveys["at"] >= visits.opened_at, predicates=["customer_id"]).drop(
        "customer_id_right"
    )
    rows = rows.asof_join(complaints, on=rows["at"] >= complaints.complained_at, predicates=["customer_id"]).drop(
        "customer_id_right"
    )
    day = rows["at"].date().epoch_days()
    rows = rows.mutate(
        adviser_id=(day - rows.opened_at.date().epoch_days() <= params.survey_visit_days).ifelse(
            rows.adviser_id, ibis.null("string")
        ),
        angry=(day - rows.complained_at.date().epoch_days() <= _ANGRY_DAYS).fill_null(False),
    )
    before = rows["at"].lag().over(ibis.window(group_by="customer_id", order_by=["at", "interaction_id"]))
    rows = rows.mutate(
        again=(rows.customer_id.notnull() & (day - before.date().epoch_days() <= _AGAIN_DAYS)).fill_null(False)
    )
    if extra:
        rows = _with_phones(rows, calls, clean, params)
    flags = [name for name in ("angry", "again", "of_staff", "of_many", "changed") if name in rows.columns]
    # Looked through several times, and put together from six tables.
    rows = engine.keep(connection, "surveys", rows.select("score", *flags, "staff_id", "adviser_id"))
    asked = rows.select("score", *flags, employee=_.staff_id, role=ibis.literal("caller"))
    advised = rows.select("score", *flags, employee=_.adviser_id, role=ibis.literal("adviser"))
    same = engine.frame_of(rows.agg(same=(_.staff_id == _.adviser_id).mean(), asked=_.staff_id.count())).iloc[0]
    if not same["asked"]:
        return advised
    if (same["same"] or 0) >= 0.8:
        # Who asked is the adviser: one and the same test is made once.
        return rows.select("score", *flags, employee=_.staff_id, role=ibis.literal("adviser"))
    return asked.union(advised)


def _with_phones(rows: ir.Table, calls: ir.Table, clean: dict[str, ir.Table], params: AuthenticityParams) -> ir.Table:
    """Surveys with what is wrong with the number called: of staff, of many customers, not the one of before."""
    many = rows.drop_null(["phone", "customer_id"]).group_by("phone").agg(customers=_.customer_id.nunique())
    many = many.filter(many.customers > params.max_surveys_per_phone).select(phone_of_many="phone")
    rows = rows.left_join(many, rows.phone == many.phone_of_many)
    staff = clean["staff"].select(phone_of_staff=_.phone).drop_null().distinct() if "staff" in clean else None
    rows = (
        rows.left_join(staff, rows.phone == staff.phone_of_staff)
        if staff is not None
        else rows.mutate(phone_of_staff=ibis.null("string"))
    )
    files = clean["customers"].select(of_file="customer_id", on_file="phone", other_on_file="phone_alt")
    rows = rows.left_join(files, rows.customer_id == files.of_file)
    reached = calls.drop_null(["phone", "customer_id"])
    by_customer = ibis.window(group_by="customer_id", order_by=["at", "interaction_id"])
    past = reached.select(
        of_call="interaction_id",
        phone_before=_.phone.lag().over(by_customer),
        called_before=_["at"].lag().over(by_customer),
    )
    rows = rows.left_join(past, rows.interaction_id == past.of_call)
    gap = rows["at"].date().epoch_days() - rows.called_before.date().epoch_days()
    strange = (rows.phone != rows.on_file) & (rows.other_on_file.isnull() | (rows.phone != rows.other_on_file))
    turned = (rows.phone != rows.phone_before) & (gap <= params.phone_change_days)
    known = rows.phone.notnull()
    return rows.mutate(
        of_staff=known.ifelse(rows.phone_of_staff.notnull(), ibis.null("boolean")),
        of_many=known.ifelse(rows.phone_of_many.notnull(), ibis.null("boolean")),
        changed=known.ifelse(strange.fill_null(False) | turned.fill_null(False), ibis.null("boolean")),
    )


def _of_counts(surveys: ir.Table, given: set[str], top: float | None, params: AuthenticityParams) -> list[dict]:
    """The tests of how many surveys of each employee have something that those of others rarely have."""
    counted = {"n_again": _.count(), "k_again": _.again.sum()}
    names = {"again": "surveys_repeated"}
    if top is not None:
        scored = _.score.notnull() & _.angry
        counted |= {"n_angry": scored.sum(), "k_angry": (scored & (_.score == top)).sum()}
        names["angry"] = "perfect_after_complaint"
    for flag, name in (
        ("of_staff", "surveys_to_staff"),
        ("of_many", "surveys_to_one_phone"),
        ("changed", "phone_changed_for_survey"),
    ):
        if flag in surveys.columns:
            counted |= {f"n_{flag}": _[flag].count(), f"k_{flag}": _[flag].sum()}
            names[flag] = name
    by = ["role", "employee"]
    rows = engine.frame_of(surveys.drop_null("employee").group_by(by).agg(**counted).order_by(by))
    rows[[*counted]] = rows[[*counted]].astype(float).fillna(0)
    found: list[dict] = []
    for flag, test in names.items():
        least = 3 if flag == "angry" else params.min_surveys
        for role, part in rows.groupby("role"):
            found += _excesses(role, test, part["employee"], part[f"k_{flag}"], part[f"n_{flag}"], least)
    return found


def _of_visits(visits: ir.Table, params: AuthenticityParams, checks: CheckParams) -> list[dict]:
    """The tests of how each adviser's visits were typed in."""
    own = visits.select("adviser_id", "opened_at", "odometer_km", "vin", "order_id").drop_null("adviser_id")
    timed = (own.opened_at.hour() > 0) | (own.opened_at.minute() > 0)
    minutes = own.filter(timed).group_by("adviser_id", minute=own.opened_at.truncate("m")).agg(rows=_.count())
    bulk = minutes.group_by("adviser_id").agg(
        n=_.rows.sum(), k=(_.rows > checks.max_rows_per_minute).ifelse(_.rows, 0).sum()
    )
    read = own.drop_null("odometer_km").filter(_.odometer_km > 0)
    whole = read.group_by("adviser_id").agg(n=_.count(), k=(_.odometer_km % 1000 == 0).sum())
    before = own.opened_at.lag().over(ibis.window(group_by=["adviser_id", "vin"], order_by=["opened_at", "order_id"]))
    soon = own.mutate(soon=own.opened_at.date().epoch_days() - before.date().epoch_days() <= _SOON_DAYS)
    again = soon.group_by("adviser_id").agg(n=_.count(), k=_.soon.sum())
    tested = {"visits_in_bulk": bulk, "visits_repeated": again, "odometers_rounded": whole}
    parts = [rows.mutate(test=ibis.literal(name)) for name, rows in tested.items()]
    counts = {"n": _.n.cast("int64"), "k": _.k.fill_null(0).cast("int64")}
    both = ibis.union(*[part.select("test", "adviser_id", **counts) for part in parts])
    rows = engine.frame_of(both.order_by(["test", "adviser_id"]))
    found: list[dict] = []
    for test, part in rows.groupby("test"):
        found += _excesses("adviser", test, part["adviser_id"], part["k"], part["n"], params.min_rows)
    return found


def _excesses(role: str, test: str, employees, k, n, least: int) -> list[dict]:
    """One row per employee with enough trials, where anything was found at all."""
    k, n, employees = np.asarray(k, dtype=float), np.asarray(n, dtype=float), list(employees)
    if not k.sum():
        return []
    rest, p = excess(k, n)
    low, high = wilson(k, n)
    rows = []
    for i in np.flatnonzero((n >= least) & np.isfinite(p)):
        of = {"role": role, "employee": employees[i], "of": int(n[i])}
        rows.append(of | _row(test, k[i], k[i] / n[i] - rest[i], low[i] - rest[i], high[i] - rest[i], p[i]))
    return rows
