"""One block of an invented dealer: clean canonical tables and the truth behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit import tables
from dealerkit.demo import cars, crm, people, words, workshop
from dealerkit.demo.cars import NEVER
from dealerkit.demo.people import AS_OF
from dealerkit.demo.types import Types
from dealerkit.demo.workshop import DAY

#: Persons made at once; blocks are independent, so memory does not grow with the size of the dealer.
BLOCK = 20_000
#: Numbers kept free for each block: customers (with second-hand owners and duplicates), cars, any other key.
ROOM, CAR_ROOM, KEY_ROOM = 40_000, 120_000, 2_000_000


def dates(days) -> np.ndarray:
    """Days since 1970 as dates; `NEVER`, negative and missing become NaT."""
    days = pd.to_numeric(pd.Series(np.asarray(days))).fillna(NEVER).to_numpy().astype(np.int64)
    return np.where((days >= NEVER) | (days < -40_000), np.datetime64("NaT"), days.astype("datetime64[D]")).astype(
        "datetime64[s]"
    )


def times(minutes) -> np.ndarray:
    """Minutes since 1970 as times; negative becomes NaT."""
    minutes = np.asarray(minutes).astype(np.int64)
    return np.where(minutes < 0, np.datetime64("NaT"), minutes.astype("datetime64[m]")).astype("datetime64[s]")


def seed_shift(seed: int) -> int:
    """Where this seed's numbers begin in every series of identifiers."""
    return int(np.random.default_rng([seed, 7]).integers(10**7, 10**9))


def make_block(
    seed: int, block: int, count: int, staff: pd.DataFrame, lang: str, types: Types
) -> tuple[dict, dict, list]:
    """(canonical frames, truth frames, faults so far) of ``count`` persons of block number ``block``."""
    rng, shift = np.random.default_rng([seed, 100 + block]), seed_shift(seed)
    persons = people.make_persons(rng, block * ROOM, count, shift, lang, types)

    def new_person(more: int) -> pd.DataFrame:
        added = people.make_persons(rng, block * ROOM + count, more, shift, lang, types, youngest=32)
        added.index += count
        return added.assign(prospect=False)

    quality = staff.loc[staff["kind"] == "adviser", "quality"].to_numpy()
    persons, spells, visits = cars.make_spells(rng, persons, block * CAR_ROOM, shift, quality, new_person, types)
    campaigns, visits = workshop.campaign_rows(rng, visits, spells, persons, quality)
    orders, lines = workshop.make_orders(rng, visits, spells, persons, staff, lang)
    campaigns = workshop.campaign_results(campaigns, orders)
    persons["created"] = _created(rng, persons, spells, orders)
    sales = _sales(rng, spells, staff, lang)
    leads, events = crm.make_leads(rng, sales, persons, staff, block * ROOM, shift, lang)
    contacts = crm.make_contacts(rng, persons, spells, shift, lang)
    calls = crm.make_interactions(rng, orders, campaigns, staff, lang)
    records, faults = _records(rng, persons, block, lang)
    world = {
        "persons": persons,
        "spells": spells,
        "orders": orders,
        "lines": lines,
        "campaigns": campaigns,
        "sales": sales,
        "leads": leads,
        "events": events,
        "contacts": contacts,
        "calls": calls,
        "records": records,
    }
    frames = _frames(rng, world, staff, block, lang)
    for row in calls[calls["score"] != calls["true_score"]].itertuples():
        if not np.isnan(row.true_score):
            faults.append(
                (
                    "interactions",
                    calls.at[row.Index, "id"],
                    "score",
                    "survey_score_faked",
                    f"{row.true_score:.0f}",
                    "10",
                )
            )
    return frames, _truth(world, types), faults


def _created(rng, persons, spells, orders) -> pd.Series:
    """Day on which the dealer wrote down each person: before the first sale, or at the first visit."""
    first_visit = orders.groupby("person")["day"].min().reindex(persons.index).fillna(AS_OF)
    start = spells.groupby("person")["start"].min().reindex(persons.index)
    here = spells[spells["sold_here"]].groupby("person")["start"].min().reindex(persons.index)
    created = np.where(
        here.notna(), here - rng.integers(0, 20, len(persons)), np.minimum(first_visit, start.fillna(AS_OF) + 200)
    )
    return pd.Series(
        np.where(persons["prospect"], AS_OF - rng.integers(1, 1090, len(persons)), np.minimum(created, AS_OF)),
        persons.index,
    ).astype(int)


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


