"""What purchases, declined jobs, contacts, campaigns and leads say of a person."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit.factors.declared import DAYS
from dealerkit.factors.events import beside, count_if, days_between, of_persons, ratio, sum_if, up_to
from dealerkit.params import TagParams

_M3, _M12, _M24 = DAYS[3], DAYS[12], DAYS[24]
#: Signs of interest in a car among the kinds of interactions.
INTEREST = ("showroom_visit", "test_drive_booked", "test_drive", "rival_visit", "deposit")
#: Contacts over a screen.
DIGITAL = ("app", "browse", "click", "forum_post", "comment")


def declined_factors(clean: dict[str, ir.Table], visits: ir.Table, when: ir.Table) -> ir.Table:
    """Jobs and parts that were declined or put off, and whether they were done on the same car later."""
    lines = clean["service_lines"].mutate(item=_.item_code.coalesce(_.item_name))
    mine = visits.select("person_id", "order_id", "vin", "day")
    lines = lines.select("order_id", "line_no", "item", "amount_yuan", "status").inner_join(mine, "order_id")
    left = lines.filter(_.status.isin(["declined", "postponed"])).drop("status")
    done = lines.filter(_.status.isnull() | (_.status == "done"))
    done = done.select("vin", "item", done_day=done.day)
    later = left.inner_join(done, ["vin", "item"])
    later = later.filter(later.done_day > later.day)
    later = later.group_by(["order_id", "line_no"]).agg(done_on=later.done_day.min())
    d = up_to(beside(left, ["order_id", "line_no"], later), when)
    y1, y2 = d.ago < _M12, d.ago < _M24
    back = (d.done_on <= d.origin).fill_null(False)
    made = d.group_by(["person_id", "origin"]).agg(
        declined_count_12m=count_if(y1),
        declined_yuan_12m=sum_if(y1, d.amount_yuan),
        open_yuan=sum_if(y2 & ~back, d.amount_yuan),
        back=count_if(y2 & back),
        left_out=count_if(y2),
    )
    return made.select(
        "person_id",
        "origin",
        "declined_count_12m",
        declined_yuan_12m=made.declined_yuan_12m.cast("float64"),
        declined_open_yuan_24m=made.open_yuan.cast("float64"),
        declined_back_share_24m=ratio(made.back, made.left_out),
    )


def sales_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    """Cars bought here; ``first_bought_days_ago`` is for `days_to_first_visit`."""
    sales = of_persons(clean, "sales_orders", who)
    s = up_to(
        sales.select(
            "person_id",
            "price_yuan",
            "discount_yuan",
            "accessories_yuan",
            "trade_in_vin",
            "payment",
            "promotion",
            "day",
        ),
        when,
    )
    priced = s.price_yuan.notnull()
    made = s.group_by(["person_id", "origin"]).agg(
        purchases_count_all=s.count(),
        purchase_yuan_all=s.price_yuan.sum(),
        purchase_accessories_yuan_all=s.accessories_yuan.sum(),
        trade_ins_count_all=count_if(s.trade_in_vin.notnull()),
        purchase_days_ago=s.ago.min(),
        first_bought_days_ago=s.ago.max(),
        off=sum_if(priced, s.discount_yuan.fill_null(0)),
        credit=count_if(s.payment.isin(["loan", "lease"])),
        payment_known=count_if(s.payment.notnull()),
        promoted=count_if(s.promotion.notnull()),
    )
    gaps = made.purchases_count_all - 1
    return made.select(
        "person_id",
        "origin",
        "purchases_count_all",
        "trade_ins_count_all",
        "purchase_days_ago",
        "first_bought_days_ago",
        purchase_yuan_all=made.purchase_yuan_all.cast("float64"),
        purchase_accessories_yuan_all=made.purchase_accessories_yuan_all.cast("float64"),
        purchase_interval_days_mean=ratio(made.first_bought_days_ago - made.purchase_days_ago, gaps),
        purchase_discount_share_all=ratio(made.off, made.purchase_yuan_all + made.off),
        credit_purchase_share_all=ratio(made.credit, made.payment_known),
        promotion_share_all=ratio(made.promoted, made.purchases_count_all),
    )


def contact_factors(
    clean: dict[str, ir.Table], who: ir.Table, when: ir.Table, as_of: date, tags: TagParams
) -> ir.Table:
    """Interactions of a person, also those made as a lead."""
    met = of_persons(clean, "interactions", who)
    order = ibis.window(group_by="person_id", order_by=["at", "interaction_id"])
    scored = (met.kind == "survey") & met.score.notnull()
    surveys = ibis.window(group_by=["person_id", scored], order_by=["at", "interaction_id"])
    met = met.mutate(
        contact_no=ibis.row_number().over(order),
        survey=scored,
        # Of surveys alone; other contacts stand in a window of their own.
        change=scored.ifelse(met.score - met.score.lag().over(surveys), ibis.null("float64")),
        open=(met.kind == "complaint") & met.outcome.lower().isin([said.lower() for said in tags.open_outcomes]),
    )
    kept = ("kind", "score", "day", "channel", "seconds", "contact_no", "survey", "change", "open")
    i = up_to(met.select("person_id", *kept), when)
    made = i.group_by(["person_id", "origin"]).agg(**_contacts_added_up(i, as_of))
    return made.mutate(
        survey_score_mean_24m=ratio(made.scores, made.surveys_count_24m),
        call_seconds_mean_12m=ratio(made.seconds_sum, made.seconds_n),
    ).drop("scores", "seconds_sum", "seconds_n")


def _contacts_added_up(i: ir.Table, as_of: date) -> dict[str, ir.Value]:
    y1, y2 = i.ago < _M12, i.ago < _M24
    complaint, nothing = i.kind == "complaint", ibis.null("int64")
    survey_no = i.survey.ifelse(i.contact_no, nothing)
    counted = {
        "contacts_count_3m": i.ago < _M3,
        "contacts_count_12m": y1,
        "care_calls_count_12m": y1 & (i.kind == "care_call"),
        "enquiries_count_12m": y1 & (i.kind == "enquiry"),
        "complaints_count_12m": y1 & complaint,
        "complaints_count_all": complaint,
        "surveys_count_24m": y2 & i.survey,
        "digital_count_12m": y1 & i.kind.isin(DIGITAL),
        "events_count_24m": y2 & i.kind.isin(["event", "sign_up"]),
        "showroom_visits_count_12m": y1 & (i.kind == "showroom_visit"),
        "test_drives_count_12m": y1 & i.kind.isin(["test_drive", "test_drive_booked"]),
        "rival_visits_count_24m": y2 & (i.kind == "rival_visit"),
        "seconds_n": y1 & i.seconds.notnull(),
    }
    # How a complaint ended is only known at delivery.
    now = i.origin == ibis.literal(as_of)
    return {name: count_if(condition) for name, condition in counted.items()} | {
        "contact_days_ago": i.ago.min(),
        "complaint_days_ago": complaint.ifelse(i.ago, nothing).min(),
        "interest_days_ago": i.kind.isin(INTEREST).ifelse(i.ago, nothing).min(),
        "complaints_open_count": now.ifelse(i.open.fill_null(False).cast("int64"), nothing).sum(),
        "survey_score_last": i.score.argmax(survey_no),
        "survey_score_trend": i.change.argmax(i.change.notnull().ifelse(survey_no, nothing)),
        "scores": sum_if(i.survey & y2, i.score.cast("decimal(18,4)")),
        "seconds_sum": sum_if(y1, i.seconds),
        "channels_count_12m": i.channel.nunique(where=y1),
        "contact_channel_last": i.channel.argmax(i.channel.notnull().ifelse(i.contact_no, nothing)),
    }


def campaign_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    """Campaigns that a person was treated in, and the responses."""
    sent = of_persons(clean, "campaigns", who).filter(_.arm != "control")
    c = up_to(sent.select("person_id", "responded_on", "revenue_yuan", "day"), when)
    y2 = c.ago < _M24
    answered = y2 & c.responded_on.notnull() & (c.responded_on <= c.origin)
    wait = days_between(c.responded_on, c.day)
    made = c.group_by(["person_id", "origin"]).agg(
        campaigns_count_12m=count_if(c.ago < _M12),
        campaign_days_ago=c.ago.min(),
        answers=count_if(answered),
        waited=sum_if(answered, wait),
        brought=sum_if(answered, c.revenue_yuan),
        sent=count_if(y2),
    )
    return made.select(
        "person_id",
        "origin",
        "campaigns_count_12m",
        "campaign_days_ago",
        campaign_response_share_24m=ratio(made.answers, made.sent),
        campaign_response_days_mean_24m=ratio(made.waited, made.answers),
        campaign_yuan_24m=made.brought.cast("float64"),
    )


def lead_factors(clean: dict[str, ir.Table], who: ir.Table, when: ir.Table) -> ir.Table:
    """Sales leads of a person."""
    leads = of_persons(clean, "leads", who)
    order = ibis.window(group_by="person_id", order_by=["created_at", "lead_id"])
    minutes = leads.first_contact_at.delta(leads.created_at, unit="minute")
    d = up_to(
        leads.select(
            "person_id",
            "day",
            "source",
            "first_contact_at",
            "closed_at",
            "lost_reason",
            minutes=(minutes >= 0).ifelse(minutes, ibis.null("int64")),
            lead_no=ibis.row_number().over(order),
        ),
        when,
    )
    y2 = d.ago < _M24
    called = y2 & (d.first_contact_at.date() <= d.origin) & d.minutes.notnull()
    closed = (d.closed_at.date() <= d.origin).fill_null(False)
    made = d.group_by(["person_id", "origin"]).agg(
        leads_count_24m=count_if(y2),
        lead_days_ago=d.ago.min(),
        leads_open_count=count_if(~closed),
        leads_lost_count_24m=count_if(y2 & closed & d.lost_reason.notnull()),
        minutes=sum_if(called, d.minutes),
        called=count_if(called),
        lead_source_last=d.source.argmax(d.source.notnull().ifelse(d.lead_no, ibis.null("int64"))),
    )
    return made.mutate(lead_contact_hours_mean_24m=ratio(made.minutes, made.called * 60)).drop("minutes", "called")
