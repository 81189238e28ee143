"""From text as delivered to typed, standardised values, as expressions.

Nothing is guessed: a text that is not what its column says becomes null here and a fault in the checks,
which still see the text. Missing values stay missing; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import engine, tables
from dealerkit.engine import list_count
from dealerkit.formats import CONTROLS, DAMAGED, FORMULA
from dealerkit.tables import Column, Table

#: Spellings of "nothing" found in exports.
EMPTY = (
    "",
    "null",
    "none",
    "nan",
    "n/a",
    "na",
    "-",
    "--",
    "/",
    "\\",
    "无",
    "不详",
    "未知",
    "暂无",
    "空",
    "#n/a",
    "(null)",
)

#: Columns of what `typed` gives, one for all canonical columns, since a query costs by its columns: the plain texts of a
#: row (a struct), how many of them say something, and whether standardising changed what was delivered (a list in the
#: order of the canonical columns, null where there is no value).
TEXTS, FILLED, CHANGED = "_texts", "_filled", "_changed"
#: Columns of what `plain_texts` gives, lists in the same order: the texts as they were delivered, and the plain ones.
_DELIVERED, _PLAIN_TEXTS = "_delivered", "_plain_texts"
#: Column with the place of the first cell that is strange → what is looked for; there when a table has any.
STRANGE = {"_damaged": DAMAGED, "_controls": CONTROLS, "_formula": FORMULA}

_FULL = "".join(chr(c) for c in range(0xFF01, 0xFF5F)) + "\u3000"
_HALF = "".join(chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)) + " "

_PLAIN = r"^[!-~\x{4e00}-\x{9fff}]+( [!-~\x{4e00}-\x{9fff}]+)*$"
_YMD = r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(.*)$"
_COMPACT = r"^((?:19|20)\d{2})(\d{2})(\d{2})(?: (\d.*))?$"
_COMPACT_MINUTE = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$"
_COMPACT_SECOND = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$"
_XY = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(.*)$"
_SERIAL = r"^[2-7]\d{4}(\.\d+)?$"
_MAYBE_XY = r"^[^0-9０-９]*[0-9０-９]{1,2}[-/.－／．][0-9０-９]{1,2}[-/.－／．][0-9０-９]{4}"
_ISO = r"^\d{4}-\d{1,2}-\d{1,2}(?:[ T]?\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?)?$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIME = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?$"
_NUMBER = r"^-?\d+(\.\d+)?$"
_MONEY = r"^(-?)(?:¥|cny|rmb)?(-?)(\d+(?:\.\d+)?|\.\d+)(万?)(?:元|yuan|圆|公里|km|分钟|min|小时|h)?$"


def plain(text: ir.StringValue) -> ir.StringValue:
    """Half width, no blanks around or control characters, null when it says nothing."""
    return _said(_tidy(text))


def _tidy(text: ir.StringValue) -> ir.StringValue:
    cleaned = (
        text.translate(_FULL, _HALF)
        .re_replace(r"[\x00-\x1f\x7f\x{200b}\x{feff}]+", " ")
        .re_replace(r"\s+", " ")
        .strip()
    )
    # Nearly every value is plain already, and asking is ten times cheaper than cleaning.
    return text.re_search(_PLAIN).ifelse(text, cleaned)


def _said(text: ir.StringValue) -> ir.StringValue:
    return ((text.length() <= 6) & text.lower().isin(EMPTY)).ifelse(ibis.null("string"), text)


def date_and_time(text: ir.StringValue, order: ir.StringValue) -> ir.TimestampValue:
    """Timestamp of ISO, 2026/1/5, 20260105, 2026年1月5日, Excel serials, and 5/1/2026 by ``order``."""
    # A chain of replacements: each step names its input once, so the expression stays small.
    iso = (
        text.re_replace(_YMD, r"\1-\2-\3 \4")
        .re_replace(_COMPACT_MINUTE, r"\1-\2-\3 \4:\5")
        .re_replace(_COMPACT_SECOND, r"\1-\2-\3 \4:\5:\6")
        .re_replace(_COMPACT, r"\1-\2-\3 \4")
    )
    iso = order.cases(
        ("dmy", iso.re_replace(_XY, r"\3-\2-\1 \4")), ("mdy", iso.re_replace(_XY, r"\3-\1-\2 \4")), else_=iso
    )
    iso = iso.re_replace(r"\s*[T ]\s*", " ").strip()
    seconds = (
        (text.re_search(_SERIAL).ifelse(text, ibis.null("string")).try_cast("float64") * 86_400).round().cast("int64")
    )
    serial = ibis.timestamp("1899-12-30 00:00:00") + seconds.as_interval("s")
    read = iso.re_search(_ISO).ifelse(iso, ibis.null("string")).try_cast("timestamp").coalesce(serial)
    # Most are written so already, and one pattern is far cheaper than eight.
    return text.re_search(_TIME).ifelse(text.try_cast("timestamp"), read)


def amount(text: ir.StringValue) -> ir.DecimalValue:
    """Number of a text with ¥, commas between thousands, 元 or 万 (ten thousand), or null.

    A comma that is no mark of thousands is not taken out: 12,50 would become 1250.
    """
    bare = text.lower().translate("￥", "¥").re_replace(r"\s", "").re_replace(r",(\d{3})", r"\1")
    sign = (bare.re_extract(_MONEY, 1).concat(bare.re_extract(_MONEY, 2)) == "-").ifelse(-1, 1)
    factor = (bare.re_extract(_MONEY, 4) == "万").ifelse(10_000, 1)
    number = bare.re_extract(_MONEY, 3).try_cast("decimal(18,4)")
    read = bare.re_search(_MONEY).ifelse(number * factor * sign, ibis.null("decimal(18,4)"))
    return text.re_search(_NUMBER).ifelse(text.try_cast("decimal(18,4)").cast(read.type()), read)


def _squeeze(text: ir.StringValue) -> ir.StringValue:
    return text.upper().re_replace(r"[\s·•.\-_]", "")


def mobile(text: ir.StringValue) -> ir.StringValue:
    """Digits of a phone number without country code."""
    digits = text.re_replace(r"[^\d+]", "").re_replace(r"^(?:\+86|0086)", "")
    return digits.re_replace(r"^86(1\d{10})$", r"\1")


def _folded(text: ir.StringValue) -> ir.StringValue:
    return text.lower().re_replace(r"[\s_\-./\\:()\[\]*#'\"]+", "")


#: Family of columns → what their texts go through alike; `_finished` does what is left for each column.
_FAMILIES: dict[str, Callable[[ir.StringValue, ir.StringValue], ir.Value]] = {
    "time": date_and_time,
    "date": lambda text, order: date_and_time(text, order).date(),
    "amount": lambda text, order: amount(text),
    "code": lambda text, order: _folded(text),
    "phone": lambda text, order: mobile(text),
    "letters": lambda text, order: _squeeze(text),
    "email": lambda text, order: text.lower(),
    "text": lambda text, order: text,
}
#: Type of column → how its values look when there is nothing to standardise.
_STANDARD = {"date": _DATE, "time": _TIME, "money": _NUMBER, "number": _NUMBER, "int": _NUMBER}


def _family(column: Column) -> str:
    if column.type in ("date", "time"):
        return column.type
    if column.type in ("money", "number", "int"):
        return "amount"
    if column.type in ("code", "bool"):
        return "code"
    if column.format == "mobile" or column.personal == "phone":
        return "phone"
    if column.personal in ("vin", "plate", "id"):
        return "letters"
    return "email" if column.format == "email" else "text"


def _finished(column: Column, value: ir.Value) -> ir.Value:
    """The value of a column from what its family made."""
    if column.type == "money":
        return value.round(2).try_cast("decimal(18,2)")
    if column.type == "number":
        return value.cast("float64")
    if column.type == "int":
        return (value == value.round()).ifelse(value, ibis.null("decimal(18,4)")).try_cast("int64")
    if column.type in ("code", "bool"):
        code = ibis.literal(tables.code_index(column), "map<string, string>").get(value)
        return (code == "yes") if column.type == "bool" else code
    return value


def standardised(column: Column, text: ir.StringValue, order: ir.StringValue) -> ir.Value:
    """The typed value of a plain text; null where the text is not of the column's type."""
    return _finished(column, _FAMILIES[_family(column)](text, order))


