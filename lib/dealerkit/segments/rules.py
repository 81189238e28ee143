"""The rule classes: every person in one class of each scheme, by thresholds that the params hold.

A scheme is declared once in `SCHEMES`: its classes, the rule of each in words with the thresholds in force, and the
reason for it. "At the edge" are persons for whom a number that decides lies within the stated share of its threshold.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import value
from dealerkit.engine import frame_of
from dealerkit.messages import N_
from dealerkit.params import Params

DAYS_PER_MONTH = 30.4375
#: Contacts that show interest in a car.
INTEREST_KINDS = ("showroom_visit", "test_drive_booked", "test_drive", "deposit")
NO_CAR, UNKNOWN = "no_car", "unknown"


@dataclass(frozen=True)
class Klass:
    """A class of a scheme: its key, its name, and its rule as a template of the thresholds."""

    key: str
    label: str
    rule: str


@dataclass(frozen=True)
class Scheme:
    """A way to sort persons into classes; ``reason`` says why the rule is what it is."""

    key: str
    label: str
    reason: str
    classes: tuple[Klass, ...]
    decide: Callable[[_Case], tuple[list, list]]
    owners_only: bool = True

    @property
    def all_classes(self) -> tuple[Klass, ...]:
        """The classes and those that every scheme has: too little known, and no car in hand."""
        extra = (Klass(UNKNOWN, N_("cannot be told"), N_("what the rule asks for is not in the data")),)
        if self.owners_only:
            extra += (Klass(NO_CAR, N_("no car in hand"), N_("former owners and prospects")),)
        return self.classes + extra


@dataclass(frozen=True)
class _Case:
    """What the rules look at: columns of the factors of all persons, params, and which tables spoke."""

    frame: pd.DataFrame
    params: Params

    def __getitem__(self, column: str) -> pd.Series:
        if column not in self.frame:
            return pd.Series(np.nan, self.frame.index)
        return pd.to_numeric(self.frame[column], errors="coerce").astype(float)

    def of_owners(self, column: str) -> pd.Series:
        return self[column][self.frame["is_owner"]]

    @property
    def edge(self) -> float:
        return self.params.classes.edge_share

    def near(self, number: pd.Series, *thresholds: float) -> pd.Series:
        """Whether the number lies within the edge share of one of the thresholds."""
        near = pd.Series(False, self.frame.index)
        for limit in thresholds:
            near |= (number - limit).abs() <= self.edge * abs(limit) + 1e-9
        return near


def _value_tier(c: _Case):
    score = value.tier_score(c["clv_yuan"], c["spend_yuan_24m"], c.params.value.past_share)
    score = score.where(c.frame["is_owner"])
    tier, cuts = value.tiers(score, c.params.value.tier_shares, c.params.value.tier_yuan)
    return [(tier == k, key) for k, key in enumerate(("high", "middle", "low"))], [c.near(score, *cuts)]


def _in_rhythm(c: _Case) -> pd.Series:
    """Not away for longer than the own rhythm allows; where no rhythm is known, seen within the active months."""
    ratio = c["own_rhythm_ratio"]
    lately = c["recency_days"] <= c.params.windows.active_months * DAYS_PER_MONTH
    return (ratio <= c.params.classes.rhythm_ratio) | (ratio.isna() & lately)


def _stage(c: _Case):
    p, visits = c.params.classes, c["visits_count_24m"]
    new_days = p.new_months * DAYS_PER_MONTH
    loyal = (visits >= p.loyal_visits_24m) & _in_rhythm(c)
    rules = [
        (c["tenure_days"].isna() | c["visits_count_all"].isna(), UNKNOWN),
        (c["tenure_days"] < new_days, "new"),
        (loyal, "loyal"),
        (c["visits_count_all"] >= 2, "returning"),
        (c["visits_count_all"] < 2, "once"),
    ]
    edge = c.near(visits, p.loyal_visits_24m) | c.near(c["own_rhythm_ratio"], p.rhythm_ratio)
    return rules, [c.near(c["tenure_days"], new_days), edge & (c["tenure_days"] >= new_days)]


def _bond(c: _Case):
    p, visits, ratio = c.params.classes, c["visits_count_all"], c["own_rhythm_ratio"]
    gone_days = c.params.windows.lost_months * DAYS_PER_MONTH
    known = (visits >= 3) & ratio.notna()
    rules = [
        (visits.isna(), UNKNOWN),
        (known & (ratio <= p.rhythm_ratio), "loyal"),
        (known | ((visits >= 1) & (c["recency_days"] > gone_days)), "wandering"),
        (visits >= 0, "potential"),
    ]
    return rules, [known & c.near(ratio, p.rhythm_ratio), ~known & c.near(c["recency_days"], gone_days)]


def _rhythm(c: _Case):
    p, ratio, away = c.params.classes, c["own_rhythm_ratio"], c["recency_days"]
    gone_days = c.params.windows.lost_months * DAYS_PER_MONTH
    rules = [
        (away.notna() & (away > gone_days), "away"),
        (ratio > p.rhythm_ratio, "at_risk"),
        (ratio <= p.rhythm_ratio, "in_rhythm"),
    ]
    return rules, [c.near(away, gone_days), (away <= gone_days) & c.near(ratio, p.rhythm_ratio)]


def _spending(c: _Case):
    p, spend = c.params.classes, c["spend_yuan_24m"]
    rules = [
        (spend >= p.spend_high_yuan_24m, "high"),
        (spend >= p.spend_low_yuan_24m, "middle"),
        (spend > 0, "low"),
        (spend <= 0, "nothing"),
    ]
    return rules, [c.near(spend, p.spend_high_yuan_24m, p.spend_low_yuan_24m)]


def kinds_of_work(frame: pd.DataFrame) -> pd.Series:
    """How many kinds of work a person had in 24 months: maintenance, repair, accident, warranty, and all other."""
    visits = frame["visits_count_24m"].astype(float)
    counts = [
        frame["maintenance_share_24m"].astype(float).fillna(0) * visits,
        frame["repair_share_24m"].astype(float).fillna(0) * visits,
        frame["accident_count_24m"].astype(float).fillna(0),
        frame["warranty_count_24m"].astype(float).fillna(0),
    ]
    other = visits - sum(counts)
    return sum((n > 0.5).astype(int) for n in [*counts, other])


def _behaviour(c: _Case):
    p, visits = c.params.classes, c["visits_count_12m"]
    often = visits >= p.active_visits_12m
    broad = kinds_of_work(c.frame) >= p.active_kinds_24m
    booked = c["booked_share_24m"] >= p.active_booked_share
    rules = [
        (visits.isna(), UNKNOWN),
        (often & (broad | booked), "active"),
        (visits >= 1, "steady"),
        (visits < 1, "passive"),
    ]
    return rules, [
        c.near(visits, p.active_visits_12m),
        often & ~broad & c.near(c["booked_share_24m"], p.active_booked_share),
    ]


def _median_yuan_per_visit(c: _Case) -> float:
    paid = c.of_owners("yuan_per_visit_24m").dropna()
    return float(paid.median()) if len(paid) else np.nan


def need_signs(c: _Case) -> dict[str, pd.Series]:
    """Whether each need shows: 1, 0, or NaN where the data cannot tell."""
    p = c.params.classes
    discount = c["discount_share_24m"]
    told = discount.fillna(0) if discount.notna().any() else discount
    declined = c["declined_count_12m"] if c["declined_count_12m"].fillna(0).any() else discount * np.nan
    price = _any_of(told >= p.price_discount_share, told) | _any_of(declined >= p.price_declined_12m, declined)
    quality = c["yuan_per_visit_24m"] >= p.quality_yuan_ratio * _median_yuan_per_visit(c)
    complained, score = c["complaints_count_12m"], c["survey_score_last"]
    service = (complained >= 1) | (score <= p.service_score)
    heard = complained.fillna(0).any() or score.notna().any()
    can = {
        "price": told.notna() | declined.notna(),
        "quality": c["yuan_per_visit_24m"].notna() & (_median_yuan_per_visit(c) > 0),
        "service": pd.Series(bool(heard), c.frame.index),
    }
    shown = {"price": price, "quality": quality, "service": service}
    return {key: shown[key].astype(float).where(can[key]) for key in shown}


def _any_of(condition: pd.Series, number: pd.Series) -> pd.Series:
    return condition & number.notna()


def _need(c: _Case):
    p, signs = c.params.classes, need_signs(c)
    enough = c["visits_count_24m"] >= p.need_visits_24m
    rules = [(~enough, UNKNOWN)]
    rules += [(signs[key] == 1, key) for key in ("price", "service", "quality")]
    rules += [(sum(s.isna() for s in signs.values()) == 0, "none")]
    per_visit = p.quality_yuan_ratio * _median_yuan_per_visit(c)
    edges = [
        c.near(c["visits_count_24m"], p.need_visits_24m),
        enough & c.near(c["discount_share_24m"], p.price_discount_share),
        enough & c.near(c["declined_count_12m"], p.price_declined_12m),
        enough & c.near(c["yuan_per_visit_24m"], per_visit if per_visit == per_visit else 0),
        enough & c.near(c["survey_score_last"], p.service_score),
    ]
    return rules, edges


def _intention(c: _Case):
    days = c.params.classes.interest_months * DAYS_PER_MONTH
    sign, bought = c["sign_days_ago"], c["bought_days_ago"]
    has_bought = bought.notna() | (c["purchases_count_all"] > 0)
    rules = [
        ((sign <= days) & ~(bought <= sign), "interested"),
        (has_bought, "closed"),
        (pd.Series(bool(c.frame.attrs.get("signs_told")), c.frame.index), "potential"),
    ]
    return rules, [c.near(sign, days)]


SCHEMES: tuple[Scheme, ...] = (
    Scheme(
        "value_tier",
        N_("Value"),
        N_("Expected turnover, plus a share of the past, says whom it is worth most to keep."),
        (
            Klass("high", N_("high value"), N_("from {tier_high_yuan:yuan} of expected and part of past yuan")),
            Klass("middle", N_("middle value"), N_("from {tier_middle_yuan:yuan} to {tier_high_yuan:yuan}")),
            Klass("low", N_("low value"), N_("under {tier_middle_yuan:yuan}")),
        ),
        _value_tier,
    ),
    Scheme(
        "loyalty_stage",
        N_("New, returning, loyal"),
        N_("The first year decides whether a customer stays; after it the number of visits tells a habit."),
        (
            Klass("new", N_("new"), N_("first seen less than {new_months:months} ago")),
            Klass("loyal", N_("loyal"), N_("not new, {loyal_visits_24m:count} visits or more in 24 months, absent for no more than {rhythm_ratio:number} of their own intervals")),
            Klass("returning", N_("returning"), N_("not new and not loyal, two visits or more ever")),
            Klass("once", N_("came once or never"), N_("not new, one visit ever or none")),
        ),
        _stage,
    ),
    Scheme(
        "loyalty_bond",
        N_("Bond"),
        N_("A bond shows in keeping one's own rhythm, whether that is three visits a year or one."),
        (
            Klass("loyal", N_("faithful"), N_("three visits or more, absent for no more than {rhythm_ratio:number} of their own intervals")),
            Klass("wandering", N_("wandering"), N_("three visits or more and absent for longer than that; or fewer and not seen for {lost_months:months}")),
            Klass("potential", N_("potential"), N_("fewer than three visits, the last within {lost_months:months}, or none yet")),
        ),
        _bond,
    ),
    Scheme(
        "rhythm",
        N_("Rhythm"),
        N_("The same absence means little for one customer and much for another; no model is used here."),
        (
            Klass("in_rhythm", N_("in rhythm"), N_("absent for no more than {rhythm_ratio:number} of their own intervals")),
            Klass("at_risk", N_("at risk"), N_("absent for more than {rhythm_ratio:number} of their own intervals, but not for {lost_months:months}")),
            Klass("away", N_("away"), N_("not seen for {lost_months:months}")),
        ),
        _rhythm,
    ),
    Scheme(
        "spending_level",
        N_("Spending"),
        N_("What was paid in 24 months, in fixed yuan, so that a class means the same next time."),
        (
            Klass("high", N_("spends much"), N_("{spend_high_yuan_24m:yuan} or more in 24 months")),
            Klass("middle", N_("spends some"), N_("from {spend_low_yuan_24m:yuan} to {spend_high_yuan_24m:yuan} in 24 months")),
            Klass("low", N_("spends little"), N_("under {spend_low_yuan_24m:yuan} in 24 months")),
            Klass("nothing", N_("spent nothing"), N_("nothing in 24 months")),
        ),
        _spending,
    ),
    Scheme(
        "behaviour",
        N_("Behaviour"),
        N_("Who comes often, for several kinds of work or by appointment, uses the dealer actively."),
        (
            Klass("active", N_("active"), N_("{active_visits_12m:count} visits or more in 12 months, and {active_kinds_24m:count} kinds of work or {active_booked_share:share} of the visits booked in 24 months")),
            Klass("steady", N_("steady"), N_("a visit in 12 months, not active")),
            Klass("passive", N_("passive"), N_("no visit in 12 months")),
        ),
        _behaviour,
    ),
    Scheme(
        "need",
        N_("Need"),
        N_("What a customer reacts to shows in discounts, refused work, complaints, scores and what is paid per visit; the first rule that holds counts."),
        (
            Klass("price", N_("price-sensitive"), N_("discounts of {price_discount_share:share} or more in 24 months, or {price_declined_12m:count} jobs declined in 12 months")),
            Klass("service", N_("service-sensitive"), N_("a complaint in 12 months, or a last survey score of {service_score:number} or less")),
            Klass("quality", N_("quality-sensitive"), N_("pays {quality_yuan_ratio:number} times the usual amount per visit, or more")),
            Klass("none", N_("no need shown"), N_("{need_visits_24m:count} visits or more in 24 months and none of these signs")),
        ),
        _need,
    ),
    Scheme(
        "intention",
        N_("Intention to buy"),
        N_("Leads, showroom visits and test drives show interest before a sale does; signs before the last purchase do not count."),
        (
            Klass("interested", N_("interested"), N_("an open lead, a showroom visit, a test drive or a deposit in the last {interest_months:months}, after the last purchase")),
            Klass("closed", N_("bought here"), N_("bought a car here, and no such sign since")),
            Klass("potential", N_("potential"), N_("has not bought here, and no such sign lately")),
        ),
        _intention,
        owners_only=False,
    ),
)  # fmt: skip


def interest(clean: dict[str, ir.Table], records: pd.DataFrame, as_of: date, params: Params) -> pd.DataFrame | None:
    """Days since the last sign of interest in a car and since the last purchase here: person_id, sign_days_ago,
    bought_days_ago. None when neither leads nor interactions tell of any sign.

    Args:
        clean: clean tables; ``leads``, ``interactions`` and ``sales_orders`` may be missing.
        records: customer record → person, as `identity.identify` gives it.
    """
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    who = ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})
    day, days = ibis.literal(as_of), []
    if "interactions" in clean:
        met = clean["interactions"].filter(_.kind.isin(INTEREST_KINDS), _["at"].date() <= day)
        days.append(met.select("customer_id", sign=_["at"].date(), bought=ibis.null("date")))
    if "leads" in clean:
        open_ = _.status.isin(["new", "following"]) | (_.status.isnull() & _.closed_at.isnull())
        leads = clean["leads"].filter(open_, _.created_at.date() <= day)
        days.append(leads.select("customer_id", sign=_.created_at.date(), bought=ibis.null("date")))
    if not days:
        return None
    if "sales_orders" in clean:
        sold = clean["sales_orders"].filter(_.delivered_on <= day)
        days.append(sold.select("customer_id", sign=ibis.null("date"), bought=_.delivered_on))
    found = ibis.union(*days) if len(days) > 1 else days[0]
    found = found.inner_join(who, "customer_id").group_by("person_id").agg(sign=_.sign.max(), bought=_.bought.max())
    last = frame_of(found.order_by("person_id"))
    if not last["sign"].notna().any():
        return None
    ago = {f"{name}_days_ago": (pd.Timestamp(as_of) - last[name]).dt.days.astype(float) for name in ("sign", "bought")}
    return last[["person_id"]].assign(**ago)


def _case(factors: pd.DataFrame, persons: pd.DataFrame, signs: pd.DataFrame | None, params: Params) -> _Case:
    frame = persons[["person_id", "is_owner"]].merge(factors, on="person_id", how="left", validate="one_to_one")
    if signs is not None:
        frame = frame.merge(signs, on="person_id", how="left", validate="one_to_one")
    frame = frame.sort_values("person_id", ignore_index=True)
    frame.attrs["signs_told"] = signs is not None
    return _Case(frame, params)


def classes(
    factors: pd.DataFrame, persons: pd.DataFrame, signs: pd.DataFrame | None, params: Params
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per person, by person_id: its class in each of `SCHEMES`; and whether it stands at the edge of it.

    Args:
        factors: person factors at one origin.
        persons: persons with ``is_owner``.
        signs: what `interest` gives.
        params: thresholds.

    Returns:
        Two frames with ``person_id`` and a column per scheme: keys of classes, and True at the edge.
    """
    c = _case(factors, persons, signs, params)
    held, edges = c.frame[["person_id"]].copy(), c.frame[["person_id"]].copy()
    for scheme in SCHEMES:
        rules, near = scheme.decide(c)
        conditions = [np.asarray(condition, dtype=bool) for condition, _key in rules]
        keys = [key for _condition, key in rules]
        if scheme.owners_only:
            conditions, keys = [~c.frame["is_owner"].to_numpy(bool), *conditions], [NO_CAR, *keys]
        held[scheme.key] = np.select(conditions, keys, default=UNKNOWN)
        at_edge = np.any([np.asarray(n, dtype=bool) for n in near], axis=0)
        edges[scheme.key] = at_edge & ~held[scheme.key].isin([NO_CAR, UNKNOWN])
    return held, edges


