"""Checks of business sense over several columns, rows or tables: what is well formed and still cannot be."""

# Declarations read as tables: one check, one line.
# fmt: off
from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit.audit.kinds import Check
from dealerkit.audit.standard import text_of
from dealerkit.formats import DEAD_KM, DEAD_NAME, DEAD_PLATE, DEAD_YUAN, FIRM_NAME, PLATE, REGION, USCC
from dealerkit.messages import N_
from dealerkit.params import CheckParams

#: Birthdays that forms and imports fill in.
_DEAD_BIRTHS = tuple(date(year, 1, 1) for year in (1900, 1970, 1980, 1990, 2000))
#: Petrol and electric cars have had plates of their own since.
_GREEN_PLATES = date(2018, 1, 1)


def business_checks(params: CheckParams, as_of: date) -> list[Check]:
    """Checks of business sense, table by table.

    Args:
        params: limits.
        as_of: the day of which all is computed.
    """
    makers = (_customers, _vehicles, _contacts, _leads, _sales_orders, _service_orders, _service_lines, _interactions, _campaigns, _staff)
    return [check for make in makers for check in make(params, as_of)]


def _check(table, name, columns, dimension, message, failed, severity="warn", action="flagged", needs=()) -> Check:
    return Check(table, name, columns, dimension, severity, action, message, failed, needs)


def _when(applies: ir.BooleanValue, failed: ir.BooleanValue) -> ir.BooleanValue:
    """Null where the check does not apply; elsewhere an unknown is no failure."""
    return applies.fill_null(False).ifelse(failed.fill_null(False), ibis.null("boolean"))


def _day(column: ir.TimestampValue) -> ir.DateValue:
    return column.cast("date")


def _timed(column: ir.TimestampValue) -> ir.BooleanValue:
    """Whether a time of the day was delivered: exports of days alone stand at midnight."""
    return (column.hour() > 0) | (column.minute() > 0)


