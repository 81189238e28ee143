"""Gaps filled from other values (补录), after everything was checked.

Only gaps are filled, never a delivered value replaced, and only from values that passed their own checks. Every value that
was supplied is written down with how it was found (`HOW`). What checks say, scores and the ledger are about what was
delivered: nothing here changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine, reach, regions, tables
from dealerkit.audit.checking import Checked, cleaned, place
from dealerkit.audit.kinds import CUSTOMER_BY, VIN_BY
from dealerkit.audit.lookups import trust_of
from dealerkit.formats import PLATE, RESIDENT_ID, VIN, vin_digit_wrong
from dealerkit.messages import N_
from dealerkit.params import Params

#: How a value was found, for the page.
HOW = {
    "id_number": N_("from the ID number"),
    "id_region": N_("place of registration by the ID number"),
    "plate_region": N_("where the plate of the car in hand is from"),
    "vin_year": N_("from the tenth character of the VIN"),
    "other_table": N_("from another table"),
    "other_source": N_("from a less trusted source"),
    "plate": N_("by the plate"),
    "vin": N_("by the VIN"),
    "phone": N_("by the phone"),
    "stand_in": N_("a number in place of the VIN: the car is known by its plate only"),
}

#: Model years by the tenth character of a VIN from 1980 on, again every thirty years (GB 16735; no I, O, Q, U, Z, 0).
_YEARS = "ABCDEFGHJKLMNPRSTVWXY123456789"
#: Visits to which somebody must have brought the cars before the name is taken for the owner's.
_VISITS = 2
_LONG_AGO = date(1900, 1, 1)


@dataclass(frozen=True)
class Supplied:
    """What was supplied.

    Attributes:
        clean: table → clean rows with the gaps filled that could be.
        rows: one row per value supplied: table, key, column, how (a key of `HOW`), from_table.
        links: rows by how their VIN or customer was found or not: table, column, how (also ``ambiguous`` and
            ``unknown``), rows.
    """

    clean: dict[str, ir.Table]
    rows: ir.Table
    links: pd.DataFrame


def supplied(connection, done: Mapping[str, Checked], ledger: pd.DataFrame, as_of: date, params: Params) -> Supplied:
    """Fill the gaps of the clean tables (see `Supplied`).

    Args:
        connection: an engine connection.
        done: table → what checking made of it.
        ledger: rows by table, source, file and fate.
        as_of: the day of which all is computed.
        params: which ways may be gone (`supply`), and the sources in the order of trust.
    """
    clean = {name: checked.clean for name, checked in done.items()}
    said = []
    for name in sorted(clean, key=lambda n: (n != "vehicles", n != "customers")):  # what the next ones look up first
        filling = _Filling(clean[name], name)
        if params.supply.gaps_from_sources and _merged_across_sources(ledger, name):
            filling.offer_all(_from_sources(done[name], params))
        if name in _OFFERS:
            filling.find_gaps()
            _OFFERS[name](filling, clean, as_of, params)
        if filling.offers:
            filled = engine.keep(connection, f"supplied_{name}", filling.filled())
            clean[name] = filled.drop("_supplied")
            said.append(_said(filled, name))
    said += [_linked(checked) for checked in done.values() if _link_columns(checked)]
    rows = (
        engine.union(said)
        if said
        else _said(_Filling(clean["service_orders"], "service_orders").filled(), "service_orders")
    )
    return Supplied(clean, engine.keep(connection, "supplied", rows), _links(done))


class _Filling:
    """A clean table and what is offered for its gaps, the better offers first.

    Attributes:
        gaps: columns that some row has no value of.
        offers: column → value, how it was found, table it came from.
    """

    def __init__(self, rows: ir.Table, name: str):
        self.rows, self.name, self.gaps = rows, name, frozenset()
        self.offers: dict[str, list[tuple[ir.Value, str, str]]] = {}
        self._joined, self._number = rows, 0

    def find_gaps(self) -> None:
        """Look which columns have gaps: nothing need be found for the others."""
        names = tables.TABLES[self.name].names
        counts = engine.counts(self.rows, {name: name for name in names}, {})
        self.gaps = frozenset(name for name in names if counts[f"known {name}"] < counts["rows"])

    def offer(self, found: ir.Table, key: str, how: str, source: str, *columns: str) -> None:
        """Offer columns of ``found``, which has one row per ``key``."""
        self._number += 1
        names = {column: f"x{self._number}_{column}" for column in columns}
        at = f"x{self._number}_at"
        beside = found.select(**{at: found[key]}, **{new: found[old] for old, new in names.items()})
        self._joined = self._joined.left_join(beside, [(key, at)])
        for column, name in names.items():
            self.offers.setdefault(column, []).append((_[name], how, source))

    def offer_all(self, found: ir.Table) -> None:
        """Offer the columns of a table with the same key."""
        self._number += 1
        key = tables.TABLES[self.name].key
        names = {c: f"x{self._number}_{c}" for c in found.columns}
        beside = found.rename({new: old for old, new in names.items()})
        self._joined = self._joined.left_join(beside, [(k, names[k]) for k in key])
        for column in found.columns:
            if column not in key:
                self.offers.setdefault(column, []).append((_[names[column]], "other_source", self.name))

    def offer_own(self, column: str, value: ibis.Deferred, how: str) -> None:
        """Offer what a value of the row itself tells."""
        self.offers.setdefault(column, []).append((value, how, self.name))

    def filled(self) -> ir.Table:
        """The rows with their gaps filled, and in ``_supplied`` a text of column, how and table for each."""
        columns, said = {name: _[name] for name in self.rows.columns}, []
        for column, offers in self.offers.items():
            columns[column] = ibis.coalesce(_[column], *[value for value, _how, _source in offers])
            cases = [(value.notnull(), f"{column}|{how}|{source}") for value, how, source in offers]
            said.append(ibis.cases((_[column].notnull(), ibis.null("string")), *cases, else_=ibis.null("string")))
        notes = ibis.array(said or [ibis.null("string")]).filter(lambda note: note.notnull())
        return self._joined.select(**columns, _supplied=notes)


def _said(filled: ir.Table, name: str) -> ir.Table:
    """One row per value that was supplied in a table."""
    noted = filled.filter(_["_supplied"].length() > 0)
    at = place(noted, tables.TABLES[name])
    long = noted.select(table=at["table"], key=at["key"], note=noted["_supplied"].unnest())
    parts = long.note.split("|")
    return long.select("table", "key", column=parts[0], how=parts[1], from_table=parts[2])


# ---- gaps of records from less trusted sources -----------------------------------------------------------------


def _merged_across_sources(ledger: pd.DataFrame, name: str) -> bool:
    of_table = ledger[ledger["table"] == name]
    return of_table["source"].nunique() > 1 and of_table["merged"].sum() > 0


def _from_sources(checked: Checked, params: Params) -> ir.Table:
    """What the rows that were merged into those of another source say, by key: of each column what the most trusted of
    them says."""
    table = checked.table
    rows = cleaned(checked.records, table, checked.checks, "merged")
    kept = checked.clean.select(**{f"k_{k}": checked.clean[k] for k in table.key}, k_source=checked.clean["_source"])
    of_others = rows.inner_join(kept, [rows[k] == kept[f"k_{k}"] for k in table.key])
    of_others = of_others.filter(of_others["_source"] != of_others.k_source)
    of_others = of_others.mutate(x_trust=trust_of(of_others["_source"], params.sources))
    order = ["x_trust", "_file", "_row"]
    best = {name: of_others[name].first(order_by=order) for name in table.names if name not in table.key}
    return of_others.group_by(list(table.key)).agg(**best)


# ---- cars ------------------------------------------------------------------------------------------------------


def _for_vehicles(filling: _Filling, clean: Mapping[str, ir.Table], as_of: date, params: Params) -> None:
    give, cars, visits, sales = params.supply, clean["vehicles"], clean["service_orders"], clean.get("sales_orders")
    if give.purchase_from_sales and sales is not None and filling.gaps & {"purchased_on", "purchase_price_yuan"}:
        filling.offer(
            _purchases(cars, sales), "vin", "other_table", "sales_orders", "purchased_on", "purchase_price_yuan"
        )
    if give.owner_from_sales_and_visits and "customers" in clean and "customer_id" in filling.gaps:
        for name, owners in _owners(clean).items():
            filling.offer(owners, "vin", "other_table", name, "customer_id")
    if give.plate_from_visits and "plate" in filling.gaps:
        filling.offer(_plates(cars, visits), "vin", "other_table", "service_orders", "plate")
    if give.model_year_from_vin and "model_year" in filling.gaps:
        first = visits.filter(_.vin.notnull()).group_by("vin").agg(seen_on=_.opened_at.min().date())
        without = cars.filter(_.model_year.isnull()).select("vin", "purchased_on").left_join(first, "vin")
        filling.offer(_model_years(without, as_of), "vin", "vin_year", "vehicles", "model_year")


def _purchases(cars: ir.Table, sales: ir.Table) -> ir.Table:
    """The last sale of each car, when its buyer is not somebody else than the car's customer; its price where the day is
    that of the car's own record or that has none."""
    sold = sales.filter(_.vin.notnull() & _.delivered_on.notnull())
    order = ["delivered_on", "order_id"]
    last = sold.group_by("vin").agg(
        on=_.delivered_on.last(order_by=order),
        price=_.price_yuan.last(order_by=order, include_null=True),
        buyer=_.customer_id.last(order_by=order, include_null=True),
    )
    known = cars.select("vin", "customer_id", "purchased_on").inner_join(last, "vin")
    mine = known.filter((known.customer_id == known.buyer).fill_null(True))
    same_day = (mine.purchased_on == mine.on).fill_null(True)
    price = same_day.ifelse(mine.price, ibis.null(mine.price.type()))
    return mine.select("vin", purchased_on=mine.on, purchase_price_yuan=price)


