"""Rules that decide before or against the weights: what joins records at once, and what keeps them apart whatever the
probability. Each can be switched off in the params (`identity.rules`); the page lists them with their counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from dealerkit.messages import N_
from dealerkit.params import Params

#: Rules that join.
JOINING = {
    "decided": N_("decided by staff"),
    "same_id_number": N_("the same valid ID number"),
    "phone_without_name": N_("a record without a name, and only one person on its phone"),
}
#: Keys by which records meet that are then joined by their weights.
BY_WEIGHT = {
    "id_number": N_("ID number, and what else agrees"),
    "phone": N_("phone, and what else agrees"),
    "car": N_("car, and what else agrees"),
    "plate": N_("number plate, and what else agrees"),
    "name_birth": N_("name and birth date, and what else agrees"),
    "name_area": N_("name and residential area, and what else agrees"),
}
#: What joins two records that would not be joined by themselves.
BY_OTHERS = {"through_others": N_("other records of the person; these two alone would stay apart")}
#: Rules that keep apart, in the order in which a pair is put down to them.
KEEPING_APART = {
    "decided": N_("decided by staff"),
    "different_id_numbers": N_("two different valid ID numbers"),
    "person_and_company": N_("a person and a company, as a company and its driver"),
    "sexes_contradict": N_("a man and a woman, by ID number, card, title or given name, not of the same full name"),
    "twins": N_("the same surname and birth date and another given name: twins"),
    "father_and_son": N_("the same surname, another given name, a generation between the births"),
    "another_name": N_("another name that no other way of writing explains: family, colleagues, a later owner"),
    "too_many_phones": N_("more phones than one person has"),
    "several_on_phone": N_("a record without a name, and several persons on its phone"),
}


def broken(pairs: pd.DataFrame, nodes: pd.DataFrame, params: Params) -> np.ndarray:
    """The rule that keeps each pair apart, or None.

    Args:
        pairs: scored pairs (see `linking.Pairs`).
        nodes: kind, valid_id and born (year) by node.
        params: which rules hold.
    """
    told = nodes.assign(**{name: pd.factorize(nodes[name])[0] for name in ("valid_id", "kind")})
    told = told[["valid_id", "kind", "born"]]
    left, right = (told.take(nodes.index.get_indexer(pairs[end])) for end in "ab")
    found = np.full(len(pairs), None, dtype=object)
    for rule, breaks in _OF_PAIRS.items():
        if getattr(params.identity.rules, rule):
            found[breaks(pairs, left, right, params) & pd.isna(found)] = rule
    return found


def _differ(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Both known, and not the same; given as numbers, -1 for what is not known."""
    one, other = left.to_numpy(), right.to_numpy()
    return (one >= 0) & (other >= 0) & (one != other)


def _one_id(pairs: pd.DataFrame) -> np.ndarray:
    return pairs["id_number"].eq("same").to_numpy()


def _sexes(pairs, left, right, params) -> np.ndarray:
    # a sex is easily ticked wrongly; two of one full name that share a phone or car are one
    return (pairs["sex"].eq("other") & pairs["name"].ne("same")).to_numpy() & ~_one_id(pairs)


def _twins(pairs, left, right, params) -> np.ndarray:
    siblings = pairs["name"].eq("other_given") & pairs["birth"].eq("same")
    return siblings.to_numpy() & ~_one_id(pairs)


def _generations(pairs, left, right, params) -> np.ndarray:
    apart = np.abs(left["born"].to_numpy() - right["born"].to_numpy()) >= params.identity.generation_years
    return pairs["name"].eq("other_given").to_numpy() & apart & ~_one_id(pairs)


def _other_name(pairs, left, right, params) -> np.ndarray:
    other = pairs["name"].isin(["other_given", "other"]).to_numpy()
    special = _twins(pairs, left, right, params) | _generations(pairs, left, right, params)
    return other & ~special & ~_one_id(pairs)


_OF_PAIRS: dict[str, Callable] = {
    "different_id_numbers": lambda pairs, left, right, params: _differ(left["valid_id"], right["valid_id"]),
    "person_and_company": lambda pairs, left, right, params: _differ(left["kind"], right["kind"]) & ~_one_id(pairs),
    "sexes_contradict": _sexes,
    "twins": _twins,
    "father_and_son": _generations,
    "another_name": _other_name,
}