def _minutes(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.NumericValue:
    return (later.epoch_seconds() - earlier.epoch_seconds()) / 60


def _at_night(column: ir.TimestampValue, params: CheckParams) -> ir.BooleanValue:
    opens, closes = params.open_hours
    return (column.hour() < opens) | (column.hour() >= closes)


def _dead_name(name: ir.StringValue) -> ir.BooleanValue:
    return name.lower().replace(" ", "").re_search(DEAD_NAME)


def _legal_id(t: ir.Table, differs: ir.BooleanValue) -> ir.BooleanValue:
    """On rows whose resident ID has the right check digit."""
    return (~t.x_digit_id_number).ifelse(differs, ibis.null("boolean"))


def _customers(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("customers", *args, **more)

    youngest, oldest = as_of.year - params.min_age, as_of.year - params.max_age
    id_birth = lambda t: t.id_number.substr(6, 4).try_cast("int32")  # noqa: E731
    return [
        c("birth_matches_id", ("birth_date", "id_number"), "consistency", N_("birth date contradicts the ID number"), lambda t: _legal_id(t, t.birth_date.strftime("%Y%m%d") != t.id_number.substr(6, 8))),
        c("gender_matches_id", ("gender", "id_number"), "consistency", N_("sex contradicts the ID number"), lambda t: _legal_id(t, (t.gender == "m") != (t.id_number.substr(16, 1).try_cast("int32") % 2 == 1))),
        c("id_region_exists", ("id_number",), "legality", N_("ID number of a region that does not exist"), lambda t: _legal_id(t, ~t.id_number.re_search(REGION))),
        c("id_age_plausible", ("id_number",), "range", N_("an age by the ID number that no customer has"), lambda t: _legal_id(t, (id_birth(t) > youngest) | (id_birth(t) < oldest))),
        c("id_fits_type", ("id_number", "customer_type"), "consistency", N_("a person's ID number on a company, or the other way round"),
          lambda t: _when(t.customer_type.notnull() & t.id_number.notnull(), ibis.cases((t.x_digit_id_number.notnull(), t.customer_type == "company"), (t.id_number.re_search(USCC), t.customer_type == "person")))),
        c("age_plausible", ("birth_date",), "range", N_("an age that no customer has"), lambda t: (t.birth_date.year() > youngest) | (t.birth_date.year() < oldest)),
        c("birth_not_filler", ("birth_date", "id_number"), "authenticity", N_("a birthday that forms fill in"), lambda t: t.birth_date.isin(_DEAD_BIRTHS) & (t.id_number.isnull() | (t.birth_date.strftime("%Y%m%d") != t.id_number.substr(6, 8)))),
        c("name_real", ("name",), "authenticity", N_("a filler instead of a name"), lambda t: _dead_name(t.name), action="removed"),
        c("name_without_number", ("name",), "legality", N_("a phone or ID number inside the name"), lambda t: t.name.re_search(r"\d{7,}")),
        c("name_fits_type", ("name", "customer_type"), "consistency", N_("a company entered as a person"), lambda t: _when(t.customer_type == "person", t.name.lower().re_search(FIRM_NAME))),
        c("name_complete", ("name",), "completeness", N_("a surname with a title instead of the whole name"), lambda t: t.name.lower().re_search(r"^\S{1,2}(?:先生|女士|小姐|太太)$|^(?:mr|mrs|ms|miss)\.? \S+$"), severity="info"),
        c("similar_record", ("name", "phone"), "duplication", N_("likely the same person as another record"), lambda t: t.x_key.notnull()),
        c("id_repeated", ("id_number",), "duplication", N_("ID number on more than one record"), lambda t: _when(t.id_number.notnull(), t.x_id_records > 1)),
        c("email_shared", ("email",), "authenticity", N_("e-mail address on too many customers to be one's own"), lambda t: _when(t.email.notnull(), t.x_email_records > params.max_customers_per_phone)),
        c("phone_alt_differs", ("phone_alt", "phone"), "duplication", N_("the second phone is the first one again"), lambda t: t.phone_alt == t.phone, severity="info"),
        c("phone_shared", ("phone",), "authenticity", N_("phone on too many customers to be one's own"), lambda t: _when(t.phone.notnull(), t.x_phone_records > params.max_customers_per_phone)),
        c("phone_of_staff", ("phone",), "authenticity", N_("phone belongs to staff"), lambda t: _when(t.phone.notnull(), t.x_phone_of_staff.notnull()), needs=("x_phone_of_staff",)),
        c("consent_known", ("marketing_consent",), "completeness", N_("never asked for consent to marketing"), lambda t: text_of(t, "marketing_consent").isnull(), severity="info", needs=("given marketing_consent",)),
        c("seen_anywhere", ("customer_id",), "reference", N_("a customer of whom no other table knows"), lambda t: t.x_seen.isnull(), severity="info", needs=("x_seen",)),
    ]


def _vehicles(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("vehicles", *args, **more)

    low, high = params.price_of_list
    return [
        c("plate_fits_energy", ("plate", "energy_type"), "consistency", N_("new-energy plate on a petrol car"), lambda t: (t.energy_type == "ice") & t.plate.re_search(PLATE) & (t.plate.length() == 8)),
        c("plate_fits_electric", ("plate", "energy_type"), "consistency", N_("petrol plate on an electric car"), lambda t: _when(t.energy_type.isin(["bev", "phev"]) & (t.purchased_on >= _GREEN_PLATES), t.plate.re_search(PLATE) & (t.plate.length() == 7) & ~t.plate.re_search(r"[DF]$"))),
        c("plate_real", ("plate",), "authenticity", N_("a filler instead of a plate"), lambda t: t.plate.re_search(DEAD_PLATE)),
        c("plate_on_one_car", ("plate", "vin"), "duplication", N_("one plate on several cars at once"), lambda t: _when(t.plate.notnull() & t.disposed_on.isnull(), t.x_plate_cars > 1)),
        c("one_plate_at_once", ("plate", "vin"), "consistency", N_("one VIN under two plates at once"), lambda t: _when(t.x_repeats, t.plate != t.x_first_plate), needs=("x_first_plate",)),
        c("vin_real", ("vin",), "authenticity", N_("a filler instead of a VIN"), lambda t: t.x_dead_vin, needs=("x_dead_vin",)),
        c("model_year_fits_vin", ("model_year", "vin"), "consistency", N_("model year contradicts the VIN"), lambda t: ((t.model_year - t.x_year_vin + 31) % 30) > 2, needs=("x_year_vin",)),
        c("purchase_fits_vin", ("purchased_on", "vin"), "consistency", N_("bought years before the model year in the VIN"), lambda t: ((t.purchased_on.year() - t.x_year_vin + 30) % 30).between(20, 28), needs=("x_year_vin",)),
        c("model_year_fits_purchase", ("model_year", "purchased_on"), "consistency", N_("bought long before its model year"), lambda t: t.purchased_on.year() < t.model_year - 1),
        c("price_fits_list", ("purchase_price_yuan", "list_price_yuan"), "consistency", N_("purchase price far from the list price"), lambda t: _when(t.list_price_yuan > 0, ~t.purchase_price_yuan.cast("float64").between(low * t.list_price_yuan.cast("float64"), high * t.list_price_yuan.cast("float64")))),
        c("warranty_after_purchase", ("warranty_ends_on", "purchased_on"), "consistency", N_("warranty ends before the purchase"), _.warranty_ends_on < _.purchased_on),
        c("warranty_not_endless", ("warranty_ends_on", "purchased_on"), "range", N_("a warranty longer than any maker gives"), lambda t: t.warranty_ends_on.year() - t.purchased_on.year() > params.max_warranty_years),
        c("finance_after_purchase", ("finance_ends_on", "purchased_on"), "consistency", N_("finance ends before the purchase"), _.finance_ends_on < _.purchased_on),
        c("disposed_after_purchase", ("disposed_on", "purchased_on"), "consistency", N_("disposed of before the purchase"), _.disposed_on < _.purchased_on),
        c("insurance_stale", ("insurance_ends_on",), "timeliness", N_("insurance date not kept up for over a year"), _.insurance_ends_on < _.x_year_ago),
        c("odometer_read", ("odometer_km",), "authenticity", N_("an odometer typed in without looking"), lambda t: t.odometer_km.isin(DEAD_KM), action="removed"),
        c("cars_of_one_person", ("customer_id",), "authenticity", N_("too many cars for one person"), lambda t: _when(t.x_owner_type == "person", t.x_owner_cars > params.max_cars_per_person), needs=("x_owner_type",)),
        c("seen_anywhere", ("vin",), "reference", N_("a car of which no other table knows"), lambda t: t.x_seen.isnull(), severity="info", needs=("x_seen",)),
    ]


def _contacts(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("contacts", *args, **more)

    return [
        c("tied_to_somebody", ("customer_id", "vin"), "reference", N_("tied to no customer and no car"), lambda t: t.customer_id.isnull() & t.vin.isnull(), needs=("given customer_id",)),
        c("name_real", ("name",), "authenticity", N_("a filler instead of a name"), lambda t: _dead_name(t.name), action="removed"),
        c("phone_differs", ("phone", "customer_id"), "duplication", N_("the phone of the customer again"), lambda t: _when(t.role != "owner", t.phone == t.x_owner_phone), severity="info", needs=("x_owner_phone",)),
    ]


def _leads(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("leads", *args, **more)

    ended = lambda t: t.status.isin(["won", "lost"])  # noqa: E731
    is_open = lambda t: t.status.isin(["new", "following"])  # noqa: E731
    return [
        c("assigned_after_created", ("assigned_at", "created_at"), "consistency", N_("handed out before the lead came in"), _.assigned_at < _.created_at),
        c("contacted_after_created", ("first_contact_at", "created_at"), "consistency", N_("first contact before the lead came in"), _.first_contact_at < _.created_at),
        c("closed_after_created", ("closed_at", "created_at"), "consistency", N_("closed before the lead came in"), _.closed_at < _.created_at),
        c("recontacted_after_closed", ("recontacted_at", "closed_at"), "consistency", N_("called again before it was lost"), lambda t: _day(t.recontacted_at) < _day(t.closed_at)),
        c("closed_has_date", ("closed_at", "status"), "completeness", N_("won or lost without a date"), lambda t: _when(ended(t), text_of(t, "closed_at").isnull()), needs=("given closed_at",)),
        c("open_not_closed", ("status", "closed_at"), "consistency", N_("still open, yet with a date of closing"), lambda t: _when(is_open(t), t.closed_at.notnull())),
        c("new_not_contacted", ("status", "first_contact_at"), "consistency", N_("still new, yet contacted"), lambda t: _when(t.status == "new", t.first_contact_at.notnull())),
        c("lost_has_reason", ("lost_reason", "status"), "completeness", N_("lost without a reason"), lambda t: _when(t.status == "lost", t.lost_reason.isnull()), needs=("given lost_reason",)),
        c("won_has_sale", ("status", "lead_id"), "reference", N_("won, but no car was sold on it"), lambda t: _when(t.status == "won", t.x_sold.isnull()), needs=("x_sold",)),
        c("contacted_in_time", ("first_contact_at", "assigned_at"), "timeliness", N_("handed out and never called"), lambda t: _when(is_open(t) & (_day(t.assigned_at) < t.x_contact_limit), t.first_contact_at.isnull()), severity="info"),
        c("status_kept_up", ("status", "created_at"), "timeliness", N_("open for over half a year without a result"), lambda t: _when(_day(t.created_at) < t.x_half_year_ago, is_open(t))),
        c("typed_once", ("phone", "series"), "duplication", N_("the same phone asking for the same model line again within days"), lambda t: _when(t.phone.notnull(), _minutes(t.created_at, t.x_lead_before) <= params.same_lead_days * 1440)),
        c("phone_shared", ("phone",), "authenticity", N_("phone on too many leads to be a prospect's"), lambda t: _when(t.phone.notnull(), t.x_phone_leads > params.max_leads_per_phone)),
        c("phone_of_staff", ("phone",), "authenticity", N_("phone belongs to staff"), lambda t: _when(t.phone.notnull(), t.x_phone_of_staff.notnull()), needs=("x_phone_of_staff",)),
    ]


def _sales_orders(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("sales_orders", *args, **more)

    low, high = params.price_of_list
    listed = lambda t: (t.price_yuan + t.discount_yuan.coalesce(0)).cast("float64") / t.x_list_price_yuan.cast("float64").nullif(0)  # noqa: E731
    return [
        c("ordered_before_delivered", ("ordered_on", "delivered_on"), "consistency", N_("delivered before it was ordered"), _.delivered_on < _.ordered_on),
        c("delivered_in_time", ("delivered_on", "ordered_on"), "timeliness", N_("delivered over a year after the order"), lambda t: t.delivered_on.epoch_days() - t.ordered_on.epoch_days() > 365, severity="info"),
        c("sold_after_birth", ("delivered_on", "customer_id"), "consistency", N_("sold to somebody younger than any customer"), lambda t: t.delivered_on.year() - t.x_birth_date.year() < params.min_age, needs=("x_birth_date",)),
        c("discount_below_price", ("discount_yuan", "price_yuan"), "consistency", N_("discount above the price"), _.discount_yuan > _.price_yuan),
        c("price_not_zero", ("price_yuan",), "range", N_("a car sold for nothing"), _.price_yuan == 0),
        c("price_typed", ("price_yuan",), "authenticity", N_("an amount typed in without looking"), lambda t: t.price_yuan.isin(DEAD_YUAN)),
        c("price_fits_list", ("price_yuan", "vin"), "consistency", N_("price far from the list price"), lambda t: ~listed(t).between(low, high), needs=("x_list_price_yuan",)),
        c("vin_sold_once", ("vin",), "duplication", N_("one car sold new twice"), lambda t: _when(t.vin.notnull(), t.x_vin_sales > 1)),
        c("trade_in_is_another", ("trade_in_vin", "vin"), "consistency", N_("the car sold is its own trade-in"), _.trade_in_vin == _.vin),
        c("purchase_dates_agree", ("delivered_on", "vin"), "consistency", N_("sold on another day than the car's own record says"), lambda t: (t.delivered_on.epoch_days() - t.x_purchased_on.epoch_days()).abs() > params.purchase_tolerance_days, needs=("x_purchased_on",)),
    ]


def _service_orders(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("service_orders", *args, **more)

    gross = lambda t: t.labour_yuan + t.parts_yuan  # noqa: E731
    stay = lambda t: _minutes(t.settled_at, t.opened_at)  # noqa: E731
    both_timed = lambda t: _timed(t.opened_at) & _timed(t.settled_at)  # noqa: E731
    rose = lambda t: t.odometer_km - t.x_odometer_before  # noqa: E731
    off = params.total_tolerance_yuan
    return [
        c("settled_after_opened", ("settled_at", "opened_at"), "consistency", N_("settled before it was opened"), lambda t: _day(t.settled_at) < _day(t.opened_at)),
        c("settled_in_time", ("settled_at", "opened_at"), "timeliness", N_("still not settled after 30 days"), lambda t: _when(_day(t.opened_at) < t.x_month_ago, text_of(t, "settled_at").isnull())),
        c("stay_plausible", ("settled_at", "opened_at"), "consistency", N_("in the workshop for longer than any car"), lambda t: stay(t) > params.max_stay_days * 1440),
        c("stay_not_nothing", ("settled_at", "opened_at"), "authenticity", N_("settled in the minute in which it was opened"), lambda t: _when(both_timed(t) & (t.total_yuan > 0), t.settled_at == t.opened_at)),
        c("opened_by_day", ("opened_at",), "authenticity", N_("opened when the workshop is closed"), lambda t: _when(_timed(t.opened_at), _at_night(t.opened_at, params))),
        c("opened_one_by_one", ("opened_at", "adviser_id"), "authenticity", N_("many visits of one adviser in one minute"), lambda t: _when(_timed(t.opened_at) & t.adviser_id.notnull(), t.x_same_minute > params.max_rows_per_minute)),
        c("visit_typed_once", ("opened_at", "vin"), "duplication", N_("the same visit under another number"), lambda t: (t.opened_at == t.x_visit_before) & (t.total_yuan == t.x_total_before)),
        c("adviser_named", ("adviser_id",), "completeness", N_("no adviser named"), lambda t: t.adviser_id.isnull(), needs=("given adviser_id",)),
        c("odometer_rolled_back", ("odometer_km", "vin"), "consistency", N_("odometer lower than at an earlier visit"), lambda t: rose(t) < -params.odometer_tolerance_km),
        c("odometer_jumped", ("odometer_km", "vin"), "consistency", N_("more km since the visit before than anybody drives"), lambda t: rose(t) > params.max_km_per_day * (_minutes(t.opened_at, t.x_visit_before) / 1440 + 1)),
        c("odometer_moves", ("odometer_km", "vin"), "authenticity", N_("the same odometer at visit after visit"), lambda t: _when(t.odometer_km.notnull(), t.x_same_odometer.notnull())),
        c("odometer_read", ("odometer_km",), "authenticity", N_("an odometer typed in without looking"), lambda t: t.odometer_km.isin(DEAD_KM), action="removed"),
        c("total_adds_up", ("total_yuan", "labour_yuan", "parts_yuan", "discount_yuan"), "consistency", N_("total is not labour + parts − discount"), lambda t: (t.total_yuan - (gross(t) - t.discount_yuan.coalesce(0))).abs() > off),
        c("discount_below_gross", ("discount_yuan", "labour_yuan", "parts_yuan"), "consistency", N_("discount above labour and parts together"), lambda t: _when((t.labour_yuan >= 0) & (t.parts_yuan >= 0), t.discount_yuan > gross(t) + off)),
        c("total_typed", ("total_yuan",), "authenticity", N_("an amount typed in without looking"), lambda t: t.total_yuan.isin(DEAD_YUAN)),
        c("customer_paid", ("total_yuan", "payer_kind"), "consistency", N_("paid by the customer, but nothing was charged"), lambda t: _when((t.payer_kind == "customer") & t.total_yuan.notnull() & t.discount_yuan.coalesce(0).between(-off, off), t.total_yuan == 0)),
        c("warranty_not_paid", ("payer_kind", "order_type"), "consistency", N_("warranty or recall work charged to the customer"), lambda t: _when(t.order_type.isin(["warranty", "recall"]) & t.payer_kind.notnull(), (t.payer_kind == "customer") & (t.total_yuan > 0))),
        c("has_lines", ("order_id",), "reference", N_("charged without a single job or part"), lambda t: _when(gross(t) > 0, t.x_lines.isnull()), needs=("x_lines",)),
        c("labour_fits_lines", ("labour_yuan", "order_id"), "consistency", N_("labour is not the sum of its jobs"), lambda t: _when(t.x_lines_priced & (t.labour_yuan >= 0), (t.labour_yuan - t.x_lines_labour).abs() > off), needs=("x_lines",)),
        c("parts_fit_lines", ("parts_yuan", "order_id"), "consistency", N_("parts are not the sum of their lines"), lambda t: _when(t.x_lines_priced & (t.parts_yuan >= 0), (t.parts_yuan - t.x_lines_parts).abs() > off), needs=("x_lines",)),
        c("warranty_in_time", ("opened_at", "order_type"), "consistency", N_("warranty order after the warranty ended"), lambda t: (t.order_type == "warranty").ifelse(_day(t.opened_at) > t.x_warranty_ends_on, ibis.null("boolean")), needs=("x_warranty_ends_on",)),
        c("warranty_within_km", ("odometer_km", "order_type"), "consistency", N_("warranty order beyond the km of the warranty"), lambda t: _when((t.order_type == "warranty") & t.x_warranty_km.notnull(), t.odometer_km > t.x_warranty_km + params.warranty_tolerance_km), needs=("x_warranty_km",)),
        c("after_purchase", ("opened_at", "vin"), "consistency", N_("visit before the car was sold"), lambda t: _day(t.opened_at) < t.x_purchased_on, needs=("x_purchased_on",)),
        c("before_disposal", ("opened_at", "vin"), "consistency", N_("visit after the car was disposed of"), lambda t: _when(_day(t.opened_at) <= ibis.literal(as_of), _day(t.opened_at).epoch_days() > t.x_disposed_on.epoch_days() + 30), needs=("x_disposed_on",)),
        c("before_trade_in", ("opened_at", "vin"), "consistency", N_("visit of a car that was traded in"), lambda t: _when(t.x_traded_in_on.notnull(), _day(t.opened_at).epoch_days() > t.x_traded_in_on.epoch_days() + 30), severity="info", needs=("x_traded_in_on",)),
        c("phone_of_staff", ("phone",), "authenticity", N_("phone belongs to staff"), lambda t: _when(t.phone.notnull(), t.x_phone_of_staff.notnull()), needs=("x_phone_of_staff", "given phone")),
        c("plate_fits_car", ("plate", "vin"), "consistency", N_("another plate than the one on file"), lambda t: t.plate != t.x_plate, severity="info", needs=("x_plate", "given plate")),
        c("wait_within_stay", ("wait_minutes", "settled_at"), "consistency", N_("waited longer than the car was there"), lambda t: _when(both_timed(t) & (stay(t) >= 0), t.wait_minutes > stay(t) + 5)),
        c("comeback_has_visit", ("is_comeback", "vin"), "consistency", N_("a come-back without a visit before it"), lambda t: _when(t.is_comeback & t.odometer_km.notnull() & (_day(t.opened_at) > t.x_history_begins), t.x_visit_before.isnull() | (_minutes(t.opened_at, t.x_visit_before) > params.comeback_days * 1440))),
    ]


def _service_lines(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("service_lines", *args, **more)

    return [
        c("quantity_not_zero", ("quantity", "amount_yuan"), "consistency", N_("charged for a quantity of nothing"), lambda t: (t.quantity == 0) & (t.amount_yuan > 0)),
        c("item_coded", ("item_code",), "completeness", N_("a part without its number"), lambda t: _when(t.kind == "part", t.item_code.isnull()), severity="info", needs=("given item_code",)),
        c("amount_typed", ("amount_yuan",), "authenticity", N_("an amount typed in without looking"), lambda t: t.amount_yuan.isin(DEAD_YUAN)),
    ]


def _interactions(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("interactions", *args, **more)

    called = lambda t: t.kind.isin(["care_call", "survey", "campaign"])  # noqa: E731
    return [
        c("tied_to_somebody", ("customer_id", "lead_id"), "reference", N_("tied to no customer and no lead"), lambda t: t.customer_id.isnull() & t.lead_id.isnull()),
        c("score_has_survey", ("score", "kind"), "consistency", N_("a score without a survey"), lambda t: _when(t.score.notnull() & t.kind.notnull(), ~t.kind.isin(["survey", "care_call", "complaint"]))),
        c("survey_has_score", ("score", "kind"), "completeness", N_("a survey without a score"), lambda t: _when(t.kind == "survey", t.score.isnull()), severity="info", needs=("given score",)),
        c("phone_of_staff", ("phone", "kind"), "authenticity", N_("the number called belongs to staff"), lambda t: _when(t.phone.notnull(), t.x_phone_of_staff.notnull()), needs=("x_phone_of_staff", "given phone")),
        c("phone_of_one", ("phone", "kind"), "authenticity", N_("one number called for too many customers"), lambda t: _when(t.phone.notnull() & t.customer_id.notnull(), t.x_phone_customers > params.max_customers_per_phone), needs=("given phone",)),
        c("phone_on_file", ("phone", "customer_id"), "consistency", N_("another number called than the one on file"), lambda t: (t.phone != t.x_file_phone) & (t.x_file_phone_alt.isnull() | (t.phone != t.x_file_phone_alt)), severity="info", needs=("x_file_phone", "given phone")),
        c("survey_has_visit", ("at", "customer_id"), "authenticity", N_("a survey of somebody who was not here before it"), lambda t: _when((t.kind == "survey") & t.x_ref_customer_id.notnull() & (_day(t["at"]) > t.x_history_begins), t.x_visited.isnull()), needs=("x_visited", "x_ref_customer_id")),
        c("score_has_call", ("seconds", "score"), "authenticity", N_("a score from a call of a few seconds"), lambda t: _when(t.score.notnull(), t.seconds < 5)),
        c("called_by_day", ("at",), "authenticity", N_("called at night"), lambda t: _when(called(t) & _timed(t["at"]), _at_night(t["at"], params))),
        c("called_one_by_one", ("at", "staff_id"), "authenticity", N_("many calls of one employee in one minute"), lambda t: _when(called(t) & _timed(t["at"]) & t.staff_id.notnull(), t.x_same_minute > params.max_rows_per_minute)),
        c("complaint_has_text", ("text", "kind"), "completeness", N_("a complaint without a word on what it is about"), lambda t: _when(t.kind == "complaint", t.text.isnull()), severity="info", needs=("given text",)),
        c("text_own", ("text",), "authenticity", N_("the same complaint word for word"), lambda t: _when((t.kind == "complaint") & t.text.notnull(), t.x_same_text.notnull())),
    ]


def _campaigns(params: CheckParams, as_of: date) -> list[Check]:
    def c(*args, **more):
        return _check("campaigns", *args, **more)

    return [
        c("responded_after_assigned", ("responded_on", "assigned_on"), "consistency", N_("responded before the campaign began"), _.responded_on < _.assigned_on),
        c("control_costs_nothing", ("cost_yuan", "arm"), "consistency", N_("money spent on somebody of the control group"), lambda t: _when(t.arm == "control", t.cost_yuan > 0)),
        c("control_left_alone", ("arm", "customer_id"), "authenticity", N_("somebody of the control group was contacted for it"), lambda t: _when(t.arm == "control", t.x_contacted.notnull()), needs=("x_contacted",)),
        c("revenue_has_response", ("revenue_yuan", "responded_on"), "consistency", N_("revenue without a response"), lambda t: _when(t.revenue_yuan > 0, t.responded_on.isnull())),
        c("response_has_visit", ("responded_on", "customer_id"), "reference", N_("a response without a visit or purchase"), lambda t: _when(t.responded_on.notnull() & t.x_ref_customer_id.notnull(), t.x_came.isnull()), needs=("x_came", "x_ref_customer_id")),
    ]


def _staff(params: CheckParams, as_of: date) -> list[Check]:
    return [
        _check("staff", "phone_known", ("phone",), "completeness", N_("no phone on file, so that customers' numbers cannot be compared"), lambda t: t.phone.isnull(), severity="info", needs=("given phone",)),
        _check("staff", "phone_own", ("phone",), "duplication", N_("one phone for several employees"), lambda t: _when(t.phone.notnull(), t.x_phone_staff > 1)),
    ]
