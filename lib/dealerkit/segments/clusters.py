"""Natural groups of owners, if there are any.

K-means, Ward's hierarchy and a Gaussian mixture look at the same standardised factors. Two questions are kept apart:
whether a cut is stable (Hennig 2007: Jaccard similarity under the bootstrap) and whether there is anything to cut.
The second needs a check of its own, since k-means cuts one long cloud stably too: the silhouette must beat that of
reference data without groups (same values of each factor, same rank correlations, one cloud: the idea of Tibshirani,
Walther, Hastie 2001 and of SigClust, with a Gaussian copula for the reference), and between a cluster and each of its
neighbours there must be a valley (along their discriminant, as in Hennig 2010, "Methods for merging Gaussian mixture
components").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import ndtri

from dealerkit import stats
from dealerkit.messages import N_
from dealerkit.params import ClusterParams
from dealerkit.segments import cuts

#: Bounds of Hennig (2007): below the first not to be trusted, from the second valid, from the third highly stable.
STABLE = (0.6, 0.75, 0.85)
#: The silhouette must lie so far above that of data without groups.
LEAST_GAIN = 0.05
#: Customers must thin out by this share between two groups; in a pattern, half of the customers must be in such groups.
LEAST_VALLEY = 0.5
#: Two methods that agree less (adjusted Rand index) do not see the same groups.
LEAST_AGREEMENT = 0.6
#: Customers a cluster needs on average; fewer are not cut.
PER_CLUSTER = 20
#: Rows on which methods are compared, and of the hierarchy.
EVIDENCE_ROWS, WARD_ROWS, SILHOUETTE_ROWS = 4000, 2000, 2000
FIRST_REPEATS, REFERENCES = 12, 3
#: Rounds of k-means after which a bootstrap sample chooses between its starts.
SHORT = 6

VERDICTS = {
    "groups": N_("groups"),
    "pattern": N_("a pattern, no clear groups"),
    "none": N_("no natural groups"),
    "too_few": N_("too few customers"),
    "alike": N_("no differences to cluster by"),
}


@dataclass(frozen=True)
class Feature:
    """What customers are clustered by: how it is made, and the words for much and little of it."""

    name: str
    label: str
    make: Callable[[pd.DataFrame], pd.Series]
    much: str
    little: str


def _number(frame: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(frame[column], errors="coerce").astype(float)


def _visits_per_year(f: pd.DataFrame) -> pd.Series:
    """While the customer came: gaps between visits ÷ time from the first to the last one (half a year at least)."""
    span = (_number(f, "first_visit_days_ago") - _number(f, "recency_days")).clip(lower=182)
    return np.log((_number(f, "visits_count_all") - 1).clip(lower=0.5) / span * 365.25)


def _yuan_per_visit(f: pd.DataFrame) -> pd.Series:
    return np.log((_number(f, "spend_yuan_all") / _number(f, "visits_count_all")).clip(lower=20))


def _maintenance(f: pd.DataFrame) -> pd.Series:
    """Share of maintenance, drawn to that of all by two visits' worth, so that few visits do not make extremes."""
    visits, share = _number(f, "visits_count_24m"), _number(f, "maintenance_share_24m")
    known = share.notna() & (visits > 0)
    if not known.any():
        return share
    mean = float((share * visits)[known].sum() / visits[known].sum())
    return ((share * visits).where(known, 0) + 2 * mean) / (visits.where(known, 0) + 2)


FEATURES: tuple[Feature, ...] = (
    Feature(
        "visits_per_year",
        N_("Visits a year"),
        _visits_per_year,
        N_("come often"),
        N_("come seldom"),
    ),
    Feature(
        "yuan_per_visit",
        N_("Yuan per visit"),
        _yuan_per_visit,
        N_("spend much per visit"),
        N_("spend little per visit"),
    ),
    Feature(
        "recency",
        N_("Time since the last visit"),
        lambda f: np.log(_number(f, "recency_days") + 30),
        N_("long away"),
        N_("seen lately"),
    ),
    Feature(
        "tenure",
        N_("Time known"),
        lambda f: np.sqrt(_number(f, "tenure_days").clip(lower=0)),
        N_("long known"),
        N_("known for a short time"),
    ),
    Feature(
        "km_per_year",
        N_("Kilometres a year"),
        lambda f: np.log(_number(f, "odometer_km_per_year").clip(lower=500)),
        N_("high mileage"),
        N_("low mileage"),
    ),
    Feature(
        "maintenance",
        N_("Share of maintenance"),
        _maintenance,
        N_("mostly maintenance"),
        N_("much work beyond maintenance"),
    ),
)


