"""The light side of the warm chain: what starts its parent, and what a recipe calls.

Importing is most of what a stage costs. So `call` runs make with the address of a socket in its environment, and when
the first recipe asks for work (`python -I -S lib/dealerkit/warm.py execute --dealer …`), it starts one parent that
imports everything once and forks a process for each request (`dealerkit.chain.parent`). With nothing to do nothing is
started, and nothing outlives the command.

Where there can be no parent (not on Linux, where forking after imports is unsafe; `WARM=0`; JupyterLab), and when it
cannot be started, a recipe runs the same command in a process of its own.

Runs before the package can be imported: standard library only.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

SOCKET = "DEALERKIT_PARENT"  # in the environment: address of the parent's socket
LOCK = "DEALERKIT_LOCK_FD"  # and the descriptor that holds the dealer's lock
FOLDER = "DEALERKIT_SOCKETS"  # a folder for sockets, gone when the command has ended
SHORT = 50  # bytes of the path above it: that of a socket may have about 100
TAKEN, CODES = b"\0", range(1, 256)  # a request is answered by TAKEN, then by its exit code plus one
PATIENCE = 5  # seconds for what is killed to be gone
STARTS = 3  # a parent that is killed is started again, this often in all

# ---- a recipe --------------------------------------------------------------------------------------------------


def ask(arguments: list[str]) -> int:
    """Have the parent run `dealerkit` with these arguments; without one, become that command. The exit code."""
    signal.signal(signal.SIGINT, _interrupted)
    code = _asked(arguments) if os.environ.get(SOCKET) else None
    if code is None:
        os.environ.pop(SOCKET, None)
        die_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until it has imported what it takes to end in words
        os.execv(sys.executable, [sys.executable, "-m", "dealerkit", *arguments])
    return code


def _interrupted(number, frame) -> None:
    """Ctrl-C ends the request without a word; a moment later, since make stumbles over a child that is gone before it
    has noticed the key itself."""
    time.sleep(0.1)
    os._exit(128 + number)


def _asked(arguments: list[str]) -> int | None:
    """Exit code of the request, or None when no parent takes it."""
    umask = os.umask(0o077)
    os.umask(umask)
    request = {"arguments": arguments, "folder": os.getcwd(), "umask": umask, "environment": dict(os.environ)}
    descriptors = [1, 2] + ([int(os.environ[LOCK])] if os.environ.get(LOCK) else [])
    content = ascii(request).encode("ascii")  # not JSON, which takes as long to import as Python takes to start
    with socket.socket(socket.AF_UNIX) as parent:
        try:
            parent.connect(os.environ[SOCKET])
            socket.send_fds(parent, [len(content).to_bytes(4, "big")], descriptors)
            parent.sendall(content)
            if parent.recv(1) != TAKEN:
                return None
        except OSError:
            return None
        try:
            answer = parent.recv(1)
        except OSError:
            answer = b""
    if not answer:
        print(
            "the process that runs the notebooks was killed (out of memory?)\n  → run the same command again; "
            "nothing half-written is left in place",
            file=sys.stderr,
        )
        return 1
    return answer[0] - 1


# ---- around make -----------------------------------------------------------------------------------------------


def possible() -> bool:
    """May a parent be started here?"""
    return sys.platform == "linux" and os.environ.get("WARM", "1") != "0"


def call(command: list[str]) -> int:
    """Run a command to its end with every open descriptor (make's job tokens, the lock) and, if it or what it calls
    asks for one, a warm parent; its exit code.

    Ctrl-C reaches the command by itself; a termination is passed on, and the command is still waited for. If this
    process is killed, the command is ended and the parent with it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    folder = None if os.environ.get(FOLDER) else _own_folder()
    if folder is None:
        return Called(command).wait()
    os.environ[FOLDER] = folder
    try:
        if not possible():
            return Called(command).wait()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{folder}/parent")
            listening.listen(128)
            os.environ[SOCKET] = f"{folder}/parent"
            return Called(command, listening).wait()
    finally:
        os.environ.pop(SOCKET, None)
        os.environ.pop(FOLDER, None)
        _remove(folder)


def _own_folder() -> str | None:
    """A new private folder with a short path; None when there is nowhere to make one."""
    for above in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp"):
        if above and len(os.fsencode(above)) <= SHORT:
            folder = os.path.join(above, f"dk{os.urandom(6).hex()}")
            with suppress(OSError):
                os.mkdir(folder, mode=0o700)
                return folder
    return None


class Called:
    """A command that runs, and the parent that serves it once it asks."""

    def __init__(self, command: list[str], listening: socket.socket | None = None):
        self.listening, self.parent, self.starts = listening, None, 0
        self.bell, bell = socket.socketpair()
        for end in (self.bell, bell):
            end.setblocking(False)
        self._bell = bell  # kept open: signals ring here
        die_with_parent(signal.SIGTERM)
        _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: whatever the command starts and leaves behind is found below here
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        self.interrupted = False
        told = {signal.SIGINT: self._note, signal.SIGTERM: self._pass_on, signal.SIGHUP: self._pass_on}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, told)  # until there is something to pass them on to
        for number, answer in told.items():
            if signal.getsignal(number) != signal.SIG_IGN:  # as it is under nohup
                signal.signal(number, answer)
        self.child = _spawn(command, signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self) -> int:
        """Exit code of the command, 130 after Ctrl-C; the parent is gone when this returns."""
        code = None
        while code is None:
            asked = [self.listening] if self.listening and not self.parent else []
            ready, _, _ = select.select([self.bell, *asked], [], [])
            if self.bell in ready:
                self.bell.recv(4096)
                code = self._reap()
            elif ready:
                self._start_parent()
        if self.parent:
            os.kill(self.parent, signal.SIGKILL)
            os.waitpid(self.parent, 0)
        _end_what_is_left()
        return 128 + signal.SIGINT if code and self.interrupted else code

    def _note(self, number, frame) -> None:
        self.interrupted = True

    def _pass_on(self, number, frame) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.child, number)

    def _reap(self) -> int | None:
        """Exit code of the command if it has ended; notes the end of the parent."""
        if self.parent:
            ended, status = os.waitpid(self.parent, os.WNOHANG)
            if ended:
                self.parent = None
                # One that was killed is started again for what is still to do; one that cannot start is not.
                if not os.WIFSIGNALED(status) or self.starts >= STARTS:
                    self.listening.close()
                    self.listening = None
        ended, status = os.waitpid(self.child, os.WNOHANG)
        if not ended:
            return None
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _start_parent(self) -> None:
        self.starts += 1
        self.listening.set_inheritable(True)
        here = os.environ.pop(SOCKET)
        command = [sys.executable, "-m", "dealerkit.chain.parent", str(self.listening.fileno())]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.parent = _spawn(command, signal.SIGKILL, [*before, signal.SIGINT])  # Ctrl-C is for make
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.environ[SOCKET] = here
        self.listening.set_inheritable(False)


