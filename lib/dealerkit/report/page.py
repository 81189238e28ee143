"""A notebook that has run, or parts made otherwise, to one HTML file that opens by double-click.

The file loads nothing and runs nothing; it is not written when it holds a personal value, refers to something
outside the report, or is too large. Same notebook and context: same bytes.
"""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import nbformat
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from dealerkit.errors import UserError
from dealerkit.messages import N_, short_checksum
from dealerkit.report import scan
from dealerkit.report.fragments import esc
from dealerkit.report.leaks import Known, LeakError, PageError, find_in
from dealerkit.report.translate import Translator

#: Largest page in bytes.
MAX_BYTES = 2_000_000
_TEMPLATE = Path(__file__).parent / "template"
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_STYLER_ID = re.compile(r"\bT_[0-9a-f]{5}\b")
_CHART_TEXTS = re.compile(r' data-texts="([^"]*)"')
_HEADLINE = re.compile(r'<div class="dk-headline"[^>]*><h1>.*?</h1>(?:<p class="dk-lead">.*?</p>)?</div>', re.DOTALL)
_HEADING = re.compile(r'<h2(?: class="dk-h2")?>(.*?)</h2>', re.DOTALL)
_WORKING = r'<div class="working">(?:(?!<!--/working-->).)*<!--/working-->'
_SEAM = re.compile(rf'</div><!--/dk:(\w+)-->((?:\s*{_WORKING})*\s*)<!--dk:\1--><div class="dk-\1">', re.DOTALL)
_SEAM_MARK = re.compile(r"<!--/?(?:dk:\w+|working)-->")


@dataclass(frozen=True)
class PageContext:
    """What a page says beyond its notebook.

    Attributes:
        language: ``en`` or ``zh``.
        dealer: display name in that language.
        as_of: day as of which the report is computed.
        invented: the dealer is made up.
        logo, logo_mime: picture for the head of the page, with its kind (``image/png``, ``image/svg+xml``).
        pages: (file name, label) of the pages of the report, in order.
        current: file name of this page.
        provenance: from `provenance`.
        foot: (file name, label) of pages that are linked from the foot only.
        private: what the banner of a page says that holds personal values on purpose; empty for a page of the report.
    """

    language: str
    dealer: str
    as_of: date | None = None
    invented: bool = False
    logo: bytes | None = None
    logo_mime: str = "image/png"
    pages: tuple[tuple[str, str], ...] = ()
    current: str = ""
    provenance: Mapping[str, object] = field(default_factory=dict)
    foot: tuple[tuple[str, str], ...] = ()
    private: str = ""


@dataclass(frozen=True)
class Item:
    """A piece of a page: its HTML, where it comes from (said when it holds a leak), its kind."""

    html: str
    where: str
    kind: str = "part"


def provenance(
    inputs: Mapping[str, str], params: str, code: str, lock: str, as_of: str, state: str = "", **more: object
) -> dict[str, object]:
    """What a page was made from, in the order shown.

    Args:
        inputs: file name → hexadecimal digest; digests are shortened to a form that cannot be taken for a phone.
        params, code, lock: digests of the params, of the code, of the environment's lock.
        as_of: the day, and where it comes from, in words.
        state: which memory of an earlier run was used, in words; empty: none.
        more: further entries, their names are translatable.
    """
    return {
        N_("Input files"): dict(sorted(inputs.items())),
        N_("Params"): params,
        N_("Code"): code,
        N_("Environment"): lock,
        N_("As of"): as_of,
        N_("State used"): state or N_("none: first report"),
        **more,
    }


def render(notebook: Path, out: Path, context: PageContext, known: Known | None = None) -> list[str]:
    """Render a notebook that has run to `out`; gives the messages that had no translation.

    Raises `LeakError` or `PageError` (nothing is written), and `UserError` for a picture that was not made with
    `run.figure`, whose texts nobody could check.
    """
    notebook = Path(notebook)
    nb = nbformat.read(notebook, as_version=4)
    t = Translator(context.language)
    items = [item for number, cell in enumerate(nb.cells, 1) for item in _cell_items(cell, number, notebook.name, t)]
    write_page(items, out, context, t, known)
    return t.untranslated


