"""Which code cell of a notebook runs."""

from __future__ import annotations

from IPython import get_ipython


class Cells:
    """Counts the code cells that ran since it was made; the kernel's own count stands still under papermill."""

    def __init__(self):
        self.run = 0

    def _next(self, _info=None) -> None:
        self.run += 1

    @classmethod
    def watched(cls) -> Cells | None:
        """A counter fed by the kernel, or None outside of one."""
        shell = get_ipython()
        if shell is None:
            return None
        counter = cls()
        shell.events.register("pre_run_cell", counter._next)
        return counter
