"""Ways to cut a cloud of points into groups, and how well cuts fit and agree: k-means, Ward's hierarchy, a mixture.

Thin hands on scikit-learn and scipy: hundreds of small cuts are asked for, so what can be shared between them is made
once, and the libraries do not check again what is known to be numbers.
"""

from __future__ import annotations

import warnings

import numpy as np
import sklearn
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

_UNCHECKED = {"assume_finite": True, "skip_parameter_validation": True}


def kmeans(
    rows: np.ndarray, k: int, rng, starts: int, weights: np.ndarray | None = None, rounds: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Centres and labels of k groups with small squared distances, the best of several starts.

    Args:
        rows: points × factors.
        rng: of the starts.
        weights: of the points; 1 each if not given.
        rounds: at most.
    """
    with sklearn.config_context(**_UNCHECKED):
        seed = int(rng.integers(2**31))
        made = KMeans(k, n_init=starts, random_state=seed, max_iter=rounds).fit(rows, sample_weight=weights)
    return made.cluster_centers_, made.labels_


class Ward:
    """Ward's hierarchy of some rows; other rows go to the nearest centre of a cut."""

    def __init__(self, rows: np.ndarray):
        self.rows, self.tree = rows, linkage(rows, "ward")

    def labels(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Groups of rows when the hierarchy is cut into k."""
        own = fcluster(self.tree, k, "maxclust")
        centres = np.array([self.rows[own == c].mean(axis=0) for c in np.unique(own)])
        return cdist(rows, centres, "sqeuclidean").argmin(axis=1)


def mixture(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Labels of a Gaussian mixture with full covariances that starts from the centres of a cut."""
    start = {"means_init": centres, "init_params": "random_from_data", "random_state": 0}
    model = GaussianMixture(len(centres), reg_covar=1e-2, max_iter=60, tol=1e-3, **start)
    with warnings.catch_warnings(), sklearn.config_context(**_UNCHECKED):
        warnings.simplefilter("ignore")  # not converged in 60 steps: the labels are compared all the same
        return model.fit_predict(rows)


def silhouettes(rows: np.ndarray, cuts: list[np.ndarray]) -> list[float]:
    """Mean silhouette of several cuts of the same rows (Rousseeuw 1987): how much nearer the own group is than the next
    one, −1 to 1; 0 for a cut that leaves one group."""
    far = squareform(pdist(rows))
    return [_silhouette(far, labels) for labels in cuts]


def _silhouette(far: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette by the distances of all rows; not by scikit-learn, which adds them up row by row in Python."""
    groups, own, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(groups) < 2:
        return 0.0
    rows, others = np.arange(len(own)), sizes[own] - 1
    sums = far @ (own[:, None] == np.arange(len(groups))).astype(float)
    inside = sums[rows, own] / np.maximum(others, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    outside = means.min(axis=1)
    larger = np.maximum(inside, outside)
    counts = (others > 0) & (larger > 0)  # a row alone in its group has none
    return float(np.divide(outside - inside, larger, out=np.zeros(len(own)), where=counts).mean())


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two cuts (Hubert, Arabie 1985, "Comparing partitions"): 1 the same, 0 as by chance."""
    return float(adjusted_rand_score(one, other))