def _owners(clean: Mapping[str, ir.Table]) -> dict[str, ir.Table]:
    """For each car the customer of its last sale or visit, whichever is later, by the table that says so."""
    days = {"sales_orders": _.delivered_on, "service_orders": _.opened_at.date()}
    seen = [
        clean[name].filter(_.vin.notnull() & _.customer_id.notnull())
        .select("vin", "customer_id", "order_id", day=day, said_by=ibis.literal(name))
        for name, day in days.items()
        if name in clean
    ]  # fmt: skip
    known = engine.union(seen).semi_join(clean["customers"], "customer_id")
    order = ["day", "said_by", "order_id"]
    last = known.group_by("vin").agg(
        customer_id=_.customer_id.last(order_by=order), said_by=_.said_by.last(order_by=order)
    )
    return {name: last.filter(last.said_by == name) for name in days if name in clean}


def _plates(cars: ir.Table, visits: ir.Table) -> ir.Table:
    """The plate of each car at its last visit with one, unless it was seen on another car later or stands in the record of
    another car."""
    seen = visits.filter(_.vin.notnull() & _.plate.re_search(PLATE))
    order = ["opened_at", "order_id"]
    last = seen.group_by("vin").agg(plate=_.plate.last(order_by=order))
    holder = seen.group_by("plate").agg(holder=_.vin.last(order_by=order))
    mine = last.inner_join(holder, "plate").filter(_.vin == _.holder)
    return mine.anti_join(cars.filter(_.plate.notnull()), "plate")


