"""How the invented dealers deliver: `demo` as English CSV, `demo_cn` as a Chinese DMS and a call centre do."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from dealerkit import tables
from dealerkit.demo import words
from dealerkit.demo.deliver import Delivery

ENGLISH_FILES = {
    "staff": "Staff.csv",
    "customers": "Customers.csv",
    "vehicles": "Vehicles.csv",
    "contacts": "Contacts.csv",
    "leads": "Leads.csv",
    "sales_orders": "Car sales 2015-2026.csv",
    "service_orders": "Repair orders 2020-2026.csv",
    "service_lines": "Repair order lines.csv",
    "interactions": "Calls, surveys and visits.csv",
    "campaigns": "Campaigns.csv",
}
#: Headers of `demo` that are synonyms; the rest are the English labels.
ENGLISH_HEADERS = {
    "service_orders": {
        "order_id": "Repair order",
        "opened_at": "Date in",
        "settled_at": "Date out",
        "total_yuan": "Invoice total",
    },
    "customers": {"gender": "Sex", "birth_date": "Date of birth", "phone": "Mobile"},
    "service_lines": {"order_id": "RO no."},
}
#: Files of keyed tables outside the canonical ones.
ENGLISH_EXTRAS = {"insurance_policies": "insurance_policies.csv", "shop_orders": "shop_orders.csv"}
CN_EXTRAS = {"insurance_policies": "保险保单.csv"}
CN_EXTRA_HEADERS = {
    "policy_no": "保单号",
    "vin": "车架号",
    "insurer": "保险公司",
    "product": "险种",
    "starts_on": "起保日期",
    "ends_on": "到期日期",
    "premium_yuan": "保费（元）",
    "claims_count": "出险次数",
}
#: Day of the export, by month.
DAYS = ("2026-09-30", "2026-10-31")
TITLES = {"campaigns": ["Harbour Road: campaign lists", "Exported {day}"]}

CN_SHEETS = {"sales_orders": "销售订单", "leads": "线索", "campaigns": "活动名单", "contacts": "联系人"}
CN_BOOK = "销售与客户关系 台账【{month}】.xlsx"
CN_FILES = {"customers": "客户 资料(1).csv", "vehicles": "车辆档案（全部）.csv", "service_lines": "维修明细.csv"}
CN_ORDERS = ("维修工单 2020-2023.csv", "维修工单 2024-2026.csv")
CN_CALLS, CN_AGENTS = "呼叫中心 通话记录.txt", "呼叫中心 坐席.csv"
#: Headers of `demo_cn` that no declaration knows; params/demo_cn.yaml maps them.
CN_HEADERS = {
    "customers": {"created_on": "建卡日", "customer_type": "户别"},
    "vehicles": {"odometer_km": "表显", "energy_type": "动力"},
    "service_orders": {
        "odometer_km": "进厂公里数",
        "total_yuan": "含税总额",
        "adviser_id": "接车人",
        "order_type": "维修类型",
    },
    "sales_orders": {"price_yuan": "车款", "order_id": "销售订单号"},
    "campaigns": {"arm": "名单组"},
}
CN_VALUES = {
    ("customers", "customer_type"): {"个人": "私户", "企业": "公户"},
    ("customers", "gender"): {"男": "M男", "女": "F女"},
    ("service_orders", "order_type"): dict(
        zip(
            ("保养", "维修", "事故", "索赔", "召回", "精品", "检测"),
            ("BY保养", "WX一般", "SG钣喷", "SP索赔", "ZH召回", "JP加装", "JC检测"),
        )
    ),
    ("campaigns", "arm"): {"实验组": "A组", "对照组": "B组"},
    ("vehicles", "energy_type"): {"燃油": "油车", "混动": "油混", "插电混动": "插混车", "纯电": "电车"},
}
CALL_KINDS = ("care_call", "complaint", "enquiry", "campaign")
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40" width="120" height="40"
  role="img" aria-label="Harbour Road">
  <path d="M4 30 q8 -8 16 0 t16 0" fill="none" stroke="#2b6f8f" stroke-width="4" stroke-linecap="round"/>
  <path d="M20 24 V8 l10 12 z" fill="#d08a2e"/>
  <text x="44" y="26" font-family="sans-serif" font-size="12" fill="#2b6f8f">Harbour Road</text>
</svg>
"""


