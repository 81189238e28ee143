"""Small tables, facts and sentences of the page on what sets customers apart, made from a `Study`."""

from __future__ import annotations

import math

import pandas as pd

from dealerkit.importance import Study
from dealerkit.importance.differing import COLUMNS
from dealerkit.importance.screening import STEPS
from dealerkit.importance.tree import Node, Split
from dealerkit.importance.weighing import Weighed
from dealerkit.messages import N_
from dealerkit.params import ImportanceParams

#: What a factor is counted in, by a part of its name: the first that fits.
UNITS = (
    ("_yuan", "yuan"),
    ("yuan_", "yuan"),
    ("_days", "days"),
    ("days_", "days"),
    ("_months", "months"),
    ("_years", "years"),
    ("_minutes", "minutes"),
    ("_km", "km"),
    ("_share", "share"),
    ("_probability", "share"),
)
FLAGS = ("is_", "consents_", "has_")
FOLLOWS = {
    "defines": N_("the classes are made from it"),
    "window": N_("a factor the classes are made from, over another time"),
    "part": N_("counted into a factor the classes are made from"),
    "correlated": N_("follows from the factors the classes are made from"),
}
WHY_STEP = {
    "constant": N_("the same value for nearly everybody, so it tells nobody from anybody"),
    "missing": N_("unknown for more than {max_missing_share:share} of the persons"),
    "unreadable": N_("a model's output, which nobody can check by looking at a customer"),
    "correlated": N_(
        "rank correlation with another factor above {max_correlation:number}; the one more often known stays"
    ),
    "no_information": N_("information value under {min_information_value:number} on every class"),
}
WHY_DROP = {
    "constant": N_("one value for {value:share}"),
    "missing": N_("unknown for {value:share}"),
    "unreadable": N_("not readable: {formula:text}"),
    "correlated": N_("correlation {value:number} with “{other:text}”"),
    "no_information": N_("information value {value:number}"),
}
#: What becomes of a factor of the dealer's own.
FATES = {
    "dropped": N_("dropped ({step:text}): {why:text}"),
    "unranked": N_("kept; nothing is ranked"),
    "follows": N_("kept and ranked among all factors: {why:text}"),
    "ranked": N_("kept and ranked among the factors that do not define the classes"),
}
#: A difference is listed from this size in standard deviations, when false discoveries are held at 5 %.
SMALLEST_DIFFERENCE, FALSE_DISCOVERIES = 0.2, 0.05


# ---- what the page says first ------------------------------------------------------------------------------------


def sure(weighed: Weighed | None) -> pd.DataFrame:
    """Groups of the ranking whose interval lies above nothing, the most important first."""
    return pd.DataFrame(columns=["group"]) if weighed is None else weighed.ranking[weighed.ranking["low"] > 0]


def facts(study: Study, params: ImportanceParams, t) -> dict[str, tuple]:
    """Facts of the page: name → (value, rows, table), in the words of ``t``. What could not be found is None."""
    target, screened, others, everything = study.target, study.screened, study.others, study.all_factors
    about = None if screened is None else screened.about["label"]
    rows = 0 if target is None else len(target.of)
    made: dict = {
        "importance_target": None if target is None else target.label,
        "importance_classes_count": None if target is None else len(target.names),
        "importance_persons_count": rows,
        "importance_left_out_count": None if target is None else target.left_out,
        "importance_sample_count": None if everything is None else everything.persons,
        "screening_seen_count": None if screened is None else screened.material.shape[1],
        "screening_kept_count": None if screened is None else len(screened.kept),
        "screening_dropped_count": None if screened is None else len(screened.drops),
        "screening_defining_count": None if screened is None else len(screened.follows),
        "screening_other_count": None if screened is None else len(screened.kept) - len(screened.follows),
        "importance_by_lot": None if everything is None else everything.by_lot,
        "importance_groups_count": None if others is None else len(others.ranking),
        "importance_first_count": None if others is None else int((others.ranking["rank_low"] == 1).sum()),
        "importance_sure_count": None if others is None else len(sure(others)),
    }
    made |= _skill("importance_skill", others) | _skill("importance_all_skill", everything)
    for place, name in enumerate(("first", "second", "third")):
        made |= _placed(f"important_factor_{name}", sure(others), place, about)
    made |= _placed("importance_definer_first", _defining(study), 0, about)
    for end, row in zip(("most", "least"), ends(study) or (None, None), strict=True):
        made[f"important_factor_{end}_class"] = None if row is None else target.shown(t)[row["class"]]
        made[f"important_factor_{end}_mean"] = None if row is None else _mean(row, t)
    made |= _tree_facts(study)
    made |= {f"importance_{name}": value for name, value in params.model_dump().items()}
    return {name: (value, rows, "person_factors") for name, value in made.items()}