def _model_years(cars: ir.Table, as_of: date) -> ir.Table:
    """The model year by the tenth character of the VIN: of the years that it may mean, thirty years apart, the last one
    not after the year that follows the purchase, else the first visit, else ``as_of``."""
    place_ = ibis.literal(_YEARS).find(cars.vin.substr(9, 1))
    right = cars.vin.re_search(VIN) & (place_ >= 0) & ~vin_digit_wrong(cars.vin)
    latest = cars.purchased_on.year().coalesce(cars.seen_on.year(), as_of.year) + 1
    first = place_ + 1980
    year = first + 30 * ((latest - first) / 30).floor().cast("int64")
    known = (right & (year >= 1980)).fill_null(False)
    return cars.select("vin", model_year=known.ifelse(year.cast("int64"), ibis.null("int64")))


# ---- customers -------------------------------------------------------------------------------------------------


def _for_customers(filling: _Filling, clean: Mapping[str, ir.Table], as_of: date, params: Params) -> None:
    give = params.supply
    if give.birth_and_gender_from_id and filling.gaps & {"birth_date", "gender"}:
        for column, value in _from_id(as_of).items():
            filling.offer_own(column, value, "id_number")
    if give.region_from_plate and "vehicles" in clean and "region" in filling.gaps:
        found = _plate_regions(clean["vehicles"], params.language)
        filling.offer(found, "customer_id", "plate_region", "vehicles", "region")
    if give.region_from_id and "region" in filling.gaps:
        found = _id_regions(clean["customers"], params.language)
        filling.offer(found, "customer_id", "id_region", "customers", "region")
    for (how, name), offers in (_phones(clean, params) if "phone" in filling.gaps else {}).items():
        filling.offer(offers, "customer_id", how, name, "phone")
    if give.name_from_visits and "vehicles" in clean and "name" in filling.gaps:
        filling.offer(_names(clean), "customer_id", "other_table", "service_orders", "name")


