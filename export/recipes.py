"""What engines to build for a device: a small JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from iic_rt.bundle.shapes import WORKING_SIZES
from iic_rt.engines.build import BuildOptions
from iic_rt.engines.engine_library import TARGETS
from iic_rt.engines.shapes import CHANNELS
from iic_rt.geometry import ladder_side

__all__ = ["Recipe", "RecipeError", "read_recipe"]

PRECISIONS = ("fp16", "fp32")


class RecipeError(Exception):
    """A recipe that cannot be read, or asks for what there is not."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Engines for one device.

    Attributes:
        target: ``"tensorrt"`` or ``"tensorrt-rtx"``.
        precision: ``"fp16"`` or ``"fp32"``.
        sides: of regions in pixels that there are engines for, from the ladder of ``iic_rt.geometry.ladder_side``. A
            bundle with engines takes no other, so a recipe has every side up to its largest.
        channels: of the images that there are engines for: 1 for grey, 3 for colour, 4 with alpha.
        working_size: side in pixels the loop runs at; None for the bundle's.
        workspace_mib, optimization_level, hardware_compatible, version_compatible: as in
            ``iic_rt.engines.build.BuildOptions``.
        comment: for people.
    """

    target: str
    precision: str = "fp16"
    sides: tuple[int, ...] = (256, 384, 512, 640, 768, 896, 1024)
    channels: tuple[int, ...] = CHANNELS
    working_size: int | None = None
    workspace_mib: int | None = None
    optimization_level: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False
    comment: str = ""

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise RecipeError(f"target is {self.target!r}; allowed: {', '.join(TARGETS)}")
        if self.precision not in PRECISIONS:
            raise RecipeError(f"precision is {self.precision!r}; allowed: {', '.join(PRECISIONS)}")
        if not self.sides or not all(_whole(side, 1) for side in self.sides):
            raise RecipeError(f"sides is {list(self.sides)}; name whole numbers, such as [256, 512]")
        if not self.channels or not set(self.channels) <= set(CHANNELS):
            raise RecipeError(f"channels is {list(self.channels)}; allowed: some of {list(CHANNELS)}")
        for name, least, most in (
            ("working_size", WORKING_SIZES[0], WORKING_SIZES[-1]),
            ("workspace_mib", 1, None),
            ("optimization_level", 0, 5),
        ):
            value = getattr(self, name)
            if value is not None and not _whole(value, least, most):
                raise RecipeError(
                    f"{name} is {value!r}; give a whole number from {least} {f'to {most}' if most else 'up'}"
                )
        for name in ("hardware_compatible", "version_compatible"):
            if not isinstance(getattr(self, name), bool):
                raise RecipeError(f"{name} is {getattr(self, name)!r}; allowed: true, false")

    @property
    def options(self) -> BuildOptions:
        """As the builder takes them."""
        return BuildOptions(**{field.name: getattr(self, field.name) for field in fields(BuildOptions)})

    def at(self, working_size: int) -> Recipe:
        """The recipe with its working size decided and its sides checked.

        Args:
            working_size: of the bundle, where the recipe names none.

        Raises:
            RecipeError: a side is not on the ladder.
        """
        size = self.working_size or working_size
        for side in self.sides:
            if ladder_side(side, size) != side:
                raise RecipeError(f"no region has {side} pixels; the next larger one has {ladder_side(side, size)}")
        return replace(self, working_size=size)


def read_recipe(path: Path | None, changes: dict[str, Any]) -> Recipe:
    """A recipe from a file, with some of its values changed.

    Args:
        path: of the JSON file; None for the defaults.
        changes: values by name, in place of the file's.

    Raises:
        RecipeError: the file is missing, is no JSON, or has a key or a value that there is not.
    """
    facts: dict[str, Any] = {}
    if path is not None:
        try:
            facts = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise RecipeError(f"{path} is no recipe ({error}); the ones in engines/ are examples") from error
    facts |= changes
    if "target" not in facts:
        raise RecipeError("no target; give --target or --recipe")
    known = {field.name: field.type for field in fields(Recipe)}
    unknown = [name for name in facts if name not in known]
    if unknown:
        raise RecipeError(f"{path} has {', '.join(unknown)}, which there is not; there are: {', '.join(known)}")
    for name, example in (("sides", [256, 512]), ("channels", [3])):
        if not isinstance(facts.get(name, []), (list, tuple)):
            raise RecipeError(f"{name} is {facts[name]!r}; give a list of whole numbers, such as {example}")
        if name in facts:
            facts[name] = tuple(facts[name])
    return Recipe(**facts)


def _whole(value: object, least: int, most: int | None = None) -> bool:
    return (
        isinstance(value, int) and not isinstance(value, bool) and least <= value <= (value if most is None else most)
    )
