"""A recipe: a pure function whose signature is the contract between data and engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tracecube.core.fields import suffix_of
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber

__all__ = ["Argument", "Outputs", "Recipe", "recipe"]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Base of what recipes return: one field a product, with quality numbers and caveats.

    A product's tag is its field's name in upper case. A field that may be None is an optional
    product; one that is a tuple of nouns makes a product of each, told apart by its noun's ``object`` (the
    companions of a star, for example). ``caveats`` are sentences for people: what was done differently, and why.
    """

    quality: tuple[QualityNumber, ...] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Argument:
    """One input or output of a recipe.

    Parameters
    ----------
    name : str
    noun : type
        Class of the data (`Frame`, `TraceSet`, `RawFrame`, ...).
    many : bool
        A sequence of them.
    optional : bool
        None is allowed.
    """

    name: str
    noun: type
    many: bool
    optional: bool

    @property
    def suffix(self) -> str:
        """How the name of its file ends."""
        return suffix_of(self.noun)


@dataclass(frozen=True)
class Recipe:
    """A recipe as the engine sees it.

    Parameters
    ----------
    name : str
        The function's name.
    version : str
        Changes when the same inputs give other numbers; part of the provenance key.
    function : callable
        ``function(*, argument=..., params=Params()) -> Outputs``; no files, clock or hidden state.
    params : type of Params
    inputs, outputs : tuple of Argument
    """

    name: str
    version: str
    function: Callable[..., Outputs]
    params: type[Params]
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]

    @property
    def text(self) -> str:
        """The docstring of the function."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, in tests and notebooks for example."""
        return self.function(*args, **kwargs)


def _argument(name: str, hint: Any) -> Argument:
    """Read ``Frame``, ``Frame | None`` or ``Sequence[Frame]`` as an argument."""
    optional = False
    if get_origin(hint) in {UnionType, Union}:
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        optional = len(kinds) < len(get_args(hint))
        hint = kinds[0]
    many = get_origin(hint) is not None and issubclass(get_origin(hint), Sequence)
    return Argument(name, get_args(hint)[0] if many else hint, many, optional)


def recipe(*, version: str) -> Callable[[Callable[..., Outputs]], Recipe]:
    """Make a recipe of a function with typed keyword arguments, ``params`` among them."""

    def declare(function: Callable[..., Outputs]) -> Recipe:
        hints = get_type_hints(function)
        made, params = hints.pop("return"), hints.pop("params")
        own = get_type_hints(made)
        outputs = [f.name for f in fields(made) if f.name not in {"quality", "caveats"}]
        return Recipe(
            name=function.__name__,
            version=version,
            function=function,
            params=params,
            inputs=tuple(_argument(name, hint) for name, hint in hints.items()),
            outputs=tuple(_argument(name, own[name]) for name in outputs),
        )

    return declare
