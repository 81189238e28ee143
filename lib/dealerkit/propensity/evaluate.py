"""Testing the models on a later day, and saying which one is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dealerkit import stats
from dealerkit.messages import N_
from dealerkit.propensity.model import MODELS, Propensity, Untrainable, prepared, refusal, score

SCORECARD_USED = N_("The scorecard is used: it beats the simple rule, and boosted trees are no better.")
TREES_USED = N_("The boosted trees are used: they beat the simple rule, and are better calibrated than the scorecard.")
TREES_RANK = N_("The boosted trees are used: they beat the simple rule, and rank better than the scorecard.")
NO_BETTER = N_("Not shown to be better than the simple rule: the rule is used.")
UNSTEADY = N_(
    "Better than the simple rule on a later day, but not reliably so on the days before, which it learned from: the rule is used."
)
FURTHER_OFF = N_("Ranks better than the simple rule, but its probabilities are further off: the rule is used.")
WORSE = N_("Worse than the simple rule: the rule is used.")

#: Everything that `Evaluation.verdict` may be.
VERDICTS = (SCORECARD_USED, TREES_USED, TREES_RANK, NO_BETTER, UNSTEADY, FURTHER_OFF, WORSE)

_ROWS_TIMES_REPEATS = 20_000_000
_MOST_REPEATS, _LEAST_REPEATS = 400, 100
_DIGITS = 6


@dataclass(frozen=True)
class Evaluation:
    """How the models did on rows of a later day.

    Attributes:
        used: model to score with: "scorecard", "trees" or "rule".
        best: the better of scorecard and trees, whether it is used or not.
        beats_rule: whether it beats the rule.
        verdict: why, one of `VERDICTS`, a message.
        measures: long frame model, measure, value, low, high for each model and each of `stats.MEASURES`.
        gains: scorecard and trees against the rule, and the trees against the scorecard: model, against, measure
            (auc, brier, calibration), gain, low, high; above 0 the model is better.
        cross_validated: on training rows held back, persons kept together: model, auc, low, high, gain (in AUC over
            the rule), gain_low, gain_high.
        calibration: for each model, bins of predicted and observed rates (`stats.calibration_table`), column model.
        rows, events, persons: of the test.
        repeats: bootstrap samples of whole persons behind each interval of 95 %.
    """

    used: str
    best: str
    beats_rule: bool
    verdict: str
    measures: pd.DataFrame
    gains: pd.DataFrame
    cross_validated: pd.DataFrame
    calibration: pd.DataFrame
    rows: int
    events: int
    persons: int
    repeats: int

    def value(self, measure: str, model: str | None = None) -> tuple[float, float, float]:
        """Value, low and high of a measure of the model named, or of the one used."""
        found = self.measures.set_index(["model", "measure"]).loc[(model or self.used, measure)]
        return float(found["value"]), float(found["low"]), float(found["high"])

    def gain(self, measure: str, model: str | None = None, against: str = "rule") -> tuple[float, float, float]:
        """Gain, low and high of a measure of the model named, or of the best one."""
        found = self.gains.set_index(["model", "against", "measure"]).loc[(model or self.best, against, measure)]
        return float(found["gain"]), float(found["low"]), float(found["high"])


def evaluate(
    model: Propensity, test_rows: pd.DataFrame, repeats: int | None = None, seed: int = 0
) -> Evaluation | Untrainable:
    """Test scorecard, trees and rule out of time, and choose.

    The scorecard is taken, unless the trees rank better beyond noise, or are better calibrated beyond noise and do
    not rank worse beyond noise. What is taken is used when it beats the rule: the lower end of its gain in AUC is
    above 0 on these rows and in cross-validation, and its Brier score is not worse beyond noise. Since the choice of
    the two looks at the test, the figures of the one chosen flatter it a little.

    Args:
        model: of `fit`.
        test_rows: like the training rows, of a later origin.
        repeats: bootstrap samples; without it 400, and fewer (100 at least) above 50,000 rows.
        seed: of the bootstrap.

    Returns:
        Evaluation; or Untrainable where the test rows carry no test.

    Raises:
        ValueError: a column is missing, or an outcome is neither 0 nor 1.
    """
    rows = prepared(test_rows, [*model.features, model.rule.column], model.outcome, model.groups)
    y = rows[model.outcome].to_numpy()
    refused = refusal(y, "test")
    if refused:
        return refused
    repeats = repeats or int(np.clip(_ROWS_TIMES_REPEATS // len(rows), _LEAST_REPEATS, _MOST_REPEATS))
    with stats.one_thread():
        probabilities = {name: score(model, rows, name).to_numpy() for name in MODELS}
        values, samples = stats.measures(y, probabilities, rows[model.groups], repeats, seed)
        cross_validated = _cross_validated(model, seed)
    gains = _gains(values, samples)
    used, best, verdict = _verdict(gains, cross_validated)
    return Evaluation(
        used=used,
        best=best,
        beats_rule=used != "rule",
        verdict=verdict,
        measures=_long(values, samples),
        gains=gains,
        cross_validated=cross_validated,
        calibration=pd.concat(
            [stats.calibration_table(y, p).assign(model=name) for name, p in probabilities.items()], ignore_index=True
        ).round(_DIGITS),
        rows=len(rows),
        events=int(y.sum()),
        persons=int(rows[model.groups].nunique()),
        repeats=repeats,
    )


def _ends(samples) -> tuple[np.ndarray, np.ndarray]:
    """Ends of 95 % for each column; NaN where a measure has no value in any sample."""
    ends = np.full((2, samples.shape[1]), np.nan)
    known = np.isfinite(samples).any(axis=0)
    if known.any():
        ends[:, known] = np.nanquantile(samples[:, known], [0.025, 0.975], axis=0)
    return tuple(ends.round(_DIGITS))


def _long(values, samples) -> pd.DataFrame:
    made = []
    for i, name in enumerate(values.index):
        low, high = _ends(samples[i])
        made.append(
            pd.DataFrame(
                {
                    "model": name,
                    "measure": values.columns,
                    "value": values.loc[name].to_numpy().round(_DIGITS),
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(made, ignore_index=True)


def _gains(values, samples) -> pd.DataFrame:
    """Paired differences, turned so that above 0 is better."""
    better_up, made = {"auc": 1, "brier": -1, "calibration": -1}, []
    position, at = {name: i for i, name in enumerate(values.index)}, list(values.columns)
    for name, other in (("scorecard", "rule"), ("trees", "rule"), ("trees", "scorecard")):
        for measure, sign in better_up.items():
            j = at.index(measure)
            low, high = _ends(sign * (samples[position[name]] - samples[position[other]])[:, [j]])
            gain = sign * (values.loc[name, measure] - values.loc[other, measure])
            made.append((name, other, measure, round(float(gain), _DIGITS), low.item(), high.item()))
    return pd.DataFrame(made, columns=["model", "against", "measure", "gain", "low", "high"])


def _cross_validated(model: Propensity, seed: int) -> pd.DataFrame:
    held = model.held_back
    repeats = int(np.clip(_ROWS_TIMES_REPEATS // 2 // len(held), _LEAST_REPEATS, _MOST_REPEATS))
    probabilities = {name: held[name].to_numpy() for name in MODELS}
    values, samples = stats.measures(held["outcome"], probabilities, held["group"], repeats, seed, which=("auc",))
    made = pd.DataFrame({"model": list(MODELS), "auc": values["auc"].to_numpy()})
    made["low"], made["high"] = np.array([_ends(s) for s in samples])[:, :, 0].T
    made["gain"] = made["auc"] - values.loc["rule", "auc"]
    made["gain_low"], made["gain_high"] = np.array([_ends(s - samples[-1]) for s in samples])[:, :, 0].T
    return made.round(_DIGITS)


def _verdict(gains, cross_validated) -> tuple[str, str, str]:
    """Model used, the better one of the two, and why."""
    at = gains.set_index(["model", "against", "measure"]).sort_index()
    duel = at.loc[("trees", "scorecard")]
    best, why = "scorecard", SCORECARD_USED
    if duel.loc["auc", "low"] > 0:
        best, why = "trees", TREES_RANK
    elif duel.loc["calibration", "low"] > 0 and duel.loc["auc", "high"] >= 0:
        best, why = "trees", TREES_USED
    gain = at.loc[(best, "rule")]
    held = cross_validated.set_index("model").loc[best, "gain_low"]
    if gain.loc["auc", "high"] < 0:
        return "rule", best, WORSE
    # What is not known is not shown either: none of these is true of a missing number.
    if not gain.loc["auc", "low"] > 0:
        return "rule", best, NO_BETTER
    if not held > 0:
        return "rule", best, UNSTEADY
    if not gain.loc["brier", "high"] >= 0:
        return "rule", best, FURTHER_OFF
    return best, best, why
