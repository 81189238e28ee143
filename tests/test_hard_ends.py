"""Ends that nobody asked for: what is killed, runs out of time or room, or is started twice.

After each: a clear message, an exit code that is not 0, no process left, nothing that looks finished, and the next
`make report` completes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import nbformat
import pytest
from helpers import Project
from nbformat import v4

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

WAYS = {"warm": "1", "cold": "0"}
SLEEP = 'import time\nPath("asleep").write_text(str(os.getpid()))\ntime.sleep(120)'
CELLS = (
    "from dealerkit.run import open_run\nrun = open_run(dealer, as_of, overrides, page)",
    'run.fact("as_of", "2026-09-30")\nrun.headline("All is well")',
    'import os\nfrom pathlib import Path\nif Path("trouble").exists():\n    exec(Path("trouble").read_text())',
)


class Running(Project):
    """A project whose one notebook does what the file `trouble` says, and whose processes can be told."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        (folder / "notebooks").unlink()
        (folder / "notebooks").mkdir()
        parameters = 'dealer = "small"\nas_of = None\noverrides = {}\npage = "90-summary"'
        content = v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        )
        content.cells = [v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        content.cells += [v4.new_code_cell(cell) for cell in CELLS]
        nbformat.write(content, folder / "notebooks/90-summary.ipynb")
        self.dealer("small", {"notes.txt": "none"})
        self.mark = uuid.uuid4().hex

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(TEST_MARK=self.mark, **more)

    def trouble(self, code: str) -> None:
        (self.folder / "trouble").write_text(code, encoding="utf-8")

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

    def asleep(self) -> int:
        """Process id of the kernel, once its cell sleeps."""
        return int(until(lambda: (self.folder / "asleep").exists() and (self.folder / "asleep").read_text()))

    def ended(self, running: subprocess.Popen) -> str:
        """What a run that must not succeed printed; all that has to hold afterwards holds."""
        said = running.communicate(timeout=60)[0]
        assert running.returncode != 0, said
        assert "Traceback" not in said
        assert until(lambda: not self.processes()), self.processes()
        assert not (self.folder / "build/small/90-summary.ipynb").exists()
        assert not (self.folder / "build/small/90-summary").exists()
        assert not (self.folder / "reports/small/index.html").exists()
        return said

    def completes(self, way: str = "warm") -> None:
        """The next run, without the trouble, makes the page and leaves nothing behind."""
        (self.folder / "trouble").unlink(missing_ok=True)
        running = self.start(way=way)
        said = running.communicate(timeout=120)[0]
        assert running.returncode == 0, said
        assert (self.folder / "reports/small/index.html").exists()
        left = [p.name for p in (self.folder / "build/small").iterdir() if ".part" in p.name or "failed" in p.name]
        assert not left and not self.processes()


def until(true, seconds: float = 60):
    """What ``true`` gives, as soon as that is something; the last of it when the time is over."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


@pytest.fixture
def project(tmp_path):
    running = Running(tmp_path)
    yield running
    for process in running.processes():
        os.kill(process, signal.SIGKILL)


def status(project: Running) -> dict:
    return json.loads((project.folder / "build/small/status.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_that_is_killed_in_a_cell(project, way):
    project.trouble(SLEEP)
    running = project.start(way=way)
    os.kill(project.asleep(), signal.SIGKILL)
    said = project.ended(running)
    assert "the kernel died (out of memory, or killed)" in said
    assert "full log: build/small/log/0001-90-summary.log" in said
    assert status(project)["code"] == 1
    project.completes(way)


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_leaves(project, way):
    project.trouble("os._exit(0)")
    said = project.ended(project.start(way=way))
    assert "the kernel died" in said and "make: ***" in said
    project.completes(way)


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_takes_too_long(project, way):
    with open(project.folder / "params/small.yaml", "a", encoding="utf-8") as file:
        file.write("cell_timeout_seconds: 5\n")
    project.trouble(SLEEP)
    said = project.ended(project.start(way=way))
    assert "a cell ran longer than cell_timeout_seconds (5 s)\n  → raise it in params/small.yaml" in said
    assert status(project)["code"] == 2
    project.completes(way)


def test_the_parent_is_killed(project):
    project.trouble(SLEEP)
    running = project.start()
    project.asleep()
    [parent] = [p for p in project.processes("dealerkit.chain.parent") if os.getpgid(p) == running.pid]
    os.kill(parent, signal.SIGKILL)
    said = project.ended(running)
    assert "the process that runs the notebooks was killed (out of memory?)\n  → run the same command again" in said
    project.completes()


@pytest.mark.parametrize("name", ["lock.py small", "make READY= READY_DEV="])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_around_it_is_killed(project, way, name):
    project.trouble(SLEEP)
    running = project.start(way=way)
    project.asleep()
    os.kill(min(project.processes(name)), signal.SIGKILL)
    project.ended(running)
    project.completes(way)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", WAYS)
def test_make_is_interrupted(project, way, number):
    project.trouble(SLEEP)
    running = project.start(way=way)
    project.asleep()
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # Ctrl-C reaches everything in the foreground
    else:
        os.kill(running.pid, number)
    said = project.ended(running)
    assert "small: interrupted\n  → run the same command again" in said
    project.completes(way)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk(project, way):
    build = project.folder / "build"
    build.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", build], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a file system of its own here")
    try:
        project.trouble('run.save("much", __import__("pandas").DataFrame({"n": list(os.urandom(800_000))}))')
        said = project.ended(project.start(way=way))
        assert "the disk is full" in said and "→ free some space and run the same command again" in said
        assert status(project)["code"] == 2
        project.completes(way)
    finally:
        subprocess.run(["umount", build], check=True)


def test_two_runs_of_one_dealer_at_once(project):
    project.trouble(SLEEP)
    first = project.start()
    project.asleep()
    second = project.start()
    said = second.communicate(timeout=60)[0]
    assert second.returncode == 2
    assert (
        "small is being made by another run\n  → wait until it has ended; other dealers can be made meanwhile" in said
    )
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGINT)
    project.ended(first)
    project.completes()


def test_a_parent_that_cannot_start_is_done_without(project):
    """Each recipe then runs its command itself."""
    lib = project.folder / "lib"
    lib.unlink()
    shutil.copytree(Path(__file__).parents[1] / "lib", lib)
    (lib / "dealerkit/chain/parent.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    running = project.start("report", "DEALER=small", PYTHONPATH=str(lib))
    said = running.communicate(timeout=120)[0]
    assert running.returncode == 0, said
    assert (project.folder / "reports/small/index.html").exists() and not project.processes()


def test_nothing_to_do_starts_no_parent(project):
    project.completes()
    lib = project.folder / "lib"
    lib.unlink()
    shutil.copytree(Path(__file__).parents[1] / "lib", lib)
    (lib / "dealerkit/chain/parent.py").write_text(
        "from pathlib import Path\nPath('started').touch()\n", encoding="utf-8"
    )
    running = project.start("report", "DEALER=small", PYTHONPATH=str(lib))
    assert running.communicate(timeout=60)[0] == "reports/small/index.html\n"
    assert running.returncode == 0 and not (project.folder / "started").exists()


def test_a_parent_killed_in_a_batch_is_started_again(project):
    """One dealer's run fails, the next one's completes."""
    project.dealer("tail", {"notes.txt": "none"})
    project.trouble(f'if dealer == "small":\n    {SLEEP.replace(chr(10), chr(10) + "    ")}')
    running = project.start("-j1", "reports")
    project.asleep()
    [parent] = [p for p in project.processes("dealerkit.chain.parent") if os.getpgid(p) == running.pid]
    os.kill(parent, signal.SIGKILL)
    said = project.ended(running)
    assert "1 of 2 dealers done, 1 failed" in said
    assert (project.folder / "reports/tail/index.html").exists()
    project.completes()
