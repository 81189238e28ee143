"""The parts of the params: one class per key that holds keys of its own."""

from __future__ import annotations

import difflib
import re
from calendar import monthrange
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dealerkit import tables

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
TableName = Literal[tuple(tables.TABLES)]  # type: ignore[valid-type]


def months_before(day: date, months: int) -> date:
    """The same day of the month so many months earlier, or the last day of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def nearest(name: str, known) -> str:
    """``; nearest: …`` for a misspelt name, or nothing."""
    close = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.6)
    return f"; nearest: {close[0]!r}" if close else ""


def one_place(file: str | None, url: str | None) -> None:
    """Refuse an entry that names both a file and a database, or neither, or a password."""
    if (file is None) == (url is None):
        raise ValueError("give either file or url, not both and not neither")
    if url and re.match(r"[a-z+0-9]+://[^/]*:[^/]*@", url):
        raise ValueError("the url holds a password; leave it out and set DEALERKIT_DB_USER and DEALERKIT_DB_PASSWORD")


class Part(BaseModel):
    """What all parts share: no other keys, nothing to change, the text under a key is its meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileParams(Part):
    """One file, sheet or database query, and what it feeds."""

    file: str | None = None
    """File name or pattern inside the raw folder (`*.csv`, `客户*.xlsx`)."""
    url: str | None = None
    """Database URL instead of a file; user and password come from DEALERKIT_DB_USER and DEALERKIT_DB_PASSWORD."""
    query: str | None = None
    """SQL to read with `url`; else the table named like the first of `tables`."""
    sheet: str | None = None
    """Sheet of a workbook; without it every sheet is looked at."""
    tables: tuple[TableName, ...] | None = None
    """Canonical tables that this file feeds; without it found by its headers."""
    source: str = "dms"
    """Name of the system the file comes from; its ids live in a space of their own."""
    ids_from: str | None = None
    """Source in whose space the ids of this file live (its customer numbers are those of the DMS, say)."""
    encoding: Literal["utf-8", "gb18030", "gbk", "utf-16"] | None = None
    """Encoding of a text file; without it found."""
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    """Delimiter of a text file; without it found."""
    header_row: Annotated[int, Field(ge=1)] | None = None
    """Line of the header, counted from 1; without it found under any title lines."""
    columns: dict[str, str] = {}
    """Canonical column (or table.column) → header in this file."""
    values: dict[str, dict[str, str]] = {}
    """Canonical column → {value in this file: code}."""
    date_order: Literal["ymd", "dmy", "mdy"] | None = None
    """Order of day, month and year where the year does not come first; without it found from the values."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of the numbers in this file; with a comma, points and spaces between thousands are taken out."""

    @model_validator(mode="after")
    def _one_origin(self):
        one_place(self.file, self.url)
        known = {c for t in tables.TABLES.values() for c in t.names} | {
            f"{t.name}.{c}" for t in tables.TABLES.values() for c in t.names
        }
        for where in ("columns", "values"):
            for name in getattr(self, where):
                if name not in known:
                    raise ValueError(f"{where}: no canonical column {name!r}{nearest(name, known)}")
        return self


class GateParams(Part):
    """What stops a run because the data cannot carry a report."""

    min_rows: Annotated[int, Field(ge=0)] = 50
    """A required table with fewer clean rows stops the run."""
    max_quarantined_share: Share = 0.3
    """A required table with a larger share in quarantine stops the run."""


