"""Which encoder writes a video, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, get_args

from iic_rt.errors import InputError
from iic_rt.video.media_frames import FULL, Look
from iic_rt.video.reader import Facts

__all__ = ["CODECS", "Codec", "Encoding", "add_encoder", "choose_codec", "choose_look"]

Codec = Literal["keep", "h264", "hevc", "vp9", "av1", "ffv1"]


@dataclass(frozen=True)
class Encoder:
    """FFmpeg's encoder of a codec.

    Attributes:
        quality: that is hard to tell from the source; None for a lossless one.
        worst: largest number that stands for a quality.
        options: speed that leaves most of the time to the filling.
    """

    name: str
    quality: int | None
    worst: int
    options: Mapping[str, str]


CODECS = {
    "h264": Encoder("libx264", 18, 51, {"preset": "veryfast"}),
    "hevc": Encoder("libx265", 20, 51, {"preset": "veryfast", "x265-params": "log-level=error"}),
    "vp9": Encoder("libvpx-vp9", 24, 63, {"deadline": "realtime", "cpu-used": "5", "row-mt": "1"}),
    "av1": Encoder("libsvtav1", 24, 63, {"preset": "9"}),
    "ffv1": Encoder("ffv1", None, 0, {"level": "3", "slicecrc": "1"}),
}
DECODERS = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9"}  # whose names are not those of the codecs
PLANAR = {
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "yuv420p9le": "yuv420p10le",
}
KEY_SECONDS = 2  # between key frames: how far a player has to go back when one jumps


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a video is to be encoded.

    Attributes:
        codec: ``"keep"`` for the source's where it can be encoded and the container takes it, else ``"h264"``.
        quality: the encoder's CRF: 0 is best, and 6 more halve the file; None for its default.
        pix_fmt: FFmpeg's name; None for the source's where the codec takes it.
        options: more for the encoder, by FFmpeg's names, such as ``{"preset": "slow"}``.

    Raises:
        InputError: the codec is none of these.
    """

    codec: Codec = "keep"
    quality: int | None = None
    pix_fmt: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.codec not in get_args(Codec):
            raise InputError(f"codec is {self.codec!r}; allowed: {', '.join(get_args(Codec))}")


def choose_codec(encoding: Encoding, facts: Facts, supported: set[str], container: str) -> str:
    """The codec to write.

    Args:
        supported: names of the codecs that the container takes.
        container: its name.

    Raises:
        InputError: the container does not take it, or its quality is out of range.
    """
    source = DECODERS.get(facts.codec, facts.codec)
    if encoding.codec != "keep":
        codec: str = encoding.codec
        if codec not in supported:
            able = ", ".join(name for name in CODECS if name in supported)
            raise InputError(f"{container} cannot hold {codec}; allowed in it: {able}")
    else:
        codec = next(name for name in (source, "h264", "vp9") if name in CODECS and name in supported)
    worst = CODECS[codec].worst
    if encoding.quality is not None and (CODECS[codec].quality is None or not 0 <= encoding.quality <= worst):
        allowed = f"0 to {worst}" if worst else "none, since it is lossless"
        raise InputError(f"quality is {encoding.quality}; allowed with {codec}: {allowed}")
    return codec


def choose_look(encoding: Encoding, facts: Facts, codec: str, av: Any) -> Look:
    """The look of the encoded frames: the source's, unless the encoder does not take it.

    Raises:
        InputError: the encoder does not take the format that was asked for.
    """
    able = [f.name for f in av.codec.Codec(CODECS[codec].name, "w").video_formats or ()]
    look = facts.look
    if av.VideoFormat(look.pix_fmt).is_rgb or look.pix_fmt == "pal8":
        look = replace(look, pix_fmt="yuv420p", space=1, range=1, primaries=1, transfer=1)
    wanted = encoding.pix_fmt or PLANAR.get(look.pix_fmt, look.pix_fmt)
    if encoding.pix_fmt is not None and wanted not in able:
        raise InputError(f"{codec} does not take the pixel format {wanted}; allowed: {', '.join(able)}")
    if wanted not in able:
        if look.is_full:  # yuvj formats say so by their name alone
            look = replace(look, range=FULL)
        plain = wanted.replace("yuvj", "yuv")
        deep = any(component.bits > 8 for component in av.VideoFormat(wanted).components)
        wanted = plain if plain in able else "yuv420p10le" if deep and "yuv420p10le" in able else "yuv420p"
    if encoding.pix_fmt is None and codec in ("h264", "hevc") and (facts.width % 2 or facts.height % 2):
        wanted = "yuv444p"  # the others want even sizes
    return replace(look, pix_fmt=wanted)


def add_encoder(container: Any, codec: str, look: Look, facts: Facts, encoding: Encoding, *, at_once: bool) -> Any:
    """The stream of the encoded video in a container.

    Args:
        container: ``av.container.OutputContainer``.
        at_once: no frame waits for later ones in the encoder.
    """
    encoder = CODECS[codec]
    options = dict(encoder.options)
    quality = encoder.quality if encoding.quality is None else encoding.quality
    if quality is not None:
        options["crf"] = str(quality)
    if codec == "vp9":
        options["b"] = "0"  # without it the quality is only a limit
    if at_once and codec == "h264":
        options["tune"] = "zerolatency"
    options |= encoding.options
    rate = facts.rate or Fraction(25)
    stream = container.add_stream(encoder.name, rate=rate.limit_denominator(60_000), options=options)
    stream.width, stream.height, stream.pix_fmt = facts.width, facts.height, look.pix_fmt
    stream.time_base = stream.codec_context.time_base = facts.time_base
    context = stream.codec_context
    # Frames that refer to later ones are given out late and in another order, so that a killed run would lose more.
    context.max_b_frames = 0
    context.gop_size = max(1, round(KEY_SECONDS * rate))
    context.colorspace, context.color_range = look.space, look.range
    context.color_primaries, context.color_trc = look.primaries, look.transfer
    if look.aspect[0]:
        context.sample_aspect_ratio = Fraction(*look.aspect)
    return stream
