"""Expressions that analysts write in the params, in plain SQL, over the columns of one row of one table.

    total_yuan > 3 * labour_yuan and order_type in ('repair', 'accident')
    days_between(opened_at, settled_at) > 30
    case when weekday(opened_at) >= 6 then 'weekend' else 'week' end
    coalesce(discount_yuan, 0) / nullif(total_yuan, 0)

They are parsed and translated by a list of what is allowed, never handed to the engine as text: an expression can name
columns, and cannot read a file, run a query or do anything else.

==========  ===================================================================================================
compared    ``= <> < <= > >=``, ``between … and …``, ``in (…)``, ``like``, ``ilike``, ``is null``, ``is true``
joined      ``and``, ``or``, ``not``, ``(…)``
chosen      ``case when … then … else … end``, ``if``, ``coalesce``, ``nullif``, ``greatest``, ``least``
numbers     ``+ - * / %``, ``abs``, ``round``, ``floor``, ``ceil``
texts       ``'single quotes'``, ``length``, ``lower``, ``upper``, ``trim``, ``substr``, ``left``, ``right``, ``replace``,
            ``contains``, ``starts_with``, ``regexp_matches``, ``||``
dates       ``date '2026-01-31'``, ``year``, ``quarter``, ``month``, ``day``, ``hour``, ``weekday`` (Monday 1 to Sunday 7),
            ``extract(year from …)``, ``days_between(from, to)``, ``opened_at + interval '30 days'``
==========  ===================================================================================================

An unknown value (null) is as in SQL: arithmetic with it and a comparison with it are unknown, ``and`` is false when
one side is false, ``or`` is true when one side is true; only ``is null``, ``is distinct from`` and ``coalesce`` make it
known. ``greatest`` and ``least`` look at the known ones. Division by zero is unknown. Money and whole numbers are added,
subtracted, multiplied and compared exactly as long as 38 digits suffice; what is divided is a float. A day compared with
a time is its midnight.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from ibis.common.exceptions import IbisError
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from dealerkit.errors import UserError

__all__ = ["columns", "condition", "value"]

#: Longest expression, and most digits of a number in it.
LONGEST, MOST_DIGITS = 4_000, 18

#: Functions that may be called, for messages.
FUNCTIONS = (
    "abs ceil coalesce contains days_between extract floor greatest hour if day least left length lower month nullif quarter "
    "regexp_matches replace right round starts_with substr trim upper weekday year"
).split()

#: What to write instead of a function that is not there.
_INSTEAD = {
    "date_diff": "days_between(from, to)",
    "datediff": "days_between(from, to)",
    "date_sub": "days_between(from, to), or opened_at - interval '30 days'",
    "date_part": "year(…), month(…), weekday(…)",
    "dayofweek": "weekday(…): Monday is 1, Sunday 7",
    "isodow": "weekday(…)",
    "regexp_like": "regexp_matches(text, 'pattern')",
    "current_date": "a column, or a day as date '2026-01-31'",
    "now": "a column, or a day as date '2026-01-31'",
    "concat": "a || b",
}

#: Characters that look right and are not, or belong to other languages → what to write.
_WRITE = {
    "“": "single quotes ' around texts", "”": "single quotes ' around texts", "‘": "a straight single quote '", "’": "a straight single quote '",
    "`": "the name of the column without quotes", "≥": ">=", "≤": "<=", "≠": "<>", "×": "*", "÷": "/", "−": "-", "–": "-", "—": "-",
    "、": ",", "。": ".", "【": "(", "】": ")", "「": "'", "」": "'", "&": "and", "^": "a product (x * x)", ";": "one expression without ;",
    "~": "regexp_matches(text, 'pattern')", "@": "abs(…)", "[": "(", "]": ")", "{": "(", "}": ")", ":": "no : (a type cannot be set)",
    "\u3000": "a plain blank", "\u00a0": "a plain blank",
}  # fmt: skip
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_ALLOWED = re.compile(r"[A-Za-z0-9_\u4e00-\u9fff\s+\-*/%<>=!(),.|]")
_INTERVALS = ("year", "quarter", "month", "week", "day", "hour", "minute")


def value(
    table: ir.Table,
    text: str,
    where: str,
    names: Mapping[str, ir.Value] | None = None,
    codes: Mapping[str, Iterable[str]] | None = None,
) -> ir.Value:
    """The expression's value for each row of the table.

    Args:
        table: the table whose columns the expression may name.
        text: the expression.
        where: key in the params, for messages (``own_checks.2.fails_when``).
        names: what the expression may name instead of all columns: name → value of the table.
        codes: column → the only values it ever has; a comparison with another text is refused.

    A column named alone keeps its type; numbers that are computed are float64, days are dates, the rest text,
    timestamp or boolean.

    >>> t = ibis.table({"a": "int64", "b": "decimal(18,2)"}, name="t")
    >>> str(value(t, "coalesce(b, 0) * 1.5", "key").type())
    'float64'

    Raises `UserError` for anything that is not allowed, named wrongly or of the wrong type, with the place and the remedy.
    """
    made = _made(table, text, where, names, codes)
    if made.kind == "null":
        raise UserError(f"{where}: {_short(text)!r} is never known", "name a column")
    if made.kind == "number" and made.column is None:
        return made.value.cast("float64")
    return made.value


def condition(
    table: ir.Table,
    text: str,
    where: str,
    names: Mapping[str, ir.Value] | None = None,
    codes: Mapping[str, Iterable[str]] | None = None,
) -> ir.BooleanValue:
    """The expression as a condition: true, false, or null where it cannot be decided. As `value`; `UserError` also when
    the expression is neither true nor false.

    >>> t = ibis.table({"a": "int64"}, name="t")
    >>> str(condition(t, "a > 3 and a is not null", "key").type())
    'boolean'
    """
    made = _made(table, text, where, names, codes)
    if made.kind != "boolean":
        raise UserError(
            f"{where}: {_short(text)!r} is {_A[made.kind]}, not a condition",
            "compare it with something, as in total_yuan > 0",
        )
    return made.value


def columns(text: str, where: str) -> set[str]:
    """The names that the expression uses.

    >>> sorted(columns("total_yuan > 3 * labour_yuan", "key"))
    ['labour_yuan', 'total_yuan']

    Raises `UserError` when it cannot be read or holds what is not allowed; names and types are not looked at.
    """
    return {node.name for node in _parsed(text, where).find_all(exp.Column)}


# ---- reading ------------------------------------------------------------------------------------------------------


def _parsed(text: str, where: str) -> exp.Expression:
    """The syntax tree, when the text is one expression of characters, words and forms that are allowed."""
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{where}: the expression is empty", "write a condition, as in total_yuan < 0")
    if len(text) > LONGEST:
        raise UserError(f"{where}: the expression has {len(text)} characters, allowed: {LONGEST}", "make it shorter")
    _look_at_characters(text, where)
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
        nodes = list(tree.walk())
    except ParseError as error:
        raise _syntax_error(text, where, error) from None
    except SqlglotError:
        raise UserError(f"{where}: {_short(text)!r} cannot be read", "look for a quote that is not closed") from None
    except RecursionError:
        raise UserError(f"{where}: the expression is nested too deeply", "use fewer brackets") from None
    for node in nodes:
        _refuse_beyond_row(node, where)
    for node in nodes:
        _refuse_unlisted(node, where)
    return tree


def _look_at_characters(text: str, where: str) -> None:
    """Refuses characters that have no place outside of quoted texts, with what to write instead."""
    # Quoted parts become blanks, so that places stay.
    bare = _QUOTED.sub(lambda m: " " * len(m[0]), text)
    if "'" in bare or '"' in bare:
        at = min(i for i in (bare.find("'"), bare.find('"')) if i >= 0)
        raise UserError(
            f"{where}, {_place(text, at)}: a quote is not closed: {_excerpt(text, at, at + 1)}",
            "texts stand between two single quotes, as in 'repair'; a quote inside is written twice",
        )
    comment = re.search(r"--|/\*", bare)
    if comment:
        raise UserError(
            f"{where}, {_place(text, comment.start())}: a remark inside the expression",
            "put remarks into the params file, after #",
        )
    for at, letter in enumerate(bare):
        if (
            not _ALLOWED.match(letter)
            or (letter == "!" and bare[at + 1 : at + 2] != "=")
            or letter in ("\u3000", "\xa0")
        ):
            instead = _WRITE.get(letter) or (
                chr(ord(letter) - 0xFEE0) if "！" <= letter <= "～" else "not" if letter == "!" else ""
            )
            raise UserError(
                f"{where}, {_place(text, at)}: {letter!r} is not allowed here: {_excerpt(text, at, at + 1)}",
                f"write {instead}" if instead else f"the functions are {', '.join(FUNCTIONS)}",
            )


def _syntax_error(text: str, where: str, error: ParseError) -> UserError:
    """sqlglot's finding in plain words, with its place."""
    found = (error.errors or [{}])[0]
    line, col, token = found.get("line") or 1, found.get("col") or 0, found.get("highlight") or ""
    # Lines are counted from 1 and the column is that of the token's last character.
    end = sum(len(part) for part in text.splitlines(keepends=True)[: line - 1]) + col
    start, what = max(end - len(token), 0), found.get("description") or ""
    near = f"{_place(text, start)}: {_excerpt(text, start, end)}"
    if token.lower() in ("select", "from", "with", "insert", "update", "delete", "drop", "create", "copy", "attach"):
        return UserError(f"{where}, {near}: queries are not allowed", "write one condition over the columns of one row")
    if what.startswith("Required keyword"):
        return UserError(f"{where}, {near}: something is missing here", "complete the expression")
    if what.startswith("Expecting )"):
        return UserError(f"{where}, {near}: a closing bracket is missing", "close each ( with a )")
    if "END" in what:
        return UserError(f"{where}, {near}: case without end", "write case when … then … else … end")
    if what.startswith("The number of provided"):
        return UserError(f"{where}, {near}: too many arguments", "give fewer")
    return UserError(
        f"{where}, {near}: {token!r} was not expected here",
        "the expression is one condition in SQL syntax, as in total_yuan > 0 and booked",
    )


