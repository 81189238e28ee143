"""Parts of a page as HTML strings; everything that comes in is escaped, all looks come from the page's style sheet.

What changes with the language takes a `Translator`; texts that come in are already in the report's language.
Parts of one kind that follow one another (cards, actions, third-width figures) are put side by side when the page
is rendered, whether one call made them or several cells did.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from dealerkit.errors import UserError
from dealerkit.report.smallcells import protect
from dealerkit.report.translate import KINDS, Translator

TONES = ("good", "warn", "bad", "plain")
DIRECTIONS = ("better", "worse", "flat", "none")
_STYLE = Path(__file__).parent / "template"
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d(?: \d\d:\d\d)?\b")
#: A number with its unit, or an interval with or without the value before it: kept on one line in a table.
_INTERVAL = re.compile(r"(?=.*(?: to |至))[−¥\d].{2,30}|[−¥]{0,2} ?\d[\d.,]* ?\S{0,7}")
#: Bytes (a Chinese letter has three) from which on a text needs a broad cell on a phone.
_LONG = 45
#: A unit in letters after the number of a card, set smaller than the number.
_UNIT = re.compile("(?<=\\d)[ \u00a0]([a-z]{3,}|个[^\\d]+)$")
_GLUE = re.compile(
    r"(?<=[¥\d]) (?=[\d%]|M\b|MB\b|bn\b|km\b|s\b|秒|/ 100|万元|亿元|元|公里|个|年|月|日)|(?<=\d /) (?=100)"
)


def esc(text: object) -> str:
    """Text made safe for HTML, with numbers kept on one line with their units."""
    glued = _GLUE.sub("\u00a0", html.escape(str(text), quote=True))
    return glued.replace("\u00a0个月", "\u00a0个\u2060月").replace("\u00a0个百分点", "\u00a0个\u2060百\u2060分\u2060点")


def _origin(origin: str) -> str:
    return f' data-origin="{esc(origin)}" title="{esc(origin)}"' if origin else ""


def lab_style() -> str:
    """Style element that makes parts look in JupyterLab as they do on a page; dropped when a page is rendered."""
    css = (_STYLE / "tokens.css").read_text(encoding="utf-8") + (_STYLE / "parts.css").read_text(encoding="utf-8")
    return f'<style data-lab="1">{css}</style>'


def headline(text: str, lead: str = "", origin: str = "") -> str:
    """The finding of the page, its title; `lead` is the sentence under it. The first one of a page goes to its top."""
    under = f'<p class="dk-lead">{esc(lead)}</p>' if lead else ""
    return f'<div class="dk-headline"{_origin(origin)}><h1>{esc(text)}</h1>{under}</div>'


def heading(text: str) -> str:
    """A heading that the contents list shows."""
    return f'<h2 class="dk-h2">{esc(text)}</h2>'


def paragraph(text: str, origin: str = "") -> str:
    """A sentence with numbers; `origin` says which cell, table and rows made them."""
    return f'<p class="dk-say"{_origin(origin)}>{esc(text)}</p>'


def note(text: str) -> str:
    """A remark in small, soft letters."""
    return f'<p class="dk-note">{esc(text)}</p>'


@dataclass(frozen=True)
class Card:
    """One number of the row at the top.

    Attributes:
        label: what it is.
        value: the number as readers write it.
        change: against last time, in words ("▼ 96 since June"); `direction` says whether that is better, worse,
            flat or none of these.
        note: interval or definition.
        target: the target from params beside it, as readers write it.
        origin: which cell, table and rows made it.
    """

    label: str
    value: str
    change: str = ""
    direction: str = "none"
    note: str = ""
    target: str = ""
    origin: str = ""


def cards(items: Sequence[Card], t: Translator) -> str:
    """A row of numbers."""
    words = {"better": t.text("better"), "worse": t.text("worse")}
    done = []
    for card in items:
        _one_of(card.direction, DIRECTIONS, "direction")
        word = words.get(card.direction)
        done.append(
            f'<div class="dk-card"{_origin(card.origin)}><div class="dk-label">{esc(card.label)}</div>'
            f'<div class="dk-value">{_value(card.value)}</div>'
            + (
                f'<div class="dk-change {card.direction}">{esc(card.change)}'
                + (f' <span class="dk-word">{esc(word)}</span>' if word else "")
                + "</div>"
                if card.change
                else ""
            )
            + (
                f'<div class="dk-target">{esc(t.say("target {target:text}", target=card.target))}</div>'
                if card.target
                else ""
            )
            + (f'<div class="dk-small">{esc(card.note)}</div>' if card.note else "")
            + "</div>"
        )
    return _group("cards", done)


def _value(text: str) -> str:
    return _UNIT.sub('\u00a0<span class="dk-unit">\\1</span>', esc(text))


@dataclass(frozen=True)
class Action:
    """Something to do next.

    Attributes:
        title: what to do, as a request.
        gain: what it brings, as readers write it ("¥ 410,000").
        gain_note: what kind of gain ("expected a year").
        how: who does it, how long it takes, how the effect will be known.
        origin: which cell, table and rows made the numbers.
    """

    title: str
    gain: str = ""
    gain_note: str = ""
    how: str = ""
    origin: str = ""


def actions(items: Sequence[Action]) -> str:
    """Numbered cards of what to do next."""
    done = []
    for action in items:
        gain = (
            f'<p class="dk-gain"><b>{esc(action.gain)}</b> <span>{esc(action.gain_note)}</span></p>'
            if action.gain
            else ""
        )
        how = f'<p class="dk-small">{esc(action.how)}</p>' if action.how else ""
        done.append(
            f'<article class="dk-action"{_origin(action.origin)}><h3>{esc(action.title)}</h3>{gain}{how}</article>'
        )
    return _group("actions", done)


def figure(
    png: bytes,
    finding: str,
    reading: str = "",
    alt: str = "",
    texts: Iterable[str] = (),
    size: str = "wide",
    origin: str = "",
) -> str:
    """A picture with what to see in it.

    Args:
        png: picture from `charts.png`.
        finding: what to see, its title.
        reading: how to read it: what is drawn, of whom, the band.
        alt: what is in the picture, for those who do not see it; at least the finding and the reading are said.
        texts: `charts.texts` of the picture; the leak gate reads them, they do not go into the page.
        size: ``wide``, or ``third`` for pictures that stand side by side.
        origin: which cell, table and rows made it.
    """
    _one_of(size, ("wide", "third"), "size")
    data = base64.b64encode(png).decode()
    said = alt or ". ".join(part.rstrip("。. ") for part in (finding, reading) if part)
    shown = html.escape("\n".join(texts), quote=True)
    # on a phone a wide picture scrolls sideways, so the keyboard must reach it
    focus = ' tabindex="0"' if size == "wide" else ""
    under = f'<div class="dk-reading">{esc(reading)}</div>' if reading else ""
    body = (
        f'<figure class="dk-figure {size}"{_origin(origin)} data-texts="{shown}">'
        f"<figcaption>{esc(finding)}</figcaption>"
        f'<div class="dk-picture"{focus}><img alt="{esc(said)}" src="data:image/png;base64,{data}"></div>'
        f"{under}</figure>"
    )
    return _group("charts", [body]) if size == "third" else body


def trust(score: float | None, text: str, t: Translator, origin: str = "") -> str:
    """How far the numbers can be trusted: a score of 0–100 (None: not known) and why."""
    shown = (
        f"{t.value(score, 'count')}<span>/100</span>"
        if score is not None and score == score
        else esc(t.text("not known"))
    )
    return f'<div class="dk-trust"{_origin(origin)}><div class="dk-score">{shown}</div><p>{esc(text)}</p></div>'


def gap(title: str, why: str, remedy: str, t: Translator) -> str:
    """What was not possible, why, and which table or key would make it possible."""
    tag = f'<span class="dk-tag warn">{esc(t.text("not possible yet"))}</span>'
    return (
        f'<aside class="dk-gap"><h3>{tag} {esc(title)}</h3>'
        f'<p>{esc(why)}</p><p class="dk-remedy">{esc(remedy)}</p></aside>'
    )


@dataclass(frozen=True)
class Col:
    """One column of a table.

    Attributes:
        name: column of the frame.
        label: heading in the report's language; the name if empty.
        kind: kind of value as in `translate.KINDS`, or ``tag`` for a coloured label.
        tones: for ``tag``: value → good, warn, bad or plain.
        bar: a bar under the number, as long as its part of the column's largest.
        persons: the column counts persons, parts of one breakdown: the rule for small numbers applies.
        rate_of: name of the column of persons that this rate or sum is about; left out where that one is small,
            hidden or under 30.
    """

    name: str
    label: str = ""
    kind: str = "text"
    tones: Mapping[str, str] = field(default_factory=dict)
    bar: bool = False
    persons: bool = False
    rate_of: str = ""


def table(
    frame: pd.DataFrame,
    columns: Sequence[Col],
    t: Translator,
    caption: str = "",
    highlight: Iterable[int] = (),
    total: Mapping[str, object] | None = None,
    origin: str = "",
) -> str:
    """A table as readers want it: numbers at the right, in their units.

    Args:
        frame: one row per row.
        columns: which columns, in order.
        caption: what the table shows.
        highlight: positions of rows to stress.
        total: column name → value of a last row.
        origin: which cell, table and rows made it.

    Raises `UserError` for a column that is not in the frame, or an unknown kind or tone.
    """
    for col in columns:
        if col.name not in frame.columns or col.rate_of and col.rate_of not in frame.columns:
            raise UserError(
                f"the table has no column {col.rate_of if col.name in frame.columns else col.name!r}",
                f"its columns are {', '.join(map(str, frame.columns))}",
            )
        _one_of(col.kind, (*KINDS, "tag"), "kind")
    guarded = {c.name for c in columns if c.persons} | {c.rate_of for c in columns if c.rate_of}
    rules = {name: _Guard.of(frame[name].tolist()) for name in guarded}
    stressed = set(highlight)
    head = "".join(f'<th scope="col"{_right(c)}>{esc(c.label or c.name)}</th>' for c in columns)
    rows = []
    for i in range(len(frame)):
        cells = "".join(_cell(frame, i, col, rules, t, first=j == 0) for j, col in enumerate(columns))
        rows.append(f'<tr class="dk-stress">{cells}</tr>' if i in stressed else f"<tr>{cells}</tr>")
    if not rows:
        rows = [f'<tr><td colspan="{len(columns)}" class="dk-soft">{esc(t.text("nothing to show"))}</td></tr>']
    foot = _total_row(total, columns, rules, t) if total else ""
    named = f"<caption>{esc(caption)}</caption>" if caption else ""
    legend = _legend(
        [rules[c.name] for c in columns if c.persons],
        any(c.rate_of and not all(rules[c.rate_of].rates) for c in columns),
        t,
    )
    label = esc(caption or t.text("table"))
    return (
        f'<div class="dk-table"{_origin(origin)}>'
        f'<div class="dk-scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>{foot}</table></div>{legend}</div>"
    )


@dataclass(frozen=True)
class _Guard:
    """The rule for small numbers applied to one column of persons."""

    status: tuple[str, ...]
    rates: tuple[bool, ...]
    total_hidden: bool

    @classmethod
    def of(cls, column: list) -> _Guard:
        counts = [None if pd.isna(count) else count for count in column]
        done = protect(counts)
        return cls(done.status, done.rate_allowed(counts), done.total_hidden)


def _right(col: Col) -> str:
    return "" if col.kind in ("text", "label", "tag", "day", "month") else ' class="n"'


def _cell(frame: pd.DataFrame, i: int, col: Col, rules: Mapping[str, _Guard], t: Translator, first: bool) -> str:
    value = frame[col.name].iloc[i]
    element, right = ("th" if first else "td"), _right(col)
    opened = f"<{element}{' scope=row' if first else ''}{right}>"
    if col.persons and (status := rules[col.name].status[i]) != "shown":
        return f"{opened}{'&lt;5' if status == 'small' else '…'}</{element}>"
    if col.rate_of and not rules[col.rate_of].rates[i]:
        return f'{opened}<span class="dk-soft">–</span></{element}>'
    if pd.isna(value):
        return f'{opened}<span class="dk-soft">{esc(t.text("not known"))}</span></{element}>'
    if col.kind == "tag":
        tone = _one_of(col.tones.get(str(value), "plain"), TONES, "tone")
        return f'{opened}<span class="dk-tag {tone}">{esc(t.text(str(value)))}</span></{element}>'
    bar = ""
    if col.bar:
        largest = float(frame[col.name].abs().max())
        part = 100 * abs(float(value)) / largest if largest else 0
        bar = f'<span class="dk-bar"><i style="width:{part:.0f}%"></i></span>'
    if col.kind == "text" and _INTERVAL.fullmatch(str(value)):
        return f'{opened}<span class="dk-nb">{esc(value)}</span></{element}>'
    if col.kind == "text" and not first and len(str(value).encode()) > _LONG:
        opened = f'<{element} class="dk-long">'
    shown = _DAY.sub(r'<span class="dk-nb">\g<0></span>', esc(t.value(value, col.kind)).replace(" · ", "\u00a0· "))
    return f"{opened}{shown}{bar}</{element}>"


def _total_row(total: Mapping[str, object], columns: Sequence[Col], rules: Mapping[str, _Guard], t: Translator) -> str:
    cells = []
    for j, col in enumerate(columns):
        guard = rules.get(col.rate_of or col.name)
        if col.name not in total:
            text = ""
        elif (col.persons or col.rate_of) and guard and guard.total_hidden:
            text = "…"
        else:
            text = esc(t.value(total[col.name], "text" if isinstance(total[col.name], str) else col.kind))
        cells.append(f'<th scope="row"{_right(col)}>{text}</th>' if j == 0 else f"<td{_right(col)}>{text}</td>")
    return f"<tfoot><tr>{''.join(cells)}</tr></tfoot>"


def _legend(rules: Sequence[_Guard], rate_missing: bool, t: Translator) -> str:
    said = []
    if any("small" in rule.status for rule in rules):
        said.append(t.text("<5: fewer than five persons."))
    if any("hidden" in rule.status or rule.total_hidden for rule in rules):
        said.append(t.text("…: left out, lest a small number can be worked out."))
    if rate_missing:
        said.append(t.text("–: too few persons for a rate (under 30)."))
    return f'<p class="dk-note">{esc(" ".join(said))}</p>' if said else ""


def _one_of(value: str, allowed: Sequence[str], what: str) -> str:
    if value not in allowed:
        raise UserError(f"{what} {value!r} is not known", f"use one of {', '.join(allowed)}")
    return value


def _group(kind: str, parts: Sequence[str]) -> str:
    """Parts side by side; the comments let the page join groups that follow one another."""
    return f'<!--dk:{kind}--><div class="dk-{kind}">{"".join(parts)}</div><!--/dk:{kind}-->'
