"""The queue of requests, and the workers that fill their images."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Literal, TypeVar

from iic_rt.inpainter import Inpainter
from iic_rt.server.answers import ApiError
from iic_rt.server.metrics import Metrics
from iic_rt.server.worker import Worker

__all__ = ["Pool"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

CODECS = 2  # threads that decode and encode
SMOOTHING = 0.2  # of a new service time in the running mean
FIRST_GUESS = 0.5  # seconds of service, before any was measured
START_AGAIN, DRAIN_AGAIN = 3, 10  # seconds after which clients may try again


class Pool:
    """Takes work in turn and bounds it.

    A request gets a place in the queue; in its turn the image is decoded, filled by a worker and encoded. One image
    more is decoded than there are workers, so that none of them waits for the next; encoding runs beside the next fill.
    All methods belong to the event loop's thread.

    Args:
        open_inpainter: makes an inpainter; each worker has its own.
        workers: how many.
        queue: requests that may have a place beyond those that the workers have in hand.
        metrics: what is counted.

    Attributes:
        failure: why the workers could not be started; None where they could, or are not yet.
        under_way: requests that came before :meth:`drain` and are not over.
        accepted: requests that got a place.
        answered: of those, the ones that are over: answered, or their client went.
    """

    def __init__(self, open_inpainter: Callable[[], Inpainter], *, workers: int, queue: int, metrics: Metrics) -> None:
        self._workers = [Worker(open_inpainter, f"iic-rt worker {i}") for i in range(workers)]
        self._codecs = ThreadPoolExecutor(CODECS, thread_name_prefix="iic-rt codec")
        self._most = workers + queue
        self._metrics = metrics
        self._state: Literal["starting", "ready", "draining"] = "starting"
        self._held = 0
        self._service = FIRST_GUESS
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        self._turn = asyncio.Semaphore(workers + 1)
        self.failure: BaseException | None = None
        self.under_way = 0
        self.accepted = self.answered = 0
        metrics.waiting.set_function(lambda: max(0, self._held - self.busy))
        metrics.busy.set_function(lambda: self.busy)
        metrics.workers.set_function(lambda: sum(worker.inpainter is not None for worker in self._workers))

    async def start(self) -> None:
        """Opens all inpainters and makes them ready; meanwhile requests are refused."""
        try:
            await asyncio.gather(*(asyncio.wrap_future(worker.start()) for worker in self._workers))
        except Exception as error:
            self.failure = error
            return
        for worker in self._workers:
            self._free.put_nowait(worker)
        if self._state == "starting":
            self._state = "ready"

    @property
    def inpainter(self) -> Inpainter | None:
        """One of the workers', to be asked what it is; None before the start."""
        return next((worker.inpainter for worker in self._workers if worker.inpainter is not None), None)

    @property
    def busy(self) -> int:
        """Workers that have work in hand."""
        return 0 if self._state == "starting" else len(self._workers) - self._free.qsize()

    @property
    def draining(self) -> bool:
        """Whether no new request is taken, because the server is about to end."""
        return self._state == "draining"

    def drain(self) -> None:
        """From now on takes no new request; those that came before are answered."""
        self._state = "draining"

    def check_state(self) -> None:
        """Raises ApiError where the server is starting or about to end."""
        if self._state == "starting":
            raise ApiError(503, "starting", "the server is starting; try again", retry_after=START_AGAIN)
        if self._state == "draining":
            raise ApiError(503, "draining", "the server is about to end; try again later", retry_after=DRAIN_AGAIN)

    def _check_places(self) -> None:
        if self._held >= self._most:
            seconds = max(1, math.ceil(self._held * self._service / len(self._workers)))
            text = f"{self._held} requests are waiting, which is the most; try again in {seconds} s"
            raise ApiError(429, "busy", text, retry_after=seconds)

    @contextmanager
    def entrance(self) -> Iterator[None]:
        """For the whole of a request, from before its body is read: it is answered although the server be ended.

        Raises:
            ApiError: no new request is taken.
        """
        self.check_state()
        self._check_places()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    @contextmanager
    def _place(self) -> Iterator[None]:
        self._check_places()
        self._held += 1
        self.accepted += 1
        try:
            yield
        finally:
            self._held -= 1
            self.answered += 1

    async def run(self, decode: Callable[[], A], fill: Callable[[A, Inpainter], B], encode: Callable[[B], C]) -> C:
        """The three stages of a request, each in a thread that is for it.

        Raises:
            ApiError: there is no place (429).
            Exception: whatever a stage raises.
        """
        with self._place():
            came = time.perf_counter()
            async with self._turn:
                began = time.perf_counter()
                decoded = await self._in_codec("decode", decode)
                ready = time.perf_counter()
                worker = await self._free.get()
                self._metrics.observe("wait", began - came + time.perf_counter() - ready)
                filled = await self._fill(worker, partial(fill, decoded))
            return await self._in_codec("encode", partial(encode, filled))

    async def run_beside(self, work: Callable[[], A]) -> A:
        """Work that needs no inpainter, in turn with the others.

        Raises:
            ApiError: there is no place (429).
            Exception: whatever the work raises.
        """
        with self._place():
            async with self._turn:
                return await self._in_codec("decode", work)

    async def _in_codec(self, stage: str, work: Callable[[], A]) -> A:
        def timed() -> A:
            with self._metrics.time(stage):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._codecs, timed)

    async def _fill(self, worker: Worker, fill: Callable[[Inpainter], B]) -> B:
        loop, began = asyncio.get_running_loop(), time.perf_counter()

        def free() -> None:
            seconds = time.perf_counter() - began
            self._metrics.observe("fill", seconds)
            self._service += SMOOTHING * (seconds - self._service)
            self._free.put_nowait(worker)

        def tell(_done: object) -> None:
            with suppress(RuntimeError):  # the loop has ended, and nobody needs the worker any more
                loop.call_soon_threadsafe(free)

        # Not when the request is over, whose client may go earlier: the thread is busy until it is done.
        future = worker.submit(fill)
        future.add_done_callback(tell)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Waits for what is in hand, and releases the inpainters."""
        self._codecs.shutdown()
        for worker in self._workers:
            worker.close()
