import random

import onnx
import pytest
from onnx import TensorProto, helper

from auralink.models.errors import RefusedModel
from auralink.models.onnx_file import MAX_DEPTH, read_facts
from auralink.models.store import Store


def nested(depth: int) -> onnx.ModelProto:
    """A graph within a graph within a graph; the innermost has a tensor in another file."""
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="elsewhere")
    graph = helper.make_graph([], "inner", [], [], [tensor])
    for _ in range(depth):
        node = onnx.NodeProto(op_type="If")
        attribute = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
        attribute.g.CopyFrom(graph)
        graph = helper.make_graph([node], "outer", [], [])
    return helper.make_model(graph)


def test_agrees_with_onnx_on_the_bundled_weights(store: Store) -> None:
    for entry in store.entries:
        content = entry.path.read_bytes()
        model = onnx.load_from_string(content)

        facts = read_facts(content)

        assert facts.opset == model.opset_import[0].version
        assert [port.name for port in facts.inputs] == [port.name for port in model.graph.input]
        assert facts.inputs[0].shape == (1, 1, "height", "width")
        assert facts.outputs[0].dtype == "uint8"
        assert facts.outputs[1].dtype == "float32"
        assert not facts.external


def test_finds_external_data_in_inner_graphs() -> None:
    assert read_facts(nested(0).SerializeToString()).external
    assert read_facts(nested(3).SerializeToString()).external


def test_refuses_endless_nesting() -> None:
    with pytest.raises(RefusedModel, match=f"deeper than {MAX_DEPTH}"):
        read_facts(nested(MAX_DEPTH).SerializeToString())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"\xff" * 20,
        b"\x3a\x05ab",
        b"\x3a\xff\xff\xff\xff\x0f",
        b"PK\x03\x04",
        b"\x3b",
    ],
)
def test_refuses_what_is_no_onnx(content: bytes) -> None:
    with pytest.raises(RefusedModel):
        read_facts(content)


def test_random_bytes_are_refused_or_read() -> None:
    chance = random.Random(3)

    for _ in range(2000):
        content = b"\x3a" + bytes([chance.randrange(40)]) + chance.randbytes(chance.randrange(60))
        try:
            read_facts(content)
        except RefusedModel:
            continue
