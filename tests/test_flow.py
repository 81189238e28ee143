"""From raw files to pages with the real commands, for both dealers that ship, and what must hold of every page."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
import time
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest
from dealerkit import tables
from dealerkit.chain import COST, DICTIONARY
from dealerkit.messages import short_checksum
from dealerkit.report.translate import catalogue
from helpers import PAGES, ROOT, STAGES, InProcess, Project, as_files, small_dealer
from python_calamine import CalamineWorkbook

DEALERS = {"demo": "en", "demo_cn": "zh-CN"}
LARGEST_PAGE = 2_000_000


@dataclass
class Flow:
    """A first report of a dealer: its project, what make printed, and the pages."""

    project: Project
    dealer: str
    printed: str
    pages: dict[str, str]

    @property
    def build(self) -> Path:
        return self.project.folder / "build" / self.dealer

    @property
    def as_of(self) -> str:
        """The day that the audit found."""
        return json.loads((self.build / "10-audit/facts.json").read_text(encoding="utf-8"))["as_of"]["value"]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every page and every table; what making them took is never the same."""
        found = self.project.files("build", ending=".parquet") | self.project.files("reports", ending=".html")
        return {
            name: hashlib.sha256(content).hexdigest() for name, content in found.items() if Path(name).name != COST[0]
        }


def first_report(dealer: str, folder: Path) -> Flow:
    project = Project(folder)
    project.shipped(dealer)
    done = project.make("report", f"DEALER={dealer}", DEALERKIT_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {p.name: p.read_text(encoding="utf-8") for p in (folder / "reports" / dealer).iterdir()}
    return Flow(project, dealer, done.stdout + done.stderr, pages)


@pytest.fixture(scope="module", params=DEALERS)
def flow(request, tmp_path_factory):
    return first_report(request.param, tmp_path_factory.mktemp(request.param))


# ---- what a page says, without its code ---------------------------------------------------------------------------


def visible(page: str) -> str:
    """Words of a page as a reader with the code folded sees them."""
    page = re.sub(r"(?s)<(style|script|pre)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_there_is_a_page_per_notebook_and_what_goes_with_them(flow):
    assert set(flow.pages) == {*PAGES, DICTIONARY[0], COST[0]}
    for stage in STAGES:
        assert re.search(rf"{flow.dealer} · {stage} +\d+\.\d s", flow.printed), flow.printed
    assert flow.printed.splitlines()[-1] == f"reports/{flow.dealer}/index.html"
    for page in flow.pages.values():
        assert len(page.encode()) < LARGEST_PAGE
        assert f'<html lang="{DEALERS[flow.dealer]}"' in page
        assert page.count("<h1") == 1


def test_no_cell_warned(flow):
    for path in (flow.build / f"{stage}.ipynb" for stage in STAGES):
        outputs = [o for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] for o in cell.get("outputs", [])]
        assert outputs and [o["text"] for o in outputs if o.get("name") == "stderr"] == [], path.name


def test_nothing_is_done_again(flow):
    before = {p: p.stat().st_mtime_ns for p in flow.project.folder.rglob("*") if p.is_file() and ".venv" not in p.parts}
    began = time.perf_counter()
    done = flow.project.make("report", f"DEALER={flow.dealer}")
    assert time.perf_counter() - began < 2  # 0.2 s on an idle machine
    assert (done.returncode, done.stdout, done.stderr) == (0, f"reports/{flow.dealer}/index.html\n", "")
    made = [
        p for p, changed in before.items() if p.name not in (".lock", ".hashcache") and p.stat().st_mtime_ns != changed
    ]
    assert made == []


# ---- the ledger, counted once more --------------------------------------------------------------------------------


def records(path: Path) -> dict[str, list[list[str]]]:
    """Records below the header that are not blank, by sheet, read with nothing of the kit."""
    if path.suffix == ".xlsx":
        book = CalamineWorkbook.from_path(path)
        sheets = {
            name: [[str(c) for c in row] for row in book.get_sheet_by_name(name).to_python()]
            for name in book.sheet_names
        }
    else:
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("gb18030")
        delimiter = "\t" if "\t" in text[:200] else ","
        sheets = {"": list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))}
    found = {}
    for name, rows in sheets.items():
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        header = next(i for i, row in enumerate(rows) if sum(bool(cell.strip()) for cell in row) >= 3)
        found[name] = rows[header + 1 :]
    return found