@dataclass(frozen=True)
class Clustered:
    """What a clustering found.

    Attributes:
        verdict: a key of `VERDICTS`.
        members: person_id, cluster (1 … k), distance (standard deviations to its centre), margin (0 on the border to
            the next cluster, 1 at the centre); every owner with enough visits.
        profile: a row per cluster: cluster, persons, share, jaccard, valley_share, name_parts (keys ``feature+`` or
            ``feature-``), and a column per feature: mean in standard deviations from all.
        evidence: a row per k: k, smallest_share, silhouette, reference_silhouette, jaccard (weakest cluster),
            valley_share (weakest), ward_agreement, mixture_agreement, chosen.
        used: features that count; left_out: those that are missing or constant; filled: share of missing values put
            at the median, by feature.
        repeats: bootstrap samples drawn for the chosen k.
        considered: owners, those with enough visits among them are the members.
    """

    verdict: str
    members: pd.DataFrame
    profile: pd.DataFrame
    evidence: pd.DataFrame
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    filled: dict[str, float]
    repeats: int
    considered: int


MEMBER_COLUMNS = ["person_id", "cluster", "distance", "margin"]
EVIDENCE_COLUMNS = [
    "k",
    "smallest_share",
    "silhouette",
    "reference_silhouette",
    "jaccard",
    "valley_share",
    "ward_agreement",
    "mixture_agreement",
    "chosen",
]


def cluster(owners: pd.DataFrame, params: ClusterParams, seed: int = 0) -> Clustered:
    """Natural groups among the owners who came often enough.

    Args:
        owners: person factors of persons with a car in hand; the order of the rows does not matter.
        params: range of k, smallest cluster, bootstrap samples, visits asked for.
        seed: of all draws.
    """
    enough = owners[_number(owners, "visits_count_all") >= params.min_visits]
    enough = enough.sort_values("person_id", ignore_index=True)
    scores, filled, left_out = standardised(enough)
    most = min(params.k_max, len(enough) // PER_CLUSTER)
    if most < params.k_min:
        return _nothing("too_few", scores, filled, left_out, len(owners))
    if len(scores.columns) < 2 or len(scores.drop_duplicates()) <= most:
        return _nothing("alike", scores, filled, left_out, len(owners))
    with stats.one_thread():
        return _clustered(enough, scores, filled, left_out, range(params.k_min, most + 1), params, len(owners), seed)


def standardised(owners: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float], tuple[str, ...]]:
    """The features in standard deviations, ends cut at 1 and 99 %, missing at the median; the share that was missing
    by feature; features left out because more than half is missing or nothing differs."""
    made, filled, left_out = {}, {}, []
    for feature in FEATURES:
        raw = feature.make(owners).replace([np.inf, -np.inf], np.nan)
        if len(raw) == 0 or raw.notna().mean() < 0.5:
            left_out.append(feature.name)
            continue
        cut = raw.clip(raw.quantile(0.01), raw.quantile(0.99))
        cut = cut.fillna(cut.median())
        spread = float(cut.std(ddof=0))
        if not spread > 1e-9:
            left_out.append(feature.name)
            continue
        # Rounded so that the last bits, which depend on the order of an addition, decide no tie.
        made[feature.name] = ((cut - cut.mean()) / spread).round(9)
        filled[feature.name] = float(raw.isna().mean())
    return pd.DataFrame(made, index=owners.index), filled, tuple(left_out)


def _nothing(verdict: str, scores: pd.DataFrame, filled: dict, left_out: tuple, considered: int) -> Clustered:
    profile = pd.DataFrame(columns=["cluster", "persons", "share", "jaccard", "valley_share", "name_parts", *scores])
    members, evidence = pd.DataFrame(columns=MEMBER_COLUMNS), pd.DataFrame(columns=EVIDENCE_COLUMNS)
    return Clustered(verdict, members, profile, evidence, tuple(scores), left_out, filled, 0, considered)


def _clustered(enough, scores, filled, left_out, ks, params: ClusterParams, considered: int, seed: int) -> Clustered:
    whole = scores.to_numpy()
    rng = np.random.default_rng(seed)
    learned = _drawn(whole, params.largest_sample, rng)
    sample = _drawn(whole, EVIDENCE_ROWS, rng)
    references = [reference(sample, rng) for _ in range(REFERENCES)]
    rows = _evidence(sample, references, ks, rng, params)
    k = _best_k(rows, params.min_share)
    centres, learned_labels = cuts.kmeans(learned, k, rng, starts=10)
    far = cdist(whole, centres)
    labels = far.argmin(axis=1)
    jaccard, repeats = stability(learned, learned_labels, rng, params.repeats)
    valley = valleys(whole, labels)
    rows["chosen"] = rows["k"] == k
    rows.loc[rows["chosen"], ["jaccard", "valley_share"]] = [jaccard.min(), valley.min()]
    order = _order(enough, labels, k)
    place = np.argsort(order)
    near = np.sort(far, axis=1)
    members = pd.DataFrame(
        {
            "person_id": enough["person_id"],
            "cluster": place[labels] + 1,
            "distance": near[:, 0].round(4),
            "margin": (1 - near[:, 0] / np.maximum(near[:, 1], 1e-12)).round(4),
        }
    )
    profile = scores.groupby(members["cluster"].to_numpy()).mean().round(4)
    counts = members["cluster"].value_counts().sort_index().to_numpy()
    names = name_parts(profile)
    head = {
        "cluster": profile.index.to_numpy(),
        "persons": counts,
        "share": counts / len(members),
        "jaccard": jaccard[order].round(4),
        "valley_share": valley[order].round(4),
        "name_parts": [" ".join(parts) for parts in names],
    }
    profile = pd.concat([pd.DataFrame(head), profile.reset_index(drop=True)], axis=1)
    rows = rows[EVIDENCE_COLUMNS].round(4)
    verdict = _verdict(rows[rows["chosen"]].iloc[0], profile, params)
    return Clustered(verdict, members, profile, rows, tuple(scores), left_out, filled, repeats, considered)