def ends(study: Study) -> tuple[dict, dict] | None:
    """Of the most important factor the classes with the greatest and the least mean, as rows of the differences; None
    where it has no mean, or chance may explain how a class differs."""
    found = sure(study.others)
    if found.empty or study.differences is None:
        return None
    factor = found["group"].iloc[0][0]
    own = study.differences[(study.differences["factor"] == factor) & study.differences["level"].isna()]
    if len(own) < 2:
        return None
    ends = own.loc[own["mean"].idxmax()].to_dict(), own.loc[own["mean"].idxmin()].to_dict()
    clear = all(e["q"] < FALSE_DISCOVERIES and abs(e["difference"]) >= SMALLEST_DIFFERENCE for e in ends)
    return ends if clear else None


def _mean(row: dict, t) -> str:
    kind = unit(row["factor"])
    return t.value(_figures(row["mean"], kind), kind)


def _defining(study: Study) -> pd.DataFrame:
    """Groups that surely matter among all factors and hold one that defines the classes or follows from it."""
    found = sure(study.all_factors)
    if study.screened is None or found.empty:
        return found
    return found[[any(f in study.screened.follows for f in group) for group in found["group"]]]


def _skill(name: str, weighed: Weighed | None) -> dict:
    if weighed is None:
        return dict.fromkeys(
            (name, f"{name}_low", f"{name}_high", f"{name}_auc", f"{name}_auc_low", f"{name}_auc_high")
        )
    a, b = weighed.accuracy, weighed.auc
    return {
        name: a.value,
        f"{name}_low": max(0.0, a.low),
        f"{name}_high": min(1.0, a.high),
        f"{name}_auc": b.value,
        f"{name}_auc_low": max(0.0, b.low),
        f"{name}_auc_high": min(1.0, b.high),
    }


def _placed(name: str, ranking: pd.DataFrame, place: int, about: pd.Series | None) -> dict:
    keys = ("points", "points_low", "points_high", "rank_low", "rank_high")
    if place >= len(ranking):
        return {name: None, **{f"{name}_{key}": None for key in keys}}
    row = ranking.iloc[place]
    found = (row["importance"], row["low"], row["high"], row["rank_low"], row["rank_high"])
    return {name: about[row["group"][0]], **{f"{name}_{k}": v for k, v in zip(keys, found, strict=True)}}


def _tree_facts(study: Study) -> dict:
    found = study.rules
    names = ("tree_accuracy", "tree_accuracy_low", "tree_accuracy_high", "tree_by_size", "tree_leaves_count")
    if found is None:
        return dict.fromkeys(names)
    a = found.accuracy
    return dict(zip(names, (a.value, a.low, a.high, found.by_size, len(list(found.root.leaves()))), strict=True))


# ---- importance ----------------------------------------------------------------------------------------------------


def top(study: Study, weighed: Weighed | None, t, most: int = 10) -> pd.DataFrame:
    """The most important groups of factors: factor (with how many vary with it), lead (its first factor alone), also
    (the others of the group), importance, low, high, interval (both in words), rank, ranks (from … to …), sure; empty
    when nothing may be ranked."""
    columns = ["factor", "lead", "also", "importance", "low", "high", "interval", "rank", "ranks", "sure"]
    if weighed is None or weighed.ranking.empty:
        return pd.DataFrame(columns=columns)
    label = study.screened.about["label"]
    rows = []
    for row in weighed.ranking.head(most).itertuples():
        first, *more = (label[f] for f in row.group)
        name = t.say("{factor:text} (and {more:count} more)", factor=first, more=len(more)) if more else first
        ends = t.say("{low:points} to {high:points}", low=row.low, high=row.high)
        rows.append(
            (
                name,
                first,
                t.listed(more) or "–",
                row.importance,
                row.low,
                row.high,
                ends,
                row.rank,
                _ranks(row, t),
                row.low > 0,
            )
        )
    return pd.DataFrame(rows, columns=columns)


