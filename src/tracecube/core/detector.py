"""Detectors: which raw pixels hold light, which only follow the electronics, and what limits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray

__all__ = ["Amplifier", "Detector", "Section"]

Pixel = TypeVar("Pixel", bound="np.generic[Any]")


@dataclass(frozen=True)
class Section:
    """A rectangle of pixels, 0-based, ends exclusive.

    Examples
    --------
    >>> Section(0, 2, 1, 3).of(np.arange(8).reshape(2, 4)).tolist()
    [[1, 2], [5, 6]]
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    def of(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Return this part of an image (y, x), as a view."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


@dataclass(frozen=True)
class Amplifier:
    """One output of the detector, as it lies in the raw file.

    Parameters
    ----------
    name : str
    data : Section
        Physical pixels read by this output.
    level : tuple of Section
        Pixels that saw no light and follow the bias level: overscan, prescan, covered columns.
    read_noise : float, electron
        What the camera is known for; the measured number is compared with it, never replaced by it.
    linear, saturation : float, adu
        Counts above which the response is not linear, and above which nothing is known.
    """

    name: str
    data: Section
    level: tuple[Section, ...]
    read_noise: float
    linear: float
    saturation: float


@dataclass(frozen=True)
class Detector:
    """One detector with its outputs.

    Parameters
    ----------
    name : str
    raw_shape : (int, int)
        Size of the raw image (y, x).
    amplifiers : tuple of Amplifier
        Their data sections tile one rectangle.
    illuminated : Section
        Where light can fall, in pixels of the trimmed image.
    axis : int
        Image axis of dispersion: 1 along x, 0 along y.
    """

    name: str
    raw_shape: tuple[int, int]
    amplifiers: tuple[Amplifier, ...]
    illuminated: Section
    axis: int = 1

    @property
    def frame(self) -> Section:
        """The rectangle of physical pixels in the raw image."""
        data = [amplifier.data for amplifier in self.amplifiers]
        return Section(
            min(s.y0 for s in data), max(s.y1 for s in data), min(s.x0 for s in data), max(s.x1 for s in data)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Size (y, x) of the trimmed image."""
        return self.frame.shape

    def trimmed(self, amplifier: Amplifier) -> Section:
        """Place of an amplifier in the trimmed image."""
        frame, data = self.frame, amplifier.data
        return Section(data.y0 - frame.y0, data.y1 - frame.y0, data.x0 - frame.x0, data.x1 - frame.x0)

    def dark(self) -> BoolArray:
        """Pixels (y, x) of the trimmed image that light cannot reach."""
        dark = np.ones(self.shape, bool)
        self.illuminated.of(dark)[:] = False
        return dark
