"""When the next maintenance of a car is due: the one rule behind the factors of the cars held and the tags of a car."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from dealerkit.params import TagParams

#: Kilometres a year are told of a car from so many days on.
_ENOUGH_DAYS = 90


def followed(cars: ir.Table, tags: TagParams) -> ir.Table:
    """The cars with km_a_year (whole), since_km (km since the last maintenance, as expected on the day) and overdue_days (days
    past the next one; negative: still to come).

    It is due so many months after the last one or, if earlier, after so many kilometres. A car never maintained here is only
    followed when it was sold here, from its purchase: others may have been maintained where they were sold.

    Args:
        cars: one row per car (and day): origin (the day), purchased_on, sold_here, km and read_on (last reading),
            service_on and service_km (last maintenance).
        tags: after how many months and km a maintenance is due.
    """
    days = cars.read_on.delta(cars.purchased_on, unit="day")
    c = cars.mutate(
        km_a_year=(days >= _ENOUGH_DAYS).ifelse(
            (cars.km * 365.25 / days.nullif(0)).round(0).cast("int64"), ibis.null("int64")
        ),
        from_day=cars.service_on.coalesce(cars.sold_here.ifelse(cars.purchased_on, ibis.null("date"))),
        from_km=cars.service_on.notnull().ifelse(
            cars.service_km, cars.sold_here.ifelse(ibis.literal(0, "int64"), ibis.null("int64"))
        ),
    )
    since_read = c.origin.delta(c.read_on, unit="day")
    c = c.mutate(since_km=(c.km + c.km_a_year * since_read / 365.25 - c.from_km).round(0).cast("int64"))
    late_days = c.origin.delta(c.from_day, unit="day") - round(tags.service_months * 365 / 12)
    late_km = ((c.since_km - tags.service_km) * 365.25 / c.km_a_year.nullif(0)).round(0).cast("int64")
    return c.mutate(overdue_days=ibis.greatest(late_days, late_km)).drop("from_day", "from_km")
