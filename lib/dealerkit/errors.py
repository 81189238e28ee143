"""Errors that are the user's to mend: shown as words, never as a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in params, files or arguments; the command ends with exit code 2.

    Args:
        what: what is wrong, with file, row or column, masked value and what is allowed.
        remedy: what to do about it, one sentence.
    """

    exit_code = 2

    def __init__(self, what: str, remedy: str = ""):
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}\n  → {remedy}" if remedy else what)

    def __reduce__(self):
        return type(self), (self.what, self.remedy)


class UserErrors(UserError):
    """Several mistakes reported at once, one per line."""

    def __init__(self, title: str, problems: list[str], remedy: str = ""):
        self.title, self.problems = title, list(problems)
        super().__init__("\n  - ".join([title, *self.problems]), remedy)

    def __reduce__(self):
        return type(self), (self.title, self.problems, self.remedy)
