"""The processes of ``iic-rt remove --workers``: each fills images with an inpainter of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import cv2

from iic_rt.cli.ending import POLITE
from iic_rt.cli.remove import Job, try_job
from iic_rt.errors import IICError
from iic_rt.files import remove_parts
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions

__all__ = ["Workers"]

LAST_SECONDS = 10  # that a worker has to close its inpainter
TRIES = 2  # of an image whose worker dies: once may be chance, such as memory that another program took


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None

    def remove_parts(self) -> None:
        """Removes what it was writing when it was killed."""
        assert self.process.pid is not None
        if self.job is not None:
            for path in (self.job.out, self.job.confidence, self.job.strip):
                if path is not None:
                    remove_parts(path, self.process.pid)


class Workers:
    """Processes that fill images; one that dies is replaced.

    Args:
        count: how many.
        options: of their inpainters.
        settings: other arguments of :class:`iic_rt.Inpainter`; ``threads`` is for each of them.

    Attributes:
        backend_name: what the inpainters compute with; None before the first of them is open.
    """

    def __init__(self, count: int, *, options: InpaintOptions, settings: dict[str, Any]) -> None:
        self._settings = {"options": options, **settings}
        if settings["threads"] is not None:  # numpy takes its number when it is imported: in the workers
            os.environ.setdefault("OPENBLAS_NUM_THREADS", str(settings["threads"]))
        self._workers = [self._start() for _ in range(count)]
        self.backend_name: str | None = None

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Every job with what :func:`iic_rt.cli.remove.try_job` says of it, in the order in which they are done.

        Raises:
            IICError: an inpainter cannot be opened.
        """
        waiting, deaths = deque(jobs), dict.fromkeys(jobs, 0)
        for worker in self._workers:
            self._give(worker, waiting)
        while busy := {worker.pipe: worker for worker in self._workers if worker.job is not None}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                job = worker.job
                assert job is not None
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    said = {"image": str(job.image), "error": _reason(worker.process, job)}
                    worker = self._replace(worker)
                    deaths[job] += 1
                    if deaths[job] < TRIES:
                        waiting.appendleft(job)
                        self._give(worker, waiting)
                        continue
                if isinstance(said, BaseException):
                    raise said
                if isinstance(said, str):
                    self.backend_name = said
                    continue
                self._give(worker, waiting)
                yield job, said

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks and not the threads
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._settings), daemon=True)
        with _interrupts_ignored():
            process.start()
        theirs.close()  # so that the pipe ends with the worker
        return _Worker(process, ours)

    def _replace(self, dead: _Worker) -> _Worker:
        dead.pipe.close()
        dead.remove_parts()
        self._workers[self._workers.index(dead)] = new = self._start()
        return new

    def _give(self, worker: _Worker, waiting: deque[Job]) -> None:
        worker.job = waiting.popleft() if waiting else None
        if worker.job is not None:
            try:
                worker.pipe.send(worker.job)
            except OSError:  # it died between two images; reading from it tells
                return

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets the workers close their inpainters, or ends them at once where something was raised."""
        for worker in self._workers:
            if kind is not None:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(LAST_SECONDS)
            worker.process.kill()
            if kind is not None:
                worker.process.join()
                worker.remove_parts()


def _work(pipe: Connection, settings: dict[str, Any]) -> None:
    """A worker: says its backend, and then of each job what became of it, until the pipe ends."""
    from iic_rt.cli.main import told  # it imports all commands, this one too

    if settings["threads"] is not None:
        cv2.setNumThreads(settings["threads"])  # resizing, filters and decoders have threads of their own
    with suppress(EOFError, ConnectionError), told():  # the command has ended, and nobody waits for more
        try:
            inpainter = Inpainter(**settings)
        except IICError as error:
            pipe.send(error)
            return
        with inpainter:
            pipe.send(inpainter.backend_name)
            while True:
                pipe.send(try_job(pipe.recv(), inpainter))


def _reason(dead: BaseProcess, job: Job) -> str:
    dead.join()
    code = dead.exitcode or 0
    how = f"was killed (signal {-code})" if code < 0 else f"ended (exit status {code})"
    return f"{job.image} failed {TRIES} times: its worker {how}. Where memory ran out, take fewer --workers"


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started within leave Ctrl-C, a polite kill and a closed terminal to this one, from the first moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *POLITE)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
