"""Ways to cut a cloud of points into groups, and how well cuts fit and agree: k-means, Ward's hierarchy, a Gaussian mixture.

Written with numpy, since hundreds of small k-means are asked for here, and a library's checks of each call take longer
than the arithmetic.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

#: Rounds of k-means at most; it ends when the centres move by less than this (of the variance).
ROUNDS, _STILL = 100, 1e-4
#: A mixture's variances are kept from falling to nothing by so much; rounds of fitting, and the gain that ends it.
_LEAST_VARIANCE, _MIXTURE_ROUNDS, _LEAST_GAIN = 1e-2, 60, 1e-3
_BLOCK = 4_000_000  # distances held in memory at once


def kmeans(
    rows: np.ndarray, k: int, rng, starts: int, weights: np.ndarray | None = None, rounds: int = ROUNDS
) -> tuple[np.ndarray, np.ndarray]:
    """Centres and labels of k groups with small squared distances, the best of several starts.

    Lloyd 1982, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2).

    Args:
        rows: points × factors.
        rng: of the starts.
        weights: of the points; 1 each if not given.
        rounds: after which the best start is chosen; it alone goes on (short runs: Biernacki, Celeux, Govaert 2003,
            Computational Statistics & Data Analysis 41).
    """
    weights = np.ones(len(rows)) if weights is None else weights.astype(float)
    cloud = _Cloud(np.column_stack([rows, np.ones(len(rows))]), weights)
    short = [cloud.settled(_spread(rows, k, rng, weights), rounds) for _start in range(starts)]
    centres = cloud.settled(min(short, key=cloud.off), ROUNDS)
    return centres, cloud.far(centres).argmin(axis=1)


class _Cloud:
    """Points with a column of ones, and their weights."""

    def __init__(self, points: np.ndarray, weights: np.ndarray):
        self.points, self.weights, self.weighed = points, weights, np.ascontiguousarray((points * weights[:, None]).T)
        self.still = _STILL * points.var(axis=0)[:-1].mean()

    def far(self, centres: np.ndarray) -> np.ndarray:
        """Squared distances from the centres, less what is the same for all of them."""
        sides = np.empty((len(self.weighed), len(centres)))
        sides[:-1] = -2 * centres.T
        sides[-1] = np.einsum("ij,ij->i", centres, centres)
        return self.points @ sides

    def off(self, centres: np.ndarray) -> float:
        """Squared distances from the nearest centre, less what does not depend on the centres."""
        return float(self.far(centres).min(axis=1) @ self.weights)

    def settled(self, centres: np.ndarray, rounds: int) -> np.ndarray:
        """Centres after so many rounds, or when they move no more."""
        marks = np.eye(len(centres))
        for _round in range(rounds):
            sums = (self.weighed @ marks[self.far(centres).argmin(axis=1)]).T
            # a group that nobody is in stays where it is
            after = np.divide(sums[:, :-1], sums[:, -1:], out=centres.copy(), where=sums[:, -1:] > 0)
            moved = after - centres
            centres = after
            if np.vdot(moved, moved) <= self.still:
                break
        return centres


def _spread(rows: np.ndarray, k: int, rng, weights: np.ndarray) -> np.ndarray:
    """Centres to start from, far from each other: greedy k-means++ (Arthur, Vassilvitskii 2007, SODA, section 5)."""
    sizes, tried = (rows**2).sum(axis=1), 2 + int(np.log(k))
    places = _by_lot(weights, 1, rng)
    near = _squared(rows, sizes, places)[0]
    for _centre in range(1, k):
        some = _by_lot(near * weights, tried, rng)
        after = np.minimum(near, _squared(rows, sizes, some))
        best = int((after @ weights).argmin())
        near, places = after[best], np.append(places, some[best])
    return rows[places]


def _by_lot(shares: np.ndarray, count: int, rng) -> np.ndarray:
    """Places drawn with chances in proportion to the shares."""
    heap = shares.cumsum()
    return np.searchsorted(heap, rng.random(count) * heap[-1], side="right").clip(0, len(shares) - 1)


def _squared(rows: np.ndarray, sizes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Squared distances of all rows from those at the places."""
    return np.maximum(sizes[places][:, None] + sizes - 2 * rows[places] @ rows.T, 0)


def nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each row."""
    return ((centres**2).sum(axis=1) - 2 * rows @ centres.T).argmin(axis=1)


class Ward:
    """Ward's hierarchy of some rows; other rows go to the nearest centre of a cut."""

    def __init__(self, rows: np.ndarray):
        self.rows, self.tree = rows, linkage(rows, "ward")

    def labels(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Groups of rows when the hierarchy is cut into k."""
        own = fcluster(self.tree, k, "maxclust")
        return nearest(rows, np.array([self.rows[own == c].mean(axis=0) for c in np.unique(own)]))


def mixture(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels of a Gaussian mixture with full covariances that starts from a cut (expectation–maximisation)."""
    n, width = rows.shape
    products = (rows[:, :, None] * rows[:, None, :]).reshape(n, -1)
    belongs, before = np.eye(int(labels.max()) + 1)[labels], -np.inf
    for _round in range(_MIXTURE_ROUNDS):
        sizes = belongs.sum(axis=0) + 1e-9
        means = belongs.T @ rows / sizes[:, None]
        spread = (belongs.T @ products / sizes[:, None]).reshape(-1, width, width)
        spread += _LEAST_VARIANCE * np.eye(width) - means[:, :, None] * means[:, None, :]
        turn = np.linalg.inv(np.linalg.cholesky(spread))  # groups × factors × factors
        apart = rows @ turn.reshape(-1, width).T - np.einsum("kij,kj->ki", turn, means).ravel()
        chance = -0.5 * (apart**2).reshape(n, -1, width).sum(axis=2)
        chance += np.log(np.diagonal(turn, axis1=1, axis2=2)).sum(axis=1) + np.log(sizes / n)
        top = chance.max(axis=1, keepdims=True)
        belongs = np.exp(chance - top)
        total = belongs.sum(axis=1, keepdims=True)
        belongs /= total
        likely = float((np.log(total) + top).mean())
        if likely - before < _LEAST_GAIN:
            break
        before = likely
    return chance.argmax(axis=1)


def silhouettes(rows: np.ndarray, cuts: list[np.ndarray]) -> list[float]:
    """Mean silhouette of several cuts of the same rows (Rousseeuw 1987): how much nearer the own group is than the next
    one, −1 to 1; 0 for a cut that leaves one group."""
    found = []
    for labels in cuts:
        found.append(np.unique(labels, return_inverse=True)[1])
    marks = np.hstack([np.eye(int(labels.max()) + 1, dtype=np.float32)[labels] for labels in found])
    step = max(1, _BLOCK // len(rows))
    sums = np.vstack([cdist(rows[i : i + step], rows).astype(np.float32) @ marks for i in range(0, len(rows), step)])
    ends = np.cumsum([int(labels.max()) + 1 for labels in found])
    return [_silhouette(part, labels) for part, labels in zip(np.split(sums, ends[:-1], axis=1), found, strict=True)]


def _silhouette(sums: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette from the summed distances of each row to each group."""
    sizes, sums, at = np.bincount(labels), sums.astype(float), np.arange(len(labels))
    if len(sizes) < 2:
        return 0.0
    own = sums[at, labels] / np.maximum(sizes[labels] - 1, 1)
    others = sums / sizes
    others[at, labels] = np.inf
    next_one = others.min(axis=1)
    fits = (next_one - own) / np.maximum(np.maximum(own, next_one), 1e-12)
    return float(np.where(sizes[labels] > 1, fits, 0).mean())


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two cuts (Hubert, Arabie 1985, "Comparing partitions"): 1 the same, 0 as by chance."""
    width = int(other.max()) + 1
    both = np.bincount(one * width + other, minlength=(int(one.max()) + 1) * width).reshape(-1, width)
    pairs, of_one, of_other, total = (
        float((n * (n - 1.0)).sum()) for n in (both, both.sum(axis=1), both.sum(axis=0), both.sum(keepdims=True))
    )
    by_chance, most = of_one * of_other / total if total else 0.0, (of_one + of_other) / 2
    return 1.0 if most == by_chance else (pairs - by_chance) / (most - by_chance)