class CheckParams(Part):
    """Tolerances of the checks."""

    total_tolerance_yuan: Annotated[float, Field(ge=0)] = 1.0
    """How far total may be from labour + parts − discount."""
    odometer_tolerance_km: Annotated[float, Field(ge=0)] = 50
    """How far an odometer may go down between visits before it counts as rolled back."""
    max_customers_per_phone: Annotated[int, Field(ge=2)] = 5
    """A phone on more customers than this is not anybody's own."""
    earliest_date: date = date(1980, 1, 1)
    """Dates before it are impossible."""
    min_age: Annotated[int, Field(ge=0, le=30)] = 16
    """Nobody younger buys or brings a car, in years."""
    max_age: Annotated[int, Field(ge=60, le=150)] = 100
    """Nobody older does, in years."""
    max_km_per_day: Positive = 1000
    """An odometer that rises by more km a day between two visits was mistyped."""
    same_odometer_visits: Annotated[int, Field(ge=2)] = 3
    """So many visits of a car over a quarter of a year or more with one and the same odometer were not read off."""
    max_stay_days: Annotated[int, Field(ge=1)] = 180
    """A visit settled later than so many days after it was opened has a wrong date."""
    purchase_tolerance_days: Annotated[int, Field(ge=0)] = 180
    """A car's own record may say a day of purchase that is so many days from that of its sale."""
    warranty_tolerance_km: Annotated[float, Field(ge=0)] = 1000
    """How far an odometer may be beyond the km of the warranty on a warranty order."""
    comeback_days: Annotated[int, Field(ge=1)] = 180
    """A come-back follows an earlier visit of the car by so many days at most."""
    open_hours: tuple[Annotated[int, Field(ge=0, le=23)], Annotated[int, Field(ge=1, le=24)]] = (6, 22)
    """Visits are opened and customers called between these hours of the day."""
    max_rows_per_minute: Annotated[int, Field(ge=1)] = 4
    """More visits or calls than this by one employee in one minute were typed in later, together."""
    max_warranty_years: Annotated[int, Field(ge=1)] = 15
    """No maker's warranty is longer, in years."""
    price_of_list: tuple[Positive, Positive] = (0.4, 1.5)
    """A car costs between these shares of its list price."""
    max_cars_per_person: Annotated[int, Field(ge=1)] = 10
    """A person, not a company, with more cars than this is a collective name."""
    max_leads_per_phone: Annotated[int, Field(ge=1)] = 5
    """A phone on more leads than this is not a prospect's."""
    same_lead_days: Annotated[int, Field(ge=1)] = 7
    """The same phone asking for the same model line within so many days is one lead typed in twice."""
    lead_contact_hours: Positive = 72
    """A lead without a first contact so many hours after it was handed out is overdue."""
    survey_days: Annotated[int, Field(ge=1)] = 90
    """A survey asks about a visit or purchase of the last so many days."""
    max_same_texts: Annotated[int, Field(ge=2)] = 6
    """A complaint worded exactly alike on so many rows or more was copied, unless all texts are as frequent."""
    stale_days: Annotated[int, Field(ge=1)] = 31
    """A table whose last row is older than this, while visits go on, was not exported anew."""
    gap_days: Annotated[int, Field(ge=2)] = 14
    """So many days in a row without a row, where the usual number would be seen, are a hole in the export."""
    min_month_share: Share = 0.2
    """A month with less than this share of the rows of the months around it was exported in part."""

    @field_validator("open_hours")
    @classmethod
    def _opens_before_it_closes(cls, hours):
        if hours[0] >= hours[1]:
            raise ValueError("the first hour must come before the last, as in [6, 22]")
        return hours


class AuthenticityParams(Part):
    """When scores and entries are called faked."""

    false_discovery: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Of the findings called, so large a share may be false on average."""
    min_surveys: Annotated[int, Field(ge=5)] = 15
    """An employee with fewer scores is not tested."""
    min_rows: Annotated[int, Field(ge=5)] = 30
    """An employee with fewer visits or calls is not tested on how they are entered."""
    best_honest: Positive = 3.5
    """How much better than the others an honest employee may be, in standard deviations between employees: of four
    thousand honest ones one is better."""
    honest_spread: Positive = 0.35
    """Employees differ at least so much, in standard deviations of the scores of one: few employees cannot show it."""
    survey_visit_days: Annotated[int, Field(ge=1)] = 60
    """A survey is about the last visit of so many days."""
    phone_change_days: Annotated[int, Field(ge=1)] = 30
    """A number changed so many days before a survey, or fewer, counts as changed for the survey."""
    max_surveys_per_phone: Annotated[int, Field(ge=1)] = 3
    """A number that surveys of more customers than this reached is not a customer's."""


