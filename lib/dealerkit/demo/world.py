"""One block of an invented dealer: everything that happens up to the world's last day, and nothing of what is written down."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import cards, cars, crm, fakes, kin, people, words, workshop
from dealerkit.demo.people import AS_OF, END
from dealerkit.demo.types import Types
from dealerkit.demo.workshop import DAY

#: Persons made at once; blocks are independent, so memory does not grow with the size of the dealer.
BLOCK = 20_000
#: Numbers kept free for each block: customers (with second-hand owners and duplicates), cars, any other key.
ROOM, CAR_ROOM, KEY_ROOM = 40_000, 120_000, 2_000_000
#: Persons who come in the month after the first export, as a share of the others.
NEWCOMERS = 0.008


def seed_shift(seed: int) -> int:
    """Where this seed's numbers begin in every series of identifiers."""
    return int(np.random.default_rng([seed, 7]).integers(10**7, 10**9))


def make_block(
    seed: int,
    block: int,
    count: int,
    staff: pd.DataFrame,
    lang: str,
    types: Types,
    faulty: bool = True,
    houses: int = 1,
) -> dict:
    """Everything about ``count`` persons of block number ``block`` and those who come later, table by table.

    Without ``faulty`` no card is made twice, no plate moves to another car, and what is known of cars is kept up. With several ``houses`` the persons
    are shared out evenly, and each house has its own advisers (of as many as ``staff`` has, house by house).
    """
    rng, shift = np.random.default_rng([seed, 100 + block]), seed_shift(seed)
    persons = people.make_persons(rng, block * ROOM, count, shift, lang, types)
    later = people.make_persons(
        rng, block * ROOM + count, max(1, round(NEWCOMERS * count)), shift, lang, types, newcomers=True
    )
    later.index += count
    for part in (persons, later):
        part["house"] = np.arange(len(part)) * houses // len(part)
    persons = pd.concat([persons, later])
    pairs = kin.plant(rng, persons, shift, lang) if types.families else kin.NOBODY

    def new_person(more: int) -> pd.DataFrame:
        added = people.make_persons(rng, block * ROOM + len(persons), more, shift, lang, types, youngest=32)
        added.index += len(persons)
        return added.assign(prospect=False, house=0)

    quality = staff.loc[staff["kind"] == "adviser", "quality"].to_numpy().reshape(houses, -1)
    first = len(persons)
    persons, spells, visits = cars.make_spells(
        rng, persons, block * CAR_ROOM, shift, quality, new_person, types, faulty
    )
    persons["region"] = _regions(rng, persons, spells, lang)
    campaigns, visits = workshop.campaign_rows(rng, visits, spells, persons, quality)
    orders, lines = workshop.make_orders(rng, visits, spells, persons, staff, lang)
    orders, lines = fakes.add_repeats(rng, orders, lines, spells, staff, lang)
    campaigns = workshop.campaign_results(campaigns, orders)
    persons["created"] = _created(rng, persons, spells, orders, first)
    spells["known"] = _known(spells, orders, persons)
    sales = _sales(rng, spells, staff, lang)
    leads, events = crm.make_leads(rng, sales, persons, staff, block * ROOM, shift, lang)
    contacts = crm.make_contacts(rng, persons, spells, pairs, shift, lang)
    calls = crm.make_interactions(rng, orders, campaigns, persons, staff, lang)
    fakes.fake_surveys(rng, calls, staff, shift, block * ROOM, lang)
    world = {
        "persons": persons,
        "kin": pairs,
        "spells": spells,
        "orders": orders,
        "lines": lines,
        "campaigns": campaigns,
        "sales": sales,
        "leads": leads,
        "contacts": contacts,
        "calls": calls,
        "cards": cards.make_cards(rng, persons, orders, lang, faulty),
        "staff": staff,
        "careless": faulty,
    }
    world["contacts_made"] = _give_keys(world, events, block)
    return world


def _regions(rng, persons, spells, lang) -> np.ndarray:
    """Province and town, for most that of the first plate."""
    letter = spells.drop_duplicates("person").set_index("person")["plate"].str[1].reindex(persons.index)
    town = pd.Index(list("BALFDJ")).get_indexer(letter)
    moved = (town < 0) | (rng.random(len(persons)) < 0.05)
    town = np.where(moved, rng.integers(0, len(words.REGIONS), len(persons)), town)
    return np.where(rng.random(len(persons)) < 0.7, words.pick(words.REGIONS, lang)[town], None)


