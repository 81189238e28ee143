"""What dishonest advisers do: answer surveys themselves, in four ways, and bill the same few customers again and again.

Honest advisers stay as they are, the excellent ones too, so that a test can see whether it accuses them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.cars import odometer
from dealerkit.demo.people import AS_OF, NEVER
from dealerkit.demo.workshop import DAY

#: Where in the series of phone numbers those of advisers' second phones and of exchanged customers' numbers begin.
OWN_PHONES, OTHER_PHONES = 60_000_000, 70_000_000
#: Share of an adviser's surveys that is faked, by way; who gives every survey one score fakes all of them.
SHARE = {"tens": 1.0, "straight": 1.0, "own_phone": 0.7, "phone_changed": 0.6}
#: The one score of who straight-lines: not the best, so as not to be seen.
STRAIGHT = 9.0


def fake_surveys(
    rng: np.random.Generator, x: pd.DataFrame, staff: pd.DataFrame, shift: int, start: int, lang: str
) -> None:
    """Write the faked scores and numbers into the contacts, in place.

    Adds ``way`` (how the row was faked; empty for honest rows), ``true_score`` and ``true_phone``. ``start`` is the first
    free number of this block in the series of phones.
    """
    x["true_score"], x["true_phone"] = x["score"], x["phone"]
    way = x["staff_id"].map(staff.set_index("staff_id")["way"]).where(x["kind"] == "survey", "").fillna("")
    x["way"] = np.where(rng.random(len(x)) < way.map(SHARE).fillna(0), way, "")
    u, high = rng.random(len(x)), np.where(rng.random(len(x)) < 0.75, 10.0, 9.0)
    score = x["way"].map({"tens": 10.0, "straight": STRAIGHT})
    x["score"] = np.where(x["way"] == "", x["score"], score.fillna(pd.Series(high, x.index)))
    phoned = x["way"].isin(["own_phone", "phone_changed"]).to_numpy()
    if phoned.any():
        place = pd.Index(staff["staff_id"]).get_indexer(x["staff_id"])
        second = ids.mobiles(4 * (OWN_PHONES + 2 * place.clip(min=0) + (u < 0.3)), shift)
        own = np.where(u < 0.4, staff["phone"].to_numpy()[place], second)
        other = ids.mobiles(4 * (OTHER_PHONES + start + np.arange(len(x))), shift)
        x["phone"] = np.where(phoned, np.where(x["way"] == "own_phone", own, other), x["phone"])
        x["seconds"] = np.where(phoned, 8 + (17 * u).astype(int), x["seconds"])
        x.loc[phoned, "channel"] = dict(words.CONTACT_CHANNELS)["phone"] if lang == "zh" else "phone"


def survey_faults(x: pd.DataFrame) -> list[tuple]:
    """The record of faked surveys: the score where it was changed, else the number called."""
    faults = []
    for row in x[x["way"] != ""].itertuples():
        if row.way in ("tens", "straight"):
            if row.score != row.true_score:
                said = (f"{row.true_score:.0f}", f"{row.score:.0f}")
                faults.append(("interactions", row.id, "score", "survey_score_faked", *said))
        else:
            faults.append(("interactions", row.id, "phone", f"survey_{row.way}", row.true_phone, row.phone))
    return faults


def staff_faults(staff: pd.DataFrame) -> list[tuple]:
    """The record of dishonest advisers."""
    cheats, again = staff[staff["way"] != ""], staff[staff["repeats"]]
    return [("staff", r.staff_id, "", "adviser_with_faked_scores", None, r.way) for r in cheats.itertuples()] + [
        ("staff", r.staff_id, "", "adviser_with_repeats", None, None) for r in again.itertuples()
    ]


def add_repeats(
    rng: np.random.Generator,
    orders: pd.DataFrame,
    lines: pd.DataFrame,
    spells: pd.DataFrame,
    staff: pd.DataFrame,
    lang: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(orders, lines) with visits that never were: the same few customers every other day, a few yuan each.

    Column ``repeat`` marks them. Each adviser of the kind has about one such customer for each 60 of the visits of the
    last year, and three at least.
    """
    orders = orders.assign(repeat=False)
    advisers = staff.loc[staff["repeats"], "staff_id"]
    stays = np.minimum(spells["end"].to_numpy(), NEVER)[orders["spell"].to_numpy()]
    fits = (orders["day"] > AS_OF - 500) & (orders["day"] < AS_OF - 40) & (stays > orders["day"] + 40)
    parts = []
    for adviser in advisers:
        own = orders[fits & (orders["adviser_id"] == adviser)].drop_duplicates("person")
        for at in rng.permutation(len(own))[: max(3, len(own) // 60)]:
            parts.append(_visits(rng, own.iloc[[at]], spells, lang))
    if not parts:
        return orders, lines
    more = pd.concat(parts, ignore_index=True)
    name, code = ("安全检测", "I02") if lang == "zh" else ("Safety check", "I02")
    extra = pd.DataFrame(
        {
            "order": len(orders) + np.arange(len(more)),
            "item_code": code,
            "item_name": name,
            "kind": "labour",
            "quantity": np.nan,
            "hours": 0.1,
            "amount_yuan": more["total_yuan"],
            "status": "done",
            "line_no": 1,
        }
    )
    both = pd.concat([orders, more], ignore_index=True)
    order = np.argsort(both["day"].to_numpy(), kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    lines = pd.concat([lines, extra], ignore_index=True)
    lines["order"] = place[lines["order"].to_numpy()]
    lines = lines.sort_values(["order", "line_no"], kind="stable").reset_index(drop=True)
    return both.iloc[order].reset_index(drop=True), lines


def _visits(rng: np.random.Generator, visit: pd.DataFrame, spells: pd.DataFrame, lang: str) -> pd.DataFrame:
    """Six to nine further orders like the one given, one to three days apart, each of 8 to 30 yuan."""
    count = int(rng.integers(6, 10))
    more = pd.concat([visit] * count, ignore_index=True)
    more["day"] += np.cumsum(rng.integers(1, 4, count))
    more["opened"] = more["day"] * DAY + rng.integers(490, 1000, count)
    more["settled"] = more["opened"] + rng.integers(8, 25, count)
    more["labour_yuan"] = rng.integers(8, 31, count).astype(float)
    more["total_yuan"], more["parts_yuan"], more["discount_yuan"] = more["labour_yuan"], 0.0, np.nan
    more["odometer_km"] = odometer(spells, more["spell"].to_numpy(), more["day"].to_numpy() + 0.5).astype(int) + 8
    more["order_type"], more["payer_kind"], more["is_comeback"] = "inspection", "customer", "no"
    more["booked"], more["wait_minutes"], more["complaint"], more["repeat"] = "no", 10.0, False, True
    more["fault"] = words.pick(words.FAULTS["inspection"], lang)[0]
    later = more["day"].to_numpy() >= spells["plate_on"].to_numpy()[more["spell"]]
    plates = spells[["plate", "plate_next"]].to_numpy()[more["spell"].to_numpy()]
    more["plate"] = np.where(later, plates[:, 1], plates[:, 0])
    return more
