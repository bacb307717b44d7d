"""Captured work and events."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.cuda.graph import CudaEvent, capture
from iic_rt.cuda.memory import Memory
from iic_rt.errors import BackendError
from tests.cuda.conftest import make_memory
from tests.cuda.fake_driver import FakeApi


def add_one(api: FakeApi, memory: Memory, buffer: object) -> None:
    def run() -> None:
        values = api.view(buffer.address, buffer.nbytes)
        values += np.uint8(1)

    api.launch(memory.stream.begin(buffer), "add one", run, (buffer.address, buffer.nbytes))


def test_the_same_graph_on_other_values(memory: Memory, api: FakeApi) -> None:
    buffer = memory.buffer((4, 4), "uint8")

    def work() -> list[CudaEvent]:
        buffer.upload()
        add_one(api, memory, buffer)
        buffer.download()
        return []

    buffer.stage(np.zeros((4, 4), np.uint8))
    graph = capture(memory.stream, work)
    for value in (10, 20, 30):
        buffer.stage(np.full((4, 4), value, np.uint8))
        graph.enqueue()
        memory.stream.wait()
        assert (buffer.host == value + 1).all()
    assert api.counts()["cuGraphLaunch"] == 3


def test_stage_waits_for_a_graph_that_copies(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    buffer, result = memory.buffer((4,), "uint8"), memory.buffer((4,), "uint8")
    graph = capture(memory.stream, lambda: [buffer.upload()][1:])
    buffer.stage(np.full(4, 1, np.uint8))
    graph.enqueue()
    buffer.stage(np.full(4, 2, np.uint8))  # at once: the launch has not run yet
    assert (discrete.view(buffer.address, 4) == 1).all()
    before = discrete.counts()["cuEventSynchronize"]
    result.stage(np.zeros(4, np.uint8))  # no part of the graph
    assert discrete.counts()["cuEventSynchronize"] == before
    memory.stream.close()


def test_events_tell_of_the_last_run(memory: Memory, api: FakeApi) -> None:
    buffer = memory.buffer((4,), "uint8")

    def work() -> list[CudaEvent]:
        first = CudaEvent(memory.stream)
        add_one(api, memory, buffer)
        add_one(api, memory, buffer)
        return [first, CudaEvent(memory.stream)]

    graph = capture(memory.stream, work)
    for _ in range(2):
        first, last = graph.enqueue()
        waits = api.counts()["cuEventSynchronize"]
        assert last.ms_since(first) == 3  # every piece of work on the fake device takes 1 ms, an event too
        assert last.ms_since(first) == 3
        assert api.counts()["cuEventSynchronize"] == waits + 1
    outside = CudaEvent(memory.stream)
    assert outside.ms_since(last) > 0


def test_events_of_two_streams_are_not_compared(discrete: FakeApi) -> None:
    first, second = make_memory(discrete), make_memory(discrete)
    with pytest.raises(TypeError, match="two backends"):
        CudaEvent(first.stream).ms_since(CudaEvent(second.stream))
    first.stream.close()
    second.stream.close()


def test_events_are_used_again(memory: Memory, api: FakeApi) -> None:
    for _ in range(3):
        CudaEvent(memory.stream)
    before = api.counts()["cuEventCreate"]
    for _ in range(9):
        CudaEvent(memory.stream)
    assert api.counts()["cuEventCreate"] == before


@pytest.mark.parametrize("forbidden", ["wait", "buffer", "stage", "read"])
def test_captured_work_neither_waits_nor_makes_anything(memory: Memory, api: FakeApi, forbidden: str) -> None:
    buffer = memory.buffer((4,), "uint8")
    buffer.read()
    calls = {
        "wait": memory.stream.wait,
        "buffer": lambda: memory.buffer((4,), "uint8"),
        "stage": lambda: buffer.stage(np.zeros(4, np.uint8)),
        "read": buffer.read,
    }
    with pytest.raises(BackendError, match="captured"):
        memory.stream.capture(calls[forbidden])
    buffer.write(np.ones(4, np.uint8))  # the stream works again
    assert (buffer.read() == 1).all()
    assert not api.graphs


def test_an_error_in_captured_work_is_that_error(memory: Memory, api: FakeApi) -> None:
    calls = []

    def work() -> list[CudaEvent]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("mine")
        return []

    with pytest.raises(KeyError):
        capture(memory.stream, work)
    assert not memory.stream.capturing
    assert not api.templates


@pytest.mark.parametrize("stream", [0, 1, 2, 0x999])
def test_a_graph_runs_on_the_stream_of_the_caller(discrete: FakeApi, stream: int) -> None:
    discrete.streams.setdefault(stream, type(discrete.streams[0])())
    memory = make_memory(discrete, stream)
    buffer = memory.buffer((4,), "uint8")
    buffer.stage(np.ones(4, np.uint8))
    graph = capture(memory.stream, lambda: [buffer.upload()][1:])
    graph.enqueue()
    assert [w.name for w in discrete.streams[stream]] == ["copy in", "event"]
    memory.stream.close()
    assert stream in discrete.streams
    assert len(discrete.streams) == (4 if stream == 0x999 else 3)


def test_a_graph_is_freed_when_the_device_is_done(memory: Memory, api: FakeApi) -> None:
    graph = capture(memory.stream, lambda: [CudaEvent(memory.stream)])
    graph.enqueue()
    del graph
    assert len(api.graphs) == 1
    memory.stream.wait()
    assert not api.graphs
