"""What sets classes apart: screening step by step, importance recovered where planted and refused where not, the tree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dealerkit import charts, importance, stats
from dealerkit.importance import differing, learning, says, screening, target, tree, views, weighing
from dealerkit.params import ImportanceParams, Params
from dealerkit.report.translate import Translator, fields
from scipy.stats import ttest_ind

T = Translator("en")
PARAMS = Params(dealer="x", display_name="X")
LIMITS = PARAMS.importance


def ids(count: int) -> list[str]:
    return [f"P{i:05d}" for i in range(count)]


def words(*names: str, unreadable: tuple[str, ...] = ()) -> pd.DataFrame:
    """A dictionary of person factors."""
    rows = [
        ("person_factors", n, "Vehicle", f"Label of {n}", f"formula of {n}", n not in unreadable, False) for n in names
    ]
    columns = ["table", "factor", "class", "label", "formula", "readable", "at_delivery_only"]
    return pd.DataFrame(rows, columns=columns)


def dealer(count: int = 600, seed: int = 0) -> pd.DataFrame:
    """Owners whose value is made from visits; age goes with it, kilometres and job do not."""
    rng = np.random.default_rng(seed)
    visits = rng.poisson(3, count).astype(float)
    frame = pd.DataFrame({"person_id": ids(count), "visits_count_all": visits})
    frame["clv_yuan"] = 500 * visits + rng.normal(0, 200, count).round(2)
    frame["spend_yuan_24m"] = 0.0
    frame["spend_yuan_all"] = frame["clv_yuan"].round(-1)
    rank = frame["clv_yuan"].rank(pct=True)
    frame["age_years"] = np.round(30 + 20 * rank + rng.normal(0, 8, count))
    frame["wait_minutes_mean_12m"] = np.where(rng.random(count) < 0.2, np.nan, rng.normal(60, 20, count))
    frame["occupation"] = rng.choice(["Nurse", "Driver", "Clerk"], count)
    frame["is_company"] = 0
    frame["list_price_yuan_max"] = np.where(rng.random(count) < 0.9, np.nan, 1e5)
    return frame


NAMES = (
    "clv_yuan",
    "visits_count_all",
    "spend_yuan_all",
    "age_years",
    "wait_minutes_mean_12m",
    "occupation",
    "is_company",
    "list_price_yuan_max",
)


@pytest.fixture(scope="module")
def studied():
    owners = dealer()
    aim = importance.choose_target(owners, PARAMS)
    return owners, importance.study(owners, aim, words(*NAMES, unreadable=("clv_yuan",)), PARAMS)


# ---- the classes to explain ----------------------------------------------------------------------------------------


def test_clusters_come_first_when_trusted_else_tiers_else_the_bond():
    owners = dealer(120)
    clusters = pd.DataFrame({"person_id": ids(120), "cluster": [1] * 60 + [2] * 40 + [0] * 20})
    classes = pd.DataFrame(
        {
            "person_id": ids(120),
            "value_tier": ["low"] * 90 + ["high"] * 28 + ["no_car", "unknown"],
            "loyalty_bond": ["loyal"] * 60 + ["potential"] * 60,
        }
    )
    found = importance.choose_target(owners, PARAMS, clusters, classes, True, {"1": "come often"})
    assert (found.kind, found.shown(T), found.left_out) == ("clusters", {"1": "come often", "2": "group 2"}, 20)
    found = importance.choose_target(owners, PARAMS, clusters, classes, False)
    assert (found.kind, found.names, found.left_out) == ("value_tier", {"high": "high value", "low": "low value"}, 2)
    unknown = classes.assign(value_tier="unknown")
    found = importance.choose_target(owners, PARAMS, None, unknown)
    assert (found.kind, list(found.names)) == ("loyalty_bond", ["loyal", "potential"])
    assert importance.choose_target(owners, PARAMS, None, unknown.assign(loyalty_bond="unknown")) is None


def test_classes_too_small_are_left_out():
    classes = pd.DataFrame({"person_id": ids(124), "value_tier": ["high"] * 24 + ["middle"] * 50 + ["low"] * 50})
    found = importance.choose_target(dealer(124), PARAMS, None, classes)
    assert (list(found.names), len(found.of), found.left_out, found.enough) == (["middle", "low"], 100, 24, True)


# ---- screening -----------------------------------------------------------------------------------------------------


def test_every_step_drops_what_it_says_with_its_reason():
    rng = np.random.default_rng(1)
    count = 400
    good = rng.normal(size=count)
    owners = pd.DataFrame({"person_id": ids(count), "good": good, "noise": rng.permutation(np.tile([0.0, 1.0], 200))})
    owners["twin"] = np.where(np.arange(count) < 40, np.nan, np.exp(good))
    owners["same"] = [7.0] * 398 + [8.0, 9.0]
    owners["empty"] = np.nan
    owners["sparse"] = np.where(np.arange(count) < 100, good, np.nan)
    owners["model"] = good + 1
    classes = pd.Series(np.where(good > 0.3, "high", "low"), pd.Index(ids(count), name="person_id"))
    aim = target.Target("value_tier", classes, {"high": "high value", "low": "low value"}, (), 0)
    names = ("same", "empty", "sparse", "model", "twin", "good", "noise")
    found = screening.screen(owners, aim, words(*names, unreadable=("model",)), LIMITS)
    assert found.kept == ("good",)
    got = [(d.factor, d.step, d.other, round(d.value, 3)) for d in found.drops.fillna({"value": -1}).itertuples()]
    assert got[:5] == [
        ("same", "constant", None, 0.995),
        ("empty", "missing", None, 1.0),
        ("sparse", "missing", None, 0.75),
        ("model", "unreadable", None, -1),
        ("twin", "correlated", "good", 1.0),
    ]
    assert got[5][:3] == ("noise", "no_information", None)
    assert got[5][3] < LIMITS.min_information_value
    study = importance.Study(aim, found)
    steps = views.steps(study, LIMITS, T)
    assert steps["dropped"].tolist() == [0, 1, 2, 1, 1, 1]
    assert steps["left"].tolist() == [7, 6, 4, 3, 2, 1]
    assert views.by_class(study).to_dict("records") == [{"class": "Vehicle", "before": 7, "after": 1, "others": 1}]
    assert views.drops(study, T)["why"].tolist()[4] == "correlation 1 with “Label of good”"


def test_of_two_alike_the_defining_one_stays():
    x = np.random.default_rng(2).normal(size=300)
    owners = pd.DataFrame({"person_id": ids(300), "first": x, "recency_days": x + 5})
    classes = pd.Series(np.where(x > 0, "high", "low"), pd.Index(ids(300), name="person_id"))
    aim = target.Target("value_tier", classes, {"high": "h", "low": "l"}, ("recency_days",), 0)
    found = screening.screen(owners, aim, words("first", "recency_days"), LIMITS)
    assert (found.kept, found.follows) == (("recency_days",), {"recency_days": "defines"})


def test_information_value_is_that_of_the_class_told_best():
    bins = np.repeat([0, 1, 2], [50, 30, 20])
    classes = np.tile([0, 1, 1, 2], 25)
    one_by_one = [stats.information_value(bins, classes == k, 3) for k in range(3)]
    assert screening.information_value(bins, classes) == pytest.approx(max(one_by_one), abs=1e-6)


def test_rare_counts_and_unknown_values_have_bins_of_their_own():
    column = pd.Series([0.0] * 17 + [1.0, 2.0] + [np.nan])
    assert screening.binned(column).tolist() == [0] * 17 + [1, 1, 2]


def test_groups_are_alike_in_every_pair():
    names = ("a", "b", "c")
    strength = pd.DataFrame([[1, 0.8, 0.5], [0.8, 1, 0.8], [0.5, 0.8, 1]], names, names)
    found = screening.grouped(names, strength, pd.Series({"a": 1.0, "b": 2.0, "c": 3.0}), 0.7)
    assert sorted(found) in ([("b", "a"), ("c",)], [("a",), ("c", "b")])


def test_factors_that_follow_from_the_definition_are_found_out():
    rng = np.random.default_rng(3)
    count = 500
    visits, tenure, free = rng.poisson(5, count) + 0.0, rng.uniform(100, 3000, count), rng.normal(size=count)
    material = pd.DataFrame(
        {
            "visits_count_all": visits,
            "tenure_days": tenure,
            "visits_count_12m": rng.permutation(visits),
            "accident_count_24m": rng.poisson(0.2, count) + 0.0,
            "mixture": pd.Series(visits).rank() + pd.Series(tenure).rank(),
            "member_level": np.where(visits > 5, "Gold", "Standard").astype(object),
            "free": free,
            "job": rng.choice(["a", "b"], count).astype(object),
        }
    )
    found = screening._following(tuple(material), material, ("visits_count_all", "tenure_days"), 0.7)
    assert found == {
        "visits_count_all": "defines",
        "tenure_days": "defines",
        "visits_count_12m": "window",
        "accident_count_24m": "part",
        "mixture": "correlated",
        "member_level": "correlated",
    }


def test_rare_levels_are_joined_so_that_none_is_shown():
    owners = pd.DataFrame({"person_id": ids(100), "occupation": ["Nurse"] * 60 + ["Driver"] * 35 + ["Judge"] * 5})
    assert set(screening.material_of(owners, ["occupation"])["occupation"]) == {"Nurse", "Driver", screening.OTHER}


# ---- importance ----------------------------------------------------------------------------------------------------


def test_what_goes_with_the_classes_is_found_beside_what_defines_them(studied):
    _, study = studied
    first = study.all_factors.ranking["group"].iloc[0]
    assert set(first) <= {"visits_count_all", "spend_yuan_all"}
    others = study.others
    assert others.has_skill
    assert others.ranking["group"].iloc[0] == ("age_years",)
    assert others.ranking["low"].iloc[0] > 0
    assert (others.ranking["low"].iloc[1:] <= 0.02).all()
    assert study.screened.follows == {"visits_count_all": "defines"}
    assert "spend_yuan_all" in set(study.screened.drops["factor"])  # says the same as the visits
    assert study.all_factors.accuracy.value > others.accuracy.value


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_classes_are_ranked_by_nothing(seed):
    owners = dealer(300, seed)
    aim = importance.choose_target(owners, PARAMS)
    shuffled = pd.Series(np.random.default_rng(seed + 9).permutation(aim.of), aim.of.index)
    material = screening.material_of(owners, NAMES[3:6])
    found = weighing.weigh(material, shuffled, tuple((f,) for f in material), LIMITS)
    assert not found.has_skill
    assert found.ranking.empty
    assert found.accuracy.low < found.by_lot < found.accuracy.high


def test_factors_that_stand_in_for_each_other_are_weighed_together():
    rng = np.random.default_rng(4)
    x = rng.normal(size=400)
    alike = {f"twin{k}": x + rng.normal(0, 0.1, 400) for k in range(4)}
    material = pd.DataFrame({**alike, "noise": rng.normal(size=400)}, ids(400))
    classes = pd.Series(np.where(x > 0, "a", "b"), ids(400))
    told = ImportanceParams(min_information_value=0, repeats=5)
    together = weighing.weigh(material, classes, (tuple(alike), ("noise",)), told).ranking
    alone = weighing.weigh(material, classes, tuple((f,) for f in material), told).ranking
    assert together["importance"].iloc[0] > 0.35
    assert together["importance"].iloc[0] > 2 * alone["importance"].iloc[0]
    assert together[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 1], [2, 2, 2]]


def test_ranks_that_cannot_be_told_apart_share_their_interval():
    losses = np.array([[0.30, 0.11, 0.10], [0.31, 0.09, 0.11], [0.29, 0.10, 0.09], [0.30, 0.12, 0.12]])
    found = weighing.ranked((("a",), ("b",), ("c",)), losses)
    assert found[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1], [2, 3], [2, 3]]


def test_a_first_place_that_may_be_another_s_is_not_claimed(studied):
    _, study = studied
    assert "” goes most with the {importance_target:label}" in says.headline(study)[0]
    assert says.rank_note(study).endswith("first of {importance_groups_count:count} for sure")
    ranking = study.others.ranking.assign(rank_low=1, rank_high=2)
    tied = replace(study, others=replace(study.others, ranking=ranking))
    assert "is among what goes most with the {importance_target:label}" in says.headline(tied)[0]
    assert views.facts(tied, LIMITS, T)["importance_first_count"][0] == len(ranking)
    assert "; rank 1 to" in says.rank_note(tied)


def test_the_interval_is_widened_for_persons_shared_by_resamplings():
    found = weighing.corrected(np.array([0.5, 0.6, 0.7]))
    half = 4.302653 * np.sqrt(0.01 * (1 / 3 + 1 / 4))
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-5)


def test_a_class_too_rare_for_the_sample_is_left_out():
    rng = np.random.default_rng(7)
    classes = pd.Series(["a", "b"] * 3000 + ["c"] * 30, ids(6030))
    material = pd.DataFrame({"x": (classes == "a") + rng.normal(0, 0.5, 6030)}, ids(6030))
    found = weighing.weigh(material, classes, (("x",),), ImportanceParams(largest_sample=500))
    assert (found.classes, found.has_skill) == (2, True)
    assert found.persons < 500
    nothing = weighing.weigh(material[:500], classes[:500].where(np.arange(500) < 9, "a"), (("x",),), LIMITS)
    assert (nothing.classes, nothing.has_skill) == (1, False)


def test_being_empty_tells_nothing_when_missing_is_ignored():
    classes = pd.Series(np.tile(["a", "b"], 200), ids(400))
    values = np.where(classes == "a", np.nan, np.random.default_rng(5).normal(size=400))
    values[:40] = np.random.default_rng(6).normal(size=40)
    material = pd.DataFrame({"x": values}, ids(400))
    assert weighing.weigh(material, classes, (("x",),), LIMITS).accuracy.low > 0.85
    assert not weighing.weigh(material, classes, (("x",),), LIMITS, ignore_missing=True).has_skill


def test_the_order_of_rows_changes_nothing(studied):
    owners, study = studied
    again = owners.sample(frac=1, random_state=3).reset_index(drop=True)
    aim = importance.choose_target(again, PARAMS)
    other = importance.study(again, aim, words(*NAMES, unreadable=("clv_yuan",)), PARAMS)
    for name, frame in views.tables(study).items():
        pd.testing.assert_frame_equal(frame, views.tables(other)[name])
    assert other.rules == study.rules


# ---- differences ---------------------------------------------------------------------------------------------------


def compared(own: np.ndarray, others: np.ndarray) -> tuple[dict, dict]:
    """What the two classes differ by, each from the other; one more person is of unknown value."""
    found = differing._compared(np.r_[own, others, np.nan], np.repeat([0, 1, 1], [len(own), len(others), 1]), 2)
    return tuple({name: values[k] for name, values in found.items()} for k in (0, 1))


def test_differences_by_hand():
    own, others = np.array([1.0, 3.0] * 20), np.array([0.0, 2.0] * 30)
    found, back = compared(own, others)
    pooled = np.sqrt((39 * own.var(ddof=1) + 59 * others.var(ddof=1)) / 98)
    d = 1 / pooled
    half = 1.959964 * np.sqrt(100 / 2400 + d**2 / 200)
    assert (found["n"], found["mean"], found["mean_others"]) == (40, 2.0, 1.0)
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((d, d - half, d + half), abs=1e-6)
    assert found["p"] == pytest.approx(ttest_ind(own, others, equal_var=False).pvalue)
    assert (back["n"], back["mean"], back["difference"]) == (60, 1.0, pytest.approx(-d))
    assert found["told"] and not any(side["told"] for side in compared(own[:29], others))


def test_means_are_those_of_the_values_as_they_are():
    ((level, given, pulled),) = differing._columns(pd.Series([*np.zeros(100), *np.ones(100), 1e6]))
    assert level is None and given.max() == 1e6 and pulled.max() == 1
    mean, mean_others = differing._parted(np.append(given, np.nan), np.repeat([0, 1, 0], [201, 0, 1]), 2)[1::2]
    assert (mean[0], mean_others[1]) == pytest.approx(((100 + 1e6) / 201,) * 2)


def test_differences_say_what_is_planted_and_not_more(studied):
    _, study = studied
    listed = views.listed(study, T)
    assert listed.iloc[0][["class", "factor"]].tolist() == ["high value", "Label of age_years"]
    assert listed.iloc[0]["difference"] > 0.8
    assert set(listed["factor"]) == {"Label of age_years"}
    clear = study.differences[study.differences["q"] < 0.05]
    assert not clear["factor"].isin(["occupation", "wait_minutes_mean_12m"]).any()
    assert "Label of visits_count_all" in set(views.listed(study, T, defining=True)["factor"])


# ---- the tree ------------------------------------------------------------------------------------------------------


def planted_tree() -> tuple[pd.DataFrame, pd.Series, target.Target]:
    rng = np.random.default_rng(7)
    recency = rng.uniform(0, 1000, 800)
    level = rng.choice(["Gold", "Silver"], 800).astype(object)
    material = pd.DataFrame({"recency_days": recency, "member_level": level}, ids(800))
    names = np.where(recency > 363.7, "low", np.where(level == "Gold", "high", "middle"))
    classes = pd.Series(names, material.index)
    return material, classes, target.Target("value_tier", classes, {"high": "H", "middle": "M", "low": "L"}, (), 0)


def test_the_tree_finds_planted_rules_with_readable_thresholds():
    material, classes, aim = planted_tree()
    found = tree.rules(material, classes, aim, LIMITS)
    assert found.root.split.factor == "recency_days"
    assert found.root.split.threshold == 370
    assert found.root.yes.split == tree.Split("member_level", None, "Gold", False, False)
    assert found.has_skill
    assert found.accuracy.low > 0.95
    assert sum(sum(leaf.counts) for leaf in found.root.leaves()) == 800
    assert len(list(found.root.leaves())) == 3


def test_the_tree_is_told_in_words_and_drawn():
    material, classes, aim = planted_tree()
    found = tree.rules(material, classes, aim, LIMITS)
    about = words("recency_days", "member_level").set_index("factor")
    screened = screening.Screened(material, pd.DataFrame(), (), (), pd.Series(dtype=float), about, {})
    rows, parts, names = views.tree_rows(importance.Study(aim, screened, rules=found), T)
    assert rows["text"].tolist() == [
        "All owners looked at",
        "Label of recency_days ≤ 370 days",
        "Label of member_level: Gold",
        "Label of member_level: not Gold",
        "Label of recency_days > 370 days",
    ]
    assert rows["depth"].tolist() == [0, 1, 2, 2, 1]
    assert rows.loc[rows["is_leaf"], "n"].sum() == 800
    assert np.allclose(rows[parts].sum(axis=1), 1)
    for size in ("third", "wide"):
        shown = charts.texts(charts.tree(rows, parts, names, T, size=size))
        assert {"Label of member_level: Gold", "H", "M", "L"} <= set(shown)


def test_whether_a_factor_is_known_can_be_the_question():
    rng = np.random.default_rng(11)
    known = rng.random(600) < 0.4
    material = pd.DataFrame({"odometer_km_last": np.where(known, rng.uniform(1e3, 9e4, 600), np.nan)}, ids(600))
    classes = pd.Series(np.where(known, "high", "low"), material.index)
    aim = target.Target("value_tier", classes, {"high": "H", "low": "L"}, (), 0)
    found = tree.rules(material, classes, aim, LIMITS)
    assert not np.isfinite(found.root.split.threshold) and found.accuracy.value == 1
    about = words("odometer_km_last").set_index("factor")
    screened = screening.Screened(material, pd.DataFrame(), (), (), pd.Series(dtype=float), about, {})
    told = views.tree_rows(importance.Study(aim, screened, rules=found), T)[0]
    assert dict(zip(told["text"], told["n"])) == {
        "All owners looked at": 600,
        "Label of odometer_km_last: known": known.sum(),
        "Label of odometer_km_last: not known": (~known).sum(),
    }


def test_the_drawn_tree_keeps_small_ends_to_itself():
    rows = pd.DataFrame(
        [(0, "All", False, 60, 0.5, 0.5), (1, "one", True, 3, 0.67, 0.33), (1, "two", True, 29, 0.41, 0.59)],
        columns=["depth", "text", "is_leaf", "n", "a", "b"],
    )
    shown = charts.texts(charts.tree(rows, ["a", "b"], ["A", "B"], T))
    assert "n <5, too few" in shown
    assert "n 29, too few" in shown
    assert not any("%" in text for text in shown)
    assert charts.texts(charts.tree(rows.head(0), [], [], T)) == ["nothing to show"]


def test_no_tree_is_drawn_from_noise():
    material, classes, aim = planted_tree()
    shuffled = pd.Series(np.random.default_rng(8).permutation(classes), classes.index)
    found = tree.rules(material, shuffled, aim, LIMITS)
    assert not found.has_skill
    about = words("recency_days", "member_level").set_index("factor")
    screened = screening.Screened(material, pd.DataFrame(), tuple(material), (), pd.Series(dtype=float), about, {})
    study = importance.Study(aim, screened, rules=found)
    assert views.tree_rows(study, T)[0].empty
    assert [title for title, _why, _remedy in says.gaps(study, pd.DataFrame(), T)] == ["Decision tree"]


# ---- what the page says when there is nothing to say ---------------------------------------------------------------


def bad_inputs() -> dict[str, pd.DataFrame]:
    owners = dealer(300)
    return {
        "no amounts": owners.assign(clv_yuan=np.nan, spend_yuan_24m=np.nan, spend_yuan_all=np.nan),
        "nobody": owners.head(0),
        "fifty owners": owners.head(50),
        "all alike": owners.assign(**{c: 1.0 for c in owners.columns if c not in ("person_id", "occupation")}),
        "all else unknown": owners.assign(**{n: np.nan for n in NAMES if n not in ("clv_yuan",)}),
        "only constant factors": owners.assign(**{n: 1.0 for n in NAMES if n not in ("clv_yuan",)}),
        "only noise": owners.assign(
            **{n: np.random.default_rng(1).random(300) for n in NAMES if n not in ("clv_yuan", "person_id")}
        ),
    }


@pytest.mark.parametrize("case", bad_inputs())
def test_bad_input_makes_a_page_that_says_so(case):
    owners = bad_inputs()[case]
    aim = importance.choose_target(owners, PARAMS)
    study = importance.study(owners, aim, words(*NAMES, unreadable=("clv_yuan",)), PARAMS)
    told = views.facts(study, LIMITS, T)
    assert says.gaps(study, owners, T)
    template, _lead = says.headline(study)
    said = T.say(template, **{n: told[n][0] for n, _ in fields(template)})
    assert "not known" not in said
    assert says.verdict(study)
    assert told["important_factor_first"][0] is None
    for made in (views.top(study, study.others, T), views.map_of_differences(study, T), views.set_aside(study, T)):
        assert isinstance(made, pd.DataFrame)
    charts.heat(views.map_of_differences(study, T), T)
    charts.tree(*views.tree_rows(study, T), T)
    for made in (views.steps(study, LIMITS, T), views.by_class(study), views.drops(study, T), views.recall(study, T)):
        assert isinstance(made, pd.DataFrame)
    assert set(views.tables(study)) == {"importance", "screening", "class_differences"}


def test_one_class_only_is_a_stated_gap():
    classes = pd.DataFrame({"person_id": ids(300), "value_tier": "high", "loyalty_bond": "loyal"})
    study = importance.study(dealer(300), importance.choose_target(dealer(300), PARAMS, None, classes), words(), PARAMS)
    assert study.target is None
    assert says.gaps(study, dealer(300), T)[0][1].startswith("No classes to explain")


# ---- factors of one's own -------------------------------------------------------------------------------------------


def test_each_own_factor_is_named_with_what_became_of_it(studied):
    owners, study = studied
    own = ("age_years", "visits_count_all", "is_company", "wait_minutes_mean_12m")
    about = study.screened.about.assign(own=[name in own for name in study.screened.about.index])
    study = replace(study, screened=replace(study.screened, about=about))
    found = views.own_factors(study, T).set_index("factor")
    assert list(found.index) == [f"Label of {name}" for name in about.index if name in own]
    fate = found["fate"].to_dict()
    assert fate["Label of age_years"] == "kept and ranked among the factors that do not define the classes"
    assert fate["Label of visits_count_all"].startswith("kept and ranked among all factors: ")
    assert fate["Label of is_company"] == "dropped (Constant): one value for 100.0 %"
    first = found.loc["Label of age_years"]
    ranked = study.others.ranking.iloc[0]
    assert ranked["group"] == ("age_years",) and first["importance"] == ranked["importance"] and first["ranks"] == "1"
    left = found.loc["Label of is_company"]
    assert pd.isna(left["importance"]) and (left["interval"], left["ranks"], left["also"]) == ("–", "–", "–")
    unranked = views.own_factors(replace(study, others=None), T).set_index("factor")
    assert unranked["fate"]["Label of age_years"] == "kept; nothing is ranked"


def test_without_own_factors_or_a_screening_the_table_has_no_rows(studied):
    assert views.own_factors(studied[1], T).empty
    assert views.own_factors(importance.Study(None), T).empty


# ---- the model of bins ----------------------------------------------------------------------------------------------


def coded(count: int = 500, seed: int = 0) -> learning.Coded:
    """Four factors of a few bins; the class follows from the first, or from second and third together."""
    rng = np.random.default_rng(seed)
    bins = [rng.integers(0, size, count) for size in (3, 2, 2, 5)]
    y = np.where(rng.random(count) < 0.1, rng.integers(0, 3, count), np.where(bins[0] == 2, 2, bins[1] == bins[2]))
    return learning.Coded.of(bins, y)


def test_a_pair_of_factors_is_learned_where_one_alone_tells_little():
    rows = np.arange(500)
    model = learning.learn(coded(), rows, coded().together(rows), np.arange(4))
    other = coded(seed=1)
    assert (1, 2) in [(a, b) for a, b, _table in model.pairs]
    right = model.said(other, rows).argmax(axis=1) == other.y
    assert right.mean() > 0.85


def test_shuffling_a_group_is_asking_with_the_bins_of_others():
    some, rows = coded(), np.arange(40, 500)
    model = learning.learn(some, rows, some.together(rows), np.arange(4))
    shuffles = np.random.default_rng(2).permuted(np.tile(np.arange(len(rows)), (2, 1)), axis=1)
    for group in ([0], [1], [1, 2], [3, 0]):
        found = model.said(some, rows) + model.shuffled(some, rows, group, shuffles)
        for shuffle, said in zip(shuffles, found, strict=True):
            codes = some.codes.copy()
            codes[np.ix_(rows, group)] = some.codes[rows[shuffle]][:, group]
            assert said == pytest.approx(model.said(replace(some, codes=codes), rows))


def test_counts_of_those_learned_from_are_those_of_all_less_the_others():
    some, fold = coded(), weighing.folds(coded().y, np.random.default_rng(0))
    parts = [np.flatnonzero(fold == k) for k in range(weighing.FOLDS)]
    everybody = sum(some.together(part) for part in parts)
    assert np.array_equal(everybody - some.together(parts[0]), some.together(np.flatnonzero(fold != 0)))
    for part in parts:
        assert np.abs(np.bincount(some.y[part]) - np.bincount(some.y) / weighing.FOLDS).max() <= 1
