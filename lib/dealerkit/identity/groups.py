"""From pairs to groups: connected records are one person, unless that would break a rule; then the strongest links
hold, and the weakest are cut. The order of links is that of their probability, then of the records, so that neither the
order of rows nor the number of threads matters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dealerkit.params import Params

#: Strength of a link by ID number, which no probability outweighs.
BY_ID = 2.0
#: What of a record decides which others it can be one person with.
TRAITS = (
    "valid_id", "kind", "sex", "hint", "name_key", "name_sound", "name_turned", "name_surname", "name_surname_b", "name_full",
    "phone",
)  # fmt: skip


def connected(size: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Number of the connected part of each of ``size`` nodes."""
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def grouped(
    size: int, links: pd.DataFrame, nodes: pd.DataFrame, params: Params
) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Group of each node, and the links that were cut with the rule that each would have broken.

    Args:
        size: number of nodes.
        links: a, b, strength (`BY_ID` or a probability).
        nodes: `TRAITS` of every linked node, by node.
        params: which rules hold.
    """
    a, b = links["a"].to_numpy(dtype=np.int64), links["b"].to_numpy(dtype=np.int64)
    part = connected(size, a, b)
    torn = _torn(part, nodes, params)
    if not torn:
        return part, {}
    group, cut = _strongest_first(links[np.isin(part[a], list(torn))], nodes, params)
    whole = part.astype(np.int64) + size
    for node, root in group.items():
        whole[node] = root
    return whole, cut


def _torn(part: np.ndarray, nodes: pd.DataFrame, params: Params) -> set[int]:
    """Parts that may hold more than one person."""
    rules = params.identity.rules
    own, parts = pd.factorize(part[nodes.index])
    alone = np.bincount(own, minlength=len(parts))[own] == 1
    own, nodes = own[~alone], nodes[~alone]
    most = {"valid_id": 1, "kind": 1, "hint": 1, "name_sound": 1, "name_surname": 1}
    holds = [rules.different_id_numbers, rules.person_and_company, rules.sexes_contradict, *[rules.another_name] * 2]
    most = {trait: limit for (trait, limit), held in zip(most.items(), holds, strict=True) if held}
    if rules.too_many_phones:
        most["phone"] = params.identity.max_phones_per_person
    several = np.zeros(len(parts), dtype=bool)
    for trait, limit in most.items():
        values = nodes[trait].where(nodes["name_full"].eq(True)) if trait == "name_sound" else nodes[trait]
        several |= _distinct(own, values, len(parts)) > limit
    return set(parts[several].tolist())


def _distinct(own: np.ndarray, values: pd.Series, parts: int) -> np.ndarray:
    """How many different known values each part has."""
    codes, different = pd.factorize(values)
    known = codes >= 0
    met = pd.unique(own[known].astype(np.int64) * len(different) + codes[known])
    return np.bincount(met // max(len(different), 1), minlength=parts)


class _Cluster:
    """What is known of the records joined so far."""

    __slots__ = ("full", "members", "short", "traits")

    def __init__(self, node: int, row: dict):
        self.members = [node]
        self.traits = {trait: set(_known(row, trait)) for trait in ("valid_id", "kind", "sex", "hint", "phone")}
        sounds, surnames = (
            _known(row, "name_key", "name_sound", "name_turned"),
            _known(row, "name_surname", "name_surname_b"),
        )
        self.full = {(sounds, surnames)} if sounds and _known(row, "name_full") == (True,) else set()
        self.short = {surnames} if surnames and not self.full else set()

    def take(self, other: _Cluster) -> None:
        """Add the other's records."""
        self.members += other.members
        for trait, values in other.traits.items():
            self.traits[trait] |= values
        self.full |= other.full
        self.short |= other.short


def _known(row: dict, *names: str) -> tuple:
    return tuple(row[name] for name in names if not pd.isna(row[name]))


def _strongest_first(
    links: pd.DataFrame, nodes: pd.DataFrame, params: Params
) -> tuple[dict[int, int], dict[tuple[int, int], str]]:
    ordered = links.sort_values(["strength", "a", "b"], ascending=[False, True, True])
    used = pd.unique(ordered[["a", "b"]].to_numpy().ravel())
    rows = nodes.loc[used, list(TRAITS)].astype(object).to_dict("records")
    clusters = {int(node): _Cluster(int(node), row) for node, row in zip(used, rows)}
    root = {node: node for node in clusters}
    allowed, cut = _Allowed(params, nodes, links), {}
    for a, b, strength in zip(ordered["a"].tolist(), ordered["b"].tolist(), ordered["strength"].tolist()):
        one, other = clusters[root[a]], clusters[root[b]]
        if one is other:
            continue
        rule = allowed.breaks(one, other) if strength < BY_ID else None
        if rule:
            cut[a, b] = rule
            continue
        if len(one.members) < len(other.members):
            one, other = other, one
        kept, gone = root[one.members[0]], root[other.members[0]]
        for node in other.members:
            root[node] = kept
        one.take(other)
        del clusters[gone]
    return {node: min(clusters[r].members) for node, r in root.items()}, cut


