from __future__ import annotations

import pytest

from tracecube.instruments.sphere_ifs.science_parameters import CompanionParams


@pytest.mark.parametrize(
    ("given", "rotation", "exposures", "method"),
    [
        ({}, 40.0, 8, "asdi"),
        ({}, 3.0, 8, "sdi"),
        ({}, 40.0, 1, "sdi"),
        ({"ifs.science_dr.use_adi": 1, "ifs.science_dr.spec_deconv": False}, 1.0, 8, "adi"),
        ({"ifs.science_dr.use_adi": 0, "ifs.science_dr.spec_deconv": False}, 40.0, 8, "none"),
        ({"principal_components": True}, 40.0, 8, "pca-asdi"),
        ({"principal_components": True, "spec_deconv": False}, 40.0, 8, "pca-adi"),
        ({"principal_components": True, "use_adi": 0}, 40.0, 8, "pca-sdi"),
    ],
)
def test_observatorys_parameters_choose_the_method(
    given: dict[str, object], rotation: float, exposures: int, method: str
) -> None:
    params = CompanionParams.model_validate(given)
    assert params.method(rotation, exposures) == method
    assert params.contrast(params.method(rotation, exposures)).speckles.method == method


def test_defaults_are_the_observatorys() -> None:
    params = CompanionParams()
    assert (params.use_adi, params.min_adi_angle, params.spec_deconv, params.order) == (2, 4.0, True, 2)
