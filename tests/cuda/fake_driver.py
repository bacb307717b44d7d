"""A recording fake of ``cuda.bindings.driver``: one device, whose work runs only when somebody waits for it.

So a wait that is missing shows as stale data. What no program may do (use after free, a copy past the end, freeing what
the device still works on) raises AssertionError; what a device may report comes back as a status.
"""

from __future__ import annotations

import ctypes
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cuda.bindings import driver as real
from numpy.typing import NDArray

OK = real.CUresult.CUDA_SUCCESS
ERROR = real.CUresult
MAPPED = 1 << 56  # added to a host address to make the device's
DEFAULT_STREAMS = (0, 1, 2)
PRIMARY = 0x100
NEED_A_CONTEXT = ("cuMem", "cuStream", "cuEvent", "cuGraph")

Range = tuple[int, int]  # address and size


@dataclass
class Event:
    set: int = 0  # times enqueued
    reached: int = 0
    stream: int = 0
    time_ms: float | None = None
    captured: bool = False


@dataclass
class Work:
    name: str
    run: Callable[[], None]
    uses: tuple[Range, ...] = ()
    graph: int = 0


@dataclass
class Capture:
    stream: int
    work: list[Work] = field(default_factory=list)
    broken: bool = False


class FakeApi:
    """The functions of the module that the runtime calls, with the same parameters.

    Attributes:
        log: name of every call, in order; copies and launches as they are enqueued.
        done: name of every piece of work, in the order it ran.
        fail_allocation: number of the device allocation, from 1, that finds no memory.
        fail_launch: number of the kernel, from 1, that poisons the context while it runs.
        capture_status: what a capture is refused with.
    """

    def __init__(self, *, integrated: bool = False, total: int = 1 << 30) -> None:
        self.integrated, self.total = integrated, total
        self.log: list[str] = []
        self.done: list[str] = []
        self.fail_allocation = self.fail_launch = 0
        self.version, self.init_status, self.capture_status = 13000, OK, OK
        self.blocks: dict[int, NDArray[np.uint8]] = {}
        self.pinned: dict[int, int] = {}
        self.streams: dict[int, deque[Work]] = {stream: deque() for stream in DEFAULT_STREAMS}
        self.events: dict[int, Event] = {}
        self.templates: dict[int, list[Work]] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.current, self.retained = 0, 0
        self.status = OK  # a sticky error, once there is one
        self._capture: Capture | None = None
        self._next, self._allocations, self._launches, self._now = 0x1000, 0, 0, 0.0

    def __getattribute__(self, name: str) -> Any:
        if not (name.startswith("cu") and name[2].isupper()):
            return super().__getattribute__(name)
        function = super().__getattribute__(name)

        def call(*arguments: Any) -> Any:
            self.log.append(name)
            if self.current == 0 and name.startswith(NEED_A_CONTEXT):
                return (ERROR.CUDA_ERROR_INVALID_CONTEXT, None)
            if self.status != OK and name not in ("cuGetErrorString", "cuDevicePrimaryCtxRelease"):
                return (self.status, None)
            return function(*arguments)

        return call

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cu"):
            raise AssertionError(f"{name} is not faked")
        return getattr(real, name)  # enums and structures

    def counts(self) -> Counter[str]:
        return Counter(self.log)

    # What tests and fake engines use

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        """Memory as the device sees it."""
        for first, block in self.blocks.items():
            if first <= address and address + size <= first + len(block):
                return block[address - first : address - first + size]
        return self._host(address - MAPPED, size)

    def _host(self, address: int, size: int) -> NDArray[np.uint8]:
        if any(first <= address and address + size <= first + length for first, length in self.pinned.items()):
            return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)
        raise AssertionError(f"{size} bytes at {address:#x} are no memory, or were freed")

    def enqueue(self, stream: int, name: str, run: Callable[[], None], *uses: Range) -> None:
        """Work of ``stream`` that reads and writes the given ranges."""
        assert stream in self.streams, f"stream {stream} does not exist"
        for used in uses:
            self.view(*used)
        work = Work(name, run, uses)
        if self._capture is not None and self._capture.stream == stream:
            self._capture.work.append(work)
        else:
            self.streams[stream].append(work)

    def launch(self, stream: int, name: str, run: Callable[[], None], *uses: Range) -> None:
        """A kernel: as :meth:`enqueue`, and it may be the one that fails."""

        def kernel() -> None:
            self._launches += 1
            if self._launches == self.fail_launch:
                self.status = ERROR.CUDA_ERROR_ILLEGAL_ADDRESS
            else:
                run()

        self.enqueue(stream, name, kernel, *uses)

    @property
    def pending(self) -> list[Work]:
        return [work for queue in self.streams.values() for work in queue]

    def _run(self, event: Event, target: int) -> None:
        while event.reached < target and self.status == OK:
            work = self.streams[event.stream].popleft()
            for used in work.uses:
                self.view(*used)
            work.run()
            self._now += 1
            self.done.append(work.name)

    def _forbidden(self) -> bool:
        """Something that a capture on this thread does not survive."""
        if self._capture is not None:
            self._capture.broken = True
        return self._capture is not None

    def _handle(self) -> int:
        self._next += 0x10
        return self._next

    # Device and context

    def cuInit(self, Flags):
        return (self.init_status,)

    def cuDriverGetVersion(self):
        return OK, self.version

    def cuGetErrorString(self, error):
        return OK, error.name.lower().encode()

    def cuDeviceGet(self, ordinal):
        return OK, ordinal

    def cuDeviceGetName(self, length, dev):
        return OK, b"Fake GPU".ljust(length, b"\0")

    def cuDeviceTotalMem(self, dev):
        return OK, self.total

    def cuDeviceGetAttribute(self, attrib, dev):
        kinds, prefix = real.CUdevice_attribute, "CU_DEVICE_ATTRIBUTE_"
        facts = {"COMPUTE_CAPABILITY_MAJOR": 8, "COMPUTE_CAPABILITY_MINOR": 7, "HOST_REGISTER_SUPPORTED": 1}
        facts["INTEGRATED"] = int(self.integrated)
        return OK, {getattr(kinds, prefix + name): value for name, value in facts.items()}[attrib]

    def cuCtxGetCurrent(self):
        return OK, self.current

    def cuCtxSetCurrent(self, ctx):
        self.current = ctx
        return (OK,)

    def cuCtxGetDevice(self):
        return OK, 0

    def cuDevicePrimaryCtxGetState(self, dev):
        return OK, 0, int(self.retained > 0)

    def cuDevicePrimaryCtxRetain(self, dev):
        self.retained += 1
        return OK, PRIMARY

    def cuDevicePrimaryCtxRelease(self, dev):
        assert self.retained > 0
        self.retained -= 1
        return (OK,)

    # Memory

    def cuMemGetInfo(self):
        used = sum(len(block) for block in self.blocks.values())
        return OK, self.total - used, self.total

    def cuMemAlloc(self, bytesize):
        if self._forbidden():
            return ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, None
        self._allocations += 1
        if self._allocations == self.fail_allocation or bytesize > self.cuMemGetInfo()[1]:
            return ERROR.CUDA_ERROR_OUT_OF_MEMORY, None
        address = 0x7F00_0000_0000 + self._next * 0x100
        self._next += bytesize // 0x100 + 2  # a gap: what runs past the end hits nothing
        self.blocks[address] = np.full(bytesize, 0xCD, np.uint8)
        return OK, address

    def cuMemFree(self, dptr):
        if self._forbidden():
            return (ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        assert dptr in self.blocks, f"{dptr:#x} was freed before, or never allocated"
        self._unused(dptr, len(self.blocks.pop(dptr)))
        return (OK,)

    def cuMemHostRegister(self, p, bytesize, Flags):
        if self._forbidden():
            return (ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        assert p % 4096 == 0
        assert bytesize % 4096 == 0
        assert all(p >= first + size or p + bytesize <= first for first, size in self.pinned.items())
        self.pinned[p] = bytesize
        return (OK,)

    def cuMemHostGetDevicePointer(self, p, Flags):
        return OK, p + MAPPED

    def cuMemHostUnregister(self, p):
        if self._forbidden():
            return (ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        assert p in self.pinned, f"{p:#x} was unregistered before, or never registered"
        size = self.pinned.pop(p)
        self._unused(p, size)
        self._unused(p + MAPPED, size)
        return (OK,)

    def _unused(self, address: int, size: int) -> None:
        for work in self.pending:
            for first, length in work.uses:
                assert address + size <= first or first + length <= address, f"{work.name} still uses the memory"

    def cuMemcpyHtoDAsync(self, dstDevice, srcHost, ByteCount, hStream):
        self._host(srcHost, ByteCount)

        def copy() -> None:
            self.view(dstDevice, ByteCount)[:] = self._host(srcHost, ByteCount)

        self.enqueue(hStream, "copy in", copy, (dstDevice, ByteCount), (srcHost + MAPPED, ByteCount))
        return (OK,)

    def cuMemcpyDtoHAsync(self, dstHost, srcDevice, ByteCount, hStream):
        self._host(dstHost, ByteCount)

        def copy() -> None:
            self._host(dstHost, ByteCount)[:] = self.view(srcDevice, ByteCount)

        self.enqueue(hStream, "copy out", copy, (srcDevice, ByteCount), (dstHost + MAPPED, ByteCount))
        return (OK,)

    def cuMemcpy2DAsync(self, pCopy, hStream):
        source, target = int(pCopy.srcDevice), int(pCopy.dstDevice)
        pitches, width, rows = (pCopy.srcPitch, pCopy.dstPitch), pCopy.WidthInBytes, pCopy.Height
        assert width <= min(pitches)

        def copy() -> None:
            for row in range(rows):
                line = self.view(source + row * pitches[0], width)
                self.view(target + row * pitches[1], width)[:] = line

        extent = [(rows - 1) * pitch + width for pitch in pitches]
        self.enqueue(hStream, "copy rows", copy, (source, extent[0]), (target, extent[1]))
        return (OK,)

    # Streams and events

    def cuStreamCreate(self, Flags):
        stream = self._handle()
        self.streams[stream] = deque()
        return OK, stream

    def cuStreamDestroy(self, hStream):
        assert hStream not in DEFAULT_STREAMS
        assert not self.streams.pop(hStream), "the stream had work left"
        return (OK,)

    def cuStreamWaitEvent(self, hStream, hEvent, Flags):
        event = self.events[hEvent]
        target = event.set
        self.enqueue(hStream, "order", lambda: self._run(event, target))
        return (OK,)

    def cuEventCreate(self, Flags):
        event = self._handle()
        self.events[event] = Event()
        return OK, event

    def cuEventDestroy(self, hEvent):
        del self.events[hEvent]
        return (OK,)

    def _record(self, handle: int, stream: int, captured: bool) -> None:
        event = self.events[handle]

        def reach(target: int) -> None:
            event.reached, event.time_ms = max(event.reached, target), self._now

        if captured:
            self.enqueue(stream, "event in graph", lambda: reach(0))
            return
        event.set, event.stream = event.set + 1, stream
        target = event.set
        self.enqueue(stream, "event", lambda: reach(target))

    def cuEventRecord(self, hEvent, hStream):
        assert self._capture is None or self._capture.stream != hStream, "an event to be read must be external"
        self._record(hEvent, hStream, False)
        return (OK,)

    def cuEventRecordWithFlags(self, hEvent, hStream, flags):
        assert flags == 1
        assert self._capture is not None
        assert self._capture.stream == hStream
        self._record(hEvent, hStream, True)
        return (OK,)

    def cuEventSynchronize(self, hEvent):
        if self._forbidden():
            return (ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        event = self.events[hEvent]
        self._run(event, event.set)
        return (self.status,)

    def cuEventElapsedTime(self, hStart, hEnd):
        times = [self.events[event].time_ms for event in (hStart, hEnd)]
        if None in times:
            return ERROR.CUDA_ERROR_INVALID_HANDLE, None
        return OK, times[1] - times[0]

    # Graphs

    def cuStreamBeginCapture(self, hStream, mode):
        assert mode == real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        if hStream in (0, 1):
            return (ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        if self.capture_status != OK:
            return (self.capture_status,)
        self._capture = Capture(hStream)
        return (OK,)

    def cuStreamEndCapture(self, hStream):
        capture, self._capture = self._capture, None
        assert capture is not None
        assert capture.stream == hStream
        if capture.broken:
            return ERROR.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None
        graph = self._handle()
        self.templates[graph] = capture.work
        return OK, graph

    def cuGraphInstantiate(self, hGraph, flags):
        graph = self._handle()
        self.graphs[graph] = [Work(w.name, w.run, w.uses, graph) for w in self.templates[hGraph]]
        return OK, graph

    def cuGraphDestroy(self, hGraph):
        del self.templates[hGraph]
        return (OK,)

    def cuGraphLaunch(self, hGraphExec, hStream):
        for used in (used for work in self.graphs[hGraphExec] for used in work.uses):
            self.view(*used)
        self.streams[hStream].extend(self.graphs[hGraphExec])
        return (OK,)

    def cuGraphExecDestroy(self, hGraphExec):
        assert all(work.graph != hGraphExec for work in self.pending), "the graph still runs"
        del self.graphs[hGraphExec]
        return (OK,)
