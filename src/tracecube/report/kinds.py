"""Which pictures a night, an exposure and a target get, by the tags and nouns of the products there are."""

from __future__ import annotations

from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.companions import Companions
from tracecube.core.fibre_light import FibreThroughput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.finder import Finder
from tracecube.core.frame import Frame
from tracecube.core.labelled import SourceSpectrum
from tracecube.core.lines import Lines
from tracecube.core.optics import Layout, Lenslets, LineWings, PointPattern, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import DetectorFlat, GainMap
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SkySpectrum, SliceSky
from tracecube.core.slices import SliceLsf, SliceTraces, SliceWavelengths
from tracecube.core.sources import FieldSolution, Sources
from tracecube.core.spectra import Cube, Image, Response, Spectra, Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.star import StarCentre, StarPsf
from tracecube.core.target import PointSourceFit, Target
from tracecube.report.figures.alignment import alignment
from tracecube.report.figures.bundle_images import bundle_images
from tracecube.report.figures.centre_fit import centre_fit
from tracecube.report.figures.cube_channels import cube_channels
from tracecube.report.figures.cube_images import cube_images
from tracecube.report.figures.detector_flat import detector_flat
from tracecube.report.figures.fibre_throughput import fibre_throughput
from tracecube.report.figures.fibre_traces import fibre_traces
from tracecube.report.figures.fibre_wavelengths import fibre_wavelengths
from tracecube.report.figures.field_stars import field_stars
from tracecube.report.figures.flat_map import flat_map
from tracecube.report.figures.gain_map import gain_map
from tracecube.report.figures.laser_cube import laser_cube
from tracecube.report.figures.lenslet_map import lenslet_map
from tracecube.report.figures.line_candidates import line_candidates
from tracecube.report.figures.line_maps import line_maps
from tracecube.report.figures.line_wings import line_wings
from tracecube.report.figures.point_pattern import point_pattern
from tracecube.report.figures.psf_fit import psf_fit
from tracecube.report.figures.response import response
from tracecube.report.figures.sky_residuals import sky_residuals
from tracecube.report.figures.slice_lsf import slice_lsf
from tracecube.report.figures.slice_response import slice_response
from tracecube.report.figures.slice_sky import slice_sky
from tracecube.report.figures.slice_traces import slice_traces
from tracecube.report.figures.slice_wavelengths import slice_wavelengths
from tracecube.report.figures.spaxel_image import spaxel_image
from tracecube.report.figures.spectral_type import spectral_type
from tracecube.report.figures.spectrum import spectrum
from tracecube.report.figures.star_image import star_image
from tracecube.report.figures.throughput_curve import throughput_curve
from tracecube.report.figures.trace_map import trace_map
from tracecube.report.figures.verification import verification
from tracecube.report.figures.wavelength_map import wavelength_map
from tracecube.report.pictures import PictureKind, Source

__all__ = [
    "ALIGNMENT_PICTURES",
    "CALIBRATION_PICTURES",
    "CUBE_PICTURES",
    "EXPOSURE_PICTURES",
    "FIELD_PICTURES",
    "VERIFICATION",
]

