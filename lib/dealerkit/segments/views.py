"""The page of the segments: small tables, facts and the inputs of its sentences, made of rule classes and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dealerkit import stats
from dealerkit.messages import N_
from dealerkit.params import Params
from dealerkit.segments import clusters, rules
from dealerkit.segments.clusters import FEATURES, LEAST_VALLEY, STABLE, VERDICTS, Clustered

#: Fewer persons than this carry no rate.
RATE_FROM = 30
_PARTS = {f"{f.name}{sign}": (f.much if sign == "+" else f.little) for f in FEATURES for sign in "+-"}


@dataclass(frozen=True)
class Segments:
    """The segments in force: the clusters when there are natural groups or a pattern, else a scheme of rule classes.

    Attributes:
        natural: whether they are clusters.
        of: person_id → label, for the owners that have one.
        labels: in their order, the one that brings most first.
        scheme: key of the scheme when they are rule classes.
        untold: label of those whose class cannot be told; charts leave them out.
    """

    natural: bool
    of: pd.Series
    labels: tuple[str, ...]
    scheme: str | None = None
    untold: str | None = None


def found(clustered: Clustered) -> bool:
    """Whether the clusters can serve as segments."""
    return clustered.verdict in ("groups", "pattern")


def cluster_names(clustered: Clustered, t) -> list[str]:
    """Names of the clusters in the words of ``t``, in their order: their strongest deviations."""
    comma = t.text(N_(", "))
    return [comma.join(t.text(_PARTS[part]) for part in parts.split()) for parts in clustered.profile["name_parts"]]


def in_force(clustered: Clustered, classes: pd.DataFrame, t) -> Segments:
    """The segments that the page shows; without natural groups the value tiers, or without amounts the bond."""
    if found(clustered):
        names = cluster_names(clustered, t)
        labels = clustered.members["cluster"].map(dict(enumerate(names, 1)))
        return Segments(True, pd.Series(labels.to_numpy(), clustered.members["person_id"]), tuple(names))
    tiers = classes["value_tier"].isin(["high", "middle", "low"]).any()
    scheme = next(s for s in rules.SCHEMES if s.key == ("value_tier" if tiers else "loyalty_bond"))
    names = {k.key: t.text(k.label) for k in scheme.all_classes if k.key != rules.NO_CAR}
    held = classes.set_index("person_id")[scheme.key].map(names).dropna()
    return Segments(
        False, held, tuple(n for n in names.values() if (held == n).any()), scheme.key, names[rules.UNKNOWN]
    )


def owners_of(persons: pd.DataFrame, factors: pd.DataFrame) -> pd.DataFrame:
    """Factors of persons with a car in hand, by person_id."""
    owners = factors[factors["person_id"].isin(persons.loc[persons["is_owner"], "person_id"])]
    return owners.sort_values("person_id", ignore_index=True)


# ---- rule classes -------------------------------------------------------------------------------------------------


def class_tables(
    factors: pd.DataFrame, persons: pd.DataFrame, classes: pd.DataFrame, edges: pd.DataFrame, params: Params, t
) -> dict[str, pd.DataFrame]:
    """For each scheme a row per class that has persons: class, label, rule, persons, share, yuan_share, yuan_per_person,
    visits_per_person, at_edge, edge_text. Yuan and visits are those of 24 months; owners only, but for the intention to buy."""
    words = class_rules(factors, persons, params, t)
    frame = classes.merge(factors[["person_id", "spend_yuan_24m", "visits_count_24m"]], on="person_id", how="left")
    tables = {}
    for scheme in rules.SCHEMES:
        members = frame[frame[scheme.key] != rules.NO_CAR]
        at_edge = edges[scheme.key][members.index]
        own = words[(words["scheme"] == scheme.key) & (words["class"] != rules.NO_CAR)]
        made = own[["class", "label", "rule"]].merge(
            _sums(members, members[scheme.key], at_edge), on="class", how="left", validate="one_to_one"
        )
        made[["persons", "at_edge"]] = made[["persons", "at_edge"]].fillna(0).astype(int)
        made["share"] = made["persons"] / max(len(members), 1)
        # Not a part of a whole that is shown, so only the small numbers themselves are left out.
        made["edge_text"] = ["<5" if 0 < n < 5 else t.value(n, "count") for n in made["at_edge"]]
        tables[scheme.key] = made[(made["class"] != rules.UNKNOWN) | (made["persons"] > 0)].reset_index(drop=True)
    return tables


def _sums(members: pd.DataFrame, by: pd.Series, at_edge: pd.Series) -> pd.DataFrame:
    yuan, visits = (members[c].to_numpy(float, na_value=np.nan) for c in ("spend_yuan_24m", "visits_count_24m"))
    codes, classes = pd.factorize(by, sort=True)

    def summed(values, where) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.bincount(codes[where], weights, len(classes)) for weights in (values[where], None))

    persons = np.bincount(codes, minlength=len(classes))
    (paid, payers), (came, comers) = (summed(values, ~np.isnan(values)) for values in (yuan, visits))
    paid, came = np.where(payers > 0, paid, np.nan), np.where(comers > 0, came, np.nan)
    total = np.nansum(paid)
    return pd.DataFrame(
        {
            "class": classes,
            "persons": persons,
            "at_edge": np.bincount(codes, at_edge, len(classes)),
            "visits_per_person": came / np.maximum(comers, 1),
            "yuan_share": paid / total if total else np.nan,
            "yuan_per_person": paid / np.maximum(persons, 1),
        }
    )


def _whole(yuan: pd.Series) -> float:
    return yuan.sum(min_count=1)


def class_rules(factors: pd.DataFrame, persons: pd.DataFrame, params: Params, t) -> pd.DataFrame:
    """Every class in words with the thresholds in force (see `rules.rules`)."""
    return rules.rules(rules.thresholds(factors, persons, params), t)


def bars_of(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a class table that a chart of shares may show: those that can be told and hold 30 persons or more."""
    shown = table[(table["persons"] >= RATE_FROM) & (table["class"] != rules.UNKNOWN)]
    return shown if shown["yuan_share"].notna().any() else shown.assign(yuan_share=shown["share"])


