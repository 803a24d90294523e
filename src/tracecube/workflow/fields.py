"""Which exposures see one field of the sky: each lies close to another of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.workflow import Fields
from tracecube.workflow.associate import allowed
from tracecube.workflow.items import Item

__all__ = ["with_fields"]


def with_fields(items: Sequence[Item], rules: Sequence[Fields]) -> list[Item]:
    """Return the items with the number of their field as setup key ``field``.

    Parameters
    ----------
    items : sequence of Item
        In order of time. Those without place (setup keys ``ra``, ``dec``, degree), or that no rule allows, stay as
        they are.
    rules : sequence of Fields
    """
    found, first = list(items), 1
    for rule in rules:
        own = [i for i, item in enumerate(found) if allowed(item, rule.where) and _place(item) is not None]
        places = {place: None for i in own if (place := _place(found[i])) is not None}
        labels = dict(zip(places, _connected(list(places), rule.apart), strict=True))
        for i in own:
            place = _place(found[i])
            if place is not None:
                found[i] = replace(found[i], setup={**found[i].setup, "field": first + labels[place]})
        first += len(set(labels.values()))
    return found


def _place(item: Item) -> tuple[float, float] | None:
    ra, dec = item.setup.get("ra"), item.setup.get("dec")
    if not isinstance(ra, int | float) or not isinstance(dec, int | float):
        return None
    return float(ra), float(dec)


def _connected(places: Sequence[tuple[float, float]], apart: float) -> list[int]:
    """Return the number of the connected group of each place, from 0 in order of the first of each.

    Examples
    --------
    >>> _connected([(10.0, -30.0), (50.0, 20.0), (10.001, -30.0)], 5.0)
    [0, 1, 0]
    """
    label = list(range(len(places)))
    for i, one in enumerate(places):
        for j in range(i):
            if label[i] != label[j] and _distance(one, places[j]) <= apart:
                low, high = sorted((label[i], label[j]))
                label = [low if each == high else each for each in label]
    order = list(dict.fromkeys(label))
    return [order.index(each) for each in label]


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the angle between two places (degree), arcsec, by the haversine."""
    (a, d), (b, e) = np.radians(one), np.radians(other)
    h = np.sin(0.5 * (e - d)) ** 2 + np.cos(d) * np.cos(e) * np.sin(0.5 * (b - a)) ** 2
    return float(np.degrees(2.0 * np.arcsin(np.sqrt(min(h, 1.0)))) * 3600.0)
