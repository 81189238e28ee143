"""Natural groups: found when they are there, denied when they are not, the same for rows in any order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dealerkit.params import ClusterParams
from dealerkit.segments import clusters, cuts
from sklearn.metrics import adjusted_rand_score

PARAMS = ClusterParams()


def owners(kind: str, n: int = 900, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Factors of invented owners, and the type each was drawn from."""
    rng = np.random.default_rng(seed)
    types = {
        "apart": [(1, 400, 6_000, 0.9), (4, 600, 30_000, 0.9), (5, 900, 12_000, 0.2), (1, 4000, 15_000, 0.8)],
        "none": [(2, 700, 13_000, 0.6)],
    }[kind]
    of = rng.integers(0, len(types), n)
    rate, yuan, km, maintenance = (np.array(column)[of] for column in zip(*types, strict=True))
    spread = 0.12 if kind == "apart" else 0.4
    first = rng.uniform(900, 2000, n).round()
    recency = rng.uniform(10, 200, n).round()
    visits = np.maximum(4, (rate * np.exp(rng.normal(0, spread, n)) * (first - recency) / 365).round() + 1)
    frame = pd.DataFrame(
        {
            "person_id": [f"P{i:05d}" for i in rng.permutation(n)],
            "visits_count_all": visits,
            "visits_count_24m": (rate * 2).round() + 1,
            "first_visit_days_ago": first,
            "recency_days": recency,
            "tenure_days": first + rng.uniform(0, 900, n).round(),
            "spend_yuan_all": (visits * yuan * np.exp(rng.normal(0, spread, n))).round(),
            "spend_yuan_24m": (2 * rate * yuan).round(),
            "odometer_km_per_year": (km * np.exp(rng.normal(0, spread, n))).round(),
            "maintenance_share_24m": np.clip(maintenance + rng.normal(0, 0.06 if kind == "apart" else 0.2, n), 0, 1),
        }
    )
    return frame, of


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_groups_are_found(seed):
    frame, of = owners("apart", seed=seed)
    found = clusters.cluster(frame, PARAMS)
    assert found.verdict == "groups"
    assert len(found.profile) == 4
    true = pd.Series(of, frame["person_id"]).loc[found.members["person_id"]]
    assert adjusted_rand_score(true, found.members["cluster"]) > 0.9
    assert found.profile["jaccard"].min() >= 0.75
    assert found.profile["valley_share"].min() >= clusters.LEAST_VALLEY


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_cloud_has_no_groups(seed):
    assert clusters.cluster(owners("none", seed=seed)[0], PARAMS).verdict == "none"


def test_one_long_cloud_is_cut_stably_and_still_has_no_groups():
    """K-means cuts it at the same places under every resampling; only the gap tells that nothing is there."""
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.normal(0, 6, 3000), rng.normal(0, 1, 3000)])
    labels = cuts.kmeans(rows, 3, np.random.default_rng(0), starts=4)[1]
    jaccard, _drawn = clusters.stability(rows, labels, np.random.default_rng(0), 20)
    assert jaccard.min() > 0.75
    assert clusters.valleys(rows, labels).max() < 0.25


def test_the_valley_between_two_clouds_is_as_deep_as_their_distance_makes_it():
    """Two equal normal clouds d apart: the density halfway is 2·exp(−d²/8) of the peaks."""
    rng = np.random.default_rng(5)
    rows = np.concatenate([rng.normal(0, 1, (20_000, 2)), rng.normal(0, 1, (20_000, 2)) + [4.0, 0]])
    depth = clusters.valleys(rows, np.repeat([0, 1], 20_000))
    assert depth == pytest.approx([1 - 2 * np.exp(-2)] * 2, abs=0.05)


def test_the_reference_keeps_every_factor_and_the_correlations():
    frame = clusters.standardised(owners("none", 4000)[0])[0]
    drawn = clusters.reference(frame.to_numpy(), np.random.default_rng(0))
    assert np.array_equal(np.sort(drawn, axis=0), np.sort(frame.to_numpy(), axis=0))
    kept = pd.DataFrame(drawn).corr("spearman").to_numpy() - frame.corr("spearman").to_numpy()
    assert np.abs(kept).max() < 0.06