def facts(
    factors: pd.DataFrame, persons: pd.DataFrame, classes: pd.DataFrame, edges: pd.DataFrame, params: Params
) -> dict[str, tuple]:
    """Facts of the rule classes: name → (value, rows, table)."""
    owners = owners_of(persons, factors)
    mine = classes.set_index("person_id").loc[owners["person_id"]]
    told = mine["need"] != rules.UNKNOWN
    values: dict[str, object] = {"segment_owners_count": len(owners)}
    for name, scheme, key in (
        ("new", "loyalty_stage", "new"),
        ("loyal", "loyalty_stage", "loyal"),
        ("wandering", "loyalty_bond", "wandering"),
        ("at_risk", "rhythm", "at_risk"),
        ("active_behaviour", "behaviour", "active"),
        ("passive", "behaviour", "passive"),
    ):
        values |= _rate(name, int((mine[scheme] == key).sum()), len(mine))
    for key in ("price", "quality", "service"):
        values |= _rate(f"{key}_sensitive", int((mine["need"] == key).sum()), int(told.sum()))
    risk = owners.loc[(mine["rhythm"] == "at_risk").to_numpy(), "spend_yuan_12m"].astype(float)
    values["at_risk_yuan_12m"] = _whole(risk) if owners["spend_yuan_12m"].notna().any() else None
    values["needs_told_count"] = int(told.sum())
    values["interested_count"] = int((classes["intention"] == "interested").sum())
    values["interest_months"] = params.classes.interest_months
    of_owners = edges.loc[edges["person_id"].isin(owners["person_id"])].drop(columns=["person_id", "intention"])
    values["edge_share"] = params.classes.edge_share
    values["edge_persons_count"] = int(of_owners.any(axis=1).sum())
    values["edge_persons_share"] = values["edge_persons_count"] / len(owners) if len(owners) else None
    values["rhythm_ratio"] = params.classes.rhythm_ratio
    signs = rules.needs_shown(factors, persons, params)
    values["several_needs_count"] = int((signs[["price", "quality", "service"]].sum(axis=1) > 1).sum())
    return {name: (value, len(owners), "classes") for name, value in values.items()}


