"""By how much light exposures were divided, so that a response of another night serves: lamps and twilights differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import Meta, Scalar
from tracecube.core.headers import number
from tracecube.instruments.muse.exposure_steps import LAMP_CARD, LEVEL_CARD
from tracecube.instruments.muse.geometry import channel_of

__all__ = ["lit_by", "lit_cards", "relative_light"]

_CARD = "LIT{channel:02d}"


def lit_by(meta: Meta) -> float | None:
    """Return the light (electron) by which an exposure of a channel was divided: twilight over lamp, times the lamp.

    None where its header does not tell.
    """
    lamp, level = number(meta, LAMP_CARD), number(meta, LEVEL_CARD)
    return None if lamp is None or level is None else lamp * level


def lit_cards(metas: Sequence[Meta]) -> dict[str, Scalar]:
    """Return the cards with which a response tells by which light its exposures were divided."""
    told = {channel_of(meta, "exposure"): lit_by(meta) for meta in metas}
    return {
        _CARD.format(channel=channel): round(light, 5) for channel, light in sorted(told.items()) if light is not None
    }


def relative_light(metas: Sequence[Meta], response: Meta) -> tuple[float, tuple[str, ...]]:
    """Return the light by which exposures were divided over that of a response, and what is to be said of it.

    The median over the channels that both have: lamp and twilight brighten all channels alike.

    Parameters
    ----------
    metas : sequence of Meta
        Headers of the exposure, one a channel.
    response : Meta
    """
    ratios = []
    for meta in metas:
        own, other = lit_by(meta), number(response, _CARD.format(channel=channel_of(meta, "exposure")))
        if own is not None and other is not None and own > 0 and other > 0:
            ratios.append(own / other)
    if ratios:
        return float(np.median(ratios)), ()
    any_told = any(key.startswith("LIT") for key in response)
    said = "the response is of other channels: flux is off by as much as lamp or twilight were brighter on its night"
    return 1.0, (said,) if any_told else ()
