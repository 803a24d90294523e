"""Import kernels when they are first used.

Planning needs the signatures and parameters of recipes, not their arithmetic; compilers and solvers
behind the kernels take more than a second to import. A recipe that says
``from tracecube.kernels import solve`` gets a module that loads itself at its first attribute;
``from tracecube.kernels.solve import solve_banded`` loads it at once, which is only slower.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

__all__ = ["defer_kernels"]

_PREFIX = "tracecube.kernels."
_LOCK = RLock()


class _Deferred(ModuleType):
    """A module whose code runs when the first of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with _LOCK:
            if type(self) is _Deferred:
                self.__class__ = ModuleType  # type: ignore[assignment]
                loader = self.__dict__["__spec__"].loader
                loader.now.exec_module(self)
        return getattr(self, name)


class _LaterLoader(Loader):
    """Makes the empty module; keeps the loader that can fill it."""

    def __init__(self, now: Loader) -> None:
        self.now = now

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty."""


class _Finder(MetaPathFinder):
    """Finds the kernels, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations is None:
            spec.loader = _LaterLoader(spec.loader)
        return spec


def defer_kernels() -> None:
    """Import kernels late from now on in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
