"""From the syntax tree of an expression to an Ibis value, form by form; a form that is not listed here does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dealerkit.errors import UserError
from dealerkit.expressions import numbers
from dealerkit.expressions.reading import FUNCTIONS, INSTEAD, MOST_DIGITS, nearest, said, short

#: Units of an interval.
_INTERVALS = ("year", "quarter", "month", "week", "day", "hour", "minute")

#: What a value is called in messages.
A = {"number": "a number", "text": "a text", "boolean": "true or false", "date": "a day", "time": "a point in time", "null": "null", "other": "of a type that expressions cannot use"}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A translated part: its kind (a key of `A`), value, words for messages, and what it is when no more than that."""

    kind: str
    value: ir.Value | None
    said: str
    column: str | None = None
    literal: str | None = None


def _not(condition: ir.BooleanValue) -> ir.BooleanValue:
    """The contrary. Not ``~``: its SQL has no brackets, so that what follows would bind to its inside."""
    return condition.cast("int64") == 0


def _kind(type_: dt.DataType) -> str:
    tests = (("number", type_.is_numeric() and not type_.is_boolean()), ("text", type_.is_string()), ("boolean", type_.is_boolean()), ("date", type_.is_date()), ("time", type_.is_timestamp()))  # fmt: skip
    return next((kind for kind, yes in tests if yes), "other")