def _is_resident(number: ir.StringValue, customer_type: ir.StringValue) -> ir.BooleanValue:
    return number.re_search(RESIDENT_ID) & (customer_type != "company").fill_null(True)


def _from_id(as_of: date) -> dict[str, ibis.Deferred]:
    """Birth date and gender by a resident ID number: a day that there is, not after ``as_of``."""
    number, resident = _.id_number, _is_resident(_.id_number, _.customer_type)
    parts = [number.substr(6, 4), "-", number.substr(10, 2), "-", number.substr(12, 2)]
    day = resident.ifelse(parts[0].concat(*parts[1:]), ibis.null("string")).try_cast("date")
    born = day.between(ibis.literal(_LONG_AGO), ibis.literal(as_of)).ifelse(day, ibis.null("date"))
    odd = number.substr(16, 1).try_cast("int32") % 2 == 1
    return {"birth_date": born, "gender": resident.ifelse(odd.ifelse("m", "f"), ibis.null("string"))}


def _beside(rows: ir.Table, names: Mapping[str, str]) -> ir.Table:
    """``rows`` with the region that their ``prefix`` stands for, without those that stand for none."""
    known = ibis.memtable({"prefix": list(names), "region": list(names.values())})
    return rows.inner_join(known, "prefix")


def _plate_regions(cars: ir.Table, language: str) -> ir.Table:
    """Where the plate of each customer's car in hand is from; of several cars that of the one bought last."""
    held = cars.filter(_.customer_id.notnull() & _.disposed_on.isnull() & _.plate.re_search(PLATE))
    held = held.mutate(bought_on=_.purchased_on.coalesce(ibis.literal(_LONG_AGO)))
    last = held.group_by("customer_id").agg(prefix=_.plate.substr(0, 2).last(order_by=["bought_on", "vin"]))
    names = regions.of_plates(language)
    whole = {
        c + letter: names.get(c + letter, names[c])
        for c in names
        if len(c) == 1
        for letter in "ABCDEFGHJKLMNPQRSTUVWXYZ"
    }
    return _beside(last, whole)


def _id_regions(customers: ir.Table, language: str) -> ir.Table:
    """Where each customer was registered, by the resident ID number."""
    known = customers.filter(_.region.isnull() & _is_resident(_.id_number, _.customer_type))
    names = regions.of_ids(language)
    whole = {
        c + more: names.get(c + more, names[c])
        for c in names
        if len(c) == 2
        for more in map("{:02d}".format, range(100))
    }
    return _beside(known.select("customer_id", prefix=known.id_number.substr(0, 4)), whole)


def _phones(clean: Mapping[str, ir.Table], params: Params) -> dict[tuple[str, str], ir.Table]:
    """Phones for the customers without one, by how and where they were found, the best first: none of staff, and none that
    more customers have than one phone can."""
    give, customers, found = params.supply, clean["customers"], {}
    without = customers.filter(_.phone.isnull()).select("customer_id", "name", "id_number", source=_["_source"])
    if give.phone_from_contacts and "contacts" in clean:
        owners = clean["contacts"].filter((_.role == "owner") & _.phone.notnull() & _.customer_id.notnull())
        told = owners.group_by("customer_id").agg(phones=_.phone.nunique(), phone=_.phone.min())
        found["other_table", "contacts"] = told.filter(_.phones == 1)
    if give.phone_from_leads and "leads" in clean:
        told = clean["leads"].filter(_.phone.notnull() & _.customer_id.notnull())
        last = told.group_by("customer_id").agg(phone=_.phone.last(order_by=["created_at", "lead_id"]))
        found["other_table", "leads"] = last
    if give.phone_from_visits:
        visits = clean["service_orders"].filter(_.phone.notnull() & _.brought_by.notnull())
        own = visits.select("customer_id", "phone", "opened_at", "order_id", name=_.brought_by)
        own = own.semi_join(without, ["customer_id", "name"])
        last = own.group_by("customer_id").agg(phone=_.phone.last(order_by=["opened_at", "order_id"]))
        found["other_table", "service_orders"] = last
    if give.phone_from_sources and "id_number" in params.secondary_keys and len(params.sources) > 1:
        found["other_source", "customers"] = _phones_by_id(customers, without, params)
    barred = reach.barred(clean, params.checks)
    return {
        at: offers.select("customer_id", "phone").semi_join(without, "customer_id").anti_join(barred, "phone")
        for at, offers in found.items()
    }


