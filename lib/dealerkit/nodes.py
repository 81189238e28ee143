"""Nodes of Ibis expressions, made with less ado.

Ibis binds the arguments of each node that it makes by the general `inspect.Signature.bind`, and a report makes tens of
thousands of nodes. Signatures of nothing but plain arguments are bound here by putting names and values side by side;
whatever is not plain, or does not fit, is left to Ibis, which then also says what is wrong.
"""

from __future__ import annotations

import inspect

from ibis.common.annotations import Signature
from ibis.common.patterns import NoMatch

_EMPTY = inspect.Parameter.empty
_in_general = Signature.validate


class _Plain:
    """What binding needs of a signature: name → pattern and name → default, in order; ``names`` is None unless every
    argument is a plain one."""

    __slots__ = ("defaults", "names", "patterns")

    def __init__(self, signature: Signature):
        parameters = signature.parameters.values()
        plain = all(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)
        self.names = tuple(p.name for p in parameters) if plain else None
        self.patterns = {p.name: p.annotation.pattern for p in parameters} if plain else {}
        self.defaults = {p.name: p.default for p in parameters}


#: Signature, by what object it is (they live as long as their classes, and comparing them takes long) → what is needed.
_plain: dict[int, tuple[Signature, _Plain]] = {}


def _validate(self: Signature, func, args: tuple, kwargs: dict) -> dict:
    """What `Signature.validate` returns and raises."""
    known = _plain.get(id(self))
    if known is None:
        known = _plain[id(self)] = (self, _Plain(self))
    plain = known[1]
    if plain.names is None or len(args) > len(plain.names):
        return _in_general(self, func, args, kwargs)
    given = dict(zip(plain.names, args))
    if kwargs and not (kwargs.keys() <= plain.patterns.keys() and given.keys().isdisjoint(kwargs)):
        return _in_general(self, func, args, kwargs)
    given.update(kwargs)
    found: dict = {}
    for name, pattern in plain.patterns.items():
        value = given.get(name, _EMPTY)
        if value is _EMPTY:
            value = plain.defaults[name]
        result = NoMatch if value is _EMPTY else pattern.match(value, found)
        if result is NoMatch:
            return _in_general(self, func, args, kwargs)
        found[name] = result
    return found


def bind_plainly() -> None:
    """Bind arguments in the short way from now on, in this process."""
    Signature.validate = _validate
