"""Parts that pages share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment, PackageLoader


def test_products_of_one_tag_are_one_word_with_a_number_each() -> None:
    environment = Environment(loader=PackageLoader("tracecube.report"), autoescape=True)
    environment.filters |= {"link": str, "number": str}
    names = (("CUBE", "a/c.fits"), ("SEGMENTS", "a/s1.fits"), ("SEGMENTS", "a/s2.fits"))
    files = [SimpleNamespace(tag=tag, path=Path(path)) for tag, path in names]
    text = environment.get_template("parts.html").module.files(files)
    assert '<a href="a/c.fits">CUBE</a>' in text
    assert text.count("SEGMENTS") == 1
    assert '<a href="a/s1.fits" title="s1.fits">1</a> <a href="a/s2.fits" title="s2.fits">2</a>' in text
