"""Filled frames as pictures in a folder, or nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from iic_rt.errors import InputError, OutputError
from iic_rt.files import remove_stale
from iic_rt.image_header import Metadata, read_header
from iic_rt.image_io import IMAGE_SUFFIXES, lost_profile, read_file, write_image
from iic_rt.video.frames import VideoFrame
from iic_rt.video.places import Output

__all__ = ["NoWriter", "PictureWriter", "Writer"]


class Writer(Protocol):
    """Takes filled frames in order.

    Attributes:
        notes: what of the source could not be kept.
        resume_at: seconds of the last frame of an earlier run; None where there is none, or its number says enough.
        tolerance: seconds by which that may be off.
        resumed: number of frames of the earlier run.
    """

    notes: list[str]
    resume_at: Fraction | None
    tolerance: Fraction
    resumed: int

    def write(self, frame: VideoFrame) -> None:
        """Writes a frame whose ``pts`` is a :class:`iic_rt.video.reader.Stamp`."""

    def pass_on(self, packets: Iterable[Any]) -> None:
        """Writes packets of other streams, where it can."""

    def finish(self) -> None:
        """Completes the output."""

    def leave(self) -> str:
        """Ends it before it is complete, and says where what is there can be found."""


class NoWriter:
    """Writes nothing, for a preview alone."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.resume_at: Fraction | None = None
        self.tolerance = Fraction(0)
        self.resumed = 0

    def write(self, frame: VideoFrame) -> None:
        pass

    def pass_on(self, packets: Iterable[Any]) -> None:
        pass

    def finish(self) -> None:
        pass

    def leave(self) -> str:
        return ""


class PictureWriter(NoWriter):
    """Writes every frame as a picture, whole or not at all.

    Args:
        output: the folder, made if it does not exist, and the pattern of names.
        files: the source's pictures, whose metadata the results get, and their names too where there is no pattern;
            without files they are numbered from 0.
        resume: leave out the frames whose pictures are there.

    Raises:
        OutputError: the folder cannot be made, or holds pictures and ``resume`` is not set.
    """

    def __init__(self, output: Output, *, files: tuple[Path, ...] = (), resume: bool = False) -> None:
        super().__init__()
        self._folder, self._files = Path(output.address), files
        names = [path.name for path in files]
        self._pattern = output.pattern or ("" if names else "%06d.png")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            remove_stale(self._folder)
            there = {p.name for p in self._folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES}
        except OSError as error:
            raise OutputError(f"cannot write pictures to {self._folder}: {error.strerror}") from error
        if there and not resume:
            raise OutputError(
                f"cannot write pictures to {self._folder}: it holds {min(there)} already; go on with --resume, empty "
                "it, or name another"
            )
        if names and (lost := lost_profile(self._folder / self._name(0, names[0]), self._metadata(0))):
            self.notes.append(lost)
        while self._name(self.resumed, "".join(names[self.resumed : self.resumed + 1])) in there:
            self.resumed += 1

    def _name(self, index: int, name: str = "") -> str:
        return self._pattern % index if self._pattern else name

    def write(self, frame: VideoFrame) -> None:
        path = self._folder / self._name(frame.pts.index, frame.pts.name)
        write_image(path, frame.image, self._metadata(frame.pts.index))

    def _metadata(self, index: int) -> Metadata:
        if index >= len(self._files):
            return Metadata()
        path = self._files[index]
        try:
            return read_header(read_file(path), str(path)).metadata
        except InputError:  # the frame failed, and another image takes its place
            return Metadata()

    def leave(self) -> str:
        return str(self._folder)
