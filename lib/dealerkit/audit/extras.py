"""Further keyed tables (`extra_factors` in the params) made typed rows, and counted: nothing of them is checked beyond
what a factor needs, a key and a date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from dealerkit import engine
from dealerkit.audit.standard import date_order_evidence, plain_texts, text_of, typed
from dealerkit.params import ExtraTableParams, Params
from dealerkit.params.extra import DATED

COLUMNS = ["name", "files", "delivered", "other", "repeated", "without_key", "without_date", "unreadable", "rows"]


@dataclass(frozen=True)
class Extras:
    """The further tables.

    Attributes:
        rows: ``extra_<name>`` → row, key, dated_at (where it has a date) and columns; rows with a key, each once.
        counts: one row per table: name; files; rows delivered; of these other (totals, headers inside the file, rows with too many
            cells), repeated (the same in all cells as one before) and without_key, which are left out; the rows left;
            of those without_date (no day that can be read); and unreadable, values that are not of their column's type.
    """

    rows: dict[str, ir.Table]
    counts: pd.DataFrame


def extras(connection, raw: Mapping[str, ir.Table], params: Params) -> Extras:
    """Typed rows of the further tables, by the same rules as all other values.

    Args:
        connection: engine connection; the rows are kept on it.
        raw: name in the params → raw rows of `ingest`.
        params: which tables there are.
    """
    rows, counts = {}, []
    for table in params.extra_factors:
        if table.name in raw:
            kept, counted = _standard(connection, raw[table.name], table)
            rows[f"extra_{table.name}"] = kept
            counts.append({"name": table.name} | counted)
    return Extras(rows, pd.DataFrame(counts, columns=COLUMNS))


def _standard(connection, raw: ir.Table, table: ExtraTableParams) -> tuple[ir.Table, dict[str, int]]:
    declared = table.declared
    texts = plain_texts(raw.filter(raw["_kind"] == "row"), declared)
    made = typed(texts, declared, date_order_evidence(texts, declared))
    # A text that is no value of its column's type.
    lost = [(text_of(made, c.name).notnull() & made[c.name].isnull()).cast("int64") for c in declared.columns]
    place = ibis.window(order_by=["_file", "_sheet", "_row"])
    again = ibis.window(group_by=declared.names, order_by="row")
    made = made.select(*declared.names, row=ibis.row_number().over(place), lost=sum(lost))
    made = made.mutate(again_no=ibis.row_number().over(again))
    made = engine.keep(connection, f"typed_{declared.name}", made)
    first, key = made.again_no == 0, made[table.key].notnull()
    day = made[DATED].isnull() if table.date else ibis.literal(False)
    counted = made.agg(
        repeated=made.count(where=~first),
        without_key=made.count(where=first & ~key),
        without_date=made.count(where=first & key & day),
        unreadable=made.lost.sum(where=first),
        rows=made.count(where=first & key),
    )
    [row] = counted.to_pyarrow().to_pylist()
    counts = {name: int(value or 0) for name, value in row.items()}
    files = raw.group_by("_file").agg(n=raw.count()).to_pyarrow().to_pydict()
    delivered = sum(files["n"])
    other = delivered - counts["repeated"] - counts["without_key"] - counts["rows"]
    kept = made.filter(first & key).drop("lost", "again_no")
    return kept, {"files": ", ".join(sorted(files["_file"])), "delivered": delivered, "other": other} | counts