class _Allowed:
    """Whether two clusters can be one person by the rules in force."""

    def __init__(self, params: Params, nodes: pd.DataFrame, links: pd.DataFrame):
        self.rules, self.most_phones = params.identity.rules, params.identity.max_phones_per_person
        # names that were found near each other in a pair are one name written wrongly
        near = links[links["name"].eq("near")] if "name" in links else links[:0]
        sounds = nodes["name_sound"]
        self.near = {frozenset(pair) for pair in zip(sounds.reindex(near["a"]), sounds.reindex(near["b"]))}

    def breaks(self, one: _Cluster, other: _Cluster) -> str | None:
        """The rule that joining them would break."""
        rules = self.rules

        def disjoint(trait: str) -> bool:
            here, there = one.traits[trait], other.traits[trait]
            return bool(here) and bool(there) and not here & there

        if rules.different_id_numbers and disjoint("valid_id"):
            return "different_id_numbers"
        if rules.person_and_company and disjoint("kind"):
            return "person_and_company"
        if rules.sexes_contradict and self._sexes_contradict(one, other, disjoint):
            return "sexes_contradict"
        if rules.another_name and not self._names_agree(one, other):
            return "another_name"
        if rules.too_many_phones and len(one.traits["phone"] | other.traits["phone"]) > self.most_phones:
            return "too_many_phones"
        return None

    @staticmethod
    def _sexes_contradict(one: _Cluster, other: _Cluster, disjoint: Callable[[str], bool]) -> bool:
        """What a given name suggests counts against a title only; the same full name counts for more than a sex."""
        if one.full and other.full:
            return disjoint("sex") and one.full.isdisjoint(other.full)
        return disjoint("hint")

    def _names_agree(self, one: _Cluster, other: _Cluster) -> bool:
        """Full names are compared with full ones, a surname with all that is known of the other."""
        if one.full and other.full:
            return any(self._same(x, y) for x in one.full for y in other.full)
        if one.full or other.full:
            full, short = (one.full, other.short) if one.full else (other.full, one.short)
            return all(any(set(surnames) & set(theirs) for _, theirs in full) for surnames in short)
        return not (one.short and other.short) or any(set(x) & set(y) for x in one.short for y in other.short)

    def _same(self, x: tuple, y: tuple) -> bool:
        return bool(set(x[0]) & set(y[0])) or any(frozenset((s, t)) in self.near for s in x[0] for t in y[0])


def nameless(nodes: pd.DataFrame) -> pd.Series:
    """Records that have a phone and neither a name nor an ID number."""
    return nodes["name_key"].isna() & nodes["valid_id"].isna() & nodes["phone"].notna()


def attached(group: np.ndarray, pairs: pd.DataFrame, bare: pd.Series) -> tuple[np.ndarray, pd.DataFrame]:
    """Groups of records without a name joined to the only other group on their phone, and the links (a, b) that do it.

    Args:
        group: group of each node.
        pairs: pairs on one phone that break no rule (a, b).
        bare: whether the record has no name, by node.
    """
    a, b = pairs["a"].to_numpy(dtype=np.int64), pairs["b"].to_numpy(dtype=np.int64)
    bare_a, bare_b = bare.loc[a].to_numpy(dtype=bool), bare.loc[b].to_numpy(dtype=bool)
    own, other = group[np.where(bare_a, a, b)], group[np.where(bare_a, b, a)]
    one = (bare_a != bare_b) & (own != other)
    meets = pd.DataFrame({"own": own[one], "other": other[one], "a": a[one], "b": b[one]})
    only = meets[meets.groupby("own")["other"].transform("nunique") == 1].drop_duplicates("own")
    to = pd.Series(only["other"].to_numpy(), index=only["own"])
    places = np.flatnonzero(np.isin(group, to.index))
    joined = group.copy()
    joined[places] = to[group[places]].to_numpy()
    return joined, only[["a", "b"]].reset_index(drop=True)


def around(links: pd.DataFrame, forbidden: pd.DataFrame) -> pd.DataFrame:
    """Links between the neighbours of a record that a decision takes out: records alike are linked to the first of them
    only, and would fall apart without it. Only neighbours with its name, by the same key, are alike."""
    centres = np.unique(forbidden[["a", "b"]].to_numpy(dtype=np.int64))
    alike = links[links["name"].eq("same") & links["rule"].notna()]
    ends = [alike.rename(columns={"a": x, "b": y}) for x, y in (("at", "beside"), ("beside", "at"))]
    near = pd.concat(ends, ignore_index=True)
    near = near[near["at"].isin(centres)].sort_values(["at", "rule", "beside"], ignore_index=True)
    before = near.groupby(["at", "rule"])["beside"].shift()
    made = pd.DataFrame({"a": before, "b": near["beside"], "rule": near["rule"], "strength": near["strength"]})
    return made.dropna(subset="a").astype({"a": np.int64, "b": np.int64})
