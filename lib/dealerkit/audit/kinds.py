"""What a check is, and the words for its dimension, its severity and what becomes of a failing row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from dealerkit.messages import N_

#: Columns that say by which secondary key the VIN or the customer of a row was found, where it was (`links`).
VIN_BY, CUSTOMER_BY = "_vin_by", "_customer_by"

# Declarations read as tables
# fmt: off
#: Dimensions in the order in which they are shown.
DIMENSIONS = ("completeness", "legality", "range", "consistency", "duplication", "reference", "timeliness", "authenticity")
DIMENSION_LABELS = {
    "completeness": N_("Completeness"), "legality": N_("Format legality"), "range": N_("Value range"),
    "consistency": N_("Consistency"), "duplication": N_("Duplication"), "reference": N_("References"),
    "timeliness": N_("Timeliness"), "authenticity": N_("Authenticity"),
}

#: What becomes of a failing row or value.
ACTIONS = {
    "quarantined": N_("row quarantined"), "merged": N_("row merged"), "removed": N_("value set to unknown"),
    "flagged": N_("kept and flagged"),
}

#: Reasons of rows that never were records.
NOT_RECORDS = {
    "total": N_("a total row"), "header": N_("a header repeated inside the file"), "ragged": N_("more cells than the header"),
    "later": N_("dated after the day asked for"), "long": N_("a cell of over a million characters"),
}
# fmt: on


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        table, name: together its id.
        columns: canonical columns it looks at; the first one's delivered text is the example.
        dimension: one of `DIMENSIONS`.
        severity: ``reject`` (quarantine or merge), ``warn`` or ``info`` (not in the scores).
        action: one of `ACTIONS`.
        message: what a failing row says, one translatable clause.
        failed: deferred expression, true where the row fails, null where the check does not apply.
        needs: helper columns of `context` without which the check cannot run.
        message_zh: the message in Chinese of a check of the dealer's own, which no catalogue translates; else empty.
        place: helper column with the place of the column that fails, for a check that looks at a whole row; else empty.
    """

    table: str
    name: str
    columns: tuple[str, ...]
    dimension: str
    severity: str
    action: str
    message: str
    failed: Callable | ibis.Deferred
    needs: tuple[str, ...] = ()
    message_zh: str = ""
    place: str = ""

    @property
    def id(self) -> str:
        return f"{self.table}.{self.name}"

    def expression(self, base: ir.Table) -> ir.BooleanValue:
        """The failing condition on ``base``."""
        return self.failed.resolve(base) if isinstance(self.failed, ibis.Deferred) else self.failed(base)
