"""What every source of readings has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Absent", "Sensor", "or_absent"]


class Absent(Exception):
    """The machine does not offer it; the message says why."""


class Sensor(Protocol):
    """A source of readings. Its constructor raises :class:`Absent` where the machine has none."""

    def begin(self) -> None:
        """The timed work starts."""

    def end(self, seconds: float) -> dict[str, Any]:
        """It took so many seconds; returns the readings, among them ``joules`` or why there are none."""

    def close(self) -> None:
        """Stops whatever runs in the background."""


def or_absent(source: Callable[[], Any]) -> Any:
    """What ``source`` returns, or ``{"absent": reason}``: nothing that is not there is ever recorded as 0."""
    try:
        return source()
    except Absent as reason:
        return {"absent": str(reason)}
