"""How records became persons, as small tables and facts for the page; names and phones only masked."""

from __future__ import annotations

import ibis
import pandas as pd

from dealerkit.engine import frame_of
from dealerkit.identity import Identified, relations, rules, weights
from dealerkit.messages import N_, mask
from dealerkit.params import Params

#: Pairs in between are saved and can be decided by staff.
UNCERTAIN = (0.2, 0.98)
#: (comparison, level) → what it says; what agrees comes first.
AGREES = {
    ("name", "same"): N_("same name"),
    ("name", "sound"): N_("names that sound alike"),
    ("name", "surname"): N_("same surname, the rest of one name unknown"),
    ("name", "near"): N_("names one letter apart"),
    ("phone", "same"): N_("same phone"),
    ("id_number", "same"): N_("same ID number"),
    ("id_number", "near"): N_("ID numbers two digits apart at most, one of them mistyped"),
    ("birth", "same"): N_("same birth date"),
    ("birth", "near"): N_("birth dates one digit apart, or day and month swapped"),
    ("sex", "same"): N_("same sex"),
    ("car", "same"): N_("same car"),
    ("plate", "same"): N_("same number plate"),
    ("address", "same"): N_("same address"),
    ("area", "same"): N_("same residential area"),
}
DIFFERS = {
    ("name", "other_given"): N_("same surname and another given name"),
    ("name", "other"): N_("another name"),
    ("phone", "other"): N_("another phone"),
    ("id_number", "other"): N_("another ID number"),
    ("birth", "other"): N_("another birth date"),
    ("sex", "other"): N_("another sex"),
    ("address", "other"): N_("another address"),
    ("area", "other"): N_("another residential area"),
}
_JOINED = {**rules.JOINING, **rules.BY_WEIGHT, **rules.BY_OTHERS}
RELATIONS = {
    "owner": N_("owner of a car"),
    "driver": N_("drives a car of somebody else"),
    "payer": N_("pays for a car of somebody else"),
    "household": N_("one household"),
    "family": N_("one family (same surname, and phone or address)"),
    "employee": N_("works for a company that is a customer"),
    "fleet": N_("car of a fleet"),
}


def facts(found: Identified, params: Params) -> dict[str, tuple]:
    """Facts of identity: name → (value, rows, table)."""
    persons, records = found.persons, found.counts["records"]
    values = {
        "pairs_compared": found.counts["compared"],
        "pairs_left_out": found.counts["left_out"],
        "crowded_phones": found.counts["crowded_phones"],
        "phone_names_limit": params.checks.max_customers_per_phone,
        "merge_probability": params.identity.merge_probability,
        "weights_version": weights.VERSION,
        "drivers_count": int(persons["is_driver"].sum()),
        "households_count": int(persons["household_id"].nunique()),
        "fleets_count": int(persons["fleet_id"].nunique()),
    }
    return {name: (value, records, "person_records") for name, value in values.items()}


def rules_table(found: Identified, params: Params, t) -> pd.DataFrame:
    """What joined pairs and what kept them apart: does, rule, pairs (None: the rule is switched off)."""
    rows = []
    for rule, text in _JOINED.items():
        rows.append((N_("joins"), text, found.merges[rule], rule))
    for rule, text in rules.KEEPING_APART.items():
        rows.append((N_("keeps apart"), text, found.merges[f"apart {rule}"], rule))
    made = pd.DataFrame(rows, columns=["does", "rule", "pairs", "key"])
    off = ~made["key"].map(lambda rule: getattr(params.identity.rules, rule, True)).astype(bool)
    made["does"], made["rule"] = made["does"].map(t.text), made["rule"].map(t.text)
    made["pairs"] = made["pairs"].astype(float).mask(off)
    return made.drop(columns="key")


def saved(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs worth keeping: neither clearly one person nor clearly two, or kept apart by a rule."""
    low, high = UNCERTAIN
    by_rule = pairs["verdict"].eq("apart") & pairs["rule"].notna()
    return pairs[pairs["probability"].between(low, high) | by_rule].reset_index(drop=True)


def least_certain(found: Identified, t, joined: bool, most: int = 10) -> pd.DataFrame:
    """The pairs that were joined with the least probability, or left apart with the greatest: record_a, record_b,
    names (masked), phones (masked), agrees, differs, probability, why (the rule or key, or that too little agrees)."""
    pairs = found.pairs[found.pairs["verdict"] == ("joined" if joined else "apart")]
    pairs = pairs[~pairs["rule"].isin(["decided", "same_id_number"])] if joined else pairs[~pairs["rule"].eq("decided")]
    order = ["probability", "source_a", "customer_id_a", "source_b", "customer_id_b"]
    chosen = pairs.sort_values(order, ascending=[joined, True, True, True, True]).head(most)
    told = _told(found, chosen)
    rows = []
    for pair in chosen.to_dict("records"):
        ends = [told.get((pair[f"source_{side}"], pair[f"customer_id_{side}"]), (None, None)) for side in "ab"]
        rows.append(
            {
                "record_a": f"{pair['source_a']} {pair['customer_id_a']}",
                "record_b": f"{pair['source_b']} {pair['customer_id_b']}",
                "names": " / ".join(_masked(name, "name", t) for name, _ in ends),
                "phones": " / ".join(_masked(phone, "phone", t) for _, phone in ends),
                "agrees": _levels(pair, AGREES, t),
                "differs": _levels(pair, DIFFERS, t),
                "probability": pair["probability"],
                "why": _why(pair, t),
            }
        )
    columns = ["record_a", "record_b", "names", "phones", "agrees", "differs", "probability", "why"]
    return pd.DataFrame(rows, columns=columns)


def _told(found: Identified, chosen: pd.DataFrame) -> dict[tuple[str, str], tuple]:
    """(source, customer_id) → name and phone of the records of some pairs."""
    ids = pd.unique(chosen[["customer_id_a", "customer_id_b"]].to_numpy().ravel())
    if not len(ids):
        return {}
    asked = ibis.memtable(pd.DataFrame({"asked": ids}), schema={"asked": "string"})
    rows = found.people.inner_join(asked, found.people.customer_id == asked.asked)
    rows = frame_of(rows.select("source", "customer_id", "name", "phone"))
    return {(r.source, r.customer_id): (r.name_, r.phone) for r in rows.rename(columns={"name": "name_"}).itertuples()}


def _masked(value: str | None, kind: str, t) -> str:
    return t.text(N_("none")) if pd.isna(value) else mask(value, kind)


def _levels(pair: dict, words: dict[tuple[str, str], str], t) -> str:
    said = [t.text(text) for (comparison, level), text in words.items() if pair[comparison] == level]
    return t.listed(said)


def _why(pair: dict, t) -> str:
    rule, joined = pair["rule"], pair["verdict"] == "joined"
    return (
        t.text((_JOINED if joined else rules.KEEPING_APART)[rule])
        if isinstance(rule, str)
        else t.text(N_("too little agrees"))
    )


def relations_table(found: Identified, t) -> pd.DataFrame:
    """Relations by kind: kind, relations, persons who have one."""
    rows = found.relations.groupby("kind").agg(relations=("person_id", "size"), persons=("person_id", "nunique"))
    rows = rows.reindex(relations.KINDS).fillna(0).astype(int).reset_index()
    rows["kind"] = rows["kind"].map(RELATIONS).map(t.text)
    return rows
