"""The notebooks as they are kept: prose, one call, one look; parameters; no outputs; every text translated."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from dealerkit.report import strings

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 15


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code(cells: list[dict]) -> list[dict]:
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_notebooks_named_by_their_place_in_the_chain():
    assert {"10-audit", "20-customers", "90-summary"} <= {path.stem for path in NOTEBOOKS}
    assert all(re.fullmatch(r"[1-9]0-[a-z]+", path.stem) for path in NOTEBOOKS)


def test_parameters_cell_sets_exactly_what_the_chain_gives(path, cells):
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    values = {}
    exec(source(tagged[0]), {}, values)
    assert values == {"dealer": "demo", "as_of": None, "overrides": {}, "page": path.stem}
    assert code(cells)[0] is tagged[0]


def test_nothing_of_a_run_is_kept(path, cells):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code(cells))
    assert {key for cell in cells for key in cell["metadata"]} <= {"tags"}
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3" and "papermill" not in metadata


def test_no_cell_defines_anything_or_is_long(cells):
    for cell in code(cells):
        tree = ast.parse(source(cell))
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(tree) if isinstance(node, defined)], source(cell)
        assert len(source(cell).splitlines()) <= LONGEST_CELL, source(cell)


def test_prose_comes_before_code_and_there_is_one_title(cells):
    assert cells[0]["cell_type"] == "markdown"
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in source(cell).splitlines()]
    assert [line for line in lines if line.startswith("# ")] == [source(cells[0]).splitlines()[0]]
    assert all(cell["cell_type"] in ("code", "markdown") for cell in cells)


def test_no_cell_ends_in_a_bare_object(cells):
    """Its repr could hold an address, which differs from run to run."""
    for cell in code(cells):
        body = ast.parse(source(cell)).body
        if body and isinstance(body[-1], ast.Expr):
            assert isinstance(body[-1].value, ast.Call) and ast.unparse(body[-1].value.func).startswith("run."), body


def test_cells_have_ids_of_their_own(cells):
    ids = [cell["id"] for cell in cells]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("language", ["zh"])
def test_every_text_of_a_notebook_is_translated(path, cells, language):
    messages = strings.collect([path])
    prose = {source(cell).strip() for cell in cells if cell["cell_type"] == "markdown"}
    assert prose <= set(messages)
    assert strings.missing(language, messages) == []


@pytest.mark.parametrize("language", ["zh"])
def test_every_text_of_the_library_is_translated(language):
    messages = strings.collect([ROOT / "lib/dealerkit"])
    assert len(messages) > 100
    assert strings.missing(language, messages) == []
