"""What the checks found, as rows: one per check, per table and dimension, and per column."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine
from dealerkit.audit.checking import Checked
from dealerkit.audit.fixers import fixer_of
from dealerkit.audit.kinds import Check
from dealerkit.messages import mask
from dealerkit.tables import Column

#: Check → how many rows fail it, and of the first five the column and the delivered text.
First = dict[str, tuple[int, list[tuple[str, str]]]]


def first_faults(faults: ir.Table) -> First:
    """How many rows fail each check, and what the first five of them hold."""
    by_check = ibis.window(group_by="check", order_by=["file", "row"])
    numbered = faults.mutate(place=ibis.row_number().over(by_check), rows=_.count().over(group_by="check"))
    few = numbered.filter(_.place < 5).order_by(["check", "file", "row"])
    first = engine.frame_of(few.select("check", "rows", "column", "delivered"))
    return {
        check: (int(group["rows"].iloc[0]), list(zip(group["column"], group["delivered"])))
        for check, group in first.groupby("check")
    }


def of_table(checked: Checked, first: First) -> pd.DataFrame:
    """One row per check of a table; ``first`` is what `first_faults` gives."""
    rows = []
    for i, check in enumerate(checked.checks):
        failed, texts = first.get(check.id, (0, []))
        shown = " · ".join(_example(checked.table[column], text) for column, text in texts)
        rows.append(row(check, checked.counts[f"known f{i}"], failed, shown))
    return pd.DataFrame(rows)


def row(check: Check, checked: int, failed: int, examples: str) -> dict:
    """One row of the results."""
    return {
        "check": check.id,
        "table": check.table,
        "columns": ", ".join(check.columns),
        "dimension": check.dimension,
        "severity": check.severity,
        "action": check.action,
        "message": check.message,
        "message_zh": check.message_zh,
        "checked": checked,
        "failed": failed,
        "share": round(failed / checked, 9) if checked else float("nan"),
        "examples": examples,
        "cost_yuan": float("nan"),
        "fixer": fixer_of(check.id),
    }


def _example(column: Column, delivered: str) -> str:
    if not delivered:
        return "∅"
    # Identifiers without a kind of their own may still hold a phone or a name, and numbers typed into the wrong column.
    kind = column.personal or ("id" if column.type == "text" else None)
    return mask(delivered, kind)


def column_facts(checked: Checked) -> pd.DataFrame:
    """One row per column: rows, how many are filled, usable and standardised."""
    counts = checked.counts
    return pd.DataFrame(
        [
            {
                "table": checked.table.name,
                "column": c.name,
                "rows": counts["rows"],
                "filled": counts[f"known text {c.name}"],
                "usable": counts[f"known {c.name}"],
                "standardised": counts[f"true changed {c.name}"],
            }
            for c in checked.table.columns
        ]
    )


def scores(results: pd.DataFrame) -> pd.DataFrame:
    """Score by table and dimension: the share of what was checked that passes, times 100."""
    scored = results[(results["severity"] != "info") & (results["checked"] > 0)]
    sums = scored.groupby(["table", "dimension"], sort=True)[["checked", "failed"]].sum().reset_index()
    sums["score"] = (100 * (1 - sums["failed"] / sums["checked"])).round(1)
    return sums


def health(scores: pd.DataFrame) -> float:
    """Mean over the dimensions of the score of each one's weakest table, so that a weak spot shows."""
    if scores.empty:
        return 0.0
    return round(float(scores.groupby("dimension")["score"].min().mean()), 1)
