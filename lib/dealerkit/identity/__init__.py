"""Who is one person: records of all sources joined by exact keys.

Merge rules: the same ID number; the same phone and a name that does not contradict; the same car (VIN) and
the same name. No-merge rules: two different ID numbers; a person and a company by anything but the ID
number; a phone on more records than one person can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dealerkit.engine import frame_of
from dealerkit.identity import decisions, diary, left, stable
from dealerkit.memory import Memory
from dealerkit.params import Params

#: Rules in the order in which a merge is put down to them.
RULES = ("id_number", "phone", "vin")

_TITLE = r"先生|女士|小姐|太太|\b(?:mr|mrs|ms|miss)\b\.?"
_CARRIED = (
    "customer_type",
    "name",
    "gender",
    "birth_date",
    "id_number",
    "phone",
    "residential_area",
    "occupation",
    "income_band",
    "member_level",
    "points",
    "marketing_consent",
    "created_on",
    "source_channel",
)


@dataclass(frozen=True)
class Identified:
    """Persons and what they hold.

    Attributes:
        persons: one row per person: person_id, flags, the best value of each attribute, records.
        records: (source, customer_id) → person_id.
        cars: one row per person and car had by ``as_of``, in hand or left (see `left`).
        merges: rule → pairs of records it joined; ``kept_apart`` → pairs on one phone that contradict.
        owner_left: what speaks for it that an owner no longer has a car (see `left`).
        map: what the next report needs to keep the ids (see `stable`).
        diary: what became of the persons of the last report and of those before (see `diary`).
        decisions: decisions that were obeyed or wait for a record (see `decisions.counts`).
    """

    persons: pd.DataFrame
    records: pd.DataFrame
    cars: ir.Table
    merges: dict[str, int]
    owner_left: ir.Table
    map: pd.DataFrame
    diary: pd.DataFrame
    decisions: dict[str, int]


def identify(
    connection, clean: dict[str, ir.Table], params: Params, as_of: date, memory: Memory | None = None
) -> Identified:
    """Join the records of ``clean`` into persons (see `Identified`); reads customers, vehicles, leads, sales and service
    orders, and keeps the cars on the engine's connection.

    Args:
        memory: what earlier reports left (`run.memory()`); without it this is a first report.
    """
    memory = memory or Memory()
    nodes = _records(clean, params)
    obeyed = decisions.forced(memory.decisions, nodes)
    edges, apart = _edges(clean, nodes, params)
    group = decisions.groups(len(nodes), edges, _components(nodes, edges), obeyed)
    nodes = stable.with_prints(nodes.assign(group=group), params.id_key)
    former = stable.follow(nodes, memory, params.id_key)
    nodes["person_id"] = stable.assign(nodes, memory, params.id_key, former)
    records = nodes[["source", "customer_id", "person_id"]].sort_values(["source", "customer_id"], ignore_index=True)
    kept = left.held_and_left(connection, clean, records, as_of, params)
    links = pd.concat([obeyed.must.assign(rule="decision"), edges], ignore_index=True)
    counted = edges.drop_duplicates(["a", "b"])["rule"].value_counts()
    return Identified(
        persons=_persons(nodes, kept.cars),
        records=records,
        cars=kept.cars,
        merges={r: int(counted.get(r, 0)) for r in RULES} | {"kept_apart": apart},
        owner_left=kept.owner_left,
        map=stable.mapped(nodes, former, memory, as_of, params.id_key),
        diary=diary.written(diary.entries(nodes, memory, as_of, former, links, obeyed.cannot), memory),
        decisions=decisions.counts(memory.decisions, nodes),
    )


def _records(clean: dict[str, ir.Table], params: Params) -> pd.DataFrame:
    """One row per customer record and per lead that names no customer, the most trusted source first."""
    customers = clean["customers"]
    frame = frame_of(
        customers.select("customer_id", source=customers["_source"], **{c: customers[c] for c in _CARRIED})
    )
    frame["points"] = frame["points"].astype(float)
    frame["marketing_consent"] = frame["marketing_consent"].astype("boolean")
    if "leads" in clean:
        leads = clean["leads"].filter(_.customer_id.isnull() & _.phone.notnull())
        rows = frame_of(
            leads.select(
                customer_id=ibis.literal("lead:") + leads.lead_id,
                source=ibis.literal("leads"),
                phone=leads.phone,
                created_on=leads.created_at.date(),
            )
        )
        frame = pd.concat([frame, rows.reindex(columns=frame.columns).astype(frame.dtypes)], ignore_index=True)
    trust = {source: i for i, source in enumerate(params.sources)} | {"leads": 10**6}
    frame["trust"] = frame["source"].map(trust).fillna(len(trust)).astype(int)
    return frame.sort_values(["trust", "source", "customer_id"], ignore_index=True)


def _edges(clean: dict[str, ir.Table], nodes: pd.DataFrame, params: Params) -> tuple[pd.DataFrame, int]:
    """Pairs of records that are one person, with their rule; and the pairs that a phone suggests and a name contradicts."""
    light = nodes[["id_number", "phone"]].copy()
    light["node"] = np.arange(len(nodes))
    names = nodes["name"].str.lower()
    light["titled"] = names.str.contains(_TITLE, regex=True, na=False)
    light["surname"] = _squeezed(names.str.replace(_TITLE, "", regex=True))
    light["folded"] = _squeezed(names)
    light["sorted"] = names.map(lambda name: "".join(sorted(name.replace("·", " ").split())), na_action="ignore")
    light["company"] = nodes["customer_type"].eq("company")
    by_id = _pairs(light, "id_number", limit=None)
    phones = light.assign(
        phone=light["phone"].where(
            light.groupby("phone")["node"].transform("size") <= params.checks.max_customers_per_phone
        )
    )
    by_phone = _pairs(phones, "phone", limit=params.checks.max_customers_per_phone)
    by_vin = _vin_pairs(clean, nodes, params.checks.max_customers_per_phone)
    agree = _names_agree(light, by_phone, missing_agrees=True)
    same_name = _names_agree(light, by_vin, missing_agrees=False)
    edges = pd.concat(
        [by_id.assign(rule="id_number"), by_phone[agree].assign(rule="phone"), by_vin[same_name].assign(rule="vin")],
        ignore_index=True,
    )
    soft = edges["rule"] != "id_number"
    a, b = edges["a"].to_numpy(), edges["b"].to_numpy()
    ids, company = light["id_number"].to_numpy(object), light["company"].to_numpy()
    other_id = pd.notna(ids[a]) & pd.notna(ids[b]) & (ids[a] != ids[b])
    forbidden = soft & (other_id | (company[a] != company[b]))
    return edges[~forbidden].reset_index(drop=True), int(
        (~agree).sum() + (forbidden & (edges["rule"] == "phone")).sum()
    )


def _pairs(frame: pd.DataFrame, key: str, limit: int | None) -> pd.DataFrame:
    """Pairs (a, b) of nodes with the same key: all pairs in small groups, else each with the first."""
    known = frame[frame[key].notna()]
    size = known.groupby(key)["node"].transform("size")
    known = known[size > 1]
    if limit is None:
        first = known.groupby(key)["node"].transform("min")
        pairs = pd.DataFrame({"a": first, "b": known["node"]})
        return pairs[pairs["a"] != pairs["b"]].reset_index(drop=True)
    both = known[["node", key]].merge(known[["node", key]], on=key, suffixes=("_a", "_b"), validate="many_to_many")
    both = both[both["node_a"] < both["node_b"]]
    return both.rename(columns={"node_a": "a", "node_b": "b"})[["a", "b"]].reset_index(drop=True)


def _vin_pairs(clean: dict[str, ir.Table], nodes: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Pairs of records seen with the same car as owner, buyer or visitor."""
    seen = [clean[t].select("vin", "customer_id") for t in ("vehicles", "sales_orders", "service_orders") if t in clean]
    held = ibis.union(*seen, distinct=True) if len(seen) > 1 else seen[0].distinct()
    held = held.filter(_.vin.notnull() & _.customer_id.notnull())
    held = held.mutate(n=_.count().over(group_by="vin")).filter(_.n.between(2, limit)).drop("n")
    held = frame_of(held)
    index = pd.Series(np.arange(len(nodes)), index=nodes["customer_id"])
    held["node"] = held["customer_id"].map(index[~index.index.duplicated()])
    held = held.dropna(subset=["node"]).astype({"node": int})
    return _pairs(held, "vin", limit)


