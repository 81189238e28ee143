"""Checks of the dealer's own: declared in the params as conditions in SQL, run and shown like those of the kit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import ibis
import ibis.expr.types as ir

from dealerkit import expressions, tables
from dealerkit.audit.checks import built_in
from dealerkit.audit.kinds import Check
from dealerkit.errors import UserError, UserErrors
from dealerkit.params import OwnCheckParams, Params, called, nearest
from dealerkit.personal import veiled, veiled_within
from dealerkit.tables import Table

#: Ibis types of the canonical ones, for trying an expression before there are rows.
_TYPES = {
    "text": "string",
    "code": "string",
    "date": "date",
    "time": "timestamp",
    "int": "int64",
    "number": "float64",
    "money": "decimal(18, 2)",
    "bool": "boolean",
}


def declared(params: Params) -> list[Check]:
    """The checks of ``own_checks`` in the params.

    Raises `UserErrors` with everything wrong in any of them: columns, ids used before, expressions.
    """
    problems: list[str] = []
    taken = {
        table.name: {c.name: "comes with the kit" for c in built_in(table, date(2000, 1, 1), params.checks)}
        for table in tables.TABLES.values()
    }
    made = []
    for i, own in enumerate(params.own_checks):
        key, used = f"own_checks.{i}", taken[own.table]
        if own.id in used:
            problems.append(f"{key}.id: the check {own.id!r} of {own.table} {used[own.id]}; choose another id")
        used.setdefault(own.id, f"is declared by {key} already")
        try:
            made.append(_check(own, tables.table(own.table), key))
        except UserErrors as error:
            problems += error.problems
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserErrors(f"own checks of the params: {count}", problems, "params/demo.yaml shows two")
    return made


def _check(own: OwnCheckParams, table: Table, key: str) -> Check:
    where, text = (
        (f"{key}.fails_when", own.fails_when) if own.fails_when is not None else (f"{key}.passes_when", own.passes_when)
    )
    where = called(where, own.id)
    problems = [
        f"{called(f'{key}.columns', own.id)}: {table.name} has no column {veiled(name)!r}{nearest(name, table.names)}; "
        f"its columns are {', '.join(table.names)}"
        for name in own.columns
        if name not in table
    ]
    if not (own.label.en.strip() and own.label.zh.strip()):
        problems.append(f"{called(f'{key}.label', own.id)}: empty; say what is wrong with a row that fails")
    codes = {c.name: tuple(c.codes) for c in table.columns if c.type == "code"}
    blank = ibis.table({c.name: _TYPES[c.type] for c in table.columns}, name=table.name)
    named: list[str] = []
    try:
        expressions.condition(blank, text, where, codes=codes)
        named = _in_order(text, where, table)
        if not named:
            problems.append(f"{where}: {veiled_within(text)!r} names no column; name one of {', '.join(table.names)}")
    except UserError as error:
        problems.append(f"{error.what}; {error.remedy}")
    if problems:
        raise UserErrors("", problems)

    def failed(base: ir.Table) -> ir.BooleanValue:
        met = expressions.condition(base, text, where, names={name: base[name] for name in table.names}, codes=codes)
        return met if own.fails_when is not None else ~met

    action = "quarantined" if own.severity == "reject" else "flagged"
    columns = tuple(dict.fromkeys(own.columns)) or tuple(named)
    return Check(
        table=table.name,
        name=own.id,
        columns=columns,
        dimension=own.dimension,
        severity=own.severity,
        action=action,
        message=own.label.en,
        failed=failed,
        message_zh=own.label.zh,
    )


def _in_order(text: str, where: str, table: Table) -> list[str]:
    """Columns of the expression as it names them first."""
    return sorted(expressions.columns(text, where), key=lambda name: (text.find(name), table.names.index(name)))


@contextmanager
def blamed(base: ir.Table, checks: list[Check]) -> Iterator[None]:
    """When the engine fails inside, the dealer's own check that it cannot compute is named, if it is one of them."""
    try:
        yield
    except Exception:
        for check in checks:
            if check.message_zh:
                _try(base, check)
        raise


def _try(base: ir.Table, check: Check) -> None:
    try:
        base.filter(base["_kind"] == "row").agg(n=check.expression(base).sum()).to_pandas()
    except Exception as error:
        # What the engine says may quote values of the rows.
        raise UserError(
            f"own check {check.id}: its condition cannot be computed for some row ({type(error).__name__})",
            "look for very large numbers and for days moved far away",
        ) from error
