"""The private pages of one customer and one car: what they hold, who is meant, what is refused, and who may read them."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import ibis
import pandas as pd
import pytest
from dealerkit import engine, tags
from dealerkit.__main__ import main
from dealerkit.chain.profiles import find
from dealerkit.params import Params
from dealerkit.report import scan
from dealerkit.report.profile import sheets
from dealerkit.report.translate import Translator
from helpers import InProcess, Project, table

# What pandas warns of would stand on the screen of whoever asks for a page.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning")
VIN = [f"LSVAA4082E20000{n:02d}" for n in range(60)]
PHONE = [f"138000022{n:02d}" for n in range(60)]
PLATE = [f"浙A{n:05d}" for n in range(60)]
TWICE = "浙A77777"
EVIL, FORMULA = "<script>alert(1)</script> & Söhne", '=HYPERLINK("http://x.example","y")'


def files() -> dict[str, str]:
    """60 customers of whom 0 and 1 matter: 0 has an evil name, a record twice, two cars (one gone), and everything that can
    happen; 1 shares the phone of 2 and has a formula for a name."""
    people = [
        [f"C{n:03d}", f"Rider Number{n:03d}", PHONE[n], "m", "2020-01-01", "yes", f"Oak Court {n}"] for n in range(60)
    ]
    people[0][1] = EVIL
    people.append(["X900", EVIL, PHONE[0], "m", "2021-05-05", "yes", ""])
    people[1][1:3], people[2][2] = [FORMULA, "13912340001"], "13912340001"
    people[5][5] = "no"
    cars = [[VIN[n], PLATE[n], f"C{n:03d}", "Crane", "2019-02-02", "2023-02-02", ""] for n in range(58)]
    for car in cars:
        car.append(2019)
    cars[9][1] = cars[10][1] = TWICE
    cars.append([VIN[58], PLATE[58], "X900", "Heron", "2017-01-01", "2020-01-01", "2024-04-04", 2016])
    orders = [
        [f"R{n:03d}{k}", VIN[n], f"C{n:03d}", f"{2024 + k}-0{4 + k}-1{n % 9}", 20000 + 9000 * k, "maintenance", 400 + n + k, f"brought {n}", ""]
        for n in range(58)
        for k in range(3)
    ]  # fmt: skip
    orders[2][-1] = "yes"
    orders.append(["R900", VIN[58], "X900", "2018-08-08", 21000, "repair", 777, "", ""])
    orders.append(["R907", VIN[7], "C059", "2026-03-20", 43000, "repair", 95, "", ""])
    orders.append(["R901", VIN[0], "", "2026-05-20", 41000, "repair", 88, "Somebody <b>Else</b>", ""])
    lines = [
        ["R0002", 1, "Oil service", "labour", "done", 300],
        ["R0002", 2, "Front brake pads", "labour", "declined", 650],
    ]
    lines.append(["R901", 1, "Wiper <i>blades</i>", "labour", "done", 80])
    leads = [
        ["L1", "C000", PHONE[0], "2014-01-10 10:00", "Website", "Crane", "won"],
        ["L2", "", "13877770001", "2026-04-01 10:00", "Fair", "Heron", "new"],
    ]
    met = [
        ["N1", "C000", "2014-01-15 10:00", "store", "test_drive", "", "", ""],
        ["N2", "C000", "2026-05-25 10:00", "phone", "complaint", "open", "", "<img src=x onerror=alert(1)> too slow"],
        ["N3", "C000", "2026-05-26 10:00", "wechat", "survey", "", 4, ""],
        ["N4", "X900", "2018-09-01 10:00", "phone", "care_call", "reached", "", ""],
    ]
    return {
        "customers.csv": table("customer_id,name,phone,gender,created_on,marketing_consent,address", people),
        "vehicles.csv": table("vin,plate,customer_id,series,purchased_on,warranty_ends_on,disposed_on,model_year", cars),
        "visits.csv": table("order_id,vin,customer_id,opened_at,odometer_km,order_type,total_yuan,brought_by,is_comeback", orders),
        "lines.csv": table("order_id,line_no,item_name,kind,status,amount_yuan", lines),
        "leads.csv": table("lead_id,customer_id,phone,created_at,source,series,status", leads),
        "calls.csv": table("interaction_id,customer_id,at,channel,kind,outcome,score,text", met),
        "sales.csv": table("order_id,customer_id,vin,delivered_on,price_yuan", [["S1", "C000", VIN[0], "2019-02-02", 150000]]),
        "contacts.csv": table("contact_id,customer_id,vin,role,name,phone", [["CT1", "C006", VIN[6], "driver", "Cheng Driver", "13866660001"]]),
        "campaigns.csv": table("campaign_id,customer_id,assigned_on,arm,responded_on", [["SPRING", "C000", "2026-03-01", "treated", "2026-03-09"]]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A dealer whose pages 10 and 20 are built."""
    made = Project(tmp_path_factory.mktemp("profiles"))
    made.dealer("one", files(), "delivered_on: 2026-06-30\nengine: {threads: 1}\n")
    with pytest.MonkeyPatch.context() as patch:
        InProcess(made, patch, None)
        stamps = [".venv/bin/python", "-I", "-S", "lib/dealerkit/lock.py", "one", "--", "true"]
        subprocess.run(stamps, cwd=made.folder, env=made.environment(), check=True)
        for stage in ("10-audit", "20-customers"):
            assert main(["execute", "--dealer", "one", "--stage", stage]) == 0
    return made


