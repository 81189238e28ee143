"""What the workshop visits say, of persons and of cars. What is written on an order at its settlement is known from then."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from dealerkit.factors.declared import DAYS
from dealerkit.factors.events import count_if, days_between, ratio, sum_if, up_to

#: Columns of a workshop visit that are written when it is settled.
AT_SETTLEMENT = (
    "total_yuan",
    "labour_yuan",
    "parts_yuan",
    "discount_yuan",
    "payer_kind",
    "wait_minutes",
    "is_comeback",
)
#: Columns of a workshop visit of which the factors of persons and of cars are made.
_OF_A_VISIT = (*AT_SETTLEMENT, "settled_at", "order_type", "booked", "odometer_km", "day", "visit_no", "gap_days")
#: Further ones, of `with_habits`; the first is known from the settlement too.
_OF_HABITS = (
    "minutes_in",
    "weekend",
    "morning",
    "month_no",
    "same_adviser",
    "other_bringer",
    "adviser_id",
)
_OF_LINES = ("lines", "lines_declined", "hours_done")
_SOON_DAYS = 30


def settled_visits(visits: ir.Table, when: ir.Table, key: str, more: tuple[str, ...] = ()) -> ir.Table:
    """Visits × origins (`up_to`), with what is written at settlement only where the settlement lies before the origin."""
    v = up_to(visits.select(key, *_OF_A_VISIT, *more), when)
    settled = v.settled_at.isnull() | (v.settled_at.date() <= v.origin)
    late = [c for c in (*AT_SETTLEMENT, "minutes_in") if c in v.columns]
    return v.mutate(
        **{c: settled.ifelse(v[c], ibis.null(v[c].type())) for c in late},
        **{f"in_{months}m": v.ago < days for months, days in DAYS.items()},
    )


def visit_factors(visits: ir.Table, when: ir.Table, key: str) -> ir.Table:
    """What the visits say, by ``key`` (person or car) and origin, of those who came by then.

    Args:
        visits: orders as `events.in_order` numbers them by the same key.
        when: origins.
        key: column that tells whose visits they are.
    """
    v = settled_visits(visits, when, key)
    made = v.group_by([key, "origin"]).agg(**_added_up(v))
    return made.select(key, "origin", **_shares(made))


def person_visit_factors(visits: ir.Table, when: ir.Table) -> ir.Table:
    """`visit_factors` of persons, and what their habits say.

    Args:
        visits: of `with_habits`.
        when: origins.
    """
    lines = tuple(c for c in _OF_LINES if c in visits.columns)
    v = settled_visits(visits, when, "person_id", (*_OF_HABITS, *lines))
    sums = _added_up(v) | _habits_added_up(v) | (_lines_added_up(v) if lines else {})
    made = v.group_by(["person_id", "origin"]).agg(**sums)
    shares = _shares(made) | _habits(made) | (_of_lines(made) if lines else {})
    return made.select("person_id", "origin", **shares)


def with_habits(visits: ir.Table, clean: dict[str, ir.Table]) -> ir.Table:
    """The visits of persons with what each one says beside the one before it, and what its lines add up to."""
    before = ibis.window(group_by="person_id", order_by="visit_no")
    at, out = visits.opened_at, visits.settled_at
    # A day without a time stands at midnight.
    timed, timed_out = at != at.truncate("D"), out != out.truncate("D")
    minutes = (timed & timed_out).ifelse(out.delta(at, unit="minute"), days_between(out.date(), visits.day) * 1440)
    made = visits.mutate(
        minutes_in=(minutes >= 0).ifelse(minutes, ibis.null("int64")),
        weekend=at.day_of_week.index() >= 5,
        morning=timed.ifelse(at.hour() < 11, ibis.null("boolean")),
        month_no=at.month(),
        same_adviser=visits.adviser_id == visits.adviser_id.lag().over(before),
        other_bringer=visits.brought_by != visits.brought_by.lag().over(before),
    )
    if "service_lines" not in clean:
        return made
    lines = clean["service_lines"]
    left = lines.status.isin(["declined", "postponed"]).fill_null(False)
    # Added up as decimals, so that no order of addition shows.
    hours = left.ifelse(ibis.null("decimal(18,4)"), lines.hours.cast("decimal(18,4)"))
    summed = lines.group_by(l_order=lines.order_id).agg(
        lines=lines.count(), lines_declined=left.cast("int64").sum(), hours_done=hours.sum()
    )
    return made.left_join(summed, made.order_id == summed.l_order).drop("l_order")


def _added_up(v: ir.Table) -> dict[str, ir.Value]:
    """Counts and sums of the visits, of which the shares are made."""
    y1, y2 = v.in_12m, v.in_24m
    return {
        "visits_count_12m": count_if(y1),
        "visits_count_24m": count_if(y2),
        "visits_count_all": v.count(),
        "spend_yuan_12m": sum_if(y1, v.total_yuan),
        "spend_yuan_24m": sum_if(y2, v.total_yuan),
        "spend_yuan_all": v.total_yuan.sum(),
        "paid_24m": sum_if(y2 & (v.payer_kind == "customer"), v.total_yuan),
        "payer_known": count_if(y2 & v.payer_kind.notnull()),
        "discount_24m": sum_if(y2, v.discount_yuan),
        "parts_24m": sum_if(y2, v.parts_yuan),
        "labour_24m": sum_if(y2, v.labour_yuan),
        "recency_days": v.ago.min(),
        "first_visit_days_ago": v.ago.max(),
        "gap": v.gap_days.median(),
        "gaps": v.gap_days.count(),
        "maintenance": count_if(y2 & (v.order_type == "maintenance")),
        "repair": count_if(y2 & (v.order_type == "repair")),
        "accident_count_24m": count_if(y2 & (v.order_type == "accident")),
        "warranty_count_24m": count_if(y2 & v.order_type.isin(["warranty", "recall"])),
        "comebacks": count_if(y2 & v.is_comeback),
        "comeback_known": count_if(y2 & v.is_comeback.notnull()),
        "booked": count_if(y2 & v.booked),
        "booked_known": count_if(y2 & v.booked.notnull()),
        "wait_sum": sum_if(y1, v.wait_minutes),
        "wait_n": count_if(y1 & v.wait_minutes.notnull()),
        "odometer_km_last": v.odometer_km.max(),
        "odometer_read_on": v.odometer_km.notnull().ifelse(v.day, ibis.null("date")).max(),
        "services_count_all": count_if(v.order_type == "maintenance"),
        "last_was_maintenance": _last((v.order_type == "maintenance").cast("int64"), v),
    }


def _last(value: ir.Value, v: ir.Table) -> ir.Value:
    """The value at the last visit where it is known."""
    return value.argmax(value.notnull().ifelse(v.visit_no, ibis.null("int64")))


def _shares(made: ir.Table) -> dict[str, ir.Value]:
    """Factors of persons and cars from the counts and sums."""
    gap = (made.gaps >= 2).ifelse(made.gap, ibis.null("float64"))
    kept = (
        "visits_count_12m",
        "visits_count_24m",
        "visits_count_all",
        "recency_days",
        "first_visit_days_ago",
        "accident_count_24m",
        "warranty_count_24m",
        "odometer_km_last",
        "odometer_read_on",
        "services_count_all",
        "last_was_maintenance",
    )
    return {name: made[name] for name in kept} | {
        **{name: made[name].cast("float64") for name in ("spend_yuan_12m", "spend_yuan_24m", "spend_yuan_all")},
        "yuan_per_visit_24m": ratio(made.spend_yuan_24m, made.visits_count_24m),
        "customer_paid_share_24m": _of_paid(made, made.paid_24m),
        "discount_share_24m": ratio(made.discount_24m, made.spend_yuan_24m + made.discount_24m),
        "parts_share_24m": ratio(made.parts_24m, made.parts_24m + made.labour_24m),
        "visits_trend_ratio": ratio(made.visits_count_12m, made.visits_count_24m - made.visits_count_12m),
        "interval_days_median": gap,
        "own_rhythm_ratio": ratio(made.recency_days, gap),
        "maintenance_share_24m": ratio(made.maintenance, made.visits_count_24m),
        "repair_share_24m": ratio(made.repair, made.visits_count_24m),
        "comeback_share_24m": ratio(made.comebacks, made.comeback_known),
        "booked_share_24m": ratio(made.booked, made.booked_known),
        "wait_minutes_mean_12m": ratio(made.wait_sum, made.wait_n),
    }


def _of_paid(made: ir.Table, part: ir.Value) -> ir.Value:
    """Share of the spending of 24 months that one kind of payer paid; unknown where no payer is on record."""
    return (made.payer_known > 0).ifelse(ratio(part.coalesce(0), made.spend_yuan_24m), ibis.null("float64"))


def _habits_added_up(v: ir.Table) -> dict[str, ir.Value]:
    """What only persons are asked for: further windows, payers, days and hours, people met."""
    y1, y2, y3 = v.in_12m, v.in_24m, v.in_36m
    return {
        "visits_count_3m": count_if(v.in_3m),
        "visits_count_6m": count_if(v.in_6m),
        "visits_count_36m": count_if(y3),
        "spend_yuan_6m": sum_if(v.in_6m, v.total_yuan),
        "spend_yuan_last": _last(v.total_yuan, v),
        "insured_24m": sum_if(y2 & (v.payer_kind == "insurer"), v.total_yuan),
        "warranted_24m": sum_if(y2 & (v.payer_kind == "warranty"), v.total_yuan),
        "discounted": count_if(y2 & (v.discount_yuan > 0)),
        "discount_known": count_if(y2 & v.discount_yuan.notnull()),
        "order_kinds_count_24m": v.order_type.nunique(where=y2),
        "accessory_count_24m": count_if(y2 & (v.order_type == "accessory")),
        "weekends": count_if(y2 & v.weekend),
        "mornings": count_if(y2 & v.morning),
        "morning_known": count_if(y2 & v.morning.notnull()),
        "winters": count_if(y3 & v.month_no.isin([12, 1, 2])),
        "summers": count_if(y3 & v.month_no.isin([6, 7, 8])),
        "interval_days_last": _last(v.gap_days, v),
        "interval_days_max": v.gap_days.max(),
        "gap_sum": v.gap_days.sum(),
        "gap_squares": (v.gap_days * v.gap_days).sum(),
        "maintenance_days_ago": (v.order_type == "maintenance").ifelse(v.ago, ibis.null("int64")).min(),
        "maintenance_count_12m": count_if(y1 & (v.order_type == "maintenance")),
        "repair_count_12m": count_if(y1 & (v.order_type == "repair")),
        "inspection_count_24m": count_if(y2 & (v.order_type == "inspection")),
        "accident_yuan_24m": sum_if(y2 & (v.order_type == "accident"), v.total_yuan),
        "soon": count_if(y2 & (v.gap_days <= _SOON_DAYS)),
        "minutes_sum": sum_if(y2, v.minutes_in),
        "minutes_n": count_if(y2 & v.minutes_in.notnull()),
        "advisers_count_24m": v.adviser_id.nunique(where=y2),
        "same_adviser": count_if(y2 & v.same_adviser),
        "same_adviser_known": count_if(y2 & v.same_adviser.notnull()),
        "other_bringer": count_if(y2 & v.other_bringer),
        "other_bringer_known": count_if(y2 & v.other_bringer.notnull()),
    }


def _habits(made: ir.Table) -> dict[str, ir.Value]:
    kept = (
        "visits_count_3m",
        "visits_count_6m",
        "visits_count_36m",
        "order_kinds_count_24m",
        "accessory_count_24m",
        "interval_days_last",
        "interval_days_max",
        "maintenance_days_ago",
        "maintenance_count_12m",
        "repair_count_12m",
        "inspection_count_24m",
    )
    yuan = ("spend_yuan_6m", "spend_yuan_last", "accident_yuan_24m")
    years = made.first_visit_days_ago.cast("float64") / 365.25
    enough = made.gaps >= 3
    # Variance of the gaps from whole numbers, so that no order of addition shows.
    spread = made.gaps * made.gap_squares - made.gap_sum * made.gap_sum
    variation = (enough & (made.gap_sum > 0)).ifelse(
        (spread.cast("float64").sqrt() / made.gap_sum.cast("float64").nullif(0)).round(9), ibis.null("float64")
    )
    earlier = made.spend_yuan_24m - made.spend_yuan_12m.coalesce(0)
    return {name: made[name] for name in kept} | {
        **{name: made[name].cast("float64") for name in yuan},
        "insurer_paid_share_24m": _of_paid(made, made.insured_24m),
        "warranty_paid_share_24m": _of_paid(made, made.warranted_24m),
        "discounted_visits_share_24m": ratio(made.discounted, made.discount_known),
        "spend_trend_ratio": ratio(made.spend_yuan_12m.coalesce(0), earlier),
        "weekend_share_24m": ratio(made.weekends, made.visits_count_24m),
        "morning_share_24m": ratio(made.mornings, made.morning_known),
        "winter_share_36m": ratio(made.winters, made.visits_count_36m),
        "summer_share_36m": ratio(made.summers, made.visits_count_36m),
        "interval_variation_ratio": variation,
        "visits_count_per_year": (years >= 0.5).ifelse((made.visits_count_all / years).round(9), ibis.null("float64")),
        "repeat_visit_share_24m": ratio(made.soon, made.visits_count_24m),
        "settle_hours_mean_24m": ratio(made.minutes_sum, made.minutes_n * 60),
        # Nobody who was met is named: unknown, not none.
        "advisers_count_24m": made.advisers_count_24m.nullif(0),
        "same_adviser_share_24m": ratio(made.same_adviser, made.same_adviser_known),
        "other_bringer_share_24m": ratio(made.other_bringer, made.other_bringer_known),
    }


def _lines_added_up(v: ir.Table) -> dict[str, ir.Value]:
    y2 = v.in_24m
    return {
        "lines_24m": sum_if(y2, v.lines),
        "lines_declined_24m": sum_if(y2, v.lines_declined),
        "hours_24m": sum_if(y2, v.hours_done),
    }


def _of_lines(made: ir.Table) -> dict[str, ir.Value]:
    return {
        "labour_hours_24m": made.hours_24m.cast("float64"),
        "declined_share_24m": ratio(made.lines_declined_24m, made.lines_24m),
    }