class CostParams(Part):
    """What a data fault costs: first estimate, until the list of calls gives the final one."""

    unreachable_share: Share = 0.1
    """Share of the yearly value of a customer that a call or message could keep, and that is lost without a usable phone."""
    misplaced_share: Share = 0.03
    """The same for a customer whose car, age, owner or last visit is wrong: called at the wrong time or about the wrong car."""


class SupplyParams(Part):
    """Which gaps are filled from other values that passed their checks; a delivered value is never replaced."""

    birth_and_gender_from_id: bool = True
    """Birth date and gender from a legal resident ID number."""
    region_from_plate: bool = True
    """The region somebody lives in from the number plate of the car in hand."""
    region_from_id: bool = True
    """Where no plate tells the region: the place of registration by the resident ID number."""
    phone_from_contacts: bool = True
    """A customer's phone from the contact that is the owner."""
    phone_from_leads: bool = True
    """A customer's phone from the customer's last lead."""
    phone_from_visits: bool = True
    """A customer's phone from the last visit to which a person of that name brought the car."""
    phone_from_sources: bool = True
    """A customer's phone from the record of another source with the same ID number."""
    name_from_visits: bool = True
    """A customer's name from who brought the cars, where that was one and the same person at two visits or more."""
    plate_from_visits: bool = True
    """A car's plate from its last visit with one, unless another car has it by now."""
    vin_from_plate: bool = True
    """The VIN of a visit or car without one from the car that had the plate on that day; a plate of no known car gets a
    number of the kit's own in its place."""
    model_year_from_vin: bool = True
    """A car's model year from the tenth character of its VIN."""
    purchase_from_sales: bool = True
    """Day and price of a car's purchase from its sale, and the price of a sale from the car."""
    owner_from_sales_and_visits: bool = True
    """A car's customer from its last sale or visit that names one."""
    customer_from_keys: bool = True
    """The customer of a visit, sale, contact or interaction that names none, or one by another system's number, by the
    secondary keys."""
    gaps_from_sources: bool = True
    """Gaps of a record from the record with the same key in a less trusted source."""


class FixListParams(Part):
    """What staff are asked to mend."""

    rows: Annotated[int, Field(ge=1, le=5_000)] = 200
    """Lines on the sheet of each desk, at most; those that cost most come first."""
    severities: tuple[Literal["reject", "warn", "info"], ...] = ("reject", "warn")
    """Severities of the checks whose faults are asked about."""
    checks: tuple[str, ...] = ()
    """Checks asked about, as in `customers.phone_filled`; empty: all whose faults a new value can mend."""
    leave_out: tuple[str, ...] = ()
    """Checks not asked about."""


class ValueParams(Part):
    """How the value of a customer is expected."""

    horizon_months: Annotated[int, Field(ge=1, le=120)] = 36
    """Months ahead over which expected value is added up."""
    annual_discount_rate: Annotated[float, Field(ge=0, lt=1)] = 0.08
    """Yearly rate by which later yuan count less."""
    tier_shares: tuple[Share, Share, Share] = (0.2, 0.5, 0.3)
    """Shares of owners in the tiers high, middle and low; they add up to 1."""
    past_share: Annotated[float, Field(ge=0, le=10)] = 0.2
    """A tier goes by expected yuan plus this share of those spent in the last 24 months."""
    tier_yuan: tuple[Positive, Positive] | None = None
    """Fixed yuan from which a customer is of high and of middle value, instead of the shares."""

    @field_validator("tier_shares")
    @classmethod
    def _adds_up(cls, shares):
        if abs(sum(shares) - 1) > 1e-9:
            raise ValueError("the three shares must add up to 1")
        return shares

    @field_validator("tier_yuan")
    @classmethod
    def _falls(cls, cuts):
        if cuts is not None and cuts[0] <= cuts[1]:
            raise ValueError("high value must begin above middle value, as in [8000, 3000]")
        return cuts


class WindowParams(Part):
    """Windows in months."""

    active_months: Annotated[int, Field(ge=1, le=60)] = 12
    """A customer seen within so many months is active."""
    lost_months: Annotated[int, Field(ge=1, le=60)] = 12
    """A car not seen for so many months counts as lost."""


