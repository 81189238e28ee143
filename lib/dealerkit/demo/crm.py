"""Leads and their events, calls, surveys, complaints, contact persons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.people import AS_OF, END
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
    rng: np.random.Generator,
    persons: pd.DataFrame,
    spells: pd.DataFrame,
    kin: pd.DataFrame,
    shift: int,
    lang: str,
) -> pd.DataFrame:
    """Drivers and payers of companies' cars, household members of persons; ``spell`` is the car they belong to.

    ``who`` is the person where the contact is a customer as well (the owner, one of the family, a company's driver);
    −1 for everybody else.
    """
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
    owner = spells["person"].to_numpy()[chosen]
    related = kin[kin["kind"] != "namesake"]
    other = pd.Series([*related["b"], *related["a"]], [*related["a"], *related["b"]], dtype=float).reindex(owner)
    relative = other.notna().to_numpy() & (rng.random(n) < 0.7) & ~persons["company"].reindex(other).eq(True).to_numpy()
    role = np.where(relative & who, "driver", np.where(relative & (role == "owner"), "household", role))
    known = np.where(role == "owner", owner, np.where(relative, other.fillna(-1), -1)).astype(int)
    customer = persons.reindex(known)
    return pd.DataFrame(
        {
            "person": owner,
            "spell": chosen,
            "vin": spells["vin"].to_numpy()[chosen],
            "role": role,
            "who": known,
            "name": np.where(known >= 0, customer["name"], name),
            "phone": np.where(known >= 0, customer["phone"], phone),
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
                course["ends"] == "lost", words.pick(words.LOST_REASONS, lang)[rng.integers(0, 5, n)], None
            ),
            "salesperson_id": sellers[rng.integers(0, len(sellers), n)],
        }
    )
    leads = leads.assign(**course)
    order = np.argsort(leads["created"].to_numpy(), kind="stable")
    leads = leads.iloc[order].reset_index(drop=True)
    return leads, _lead_events(rng, leads, lang)


def _course(
    rng: np.random.Generator, ordered: np.ndarray, is_won: np.ndarray, maker: np.ndarray
) -> dict[str, np.ndarray]:
    """When each lead came in, was handed out, called, closed, called again (minutes, −1: never), and how it ends.

    ``ends`` is won, lost, invalid, or new for leads that nobody ever calls; all end one day. What an export says of
    them on its day is for `lead_state`.
    """
    n = len(ordered)
    created = np.where(
        is_won,
        ordered - rng.gamma(2, 9, n),
        END - rng.random(n) * 1120,
    )
    created_min = (created * DAY).astype(np.int64)
    delay = np.where(maker, rng.exponential(190, n), rng.exponential(25, n)).astype(int) + 2
    assigned = created_min + delay
    contact = assigned + (rng.lognormal(4.2, 1.5, n)).astype(int) + 1
    ends = np.where(is_won, "won", rng.choice(["lost", "following", "new", "invalid"], n, p=[0.72, 0.14, 0.06, 0.08]))
    open_long = np.isin(ends, ["following", "new"])
    closed = np.where(is_won, ordered * DAY + 900, contact + rng.gamma(2, 14, n) * DAY)
    # what nobody takes further is given up after half a year
    closed = np.where(open_long, created_min + 180 * DAY, closed).astype(np.int64)
    called = ~((ends == "new") | (rng.random(n) < 0.05))
    contact = np.where(called, np.minimum(contact, closed), -1)
    ends = np.where(open_long, "lost", ends)
    again = np.where((ends == "lost") & (rng.random(n) < 0.3), closed + rng.integers(5, 60, n) * DAY, -1)
    return {
        "created": created_min,
        "assigned": assigned,
        "first_contact": contact,
        "closed": closed,
        "recontacted": again,
        "ends": ends,
    }


def lead_state(leads: pd.DataFrame, as_of: int) -> pd.DataFrame:
    """The leads as an export of that day shows them: later times are unknown (−1), ``status`` is that of the day."""
    now, shown = (as_of + 1) * DAY - 300, leads.copy()
    for name in ("assigned", "first_contact", "closed", "recontacted"):
        shown[name] = np.where(leads[name] > now, -1, leads[name])
    closed = (shown["closed"] >= 0).to_numpy()
    shown["status"] = np.where(closed, leads["ends"], np.where(shown["first_contact"] < 0, "new", "following"))
    shown["lost_reason"] = np.where(shown["status"] == "lost", leads["lost_reason"], None)
    shown["salesperson_id"] = np.where(shown["assigned"] < 0, None, leads["salesperson_id"])
    return shown


def _lead_events(rng: np.random.Generator, leads: pd.DataFrame, lang: str) -> pd.DataFrame:
    won = (leads["ends"] == "won").to_numpy()
    parts = []
    start = leads["created"].to_numpy()
    end = np.where(won, leads["closed"], np.minimum(leads["closed"], start + 60 * DAY))
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
    rng: np.random.Generator,
    orders: pd.DataFrame,
    campaigns: pd.DataFrame,
    persons: pd.DataFrame,
    staff: pd.DataFrame,
    lang: str,
) -> pd.DataFrame:
    """Care calls, surveys, complaints, enquiries and campaign contacts, as they truly were.

    ``phone`` is the number called, for contacts by phone and text message.
    """
    agents = staff.loc[staff["kind"] == "agent", "staff_id"].to_numpy()
    recent = (orders["day"] > AS_OF - 1095).to_numpy()
    chance = rng.random(len(orders))
    picks = {
        "survey": recent & (chance < 0.24),
        "care_call": recent & (chance > 0.9),
        "complaint": orders["complaint"].to_numpy(dtype=bool),
        "enquiry": rng.random(len(orders)) < 0.04,
    }
    parts = [_calls(rng, kind, orders[mask], staff, agents, lang) for kind, mask in picks.items()]
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
    x = x[x["at"] < (END + 1) * DAY - 300].reset_index(drop=True)
    short = (x["kind"] == "campaign") & (rng.random(len(x)) < 0.5)
    online = (x["kind"] == "survey") & (rng.random(len(x)) < 0.3)
    channel = np.where(online, "wechat", np.where(short, "sms", "phone"))
    x["channel"] = [dict(words.CONTACT_CHANNELS)[c] for c in channel] if lang == "zh" else channel
    x["seconds"] = np.where(channel == "phone", rng.lognormal(4.6, 0.6, len(x)).astype(int), np.nan)
    x["outcome"] = None
    for kind, outcomes in words.OUTCOMES.items():
        rows = (x["kind"] == kind).to_numpy()
        x.loc[rows, "outcome"] = words.pick(outcomes, lang)[rng.integers(0, len(outcomes), rows.sum())]
    x["phone"] = _numbers(rng, x, persons)
    x.loc[online, "phone"] = None
    return x


def _numbers(rng: np.random.Generator, x: pd.DataFrame, persons: pd.DataFrame) -> np.ndarray:
    """The customer's number on the day of the contact; now and then the second one."""
    p = persons[["phone", "phone_alt", "phone_new", "phone_on", "has_alt"]].reindex(x["person"])
    late = (x["at"] // DAY).to_numpy() >= p["phone_on"].to_numpy()
    second = p["has_alt"].to_numpy(dtype=bool) & (rng.random(len(x)) < 0.2)
    return np.where(second, p["phone_alt"], np.where(late, p["phone_new"], p["phone"]))


def _calls(
    rng: np.random.Generator, kind: str, orders: pd.DataFrame, staff: pd.DataFrame, agents: np.ndarray, lang: str
) -> pd.DataFrame:
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
        loved = orders["adviser_id"].isin(staff.loc[staff["excellent"], "staff_id"]).to_numpy()
        mean, sd = np.where(loved, 9.9 - 0.3 * grief, 9.0 - grief), np.where(loved, 0.55, 1.1)
        part["score"] = np.clip((mean + sd * rng.standard_normal(m)).round(), 0, 10)
    elif kind in ("complaint", "enquiry"):
        texts = words.COMPLAINTS if kind == "complaint" else words.ENQUIRIES
        chosen = words.pick(texts, lang)[rng.integers(0, len(texts), m)]
        topics, numbers = orders["order_type"].map(lambda t: TOPICS[t][zh]), rng.integers(3, 190, m)
        part["text"] = [t.format(n=k, job=j) for t, k, j in zip(chosen, numbers, topics)]
    return part
