"""The warm parent: imports once, then forks a process for each request (`python -m dealerkit.chain.parent FD`).

FD is a listening socket that `dealerkit.warm` has open. A request is what one recipe of the Makefile asks for; its
process gets the recipe's environment, working folder and output, and one that runs a notebook forks its kernel before
anything else. The parent itself has no threads (but one of Arrow's memory allocator, which knows of forks), no sockets of
a kernel, and no engine open, so that forking is safe.

A request ends with its recipe: when the connection closes, its processes are killed. When this process is killed, the
operating system kills them.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dealerkit import stamp
from dealerkit.chain.imports import import_spared
from dealerkit.warm import CODES, FOLDER, TAKEN, die_with_parent

#: What running any notebook needs, imported before the first request is taken …
FIRST = (
    "ipykernel.kernelapp",
    "ipykernel.kernelspec",
    "ipykernel.ipkernel",
    "tornado.platform.asyncio",
    "dealerkit.chain.execute",
    "dealerkit.run",
    "ibis.backends.duckdb",
    "ibis.formats.pandas",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "IPython.core.debugger",
    "IPython.core.completerlib",
    "PIL.PpmImagePlugin",
)
#: … and, besides what the notebooks name, what some of them and all pages need, while there is nothing else to do.
LATER = ("dealerkit.chain.pages", "dealerkit.chain.cost", "sklearn.ensemble", "splink")


def named(notebook: Path) -> list[str]:
    """What the code of a notebook imports from the package, modules and things in them; nothing if it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [f"dealerkit.{name}" for name in stamp.cells(str(notebook))[1] or () if name]
    return []


def load(name: str) -> None:
    """Import a module, if it is one and nothing is wrong with it."""
    with _importing(), suppress(Exception):
        importlib.import_module(name)


