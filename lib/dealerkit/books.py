"""Workbooks as sealed files: locked with the password, opened again, and their cells as somebody typed them.

The password is in the environment only (`DEALERKIT_PASSWORD`): never in params, arguments, logs or messages. What is
in a sealed workbook is in memory when it is not locked, and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import python_calamine

from dealerkit.errors import UserError

#: The environment variable with the password.
PASSWORD = "DEALERKIT_PASSWORD"
#: What a password must have, for messages.
STRONG = (
    "12 to 255 characters, of two kinds (small letters, capitals, digits, signs, Chinese characters) or 20 in number, and not what "
    "everybody tries first (123456, password, a name of the kit)"
)

_OLE, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"
_KINDS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[ -/:-@\[-`{-~]", r"[^ -~]")
_TRIED_FIRST = re.compile(
    r"pass ?w(or|0r)d|dealer ?kit|admin|welcome|letmein|iloveyou|qwert[yz]?|asdf|zxcv|mima|密码", re.I
)
_COPY = "copy it again from where it came, whole, or open it in Excel and save it again"
#: Name of the hidden sheet with what cells offer to choose from.
LISTS = "lists"
#: A sheet with more cells, or a file with more bytes unpacked, is no list that people filled in.
_MOST_CELLS, _MOST_BYTES = 5_000_000, 100_000_000
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")


def as_text(value: Any) -> str | None:
    """A cell's value as a person would see it; nothing for an empty cell."""
    kind = type(value)
    if kind is str:
        return value or None
    if kind is float:
        return _number(value)
    if kind is dt.datetime:
        text = value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
        return text.removesuffix(" 00:00:00")
    if value is None:
        return None
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    return str(value)


def _number(value: float) -> str | None:
    if value != value:
        return None
    if value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    # Excel keeps and shows 15 digits; more would turn 0.3 into 0.30000000000000004.
    return format(value, ".15g")


# ---- locked and opened -------------------------------------------------------------------------------------------


def password() -> str:
    """The password of the environment; `UserError` when there is none or one that is soon guessed."""
    given = os.environ.get(PASSWORD, "")
    if not given:
        raise UserError(
            f"{PASSWORD} is not set: a workbook with names and phones is only written encrypted",
            f"set it in the environment, with a password of {STRONG}; not in params, nor behind make",
        )
    if _is_weak(given):
        raise UserError(f"the password in {PASSWORD} is too weak, or cannot be typed", f"it needs {STRONG}")
    return given


def _is_weak(given: str) -> bool:
    kinds = sum(bool(re.search(kind, given)) for kind in _KINDS)
    left = _TRIED_FIRST.sub("", given)
    # Letters that repeat the one before, or follow on it (aaaa, 1234), are guessed with it.
    told = [c for before, c in zip(" " + left, left) if abs(ord(c) - ord(before)) > 1]
    typed = given.isprintable() and len(given) <= 255
    return not typed or len(given) < 12 or (kinds < 2 and len(given) < 20) or len(told) < 8 or len(set(told)) < 6


def sealed(plain: bytes, secret: str) -> bytes:
    """The workbook encrypted as Excel does it (AES-256, with a fresh salt)."""
    from msoffcrypto.format.ooxml import OOXMLFile  # brings all of cryptography along, for few

    out = io.BytesIO()
    OOXMLFile(io.BytesIO(plain)).encrypt(secret, out)
    return out.getvalue()


def opened(content: bytes, name: str) -> bytes:
    """The workbook without its lock, which the password of the environment opens.

    Args:
        content: of a file.
        name: what the file is called in messages.

    Raises `UserError` when it is no workbook or damaged, when there is no password, and when it is the wrong one.
    """
    if content.startswith(_ZIP):
        return content
    if not content.startswith(_OLE):
        raise UserError(f"{name}: no workbook, or only a part of one", _COPY)
    import msoffcrypto
    from msoffcrypto.exceptions import InvalidKeyError
    from msoffcrypto.format.ooxml import OOXMLFile

    try:
        book = msoffcrypto.OfficeFile(io.BytesIO(content))
        if not book.is_encrypted():
            return content
    except Exception:  # a damaged file makes the parser fail in any of its own ways
        raise _damaged(name) from None
    if not (given := os.environ.get(PASSWORD)):
        raise UserError(
            f"{name}: locked with a password, and {PASSWORD} is not set",
            f"set {PASSWORD} in the environment to the password that it was written with",
        )
    # Old formats ask the password of themselves and know no seal.
    modern = isinstance(book, OOXMLFile)
    try:
        book.load_key(password=given, **({"verify_password": True} if modern else {}))
    except InvalidKeyError:
        raise UserError(
            f"{name}: the password in {PASSWORD} does not open it",
            f"set {PASSWORD} to the password that it was written with, or move the file away",
        ) from None
    except Exception:  # as above
        raise _damaged(name) from None
    out = io.BytesIO()
    try:
        book.decrypt(out, **({"verify_integrity": True} if modern else {}))
    except Exception:  # as above; the password was right
        raise _damaged(name) from None
    return out.getvalue()


