"""What a report took: kept for each step that succeeds, shown on a page that nothing else depends on."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace

import pytest
from dealerkit import chain
from dealerkit.__main__ import main
from dealerkit.chain import cost
from dealerkit.lock import RUN
from dealerkit.report.cost import Step, cost_page
from dealerkit.report.page import PageContext
from dealerkit.warm import SOCKET

NOTEBOOK = Step("Data quality", "notebook", 6.0, 7.0, 400.0)
PAGE = Step("Data quality", "page", 1.0, 1.5, 200.0)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A dealer with one notebook, the commands replaced by ones that only work a little."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/10-audit.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dealerkit.__main__._step", lambda command: lambda folders, *stage: sum(range(200_000)))
    for name in (RUN, SOCKET):
        monkeypatch.delenv(name, raising=False)
    return chain.Folders(tmp_path, "small")


def run(step: str, *stage: str) -> int:
    return main([step, "--dealer", "small", *(("--stage", *stage) if stage else ())])


def test_what_a_step_took_is_kept_in_private(folders, monkeypatch):
    monkeypatch.setenv(RUN, "this")
    assert (run("execute", "10-audit"), run("render", "10-audit"), run("dictionary")) == (0, 0, 0)
    kept = cost.read(folders)
    assert [(c.step, c.stage) for c in kept] == cost.steps(folders)
    assert all(c.run == "this" and not c.warm and 0 < c.seconds < 60 and 0 <= c.cpu_seconds for c in kept)
    assert all(10 < c.peak_mb < 100_000 for c in kept)
    assert stat.S_IMODE((folders.build / ".cost").stat().st_mode) == 0o700
    assert not list((folders.build / ".cost").glob("*.part"))


def test_a_step_that_fails_keeps_what_the_last_good_one_took(folders, monkeypatch):
    def fails(command):
        raise RuntimeError

    assert run("execute", "10-audit") == 0
    before = (folders.build / ".cost/execute.10-audit.json").read_text(encoding="utf-8")
    monkeypatch.setattr("dealerkit.__main__._step", fails)
    assert (run("execute", "10-audit"), run("render", "10-audit")) == (1, 1)
    assert [p.name for p in (folders.build / ".cost").iterdir()] == ["execute.10-audit.json"]
    assert (folders.build / ".cost/execute.10-audit.json").read_text(encoding="utf-8") == before


def test_a_step_does_not_fail_for_want_of_its_record(folders):
    folders.build.mkdir(parents=True)
    (folders.build / ".cost").touch()  # no folder can be made there
    assert run("execute", "10-audit") == 0
    assert cost.read(folders) == []


@pytest.mark.parametrize("content", ["", "[]", '{"step": "execute"}', json.dumps({"of_another_version": 1})])
def test_a_record_that_cannot_be_read_counts_as_none(folders, content):
    assert run("dictionary") == run("execute", "10-audit") == 0
    (folders.build / ".cost/dictionary.json").write_text(content, encoding="utf-8")
    assert [c.step for c in cost.read(folders)] == ["execute"]


def shown(tmp_path, steps, language="en", **more) -> str:
    """Words of the page."""
    context = PageContext(language, "Test", foot=((chain.COST[0], "What it took"),), current=chain.COST[0])
    assert cost_page(tmp_path / chain.COST[0], context, steps, **more) == []
    page = (tmp_path / chain.COST[0]).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).replace("\u00a0", " ")


def test_a_line_is_a_notebook_and_its_page(tmp_path):
    programs = Step("Loading the programs", "programs", 3.0, None, 300.0)
    said = shown(tmp_path, [NOTEBOOK, PAGE], programs=programs)
    assert "This report took 10.0 s of processor time" in said
    assert "Data quality took the largest part of it, 70.0 %." in said
    assert "Computing 6.0 s 60.0 % of all Writing pages 1.0 s 10.0 % of all Loading the programs 3.0 s" in said
    assert "Data quality 7.0 s 70.0 % 1.0 s 8.5 s 400 MB" in said
    assert "Loading the programs 3.0 s 30.0 % 0.0 s not known 300 MB" in said
    assert "together 10.0 s 100.0 % 1.0 s 8.5 s 400 MB" in said
    assert "loaded once" in said and "anew" not in said and "earlier" not in said


def test_what_did_not_run_again_and_what_left_no_record_is_said(tmp_path):
    old = [replace(NOTEBOOK, earlier=True), PAGE, replace(PAGE, label="Data dictionary", earlier=True)]
    said = shown(tmp_path, old, missing=2, anew=True)
    assert "2 of 3 steps were up to date and did not run again" in said and "2 steps left no record" in said
    assert "400 MB page only" in said and "200 MB earlier" in said and "loaded the programs anew" in said
    assert "No step of this report has left a record" in shown(tmp_path, [], missing=3)


@pytest.mark.filterwarnings("error:no translation")
def test_the_page_is_there_in_chinese(tmp_path):
    said = shown(tmp_path, [NOTEBOOK, PAGE], "zh", missing=1, anew=True)
    assert "制作本报告用去处理器时间 7.0 秒" in said and not re.search(r"\b(page|step)\b", said)