def _changed(column: Column, delivered: ir.StringValue, value: ir.Value) -> ir.BooleanValue:
    """Whether standardising changed what was delivered; null where there is no value."""
    if column.type in ("code", "bool"):
        return delivered.lower() != (value.ifelse("yes", "no") if column.type == "bool" else value)
    return delivered != value


class _Alike:
    """What columns go through alike, made by one expression over a list of them: an expression for each column
    would be built, planned and optimised as often as there are columns."""

    def __init__(self):
        self._lists: dict[tuple, tuple[str, Callable, list[ir.Value]]] = {}

    def add(self, key: tuple, function: Callable, column: ir.Value) -> tuple[str, int]:
        """Have ``function`` work on a column together with others of the same key; returns where its value will be."""
        name, _, columns = self._lists.setdefault(key, (f"list_{len(self._lists)}", function, []))
        columns.append(column)
        return name, len(columns) - 1

    def made(self) -> dict[str, ir.ArrayValue]:
        """The lists, by name."""
        return {name: ibis.array(columns).map(function) for name, function, columns in self._lists.values()}


def plain_texts(raw: ir.Table, table: Table, strange: bool = False) -> ir.Table:
    """The rows of ``raw`` with the texts as they were delivered and the plain ones, and nothing typed yet.

    With ``strange`` the columns `STRANGE` as well: where a text was damaged, has control characters or is a formula.
    """
    delivered = ibis.array([raw[c.name] for c in table.columns])
    origin = {name: raw[name] for name in raw.columns if name.startswith("_")}
    rows = raw.select(**{_DELIVERED: delivered, _PLAIN_TEXTS: delivered.map(_tidy).map(_said)}, **origin)
    return rows.mutate(**{name: _first(rows[_DELIVERED], like) for name, like in STRANGE.items()}) if strange else rows


