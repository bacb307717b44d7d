"""What libraries that decode images write to standard error: libjpeg and libpng know no other way to complain."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["decoding", "noise_told_to"]

# How their messages begin, each of which is a line.
NOISE = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression sequence|Invalid SOS parameters|"
    rb"Unknown Adobe color|Warning: unknown JFIF|Application transferred|libpng warning|libpng error)[^\n]*\n?"
)
LONGEST = 200  # characters of what is told
STDERR = 2

_listeners: list[Callable[[str, str], None]] = []  # the last one listens
_one_image = threading.Lock()  # standard error is the whole process's: one image at a time, so that it is known whose


@contextmanager
def noise_told_to(listener: Callable[[str, str], None]) -> Iterator[None]:
    """Within it a listener is told what decoders say, in all threads, and nothing of it gets to standard error.

    While an image is decoded, what others write to standard error waits. So this is for programs which that belongs to,
    such as the command, and not for a library.

    Args:
        listener: is called with the name of an image and the first line about it, in the thread that decoded it. Of an
            image that cannot be used it is told nothing, since there is an error.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Within it an image is decoded by OpenCV; see :func:`noise_told_to`.

    Args:
        name: what the listener calls the image.
    """
    if not _listeners:
        yield
        return
    noise: list[bytes] = []
    with _one_image, _kept(noise):
        yield
    if noise and _listeners:
        _listeners[-1](name, noise[0].decode(errors="replace").strip()[:LONGEST])


@contextmanager
def _kept(noise: list[bytes]) -> Iterator[None]:
    """Within it standard error is a file; afterwards what is not noise is written to where it was to go."""
    try:
        before, kept = os.dup(STDERR), tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:  # there is no standard error, or no place for it
        yield
        return
    with kept:
        os.dup2(kept.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            os.close(before)
            kept.seek(0)
            content = kept.read()
            noise += NOISE.findall(content)
            others = NOISE.sub(b"", content)
            with suppress(OSError):
                while others:
                    others = others[os.write(STDERR, others) :]
