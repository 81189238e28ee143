"""What happened to one person or one car, as rows that a time line can show.

An event: day, lane (before, sale, workshop, voice, contact), kind (for its mark), what (in words), detail (in words),
yuan, vin, tone (good, bad or plain).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pandas as pd

from dealerkit.chain.profiles.built import Built
from dealerkit.messages import N_

COLUMNS = ["day", "lane", "kind", "what", "detail", "yuan", "vin", "tone"]
#: Contacts that come before a sale, and those in which the customer says what they think.
_BEFORE = {"showroom_visit", "test_drive_booked", "test_drive", "deposit", "browse", "click", "rival_visit", "sign_up"}
_VOICE = {"complaint", "survey"}
#: Most jobs that are named of one visit.
_JOBS = 4


def joined(parts: Iterable[pd.DataFrame], as_of: date) -> pd.DataFrame:
    """All events up to the day, the latest first."""
    rows = [row for part in parts for row in part[COLUMNS].itertuples(index=False)]
    rows = up_to(pd.DataFrame(rows, columns=COLUMNS), as_of)
    return rows.sort_values(["day", "lane", "what", "detail"], ascending=[False, True, True, True], ignore_index=True)


def stacked(*frames: pd.DataFrame) -> pd.DataFrame:
    """The rows of all frames; one without rows or values has no say in the types of the columns."""
    rows = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    return rows.infer_objects()


def up_to(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Rows whose ``day`` is known and not after the day."""
    day = pd.to_datetime(rows["day"])
    return rows.assign(day=day)[day.notna() & (day <= pd.Timestamp(as_of))].reset_index(drop=True)


def visits_of(built: Built, numbers: list[str], cars: pd.DataFrame) -> pd.DataFrame:
    """Workshop orders that name the person, and those of their cars that name nobody, since the person has the car."""
    named = built.rows("service_orders", customer_id=numbers)
    of_cars = built.rows("service_orders", vin=cars["vin"].tolist())
    since = pd.to_datetime(of_cars["vin"].map(cars.drop_duplicates("vin").set_index("vin")["held_from"]))
    theirs = since.isna() | (pd.to_datetime(of_cars["opened_at"]) >= since)
    orders = stacked(named, of_cars[of_cars["customer_id"].isna() & theirs]).drop_duplicates("order_id")
    orders = orders.assign(day=pd.to_datetime(orders["opened_at"]).dt.normalize())
    return up_to(orders, built.as_of).sort_values(["opened_at", "order_id"], ignore_index=True)


def brought(built: Built, records: pd.DataFrame) -> pd.DataFrame:
    """Workshop orders on which the person brought a car of somebody else: those with the name and phone of such records."""
    orders = (
        built.rows("service_orders", order_id=[])
        if records.empty
        else built.rows("service_orders", phone=records["phone"])
    )
    orders = orders[orders["brought_by"].isin(records["name"].dropna()) | orders["brought_by"].isna()]
    return up_to(orders.assign(day=pd.to_datetime(orders["opened_at"]).dt.normalize()), built.as_of)


def _lines(built: Built, visits: pd.DataFrame) -> pd.DataFrame:
    """Jobs and parts of the visits, with day and car; status done where none is written."""
    lines = built.rows("service_lines", order_id=visits["order_id"].tolist())
    if lines.empty:
        return pd.DataFrame(columns=["order_id", "line_no", "item", "kind", "amount_yuan", "status", "day", "vin"])
    lines["status"] = lines["status"].fillna("done")
    lines["item"] = lines["item_name"].fillna(lines["item_code"])
    return lines.merge(visits[["order_id", "day", "vin"]], on="order_id", how="left").sort_values(
        ["order_id", "line_no"]
    )