def _first(texts: ir.ArrayValue, like: str) -> ir.IntegerValue:
    """The place of the first text with the pattern, null when none has it."""
    place = texts.map(lambda text: text.re_search(like).fill_null(False)).index(True)
    return place.nullif(-1)


def text_of(rows: ir.Table, column: str) -> ir.StringValue:
    """The plain text of a canonical column, null where nothing was delivered."""
    return rows[TEXTS][column]


def typed(texts: ir.Table, table: Table, date_orders: dict[tuple[str, str], str]) -> ir.Table:
    """Each canonical column typed, with `TEXTS`, `FILLED` and `CHANGED`.

    Args:
        texts: what `plain_texts` gives.
        table: the declaration.
        date_orders: (file, column) → dmy or mdy, from `date_order_evidence`.
    """
    alike, places, standard = _Alike(), {}, {}
    delivered, plain_ = texts[_DELIVERED], texts[_PLAIN_TEXTS]
    for i, column in enumerate(table.columns):
        family, named = _family(column), _named_orders(column, date_orders)
        if family != "text":
            function = _FAMILIES[family]
            order = _order(texts, named)
            places[column.name] = alike.add((family, *named), lambda text, f=function, o=order: f(text, o), plain_[i])
        if pattern := _STANDARD.get(column.type):
            standard[column.name] = alike.add((pattern,), lambda text, p=pattern: text.re_search(p), delivered[i])
    made = texts.select(**{name: texts[name] for name in texts.columns}, **alike.made())
    lists = {name: made[name] for name in made.columns}
    values = {}
    for i, column in enumerate(table.columns):
        at, place = places.get(column.name, (_PLAIN_TEXTS, i))
        values[column.name] = _finished(column, lists[at][place])
    kept = set(texts.columns) | {at for at, _ in standard.values()}
    made = made.select(**values, **{name: column for name, column in lists.items() if name in kept})
    lists, values = {name: made[name] for name in kept}, {c.name: made[c.name] for c in table.columns}
    changed = []
    for i, column in enumerate(table.columns):
        at, place = standard.get(column.name, (None, 0))
        value = values[column.name]
        changed.append(~lists[at][place] & value.notnull() if at else _changed(column, lists[_DELIVERED][i], value))
    said = lists[_PLAIN_TEXTS]
    whole = {TEXTS: ibis.struct({name: said[i] for i, name in enumerate(table.names)}), FILLED: list_count(said)}
    origin = {n: lists[n] for n in texts.columns if n not in (_DELIVERED, _PLAIN_TEXTS, "_date_order")}
    return made.select(**values, **origin, **whole, **{CHANGED: ibis.array(changed)})