def thresholds(factors: pd.DataFrame, persons: pd.DataFrame, params: Params) -> dict[str, float | None]:
    """The thresholds in force by name, those that come from the data (cuts of the value tiers) among them."""
    c = _case(factors, persons, None, params)
    score = value.tier_score(c["clv_yuan"], c["spend_yuan_24m"], params.value.past_share).where(c.frame["is_owner"])
    _tier, cuts = value.tiers(score, params.value.tier_shares, params.value.tier_yuan)
    cuts = cuts or (None, None)
    return {
        **params.classes.model_dump(),
        "lost_months": params.windows.lost_months,
        "active_months": params.windows.active_months,
        "tier_high_yuan": cuts[0],
        "tier_middle_yuan": cuts[1],
    }


def rules(in_force: dict, t) -> pd.DataFrame:
    """Every class in words with the thresholds in force: scheme, class, label, rule, reason, in the words of ``t``."""
    rows = []
    for scheme in SCHEMES:
        for klass in scheme.all_classes:
            rows.append(
                {
                    "scheme": scheme.key,
                    "class": klass.key,
                    "scheme_label": t.text(scheme.label),
                    "label": t.text(klass.label),
                    "rule": filled(klass.rule, in_force, t),
                    "reason": t.text(scheme.reason),
                }
            )
    return pd.DataFrame(rows)


def filled(template: str, values: dict, t) -> str:
    """The template with those of the values that it has a place for, in the words of ``t``."""
    return t.say(template, **{name: values[name] for name in placeholders(template)})


def placeholders(template: str) -> list[str]:
    """Names of the values that the template has a place for."""
    return [name for _text, name, _kind, _conversion in string.Formatter().parse(template) if name]


def needs_shown(factors: pd.DataFrame, persons: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Which needs each owner shows (1, 0, NaN where it cannot be told): person_id, price, quality, service."""
    c = _case(factors, persons, None, params)
    shown = pd.DataFrame({"person_id": c.frame["person_id"], **need_signs(c)})
    return shown[c.frame["is_owner"]].reset_index(drop=True)
