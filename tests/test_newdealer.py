"""A newcomer's own data: what is made of exports nobody has seen, and of folders nothing can be made of."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import msoffcrypto.format.ooxml
import pandas as pd
import pytest
import yaml
from dealerkit import params, tables
from dealerkit.errors import UserError
from dealerkit.ingest import ingest
from dealerkit.newdealer import propose
from dealerkit.newdealer.fit import codes
from dealerkit.newdealer.sheets import Values
from dealerkit.newdealer.words import guess_code, likeness
from dealerkit.newdealer.write import quoted
from helpers import InProcess, Project, as_files, small_dealer, table
from vendors import TRUTH, VENDORS, canonical

VENDOR_CUSTOMERS = 240


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> Path:
    """The folders of the three vendors."""
    base = tmp_path_factory.mktemp("vendors")
    for name, make in VENDORS.items():
        make(base / name, customers=VENDOR_CUSTOMERS)
    return base


@pytest.fixture(scope="session")
def proposals(exports):
    """What is proposed for each vendor."""
    return {name: propose(name, exports / name) for name in VENDORS}


@pytest.fixture
def commands(tmp_path, monkeypatch, capsys) -> InProcess:
    return InProcess(Project(tmp_path), monkeypatch, capsys)


def new(commands: InProcess, dealer: str, raw: Path | str) -> tuple[int, str]:
    return commands("new-dealer", "--dealer", dealer, "--raw", str(raw))


def folder(base: Path, **files: str | bytes) -> Path:
    """A folder of files; ``__`` in a name stands for the dot."""
    base.mkdir(parents=True)
    for name, content in files.items():
        path = base / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return base


def judged(proposal, truth: dict[str, dict[str, str | None]]) -> dict[str, list[str]]:
    """Claims as right or wrong by certainty, and what was not found: lists of ``place: header → column``."""
    out = {"sure right": [], "sure wrong": [], "guessed right": [], "guessed wrong": [], "not found": []}
    for reading in proposal.readings:
        part = reading.sheet.part
        place = max((k for k in truth if k in f"{part.file} {part.sheet}"), key=len)
        means, found = truth[place], set()
        for name, matches in reading.matches.items():
            for column, match in matches.items():
                claim, wanted = f"{name}.{column}", (means[match.values.header] or "").split()
                # number and VIN of one file serve each of the tables it feeds
                right = claim in wanted or (column in ("customer_id", "vin") and f".{column}" in f"{wanted}")
                kind = f"{'sure' if match.sure else 'guessed'} {'right' if right else 'wrong'}"
                out[kind].append(f"{place}: {match.values.header} → {claim}")
                found.add(match.values.header)
        out["not found"] += [f"{place}: {h} → {c}" for h, c in means.items() if c and h not in found]
    return out


# ---- three vendors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_sure_is_right_and_what_is_guessed_nearly_always(proposals, vendor):
    found = judged(proposals[vendor], TRUTH[vendor])
    assert found["sure wrong"] == [] and found["sure right"]
    assert found["guessed wrong"] == []
    assert found["not found"] == []


def test_each_sheet_feeds_its_tables(proposals):
    fed = {
        vendor: {str(r.sheet): (r.tables, r.source) for r in proposal.readings}
        for vendor, proposal in proposals.items()
    }
    book = "Autohaus 客户台账.xlsx, sheet"
    assert fed == {
        "chinese_dms": {
            "委托书项目明细.csv": (["service_lines"], "dms"),
            "客户车辆档案.csv": (["customers", "vehicles"], "dms"),
            "新车交付.csv": (["sales_orders"], "dms"),
            "结算委托书 2019-2021.csv and 2 more": (["service_orders"], "dms"),
        },
        "workbook": {
            f"{book} 'Clients 客户'": (["customers"], "dms"),
            f"{book} 'Cars 车辆'": (["vehicles"], "dms"),
            f"{book} 'Jobs 项目'": (["service_lines"], "dms"),
            f"{book} 'Deals 新车'": (["sales_orders"], "dms"),
            f"{book} 'RO 2019-2022' and 1 more": (["service_orders"], "dms"),
            "callcenter_log.csv": (["customers", "interactions"], "callcentre"),
        },
        "semicolons": {"Clients.csv": (["customers"], "dms"), "RepairOrders.csv": (["service_orders"], "dms")},
    }
    assert [name for name, _ in proposals["workbook"].unread] == ["Autohaus 客户台账.xlsx · Read me"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_written_reads_back_what_was_delivered(exports, proposals, vendor, tmp_path):
    """Rows and values that ingest reads by the proposal are those of the dealer's own tables, number by number."""
    (tmp_path / f"{vendor}.yaml").write_text(str(proposals[vendor].text), encoding="utf-8")
    made = params.load(tmp_path / f"{vendor}.yaml")
    read = ingest(made, exports / vendor, tmp_path / "out")
    orders = pd.read_parquet(read.tables["service_orders"].path)
    lang, seed = {"chinese_dms": ("zh", 31), "workbook": ("en", 32), "semicolons": ("en", 33)}[vendor]
    own = canonical(lang, VENDOR_CUSTOMERS, seed)["service_orders"]
    rows = orders[orders["_kind"] == "row"]
    assert len(rows) == len(own) and sorted(rows["order_id"].dropna()) == sorted(own["order_id"][own["order_id"] != ""])
    paid, due = (pd.to_numeric(f["total_yuan"], errors="coerce").sum() for f in (rows, own))
    assert paid == pytest.approx(due, rel=1e-9)
    codes_ = tables.code_index(tables.TABLES["service_orders"]["order_type"])
    known = rows["order_type"].dropna().map(lambda text: tables.fold(text) in codes_).mean()
    assert known > 0.99
    cars = pd.read_parquet(read.tables["vehicles"].path)
    assert cars["series"].notna().mean() > 0.9 and cars["plate"].notna().mean() > 0.9


