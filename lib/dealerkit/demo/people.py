"""Who the customers are: persons and companies with a hidden type, and the staff who look after them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo import ids, words
from dealerkit.demo.types import Types

#: Day of the export, and the last day of the world: the second month's export is of that day.
AS_OF = np.datetime64("2026-09-30").astype(int).item()
END = np.datetime64("2026-10-31").astype(int).item()
HISTORY = np.datetime64("2020-10-01").astype(int).item()


#: A day that never comes.
NEVER = 2**30
#: Where in the series of phone numbers those of persons who change theirs begin.
NEW_PHONES = 50_000_000
#: Ways of faking surveys: every score ten; one and the same score; surveys answered from the adviser's own few phones;
#: the customer's number exchanged for another a few days before the survey.
WAYS = ("tens", "straight", "own_phone", "phone_changed")
#: Customers that one adviser looks after; a dealer has eight advisers at least.
PER_ADVISER = 250
#: Shares among advisers of those who fake, who are honestly excellent, who bill the same customers again and again.
FAKERS, EXCELLENT, REPEATS = 0.25, 0.12, 0.06


def make_staff(
    rng: np.random.Generator, customers: int, shift: int, lang: str, fakers: float = FAKERS, first_way: int = 0
) -> pd.DataFrame:
    """All employees, with hidden quality of advisers (above 1: longer waits), and who of them fakes what.

    ``way`` is how an adviser fakes surveys (one of `WAYS`, empty for the honest), taken in turn from ``first_way`` on;
    ``excellent`` advisers are honest and loved; ``repeats`` marks who bills the same few customers again and again.
    """
    counts = {
        "adviser": max(8, customers // PER_ADVISER),
        "sales": max(6, customers // 300),
        "agent": max(4, customers // 800),
        "manager": max(4, customers // 600),
        "head": 2,
    }
    letters = {"adviser": "A", "sales": "S", "agent": "T", "manager": "M", "head": "K"}
    rows = [
        (f"{letters[kind]}{i + 1:0{3 if customers < 100_000 else 5}d}", kind)
        for kind, n in counts.items()
        for i in range(n)
    ]
    staff = pd.DataFrame(rows, columns=["staff_id", "kind"])
    staff["role"] = [words.ROLES[k][lang == "zh"] for k in staff["kind"]]
    staff["phone"] = ids.mobiles(4 * (10_000_000 - 1 - np.arange(len(staff))), shift)
    staff["quality"] = np.exp(rng.normal(0, 0.25, len(staff)))
    staff["way"], staff["excellent"], staff["repeats"] = "", False, False
    advisers = rng.permutation(counts["adviser"])
    cheats = max(1, round(fakers * len(advisers))) if fakers > 0 else 0
    loved = max(1, round(EXCELLENT * len(advisers)))
    staff.loc[advisers[:cheats], "way"] = [WAYS[(first_way + 2 * i + i // 2) % len(WAYS)] for i in range(cheats)]
    staff.loc[advisers[cheats : cheats + loved], "excellent"] = True
    again = max(1, round(REPEATS * len(advisers))) if fakers > 0 else 0
    staff.loc[advisers[cheats + loved : cheats + loved + again], "repeats"] = True
    return staff


def first_days(rng: np.random.Generator, count: int, first_years: dict[int, int]) -> np.ndarray:
    """Days on which persons buy their first car, by weights of the years."""
    weights = np.array(list(first_years.values()))
    years = np.array(list(first_years))
    year = rng.choice(years, count, p=weights / weights.sum())
    begins = np.array([np.datetime64(f"{y}-01-01").astype(int) for y in years])
    return begins[year - years[0]] + (rng.random(count) * np.where(year == 2026, 272, 365)).astype(int)


def make_persons(
    rng: np.random.Generator,
    start: int,
    count: int,
    shift: int,
    lang: str,
    types: Types,
    youngest: float = 21,
    newcomers=False,
) -> pd.DataFrame:
    """Persons and companies from number ``start``, with everything hidden about them; ages count from the first car.

    ``newcomers`` come in the month after the first export.
    """
    index = start + np.arange(count)
    company = rng.random(count) < types.companies
    kinds = len(types.table)
    shares = np.where(company[:, None], types.table["company_share"].to_numpy(), types.table["person_share"].to_numpy())
    segment = np.minimum((rng.random(count)[:, None] > shares.cumsum(axis=1)).sum(axis=1), kinds - 1)
    female = rng.random(count) < 0.38
    first = first_days(rng, count, types.first_years)
    if newcomers:
        first = AS_OF + 1 + (rng.random(count) * (END - AS_OF - 1)).astype(int)
    birth, slot = ids.birth_day(index, first - (rng.gamma(3.5, 5, count) + youngest).clip(max=72) * 365.25, shift)
    persons = pd.DataFrame({"index": index, "company": company, "segment": segment, "female": female, "first": first})
    persons["newcomer"] = newcomers
    persons["prospect"] = (rng.random(count) < 0.06) & ~company
    persons["frailty"] = rng.gamma(2.0, 1 / 2.0, count)
    persons["birth"], persons["slot"] = birth, slot
    persons["id_number"] = np.where(company, ids.usccs(index, shift), ids.resident_ids(birth, slot, female))
    persons["phone"] = ids.mobiles(4 * index, shift)
    persons["phone_alt"] = ids.mobiles(4 * index + 1, shift)
    # a new number in the month after the first export
    changes = (rng.random(count) < 0.004) & ~persons["newcomer"]
    persons["phone_new"] = ids.mobiles(4 * (index + NEW_PHONES), shift)
    persons["phone_on"] = np.where(changes, AS_OF + 1 + rng.integers(0, END - AS_OF, count), NEVER)
    for name, values in types.traits(rng, segment).items():
        persons[name] = values
    _names(rng, persons, lang)
    _background(rng, persons, lang)
    risk = np.log(persons["hazard"] * persons["frailty"])
    z = (risk - risk.mean()) / risk.std()
    persons["risk"] = risk
    # the effect of being called: sd about as large as its mean, correlation with risk −.3, some negative
    persons["effect"] = 0.09 + 0.09 * (-0.3 * z + np.sqrt(1 - 0.09) * rng.standard_normal(count))
    persons["fleet"] = np.where(company, np.minimum(1 + rng.geometric(0.3, count) * (rng.random(count) < 0.6), 40), 1)
    return persons


def _names(rng: np.random.Generator, persons: pd.DataFrame, lang: str) -> None:
    n, zh = len(persons), lang == "zh"
    surname = (rng.beta(0.9, 1.6, n) * len(words.SURNAMES)).astype(int)
    first, last = rng.integers(0, len(words.GIVEN_FIRST), n), rng.integers(0, 20, n)
    has_first = rng.random(n) < 0.85
    given_last = np.array([[p[zh] for p in sex] for sex in words.GIVEN_LAST], dtype=object)[
        persons["female"].astype(int), last
    ]
    given_first = np.where(has_first, words.pick(words.GIVEN_FIRST, lang)[first], "")
    given = np.where(
        has_first,
        given_first + given_last,
        given_last if zh else np.array([g.title() for g in given_last], dtype=object),
    )
    family = words.pick(words.SURNAMES, lang)[surname]
    private = family + ("" if zh else " ") + given
    number = persons["index"].to_numpy() // 96 + 1
    head = words.pick(words.COMPANY_HEADS, lang)[persons["index"] % 12]
    tail = words.pick(words.COMPANY_TAILS, lang)[persons["index"] // 12 % 8]
    firm = np.array([f"{h}{k}号{t}" if zh else f"{h} No. {k} {t}" for h, k, t in zip(head, number, tail)], dtype=object)
    persons["surname"], persons["given"] = family, given
    persons["given_first"], persons["given_last"] = given_first, given_last
    persons["name"] = np.where(persons["company"], firm, private)
    latin = words.pick(words.SURNAMES, "en")[surname]
    persons["email"] = [
        f"{s.lower()}.{i}@{'office' if c else 'mail'}.example.com"
        for s, i, c in zip(latin, persons["index"], persons["company"])
    ]


def _background(rng: np.random.Generator, persons: pd.DataFrame, lang: str) -> None:
    """What a customer card holds besides names; cells that nobody filled in are empty."""
    n, company = len(persons), persons["company"].to_numpy()

    def some(pairs, share, weights=None):
        values = words.pick(pairs, lang)[rng.choice(len(pairs), n, p=weights)]
        return np.where(rng.random(n) < share, values, None)

    area = rng.choice(len(words.AREAS), n, p=np.array([8, 7, 7, 6, 6, 6, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2]) / 75)
    persons["residential_area"] = np.where((rng.random(n) < 0.75) & ~company, words.pick(words.AREAS, lang)[area], None)
    street = words.pick(words.STREETS, lang)[area // 2]
    house, block, room = (
        rng.integers(1, 260, n),
        rng.integers(1, 20, n),
        rng.integers(1, 30, n) * 100 + rng.integers(1, 5, n),
    )
    address = [
        f"{s}{h}号{b}幢{r}室" if lang == "zh" else f"Room {r}, Block {b}, No. {h} {s}"
        for s, h, b, r in zip(street, house, block, room)
    ]
    persons["address"] = np.where(rng.random(n) < 0.7, address, None)
    persons["occupation"] = np.where(company, None, some(words.OCCUPATIONS, 0.6))
    firms = [(f"{h[0]} {t[0]}", f"{h[1]}{t[1]}") for h in words.COMPANY_HEADS for t in words.COMPANY_TAILS]
    persons["employer"] = np.where(company, None, some(firms, 0.3))
    comfort = persons["premium"].to_numpy()
    band = np.clip(rng.normal(1.6 + 1.1 * comfort, 0.9, n).round(), 0, 4).astype(int)
    persons["income_band"] = np.where((rng.random(n) < 0.45) & ~company, words.pick(words.INCOMES, lang)[band], None)
    persons["lifestyle"] = np.where(company, None, some(words.LIFESTYLES, 0.25))
    persons["credit_grade"] = some(words.CREDITS, 0.7, [0.4, 0.38, 0.17, 0.05])
    persons["service_level"] = np.where(
        comfort & (rng.random(n) < 0.5),
        words.SERVICE_LEVELS[2][lang == "zh"],
        some(words.SERVICE_LEVELS[:2], 0.8, [0.8, 0.2]),
    )
    persons["source_channel"] = some(words.CHANNELS, 0.9, [0.3, 0.15, 0.18, 0.08, 0.17, 0.07, 0.05])
    persons["marketing_consent"] = rng.choice(np.array(["yes", "no", None], dtype=object), n, p=[0.68, 0.12, 0.2])
    persons["has_id"] = rng.random(n) < np.where(company, 0.85, 0.7)
    persons["has_birth"] = (rng.random(n) < 0.65) & ~company
    persons["has_alt"] = rng.random(n) < 0.15
    persons["has_email"] = rng.random(n) < 0.25
    persons["manager"] = rng.random(n) < 0.4