_LAYOUT = Source(("LAYOUT", "NOMINAL_LAYOUT"), Layout)
_FLAT = Source(("LENSLET_FLAT", "FIBRE_FLAT"), Throughput)
_SOLUTION = Source(("WAVELENGTH",), WavelengthSolution)
_SOURCES = Source(("SOURCES",), Companions, needed=False)
_BUNDLES = Source(("CUBE",), Cube, many=True, most=12)  # of more, a picture would show none well

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
        "gain",
        "Gain of the outputs",
        "Good: outputs differ by some per cent without a trend, errors are below a per cent, and the chi-square of the "
        "pairs of exposures is near 1 everywhere.",
        (Source(("GAIN_MAP",), GainMap),),
        gain_map,
    ),
    PictureKind(
        "traces",
        "Trace map",
        "Good: traces cover the detector without gaps, flagged ones stand at its edges only, and widths change slowly.",
        (Source(("TRACES",), TraceSet), Source(("MASTER_DOME", "MASTER_FLAT"), Frame, needed=False)),
        trace_map,
    ),
    PictureKind(
        "fibretraces",
        "Traces of fibres",
        "Of the last CCD. Good: each trace lies on its light, red ones where there is none; distances in the slit are "
        "even but for its gaps; both amplifiers have one profile.",
        (Source(("TRACES",), TraceSets), Source(("MASTER_FLAT",), Frame, needed=False)),
        fibre_traces,
    ),
    PictureKind(
        "fibrewaves",
        "Wavelengths of fibres",
        "Of the last CCD. Good: no line stands out in one colour, scatter and claimed error of each line agree, means "
        "are zero within their errors, and the pulls follow the Gaussian.",
        (Source(("WAVELENGTH",), WavelengthSolutions),),
        fibre_wavelengths,
    ),
    PictureKind(
        "fibreflat",
        "Throughput of fibres",
        "Good: fibres differ by some per cent without pattern but for a step between the two spectrographs of a "
        "bundle; few are dark (grey); curves are flat.",
        (Source(("FIBRE_FLAT",), FibreThroughput),),
        fibre_throughput,
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
        "wings",
        "Wings of lines",
        "Light of a laser beyond its core, taken off spectra of the night. Good: about a per cent a pixel, falling "
        "away from the line, some per cent in all, and lines much alike; more in one pixel is a ghost, or a hit.",
        (Source(("LINE_WINGS",), LineWings),),
        line_wings,
    ),
    PictureKind(
        "lasers",
        "Lasers as a cube",
        "Good: each line stands in two or three channels over dark ones, and its image is smooth: stripes or single "
        "spaxels off the others have wrong wavelengths.",
        (Source(("LASER_CUBE",), Cube),),
        laser_cube,
    ),
    PictureKind(
        "points",
        "Pinholes",
        "Good: arrows (the distortion) change smoothly over the field, points left out stand at its edge, and what no "
        "cubic surface explains is some hundredths of a mas; its errors are those of photons alone.",
        (Source(("POINT_PATTERN",), PointPattern),),
        point_pattern,
    ),
    PictureKind(
        "flat",
        "Flat map",
        "Good: throughput is smooth over the field with few dark apertures, and the median colour is flat.",
        (_FLAT, _LAYOUT),
        flat_map,
    ),
    PictureKind(
        "slices",
        "Slices",
        "Of the last channel. Good: every slice lies between its edges, red ones nowhere; widths and gaps differ by a "
        "few pixels and change smoothly, the outermost are widest.",
        (Source(("TRACES",), SliceTraces), Source(("MASTER_FLAT",), Frame, needed=False)),
        slice_traces,
    ),
    PictureKind(
        "slicewaves",
        "Wavelengths of slices",
        "Of the last channel. Good: no line stands out in one colour in all slices, scatter and claimed error of each "
        "line agree, and the pulls follow the Gaussian.",
        (Source(("WAVELENGTHS",), SliceWavelengths),),
        slice_wavelengths,
    ),
    PictureKind(
        "slicelsf",
        "Line-spread function of slices",
        "Of the last channel. Good: widths change slowly with wavelength and by some per cent from slice to slice; "
        "profiles are alike, smooth, and skewed by little.",
        (Source(("LSF",), SliceLsf),),
        slice_lsf,
    ),
    PictureKind(
        "sliceresponse",
        "Response and bands of the atmosphere",
        "Good: the curve is smooth, the measured scatters about it within a per cent, bands have the known shape.",
        (Source(("RESPONSE",), SliceResponse), Source(("TELLURIC",), Telluric, needed=False)),
        slice_response,
    ),
    PictureKind(
        "response",
        "Response",
        "Good: every star agrees with the common response within a few per cent at all wavelengths.",
        (Source(("RESPONSE",), Response),),
        response,
    ),
)

ALIGNMENT_PICTURES = (
    PictureKind(
        "alignment",
        "Alignment of exposures",
        "Good: no source stands twice, circles lie on sources, offsets are tenths of an arcsec with errors of "
        "hundredths. Too few or too many sources: change srcmin, srcmax, the first threshold and its step. Many, and "
        "sources stand twice (a crowd): rsearch=[10,4,2,0.8] with nbins=20; for one field a smaller srcmax or a larger "
        "threshold and step, for a mosaic larger srcmin and srcmax. Many at edges: a larger bpixdistance.",
        (
            Source(("PREVIEW_FOV", "PREVIEW_FOV_SKY"), Image),
            Source(("OFFSETS", "OFFSETS_SKY"), Offsets),
            Source(("SOURCE_LIST", "SOURCE_LIST_SKY"), SourceList, needed=False),
        ),
        alignment,
    ),
)

