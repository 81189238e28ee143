"""Leak gate, tier a: phones, ID numbers, plates, VINs and e-mail addresses in anything a page shows.

Two ways: by pattern, in any normal form, and by looking up candidate tokens among the dealer's real values, which
finds odd forms. A hit stops the page from being written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dealerkit.messages import mask
from dealerkit.personal import found_in

#: Takes normalised tokens, returns those that are real values of the dealer.
Known = Callable[[set[str]], Iterable[str]]


@dataclass(frozen=True)
class Leak:
    """One personal value found: its kind, the value masked, and where it stands."""

    kind: str
    masked: str
    where: str


class PageError(Exception):
    """A page that must not be written; a failure of the kit, exit code 1."""

    exit_code = 1


class LeakError(PageError):
    """A page holds personal values; it was not written."""

    def __init__(self, page: str, leaks: list[Leak]):
        self.page, self.leaks = page, list(leaks)
        lines = [f"{leak.kind} {leak.masked} in {leak.where}" for leak in leaks[:10]]
        more = [f"… and {len(leaks) - 10} more"] if len(leaks) > 10 else []
        super().__init__("\n  - ".join([f"{page} was not written, it holds personal values:", *lines, *more]))

    def __reduce__(self):
        return type(self), (self.page, self.leaks)


_RUN = re.compile(r"\d[\d ().-]{5,30}\d")
_WORD = re.compile(r"[0-9A-Za-z]{5,20}")


def find(text: str, known: Known | None = None, where: str = "text") -> list[Leak]:
    """Personal values in a text, each once.

    Args:
        text: any text; parts that do not belong together stand on lines of their own.
        known: looks up normalised tokens (digits, or letters and digits in capitals, without separators) and
            returns those that are real values.
        where: said in each `Leak`.
    """
    return find_in([(where, text)], known)


def find_in(parts: Iterable[tuple[str, str]], known: Known | None = None) -> list[Leak]:
    """Personal values in (where, text) parts, each once; the look-up is asked once for all."""
    leaks, tokens = [], {}
    for where, text in parts:
        hits, rest = found_in(text)
        leaks.extend(Leak(kind, mask(value, kind), where) for kind, value in hits)
        if known is not None:
            for token in _tokens(rest):
                tokens.setdefault(token, where)
    real = sorted(known(set(tokens))) if tokens else []
    leaks.extend(Leak("known value", mask(token, "known value"), tokens[token]) for token in real)
    return list(dict.fromkeys(leaks))


def _tokens(text: str) -> set[str]:
    """Candidates for the look-up: runs of 7 or more digits, joined over separators, and words of 5 to 20."""
    tokens = {w.upper() for w in _WORD.findall(text) if any(c.isdigit() for c in w)}
    for run in _RUN.findall(text):
        groups = re.findall(r"\d+", run)
        for start in range(len(groups)):
            joined = ""
            for group in groups[start : start + 8]:
                joined += group
                if 7 <= len(joined) <= 20:
                    tokens.add(joined)
                    tokens.add(re.sub(r"^(?:00)?86(?=1\d{10}$)", "", joined))
    return tokens
