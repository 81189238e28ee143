"""The factors of persons, at ``as_of`` and at earlier origins, by the same expressions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import value
from dealerkit.engine import frame_of, keep, uncollected
from dealerkit.factors.base import base_factors
from dealerkit.factors.catalogue import PERSON_FACTORS
from dealerkit.factors.dealings import (
    campaign_factors,
    contact_factors,
    declined_factors,
    lead_factors,
    sales_factors,
)
from dealerkit.factors.declared import DAYS_PER_MONTH
from dealerkit.factors.events import delivered, person_of, visits_of
from dealerkit.factors.extra import extra_factors, with_extra
from dealerkit.factors.held import held_factors
from dealerkit.factors.own import check_own, event_factors, with_own
from dealerkit.factors.visits import person_visit_factors, with_habits
from dealerkit.params import Params

#: Counts that are unknown, not 0, of who never came.
_NOT_COUNTED = ("visits_count_per_year", "advisers_count_24m", "expected_visits_count")
#: Sums → the amounts that they are made of: of who has none of them 0, where any were delivered.
_SUMS = {
    "spend_yuan_6m": "service_orders.total_yuan",
    "spend_yuan_12m": "service_orders.total_yuan",
    "spend_yuan_24m": "service_orders.total_yuan",
    "spend_yuan_all": "service_orders.total_yuan",
    "accident_yuan_24m": "service_orders.total_yuan",
    "declined_yuan_12m": "service_lines.amount_yuan",
    "declined_open_yuan_24m": "service_lines.amount_yuan",
    "labour_hours_24m": "service_lines.hours",
    "purchase_yuan_all": "sales_orders.price_yuan",
    "purchase_accessories_yuan_all": "sales_orders.accessories_yuan",
    "campaign_yuan_24m": "campaigns.revenue_yuan",
}
#: Factors of value, rounded to what a fit can carry, so that the last bits of an optimiser never show.
_VALUE_DIGITS = {"expected_visits_count": 4, "alive_probability": 4, "expected_yuan_per_visit": 1, "clv_yuan": 0}


def person_factors(
    connection,
    clean: dict[str, ir.Table],
    persons: pd.DataFrame,
    records: pd.DataFrame,
    cars: ir.Table,
    origins: list[date],
    as_of: date,
    params: Params,
    extras: Mapping[str, ir.Table] | None = None,
) -> pd.DataFrame:
    """One row per person and origin with the columns of `PERSON_FACTORS`, in the order of origin and person.

    Args:
        connection: engine connection.
        clean: clean tables of the audit.
        persons, records, cars: what `identity.identify` gives.
        origins: days at which to serve the factors; only persons seen by then appear.
        as_of: the origin at which columns known at delivery are served.
        params: value horizon and discount rate; extra and own factors, which follow as further columns.
        extras: rows of the further tables that the extra factors are made of, by name.

    Raises `UserErrors` for extra and own factors that cannot be computed, before anything is.
    """
    check_own(params)
    with uncollected():
        return _person_factors(connection, clean, persons, records, cars, sorted(origins), as_of, params, extras or {})


def _person_factors(
    connection,
    clean: dict[str, ir.Table],
    persons: pd.DataFrame,
    records: pd.DataFrame,
    cars: ir.Table,
    origins: list[date],
    as_of: date,
    params: Params,
    extras: Mapping[str, ir.Table],
) -> pd.DataFrame:
    when = ibis.memtable({"origin": origins}, schema={"origin": "date"})
    who, told = person_of(records), delivered(clean)
    visits = keep(connection, "person_visits", with_habits(visits_of(clean, who, cars, told), clean))
    parts = [person_visit_factors(visits, when), held_factors(clean, visits, cars, when, as_of, params.tags)]
    parts += [declined_factors(clean, visits, when)] if "service_lines" in clean else []
    parts += [sales_factors(clean, who, when)] if "sales_orders" in clean else []
    parts += [contact_factors(clean, who, when, as_of, params.tags)] if "interactions" in clean else []
    parts += [campaign_factors(clean, who, when)] if "campaigns" in clean else []
    parts += [lead_factors(clean, who, when)] if "leads" in clean else []
    own = extra_factors(extras, clean, records, cars, when, as_of, params)
    own += event_factors(clean, who, visits, when, as_of, params.own_factors)
    base = base_factors(clean, persons, records, visits, _bought(clean, who, cars), when, as_of, params)
    found = _filled(_to_first_visit(_joined(connection, base, [*parts, *own])), told)
    found = _with_value(found, visits, origins, params)
    found = with_own(connection, with_extra(found, params, as_of), params)
    declared = [f for table in params.extra_factors for f in table.factors] + list(params.own_factors)
    ordered = ["person_id", "origin", *[f.name for f in (*PERSON_FACTORS, *declared)]]
    return found.reindex(columns=ordered)


def _joined(connection, base: ir.Table, parts: list[ir.Table]) -> pd.DataFrame:
    """The rows of ``base`` with the columns of the matching row of each part, in the order of origin and person.

    The parts are computed one after the other and put into their places, so that the engine never holds the sums of all
    of them at once, and plans no query of a hundred columns."""
    order = ibis.window(order_by=["origin", "person_id"])
    kept = keep(connection, "person_base", base.mutate(place=ibis.row_number().over(order)))
    found = frame_of(kept.order_by("place")).drop(columns="place")
    places, columns = kept.select("person_id", "origin", "place"), {}
    for part in parts:
        rows = frame_of(part.inner_join(places, ["person_id", "origin"]).drop("person_id", "origin"))
        at = rows.pop("place").to_numpy()
        for name, values in rows.items():
            number = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
            columns[name] = np.full(len(found), np.nan if number else None, float if number else object)
            columns[name][at] = values.to_numpy(columns[name].dtype)
    return pd.DataFrame({**found, **columns})


def _to_first_visit(found: pd.DataFrame) -> pd.DataFrame:
    """Adds the days from the first purchase here to the first visit, where that came after it."""
    if "first_bought_days_ago" in found:
        wait = found["first_bought_days_ago"] - found["first_visit_days_ago"]
        found["days_to_first_visit"] = wait.where(wait >= 0)
    return found


def _filled(found: pd.DataFrame, told: set[str]) -> pd.DataFrame:
    """Counts of nothing are 0, and sums as well where their amounts were delivered at all; what was not delivered stays
    unknown."""
    there = [f for f in PERSON_FACTORS if f.name in found and not f.at_delivery_only]
    zero = [f.name for f in there if f.unit == "count" and f.name not in _NOT_COUNTED]
    zero += [f.name for f in there if _SUMS.get(f.name) in told]
    found[zero] = found[zero].astype(float).fillna(0)
    return found


def at(panel: pd.DataFrame, origin: date) -> pd.DataFrame:
    """The factors of the panel at one origin."""
    return panel[pd.to_datetime(panel["origin"]) == pd.Timestamp(origin)].reset_index(drop=True)


def _bought(clean: dict[str, ir.Table], who: ir.Table, cars: ir.Table) -> ir.Table:
    """First purchase here of each person. The holder of a car is only known at delivery, so that a purchase date of
    the car would let persons appear before anybody met them; without sales orders, cars sold here must do."""
    if "sales_orders" in clean:
        sales = clean["sales_orders"].inner_join(who, "customer_id")
        return sales.group_by("person_id").agg(first_bought=_.delivered_on.min())
    return cars.filter(_.sold_here).group_by("person_id").agg(first_bought=_.purchased_on.min())


def _with_value(found: pd.DataFrame, visits: ir.Table, origins: list[date], params: Params) -> pd.DataFrame:
    """Expected visits, probability of still coming and value, from models fitted at each origin on what it knows: the
    amounts of the visits settled by then."""
    settled = visits.settled_at.date().coalesce(visits.day)
    amounts = {f"amount_{i}": _.total_yuan.sum(where=settled <= ibis.literal(day)) for i, day in enumerate(origins)}
    days = frame_of(visits.group_by(customer=_.person_id, date=_.day).agg(**amounts).order_by(["customer", "date"]))
    customers, people = pd.factorize(days["customer"])
    who = pd.Index(people).get_indexer(found["person_id"])  # −1, the last place below, of who never came
    when = np.searchsorted(np.array(origins, "datetime64[D]"), found["origin"].to_numpy("datetime64[D]"))
    made = {name: np.full((len(origins), len(people) + 1), np.nan) for name in _VALUE_DIGITS}
    for i, day in enumerate(origins):
        known = pd.DataFrame({"customer": customers, "date": days["date"], "amount": days[f"amount_{i}"]})
        came, values = _value_at(known, day, params)
        for name, digits in _VALUE_DIGITS.items():
            made[name][i, came] = np.round(values[name], digits)
    return found.assign(**{name: values[when, who] for name, values in made.items()})


def _value_at(days: pd.DataFrame, origin: date, params: Params) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Who came by the origin, and the factors of their value."""
    known = value.histories(days, origin)
    x, t_x, age, mean = known.to_numpy(float).T
    # Who came back without an amount brings what all bring.
    visits, amounts = value.fit_bg_nbd(x, t_x, age), value.fit_gamma_gamma(np.where(mean > 0, x, 0), mean)
    horizon, rate = params.value.horizon_months, params.value.annual_discount_rate
    return known.index.to_numpy(), {
        "expected_visits_count": value.expected_visits(visits, horizon * DAYS_PER_MONTH / 7, x, t_x, age),
        "alive_probability": value.p_alive(visits, x, t_x, age),
        "expected_yuan_per_visit": value.expected_amount(amounts, x, mean),
        "clv_yuan": value.clv(visits, amounts, x, t_x, age, mean, horizon_months=horizon, annual_discount_rate=rate),
    }
