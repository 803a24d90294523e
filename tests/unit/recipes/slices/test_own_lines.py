"""Lines that pieces of slices have of their own: found where gas is, not where sky and hits are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import Sky
from tracecube.core.slices import SliceGeometry
from tracecube.kernels.sky_spline import derivatives
from tracecube.recipes.slices.continuity import Columns, columns
from tracecube.recipes.slices.own_lines import clearest_line, next_faintest, pieces_with_lines
from tracecube.recipes.slices.segments import place_of
from tracecube.recipes.slices.sky_fit import MOST_LIT, SkyParams, fit_sky
from tracecube.recipes.slices.sky_pieces import gather

SAMPLES = np.arange(3800.0)
SKY = 40.0 + 10.0 * np.sin(SAMPLES / 700.0) + 2000.0 * np.exp(-0.5 * ((SAMPLES - 1500.0) / 1.1) ** 2)


def piece(rng, height, at=2500.3):
    line = height * np.exp(-0.5 * ((SAMPLES - at) / 1.2) ** 2)
    return SKY + 0.03 * SKY * np.sin(SAMPLES / 900.0) + line + rng.normal(0.0, np.sqrt(SKY))


@pytest.mark.parametrize(("height", "least", "most"), [(0.0, 0.0, 5.0), (25.0, 4.5, 11.0)])
def test_a_line_is_as_clear_as_its_light(height, least, most):
    rng = np.random.default_rng(1)
    found = [clearest_line(piece(rng, height), 1.0 / SKY, SKY) for _ in range(30)]
    assert least < np.min(found)
    assert np.max(found) < most


def test_what_is_left_of_the_sky_and_what_was_hit_is_no_line():
    rng = np.random.default_rng(2)
    flux, weight = piece(rng, 0.0) + 0.05 * (SKY - 45.0) * (SKY > 100.0), 1.0 / SKY
    assert clearest_line(flux, weight, SKY) < 5.0
    flux[2000] += 1000.0
    assert clearest_line(flux, weight, SKY) < 5.0
    assert clearest_line(flux, np.where(SAMPLES < 3500.0, 0.0, weight), SKY) == 0.0


def test_pieces_among_such_with_lines_have_fainter_ones():
    row = np.repeat(np.arange(10), 8)
    where = Columns(row, np.tile(np.arange(8), 10), row.astype(float))
    clearest = np.zeros((10, 8))
    clearest[4, 3:5] = 9.0  # gas
    clearest[8, 0] = 6.0  # a hit
    found = pieces_with_lines(clearest.ravel(), where, 1.9 * where.column).reshape(10, 8)
    assert found[3:6, 3:5].all()
    assert not found[:2].any()
    assert found[8, 0]
    assert found[7:, :2].sum() == 1


STACKS, ROWS, PIECES = 4, 12, 8


def field(every: int = 1):
    """Slices of a channel in four stacks, cut in pieces: numbers fall with x, those of stacks do not matter."""
    count = STACKS * ROWS
    stack, row = np.divmod(np.arange(count), ROWS)
    nothing = np.zeros(count)
    geometry = SliceGeometry(
        aperture=np.arange(1, count + 1),
        x=15.0 * (stack - 1.5),
        y=0.2 * row,
        angle=nothing,
        width=np.full(count, 15.0),
        dq=np.zeros(count, np.int32),
    )
    number = np.arange(PIECES)
    across = 76.0 * ((number + 0.5) / PIECES - 0.5)
    x, y = np.stack([place_of(geometry, one, across, np.full(PIECES, 76.0)) for one in range(count)], axis=1)
    owner, piece = np.repeat(np.arange(count), PIECES), np.tile(number, count)
    own = piece % every == 0
    return owner[own], piece[own], x.ravel()[own], y.ravel()[own]


def lit_among(lines, every: int = 1):
    """Return which pieces (stack, row, piece) are taken to have lines, of places where there is one."""
    owner, piece, x, y = field(every)
    clearest = np.zeros((STACKS, ROWS, PIECES))
    for place in lines:
        clearest[place] = 9.0
    own = clearest.reshape(-1, PIECES)[owner, piece]
    found = np.zeros((STACKS * ROWS, PIECES), bool)
    found[owner, piece] = pieces_with_lines(own, columns(owner, piece, x, y), x)
    return found.reshape(STACKS, ROWS, PIECES)


def test_pieces_beside_each_other_in_the_field_are_neighbours_whatever_their_numbers():
    found = lit_among([(0, 4, 0), (1, 4, 7)])  # gas where two stacks meet
    assert found[0, 3:6, 0].all()
    assert found[1, 3:6, 7].all()
    assert found.sum() == 6


def test_pieces_whose_numbers_follow_each_other_far_apart_are_no_neighbours():
    found = lit_among([(0, 4, 7), (0, 5, 7)])  # at the edge of the field, 28 arcsec from piece 0 of the next stack
    assert not found[1:].any()
    assert found[0, 4:6, 6:].all()


def test_of_every_other_piece_the_next_is_a_neighbour():
    found = lit_among([(2, 4, 2), (2, 5, 2)], every=2)
    assert found[2, 4:6, [0, 2, 4]].all()
    assert found.sum() == 6


def test_stacks_are_told_apart_by_every_other_piece():
    for every in (1, 2):
        owner, piece, x, y = field(every)
        where = columns(owner, piece, x + 0.3 * np.sin(owner.astype(float)), y)
        stack = where.column // (int(piece.max()) + 1)
        assert np.array_equal(stack, owner // ROWS)


@pytest.mark.parametrize("height", [0.15, 0.3])
def test_faint_gas_in_pieces_of_sky_does_not_get_into_the_spectrum(height):
    """A line in a sixth of the pieces, too faint for their brightness to tell."""
    sky, spectra, blank, at = Sky(noise=0.03), [], [], np.arange(5020.0, 5040.0, 0.3)
    for gas in (0.0, height):
        made = [
            replace(one, x=3.75 * (one.piece - 1.5), y=0.2 * (one.aperture + 12.0 * number))
            for number, one in enumerate(sky.segments(2))
        ]
        for one in made:
            lit = one.aperture % 12 < 2
            one.flux[lit] += gas * np.exp(-0.5 * ((one.wave[lit] - 5029.4) / 1.3) ** 2)
        found = fit_sky(gather(made), SkyParams(fraction=0.4, rounds=4))
        blank.append(int(found.blank.sum()))
        spectra.append(derivatives(at, found.coefficient, found.first, found.step)[0])
    assert np.sum(spectra[1] - spectra[0]) * 0.3 < 0.02 * height * 3.3
    assert blank[1] == blank[0]  # the next faintest take their place


def test_light_of_objects_does_not_take_the_place_of_pieces_with_lines():
    """Sky in half of the pieces, in a third of that gas; objects of three to forty times that in the other half."""
    rng = np.random.default_rng(3)
    white = np.append(rng.normal(1.0, 0.01, 200), rng.uniform(3.0, 40.0, 200))
    white[7] = np.nan
    lit = np.arange(400) % 3 == 0
    blank = white < np.nanquantile(white, 0.4)
    found = next_faintest(white, blank, lit)
    assert 0 < found.sum() < (lit & blank).sum()
    assert not (found & (blank | lit)).any()
    assert white[found].max() < 1.04


def with_gas(apertures: int, spread: float = 0.0):
    """Pieces of two channels, the first of every twelve slices with a line of their own, at places that differ."""
    made = [
        replace(one, x=3.75 * (one.piece - 1.5), y=0.2 * (one.aperture + 12.0 * number))
        for number, one in enumerate(Sky(noise=0.03).segments(2))
    ]
    for one in made:
        lit = one.aperture % 12 < apertures
        middle = 5029.4 + spread * (one.aperture[lit] % 12)[:, None]
        one.flux[lit] += 0.3 * np.exp(-0.5 * ((one.wave[lit] - middle) / 1.3) ** 2)
    return gather(made)


def test_it_is_said_how_many_pieces_have_lines_and_what_the_spectrum_was_with_them():
    found = fit_sky(with_gas(2), SkyParams(fraction=0.4, rounds=4))
    assert 0.15 < found.lit < 0.4
    assert not np.array_equal(found.shared, found.coefficient)
    assert fit_sky(with_gas(0), SkyParams(fraction=0.4, rounds=4)).lit == 0.0


def test_where_most_pieces_have_lines_they_stay_and_it_is_told():
    slices = with_gas(12, spread=6.0)
    found = fit_sky(slices, SkyParams(fraction=0.4, rounds=4), allowed=np.ones(len(slices.slice), bool))
    assert found.lit > MOST_LIT
    assert found.blank.all()


def test_the_end_where_a_spectrum_fades_has_no_lines():
    """There errors come out too small, and noise of some samples looks like a line."""
    rng = np.random.default_rng(11)
    sky, noise = np.full(3000, 10.0), np.ones(3000)
    noise[:60] = np.geomspace(60.0, 2.5, 60)
    flux = sky + rng.normal(0.0, noise)
    flux[20:25] += 5.0 * noise[20:25]
    assert clearest_line(flux, noise**-2.0, sky) < 4.5
    flux[1500:1505] += 5.0
    assert clearest_line(flux, noise**-2.0, sky) > 6.0