def test_dates_decimals_and_patterns_are_written_where_needed(proposals):
    made = {v: yaml.safe_load(str(p.text)) for v, p in proposals.items()}
    orders = next(f for f in made["semicolons"]["files"] if f["file"] == "RepairOrders.csv")
    assert (orders["date_order"], orders["decimal"]) == ("dmy", ",")
    assert {"vehicles.plate", "plate"} & orders["columns"].keys() and "series" in orders["columns"]
    assert "结算委托书 *.csv" in [f["file"] for f in made["chinese_dms"]["files"]]
    sheets = [f for f in made["workbook"]["files"] if f["tables"] == ["service_orders"]]
    assert [f["sheet"] for f in sheets] == ["RO 2019-2022", "RO 2023-2026"] and sheets[0]["columns"] == sheets[1][
        "columns"
    ]
    assert made["workbook"]["sources"] == ["dms", "callcentre"]
    assert re.search(
        r"source: callcentre +# guessed  its customer numbers are none of", str(proposals["workbook"].text)
    )
    assert [made[v]["language"] for v in VENDORS] == ["zh", "en", "en"]
    assert not any({"encoding", "delimiter", "header_row"} & f.keys() for m in made.values() for f in m["files"])
    text = str(proposals["semicolons"].text)
    assert "# - leads (销售线索): prospects and the lead funnel" in text
    assert "No file of their own: vehicles" in text


def test_every_line_says_what_it_rests_on(proposals):
    for proposal in proposals.values():
        lines = str(proposal.text).partition("files:\n")[2].splitlines()
        claims = [
            line for line in lines if re.match(r"^ {4,8}(#? ?)[\w.\"]+.*: (?![*&])\S", line) and "not used" not in line
        ]
        unsaid = [
            line
            for line in claims
            if not re.search(r"# (sure|guessed|\?|[\d,]+ rows|as above)", line) and "sheet:" not in line
        ]
        assert claims and unsaid == []


