"""The checks: each a row with an expression that is true where a row of the table fails it.

Checks of single columns follow from the declarations in `tables`; checks of business sense are listed
here. Expressions see the standardised columns, the delivered texts (`text_of`) and what `context` adds
(``x_…``: the look-ups and windows a table needs). Null means that the check does not apply to the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit import tables
from dealerkit.audit.standard import TEXTS, text_of
from dealerkit.engine import jaro_winkler_similarity
from dealerkit.messages import N_
from dealerkit.params import CheckParams
from dealerkit.tables import Column, Table

#: Dimensions in the order in which they are shown.
DIMENSIONS = ("completeness", "legality", "range", "consistency", "duplication", "reference", "timeliness", "authenticity")
DIMENSION_LABELS = {
    "completeness": N_("Completeness"), "legality": N_("Format legality"), "range": N_("Value range"),
    "consistency": N_("Consistency"), "duplication": N_("Duplication"), "reference": N_("References"),
    "timeliness": N_("Timeliness"), "authenticity": N_("Authenticity"),
}

#: What becomes of a failing row or value.
ACTIONS = {
    "quarantined": N_("row quarantined"), "merged": N_("row merged"), "removed": N_("value set to unknown"),
    "flagged": N_("kept and flagged"),
}

#: Reasons of rows that never were records.
NOT_RECORDS = {
    "total": N_("a total row"), "header": N_("a header repeated inside the file"), "ragged": N_("more cells than the header"),
    "later": N_("dated after the day asked for"),
}

MOBILE = r"^1[3-9]\d{9}$"
VIN = r"^[A-HJ-NPR-Z0-9]{17}$"
PLATE = (r"^[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新][A-HJ-NP-Z]"
         r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9学警港澳挂使领]|[A-K][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF])$")
RESIDENT_ID = r"^[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]$"
USCC = r"^[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"

#: Date columns that may well lie after the day of the export.
_MAY_LIE_AHEAD = {"warranty_ends_on", "finance_ends_on", "insurance_ends_on"}


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


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        table, name: together its id.
        columns: canonical columns it looks at; the first one's delivered text is the example.
        dimension: one of `DIMENSIONS`.
        severity: ``reject`` (quarantine or merge), ``warn`` or ``info`` (not in the scores).
        action: one of `ACTIONS`.
        message: what a failing row says, one translatable clause.
        failed: deferred expression, true where the row fails, null where the check does not apply.
        needs: helper columns of `context` without which the check cannot run.
        message_zh: the message in Chinese of a check of the dealer's own, which no catalogue translates; else empty.
    """

    table: str
    name: str
    columns: tuple[str, ...]
    dimension: str
    severity: str
    action: str
    message: str
    failed: Callable | ibis.Deferred
    needs: tuple[str, ...] = ()
    message_zh: str = ""

    @property
    def id(self) -> str:
        return f"{self.table}.{self.name}"

    def expression(self, base: ir.Table) -> ir.BooleanValue:
        """The failing condition on ``base``."""
        return self.failed.resolve(base) if isinstance(self.failed, ibis.Deferred) else self.failed(base)


def _weighed(weights: Sequence[int], number: Callable[[ir.IntegerValue], ir.IntegerValue]) -> ir.IntegerValue:
    """The sum of the numbers at places 0, 1, …, each times its weight."""
    # Not `map` with the place as its second argument: Ibis mixes up the places of two such lists in one query.
    weight = ibis.literal(list(weights), "array<int64>")
    return ibis.range(len(weights)).map(lambda place: number(place) * weight[place]).sums().cast("int32")


def resident_id_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a resident ID does not follow from the 17 before (GB 11643)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = _weighed(weights, lambda i: ibis.literal("0123456789").find(number.substr(i, 1)))
    return number.re_search(RESIDENT_ID).ifelse(ibis.literal("10X98765432").find(number.substr(17, 1)) != total % 11, ibis.null("boolean"))


