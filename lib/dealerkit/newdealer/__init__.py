"""A newcomer's own data: from a folder of raw exports to `params/<dealer>.yaml` and `data/raw/<dealer>/`.

What is sure, guessed or open stands behind each line of the file written. Nothing is half written: everything is
looked at first, then files are copied under temporary names and renamed, the params last.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dealerkit import params as params_
from dealerkit import tables
from dealerkit.errors import UserError, UserErrors
from dealerkit.ingest import files as files_
from dealerkit.ingest.headers import Entry, headers_found
from dealerkit.ingest.text import TextPart, long_cells
from dealerkit.newdealer import write
from dealerkit.newdealer.match import Reading, lacking, read
from dealerkit.newdealer.sheets import Sheet, look, shown, together
from dealerkit.params import Params, nearest


@dataclass(frozen=True)
class Proposal:
    """What was found in a folder.

    Attributes:
        text: of the params file.
        readings: what each sheet is taken for.
        unread: file or sheet, and why it feeds nothing.
        files: every file of the folder, to be copied.
    """

    text: write.Text
    readings: list[Reading]
    unread: list[tuple[str, str]]
    files: list[str]


def new_dealer(root: Path, dealer: str, raw: str) -> str:
    """Copy the raw files, write the params, and return the summary to print.

    Args:
        root: the project.
        dealer: name of the new dealer.
        raw: folder with the exports; empty or ``data/raw/<dealer>`` when they are in place already.

    Raises `UserError` or `UserErrors` with everything that is wrong, before anything is written. When the params are
    there already they are left alone, and the proposal is written below ``build/``.
    """
    params_.check_dealer_name(dealer)
    target, file = root / "data/raw" / dealer, root / "params" / f"{dealer}.yaml"
    folder = _folder(root, dealer, raw)
    proposal = propose(dealer, folder)
    kept = root / "build" / dealer / "new-dealer.yaml"
    if file.exists():
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(kept, str(proposal.text))
        raise UserError(
            f"params/{dealer}.yaml is there already and was not touched; no file was copied",
            f"compare it with what would be written now, build/{dealer}/new-dealer.yaml, and take over what you want; "
            "or choose another DEALER",
        )
    copied = _copy(folder, target, proposal.files)
    file.parent.mkdir(exist_ok=True)
    _write(file, str(proposal.text))
    said = write.summary(dealer, proposal.text, proposal.readings, proposal.unread, f"params/{dealer}.yaml")
    copies = f"{copied} files copied to data/raw/{dealer}/.\n\n" if copied else ""
    return f"{copies}{said}\nRead the lines marked guessed or ? in it, then: make report DEALER={dealer}"


def propose(dealer: str, folder: Path) -> Proposal:
    """Look at every file of a folder and compose params for it, loaded once to see that they are valid.

    Raises `UserErrors` for files that cannot be read, and when no workshop visits are among them.
    """
    blank = Params(dealer=dealer, display_name={"en": dealer, "zh": dealer})
    with long_cells():
        sheets, unread, names = _sheets(blank, folder)
        readings = read(together(sheets))
        _refuse(dealer, readings, unread)
        patterns = {i: p for i, r in enumerate(readings) if (p := _pattern(r.sheet, names))}
        needed = {i: _needed(r) for i, r in enumerate(readings)}
        text = write.compose(dealer, readings, unread, patterns, needed)
        more = _checked(dealer, text, folder, readings)
        if more:
            needed = {i: needed[i] | more.get(i, {}) for i in needed}
            text = write.compose(dealer, readings, unread, patterns, needed)
            _checked(dealer, text, folder, readings)
    return Proposal(text, readings, unread, names)


def _folder(root: Path, dealer: str, raw: str) -> Path:
    """The folder of raw files."""
    target = root / "data/raw" / dealer
    if not raw.strip():
        if target.is_dir():
            return target
        raise UserError(
            "no folder named", f"make new-dealer DEALER={dealer} RAW=folder, the folder that holds the exports"
        )
    folder = Path(raw).expanduser()
    folder = folder if folder.is_absolute() else root / folder
    if folder.is_file():
        raise UserError(f"RAW={raw!r} is a file", "name the folder that holds it")
    if not folder.is_dir():
        beside = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
        raise UserError(
            f"RAW={raw!r}: there is no such folder{nearest(folder.name, beside)}",
            "name the folder that holds the exports; a path that begins with no / counts from this folder",
        )
    if folder.resolve() != target.resolve() and target.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"RAW={raw!r} holds the project itself", "put the exports into a folder of their own and name that"
        )
    return folder


# ---- looking -----------------------------------------------------------------------------------------------------


def _sheets(blank: Params, folder: Path) -> tuple[list[Sheet], list[tuple[str, str]], list[str]]:
    """The tables found, what is none with the reason, and all files of the folder."""
    seen = files_.Look()
    names = files_._listed(folder, blank, seen)
    problems, sheets, unread = list(seen.problems), [], []
    for name in names:
        if not files_._is_data(name):
            unread.append((name, files_._no_data(name)))
            continue
        try:
            parts, empty = files_._parts(folder, name, Entry("dms"))
            unread += [(f"{name} · {sheet}", "an empty sheet") for sheet in empty]
            for part in parts:
                found = look(part)
                if isinstance(found, str):
                    unread.append((f"{part.file} · {part.sheet}" if part.sheet else part.file, found))
                else:
                    sheets.append(found)
        except UserError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise UserErrors(
            f"{len(problems)} of {len(names)} files cannot be read; nothing was written",
            [f"{p.what}\n      → {p.remedy}" for p in problems],
        )
    return sheets, unread, names


def _refuse(dealer: str, readings: list[Reading], unread: list[tuple[str, str]]) -> None:
    """Stop when there are no visits: nothing can be said without them."""
    if any("service_orders" in r.tables and not r.aside for r in readings):
        return
    table = tables.TABLES["service_orders"]
    told = [f"{r.sheet}: {_told(r)}" for r in readings] + [f"{name}: {why}" for name, why in unread]
    raise UserErrors(
        f"no workshop visits ({table.zh}) among the files; nothing was written",
        told,
        "export them with "
        + ", ".join(f"{c.en} ({c.zh})" for c in table.columns if c.required)
        + ", each under a header of its own",
    )


def _told(reading: Reading) -> str:
    if reading.tables:
        return f"taken for {', '.join(reading.tables)}"
    table = tables.TABLES["service_orders"]
    matches = reading.matches.get("service_orders", {})
    missing = lacking(table, matches)
    if matches and missing:
        return (
            f"feeds nothing: as visits it has {', '.join(f'{c} ({shown(m.values.header)})' for c, m in matches.items())}, "
            f"but nothing for {', '.join(f'{table[c].en} ({table[c].zh})' for c in missing)}"
        )
    return f"feeds nothing; {headers_found([c.header for c in reading.sheet.columns], Entry('dms'))}"


def _pattern(sheet: Sheet, names: list[str]) -> str | None:
    """One pattern that names all files of the sheet and no other, for a table delivered by years."""
    files = [f for f, s in sheet.places if not s]
    if len(files) < 2 or len(files) < len(sheet.places):
        return None
    start = os.path.commonprefix(files)
    rest = [f[len(start) :] for f in files]
    end = os.path.commonprefix([r[::-1] for r in rest])[::-1]
    start = start.rstrip("0123456789")
    end = end.lstrip("0123456789")
    pattern = f"{write.escaped(start)}*{write.escaped(end)}"
    named = [n for n in names if files_._is_data(n) and fnmatchcase(_same(n), _same(pattern))]
    return pattern if len(start) > 1 and sorted(named) == sorted(files) else None


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _needed(reading: Reading) -> dict[str, object]:
    """Keys that the values of a sheet call for: order of dates, decimal mark."""
    out: dict[str, object] = {}
    columns = [m.values for matches in reading.matches.values() for m in matches.values()]
    orders = {c.date_order for c in columns if c.date_order}
    if len(orders - {"?"}) == 1:
        out["date_order"] = ((orders - {"?"}).pop(), "sure  some dates can be read in no other order")
    elif orders == {"?"}:
        out["#date_order"] = ("dmy", "?  dates as 05/06/2024: dmy or mdy")
    if any(c.decimal_comma for c in columns):
        out["decimal"] = (",", "sure  numbers are written 1.234,50")
    return out


def _checked(dealer: str, text: write.Text, folder: Path, readings: list[Reading]) -> dict[int, dict[str, object]]:
    """Load the params and look at the files with them; keys that are needed so that each is read as it was found."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"{dealer}.yaml"
        path.write_text(str(text), encoding="utf-8")
        made = params_.load(path)
    seen = files_.look_at(made, folder)
    needed: dict[int, dict[str, object]] = {}
    plans = {(p.part.file, p.part.sheet): p for p in seen.plans}
    for at, reading in enumerate(readings):
        if not reading.tables or reading.aside:
            continue
        for part in reading.sheet.parts:
            plan = plans.get((part.file, part.sheet))
            header = part.head()[reading.sheet.header_at]
            if plan is not None and [c or "" for c in plan.header.cells] == [c or "" for c in header.cells]:
                continue
            needed[at] = {"header_row": (header.number, "the line of the headers")}
            if isinstance(part, TextPart):
                needed[at]["delimiter"] = (part.delimiter, "between columns")
    if seen.problems and not needed:
        raise UserErrors(
            "these files cannot be read together; nothing was written",
            [f"{p.what}\n      → {p.remedy}" for p in seen.problems],
        )
    return needed