def _place(text: str, at: int) -> str:
    before = text[:at]
    line = before.count("\n")
    column = at - before.rfind("\n")
    return f"line {line + 1}, character {column}" if "\n" in text.strip() else f"character {column}"


def _excerpt(text: str, start: int, end: int) -> str:
    """The text around a place, the place itself between ▸ and ◂."""
    left, right = " ".join(text[max(0, start - 25) : start].split()), " ".join(text[end : end + 25].split())
    return f"{left} ▸{text[start:end]}◂ {right}".strip()


def _short(text: str) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _nearest(name: str, known: Iterable[str]) -> str:
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), sorted(lower), n=1, cutoff=0.6)
    return f"; nearest: {lower[close[0]]!r}" if close else ""


def _refuse_beyond_row(node: exp.Expression, where: str) -> None:
    """Refuses what looks beyond one row."""
    if isinstance(node, (exp.Query, exp.Table, exp.Exists)):
        raise UserError(
            f"{where}: a query inside an expression ({_said(node)})", "an expression sees the columns of one row"
        )
    if isinstance(node, (exp.AggFunc, exp.Window)) and not isinstance(node, exp.Max | exp.Min):
        raise UserError(f"{where}: {_said(node)} works over many rows", "an expression sees the columns of one row")
    if isinstance(node, exp.Max | exp.Min):
        better = "greatest" if isinstance(node, exp.Max) else "least"
        raise UserError(
            f"{where}: {_said(node)} works over many rows",
            f"an expression sees one row; for the {better} of several columns write {better}(…)",
        )


