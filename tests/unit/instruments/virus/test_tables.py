"""Text tables of VIRUS: which they are, and the night of the focal plane."""

from __future__ import annotations

import pytest

from tracecube.core.errors import BadData
from tracecube.instruments.virus.classify import classify, recognises

FPLANE = {"FILETYPE": "table", "COLUMNS": "IFUSLOT,X_FP,Y_FP,SPECID,SPECSLOT,IFUID,IFUROT,PLATESC"}
IFUCEN = {"FILETYPE": "table", "COLUMNS": "col1,col2,col3,col4,col5,col6", "TITLE": "HETDEX IFU description file"}
STARS = {"FILETYPE": "table", "COLUMNS": "objID,raMean,decMean,gApMag,rApMag"}


@pytest.mark.parametrize(
    ("name", "header", "tag", "night"),
    [
        ("fplane20190204", FPLANE, "FPLANE", "2019-02-04"),
        ("fplane", FPLANE, "FPLANE", None),
        ("IFUcen_HETDEX", IFUCEN, "IFUCEN", None),
        ("panstarrs_field", STARS, "STAR_CATALOGUE", None),
    ],
)
def test_tables(name: str, header: dict[str, str], tag: str, night: str | None) -> None:
    assert recognises(name, header)
    found = classify(name, header)
    assert (found.tag, found.setup["night"]) == (tag, night)


def test_other_tables_are_foreign() -> None:
    other = {**IFUCEN, "COLUMNS": "col1,col2"}
    assert not recognises("IFUcen_HETDEX", other)
    assert not recognises("x", {"FILETYPE": "table", "COLUMNS": "wave,counts"})
    with pytest.raises(BadData, match="a table of col1,col2"):
        classify("IFUcen_HETDEX", other)
