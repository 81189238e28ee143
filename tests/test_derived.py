"""What one row of a table is: said of every table that the pages save."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from dealerkit import importance
from dealerkit.derived import ROWS, one_row
from dealerkit.importance import views as importance_views
from dealerkit.tables import TABLES

ROOT = Path(__file__).parents[1]


def keys_returned_by(file: Path, function: str) -> set[str]:
    """Keys of the dict that a function returns."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    body = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    returned = [n.value for n in ast.walk(body) if isinstance(n, ast.Return)]
    assert len(returned) == 1 and isinstance(returned[0], ast.Dict)
    return {key.value for key in returned[0].keys}


def saved_by(notebook: Path) -> set[str]:
    """Names of the tables that a notebook saves, besides the canonical ones."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names: set[str] = set()
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        if called == "run.save":
            names.add(call.args[0].value)
        elif called == "run.save_all":
            inner = list(ast.walk(call.args[0]))
            names |= {key.value for node in inner if isinstance(node, ast.Dict) for key in node.keys}
            if any(isinstance(node, ast.Call) and ast.unparse(node.func) == "views.tables" for node in inner):
                package = re.search(r"from dealerkit\.(\w+) import .*\bviews$", text, re.MULTILINE)[1]
                names |= keys_returned_by(ROOT / f"lib/dealerkit/{package}/views.py", "tables")
    return names


def test_every_table_that_a_page_saves_says_what_one_row_is_and_no_other():
    saved = set().union(*(saved_by(path) for path in (ROOT / "notebooks").glob("*.ipynb")))
    assert {"persons", "ledger", "clusters", "screening", "churn_scores"} <= saved
    assert saved == set(ROWS)
    assert not set(ROWS) & set(TABLES)


def test_the_tables_read_from_the_code_are_those_made():
    made = importance_views.tables(importance.Study(None))
    assert keys_returned_by(ROOT / "lib/dealerkit/importance/views.py", "tables") == set(made)


@pytest.mark.parametrize("name", [*ROWS, *TABLES])
def test_it_is_said_in_both_languages(name):
    en, zh = one_row(name, "en"), one_row(name, "zh")
    assert re.match(r"[a-z]", en) and re.search(r"[\u4e00-\u9fff]", zh) and not en.endswith(".")


def test_a_table_as_delivered_and_one_of_your_own():
    assert one_row("raw_staff", "en") == "an employee, as delivered"
    assert one_row("raw_staff", "zh") == f"{TABLES['staff'].row_zh}（原始数据）"
    assert one_row("raw_mine", "en") == one_row("mine", "zh") == ""