def uscc_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a social credit code does not follow from the 17 before (GB 32100)."""
    letters = ibis.literal("0123456789ABCDEFGHJKLMNPQRTUWXY")
    total = _weighed([3**i % 31 for i in range(17)], lambda i: letters.find(number.substr(i, 1)))
    return letters.find(number.substr(17, 1)) != (31 - total % 31) % 31


def vin_digit_wrong(vin: ir.StringValue) -> ir.BooleanValue:
    """True where character 9 of a VIN does not follow from the others (mod 11); null for malformed VINs."""
    # A letter's number is the last digit of its place here.
    places = ibis.literal("0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ")
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = _weighed(weights, lambda i: places.find(vin.substr(i, 1)) % 10)
    return vin.re_search(VIN).ifelse(ibis.literal("0123456789X").find(vin.substr(8, 1)) != total % 11, ibis.null("boolean"))


def column_checks(table: Table, as_of: date, params: CheckParams) -> list[Check]:
    """The checks that follow from the declaration of each column."""
    checks = []
    for column in table.columns:
        checks += _completeness(table, column) + _legality(table, column, as_of, params) + _format(table, column)
        if column.lo is not None:
            checks.append(Check(table.name, f"{column.name}_in_range", (column.name,), "range", "warn", "removed",
                                N_("outside its allowed range"), lambda t, c=column: (t[c.name] < c.lo) | (t[c.name] > c.hi)))
        if column.ref:
            checks.append(Check(table.name, f"{column.name}_known", (column.name,), "reference", "warn", "flagged",
                                N_("refers to a record that is not there"), lambda t, c=column: t[c.name].notnull().ifelse(t[f"x_ref_{c.name}"].isnull(), ibis.null("boolean")), needs=(f"x_ref_{column.name}",)))
    return checks


def _completeness(table: Table, column: Column) -> list[Check]:
    missing = lambda t, n=column.name: text_of(t, table, n).isnull()  # noqa: E731
    if column.required:
        return [Check(table.name, f"{column.name}_present", (column.name,), "completeness", "reject", "quarantined", N_("a required value is missing"), missing)]
    if column.expected:
        return [Check(table.name, f"{column.name}_filled", (column.name,), "completeness", "warn", "flagged", N_("not filled in"), missing)]
    return []


def _legality(table: Table, column: Column, as_of: date, params: CheckParams) -> list[Check]:
    severity, action = ("reject", "quarantined") if column.required else ("warn", "removed")
    checks = []
    if column.type != "text":
        what = {"date": N_("not a date"), "time": N_("not a date"), "code": N_("not a known code"), "bool": N_("neither yes nor no")}.get(column.type, N_("not a number"))
        checks.append(Check(table.name, f"{column.name}_legal", (column.name,), "legality", severity, action, what,
                            lambda t, n=column.name: text_of(t, table, n).notnull().ifelse(t[n].isnull(), ibis.null("boolean"))))
    if column.type in ("date", "time"):
        checks.append(Check(table.name, f"{column.name}_not_too_early", (column.name,), "legality", severity, action, N_("a date too early to be true"),
                            lambda t, n=column.name, c=column: t[n].cast("date") < (ibis.date(1900, 1, 1) if c.personal == "birth" else ibis.literal(params.earliest_date))))
        if column.name not in _MAY_LIE_AHEAD:
            checks.append(Check(table.name, f"{column.name}_not_in_future", (column.name,), "legality", severity, action, N_("a date after the day of the export"),
                                lambda t, n=column.name: t[n].cast("date") > ibis.literal(as_of)))
    return checks


def _format(table: Table, column: Column) -> list[Check]:
    def check(name, message, failed, severity="warn", action="removed"):
        return Check(table.name, f"{column.name}_{name}", (column.name,), "legality", severity, action, message, lambda t: failed(t[column.name]))

    if column.format == "mobile":
        return [check("legal", N_("not a mobile number of 11 digits"), lambda v: ~v.re_search(MOBILE))]
    if column.format == "email":
        return [check("legal", N_("not an e-mail address"), lambda v: ~v.re_search(EMAIL))]
    if column.format == "plate":
        return [check("legal", N_("not a number plate"), lambda v: ~v.re_search(PLATE), action="flagged")]
    if column.format == "resident_id_or_uscc":
        return [Check(table.name, f"{column.name}_legal", (column.name,), "legality", "warn", "removed", N_("neither a resident ID nor a social credit code"),
                      lambda t, n=column.name: ibis.cases((t[n].isnull(), ibis.null("boolean")), (t[f"x_digit_{n}"].notnull(), t[f"x_digit_{n}"]),
                                                          (t[n].re_search(USCC), uscc_digit_wrong(t[n])), else_=True))]
    if column.format == "vin":
        strict = ("reject", "quarantined") if column.required else ("warn", "removed")
        return [check("legal", N_("not 17 characters of a VIN (no I, O, Q)"), lambda v: ~v.re_search(VIN), *strict),
                Check(table.name, f"{column.name}_check_digit", (column.name,), "legality", "warn", "flagged", N_("VIN check digit does not fit"),
                      lambda t: t[f"x_digit_{column.name}"], needs=(f"x_digit_{column.name}",))]
    return []


def key_checks(table: Table) -> list[Check]:
    """Repeated keys: the same content merges; other content merges for records and is quarantined for events."""
    key = table.key
    merges = _repeats if table.date is None else lambda t: _repeats(t, same=True)
    checks = [Check(table.name, "key_repeated", key, "duplication", "reject", "merged", N_("key repeated: the fullest row is kept"), merges)]
    if table.date is not None:
        checks.append(Check(table.name, "key_used_twice", key, "duplication", "reject", "quarantined",
                            N_("key used again for something else"), lambda t: _repeats(t, same=False)))
    return checks


def _repeats(t: ir.Table, same: bool | None = None) -> ir.BooleanValue:
    """Whether a row repeats the key of another that goes before it, and says (not) the ``same``."""
    if "x_repeats" not in t.columns:
        return ibis.literal(False)
    return t.x_repeats if same is None else t.x_repeats & (t.x_same if same else ~t.x_same)


def business_checks(params: CheckParams) -> list[Check]:
    """Checks of business sense over several columns or tables."""
    c, day = Check, lambda column: column.cast("date")
    return [
        c("customers", "birth_matches_id", ("birth_date", "id_number"), "consistency", "warn", "flagged", N_("birth date contradicts the ID number"),
          lambda t: _from_id(t, t.birth_date.strftime("%Y%m%d") != t.id_number.substr(6, 8))),
        c("customers", "gender_matches_id", ("gender", "id_number"), "consistency", "warn", "flagged", N_("sex contradicts the ID number"),
          lambda t: _from_id(t, (t.gender == "m") != (t.id_number.substr(16, 1).try_cast("int32") % 2 == 1))),
        c("customers", "similar_record", ("name", "phone"), "duplication", "warn", "flagged", N_("likely the same person as another record"), lambda t: t.x_key.notnull()),
        c("customers", "id_repeated", ("id_number",), "duplication", "warn", "flagged", N_("ID number on more than one record"), lambda t: t.id_number.notnull().ifelse(t.x_id_records > 1, ibis.null("boolean"))),
        c("customers", "phone_shared", ("phone",), "authenticity", "warn", "flagged", N_("phone on too many customers to be one's own"),
          lambda t: t.phone.notnull().ifelse(t.x_phone_records > params.max_customers_per_phone, ibis.null("boolean"))),
        c("customers", "phone_of_staff", ("phone",), "authenticity", "warn", "flagged", N_("phone belongs to staff"), lambda t: t.phone.notnull().ifelse(t.x_phone_of_staff.notnull(), ibis.null("boolean")), needs=("x_phone_of_staff",)),
        c("vehicles", "plate_fits_energy", ("plate", "energy_type"), "consistency", "warn", "flagged", N_("new-energy plate on a petrol car"),
          lambda t: (t.energy_type == "ice") & t.plate.re_search(PLATE) & (t.plate.length() == 8)),
        c("vehicles", "model_year_fits_purchase", ("model_year", "purchased_on"), "consistency", "warn", "flagged", N_("bought long before its model year"), lambda t: t.purchased_on.year() < t.model_year - 1),
        c("vehicles", "warranty_after_purchase", ("warranty_ends_on", "purchased_on"), "consistency", "warn", "flagged", N_("warranty ends before the purchase"), _.warranty_ends_on < _.purchased_on),
        c("vehicles", "insurance_stale", ("insurance_ends_on",), "timeliness", "warn", "flagged", N_("insurance date not kept up for over a year"), _.insurance_ends_on < _.x_year_ago),
        c("sales_orders", "ordered_before_delivered", ("ordered_on", "delivered_on"), "consistency", "warn", "flagged", N_("delivered before it was ordered"), _.delivered_on < _.ordered_on),
        c("sales_orders", "sold_after_birth", ("delivered_on", "customer_id"), "consistency", "warn", "flagged", N_("sold to somebody under 16"), lambda t: t.delivered_on.year() - t.x_birth_date.year() < 16, needs=("x_birth_date",)),
        c("service_orders", "settled_after_opened", ("settled_at", "opened_at"), "consistency", "warn", "flagged", N_("settled before it was opened"), lambda t: day(t.settled_at) < day(t.opened_at)),
        c("service_orders", "settled_in_time", ("settled_at", "opened_at"), "timeliness", "warn", "flagged", N_("still not settled after 30 days"), lambda t: (day(t.opened_at) < t.x_month_ago).ifelse(text_of(t, tables.table("service_orders"), "settled_at").isnull(), ibis.null("boolean"))),
        c("service_orders", "odometer_rolled_back", ("odometer_km", "vin"), "consistency", "warn", "flagged", N_("odometer lower than at an earlier visit"), lambda t: t.odometer_km < t.x_odometer_before - params.odometer_tolerance_km),
        c("service_orders", "total_adds_up", ("total_yuan", "labour_yuan", "parts_yuan", "discount_yuan"), "consistency", "warn", "flagged", N_("total is not labour + parts − discount"),
          lambda t: (t.total_yuan - (t.labour_yuan + t.parts_yuan - t.discount_yuan.coalesce(0))).abs() > params.total_tolerance_yuan),
        c("service_orders", "warranty_in_time", ("opened_at", "order_type"), "consistency", "warn", "flagged", N_("warranty order after the warranty ended"),
          lambda t: (t.order_type == "warranty").ifelse(day(t.opened_at) > t.x_warranty_ends_on, ibis.null("boolean")), needs=("x_warranty_ends_on",)),
        c("service_orders", "after_purchase", ("opened_at", "vin"), "consistency", "warn", "flagged", N_("visit before the car was sold"), lambda t: day(t.opened_at) < t.x_purchased_on, needs=("x_purchased_on",)),
        c("leads", "contacted_after_created", ("first_contact_at", "created_at"), "consistency", "warn", "flagged", N_("first contact before the lead came in"), _.first_contact_at < _.created_at),
        c("leads", "closed_after_created", ("closed_at", "created_at"), "consistency", "warn", "flagged", N_("closed before the lead came in"), _.closed_at < _.created_at),
        c("leads", "status_kept_up", ("status", "created_at"), "timeliness", "warn", "flagged", N_("open for over half a year without a result"),
          lambda t: (day(t.created_at) < t.x_half_year_ago).ifelse(t.status.isin(["new", "following"]), ibis.null("boolean"))),
        c("campaigns", "responded_after_assigned", ("responded_on", "assigned_on"), "consistency", "warn", "flagged", N_("responded before the campaign began"), _.responded_on < _.assigned_on),
    ]


def _names_alike(a: ir.StringValue, b: ir.StringValue) -> ir.BooleanValue:
    """True for spellings of one name: nearly the same letters, words in another order, surname with a title."""
    title = r"先生|女士|小姐|太太|\b(?:mr|mrs|ms|miss)\b\.?"
    ordered = [name.split(" ").sort().join("") for name in (a, b)]
    surname = [name.re_replace(title, "").strip() for name in (a, b)]
    titled = (a.re_search(title) & (surname[0] != "") & b.startswith(surname[0])) | (b.re_search(title) & (surname[1] != "") & a.startswith(surname[1]))
    return (jaro_winkler_similarity(a, b) >= 0.8) | (jaro_winkler_similarity(*ordered) >= 0.8) | titled


def _from_id(t: ir.Table, differs: ir.BooleanValue) -> ir.BooleanValue:
    return (~t.x_digit_id_number).ifelse(differs, ibis.null("boolean"))


def context(records: ir.Table, table: Table, parents: Parents, repeated: bool, as_of: date, params: CheckParams) -> ir.Table:
    """``records`` with what the checks of ``table`` look up: ranks of repeated keys, references to the parents' keys,
    values of the clean parents, windows over the same car or phone.

    Args:
        records: typed rows that are records.
        table: the declaration.
        parents: what was checked before.
        repeated: whether any key is there more than once.
        as_of: the day of which all is computed.
        params: limits of the checks.
    """
    base = _with_ranks(records, table) if repeated else records
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


def _with_ranks(records: ir.Table, table: Table) -> ir.Table:
    """Whether each row repeats the key of another, the fullest going first, whether it says the same as that, and where that is."""
    filled = records[TEXTS].filter(lambda text: text.notnull()).length()
    said = ibis.literal("").concat(*[records[c.name].cast("string").coalesce("") + "|" for c in table.columns if c.required or c.name == table.date])
    key = list(table.key)
    # Only rows whose key is there more than once are put in an order: they are few.
    slim = records.select(*dict.fromkeys([*key, *_PLACE]), filled=filled, said=said).drop_null(key)
    slim = slim.mutate(alike=_.count().over(group_by=key)).filter(_.alike > 1)
    ordered = ibis.window(group_by=key, order_by=[_.filled.desc(), "_file", "_row"])
    ranked = slim.select(*key, *_PLACE, x_repeats=ibis.row_number().over(ordered) > 0, x_same=_.said == _.said.first().over(ordered),
                         x_into_file=_["_file"].first().over(ordered), x_into_row=_["_row"].first().over(ordered))
    joined = _joined(records, ranked, [*key, *_PLACE])
    found = joined.select(*records.columns, "x_repeats", "x_same", "x_into_file", "x_into_row")
    return found.mutate(x_repeats=_.x_repeats.coalesce(False))


def key_repeats(records: dict[str, ir.Table]) -> set[str]:
    """The names of the tables, of these, in which a key may be there more than once."""
    counted = []
    for name, rows in records.items():
        parts = [rows[k] for k in tables.table(name).key]
        # Keys of several parts may look alike when joined: then ranks are made that find nothing.
        key = parts[0] if len(parts) == 1 else ibis.literal("").concat(*[part.cast("string") + "|" for part in parts])
        counted.append(rows.agg(repeats=key.count() - key.nunique()).mutate(table=ibis.literal(name)))
    seen = (ibis.union(*counted) if len(counted) > 1 else counted[0]).to_pandas()
    return set(seen.loc[seen["repeats"] > 0, "table"])


def check_digits(records: dict[str, ir.Table]) -> ir.Table:
    """Every well-formed VIN of the tables once, as ``x_vin``, and whether its check digit is wrong, as ``x_digit``:
    worked out once per car, and not once per visit."""
    vins = [rows.select(x_vin=rows[c.name]) for name, rows in records.items() for c in tables.table(name).columns if c.format == "vin"]
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
        cars = clean["vehicles"].select(x_car=_.vin, x_warranty_ends_on=_.warranty_ends_on, x_purchased_on=_.purchased_on)
        joined = joined.left_join(cars, base.vin == cars.x_car)
        found += ["x_warranty_ends_on", "x_purchased_on"]
    return joined, found


def _with_odometers(base: ir.Table, params: CheckParams, as_of: date) -> ir.Table:
    """``base`` with the odometer of the car's visit before, as ``x_odometer_before``."""
    # Visits with an impossible date, and repeats of a visit, say nothing about the one before.
    dated = base.opened_at.date().between(ibis.literal(params.earliest_date), ibis.literal(as_of)) & ~_repeats(base) & base.odometer_km.notnull()
    by = ["vin", *_PLACE]
    slim = base.filter(dated).select(*by, "opened_at", "odometer_km").drop_null("vin")
    visits = ibis.window(group_by="vin", order_by=["opened_at", "_file", "_row"])
    before = slim.select(*by, x_odometer_before=_.odometer_km.lag().over(visits))
    # A step of its own, so that what is joined later does not become one chain with this.
    return _joined(base, before, by).select(*base.columns, "x_odometer_before").mutate(x_odometer_before=_.x_odometer_before.cast("int64"))


