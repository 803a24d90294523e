"""Which pictures a night, an exposure and a target get, by the tags and nouns of the products there are."""

from __future__ import annotations

from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve
from tracecube.core.frame import Frame
from tracecube.core.optics import Layout, Lenslets, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import DetectorFlat
from tracecube.core.spectra import Cube, Image, Response, Spectra, Spectrum
from tracecube.core.star import StarCentre, StarPsf
from tracecube.core.target import PointSourceFit, Target
from tracecube.report.figures.centre_drift import centre_drift
from tracecube.report.figures.centre_fit import centre_fit
from tracecube.report.figures.companion_spectra import companion_spectra
from tracecube.report.figures.contrast import contrast
from tracecube.report.figures.cube_channels import cube_channels
from tracecube.report.figures.detection_map import detection_map
from tracecube.report.figures.detector_flat import detector_flat
from tracecube.report.figures.flat_map import flat_map
from tracecube.report.figures.lenslet_map import lenslet_map
from tracecube.report.figures.line_maps import line_maps
from tracecube.report.figures.psf_fit import psf_fit
from tracecube.report.figures.response import response
from tracecube.report.figures.spaxel_image import spaxel_image
from tracecube.report.figures.spectrum import spectrum
from tracecube.report.figures.star_image import star_image
from tracecube.report.figures.trace_map import trace_map
from tracecube.report.figures.wavelength_map import wavelength_map
from tracecube.report.pictures import PictureKind, Source

__all__ = ["CALIBRATION_PICTURES", "EXPOSURE_PICTURES", "SURROUNDINGS_PICTURES"]

_LAYOUT = Source(("LAYOUT",), Layout)
_FLAT = Source(("LENSLET_FLAT", "FIBRE_FLAT"), Throughput)
_SOLUTION = Source(("WAVELENGTH",), WavelengthSolution)
_SOURCES = Source(("SOURCES",), Companions, needed=False)

CALIBRATION_PICTURES = (
    PictureKind(
        "detector",
        "Detector flat",
        "Stripes are amplifiers. Good: no spectra or fringes shine through, the error of a pixel is well below the "
        "spread of the pixels, and bad pixels lie evenly but for a few columns.",
        (Source(("DETECTOR_FLAT",), DetectorFlat),),
        detector_flat,
    ),
    PictureKind(
        "traces",
        "Trace map",
        "Good: traces cover the detector without gaps, flagged ones stand at its edges only, and widths change slowly.",
        (Source(("TRACES",), TraceSet), Source(("MASTER_DOME", "MASTER_FLAT"), Frame, needed=False)),
        trace_map,
    ),
    PictureKind(
        "lenslets",
        "Lenslet map",
        "Good: lenslets that are not good are those that the detector's edge cuts, and single ones; throughput is "
        "smooth but for dust.",
        (_LAYOUT, _FLAT, Source(("LENSLETS",), Lenslets, needed=False)),
        lenslet_map,
    ),
    PictureKind(
        "wavelength",
        "Wavelength solution",
        "Good: the histogram follows the Gaussian (residuals are what their errors say), the field shows no pattern, "
        "and the mean of each line is zero within its error.",
        (_SOLUTION, _LAYOUT),
        wavelength_map,
    ),
    PictureKind(
        "lines",
        "Wavelength residuals line by line",
        "Good: rms and claimed error agree, and the means of neighbours are a patternless fraction of the residuals.",
        (_SOLUTION, _LAYOUT),
        line_maps,
    ),
    PictureKind(
        "flat",
        "Flat map",
        "Good: throughput is smooth over the field with few dark apertures, and the median colour is flat.",
        (_FLAT, _LAYOUT),
        flat_map,
    ),
    PictureKind(
        "response",
        "Response",
        "Good: every star agrees with the common response within a few per cent at all wavelengths.",
        (Source(("RESPONSE",), Response),),
        response,
    ),
)

EXPOSURE_PICTURES = (
    PictureKind(
        "spaxels",
        "Field",
        "Good: the target is where it is marked, and no stripes or blocks of spaxels stand out.",
        (
            Source(("SPECTRA",), Spectra),
            Source(("TARGET",), Target, needed=False),
            Source(("PSF_FIT",), PointSourceFit, needed=False),
            Source(("DIT_CENTRE", "STAR_CENTRE"), StarCentre, needed=False),
        ),
        spaxel_image,
    ),
    PictureKind(
        "psf",
        "Point source: data, model, residual",
        "Good: residuals are noise of width 1, and the cross is on the source in every band.",
        (Source(("PSF_FIT",), PointSourceFit),),
        psf_fit,
    ),
    PictureKind(
        "spectrum",
        "Spectrum",
        "Good: no residuals of sky lines beyond the error band, and few flagged samples.",
        (Source(("SPECTRUM", "SPECTRUM_UNCAL"), Spectrum),),
        spectrum,
    ),
    PictureKind(
        "centre",
        "Star centre from satellite spots",
        "Good: circles are on the spots; all spots leave the model outwards by the same amount (steep spectra shift "
        "the mean wavelength of a channel, which moves no star), along the circle by noise; the star of single "
        "channels scatters about zero as its errors say.",
        (
            Source(("STAR_CENTRE", "DIT_CENTRE"), StarCentre, cards={"CENHOW": "spots"}),
            Source(("CENTER_CHANNELS", "CHANNELS"), Spectra, needed=False),
        ),
        centre_fit,
    ),
    PictureKind(
        "star",
        "Star beside its mask",
        "Grey: less light than background. Good: the core is round and as wide as the aperture allows, profiles of all "
        "channels fall on one another, and the spectrum is smooth but for the atmosphere.",
        (Source(("STAR_PSF",), StarPsf),),
        star_image,
    ),
    PictureKind(
        "channels",
        "Channels of the cube",
        "Good: the star (+) is the centre of ring and speckles in all channels; those move outwards with wavelength, "
        "companions stay.",
        (Source(("CUBE",), Cube), Source(("DIT_CENTRE",), StarCentre)),
        cube_channels,
    ),
)

SURROUNDINGS_PICTURES = (
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