def _rate(name: str, count: int, of: int) -> dict[str, float | int | None]:
    """Count, share and its interval; no share of fewer than 30 persons."""
    low, high = stats.wilson(count, of)
    known = of >= RATE_FROM
    return {
        f"{name}_count": count,
        f"{name}_share": count / of if known else None,
        f"{name}_share_low": float(low) if known else None,
        f"{name}_share_high": float(high) if known else None,
    }


# ---- segments in force --------------------------------------------------------------------------------------------


def segment_table(segments: Segments, factors: pd.DataFrame, clustered: Clustered, t) -> pd.DataFrame:
    """A row per segment in force: segment, persons, share, yuan_share, yuan_per_person, visits_per_person (24 months),
    recency_days, km_per_year (medians), jaccard and trust (clusters only), words."""
    frame = factors.set_index("person_id").reindex(segments.of.index)
    rows, total = [], frame["spend_yuan_24m"].astype(float).sum(min_count=1)
    for label in segments.labels:
        own = frame[(segments.of == label).to_numpy()]
        yuan = own["spend_yuan_24m"].astype(float).sum(min_count=1)
        rows.append(
            {
                "segment": label,
                "persons": len(own),
                "share": len(own) / len(frame),
                "yuan_share": yuan / total if total else np.nan,
                "yuan_per_person": yuan / len(own),
                "visits_per_person": own["visits_count_24m"].astype(float).mean(),
                "recency_days": _median(own["recency_days"]),
                "km_per_year": _median(own["odometer_km_per_year"]),
            }
        )
    columns = [
        "segment",
        "persons",
        "share",
        "yuan_share",
        "yuan_per_person",
        "visits_per_person",
        "recency_days",
        "km_per_year",
    ]
    table = pd.DataFrame(rows, columns=columns)
    if segments.natural:
        table["jaccard"] = clustered.profile["jaccard"].to_numpy()
    table["words"] = [_words(row, t) for row in table.to_dict("records")]
    return table


def _median(column: pd.Series) -> float:
    known = column.dropna().astype(float)
    return float(known.median()) if len(known) else np.nan


WORDS = N_(
    "{share:share} of the people bring {yuan_share:share} of the turnover: {visits_per_person:number} visits and {yuan_per_person:yuan} each in 24 months, the last visit {recency_days:days} ago, {km_per_year:km} a year."
)
WORDS_NO_YUAN = N_(
    "{share:share} of the people: {visits_per_person:number} visits each in 24 months, the last visit {recency_days:days} ago, {km_per_year:km} a year."
)
WORDS_VISITS = N_("{share:share} of the people: {visits_per_person:number} visits each in 24 months.")
WORDS_SHARE = N_("{share:share} of the people.")


def _words(row: dict, t) -> str:
    """The segment in a sentence; of fewer than 30 persons nothing is said."""
    if row["persons"] < RATE_FROM:
        return t.text(N_("too few persons to describe"))
    known = {name: value for name, value in row.items() if value == value}
    known["recency_days"] = round(known["recency_days"]) if "recency_days" in known else None
    for template in (WORDS, WORDS_NO_YUAN, WORDS_VISITS):
        names = rules.placeholders(template)
        if all(known.get(name) is not None for name in names):
            return t.say(template, **{name: known[name] for name in names})
    return rules.filled(WORDS_SHARE, known, t)


def segment_bars(segments: Segments, table: pd.DataFrame) -> pd.DataFrame:
    """The segments that a chart of shares may show: those with 30 persons or more, of known turnover."""
    shown = table[(table["persons"] >= RATE_FROM) & (table["segment"] != segments.untold)]
    return shown[shown["yuan_share"].notna()]


