"""What each visit was: order, jobs and parts, amounts that add up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import words
from dealerkit.demo.cars import odometer
from dealerkit.demo.people import AS_OF, END, HISTORY, NEVER

DAY = 24 * 60
OTHER_TYPES = ("repair", "warranty", "accident", "recall", "accessory", "inspection")
OTHER_SHARES = (0.37, 0.17, 0.15, 0.07, 0.11, 0.13)


def make_orders(
    rng: np.random.Generator,
    visits: pd.DataFrame,
    spells: pd.DataFrame,
    persons: pd.DataFrame,
    staff: pd.DataFrame,
    lang: str,
):
    """(orders, lines) of the exported years, one order per visit and per come-back; amounts in whole yuan."""
    back = visits[visits["comeback"]].copy()
    back["day"] += rng.integers(3, 21, len(back))
    back["service"] = -1
    v = pd.concat([visits, back], ignore_index=True)
    end = spells["end"].to_numpy()[v["spell"]]
    v = (
        v[(v["day"] >= HISTORY) & (v["day"] <= END) & (v["day"] < end)]
        .sort_values(["day", "spell"], kind="stable")
        .reset_index(drop=True)
    )
    o = _orders(rng, v, spells, persons)
    o["fault"] = None
    for kind, faults in words.FAULTS.items():
        rows = (o["order_type"] == kind).to_numpy()
        o.loc[rows, "fault"] = words.pick(faults, lang)[rng.integers(0, len(faults), rows.sum())]
    lines = _lines(rng, o, spells, persons, lang)
    done = lines[lines["status"] == "done"]
    for kind, name in (("labour", "labour_yuan"), ("part", "parts_yuan")):
        part = done[done["kind"] == kind]
        o[name] = np.bincount(part["order"], weights=part["amount_yuan"], minlength=len(o))
    gross = o["labour_yuan"] + o["parts_yuan"]
    cut = (rng.random(len(o)) < persons["discount"].reindex(o["person"]).to_numpy()) & (o["payer_kind"] == "customer")
    o["discount_yuan"] = np.where(cut, (gross * rng.uniform(0.05, 0.16, len(o))).round(), np.nan)
    o["total_yuan"] = gross - o["discount_yuan"].fillna(0)
    hours = np.bincount(done["order"], weights=done["hours"].fillna(0), minlength=len(o))
    _times(rng, o, hours)
    advisers = staff.loc[staff["kind"] == "adviser", "staff_id"].to_numpy()
    o["adviser_id"] = advisers[o["adviser"]]
    kept = (o["settled"] < (END + 1) * DAY).to_numpy()
    number = np.cumsum(kept) - 1
    lines = lines[kept[lines["order"].to_numpy()]].copy()
    lines["order"] = number[lines["order"].to_numpy()]
    lines["line_no"] = lines.groupby("order").cumcount() + 1
    return o[kept].reset_index(drop=True), lines.reset_index(drop=True)


def _orders(rng, v: pd.DataFrame, spells: pd.DataFrame, persons: pd.DataFrame) -> pd.DataFrame:
    o = v[["spell", "day", "service", "wait", "complaint", "adviser"]].copy()
    spell = o["spell"].to_numpy()
    for name in ("person", "vin", "line", "warranty_end", "start"):
        o[name] = spells[name].to_numpy()[spell]
    later = o["day"].to_numpy() >= spells["plate_on"].to_numpy()[spell]
    o["plate"] = np.where(later, spells["plate_next"].to_numpy()[spell], spells["plate"].to_numpy()[spell])
    n = len(o)
    kind = np.array(OTHER_TYPES, dtype=object)[rng.choice(len(OTHER_TYPES), n, p=OTHER_SHARES)]
    kind = np.where((kind == "warranty") & (o["day"] > o["warranty_end"]), "repair", kind)
    kind = np.where(o["service"] > 0, "maintenance", np.where(o["service"] < 0, "repair", kind))
    o["order_type"] = kind
    o["is_comeback"] = np.where(o["service"] < 0, "yes", "no")
    insured = rng.random(n) < 0.8
    o["payer_kind"] = np.where(
        o["service"] < 0,
        "internal",
        np.where(
            np.isin(kind, ["warranty", "recall"]),
            "warranty",
            np.where((kind == "accident") & insured, "insurer", "customer"),
        ),
    )
    o["odometer_km"] = odometer(spells, spell, o["day"].to_numpy() + 0.5).astype(int) + 8
    o["booked"] = np.where(rng.random(n) < persons["booked"].reindex(o["person"]).to_numpy(), "yes", "no")
    return o


def _times(rng, o: pd.DataFrame, hours: np.ndarray) -> None:
    """Opened and settled in minutes since 1970; same day unless bodywork."""
    n = len(o)
    o["opened"] = o["day"] * DAY + 480 + (rng.beta(1.3, 1.9, n) * 560).astype(int)
    minutes = (20 + hours * 60 * rng.uniform(0.7, 1.2, n) + o["wait"]).astype(int)
    body = (o["order_type"] == "accident").to_numpy()
    o["wait_minutes"] = np.where(body, np.nan, minutes)
    o["settled"] = o["opened"] + np.where(body, rng.integers(2, 13, n) * DAY + rng.integers(-60, 120, n), minutes)


def _lines(rng, o: pd.DataFrame, spells: pd.DataFrame, persons: pd.DataFrame, lang: str) -> pd.DataFrame:
    """Labour and parts of the main job, of extra work and of work that was declined or put off."""
    n = len(o)
    owner = persons[["extra", "decline", "price"]].reindex(o["person"])
    main = np.zeros(n, dtype=int)
    for kind, jobs in words.JOBS_OF.items():
        rows = (o["order_type"] == kind).to_numpy()
        main[rows] = np.array(jobs)[rng.integers(0, len(jobs), rows.sum())]
    main[(main == 0) & (o["line"] == 4).to_numpy()] = 1  # an electric car has no oil
    workshop = o["order_type"].isin(["maintenance", "repair"]).to_numpy() & (o["service"] >= 0).to_numpy()
    extra = workshop & (rng.random(n) < owner["extra"].to_numpy())
    refused = workshop & (rng.random(n) < owner["decline"].to_numpy())
    add = np.array(words.ADD_ONS)
    job = np.concatenate(
        [main, add[rng.integers(0, len(add), extra.sum())], add[rng.integers(0, len(add), refused.sum())]]
    )
    order = np.concatenate([np.arange(n), np.flatnonzero(extra), np.flatnonzero(refused)])
    put_off = np.where(rng.random(refused.sum()) < 0.3, "postponed", "declined")
    status = np.concatenate([np.full(n + extra.sum(), "done", dtype=object), put_off.astype(object)])
    price = spells["list_price"].to_numpy()[o["spell"].to_numpy()]
    factor = (0.82 + price / 700_000) * owner["price"].to_numpy() ** 0.5
    rows = [_labour(order, job, status, factor, lang)]
    for place in range(2):
        has = np.array([len(j[3]) > place for j in words.JOBS])[job]
        rows.append(_parts(rng, order[has], job[has], status[has], factor, place, lang))
    lines = pd.concat(rows, ignore_index=True)
    return (
        lines.sort_values(["order", "rank", "item_code", "kind"], kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )


def _labour(order, job, status, factor, lang) -> pd.DataFrame:
    hours = np.array([j[2] for j in words.JOBS])[job]
    rate = np.array([135 if j[0].startswith("A") else 120 for j in words.JOBS])[job]
    return pd.DataFrame(
        {
            "order": order,
            "rank": job,
            "item_code": np.array([j[0] for j in words.JOBS], dtype=object)[job],
            "item_name": words.pick([j[1] for j in words.JOBS], lang)[job],
            "kind": "labour",
            "quantity": np.nan,
            "hours": hours,
            "amount_yuan": (hours * rate * factor[order]).round(),
            "status": status,
        }
    )


def _parts(rng, order, job, status, factor, place, lang) -> pd.DataFrame:
    none = ("", ("", ""), 0, 0, 1)
    parts = [j[3][place] if len(j[3]) > place else none for j in words.JOBS]
    low, high = (np.array([p[i] for p in parts])[job] for i in (3, 4))
    quantity = np.array([p[2] for p in parts])[job]
    unit = (rng.uniform(low, high) * factor[order]).round()
    return pd.DataFrame(
        {
            "order": order,
            "rank": job,
            "item_code": np.array([p[0] for p in parts], dtype=object)[job],
            "item_name": words.pick([p[1] for p in parts], lang)[job],
            "kind": "part",
            "quantity": quantity,
            "hours": np.nan,
            "amount_yuan": unit * quantity,
            "status": status,
        }
    )


def campaign_rows(
    rng: np.random.Generator, visits: pd.DataFrame, spells: pd.DataFrame, persons: pd.DataFrame, quality: np.ndarray
):
    """(campaign rows with both potential outcomes, visits as they came about).

    A treated person whose effect is positive comes with that probability when nothing would have brought them; with a
    negative effect a visit that would have happened is lost with that probability.
    """
    rows, removed, extra = [], np.zeros(len(visits), dtype=bool), []
    owner = spells["person"].to_numpy()[visits["spell"].to_numpy()]
    size = int(persons.index.max()) + 1
    day = visits["day"].to_numpy()
    effect = np.zeros(size)
    effect[persons.index] = persons["effect"]
    for number in range(8):
        when = AS_OF - 700 + number * 85 + int(rng.integers(0, 9))
        last = (
            spells[(spells["start"] < when - 30) & ~(spells["recorded"] & (spells["end"] <= when))]
            .groupby("person")
            .tail(1)
        )
        chosen = last[rng.random(len(last)) < 0.16]
        person, spell = chosen["person"].to_numpy(), chosen.index.to_numpy()
        held = (chosen["end"] > when + 60).to_numpy() & (chosen["resold"] > when + 60).to_numpy()
        treated = rng.random(len(chosen)) < 0.7
        in_window = (day > when) & (day <= when + 60) & ~removed
        came = np.zeros(size, dtype=bool)
        came[owner[in_window]] = True
        y0 = came[person]
        tau = np.where(held | y0, effect[person], 0)
        u = rng.random(len(chosen))
        y1 = np.where(y0, u >= -np.minimum(tau, 0), u < np.maximum(tau, 0))
        comes, stays_away = treated & y1 & ~y0, treated & y0 & ~y1
        away = np.zeros(size, dtype=bool)
        away[person[stays_away]] = True
        removed |= in_window & away[owner]
        extra.append(_brought(rng, spell[comes], when, spells["house"].to_numpy(), quality.shape[1]))
        rows.append(
            pd.DataFrame(
                {
                    "campaign_id": _campaign_id(when, number),
                    "person": person,
                    "assigned": when,
                    "arm": np.where(treated, "treated", "control"),
                    "effect": tau,
                    "y0": y0,
                    "y1": y1,
                    "risk": persons["risk"].reindex(person).to_numpy(),
                }
            )
        )
    more = pd.concat(extra, ignore_index=True)
    return pd.concat(rows, ignore_index=True), pd.concat([visits[~removed], more], ignore_index=True)


def _campaign_id(when: int, number: int) -> str:
    month = str(np.datetime64(when, "D"))
    return words.CAMPAIGN_NAMES[(int(month[5:7]) % 12) // 3] + month[2:4] + chr(65 + number)


def _brought(rng: np.random.Generator, spell: np.ndarray, when: int, house: np.ndarray, each: int) -> pd.DataFrame:
    """Visits that a campaign brought about."""
    n = len(spell)
    visits = {"spell": spell, "day": when + rng.integers(3, 60, n), "service": 99, "wait": rng.exponential(24, n)}
    adviser = house[spell] * each + rng.integers(0, each, n)
    return pd.DataFrame({**visits, "comeback": False, "complaint": False, "adviser": adviser, "grief": 0.0})


def campaign_results(rows: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Rows with ``responded`` (day of the first order within 60 days, or NEVER) and its revenue."""
    rows = rows.copy()
    rows["responded"], rows["revenue_yuan"] = NEVER, np.nan
    for when in rows["assigned"].unique():
        window = (
            orders[(orders["day"] > when) & (orders["day"] <= when + 60)].drop_duplicates("person").set_index("person")
        )
        here = rows.index[rows["assigned"] == when]
        found = window.reindex(rows.loc[here, "person"])
        rows.loc[here, "responded"] = found["day"].fillna(NEVER).astype(int).to_numpy()
        rows.loc[here, "revenue_yuan"] = found["total_yuan"].to_numpy()
    return rows
