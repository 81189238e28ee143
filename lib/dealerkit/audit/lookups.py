"""What checks look up beside the row itself: repeated keys, records of other tables, windows over a car or a phone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import engine, tables
from dealerkit.audit.columns import repeats
from dealerkit.audit.standard import FILLED
from dealerkit.engine import jaro_winkler_similarity
from dealerkit.formats import DEAD_KM, DEAD_VIN, VIN, resident_id_digit_wrong, vin_digit_wrong
from dealerkit.params import CheckParams, Params
from dealerkit.tables import Table

#: Columns that say which row of what was delivered a row is.
_PLACE = ("_source", "_file", "_sheet", "_row")

#: Table → the day before which something is out of date: its name, and how many days before as_of.
_LIMITS = {"vehicles": ("x_year_ago", 365), "service_orders": ("x_month_ago", 30), "leads": ("x_half_year_ago", 182)}
#: Columns of a VIN that `check_digits` works out.
_OF_VIN = ("x_digit", "x_dead", "x_year")


@dataclass(frozen=True)
class Parents:
    """What checks look up beside the row.

    Attributes:
        records: table → its rows that are records, of every table.
        repeated: the tables in which a key is there more than once.
        vins: what `check_digits` gives.
        begins: the day with which the history of the visits begins, but for stray ones before it; None without any.
        clean: table → its clean rows, of the tables that were checked before.
        keys: table → the keys that may be referred to, each once; of the same.
    """

    records: dict[str, ir.Table]
    repeated: Repeated
    vins: ir.Table
    begins: date | None
    clean: dict[str, ir.Table] = field(default_factory=dict)
    keys: dict[str, ir.Table] = field(default_factory=dict)


def _names_alike(a: ir.StringValue, b: ir.StringValue) -> ir.BooleanValue:
    """True for spellings of one name: nearly the same letters, words in another order, surname with a title."""
    title = r"先生|女士|小姐|太太|\b(?:mr|mrs|ms|miss)\b\.?"
    ordered = [name.split(" ").sort().join("") for name in (a, b)]
    surname = [name.re_replace(title, "").strip() for name in (a, b)]
    titled = (a.re_search(title) & (surname[0] != "") & b.startswith(surname[0])) | (
        b.re_search(title) & (surname[1] != "") & a.startswith(surname[1])
    )
    return (jaro_winkler_similarity(a, b) >= 0.8) | (jaro_winkler_similarity(*ordered) >= 0.8) | titled


def context(table: Table, parents: Parents, as_of: date, params: Params) -> ir.Table:
    """The records of ``table`` with what its checks look up (columns ``x_…``): ranks of repeated keys, references to the
    parents' keys, values of other tables, how many rows have the same phone, plate or minute, the car's visit before.

    Args:
        table: the declaration.
        parents: the records of all tables, and what was checked before.
        as_of: the day of which all is computed.
        params: the dealer's params: limits of the checks, sources in the order of trust.
    """
    base, params, sources = parents.records[table.name], params.checks, params.sources
    if table.name in parents.repeated.tables:
        base = with_ranks(base, table, sources, parents.repeated)
    if table.name == "service_orders":
        base = _with_visit_before(base, params, as_of)
    beside = _Beside(base, parents)
    _add_parents(beside, table, parents)
    if add := _ADDED.get(table.name):
        add(beside, parents, params)
    fixed = _limits(table, parents, as_of, params)
    for column in table.columns:
        if column.format == "resident_id_or_uscc":
            fixed[f"x_digit_{column.name}"] = resident_id_digit_wrong(base[column.name])
    return beside.rows(fixed)


def _limits(table: Table, parents: Parents, as_of: date, params: CheckParams) -> dict[str, ir.Value]:
    """Days on which something is out of date, or before which the history is not known."""
    fixed = {}
    if table.name in _LIMITS:
        name, days = _LIMITS[table.name]
        fixed[name] = ibis.literal(as_of - timedelta(days=days))
    if table.name == "leads":
        fixed["x_contact_limit"] = ibis.literal(as_of - timedelta(hours=params.lead_contact_hours))
    waits = {"service_orders": params.comeback_days, "interactions": params.survey_days}
    if table.name in waits:
        begins = parents.begins or as_of
        fixed["x_history_begins"] = ibis.literal(begins + timedelta(days=waits[table.name]))
    return fixed


class _Beside:
    """Rows with what is looked up for them, put beside them in one chain of joins."""

    def __init__(self, base: ir.Table, parents: Parents):
        self.base, self._joined, self._found = base, base, []
        self._parents: Parents = parents
        self._of_parents: dict[tuple[str, str], dict[str, str]] = {}

    def add_of(self, parent: str, by: str, columns: dict[str, str]) -> None:
        """Look up columns of the clean rows of a parent whose key is in the column ``by``: new name → column. What is
        asked of one parent by one column is put beside the rows at once."""
        self._of_parents.setdefault((parent, by), {}).update(columns)

    def add(self, other: ir.Table, on: dict[str, ir.Value]) -> None:
        """Look up the columns of ``other``, at most one row of which has the values ``on``: its column → value of the base."""
        number = len(self._found)
        other = other.rename({f"x_on_{number}_{name}": name for name in on})
        met = [value == other[f"x_on_{number}_{name}"] for name, value in on.items()]
        self._joined = self._joined.left_join(other, met)
        self._found.append([name for name in other.columns if not name.startswith("x_on_")])

    def add_count(
        self, name: str, by: dict[str, ir.Value], least: int = 2, where: ir.BooleanValue | None = None
    ) -> None:
        """Look up how many rows have the same values, null under ``least``; repeats of a row do not count."""
        keep = ~repeats(self.base) if where is None else ~repeats(self.base) & where
        counted = self.base.filter(keep).select(**by).drop_null().group_by(list(by)).agg(**{name: _.count()})
        self.add(counted.filter(counted[name] >= least), by)

    def rows(self, fixed: dict[str, ir.Value]) -> ir.Table:
        """The rows with all that was found, and with the same for every row or made from it alone."""
        for (parent, by), columns in self._of_parents.items():
            key = tables.table(parent).key[0]
            self.add(self._parents.clean[parent].select(key, **columns), {key: self.base[by]})
        if not self._found and not fixed:
            return self.base
        found = {name: self._joined[name] for names in self._found for name in names}
        # What follows sees one table, and not a chain of joins.
        return self._joined.select(*self.base.columns, **found, **fixed)


def _joined(rows: ir.Table, found: ir.Table, by: list[str]) -> ir.Table:
    """``rows`` with what was found for some of them, put beside them by the columns ``by``."""
    beside = found.rename({f"x_by_{name}": name for name in by})
    return rows.left_join(beside, [rows[name] == beside[f"x_by_{name}"] for name in by])


def trust_of(source: ir.StringValue, sources: tuple[str, ...]) -> ir.IntegerValue:
    """The place of a source in the order of trust, from 0."""
    return ibis.cases(*[(source == s, i) for i, s in enumerate(sources)], else_=len(sources))


def with_ranks(records: ir.Table, table: Table, sources: tuple[str, ...], repeated: Repeated) -> ir.Table:
    """Whether each row repeats the key of another, the most trusted and of these the fullest going first, whether it says
    the same as that, and where that is; with keys across sources also for each column whether a row contradicts what
    more trusted sources say (``x_differs``, null where either says nothing)."""
    key = list(table.key)
    plate = ("plate",) if table.name == "vehicles" else ()
    told = [c.name for c in table.columns if c.required or c.name == table.date]
    across_sources = table.name in repeated.across_sources
    slim = records.select(*dict.fromkeys([*key, *_PLACE, FILLED, *told, *(table.names if across_sources else plate)]))
    # Only rows whose key is there more than once are put in an order: they are few.
    slim = slim.filter(repeated.again(slim, table))
    said = [slim[name].cast("string").coalesce("") + "|" for name in told]
    slim = slim.mutate(
        said=ibis.literal("").concat(*said),
        trust=trust_of(slim["_source"], sources),
    )
    ordered = ibis.window(group_by=key, order_by=["trust", _[FILLED].desc(), "_file", "_row"])
    differs = _differs(slim, table, ordered) if across_sources else {}
    ranked = slim.select(
        *key,
        *_PLACE,
        x_repeats=ibis.row_number().over(ordered) > 0,
        x_same=_.said == _.said.first().over(ordered),
        x_into_file=_["_file"].first().over(ordered),
        x_into_row=_["_row"].first().over(ordered),
        **differs,
        **({"x_first_plate": _.plate.first().over(ordered)} if plate else {}),
    )
    # What is unknown is looked up for no row: all but these few are passed over.
    asked = repeated.again(records, table).ifelse(records[key[0]], ibis.null(records[key[0]].type()))
    joined = _joined(records.mutate(x_asked=asked), ranked.rename(x_asked=key[0]), ["x_asked", *key[1:], *_PLACE])
    looked_up = [name for name in ranked.columns if name.startswith("x_")]
    found = joined.select(*records.columns, *looked_up)
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
        numbers: the numbers (see `_key_number`) of keys that may be there more than once, each once.
        tables: names of the tables with such keys.
        across_sources: names of those of them in which rows of several sources may have one key.
    """

    numbers: ir.Table
    tables: set[str]
    across_sources: set[str]

    def again(self, rows: ir.Table, table: Table) -> ir.BooleanValue:
        """Whether the key of each row of ``table`` may be there more than once."""
        return _key_number(rows, table).isin(self.numbers.number)