def _with_customer_windows(base: ir.Table) -> ir.Table:
    """``base`` with how many records have the same phone, and the same ID number."""
    records = base.count(where=~_repeats(base))
    return base.mutate(x_phone_records=records.over(group_by="phone"), x_id_records=records.over(group_by="id_number"))


def _similar(base: ir.Table, params: CheckParams) -> ir.Table:
    """The ids of customers with a record beside theirs that has the same phone and a like name (column ``x_key``)."""
    few = ~_repeats(base) & base.phone.notnull() & base.name.notnull() & base.x_phone_records.between(2, params.max_customers_per_phone)
    # Records of different systems are meant to repeat; who is one person is for identity to say.
    some = base.filter(few).select("customer_id", "phone", "name", "_source")
    other = some.select(o_id=_.customer_id, o_phone=_.phone, o_name=_.name, o_source=_["_source"])
    pairs = some.join(other, (some.phone == other.o_phone) & (some["_source"] == other.o_source) & (some.customer_id != other.o_id)).filter(lambda t: _names_alike(t.name.lower(), t.o_name.lower()))
    return pairs.select(x_key=_.customer_id).distinct()


def built_in(table: Table, as_of: date, params: CheckParams) -> list[Check]:
    """All checks of ``table`` that come with the kit."""
    return column_checks(table, as_of, params) + key_checks(table) + [c for c in business_checks(params) if c.table == table.name]


def checks_for(table: Table, base: ir.Table, as_of: date, params: CheckParams, own: list[Check]) -> list[Check]:
    """All checks of ``table`` that ``base`` has the columns for, the dealer's own among them."""
    candidates = built_in(table, as_of, params) + [c for c in own if c.table == table.name]
    return [c for c in candidates if all(n in base.columns for n in c.needs)]