@pytest.fixture
def ask(project, monkeypatch, capsys):
    """Ask for a page: exit code, what was printed, and the page's text."""
    monkeypatch.chdir(project.folder)

    def asked(command: str, given: str, **more: str) -> tuple[int, str, str]:
        for name, value in {"ID": given, "VIN": given, **more}.items():
            monkeypatch.setenv(name, value)
        code = main([command, "--dealer", "one"])
        shown = capsys.readouterr()
        page = Path(shown.out.strip()).read_text(encoding="utf-8") if code == 0 else ""
        return code, shown.out + shown.err, page

    return asked


def person_of(project: Project, number: str) -> str:
    records = pd.read_parquet(project.folder / "build/one/20-customers/person_records.parquet")
    return records.set_index("customer_id").loc[number, "person_id"]


# ---- what is on a page -------------------------------------------------------------------------------------------


def test_a_customers_page_holds_what_is_known_before_and_after_the_sale(ask, project):
    code, _printed, page = ask("customer", "C000")
    text = scan.plain(page)
    assert code == 0
    for said in (PHONE[0], VIN[0], VIN[58], PLATE[0], "X900", "Oak Court 0", "Somebody", "Oil service", "too slow"):
        assert said in text
    # Events of each lane, from both records and from the visit that names nobody.
    for event in (
        "sales lead",
        "test drive",
        "car bought",
        "maintenance",
        "repair",
        "complaint",
        "survey",
        "care call",
        "campaign",
    ):
        assert f"<td>{event}</td>" in page, event
    assert "before the sale" in page and "after the sale" in page
    assert page.count("<circle") == len(
        re.findall(r"<td>(?:sales lead|test drive|maintenance|repair|complaint|survey|care call|campaign)</td>", page)
    )
    assert "2 records of the sources" in text and "same phone" in text
    assert "gone on 4 April 2024 · Disposed of, by the register" in text.replace("\u00a0", " ")
    assert text.index("Settle the complaint before anything else") < text.index("Ask about the work left over")
    assert "Front brake pads" in text


def test_who_drives_whose_car_stands_on_both_pages(ask):
    holder, driver = (scan.plain(ask("customer", given)[2]) for given in ("C006", "13866660001"))
    assert f"Cheng Driver drives this customer's car 13866660001 Crane · {PLATE[6]}" in holder.replace("\u00a0", " ")
    assert f"Rider Number006 drives their car {PHONE[6]} Crane · {PLATE[6]}" in driver.replace("\u00a0", " ")
    assert "Drives a car of another" in driver and "Has no car on record." in driver


def test_a_car_brought_for_another_is_called_by_line_and_plate_where_it_happened(ask):
    page = scan.plain(ask("customer", "C059")[2])
    assert f"Crane · {PLATE[7]}" in page and VIN[7] not in page


def test_tags_of_the_page_are_those_of_the_table(ask, project):
    given = pd.read_parquet(project.folder / "build/one/20-customers/tags.parquet")
    mine = given[given["person_id"] == person_of(project, "C000")]
    page = ask("customer", "C000")[2]
    shown = page[page.index(">Tags</h2>") :]
    shown = shown[: shown.index("</table>")]
    assert shown.count("<tr>") == len(mine) + 1
    for rule in mine["rule"]:
        assert html.escape(rule) in shown