def _refuse_unlisted(node: exp.Expression, where: str) -> None:
    """Refuses functions and forms that are not listed, and parts of listed forms that are not."""
    if type(node) in _PARTS or (isinstance(node, exp.Anonymous) and node.name.lower() in _NAMED):
        return
    if isinstance(node, exp.Column) and type(node.this) is exp.Identifier and not node.table:
        return
    if isinstance(node, exp.Column):
        raise UserError(f"{where}: {_said(node)!r} is not the name of a column", "write the column's name alone")
    if type(node) not in _FORMS:
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            instead = _INSTEAD.get(name.replace("datediff", "date_diff"))
            raise UserError(
                f"{where}: no function {name!r}{'' if instead else _nearest(name, FUNCTIONS)}",
                f"write {instead}" if instead else f"the functions are {', '.join(FUNCTIONS)}",
            )
        raise UserError(
            f"{where}: {_said(node)!r} is not allowed in an expression",
            "the head of lib/dealerkit/expressions.py lists what is",
        )
    odd = [k for k, part in node.args.items() if part not in (None, False, []) and k not in _FORMS[type(node)][0]]
    if odd:
        raise UserError(
            f"{where}: {_said(node)!r} has more to it than is allowed ({', '.join(odd)})", "use the plain form"
        )


def _said(node: exp.Expression) -> str:
    try:
        return _short(node.sql(dialect="duckdb"))
    except (SqlglotError, ValueError):
        return type(node).__name__.lower()


# ---- translating --------------------------------------------------------------------------------------------------

#: What a value is called in messages.
_A = {"number": "a number", "text": "a text", "boolean": "true or false", "date": "a day", "time": "a point in time", "null": "null", "other": "of a type that expressions cannot use"}  # fmt: skip


@dataclass(frozen=True)
class _Made:
    """A translated part: its kind (a key of `_A`), value, words for messages, and what it is when no more than that."""

    kind: str
    value: ir.Value | None
    said: str
    column: str | None = None
    literal: str | None = None


def _kind(type_: dt.DataType) -> str:
    tests = (("number", type_.is_numeric() and not type_.is_boolean()), ("text", type_.is_string()), ("boolean", type_.is_boolean()), ("date", type_.is_date()), ("time", type_.is_timestamp()))  # fmt: skip
    return next((kind for kind, yes in tests if yes), "other")


def _made(table, text, where, names, codes) -> _Made:
    tree = _parsed(text, where)
    scope = dict(names) if names is not None else {name: table[name] for name in table.columns}
    try:
        return _Translator(scope, {c: list(v) for c, v in (codes or {}).items()}, where).of(tree)
    except (IbisError, RecursionError, TypeError, ValueError) as error:
        # The checks above should leave nothing for Ibis to refuse; if something is left, it is still said as words.
        raise UserError(
            f"{where}: {_short(text)!r} cannot be computed ({type(error).__name__})", "write it in a simpler form"
        ) from error


