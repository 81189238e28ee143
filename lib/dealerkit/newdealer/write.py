"""From what was found to the text of a params file, every line with what it rests on, and the summary printed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace

from dealerkit import tables
from dealerkit.audit.views import SWITCHES_ON
from dealerkit.newdealer import further
from dealerkit.newdealer.fit import codes, fit
from dealerkit.newdealer.match import Match, Reading
from dealerkit.newdealer.sheets import PATTERNS, Sheet, Values, shown
from dealerkit.newdealer.words import likeness
from dealerkit.tables import Column, Table

#: Where comments begin, in columns of the screen.
_COMMENTS_AT = 46
#: A code value seen less often is not listed: it may be a slip, or somebody's name in the wrong column.
_LEAST_SEEN = 5
_MOST_OPEN = 12
_PERHAPS = "Perhaps tables of your own about customers or cars"
#: What a comment begins with → count of `Found`.
_MARKS = {"sure": "sure", "guessed": "guessed", "?": "open"}


@dataclass
class Found:
    """Counts of marked lines, of one entry or of all."""

    sure: int = 0
    guessed: int = 0
    open: int = 0

    def since(self, before: Found) -> Found:
        """What was added since."""
        return Found(self.sure - before.sure, self.guessed - before.guessed, self.open - before.open)


@dataclass
class Text:
    """The text of a params file, and what it holds.

    Attributes:
        lines: of the file.
        found: one `Found` per reading, in order.
        marked: of all lines.
        further: sheets that feed nothing and could be joined.
    """

    lines: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    marked: Found = field(default_factory=Found)
    further: list[further.Hint] = field(default_factory=list)

    def add(self, text: str, comment: str = "") -> None:
        """A line, its comment beginning where the others begin; counted by the mark that the comment begins with."""
        mark = _MARKS.get(comment.split(" ")[0])
        if mark:
            setattr(self.marked, mark, getattr(self.marked, mark) + 1)
        gap = " " * max(2, _COMMENTS_AT - _width(text))
        self.lines.append(f"{text}{gap}# {comment}" if comment else text)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def quoted(text: str) -> str:
    """A text as YAML takes it for a text."""
    safe = re.fullmatch(r"[A-Za-z\u4e00-\u9fff][\w\u4e00-\u9fff /.-]*", text) and text == text.strip()
    if safe and text.lower() not in ("y", "n", "yes", "no", "true", "false", "on", "off", "null"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def escaped(name: str) -> str:
    """A file name as a pattern that means nothing else."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def compose(
    dealer: str,
    readings: list[Reading],
    unread: list[tuple[str, str]],
    patterns: dict[int, str],
    needed: dict[int, dict[str, object]],
) -> Text:
    """The params file.

    Args:
        dealer: its name.
        readings: what each sheet is taken for.
        unread: file or sheet, and why it feeds nothing.
        patterns: number of a reading → one pattern for all its files.
        needed: number of a reading → keys that reading it needs (`header_row`, `delimiter`, …).
    """
    text = Text()
    fed = [r for r in readings if r.tables and not r.aside]
    text.lines += [
        "# yaml-language-server: $schema=schema.json",
        "#",
        f"# Written by make new-dealer from the headers and values of the files in data/raw/{dealer}/. At the end of each line:",
        "#   sure       a header that is known, or values that can be nothing else",
        "#   guessed    the likeliest header or value, and why: please read these lines",
        "#   ?          yours to decide: correct it and take the # in front away, or leave it as it is",
        f"# Afterwards: make report DEALER={dealer}.  params/demo.yaml explains every other key that may be set.",
        "",
    ]
    text.add(f"display_name: {quoted(dealer)}", "?  the name shown on the pages, or {en: …, zh: …}")
    chinese = sum(
        bool(re.search(r"[\u4e00-\u9fff]", c.header) and not re.search(r"[A-Za-z]{3}", c.header))
        for r in fed
        for c in r.sheet.columns
    )
    headers = sum(len(r.sheet.columns) for r in fed)
    language = "zh" if chinese > headers / 2 else "en"
    text.add(f"language: {language}", f"guessed  {chinese} of {headers} headers are Chinese only; en or zh")
    text.add("# delivered_on: 2026-09-30", "?  day of the export; without it, the last well-filled day of the visits")
    sources = ["dms", *sorted({r.source for r in fed} - {"dms"})]
    if len(sources) > 1:
        text.add(f"sources: [{', '.join(sources)}]", "guessed  systems in the order of trust: the first wins")
    text.lines += ["", "files:"]
    for at, reading in enumerate(readings):
        before, marked = len(text.lines), replace(text.marked)
        if reading.tables:
            _entries(text, at, reading, patterns.get(at), needed.get(at, {}))
        if reading.aside:
            text.marked.open += 1
            text.lines[before:] = [
                f"  # ? not read: {reading.aside}; take every # in front away to have it read as well",
                *("  # " + line[2:] for line in text.lines[before:]),
            ]
        text.found.append(text.marked.since(marked))
    _rest(text, fed, readings, unread)
    text.further = further.hints(
        readings, {at: _file(reading, patterns.get(at)) for at, reading in enumerate(readings)}
    )
    if text.further:
        text.lines += ["", f"# {_PERHAPS}; take the # in front away to have them joined:"]
        text.lines += [f"# {line}" for line in further.snippet(text.further, quoted)]
    return text


