"""The factor library: what is known of each person and car at any day.

`person_factors` and `car_panel` serve ``as_of`` and earlier origins by the same expressions: an event counts when
it is dated on or before the origin, and columns that are only known at delivery (`known_from: export`) are served at
``as_of`` alone. Each factor is declared once (`catalogue`), with label, class and formula; the declarations make
the dictionary. A dealer's own factors (`own`) and those of further tables (`extra`) come from the params.
"""

from __future__ import annotations

from dealerkit.factors.cars import car_factors, car_panel
from dealerkit.factors.catalogue import CAR_FACTORS, PERSON_FACTORS
from dealerkit.factors.declared import CLASSES, DAYS_12M, DAYS_24M, DAYS_PER_MONTH, UNITS, Factor
from dealerkit.factors.dictionary import dictionary
from dealerkit.factors.extra import matched
from dealerkit.factors.own import check_own, kinds
from dealerkit.factors.persons import at, person_factors

__all__ = [
    "CAR_FACTORS",
    "CLASSES",
    "DAYS_12M",
    "DAYS_24M",
    "DAYS_PER_MONTH",
    "PERSON_FACTORS",
    "UNITS",
    "Factor",
    "at",
    "car_factors",
    "car_panel",
    "check_own",
    "dictionary",
    "kinds",
    "matched",
    "person_factors",
]