def _squeezed(names: pd.Series) -> pd.Series:
    return names.str.replace(r"[\s·.]+", "", regex=True)


def _names_agree(light: pd.DataFrame, pairs: pd.DataFrame, missing_agrees: bool) -> pd.Series:
    """Same letters, same words in another order, or a title with the surname of the other."""
    left, right = light.iloc[pairs["a"]].reset_index(drop=True), light.iloc[pairs["b"]].reset_index(drop=True)
    missing = left["folded"].isna() | right["folded"].isna()
    same = (left["folded"] == right["folded"]) | (left["sorted"] == right["sorted"])
    for titled, other in ((left, right), (right, left)):
        one = titled["titled"] & titled["surname"].ne("") & ~other["titled"] & ~missing
        begins = [name.startswith(surname) for name, surname in zip(other["folded"][one], titled["surname"][one])]
        same.loc[one] |= np.array(begins, dtype=bool)
    return (same & ~missing) | (missing if missing_agrees else False)


def _components(nodes: pd.DataFrame, edges: pd.DataFrame) -> np.ndarray:
    """Group number of each record; groups that chain two different ID numbers keep the ID-number edges only."""
    group = _connected(len(nodes), edges)
    ids = pd.Series(nodes["id_number"].to_numpy(object)).groupby(group).nunique()
    torn = np.isin(group, ids.index[ids > 1])
    if torn.any():
        a = edges["a"].to_numpy()
        group = _connected(len(nodes), edges[~torn[a] | (edges["rule"] == "id_number").to_numpy()])
    return group


def _connected(size: int, edges: pd.DataFrame) -> np.ndarray:
    graph = coo_array(
        (np.ones(len(edges), dtype=np.int8), (edges["a"].to_numpy(), edges["b"].to_numpy())), shape=(size, size)
    )
    return connected_components(graph, directed=False)[1]


def _persons(nodes: pd.DataFrame, cars: ir.Table) -> pd.DataFrame:
    """One row per person with the first known value of each attribute, the most trusted record first."""
    grouped = nodes.groupby("person_id", sort=True)
    persons = grouped[list(_CARRIED)].first()
    persons["records_count"] = grouped.size()
    persons["sources_count"] = grouped["source"].nunique()
    persons["created_on"] = grouped["created_on"].min()
    held = frame_of(cars.group_by("person_id").agg(now=_.in_hand.any()))
    persons["is_owner"] = persons.index.isin(held.loc[held["now"], "person_id"])
    persons["is_former_owner"] = persons.index.isin(held["person_id"]) & ~persons["is_owner"]
    persons["is_prospect"] = ~persons["is_owner"] & ~persons["is_former_owner"]
    persons["is_company"] = persons["customer_type"].eq("company")
    return persons.reset_index()
