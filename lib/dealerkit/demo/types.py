"""Customer types that an invented dealer is made of: the usual ones, ones well apart, or a single one.

``usual`` is what ships: five types that overlap as real customers do, with companies, leaving and replaced cars.
``apart`` has types so far apart in visits, money, driving and kind of work that a clustering should find them.
``none`` has one type with smooth, one-humped differences between persons, so that a clustering should find nothing.
Neither of the two has anything else that makes groups: no companies, one car each, two similar model lines, hardly
anybody leaves, nobody is new.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dealerkit.errors import UserError

_COLUMNS = (
    "name person_share company_share hazard other_rate km_year price discount extra decline booked premium lines"
).split()
#: What a type gives each of its persons.
TRAITS = ("hazard", "other_rate", "km_year", "price", "discount", "extra", "decline", "booked", "premium")
_FIRST_YEARS = {
    2015: 3,
    2016: 5,
    2017: 7,
    2018: 9,
    2019: 10,
    2020: 10,
    2021: 11,
    2022: 12,
    2023: 12,
    2024: 11,
    2025: 11,
    2026: 8,
}


@dataclass(frozen=True)
class Types:
    """Planted types and what goes with them.

    Attributes:
        name: ``usual``, ``apart`` or ``none``.
        table: a row per type: share among persons and companies, hazard of leaving, other visits a year, km a year,
            price paid, share of orders discounted, share of services with extra work, share declining it, share
            booked, whether the customer is of the better-paid, weights of the lines.
        companies, second_cars, elsewhere, little: shares of companies, of owners with a second car, of cars bought
            elsewhere, of cars that are driven little one day.
        replaces: cars are sold on and replaced; else each owner keeps the car.
        families: there are couples, fathers with sons, twins, namesakes and drivers who use their company's phone.
        within: standard deviation between persons of one type, as a factor to that of the usual types.
        smooth: standard deviation of the logarithm of each person's own traits around the type's.
        first_years: year of the first car → weight.
    """

    name: str
    table: pd.DataFrame
    companies: float = 0.07
    second_cars: float = 0.08
    elsewhere: float = 0.12
    little: float = 0.09
    replaces: bool = True
    families: bool = True
    within: float = 1.0
    smooth: dict[str, float] = field(default_factory=dict)
    first_years: dict[int, int] = field(default_factory=lambda: _FIRST_YEARS)

    @property
    def names(self) -> list[str]:
        """Names of the types."""
        return self.table["name"].tolist()

    def lines(self, segment: np.ndarray) -> np.ndarray:
        """Weight of each model line for persons of these types, shape (persons, lines)."""
        return np.array(self.table["lines"].tolist())[segment]

    def traits(self, rng: np.random.Generator, segment: np.ndarray) -> dict[str, np.ndarray]:
        """Traits of persons of these types; their own where the types vary smoothly."""
        made = {name: self.table[name].to_numpy()[segment] for name in TRAITS}
        for name, sd in self.smooth.items():
            own = made[name] * np.exp(rng.normal(-sd * sd / 2, sd, len(segment)))
            made[name] = own.clip(max=0.95) if name in ("discount", "extra", "decline") else own
        return made


def _table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=_COLUMNS)


USUAL = Types(
    "usual",
    _table(
        ("loyal", 0.28, 0.22, 0.45, 0.95, 12_500, 1.00, 0.18, 0.45, 0.10, 0.60, False, (1, 1.2, 1.2, 1, 0.9, 0.6)),
        ("comfort", 0.15, 0.15, 0.65, 1.10, 12_500, 1.40, 0.06, 0.60, 0.05, 0.65, True, (0.2, 0.5, 0.8, 1.2, 1.1, 3.5)),
        ("bargain", 0.25, 0.10, 1.70, 0.60, 11_500, 0.80, 0.60, 0.12, 0.40, 0.35, False, (1.8, 1.2, 0.7, 0.6, 0.7, 0.2)),
        ("road", 0.17, 0.48, 0.85, 1.75, 22_000, 1.00, 0.22, 0.40, 0.15, 0.40, False, (1, 1.2, 1.3, 1, 1.3, 0.4)),
        ("seldom", 0.15, 0.05, 1.00, 0.50, 5_500, 0.92, 0.15, 0.18, 0.20, 0.40, False, (1.3, 1, 0.8, 0.8, 1, 0.7)),
    ),
)  # fmt: skip

#: Cars of the two plain lines only, so that intervals do not differ by line.
_PLAIN = (1, 1, 0, 0, 0, 0)
#: Years of the first car that leave every owner more than two years to be known in.
_NONE_NEW = dict.fromkeys(range(2015, 2024), 1)
APART = Types(
    "apart",
    _table(
        ("city", 0.28, 0.28, 0.001, 0.10, 4_000, 0.30, 0.30, 0.05, 0.10, 0.4, False, _PLAIN),
        ("road", 0.26, 0.26, 0.001, 0.30, 60_000, 0.30, 0.10, 0.10, 0.10, 0.4, False, _PLAIN),
        ("repair", 0.24, 0.24, 0.001, 10.0, 8_000, 1.00, 0.10, 0.15, 0.10, 0.4, False, _PLAIN),
        ("comfort", 0.22, 0.22, 0.001, 0.15, 17_000, 80.0, 0.05, 0.95, 0.02, 0.6, True, _PLAIN),
    ),
    companies=0,
    second_cars=0,
    elsewhere=0,
    little=0,
    replaces=False,
    families=False,
    within=0.25,
    first_years=_NONE_NEW,
)  # fmt: skip
NONE = Types(
    "none",
    _table(("one", 1, 1, 0.0002, 1.0, 13_000, 1.0, 0.20, 0.35, 0.15, 0.5, False, _PLAIN)),
    companies=0,
    second_cars=0,
    elsewhere=0,
    little=0,
    replaces=False,
    families=False,
    smooth={"other_rate": 0.3, "km_year": 0.2, "price": 0.4, "discount": 0.4, "extra": 0.3, "decline": 0.4},
    first_years=_NONE_NEW,
)
TYPES = {types.name: types for types in (USUAL, APART, NONE)}


def find(name: str) -> Types:
    """The types of this name; raises `UserError` for another."""
    if name not in TYPES:
        raise UserError(f"--types {name} is not known", f"use one of {', '.join(TYPES)}")
    return TYPES[name]