def test_no_personal_value_is_written_or_printed(exports, proposals, commands, monkeypatch):
    for vendor, proposal in proposals.items():
        code, said = new(commands, vendor, exports / vendor)
        assert code == 0
        own = canonical(
            "zh" if vendor == "chinese_dms" else "en",
            VENDOR_CUSTOMERS,
            {"chinese_dms": 31, "workbook": 32, "semicolons": 33}[vendor],
        )
        told = said + str(proposal.text)
        for name, column in (
            ("customers", "phone"),
            ("customers", "name"),
            ("vehicles", "vin"),
            ("vehicles", "plate"),
            ("customers", "id_number"),
            ("customers", "email"),
        ):
            assert [v for v in set(own[name][column]) if len(v) > 2 and v in told] == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_report_follows(exports, commands, vendor):
    code, said = new(commands, vendor, exports / vendor)
    assert code == 0 and f"make report DEALER={vendor}" in said.splitlines()[-1]
    for stage in ("10-audit", "20-customers"):
        done = commands.execute(vendor, stage)
        assert done[0] == 0, done[1]


# ---- other shapes ------------------------------------------------------------------------------------------------


def test_visits_and_their_lines_in_one_file(tmp_path):
    own = canonical("zh", 200, 51)
    cars = own["vehicles"].drop_duplicates("vin")[["vin", "plate", "series"]]
    people = own["customers"].drop_duplicates("customer_id")[["customer_id", "name", "phone"]]
    wide = (
        own["service_orders"]
        .drop(columns=["plate", "phone"])
        .merge(cars, on="vin", how="left")
        .merge(people, on="customer_id", how="left")
    )
    wide = wide.merge(own["service_lines"], on="order_id", suffixes=("", "_line")).fillna("")
    means = {
        "单据号": "order_id",
        "客户名称": "name",
        "客户电话": "phone",
        "车牌号码": "plate",
        "车型": "series",
        "车辆VIN": "vin",
        "送修时间": "opened_at",
        "完工时间": "settled_at",
        "进站里程": "odometer_km",
        "维修种类": "order_type",
        "项目编码": "item_code",
        "项目名称": "item_name",
        "费用类别": "kind",
        "数量": "quantity",
        "小计金额": "amount_yuan",
        "应结金额": "total_yuan",
        "接待顾问": "adviser_id",
    }
    (tmp_path / "raw").mkdir()
    wide[list(means.values())].set_axis(list(means), axis=1).to_csv(
        tmp_path / "raw/维修记录.csv", index=False, encoding="gb18030"
    )
    proposal = propose("x", tmp_path / "raw")
    (reading,) = proposal.readings
    assert reading.tables == ["service_orders", "service_lines"]
    got = {m.values.header: c for ms in reading.matches.values() for c, m in ms.items()}
    assert got == means
    (tmp_path / "x.yaml").write_text(str(proposal.text), encoding="utf-8")
    read = ingest(params.load(tmp_path / "x.yaml"), tmp_path / "raw", tmp_path / "out")
    orders, lines = (pd.read_parquet(read.tables[n].path) for n in ("service_orders", "service_lines"))
    assert len(lines) == len(wide) and set(orders["order_id"]) == set(wide["order_id"])
    assert read.tables["customers"].rows > 0 and read.derived == ("vehicles", "customers")


