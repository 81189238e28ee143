"""What checks look up beside the row itself: repeated keys, records of other tables, windows over a car or a phone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit import tables
from dealerkit.audit.columns import repeats
from dealerkit.audit.standard import TEXTS
from dealerkit.engine import jaro_winkler_similarity
from dealerkit.formats import VIN, resident_id_digit_wrong, vin_digit_wrong
from dealerkit.params import CheckParams, Params
from dealerkit.tables import Table

#: Columns that say which row of what was delivered a row is.
_PLACE = ("_source", "_file", "_sheet", "_row")

#: Table → the day before which something is out of date: its name, and how many days before as_of.
_LIMITS = {"vehicles": ("x_year_ago", 365), "service_orders": ("x_month_ago", 30), "leads": ("x_half_year_ago", 182)}


@dataclass(frozen=True)
class Parents:
    """What checks look up in tables that were checked before.

    Attributes:
        clean: table → its clean rows.
        keys: table → the keys that may be referred to, each once.
        vins: what `check_digits` gives.
    """

    clean: dict[str, ir.Table]
    keys: dict[str, ir.Table]
    vins: ir.Table


def _names_alike(a: ir.StringValue, b: ir.StringValue) -> ir.BooleanValue:
    """True for spellings of one name: nearly the same letters, words in another order, surname with a title."""
    title = r"先生|女士|小姐|太太|\b(?:mr|mrs|ms|miss)\b\.?"
    ordered = [name.split(" ").sort().join("") for name in (a, b)]
    surname = [name.re_replace(title, "").strip() for name in (a, b)]
    titled = (a.re_search(title) & (surname[0] != "") & b.startswith(surname[0])) | (
        b.re_search(title) & (surname[1] != "") & a.startswith(surname[1])
    )
    return (jaro_winkler_similarity(a, b) >= 0.8) | (jaro_winkler_similarity(*ordered) >= 0.8) | titled


def context(
    records: ir.Table, table: Table, parents: Parents, repeated: Repeated, as_of: date, params: Params
) -> ir.Table:
    """``records`` with what the checks of ``table`` look up: ranks of repeated keys, references to the parents' keys,
    values of the clean parents, windows over the same car or phone.

    Args:
        records: typed rows that are records.
        table: the declaration.
        parents: what was checked before.
        repeated: which tables have keys more than once.
        as_of: the day of which all is computed.
        params: the dealer's params: limits of the checks, sources in the order of trust.
    """
    base, params, sources = records, params.checks, params.sources
    if table.name in repeated.tables:
        base = with_ranks(records, table, sources, table.name in repeated.across_sources)
    if table.name == "customers":
        base = _with_customer_windows(base)
    if table.name == "service_orders":
        base = _with_odometers(base, params, as_of)
    joined, found = _with_parents(base, table, parents)
    if table.name == "customers":
        similar = _similar(base, params)
        joined = joined.left_join(similar, base.customer_id == similar.x_key)
        found.append("x_key")
    looked_up = {name: joined[name] for name in found}
    if table.name in _LIMITS:
        name, days = _LIMITS[table.name]
        looked_up |= {name: ibis.literal(as_of - timedelta(days=days))}
    for column in table.columns:
        if column.format == "resident_id_or_uscc":
            looked_up |= {f"x_digit_{column.name}": resident_id_digit_wrong(joined[column.name])}
    # What follows sees one table, and not a chain of joins.
    return joined.select(*base.columns, **looked_up) if looked_up else base


def _joined(rows: ir.Table, found: ir.Table, by: list[str]) -> ir.Table:
    """``rows`` with what was found for some of them, put beside them by the columns ``by``."""
    beside = found.rename({f"x_by_{name}": name for name in by})
    return rows.left_join(beside, [rows[name] == beside[f"x_by_{name}"] for name in by])


def trust_of(source: ir.StringValue, sources: tuple[str, ...]) -> ir.IntegerValue:
    """The place of a source in the order of trust, from 0."""
    return ibis.cases(*[(source == s, i) for i, s in enumerate(sources)], else_=len(sources))


def with_ranks(records: ir.Table, table: Table, sources: tuple[str, ...], across_sources: bool) -> ir.Table:
    """Whether each row repeats the key of another, the most trusted and of these the fullest going first, whether it says
    the same as that, and where that is; with keys ``across_sources`` also for each column whether a row contradicts what
    more trusted sources say (``x_differs``, null where either says nothing)."""
    filled = records[TEXTS].filter(lambda text: text.notnull()).length()
    said = ibis.literal("").concat(
        *[
            records[c.name].cast("string").coalesce("") + "|"
            for c in table.columns
            if c.required or c.name == table.date
        ]
    )
    key = list(table.key)
    # Only rows whose key is there more than once are put in an order: they are few.
    kept = dict.fromkeys([*key, *_PLACE, *(table.names if across_sources else ())])
    trust = trust_of(records["_source"], sources)
    slim = records.select(*kept, filled=filled, said=said, trust=trust).drop_null(key)
    slim = slim.mutate(alike=_.count().over(group_by=key)).filter(_.alike > 1)
    ordered = ibis.window(group_by=key, order_by=["trust", _.filled.desc(), "_file", "_row"])
    differs = _differs(slim, table, ordered) if across_sources else {}
    ranked = slim.select(
        *key,
        *_PLACE,
        x_repeats=ibis.row_number().over(ordered) > 0,
        x_same=_.said == _.said.first().over(ordered),
        x_into_file=_["_file"].first().over(ordered),
        x_into_row=_["_row"].first().over(ordered),
        **differs,
    )
    joined = _joined(records, ranked, [*key, *_PLACE])
    found = joined.select(*records.columns, "x_repeats", "x_same", "x_into_file", "x_into_row", *differs)
    return found.mutate(x_repeats=_.x_repeats.coalesce(False))


def _differs(slim: ir.Table, table: Table, ordered) -> dict[str, ir.ArrayValue]:
    """For each column whether a row says something else than the first row of its key that says anything, if that is of
    another source."""
    first = slim["_source"].first().over(ordered)
    other = slim["_source"] != first
    said = [slim[name] != slim[name].first().over(ordered) for name in table.names]
    return {"x_differs": ibis.array([other.ifelse(differs, ibis.null("boolean")) for differs in said])}


@dataclass(frozen=True)
class Repeated:
    """Which tables may have a key more than once.

    Attributes:
        tables: their names.
        across_sources: names of those of them in which rows of several sources may have one key.
    """

    tables: set[str]
    across_sources: set[str]


def key_repeats(records: dict[str, ir.Table], several: bool) -> Repeated:
    """The tables, of these, in which a key may be there more than once; ``several``: rows come from several sources."""
    counted = []
    for name, rows in records.items():
        parts = [rows[k] for k in tables.table(name).key]
        # Keys of several parts may look alike when joined: then ranks are made that find nothing.
        key = parts[0] if len(parts) == 1 else ibis.literal("").concat(*[part.cast("string") + "|" for part in parts])
        more = (key + "|" + rows["_source"]).nunique() - key.nunique() if several else ibis.literal(0)
        counted.append(rows.agg(repeats=key.count() - key.nunique(), shared=more).mutate(table=ibis.literal(name)))
    seen = (ibis.union(*counted) if len(counted) > 1 else counted[0]).to_pandas()
    return Repeated(*(set(seen.loc[seen[found] > 0, "table"]) for found in ("repeats", "shared")))


def check_digits(records: dict[str, ir.Table]) -> ir.Table:
    """Every well-formed VIN of the tables once, as ``x_vin``, and whether its check digit is wrong, as ``x_digit``:
    worked out once per car, and not once per visit."""
    vins = [
        rows.select(x_vin=rows[c.name])
        for name, rows in records.items()
        for c in tables.table(name).columns
        if c.format == "vin"
    ]
    every = (ibis.union(*vins, distinct=True) if len(vins) > 1 else vins[0].distinct()).filter(_.x_vin.re_search(VIN))
    return every.mutate(x_digit=vin_digit_wrong(every.x_vin))


def _with_parents(base: ir.Table, table: Table, parents: Parents) -> tuple[ir.Table, list[str]]:
    """``base`` joined to all it refers to, in one go, and the columns looked up: `x_ref_…` is the parent's key, null where
    there is none."""
    joined, found = base, []
    for column in table.columns:
        if column.format == "vin":
            digits = parents.vins.select(**{f"x_vin_{column.name}": _.x_vin, f"x_digit_{column.name}": _.x_digit})
            joined = joined.left_join(digits, base[column.name] == digits[f"x_vin_{column.name}"])
            found.append(f"x_digit_{column.name}")
        if column.ref in parents.keys:
            known = parents.keys[column.ref].rename({f"x_ref_{column.name}": tables.table(column.ref).key[0]})
            joined = joined.left_join(known, base[column.name] == known[f"x_ref_{column.name}"])
            found.append(f"x_ref_{column.name}")
    clean = parents.clean
    if table.name == "customers" and "staff" in clean:
        phones = clean["staff"].filter(_.phone.notnull()).select(x_phone_of_staff=_.phone).distinct()
        joined = joined.left_join(phones, base.phone == phones.x_phone_of_staff)
        found.append("x_phone_of_staff")
    if table.name == "sales_orders" and "customers" in clean:
        births = clean["customers"].select(x_born=_.customer_id, x_birth_date=_.birth_date)
        joined = joined.left_join(births, base.customer_id == births.x_born)
        found.append("x_birth_date")
    if table.name == "service_orders" and "vehicles" in clean:
        cars = clean["vehicles"].select(
            x_car=_.vin, x_warranty_ends_on=_.warranty_ends_on, x_purchased_on=_.purchased_on
        )
        joined = joined.left_join(cars, base.vin == cars.x_car)
        found += ["x_warranty_ends_on", "x_purchased_on"]
    return joined, found


def _with_odometers(base: ir.Table, params: CheckParams, as_of: date) -> ir.Table:
    """``base`` with the odometer of the car's visit before, as ``x_odometer_before``."""
    # Visits with an impossible date, and repeats of a visit, say nothing about the one before.
    dated = (
        base.opened_at.date().between(ibis.literal(params.earliest_date), ibis.literal(as_of))
        & ~repeats(base)
        & base.odometer_km.notnull()
    )
    by = ["vin", *_PLACE]
    slim = base.filter(dated).select(*by, "opened_at", "odometer_km").drop_null("vin")
    visits = ibis.window(group_by="vin", order_by=["opened_at", "_file", "_row"])
    before = slim.select(*by, x_odometer_before=_.odometer_km.lag().over(visits))
    # A step of its own, so that what is joined later does not become one chain with this.
    return (
        _joined(base, before, by)
        .select(*base.columns, "x_odometer_before")
        .mutate(x_odometer_before=_.x_odometer_before.cast("int64"))
    )


