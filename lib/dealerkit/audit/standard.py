"""From text as delivered to typed, standardised values, as expressions.

Nothing is guessed: a text that is not what its column says becomes null here and a fault in the checks,
which still see the text. Missing values stay missing; nothing is filled in.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from dealerkit import tables
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

#: Prefix of the delivered text beside each standardised column.
RAW = "raw_"

_FULL = "".join(chr(c) for c in range(0xFF01, 0xFF5F)) + "\u3000"
_HALF = "".join(chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)) + " "

_PLAIN = r"^[!-~\x{4e00}-\x{9fff}]+( [!-~\x{4e00}-\x{9fff}]+)*$"
_YMD = r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(.*)$"
_COMPACT = r"^((?:19|20)\d{2})(\d{2})(\d{2})(?: (\d.*))?$"
_COMPACT_MINUTE = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$"
_COMPACT_SECOND = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$"
_XY = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(.*)$"
_SERIAL = r"^[2-7]\d{4}(\.\d+)?$"
_ISO = r"^\d{4}-\d{1,2}-\d{1,2}(?:[ T]?\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?)?$"
_MONEY = r"^(-?)(?:¥|cny|rmb)?(-?)(\d+(?:\.\d+)?|\.\d+)(万?)(?:元|yuan|圆|公里|km|分钟|min|小时|h)?$"


def plain(text: ir.StringValue) -> ir.StringValue:
    """Half width, no blanks around or control characters, null when it says nothing."""
    cleaned = (
        text.translate(_FULL, _HALF)
        .re_replace(r"[\x00-\x1f\x7f\x{200b}\x{feff}]+", " ")
        .re_replace(r"\s+", " ")
        .strip()
    )
    # Nearly every value is plain already, and asking is ten times cheaper than cleaning.
    text = text.re_search(_PLAIN).ifelse(text, cleaned)
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
    return iso.re_search(_ISO).ifelse(iso, ibis.null("string")).try_cast("timestamp").coalesce(serial)


def amount(text: ir.StringValue) -> ir.FloatingValue:
    """Number of a text with ¥, commas between thousands, 元 or 万 (ten thousand), or null.

    A comma that is no mark of thousands is not taken out: 12,50 would become 1250.
    """
    bare = text.lower().translate("￥", "¥").re_replace(r"\s", "").re_replace(r",(\d{3})", r"\1")
    sign = (bare.re_extract(_MONEY, 1).concat(bare.re_extract(_MONEY, 2)) == "-").ifelse(-1, 1)
    factor = (bare.re_extract(_MONEY, 4) == "万").ifelse(10_000, 1)
    number = bare.re_extract(_MONEY, 3).try_cast("decimal(18,4)")
    return bare.re_search(_MONEY).ifelse(number * factor * sign, ibis.null("decimal(18,4)"))


def _squeeze(text: ir.StringValue) -> ir.StringValue:
    return text.upper().re_replace(r"[\s·•.\-_]", "")


def mobile(text: ir.StringValue) -> ir.StringValue:
    """Digits of a phone number without country code."""
    digits = text.re_replace(r"[^\d+]", "").re_replace(r"^(?:\+86|0086)", "")
    return digits.re_replace(r"^86(1\d{10})$", r"\1")


def standardised(column: Column, text: ir.StringValue, order: ir.StringValue) -> ir.Value:
    """The typed value of a plain text; null where the text is not of the column's type."""
    if column.type == "time":
        return date_and_time(text, order)
    if column.type == "date":
        return date_and_time(text, order).date()
    if column.type == "money":
        return amount(text).round(2).try_cast("decimal(18,2)")
    if column.type == "number":
        return amount(text).cast("float64")
    if column.type == "int":
        number = amount(text)
        return (number == number.round()).ifelse(number, ibis.null("decimal(18,4)")).try_cast("int64")
    if column.type in ("code", "bool"):
        return _coded(column, text)
    if column.format == "mobile" or column.personal == "phone":
        return mobile(text)
    if column.personal in ("vin", "plate", "id"):
        return _squeeze(text)
    if column.format == "email":
        return text.lower()
    return text


def _coded(column: Column, text: ir.StringValue) -> ir.Value:
    index = tables.code_index(column)
    folded = text.lower().re_replace(r"[\s_\-./\\:()\[\]*#'\"]+", "")
    code = folded.cases(*index.items(), else_=ibis.null("string"))
    return (code == "yes") if column.type == "bool" else code


def _already_standard(column: Column, delivered: ir.StringValue, value: ir.Value) -> ir.BooleanValue:
    if column.type == "date":
        return delivered.re_search(r"^\d{4}-\d{2}-\d{2}$")
    if column.type == "time":
        return delivered.re_search(r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?$")
    if column.type in ("money", "number", "int"):
        return delivered.re_search(r"^-?\d+(\.\d+)?$")
    if column.type in ("code", "bool"):
        return delivered.lower() == (value.ifelse("yes", "no") if column.type == "bool" else value)
    return delivered == value


def plain_texts(raw: ir.Table, table: Table) -> ir.Table:
    """``raw`` with ``raw_<column>``, the plain text of each canonical column, and nothing typed yet."""
    return raw.mutate(**{RAW + c.name: plain(raw[c.name]) for c in table.columns})


def typed(texts: ir.Table, table: Table, date_orders: dict[tuple[str, str], str]) -> ir.Table:
    """Each canonical column typed, its plain text as ``raw_<column>``, and ``std_<column>`` telling whether
    standardising changed what was delivered.

    Args:
        texts: what `plain_texts` gives, computed.
        table: the declaration.
        date_orders: (file, column) → dmy or mdy, from `date_order_evidence`.
    """
    out = {}
    for column in table.columns:
        text = texts[RAW + column.name]
        value = standardised(column, text, _order(texts, column, date_orders))
        out |= {
            column.name: value,
            RAW + column.name: text,
            "std_" + column.name: value.notnull() & ~_already_standard(column, texts[column.name], value),
        }
    return texts.select(**out, **{name: texts[name] for name in texts.columns if name.startswith("_")})


def _order(texts: ir.Table, column: Column, date_orders: dict[tuple[str, str], str]) -> ir.StringValue:
    named = [(texts["_file"] == file, order) for (file, name), order in date_orders.items() if name == column.name]
    return ibis.cases(*named, else_=texts["_date_order"]) if named else texts["_date_order"]


def date_order_evidence(texts: ir.Table, table: Table) -> dict[tuple[str, str], str]:
    """(file, column) → ``dmy`` or ``mdy`` where the values themselves decide it: a first number above 12
    is a day, a second above 12 as well. Left out where nothing or both is seen."""
    found = {}
    columns = [c.name for c in table.columns if c.type in ("date", "time")]
    if not columns:
        return found
    sums = {}
    for name in columns:
        text = texts[RAW + name]
        sums[name + "_d"] = (text.re_extract(_XY, 1).try_cast("int32") > 12).sum()
        sums[name + "_m"] = (text.re_extract(_XY, 2).try_cast("int32") > 12).sum()
    seen = texts.group_by("_file").agg(**sums).to_pandas()
    for row in seen.to_dict("records"):
        for name in columns:
            day_first, month_first = row[name + "_d"] or 0, row[name + "_m"] or 0
            if (day_first > 0) != (month_first > 0):
                found[row["_file"], name] = "dmy" if day_first else "mdy"
    return found
