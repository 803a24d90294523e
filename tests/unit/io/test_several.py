"""The same noun of several detectors in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from tracecube.core.optics import PixelMap
from tracecube.core.several import PixelMaps
from tracecube.io.products import read_product, verify_product, write_product


def _map(seed: int) -> PixelMap:
    rng = np.random.default_rng(seed)
    return PixelMap(rng.normal(size=(4, 5)), rng.integers(0, 9, (4, 5)), rng.normal(size=(4, 5)), medium="AWAV")


def test_each_detector_comes_back_as_it_was(tmp_path: Path) -> None:
    made = PixelMaps(parts={"047LL": _map(1), "047LU": _map(2)}, meta={"IFUSLOT": 47})
    path = tmp_path / "maps.fits"
    sha = write_product(path, made)
    assert verify_product(path) == sha
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus[1:4]] == ["047LL.WAVE", "047LL.APERTURE", "047LL.ALONG"]
    back = read_product(path, PixelMaps)
    assert list(back.parts) == ["047LL", "047LU"]
    assert back.meta["IFUSLOT"] == 47
    for name, part in made.parts.items():
        assert back.parts[name].medium == "AWAV"
        np.testing.assert_array_equal(back.parts[name].wave, part.wave)
        np.testing.assert_array_equal(back.parts[name].aperture, part.aperture)
