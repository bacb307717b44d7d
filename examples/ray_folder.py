"""Fills a folder on several machines with Ray Data: ``python examples/ray_folder.py IMAGES MASKS OUT --actors 8``.

The folders lie where all machines see them; masks are PNG files with the images' names. A result that is there is
skipped, and each is written whole or not at all: the program may be stopped, run again, or run twice at once. Needs
``pip install 'ray[data]'`` on every machine.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers

import cv2
import ray

from iic_rt import IICError, Inpainter, InpaintOptions
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask, write_image


class Fill:
    """An actor: one inpainter, which fills image after image."""

    def __init__(self, masks: Path, out: Path, threads: int) -> None:
        self.masks, self.out = masks, out
        cv2.setNumThreads(threads)  # resizing and filters have threads of their own
        self.inpainter = Inpainter(threads=threads, options=InpaintOptions(channel_order="bgr"))

    def __call__(self, row: dict) -> dict:
        image = Path(row["image"])
        result = self.out / image.name
        if result.exists():
            return {"image": image.name, "status": "was there"}
        try:
            mask = read_mask(self.masks / f"{image.stem}.png")
            write_image(result, self.inpainter.inpaint(read_image(image), mask).image)
        except IICError as error:
            return {"image": image.name, "status": f"error: {error}"}
        return {"image": image.name, "status": "written"}


parser = argparse.ArgumentParser(description=__doc__)
for name in ("images", "masks", "out"):
    parser.add_argument(name, type=Path)
parser.add_argument("--actors", type=int, default=2, help="images filled at once, on all machines together")
parser.add_argument("--threads", type=int, default=1, help="of an actor")
told = parser.parse_args()
ray.data.DataContext.get_current().max_errored_blocks = -1  # go on where an image kills its actor again and again
images = sorted(path for path in told.images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
rows = ray.data.from_items([{"image": str(path)} for path in images], override_num_blocks=len(images))
setup = {"concurrency": told.actors, "num_cpus": told.threads, "max_restarts": -1, "max_task_retries": 1}
lost = {path.name for path in images}
for row in rows.map(Fill, fn_constructor_args=(told.masks, told.out, told.threads), **setup).iter_rows():
    print(f"{row['image']}: {row['status']}", flush=True)
    if not row["status"].startswith("error"):
        lost.remove(row["image"])
sys.exit(f"not written: {', '.join(sorted(lost))}" if lost else 0)
