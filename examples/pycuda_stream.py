"""Frames that stay on the GPU, with pycuda: ``python examples/pycuda_stream.py IMAGE MASK``. Not yet run on a GPU."""

import sys

import cv2
import pycuda.autoinit  # noqa: F401 - its context is the one that is used
import pycuda.driver as cuda
from pycuda import gpuarray

from iic_rt import Inpainter, InpaintOptions
from iic_rt.video import VideoInpainter


def main(image_file: str, mask_file: str) -> None:
    image, mask = cv2.imread(image_file), cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE)
    stream = cuda.Stream()
    options = InpaintOptions(channel_order="bgr")
    with (
        Inpainter(backend="tensorrt", stream=stream, options=options) as inpainter,
        VideoInpainter(inpainter, policy="newest", deadline_ms=100) as video,
    ):
        frames = [gpuarray.to_gpu_async(image, stream=stream) for _ in range(8)]  # in place of a decoder
        for n, frame in enumerate(frames):
            video.put(frame, mask, pts=n)  # not copied: it may be overwritten once it came out again
        video.end()
        for filled in video:
            on_device = filled.substitute != "blank"  # a blank image is a numpy array
            print(filled.pts, filled.status, "on the device" if on_device else "on the host")
        print(video.stats)


main(*sys.argv[1:])