class _Translator:
    """Turns the nodes of one expression into Ibis values over the names of its scope."""

    def __init__(self, scope: dict[str, ir.Value], codes: dict[str, list[str]], where: str):
        self.scope, self.codes, self.where = scope, codes, where

    def of(self, node: exp.Expression) -> _Made:
        """The translated node."""
        if isinstance(node, exp.Anonymous):
            return _NAMED[node.name.lower()](self, node)
        return _FORMS[type(node)][1](self, node)

    def wrong(self, what: str, remedy: str) -> UserError:
        return UserError(f"{self.where}: {what}", remedy)

    def wanted(self, kinds: str, node: exp.Expression, why: str, remedy: str = "") -> _Made:
        """The translated node when it is of one of the kinds."""
        made = self.of(node)
        if made.kind in kinds.split("|"):
            return made
        wanted = " or ".join(_A[k] for k in kinds.split("|"))
        raise self.wrong(f"{why} needs {wanted}, {made.said!r} is {_A[made.kind]}", remedy or f"give it {wanted}")

    # -- leaves

    def column(self, node: exp.Column) -> _Made:
        name = node.name
        if name not in self.scope:
            hint = f"; texts stand in single quotes: '{name}'" if node.this.quoted else _nearest(name, self.scope)
            raise self.wrong(f"no column {name!r}{hint}", f"the columns are {', '.join(self.scope)}")
        made = _Made(_kind(self.scope[name].type()), self.scope[name], name, column=name)
        if made.kind == "other":
            raise self.wrong(f"{name!r} is {_A['other']} ({made.value.type()})", "use another column")
        return made

    def literal(self, node: exp.Literal) -> _Made:
        text = node.this
        if node.is_string:
            return _Made("text", ibis.literal(text), f"'{text}'", literal=text)
        digits = re.sub(r"\D", "", text)
        if len(digits) > MOST_DIGITS or "e" in text.lower():
            raise self.wrong(f"{_short(text)} is too long a number", f"write up to {MOST_DIGITS} digits, without e")
        number = Decimal(text.rstrip("."))
        if number == number.to_integral_value() and "." not in text:
            return _Made("number", ibis.literal(int(number)), text)
        scale = -number.as_tuple().exponent
        precision = max(len(number.as_tuple().digits), scale)
        return _Made("number", ibis.literal(number, type=dt.Decimal(precision, scale)), text)

    def boolean(self, node: exp.Boolean) -> _Made:
        return _Made("boolean", ibis.literal(bool(node.this)), _said(node))

    def null(self, node: exp.Null) -> _Made:
        return _Made("null", None, "null")

    def paren(self, node: exp.Paren) -> _Made:
        return self.of(node.this)

    def dated(self, node: exp.Cast) -> _Made:
        """``date '…'`` and ``timestamp '…'``; other casts are refused."""
        kind = {exp.DType.DATE: "date", exp.DType.TIMESTAMP: "time", exp.DType.TIMESTAMPNTZ: "time"}.get(node.to.this)
        if kind is None or not (isinstance(node.this, exp.Literal) and node.this.is_string):
            raise self.wrong(
                f"{_said(node)!r}: a type cannot be set",
                "write days as date '2026-01-31'; columns have their types already",
            )
        return self.as_day(_Made("text", None, f"'{node.this.this}'", literal=node.this.this), kind)

    def as_day(self, text: _Made, kind: str) -> _Made:
        try:
            made = datetime.fromisoformat(text.literal)
            day = date.fromisoformat(text.literal) if kind == "date" else made.replace(tzinfo=None)
        except ValueError:
            form = "2026-01-31" if kind == "date" else "2026-01-31 or 2026-01-31 14:30"
            raise self.wrong(f"{text.said} is not a day", f"write it as '{form}'") from None
        return _Made(kind, ibis.date(day) if kind == "date" else ibis.timestamp(day), text.said)

    # -- joined and compared

    def both(self, node: exp.And | exp.Or) -> _Made:
        word = "and" if isinstance(node, exp.And) else "or"
        parts = [
            self.wanted("boolean", p, f"{word!r}", "compare it with something, as in total_yuan > 0")
            for p in node.flatten()
        ]
        return _Made("boolean", (ibis.and_ if word == "and" else ibis.or_)(*[p.value for p in parts]), _said(node))

    def negated(self, node: exp.Not) -> _Made:
        return _Made(
            "boolean", ~self.wanted("boolean", node.this, "'not'", "compare it with something first").value, _said(node)
        )

    def compared(self, node: exp.Binary) -> _Made:
        left, right = self.alike([self.of(node.this), self.of(node.expression)], _said(node))
        if left.kind == "boolean" and not isinstance(node, exp.EQ | exp.NEQ | exp.NullSafeEQ | exp.NullSafeNEQ):
            raise self.wrong(
                f"{_said(node)!r}: true and false have no order", "compare them with = only; join conditions with and"
            )
        return _Made("boolean", _COMPARE[type(node)](left.value, right.value), _said(node))

    def between(self, node: exp.Between) -> _Made:
        v, low, high = self.alike(
            [self.of(node.this), self.of(node.args["low"]), self.of(node.args["high"])], _said(node)
        )
        return _Made("boolean", (v.value >= low.value) & (v.value <= high.value), _said(node))

    def within(self, node: exp.In) -> _Made:
        if not node.expressions:
            raise self.wrong(f"{_said(node)!r}: an empty list", "name the values, as in in ('repair', 'accident')")
        first, *rest = self.alike([self.of(node.this), *[self.of(e) for e in node.expressions]], _said(node))
        return _Made("boolean", first.value.isin([r.value for r in rest]), _said(node))

    def being(self, node: exp.Is) -> _Made:
        if isinstance(node.expression, exp.Null):
            made = self.of(node.this)
            if made.kind == "null":
                raise self.wrong("null is null", "name a column before is null")
            return _Made("boolean", made.value.isnull(), _said(node))
        if not isinstance(node.expression, exp.Boolean):
            raise self.wrong(f"{_said(node)!r}: is takes null, true or false", "compare with =")
        made = self.wanted("boolean", node.this, "'is true' and 'is false'")
        met = made.value if node.expression.this else ~made.value
        return _Made("boolean", met.fill_null(False), _said(node))

    def like(self, node: exp.Like | exp.ILike) -> _Made:
        text = self.wanted("text", node.this, "'like'")
        pattern = self.pattern(node.expression, "a pattern of like")
        met = text.value.like(pattern) if isinstance(node, exp.Like) else text.value.ilike(pattern)
        return _Made("boolean", ~met if node.args.get("negate") else met, _said(node))

    def pattern(self, node: exp.Expression, what: str) -> str:
        if not (isinstance(node, exp.Literal) and node.is_string):
            raise self.wrong(f"{_said(node)!r} is not {what}", "write the pattern in single quotes")
        return node.this

    def alike(self, parts: list[_Made], said: str) -> list[_Made]:
        """The parts brought to one type so that they can be compared or chosen from; null stays where there is one."""
        if any(p.kind == "null" for p in parts):
            raise self.wrong(f"{said!r}: nothing is equal to null", "write is null or is not null")
        for column, text in ((a, b) for a in parts for b in parts if a.column in self.codes and b.literal is not None):
            known = self.codes[column.column]
            if text.literal not in known:
                raise self.wrong(
                    f"{column.said} is never {text.said}{_nearest(text.literal, known)}",
                    f"it is one of {', '.join(known)}",
                )
        return self.one_type(parts, said)

    def one_type(self, parts: list[_Made], said: str) -> list[_Made]:
        kinds = {p.kind for p in parts if p.kind != "null"}
        if kinds & {"date", "time"}:
            # A text written where a day is meant is read as one.
            kind = "time" if "time" in kinds else "date"
            parts = [self.as_day(p, kind) if p.kind == "text" and p.literal is not None else p for p in parts]
            kinds = {p.kind for p in parts if p.kind != "null"}
            if kinds == {"date", "time"}:
                parts = [_Made("time", p.value.cast("timestamp"), p.said) if p.kind == "date" else p for p in parts]
                kinds = {"time"}
        if len(kinds) > 1:
            kinds_said = ", ".join(f"{p.said!r} is {_A[p.kind]}" for p in parts if p.kind != "null")
            raise self.wrong(
                f"{said!r} mixes types: {kinds_said}",
                "compare numbers with numbers, texts in single quotes with texts, days with days",
            )
        if kinds != {"number"}:
            return parts
        numbers = _common([p.value for p in parts if p.kind == "number"])
        return [p if p.kind == "null" else _Made("number", numbers.pop(0), p.said, p.column, p.literal) for p in parts]

    # -- computed

    def arithmetic(self, node: exp.Binary) -> _Made:
        sign = _SIGNS[type(node)]
        if isinstance(node.expression, exp.Interval):
            return self.moved(node)
        left = self.of(node.this)
        if sign == "-" and left.kind in ("date", "time"):
            raise self.wrong(
                f"{_said(node)!r}: how far two days lie apart",
                f"write days_between({_said(node.expression)}, {left.said})",
            )
        remedy = "take a column of numbers"
        if sign in "+-" and left.kind in ("date", "time"):
            remedy = f"write {left.said} {sign} interval '30 days'"
        elif sign == "+":
            remedy = "write || to join texts"
        left, right = (self.wanted("number", n, f"{sign!r}", remedy).value for n in (node.this, node.expression))
        return _Made("number", _CALCULATE[sign](left, right), _said(node))

    def moved(self, node: exp.Add | exp.Sub) -> _Made:
        """A day moved by an interval."""
        if not isinstance(node, exp.Add | exp.Sub):
            raise self.wrong(f"{_said(node)!r}: an interval is added to a day", "write opened_at + interval '30 days'")
        day = self.wanted("date|time", node.this, "an interval")
        interval = node.expression
        said = f"{interval.this.this if interval.this else ''} {interval.unit.name if interval.unit else ''}".strip().lower()
        match = re.fullmatch(rf"(\d{{1,5}})\s+({'|'.join(_INTERVALS)})s?", said)
        if match is None:
            raise self.wrong(
                f"{_said(interval)!r} is not an interval",
                f"write interval '30 days'; units are {', '.join(_INTERVALS)}",
            )
        kind = "time" if day.kind == "time" or match[2] in ("hour", "minute") else "date"
        value = day.value.cast("timestamp") if kind == "time" else day.value
        step = ibis.interval(
            int(match[1]),
            unit={"quarter": "Q", "minute": "m", "month": "M"}.get(
                match[2], match[2][0].upper() if match[2] != "hour" else "h"
            ),
        )
        value = value + step if isinstance(node, exp.Add) else value - step
        return _Made(kind, value.cast("timestamp" if kind == "time" else "date"), _said(node))

    def minus(self, node: exp.Neg) -> _Made:
        return _Made("number", -_wide(self.wanted("number", node.this, "'-'").value), _said(node))

    def absolute(self, node: exp.Abs) -> _Made:
        return _Made("number", _wide(self.wanted("number", node.this, "abs").value).abs(), _said(node))

    def rounded(self, node: exp.Round) -> _Made:
        number = _wide(self.wanted("number", node.this, "round").value)
        digits = self.whole(node.args["decimals"], "the digits of round", 0, 10) if node.args.get("decimals") else 0
        if number.type().is_decimal():
            digits = min(digits, number.type().scale)
        return _Made("number", number.round(digits), _said(node))

    def floored(self, node: exp.Floor | exp.Ceil) -> _Made:
        word = "floor" if isinstance(node, exp.Floor) else "ceil"
        number = _wide(self.wanted("number", node.this, word).value)
        if number.type().is_floating():
            # Beyond it a float has no fraction, and no room in a whole number.
            number = (number.abs() < 1e15).ifelse(number, ibis.null("float64"))
        return _Made("number", getattr(number, word)(), _said(node))

    def whole(self, node: exp.Expression, what: str, lo: int, hi: int) -> int:
        sign, inner = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
        number = (
            sign * int(inner.this) if isinstance(inner, exp.Literal) and re.fullmatch(r"\d{1,9}", inner.this) else None
        )
        if number is None or not lo <= number <= hi:
            raise self.wrong(f"{what}: {_said(node)!r}", f"write a whole number from {lo} to {hi}")
        return number

    # -- chosen

    def first_known(self, node: exp.Coalesce) -> _Made:
        return self.chosen([node.this, *node.expressions], node, ibis.coalesce)

    def extreme(self, node: exp.Greatest | exp.Least) -> _Made:
        return self.chosen(
            [node.this, *node.expressions], node, ibis.greatest if isinstance(node, exp.Greatest) else ibis.least
        )

    def chosen(self, nodes: list[exp.Expression], node: exp.Expression, choose: Callable) -> _Made:
        parts = [p for p in self.one_type([self.of(n) for n in nodes], _said(node)) if p.kind != "null"]
        if not parts:
            return _Made("null", None, _said(node))
        return _Made(parts[0].kind, choose(*[p.value for p in parts]), _said(node))

    def unless_equal(self, node: exp.Nullif) -> _Made:
        left, right = self.alike([self.of(node.this), self.of(node.expression)], _said(node))
        return _Made(left.kind, left.value.nullif(right.value), _said(node))

    def case(self, node: exp.Case) -> _Made:
        subject = node.this
        pairs = [
            (exp.EQ(this=subject.copy(), expression=i.this) if subject else i.this, i.args["true"])
            for i in node.args["ifs"]
        ]
        return self.branches(pairs, node.args.get("default"), node)

    def if_(self, node: exp.If) -> _Made:
        return self.branches([(node.this, node.args["true"])], node.args.get("false"), node)

    def branches(self, pairs: list[tuple], default: exp.Expression | None, node: exp.Expression) -> _Made:
        met = [self.wanted("boolean", test, "'when'", "compare it with something").value for test, _ in pairs]
        results = [self.of(n) for n in (*[then for _, then in pairs], *([default] if default is not None else []))]
        results = self.one_type(results, _said(node))
        known = [r for r in results if r.kind != "null"]
        if not known:
            return _Made("null", None, _said(node))
        nothing = ibis.null(known[0].value.type())
        values = [nothing if r.kind == "null" else r.value for r in results]
        otherwise = values[len(met)] if default is not None else nothing
        return _Made(known[0].kind, ibis.cases(*zip(met, values), else_=otherwise), _said(node))

    # -- texts and days

    def of_text(self, node: exp.Func) -> _Made:
        name, kind = _TEXT[type(node)]
        if isinstance(node, exp.Trim) and node.args.get("position"):
            raise self.wrong(f"{_said(node)!r}: trim takes blanks off both ends", "write trim(…)")
        return _Made(kind, getattr(self.wanted("text", node.this, name).value, _METHODS.get(name, name))(), _said(node))

    def part_of_text(self, node: exp.Substring | exp.Left | exp.Right) -> _Made:
        text = self.wanted("text", node.this, "a part of a text").value
        if not isinstance(node, exp.Substring):
            cut = text.left if isinstance(node, exp.Left) else text.right
            return _Made("text", cut(self.whole(node.expression, "how many characters", 0, 10_000)), _said(node))
        if node.args.get("start") is None:
            raise self.wrong(f"{_said(node)!r}: from which character", "write substr(text, 1, 2): the first counts 1")
        start = self.whole(node.args["start"], "the first character of substr", 1, 10_000) - 1
        length = node.args.get("length")
        return _Made(
            "text",
            text.substr(start, self.whole(length, "the length of substr", 0, 10_000) if length else None),
            _said(node),
        )

    def joined(self, node: exp.DPipe) -> _Made:
        left, right = (self.wanted("text", n, "'||'").value for n in (node.this, node.expression))
        return _Made("text", left + right, _said(node))

    def replaced(self, node: exp.Replace) -> _Made:
        parts = [
            self.wanted("text", n, "replace").value for n in (node.this, node.expression, node.args["replacement"])
        ]
        return _Made("text", parts[0].replace(*parts[1:]), _said(node))

    def holds(self, node: exp.Contains | exp.StartsWith) -> _Made:
        text, part = (self.wanted("text", n, "contains and starts_with").value for n in (node.this, node.expression))
        return _Made(
            "boolean", text.contains(part) if isinstance(node, exp.Contains) else text.startswith(part), _said(node)
        )

    def matched(self, node: exp.RegexpLike) -> _Made:
        text, pattern = self.wanted("text", node.this, "regexp_matches"), self.pattern(node.expression, "a pattern")
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid:
            raise self.wrong(
                f"{_said(node.expression)} is not a regular expression",
                "mind brackets; look-ahead and back-references are not there",
            ) from None
        return _Made("boolean", text.value.re_search(pattern), _said(node))

    def part_of_day(self, node: exp.Func) -> _Made:
        name = node.this.name.lower() if isinstance(node, exp.Extract) else node.sql_name().lower()
        of = node.expression if isinstance(node, exp.Extract) else node.this
        return self.unit_of(name, of, node)

    def weekday(self, node: exp.Anonymous) -> _Made:
        return self.unit_of("weekday", *self.given(node, 1, "weekday(day)"), node)

    def unit_of(self, unit: str, of: exp.Expression, node: exp.Expression) -> _Made:
        if unit not in ("year", "quarter", "month", "day", "hour", "weekday"):
            raise self.wrong(
                f"{_said(node)!r}: no part {unit!r} of a day", "parts are year, quarter, month, day, hour, weekday"
            )
        day = self.wanted("time" if unit == "hour" else "date|time", of, unit)
        part = day.value.day_of_week.index() + 1 if unit == "weekday" else getattr(day.value, unit)()
        return _Made("number", part.cast("int64"), _said(node))

    def days_between(self, node: exp.Anonymous) -> _Made:
        nodes = self.given(node, 2, "days_between(from, to)")
        parts = [self.of(n) for n in nodes]
        parts = [self.as_day(p, "date") if p.literal is not None and p.kind == "text" else p for p in parts]
        for part in parts:
            if part.kind not in ("date", "time"):
                raise self.wrong(
                    f"days_between needs two days, {part.said!r} is {_A[part.kind]}",
                    "give it columns of days, or date '2026-01-31'",
                )
        first, last = (p.value.cast("date") for p in parts)
        return _Made("number", last.delta(first, unit="day").cast("int64"), _said(node))

    def given(self, node: exp.Anonymous, count: int, form: str) -> list[exp.Expression]:
        if len(node.expressions) != count:
            raise self.wrong(f"{_said(node)!r} has not {count} argument{'s' if count > 1 else ''}", f"write {form}")
        return node.expressions


