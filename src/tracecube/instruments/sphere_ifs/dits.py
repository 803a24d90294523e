"""Frames of unlike integration times (DIT) brought to one: spectra count electrons in a DIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs.headers import integration_time
from tracecube.instruments.sphere_ifs.star_place import frame_name

__all__ = ["on_one_dit"]

_SAME = 1e-4  # relative: headers round to 10 microseconds


def on_one_dit(spectra: Sequence[Spectra], dit: float) -> tuple[list[Spectra], tuple[str, ...]]:
    """Return spectra as integrations of ``dit`` seconds would have them: light in proportion, noise with it.

    Parameters
    ----------
    spectra : sequence of Spectra
        Electron / Angstrom in their own DITs.
    dit : float, s

    Returns
    -------
    spectra : list of Spectra
        Those of this DIT are what they were; the head of the others has it.
    caveats : tuple of str
        Names the other DITs.

    Raises
    ------
    MissingInput
        A header does not tell its integration time.
    """
    times = [integration_time(one.meta, frame_name(one.meta)) for one in spectra]
    other = sorted({time for time in times if abs(time / dit - 1.0) >= _SAME})
    if not other:
        return list(spectra), ()
    known = ", ".join(f"{time:g}" for time in other)
    caveat = f"DITs of {known} s beside others of {dit:g} s: their light and noise are brought to {dit:g} s"
    pairs = zip(spectra, times, strict=True)
    return [_of_dit(one, time, dit) if time in other else one for one, time in pairs], (caveat,)


def _of_dit(one: Spectra, own: float, dit: float) -> Spectra:
    """Return spectra of an integration of ``own`` seconds as one of ``dit``."""
    f, meta = np.float32(dit / own), {**one.meta, "ESO DET SEQ1 DIT": dit}
    return replace(one, flux=one.flux * f, variance=one.variance * f**2, covariance=one.covariance * f**2, meta=meta)