def surely(frame: pd.DataFrame, names: str = "factor") -> list[str]:
    """Factors of `top` whose interval lies above nothing, as the column of names has them."""
    return frame.loc[frame["sure"].astype(bool), names].tolist()


def set_aside(study: Study, t) -> pd.DataFrame:
    """Factors that define the classes or follow from those that do: factor, why."""
    if study.screened is None:
        return pd.DataFrame(columns=["factor", "why"])
    label, found = study.screened.about["label"], study.screened.follows
    order = sorted(found, key=lambda f: list(FOLLOWS).index(found[f]))
    return pd.DataFrame([(label[f], t.text(FOLLOWS[found[f]])) for f in order], columns=["factor", "why"])


# ---- screening -----------------------------------------------------------------------------------------------------


def steps(study: Study, params: ImportanceParams, t) -> pd.DataFrame:
    """The screening step by step: step, dropped, left, why."""
    if study.screened is None:
        return pd.DataFrame(columns=["step", "dropped", "left", "why"])
    left = study.screened.material.shape[1]
    counts = study.screened.drops["step"].value_counts()
    rows = [(t.text(N_("Factors of the dictionary")), 0, left, "–")]
    values = params.model_dump()
    for code, name in STEPS.items():
        left -= int(counts.get(code, 0))
        named = {key: value for key, value in values.items() if f"{{{key}:" in WHY_STEP[code]}
        rows.append((t.text(name), int(counts.get(code, 0)), left, t.say(WHY_STEP[code], **named)))
    return pd.DataFrame(rows, columns=["step", "dropped", "left", "why"])


def by_class(study: Study) -> pd.DataFrame:
    """Factors of each class before and after the screening: class, before, after, others (neither defining nor
    following from the definition)."""
    if study.screened is None:
        return pd.DataFrame(columns=["class", "before", "after", "others"])
    s, rows = study.screened, []
    klass = s.about["class"].reindex(list(s.material))
    for name in dict.fromkeys(klass):
        own = set(klass.index[klass == name])
        after = own & set(s.kept)
        rows.append((name, len(own), len(after), len(after - set(s.follows))))
    return pd.DataFrame(rows, columns=["class", "before", "after", "others"])


def drops(study: Study, t) -> pd.DataFrame:
    """Every factor dropped: factor, class, step, why."""
    if study.screened is None:
        return pd.DataFrame(columns=["factor", "class", "step", "why"])
    about = study.screened.about
    rows = [
        (about["label"][row["factor"]], about["class"][row["factor"]], t.text(STEPS[row["step"]]), _why(row, about, t))
        for row in study.screened.drops.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["factor", "class", "step", "why"])


def _why(drop: dict, about: pd.DataFrame, t) -> str:
    """Why a factor was dropped, with the number that decided."""
    known = {"value": drop["value"], "formula": about["formula"][drop["factor"]]}
    known["other"] = about["label"][drop["other"]] if drop["other"] else ""
    return t.say(WHY_DROP[drop["step"]], **{k: v for k, v in known.items() if f"{{{k}:" in WHY_DROP[drop["step"]]})


def own_factors(study: Study, t) -> pd.DataFrame:
    """What became of each of the dealer's own factors: factor, fate, and where it is ranked importance, interval, ranks
    and also (the factors that vary with it); no rows without own factors."""
    columns = ["factor", "fate", "importance", "interval", "ranks", "also"]
    if study.screened is None or "own" not in study.screened.about:
        return pd.DataFrame(columns=columns)
    about, follows = study.screened.about, study.screened.follows
    dropped = {row["factor"]: row for row in study.screened.drops.to_dict("records")}
    rows = []
    for factor in about.index[about["own"].astype(bool)]:
        found = None if factor in dropped else _ranked(study.all_factors if factor in follows else study.others, factor)
        if factor in dropped:
            row = dropped[factor]
            fate = t.say(FATES["dropped"], step=t.text(STEPS[row["step"]]), why=_why(row, about, t))
        elif found is None:
            fate = t.text(FATES["unranked"])
        elif factor in follows:
            fate = t.say(FATES["follows"], why=t.text(FOLLOWS[follows[factor]]))
        else:
            fate = t.text(FATES["ranked"])
        rows.append((about["label"][factor], fate, *_placing(found, factor, about["label"], t)))
    return pd.DataFrame(rows, columns=columns)


