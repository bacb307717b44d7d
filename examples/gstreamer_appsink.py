"""Between two GStreamer pipelines: ``python examples/gstreamer_appsink.py "videotestsrc num-buffers=8" "fakesink"``."""

import sys

import gi
import numpy as np

from iic_rt import Inpainter

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

CAPS = "video/x-raw,format=RGB,width=320,height=240,framerate=25/1"


def frames(sink):
    while (sample := sink.emit("pull-sample")) is not None:  # None: the stream has ended
        buffer = sample.get_buffer()
        data = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)  # rows of 960 bytes have no padding
        yield data.reshape(240, 320, 3), (buffer.pts, buffer.duration)


def main(source: str, out: str) -> None:
    Gst.init(None)
    ahead, behind = f"{source} ! videoconvert ! videoscale ! videorate ! {CAPS}", f"videoconvert ! {out}"
    reading = Gst.parse_launch(f"{ahead} ! appsink name=a max-buffers=2")
    writing = Gst.parse_launch(f"appsrc name=a caps={CAPS} format=time block=true ! {behind}")
    mask = np.zeros((240, 320), np.uint8)
    mask[90:150, 120:200] = 255  # white is removed
    all(pipeline.set_state(Gst.State.PLAYING) for pipeline in (writing, reading))
    with Inpainter() as inpainter:
        for frame in inpainter.stream(frames(reading.get_by_name("a")), mask):
            buffer = Gst.Buffer.new_wrapped(frame.image.tobytes())
            buffer.pts, buffer.duration = frame.pts
            writing.get_by_name("a").emit("push-buffer", buffer)
    writing.get_by_name("a").emit("end-of-stream")
    writing.get_bus().timed_pop_filtered(10 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    all(pipeline.set_state(Gst.State.NULL) for pipeline in (reading, writing))


if __name__ == "__main__":
    main(*sys.argv[1:])
