"""The Makefile with its real stamps and lock, over a small project whose commands only note that they were called."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Stands for `python -m dealerkit`: notes the call, makes the output, fails where a file named fail-<stage> says so.
KIT = r"""
command=$1; dealer=$3; stage=${5:-}
echo "$dealer $command $stage" >> calls.log
env > "env-$command.log"
if [ -e "fail-$dealer-$stage" ]; then
    cat "fail-$dealer-$stage" > "build/$dealer/status.json"
    [ "$command" = render ] && mkdir -p "reports/$dealer" && echo half > "reports/$dealer/$stage.html"
    exit 1
fi
[ "$command" = execute ] || mkdir -p "reports/$dealer"
case $command in
    execute) echo "$stage" > "build/$dealer/$stage.ipynb" ;;
    render)
        if [ "$stage" = 90-summary ]; then page=index; else page=$stage; fi
        echo "$stage" > "reports/$dealer/$page.html" ;;
    customer | vehicle) echo "build/$dealer/${command}s/P0.html" ;;
    dictionary | cost) echo "$command" > "reports/$dealer/$command.html" ;;
esac
"""

LIBRARY = {
    "__init__.py": "",
    "base.py": "",
    "run.py": "from dealerkit import base, charts\nfrom dealerkit.report import facts\n",
    "charts.py": "from . import base\n",
    "audit/__init__.py": "from .checks import CHECKS\n",
    "audit/checks.py": "CHECKS = ()\n",
    "factors.py": "def factors():\n    import dealerkit.value\n",
    "value.py": "",
    "report/__init__.py": "",
    "report/facts.py": "",
    "report/page.py": "from dealerkit.report import facts, contents\n",
    "report/contents.py": "",
    "report/template/page.css": "body {}",
    "locale/zh/LC_MESSAGES/dealerkit.po": 'msgid ""\nmsgstr ""\n',
    "engine.py": "",
    "chain/__init__.py": "",
    "chain/execute.py": "",
    "chain/pages.py": "from dealerkit.report import page\nfrom dealerkit import engine, value\n",
    "__main__.py": "",
    "demo/__init__.py": "",
}
CODE = {
    "10-audit": ["from dealerkit.run import open_run", "from dealerkit import audit"],
    "20-customers": ["from dealerkit.run import open_run\nfrom dealerkit.factors import factors"],
    "90-summary": ["from dealerkit.run import open_run\n%matplotlib inline"],
}
PAGES = ("10-audit", "20-customers", "90-summary")
EXECUTE = {f"demo execute {stage}" for stage in PAGES}
COST = "demo cost "  # the page on what all this took, after anything that is made
RENDER = {f"demo render {stage}" for stage in PAGES} | {"demo dictionary ", COST}


def notebook(*sources: str, outputs: bool = False) -> str:
    shown = [{"output_type": "stream", "name": "stdout", "text": ["42\n"]}] if outputs else []
    cells = [{"cell_type": "markdown", "id": "m", "metadata": {}, "source": ["# Title\n", "Prose."]}]
    for source in sources:
        cell = {
            "cell_type": "code",
            "id": "c",
            "metadata": {},
            "outputs": shown,
            "execution_count": 7 if outputs else None,
        }
        cells.append(cell | {"source": source.splitlines(keepends=True)})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


class Project:
    """A copy of the Makefile, stamps and lock, with stub notebooks and library."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        for name, text in LIBRARY.items():
            self.write(f"lib/dealerkit/{name}", text)
        for name in ("stamp.py", "lock.py", "warm.py"):
            shutil.copy(ROOT / "lib/dealerkit" / name, folder / "lib/dealerkit")
        for stage, sources in CODE.items():
            self.write(f"notebooks/{stage}.ipynb", notebook(*sources))
        self.write("requirements.lock", "pandas==2.3.3\n")
        self.write("kit.sh", KIT)
        self.dealer("demo")
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])

    def dealer(self, name: str) -> None:
        self.write(f"params/{name}.yaml", f"dealer: {name}\n")
        self.write(f"data/raw/{name}/客户 资料(1).csv", "id,name\n1,a\n")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def append(self, name: str, text: str) -> None:
        self.write(name, (self.folder / name).read_text(encoding="utf-8") + text)

    def command(self, *arguments: str) -> list[str]:
        return ["make", "READY=", "READY_DEV=", "ASK=sh kit.sh", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not re.match(r"MAKE|MFLAGS|DEALER|AS_OF|REPORT_|CONDA", name)
        }
        return kept | more

    def make(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, *arguments: str, **more: str) -> set[str]:
        """Which commands a successful make called; each at most once."""
        log = self.folder / "calls.log"
        log.unlink(missing_ok=True)
        done = self.make(*(arguments or ("report", "DEALER=demo")), **more)
        assert done.returncode == 0, done.stderr
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        assert len(lines) == len(set(lines)), lines
        return set(lines)

    def files(self) -> dict[str, bytes]:
        return {
            str(p.relative_to(self.folder)): p.read_bytes()
            for p in self.folder.rglob("*")
            if p.is_file() and ".venv" not in p.parts
        }


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def built(project):
    assert project.calls() == EXECUTE | RENDER
    return project