def workshop(built: Built, visits: pd.DataFrame, t, holder: str | None = None) -> pd.DataFrame:
    """Visits as events: type of order; jobs, else fault; odometer; who brought the car, unless that is its holder; total."""
    lines = _lines(built, visits)
    done = lines[(lines["status"] == "done") & (lines["kind"] != "part")].groupby("order_id")["item"].agg(list)
    rows = []
    for v in visits.to_dict("records"):
        comeback = v.get("is_comeback") is True
        said = _jobs(done.get(v["order_id"]), t) or v["fault"]
        parts = [said, t.value(v["odometer_km"], "km") if pd.notna(v["odometer_km"]) else None]
        parts += (
            [t.say(N_("brought by {name:text}"), name=v["brought_by"])]
            if pd.notna(v["brought_by"]) and v["brought_by"] != holder
            else []
        )
        parts += [t.text(N_("come-back"))] if comeback else []
        what = (
            t.labels("service_orders", "order_type", v["order_type"])
            if pd.notna(v["order_type"])
            else t.text(N_("visit"))
        )
        rows.append(
            (
                v["day"],
                "workshop",
                v["order_type"],
                what,
                _said(parts),
                _float(v["total_yuan"]),
                v["vin"],
                "bad" if comeback else "plain",
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _jobs(items: list | None, t) -> str:
    names = [i for i in dict.fromkeys(items or []) if isinstance(i, str)]
    more = [t.say(N_("{n:count} more"), n=len(names) - _JOBS)] if len(names) > _JOBS else []
    return t.listed([*names[:_JOBS], *more])


def left_work(built: Built, visits: pd.DataFrame) -> pd.DataFrame:
    """Work declined or put off and not done since on the same car: day, vin, item, status, yuan; the latest first."""
    lines = _lines(built, visits)
    left = lines[lines["status"].isin(["declined", "postponed"])]
    done = lines[lines["status"] == "done"].groupby(["vin", "item"])["day"].max()
    since = pd.Series(
        [done.get((v, i)) for v, i in zip(left["vin"], left["item"], strict=True)],
        index=left.index,
        dtype="datetime64[ns]",
    )
    left = left[since.isna() | (since < left["day"])]
    left = left.sort_values("day").drop_duplicates(["vin", "item"], keep="last")
    left = left.assign(yuan=left["amount_yuan"].astype(float))
    return left.sort_values(["day", "item"], ascending=[False, True], ignore_index=True)[
        ["day", "vin", "item", "status", "yuan"]
    ]


def sales(built: Built, t, **among: list[str]) -> pd.DataFrame:
    """Cars bought, with the one that was traded in."""
    if not built.has("sales_orders"):
        return pd.DataFrame(columns=COLUMNS)
    orders = built.rows("sales_orders", **among)
    cars = built.rows("vehicles", vin=orders["vin"].tolist())
    series = cars.set_index("vin")["series"] if len(cars) else {}
    rows = []
    for s in orders.to_dict("records"):
        payment = t.labels("sales_orders", "payment", s["payment"]) if pd.notna(s["payment"]) else None
        traded = t.text(N_("with a trade-in")) if pd.notna(s["trade_in_vin"]) else None
        detail = _said([series.get(s["vin"]), payment, s["promotion"], traded])
        rows.append(
            (
                s["delivered_on"],
                "sale",
                "purchase",
                t.text(N_("car bought")),
                detail,
                _float(s["price_yuan"]),
                s["vin"],
                "good",
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def leads(built: Built, numbers: list[str], t) -> pd.DataFrame:
    """Sales leads, those that name no customer as well."""
    if not built.has("leads"):
        return pd.DataFrame(columns=COLUMNS)
    own = [n.removeprefix("lead:") for n in numbers if n.startswith("lead:")]
    found = stacked(built.rows("leads", customer_id=numbers), built.rows("leads", lead_id=own))
    rows = []
    for lead in found.drop_duplicates("lead_id").to_dict("records"):
        status = t.labels("leads", "status", lead["status"]) if pd.notna(lead["status"]) else None
        lost = lead["lost_reason"] if lead["status"] == "lost" else None
        detail = _said([lead["series"], lead["source"], status, lost])
        rows.append(
            (
                pd.Timestamp(lead["created_at"]).normalize(),
                "before",
                "lead",
                t.text(N_("sales lead")),
                detail,
                None,
                None,
                "plain",
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def contacts(built: Built, numbers: list[str], t) -> pd.DataFrame:
    """Calls, surveys, complaints, visits to the showroom and whatever else is a contact."""
    if not built.has("interactions"):
        return pd.DataFrame(columns=COLUMNS)
    found = built.rows("interactions", customer_id=numbers)
    own = [n.removeprefix("lead:") for n in numbers if n.startswith("lead:")]
    found = stacked(found, built.rows("interactions", lead_id=own)).drop_duplicates("interaction_id")
    rows = []
    for c in found.to_dict("records"):
        kind = c["kind"]
        lane = "before" if kind in _BEFORE else "voice" if kind in _VOICE else "contact"
        what = t.labels("interactions", "kind", kind) if pd.notna(kind) else t.text(N_("contact"))
        score = t.say(N_("{score:number} of 10"), score=c["score"]) if pd.notna(c["score"]) else None
        low = (
            kind == "complaint"
            or kind == "survey"
            and pd.notna(c["score"])
            and c["score"] <= built.params.classes.service_score
        )
        detail = _said([score, c["channel"], c["outcome"], c["text"]])
        rows.append(
            (pd.Timestamp(c["at"]).normalize(), lane, kind, what, detail, None, None, "bad" if low else "plain")
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def campaigns(built: Built, numbers: list[str], t) -> pd.DataFrame:
    """Campaigns they were chosen for, and their answers."""
    if not built.has("campaigns"):
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for c in built.rows("campaigns", customer_id=numbers).to_dict("records"):
        arm = t.labels("campaigns", "arm", c["arm"]) if pd.notna(c["arm"]) else None
        answer = t.say(N_("answered on {day:day}"), day=c["responded_on"]) if pd.notna(c["responded_on"]) else None
        detail = _said([c["campaign_id"], arm, answer])
        rows.append(
            (
                c["assigned_on"],
                "contact",
                "campaign",
                t.text(N_("campaign")),
                detail,
                _float(c["revenue_yuan"]),
                None,
                "plain",
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _said(parts: Iterable) -> str:
    return " · ".join(str(p) for p in parts if isinstance(p, str) and p.strip())


def _float(value) -> float | None:
    return None if pd.isna(value) else float(value)
