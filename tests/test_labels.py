"""Labels that cannot be learnt from are found, each kind planted; sound ones are left alone."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from dealerkit import stats
from dealerkit.propensity import Untrainable, fit
from dealerkit.stats import labels
from hypothesis import given
from hypothesis import strategies as st

ORIGINS = pd.to_datetime(["2025-03-31", "2025-06-30", "2025-09-30"])
ALL = {"keys": ["person_id", "vin"], "origin": "origin", "window_days": 180, "as_of": date(2026, 9, 30)}


def sound(count: int = 900, share: float = 0.2, seed: int = 1) -> pd.DataFrame:
    """Cases of three days with an outcome of the share given, and a factor that tells something of it."""
    rng = np.random.default_rng(seed)
    y = (rng.random(count) < share).astype(float)
    case = np.arange(count) // 3
    return pd.DataFrame(
        {
            "person_id": [f"P{k}" for k in case],
            "vin": [f"V{k}" for k in case],
            "origin": ORIGINS[np.arange(count) % 3],
            "recency_days": rng.normal(200 + 60 * y, 80),
            "y": y,
        }
    )


def suspected(rows: pd.DataFrame, **given) -> dict[str, float]:
    """Checks that suspect, with their value."""
    found = stats.label_check(rows, "y", **{**ALL, **given})
    assert list(found["check"]) == list(labels.CHECKS)
    assert (found.loc[found["suspected"], "reason"] == found["check"].map(labels.CHECKS)[found["suspected"]]).all()
    assert (found.loc[~found["suspected"], "reason"] == labels.SOUND).all()
    return found[found["suspected"]].set_index("check")["value"].to_dict()


def test_sound_labels_are_left_alone():
    alarms = [seed for seed in range(300) if suspected(sound(seed=seed))]
    assert len(alarms) <= 3, "a false alarm is as rare as one table in a hundred"


def test_many_missing_labels_are_found():
    rows = sound()
    rows.loc[rows.index[:90], "y"] = np.nan
    assert suspected(rows) == {"missing": pytest.approx(0.1)}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_outcome_that_never_varies_is_found(value):
    found = suspected(sound().assign(y=value))
    assert found["constant"] == 1 and found["few"] == 0 and {"constant", "few", "share"} >= set(found)


def test_too_few_of_one_outcome_are_found():
    rows = sound().assign(y=0.0)
    rows.loc[rows.index[::40], "y"] = 1.0
    assert suspected(rows) == {"few": 23}
    assert suspected(rows, few=20) == {}


@pytest.mark.parametrize("share, found", [(0.97, {"share"}), (0.2, set())])
def test_a_share_that_nobody_believes_is_found(share, found):
    assert set(suspected(sound(6_000, share))) == found
    assert set(suspected(sound(6_000, 0.2), believable=(0.3, 0.9))) == {"share"}


def test_a_share_is_doubted_only_beyond_its_interval():
    rows = sound(120, 0.93, seed=4)
    assert rows["y"].mean() > 0.9 and "share" not in suspected(rows)


def test_labels_that_change_from_day_to_day_are_found():
    rows = sound()
    late = rows["origin"] == ORIGINS[2]
    rows.loc[late, "y"] = (np.arange(late.sum()) % 2).astype(float)
    found = suspected(rows)
    shares = rows.groupby("origin")["y"].mean()
    assert found == {"changes": pytest.approx(shares.max() / shares.min())}
    rows.loc[late, "y"] = 0.0
    assert set(suspected(rows)) == {"changes"}


def test_a_case_with_both_outcomes_is_found():
    rows = sound()
    twice = rows.iloc[[0, 5, 9]].assign(y=lambda r: 1 - r["y"])
    same = rows.iloc[[20, 30]]
    assert suspected(pd.concat([rows, twice, same])) == {"contradicts": 3}
    assert suspected(pd.concat([rows, twice]), keys=()) == {}


def test_labels_whose_days_are_not_over_are_found():
    assert suspected(sound(), as_of=date(2026, 3, 28)) == {"unripe": 300}
    assert suspected(sound(), as_of=date(2026, 3, 29)) == {}
    assert suspected(sound().assign(y=lambda r: r["y"].where(r["origin"] < ORIGINS[2])), as_of=date(2026, 3, 1)) == {
        "missing": pytest.approx(1 / 3)
    }


def test_what_cannot_be_looked_at_is_not_suspected():
    found = stats.label_check(sound().drop(columns="origin"), "y").set_index("check")
    assert found.loc[["changes", "contradicts", "unripe"], "value"].isna().all() and not found["suspected"].any()
    nothing = stats.label_check(sound().iloc[:0], "y", **ALL).set_index("check")
    assert nothing.index[nothing["suspected"]].tolist() == ["few"]


def test_columns_and_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no column z"):
        stats.label_check(sound(), "z")
    for wrong in (2.0, "yes"):
        with pytest.raises(ValueError, match="y must be 0, 1 or missing"):
            stats.label_check(pd.DataFrame({"y": [0, 1, wrong]}), "y")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from([0.0, 1.0, None])), max_size=60))
def test_every_check_gives_an_answer_for_any_labels(cells):
    rows = pd.DataFrame(cells, columns=["person_id", "o", "y"]).assign(vin="V")
    rows["origin"] = ORIGINS.to_numpy()[rows["o"].astype(int)]
    rows["y"] = rows["y"].astype(float)
    found = stats.label_check(rows, "y", **ALL).set_index("check")
    assert len(found) == 7 and found["suspected"].dtype == bool
    known = rows.dropna(subset="y")
    both = known.groupby(["person_id", "origin"])["y"].nunique().gt(1).sum()
    assert found.at["contradicts", "value"] == both
    assert found.at["few", "value"] == min(known["y"].sum(), len(known) - known["y"].sum())


def test_no_model_learns_from_labels_that_contradict_or_are_not_ripe():
    rows = sound()
    given = {"rule": "recency_days", "seed": 1}
    twice = pd.concat([rows, rows.iloc[[3]].assign(y=1 - rows["y"].iloc[3])])
    for table, more, reason in (
        (twice, {}, labels.CONTRADICTS),
        (rows, {"window_days": 180, "as_of": date(2026, 1, 1)}, labels.UNRIPE),
    ):
        refused = fit(table, ["recency_days"], "y", **given, **more)
        assert isinstance(refused, Untrainable) and refused.reason == reason


def test_a_model_says_what_it_doubts_of_its_labels():
    rows = sound()
    rows.loc[rows.index[:90], "y"] = np.nan
    made = fit(rows, ["recency_days"], "y", rule="recency_days", seed=1, window_days=180, as_of=date(2026, 9, 30))
    told = made.labels.set_index("check")
    assert told.index[told["suspected"]].tolist() == ["missing"] and told.at["unripe", "value"] == 0
