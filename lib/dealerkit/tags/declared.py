"""The tags of the kit: each declared once, with its class, its rule in words and the expression behind it.

A rule gives for each row (a person, or a car with its holder) how many days ago it began to hold, `UNKNOWN` where the
data do not tell, and nothing where it does not hold. Rows are wide: what the factors, the person, the cars and the events say, as `events` gathers it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir

from dealerkit.messages import N_
from dealerkit.params import Params

DAYS_PER_MONTH = 30.4375
#: Stands for the days since when a rule holds where it does and the data do not tell since when.
UNKNOWN = -1

#: Classes of tags in the order in which they are shown.
CLASSES = {
    "who": N_("Who"),
    "bond": N_("Bond"),
    "car": N_("Car"),
    "work": N_("Service and repair"),
    "contact": N_("Contact"),
    "interest": N_("Interest"),
    "own": N_("Own"),
}


@dataclass(frozen=True)
class Row:
    """One row as a rule sees it: its columns, the params and the day of the report."""

    table: ir.Table
    params: Params
    as_of: date

    def __getattr__(self, name: str) -> ir.Column:
        return self.table[name]

    def when(self, condition: ir.BooleanValue, days_ago: ir.NumericValue | float | None = None) -> ir.IntegerValue:
        """Days since when, where the condition holds, from 0; `UNKNOWN` where the day is not known."""
        days = days_ago if isinstance(days_ago, ir.Value) else ibis.literal(days_ago, "float64")
        since = ibis.greatest(days.cast("float64").floor().cast("int64"), 0)
        return condition.fill_null(False).ifelse(days.isnull().ifelse(UNKNOWN, since), ibis.null("int64"))

    def within(self, days_ago: ir.NumericValue, months: float) -> ir.BooleanValue:
        """Whether something happened within so many months."""
        return days_ago <= days_of(months)


def days_of(months: float) -> int:
    """Whole days of so many months: an event counts as within them while so many days have gone by at most."""
    return math.floor(months * DAYS_PER_MONTH)


@dataclass(frozen=True)
class Tag:
    """A tag.

    Attributes:
        name: key; small letters and _.
        klass: key of `CLASSES`.
        label: what people call it.
        rule: when it holds, in words, a template of the thresholds (`thresholds`).
        since: days since when it holds, of a `Row`, or `UNKNOWN`; null where it does not.
        needs: columns of the row without which it cannot be told.
        of_car: rows are cars with their holder instead of persons.
        step: what to do about it; empty: nothing by itself.
        offer: the step is advertising, which needs consent.
    """

    name: str
    klass: str
    label: str
    rule: str
    since: Callable[[Row], ir.IntegerValue]
    needs: tuple[str, ...]
    of_car: bool = False
    step: str = ""
    offer: bool = False


def thresholds(params: Params) -> dict[str, object]:
    """Every threshold that a rule may name, by name."""
    return {
        **params.classes.model_dump(),
        **params.windows.model_dump(),
        **params.tags.model_dump(),
        "replacement_months": params.churn.replacement_months,
        "fleet_cars": params.identity.fleet_cars,
    }


def placeholders(template: str) -> list[str]:
    """Names of the values that a template has a place for."""
    return [name for _text, name, _kind, _conversion in string.Formatter().parse(template) if name]


def _away(r: Row) -> ir.IntegerValue:
    limit = days_of(r.params.windows.lost_months)
    return r.when(r.is_owner & (r.recency_days > limit), r.recency_days - limit - 1)


def _out_of_rhythm(r: Row) -> ir.IntegerValue:
    allowed = r.params.classes.rhythm_ratio * r.interval_days_median
    late = (r.own_rhythm_ratio > r.params.classes.rhythm_ratio) & r.within(r.recency_days, r.params.windows.lost_months)
    return r.when(r.is_owner & late, (r.recency_days - allowed).ceil() - 1)


def _service_due(r: Row) -> ir.IntegerValue:
    ahead, late = r.params.tags.service_ahead_days, r.params.tags.service_overdue_days
    return r.when(r.in_hand & r.service_due_ago.between(-ahead, late - 1), r.service_due_ago + ahead)


def _service_overdue(r: Row) -> ir.IntegerValue:
    late = r.params.tags.service_overdue_days
    return r.when(r.in_hand & (r.service_due_ago >= late), r.service_due_ago - late)


def _ending(r: Row, days_left: ir.NumericValue, days: int) -> ir.IntegerValue:
    """Days since when something of a car in hand was about to end, which ends within so many days from now."""
    return r.when(r.in_hand & days_left.between(0, days), days - days_left)


def _replacement(r: Row) -> ir.IntegerValue:
    limit = math.ceil(r.params.churn.replacement_months * DAYS_PER_MONTH)
    return r.when(r.in_hand & (r.bought_ago >= limit), r.bought_ago - limit)


def _birthday(r: Row) -> ir.IntegerValue:
    return r.when((r.birth_date.month() == r.as_of.month) & ~r.is_company, r.as_of.day - 1)


T = Tag
#: Every tag of the kit. What asks for action first stands first within its class.
TAGS: tuple[Tag, ...] = (
    # who
    T("company", "who", N_("Company customer"), N_("a company or other organisation"),
      lambda r: r.when(r.is_company, r.created_ago), ("is_company",)),
    T("fleet", "who", N_("Fleet"), N_("{fleet_cars:count} cars in hand or more"),
      lambda r: r.when(r.cars_held >= r.params.identity.fleet_cars, r.fleet_ago), ("cars_held",)),
    T("several_cars", "who", N_("Several cars"), N_("{several_cars:count} cars in hand or more"),
      lambda r: r.when(r.cars_held >= r.params.tags.several_cars, r.several_ago), ("cars_held",)),
    T("large_household", "who", N_("Large household"), N_("{household_persons:count} persons or more of one household"),
      lambda r: r.when(r.household_size >= r.params.tags.household_persons), ("household_size",)),
    T("drives_for_others", "who", N_("Drives a car of another"), N_("brings a car to the workshop that another person holds"),
      lambda r: r.when(r.drives_others, r.drives_ago), ("drives_others",)),
    T("pays_for_others", "who", N_("Pays for others"), N_("settles work on a car that another person holds"),
      lambda r: r.when(r.pays_others, r.pays_ago), ("pays_others",)),
    T("prospect", "who", N_("Prospect"), N_("known, and never held a car on record"),
      lambda r: r.when(r.is_prospect, r.created_ago), ("is_prospect",)),
    T("former_owner", "who", N_("Former owner"), N_("held a car on record and holds none now"),
      lambda r: r.when(r.is_former_owner, r.left_ago), ("is_former_owner",),
      step=N_("Ask what they drive now; offer a car if they look for one"), offer=True),
    T("birthday_month", "who", N_("Birthday this month"), N_("born in the month of the report"), _birthday, ("birth_date",),
      step=N_("Congratulate on the birthday")),
    # bond
    T("new_customer", "bond", N_("New customer"), N_("an owner first seen within {new_months:months}"),
      lambda r: r.when(r.is_owner & (r.tenure_days < r.params.classes.new_months * DAYS_PER_MONTH), r.tenure_days), ("tenure_days",),
      step=N_("Welcome them, and fix the day of the first service")),
    T("active", "bond", N_("Active"), N_("an owner who came within {active_months:months}"),
      lambda r: r.when(r.is_owner & r.within(r.recency_days, r.params.windows.active_months), r.active_ago), ("recency_days", "active_ago")),
    T("regular", "bond", N_("Regular"), N_("{loyal_visits_24m:count} visits or more in 24 months"),
      lambda r: r.when(r.visits_count_24m >= r.params.classes.loyal_visits_24m, r.regular_ago), ("visits_count_24m", "regular_ago")),
    T("high_spender", "bond", N_("High spender"), N_("{spend_high_yuan_24m:yuan} or more in 24 months"),
      lambda r: r.when(r.spend_yuan_24m >= r.params.classes.spend_high_yuan_24m, r.spender_ago), ("spend_yuan_24m", "spender_ago")),
    T("repeat_buyer", "bond", N_("Bought again"), N_("bought two cars here or more"),
      lambda r: r.when(r.second_car_ago.notnull(), r.second_car_ago), ("second_car_ago",)),
    T("out_of_rhythm", "bond", N_("Out of rhythm"),
      N_("an owner absent for more than {rhythm_ratio:number} of their own usual intervals, and for no more than {lost_months:months}"),
      _out_of_rhythm, ("own_rhythm_ratio", "interval_days_median", "recency_days"),
      step=N_("Ask why they have not come; offer a day for the next visit"), offer=True),
    T("away", "bond", N_("Away"), N_("an owner who has not come for more than {lost_months:months}"), _away, ("recency_days",),
      step=N_("Ask whether they still have the car, and win them back"), offer=True),
    T("never_came", "bond", N_("Never came"), N_("an owner without a visit on record"),
      lambda r: r.when(r.is_owner & (r.visits_count_all == 0), r.held_ago), ("visits_count_all",),
      step=N_("Invite them to a first visit"), offer=True),
    # car
    T("new_energy", "car", N_("New-energy car"), N_("a plug-in or electric car in hand"),
      lambda r: r.when(r.in_hand & r.energy_type.isin(["phev", "bev"]), r.held_ago), ("energy_type",), of_car=True),
    T("bought_elsewhere", "car", N_("Bought elsewhere"), N_("a car in hand that was not bought here"),
      lambda r: r.when(r.in_hand & ~r.sold_here, r.held_ago), ("sold_here",), of_car=True),
    T("warranty_ends", "car", N_("Warranty about to end"), N_("the warranty of a car in hand ends within {warranty_days:days}"),
      lambda r: _ending(r, r.warranty_left, r.params.tags.warranty_days), ("warranty_left",), of_car=True, step=N_("Offer a check before the warranty ends, and its extension"), offer=True),
    T("insurance_ends", "car", N_("Insurance about to end"), N_("the insurance of a car in hand ends within {insurance_days:days}"),
      lambda r: _ending(r, r.insurance_left, r.params.tags.insurance_days), ("insurance_left",), of_car=True,
      step=N_("Offer to renew the insurance"), offer=True),
    T("finance_ends", "car", N_("Finance about to end"), N_("the loan or lease of a car in hand ends within {finance_days:days}"),
      lambda r: _ending(r, r.finance_left, r.params.tags.finance_days), ("finance_left",), of_car=True,
      step=N_("Talk about the next car before the finance ends"), offer=True),
    T("replacement_age", "car", N_("Old enough to be replaced"), N_("a car in hand of {replacement_months:months} or more"),
      _replacement, ("bought_ago",), of_car=True, step=N_("Offer to value the car for a trade-in"), offer=True),
    T("high_mileage", "car", N_("High mileage"), N_("a car in hand that has run {high_km:km} or more"),
      lambda r: r.when(r.in_hand & r.high_km_ago.notnull(), r.high_km_ago), ("high_km_ago", "km"), of_car=True),
    T("car_gone", "car", N_("Car gone"), N_("a car of theirs that was disposed of, traded in, or left them"),
      lambda r: r.when(~r.in_hand, r.gone_ago), ("in_hand",), of_car=True),
    # work
    T("service_overdue", "work", N_("Service overdue"),
      N_("maintenance of a car in hand fell due {service_overdue_days:days} ago or more: {service_months:months} or {service_km:km} after the last one, or after the purchase of a car sold here that had none"),
      _service_overdue, ("service_due_ago",), of_car=True, step=N_("Fix a day for the overdue service")),
    T("service_due", "work", N_("Service due"),
      N_("maintenance of a car in hand is due within {service_ahead_days:days}, or fell due less than {service_overdue_days:days} ago: {service_months:months} or {service_km:km} after the last one, or after the purchase of a car sold here that had none"),
      _service_due, ("service_due_ago",), of_car=True, step=N_("Offer a day for the service")),
    T("declined_work", "work", N_("Work left over"), N_("work on a car in hand was declined or put off within {declined_months:months} and not done since"),
      lambda r: r.when(r.in_hand & r.left_work_ago.notnull(), r.left_work_ago), ("left_work_ago",), of_car=True,
      step=N_("Ask about the work left over at the last visit")),
    T("come_back", "work", N_("Last visit was a come-back"), N_("the car in hand came back for the same trouble at its last visit"),
      lambda r: r.when(r.in_hand & (r.comeback_ago == r.car_recency), r.comeback_ago), ("comeback_ago", "comebacks_known"), of_car=True,
      step=N_("Ask whether the trouble is gone now")),
    T("accident", "work", N_("Accident lately"), N_("an accident repair of a car in hand within {accident_months:months}"),
      lambda r: r.when(r.in_hand & r.within(r.accident_ago, r.params.tags.accident_months), r.accident_ago), ("accident_ago", "types_known"), of_car=True),
    # contact
    T("open_complaint", "contact", N_("Open complaint"), N_("a complaint within {complaint_months:months} that is not settled"),
      lambda r: r.when(r.open_complaint_ago.notnull(), r.open_complaint_ago), ("open_complaint_ago", "outcomes_known"),
      step=N_("Settle the complaint before anything else")),
    T("complained", "contact", N_("Complained"), N_("a complaint within {complaint_months:months}"),
      lambda r: r.when(r.within(r.complaint_ago, r.params.tags.complaint_months), r.complaint_ago), ("complaint_ago",)),
    T("low_survey", "contact", N_("Last survey low"), N_("a score of {service_score:number} or less in the last survey"),
      lambda r: r.when(r.survey_score_last <= r.params.classes.service_score, r.survey_ago), ("survey_score_last", "survey_ago"),
      step=N_("Ask what went wrong, and say what was mended")),
    T("unreachable", "contact", N_("Unreachable"), N_("no usable phone on record"),
      lambda r: r.when(r.is_reachable == 0), ("is_reachable",), step=N_("Ask for the phone number at the next visit")),
    T("refused_marketing", "contact", N_("Refused marketing"), N_("does not want advertising"),
      lambda r: r.when(r.consents_to_marketing == 0), ("consents_to_marketing",), step=N_("No advertising by phone or message: they refused it")),
    T("answers_campaigns", "contact", N_("Answers campaigns"), N_("answered a campaign within {response_months:months}"),
      lambda r: r.when(r.within(r.response_ago, r.params.tags.response_months), r.response_ago), ("response_ago",)),
    # interest
    T("open_lead", "interest", N_("Open lead"), N_("a sales lead that is not closed"),
      lambda r: r.when(r.lead_ago.notnull(), r.lead_ago), ("lead_ago",), step=N_("Follow up the open lead")),
    T("test_drive", "interest", N_("Test drive lately"), N_("a test drive within {interest_months:months}"),
      lambda r: r.when(r.within(r.test_drive_ago, r.params.classes.interest_months), r.test_drive_ago), ("test_drive_ago",),
      step=N_("Ask how they liked the test drive"), offer=True),
    T("showroom", "interest", N_("Showroom lately"), N_("a visit to the showroom within {interest_months:months}"),
      lambda r: r.when(r.within(r.showroom_ago, r.params.classes.interest_months), r.showroom_ago), ("showroom_ago",)),
)  # fmt: skip
