"""Who can be reached: the one meaning of a usable phone, for what the audit prices and what the factors say of persons.

A phone is usable when it is a mobile number that is the customer's own: none of staff, and none on the records of more
customers than one phone can have. Gaps filled by the audit count. Whether somebody may be called for advertising is another
question (their consent).
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir
from ibis import _

from dealerkit.formats import DEAD_MOBILE, MOBILE
from dealerkit.params import CheckParams


def barred(clean: Mapping[str, ir.Table], checks: CheckParams) -> ir.Table:
    """Phones that are no customer's own (column phone): those of staff, and those on too many customers."""
    shared = clean["customers"].group_by("phone").agg(n=_.count())
    shared = shared.filter(shared.phone.notnull() & (shared.n > checks.max_customers_per_phone)).select("phone")
    if "staff" not in clean:
        return shared
    return shared.union(clean["staff"].filter(_.phone.notnull()).select("phone"))


def is_own(phone: ir.StringValue, nobodys: ir.Table) -> ir.BooleanValue:
    """Whether there is a phone, and it is none of those of `barred`. Clean phones are mobile numbers."""
    return phone.notnull() & ~(phone.isin(nobodys.phone).fill_null(False))


def reachable(clean: Mapping[str, ir.Table], checks: CheckParams) -> ir.BooleanColumn:
    """Of the clean customers: whether the record has a usable phone, the first or the second."""
    rows, nobodys = clean["customers"], barred(clean, checks)
    second = (rows.phone_alt.re_search(MOBILE) & ~(rows.phone_alt.re_search(DEAD_MOBILE))).fill_null(False)
    return is_own(rows.phone, nobodys) | (second & is_own(rows.phone_alt, nobodys))
