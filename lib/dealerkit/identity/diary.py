"""The diary: what became of the persons of the last report, each entry with its reason."""

from __future__ import annotations

from datetime import date

import pandas as pd

from dealerkit.identity import stable
from dealerkit.memory import Memory
from dealerkit.messages import N_

#: Kind → what the page calls it, in the order of the page.
KINDS = {
    "merged": N_("Two persons became one"),
    "split": N_("A part became a person of its own or went to another"),
    "renumbered": N_("Met again under another number"),
    "new": N_("New"),
    "returned": N_("Delivered again"),
    "gone": N_("No longer delivered"),
}
#: Columns of the table; other_person_id: of a merge the id that ended, of a split the person who has the part now.
COLUMNS = ("as_of", "kind", "person_id", "other_person_id", "records_count", "why")


def entries(
    records: pd.DataFrame,
    memory: Memory | None,
    as_of: date,
    former: pd.DataFrame,
    links: pd.DataFrame | None = None,
    apart: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Entries of this report, none at the first; one row for each kind and pair of persons, with the columns `COLUMNS`.

    Args:
        records: source, customer_id, person_id of each record.
        memory: the last report's, None for a first report.
        as_of: day of this report.
        former: what `stable.follow` gives for the records.
        links: pairs (``a``, ``b``: places in records) that were joined, each with its ``rule``, the strongest first; a
            merge is put down to the first one that led into or out of the person who ended.
        apart: pairs that a person decided to keep apart.
    """
    if memory is None or memory.ids.empty:
        return pd.DataFrame({c: pd.Series(dtype="int64" if c == "records_count" else object) for c in COLUMNS})
    rows = pd.DataFrame(
        {"now": records["person_id"].to_numpy(), "former": former["former"].to_numpy(), "how": former["how"].to_numpy()}
    )
    last = memory.as_of.isoformat() if memory.as_of else None
    seen = memory.ids.get("seen_on", pd.Series(None, index=memory.ids.index, dtype=object))
    before = memory.ids.loc[seen.isna() | (seen == last), "person_id"].value_counts(sort=False)
    now = rows["now"].value_counts(sort=False)
    moved = rows[rows["former"].notna() & (rows["former"] != rows["now"])]
    moved = moved.groupby(["former", "now"], as_index=False).size()
    lives = moved["former"].isin(now.index)
    merged = moved[~lives].rename(columns={"now": "person_id", "former": "other_person_id"}).assign(kind="merged")
    split = moved[lives].rename(columns={"former": "person_id", "now": "other_person_id"}).assign(kind="split")
    merged["why"] = merged["other_person_id"].map(_rules(rows, links)).fillna("linked")
    decided = _decided(rows, apart)
    split["why"] = ["decision" if pair in decided else "no_longer_linked" for pair in _pairs_of(split)]
    known = set(memory.ids["person_id"]) | set(moved["now"])
    back = now[now.index.isin(set(memory.ids["person_id"]) - set(before.index))]
    ended = before[~before.index.isin(set(now.index) | set(moved["former"]))]
    found = rows[rows["how"].isin(stable.PRINTS.values()) & (rows["former"] == rows["now"])]
    found = found.groupby(["now", "how"], as_index=False).size().rename(columns={"now": "person_id", "how": "why"})
    parts = [
        merged,
        split,
        found.assign(kind="renumbered"),
        _plain(now[~now.index.isin(known)], "new", "first_seen"),
        _plain(back, "returned", "delivered_again"),
        _plain(ended, "gone", "not_delivered"),
    ]
    out = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    out = out.rename(columns={"size": "records_count"}).assign(as_of=as_of.isoformat()).reindex(columns=list(COLUMNS))
    out = out.sort_values(["kind", "person_id", "other_person_id"], ignore_index=True)
    out["other_person_id"] = out["other_person_id"].astype(object).where(out["other_person_id"].notna(), None)
    return out


def written(own: pd.DataFrame, memory: Memory) -> pd.DataFrame:
    """The whole diary: the entries of earlier reports, then this one's."""
    both = (
        pd.concat([memory.diary.reindex(columns=list(COLUMNS)), own], ignore_index=True) if len(memory.diary) else own
    )
    return both.astype({"records_count": "int64"})


def _plain(sizes: pd.Series, kind: str, why: str) -> pd.DataFrame:
    return pd.DataFrame({"person_id": sizes.index, "size": sizes.to_numpy(), "kind": kind, "why": why})


def _pairs_of(split: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(split["person_id"], split["other_person_id"], strict=True))


def _rules(rows: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    """Former person → the first rule that joined one of its records to one that was not its own."""
    if links is None or links.empty:
        return pd.Series(dtype=object)
    former = rows["former"].to_numpy(object)
    ends = [former[links[end].to_numpy()] for end in ("a", "b")]
    other = ends[0] != ends[1]
    both = pd.concat(
        [
            pd.DataFrame({"former": end[other], "rule": links["rule"].to_numpy()[other], "at": other.nonzero()[0]})
            for end in ends
        ]
    )
    return both.dropna().sort_values("at", kind="stable").drop_duplicates("former").set_index("former")["rule"]


def _decided(rows: pd.DataFrame, apart: pd.DataFrame | None) -> set[tuple[str, str]]:
    """(former person, person of the part) that a decision took apart."""
    if apart is None or apart.empty:
        return set()
    a, b = (rows.iloc[apart[end].to_numpy()].reset_index(drop=True) for end in ("a", "b"))
    same = a["former"].notna() & (a["former"] == b["former"])
    return {(former, now) for end in (a[same], b[same]) for former, now in zip(end["former"], end["now"], strict=True)}


# ---- the page ---------------------------------------------------------------------------------------------------


def summary(diary: pd.DataFrame, as_of: date, t) -> pd.DataFrame:
    """kind (in words), persons and records of the entries of the day, in the order of `KINDS`; no rows at the first report."""
    own = diary[diary["as_of"] == as_of.isoformat()]
    counts = own.groupby("kind").agg(persons=("person_id", "size"), records=("records_count", "sum"))
    counts = counts.reindex([kind for kind in KINDS if kind in counts.index])
    return counts.reset_index().assign(kind=lambda c: [t.text(KINDS[kind]) for kind in c["kind"]])


def facts(kept: pd.DataFrame, memory: Memory, decided: dict[str, int]) -> dict[str, tuple]:
    """Facts of the sentences on ids: of how many persons of the last report a record is delivered, and who kept the id; how
    many decisions there are. Without a last report, or without decisions, their facts are left out.

    Args:
        kept: the map of this report.
        memory: the last report's.
        decided: what `decisions.counts` gives.
    """
    return _kept_facts(kept, memory) | _decision_facts(decided)


def _decision_facts(decided: dict[str, int]) -> dict[str, tuple]:
    total, waiting = sum(decided.values()), decided["waiting"]
    names = {"decisions_count": total, "decisions_obeyed_count": total - waiting, "decisions_waiting_count": waiting}
    return {name: (n, total, None) for name, n in names.items()} if total else {}


def _kept_facts(kept: pd.DataFrame, memory: Memory) -> dict[str, tuple]:
    if memory.as_of is None:
        return {}
    last, now = memory.as_of.isoformat(), kept["seen_on"].max()
    before = memory.ids.loc[memory.ids["seen_on"] == last]
    there = kept.loc[kept["seen_on"] == now]
    again = before.merge(there[stable.KEY], on=stable.KEY)["person_id"].unique()
    ids = int(pd.Series(again).isin(there["person_id"]).sum())
    return {
        "ids_since": (memory.as_of, None, None),
        "ids_met_count": (len(again), len(before), "identity_map"),
        "ids_kept_count": (ids, len(again), "identity_map"),
        "ids_kept_share": (ids / len(again) if len(again) else None, len(again), "identity_map"),
    }
