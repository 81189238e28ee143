"""Leads and their events, calls, surveys, complaints, contact persons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.people import AS_OF
from dealerkit.demo.workshop import DAY

LEAD_EVENTS = (
    "browse",
    "click",
    "app",
    "comment",
    "forum_post",
    "sign_up",
    "event",
    "showroom_visit",
    "test_drive_booked",
    "test_drive",
    "rival_visit",
    "deposit",
    "handover",
)
#: Mean number of each event on a lead that is lost and on one that is won.
EVENT_MEANS = {
    "lost": (0.55, 0.3, 0.15, 0.1, 0.06, 0.1, 0.06, 0.3, 0.12, 0.09, 0.22, 0, 0),
    "won": (1.1, 0.6, 0.4, 0.15, 0.12, 0.25, 0.2, 1.2, 0.55, 0.5, 0.1, 0.7, 1),
}
EVENT_CHANNELS = (
    "web",
    "web",
    "app",
    "app",
    "web",
    "web",
    "store",
    "store",
    "phone",
    "store",
    "store",
    "store",
    "store",
)


def make_contacts(
    rng: np.random.Generator, persons: pd.DataFrame, spells: pd.DataFrame, shift: int, lang: str
) -> pd.DataFrame:
    """Drivers and payers of companies' cars, household members of persons; ``spell`` is the car they belong to."""
    p = persons.reindex(spells["person"]).reset_index(drop=True)
    company = p["company"].to_numpy(dtype=bool)
    chance = np.where(company, 0.75, 0.16)
    chosen = np.flatnonzero(rng.random(len(spells)) < chance)
    n = len(chosen)
    who = company[chosen]
    role = np.where(
        who,
        np.where(rng.random(n) < 0.7, "driver", "payer"),
        np.where(rng.random(n) < 0.6, "household", np.where(rng.random(n) < 0.6, "driver", "owner")),
    )
    other = rng.integers(0, len(persons), n)
    surname = np.where(
        (role == "household") & (rng.random(n) < 0.5),
        p["surname"].to_numpy()[chosen],
        persons["surname"].to_numpy()[other],
    )
    name = (
        surname
        + ("" if lang == "zh" else " ")
        + persons["given"].to_numpy()[rng.permutation(len(persons))[other % len(persons)]]
    )
    phone = ids.mobiles(4 * spells["car"].to_numpy()[chosen] + 2, shift)
    own = role == "owner"
    return pd.DataFrame(
        {
            "person": spells["person"].to_numpy()[chosen],
            "spell": chosen,
            "vin": spells["vin"].to_numpy()[chosen],
            "role": role,
            "name": np.where(own, p["name"].to_numpy()[chosen], name),
            "phone": np.where(own, p["phone"].to_numpy()[chosen], phone),
        }
    )