def _file(reading: Reading, pattern: str | None) -> str:
    """How the params name the files of a reading."""
    return pattern or escaped(reading.sheet.part.file)


def _entries(text: Text, at: int, reading: Reading, pattern: str | None, needed: dict[str, object]) -> None:
    """The entry of a reading; one for each of its files or sheets where no pattern holds them together."""
    places = [(pattern, "")] if pattern else [(escaped(f), s) for f, s in reading.sheet.places]
    anchor = f"sheet_{at + 1}" if len(places) > 1 else ""
    for number, (file, sheet) in enumerate(places):
        rows = f"{reading.sheet.rows:,} rows" + (f" in {len(reading.sheet.places)} files or sheets" if anchor else "")
        if pattern:
            rows += f" in {len(reading.sheet.places)} files: {', '.join(f for f, _ in reading.sheet.places)}"
        text.add(f"  - file: {quoted(file)}", rows if number == 0 else "as above")
        if sheet:
            text.add(f"    sheet: {quoted(sheet)}")
        clear = all(m.sure and m.known for m in _keys(reading))
        text.add(f"    tables: [{', '.join(reading.tables)}]", f"{'sure' if clear else 'guessed'}  {reading.why}")
        if reading.source != "dms":
            text.add(f"    source: {reading.source}", f"guessed  {'; '.join(reading.notes)}")
        for key, value in needed.items():
            value, why = value if isinstance(value, tuple) else (value, "needed to read it")
            if key.startswith("#"):
                text.add(f"    # {key[1:]}: {value}", why)
            else:
                text.add(f"    {key}: {quoted(value) if isinstance(value, str) else value}", why)
        if number:
            text.lines += [f"    columns: *{anchor}_columns"]
            if f"&{anchor}_values" in "\n".join(text.lines):
                text.lines += [f"    values: *{anchor}_values"]
            continue
        _columns(text, reading, f" &{anchor}_columns" if anchor else "")
        _values(text, reading, f" &{anchor}_values" if anchor else "")
        unused = [shown(c.header) for c in unused_columns(reading)]
        if unused:
            text.lines.append(f"    # not used: {', '.join(unused)}")


def _keys(reading: Reading) -> list[Match]:
    """The matches that make a sheet what it is taken for."""
    table = tables.TABLES[reading.tables[0]]
    names = {table.key[0], *(c.name for c in table.columns if c.required)}
    return [m for c, m in reading.matches[table.name].items() if c in names]


def unused_columns(reading: Reading) -> list[Values]:
    """Columns of the sheet that are taken for nothing."""
    used = {m.values.at for matches in reading.matches.values() for m in matches.values()}
    return [c for c in reading.sheet.columns if c.at not in used]


def written(reading: Reading) -> dict[str, tuple[str, str, Match]]:
    """Key under ``columns:`` → table, column and match: the bare column where all tables agree on the header."""
    out = {}
    for name, matches in reading.matches.items():
        for column, match in matches.items():
            same = [
                (m := reading.match(other, column)) is not None and m.values.at == match.values.at
                for other in reading.matches
                if column in tables.TABLES[other]
            ]
            out.setdefault(column if all(same) else f"{name}.{column}", (name, column, match))
    return out


def _columns(text: Text, reading: Reading, anchor: str) -> None:
    text.lines.append(f"    columns:{anchor}")
    for key, (_, _, match) in written(reading).items():
        header = quoted(reading.sheet.name_of(match.values))
        text.add(f"      {key}: {header}", f"{'sure' if match.sure else 'guessed'}  {match.why}")
    for name in reading.tables:
        for column in tables.TABLES[name].columns:
            if column.name in reading.matches[name] or column.name in tables.TABLES[name].key:
                continue
            near = candidates(tables.TABLES[name], column, reading)
            if near or column.expected:
                key = column.name if sum(column.name in tables.TABLES[t] for t in reading.tables) == 1 else ""
                headers = [reading.sheet.name_of(c) for c in near]
                text.add(
                    f"      # {key or f'{name}.{column.name}'}: {quoted(headers[0]) if near else '…'}",
                    f"?  {column.en}, {column.zh}: "
                    + (f"candidates: {', '.join(map(shown, headers))}" if near else "missing, no header like it"),
                )


def candidates(table: Table, column: Column, reading: Reading) -> list[Values]:
    """Unused columns that might be it, the likeliest first, three at most; any date might be a date."""
    near = []
    for values in unused_columns(reading):
        suits, alike = fit(table, column, values, {}), likeness(values.header, table, column)
        least = 0.0 if column.type in ("date", "time") else 0.2
        if not suits.against and values.texts and alike >= least and alike + suits.score >= 0.3:
            near.append((-(alike + suits.score), values.at, values))
    return [values for _, _, values in sorted(near, key=lambda n: n[:2])[:3]]


