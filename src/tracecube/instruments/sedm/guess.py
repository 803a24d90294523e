"""First guess of where SEDM's spectra fall on the detector.

Sources: [night log] the instrument section of the observing log; [pysedm] MickaelRigault/pysedm
0.41, sedm.py and spectralmatching.py; [kpy] the older SEDM pipeline, spectrograph fiducials.
"""

from __future__ import annotations

from tracecube.recipes.optics.trace_search import TraceGuess

__all__ = ["SEDM_TRACES"]

SEDM_TRACES = TraceGuess(
    # Spectra are 2.6 px wide (FWHM) [night log]; pysedm finds 1.06-1.2 px.
    sigma=2.6 / 2.3548,
    # 6.3 px apart [night log]: 2048**2 / (2340 lenslets * 284 px) = 6.3.
    spacing=6.3,
    # Tilted by about 0.4 degrees [night log]: tan(0.4 deg).
    tilt=0.0070,
    # From 10670 A to 3400 A [night log]; [pysedm] has 294 px at x = 0 and 291 px at x = 2000, its margins included.
    length=284.0,
    # 6500 A lies 98 px from the red end [night log, kpy]. The dome's spectrum begins at the red end:
    # its light fades where silicon becomes transparent, near 10700 A.
    reference=98.0,
    # Lenslets are about 45.5 px apart, one axis near -15.8 degrees from +x [night log].
    pitch=45.5,
    angle=-15.8,
    # The field is centred on the detector.
    centre=(1023.5, 1023.5),
    axis=1,
)
