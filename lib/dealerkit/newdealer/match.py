"""Which tables a sheet feeds, which column of it is which, and which sheets come from a second system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from dealerkit import tables
from dealerkit.ingest.headers import MADE_KEYS
from dealerkit.newdealer.fit import Fit, fit, overlap
from dealerkit.newdealer.sheets import Sheet, Values, shown
from dealerkit.newdealer.words import concepts, is_known, likeness
from dealerkit.tables import Table

#: Columns that values of an unmistakable format mean when the header says nothing.
_NATURAL = {"vin": "vin", "plate": "plate", "mobile": "phone", "id": "id_number", "email": "email"}
#: Names of second systems by the table that gives them away.
_SOURCES = {"interactions": "callcentre", "leads": "crm", "service_orders": "workshop", "sales_orders": "sales"}
#: Below this share of common keys two files do not speak of the same customers.
_SAME_SPACE = 0.1


@dataclass(frozen=True)
class Match:
    """A column of a sheet taken for a canonical column."""

    values: Values
    likeness: float
    fit: Fit
    known: bool
    rivals: tuple[str, ...] = ()
    only: bool = False

    @property
    def sure(self) -> bool:
        """A declared spelling whose values fit; or a like one, the only column of an unmistakable format (`only`).

        Never where a second column is spelled like it as well.
        """
        unmistakable = self.only and self.likeness >= 0.6 and self.values.shares[self.values.format] >= 0.9
        return not self.rivals and (self.known or unmistakable)

    @property
    def gain(self) -> float:
        return self.likeness + self.fit.score + (0.5 if self.known else 0.0)

    @property
    def why(self) -> str:
        """Why, in a few words."""
        if self.sure and self.known:
            return "known header"
        said = [f"so is {', '.join(map(shown, self.rivals))}"] if self.rivals else []
        if self.known:
            said.insert(0, "known header")
        elif self.likeness >= 0.3:
            said.append("like known headers" if self.likeness >= 0.9 else f"header {100 * self.likeness:.0f} % alike")
        return "; ".join([*said, *([self.fit.why] if self.fit.why else [])]) or "nothing nearer"


@dataclass
class Reading:
    """What a sheet is taken for.

    Attributes:
        sheet: the sheet, or several of the same headers.
        tables: tables it feeds, the main one first; none when it is no table of ours.
        matches: table → column → match, also of tables that are derived from it.
        source: name of the system; empty until settled.
        ids_from: system whose customer numbers it uses, if another.
        aside: why the entry is only a comment, if it is.
        why: what speaks for the tables.
    """

    sheet: Sheet
    tables: list[str] = field(default_factory=list)
    matches: dict[str, dict[str, Match]] = field(default_factory=dict)
    source: str = "dms"
    aside: str = ""
    why: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def main(self) -> str:
        return self.tables[0] if self.tables else ""

    def match(self, table: str, column: str) -> Match | None:
        return self.matches.get(table, {}).get(column)


def assign(table: Table, columns: Iterable[Values], keys: dict[str, frozenset[str]]) -> dict[str, Match]:
    """The best one-to-one choice of columns for a table's columns."""
    columns = list(columns)
    formats = [c.format for c in columns]
    options: dict[tuple[int, int], Match] = {}
    for i, wanted in enumerate(table.columns):
        for j, values in enumerate(columns):
            alike, suits = likeness(values.header, table, wanted), fit(table, wanted, values, keys)
            if suits.against:
                continue
            known = is_known(values.header, wanted)
            natural = values.format and _NATURAL[values.format] == wanted.name and formats.count(values.format) == 1
            coded = wanted.type == "code" and suits.score >= 0.4 and len(values.distinct) > 1
            if known or natural or coded or alike >= 0.5 or (alike >= 0.3 and suits.score > 0.05):
                options[i, j] = Match(values, alike, suits, known, only=bool(natural))
    if not options:
        return {}
    gains = np.zeros((len(table.columns), len(columns)))
    for (i, j), match in options.items():
        gains[i, j] = max(match.gain, 0.01)
    chosen = {}
    for i, j in zip(*linear_sum_assignment(-gains), strict=True):
        if (i, j) not in options:
            continue
        match = options[i, j]
        rivals = tuple(m.values.header for (a, b), m in options.items() if a == i and b != j and m.known)
        chosen[table.columns[i].name] = replace(match, rivals=rivals)
    return chosen


def lacking(table: Table, matches: dict[str, Match]) -> list[str]:
    """Required columns that no header was found for and that cannot be made."""
    return [
        c.name
        for c in table.columns
        if c.required and c.name not in matches and c.name != MADE_KEYS.get(table.name) and c.name != "line_no"
    ]


