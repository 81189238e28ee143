"""The report's language: catalogue texts, and numbers as readers of the language write them.

Translations stand in `locale/<language>/LC_MESSAGES/dealerkit.po` and are read as they are; nothing is compiled.
`report.strings` collects the messages and keeps that file.
"""

from __future__ import annotations

import math
import re
import string
import warnings
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.report.smallcells import is_small

LANGUAGES = ("en", "zh")
LOCALE = Path(__file__).parents[1] / "locale"
MINUS = "−"
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def catalogue_path(language: str) -> Path:
    """The .po file of a language."""
    return LOCALE / language / "LC_MESSAGES" / "dealerkit.po"


@cache
def catalogue(language: str) -> dict[str, str]:
    """msgid → translation, for messages that have one; empty for English, the language of the messages."""
    path = catalogue_path(language)
    if not path.is_file():
        return {}
    with path.open("rb") as stream:
        entries = read_po(stream, locale=language)
    return {m.id: m.string for m in entries if m.id and m.string and not m.fuzzy}


def fields(template: str) -> list[tuple[str, str]]:
    """(name, kind) of every placeholder of a template, in order."""
    return [(name, spec or "") for _, name, spec, _ in string.Formatter().parse(template) if name is not None]


def has_words(template: str) -> bool:
    """Whether there is anything to translate besides the places of values; {n:count|car|cars} has words of its own.

    >>> has_words("{low:points} – {high:points}"), has_words("{n:count|car is lost.|cars are lost.}")
    (False, True)
    """
    return bool(re.search(r"[A-Za-z]", re.sub(r"\{[^{}|]*\}", "", template)))


