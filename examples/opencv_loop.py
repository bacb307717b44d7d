"""A camera or a file through OpenCV: ``python examples/opencv_loop.py SOURCE MASK OUT.mp4``.

One thread reads, one fills, this one writes. A camera's newest frame is taken; what comes too late is replaced.
"""

import sys

import cv2

from iic_rt import Inpainter, InpaintOptions


def frames(capture):
    while True:
        done, frame = capture.read()  # uint8 [H, W, 3], BGR
        if not done:
            return
        yield frame, capture.get(cv2.CAP_PROP_POS_MSEC)


def main(source: str, mask_file: str, out: str) -> None:
    live = source.isdecimal()
    capture = cv2.VideoCapture(int(source) if live else source)
    mask = cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE)  # white is removed
    writer = None
    with Inpainter(options=InpaintOptions(channel_order="bgr")) as inpainter:
        for frame in inpainter.stream(frames(capture), mask, policy="newest" if live else "block"):
            if writer is None:
                size = frame.image.shape[1::-1]
                writer = cv2.VideoWriter(
                    out, cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS) or 25, size
                )
            writer.write(frame.image)
            print(f"{frame.pts:.0f} ms: {frame.status}, {frame.latency_ms:.0f} ms after it was read")
    if writer is not None:
        writer.release()


main(*sys.argv[1:])
