"""Three exports as three vendors' systems would write them, from an invented dealer's tables: other headers, other values,
other formats. `TRUTH` says what each header means: file or sheet → header → columns as ``table.column``, or None.
"""

from __future__ import annotations

import csv
import functools
import tempfile
from datetime import datetime
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import xlsxwriter
from dealerkit import demo

#: What each header of a vendor's files means; a file or sheet with no columns is a note.
TRUTH: dict[str, dict[str, dict[str, str | None]]] = {
    "chinese_dms": {
        "结算委托书": {
            "委托书号": "service_orders.order_id",
            "底盘号": "service_orders.vin",
            "车牌": "service_orders.plate",
            "客户代码": "service_orders.customer_id",
            "入厂时间": "service_orders.opened_at",
            "交车结算时间": "service_orders.settled_at",
            "行驶里程": "service_orders.odometer_km",
            "业务类别": "service_orders.order_type",
            "报修症状": "service_orders.fault",
            "人工费": "service_orders.labour_yuan",
            "零件材料费": "service_orders.parts_yuan",
            "折让": "service_orders.discount_yuan",
            "应收金额": "service_orders.total_yuan",
            "费用承担方": "service_orders.payer_kind",
            "接车SA": "service_orders.adviser_id",
            "预约标志": "service_orders.booked",
            "返工标志": "service_orders.is_comeback",
            "送车人": "service_orders.brought_by",
            "打印次数": None,
            "制单机构": None,
        },
        "委托书项目明细": {
            "委托书号": "service_lines.order_id",
            "行次": "service_lines.line_no",
            "项目编码": "service_lines.item_code",
            "项目描述": "service_lines.item_name",
            "工时备件别": "service_lines.kind",
            "用量": "service_lines.quantity",
            "标准工时": "service_lines.hours",
            "应收金额": "service_lines.amount_yuan",
            "执行情况": "service_lines.status",
        },
        "客户车辆档案": {
            "客户代码": "customers.customer_id",
            "客户全称": "customers.name",
            "客户属性": "customers.customer_type",
            "称谓": "customers.gender",
            "出生年月日": "customers.birth_date",
            "证件号": "customers.id_number",
            "移动号码": "customers.phone",
            "住址": "customers.address",
            "建卡时间": "customers.created_on",
            "底盘号": "vehicles.vin",
            "车牌": "vehicles.plate",
            "车型名称": "vehicles.series",
            "年份款": "vehicles.model_year",
            "燃油种类": "vehicles.energy_type",
            "提车发票价": "vehicles.purchase_price_yuan",
            "购买时间": "vehicles.purchased_on",
            "三包到期": "vehicles.warranty_ends_on",
            "保单到期日": "vehicles.insurance_ends_on",
            "颜色": None,
        },
        "新车交付": {
            "合同编号": "sales_orders.order_id",
            "客户代码": "sales_orders.customer_id",
            "底盘号": "sales_orders.vin",
            "签单日期": "sales_orders.ordered_on",
            "交付时间": "sales_orders.delivered_on",
            "成交总价": "sales_orders.price_yuan",
            "让利金额": "sales_orders.discount_yuan",
            "购车付款形式": "sales_orders.payment",
            "销售人员": "sales_orders.salesperson_id",
        },
    },
    "workbook": {
        "Read me": {},
        "Clients 客户": {
            "Cust. Code 客户码": "customers.customer_id",
            "Full Name 姓名": "customers.name",
            "Title 称呼": "customers.gender",
            "D.O.B.": "customers.birth_date",
            "Mobile No. 手机": "customers.phone",
            "Card Level 卡级": "customers.member_level",
            "Bonus Points": "customers.points",
            "Opened File On": "customers.created_on",
        },
        "Cars 车辆": {
            "Chassis 车架": "vehicles.vin",
            "Reg. Plate 车牌": "vehicles.plate",
            "Cust. Code 客户码": "vehicles.customer_id",
            "Model 车型": "vehicles.series",
            "Yr": "vehicles.model_year",
            "Power 能源": "vehicles.energy_type",
            "Retail Date 销售日": "vehicles.purchased_on",
            "Wty Until 质保至": "vehicles.warranty_ends_on",
            "Colour": None,
        },
        "RO": {
            "RO Nr 工单": "service_orders.order_id",
            "Chassis 车架": "service_orders.vin",
            "Cust. Code 客户码": "service_orders.customer_id",
            "Check-in 进厂": "service_orders.opened_at",
            "Check-out 出厂": "service_orders.settled_at",
            "KM Reading": "service_orders.odometer_km",
            "Job Cat. 类别": "service_orders.order_type",
            "Labour Amt": "service_orders.labour_yuan",
            "Parts Amt": "service_orders.parts_yuan",
            "Disc.": "service_orders.discount_yuan",
            "Grand Total 合计": "service_orders.total_yuan",
            "Paid By 付款": "service_orders.payer_kind",
            "SA 顾问": "service_orders.adviser_id",
            "Bay": None,
        },
        "Jobs 项目": {
            "RO Nr 工单": "service_lines.order_id",
            "Op Code": "service_lines.item_code",
            "Op Text 项目": "service_lines.item_name",
            "L/P": "service_lines.kind",
            "Qty.": "service_lines.quantity",
            "Std Hrs": "service_lines.hours",
            "Net 金额": "service_lines.amount_yuan",
            "Job Status": "service_lines.status",
        },
        "Deals 新车": {
            "Deal Nr": "sales_orders.order_id",
            "Cust. Code 客户码": "sales_orders.customer_id",
            "Chassis 车架": "sales_orders.vin",
            "Signed": "sales_orders.ordered_on",
            "Handed Over 交车": "sales_orders.delivered_on",
            "Deal Price 成交": "sales_orders.price_yuan",
            "Fin. 付款": "sales_orders.payment",
        },
        "callcenter_log": {
            "CallRef": "interactions.interaction_id",
            "CallerKey": "interactions.customer_id customers.customer_id",
            "CallerName": "customers.name",
            "CallerPhone": "customers.phone interactions.phone",
            "StartTime": "interactions.at",
            "Topic": "interactions.kind",
            "Disposition": "interactions.outcome",
            "TalkSec": "interactions.seconds",
            "Remark": "interactions.text",
            "AgentNo": "interactions.staff_id",
        },
    },
    "semicolons": {
        "RepairOrders": {
            "RONumber": "service_orders.order_id",
            "Chassis": "service_orders.vin",
            "RegPlate": "service_orders.plate vehicles.plate",
            "CarModel": "vehicles.series",
            "ClientNo": "service_orders.customer_id",
            "OpenDate": "service_orders.opened_at",
            "CloseDate": "service_orders.settled_at",
            "OdoReading": "service_orders.odometer_km",
            "JobClass": "service_orders.order_type",
            "LabourNet": "service_orders.labour_yuan",
            "PartsNet": "service_orders.parts_yuan",
            "Rebate": "service_orders.discount_yuan",
            "AmountDue": "service_orders.total_yuan",
            "BilledTo": "service_orders.payer_kind",
            "ServiceWriter": "service_orders.adviser_id",
        },
        "Clients": {
            "ClientNo": "customers.customer_id",
            "ClientName": "customers.name",
            "Salutation": "customers.gender",
            "Born": "customers.birth_date",
            "CellPhone": "customers.phone",
            "EMailAddr": "customers.email",
            "StreetAddr": "customers.address",
            "ClientSince": "customers.created_on",
        },
    },
}