def write_page(
    items: Sequence[Item], out: Path, context: PageContext, t: Translator, known: Known | None = None
) -> None:
    """Put the items into the template, check the page, and write it; see `render`. A private page may hold personal
    values, and is written for its owner's eyes only."""
    out = Path(out)
    parts = [part for item in items for part in _parts(item)]
    items = [Item(_CHART_TEXTS.sub("", item.html), item.where, item.kind) for item in items]
    frame = [context.dealer, *(label for _, label in (*context.pages, *context.foot))]
    made = _provenance(context.provenance, t)
    parts += [("head of the page", "\n".join(frame)), *scan.shown(made, "of the provenance")]
    if not context.private and (leaks := find_in(parts, known)):
        raise LeakError(out.name, leaks)
    page = _assemble(items, context, t, made)
    if found := scan.loads(page):
        raise PageError(
            f"{out.name} was not written, a browser would load, open or run: {', '.join(dict.fromkeys(found))}"
        )
    data = page.encode("utf-8")
    if len(data) > MAX_BYTES:
        raise PageError(
            f"{out.name} was not written: {len(data):,} bytes, at most {MAX_BYTES:,} are allowed; "
            "show fewer rows or pictures"
        )
    _write(out, data, 0o600 if context.private else 0o666)


def _write(out: Path, data: bytes, mode: int) -> None:
    temporary = out.with_name(f".{out.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _parts(item: Item) -> list[tuple[str, str]]:
    """(where, text) of all that an item shows, the texts in its pictures included."""
    texts = [(f"chart text {item.where}", html.unescape(found)) for found in _CHART_TEXTS.findall(item.html)]
    return texts + scan.shown(_CHART_TEXTS.sub("", item.html), item.where)


# From cells to items


def _cell_items(cell, number: int, name: str, t: Translator) -> list[Item]:
    where = f"of cell {number}"
    if cell.cell_type == "markdown":
        source = cell.source.strip()
        return [Item(_markdown(t.text(source)), where, "prose")] if source else []
    if cell.cell_type != "code" or not cell.source.strip():
        return []
    items = [Item(_working(Highlight2HTML(pygments_lexer="ipython3")(cell.source)), where, "working")]
    for output in cell.get("outputs", []):
        items.extend(_output_items(output, number, name))
    return items


def _output_items(output, number: int, name: str) -> list[Item]:
    where = f"of cell {number}"
    if output.output_type == "error":
        raise PageError(
            f"{name}, cell {number} failed ({output.get('ename', 'error')}); a failed notebook is not rendered"
        )
    if output.output_type == "stream":
        kind = "err" if output.name == "stderr" else "out"
        return [Item(_printed(output.text, kind), where, "working")]
    data = output.get("data", {})
    if "text/html" in data:
        body = _steady_ids("".join(data["text/html"]).strip())
        return [] if body.startswith('<style data-lab="1">') else [Item(body, where)]
    if any(kind.startswith("image/") for kind in data):
        raise UserError(
            f"{name}, cell {number} shows a picture by itself; the texts in it cannot be checked for personal values",
            "show it with run.figure(fig, finding)",
        )
    return [Item(_printed("".join(data["text/plain"]), "out"), where, "working")] if "text/plain" in data else []


def _steady_ids(body: str) -> str:
    """Random table ids of pandas' Styler, numbered instead."""
    for k, found in enumerate(dict.fromkeys(_STYLER_ID.findall(body)), 1):
        body = body.replace(found, f"T_{k}")
    return body


def _working(inner: str) -> str:
    return f'<div class="working">{inner}</div><!--/working-->'


def _printed(text: str, kind: str) -> str:
    return _working(f'<pre class="{kind}">{html.escape(_ADDRESS.sub("0x…", text))}</pre>')


def _markdown(source: str) -> str:
    """Markdown as HTML; its first heading is the page's, further ones of that rank count as second rank."""
    body = MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source)
    body = re.sub(r"<(h[1-6])(?: id=\"[^\"]*\")?>", r"<\1>", body)
    body = re.sub(r"(?<=\d) (?=%)", "\u00a0", body)  # a number stays on one line with its sign
    return f'<div class="prose">{body.strip()}</div>'