def _rounded(x: float, decimals: int = 0) -> Decimal:
    """Rounded half away from zero, as readers round."""
    return Decimal(repr(float(x))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def _digits(x: float, decimals: int = 0, trim: bool = False) -> str:
    """Number with thousands separators and a true minus; `trim` drops zeros after the point."""
    value = _rounded(x, decimals)
    text = f"{abs(value):,.{decimals}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return (MINUS if value < 0 else "") + text


def _number(x: float) -> str:
    """Three figures or so: whole numbers whole, others with as many decimals as their size asks for."""
    if float(x).is_integer():
        return _digits(x)
    return _digits(x, 0 if abs(x) >= 100 else 1 if abs(x) >= 10 else 2)


def _yuan_en(x: float) -> str:
    size = abs(_rounded(x))
    if size >= 10_000:
        size = abs(_rounded(x / 100)) * 100
    if size >= 1_000_000:
        for unit, letters in ((1e9, "bn"), (1e6, "M")):
            if abs(_rounded(x / unit, 1)) >= 1:
                shown = _digits(abs(x) / unit, 1 if abs(x) < 100 * unit else 0, True)
                return f"{MINUS if x < 0 else ''}¥ {shown} {letters}"
    return f"{MINUS if x < 0 and size else ''}¥ {size:,.0f}"


def _yuan_zh(x: float) -> str:
    size = abs(_rounded(x))
    if size < 10_000:
        return f"{_digits(x)} 元"
    unit, word = (1e8, "亿元") if abs(_rounded(x / 1e8, 1)) >= 1 else (1e4, "万元")
    return f"{_digits(x / unit, 1 if size < 100 * unit else 0, True)} {word}"


def _is_unknown(value: object) -> bool:
    return value is None or str(value) in ("NaT", "<NA>") or (isinstance(value, float) and not math.isfinite(value))


def _as_day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return date.fromisoformat(str(value)[:10])


def _signed(text: str) -> str:
    return text if text.startswith(MINUS) or not re.search(r"[1-9]", text) else "+" + text


def _unit(x: float, one: str, many: str, zh: str) -> tuple[str, str]:
    number = _digits(x, 0 if float(x).is_integer() else 1)
    return f"{number} {one if number == '1' else many}", f"{number} {zh}"


#: kind → function of the value that gives the English and the Chinese form.
_FORMS: dict[str, Callable[[float], tuple[str, str]]] = {
    "count": lambda x: (_digits(x),) * 2,
    "persons": lambda x: ("<5" if is_small(x) else _digits(x),) * 2,
    "change": lambda x: (_signed(_digits(x)),) * 2,
    "number": lambda x: (_number(x),) * 2,
    "share": lambda x: (f"{_digits(100 * x, 1)} %",) * 2,
    "points": lambda x: (
        f"{_digits(100 * x, 1)} {'point' if abs(_rounded(100 * x, 1)) == 1 else 'points'}",
        f"{_digits(100 * x, 1)} 个百分点",
    ),
    "yuan": lambda x: (_yuan_en(x), _yuan_zh(x)),
    "km": lambda x: (f"{_digits(x)} km", f"{_digits(x)} 公里"),
    "months": lambda x: _unit(x, "month", "months", "个月"),
    "days": lambda x: _unit(x, "day", "days", "天"),
    "years": lambda x: _unit(x, "year", "years", "年"),
    "hours": lambda x: _unit(x, "hour", "hours", "小时"),
    "minutes": lambda x: _unit(x, "minute", "minutes", "分钟"),
    "seconds": lambda x: (f"{_digits(x, 1)} s", f"{_digits(x, 1)} 秒"),
    "megabytes": lambda x: (f"{_digits(x)} MB",) * 2,
    "score": lambda x: (f"{_digits(x)} / 100",) * 2,
}
#: Kinds that a placeholder of a template, or a column of a table, may have.
KINDS = (*_FORMS, "day", "month", "text", "label")
#: What parts words in English → in Chinese.
_SEPARATORS = {",": "、", ";": "；"}


class Translator:
    """Texts and values in one language.

    Attributes:
        language: ``en`` or ``zh``.
        untranslated: messages met without a translation, in the order met.
    """

    def __init__(self, language: str):
        if language not in LANGUAGES:
            raise UserError(f"{language!r} is not a report language", f"use {' or '.join(LANGUAGES)}")
        self.language = language
        self.untranslated: list[str] = []

    @property
    def tag(self) -> str:
        """Language tag for HTML."""
        return "zh-CN" if self.language == "zh" else "en"

    def text(self, msgid: str) -> str:
        """The message in the report's language; without a translation in English, with one warning."""
        if self.language == "en" or not msgid:
            return msgid
        found = catalogue(self.language).get(msgid)
        if found is not None:
            return found
        if has_words(msgid) and msgid not in self.untranslated:
            self.untranslated.append(msgid)
            if len(self.untranslated) == 1:
                shown = msgid if len(msgid) <= 60 else msgid[:59] + "…"
                warnings.warn(
                    f"no translation of {shown!r}: shown in English, as are others that lack one; "
                    "`make strings` collects them for the catalogue",
                    stacklevel=2,
                )
        return msgid

    def listed(self, items: Iterable[object], separator: str = ",") -> str:
        """Words one after the other, parted as the language does it: by ``, `` or 、, with ``;`` by ``; `` or ；."""
        return (_SEPARATORS[separator] if self.language == "zh" else f"{separator} ").join(map(str, items))

    def say(self, template: str, **values: object) -> str:
        """The template in the report's language with its placeholders filled.

        A placeholder is ``{name:kind}``, kind one of `KINDS`; ``{n:count|customer|customers}`` adds the word,
        singular or plural, in English. None and NaN read "not known". `UserError` names a placeholder without
        a value, a value without a placeholder, and an unknown kind.
        """
        wanted = dict(fields(template))
        self._check(template, wanted, values)
        translated = self.text(template)
        if translated is not template:
            met = dict(fields(translated))
            self._check(translated, met, {name: values[name] for name in met if name in values})
        parts = []
        for literal, name, spec, _ in string.Formatter().parse(translated):
            parts.append(literal)
            if name is not None:
                parts.append(self.value(values[name], *spec.split("|")))
        return "".join(parts)

    @staticmethod
    def _check(template: str, wanted: dict[str, str], values: dict[str, object]) -> None:
        for name, spec in wanted.items():
            kind, *words = spec.split("|")
            if not name.isidentifier():
                raise UserError(f"placeholder {{{name}}} in {template!r} has no name", "write {name:kind}")
            if kind not in KINDS or len(words) not in (0, 2):
                raise UserError(
                    f"placeholder {{{name}:{spec}}} in {template!r} has no known kind",
                    f"the kinds are {', '.join(KINDS)}; write {{n:count}} or {{n:count|one|many}}",
                )
        if missing := sorted(set(wanted) - set(values)):
            raise UserError(f"no value for {', '.join(missing)} in {template!r}", "give it by name")
        if unused := sorted(set(values) - set(wanted)):
            raise UserError(f"{', '.join(unused)} has no place in {template!r}", "add a placeholder or leave it out")

    def value(self, value: object, kind: str = "text", one: str = "", many: str = "") -> str:
        """A value as readers write it; None, NaN and NaT read "not known"."""
        if kind not in KINDS:
            raise UserError(f"no kind {kind!r} of value", f"the kinds are {', '.join(KINDS)}")
        if _is_unknown(value):
            return self.text("not known")
        if kind == "label":
            return self.text(str(value))
        if kind == "text":
            return str(value)
        if kind in ("day", "month"):
            return self._day(_as_day(value), kind)
        english, chinese = _FORMS[kind](float(value))
        if self.language == "zh":
            return chinese
        return f"{english} {one if english == '1' else many}" if many else english

    def _day(self, day: date, kind: str) -> str:
        if self.language == "zh":
            return f"{day.year} 年 {day.month} 月" + (f" {day.day} 日" if kind == "day" else "")
        return (f"{day.day} " if kind == "day" else "") + f"{_MONTHS[day.month - 1]} {day.year}"

    def labels(self, table: str, column: str | None = None, code: str | None = None) -> str:
        """Label of a canonical table, of its column, or of a code of that column."""
        declared = tables.table(table)
        if column is None:
            return declared.label(self.language)
        if code is None:
            return declared[column].label(self.language)
        spellings = declared[column].codes.get(str(code))
        return spellings[1 if self.language == "zh" else 0] if spellings else str(code)
