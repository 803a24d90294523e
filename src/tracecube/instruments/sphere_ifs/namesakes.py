"""ESO's recipes of the same purpose: how their parameters are called here, or why there is none.

Names and defaults of the SPHERE pipeline manual 1.53. A parameter of the same meaning has the name as alias of
its field; those listed here have no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tracecube.core.fields import Scalar
from tracecube.core.workflow import Namesake

__all__ = ["NAMESAKES", "PRESETS"]

_MEAN = "frames are combined by coll_alg, outliers found by the model"
_CLEAN = "a clean mean leaves out what lies off the median by several times its noise, not a number of samples"
_NAMES = "files are named by what is in them: see `tracecube products`"
_FILES = "calibrations are found by association"
_BADPIX = "set low, high and chi2 of ifs_detector_flat: bad pixels weigh zero in every lamp frame"
_ILLUMINATION = "the footprint of every lenslet is measured; none is assumed"
_CROSSTALK = "neighbours are solved for together: nothing is left for a correction"

_QUALITY = (
    "RON", "RON RMS", "MEAN RON", "GAIN", "GAIN RMS", "NUM HOTPIXELS", "NUM BADPIXELS", "FPN", "RMS", "LAMP FLUX AVG",
    "LAMP ADU AVG", "LAMP FLUX VARIANCE", "PREAMP CORR *", "NUMBER SPECTRA", "SCALE MEASURED", "FLUX LASER?",
    "RESPOW LASER?",
    "MEDIAN DISPERSION", "MEDIAN RESOLVING POWER", "MIN LAMBDA", "BACKGROUND MEAN", "BACKGROUND RMS",
    "BACKGROUND MEDIAN", "DISTMAP NPOINTS OBS", "DISTMAP NREMOVED", "DISTMAP PIXSCALE", "DISTMAP POLFIT CHI?",
    "DISPERSION", "DISPERSION RMS", "FLAT NONLINEARITY", "NUM OUT OF DISP", "BAD SPECTRA",
)  # fmt: skip
"""Quality numbers that ESO's recipes write too, as ESO QC cards; units are those in the cards' comments."""

_DARK = Namesake("ifs.master_dark", {"badpixfilename": _FILES})
_BACKGROUND = Namesake("ifs.cal_background", {})
_DETECTOR_FLAT = Namesake(
    "ifs.master_detector_flat",
    {
        "clean_mean.*": "exposures are fitted, not combined",
        "make_badpix": "bad pixels are flagged in every flat, and collected by ifs_static_bad_pixel_map",
        "coll_alg": "exposures are fitted, not combined",
        "lambda": "the wavelength of each lamp is in detectors.toml",
        "smoothing_length": "set scale (px): the lamp's light is a smooth surface through good pixels",
        "smoothing_method": "set scale (px): the lamp's light is a smooth surface through good pixels",
    },
)
_OF_LAMPS = "a parameter of the flats of single lamps, ifs_det_flat_*"
_POSITIONS = Namesake(
    "ifs.spectra_positions",
    {
        "clean_mean.*": _CLEAN,
        "threshold": "lenslets are found by their lasers, not by regions above a threshold",
        "minpix": "lenslets are found by their lasers, not by regions above a threshold",
        "angle": "the turn of the lattice is measured",
        "distortion": "set lattice_degree: the lattice's distortion is always measured",
        "hmode": "the mode is read in the header (ESO INS2 COMB IFS)",
        "header": "the mode is read in the header (ESO INS2 COMB IFS)",
        "correct_nonlin": "the prism's law takes the place of the quadratic correction",
    },
)
_WAVELENGTH = Namesake(
    "ifs.wave_calib",
    {
        "number_lines": "which lasers are on is measured",
        "wavelength_line*": "wavelengths of the lasers are in guess.py",
        "line_threshold": "spots are measured with templates, and weighed by their errors",
        "polyfit_order": "the prism's law goes through the lasers, of degree 3 at most",
        "no_spline_interpol": "the prism's law goes through the lasers, of degree 3 at most",
        "fit_window_size": "spots are measured with templates, and weighed by their errors",
        "coll_alg": "a parameter of ifs_spectra_positions, which combines the lasers' frames",
        "clean_mean.*": _CLEAN,
        "save_addprod": "TRACES, LENSLETS and PIXEL_MAP are always written",
    },
)
_OF_WAVELENGTH = {name: why for name, why in _WAVELENGTH.without.items() if name != "coll_alg"}
_IFU_FLAT = Namesake(
    "ifs.instrument_flat",
    {
        "nofit": _MEAN,
        "clean_mean.*": _CLEAN,
        "make_badpix": "bad pixels are collected by ifs_static_bad_pixel_map",
        "robust_fit": _MEAN,
        "badpix_*": _BADPIX,
        "use_illumination": _ILLUMINATION,
        "iff_filename": _FILES,
        "ifu_filename": _FILES,
    },
)
_DISTORTION = Namesake(
    "ifs.distortion_map",
    {
        "clean_mean.*": _CLEAN,
        "self_check": "the residual is the quality number DISTMAP RESIDUAL",
        "add_rotation": "the map holds scale, turn and distortion",
        "dither": "frames are not dithered",
    },
)
_CENTER = Namesake(
    "ifs.star_center",
    {
        "coll_alg": "every integration is measured by itself",
        "clean_mean.*": "every integration is measured by itself",
        "qc": "quality numbers are always written",
        "qc_window_*": "quality numbers are always written",
        "save_interprod": "spectra and cube of the frame are always written",
        "unsharp_window": "the halo is part of the model of the spots",
    },
)
_SCIENCE = {
    "coll_alg": "integrations are weighed by their errors",
    "clean_mean.*": "integrations are weighed by their errors",
    "use_illumination": _ILLUMINATION,
    "reflambda": "speckles are modelled in all channels together",
    "fwhm": "the star's own image takes the place of a width",
    "badpixco.*": "bad pixels weigh zero: none is replaced",
    "xtalkco.*": _CROSSTALK,
}
_SEARCH = ("use_adi", "min_adi_angle", "spec_deconv", "order")
_OF_SEARCH: Mapping[str, str] = dict.fromkeys(_SEARCH, "a parameter of ifs_companions: DITs are kept apart until then")
_OF_CUBE: Mapping[str, str] = dict.fromkeys(("user_cent", "cx", "cy"), "a parameter of ifs_science")
_CUBE = Namesake("ifs.science_dr", {**_SCIENCE, **_OF_SEARCH})
_GAIN = Namesake(
    "ifs.gain",
    {
        "lin_tolerance": "set tolerance: the departure of a pixel's linearity, relative",
        "preproc": "output levels and stripes are always taken out",
        "vacca": "the variance is that of the expected signal",
        "coll_alg": "every exposure is a level of its own",
        "nonlin_bpixname": _NAMES,
        "clean_mean.*": "every exposure is a level of its own",
    },
)

_OF_TASK: Mapping[str, Namesake] = {
    "ifs_dark": _DARK,
    "ifs_instrument_background": _BACKGROUND,
    "ifs_sky_background": _BACKGROUND,
    **{f"ifs_det_flat_narrow_band{number}": _DETECTOR_FLAT for number in (1, 2, 3, 4)},
    "ifs_det_flat_broad_band": _DETECTOR_FLAT,
    "ifs_detector_flat": replace(_DETECTOR_FLAT, without={**_DETECTOR_FLAT.without, "save_addprod": _OF_LAMPS}),
    "ifs_static_bad_pixel_map": Namesake("ifs.master_dark", {"*": "a parameter of ifs_dark, which finds hot pixels"}),
    "ifs_gain": _GAIN,
    "ifs_spectra_positions": _POSITIONS,
    "ifs_wavelength_calibration": _WAVELENGTH,
    "ifs_wavecalib_cube": Namesake("ifs.wave_calib", _OF_WAVELENGTH),
    "ifs_ifu_flat": _IFU_FLAT,
    "ifs_distortion_map": _DISTORTION,
    "ifs_coronagraph_center": _CENTER,
    "ifs_science_flux": Namesake("ifs.science_dr", {**_SCIENCE, **_OF_SEARCH, **_OF_CUBE}),
    "ifs_science": _CUBE,
    "ifs_standard_astrometry": _CUBE,
    "ifs_standard_flux": _CUBE,
    "ifs_companions": Namesake("ifs.science_dr", {**_SCIENCE, **_OF_CUBE}),
}
NAMESAKES: Mapping[str, Namesake] = {
    task: replace(
        namesake, without={**namesake.without, "*filename": _NAMES}, quality=_QUALITY, quality_prefix="ESO QC"
    )
    for task, namesake in _OF_TASK.items()
}
"""Task -> ESO's recipe."""

PRESETS: Mapping[str, Mapping[str, Mapping[str, Scalar]]] = {
    "edps": {
        "ifs_dark": {"ifs.master_dark.sigma_clip": 3.0},
        "ifs_companions": {"ifs.science_dr.use_adi": 0, "ifs.science_dr.spec_deconv": False},
    }
}
"""What ESO's workflow (EDPS documentation, 2026) sets unlike its recipes' own defaults (manual 1.53), which are ours.

Its ``min_acceptable`` of 0 is not among them: it suits darks that keep the level of the readout. Ours have none, their
good pixels lie about 0, and a third of them would be lost.
"""
