"""Ends that nobody asked for: what is killed, runs out of time or room, or is started twice.

After each: a clear message, an exit code that is not 0, no process left, nothing that looks finished, and the next
`make report` completes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import OPEN_RUN, WAYS, Running, small_disk, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SLEEP = 'import time\nPath("asleep").write_text(str(os.getpid()))\ntime.sleep(120)'
CELLS = (
    OPEN_RUN,
    'run.fact("as_of", "2026-09-30")\nrun.headline("All is well")',
    'import os\nfrom pathlib import Path\nif Path("trouble").exists():\n    exec(Path("trouble").read_text())',
)


class Troubled(Running):
    """A project whose notebook does what the file `trouble` says."""

    def __init__(self, folder: Path):
        super().__init__(folder, *CELLS)

    def trouble(self, code: str) -> None:
        (self.folder / "trouble").write_text(code, encoding="utf-8")

    def asleep(self) -> int:
        """Process id of the kernel, once its cell sleeps."""
        return int(until(lambda: (self.folder / "asleep").exists() and (self.folder / "asleep").read_text()))

    def parent(self, running: subprocess.Popen) -> int:
        """Process id of the warm parent; what it forks has a process group of its own."""
        [found] = [p for p in self.processes("dealerkit.chain.parent") if os.getpgid(p) == running.pid]
        return found

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

    def completes(self) -> None:
        """The next run, without the trouble, makes the page and leaves nothing behind."""
        (self.folder / "trouble").unlink(missing_ok=True)
        running = self.start()
        said = running.communicate(timeout=120)[0]
        assert running.returncode == 0, said
        assert (self.folder / "reports/small/index.html").exists()
        left = [p.name for p in (self.folder / "build/small").iterdir() if ".part" in p.name or "failed" in p.name]
        assert not left and not self.processes()


@pytest.fixture
def project(tmp_path):
    running = Troubled(tmp_path)
    yield running
    for process in running.processes():
        os.kill(process, signal.SIGKILL)


def status(project: Troubled) -> dict:
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
    project.completes()


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_leaves(project, way):
    project.trouble("os._exit(0)")
    said = project.ended(project.start(way=way))
    assert "the kernel died" in said and "make: ***" in said
    project.completes()


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_takes_too_long(project, way):
    with open(project.folder / "params/small.yaml", "a", encoding="utf-8") as file:
        file.write("cell_timeout_seconds: 5\n")
    project.trouble(SLEEP)
    said = project.ended(project.start(way=way))
    assert "a cell ran longer than cell_timeout_seconds (5 s)\n  → raise it in params/small.yaml" in said
    assert status(project)["code"] == 2
    project.completes()


def test_the_parent_is_killed(project):
    project.trouble(SLEEP)
    running = project.start()
    project.asleep()
    parent = project.parent(running)
    threads = [(task / "comm").read_text().strip() for task in Path(f"/proc/{parent}/task").iterdir()]
    assert len(set(threads) - {"jemalloc_bg_thd"}) == len(threads) - threads.count("jemalloc_bg_thd") == 1, threads
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
    project.completes()


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
    project.completes()


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk(project, way):
    with small_disk(project.folder / "build", "400k"):
        project.trouble('run.save("much", __import__("pandas").DataFrame({"n": list(os.urandom(800_000))}))')
        said = project.ended(project.start(way=way))
        assert "the disk is full" in said and "→ free some space and run the same command again" in said
        assert status(project)["code"] == 2
        project.completes()


LEFT = 'import subprocess\nsubprocess.Popen(["sleep", "99"], start_new_session=True)\n'


def test_what_a_notebook_leaves_running_is_ended(project):
    project.trouble(LEFT + SLEEP)
    running = project.start()
    project.asleep()
    os.killpg(running.pid, signal.SIGINT)
    project.ended(running)
    project.trouble(LEFT)
    running = project.start()
    assert "90-summary" in running.communicate(timeout=120)[0]
    assert running.returncode == 0 and not project.processes()


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


def test_a_parent_killed_in_a_batch_is_started_again(project):
    """One dealer's run fails, the next one's completes."""
    project.dealer("tail", {"notes.txt": "none"})
    project.trouble(f'if dealer == "small":\n    {SLEEP.replace(chr(10), chr(10) + "    ")}')
    running = project.start("-j1", "reports")
    project.asleep()
    os.kill(project.parent(running), signal.SIGKILL)
    said = project.ended(running)
    assert "1 of 2 dealers done, 1 failed" in said
    assert (project.folder / "reports/tail/index.html").exists()
    project.completes()


# ---- moments and surroundings -----------------------------------------------------------------------------------


def test_ctrl_c_before_anything_runs(project):
    """While the raw files are read, when there is no command yet to get it."""
    with open(project.folder / "data/raw/small/large.csv", "wb") as file:
        file.truncate(8_000_000_000)  # takes seconds to read, and no room
    running = project.start()
    assert until(lambda: (project.folder / "build/small/.lock").exists())
    os.killpg(running.pid, signal.SIGINT)
    assert "small: interrupted\n  → run the same command again" in project.ended(running)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_while_programs_are_loaded(project, way, seconds):
    project.trouble(SLEEP)
    name = {"warm": "dealerkit.chain.parent", "cold": "-m dealerkit execute"}[way]
    running = project.start(way=way)
    assert until(lambda: project.processes(name))
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    assert "small: interrupted" in project.ended(running)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_to_outlive_its_terminal_does(project, way):
    project.trouble(SLEEP.replace("120", "2"))
    environment = project.environment(WARM=WAYS[way])
    command = ["nohup", "make", "READY=", "report", "DEALER=small"]
    with subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as running:
        project.asleep()
        os.killpg(running.pid, signal.SIGHUP)
        assert running.wait(timeout=60) == 0
    assert (project.folder / "reports/small/index.html").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_among_the_temporary_files(project, way, number):
    (project.folder / "t").mkdir()
    project.trouble(SLEEP)
    running = project.start(way=way, TMPDIR=str(project.folder / "t"))
    project.asleep()
    os.killpg(running.pid, number)
    project.ended(running)
    assert not list((project.folder / "t").iterdir())


@pytest.mark.parametrize("folder", ["missing", "long" * 30])
@pytest.mark.parametrize("way", WAYS)
def test_temporary_files_have_no_good_place(project, way, folder):
    place = project.folder / folder
    if folder != "missing":
        place.mkdir()
    running = project.start(way=way, TMPDIR=str(place))
    said = running.communicate(timeout=120)[0]
    assert running.returncode == 0 and said.endswith("reports/small/index.html\n"), said


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", "| true"])
@pytest.mark.parametrize("way", WAYS)
def test_nobody_listens(project, way, closed):
    command = f"make READY= 90-summary DEALER=small {closed}"
    environment = project.environment(WARM=WAYS[way])
    done = subprocess.run(
        ["sh", "-c", command], cwd=project.folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr and "failure" not in done.stderr
    assert (project.folder / "reports/small/index.html").exists()


def free(lock: Path) -> bool:
    """Does nobody hold it?"""
    with open(lock, "rb") as file, contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def test_the_lock_of_a_dealer_that_is_done_is_free_while_others_are_made(project):
    project.dealer("tail", {"notes.txt": "none"})
    wait = "import time\nPath(dealer).touch()\nwhile not Path(f'{dealer}.go').exists():\n    time.sleep(0.05)"
    project.trouble(wait)
    running = project.start("-j2", "reports")
    assert until(lambda: (project.folder / "small").exists() and (project.folder / "tail").exists())
    (project.folder / "small.go").touch()
    assert until(lambda: (project.folder / "build/.reports/small.json").exists())
    assert until(lambda: free(project.folder / "build/small/.lock"), 10)
    (project.folder / "tail.go").touch()
    assert running.communicate(timeout=60)[0].endswith("2 of 2 dealers done\n")


def test_make_only_shows_what_it_would_do_for_all_dealers(project):
    running = project.start("-n", "reports")
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 0 and "warm.py execute" in said and "Traceback" not in said
    assert "dealers done" not in said
