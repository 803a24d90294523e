"""Which pictures the surroundings of a star get, of all its integrations together."""

from __future__ import annotations

from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve, ResidualCube
from tracecube.core.spectra import Cube, Image, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.report.figures.centre_drift import centre_drift
from tracecube.report.figures.companion_spectra import companion_spectra
from tracecube.report.figures.contrast import contrast
from tracecube.report.figures.cube_images import cube_images
from tracecube.report.figures.detection_map import detection_map
from tracecube.report.figures.residual_cube import residual_cube
from tracecube.report.pictures import PictureKind, Source

__all__ = ["SURROUNDINGS_PICTURES"]

_SOURCES = Source(("SOURCES",), Companions, needed=False)

SURROUNDINGS_PICTURES = (
    PictureKind(
        "stack",
        "All DITs in one cube",
        "Good: north is up, companions are as round as the star's image, and what stood still on the lenslets is "
        "smeared along arcs about the star.",
        (Source(("STACKED_CUBE",), Cube),),
        cube_images,
    ),
    PictureKind(
        "residual",
        "Without speckles",
        "Good: what is left about the star is alike in all directions, companions stand out of it as round as the "
        "star's image, with dark wings where the speckle model took some of their light; throughput rises outwards, "
        "where channels come together.",
        (Source(("RESIDUAL_CUBE",), ResidualCube),),
        residual_cube,
    ),
    PictureKind(
        "detection",
        "Search for companions",
        "Good: without the companions nothing beyond ± 5 is left, and the noise looks alike at all distances. Dark "
        "wings beside a bright companion are its own light in the speckle model; grey: not measured.",
        (
            Source(("DETECTION_MAP",), Image),
            _SOURCES,
            Source(("IMAGE",), Image, needed=False),
        ),
        detection_map,
    ),
    PictureKind(
        "companions",
        "Spectra of the companions",
        "Good: neighbouring channels agree within their errors, and no spectrum repeats the star's water bands.",
        (Source(("SPECTRUM",), CompanionSpectrum, many=True), _SOURCES),
        companion_spectra,
    ),
    PictureKind(
        "contrast",
        "Contrast curve",
        "Good: the limit lies far below the halo and falls outwards; of injected companions all is found, at every "
        "distance; companions lie above the limit.",
        (
            Source(("CONTRAST_CURVE",), ContrastCurve),
            _SOURCES,
            Source(("STAR_PSF",), StarPsf, needed=False),
            Source(("CHANNELS",), Spectra, needed=False),
            Source(("DIT_CENTRE",), StarCentre, needed=False),
        ),
        contrast,
    ),
    PictureKind(
        "drift",
        "Star centre of every integration",
        "Good: the star drifts by a few mas at most, smoothly, and all places are found the same way.",
        (Source(("DIT_CENTRE",), StarCentre, many=True),),
        centre_drift,
    ),
)
