"""The arithmetic of `make bench`, the cells of its floor, and that it counts every process; no time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench import floor, overheads
from bench.overheads import Measured
from helpers import ROOT, STAGES

BENCH = ROOT / "tests/bench"


def m(way: str, dealers: int, cpu: float) -> Measured:
    return Measured(way, dealers, cpu, cpu + 1, 500.0, 700.0)


MADE = [
    m("warm", 4, 58.0),
    m("floor", 1, 10.0),
    m("naive", 1, 60.0),
    m("warm", 1, 15.0),
    m("cold", 1, 35.0),
    m("floor", 4, 34.0),
    m("nothing", 1, 0.1),
]


def test_overheads_are_what_is_beyond_the_floor_of_as_many_dealers():
    found = {(line.measured.way, line.measured.dealers): line for line in overheads.lines(MADE, notebooks=5)}
    assert list(found) == [
        ("naive", 1),
        ("cold", 1),
        ("warm", 1),
        ("warm", 4),
        ("floor", 1),
        ("floor", 4),
        ("nothing", 1),
    ]
    assert {key: line.overhead for key, line in found.items()} == {
        ("naive", 1): 50,
        ("cold", 1): 25,
        ("warm", 1): 5,
        ("warm", 4): 24,
        ("floor", 1): None,
        ("floor", 4): None,
        ("nothing", 1): None,
    }
    assert found["naive", 1].of_naive == 1 and found["warm", 1].of_naive == 0.1
    assert found["warm", 4].of_naive == 24 / (4 * 50)
    # (CPU of 4 − CPU of 1) − (floor of 4 − floor of 1), for 3 further dealers of 5 notebooks
    assert found["warm", 4].further == pytest.approx(((58 - 15) - (34 - 10)) / (3 * 5))
    assert [key for key, line in found.items() if line.further is not None] == [("warm", 4)]


def test_rounds_become_their_median_and_what_was_not_measured_stays_empty():
    rounds = [m("warm", 1, cpu) for cpu in (15.0, 40.0, 14.0)]
    (line,) = overheads.lines(rounds, notebooks=5)
    assert (line.measured.cpu, line.measured.wall) == (15, 16)
    assert (line.overhead, line.of_naive, line.further) == (None, None, None)
    line = overheads.lines([*rounds, m("floor", 1, 10.0)], notebooks=5)[0]
    assert (line.overhead, line.of_naive) == (5, None)


def test_the_table_says_each_figure():
    rows = [line.split(" | ") for line in overheads.markdown(overheads.lines(MADE, 5)).splitlines() if "|" in line]
    assert len({len(row) for row in rows}) == 1 and len(rows) == 2 + len(MADE)
    assert rows[5] == ["| warm", "4", "58.0", "59.0", "500", "700", "24.0", "0.120", "1.27 |"]
    assert rows[-1] == ["| nothing", "1", "0.10", "1.1", "500", "700", "", "", " |"]


def test_the_floor_takes_the_code_cells_in_order_without_magics(tmp_path):
    made = [
        ("markdown", "# Title", []),
        ("code", 'dealer = "x"', ["parameters"]),
        ("code", "%matplotlib inline\na = 1\n", []),
        ("code", "  \n", []),
        ("code", "b = a % 2", []),
    ]
    cells = [{"cell_type": k, "source": s.splitlines(keepends=True), "metadata": {"tags": t}} for k, s, t in made]
    path = tmp_path / "10-a.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert floor.cells(path) == [('dealer = "x"', True), ("\na = 1\n", False), ("b = a % 2", False)]


@pytest.mark.parametrize("stage", STAGES)
def test_the_floor_knows_the_parameters_of_each_notebook(stage):
    found = floor.cells(ROOT / f"notebooks/{stage}.ipynb")
    assert [parameters for _, parameters in found] == [True] + [False] * (len(found) - 1)
    for number, (source, _) in enumerate(found):
        compile(source, f"{stage}, cell {number}", "exec")


def test_the_floor_gives_a_notebook_its_dealer_and_puts_what_it_saves_into_place(tmp_path, monkeypatch):
    monkeypatch.setenv("DEALERKIT_STAGE", "")
    code = ['dealer = "x"\npage = "y"', f"open({str(tmp_path)!r} + f'/.{{page}}.part/{{dealer}}', 'w').close()"]
    tags = [["parameters"], []]
    cells = [{"cell_type": "code", "source": [s], "metadata": {"tags": t}} for s, t in zip(code, tags)]
    (tmp_path / "10-a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    took = floor.run(tmp_path / "10-a.ipynb", "demo", tmp_path)
    assert [number for _, number, _ in took] == [1, 2]
    assert (tmp_path / "10-a/demo").is_file() and not (tmp_path / ".10-a.part").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux only")
def test_a_process_that_outlives_the_command_is_counted_and_a_failure_told():
    """In a process of its own, since the measuring adopts what is left behind."""
    script = """
import os, sys
from pathlib import Path
from processes import measure
here = [sys.executable, "-I", "-S", "-c"]
alone = measure([*here, "pass"], Path("."), dict(os.environ))
left = measure(["sh", "-c", '"$0" -I -S -c "len(bytes(1) * 200_000_000)" &', sys.executable], Path("."), dict(os.environ))
print(alone.largest_mb < 200 < left.largest_mb)
try:
    measure([*here, "print('why'); raise SystemExit(3)"], Path("."), dict(os.environ))
except RuntimeError as error:
    print("ended with 3" in str(error) and "why" in str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(BENCH)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "True\nTrue\n", done.stderr


def test_the_table_in_the_readme_is_that_of_a_run():
    results = [set(_lines_of(path)) for path in (BENCH / "results").glob("*.md")]
    quoted = {
        line for line in _lines_of(ROOT / "README.md") if line.startswith(tuple(f"| {way} |" for way in overheads.WAYS))
    }
    assert not quoted or any(quoted <= lines for lines in results)


def _lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_the_naive_way_runs_every_notebook_with_the_commands_people_type():
    script = Path(BENCH / "naive.sh").read_text(encoding="utf-8")
    assert "bin/papermill" in script and "bin/jupyter nbconvert --to html" in script
    assert subprocess.run(["sh", "-n", str(BENCH / "naive.sh")], check=False).returncode == 0