#: Of the number of a key, the bits that tell the table.
_TABLE_BITS = 0xFF


def _key_text(rows: ir.Table, table: Table) -> ir.StringValue:
    """The key of each row as one text, null where a part of it is unknown."""
    parts = [rows[k].cast("string") for k in table.key]
    return parts[0] if len(parts) == 1 else ibis.literal("").concat(*[part + "|" for part in parts])


def _key_number(rows: ir.Table, table: Table) -> ir.IntegerValue:
    """A number of the table and the key of each row, all unknown keys of a table having the same; two known keys may by
    chance have the same too."""
    of_key = engine.hashed(_key_text(rows, table)) & ibis.literal(2**64 - 1 - _TABLE_BITS, "uint64")
    return of_key | ibis.literal(list(tables.TABLES).index(table.name), "uint64")


def key_repeats(connection, records: dict[str, ir.Table], several: bool) -> Repeated:
    """The keys that may be there more than once in these tables; ``several``: rows come from several sources."""
    every = []
    for name, rows in records.items():
        known = rows.filter(_key_text(rows, tables.table(name)).notnull())
        every.append(known.select(number=_key_number(known, tables.table(name))))
    # Sorted here: the engine would make a group of each key, for the few that are there again.
    ordered = np.sort(engine.frame_of(engine.union(every))["number"].to_numpy("uint64"))
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    seen = {list(tables.TABLES)[i] for i in np.unique(again & np.uint64(_TABLE_BITS))}
    rows = ibis.memtable(pd.DataFrame({"number": again}), schema={"number": "uint64"})
    repeated = Repeated(engine.keep(connection, "repeated_keys", rows), seen, set())
    return replace(repeated, across_sources=_across_sources(records, repeated)) if several else repeated


