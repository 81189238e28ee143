"""What a factor is, and what its name says: class, label, formula, and unit and window read off the name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dealerkit.messages import N_

#: Months of a window → its days: an event counts when it lies fewer days before the origin.
DAYS = {months: round(months * 365 / 12) for months in (3, 6, 12, 24, 36)}
DAYS_12M, DAYS_24M = DAYS[12], DAYS[24]
DAYS_PER_MONTH = 30.4375

CLASSES = {
    "basic": N_("Basic"),
    "attributes": N_("Customer attributes"),
    "consumption": N_("Consumption"),
    "work": N_("Work"),
    "vehicle": N_("Vehicle and repair"),
    "contacts": N_("Service contacts"),
    "life_cycle": N_("Life cycle"),
}
#: Unit as it stands in a name → what people call it.
UNITS = {
    "yuan": N_("yuan"),
    "count": N_("number"),
    "share": N_("share, 0–1"),
    "ratio": N_("ratio"),
    "probability": N_("probability, 0–1"),
    "score": N_("score, 0–10"),
    "years": N_("years"),
    "months": N_("months"),
    "days": N_("days"),
    "hours": N_("hours"),
    "minutes": N_("minutes"),
    "seconds": N_("seconds"),
    "km": N_("km"),
    "flag": N_("1 yes, 0 no"),
    "text": N_("text"),
}
#: Window as it stands at the end of a name → what people call it; without one, the factor is a state at the origin.
WINDOWS = {
    **{f"{months}m": N_("{months:months}") for months in DAYS},
    "all": N_("ever"),
    "last": N_("latest"),
    "": N_("at the origin"),
}
_UNIT = "|".join(unit for unit in UNITS if unit not in ("flag", "text"))
_HOW = r"ago|left|overdue|mean|median|min|max|trend|per_[a-z]+|to_[a-z_]+"
#: ``<what>_<unit>[_<how>][_<window>]``; a state that is true or not, or a text, has no unit in its name.
NAME = re.compile(
    rf"(?:(?P<what>[a-z][a-z0-9]*(?:_[a-z0-9]+)*?)_)?(?P<unit>{_UNIT})(?P<how>(?:_(?:{_HOW}))*)(?:_(?P<window>\d+m|all|last))?"
)
_FLAG = re.compile(r"(?:is|has|consents|sold|last_was)_.+")


@dataclass(frozen=True)
class Factor:
    """A factor: its name says what, unit and window; ``formula`` says how; ``readable`` whether a person can read it."""

    name: str
    klass: str
    label: str
    formula: str
    readable: bool = True
    at_delivery_only: bool = False

    @property
    def unit(self) -> str:
        """Key of `UNITS`, read off the name."""
        return unit_of(self.name)

    @property
    def window(self) -> str:
        """Window as at the end of the name (``24m``, ``all``, ``last``); empty: a state at the origin."""
        return window_of(self.name)


def unit_of(name: str) -> str:
    """Unit that a name tells: a key of `UNITS`.

    >>> unit_of("spend_yuan_24m"), unit_of("is_company"), unit_of("member_level")
    ('yuan', 'flag', 'text')
    """
    found = NAME.fullmatch(name)
    return found["unit"] if found else "flag" if _FLAG.fullmatch(name) else "text"


def window_of(name: str) -> str:
    """Window that a name tells.

    >>> window_of("spend_yuan_24m"), window_of("survey_score_last"), window_of("recency_days")
    ('24m', 'last', '')
    """
    found = re.fullmatch(r".+_(\d+m|all|last)", name)
    return found[1] if found else ""
