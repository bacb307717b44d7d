"""Opens a source for reading, whatever kind it is."""

from __future__ import annotations

from fractions import Fraction

from iic_rt.errors import InputError
from iic_rt.video.media_reader import MediaReader
from iic_rt.video.picture_reader import CameraReader, PictureReader
from iic_rt.video.places import Source
from iic_rt.video.reader import Reader

__all__ = ["open_reader"]


def open_reader(
    source: Source,
    *,
    fps: Fraction = Fraction(25),
    for_video: bool = True,
    timeout: float = 10.0,
    reconnect: float = 60.0,
    turn: int | None = None,
) -> Reader:
    """Opens a source.

    Args:
        source: what :func:`iic_rt.video.places.parse_sources` gave.
        fps: frames a second of pictures.
        for_video: pictures get one size, and colours without alpha.
        timeout: seconds to wait for a stream.
        reconnect: seconds after which a camera or stream that is gone is given up.
        turn: quarter turns counterclockwise of a video; None for what it says itself.

    Raises:
        InputError: it cannot be opened, or ``fps`` is out of range.
    """
    if source.kind == "pictures":
        if not 0 < fps <= 1000:
            raise InputError(f"fps is {fps}; give a number above 0, up to 1000")
        return PictureReader(source.files, rate=fps, for_video=for_video)
    if source.kind == "camera":
        return CameraReader(source.address, name=source.name, reconnect=reconnect)
    return MediaReader(
        str(source.address), name=source.name, live=source.live, timeout=timeout, reconnect=reconnect, turn=turn
    )
