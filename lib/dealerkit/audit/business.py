"""Checks of business sense over several columns, rows or tables: what is well formed and still cannot be."""

# Declarations read as tables: one check, one line
# fmt: off
from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit import tables
from dealerkit.audit.kinds import Check
from dealerkit.audit.standard import text_of
from dealerkit.formats import PLATE
from dealerkit.messages import N_
from dealerkit.params import CheckParams


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


def _from_id(t: ir.Table, differs: ir.BooleanValue) -> ir.BooleanValue:
    return (~t.x_digit_id_number).ifelse(differs, ibis.null("boolean"))