def test_a_page_without_later_pages_says_what_is_missing_and_with_them_shows_it(ask, project):
    page = ask("customer", "C000")[2]
    assert page.count("That page of the report was not built.") == 2
    assert "Run make report DEALER=one." in page
    person, build = person_of(project, "C000"), project.folder / "build/one"
    later = {
        "30-segments/classes": pd.DataFrame({"person_id": [person], "value_tier": ["high"]}),
        "30-segments/class_rules": pd.DataFrame({"scheme": ["value_tier"] * 2, "class": ["high", "low"], "scheme_label": ["Value"] * 2, "label": ["high value", "low value"], "rule": ["from a lot", "little"]}),
        "50-lifecycle/churn_scores": pd.DataFrame({"person_id": [person], "vin": [VIN[0]], "series": ["Crane"], "probability": [0.375], "model": ["trees"], "yuan_12m": [812.0], "reason_1": ["recency_days"], "reason_2": ["person_visits_count_24m"], "reason_3": [None]}),
    }  # fmt: skip
    try:
        for name, frame in later.items():
            (build / name).parent.mkdir(exist_ok=True)
            engine.write_frame(frame, build / f"{name}.parquet")
        text = scan.plain(ask("customer", "C000")[2])
        assert "high value from a lot" in text and "low value" not in text
        assert (
            "37.5 %" in text and "Days since the last visit: 20" in text and "Visits in 24 months, all cars: 3" in text
        )
        assert "not built" not in text
        # Nothing says that they are as new as the customers: their notebooks are not there.
        assert text.count("of an earlier report") == 2
        for stage in ("30-segments", "50-lifecycle"):
            (build / f"{stage}.ipynb").write_text("{}", encoding="utf-8")
        assert "of an earlier report" not in ask("customer", "C000")[2]
    finally:
        for name in later:
            (build / f"{name}.parquet").unlink()


def test_a_cars_page_is_one_file_for_one_car(ask):
    code, printed, page = ask("vehicle", VIN[0])
    text = scan.plain(page)
    assert code == 0
    for said in (
        PLATE[0],
        PHONE[0],
        "Crane",
        "Oil service",
        "Front brake pads",
        "41,000 km",
        "150,000",
        "2 February 2023",
    ):
        assert said in text.replace("\u00a0", " "), said
    assert "polyline" in page
    assert page.count('class="workshop') == 4
    assert "Bought it here on" in text and "holds it" in text
    assert ask("vehicle", f" {PLATE[0][:2]}·{PLATE[0][2:]} ")[1] == printed
    assert ask("vehicle", VIN[0].lower())[1] == printed


def test_it_is_said_in_chinese(ask):
    page = ask("customer", "C000", REPORT_LANG="zh")[2]
    text = scan.plain(page)
    for said in ("内部资料", "售前", "售后", "上次余留项目", "先处理投诉", "标签", "试驾"):
        assert said in text, said
    assert '<html lang="zh-CN">' in page
    assert "车辆信息" in scan.plain(ask("vehicle", VIN[0], REPORT_LANG="zh")[2])


def test_refused_advertising_stands_out_and_offers_are_left_out(ask):
    text = scan.plain(ask("customer", "C005")[2])
    assert "No advertising by phone or message" in text
    assert "Offer to value the car" not in text
    assert "Offer to value the car" in scan.plain(ask("customer", "C006")[2])


# ---- private -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, given, folder", [("customer", "C000", "customers"), ("vehicle", VIN[0], "vehicles")])
def test_a_page_is_for_its_owners_eyes_only_and_says_so(ask, project, command, given, folder):
    os.umask(before := os.umask(0o022))
    assert before is not None
    _code, printed, page = ask(command, given)
    path = project.folder / printed.strip()
    assert path.parent == project.folder / "build/one" / folder
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "must not be handed on" in page
    assert not list(path.parent.glob(".*"))


def test_values_are_escaped_and_nothing_is_loaded_or_run(ask):
    for page in (
        ask("customer", "C000")[2],
        ask("customer", "C001")[2],
        ask("vehicle", VIN[0])[2],
        ask("vehicle", VIN[1])[2],
    ):
        assert scan.loads(page) == []
        assert not re.search(r"<script|<img src=x|<b>Else|<i>blades", page)
    assert html.escape(EVIL) in ask("customer", "C000")[2]
    assert "&lt;img src=x onerror=alert(1)&gt; too slow" in ask("customer", "C000")[2]
    assert html.escape(FORMULA) in ask("customer", "C001")[2]


SECRETS = (VIN[0], PLATE[0], PHONE[0], "C000", PLATE[0][1:])


