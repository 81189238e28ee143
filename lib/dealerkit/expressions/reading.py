"""From the text of an expression to its syntax tree, or to words about what is wrong with it and where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from dealerkit.errors import UserError
from dealerkit.personal import veiled_within

#: Longest expression, deepest nesting, and most digits of a number in it.
LONGEST, DEEPEST, MOST_DIGITS = 4_000, 60, 18

#: Functions that may be called, for messages.
FUNCTIONS = (
    "abs ceil coalesce contains days_between extract floor greatest hour if day least left length lower month nullif quarter "
    "regexp_matches replace right round starts_with substr trim upper weekday year"
).split()

#: What to write instead of a function that is not there.
INSTEAD = {
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


def read(text: str, where: str) -> exp.Expression:
    """The syntax tree, when the text is one expression of allowed characters that looks at one row."""
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
        raise UserError(f"{where}: {short(text)!r} cannot be read", "look for a quote that is not closed") from None
    if max(node.depth for node in nodes) > DEEPEST:
        raise UserError(f"{where}: the expression is nested too deeply", "use fewer brackets, or split it in two")
    for node in nodes:
        _refuse_beyond_row(node, where)
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
        f"{where}, {near}: {short(token)!r} was not expected here",
        "the expression is one condition in SQL syntax, as in total_yuan > 0 and booked",
    )


def _place(text: str, at: int) -> str:
    before = text[:at]
    line = before.count("\n")
    column = at - before.rfind("\n")
    return f"line {line + 1}, character {column}" if "\n" in text.strip() else f"character {column}"


def _excerpt(text: str, start: int, end: int) -> str:
    """The text around a place, the place itself between ▸ and ◂; literals that look personal veiled."""
    text = veiled_within(text)
    left, right = " ".join(text[max(0, start - 25) : start].split()), " ".join(text[end : end + 25].split())
    return f"{left} ▸{text[start:end]}◂ {right}".strip()


def short(text: str) -> str:
    """The text on one line, of 60 characters at most; literals that look personal veiled."""
    text = veiled_within(" ".join(str(text).split()))
    return text if len(text) <= 60 else text[:59] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that name the known one most like a name; none when none is."""
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), sorted(lower), n=1, cutoff=0.6)
    return f"; nearest: {lower[close[0]]!r}" if close else ""


def _refuse_beyond_row(node: exp.Expression, where: str) -> None:
    """Refuses what looks beyond one row."""
    if isinstance(node, (exp.Query, exp.Table, exp.Exists)):
        raise UserError(
            f"{where}: a query inside an expression ({said(node)})", "an expression sees the columns of one row"
        )
    if isinstance(node, (exp.AggFunc, exp.Window)) and not isinstance(node, exp.Max | exp.Min):
        raise UserError(f"{where}: {said(node)} works over many rows", "an expression sees the columns of one row")
    if isinstance(node, exp.Max | exp.Min):
        better = "greatest" if isinstance(node, exp.Max) else "least"
        raise UserError(
            f"{where}: {said(node)} works over many rows",
            f"an expression sees one row; for the {better} of several columns write {better}(…)",
        )


def said(node: exp.Expression) -> str:
    """A part of an expression as it is written, for a message."""
    try:
        return short(node.sql(dialect="duckdb"))
    except (SqlglotError, ValueError):
        return type(node).__name__.lower()
