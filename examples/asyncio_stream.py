"""Frames in an asyncio program: ``python examples/asyncio_stream.py IMAGE MASK``.

Waiting for a frame is left to a thread, so the loop of events goes on serving everything else.
"""

import asyncio
import sys

import cv2

from iic_rt import Inpainter, InpaintOptions
from iic_rt.video import VideoInpainter


async def produce(video: VideoInpainter, image, mask, count: int) -> None:
    for n in range(count):  # in place of a socket, or a camera's callback
        await asyncio.to_thread(video.put, image, mask, n)
    video.end()


async def consume(video: VideoInpainter) -> int:
    count = 0
    while (frame := await asyncio.to_thread(video.get)) is not None:
        print(f"frame {frame.pts}: {frame.status} after {frame.latency_ms:.0f} ms")
        count += 1
    return count


async def main(image_file: str, mask_file: str) -> None:
    image, mask = cv2.imread(image_file), cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE)
    with Inpainter(options=InpaintOptions(channel_order="bgr")) as inpainter, VideoInpainter(inpainter) as video:
        _, count = await asyncio.gather(produce(video, image, mask, 4), consume(video))
        print(f"{count} frames, {video.stats.filled} filled")


asyncio.run(main(*sys.argv[1:]))
