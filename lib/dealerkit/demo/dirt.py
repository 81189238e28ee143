"""Planted faults: what real exports have wrong, each written down with the value that would have been right.

A row gets at most one fault, so that a fault found can be told from its neighbours. Shares are per kind.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit import tables
from dealerkit.demo import ids, words
from dealerkit.demo.frames import dates
from dealerkit.demo.people import AS_OF

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
FAULT_COLUMNS = ["table", "key", "column", "kind", "true_value", "raw_value"]


def show(value) -> str | None:
    """A value as the record of faults spells it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        text = pd.Timestamp(value).strftime("%Y-%m-%d %H:%M")
        return text.removesuffix(" 00:00")
    return f"{value:g}" if isinstance(value, float) and value == int(value) and abs(value) < 1e6 else str(value)


class Dirt:
    """Frames of one block, which rows already have a fault, and the record of faults.

    ``old`` marks rows of an earlier export: they are left alone, and of the others fewer kinds get a fault at all.
    ``origin`` says, for each row of a frame, which row of the frame given it is.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        frames: dict[str, pd.DataFrame],
        staff: pd.DataFrame,
        lang: str,
        faults: list,
        old: dict[str, np.ndarray] | None = None,
    ):
        self.rng, self.frames, self.staff, self.lang, self.faults = rng, frames, staff, lang, faults
        self.again = old is not None
        self.used = {name: old[name].copy() if old else np.zeros(len(f), dtype=bool) for name, f in frames.items()}
        self.size = {name: int((~used).sum()) for name, used in self.used.items()}
        self.origin = {name: np.arange(len(f)) for name, f in frames.items()}
        for name in ("customers", "service_orders", "interactions"):
            already = {key for table, key, *_ in faults if table == name}
            self.used[name] |= frames[name][tables.TABLES[name].key[0]].isin(already).to_numpy()

    def rows(self, table: str, share: float, mask=None, least: int = 2, count: int | None = None) -> np.ndarray:
        """Positions of rows without a fault, drawn at random and now taken."""
        free = ~self.used[table] if mask is None else ~self.used[table] & np.asarray(mask, dtype=bool)
        pool = np.flatnonzero(free)
        wanted = max(0 if self.again else least, round(share * self.size[table]))
        n = min(len(pool), wanted if count is None else count)
        chosen = np.sort(self.rng.choice(pool, n, replace=False)) if n else pool[:0]
        self.used[table][chosen] = True
        return chosen

    def keys(self, table: str, positions) -> list[str]:
        """Primary key of each of the rows as one text."""
        rows = self.frames[table].iloc[np.asarray(positions, dtype=np.int64)][list(tables.TABLES[table].key)]
        return ["/".join(map(str, row)) for row in rows.itertuples(index=False)]

    def put(self, table: str, positions, column: str, kind: str, values) -> None:
        """Write faulty values and record them."""
        frame = self.frames[table]
        place = frame.columns.get_loc(column)
        for position, key, value in zip(positions, self.keys(table, positions), values):
            old = frame.iat[position, place]
            frame.iat[position, place] = value
            self.faults.append((table, key, column, kind, show(old), show(value)))

    # -- faults of meaning, on typed values ------------------------------------------------------------------

    def plant_meaning(self) -> dict[str, str]:
        """All faults that keep the type of the value; returns the VINs given a wrong check digit (right → wrong)."""
        renamed = self._vins()
        self._customers()
        self._orders()
        self._order_dates()
        if not self.again:
            self._shared_phones()
            self._bulk()
            self._same_complaints()
        self._others()
        return renamed

    def _vins(self) -> dict[str, str]:
        rows = self.rows("vehicles", 0.006)
        right = self.frames["vehicles"]["vin"].iloc[rows]
        renamed = {v: ids.wrong_check_digit(v) for v in right}
        rename_vins(self.frames, renamed)
        self.faults += [("vehicles", wrong, "vin", "vin_check_digit", v, wrong) for v, wrong in renamed.items()]
        plate = self.frames["vehicles"]["plate"]
        rows = self.rows("vehicles", 0.008, plate.notna())
        self.put(
            "vehicles",
            rows,
            "plate",
            "plate_malformed",
            [[p[:5], p[:3] + "O" + p[4:], p[1:], p + "88"][i % 4] for i, p in enumerate(plate.iloc[rows])],
        )
        rows = self.rows("vehicles", 0.004, (self.frames["vehicles"]["energy_type"] == "ice") & plate.notna())
        self.put(
            "vehicles",
            rows,
            "plate",
            "new_energy_plate_on_petrol_car",
            [f"{p[:2]}D{self.rng.integers(10_000, 99_999)}" for p in plate.iloc[rows]],
        )
        return renamed

    def _customers(self) -> None:
        c, rng = self.frames["customers"], self.rng
        person = (c["customer_type"] == "person").to_numpy()
        has_id, has_birth = c["id_number"].notna().to_numpy(), c["birth_date"].notna().to_numpy()
        rows = self.rows("customers", 0.02)
        self.put("customers", rows, "phone", "phone_missing", [None] * len(rows))
        rows = self.rows("customers", 0.004)
        self.put("customers", rows, "phone", "phone_is_staff", rng.choice(self.staff["phone"].to_numpy(), len(rows)))
        rows = self.rows("customers", 0.006, person)
        self.put(
            "customers",
            rows,
            "phone",
            "phone_of_relative",
            c["phone"].iloc[self.rows("customers", 0, person, count=len(rows))].to_list(),
        )
        rows = self.rows("customers", 0.008, has_id & person)
        self.put(
            "customers",
            rows,
            "id_number",
            "id_check_digit",
            [v[:-1] + ("7" if v[-1] != "7" else "3") for v in c["id_number"].iloc[rows]],
        )
        rows = self.rows("customers", 0.006, has_id & has_birth)
        self.put(
            "customers",
            rows,
            "birth_date",
            "birth_contradicts_id",
            c["birth_date"].iloc[rows] - pd.to_timedelta(rng.integers(200, 3000, len(rows)), unit="D"),
        )
        rows = self.rows("customers", 0.006, has_id & person)
        self.put(
            "customers",
            rows,
            "gender",
            "gender_contradicts_id",
            ["f" if g == "m" else "m" for g in c["gender"].iloc[rows]],
        )
        bought = self.frames["sales_orders"].groupby("customer_id")["delivered_on"].min().reindex(c["customer_id"])
        rows = self.rows("customers", 0.003, person & ~has_id & (bought < dates([AS_OF - 400])[0]).to_numpy())
        self.put(
            "customers",
            rows,
            "birth_date",
            "sale_before_birth",
            bought.iloc[rows] + pd.to_timedelta(rng.integers(30, 360, len(rows)), unit="D"),
        )

    def _shared_phones(self) -> None:
        c = self.frames["customers"]
        for _ in range(max(1, round(len(c) * 0.004 / 8))):
            rows = self.rows("customers", 0, count=9)
            self.put(
                "customers", rows[1:], "phone", "phone_shared_by_many", [c["phone"].iloc[rows[0]]] * (len(rows) - 1)
            )

    def _orders(self) -> None:
        o, rng, name = self.frames["service_orders"], self.rng, "service_orders"
        before = o.groupby("vin")["odometer_km"].shift()
        rows = self.rows(name, 0.005, (before > 5000).to_numpy())
        self.put(
            name,
            rows,
            "odometer_km",
            "odometer_rollback",
            (before.iloc[rows] * rng.uniform(0.3, 0.9, len(rows))).astype(int),
        )
        rows = self.rows(name, 0.005, o["total_yuan"] > 0)
        self.put(
            name,
            rows,
            "total_yuan",
            "total_mismatch",
            o["total_yuan"].iloc[rows] + rng.integers(1, 10, len(rows)) * 100.0,
        )
        rows = self.rows(name, 0.003, o["parts_yuan"] > 0)
        self.put(name, rows, "parts_yuan", "negative_money", -o["parts_yuan"].iloc[rows])
        ends = self.frames["vehicles"].set_index("vin")["warranty_ends_on"].reindex(o["vin"]).to_numpy()
        rows = self.rows(
            name,
            0.003,
            (o["order_type"] == "repair").to_numpy() & (o["opened_at"].to_numpy() > ends + np.timedelta64(60, "D")),
        )
        self.put(name, rows, "order_type", "warranty_after_end", ["warranty"] * len(rows))
        o.iloc[rows, o.columns.get_loc("payer_kind")] = "warranty"
        rows = self.rows(name, 0.003)
        self.put(
            name, rows, "customer_id", "orphan_customer", [f"C9{k:07d}" for k in rng.integers(0, 10**7, len(rows))]
        )
        rows = self.rows(name, 0.003)
        unknown = ids.vins(
            9_990_000 + np.arange(len(rows)), np.array(["AA1B2"] * len(rows), dtype=object), np.full(len(rows), 2021), 3
        )
        self.put(name, rows, "vin", "orphan_vin", unknown)

    def _order_dates(self) -> None:
        o, rng, name = self.frames["service_orders"], self.rng, "service_orders"
        settled = o.columns.get_loc("settled_at")

        def move(rows, kind, opened):
            stay = o["settled_at"].iloc[rows] - o["opened_at"].iloc[rows]
            self.put(name, rows, "opened_at", kind, opened)
            o.iloc[rows, settled] = (
                (pd.Series(pd.DatetimeIndex(opened), stay.index) + stay).to_numpy().astype("datetime64[s]")
            )

        def earlier(rows, low, high):
            return pd.to_timedelta(rng.integers(low, high, len(rows)), unit="D")

        rows = self.rows(name, 0.004)
        self.put(name, rows, "settled_at", "settled_before_opened", o["opened_at"].iloc[rows] - earlier(rows, 1, 6))
        bought = self.frames["vehicles"].set_index("vin")["purchased_on"].reindex(o["vin"])
        bought.index = o.index
        first = ~o["vin"].duplicated() & bought.notna() & (bought > o["opened_at"].min())
        rows = self.rows(name, 0.003, first)
        move(
            rows,
            "visit_before_sale",
            bought.iloc[rows]
            + (o["opened_at"].iloc[rows] - o["opened_at"].iloc[rows].dt.normalize())
            - earlier(rows, 30, 300),
        )
        rows = self.rows(name, 0.003)
        move(
            rows,
            "future_date",
            pd.to_datetime(dates(np.full(len(rows), AS_OF + 200))) + earlier(rows, 0, 900) + pd.Timedelta(hours=9),
        )
        rows = self.rows(name, 0.002)
        move(rows, "date_before_1980", pd.to_datetime(rng.choice(["1900-01-01", "1970-01-01"], len(rows))))

    def _bulk(self) -> None:
        """Visits of one adviser typed in together, all at the same minute of the month's last evening."""
        o, name = self.frames["service_orders"], "service_orders"
        month = o["opened_at"].dt.to_period("M")
        day_before = pd.Timestamp("2026-09-01")
        for _ in range(max(1, round(len(o) * 0.003 / 12))):
            fits = (
                ~self.used[name]
                & (o["opened_at"] < day_before)
                & (o["opened_at"] > pd.Timestamp("2021-01-01"))
                & (o["order_type"] != "accident")
            ).to_numpy()
            groups = o[fits].groupby([month[fits], "adviser_id"]).size()
            groups = groups[groups >= min(12, groups.max())]
            chosen, adviser = groups.index[int(self.rng.integers(0, len(groups)))]
            rows = self.rows(
                name, 0, fits & (month == chosen).to_numpy() & (o["adviser_id"] == adviser).to_numpy(), count=12
            )
            minute = chosen.to_timestamp(how="end").normalize() + pd.Timedelta(hours=18, minutes=2)
            stay = o["settled_at"].iloc[rows] - o["opened_at"].iloc[rows]
            self.put(name, rows, "opened_at", "bulk_in_one_minute", [minute] * len(rows))
            o.iloc[rows, o.columns.get_loc("settled_at")] = (minute + stay).to_numpy().astype("datetime64[s]")

    def _others(self) -> None:
        f, rng = self.frames, self.rng
        rows = self.rows("service_lines", 0.003)
        self.put(
            "service_lines",
            rows,
            "order_id",
            "orphan_order",
            [f"RO9{k:08d}" for k in rng.integers(0, 10**8, len(rows))],
        )
        rows = self.rows("service_lines", 0.002, f["service_lines"]["amount_yuan"] > 0)
        self.put("service_lines", rows, "amount_yuan", "negative_money", -f["service_lines"]["amount_yuan"].iloc[rows])
        rows = self.rows("sales_orders", 0.003)
        self.put("sales_orders", rows, "ordered_on", "date_before_1980", [pd.Timestamp("1900-01-01")] * len(rows))
        x = f["interactions"]
        rows = self.rows("interactions", 0.003, x["kind"] == "survey")
        self.put(
            "interactions",
            rows,
            "customer_id",
            "orphan_customer",
            [f"C9{k:07d}" for k in rng.integers(0, 10**7, len(rows))],
        )
        rows = self.rows("interactions", 0, x["score"].notna(), count=self._scores(x))
        self.put(
            "interactions", rows, "score", "score_out_of_range", [12.0 if i % 2 else 99.0 for i in range(len(rows))]
        )
        rows = self.rows("leads", 0.004, f["leads"]["closed_at"].notna())
        self.put(
            "leads",
            rows,
            "closed_at",
            "closed_before_created",
            f["leads"]["created_at"].iloc[rows] - pd.Timedelta(days=2),
        )
        rows = self.rows("campaigns", 0.004)
        self.put(
            "campaigns",
            rows,
            "customer_id",
            "orphan_customer",
            [f"C9{k:07d}" for k in rng.integers(0, 10**7, len(rows))],
        )

    def _scores(self, x: pd.DataFrame) -> int:
        return max(0 if self.again else 2, int((x["score"].notna() & ~self.used["interactions"]).sum() * 0.004))

    def _same_complaints(self) -> None:
        complaint = (self.frames["interactions"]["kind"] == "complaint").to_numpy()
        same = words.SAME_COMPLAINT[self.lang == "zh"]
        for _ in range(max(1, round(complaint.sum() * 0.015 / 8))):
            rows = self.rows("interactions", 0, complaint, count=8)
            self.put("interactions", rows, "text", "identical_complaint", [same] * len(rows))

    # -- faults of writing, on text --------------------------------------------------------------------------

    def plant_writing(self) -> None:
        """Faults in the text of cells; call after the frames were turned into text."""
        self._phones()
        for table, share in (("service_orders", 0.008), ("vehicles", 0.006)):
            rows = self.rows(table, share)
            self.put(
                table,
                rows,
                "vin",
                "vin_lower_case_spaced",
                [f" {v[:3].lower()} {v[3:].lower()}" for v in self.frames[table]["vin"].iloc[rows]],
            )
        lang = self.lang

        def said(i):
            return ("见备注", "免费")[i % 2] if lang == "zh" else ("see note", "n/a")[i % 2]

        for table, column, kind, share, change in (
            ("service_orders", "total_yuan", "text_in_money", 0.003, lambda v, i: said(i)),
            ("service_lines", "amount_yuan", "text_in_money", 0.002, lambda v, i: said(i)),
            ("sales_orders", "price_yuan", "text_in_money", 0.003, lambda v, i: said(i)),
            ("service_orders", "total_yuan", "money_symbol", 0.01, lambda v, i: f"¥{float(v):,.2f}"),
            ("sales_orders", "price_yuan", "money_symbol", 0.015, lambda v, i: f"¥{float(v):,.2f}"),
            ("vehicles", "purchase_price_yuan", "money_symbol", 0.01, lambda v, i: f"¥{float(v):,.2f}"),
            ("vehicles", "list_price_yuan", "money_in_wan", 0.02, lambda v, i: f"{float(v) / 10_000:g}万"),
            ("sales_orders", "price_yuan", "money_in_wan", 0.01, lambda v, i: f"{float(v) / 10_000:g}万"),
            ("customers", "created_on", "date_format", 0.012, other_format),
            ("service_orders", "opened_at", "date_format", 0.012, other_format),
            ("sales_orders", "delivered_on", "date_format", 0.012, other_format),
            ("vehicles", "purchased_on", "date_format", 0.012, other_format),
            ("leads", "created_at", "date_format", 0.012, other_format),
            ("service_orders", "odometer_km", "digits_full_width", 0.006, lambda v, i: v.translate(FULL_WIDTH)),
        ):
            values = self.frames[table][column]
            rows = self.rows(table, share, values != "")
            self.put(table, rows, column, kind, [change(v, i) for i, v in enumerate(values.iloc[rows])])
        self._repeats()

    def _phones(self) -> None:
        for table, share in (("customers", 1.0), ("leads", 0.5), ("contacts", 0.5)):
            phone = self.frames[table]["phone"]
            for kind, rate, change in (
                ("phone_prefixed", 0.015, lambda v, i: ("+86" if i % 2 else "0086-") + v),
                ("phone_spaced", 0.01, lambda v, i: f"{v[:3]} {v[3:7]} {v[7:]}"),
                ("phone_full_width", 0.008, lambda v, i: v.translate(FULL_WIDTH)),
                (
                    "phone_malformed",
                    0.008,
                    lambda v, i: [v[:-1], v + "0", "2" + v[1:], "see note" if self.lang == "en" else "无"][i % 4],
                ),
            ):
                rows = self.rows(table, rate * share, phone != "")
                self.put(table, rows, "phone", kind, [change(v, i) for i, v in enumerate(phone.iloc[rows])])

    def _repeats(self) -> None:
        """Rows exported twice, and orders exported again after a correction under the same number."""
        order = {t: [np.arange(len(f), dtype=float)] for t, f in self.frames.items()}
        more: dict[str, list] = {t: [] for t in self.frames}
        for table, share in (
            ("customers", 0.004),
            ("service_orders", 0.005),
            ("service_lines", 0.003),
            ("interactions", 0.003),
            ("leads", 0.004),
        ):
            rows = self.rows(table, share)
            more[table].append(self.frames[table].iloc[rows])
            order[table].append(rows + 0.5)
            self.faults += [(table, key, "", "exact_duplicate_row", None, None) for key in self.keys(table, rows)]
        o = self.frames["service_orders"]
        rows = self.rows(
            "service_orders",
            0.004,
            (o["discount_yuan"] == "") & (o["total_yuan"] != "") & (o["labour_yuan"].str.len() > 5),
        )
        copy = o.iloc[rows].copy()
        copy["discount_yuan"] = "50.00"
        copy["total_yuan"] = [f"{float(v) - 50:.2f}" for v in copy["total_yuan"]]
        self.faults += [
            ("service_orders", key, "order_id", "order_id_repeated", a, b)
            for key, a, b in zip(self.keys("service_orders", rows), o["total_yuan"].iloc[rows], copy["total_yuan"])
        ]
        more["service_orders"].append(copy)
        order["service_orders"].append(rows + 0.5)
        for table, parts in more.items():
            if parts:
                place = np.argsort(np.concatenate(order[table]), kind="stable")
                self.origin[table] = np.floor(np.sort(np.concatenate(order[table]))).astype(np.int64)
                self.frames[table] = (
                    pd.concat([self.frames[table], *parts], ignore_index=True).iloc[place].reset_index(drop=True)
                )


