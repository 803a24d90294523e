"""Arc lamps: their lines, and the observatory's list of them, which is not free of errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, IntArray

__all__ = ["ARC_SECONDS", "ATOMS", "Lamp", "LineList", "line_list"]

ARC_SECONDS = {"HgCd": 1.012, "Ne": 0.539, "Xe": 8.76}
"""Exposure times of the observatory's arcs, second."""

# Air wavelengths (Angstrom) and relative intensities after the NIST Atomic Spectra Database
# fmt: off
ATOMS: dict[str, tuple[tuple[float, float], ...]] = {
    "CdI": (
        (4662.352, 6.0), (4678.149, 90.0), (4799.912, 120.0), (5085.822, 150.0), (6099.142, 4.0), (6111.490, 6.0),
        (6325.166, 5.0), (6330.013, 3.0), (6438.470, 90.0), (6778.116, 4.0), (7345.670, 8.0), (8200.309, 5.0),
    ),
    "HgI": (
        (4916.068, 4.0), (5460.750, 300.0), (5769.610, 70.0), (5790.670, 72.0), (6072.713, 2.0), (6234.402, 1.5),
        (6716.429, 2.0), (6907.461, 6.0), (7081.900, 4.0), (7091.860, 3.0), (7728.825, 1.5),
    ),
    "NeI": (
        (4704.395, 3.0), (4708.862, 2.5), (4715.347, 3.0), (4752.732, 2.0), (4788.927, 2.0), (4827.344, 2.0),
        (4837.314, 2.0), (4884.917, 2.0), (4957.036, 2.0), (5005.159, 1.5), (5037.751, 2.0), (5080.383, 1.5),
        (5116.503, 1.5), (5144.938, 2.0), (5188.612, 1.5), (5203.896, 1.5), (5234.027, 1.0), (5330.778, 6.0),
        (5341.094, 10.0), (5400.562, 20.0), (5562.766, 3.0), (5656.659, 3.0), (5719.225, 2.5), (5748.298, 5.0),
        (5764.419, 10.0), (5804.450, 4.0), (5820.156, 5.0), (5852.488, 200.0), (5872.828, 5.0), (5881.895, 100.0),
        (5902.462, 5.0), (5906.429, 5.0), (5944.834, 50.0), (5965.471, 5.0), (5975.534, 60.0), (5987.907, 6.0),
        (6029.997, 100.0), (6074.338, 100.0), (6096.163, 80.0), (6128.450, 10.0), (6143.063, 100.0),
        (6163.594, 100.0), (6182.146, 5.0), (6217.281, 100.0), (6266.495, 100.0), (6304.789, 60.0), (6334.428, 100.0),
        (6382.991, 100.0), (6402.246, 200.0), (6506.528, 150.0), (6532.882, 60.0), (6598.953, 100.0),
        (6652.093, 15.0), (6678.276, 120.0), (6717.043, 90.0), (6929.467, 100.0), (7024.050, 40.0), (7032.413, 300.0),
        (7059.107, 15.0), (7173.938, 70.0), (7245.167, 100.0), (7438.898, 50.0), (7472.439, 4.0), (7488.871, 30.0),
        (7535.774, 28.0), (7544.044, 12.0), (7839.055, 3.0), (7927.118, 4.0), (7936.996, 7.0), (7943.181, 20.0),
        (8082.458, 20.0), (8118.549, 8.0), (8136.406, 25.0), (8259.379, 10.0), (8266.077, 18.0), (8267.117, 5.0),
        (8300.326, 50.0), (8365.749, 12.0), (8377.608, 80.0), (8418.427, 40.0), (8463.358, 12.0), (8484.444, 7.0),
        (8495.360, 50.0), (8544.696, 6.0), (8571.352, 10.0), (8591.258, 40.0), (8634.647, 50.0), (8647.041, 6.0),
        (8654.383, 60.0), (8655.522, 10.0), (8679.493, 14.0), (8681.921, 16.0), (8704.112, 8.0), (8771.656, 16.0),
        (8780.621, 60.0), (8783.753, 50.0), (8830.907, 5.0), (8853.867, 28.0), (8865.306, 10.0), (8865.755, 20.0),
        (8919.501, 12.0), (8988.556, 8.0), (9148.672, 24.0), (9201.759, 24.0), (9220.060, 18.0), (9226.690, 8.0),
        (9275.520, 4.0), (9300.853, 24.0), (9313.973, 10.0), (9326.507, 24.0), (9373.308, 10.0), (9425.379, 20.0),
        (9459.210, 12.0), (9486.682, 18.0), (9534.163, 20.0), (9547.405, 5.0),
    ),
    "XeI": (
        (4624.276, 20.0), (4671.226, 40.0), (4697.021, 10.0), (4734.152, 12.0), (4792.619, 3.0), (4807.019, 10.0),
        (4829.708, 8.0), (4843.293, 6.0), (4916.507, 10.0), (4923.152, 10.0), (5028.280, 4.0), (5392.795, 3.0),
        (5566.615, 3.0), (5823.890, 6.0), (5824.800, 3.0), (5875.018, 3.0), (5894.988, 4.0), (5934.172, 3.0),
        (6163.660, 3.0), (6178.303, 4.0), (6179.665, 3.0), (6182.420, 7.0), (6198.260, 3.0), (6286.011, 4.0),
        (6318.062, 10.0), (6469.705, 8.0), (6472.841, 5.0), (6487.765, 4.0), (6498.717, 3.0), (6504.180, 5.0),
        (6533.159, 3.0), (6595.561, 3.0), (6668.920, 6.0), (6728.008, 8.0), (6827.315, 8.0), (6846.613, 2.0),
        (6872.107, 4.0), (6882.155, 12.0), (6925.530, 4.0), (6976.182, 6.0), (7119.598, 20.0), (7285.301, 3.0),
        (7316.272, 2.5), (7321.452, 2.0), (7336.480, 2.0), (7386.003, 4.0), (7393.793, 5.0), (7584.680, 8.0),
        (7642.024, 20.0), (7802.651, 4.0), (7887.393, 12.0), (7967.342, 20.0), (8029.670, 3.0), (8057.258, 8.0),
        (8061.339, 6.0), (8101.980, 4.0), (8206.336, 30.0), (8231.634, 200.0), (8266.520, 20.0), (8280.116, 150.0),
        (8346.822, 40.0), (8409.189, 60.0), (8576.010, 5.0), (8648.540, 8.0), (8692.200, 4.0), (8739.372, 10.0),
        (8819.411, 110.0), (8862.320, 10.0), (8908.730, 8.0), (8930.830, 8.0), (8952.252, 40.0), (8987.570, 8.0),
        (9045.446, 30.0), (9162.652, 30.0), (9167.520, 6.0), (9374.760, 4.0), (9445.340, 4.0), (9513.377, 8.0),
    ),
}
# fmt: on

