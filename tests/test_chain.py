"""Executing one notebook: put into place last, failures told in a few lines, logs scrubbed and few."""

from __future__ import annotations

import json
import os
import re
import stat

import nbformat
import pytest
from dealerkit import chain
from dealerkit.errors import UserError
from helpers import ROOT, InProcess, Project
from nbformat import v4

PHONE, VIN, MAIL = "13912345678", "L0XAA1B20KK000001", "zhang.wei@example.com"


@pytest.fixture
def project(tmp_path):
    """A project with notebooks of its own and one dealer."""
    made = Project(tmp_path)
    (tmp_path / "notebooks").unlink()
    (tmp_path / "notebooks").mkdir()
    made.dealer("small", {})
    return made


@pytest.fixture
def kit(project, monkeypatch, capsys):
    return InProcess(project, monkeypatch, capsys)


@pytest.fixture
def folders(project):
    return chain.Folders(project.folder, "small")


def notebook(project: Project, stage: str, *cells: str, parameters: str | None = None) -> None:
    given = f'dealer = "demo"\nas_of = None\noverrides = {{}}\npage = "{stage}"' if parameters is None else parameters
    content = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    content.cells = [v4.new_markdown_cell("# Title"), v4.new_code_cell(given, metadata={"tags": ["parameters"]})]
    content.cells += [v4.new_code_cell(cell) for cell in cells]
    nbformat.write(content, project.folder / f"notebooks/{stage}.ipynb")


OPEN = "from dealerkit.run import open_run\nrun = open_run(dealer, as_of, overrides, page)"
FACT = 'run.fact("as_of", "2026-09-30")'


def built(project: Project) -> dict[str, bytes]:
    """Files below build/, without what is kept of the time they took."""
    found = project.files("build") if (project.folder / "build").exists() else {}
    return {name: content for name, content in found.items() if "/.cost/" not in name}


# ---- a stage that runs ---------------------------------------------------------------------------------------------


def test_a_stage_is_put_into_place_and_private(project, kit):
    notebook(project, "10-audit", OPEN, FACT, 'import pandas as pd\nrun.save("mine", pd.DataFrame({"a": [1]}))')
    code, said = kit.execute("small")
    assert code == 0, said
    assert re.fullmatch(r"small · 10-audit +\d+\.\d s   1/1 stages \(100 %\)\n", said)
    assert set(built(project)) == {
        "build/small/10-audit.ipynb",
        "build/small/10-audit/facts.json",
        "build/small/10-audit/mine.parquet",
    }
    assert stat.S_IMODE(os.stat(project.folder / "build/small/10-audit").st_mode) == 0o700


def test_a_stage_that_ran_before_is_replaced_as_a_whole(project, kit):
    notebook(project, "10-audit", OPEN, FACT, 'import pandas as pd\nrun.save("old", pd.DataFrame({"a": [1]}))')
    assert kit.execute("small")[0] == 0
    notebook(project, "10-audit", OPEN, FACT)
    assert kit.execute("small")[0] == 0
    assert set(built(project)) == {"build/small/10-audit.ipynb", "build/small/10-audit/facts.json"}


def test_the_summary_remembers_its_facts_once_per_day(project, kit, monkeypatch):
    notebook(project, "90-summary", OPEN, FACT, 'run.fact("n_count", 3)')
    snapshots = project.folder / "data/state/small/snapshots"
    assert kit.execute("small", "90-summary")[0] == 0
    kept = {"as_of": "2026-09-30", "facts": {"as_of": "2026-09-30", "n_count": 3}}
    assert json.loads((snapshots / "2026-09-30.json").read_text(encoding="utf-8")) == kept
    assert kit.execute("small", "90-summary")[0] == 0
    monkeypatch.setenv("AS_OF", "2026-06-30")
    assert kit.execute("small", "90-summary")[0] == 0
    assert sorted(p.name for p in snapshots.iterdir()) == ["2026-06-30.json", "2026-09-30.json"]
    assert stat.S_IMODE(os.stat(snapshots.parent).st_mode) == 0o700


# ---- a stage that fails --------------------------------------------------------------------------------------------


def test_a_failing_notebook_is_told_in_five_lines(project):
    """With a real kernel: what is shown to the user, the log, what is kept and what is not."""
    boom = f'rows = ["{PHONE}", "{VIN}"]\nraise ValueError(f"no {{rows[0]}} {{rows[1]}} {MAIL}")'
    notebook(project, "10-audit", OPEN, FACT, boom)
    done = project.kit("execute", "--dealer", "small", "--stage", "10-audit")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert lines == [
        "small · 10-audit: notebooks/10-audit.ipynb failed in cell 5",
        "  cause: ValueError (what it says may hold personal values; it is in the notebook below)",
        f'  cell: rows = ["{PHONE}", "{VIN}"]'.replace(PHONE, "***").replace(VIN, "***"),
        "  full log: build/small/log/0001-10-audit.log",
        "  open it: make lab, then ../build/small/10-audit.failed.ipynb, cell 5",
    ]
    log = (project.folder / "build/small/log/0001-10-audit.log").read_text(encoding="utf-8")
    assert "ValueError" in log and "\x1b" not in log
    assert not [value for value in (PHONE, VIN, MAIL) if value in log]
    status = json.loads((project.folder / "build/small/status.json").read_text(encoding="utf-8"))
    assert status == {"stage": "10-audit", "code": 1, "message": done.stderr.strip().removeprefix("small · 10-audit: ")}
    assert not (project.folder / "build/small/10-audit").exists()
    assert not (project.folder / "build/small/10-audit.ipynb").exists()
    failed = nbformat.read(project.folder / "build/small/10-audit.failed.ipynb", as_version=4)
    assert "ValueError" in str(failed.cells)


