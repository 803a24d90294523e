"""What SEDM's reduction knows beforehand: arc lines, dispersion law, sky. Sources are in the files."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracecube.recipes.optics.arcs import DispersionGuess, LineList
    from tracecube.recipes.optics.flexure import SkyModel

__all__ = ["arc_lines", "dispersion_guess", "sky_model"]

# Wavelength (nm) against pixel from the red end, 0 to 264: Chebyshev sum, fiducial spaxel of the older SEDM
# pipeline (kpy).
FIDUCIAL = (1066.97198, -5.82924699, 9.12740701e-3, -5.84149923e-6, -7.65158285e-10)
# Telluric species and where they absorb (Angstrom).
TELLURIC = {
    "O2 B": (6800.0, 6990.0),
    "O2 A": (7560.0, 7740.0),
    "H2O 7250": (7140.0, 7420.0),
    "H2O 8250": (8080.0, 8430.0),
    "H2O 9400": (8900.0, 9990.0),
}


def _rows(name: str) -> list[dict[str, str]]:
    """Rows of a packaged table, without its comments."""
    text = files("tracecube.instruments.sedm").joinpath("static", name).read_text()
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@cache
def arc_lines() -> LineList:
    """Lines of the Hg, Cd and Xe lamps."""
    from tracecube.recipes.optics.arcs import LineList  # noqa: PLC0415 - brings numba, not wanted for planning

    rows = _rows("arc_lines.csv")
    return LineList(
        np.array([row["lamp"] for row in rows]),
        np.array([float(row["wave"]) for row in rows]),
        np.array([float(row["seed"]) for row in rows]),
    )


@cache
def dispersion_guess() -> DispersionGuess:
    """Nominal prism law."""
    from tracecube.recipes.optics.arcs import DispersionGuess  # noqa: PLC0415 - brings numba

    pixel = np.arange(-8.0, 272.0)
    wave = 10.0 * np.polynomial.chebyshev.chebval(pixel, FIDUCIAL)
    order = np.argsort(wave)
    return DispersionGuess(wave[order], pixel[order])


@cache
def sky_model() -> SkyModel:
    """Airglow and street lamps, sunlight, telluric bands."""
    from tracecube.recipes.optics.flexure import SkyModel  # noqa: PLC0415 - brings numba

    lines, sun = _rows("night_sky_lines.csv"), _rows("solar_spectrum.csv")
    telluric = np.load(str(files("tracecube.instruments.sedm").joinpath("static", "telluric.npz")))
    wave, transmission = telluric["wave"], telluric["oxygen"] * telluric["water"]
    bands = {
        name: (wave, np.where((wave > low) & (wave < high), 1.0 - transmission, 0.0))
        for name, (low, high) in TELLURIC.items()
    }
    return SkyModel(
        line_wave=np.array([float(row["wave"]) for row in lines]),
        line_strength=np.array([float(row["strength"]) for row in lines]),
        line_carrier=np.array([row["carrier"] for row in lines]),
        absorption=bands,
        solar=(np.array([float(row["wave"]) for row in sun]), np.array([float(row["flux"]) for row in sun])),
    )
