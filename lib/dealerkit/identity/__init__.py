"""Who is one person: the records of all sources joined by weighed evidence and by rules, and how persons belong together.

`records` reads what can be compared, `linking` scores pairs that share a phone, a car, a plate, an ID number or a name,
`rules` say what joins or keeps apart whatever the score, `groups` makes persons of it, `decisions` of people beat all of
that; `stable` keeps the ids of the last report and `diary` says what became of them, `left` tells who no longer has a car,
`relations` who drives, pays and lives with whom, `views` shows it on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit.engine import frame_of, keep, uncollected
from dealerkit.identity import decisions, diary, groups, left, linking, relations, rules, stable
from dealerkit.identity.records import CARRIED, Records, read
from dealerkit.memory import Memory
from dealerkit.params import Params

__all__ = ["Identified", "identify"]


@dataclass(frozen=True)
class Identified:
    """Persons and what they hold.

    Attributes:
        persons: one row per person: person_id, flags, the best value of each attribute, records_count, sources_count,
            household_id, fleet_id.
        records: (source, customer_id) → person_id; leads, contacts and bringers of cars with numbers of their own.
        cars: one row per person and car had by ``as_of``, in hand or left (see `left`).
        merges: how many pairs each rule or key joined, and as ``apart <rule>`` kept apart; ``kept_apart`` in all.
        pairs: pairs of records that were compared and are not clearly two persons: both records, levels of agreement,
            probability, verdict (joined, apart) and rule.
        relations: one row per relation (see `relations.Relations`).
        counts: records, pairs compared and left out, crowded phones.
        people: one row per record with its person and what was read of it, held by the engine.
        owner_left: what speaks for it that an owner no longer has a car (see `left`).
        map: what the next report needs to keep the ids (see `stable`).
        diary: what became of the persons of the last report and of those before (see `diary`).
        decisions: decisions that were obeyed or wait for a record (see `decisions.counts`).
    """

    persons: pd.DataFrame
    records: pd.DataFrame
    cars: ir.Table
    merges: dict[str, int]
    pairs: pd.DataFrame
    relations: pd.DataFrame
    counts: dict[str, int]
    people: ir.Table
    owner_left: ir.Table
    map: pd.DataFrame
    diary: pd.DataFrame
    decisions: dict[str, int]


def identify(
    connection, clean: dict[str, ir.Table], params: Params, as_of: date, memory: Memory | None = None
) -> Identified:
    """Join the records of ``clean`` into persons (see `Identified`); keeps the cars on the engine's connection.

    Reads customers, vehicles and service orders, and as far as they are there leads, contacts and sales orders.

    Args:
        memory: what earlier reports left (`run.memory()`); without it this is a first report.
    """
    with uncollected():
        return _identify(connection, clean, params, as_of, memory or Memory())


def _identify(connection, clean: dict[str, ir.Table], params: Params, as_of: date, memory: Memory) -> Identified:
    found = read(connection, clean, params)
    scored = linking.link(connection, found.nodes, found.keys, params.identity.max_names_per_key)
    told = found.light.select("node", "source", "customer_id", "id_number", "phone", "name")
    nodes = frame_of(told.order_by("node")).drop(columns="node")
    obeyed = decisions.forced(memory.decisions, nodes)
    made = joined(found, scored, len(nodes), obeyed, params)
    nodes = stable.with_prints(nodes.assign(group=made.group), params.id_key)
    former = stable.follow(nodes, memory, params.id_key)
    nodes["person_id"] = stable.assign(nodes, memory, params.id_key, former)
    records = nodes[["source", "customer_id", "person_id"]].sort_values(["source", "customer_id"], ignore_index=True)
    whose = ibis.memtable(
        pd.DataFrame({"node": np.arange(len(nodes)), "person_id": nodes["person_id"]}),
        schema={"node": "int64", "person_id": "string"},
    )
    people = keep(connection, "identity_whose", found.light.inner_join(whose, "node"))
    ties = relations.ties(connection, clean, people, found.keys)
    kept = left.held_and_left(connection, clean, records, as_of, params)
    belongs = relations.with_cars(ties, people, kept.cars, params)
    return Identified(
        persons=_persons(people, kept.cars, belongs),
        records=records,
        cars=kept.cars,
        merges=_counted(made.pairs, obeyed),
        pairs=_with_records(made.pairs, nodes),
        relations=belongs.rows,
        counts={
            "records": len(nodes),
            "compared": scored.compared,
            "left_out": scored.left_out,
            "crowded_phones": found.crowded,
        },
        people=people,
        owner_left=kept.owner_left,
        map=stable.mapped(nodes, former, memory, as_of, params.id_key),
        diary=diary.written(diary.entries(nodes, memory, as_of, former, made.links, obeyed.cannot), memory),
        decisions=decisions.counts(memory.decisions, nodes),
    )


@dataclass(frozen=True)
class Joined:
    """Group of each record; the links that made the groups with their rule, the strongest first; the scored pairs with
    ``verdict`` and ``rule``."""

    group: np.ndarray
    links: pd.DataFrame
    pairs: pd.DataFrame


def joined(found: Records, linked: linking.Pairs, size: int, obeyed: decisions.Forced, params: Params) -> Joined:
    """Persons of the scored pairs, by rules, weights and decisions."""
    by_rule = params.identity.rules
    scored, by_id = linked.scored, linked.same_id if by_rule.same_id_number else linking.no_pairs()
    nodes = _linked(found.light, scored, by_id, size)
    pairs = scored.assign(rule=rules.broken(scored, nodes, params))
    bare = groups.nameless(nodes)
    on_phone = pairs["rule"].isna() & pairs["phone"].eq("same")
    a_bare, b_bare = (bare.to_numpy(dtype=bool)[nodes.index.get_indexer(pairs[end])] for end in "ab")
    likely = pairs["rule"].isna() & (pairs["probability"] >= params.identity.merge_probability)
    reason = pairs["kind"].mask(pairs["id_number"].eq("same") & by_rule.same_id_number, "same_id_number")
    if by_rule.phone_without_name:
        likely = (likely & ~(on_phone & (a_bare ^ b_bare))) | (on_phone & a_bare & b_bare)
        reason = reason.mask(on_phone & (a_bare | b_bare), "phone_without_name")
    links = pairs.assign(strength=pairs["probability"], rule=reason)[likely]
    first = by_id.assign(strength=groups.BY_ID, rule="same_id_number")
    links = pd.concat([first, links[["a", "b", "strength", "rule", "name"]]], ignore_index=True)
    links = links.sort_values(["strength", "a", "b"], ascending=[False, True, True], ignore_index=True)
    group, cut = groups.grouped(size, links, nodes, params)
    cut = {min(pair) * size + max(pair): rule for pair, rule in cut.items()}
    links = links[~_code(links, size).isin(cut)]
    if by_rule.phone_without_name:
        group, more = groups.attached(group, pairs[on_phone], bare)
        links = pd.concat([links, more.assign(rule="phone_without_name")], ignore_index=True)
    links = pd.concat([links, groups.around(links, obeyed.cannot)], ignore_index=True)
    group = decisions.groups(size, links, group, obeyed)
    links = pd.concat([obeyed.must.assign(rule="decision"), links], ignore_index=True)
    together = group[pairs["a"].to_numpy()] == group[pairs["b"].to_numpy()]
    pairs["verdict"] = np.where(together, "joined", "apart")
    apart = pairs["rule"].where(pairs["rule"].notna(), _code(pairs, size).map(cut))
    nameless = on_phone & (a_bare ^ b_bare) & by_rule.phone_without_name
    apart = (
        apart.mask(nameless & apart.isna(), "several_on_phone").astype(object).where(lambda rule: rule.notna(), None)
    )
    own = likely & ~(_code(pairs, size).isin(cut))
    own |= nameless | (pairs["kind"].eq("id_number") & by_rule.same_id_number)
    pairs["rule"] = np.where(together, reason.where(own, "through_others"), apart)
    pairs.loc[_code(pairs, size).isin(_code(pd.concat([obeyed.must, obeyed.cannot]), size)), "rule"] = "decided"
    return Joined(group, links, pairs)


def _code(pairs: pd.DataFrame, size: int) -> pd.Series:
    """A number for each pair of ``size`` nodes, whichever of the two comes first."""
    ends = pairs[["a", "b"]].to_numpy(dtype=np.int64)
    return pd.Series(ends.min(axis=1) * size + ends.max(axis=1), index=pairs.index)


def _linked(light: ir.Table, scored: pd.DataFrame, by_id: pd.DataFrame, size: int) -> pd.DataFrame:
    """What decides about the records of the pairs, by node."""
    met = np.zeros(size, dtype=bool)
    for frame in (scored, by_id):
        met[frame[["a", "b"]].to_numpy(dtype=np.int64)] = True
    asked = ibis.memtable(pd.DataFrame({"u": np.flatnonzero(met)}), schema={"u": "int64"})
    rows = light.inner_join(asked, light.node == asked.u)
    rows = rows.select("node", *groups.TRAITS, born=rows.birth.substr(0, 4).cast("float64"))
    return frame_of(rows.order_by("node")).set_index("node")


def _counted(pairs: pd.DataFrame, obeyed: decisions.Forced) -> dict[str, int]:
    """Pairs that each rule or key joined, and as ``apart <rule>`` kept apart; ``kept_apart`` are all of these."""
    counts = pairs.groupby(["verdict", "rule"]).size()
    names = (*rules.JOINING, *rules.BY_WEIGHT, *rules.BY_OTHERS)
    joined = {rule: int(counts.get(("joined", rule), 0)) for rule in names}
    apart = {f"apart {rule}": int(counts.get(("apart", rule), 0)) for rule in rules.KEEPING_APART}
    decided = {"decided": len(obeyed.must), "apart decided": len(obeyed.cannot)}
    return joined | apart | decided | {"kept_apart": sum((apart | {"apart decided": len(obeyed.cannot)}).values())}


def _with_records(pairs: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """The pairs with the numbers of their records and persons instead of nodes."""
    made = pairs.drop(columns=["a", "b"])
    for side in ("b", "a"):
        rows = nodes.iloc[pairs[side].to_numpy()]
        for column in ("person_id", "customer_id", "source"):
            made.insert(0, f"{column}_{side}", rows[column].to_numpy(dtype=object))
    return made


def _persons(people: ir.Table, cars: ir.Table, belongs: relations.Relations) -> pd.DataFrame:
    """One row per person with the first known value of each attribute, the most trusted record first."""
    best = {c: people[c].argmin(people.node, where=people[c].notnull()) for c in CARRIED if c != "created_on"}
    grouped = people.group_by("person_id").agg(
        **best,
        created_on=_.created_on.min(),
        records_count=_.count(),
        sources_count=_.source.nunique(),
        on_card=(~_.source.isin(["contacts", "service_orders"])).any(),
        company=(_.kind == "company").any(),
    )
    persons = frame_of(grouped.order_by("person_id"))
    persons["points"] = persons["points"].astype(float)
    persons["marketing_consent"] = persons["marketing_consent"].astype("boolean")
    held = frame_of(cars.group_by("person_id").agg(now=_.in_hand.any()))
    who = persons["person_id"]
    persons["is_owner"] = who.isin(held.loc[held["now"], "person_id"])
    persons["is_former_owner"] = who.isin(held["person_id"]) & ~persons["is_owner"]
    persons["is_prospect"] = persons.pop("on_card").astype(bool) & ~persons["is_owner"] & ~persons["is_former_owner"]
    persons["is_company"] = persons.pop("company").astype(bool)
    for kind in ("driver", "payer"):
        persons[f"is_{kind}"] = who.isin(belongs.of_kind(kind))
    persons["household_id"] = who.map(belongs.households).astype(object)
    persons["fleet_id"] = who.map(belongs.fleets).astype(object)
    return persons
