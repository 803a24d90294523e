"""The simulated LINE_CATALOG is one that ESO's recipes take."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from tracecube.instruments.muse.arc_lines import LAMPS, line_list
from tracecube.instruments.muse.simulation import lamps
from tracecube.instruments.muse.simulation.tables import line_catalogue
from tracecube.io.raw import read_raw, write_raw


def test_numbers_have_four_bytes_and_every_lamp_has_lines_that_tell_its_width(tmp_path):
    listed = lamps.line_list(np.random.default_rng(1))
    path = write_raw(tmp_path, line_catalogue(listed))
    with fits.open(path) as hdus:
        formats = dict(zip(hdus[1].columns.names, hdus[1].columns.formats, strict=True))
        assert (formats["lambda"], formats["flux"], formats["quality"]) == ("1E", "1E", "1J")
        assert hdus[0].header["VERSION"] == 3
    for names in (("CdI", "HgI"), ("NeI",), ("XeI",)):
        assert (listed.quality[np.isin(listed.ion, names)] >= 5).sum() >= 2
    read = line_list(read_raw(path, "LINE_CATALOG"))
    assert len(read) == len(LAMPS)
    assert all(one.usable.sum() > 5 for one in read)
    found = np.sort(np.concatenate([one.wave for one in read]))
    assert np.abs(found - np.sort(listed.wave)).max() < 6e-4
