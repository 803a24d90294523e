"""Text tables that lie beside the frames: focal plane, fibres of a bundle, stars of the field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.simulation.field import Source, Star
from tracecube.instruments.virus.simulation.geometry import Pointing, bundle
from tracecube.instruments.virus.simulation.headers import Unit
from tracecube.simulate.night import text_table
from tracecube.simulate.scene import planck

__all__ = ["bundle_table", "catalogue", "focal_plane"]

_BANDS = {"gApMag": 4866.0, "rApMag": 6215.0, "iApMag": 7545.0, "zApMag": 8679.0, "yApMag": 9633.0}
_ELSEWHERE = 150  # stars of the field that no bundle sees
_FIELD = 640.0  # arcsec
_FAINTEST = 22.0
_PLACE, _MAGNITUDE = 0.01, 0.01  # errors of the catalogue: arcsec, mag


def focal_plane(units: Sequence[Unit], day: datetime) -> RawFrame:
    """Places of the bundles, arcsec."""
    columns = {
        "IFUSLOT": [f"{unit.slot:03d}" for unit in units],
        "X_FP": [f"{unit.x:.3f}" for unit in units],
        "Y_FP": [f"{unit.y:.3f}" for unit in units],
        "SPECID": [str(unit.specid) for unit in units],
        "SPECSLOT": [str(200 + unit.slot) for unit in units],
        "IFUID": [unit.ifuid for unit in units],
        "IFUROT": ["0.0"] * len(units),
        "PLATESC": ["1.0"] * len(units),
    }
    return text_table(f"fplane{day:%Y%m%d}.txt", "FPLANE", columns)


def bundle_table() -> RawFrame:
    """Places of the fibres in a bundle, arcsec: no line of names, as at the observatory."""
    places = bundle()
    count = np.arange(len(places))
    columns = {
        "col1": [f"{i + 1:04d}" for i in count],
        "col2": [f"{x:.2f}" for x in places[:, 0]],
        "col3": [f"{y:.2f}" for y in places[:, 1]],
        "col4": ["L" if i < len(places) // 2 else "R" for i in count],
        "col5": [f"{i % (len(places) // 2) + 1:04d}" for i in count],
        "col6": ["1.000"] * len(places),
    }
    made = text_table("IFUcen_HETDEX.txt", "IFUCEN", columns)
    cards = {"TITLE": "HETDEX IFU description file", **made.meta}
    return RawFrame(made.name, made.tag, cards, made.images, made.tables)


def catalogue(
    sources: Sequence[Source], places: tuple[FloatArray, FloatArray], pointing: Pointing, rng: np.random.Generator
) -> RawFrame:
    """Stars of the field as a survey has them, with its small errors; AB magnitudes in five bands."""
    seen = [i for i, source in enumerate(sources) if isinstance(source, Star) and source.g < _FAINTEST]
    stars = [source for source in sources if isinstance(source, Star) and source.g < _FAINTEST]
    x, y = rng.uniform(-_FIELD, _FIELD, (2, _ELSEWHERE))
    others = pointing.sky(x, y)
    ra, dec = (np.concatenate([np.asarray(here)[seen], there]) for here, there in zip(places, others, strict=True))
    dec = dec + rng.normal(0.0, _PLACE / 3600.0, dec.size)
    ra = ra + rng.normal(0.0, _PLACE / 3600.0, ra.size) / np.cos(np.radians(dec))
    g = np.concatenate([[star.g for star in stars], rng.uniform(15.0, _FAINTEST, _ELSEWHERE)])
    warm = np.concatenate([[star.temperature for star in stars], rng.uniform(4000.0, 7500.0, _ELSEWHERE)])
    order = rng.permutation(g.size)
    columns = {
        "objID": [f"{171120000000000000 + i * 7919}" for i in range(g.size)],
        "raMean": [f"{value:.7f}" for value in ra[order]],
        "decMean": [f"{value:.7f}" for value in dec[order]],
    }
    for band, wave in _BANDS.items():
        colour = np.array([_magnitude_from_g(t, wave) for t in warm])
        values = g + colour + rng.normal(0.0, _MAGNITUDE, g.size)
        columns[band] = [f"{value:.3f}" for value in values[order]]
    return text_table("panstarrs_field", "STAR_CATALOGUE", columns)


def _magnitude_from_g(temperature: float, wave: float) -> float:
    """Colour of a black body against the g band."""
    at = np.array([wave, _BANDS["gApMag"]])
    per_hertz = planck(at, temperature) * at**2
    return float(-2.5 * np.log10(per_hertz[0] / per_hertz[1]))
