"""What an observatory tells of a night: one line an extraction, its tables, and what may be published of it.

The words are the instrument's; who gathers, writes and sends them knows none of its names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tracecube.core.fields import Meta, Scalar

__all__ = ["Annotation", "Column", "Extraction", "Publishing", "Reporting", "Sent", "TextTable"]


@dataclass(frozen=True)
class Sent:
    """What became of an extraction on the server of a survey.

    Parameters
    ----------
    state : str
        "" (of no survey), "held back", "waiting", "sent", "refused", "failed" (to be tried again), "unclear" (begun
        and cut short: it may have arrived), "incomplete" (the spectrum is there, an annotation beside it is not),
        or "changed" (the spectrum is a newer one than what was sent).
    url : str
        Page of the object there; empty until it was sent.
    reason : str
        Why it is held back or was refused, or what is missing.
    """

    state: str = ""
    url: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Extraction:
    """One target on one exposure, in everything that is known of it.

    Parameters
    ----------
    object, raw, night : str
        Bare name of the target, name of the raw file, night (YYYY-MM-DD).
    mjd : float or None
        Start of exposure.
    exptime : float or None, second
    standard : bool
        A standard star.
    cards : mapping
        Header cards: those of the verdict over those of the classification, the spectrum and the exposure.
    numbers : mapping of str to float or None
        Quality numbers by name.
    calibration : str
        Night of the response that calibrated it; empty where there is none.
    sent : Sent
    """

    object: str
    raw: str
    night: str
    mjd: float | None
    exptime: float | None
    standard: bool
    cards: Meta
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    calibration: str = ""
    sent: Sent = Sent()

    def text(self, *keys: str) -> str:
        """Return the first of these cards that is there and not blank, as text.

        Examples
        --------
        >>> Extraction("a", "r", "n", None, None, False, {"A": " ", "B": "Ia "}).text("A", "B")
        'Ia'
        """
        found = (self.cards.get(key) for key in keys)
        return next((str(value).strip() for value in found if value is not None and str(value).strip()), "")

    def number(self, *keys: str) -> float | None:
        """Return the first of these cards that is a finite number.

        Examples
        --------
        >>> Extraction("a", "r", "n", None, None, False, {"A": "-", "B": "0.5"}).number("A", "B")
        0.5
        """
        return next((value for key in keys if (value := _finite(self.cards.get(key))) is not None), None)


def _finite(value: Scalar) -> float | None:
    """Return a scalar as a finite number, None when it is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


@dataclass(frozen=True)
class Column:
    """A column of a table of extractions.

    Parameters
    ----------
    title : str
    value : callable
        The cell of an extraction as text, empty when there is nothing to say.
    right : bool
        Numbers, written to the right.
    """

    title: str
    value: Callable[[Extraction], str]
    right: bool = False


@dataclass(frozen=True)
class TextTable:
    """A table that is written as a plain text file.

    Parameters
    ----------
    name : str
        File name.
    title : str
        One line above it; ``{night}`` is the night.
    columns : tuple of Column
    lists : callable
        Whether an extraction stands in it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    lists: Callable[[Extraction], bool] = lambda _extraction: True


@dataclass(frozen=True)
class Annotation:
    """What is said of a spectrum beside it: who says so, and the values."""

    origin: str
    data: Mapping[str, Scalar]


@dataclass(frozen=True)
class Publishing:
    """What of an instrument goes to the server of a survey, and in which form.

    Parameters
    ----------
    lists : callable
        Whether an object of this name belongs to the survey.
    held_back : callable
        Why an extraction must not be sent; empty when it may.
    tag : str
        The text product that is sent.
    text : callable
        The text of the product as the server expects it: wavelength, flux and its standard error in columns.
    filename : callable
        File name under which an extraction is sent.
    columns : (int, int, int)
        Which columns these are, from 0.
    annotations : callable
        What is said beside a spectrum, from the extraction and the text that is sent.
    program : callable
        Name of the program that an extraction was observed for; empty where it is not known.
    instrument_ids : mapping of str to int
        Number of the instrument on the servers (host name) where it is known.
    """

    lists: Callable[[str], bool]
    held_back: Callable[[Extraction], str]
    tag: str
    text: Callable[[str], str]
    filename: Callable[[Extraction], str]
    columns: tuple[int, int, int]
    annotations: Callable[[Extraction, str], tuple[Annotation, ...]]
    program: Callable[[Extraction], str] = lambda _extraction: ""
    instrument_ids: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reporting:
    """How an observatory reports a night of an instrument.

    Parameters
    ----------
    columns : tuple of Column
        Of the summary that is read on a page and in the mail.
    tables : tuple of TextTable
        Plain text files.
    picture : callable
        File name of the one-page picture of an extraction.
    publishing : Publishing or None
    message : tuple of Column
        Of the few that a message to a channel has room for; `columns` where it is empty.
    calibrations : mapping of str to str
        File names, without their ending, under which pictures of a night's calibrations are known, by kind of picture;
        ``{date}`` is the night, YYYYMMDD.
    """

    columns: tuple[Column, ...]
    tables: tuple[TextTable, ...]
    picture: Callable[[Extraction], str]
    publishing: Publishing | None = None
    message: tuple[Column, ...] = ()
    calibrations: Mapping[str, str] = field(default_factory=dict)