def _drawn(rows: np.ndarray, most: int, rng) -> np.ndarray:
    """The rows, or so many of them drawn by lot, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(rng.choice(len(rows), most, replace=False))]


def reference(rows: np.ndarray, rng) -> np.ndarray:
    """Rows without groups that resemble the given ones: the same values of each factor, joined by a Gaussian copula
    with the same rank correlations."""
    n = len(rows)
    normal = ndtri((pd.DataFrame(rows).rank().to_numpy() - 0.5) / n)
    together = np.corrcoef(normal.T) + 1e-9 * np.eye(rows.shape[1])
    drawn = rng.standard_normal(rows.shape) @ np.linalg.cholesky(together).T
    places = drawn.argsort(axis=0).argsort(axis=0)
    return np.take_along_axis(np.sort(rows, axis=0), places, axis=0)


def _evidence(rows: np.ndarray, references: list, ks: range, rng, params: ClusterParams) -> pd.DataFrame:
    """A row per number of groups: what `Clustered.evidence` holds, but for the cut that is chosen."""
    made = [cuts.kmeans(rows, k, rng, starts=4) for k in ks]
    found = [labels for _centres, labels in made]
    ward = cuts.Ward(_drawn(rows, WARD_ROWS, rng))
    none = [_silhouettes(r, [cuts.kmeans(r, k, rng, starts=2)[1] for k in ks]) for r in references]
    repeats = min(FIRST_REPEATS, params.repeats)
    columns = {
        "k": list(ks),
        "smallest_share": [np.bincount(labels, minlength=k).min() / len(rows) for k, labels in zip(ks, found)],
        "silhouette": _silhouettes(rows, found),
        "reference_silhouette": np.mean(none, axis=0),
        "jaccard": [stability(rows, labels, rng, repeats)[0].min() for labels in found],
        "valley_share": [valleys(rows, labels).min() for labels in found],
        "ward_agreement": [cuts.agreement(labels, ward.labels(rows, k)) for k, labels in zip(ks, found)],
        "mixture_agreement": [cuts.agreement(labels, cuts.mixture(rows, centres)) for centres, labels in made],
    }
    return pd.DataFrame(columns)


def _silhouettes(rows: np.ndarray, found: list[np.ndarray]) -> list[float]:
    """Mean silhouettes of cuts, of every n-th row of many."""
    some = slice(None, None, -(-len(rows) // SILHOUETTE_ROWS))
    return cuts.silhouettes(rows[some], [labels[some] for labels in found])


def stability(rows: np.ndarray, labels: np.ndarray, rng, repeats: int) -> tuple[np.ndarray, int]:
    """Mean Jaccard similarity of each cluster to the most similar one of bootstrap samples (Hennig 2007), and how many
    samples were drawn: it stops early when no cluster's interval holds one of the bounds `STABLE`."""
    k, n = int(labels.max()) + 1, len(rows)
    seen = []
    for _repeat in range(repeats):
        count = np.bincount(rng.integers(0, n, n), minlength=n)
        drawn = np.flatnonzero(count)
        found = cuts.kmeans(rows[drawn], k, rng, 2, count[drawn], SHORT)[1]
        both = np.bincount(labels[drawn] * k + found, minlength=k * k).reshape(k, k)
        either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
        seen.append((both / np.maximum(either, 1)).max(axis=1))
        if len(seen) >= 10 and _clear(np.array(seen)):
            break
    return np.mean(seen, axis=0), len(seen)


def _clear(seen: np.ndarray) -> bool:
    mean, half = seen.mean(axis=0), 2.5 * seen.std(axis=0, ddof=1) / np.sqrt(len(seen)) + 0.005
    return bool(all((np.abs(mean - bound) > half).all() for bound in STABLE))