def profile(segments: Segments, owners: pd.DataFrame, t) -> pd.DataFrame:
    """Mean of each feature per segment in force, in standard deviations from all: index features, columns segments;
    segments of fewer than 30 persons are left out."""
    scores, _filled, _out = clusters.standardised(owners[owners["person_id"].isin(segments.of.index)])
    label = owners["person_id"].map(segments.of)[scores.index]
    sizes = label.value_counts()
    shown = [name for name in segments.labels if sizes.get(name, 0) >= RATE_FROM and name != segments.untold]
    made = scores.groupby(label).mean().reindex(shown)
    return made.rename(columns={f.name: t.text(f.label) for f in FEATURES}).T.rename_axis(None)


# ---- clusters -----------------------------------------------------------------------------------------------------


def cluster_facts(clustered: Clustered, segments: Segments, table: pd.DataFrame, params: Params) -> dict[str, tuple]:
    """Facts of the clustering and of the segments in force; the best segment brings most turnover beyond its share."""
    row = clustered.evidence[clustered.evidence["chosen"] == True] if len(clustered.evidence) else clustered.evidence  # noqa: E712
    tried = row.iloc[0] if len(row) else pd.Series(dtype=float)
    large = table[table["persons"] >= RATE_FROM]
    told = large.dropna(subset=["yuan_share"])
    lead = told["yuan_share"] - told["share"]
    best = told.loc[lead.idxmax()] if len(told) else None
    values = {
        "segments_found": len(clustered.profile) if found(clustered) else 0,
        "segments_verdict": clustered.verdict,
        "segments_verdict_text": VERDICTS[clustered.verdict],
        "segments_in_force": len(segments.labels),
        "cluster_names": {str(i): name for i, name in enumerate(segments.labels, 1)} if found(clustered) else {},
        "segments_tried": int(tried["k"]) if len(tried) else None,
        "clustered_count": int((clustered.members["cluster"] > 0).sum()),
        "clustered_share": len(clustered.members) / clustered.considered if clustered.considered else None,
        "cluster_min_visits": params.clusters.min_visits,
        "cluster_repeats": clustered.repeats,
        "cluster_repeats_most": params.clusters.repeats,
        "cluster_weakest_jaccard": tried.get("jaccard"),
        "cluster_weakest_valley_share": tried.get("valley_share"),
        "cluster_gap_share": LEAST_VALLEY,
        "cluster_silhouette": tried.get("silhouette"),
        "cluster_reference_silhouette": tried.get("reference_silhouette"),
        "cluster_ward_agreement": tried.get("ward_agreement"),
        "cluster_mixture_agreement": tried.get("mixture_agreement"),
        "cluster_filled_most_share": max(clustered.filled.values(), default=None),
        "best_segment_name": best["segment"] if best is not None else None,
        "best_segment_share": best["share"] if best is not None else None,
        "best_segment_yuan_share": best["yuan_share"] if best is not None else None,
    }
    return {name: (value, clustered.considered, "clusters") for name, value in values.items()}


HEADLINES = {
    "groups": N_(
        "Customers fall into {segments_found:count} groups; one with {best_segment_share:share} of the people brings {best_segment_yuan_share:share} of the turnover: {best_segment_name:text}"
    ),
    "pattern": N_(
        "A pattern of {segments_found:count} groups, not sharply apart; one with {best_segment_share:share} of the people brings {best_segment_yuan_share:share} of the turnover: {best_segment_name:text}"
    ),
    "none": N_(
        "No natural groups: customers differ by degrees; {best_segment_share:share} of them bring {best_segment_yuan_share:share} of the turnover"
    ),
}
PLAIN_HEADLINES = {
    "groups": N_("Customers fall into {segments_found:count} groups"),
    "pattern": N_("A pattern of {segments_found:count} groups, not sharply apart"),
    "none": N_("No natural groups: customers differ by degrees, and the rule classes sort them"),
    "too_few": N_(
        "{clustered_count:count} owners came often enough to look for groups: too few; the rule classes sort them"
    ),
    "alike": N_("Customers do not differ enough to look for groups; the rule classes sort them"),
}
LEADS = {
    "groups": N_(
        "The groups are stable and apart; {clustered_share:share} of the owners came often enough to be in one ({cluster_min_visits:count} visits). {loyal_count:persons} owners are loyal, {at_risk_count:persons} are out of their rhythm."
    ),
    "pattern": N_(
        "Use the groups to describe, not to decide about single customers. {loyal_count:persons} owners are loyal, {at_risk_count:persons} are out of their rhythm."
    ),
    "none": N_(
        "A cut into {segments_tried:count} would draw borders where customers stand close together, so the rule classes are the segments: {loyal_count:persons} owners are loyal, {wandering_count:persons} wander, {at_risk_count:persons} are out of their rhythm."
    ),
}
PLAIN_LEAD = N_(
    "{loyal_count:persons} owners are loyal, {wandering_count:persons} wander, {at_risk_count:persons} are out of their rhythm."
)