AMERICAN = {
    "RO #": "order_id",
    "RO Open Date": "opened_at",
    "RO Close Date": "settled_at",
    "Cust #": "customer_id",
    "Cust Name": "name",
    "Cell": "phone",
    "Email": "email",
    "Address 1": "address",
    "VIN #": "vin",
    "Year": "model_year",
    "Make": "brand",
    "Model Desc": "series",
    "Mileage In": "odometer_km",
    "Labor Sale": "labour_yuan",
    "Parts Sale": "parts_yuan",
    "Disc Amt": "discount_yuan",
    "Total RO Sale": "total_yuan",
    "Pay Type": "payer_kind",
    "Svc Advisor": "adviser_id",
    "Svc Type": "order_type",
}
SCHEMA = {
    "t_work_order.txt": (
        "service_orders",
        "wo_code=order_id chassis_num=vin cust_id=customer_id arrive_time=opened_at finish_time=settled_at"
        " mileage=odometer_km wo_type=order_type labor_cost=labour_yuan fittings_cost=parts_yuan"
        " pay_amount=total_yuan sa_code=adviser_id",
    ),
    "t_cust_info.txt": (
        "customers",
        "cust_id=customer_id cust_name=name mobile_no=phone gender_cd=gender birth_dt=birth_date"
        " create_time=created_on grade=member_level",
    ),
    "t_car.txt": (
        "vehicles",
        "chassis_num=vin license_no=plate cust_id=customer_id series_name=series buy_date=purchased_on"
        " fuel_cd=energy_type",
    ),
    "t_call.txt": (
        "interactions",
        "id=interaction_id cust_id=customer_id call_start=at call_type=kind call_result=outcome duration=seconds"
        " content=text operator=staff_id",
    ),
}


def test_one_wide_file_of_visits_month_first(tmp_path):
    """An American history file: visit, car and customer on one line, and nothing else."""
    own = canonical("en", 300, 52)
    people = own["customers"].drop_duplicates("customer_id")[["customer_id", "name", "phone", "email", "address"]]
    cars = own["vehicles"].drop_duplicates("vin")[["vin", "brand", "series", "model_year"]]
    wide = (
        own["service_orders"]
        .drop(columns=["plate", "phone"])
        .merge(people, on="customer_id", how="left")
        .merge(cars, on="vin", how="left")
        .fillna("")
    )
    wide = wide[list(AMERICAN.values())].set_axis(list(AMERICAN), axis=1)
    for header in ("RO Open Date", "RO Close Date"):
        wide[header] = wide[header].str.replace(r"^(\d{4})-(\d\d)-(\d\d)", r"\2/\3/\1", regex=True)
    raw = folder(tmp_path / "raw", history__csv=wide.to_csv(index=False))
    proposal = propose("x", raw)
    assert {m.values.header: c for ms in proposal.readings[0].matches.values() for c, m in ms.items()} == AMERICAN
    assert yaml.safe_load(str(proposal.text))["files"][0]["date_order"] == "mdy"


def test_names_of_a_database(tmp_path):
    own, files = canonical("en", 300, 52), {}
    means = {file: dict(pair.split("=") for pair in text.split()) for file, (_, text) in SCHEMA.items()}
    for file, (name, _) in SCHEMA.items():
        frame = own[name][list(means[file].values())].set_axis(list(means[file]), axis=1)
        files[file.replace(".", "__")] = frame.to_csv(index=False, sep="\t")
    proposal = propose("x", folder(tmp_path / "raw", **files))
    for reading in proposal.readings:
        file = reading.sheet.part.file
        assert (reading.tables, reading.source) == ([SCHEMA[file][0]], "dms")
        assert {m.values.header: c for ms in reading.matches.values() for c, m in ms.items()} == means[file]


def small(rename: dict[str, str] | None = None) -> dict[str, str]:
    """The files of a tiny dealer with canonical headers, or others."""
    files = as_files(small_dealer(40))
    for old, new_ in (rename or {}).items():
        files = {name: text.replace(old, new_, 1) for name, text in files.items()}
    return {name.replace(".", "__"): text for name, text in files.items()}


def test_known_headers_are_sure_and_need_no_mark(tmp_path):
    proposal = propose("x", folder(tmp_path / "raw", **small()))
    assert {m.sure for r in proposal.readings for ms in r.matches.values() for m in ms.values()} == {True}


def test_a_header_that_stands_twice_is_told_apart(tmp_path):
    rows = [[*r, r[3]] for r in small_dealer(40)["visits.csv"]]
    head = "order_id,vin,customer_id,opened_at,settled_at,odometer_km,labour_yuan,parts_yuan,total_yuan,opened_at"
    proposal = propose("x", folder(tmp_path / "raw", visits__csv=table(head, rows)))
    line = next(x for x in proposal.text.lines if x.startswith("      opened_at:"))
    assert '"opened_at#1"' in line and "guessed" in line