@contextmanager
def _importing() -> Iterator[None]:
    """No garbage collection for the time of imports, and none of what they made: it stays, and looking through it once
    takes as long as importing a library."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@dataclass
class Request:
    """One recipe's request: its connection, and what it asks for once all of that has come."""

    connection: socket.socket
    descriptors: list[int] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    process: int | None = None
    folder: str = ""
    name: str = ""

    def read(self) -> bool:
        """Take what has come; False when the other side has closed."""
        try:
            piece, descriptors, _flags, _address = socket.recv_fds(self.connection, 1 << 16, 4)
        except OSError:  # it was killed before it had read what was sent to it
            return False
        self.descriptors += descriptors
        self.content += piece
        return bool(piece)

    def whole(self) -> dict | None:
        """The request, once it is whole."""
        length = int.from_bytes(self.content[:4], "big")
        return ast.literal_eval(self.content[4:].decode("ascii")) if len(self.content) >= 4 + length > 4 else None

    def close(self) -> None:
        """Forget it: its descriptors, and the folder of its sockets."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.connection.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Parent:
    """Serves requests on a listening socket until it is killed."""

    def __init__(self, listening: socket.socket):
        self.listening, self.folder = listening, os.path.dirname(listening.getsockname())
        self.requests: dict[int, Request] = {}
        notebooks = sorted(Path("notebooks").glob("[0-9][0-9]-*.ipynb"))
        later = [*LATER, *(name for path in notebooks for name in named(path))]
        self.waiting = [*(partial(load, name) for name in dict.fromkeys(later)), self._rehearse]
        self.bell, self._bell = socket.socketpair()
        for end in (self.bell, self._bell):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Take requests and fork for them; import what later ones need in between."""
        while True:
            sources = [self.listening, self.bell, *self.requests]
            ready, _, _ = select.select(sources, [], [], 0 if self.waiting else None)
            if not ready:
                with suppress(Exception):  # what is wrong is told by the request that needs it
                    self.waiting.pop(0)()
            for source in ready:
                if source is self.listening:
                    connection, _ = self.listening.accept()
                    self.requests[connection.fileno()] = Request(connection)
                elif source is self.bell:
                    self.bell.recv(4096)
                    self._reap()
                elif source in self.requests:
                    self._read(source)

    def _rehearse(self) -> None:
        """Render a notebook of two cells, since much is imported and compiled when it is first used."""
        import nbformat

        from dealerkit.report import page

        cells = [nbformat.v4.new_markdown_cell("*Text*"), nbformat.v4.new_code_cell("1")]
        notebook, out = Path(self.folder, "rehearsal.ipynb"), Path(self.folder, "rehearsal.html")
        nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
        page.render(notebook, out, page.PageContext(language="en", dealer=""))

    def _read(self, source: int) -> None:
        request = self.requests[source]
        if not request.read():
            self._drop(source)
        elif request.process is None and (asked := request.whole()):
            request.name = " · ".join(asked["arguments"][2::2])  # dealer and stage
            if asked["arguments"][0] == "execute":
                for name in named(Path(asked["folder"], "notebooks", f"{asked['arguments'][-1]}.ipynb")):
                    load(name)
            try:
                request.folder = tempfile.mkdtemp(prefix="", dir=self.folder)
                request.process = self._fork(asked, request)
                request.connection.sendall(TAKEN)
            except OSError:  # no room, no process to be had, or the recipe is gone; if it is not, it tries by itself
                self._drop(source)

    def _drop(self, source: int) -> None:
        """The recipe is gone: so is what it asked for. Killing its first process takes the kernel with it."""
        request = self.requests.pop(source)
        if request.process:
            os.kill(request.process, signal.SIGKILL)
            os.waitpid(request.process, 0)
        request.close()

    def _reap(self) -> None:
        for source, request in list(self.requests.items()):
            if not request.process:
                continue
            ended, status = os.waitpid(request.process, os.WNOHANG)
            if ended:
                del self.requests[source]
                self._answer(request, os.waitstatus_to_exitcode(status))
                request.close()

    def _answer(self, request: Request, code: int) -> None:
        if code < 0:
            told = f"{request.name}: killed by signal {-code} (out of memory?)\n  → run the same command again; nothing half-written is left in place\n"
            with suppress(OSError):  # nobody reads it
                os.write(request.descriptors[1], told.encode())
            code = 1
        with suppress(OSError):  # the recipe is gone as well
            request.connection.sendall(bytes([CODES[code]]))

    def _fork(self, asked: dict, request: Request) -> int:
        here = os.getpid()
        gc.freeze()  # the collector of a fork need not look at, and so copy, what was imported here
        with warnings.catch_warnings():
            # Python from 3.12 on warns of the allocator's thread.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process:
            return process
        code = 1
        try:
            self._become(asked, request, here)
            from dealerkit.__main__ import main

            code = main(asked["arguments"])
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _become(self, asked: dict, request: Request, parent: int) -> None:
        """In the fork: take over the recipe's place in the world, and leave the parent's."""
        from dealerkit.chain.kernel import Fork, Manager

        os.setpgid(0, 0)  # Ctrl-C is for make, which then ends the recipe
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        die_with_parent(signal.SIGKILL, parent)
        for number, descriptor in zip((1, 2), request.descriptors, strict=False):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for other in (self.listening, self.bell, self._bell, *(r.connection for r in self.requests.values())):
            other.close()
        # What others hold, their lock above all, must be free when they have ended.
        for descriptor in (d for r in self.requests.values() if r is not request for d in r.descriptors):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        os.umask(asked["umask"])
        os.environ[FOLDER] = request.folder
        if asked["arguments"][0] == "execute":
            Manager.fork = Fork()
        tempfile.tempdir = request.folder  # what is left there goes with the request


def main(arguments: list[str]) -> None:
    """Serve on the listening socket whose descriptor is named."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from here on; before, it is blocked
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # as in a kernel
    # matplotlib asks at import; a kernel says this before its first cell, unless somebody else has.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    try:
        with _importing():
            import_spared()
            for name in FIRST:
                importlib.import_module(name)
    except Exception:
        raise SystemExit(1) from None  # the recipes, each by itself, say what is wrong
    Parent(socket.socket(fileno=int(arguments[0]))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