def _created(rng, persons, spells, orders, first: int) -> pd.Series:
    """Day on which the dealer wrote down each person: before the first sale, or at the first visit.

    All of the ``first`` persons who had a car by the first export are known by then.
    """
    first_visit = orders.groupby("person")["day"].min().reindex(persons.index).fillna(END)
    start = spells.groupby("person")["start"].min().reindex(persons.index)
    here = spells[spells["sold_here"]].groupby("person")["start"].min().reindex(persons.index)
    base = np.where(persons["newcomer"], END, AS_OF)
    latest = np.where((np.arange(len(persons)) < first) & (start.fillna(0) <= base).to_numpy(), base, END)
    created = np.where(
        here.notna(), here - rng.integers(0, 20, len(persons)), np.minimum(first_visit, start.fillna(END) + 200)
    )
    prospect = base - rng.integers(1, np.where(persons["newcomer"], END - AS_OF, 1090), len(persons))
    return pd.Series(np.where(persons["prospect"], prospect, np.minimum(created, latest)), persons.index).astype(int)


def _known(spells, orders, persons) -> pd.Series:
    """Day since which a car is on file: its sale here, else its first visit, and half a year after its sale at the latest."""
    visit = orders.groupby("spell")["day"].min().reindex(spells.index).fillna(END)
    elsewhere = np.minimum(visit, spells["start"] + 200)
    elsewhere = np.where(spells["start"] <= AS_OF, np.minimum(elsewhere, AS_OF), np.minimum(elsewhere, END))
    card = persons["created"].reindex(spells["person"]).to_numpy()
    return pd.Series(np.maximum(np.where(spells["sold_here"], spells["start"], elsewhere), card), spells.index)


def _sales(rng, spells, staff, lang) -> pd.DataFrame:
    new = spells[spells["sold_here"].astype(bool) & (spells["generation"] < 9)].sort_values(["start", "car"])
    n = len(new)
    sellers = staff.loc[staff["kind"] == "sales", "staff_id"].to_numpy()
    vin_of = spells.drop_duplicates("car").set_index("car")["vin"]
    traded = new["trade"].eq(True).to_numpy()
    old = new["replaces"].to_numpy()
    month = new["start"].to_numpy().astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    promotion = np.where(month < 4, 0, np.where(traded, 1, np.where(month > 9, 3, 2)))
    return pd.DataFrame(
        {
            "person": new["person"].to_numpy(),
            "spell": new.index.to_numpy(),
            "line": new["line"].to_numpy(),
            "vin": new["vin"].to_numpy(),
            "delivered": new["start"].to_numpy(),
            "ordered": new["start"].to_numpy() - rng.integers(2, 45, n),
            "price_yuan": new["list_price"].to_numpy() - new["discount_price"].to_numpy(),
            "discount_yuan": new["discount_price"].to_numpy(),
            "trade_in_vin": np.where(traded, vin_of.reindex(old).to_numpy(), None),
            "payment": rng.choice(["cash", "loan", "lease"], n, p=[0.48, 0.46, 0.06]),
            "promotion": np.where(rng.random(n) < 0.4, words.pick(words.PROMOTIONS, lang)[promotion], None),
            "region_tier": words.pick(words.TIERS, lang)[rng.choice(4, n, p=[0.05, 0.6, 0.2, 0.15])],
            "salesperson_id": sellers[rng.integers(0, len(sellers), n)],
            "accessories_yuan": np.where(rng.random(n) < 0.45, rng.integers(3, 90, n) * 100, 0),
        }
    )


def keys(prefix: str, block: int, count: int) -> np.ndarray:
    """Numbers of ``count`` rows of a block, as a system gives them out."""
    return np.array([f"{prefix}{block * KEY_ROOM + i + 1:06d}" for i in range(count)], dtype=object)


def _give_keys(w: dict, events: pd.DataFrame, block: int) -> pd.DataFrame:
    """Write keys into all rows; returns calls and lead events together in order of time."""
    orders, sales, leads, calls = w["orders"], w["sales"], w["leads"], w["calls"]
    for frame, prefix in ((orders, "RO"), (sales, "SO"), (leads, "LD"), (w["contacts"], "CT")):
        frame["id"] = keys(prefix, block, len(frame))
    w["cards"]["customer_id"] = [f"C{block * ROOM + i + 1:05d}" for i in range(len(w["cards"]))]
    won = pd.Series(leads["id"].to_numpy(), leads["sale"]).drop(-1, errors="ignore")
    sales["lead"] = won.reindex(sales.index).to_numpy()
    calls["lead"] = -1
    events = events.assign(score=np.nan, text=None, outcome=None, seconds=np.nan, phone=None)
    both = pd.concat([calls, events], ignore_index=True).sort_values(["at", "kind", "person"], kind="stable")
    both["id"] = keys("IN", block, len(both))
    calls["id"] = both["id"].sort_index().to_numpy()[: len(calls)]
    return both[both["at"] < (END + 1) * DAY].reset_index(drop=True)
