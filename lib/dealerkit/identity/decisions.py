"""What people decided on pairs of records: `data/state/<dealer>/decisions.csv`.

One row is a pair: ``verdict`` (same or different), ``source_a``, ``customer_a``, ``source_b``, ``customer_b``, and for people
``note`` and ``decided_on``. A decision counts whenever it was made and beats every rule. One on a record that is not
delivered waits for it; decisions that contradict one another stop the run.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from dealerkit.errors import UserErrors
from dealerkit.messages import mask
from dealerkit.personal import names_of

FILE = "decisions.csv"
NEEDED = ("verdict", "source_a", "customer_a", "source_b", "customer_b")
NOTES = ("note", "decided_on")
VERDICTS = {"same": "same", "different": "different", "同一人": "same", "不同人": "different"}
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日")
#: How many bad rows are named; the rest is counted.
_SHOWN = 20


class Forced(NamedTuple):
    """Pairs (``a``, ``b``: places in the records) that must be one person, and that must not."""

    must: pd.DataFrame
    cannot: pd.DataFrame


def checked(decisions: pd.DataFrame) -> pd.DataFrame:
    """The decisions with ``verdict`` as same or different.

    Raises `UserErrors` naming each bad row with its line, value and what is allowed, and each set of decisions that
    contradict one another.
    """
    names = [name for name in decisions.columns if name != "line"]
    if not names and decisions.empty:  # no file, or nothing in it
        return decisions.reindex(columns=["line", *NEEDED])
    if lacking := [name for name in NEEDED if name not in names]:
        problems = [f"no column {name}" for name in lacking]
        raise UserErrors(f"{FILE}: the first line names {_named(names)}", problems, f"it must name {', '.join(NEEDED)}")
    if decisions.empty:
        return decisions.reindex(columns=["line", *NEEDED])
    given = decisions.assign(line=decisions.get("line", pd.Series(range(2, len(decisions) + 2), index=decisions.index)))
    problems = [problem for row in given.to_dict("records") for problem in _problems(row)]
    if problems:
        raise _refused("cannot be used", problems, "mend or delete these rows; empty lines do no harm")
    given["verdict"] = given["verdict"].str.strip().str.lower().map(VERDICTS)
    if problems := _contradictions(given):
        raise _refused("contradict one another", problems, "delete the decision that is wrong")
    return given


def _named(names: list[str]) -> str:
    """What the first line holds; of a decision nothing, since its note may name somebody."""
    if VERDICTS.keys() & set(names):
        return "no columns but is a decision"
    return names_of(names, lambda name: name in (*NEEDED, *NOTES))


def _refused(what: str, problems: list[str], remedy: str) -> UserErrors:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return UserErrors(f"data/state/<dealer>/{FILE}: decisions that {what}", [*problems[:_SHOWN], *more], remedy)


def _problems(row: dict) -> list[str]:
    line, found = f"line {row['line']}", []
    if str(row["verdict"]).strip().lower() not in VERDICTS:
        found.append(f"{line}: verdict = {mask(row['verdict'])}; allowed: {', '.join(VERDICTS)}")
    found += [f"{line}: {name} is empty; allowed: what person_records has" for name in NEEDED[1:] if not row[name]]
    if not found and (row["source_a"], row["customer_a"]) == (row["source_b"], row["customer_b"]):
        found.append(f"{line}: a record is compared with itself; two records are needed")
    if (day := row.get("decided_on")) and not any(_is_day(day, form) for form in _DAYS):
        found.append(f"{line}: decided_on = {mask(day)}; allowed: year, month and day, as in 2026-06-30, or nothing")
    return found


def _is_day(text: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False


def _ends(given: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Number of the record at either end of each decision; the same record has one number."""
    names = [list(zip(given[f"source_{e}"], given[f"customer_{e}"], strict=True)) for e in "ab"]
    codes = pd.factorize(pd.Series(names[0] + names[1], dtype=object))[0]
    return codes[: len(given)], codes[len(given) :]


def _contradictions(given: pd.DataFrame) -> list[str]:
    """Each "different" between two records that "same" joins, with the lines of a shortest way by which it does."""
    a, b = _ends(given)
    lines, same = given["line"].to_numpy(), (given["verdict"] == "same").to_numpy()
    beside: dict[int, list[tuple[int, int]]] = {}
    for i, j, line in zip(a[same], b[same], lines[same], strict=True):
        beside.setdefault(i, []).append((j, line))
        beside.setdefault(j, []).append((i, line))
    found = []
    for i, j, line in zip(a[~same], b[~same], lines[~same], strict=True):
        if way := _way(beside, i, j):
            joined = f"line{'s' if len(way) > 1 else ''} {', '.join(map(str, way))}"
            found.append(
                f"line {line} says different, {joined} says same"
                if len(way) == 1
                else f"line {line} says different, {joined} together say same"
            )
    return found


