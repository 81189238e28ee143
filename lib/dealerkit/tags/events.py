"""What the rules look at: one wide row per person, and one per car with its holder, as of a day.

Days are counted back from that day (``…_ago``, 0 is the day itself), or on to an end (``…_left``). Nothing dated later
than the day is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import maintenance
from dealerkit.engine import keep
from dealerkit.holder import with_persons
from dealerkit.params import Params
from dealerkit.tags.declared import days_of

#: Days in which the factors of 24 months count visits.
DAYS_24M = 730
#: What the rules ask of the factors and of the persons.
FACTORS = (
    "tenure_days",
    "recency_days",
    "visits_count_24m",
    "visits_count_all",
    "spend_yuan_24m",
    "own_rhythm_ratio",
    "interval_days_median",
    "survey_score_last",
    "is_reachable",
    "consents_to_marketing",
)
#: Begins the name of a factor that an own tag asks for, lest it takes the place of a column of the same name.
ASKED = "asked_"
_FLAGS = ("is_owner", "is_former_owner", "is_prospect", "is_company")


@dataclass(frozen=True)
class Given:
    """What the tags are made from (see `tags.tags`)."""

    clean: dict[str, ir.Table]
    persons: pd.DataFrame
    records: pd.DataFrame
    cars: ir.Table
    person_factors: pd.DataFrame
    kinds: Mapping[str, str]
    relations: pd.DataFrame | None
    params: Params
    as_of: date

    def ago(self, day: ir.Value) -> ir.IntegerValue:
        """Days from a day, or from the day of a time, to the day of the report."""
        return ibis.literal(self.as_of).delta(day.date() if day.type().is_timestamp() else day, unit="day")

    def left(self, day: ir.DateValue) -> ir.IntegerValue:
        """Days from the day of the report to a day."""
        return day.delta(ibis.literal(self.as_of), unit="day")

    def who(self) -> ir.Table:
        """customer_id → person_id."""
        ids = self.records[["customer_id", "person_id"]].drop_duplicates("customer_id")
        return ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})

    def met(self) -> pd.DataFrame:
        """Persons met by the day: those that have factors."""
        return self.persons[self.persons["person_id"].isin(self.person_factors["person_id"])]

    def orders(self) -> ir.Table:
        """Workshop orders up to the day, with ``ago``; what is written at settlement only where that was by then."""
        orders = self.clean["service_orders"]
        orders = orders.mutate(ago=self.ago(orders.opened_at))
        orders = orders.filter(orders.ago >= 0)
        settled = orders.settled_at.isnull() | (self.ago(orders.settled_at) >= 0)
        return orders.mutate(
            total_yuan=settled.ifelse(orders.total_yuan, ibis.null(orders.total_yuan.type())),
            is_comeback=settled.ifelse(orders.is_comeback, ibis.null("boolean")),
        )


def person_rows(connection, given: Given, asked: Iterable[str]) -> ir.Table:
    """One row per person met by the day: factors (those of `FACTORS` and those ``asked`` for), flags, and days ago."""
    tables = [_visits(given), _held(given)]
    tables += [_bought(given)] if "sales_orders" in given.clean else []
    tables += [_contacts(given)] if "interactions" in given.clean else []
    tables += [_leads(given)] if "leads" in given.clean else []
    tables += [_answers(given)] if "campaigns" in given.clean else []
    wide = _beside(_base(given, asked), "person_id", tables)
    return keep(connection, "tag_persons", wide.mutate(cars_held=wide.cars_held.fill_null(0)))


def car_rows(connection, given: Given) -> ir.Table:
    """One row per car and holder, in hand or gone."""
    met = ibis.memtable(given.met()[["person_id"]], schema={"person_id": "string"})
    cars = given.cars.semi_join(met, "person_id")
    base = cars.select(
        "person_id",
        "vin",
        "in_hand",
        "energy_type",
        "purchased_on",
        origin=ibis.literal(given.as_of),
        sold_here=cars.sold_here.cast("boolean"),
        bought_ago=given.ago(cars.purchased_on),
        held_ago=given.ago(_held_from(cars)),
        warranty_left=given.left(cars.warranty_ends_on),
        insurance_left=given.left(cars.insurance_ends_on),
        finance_left=given.left(cars.finance_ends_on),
        gone_ago=given.ago(_gone_on(cars)),
    )
    tables = [_workshop(given)] + ([_left_work(given)] if "service_lines" in given.clean else [])
    wide = _beside(base, "vin", tables)
    made = maintenance.followed(wide, given.params.tags).rename(service_due_ago="overdue_days")
    return keep(connection, "tag_cars", made)


def _held_from(cars: ir.Table) -> ir.DateValue:
    """Since when the holder has the car, as far as told; else since its purchase."""
    return cars.held_from.coalesce(cars.purchased_on)


def _gone_on(cars: ir.Table) -> ir.DateValue:
    """The day on which the car left its holder, where it is told."""
    disposed = (cars.left_reason == "disposed").ifelse(cars.disposed_on, ibis.null("date"))
    return cars.left_on.coalesce(disposed)


def _beside(left: ir.Table, key: str, tables: Iterable[ir.Table]) -> ir.Table:
    """All rows of ``left``, with the columns of the matching row of each table."""
    joined, dropped = left, []
    for place, table in enumerate(tables):
        joined = joined.left_join(table, key, rname=f"{{name}}_of_{place}")
        dropped.append(f"{key}_of_{place}")
    return joined.drop(*dropped)


def _base(given: Given, asked: Iterable[str]) -> ir.Table:
    """Factors, flags and what the relations say, by person."""
    of = {name: name for name in FACTORS} | {ASKED + name: name for name in asked}
    frame = pd.DataFrame(
        {column: given.person_factors[name] for column, name in ({"person_id": "person_id"} | of).items()}
    )
    schema = {"person_id": "string"} | {column: given.kinds[name] for column, name in of.items()}
    texts = [column for column, kind in schema.items() if kind == "string"]
    frame = frame.astype({column: float if kind == "float64" else object for column, kind in schema.items()})
    frame[texts] = frame[texts].where(frame[texts].notna(), None)
    about = given.met()[["person_id", *_FLAGS, "birth_date", "created_on"]]
    frame = frame.merge(about, on="person_id", validate="one_to_one")
    schema |= dict.fromkeys(_FLAGS, "boolean") | {"birth_date": "date", "created_on": "date"}
    for name, column in _related(given).items():
        frame[name] = frame["person_id"].map(column)
        schema[name] = "boolean" if name.endswith("_others") else "float64"
        if schema[name] == "boolean":
            frame[name] = frame[name].eq(True)
    table = ibis.memtable(frame, schema=schema)
    return table.mutate(created_ago=given.ago(table.created_on)).drop("created_on")


def _related(given: Given) -> dict[str, pd.Series]:
    """What persons are to others, by person_id: size of the household, and whether and since how many days they drive
    or pay for a car that another holds. Nothing where relations were not told."""
    found = {}
    if "household_id" in given.persons:
        household = given.met().set_index("person_id")["household_id"].dropna()
        found["household_size"] = household.map(household.value_counts()).astype(float)
    if given.relations is not None:
        others = given.relations[
            given.relations["other_person_id"].notna()
            & (given.relations["other_person_id"] != given.relations["person_id"])
        ]
        for kind, name in (("driver", "drives"), ("payer", "pays")):
            of_kind = others[others["kind"] == kind]
            days = (pd.Timestamp(given.as_of) - pd.to_datetime(of_kind["since"])).dt.days
            by_person = days.groupby(of_kind["person_id"])
            found[f"{name}_others"] = by_person.size() > 0
            found[f"{name}_ago"] = by_person.max().where(lambda ago: ago >= 0)
    return found


def _visits(given: Given) -> ir.Table:
    """Days since when persons have come without too long a gap, came so often, and spent so much, by person_id.

    A sum over the last 24 months only rises on a day with a visit, so that it has been at its threshold since the last
    day on which it was below before and at it or above after.
    """
    orders = given.orders()
    orders = orders.select("customer_id", "vin", "ago", "total_yuan", day=orders.opened_at.date())
    orders = with_persons(orders, given.who(), given.cars)
    days = orders.group_by(["person_id", "ago"]).agg(visits=_.count(), yuan=_.total_yuan.sum().fill_null(0))
    days = days.mutate(day=-days.ago)
    order = ibis.window(group_by="person_id", order_by="day")
    to_day = ibis.range_window(preceding=DAYS_24M - 1, following=0, group_by="person_id", order_by="day")
    to_eve = ibis.range_window(preceding=(DAYS_24M, 1), group_by="person_id", order_by="day")
    days = days.select(
        "person_id",
        "ago",
        gap=days.ago.lag().over(order) - days.ago,
        visits=days.visits.sum().over(to_day),
        visits_before=days.visits.sum().over(to_eve).fill_null(0),
        yuan=days.yuan.sum().over(to_day),
        yuan_before=days.yuan.sum().over(to_eve).fill_null(0),
    )
    classes = given.params.classes
    often, much = classes.loyal_visits_24m, classes.spend_high_yuan_24m
    begins = days.gap.isnull() | (days.gap > days_of(given.params.windows.active_months))
    return days.group_by("person_id").agg(
        active_ago=days.ago.min(where=begins),
        regular_ago=days.ago.min(where=(days.visits >= often) & (days.visits_before < often)),
        spender_ago=days.ago.min(where=(days.yuan >= much) & (days.yuan_before < much)),
    )


def _held(given: Given) -> ir.Table:
    """Cars in hand, since when there are so many, since when any, and since when the last one is gone, by person_id."""
    cars, tags = given.cars, given.params.tags
    cars = cars.mutate(held_ago=given.ago(_held_from(cars)), gone_ago=given.ago(_gone_on(cars)))
    made = cars.group_by("person_id").agg(
        cars_held=cars.in_hand.cast("int64").sum(),
        held=cars.held_ago.collect(where=cars.in_hand & cars.held_ago.notnull()),
        held_ago=cars.held_ago.max(where=cars.in_hand),
        left_ago=cars.gone_ago.min(where=~cars.in_hand),
    )
    # The earliest days first: the one with that number made it so many. Unknown where the day of any car is.
    known = made.held.length() == made.cars_held
    days = made.held.sort()
    return made.mutate(
        several_ago=known.ifelse(days[-tags.several_cars], ibis.null("int64")),
        fleet_ago=known.ifelse(days[-given.params.identity.fleet_cars], ibis.null("int64")),
    ).drop("held")


def _bought(given: Given) -> ir.Table:
    """Days since the second car was bought here, by person_id."""
    sales = given.clean["sales_orders"]
    sales = sales.select("customer_id", ago=given.ago(sales.delivered_on))
    sales = sales.filter(sales.ago >= 0).inner_join(given.who(), "customer_id")
    made = sales.group_by("person_id").agg(bought=_.ago.collect())
    return made.select("person_id", second_car_ago=made.bought.sort()[-2])


def _contacts(given: Given) -> ir.Table:
    """Days since contacts of each kind, by person_id; contacts that name only a lead belong to the lead's person."""
    met = given.clean["interactions"]
    met = met.select("customer_id", "lead_id", "kind", "outcome", "score", ago=given.ago(met["at"]))
    met = met.filter(met.ago >= 0)
    if "leads" in given.clean:
        leads = given.clean["leads"].select("lead_id", lead_customer=_customer_of(given.clean["leads"]))
        met = met.left_join(leads, "lead_id").drop("lead_id_right")
        met = met.mutate(customer_id=met.customer_id.coalesce(met.lead_customer))
    met = met.inner_join(given.who(), "customer_id")
    complaint = met.kind == "complaint"
    open_ = complaint & met.outcome.strip().lower().isin([o.strip().lower() for o in given.params.tags.open_outcomes])
    open_ &= met.ago <= days_of(given.params.tags.complaint_months)
    return met.group_by("person_id").agg(
        complaint_ago=met.ago.min(where=complaint),
        open_complaint_ago=met.ago.max(where=open_),
        outcomes_known=met.outcome.count().nullif(0),
        survey_ago=met.ago.min(where=(met.kind == "survey") & met.score.notnull()),
        test_drive_ago=met.ago.min(where=met.kind == "test_drive"),
        showroom_ago=met.ago.min(where=met.kind == "showroom_visit"),
    )


