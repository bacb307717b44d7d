"""What is counted, for Prometheus."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)


class Metrics:
    """Counters of one server, in a registry of its own; no label holds what a client wrote.

    Attributes:
        waiting: requests in the queue.
        busy: workers that fill an image.
        workers: workers that have an inpainter.
        megapixels: of the images that were filled.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "iic_rt_requests", "Answers by route and status.", ("route", "status"), registry=self._registry
        )
        self.waiting = Gauge("iic_rt_queue_length", "Requests that wait for a worker.", registry=self._registry)
        self.busy = Gauge("iic_rt_workers_busy", "Workers that fill an image.", registry=self._registry)
        self.workers = Gauge("iic_rt_workers", "Workers that have an inpainter.", registry=self._registry)
        self.megapixels = Counter("iic_rt_megapixels", "Megapixels of filled images.", registry=self._registry)
        self._stages = Histogram(
            "iic_rt_stage_seconds",
            "Seconds of a request: wait, decode, fill, encode.",
            ("stage",),
            buckets=SECONDS,
            registry=self._registry,
        )

    def count_request(self, route: str, status: int) -> None:
        """One more answer; the status is 499 where the client went before it."""
        self._requests.labels(route, str(status or 499)).inc()

    def observe(self, stage: str, seconds: float) -> None:
        """A request took so long in a stage."""
        self._stages.labels(stage).observe(seconds)

    def time(self, stage: str) -> AbstractContextManager[object]:
        """Measures a stage."""
        return self._stages.labels(stage).time()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
