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

from collections.abc import Iterable, Mapping

import ibis.expr.types as ir
from ibis.common.exceptions import IbisError
from sqlglot import exp

from dealerkit.errors import UserError
from dealerkit.expressions.reading import FUNCTIONS, read, short
from dealerkit.expressions.translating import A, Made, Translator, refuse_unlisted

__all__ = ["FUNCTIONS", "columns", "condition", "value"]


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
        raise UserError(f"{where}: {short(text)!r} is never known", "name a column")
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
            f"{where}: {short(text)!r} is {A[made.kind]}, not a condition",
            "compare it with something, as in total_yuan > 0",
        )
    return made.value


def columns(text: str, where: str) -> set[str]:
    """The names that the expression uses.

    >>> sorted(columns("total_yuan > 3 * labour_yuan", "key"))
    ['labour_yuan', 'total_yuan']

    Raises `UserError` when it cannot be read or holds what is not allowed; names and types are not looked at.
    """
    return {node.name for node in _tree(text, where).find_all(exp.Column)}


def _tree(text: str, where: str) -> exp.Expression:
    """The syntax tree of what is allowed."""
    try:
        tree = read(text, where)
        for node in tree.walk():
            refuse_unlisted(node, where)
    except RecursionError:
        raise UserError(f"{where}: the expression is nested too deeply", "use fewer brackets") from None
    return tree


def _made(table, text, where, names, codes) -> Made:
    tree = _tree(text, where)
    scope = dict(names) if names is not None else {name: table[name] for name in table.columns}
    try:
        return Translator(scope, {c: list(v) for c, v in (codes or {}).items()}, where).of(tree)
    except (IbisError, RecursionError, TypeError, ValueError) as error:
        # The checks above should leave nothing for Ibis to refuse; if something is left, it is still said as words.
        raise UserError(
            f"{where}: {short(text)!r} cannot be computed ({type(error).__name__})", "write it in a simpler form"
        ) from error
