"""A project of its own for a test: the real Makefile, library and notebooks, with dealers made for the test."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from dealerkit.__main__ import main
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
STAGES = tuple(sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")))
PAGES = tuple("index.html" if stage == "90-summary" else f"{stage}.html" for stage in STAGES)


class Project:
    """A folder that the commands take for the project; build/, reports/, data/ and params/ are its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("Makefile", "lib", "notebooks", "requirements.lock", "requirements-dev.lock", "pyproject.toml"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        (folder / "params").mkdir()

    def shipped(self, dealer: str) -> None:
        """A dealer that ships with the project."""
        (self.folder / "data/raw").mkdir(parents=True, exist_ok=True)
        (self.folder / "data/raw" / dealer).symlink_to(ROOT / "data/raw" / dealer)
        shutil.copy(ROOT / f"params/{dealer}.yaml", self.folder / "params")

    def dealer(self, name: str, files: dict[str, str | bytes], params: str = "") -> Path:
        """A dealer with these raw files and further lines of params; returns its raw folder."""
        raw = self.folder / "data/raw" / name
        raw.mkdir(parents=True)
        for file, content in files.items():
            (raw / file).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        (self.folder / f"params/{name}.yaml").write_text(f"display_name: Test\n{params}", encoding="utf-8")
        return raw

    def environment(self, **more: str) -> dict[str, str]:
        """The caller's environment without what would steer the commands."""
        kept = re.compile(r"MAKE|MFLAGS|DEALER|AS_OF|REPORT_|REFRESH|EXTRAS|CONDA|JUPYTER|IPYTHON|PYTEST")
        return {name: value for name, value in os.environ.items() if not kept.match(name)} | more

    def _run(self, command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(**more), capture_output=True, text=True, timeout=300
        )

    def make(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        """make with these arguments; the environment counts as ready."""
        return self._run(["make", "READY=", "READY_DEV=", *arguments], more)

    def kit(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        """`python -m dealerkit` with these arguments."""
        return self._run([sys.executable, "-m", "dealerkit", *arguments], more)

    def files(self, *folders: str, ending: str = "") -> dict[str, bytes]:
        """Files of these folders by path."""
        return {
            str(p.relative_to(self.folder)): p.read_bytes()
            for folder in folders
            for p in sorted((self.folder / folder).rglob("*"))
            if p.is_file() and p.name.endswith(ending)
        }


def table(columns: str, rows: list) -> str:
    """CSV text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns.split(","))
    writer.writerows(rows)
    return out.getvalue()


CUSTOMERS = "customer_id,name,phone,gender"
VEHICLES = "vin,customer_id,series,purchased_on"
VISITS = "order_id,vin,customer_id,opened_at,settled_at,odometer_km,labour_yuan,parts_yuan,total_yuan"


def small_dealer(customers: int, visits: int = 3, equal: bool = False) -> dict[str, list]:
    """Rows of a tiny dealer by file: customers with a car each and visits up to September 2026.

    With ``equal`` every customer has the same days, amounts and model line.
    """
    rows: dict[str, list] = {"customers.csv": [], "vehicles.csv": [], "visits.csv": []}
    for i in range(customers):
        k = 0 if equal else i
        vin = f"L0XAA1B20KK{i:06d}"
        rows["customers.csv"].append([f"C{i:04d}", f"Rider Number{i:04d}", f"139{i:08d}", "m" if k % 2 else "f"])
        rows["vehicles.csv"].append([vin, f"C{i:04d}", f"Series{k % 3}", f"{2018 + k % 5}-03-01"])
        for v in range(visits):
            day = f"{2026 - v}-{9 - k % 9:02d}-{28 - k % 27:02d}"
            paid = 300 + 7 * (k % 50) + 11 * v * (0 if equal else 1)
            rows["visits.csv"].append(
                [
                    f"R{i:04d}{v}",
                    vin,
                    f"C{i:04d}",
                    f"{day} 09:00",
                    f"{day} 11:00",
                    90_000 - 9_000 * v,
                    100,
                    paid - 100,
                    paid,
                ]
            )
    return rows


def as_files(rows: dict[str, list]) -> dict[str, str]:
    """The rows of `small_dealer` as CSV files."""
    heads = {"customers.csv": CUSTOMERS, "vehicles.csv": VEHICLES, "visits.csv": VISITS}
    return {name: table(heads[name], lines) for name, lines in rows.items()}


# ---- runs of make that can be watched ----------------------------------------------------------------------------

WAYS = {"warm": "1", "cold": "0"}
OPEN_RUN = "from dealerkit.run import open_run\nrun = open_run(dealer, as_of, overrides, page)"


class Running(Project):
    """A project with one notebook and one dealer, `small`, whose runs have processes that can be told from others."""

    def __init__(self, folder: Path, *cells: str):
        super().__init__(folder)
        (folder / "notebooks").unlink()
        (folder / "notebooks").mkdir()
        parameters = 'dealer = "small"\nas_of = None\noverrides = {}\npage = "90-summary"'
        content = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        )
        content.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        content.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(content, folder / "notebooks/90-summary.ipynb")
        self.dealer("small", {"notes.txt": "none"})
        self.mark = uuid.uuid4().hex

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(TEST_MARK=self.mark, **more)

    def start(self, *arguments: str, way: str = "warm", **more: str) -> subprocess.Popen:
        """`make report` in a process group of its own, as a shell starts it."""
        return subprocess.Popen(
            ["make", "READY=", "READY_DEV=", *(arguments or ("report", "DEALER=small"))],
            cwd=self.folder,
            env=self.environment(WARM=WAYS[way], **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self, name: str = "") -> list[int]:
        """Processes that were started from here and whose command line holds the name."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and f"TEST_MARK={self.mark}".encode() in (folder / "environ").read_bytes():
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found += [int(folder.name)] if name in command else []
        return found


def until(true, seconds: float = 60):
    """What ``true`` gives, as soon as that is something; the last of it when the time is over."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


# ---- the commands in this process, without the start of a kernel ------------------------------------------------


def _fake_kernel(notebook: str, running: str, parameters: dict, cwd: str, **_settings) -> None:
    """What papermill does, cell by cell in a shell of this process."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.display_pub = CapturingDisplayPublisher()
    content = nbformat.read(notebook, as_version=4)
    try:
        for number, cell in enumerate(content.cells):
            if cell.cell_type != "code":
                continue
            given = (
                "".join(f"\n{k} = {v!r}" for k, v in parameters.items())
                if "parameters" in cell.metadata.get("tags", [])
                else ""
            )
            shell.display_pub.outputs = []
            with contextlib.redirect_stdout(io.StringIO()):
                done = shell.run_cell(cell.source + given)
            cell.outputs = [nbformat.v4.new_output("display_data", **_shown(o)) for o in shell.display_pub.outputs]
            if error := done.error_before_exec or done.error_in_exec:
                trace = traceback.format_exception(error)
                raise PapermillExecutionError(number, number, cell.source, type(error).__name__, str(error), trace)
    finally:
        nbformat.write(content, running)
        shell.display_pub = None
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()


def _shown(output: dict) -> dict:
    return {"data": output["data"], "metadata": output.get("metadata") or {}}


class InProcess:
    """The commands of a `Project`, called in this process; a notebook runs without a kernel of its own."""

    def __init__(self, project: Project, monkeypatch, capsys):
        self.project, self.capsys = project, capsys
        monkeypatch.chdir(project.folder)
        monkeypatch.setattr("papermill.execute_notebook", _fake_kernel)
        for name in ("DEALERKIT_STAGE", "DEALERKIT_ROOT", "JUPYTER_RUNTIME_DIR"):
            monkeypatch.setenv(name, "")  # the commands set them; this puts them back afterwards
        monkeypatch.setenv("IPYTHONDIR", str(project.folder / ".ipython"))  # not the user's own
        for name in ("AS_OF", "REPORT_LANG", "DEALERKIT_THREADS", "DEALERKIT_VERIFY"):
            monkeypatch.delenv(name, raising=False)

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit code and everything printed."""
        code = main(list(arguments))
        shown = self.capsys.readouterr()
        return code, shown.out + shown.err

    def execute(self, dealer: str, stage: str = "10-audit") -> tuple[int, str]:
        return self("execute", "--dealer", dealer, "--stage", stage)

    def report(self, dealer: str, stages: tuple[str, ...] = STAGES, done: tuple[str, ...] = ()) -> dict[str, str]:
        """Every page, or those of some stages, by name; each command must end with 0. Stages ``done`` already are only
        rendered."""
        stamps = [".venv/bin/python", "-I", "-S", "lib/dealerkit/lock.py", dealer, "--", "true"]
        asked = {"AS_OF": os.environ["AS_OF"]} if "AS_OF" in os.environ else {}
        subprocess.run(stamps, cwd=self.project.folder, env=self.project.environment(**asked), check=True)
        for stage in stages:
            assert stage in done or (ended := self.execute(dealer, stage))[0] == 0, ended[1]
        for stage in stages:
            assert (ended := self("render", "--dealer", dealer, "--stage", stage))[0] == 0, ended[1]
        return {p.name: p.read_text(encoding="utf-8") for p in (self.project.folder / "reports" / dealer).iterdir()}


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """The folder on a file system of its own of this size (``400k``); skips the test where mounting is not allowed."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs rights that this user does not have")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