def _customer_of(leads: ir.Table) -> ir.StringValue:
    """The customer number of a lead; one that names no customer is a record of its own (`identity`)."""
    return leads.customer_id.coalesce(ibis.literal("lead:") + leads.lead_id)


def _leads(given: Given) -> ir.Table:
    """Days since the earliest lead that was open on the day, by person_id."""
    leads = given.clean["leads"]
    leads = leads.select(
        "status",
        customer_id=_customer_of(leads),
        ago=given.ago(leads.created_at),
        closed_ago=given.ago(leads.closed_at),
    )
    later = (leads.closed_ago < 0).fill_null(False)
    unclosed = leads.closed_ago.isnull() & (leads.status.isnull() | leads.status.isin(["new", "following"]))
    leads = leads.filter((leads.ago >= 0) & (later | unclosed))
    return leads.inner_join(given.who(), "customer_id").group_by("person_id").agg(lead_ago=_.ago.max())


def _answers(given: Given) -> ir.Table:
    """Days since the last answer to a campaign, by person_id."""
    sent = given.clean["campaigns"]
    sent = sent.select("customer_id", ago=given.ago(sent.responded_on))
    sent = sent.filter(sent.ago >= 0).inner_join(given.who(), "customer_id")
    return sent.group_by("person_id").agg(response_ago=_.ago.min())


