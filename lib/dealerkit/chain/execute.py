"""Run the notebook of a stage, and put what it made into place when it has run to its end."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from dealerkit import memory
from dealerkit import params as params_
from dealerkit.chain.ends import KitError, scrubbed, write_log
from dealerkit.chain.folders import Folders, stages
from dealerkit.chain.kernel import Manager
from dealerkit.errors import UserError
from dealerkit.warm import FOLDER


class Engine(NBClientEngine):
    """Papermill's own, but for when it writes the notebook: at its start and at its end, however that comes, and not twice
    for each cell. With all pictures made so far, that took as long as many a cell."""

    NAME = "dealerkit"

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **settings):
        """Run the cells."""
        nb_man.save = lambda **changed: None
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **settings)
        finally:
            del nb_man.save


def _refuse_bad_expressions(params: params_.Params) -> None:
    """Refuse mistakes in own checks, own and extra factors and own tags before the first stage runs, not when their stage
    comes."""
    if params.own_checks:
        from dealerkit.audit import own

        own.declared(params)
    if params.own_factors or params.extra_factors:
        from dealerkit import factors

        factors.check_own(params)
    if params.own_tags:
        from dealerkit import factors, tags

        tags.check_own(params, factors.kinds(params))


def execute(folders: Folders, stage: str) -> None:
    """Run the notebook of ``stage`` and put its tables, facts and itself into place.

    Raises `UserError` for the user's mistakes, also those met inside the notebook, and `KitError` for the rest.
    """
    began = time.monotonic()
    params = folders.params()
    if stage == stages(folders.root)[0]:
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
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is told once, in our words
    papermill_engines.register(Engine.NAME, Engine)
    os.environ.update(DEALERKIT_STAGE=stage, DEALERKIT_ROOT=str(folders.root))
    try:
        with _sockets() as sockets:
            papermill.execute_notebook(
                str(notebook),
                str(running),
                parameters=given,
                engine_name=Engine.NAME,
                kernel_name="python3",
                cwd=str(folders.root),
                progress_bar=False,
                log_output=False,
                autosave_cell_every=0,
                execution_timeout=params.cell_timeout_seconds,
                extra_arguments=["--log-level=50", "--HistoryManager.enabled=False"],
                kernel_manager_class=Manager,
                shutdown_kernel="immediate",
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
    folder = tempfile.mkdtemp(prefix="dk", dir=os.environ.get(FOLDER))
    os.environ["JUPYTER_RUNTIME_DIR"] = folder
    if ipython := os.environ.get("IPYTHONDIR"):
        os.makedirs(ipython, mode=0o700, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, folder  # what is left there goes with it
    try:
        yield folder
    finally:
        tempfile.tempdir = before
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
    """What the next reports need of this one (see `memory`); a rerun of the same day replaces its own."""
    facts: dict = {}
    for path in sorted(folders.build.glob("[0-9][0-9]-*/facts.json")):
        facts |= json.loads(path.read_text(encoding="utf-8"))
    as_of = os.environ.get("AS_OF") or facts["as_of"]["value"]
    memory.remember(folders.state, folders.build, as_of, {name: fact["value"] for name, fact in facts.items()})


def _progress(folders: Folders, stage: str, seconds: float) -> None:
    names = stages(folders.root)
    done = names.index(stage) + 1
    said = (
        f"{folders.dealer} · {stage:<14} {seconds:6.1f} s   {done}/{len(names)} stages ({100 * done // len(names)} %)"
    )
    try:
        print(said, flush=True)
    except OSError:  # nobody reads it any more, which is no reason to lose what is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explained(error: Exception, folders: Folders, stage: str, running: Path) -> Exception:
    """What went wrong in the notebook, as the error to raise; the notebook is kept as `<stage>.failed.ipynb`."""
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
    log = write_log(folders, stage, "\n".join(getattr(error, "traceback", None) or [traceback.format_exc()]))
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