def headers(dealer: str, table: tables.Table) -> dict[str, str]:
    """Canonical column → header in the files of an invented dealer."""
    special = (ENGLISH_HEADERS if dealer == "demo" else CN_HEADERS).get(table.name, {})
    return {c.name: special.get(c.name, c.en if dealer == "demo" else c.zh) for c in table.columns}


class CsvFile:
    """A CSV that grows block by block, with title lines above the header and a total row at the end."""

    def __init__(
        self,
        path: Path,
        encoding: str = "utf-8",
        delimiter: str = ",",
        titles: list[str] | None = None,
        total: tuple[int, str] | None = None,
        newline: str = "\r\n",
    ):
        self.handle = open(path, "w", encoding=encoding, newline="")
        self.delimiter, self.newline, self.titles, self.total, self.sum, self.begun = (
            delimiter,
            newline,
            titles or [],
            total,
            0.0,
            False,
        )

    def add(self, frame: pd.DataFrame, blank_at: int | None = None) -> None:
        """Write the rows; ``blank_at`` puts an empty line before that row."""
        if not self.begun:
            for line in self.titles:
                self.handle.write(line + self.newline)
            csv.writer(self.handle, delimiter=self.delimiter, lineterminator=self.newline).writerow(frame.columns)
            self.begun = True
        pieces = [frame] if blank_at is None else [frame.iloc[:blank_at], frame.iloc[blank_at:]]
        for i, piece in enumerate(pieces):
            if i:
                self.handle.write(self.newline)
            piece.to_csv(self.handle, header=False, index=False, sep=self.delimiter, lineterminator=self.newline)
        if self.total:
            self.sum += float(pd.to_numeric(frame.iloc[:, self.total[0]], errors="coerce").sum())
            self.width = frame.shape[1]

    def close(self) -> None:
        """Write the total row and close."""
        if self.total and self.begun:
            row = [""] * self.width
            row[0], row[self.total[0]] = self.total[1], f"{self.sum:.2f}"
            csv.writer(self.handle, delimiter=self.delimiter, lineterminator=self.newline).writerow(row)
        self.handle.close()


class English:
    """`demo`: one UTF-8 file per table."""

    lang = "en"

    def __init__(self, folder: Path, faults: list, faulty: bool, month: int):
        self.faulty, self.files = faulty, {}
        for name, file in ENGLISH_FILES.items():
            columns = tables.TABLES[name].names
            total = (columns.index("price_yuan"), "Total") if name == "sales_orders" and faulty else None
            titles = [line.format(day=DAYS[month]) for line in TITLES.get(name, [])] if faulty else None
            self.files[name] = CsvFile(folder / file, titles=titles, total=total, newline="\n")
        for name, file in ENGLISH_EXTRAS.items():
            self.files[name] = CsvFile(folder / file, newline="\n")
        (folder / "logo.svg").write_text(LOGO, encoding="utf-8")
        if faulty:
            faults += [
                ("campaigns", "", "", "title_lines", None, TITLES["campaigns"][0]),
                ("sales_orders", "", "", "total_row", None, "Total"),
                ("interactions", "", "", "blank_line", None, ""),
            ]

    def add(self, block: int, made: Delivery, rng: np.random.Generator) -> None:
        """Append one block to every file."""
        for name, frame in made.extras.items():
            self.files[name].add(frame)
        for name, frame in made.frames.items():
            self.files[name].add(
                frame.rename(columns=headers("demo", tables.TABLES[name])),
                20 if name == "interactions" and block == 0 and self.faulty else None,
            )

    def close(self) -> None:
        """Finish every file."""
        for file in self.files.values():
            file.close()


