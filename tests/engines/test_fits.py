"""Which engine runs where."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from iic_rt.engines.build import BuildOptions
from iic_rt.engines.fits import built_for, fits_device, fits_version
from iic_rt.errors import BackendError


def library(target: str) -> Any:
    return SimpleNamespace(target=target, version="10.3.0")


@pytest.mark.parametrize(
    ("target", "device", "options", "expected"),
    [
        ("tensorrt", "8.7", BuildOptions(), ("10.3.0", "8.7")),
        ("tensorrt", "7.5", BuildOptions(), ("10.3.0", "7.5")),
        ("tensorrt", "8.9", BuildOptions(hardware_compatible=True), ("10.3.0", "8.0+")),
        ("tensorrt", "8.7", BuildOptions(version_compatible=True), ("10.3.0+", "8.7")),
        ("tensorrt-rtx", "12.0", BuildOptions(), ("10.3.0", "any")),
        ("tensorrt-rtx", None, BuildOptions(), ("10.3.0", "any")),
    ],
)
def test_what_an_engine_is_good_for(
    target: str, device: str | None, options: BuildOptions, expected: tuple[str, str]
) -> None:
    assert built_for(library(target), device, options) == expected


def test_devices_that_cannot_be_built_for() -> None:
    with pytest.raises(BackendError, match="none was found"):
        built_for(library("tensorrt"), None, BuildOptions())
    for target, options in (("tensorrt-rtx", BuildOptions()), ("tensorrt", BuildOptions(hardware_compatible=True))):
        with pytest.raises(BackendError, match=r"8\.0 or newer, and this device has 7\.5"):
            built_for(library(target), "7.5", options)


@pytest.mark.parametrize(
    ("built", "running", "fits"),
    [
        ("10.3.0", "10.3.0", True),
        ("10.3.0", "10.13.0", False),
        ("10.3.0+", "10.13.0", True),  # as numbers: as text 10.13 comes before 10.3
        ("10.13.0+", "10.3.0", False),
        ("10.3.0+", "11.1.0", False),
        ("10.3.0+", "10.13.3.9.post1", True),
    ],
)
def test_versions(built: str, running: str, fits: bool) -> None:
    assert fits_version(built, running) == fits


@pytest.mark.parametrize(
    ("built", "device", "fits"),
    [
        ("8.7", "8.7", True),
        ("8.6", "8.7", False),
        ("8.0+", "12.0", True),
        ("8.0+", "7.5", False),
        ("any", "8.9", True),
        ("any", None, True),
        ("8.0+", None, False),
        ("8.7", None, False),
    ],
)
def test_devices(built: str, device: str | None, fits: bool) -> None:
    assert fits_device(built, device) == fits
