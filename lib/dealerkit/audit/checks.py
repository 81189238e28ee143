"""The checks: each a row with an expression that is true where a row of the table fails it.

Checks of single columns follow from the declarations in `tables` (`columns`); checks of business sense are listed in
`business`. Expressions see the standardised columns, the delivered texts (`text_of`) and what `lookups.context` adds
(``x_…``: the look-ups and windows a table needs). Null means that the check does not apply to the row.
"""

from __future__ import annotations

from datetime import date

import ibis.expr.types as ir

from dealerkit.audit.as_of import AsOf
from dealerkit.audit.business import business_checks
from dealerkit.audit.columns import column_checks, key_checks, text_checks
from dealerkit.audit.kinds import Check
from dealerkit.params import CheckParams
from dealerkit.tables import Table


def built_in(table: Table, as_of: date, params: CheckParams) -> list[Check]:
    """All checks of the rows of ``table`` that come with the kit."""
    own = [c for c in business_checks(params, as_of) if c.table == table.name]
    return column_checks(table, as_of, params) + text_checks(table) + key_checks(table) + own


def checks_for(
    table: Table, base: ir.Table, given: set[str], as_of: AsOf, params: CheckParams, own: list[Check]
) -> list[Check]:
    """All checks of ``table`` that ``base`` has the columns for, the dealer's own among them; ``given`` are the columns
    that were delivered with any value."""
    there = {*base.columns, *(f"given {name}" for name in given)}
    candidates = built_in(table, as_of.export_day or as_of.day, params) + [c for c in own if c.table == table.name]
    return [c for c in candidates if there.issuperset(c.needs)]
