"""What the cars do: bought, serviced around the interval, lost, sold on, replaced.

A relationship of one owner with one car is a spell. At each service that falls due the owner may leave for good; the
hazard depends on type, service number, warranty, hidden frailty and past grief, so no model can know it all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.people import END, NEVER
from dealerkit.demo.types import Types

#: Where in the series of plates the second plates of a block's cars begin; a block has fewer cars.
OTHER_PLATES = 60_000


def first_purchases(rng: np.random.Generator, persons: pd.DataFrame, types: Types) -> pd.DataFrame:
    """One row per car slot of each owner with the day of the first purchase; further slots open later."""
    owners = persons[~persons["prospect"]]
    slots = owners["fleet"].to_numpy() + ((rng.random(len(owners)) < types.second_cars) & ~owners["company"].to_numpy())
    person = np.repeat(owners.index.to_numpy(), slots)
    further = np.concatenate([[False], person[1:] == person[:-1]]) if len(person) else np.zeros(0, dtype=bool)
    first = persons["first"].reindex(person).to_numpy()
    later = np.where(further, rng.random(len(person)) * (END - first), 0)
    return pd.DataFrame({"person": person, "start": (first + later).astype(int)})


def new_spells(
    rng: np.random.Generator,
    persons: pd.DataFrame,
    bought: pd.DataFrame,
    car_start: int,
    shift: int,
    again: bool,
    types: Types,
) -> pd.DataFrame:
    """Spells of new cars: line, VIN, plate, price, warranty, driving, true end of ownership."""
    n = len(bought)
    s = bought.reset_index(drop=True).copy()
    p = persons.loc[s["person"]].reset_index(drop=True)
    s["car"] = car_start + np.arange(n)
    year = s["start"].to_numpy().astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
    share = np.array([words.LINE_SHARES[max(y for y in words.LINE_SHARES if y <= v)] for v in range(2015, 2027)])[
        year - 2015
    ]
    weight = share * types.lines(p["segment"].to_numpy())
    cumulated = weight.cumsum(axis=1) / weight.sum(axis=1, keepdims=True)
    line = np.minimum((rng.random(n)[:, None] > cumulated).sum(axis=1), len(words.LINES) - 1)
    s["line"], s["model_year"] = line, year
    of = {key: np.array([ln[key] for ln in words.LINES]) for key in ("energy", "price", "km", "days", "first_km")}
    s["energy_type"] = of["energy"][line].astype(object)
    s["vin"] = ids.vins(s["car"], np.array([ln["vds"] for ln in words.LINES], dtype=object)[line], year, shift)
    s["plate"] = ids.plates(s["car"], s["energy_type"], shift)
    s["list_price"] = of["price"][line] + rng.integers(0, 5, n) * 5_000
    s["discount_price"] = (s["list_price"] * rng.beta(2, 30, n).clip(max=0.22) / 100).round() * 100
    warranty = np.array([ln["warranty"] for ln in words.LINES])[line]
    s["warranty_on"], s["warranty_km"] = s["start"] + warranty[:, 0], warranty[:, 1]
    s["km_day"] = p["km_year"] * np.exp(rng.normal(-0.04, 0.3 * types.within, n)) / 365.25
    s["regime"] = np.where(
        (rng.random(n) < types.little) & ~p["company"], s["start"] + rng.exponential(1700, n), NEVER
    ).astype(int)
    years = rng.gamma(16, np.where(p["company"], 5.6, 6.6) / 16, n) * np.exp(rng.normal(0, 0.05, n))
    s["end"] = np.where(types.replaces, s["start"] + (years * 365.25).astype(int), NEVER)
    s["sold_here"] = True if again else rng.random(n) > types.elsewhere
    s["born"], s["km_start"] = s["start"], 0.0
    s["generation"] = 1 if again else 0
    return _habits(rng, s, p, types)


def _habits(rng: np.random.Generator, s: pd.DataFrame, p: pd.DataFrame, types: Types) -> pd.DataFrame:
    n = len(s)
    s["punctual"] = np.exp(rng.normal(0.17, 0.16 * types.within, n))
    s["hazard"] = 0.055 * p["hazard"] * p["frailty"] * np.where(s["sold_here"], 1, 1.5)
    s["other_rate"] = 0.80 * p["other_rate"] * rng.gamma(4 / types.within**2, types.within**2 / 4, n)
    s["by_km"] = s["start"] + (s["warranty_km"] - s["km_start"]).clip(lower=0) / s["km_day"]
    s["warranty_end"] = np.minimum(s["warranty_on"], s["by_km"]).astype(int)
    s["adviser"] = rng.integers(0, 1 << 30, n)
    s["house"] = p["house"].to_numpy()
    return s


def odometer(s: pd.DataFrame, spell: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Km on the clock of the spell's car at a day; never falls."""
    start, regime, rate, base = (s[c].to_numpy()[spell] for c in ("start", "regime", "km_day", "km_start"))
    before = np.minimum(day, regime) - start
    after = np.maximum(day - regime, 0)
    return base + np.maximum(before, 0) * rate + after * rate * 0.2