# From items to the page


@dataclass(frozen=True)
class _Page:
    """What the template fills in."""

    text: Callable[[str], str]
    tag: str
    context: PageContext
    title: str
    kicker: str
    head: str
    body: str
    contents: list[tuple[str, str]]
    css: str
    logo: str
    as_of: str
    provenance: str
    has_workings: bool


@lru_cache(maxsize=1)
def _exporter() -> TemplateExporter:
    return TemplateExporter(
        template_name="template", template_file="page.html.j2", extra_template_basedirs=[str(_TEMPLATE.parent)]
    )


@lru_cache(maxsize=2)
def _css(private: bool) -> str:
    names = ("tokens.css", "parts.css", "page.css", *(["profile.css"] if private else []))
    text = "".join((_TEMPLATE / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()


def _assemble(items: Sequence[Item], context: PageContext, t: Translator, made: str) -> str:
    title, kicker, head, body = _titled("\n".join(item.html for item in items), context)
    contents: list[tuple[str, str]] = []

    def anchored(match: re.Match) -> str:
        contents.append((f"s{len(contents) + 1}", scan.plain(match[1])))
        return f'<h2 id="s{len(contents)}">{match[1]}</h2>'

    body = _HEADING.sub(anchored, body)
    while (joined := _SEAM.sub(r"\2", body)) != body:
        body = joined
    logo = f"data:{context.logo_mime};base64,{base64.b64encode(context.logo).decode()}" if context.logo else ""
    as_of = t.say("as of {day:day}", day=context.as_of) if context.as_of else ""
    page = _Page(
        lambda msgid: t.text(msgid),  # nbconvert copies its resources deeply, and t counts what it misses
        t.tag,
        context,
        scan.plain(title),
        kicker,
        head,
        _SEAM_MARK.sub("", body),
        contents,
        _css(bool(context.private)),
        logo,
        as_of,
        made,
        any(item.kind == "working" for item in items),
    )
    return _exporter().from_notebook_node(nbformat.v4.new_notebook(), resources={"page": page})[0]


def _titled(body: str, context: PageContext) -> tuple[str, str, str, str]:
    """Title, line over it, head and the rest: the first headline is the title, else the first heading is."""
    first = re.search(r"<h1>(.*?)</h1>", _HEADLINE.sub("", body), re.DOTALL)
    heading = first[1] if first else ""
    found = _HEADLINE.search(body)
    if found:
        body = body[: found.start()] + body[found.end() :]
        head, kicker = found[0], scan.plain(heading)
        title = re.search(r"<h1>(.*?)</h1>", head, re.DOTALL)[1]
    else:
        title = heading or esc(dict(context.pages).get(context.current, context.dealer))
        head, kicker = f"<h1>{title}</h1>", ""
    if heading:
        body = body.replace(f"<h1>{heading}</h1>", "", 1)
    return title, kicker, head, body.replace("<h1>", "<h2>").replace("</h1>", "</h2>")


def _provenance(entries: Mapping[str, object], t: Translator) -> str:
    rows = []
    for key, value in entries.items():
        if isinstance(value, Mapping):
            shown = "".join(
                f"<div><span>{esc(k)}</span> <code>{esc(_said(v, t))}</code></div>" for k, v in value.items()
            )
        else:
            shown = esc(_said(value, t))
        rows.append(f"<dt>{esc(t.text(key))}</dt><dd>{shown}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if rows else f"<p>{esc(t.text('not known'))}</p>"


def _said(value: object, t: Translator) -> str:
    if isinstance(value, date):
        return t.value(value, "day")
    if isinstance(value, (list, tuple)):
        return t.listed(_said(v, t) for v in value)
    text = str(value)
    return (
        short_checksum(text)
        if re.fullmatch(r"[0-9a-f]{32,}", text)
        else t.text(text)
        if text == "none: first report"
        else text
    )