# ---- numbers ------------------------------------------------------------------------------------------------------


def _wide(number: ir.NumericValue) -> ir.NumericValue:
    """Whole numbers as decimals, which never overflow in sums and differences; the rest as it is."""
    if isinstance(number.type(), dt.Integer):
        return number.cast(dt.Decimal(_digits(number), 0))
    return number if number.type().is_decimal() else number.cast("float64")


def _digits(number: ir.NumericValue) -> int:
    """Digits that a number can have."""
    type_ = number.type()
    return (
        type_.precision
        if type_.is_decimal()
        else {1: 3, 2: 5, 4: 10}.get(type_.nbytes, 20 if type_.is_unsigned_integer() else 19)
    )


def _common(numbers: list[ir.NumericValue]) -> list[ir.NumericValue]:
    """The numbers in one type: whole, decimal as long as 38 digits suffice, else float."""
    types = [n.type() for n in numbers]
    if all(t.is_integer() for t in types):
        return [n.cast("int64") for n in numbers] if len(set(types)) > 1 else numbers
    numbers = [_wide(n) for n in numbers]
    if any(n.type().is_floating() for n in numbers):
        return [n.cast("float64") for n in numbers]
    scale = max(n.type().scale for n in numbers)
    precision = max(n.type().precision - n.type().scale for n in numbers) + scale
    return [n.cast(dt.Decimal(precision, scale) if precision <= 38 else "float64") for n in numbers]


