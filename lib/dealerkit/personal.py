"""What looks like personal data in a text that should hold none, by its form alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date

from dealerkit.messages import DATE, NUMBER

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

_DAY = re.compile(rf"(?<!\d)(?:{DATE.pattern})(?!\d)")
# Letters and digits in turns, as in a part of a VIN, or many digits after letters, as in the number of a customer.
_NUMBERED = re.compile(
    r"(?<![0-9A-Za-z])(?:(?=(?:[A-Za-z]*\d){3})(?=\w*\d[A-Za-z])[0-9A-Za-z]{8,}|[A-Za-z]+\W?\d{5,})", re.ASCII
)
_SOMEBODY = re.compile(
    r"(?:[路街道巷弄里村]|大道)\s*\d+\s*[号弄]|\d+\s*号?\s*(?:[室栋幢弄]|单元)|.(?:先生|女士)\s*$"
    r"|\b(?:no\.?|room|block)\s*\d+.*\b(?:road|rd|street|st|avenue|ave|lane)\b"
    r"|\b\d+ (?:[a-z]+ ){1,3}(?:road|rd|street|st|avenue|ave|lane)\b",
    re.IGNORECASE,
)
# Without one of these nothing below is found; most names have none.
_MAY_BE = re.compile(r"[\d@＠学警港澳挂领]|先生|女士")
_PIECE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\s'"()=<>,*/%|!]+(?:[ -]\d+)*""")
#: Most letters that are shown of a name.
LONGEST = 40
#: So many digits make a phone or a number of somebody; dates aside.
_MANY = 7


def normal(text: str) -> str:
    """The text in the form in which it is searched: half width, plain dashes and spaces, nothing invisible."""
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).translate(_DASHES)
    return re.sub(r"[^\S\n]", " ", text)


def found_in(text: str) -> tuple[list[tuple[str, str]], str]:
    """(kind, value) of phones, ID numbers, plates, VINs and e-mail addresses, and the text without them; longer forms first, so
    that an ID is no phone."""
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


def is_personal(text: str) -> bool:
    """Whether a text that should be a name (a header, a column, a code) looks like data of somebody: a phone, a plate, an
    address, or many digits. A day and a short number are nobody's; a person's name alone cannot be told from other words.

    >>> [is_personal(text) for text in ("Custmer id", "车牌号", "2026-01-31", "张伟 138 0013", "LSVAA4182E2", "C00001")]
    [False, False, False, True, True, True]
    """
    if not _MAY_BE.search(text):
        return False
    text = normal(text)
    digits = len(re.sub(r"\D", "", _DAY.sub("", text)))
    return digits >= _MANY or bool(_NUMBERED.search(text) or _SOMEBODY.search(text) or found_in(text)[0])


def veiled(text: str) -> str:
    """A text that should be a name, for a message: on one line, and of what looks personal the first letter and the length.

    >>> veiled("张伟 138 0013 8000"), veiled("Custmer id")
    ('张***************', 'Custmer id')
    """
    text = " ".join(str(text).split())
    return initial(text) if is_personal(text) else text


def initial(text: str) -> str:
    """The first letter of a text, and a star for each other."""
    return text[:1] + "*" * (len(text) - 1)


def veiled_within(text: str) -> str:
    """An expression, for a message, as long as it was: its names, numbers and quoted texts as `initial` shows them where they
    look personal.

    >>> veiled_within("phone = '138 0013 8000' and total_yuan > 0")
    "phone = '1************' and total_yuan > 0"
    """
    return _PIECE.sub(_veiled_piece, text)


def _veiled_piece(piece: re.Match) -> str:
    if not is_personal(piece[0]):
        return piece[0]
    quote = piece[0][0] if piece[0][0] in "'\"" else ""
    return f"{quote}{initial(piece[0][1:-1])}{quote}" if quote else initial(piece[0])


def is_record(cells: Sequence[str | None], known: Callable[[str], bool]) -> bool:
    """Whether a line that should hold the names of columns holds data: more cells look like data than are known names."""
    names = [cell.strip() for cell in cells if cell and cell.strip()]
    data = [n for n in names if not known(n) and (is_personal(n) or DATE.fullmatch(n) or NUMBER.fullmatch(n))]
    return len(data) > sum(map(known, names))


def names_of(cells: Sequence[str | None], known: Callable[[str], bool]) -> str:
    """What a line that should hold the names of columns holds, for a message: the cells as `veiled` shows them, or where data
    stand in it, how many they are, since among data a word may be the name of a person."""
    filled = [cell for cell in cells if cell and cell.strip()]
    if is_record(cells, known):
        return f"{len(filled)} cells that look like data, not like the names of columns"
    return ", ".join(veiled(cell)[:LONGEST] for cell in filled) or "none"


def _bare(value: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", value).upper()


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
