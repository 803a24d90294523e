"""Fibres traced on the twilight: as well as on the lamp, where there is none."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.detector_steps import master_dark
from tracecube.instruments.virus.optics_steps import trace_twilight
from tracecube.instruments.virus.parameters import TracesParams
from tracecube.instruments.virus.simulate import simulate
from tracecube.recipes.detector.structure import StructureParams


def test_the_lines_of_the_sun_bend_no_trace() -> None:
    frames, truth = defaultdict(list), {}
    for frame in simulate(seed=3, ifus=1, exposures=0, field="empty"):
        if frame.name == "truth/fibres.npz":
            truth = frame.tables[""]
        elif frame.meta.get("CCDPOS") == "L":
            frames[frame.tag].append(frame)
    dark = master_dark(raw=frames["ZERO"] + frames["DARK"], params=StructureParams()).master_dark
    made = trace_twilight(raw=frames["TWILIGHT"], dark=dark, params=TracesParams())
    slot = int(frames["TWILIGHT"][0].meta["IFUSLOT"])  # type: ignore[arg-type]
    u = (np.arange(HALF) - 515.5) / 515.5
    for amp in ("LL", "LU"):
        found = made.traces.parts[f"{slot:03d}{amp}"]
        live = found.dq == 0
        true = np.polynomial.chebyshev.chebval(u, np.asarray(truth[f"trace_twi_{slot:03d}{amp}"]).T)
        off = (found.centre - true)[live]
        off = off - off.mean()
        assert np.sqrt(np.mean(off**2)) < 0.005
        assert np.abs(off).max() < 0.03
