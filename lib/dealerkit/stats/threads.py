"""One thread for what the libraries compute: the kit runs many dealers side by side instead."""

from __future__ import annotations

from functools import cache


def one_thread():
    """Keeps numpy, scipy and scikit-learn to one thread, for the time of a `with`."""
    return _controller().limit(limits=1)


@cache
def _controller():
    """The libraries that have threads: found once, after they are loaded, since the search takes as long as a model."""
    import sklearn  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
