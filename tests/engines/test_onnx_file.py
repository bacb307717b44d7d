"""Functions are cut out of a serialised model, and nothing else."""

from __future__ import annotations

import onnx
import pytest

from iic_rt.bundle.manifest import load_bundle
from iic_rt.engines.onnx_file import needs_plugin, without_functions


@pytest.mark.parametrize(
    ("name", "operators"),
    [("search", {"PatchSearch"}), ("refine", {"PatchMatch", "PatchReplace"}), ("replace", {"PatchReplace"})],
)
def test_functions_go_and_the_rest_stays(name: str, operators: set[str]) -> None:
    content = load_bundle("edge").graphs[name].path.read_bytes()
    model = onnx.load_from_string(content)
    assert {function.name for function in model.functions} == operators
    del model.functions[:]
    assert onnx.load_from_string(without_functions(content)) == model


@pytest.mark.parametrize("name", ["prepare", "step", "similarity", "detail", "add_detail"])
def test_a_model_without_functions_stays_as_it_is(name: str) -> None:
    content = load_bundle("edge").graphs[name].path.read_bytes()
    assert without_functions(content) == content


def test_which_graph_needs_the_plugin() -> None:
    graphs = load_bundle("edge").graphs
    needing = {name for name, graph in graphs.items() if needs_plugin(graph.path.read_bytes())}
    assert needing == {"search", "refine", "replace"}


def test_every_kind_of_field_is_stepped_over() -> None:
    long = b"\x12\x81\x01" + b"x" * 129  # field 2, 129 bytes: a length of two bytes
    fields = [b"\x08\x96\x01", long, b"\x19" + b"y" * 8, b"\x25" + b"z" * 4]  # a number, bytes, 8 bytes, 4 bytes
    function = b"\xca\x01\x03abc"  # field 25
    assert without_functions(b"".join([fields[0], function, *fields[1:], function])) == b"".join(fields)


@pytest.mark.parametrize("content", [b"\x0b", b"\x12\x05abc", b"\x08\xff", b"\x19abc"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"wire type 3|cut off"):
        without_functions(content)
