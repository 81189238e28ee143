"""The row ledger: where every row that was delivered went."""

from __future__ import annotations

import ibis
import pandas as pd
from ibis import _

from dealerkit import engine
from dealerkit.audit.checking import Checked


def ledger(done: dict[str, Checked]) -> pd.DataFrame:
    """One row per table and file: raw, clean, quarantined, merged."""
    parts = []
    for name, checked in done.items():
        rejected = [] if checked.others is None else [(checked.others, ibis.literal("quarantined"))]
        for rows, fate in [(checked.records, checked.records["_fate"]), *rejected]:
            placed = rows.select(table=ibis.literal(name), source=rows["_source"], file=rows["_file"], fate=fate)
            parts.append(placed.group_by("table", "source", "file", "fate").agg(n=_.count()))
    counted = engine.frame_of(engine.union(parts))
    places = ["table", "source", "file"]
    wide = counted.pivot_table(index=places, columns="fate", values="n", aggfunc="sum", fill_value=0, dropna=False)
    wide = wide.reindex(columns=["clean", "quarantined", "merged"], fill_value=0).astype(int)
    wide.insert(0, "raw", wide.sum(axis=1))
    order = {name: i for i, name in enumerate(done)}
    out = wide[wide["raw"] > 0].rename_axis(columns=None).reset_index()
    return out.sort_values(places, key=lambda c: c.map(order) if c.name == "table" else c, ignore_index=True)


def must_balance(ledger: pd.DataFrame, delivered: pd.Series) -> None:
    """A lost or doubled row is a failure of the kit, whatever the data; ``delivered`` is raw rows by table."""
    sums = ledger.groupby("table")[["raw", "clean", "quarantined", "merged"]].sum()
    for name, rows in delivered.items():
        row = sums.loc[name] if name in sums.index else pd.Series(0, index=sums.columns)
        if row["raw"] != rows or row["raw"] != row["clean"] + row["quarantined"] + row["merged"]:
            raise AssertionError(f"{name}: {rows} raw rows, but {dict(row)}")