def test_the_ledger_balances_with_the_raw_lines(flow):
    ledger = pq.read_table(flow.build / "10-audit/ledger.parquet").to_pandas()
    assert (ledger["raw"] == ledger["clean"] + ledger["quarantined"] + ledger["merged"]).all()
    raw = flow.project.folder / "data/raw" / flow.dealer
    expected = {}
    for path in sorted(raw.iterdir()):
        if path.suffix in (".csv", ".txt", ".xlsx"):
            expected[path.name] = sum(len(rows) for rows in records(path).values())
    calls = "呼叫中心 通话记录.txt"  # feeds two tables: each caller once, each call
    if calls in expected:
        expected[calls] += len({tuple(row[1:4]) for row in records(raw / calls)[""]})
    read = ledger.groupby("file")["raw"].sum().to_dict()
    for path in (flow.build / "10-audit").glob("raw_extra_*.parquet"):  # further tables have no ledger
        read |= pq.read_table(path, columns=["_file"]).to_pandas()["_file"].value_counts().to_dict()
    assert read == expected
    for name, rows in ledger.groupby("table")[["clean", "quarantined", "merged"]].sum().iterrows():
        assert pq.read_metadata(flow.build / f"10-audit/{name}.parquet").num_rows == rows["clean"]
    for kept in ("quarantined", "merged"):
        path = flow.build / f"10-audit/{'quarantine' if kept == 'quarantined' else kept}.parquet"
        assert pq.read_metadata(path).num_rows == ledger[kept].sum()
    total = [f"{n:,}" for n in ledger[["raw", "clean", "quarantined", "merged"]].sum()]
    assert all(number in visible(flow.pages["10-audit.html"]) for number in total)


# ---- self-contained -----------------------------------------------------------------------------------------------


class Loads(HTMLParser):
    """What a browser would fetch, and where links lead."""

    def __init__(self, page: str):
        super().__init__()
        self.loaded, self.links = [], []
        self.feed(page)
        self.loaded += re.findall(r"url\(\s*['\"]?([^'\")]+)", page)
        self.loaded += re.findall(r"@import[^;]+", page)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in (
                "src",
                "srcset",
                "poster",
                "data",
                "background",
                "action",
                "formaction",
                "xlink:href",
                "manifest",
            ):
                self.loaded.append(value)
            elif name == "href":
                (self.links if tag == "a" else self.loaded).append(value)
            elif name == "http-equiv" and value.lower() == "refresh":
                self.loaded.append(value)


def test_a_browser_loads_nothing(flow):
    for name, page in flow.pages.items():
        seen = Loads(page)
        assert [url for url in seen.loaded if not url.startswith("data:") and not url.startswith("#")] == [], name
        elsewhere = [link for link in seen.links if not link.startswith("#") and link.split("#")[0] not in flow.pages]
        assert elsewhere == [], name
        assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts|sendBeacon)\b", page), name


def test_links_inside_a_page_have_their_target(flow):
    for name, page in flow.pages.items():
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), name
        for link in Loads(page).links:
            target, _, anchor = link.partition("#")
            assert not anchor or f'id="{anchor}"' in flow.pages[target or name], (name, link)


# ---- nobody is named ----------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).upper()


def personal_columns(path: Path) -> dict[str, str]:
    """Column → kind of what is personal in the columns of a raw table; of a further table (`extra_factors`) the key, if
    that is personal."""
    kinds = ("name", "phone", "id", "plate", "vin", "email")
    table = tables.TABLES.get(path.stem.removeprefix("raw_"))
    if table is None:
        return {key: key for key in ("vin", "phone", "plate") if key in pq.read_schema(path).names}
    return {c.name: c.personal for c in table.columns if c.personal in kinds}


