"""A recipe: a pure function whose signature is the contract between data and engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tracecube.core.fields import suffix_of
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber

__all__ = ["Argument", "Inputs", "Outputs", "Recipe", "recipe"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Base of what several recipes are given alike: each field is an input of the recipe, under its own name.

    A recipe that takes one argument of such a class is called with the fields, as if they stood in its signature.
    """


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
    def source(self) -> str:
        """Where the function stands: its file from the top package on, and the line."""
        function = inspect.unwrap(self.function)
        file = Path(*function.__module__.split(".")).with_suffix(".py")
        return f"{file}:{function.__code__.co_firstlineno}"

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


def _spread(hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the hints with the fields of `Inputs` in their place, and which fields belong to which argument."""
    flat: dict[str, Any] = {}
    groups: dict[str, list[str]] = {}
    for name, hint in hints.items():
        if isinstance(hint, type) and issubclass(hint, Inputs):
            own = get_type_hints(hint)
            groups[name] = list(own)
            flat |= own
        else:
            flat[name] = hint
    return flat, groups


def _gathering(
    function: Callable[..., Outputs], hints: dict[str, Any], groups: dict[str, list[str]]
) -> Callable[..., Outputs]:
    """Return a function of all inputs that puts those of each group together."""

    @wraps(function)
    def gathered(**given: Any) -> Outputs:
        for name, names in groups.items():
            given[name] = hints[name](**{key: given.pop(key) for key in names if key in given})
        return function(**given)

    return gathered if groups else function


def recipe(*, version: str) -> Callable[[Callable[..., Outputs]], Recipe]:
    """Make a recipe of a function with typed keyword arguments, ``params`` among them; see `Inputs` for shared ones."""

    def declare(function: Callable[..., Outputs]) -> Recipe:
        hints = get_type_hints(function)
        made, params = hints.pop("return"), hints.pop("params")
        flat, groups = _spread(hints)
        own = get_type_hints(made)
        outputs = [f.name for f in fields(made) if f.name not in {"quality", "caveats"}]
        return Recipe(
            name=function.__name__,
            version=version,
            function=_gathering(function, hints, groups),
            params=params,
            inputs=tuple(_argument(name, hint) for name, hint in flat.items()),
            outputs=tuple(_argument(name, own[name]) for name in outputs),
        )

    return declare