# ---- nothing runs twice, and everything that should runs ---------------------------------------------------------


def test_what_it_took_is_told_when_all_else_is_done(built):
    assert (built.folder / "calls.log").read_text(encoding="utf-8").splitlines()[-1] == COST


def test_second_make_does_nothing_and_is_quick(built):
    assert built.calls() == set()
    began = time.perf_counter()
    assert built.make("report", "DEALER=demo").stdout == "reports/demo/index.html\n"
    assert time.perf_counter() - began < 1  # 0.1 s on an idle machine


def test_stages_run_in_order_of_their_edges(built):
    lines = (built.folder / "calls.log").read_text(encoding="utf-8").splitlines()
    order = [lines.index(f"demo execute {stage}") for stage in PAGES]
    assert order == sorted(order)


def test_stage_target_makes_that_page_and_what_it_needs(project):
    assert project.calls("20-customers", "DEALER=demo") == {
        "demo execute 10-audit",
        "demo execute 20-customers",
        "demo render 20-customers",
    }
    assert project.calls() == (EXECUTE | RENDER) - {
        "demo execute 10-audit",
        "demo execute 20-customers",
        "demo render 20-customers",
    }


def test_a_private_page_builds_what_it_needs_and_its_subject_stays_in_the_environment(project):
    needed = {"demo execute 10-audit", "demo execute 20-customers"}
    assert project.calls("customer", "DEALER=demo", "ID=13800138000") == needed | {"demo customer "}
    assert "ID=13800138000" in (project.folder / "env-customer.log").read_text(encoding="utf-8").splitlines()
    assert project.calls("vehicle", "DEALER=demo", "VIN=$(shell touch y)") == {"demo vehicle "}
    assert "VIN=$(shell touch y)" in (project.folder / "env-vehicle.log").read_text(encoding="utf-8").splitlines()
    assert not (project.folder / "y").exists()
    done = project.make("customer", "DEALER=demo", ID="13800138000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "build/demo/customers/P0.html\n", "")
    shown = project.make("-n", "customer", "DEALER=demo", "ID=13800138000")
    assert "13800138000" not in shown.stdout + shown.stderr
    kept = {n for n, c in project.files().items() if b"13800138000" in c and n != "env-execute.log"}
    assert kept == {"env-customer.log"}
    project.append("params/demo.yaml", "# edited\n")
    assert project.calls("customer", "DEALER=demo", "ID=1") == needed | {"demo customer "}


def test_the_fix_list_needs_the_audit_only_and_is_asked_for_each_time(project):
    assert project.calls("fixlist", "DEALER=demo") == {"demo execute 10-audit", "demo fixlist "}
    assert project.calls("fixlist", "DEALER=demo") == {"demo fixlist "}


RERUN = {
    "notebooks/10-audit.ipynb": (EXECUTE | RENDER) - {"demo dictionary "},
    "notebooks/20-customers.ipynb": {
        "demo execute 20-customers",
        "demo execute 90-summary",
        "demo render 20-customers",
        "demo render 90-summary",
        COST,
    },
    "notebooks/90-summary.ipynb": {"demo execute 90-summary", "demo render 90-summary", COST},
    "params/demo.yaml": EXECUTE | RENDER,
    "data/raw/demo/客户 资料(1).csv": EXECUTE | RENDER,
    "lib/dealerkit/base.py": (EXECUTE | RENDER) - {"demo dictionary "},
    "lib/dealerkit/audit/checks.py": (EXECUTE | RENDER) - {"demo dictionary "},
    "lib/dealerkit/value.py": {  # imported inside a function; the dictionary needs it as well
        "demo execute 20-customers",
        "demo execute 90-summary",
        "demo render 20-customers",
        "demo render 90-summary",
        "demo dictionary ",
        COST,
    },
    "lib/dealerkit/engine.py": RENDER,
    "lib/dealerkit/report/facts.py": EXECUTE | RENDER,
    "lib/dealerkit/report/page.py": RENDER,
    "lib/dealerkit/report/contents.py": RENDER,
    "lib/dealerkit/report/template/page.css": RENDER,
    "lib/dealerkit/locale/zh/LC_MESSAGES/dealerkit.po": EXECUTE | RENDER,
    "requirements.lock": EXECUTE | RENDER,
    "lib/dealerkit/chain/pages.py": RENDER,
    "lib/dealerkit/chain/execute.py": set(),
    "lib/dealerkit/__main__.py": set(),
    "lib/dealerkit/demo/__init__.py": set(),
    "lib/dealerkit/stamp.py": set(),
    "data/raw/demo/.DS_Store": set(),
    "data/raw/demo/~$客户.xlsx": set(),
}


@pytest.mark.parametrize("name", RERUN)
def test_an_edit_reruns_exactly_what_depends_on_it(built, name):
    if name.endswith(".ipynb"):
        stage = Path(name).stem
        built.write(name, notebook(*CODE[stage], "1 + 1"))
    elif (built.folder / name).exists():
        built.append(name, "\n# edited\n")
    else:
        built.write(name, "new")
    assert built.calls() == RERUN[name]
    assert built.calls() == set()


def test_a_further_notebook_runs_the_summary_and_makes_every_page_again_since_each_names_it(built):
    built.write("notebooks/30-segments.ipynb", notebook("1 + 1"))
    run = {"demo execute 30-segments", "demo render 30-segments", "demo execute 90-summary"}
    assert built.calls() == RENDER | run


def test_a_saved_notebook_with_outputs_and_a_touched_file_rerun_nothing(built):
    for stage, sources in CODE.items():
        built.write(f"notebooks/{stage}.ipynb", notebook(*sources, outputs=True))
    for path in [
        *built.folder.glob("data/raw/demo/*"),
        *built.folder.glob("params/*"),
        *built.folder.rglob("lib/**/*.py"),
    ]:
        os.utime(path)
    assert built.calls() == set()


def test_a_change_of_same_size_and_time_is_seen(built):
    raw = built.folder / "data/raw/demo/客户 资料(1).csv"
    time.sleep(0.01)
    before = raw.stat()
    raw.write_text("id,name\n1,b\n", encoding="utf-8")
    os.utime(raw, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert built.calls() == EXECUTE | RENDER


@pytest.mark.parametrize("name", ["returned/补录 表.xlsx", "a;b '$(x)'.csv", "two\nlines.csv"])
def test_new_and_removed_raw_files_rerun(built, name):
    path = built.write(f"data/raw/demo/{name}", "x")
    assert built.calls() == EXECUTE | RENDER
    assert built.calls() == set()
    path.unlink()
    assert built.calls() == EXECUTE | RENDER


@pytest.mark.parametrize("setting", [{"AS_OF": "2026-06-30"}, {"REPORT_LANG": "zh"}, {"DEALERKIT_PASSWORD": "x"}])
def test_settings_are_inputs(built, setting):
    assert built.calls("report", "DEALER=demo", **setting) == EXECUTE | RENDER
    assert built.calls("report", *(f"{k}={v}" for k, v in setting.items()), DEALER="demo", **setting) == set()
    assert built.calls() == EXECUTE | RENDER


# ---- what the kit remembers of earlier reports ---------------------------------------------------------------------


def as_of(project: Project, day: str) -> None:
    """What the audit of the stub would leave: the day of the report."""
    project.write("build/demo/10-audit/facts.json", json.dumps({"as_of": {"value": day}}))


STATE = ("snapshots/{}.json", "identity/{}.parquet", "diary/{}.parquet")


@pytest.mark.parametrize("name", STATE)
def test_only_what_is_strictly_older_makes_a_report_stale(built, name):
    as_of(built, "2026-09-30")
    for day in ("2026-09-30", "2026-10-31"):  # its own, and a later report's
        built.write(f"data/state/demo/{name.format(day)}", "x")
        assert built.calls() == set()
        built.write(f"data/state/demo/{name.format(day)}", "y")
        assert built.calls() == set()
    path = built.write(f"data/state/demo/{name.format('2026-08-31')}", "x")
    assert built.calls() == EXECUTE | RENDER
    assert built.calls() == set()
    path.write_text("y")
    assert built.calls() == EXECUTE | RENDER
    path.unlink()
    assert built.calls() == EXECUTE | RENDER
    assert built.calls() == set()


def test_decisions_of_people_make_a_report_stale(built):
    as_of(built, "2026-09-30")
    built.write("data/state/demo/decisions.csv", "verdict\n")
    assert built.calls() == EXECUTE | RENDER
    for name in ("~$decisions.csv", ".decisions.csv.swp", "identity/2026-08-31.parquet.part"):
        built.write(f"data/state/demo/{name}", "x")
        assert built.calls() == set()
    built.append("data/state/demo/decisions.csv", "same\n")
    assert built.calls() == EXECUTE | RENDER


def test_the_next_month_runs_once(built):
    """Its day is known only after the audit; what was the report's own is older then, and was read."""
    as_of(built, "2026-09-30")
    for name in STATE:
        built.write(f"data/state/demo/{name.format('2026-09-30')}", "x")
    assert built.calls() == set()
    built.write("data/raw/demo/october.csv", "id,name\n2,b\n")
    assert built.calls() == EXECUTE | RENDER
    as_of(built, "2026-10-31")
    for name in STATE:
        built.write(f"data/state/demo/{name.format('2026-10-31')}", "x")
    assert built.calls() == set()


def test_a_lost_build_with_its_state_runs_once(built):
    for name in STATE:
        built.write(f"data/state/demo/{name.format('2026-08-31')}", "x")
        built.write(f"data/state/demo/{name.format('2026-09-30')}", "x")
    shutil.rmtree(built.folder / "build/demo")
    assert built.calls() >= EXECUTE
    as_of(built, "2026-09-30")
    assert built.calls() == set()


def test_an_earlier_day_asked_for_reads_what_is_older_than_that(built):
    asked = {"AS_OF": "2026-08-31"}
    assert built.calls("report", "DEALER=demo", **asked) == EXECUTE | RENDER
    as_of(built, "2026-08-31")
    for day in ("2026-08-31", "2026-09-30"):
        built.write(f"data/state/demo/snapshots/{day}.json", "x")
    assert built.calls("report", "DEALER=demo", **asked) == set()
    built.write("data/state/demo/snapshots/2026-07-31.json", "x")
    assert built.calls("report", "DEALER=demo", **asked) == EXECUTE | RENDER


def test_a_password_is_never_written(built):
    built.calls("report", "DEALER=demo", DEALERKIT_PASSWORD="open sesame")
    assert not [
        name for name, content in built.files().items() if b"open sesame" in content and not name.startswith("env-")
    ]


def test_refresh_reads_again_each_time(built):
    assert built.calls("report", "DEALER=demo", "REFRESH=1") == EXECUTE | RENDER
    assert built.calls() == set()
    assert built.calls("report", "DEALER=demo", "REFRESH=1") == EXECUTE | RENDER


def test_a_lost_page_is_rendered_again_only(built):
    (built.folder / "reports/demo/10-audit.html").unlink()
    assert built.calls() == {"demo render 10-audit", COST}


def test_stamps_are_the_same_wherever_and_whenever_they_are_made(built, tmp_path_factory):
    other = Project(tmp_path_factory.mktemp("other"))
    other.calls()
    for name in (
        ".inputs",
        ".code/10-audit",
        ".code/20-customers",
        ".code/90-summary",
        ".code/render",
        ".code/dictionary",
    ):
        assert (built.folder / "build/demo" / name).read_bytes() == (other.folder / "build/demo" / name).read_bytes()


def test_inputs_list_every_file_with_its_checksum(built):
    inputs = json.loads((built.folder / "build/demo/.inputs").read_text(encoding="utf-8"))
    assert inputs["files"] == {
        "客户 资料(1).csv": {"size": 12, "sha256": "b7773700b1468b27c88d7122034e23bc5af7703c70bc13fd545d8e08534dcf41"}
    }
    assert (inputs["dealer"], inputs["as_of"], inputs["language"], inputs["password"], inputs["refresh"]) == (
        "demo",
        "",
        "",
        False,
        0,
    )


# ---- what a recipe may count on ----------------------------------------------------------------------------------


def test_environment_and_modes(project):
    old = os.umask(0o022)
    try:
        project.calls("report", "DEALER=demo", "AS_OF=2026-06-30", "REPORT_LANG=zh", HOME="")
    finally:
        os.umask(old)
    seen = dict(
        line.split("=", 1)
        for line in (project.folder / "env-execute.log").read_text(encoding="utf-8").splitlines()
        if "=" in line
    )
    assert {
        name: seen[name]
        for name in (
            "DEALER",
            "AS_OF",
            "REPORT_LANG",
            "PYTHONHASHSEED",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
        )
    } == {
        "DEALER": "demo",
        "AS_OF": "2026-06-30",
        "REPORT_LANG": "zh",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    cache = f"{project.folder}/build/.cache"
    for name in (
        "IPYTHONDIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "MPLCONFIGDIR",
        "XDG_CACHE_HOME",
    ):
        assert seen[name].startswith(cache)
    mode = {
        name: oct((project.folder / name).stat().st_mode & 0o777)
        for name in ("build/demo", "build/demo/10-audit.ipynb", "reports/demo", "reports/demo/index.html")
    }
    assert mode == {
        "build/demo": "0o700",
        "build/demo/10-audit.ipynb": "0o600",
        "reports/demo": "0o755",
        "reports/demo/index.html": "0o644",
    }


# ---- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a b",
        "a;touch y",
        "$(shell touch y)",
        "`touch y`",
        "$$(touch y)",
        "a\ntouch y",
        "a'b",
        'a"b',
        "%",
        "-x",
        ".",
        "",
        "x" * 65,
    ],
)
@pytest.mark.parametrize("goal", ["report", "10-audit", "verify"])
def test_names_that_are_none_are_refused_and_run_nothing(project, goal, name):
    before = set(project.files())
    for done in (project.make(goal, f"DEALER={name}"), project.make(goal, DEALER=name)):
        assert done.returncode == 2
        assert "is not a dealer's name" in done.stderr or "no dealer named" in done.stderr
        assert "Traceback" not in done.stderr
    assert {n for n in project.files() if "__pycache__" not in n} == before
    assert not (project.folder / "build").exists()


def test_unknown_dealer_is_named_with_the_known_ones(project):
    done = project.make("report", "DEALER=demp")
    assert done.returncode == 2
    assert "no dealer 'demp': params/demp.yaml is missing; nearest: 'demo'" in done.stderr
    assert "known dealers: demo" in done.stderr
    assert not (project.folder / "build").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("AS_OF=2026-02-30", "AS_OF='2026-02-30' is no date"),
        ("AS_OF=$(shell touch y)", "is no date"),
        ("AS_OF=;touch y", "is no date"),
        ("REPORT_LANG=fr", "REPORT_LANG='fr' is not a report language"),
    ],
)
def test_settings_that_are_none_are_refused(project, setting, message):
    done = project.make("report", "DEALER=demo", setting)
    assert (done.returncode, message in done.stderr) == (2, True)
    assert not (project.folder / "calls.log").exists()
    assert not (project.folder / "y").exists()


