"""Streams of frames: put in as they come, got back filled and in order, with bounded memory."""

from iic_rt.video.frames import VideoFrame, VideoStats
from iic_rt.video.stream import VideoInpainter

__all__ = ["VideoFrame", "VideoInpainter", "VideoStats"]
