"""The data dictionary as a page, from the declared tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dealerkit import tables
from dealerkit.messages import N_
from dealerkit.report.fragments import Col, esc, headline, paragraph, table
from dealerkit.report.leaks import Known
from dealerkit.report.page import Item, PageContext, write_page
from dealerkit.report.translate import Translator

_TYPES = {
    "text": N_("text"),
    "date": N_("date"),
    "time": N_("date and time"),
    "int": N_("whole number"),
    "number": N_("number"),
    "money": N_("yuan, two decimals"),
    "bool": N_("yes or no"),
    "code": N_("code"),
}
_PERSONAL = {
    "name": N_("personal: name"),
    "phone": N_("personal: phone"),
    "id": N_("personal: ID number"),
    "plate": N_("personal: plate"),
    "vin": N_("personal: VIN"),
    "email": N_("personal: e-mail"),
    "address": N_("personal: address"),
    "birth": N_("personal: birth date"),
    "free_text": N_("personal: free text"),
}
_KNOWN = {"always": N_("always"), "export": N_("only at delivery"), "parent": N_("with its order")}
_UNITS = {"km": N_("km"), "minutes": N_("minutes"), "hours": N_("hours"), "seconds": N_("seconds")}


def dictionary_page(
    out: Path,
    context: PageContext,
    extra: Sequence[tuple[str, pd.DataFrame, Sequence[Col]]] = (),
    known: Known | None = None,
) -> list[str]:
    """Write the data dictionary; gives the messages that had no translation.

    Args:
        out, context, known: as for `page.render`.
        extra: further tables, such as the factors: (heading, frame, columns) in the report's language.
    """
    t = Translator(context.language)
    items = [
        Item(
            headline(
                t.text("Data dictionary"),
                t.text(
                    "Every table that a dealer's exports are read into: what a row is, what each column means, "
                    "which headers are accepted."
                ),
            ),
            "of the head",
        )
    ]
    for declared in tables.TABLES.values():
        items.append(Item(_table(declared, t), f"of table {declared.name}"))
    for heading, frame, columns in extra:
        items.append(Item(f"<h2>{esc(heading)}</h2>{table(frame, columns, t)}", f"of {heading}"))
    write_page(items, out, context, t, known)
    return t.untranslated


def _table(declared: tables.Table, t: Translator) -> str:
    row = declared.row_zh if t.language == "zh" else declared.row_en
    said = [t.say("A row is {row:text}. Key: {key:text}.", row=row, key=" + ".join(declared.key))]
    if declared.date:
        said.append(t.say("Main date: {date:text}.", date=declared.date))
    if declared.required:
        said.append(t.text("The report needs this table."))
    head = "".join(
        f'<th scope="col">{esc(t.text(h))}</th>'
        for h in (
            N_("Column"),
            N_("Meaning"),
            N_("Type"),
            N_("Allowed values"),
            N_("Known from"),
            N_("Empty means"),
            N_("Headers also accepted"),
        )
    )
    rows = "".join(f"<tr>{_row(column, declared, t)}</tr>" for column in declared.columns)
    label = esc(declared.label(t.language))
    return (
        f"<h2>{label}</h2>{paragraph(' '.join(said))}"
        f'<div class="dk-table"><div class="dk-scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _row(column: tables.Column, declared: tables.Table, t: Translator) -> str:
    other = column.label("en" if t.language == "zh" else "zh")
    marks = [(t.text("key"), "plain")] if column.name in declared.key else []
    if column.required and column.name not in declared.key:
        marks.append((t.text("required"), "plain"))
    if column.personal:
        marks.append((t.text(_PERSONAL[column.personal]), "warn"))
    tags = "".join(f'<br><span class="dk-tag {tone}">{esc(text)}</span>' for text, tone in marks)
    unit = f", {t.text(_UNITS[column.unit])}" if column.unit in _UNITS else ""
    cells = [
        esc(t.text(_TYPES[column.type])) + esc(unit),
        _allowed(column, t),
        esc(t.text(_KNOWN[column.known_from]) if column.known_from in _KNOWN else column.known_from),
        esc(t.text(column.null_means)),
        esc(" · ".join(column.synonyms)),
    ]
    return (
        f'<th scope="row"><code>{esc(column.name)}</code></th><td>{esc(column.label(t.language))}<br>'
        f'<span class="dk-soft">{esc(other)}</span>{tags}</td>' + "".join(f"<td>{cell}</td>" for cell in cells)
    )


def _allowed(column: tables.Column, t: Translator) -> str:
    if column.type == "bool":
        return ""
    if column.codes:
        place = 1 if t.language == "zh" else 0
        return "<br>".join(
            f"<code>{esc(code)}</code>"
            + (f" {esc(spellings[place])}" if spellings[place] != code.replace("_", " ") else "")
            for code, spellings in column.codes.items()
        )
    if column.lo is not None or column.hi is not None:
        return esc(t.say("{low:number} to {high:number}", low=column.lo, high=column.hi))
    if column.ref:
        return esc(t.say("key of {table:text}", table=t.labels(column.ref)))
    return ""