def _phones_by_id(customers: ir.Table, without: ir.Table, params: Params) -> ir.Table:
    """The phone that the most trusted of the other sources has for the same ID number, if it has one only."""
    others = customers.filter(_.phone.notnull() & _.id_number.notnull())
    others = others.select("id_number", "phone", o_source=_["_source"], trust=trust_of(_["_source"], params.sources))
    pairs = without.drop("name").inner_join(others, "id_number").filter(_.source != _.o_source)
    told = pairs.group_by("customer_id", "trust").agg(phones=_.phone.nunique(), phone=_.phone.min())
    best = told.group_by("customer_id").agg(phones=_.phones.argmin(_.trust), phone=_.phone.argmin(_.trust))
    return best.filter(_.phones == 1)


def _names(clean: Mapping[str, ir.Table]) -> ir.Table:
    """Who brought all cars of a customer without a name to every visit that says who did."""
    nameless = clean["customers"].filter(_.name.isnull() & (_.customer_type != "company").fill_null(True))
    cars = clean["vehicles"].semi_join(nameless, "customer_id").select("vin", "customer_id")
    visits = clean["service_orders"].filter(_.brought_by.notnull()).select("vin", "brought_by")
    brought = cars.inner_join(visits, "vin").group_by("customer_id")
    told = brought.agg(names=_.brought_by.nunique(), name=_.brought_by.min(), visits=_.count())
    return told.filter((_.names == 1) & (_.visits >= _VISITS))


# ---- sales -----------------------------------------------------------------------------------------------------


def _for_sales(filling: _Filling, clean: Mapping[str, ir.Table], as_of: date, params: Params) -> None:
    if params.supply.purchase_from_sales and "vehicles" in clean and "price_yuan" in filling.gaps:
        sales = clean["sales_orders"].filter(_.price_yuan.isnull()).select("order_id", "vin", "delivered_on")
        cars = clean["vehicles"].select("vin", "purchased_on", price_yuan=_.purchase_price_yuan)
        same = sales.inner_join(cars, "vin").filter(_.purchased_on == _.delivered_on)
        filling.offer(same, "order_id", "other_table", "vehicles", "price_yuan")


_OFFERS = {"vehicles": _for_vehicles, "customers": _for_customers, "sales_orders": _for_sales}


# ---- references found before the checks ------------------------------------------------------------------------


def _link_columns(checked: Checked) -> dict[str, str]:
    """Column that was found by a secondary key → the one that says how."""
    ways = {"vin": VIN_BY, "customer_id": CUSTOMER_BY}
    return {column: by for column, by in ways.items() if by in checked.records.columns}


def _linked(checked: Checked) -> ir.Table:
    """One row per VIN or customer of a clean row that was found by a secondary key."""
    rows, parts = checked.records.filter(checked.records["_fate"] == "clean"), []
    for column, by in _link_columns(checked).items():
        found = rows.filter(rows[by].isin(list(HOW)))
        at = place(found, checked.table)
        named = found.select(table=at["table"], key=at["key"], column=ibis.literal(column), how=found[by])
        from_table = ibis.literal("vehicles" if column == "vin" else "customers")
        parts.append(named.mutate(from_table=from_table))
    return engine.union(parts)


def _links(done: Mapping[str, Checked]) -> pd.DataFrame:
    parts = [
        checked.records.filter(checked.records[by].notnull())
        .group_by(table=ibis.literal(name), column=ibis.literal(column), how=checked.records[by])
        .agg(rows=_.count())
        for name, checked in done.items()
        for column, by in _link_columns(checked).items()
    ]  # fmt: skip
    columns = ["table", "column", "how", "rows"]
    if not parts:
        return pd.DataFrame({name: [] for name in columns}).astype({"rows": int})
    return engine.frame_of(engine.union(parts))[columns].sort_values(columns[:3], ignore_index=True)
