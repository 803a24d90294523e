"""The toy spectrograph with one more step: a text beside each spectrum."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toyspec import instrument as toy

from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.text import TextFile
from tracecube.core.workflow import Association, Main, Match, Task, Workflow


class LetterParams(Params):
    """Whom it is for."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class NoteOutputs(Outputs):
    note: TextFile


@dataclass(frozen=True, kw_only=True)
class LetterOutputs(Outputs):
    letter: TextFile | None


@recipe(version="1")
def toy_note(*, spectrum: Image, params: Params = Params()) -> NoteOutputs:
    """Tell the mean."""
    mean = float(spectrum.data.mean())
    return NoteOutputs(note=TextFile(f"mean {mean:.6g}\n"), quality=(QualityNumber("MEAN", mean),))


@recipe(version="1")
def toy_letter(
    *, spectrum: Image, note: TextFile | None = None, params: LetterParams = LetterParams()
) -> LetterOutputs:  # fmt: skip
    """Pass the note of the same exposure on."""
    told = f"{spectrum.meta['OBJECT']}: {'' if note is None else note.text}"
    name = f"{params.name} {spectrum.meta['OBJECT']}" if params.name else ""
    return LetterOutputs(letter=note and TextFile(told, name=name))


SAME_EXPOSURE = (Match(0, same=("night", "raw")),)

instrument = replace(
    toy,
    workflow=Workflow(
        tasks=(
            *toy.workflow.tasks,
            Task("note", toy_note, Main("spectrum", ("SPECTRUM",))),
            Task(
                "letter",
                toy_letter,
                Main("spectrum", ("SPECTRUM",)),
                (Association("note", ("NOTE",), SAME_EXPOSURE, minimum=0),),
                targets=("science",),
            ),
        )
    ),
)
