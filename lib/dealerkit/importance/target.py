"""What is to be explained: the classes that customers are in, what they are called, and which factors define them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from dealerkit import value
from dealerkit.messages import N_
from dealerkit.params import Params

#: Fewer owners than this, or fewer than this in a class, carry no model.
FEWEST_OWNERS, FEWEST_OF_CLASS = 100, 25

#: Classes that say that nothing is known, or that the scheme is not for this person.
NOT_CLASSES = ("unknown", "no_car")


@dataclass(frozen=True)
class Kind:
    """A kind of classes: what the page calls it, the factors it is made from, and its classes, the best first."""

    label: str
    defining: tuple[str, ...]
    classes: dict[str, str]


KINDS: dict[str, Kind] = {
    "clusters": Kind(
        N_("natural groups"),
        (
            "visits_count_all",
            "visits_count_24m",
            "spend_yuan_all",
            "yuan_per_visit_24m",
            "recency_days",
            "first_visit_days_ago",
            "tenure_days",
            "odometer_km_per_year",
            "maintenance_share_24m",
        ),
        {},
    ),
    "value_tier": Kind(
        N_("value tiers"),
        (
            "clv_yuan",
            "expected_visits_count",
            "expected_yuan_per_visit",
            "alive_probability",
            "visits_count_all",
            "spend_yuan_all",
            "spend_yuan_24m",
            "recency_days",
            "first_visit_days_ago",
        ),
        {"high": N_("high value"), "middle": N_("middle value"), "low": N_("low value")},
    ),
    "loyalty_bond": Kind(
        N_("loyalty classes"),
        ("visits_count_all", "own_rhythm_ratio", "recency_days", "interval_days_median"),
        {"loyal": N_("faithful"), "wandering": N_("wandering"), "potential": N_("potential")},
    ),
}


@dataclass(frozen=True)
class Target:
    """Classes of customers.

    Attributes:
        kind: one of `KINDS`.
        of: class of each person, by person_id in its order.
        names: the classes, the best or largest first → what the page calls them (a message, or a cluster's name).
        defining: factors that the classes are made from.
        left_out: persons whose class is unknown or has fewer than `FEWEST_OF_CLASS` persons.
    """

    kind: str
    of: pd.Series
    names: dict[str, str]
    defining: tuple[str, ...]
    left_out: int

    def shown(self, t) -> dict[str, str]:
        """Names of the classes by key, in the words of ``t``; clusters without a name are numbered."""
        if self.kind != "clusters":
            return {key: t.text(name) for key, name in self.names.items()}
        return {k: t.say(N_("group {number:text}"), number=k) if name == k else name for k, name in self.names.items()}

    @property
    def label(self) -> str:
        """What the page calls the classes, a message."""
        return KINDS[self.kind].label

    @property
    def enough(self) -> bool:
        """Whether there are two classes or more, and persons enough to tell them apart."""
        return len(self.names) > 1 and len(self.of) >= FEWEST_OWNERS


def choose_target(
    owners: pd.DataFrame,
    params: Params,
    clusters: pd.DataFrame | None = None,
    classes: pd.DataFrame | None = None,
    trusted: bool = False,
    cluster_names: Mapping[str, str] | None = None,
) -> Target | None:
    """The clusters when they can be trusted, else the value tiers, else the loyalty classes; None without any.

    Args:
        owners: factors of owners at ``as_of``.
        params: shares of the value tiers, used when ``classes`` is not given.
        clusters: person_id and cluster (1, 2, …).
        classes: person_id and one column per scheme, with the keys of its classes.
        trusted: whether the clusters hold on other samples of the same customers.
        cluster_names: cluster → its name in the report's language; else they are numbered.
    """
    persons = pd.Index(owners["person_id"].sort_values())
    if trusted and clusters is not None and clusters["cluster"].nunique() > 1:
        found = clusters[clusters["cluster"] > 0].set_index("person_id")["cluster"].reindex(persons)
        return _target("clusters", found, dict(cluster_names or {}))
    if classes is None:
        tiers = _tiers(owners, params)
        return None if tiers is None else _target("value_tier", tiers.reindex(persons))
    # without amounts there is no value, and the bond stands in
    for kind in ("value_tier", "loyalty_bond"):
        if kind in classes:
            found = classes.set_index("person_id")[kind].reindex(persons)
            if found[~found.isin(NOT_CLASSES)].nunique() > 1:
                return _target(kind, found)
    return None


def _tiers(owners: pd.DataFrame, params: Params) -> pd.Series | None:
    """Value tiers by person_id; None when no value is known."""
    known = owners.set_index("person_id")
    score = value.tier_score(known["clv_yuan"], known["spend_yuan_24m"], params.value.past_share)
    tier, cuts = value.tiers(score, params.value.tier_shares, params.value.tier_yuan)
    return tier.map({0: "high", 1: "middle", 2: "low"}) if cuts else None


def _target(kind: str, found: pd.Series, names: Mapping[str, str] | None = None) -> Target:
    """The classes that are large enough; those the kind does not declare come by size."""
    known = found.dropna()
    known = known[~known.isin(NOT_CLASSES)]
    known = known.map(lambda key: str(int(key)) if isinstance(key, float) else str(key))
    sizes = known.value_counts()
    large = sizes[sizes >= FEWEST_OF_CLASS]
    declared = KINDS[kind].classes
    order = [key for key in declared if key in large.index]
    order += sorted(set(large.index) - set(order), key=lambda key: (-large[key], key))
    labels = {key: (names or {}).get(key) or declared.get(key, key) for key in order}
    of = known[known.isin(large.index)].astype(object)
    return Target(kind, of, labels, KINDS[kind].defining, len(found) - len(of))
