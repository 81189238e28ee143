"""Kernels for the notebooks: started as a process of their own, or become of a fork that has everything imported.

Both are talked to in the same way, over ipc sockets, by the same manager and client; a kernel is killed as soon as the
last cell is done, since what a notebook leaves are files that it has closed.
"""

from __future__ import annotations

import ctypes  # noqa: F401  (imported after a fork it might wait for ever)
import json
import os
import signal
import sys
import time
import uuid
from functools import partial
from queue import Empty

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Type

from dealerkit.warm import die_with_parent

_BETWEEN_POLLS = 0.005  # seconds


class Fork:
    """A process that waits to become a kernel; then, for its manager, what `subprocess.Popen` is for others.

    Must be made before this process has threads or sockets of its own.
    """

    stdin = stdout = stderr = None

    def __init__(self):
        here, (read, self._write) = os.getpid(), os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write)
            _wait_and_become(read, here)
        os.close(read)
        os.setpgid(self.pid, self.pid)  # its process group is what gets signals, here and in the fork itself

    def become(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Let it be the kernel that these arguments of `ipykernel_launcher` describe."""
        content = json.dumps({"arguments": arguments, "environment": environment, "folder": folder})
        os.write(self._write, content.encode("ascii"))
        os.close(self._write)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """The exit code, once it has ended."""
        while (code := self.poll()) is None:
            time.sleep(_BETWEEN_POLLS)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def _wait_and_become(read: int, parent: int) -> None:
    """In the fork: wait for what to be, and be it. Never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        die_with_parent(signal.SIGKILL, parent)
        with os.fdopen(read, "rb") as pipe:
            content = pipe.read()
        if content:
            _be_kernel(**json.loads(content))
        code = 0
    finally:
        os._exit(code)


def _be_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """What `python -m ipykernel_launcher` does, in a process that has the imports behind it."""
    import random

    import ipykernel_launcher
    import numpy as np
    import pandas as pd
    from ipykernel.kernelapp import IPKernelApp

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [ipykernel_launcher.__file__, *arguments]
    # As in a kernel that imports them itself: pandas asks at import whether it writes to a terminal, and numbers drawn
    # without a seed are not those of another kernel.
    pd.set_option("display.max_columns", 20)
    random.seed()
    np.random.seed()
    app = IPKernelApp.instance()
    app.initialize(arguments)
    app.start()


class Provisioner(LocalProvisioner):
    """Starts a kernel that does not outlive this process, however it ends."""

    async def launch_kernel(self, cmd: list[str], **kwargs):
        """Start the process of the command line."""
        ending = partial(die_with_parent, signal.SIGKILL, os.getpid())
        return await super().launch_kernel(cmd, preexec_fn=ending, **kwargs)


class ForkProvisioner(LocalProvisioner):
    """Makes a kernel of a waiting fork."""

    def __init__(self, fork: Fork, **settings):
        super().__init__(**settings)
        self._fork = fork

    async def launch_kernel(self, cmd: list[str], **kwargs):
        """Let the fork become the kernel that the command line asks for."""
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        self.cwd = str(kwargs.get("cwd") or os.getcwd())
        self._fork.become(arguments, dict(kwargs["env"]), self.cwd)
        self.process, self.pid, self.pgid = self._fork, self._fork.pid, self._fork.pid
        return self.connection_info


class Client(AsyncKernelClient):
    """Waits for a kernel no longer than it takes."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel has answered and what it publishes arrives here.

        The kernel greets each new subscriber, so this needs no pauses in which nothing may come.
        Raises `RuntimeError` when it dies or ``timeout`` (seconds) is over.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        greeted = answered = False
        self.kernel_info()
        while not (greeted and answered):
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > until:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")
            channel = self.shell_channel if greeted else self.iopub_channel
            try:
                message = await channel.get_msg(timeout=1)
            except Empty:
                self.kernel_info()
                continue
            if greeted and message["msg_type"] == "kernel_info_reply":
                self._handle_kernel_info_reply(message)
                answered = True
            greeted = True


class Manager(AsyncKernelManager):
    """Manager of the one kernel of a notebook, of the waiting fork if there is one."""

    client_factory = Type(Client)
    #: The fork that waits in this process, if any.
    fork: Fork | None = None

    async def _async_pre_start_kernel(self, **settings):
        self.kernel_id = str(uuid.uuid4())
        about = {"kernel_id": self.kernel_id, "kernel_spec": self.kernel_spec, "parent": self}
        fork = type(self).fork
        self.provisioner = ForkProvisioner(fork, **about) if fork else Provisioner(**about)
        return await super()._async_pre_start_kernel(**settings)
