"""Keyed tables outside the canonical ones: insurance policies by car and orders of the dealer's web shop by customer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo.cards import customer_of
from dealerkit.demo.frames import Export
from dealerkit.demo.people import END
from dealerkit.demo.workshop import DAY
from dealerkit.demo.world import keys

INSURERS = [("Tidal Mutual", "潮汐财险"), ("Northern Beacon", "北塔保险"), ("Harbour Assurance", "海港财险")]
PRODUCTS = [("commercial", "商业险"), ("compulsory", "交强险")]
CATEGORIES = [("accessories", "用品"), ("care products", "养护品"), ("vouchers", "代金券"), ("merchandise", "精品周边")]
#: Years that policies and shop orders go back.
YEARS = 2


def make(
    w: dict, e: Export, renamed: dict[str, str], seed: int, block: int, lang: str, faulty: bool
) -> tuple[dict[str, pd.DataFrame], list]:
    """(tables by name as text, faults): ``insurance_policies`` and ``shop_orders`` as far as the export knows them."""
    rng = np.random.default_rng([seed, 800_000 + block])
    made = {
        "insurance_policies": _policies(rng, w, e, renamed, block, lang),
        "shop_orders": _shop(rng, w, e, block, lang),
    }
    faults: list = []
    if faulty:
        made = {name: _soiled(name, frame, faults) for name, frame in made.items()}
    return {name: frame.drop(columns=["u", "shown"]) for name, frame in made.items()}, faults


def _policies(rng, w: dict, e: Export, renamed: dict[str, str], block: int, lang: str) -> pd.DataFrame:
    """A row per car, product and year of the last years, for the cars insured through the dealer."""
    spells, zh = w["spells"], lang == "zh"
    first = spells[(spells["generation"] < 9) & (rng.random(len(spells)) < 0.4)]
    start, parts = first["start"].to_numpy(), []
    last = np.maximum((END - start) // 365, 0)
    for back in range(YEARS + 1):
        year = last - back
        day = start + 365 * year
        own = (year >= 0) & (day < first["end"].to_numpy()) & (day > END - 365 * YEARS - 31)
        parts.append(pd.DataFrame({"spell": first.index, "year": year, "day": day, "own": own}))
    p = pd.concat(parts, ignore_index=True)
    p["product"] = np.where(rng.random(len(p)) < 0.3, 2, 1)  # products bought that year
    p = p[p["own"]]
    p = pd.concat([p.assign(kind=0), p[p["product"] == 2].assign(kind=1)]).sort_values(["day", "spell", "kind"])
    s = spells.loc[p["spell"]].reset_index(drop=True)
    p = p.reset_index(drop=True)
    premium = np.where(
        p["kind"] == 0, 800 + 0.012 * s["list_price"] * rng.uniform(0.8, 1.3, len(p)), 950 - 95 * p["year"].clip(0, 2)
    )
    made = pd.DataFrame(
        {
            "policy_no": keys("PL", block, len(p)),
            "vin": s["vin"].replace(renamed),
            "insurer": [INSURERS[i][zh] for i in rng.choice(3, len(p), p=[0.5, 0.3, 0.2])],
            "product": [PRODUCTS[k][zh] for k in p["kind"]],
            "starts_on": _day(p["day"]),
            "ends_on": _day(p["day"] + 364),
            "premium_yuan": [f"{v:.2f}" for v in premium],
            "claims_count": _claims(w, e, p).astype(str),
            "u": rng.random(len(p)),
            "shown": (p["day"] <= e.as_of) & (s["known"] <= e.as_of),
        }
    )
    return made[made["shown"]]


def _claims(w: dict, e: Export, p: pd.DataFrame) -> np.ndarray:
    """Accidents that an insurer paid in each policy's year, as far as settled by the export; of commercial policies."""
    o = w["orders"]
    o = o[(o["order_type"] == "accident") & (o["payer_kind"] == "insurer") & (o["settled"] < (e.as_of + 1) * DAY)]
    year = (o["day"] - w["spells"]["start"].reindex(o["spell"]).to_numpy()) // 365
    count = o.groupby([o["spell"], year]).size()
    found = count.reindex(pd.MultiIndex.from_arrays([p["spell"], p["year"]])).fillna(0).to_numpy()
    return np.where(p["kind"] == 0, found, 0).astype(int)


def _shop(rng, w: dict, e: Export, block: int, lang: str) -> pd.DataFrame:
    """Orders of the web shop of the last years; about every fourth customer ever buys there."""
    persons = w["persons"]
    buys = np.where(rng.random(len(persons)) < 0.25, rng.poisson(2.2, len(persons)), 0)
    person = np.repeat(persons.index.to_numpy(), buys)
    n = len(person)
    day = END - (rng.random(n) * 365 * YEARS).astype(int)
    minute = day * DAY + rng.integers(420, 1380, n)
    order = np.argsort(minute, kind="stable")
    person, minute = person[order], minute[order]
    numbers = customer_of(rng, e.cards, person, minute // DAY)
    made = pd.DataFrame(
        {
            "order_no": keys("WS", block, n),
            "customer_id": numbers,
            "ordered_at": np.datetime_as_string(minute.astype("datetime64[m]"), unit="m").astype(object) if n else [],
            "category": [CATEGORIES[i][lang == "zh"] for i in rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])],
            "amount_yuan": [f"{v:.2f}" for v in np.exp(rng.normal(5.0, 0.8, n)).round(0)],
            "u": rng.random(n),
            "shown": (minute < (e.as_of + 1) * DAY) & pd.notna(numbers),
        }
    )
    made["ordered_at"] = made["ordered_at"].str.replace("T", " ")
    known = persons["created"].reindex(person).to_numpy() * DAY
    return made[made["shown"] & (known <= minute)]


def _day(days: pd.Series) -> np.ndarray:
    return np.datetime_as_string(days.to_numpy().astype("datetime64[D]")).astype(object)


def _soiled(name: str, frame: pd.DataFrame, faults: list) -> pd.DataFrame:
    """The table with faults by each row's own draw ``u``, so that a row has the same fault in every export."""
    frame = frame.reset_index(drop=True)
    money = "premium_yuan" if name == "insurance_policies" else "amount_yuan"
    ways = [("money_symbol", money, 0.010, lambda v, u: f"¥{float(v):,.2f}")]
    if name == "insurance_policies":
        ways.append(("vin_lower_case_spaced", "vin", 0.008, lambda v, u: f" {v[:3].lower()} {v[3:].lower()}"))
        ways.append(("orphan_vin", "vin", 0.005, lambda v, u: v[:11] + f"{int(u * 1e12) % 10**6:06d}"))
    else:
        ways.append(("orphan_customer", "customer_id", 0.008, lambda v, u: f"C9{int(u * 1e12) % 10**7:07d}"))
    key, low = frame.columns[0], 0.0
    for kind, column, share, change in ways:
        for i in np.flatnonzero((frame["u"] >= low) & (frame["u"] < low + share)):
            new = change(frame.at[i, column], frame.at[i, "u"])
            faults.append((name, frame.at[i, key], column, kind, frame.at[i, column], new))
            frame.at[i, column] = new
        low += share
    twice = frame[(frame["u"] >= low) & (frame["u"] < low + 0.004)]
    faults += [(name, number, "", "exact_duplicate_row", None, None) for number in twice[key]]
    return pd.concat([frame, twice]).sort_index(kind="stable").reset_index(drop=True)
