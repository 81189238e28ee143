"""Small generated dealers whose advisers fake in several ways, as the tests of authenticity look at them."""

from __future__ import annotations

from collections.abc import Iterator

import ibis
import pandas as pd
from dealerkit import engine, tables
from dealerkit.audit.authenticity import examine
from dealerkit.audit.standard import plain_texts, typed
from dealerkit.demo.small import surveys
from dealerkit.params import AuthenticityParams, CheckParams, EngineParams


def judged(dealers: int, customers: int = 400, seed: int = 1) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """(advisers with their truth: staff_id, way, excellent, repeats; what the tests say of everybody) of each dealer."""
    for small in surveys(dealers, customers, seed):
        connection = engine.connect(EngineParams(threads=2))
        clean = {name: _clean(connection, name, frame) for name, frame in small.frames.items()}
        given = {name for name in clean["interactions"].columns if small.frames["interactions"][name].ne("").any()}
        yield small.advisers, examine(connection, clean, given, AuthenticityParams(), CheckParams())
        connection.disconnect()


def told(dealers) -> pd.DataFrame:
    """One row per adviser: kind (way of faking, excellent or honest), tested, accused of faked surveys, by which tests."""
    rows = []
    for advisers, examined in dealers:
        about = examined[examined["role"] == "adviser"]
        called = about[about["found"] & about["accuses"]]
        for row in advisers.itertuples():
            tests = called.loc[called["employee"] == row.staff_id, "test"]
            kind = row.way or ("excellent" if row.excellent else "repeats" if row.repeats else "ordinary")
            rows.append(
                (
                    kind,
                    bool(row.way) or row.repeats,
                    row.staff_id in set(about["employee"]),
                    len(tests) > 0,
                    " ".join(tests),
                )
            )
    return pd.DataFrame(rows, columns=["kind", "fakes", "tested", "accused", "tests"])


def _clean(connection, name: str, frame: pd.DataFrame):
    """The rows typed as the audit types them."""
    table = tables.TABLES[name]
    raw = frame.reindex(columns=table.names).astype(object).where(lambda f: f.notna() & (f != ""), None)
    raw = raw.assign(_source="dms", _file=name, _sheet="", _row=range(len(raw)), _kind="row", _date_order=None)
    kinds = dict.fromkeys(raw.columns, "string") | {"_row": "int64"}
    texts = plain_texts(ibis.memtable(raw, schema=kinds), table)
    rows = typed(texts, table, {}).select(*table.names)
    return ibis.memtable(connection.to_pyarrow(rows), schema=rows.schema())
