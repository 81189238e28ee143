"""Texts of a report: values in both languages, templates, the catalogue, masks, small numbers."""

from __future__ import annotations

import itertools
import json
import warnings
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from dealerkit.errors import UserError
from dealerkit.messages import N_, mask, short_checksum
from dealerkit.report import strings, translate
from dealerkit.report.smallcells import protect
from dealerkit.report.translate import Translator, fields

PACKAGE = Path(translate.__file__).parents[1]
EN, ZH = Translator("en"), Translator("zh")


@pytest.mark.parametrize(
    ("value", "kind", "english", "chinese"),
    [
        (4012, "count", "4,012", "4,012"),
        (np.int64(-61), "count", "−61", "−61"),
        (38, "change", "+38", "+38"),
        (-61, "change", "−61", "−61"),
        (0, "change", "0", "0"),
        (0.112, "share", "11.2 %", "11.2 %"),
        (0.0005, "share", "0.1 %", "0.1 %"),
        (0.009, "points", "0.9 points", "0.9 个百分点"),
        (0.01, "points", "1.0 point", "1.0 个百分点"),
        (3_100_000, "yuan", "¥ 3.1 M", "310 万元"),
        (41_234.4, "yuan", "¥ 41,200", "4.1 万元"),
        (860.49, "yuan", "¥ 860", "860 元"),
        (-860, "yuan", "−¥ 860", "−860 元"),
        (-0.2, "yuan", "¥ 0", "0 元"),
        (999_960, "yuan", "¥ 1 M", "100 万元"),
        (9_999.6, "yuan", "¥ 10,000", "1 万元"),
        (410_000, "yuan", "¥ 410,000", "41 万元"),
        (1_240_000_000, "yuan", "¥ 1.2 bn", "12.4 亿元"),
        (date(2026, 9, 30), "day", "30 September 2026", "2026 年 9 月 30 日"),
        (datetime(2026, 9, 30, 23, 59), "day", "30 September 2026", "2026 年 9 月 30 日"),
        (pd.Timestamp("2026-06-01"), "month", "June 2026", "2026 年 6 月"),
        ("2026-06-01", "day", "1 June 2026", "2026 年 6 月 1 日"),
        (12_300, "km", "12,300 km", "12,300 公里"),
        (1, "months", "1 month", "1 个月"),
        (9, "months", "9 months", "9 个月"),
        (4.25, "years", "4.3 years", "4.3 年"),
        (1, "days", "1 day", "1 天"),
        (87.4, "score", "87 / 100", "87 / 100"),
        (2.5, "count", "3", "3"),
        (1234.5, "number", "1,235", "1,235"),
        (12.34, "number", "12.3", "12.3"),
        (0.714, "number", "0.71", "0.71"),
        ("Sedan C", "text", "Sedan C", "Sedan C"),
        ("worse", "label", "worse", "变差"),
        *[(nothing, "count", "not known", "未知") for nothing in (None, float("nan"), np.nan, pd.NA, pd.NaT, np.inf)],
        (pd.NaT, "day", "not known", "未知"),
    ],
)
def test_values_as_readers_write_them(value, kind, english, chinese):
    assert (EN.value(value, kind), ZH.value(value, kind)) == (english, chinese)


def test_a_template_is_translated_and_filled():
    assert EN.say("as of {day:day}", day=date(2026, 9, 30)) == "as of 30 September 2026"
    assert ZH.say("as of {day:day}", day=date(2026, 9, 30)) == "截至 2026 年 9 月 30 日"
    assert EN.say("{n:count|customer|customers} left", n=1) == "1 customer left"
    assert EN.say("{n:count|customer|customers} left", n=1204) == "1,204 customers left"


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("lost {n:count}", {}, "no value for n"),
        ("lost {n:count}", {"n": 1, "m": 2}, "m has no place"),
        ("lost {n:people}", {"n": 1}, "has no known kind"),
        ("lost {n}", {"n": 1}, "has no known kind"),
        ("lost {n:count|one}", {"n": 1}, "has no known kind"),
        ("lost {:count}", {}, "has no name"),
    ],
)
def test_a_wrong_template_is_named(template, values, said):
    with pytest.raises(UserError, match=said):
        EN.say(template, **values)


def test_an_unknown_language_is_refused():
    with pytest.raises(UserError, match="'fr' is not a report language"):
        Translator("fr")