def valleys(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far customers thin out between each cluster and its nearest neighbours, as a share of the lower of the two
    peaks: 0 where there is no valley to one of them, 1 where the space between is empty.

    Each pair is looked at along its linear discriminant with a kernel density.
    """
    k = int(labels.max()) + 1
    depth = np.ones(k)
    groups = [rows[labels == c] for c in range(k)]
    for a in range(k):
        for b in range(a + 1, k):
            found = _valley(groups[a], groups[b])
            depth[[a, b]] = np.minimum(depth[[a, b]], found)
    return depth


def _valley(a: np.ndarray, b: np.ndarray) -> float:
    if min(len(a), len(b)) < 3:
        return 0.0
    within = (np.cov(a.T) * len(a) + np.cov(b.T) * len(b)) / (len(a) + len(b)) + 1e-6 * np.eye(a.shape[1])
    axis = np.linalg.solve(within, b.mean(axis=0) - a.mean(axis=0))
    left, right = a @ axis, b @ axis
    if not left.mean() < right.mean():
        return 0.0
    together = np.concatenate([left, right])
    spread = np.sqrt((left.var() * len(left) + right.var() * len(right)) / len(together))
    width = 1.06 * spread * min(len(left), len(right)) ** -0.2
    low, high = together.min() - 3 * width, together.max() + 3 * width
    counts, edges = np.histogram(together, bins=400, range=(low, high))
    middle = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * ((middle - middle[200]) / max(width, (high - low) / 400)) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), "same")
    start, end = np.searchsorted(middle, [np.median(left), np.median(right)])
    if end <= start:
        return 0.0
    cut = start + int(density[start : end + 1].argmin())
    peak = min(density[: cut + 1].max(), density[cut:].max())
    return float(np.clip(1 - density[cut] / peak, 0, 1)) if peak > 0 else 0.0


def _best_k(rows: pd.DataFrame, min_share: float) -> int:
    """The k whose silhouette is highest, among those without a cluster too small and, if there are any, whose weakest
    cluster is stable; the smaller of two that are equal to the second digit."""
    fits = rows[rows["smallest_share"] >= min_share]
    fits = rows if fits.empty else fits
    stable = fits[fits["jaccard"] >= STABLE[0]]
    fits = fits if stable.empty else stable
    best = fits["silhouette"].max()
    return int(fits.loc[fits["silhouette"] >= best - 0.01, "k"].min())


def _verdict(row: pd.Series, profile: pd.DataFrame, params: ClusterParams) -> str:
    """groups, pattern or none, by stability, structure, agreement and size of the chosen cut."""
    weakest = profile["jaccard"].min()
    gain = row["silhouette"] - row["reference_silhouette"]
    agree = min(row["ward_agreement"], row["mixture_agreement"])
    if weakest < STABLE[0] or gain < LEAST_GAIN or profile["share"].min() < params.min_share:
        return "none"
    if weakest >= STABLE[1] and profile["valley_share"].min() >= LEAST_VALLEY and agree >= LEAST_AGREEMENT:
        return "groups"
    apart = profile.loc[profile["valley_share"] >= LEAST_VALLEY, "share"].sum()
    return "pattern" if apart >= 0.5 else "none"


def _order(enough: pd.DataFrame, labels: np.ndarray, k: int) -> np.ndarray:
    """Old labels in the new order: by mean spending of 24 months, or without amounts by visits; the highest first."""
    yuan = _number(enough, "spend_yuan_24m")
    by = yuan if yuan.notna().any() else _number(enough, "visits_count_24m")
    mean = by.fillna(0).groupby(labels).mean().reindex(range(k)).to_numpy()
    return np.lexsort([np.arange(k), -np.bincount(labels, minlength=k), -mean.round(6)])


def name_parts(profile: pd.DataFrame) -> list[list[str]]:
    """For each row of a profile in standard deviations its strongest deviations, ``feature+`` or ``feature-``: two or
    three of half a standard deviation or more, and further ones until no two rows have the same."""
    ranked = []
    for _cluster, row in profile.iterrows():
        by_size = sorted(row.items(), key=lambda item: (-round(abs(item[1]), 4), item[0]))
        ranked.append([(f"{name}{'+' if z >= 0 else '-'}", abs(z)) for name, z in by_size])
    sizes = [min(3, max(1, sum(z >= 0.5 for _part, z in parts))) for parts in ranked]
    for _round in range(len(profile.columns)):
        names = [frozenset(p for p, _z in parts[:size]) for parts, size in zip(ranked, sizes, strict=True)]
        double = [names.count(name) > 1 for name in names]
        if not any(double):
            break
        sizes = [min(size + twice, len(parts)) for size, twice, parts in zip(sizes, double, ranked, strict=True)]
    return [[part for part, _z in parts[:size]] for parts, size in zip(ranked, sizes, strict=True)]