def visit_paths(rng: np.random.Generator, s: pd.DataFrame, quality: np.ndarray) -> pd.DataFrame:
    """Visits of all spells up to `END`; writes ``churned`` (day of leaving, or NEVER) into ``s``.

    Returns columns spell, day, service (number of the service, 0 for other visits), wait, comeback, complaint, adviser.
    """
    n = len(s)
    names = "start end regime km_day line punctual hazard other_rate warranty_end adviser born house"
    col = {c: s[c].to_numpy() for c in names.split()}
    km = np.array([ln["km"] for ln in words.LINES])[col["line"]]
    days = np.array([ln["days"] for ln in words.LINES])[col["line"]]
    first_km = np.array([ln["first_km"] for ln in words.LINES])[col["line"]]
    stop = np.minimum(col["end"], END + 1)
    churned, grief, at = np.full(n, NEVER), np.zeros(n), col["start"].astype(float)
    ended = np.zeros(n, dtype=bool)  # has had a service after the warranty
    active, parts = np.arange(n), []
    for number in range(1, 80):
        if not len(active):
            break
        a = active
        little = at[a] >= col["regime"][a]
        interval = np.where((number == 1) & (col["born"][a] == col["start"][a]), first_km[a], km[a])
        gap = np.minimum(interval / (col["km_day"][a] * np.where(little, 0.2, 1)), days[a])
        gap = gap * col["punctual"][a] * np.exp(rng.normal(0, 0.16, len(a)))
        gap = gap * np.where(little & (rng.random(len(a)) < 0.6), 2.2, 1)
        due = at[a] + np.clip(gap, 40, 1000)
        stage = np.array([0.35, 0.7, 1.3, 1.5, 1.2])[min(number, 5) - 1]
        late = due > col["warranty_end"][a]
        stage = stage * np.where(late & ~ended[a], 4.0, np.where(late, 1.6, 1.0))
        ended[a] |= late
        leave = rng.random(len(a)) < 1 - np.exp(-col["hazard"][a] * stage * np.exp(0.9 * np.minimum(grief[a], 2.5)))
        inside = due < stop[a]
        until = np.minimum(due, stop[a])
        k = rng.poisson(col["other_rate"][a] * (until - at[a]) / 365.25)
        other = np.repeat(a, k)
        other_day = np.repeat(at[a], k) + rng.random(len(other)) * np.repeat(until - at[a], k)
        stays = inside & ~leave
        spell = np.concatenate([a[stays], other])
        day = np.floor(np.concatenate([due[stays], other_day])).astype(np.int64)
        service = np.concatenate([np.full(stays.sum(), number), np.zeros(len(other), dtype=int)])
        part = _experience(rng, spell, day, service, col["adviser"], col["house"], quality)
        grief *= 0.6
        np.add.at(grief, spell, part["grief"].to_numpy())
        parts.append(part)
        gone = inside & leave
        churned[a[gone]] = np.floor(due[gone]).astype(int)
        active = a[stays]
        at[active] = due[stays]
    s["churned"] = churned
    return pd.concat(parts, ignore_index=True)


