"""One customer's page and one car's page, from what is known of them; nothing is computed here.

These pages hold names, phones, plates and VINs on purpose: they are private, carry a banner that says so, and are not
for handing on. Everything shown is escaped; the gate against leaks, which guards the report, does not apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from dealerkit.messages import N_

__all__ = ["PRIVATE", "CarProfile", "CustomerProfile", "customer", "vehicle"]

PRIVATE = N_(
    "Private: for the desk only. This page holds personal data and must not be handed on, printed for others or sent."
)


@dataclass(frozen=True)
class CustomerProfile:
    """What is known of a customer.

    Attributes:
        person: the person's row; None where a value is unknown.
        records: records of the sources that were joined: source, customer_id, name, phone, phone_alt, id_number,
            birth_date, address, created_on, source_channel, joined_by (keys shared with another), probability (of a pair
            with another of them, and whether it is more than that).
        relations: kind, other_person_id, name, phone, vin, since.
        diary: as_of, what, other_person_id: what became of the person's id.
        cars: cars in hand first, then those that are gone; evidence, left_probability: that they are.
        other_cars: vin, series, plate of cars that were never theirs, but of their relations and of what happened.
        events: day, lane, kind, what, detail, yuan, vin, tone; the latest first.
        tags: place (in the catalogue), tag, label, class, class_label, rule, since, vin, step, offer.
        numbers: factors of the person.
        classes: scheme_label, label, rule.
        risks: vin, probability, yuan_12m, reasons (label, value) each.
        left_work: day, vin, item, status, yuan.
        missing: (title, why, remedy) of what could not be shown.
        remarks: sentences on what is shown.
        as_of: the day of all this.
    """

    person: dict
    records: pd.DataFrame
    relations: pd.DataFrame
    diary: pd.DataFrame
    cars: pd.DataFrame
    other_cars: pd.DataFrame
    events: pd.DataFrame
    tags: pd.DataFrame
    numbers: dict
    classes: pd.DataFrame
    risks: pd.DataFrame
    left_work: pd.DataFrame
    missing: Sequence[tuple[str, str, str]]
    remarks: Sequence[str]
    as_of: date


@dataclass(frozen=True)
class CarProfile:
    """What is known of a car.

    Attributes:
        car: the car's row, with its VIN.
        held: its rows among the cars of persons, with name and phone of the holder.
        owners: who had or brought it: person_id, name, phone, first, last, visits, bought_on, holds.
        visits: workshop orders, the earliest first.
        events, tags, risks, left_work, missing, remarks, as_of: as in `CustomerProfile`.
    """

    car: dict
    held: pd.DataFrame
    owners: pd.DataFrame
    visits: pd.DataFrame
    events: pd.DataFrame
    tags: pd.DataFrame
    risks: pd.DataFrame
    left_work: pd.DataFrame
    missing: Sequence[tuple[str, str, str]]
    remarks: Sequence[str]
    as_of: date


def customer(known: CustomerProfile, t) -> list[str]:
    """The parts of a customer's page, as HTML."""
    from dealerkit.report.profile import of_customer

    return of_customer.parts(known, t)


def vehicle(known: CarProfile, t) -> list[str]:
    """The parts of a car's page, as HTML."""
    from dealerkit.report.profile import of_car

    return of_car.parts(known, t)