SAID = {
    "groups": N_(
        "{segments_found:count} groups: under resampling the weakest keeps {cluster_weakest_jaccard:share} of its members, and at every border stand at least {cluster_weakest_valley_share:share} fewer customers than beside it."
    ),
    "pattern": N_(
        "{segments_found:count} groups can be seen, but not all are apart: under resampling the weakest keeps {cluster_weakest_jaccard:share} of its members, and at the weakest border stand only {cluster_weakest_valley_share:share} fewer customers than beside it."
    ),
    "none": N_(
        "No natural groups. The best cut, into {segments_tried:count}, scores {cluster_silhouette:number} of 1; data of the same spread without any group score {cluster_reference_silhouette:number}. Drawn again, its weakest part keeps {cluster_weakest_jaccard:share} of its members. At its weakest border stand {cluster_weakest_valley_share:share} fewer customers than beside it; a gap would be {cluster_gap_share:share} fewer."
    ),
    "too_few": N_(
        "Only {clustered_count:count} owners came {cluster_min_visits:count} times or more: too few to look for groups."
    ),
    "alike": N_("The owners do not differ in what groups are looked for by."),
}


def headline(clustered: Clustered, table: pd.DataFrame) -> str:
    """Template of the page's finding."""
    told = (table["persons"] >= RATE_FROM) & table["yuan_share"].notna()
    rich = HEADLINES if told.any() else {}
    return rich.get(clustered.verdict, PLAIN_HEADLINES[clustered.verdict])


def lead(clustered: Clustered) -> str:
    """Template of the sentence under it."""
    return LEADS.get(clustered.verdict, PLAIN_LEAD)


def said(clustered: Clustered) -> str:
    """Template of the sentence on what the clustering found."""
    return SAID[clustered.verdict]


def evidence_bars(clustered: Clustered, t) -> pd.DataFrame:
    """Silhouette by k beside that of data without groups: cut, silhouette, reference_silhouette."""
    cut = [t.say(N_("{k:count|group|groups}"), k=k) for k in clustered.evidence["k"]]
    return clustered.evidence[["silhouette", "reference_silhouette"]].assign(cut=cut)


TRUST = (
    (STABLE[2], N_("highly stable")),
    (STABLE[1], N_("valid")),
    (STABLE[0], N_("a pattern")),
    (-1.0, N_("not to be trusted")),
)
TRUST_TONES = {"highly stable": "good", "valid": "good", "a pattern": "warn", "not to be trusted": "bad"}
APART_TONES = {"apart": "good", "partly": "warn", "no gap": "bad"}


def trust(jaccard: float) -> str:
    """What Hennig's bounds say of a cluster."""
    return next(word for bound, word in TRUST if jaccard >= bound)


def apart(valley_share: float) -> str:
    """Whether there is a gap between a cluster and its neighbours."""
    return (
        N_("apart")
        if valley_share >= LEAST_VALLEY
        else N_("partly")
        if valley_share >= LEAST_VALLEY / 2
        else N_("no gap")
    )


