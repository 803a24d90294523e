"""Type, redshift and age of a spectrum: networks and templates together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.kernels.template_match import Match, correlate, score
from tracecube.kernels.type_network import energies, inputs
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES, TYPE_OF, TYPES
from tracecube.recipes.classify.library import matched, templates
from tracecube.recipes.classify.matches import Candidate, best_rows, fitted
from tracecube.recipes.classify.measures import measured
from tracecube.recipes.classify.networks import learnt
from tracecube.recipes.classify.parameters import LIBRARY_RESOLUTION, ClassifyParams
from tracecube.recipes.classify.prepare import Prepared, prepare
from tracecube.recipes.classify.product import caveats, fields, matches, quality_numbers

__all__ = ["SURVEY", "Evidence", "Verdict", "classified", "evidence", "own_rows", "verdict"]

SURVEY = (0.72, 0.055, 0.21, 0.015)
"""Shares of the classes among transients brighter than magnitude 18.5 (Perley et al. 2020, ApJ 904, 35)."""


@dataclass(frozen=True)
class Evidence:
    """What networks and templates say of a spectrum, whatever the redshift is known to be.

    Parameters
    ----------
    energy : array (m, kinds)
    kinds : array (kinds, m)
        Score of the best object of each kind at each redshift.
    score : array (n, m)
        Of each template; 0 for those left out.
    match : Match
    kept : bool array (n,)
        Templates that were not left out.
    """

    energy: FloatArray
    kinds: FloatArray
    score: FloatArray
    match: Match
    kept: BoolArray


@dataclass(frozen=True)
class Verdict:
    """The most probable class, of it the type, of that the kind.

    Parameters
    ----------
    joint : array (kinds, m)
        Calibrated probability of kind and redshift.
    classes : array (classes,)
    type, kind : int
    """

    joint: FloatArray
    classes: FloatArray
    type: int
    kind: int

    @property
    def spread(self) -> FloatArray:
        """Probability of each redshift together with the type, array (m,)."""
        return np.asarray(self.joint[self.type == TYPE_OF].sum(0))


def evidence(ready: Prepared, most_redshift: float, exclude: Sequence[str] = ()) -> Evidence:
    """Ask networks and templates, those apart that know one of the objects in ``exclude``."""
    held, shifts = templates(), posterior.SHIFTS[: posterior.reach(most_redshift)]
    match = correlate(matched(LIBRARY_RESOLUTION), ready.flat, shifts)
    each = score(match)
    left_out = np.flatnonzero(np.isin(held.objects, list(exclude)))
    kept = ~np.isin(held.object, left_out)
    each[~kept] = 0.0
    best = posterior.by_object(each, held, left_out)
    energy = energies(learnt().without(exclude), inputs(ready.flat, shifts))
    return Evidence(energy, posterior.by_kind(best, held), each, match, kept)


def verdict(found: Evidence, params: ClassifyParams, snr: float) -> Verdict:
    """Weigh all kinds at all redshifts, and choose."""
    known = learnt()
    prior = posterior.z_prior(params.redshift, params.redshift_error, params.least_redshift, params.most_redshift)
    joint = posterior.probabilities(found.energy, found.kinds, prior[: len(found.energy)], known.weights)
    shares = np.array(SURVEY) if params.prior == "survey" else None
    joint = posterior.calibrated(joint, known, snr, known=params.redshift is not None, shares=shares)
    each = joint.sum(1)
    classes = np.array([each[k == CLASS_OF].sum() for k in range(len(CLASSES))])
    inside = np.where(classes.argmax() == CLASS_OF, each, -1.0)
    types = np.array([inside[k == TYPE_OF].sum() for k in range(len(TYPES))])
    chosen = int(types.argmax())
    return Verdict(joint, classes, chosen, int(np.where(chosen == TYPE_OF, inside, -1.0).argmax()))


def own_rows(found: Evidence, said: Verdict, most: int) -> list[tuple[int, int]]:
    """Return the best templates of the type near its redshift, (row, shift), best first."""
    held = templates()
    own = np.flatnonzero((TYPE_OF[held.kind] == said.type) & found.kept)
    return best_rows(found.score, held, own, int(said.spread.argmax()), most)


def _candidates(ready: Prepared, found: Evidence, rows: list[tuple[int, int]]) -> list[Candidate]:
    """Fit templates together with a host galaxy."""
    galaxies = np.flatnonzero((templates().type == "Galaxy") & found.kept)
    return [
        fitted(
            ready.flat,
            matched(LIBRARY_RESOLUTION),
            row,
            shift,
            score=found.score[row],
            overlap=float(found.match.overlap[row, shift]),
            galaxies=galaxies,
        )
        for row, shift in rows
    ]


def classified(spectrum: Spectrum, params: ClassifyParams) -> tuple[SpectralType, list[QualityNumber], list[str]]:
    """Classify a spectrum.

    Raises
    ------
    BadData
        Too little of the spectrum can be used.
    """
    ready = prepare(spectrum, params.low, params.high, params.resolution, LIBRARY_RESOLUTION)
    held, known = templates(), params.redshift is not None
    found = evidence(ready, max(params.most_redshift, params.redshift or 0.0), params.exclude)
    said = verdict(found, params, ready.snr)
    rows = own_rows(found, said, params.matches)
    measures = measured(said.spread, found.score, rows, held, learnt(), known=known)
    near = best_rows(found.score, held, np.flatnonzero(found.kept), int(said.spread.argmax()), params.matches)
    result = SpectralType(
        **fields(ready, said.joint, (said.type, said.kind, said.classes), measures),
        **matches(ready, _candidates(ready, found, rows[:1]), _candidates(ready, found, near), held),
        redshift_given=np.nan if params.redshift is None else params.redshift,
        meta=spectrum.meta,
    )
    return result, quality_numbers(ready, result), caveats(ready, result)
