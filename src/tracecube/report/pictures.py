"""Which pictures a night and an exposure get, drawn only when a product of theirs changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tracecube.archive.records import ProductRecord
from tracecube.core.errors import TracecubeError
from tracecube.core.frame import Frame
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.spectra import Response, Spectra, Spectrum
from tracecube.core.target import PointSourceFit, Target
from tracecube.io import read_product
from tracecube.report.figures.flat_map import flat_map
from tracecube.report.figures.psf_fit import psf_fit
from tracecube.report.figures.response import response
from tracecube.report.figures.spaxel_image import spaxel_image
from tracecube.report.figures.spectrum import spectrum
from tracecube.report.figures.style import png
from tracecube.report.figures.trace_map import trace_map
from tracecube.report.figures.wavelength_map import wavelength_map

__all__ = ["CALIBRATION_PICTURES", "EXPOSURE_PICTURES", "Picture", "PictureKind", "draw_all"]

DRAWING = "4"
"""Changes when a figure function draws the same product differently."""


@dataclass(frozen=True)
class PictureKind:
    """A kind of picture and the products it is drawn from.

    Parameters
    ----------
    name, title : str
        Part of the file name, and words over the picture.
    sources : tuple of (tags, noun)
        One argument each of ``draw``: the first of the tags that there is a product of. The first
        source must be there; the others are None when absent.
    draw : callable
    needs : int
        How many of the sources must be there.
    """

    name: str
    title: str
    sources: tuple[tuple[tuple[str, ...], type], ...]
    draw: Callable[..., Figure]
    needs: int = 1


CALIBRATION_PICTURES = (
    PictureKind("traces", "Trace map", ((("TRACES",), TraceSet), (("MASTER_DOME", "MASTER_FLAT"), Frame)), trace_map),
    PictureKind(
        "wavelength",
        "Wavelength solution",
        ((("WAVELENGTH",), WavelengthSolution), (("LAYOUT",), Layout)),
        wavelength_map,
        needs=2,
    ),
    PictureKind(
        "flat", "Flat map", ((("LENSLET_FLAT", "FIBRE_FLAT"), Throughput), (("LAYOUT",), Layout)), flat_map, needs=2
    ),
    PictureKind("response", "Response", ((("RESPONSE",), Response),), response),
)

EXPOSURE_PICTURES = (
    PictureKind(
        "spaxels",
        "Field",
        ((("SPECTRA",), Spectra), (("TARGET",), Target), (("PSF_FIT",), PointSourceFit)),
        spaxel_image,
    ),
    PictureKind("psf", "Point source: data, model, residual", ((("PSF_FIT",), PointSourceFit),), psf_fit),
    PictureKind("spectrum", "Spectrum", ((("SPECTRUM", "SPECTRUM_UNCAL"), Spectrum),), spectrum),
)


@dataclass(frozen=True)
class Picture:
    """A picture as the page shows it: its file beside the page, or why there is none."""

    title: str
    file: str
    problem: str = ""


def draw_all(folder: Path, kinds: Sequence[PictureKind], made: Sequence[ProductRecord]) -> list[Picture]:
    """Draw the pictures that these products allow, and return them.

    Parameters
    ----------
    folder : Path
        Where the pictures are kept, by the content they show.
    kinds : sequence of PictureKind
    made : sequence of ProductRecord
        Products of one night or of one exposure; of several with one tag the last counts.
    """
    by_tag = {product.tag: product for product in made}
    found = []
    for kind in kinds:
        sources = [next((by_tag[tag] for tag in tags if tag in by_tag), None) for tags, _ in kind.sources]
        if all(source is not None for source in sources[: kind.needs]):
            found.append(_picture(folder, kind, sources))
    return found


def _picture(folder: Path, kind: PictureKind, sources: Sequence[ProductRecord | None]) -> Picture:
    """Return a picture, drawn now unless one of the same content is there."""
    content = "".join(source.sha256 if source else "-" for source in sources)
    digest = hashlib.sha256(f"{DRAWING}{kind.name}{content}".encode()).hexdigest()[:16]
    path = folder / f"{kind.name}-{digest}.png"
    if not path.exists():
        try:
            nouns = [
                read_product(s.path, noun) if s else None for s, (_, noun) in zip(sources, kind.sources, strict=True)
            ]
        except TracecubeError as error:
            return Picture(kind.title, "", str(error))
        _store(path, kind.draw(*nouns))
    return Picture(kind.title, path.name)


def _store(path: Path, figure: Any) -> None:
    """Write a picture so that none is ever seen half."""
    part = path.with_suffix(".part")
    part.write_bytes(png(figure))
    part.replace(path)
