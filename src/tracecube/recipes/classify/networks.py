"""The packaged networks and the numbers that make their words probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.type_network import Networks
from tracecube.recipes.classify.library import PACKAGE

__all__ = ["Learnt", "learnt"]


@dataclass(frozen=True)
class Learnt:
    """Networks and calibration, learnt by ``bench/spectral_types/train.py``.

    Parameters
    ----------
    networks : Networks
    left_out : int array (networks,)
        Fold of objects that each network has not seen.
    objects : str array (n,)
    fold : int array (n,)
        Fold of each object of the library.
    weights : array (2,)
        Of the network's energy and of the templates' score in the log probability of kind and redshift.
    slope : array (2, 2)
        Of the log probability of a class, at signal to noise 20 and its change with the log of that; redshift unknown,
        and known.
    offset : array (2, classes)
    z_scale, z_floor : float
        Error of a redshift: scale times the posterior's width, and what is added in squares.
    age_scale : float
        Error of an age over the scatter of the best templates.
    """

    networks: Networks
    left_out: IntArray
    objects: NDArray[np.str_]
    fold: IntArray
    weights: FloatArray
    slope: FloatArray
    offset: FloatArray
    z_scale: float
    z_floor: float
    age_scale: float

    def without(self, objects: Sequence[str]) -> Networks:
        """Return the networks that have seen none of these objects.

        Raises
        ------
        BadData
            There is none.
        """
        folds = set(self.fold[np.isin(self.objects, list(objects))].tolist())
        if not folds:
            return self.networks
        rows = np.flatnonzero([folds <= {int(fold)} for fold in self.left_out])
        if not rows.size:
            raise BadData(
                f"objects left out {', '.join(objects)}: every network has seen one of them",
                hint="leave out objects of one fold, one alone for example",
            )
        return self.networks.chosen(rows)


@cache
def learnt() -> Learnt:
    """Return what is packaged."""
    with as_file(files(PACKAGE).joinpath("static", "networks.npz")) as path, np.load(path) as held:
        parts = {name: held[name] for name in held.files}
    layers = [parts[name].astype(np.float32) for name in Networks._fields]
    return Learnt(
        networks=Networks(*layers),
        left_out=parts["left_out"].astype(np.int64),
        objects=parts["objects"],
        fold=parts["fold"].astype(np.int64),
        weights=parts["weights"],
        slope=parts["slope"],
        offset=parts["offset"],
        z_scale=float(parts["z_scale"]),
        z_floor=float(parts["z_floor"]),
        age_scale=float(parts["age_scale"]),
    )
