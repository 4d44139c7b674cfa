"""Small ONNX files for tests of the runtime."""

import numpy as np
import onnx
from onnx import TensorProto, helper


def chain(nodes: int = 60, side: int = 600) -> bytes:
    """``y = x``, by so many products with the unit matrix: a run that takes a while."""
    steps = [
        helper.make_node("MatMul", [f"x{at}" if at else "x", "unit"], [f"x{at + 1}"])
        for at in range(nodes)
    ]
    last = helper.make_node("Identity", [f"x{nodes}"], ["y"])
    unit = onnx.numpy_helper.from_array(np.eye(side, dtype=np.float32), "unit")
    return _model([*steps, last], ["n", side], ["n", side], [unit])


def shifting() -> bytes:
    """Says ``y`` has 4 values; has as many as ``x`` says."""
    cast = helper.make_node("Cast", ["x"], ["length"], to=TensorProto.INT64)
    fill = helper.make_node("ConstantOfShape", ["length"], ["y"])
    return _model([cast, fill], [1], [4], [])


def rounding() -> bytes:
    """``y``: ``x`` as whole numbers of 8 bits."""
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT8)
    return _model([cast], ["n"], ["n"], [], kind=TensorProto.INT8)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[int | str],
    outputs: list[int | str],
    weights: list[onnx.TensorProto],
    kind: int = TensorProto.FLOAT,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", kind, outputs)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content: bytes = model.SerializeToString()
    return content