def test_a_second_file_of_the_same_records_is_put_aside(tmp_path):
    files, rows = small(), small_dealer(40)["visits.csv"]
    again = table("RO Nr,Chassis,Check-in,KM Reading", [[r[0], r[1], r[3], r[5]] for r in rows])
    proposal = propose("x", folder(tmp_path / "raw", old_system__csv=again, **files))
    aside = [r for r in proposal.readings if r.aside]
    assert [r.sheet.part.file for r in aside] == ["old_system.csv"] and "in visits.csv already" in aside[0].aside
    assert "# ? not read: 100 % of its service_orders are in visits.csv" in str(proposal.text)
    assert "old_system.csv" not in [f["file"] for f in yaml.safe_load(str(proposal.text))["files"]]


def test_other_records_under_other_headers_are_an_entry_of_their_own(tmp_path):
    rows = small_dealer(40)["visits.csv"]
    old = table("RO Nr,Chassis,Check-in,KM Reading", [[f"OLD{r[0]}", r[1], r[3], r[5]] for r in rows])
    proposal = propose("x", folder(tmp_path / "raw", old_system__csv=old, **small()))
    made = yaml.safe_load(str(proposal.text))["files"]
    assert sorted(f["file"] for f in made if f["tables"] == ["service_orders"]) == ["old_system.csv", "visits.csv"]


def test_what_cannot_be_decided_is_a_marked_line(tmp_path):
    rows = small_dealer(60)
    people = [
        [r[0], r[1], r[2], f"20{10 + i % 9}-03-04", f"20{10 + i % 9}-05-06"]
        for i, r in enumerate(rows["customers.csv"])
    ]
    files = small() | {"customers__csv": table("customer_id,name,phone,建库日,资料日", people)}
    text = str(propose("x", folder(tmp_path / "raw", **files)).text)
    assert re.search(r"\n      # created_on: 建库日 +# \?  Created on, 建档日期: candidates: 建库日, 资料日\n", text)
    assert re.search(r"\n      # plate: … +# \?  Plate, 车牌号: missing", text)


def test_codes_that_nothing_is_known_of_are_marked(tmp_path):
    rows = [[*r, "QX7" if i % 3 else "保养"] for i, r in enumerate(small_dealer(40)["visits.csv"])]
    head = "order_id,vin,customer_id,opened_at,settled_at,odometer_km,labour_yuan,parts_yuan,total_yuan,order_type"
    text = str(propose("x", folder(tmp_path / "raw", visits__csv=table(head, rows))).text)
    assert re.search(
        r"\n    # values:\n      # order_type:\n        # QX7: … +# \?  66.7 % of rows; one of maintenance,", text
    )


def strangers() -> dict[str, str]:
    """Files that are no table of the kit's: of cars, of customers, of phones, and of nobody."""
    rows = small_dealer(40)
    cars, people = rows["vehicles.csv"], rows["customers.csv"]
    policies = [[f"PX-{i}", r[0], f"202{4 + i % 2}-0{1 + i % 9}-11", 3000 + i] for i, r in enumerate(cars)]
    return {
        "Policies 2025__csv": table("Policy,Frame,Start,Premium CNY", policies),
        "wallet__csv": table("id,Who,Balance,Tier", [[i, r[0], i * 10, i % 3] for i, r in enumerate(people)]),
        "停车__csv": table("lot,mobile,hours in", [[f"lot {i % 4}", r[2], i % 5] for i, r in enumerate(people)]),
        "menu__csv": table("dish,price,weight", [[f"dish {i}", i, i * 2] for i in range(40)]),
    }


