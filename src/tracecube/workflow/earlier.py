"""Products of other nights in the same output folder, to calibrate with until tonight's are made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products_from_elsewhere
from tracecube.archive.records import ProductRecord
from tracecube.io.headers import bare_name
from tracecube.workflow.discover import Found
from tracecube.workflow.items import Item

__all__ = ["earlier_items"]


def earlier_items(ledger: Ledger, folder: Path, instruments: Iterable[Found]) -> list[Item]:
    """Return the current products that were made from other raw folders and may serve as calibrations here.

    Those whose files are gone, or whose quality numbers lie outside their limits, are left out: a solution that was
    bad on its own night helps no other.

    Parameters
    ----------
    ledger : Ledger
    folder : Path
        The raw folder that is reduced now.
    instruments : iterable of Found
    """
    wanted = {
        (found.instrument.name, tag)
        for found in instruments
        for task in found.instrument.workflow.tasks
        for rule in task.associations
        for tag in rule.tags
    }
    found = products_from_elsewhere(ledger, folder)
    return [_item(made) for made in found if (made.instrument, made.tag) in wanted and _serves(made)]


def _serves(made: ProductRecord) -> bool:
    good = all(number.get("good") is not False for number in made.qc.values())
    return good and Path(made.path).is_file()


def _item(made: ProductRecord) -> Item:
    return Item(
        tag=made.tag,
        name=bare_name(made.path),
        identity=made.sha256,
        path=made.path,
        setup={**made.setup, "night": made.night},
        mjd=made.mjd,
        exptime=made.exptime,
        object=made.object,
        raw=made.raw,
        output=made.output,
        sha256=made.sha256,
    )