@pytest.mark.parametrize(
    "command, given", [*(("customer", s) for s in SECRETS), ("vehicle", VIN[0]), ("vehicle", PLATE[0])]
)
def test_what_was_asked_for_is_not_repeated(ask, project, command, given):
    code, printed, _page = ask(command, given)
    if given == PLATE[0][1:]:
        assert code == 2  # a plate without its province is nobody's
    else:
        assert code == 0
        assert re.fullmatch(r"build/one/(customers/P|vehicles/V)[0-9a-f]{14}\.html\n", printed)
    assert given not in printed
    kept = [
        *project.folder.glob("build/one/log/*"),
        *project.folder.glob("build/one/*.json"),
        *project.folder.glob("build/one/.cost/*"),
    ]
    assert not [path for path in kept if given in path.read_text(encoding="utf-8")]


def test_the_same_page_at_every_run(ask):
    assert ask("customer", "C000")[2] == ask("customer", PHONE[0])[2]


# ---- who is meant ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    ["C000", "c000", "X900", " Ｃ０００ ", PHONE[0], f"+86 {PHONE[0][:3]}-{PHONE[0][3:7]} {PHONE[0][7:]}", PLATE[0], f"{PLATE[0][0]} {PLATE[0][1]}·{PLATE[0][2:]}", VIN[0], VIN[0].lower(), PLATE[58], "L1"],
)  # fmt: skip
def test_a_customer_is_found_by_whatever_is_at_hand(ask, project, given):
    code, printed, _page = ask("customer", given)
    assert (code, printed) == (0, f"build/one/customers/{person_of(project, 'C000')}.html\n")


def test_the_number_of_a_second_source_is_found_as_it_was_delivered():
    table = ibis.memtable({"customer_id": ["C1", "CallCentre:KH00155", "c:C2"], "person_id": ["p1", "p2", "p3"]})
    built = SimpleNamespace(
        params=SimpleNamespace(sources=("dms", "CallCentre")),
        table=lambda _: table,
        rows=lambda *_, **__: pd.DataFrame(),
    )
    for given in ("KH00155", "kh00155", "callcentre:KH00155"):
        assert find._by_number(built, given) == ["p2"]


def test_a_person_id_and_a_lead_without_a_customer_are_found(ask, project):
    lead = person_of(project, "lead:L2")
    for given in (lead, lead.upper(), "L2", "13877770001"):
        assert ask("customer", given)[1] == f"build/one/customers/{lead}.html\n"
    text = scan.plain(ask("customer", lead)[2])
    assert "Name not known" in text and "Has no car on record." in text and "Follow up the open lead" in text


@pytest.mark.parametrize(
    "given, said",
    [
        ("", "no ID given"),
        ("   ", "no ID given"),
        ("C999", "no customer has the ID 'C***'"),
        ("13899998888", "no customer has the ID '13***8'"),
        ("P00000000000000", "no customer has the ID 'P0***0'"),
        ("'; drop table persons; --", "no customer has the ID"),
        ("../../etc/passwd", "no customer has the ID"),
    ],
)
def test_an_unknown_customer_is_refused_in_masked_words(ask, project, given, said):
    code, printed, _page = ask("customer", given)
    assert (code, said in printed) == (2, True)
    assert "Traceback" not in printed and not (given.strip() and given in printed)
    status = json.loads((project.folder / "build/one/status.json").read_text(encoding="utf-8"))
    assert status["code"] == 2 and not (given.strip() and given in status["message"])


def test_a_phone_of_two_customers_is_refused_with_their_ids(ask, project):
    code, printed, _page = ask("customer", "13912340001")
    both = sorted(person_of(project, number) for number in ("C001", "C002"))
    assert code == 2
    assert "'13***1' belongs to 2 customers" in printed
    assert all(person in printed for person in both)
    assert f"ID={both[0]}" in printed
    assert "HYPERLINK" not in printed and "Rider" not in printed
    assert ask("customer", both[1])[0] == 0