@functools.cache
def canonical(lang: str, customers: int, seed: int) -> dict[str, pd.DataFrame]:
    """The invented dealer's tables as texts, by canonical column."""
    got: dict[str, pd.DataFrame] = {}

    class Kept:
        def __init__(self, folder, faults, faulty, month):
            self.lang = lang

        def add(self, block, made, rng):
            got.update({name: frame.copy() for name, frame in made.frames.items()})

        def close(self):
            pass

    name, dealer = {"en": ("English", "demo"), "zh": ("Chinese", "demo_cn")}[lang]
    with mock.patch.object(demo, name, Kept), tempfile.TemporaryDirectory() as folder:
        demo.generate(dealer, Path(folder) / "raw", Path(folder) / "truth", customers=customers, seed=seed)
    return got


def _values(frame: pd.DataFrame, column: str, new: dict[str, str]) -> None:
    frame[column] = frame[column].map(lambda text: new.get(text, text))


def _named(frame: pd.DataFrame, truth: dict[str, str | None], more: dict | None = None) -> pd.DataFrame:
    """The frame with a vendor's headers in a vendor's order; ``more`` gives what no canonical column holds."""
    out = {}
    for header, means in truth.items():
        if more and header in more:
            out[header] = more[header]
        else:
            out[header] = frame[means.split()[0].split(".")[1]]
    return pd.DataFrame(out, dtype=object)


def _year(texts: pd.Series) -> pd.Series:
    found = texts.str.extract(r"((?:19|20)\d\d)")[0]
    return pd.to_numeric(found).fillna(2021).astype(int)


