import numpy as np
import pytest

from tracecube.kernels.fibre_disc import alpha_of, disc_light, disc_nodes, disc_share


def test_share_is_the_integral_over_the_disc():
    # on the axis the Moffat profile integrates to 1 - (1 + r^2 / alpha^2)^(1 - beta)
    alpha = float(alpha_of(np.array(1.6), 3.5))
    share = disc_share(np.zeros(1), np.zeros(1), np.array(1.6), 3.5, 0.75).share[0]
    assert share == pytest.approx(1.0 - (1.0 + 0.75**2 / alpha**2) ** -2.5, rel=1e-4)


@pytest.mark.parametrize("place", [(0.4, 0.3), (1.1, -0.8), (3.0, 2.0)])
def test_share_off_the_axis_against_a_fine_sum(place):
    step = 0.01
    x, y = np.meshgrid(np.arange(-0.745, 0.75, step), np.arange(-0.745, 0.75, step))
    inside = np.hypot(x, y) < 0.75
    alpha = float(alpha_of(np.array(1.8), 3.0))
    r2 = (place[0] - x[inside]) ** 2 + (place[1] - y[inside]) ** 2
    fine = np.mean(2.0 / (np.pi * alpha**2) * (1.0 + r2 / alpha**2) ** -3.0) * np.pi * 0.75**2
    share = disc_share(np.array([place[0]]), np.array([place[1]]), np.array(1.8), 3.0, 0.75).share[0]
    assert share == pytest.approx(fine, rel=2e-3)


def test_slopes_are_those_of_the_share():
    x, y, width, beta, small = np.array([0.9]), np.array([-0.5]), np.array(1.7), 3.3, 1e-5

    def share(dx=0.0, dy=0.0, log=0.0, exponent=0.0):
        return disc_share(x + dx, y + dy, width * np.exp(log), beta + exponent, 0.75).share[0]

    part = disc_share(x, y, width, beta, 0.75)
    for name, key in (("by_x", "dx"), ("by_y", "dy"), ("by_log_width", "log"), ("by_beta", "exponent")):
        numeric = (share(**{key: small}) - share(**{key: -small})) / (2 * small)
        assert getattr(part, name)[0] == pytest.approx(numeric, rel=1e-6)


def test_nodes_fill_the_disc():
    x, y, weight = disc_nodes(2.0)
    assert weight.sum() == pytest.approx(1.0)
    assert np.sum(weight * (x**2 + y**2)) == pytest.approx(2.0)
    assert np.sum(weight * x**2 * y**2) == pytest.approx(2.0**4 / 24.0)


def test_light_alone_is_the_share():
    rng = np.random.default_rng(5)
    dx, dy = rng.uniform(-4.0, 4.0, (2, 3, 40))
    width = rng.uniform(1.2, 2.5, (1, 40))
    share = disc_share(dx, dy, width, 3.2, 0.75).share
    np.testing.assert_allclose(disc_light(dx, dy, width, 3.2, 0.75), share, rtol=1e-12)
