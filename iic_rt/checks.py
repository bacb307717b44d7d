"""Whether an argument is of the type and in the range that it may have; numpy's numbers count as Python's."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from iic_rt.errors import InputError

__all__ = ["check_choice", "check_flag", "check_number", "check_whole", "is_whole"]


def is_whole(value: object, least: float, most: float = float("inf")) -> bool:
    """Whether it is a whole number from ``least`` to ``most``; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


def check_whole(value: Any, name: str, allowed: str, *, least: float, most: float = float("inf")) -> int:
    """The whole number as int.

    Args:
        value: of the caller.
        name: of the argument.
        allowed: what errors tell to give.
        least, most: its range.

    Raises:
        InputError: it is none, or out of range.
    """
    if not is_whole(value, least, most):
        raise InputError(f"{name} is {value!r}; give {allowed}")
    return int(value)


def check_number(value: Any, name: str, allowed: str, *, above: float | None = None, least: float = 0) -> float:
    """The number as float: above ``above``, or from ``least`` up.

    Raises:
        InputError: it is none, NaN, or out of range.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if number >= least if above is None else number > above:
            return number
    raise InputError(f"{name} is {value!r}; give {allowed}")


def check_flag(value: Any, name: str) -> bool:
    """True or False as bool; nothing else counts as one of them.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {value!r}; allowed: True or False")
    return bool(value)


def check_choice(value: Any, name: str, choices: tuple[str, ...]) -> None:
    """Whether it is one of some words.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} is {value!r}; allowed: {', '.join(map(repr, choices))}")