def chinese_dms(folder: Path, customers: int = 600, seed: int = 31) -> Path:
    """Vendor A: GB18030 CSV files, orders by year, cards of customer and car in one file."""
    t = {name: frame.copy() for name, frame in canonical("zh", customers, seed).items()}
    truth, orders = TRUTH["chinese_dms"], t["service_orders"]
    kinds = ("定保", "小修", "事故车", "厂家索赔", "召回活动", "加装精品", "检测年审")
    _values(orders, "order_type", dict(zip(("保养", "维修", "事故", "索赔", "召回", "精品", "检测"), kinds)))
    _values(orders, "payer_kind", {"客户": "车主自付", "厂家": "主机厂", "保险": "保险理赔", "内部": "店内承担"})
    for column in ("booked", "is_comeback"):
        _values(orders, column, {"是": "Y", "否": "N"})
    for column in ("opened_at", "settled_at"):
        orders[column] = orders[column].str.replace("-", "/")
    plates = t["vehicles"].drop_duplicates("vin").set_index("vin")["plate"]
    rng = np.random.default_rng(seed)
    more = {
        "车牌": orders["vin"].map(plates).fillna(""),
        "打印次数": rng.integers(1, 4, len(orders)).astype(str),
        "制单机构": "海港路店",
    }
    whole, years = _named(orders, truth["结算委托书"], more), _year(orders["opened_at"])
    for first, last in ((2019, 2021), (2022, 2023), (2024, 2026)):
        part = whole[(years.clip(2019, 2026) >= first) & (years.clip(2019, 2026) <= last)]
        _csv(part, folder / f"结算委托书 {first}-{last}.csv", "gb18030")
    lines = t["service_lines"]
    _values(lines, "kind", {"工时": "工时项", "配件": "备件项"})
    _values(lines, "status", {"完成": "已做", "拒绝": "客户拒做", "延后": "择期再做"})
    _csv(_named(lines, truth["委托书项目明细"]), folder / "委托书项目明细.csv", "gb18030")
    cards = t["customers"].merge(t["vehicles"], on="customer_id", how="left").fillna("")
    _values(cards, "gender", {"男": "先生", "女": "女士"})
    _values(cards, "customer_type", {"个人": "私人客户", "企业": "单位客户"})
    _values(cards, "energy_type", {"燃油": "汽油车", "混动": "油电混合", "插电混动": "插电车", "纯电": "纯电车"})
    more = {"颜色": rng.choice(["白", "黑", "银", "红"], len(cards))}
    _csv(_named(cards, truth["客户车辆档案"], more), folder / "客户车辆档案.csv", "gb18030", title="客户车辆档案 导出")
    sales = t["sales_orders"]
    _values(sales, "payment", {"贷款": "按揭购车", "全款": "全款购车", "租赁": "融资租赁"})
    _csv(_named(sales, truth["新车交付"]), folder / "新车交付.csv", "gb18030")
    return folder


def workbook(folder: Path, customers: int = 500, seed: int = 32) -> Path:
    """Vendor B: one workbook of many sheets with titles and merged cells, and a call centre with keys of its own."""
    t = {name: frame.copy() for name, frame in canonical("en", customers, seed).items()}
    truth, orders = TRUTH["workbook"], t["service_orders"]
    kinds = {
        "maintenance": "MAINT",
        "repair": "REPAIR",
        "accident": "BODY",
        "warranty": "WTY",
        "recall": "RECALL",
        "accessory": "ACC",
        "inspection": "INSP",
    }
    _values(orders, "order_type", kinds)
    _values(orders, "payer_kind", {"customer": "Cust", "warranty": "Maker", "insurer": "Insurance", "internal": "Own"})
    _values(t["customers"], "gender", {"male": "Mr.", "female": "Ms."})
    _values(t["vehicles"], "energy_type", {"petrol": "Petrol", "hybrid": "Hybrid", "electric": "EV"})
    _values(t["service_lines"], "kind", {"labour": "L", "part": "P"})
    _values(t["service_lines"], "status", {"declined": "Refused", "postponed": "Deferred", "done": "Done"})
    rng = np.random.default_rng(seed)
    sheets = {
        "Clients 客户": _named(t["customers"], truth["Clients 客户"]),
        "Cars 车辆": _named(
            t["vehicles"], truth["Cars 车辆"], {"Colour": rng.choice(["white", "grey"], len(t["vehicles"]))}
        ),
        "Jobs 项目": _named(t["service_lines"], truth["Jobs 项目"]),
        "Deals 新车": _named(t["sales_orders"], truth["Deals 新车"]),
    }
    years = _year(orders["opened_at"])
    visits = _named(orders, truth["RO"], {"Bay": rng.integers(1, 9, len(orders)).astype(str)})
    sheets |= {"RO 2019-2022": visits[years <= 2022], "RO 2023-2026": visits[years > 2022]}
    _book(folder / "Autohaus 客户台账.xlsx", sheets)
    calls = t["interactions"][t["interactions"]["kind"].isin(["care call", "complaint", "enquiry"])].copy()
    _values(calls, "kind", {"care call": "Care Call", "complaint": "Complaint", "enquiry": "Inquiry"})
    known = t["customers"].drop_duplicates("customer_id").set_index("customer_id")
    keys = {c: f"CC-{88_000 + 7 * i}" for i, c in enumerate(sorted(set(calls["customer_id"])))}
    more = {
        "CallerKey": calls["customer_id"].map(keys),
        "CallerName": calls["customer_id"].map(known["name"]).fillna(""),
        "CallerPhone": calls["customer_id"].map(known["phone"]).fillna(""),
    }
    _csv(_named(calls, truth["callcenter_log"], more), folder / "callcenter_log.csv", "utf-8")
    return folder


