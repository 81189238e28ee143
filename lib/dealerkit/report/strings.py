"""Messages of the kit and its notebooks: collected from sources, kept in the catalogues."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.report.translate import catalogue, catalogue_path, has_words

#: Functions whose first argument is a message by declaration.
MARKERS = {"_", "N_", "text"}
#: Methods and functions whose constant texts are messages, by position or by name.
SPEAKERS = {
    "say",
    "say_known",
    "headline",
    "lead",
    "figure",
    "card",
    "todo",
    "gap",
    "heading",
    "note",
    "show",
    "trust",
    "trend",
}
#: Arguments of those that hold a name or a choice.
NOT_MESSAGES = {"direction", "kind", "origin", "name", "size", "table", "fact", "x", "y"}
_NAME_LIKE = re.compile(r"[a-z0-9_.\-]*")
_TEMPLATE_CALL = re.compile(r"\b_\((\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')\)")


def collect(paths: Iterable[Path]) -> list[str]:
    """Messages of Python files, notebooks (code and markdown cells) and templates, and of the declared tables.

    Folders are searched for these kinds of file. Sorted, each once.
    `UserError` names a notebook that is not valid, or a file that is not Python.
    """
    found = set(_table_messages())
    for path in _files(paths):
        if path.suffix == ".py":
            found.update(_code_messages(path.read_text(encoding="utf-8"), path.name))
        elif path.suffix == ".ipynb":
            found.update(_notebook_messages(path))
        else:
            found.update(ast.literal_eval(m[1]) for m in _TEMPLATE_CALL.finditer(path.read_text(encoding="utf-8")))
    return sorted(found)


def merge(language: str, msgids: Iterable[str]) -> tuple[int, int]:
    """Write the catalogue of a language so that it holds these messages; (messages, those untranslated).

    Translations are kept; messages no longer met stay as obsolete entries, in case they come back. The file is
    sorted, without dates or line numbers, and left alone when nothing changed.
    """
    path = catalogue_path(language)
    template = Catalog(charset="utf-8")
    for msgid in msgids:
        template.add(msgid)
    catalog = Catalog(locale=language, charset="utf-8")
    if path.is_file():
        with path.open("rb") as stream:
            catalog = read_po(stream, locale=language)
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    for message in catalog:
        message.flags.discard("python-format")
        message.flags.discard("python-brace-format")
    body = io.BytesIO()
    write_po(body, catalog, width=0, no_location=True, omit_header=True, sort_output=True)
    head = (
        f'# Texts of the reports in another language; `make strings` adds what is new.\nmsgid ""\nmsgstr ""\n'
        f'"Language: {language}\\n"\n"MIME-Version: 1.0\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Content-Transfer-Encoding: 8bit\\n"\n\n'
    )
    text = head.encode() + body.getvalue().strip(b"\n") + b"\n"
    if not path.is_file() or path.read_bytes() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".po.part")
        temporary.write_bytes(text)
        temporary.replace(path)
    catalogue.cache_clear()
    return len(template), len(missing(language, msgids))


def missing(language: str, msgids: Iterable[str] | None = None) -> list[str]:
    """Messages without a translation: of those given, else of those in the catalogue."""
    if msgids is not None:
        known = catalogue(language)
        return sorted(m for m in msgids if m not in known)
    path = catalogue_path(language)
    if not path.is_file():
        raise UserError(f"no catalogue for {language!r}", "run `make strings`")
    with path.open("rb") as stream:
        return sorted(m.id for m in read_po(stream, locale=language) if m.id and (not m.string or m.fuzzy))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix in (".py", ".ipynb", ".j2"))
            yield from sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts))
        else:
            yield path


def _table_messages() -> Iterator[str]:
    for table in tables.TABLES.values():
        for column in table.columns:
            if column.null_means:
                yield column.null_means


def _notebook_messages(path: Path) -> Iterator[str]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError):
        raise UserError(f"{path.name} is not a notebook", "open and save it in JupyterLab, or restore it") from None
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.strip():
            yield source.strip()
        elif cell["cell_type"] == "code":
            plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
            yield from _code_messages(plain, path.name)


def _code_messages(source: str, where: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UserError(
            f"{where}: line {error.lineno} is not valid Python", "mend it; texts cannot be collected"
        ) from None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in MARKERS:
            yield from (text for arg in node.args[:1] for text in _constants(arg) if text)
        elif called == "Col":  # the heading of a column of a table
            headings = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "label")]
            yield from (text for arg in headings for text in _constants(arg) if text)
        elif called in SPEAKERS:
            texts = [t for arg in node.args for t in _constants(arg)]
            texts += [t for k in node.keywords if k.arg not in NOT_MESSAGES for t in _constants(k.value)]
            yield from (t for t in texts if not _NAME_LIKE.fullmatch(t) and has_words(t))


def _constants(node: ast.expr) -> Iterator[str]:
    """Constant texts an argument may take: itself, or either branch of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
