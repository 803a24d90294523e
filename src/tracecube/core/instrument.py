"""An instrument: the one folder that knows its headers, optics and workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tracecube.core.by_hand import ByHand
from tracecube.core.fields import Meta, Scalar
from tracecube.core.foreign import Form, GatheredForm, JobForm
from tracecube.core.frame import RawFrame
from tracecube.core.reporting import Reporting
from tracecube.core.workflow import Workflow

__all__ = ["Classification", "Instrument", "Simulate"]

Simulate = Callable[..., Iterator[RawFrame]]
"""``simulate(*, seed, ...)``: raw files of a night, then the truth (see `tracecube.simulate.night`).

Its other keywords are the choices that users have; their annotations say which values each takes.
"""


@dataclass(frozen=True)
class Classification:
    """What the rules found a raw file to be.

    Parameters
    ----------
    tag : str
    setup : mapping of str to scalar
        Keys that matching and grouping compare; always has "night" (YYYY-MM-DD, UT date of the
        night's end, None for files of no night such as catalogues).
    mjd : float or None
        Start of exposure.
    exptime : float or None, second
    object : str or None
        Bare name of the target.
    """

    tag: str
    setup: Mapping[str, Scalar]
    mjd: float | None = None
    exptime: float | None = None
    object: str | None = None


@dataclass(frozen=True)
class Instrument:
    """What the engine needs to know of an instrument.

    Parameters
    ----------
    name : str
    title : str
        The instrument in a few words.
    recognises : callable
        ``(file name, header) -> bool``: is this a file of mine?
    classify : callable
        ``(file name, header) -> Classification``; raises `TracecubeError` with the reason when a
        file of the instrument matches no rule or lacks a card: it is then shown as unclassified.
    raw_tags : mapping of str to str
        Every tag that ``classify`` can give, with one line on it.
    workflow : Workflow
    exports : mapping of str to tuple of Form, GatheredForm and JobForm
        Layouts of an observatory's own pipeline by their name ("eso"), in which products can be written out.
    simulator : callable or None
        ``() -> Simulate``: imports the function that simulates a night, which nothing else wants.
    first_night : bool
        Its simulated night is small and shows most of what there is: the one for who tries the system.
    quality_reasons : mapping of int to str
        Meaning of the quality codes of targets, if the instrument has them.
    reporting : Reporting or None
        How its observatory reports a night, and what of it is published.
    by_hand : ByHand or None
        Which extractions a person may change.
    presets : mapping of str to mapping
        Sets of parameters by name: task -> parameter -> value, what an observatory's workflow takes unlike the defaults
        of its own recipes, which are ours.
    """

    name: str
    title: str
    recognises: Callable[[str, Meta], bool]
    classify: Callable[[str, Meta], Classification]
    raw_tags: Mapping[str, str]
    workflow: Workflow
    exports: Mapping[str, tuple[Form | GatheredForm | JobForm, ...]] = field(default_factory=dict)
    simulator: Callable[[], Simulate] | None = None
    first_night: bool = False
    quality_reasons: Mapping[int, str] = field(default_factory=dict)
    reporting: Reporting | None = None
    by_hand: ByHand | None = None
    presets: Mapping[str, Mapping[str, Mapping[str, Scalar]]] = field(default_factory=dict)

    @property
    def simulate(self) -> Simulate | None:
        """The function that simulates a night, None where there is none."""
        return None if self.simulator is None else self.simulator()