def test_a_file_of_customers_or_cars_that_is_no_table_gets_a_hint(commands, tmp_path):
    code, said = new(commands, "x", folder(tmp_path / "raw", **small(), **strangers()))
    assert code == 0
    hinted = re.findall(r"^  (\S.*): its column (.+) looks like (.+)$", said, re.M)
    assert sorted(hinted) == [
        ("Policies 2025.csv", "Frame", "VINs"),
        ("wallet.csv", "Who", "customer numbers"),
        ("停车.csv", "mobile", "phone numbers"),
    ]
    assert "menu.csv: its headers are those of no table" in said
    assert not [r for r in small_dealer(40)["customers.csv"] if r[1] in said or r[2] in said]
    # what is printed is what stands in the params, and with the # taken away it is read
    path = tmp_path / "params/x.yaml"
    head, _, comment = path.read_text(encoding="utf-8").partition("# extra_factors:")
    snippet = "extra_factors:" + re.sub(r"(?m)^# ", "", comment)
    assert all(f"  {line}" in said.splitlines() for line in snippet.rstrip().splitlines())
    path.write_text(head + snippet, encoding="utf-8")
    made = params.load(path)
    told = {t.name: (t.file, t.key, t.key_header, t.date or t.known_from) for t in made.extra_factors}
    assert told == {
        "policies": ("Policies 2025.csv", "vin", "Frame", "Start"),
        "wallet": ("wallet.csv", "customer_id", "Who", "export"),
        "further_table": ("停车.csv", "phone", "mobile", "export"),
    }
    read = ingest(made, tmp_path / "data/raw/x", tmp_path / "out")
    assert {e.name: e.rows for e in read.extras} == dict.fromkeys(told, 40)


def test_numbers_that_are_nobodys_get_no_hint(tmp_path):
    """Customer numbers by the header, of another system or of too few rows; and a file that feeds a table."""
    elsewhere = table("客户号,额度 x,面", [[f"Z{i}", i * 10, i] for i in range(40)])
    few = table("Who,Balance,Tier", [[f"C{i:04d}", i * 10, i] for i in range(5)])
    proposal = propose("x", folder(tmp_path / "raw", elsewhere__csv=elsewhere, few__csv=few, **small()))
    assert not proposal.text.further and "extra_factors" not in str(proposal.text)


# ---- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("委托书编号", "service_orders.order_id"),
        ("RO #", "service_orders.order_id"),
        ("RO Close Date", "service_orders.settled_at"),
        ("Mileage In", "service_orders.odometer_km"),
        ("车辆 VIN", "vehicles.vin"),
        ("cust_name", "customers.name"),
        ("CustNo", "customers.customer_id"),
        ("建卡日期", "customers.created_on"),
        ("进站里程（公里）", "service_orders.odometer_km"),
        ("接待顾问", "service_orders.adviser_id"),
    ],
)
def test_headers_are_most_like_what_they_mean(header, column):
    name, wanted = column.split(".")
    own = tables.TABLES[name]
    alike = {c.name: likeness(header, own, c) for c in own.columns}
    assert max(alike, key=alike.get) == wanted and alike[wanted] >= 0.5


def test_codes_are_guessed_only_where_one_fits():
    kind, payer = tables.TABLES["service_orders"]["order_type"], tables.TABLES["service_orders"]["payer_kind"]
    assert [guess_code(kind, v) for v in ("BY保养", "02-小修", "Body shop", "套餐", "保养及维修")] == [
        "maintenance",
        "repair",
        "accident",
        None,
        None,
    ]
    assert guess_code(payer, "保险理赔") == "insurer"
    values = Values("x", 0, ["保养", "套餐", "小修"], ["保养"] * 3 + ["套餐"] * 2 + ["小修"], 6)
    assert codes(kind, values) == (["保养"], {"小修": "repair"}, ["套餐"])


@pytest.mark.parametrize(
    "text", ["no", "Cust. Code 客户码", "a: b", '"x"', "#1", "上牌\n日期", "1", "null", " x", "L/P", "on", "客户,号"]
)
def test_texts_survive_yaml(text):
    assert yaml.safe_load(f"{quoted(text)}: {quoted(text)}") == {text: text}


# ---- mistakes ----------------------------------------------------------------------------------------------------


def untouched(commands: InProcess) -> bool:
    here = commands.project.folder
    return not any((here / "params").iterdir()) and not (here / "data").exists()