class ClassParams(Part):
    """Thresholds of the rule classes."""

    edge_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """A customer whose number lies within this share of a threshold stands at the edge of the class."""
    new_months: Annotated[int, Field(ge=1, le=60)] = 12
    """A customer first seen within so many months is new."""
    loyal_visits_24m: Annotated[int, Field(ge=1)] = 4
    """A customer who is not new, with so many visits in 24 months, and within their own rhythm, is loyal."""
    rhythm_ratio: Positive = 2.0
    """Absence of more than so many of the customer's own usual intervals is out of rhythm."""
    spend_high_yuan_24m: Positive = 5000
    """Who paid so much in 24 months spends much."""
    spend_low_yuan_24m: Positive = 1500
    """Who paid less in 24 months spends little."""
    active_visits_12m: Annotated[int, Field(ge=1)] = 2
    """An active customer came so often in 12 months."""
    active_kinds_24m: Annotated[int, Field(ge=1, le=5)] = 2
    """And had so many kinds of work in 24 months (maintenance, repair, accident, warranty, other)."""
    active_booked_share: Share = 0.5
    """Or booked this share of the visits of 24 months ahead."""
    need_visits_24m: Annotated[int, Field(ge=1)] = 2
    """Needs are read from so many visits in 24 months, or more."""
    price_discount_share: Share = 0.05
    """Discounts of this share of what was charged in 24 months, or more, speak for sensitivity to price."""
    price_declined_12m: Annotated[int, Field(ge=1)] = 2
    """So many jobs declined or put off in 12 months speak for it too."""
    quality_yuan_ratio: Positive = 1.5
    """Who pays so many times the usual amount per visit asks for quality."""
    service_score: Annotated[float, Field(ge=0, le=10)] = 7
    """A last survey score of this or less, or a complaint, speaks for sensitivity to service."""
    interest_months: Annotated[int, Field(ge=1, le=36)] = 6
    """A sign of interest in a car counts for so many months."""

    @model_validator(mode="after")
    def _in_order(self):
        if self.spend_low_yuan_24m >= self.spend_high_yuan_24m:
            raise ValueError("spend_low_yuan_24m must be below spend_high_yuan_24m")
        return self


class ClusterParams(Part):
    """How customers are clustered."""

    min_visits: Annotated[int, Field(ge=2)] = 4
    """Owners with fewer visits are not clustered: too little is known of their habits."""
    k_min: Annotated[int, Field(ge=2, le=20)] = 3
    """Fewest clusters tried."""
    k_max: Annotated[int, Field(ge=2, le=20)] = 8
    """Most clusters tried."""
    min_share: Share = 0.03
    """A cluster with a smaller share of the customers is too small to use."""
    repeats: Annotated[int, Field(ge=10, le=1000)] = 50
    """Bootstrap samples that judge how stable each cluster is, at most."""
    largest_sample: Annotated[int, Field(ge=100)] = 20_000
    """Above so many customers, clusters are found on a sample drawn by lot, and every customer is put into them."""

    @model_validator(mode="after")
    def _in_order(self):
        if self.k_min > self.k_max:
            raise ValueError(f"k_min {self.k_min} is above k_max {self.k_max}")
        return self


class ImportanceParams(Part):
    """How factors are screened and weighed."""

    max_missing_share: Share = 0.7
    """A factor missing for more is dropped."""
    max_correlation: Share = 0.9
    """Of two factors whose rank correlation is stronger, one is dropped."""
    min_information_value: Annotated[float, Field(ge=0)] = 0.02
    """A factor that tells less (information value) is dropped."""
    group_correlation: Share = 0.7
    """Factors whose rank correlation is stronger are weighed together; with a defining factor: count as defining."""
    repeats: Annotated[int, Field(ge=5, le=1000)] = 10
    """Resamplings that give each importance its interval, in rounds of five."""
    largest_sample: Annotated[int, Field(ge=500)] = 5_000
    """Above so many customers the models learn from a sample drawn by lot."""