def _way(beside: dict, start: int, end: int) -> list[int]:
    """Lines on a shortest way from one record to the other, none if there is no way."""
    ways: dict[int, list[int]] = {start: []}
    waiting = [start]
    for at in waiting:
        if at == end:
            return sorted(ways[at])
        for other, line in beside.get(at, ()):
            if other not in ways:
                ways[other] = [*ways[at], line]
                waiting.append(other)
    return []


def forced(decisions: pd.DataFrame, nodes: pd.DataFrame) -> Forced:
    """The decisions as pairs of records; those on a record that was not delivered are left out (`waiting` counts them).

    Args:
        decisions: rows of the file, as written.
        nodes: records with source and customer_id.

    Raises `UserErrors` as `checked` does.
    """
    given = checked(decisions)
    at = _places(given, nodes)
    pairs = pd.DataFrame({"a": at[0], "b": at[1], "verdict": given["verdict"].to_numpy(object)})
    pairs = pairs[(pairs["a"] >= 0) & (pairs["b"] >= 0)].astype({"a": int, "b": int})
    split = [pairs.loc[pairs["verdict"] == v, ["a", "b"]].reset_index(drop=True) for v in ("same", "different")]
    return Forced(*split)


def _places(given: pd.DataFrame, nodes: pd.DataFrame) -> list[np.ndarray]:
    """Place in ``nodes`` of either end of each decision, -1 where it was not delivered."""
    if given.empty:
        return [np.zeros(0, dtype=int)] * 2
    index = pd.MultiIndex.from_frame(nodes[["source", "customer_id"]])
    return [index.get_indexer(pd.MultiIndex.from_frame(given[[f"source_{e}", f"customer_{e}"]])) for e in "ab"]


def counts(decisions: pd.DataFrame, nodes: pd.DataFrame) -> dict[str, int]:
    """Decisions that were obeyed, ``same`` and ``different``, and ``waiting``: on a record that was not delivered."""
    given = checked(decisions)
    at = _places(given, nodes)
    there = (at[0] >= 0) & (at[1] >= 0)
    said = given["verdict"].to_numpy(object)[there]
    return {verdict: int((said == verdict).sum()) for verdict in ("same", "different")} | {
        "waiting": int((~there).sum())
    }


def groups(size: int, edges: pd.DataFrame, group: np.ndarray, obeyed: Forced) -> np.ndarray:
    """The groups of records after the decisions: records that must be together are, those that must not are not.

    A group that holds a forbidden pair is built again, decisions first, then edge by edge in the order given; an edge
    that would bring a forbidden pair together is left out.

    Args:
        size: number of records.
        edges: pairs (``a``, ``b``) that made the groups, the strongest first.
        group: number of each record's group before the decisions.
        obeyed: what `forced` gives.
    """
    if obeyed.must.empty and obeyed.cannot.empty:
        return group
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = int(group.max()) + 1 if size else 0
    ends = group[obeyed.must["a"].to_numpy()], group[obeyed.must["b"].to_numpy()]
    joined = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(count, count))
    group = connected_components(joined, directed=False)[1][group]
    a, b = obeyed.cannot["a"].to_numpy(), obeyed.cannot["b"].to_numpy()
    torn = np.isin(group, group[a[group[a] == group[b]]])
    if not torn.any():
        return group
    kept = pd.concat([obeyed.must, edges[["a", "b"]]], ignore_index=True)
    kept = kept[torn[kept["a"].to_numpy()] & torn[kept["b"].to_numpy()]]
    return _built(group.copy(), torn, kept, zip(a, b, strict=True))


def _built(group: np.ndarray, torn: np.ndarray, edges: pd.DataFrame, forbidden) -> np.ndarray:
    """The torn groups built edge by edge, without an edge that brings a forbidden pair together."""
    top = {int(i): int(i) for i in torn.nonzero()[0]}
    enemies: dict[int, set[int]] = {i: set() for i in top}
    for i, j in forbidden:
        if int(i) in top and int(j) in top:
            enemies[int(i)].add(int(j))
            enemies[int(j)].add(int(i))

    def root(i: int) -> int:
        while top[i] != i:
            top[i] = top[top[i]]
            i = top[i]
        return i

    for i, j in zip(edges["a"], edges["b"], strict=True):
        i, j = root(int(i)), root(int(j))
        if i == j or any(root(e) == j for e in enemies[i]) or any(root(e) == i for e in enemies[j]):
            continue
        top[j] = i
        enemies[i] |= enemies.pop(j)
    group[torn] = group.max() + 1 + np.array([root(int(i)) for i in torn.nonzero()[0]])
    return pd.factorize(group)[0]
