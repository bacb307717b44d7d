"""Filling the image of a request, whichever API it came by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Literal

import numpy as np
from fastapi import Request
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from iic_rt.image_header import ImageFormat, ImageHeader
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions, Output
from iic_rt.result import InpaintResult
from iic_rt.server.images import Decoded, check_images, decode_images, encode
from iic_rt.server.inbox import unless_gone
from iic_rt.server.metrics import Metrics
from iic_rt.server.pool import Pool
from iic_rt.server.settings import ServerSettings
from iic_rt.server.upload import Upload

__all__ = ["Fill", "FillFields", "Filled"]

MOST_ITERATIONS = 16  # of a request; a hole that is not filled by then will not be by more
LONGEST_BUDGET = 3_600_000  # milliseconds


class FillFields(BaseModel):
    """How a hole is to be filled; what is left out is as the server was started."""

    grow: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] | None = Field(
        None, description="pixels by which the hole is grown beyond the mask, or auto: by each object's size"
    )
    iterations: int | None = Field(None, ge=1, le=MOST_ITERATIONS, description="most iterations")
    budget_ms: float | None = Field(
        None,
        gt=0,
        le=LONGEST_BUDGET,
        allow_inf_nan=False,
        description="milliseconds after which no further iteration is begun",
    )

    def options(self, base: InpaintOptions, *outputs: Output) -> InpaintOptions:
        """The options of a call."""
        given = {name: getattr(self, name) for name in ("grow", "iterations", "budget_ms")}
        return replace(base, outputs=outputs, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Filled:
    """A filled image, to be answered with.

    Attributes:
        image: as it came, uint8 [H, W], [H, W, 3] (BGR) or [H, W, 4] (BGRA).
        header: of its file.
        result: with its confidence.
    """

    image: NDArray[np.uint8]
    header: ImageHeader
    result: InpaintResult

    def encode(self, kind: ImageFormat) -> bytes:
        """The result in a format, with the metadata of the image."""
        return encode(self.result.image, kind, self.header.metadata)

    @cached_property
    def confidence(self) -> float | None:
        """Mean over the hole, 0 to 1; None where there was none."""
        assert self.result.confidence is not None
        inside = self.result.hole > 0
        return round(float(self.result.confidence[inside].mean()), 4) if inside.any() else None

    def told(self) -> dict[str, str]:
        """Headers that say how it was filled."""
        headers = {
            "X-Iterations": str(self.result.iterations),
            "X-Regions": str(self.result.regions),
            "X-Time-Ms": f"{self.result.timings.total_ms:.1f}",
        }
        return headers if self.confidence is None else headers | {"X-Confidence": str(self.confidence)}


class Fill:
    """Fills images of requests.

    Args:
        pool: of workers.
        settings: limits.
        base: options of every call, in BGR order.
        metrics: what is counted.
    """

    def __init__(self, pool: Pool, settings: ServerSettings, base: InpaintOptions, metrics: Metrics) -> None:
        self.pool, self.settings, self.base, self._metrics = pool, settings, base, metrics

    async def run(
        self,
        request: Request,
        upload: Upload,
        options: InpaintOptions,
        answer: Callable[[Filled], Response],
        *,
        colours: bool,
    ) -> Response:
        """Decodes, fills and answers, each in its thread; given up when the client goes.

        Args:
            request: whose body was read.
            upload: its images.
            options: of the call, with ``"confidence"`` among the outputs.
            answer: makes the answer.
            colours: whether colours and alpha of masks say something.

        Raises:
            ApiError: an image is missing or too large, there is no place, or the client is gone.
            InputError: the images cannot be used.
        """
        most = self.settings.max_megapixels
        header = check_images(upload, most)["image"]

        def fill(decoded: Decoded, inpainter: Inpainter) -> Filled:
            masks = decoded.masks
            result = inpainter.inpaint(
                decoded.image, masks["mask"], avoid=masks.get("avoid"), prefer=masks.get("prefer"), options=options
            )
            return Filled(decoded.image, header, result)

        work = self.pool.run(partial(decode_images, upload, most, colours=colours), fill, answer)
        done = await unless_gone(request.receive, work)
        self._metrics.megapixels.inc(header.megapixels)
        return done