def test_an_unreadable_notebook_is_named(project):
    project.write("notebooks/20-customers.ipynb", "{ half")
    done = project.make("report", "DEALER=demo")
    assert done.returncode == 2
    assert "notebooks/20-customers.ipynb is not a notebook that can be read" in done.stderr
    assert not (project.folder / "calls.log").exists()


@pytest.mark.parametrize(("code", "shown"), [(2, "Error 2"), (1, "Error 1")])
def test_a_failing_stage_stops_what_follows_and_says_the_code(project, code, shown):
    project.write("fail-demo-20-customers", json.dumps({"stage": "20-customers", "code": code, "message": "no"}))
    done = project.make("report", "DEALER=demo")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(shown)
    assert (project.folder / "build/demo/10-audit.ipynb").exists()
    assert not (project.folder / "build/demo/20-customers.ipynb").exists()
    assert not (project.folder / "build/demo/90-summary.ipynb").exists()
    (project.folder / "fail-demo-20-customers").unlink()
    assert "demo execute 10-audit" not in project.calls()
    assert not (project.folder / "build/demo/status.json").exists()


def test_half_a_page_is_never_left(built):
    built.append("lib/dealerkit/report/page.py", "\n# edited\n")
    built.write("fail-demo-10-audit", "{}")
    assert built.make("report", "DEALER=demo").returncode == 2
    assert not (built.folder / "reports/demo/10-audit.html").exists()
    (built.folder / "fail-demo-10-audit").unlink()
    assert "demo render 10-audit" in built.calls()