FIELD_PICTURES = (
    PictureKind(
        "field",
        "Field and its stars",
        "Good: arrows point anywhere and are as long as their errors; magnitudes agree with the catalogue within a few "
        "hundredths down to the faintest; the exposures' offsets are known to hundredths of an arcsec.",
        (Source(("FIELD",), FieldSolution), Source(("SOURCES",), Sources)),
        field_stars,
    ),
    PictureKind(
        "bundles",
        "Bundles",
        "Mean light, 4200 to 5400 Angstrom, at most twelve bundles; circles are sources of the catalogue, squares "
        "candidates of lines. Good: stars lie in their circles, the ground is even without stripes, squares are few.",
        (_BUNDLES, Source(("SOURCES",), Sources, needed=False), Source(("LINES",), Lines, needed=False)),
        bundle_images,
    ),
    PictureKind(
        "candidates",
        "Candidates of emission lines",
        "Light in the line less that beside it, and the spectrum within 2 arcsec with its error. Good: the image is a "
        "point in the circle, and the line stands alone over a ground that scatters as its errors say.",
        (Source(("LINES",), Lines), _BUNDLES),
        line_candidates,
    ),
    PictureKind(
        "throughput",
        "Throughput curve",
        "Good: the curve is that of the instrument, its height within tens of per cent of 16 per cent at 4500 "
        "Angstrom; stars are smooth but for their own lines.",
        (Source(("SPECTRUM",), SourceSpectrum, many=True, most=200), Source(("FIELD",), FieldSolution, needed=False)),
        throughput_curve,
    ),
    PictureKind(
        "fibresky",
        "What the sky leaves",
        "Of the last bundle. Good: no stripes along an amplifier or down a column, blank fibres' residuals are as "
        "wide as their errors in every amplifier, and their mean is within some tenths of a per cent of the sky.",
        (Source(("SKY_SUBTRACTED",), FibreSpectra),),
        sky_residuals,
    ),
)
"""Of an observation of many fibre bundles in several exposures."""

VERIFICATION = PictureKind(
    "verify",
    "Verification",
    "Good: the centroid (red cross: by the guider, red circle: by brightness, black cross: by hand) is on the source "
    "that the finder's red angle shows, residuals are noise, and the spectrum has good signal to noise.",
    (
        Source(("SPECTRA",), Spectra),
        Source(("TARGET", "STANDARD_TARGET"), Target, having=("PICTNAME",)),
        Source(("PSF_FIT",), PointSourceFit, needed=False),
        Source(("FINDER",), Finder, needed=False),
        Source(("SPECTRUM",), Spectrum, needed=False),
        Source(("CLASSIFICATION",), SpectralType, needed=False),
    ),
    verification,
    named="PICTNAME",
)
"""What an observer looks at to believe an extraction; its file has the name that the observatory gives it."""

EXPOSURE_PICTURES = (
    VERIFICATION,
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
        "type",
        "Type",
        "Good: the template follows every feature of the spectrum, one type has nearly all of the probability, and one "
        "redshift.",
        (Source(("CLASSIFICATION",), SpectralType),),
        spectral_type,
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

CUBE_PICTURES = (
    PictureKind(
        "cube",
        "Cube",
        "Good: stars are round, no stripes along slices nor steps between channels show in the ground, and what the "
        "sky leaves stays within the orange lines.",
        (Source(("CUBE", "CUBE_SKY"), Cube),),
        cube_images,
    ),
    PictureKind(
        "slicesky",
        "Sky, slice by slice",
        "Good: brightness differs by a per cent, shifts by some tens of mÅ within a channel; channels differ by their "
        "temperature. A step or a slope with the number of the slice is a fault of the flat or the wavelengths.",
        (Source(("SKY_OBJECT", "SKY_SKY"), SliceSky), Source(("SKY_SPECTRUM",), SkySpectrum)),
        slice_sky,
    ),
)
"""Of an exposure that goes from its pixels straight to a cube."""
