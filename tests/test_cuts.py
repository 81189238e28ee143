"""Our k-means, mixture, silhouette and Rand index against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from dealerkit.segments import cuts
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture


def clouds(apart: float, n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of four clouds, one of them long, and the cloud of each."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, 4, n)
    rows = rng.normal(size=(n, 3)) * np.where(of == 3, 2.0, 0.7)[:, None] ** [1, 0, 1]
    return rows + apart * np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0]])[of], of


def off(rows: np.ndarray, centres: np.ndarray) -> float:
    return float(((rows - centres[cuts.nearest(rows, centres)]) ** 2).sum())


@pytest.mark.parametrize("k", [2, 4, 7])
def test_k_means_is_as_good_as_theirs(k):
    rows, _of = clouds(1.5)
    ours = np.mean([off(rows, cuts.kmeans(rows, k, np.random.default_rng(s), 4)[0]) for s in range(5)])
    short = np.mean([off(rows, cuts.kmeans(rows, k, np.random.default_rng(s), 4, rounds=4)[0]) for s in range(5)])
    theirs = np.mean([KMeans(k, n_init=4, random_state=s).fit(rows).inertia_ for s in range(5)])
    assert ours < 1.005 * theirs
    assert short < 1.02 * theirs


def test_a_weight_counts_as_so_many_points():
    rows, of = clouds(6.0, 300)
    weights = np.random.default_rng(1).integers(1, 4, len(rows))
    centres, labels = cuts.kmeans(rows, 4, np.random.default_rng(0), 4, weights)
    repeated = cuts.kmeans(np.repeat(rows, weights, axis=0), 4, np.random.default_rng(0), 4)[0]
    assert adjusted_rand_score(of, labels) > 0.95
    assert centres[np.lexsort(centres.T)] == pytest.approx(repeated[np.lexsort(repeated.T)], abs=0.02)


def test_more_groups_than_different_points_leave_some_empty():
    rows = np.repeat(np.eye(3), 10, axis=0)
    centres, labels = cuts.kmeans(rows, 5, np.random.default_rng(0), 2)
    assert np.isfinite(centres).all() and len(np.unique(labels)) == 3


def test_silhouettes_and_agreement_are_theirs():
    rows, of = clouds(1.5)
    cut = [cuts.kmeans(rows, k, np.random.default_rng(k), 2)[1] for k in (2, 3, 5)]
    theirs = [silhouette_score(rows, labels) for labels in cut]
    assert cuts.silhouettes(rows, cut) == pytest.approx(theirs, abs=1e-5)
    assert cuts.silhouettes(rows, [np.zeros(len(rows), int)]) == [0.0]
    for labels in cut:
        assert cuts.agreement(of, labels) == pytest.approx(adjusted_rand_score(of, labels))
    assert cuts.agreement(of, 3 - of) == 1.0


def test_the_mixture_sees_the_shapes_that_theirs_sees():
    rows, of = clouds(3.5)
    start = cuts.kmeans(rows, 4, np.random.default_rng(0), 4)[1]
    theirs = GaussianMixture(4, reg_covar=1e-2, random_state=0).fit_predict(rows)
    ours = cuts.mixture(rows, start)
    assert cuts.agreement(ours, theirs) > 0.9
    assert cuts.agreement(ours, of) > cuts.agreement(start, of)


def test_a_mixture_survives_equal_points_and_empty_groups():
    rows = np.repeat(np.eye(3), 10, axis=0)
    assert len(cuts.mixture(rows, np.repeat([0, 1, 3], 10))) == 30
