"""The rule for small numbers of persons, so that nobody can be worked out of a breakdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Counts from 1 to this one are not shown.
SMALL = 4
#: Counts below this one carry no rate.
RATE_FROM = 30


def is_small(count: float) -> bool:
    """Whether a count of persons is too small to be shown."""
    return 0 < count <= SMALL


@dataclass(frozen=True)
class Protected:
    """A breakdown after the rule.

    Attributes:
        status: for each count ``shown``, ``small`` (1–4, to be written "<5") or ``hidden`` (left out lest a
            small one can be worked out from the total).
        total_hidden: the total has to be left out as well.
    """

    status: tuple[str, ...]
    total_hidden: bool = False

    def rate_allowed(self, counts: Sequence[float | None]) -> tuple[bool, ...]:
        """Whether a rate or share may stand beside each count."""
        return tuple(
            s == "shown" and c is not None and c == c and (c == 0 or c >= RATE_FROM)
            for s, c in zip(self.status, counts, strict=True)
        )


def protect(counts: Sequence[float | None], total_known: bool = True) -> Protected:
    """Apply the rule to the parts of one breakdown.

    Counts of 1–4 are small. When the total is known, so is the sum of what is not shown; if that sum leaves only
    one possibility for the small ones, the smallest other part (the first among equals) is hidden too, and so on.
    If no part is left to hide, the total is.

    Reasoning for k small parts with m hidden parts and sum s of all these: a hidden part is at least 5 and, since
    the smallest are hidden first, at most the smallest part d still shown. So the small ones add up to anything from
    max(k, s − m·d) to min(4k, s − 5m). They are known one by one when only one sum is possible and that sum is
    k or 4k, or k is 1.
    """
    values = [0 if c is None or c != c else int(c) for c in counts]
    status = ["small" if 0 < v <= SMALL else "shown" for v in values]
    small = [i for i, s in enumerate(status) if s == "small"]
    if not small or not total_known:
        return Protected(tuple(status))
    rest = sorted((v, i) for i, v in enumerate(values) if v > SMALL)
    k, hidden, unshown = len(small), 0, sum(values[i] for i in small)
    while _known(k, hidden, unshown, rest[0][0] if rest else None):
        if not rest:
            return Protected(tuple(status), total_hidden=True)
        value, index = rest.pop(0)
        status[index] = "hidden"
        hidden, unshown = hidden + 1, unshown + value
    return Protected(tuple(status))


def _known(k: int, hidden: int, unshown: int, smallest_shown: int | None) -> bool:
    """Whether someone who knows this rule and the sum not shown can tell every small part."""
    highest = min(SMALL * k, unshown - (SMALL + 1) * hidden)
    lowest = k if hidden and smallest_shown is None else max(k, unshown - hidden * (smallest_shown or 0))
    return highest <= lowest and (k == 1 or lowest in (k, SMALL * k))
