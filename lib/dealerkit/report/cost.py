"""What the making of a report took, as a page: time and memory of each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from dealerkit.messages import N_
from dealerkit.report.fragments import Card, Col, cards, esc, heading, headline, note, paragraph, table
from dealerkit.report.page import Item, PageContext, write_page
from dealerkit.report.translate import Translator

#: How much of a line ran in this run of make, as a coloured label.
_RAN = {"all": N_("this run"), "some": N_("page only"), "none": N_("earlier")}
_TONES = {"this run": "good", "page only": "plain", "earlier": "plain"}


@dataclass(frozen=True)
class Step:
    """What one step took.

    Attributes:
        label: translatable name of the page it belongs to.
        kind: ``notebook`` run, ``page`` written, or ``programs`` loaded.
        cpu_seconds, seconds: of the processor (user and system, all its processes) and by the clock; ``None`` where
            it is not known.
        largest_mb: most memory that one of its processes held, in millions of bytes.
        earlier: it did not run in this run of make.
    """

    label: str
    kind: str
    cpu_seconds: float
    seconds: float | None
    largest_mb: float
    earlier: bool = False


def cost_page(
    out: Path,
    context: PageContext,
    steps: Sequence[Step],
    missing: int = 0,
    programs: Step | None = None,
    anew: bool = False,
) -> list[str]:
    """Write the page on what a report took; gives the messages that had no translation.

    Args:
        out, context: as for `page.render`.
        steps: in the order to show.
        missing: how many further steps left no record.
        programs: the process that loads the programs once for all steps; None without one.
        anew: each step loaded them itself.
    """
    t = Translator(context.language)
    lines = _lines([*steps, *([programs] if programs else [])], t)
    items = [Item(f"<h1>{esc(dict(context.foot).get(context.current, ''))}</h1>", "of the head")]
    if lines.empty:
        items.append(Item(headline(t.text("No step of this report has left a record of what it took")), "of the head"))
    else:
        items += [
            Item(_head(lines, t), "of the head"),
            Item(_cards(lines, programs, t), "of the numbers"),
            Item(_text(steps, missing, programs is not None, anew, t), "of the text"),
            Item(heading(t.text("Page by page")) + _table(lines, t), "of the table"),
        ]
    items.append(Item(_meaning(t), "of the text"))
    write_page(items, out, context, t)
    return t.untranslated


def _lines(steps: Sequence[Step], t: Translator) -> pd.DataFrame:
    """One line per page, its notebook and the writing of it together."""
    frame = pd.DataFrame([asdict(step) for step in steps], columns=list(Step.__dataclass_fields__))
    frame["label"] = [t.text(label) for label in frame["label"]]
    frame["page_seconds"] = frame["cpu_seconds"].where(frame["kind"] == "page", 0.0)
    lines = (
        frame.groupby("label", sort=False)
        .agg(
            cpu_seconds=("cpu_seconds", "sum"),
            page_seconds=("page_seconds", "sum"),
            seconds=("seconds", lambda s: s.sum(min_count=1)),
            largest_mb=("largest_mb", "max"),
            none=("earlier", "all"),
            some=("earlier", "any"),
        )
        .reset_index()
    )
    lines["ran"] = [_RAN["none" if a else "some" if b else "all"] for a, b in zip(lines["none"], lines["some"])]
    lines["share"] = lines["cpu_seconds"] / (lines["cpu_seconds"].sum() or 1)
    return lines


def _head(lines: pd.DataFrame, t: Translator) -> str:
    most = lines.loc[lines["cpu_seconds"].idxmax()]
    return headline(
        t.say("This report took {total:seconds} of processor time", total=lines["cpu_seconds"].sum()),
        t.say("{label:text} took the largest part of it, {share:share}.", label=most["label"], share=most["share"]),
    )


def _cards(lines: pd.DataFrame, programs: Step | None, t: Translator) -> str:
    total, pages = lines["cpu_seconds"].sum(), lines["page_seconds"].sum()
    loading = programs.cpu_seconds if programs else 0.0
    parts = [(t.text("Computing"), total - pages - loading), (t.text("Writing pages"), pages)]
    parts += [(t.text(programs.label), loading)] if programs else []
    largest = lines.loc[lines["largest_mb"].idxmax()]
    return cards(
        [
            *(
                Card(label, t.value(part, "seconds"), note=t.say("{part:share} of all", part=part / (total or 1)))
                for label, part in parts
            ),
            Card(t.text("Most memory"), t.value(largest["largest_mb"], "megabytes"), note=largest["label"]),
        ],
        t,
    )


def _text(steps: Sequence[Step], missing: int, once: bool, anew: bool, t: Translator) -> str:
    said = []
    if earlier := sum(step.earlier for step in steps):
        said.append(
            t.say(
                "{earlier:count} of {all:count} steps were up to date and did not run again; what they took when they last "
                "ran is shown.",
                earlier=earlier,
                all=len(steps),
            )
        )
    if missing:
        said.append(t.say("{missing:count|step|steps} left no record.", missing=missing))
    if once:
        said.append(
            t.text("The programs were loaded once for all steps of the run, those of other dealers in it included.")
        )
    if anew:
        said.append(t.text("Each step loaded the programs anew, which is part of its time."))
    return paragraph(" ".join(said)) if said else ""


def _table(lines: pd.DataFrame, t: Translator) -> str:
    columns = [
        Col("label", t.text("Page")),
        Col("cpu_seconds", t.text("Processor time"), "seconds"),
        Col("share", t.text("Share"), "share", bar=True),
        Col("page_seconds", t.text("Writing the page"), "seconds"),
        Col("seconds", t.text("By the clock"), "seconds"),
        Col("largest_mb", t.text("Most memory"), "megabytes"),
    ]
    if lines["some"].any():
        columns.append(Col("ran", t.text("Ran"), "tag", tones=_TONES))
    summed = {name: lines[name].sum() for name in ("cpu_seconds", "share", "page_seconds", "seconds")}
    total = {"label": t.text("together"), **summed, "largest_mb": lines["largest_mb"].max()}
    return table(lines, columns, t, total=total)


def _meaning(t: Translator) -> str:
    return note(
        t.text(
            "Processor time counts the seconds that the processor's cores worked; it can be more than the time by the "
            "clock when several work at once, and less when a step waits. Memory is the most that one process held, what it "
            "shares with others included. Not counted: make itself, and this page. This page differs from run to run; all "
            "others are the same to the byte for the same data, params and code."
        )
    )