def _damaged(name: str) -> UserError:
    return UserError(f"{name}: a workbook that cannot be read to its end (half copied, or damaged)", _COPY)


# ---- what is in it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """The cells of a sheet.

    Attributes:
        name: of the sheet.
        rows: number of each row as Excel shows it, and its values from column A on.
        formulas: (row number, column from 0) of the cells that hold a formula, where the format tells.
    """

    name: str
    rows: list[tuple[int, list]]
    formulas: frozenset[tuple[int, int]] = frozenset()


def grids(plain: bytes, name: str) -> list[Grid]:
    """The sheets of an open workbook; `UserError` when it cannot be read or holds far too much."""
    try:
        formulas = _formulas(plain, name)
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(plain))
        return [
            Grid(
                meta.name,
                list(enumerate(book.get_sheet_by_name(meta.name).to_python(skip_empty_area=False), start=1)),
                formulas.get(meta.name, frozenset()),
            )
            for meta in book.sheets_metadata
            if meta.typ == python_calamine.SheetTypeEnum.WorkSheet
        ]
    except UserError:
        raise
    except Exception:  # as above
        raise _damaged(name) from None


def texts(row: Iterable) -> list[str | None]:
    """The values of a row as texts, without empty ones at its end."""
    out = [as_text(value) for value in row]
    while out and out[-1] is None:
        out.pop()
    return out


def digest(sheets: Iterable[Grid]) -> str:
    """SHA-256 of everything that stands in the sheets, whoever saved them: values as texts, and where they stand."""
    said = [[grid.name, [[number, row] for number, cells in grid.rows if (row := texts(cells))]] for grid in sheets]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def properties(plain: bytes) -> dict[str, str]:
    """The workbook's own hidden properties; none where the format has no such thing."""
    tree = _part(plain, "docProps/custom.xml")
    return {} if tree is None else {p.get("name", ""): "".join(p.itertext()) for p in tree}


def _part(plain: bytes, path: str) -> ElementTree.Element | None:
    """A part of the workbook as a tree, None where there is none."""
    if not plain.startswith(_ZIP):
        return None
    with zipfile.ZipFile(io.BytesIO(plain)) as file:
        if path not in file.namelist():
            return None
        return ElementTree.fromstring(file.read(path))


def _formulas(plain: bytes, name: str) -> dict[str, frozenset[tuple[int, int]]]:
    """Sheet → cells with a formula; what the reader of cells gives for them is only what they last showed.

    Raises `UserError` for a file too large to be a list, and for cells so far out that the reader, which takes room for
    all cells between, would end the program.
    """
    if not plain.startswith(_ZIP):
        return {}
    with zipfile.ZipFile(io.BytesIO(plain)) as file:
        if sum(part.file_size for part in file.infolist()) > _MOST_BYTES:
            raise UserError(f"{name}: far too large for a list that people filled in", _COPY)
    book, links = _part(plain, "xl/workbook.xml"), _part(plain, "xl/_rels/workbook.xml.rels")
    if book is None or links is None:
        return {}
    target = {link.get("Id"): link.get("Target", "").removeprefix("/xl/") for link in links}
    found = {}
    for sheet in book.iterfind(".//{*}sheets/{*}sheet"):
        title = sheet.get("name", "")
        link = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), None)
        tree = _part(plain, f"xl/{target.get(link, '')}")
        cells = [] if tree is None else [c for c in tree.iterfind(".//{*}c") if _CELL.fullmatch(c.get("r", ""))]
        places = [_place(cell.get("r")) for cell in cells]
        rows, columns = (max((place[i] for place in places), default=0) for i in (0, 1))
        if rows * (columns + 1) > _MOST_CELLS:
            raise UserError(
                f"{name}, sheet {title!r}: cells far beyond the list (row {rows}, column {columns + 1})",
                "delete what stands outside of the list, or copy the answers into the list as it was sent",
            )
        found[title] = frozenset(p for p, cell in zip(places, cells) if cell.find("{*}f") is not None)
    return found


def _place(cell: str) -> tuple[int, int]:
    """Row number and column (from 0) of a cell's name.

    >>> _place("B3")
    (3, 1)
    """
    letters, number = _CELL.fullmatch(cell).groups()
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - 64
    return int(number), column - 1