def protected() -> bytes:
    """A workbook that asks for a password."""
    import xlsxwriter

    plain, locked = io.BytesIO(), io.BytesIO()
    book = xlsxwriter.Workbook(plain)
    book.add_worksheet("a").write_string(0, 0, "order_id")
    book.close()
    plain.seek(0)
    msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt("secret", locked)
    return locked.getvalue()


HEADLESS = "\n".join(f"R{i:05d},L0XAA1B20KK{i:06d},2024-03-{i % 28 + 1:02d},139{i:08d}" for i in range(30))
BAD = {
    "empty folder": ({}, "it is empty"),
    "no readable file": ({"a__pdf": "x", "b__zip": "x"}, "no file that can be read, only a.pdf, b.zip"),
    "nothing but prose": ({"note__txt": "Dear all,\nthis is a note, and no table.\n"}, "no workshop visits"),
    "a table of something else": ({"a__csv": "colour,size\nred,3\nblue,4\n"}, "headers found: colour, size"),
    "no header line": ({"a__csv": HEADLESS}, "a.csv: no header line: its first rows are values already"),
    "protected": ({"a__xlsx": protected()}, "a.xlsx: the workbook is protected by a password"),
    "no workbook": ({"a__xlsx": b"PK\x03\x04rubbish"}, "a.xlsx: not a readable workbook"),
    "an empty file": ({"a__csv": ""}, "a.csv: the file is empty (0 bytes)"),
    "no visits": ({"c__csv": as_files(small_dealer(30))["customers.csv"]}, "c.csv: taken for customers"),
    "visits without VIN": (
        {
            "v__csv": table(
                "order_id,opened_at,odometer_km,total_yuan",
                [[f"R{i}", "2024-01-02", 100 * i, 5 * i] for i in range(40)],
            )
        },
        "but nothing for VIN (车架号)",
    ),
    "a header and no rows": ({"v__csv": "order_id,vin,opened_at\n"}, "a header without rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_folders_that_nothing_can_be_made_of(commands, tmp_path, case):
    files, message = BAD[case]
    code, said = new(commands, "x", folder(tmp_path / "raw", **files))
    assert (code, message in said, "→" in said, untouched(commands)) == (2, True, True, True), said
    assert not re.search(r"Traceback|139\d{8}|L0XAA1B20", said)


def test_all_unreadable_files_are_told_at_once(commands, tmp_path):
    raw = folder(tmp_path / "raw", a__xlsx=protected(), b__csv="", c__csv=HEADLESS, **small())
    code, said = new(commands, "x", raw)
    assert (code, untouched(commands)) == (2, True)
    assert "3 of 6 files cannot be read; nothing was written" in said and all(
        f"{n}" in said for n in ("a.xlsx", "b.csv", "c.csv")
    )


@pytest.mark.parametrize(
    ("dealer", "raw", "message"),
    [
        ("x", "no such", "there is no such folder"),
        ("x", "", "no folder named"),
        ("x", "file.csv", "is a file"),
        ("x", ".", "holds the project itself"),
        ("a b", "raw", "is not a dealer's name"),
        ("../x", "raw", "is not a dealer's name"),
        ("", "raw", "is not a dealer's name"),
    ],
)
def test_arguments_that_are_none(commands, tmp_path, dealer, raw, message):
    (tmp_path / "file.csv").write_text("x", encoding="utf-8")
    code, said = new(commands, dealer, raw)
    assert (code, message in said, untouched(commands)) == (2, True, True), said


def test_params_that_are_there_are_left_alone(commands, tmp_path):
    raw = folder(tmp_path / "raw", **small())
    (tmp_path / "params/x.yaml").write_text("display_name: Mine\n", encoding="utf-8")
    code, said = new(commands, "x", raw)
    assert code == 2 and "params/x.yaml is there already and was not touched" in said
    assert (tmp_path / "params/x.yaml").read_text(encoding="utf-8") == "display_name: Mine\n"
    assert not (tmp_path / "data").exists()
    proposed = tmp_path / "build/x/new-dealer.yaml"
    assert yaml.safe_load(proposed.read_text(encoding="utf-8"))["files"]


def test_files_are_copied_once_and_never_over_others(commands, tmp_path):
    raw = folder(tmp_path / "客户 导出 (1)", **small())
    (raw / "2024 年").mkdir()
    (raw / "visits.csv").rename(raw / "2024 年/维修 单.csv")
    assert new(commands, "新店", raw)[0] == 0
    target = tmp_path / "data/raw/新店"
    assert (target / "2024 年/维修 单.csv").read_bytes() == (raw / "2024 年/维修 单.csv").read_bytes()
    (tmp_path / "params/新店.yaml").unlink()
    code, said = new(commands, "新店", raw)  # the same files are there: fine
    assert code == 0 and "copied" not in said
    (tmp_path / "params/新店.yaml").unlink()
    assert new(commands, "新店", "")[0] == 0  # in place already
    (tmp_path / "params/新店.yaml").unlink()
    (raw / "customers.csv").write_text(small()["customers__csv"] + "C9999,Some One,13912345678,m\n", encoding="utf-8")
    before = (target / "customers.csv").read_bytes()
    code, said = new(commands, "新店", raw)
    assert code == 2 and "holds other files of the same names" in said and "customers.csv" in said
    assert (target / "customers.csv").read_bytes() == before and not (tmp_path / "params/新店.yaml").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_leaves_nothing_behind(commands, tmp_path, monkeypatch):
    raw = folder(tmp_path / "raw", **small())
    real = __import__("shutil").copyfile

    def full(source, target):
        if Path(source).name == "visits.csv":
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr("dealerkit.newdealer.shutil.copyfile", full)
    code, said = new(commands, "x", raw)
    assert code == 2 and "No space left" in said
    assert (
        not [p for p in (tmp_path / "data/raw").rglob("*") if p.is_file()] and not (tmp_path / "params/x.yaml").exists()
    )


def test_a_mapping_to_a_header_that_is_not_there_is_told(commands, tmp_path):
    assert new(commands, "x", folder(tmp_path / "raw", **small()))[0] == 0
    path = tmp_path / "params/x.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("opened_at: opened_at", "opened_at: 进厂日"), encoding="utf-8"
    )
    code, said = commands.execute("x")
    assert code == 2 and "{opened_at: '进厂日'} in the params, but the file has no such header" in said


def test_the_lines_counted_are_those_of_the_file(commands, tmp_path):
    code, said = new(commands, "x", folder(tmp_path / "raw", **small()))
    assert code == 0
    text = (tmp_path / "params/x.yaml").read_text(encoding="utf-8")
    sure, guessed, open_ = (len(re.findall(rf" # {mark} ", text)) for mark in ("sure", "guessed", r"\?"))
    assert f"params/x.yaml: {sure} lines sure, {guessed} guessed, {open_} open (marked ?)." in said
    # the name shown and the day of the export are asked for in every file
    assert open_ >= 2 and "display_name" in text and "delivered_on" in text


def test_proposals_refuse_what_no_params_allow(tmp_path):
    with pytest.raises(UserError, match="no workshop visits"):
        propose("x", folder(tmp_path / "raw", a__csv="colour,size\nred,3\n"))


# ---- make --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["raw 文件 (1)", "a;touch y", "$(shell touch y)", "it's"])
def test_make_takes_any_folder_name_as_it_is(tmp_path, name):
    project = Project(tmp_path)
    folder(tmp_path / name, **small())
    done = project.make("new-dealer", "DEALER=x", f"RAW={name}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "params/x.yaml").exists() and not (tmp_path / "y").exists()
    assert done.stdout.splitlines()[-1].endswith("make report DEALER=x")


def test_make_names_the_mistake(tmp_path):
    project = Project(tmp_path)
    done: subprocess.CompletedProcess = project.make("new-dealer")
    assert done.returncode == 2 and "is not a dealer's name" in done.stderr and "Traceback" not in done.stderr
