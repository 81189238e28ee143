"""Leads and their events, calls, surveys, complaints, contact persons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.people import AS_OF
from dealerkit.demo.workshop import DAY

LEAD_EVENTS = ("browse", "click", "app", "comment", "forum_post", "sign_up", "event", "showroom_visit", "test_drive_booked", "test_drive", "rival_visit", "deposit", "handover")
#: Mean number of each event on a lead that is lost and on one that is won.
EVENT_MEANS = {"lost": (.55, .3, .15, .1, .06, .1, .06, .3, .12, .09, .22, 0, 0), "won": (1.1, .6, .4, .15, .12, .25, .2, 1.2, .55, .5, .1, .7, 1)}
EVENT_CHANNELS = ("web", "web", "app", "app", "web", "web", "store", "store", "phone", "store", "store", "store", "store")


def make_contacts(rng: np.random.Generator, persons: pd.DataFrame, spells: pd.DataFrame, shift: int, lang: str) -> pd.DataFrame:
    """Drivers and payers of companies' cars, household members of persons; column ``spell`` for a person tied to a car."""
    p = persons.reindex(spells["person"]).reset_index(drop=True)
    company = p["company"].to_numpy(dtype=bool)
    chance = np.where(company, .75, .16)
    chosen = np.flatnonzero((rng.random(len(spells)) < chance))
    n = len(chosen)
    who = company[chosen]
    role = np.where(who, np.where(rng.random(n) < .7, "driver", "payer"), np.where(rng.random(n) < .6, "household", np.where(rng.random(n) < .6, "driver", "owner")))
    other = rng.integers(0, len(persons), n)
    surname = np.where((role == "household") & (rng.random(n) < .5), p["surname"].to_numpy()[chosen], persons["surname"].to_numpy()[other])
    name = surname + ("" if lang == "zh" else " ") + persons["given"].to_numpy()[rng.permutation(len(persons))[other % len(persons)]]
    phone = ids.mobiles(4 * spells["car"].to_numpy()[chosen] % 40_000_000 + 2, shift + 7)
    own = role == "owner"
    return pd.DataFrame({"person": spells["person"].to_numpy()[chosen], "spell": chosen, "vin": spells["vin"].to_numpy()[chosen], "role": role,
                         "name": np.where(own, p["name"].to_numpy()[chosen], name), "phone": np.where(own, p["phone"].to_numpy()[chosen], phone)})


