"""Families and look-alikes: who shares a phone, an address or a name with whom, and is somebody else all the same.

Pairs are planted into persons made at random, before they buy cars: couples (one phone or one address), fathers with
sons on one phone, twins, namesakes, and companies whose card carries the phone of the driver.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words

YEAR = 365.25
#: Pairs of each kind as a share of the persons; of companies for drivers.
SHARES = {"spouse": 0.03, "father_son": 0.008, "twins": 0.003, "namesake": 0.008, "company_driver": 0.1}
#: Nobody buys a car before.
ADULT = 20
#: No pairs.
NOBODY = pd.DataFrame({"a": pd.Series(dtype=int), "b": pd.Series(dtype=int), "kind": pd.Series(dtype=object)})


def plant(rng: np.random.Generator, persons: pd.DataFrame, shift: int, lang: str) -> pd.DataFrame:
    """Make pairs among the persons, in place; returns columns a, b (index labels of ``persons``) and kind.

    Nobody is in two pairs. The second of a pair takes over what the two share; ID numbers stay valid and different.
    """
    private = persons.index[~persons["company"] & ~persons["prospect"] & ~persons["newcomer"]].to_numpy()
    pool = _Pool(rng, persons, private)
    parts = [
        _couples(rng, persons, pool, shift),
        _fathers(rng, persons, pool, shift, lang),
        _twins(rng, persons, pool, lang),
        _namesakes(persons, pool, lang),
        _drivers(rng, persons, pool),
    ]
    return pd.concat(parts, ignore_index=True)


class _Pool:
    """Persons who are in no pair yet, in random order."""

    def __init__(self, rng: np.random.Generator, persons: pd.DataFrame, members: np.ndarray):
        self.persons, self.order, self.size = persons, rng.permutation(members), len(members)
        self.free = pd.Series(True, persons.index)

    def wanted(self, kind: str) -> int:
        share = SHARES[kind] / 2 if kind in ("twins", "namesake") else SHARES[kind]  # made for each sex apart
        return max(1, round(share * self.size))

    def members(self, mask: pd.Series) -> np.ndarray:
        """Free persons for whom the mask (by index label) holds, in random order."""
        fits = (mask & self.free).to_numpy()
        return self.order[fits[self.persons.index.get_indexer(self.order)]]

    def pairs(self, kind: str, a: np.ndarray, b: np.ndarray, fits: np.ndarray | None = None) -> pd.DataFrame:
        """The first wanted pairs that fit, their members now taken."""
        count = min(len(a), len(b))
        keep = np.flatnonzero(np.ones(count, dtype=bool) if fits is None else fits[:count])[: self.wanted(kind)]
        made = pd.DataFrame({"a": a[keep], "b": b[keep], "kind": kind})
        self.free.loc[made["a"]] = False
        self.free.loc[made["b"]] = False
        return made


def _put(persons: pd.DataFrame, who: pd.Series, **values) -> None:
    for column, given in values.items():
        persons.loc[who.to_numpy(), column] = given


def _get(persons: pd.DataFrame, who, column: str) -> np.ndarray:
    return persons.loc[np.asarray(who), column].to_numpy()


def _born(persons: pd.DataFrame, who: np.ndarray, day: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """(birth day near ``day``, slot) of persons, such that their ID numbers never repeat."""
    return ids.birth_day(_get(persons, who, "index"), day, shift)


def _rename(persons: pd.DataFrame, who: pd.Series, lang: str) -> None:
    gap = "" if lang == "zh" else " "
    _put(persons, who, name=_get(persons, who, "surname") + gap + _get(persons, who, "given"))


def _couples(rng, persons: pd.DataFrame, pool: _Pool, shift: int) -> pd.DataFrame:
    """A man and a woman of like age with one address; every second couple on one phone."""
    female = persons["female"].astype(bool)
    a, b = pool.members(~female & persons["address"].notna()), pool.members(female)
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    born, slot = _born(persons, b, _get(persons, a, "birth") + rng.normal(300, 500, count), shift)
    pairs = pool.pairs("spouse", a, b, born < _get(persons, b, "first") - ADULT * YEAR)
    at = pd.Series(range(count), b).reindex(pairs["b"]).to_numpy()
    _put(persons, pairs["b"], birth=born[at], id_number=ids.resident_ids(born[at], slot[at], np.ones(len(at), bool)))
    _share(persons, pairs, "address", "residential_area")
    _share(persons, pairs[rng.random(len(pairs)) < 0.5], "phone")
    return pairs


def _share(persons: pd.DataFrame, pairs: pd.DataFrame, *columns: str) -> None:
    _put(persons, pairs["b"], **{column: _get(persons, pairs["a"], column) for column in columns})


def _fathers(rng, persons: pd.DataFrame, pool: _Pool, shift: int, lang: str) -> pd.DataFrame:
    """A man and his son, 24 to 31 years younger, of one surname and on one phone."""
    male = ~persons["female"].astype(bool)
    old = persons["birth"] < persons.loc[male, "birth"].quantile(0.25)
    a, b = pool.members(male & old), pool.members(male & ~old)
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    born, slot = _born(persons, b, _get(persons, a, "birth") + rng.uniform(27, 28, count) * YEAR, shift)
    pairs = pool.pairs("father_son", a, b, born < _get(persons, b, "first") - ADULT * YEAR)
    at = pd.Series(range(count), b).reindex(pairs["b"]).to_numpy()
    _put(persons, pairs["b"], birth=born[at], id_number=ids.resident_ids(born[at], slot[at], np.zeros(len(at), bool)))
    _share(persons, pairs, "surname", "phone", "residential_area")
    _rename(persons, pairs["b"], lang)
    return pairs


def _twins(rng, persons: pd.DataFrame, pool: _Pool, lang: str) -> pd.DataFrame:
    """Two of one sex born on one day, of one surname, phone and address; their given names differ in the last character."""
    parts = []
    for sex in (0, 1):
        who = pool.members(
            (persons["female"] == bool(sex)) & (persons["given_first"] != "") & persons["address"].notna()
        )
        half = len(who) // 2
        a, b = who[:half], who[half : 2 * half]
        pairs = pool.pairs("twins", a, b, _get(persons, a, "birth") < _get(persons, b, "first") - ADULT * YEAR)
        born, first = _get(persons, pairs["a"], "birth"), _get(persons, pairs["a"], "given_first")
        numbers = ids.resident_ids(
            born, _get(persons, pairs["a"], "slot"), np.full(len(pairs), bool(sex)), ids.TWIN_COUNTIES
        )
        lasts = words.pick(words.GIVEN_LAST[sex], lang)
        place = pd.Index(lasts).get_indexer(_get(persons, pairs["a"], "given_last"))
        last = lasts[(place + rng.integers(1, len(lasts), len(pairs))) % len(lasts)]
        _put(persons, pairs["b"], birth=born, id_number=numbers, given=first + last)
        _share(persons, pairs, "surname", "phone", "address", "residential_area")
        _rename(persons, pairs["b"], lang)
        parts.append(pairs)
    return pd.concat(parts, ignore_index=True)


def _namesakes(persons: pd.DataFrame, pool: _Pool, lang: str) -> pd.DataFrame:
    """Two persons of one common name who share nothing else: other phone, other birth date, other part of the town."""
    common = persons["surname"].isin(words.pick(words.SURNAMES[:6], lang))
    parts = []
    for sex in (False, True):
        a = pool.members(common & (persons["female"] == sex))
        b = pool.members(~common & (persons["female"] == sex))
        count = min(len(a), len(b))
        a, b = a[:count], b[:count]
        pairs = pool.pairs(
            "namesake", a, b, _get(persons, a, "residential_area") != _get(persons, b, "residential_area")
        )
        _share(persons, pairs, "surname", "given", "name")
        parts.append(pairs)
    return pd.concat(parts, ignore_index=True)


def _drivers(rng, persons: pd.DataFrame, pool: _Pool) -> pd.DataFrame:
    """A company whose card carries the phone of the man who drives its car, himself a customer."""
    companies = rng.permutation(persons.index[persons["company"] & ~persons["newcomer"]].to_numpy())
    companies = companies[: max(1, round(SHARES["company_driver"] * len(companies)))]
    pairs = pool.pairs("company_driver", companies, pool.members(~persons["female"].astype(bool)))
    _put(persons, pairs["a"], phone=_get(persons, pairs["b"], "phone"))
    return pairs