def _hint(table: Table, sheet: Sheet) -> float:
    """How much the names of file and sheet speak for a table."""
    name = concepts(f"{sheet.part.sheet} {sheet.part.file.rsplit('/', 1)[-1].rsplit('.', 1)[0]}")
    own = concepts(sheet.part.sheet) or name
    wanted = concepts(table.zh) | concepts(table.en) | concepts(table.name.replace("_", " "))
    wanted = {w for w in wanted if not w.startswith("?")}
    return 0.6 * len(own & wanted) / max(1, len(wanted)) + 0.2 * bool(name & wanted)


def _weight(table: Table, matches: dict[str, Match], sheet: Sheet) -> float:
    """What speaks for a table: its matches, its key, the names of file and sheet, less what it leaves unexplained."""
    if lacking(table, matches):
        return -1.0
    gains = sum(m.gain for m in matches.values())
    strong = sum(m.known or m.likeness >= 0.5 or m.fit.score >= 0.4 for m in matches.values())
    if strong < min(3, len(sheet.columns)) or len(matches) < min(3, len(sheet.columns)):
        return -1.0
    key = matches.get(table.key[0])
    bonus = 0.6 if key and (len(table.key) > 1 or key.values.unique >= 0.9) else 0.0
    return gains + bonus + _hint(table, sheet) + 0.3 * len(matches) / len(table.columns)


def read(sheets: list[Sheet]) -> list[Reading]:
    """What each sheet is taken for, every sheet with a reading; see `Reading`."""
    keys: dict[str, frozenset[str]] = {}
    readings: list[Reading] = []
    for _ in range(2):  # the second time the keys of the other sheets are known
        readings = [_first(sheet, keys) for sheet in sheets]
        keys = _keys(readings)
    for reading in readings:
        if reading.tables:
            _further(reading, readings, keys)
    _sources(readings)
    _repeats(readings)
    _derived(readings, keys)
    return readings


def _first(sheet: Sheet, keys: dict[str, frozenset[str]]) -> Reading:
    """The main table of a sheet."""
    reading = Reading(sheet)
    weights = {}
    for name, table in tables.TABLES.items():
        reading.matches[name] = assign(table, sheet.columns, keys)
        weights[name] = _weight(table, reading.matches[name], sheet)
    if weights["service_orders"] > 0:
        # order, VIN and day of visit together are a visit, however much of car and owner stands beside them
        for name in ("vehicles", "customers"):
            weights[name] = min(weights[name], weights["service_orders"] - 0.01)
    best = max(weights, key=weights.get)
    if weights[best] > 0:
        reading.tables = [best]
        found = reading.matches[best]
        known = sum(m.known for m in found.values())
        reading.why = f"{known} known and {len(found) - known} likely headers of {len(sheet.columns)}"
    return reading


def _keys(readings: list[Reading]) -> dict[str, frozenset[str]]:
    """Key values of each table, of all sheets taken for it."""
    out: dict[str, frozenset[str]] = {}
    for name, table in tables.TABLES.items():
        for reading in readings:
            holder = reading.main == name or (
                name in ("customers", "vehicles") and reading.main in ("customers", "vehicles")
            )
            match = reading.match(name, table.key[0])
            if holder and match:
                out[name] = out.get(name, frozenset()) | match.values.distinct
    return out


def _own(reading: Reading, name: str) -> list[str]:
    """Columns of a second table that the main one does not explain."""
    used = {m.values.at for t in reading.tables for m in reading.matches[t].values()}
    return [
        c
        for c, m in reading.matches[name].items()
        if m.values.at not in used and m.gain >= 0.6 and c not in tables.TABLES[name].key
    ]


def _further(reading: Reading, readings: list[Reading], keys: dict[str, frozenset[str]]) -> None:
    """Further tables that the sheet feeds: lines of orders, cars with their owners, callers with their calls."""
    main = reading.main
    mains = {r.main for r in readings}
    if main in ("service_orders", "service_lines"):
        key = reading.match(main, "order_id")
        other = "service_lines" if main == "service_orders" else "service_orders"
        whole = not lacking(tables.TABLES[other], reading.matches[other])
        lines = {"item_name", "item_code"} & reading.matches["service_lines"].keys()
        if key and key.values.unique < 0.9 and whole and lines and other not in mains:
            reading.tables = ["service_orders", "service_lines"]
    elif main in ("customers", "vehicles"):
        other = "vehicles" if main == "customers" else "customers"
        whole = not lacking(tables.TABLES[other], reading.matches[other])
        if whole and other not in mains and len(_own(reading, other)) >= 2:
            reading.tables = ["customers", "vehicles"]
    elif main in ("interactions", "leads"):
        if _foreign(reading, keys) and len(_own(reading, "customers")) >= 1:
            reading.tables = ["customers", main]
    _without_clashes(reading, keys)