def _values(text: Text, reading: Reading, anchor: str) -> None:
    """The values of code columns that are not known spellings."""
    blocks = []
    for key, (name, column_name, match) in written(reading).items():
        column = tables.TABLES[name][column_name]
        if column.type != "code" or match.values.unique > 0.2:
            continue
        _, guessed, open_ = codes(column, match.values)
        open_ = [v for v in open_ if match.values.counts[v] >= _LEAST_SEEN and not _personal(v)]
        if guessed or open_:
            blocks.append((key, column, match.values, guessed, open_[:_MOST_OPEN]))
    if blocks:
        text.lines.append(f"    values:{anchor}" if any(b[3] for b in blocks) else "    # values:")
    for key, column, values, guessed, open_ in blocks:
        text.lines.append(f"      {'' if guessed else '# '}{key}:")
        size = len(values.all_texts)
        for value, code in guessed.items():
            text.add(f"        {quoted(value)}: {code}", f"guessed  {100 * values.counts[value] / size:.1f} % of rows")
        for value in open_:
            share = f"{100 * values.counts[value] / size:.1f} % of rows"
            text.add(f"        # {quoted(value)}: …", f"?  {share}; one of {', '.join(column.codes)}")


def _personal(value: str) -> bool:
    return len(value) > 24 or any(PATTERNS[n].fullmatch(value) for n in ("vin", "plate", "mobile", "id", "email"))


def _rest(text: Text, fed: list[Reading], readings: list[Reading], unread: list[tuple[str, str]]) -> None:
    """What was not read, and what nothing was found for."""
    nothing = [(str(r.sheet), "its headers are those of no table") for r in readings if not r.tables] + unread
    if nothing:
        text.lines += ["", "# Not read:"]
        text.lines += [f"# - {name}: {why}" for name, why in nothing]
    have = {t for r in fed for t in r.matches}
    missing = missing_tables(readings)
    if missing:
        text.lines += ["", "# Nothing was found for these; put a file into the folder and it would switch on:"]
        text.lines += [f"# - {n} ({tables.TABLES[n].zh}): {SWITCHES_ON[n]}" for n in missing]
    derived = [n for n in ("customers", "vehicles") if n in have and not any(n in r.tables for r in fed)]
    derived += [n for n in ("customers", "vehicles") if n not in have]
    if derived:
        text.lines += [
            f"# No file of their own: {' and '.join(derived)}; they are derived from the visits, with what stands there."
        ]


def missing_tables(readings: list[Reading]) -> list[str]:
    """Tables that nothing feeds and that cannot be derived."""
    fed = {t for r in readings if not r.aside for t in r.tables}
    return [n for n in tables.TABLES if n not in fed and n not in ("customers", "vehicles")]


def summary(dealer: str, text: Text, readings: list[Reading], unread: list[tuple[str, str]], written_to: str) -> str:
    """What is printed: files, tables, how many lines are sure, guessed and open, and the next command."""
    rows = [("file or sheet", "rows", "feeds", "sure", "guessed", "open")]
    for reading, found in zip(readings, text.found, strict=True):
        if reading.tables:
            feeds = ", ".join(reading.tables) + (f" of {reading.source}" if reading.source != "dms" else "")
            feeds += "  (not read: see the file)" if reading.aside else ""
            rows.append(
                (
                    name_of(reading.sheet),
                    f"{reading.sheet.rows:,}",
                    feeds,
                    *map(str, (found.sure, found.guessed, found.open)),
                )
            )
    widths = [max(_width(row[i]) for row in rows) for i in range(6)]
    out = [
        "  ".join(
            (" " * (w - _width(c)) + c) if i in (1, 3, 4, 5) else c + " " * (w - _width(c))
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    nothing = [(name_of(r.sheet), "its headers are those of no table") for r in readings if not r.tables] + unread
    if nothing:
        out += ["", "Not read:", *(f"  {name}: {why}" for name, why in nothing)]
    if text.further:
        out += ["", f"{_PERHAPS}, of which {written_to} holds this as a comment:"]
        out += [f"  {line}" for line in (*map(str, text.further), "", *further.snippet(text.further, quoted))]
    missing = missing_tables(readings)
    if missing:
        out += ["", "Nothing was found for:", *(f"  {n}: would switch on {SWITCHES_ON[n]}" for n in missing)]
    marked = text.marked
    out += [
        "",
        f"{written_to}: {marked.sure} lines sure, {marked.guessed} guessed, {marked.open} open (marked ?).",
    ]
    return "\n".join(out)


def name_of(sheet: Sheet) -> str:
    """File, sheet and how many more, for a line of the summary."""
    name = sheet.part.file + (f" · {sheet.part.sheet}" if sheet.part.sheet else "")
    return name + (f" (+{len(sheet.parts) - 1})" if len(sheet.parts) > 1 else "")