def _experience(rng, spell, day, service, home_adviser, house, quality) -> pd.DataFrame:
    """How each visit went: adviser, extra wait in minutes, come-back, complaint, and the grief it leaves.

    ``quality`` has a row for each house, a column for each of its advisers.
    """
    m, each = len(spell), quality.shape[1]
    adviser = np.where(rng.random(m) < 0.65, home_adviser[spell], rng.integers(0, 1 << 30, m)) % each
    adviser = house[spell] * each + adviser
    quality = quality.ravel()
    wait = rng.exponential(24, m) * quality[adviser]
    comeback = (service == 0) & (rng.random(m) < 0.05 * quality[adviser])
    complaint = rng.random(m) < 0.012 + 0.22 * (wait > 80) + 0.3 * comeback
    grief = 0.6 * (wait > 80) + 0.8 * comeback + 0.9 * complaint
    return pd.DataFrame(
        {
            "spell": spell,
            "day": day,
            "service": service,
            "wait": wait,
            "comeback": comeback,
            "complaint": complaint,
            "adviser": adviser,
            "grief": grief,
        }
    )


def disposals(rng: np.random.Generator, s: pd.DataFrame) -> None:
    """Write into ``s`` how each spell ends: ``ending`` (open, trade_in, rebought, sold), ``recorded``, ``resold``."""
    n = len(s)
    over = s["end"].to_numpy() <= END
    kept = s["churned"].to_numpy() == NEVER
    again = over & (rng.random(n) < np.where(kept, 0.84, 0.51)) & (s["generation"] < 3)
    trade = again & (rng.random(n) < 0.62)
    s["ending"] = np.where(~over, "open", np.where(trade, "trade_in", np.where(again, "rebought", "sold")))
    s["recorded"] = np.where(trade, rng.random(n) < 0.92, over & (rng.random(n) < 0.15))
    resold = over & (rng.random(n) < np.where(trade, 0.10, 0.22))
    s["resold"] = np.where(resold, s["end"] + rng.integers(20, 160, n), NEVER)
    s.loc[s["resold"] > END - 30, "resold"] = NEVER


def _other_plates(s: pd.DataFrame, shift: int) -> np.ndarray:
    """Second plates of cars: of the next owner, or of the same one after a change."""
    return ids.plates(s["car"] + OTHER_PLATES, s["energy_type"], shift)


def _plates(rng: np.random.Generator, s: pd.DataFrame, car_start: int, shift: int, move: bool) -> None:
    """Give plates a life: some move with their owner to the next car, some change; writes into ``s``.

    ``plate_next`` is the plate from day ``plate_on`` on; from day ``plate_gone`` on the plate is on the owner's next car.
    Whoever replaces a petrol car by a new-energy one mostly keeps town and letter, in a plate of the other form.
    """
    s["plate_next"], s["plate_on"], s["plate_gone"] = None, NEVER, NEVER
    green = s["energy_type"].isin(["phev", "bev"]).to_numpy()
    for generation in range(1, 4):
        new = np.flatnonzero((s["generation"] == generation) & s["replaces"].notna())
        old = s["replaces"].to_numpy()[new].astype(int) - car_start
        u, plate = rng.random(len(new)), s["plate"].to_numpy(dtype=object).copy()
        moved = (u < 0.3) & (green[new] == green[old]) & move
        plate[new[moved]] = plate[old[moved]]
        s.loc[old[moved], "plate_gone"] = s["start"].to_numpy()[new[moved]]
        for i in np.flatnonzero((u < 0.7) & green[new] & ~green[old]):
            # E and K begin no other plate
            first = "E" if s.at[new[i], "energy_type"] == "bev" else "K"
            plate[new[i]] = plate[old[i]][:2] + first + plate[new[i]][3:]
        s["plate"] = plate
    changes = np.flatnonzero((rng.random(len(s)) < 0.015) & (s["resold"] == NEVER) & (s["plate_gone"] == NEVER))
    s.loc[changes, "plate_next"] = _other_plates(s.iloc[changes], shift)
    start, stop = (s[c].to_numpy()[changes] for c in ("start", "end"))
    s.loc[changes, "plate_on"] = (start + 1 + rng.random(len(changes)) * (np.minimum(stop, END) - start)).astype(int)