def make_leads(rng: np.random.Generator, sales: pd.DataFrame, persons: pd.DataFrame, staff: pd.DataFrame, first: int, shift: int, lang: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(leads, events) of the last three years; won leads point at a row of ``sales`` in column ``sale``."""
    recent = sales.index[(sales["delivered"] > AS_OF - 1050).to_numpy() & (rng.random(len(sales)) < .7)].to_numpy()
    won, other = len(recent), int(len(recent) * 2.4) + 3
    n = won + other
    known = np.concatenate([np.ones(won, dtype=bool), rng.random(other) < .22])
    prospects = persons.index[persons["prospect"]].to_numpy()
    person = np.concatenate([sales.loc[recent, "person"].to_numpy(), rng.choice(persons.index.to_numpy(), other)])
    is_won = np.arange(n) < won
    late = np.flatnonzero(~is_won)[: len(prospects)]
    person[late], known[late] = prospects[: len(late)], True
    created = np.where(is_won, np.concatenate([sales.loc[recent, "ordered"].to_numpy(), np.zeros(other)]) - rng.gamma(2, 9, n), AS_OF - rng.random(n) * 1090)
    created_min = (created * DAY).astype(np.int64)
    maker = rng.random(n) < .55
    delay = np.where(maker, rng.exponential(190, n), rng.exponential(25, n)).astype(int) + 2
    assigned = created_min + delay
    contact = assigned + (rng.lognormal(4.2, 1.5, n)).astype(int) + 1
    status = np.where(is_won, "won", rng.choice(["lost", "following", "new", "invalid"], n, p=[.72, .14, .06, .08]))
    status = np.where((~is_won) & (created < AS_OF - 180) & np.isin(status, ["following", "new"]), "lost", status)
    closed = np.where(is_won, np.concatenate([sales.loc[recent, "ordered"].to_numpy() * DAY + 900, np.zeros(other)]), contact + rng.gamma(2, 14, n) * DAY).astype(np.int64)
    now = (AS_OF + 1) * DAY - 300
    closed = np.where(closed > now, -1, closed)
    status = np.where((status == "lost") & (closed < 0), "following", status)
    closed = np.where(np.isin(status, ["won", "lost", "invalid"]), closed, -1)
    contact = np.where((status == "new") | (contact > now) | (rng.random(n) < .05), -1, np.where(closed > 0, np.minimum(contact, closed), contact))
    again = np.where((status == "lost") & (rng.random(n) < .3), closed + rng.integers(5, 60, n) * DAY, -1)
    lines = words.pick([ln["name"] for ln in words.LINES], lang)
    sellers = staff.loc[staff["kind"] == "sales", "staff_id"].to_numpy()
    leads = pd.DataFrame({
        "person": person, "known": known, "sale": np.concatenate([recent, np.full(other, -1)]),
        "phone": np.where(known, persons["phone"].reindex(person).to_numpy(), ids.mobiles(4 * ((first + np.arange(n)) % 10_000_000) + 3, shift)),
        "created": created_min, "source": words.pick(words.CHANNELS, lang)[rng.choice(7, n, p=[.22, .2, .1, .08, .25, .1, .05])],
        "desk": np.where(maker, "maker", "store"), "series": lines[np.concatenate([sales.loc[recent, "line"].to_numpy(), rng.integers(0, 6, other)]).astype(int)],
        "purchase_purpose": np.where(rng.random(n) < .7, words.pick(words.PURPOSES, lang)[rng.integers(0, 5, n)], None), "status": status,
        "assigned": np.where(assigned > now, -1, assigned), "first_contact": contact, "recontacted": np.where(again > now, -1, again), "closed": closed,
        "lost_reason": np.where(status == "lost", words.pick(words.LOST_REASONS, lang)[rng.integers(0, 5, n)], None),
        "salesperson_id": np.where(assigned > now, None, sellers[rng.integers(0, len(sellers), n)])})
    order = np.argsort(leads["created"].to_numpy(), kind="stable")
    leads = leads.iloc[order].reset_index(drop=True)
    return leads, _lead_events(rng, leads, lang)


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
        share = rng.random(len(lead)) if kind not in ("deposit", "handover") else np.full(len(lead), .98 if kind == "deposit" else 1.0)
        at = (start[lead] + share * np.maximum(end[lead] - start[lead], 1)).astype(np.int64)
        channel = EVENT_CHANNELS[i]
        parts.append(pd.DataFrame({"lead": lead, "at": at, "kind": kind, "channel": channels[channel] if lang == "zh" else channel}))
    events = pd.concat(parts, ignore_index=True)
    events["person"] = np.where(leads["known"].to_numpy()[events["lead"]], leads["person"].to_numpy()[events["lead"]], -1)
    events["staff_id"] = np.where(events["kind"].isin(["showroom_visit", "test_drive", "test_drive_booked", "deposit", "handover"]), leads["salesperson_id"].to_numpy()[events["lead"]], None)
    return events


def make_interactions(rng: np.random.Generator, orders: pd.DataFrame, persons: pd.DataFrame, campaigns: pd.DataFrame, staff: pd.DataFrame, lang: str) -> pd.DataFrame:
    """Care calls, surveys, complaints, enquiries and campaign contacts; ``true_score`` is the score before faking."""
    zh = lang == "zh"
    agents = staff.loc[staff["kind"] == "agent", "staff_id"].to_numpy()
    job = words.pick([(t.capitalize(), z) for t, z in (("service", "保养"), ("repair", "维修"), ("bodywork", "钣喷"), ("warranty work", "质保"), ("recall", "召回"), ("fitting", "加装"), ("inspection", "检测"))], lang)
    type_of = {t: i for i, t in enumerate(words.ORDER_TYPES)}
    jobs = np.array([job[type_of[t]] for t in orders["order_type"]], dtype=object)
    recent = (orders["day"] > AS_OF - 1095).to_numpy()
    chance = rng.random(len(orders))
    complaint = orders["complaint"].to_numpy(dtype=bool)
    after = orders["settled"].to_numpy()
    picks = {"survey": recent & (chance < .24), "care_call": recent & (chance > .9), "complaint": complaint, "enquiry": rng.random(len(orders)) < .04}
    parts = []
    for kind, mask in picks.items():
        rows = np.flatnonzero(mask)
        m = len(rows)
        shift = {"survey": rng.integers(1, 5, m), "care_call": rng.integers(3, 15, m), "complaint": rng.integers(0, 9, m), "enquiry": rng.integers(-20, -1, m)}[kind]
        at = (after[rows] // DAY + shift) * DAY + rng.integers(540, 1080, m)
        at = np.where(at <= after[rows], after[rows] + 30, at) if kind == "complaint" else at
        part = pd.DataFrame({"person": orders["person"].to_numpy()[rows], "at": at, "kind": kind, "score": np.nan, "text": None})
        part["staff_id"] = orders["adviser_id"].to_numpy()[rows] if kind == "survey" else agents[rng.integers(0, len(agents), m)]
        if kind == "survey":
            good = 9.0 - 2.4 * (orders["wait"].to_numpy()[rows] > 80) - 3.2 * complaint[rows] + rng.normal(0, 1.1, m)
            part["score"] = np.clip(good.round(), 0, 10)
        elif kind == "complaint":
            texts = words.pick(words.COMPLAINTS, lang)[rng.integers(0, len(words.COMPLAINTS), m)]
            part["text"] = [t.format(n=k, job=j if zh else j.lower()) for t, k, j in zip(texts, rng.integers(3, 190, m), jobs[rows])]
        elif kind == "enquiry":
            texts = words.pick(words.ENQUIRIES, lang)[rng.integers(0, len(words.ENQUIRIES), m)]
            part["text"] = [t.format(job=j if zh else j.lower()) for t, j in zip(texts, jobs[rows])]
        parts.append(part)
    sent = campaigns[campaigns["arm"] == "treated"]
    parts.append(pd.DataFrame({"person": sent["person"].to_numpy(), "at": sent["assigned"].to_numpy() * DAY + rng.integers(560, 1000, len(sent)), "kind": "campaign",
                               "score": np.nan, "text": None, "staff_id": agents[rng.integers(0, len(agents), len(sent))]}))
    x = pd.concat([p.astype({"text": object}) for p in parts], ignore_index=True)
    x = x[x["at"] < (AS_OF + 1) * DAY - 300].reset_index(drop=True)
    channel = np.where(x["kind"] == "survey", "wechat", np.where((x["kind"] == "campaign") & (rng.random(len(x)) < .5), "sms", "phone"))
    x["channel"] = [dict(words.CONTACT_CHANNELS)[c] for c in channel] if zh else channel
    x["seconds"] = np.where(channel == "phone", rng.lognormal(4.6, .6, len(x)).astype(int), np.nan)
    x["outcome"] = None
    for kind, outcomes in words.OUTCOMES.items():
        rows = (x["kind"] == kind).to_numpy()
        x.loc[rows, "outcome"] = words.pick(outcomes, lang)[rng.integers(0, len(outcomes), rows.sum())]
    x["true_score"] = x["score"]
    faker = x["staff_id"].isin(staff.loc[staff["fakes"], "staff_id"]) & (x["kind"] == "survey")
    x.loc[faker, "score"] = 10.0
    return x