def personal_values(build: Path) -> set[str]:
    """Every delivered phone, ID, plate, VIN, e-mail and full name, as delivered and without spaces and hyphens."""
    found = set()
    for path in sorted((build / "10-audit").glob("raw_*.parquet")):
        for column, kind in personal_columns(path).items():
            delivered = pq.read_table(path, columns=[column])[column].unique().to_pylist()
            texts = {plain(value).strip() for value in delivered if value}
            if kind == "name":
                found |= {text for text in texts if " " in text or not text.isascii()}
            else:
                numbers = {text for text in texts if len(text) >= 6 and re.search(r"[0-9@]", text)}
                found |= numbers | {re.sub(r"[ -]", "", text) for text in numbers}
    return found


def found_in(text: str, values: set[str]) -> set[str]:
    """Those of the values that stand in the text, not as a part of a longer word or number."""
    text, hits = plain(text), set()
    starts = [m.start() for m in re.finditer(r"(?<![A-Z0-9])\S", text)]
    for size in sorted({len(v) for v in values if len(v) >= 2}):
        for value in {text[i : i + size] for i in starts} & values:
            # Two Chinese characters may be part of any word: such a name counts where it stands alone.
            beside = r"\w" if size == 2 else "[A-Z0-9]"
            if re.search(rf"(?<!{beside}){re.escape(value)}(?!{beside})", text):
                hits.add(value)
    return hits


def words(content: str) -> str:
    """Everything of a page or an output that can hold words: text, attributes and code, without pictures and styles."""
    content = re.sub(r"(?s)<style\b.*?</style>", " ", content)
    content = re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+", " ", content)
    return html.unescape(content) + "\n" + html.unescape(re.sub(r"<[^>]*>", "", content))


def texts_of(value) -> list[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in texts_of(part)]


def test_the_scan_finds_what_is_planted():
    values = {"13912345678", "浙F9J780", "PENG MINGXUAN", "王岚峰", "高峰", "A@B.CN"}
    assert found_in(words("<td>139<b>12345678</b></td>"), values) == {"13912345678"}
    assert found_in(words('<img alt="peng Mingxuan">王岚峰先生'), values) == {"PENG MINGXUAN", "王岚峰"}
    assert found_in(words("客流高峰期 0139123456789 浙F9J7801 a@b.cnn"), values) == set()
    assert found_in(words("客户：高峰，１３９１２３４５６７８ 浙f9j780 a@b.cn"), values) == {
        "高峰",
        "13912345678",
        "浙F9J780",
        "A@B.CN",
    }


def test_the_leak_gate_knows_the_keys_of_further_tables(flow):
    known = set(pq.read_table(flow.build / "10-audit/personal_values.parquet")["value"].to_pylist())
    keys = [
        re.sub(r"[^0-9A-Z]", "", value.upper())
        for path in (flow.build / "10-audit").glob("raw_extra_*.parquet")
        for column in personal_columns(path)
        for value in pq.read_table(path, columns=[column])[column].to_pylist()
        if value
    ]
    assert len(keys) > 1000 and set(keys) <= known


def test_nobody_is_named_anywhere(flow):
    values = personal_values(flow.build)
    assert len(values) > 5000
    for name, page in flow.pages.items():
        assert found_in(words(page), values) == set(), name
    for stage in STAGES:
        cells = json.loads((flow.build / f"{stage}.ipynb").read_text(encoding="utf-8"))["cells"]
        outputs = [text for cell in cells for text in texts_of(cell.get("outputs", []))]
        assert found_in(words("\n".join(outputs)), values) == set(), stage
        facts = json.loads((flow.build / stage / "facts.json").read_text(encoding="utf-8"))
        assert found_in("\n".join(texts_of(facts)), values) == set(), stage
    assert found_in(flow.printed, values) == set()
    logs = flow.project.files(f"build/{flow.dealer}/log") if (flow.build / "log").exists() else {}
    assert found_in("".join(content.decode() for content in logs.values()), values) == set()


# ---- what a page is made of -----------------------------------------------------------------------------------------


def test_every_page_says_what_it_was_made_of(flow):
    raw = ROOT / "data/raw" / flow.dealer
    for name, page in flow.pages.items():
        text = visible(page)
        for path in sorted(raw.iterdir()):
            made_of = f"{path.name} {short_checksum(hashlib.sha256(path.read_bytes()).hexdigest())}"
            assert made_of in text, (name, made_of)
        lock = short_checksum(hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest())
        assert lock in text, name