def _sum(left: ir.NumericValue, right: ir.NumericValue, sign: int) -> ir.NumericValue:
    left, right = _common([_wide(left), _wide(right)])
    if left.type().is_decimal():
        precision, scale = left.type().precision + 1, left.type().scale
        type_ = dt.Decimal(precision, scale) if precision <= 38 else dt.float64
        left, right = left.cast(type_), right.cast(type_)
        return (left + right if sign > 0 else left - right).cast(type_)
    return left + right if sign > 0 else left - right


def _product(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    left, right = _wide(left), _wide(right)
    if left.type().is_decimal() and right.type().is_decimal():
        precision, scale = left.type().precision + right.type().precision, left.type().scale + right.type().scale
        if precision <= 38:
            # Wide sides make the engine compute the product in full width; Ibis wants both of one width.
            left, right = (n.cast(dt.Decimal(max(precision, 19), n.type().scale)) for n in (left, right))
            return (left * right).cast(dt.Decimal(precision, scale))
    return left.cast("float64") * right.cast("float64")


def _quotient(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    return left.cast("float64") / right.cast("float64").nullif(0.0)


def _rest(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    left, right = _common([_wide(left), _wide(right)])
    return left % right.nullif(ibis.literal(0).cast(right.type()))


_CALCULATE = {
    "+": lambda a, b: _sum(a, b, 1),
    "-": lambda a, b: _sum(a, b, -1),
    "*": _product,
    "/": _quotient,
    "%": _rest,
}
_SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_COMPARE = {
    exp.EQ: lambda a, b: a == b, exp.NEQ: lambda a, b: a != b, exp.LT: lambda a, b: a < b, exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b, exp.GTE: lambda a, b: a >= b, exp.NullSafeEQ: lambda a, b: a.identical_to(b),
    exp.NullSafeNEQ: lambda a, b: ~a.identical_to(b),
}  # fmt: skip
_TEXT = {
    exp.Length: ("length", "number"),
    exp.Lower: ("lower", "text"),
    exp.Upper: ("upper", "text"),
    exp.Trim: ("trim", "text"),
}
_METHODS = {"trim": "strip"}
_NAMED = {"days_between": _Translator.days_between, "weekday": _Translator.weekday}

#: Nodes that are looked at with the node they belong to.
_PARTS = {exp.Identifier, exp.Interval, exp.DataType, exp.Var}
_T, _TWO, _LIST = {"this"}, {"this", "expression"}, {"this", "expressions"}

#: Node → the parts it may have, and what translates it. What is not here is refused.
_FORMS: dict[type, tuple[set[str], Callable]] = {
    exp.Column: (_T, _Translator.column), exp.Literal: ({"this", "is_string"}, _Translator.literal), exp.Boolean: (_T, _Translator.boolean),
    exp.Null: (set(), _Translator.null), exp.Paren: (_T, _Translator.paren), exp.Cast: ({"this", "to"}, _Translator.dated),
    exp.And: (_TWO, _Translator.both), exp.Or: (_TWO, _Translator.both), exp.Not: (_T, _Translator.negated),
    **dict.fromkeys(_COMPARE, (_TWO, _Translator.compared)), exp.Between: ({"this", "low", "high"}, _Translator.between),
    exp.In: (_LIST, _Translator.within), exp.Is: (_TWO, _Translator.being), exp.Like: (_TWO | {"negate"}, _Translator.like),
    exp.ILike: (_TWO | {"negate"}, _Translator.like), **dict.fromkeys(_SIGNS, ({*_TWO, "typed", "safe"}, _Translator.arithmetic)),
    exp.Neg: (_T, _Translator.minus), exp.Abs: (_T, _Translator.absolute), exp.Round: ({"this", "decimals"}, _Translator.rounded),
    exp.Floor: (_T, _Translator.floored), exp.Ceil: (_T, _Translator.floored), exp.Coalesce: (_LIST, _Translator.first_known),
    exp.Greatest: (_LIST | {"ignore_nulls"}, _Translator.extreme), exp.Least: (_LIST | {"ignore_nulls"}, _Translator.extreme),
    exp.Nullif: (_TWO, _Translator.unless_equal), exp.Case: ({"this", "ifs", "default"}, _Translator.case),
    exp.If: ({"this", "true", "false"}, _Translator.if_), **dict.fromkeys(_TEXT, (_T, _Translator.of_text)),
    exp.Substring: ({"this", "start", "length"}, _Translator.part_of_text), exp.Left: (_TWO, _Translator.part_of_text),
    exp.Right: (_TWO, _Translator.part_of_text), exp.DPipe: (_TWO | {"safe"}, _Translator.joined),
    exp.Replace: (_TWO | {"replacement"}, _Translator.replaced), exp.Contains: (_TWO, _Translator.holds),
    exp.StartsWith: (_TWO, _Translator.holds), exp.RegexpLike: (_TWO, _Translator.matched), exp.Extract: (_TWO, _Translator.part_of_day),
    **dict.fromkeys((exp.Year, exp.Quarter, exp.Month, exp.Day, exp.Hour), (_T, _Translator.part_of_day)),
}  # fmt: skip