def make_spells(
    rng: np.random.Generator,
    persons: pd.DataFrame,
    car_start: int,
    shift: int,
    quality: np.ndarray,
    new_person,
    types: Types,
    move: bool,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(persons with second-hand owners added, spells, visits).

    ``new_person(count)`` makes the persons who bring a car second hand; plates ``move`` to the owner's next car or not.
    """
    bought, spells, visits, done = first_purchases(rng, persons, types).assign(replaces=np.nan, trade=False), [], [], 0
    for generation in range(4):
        s = new_spells(rng, persons, bought, car_start + done, shift, generation > 0, types)
        s["generation"] = generation
        v = visit_paths(rng, s, quality)
        disposals(rng, s)
        v["spell"] += done
        spells.append(s)
        visits.append(v)
        done += len(s)
        back = s[s["ending"].isin(["trade_in", "rebought"])]
        if not len(back):
            break
        lag = np.where(back["ending"] == "trade_in", 0, rng.integers(-20, 60, len(back)))
        start = back["end"].to_numpy() + lag
        keep = start <= END
        bought = pd.DataFrame(
            {
                "person": back["person"].to_numpy()[keep],
                "start": start[keep],
                "replaces": back["car"].to_numpy()[keep],
                "trade": (back["ending"] == "trade_in").to_numpy()[keep],
            }
        )
        if not len(bought):
            break
    all_spells = pd.concat(spells, ignore_index=True)
    _plates(rng, all_spells, car_start, shift, move)
    first = all_spells[all_spells["resold"] < NEVER]
    if not len(first):
        return persons, all_spells, pd.concat(visits, ignore_index=True)
    added = new_person(len(first))
    persons = pd.concat([persons, added])
    used = first.copy().reset_index(drop=True)
    used["km_start"] = odometer(all_spells, first.index.to_numpy(), first["end"].to_numpy())
    used["person"], used["start"], used["sold_here"] = added.index.to_numpy(), used["resold"], False
    used["end"], used["regime"], used["generation"], used["replaces"], used["trade"] = NEVER, NEVER, 9, np.nan, False
    used["plate"], used["plate_next"], used["plate_on"], used["plate_gone"] = (
        _other_plates(used, shift),
        None,
        NEVER,
        NEVER,
    )
    persons.loc[used["person"].to_numpy(), "house"] = used["house"].to_numpy()
    people = persons.loc[used["person"]].reset_index(drop=True)
    used["km_day"] = people["km_year"] / 365.25
    used = _habits(rng, used, people, types)
    v = visit_paths(rng, used, quality)
    # a second-hand owner is known because of a visit soon after buying
    hello = _experience(
        rng,
        np.arange(len(used)),
        np.minimum(used["start"].to_numpy() + 14, END - 2),
        np.zeros(len(used), dtype=int),
        used["adviser"].to_numpy(),
        used["house"].to_numpy(),
        quality,
    )
    v = pd.concat([v, hello], ignore_index=True)
    used["ending"], used["recorded"], used["resold"] = "open", False, NEVER
    v["spell"] += len(all_spells)
    return persons, pd.concat([all_spells, used], ignore_index=True), pd.concat([*visits, v], ignore_index=True)