_OF_LAMP = {"CdI": "HgCd", "HgI": "HgCd", "NeI": "Ne", "XeI": "Xe"}
_BRIGHT = {"HgCd": 220.0, "Ne": 420.0, "Xe": 100.0}  # electrons of a line of intensity one, in a pixel along the slit
_REFERENCE = 0.3  # of the lamp's brightest line: quality 5, by which ESO's recipe tells the width of lines
_ALONE, _FAINT = 8.0, 0.03  # Angstrom, and share: as a list of quality 3 is chosen


@dataclass(frozen=True)
class Lamp:
    """Lines as they shine: arrays (n,)."""

    wave: FloatArray
    electrons: FloatArray


@dataclass(frozen=True)
class LineList:
    """The observatory's list, and what the lamps emit.

    Parameters
    ----------
    wave : array (n,), Angstrom
        As listed, in air.
    flux : array (n,)
    ion : str array (n,)
    quality : int array (n,)
    lamps : mapping of str to Lamp
    true : array (n,), Angstrom
        Where the listed lines are.
    """

    wave: FloatArray
    flux: FloatArray
    ion: FloatArray
    quality: IntArray
    lamps: dict[str, Lamp]
    true: FloatArray


def line_list(rng: np.random.Generator, *, error: float = 0.008, unlisted: int = 10, blends: float = 0.1) -> LineList:
    """Draw a list with errors, and lamps with more lines than it has.

    Parameters
    ----------
    rng : numpy Generator
    error : float, Angstrom
        Of listed wavelengths, standard deviation.
    unlisted : int
        Lines of each lamp that the list lacks.
    blends : float
        Share of the lines that have an unlisted companion, 1 to 2.5 Angstrom away.
    """
    ion = np.concatenate([np.full(len(lines), name) for name, lines in ATOMS.items()])
    wave, flux = np.concatenate([np.array(lines) for lines in ATOMS.values()]).T
    order = np.argsort(wave)
    ion, wave, flux = ion[order], wave[order], flux[order]
    lamp = np.array([_OF_LAMP[str(name)] for name in ion])
    near = (np.abs(wave[:, None] - wave) < _ALONE) & (lamp[:, None] == lamp) & ~np.eye(wave.size, dtype=bool)
    alone = ~(near & (flux[None, :] > _FAINT * flux[:, None])).any(axis=1)
    true = wave + rng.normal(0.0, error, wave.size)
    lamps = {}
    for name, scale in _BRIGHT.items():
        own = lamp == name
        shines = flux[own] * scale * rng.lognormal(0.0, 0.2, own.sum())
        beside = rng.random(own.sum()) < blends
        far = rng.choice([-1.0, 1.0], beside.sum()) * rng.uniform(1.0, 2.5, beside.sum())
        extra = rng.uniform(4650.0, 9350.0, unlisted)
        places = [true[own], true[own][beside] + far, extra]
        bright = [shines, shines[beside] * rng.uniform(0.01, 0.06, beside.sum()), scale * rng.uniform(1, 5, unlisted)]
        lamps[name] = Lamp(np.concatenate(places), np.concatenate(bright))
    brightest = np.array([flux[lamp == name].max() for name in lamp])
    reference = alone & (flux > _REFERENCE * brightest)
    return LineList(wave, 20.0 * flux, ion, np.where(reference, 5, np.where(alone, 3, 1)), lamps, true)
