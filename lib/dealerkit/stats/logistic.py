"""Logistic regression of an outcome on few columns."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

_ROUNDS, _LONGEST_STEP, _CLOSE = 50, 2.0, 1e-9


def logistic(design, y, start, penalty=1e-8) -> tuple[np.ndarray, np.ndarray]:
    """Weights by Newton's method, and the curvature at them, whose inverse is their covariance.

    Args:
        design: rows × columns; the constant is one of them.
        y: outcome, 0 or 1.
        start: weights to begin with.
        penalty: on the squared weights, in cases: one for all or one for each; without any the weights of outcomes that
            the columns part wholly would have no end.
    """
    beta, penalty = np.asarray(start, dtype=float), np.broadcast_to(penalty, design.shape[1])
    for _round in range(_ROUNDS):
        p = expit(design @ beta)
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(curvature, design.T @ (y - p) - penalty * beta)
        beta = beta + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _CLOSE:
            break
    return beta, curvature
