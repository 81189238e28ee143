"""Execute one notebook, render one page: what a recipe of the Makefile calls.

Nothing half-done is ever seen: a stage writes below `build/<dealer>/.<stage>.part/` and is renamed into place when
its notebook has run to the end; the executed notebook comes last, since make takes it as the sign that the stage is
done. A failed stage leaves its notebook as `<stage>.failed.ipynb`, its log, and `status.json` with the exit code.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dealerkit import params as params_
from dealerkit.errors import UserError
from dealerkit.messages import N_

#: Pages in the order of the navigation; the number is the order of the chain. A page is there when its notebook is.
PAGES = {
    "90-summary": N_("Summary"),
    "10-audit": N_("Data quality"),
    "20-customers": N_("Customers"),
    "30-segments": N_("Segments"),
    "40-importance": N_("What matters"),
    "50-lifecycle": N_("Life cycle and churn"),
    "60-tradein": N_("Trade-in and leads"),
    "70-actions": N_("Actions"),
}
DICTIONARY = ("dictionary.html", N_("Data dictionary"))
LOGS_KEPT = 10


class KitError(Exception):
    """A failure of the kit, told in a few lines; exit code 1."""

    exit_code = 1


@dataclass(frozen=True)
class Folders:
    """Where everything of a dealer is."""

    root: Path
    dealer: str

    @property
    def build(self) -> Path:
        return self.root / "build" / self.dealer

    @property
    def raw(self) -> Path:
        return self.root / "data/raw" / self.dealer

    @property
    def reports(self) -> Path:
        return self.root / "reports" / self.dealer

    @property
    def snapshots(self) -> Path:
        return self.root / "data/state" / self.dealer / "snapshots"

    def page(self, stage: str) -> Path:
        return self.reports / page_name(stage)

    def params(self) -> params_.Params:
        return params_.load(self.root / "params" / f"{self.dealer}.yaml")


def page_name(stage: str) -> str:
    """File name of the page of a stage."""
    return "index.html" if stage == "90-summary" else f"{stage}.html"


def stages(root: Path) -> list[str]:
    """Stages that have a notebook, in the order of the chain."""
    return sorted(p.stem for p in (root / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def guarded(folders: Folders, stage: str, work) -> int:
    """Run ``work`` and turn what goes wrong into words, an exit code and `status.json`."""
    try:
        work()
        return 0
    except UserError as error:
        code, message = error.exit_code, str(error)
    except OSError as error:
        told = _told(error, folders)
        code, message = (2, told) if told else (1, _unexpected(folders, stage))
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        message = str(error) if hasattr(error, "exit_code") else _unexpected(folders, stage)
    print(f"{folders.dealer} · {stage}: {message}", file=sys.stderr, flush=True)
    try:
        folders.build.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folders.build / "status.json").write_text(
            json.dumps({"stage": stage, "code": code, "message": message}, ensure_ascii=False), encoding="utf-8"
        )
    except OSError:
        pass  # a full disk or a folder without permission cannot hold the status either; the message is out
    return code


def _told(error: OSError, folders: Folders) -> str | None:
    where = _relative(error.filename, folders.root) if error.filename else "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full while writing {where}\n  → free some space and run the same command again; nothing half-written is left in place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission for {where}\n  → give yourself the right to write there (chmod u+w), or run as the owner of the folder"
    return None


def _relative(name: str | bytes, root: Path) -> str:
    text = os.fsdecode(name)
    return os.path.relpath(text, root) if os.path.isabs(text) else text


def _unexpected(folders: Folders, stage: str) -> str:
    """Last lines of an unexpected error, and where all of it is; values that look personal are masked."""
    log = _write_log(folders, stage, traceback.format_exc())
    kind, _value, trail = sys.exc_info()
    last = traceback.extract_tb(trail)[-1]
    return f"a failure of the kit: {kind.__name__} in {Path(last.filename).name}, line {last.lineno}\n  the full log is in {log}"


_PRIVATE = re.compile(
    r"\d(?:[\d -]{5,}\d)|(?<![A-Za-z0-9])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![A-Za-z0-9])|[^\s@]+@[^\s@]+\.\w+|[\u4e00-\u9fff][A-Z][·\s]?[A-Z0-9]{5,6}"
)
#: The last line of a traceback: what it says of values is not ours, and may quote them.
_SAID = re.compile(
    r"(?m)^((?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt)):.*(?:\n(?!\s*(?:File|Cell|Traceback|--)).*)*"
)


def scrubbed(text: str) -> str:
    """The text without terminal colours, without what exceptions say beyond their kind, and with long digits, VINs,
    plates and e-mail addresses taken out."""
    return _PRIVATE.sub("***", _SAID.sub(r"\1: …", re.sub(r"\x1b\[[0-9;]*m", "", text)))


def _write_log(folders: Folders, stage: str, text: str) -> str:
    folder = folders.build / "log"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    numbers = sorted(int(m[1]) for p in folder.iterdir() if (m := re.match(r"(\d+)-", p.name)))
    path = folder / f"{(numbers[-1] if numbers else 0) + 1:04d}-{stage}.log"
    path.write_text(scrubbed(text), encoding="utf-8")
    for old in sorted(folder.glob("[0-9]*-*.log"))[:-LOGS_KEPT]:
        old.unlink()
    return str(path.relative_to(folders.root))


# ---- execute ---------------------------------------------------------------------------------------------------


def _refuse_bad_expressions(params: params_.Params) -> None:
    """Refuse mistakes in own checks and own factors before the first stage runs, not when their stage comes."""
    if params.own_checks:
        from dealerkit.audit import own

        own.declared(params)
    if params.own_factors:
        from dealerkit import factors

        factors.check_own(params)


def execute(folders: Folders, stage: str) -> None:
    """Run the notebook of ``stage`` and put its tables, facts and itself into place.

    Raises `UserError` for the user's mistakes, also those met inside the notebook, and `KitError` for the rest.
    """
    import papermill
    from traitlets.config import Config

    began = time.monotonic()
    params = folders.params()
    _refuse_bad_expressions(params)
    notebook = folders.root / "notebooks" / f"{stage}.ipynb"
    if not notebook.is_file():
        raise UserError(f"no notebook {stage}", f"there are {', '.join(stages(folders.root))}")
    given = {"dealer": folders.dealer, "as_of": os.environ.get("AS_OF") or None, "page": stage}
    known = papermill.inspect_notebook(str(notebook))
    if missing := sorted(set(given) - set(known)):
        raise UserError(
            f"notebooks/{stage}.ipynb has no parameter {', '.join(missing)}",
            "its cell tagged 'parameters' must set dealer, as_of, overrides and page",
        )
    part, target, running = (
        folders.build / f".{stage}.part",
        folders.build / stage,
        folders.build / f".{stage}.part.ipynb",
    )
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    os.environ.update(DEALERKIT_STAGE=stage, DEALERKIT_ROOT=str(folders.root))
    try:
        with _sockets() as sockets:
            papermill.execute_notebook(
                str(notebook),
                str(running),
                parameters=given,
                kernel_name="python3",
                cwd=str(folders.root),
                progress_bar=False,
                log_output=False,
                autosave_cell_every=0,
                execution_timeout=params.cell_timeout_seconds,
                extra_arguments=["--log-level=50"],
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
            )
    except Exception as error:
        raise _explained(error, folders, stage, running) from None
    finally:
        shutil.rmtree(part / "spill", ignore_errors=True)
    _publish(part, target)
    if stage == "90-summary":
        _remember(folders)
    # Last, since make takes the notebook as the sign that the stage is done.
    running.replace(folders.build / f"{stage}.ipynb")
    (folders.build / f"{stage}.failed.ipynb").unlink(missing_ok=True)
    _progress(folders, stage, time.monotonic() - began)


@contextmanager
def _sockets() -> Iterator[str]:
    """A private folder with a short path for the kernel's sockets: their paths may have about 100 characters."""
    folder = tempfile.mkdtemp(prefix="dk")
    os.environ["JUPYTER_RUNTIME_DIR"] = folder
    if ipython := os.environ.get("IPYTHONDIR"):
        os.makedirs(ipython, mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(part: Path, target: Path) -> None:
    """The stage's folder, renamed into place."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _remember(folders: Folders) -> None:
    """One snapshot of the facts per as_of, for "since last time"; a rerun of the same day replaces its own."""
    facts: dict = {}
    for path in sorted(folders.build.glob("[0-9][0-9]-*/facts.json")):
        facts |= json.loads(path.read_text(encoding="utf-8"))
    os.makedirs(folders.snapshots, mode=0o700, exist_ok=True)
    os.chmod(folders.snapshots.parent, 0o700)
    as_of = os.environ.get("AS_OF") or facts["as_of"]["value"]
    path = folders.snapshots / f"{as_of}.json"
    text = json.dumps(
        {"as_of": as_of, "facts": {n: f["value"] for n, f in facts.items()}},
        ensure_ascii=False,
        sort_keys=True,
        indent=1,
    )
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _progress(folders: Folders, stage: str, seconds: float) -> None:
    names = stages(folders.root)
    done = names.index(stage) + 1
    print(
        f"{folders.dealer} · {stage:<14} {seconds:6.1f} s   {done}/{len(names)} stages ({100 * done // len(names)} %)",
        flush=True,
    )


def _explained(error: Exception, folders: Folders, stage: str, running: Path) -> Exception:
    """What went wrong in the notebook, as the error to raise; the notebook is kept as `<stage>.failed.ipynb`."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    failed = folders.build / f"{stage}.failed.ipynb"
    if running.exists():
        running.replace(failed)
    if isinstance(error, UserError):
        return error
    kind, value = getattr(error, "ename", type(error).__name__), str(getattr(error, "evalue", error))
    if isinstance(error, PapermillExecutionError) and kind in ("UserError", "UserErrors"):
        what, _, remedy = value.partition("\n  → ")
        return UserError(what, remedy)
    if "No space left" in value or isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return UserError(
            f"the disk is full (notebooks/{stage}.ipynb)",
            "free some space and run the same command again; nothing half-written is left in place",
        )
    if kind == "PermissionError":
        return UserError(
            f"no permission to write below build/{folders.dealer}", "give yourself the right to write there (chmod u+w)"
        )
    log = _write_log(folders, stage, "\n".join(getattr(error, "traceback", None) or [traceback.format_exc()]))
    if isinstance(error, CellTimeoutError):
        return UserError(
            f"notebooks/{stage}.ipynb: a cell ran longer than cell_timeout_seconds ({folders.params().cell_timeout_seconds} s)",
            f"raise it in params/{folders.dealer}.yaml; the log is in {log}",
        )
    cell = getattr(error, "exec_count", None)
    why = (
        "the kernel died (out of memory, or killed)"
        if isinstance(error, DeadKernelError)
        else f"{kind} (what it says may hold personal values; it is in the notebook below)"
    )
    return KitError(
        "\n  ".join(
            [
                f"notebooks/{stage}.ipynb failed" + (f" in cell {cell}" if cell else ""),
                f"cause: {why}",
                f"cell: {_source_line(error)}",
                f"full log: {log}",
                f"open it: make lab, then ../build/{folders.dealer}/{failed.name}" + (f", cell {cell}" if cell else ""),
            ]
        )
    )


def _source_line(error: Exception) -> str:
    lines = [line for line in str(getattr(error, "source", "")).splitlines() if line.strip()]
    return scrubbed(lines[0])[:120] if lines else "(not known)"


# ---- render ----------------------------------------------------------------------------------------------------


def render(folders: Folders, stage: str) -> None:
    """Render the executed notebook of ``stage`` to its page."""
    from dealerkit.report import page

    params = folders.params()
    folders.reports.mkdir(parents=True, exist_ok=True)
    page.render(
        folders.build / f"{stage}.ipynb",
        folders.page(stage),
        _context(folders, params, page_name(stage), (*_up_to(folders.root, stage), "render")),
        _known(folders, params),
    )


def _up_to(root: Path, stage: str) -> list[str]:
    """The stages whose code a page rests on: its own and those before it."""
    return [name for name in stages(root) if name <= stage]


def dictionary(folders: Folders) -> None:
    """Write the data dictionary page."""
    from dealerkit import factors
    from dealerkit.report.dictionary import dictionary_page
    from dealerkit.report.fragments import Col
    from dealerkit.report.translate import Translator

    params = folders.params()
    t = Translator(params_.environment_language(params))
    frame = factors.dictionary(params, t)
    frame.loc[frame["own"], "class"] += f" · {t.text(N_('own'))}"
    columns = [
        Col("factor", t.text("Factor")),
        Col("label", t.text("Meaning")),
        Col("class", t.text("Class")),
        Col("formula", t.text("Formula")),
    ]
    extra = [
        (t.text("Factors of persons"), frame[frame["table"] == "person_factors"], columns),
        (t.text("Factors of cars"), frame[frame["table"] == "car_factors"], columns),
    ]
    folders.reports.mkdir(parents=True, exist_ok=True)
    dictionary_page(folders.reports / DICTIONARY[0], _context(folders, params, DICTIONARY[0], ("dictionary",)), extra)


def _context(folders: Folders, params: params_.Params, current: str, stamps: tuple[str, ...]):
    from dealerkit.report.page import PageContext, provenance
    from dealerkit.report.translate import Translator

    t = Translator(params_.environment_language(params))
    inputs = json.loads((folders.build / ".inputs").read_text(encoding="utf-8"))
    facts_path = folders.build / "10-audit/facts.json"
    facts = (
        json.loads(facts_path.read_text(encoding="utf-8")) if facts_path.exists() and current != DICTIONARY[0] else {}
    )
    as_of = date.fromisoformat(os.environ.get("AS_OF") or facts["as_of"]["value"]) if facts else None
    there = stages(folders.root)
    pages = [(page_name(stage), t.text(label)) for stage, label in PAGES.items() if stage in there]
    earlier = sorted(p.stem for p in folders.snapshots.glob("*.json") if as_of and p.stem < as_of.isoformat())
    logo, mime = _logo(folders, params)
    made = provenance(
        inputs={name: f["sha256"] for name, f in inputs["files"].items()},
        params=inputs["params"],
        code=_code(folders, stamps),
        lock=_digest(folders.root / "requirements.lock"),
        as_of=t.say("{day:day}", day=as_of) if as_of else "",
        state=t.say("report as of {day:text}", day=earlier[-1]) if earlier else "",
    )
    return PageContext(
        language=t.language,
        dealer=getattr(params.display_name, t.language),
        as_of=as_of,
        invented=params.invented,
        logo=logo,
        logo_mime=mime,
        pages=(*pages, (DICTIONARY[0], t.text(DICTIONARY[1]))),
        current=current,
        provenance=made,
    )


def _code(folders: Folders, stamps: tuple[str, ...]) -> str:
    """Digest over the content stamps of what made a page: the code, not the commit."""
    import hashlib

    return hashlib.sha256(b"\n".join((folders.build / ".code" / name).read_bytes() for name in stamps)).hexdigest()


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _logo(folders: Folders, params: params_.Params) -> tuple[bytes | None, str]:
    if not params.logo:
        return None, ""
    path = (folders.raw / params.logo).resolve()
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    if not path.is_relative_to(folders.raw.resolve()) or path.suffix.lower() not in kinds or not path.is_file():
        raise UserError(
            f"logo {params.logo!r} is no PNG or SVG file in data/raw/{folders.dealer}",
            "name a file inside that folder, or leave the key out",
        )
    if path.stat().st_size > 100_000:
        raise UserError(f"logo {params.logo!r} has {path.stat().st_size:,} bytes", "use one under 100 KB")
    return path.read_bytes(), kinds[path.suffix.lower()]


def _known(folders: Folders, params: params_.Params):
    """Look-up of the leak gate: which tokens are real phones, IDs, plates, VINs or e-mails of this dealer."""
    import ibis

    from dealerkit import engine

    path = folders.build / "10-audit/personal_values.parquet"
    if not path.exists():
        return None

    def known(tokens: set[str]) -> set[str]:
        if not tokens:
            return set()
        connection = engine.connect(params.engine)
        try:
            asked = ibis.memtable({"value": sorted(tokens)})
            return set(
                connection.read_parquet(path).semi_join(asked, "value").select("value").distinct().to_pandas()["value"]
            )
        finally:
            connection.disconnect()

    return known
