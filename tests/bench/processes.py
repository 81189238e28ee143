"""What a command takes with every process that it starts: processor seconds, wall time, memory. Linux only.

Standard library, and a module of the kit that needs no more: a process that is started shows at least the memory of the one that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dealerkit.warm import below

_ADOPTS = 36  # prctl: processes whose parent ended become children of this one, so that each is waited for
_EVERY = 1.0  # seconds between two looks at the memory: a look takes some hundredths of one
_LEFT = 5.0  # seconds that a process may outlive the command


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        cpu: seconds of the processor, user and system, of all its processes.
        wall: seconds by the clock.
        largest_mb: most memory that one process held, in millions of bytes.
        tree_mb: most memory of all at once, what they share counted once (looked at once a second, so somewhat too small).
    """

    cpu: float
    wall: float
    largest_mb: float
    tree_mb: float


def measure(command: list[str], folder: Path, environment: dict[str, str]) -> Usage:
    """Run a command to its end, and whatever it leaves behind.

    Raises `RuntimeError` with its last lines when it fails, or when a process of it does not end.
    """
    ctypes.CDLL(None).prctl(_ADOPTS, 1, 0, 0, 0)
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        with _Looks(process.pid) as looks:
            _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        rest = _rest()
        if process.returncode:
            said.seek(0)
            last = said.read().decode("utf-8", "replace")[-3000:]
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}\n{last}")
    all_used = [used, *rest]
    cpu = sum(u.ru_utime + u.ru_stime for u in all_used)
    return Usage(cpu, wall, max(u.ru_maxrss for u in all_used) * 1024 / 1e6, looks.most / 1e6)


def _rest() -> list:
    """What the processes took that outlived the command."""
    found, until = [], time.monotonic() + _LEFT
    while True:
        try:
            ended, _, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended:
            found.append(used)
        elif time.monotonic() > until:
            left = below(os.getpid())
            for process in left:
                os.kill(process, signal.SIGKILL)
            raise RuntimeError(f"{len(left)} processes were left behind by the command, and ended now")
        else:
            time.sleep(0.01)


class _Looks:
    """Looks at the memory of a process and all below it, as long as the block lasts.

    Attributes:
        most: bytes, the most seen at once.
    """

    def __init__(self, process: int):
        self.most, self._process, self._over = 0, process, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Looks:
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            self.most = max(self.most, sum(map(_pss, [self._process, *below(self._process)])))


def _pss(process: int) -> int:
    """Bytes that a process holds, its part of what it shares."""
    try:
        about = Path(f"/proc/{process}/smaps_rollup").read_bytes()
    except OSError:
        return 0
    found = about.partition(b"\nPss:")[2].split()
    return int(found[0]) * 1024 if found else 0
