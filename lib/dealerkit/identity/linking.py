"""Which pairs of records are looked at, and how probably each is one person (Fellegi and Sunter 1969, by splink).

Only records that share a key are compared. Records with the same key and the same name stand for one another: the first
of them is compared with the rest, and with the firsts of the other names. So a key never makes more pairs than records
plus a bounded number, however many share it; what is left out is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit.engine import counts, frame_of, hashed, keep
from dealerkit.identity.records import KINDS
from dealerkit.identity.weights import COMPARISONS, PARTNERS, Comparison, Level

#: Pairs less probable than this are dropped at once.
LEAST = 0.001
#: Evidence is weighed as among so many records at least: of ten records nothing can be said about chance.
_FEWEST = 200


@dataclass(frozen=True)
class Pairs:
    """Scored pairs of nodes.

    Attributes:
        scored: a row per pair of `LEAST` or more: a, b (a < b), kind (of the most telling key they share), probability
            (rounded), and the level of each comparison by its name (None: nothing known).
        same_id: pairs (a, b) of the first record with a valid ID number and each other one with it.
        compared: how many pairs were looked at.
        left_out: pairs of records that share a key and were not compared, since too many share it.
    """

    scored: pd.DataFrame
    same_id: pd.DataFrame
    compared: int
    left_out: int


def link(connection, nodes: ir.Table, keys: ir.Table, most_names_per_key: int) -> Pairs:
    """The pairs of nodes that share a key, scored.

    Args:
        connection: the engine's.
        nodes: held by the engine, with a row per ``node`` and the columns that `weights.COMPARISONS` names.
        keys: kind, key, node, same (see `records.Records`).
        most_names_per_key: above so many different names a key is looked at within each name only.
    """
    pairs, left_out = candidates(connection, keys, most_names_per_key)
    compared = counts(pairs, {}, {})["rows"]
    if not compared:
        return Pairs(
            _levelled(pd.DataFrame({"a": [], "b": [], "match_key": [], "match_probability": []})),
            no_pairs(),
            0,
            left_out,
        )
    scored = _scored(connection, nodes, pairs, counts(nodes, {}, {})["rows"])
    return Pairs(_levelled(scored), _same_id(pairs), compared, left_out)


def candidates(connection, keys: ir.Table, most_names_per_key: int) -> tuple[ir.Table, int]:
    """Pairs of nodes that share a key, as splink takes them (match_key, join_key_l, join_key_r), and how many were left out."""
    meeting = keep(connection, "identity_meeting", _meeting(keys))
    few = meeting.filter(_.names.between(2, most_names_per_key))
    across = few.mutate(a=_.firsts.unnest()).mutate(b=_.firsts.unnest()).filter(_.a < _.b)
    again = meeting.filter(_.alike.length() > 0).select("kind", alike=_.alike.unnest())
    again = again.select("kind", a=_.alike.mins(), b=_.alike.unnest()).filter(_.a != _.b)
    rank = ibis.cases(*((_.kind == kind, i) for i, kind in enumerate(KINDS)))
    both = ibis.union(across.select("kind", "a", "b"), again).mutate(rank=rank)
    pairs = both.group_by(join_key_l="a", join_key_r="b").agg(match_key=_["rank"].min())
    pairs = pairs.select("join_key_l", "join_key_r", match_key=_.match_key.cast("string"))
    pairs = keep(connection, "identity_candidates", pairs)
    many = meeting.filter(_.names > most_names_per_key)
    left_out = many.agg(n=(_.names * (_.names - 1) / 2).sum()).to_pyarrow()["n"][0].as_py()
    return pairs, int(left_out or 0)


def _meeting(keys: ir.Table) -> ir.Table:
    """Keys that several nodes have: kind, key, names (how many differ in ``same``), firsts (the first node of each of these),
    alike (the nodes of each of these that has several)."""
    # most keys are held by one node only, and numbers are grouped faster than texts; a number that stands for two keys
    # brings keys of one node, which make no pair
    several = keys.group_by(number=hashed(keys.key)).agg(holders=_.count()).filter(_.holders > 1)
    held = keys.semi_join(several, hashed(keys.key) == several.number)
    named = held.group_by("kind", "key", "same").agg(nodes=_.node.collect())
    return named.group_by("kind", "key").agg(
        names=_.count(),
        firsts=_.nodes.mins().collect(),
        alike=_.nodes.collect(where=_.nodes.length() > 1),
    )


def _same_id(pairs: ir.Table) -> pd.DataFrame:
    """Pairs (a, b) of the first record with an ID number and each other one with it."""
    same = pairs.filter(_.match_key == str(KINDS.index("id_number")))
    return frame_of(same.select(a="join_key_l", b="join_key_r").order_by("a", "b"))


def no_pairs() -> pd.DataFrame:
    """Pairs (a, b) where there are none."""
    return pd.DataFrame({"a": np.zeros(0, dtype=np.int64), "b": np.zeros(0, dtype=np.int64)})


def _scored(connection, nodes: ir.Table, pairs: ir.Table, records: int) -> pd.DataFrame:
    """What splink says of the pairs: a, b, match_key, match_probability, gamma_… of each comparison."""
    from splink import DuckDBAPI, Linker  # here, since importing it takes 0.2 s

    database = DuckDBAPI(connection.con)
    given = database.register(nodes.op().name)
    linker = Linker(given, settings(records), log_level=None, validate_settings=False)
    for column in {level.tf for comparison in COMPARISONS for level in comparison.levels if level.tf}:
        # the frequencies stand with the nodes: no table of them need be made
        linker.table_management.register_term_frequency_lookup(given, column)
    linker.table_management.register_blocked_pairs_for_predict(database.register(pairs.op().name))
    predicted = linker.inference.predict(threshold_match_probability=LEAST, warning_mode="never")
    found = connection.table(predicted.physical_name)
    levels = [f"gamma_{c.name}" for c in COMPARISONS]
    chosen = found.select("match_key", "match_probability", *levels, a=found.node_l, b=found.node_r)
    made = frame_of(chosen)
    predicted.drop_table_from_database_and_remove_from_cache()
    return made


def settings(records: int):
    """The weights as splink takes them, for so many records."""
    from splink import SettingsCreator

    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="node",
        comparisons=[_comparison(c, records) for c in COMPARISONS],
        probability_two_random_records_match=round(PARTNERS / max(records, _FEWEST), 12),
        linker_uid="dealerkit",
    )


def _comparison(comparison: Comparison, records: int) -> dict:
    unknown = {"sql_condition": comparison.unknown, "label_for_charts": "unknown", "is_null_level": True}
    levels = [_level(level, records) for level in comparison.levels]
    return {"output_column_name": comparison.name, "comparison_levels": [unknown, *levels]}


def _level(level: Level, records: int) -> dict:
    u = round(level.u / max(records, _FEWEST), 15) if level.per_record else level.u
    said = {
        "sql_condition": level.when or "ELSE",
        "label_for_charts": level.name,
        "m_probability": level.m,
        "u_probability": u,
    }
    if level.tf:
        said |= {"tf_adjustment_column": level.tf, "disable_tf_exact_match_detection": True}
    return said


def _levelled(scored: pd.DataFrame) -> pd.DataFrame:
    """Scored pairs with the names of their levels, in order."""
    made = pd.DataFrame(
        {
            "a": scored["a"].astype("int64"),
            "b": scored["b"].astype("int64"),
            "kind": scored["match_key"].map({str(i): kind for i, kind in enumerate(KINDS)}).astype(object),
            "probability": scored["match_probability"].astype(float).round(6),
        }
    )
    for comparison in COMPARISONS:
        highest = len(comparison.levels) - 1
        names = {highest - i: level.name for i, level in enumerate(comparison.levels)}
        column = scored.get(f"gamma_{comparison.name}", pd.Series(dtype=object))
        made[comparison.name] = column.map(names).astype(object)
    return made.sort_values(["a", "b"], ignore_index=True)
