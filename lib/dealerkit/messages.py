"""Words that every module may need: the marker of translatable texts, masks, short checksums."""

from __future__ import annotations

import re


def N_(text: str) -> str:
    """The text itself; marks a message that a page translates later."""
    return text


#: A day, with or without a time of day; a number with its unit.
DATE = re.compile(r"\d{4}([-/.年])\d{1,2}[-/.月]\d{1,2}日?([ T]\d{1,2}:\d{2}(:\d{2})?)?|(19|20)\d{6}")
NUMBER = re.compile(r"[-¥￥]?[\d,]*\.?\d+ ?(万|元|km|公里)?")


def mask(value: object, kind: str | None = None) -> str:
    """The value with so little left that nobody is found by it, for messages and logs.

    Args:
        value: any value of a cell.
        kind: kind of personal data as in `tables.PERSONAL` (also ``uscc``), or None for a value of a column
            that is not personal: since columns get swapped, only dates and short numbers are shown whole.

    Free text, addresses and birth dates keep nothing; short values keep one character at most.
    """
    if value is None or value != value:
        return "(empty)"
    text = " ".join(str(value).split())
    if not text:
        return "(empty)"
    if kind is None:
        if DATE.fullmatch(text) or (NUMBER.fullmatch(text) and len(re.sub(r"\D", "", text)) < 7):
            return text
        kind = "id"
    if kind in ("free_text", "address", "birth"):
        return "***"
    if kind == "name":
        return text[0] + "*" if len(text) > 1 else "*"
    if kind == "phone":
        digits = re.sub(r"\D", "", text)
        return f"{digits[:3]}****{digits[-2:]}" if len(digits) >= 9 else f"{digits[:1]}***"
    return f"{text[:2]}***{text[-1]}" if len(text) >= 6 else f"{text[0]}***" if len(text) > 2 else "***"


def short_checksum(digest: str) -> str:
    """The first twelve digits of a hexadecimal digest, in groups of four.

    Groups so short joined by ``_`` can never be taken for a phone, an ID or a VIN by the leak gate.
    """
    return "_".join(digest[i : i + 4] for i in range(0, 12, 4))