def rename_vins(frames: dict[str, pd.DataFrame], renamed: dict[str, str]) -> None:
    """Replace VINs wherever a car is named, in place."""
    for table, column in (
        ("vehicles", "vin"),
        ("contacts", "vin"),
        ("sales_orders", "vin"),
        ("sales_orders", "trade_in_vin"),
        ("service_orders", "vin"),
    ):
        values = frames[table][column]
        frames[table][column] = values.where(~values.isin(list(renamed)), values.map(renamed))


def other_format(text: str, which: int) -> str:
    """A date or time (ISO) in another of the formats that exports mix."""
    when = pd.Timestamp(text)
    clock = text[10:]
    if which % 4 == 0:
        return f"{when.year}/{when.month}/{when.day}{clock}"
    if which % 4 == 1:
        return f"{when:%Y%m%d}" + clock
    if which % 4 == 2:
        return f"{when.year}年{when.month}月{when.day}日{clock}"
    serial = (when - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    return f"{serial:.6f}" if clock else f"{serial:.0f}"


def _spelling(code: str, spellings: tuple[str, ...], lang: str) -> str:
    if lang == "zh":
        return spellings[1]
    return {"ice": "petrol", "bev": "electric"}.get(code, spellings[0])


def as_text(frame: pd.DataFrame, table: tables.Table, lang: str) -> pd.DataFrame:
    """Every cell as the text an export holds; empty cells are empty texts. Dates are ISO, money has two decimals."""
    out = {}
    for column in table.columns:
        values = frame[column.name]
        none = values.isna().to_numpy()
        if column.type in ("date", "time"):
            raw = values.to_numpy().astype("datetime64[m]")
            text = np.datetime_as_string(raw, unit="D" if column.type == "date" else "m").astype(object)
            if column.type == "time":
                text = np.array([t.replace("T", " ") for t in text], dtype=object)
        elif column.type in ("money", "int", "number"):
            pattern = {"money": "{:.2f}", "int": "{:.0f}", "number": "{:g}"}[column.type]
            text = np.array([pattern.format(v) for v in pd.to_numeric(values).to_numpy(dtype=float)], dtype=object)
        elif column.type in ("code", "bool"):
            text = values.map(
                {code: _spelling(code, spelling, lang) for code, spelling in column.codes.items()}
            ).to_numpy(dtype=object)
        else:
            text = values.to_numpy(dtype=object).copy()
        text[none] = ""
        out[column.name] = text
    return pd.DataFrame(out, dtype=object)
