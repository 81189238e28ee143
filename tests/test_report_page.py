"""Pages: what is in them, the gates, the same bytes; and the data dictionary."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import nbformat
import pandas as pd
import pytest
from dealerkit import charts, tables
from dealerkit.errors import UserError
from dealerkit.report import fragments as parts
from dealerkit.report import page, scan
from dealerkit.report.dictionary import dictionary_page
from dealerkit.report.leaks import Leak, LeakError, PageError, find, find_in
from dealerkit.report.translate import Translator

V4 = nbformat.v4

# The leak gate

PERSONAL = [
    ("call 13812345678 now", "phone", "138****78"),
    ("tel13812345678.", "phone", "138****78"),
    ("+86 138-1234-5678", "phone", "861****78"),
    ("0086 13812345678", "phone", "008****78"),
    ("(+86)138 1234 5678", "phone", "861****78"),
    ("１３８１２３４５６７８", "phone", "138****78"),
    ("138\u200b1234\u20115678", "phone", "138****78"),
    ("138\u00a01234\u30005678", "phone", "138****78"),
    ("13,812,345,678", "phone", "138****78"),
    ("010-62345678", "phone", "010****78"),
    ("(0755) 8612 3456", "phone", "075****56"),
    ("11010519491231002X", "id", "11***X"),
    ("110105 19491231 0021", "id", "11***1"),
    ("110105491231002", "id", "11***2"),
    ("91350100M000100Y43", "uscc", "91***3"),
    ("京A12345", "plate", "京A***5"),
    ("粤 B·12345D", "plate", "粤 ***D"),
    ("沪AD12345", "plate", "沪A***5"),
    ("川a 1234学", "plate", "川a***学"),
    ("LSVAA4182E2123456", "vin", "LS***6"),
    ("lsvaa4182e2123456", "vin", "ls***6"),
    ("1M8GDM9A XKP0 42788", "vin", "1M***8"),
    ("to a.b@example.cn,", "email", "a.***n"),
    ("a.b＠example.cn", "email", "a.***n"),
]

HARMLESS = [
    "150 160 170 180 190",
    "2024 2025 2026 2027 2028",
    "¥ 3.1 M, 12,345,678 rows, 11.2 %",
    "0.13812345678",
    "order R0013800000001, 20260930123456789",
    "全新SUV2024, 上新EV, 总计A12345人, 浙江A区",
    "a1b2_c3d4_e5f6 1381_2345_6789",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b13812345678",
    "110105199913990021",
    "ABCDEFGHJKLMNPRST, 12345678901234567",
    "run.table('persons') @ x",
]


@pytest.mark.parametrize(("text", "kind", "masked"), PERSONAL)
def test_personal_values_are_found_in_any_form(text, kind, masked):
    assert find(text) == [Leak(kind, masked, "text")]


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_and_words_are_left_alone(text):
    assert find(text) == []


def test_odd_forms_are_found_by_looking_up():
    real = {"13812345678", "AB12345", "62345678"}
    asked = []

    def known(tokens):
        asked.append(tokens)
        return tokens & real

    assert find("1-3812-34567-8, ab12345; 623 45678") == []
    found = find("1-3812-34567-8, ab12345; 623 45678", known)
    assert found == [Leak("known value", mask, "text") for mask in ("13***8", "62***8", "AB***5")]
    assert len(asked) == 1
    assert find("13812345678", known) == [Leak("phone", "138****78", "text")]


def test_words_split_by_markup_are_read_as_one():
    html = "<p>138<b>1234</b>5678</p><td>1</td><td>38</td><style>p{}</style>"
    html += "<img src='data:image/png;base64,13812345678' alt='x'>"
    shown = scan.shown(html, "of cell 1")
    assert shown == [("text of cell 1", "\n13812345678\n\n1\n\n38\n\n\n\n"), ("alt text of cell 1", "x")]


# Parts


def test_everything_that_comes_in_is_escaped():
    evil = '<script>"&'
    t = Translator("en")
    made = [
        parts.headline(evil, evil, evil), parts.heading(evil), parts.paragraph(evil, evil), parts.note(evil),
        parts.cards([parts.Card(evil, evil, evil, "better", evil, evil, evil)], t),
        parts.actions([parts.Action(evil, evil, evil, evil, evil)]),
        parts.figure(b"", evil, evil, evil, [evil], "third", evil),
        parts.trust(None, evil, t, evil), parts.gap(evil, evil, evil, t),
        parts.table(pd.DataFrame({"a": [evil]}), [parts.Col("a", evil)], t, evil, total={"a": evil}, origin=evil),
        parts.table(pd.DataFrame({"a": [evil]}), [parts.Col("a", kind="tag", tones={evil: "bad"})], Translator("en")),
    ]  # fmt: skip
    for html in made:
        assert "<script" not in html and '="<' not in html and html.count("&lt;script&gt;&quot;&amp;") >= 1, html


def test_a_table_formats_aligns_and_marks():
    frame = pd.DataFrame({"g": ["x", "y"], "yuan": [41200.0, None], "ok": ["good", "odd"]})
    columns = [
        parts.Col("g", "Group"),
        parts.Col("yuan", "Yuan", "yuan"),
        parts.Col("ok", kind="tag", tones={"good": "good"}),
    ]
    html = parts.table(frame, columns, Translator("en"), "A table", highlight=[1])
    assert '<caption>A table</caption><thead><tr><th scope="col">Group</th><th scope="col" class="n">Yuan</th>' in html
    assert (
        '<tr><th scope=row>x</th><td class="n">¥\u00a041,200</td><td><span class="dk-tag good">good</span></td></tr>'
        in html
    )
    assert '<tr class="dk-stress"><th scope=row>y</th><td class="n"><span class="dk-soft">not known</span></td>' in html
    with pytest.raises(UserError, match="no column 'z'"):
        parts.table(frame, [parts.Col("z")], Translator("en"))
    with pytest.raises(UserError, match="kind 'people'"):
        parts.table(frame, [parts.Col("g", kind="people")], Translator("en"))
    assert "nothing to show" in parts.table(frame.iloc[:0], columns, Translator("en"))


def test_a_table_of_persons_keeps_the_rule_for_small_numbers():
    frame = pd.DataFrame(
        {"g": list("abcd"), "n": pd.array([1203, 29, 12, 3], dtype="Int64"), "rate": [0.42, 0.31, 0.21, 0.11]}
    )
    columns = [
        parts.Col("g"),
        parts.Col("n", kind="count", persons=True, bar=True),
        parts.Col("rate", kind="share", rate_of="n"),
    ]
    html = parts.table(frame, columns, Translator("en"), total={"g": "all", "n": 1247})
    cells = [re.sub(r"<[^>]+>", "", row).strip() for row in re.findall(r"<td[^>]*>(.*?)</td>", html)]
    assert cells == ["1,203", "42.0\u00a0%", "29", "–", "…", "–", "&lt;5", "–", "1,247", ""]
    assert "fewer than five" in html and "left out, lest" in html and "under 30" in html
    assert "…" in parts.table(frame.iloc[3:], columns, Translator("en"), total={"n": 3}).split("<tfoot>")[1]


# A notebook with everything in it

SAID = {
    "en": {"h1": "One customer in nine left", "active": "Active customers", "do": "Do this next", "see": "What to see"},
    "zh": {"h1": "一年流失九分之一的客户", "active": "活跃客户", "do": "接下来做什么", "see": "看图"},
}


def displayed(*fragments):
    return [V4.new_output("display_data", {"text/html": f, "text/plain": "<obj at 0x7f1234567890>"}) for f in fragments]


def a_notebook(language, **planted):
    t, said = Translator(language), SAID[language]
    frame = pd.DataFrame({"x": ["SUV B", "Van"], "y": [0.2, 0.1], "n": [400, 300]})
    fig = charts.bars(frame.assign(x=["SUV B", planted.get("chart", "Van")]), "x", "y", t, kind="share", n="n")
    picture = {
        "png": charts.png(fig),
        "texts": charts.texts(fig),
        "alt": planted.get("alt", "two bars"),
        "size": "third",
    }

    card = parts.Card(said["active"], "2,871", "▼ 96", "worse")
    action = parts.Action("Call", "¥ 410,000", "a year", planted.get("text", "who"))
    printed = V4.new_output("stream", name="stdout", text="picture 1a2b_3c4d_5e6f")
    trust, gap = parts.trust(87, "Because.", t), parts.gap("No forecast", "why", "remedy", t)

    def code(source, *outputs):
        return V4.new_code_cell(source, outputs=list(outputs))

    cells = [
        V4.new_markdown_cell("# Summary\n\nProse *with* `code`."),
        code("dealer = 'demo'", V4.new_output("stream", name="stderr", text="a warning at 0x7f1234567890")),
        code("run.card(1)", *displayed(parts.lab_style(), parts.cards([card], t))),
        code("run.card(2)", *displayed(parts.cards([parts.Card("…", "11.2 %", target="10.0 %")], t))),
        V4.new_markdown_cell(f"## {said['do']}"),
        code("run.todo(…)", *displayed(parts.actions([action]))),
        V4.new_markdown_cell(f"## {said['see']}"),
        code("run.figure(a)", *displayed(parts.figure(finding="SUVs leave", **picture)), printed),
        code("run.figure(b)", *displayed(parts.figure(finding="Vans stay", **picture))),
        code("run.headline(…)", *displayed(parts.headline(said["h1"], "The lead.", "90-summary · cell 10"))),
        code("run.heading(…)", *displayed(parts.heading("Trust & more"), trust, gap)),
        code("1 + 1", V4.new_output("execute_result", {"text/plain": planted.get("printed", "2")}, execution_count=1)),
    ]  # fmt: skip
    nb = V4.new_notebook(cells=cells)
    nb.metadata["papermill"] = {"start_time": "2026-01-01", "output_path": "somewhere"}
    return nb


def a_context(language):
    made = page.provenance({"顾客.csv": "ab" * 32}, "1" * 64, "2" * 64, "3" * 64, "2026-09-30")
    return page.PageContext(
        language, "海港路店" if language == "zh" else "Harbour Road", date(2026, 9, 30), True, b"\x89PNG", "image/png",
        (("index.html", "Summary"), ("10-audit.html", "Data quality")), "index.html", made,
    )  # fmt: skip


def rendered(tmp_path, language="en", nb=None, known=None, context=None, name="index.html"):
    source, out = tmp_path / "90-summary.ipynb", tmp_path / name
    nbformat.write(nb or a_notebook(language), source)
    page.render(source, out, context or a_context(language), known)
    return out


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.filterwarnings("ignore:no translation")
def test_a_page_says_everything_and_loads_nothing(tmp_path, language):
    out = rendered(tmp_path, language)
    html = out.read_text(encoding="utf-8")
    said = SAID[language]
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in html
    assert re.findall(r"<h1>(.*?)</h1>", html) == [said["h1"]]
    assert f"<title>{said['h1']} · " in html and '<p class="kicker">Summary</p>' in html
    assert re.findall(r'<h2 id="s\d">(.*?)</h2>', html) == [said["do"], said["see"], "Trust &amp; more"]
    assert re.findall(r'<a href="#(s\d)">', html) == ["s1", "s2", "s3"]
    assert '<a href="index.html" aria-current="page">Summary</a><a href="10-audit.html">Data quality</a>' in html
    assert ("截至 2026" if language == "zh" else "as of 30 September 2026") in html.replace("\u00a0", " ")
    assert ("虚构演示店" if language == "zh" else "invented dealer") in html
    assert "<dd><div><span>顾客.csv</span> <code>abab_abab_abab</code></div></dd>" in html
    assert 'src="data:image/png;base64,iVBORw' in html and 'alt="two bars"' in html
    assert html.count('<div class="dk-cards">') == 1 and html.count('<div class="dk-card"') == 2
    assert html.count('<div class="dk-charts">') == 1 and html.count("<figure") == 2
    assert "http:" not in html and "https:" not in html and "//" not in re.sub(r"base64,[^\"]*", "", html)
    assert scan.loads(html) == [] and "<script" not in html
    assert len(out.read_bytes()) < page.MAX_BYTES


def test_nothing_that_changes_between_runs_reaches_the_page(tmp_path):
    first = rendered(tmp_path).read_bytes()
    nb = a_notebook("en")
    nb.metadata["papermill"]["start_time"] = "2027-01-01"
    for cell in nb.cells:
        cell.id = "x" + cell.id
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = output["text"].replace("0x7f1234567890", "0x7fffffffffff")
    assert rendered(tmp_path, nb=nb).read_bytes() == first
    assert (
        b"papermill" not in first and b"data-texts" not in first and b"<!--" not in first and b"data-lab" not in first
    )


def test_code_and_prints_are_behind_the_switch(tmp_path):
    html = rendered(tmp_path).read_text(encoding="utf-8")
    for inside in ("dealer", "a warning at 0x…", "picture 1a2b_3c4d_5e6f", '<pre class="out">2</pre>'):
        assert inside in html
    shown = re.sub(r'<div class="working">.*?</pre>\s*(</div>)+', "", html, flags=re.DOTALL)
    assert "a warning" not in shown and "picture 1a2b" not in shown and "run.card" not in shown
    assert ".working{display:none" in html and "#workings:checked~main .working{display:block}" in html
    assert '<input type="checkbox" id="workings" role="switch">' in html


@pytest.mark.filterwarnings("ignore:no translation")
def test_markdown_is_swapped_for_its_translation(tmp_path, monkeypatch):
    from dealerkit.report import translate

    own = {**translate.catalogue("zh"), "# Summary\n\nProse *with* `code`.": "# 总览\n\n一段 *说明*。"}
    monkeypatch.setattr(translate, "catalogue", lambda language: own if language == "zh" else {})
    source = tmp_path / "n.ipynb"
    nbformat.write(a_notebook("zh"), source)
    page.render(source, tmp_path / "index.html", a_context("zh"))
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<p class="kicker">总览</p>' in html and "<p>一段 <em>说明</em>。</p>" in html and "Prose" not in html


def test_without_a_headline_the_first_heading_is_the_title(tmp_path):
    nb = V4.new_notebook(cells=[V4.new_markdown_cell("# Data quality\n\nProse.\n\n# Second")])
    html = rendered(tmp_path, nb=nb).read_text(encoding="utf-8")
    assert re.findall(r"<h1>(.*?)</h1>", html) == ["Data quality"]
    assert '<h2 id="s1">Second</h2>' in html and 'class="kicker"' not in html and 'id="workings"' not in html
    html = rendered(tmp_path, nb=V4.new_notebook()).read_text(encoding="utf-8")
    assert re.findall(r"<h1>(.*?)</h1>", html) == ["Summary"]


# The gates: nothing is written


@pytest.mark.parametrize(
    ("planted", "where"),
    [
        ({"text": "call 13812345678"}, "text of cell 6"),
        ({"alt": "the bar of 京A12345"}, "alt text of cell 8"),
        ({"chart": "LSVAA4182E2123456"}, "chart text of cell 8"),
        ({"printed": "'a.b@example.cn'"}, "text of cell 12"),
    ],
)
def test_a_leak_stops_the_page(tmp_path, planted, where):
    with pytest.raises(LeakError, match=f"(?s)index.html was not written.* in {where}") as caught:
        rendered(tmp_path, nb=a_notebook("en", **planted))
    assert caught.value.exit_code == 1 and caught.value.leaks[0].where == where
    assert not any(value[-6:] in str(caught.value) for value in planted.values())
    assert [path.name for path in tmp_path.iterdir()] == ["90-summary.ipynb"]


def test_an_address_behind_a_word_without_end_is_found():
    # in a square of the word's length, this would not end
    [found] = find_in([("text", "x" * 1_000_000 + "@b.example.cn")])
    assert (found.kind, found.where) == ("email", "text")


def test_a_leak_in_code_head_or_provenance_or_of_a_known_value_stops_the_page(tmp_path):
    nb = V4.new_notebook(cells=[V4.new_code_cell("phone = '13812345678'")])
    with pytest.raises(LeakError, match="138\\*\\*\\*\\*78 in text of cell 1"):
        rendered(tmp_path, nb=nb)
    with pytest.raises(LeakError, match="head of the page"):
        rendered(tmp_path, context=replace(a_context("en"), dealer="Store 010-62345678"))
    with pytest.raises(LeakError, match="text of the provenance"):
        rendered(tmp_path, context=replace(a_context("en"), provenance={"Input files": {"13812345678.csv": "ab" * 32}}))
    with pytest.raises(LeakError, match="known value 28\\*\\*\\*1 in text of cell 1"):
        rendered(
            tmp_path,
            nb=V4.new_notebook(cells=[V4.new_markdown_cell("No. 287-1 12-1")]),
            known=lambda tokens: tokens & {"2871121"},
        )
    assert not (tmp_path / "index.html").exists()


def test_the_last_good_page_stays_when_the_next_is_refused(tmp_path):
    good = rendered(tmp_path).read_bytes()
    with pytest.raises(LeakError):
        rendered(tmp_path, nb=a_notebook("en", text="13812345678"))
    assert (tmp_path / "index.html").read_bytes() == good


@pytest.mark.parametrize(
    "html",
    [
        "<img src='https://example.org/a.png'>",
        "<img srcset='//example.org/a.png 2x' src='data:image/png;base64,AA=='>",
        "<script>1</script>",
        "<link rel=stylesheet href=a.css>",
        "<p style='background:url(http://example.org/a)'>x</p>",
        "<style>@import 'a.css';</style>",
        "<iframe srcdoc=x></iframe>",
        "<a href='https://example.org'>x</a>",
        "<a href='javascript:alert(1)'>x</a>",
        "<p onclick='x()'>x</p>",
        "<meta http-equiv=refresh content=1>",
        "<svg><use xlink:href='http://example.org#x'/></svg>",
    ],
)
def test_what_a_browser_would_load_or_run_stops_the_page(tmp_path, html):
    with pytest.raises(PageError, match="would load, open or run"):
        rendered(tmp_path, nb=V4.new_notebook(cells=[V4.new_code_cell("x", outputs=displayed(html))]))
    assert not (tmp_path / "index.html").exists()


def test_links_inside_the_report_are_fine():
    assert scan.loads("<a href='10-audit.html#s2'>x</a><a href='#s1'>y</a>") == []


def test_a_page_that_is_too_large_is_refused(tmp_path):
    nb = V4.new_notebook(cells=[V4.new_markdown_cell("word " * 450_000)])
    with pytest.raises(PageError, match="at most 2,000,000"):
        rendered(tmp_path, nb=nb)
    assert not (tmp_path / "index.html").exists()


def test_pictures_that_bypass_the_gate_and_failed_notebooks_are_refused(tmp_path):
    shown = V4.new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure>"})
    with pytest.raises(UserError, match="cell 2 shows a picture by itself"):
        rendered(
            tmp_path, nb=V4.new_notebook(cells=[V4.new_markdown_cell("x"), V4.new_code_cell("fig", outputs=[shown])])
        )
    failed = V4.new_output("error", ename="ValueError", evalue="13812345678", traceback=[])
    with pytest.raises(PageError, match=r"90-summary.ipynb, cell 1 failed \(ValueError\)"):
        rendered(tmp_path, nb=V4.new_notebook(cells=[V4.new_code_cell("x", outputs=[failed])]))


# The data dictionary


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.filterwarnings("error:no translation")
def test_the_dictionary_names_every_table_and_column(tmp_path, language):
    extra = pd.DataFrame({"f": ["visits_12m"], "m": ["Visits in 12 months"]})
    columns = [parts.Col("f", "Factor"), parts.Col("m", "Meaning")]
    out = tmp_path / "dictionary.html"
    missing = dictionary_page(out, a_context(language), [("Factors", extra, columns)])
    assert missing == []
    html = out.read_text(encoding="utf-8")
    labels = [table.label(language) for table in tables.TABLES.values()]
    assert re.findall(r'<h2 id="s\d+">(.*?)</h2>', html) == [*labels, "Factors"]
    for table in tables.TABLES.values():
        for column in table.columns:
            assert f"<code>{column.name}</code></th><td>{parts.esc(column.label(language))}" in html
    assert "<code>bev</code>" in html and "visits_12m" in html
    assert ("个人信息：电话" if language == "zh" else "personal: phone") in html
    first = out.read_bytes()
    dictionary_page(out, a_context(language), [("Factors", extra, columns)])
    assert out.read_bytes() == first
