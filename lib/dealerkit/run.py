"""What a notebook holds: one dealer's run, with its tables, facts, sentences and figures.

Executed by make, a run writes where the chain told it to. Opened by hand (JupyterLab, nbval) it reads what make
built and saves below `build/<dealer>/scratch/`, so trying things never changes what make built.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq
from IPython.display import display

from dealerkit import charts, engine, memory
from dealerkit import params as params_
from dealerkit.cells import Cells
from dealerkit.derived import one_row
from dealerkit.errors import UserError
from dealerkit.report import fragments, scan
from dealerkit.report.fragments import Action, Card, Col
from dealerkit.report.smallcells import is_small
from dealerkit.report.translate import Translator, fields
from dealerkit.tables import TABLES

__all__ = ["Action", "Card", "Col", "Run", "open_run"]

#: How a step between two values is written, where not like the values.
_STEP_KINDS = {"share": "points", "score": "number", "persons": "count"}
#: Columns that put the rows of a derived table in an order, the first ones first.
_ORDERING = (
    *("table", "check", "person_id", "origin", "vin", "file", "row", "key", "column", "how", "source", "customer_id"),
    *("tag", "evidence", "seen_on", "kind", "other_person_id", "value"),
)


def _order_of(name: str, rows: ir.Table) -> list[str]:
    """Columns by which the rows of an expression are put in order, so that no two rows may change places."""
    if name in TABLES:
        return [*TABLES[name].key, "_file", "_row"]
    keys = [c for c in _ORDERING if c in rows.columns]
    return keys if one_row(name, "en") else [*keys, *(c for c in rows.columns if c not in keys)]


def project_root() -> Path:
    """The folder with the Makefile: DEALERKIT_ROOT, else the working folder or one above it."""
    named = os.environ.get("DEALERKIT_ROOT")
    here = Path(named) if named else Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params").is_dir() and (folder / "Makefile").is_file():
            return folder
    raise UserError(
        "this is no dealerkit folder: no params/ and Makefile here or above",
        "start from the project's folder, or set DEALERKIT_ROOT",
    )


def open_run(
    dealer: str, as_of: str | date | None = None, overrides: Mapping | None = None, page: str = "scratch"
) -> Run:
    """The run of a dealer, for a notebook.

    Args:
        dealer: name of a params file.
        as_of: day of which all is computed, or None for the one the audit found.
        overrides: params to replace, as in ``{"windows.lost_months": 18}``.
        page: name of the notebook (`20-customers`).

    Raises `UserError` for an unknown dealer, a bad date, unknown or bad params.
    """
    root = project_root()
    params = params_.load(root / "params" / f"{params_.check_dealer_name(dealer)}.yaml")
    params = params.overridden(dict(overrides)) if overrides else params
    return Run(root, params, _day(as_of), page)


def _day(text: str | date | None) -> date | None:
    if text is None or text == "" or isinstance(text, date):
        return text or None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"as_of {text!r} is no date", "write year, month and day, as in 2026-06-30") from None


class Run:
    """One dealer's run (see `open_run`).

    Attributes:
        dealer, params, page: as given.
        asked_as_of: the day asked for, or None.
        language: of the report.
        t: translator into it.
    """

    def __init__(self, root: Path, params: params_.Params, asked_as_of: date | None, page: str):
        self.dealer, self.params, self.asked_as_of, self.page = params.dealer, params, asked_as_of, page
        self.raw_dir, self.build = root / "data/raw" / self.dealer, root / "build" / self.dealer
        self.state = root / "data/state" / self.dealer
        by_make = os.environ.get("DEALERKIT_STAGE")
        self.out_dir = self.build / f".{page}.part" if by_make == page else self.build / "scratch" / page
        self.out_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.language = params_.environment_language(params)
        self.t = Translator(self.language)
        self._facts: dict[str, dict] = {}
        self._saved: set[str] = set()
        self._connection = None
        self._cells = Cells.watched()
        if by_make == page:
            engine.settle()
        if by_make != page and self._cells is not None and "DEALERKIT_VERIFY" not in os.environ:
            _show(fragments.lab_style(), "")
        if by_make != page and "DEALERKIT_VERIFY" not in os.environ:
            self._tell_day_of_tables()

    def _tell_day_of_tables(self) -> None:
        """Say when the tables built before are those of another day than the one asked for."""
        built = self.known("as_of", None) if self.asked_as_of else None
        if built and built != self.asked_as_of.isoformat():
            self.note(
                "The tables built before are those of {built:day}; only what is computed in this notebook is as of {asked:day}.",
                built=date.fromisoformat(built),
                asked=self.asked_as_of,
            )

    def _cell(self) -> int | None:
        """Number of the running code cell when the notebook runs from its top; the run is opened in the second."""
        return None if self._cells is None else self._cells.run + 2

    # ---- tables ------------------------------------------------------------------------------------------------

    @property
    def engine(self):
        """The engine's connection, opened when first used."""
        if self._connection is None:
            there = {*self.build.glob("[0-9][0-9]-*/*.parquet"), *self.out_dir.glob("*.parquet")}
            rows = max((pq.read_metadata(path).num_rows for path in there), default=0)
            self._connection = engine.connect(self.params.engine, self.out_dir / "spill", rows)
        return self._connection

    @property
    def as_of(self) -> date:
        """The day of which all is computed: the one asked for, else the one the audit found."""
        if self.asked_as_of:
            return self.asked_as_of
        return date.fromisoformat(self.known("as_of"))

    def table(self, name: str) -> ir.Table:
        """A built table, lazily: nothing is read until it is asked for. `tables` lists them.

        >>> visits = run.table("service_orders")                                            # doctest: +SKIP
        >>> visits.filter(visits.total_yuan > 5000).group_by("order_type").count().to_pandas()   # doctest: +SKIP

        Raises `UserError` for a name that is none, with the nearest.
        """
        return engine.read(self.engine, self._path(name))

    def frame(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """A built table as a pandas frame, or some of its columns; `table` for one too large for memory.

        >>> persons = run.frame("person_factors", ["person_id", "recency_days"])   # doctest: +SKIP
        """
        return pq.read_table(self._path(name), columns=columns).to_pandas(date_as_object=False)

    def tables(self) -> pd.DataFrame:
        """Every table there is to read: table, the page that made it, rows, columns, and what one row is, in the
        report's language (empty for a table of your own).

        >>> run.tables().query("page == '10-audit'")   # doctest: +SKIP
                    table      page   rows  columns                   one_row
        0  service_orders  10-audit  13063       22  a workshop visit, settled
        """
        rows = []
        for path in self._paths().values():
            meta = pq.read_metadata(path)
            rows.append(
                {
                    "table": path.stem,
                    "page": path.parent.name,
                    "rows": meta.num_rows,
                    "columns": meta.num_columns,
                    "one_row": one_row(path.stem, self.language),
                }
            )
        return pd.DataFrame(rows, columns=["table", "page", "rows", "columns", "one_row"])

    def _paths(self) -> dict[str, Path]:
        found = {
            p.stem: p
            for folder in sorted(self.build.glob("[0-9][0-9]-*"))
            if folder.is_dir()
            for p in sorted(folder.glob("*.parquet"))
        }
        return found | {name: self.out_dir / f"{name}.parquet" for name in sorted(self._saved)}

    def _path(self, name: str) -> Path:
        paths = self._paths()
        if name not in paths:
            raise UserError(
                f"no table {name!r}{params_.nearest(name, paths)}",
                f"there are {', '.join(paths) or 'none yet'}; `make report DEALER={self.dealer}` builds them",
            )
        return paths[name]

    def has(self, name: str) -> bool:
        """Whether a table is there to read."""
        return name in self._paths()

    def clean(self, *names: str) -> dict[str, ir.Table]:
        """The clean canonical tables of the audit, by name: all, or those of the names given that are there."""
        paths = self._paths()
        return {name: engine.read(self.engine, paths[name]) for name in names or TABLES if name in paths}

    def extras(self) -> dict[str, ir.Table]:
        """The further tables of the params (`extra_factors`) that the audit read, by their names there."""
        names = {table.name: f"extra_{table.name}" for table in self.params.extra_factors}
        return {name: self.table(saved) for name, saved in names.items() if self.has(saved)}

    def attach(self, paths: Mapping[str, Path]) -> dict[str, ir.Table]:
        """Parquet files as tables of the engine, by name."""
        return {name: engine.read(self.engine, path) for name, path in paths.items()}

    def save(self, name: str, rows: ir.Table | pd.DataFrame) -> int:
        """Write a table; returns its rows. A frame keeps its order; an expression is ordered by its keys, and in
        a table of your own then by all other columns, so that its bytes never depend on the engine."""
        path = self.out_dir / f"{name}.parquet"
        if isinstance(rows, pd.DataFrame):
            count = engine.write_frame(rows, path)
        else:
            count = engine.write(rows, path, _order_of(name, rows))
        self._saved.add(name)
        return count

    def save_all(self, named: Mapping[str, ir.Table | pd.DataFrame]) -> None:
        """Write several tables."""
        for name, rows in named.items():
            self.save(name, rows)

    # ---- facts -------------------------------------------------------------------------------------------------

    def fact(self, name: str, value, rows: int | None = None, table: str | None = None):
        """Name a number, day or text so that sentences, cards and later pages can say it; returns the value.

        Args:
            name: an identifier with its unit (`lost_share`).
            value: what JSON can hold, or a date.
            rows: how many rows made it.
            table: which table they are in.

        >>> run.fact("tyre_visits_count", 212, rows=13063, table="service_orders")   # doctest: +SKIP
        212
        """
        self.record({name: (value, rows, table)})
        return value

    def record(self, facts: Mapping[str, tuple]) -> None:
        """Name several facts: name → (value, rows, table)."""
        for name, (value, rows, table) in facts.items():
            if not name.isidentifier():
                raise UserError(f"{name!r} cannot name a fact", "use letters, digits and _")
            self._facts[name] = {
                "value": _plain(value),
                "rows": None if rows is None else int(rows),
                "table": table,
                "cell": self._cell(),
                "page": self.page,
            }
        (self.out_dir / "facts.json").write_text(
            json.dumps(self._facts, ensure_ascii=False, sort_keys=True, indent=1), encoding="utf-8"
        )

    def facts(self) -> dict[str, dict]:
        """Every fact of the pages built before this one and of this one: name → value, rows, table, cell, page."""
        found: dict[str, dict] = {}
        for path in sorted(self.build.glob("[0-9][0-9]-*/facts.json")):
            if path.parent.name < self.page or not self.page[:2].isdigit():
                found |= _facts_in(path, path.stat().st_mtime_ns)
        return found | self._facts

    def known(self, name: str, default=...):
        """The value of a fact; `UserError` when there is none and no default."""
        facts = self.facts()
        if name not in facts:
            if default is not ...:
                return default
            raise UserError(
                f"no fact {name!r}{params_.nearest(name, facts)}",
                f"`make report DEALER={self.dealer}` builds the pages that make it",
            )
        return facts[name]["value"]

    def last_time(self) -> dict | None:
        """Facts of the newest report with a strictly earlier `as_of`: ``{"as_of": …, "facts": …}``, or None at the first report."""
        return memory.last_snapshot(self.state, self.as_of)

    def earlier(self, most: int = 12) -> list[dict]:
        """The newest reports with a strictly earlier `as_of`, as `last_time` gives one, the oldest first."""
        return memory.snapshots(self.state, self.as_of, most)

    def memory(self) -> memory.Memory:
        """What earlier reports and people left for joining records into persons.

        Raises `UserError` for a file in the state folder that cannot be read or is not the kit's.
        """
        return memory.recall(self.state, self.as_of)

    # ---- what the page says --------------------------------------------------------------------------------------

    def text(self, template: str, **values) -> str:
        """The sentence in the report's language; placeholders that are not given are facts."""
        return self._filled(template, values)[0]

    def _filled(self, template: str, given: dict) -> tuple[str, str]:
        facts, used = None, []
        values = dict(given)
        for name, _kind in fields(template):
            if name in values:
                if (
                    isinstance(values[name], (int, float))
                    and not isinstance(values[name], bool)
                    and name not in self._facts
                ):
                    self.fact(name, values[name])
                continue
            facts = facts if facts is not None else self.facts()
            if name not in facts:
                raise UserError(
                    f"no fact {name!r} for the sentence {template!r}{params_.nearest(name, facts)}",
                    "name it with run.fact, or give it as an argument",
                )
            values[name] = facts[name]["value"]
            used.append(facts[name])
        return self.t.say(template, **values), self._origin(used)

    def _origin(self, used: Iterable[dict] = ()) -> str:
        used = list(used)
        if not used:
            return f"{self.page} · cell {self._cell()}"
        places = [
            f"{f['page']} · cell {f['cell']}"
            + (f" · {f['table']}" if f["table"] else "")
            + (f" · {f['rows']:,} rows" if f["rows"] is not None else "")
            for f in used
        ]
        return "; ".join(dict.fromkeys(places))

    def _says_all(self, template: str, values: Mapping) -> bool:
        """Whether every placeholder of the template has a known value."""
        return all(values.get(name, self.known(name, None)) is not None for name, _ in fields(template))

    def headline(self, template: str, lead: str = "", **values) -> None:
        """The finding of the page as its title, with a sentence under it; left out when it has nothing to say."""
        text, origin = self._filled(template, _used(template, values))
        under = self._filled(lead, _used(lead, values))[0] if lead and self._says_all(lead, values) else ""
        _show(fragments.headline(text, under, origin))

    def heading(self, text: str) -> None:
        """A heading in the contents list."""
        _show(fragments.heading(self.t.text(text)))

    def say(self, template: str, **values) -> None:
        """A sentence with its numbers: ``{fact:kind}`` is replaced by the fact, in the form of the kind (count, share,
        yuan, day, months, days, number, text, …); other values are given by name.

        >>> run.say("{tyre_visits_count:count} visits for tyres, {share:share} of all", share=0.016)   # doctest: +SKIP
        """
        _show(fragments.paragraph(*self._filled(template, values)))

    def say_known(self, *templates: str) -> None:
        """One paragraph of those sentences whose numbers are all known, nothing when there is none."""
        said = [self._filled(template, {}) for template in templates if self._says_all(template, {})]
        if said:
            between = "" if self.language == "zh" else " "
            origin = "; ".join(dict.fromkeys(origin for _, origin in said))
            _show(fragments.paragraph(between.join(text for text, _ in said), origin))

    def note(self, template: str, **values) -> None:
        """A remark in small letters."""
        _show(fragments.note(self._filled(template, values)[0]))

    def card(
        self,
        label: str,
        template: str,
        note: str = "",
        target=None,
        target_kind: str = "count",
        better: str | None = None,
        **values,
    ) -> Card:
        """One number for `cards`: its label, the number, its definition; the change against last time when there was one.

        Args:
            label, template, note: messages; the first placeholder of ``template`` is the fact compared with last time.
            target: target from params, shown beside the number.
            target_kind: kind of the target.
            better: ``up`` or ``down``, the good direction.
        """
        value, origin = self._filled(template, _used(template, values))
        under = self._filled(note, _used(note, values))[0] if note and self._says_all(note, values) else ""
        change, direction = self._change(template, better)
        shown = "" if target is None else self.t.value(target, target_kind)
        return Card(self.t.text(label), value, change, direction, under, shown, origin)

    def _change(self, template: str, better: str | None) -> tuple[str, str]:
        last = self.last_time()
        name, kind = fields(template)[0]
        kind = kind.split("|")[0]
        before = (last or {}).get("facts", {}).get(name)
        now = self.facts().get(name, {}).get("value")
        if before is None or now is None or not better:
            return "", "none"
        if kind == "persons" and (is_small(before) or is_small(now)):
            return "", "none"
        sign, size = self._step(before, now, kind)
        since = self.t.value(date.fromisoformat(last["as_of"]), "day")
        if sign == "▬":
            return self.t.say("▬ as on {since:text}", since=since), "flat"
        said = self.t.say("{sign:text} {size:text} since {since:text}", sign=sign, size=size, since=since)
        return said, "better" if (sign == "▲") == (better == "up") else "worse"

    def _step(self, before: float, now: float, kind: str) -> tuple[str, str]:
        """Sign and size of a change, as written; one too small to be seen is none."""
        kind = _STEP_KINDS.get(kind, kind)
        size, none = self.t.value(abs(now - before), kind), self.t.value(0 * abs(now - before), kind)
        return "▬" if size == none else "▲" if now > before else "▼", size

    def cards(self, items: list[Card]) -> None:
        """A row of numbers."""
        _show(fragments.cards(items, self.t))

    def todo(self, steps: Iterable[tuple[str, str, str, Mapping]]) -> None:
        """What to do next: (request, gain, how, values) each, the first three messages; placeholders not among the
        values are facts."""
        done = []
        for title, gain, how, values in steps:
            said = [self._filled(part, _used(part, values)) if part else ("", "") for part in (title, gain, how)]
            note = self.t.text("a year, first estimate") if gain else ""
            done.append(Action(title=said[0][0], gain=said[1][0], gain_note=note, how=said[2][0], origin=said[0][1]))
        if not done:
            return self.note("Nothing to do follows from the numbers of this page.")
        return _show(fragments.actions(done))

    def trend(
        self, frame: pd.DataFrame, x: str, y: str, finding: str, kind: str = "number", least: float = 0.0
    ) -> None:
        """A number from report to report: a line, on an axis at least so high, when there are three reports or more, else
        what it was the last time; says so at the first report."""
        if len(frame) >= 3:
            fig = charts.line(frame, x, y, self.t, kind=kind, x_kind="day", least=least)
            return self.figure(fig, finding, "From report to report")
        if len(frame) < 2:
            return self.note("This is the first report: there is no last time to compare with.")
        before = self.t.value(frame[y].iloc[0], kind)
        return self.note("Last time, as of {day:day}, it was {value:text}.", day=frame[x].iloc[0], value=before)

    def changes(self, followed: Iterable[tuple[str, str, str]]) -> None:
        """Facts against last time: (fact, label, kind) each; says so when this is the first report."""
        last = self.last_time()
        if last is None:
            return self.note("This is the first report: there is no last time to compare with.")
        rows = []
        for name, label, kind in followed:
            now, before = self.known(name, None), last["facts"].get(name)
            known = now is not None and before is not None
            known = known and not (kind == "persons" and (is_small(now) or is_small(before)))
            step = " ".join(self._step(before, now, kind)) if known else self.t.text("not known")
            rows.append(
                {
                    "label": self.t.text(label),
                    "before": self.t.value(before, kind),
                    "now": self.t.value(now, kind),
                    "step": step,
                }
            )
        columns = [Col("label", "Number"), Col("before", "Last time"), Col("now", "Now"), Col("step", "Change")]
        return self.show(
            pd.DataFrame(rows), columns, "Since the report as of {since:day}", since=date.fromisoformat(last["as_of"])
        )

    def trust(self, score: str, template: str, **values) -> None:
        """How far the numbers can be trusted: the fact that is the score (0–100), and why."""
        text, origin = self._filled(template, values)
        _show(fragments.trust(self.known(score, None), text, self.t, origin))

    def gap(self, title: str, why: str, remedy: str, **values) -> None:
        """What was not possible, why, and what would make it possible."""
        parts = [self._filled(part, _used(part, values))[0] for part in (title, why, remedy)]
        _show(fragments.gap(*parts, self.t))

    def gaps(self, found: Iterable[tuple[str, str, str]]) -> None:
        """What was not possible: (title, why, remedy) each, in the report's language; says so when there is nothing."""
        found = list(found)
        self.fact(f"gaps_{self.page.replace('-', '_')}", found)
        shown = [fragments.gap(*parts, self.t) for parts in dict.fromkeys(found)]
        _show("".join(shown) if shown else fragments.note(self.t.text("Nothing is missing.")))

    def gaps_so_far(self) -> list[tuple[str, str, str]]:
        """The gaps that the pages before this one stated, each once."""
        stated = [
            tuple(gap) for name, fact in self.facts().items() if name.startswith("gaps_") for gap in fact["value"]
        ]
        return list(dict.fromkeys(stated))

    def figure(self, fig, finding: str, reading: str = "", size: str = "third", **values) -> None:
        """A chart with what to see in it; the reading is its title when a number of the finding is not known.

        The picture's hash is printed, so that a rerun can be compared.
        """
        if reading and not self._says_all(finding, values):
            finding, reading = reading, ""
        picture = charts.png(fig)
        said = [self._filled(part, _used(part, values)) if part else ("", "") for part in (finding, reading)]
        html = fragments.figure(picture, said[0][0], said[1][0], texts=charts.texts(fig), size=size, origin=said[0][1])
        _show(html, f"{said[0][0]} [picture {hashlib.sha256(picture).hexdigest()[:8]}]")

    def show(
        self,
        frame: pd.DataFrame,
        columns: list[Col],
        caption: str = "",
        total: Mapping | None = None,
        highlight: Iterable[int] = (),
        hide_empty: bool = False,
        **values,
    ) -> None:
        """A table; headings and caption are messages. Without rows it says so, or is left out with ``hide_empty``."""
        if hide_empty and frame.empty:
            return
        labelled = [replace(c, label=self.t.text(c.label or c.name)) for c in columns]
        said, origin = self._filled(caption, values) if caption else ("", "")
        _show(fragments.table(frame, labelled, self.t, said, highlight, total, origin or self._origin()))


@lru_cache(maxsize=32)
def _facts_in(path: Path, _written: int) -> dict[str, dict]:
    """The facts of a page; read again when the file was written again."""
    return json.loads(path.read_text(encoding="utf-8"))


def _used(template: str, values: Mapping) -> dict:
    """Those of the values that the template has a place for."""
    names = {name for name, _ in fields(template)}
    return {name: value for name, value in values.items() if name in names}


def _show(html: str, text: str | None = None) -> None:
    display({"text/html": html, "text/plain": scan.plain(html) if text is None else text}, raw=True)


def _plain(value):
    if isinstance(value, date):
        return value.isoformat()[:10]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return None if value != value else round(value, 9)
    if value is None or isinstance(value, (int, str, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return round(float(value), 9)