def name_variant(rng: np.random.Generator, person, lang: str) -> str:
    """The name as another clerk may type it."""
    way = int(rng.integers(0, 4))
    if person.company:
        return (
            person.name_.replace("有限公司", "公司") if lang == "zh" else person.name_.replace(" Co., Ltd.", "").upper()
        )
    if lang == "zh":
        sound = "".join(words.HOMOPHONES.get(c, c) for c in person.given)
        return [
            person.surname + sound,
            person.surname + ("女士" if person.female else "先生"),
            f"{person.surname} {person.given}",
            person.name_ + "　",
        ][way]
    return [
        f"{person.given} {person.surname}",
        f"{'Ms' if person.female else 'Mr'} {person.surname}",
        person.name_.upper(),
        person.surname + person.given.lower(),
    ][way]


def _records(rng, persons, block, lang) -> tuple[pd.DataFrame, list]:
    """Customer cards: one per person, and a second one for about two in a hundred of them; (cards, faults)."""
    cards = persons.rename(columns={"name": "name_"}).copy()
    cards["person"], cards["duplicate"], cards["name"] = cards.index, False, cards["name_"]
    again = cards[~cards["prospect"] & (rng.random(len(cards)) < 0.02)].copy()
    same_phone = (rng.random(len(again)) < 0.6) | ~again["has_id"]
    again["phone"] = np.where(same_phone, again["phone"], again["phone_alt"])
    again["has_id"] &= ~same_phone | (rng.random(len(again)) < 0.4)
    again["name"] = [name_variant(rng, p, lang) for p in again.itertuples()]
    again["has_birth"], again["has_alt"], again["has_email"], again["duplicate"] = False, False, False, True
    for name in ("address", "occupation", "employer", "income_band", "lifestyle", "credit_grade"):
        again[name] = np.where(rng.random(len(again)) < 0.5, None, again[name])
    again["created"] = (again["created"] + rng.random(len(again)) * (AS_OF - again["created"])).astype(int)
    records = (
        pd.concat([cards, again]).sort_values(["created", "index", "duplicate"], kind="stable").reset_index(drop=True)
    )
    records["customer_id"] = [f"C{block * ROOM + i + 1:05d}" for i in range(len(records))]
    main = records[~records["duplicate"]].set_index("person")["customer_id"]
    faults = [
        ("customers", r.customer_id, "customer_id", "duplicate_customer", main[r.person], r.customer_id)
        for r in records[records["duplicate"]].itertuples()
    ]
    return records, faults


def _customer_of(rng, records: pd.DataFrame, person, day) -> np.ndarray:
    """Customer number used for a person on a day; after a second card was made, either of the two."""
    main = records[~records["duplicate"]].set_index("person")["customer_id"]
    second = records[records["duplicate"]].set_index("person")
    person = pd.Series(np.asarray(person))
    other, made = (
        second["customer_id"].reindex(person).to_numpy(),
        second["created"].reindex(person).fillna(NEVER).to_numpy(),
    )
    use = (np.asarray(day) >= made) & (rng.random(len(person)) < 0.7)
    return np.where(use, other, main.reindex(person).to_numpy())


def _keys(prefix: str, block: int, count: int) -> np.ndarray:
    return np.array([f"{prefix}{block * KEY_ROOM + i + 1:06d}" for i in range(count)], dtype=object)


def _give_keys(w: dict, block: int) -> pd.DataFrame:
    """Write keys into orders, sales, leads and calls; returns calls and lead events together in order of time."""
    orders, sales, leads, calls, events = w["orders"], w["sales"], w["leads"], w["calls"], w["events"]
    for frame, prefix in ((orders, "RO"), (sales, "SO"), (leads, "LD")):
        frame["id"] = _keys(prefix, block, len(frame))
    won = pd.Series(leads["id"].to_numpy(), leads["sale"]).drop(-1, errors="ignore")
    sales["lead"] = won.reindex(sales.index).to_numpy()
    leads["created_day"] = leads["created"] // DAY
    calls["lead"] = -1
    events = events.assign(score=np.nan, text=None, outcome=None, seconds=np.nan)
    both = pd.concat([calls, events], ignore_index=True).sort_values(["at", "kind", "person"], kind="stable")
    both["id"] = _keys("IN", block, len(both))
    calls["id"] = both["id"].sort_index().to_numpy()[: len(calls)]
    return both