def stability_table(clustered: Clustered, t) -> pd.DataFrame:
    """A row per part of the best cut: part (its name), persons, share, jaccard, trust, valley_share, apart."""
    kept = clustered.profile[["persons", "share", "jaccard", "valley_share"]]
    return kept.assign(
        part=cluster_names(clustered, t),
        trust=[trust(j) for j in kept["jaccard"].astype(float)],
        apart=[apart(v) for v in kept["valley_share"].astype(float)],
    )


def stability_bounds(t) -> list[tuple[float, str]]:
    """Hennig's bounds with their words, from low to high."""
    return [(bound, t.text(word)) for bound, word in reversed(TRUST[:-1])]


def evidence_rows(clustered: Clustered) -> list[int]:
    """Places of the chosen cut in the evidence."""
    return [i for i, chosen in enumerate(clustered.evidence["chosen"]) if chosen]


def gaps(
    factors: pd.DataFrame, persons: pd.DataFrame, signs: pd.DataFrame | None, clustered: Clustered, t
) -> list[tuple[str, str, str]]:
    """What could not be told of the classes: (title, why, remedy) each, in the words of ``t``."""
    empty = {c for c in factors if not factors[c].notna().any()}
    heard = factors["complaints_count_12m"].fillna(0).any() or "survey_score_last" not in empty
    holds = {
        "value": bool({"spend_yuan_24m", "clv_yuan"} & empty),
        "price": "discount_share_24m" in empty,
        "service": not heard,
        "booked": "booked_share_24m" in empty,
        "interest": signs is None,
    }
    out = [tuple(t.text(part) for part in GAPS[key]) for key, missing in holds.items() if missing]
    if clustered.left_out and clustered.verdict != "too_few" and len(owners_of(persons, factors)):
        names = t.text(N_(", ")).join(t.text(f.label) for f in FEATURES if f.name in clustered.left_out)
        why = t.say(N_("Missing for most owners, or the same for all: {names:text}."), names=names)
        out.append((t.text(N_("Factors to look for groups by")), why, t.text(N_("Deliver what they are made of."))))
    return out


GAPS = {
    "value": (
        N_("Value and spending"),
        N_("Amounts are missing, or too few for the purchase model."),
        N_("Deliver the settled total with the visits (column total_yuan)."),
    ),
    "price": (
        N_("Sensitivity to price"),
        N_("No visit has a discount; only declined work, if delivered, can show it."),
        N_("Deliver discounts with the visits (column discount_yuan)."),
    ),
    "service": (
        N_("Sensitivity to service"),
        N_("No complaint and no survey score was delivered."),
        N_("Deliver calls, complaints and surveys (table interactions)."),
    ),
    "booked": (
        N_("Booking ahead"),
        N_("No visit says whether it was booked; behaviour goes by visits and kinds of work alone."),
        N_("Deliver the booking mark with the visits (column booked)."),
    ),
    "interest": (
        N_("Interest in a car"),
        N_("Neither leads nor showroom visits and test drives can be tied to persons."),
        N_("Deliver leads and interactions with the customer's number."),
    ),
}


def first_steps(facts: Mapping[str, Mapping]) -> list[tuple[str, str, str, dict]]:
    """What to do by the facts of this page: (request, gain, how, values) each, as messages; nobody for fewer than five."""
    known, made = {name: fact["value"] for name, fact in facts.items()}, []
    if (known.get("at_risk_count") or 0) >= 5:
        how = N_("they are away for more than {rhythm_ratio:number} of their own intervals")
        if known.get("at_risk_yuan_12m"):
            how = N_(
                "they are away for more than {rhythm_ratio:number} of their own intervals, and brought {at_risk_yuan_12m:yuan} in 12 months"
            )
        made.append((N_("Call {at_risk_count:persons|owner|owners} out of their rhythm"), "", how, {}))
    if (known.get("wandering_count") or 0) >= 5:
        made.append(
            (
                N_("Ask {wandering_count:persons|wandering owner|wandering owners} what they have done elsewhere"),
                "",
                N_(
                    "{wandering_share:share} of the owners came before and now come late or not at all; the answer says what to offer"
                ),
                {},
            )
        )
    return made
