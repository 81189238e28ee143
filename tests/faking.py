"""Dealers with advisers who fake their scores, and honest ones of whom some are excellent: for tests and benches."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
from dealerkit import tables
from dealerkit.demo import people, types, world

#: Ways of faking: what becomes of the scores of a visit's survey.
KINDS = ("all perfect", "most perfect", "all alike", "perfect or nearly")


def dealer_with_fakers(seed: int, customers: int) -> tuple[dict, dict[str, str]]:
    """(clean tables that the tests look at, adviser → kind) of one generated dealer.

    Two advisers fake, in ways that change from dealer to dealer; one is honest and excellent; the others are ordinary.
    """
    planted = types.find("usual")
    staff = people.make_staff(np.random.default_rng([seed, 1]), customers, world.seed_shift(seed), "en")
    staff["fakes"] = False
    frames, _truth, _faults = world.make_block(seed, 0, customers, staff, "en", planted)
    rng = np.random.default_rng([seed, 77])
    advisers = rng.permutation(staff.loc[staff["kind"] == "adviser", "staff_id"])
    kinds = dict.fromkeys(advisers, "ordinary")
    kinds[advisers[0]], kinds[advisers[1]] = KINDS[seed % 4], KINDS[(seed // 4 + 1) % 4]
    kinds[advisers[2]] = "excellent"
    calls = frames["interactions"]
    for adviser, kind in kinds.items():
        rows = calls["staff_id"].eq(adviser) & calls["score"].notna()
        calls.loc[rows, "score"] = _scores(rng, kind, calls.loc[rows, "score"].to_numpy())
    return {
        name: _table(frames[name], name) for name in ("interactions", "service_orders", "customers", "staff")
    }, kinds


def _scores(rng: np.random.Generator, kind: str, true: np.ndarray) -> np.ndarray:
    """The scores that an adviser of this kind hands in."""
    n = len(true)
    if kind == "all perfect":
        return np.full(n, 10.0)
    if kind == "most perfect":
        return np.where(rng.random(n) < 0.8, 10, true)
    if kind == "all alike":
        return np.where(rng.random(n) < 0.9, 9, true)
    if kind == "perfect or nearly":
        return np.where(rng.random(n) < 0.5, 10.0, 9.0)
    if kind == "excellent":
        # As far above the others as one of a hundred honest advisers is: the same customers, all a little happier.
        return np.clip((true + 0.8 + rng.uniform(-0.5, 0.5, n)).round(), 0, 10)
    return true


def _table(frame: pd.DataFrame, name: str):
    kinds = {
        "date": "date",
        "time": "timestamp",
        "int": "int64",
        "number": "float64",
        "money": "float64",
        "bool": "string",
    }
    schema = {c.name: kinds.get(c.type, "string") for c in tables.TABLES[name].columns}
    made = frame.reindex(columns=list(schema)).copy()
    for column, kind in schema.items():
        if kind == "string":
            made[column] = made[column].astype(object).where(made[column].notna(), None)
        elif kind in ("int64", "float64"):
            made[column] = pd.to_numeric(made[column]).astype("Int64" if kind == "int64" else float)
    return ibis.memtable(made, schema=schema)