def _named_orders(column: Column, date_orders: dict[tuple[str, str], str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((file, order) for (file, name), order in date_orders.items() if name == column.name))


def _order(texts: ir.Table, named: tuple[tuple[str, str], ...]) -> ir.StringValue:
    cases = [(texts["_file"] == file, order) for file, order in named]
    return ibis.cases(*cases, else_=texts["_date_order"]) if cases else texts["_date_order"]


def survey(raw: dict[str, ir.Table]) -> pd.DataFrame:
    """One row per table, indexed by its name: its ``rows`` and those that are ``records``, how many have a date that may
    be written day or month first (``unclear``; without any, no `date_order_evidence` is needed), how many a plate and hardly
    a VIN (``without_vin``), how many a text that is ``strange`` (see `STRANGE`), and the columns with any value (``given``)."""
    anything = "|".join(f"(?:{like})" for like in STRANGE.values())
    found = []
    for name, rows in raw.items():
        dates = [rows[c.name] for c in tables.table(name).columns if c.type in ("date", "time")]
        maybe = ibis.array(dates or [rows["_kind"]]).map(lambda text: text.re_search(_MAYBE_XY)).contains(True)
        texts = [rows[c.name] for c in tables.table(name).columns if c.type == "text"]
        odd = ibis.array(texts).join("\n").re_search(anything)
        counts = {"records": rows.count(where=rows["_kind"] == "row"), "unclear": rows.count(where=maybe)}
        lacks = (
            [(rows["vin"].length().coalesce(0) < 9) & rows["plate"].notnull()]
            if {"vin", "plate"} <= {*rows.columns}
            else []
        )
        counts["without_vin"] = rows.count(where=ibis.or_(ibis.literal(False), *lacks))
        counts["strange"] = rows.count(where=odd)
        counts["given"] = ibis.array([rows[c].max() for c in tables.table(name).names])
        found.append(rows.agg(rows=rows.count(), **counts).mutate(table=ibis.literal(name)))
    seen = engine.frame_of(engine.union(found)).set_index("table")
    seen["given"] = [
        [c for c, last in zip(tables.table(n).names, t, strict=True) if last] for n, t in seen["given"].items()
    ]
    return seen


def date_order_evidence(texts: ir.Table, table: Table) -> dict[tuple[str, str], str]:
    """(file, column) → ``dmy`` or ``mdy`` where the values themselves decide it: a first number above 12
    is a day, a second above 12 as well. Left out where nothing or both is seen."""
    found = {}
    columns = [c.name for c in table.columns if c.type in ("date", "time")]
    if not columns:
        return found
    sums = {}
    for name in columns:
        text = texts[_PLAIN_TEXTS][table.names.index(name)]
        sums[name + "_d"] = (text.re_extract(_XY, 1).try_cast("int32") > 12).sum()
        sums[name + "_m"] = (text.re_extract(_XY, 2).try_cast("int32") > 12).sum()
    seen = engine.frame_of(texts.group_by("_file").agg(**sums))
    for row in seen.to_dict("records"):
        for name in columns:
            day_first, month_first = row[name + "_d"] or 0, row[name + "_m"] or 0
            if (day_first > 0) != (month_first > 0):
                found[row["_file"], name] = "dmy" if day_first else "mdy"
    return found