class ChurnParams(Part):
    """Windows of the churn model: what is known up to an origin, a gap to act in, then what is predicted."""

    gap_months: Annotated[int, Field(ge=0, le=12)] = 1
    """Months between what is known and the start of the outcome: time to act."""
    outcome_months: Annotated[int, Field(ge=1, le=36)] = 12
    """A car that does not come within so many months after the gap counts as lost."""
    training_origins: Annotated[int, Field(ge=1, le=8)] = 2
    """Origins that the model learns from, half an outcome window apart; all outcomes lie before the test origin."""
    largest_sample: Annotated[int, Field(ge=1000)] = 200_000
    """Above so many rows the model learns from a sample drawn by lot, and scores every car."""
    alert_probability: Share = 0.3
    """A customer who is lost with this probability or a larger one is at risk."""
    warning_share: Share = 0.2
    """The warning day is the last one on which so many of those who come back are still to come."""
    return_horizon_months: Annotated[int, Field(ge=6, le=120)] = 36
    """Who has not come for so many months is taken not to come back; return curves end here."""
    new_car_months: Annotated[int, Field(ge=1, le=240)] = 36
    """A car whose warranty end is not known counts as new for so many months."""
    replacement_months: Annotated[int, Field(ge=1, le=360)] = 77
    """A car of so many months is due to be replaced."""

    def origins(self, as_of: date) -> list[date]:
        """Origins before ``as_of``, oldest first: those the model learns from, then the one it is tested at.

        The outcome of the test origin ends at ``as_of``; the outcomes of all others end at the test origin or before.
        """
        span = self.gap_months + self.outcome_months
        step = max(1, self.outcome_months // 2)
        learned = [2 * span + step * i for i in reversed(range(self.training_origins))]
        return [months_before(as_of, months) for months in [*learned, span]]


class EngineParams(Part):
    """Where the arithmetic runs."""

    kind: Literal["duckdb"] = "duckdb"
    """Engine of checks and factors."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Threads of the engine; results do not depend on it. Without it: all cores, one for small tables."""
    memory_gb: Positive | None = None
    """Memory above which the engine spills to disk; without it: the engine's own default."""


class OwnerLeftParams(Part):
    """How probable it is that an owner no longer has the car, by what speaks for it."""

    traded_in: Share = 0.99
    """The car was given in payment for another one."""
    sold_again: Share = 0.98
    """The car was sold here to somebody else afterwards."""
    disposed: Share = 0.95
    """The register says that the car was disposed of."""
    registered_to_other: Share = 0.95
    """The register names somebody else, who came after the last visit of the person."""
    plate_moved: Share = 0.9
    """The plate of the car was seen later on another car of the same person."""
    other_owner_again: Share = 0.9
    """Somebody else brought the car on two settled orders or more after the last visit of the person."""
    other_owner: Share = 0.7
    """Somebody else brought the car once."""
    strong: Share = 0.85
    """Evidence at least so probable ends the ownership; weaker evidence is listed only. Silence never ends it."""
    silence_ratio: Positive = 2.0
    """Nobody came with the car for more than so many of its usual intervals: silence."""
    keep_months: Positive = 77
    """Age at which half of the cars have been given up by their first owner."""
    keep_shape: Positive = 6.0
    """How closely around that age: the shape of a log-logistic distribution; larger is closer."""
    silent_though_kept_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the cars still owned that are silent all the same, since they go elsewhere or are driven little."""


class IdentityRuleParams(Part):
    """Rules of identity that can be switched off; what they say is listed on the customers page with how often it held."""

    same_id_number: bool = True
    """Joins: records with the same valid ID number."""
    phone_without_name: bool = True
    """Joins: a record without a name with the person on its phone, when there is only one."""
    different_id_numbers: bool = True
    """Keeps apart: two different valid ID numbers."""
    person_and_company: bool = True
    """Keeps apart: a person and a company, such as a company and its driver."""
    sexes_contradict: bool = True
    """Keeps apart: a man and a woman, by ID number, card, title (王女士) or a given name that only one sex bears."""
    twins: bool = True
    """Keeps apart: the same surname and birth date, and another given name."""
    father_and_son: bool = True
    """Keeps apart: the same surname, another given name, and births a generation apart."""
    another_name: bool = True
    """Keeps apart: another name that neither sound, order, title nor a slip of the pen explains."""
    too_many_phones: bool = True
    """Keeps apart: records that would make a person with more phones than one has."""


class IdentityParams(Part):
    """How records become persons, and persons owners."""

    merge_probability: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Two records are joined from this probability on, unless a rule keeps them apart."""
    max_names_per_key: Annotated[int, Field(ge=2, le=200)] = 20
    """A phone, car, plate or name on records of more different names is no reason to compare these with one another."""
    max_phones_per_person: Annotated[int, Field(ge=1)] = 8
    """More phones than one person has."""
    generation_years: Annotated[int, Field(ge=1, le=60)] = 14
    """Years between the births of parent and child, at least."""
    fleet_cars: Annotated[int, Field(ge=2)] = 5
    """A company with so many cars in hand has a fleet."""
    rules: IdentityRuleParams = IdentityRuleParams()
    """Rules that join or keep apart whatever the probability."""
    owner_left: OwnerLeftParams = OwnerLeftParams()
    """How probable it is that an owner no longer has the car."""


class TargetParams(Part):
    """Targets, shown beside the actual values."""

    active_customers: Annotated[int, Field(ge=0)] | None = None
    """Active customers aimed at."""
    health_score: Annotated[float, Field(ge=0, le=100)] | None = None
    """Data health aimed at, 0–100."""
    service_yuan_12m: Annotated[float, Field(ge=0)] | None = None
    """Workshop revenue of 12 months aimed at."""


def text_or_pair(value: Any) -> Any:
    """One text for both languages as the pair of them."""
    return {"en": value, "zh": value} if isinstance(value, str) else value


class Names(Part):
    """A name in both languages."""

    en: str
    """English."""
    zh: str
    """Chinese."""


class TagParams(Part):
    """Thresholds of the tags; those of activity, loyalty, replacement and fleets are in `windows`, `classes`, `churn` and
    `identity`."""

    several_cars: Annotated[int, Field(ge=2)] = 2
    """Who holds so many cars has several."""
    household_persons: Annotated[int, Field(ge=2)] = 3
    """So many persons or more of one household are a large household."""
    warranty_days: Annotated[int, Field(ge=1, le=365)] = 60
    """A warranty that ends within so many days is about to end."""
    insurance_days: Annotated[int, Field(ge=1, le=365)] = 45
    """An insurance that ends within so many days is about to end."""
    finance_days: Annotated[int, Field(ge=1, le=365)] = 90
    """A loan or lease that ends within so many days is about to end."""
    service_months: Annotated[int, Field(ge=1, le=60)] = 12
    """A car is due for maintenance so many months after the last one,"""
    service_km: Annotated[int, Field(ge=100, le=100_000)] = 10_000
    """or after so many kilometres, whichever comes first."""
    service_ahead_days: Annotated[int, Field(ge=0, le=180)] = 30
    """Maintenance counts as due so many days ahead,"""
    service_overdue_days: Annotated[int, Field(ge=1, le=730)] = 60
    """and as overdue so many days after the day it was due."""
    high_km: Annotated[int, Field(ge=1_000, le=2_000_000)] = 100_000
    """A car with so many kilometres or more has run far."""
    accident_months: Annotated[int, Field(ge=1, le=60)] = 12
    """An accident repair is told for so many months."""
    declined_months: Annotated[int, Field(ge=1, le=60)] = 12
    """Work declined or put off, and not done since, is followed up for so many months."""
    complaint_months: Annotated[int, Field(ge=1, le=60)] = 12
    """A complaint is told for so many months."""
    open_outcomes: tuple[str, ...] = (
        "open",
        "pending",
        "in progress",
        "处理中",
        "未处理",
        "待处理",
        "未解决",
        "跟进中",
    )
    """Outcomes with which a complaint is not settled yet; capitals do not matter."""
    response_months: Annotated[int, Field(ge=1, le=60)] = 12
    """An answer to a campaign is told for so many months."""


class OwnTagParams(Part):
    """A tag of the dealer's own: a condition over the factors of a person."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
    """Its name: small letters, digits and _, unlike that of any other tag."""
    label: Annotated[Names, BeforeValidator(text_or_pair)]
    """What people call it: one text, or {en: …, zh: …}."""
    holds_when: str
    """Condition in SQL over the factors of a person, own ones among them: `spend_yuan_24m > 8000 and is_company = 0`."""


def refuse_twice(names) -> None:
    """Refuse names that are given twice."""
    names = list(names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"each name can be given once; twice or more: {', '.join(twice)}")


class DeclaredFactorParams(Part):
    """What every factor that the params declare has."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60)]
    """Name with its unit and window: `tyre_jobs_count_24m`; small letters, digits and _."""
    label: Annotated[Names, BeforeValidator(text_or_pair)]
    """What people call it: one text, or {en: …, zh: …}."""
    factor_class: Literal["basic", "attributes", "consumption", "work", "vehicle", "contacts", "life_cycle"] = (
        "consumption"
    )
    """Class of factors it belongs to."""
    of: str | None = None
    """Expression over the columns of the table; for `share` a condition, for `count` none."""
    where: str | None = None
    """Condition that an event must meet to count; without it all do."""
    window_months: Annotated[int, Field(ge=1, le=600)] | None = None
    """Events of so many months up to the origin; null: all."""
    readable: bool = True
    """false: nothing a person can read off the data; left out where people are told why."""


class OwnFactorParams(DeclaredFactorParams):
    """A factor of the dealer's own: what a person's events add up to, or a formula over other factors."""

    table: TableName | None = None
    """Canonical table whose rows are the events; only those of the person, dated on or before the origin, count."""
    aggregate: Literal["count", "share", "sum", "mean", "min", "max", "last"] | None = None
    """What is made of the events: how many there are, the share of them for which `of` holds, or the sum, mean, smallest,
    largest or last of `of`."""
    formula: str | None = None
    """Expression over other factors of the person, instead of events: `spend_yuan_24m / nullif(cars_count, 0)`."""

    @model_validator(mode="after")
    def _one_way(self):
        of_events = [k for k in ("table", "aggregate", "of", "where", "window_months") if getattr(self, k) is not None]
        if self.formula is not None and of_events:
            raise ValueError(
                f"has a formula and also {', '.join(of_events)}; give either a formula, or table and aggregate"
            )
        if self.formula is None and not (self.table and self.aggregate):
            raise ValueError("needs a table and an aggregate, or a formula")
        fits(self.aggregate, self.of)
        return self


def fits(aggregate: str | None, of: str | None) -> None:
    """Refuse an aggregate without what it is made of, and a count of something."""
    if aggregate == "count" and of is not None:
        raise ValueError("count takes no `of`; put the condition into `where`, or use share")
    if aggregate not in (None, "count", "days_since") and of is None:
        raise ValueError(f"{aggregate} needs `of`, the expression that it is made of")


class OwnCheckParams(Part):
    """One check of the dealer's own, run and shown like those that come with the kit."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Its name: lower-case letters, digits and _, unlike that of any other check of the table."""
    table: TableName
    """Table whose rows it checks."""
    columns: tuple[str, ...] = ()
    """Columns it is about, the first one shown as example; without it those of the expression, in its order."""
    fails_when: str | None = None
    """Condition in SQL that is true where a row is wrong (`discount_yuan > total_yuan`)."""
    passes_when: str | None = None
    """Condition in SQL that is true where a row is right; instead of `fails_when`."""
    dimension: Literal[
        "completeness", "legality", "range", "consistency", "duplication", "reference", "timeliness", "authenticity"
    ] = "consistency"
    """Dimension of data quality in whose score it counts."""
    severity: Literal["info", "warn", "reject"] = "warn"
    """info: listed only; warn: listed and counted in the scores; reject: the row goes to quarantine as well."""
    label: Annotated[Names, BeforeValidator(text_or_pair)]
    """What a failing row says: one text, or {en: …, zh: …}."""

    @model_validator(mode="after")
    def _one_condition(self):
        if (self.fails_when is None) == (self.passes_when is None):
            raise ValueError("give either fails_when or passes_when, not both and not neither")
        return self