def test_the_chinese_pages_are_chinese(flow):
    if flow.dealer != "demo_cn":
        pytest.skip("an English report")
    fixed = {part.strip() for message in catalogue("zh") for part in re.split(r"\{[^{}]*\}|[#\n]", message)}
    sentences = {text for text in fixed if len(text) >= 15 and text.count(" ") >= 2 and text.isascii()}
    assert len(sentences) > 100
    # The data dictionary gives the names of columns in both languages.
    sentences -= {column.en for table in tables.TABLES.values() for column in table.columns}
    for name, page in flow.pages.items():
        text = visible(page)
        assert [sentence for sentence in sentences if sentence in text] == [], name
        assert sum("\u4e00" <= c <= "\u9fff" for c in text) > 400, name  # the page on costs is short


def test_pages_render_in_a_browser_without_console_errors(flow):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium on this machine")
    page = flow.project.folder / "reports" / flow.dealer / "index.html"
    offline = [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--disable-background-networking",
        f"--user-data-dir={flow.project.folder}/profile",
    ]
    settings = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", *offline]
    done = subprocess.run(
        [browser, *settings, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    headline = re.search(r"<h1>(.*?)</h1>", flow.pages["index.html"])[1]
    assert html.unescape(headline) in html.unescape(done.stdout)


# ---- same inputs, same bytes ----------------------------------------------------------------------------------------


def outputs(flow: Flow) -> dict[str, list]:
    """Source and outputs of each cell of the notebooks that ran."""
    return {
        stage: [(c.source, c.get("outputs")) for c in nbformat.read(flow.build / f"{stage}.ipynb", as_version=4).cells]
        for stage in STAGES
    }


def test_everything_made_again_is_the_same_without_the_warm_parent_and_with_more_threads(flow):
    """build/ and reports/ deleted, the memory kept; every cell of every notebook, and the bytes of tables and pages."""
    before, cells = flow.hashes(), outputs(flow)
    assert (flow.project.folder / f"data/state/{flow.dealer}/snapshots/{flow.as_of}.json").is_file()
    shutil.rmtree(flow.project.folder / "build")
    shutil.rmtree(flow.project.folder / "reports")
    done = flow.project.make("report", f"DEALER={flow.dealer}", DEALERKIT_THREADS="2", WARM="0")
    assert done.returncode == 0, done.stderr
    again = outputs(flow)
    for stage in STAGES:
        assert len(cells[stage]) == len(again[stage]) > 5
        for number, (first, second) in enumerate(zip(cells[stage], again[stage], strict=True), 1):
            assert first == second, f"{stage}, cell {number}"
    after = flow.hashes()
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert set(before) == set(after) and len(before) > 30


def test_days_and_memory(tmp_path, monkeypatch, capsys):
    """An earlier day first: no last time. The day found: compared. Memory kept: same bytes. Memory lost: as the first."""
    project = Project(tmp_path)
    project.dealer("small", as_files(small_dealer(90)))
    kit = InProcess(project, monkeypatch, capsys)
    flow = Flow(project, "small", "", {})

    def report(as_of: str | None) -> tuple[str, dict[str, str]]:
        for folder in ("build", "reports"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        monkeypatch.setenv("AS_OF", as_of) if as_of else monkeypatch.delenv("AS_OF", raising=False)
        return visible(kit.report("small")["index.html"]), flow.hashes()

    june, first = report("2026-06-30")
    assert "30 June 2026" in june and "September 2026" not in june
    assert "This is the first report: there is no last time to compare with." in june
    september, second = report(None)
    assert "28 September 2026" in september
    assert "This is the first report" not in september and "Since the report as of 30 June 2026" in september
    assert report(None)[1] == second
    shutil.rmtree(tmp_path / "data/state")
    assert report("2026-06-30")[1] == first
    assert sorted(p.name for p in (tmp_path / "data/state/small/snapshots").iterdir()) == ["2026-06-30.json"]
