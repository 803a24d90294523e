"""The verification picture of one exposure, drawn by itself: for who changes an extraction and wants to see it."""

from __future__ import annotations

from pathlib import Path

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.report.kinds import VERIFICATION
from tracecube.report.pictures import draw_all

__all__ = ["write_verification"]


def write_verification(out: Path, raw: str) -> Path | None:
    """Draw the picture of an exposure into ``out/report/pictures``, unless it is there already.

    Parameters
    ----------
    out : Path
        Output folder of a reduction.
    raw : str
        Name of the raw file.

    Returns
    -------
    Path or None
        None when its products do not suffice for a picture.

    Raises
    ------
    MissingInput
        Nothing was reduced into this folder.
    """
    folder = Path(out).expanduser().resolve() / "report" / "pictures"
    with Ledger.open(folder.parents[1]) as ledger:
        made = [product for product in products(ledger) if product.raw == raw]
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [picture for picture in draw_all(folder, (VERIFICATION,), made) if picture.file]
    return folder / drawn[0].file if drawn else None
