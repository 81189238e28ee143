"""Who belongs to whom: owner, driver and payer of a car, household, family, the cars of a fleet, employees."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit.engine import frame_of
from dealerkit.identity.groups import connected
from dealerkit.identity.records import DERIVED
from dealerkit.params import Params

KINDS = ("owner", "driver", "payer", "household", "family", "employee", "fleet")
#: So many persons may share a phone or address and still be taken for a household.
_LARGEST_HOUSEHOLD = 6
#: What is asked of the records.
_ASKED = (
    "node", "source", "customer_id", "person_id", "kind", "name", "name_surname", "vin", "place", "employer", "created_on",
)  # fmt: skip
_COLUMNS = ("person_id", "other_person_id", "vin", "kind", "source", "since")


@dataclass(frozen=True)
class Relations:
    """Relations of persons.

    Attributes:
        rows: person_id, other_person_id (of whose car, household or company; None for cars of one's own), vin (None where
            it is about no car), kind (one of `KINDS`), source (table that says so), since (first day known, or None).
        households: person → household, of persons who live with another.
        fleets: person → the company whose fleet it has or drives.
    """

    rows: pd.DataFrame
    households: pd.Series
    fleets: pd.Series

    def of_kind(self, kind: str) -> pd.Series:
        """Persons with a relation of this kind."""
        return self.rows.loc[self.rows["kind"] == kind, "person_id"]


def ties(connection, clean: dict[str, ir.Table], people: ir.Table, keys: ir.Table) -> pd.DataFrame:
    """The relations between persons (see `Relations.rows`); those of owners to their cars come with `with_cars`.

    Args:
        connection: the engine's.
        clean: clean tables.
        people: the records with their person, held by the engine.
        keys: keys of the records (see `records.Records`).
    """
    people = people.select(*_ASKED)
    cards = people.select(k_person="person_id", k_id="customer_id")
    registered = clean["vehicles"].select(h_vin="vin", k_id="customer_id").filter(_.k_id.notnull())
    registered = registered.inner_join(cards, "k_id").select("h_vin", h_person="k_person")
    parts = [*_by_contact(clean, people, cards, registered), *_by_order(clean, people, cards, registered)]
    parts += [_together(people, keys), _employed(people)]
    return frame_of(_one_each(ibis.union(*parts)).order_by(list(_COLUMNS[:5])))


def with_cars(ties_: pd.DataFrame, people: ir.Table, cars: ir.Table, params: Params) -> Relations:
    """All relations: those between persons, of owners to their cars, and of companies to their fleets."""
    held = cars.select("person_id", "vin", "in_hand", since="held_from")
    held = frame_of(held.filter(_.person_id.notnull()))
    held = held.sort_values(["person_id", "vin"], ignore_index=True).assign(other_person_id=None, source="vehicles")
    companies = frame_of(people.select("person_id", "kind").filter(_.kind == "company").distinct())
    now = held[held["in_hand"] & held["person_id"].isin(companies["person_id"])]
    fleet = now[now.groupby("person_id")["vin"].transform("size") >= params.identity.fleet_cars]
    parts = [held.assign(kind="owner"), fleet.assign(kind="fleet"), ties_]
    rows = pd.concat([part[list(_COLUMNS)].astype({"other_person_id": object}) for part in parts], ignore_index=True)
    rows["other_person_id"] = rows["other_person_id"].where(rows["other_person_id"].notna(), None)
    return Relations(rows, _households(rows), _in_fleets(rows))


def _one_each(all_: ir.Table) -> ir.Table:
    """Each relation once, from its first day; none of a person with itself."""
    told = all_.filter(_.person_id.notnull() & (_.other_person_id.isnull() | (_.person_id != _.other_person_id)))
    first = told.group_by("person_id", "other_person_id", "vin", "kind").agg(source=_.source.min(), since=_.since.min())
    return first.select(*_COLUMNS)


def _row(table: ir.Table, kind, source: str, **columns) -> ir.Table:
    """The columns of a relation, empty where not given."""
    kinds = {"person_id": "string", "other_person_id": "string", "vin": "string", "since": "date"}
    given = {name: columns.get(name, ibis.null(kind_)) for name, kind_ in kinds.items()}
    kind = ibis.literal(kind) if isinstance(kind, str) else kind
    told = given | {"kind": kind, "source": ibis.literal(source)}
    return table.select(**{name: told[name] for name in _COLUMNS})


def _by_contact(clean: dict[str, ir.Table], people: ir.Table, cards: ir.Table, registered: ir.Table) -> list[ir.Table]:
    """What contacts are to the customer they stand with, or to whom the car is registered."""
    if "contacts" not in clean:
        return []
    who = people.filter(_.source == "contacts").select(c_person="person_id", c_id="customer_id")
    contacts = clean["contacts"].filter(_.role.isin(["driver", "payer", "household"]))
    contacts = contacts.mutate(c_id=ibis.literal(DERIVED["contacts"]) + contacts.contact_id).inner_join(who, "c_id")
    both = contacts.left_join(cards, contacts.customer_id == cards.k_id)
    both = both.left_join(registered, both.vin == registered.h_vin)
    vin = (both.role == "household").ifelse(ibis.null("string"), both.vin)
    whose = both.k_person.coalesce(both.h_person)
    return [_row(both, both.role, "contacts", person_id=both.c_person, other_person_id=whose, vin=vin)]


def _by_order(clean: dict[str, ir.Table], people: ir.Table, cards: ir.Table, registered: ir.Table) -> list[ir.Table]:
    """Who brought a car to the workshop without being its customer: by phone, else by name among those who stand with the
    car. A name alone that nobody of the car bears is not taken for a person."""
    orders = clean.get("service_orders")
    if orders is None:
        return []
    told = orders.select("vin", "customer_id", "brought_by", "opened_at")
    told = told.filter(_.brought_by.notnull() & _.customer_id.notnull() & _.vin.notnull())
    told = told.group_by("vin", "customer_id", "brought_by").agg(since=_.opened_at.min().date())
    told = told.inner_join(cards, told.customer_id == cards.k_id)
    near = people.filter(_.vin.notnull() & _.name.notnull())
    near = near.group_by(n_vin="vin", n_name="name").agg(n_person=_.person_id.min())
    named = told.inner_join(near, (told.vin == near.n_vin) & (told.brought_by == near.n_name))
    brought = people.filter((_.source == "service_orders") & _.vin.notnull())
    called = brought.inner_join(registered, brought.vin == registered.h_vin)
    return [
        _driver(named, named.n_person, named.k_person, named.since),
        _driver(called, called.person_id, called.h_person, called.created_on),
    ]


def _driver(rows: ir.Table, driver: ir.Value, owner: ir.Value, since: ir.Value) -> ir.Table:
    columns = {"person_id": driver, "other_person_id": owner, "vin": rows.vin, "since": since}
    return _row(rows, "driver", "service_orders", **columns)


def _together(people: ir.Table, keys: ir.Table) -> ir.Table:
    """Persons who share a phone or an address: family with the same surname, else household."""
    who = people.select("node", "person_id", "kind", surname="name_surname")
    by_phone = keys.filter(_.kind == "phone").select("key", "node")
    at = people.filter(_.place.notnull())
    by_place = at.select("node", key=ibis.literal("|") + at.place).select("key", "node")
    shared = ibis.union(by_phone, by_place).inner_join(who, "node").filter((_.kind != "company").fill_null(True))
    each = shared.group_by("key", "person_id").agg(surname=_.surname.min())
    each = each.mutate(persons=_.count().over(group_by="key")).filter(_.persons.between(2, _LARGEST_HOUSEHOLD))
    other = each.select(o_key="key", other_person_id="person_id", o_surname="surname")
    both = each.inner_join(other, (each.key == other.o_key) & (each.person_id < other.other_person_id))
    family = (both.surname == both.o_surname).fill_null(False)
    kind = family.ifelse("family", "household")
    return _row(both, kind, "customers", person_id=both.person_id, other_person_id=both.other_person_id)


def _employed(people: ir.Table) -> ir.Table:
    """Persons whose employer is a company among the customers, by its name as written."""
    firms = people.filter((_.kind == "company") & _.name.notnull())
    firms = firms.group_by(f_name="name").agg(firm=_.person_id.min(), n=_.person_id.nunique()).filter(_.n == 1)
    told = people.filter(_.employer.notnull())
    both = told.inner_join(firms, told.employer == firms.f_name)
    return _row(both, "employee", "customers", person_id=both.person_id, other_person_id=both.firm)


def _households(rows: pd.DataFrame) -> pd.Series:
    """Person → household: H and the first person's id."""
    ties = rows[rows["kind"].isin(["household", "family"]) & rows["other_person_id"].notna()]
    people = np.unique(ties[["person_id", "other_person_id"]].to_numpy(dtype=object).astype(str))
    place = pd.Series(np.arange(len(people)), index=people)
    part = connected(len(people), place[ties["person_id"]].to_numpy(), place[ties["other_person_id"]].to_numpy())
    first = pd.Series(people).groupby(part).transform("min")
    return pd.Series(("H" + first.str[1:]).to_numpy(), index=people, dtype=object)


def _in_fleets(rows: pd.DataFrame) -> pd.Series:
    """Person → company with a fleet: the company itself, and who drives one of its cars."""
    fleet = rows[rows["kind"] == "fleet"]
    companies = pd.Series(fleet["person_id"].unique(), dtype=object)
    drivers = rows[(rows["kind"] == "driver") & rows["other_person_id"].isin(companies)]
    drivers = drivers.sort_values(["person_id", "other_person_id"]).drop_duplicates("person_id")
    who = pd.concat([companies.set_axis(companies), drivers.set_index("person_id")["other_person_id"]])
    return who[~who.index.duplicated()]
