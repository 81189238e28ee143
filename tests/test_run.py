"""The run object: tables, facts with their origin, sentences, last time, and what its mistakes say."""

from __future__ import annotations

import gc
import json
import re
from datetime import date
from html import unescape

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dealerkit import engine
from dealerkit import run as run_
from dealerkit.audit import answers
from dealerkit.errors import UserError, UserErrors
from dealerkit.run import Col, open_run


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one dealer whose audit is built."""
    (tmp_path / "params").mkdir()
    (tmp_path / "Makefile").write_text("")
    (tmp_path / "params/small.yaml").write_text("display_name: Small\n", encoding="utf-8")
    audit = tmp_path / "build/small/10-audit"
    audit.mkdir(parents=True)
    pd.DataFrame({"staff_id": ["A", "B"], "role": ["x", None]}).to_parquet(audit / "staff.parquet", index=False)
    fact = {"value": 0.25, "rows": 1200, "table": "staff", "cell": 4, "page": "10-audit"}
    day = {"value": "2026-09-30", "rows": None, "table": None, "cell": 4, "page": "10-audit"}
    (audit / "facts.json").write_text(json.dumps({"lost_share": fact, "as_of": day}), encoding="utf-8")
    for name in ("AS_OF", "REPORT_LANG", "DEALERKIT_STAGE", "DEALERKIT_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEALERKIT_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def shown(monkeypatch):
    """What cells show: (html, text) each."""
    seen = []
    monkeypatch.setattr(run_, "_show", lambda html, text=None: seen.append((html, text)))
    return seen


def test_by_hand_everything_goes_to_scratch_and_make_writes_beside_its_target(root, monkeypatch):
    frame = pd.DataFrame({"b": [2, 1], "a": ["y", "x"]})
    by_hand = open_run("small", page="20-customers")
    assert by_hand.save("mine", frame) == 2 and by_hand.fact("n_count", 3) == 3
    before = {p.name for p in (root / "build/small/scratch/20-customers").iterdir()}
    assert before == {"mine.parquet", "facts.json"}
    monkeypatch.setenv("DEALERKIT_STAGE", "20-customers")
    by_make = open_run("small", page="20-customers")
    assert not by_make.has("mine")
    by_make.save("mine", frame)
    assert (root / "build/small/.20-customers.part/mine.parquet").is_file()
    assert not (root / "build/small/20-customers").exists()
    # another page opened while that stage runs is by hand
    assert open_run("small", page="90-summary").out_dir == root / "build/small/scratch/90-summary"


def test_only_by_make_is_what_was_imported_set_apart_from_the_collector(root, monkeypatch):
    monkeypatch.setattr(engine, "_settled", False)  # and so again when the test has ended
    gc.unfreeze()
    open_run("small", page="20-customers")
    with engine.uncollected():
        pass
    assert gc.get_freeze_count() == 0
    monkeypatch.setenv("DEALERKIT_STAGE", "20-customers")
    open_run("small", page="20-customers")
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_functions_of_an_analyst_are_known_to_the_engine_when_a_table_is_saved(root):
    @ibis.udf.scalar.python
    def doubled(n: int) -> int:
        return 2 * n

    run = open_run("small", page="20-customers")
    rows = ibis.memtable({"person_id": ["P1", "P2"], "a": [1, 2]})
    run.save("mine", rows.mutate(b=doubled(rows.a)))
    assert run.frame("mine")["b"].tolist() == [2, 4]


def test_tables_are_listed_and_read(root):
    run = open_run("small", page="20-customers")
    run.save("mine", pd.DataFrame({"a": [1]}))
    assert run.tables().to_dict("records") == [
        {"table": "staff", "page": "10-audit", "rows": 2, "columns": 2, "one_row": "an employee"},
        {"table": "mine", "page": "20-customers", "rows": 1, "columns": 1, "one_row": ""},
    ]
    assert run.table("staff").count().to_pandas() == 2
    assert run.frame("staff", ["role"]).to_dict("list") == {"role": ["x", None]}
    assert list(run.clean()) == ["staff"] and run.has("staff") and not run.has("cars")


def test_an_expression_is_saved_in_the_order_of_its_keys(root):
    run = open_run("small", page="20-customers")
    run.save("raw", pd.DataFrame({"vin": ["c", "a", "b"], "n": [1, 2, 3]}))
    run.save("sorted", run.table("raw"))
    assert run.frame("sorted")["vin"].tolist() == ["a", "b", "c"]


def test_a_table_of_ones_own_is_saved_in_the_order_of_all_its_columns(root):
    run = open_run("small", page="20-customers")
    run.save("raw", pd.DataFrame({"n": [2, 1, 2], "kind": ["a", "a", "b"], "paid_by": ["y", "x", "x"]}))
    run.save("no_key", run.table("raw").drop("kind"))
    run.save("some_key", run.table("raw"))
    assert run.frame("no_key").values.tolist() == [[1, "x"], [2, "x"], [2, "y"]]
    assert run.frame("some_key")["n"].tolist() == [1, 2, 2]


@pytest.mark.parametrize("rows, groups", [(0, []), (7, [7]), (10, [10]), (20, [10, 10]), (23, [10, 10, 3])])
@pytest.mark.parametrize("size", [4, 50])
def test_files_are_written_in_groups_of_one_size_and_none_is_empty(tmp_path, monkeypatch, rows, groups, size):
    monkeypatch.setattr(engine, "ROW_GROUP", 10)
    table = pa.table({"n": pa.array(range(rows), pa.int64())})
    assert engine.write_batches(table.to_batches(size), table.schema, tmp_path / "n.parquet") == rows
    found = pq.ParquetFile(tmp_path / "n.parquet")
    assert [found.metadata.row_group(i).num_rows for i in range(found.metadata.num_row_groups)] == groups
    assert found.read().equals(table)


def test_unknown_names_are_told_with_the_nearest(root):
    run = open_run("small", page="20-customers")
    with pytest.raises(
        UserError, match=r"no table 'staf'; nearest: 'staff'\n  → there are staff; `make report DEALER=small`"
    ):
        run.table("staf")
    with pytest.raises(UserError, match=r"no fact 'lost_shar'; nearest: 'lost_share'"):
        run.known("lost_shar")
    with pytest.raises(
        UserError, match=r"no fact 'los_share' for the sentence '.*'; nearest: 'lost_share'\n  → name it with run.fact"
    ):
        run.text("{los_share:share}")
    with pytest.raises(UserError, match="'lost share' cannot name a fact\n  → use letters"):
        run.fact("lost share", 1)
    assert run.known("nothing", None) is None and run.known("nothing", 7) == 7


def test_facts_keep_value_origin_and_become_plain(root, monkeypatch):
    monkeypatch.setattr(run_.Run, "_cell", lambda self: 5)
    run = open_run("small", page="20-customers")
    value = run.fact("persons_count", np.int64(12), rows=np.int64(3), table="persons")
    assert value == 12
    run.record(
        {
            "share": (np.float64(1 / 3), None, None),
            "none_share": (float("nan"), 0, None),
            "day": (date(2026, 1, 2), None, None),
        }
    )
    run.record({"list": ([(1, 2.5)], None, None), "flag": (np.bool_(True), None, None)})
    common = {"rows": None, "table": None, "cell": 5, "page": "20-customers"}
    expected = {
        "persons_count": {"value": 12, "rows": 3, "table": "persons", "cell": 5, "page": "20-customers"},
        "share": common | {"value": 0.333333333},
        "none_share": common | {"value": None, "rows": 0},
        "day": common | {"value": "2026-01-02"},
        "list": common | {"value": [[1, 2.5]]},
        "flag": common | {"value": True},
    }
    assert json.loads((run.out_dir / "facts.json").read_text(encoding="utf-8")) == expected
    assert run.facts() == expected | {name: run.facts()[name] for name in ("lost_share", "as_of")}
    assert run.known("lost_share") == 0.25


def test_only_pages_before_this_one_lend_their_facts(root):
    later = root / "build/small/90-summary"
    later.mkdir()
    (later / "facts.json").write_text(json.dumps({"late": {"value": 1}}), encoding="utf-8")
    assert "late" not in open_run("small", page="20-customers").facts()
    assert "late" not in open_run("small", page="90-summary").facts()
    assert "late" in open_run("small").facts()


def test_a_sentence_carries_its_numbers_and_where_they_come_from(root, shown, monkeypatch):
    monkeypatch.setattr(run_.Run, "_cell", lambda self: 7)
    run = open_run("small", page="20-customers")
    run.say("Lost {lost_share:share} of {people:count}", people=1234)
    html, _ = shown[-1]
    assert "Lost 25.0\N{NO-BREAK SPACE}% of 1,234" in html
    assert 'data-origin="10-audit · cell 4 · staff · 1,200 rows"' in html
    run.say("Of {people:count} in all")
    assert "Of 1,234 in all" in shown[-1][0] and 'data-origin="20-customers · cell 7"' in shown[-1][0]


def test_language_of_the_environment_goes_before_the_params(root, monkeypatch):
    assert open_run("small").language == "en"
    monkeypatch.setenv("REPORT_LANG", "zh")
    assert open_run("small").language == "zh"
    monkeypatch.setenv("REPORT_LANG", "fr")
    with pytest.raises(UserError, match="REPORT_LANG='fr' is not a report language\n  → use en or zh"):
        open_run("small")


def test_overrides_are_checked_like_a_file(root):
    run = open_run("small", overrides={"windows.lost_months": 18, "id_key": "k"})
    assert run.params.windows.lost_months == 18 and run.params.id_key == "k"
    with pytest.raises(UserError, match="override 'windows.lost_month' is no key"):
        open_run("small", overrides={"windows.lost_month": 18})
    with pytest.raises(UserErrors, match="windows.lost_months = 'many'"):
        open_run("small", overrides={"windows.lost_months": "many"})


def test_by_hand_another_day_than_that_of_the_tables_is_told_once(root, shown, monkeypatch):
    open_run("small")
    open_run("small", "2026-09-30")
    open_run("small", "2026-06-30", page="10-audit")  # it makes the tables anew
    assert [text for html, text in shown if "tables built" in html] == []
    open_run("small", "2026-06-30", page="20-customers").frame("staff")
    told = [html for html, _ in shown if "tables built" in html]
    assert len(told) == 1 and "30 September 2026" in told[0] and "30 June 2026" in told[0]
    monkeypatch.setenv("DEALERKIT_STAGE", "20-customers")
    open_run("small", "2026-06-30", page="20-customers")
    assert len([html for html, _ in shown if "tables built" in html]) == 1


def test_a_table_without_rows_is_left_out_when_asked(root, shown):
    run = open_run("small")
    run.show(pd.DataFrame({"a": []}), [Col("a", "A")], hide_empty=True)
    assert [html for html, _ in shown if "<table" in html] == []
    run.show(pd.DataFrame({"a": []}), [Col("a", "A")])
    run.show(pd.DataFrame({"a": [1]}), [Col("a", "A")], hide_empty=True)
    assert len([html for html, _ in shown if "<table" in html]) == 2


def test_as_of_is_the_one_asked_for_else_the_audits(root):
    assert open_run("small").as_of == date(2026, 9, 30)
    assert open_run("small", "2026-06-30").as_of == open_run("small", date(2026, 6, 30)).as_of == date(2026, 6, 30)
    with pytest.raises(UserError, match="as_of '30/6/2026' is no date\n  → write year, month and day"):
        open_run("small", "30/6/2026")


def snapshot(root, day: str, **facts) -> None:
    folder = root / "data/state/small/snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{day}.json").write_text(json.dumps({"as_of": day, "facts": facts}), encoding="utf-8")


def test_last_time_is_the_newest_strictly_earlier_report(root):
    run = open_run("small", page="90-summary")
    assert run.last_time() is None
    snapshot(root, "2026-09-30", n_count=9)
    snapshot(root, "2026-10-31", n_count=10)
    assert run.last_time() is None
    snapshot(root, "2026-03-31", n_count=3)
    snapshot(root, "2026-06-30", n_count=6)
    assert run.last_time() == {"as_of": "2026-06-30", "facts": {"n_count": 6}}
    assert open_run("small", "2026-05-01").last_time()["as_of"] == "2026-03-31"
    assert open_run("small", "2026-12-01").last_time()["as_of"] == "2026-10-31"


@pytest.mark.parametrize(
    "before, better, change, direction",
    [
        (6, "up", "▲ 4 since 30 June 2026", "better"),
        (6, "down", "▲ 4 since 30 June 2026", "worse"),
        (13, "up", "▼ 3 since 30 June 2026", "worse"),
        (10, "up", "▬ as on 30 June 2026", "flat"),
        (6, None, "", "none"),
        (None, "up", "", "none"),
    ],
)
def test_a_card_says_what_changed(root, before, better, change, direction):
    snapshot(root, "2026-06-30", n_count=before)
    run = open_run("small", page="90-summary")
    run.fact("n_count", 10)
    card = run.card("Number", "{n_count:count}", better=better)
    assert (card.value, card.change, card.direction) == ("10", change, direction)


def test_a_change_too_small_to_be_seen_is_none(root, shown):
    """Not "▼ 0.0 points, worse"."""
    snapshot(root, "2026-06-30", lost_share=0.25004, clean_share=0.9)
    run = open_run("small", page="90-summary")
    run.fact("clean_share", 0.89)
    card = run.card("Lost", "{lost_share:share}", better="up")
    assert (card.change, card.direction) == ("▬ as on 30 June 2026", "flat")
    assert run.card("Clean", "{clean_share:share}", better="up").direction == "worse"
    run.changes([("lost_share", "Lost", "share"), ("clean_share", "Clean", "share")])
    assert re.findall("[▲▬▼][^<]*points?", shown[-1][0]) == ["▬ 0.0 points", "▼ 1.0 point"]


def test_changes_say_that_there_is_no_last_time_or_compare(root, shown):
    run = open_run("small", page="90-summary")
    run.fact("n_count", 10)
    run.changes([("n_count", "Number", "count")])
    assert "This is the first report" in shown[-1][0]
    snapshot(root, "2026-06-30", n_count=12)
    run.changes([("n_count", "Number", "count"), ("lost_share", "Lost", "share")])
    html = shown[-1][0]
    assert "30 June 2026" in html and "▼ 2" in html and "not known" in html


#: What the page of the audit says of its trend, in both languages of the report.
TREND_WORDS = {
    "en": ("This is the first report", "Last time, as of 31 March 2026, it was 71.5.", "From report to report", "30 June 2026"),
    "zh": ("这是首份报告", "上次（截至2026年3月31日）为71.5。", "历次报告", "2026年6月30日"),
}  # fmt: skip
HEALTH = "Data health is {health_score:number} of 100, from report to report"


@pytest.mark.parametrize("language", TREND_WORDS)
def test_a_trend_is_drawn_of_the_reports_before(root, shown, monkeypatch, language):
    """None, one and two reports before; those of later days, and those that had no score, do not count."""
    monkeypatch.setenv("REPORT_LANG", language)
    first, last_time, title, day = TREND_WORDS[language]
    run = open_run("small", page="90-summary")
    run.fact("health_score", 80.5)

    def said() -> str:
        run.trend(answers.trend(run.earlier(), run.as_of, 80.5), "as_of", "health", HEALTH)
        return re.sub(r"\s", "" if language == "zh" else " ", shown[-1][0])

    snapshot(root, "2026-10-31", health_score=99.0)
    snapshot(root, "2026-02-28", lost_share=0.5)
    assert first in said() and "<img" not in shown[-1][0]
    snapshot(root, "2026-03-31", health_score=71.5)
    assert last_time in said() and "<img" not in shown[-1][0]
    snapshot(root, "2026-06-30", health_score=76.0)
    html = re.sub(r"base64,[^\"]*", "", unescape(said()))
    assert "<img" in html and title in html and day in html and "80.5" in html and "99" not in html
    run.trend(
        pd.DataFrame({"on": [date(2026, 1, 1), date(2026, 2, 1)], "share": [0.5, 0.6]}), "on", "share", HEALTH, "share"
    )
    assert "50.0\N{NO-BREAK SPACE}%" in shown[-1][0]


def test_earlier_reports_are_the_newest_ones_the_oldest_first(root):
    for month in range(1, 10):
        snapshot(root, f"2026-0{month}-15", n_count=month)
    days = [report["as_of"] for report in open_run("small", "2026-09-15").earlier(most=3)]
    assert days == ["2026-06-15", "2026-07-15", "2026-08-15"]


def test_what_to_do_next_says_request_gain_and_reason_or_that_there_is_nothing(root, shown):
    run = open_run("small", page="20-customers")
    run.todo(
        [("Call {n:count} owners", "{gain:yuan}", "They stayed away.", {"n": 1200, "gain": 5000}), ("Ask", "", "", {})]
    )
    ((html, _text),) = shown
    said = html
    assert "Call 1,200 owners" in said and "They stayed away." in said and "5,000" in said and "Ask" in said
    assert said.count("a year, first estimate") == 1
    run.todo([])
    assert "Nothing to do follows from the numbers of this page." in shown[1][0]


def test_sentences_are_said_when_their_numbers_are_known(root, shown):
    run = open_run("small", page="20-customers")
    run.fact("unknown_share", None)
    run.say_known(
        "{lost_share:share} were lost.", "{unknown_share:share} came.", "{never_named:count} sang.", "All is said."
    )
    ((html, _text),) = shown
    assert "25.0\N{NO-BREAK SPACE}% were lost. All is said." in html and "came" not in html and "sang" not in html
    run.say_known("{unknown_share:share} came.")
    assert len(shown) == 1


def test_gaps_are_handed_on_and_said_once(root, shown):
    gap = ("Age", "No birth date was delivered.", "Deliver it.")
    (root / "build/small/10-audit/facts.json").write_text(
        json.dumps({"gaps_10_audit": {"value": [gap, gap]}}), encoding="utf-8"
    )
    run = open_run("small", page="90-summary")
    assert run.gaps_so_far() == [gap]
    run.gaps(run.gaps_so_far())
    assert shown[-1][0].count("No birth date was delivered.") == 1
    run.gaps([])
    assert "Nothing is missing." in shown[-1][0]


def test_a_folder_that_is_no_project_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DEALERKIT_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="this is no dealerkit folder"):
        open_run("small")


def test_the_project_is_found_from_a_folder_inside(root, monkeypatch):
    monkeypatch.delenv("DEALERKIT_ROOT")
    (root / "notebooks").mkdir()
    monkeypatch.chdir(root / "notebooks")
    assert open_run("small").build == root / "build/small"
