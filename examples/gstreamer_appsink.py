"""Between two GStreamer pipelines: ``python examples/gstreamer_appsink.py "videotestsrc num-buffers=8" "fakesink"``."""

import ctypes
import sys

import gi
import numpy as np

from iic_rt import Inpainter

ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)  # before GStreamer's libunwind, which breaks C++ exceptions
gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

CAPS = "video/x-raw,format=RGB,width=320,height=240,framerate=25/1"


def frames(sink):
    while (sample := sink.emit("pull-sample")) is not None:  # None: the stream has ended
        buffer = sample.get_buffer()
        pixels = np.frombuffer(buffer.extract_dup(0, 240 * 960), np.uint8)  # rows of 960 bytes are not padded
        yield pixels.reshape(240, 320, 3), (buffer.pts, buffer.duration)


Gst.init(None)
reading = Gst.parse_launch(f"{sys.argv[1]} ! videoconvert ! videoscale ! videorate ! {CAPS} ! appsink name=a")
writing = Gst.parse_launch(f"appsrc name=a caps={CAPS} format=time block=true ! videoconvert ! {sys.argv[2]}")
for pipeline in (writing, reading):
    pipeline.set_state(Gst.State.PLAYING)
mask = np.pad(np.full((60, 80), 255, np.uint8), ((90, 90), (120, 120)))  # white is removed
with Inpainter() as inpainter:
    for frame in inpainter.stream(frames(reading.get_by_name("a")), mask):
        buffer = Gst.Buffer.new_wrapped(frame.image.tobytes())
        buffer.pts, buffer.duration = frame.pts
        writing.get_by_name("a").emit("push-buffer", buffer)
writing.get_by_name("a").emit("end-of-stream")
writing.get_bus().timed_pop_filtered(10 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
for pipeline in (writing, reading):
    pipeline.set_state(Gst.State.NULL)
