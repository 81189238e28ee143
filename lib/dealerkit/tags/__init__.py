"""Tags 标签: short rules that hold for a person or a car, each with the day since when where it is known.

The tags of the kit are declared once (`declared`), with their rule in words and its thresholds from the params; a
dealer's own (`own`) are conditions over the factors of a person. `events` gathers what the rules look at, `views` makes
what the page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import expressions
from dealerkit.engine import counts, frame_of, keep
from dealerkit.params import Params
from dealerkit.tags.declared import CLASSES, TAGS, UNKNOWN, Row, Tag, placeholders, thresholds
from dealerkit.tags.events import ASKED, Given, car_rows, person_rows
from dealerkit.tags.own import check_own, used, where

__all__ = ["CLASSES", "TAGS", "Tag", "Tagged", "catalogue", "check_own", "tags"]

#: Columns that are null for whom nothing happened, although the table that tells of it was delivered.
_EVENTS = ("active_ago", "regular_ago", "spender_ago", "high_km_ago", "comeback_ago", "accident_ago", "left_work_ago")
_EVENTS += ("second_car_ago", "complaint_ago", "open_complaint_ago", "survey_ago", "test_drive_ago", "showroom_ago")
_EVENTS += ("lead_ago", "response_ago", "interval_days_median", "own_rhythm_ratio", "drives_others", "pays_others")


@dataclass(frozen=True)
class Tagged:
    """The tags of all persons.

    Attributes:
        rows: person_id, vin (None for a tag of the person), tag, since (None where not known), rule (in words), own; kept on the engine.
        counts: tag → persons and cars that have it, one row per tag that can be told, in the order of the catalogue.
        untold: names of the tags that the data cannot tell.
    """

    rows: ir.Table
    counts: pd.DataFrame
    untold: tuple[str, ...]


def tags(
    connection,
    clean: Mapping[str, ir.Table],
    persons: pd.DataFrame,
    records: pd.DataFrame,
    cars: ir.Table,
    person_factors: pd.DataFrame,
    kinds: Mapping[str, str],
    params: Params,
    as_of: date,
    t,
    relations: pd.DataFrame | None = None,
) -> Tagged:
    """The tags of every person met by ``as_of`` (see `Tagged`).

    Args:
        connection: the engine's connection; what is made stays on it.
        clean: clean tables of the audit; rows dated after ``as_of`` have no say.
        persons, records, cars: of `identity`.
        person_factors: factors of persons at ``as_of``.
        kinds: factor → its type in an expression, of `factors.kinds`: a text of which nothing was delivered is a text.
        params: thresholds (`tags`, and those of `classes`, `windows`, `churn` that a rule names) and `own_tags`.
        as_of: the day of the report.
        t: translator, for the rules in words.
        relations: who drives or pays for whose car, of `identity`; without them those tags are untold.

    ``since`` is the day on which what happened gave the tag, or on which the rule began to hold, where the data tell it;
    else None: that a phone is missing, or that an own tag holds, is known of ``as_of`` and not of the days before.

    Raises `UserErrors` for own tags that cannot be computed, before anything is.
    """
    check_own(params, kinds)
    given = Given(dict(clean), persons, records, cars, person_factors, kinds, relations, params, as_of)
    people, vehicles = person_rows(connection, given, used(params)), car_rows(connection, given)
    told = [tag for tag in TAGS if _can_be_told(tag, vehicles if tag.of_car else people)]
    told = _with_values(told, people, vehicles)
    car = Row(vehicles, params, as_of)
    parts = [_given(vehicles, ["person_id", "vin"], {tag.name: tag.since(car) for tag in told if tag.of_car})]
    row = Row(people, params, as_of)
    of_person = {tag.name: tag.since(row) for tag in told if not tag.of_car}
    asked = {name: people[ASKED + name] for name in used(params)}
    of_person |= {
        own.name: row.when(expressions.condition(people, own.holds_when, where(place, own), asked))
        for place, own in enumerate(params.own_tags)
    }
    parts.append(_given(people, ["person_id"], of_person).mutate(vin=ibis.null("string")))
    named = catalogue(params, t)
    rows = _finished(connection, parts, named, as_of)
    untold = tuple(tag.name for tag in TAGS if tag not in told)
    return Tagged(rows, _counted(rows, named, untold), untold)


def _can_be_told(tag: Tag, rows: ir.Table) -> bool:
    return all(name in rows.columns for name in tag.needs)


def _with_values(tags_: list[Tag], people: ir.Table, vehicles: ir.Table) -> list[Tag]:
    """Those of the tags for which the data hold any value of what they need; an event may have happened to nobody."""
    held = {}
    for of_car, rows in ((False, people), (True, vehicles)):
        needed = {name for tag in tags_ if tag.of_car == of_car for name in tag.needs} - set(_EVENTS)
        found = counts(rows, {name: name for name in sorted(needed)}, {})
        held |= {(of_car, name): found[f"known {name}"] > 0 or not found["rows"] for name in needed}
    return [tag for tag in tags_ if all(held.get((tag.of_car, name), True) for name in tag.needs)]


def _given(rows: ir.Table, keys: list[str], since: Mapping[str, ir.IntegerValue]) -> ir.Table:
    """One row per tag that holds: keys, tag, days ago."""
    wide = rows.select(*keys, **since)
    return wide.pivot_longer([*since], names_to="tag", values_to="ago").filter(_.ago.notnull())


def _finished(connection, parts: list[ir.Table], named: pd.DataFrame, as_of: date) -> ir.Table:
    words = ibis.memtable(named[["tag", "rule", "own"]], schema={"tag": "string", "rule": "string", "own": "boolean"})
    rows = ibis.union(*(part.select("person_id", "vin", "tag", "ago") for part in parts))
    rows = rows.inner_join(words, "tag")
    since = (ibis.literal(as_of) - rows.ago.nullif(UNKNOWN).as_interval("D")).cast("date")
    return keep(connection, "tags", rows.select("person_id", "vin", "tag", since=since, rule=rows.rule, own=rows.own))


def _counted(rows: ir.Table, named: pd.DataFrame, untold: tuple[str, ...]) -> pd.DataFrame:
    found = frame_of(rows.group_by("tag").agg(persons=_.person_id.nunique(), cars=_.vin.nunique()))
    told = named[~named["tag"].isin(untold)][["tag"]]
    made = told.merge(found, on="tag", how="left", validate="one_to_one").fillna({"persons": 0, "cars": 0})
    return made.astype({"persons": int, "cars": int}).reset_index(drop=True)


def catalogue(params: Params, t) -> pd.DataFrame:
    """Every tag in the words of ``t``, the dealer's own last: tag, class, class_label, label, rule, of_car, step, offer, own."""
    in_force = thresholds(params)
    rows = [
        {
            "tag": tag.name,
            "class": tag.klass,
            "class_label": t.text(CLASSES[tag.klass]),
            "label": t.text(tag.label),
            "rule": t.say(tag.rule, **{name: in_force[name] for name in placeholders(tag.rule)}),
            "of_car": tag.of_car,
            "step": t.text(tag.step),
            "offer": tag.offer,
            "own": False,
        }
        for tag in TAGS
    ]
    rows += [
        {
            "tag": own.name,
            "class": "own",
            "class_label": t.text(CLASSES["own"]),
            "label": getattr(own.label, t.language),
            "rule": " ".join(own.holds_when.split()),
            "of_car": False,
            "step": "",
            "offer": False,
            "own": True,
        }
        for own in params.own_tags
    ]
    return pd.DataFrame(rows)