def _across_sources(records: dict[str, ir.Table], repeated: Repeated) -> set[str]:
    """Tables in which rows of several sources have one key."""
    shared = []
    for name in sorted(repeated.tables):
        rows = records[name].filter(repeated.again(records[name], tables.table(name)))
        sources = rows.group_by(number=_key_number(rows, tables.table(name))).agg(n=_["_source"].nunique())
        shared.append(sources.agg(table=ibis.literal(name), shared=(_.n > 1).any()))
    found = engine.frame_of(engine.union(shared)) if shared else pd.DataFrame({"table": [], "shared": []})
    return set(found.loc[found["shared"].eq(True), "table"])


def check_digits(records: dict[str, ir.Table]) -> ir.Table:
    """Every well-formed VIN of the tables once, as ``x_vin``, and whether its check digit is wrong, as ``x_digit``:
    worked out once per car, and not once per visit."""
    vins = [
        rows.select(x_vin=rows[c.name])
        for name, rows in records.items()
        for c in tables.table(name).columns
        if c.format == "vin"
    ]
    every = engine.union(vins, distinct=True).filter(_.x_vin.re_search(VIN))
    letters = ibis.literal("ABCDEFGHJKLMNPRSTVWXY123456789")
    year = letters.find(every.x_vin.substr(9, 1)).nullif(-1) + 1980
    return every.mutate(x_digit=vin_digit_wrong(every.x_vin), x_dead=every.x_vin.re_search(DEAD_VIN), x_year=year)


def history_begins(visits: ir.Table) -> date | None:
    """The day on which the first hundredth of the visits is over, so that stray days before the history do not count."""
    first = visits.agg(day=visits.opened_at.date().epoch_days().quantile(0.01))
    day = engine.frame_of(first)["day"].iloc[0]
    return None if pd.isna(day) else date(1970, 1, 1) + timedelta(days=int(day))