def _with_customer_windows(base: ir.Table) -> ir.Table:
    """``base`` with how many records have the same phone, and the same ID number."""
    records = base.count(where=~repeats(base))
    return base.mutate(x_phone_records=records.over(group_by="phone"), x_id_records=records.over(group_by="id_number"))


def _similar(base: ir.Table, params: CheckParams) -> ir.Table:
    """The ids of customers with a record beside theirs that has the same phone and a like name (column ``x_key``).

    Father and son on one phone, or twins, are told apart by ID number or birth date where both records have one.
    """
    few = (
        ~repeats(base)
        & base.phone.notnull()
        & base.name.notnull()
        & base.x_phone_records.between(2, params.max_customers_per_phone)
    )
    # Records of different systems are meant to repeat; who is one person is for identity to say.
    some = base.filter(few).select("customer_id", "phone", "name", "id_number", "birth_date", "_source")
    other = some.select(
        o_id=_.customer_id,
        o_phone=_.phone,
        o_name=_.name,
        o_number=_.id_number,
        o_birth=_.birth_date,
        o_source=_["_source"],
    )
    pairs = some.join(
        other, (some.phone == other.o_phone) & (some["_source"] == other.o_source) & (some.customer_id != other.o_id)
    ).filter(
        lambda t: _names_alike(t.name.lower(), t.o_name.lower()),
        lambda t: (t.id_number == t.o_number).fill_null(True) & (t.birth_date == t.o_birth).fill_null(True),
    )
    return pairs.select(x_key=_.customer_id).distinct()
