"""What the page shows of the tags: facts, and one table with rule, persons and the change since last time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dealerkit.messages import N_
from dealerkit.params import Params
from dealerkit.report.smallcells import RATE_FROM, is_small
from dealerkit.tags import Tagged, catalogue

#: Which table would tell what a tag needs, for those that the data cannot tell.
_TOLD_BY = {
    "interactions": ("open_complaint", "complained", "low_survey", "test_drive", "showroom"),
    "leads": ("open_lead",),
    "campaigns": ("answers_campaigns",),
    "sales_orders": ("repeat_buyer",),
    "service_lines": ("declined_work",),
    "contacts": ("drives_for_others", "pays_for_others"),
}


def facts(tagged: Tagged, persons: pd.DataFrame, clean: Mapping, params: Params, t) -> dict[str, tuple]:
    """Facts of the tags: name → (value, rows, table); ``tag_<name>_persons`` for each tag that can be told.

    Args:
        tagged: of `tags.tags`.
        persons: all persons.
        clean: clean tables, by name.
        params, t: as for `tags.tags`.
    """
    given = int(tagged.rows.count().execute())
    found = {
        "tags_told_count": len(tagged.counts),
        "tags_untold_count": len(tagged.untold),
        "tags_given_count": given,
        "tags_per_person": given / len(persons) if len(persons) else None,
        "tagged_persons_count": int(tagged.rows.person_id.nunique().execute()),
        "tags_untold_text": _untold(tagged, clean, params, t) or None,
    }
    found |= {f"tag_{row.tag}_persons": row.persons for row in tagged.counts.itertuples()}
    return {name: (value, given, "tags") for name, value in found.items()}


def table(tagged: Tagged, persons: pd.DataFrame, last: Mapping | None, params: Params, t) -> pd.DataFrame:
    """The tags that can be told: class, label, rule, persons, share (of all persons, as text), change (in words).

    Args:
        tagged: of `tags.tags`.
        persons: all persons.
        last: `run.last_time()`, or None at the first report.
        params, t: as for `tags.tags`.

    A count of 1 to 4 persons has no share and no change, and no share stands beside fewer than 30.
    """
    rows = tagged.counts.merge(catalogue(params, t), on="tag", validate="one_to_one")
    before = (last or {}).get("facts", {})
    rows["share"] = [
        t.value(n / len(persons), "share") if n >= RATE_FROM or n == 0 and len(persons) else "–"
        for n in rows["persons"]
    ]
    rows["change"] = [_change(row.persons, before.get(f"tag_{row.tag}_persons"), t) for row in rows.itertuples()]
    return rows[["class_label", "label", "rule", "persons", "share", "change"]]


def _change(now: int, before: int | None, t) -> str:
    if before is None or is_small(now) or is_small(before):
        return "–"
    step = now - before
    sign = "▲" if step > 0 else "▼" if step < 0 else "▬"
    return f"{sign} {t.value(abs(step), 'count')}"


def _untold(tagged: Tagged, clean: Mapping, params: Params, t) -> str:
    """The tags that the data cannot tell, by name, and the tables that would tell some of them; empty when there is none."""
    if not tagged.untold:
        return ""
    label = catalogue(params, t).set_index("tag")["label"]
    between = "、" if t.language == "zh" else ", "
    names = between.join(label[name] for name in tagged.untold)
    missing = [name for name, told in _TOLD_BY.items() if name not in clean and set(told) & set(tagged.untold)]
    if not missing:
        return t.say(N_("Not told by the data: {tags:text}."), tags=names)
    tables = between.join(t.labels(name) for name in missing)
    return t.say(N_("Not told by the data: {tags:text}. Deliver {tables:text}."), tags=names, tables=tables)
