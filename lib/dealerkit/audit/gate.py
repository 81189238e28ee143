"""The gate: what stops a run because the data cannot carry a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibis import _

from dealerkit import tables
from dealerkit.audit.as_of import DATES
from dealerkit.errors import UserErrors
from dealerkit.params import Params
from dealerkit.tables import Table

if TYPE_CHECKING:
    from dealerkit.audit import Audited


def gate(audited: Audited, params: Params) -> None:
    """Stop the run when a required table has too few usable rows or too many in quarantine.

    Raises `UserErrors` with the checks that most rows of it fail.
    """
    if params.gate == "off":
        return
    problems = []
    for table in tables.TABLES.values():
        if not table.required:
            continue
        rows = audited.ledger[audited.ledger["table"] == table.name][["raw", "clean", "quarantined"]].sum()
        cut = audited.rows_cut(table.name)
        share = (rows["quarantined"] - cut) / (rows["raw"] - cut) if rows["raw"] > cut else 0
        if share > params.gate.max_quarantined_share:
            problems.append(
                f"{table.name}: {rows['quarantined']} of {rows['raw']} rows ({share:.0%}) are in quarantine, "
                f"allowed: {params.gate.max_quarantined_share:.0%}"
            )
        elif rows["clean"] < params.gate.min_rows:
            problems.append(f"{table.name}: {rows['clean']} usable rows, needed: {params.gate.min_rows}")
        if problems:
            problems += _worst(audited, table)
    if problems:
        raise UserErrors(
            "the data cannot carry a report",
            problems,
            "mend the export or its mapping in the params; `gate: off` reports all the same, with every gap stated",
        )


def _worst(audited: Audited, table: Table) -> list[str]:
    """The rejecting checks that most rows fail, each with the place of its first row and the masked value."""
    failing = (
        audited.results.query("table == @table.name and severity == 'reject' and failed > 0")
        .sort_values("failed", ascending=False)
        .head(3)
    )
    lines = []
    for check in failing.itertuples():
        first = audited.faults.filter(_.check == check.check).order_by(["file", "row"]).limit(1).to_pandas().iloc[0]
        allowed = _allowed(table[check.columns.split(", ")[0]])
        lines.append(
            f"{check.columns}: {check.failed} rows: {check.message}; first in {first['file']}, row {first['row']}: "
            f"{check.examples.split(' · ')[0]!r}{allowed}"
        )
    return lines


def _allowed(column: tables.Column) -> str:
    if column.type in ("date", "time"):
        return f"; allowed: {DATES}"
    if column.format == "vin":
        return "; allowed: 17 letters and digits without I, O, Q"
    if column.codes:
        return f"; allowed: {', '.join(column.codes)} and their spellings in the data dictionary"
    return "; a value is required" if column.required else ""