class Translator:
    """Turns the nodes of one expression into Ibis values over the names of its scope."""

    def __init__(self, scope: dict[str, ir.Value], codes: dict[str, list[str]], where: str):
        self.scope, self.codes, self.where = scope, codes, where

    def of(self, node: exp.Expression) -> Made:
        """The translated node."""
        if isinstance(node, exp.Anonymous):
            return _NAMED[node.name.lower()](self, node)
        if type(node) not in _FORMS:
            raise self.wrong(f"{said(node)!r} is not allowed here", "write it as opened_at + interval '30 days'")
        return _FORMS[type(node)][1](self, node)

    def wrong(self, what: str, remedy: str) -> UserError:
        return UserError(f"{self.where}: {what}", remedy)

    def wanted(self, kinds: str, node: exp.Expression, why: str, remedy: str = "") -> Made:
        """The translated node when it is of one of the kinds."""
        return self.checked(self.of(node), kinds, why, remedy)

    def checked(self, made: Made, kinds: str, why: str, remedy: str = "") -> Made:
        """A translated part when it is of one of the kinds."""
        if made.kind in kinds.split("|"):
            return made
        wanted = " or ".join(A[k] for k in kinds.split("|"))
        raise self.wrong(f"{why} needs {wanted}, {made.said!r} is {A[made.kind]}", remedy or f"give it {wanted}")

    # -- leaves

    def column(self, node: exp.Column) -> Made:
        name = node.name
        if name not in self.scope:
            hint = f"; texts stand in single quotes: '{short(name)}'" if node.this.quoted else nearest(name, self.scope)
            raise self.wrong(f"no column {short(name)!r}{hint}", f"the columns are {', '.join(self.scope)}")
        made = Made(_kind(self.scope[name].type()), self.scope[name], name, column=name)
        if made.kind == "other":
            raise self.wrong(f"{name!r} is {A['other']} ({made.value.type()})", "use another column")
        return made

    def literal(self, node: exp.Literal) -> Made:
        text = node.this
        if node.is_string:
            return Made("text", ibis.literal(text), short(f"'{text}'"), literal=text)
        digits = re.sub(r"\D", "", text)
        if len(digits) > MOST_DIGITS or "e" in text.lower():
            raise self.wrong(f"{short(text)} is too long a number", f"write up to {MOST_DIGITS} digits, without e")
        number = Decimal(text.rstrip("."))
        if number == number.to_integral_value() and "." not in text:
            return Made("number", ibis.literal(int(number)), short(text))
        scale = -number.as_tuple().exponent
        precision = max(len(number.as_tuple().digits), scale)
        return Made("number", ibis.literal(number, type=dt.Decimal(precision, scale)), short(text))

    def boolean(self, node: exp.Boolean) -> Made:
        return Made("boolean", ibis.literal(bool(node.this)), said(node))

    def null(self, node: exp.Null) -> Made:
        return Made("null", None, "null")

    def paren(self, node: exp.Paren) -> Made:
        return self.of(node.this)

    def dated(self, node: exp.Cast) -> Made:
        """``date '…'`` and ``timestamp '…'``; other casts are refused."""
        kind = {exp.DType.DATE: "date", exp.DType.TIMESTAMP: "time", exp.DType.TIMESTAMPNTZ: "time"}.get(node.to.this)
        if kind is None or not (isinstance(node.this, exp.Literal) and node.this.is_string):
            raise self.wrong(
                f"{said(node)!r}: a type cannot be set",
                "write days as date '2026-01-31'; columns have their types already",
            )
        return self.as_day(Made("text", None, short(f"'{node.this.this}'"), literal=node.this.this), kind)

    def as_day(self, text: Made, kind: str) -> Made:
        try:
            made = datetime.fromisoformat(text.literal)
            day = date.fromisoformat(text.literal) if kind == "date" else made.replace(tzinfo=None)
        except ValueError:
            form = "2026-01-31" if kind == "date" else "2026-01-31 or 2026-01-31 14:30"
            raise self.wrong(f"{text.said} is not a day", f"write it as '{form}'") from None
        return Made(kind, ibis.date(day) if kind == "date" else ibis.timestamp(day), text.said)

    # -- joined and compared

    def both(self, node: exp.And | exp.Or) -> Made:
        word = "and" if isinstance(node, exp.And) else "or"
        parts = [
            self.wanted("boolean", p, f"{word!r}", "compare it with something, as in total_yuan > 0")
            for p in node.flatten()
        ]
        return Made("boolean", (ibis.and_ if word == "and" else ibis.or_)(*[p.value for p in parts]), said(node))

    def negated(self, node: exp.Not) -> Made:
        return Made(
            "boolean",
            _not(self.wanted("boolean", node.this, "'not'", "compare it with something first").value),
            said(node),
        )

    def compared(self, node: exp.Binary) -> Made:
        left, right = self.alike([self.of(node.this), self.of(node.expression)], said(node))
        if left.kind == "boolean" and not isinstance(node, exp.EQ | exp.NEQ | exp.NullSafeEQ | exp.NullSafeNEQ):
            raise self.wrong(
                f"{said(node)!r}: true and false have no order", "compare them with = only; join conditions with and"
            )
        return Made("boolean", _COMPARE[type(node)](left.value, right.value), said(node))

    def between(self, node: exp.Between) -> Made:
        v, low, high = self.alike(
            [self.of(node.this), self.of(node.args["low"]), self.of(node.args["high"])], said(node)
        )
        return Made("boolean", (v.value >= low.value) & (v.value <= high.value), said(node))

    def within(self, node: exp.In) -> Made:
        if not node.expressions:
            raise self.wrong(f"{said(node)!r}: an empty list", "name the values, as in in ('repair', 'accident')")
        first, *rest = self.alike([self.of(node.this), *[self.of(e) for e in node.expressions]], said(node))
        return Made("boolean", first.value.isin([r.value for r in rest]), said(node))

    def being(self, node: exp.Is) -> Made:
        if isinstance(node.expression, exp.Null):
            made = self.of(node.this)
            if made.kind == "null":
                raise self.wrong("null is null", "name a column before is null")
            return Made("boolean", made.value.isnull(), said(node))
        if not isinstance(node.expression, exp.Boolean):
            raise self.wrong(f"{said(node)!r}: is takes null, true or false", "compare with =")
        made = self.wanted("boolean", node.this, "'is true' and 'is false'")
        met = made.value if node.expression.this else _not(made.value)
        return Made("boolean", met.fill_null(False), said(node))

    def like(self, node: exp.Like | exp.ILike) -> Made:
        text = self.wanted("text", node.this, "'like'")
        pattern = self.pattern(node.expression, "a pattern of like")
        met = text.value.like(pattern) if isinstance(node, exp.Like) else text.value.ilike(pattern)
        return Made("boolean", _not(met) if node.args.get("negate") else met, said(node))

    def pattern(self, node: exp.Expression, what: str) -> str:
        if not (isinstance(node, exp.Literal) and node.is_string):
            raise self.wrong(f"{said(node)!r} is not {what}", "write the pattern in single quotes")
        return node.this

    def alike(self, parts: list[Made], said: str) -> list[Made]:
        """The parts brought to one type so that they can be compared or chosen from; null stays where there is one."""
        if any(p.kind == "null" for p in parts):
            raise self.wrong(f"{said!r}: nothing is equal to null", "write is null or is not null")
        for column, text in ((a, b) for a in parts for b in parts if a.column in self.codes and b.literal is not None):
            known = self.codes[column.column]
            if text.literal not in known:
                raise self.wrong(
                    f"{column.said} is never {text.said}{nearest(text.literal, known)}",
                    f"it is one of {', '.join(known)}",
                )
        return self.one_type(parts, said)

    def one_type(self, parts: list[Made], said: str) -> list[Made]:
        kinds = {p.kind for p in parts if p.kind != "null"}
        if kinds & {"date", "time"}:
            # A text written where a day is meant is read as one.
            kind = "time" if "time" in kinds else "date"
            parts = [self.as_day(p, kind) if p.kind == "text" and p.literal is not None else p for p in parts]
            kinds = {p.kind for p in parts if p.kind != "null"}
            if kinds == {"date", "time"}:
                parts = [Made("time", p.value.cast("timestamp"), p.said) if p.kind == "date" else p for p in parts]
                kinds = {"time"}
        if len(kinds) > 1:
            kinds_said = ", ".join(f"{p.said!r} is {A[p.kind]}" for p in parts if p.kind != "null")
            raise self.wrong(
                f"{said!r} mixes types: {kinds_said}",
                "compare numbers with numbers, texts in single quotes with texts, days with days",
            )
        if kinds != {"number"}:
            return parts
        same = numbers.common([p.value for p in parts if p.kind == "number"])
        return [p if p.kind == "null" else Made("number", same.pop(0), p.said, p.column, p.literal) for p in parts]

    # -- computed

    def arithmetic(self, node: exp.Binary) -> Made:
        sign = _SIGNS[type(node)]
        if isinstance(node.expression, exp.Interval):
            return self.moved(node)
        left, right = self.of(node.this), self.of(node.expression)
        if sign == "-" and left.kind in ("date", "time") and right.kind in ("date", "time"):
            raise self.wrong(
                f"{said(node)!r}: how far two days lie apart", f"write days_between({right.said}, {left.said})"
            )
        remedy = "write || to join texts" if sign == "+" else "take a column of numbers"
        if left.kind in ("date", "time"):
            remedy = f"write {left.said} {sign} interval '30 days'"
        left, right = (self.checked(part, "number", f"{sign!r}", remedy).value for part in (left, right))
        return Made("number", _CALCULATE[sign](left, right), said(node))

    def moved(self, node: exp.Add | exp.Sub) -> Made:
        """A day moved by an interval."""
        if not isinstance(node, exp.Add | exp.Sub):
            raise self.wrong(f"{said(node)!r}: an interval is added to a day", "write opened_at + interval '30 days'")
        day = self.wanted("date|time", node.this, "an interval")
        interval = node.expression
        written = f"{interval.this.this if interval.this else ''} {interval.unit.name if interval.unit else ''}".strip().lower()
        match = re.fullmatch(rf"(\d{{1,5}})\s+({'|'.join(_INTERVALS)})s?", written)
        if match is None:
            raise self.wrong(
                f"{said(interval)!r} is not an interval",
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
        return Made(kind, value.cast("timestamp" if kind == "time" else "date"), said(node))

    def minus(self, node: exp.Neg) -> Made:
        return Made("number", -numbers.wide(self.wanted("number", node.this, "'-'").value), said(node))

    def absolute(self, node: exp.Abs) -> Made:
        return Made("number", numbers.wide(self.wanted("number", node.this, "abs").value).abs(), said(node))

    def rounded(self, node: exp.Round) -> Made:
        number = numbers.wide(self.wanted("number", node.this, "round").value)
        digits = self.whole(node.args["decimals"], "the digits of round", 0, 10) if node.args.get("decimals") else 0
        if number.type().is_decimal():
            digits = min(digits, number.type().scale)
        return Made("number", number.round(digits), said(node))

    def floored(self, node: exp.Floor | exp.Ceil) -> Made:
        word = "floor" if isinstance(node, exp.Floor) else "ceil"
        number = numbers.wide(self.wanted("number", node.this, word).value)
        if number.type().is_floating():
            # Beyond it a float has no fraction, and no room in a whole number.
            number = (number.abs() < 1e15).ifelse(number, ibis.null("float64"))
        return Made("number", getattr(number, word)(), said(node))

    def whole(self, node: exp.Expression, what: str, lo: int, hi: int) -> int:
        sign, inner = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
        number = (
            sign * int(inner.this) if isinstance(inner, exp.Literal) and re.fullmatch(r"\d{1,9}", inner.this) else None
        )
        if number is None or not lo <= number <= hi:
            raise self.wrong(f"{what}: {said(node)!r}", f"write a whole number from {lo} to {hi}")
        return number

    # -- chosen

    def first_known(self, node: exp.Coalesce) -> Made:
        return self.chosen([node.this, *node.expressions], node, ibis.coalesce)

    def extreme(self, node: exp.Greatest | exp.Least) -> Made:
        return self.chosen(
            [node.this, *node.expressions], node, ibis.greatest if isinstance(node, exp.Greatest) else ibis.least
        )

    def chosen(self, nodes: list[exp.Expression], node: exp.Expression, choose: Callable) -> Made:
        parts = [p for p in self.one_type([self.of(n) for n in nodes], said(node)) if p.kind != "null"]
        if not parts:
            return Made("null", None, said(node))
        return Made(parts[0].kind, choose(*[p.value for p in parts]), said(node))

    def unless_equal(self, node: exp.Nullif) -> Made:
        left, right = self.alike([self.of(node.this), self.of(node.expression)], said(node))
        return Made(left.kind, left.value.nullif(right.value), said(node))

    def case(self, node: exp.Case) -> Made:
        subject = node.this
        pairs = [
            (exp.EQ(this=subject.copy(), expression=i.this) if subject else i.this, i.args["true"])
            for i in node.args["ifs"]
        ]
        return self.branches(pairs, node.args.get("default"), node)

    def if_(self, node: exp.If) -> Made:
        return self.branches([(node.this, node.args["true"])], node.args.get("false"), node)

    def branches(self, pairs: list[tuple], default: exp.Expression | None, node: exp.Expression) -> Made:
        met = [self.wanted("boolean", test, "'when'", "compare it with something").value for test, _ in pairs]
        results = [self.of(n) for n in (*[then for _, then in pairs], *([default] if default is not None else []))]
        results = self.one_type(results, said(node))
        known = [r for r in results if r.kind != "null"]
        if not known:
            return Made("null", None, said(node))
        nothing = ibis.null(known[0].value.type())
        values = [nothing if r.kind == "null" else r.value for r in results]
        otherwise = values[len(met)] if default is not None else nothing
        return Made(known[0].kind, ibis.cases(*zip(met, values), else_=otherwise), said(node))

    # -- texts and days

    def of_text(self, node: exp.Func) -> Made:
        name, kind = _TEXT[type(node)]
        if isinstance(node, exp.Trim) and node.args.get("position"):
            raise self.wrong(f"{said(node)!r}: trim takes blanks off both ends", "write trim(…)")
        return Made(kind, getattr(self.wanted("text", node.this, name).value, _METHODS.get(name, name))(), said(node))

    def part_of_text(self, node: exp.Substring | exp.Left | exp.Right) -> Made:
        text = self.wanted("text", node.this, "a part of a text").value
        if not isinstance(node, exp.Substring):
            cut = text.left if isinstance(node, exp.Left) else text.right
            return Made("text", cut(self.whole(node.expression, "how many characters", 0, 10_000)), said(node))
        if node.args.get("start") is None:
            raise self.wrong(f"{said(node)!r}: from which character", "write substr(text, 1, 2): the first counts 1")
        start = self.whole(node.args["start"], "the first character of substr", 1, 10_000) - 1
        length = node.args.get("length")
        return Made(
            "text",
            text.substr(start, self.whole(length, "the length of substr", 0, 10_000) if length else None),
            said(node),
        )

    def joined(self, node: exp.DPipe) -> Made:
        left, right = (self.wanted("text", n, "'||'").value for n in (node.this, node.expression))
        return Made("text", left + right, said(node))

    def replaced(self, node: exp.Replace) -> Made:
        parts = [
            self.wanted("text", n, "replace").value for n in (node.this, node.expression, node.args["replacement"])
        ]
        return Made("text", parts[0].replace(*parts[1:]), said(node))

    def holds(self, node: exp.Contains | exp.StartsWith) -> Made:
        text, part = (self.wanted("text", n, "contains and starts_with").value for n in (node.this, node.expression))
        return Made(
            "boolean", text.contains(part) if isinstance(node, exp.Contains) else text.startswith(part), said(node)
        )

    def matched(self, node: exp.RegexpLike) -> Made:
        text, pattern = self.wanted("text", node.this, "regexp_matches"), self.pattern(node.expression, "a pattern")
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid:
            raise self.wrong(
                f"{said(node.expression)} is not a regular expression",
                "mind brackets; look-ahead and back-references are not there",
            ) from None
        return Made("boolean", text.value.re_search(pattern), said(node))

    def part_of_day(self, node: exp.Func) -> Made:
        name = node.this.name.lower() if isinstance(node, exp.Extract) else node.sql_name().lower()
        of = node.expression if isinstance(node, exp.Extract) else node.this
        return self.unit_of(name, of, node)

    def weekday(self, node: exp.Anonymous) -> Made:
        return self.unit_of("weekday", *self.given(node, 1, "weekday(day)"), node)

    def unit_of(self, unit: str, of: exp.Expression, node: exp.Expression) -> Made:
        if unit not in ("year", "quarter", "month", "day", "hour", "weekday"):
            raise self.wrong(
                f"{said(node)!r}: no part {unit!r} of a day", "parts are year, quarter, month, day, hour, weekday"
            )
        day = self.wanted("time" if unit == "hour" else "date|time", of, unit)
        part = day.value.day_of_week.index() + 1 if unit == "weekday" else getattr(day.value, unit)()
        return Made("number", part.cast("int64"), said(node))

    def days_between(self, node: exp.Anonymous) -> Made:
        nodes = self.given(node, 2, "days_between(from, to)")
        parts = [self.of(n) for n in nodes]
        parts = [self.as_day(p, "date") if p.literal is not None and p.kind == "text" else p for p in parts]
        for part in parts:
            if part.kind not in ("date", "time"):
                raise self.wrong(
                    f"days_between needs two days, {part.said!r} is {A[part.kind]}",
                    "give it columns of days, or date '2026-01-31'",
                )
        first, last = (p.value.cast("date") for p in parts)
        return Made("number", last.delta(first, unit="day").cast("int64"), said(node))

    def given(self, node: exp.Anonymous, count: int, form: str) -> list[exp.Expression]:
        if len(node.expressions) != count:
            raise self.wrong(f"{said(node)!r} has not {count} argument{'s' if count > 1 else ''}", f"write {form}")
        return node.expressions


_CALCULATE = {
    "+": lambda a, b: numbers.plus(a, b, 1),
    "-": lambda a, b: numbers.plus(a, b, -1),
    "*": numbers.product,
    "/": numbers.quotient,
    "%": numbers.rest,
}
_SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_COMPARE = {
    exp.EQ: lambda a, b: a == b, exp.NEQ: lambda a, b: a != b, exp.LT: lambda a, b: a < b, exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b, exp.GTE: lambda a, b: a >= b, exp.NullSafeEQ: lambda a, b: a.identical_to(b).cast("int64") == 1,
    exp.NullSafeNEQ: lambda a, b: _not(a.identical_to(b)),
}  # fmt: skip
_TEXT = {
    exp.Length: ("length", "number"),
    exp.Lower: ("lower", "text"),
    exp.Upper: ("upper", "text"),
    exp.Trim: ("trim", "text"),
}
_METHODS = {"trim": "strip"}
_NAMED = {"days_between": Translator.days_between, "weekday": Translator.weekday}

#: Nodes that are looked at with the node they belong to.
_PARTS = {exp.Identifier, exp.Interval, exp.DataType, exp.Var}
_T, _TWO, _LIST = {"this"}, {"this", "expression"}, {"this", "expressions"}

#: Node → the parts it may have, and what translates it. What is not here is refused.
_FORMS: dict[type, tuple[set[str], Callable]] = {
    exp.Column: (_T, Translator.column), exp.Literal: ({"this", "is_string"}, Translator.literal), exp.Boolean: (_T, Translator.boolean),
    exp.Null: (set(), Translator.null), exp.Paren: (_T, Translator.paren), exp.Cast: ({"this", "to"}, Translator.dated),
    exp.And: (_TWO, Translator.both), exp.Or: (_TWO, Translator.both), exp.Not: (_T, Translator.negated),
    **dict.fromkeys(_COMPARE, (_TWO, Translator.compared)), exp.Between: ({"this", "low", "high"}, Translator.between),
    exp.In: (_LIST, Translator.within), exp.Is: (_TWO, Translator.being), exp.Like: (_TWO | {"negate"}, Translator.like),
    exp.ILike: (_TWO | {"negate"}, Translator.like), **dict.fromkeys(_SIGNS, ({*_TWO, "typed", "safe"}, Translator.arithmetic)),
    exp.Neg: (_T, Translator.minus), exp.Abs: (_T, Translator.absolute), exp.Round: ({"this", "decimals"}, Translator.rounded),
    exp.Floor: (_T, Translator.floored), exp.Ceil: (_T, Translator.floored), exp.Coalesce: (_LIST, Translator.first_known),
    exp.Greatest: (_LIST | {"ignore_nulls"}, Translator.extreme), exp.Least: (_LIST | {"ignore_nulls"}, Translator.extreme),
    exp.Nullif: (_TWO, Translator.unless_equal), exp.Case: ({"this", "ifs", "default"}, Translator.case),
    exp.If: ({"this", "true", "false"}, Translator.if_), **dict.fromkeys(_TEXT, (_T, Translator.of_text)),
    exp.Substring: ({"this", "start", "length"}, Translator.part_of_text), exp.Left: (_TWO, Translator.part_of_text),
    exp.Right: (_TWO, Translator.part_of_text), exp.DPipe: (_TWO | {"safe"}, Translator.joined),
    exp.Replace: (_TWO | {"replacement"}, Translator.replaced), exp.Contains: (_TWO, Translator.holds),
    exp.StartsWith: (_TWO, Translator.holds), exp.RegexpLike: (_TWO, Translator.matched), exp.Extract: (_TWO, Translator.part_of_day),
    **dict.fromkeys((exp.Year, exp.Quarter, exp.Month, exp.Day, exp.Hour), (_T, Translator.part_of_day)),
}  # fmt: skip


def refuse_unlisted(node: exp.Expression, where: str) -> None:
    """Refuses functions and forms that are not listed, and parts of listed forms that are not."""
    if type(node) in _PARTS or (isinstance(node, exp.Anonymous) and node.name.lower() in _NAMED):
        return
    if isinstance(node, exp.Column) and type(node.this) is exp.Identifier and not node.table:
        return
    if isinstance(node, exp.Column):
        raise UserError(f"{where}: {said(node)!r} is not the name of a column", "write the column's name alone")
    if type(node) not in _FORMS:
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            instead = INSTEAD.get(name.replace("datediff", "date_diff"))
            raise UserError(
                f"{where}: no function {name!r}{'' if instead else nearest(name, FUNCTIONS)}",
                f"write {instead}" if instead else f"the functions are {', '.join(FUNCTIONS)}",
            )
        raise UserError(
            f"{where}: {said(node)!r} is not allowed in an expression",
            "the head of lib/dealerkit/expressions lists what is",
        )
    odd = [k for k, part in node.args.items() if part not in (None, False, []) and k not in _FORMS[type(node)][0]]
    if odd:
        raise UserError(
            f"{where}: {said(node)!r} has more to it than is allowed ({', '.join(odd)})", "use the plain form"
        )
