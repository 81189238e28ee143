"""Dealers at the edge of what can be told, through every page: a number or a stated gap, or exit code 2 with words.

Each ends with pages that say what cannot be known, or is refused with a remedy; none with a traceback. Cases that do
not disturb each other share a dealer, since each goes through the whole chain.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import pandas as pd
import pytest
from helpers import CUSTOMERS, PAGES, STAGES, VEHICLES, VISITS, InProcess, Project, as_files, small_dealer, table

DELIVERED = "delivered_on: 2026-09-30\n"
#: Fewer draws and earlier days than usual: what is looked at here does not depend on them.
QUICK = "churn: {training_origins: 1}\nclusters: {repeats: 10}\nimportance: {repeats: 5}\nengine: {threads: 1}\n"
AS_OF = date(2026, 9, 30)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def kit(project, monkeypatch, capsys):
    return InProcess(project, monkeypatch, capsys)


def dealer(
    visits: dict[int, list[int]], lines: int = 3, amount: int | None = None, paid: bool = True
) -> dict[str, str]:
    """Files of a dealer: customer → days before the export on which they came.

    Args:
        lines: model lines in turn.
        amount: the same total for every visit; else they differ.
        paid: whether the visits have amounts.
    """
    people, cars, orders = [], [], []
    for i, days in visits.items():
        vin = f"L0XAA1B20KK{i:06d}"
        bought = AS_OF - timedelta(days=max(days) + 200)
        people.append([f"C{i:04d}", f"Rider Number{i:04d}", f"139{i:08d}", "m" if i % 2 else "f"])
        cars.append([vin, f"C{i:04d}", f"Series{i % lines}", bought.isoformat()])
        for n, ago in enumerate(sorted(days, reverse=True)):
            day = (AS_OF - timedelta(days=ago)).isoformat()
            total = amount or 300 + 13 * (i % 40) + 17 * (n % 9)
            money = [100, total - 100, total] if paid else []
            km = 5_000 + 9_000 * n
            orders.append([f"R{i:04d}{n:03d}", vin, f"C{i:04d}", f"{day} 09:00", f"{day} 11:00", km, *money])
    head = VISITS if paid else VISITS.partition(",labour_yuan")[0]
    return {
        "customers.csv": table(CUSTOMERS, people),
        "vehicles.csv": table(VEHICLES, cars),
        "visits.csv": table(head, orders),
    }


def every(days: int, first: int, times: int) -> list[int]:
    """Days ago of so many visits, one each so many days."""
    return [first + days * n for n in range(times)]


WHOLE = {
    "only visits, one each": {"visits.csv": dealer({i: [7 * i + 3] for i in range(80)})["visits.csv"]},
    "everybody lost but one": dealer({i: every(150 + i, 1_096 + 2 * i, 3) for i in range(60)} | {60: every(12, 2, 40)}),
    "nobody lost, no amounts": dealer({i: every(70 + i % 30, i % 60, 14) for i in range(60)}, paid=False),
    "50 visits of 4 months": dealer({i: [i, i + 60] for i in range(25)}),
    "all constant, one line": dealer({i: every(180, 20, 5) for i in range(60)}, lines=1, amount=500),
    "one customer with 60 visits": dealer({1: every(31, 5, 60)}),
}
NO_GROUPS, NO_MODEL = "too few|do not differ enough|No natural groups", "model could not be fitted|Only one visit"
NO_FACTOR = "What sets customers apart cannot be said from these data"
#: What is stated, by page.
STATED = {
    "only visits, one each": {
        "20-customers.html": NO_MODEL,
        "30-segments.html": NO_GROUPS,
        "40-importance.html": NO_FACTOR,
        "50-lifecycle.html": r"100\.0 % of the cars that came a year ago were lost",
    },
    "everybody lost but one": {
        "20-customers.html": r"(<|&lt;)5 of 61 owners came in the last 12 months",
        "50-lifecycle.html": "What could not be said",
    },
    "nobody lost, no amounts": {
        "index.html": "No workshop visit has an amount",
        "30-segments.html": NO_GROUPS,
        "40-importance.html": NO_FACTOR,
        "50-lifecycle.html": "No car was lost of 60 that came a year ago",
    },
    "50 visits of 4 months": {
        "20-customers.html": "25 of 25 owners came",
        "30-segments.html": NO_GROUPS,
        "40-importance.html": NO_FACTOR,
        "50-lifecycle.html": "It cannot be told yet how many cars were lost: the history is too short",
    },
    "all constant, one line": {
        "index.html": NO_MODEL,
        "30-segments.html": NO_GROUPS,
        "40-importance.html": NO_FACTOR,
        "50-lifecycle.html": "No car was lost of 60",
    },
    "one customer with 60 visits": {
        "index.html": NO_MODEL,
        "30-segments.html": NO_GROUPS,
        "40-importance.html": NO_FACTOR,
        "50-lifecycle.html": "What could not be said",
    },
}


def words(page: str) -> str:
    """Words of a page, without its code and style."""
    page = re.sub(r"(?s)<(style|script|pre|code)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.filterwarnings("error::RuntimeWarning:dealerkit")
@pytest.mark.parametrize("case", WHOLE)
def test_every_page_says_a_number_or_a_gap(project, kit, case):
    files = WHOLE[case]
    personal = set(re.findall(r"Rider Number\d{4}|139\d{8}|L0XAA1B20KK\d{6}", "".join(files.values())))
    project.dealer("edge", files, DELIVERED + QUICK + ("gate: off\n" if len(files) == 3 else ""))
    pages = {name: words(page) for name, page in kit.report("edge").items()}
    assert set(pages) == set(PAGES)
    for name, text in pages.items():
        assert not re.search(r"\b(nan|NaN|NaT|inf|None(?! of))\b", text), name
        assert len(text) > 400, name
        assert not [value for value in personal if value in text], name
    for name, stated in STATED[case].items():
        assert re.search(stated, pages[name]), (name, pages[name][:3000])


def test_a_day_of_export_long_after_the_last_visit_is_refused(project, kit):
    project.dealer("edge", dealer({i: every(150 + i, 1_096 + 2 * i, 3) for i in range(60)}), DELIVERED)
    code, shown = kit.execute("edge")
    assert code == 2, shown
    assert "as_of 2026-09-30 lies 1096 days after the last well-filled day of the visits (2023-09-30)" in shown
    assert "correct AS_OF= or delivered_on" in shown and "Traceback" not in shown


# ---- files and mappings that do not fit --------------------------------------------------------------------------


def test_two_files_with_other_headers_feed_one_table(project, kit):
    """The rows of both are read, each by its own headers; the same order twice is one order and a fault."""
    files = as_files(small_dealer(60))
    head, *rows = files.pop("visits.csv").splitlines()
    renamed = "工单号,VIN,客户编号,进厂时间,结算时间,里程,工时费,材料费,总金额"
    files |= {
        "visits_old.csv": "\n".join([head, *rows[:100]]) + "\n",
        "维修记录.csv": "\n".join([renamed, *rows[95:]]) + "\n",
    }
    project.dealer("edge", files, DELIVERED)
    assert kit.execute("edge")[0] == 0
    clean = pd.read_parquet(project.folder / "build/edge/10-audit/service_orders.parquet")
    assert len(clean) == 180 and clean["order_id"].nunique() == 180 and clean["total_yuan"].notna().all()
    assert clean["_file"].value_counts().sum() == 180 and clean["_file"].nunique() == 2


@pytest.mark.parametrize(
    "mapping, said",
    [
        ("      total_yuan: Summe\n", ["visits.csv", "Summe"]),
        ("      totl_yuan: total_yuan\n", ["totl_yuan", "total_yuan"]),
    ],
)
def test_a_mapping_to_a_column_that_is_not_there_is_refused(project, kit, mapping, said):
    files = "".join(f"  - file: {name}\n" for name in ("customers.csv", "vehicles.csv"))
    lines = f"files:\n{files}  - file: visits.csv\n    columns:\n{mapping}"
    project.dealer("edge", as_files(small_dealer(60)), DELIVERED + lines)
    code, shown = kit.execute("edge")
    assert code == 2, shown
    assert all(word in shown for word in said) and re.search(r"\n +→ \w", shown), shown
    assert "Traceback" not in shown and not (project.folder / "reports").exists()


def test_every_stage_is_walked():
    """The pages asked for above are those of the notebooks that are there."""
    assert len(STAGES) == len(PAGES) >= 4 and STAGES[0] == "10-audit"