def _without_clashes(reading: Reading, keys: dict[str, frozenset[str]]) -> None:
    """One column for each table's own columns: what the first table took for its own the second leaves, keys aside."""
    if len(reading.tables) < 2:
        return
    first, second = reading.tables
    if set(reading.tables) == {"service_orders", "service_lines"}:
        second, first = "service_lines", "service_orders"
    shared = {c for c in tables.TABLES[first].names if c in tables.TABLES[second]}
    for name, other in ((second, first), (first, second)):
        stronger = {m.values.at: m.gain for c, m in reading.matches[other].items()}
        rest = [
            v
            for v in reading.sheet.columns
            if v.at not in stronger
            or any(m.values.at == v.at and c in shared for c, m in reading.matches[name].items())
            or any(m.values.at == v.at and m.gain > stronger[v.at] for m in reading.matches[name].values())
        ]
        reading.matches[name] = assign(tables.TABLES[name], rest, keys)


def _foreign(reading: Reading, keys: dict[str, frozenset[str]]) -> bool:
    """Whether the customer numbers of a sheet are none of those in the customers' sheet."""
    match = reading.match(reading.main, "customer_id")
    return bool(
        match
        and keys.get("customers")
        and len(match.values.distinct) >= 10
        and overlap(match.values, keys["customers"]) < _SAME_SPACE
    )


def _sources(readings: list[Reading]) -> None:
    """Name the system of each sheet: numbers that do not meet those of the first system's customers are another's."""
    first = [r for r in readings if "customers" in r.tables]
    visits = frozenset().union(
        *(m.values.distinct for r in readings if r.main == "service_orders" and (m := r.match(r.main, "customer_id")))
    )
    own: dict[str, frozenset[str]] = {}
    for reading in first:
        match = reading.match("customers", "customer_id")
        meets = not visits or len(match.values.distinct & visits) >= _SAME_SPACE * min(
            len(visits), len(match.values.distinct)
        )
        reading.source = "dms" if meets else _SOURCES.get(reading.tables[-1], "crm")
        if not meets:
            reading.notes.append("its customer numbers are none of those of the visits; phones and names link the two")
        own[reading.source] = own.get(reading.source, frozenset()) | match.values.distinct
    known = own.get("dms", frozenset()) | visits
    for reading in readings:
        if reading in first or not reading.tables:
            continue
        match = reading.match(reading.tables[-1], "customer_id")
        if not match or len(match.values.distinct) < 10 or overlap(match.values, known) >= _SAME_SPACE or not known:
            continue
        others = [s for s, ids in own.items() if s != "dms" and overlap(match.values, ids) >= _SAME_SPACE]
        name = others[0] if others else _SOURCES.get(reading.tables[-1], "second")
        reading.source = name
        reading.notes.append(
            "its customer numbers are none of those of the visits; "
            + ("phones and names link the two" if others else "nothing links them: its rows stay apart")
        )


def _repeats(readings: list[Reading]) -> None:
    """Put aside a sheet whose records another sheet of the table holds already."""
    for name, table in tables.TABLES.items():
        feeding = [r for r in readings if name in r.tables and r.match(name, table.key[0]) and len(table.key) == 1]
        feeding.sort(key=lambda r: -r.sheet.rows * len(r.matches[name]))
        for i, reading in enumerate(feeding):
            for before in feeding[:i]:
                if before.source != reading.source or before.aside or reading.aside:
                    continue
                share = overlap(
                    reading.match(name, table.key[0]).values, before.match(name, table.key[0]).values.distinct
                )
                if share >= 0.5:
                    reading.aside = (
                        f"{100 * share:.0f} % of its {name} are in {before.sheet} already, under other headers"
                    )


def _derived(readings: list[Reading], keys: dict[str, frozenset[str]]) -> None:
    """Matches of vehicles and customers, where nobody delivers them, from the columns that visits and sales leave."""
    fed = {t for r in readings if not r.aside for t in r.tables}
    for reading in readings:
        if not reading.tables:
            continue
        sources = set(reading.tables) & {"service_orders", "vehicles", "sales_orders"}
        for name in ("vehicles", "customers"):
            if name in reading.tables:
                continue
            if not sources or name in fed or reading.aside:
                reading.matches.pop(name, None)
                continue
            used = {
                m.values.at
                for t in reading.tables
                for c, m in reading.matches[t].items()
                if c not in tables.SAID_AGAIN.get(t, ())
            }
            rest = [c for c in reading.sheet.columns if c.at not in used]
            found = assign(tables.TABLES[name], rest, keys)
            shared = {
                c: m for t in reading.tables for c, m in reading.matches[t].items() if c in ("vin", "customer_id")
            }
            reading.matches[name] = {c: m for c, m in shared.items() if c in tables.TABLES[name]} | found
        for name in [n for n in reading.matches if n not in reading.tables and n not in ("vehicles", "customers")]:
            del reading.matches[name]
