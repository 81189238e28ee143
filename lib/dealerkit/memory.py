"""What the kit remembers of a dealer from report to report: `data/state/<dealer>/`.

- `snapshots/<as_of>.json`: the facts of a report, for "since last time";
- `identity/<as_of>.parquet`: which person each customer record belonged to (`identity.stable` says what is in it);
- `diary/<as_of>.parquet`: what became of persons since the report before (`identity.diary`);
- `decisions.csv`: what people decided on pairs of records (`identity.decisions`).

A report reads what is strictly older than its day and, as its last step, replaces what is of its own day, so that making
it again gives the same. Nothing here knows what the tables mean: the stages that use them check that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit.errors import UserError

#: Folder of the state → table of the build folder that is kept there; the files are named by the day of the report.
_KEPT = {"identity": "20-customers/identity_map", "diary": "20-customers/identity_diary"}
_TEXT, _HASH, _COUNT = pa.string(), pa.uint64(), pa.int64()
#: Columns without which a table of the state is none of the kit's; the first three hold a value in every row.
_COLUMNS = {
    "identity": dict.fromkeys(("source", "customer_id", "person_id", "seen_on"), _TEXT)
    | dict.fromkeys(("id_print", "who_print", "phone_print"), _HASH),
    "diary": dict.fromkeys(("as_of", "kind", "person_id", "other_person_id", "why"), _TEXT) | {"records_count": _COUNT},
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _none(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})


@dataclass(frozen=True)
class Memory:
    """What identity remembers.

    Attributes:
        ids: source, customer_id, person_id (and what `identity.stable` adds) of the last report with a strictly earlier
            day; no rows at the first report.
        decisions: what people decided, as written: the columns of the file, and ``line``.
        as_of: the day of that report, None at the first.
        diary: entries of all reports with a strictly earlier day.
    """

    ids: pd.DataFrame = field(default_factory=lambda: _none("source", "customer_id", "person_id"))
    decisions: pd.DataFrame = field(default_factory=lambda: _none("line"))
    as_of: date | None = None
    diary: pd.DataFrame = field(default_factory=lambda: _none(*_COLUMNS["diary"]))


def recall(state: Path, as_of: date) -> Memory:
    """What the folder holds that is strictly older than ``as_of``, and the decisions.

    Raises `UserError` for a file that cannot be read or is not the kit's.
    """
    maps, diaries = (_earlier(state / folder, "parquet", as_of) for folder in ("identity", "diary"))
    made = {"decisions": _decisions(state / "decisions.csv")}
    if maps:
        made |= {"ids": _table(maps[-1], "identity"), "as_of": date.fromisoformat(maps[-1].stem)}
    if diaries:
        made["diary"] = pd.concat([_table(path, "diary") for path in diaries], ignore_index=True)
    return Memory(**made)


def last_snapshot(state: Path, as_of: date) -> dict | None:
    """``{"as_of": …, "facts": …}`` of the newest report with a strictly earlier day, or None.

    Raises `UserError` for a file that cannot be read or is not the kit's.
    """
    return next(iter(snapshots(state, as_of, 1)), None)


def snapshots(state: Path, as_of: date, most: int) -> list[dict]:
    """The newest reports with a strictly earlier day, as `last_snapshot` gives one, the oldest first.

    Raises `UserError` for a file that cannot be read or is not the kit's.
    """
    return [_snapshot(path) for path in _earlier(state / "snapshots", "json", as_of)[-most:]]


def _snapshot(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("facts"), dict) or found.get("as_of") != path.stem:
        raise _foreign(path, "it does not hold the facts of a report")
    return found


def _earlier(folder: Path, ending: str, as_of: date) -> list[Path]:
    """Files of days before ``as_of``, the oldest first."""
    found = sorted(folder.glob(f"*.{ending}"))
    return [path for path in found if _DAY.fullmatch(path.stem) and path.stem < as_of.isoformat()]


def _table(path: Path, kind: str) -> pd.DataFrame:
    needed = _COLUMNS[kind]
    try:
        with path.open("rb") as file:
            found = pq.read_table(file)
    except (OSError, pa.ArrowException):
        raise _foreign(path, "it cannot be read") from None
    there = dict(zip(found.column_names, found.schema.types, strict=True))
    if lacking := [name for name, kind_ in needed.items() if there.get(name) != kind_]:
        raise _foreign(path, f"it has no {', '.join(lacking)}")
    if gaps := [name for name in list(needed)[:3] if found[name].null_count]:
        raise _foreign(path, f"a value is missing in {', '.join(gaps)}")
    # hashes with gaps would else become floats, which cannot hold them
    frame = found.to_pandas(types_mapper={pa.uint64(): pd.UInt64Dtype()}.get)
    if kind == "identity" and frame.duplicated(["source", "customer_id"]).any():
        raise _foreign(path, "a record stands in it twice")
    return frame


def _foreign(path: Path, why: str) -> UserError:
    shown = Path("data/state", *path.parts[-3:])
    return UserError(
        f"{shown} is damaged or not the kit's: {why}",
        "put it back from your backup; or move it away: the report before it is then the last one (without any, persons "
        "get the ids of a first report)",
    )


def _decisions(path: Path) -> pd.DataFrame:
    """Rows of the file as texts, with their line; none when there is no file."""
    if not path.is_file():
        return _none("line")
    shown = Path("data/state", *path.parts[-2:])
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise UserError(f"{shown} is neither UTF-8 nor GB18030", "save it as CSV UTF-8 in Excel")
    return _rows(text, shown)


def _rows(text: str, shown: Path) -> pd.DataFrame:
    import csv  # few dealers have such a file
    import io

    head = text.split("\n", 1)[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    rows: list[dict] = []
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        for cells in lines:
            if any(cell.strip() for cell in cells):
                rows.append({"line": lines.line_num} | dict(zip(names, (cell.strip() for cell in cells), strict=False)))
    except csv.Error as error:
        raise UserError(f"{shown}, line {lines.line_num}: not CSV ({error})", "save it as CSV UTF-8 in Excel") from None
    frame = pd.DataFrame(rows, columns=["line", *dict.fromkeys(name for name in names if name)])
    return frame.fillna("")


def remember(state: Path, build: Path, as_of: str, facts: dict) -> None:
    """Write what a report leaves for the next ones: its facts, and the tables of its build folder that are kept.

    Everything is written beside its place first, and renamed when all is there, the facts last.
    """
    ready: list[Path] = []
    for folder, table in _KEPT.items():
        made = build / f"{table}.parquet"
        if made.is_file():
            part = _private(state / folder) / f"{as_of}.parquet.part"
            if folder == "diary":  # the entries of earlier days have files of their own
                pq.write_table(pq.read_table(made, filters=[("as_of", "=", as_of)]), part, compression="zstd")
            else:
                shutil.copyfile(made, part)
            ready.append(part)
    part = _private(state / "snapshots") / f"{as_of}.json.part"
    text = json.dumps({"as_of": as_of, "facts": facts}, ensure_ascii=False, sort_keys=True, indent=1)
    part.write_text(text, encoding="utf-8")
    for written in [*ready, part]:
        os.chmod(written, 0o600)
        written.replace(written.with_suffix(""))


def _private(folder: Path) -> Path:
    """The folder, made if missing, for nobody else's eyes."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for made in (folder, folder.parent):
        os.chmod(made, 0o700)
    return folder