def _add_parents(beside: _Beside, table: Table, parents: Parents) -> None:
    """What is worked out of a VIN (`x_digit_…` and the like), and the parent's key (`x_ref_…`), null where there is none."""
    base = beside.base
    for column in table.columns:
        if column.format == "vin":
            names = {f"{name}_{column.name}": name for name in _OF_VIN}
            beside.add(parents.vins.rename(names), {"x_vin": base[column.name]})
        if column.ref in parents.keys:
            parent, found = tables.table(column.ref), f"x_ref_{column.name}"
            if parent.date is None:  # then no rows but the clean ones have keys
                beside.add_of(parent.name, column.name, {found: parent.key[0]})
            else:
                beside.add(
                    parents.keys[parent.name].mutate(**{found: _[parent.key[0]]}), {parent.key[0]: base[column.name]}
                )


def _add_phone_of_staff(beside: _Beside, parents: Parents) -> None:
    if "staff" in parents.clean:
        phones = parents.clean["staff"].select("phone", x_phone_of_staff=_.phone).drop_null("phone").distinct()
        beside.add(phones, {"phone": beside.base.phone})


def _seen(parents: Parents, column: str, among: tuple[str, ...]) -> ir.Table | None:
    """The values of a column in those of the tables that were delivered, each once, also as ``x_seen``; None without any."""
    parts = [parents.records[name].select(column) for name in among if name in parents.records]
    if not parts:
        return None
    every = engine.union(parts, distinct=True)
    return every.drop_null().mutate(x_seen=_[column])


