"""Where frames come from and go to, as it is written on a command line."""

from __future__ import annotations

from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from iic_rt.errors import InputError
from iic_rt.image_io import IMAGE_SUFFIXES
from iic_rt.video.mask_files import VIDEO_SUFFIXES, natural_order

__all__ = ["Output", "Source", "parse_output", "parse_sources"]

LIST_SUFFIXES = (".txt", ".streams")
NETWORK = ("http", "https", "rtmp", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
STREAMED = ("rtp", "srt", "tcp", "udp")  # what MPEG-TS is sent over
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts"}
# The camera of a Jetson; OpenCV must have been built with GStreamer.
CSI = (
    "nvarguscamerasrc sensor-id={} ! video/x-raw(memory:NVMM) ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! "
    "video/x-raw,format=BGR ! appsink drop=true max-buffers=1"
)


@dataclass(frozen=True)
class Source:
    """One sequence of frames.

    Attributes:
        kind: ``"media"``, a file or stream that PyAV reads; ``"pictures"``; or ``"camera"``.
        name: what messages call it.
        address: path or URL, or the number, device or GStreamer pipeline of a camera.
        files: the pictures, in order.
        live: frames come in their own time, and a connection that was lost is made again.
    """

    kind: Literal["media", "pictures", "camera"]
    name: str
    address: str | int = ""
    files: tuple[Path, ...] = ()
    live: bool = False

    def size(self) -> int | None:
        """Bytes of all its files; None where it has none, or they cannot be read."""
        files = self.files or (Path(str(self.address)),)
        try:
            return sum(path.stat().st_size for path in files)
        except OSError:
            return None


@dataclass(frozen=True)
class Output:
    """Where filled frames go.

    Attributes:
        kind: ``"file"``, a video; ``"folder"``, of pictures; ``"stream"``; or ``"none"``.
        address: path or URL.
        container: PyAV's name of the format of a file or stream.
        pattern: of the pictures' names, with ``%d`` in it; empty for the names of the source's pictures, or
            ``%06d.png`` where it has none.
    """

    kind: Literal["file", "folder", "stream", "none"]
    address: str = ""
    container: str = ""
    pattern: str = ""


def parse_sources(text: str) -> list[Source]:
    """The sources that a word of the command line names.

    Args:
        text: a video or picture; a folder or a pattern (``*.jpg``) of either, or a ``.txt`` file with one source a line
            (``#`` begins a remark): pictures make one sequence together, of videos each is one; ``0``,
            ``v4l2:///dev/video0`` or ``csi://0`` for a camera; ``file://``, or a URL of the network.

    Raises:
        InputError: there is nothing there, or it is of another kind.
    """
    if text.isdecimal():
        return [Source("camera", f"camera {text}", int(text), live=True)]
    if "://" in text:
        return _parse_url(text)
    path = Path(text).expanduser()
    if path.is_dir():
        return _group(text, sorted(path.iterdir(), key=natural_order), only_known=True)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return _read_list(path)
    if not path.exists() and has_magic(text):
        found = [Path(name) for name in glob(str(path))]  # noqa: PTH207 - the pattern may be absolute
        return _group(text, sorted(found, key=natural_order))
    return _group(text, [path])


def _parse_url(text: str) -> list[Source]:
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if scheme == "file":
        return parse_sources(unquote(parts.netloc + parts.path))
    if scheme == "v4l2":
        return [Source("camera", text, parts.path, live=True)]
    if scheme == "csi":
        return [Source("camera", text, CSI.format(parts.netloc or "0"), live=True)]
    if scheme not in NETWORK:
        allowed = ", ".join(f"{name}://" for name in ("file", "v4l2", "csi", *NETWORK))
        raise InputError(f"{text} begins with {scheme}://; allowed: {allowed}, or a path")
    address = text.replace("rtp://@:", "rtp://0.0.0.0:", 1)
    is_file = scheme in ("http", "https") and parts.path.lower().endswith(VIDEO_SUFFIXES)
    return [Source("media", text, address, live=not is_file)]


def _read_list(path: Path) -> list[Source]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list {path} cannot be read: {error}") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if any(Path(name).suffix.lower() in LIST_SUFFIXES for name in names):
        raise InputError(f"{path} names another list; put its lines into this one")
    here = [name if "://" in name or name.isdecimal() else str(path.parent / name) for name in names]
    if here and all(Path(name).suffix.lower() in IMAGE_SUFFIXES and "://" not in name for name in here):
        return _group(str(path), [Path(name) for name in here])
    found = [source for name in here for source in parse_sources(name)]
    if not found:
        raise InputError(f"the list {path} names no source; write one on each line")
    if len(found) > 1 and any(source.live for source in found):
        raise InputError(f"{path} names a camera or stream among others; start a command for each of them")
    return found


def _group(text: str, paths: list[Path], *, only_known: bool = False) -> list[Source]:
    """Pictures as one sequence, videos one by one."""
    shown = [path for path in paths if not path.name.startswith(".")] if only_known else paths
    pictures = [path for path in shown if path.suffix.lower() in IMAGE_SUFFIXES]
    videos = [path for path in shown if path.suffix.lower() not in IMAGE_SUFFIXES]
    if only_known:
        videos = [path for path in videos if path.suffix.lower() in VIDEO_SUFFIXES]
    if pictures and videos:
        raise InputError(f"{text} names both pictures and videos; name one kind, e.g. with a pattern: '*.jpg'")
    if not pictures and not videos:
        raise InputError(f"{text} names no picture and no video; check the name")
    missing = next((path for path in shown if not path.exists()), None)
    if missing is not None:
        raise InputError(f"{missing} does not exist; check the name")
    if pictures:
        return [Source("pictures", text, files=tuple(pictures))]
    return [Source("media", str(path), str(path)) for path in videos]


def parse_output(text: str | None, sources: list[Source]) -> list[Output]:
    """Where each source's frames go.

    Args:
        text: a video; a folder, for pictures, or with several sources for a video of each one's name; a pattern such as
            ``frames/%06d.jpg``; ``tcp://``, ``udp://``, ``rtp://`` or ``srt://`` for MPEG-TS; None for nowhere.
        sources: what :func:`parse_sources` gave.

    Raises:
        InputError: no output is of this kind, or several sources would go to one place.
    """
    if text is None:
        return [Output("none")] * len(sources)
    if text.startswith("file://"):
        text = unquote(text[len("file://") :])
    suffix = Path(text).suffix.lower()
    if len(sources) > 1:
        if "://" in text or suffix:
            raise InputError(f"{text} is one place for {len(sources)} sources; name a folder")
        return _videos_in(Path(text), sources)
    if "://" in text:
        scheme = text.split("://")[0].lower()
        if scheme not in STREAMED:
            allowed = ", ".join(f"{name}://" for name in STREAMED)
            raise InputError(f"cannot stream to {scheme}://; allowed: {allowed}, a file or a folder")
        return [Output("stream", text, "rtp_mpegts" if scheme == "rtp" else "mpegts")]
    if "%" in Path(text).name:
        path = Path(text)
        try:
            other = path.name % 1 != path.name % 2
        except (TypeError, ValueError):
            other = False
        if not other or suffix not in IMAGE_SUFFIXES:
            raise InputError(f"{text} is no pattern of pictures' names; give one such as frames/%06d.png")
        return [Output("folder", str(path.parent), pattern=path.name)]
    if suffix in CONTAINERS:
        return [Output("file", text, CONTAINERS[suffix])]
    if suffix and not Path(text).is_dir():
        allowed = ", ".join(CONTAINERS)
        raise InputError(f"no video is written with the ending {suffix}; allowed: {allowed}, a folder, or a URL")
    return [Output("folder", text)]


def _videos_in(folder: Path, sources: list[Source]) -> list[Output]:
    places = []
    for source in sources:
        name = Path(source.name)
        suffix = name.suffix.lower() if name.suffix.lower() in CONTAINERS else ".mp4"
        places.append(Output("file", str(folder / f"{name.stem}{suffix}"), CONTAINERS[suffix]))
    if len({place.address for place in places}) < len(places):
        raise InputError(f"several of the sources have the same name and would be one file in {folder}; rename them")
    return places