def semicolons(folder: Path, customers: int = 500, seed: int = 33) -> Path:
    """Vendor C: semicolons, days first, decimal commas; repair orders and customers only."""
    t = {name: frame.copy() for name, frame in canonical("en", customers, seed).items()}
    truth, orders = TRUTH["semicolons"], t["service_orders"]
    _values(orders, "order_type", {"maintenance": "Maintenance svc", "repair": "Mech. repair", "accident": "Body shop"})
    _values(orders, "payer_kind", {"customer": "Customer pay", "warranty": "Manufacturer", "insurer": "Insurance co"})
    cars = t["vehicles"].drop_duplicates("vin").set_index("vin")
    more = {
        "RegPlate": orders["vin"].map(cars["plate"]).fillna(""),
        "CarModel": orders["vin"].map(cars["series"]).fillna(""),
    }
    visits = _named(orders, truth["RepairOrders"], more)
    for header in ("OpenDate", "CloseDate"):
        visits[header] = visits[header].map(_day_first)
    for header in ("LabourNet", "PartsNet", "Rebate", "AmountDue"):
        visits[header] = visits[header].map(_comma)
    _csv(visits, folder / "RepairOrders.csv", "utf-8", delimiter=";")
    people = t["customers"]
    _values(people, "gender", {"male": "Mr", "female": "Mrs"})
    clients = _named(people, truth["Clients"])
    for header in ("Born", "ClientSince"):
        clients[header] = clients[header].map(_day_first)
    _csv(clients, folder / "Clients.csv", "utf-8", delimiter=";")
    return folder


VENDORS = {"chinese_dms": chinese_dms, "workbook": workbook, "semicolons": semicolons}


def _day_first(text: str) -> str:
    """``2024-03-07 09:15`` as ``07/03/2024 09:15``; another text as it is."""
    day, _, rest = text.partition(" ")
    parts = day.split("-")
    return f"{parts[2]}/{parts[1]}/{parts[0]} {rest}".strip() if len(parts) == 3 else text


def _comma(text: str) -> str:
    """``1234.50`` as ``1.234,50``; another text as it is."""
    try:
        return f"{float(text):,.2f}".translate(str.maketrans(",.", ".,"))
    except ValueError:
        return text


def _csv(frame: pd.DataFrame, path: Path, encoding: str, delimiter: str = ",", title: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding=encoding, newline="") as stream:
        if title:
            stream.write(f"{title}\r\n\r\n")
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(frame.columns)
        writer.writerows(frame.itertuples(index=False))


def _book(path: Path, sheets: dict[str, pd.DataFrame]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(path, {"strings_to_numbers": False, "strings_to_formulas": False})
    book.set_properties({"created": datetime(2026, 9, 30)})
    bold = book.add_format({"bold": True})
    notes = book.add_worksheet("Read me")
    for at, line in enumerate(("This book is written each month.", "Ask the office for the password of the share.")):
        notes.write_string(at, 0, line)
    for name, frame in sheets.items():
        sheet = book.add_worksheet(name)
        sheet.merge_range(0, 0, 0, len(frame.columns) - 1, f"Autohaus: {name}", bold)
        sheet.merge_range(1, 0, 1, 2, "exported 2026-09-30")
        for j, header in enumerate(frame.columns):
            sheet.write_string(3, j, header)
        for i, row in enumerate(frame.itertuples(index=False), start=4):
            for j, text in enumerate(row):
                if text:
                    sheet.write_string(i, j, text)
    book.close()