def _spawn(command: list[str], end: int, blocked) -> int:
    """Start a command that gets the signal ``end`` when this process dies, with these signals blocked; its process id."""
    here = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        die_with_parent(end, here)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


def die_with_parent(number: int, parent: int | None = None) -> None:
    """Have the kernel send this process a signal when the one that started it dies (Linux; elsewhere nothing).

    With ``parent`` (its process id), also when it has died already.
    """
    _prctl(1, int(number))  # PR_SET_PDEATHSIG
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def _prctl(option: int, value: int) -> None:
    """Ask the operating system to treat this process so; only Linux knows how."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_what_is_left() -> None:
    """End what notebooks started and did not end, such as a server in the background."""
    until = time.monotonic() + PATIENCE
    while sys.platform == "linux" and time.monotonic() < until:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                for process in below(os.getpid()):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.005)
        except ChildProcessError:
            return


def below(process: int) -> list[int]:
    """Processes that this one started, and those that they did."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(int(name))
    found, waiting = [], [process]
    while waiting:
        further = children.get(waiting.pop(), [])
        found += further
        waiting += further
    return found


def _remove(folder: str) -> None:
    """Remove a folder, from which processes on their way out may be removing something themselves."""
    for here, _folders, files in os.walk(folder, topdown=False):
        for name in files:
            with suppress(OSError):
                os.unlink(os.path.join(here, name))
        with suppress(OSError):
            os.rmdir(here)


if __name__ == "__main__":
    raise SystemExit(ask(sys.argv[1:]))
