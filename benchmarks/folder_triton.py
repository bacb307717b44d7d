"""Fills a folder with a Triton server of ``engines.triton``; a part of ``benchmarks.folder``.

Runs with the Python that has Triton's client: ``python -m benchmarks.folder_triton ADDRESS IMAGES MASKS OUT CLIENTS``.
Prints the seconds it took.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

from iic_rt.image_io import read_image, read_mask, write_image


def main(address: str, images: Path, masks: Path, out: Path, clients: int) -> float:
    import tritonclient.grpc as triton  # which the environment of the other benchmarks has not

    own = local()

    def fill(path: Path) -> None:
        if not hasattr(own, "client"):
            own.client = triton.InferenceServerClient(address)
        arrays = {"image": read_image(path), "mask": read_mask(masks / f"{path.stem}.png")}
        inputs = []
        for name, array in arrays.items():
            tensor = triton.InferInput(name, list(array.shape), "UINT8")
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        answer = own.client.infer("iic_rt", inputs, parameters={"channel_order": "bgr"})
        write_image(out / path.name, answer.as_numpy("image"))

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(fill, sorted(images.iterdir())))
    return time.perf_counter() - began


if __name__ == "__main__":
    print(main(sys.argv[1], *map(Path, sys.argv[2:5]), int(sys.argv[5])))