def _ranked(weighed: Weighed | None, factor: str):
    """The row of the ranking whose group holds the factor, or None."""
    rows = () if weighed is None else weighed.ranking.itertuples()
    return next((row for row in rows if factor in row.group), None)


def _placing(row, factor: str, label: pd.Series, t) -> tuple:
    """Importance, interval, ranks and the factors that vary with it, as `top` has them."""
    if row is None:
        return None, "–", "–", "–"
    ends = t.say("{low:points} to {high:points}", low=row.low, high=row.high)
    also = t.listed(label[f] for f in row.group if f != factor)
    return row.importance, ends, _ranks(row, t), also or "–"


def _ranks(row, t) -> str:
    """The interval of a rank, in words."""
    if row.rank_low == row.rank_high:
        return str(row.rank_low)
    return t.say("{low:count} to {high:count}", low=row.rank_low, high=row.rank_high)


# ---- the tree ------------------------------------------------------------------------------------------------------


def unit(factor: str) -> str:
    """Kind of value of a factor, from its name."""
    if factor.startswith(FLAGS):
        return "share"
    return next((kind for part, kind in UNITS if part in factor), "number")


def tree_rows(study: Study, t) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The tree as `charts.tree` wants it, with the columns and the names of its parts; no rows when it says nothing.

    Classes beyond the four largest are joined.
    """
    if study.rules is None or not study.rules.has_skill:
        return pd.DataFrame(), [], []
    names = study.target.shown(t)
    order = list(study.rules.classes)
    sizes = study.rules.root.counts
    shown = (
        order if len(order) <= 5 else sorted(sorted(order, key=lambda c: -sizes[order.index(c)])[:4], key=order.index)
    )
    parts = [[order.index(c)] for c in shown] + (
        [[i for i, c in enumerate(order) if c not in shown]] if len(order) > 5 else []
    )
    rows: list[dict] = []
    _walk(study.rules.root, 0, t.text(N_("All owners looked at")), parts, study, t, rows)
    texts = [names[c] for c in shown] + ([t.text(N_("all other classes"))] if len(order) > 5 else [])
    return pd.DataFrame(rows), [f"part{k}" for k in range(len(parts))], texts


def _walk(node: Node, depth: int, text: str, parts, study: Study, t, rows: list[dict]) -> None:
    n = sum(node.counts)
    shares = {f"part{k}": sum(node.counts[i] for i in part) / n if n else 0.0 for k, part in enumerate(parts)}
    rows.append({"depth": depth, "text": text, "is_leaf": node.split is None, "n": n, **shares})
    if node.split is not None:
        for answer, child in ((True, node.yes), (False, node.no)):
            _walk(child, depth + 1, _answer(node.split, answer, study, t), parts, study, t, rows)


def _answer(split: Split, yes: bool, study: Study, t) -> str:
    """The answer to a question, in words."""
    label = study.screened.about["label"][split.factor]
    if split.level is not None:
        template = N_("{label:text}: {level:text}") if yes else N_("{label:text}: not {level:text}")
        return t.say(template, label=label, level=split.level)
    if not math.isfinite(split.threshold):
        known = yes == (split.threshold > 0)
        return t.say(
            N_("{label:text}: {level:text}"), label=label, level=t.text(N_("known") if known else N_("not known"))
        )
    if split.factor.startswith(FLAGS):
        text = t.say(N_("{label:text}: no") if yes else N_("{label:text}: yes"), label=label)
    else:
        value = t.value(split.threshold, unit(split.factor))
        text = t.say(
            N_("{label:text} ≤ {value:text}") if yes else N_("{label:text} > {value:text}"), label=label, value=value
        )
    if split.has_unknown and split.unknown_is_yes == yes:
        text = t.say(N_("{answer:text}, or unknown"), answer=text)
    return text


def recall(study: Study, t) -> pd.DataFrame:
    """Of each class the share of persons that the tree places right: class, persons, share, low, high."""
    if study.rules is None:
        return pd.DataFrame(columns=["class", "persons", "share", "low", "high"])
    counts = dict(zip(study.rules.classes, study.rules.root.counts, strict=True))
    return pd.DataFrame(
        [
            (name, counts[key], e.value, e.low, e.high)
            for key, name in study.target.shown(t).items()
            for e in (study.rules.recall[key],)
        ],
        columns=["class", "persons", "share", "low", "high"],
    )


# ---- differences ---------------------------------------------------------------------------------------------------


def _named(row: dict, study: Study, t) -> str:
    label = study.screened.about["label"][row["factor"]]
    return label if row["level"] is None else t.say(N_("{label:text}: {level:text}"), label=label, level=row["level"])


def listed(study: Study, t, defining: bool = False, most: int = 5) -> pd.DataFrame:
    """The largest differences of each class from all others: class, factor, own, others (means in the factor's unit),
    difference, interval, persons.

    Args:
        defining: those of factors that define the classes or follow from these, else those of all other factors.
        most: rows per class.
    """
    columns = ["class", "factor", "own", "others", "difference", "interval", "persons"]
    if study.differences is None:
        return pd.DataFrame(columns=columns)
    found = study.differences.assign(size=study.differences["difference"].abs())
    found = found[(found["q"] < FALSE_DISCOVERIES) & (found["size"] >= SMALLEST_DIFFERENCE)]
    found = found[found["follows"].notna() == defining]
    rows = []
    for key, name in study.target.shown(t).items():
        own = found[found["class"] == key].sort_values("size", ascending=False, kind="stable").head(most)
        for row in own.to_dict("records"):
            kind = "share" if row["level"] is not None else unit(row["factor"])
            ends = t.say("{low:number} to {high:number}", low=row["low"], high=row["high"])
            means = (t.value(_figures(row[m], kind), kind) for m in ("mean", "mean_others"))
            rows.append((name, _named(row, study, t), *means, row["difference"], ends, row["n"]))
    return pd.DataFrame(rows, columns=columns)


def _figures(value: float, kind: str) -> float:
    """A mean with as many figures as a reader wants of days, months and minutes."""
    return round(value) if kind in ("days", "minutes", "yuan", "km") or kind == "months" and abs(value) >= 10 else value


def map_of_differences(study: Study, t, most: int = 8) -> pd.DataFrame:
    """Differences of the classes in the factors, beside the defining ones, that differ most: factor down, class across,
    in standard deviations; empty where chance explains it."""
    if study.differences is None:
        return pd.DataFrame()
    found = study.differences[study.differences["follows"].isna()].copy()
    found["name"] = [_named(row, study, t) for row in found.to_dict("records")]
    clear = found["q"] < FALSE_DISCOVERIES
    found.loc[~clear, "difference"] = float("nan")
    size = found[clear & (found["difference"].abs() >= SMALLEST_DIFFERENCE)]
    order = size.groupby("name", sort=True)["difference"].apply(lambda d: d.abs().max())
    order = order.sort_values(ascending=False, kind="stable").head(most).index
    made = found.pivot(index="name", columns="class", values="difference").reindex(
        index=order, columns=list(study.target.names)
    )
    made.columns = [study.target.shown(t)[key] for key in made.columns]
    return made.rename_axis(index=None)


# ---- what is saved ----------------------------------------------------------------------------------------------------


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """What is saved: ``importance`` (question, factors, importance, low, high, rank, rank_low, rank_high),
    ``screening`` (the drops) and ``class_differences``; without rows where nothing was found."""
    columns = ["question", "factors", "importance", "low", "high", "rank", "rank_low", "rank_high"]
    parts = []
    for question, weighed in (("all", study.all_factors), ("others", study.others)):
        if weighed is not None and len(weighed.ranking):
            made = weighed.ranking.assign(question=question, factors=[", ".join(g) for g in weighed.ranking["group"]])
            parts.append(made[columns])
    screening = pd.DataFrame(columns=["factor", "step", "other", "value"])
    return {
        "importance": pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns),
        "screening": screening if study.screened is None else study.screened.drops,
        "class_differences": pd.DataFrame(columns=COLUMNS) if study.differences is None else study.differences,
    }