def _add_to_staff(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    beside.add_count("x_phone_staff", {"phone": beside.base.phone})


def _add_to_customers(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base, among = beside.base, ("vehicles", "contacts", "leads", "sales_orders", "service_orders", "interactions")
    for name, column in (("x_phone_records", "phone"), ("x_id_records", "id_number"), ("x_email_records", "email")):
        beside.add_count(name, {column: base[column]})
    _add_phone_of_staff(beside, parents)
    if (seen := _seen(parents, "customer_id", (*among, "campaigns"))) is not None:
        beside.add(seen, {"customer_id": base.customer_id})
    beside.add(_similar(base, params).mutate(x_key=_.key), {"key": base.customer_id})


def _add_to_vehicles(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base = beside.base
    beside.add_count("x_plate_cars", {"plate": base.plate}, where=base.disposed_on.isnull())
    if "customers" in parents.clean:
        beside.add_of("customers", "customer_id", {"x_owner_type": "customer_type"})
        beside.add_count("x_owner_cars", {"customer_id": base.customer_id}, least=params.max_cars_per_person)
    if (seen := _seen(parents, "vin", ("contacts", "sales_orders", "service_orders"))) is not None:
        beside.add(seen, {"vin": base.vin})


def _add_to_contacts(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    if "customers" in parents.clean:
        beside.add_of("customers", "customer_id", {"x_owner_phone": "phone"})


def _add_to_leads(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base = beside.base
    _add_phone_of_staff(beside, parents)
    # Who buys for a company has many leads, and wins them.
    idle = base.status.fill_null("") != "won"
    beside.add_count("x_phone_leads", {"phone": base.phone}, params.max_leads_per_phone + 1, where=idle)
    alike = ibis.window(group_by=["phone", "series"], order_by=["created_at", "_file", "_row"])
    slim = base.filter(~repeats(base)).select(*_PLACE, "lead_id", "phone", "series", "created_at").drop_null()
    before = slim.select(*_PLACE, "lead_id", x_lead_before=_.created_at.lag().over(alike)).drop_null("x_lead_before")
    beside.add(before, {name: base[name] for name in (*_PLACE, "lead_id")})
    if "sales_orders" in parents.records:
        sold = parents.records["sales_orders"].select("lead_id").drop_null().distinct().mutate(x_sold=_.lead_id)
        beside.add(sold, {"lead_id": base.lead_id})


def _add_to_sales(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base, clean = beside.base, parents.clean
    beside.add_count("x_vin_sales", {"vin": base.vin})
    if "customers" in clean:
        beside.add_of("customers", "customer_id", {"x_birth_date": "birth_date"})
    if "vehicles" in clean:
        beside.add_of("vehicles", "vin", {"x_list_price_yuan": "list_price_yuan", "x_purchased_on": "purchased_on"})


def _add_to_visits(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base, clean = beside.base, parents.clean
    _add_phone_of_staff(beside, parents)
    minute = base.opened_at.truncate("m")
    beside.add_count("x_same_minute", {"minute": minute, "adviser_id": base.adviser_id}, params.max_rows_per_minute + 1)
    beside.add(_same_odometers(base, params), {"vin": base.vin, "odometer_km": base.odometer_km})
    if "vehicles" in clean:
        names = ("warranty_ends_on", "warranty_km", "purchased_on", "disposed_on", "plate")
        beside.add_of("vehicles", "vin", {f"x_{name}": name for name in names})
    if "sales_orders" in clean:
        sales = clean["sales_orders"].drop_null("trade_in_vin")
        traded = sales.group_by("trade_in_vin").agg(x_traded_in_on=_.delivered_on.max())
        beside.add(traded, {"trade_in_vin": base.vin})
    if "service_lines" in parents.records:
        beside.add(_line_sums(parents), {"order_id": base.order_id})


def _same_odometers(base: ir.Table, params: CheckParams) -> ir.Table:
    """Car and odometer of which several visits over a quarter of a year say the same."""
    read = base.filter(~repeats(base)).select("vin", "odometer_km", "opened_at").drop_null()
    found = read.group_by("vin", "odometer_km").agg(
        x_same_odometer=_.count(), first=_.opened_at.min(), last=_.opened_at.max()
    )
    long = found["last"].date().epoch_days() - found["first"].date().epoch_days() >= 90
    return found.filter((found.x_same_odometer >= params.same_odometer_visits) & long).drop("first", "last")


def _line_sums(parents: Parents) -> ir.Table:
    """Lines of each order, what the done ones of each kind add up to, and whether each of these has an amount."""
    lines = parents.records["service_lines"].select("order_id", "line_no", "kind", "status", "amount_yuan")
    lines = lines.drop_null("order_id")
    if "service_lines" in parents.repeated.tables:
        # A line that was exported twice counts once.
        known = {name: _[name].max() for name in ("kind", "status", "amount_yuan")}
        lines = lines.group_by("order_id", "line_no").agg(**known)
    done = lines.status.fill_null("done") == "done"
    amount = done.ifelse(lines.amount_yuan, 0).cast("decimal(18,2)")
    return lines.group_by("order_id").agg(
        x_lines=_.count(),
        x_lines_labour=(lines.kind == "labour").ifelse(amount, 0).cast("decimal(18,2)").sum(),
        x_lines_parts=(lines.kind == "part").ifelse(amount, 0).cast("decimal(18,2)").sum(),
        x_lines_priced=(~done | ((lines.amount_yuan >= 0).fill_null(False) & lines.kind.notnull())).all(),
    )


def _add_to_interactions(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base = beside.base
    minute, called = base["at"].truncate("m"), base.kind.isin(["care_call", "survey", "campaign"])
    by = {"minute": minute, "staff_id": base.staff_id}
    beside.add_count("x_same_minute", by, params.max_rows_per_minute + 1, where=called)
    beside.add(_same_texts(base, params), {"text": base.text})
    _add_phone_of_staff(beside, parents)
    reached = base.select("phone", "customer_id").drop_null().group_by("phone")
    reached = reached.agg(x_phone_customers=_.customer_id.nunique())
    beside.add(reached.filter(_.x_phone_customers > params.max_customers_per_phone), {"phone": base.phone})
    if "customers" in parents.clean:
        beside.add_of("customers", "customer_id", {"x_file_phone": "phone", "x_file_phone_alt": "phone_alt"})
    here = _visits(parents, "customer_id")
    if here is not None:
        asked = base.filter(base.kind == "survey").select(*_PLACE, "interaction_id", "customer_id", day=_["at"].date())
        asked = asked.drop_null(["customer_id", "day"])
        last = asked.asof_join(here, on=asked.day >= here.seen_on, predicates=["customer_id"])
        near = last.filter(last.day.epoch_days() - last.seen_on.epoch_days() <= params.survey_days)
        visited = near.select(*_PLACE, "interaction_id", x_visited=_.seen_on)
        beside.add(visited, {name: base[name] for name in (*_PLACE, "interaction_id")})


def _same_texts(base: ir.Table, params: CheckParams) -> ir.Table:
    """Texts of complaints, not short ones, that are there far more often than the others."""
    said = base.filter((base.kind == "complaint") & ~repeats(base) & (base.text.length() >= 8)).select("text")
    counted = said.group_by("text").agg(x_same_text=_.count())
    usual = counted.agg(usual=counted.x_same_text.mean()).as_scalar()
    return counted.filter((counted.x_same_text >= params.max_same_texts) & (counted.x_same_text >= 4 * usual))


def _visits(parents: Parents, column: str) -> ir.Table | None:
    """Days on which a customer was here, for service or to take a car over (``seen_on``); None without any table of them."""
    days = {"service_orders": "opened_at", "sales_orders": "delivered_on"}
    parts = [
        parents.clean[name].select(column, seen_on=_[day].cast("date")).drop_null()
        for name, day in days.items()
        if name in parents.clean
    ]
    return engine.union(parts, distinct=True) if parts else None


def _add_to_campaigns(beside: _Beside, parents: Parents, params: CheckParams) -> None:
    base, key = beside.base, ("campaign_id", "customer_id")
    place = {name: base[name] for name in (*_PLACE, *key)}
    here = _visits(parents, "customer_id")
    if here is not None:
        asked = base.select(*_PLACE, *key, "assigned_on", "responded_on").drop_null(["customer_id", "responded_on"])
        last = asked.asof_join(here, on=asked.responded_on >= here.seen_on, predicates=["customer_id"])
        came = last.filter(last.seen_on >= last.assigned_on)
        beside.add(came.select(*_PLACE, *key, x_came=_.seen_on), place)
    if "interactions" in parents.clean:
        calls = parents.clean["interactions"]
        calls = calls.filter(calls.kind == "campaign").select("customer_id", called_on=_["at"].date())
        calls = calls.drop_null().distinct()
        left = base.filter(base.arm == "control").select(*_PLACE, *key, "assigned_on")
        left = left.drop_null(["customer_id", "assigned_on"])
        after = left.asof_join(calls, on=left.assigned_on <= calls.called_on, predicates=["customer_id"])
        soon = after.filter(after.called_on.epoch_days() - after.assigned_on.epoch_days() <= 14)
        beside.add(soon.select(*_PLACE, *key, x_contacted=_.called_on), place)


#: Table → what is looked up for its checks of business sense.
_ADDED = {
    "staff": _add_to_staff,
    "customers": _add_to_customers,
    "vehicles": _add_to_vehicles,
    "contacts": _add_to_contacts,
    "leads": _add_to_leads,
    "sales_orders": _add_to_sales,
    "service_orders": _add_to_visits,
    "interactions": _add_to_interactions,
    "campaigns": _add_to_campaigns,
}


def _with_visit_before(base: ir.Table, params: CheckParams, as_of: date) -> ir.Table:
    """``base`` with what the car's visit before says: its time, odometer and total."""
    # Visits with an impossible date or a filler for an odometer, and repeats of a visit, say nothing about the one before.
    dated = base.opened_at.date().between(ibis.literal(params.earliest_date), ibis.literal(as_of)) & ~repeats(base)
    read = base.odometer_km.notnull() & ~base.odometer_km.isin(DEAD_KM)
    by = ["vin", *_PLACE]
    slim = base.filter(dated & read).select(*by, "opened_at", "odometer_km", "total_yuan").drop_null("vin")
    visits = ibis.window(group_by="vin", order_by=["opened_at", "_file", "_row"])
    before = slim.select(
        *by,
        x_odometer_before=_.odometer_km.lag().over(visits),
        x_visit_before=_.opened_at.lag().over(visits),
        x_total_before=_.total_yuan.lag().over(visits),
    )
    # A step of its own, so that what is joined later does not become one chain with this.
    kinds = {"x_odometer_before": "int64", "x_visit_before": "timestamp", "x_total_before": "decimal(18,2)"}
    found = _joined(base, before, by).select(*base.columns, *kinds)
    return found.mutate(**{name: found[name].cast(kind) for name, kind in kinds.items()})


def _similar(base: ir.Table, params: CheckParams) -> ir.Table:
    """The ids of customers with a record beside theirs that has the same phone and a like name (column ``key``).

    Father and son on one phone, or twins, are told apart by ID number or birth date where both records have one.
    """
    named = base.filter(~repeats(base) & base.phone.notnull() & base.name.notnull())
    shared = named.group_by("phone").agg(of_phone=_.count())
    few = shared.filter(_.of_phone.between(2, params.max_customers_per_phone)).select("phone")
    # Records of different systems are meant to repeat; who is one person is for identity to say.
    some = named.semi_join(few, "phone").select("customer_id", "phone", "name", "id_number", "birth_date", "_source")
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
    return pairs.select(key=_.customer_id).drop_null().distinct()
