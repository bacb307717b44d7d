"""The CUDA driver: the few calls that the runtime makes, each with its errors told in words."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from iic_rt.contract import CaptureError
from iic_rt.cuda.status import STICKY, UNCAPTURABLE, describe
from iic_rt.errors import BackendError

__all__ = ["Device", "Driver", "load_api", "mib"]

OLDEST = 12000  # CUDA version that the driver must support: graphs with external events and wheels of the bindings
LEGACY = 1  # address of the legacy default stream, as 0 is

INSTALL = (
    "install NVIDIA's driver (on a Jetson it comes with JetPack; a container needs the NVIDIA container toolkit), or "
    "use a backend on the CPU"
)


@dataclass(frozen=True)
class Device:
    """What the device is.

    Attributes:
        ordinal: its number among the visible devices.
        name: of the product.
        compute_capability: such as ``"8.7"``.
        integrated: host and device share one memory, as on a Jetson.
        total_bytes: of its memory.
        driver_version: newest CUDA version the driver supports, such as ``"12.6"``.
    """

    ordinal: int
    name: str
    compute_capability: str
    integrated: bool
    total_bytes: int
    driver_version: str


def mib(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**20:.1f} MiB"


def load_api() -> Any:
    """The module ``cuda.bindings.driver`` with the driver started; quick where there is none.

    Raises:
        BackendError: no driver, no device, a driver too old, or no bindings; the message says what to install.
    """
    library = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)  # far quicker than to import the bindings for nothing
    except OSError as error:
        raise BackendError(f"no NVIDIA driver: {library} cannot be loaded ({error}); {INSTALL}") from error
    try:
        from cuda.bindings import driver as api
    except ImportError as error:
        raise BackendError(
            f"the CUDA bindings cannot be imported ({error}); run `pip install 'iic-rt[cuda]'`"
        ) from error
    check_api(api)
    return api


def check_api(api: Any) -> None:
    """Starts the driver and checks that it is new enough.

    Raises:
        BackendError: as :func:`load_api`.
    """
    try:
        status, version = api.cuDriverGetVersion()
        text = f"{version // 1000}.{version % 1000 // 10}"
        if int(status) == 0 and version < OLDEST:
            raise BackendError(
                f"the NVIDIA driver supports CUDA {text}, and {OLDEST // 1000}.0 or newer is needed; update the driver "
                "(on a Jetson: JetPack 6.1 or later)"
            )
        (status,) = api.cuInit(0)
    except RuntimeError as error:  # of the bindings: the driver lacks a function
        if isinstance(error, BackendError):
            raise
        raise BackendError(f"the NVIDIA driver cannot be used ({error}); update it, or {INSTALL}") from error
    if int(status) != 0:
        raise BackendError(f"the NVIDIA driver does not start: {describe(api, status)}; {INSTALL}")


class Driver:
    """A context and the calls made on it.

    A context that is current on the thread, such as a pycuda application's, is used. Otherwise the primary context of
    the first visible device is retained, which other libraries in the process share, and released by :meth:`close`.

    Calls need the context to be current on their thread, which :meth:`activate` sees to. A public call is made inside
    :meth:`guard`, which leaves the thread as it was found.

    Once the device has failed in a way that poisons the context, every call raises the same error at once, and
    freeing does nothing.

    Addresses and handles are plain ints. Streams: 0 and 1 are the legacy default stream, 2 that of the thread.
    """

    def __init__(self, api: Any) -> None:
        self._api = api
        self._poison: str | None = None
        self._retained: Any = None
        self._made_current = False
        doing = "opening a context"
        self._context: Any = self._call(doing, api.cuCtxGetCurrent)
        alone = int(self._context) == 0
        device = self._call(doing, api.cuDeviceGet, 0) if alone else self._call(doing, api.cuCtxGetDevice)
        # A primary context that is current is retained too: whoever made it so may release it before this one closes.
        if alone or self._call(doing, api.cuDevicePrimaryCtxGetState, device)[1]:
            primary = self._call(doing, api.cuDevicePrimaryCtxRetain, device)
            if alone:
                self._context = primary
            if int(primary) == int(self._context):
                self._retained = device
            else:
                self._call(doing, api.cuDevicePrimaryCtxRelease, device)
        try:
            self.device = self._facts(device)
        except BackendError:
            self.close()
            raise

    def _facts(self, handle: Any) -> Device:
        api = self._api
        kinds = api.CUdevice_attribute

        def fact(name: str) -> int:
            attribute = getattr(kinds, f"CU_DEVICE_ATTRIBUTE_{name}")
            return int(self._call("asking for the device", api.cuDeviceGetAttribute, attribute, handle))

        version = self._call("asking for the device", api.cuDriverGetVersion)
        capability = f"{fact('COMPUTE_CAPABILITY_MAJOR')}.{fact('COMPUTE_CAPABILITY_MINOR')}"
        name = self._call("asking for the device", api.cuDeviceGetName, 128, handle).split(b"\0")[0].decode()
        if not fact("HOST_REGISTER_SUPPORTED"):
            raise BackendError(f"{name!r} cannot lock memory of the host; a Jetson must be a Xavier or later")
        return Device(
            ordinal=int(handle),
            name=name,
            compute_capability=capability,
            integrated=bool(fact("INTEGRATED")),
            total_bytes=self._call("asking for the device", api.cuDeviceTotalMem, handle),
            driver_version=f"{version // 1000}.{version % 1000 // 10}",
        )

    @property
    def poisoned(self) -> bool:
        """The device failed, and the process must be restarted."""
        return self._poison is not None

    def activate(self) -> None:
        """Makes the context current on the calling thread, where none is.

        Raises:
            BackendError: another context is current, or this one is poisoned.
        """
        if self._poison is not None:
            raise BackendError(self._poison)
        current = self._call("looking for the context", self._api.cuCtxGetCurrent)
        if int(current) == 0:
            self._call("using the context", self._api.cuCtxSetCurrent, self._context)
            self._made_current = True
        elif int(current) != int(self._context):
            raise BackendError(
                "another CUDA context is current on this thread than the one iic-rt was opened in; make that one "
                "current, or open the Inpainter after yours"
            )

    @contextmanager
    def guard(self, *, switch: bool = False) -> Iterator[None]:
        """Leaves the calling thread's current context as it was found, whatever :meth:`activate` does inside.

        Args:
            switch: make this context current even where another one is; to free what lies on it.
        """
        # No errors are raised here: what failed inside is the better reason, and a poisoned context may answer nothing.
        ours = self._context
        if ours is None:  # closed
            yield
            return
        failed, before = self._api.cuCtxGetCurrent()
        if switch and not int(failed) and not self.poisoned and int(before) != int(ours):
            self._api.cuCtxSetCurrent(ours)
        try:
            yield
        finally:
            failed_now, now = self._api.cuCtxGetCurrent()
            if not int(failed) and not int(failed_now) and int(now) == int(ours) != int(before):
                self._api.cuCtxSetCurrent(before)
                self._made_current = False

    def close(self) -> None:
        """Gives the context back; a second call does nothing."""
        context, self._context = self._context, None
        if self._retained is None or context is None:
            return
        if self._made_current and not self.poisoned:
            current = self._call("closing the context", self._api.cuCtxGetCurrent)
            if int(current) == int(context):
                self._call("closing the context", self._api.cuCtxSetCurrent, 0)
        self._api.cuDevicePrimaryCtxRelease(self._retained)

    # Memory

    def memory_info(self) -> tuple[int, int]:
        """Bytes of device memory that are free, and all of them."""
        free, total = self._call("asking for memory", self._api.cuMemGetInfo)
        return int(free), int(total)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes of device memory.

        Raises:
            BackendError: there is not enough; the message says how much there is and what to lower.
        """
        return int(self._call(f"allocating {mib(size)} on the device", self._api.cuMemAlloc, size, size=size))

    def free(self, address: int) -> None:
        """Gives device memory back."""
        self._release("freeing memory", self._api.cuMemFree, address)

    def pin(self, address: int, size: int) -> int:
        """Locks whole pages of host memory and maps them for the device; returns the device's address of them."""
        what, flag = f"locking {mib(size)} of host memory", self._api.CU_MEMHOSTREGISTER_DEVICEMAP
        self._call(what, self._api.cuMemHostRegister, address, size, flag, size=size)
        return int(self._call(what, self._api.cuMemHostGetDevicePointer, address, 0))

    def unpin(self, address: int) -> None:
        """Unlocks what :meth:`pin` locked; the memory itself stays."""
        self._release("unlocking host memory", self._api.cuMemHostUnregister, address)

    # Copies, enqueued

    def copy_in(self, target: int, source: int, size: int, stream: int) -> None:
        """From pinned host memory to the device."""
        self._call("copying to the device", self._api.cuMemcpyHtoDAsync, target, source, size, stream)

    def copy_out(self, target: int, source: int, size: int, stream: int) -> None:
        """From the device to pinned host memory."""
        self._call("copying from the device", self._api.cuMemcpyDtoHAsync, target, source, size, stream)

    def copy_rows(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, height: int, stream: int
    ) -> None:
        """``height`` rows of ``width`` bytes, ``pitch`` bytes apart, within what the device can reach."""
        api = self._api
        copy = api.CUDA_MEMCPY2D()
        copy.srcMemoryType = copy.dstMemoryType = api.CUmemorytype.CU_MEMORYTYPE_UNIFIED
        copy.srcDevice, copy.srcPitch = source, source_pitch
        copy.dstDevice, copy.dstPitch = target, target_pitch
        copy.WidthInBytes, copy.Height = width, height
        self._call("copying on the device", api.cuMemcpy2DAsync, copy, stream)

    # Streams and events

    def create_stream(self) -> int:
        """A stream that does not wait for the legacy default stream."""
        flag = self._api.CUstream_flags.CU_STREAM_NON_BLOCKING
        return int(self._call("creating a stream", self._api.cuStreamCreate, flag))

    def destroy_stream(self, stream: int) -> None:
        self._release("destroying a stream", self._api.cuStreamDestroy, stream)

    def create_event(self) -> int:
        """An event that measures time, and whose waiter sleeps."""
        flag = self._api.CUevent_flags.CU_EVENT_BLOCKING_SYNC
        return int(self._call("creating an event", self._api.cuEventCreate, flag))

    def destroy_event(self, event: int) -> None:
        self._release("destroying an event", self._api.cuEventDestroy, event)

    def record_event(self, event: int, stream: int, *, captured: bool = False) -> None:
        """Sets the event behind the stream's work; ``captured``: whenever the graph being captured gets there."""
        if captured:
            flag = self._api.CUevent_record_flags.CU_EVENT_RECORD_EXTERNAL
            self._call("recording an event", self._api.cuEventRecordWithFlags, event, stream, int(flag))
        else:
            self._call("recording an event", self._api.cuEventRecord, event, stream)

    def wait_event(self, event: int) -> None:
        """Sleeps until the event is reached."""
        self._call("waiting for the device", self._api.cuEventSynchronize, event)

    def order(self, stream: int, event: int) -> None:
        """Lets the stream's later work wait for the event."""
        self._call("ordering streams", self._api.cuStreamWaitEvent, stream, event, 0)

    def elapsed_ms(self, first: int, second: int) -> float:
        """Milliseconds between two events that were reached."""
        return float(self._call("reading a time", self._api.cuEventElapsedTime, first, second))

    # Graphs

    def begin_capture(self, stream: int) -> None:
        """Work enqueued on the stream from now on is noted and not run; other threads may go on.

        Raises:
            CaptureError: the driver refuses.
        """
        mode = self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("starting a capture", self._api.cuStreamBeginCapture, stream, mode)

    def end_capture(self, stream: int) -> int:
        """What was noted, ready to be launched.

        Raises:
            CaptureError: something in the work cannot be captured.
        """
        graph = self._call("capturing work", self._api.cuStreamEndCapture, stream)
        try:
            return int(self._call("instantiating a graph", self._api.cuGraphInstantiate, graph, 0))
        finally:
            self._release("freeing a graph", self._api.cuGraphDestroy, graph)

    def drop_capture(self, stream: int) -> None:
        """Ends a capture whose work failed, and keeps nothing."""
        status, graph = self._api.cuStreamEndCapture(stream)
        if int(status) == 0:
            self._release("freeing a graph", self._api.cuGraphDestroy, graph)

    def launch_graph(self, graph: int, stream: int) -> None:
        self._call("launching a graph", self._api.cuGraphLaunch, graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._release("freeing a graph", self._api.cuGraphExecDestroy, graph)

    # Statuses

    def _release(self, doing: str, function: Callable[..., Any], handle: Any) -> None:
        if not self.poisoned:
            self._call(doing, function, handle)

    def _call(self, doing: str, function: Callable[..., Any], *arguments: Any, size: int = 0) -> Any:
        """What the function returns behind its status."""
        if self._poison is not None:
            raise BackendError(self._poison)
        try:
            status, *values = function(*arguments)
        except RuntimeError as error:  # of the bindings: the driver lacks a function
            raise BackendError(
                f"the NVIDIA driver failed while {doing} ({error}); update it, or install the cuda-bindings of its "
                "CUDA version (on JetPack 6: `pip install 'cuda-bindings<13'`)"
            ) from error
        if int(status) != 0:
            self._fail(doing, status, size)
        return values[0] if len(values) == 1 else values

    def _fail(self, doing: str, status: Any, size: int) -> None:
        name, words = getattr(status, "name", ""), describe(self._api, status)
        if name in STICKY:
            self._poison = (
                f"the device failed: {words}, noticed while {doing}. Nothing on the GPU works any more in this "
                "process; restart it. If it happens again, run with CUDA_LAUNCH_BLOCKING=1, and look for Xid in `dmesg`"
            )
            raise BackendError(self._poison)
        if name == "CUDA_ERROR_OUT_OF_MEMORY":
            status, free, total = self._api.cuMemGetInfo()
            left = f"{mib(free)} of {mib(total)} free" if int(status) == 0 else "what is free is not known"
            asked = f", {mib(size)} asked" if size else ""
            raise BackendError(
                f"out of memory while {doing}{asked}, {left}: lower working_size, give smaller images, close other "
                "Inpainters, or end other processes on the GPU (`nvidia-smi`, on a Jetson `tegrastats`)"
            )
        kind = CaptureError if name.startswith(UNCAPTURABLE) else BackendError
        raise kind(f"CUDA failed while {doing}: {words}")