def _frames(rng, w: dict, staff: pd.DataFrame, block: int, lang: str) -> dict[str, pd.DataFrame]:
    """The canonical tables, all columns in order; also writes the keys into the world's own frames."""
    records, orders, sales, leads = w["records"], w["orders"], w["sales"], w["leads"]

    def who(person, day):
        return _customer_of(rng, records, person, day)

    both = _give_keys(w, block)
    known = (both["person"] >= 0).to_numpy()
    frames = {
        "staff": staff if block == 0 else staff.iloc[:0],
        "customers": _customers(rng, w, staff, lang),
        "vehicles": _vehicles(rng, w, who, lang),
        "contacts": w["contacts"].assign(
            contact_id=_keys("CT", block, len(w["contacts"])),
            customer_id=who(w["contacts"]["person"], np.zeros(len(w["contacts"]))),
        ),
        "leads": leads.assign(
            lead_id=leads["id"],
            customer_id=np.where(leads["known"], who(leads["person"], leads["created_day"]), None),
            created_at=times(leads["created"]),
            assigned_at=times(leads["assigned"]),
            first_contact_at=times(leads["first_contact"]),
            recontacted_at=times(leads["recontacted"]),
            closed_at=times(leads["closed"]),
        ),
        "sales_orders": sales.assign(
            order_id=sales["id"],
            customer_id=who(sales["person"], sales["delivered"]),
            ordered_on=dates(sales["ordered"]),
            delivered_on=dates(sales["delivered"]),
            lead_id=sales["lead"],
        ),
        "service_orders": orders.assign(
            order_id=orders["id"],
            customer_id=who(orders["person"], orders["day"]),
            opened_at=times(orders["opened"]),
            settled_at=times(orders["settled"]),
            brought_by=_brought_by(rng, w),
        ),
        "service_lines": w["lines"].assign(order_id=orders["id"].to_numpy()[w["lines"]["order"]]),
        "interactions": both.assign(
            interaction_id=both["id"],
            at=times(both["at"]),
            lead_id=np.where(both["lead"] >= 0, leads["id"].to_numpy()[both["lead"].clip(lower=0)], None),
            customer_id=np.where(known, who(both["person"].clip(lower=0), both["at"] // DAY), None),
        ),
        "campaigns": w["campaigns"].assign(
            customer_id=who(w["campaigns"]["person"], np.zeros(len(w["campaigns"]))),
            assigned_on=dates(w["campaigns"]["assigned"]),
            cost_yuan=np.where(w["campaigns"]["arm"] == "treated", 8.5, 0.0),
            responded_on=dates(w["campaigns"]["responded"]),
        ),
    }
    w["campaigns"]["customer_id"] = frames["campaigns"]["customer_id"].to_numpy()
    return {
        name: frames[name].reindex(columns=table.names).reset_index(drop=True) for name, table in tables.TABLES.items()
    }


def _brought_by(rng, w: dict) -> np.ndarray:
    owner = w["persons"]["name"].reindex(w["orders"]["person"]).to_numpy()
    contact = w["contacts"].drop_duplicates("spell").set_index("spell")["name"].reindex(w["orders"]["spell"]).to_numpy()
    other = pd.notna(contact) & (rng.random(len(owner)) < 0.5)
    return np.where(other, contact, np.where(rng.random(len(owner)) < 0.9, owner, None))


def _customers(rng, w: dict, staff, lang) -> pd.DataFrame:
    r = w["records"]
    spent = w["orders"].groupby("person")["total_yuan"].sum().reindex(r["person"]).fillna(0).to_numpy()
    level = np.digitize(spent, [4_000, 12_000, 30_000])
    managers = staff.loc[staff["kind"] == "manager", "staff_id"].to_numpy()
    company = r["company"].to_numpy(dtype=bool)
    return r.assign(
        customer_type=np.where(company, "company", "person"),
        gender=np.where(company, None, np.where(r["female"], "f", "m")),
        birth_date=dates(np.where(r["has_birth"], r["birth"], NEVER)),
        id_number=np.where(r["has_id"], r["id_number"], None),
        phone_alt=np.where(r["has_alt"], r["phone_alt"], None),
        email=np.where(r["has_email"], r["email"], None),
        member_level=words.pick(words.LEVELS, lang)[level],
        points=(spent * rng.uniform(0.05, 0.3, len(r))).astype(int),
        account_manager_id=np.where(r["manager"], managers[rng.integers(0, len(managers), len(r))], None),
        created_on=dates(r["created"]),
    )


def _vehicles(rng, w: dict, who, lang) -> pd.DataFrame:
    spells, orders = w["spells"], w["orders"]
    first = spells[spells["generation"] < 9]
    new_owner = (
        spells[spells["generation"] == 9]
        .drop_duplicates("car", keep="last")
        .set_index("car")["person"]
        .reindex(first["car"])
    )
    person = np.where(new_owner.notna(), new_owner, first["person"]).astype(int)
    seen = orders.drop_duplicates("vin", keep="last").set_index("vin").reindex(first["vin"])
    n, here = len(first), first["sold_here"].to_numpy(dtype=bool)
    payment = w["sales"].set_index("spell")["payment"].reindex(first.index).to_numpy()
    anniversary = (
        first["start"].to_numpy()
        + np.ceil((seen["day"].fillna(first["start"] + 1).to_numpy() - first["start"].to_numpy() + 1) / 365) * 365
    )
    bought = np.where(here | (rng.random(n) < 0.6), first["start"], NEVER)
    f = first.assign(
        customer_id=who(person, np.full(n, -1)),
        brand=words.BRAND[lang == "zh"],
        purchased_on=dates(bought),
        list_price_yuan=first["list_price"].astype(float),
        purchase_price_yuan=np.where(here, first["list_price"] - first["discount_price"], np.nan),
        warranty_ends_on=dates(np.where(bought < NEVER, first["warranty_on"], NEVER)),
        odometer_km=seen["odometer_km"].to_numpy(),
        odometer_on=dates(seen["day"].to_numpy()),
        insurance_ends_on=dates(np.where(rng.random(n) < 0.6, anniversary, NEVER)),
        finance_ends_on=dates(np.where(payment == "loan", first["start"] + 1096, NEVER)),
        disposed_on=dates(np.where(first["recorded"] & (new_owner.isna()).to_numpy(), first["end"], NEVER)),
    )
    f["sold_here"] = np.where(here, "yes", "no")
    f["series"] = words.pick([ln["name"] for ln in words.LINES], lang)[first["line"].to_numpy()]
    return f


def _truth(w: dict, types: Types) -> dict[str, pd.DataFrame]:
    """What a run must never see, keyed by the raw tables' own keys; person ids are made of the person's index."""
    persons = w["persons"]

    def pid(local):
        return np.array([f"P{i:08d}" for i in persons["index"].reindex(local)], dtype=object)

    records = w["records"]
    history = pd.DataFrame(
        {
            "person_id": pid(persons.index),
            "customer_type": np.where(persons["company"], "company", "person"),
            "is_prospect": persons["prospect"].to_numpy(dtype=bool),
            "segment": types.table["name"].to_numpy()[persons["segment"]],
            "frailty": persons["frailty"].to_numpy(),
            "risk": persons["risk"].to_numpy(),
            "call_effect": persons["effect"].to_numpy(),
            "fleet_size": persons["fleet"].to_numpy(),
        }
    )
    c, leads = w["campaigns"], w["leads"]
    people_now = persons[["name", "surname", "female", "company", "phone"]].assign(person_id=pid(persons.index))
    return {
        "people": people_now,
        "persons": history,
        "cars": _car_truth(w["spells"], pid(w["spells"]["person"])),
        "records": pd.DataFrame(
            {
                "source": "dms",
                "customer_id": records["customer_id"],
                "person_id": pid(records["person"]),
                "is_duplicate": records["duplicate"].to_numpy(dtype=bool),
            }
        ),
        "uplift": pd.DataFrame(
            {
                "campaign_id": c["campaign_id"],
                "customer_id": c["customer_id"],
                "person_id": pid(c["person"]),
                "arm": c["arm"],
                "effect": c["effect"],
                "comes_untreated": c["y0"].to_numpy(dtype=bool),
                "comes_treated": c["y1"].to_numpy(dtype=bool),
                "risk": c["risk"],
            }
        ),
        "leads": pd.DataFrame(
            {
                "lead_id": leads["id"],
                "person_id": np.where(leads["known"], pid(leads["person"]), None),
                "won": (leads["status"] == "won").to_numpy(),
            }
        ),
    }


def _car_truth(spells: pd.DataFrame, person_id: np.ndarray) -> pd.DataFrame:
    """One row per owner and car: when it was owned, when and why the dealer lost it."""
    churned, end = spells["churned"].to_numpy(), spells["end"].to_numpy()
    left = churned < np.minimum(end, AS_OF + 1)
    over = end <= AS_OF
    little = spells["regime"].to_numpy() <= AS_OF
    cause = np.where(
        left,
        "went_elsewhere",
        np.where(
            over,
            np.where(spells["ending"] == "trade_in", "traded_in", "sold"),
            np.where(little, "drives_little", "active"),
        ),
    )
    day = np.where(left, churned, np.where(over, end, NEVER))
    return pd.DataFrame(
        {
            "vin": spells["vin"],
            "person_id": person_id,
            "owned_from": dates(spells["start"]),
            "owned_to": dates(end),
            "disposal_recorded": spells["recorded"].to_numpy(dtype=bool),
            "cause": cause,
            "churned_on": dates(day),
            "ending": np.where(over, spells["ending"], "open"),
            "replaced_here": spells["ending"].isin(["trade_in", "rebought"]).to_numpy(),
            "km_per_year": (spells["km_day"] * 365.25).round(0),
            "drives_little_from": dates(np.where(little, spells["regime"], NEVER)),
            "second_hand": (spells["generation"] == 9).to_numpy(),
        }
    )