def _workshop(given: Given) -> ir.Table:
    """What the orders of a car say, by vin; ``…_known`` is null for a car of which the orders do not say."""
    orders = given.orders().filter(_.vin.notnull())
    orders = orders.mutate(day=orders.opened_at.date())
    km, service = orders.odometer_km, orders.order_type == "maintenance"
    return orders.group_by("vin").agg(
        car_recency=orders.ago.min(),
        service_on=orders.day.max(where=service),
        service_km=km.max(where=service),
        accident_ago=orders.ago.min(where=orders.order_type == "accident"),
        comeback_ago=orders.ago.min(where=orders.is_comeback),
        high_km_ago=orders.ago.max(where=km >= given.params.tags.high_km),
        km=km.max(),
        read_on=orders.day.max(where=km.notnull()),
        types_known=orders.order_type.count().nullif(0),
        comebacks_known=orders.is_comeback.count().nullif(0),
    )


def _left_work(given: Given) -> ir.Table:
    """Days since the earliest job or part that was declined or put off and not done since, by vin."""
    # Only what was done after it can have undone a refusal, so that older orders have no say.
    recent = days_of(given.params.tags.declined_months)
    orders = given.orders().filter(_.vin.notnull() & (_.ago <= recent)).select("order_id", "vin", "ago")
    lines = given.clean["service_lines"]
    lines = lines.select("order_id", "status", item=lines.item_code.coalesce(lines.item_name))
    lines = lines.filter(lines.item.notnull()).inner_join(orders, "order_id")
    left = lines.status.isin(["declined", "postponed"]).fill_null(False)
    same = ibis.window(group_by=["vin", "item"])
    items = lines.mutate(left=left, done_ago=lines.ago.min(where=~left).over(same)).filter(_.left)
    waiting = items.filter(items.done_ago.isnull() | (items.ago < items.done_ago))
    return waiting.group_by("vin").agg(left_work_ago=_.ago.max())