def test_a_text_without_translation_is_english_with_one_warning():
    t = Translator("zh")
    with pytest.warns(UserWarning, match="make strings") as caught:
        assert t.text("A sentence nobody translated.") == "A sentence nobody translated."
        assert t.text("Another one.") == "Another one."
        assert t.text("A sentence nobody translated.") == "A sentence nobody translated."
    assert len(caught) == 1
    assert t.untranslated == ["A sentence nobody translated.", "Another one."]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Translator("en").text("Anything") == "Anything"
        assert Translator("zh").say("{n:count} / {m:count}", n=1, m=2) == "1 / 2"


def test_a_text_without_letters_is_translated_but_never_missed(monkeypatch):
    monkeypatch.setattr(translate, "catalogue", lambda _: {"30–39": "30–39 岁"})
    t = Translator("zh")
    assert (t.text("30–39"), t.text("40–49"), t.untranslated) == ("30–39 岁", "40–49", [])


def test_a_translation_with_another_placeholder_is_an_error(monkeypatch):
    monkeypatch.setattr(translate, "catalogue", lambda language: {"lost {n:count}": "流失 {m:count} 人"})
    with pytest.raises(UserError, match="no value for m"):
        Translator("zh").say("lost {n:count}", n=3)


def test_labels_come_from_the_tables():
    assert (EN.labels("service_orders", "total_yuan"), ZH.labels("service_orders", "total_yuan")) == (
        "Total, yuan",
        "结算金额（元）",
    )
    assert (EN.labels("leads"), ZH.labels("leads", "desk", "maker")) == ("Sales leads", "厂家")
    assert EN.labels("leads", "desk", "unheard of") == "unheard of"


# Collecting

SOURCE = """
A = N_("word")
def f(t, run, x):
    t.text("lower")
    run.say("Lost {n:count}", n=3)
    run.say("{n:count|car is lost.|cars are lost.}", n=2)
    run.say("yes, it is" if x else "no, it is not")
    run.card("Active customers", "{n:count}", direction="better", note="seen " "lately")
    run.gap("Forecast", why="no data", remedy=f"bring {x}")
    run.table("persons"); run.figure(fig, "A finding", size="third"); print("not this")
"""