def test_rows_in_any_order_give_the_same():
    frame, _of = owners("apart", 400)
    first = clusters.cluster(frame, PARAMS)
    again = clusters.cluster(frame.sample(frac=1, random_state=4), PARAMS)
    pd.testing.assert_frame_equal(first.members, again.members)
    pd.testing.assert_frame_equal(first.profile, again.profile)
    pd.testing.assert_frame_equal(first.evidence, again.evidence)


def test_clusters_part_the_owners_with_enough_visits_and_the_first_brings_most():
    frame, _of = owners("apart")
    frame.loc[:99, "visits_count_all"] = 3
    found = clusters.cluster(frame, PARAMS)
    assert sorted(found.members["person_id"]) == sorted(frame["person_id"][100:])
    assert found.profile["persons"].sum() == len(found.members) == 800
    assert found.profile["share"].sum() == pytest.approx(1)
    assert found.members["margin"].between(0, 1).all()
    yuan = found.members.merge(frame, on="person_id").groupby("cluster")["spend_yuan_24m"].mean()
    assert yuan.is_monotonic_decreasing


def test_above_the_largest_sample_everybody_is_put_into_a_cluster():
    frame, of = owners("apart", 1200)
    found = clusters.cluster(frame, ClusterParams(largest_sample=300))
    true = pd.Series(of, frame["person_id"]).loc[found.members["person_id"]]
    assert len(found.members) == 1200
    assert adjusted_rand_score(true, found.members["cluster"]) > 0.9


# ---- names --------------------------------------------------------------------------------------------------------


def test_names_come_of_the_strongest_deviations():
    profile = pd.DataFrame({"a": [1.2, -0.7, 0.1], "b": [0.6, 0.1, -0.2], "c": [-0.1, 0.2, 0.0]})
    assert clusters.name_parts(profile) == [["a+", "b+"], ["a-"], ["b-"]]


def test_no_two_clusters_have_the_same_name():
    profile = pd.DataFrame({"a": [1.2, 1.1, 1.0], "b": [0.1, -0.2, -0.2], "c": [0.0, 0.1, -0.1]})
    names = [" ".join(parts) for parts in clusters.name_parts(profile)]
    assert names == ["a+ b+", "a+ b- c+", "a+ b- c-"]


# ---- corners ------------------------------------------------------------------------------------------------------


def test_fewer_owners_than_clusters_need_are_not_cut():
    found = clusters.cluster(owners("apart", 59)[0], PARAMS)
    assert found.verdict == "too_few"
    assert found.members.empty and found.profile.empty and found.evidence.empty


def test_owners_who_are_all_alike_are_not_cut():
    frame = owners("apart", 200)[0]
    frame[frame.columns.drop("person_id")] = frame[frame.columns.drop("person_id")].iloc[0].to_numpy()
    found = clusters.cluster(frame, PARAMS)
    assert found.verdict == "alike"
    assert set(found.left_out) == {f.name for f in clusters.FEATURES}


def test_everyone_with_one_visit_is_too_little_known():
    frame = owners("apart", 200)[0].assign(visits_count_all=1)
    assert clusters.cluster(frame, PARAMS).verdict == "too_few"


def test_without_amounts_and_odometer_the_other_factors_are_used():
    gone = ["spend_yuan_all", "spend_yuan_24m", "odometer_km_per_year"]
    found = clusters.cluster(owners("apart", 400)[0].assign(**dict.fromkeys(gone)), PARAMS)
    assert set(found.left_out) == {"yuan_per_visit", "km_per_year"}
    assert len(found.members) == 400


def test_a_missing_value_goes_to_the_median_and_is_counted():
    frame = owners("apart", 400)[0]
    frame.loc[frame.index[:40], "odometer_km_per_year"] = np.nan
    scores, filled, _out = clusters.standardised(frame)
    assert filled["km_per_year"] == pytest.approx(0.1)
    assert scores.notna().all().all()
    assert scores.loc[frame.index[:40], "km_per_year"].nunique() == 1


def test_a_few_distinct_rows_end_in_a_verdict():
    frame = pd.concat([owners("apart", 12)[0]] * 20, ignore_index=True)
    frame["person_id"] = [f"P{i}" for i in range(len(frame))]
    assert clusters.cluster(frame, PARAMS).verdict in clusters.VERDICTS
