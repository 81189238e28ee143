"""Leak gate, tier a: phones, ID numbers, plates, VINs and e-mail addresses in anything a page shows.

Two ways: by pattern, in any normal form, and by looking up candidate tokens among the dealer's real values, which
finds odd forms. A hit stops the page from being written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from dealerkit.messages import mask

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


_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PROVINCE_CODES = {
    11,
    12,
    13,
    14,
    15,
    21,
    22,
    23,
    31,
    32,
    33,
    34,
    35,
    36,
    37,
    41,
    42,
    43,
    44,
    45,
    46,
    50,
    51,
    52,
    53,
    54,
    61,
    62,
    63,
    64,
    65,
    71,
    81,
    82,
    83,
    91,
}
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VIN_VALUES = dict(
    zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", [*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)], strict=True)
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)

_INVISIBLE = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF])
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_LONG_HASH = re.compile(r"(?<![0-9a-zA-Z])(?=[0-9]*[a-f])[0-9a-f]{32,}(?![0-9a-zA-Z])")
_NOT_IN_NUMBER = r"(?<!\d)(?<!\d[.,])"

# 64 characters is what a mailbox may have; without an end, a long word is searched again from each of its letters.
_EMAIL = re.compile(r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_MOBILE = re.compile(
    _NOT_IN_NUMBER
    + r"(?:(?:\+ ?|00)?86[ -]?|\(\+?86\) ?)?(1[3-9]\d[ -]{0,2}\d{4}[ -]{0,2}\d{4}|1[3-9]\d[ -]\d{3}[ -]?\d{5}"
    r"|1[3-9],\d{3},\d{3},\d{3})(?!\d)"
)
_LANDLINE = re.compile(
    _NOT_IN_NUMBER + r"(?:\+ ?86[ -]?|0086[ -]?)?(?:\(0?(?:10|2\d|[3-9]\d{2})\) ?|0(?:10|2\d|[3-9]\d{2})[ -]?)"
    r"[2-8]\d{2,3}[ -]?\d{4}(?!\d)"
)
_ID18 = re.compile(_NOT_IN_NUMBER + r"[1-9]\d{5}[ -]?(?:18|19|20)\d{2}[ -]?\d{4}[ -]?\d{3}[ -]?[\dXx](?![0-9A-Za-z])")
_ID15 = re.compile(_NOT_IN_NUMBER + r"[1-9]\d{5}[ -]?\d{6}[ -]?\d{3}(?!\d)")
_CODE18 = re.compile(
    r"(?<![0-9A-Za-z])[1-9A-HJ-NPQRTUWXY][1-9]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])", re.IGNORECASE
)
_VIN = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Za-z]*\d)(?=[0-9A-Za-z]*[A-Za-z])[A-HJ-NPR-Z0-9]{17}(?![0-9A-Za-z])", re.IGNORECASE
)
_VIN_SPACED = re.compile(r"(?<![0-9A-Za-z])[A-HJ-NPR-Z0-9](?:[ -]?[A-HJ-NPR-Z0-9]){16}(?![0-9A-Za-z])")
_PLATE = re.compile(
    rf"[{_PROVINCES}][ ·•・.-]{{0,2}}[A-HJ-Z][ ·•・.-]{{0,3}}"
    r"(?:[A-HJK][A-HJ-NP-Z0-9]\d{4}|\d{5}[A-HJK]|(?=(?:[A-Z]*\d){3})[A-HJ-NP-Z0-9]{5}|[A-HJ-NP-Z0-9]{4}[学警港澳挂领])(?![0-9A-Z])",
    re.IGNORECASE,
)
_RUN = re.compile(r"\d[\d ().-]{5,30}\d")
_WORD = re.compile(r"[0-9A-Za-z]{5,20}")


def normal(text: str) -> str:
    """The text in the form in which it is searched: half width, plain dashes and spaces, nothing invisible."""
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).translate(_DASHES)
    return re.sub(r"[^\S\n]", " ", text)


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
        hits, rest = _patterns(text)
        leaks.extend(Leak(kind, mask(value, kind), where) for kind, value in hits)
        if known is not None:
            for token in _tokens(rest):
                tokens.setdefault(token, where)
    real = sorted(known(set(tokens))) if tokens else []
    leaks.extend(Leak("known value", mask(token, "known value"), tokens[token]) for token in real)
    return list(dict.fromkeys(leaks))


def _patterns(text: str) -> tuple[list[tuple[str, str]], str]:
    """(kind, value) found by pattern, and the text without them; longer forms first, so that an ID is no phone."""
    text, hits = _LONG_HASH.sub("…", normal(text)), []
    for kind, pattern, valid in (
        ("email", _EMAIL, None),
        ("id", _ID18, _is_id18),
        ("uscc", _CODE18, _is_uscc),
        ("vin", _VIN, None),
        ("vin", _VIN_SPACED, _is_checked_vin),
        ("plate", _PLATE, None),
        ("phone", _MOBILE, None),
        ("id", _ID15, _is_id15),
        ("phone", _LANDLINE, None),
    ):
        found = [m[0] for m in pattern.finditer(text) if valid is None or valid(_bare(m[0]))]
        hits.extend((kind, value) for value in found)
        for value in found:
            text = text.replace(value, "…")
    return hits, text


def _bare(value: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", value).upper()


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


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_id18(value: str) -> bool:
    """A resident ID: a province, and a birth date or a right check digit (a slip of a digit is personal as well)."""
    if int(value[:2]) not in _PROVINCE_CODES:
        return False
    total = sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(value[:17]))
    return _is_date(int(value[6:10]), int(value[10:12]), int(value[12:14])) or "10X98765432"[total % 11] == value[17]


def _is_id15(value: str) -> bool:
    return int(value[:2]) in _PROVINCE_CODES and _is_date(1900 + int(value[6:8]), int(value[8:10]), int(value[10:12]))


def _is_uscc(value: str) -> bool:
    """Check digit of GB 32100-2015: weights are powers of 3 modulo 31."""
    total = sum(_USCC.index(c) * pow(3, i, 31) for i, c in enumerate(value[:17]))
    return _USCC[(31 - total % 31) % 31] == value[17]


def _is_checked_vin(value: str) -> bool:
    """Check digit of GB 16735, and letters as well as digits."""
    if value.isdigit() or value.isalpha():
        return False
    rest = sum(_VIN_VALUES[c] * w for c, w in zip(value, _VIN_WEIGHTS, strict=True)) % 11
    return value[8] == "0123456789X"[rest]
