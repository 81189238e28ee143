"""Cuts into groups: weights, shapes, what is shared between calls."""

from __future__ import annotations

import numpy as np
import pytest
from dealerkit.segments import cuts
from sklearn.metrics import adjusted_rand_score, silhouette_score


def clouds(apart: float, n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of four clouds, one of them long, and the cloud of each."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, 4, n)
    rows = rng.normal(size=(n, 3)) * np.where(of == 3, 2.0, 0.7)[:, None] ** [1, 0, 1]
    return rows + apart * np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0]])[of], of


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


def test_silhouettes_of_several_cuts_are_those_of_each():
    rows, of = clouds(1.5)
    cut = [cuts.kmeans(rows, k, np.random.default_rng(k), 2)[1] for k in (2, 3, 5)]
    theirs = [silhouette_score(rows, labels) for labels in cut]
    assert cuts.silhouettes(rows, cut) == pytest.approx(theirs, abs=1e-5)
    assert cuts.silhouettes(rows, [np.zeros(len(rows), int)]) == [0.0]
    assert cuts.agreement(of, 3 - of) == 1.0


def test_a_mixture_sees_shapes_that_k_means_does_not():
    rows, of = clouds(3.5)
    centres, labels = cuts.kmeans(rows, 4, np.random.default_rng(0), 4)
    assert cuts.agreement(cuts.mixture(rows, centres), of) > cuts.agreement(labels, of)


def test_wards_groups_of_rows_it_has_not_seen():
    rows, of = clouds(6.0)
    assert cuts.agreement(cuts.Ward(rows[::3]).labels(rows, 4), of) > 0.95