def test_messages_are_collected_from_code_notebooks_and_templates(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE, encoding="utf-8")
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Prose.\n"]},
        {
            "cell_type": "code",
            "source": [
                "%matplotlib inline\n",
                'run.headline("One in {n:number}", lead="It is so.")\n',
                'run.show(frame, [Col("name_of_column", "Heading", "count"), Col("x", label="Other")])',
            ],
        },
    ]
    (tmp_path / "b.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    (tmp_path / "c.html.j2").write_text('<a>{{ _("Skip to it") | e }}</a>', encoding="utf-8")
    declared = set(strings.collect([]))
    assert "still held as far as known" in declared
    assert set(strings.collect([tmp_path])) - declared == {
        "word", "lower", "Lost {n:count}", "{n:count|car is lost.|cars are lost.}", "yes, it is", "no, it is not", "Active customers", "seen lately", "Forecast",
        "no data", "A finding", "# Title\n\nProse.", "One in {n:number}", "It is so.", "Skip to it",
        "Heading", "Other",
    }  # fmt: skip


def test_broken_sources_are_named(tmp_path):
    (tmp_path / "a.py").write_text("def (", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.py: line 1"):
        strings.collect([tmp_path / "a.py"])
    (tmp_path / "b.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"b\.ipynb is not a notebook"):
        strings.collect([tmp_path / "b.ipynb"])


def test_merging_keeps_translations_and_is_quiet_the_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr(translate, "LOCALE", tmp_path)
    assert strings.merge("zh", ["b", "a {n:count}", "many\nlines"]) == (3, 3)
    path = translate.catalogue_path("zh")
    path.write_text(path.read_text().replace('msgid "b"\nmsgstr ""', 'msgid "b"\nmsgstr "乙"'), encoding="utf-8")
    assert strings.merge("zh", ["b", "c"]) == (2, 1)
    first = path.read_bytes()
    assert strings.merge("zh", ["c", "b"]) == (2, 1) and path.read_bytes() == first
    assert strings.missing("zh") == ["c"] and strings.missing("zh", ["b", "d"]) == ["d"]
    assert Translator("zh").text("b") == "乙"
    assert b"Date" not in first and b"#:" not in first and b"python-" not in first
    assert '#~ msgid "a {n:count}"' in first.decode()
    translate.catalogue.cache_clear()


def bare(template):
    """Placeholders with their kinds, without the English words for one and many."""
    return sorted((name, spec.split("|")[0]) for name, spec in fields(template))


def test_the_page_modules_are_translated_with_the_same_placeholders():
    messages = strings.collect([PACKAGE / "charts", PACKAGE / "report"])
    assert strings.missing("zh", messages) == []
    with translate.catalogue_path("zh").open("rb") as stream:
        for message in read_po(stream, locale="zh"):
            if message.id and message.string:
                assert bare(message.string) == bare(message.id), message.id


# Masks and checksums


@pytest.mark.parametrize(
    ("value", "kind", "masked"),
    [
        ("138 1234 5678", "phone", "138****78"),
        ("12345", "phone", "1***"),
        ("王小明", "name", "王*"),
        ("王", "name", "*"),
        ("11010519491231002X", "id", "11***X"),
        ("京A12345", "plate", "京A***5"),
        ("AB12", "vin", "A***"),
        ("AB", "vin", "***"),
        ("1 Harbour Road", "address", "***"),
        ("1990-01-01", "birth", "***"),
        (None, "phone", "(empty)"),
        (float("nan"), "name", "(empty)"),
        ("2026-01-05 14:03", None, "2026-01-05 14:03"),
        ("¥1,234.50", None, "¥1,234.50"),
        ("王小明", None, "王***"),
        ("138-0013-8000", None, "13***0"),
        ("京A12345", None, "京A***5"),
        ("order 13812345678", None, "or***8"),
    ],
)
def test_masks(value, kind, masked):
    assert mask(value, kind) == masked


def test_short_checksum_and_marker():
    assert short_checksum("0123456789abcdef" * 4) == "0123_4567_89ab"
    assert N_("text") == "text"


# Small numbers


@pytest.mark.parametrize(
    ("counts", "status", "total_hidden"),
    [
        ([100, 30, 5], "s s s", False),
        ([100, 30, 0], "s s s", False),
        ([100, 30, 3], "s h <", False),  # one small part alone would follow from the total
        ([100, 3, 2], "s < <", False),  # 5 = 1 + 4 = 2 + 3: more than one way
        ([100, 1, 1], "h < <", False),  # 2 = 1 + 1 only
        ([100, 40, 4, 4], "s h < <", False),  # 8 = 4 + 4 only
        ([3], "<", True),
        ([3, 0], "< s", True),
        ([100, 7, 7, 1], "s h s <", False),  # 8 = 1 + 7 = 2 + 6 = 3 + 5
        ([100, 7, 7, 4], "s h h <", False),  # 11 = 4 + 7 only, for who knows that no hidden part exceeds the shown 7
    ],
)
def test_small_counts_are_not_shown_nor_worked_out(counts, status, total_hidden):
    done = protect(counts)
    letters = {"shown": "s", "hidden": "h", "small": "<"}
    assert (" ".join(letters[s] for s in done.status), done.total_hidden) == (status, total_hidden)


def test_without_a_total_only_small_counts_are_left_out():
    assert protect([100, 30, 3], total_known=False).status == ("shown", "shown", "small")


def test_rates_need_thirty_persons():
    done = protect([0, 4, 5, 29, 30, None])
    assert done.rate_allowed([0, 4, 5, 29, 30, None]) == (True, False, False, False, True, False)


def test_no_small_count_can_be_worked_out_by_trying_everything():
    for counts in itertools.product([0, 1, 2, 4, 5, 6, 9], repeat=4):
        done = protect(counts)
        small = [i for i, s in enumerate(done.status) if s == "small"]
        assert all((0 < c < 5) == (i in small) for i, c in enumerate(counts))
        if not small or done.total_hidden:
            continue
        hidden = [i for i, s in enumerate(done.status) if s == "hidden"]
        rest = sum(counts[i] for i in (*small, *hidden))
        ways = {
            tried[: len(small)]
            for tried in itertools.product(*[range(1, 5)] * len(small), *[range(5, 19)] * len(hidden))
            if sum(tried) == rest
        }
        assert all(len({way[k] for way in ways}) > 1 for k in range(len(small))), counts


def test_one_to_four_persons_are_not_told():
    t = Translator("en")
    said = [t.say("{n:persons|owner|owners}", n=n) for n in (0, 1, 4, 5, 1_200)]
    assert said == ["0 owners", "<5 owners", "<5 owners", "5 owners", "1,200 owners"]
