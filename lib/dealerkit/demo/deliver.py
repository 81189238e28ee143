"""What a dealer delivers: an export with its faults, and a month later the next one, of the same rows and some more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dealerkit import tables
from dealerkit.demo import extras, fakes
from dealerkit.demo.dirt import FAULT_COLUMNS, Dirt, as_text, rename_vins
from dealerkit.demo.frames import Export
from dealerkit.demo.people import AS_OF, END
from dealerkit.demo.truth import truth_of
from dealerkit.demo.types import Types
from dealerkit.demo.world import ROOM

#: Columns that name a customer, by table; the first is the card itself.
CUSTOMER_TABLES = (
    "customers",
    "vehicles",
    "contacts",
    "leads",
    "sales_orders",
    "service_orders",
    "interactions",
    "campaigns",
)
#: Faults that staff mend, and the share of them mended in a month.
MENDED = (
    "phone_missing",
    "phone_malformed",
    "id_check_digit",
    "gender_contradicts_id",
    "total_mismatch",
    "negative_money",
)
MENDED_SHARE = 0.06
CHANGE_COLUMNS = ["table", "key", "column", "kind", "old", "new"]


@dataclass
class Delivery:
    """Text tables of one block as delivered (canonical columns), the truth, the faults, and what changed in the month."""

    frames: dict[str, pd.DataFrame]
    truth: dict[str, pd.DataFrame]
    faults: list
    extras: dict[str, pd.DataFrame]
    changes: list


def deliver(w: dict, seed: int, block: int, types: Types, lang: str, month: int, faulty: bool) -> Delivery:
    """The export of the first month (0) or the second (1) of a block of the world."""
    first = _Soiled(w, seed, block, lang, faulty, keep=month > 0)
    done = first if month == 0 else _Next(first)
    truth = truth_of(done.export, types)
    truth["cars"]["vin"] = truth["cars"]["vin"].replace(done.renamed)
    for name in ("owner_left", "relations"):
        truth[name]["vin"] = truth[name]["vin"].replace(done.renamed)
    more, faults = extras.make(w, done.export, done.renamed, seed, block, lang, faulty)
    made = Delivery(done.frames, truth, done.faults + faults, more, [])
    if month:
        _tidy_cards(made, np.random.default_rng([seed, 700_000 + block]), block)
        made.changes += done.changes
    made.truth["faults"] = pd.DataFrame(made.faults, columns=FAULT_COLUMNS)
    if month:
        made.truth["changes"] = pd.DataFrame(made.changes, columns=CHANGE_COLUMNS).astype(object)
    return made


class _Soiled:
    """The first export: what is delivered (``frames``), which row is which, and, if kept, its clean texts (``clean``)."""

    as_of = AS_OF

    def __init__(self, w: dict, seed: int, block: int, lang: str, faulty: bool, keep: bool):
        self.w, self.seed, self.block, self.lang, self.faulty = w, seed, block, lang, faulty
        self.export = export_of(w, seed, block, self.as_of, lang)
        self.renamed, self.faults = {}, []
        if keep or not faulty:
            self.clean = _texts(self.export.frames, lang)
        if faulty:
            self.faults = self._planned()
            self._soil(keep)
        else:
            self._leave()

    def _leave(self) -> None:
        """Deliver everything as it is."""
        self.frames, self.origin = self.clean, {name: np.arange(len(f)) for name, f in self.clean.items()}

    def _planned(self) -> list:
        """Faults that are part of the world: second cards, faked surveys, visits that never were."""
        e = self.export
        second = e.cards[e.cards["duplicate"]]
        main = e.cards[~e.cards["duplicate"]].set_index("person")["customer_id"]
        orders = e.frames["service_orders"]
        repeats = orders[orders["order_id"].isin(e.w["orders"].loc[e.w["orders"]["repeat"], "id"])]
        return [
            *(
                ("customers", c.customer_id, "customer_id", "duplicate_customer", main[c.person], c.customer_id)
                for c in second.itertuples()
            ),
            *(
                ("service_orders", o.order_id, "adviser_id", "suspicious_repeat", None, o.adviser_id)
                for o in repeats.itertuples()
            ),
            *fakes.survey_faults(e.calls),
        ]

    def _soil(self, keep: bool) -> None:
        frames = self.export.frames
        frames = {name: frame.copy() for name, frame in frames.items()} if keep else frames
        rng = np.random.default_rng([self.seed, 500_000 + self.block])
        dirt = Dirt(rng, frames, self.w["staff"], self.lang, self.faults)
        self.renamed = dirt.plant_meaning()
        dirt.frames = _texts(dirt.frames, self.lang)
        dirt.plant_writing()
        self.frames, self.origin = dirt.frames, dirt.origin


class _Next(_Soiled):
    """The second export: the rows of the first as they were delivered, where nothing happened to them, and new ones."""

    as_of = END

    def __init__(self, first: _Soiled):
        self.first, self.changes = first, []
        super().__init__(first.w, first.seed, first.block, first.lang, first.faulty, keep=False)

    def _leave(self) -> None:
        super()._leave()
        before = self.first.clean
        place = {n: _keys(n, frame).get_indexer(_keys(n, before[n])) for n, frame in self.clean.items()}
        self._record(before, place)

    def _soil(self, keep: bool) -> None:
        first, typed = self.first, {name: frame.copy() for name, frame in self.export.frames.items()}
        rename_vins(typed, first.renamed)
        # the first export's texts under the VINs that were delivered
        before = {name: frame.copy() for name, frame in first.clean.items()}
        rename_vins(before, first.renamed)
        keys = {name: _keys(name, frame) for name, frame in typed.items()}
        old = {name: keys[name].isin(_keys(name, before[name])) for name in typed}
        rng = np.random.default_rng([self.seed, 600_000 + self.block])
        dirt = Dirt(rng, {n: f.copy() for n, f in typed.items()}, self.w["staff"], self.lang, self.faults, old)
        more = dirt.plant_meaning()
        self.renamed = first.renamed | more
        rename_vins(typed, more)
        self.clean = _texts(typed, self.lang)
        dirt.frames = _texts(dirt.frames, self.lang)
        dirt.plant_writing()
        mended = self._mended(before)
        place = {name: pd.Index(keys[name]).get_indexer(_keys(name, before[name])) for name in typed}
        self.frames = {
            name: pd.concat(
                [
                    _carried(first, name, before[name], self.clean[name], place[name], mended.get(name, {})),
                    dirt.frames[name][~old[name][dirt.origin[name]]],
                ],
                ignore_index=True,
            )
            for name in typed
        }
        self._record(before, place)

    def _mended(self, before: dict) -> dict[str, dict[str, list[int]]]:
        """Rows of the first export whose fault staff have mended: table → column → positions; the faults go."""
        rng = np.random.default_rng([self.seed, 650_000 + self.block])
        mended: dict[str, dict[str, list[int]]] = {}
        kept = []
        for fault in self.first.faults:
            table, key, column, kind, true, raw = fault
            if kind in MENDED and table != "service_lines" and rng.random() < MENDED_SHARE:
                row = int(np.flatnonzero(_keys(table, before[table]) == key)[0])
                mended.setdefault(table, {}).setdefault(column, []).append(row)
                self.changes.append((table, key, column, "mended", raw, true))
            else:
                kept.append(fault)
        planned = {f[:4] for f in kept}
        self.faults[:] = kept + [f for f in self.faults if f[:4] not in planned]
        return mended

    def _record(self, before: dict, place: dict) -> None:
        """Note changed phones, plates and owners of rows that both exports have; a fault in such a cell is gone."""
        for table, column in (("customers", "phone"), ("vehicles", "plate"), ("vehicles", "customer_id")):
            there = place[table] >= 0
            was, now = (
                before[table][column].to_numpy()[there],
                self.clean[table][column].to_numpy()[place[table][there]],
            )
            keys = _keys(table, before[table])[there]
            for i in np.flatnonzero(was != now):
                self.changes.append((table, keys[i], column, f"{column}_changed", was[i], now[i]))
        changed = {change[:3] for change in self.changes}
        self.faults[:] = [fault for fault in self.faults if fault[:3] not in changed]


def export_of(w: dict, seed: int, block: int, as_of: int, lang: str) -> Export:
    """The export of a day; the same random choices for every day."""
    return Export(np.random.default_rng([seed, 300_000 + block]), w, w["staff"], as_of, block == 0, lang)


def _texts(frames: dict[str, pd.DataFrame], lang: str) -> dict[str, pd.DataFrame]:
    return {name: as_text(frame, tables.TABLES[name], lang) for name, frame in frames.items()}


def _keys(name: str, frame: pd.DataFrame) -> pd.Index:
    """Primary keys as one text each."""
    key = tables.TABLES[name].key
    out = frame[key[0]].astype(str)
    for further in key[1:]:
        out = out + "/" + frame[further].map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
    return pd.Index(out)


def _carried(first: _Soiled, name: str, before, after, place: np.ndarray, mended: dict[str, list[int]]) -> pd.DataFrame:
    """Rows of the first delivery as the second one has them: cell by cell as delivered, unless the cell has changed."""
    origin = first.origin[name]
    stays = place[origin] >= 0
    origin = origin[stays]
    delivered = first.frames[name][stays].reset_index(drop=True)
    now, was = after.iloc[place[origin]].reset_index(drop=True), before.iloc[origin].reset_index(drop=True)
    for column in delivered.columns:
        changed = (now[column] != was[column]).to_numpy() | np.isin(origin, mended.get(column, []))
        if changed.any():
            delivered.loc[changed, column] = now.loc[changed, column]
    return delivered


def _tidy_cards(made: Delivery, rng: np.random.Generator, block: int) -> None:
    """What staff do to cards in the month: merge two double cards, number one anew, delete one of a prospect."""
    cards, records = made.frames["customers"], made.truth["records"]
    faults = pd.DataFrame(made.faults, columns=FAULT_COLUMNS)
    touched = set(faults.loc[faults["table"] == "customers", "key"]) | set(faults["true_value"].dropna())
    double = faults[(faults["kind"] == "duplicate_customer") & faults["key"].isin(cards["customer_id"])]
    own = faults[(faults["table"] == "customers") & (faults["kind"] != "duplicate_customer")]
    double = double[~double["key"].isin(own["key"])]
    merged = double.iloc[rng.permutation(len(double))[: max(2, len(double) // 20)]]
    asked = ("leads", "interactions")
    used = set().union(*(made.frames[name]["customer_id"] for name in CUSTOMER_TABLES[1:] if name not in asked))
    plain = cards.loc[~cards["customer_id"].isin(touched) & ~cards["customer_id"].duplicated(keep=False), "customer_id"]
    idle, busy = plain[~plain.isin(used)], plain[plain.isin(used)]
    gone = idle.iloc[rng.permutation(len(idle))[:1]].tolist()
    moved = busy.iloc[rng.permutation(len(busy))[:1]].tolist()
    renumbered = {number: f"C{(block + 1) * ROOM - i:05d}" for i, number in enumerate(moved)}
    becomes = dict(zip(merged["key"], merged["true_value"])) | renumbered
    made.changes += [
        ("customers", a, "customer_id", "card_merged", a, b) for a, b in zip(merged["key"], merged["true_value"])
    ]
    made.changes += [("customers", a, "customer_id", "card_renumbered", a, b) for a, b in renumbered.items()]
    made.changes += [("customers", a, "customer_id", "card_deleted", a, None) for a in gone]
    drop = set(merged["key"]) | set(gone)
    for name in asked:
        made.frames[name]["customer_id"] = made.frames[name]["customer_id"].replace(dict.fromkeys(gone, ""))
    made.frames["customers"] = cards[~cards["customer_id"].isin(drop)].reset_index(drop=True)
    made.truth["records"] = records[~records["customer_id"].isin(drop)].reset_index(drop=True)
    for frame in [*(made.frames[name] for name in CUSTOMER_TABLES), made.truth["records"], made.truth["uplift"]] + [
        frame for frame in made.extras.values() if "customer_id" in frame
    ]:
        frame["customer_id"] = frame["customer_id"].replace(becomes)
    made.faults[:] = [f for f in made.faults if not (f[0] == "customers" and f[1] in drop) and f[1] not in renumbered]