def test_the_id_of_somebody_merged_away_leads_to_who_lives():
    """Twice merged, then a ring that no diary should hold, and an id that nobody ever had."""
    old, middle, now = (f"P{n:08d}" for n in (1, 2, 3))
    merged = [("2026-01-31", middle, old), ("2026-02-28", now, middle), ("2026-02-28", "P4444aaaa", "P5555aaaa")]
    merged.append(("2026-03-31", "P5555aaaa", "P4444aaaa"))
    diary = pd.DataFrame(merged, columns=["as_of", "person_id", "other_person_id"]).assign(kind="merged")
    diary.loc[len(diary)] = ["2026-02-28", old, "P6666aaaa", "split"]
    kept = {"identity_diary": diary, "persons": pd.DataFrame({"person_id": [now]})}

    def rows(name, **among):
        column, values = next(iter(among.items()))
        return kept[name][kept[name][column].isin(values)]

    built = SimpleNamespace(rows=rows)
    found = {given: find._by_id(built, given) for given in (old, middle, now, "P5555AAAA", "P6666aaaa", "P77777777")}
    assert found == {old: [now], middle: [now], now: [now], "P5555AAAA": [], "P6666aaaa": [], "P77777777": []}


def test_a_plate_of_two_cars_is_refused_with_both(ask, project):
    code, printed, _page = ask("vehicle", TWICE)
    assert code == 2 and "stands on 2 cars: " in printed and TWICE not in printed
    for n in (9, 10):
        assert f"Crane 2019 ({VIN[n][:2]}***{VIN[n][-1]}, held by {person_of(project, f'C{n:03d}')})" in printed
        assert VIN[n] not in printed
    assert "give the VIN instead" in printed


@pytest.mark.parametrize(
    "given, said", [("", "no VIN given"), ("LSVXX", "no car has the VIN or plate 'L***'"), ("浙B99999", "no car has")]
)
def test_an_unknown_car_is_refused(ask, given, said):
    code, printed, _page = ask("vehicle", given)
    assert (code, said in printed) == (2, True)


# ---- little data ------------------------------------------------------------------------------------------------


def test_a_dealer_with_the_official_record_alone_has_both_pages(project, monkeypatch, capsys):
    head = "企业名称,车辆识别代码,车牌号码,送修日期,送修里程,结算日期,结算清单编号,故障描述,维修项目,维修工时,配件名称,配件编码,配件数量"
    rows = [
        ["海港店", VIN[n], PLATE[n], f"202{5 + k}-06-{1 + n % 28:02d}", 10000 + 900 * n + 8000 * k, f"202{5 + k}-06-{1 + n % 28:02d}", f"J{n:03d}{k}", "异响", "更换机油", 1, "机滤", "F1", 1]
        for n in range(40)
        for k in range(2)
    ]  # fmt: skip
    project.dealer("record", {"电子健康档案.csv": table(head, rows)}, "language: zh\nengine: {threads: 1}\n")
    with pytest.MonkeyPatch.context() as patch:
        InProcess(project, patch, None)
        stamps = [".venv/bin/python", "-I", "-S", "lib/dealerkit/lock.py", "record", "--", "true"]
        subprocess.run(stamps, cwd=project.folder, env=project.environment(), check=True)
        for stage in ("10-audit", "20-customers"):
            assert main(["execute", "--dealer", "record", "--stage", stage]) == 0
    capsys.readouterr()
    monkeypatch.chdir(project.folder)
    for command, name, said in (("customer", "ID", "姓名未知"), ("vehicle", "VIN", "姓名未知")):
        monkeypatch.setenv(name, PLATE[3])
        assert main([command, "--dealer", "record"]) == 0
        text = scan.plain(Path(capsys.readouterr().out.strip()).read_text(encoding="utf-8"))
        assert said in text and "更换机油" in text and PLATE[3] in text
        assert "nan" not in text.lower().split() and "None" not in text and "NaT" not in text


# ---- through make ------------------------------------------------------------------------------------------------


def test_make_writes_the_page_from_a_warm_parent(project):
    done = project.make("customer", "DEALER=one", f"ID={PHONE[0]}", WARM="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"build/one/customers/{person_of(project, 'C000')}.html\n"


def test_a_step_of_a_tag_whose_day_is_not_known_names_none():
    t = Translator("en")
    known = tags.catalogue(Params(dealer="x", display_name="X"), t).query("tag in ['unreachable', 'open_lead']")
    rows = known.reset_index(names="place").assign(vin=None, since=pd.to_datetime([None, "2026-05-12"]))
    said = scan.plain(sheets.steps(rows, {}, pd.DataFrame({"item": []}), t))
    assert "next visit Unreachable" in said and "Open lead since 12 May 2026" in said
    assert "Unreachable since" not in said
    shown = scan.plain(sheets.tags(rows, {}, t)).replace("\u00a0", " ")
    assert "no usable phone on record –" in shown and "Nothing" not in shown
