"""Customer cards: one for each person, and a second one for about two in a hundred, typed in as if they were new."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import words
from dealerkit.demo.people import END, NEVER

#: Share of persons with a second card.
SECOND = 0.02
#: What the second card shares with the first: the phone; another phone but the ID number; another phone and no ID
#: number, yet the same car; nothing but name, residential area and car.
WAYS = {"phone": 0.45, "id": 0.25, "car": 0.18, "area": 0.12}


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


def make_cards(
    rng: np.random.Generator, persons: pd.DataFrame, orders: pd.DataFrame, lang: str, twice: bool
) -> pd.DataFrame:
    """All cards of the world with the day each was made (``created``), in that order.

    ``way`` says what a second card shares with the first (a key of `WAYS`; empty for first cards). Cards that share the
    car are made at a visit, which is written on them.
    """
    cards = persons.rename(columns={"name": "name_"}).copy()
    cards["person"], cards["duplicate"], cards["name"], cards["way"] = cards.index, False, cards["name_"], ""
    again = cards[~cards["prospect"] & (rng.random(len(cards)) < (SECOND if twice else 0))].copy()
    visit = _visit(rng, again["person"], orders, again["created"])
    way = rng.choice(list(WAYS), len(again), p=list(WAYS.values()))
    way = np.where((way == "id") & ~again["has_id"], "car", way)
    way = np.where((way == "area") & again["residential_area"].isna(), "car", way)
    again["way"] = way = np.where(np.isin(way, ["car", "area"]) & np.isnan(visit), "phone", way)
    again["phone"] = np.where(way == "phone", again["phone"], np.where(way == "area", None, again["phone_alt"]))
    again["phone_on"] = np.where(way == "phone", again["phone_on"], NEVER)
    again["has_id"] &= (way == "id") | ((way == "phone") & (rng.random(len(again)) < 0.4))
    variants = np.array([name_variant(rng, p, lang) for p in again.itertuples()], dtype=object)
    again["name"] = np.where((way == "area") & ~again["company"], again["name_"], variants)
    again["has_birth"], again["has_alt"], again["has_email"], again["duplicate"] = False, False, False, True
    keeps = np.where(way == "area", 1, rng.random(len(again)) < 0.5).astype(bool)
    again["residential_area"] = np.where(keeps, again["residential_area"], None)
    again["region"] = np.where(rng.random(len(again)) < 0.5, None, again["region"])
    for name in ("address", "occupation", "employer", "income_band", "lifestyle", "credit_grade"):
        again[name] = np.where((rng.random(len(again)) < 0.5) | (way == "area"), None, again[name])
    some_day = again["created"] + rng.random(len(again)) * (END - again["created"])
    again["created"] = np.where(np.isin(way, ["car", "area"]), visit, some_day).astype(int)
    return (
        pd.concat([cards, again]).sort_values(["created", "index", "duplicate"], kind="stable").reset_index(drop=True)
    )


def _visit(rng: np.random.Generator, person: pd.Series, orders: pd.DataFrame, after: pd.Series) -> np.ndarray:
    """Day of one of each person's visits after the first card was made; NaN without any."""
    days = orders.loc[orders["person"].isin(person), ["person", "day"]]
    days = days[days["day"].to_numpy() > after.reindex(days["person"]).to_numpy()]
    order = days["day"].groupby(days["person"])
    chosen = (rng.random(len(person)) * order.size().reindex(person).fillna(0)).astype(int).to_numpy()
    place = order.cumcount().to_numpy()
    wanted = pd.Series(chosen, person).reindex(days["person"]).to_numpy() == place
    return days[wanted].set_index("person")["day"].reindex(person).to_numpy(dtype=float)


def customer_of(rng: np.random.Generator, cards: pd.DataFrame, person, day) -> np.ndarray:
    """Customer number used for a person on a day, None without a card; with a second card, either of the two.

    ``cards`` are those of the export. The visit at which a second card was made is always on that card.
    """
    main = cards[~cards["duplicate"]].set_index("person")["customer_id"]
    second = cards[cards["duplicate"]].set_index("person")
    person, day = pd.Series(np.asarray(person)), np.asarray(day)
    other, made = second["customer_id"].reindex(person), second["created"].reindex(person).fillna(NEVER).to_numpy()
    use = (day >= made) & ((rng.random(len(person)) < 0.7) | (day == made))
    number = np.where(use, other.to_numpy(), main.reindex(person).to_numpy())
    return np.where(pd.isna(number), None, number)