def test_a_failure_leaves_the_last_good_stage_and_the_next_success_clears_up(project, kit):
    notebook(project, "10-audit", OPEN, FACT)
    assert kit.execute("small")[0] == 0
    before = built(project)
    notebook(project, "10-audit", OPEN, 'run.fact("half", 1)', "1 / 0")
    assert kit.execute("small")[0] == 1
    after = built(project)
    assert {name: after[name] for name in before} == before
    assert "build/small/10-audit.failed.ipynb" in after
    notebook(project, "10-audit", OPEN, FACT)
    assert kit.execute("small")[0] == 0
    assert "build/small/10-audit.failed.ipynb" not in built(project)
    assert not [name for name in built(project) if ".part" in name or ".old" in name]


def test_the_users_mistake_inside_a_notebook_ends_with_2(project, kit):
    notebook(project, "10-audit", OPEN, 'run.table("staff")')
    code, said = kit.execute("small")
    assert code == 2
    assert said == (
        "small · 10-audit: no table 'staff'\n  → there are none yet; `make report DEALER=small` builds them\n"
    )
    assert not (project.folder / "build/small/log").exists()


def test_a_cell_that_takes_too_long_is_stopped(project):
    (project.folder / "params/small.yaml").write_text(
        "display_name: Small\ncell_timeout_seconds: 1\n", encoding="utf-8"
    )
    notebook(project, "10-audit", "import time\ntime.sleep(60)")
    done = project.kit("execute", "--dealer", "small", "--stage", "10-audit")
    assert done.returncode == 2
    assert "a cell ran longer than cell_timeout_seconds (1 s)" in done.stderr
    assert "→ raise it in params/small.yaml; the log is in build/small/log/0001-10-audit.log" in done.stderr
    assert not (project.folder / "build/small/10-audit.ipynb").exists()


def test_a_notebook_without_its_parameters_and_none_at_all_are_refused(project, kit):
    notebook(project, "10-audit", parameters='dealer = "demo"')
    code, said = kit.execute("small")
    assert code == 2 and "notebooks/10-audit.ipynb has no parameter as_of, page" in said and "→ its cell tagged" in said
    code, said = kit.execute("small", "30-nothing")
    assert code == 2 and "no notebook 30-nothing\n  → there are 10-audit" in said


def test_something_unexpected_is_one_line_and_a_log(folders, capsys):
    def work():
        raise RuntimeError(f"row of {PHONE}")

    assert chain.guarded(folders, "render", work) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"small · render: a failure of the kit: RuntimeError in test_chain\.py, line \d+\n"
        r"  the full log is in build/small/log/0001-render\.log\n",
        said,
    )
    log = (folders.build / "log/0001-render.log").read_text(encoding="utf-8")
    assert "RuntimeError: …" in log and PHONE not in log


def test_only_the_last_ten_logs_are_kept(folders):
    def work():
        raise RuntimeError

    for number in range(13):
        chain.guarded(folders, f"stage{number}", work)
    names = sorted(p.name for p in (folders.build / "log").iterdir())
    assert names == [f"{n:04d}-stage{n - 1}.log" for n in range(4, 14)]


def test_success_is_0_and_leaves_no_status(folders):
    assert chain.guarded(folders, "render", lambda: None) == 0
    assert not folders.build.exists()


def test_what_the_user_has_to_mend_is_2_with_its_words(folders, capsys):
    def work():
        raise UserError("what is wrong", "what to do")

    assert chain.guarded(folders, "render", work) == 2
    assert capsys.readouterr().err == "small · render: what is wrong\n  → what to do\n"
    assert json.loads((folders.build / "status.json").read_text(encoding="utf-8")) == {
        "stage": "render",
        "code": 2,
        "message": "what is wrong\n  → what to do",
    }


@pytest.mark.parametrize(
    "text, left",
    [
        (f"call {PHONE}", "call ***"),
        (f"car {VIN}.", "car ***."),
        (f"to {MAIL},", "to ***,"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("id 33012219821107084X", "id ***X"),
        ("car 浙F9J780 and 浙AD30675", "car *** and ***"),
        ("ValueError: could not convert string to float: 'Peng Mingxuan'", "ValueError: …"),
        ("row 123456 of visits", "row 123456 of visits"),
    ],
)
def test_scrubbing(text, left):
    assert chain.scrubbed(text) == left


def test_stages_and_pages_are_those_of_the_notebooks():
    assert chain.stages(ROOT) == sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))
    assert set(chain.stages(ROOT)) <= set(chain.PAGES)
    assert chain.page_name("90-summary") == "index.html" and chain.page_name("10-audit") == "10-audit.html"