def make_leads(
    rng: np.random.Generator,
    sales: pd.DataFrame,
    persons: pd.DataFrame,
    staff: pd.DataFrame,
    first: int,
    shift: int,
    lang: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(leads, events) of the last three years; won leads point at a row of ``sales`` in column ``sale``."""
    recent = sales.index[(sales["delivered"] > AS_OF - 1050).to_numpy() & (rng.random(len(sales)) < 0.7)].to_numpy()
    won, other = len(recent), int(len(recent) * 2.4) + 3
    n = won + other
    known = np.concatenate([np.ones(won, dtype=bool), rng.random(other) < 0.22])
    prospects = persons.index[persons["prospect"]].to_numpy()
    person = np.concatenate([sales.loc[recent, "person"].to_numpy(), rng.choice(persons.index.to_numpy(), other)])
    is_won = np.arange(n) < won
    late = np.flatnonzero(~is_won)[: len(prospects)]
    person[late], known[late] = prospects[: len(late)], True
    maker = rng.random(n) < 0.55
    ordered = np.concatenate([sales.loc[recent, "ordered"].to_numpy(), np.zeros(other)])
    course = _course(rng, ordered, is_won, maker)
    lines = words.pick([ln["name"] for ln in words.LINES], lang)
    sellers = staff.loc[staff["kind"] == "sales", "staff_id"].to_numpy()
    leads = pd.DataFrame(
        {
            "person": person,
            "known": known,
            "sale": np.concatenate([recent, np.full(other, -1)]),
            "phone": np.where(
                known,
                persons["phone"].reindex(person).to_numpy(),
                ids.mobiles(4 * ((first + np.arange(n)) % 10_000_000) + 3, shift),
            ),
            "source": words.pick(words.CHANNELS, lang)[rng.choice(7, n, p=[0.22, 0.2, 0.1, 0.08, 0.25, 0.1, 0.05])],
            "desk": np.where(maker, "maker", "store"),
            "series": lines[
                np.concatenate([sales.loc[recent, "line"].to_numpy(), rng.integers(0, 6, other)]).astype(int)
            ],
            "purchase_purpose": np.where(
                rng.random(n) < 0.7, words.pick(words.PURPOSES, lang)[rng.integers(0, 5, n)], None
            ),
            "lost_reason": np.where(
                course["status"] == "lost", words.pick(words.LOST_REASONS, lang)[rng.integers(0, 5, n)], None
            ),
            "salesperson_id": np.where(course["assigned"] < 0, None, sellers[rng.integers(0, len(sellers), n)]),
        }
    )
    leads = leads.assign(**course)
    order = np.argsort(leads["created"].to_numpy(), kind="stable")
    leads = leads.iloc[order].reset_index(drop=True)
    return leads, _lead_events(rng, leads, lang)


def _course(
    rng: np.random.Generator, ordered: np.ndarray, is_won: np.ndarray, maker: np.ndarray
) -> dict[str, np.ndarray]:
    """When each lead came in, was handed out, called, closed, called again (minutes, −1: not yet), and its status."""
    n = len(ordered)
    created = np.where(
        is_won,
        ordered - rng.gamma(2, 9, n),
        AS_OF - rng.random(n) * 1090,
    )
    created_min = (created * DAY).astype(np.int64)
    delay = np.where(maker, rng.exponential(190, n), rng.exponential(25, n)).astype(int) + 2
    assigned = created_min + delay
    contact = assigned + (rng.lognormal(4.2, 1.5, n)).astype(int) + 1
    status = np.where(is_won, "won", rng.choice(["lost", "following", "new", "invalid"], n, p=[0.72, 0.14, 0.06, 0.08]))
    status = np.where((~is_won) & (created < AS_OF - 180) & np.isin(status, ["following", "new"]), "lost", status)
    closed = np.where(
        is_won,
        ordered * DAY + 900,
        contact + rng.gamma(2, 14, n) * DAY,
    ).astype(np.int64)
    now = (AS_OF + 1) * DAY - 300
    closed = np.where(closed > now, -1, closed)
    status = np.where((status == "lost") & (closed < 0), "following", status)
    closed = np.where(np.isin(status, ["won", "lost", "invalid"]), closed, -1)
    contact = np.where(
        (status == "new") | (contact > now) | (rng.random(n) < 0.05),
        -1,
        np.where(closed > 0, np.minimum(contact, closed), contact),
    )
    again = np.where((status == "lost") & (rng.random(n) < 0.3), closed + rng.integers(5, 60, n) * DAY, -1)
    return {
        "created": created_min,
        "assigned": np.where(assigned > now, -1, assigned),
        "first_contact": contact,
        "closed": closed,
        "recontacted": np.where(again > now, -1, again),
        "status": status,
    }


def _lead_events(rng: np.random.Generator, leads: pd.DataFrame, lang: str) -> pd.DataFrame:
    won = (leads["status"] == "won").to_numpy()
    parts = []
    start, end = leads["created"].to_numpy(), leads["closed"].to_numpy()
    end = np.where(end > 0, end, np.minimum(start + 30 * DAY, (AS_OF + 1) * DAY - 300))
    channels = dict(words.CONTACT_CHANNELS)
    for i, kind in enumerate(LEAD_EVENTS):
        k = rng.poisson(np.where(won, EVENT_MEANS["won"][i], EVENT_MEANS["lost"][i]))
        k = np.minimum(k, 1 if kind in ("deposit", "handover") else 6)
        lead = np.repeat(np.arange(len(leads)), k)
        share = (
            rng.random(len(lead))
            if kind not in ("deposit", "handover")
            else np.full(len(lead), 0.98 if kind == "deposit" else 1.0)
        )
        at = (start[lead] + share * np.maximum(end[lead] - start[lead], 1)).astype(np.int64)
        channel = EVENT_CHANNELS[i]
        parts.append(
            pd.DataFrame(
                {"lead": lead, "at": at, "kind": kind, "channel": channels[channel] if lang == "zh" else channel}
            )
        )
    events = pd.concat(parts, ignore_index=True)
    events["person"] = np.where(
        leads["known"].to_numpy()[events["lead"]], leads["person"].to_numpy()[events["lead"]], -1
    )
    events["staff_id"] = np.where(
        events["kind"].isin(["showroom_visit", "test_drive", "test_drive_booked", "deposit", "handover"]),
        leads["salesperson_id"].to_numpy()[events["lead"]],
        None,
    )
    return events


#: What a call is about, by order type, for the texts of complaints and enquiries.
TOPICS = dict(
    zip(
        words.ORDER_TYPES,
        [("service", "保养"), ("repair", "维修"), ("bodywork", "钣喷"), ("warranty work", "质保"), ("recall", "召回")]
        + [("fitting", "加装"), ("inspection", "检测")],
    )
)


def make_interactions(
    rng: np.random.Generator, orders: pd.DataFrame, campaigns: pd.DataFrame, staff: pd.DataFrame, lang: str
) -> pd.DataFrame:
    """Care calls, surveys, complaints, enquiries and campaign contacts; ``true_score`` is the score before faking."""
    agents = staff.loc[staff["kind"] == "agent", "staff_id"].to_numpy()
    recent = (orders["day"] > AS_OF - 1095).to_numpy()
    chance = rng.random(len(orders))
    picks = {
        "survey": recent & (chance < 0.24),
        "care_call": recent & (chance > 0.9),
        "complaint": orders["complaint"].to_numpy(dtype=bool),
        "enquiry": rng.random(len(orders)) < 0.04,
    }
    parts = [_calls(rng, kind, orders[mask], agents, lang) for kind, mask in picks.items()]
    sent = campaigns[campaigns["arm"] == "treated"]
    contact = {
        "person": sent["person"].to_numpy(),
        "at": sent["assigned"].to_numpy() * DAY + rng.integers(560, 1000, len(sent)),
        "kind": "campaign",
        "score": np.nan,
        "text": None,
        "staff_id": agents[rng.integers(0, len(agents), len(sent))],
    }
    parts.append(pd.DataFrame(contact))
    x = pd.concat([p.astype({"text": object}) for p in parts], ignore_index=True)
    x = x[x["at"] < (AS_OF + 1) * DAY - 300].reset_index(drop=True)
    short = (x["kind"] == "campaign") & (rng.random(len(x)) < 0.5)
    channel = np.where(x["kind"] == "survey", "wechat", np.where(short, "sms", "phone"))
    x["channel"] = [dict(words.CONTACT_CHANNELS)[c] for c in channel] if lang == "zh" else channel
    x["seconds"] = np.where(channel == "phone", rng.lognormal(4.6, 0.6, len(x)).astype(int), np.nan)
    x["outcome"] = None
    for kind, outcomes in words.OUTCOMES.items():
        rows = (x["kind"] == kind).to_numpy()
        x.loc[rows, "outcome"] = words.pick(outcomes, lang)[rng.integers(0, len(outcomes), rows.sum())]
    x["true_score"] = x["score"]
    faker = x["staff_id"].isin(staff.loc[staff["fakes"], "staff_id"]) & (x["kind"] == "survey")
    x.loc[faker, "score"] = 10.0
    return x


def _calls(rng: np.random.Generator, kind: str, orders: pd.DataFrame, agents: np.ndarray, lang: str) -> pd.DataFrame:
    """Contacts of one kind about the given orders, with score or text where the kind has one."""
    m, zh = len(orders), lang == "zh"
    low, high = {"survey": (1, 5), "care_call": (3, 15), "complaint": (0, 9), "enquiry": (-20, -1)}[kind]
    after = orders["settled"].to_numpy()
    at = (after // DAY + rng.integers(low, high, m)) * DAY + rng.integers(540, 1080, m)
    if kind == "complaint":
        at = np.maximum(at, after + 30)
    part = pd.DataFrame({"person": orders["person"].to_numpy(), "at": at, "kind": kind, "score": np.nan, "text": None})
    own = orders["adviser_id"].to_numpy() if kind == "survey" else agents[rng.integers(0, len(agents), m)]
    part["staff_id"] = own
    if kind == "survey":
        grief = 2.4 * (orders["wait"].to_numpy() > 80) + 3.2 * orders["complaint"].to_numpy(dtype=bool)
        part["score"] = np.clip((9.0 - grief + rng.normal(0, 1.1, m)).round(), 0, 10)
    elif kind in ("complaint", "enquiry"):
        texts = words.COMPLAINTS if kind == "complaint" else words.ENQUIRIES
        chosen = words.pick(texts, lang)[rng.integers(0, len(texts), m)]
        topics, numbers = orders["order_type"].map(lambda t: TOPICS[t][zh]), rng.integers(3, 190, m)
        part["text"] = [t.format(n=k, job=j) for t, k, j in zip(chosen, numbers, topics)]
    return part