# ---- writing -----------------------------------------------------------------------------------------------------


def _copy(folder: Path, target: Path, names: list[str]) -> int:
    """Copy what is not there yet; returns how many files. Raises `UserErrors` when another file has the name."""
    if folder.resolve() == target.resolve():
        return 0
    other = [n for n in names if (target / n).exists() and not filecmp.cmp(folder / n, target / n, shallow=False)]
    if other:
        raise UserErrors(
            f"data/raw/{target.name}/ holds other files of the same names; nothing was copied or written",
            other,
            "take the old ones away, rename the new ones, or choose another DEALER",
        )
    new = [n for n in names if not (target / n).exists()]
    made: list[Path] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir(exist_ok=True, mode=0o700)
        for name in new:
            goal = target / name
            goal.parent.mkdir(parents=True, exist_ok=True)
            part = goal.with_name(f".{goal.name}.part")
            made.append(part)
            shutil.copyfile(folder / name, part)
        for name in new:
            goal = target / name
            goal.with_name(f".{goal.name}.part").rename(goal)
            made.append(goal)
    except OSError as error:
        _drop(made)
        raise UserError(
            f"data/raw/{target.name}/: a file cannot be copied ({error.strerror})",
            "see that the file can be read, that data/raw can be written and that its disk has room",
        ) from None
    return len(new)


def _write(path: Path, text: str) -> None:
    """Write a file at once, or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        _drop([part])
        raise UserError(
            f"{path.parent.name}/{path.name} cannot be written ({error.strerror})",
            "see that the folder can be written and its disk has room",
        ) from None


def _drop(made: list[Path]) -> None:
    """Take away what was written before it went wrong."""
    for path in made:
        with contextlib.suppress(OSError):
            path.unlink()