# ---- one run per dealer ------------------------------------------------------------------------------------------


def test_a_dealer_that_is_being_made_is_left_alone(built):
    built.append("params/demo.yaml", "# edited\n")
    stamped = (built.folder / "build/demo/.inputs").read_bytes()
    with open(built.folder / "build/demo/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = built.make("report", "DEALER=demo")
        assert done.returncode == 2
        assert "demo is being made by another run" in done.stderr
        assert (built.folder / "build/demo/.inputs").read_bytes() == stamped
    assert built.calls() == EXECUTE | RENDER


def test_the_lock_lasts_as_long_as_the_run_and_no_longer(built):
    lock = [".venv/bin/python", "-I", "-S", "lib/dealerkit/lock.py", "demo", "--"]
    environment = built.environment()
    running = subprocess.Popen(
        [*lock, "sh", "-c", "trap '' TERM; echo up; exec sleep 60"],
        cwd=built.folder,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert running.stdout.read(3) == b"up\n"
    assert built.make("report", "DEALER=demo").returncode == 2
    os.kill(running.pid, signal.SIGKILL)  # its child does not listen, so it keeps the lock
    running.wait()
    assert built.make("report", "DEALER=demo").returncode == 2
    os.killpg(running.pid, signal.SIGKILL)
    running.stdout.read()
    assert built.make("report", "DEALER=demo").returncode == 0


def test_two_goals_of_one_dealer_share_its_lock(project):
    assert project.calls("-j4", "10-audit", "20-customers", "DEALER=demo") == {
        f"demo {what} {stage}" for what in ("execute", "render") for stage in ("10-audit", "20-customers")
    }


def test_an_environment_of_another_folder_is_not_used(project):
    (project.folder / ".venv").unlink()
    (project.folder / ".venv/bin").mkdir(parents=True)
    (project.folder / ".venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    stamp = project.write(".venv/.dealerkit-core", "1 2\nextras: \n/somewhere/else\n")
    done = project.make("report", "DEALER=demo")
    assert (done.returncode, "this folder was moved or copied" in done.stderr) == (2, True)
    assert not (project.folder / "calls.log").exists()
    stamp.write_text(f"1 2\nextras: \n{project.folder}\n", encoding="utf-8")
    assert project.calls() == EXECUTE | RENDER


# ---- all dealers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_reports_keeps_going_and_ends_with_a_table(project, jobs):
    project.dealer("东方汽车")
    project.dealer("last")
    project.write(
        "fail-demo-10-audit", json.dumps({"stage": "10-audit", "code": 2, "message": "customers.csv is empty"})
    )
    project.write("params/a b;touch y.yaml", "")
    done = project.make(jobs, "reports")
    assert done.returncode == 2
    table = [re.sub(r" {2,}", "|", re.sub(r"\d+\.\d", "s", line)) for line in done.stdout.splitlines()[-6:]]
    assert table == [
        "dealer|code|seconds|result",
        "a b;touch y|2|s|DEALER='a b;touch y' is not a dealer's name",
        "demo|2|s|10-audit: customers.csv is empty",
        "last|0|s|reports/last/index.html",
        "东方汽车|0|s|reports/东方汽车/index.html",
        "2 of 4 dealers done, 2 failed",
    ]
    assert (project.folder / "reports/东方汽车/index.html").exists()
    assert not (project.folder / "y").exists()


def test_reports_of_good_dealers_ends_well(project):
    project.dealer("second")
    done = project.make("reports")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 of 2 dealers done")
    assert project.calls("reports") == set()


# ---- the rest ----------------------------------------------------------------------------------------------------


def test_clean_never_touches_data(built):
    built.write("data/state/demo/ids.parquet", "state")
    kept = {n: c for n, c in built.files().items() if not n.startswith(("build/", "reports/"))}
    built.write("build/second/x", "")
    lists = {"reports/demo/fixlist.xlsx": "filled in", "reports/second/fixlist.xlsx": "filled in as well"}
    for name, content in lists.items():
        built.write(name, content)
    assert built.make("clean", "DEALER=demo").returncode == 0
    assert {n for n in built.files() if n.startswith(("build/", "reports/"))} == {"build/second/x", *lists}
    assert built.make("clean").returncode == 0
    assert {n: c for n, c in built.files().items() if n not in lists} == kept
    assert all((built.folder / name).read_text(encoding="utf-8") == content for name, content in lists.items())


@pytest.mark.parametrize("name", ["../data", ".", "..", "x/../../data"])
def test_clean_refuses_ways_out(built, name):
    before = built.files()
    assert built.make("clean", f"DEALER={name}").returncode == 2
    assert built.files() == before


def test_dry_run_calls_nothing(built):
    built.append("params/demo.yaml", "# edited\n")
    done = built.make("-n", "report", "DEALER=demo")
    assert done.returncode == 0
    assert "--stage 10-audit" in done.stdout
    assert built.calls() == EXECUTE | RENDER


def test_help_is_the_default_and_names_every_target(project):
    done = project.make()
    assert done.returncode == 0
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (help .*)$", makefile, re.M)[1].split()
    for target in [name for name in phony if not name.startswith("$")] + list(PAGES):
        assert re.search(rf"^  {target} +\S", done.stdout, re.M), target


def test_every_notebook_has_its_edges():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    edges = set(re.findall(r"^\$B/([0-9]{2}-[a-z]+)\.ipynb: ", makefile, re.M))
    assert {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")} <= edges


def test_imports_are_found_as_python_finds_them(monkeypatch):
    """What importing the run object really loads of the package is what the stamps take it to reach."""
    code = "import sys, dealerkit.run; print(*(name for name in sys.modules if name.startswith('dealerkit.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    spec = importlib.util.spec_from_file_location("stamp", ROOT / "lib/dealerkit/stamp.py")
    stamp = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stamp)
    monkeypatch.chdir(ROOT)
    reached = stamp.Library(stamp.Hashes("no-such-cache")).reached(["run"], ())
    assert "dealerkit.run" in loaded
    assert {name.removeprefix("dealerkit.") for name in loaded} <= reached