class Chinese:
    """`demo_cn`: GB18030 files and a workbook from the DMS, and a call centre with numbers of its own."""

    lang = "zh"

    def __init__(self, folder: Path, faults: list, faulty: bool, month: int):
        self.folder, self.faulty, self.day, self.sheets = folder, faulty, DAYS[month], {}
        self.files = {
            name: CsvFile(
                folder / file,
                "gb18030",
                titles=["海港路店 客户资料表", f"导出时间：{self.day} 20:00"]
                if name == "customers" and faulty
                else None,
            )
            for name, file in CN_FILES.items()
        }
        total = (tables.TABLES["service_orders"].names.index("total_yuan"), "合计") if faulty else None
        self.orders = [CsvFile(folder / file, "gb18030", total=total) for file in CN_ORDERS]
        self.calls, self.agents = (
            CsvFile(folder / CN_CALLS, "utf-8-sig", "\t"),
            CsvFile(folder / CN_AGENTS, "utf-8-sig"),
        )
        self.extras = {name: CsvFile(folder / file, "gb18030") for name, file in CN_EXTRAS.items()}
        if faulty:
            faults += [
                ("customers", "", "", "title_lines", None, "海港路店 客户资料表"),
                ("service_orders", "", "", "total_row", None, "合计"),
                ("sales_orders", "", "", "title_lines", None, "海港路店 销售台账"),
                ("sales_orders", "", "", "total_row", None, "合计"),
                ("vehicles", "", "", "blank_line", None, ""),
            ]

    def add(self, block: int, made: Delivery, rng: np.random.Generator) -> None:
        """Append one block; calls and their customers get the call centre's own numbers."""
        frames = {name: frame.copy() for name, frame in made.frames.items()}
        split = self._call_centre(block, frames, made.truth, rng)
        for name, file in self.extras.items():
            file.add(made.extras[name].rename(columns=CN_EXTRA_HEADERS))
        for (table, column), values in CN_VALUES.items():
            frames[table][column] = frames[table][column].map(lambda v, m=values: m.get(v, v))
        frames["service_lines"]["status"] = frames["service_lines"]["status"].replace("完成", "")
        for name, file in self.files.items():
            file.add(
                frames[name].rename(columns=headers("demo_cn", tables.TABLES[name])),
                30 if name == "vehicles" and block == 0 and self.faulty else None,
            )
        orders = frames["service_orders"]
        late = orders["opened_at"].map(lambda text: _year(text) >= 2024).to_numpy(dtype=bool)
        named = orders.rename(columns=headers("demo_cn", tables.TABLES["service_orders"]))
        self.orders[0].add(named[~late])
        self.orders[1].add(named[late])
        self.calls.add(split.pop("calls"))
        agents = frames["staff"]["role"].eq(words.ROLES["agent"][1])
        self.agents.add(
            frames["staff"][agents].rename(columns={"staff_id": "坐席工号", "role": "岗位", "phone": "手机号"})
        )
        split["员工"] = frames["staff"][~agents].rename(columns=headers("demo_cn", tables.TABLES["staff"]))
        split |= {
            sheet: frames[name].rename(columns=headers("demo_cn", tables.TABLES[name]))
            for name, sheet in CN_SHEETS.items()
        }
        for sheet, frame in split.items():
            self.sheets.setdefault(sheet, []).append(frame)

    def _call_centre(self, block, frames, truth, rng) -> dict[str, pd.DataFrame]:
        """Interactions by system; the call centre's numbers join the truth."""
        x = frames["interactions"]
        zh_kinds = [tables.TABLES["interactions"]["kind"].codes[k][1] for k in CALL_KINDS]
        call = x["kind"].isin(zh_kinds).to_numpy()
        survey = x["kind"].eq(tables.TABLES["interactions"]["kind"].codes["survey"][1]).to_numpy()
        calls, records = x[call].copy(), truth["records"].set_index("customer_id")
        person = records["person_id"].reindex(calls["customer_id"])
        # a choice for each person of the block, called or not: the next export gives the same numbers
        people = truth["people"].set_index("person_id")
        place, known = rng.permutation(len(people)), pd.unique(person.dropna())
        number = pd.Series([f"KH{block * 40_000 + i + 1:05d}" for i in place], people.index)
        short = pd.Series(rng.random(len(people)) < 0.45, people.index) & ~people["company"].astype(bool)
        prefixed = pd.Series(rng.random(len(people)) < (0.03 if self.faulty else 0), people.index)
        truth["records"] = pd.concat(
            [
                truth["records"],
                pd.DataFrame(
                    {
                        "source": "callcentre",
                        "customer_id": number[known].to_numpy(),
                        "person_id": known,
                        "is_duplicate": False,
                        "shares": "",
                    }
                ),
            ],
            ignore_index=True,
        )
        truth["records"] = truth["records"].sort_values(
            ["source", "customer_id"], ascending=[False, True], ignore_index=True
        )
        title = np.where(people["female"], "女士", "先生").astype(object)
        name = pd.Series(np.where(short, people["surname"] + title, people["name"]), people.index)
        phone = pd.Series(np.where(prefixed, "+86 " + people["phone"], people["phone"]), people.index)
        out = pd.DataFrame(
            {
                "流水号": calls["interaction_id"],
                # a planted number of nobody stays as it is
                "客户编号": np.where(person.isna(), calls["customer_id"], number.reindex(person)),
                "来电人": name.reindex(person).to_numpy(),
                "来电号码": phone.reindex(person).to_numpy(),
                "拨打号码": calls["phone"],
                "通话时间": calls["at"],
                "渠道": calls["channel"],
                "业务类型": calls["kind"],
                "处理结果": calls["outcome"],
                "通话时长": calls["seconds"],
                "内容": calls["text"],
                "坐席工号": calls["staff_id"],
            }
        )
        own = headers("demo_cn", tables.TABLES["interactions"])
        return {
            "calls": out,
            "满意度调查": x[survey].drop(columns=["lead_id", "seconds", "text"]).rename(columns=own),
            "线索行为": x[~call & ~survey]
            .drop(columns=["score", "outcome", "seconds", "phone", "text"])
            .rename(columns=own),
        }

    def close(self) -> None:
        """Finish the text files and write the workbook."""
        for file in [*self.files.values(), *self.orders, *self.extras.values(), self.calls, self.agents]:
            file.close()
        book = xlsxwriter.Workbook(
            self.folder / CN_BOOK.format(month=self.day[:7]),
            {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False},
        )
        book.set_properties({"title": "海港路店（虚构）", "created": datetime.fromisoformat(f"{self.day} 20:00")})
        formats = {
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
        }
        for name, frames in self.sheets.items():
            sheet, frame = book.add_worksheet(name), pd.concat(frames, ignore_index=True)
            row = 0
            if name == "销售订单" and self.faulty:
                sheet.write_string(0, 0, "海港路店 销售台账")
                row = 2
            kinds = _kinds(frame.columns)
            for j, column in enumerate(frame.columns):
                sheet.write_string(row, j, column)
                _fill(sheet, row + 1, j, frame[column], kinds[column], formats)
            if name == "销售订单" and self.faulty:
                sheet.write_string(row + 1 + len(frame), 0, "合计")
                sheet.write_number(
                    row + 1 + len(frame),
                    list(frame.columns).index("车款"),
                    float(pd.to_numeric(frame["车款"], errors="coerce").sum()),
                )
        book.close()


def _year(text: str) -> int:
    """Year of a date in any of the formats the invented dealers use."""
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        return int((pd.Timestamp("1899-12-30") + pd.Timedelta(days=float(text))).year)
    return int(text[:4])


def _kinds(columns) -> dict[str, str]:
    """Header → type of cell, as far as any sheet's table knows it."""
    types = {
        header: c.type
        for name in ("sales_orders", "leads", "campaigns", "contacts", "interactions", "staff")
        for c in tables.TABLES[name].columns
        for header in [headers("demo_cn", tables.TABLES[name])[c.name]]
    }
    return {column: types[column] for column in columns}


def _fill(sheet, top: int, column: int, values: pd.Series, kind: str, formats: dict) -> None:
    """Write a column: dates and amounts as Excel holds them, whatever does not read as one as text."""
    for i, text in enumerate(values):
        if text == "":
            continue
        if kind in ("date", "time") and re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", text) and text >= "1900-03":
            sheet.write_datetime(top + i, column, datetime.fromisoformat(text), formats[kind])
        elif kind in ("money", "number", "int", "date", "time") and re.fullmatch(r"-?\d{1,7}(\.\d+)?", text):
            sheet.write_number(top + i, column, float(text))
        else:
            sheet.write_string(top + i, column, text)
