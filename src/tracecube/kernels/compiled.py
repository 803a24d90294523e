"""How kernels with loops are compiled: by numba, in one way for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

Made = TypeVar("Made")


def compiled(**options: Any) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Compile a kernel for each kind of arrays that it is called with, and keep the code on the disk.

    It runs without Python's lock, so it must touch nothing but its arguments.

    Parameters
    ----------
    **options
        As `numba.njit` takes them: ``fastmath``, ``inline``, ``error_model``.

    Returns
    -------
    callable
        A decorator. For type checkers the kernel keeps what it returns; its arguments may be of any precision.
    """
    return cast("Callable[..., Callable[..., Made]]", numba.njit(cache=True, nogil=True, **options))
