"""The base of every recipe's parameter model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Params"]


class Params(BaseModel):
    """Frozen numbers and choices of one recipe; unknown names are refused.

    One declaration serves the command line, the reference page, override files and the
    provenance record. A ``Field(alias=...)`` keeps the name an observatory uses for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
