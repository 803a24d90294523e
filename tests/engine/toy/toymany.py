"""The toy spectrograph with a step that makes as many products as there is to find, and one that keeps planes apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toyspec import instrument as toy

from tracecube.core.fields import FloatArray, Meta, card, image, meta
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.workflow import Main, Task, Workflow


@dataclass(frozen=True)
class Piece:
    """One of several."""

    data: FloatArray = image("DATA")
    object: str = card("OBJECT", text="which piece", default="")
    meta: Meta = meta()


class PieceParams(Params):
    """How many."""

    pieces: int = 2


@dataclass(frozen=True, kw_only=True)
class PieceOutputs(Outputs):
    piece: tuple[Piece, ...]


@recipe(version="1")
def toy_pieces(*, spectrum: Image, params: PieceParams = PieceParams()) -> PieceOutputs:
    """Cut a spectrum into pieces called b, c, ..."""
    return PieceOutputs(piece=tuple(Piece(spectrum.data + i, "bcdefg"[i]) for i in range(params.pieces)))


instrument = replace(
    toy,
    workflow=Workflow(
        tasks=(*toy.workflow.tasks, Task("pieces", toy_pieces, Main("spectrum", ("SPECTRUM",)), targets=("science",)))
    ),
)
